/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who ends when a page fault finds no memory, by Linux's measure (proc_pid_oom_score(5)): what a process has resident, and a thousandth of all memory for
 * each point of its oom_score_adj; never one with -1000. The largest is killed, and who faulted tries again. What the kernel wants for itself
 * it does without: ENOMEM.
 *
 * The first process counts half, because all end with it: of a fork bomb, or of a server and its copy, it is not the one.
 * One that ends already is waited for, but not for longer than PATIENCE_NS: it may itself wait for somebody else.
 */
#include "task.h"

#include "base/fmt.h"

#define PATIENCE_NS NSEC_PER_SEC
#define PAUSE_NS (5 * NSEC_PER_MSEC)
#define TRIES 3
#define NEVER (-1000)

static u64 killed_ns; /* l */

/* l held. False: it has no memory. */
static bool measure(struct process *p, u64 total_pages, s64 *ret_points, u64 *ret_resident)
{
    u64 resident = 0;
    bool any = false;
    spin_lock(&p->lock);
    list_for_each(t, &p->tasks, struct task, proc_node)
        if (t->thread->as != NULL) {
            resident = t->thread->as->rss_anon + t->thread->as->rss_file;
            any = true;
            break;
        }
    spin_unlock(&p->lock);
    *ret_resident = resident;
    *ret_points = (s64)resident + (s64)p->oom_score_adj * (s64)total_pages / 1000;
    return any;
}

u32 oom_score(struct process *p)
{
    struct mem_stats m;
    s64 points;
    u64 resident;
    page_stats(&m);
    spin_lock_bh(&process_list_lock);
    bool any = measure(p, m.total_pages, &points, &resident);
    spin_unlock_bh(&process_list_lock);
    s64 score = (1000 + points * 1000 / (s64)m.total_pages) * 2 / 3;
    return any && p->oom_score_adj != NEVER ? (u32)MAX(score, 0) : 0;
}

struct victim {
    struct process *p; /* referenced, or NULL */
    s64 points;
    u64 resident;
    bool fresh; /* it does not end yet */
};

static struct victim choose(u64 total_pages)
{
    struct victim best = {.p = NULL}, v;
    spin_lock_bh(&process_list_lock);
    bool patient = killed_ns != 0 && now_ns() - killed_ns < PATIENCE_NS;
    list_for_each(p, &process_list, struct process, all_node) {
        v = (struct victim){.p = p, .fresh = !p->group_exit};
        if (p->state != PROC_LIVE || p->oom_score_adj == NEVER || !measure(p, total_pages, &v.points, &v.resident) || (!v.fresh && !patient))
            continue;
        if (!v.fresh) {
            best = v;
            break;
        }
        if (p == first_process)
            v.points /= 2;
        if (best.p == NULL || v.points > best.points)
            best = v;
    }
    if (best.p != NULL)
        ref_get(&best.p->refs);
    spin_unlock_bh(&process_list_lock);
    return best;
}

static void end(const struct victim *v)
{
    char text[128];
    fmt_snprintf(text, sizeof text, "%s (pid %u) was ended: out of memory, of which it had most (%u kB, oom_score_adj %d)", v->p->leader->thread->name, v->p->pid,
                 (unsigned)(v->resident * (PAGE_SIZE / 1024)), v->p->oom_score_adj);
    spin_lock_bh(&process_list_lock);
    killed_ns = now_ns();
    spin_unlock_bh(&process_list_lock);
    process_kill(v->p, 0, SIGKILL);
    if (linux_notice != NULL)
        linux_notice(text);
}

/* For as_no_memory. Who ends anyway gets no more (the rest of its call is for nobody). */
static bool relieve(unsigned *tries)
{
    struct task *t = current_thread()->task;
    struct mem_stats m;
    page_stats(&m);
    if (t == NULL || task_must_end(t->proc))
        return false;
    if (m.free_pages > m.total_pages / 32) /* it came meanwhile; if not that, something else was missing */
        return (*tries)++ < TRIES;
    struct process *self = t->proc;
    struct victim v = choose(m.total_pages);
    bool other = v.p != NULL && v.p != self;
    if (other && v.fresh)
        end(&v);
    process_put(v.p);
    if (other)
        thread_sleep_until(now_ns() + PAUSE_NS, true);
    return other;
}

void oom_init(void) { as_no_memory = relieve; }
