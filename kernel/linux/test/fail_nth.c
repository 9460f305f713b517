/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Failures at a chosen place, for a test kernel alone (drupe-kernel-host-faults): two more files in /proc/PID.
 *
 *   fail-nth  N written: the N-th allocation of the task from now on fails (Linux's name and meaning: fault-injection.rst).
 *   kill-nth  N written: SIGKILL comes to it at its N-th allocation or sleep. A kill is seen where a thread sleeps or leaves
 *             the kernel, so these are all the moments that differ, but for its coming in between two looks of a sleep.
 *
 * What is read is what is left of N: 0, it has happened. 0 written calls it off. One task at a time has one of them (EBUSY).
 * Bottom halves and interrupts are nobody's, and are left alone. The linker puts these functions before the kernel's own
 * (--wrap), so that the kernel knows nothing of them.
 */
#include "../task.h"
#include "base/fmt.h"
#include "base/str.h"
#include "kern/bh.h"
#include "kern/page.h"
#include "kern/percpu.h"

void __real_proc_set_pid_ops(const struct proc_pid_ops *ops);
void __wrap_proc_set_pid_ops(const struct proc_pid_ops *ops);
int __real_thread_block(u64 deadline_ns);
int __wrap_thread_block(u64 deadline_ns);

enum what { FAIL, KILL };
static const char *const file_names[] = {"fail-nth", "kill-nth"};

static u32 victim; /* atomic: a tid; 0: none */
static enum what what;
static u32 left;   /* atomic */

static const struct proc_pid_ops *real;
static struct proc_pid_ops ours;
static const char *names[64];

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

static bool must_fail(void)
{
    if (what == FAIL)
        return is_victim() && counts_down();
    kill_point();
    return false;
}

int __wrap_thread_block(u64 deadline_ns)
{
    kill_point();
    return __real_thread_block(deadline_ns);
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
    char word[16];
    str_copy(word, text, MIN(len + (len == 0 || text[len - 1] != '\n'), sizeof word));
    if (str_to_u64(word, &n) != 0 || n > UINT32_MAX)
        return -EINVAL;
    if (was != 0 && was != who && atomic_load(&left) != 0) {
        struct task *t = task_find(was);
        task_put(t);
        if (t != NULL)
            return -EBUSY;
    }
    alloc_fail_hook = must_fail; /* for good: the switch is `victim` */
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
