/* SPDX-License-Identifier: Apache-2.0 */
/* Core files (core(5)): an ELF file of a process' memory and registers, as gdb reads it. */
#ifndef LINUX_CORE_H
#define LINUX_CORE_H

#include "task.h"

/* Where one goes. Both return 0 or -errno, after which nothing more is asked of them. */
struct core_sink {
    int (*put)(struct core_sink *s, const void *data, size_t len);
    int (*skip)(struct core_sink *s, u64 len); /* zeros */
};

/* Write a core of p, which is frozen or the caller's own. `first` comes first among its tasks: the one that `info`, if not NULL,
 * has ended. May sleep. -ENOMEM, -ESRCH (no memory any more), or what the sink says. */
int core_write(struct process *p, struct task *first, const struct ksiginfo *info, struct core_sink *sink);

/* The current process ends by `info`: a core file in its working directory, if its limit and rights allow one. False: another task
 * of it is doing so. */
bool core_dump(struct task *t, const struct ksiginfo *info);

#endif
