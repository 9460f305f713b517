/* SPDX-License-Identifier: Apache-2.0 */
/* When calls that somebody looks at begin and end: for their records and sums (kern/trace.h) and the histograms of the service "stats". */
#include "arch_linux.h"
#include "kern/timer.h"
#include "kern/trace.h"
#include "task.h"

u32 call_timers;
static void (*call_timed)(u32 nr, u64 ns); /* atomic */

void call_begins(struct task *t, const struct trap_frame *f)
{
    u32 nr = (u32)FRAME_SYSCALL_NR(f);
    if (nr >= SYSCALL_COUNT)
        return;
    t->call_nr = nr;
    t->call_recorded = unlikely(atomic_load_relaxed(&trace_calls_watched) != 0) && trace_call_entry(t, f);
    t->call_began_ns = now_ns();
}

void call_ends(struct task *t)
{
    const struct trap_frame *f = thread_frame(t->thread);
    void (*told)(u32, u64) = atomic_load_relaxed(&call_timed);
    u64 ns = now_ns() - t->call_began_ns;
    trace_call_counted(t->call_nr, (s64)FRAME_RESULT(f), ns);
    if (unlikely(told != NULL))
        told(t->call_nr, ns);
    if (unlikely(t->call_recorded))
        trace_call_exit(t, f);
    t->call_began_ns = 0;
}

void syscall_time(bool on)
{
    syscall_watch(on);
    call_timers += on ? 1 : -1;
}

void linux_time_calls(void (*timed)(u32 nr, u64 ns))
{
    spin_lock_bh(&process_list_lock);
    if ((timed != NULL) != (call_timed != NULL))
        syscall_time(timed != NULL);
    atomic_store(&call_timed, timed);
    spin_unlock_bh(&process_list_lock);
}
