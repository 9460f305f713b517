/* SPDX-License-Identifier: Apache-2.0 */
/* A process' view of the tree: root, working directory, umask; and its credentials. */
#include "fs_impl.h"

struct cred kernel_cred = {
    .refs = {1},
    .cap_effective = UINT64_MAX,
    .cap_permitted = UINT64_MAX,
    .cap_bounding = UINT64_MAX,
};

void cred_put(struct cred *c)
{
    if (c != NULL && ref_put(&c->refs))
        kfree(c);
}

struct fs_ctx *fs_ctx_create(void)
{
    struct fs_ctx *c = kzalloc(sizeof(*c));
    if (c == NULL)
        return NULL;
    ref_init(&c->refs);
    mutex_init(&c->lock, "fs_ctx");
    c->umask = 022;
    c->root = (struct path){root_mount, root_mount->root};
    path_get(&c->root);
    path_cross_mounts(&c->root);
    c->cwd = c->root;
    path_get(&c->cwd);
    return c;
}

struct fs_ctx *fs_ctx_copy(struct fs_ctx *from)
{
    struct fs_ctx *c = kzalloc(sizeof(*c));
    if (c == NULL)
        return NULL;
    ref_init(&c->refs);
    mutex_init(&c->lock, "fs_ctx");
    spin_lock(&dcache_lock);
    c->umask = from->umask;
    c->root = from->root;
    c->cwd = from->cwd;
    path_get(&c->root);
    path_get(&c->cwd);
    spin_unlock(&dcache_lock);
    return c;
}

void fs_ctx_put(struct fs_ctx *c)
{
    if (c == NULL || !ref_put(&c->refs))
        return;
    path_put(&c->root);
    path_put(&c->cwd);
    kfree(c);
}

static void set_path(struct fs_ctx *fs, struct path *slot, const struct path *p)
{
    path_get(p);
    mutex_lock(&fs->lock);
    spin_lock(&dcache_lock);
    struct path old = *slot;
    *slot = *p;
    spin_unlock(&dcache_lock);
    mutex_unlock(&fs->lock);
    path_put(&old);
}

int vfs_chdir(struct fs_ctx *fs, const struct path *p, const struct cred *c)
{
    struct inode *i = p->dentry->inode;
    if (!S_ISDIR(i->mode))
        return -ENOTDIR;
    int err = permission(i, c, 1);
    if (err == 0)
        set_path(fs, &fs->cwd, p);
    return err;
}

int vfs_chroot(struct fs_ctx *fs, const struct path *p, const struct cred *c)
{
    struct inode *i = p->dentry->inode;
    if (!S_ISDIR(i->mode))
        return -ENOTDIR;
    int err = permission(i, c, 1);
    if (err == 0 && !cred_capable(c, CAP_SYS_CHROOT))
        err = -EPERM;
    if (err == 0)
        set_path(fs, &fs->root, p);
    return err;
}
