/* SPDX-License-Identifier: Apache-2.0 */
/*
 * io_uring_register(2): files, buffers, credentials and restrictions of a ring; and the buffers that are provided to it.
 * A registered buffer is a checked range of the program's memory, found anew at each use: one that is unmapped gives
 * EFAULT (Linux keeps its pages).
 */
#include "uring.h"
#include "base/str.h"

enum { REG_BUFFERS, UNREG_BUFFERS, REG_FILES, UNREG_FILES, REG_EVENTFD, UNREG_EVENTFD, REG_FILES_UPDATE, REG_EVENTFD_ASYNC, REG_PROBE,
       REG_PERSONALITY, UNREG_PERSONALITY, REG_RESTRICTIONS, REG_ENABLE_RINGS, REG_FILES2, REG_FILES_UPDATE2, REG_BUFFERS2,
       REG_BUFFERS_UPDATE, REG_LAST = 17 };

#define FILES_MAX (1u << 20)
#define BUFS_MAX (1u << 14)
#define BUF_BYTES_MAX (1ULL << 30)
#define GROUP_BUFS_MAX 65536u
#define FD_SKIP (-2)
#define RSRC_SPARSE 1u

/* --- files and buffers ---------------------------------------------------------------------- */

void rsrc_put(struct rsrc *s)
{
    if (s == NULL || !ref_put(&s->refs))
        return;
    file_put(s->file);
    if (s->tag != 0)
        ring_post(s->ring, s->tag, 0, 0);
    ring_put(s->ring);
    kfree(s);
}

static struct rsrc *rsrc_create(struct ring *g, u64 tag)
{
    struct rsrc *s = kzalloc(sizeof *s);
    if (s != NULL) {
        ref_init(&s->refs);
        s->ring = ring_get(g);
        s->tag = tag;
    }
    return s;
}

/* Of descriptor fd: NULL when it is -1. */
static int file_rsrc(struct ring *g, int fd, u64 tag, struct rsrc **ret)
{
    *ret = NULL;
    if (fd == -1)
        return tag != 0 ? -EINVAL : 0;
    struct file *f = fd_file(current_files(), fd);
    if (f == NULL || file_is_uring(f)) { /* rings that hold each other would never end */
        file_put(f);
        return -EBADF;
    }
    *ret = rsrc_create(g, tag);
    if (*ret == NULL) {
        file_put(f);
        return -ENOMEM;
    }
    (*ret)->file = f;
    return 0;
}

static int buf_rsrc(struct ring *g, const struct abi_iovec *v, u64 tag, struct rsrc **ret)
{
    *ret = NULL;
    if (v->base == 0)
        return v->len != 0 ? -EFAULT : tag != 0 ? -EINVAL : 0;
    if (v->len == 0 || v->len > BUF_BYTES_MAX || !user_range_ok(v->base, v->len))
        return -EFAULT;
    u64 start = ALIGN_DOWN(v->base, PAGE_SIZE), end = ALIGN_UP(v->base + v->len, PAGE_SIZE);
    if (as_populate(current_thread()->as, start, end - start, TRAP_WRITE) < 0)
        return -EFAULT;
    *ret = rsrc_create(g, tag);
    if (*ret == NULL)
        return -ENOMEM;
    (*ret)->addr = v->base;
    (*ret)->len = v->len;
    return 0;
}

static int get_rsrc(struct ring *g, struct rsrc **table, u32 n, u32 index, struct rsrc **ret)
{
    mutex_lock(&g->lock);
    *ret = index < n ? table[index] : NULL;
    if (*ret != NULL)
        ref_get(&(*ret)->refs);
    mutex_unlock(&g->lock);
    return *ret != NULL ? 0 : -1;
}
int ring_file_get(struct ring *g, u32 index, struct rsrc **ret) { return get_rsrc(g, g->files, g->nfiles, index, ret) < 0 ? -EBADF : 0; }
int ring_buf_get(struct ring *g, u32 index, struct rsrc **ret) { return get_rsrc(g, g->bufs, g->nbufs, index, ret) < 0 ? -EFAULT : 0; }

static void put_table(struct rsrc **table, u32 n)
{
    for (u32 i = 0; i < n; i++)
        rsrc_put(table[i]);
    kfree(table);
}

/* One entry from the program's arrays: of descriptors, or of struct iovec. */
static int rsrc_from_user(struct ring *g, bool bufs, uaddr_t data, uaddr_t tags, u32 i, bool *ret_skip, struct rsrc **ret)
{
    u64 tag = 0;
    u32 fd;
    struct abi_iovec v;
    *ret_skip = false;
    *ret = NULL;
    if (tags != 0 && get_user_u64(tags + i * 8ULL, &tag) < 0)
        return -EFAULT;
    if (bufs)
        return copy_from_user(&v, data + i * sizeof v, sizeof v) < 0 ? -EFAULT : buf_rsrc(g, &v, tag, ret);
    if (get_user_u32(data + i * 4ULL, &fd) < 0)
        return -EFAULT;
    *ret_skip = (s32)fd == FD_SKIP;
    return *ret_skip ? 0 : file_rsrc(g, (int)fd, tag, ret);
}

static s64 register_table(struct ring *g, bool bufs, uaddr_t data, uaddr_t tags, u32 n, bool sparse)
{
    struct rsrc ***slot = bufs ? &g->bufs : &g->files;
    if (atomic_load(slot) != NULL)
        return -EBUSY;
    if (n == 0)
        return -EINVAL;
    if (bufs && n > BUFS_MAX)
        return -EINVAL;
    if (!bufs && (n > FILES_MAX || n > rlimit_of(current_process(), RLIMIT_NOFILE)))
        return -EMFILE;
    struct rsrc **table = kzalloc(n * sizeof *table);
    int r = table != NULL ? 0 : -ENOMEM;
    for (u32 i = 0; r == 0 && !sparse && i < n; i++) {
        bool skip;
        r = rsrc_from_user(g, bufs, data, tags, i, &skip, &table[i]);
        if (skip)
            r = -EBADF;
    }
    mutex_lock(&g->lock);
    if (r == 0 && *slot != NULL)
        r = -EBUSY;
    if (r == 0) {
        *slot = table;
        *(bufs ? &g->nbufs : &g->nfiles) = n;
    }
    mutex_unlock(&g->lock);
    if (r < 0 && table != NULL) {
        for (u32 i = 0; i < n; i++)
            if (table[i] != NULL)
                table[i]->tag = 0; /* it never was registered */
        put_table(table, n);
    }
    return r;
}

static s64 unregister_table(struct ring *g, bool bufs)
{
    mutex_lock(&g->lock);
    struct rsrc **table = bufs ? g->bufs : g->files;
    u32 n = bufs ? g->nbufs : g->nfiles;
    if (bufs)
        g->bufs = NULL, g->nbufs = 0;
    else
        g->files = NULL, g->nfiles = 0;
    mutex_unlock(&g->lock);
    if (table == NULL)
        return -ENXIO;
    put_table(table, n);
    return 0;
}

/* Entries off to off + n - 1. How many, or the first one's error. */
static s64 update_table(struct ring *g, bool bufs, u32 off, uaddr_t data, uaddr_t tags, u32 n)
{
    u32 have = bufs ? g->nbufs : g->nfiles, done = 0;
    int r = 0;
    if (atomic_load(bufs ? &g->bufs : &g->files) == NULL)
        return -ENXIO;
    if (off + n < off)
        return -EOVERFLOW;
    if (off + n > have)
        return -EINVAL;
    for (; done < n; done++) {
        struct rsrc *s, *old = NULL;
        bool skip;
        r = rsrc_from_user(g, bufs, data, tags, done, &skip, &s);
        if (r < 0)
            break;
        if (skip)
            continue;
        mutex_lock(&g->lock);
        if (off + done < (bufs ? g->nbufs : g->nfiles)) {
            struct rsrc **slot = &(bufs ? g->bufs : g->files)[off + done];
            old = *slot;
            *slot = s;
        } else {
            old = s; /* the table is gone meanwhile */
            r = -ENXIO;
        }
        mutex_unlock(&g->lock);
        rsrc_put(old);
        if (r < 0)
            break;
    }
    return done > 0 ? done : r;
}

s64 ring_files_update(struct ring *g, u32 off, uaddr_t fds, u32 n) { return update_table(g, false, off, fds, 0, n); }

s64 ring_file_install(struct ring *g, u32 index, struct file *f)
{
    struct rsrc *s = f != NULL ? rsrc_create(g, 0) : NULL, *old = NULL;
    s64 r = f != NULL && s == NULL ? -ENOMEM : 0;
    if (s != NULL)
        s->file = f;
    else
        file_put(f);
    mutex_lock(&g->lock);
    u32 at = index == FILE_INDEX_ALLOC ? 0 : index;
    if (index == FILE_INDEX_ALLOC)
        while (at < g->nfiles && g->files[at] != NULL)
            at++;
    if (r == 0 && g->files == NULL)
        r = -ENXIO;
    else if (r == 0 && at >= g->nfiles)
        r = index == FILE_INDEX_ALLOC ? -ENFILE : -EINVAL;
    else if (r == 0 && f == NULL && g->files[at] == NULL)
        r = -EBADF;
    if (r == 0) {
        old = g->files[at];
        g->files[at] = s;
        s = NULL;
        r = index == FILE_INDEX_ALLOC ? (s64)at : 0;
    }
    mutex_unlock(&g->lock);
    rsrc_put(s);
    rsrc_put(old);
    return r;
}

struct abi_rsrc { u32 nr, flags; u64 resv, data, tags; };
struct abi_rsrc_update { u32 offset, resv; u64 data; };
struct abi_rsrc_update2 { u32 offset, resv; u64 data, tags; u32 nr, resv2; };

static s64 register2(struct ring *g, bool bufs, uaddr_t arg, u32 size)
{
    struct abi_rsrc a;
    if (size != sizeof a)
        return -EINVAL;
    if (copy_from_user(&a, arg, sizeof a) < 0)
        return -EFAULT;
    if (a.nr == 0 || a.resv != 0 || (a.flags & ~RSRC_SPARSE) || ((a.flags & RSRC_SPARSE) && a.data != 0))
        return -EINVAL;
    return register_table(g, bufs, a.data, a.tags, a.nr, a.flags & RSRC_SPARSE);
}

static s64 update2(struct ring *g, bool bufs, uaddr_t arg, u32 size)
{
    struct abi_rsrc_update2 a;
    if (size != sizeof a)
        return -EINVAL;
    if (copy_from_user(&a, arg, sizeof a) < 0)
        return -EFAULT;
    return a.nr == 0 || a.resv != 0 || a.resv2 != 0 ? -EINVAL : update_table(g, bufs, a.offset, a.data, a.tags, a.nr);
}

static s64 files_update(struct ring *g, uaddr_t arg, u32 n)
{
    struct abi_rsrc_update a;
    if (n == 0)
        return -EINVAL;
    if (copy_from_user(&a, arg, sizeof a) < 0)
        return -EFAULT;
    return a.resv != 0 ? -EINVAL : ring_files_update(g, a.offset, a.data, n);
}

/* --- eventfd, credentials, what is there, restrictions ------------------------------------------- */

static s64 register_eventfd(struct ring *g, uaddr_t arg, u32 n, bool async)
{
    u32 fd;
    if (n != 1)
        return -EINVAL;
    if (get_user_u32(arg, &fd) < 0)
        return -EFAULT;
    struct file *f = file_of((int)fd);
    if (f == NULL)
        return -EBADF;
    s64 r = file_is_eventfd(f) ? 0 : -EINVAL;
    mutex_lock(&g->lock);
    if (r == 0 && g->eventfd != NULL)
        r = -EBUSY;
    if (r == 0) {
        g->eventfd_async = async;
        atomic_store(&g->eventfd, f);
    }
    mutex_unlock(&g->lock);
    if (r < 0)
        file_put(f);
    return r;
}

static s64 unregister_eventfd(struct ring *g)
{
    mutex_lock(&g->lock);
    struct file *f = g->eventfd;
    atomic_store(&g->eventfd, NULL);
    mutex_unlock(&g->lock);
    file_put(f);
    return f != NULL ? 0 : -ENXIO;
}

static s64 register_person(struct ring *g)
{
    s64 r = -ENOMEM;
    mutex_lock(&g->lock);
    for (u32 i = 0; r < 0 && i < ARRAY_SIZE(g->persons); i++)
        if (g->persons[i] == NULL) {
            g->persons[i] = cred_get(current_cred());
            r = i + 1;
        }
    mutex_unlock(&g->lock);
    return r;
}

static s64 unregister_person(struct ring *g, u32 id)
{
    struct cred *c = NULL;
    mutex_lock(&g->lock);
    if (id - 1 < ARRAY_SIZE(g->persons)) {
        c = g->persons[id - 1];
        g->persons[id - 1] = NULL;
    }
    mutex_unlock(&g->lock);
    cred_put(c);
    return c != NULL ? 0 : -EINVAL;
}

struct abi_probe {
    u8 last_op, ops_len;
    u16 resv;
    u32 resv2[3];
    struct { u8 op, resv; u16 flags; u32 resv2; } ops[];
};

static s64 probe(uaddr_t arg, u32 n)
{
    n = MIN(n, 256u);
    size_t size = sizeof(struct abi_probe) + n * 8UL;
    struct abi_probe *p = kmalloc(size, 0);
    if (p == NULL)
        return -ENOMEM;
    s64 r = copy_from_user(p, arg, size);
    for (size_t i = 0; r == 0 && i < size; i++)
        if (((const u8 *)p)[i] != 0)
            r = -EINVAL;
    if (r == 0) {
        p->last_op = URING_OPS - 1;
        p->ops_len = (u8)MIN(n, (u32)URING_OPS);
        for (u32 i = 0; i < p->ops_len; i++) {
            p->ops[i].op = (u8)i;
            p->ops[i].flags = uring_op_known(i);
        }
        r = copy_to_user(arg, p, size);
    }
    kfree(p);
    return r;
}

struct abi_restriction {
    u16 opcode;
    u8 what, resv;
    u32 resv2[3];
};
enum { ALLOW_REGISTER, ALLOW_SQE, ALLOW_FLAGS, REQUIRE_FLAGS };

static s64 restrict_ring(struct ring *g, uaddr_t arg, u32 n)
{
    u64 ops = 0;
    u32 registers = 0;
    u8 allowed = 0, required = 0;
    if (!g->disabled)
        return -EBADFD;
    if (g->restrictions_set)
        return -EBUSY;
    if (arg == 0 || n > 128)
        return -EINVAL;
    for (u32 i = 0; i < n; i++) {
        struct abi_restriction a;
        if (copy_from_user(&a, arg + i * sizeof a, sizeof a) < 0)
            return -EFAULT;
        if ((a.opcode == ALLOW_REGISTER && a.what >= 32) || (a.opcode == ALLOW_SQE && a.what >= 64) || a.opcode > REQUIRE_FLAGS)
            return -EINVAL;
        if (a.opcode == ALLOW_REGISTER)
            registers |= 1u << a.what;
        else if (a.opcode == ALLOW_SQE)
            ops |= 1ULL << a.what;
        else if (a.opcode == ALLOW_FLAGS)
            allowed = a.what;
        else
            required = a.what;
    }
    mutex_lock(&g->lock);
    g->allowed_ops = ops;
    g->allowed_registers = registers;
    g->allowed_flags = allowed;
    g->required_flags = required;
    g->restrictions_set = true;
    mutex_unlock(&g->lock);
    return 0;
}

static s64 enable(struct ring *g)
{
    mutex_lock(&g->lock);
    bool was = g->disabled;
    if (was) {
        if (g->flags & SETUP_SINGLE_ISSUER)
            g->issuer = current_task();
        g->restricted = g->restrictions_set;
        atomic_store(&g->disabled, false);
    }
    mutex_unlock(&g->lock);
    return was ? 0 : -EBADFD;
}

static s64 do_register(struct ring *g, u32 op, uaddr_t arg, u32 n)
{
    bool bare = arg == 0 && n == 0;
    if (g->restricted && !(g->allowed_registers >> op & 1))
        return -EACCES;
    switch (op) {
    case REG_BUFFERS:
        return arg == 0 ? -EFAULT : register_table(g, true, arg, 0, n, false);
    case UNREG_BUFFERS:
        return bare ? unregister_table(g, true) : -EINVAL;
    case REG_FILES:
        return arg == 0 ? -EFAULT : register_table(g, false, arg, 0, n, false);
    case UNREG_FILES:
        return bare ? unregister_table(g, false) : -EINVAL;
    case REG_FILES_UPDATE:
        return files_update(g, arg, n);
    case REG_EVENTFD:
    case REG_EVENTFD_ASYNC:
        return register_eventfd(g, arg, n, op == REG_EVENTFD_ASYNC);
    case UNREG_EVENTFD:
        return bare ? unregister_eventfd(g) : -EINVAL;
    case REG_PROBE:
        return arg == 0 || n > 256 ? -EINVAL : probe(arg, n);
    case REG_PERSONALITY:
        return bare ? register_person(g) : -EINVAL;
    case UNREG_PERSONALITY:
        return arg == 0 ? unregister_person(g, n) : -EINVAL;
    case REG_RESTRICTIONS:
        return restrict_ring(g, arg, n);
    case REG_ENABLE_RINGS:
        return bare ? enable(g) : -EINVAL;
    case REG_FILES2:
    case REG_BUFFERS2:
        return register2(g, op == REG_BUFFERS2, arg, n);
    case REG_FILES_UPDATE2:
    case REG_BUFFERS_UPDATE:
        return update2(g, op == REG_BUFFERS_UPDATE, arg, n);
    default:
        return -EINVAL;
    }
}

s64 sys_io_uring_register(u32 fd, u32 op, uaddr_t arg, u32 n)
{
    if (op >= REG_LAST)
        return -EINVAL;
    struct file *f = file_of((int)fd);
    if (f == NULL)
        return -EBADF;
    s64 r = -EOPNOTSUPP;
    if (file_is_uring(f)) {
        struct ring *g = f->private;
        r = g->issuer != NULL && g->issuer != current_task() ? -EEXIST : do_register(g, op, arg, n);
    }
    file_put(f);
    return r;
}

/* --- provided buffers ---------------------------------------------------------------------------------- */

struct buf {
    struct list node;
    uaddr_t addr;
    u32 len;
    u16 bid;
};
struct buf_group {
    struct list node, bufs;
    u32 n;
    u16 id;
};

static struct buf_group *find_group(struct ring *g, u16 id)
{
    list_for_each(b, &g->groups, struct buf_group, node)
        if (b->id == id)
            return b;
    return NULL;
}

static struct buf_group *make_group(struct ring *g, u16 id)
{
    struct buf_group *b = find_group(g, id);
    if (b == NULL && (b = kzalloc(sizeof *b)) != NULL) {
        b->id = id;
        list_init(&b->bufs);
        list_push_back(&g->groups, &b->node);
    }
    return b;
}

static bool provide_one(struct buf_group *b, uaddr_t addr, u32 len, u32 bid)
{
    struct buf *new = b != NULL && b->n < GROUP_BUFS_MAX ? kmalloc(sizeof *new, 0) : NULL;
    if (new == NULL)
        return false;
    *new = (struct buf){.addr = addr, .len = len, .bid = (u16)bid};
    list_push_back(&b->bufs, &new->node);
    b->n++;
    return true;
}

s64 ring_bufs_provide(struct ring *g, u16 group, uaddr_t addr, u32 len, u32 n, u32 bid)
{
    u32 done = 0;
    if (n == 0 || n > UINT16_MAX)
        return -E2BIG;
    if (len == 0)
        return -EINVAL;
    if (!user_range_ok(addr, (u64)len * n))
        return -EFAULT;
    if (bid > UINT16_MAX || bid + n > UINT16_MAX + 1u)
        return bid > UINT16_MAX ? -E2BIG : -EINVAL;
    mutex_lock(&g->lock);
    struct buf_group *b = make_group(g, group);
    while (done < n && provide_one(b, addr + (u64)done * len, len, bid + done))
        done++;
    mutex_unlock(&g->lock);
    return done > 0 ? 0 : -ENOMEM;
}

static u32 drop_bufs(struct buf_group *b, u32 n)
{
    u32 done = 0;
    for (; done < n && !list_empty(&b->bufs); done++)
        kfree(list_entry(list_pop_front(&b->bufs), struct buf, node));
    b->n -= done;
    return done;
}

s64 ring_bufs_remove(struct ring *g, u16 group, u32 n)
{
    if (n == 0 || n > UINT16_MAX)
        return -EINVAL;
    mutex_lock(&g->lock);
    struct buf_group *b = find_group(g, group);
    s64 r = b != NULL ? (s64)drop_bufs(b, n) : -ENOENT;
    mutex_unlock(&g->lock);
    return r;
}

int ring_buf_select(struct ring *g, u16 group, uaddr_t *ret_addr, u32 *len, u16 *ret_bid)
{
    mutex_lock(&g->lock);
    struct buf_group *b = find_group(g, group);
    struct list *n = b != NULL ? list_pop_front(&b->bufs) : NULL;
    if (n != NULL)
        b->n--;
    mutex_unlock(&g->lock);
    if (n == NULL)
        return -ENOBUFS;
    struct buf *one = list_entry(n, struct buf, node);
    *ret_addr = one->addr;
    *len = *len == 0 ? one->len : MIN(*len, one->len);
    *ret_bid = one->bid;
    kfree(one);
    return 0;
}

void ring_unregister_all(struct ring *g)
{
    (void)unregister_table(g, false);
    (void)unregister_table(g, true);
    (void)unregister_eventfd(g);
    for (u32 i = 0; i < ARRAY_SIZE(g->persons); i++)
        (void)unregister_person(g, i + 1);
    mutex_lock(&g->lock);
    while (!list_empty(&g->groups)) {
        struct buf_group *b = list_first(&g->groups, struct buf_group, node);
        (void)drop_bufs(b, UINT32_MAX);
        list_remove(&b->node);
        kfree(b);
    }
    mutex_unlock(&g->lock);
}
