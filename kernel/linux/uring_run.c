/* SPDX-License-Identifier: Apache-2.0 */
/* The life of io_uring's requests: chains, waiting, cancellation, the end. See uring.h. */
#include "uring.h"

#define TRIES 8 /* so often poll() may promise what does not come, then a worker waits for it */

static struct kmem_cache *req_cache;

void uring_run_init(void)
{
    struct kmem_cache *none = NULL, *c;
    if (atomic_load(&req_cache) == NULL) {
        c = kmem_cache_create("io_uring", sizeof(struct req), 0);
        (void)atomic_cas(&req_cache, &none, c); /* of two firsts one leaves an empty cache over */
    }
}

/* --- who runs it next -------------------------------------------------------------- */

/* owner->lock held; any context. */
static void queue_locked(struct req *r)
{
    struct uring_tasks *o = r->owner;
    r->state = REQ_QUEUED;
    list_push_back(&o->ready, &r->queue_node);
    if (o->inside)
        thread_wake(o->task->thread);
    else
        worker_wake_locked(o);
}

void req_queue(struct req *r)
{
    u64 flags = spin_lock_irqsave(&r->owner->lock);
    queue_locked(r);
    spin_unlock_irqrestore(&r->owner->lock, flags);
}

/* An event for it. owner->lock held. */
static void fire_locked(struct req *r)
{
    if (r->state == REQ_ARMED)
        queue_locked(r);
    else
        r->again = true;
}

static bool hook_woken(struct waiter *w, u32 events)
{
    struct req *r = container_of(w, struct hook, w)->req;
    if (events != 0 && (events & r->mask) == 0)
        return false;
    u64 flags = spin_lock_irqsave(&r->owner->lock);
    fire_locked(r);
    spin_unlock_irqrestore(&r->owner->lock, flags);
    return false;
}

static void timer_fired(struct ktimer *t)
{
    struct req *r = container_of(t, struct req, timer);
    u64 flags = spin_lock_irqsave(&r->owner->lock);
    r->timed_out = true;
    fire_locked(r);
    spin_unlock_irqrestore(&r->owner->lock, flags);
}

/* Off wait queues, the timer stopped. */
static void req_disarm(struct req *r)
{
    for (; r->nhooks > 0; r->nhooks--)
        wq_remove(&r->hooks[r->nhooks - 1].w);
    if (r->timer.base != NULL)
        ktimer_cancel_sync(&r->timer);
}

struct arming {
    struct poll_table pt;
    struct req *r;
    bool too_many;
};

static void add_hook(struct poll_table *pt, struct waitqueue *wq)
{
    struct arming *a = container_of(pt, struct arming, pt);
    struct req *r = a->r;
    if (r->nhooks == HOOKS) {
        a->too_many = true;
        return;
    }
    struct hook *h = &r->hooks[r->nhooks++];
    *h = (struct hook){.w = {.fn = hook_woken}, .req = r};
    wq_add(wq, &h->w);
}

bool req_let_go(struct req *r)
{
    u64 flags = spin_lock_irqsave(&r->owner->lock);
    bool armed = !r->again && !r->cancelled;
    r->again = false;
    if (armed) {
        r->state = REQ_ARMED;
        r->worker = NULL;
    }
    spin_unlock_irqrestore(&r->owner->lock, flags);
    return armed;
}

u32 req_arm(struct req *r)
{
    for (;;) {
        struct arming a = {.pt.queue = add_hook, .r = r};
        bool hooked = r->nhooks != 0;
        u32 got = vfs_poll(r->file, hooked ? NULL : &a.pt) & r->mask;
        if (a.too_many || (r->nhooks == 0 && got == 0)) {
            req_disarm(r);
            return POLLNVAL;
        }
        if (got != 0 || r->cancelled)
            return got != 0 ? got : POLLERR;
        if (req_let_go(r))
            return 0;
    }
}

static bool counted_enough(const struct req *r) { return (s32)(atomic_load(&r->ring->posted) - r->target) >= 0; }

void req_arm_timer(struct req *r)
{
    u64 flags = spin_lock_irqsave(&r->owner->lock);
    r->state = REQ_ARMED;
    r->worker = NULL;
    if (r->cancelled || (r->counts && counted_enough(r)))
        queue_locked(r);
    else
        ktimer_start(&r->timer, r->relative ? deadline_after(r->deadline) : r->deadline);
    spin_unlock_irqrestore(&r->owner->lock, flags);
}

/* --- making and completing ----------------------------------------------------------- */

struct req *req_create(struct ring *g, struct uring_tasks *o)
{
    struct req *r = kmem_alloc(req_cache, ALLOC_ZERO);
    if (r == NULL)
        return NULL;
    r->ring = ring_get(g);
    r->owner = o;
    r->state = REQ_LINKED;
    ktimer_init(&r->timer, timer_fired);
    list_init(&r->queue_node);
    u64 flags = spin_lock_irqsave(&o->lock);
    list_push_back(&o->reqs, &r->owner_node);
    o->nreqs++;
    spin_unlock_irqrestore(&o->lock, flags);
    spin_lock(&g->rlock);
    list_push_back(&g->reqs, &r->ring_node);
    spin_unlock(&g->rlock);
    return r;
}

void req_free(struct req *r)
{
    struct ring *g = r->ring;
    struct uring_tasks *o = r->owner;
    req_disarm(r);
    if (r->counts)
        atomic_sub(&g->counted, 1u);
    spin_lock(&g->rlock);
    list_remove(&r->ring_node);
    spin_unlock(&g->rlock);
    if (r->vec != NULL)
        vec_put(r->vec);
    if (r->msg != NULL)
        msg_put(r->msg);
    kfree(r->vec);
    kfree(r->msg);
    kfree(r->data);
    kfree(r->given.names[0]);
    kfree(r->given.names[1]);
    if (r->file_rsrc != NULL)
        rsrc_put(r->file_rsrc);
    else
        file_put(r->file);
    rsrc_put(r->buf_rsrc);
    file_put(r->resfd);
    cred_put(r->cred);
    ring_put(g);
    u64 flags = spin_lock_irqsave(&o->lock);
    list_remove(&r->owner_node);
    o->nreqs--;
    if (o->ending) /* with the lock held: afterwards o may be gone */
        wq_wake_all(&o->end_wq, 0);
    spin_unlock_irqrestore(&o->lock, flags);
    kmem_free(req_cache, r);
}

/* Those that wait no longer, now that others are complete, or cancelled themselves. */
static void undefer(struct ring *g)
{
    bool stop = false;
    spin_lock(&g->rlock);
    list_for_each_safe(r, &g->deferred, struct req, queue_node) {
        bool drain = r->sqe.flags & SQE_DRAIN;
        stop |= drain ? g->running != 0 : g->draining != 0;
        if (stop && !r->cancelled)
            continue;
        list_remove_init(&r->queue_node);
        g->running++;
        g->draining += drain;
        r->begun = true;
        u64 flags = spin_lock_irqsave(&r->owner->lock);
        queue_locked(r);
        spin_unlock_irqrestore(&r->owner->lock, flags);
    }
    spin_unlock(&g->rlock);
}

void req_fail_chain(struct req *r)
{
    while (r != NULL) {
        struct req *next = r->link;
        s64 res = r->error < 0 ? r->error : -ECANCELED;
        ring_post(r->ring, r->sqe.user_data, res, 0);
        req_free(r);
        r = next;
    }
}

static struct req *take_timeout(struct req *r)
{
    u64 flags = spin_lock_irqsave(&r->owner->lock);
    struct req *lt = r->timeout;
    r->timeout = NULL;
    if (lt != NULL) {
        lt->guarded = NULL;
        if (lt->state == REQ_ARMED || lt->state == REQ_LINKED)
            lt->state = REQ_RUNNING;
        else
            lt = NULL; /* it has run out: it completes by itself */
    }
    spin_unlock_irqrestore(&r->owner->lock, flags);
    return lt;
}

/* The end of a RUNNING request. What is next in its chain, to be begun. */
static struct req *complete(struct req *r, s64 res)
{
    struct ring *g = r->ring;
    u32 flags = r->selected ? CQE_F_BUFFER | (u32)r->bid << 16 : 0;
    bool failed = (res < 0 && !r->fine) || r->failed;
    struct req *lt = take_timeout(r), *next = r->link;
    bool breaks = failed && !(r->sqe.flags & SQE_HARDLINK);
    req_disarm(r);
    if (g->post != NULL)
        g->post(r, res);
    else if (!(r->sqe.flags & SQE_CQE_SKIP) || failed)
        ring_post(g, r->sqe.user_data, res, flags);
    if (r->async)
        ring_signal(g, true);
    ring_get(g);
    spin_lock(&g->rlock);
    if (r->begun) {
        g->running--;
        g->draining -= (r->sqe.flags & SQE_DRAIN) != 0;
    }
    bool deferred = !list_empty(&g->deferred);
    spin_unlock(&g->rlock);
    req_free(r);
    if (lt != NULL) {
        ring_post(g, lt->sqe.user_data, -ECANCELED, 0);
        req_free(lt);
    }
    if (breaks) {
        req_fail_chain(next);
        next = NULL;
    }
    if (unlikely(deferred))
        undefer(g);
    ring_put(g);
    return next;
}

/* --- running --------------------------------------------------------------------------- */

static bool interrupted_result(s64 r)
{
    return r == -ERESTARTSYS || r == -ERESTARTNOINTR || r == -ERESTARTNOHAND || r == -ERESTART_RESTARTBLOCK;
}

static s64 call(struct req *r, bool may_wait)
{
    struct task *t = current_task();
    struct given *outer = t->given;
    struct cred *own = t->cred;
    r->given.files[0] = r->file;
    t->given = &r->given;
    if (r->cred != NULL)
        t->cred = r->cred;
    bool began = !may_wait && thread_nowait_begin();
    s64 res = r->op->run(r, may_wait);
    thread_nowait_end(began);
    t->cred = own;
    t->given = outer;
    if (interrupted_result(res) || (res == -EAGAIN && !may_wait && r->op->mask != 0)) /* O_NONBLOCK is no reason to give up */
        res = may_wait ? -EINTR : r->nowait ? -EAGAIN : RES_WAIT;
    return res;
}

/* The file behind sqe.fd, when the request begins: an earlier one of its chain may have opened it. */
static int find_file(struct req *r)
{
    if (!r->op->file || r->file != NULL)
        return 0;
    if (r->sqe.flags & SQE_FIXED_FILE) {
        int err = ring_file_get(r->ring, (u32)r->sqe.fd, &r->file_rsrc);
        if (err < 0)
            return err;
        r->file = r->file_rsrc->file;
    } else {
        r->file = fd_file(r->owner->files, r->sqe.fd);
    }
    return r->file != NULL ? 0 : -EBADF;
}

static void to_worker(struct req *r)
{
    struct uring_tasks *o = r->owner;
    u64 flags = spin_lock_irqsave(&o->lock);
    r->async = true;
    r->worker = NULL;
    if (r->cancelled || o->ending) {
        queue_locked(r);
    } else {
        r->state = REQ_WORK;
        list_push_back(&o->work, &r->queue_node);
        worker_wake_locked(o);
    }
    spin_unlock_irqrestore(&o->lock, flags);
}

/* The timer of the SQE behind it, when the request does not end at once. */
static void start_timeout(struct req *r)
{
    struct req *lt = r->timeout;
    if (lt != NULL && lt->state == REQ_LINKED)
        req_arm_timer(lt);
}

static bool is_over(const struct req *r)
{
    return r->cancelled || atomic_load_relaxed(&r->owner->ending) || atomic_load_relaxed(&r->ring->dead);
}

/* One result of several: it goes on. Nothing more to receive is the last one. */
static bool post_more(struct req *r, s64 res)
{
    if (!r->multishot || res < 0 || (res == 0 && r->op->select))
        return false;
    ring_post(r->ring, r->sqe.user_data, res, CQE_F_MORE | (r->selected ? CQE_F_BUFFER | (u32)r->bid << 16 : 0));
    r->selected = false;
    r->tries = 0;
    return true;
}

/* Run a RUNNING request as far as it goes. What is next in its chain; NULL. */
static struct req *run(struct req *r, bool worker)
{
    bool may_wait = worker && r->op->work;
    s64 res = find_file(r);
    if (res < 0)
        return complete(r, res);
    for (;;) {
        if (is_over(r))
            res = -ECANCELED;
        else if (!worker && !r->async && (r->op->work || (r->sqe.flags & SQE_ASYNC)))
            res = RES_WORK;
        else
            res = r->poll_first ? RES_WAIT : call(r, may_wait);
        r->poll_first = false;
        if (res == RES_ARMED)
            return NULL;
        if (res != RES_WAIT && res != RES_WORK) {
            if (post_more(r, res))
                continue;
            return complete(r, res == -EINTR && is_over(r) ? -ECANCELED : res);
        }
        start_timeout(r);
        if (!owner_need_worker(r->owner))
            return complete(r, -ENOMEM);
        r->async = true;
        if (res == RES_WAIT && r->op->mask != 0 && r->file->ops->poll != NULL && r->tries++ < TRIES) {
            r->mask = r->op->mask | POLLERR | POLLHUP;
            u32 got = req_arm(r);
            if (got == 0)
                return NULL;
            if (got != POLLNVAL)
                continue;
        }
        if (!worker) {
            to_worker(r);
            return NULL;
        }
        may_wait = true;
    }
}

void req_run_chain(struct req *r, bool worker)
{
    while (r != NULL) {
        if (r->nhooks != 0 && !r->multishot)
            req_disarm(r);
        if (!r->begun) {
            r->begun = true;
            spin_lock(&r->ring->rlock);
            r->ring->running++;
            spin_unlock(&r->ring->rlock);
        }
        struct req *lt = r->started ? NULL : r->link;
        r->started = true;
        if (worker)
            atomic_and(&current_thread()->exit_work, ~EXIT_SIGNAL); /* it was for the one before */
        u64 flags = spin_lock_irqsave(&r->owner->lock);
        r->state = REQ_RUNNING;
        r->worker = worker ? current_thread() : NULL;
        if (lt != NULL && lt->op == &uring_ops[OP_LINK_TIMEOUT]) {
            r->link = lt->link;
            lt->link = NULL;
            r->timeout = lt;
            lt->guarded = r;
        }
        spin_unlock_irqrestore(&r->owner->lock, flags);
        r = run(r, worker);
    }
}

void req_begin(struct req *r)
{
    struct ring *g = r->ring;
    bool drain = r->sqe.flags & SQE_DRAIN;
    spin_lock(&g->rlock);
    if (!list_empty(&g->deferred) || (drain && g->running != 0) || g->draining != 0) {
        r->state = REQ_DEFERRED;
        list_push_back(&g->deferred, &r->queue_node);
        spin_unlock(&g->rlock);
        return;
    }
    r->begun = true;
    g->running++;
    g->draining += drain;
    spin_unlock(&g->rlock);
    req_run_chain(r, false);
}

struct req *req_pop_locked(struct list *queue)
{
    struct list *n = list_pop_front(queue);
    struct req *r = n != NULL ? list_entry(n, struct req, queue_node) : NULL;
    if (r != NULL) {
        r->state = REQ_RUNNING;
        r->again = false;
    }
    return r;
}

static struct req *pop_ready(struct uring_tasks *o)
{
    u64 flags = spin_lock_irqsave(&o->lock);
    struct req *r = req_pop_locked(&o->ready);
    spin_unlock_irqrestore(&o->lock, flags);
    return r;
}

void req_run_ready(struct uring_tasks *o)
{
    struct req *r;
    while ((r = pop_ready(o)) != NULL)
        req_run_chain(r, false);
}

/* --- cancelling ------------------------------------------------------------------------------------ */

/* owner->lock held. 0: it will complete as cancelled; -EALREADY: some thread has it. */
static int cancel_locked(struct req *r, bool hard)
{
    if (r->state == REQ_LINKED)
        return -ENOENT;
    r->cancelled = true;
    switch (r->state) {
    case REQ_ARMED:
        queue_locked(r);
        return 0;
    case REQ_WORK:
        list_remove_init(&r->queue_node);
        queue_locked(r);
        return 0;
    case REQ_RUNNING:
        if (r->worker != NULL)
            thread_interrupt(r->worker, hard ? EXIT_SIGNAL | EXIT_KILL : EXIT_SIGNAL);
        return -EALREADY;
    default:
        return 0;
    }
}

static bool matches(const struct req *r, const struct cancel *c)
{
    if (r == c->self || (c->owner != NULL && r->owner != c->owner) || (c->op != NULL && r->op != c->op) || r->cancelled ||
        (r->op == &uring_ops[OP_LINK_TIMEOUT] && c->op == NULL))
        return false;
    return c->any || (c->by_file ? r->file == c->file : r->sqe.user_data == c->user_data);
}

s64 ring_cancel(struct ring *g, const struct cancel *c)
{
    s64 n = 0, err = -ENOENT;
    bool deferred = false;
    spin_lock(&g->rlock);
    list_for_each(r, &g->reqs, struct req, ring_node) {
        if (!matches(r, c))
            continue;
        u64 flags = spin_lock_irqsave(&r->owner->lock);
        if (r->state == REQ_DEFERRED) {
            r->cancelled = deferred = true;
            n++;
        } else {
            int e = cancel_locked(r, false);
            n += e == 0;
            err = e == -EALREADY ? e : err;
        }
        spin_unlock_irqrestore(&r->owner->lock, flags);
        if (!c->all && (n > 0 || err == -EALREADY))
            break;
    }
    spin_unlock(&g->rlock);
    if (deferred)
        undefer(g);
    return n > 0 ? n : err;
}

struct req *ring_claim(struct ring *g, u64 user_data, const struct uring_op *op)
{
    struct req *found = NULL;
    spin_lock(&g->rlock);
    list_for_each(r, &g->reqs, struct req, ring_node) {
        if (r->sqe.user_data != user_data || r->op != op)
            continue;
        u64 flags = spin_lock_irqsave(&r->owner->lock);
        if (r->state == REQ_ARMED) {
            r->state = REQ_RUNNING;
            found = r;
        }
        spin_unlock_irqrestore(&r->owner->lock, flags);
        if (found != NULL)
            break;
    }
    spin_unlock(&g->rlock);
    return found;
}

void req_cancel_guarded(struct req *r)
{
    u64 flags = spin_lock_irqsave(&r->owner->lock);
    if (r->guarded != NULL) {
        r->guarded->timeout = NULL;
        (void)cancel_locked(r->guarded, false);
        r->guarded = NULL;
    }
    spin_unlock_irqrestore(&r->owner->lock, flags);
}

void timeouts_counted(struct ring *g)
{
    spin_lock(&g->rlock);
    list_for_each(r, &g->reqs, struct req, ring_node) {
        if (!r->counts)
            continue;
        u64 flags = spin_lock_irqsave(&r->owner->lock);
        if (r->state == REQ_ARMED && counted_enough(r))
            queue_locked(r);
        spin_unlock_irqrestore(&r->owner->lock, flags);
    }
    spin_unlock(&g->rlock);
}

bool ring_lasting(struct ring *g)
{
    bool found = false;
    spin_lock(&g->rlock);
    list_for_each(r, &g->reqs, struct req, ring_node)
        found |= atomic_load_relaxed(&r->lasting);
    spin_unlock(&g->rlock);
    return found;
}

/* --- the owner ------------------------------------------------------------------------------------- */

/* A ring, referenced, with lasting requests of the owner's. NULL: there is none. */
static struct ring *lasting_of(struct uring_tasks *o)
{
    struct ring *g = NULL;
    u64 flags = spin_lock_irqsave(&o->lock);
    list_for_each(r, &o->reqs, struct req, owner_node)
        if (g == NULL && atomic_load_relaxed(&r->lasting))
            g = ring_get(r->ring);
    spin_unlock_irqrestore(&o->lock, flags);
    return g;
}

static bool lasting_on(struct uring_tasks *o, const struct ring *g)
{
    bool found = false;
    u64 flags = spin_lock_irqsave(&o->lock);
    list_for_each(r, &o->reqs, struct req, owner_node)
        found |= r->ring == g && atomic_load_relaxed(&r->lasting);
    spin_unlock_irqrestore(&o->lock, flags);
    return found;
}

void owner_finish(struct uring_tasks *o)
{
    struct ring *g;
    while ((g = lasting_of(o)) != NULL) {
        req_run_ready(o);
        wait_event(&g->wq, !lasting_on(o, g) || !list_empty(&o->ready));
        ring_put(g);
    }
}

void owner_cancel(struct uring_tasks *o)
{
    for (;;) {
        struct ring *g = NULL;
        u64 flags = spin_lock_irqsave(&o->lock);
        list_for_each(r, &o->reqs, struct req, owner_node) {
            if (r->state == REQ_DEFERRED) {
                r->cancelled = true;
                g = r->ring;
            } else if (!r->cancelled && r->state != REQ_LINKED) {
                (void)cancel_locked(r, true);
            }
        }
        if (g != NULL)
            ring_get(g);
        spin_unlock_irqrestore(&o->lock, flags);
        if (g == NULL)
            break;
        undefer(g); /* lets all of them go that are cancelled */
        ring_put(g);
    }
}
