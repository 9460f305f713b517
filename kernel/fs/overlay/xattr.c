/* SPDX-License-Identifier: Apache-2.0 */
/* Extended attributes: the lower inode's until one changes, then all of them as tmpfs keeps them. */
#include "overlay_impl.h"

static bool xattrs_below(struct inode *i) { return tmpfs_i(i)->lower != NULL && !tmpfs_i(i)->xattrs_copied; }

s64 overlay_getxattr(struct inode *i, const char *name, void *buf, size_t size)
{
    struct inode *lower = tmpfs_i(i)->lower;
    if (!xattrs_below(i))
        return tmpfs_getxattr(i, name, buf, size);
    return lower->ops->getxattr != NULL ? lower->ops->getxattr(lower, name, buf, size) : -ENODATA;
}

s64 overlay_listxattr(struct inode *i, char *buf, size_t size)
{
    struct inode *lower = tmpfs_i(i)->lower;
    if (!xattrs_below(i))
        return tmpfs_listxattr(i, buf, size);
    return lower->ops->listxattr != NULL ? lower->ops->listxattr(lower, buf, size) : 0;
}

static int copy_one_xattr(struct inode *i, struct inode *lower, const char *name)
{
    s64 n = lower->ops->getxattr(lower, name, NULL, 0);
    if (n < 0)
        return (int)n;
    char *value = kmalloc((size_t)n + 1, 0);
    if (value == NULL)
        return -ENOMEM;
    s64 got = n > 0 ? lower->ops->getxattr(lower, name, value, (size_t)n) : 0;
    int err = got < 0 ? (int)got : tmpfs_setxattr(i, name, value, (size_t)got, 0);
    kfree(value);
    return err;
}

static int copy_xattrs(struct inode *i)
{
    struct tmpfs_inode *t = tmpfs_i(i);
    int err = 0;
    if (!xattrs_below(i))
        return 0;
    s64 n = t->lower->ops->listxattr != NULL ? t->lower->ops->listxattr(t->lower, NULL, 0) : 0;
    if (n < 0)
        return (int)n;
    char *names = kmalloc((size_t)n + 1, 0);
    if (names == NULL)
        return -ENOMEM;
    if (n > 0)
        n = t->lower->ops->listxattr(t->lower, names, (size_t)n);
    for (s64 k = 0; k < n && err == 0; k += (s64)strlen(names + k) + 1)
        err = copy_one_xattr(i, t->lower, names + k);
    kfree(names);
    if (n < 0)
        err = (int)n;
    if (err != 0)
        tmpfs_free_xattrs(t);
    else
        t->xattrs_copied = true;
    return err;
}

int overlay_setxattr(struct inode *i, const char *name, const void *val, size_t size, int flags)
{
    int err = copy_xattrs(i);
    if (err != 0)
        return err;
    overlay_keep(i);
    return tmpfs_setxattr(i, name, val, size, flags);
}

int overlay_removexattr(struct inode *i, const char *name)
{
    int err = copy_xattrs(i);
    if (err != 0)
        return err;
    overlay_keep(i);
    return tmpfs_removexattr(i, name);
}
