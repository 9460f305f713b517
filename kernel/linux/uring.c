/* SPDX-License-Identifier: Apache-2.0 */
/* io_uring_setup(2) and io_uring_enter(2): the rings, what goes in and what comes out. See uring.h. */
#include "uring.h"
#include "base/fmt.h"
#include "base/str.h"

#define ENTRIES_MAX 32768u
#define CQ_ENTRIES_MAX (2 * ENTRIES_MAX)
#define OVERFLOW_MAX CQ_ENTRIES_MAX /* completions kept beside a full ring; more are dropped and counted */

#define SETUP_CQSIZE 8u
#define SETUP_CLAMP 16u
#define SETUP_ATTACH_WQ 32u
#define SETUP_COOP_TASKRUN 256u
#define SETUP_TASKRUN_FLAG 512u
#define SETUP_DEFER_TASKRUN 8192u
/* COOP and DEFER allow to run less at once than is done here. */
#define SETUP_KNOWN \
    (SETUP_SQPOLL | SETUP_CQSIZE | SETUP_CLAMP | SETUP_ATTACH_WQ | SETUP_R_DISABLED | SETUP_SUBMIT_ALL | SETUP_COOP_TASKRUN | \
     SETUP_TASKRUN_FLAG | SETUP_SINGLE_ISSUER | SETUP_DEFER_TASKRUN)

#define ENTER_GETEVENTS 1u
#define ENTER_SQ_WAKEUP 2u
#define ENTER_SQ_WAIT 4u
#define ENTER_EXT_ARG 8u

/* SINGLE_MMAP, NODROP, SUBMIT_STABLE, RW_CUR_POS, CUR_PERSONALITY, FAST_POLL, POLL_32BITS, SQPOLL_NONFIXED, EXT_ARG,
 * NATIVE_WORKERS, RSRC_TAGS, CQE_SKIP, LINKED_FILE */
#define FEATURES 0x1fffu

#define SQ_CQ_OVERFLOW 2u
#define CQ_EVENTFD_DISABLED 1u

#define OFF_CQ_RING 0x8000000ULL
#define OFF_SQES 0x10000000ULL

struct abi_params {
    u32 sq_entries, cq_entries, flags, sq_thread_cpu, sq_thread_idle, features, wq_fd, resv[3];
    struct { u32 head, tail, mask, entries, flags, dropped, array, resv1; u64 resv2; } sq;
    struct { u32 head, tail, mask, entries, overflow, cqes, flags, resv1; u64 resv2; } cq;
};
_Static_assert(sizeof(struct abi_params) == 120, "struct io_uring_params");

struct overflow {
    struct list node;
    struct abi_cqe cqe;
};

static u32 sq_array(u32 cq_entries) { return CQES + cq_entries * (u32)sizeof(struct abi_cqe); }

/* --- completions ------------------------------------------------------------------------ */

static u32 ring_count(struct ring *g)
{
    return atomic_load(&g->cq_tail) - atomic_load(ring_word(g, CQ_HEAD));
}

/* False: no room. cq_lock held. */
static bool put_cqe_locked(struct ring *g, const struct abi_cqe *c)
{
    if (g->cq_tail - atomic_load(ring_word(g, CQ_HEAD)) >= g->cq_entries)
        return false;
    memcpy(ring_word(g, CQES + (g->cq_tail & (g->cq_entries - 1)) * (u32)sizeof *c), c, sizeof *c);
    atomic_store(&g->cq_tail, g->cq_tail + 1);
    atomic_store(ring_word(g, CQ_TAIL), g->cq_tail);
    return true;
}

static void keep_cqe_locked(struct ring *g, const struct abi_cqe *c)
{
    struct overflow *o = g->overflowed < OVERFLOW_MAX ? kmalloc(sizeof *o, ALLOC_ATOMIC) : NULL;
    if (o == NULL) {
        u32 *lost = ring_word(g, CQ_OVERFLOW);
        atomic_store(lost, atomic_load(lost) + 1);
        return;
    }
    o->cqe = *c;
    list_push_back(&g->overflow, &o->node);
    g->overflowed++;
    atomic_or(ring_word(g, SQ_FLAGS), SQ_CQ_OVERFLOW);
}

/* What was kept goes into the ring as far as there is room. */
static void flush_overflow(struct ring *g)
{
    if (likely(atomic_load_relaxed(&g->overflowed) == 0))
        return;
    spin_lock(&g->cq_lock);
    while (!list_empty(&g->overflow)) {
        struct overflow *o = list_first(&g->overflow, struct overflow, node);
        if (!put_cqe_locked(g, &o->cqe))
            break;
        list_remove(&o->node);
        kfree(o);
        g->overflowed--;
    }
    if (list_empty(&g->overflow))
        atomic_and(ring_word(g, SQ_FLAGS), ~SQ_CQ_OVERFLOW);
    spin_unlock(&g->cq_lock);
}

void eventfd_add_one(struct file *f)
{
    u64 one = 1;
    struct uio u;
    bool began = thread_nowait_begin();
    uio_kernel(&u, &one, sizeof one);
    (void)vfs_write(f, &u, NULL); /* full: it is readable */
    thread_nowait_end(began);
}

void ring_signal(struct ring *g, bool async)
{
    struct file *f = NULL;
    if (likely(atomic_load_relaxed(&g->eventfd) == NULL) || (atomic_load(ring_word(g, CQ_FLAGS)) & CQ_EVENTFD_DISABLED))
        return;
    mutex_lock(&g->lock);
    if (g->eventfd != NULL && g->eventfd_async == async)
        f = file_get(g->eventfd);
    mutex_unlock(&g->lock);
    if (f == NULL)
        return;
    eventfd_add_one(f);
    file_put(f);
}

void ring_post(struct ring *g, u64 user_data, s64 res, u32 flags)
{
    struct abi_cqe c = {user_data, (s32)res, flags};
    spin_lock(&g->cq_lock);
    if (!list_empty(&g->overflow) || !put_cqe_locked(g, &c))
        keep_cqe_locked(g, &c);
    atomic_store(&g->posted, g->posted + 1);
    spin_unlock(&g->cq_lock);
    atomic_fence();
    wq_wake_all(&g->wq, POLLIN | POLLRDNORM);
    if (unlikely(atomic_load_relaxed(&g->counted) != 0))
        timeouts_counted(g);
    ring_signal(g, false);
}

/* --- the file ------------------------------------------------------------------------------ */

static u32 ring_poll(struct file *f, struct poll_table *pt)
{
    struct ring *g = f->private;
    poll_wait(&g->wq, pt);
    bool full = atomic_load(ring_word(g, SQ_TAIL)) - atomic_load(ring_word(g, SQ_HEAD)) >= g->sq_entries;
    return (full ? 0 : POLLOUT | POLLWRNORM) | (ring_count(g) != 0 || atomic_load(&g->overflowed) != 0 ? POLLIN | POLLRDNORM : 0);
}

static int area_fault(struct vma *v, u64 index, struct page **ret)
{
    struct ring *g = ((struct file *)v->object)->private;
    u64 at = index << PAGE_SHIFT;
    u64 i = (at >= OFF_SQES ? at - OFF_SQES : at >= OFF_CQ_RING ? at - OFF_CQ_RING : at) >> PAGE_SHIFT;
    if (i >= (at >= OFF_SQES ? g->sqe_pages : g->ring_pages))
        return -ENXIO;
    *ret = page_get(g->pages[at >= OFF_SQES ? g->ring_pages + i : i]);
    return 0;
}
static const struct vma_ops area_ops = {
    .fault = area_fault, .open = file_vma_open, .close = file_vma_close, .describe = file_vma_describe};

static int ring_mmap(struct file *f, struct map_request *req)
{
    struct ring *g = f->private;
    u64 at = req->pgoff << PAGE_SHIFT;
    u64 room = at == 0 || at == OFF_CQ_RING ? g->ring_pages : at == OFF_SQES ? g->sqe_pages : 0;
    if (req->len_bytes > room << PAGE_SHIFT)
        return -EINVAL;
    req->ops = &area_ops;
    req->object = f;
    return 0;
}

static void ring_release(struct file *f)
{
    struct ring *g = f->private;
    struct cancel all = {.any = true, .all = true};
    atomic_store(&g->dead, true);
    (void)ring_cancel(g, &all);
    ring_poller_end(g);
    ring_unregister_all(g);
    ring_put(g);
}

static size_t ring_fdinfo(struct file *f, char *buf, size_t size)
{
    struct ring *g = f->private;
    return (size_t)fmt_snprintf(buf, size, "SqEntries:\t%u\nSqHead:\t%u\nSqTail:\t%u\nCqEntries:\t%u\nCqHead:\t%u\nCqTail:\t%u\nUserFiles:\t%u\nUserBufs:\t%u\n",
                                g->sq_entries, atomic_load(ring_word(g, SQ_HEAD)), atomic_load(ring_word(g, SQ_TAIL)), g->cq_entries,
                                atomic_load(ring_word(g, CQ_HEAD)), atomic_load(&g->cq_tail), g->nfiles, g->nbufs);
}

const struct file_ops uring_file_ops = {.poll = ring_poll, .mmap = ring_mmap, .release = ring_release, .fdinfo = ring_fdinfo};

bool file_is_uring(struct file *f) { return f->ops == &uring_file_ops; }

/* --- making one -------------------------------------------------------------------------------- */

static void free_pages(struct ring *g)
{
    for (u32 i = 0; g->pages != NULL && i < g->ring_pages + g->sqe_pages; i++)
        if (g->pages[i] != NULL)
            page_put(g->pages[i]);
    kfree(g->pages);
}

void ring_put(struct ring *g)
{
    if (!ref_put(&g->refs))
        return;
    while (!list_empty(&g->overflow)) {
        struct overflow *o = list_first(&g->overflow, struct overflow, node);
        list_remove(&o->node);
        kfree(o);
    }
    free_pages(g);
    kfree(g);
}

static u32 round_up(u32 n)
{
    u32 r = 1;
    while (r < n)
        r *= 2;
    return r;
}

static int check_params(struct abi_params *p, u32 entries)
{
    u32 f = p->flags;
    if ((f & ~SETUP_KNOWN) || p->resv[0] != 0 || p->resv[1] != 0 || p->resv[2] != 0)
        return -EINVAL;
    if ((f & SETUP_TASKRUN_FLAG) && (!(f & (SETUP_COOP_TASKRUN | SETUP_DEFER_TASKRUN)) || (f & SETUP_SQPOLL)))
        return -EINVAL;
    if ((f & SETUP_SQPOLL) && (f & (SETUP_COOP_TASKRUN | SETUP_DEFER_TASKRUN)))
        return -EINVAL;
    if ((f & SETUP_DEFER_TASKRUN) && !(f & SETUP_SINGLE_ISSUER))
        return -EINVAL;
    if (entries == 0 || (entries > ENTRIES_MAX && !(f & SETUP_CLAMP)))
        return -EINVAL;
    p->sq_entries = round_up(MIN(entries, ENTRIES_MAX));
    if (!(f & SETUP_CQSIZE)) {
        p->cq_entries = 2 * p->sq_entries;
        return 0;
    }
    if (p->cq_entries == 0 || (p->cq_entries > CQ_ENTRIES_MAX && !(f & SETUP_CLAMP)))
        return -EINVAL;
    p->cq_entries = round_up(MIN(p->cq_entries, CQ_ENTRIES_MAX));
    return p->cq_entries < p->sq_entries ? -EINVAL : 0;
}

static int check_attach(const struct abi_params *p)
{
    if (!(p->flags & SETUP_ATTACH_WQ))
        return 0;
    struct file *f = file_of((int)p->wq_fd);
    if (f == NULL)
        return -ENXIO;
    int r = file_is_uring(f) ? 0 : -EINVAL; /* workers are the task's anyway */
    file_put(f);
    return r;
}

struct ring *ring_alloc(size_t size, u32 ring_pages, u32 sqe_pages)
{
    struct ring *g = kzalloc(size);
    if (g == NULL)
        return NULL;
    ref_init(&g->refs);
    mutex_init(&g->submit, "io_uring submit");
    mutex_init(&g->lock, "io_uring");
    spin_init(&g->cq_lock, "io_uring cq");
    spin_init(&g->rlock, "io_uring requests");
    list_init(&g->overflow);
    list_init(&g->reqs);
    list_init(&g->deferred);
    list_init(&g->groups);
    wq_init(&g->wq, "io_uring");
    g->ring_pages = ring_pages;
    g->sqe_pages = sqe_pages;
    u32 n = ring_pages + sqe_pages;
    g->pages = kzalloc(n * sizeof *g->pages);
    for (u32 i = 0; g->pages != NULL && i < n; i++)
        if ((g->pages[i] = page_alloc(0, ALLOC_ZERO)) == NULL) {
            ring_put(g);
            return NULL;
        }
    if (g->pages == NULL) {
        ring_put(g);
        return NULL;
    }
    return g;
}

static u32 pages_for(u64 bytes) { return (u32)(ALIGN_UP(bytes, PAGE_SIZE) >> PAGE_SHIFT); }

static struct ring *ring_create(const struct abi_params *p)
{
    struct ring *g = ring_alloc(sizeof *g, pages_for(sq_array(p->cq_entries) + p->sq_entries * 4ULL), pages_for(p->sq_entries * sizeof(struct abi_sqe)));
    if (g == NULL)
        return NULL;
    g->flags = p->flags;
    g->disabled = p->flags & SETUP_R_DISABLED;
    g->sq_entries = p->sq_entries;
    g->cq_entries = p->cq_entries;
    *ring_word(g, SQ_MASK) = g->sq_entries - 1;
    *ring_word(g, CQ_MASK) = g->cq_entries - 1;
    *ring_word(g, SQ_ENTRIES) = g->sq_entries;
    *ring_word(g, CQ_ENTRIES) = g->cq_entries;
    return g;
}

static void describe(struct abi_params *p, const struct ring *g)
{
    p->features = FEATURES;
    memset(&p->sq, 0, sizeof p->sq);
    memset(&p->cq, 0, sizeof p->cq);
    p->sq.head = SQ_HEAD, p->sq.tail = SQ_TAIL, p->sq.mask = SQ_MASK, p->sq.entries = SQ_ENTRIES, p->sq.flags = SQ_FLAGS;
    p->sq.dropped = SQ_DROPPED, p->sq.array = sq_array(g->cq_entries);
    p->cq.head = CQ_HEAD, p->cq.tail = CQ_TAIL, p->cq.mask = CQ_MASK, p->cq.entries = CQ_ENTRIES, p->cq.overflow = CQ_OVERFLOW;
    p->cq.cqes = CQES, p->cq.flags = CQ_FLAGS;
}

s64 sys_io_uring_setup(u32 entries, uaddr_t uparams)
{
    struct abi_params p;
    struct file *f;
    if (copy_from_user(&p, uparams, sizeof p) < 0)
        return -EFAULT;
    s64 r = check_params(&p, entries);
    if (r == 0)
        r = check_attach(&p);
    if (r < 0)
        return r;
    uring_run_init();
    struct ring *g = ring_create(&p);
    if (g == NULL)
        return -ENOMEM;
    if ((p.flags & SETUP_SINGLE_ISSUER) && !g->disabled)
        g->issuer = current_task();
    r = file_create_anon("[io_uring]", &uring_file_ops, g, O_RDWR, &f);
    if (r < 0) {
        ring_put(g);
        return r;
    }
    if (p.flags & SETUP_SQPOLL)
        r = ring_poller_start(g);
    describe(&p, g);
    if (r == 0)
        r = copy_to_user(uparams, &p, sizeof p);
    if (r == 0)
        r = fd_install(current_files(), f, 0, true);
    if (r < 0)
        file_put(f);
    return r;
}

/* --- taking submissions ------------------------------------------------------------------------- */

/* The next one, copied once (U4). False: there is none, or its index is wrong. submit held. */
static bool take_sqe(struct ring *g, struct abi_sqe *ret)
{
    u32 *array = ring_word(g, sq_array(g->cq_entries) + (g->sq_head & (g->sq_entries - 1)) * 4);
    u32 index = atomic_load_relaxed(array);
    g->sq_head++;
    if (index >= g->sq_entries) {
        u32 *dropped = ring_word(g, SQ_DROPPED);
        atomic_store(dropped, atomic_load(dropped) + 1);
        return false;
    }
    u64 at = index * sizeof *ret;
    memcpy(ret, (char *)page_virt(g->pages[g->ring_pages + (at >> PAGE_SHIFT)]) + (at & (PAGE_SIZE - 1)), sizeof *ret);
    compiler_barrier(); /* nothing below looks at the program's copy again */
    return true;
}

#define SQE_FLAGS_ALL 127u

static int check_sqe(struct ring *g, struct req *r)
{
    const struct abi_sqe *s = &r->sqe;
    if (!uring_op_known(s->opcode) || (s->flags & ~SQE_FLAGS_ALL))
        return -EINVAL;
    const struct uring_op *op = &uring_ops[s->opcode];
    if ((s->flags & SQE_BUFFER_SELECT) && !op->select)
        return -EOPNOTSUPP;
    if ((s->flags & SQE_CQE_SKIP) && (s->flags & SQE_DRAIN))
        return -EOPNOTSUPP;
    if (g->restricted) {
        u32 f = s->flags;
        if (!(g->allowed_ops >> s->opcode & 1) || (f & g->required_flags) != g->required_flags ||
            (f & ~(u32)(g->allowed_flags | g->required_flags)))
            return -EACCES;
    }
    if (s->personality != 0) {
        mutex_lock(&g->lock);
        if (s->personality <= ARRAY_SIZE(g->persons) && g->persons[s->personality - 1] != NULL)
            r->cred = cred_get(g->persons[s->personality - 1]);
        mutex_unlock(&g->lock);
        if (r->cred == NULL)
            return -EINVAL;
    }
    r->op = op;
    return op->prep != NULL ? op->prep(r) : 0;
}

/* A chain with a bad one in it does not begin. */
static void begin(struct req *chain, bool broken)
{
    if (broken)
        req_fail_chain(chain);
    else
        req_begin(chain);
}

s64 ring_submit(struct ring *g, struct uring_tasks *o, u32 n)
{
    struct req *head = NULL, *last = NULL;
    bool broken = false;
    u32 done = 0;
    n = MIN(MIN(n, atomic_load(ring_word(g, SQ_TAIL)) - g->sq_head), g->sq_entries);
    for (bool go_on = true; go_on && done < n; done++) {
        struct req *r = req_create(g, o);
        if (r == NULL) {
            if (done == 0)
                return -EAGAIN;
            break;
        }
        if (!take_sqe(g, &r->sqe)) {
            req_free(r);
            atomic_store(ring_word(g, SQ_HEAD), g->sq_head);
            break;
        }
        r->error = check_sqe(g, r);
        if (r->error < 0) {
            r->op = NULL;
            broken = true;
            go_on = g->flags & SETUP_SUBMIT_ALL;
        }
        atomic_store(ring_word(g, SQ_HEAD), g->sq_head);
        if (head == NULL)
            head = r;
        else
            last->link = r;
        last = r;
        if (r->sqe.flags & (SQE_LINK | SQE_HARDLINK))
            continue;
        begin(head, broken);
        head = NULL;
        broken = false;
        cond_resched();
    }
    if (head != NULL)
        begin(head, broken);
    return done;
}

int uring_tasks_get(struct uring_tasks **ret)
{
    struct task *t = current_task();
    if (t->uring != NULL && unlikely(t->uring->files != t->files))
        uring_task_end(t); /* close_range() or unshare() gave it other descriptors */
    if (t->uring == NULL)
        t->uring = owner_create(t, t->files);
    *ret = t->uring;
    return t->uring != NULL ? 0 : -ENOMEM;
}

void uring_enter_begin(struct uring_tasks *o)
{
    u64 flags = spin_lock_irqsave(&o->lock);
    o->inside = true;
    spin_unlock_irqrestore(&o->lock, flags);
}

void uring_enter_end(struct uring_tasks *o)
{
    for (;;) {
        u64 flags = spin_lock_irqsave(&o->lock);
        bool done = list_empty(&o->ready);
        if (done)
            o->inside = false;
        spin_unlock_irqrestore(&o->lock, flags);
        if (done)
            return;
        req_run_ready(o);
    }
}

void uring_task_end(struct task *t)
{
    struct uring_tasks *o = t->uring;
    if (o == NULL)
        return;
    uring_enter_begin(o);
    owner_finish(o);
    atomic_store(&o->ending, true);
    ring_pollers_end(o);
    owner_cancel(o);
    for (;;) {
        req_run_ready(o);
        if (atomic_load(&o->nreqs) == 0)
            break;
        wait_event(&o->end_wq, atomic_load(&o->nreqs) == 0 || !list_empty(&o->ready));
    }
    t->uring = NULL;
    owner_destroy(o);
}

/* --- waiting ---------------------------------------------------------------------------------------- */

static s64 wait_events(struct ring *g, struct uring_tasks *o, u32 min, u64 deadline)
{
    min = MIN(min, g->cq_entries);
    for (;;) {
        if (o != NULL)
            req_run_ready(o);
        flush_overflow(g);
        if (ring_count(g) >= min)
            return 0;
        int err = wait_event_interruptible_until(
            &g->wq, ring_count(g) >= min || (o != NULL && !list_empty(&o->ready)), deadline);
        if (err != 0 && (ring_count(g) >= min || (o != NULL && !list_empty(&o->ready))))
            continue;
        if (err != 0)
            return ring_count(g) != 0 ? 0 : err == -ETIMEDOUT ? -ETIME : -EINTR;
    }
}

struct abi_getevents {
    u64 sigmask;
    u32 sigmask_size, pad;
    u64 ts;
};

static s64 get_arg(u32 flags, uaddr_t arg, u64 size, struct abi_getevents *ret, u64 *ret_deadline)
{
    *ret_deadline = NEVER_NS;
    *ret = (struct abi_getevents){.sigmask = arg, .sigmask_size = (u32)size};
    if (!(flags & ENTER_EXT_ARG))
        return 0;
    if (size != sizeof *ret)
        return -EINVAL;
    if (copy_from_user(ret, arg, sizeof *ret) < 0)
        return -EFAULT;
    if (ret->pad != 0)
        return -EINVAL;
    return get_timeout(ret->ts, CLOCK_DURATION, ret_deadline);
}

static s64 get_events(struct ring *g, struct uring_tasks *o, u32 min, u32 flags, uaddr_t arg, u64 size)
{
    struct abi_getevents e;
    u64 deadline;
    s64 r = get_arg(flags, arg, size, &e, &deadline);
    if (r == 0)
        r = signal_mask_begin(e.sigmask, e.sigmask_size);
    if (r < 0)
        return r;
    r = wait_events(g, o, min, deadline);
    signal_mask_end(r);
    return r;
}

static s64 enter(struct ring *g, u32 to_submit, u32 min, u32 flags, uaddr_t arg, u64 size)
{
    struct uring_tasks *o;
    s64 n = 0, r = 0;
    if (atomic_load_relaxed(&g->disabled))
        return -EBADFD;
    if (g->flags & SETUP_SQPOLL) {
        r = ring_poller_enter(g, (flags & ENTER_SQ_WAKEUP) != 0, (flags & ENTER_SQ_WAIT) != 0);
        if (r == 0 && (flags & ENTER_GETEVENTS))
            r = get_events(g, NULL, min, flags, arg, size);
        return r < 0 ? r : to_submit;
    }
    if (g->issuer != NULL && g->issuer != current_task())
        return -EEXIST;
    r = uring_tasks_get(&o);
    if (r < 0)
        return r;
    uring_enter_begin(o);
    if (to_submit != 0) {
        mutex_lock(&g->submit);
        n = ring_submit(g, o, to_submit);
        mutex_unlock(&g->submit);
    }
    if ((flags & ENTER_GETEVENTS) && n == to_submit)
        r = get_events(g, o, min, flags, arg, size);
    uring_enter_end(o);
    return n != 0 ? n : r;
}

s64 sys_io_uring_enter(u32 fd, u32 to_submit, u32 min, u32 flags, uaddr_t arg, u64 size)
{
    if (flags & ~(ENTER_GETEVENTS | ENTER_SQ_WAKEUP | ENTER_SQ_WAIT | ENTER_EXT_ARG))
        return -EINVAL;
    struct file *f = file_of((int)fd);
    if (f == NULL)
        return -EBADF;
    s64 r = file_is_uring(f) ? enter(f->private, to_submit, min, flags, arg, size) : -EOPNOTSUPP;
    file_put(f);
    return r;
}
