/* SPDX-License-Identifier: Apache-2.0 */
/* tmpfs: mounting, options, space. */
#include "tmpfs_impl.h"

#define TMPFS_MAGIC 0x01021994u

u64 tmpfs_room(const struct tmpfs_fs *fs)
{
    u64 used = atomic_load_relaxed(&fs->used_pages);
    return used < fs->max_pages ? fs->max_pages - used : 0;
}

void tmpfs_charge(struct inode *i)
{
    struct tmpfs_inode *t = tmpfs_i(i);
    u64 now = atomic_load_relaxed(&i->mapping.page_count);
    if (now != atomic_load_relaxed(&t->charged)) {
        u64 old = atomic_xchg(&t->charged, now);
        atomic_add(&tmpfs_fs(i)->used_pages, now - old);
    }
}

int tmpfs_statfs(struct superblock *sb, struct kstatfs *s)
{
    struct tmpfs_fs *fs = sb->private;
    s->type = TMPFS_MAGIC;
    s->blocks = fs->max_pages;
    s->blocks_free = tmpfs_room(fs);
    s->files = fs->max_inodes;
    s->files_free = fs->max_inodes - MIN(atomic_load_relaxed(&fs->inodes), fs->max_inodes);
    return 0;
}

/* "4096", "64m" */
static int parse_count(const char *v, size_t len, u64 *ret)
{
    u64 n = 0;
    size_t k = 0;
    for (; k < len && v[k] >= '0' && v[k] <= '9'; k++)
        if (__builtin_mul_overflow(n, 10u, &n) || __builtin_add_overflow(n, (u64)(v[k] - '0'), &n))
            return -EINVAL;
    if (k == 0)
        return -EINVAL;
    unsigned shift = 0;
    if (k < len) {
        switch (v[k++] | 0x20) {
        case 'g':
            shift += 10;
            /* fall through */
        case 'm':
            shift += 10;
            /* fall through */
        case 'k':
            shift += 10;
            break;
        default:
            return -EINVAL;
        }
    }
    if (k != len || n > (UINT64_MAX >> 1 >> shift))
        return -EINVAL;
    *ret = n << shift;
    return 0;
}

/* A count of bytes, or a share of memory ("50%") -> pages */
static int parse_size(const char *v, size_t len, u64 *ret_pages)
{
    struct mem_stats m;
    bool share = len != 0 && v[len - 1] == '%';
    u64 n;
    int err = parse_count(v, len - share, &n);
    if (err != 0)
        return err;
    page_stats(&m);
    *ret_pages = share ? m.total_pages * MIN(n, 100u) / 100 : (n + PAGE_SIZE - 1) >> PAGE_SHIFT;
    return 0;
}

int tmpfs_parse_number(const char *v, size_t len, unsigned base, u32 *ret)
{
    u64 n = 0;
    if (len == 0 || len > 12)
        return -EINVAL;
    for (size_t k = 0; k < len; k++) {
        unsigned digit = (unsigned)(v[k] - '0');
        if (digit >= base)
            return -EINVAL;
        n = n * base + digit;
    }
    *ret = (u32)n;
    return n <= UINT32_MAX ? 0 : -EINVAL;
}

int tmpfs_parse_options(struct tmpfs_fs *fs, const char *data, u32 *mode, u32 *uid, u32 *gid)
{
    struct mem_stats m;
    page_stats(&m);
    fs->max_pages = fs->max_inodes = m.total_pages / 2;
    while (data != NULL && *data != 0) {
        const char *end = strchr(data, ',');
        size_t len = end != NULL ? (size_t)(end - data) : strlen(data);
        const char *eq = memchr(data, '=', len);
        size_t key = eq != NULL ? (size_t)(eq - data) : len, val = eq != NULL ? len - key - 1 : 0;
        const char *v = data + key + 1;
        int err = 0;
#define OPTION(s) (key == sizeof(s) - 1 && memcmp(data, s, key) == 0)
        if (OPTION("size"))
            err = parse_size(v, val, &fs->max_pages);
        else if (OPTION("nr_blocks"))
            err = parse_count(v, val, &fs->max_pages);
        else if (OPTION("mode"))
            err = tmpfs_parse_number(v, val, 8, mode);
        else if (OPTION("uid"))
            err = tmpfs_parse_number(v, val, 10, uid);
        else if (OPTION("gid"))
            err = tmpfs_parse_number(v, val, 10, gid);
        else if (OPTION("nr_inodes"))
            err = parse_count(v, val, &fs->max_inodes);
        else if (len != 0 && !OPTION("erofs") && !OPTION("huge") && !OPTION("mpol") && !OPTION("inode64"))
            err = -EINVAL;
#undef OPTION
        if (err != 0)
            return err;
        data = end != NULL ? end + 1 : NULL;
    }
    return 0;
}

static void tmpfs_unmount(struct superblock *sb) { kfree(sb->private); }

static const struct super_ops tmpfs_super_ops = {
    .evict_inode = tmpfs_evict,
    .statfs = tmpfs_statfs,
    .unmount = tmpfs_unmount,
};

/* A mounted-to-be tmpfs under another name (devfs). */
int tmpfs_super(const char *type, const char *data, struct superblock **ret)
{
    u32 mode = 01777, uid = 0, gid = 0;
    struct tmpfs_fs *fs = kzalloc(sizeof(*fs));
    if (fs == NULL)
        return -ENOMEM;
    int err = tmpfs_parse_options(fs, data, &mode, &uid, &gid);
    struct superblock *sb = err == 0 ? super_create(type, &tmpfs_super_ops) : NULL;
    if (sb == NULL) {
        kfree(fs);
        return err != 0 ? err : -ENOMEM;
    }
    fs->tables = &tmpfs_tables;
    fs->next_ino = 1;
    spin_init(&fs->lock, "tmpfs");
    sb->private = fs;
    struct inode *root = tmpfs_inode_create(sb, NULL, S_IFDIR | (mode & 07777), &kernel_cred);
    if (root != NULL) {
        root->uid = uid;
        root->gid = gid;
        sb->root = dentry_create_root(sb, root);
    }
    if (sb->root == NULL) {
        super_put(sb);
        return -ENOMEM;
    }
    *ret = sb;
    return 0;
}

static int tmpfs_mount(const char *source, u64 flags, const char *data, struct superblock **ret)
{
    return tmpfs_super("tmpfs", data, ret);
}

const struct fs_type tmpfs_type = {.name = "tmpfs", .mount = tmpfs_mount, .nodev = true};
