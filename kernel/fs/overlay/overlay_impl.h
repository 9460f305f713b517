/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the overlay share; see overlay.c. */
#ifndef OVERLAY_IMPL_H
#define OVERLAY_IMPL_H

#include "../tmpfs/tmpfs_impl.h"

/* The inode has been changed: it must not be forgotten. inode->lock held, or not yet visible. */
void overlay_keep(struct inode *i);

s64 overlay_getxattr(struct inode *i, const char *name, void *buf, size_t size);
int overlay_setxattr(struct inode *i, const char *name, const void *val, size_t size, int flags);
s64 overlay_listxattr(struct inode *i, char *buf, size_t size);
int overlay_removexattr(struct inode *i, const char *name);

#endif
