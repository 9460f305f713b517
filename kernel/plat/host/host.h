/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private to plat/host: the kernel as one sandboxed process of Linux.
 *
 * Rules of the folder:
 *   H1  Every call to Linux goes through host_call() (entry.S): one `syscall` instruction, at an
 *       address that the seccomp filter knows. sandbox.c lists which calls with which arguments.
 *   H2  Events are signals. A handler that finds events disabled, or the entry code at work, notes
 *       that there is something (plat.pending) and goes back; enabling events looks at the note. So code with
 *       events disabled is never interrupted, and nothing here needs to be "async-signal-safe".
 *   H3  A device has no interrupt of its own: sources (below) are asked when the CPU idles, in one call
 *       with the next timer, and while a program computes, from a tick.
 */
#ifndef HOST_H
#define HOST_H

#include "abi/host.h"
#include "kern/device.h"
#include "kern/percpu.h"
#include "kern/trap.h"

/* entry.S: one system call of Linux. Any context; does not sleep in our sense, but may block the CPU where
 * the descriptor does: all of ours are non-blocking. Returns what Linux returns: >= 0 or -errno. */
long host_call(long nr, ...); /* up to six arguments, each a long */

/* The boot block, checked (boot.c). const after boot */
extern const struct host_boot *host_boot;

/* --- events.c: descriptors that wake the CPU -------------------------------------------- */

#define HOST_POLLIN 1
#define HOST_POLLOUT 4
#define HOST_MAX_SOURCES 32

/* fn runs as an interrupt handler (kern/trap.h) when one of `events` is there. `events` may be changed by
 * whoever owns the source, events disabled; 0 = not asked. */
struct host_source {
    int fd;
    short events;
    irq_handler_fn *fn;
    void *arg;
};
/* `s` stays the caller's, for good. 0 or -ENOSPC. */
int host_source_add(struct host_source *s);

#endif
