/* SPDX-License-Identifier: Apache-2.0 */
/* Threads and children of processes of this host, as /proc lists them. */
#ifndef HOST_LIB_PROCESS_H
#define HOST_LIB_PROCESS_H

#include "host/lib/util.h"

/* Call fn for each thread of process pid. 0 or -errno: what fn returned first that is not 0, or -ENOENT: there is no such process. */
int each_thread(u64 pid, int (*fn)(void *ctx, u64 tid), void *ctx);
/* The same for the processes that any of its threads has made. One that comes or goes meanwhile may be missed. */
int each_child(u64 pid, int (*fn)(void *ctx, u64 child), void *ctx);

#endif
