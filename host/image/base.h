/* SPDX-License-Identifier: Apache-2.0 */
/* What every root file system has: directories, accounts, names of services. */
#ifndef HOST_IMAGE_BASE_H
#define HOST_IMAGE_BASE_H

#include "host/image/libs.h"

/* The directories that have to be there for the kernel: all that an image made
 * of somebody else's tree gets. */
void base_add_mount_points(struct tree *t);
/* A whole small root around a program of this host, after its own files are in the tree. */
int base_add(struct tree *t, struct libs *l, bool gconv, struct error *err);

#endif
