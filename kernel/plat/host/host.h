/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private to plat/host: the kernel as a sandboxed process of Linux, or a few (carrier.h).
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
 * whoever owns the source; 0 = not asked. */
struct host_source {
    int fd;
    short events;
    bool needs_tick; /* look at it while a program computes: nobody sends a signal when it is ready */
    irq_handler_fn *fn;
    void *arg;
};
/* `s` stays the caller's, for good. 0 or -ENOSPC. */
int host_source_add(struct host_source *s);
/* More is wanted of a source than before: whoever asks Linux now asks anew. Any context. */
void host_sources_changed(void);
/* The CPU goes on in another process, whose timer is not set, or was for something else. Events disabled. */
void host_timer_resume(void);
/* Have `cpu` act on `bit` (PENDING_*) soon. Any context, also on a signal stack. */
void host_poke(struct percpu *cpu, u8 bit);
/* plat_stop_others() wants this CPU to end here. On its signal stack. */
void host_stop_if_asked(const struct percpu *cpu);
/* Act on what signals left in plat.pending. Events disabled. */
void host_take_pending(void);
struct pollfd;
struct __kernel_timespec;
/* entry.S: ppoll(2), but -EINTR at once when plat.pending is set. Events disabled. */
long host_wait(struct pollfd *fds, u64 n, const struct __kernel_timespec *timeout);

/* --- clock.c, timer.c -------------------------------------------------------------------- */

void host_clock_init(void);
/* The deadline asked for has come. Events disabled. */
void host_timer_due(void);
/* A thread is about to run: set Linux's timer for the deadline asked for, or for tick_ns from now (NEVER_NS: no tick). */
void host_timer_start(u64 tick_ns);
/* SIGALRM came: Linux's timer for this seat is not set any more. */
void host_timer_expired(void);
/* Measure the TSC's rate again and look whether this host's wall clock was set, if it is time to (at most each second). */
void host_clock_refine(u64 now_ns);

/* --- arch.c ----------------------------------------------------------------------------- */

/* A program has had a GS of its own: system calls come as traps, and the way out loads GS. Never reset. */
extern u8 host_gs_shared;

/* --- debug.c ---------------------------------------------------------------------------- */

/* Points at this address: bit n for the n-th. Any context. */
u32 host_debug_hits(u64 addr);

/* --- sandbox.c -------------------------------------------------------------------------- */

/* From here on Linux takes only what docs/SANDBOX.md lists. */
void host_sandbox(void);

/* --- boot.c ----------------------------------------------------------------------------- */

/* Stop with a message for the person who started the instance. */
NORETURN void host_fatal(const char *text);
/* Where the disk with this descriptor lies in the direct map; 0 = it is not mapped. */
paddr_t host_disk_memory(int fd, u64 *ret_len_bytes);
/* The sieve of the TAP (abi/sieve.h), or NULL. */
struct sieve *host_sieve(void);

#endif
