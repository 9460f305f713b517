/* SPDX-License-Identifier: Apache-2.0 */
/*
 * 9P: mounting, and inodes by their qids. See p9_impl.h.
 *
 * Mount options: uid=HOST:GUEST and gid=HOST:GUEST make two numbers stand for each other, so that files of the user
 * who started the instance are the program's own.
 */
#include "kern/chardev.h"
#include "kern/timer.h"
#include "p9_impl.h"

/* The table does not keep inodes: who finds one that is on its way out makes a new one. */
static struct inode *find_locked(struct p9_fs *fs, const struct p9_attr *a)
{
    list_for_each(pi, &fs->inodes[a->path % P9_BUCKETS], struct p9_inode, node) {
        struct inode *i = pi->inode;
        if (pi->path == a->path && ((i->mode ^ a->mode) & S_IFMT) == 0 && i->btime_ns == a->btime_ns &&
            ref_get_unless_zero(&i->refs))
            return i;
    }
    return NULL;
}

/* Directories are not found: each name has an inode of its own, so that no server can make one its own ancestor
 * and the order of locks a circle. They have no pages that two inodes could disagree about. */
static struct inode *find_or_add(struct p9_fs *fs, struct p9_inode *new, const struct p9_attr *a)
{
    if (S_ISDIR(a->mode))
        return NULL;
    spin_lock(&fs->lock);
    struct inode *i = find_locked(fs, a);
    if (i == NULL && new != NULL)
        list_push_front(&fs->inodes[a->path % P9_BUCKETS], &new->node);
    spin_unlock(&fs->lock);
    return i;
}

static void set_operations(struct inode *i)
{
    i->ops = &p9_file_inode_ops;
    if (S_ISDIR(i->mode)) {
        i->ops = &p9_dir_ops;
        i->fops = &p9_dir_file_ops;
    } else if (S_ISREG(i->mode)) {
        i->fops = &p9_file_ops;
        i->mapping.ops = &p9_mapping_ops;
    }
}

static struct inode *make_inode(struct superblock *sb, u32 fid, const struct p9_attr *a)
{
    struct p9_inode *pi = kzalloc(sizeof(*pi));
    if (pi == NULL)
        return NULL;
    struct inode *i = inode_create(sb, a->mode);
    if (i == NULL) {
        kfree(pi);
        return NULL;
    }
    list_init(&pi->node);
    list_init(&pi->opens);
    spin_init(&pi->lock, "p9_inode");
    pi->inode = i;
    pi->fid = fid;
    pi->spare_fid = P9_NOFID;
    i->no_file_caps = true; /* the server takes them */
    pi->path = i->ino = a->path;
    pi->host_mtime_ns = a->mtime_ns;
    pi->host_size = a->size;
    i->private = pi;
    i->mapping.size_bytes = a->size;
    i->rdev = a->rdev;
    i->btime_ns = a->btime_ns;
    set_operations(i);
    p9_apply(i, a, now_ns());
    return i;
}

int p9_inode_of(struct superblock *sb, u32 fid, const struct p9_attr *a, struct inode **ret)
{
    struct p9_fs *fs = sb->private;
    struct inode *found = find_or_add(fs, NULL, a), *new = NULL;
    if (found == NULL) {
        new = make_inode(sb, fid, a);
        if (new == NULL) {
            p9_clunk(fs->conn, fid);
            return -ENOMEM;
        }
        found = find_or_add(fs, p9_i(new), a);
        *ret = found != NULL ? found : new;
        if (found != NULL)
            inode_put(new); /* with its fid */
        return 0;
    }
    p9_clunk(fs->conn, fid);
    *ret = found;
    return 0;
}

static void evict(struct inode *i)
{
    struct p9_inode *pi = p9_i(i);
    struct p9_fs *fs = p9_fs(i);
    if (pi == NULL)
        return;
    spin_lock(&fs->lock);
    list_remove(&pi->node);
    spin_unlock(&fs->lock);
    if (pi->spare_fid != P9_NOFID)
        p9_clunk(fs->conn, pi->spare_fid);
    p9_clunk(fs->conn, pi->fid);
    kfree(pi->link);
    kfree(pi->names.hashes);
    kfree(pi);
}

static int statfs(struct superblock *sb, struct kstatfs *s)
{
    struct p9_fs *fs = sb->private;
    struct p9_req r;
    p9_start(&r, P9_TSTATFS);
    p9_put32(&r, p9_i(sb->root->inode)->fid);
    int err = p9_call_one(fs->conn, &r);
    if (err != 0)
        return err;
    s->type = p9_get32(&r);
    s->block_size = p9_get32(&r);
    s->blocks = p9_get64(&r);
    s->blocks_free = p9_get64(&r);
    u64 available = p9_get64(&r);
    s->files = p9_get64(&r);
    s->files_free = p9_get64(&r);
    s->fsid = p9_get64(&r);
    s->name_max = p9_get32(&r);
    s->blocks_free = MIN(s->blocks_free, available); /* what the server may use is what there is for us */
    return p9_ended(&r);
}

/* The next inode with dirty pages behind `prev` in the list, referenced. */
static struct inode *next_dirty(struct superblock *sb, struct inode *prev)
{
    struct inode *found = NULL;
    spin_lock(&sb->lock);
    for (struct list *n = prev != NULL ? prev->sb_node.next : sb->inodes.next; n != &sb->inodes; n = n->next) {
        struct inode *i = list_entry(n, struct inode, sb_node);
        if (atomic_load(&i->mapping.dirty_pages) != 0 && ref_get_unless_zero(&i->refs)) {
            found = i;
            break;
        }
    }
    spin_unlock(&sb->lock);
    return found;
}

static int sync(struct superblock *sb)
{
    int ret = 0;
    struct inode *i, *prev = NULL;
    while ((i = next_dirty(sb, prev)) != NULL) {
        int err = mapping_sync(&i->mapping);
        if (ret == 0)
            ret = err;
        inode_put(prev);
        prev = i;
    }
    inode_put(prev);
    return ret;
}

static void unmount(struct superblock *sb)
{
    struct p9_fs *fs = sb->private;
    if (fs->conn != NULL)
        p9_disconnect(fs->conn);
    kfree(fs);
}

static const struct super_ops super_ops = {
    .evict_inode = evict,
    .statfs = statfs,
    .sync = sync,
    .unmount = unmount,
    .revalidate = p9_revalidate,
};

/* "HOST:GUEST" up to a comma or the end. */
static int parse_map(const char *v, size_t len, struct p9_map *ret)
{
    u64 n[2] = {0, 0};
    unsigned k = 0;
    for (size_t at = 0; at < len; at++) {
        if (v[at] == ':' && k == 0 && at > 0)
            k = 1;
        else if (v[at] >= '0' && v[at] <= '9' && n[k] <= UINT32_MAX)
            n[k] = n[k] * 10 + (u64)(v[at] - '0');
        else
            return -EINVAL;
    }
    if (k != 1 || n[0] > UINT32_MAX || n[1] > UINT32_MAX)
        return -EINVAL;
    *ret = (struct p9_map){(u32)n[0], (u32)n[1]};
    return 0;
}

static int parse_options(struct p9_fs *fs, const char *data)
{
    while (data != NULL && *data != 0) {
        const char *end = strchr(data, ',');
        size_t len = end != NULL ? (size_t)(end - data) : strlen(data);
        int err = -EINVAL;
        if (len > 4 && memcmp(data, "uid=", 4) == 0)
            err = parse_map(data + 4, len - 4, &fs->uid);
        else if (len > 4 && memcmp(data, "gid=", 4) == 0)
            err = parse_map(data + 4, len - 4, &fs->gid);
        if (err != 0)
            return err;
        data = end != NULL ? end + 1 : NULL;
    }
    return 0;
}

static int attach(struct superblock *sb, struct inode **ret)
{
    struct p9_fs *fs = sb->private;
    struct p9_req a, g, *both[] = {&a, &g};
    struct p9_attr attr;
    u32 fid = p9_fid_new(fs->conn);
    p9_start(&a, P9_TATTACH);
    p9_put32(&a, fid);
    p9_put32(&a, P9_NOFID);
    p9_put_bytes(&a, "", 0);
    p9_put_bytes(&a, "", 0);
    p9_put32(&a, 0);
    p9_ask_attr(&g, fid);
    int err = p9_call(fs->conn, both, 2);
    if (err == 0)
        err = p9_got_attr(&g, &attr);
    return err != 0 ? err : p9_inode_of(sb, fid, &attr, ret);
}

static int p9_mount(const char *source, u64 flags, const char *data, struct superblock **ret)
{
    struct chardev *port = source != NULL ? chardev_find(source) : NULL;
    u32 none = 0;
    if (port == NULL || !str_starts_with(source, P9_PORT))
        return -ENODEV;
    struct superblock *sb = super_create("9p", &super_ops);
    if (sb == NULL)
        return -ENOMEM;
    struct p9_fs *fs = kzalloc(sizeof(*fs));
    struct inode *root = NULL;
    sb->private = fs;
    sb->read_only = (flags & MS_RDONLY) != 0;
    if (fs != NULL) {
        spin_init(&fs->lock, "p9_inodes");
        for (unsigned k = 0; k < P9_BUCKETS; k++)
            list_init(&fs->inodes[k]);
    }
    int err = fs == NULL ? -ENOMEM : parse_options(fs, data);
    if (err == 0 && !atomic_cas(&port->writers, &none, 1u))
        err = -EBUSY; /* one conversation for each port, ever */
    if (err == 0)
        err = p9_connect(port, &fs->conn);
    if (err == 0)
        err = attach(sb, &root);
    if (err == 0 && (sb->root = dentry_create_root(sb, root)) == NULL)
        err = -ENOMEM;
    if (err == 0)
        *ret = sb;
    else
        super_put(sb);
    return err;
}

static const struct fs_type p9_type = {"9p", p9_mount, true};

void p9_init(void) { fs_register(&p9_type); }
