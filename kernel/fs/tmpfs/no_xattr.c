/* SPDX-License-Identifier: Apache-2.0 */
/* In place of xattr.c: there are none. */
#include "tmpfs_impl.h"

s64 tmpfs_getxattr(struct inode *i, const char *name, void *buf, size_t size) { return -EOPNOTSUPP; }
int tmpfs_setxattr(struct inode *i, const char *name, const void *val, size_t size, int flags) { return -EOPNOTSUPP; }
s64 tmpfs_listxattr(struct inode *i, char *buf, size_t size) { return 0; }
int tmpfs_removexattr(struct inode *i, const char *name) { return -EOPNOTSUPP; }
void tmpfs_free_xattrs(struct tmpfs_inode *t) {}
