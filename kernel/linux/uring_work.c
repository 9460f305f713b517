/* SPDX-License-Identifier: Apache-2.0 */
/* Who runs io_uring's requests beside the task that made them: workers, made when there is work and no idle one. */
#include "uring.h"

#define WORKERS_MAX 64
#define WORKER_IDLE_NS NSEC_PER_SEC

struct worker {
    struct given none; /* its task's, between requests */
    struct list node, idle_node; /* owner->lock */
    struct uring_tasks *owner;
    struct thread *thread;
};

void worker_wake_locked(struct uring_tasks *o)
{
    if (!list_empty(&o->idle)) {
        struct worker *w = list_first(&o->idle, struct worker, idle_node);
        list_remove_init(&w->idle_node);
        thread_wake(w->thread);
    } else if (o->nworkers < WORKERS_MAX && !o->ending) {
        o->nworkers++;
        if (!work_queue(&o->spawn))
            o->nworkers--; /* one is being made already, and will look */
    }
}

struct task *hidden_task_create(struct task *like, struct fdtable *files, const char *name, void (*fn)(void *))
{
    struct task *t;
    if (task_create(like->proc, name, fn, &t) < 0)
        return NULL;
    t->tid = like->tid;
    t->blocked = ~0ULL;
    t->files = fdtable_get(files);
    t->cred = task_cred(like);
    t->fs = task_fs(like);
    t->thread->as = task_as(like);
    t->timer_slack_ns = like->timer_slack_ns;
    return t;
}

void hidden_task_exit(void)
{
    struct task *t = current_task();
    struct addrspace *as = t->thread->as;
    thread_switch_as(NULL);
    addrspace_put(as);
    fdtable_put(t->files);
    fs_ctx_put(t->fs);
    t->thread->task = NULL;
    task_put(t);
    thread_exit();
}

/* Under the same hold as the decision to: of two whose time is up at once, one sees that it is the last. Behind it o may be gone. */
static void leave_locked(struct worker *w)
{
    struct uring_tasks *o = w->owner;
    list_remove(&w->node);
    o->nworkers--;
    if (o->ending)
        wq_wake_all(&o->end_wq, 0);
}

/* *ret_wait: it is one for which workers may wait. False: w has left. */
static bool next_for_worker(struct worker *w, struct req **ret, bool *ret_wait)
{
    struct uring_tasks *o = w->owner;
    bool stay = true, timed_out = false;
    for (;;) {
        u64 flags = spin_lock_irqsave(&o->lock);
        struct req *r = o->inside ? NULL : req_pop_locked(&o->ready);
        list_remove_init(&w->idle_node);
        *ret_wait = r == NULL;
        if (r == NULL && (r = req_pop_locked(&o->work)) != NULL && !list_empty(&o->work))
            worker_wake_locked(o); /* who queued it may have found nobody but us */
        if (r == NULL) {
            stay = !o->ending && !(timed_out && o->nworkers > 1);
            if (stay) {
                list_push_front(&o->idle, &w->idle_node);
                thread_prepare_block(false);
            } else {
                leave_locked(w);
            }
        }
        spin_unlock_irqrestore(&o->lock, flags);
        *ret = r;
        if (r != NULL || !stay)
            return r != NULL;
        timed_out = thread_block(atomic_load_relaxed(&o->nworkers) > 1 ? now_ns() + WORKER_IDLE_NS : NEVER_NS) == -ETIMEDOUT;
    }
}

static void worker_main(void *arg)
{
    struct worker *w = container_of(current_task()->given, struct worker, none);
    struct req *r;
    bool wait;
    while (next_for_worker(w, &r, &wait))
        req_run_chain(r, wait);
    kfree(w);
    hidden_task_exit();
}

/* One more; it is counted already. False: no memory, and it is not counted any more. */
static bool make_worker(struct uring_tasks *o)
{
    struct worker *w = kzalloc(sizeof *w);
    struct task *t = w != NULL ? hidden_task_create(o->task, o->files, "iou-wrk", worker_main) : NULL;
    u64 flags = spin_lock_irqsave(&o->lock);
    bool ok = t != NULL && !o->ending;
    if (ok) {
        w->owner = o;
        w->thread = t->thread;
        list_init(&w->idle_node);
        t->uring = o;
        t->given = &w->none;
        list_push_back(&o->workers, &w->node);
    } else {
        o->nworkers--;
        if (o->ending)
            wq_wake_all(&o->end_wq, 0);
    }
    spin_unlock_irqrestore(&o->lock, flags);
    if (ok) {
        thread_start(t->thread);
        return true;
    }
    kfree(w);
    if (t != NULL)
        task_abandon(t);
    return false;
}

static void spawn(struct work *work) { (void)make_worker(container_of(work, struct uring_tasks, spawn)); }

bool owner_need_worker(struct uring_tasks *o)
{
    if (likely(atomic_load_relaxed(&o->nworkers) != 0))
        return true;
    u64 flags = spin_lock_irqsave(&o->lock);
    bool make = o->nworkers == 0 && !o->ending;
    o->nworkers += make;
    spin_unlock_irqrestore(&o->lock, flags);
    return !make || make_worker(o);
}

struct uring_tasks *owner_create(struct task *t, struct fdtable *files)
{
    struct uring_tasks *o = kzalloc(sizeof *o);
    if (o == NULL)
        return NULL;
    o->task = t;
    o->files = fdtable_get(files);
    spin_init(&o->lock, "io_uring owner");
    list_init(&o->reqs);
    list_init(&o->ready);
    list_init(&o->work);
    list_init(&o->idle);
    list_init(&o->workers);
    work_init(&o->spawn, spawn);
    list_init(&o->pollers);
    wq_init(&o->end_wq, "io_uring end");
    return o;
}

void owner_destroy(struct uring_tasks *o)
{
    u64 flags = spin_lock_irqsave(&o->lock);
    o->ending = true;
    list_for_each(w, &o->workers, struct worker, node)
        thread_wake(w->thread);
    spin_unlock_irqrestore(&o->lock, flags);
    wait_event(&o->end_wq, atomic_load(&o->nworkers) == 0);
    flags = spin_lock_irqsave(&o->lock); /* who woke us has let go */
    spin_unlock_irqrestore(&o->lock, flags);
    fdtable_put(o->files);
    kfree(o);
}
