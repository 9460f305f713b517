/* SPDX-License-Identifier: Apache-2.0 */
/* Extended attributes (xattr(7)): which names there are and who may change them. */
#include "fs_impl.h"

#define XATTR_CREATE 1
#define XATTR_REPLACE 2
#define XATTR_SIZE_MAX 65536
#define XATTR_LIST_MAX 65536

static int check_name(const char *name)
{
    size_t n = strnlen(name, NAME_MAX + 1);
    if (n == 0 || n > NAME_MAX)
        return -ERANGE;
    const char *dot = strchr(name, '.');
    if (dot == NULL || (dot[1] == 0))
        return dot == NULL ? -EOPNOTSUPP : -EINVAL;
    if (str_starts_with(name, "user.") || str_starts_with(name, "trusted.") || str_starts_with(name, "security."))
        return 0;
    return -EOPNOTSUPP; /* system.posix_acl_*: no access control lists */
}

bool file_caps_valid(const struct file_caps *x, size_t size_bytes)
{
    return (size_bytes == 20 && (x->magic & ~FILE_CAPS_EFFECTIVE) == 0x02000000) || (size_bytes == 24 && (x->magic & ~FILE_CAPS_EFFECTIVE) == 0x03000000);
}

/* "security." is everybody's to read, and "trusted." nobody's but CAP_SYS_ADMIN's. */
static int may(const struct inode *i, const struct cred *c, const char *name, bool change)
{
    bool user = str_starts_with(name, "user."), ours = str_starts_with(name, "security.") || str_starts_with(name, "system.");
    if (str_starts_with(name, "trusted."))
        return cred_capable(c, CAP_SYS_ADMIN) ? check_name(name) : change ? -EPERM : -ENODATA;
    if (strcmp(name, XATTR_CAPABILITY) == 0)
        return change && !cred_capable(c, CAP_SETFCAP) ? -EPERM : 0;
    if (change && str_starts_with(name, "security.") && !cred_capable(c, CAP_SYS_ADMIN))
        return -EPERM;
    if (user && !S_ISREG(i->mode) && !S_ISDIR(i->mode))
        return change ? -EPERM : -ENODATA;
    if (user && change && (i->mode & S_ISVTX) != 0 && S_ISDIR(i->mode) && !inode_owner_or_capable(i, c))
        return -EPERM;
    int err = ours ? 0 : permission(i, c, change ? 2 : 4);
    return err != 0 ? err : check_name(name);
}

static int may_change(const struct path *p, const struct cred *c, const char *name)
{
    int err = path_want_write(p);
    return err != 0 ? err : may(p->dentry->inode, c, name, true);
}

/* The end of a change, which err says the result of: i->lock is let go. */
static int changed(const struct path *p, int err)
{
    if (err == 0)
        inode_touch(p->dentry->inode, false);
    mutex_unlock(&p->dentry->inode->lock);
    if (err == 0)
        notify_dentry(p->dentry, IN_ATTRIB);
    return err;
}

s64 vfs_getxattr(const struct path *p, const struct cred *c, const char *name, void *buf, size_t size)
{
    if (p->dentry == NULL)
        return -EOPNOTSUPP;
    struct inode *i = p->dentry->inode;
    int err = may(i, c, name, false);
    if (err != 0)
        return err;
    if (i->ops->getxattr == NULL)
        return -EOPNOTSUPP;
    return i->ops->getxattr(i, name, buf, MIN(size, (size_t)XATTR_SIZE_MAX));
}

int vfs_setxattr(const struct path *p, const struct cred *c, const char *name, const void *val, size_t size,
                 int flags)
{
    if (p->dentry == NULL)
        return -EOPNOTSUPP;
    struct inode *i = p->dentry->inode;
    if ((flags & ~(XATTR_CREATE | XATTR_REPLACE)) != 0)
        return -EINVAL;
    if (size > XATTR_SIZE_MAX)
        return -E2BIG;
    bool caps = strcmp(name, XATTR_CAPABILITY) == 0;
    if (caps && size != 0 && !file_caps_valid(val, size))
        return -EINVAL;
    int err = may_change(p, c, name);
    if (err != 0)
        return err;
    if (i->ops->setxattr == NULL)
        return -EOPNOTSUPP;
    mutex_lock(&i->lock);
    if (caps)
        i->no_file_caps = false;
    err = i->ops->setxattr(i, name, val, size, flags);
    return changed(p, err);
}

s64 vfs_listxattr(const struct path *p, char *buf, size_t size)
{
    if (p->dentry == NULL)
        return -EOPNOTSUPP;
    struct inode *i = p->dentry->inode;
    return i->ops->listxattr != NULL ? i->ops->listxattr(i, buf, MIN(size, (size_t)XATTR_LIST_MAX)) : 0;
}

int vfs_removexattr(const struct path *p, const struct cred *c, const char *name)
{
    if (p->dentry == NULL)
        return -EOPNOTSUPP;
    struct inode *i = p->dentry->inode;
    int err = may_change(p, c, name);
    if (err != 0)
        return err;
    if (i->ops->removexattr == NULL)
        return -EOPNOTSUPP;
    mutex_lock(&i->lock);
    err = i->ops->removexattr(i, name);
    return changed(p, err);
}
