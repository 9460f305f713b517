/* SPDX-License-Identifier: Apache-2.0 */
/* A kernel without /sys (-Dwithout=sysfs). */
#include "fs_impl.h"

const struct sysfs_ops *const sysfs = NULL;

void sysfs_init(void) {}
