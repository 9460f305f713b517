/* SPDX-License-Identifier: Apache-2.0 */
/* In place of xattr.c: there are none. */
#include "overlay_impl.h"

s64 overlay_getxattr(struct inode *i, const char *name, void *buf, size_t size) { return -EOPNOTSUPP; }
int overlay_setxattr(struct inode *i, const char *name, const void *val, size_t size, int flags) { return -EOPNOTSUPP; }
s64 overlay_listxattr(struct inode *i, char *buf, size_t size) { return 0; }
int overlay_removexattr(struct inode *i, const char *name) { return -EOPNOTSUPP; }
