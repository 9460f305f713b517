/* SPDX-License-Identifier: Apache-2.0 */
/* A kernel without /sys (-Dwithout=sysfs). */
#include "sysfs.h"

void sysfs_entries_init(void) {}
