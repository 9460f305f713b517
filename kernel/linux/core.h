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

/* Write a core of first's process, in which `first` comes first: the task that `info`, if not NULL, has ended. Either the process is
 * frozen, or it is `live`: then it is frozen here while registers are read and its memory is shared with a copy, and goes
 * on while that is written. May sleep. -ENOMEM, -ESRCH (no memory any more), -EBUSY (cannot be frozen), or what the sink says. */
int core_write(struct task *first, const struct ksiginfo *info, bool live, struct core_sink *sink);

/* The current process ends by `info`: a core file in its working directory, if its limit and rights allow one. False: another task
 * of it is doing so. */
bool core_dump(struct task *t, const struct ksiginfo *info);

/* core_service.c: does a client outside want cores? Waits for one that is expected. */
bool core_client(void);
/* It has the core of the process, which is frozen. False: it went away. */
bool core_to_client(struct task *t, const struct ksiginfo *info);
extern bool cores_expected;
void core_service_init(void);

#endif
