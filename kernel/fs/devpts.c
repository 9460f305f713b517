/* SPDX-License-Identifier: Apache-2.0 */
/*
 * devpts: the names of pseudo terminals. There is one instance, whatever is mounted where ("newinstance" is taken and
 * means nothing), so options of a later mount hold for all. Nothing but pty.c makes or removes names.
 */
#include "pty_impl.h"
#include "tmpfs/tmpfs_impl.h"
#include "base/fmt.h"

#define DEVPTS_MAGIC 0x1cd1u
#define NO_ID UINT32_MAX

static struct mutex devpts_mutex; /* the options, and that `sb` is made once */
static struct superblock *sb;
static struct {
    u32 mode, ptmxmode, uid, gid;
} options = {.mode = 0600, .ptmxmode = 0, .uid = NO_ID, .gid = NO_ID};
static struct dentry *ptmx;

static int devpts_lookup(struct inode *dir, struct dentry *d) { return 0; } /* what is not cached is not there */

static const struct inode_ops root_ops = {.lookup = devpts_lookup, .getattr = tmpfs_getattr, .setattr = tmpfs_setattr};

static int devpts_statfs(struct superblock *s, struct kstatfs *ret)
{
    ret->type = DEVPTS_MAGIC;
    return 0;
}

static const struct super_ops devpts_super_ops = {.evict_inode = tmpfs_evict, .statfs = devpts_statfs};

/* A character device in the root directory. *ret is referenced. */
static int add_name(const char *name, u32 mode, u64 rdev, u64 ino, const struct cred *c, struct dentry **ret)
{
    struct dentry *root = sb->root, *d;
    u32 len = (u32)strlen(name);
    mutex_lock(&root->inode->lock);
    int err = child_lookup(root, name, len, name_hash(name, len), &d);
    if (err == 0) {
        err = tmpfs_mknod(root->inode, d, S_IFCHR | mode, rdev, c);
        if (err == -ENOSPC) /* what tmpfs calls it when memory is short */
            err = -ENOMEM;
        if (err != 0)
            dentry_put(d);
    }
    if (err == 0) {
        d->inode->ino = ino;
        *ret = d;
    }
    mutex_unlock(&root->inode->lock);
    return err;
}

/* devpts_mutex held. */
static int make_super(void)
{
    if (sb != NULL)
        return 0;
    int err = tmpfs_super("devpts", "mode=755", &sb);
    if (err != 0)
        return err;
    sb->ops = &devpts_super_ops;
    sb->root->inode->ops = &root_ops;
    err = add_name("ptmx", options.ptmxmode, MKDEV(5, 2), 2, &kernel_cred, &ptmx);
    if (err != 0) {
        super_put(sb);
        sb = NULL;
    }
    return err;
}

int devpts_add(u32 index, const struct file_ops *ops, const struct cred *c, struct dentry **ret)
{
    char name[12];
    fmt_snprintf(name, sizeof(name), "%u", index);
    mutex_lock(&devpts_mutex);
    int err = make_super();
    if (err == 0)
        err = add_name(name, options.mode, MKDEV(136, index), index + 3, c, ret);
    if (err == 0) {
        struct inode *i = (*ret)->inode;
        i->fops = ops;
        if (options.uid != NO_ID)
            i->uid = options.uid;
        if (options.gid != NO_ID)
            i->gid = options.gid;
    }
    mutex_unlock(&devpts_mutex);
    return err;
}

void devpts_remove(struct dentry *d)
{
    struct inode *dir = sb->root->inode;
    mutex_lock(&dir->lock);
    tmpfs_unlink(dir, d);
    dentry_unhash(d);
    mutex_unlock(&dir->lock);
    dentry_put(d);
}

/* --- mounting ---------------------------------------------------------------------- */

static int parse_option(const char *text, size_t len)
{
    static const struct {
        const char *name;
        u32 *value;
        unsigned base;
    } known[] = {{"mode=", &options.mode, 8}, {"ptmxmode=", &options.ptmxmode, 8}, {"uid=", &options.uid, 10}, {"gid=", &options.gid, 10}};
    for (unsigned k = 0; k < ARRAY_SIZE(known); k++) {
        size_t n = strlen(known[k].name);
        u32 v;
        if (len <= n || memcmp(text, known[k].name, n) != 0)
            continue;
        int err = tmpfs_parse_number(text + n, len - n, known[k].base, &v);
        if (err == 0)
            *known[k].value = known[k].base == 8 ? v & 0777 : v;
        return err;
    }
    return len == 0 || (len == 11 && memcmp(text, "newinstance", len) == 0) ? 0 : -EINVAL;
}

static int parse_options(const char *data)
{
    int err = 0;
    while (data != NULL && err == 0) {
        const char *end = strchr(data, ',');
        err = parse_option(data, end != NULL ? (size_t)(end - data) : strlen(data));
        data = end != NULL ? end + 1 : NULL;
    }
    return err;
}

static int devpts_mount(const char *source, u64 flags, const char *data, struct superblock **ret)
{
    mutex_lock(&devpts_mutex);
    int err = parse_options(data);
    if (err == 0)
        err = make_super();
    if (err == 0) {
        ptmx->inode->mode = S_IFCHR | options.ptmxmode;
        ref_get(&sb->active);
        *ret = sb;
    }
    mutex_unlock(&devpts_mutex);
    return err;
}

static const struct fs_type devpts_type = {.name = "devpts", .mount = devpts_mount, .nodev = true};

void devpts_init(void)
{
    mutex_init(&devpts_mutex, "devpts");
    fs_register(&devpts_type);
}
