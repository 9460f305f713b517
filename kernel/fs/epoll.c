/* SPDX-License-Identifier: Apache-2.0 */
/*
 * epoll(7).
 *
 * A watch (struct item) sits on the wait queues of its file. When one of them is
 * woken, the callback puts the item on the ready list and wakes whoever waits;
 * epoll_collect() takes items from the list, asks each file what is really ready, and
 * puts level-triggered ones back. So waiting costs as much as there are events.
 *
 * Locks, in order: release_mutex > ep->mutex > file->epoll_lock; the wait queues'
 * locks > ep->lock. The callback runs under a wait queue's lock with events
 * disabled, so ep->lock is taken with irqsave.
 *
 * Invariants: (P1) an item is in ep->items and in its file's epoll_items, or in neither;
 * (P2) items hold no reference to their file: the file's end removes them
 * (epoll_file_gone), under release_mutex, before its memory goes; (P3) nothing polls
 * an item's file but under ep->mutex, which its removal takes too.
 */
#include "fs_impl.h"
#include "base/fmt.h"
#include "base/rbtree.h"
#include "kern/thread.h"
#include "kern/uaccess.h"
#include "kern/wait.h"

#define EPOLL_CTL_ADD 1
#define EPOLL_CTL_DEL 2
#define EPOLL_CTL_MOD 3
#define EPOLLEXCLUSIVE (1u << 28)
#define EPOLLWAKEUP (1u << 29)
#define EPOLLONESHOT (1u << 30)
#define EPOLLET (1u << 31)
#define PRIVATE_BITS (EPOLLEXCLUSIVE | EPOLLWAKEUP | EPOLLONESHOT | EPOLLET)
#define EXCLUSIVE_OK (POLLIN | POLLOUT | POLLERR | POLLHUP | EPOLLWAKEUP | EPOLLET | EPOLLEXCLUSIVE)
#define MAX_NESTING 5
#define WAKE_WAITERS (1u << 27) /* no poll bit: for those in epoll_collect(), not for who polls the epoll file */
#define BATCH 16

struct epoll {
    struct mutex mutex;
    struct rb_root items;     /* mutex */
    struct spinlock lock;     /* irqsave */
    struct list ready;        /* lock */
    u32 rounds;               /* mutex; read without. Odd: ready items may be out of the list for a moment */
    struct waitqueue wq;      /* epoll_collect() and pollers of the epoll file */
    struct file *file;
};

struct item;
struct hook {                 /* one wait queue of the file */
    struct waiter waiter;
    struct item *item;
    struct hook *next;
};

struct item {
    struct rb_node node;      /* ep->mutex: by (file, fd) */
    struct list ready_node;   /* ep->lock; empty when not ready */
    struct list file_node;    /* file->epoll_lock */
    struct epoll *ep;
    struct file *file;
    int fd;
    u32 events;               /* ep->mutex; the callback reads it without */
    u64 data;                 /* ep->mutex */
    struct hook *hooks;       /* ep->mutex */
    struct hook first;
    bool no_memory;           /* ep->mutex: a hook is missing */
};

static struct mutex release_mutex;
static const struct file_ops epoll_ops;

static struct epoll *epoll_of(const struct file *f) { return f->ops == &epoll_ops ? f->private : NULL; }

static void make_ready(struct item *it)
{
    struct epoll *ep = it->ep;
    u64 flags = spin_lock_irqsave(&ep->lock);
    if (list_empty(&it->ready_node))
        list_push_back(&ep->ready, &it->ready_node);
    spin_unlock_irqrestore(&ep->lock, flags);
}

static bool hook_woken(struct waiter *w, u32 events)
{
    struct item *it = container_of(w, struct hook, waiter)->item;
    u32 wanted = atomic_load_relaxed(&it->events);
    if ((wanted & ~PRIVATE_BITS) == 0 || (events != 0 && (events & wanted) == 0))
        return false;
    make_ready(it);
    atomic_fence(); /* who waits tests for something ready without ep->lock */
    bool awake = wq_active(&it->ep->wq);
    if (awake)
        wq_wake(&it->ep->wq, POLLIN | POLLRDNORM);
    return awake && (wanted & EPOLLEXCLUSIVE) != 0;
}

struct hook_table {
    struct poll_table pt;
    struct item *item;
};

static void hook_queue(struct poll_table *pt, struct waitqueue *wq)
{
    struct item *it = container_of(pt, struct hook_table, pt)->item;
    struct hook *h = it->hooks == NULL ? &it->first : kzalloc(sizeof(*h));
    if (h == NULL) {
        it->no_memory = true;
        return;
    }
    h->item = it;
    h->next = it->hooks;
    it->hooks = h;
    h->waiter.fn = hook_woken;
    h->waiter.exclusive = (it->events & EPOLLEXCLUSIVE) != 0;
    wq_add(wq, &h->waiter);
}

static int compare(const struct item *it, const struct file *f, int fd)
{
    if (it->file != f)
        return f < it->file ? -1 : 1;
    return fd < it->fd ? -1 : fd > it->fd;
}

static struct item *find(struct epoll *ep, const struct file *f, int fd)
{
    struct rb_node *n = ep->items.node;
    while (n != NULL) {
        struct item *it = rb_entry(n, struct item, node);
        int c = compare(it, f, fd);
        if (c == 0)
            return it;
        n = c < 0 ? n->left : n->right;
    }
    return NULL;
}

static bool item_less(const struct rb_node *a, const struct rb_node *b)
{
    const struct item *x = rb_entry(a, struct item, node);
    return compare(rb_entry(b, struct item, node), x->file, x->fd) < 0;
}

/* ep->mutex held. */
static void item_remove(struct item *it)
{
    struct epoll *ep = it->ep;
    for (struct hook *h = it->hooks, *next; h != NULL; h = next) {
        next = h->next;
        wq_remove(&h->waiter);
        if (h != &it->first)
            kfree(h);
    }
    spin_lock(&it->file->epoll_lock);
    list_remove_init(&it->file_node);
    spin_unlock(&it->file->epoll_lock);
    rb_remove(&ep->items, &it->node);
    u64 flags = spin_lock_irqsave(&ep->lock);
    list_remove_init(&it->ready_node);
    spin_unlock_irqrestore(&ep->lock, flags);
    kfree(it);
}

static u32 item_ready(struct item *it)
{
    u32 wanted = it->events & ~PRIVATE_BITS;
    return wanted != 0 ? vfs_poll(it->file, NULL) & wanted : 0;
}

static int item_add(struct epoll *ep, struct file *f, int fd, const struct kepoll_event *ev)
{
    struct item *it = kzalloc(sizeof(*it));
    if (it == NULL)
        return -ENOMEM;
    it->ep = ep;
    it->file = f;
    it->fd = fd;
    it->events = ev->events | POLLERR | POLLHUP;
    it->data = ev->data;
    list_init(&it->ready_node);
    rb_insert(&ep->items, &it->node, item_less);
    spin_lock(&f->epoll_lock);
    list_push_back(&f->epoll_items, &it->file_node);
    spin_unlock(&f->epoll_lock);
    struct hook_table t = {.pt = {.queue = hook_queue}, .item = it};
    u32 now = vfs_poll(f, &t.pt) & it->events;
    if (it->no_memory) {
        item_remove(it);
        return -ENOMEM;
    }
    if (now != 0) {
        make_ready(it);
        wake_waiters(&ep->wq, POLLIN | POLLRDNORM);
    }
    return 0;
}

static int item_change(struct item *it, const struct kepoll_event *ev)
{
    if ((it->events & EPOLLEXCLUSIVE) != 0)
        return -EINVAL;
    atomic_store(&it->events, ev->events | POLLERR | POLLHUP);
    it->data = ev->data;
    atomic_fence(); /* the new mask, then the look at the file; the callback does it the other way round */
    if (item_ready(it) != 0) {
        make_ready(it);
        wake_waiters(&it->ep->wq, POLLIN | POLLRDNORM);
    }
    return 0;
}

/* Would watching `f` from `ep` close a circle, or nest too deep? release_mutex held, which
 * every change between epoll files takes. */
static int check_nesting(struct epoll *ep, struct file *f, unsigned depth)
{
    struct epoll *inner = epoll_of(f);
    if (inner == NULL)
        return 0;
    if (inner == ep || depth >= MAX_NESTING)
        return -ELOOP;
    int err = 0;
    mutex_lock(&inner->mutex);
    for (struct rb_node *n = rb_first(&inner->items); n != NULL && err == 0; n = rb_next(n))
        err = check_nesting(ep, rb_entry(n, struct item, node)->file, depth + 1);
    mutex_unlock(&inner->mutex);
    return err;
}

/* How deep `ep` itself is watched by others. */
static unsigned watched_depth(struct file *f, unsigned depth)
{
    unsigned max = depth;
    if (depth > MAX_NESTING)
        return depth;
    /* epoll_items of an epoll file change under release_mutex only */
    list_for_each(it, &f->epoll_items, struct item, file_node)
        max = MAX(max, watched_depth(it->ep->file, depth + 1));
    return max;
}

int epoll_control(struct file *epf, int op, int fd, struct file *target, const struct kepoll_event *ev)
{
    struct epoll *ep = epoll_of(epf);
    if (ep == NULL || epf == target)
        return -EINVAL;
    if (target->ops->poll == NULL)
        return -EPERM;
    if (op != EPOLL_CTL_ADD && op != EPOLL_CTL_DEL && op != EPOLL_CTL_MOD)
        return -EINVAL;
    bool nested = epoll_of(target) != NULL;
    if (op != EPOLL_CTL_DEL && (ev->events & EPOLLEXCLUSIVE) != 0 &&
        (op == EPOLL_CTL_MOD || nested || (ev->events & ~EXCLUSIVE_OK) != 0))
        return -EINVAL;
    int err = 0;
    if (nested) {
        mutex_lock(&release_mutex);
        if (op == EPOLL_CTL_ADD)
            err = check_nesting(ep, target, watched_depth(epf, 0) + 1);
    }
    if (err == 0) {
        mutex_lock(&ep->mutex);
        struct item *it = find(ep, target, fd);
        if (op == EPOLL_CTL_ADD)
            err = it != NULL ? -EEXIST : item_add(ep, target, fd, ev);
        else if (it == NULL)
            err = -ENOENT;
        else if (op == EPOLL_CTL_MOD)
            err = item_change(it, ev);
        else
            item_remove(it);
        mutex_unlock(&ep->mutex);
    }
    if (nested)
        mutex_unlock(&release_mutex);
    return err;
}

int epoll_target(struct file *epf, int fd, u32 skip, struct file **ret)
{
    struct epoll *ep = epoll_of(epf);
    int err = -ENOENT;
    if (ep == NULL)
        return -EINVAL;
    mutex_lock(&ep->mutex);
    for (struct rb_node *n = rb_first(&ep->items); n != NULL && err != 0; n = rb_next(n)) {
        struct item *it = rb_entry(n, struct item, node);
        if (it->fd != fd || skip-- != 0)
            continue;
        if (!ref_get_unless_zero(&it->file->refs)) /* it ends (P2) */
            break;
        *ret = it->file;
        err = 0;
    }
    mutex_unlock(&ep->mutex);
    return err;
}

/* --- collecting ------------------------------------------------------------------- */

static struct item *pop_ready(struct epoll *ep)
{
    u64 flags = spin_lock_irqsave(&ep->lock);
    struct list *n = list_pop_front(&ep->ready);
    spin_unlock_irqrestore(&ep->lock, flags);
    return n != NULL ? list_entry(n, struct item, ready_node) : NULL;
}

/* What was out of the list when it was looked at, and is back in it, is told by the rounds. */
static inline bool any_ready(struct epoll *ep)
{
    u32 before = atomic_load(&ep->rounds);
    return (before & 1) != 0 || atomic_load(&ep->ready.next) != &ep->ready || atomic_load(&ep->rounds) != before;
}

/* Items leave the list to be looked at, or are back in it. ep->mutex held. */
static void next_round(struct epoll *ep) { (void)atomic_add(&ep->rounds, 1u); }

/* What is still ready goes back, and is for the next thread that waits. */
static void push_back_ready(struct epoll *ep, struct list *again)
{
    if (!list_empty(again)) {
        u64 flags = spin_lock_irqsave(&ep->lock);
        list_splice_back(&ep->ready, again);
        spin_unlock_irqrestore(&ep->lock, flags);
    }
    next_round(ep);
    if (!list_empty(&ep->ready))
        wake_waiters(&ep->wq, WAKE_WAITERS);
}

/* Up to max events. Level-triggered items go back behind those that were not looked at. */
static int collect(struct epoll *ep, uaddr_t to, int max)
{
    struct kepoll_event out[BATCH];
    struct list again = LIST_INIT(again);
    int done = 0, n = 0;
    bool fault = false;
    struct item *it;
    mutex_lock(&ep->mutex);
    next_round(ep);
    while (done + n < max && !fault && (it = pop_ready(ep)) != NULL) {
        u32 r = item_ready(it);
        if (r == 0)
            continue;
        out[n++] = (struct kepoll_event){r, it->data};
        if ((it->events & EPOLLONESHOT) != 0) {
            atomic_store(&it->events, it->events & PRIVATE_BITS);
        } else if ((it->events & EPOLLET) == 0) {
            /* The callback may have put it on the ready list meanwhile: leave it there. */
            u64 flags = spin_lock_irqsave(&ep->lock);
            if (list_empty(&it->ready_node))
                list_push_back(&again, &it->ready_node);
            spin_unlock_irqrestore(&ep->lock, flags);
        }
        if (n == BATCH || done + n == max) {
            fault = copy_to_user(to + (u64)done * sizeof(out[0]), out, (size_t)n * sizeof(out[0])) != 0;
            done += fault ? 0 : n;
            n = 0;
        }
    }
    if (n > 0) {
        fault = copy_to_user(to + (u64)done * sizeof(out[0]), out, (size_t)n * sizeof(out[0])) != 0;
        done += fault ? 0 : n;
    }
    push_back_ready(ep, &again);
    mutex_unlock(&ep->mutex);
    return done == 0 && fault ? -EFAULT : done;
}

int epoll_collect(struct file *epf, uaddr_t events, int max, u64 deadline_ns)
{
    struct epoll *ep = epoll_of(epf);
    if (ep == NULL || max <= 0 || max > INT32_MAX / (int)sizeof(struct kepoll_event))
        return -EINVAL;
    for (;;) {
        if (any_ready(ep)) {
            int n = collect(ep, events, max);
            if (n != 0)
                return n;
        }
        if (deadline_ns == 0)
            return 0;
        int err = wait_event_exclusive_until(&ep->wq, any_ready(ep), deadline_ns);
        if (err == -ETIMEDOUT)
            deadline_ns = 0; /* one last look */
        else if (err != 0)
            return -ERESTARTNOHAND;
    }
}

/* --- the file ----------------------------------------------------------------------- */

/* Is an event really there? Items that have none leave the list. */
static u32 epoll_poll(struct file *f, struct poll_table *pt)
{
    struct epoll *ep = f->private;
    u32 r = 0;
    poll_wait(&ep->wq, pt);
    if (!any_ready(ep))
        return 0;
    struct list none = LIST_INIT(none);
    mutex_lock(&ep->mutex);
    next_round(ep);
    struct item *it;
    while (r == 0 && (it = pop_ready(ep)) != NULL) {
        if (item_ready(it) == 0)
            continue;
        r = POLLIN | POLLRDNORM;
        make_ready(it);
    }
    push_back_ready(ep, &none);
    mutex_unlock(&ep->mutex);
    return r;
}

static void epoll_release(struct file *f)
{
    struct epoll *ep = f->private;
    mutex_lock(&release_mutex);
    mutex_lock(&ep->mutex);
    while (ep->items.node != NULL)
        item_remove(rb_entry(ep->items.node, struct item, node));
    mutex_unlock(&ep->mutex);
    mutex_unlock(&release_mutex);
    kfree(ep);
}

void epoll_file_gone(struct file *f)
{
    mutex_lock(&release_mutex);
    for (;;) {
        spin_lock(&f->epoll_lock);
        struct item *it = list_empty(&f->epoll_items) ? NULL : list_first(&f->epoll_items, struct item, file_node);
        spin_unlock(&f->epoll_lock);
        if (it == NULL)
            break;
        struct epoll *ep = it->ep;
        mutex_lock(&ep->mutex);
        item_remove(it);
        mutex_unlock(&ep->mutex);
    }
    mutex_unlock(&release_mutex);
}

static size_t epoll_fdinfo(struct file *f, char *buf, size_t size)
{
    struct epoll *ep = f->private;
    size_t len = 0;
    mutex_lock(&ep->mutex);
    for (struct rb_node *n = rb_first(&ep->items); n != NULL; n = rb_next(n)) {
        struct item *it = rb_entry(n, struct item, node);
        len += (size_t)fmt_snprintf(buf + MIN(len, size), len < size ? size - len : 0,
                                    "tfd: %8d events: %8x data: %16llx\n", it->fd, it->events,
                                    (unsigned long long)it->data);
    }
    mutex_unlock(&ep->mutex);
    return len;
}

static const struct file_ops epoll_ops = {
    .poll = epoll_poll,
    .release = epoll_release,
    .fdinfo = epoll_fdinfo,
};

void epoll_init(void)
{
    mutex_init(&release_mutex, "epoll_release");
}

int epoll_open(u32 flags, struct file **ret)
{
    struct epoll *ep = kzalloc(sizeof(*ep));
    if (ep == NULL)
        return -ENOMEM;
    mutex_init(&ep->mutex, "epoll");
    spin_init(&ep->lock, "epoll_ready");
    list_init(&ep->ready);
    wq_init(&ep->wq, "epoll");
    int err = file_create_anon("[eventpoll]", &epoll_ops, ep, O_RDWR, ret);
    if (err != 0) {
        kfree(ep);
        return err;
    }
    ep->file = *ret;
    return 0;
}
