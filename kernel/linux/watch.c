/* SPDX-License-Identifier: Apache-2.0 */
/* What others may know of processes and threads without entering one: for stats, ps and top. */
#include "task.h"
#include "base/fmt.h"

void linux_stats(struct linux_stats *ret)
{
    *ret = (struct linux_stats){0};
    spin_lock_bh(&process_list_lock);
    list_for_each(p, &process_list, struct process, all_node) {
        ret->processes++;
        ret->zombies += p->state != PROC_LIVE;
        ret->threads += p->ntasks;
    }
    spin_unlock_bh(&process_list_lock);
}

/* The call that a thread is in; -1 when it runs its program. */
static int call_of(const struct task *t, char state)
{
    s64 nr = state == 'S' || state == 'D' ? (s64)FRAME_SYSCALL_NR(thread_frame(t->thread)) : -1;
    return nr >= 0 && nr < SYSCALL_COUNT ? (int)nr : -1;
}

static size_t show_task(const struct task *t, char *buf, size_t size)
{
    struct thread *th = t->thread;
    const struct addrspace *as = th->as;
    char name[sizeof(th->name)], state = task_state_locked(t);
    unsigned n = 0;
    for (; n < sizeof(name) - 1 && th->name[n] != '\0'; n++)
        name[n] = (u8)th->name[n] < ' ' ? '?' : th->name[n];
    name[n] = '\0';
    return (size_t)fmt_snprintf(buf, size, "%u %u %u %c %lu %lu %lu %lu %lu %d %d %s %s\n", t->proc->pid, t->proc->ppid, t->tid, state,
                                (unsigned long)thread_cpu_ns(th), (unsigned long)th->calls,
                                (unsigned long)th->switches_voluntary, (unsigned long)th->switches_forced,
                                (unsigned long)(as != NULL ? as->rss_anon + as->rss_file : 0), th->nice, call_of(t, state),
                                th->wait_reason != NULL ? th->wait_reason : "-", name);
}

size_t linux_show_tasks(char *buf, size_t size)
{
    size_t n = 0;
    spin_lock_bh(&process_list_lock);
    list_for_each(p, &process_list, struct process, all_node) {
        spin_lock(&p->lock);
        list_for_each(t, &p->tasks, struct task, proc_node)
            n += show_task(t, n < size ? buf + n : NULL, n < size ? size - n : 0);
        if (list_empty(&p->tasks) && p->leader != NULL) /* a zombie */
            n += show_task(p->leader, n < size ? buf + n : NULL, n < size ? size - n : 0);
        spin_unlock(&p->lock);
    }
    spin_unlock_bh(&process_list_lock);
    return n;
}
