/* SPDX-License-Identifier: Apache-2.0 */
/* Between pty.c and devpts.c. */
#ifndef PTY_IMPL_H
#define PTY_IMPL_H

#include "fs_impl.h"

void devpts_init(void);
/* The name of terminal `index`, which opens with `ops` and belongs to `c`. *ret is referenced. 0 or -errno; may sleep. */
int devpts_add(u32 index, const struct file_ops *ops, const struct cred *c, struct dentry **ret);
void devpts_remove(struct dentry *d); /* and drop the reference */

#endif
