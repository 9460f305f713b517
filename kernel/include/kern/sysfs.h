/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a part shows files in /sys (sysfs(5)) that may not know file systems: init hands it this table. Paths are relative to
 * /sys; the directories that lead to an entry are made, an entry that was there is replaced, none is ever removed.
 * Context: thread; sleeps. Errors: -EINVAL (a directory there, or a bad path), -ENOMEM.
 */
#ifndef KERN_SYSFS_H
#define KERN_SYSFS_H

#include "kern/types.h"

struct sysfs_ops {
    /* A file: show appends its text to buf and returns the length that the whole text needs, anew for each reader. */
    int (*add)(const char *path, u32 mode, size_t (*show)(void *arg, char *buf, size_t size), void *arg);
    int (*add_symlink)(const char *path, const char *target);
    /* A directory whose entries are made when somebody first looks into it: fill adds them (0 or -errno, then it is called again). */
    int (*add_dir)(const char *path, int (*fill)(const struct sysfs_ops *sys));
};

#endif
