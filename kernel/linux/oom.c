/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who ends when a page fault finds no memory, by Linux's measure (proc_pid_oom_score(5)): what a process has resident, and a thousandth of all memory for
 * each point of its oom_score_adj; never one with -1000. The largest is killed, and who faulted tries again. What the kernel wants for itself
 * it does without: ENOMEM. The first process is the last to be chosen, because all end with it.
 *
 *   O1  One thread at a time looks for memory; the others sleep in turn, and look for themselves when it has gone. None holds a lock of mm.
 *   O2  Nobody is chosen while a process ends, by whomever it was told so, but for PATIENCE_NS at most: it may itself wait for somebody else.
 *   O3  Who must end leaves at once, waiting or not, and who was chosen runs before all fair threads.
 *   O4  Who has not ended after REAP_NS (it waits for a lock, perhaps of who waits for its memory) loses its private memory where it waits (as_reap()), but for
 *       lists of robust futexes that it holds: its end reads them, so that others learn of it. With more than SPARED_MAX pages of these it keeps all.
 */
#include "task.h"

#include "base/fmt.h"
#include "base/str.h"
#include "kern/wait.h"
#include "kern/work.h"

#define PATIENCE_NS (3 * NSEC_PER_SEC)
#define PAUSE_NS (5 * NSEC_PER_MSEC)
#define REAP_NS (20 * NSEC_PER_MSEC)
#define SPARED_MAX 64u
#define TRIES 3
#define RECLAIM 32
#define NEVER (-1000)
#define OOM_ADJ_MAX 1000
#define OOM_OLD_DISABLE (-17) /* of oom_adj: what says -1000 ... */
#define OOM_OLD_MAX 15        /* ... and what says 1000 */

static struct waitqueue turn;
static bool busy; /* atomic: somebody has the turn */

/* p held. NULL: it has no memory. */
static struct addrspace *space_locked(const struct process *p)
{
    list_for_each(t, &p->tasks, struct task, proc_node)
        if (t->thread->as != NULL)
            return t->thread->as;
    return NULL;
}

/* l held. False: it has no memory. */
static bool measure(struct process *p, u64 total_pages, s64 *ret_points, u64 *ret_resident)
{
    spin_lock(&p->lock);
    const struct addrspace *as = space_locked(p);
    *ret_resident = as != NULL ? as->rss_anon + as->rss_file : 0;
    spin_unlock(&p->lock);
    *ret_points = (s64)*ret_resident + (s64)p->oom_score_adj * (s64)total_pages / 1000;
    return as != NULL;
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

s32 oom_old_adj(s32 adj) { return adj == OOM_ADJ_MAX ? OOM_OLD_MAX : adj * -OOM_OLD_DISABLE / OOM_ADJ_MAX; }

int oom_adjust(struct process *p, const char *word, bool old)
{
    u64 v;
    bool minus = word[0] == '-';
    int r = str_to_u64(word + minus, &v);
    if (r != 0 || v > (!old ? OOM_ADJ_MAX : minus ? -OOM_OLD_DISABLE : OOM_OLD_MAX))
        return -EINVAL;
    s32 adj = minus ? -(s32)v : (s32)v;
    if (old)
        adj = adj == OOM_OLD_MAX ? OOM_ADJ_MAX : adj * OOM_ADJ_MAX / -OOM_OLD_DISABLE;
    bool may = capable(CAP_SYS_RESOURCE);
    spin_lock_bh(&p->lock);
    if (!may && adj < (old ? p->oom_score_adj : p->oom_score_adj_min)) {
        r = -EACCES;
    } else {
        p->oom_score_adj = adj;
        if (may && !old)
            p->oom_score_adj_min = adj;
    }
    spin_unlock_bh(&p->lock);
    return r;
}

struct victim {
    struct process *p; /* referenced, or NULL */
    s64 points;
    u64 resident;
    bool ends;
};

static struct victim choose(u64 total_pages)
{
    struct victim best = {.p = NULL}, v;
    spin_lock_bh(&process_list_lock);
    list_for_each(p, &process_list, struct process, all_node) {
        v = (struct victim){.p = p, .ends = atomic_load_relaxed(&p->group_exit)};
        if (p->state != PROC_LIVE || (v.ends && p->oom_waited))
            continue;
        if (v.ends) {
            best = v;
            break;
        }
        if (p->oom_score_adj == NEVER || !measure(p, total_pages, &v.points, &v.resident))
            continue;
        if (p == first_process)
            v.points = INT64_MIN;
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
    process_kill(v->p, 0, SIGKILL);
    spin_lock_bh(&v->p->lock);
    list_for_each(t, &v->p->tasks, struct task, proc_node)
        (void)thread_set_policy(t->thread, POLICY_FIFO, 1);
    spin_unlock_bh(&v->p->lock);
    if (linux_notice != NULL)
        linux_notice(text);
}

/* --- O4 --- */

static struct addrspace *reaped; /* atomic; a reference. Who has the turn puts one there, the work thread takes it away */
static struct work let_go;

/* Whoever gives up an address space last closes files, for which who waits for memory may hold locks. */
static void put_reaped(struct work *w) { addrspace_put(atomic_xchg(&reaped, NULL)); }

/* Its address space, referenced, unless somebody has it who does not end (vfork); else NULL. */
static struct addrspace *space_that_ends(struct process *p)
{
    bool needed = false;
    spin_lock_bh(&process_list_lock);
    spin_lock(&p->lock);
    struct addrspace *as = space_locked(p);
    spin_unlock(&p->lock);
    list_for_each(o, &process_list, struct process, all_node) {
        spin_lock(&o->lock);
        needed |= !atomic_load_relaxed(&o->group_exit) && space_locked(o) == as;
        spin_unlock(&o->lock);
    }
    spin_lock(&p->lock);
    as = as != NULL && !needed && space_locked(p) == as ? addrspace_get(as) : NULL;
    spin_unlock(&p->lock);
    spin_unlock_bh(&process_list_lock);
    return as;
}

static uaddr_t spared[SPARED_MAX]; /* of who has the turn */

/* Keep what lies at addr. False: there is no room for that. */
static bool spare(uaddr_t addr, size_t len, unsigned *n)
{
    for (uaddr_t page = ALIGN_DOWN(addr, PAGE_SIZE); page < addr + len; page += PAGE_SIZE) {
        unsigned i = 0;
        while (i < *n && spared[i] != page)
            i++;
        if (i == SPARED_MAX)
            return false;
        spared[i] = page;
        *n = MAX(*n, i + 1);
    }
    return true;
}

/* The list of robust futexes that t holds, if it holds any. p held. */
static bool spare_list(const struct task *t, unsigned *n)
{
    u64 head = t->robust_list, h[3], next; /* first entry, offset, pending */
    if (head == 0 || !as_peek(t->thread->as, head, h, sizeof h) || ((h[0] & ~1ULL) == head && h[2] == 0))
        return true;
    if (!spare(head, sizeof h, n))
        return false;
    next = h[0];
    for (unsigned i = 0; i < ROBUST_LIMIT && next != head; i++) {
        uaddr_t entry = next & ~1ULL;
        if (!as_peek(t->thread->as, entry, &next, sizeof next))
            break;
        if (!spare(entry, sizeof next, n))
            return false;
    }
    return true;
}

/* What its end reads. False: that is too much. */
static bool spare_lists(const struct addrspace *as, unsigned *ret_n)
{
    bool all = true;
    unsigned n = 0;
    spin_lock_bh(&process_list_lock);
    list_for_each(p, &process_list, struct process, all_node) {
        spin_lock(&p->lock);
        list_for_each(t, &p->tasks, struct task, proc_node)
            all = all && (t->thread->as != as || spare_list(t, &n));
        spin_unlock(&p->lock);
    }
    spin_unlock_bh(&process_list_lock);
    *ret_n = n;
    return all;
}

/* False: to be tried again. */
static bool reap(struct process *p)
{
    if (atomic_load(&reaped) != NULL)
        return false;
    struct addrspace *as = space_that_ends(p);
    if (as == NULL)
        return true;
    unsigned n;
    bool done = !spare_lists(as, &n) || as_reap(as, spared, n);
    atomic_store(&reaped, as);
    work_queue(&let_go);
    return done;
}

/* Until p has ended, or its memory is there already. */
static void await(struct process *p, struct process *self)
{
    u64 until_ns = now_ns() + PATIENCE_NS, reap_ns = now_ns() + REAP_NS;
    while (atomic_load_relaxed(&p->state) == PROC_LIVE && page_exhausted() && !task_must_end(self) && !p->oom_waited) {
        thread_prepare_block(true);
        thread_block_killable();
        (void)thread_block(now_ns() + PAUSE_NS);
        if (now_ns() >= reap_ns && reap(p))
            reap_ns = NEVER_NS;
        p->oom_waited = now_ns() >= until_ns;
    }
}

/* O1. False: the current thread must end. */
static bool turn_begin(void)
{
    struct waiter w;
    bool mine;
    waiter_init_thread(&w);
    w.exclusive = true;
    for (;;) {
        wait_prepare(&turn, &w, true);
        thread_block_killable();
        mine = !atomic_xchg(&busy, true);
        if (mine || wait_block(NEVER_NS, true) != 0)
            break;
    }
    wait_finish(&w);
    if (!mine)
        wq_wake(&turn, 0); /* the wake may have been for this one */
    return mine;
}

static void turn_end(void)
{
    atomic_store(&busy, false);
    wq_wake(&turn, 0);
}

/* Have memory given back. False: there is nobody but the current process to give any. */
static bool find_memory(struct process *self)
{
    struct mem_stats m;
    if (page_reclaim(RECLAIM) != 0)
        return true;
    page_stats(&m);
    struct victim v = choose(m.total_pages);
    bool other = v.p != NULL && v.p != self;
    if (other && !v.ends)
        end(&v);
    if (other)
        await(v.p, self);
    process_put(v.p);
    return other;
}

/* For as_no_memory. Who ends anyway gets no more (the rest of its call is for nobody). */
static bool relieve(unsigned *tries)
{
    struct task *t = current_thread()->task;
    if (t == NULL || task_must_end(t->proc) || !turn_begin())
        return false;
    /* If some came meanwhile, and still there is none for this one, then something else was missing. */
    bool again = page_exhausted() ? find_memory(t->proc) : (*tries)++ < TRIES;
    turn_end();
    return again && !task_must_end(t->proc);
}

void oom_init(void)
{
    wq_init(&turn, "oom");
    work_init(&let_go, put_reaped);
    as_no_memory = relieve;
}
