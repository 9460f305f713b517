/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Dispatch. The table is generated from syscalls.tbl. Whatever has to happen
 * besides the call (signals, restarts, the end of the process) is exit work
 * and costs nothing here.
 */
#include "ptrace.h"
#include "seccomp_impl.h"
#include "arch_linux.h"
#include "base/fmt.h"
#include "base/str.h"
#include "kern/percpu.h"

static s64 syscall_missing(u64 a, u64 b, u64 c, u64 d, u64 e, u64 f);
static s64 syscall_unknown(u64 a, u64 b, u64 c, u64 d, u64 e, u64 f);
static s64 syscall_absent(u64 a, u64 b, u64 c, u64 d, u64 e, u64 f);

#include "linux/syscall_table.inc"

void (*linux_notice)(const char *text);

/* Calls that were missing, with counts; made when the first one is. */
struct missing {
    u16 nr;
    u32 count; /* atomic */
};
#define MISSING_MAX 64
static struct missing *missing_calls;
static struct spinlock missing_lock = SPINLOCK_INIT("missing calls");

static const char *missing_name(u64 nr)
{
    for (const char *s = syscall_missing_names; *s != '\0'; s += strlen(s) + 1) {
        u64 n = 0;
        const char *p = s;
        for (; *p >= '0' && *p <= '9'; p++)
            n = n * 10 + (u64)(*p - '0');
        if (n == nr)
            return p + 1;
    }
    return NULL;
}

/* `part`: the call is there, but not with what it was asked for. */
static void count_missing(u64 nr, bool part)
{
    bool first = false;
    const u16 kept = (u16)MIN(nr, (u64)UINT16_MAX); /* all beyond are one */
    if (missing_calls == NULL) {
        struct missing *m = kzalloc(MISSING_MAX * sizeof *m);
        struct missing *none = NULL;
        if (m == NULL)
            return;
        if (!atomic_cas(&missing_calls, &none, m))
            kfree(m);
    }
    spin_lock(&missing_lock);
    for (unsigned i = 0; i < MISSING_MAX; i++) {
        struct missing *m = &missing_calls[i];
        if (m->count != 0 && m->nr != kept)
            continue;
        first = m->count == 0;
        m->nr = kept;
        m->count++;
        break;
    }
    spin_unlock(&missing_lock);
    if (first && linux_verbose && linux_notice != NULL) {
        char text[96];
        const char *name = missing_name(nr);
        if (name != NULL)
            fmt_snprintf(text, sizeof text, "system call %s (%u) is missing: ENOSYS", name, (unsigned)nr);
        else
            fmt_snprintf(text, sizeof text, "%s %u is %s: ENOSYS", part ? "a part of system call" : "system call", (unsigned)nr,
                         part ? "missing" : "unknown");
        linux_notice(text);
    }
}

static s64 syscall_missing(u64 a, u64 b, u64 c, u64 d, u64 e, u64 f)
{
    count_missing(FRAME_SYSCALL_NR(thread_frame(current_thread())), false);
    return -ENOSYS;
}

static s64 syscall_unknown(u64 a, u64 b, u64 c, u64 d, u64 e, u64 f)
{
    return syscall_missing(a, b, c, d, e, f);
}

static s64 syscall_absent(u64 a, u64 b, u64 c, u64 d, u64 e, u64 f)
{
    return -ENOSYS;
}

void syscall_count_missing(void)
{
    count_missing(FRAME_SYSCALL_NR(thread_frame(current_thread())), true);
}

size_t linux_missing_calls(char *buf, size_t size)
{
    size_t n = 0;
    if (size > 0)
        buf[0] = '\0';
    for (unsigned i = 0; missing_calls != NULL && i < MISSING_MAX && missing_calls[i].count != 0; i++) {
        const char *name = missing_name(missing_calls[i].nr);
        char number[16];
        if (name == NULL) {
            fmt_snprintf(number, sizeof number, "%u", missing_calls[i].nr);
            name = number;
        }
        n += (size_t)fmt_snprintf(n < size ? buf + n : NULL, n < size ? size - n : 0, "%s%s %u", i > 0 ? ", " : "", name,
                                  missing_calls[i].count);
    }
    return n;
}

/* A call that came by trap: the site's next one may come as a jump. Not so rt_sigreturn(2): unwinders and debuggers
 * know a signal's return by the bytes of the site. */
void linux_syscall_trapped(struct trap_frame *f)
{
    cpu_stat_inc(STAT_CALLS_TRAPPED);
    if (patch_calls && FRAME_SYSCALL_NR(f) != NR_rt_sigreturn)
        callsite_trapped(current_thread()->as, f);
    trap_handlers.syscall(f);
}

_Static_assert(SYSCALL_COUNT <= SYSCALL_NUMBERS, "percpu.syscalls has a place for each");

u64 linux_call_count(u32 nr)
{
    u64 n = 0;
    for (unsigned cpu = 0; nr < SYSCALL_COUNT && cpu < MAX_CPUS; cpu++) {
        struct percpu *p = atomic_load(&percpu_table[cpu]);
        n += p != NULL ? atomic_load_relaxed(&p->syscalls[nr]) : 0;
    }
    return n;
}

void linux_syscall(struct trap_frame *f)
{
    u32 nr = (u32)FRAME_SYSCALL_NR(f);
    current_thread()->calls++;
    if (likely(nr < SYSCALL_COUNT)) {
        this_cpu()->syscalls[nr]++; /* plain: who is carried to another CPU between load and store loses one, never more */
        FRAME_RESULT(f) = (u64)syscall_table[nr](FRAME_ARG0(f), FRAME_ARG1(f), FRAME_ARG2(f), FRAME_ARG3(f),
                                                 FRAME_ARG4(f), FRAME_ARG5(f));
    } else {
        FRAME_RESULT(f) = (u64)syscall_unknown(0, 0, 0, 0, 0, 0);
    }
}

/* --- system calls that somebody watches ---------------------------------------------------------------- */

/* How a call is made: linux_syscall(), or what has programs around it. l, read without. */
static void (*make_call)(struct trap_frame *f) = linux_syscall;

/* Takes linux_syscall()'s place while anybody is watched, so that the calls of a machine without debuggers pay nothing. */
static void watched_syscall(struct trap_frame *f)
{
    struct task *t = current_task();
    if (task_traced(t)) {
        ptrace_show_syscall_entry(f);
        ptrace_syscall(t, PLACE_ENTRY);
        if (task_must_end(t->proc))
            return;
    } else if (FRAME_SYSCALL_NR(f) < 0) {
        FRAME_RESULT(f) = (u64)-ENOSYS;
    }
    if (atomic_load_relaxed(&call_timers) != 0)
        call_begins(t, f);
    if (t->seccomp != NULL && !seccomp_allows(t, f)) {
        syscall_done();
        return;
    }
    if (FRAME_SYSCALL_NR(f) >= 0) /* the tracer may have taken the call away */
        atomic_load_relaxed(&make_call)(f);
    syscall_done();
}

void syscall_done(void)
{
    struct task *t = current_task();
    if (t->program_call != 0)
        bpf_call_exit(t);
    if (t->call_began_ns != 0)
        call_ends(t);
    if (task_traced(t))
        ptrace_syscall(t, PLACE_EXIT);
}

static u32 watchers; /* l */

static void choose_handler(void) { atomic_store(&trap_handlers.syscall, watchers != 0 ? watched_syscall : make_call); }

void syscall_watch(bool on)
{
    watchers += on ? 1 : -1;
    choose_handler();
}

void syscall_make_by(void (*fn)(struct trap_frame *f))
{
    atomic_store(&make_call, fn);
    choose_handler();
}
