/* SPDX-License-Identifier: Apache-2.0 */
/*
 * poll(2), select(2) and their p-forms: register on every queue once, then look at
 * all descriptors after each wake-up until one is ready.
 */
#include "task.h"
#include "base/str.h"

struct abi_pollfd { s32 fd; s16 events, revents; };
_Static_assert(sizeof(struct abi_pollfd) == 8, "struct pollfd");

#define FAST_WAITERS 8
struct waiter_block {
    struct waiter_block *next;
    unsigned used;
    struct waiter w[FAST_WAITERS];
};

/* One poll call: its queue registrations. `pt.queue` is cleared after the first pass. */
struct poll_call {
    struct poll_table pt;
    struct waiter_block first, *last;
    bool no_memory;
};

/* The waiter stays on its queue: what woke it may be gone when the thread looks, and it registers once. */
static bool wake_poller(struct waiter *w, u32 events)
{
    thread_wake(w->thread);
    return false;
}

static void add_waiter(struct poll_table *pt, struct waitqueue *wq)
{
    struct poll_call *c = container_of(pt, struct poll_call, pt);
    if (c->last->used == FAST_WAITERS) {
        struct waiter_block *b = kmalloc(sizeof *b, 0);
        if (b == NULL) {
            c->no_memory = true;
            return;
        }
        b->next = NULL;
        b->used = 0;
        c->last->next = b;
        c->last = b;
    }
    struct waiter *w = &c->last->w[c->last->used++];
    waiter_init_thread(w);
    w->fn = wake_poller;
    wq_add(wq, w);
}

static void call_begin(struct poll_call *c)
{
    c->pt.queue = add_waiter;
    c->first.next = NULL;
    c->first.used = 0;
    c->last = &c->first;
    c->no_memory = false;
}

static void call_end(struct poll_call *c)
{
    for (struct waiter_block *b = &c->first; b != NULL;) {
        struct waiter_block *next = b->next;
        for (unsigned i = 0; i < b->used; i++)
            wq_remove(&b->w[i]);
        if (b != &c->first)
            kfree(b);
        b = next;
    }
}

/* Repeat `scan` until it finds something, the deadline, or a signal: count, 0, -ERESTARTNOHAND. */
static s64 poll_loop(s64 (*scan)(void *ctx, struct poll_table *pt), void *ctx, u64 deadline)
{
    struct poll_call c;
    s64 n;
    bool timed_out = false;
    if (deadline == 0)
        return scan(ctx, NULL);
    call_begin(&c);
    for (;;) {
        thread_prepare_block(true);
        n = scan(ctx, c.pt.queue != NULL ? &c.pt : NULL);
        c.pt.queue = NULL;
        if (n == 0 && c.no_memory)
            n = -ENOMEM;
        if (n != 0 || timed_out) {
            thread_cancel_block();
            break;
        }
        int r = thread_block(deadline);
        if (r == -ETIMEDOUT) {
            timed_out = true;
        } else if (r < 0) {
            n = -ERESTARTNOHAND;
            break;
        }
    }
    call_end(&c);
    return n;
}

/* --- poll ------------------------------------------------------------------------------- */

struct poll_set {
    struct abi_pollfd *fds;
    u32 n;
};

static s64 scan_poll(void *ctx, struct poll_table *pt)
{
    struct poll_set *s = ctx;
    struct fdtable *t = current_files();
    s64 ready = 0;
    for (u32 i = 0; i < s->n; i++) {
        struct abi_pollfd *p = &s->fds[i];
        u32 got = 0;
        if (p->fd >= 0) {
            struct file *f = fd_file(t, p->fd);
            if (f == NULL) {
                got = POLLNVAL;
            } else {
                got = vfs_poll(f, ready == 0 ? pt : NULL) & ((u16)p->events | POLLERR | POLLHUP | POLLNVAL);
                file_put(f);
            }
        }
        p->revents = (s16)got;
        if (got != 0)
            ready++;
    }
    return ready;
}

static s64 do_poll(uaddr_t ufds, u32 n, u64 deadline)
{
    struct abi_pollfd fast[16];
    struct poll_set s = {fast, n};
    if (n > rlimit_of(current_process(), RLIMIT_NOFILE))
        return -EINVAL;
    if (n > ARRAY_SIZE(fast)) {
        s.fds = kmalloc(n * sizeof *s.fds, 0);
        if (s.fds == NULL)
            return -ENOMEM;
    }
    s64 r = copy_from_user(s.fds, ufds, n * sizeof *s.fds);
    if (r == 0) {
        r = poll_loop(scan_poll, &s, deadline);
        for (u32 i = 0; r >= 0 && i < n; i++) {
            u16 v = (u16)s.fds[i].revents;
            if (copy_to_user(ufds + i * sizeof *s.fds + offsetof(struct abi_pollfd, revents), &v, sizeof v) < 0)
                r = -EFAULT;
        }
    }
    if (s.fds != fast)
        kfree(s.fds);
    return r;
}

static s64 poll_restartable(uaddr_t ufds, u32 n, u64 deadline)
{
    s64 r = do_poll(ufds, n, deadline);
    if (r == -ERESTARTNOHAND) {
        struct task *t = current_task();
        t->restart.kind = RESTART_POLL;
        t->restart.addr = ufds;
        t->restart.value = n;
        t->restart.deadline_ns = deadline;
        r = -ERESTART_RESTARTBLOCK;
    }
    return r;
}

s64 poll_restart(void)
{
    struct task *t = current_task();
    return poll_restartable(t->restart.addr, t->restart.value, t->restart.deadline_ns);
}

s64 sys_poll(uaddr_t ufds, u32 n, int timeout_ms)
{
    u64 deadline = timeout_ms < 0 ? NEVER_NS : timeout_ms == 0 ? 0 : deadline_after((u64)timeout_ms * NSEC_PER_MSEC);
    return poll_restartable(ufds, n, deadline);
}

/* ppoll and pselect write the time left back. */
static void timeout_end(uaddr_t uts, u64 deadline)
{
    u64 now = now_ns();
    if (uts != 0)
        put_timespec(uts, deadline > now ? deadline - now : 0);
}

s64 sys_ppoll(uaddr_t ufds, u32 n, uaddr_t uts, uaddr_t set, u64 size)
{
    u64 deadline;
    s64 r = get_timeout(uts, CLOCK_DURATION, &deadline);
    if (r == 0)
        r = signal_mask_begin(set, size);
    if (r < 0)
        return r;
    r = do_poll(ufds, n, deadline);
    signal_mask_end(r);
    timeout_end(uts, deadline);
    return r;
}

/* --- select -------------------------------------------------------------------------------- */

struct select_set {
    u64 *in[3], *out[3]; /* read, write, except */
    int n;
};
static const u32 select_in[3] = {POLLIN | POLLRDNORM | POLLRDBAND | POLLHUP | POLLERR | POLLNVAL,
                                 POLLOUT | POLLWRNORM | POLLWRBAND | POLLERR | POLLNVAL, POLLPRI | POLLNVAL};

static s64 scan_select(void *ctx, struct poll_table *pt)
{
    struct select_set *s = ctx;
    struct fdtable *t = current_files();
    s64 ready = 0;
    for (int w = 0; w < (s->n + 63) / 64; w++) {
        u64 any = s->in[0][w] | s->in[1][w] | s->in[2][w];
        s->out[0][w] = s->out[1][w] = s->out[2][w] = 0;
        while (any != 0) {
            int bit = __builtin_ctzll(any), fd = w * 64 + bit;
            any &= any - 1;
            if (fd >= s->n)
                break;
            struct file *f = fd_file(t, fd);
            if (f == NULL)
                return -EBADF;
            u32 got = vfs_poll(f, ready == 0 ? pt : NULL);
            file_put(f);
            for (int k = 0; k < 3; k++)
                if ((s->in[k][w] & (1ULL << bit)) && (got & select_in[k])) {
                    s->out[k][w] |= 1ULL << bit;
                    ready++;
                }
        }
    }
    return ready;
}

static s64 do_select(int n, const uaddr_t usets[3], u64 deadline)
{
    struct select_set s = {.n = n};
    u64 fast[6 * 2];
    if (n < 0)
        return -EINVAL;
    n = (int)MIN((u64)n, MAX(rlimit_of(current_process(), RLIMIT_NOFILE), 64UL));
    s.n = n;
    size_t words = (size_t)(n + 63) / 64;
    u64 *bits = words <= 2 ? fast : kmalloc(6 * words * 8, 0);
    if (bits == NULL)
        return -ENOMEM;
    memset(bits, 0, 6 * words * 8);
    s64 r = 0;
    for (int k = 0; k < 3; k++) {
        s.in[k] = bits + (size_t)k * words;
        s.out[k] = bits + (size_t)(3 + k) * words;
        if (r == 0 && usets[k] != 0)
            r = copy_from_user(s.in[k], usets[k], words * 8);
        if (words > 0 && n % 64 != 0)
            s.in[k][words - 1] &= (1ULL << (n % 64)) - 1;
    }
    if (r == 0)
        r = poll_loop(scan_select, &s, deadline);
    for (int k = 0; r >= 0 && k < 3; k++)
        if (usets[k] != 0 && copy_to_user(usets[k], s.out[k], words * 8) < 0)
            r = -EFAULT;
    if (bits != fast)
        kfree(bits);
    return r;
}

s64 sys_select(int n, uaddr_t r, uaddr_t w, uaddr_t e, uaddr_t utv)
{
    u64 deadline = NEVER_NS;
    struct abi_timeval tv;
    if (utv != 0) {
        if (copy_from_user(&tv, utv, sizeof tv) < 0)
            return -EFAULT;
        if (tv.sec < 0 || tv.usec < 0)
            return -EINVAL;
        struct abi_timespec ts = {tv.sec + tv.usec / 1000000, tv.usec % 1000000 * 1000};
        u64 ns = timespec_to_ns(&ts);
        deadline = ns == 0 ? 0 : deadline_after(ns);
    }
    s64 ret = do_select(n, (const uaddr_t[3]){r, w, e}, deadline);
    if (utv != 0) {
        u64 now = now_ns(), left = deadline > now ? deadline - now : 0;
        tv = (struct abi_timeval){(s64)(left / NSEC_PER_SEC), (s64)(left % NSEC_PER_SEC / 1000)};
        (void)copy_to_user(utv, &tv, sizeof tv);
    }
    return ret;
}

s64 sys_pselect6(int n, uaddr_t r, uaddr_t w, uaddr_t e, uaddr_t uts, uaddr_t usig)
{
    u64 sig[2] = {0, 0}, deadline;
    if (usig != 0 && copy_from_user(sig, usig, sizeof sig) < 0)
        return -EFAULT;
    s64 ret = get_timeout(uts, CLOCK_DURATION, &deadline);
    if (ret == 0)
        ret = signal_mask_begin(sig[0], sig[1]);
    if (ret < 0)
        return ret;
    ret = do_select(n, (const uaddr_t[3]){r, w, e}, deadline);
    signal_mask_end(ret);
    timeout_end(uts, deadline);
    return ret;
}
