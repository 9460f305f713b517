/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers in /proc/sys that parts below the personality have. */
#ifndef KERN_SYSCTL_H
#define KERN_SYSCTL_H

#include "kern/types.h"

/* A number that may be read and written, atomically, within bounds. Tables of them end with a name that is NULL. */
struct sysctl_range {
    const char *name; /* below /proc/sys */
    u32 *value, min, max;
};

#endif
