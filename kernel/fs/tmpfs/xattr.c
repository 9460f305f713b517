/* SPDX-License-Identifier: Apache-2.0 */
/* Extended attributes of files in memory: a short list. inode->lock guards changes; readers take it too. */
#include "tmpfs_impl.h"

#define XATTR_CREATE 1
#define XATTR_REPLACE 2
#define XATTR_BYTES_MAX (128u * 1024) /* of one inode */

static struct tmpfs_xattr *find(struct tmpfs_inode *t, const char *name)
{
    list_for_each(x, &t->xattrs, struct tmpfs_xattr, node) {
        if (strcmp(x->name, name) == 0)
            return x;
    }
    return NULL;
}

static void drop(struct tmpfs_inode *t, struct tmpfs_xattr *x)
{
    t->xattr_bytes -= x->size;
    list_remove(&x->node);
    kfree(x->value);
    kfree(x);
}

void tmpfs_free_xattrs(struct tmpfs_inode *t)
{
    list_for_each_safe(x, &t->xattrs, struct tmpfs_xattr, node)
        drop(t, x);
}

s64 tmpfs_getxattr(struct inode *i, const char *name, void *buf, size_t size)
{
    struct tmpfs_inode *t = tmpfs_i(i);
    s64 ret = -ENODATA;
    mutex_lock(&i->lock);
    struct tmpfs_xattr *x = find(t, name);
    if (x != NULL) {
        ret = (s64)x->size;
        if (size != 0 && size < x->size)
            ret = -ERANGE;
        else if (size != 0)
            memcpy(buf, x->value, x->size);
    }
    mutex_unlock(&i->lock);
    return ret;
}

int tmpfs_setxattr(struct inode *i, const char *name, const void *val, size_t size, int flags)
{
    struct tmpfs_inode *t = tmpfs_i(i);
    struct tmpfs_xattr *old = find(t, name);
    if (old != NULL && (flags & XATTR_CREATE) != 0)
        return -EEXIST;
    if (old == NULL && (flags & XATTR_REPLACE) != 0)
        return -ENODATA;
    if (t->xattr_bytes + size > XATTR_BYTES_MAX)
        return -ENOSPC;
    size_t n = strlen(name) + 1;
    struct tmpfs_xattr *x = kmalloc(sizeof(*x) + n, 0);
    char *value = kmalloc(size > 0 ? size : 1, 0);
    if (x == NULL || value == NULL) {
        kfree(x);
        kfree(value);
        return -ENOMEM;
    }
    memcpy(x->name, name, n);
    memcpy(value, val, size);
    x->value = value;
    x->size = size;
    if (old != NULL)
        drop(t, old);
    t->xattr_bytes += size;
    list_push_back(&t->xattrs, &x->node);
    return 0;
}

s64 tmpfs_listxattr(struct inode *i, char *buf, size_t size)
{
    struct tmpfs_inode *t = tmpfs_i(i);
    size_t len = 0;
    s64 ret = 0;
    mutex_lock(&i->lock);
    list_for_each(x, &t->xattrs, struct tmpfs_xattr, node) {
        size_t n = strlen(x->name) + 1;
        if (size != 0 && size - len < n) {
            ret = -ERANGE;
            break;
        }
        if (size != 0)
            memcpy(buf + len, x->name, n);
        len += n;
    }
    mutex_unlock(&i->lock);
    return ret != 0 ? ret : (s64)len;
}

int tmpfs_removexattr(struct inode *i, const char *name)
{
    struct tmpfs_inode *t = tmpfs_i(i);
    struct tmpfs_xattr *x = find(t, name);
    if (x == NULL)
        return -ENODATA;
    drop(t, x);
    return 0;
}
