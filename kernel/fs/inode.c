/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inodes and superblocks: life, times and permissions. An inode references its
 * superblock's memory (sb->refs); mounts keep the superblock active (sb->active).
 */
#include "fs_impl.h"
#include "kern/timer.h"

static struct kmem_cache *inode_cache;
static u32 next_dev = 1; /* minor numbers of unnamed devices (major 0), atomic */

u64 vfs_time_ns(void) { return wall_ns(); }

void inode_cache_init(void) { inode_cache = kmem_cache_create("inode", sizeof(struct inode), 0); }

struct inode *inode_create(struct superblock *sb, u32 mode)
{
    struct inode *i = kmem_alloc(inode_cache, ALLOC_ZERO);
    if (i == NULL)
        return NULL;
    ref_init(&i->refs);
    mutex_init(&i->lock, "inode");
    mapping_init(&i->mapping, NULL, i);
    i->data = &i->mapping;
    i->sb = sb;
    i->mode = mode;
    i->nlink = 1;
    if (!sb->read_only)
        i->atime_ns = i->mtime_ns = i->ctime_ns = i->btime_ns = vfs_time_ns();
    ref_get(&sb->refs);
    spin_lock(&sb->lock);
    list_push_back(&sb->inodes, &i->sb_node);
    spin_unlock(&sb->lock);
    return i;
}

void inode_put(struct inode *i)
{
    if (i == NULL || !ref_put(&i->refs))
        return;
    struct superblock *sb = i->sb;
    if (sb->ops->evict_inode != NULL)
        sb->ops->evict_inode(i);
    mapping_done(&i->mapping);
    spin_lock(&sb->lock);
    list_remove(&i->sb_node);
    spin_unlock(&sb->lock);
    kmem_free(inode_cache, i);
    super_unref(sb);
}

struct superblock *super_create(const char *type, const struct super_ops *ops)
{
    struct superblock *sb = kzalloc(sizeof(*sb));
    if (sb == NULL)
        return NULL;
    ref_init(&sb->refs);
    ref_init(&sb->active);
    sb->ops = ops;
    sb->type = type;
    sb->dev = MKDEV(0, atomic_add(&next_dev, 1u) - 1);
    spin_init(&sb->lock, "super");
    list_init(&sb->inodes);
    return sb;
}

void super_unref(struct superblock *sb)
{
    if (!ref_put(&sb->refs))
        return;
    if (sb->ops->unmount != NULL)
        sb->ops->unmount(sb);
    kfree(sb);
}

/* The last mount is gone (or mounting failed): tear the tree down. */
void super_put(struct superblock *sb)
{
    if (sb == NULL || !ref_put(&sb->active))
        return;
    notify_unmount(sb);
    if (sb->root != NULL) {
        dentry_kill_tree(sb->root);
        sb->root = NULL;
    }
    if (sb->ops->shutdown != NULL)
        sb->ops->shutdown(sb);
    super_unref(sb);
}

void inode_touch(struct inode *i, bool mtime)
{
    u64 now = vfs_time_ns();
    i->ctime_ns = now;
    if (mtime)
        i->mtime_ns = now;
}

bool cred_has_group(const struct cred *c, u32 gid)
{
    if (c->fsgid == gid)
        return true;
    for (u32 k = 0; k < c->ngroups; k++)
        if (c->groups[k] == gid)
            return true;
    return false;
}

int permission(const struct inode *i, const struct cred *c, u32 rwx)
{
    u32 mode = i->mode, granted;
    if (c->fsuid == i->uid)
        granted = mode >> 6;
    else if ((mode & 077) == ((mode & 07) * 011) || !cred_has_group(c, i->gid))
        granted = mode;
    else
        granted = mode >> 3;
    if (likely((rwx & ~granted & 7) == 0))
        return 0;
    if (cred_capable(c, CAP_DAC_OVERRIDE) && ((rwx & 1) == 0 || S_ISDIR(mode) || (mode & 0111) != 0))
        return 0;
    if (cred_capable(c, CAP_DAC_READ_SEARCH) && (rwx == 4 || (S_ISDIR(mode) && (rwx & 2) == 0)))
        return 0;
    return i->ops != NULL && i->ops->grants != NULL && i->ops->grants(i) ? 0 : -EACCES;
}

bool inode_owner_or_capable(const struct inode *i, const struct cred *c)
{
    return c->fsuid == i->uid || cred_capable(c, CAP_FOWNER);
}

void inode_init_owner(struct inode *i, const struct inode *dir, u32 mode, const struct cred *c)
{
    i->uid = c->fsuid;
    i->gid = c->fsgid;
    if (dir != NULL && (dir->mode & S_ISGID) != 0) {
        i->gid = dir->gid;
        if (S_ISDIR(mode))
            mode |= S_ISGID;
        else if ((mode & (S_ISGID | 010)) == (S_ISGID | 010) && !cred_has_group(c, dir->gid) && !cred_capable(c, CAP_FSETID))
            mode &= ~S_ISGID;
    }
    i->mode = mode;
}

const struct cred *(*vfs_caller)(void);

u32 inode_set_ids(const struct inode *i, const struct cred *c)
{
    u32 kill = i->mode & S_ISUID;
    if ((i->mode & S_ISGID) != 0 && ((i->mode & 010) != 0 || (!cred_has_group(c, i->gid) && !cred_capable(c, CAP_FSETID))))
        kill |= S_ISGID;
    return kill;
}

u32 inode_privs_to_remove(const struct inode *i)
{
    if (likely((i->mode & (S_ISUID | S_ISGID)) == 0) || !S_ISREG(i->mode))
        return 0;
    const struct cred *c = vfs_caller != NULL ? vfs_caller() : &kernel_cred;
    return cred_capable(c, CAP_FSETID) ? 0 : inode_set_ids(i, c);
}

void inode_remove_privs(struct inode *i)
{
    i->mode &= ~inode_privs_to_remove(i);
    inode_drop_file_caps(i);
}

void inode_drop_file_caps(struct inode *i)
{
    if (likely(i->no_file_caps) || S_ISDIR(i->mode))
        return;
    int err = i->ops->removexattr != NULL ? i->ops->removexattr(i, XATTR_CAPABILITY) : -ENODATA;
    i->no_file_caps = err == 0 || err == -ENODATA || err == -EOPNOTSUPP;
}

int inode_get_write(struct inode *i)
{
    s32 n = atomic_load_relaxed(&i->write_count);
    do {
        if (n < 0)
            return -ETXTBSY;
    } while (!atomic_cas(&i->write_count, &n, n + 1));
    return 0;
}

void inode_put_write(struct inode *i) { atomic_sub(&i->write_count, 1); }

int inode_deny_write(struct inode *i)
{
    s32 n = atomic_load_relaxed(&i->write_count);
    do {
        if (n > 0)
            return -ETXTBSY;
    } while (!atomic_cas(&i->write_count, &n, n - 1));
    return 0;
}

void inode_allow_write(struct inode *i) { atomic_add(&i->write_count, 1); }
