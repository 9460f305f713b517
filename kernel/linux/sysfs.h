/* SPDX-License-Identifier: Apache-2.0 */
/* Entries of /sys: sysfs.c, and what the processor tells of itself, sysfs_x86_64.c; or no_sysfs.c. */
#ifndef LINUX_SYSFS_H
#define LINUX_SYSFS_H

#include "kern/types.h"

struct cpu_cache {
    const char *type; /* "Data" */
    unsigned level, line_bytes, ways, sets, partitions;
};

/* Cache `index` of each CPU, as the processor describes it; false when there is none. */
bool cpu_cache(unsigned index, struct cpu_cache *ret);
void sysfs_entries_init(void);

#endif
