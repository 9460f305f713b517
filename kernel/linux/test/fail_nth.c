/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Failures at a chosen place, for test kernels alone (drupe-kernel-host-faults, drupe-kernel-pc-faults): more files in /proc/PID.
 *
 *   fail-nth   N written: the N-th allocation of the task from now on fails (Linux's name and meaning: fault-injection.rst).
 *   touch-nth  its N-th touch of a program's memory fails, which is an EFAULT.
 *   kill-nth   SIGKILL comes to it at its N-th allocation, touch or sleep. A kill is seen where a thread sleeps or leaves
 *              the kernel, so these are all the moments that differ, but for its coming in between two looks of a sleep.
 *
 *   nth-calls  "NUMBER FILES" for each system call that was ever made while one of them was to come: 1, 2 and 4, added up. Read only.
 *
 * What is read is what is left of N: 0, it has happened. 0 written calls it off. One task at a time has one of them (EBUSY).
 * Bottom halves and interrupts are nobody's, and are left alone. The linker puts these functions before the kernel's own
 * (--wrap), so that the kernel knows nothing of them.
 */
#include "../task.h"
#include "arch/frame.h"
#include "base/fmt.h"
#include "base/str.h"
#include "kern/arch.h"
#include "kern/bh.h"
#include "kern/page.h"
#include "kern/percpu.h"

void __real_proc_set_pid_ops(const struct proc_pid_ops *ops);
void __wrap_proc_set_pid_ops(const struct proc_pid_ops *ops);
int __real_thread_block(u64 deadline_ns);
int __wrap_thread_block(u64 deadline_ns);
size_t __real_arch_copy_user(void *dst, const void *src, size_t n);
size_t __wrap_arch_copy_user(void *dst, const void *src, size_t n);
size_t __real_arch_zero_user(void *dst, size_t n);
size_t __wrap_arch_zero_user(void *dst, size_t n);
size_t __real_arch_strnlen_user(const char *src, size_t max, bool *ret_fault);
size_t __wrap_arch_strnlen_user(const char *src, size_t max, bool *ret_fault);
int __real_arch_cas_user_u32(u32 *p, u32 expected, u32 desired, u32 *ret_old);
int __wrap_arch_cas_user_u32(u32 *p, u32 expected, u32 desired, u32 *ret_old);

enum what { FAIL, TOUCH, KILL, CALLS };
static const char *const file_names[] = {"fail-nth", "touch-nth", "kill-nth", "nth-calls"};

static u32 victim; /* atomic: a tid; 0: none */
static enum what what;
static u32 left;   /* atomic */

static const struct proc_pid_ops *real;
static struct proc_pid_ops ours;
static const char *names[64];
static u8 made[SYSCALL_COUNT]; /* 1 << what; plain: the calls of one task */

static bool is_victim(void)
{
    const struct percpu *c = this_cpu();
    const struct thread *t = c->current;
    return t != NULL && t->task != NULL && c->irq_depth == 0 && !c->bh_running &&
           ((const struct task *)t->task)->tid == atomic_load_relaxed(&victim);
}

/* Is this the one? */
static bool counts_down(void)
{
    u32 n = atomic_load_relaxed(&left);
    if (n != 0)
        atomic_store_relaxed(&left, n - 1);
    return n == 1;
}

/* It comes from outside, so not while the thread holds locks that a sender takes. */
static void kill_point(void)
{
    if (what == KILL && is_victim() && !bh_is_disabled() && plat_events_enabled() && counts_down()) {
        struct ksiginfo info = {.signo = SIGKILL, .code = SI_KERNEL};
        signal_send_process(current_process(), &info, NULL);
    }
}

static bool fails(enum what which)
{
    if (what == which)
        return is_victim() && counts_down();
    kill_point();
    return false;
}

static bool must_fail(void) { return fails(FAIL); }

size_t __wrap_arch_copy_user(void *dst, const void *src, size_t n) { return fails(TOUCH) ? n : __real_arch_copy_user(dst, src, n); }
size_t __wrap_arch_zero_user(void *dst, size_t n) { return fails(TOUCH) ? n : __real_arch_zero_user(dst, n); }

size_t __wrap_arch_strnlen_user(const char *src, size_t max, bool *ret_fault)
{
    if (!fails(TOUCH))
        return __real_arch_strnlen_user(src, max, ret_fault);
    *ret_fault = true;
    return 0;
}

int __wrap_arch_cas_user_u32(u32 *p, u32 expected, u32 desired, u32 *ret_old)
{
    return fails(TOUCH) ? -EFAULT : __real_arch_cas_user_u32(p, expected, desired, ret_old);
}

int __wrap_thread_block(u64 deadline_ns)
{
    kill_point();
    return __real_thread_block(deadline_ns);
}

static void note_call(struct trap_frame *f)
{
    u64 nr = FRAME_SYSCALL_NR(f);
    if (nr < SYSCALL_COUNT && is_victim() && atomic_load_relaxed(&left) != 0)
        made[nr] |= (u8)(1u << what);
    linux_syscall(f);
}

static size_t show_calls(char *buf, size_t size)
{
    size_t n = 0;
    for (u32 nr = 0; nr < SYSCALL_COUNT; nr++)
        if (made[nr] != 0)
            n += (size_t)fmt_snprintf(n < size ? buf + n : NULL, n < size ? size - n : 0, "%u %u\n", nr, made[nr]);
    return n;
}

static int place_of(const char *name)
{
    for (int i = 0; i < (int)ARRAY_SIZE(file_names); i++)
        if (strcmp(name, file_names[i]) == 0)
            return i;
    return -1;
}

static size_t show(u32 pid, u32 tid, const char *name, char *buf, size_t size)
{
    int file = place_of(name);
    if (file < 0)
        return real->show(pid, tid, name, buf, size);
    if (file == CALLS)
        return show_calls(buf, size);
    bool its = atomic_load(&victim) == (tid != 0 ? tid : pid) && (int)what == file;
    return (size_t)fmt_snprintf(buf, size, "%u\n", its ? atomic_load(&left) : 0);
}

static int store(u32 pid, u32 tid, const char *name, const char *text, size_t len)
{
    int file = place_of(name);
    u64 n;
    u32 who = tid != 0 ? tid : pid, was = atomic_load(&victim);
    if (file < 0)
        return real->store(pid, tid, name, text, len);
    if (file == CALLS)
        return -EACCES;
    int err = sysctl_number(text, len, 0, UINT32_MAX, &n);
    if (err != 0)
        return err;
    if (was != 0 && was != who && atomic_load(&left) != 0) {
        struct task *t = task_find(was);
        task_put(t);
        if (t != NULL)
            return -EBUSY;
    }
    alloc_fail_hook = must_fail; /* for good: the switch is `victim` */
    spin_lock_bh(&process_list_lock);
    syscall_make_by(note_call);
    spin_unlock_bh(&process_list_lock);
    atomic_store(&left, 0);
    what = (enum what)file;
    atomic_store(&victim, who);
    atomic_store(&left, (u32)n);
    return 0;
}

void __wrap_proc_set_pid_ops(const struct proc_pid_ops *ops)
{
    unsigned n = 0;
    for (; ops->names[n] != NULL; n++)
        names[n] = ops->names[n];
    ASSERT(n + ARRAY_SIZE(file_names) < ARRAY_SIZE(names));
    memcpy(&names[n], file_names, sizeof file_names);
    real = ops;
    ours = *ops;
    ours.names = names;
    ours.show = show;
    ours.store = store;
    __real_proc_set_pid_ops(&ours);
}
