/* SPDX-License-Identifier: Apache-2.0 */
/* gdb's remote serial protocol for a process in a running instance. */
#ifndef HOST_DEBUG_SERVER_H
#define HOST_DEBUG_SERVER_H

#include "host/registry/registry.h"

/* Serve gdb at these descriptors until it detaches, kills, or hangs up; then the process goes on as if nothing had been.
 * owned: gdb shall think that it started the process, and end it when it quits.
 * snapshot: the process goes on at once, and gdb sees its threads as they were. 0 or -1. */
int debug_serve(const struct entry *e, u32 pid, bool owned, bool snapshot, int in, int out, struct error *err);

/* An instance that is a process of this host: 0 if Linux lets us set watchpoints in it, or -errno. */
int debug_points_refused(const struct entry *e);

#endif
