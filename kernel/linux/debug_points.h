/* SPDX-License-Identifier: Apache-2.0 */
/* Breakpoints and watchpoints in the CPU's debug registers, for debug_service.c. */
#ifndef LINUX_DEBUG_POINTS_H
#define LINUX_DEBUG_POINTS_H

#include "kern/trap.h"
#include "task.h"

/* Set one for all threads of p, or take it back. 0; -ENOSYS: this platform has none; -EINVAL, -ENOSPC, -EBUSY: another process' are set; -ENOENT. */
int debug_point(struct process *p, const struct trap_point *point, bool on);
/* All of these that are p's. */
void debug_points_drop(struct process *p);
/* The signal i: which of p's points caused it. False: none. */
bool debug_point_of(const struct process *p, const struct ksiginfo *i, struct trap_point *ret);

#endif
