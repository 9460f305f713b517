/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of AF_UNIX sockets: abstract ones live in the table here. Pathnames are made and found through
 * sock_path_ops and entered in the same table under the inode's handle.
 */
#include "unix_impl.h"

#define SUN_PATH 108u
#define NAME_BUCKETS 256u

struct unix_name {
    struct refcount refs;
    u32 len;            /* of path; 0 does not exist */
    void *key;          /* pathname's inode handle, or NULL = abstract */
    u8 path[];
};

static struct list names[NAME_BUCKETS]; /* unix_lock */

struct unix_name *unix_name_get(struct unix_name *n)
{
    if (n != NULL)
        ref_get(&n->refs);
    return n;
}

void unix_name_put(struct unix_name *n)
{
    if (n == NULL || !ref_put(&n->refs))
        return;
    if (n->key != NULL)
        sock_path_ops->put(n->key);
    kfree(n);
}

static struct list *bucket_of(const void *key, const u8 *path, u32 len)
{
    u32 h = key != NULL ? (u32)((uintptr_t)key >> 6) : 0;
    for (u32 i = 0; key == NULL && i < len; i++)
        h = h * 31 + path[i];
    struct list *b = &names[h % NAME_BUCKETS];
    if (b->next == NULL)
        list_init(b);
    return b;
}

/* By a file whoever has it, by an abstract name those of its type: each type has its own. */
static struct unix_sock *find_locked(const void *key, const u8 *path, u32 len, int type)
{
    list_for_each(u, bucket_of(key, path, len), struct unix_sock, name_node) {
        const struct unix_name *n = u->name;
        if (key != NULL ? n->key == key : n->key == NULL && u->s.type == type && n->len == len && memcmp(n->path, path, len) == 0)
            return u;
    }
    return NULL;
}

/* The path part of an address: 0 with *ret_len 0 for an unnamed one. */
static int addr_parse(const struct sock_addr *a, const u8 **ret_path, u32 *ret_len)
{
    if (a->len < 2 || a->len > 2 + SUN_PATH || a->family != AF_UNIX)
        return -EINVAL;
    *ret_path = a->data + 2;
    *ret_len = a->len - 2;
    if (*ret_len > 0 && a->data[2] != 0)
        *ret_len = (u32)strnlen((const char *)a->data + 2, *ret_len);
    return 0;
}

void unix_name_out(const struct unix_name *n, struct sock_addr *a)
{
    a->family = AF_UNIX;
    a->len = 2;
    if (n == NULL)
        return;
    u32 len = MIN(n->len, SUN_PATH);
    memcpy(a->data + 2, n->path, len);
    a->len += len;
    if (n->key != NULL && len < SUN_PATH) { /* pathnames come with their end byte */
        a->data[2 + len] = 0;
        a->len++;
    }
}

static int bind_name(struct unix_sock *u, const u8 *path, u32 len)
{
    struct unix_name *n = kzalloc(sizeof *n + SUN_PATH + 1);
    int err = 0;
    if (n == NULL)
        return -ENOMEM;
    ref_init(&n->refs);
    n->len = len;
    memcpy(n->path, path, len);
    if (path[0] != 0) {
        err = sock_path_ops == NULL ? -EOPNOTSUPP : sock_path_ops->make((const char *)n->path, &n->key);
        if (err != 0) {
            n->key = NULL;
            unix_name_put(n);
            return err;
        }
    }
    spin_lock_bh(&unix_lock);
    if (u->name != NULL)
        err = -EINVAL;
    else if (find_locked(n->key, n->path, len, u->s.type) != NULL)
        err = -EADDRINUSE;
    if (err == 0) {
        u->name = n;
        list_push_back(bucket_of(n->key, n->path, len), &u->name_node);
    }
    spin_unlock_bh(&unix_lock);
    if (err != 0)
        unix_name_put(n);
    return err;
}

static int autobind(struct unix_sock *u)
{
    for (unsigned i = 0; i < 100; i++) {
        static const char hex[] = "0123456789abcdef";
        u8 path[6] = { 0 };
        u32 r = (u32)random_u64();
        for (unsigned k = 1; k < 6; k++, r >>= 4)
            path[k] = (u8)hex[r & 15];
        int err = bind_name(u, path, 6);
        if (err != -EADDRINUSE)
            return err;
    }
    return -ENOSPC;
}

void unix_name_for_creds(struct unix_sock *u)
{
    if (u->s.passcred && u->name == NULL)
        (void)autobind(u);
}

int unix_bind(struct sock *s, const struct sock_addr *a)
{
    const u8 *path;
    u32 len;
    int err = addr_parse(a, &path, &len);
    if (err != 0)
        return err;
    if (un(s)->name != NULL)
        return len == 0 ? 0 : -EINVAL;
    return len == 0 ? autobind(un(s)) : bind_name(un(s), path, len);
}

int unix_name_check(const struct sock_addr *a)
{
    const u8 *path;
    u32 len;
    int err = addr_parse(a, &path, &len);
    return err != 0 ? err : len == 0 ? -EINVAL : 0;
}

int unix_lookup(const struct sock_addr *a, int type, struct unix_sock **ret)
{
    const u8 *path;
    u32 len;
    void *key = NULL;
    int err = addr_parse(a, &path, &len);
    if (err != 0)
        return err;
    if (len == 0)
        return -EINVAL;
    if (path[0] != 0) {
        char z[SUN_PATH + 1];
        memcpy(z, path, len);
        z[len] = '\0';
        err = sock_path_ops == NULL ? -ECONNREFUSED : sock_path_ops->find(z, &key);
        if (err != 0)
            return err;
    }
    spin_lock_bh(&unix_lock);
    struct unix_sock *u = find_locked(key, path, len, type);
    if (u == NULL || u->dead)
        err = -ECONNREFUSED;
    else if (u->s.type != type)
        err = -EPROTOTYPE;
    else
        sock_get(&u->s);
    spin_unlock_bh(&unix_lock);
    if (key != NULL)
        sock_path_ops->put(key);
    if (err == 0)
        *ret = u;
    return err;
}

static struct sock *of(struct list *node) { return &list_entry(node, struct unix_sock, all_node)->s; }

void unix_find_all(struct socks_found *f)
{
    spin_lock_bh(&unix_lock);
    socks_walk(f, unix_all, unix_all[0].next != NULL ? UNIX_LISTS : 0, of);
    spin_unlock_bh(&unix_lock);
}

static void show(struct text *t, const struct unix_sock *u)
{
    const struct unix_name *n = u->name;
    text_add(t, "%016x: %08X 00000000 %08X %04X %02X %5u", 0, ref_count(&u->s.refs), u->listening ? 0x10000 : 0, u->s.type,
             u->peer != NULL ? 3 : 1, u->s.ino);
    if (n != NULL)
        text_add(t, " %s%.*s", n->path[0] == 0 ? "@" : "", (int)(n->len - (n->path[0] == 0)), n->path + (n->path[0] == 0));
    text_add(t, "\n");
}

size_t unix_show(char *buf, size_t size)
{
    struct text t = { buf, size, 0 };
    text_add(&t, "Num       RefCount Protocol Flags    Type St Inode Path\n");
    spin_lock_bh(&unix_lock);
    for (unsigned i = 0; i < UNIX_LISTS && unix_all[i].next != NULL; i++)
        list_for_each(u, &unix_all[i], struct unix_sock, all_node)
            show(&t, u);
    spin_unlock_bh(&unix_lock);
    return t.len;
}
