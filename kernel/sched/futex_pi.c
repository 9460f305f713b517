/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Futexes that are locks with priority inheritance (futex(2), "Priority-inheritance futexes"). The word says who owns a lock; the
 * kernel knows only of those that wait, in the list of the owner they wait for.
 *
 *   I1  A waiter is in owner->pi_waiters, highest priority first, exactly while its state is WAITING, and
 *       thread->pi_blocked points to it then.
 *   I2  The boost of a thread is the priority of the first of its pi_waiters.
 *   I3  With waiters, the word is never 0: unlocking writes the number of the next owner. An owner that ends
 *       sends its waiters away to look again.
 *   I4  Waits form no circle: who would close one gets EDEADLK.
 *
 * Lock: pi_lock for all of this, and for changing words; > run queue.
 */
#include "futex_impl.h"
#include "sched_impl.h"

#define DEPTH_MAX 1024u /* of a chain of owners that wait, as on Linux */
#define ENDING_NS 100000u

struct pi_waiter {
    struct list node;
    struct futex_key key;
    struct thread *thread, *owner;
    u32 tid;
    u8 state; /* atomic; the last access of who changes it, but for the wake-up */
};
enum { WAITING, OWNS, LOOK_AGAIN };

static struct spinlock pi_lock = SPINLOCK_INIT("futex pi");
struct thread *(*futex_find_thread)(u32 tid);

/* --- priorities: pi_lock held ------------------------------------------------------------------ */

static void insert(struct pi_waiter *w)
{
    struct list *at = &w->owner->pi_waiters;
    list_for_each(o, &w->owner->pi_waiters, struct pi_waiter, node)
        if (prio_of(o->thread) < prio_of(w->thread)) {
            at = &o->node;
            break;
        }
    list_insert_before(at, &w->node);
}

/* I2, after t's waiters changed, and on along the chain. */
static void update_boost(struct thread *t)
{
    for (u32 n = 0; n < DEPTH_MAX; n++) {
        u8 lent = list_empty(&t->pi_waiters) ? 0 : prio_of(list_first(&t->pi_waiters, struct pi_waiter, node)->thread);
        if (t->boost == lent)
            return;
        thread_set_boost(t, lent);
        struct pi_waiter *w = t->pi_blocked;
        if (w == NULL)
            return;
        list_remove(&w->node);
        insert(w);
        t = w->owner;
    }
}

void pi_priority_changed(struct thread *t)
{
    atomic_fence(); /* the new priority, then this look; queue_up() does it the other way round */
    if (atomic_load_relaxed(&t->pi_blocked) == NULL)
        return;
    spin_lock(&pi_lock);
    struct pi_waiter *w = t->pi_blocked;
    if (w != NULL) {
        list_remove(&w->node);
        insert(w);
        update_boost(w->owner);
    }
    spin_unlock(&pi_lock);
}

/* I4: does the owner wait for the current thread, through others perhaps? */
static bool closes_circle(const struct thread *owner)
{
    const struct thread *t = owner;
    for (u32 n = 0; n < DEPTH_MAX; n++) {
        if (t == current_thread())
            return true;
        if (t->pi_blocked == NULL)
            return false;
        t = t->pi_blocked->owner;
    }
    return true;
}

static void take_out(struct pi_waiter *w)
{
    list_remove(&w->node);
    w->thread->pi_blocked = NULL;
}

static void end_wait(struct pi_waiter *w, u8 state)
{
    struct thread *t = thread_get(w->thread);
    atomic_store(&w->state, state);
    thread_wake(t);
    thread_put(t);
}

/* --- locking --------------------------------------------------------------------------------------- */

static int change_word(uaddr_t addr, u32 old, u32 new)
{
    u32 seen;
    uaccess_nofault_begin();
    int err = cas_user_u32(addr, old, new, &seen);
    uaccess_nofault_end();
    return err != 0 || seen == old ? err : -EAGAIN;
}

/* 1: w waits for `owner`. pi_lock held. */
static int queue_up(struct pi_waiter *w, uaddr_t addr, u32 v, struct thread *owner)
{
    if (closes_circle(owner))
        return -EDEADLK;
    int err = change_word(addr, v, v | FUTEX_WAITERS);
    if (err != 0)
        return err;
    w->owner = owner;
    atomic_store(&w->thread->pi_blocked, w);
    atomic_fence();
    insert(w);
    update_boost(owner);
    thread_prepare_block(true);
    return 1;
}

/* One look at the word: 0 it is ours, 1 w waits, -EAGAIN look again, or an error. *dead: an owner that has ended; set when w waits to
 * whom it waits for. */
static int look(struct pi_waiter *w, uaddr_t addr, bool try, u32 *dead)
{
    struct thread *owner = NULL;
    bool ending = false;
    u32 v;
    int err = get_user_u32(addr, &v);
    if (err != 0)
        return err;
    u32 tid = v & FUTEX_TID_MASK;
    if (tid == w->tid)
        return -EDEADLK;
    bool is_free = tid == 0 || tid == *dead;
    if (!is_free && (owner = futex_find_thread(tid)) == NULL) {
        err = change_word(addr, v, v | FUTEX_WAITERS);
        return err != 0 ? err : -ESRCH;
    }
    spin_lock(&pi_lock);
    if (is_free) {
        u32 kept = v & (FUTEX_OWNER_DIED | (*dead != 0 ? FUTEX_WAITERS : 0));
        err = change_word(addr, v, w->tid | kept | (tid != 0 ? FUTEX_OWNER_DIED : 0));
    } else if (owner->pi_ended) {
        ending = true;
        err = -EAGAIN;
    } else {
        err = try ? change_word(addr, v, v | FUTEX_WAITERS) : queue_up(w, addr, v, owner);
        err = try && err == 0 ? -EWOULDBLOCK : err;
    }
    spin_unlock(&pi_lock);
    if (err == 1)
        *dead = tid;
    thread_put(owner); /* from here on I3 keeps w->owner */
    if (ending)
        (void)thread_sleep_until(now_ns() + ENDING_NS, false); /* it clears the word, or cannot be found any more */
    return err;
}

/* Until the state changes: 0, or -ETIMEDOUT, -ERESTARTSYS and out of the list. */
static int wait_for_owner(struct pi_waiter *w, u64 deadline_ns)
{
    int err = 0;
    while (atomic_load(&w->state) == WAITING && err == 0) {
        err = thread_block(deadline_ns);
        if (err == 0)
            thread_prepare_block(true);
    }
    if (err != 0) {
        spin_lock(&pi_lock);
        if (w->state == WAITING) {
            take_out(w);
            update_boost(w->owner);
        } else {
            err = 0;
        }
        spin_unlock(&pi_lock);
    }
    thread_cancel_block();
    return err;
}

int futex_lock_pi(uaddr_t addr, u32 tid, bool shared, u64 deadline_ns, bool try)
{
    u32 dead = 0;
    for (;;) {
        struct pi_waiter w = {.thread = current_thread(), .tid = tid};
        int err = futex_key_of(addr, shared, &w.key);
        if (err == 0)
            err = look(&w, addr, try, &dead);
        if (err == 1) {
            err = wait_for_owner(&w, deadline_ns);
            if (err == 0 && w.state == LOOK_AGAIN)
                err = -EAGAIN;
        } else if (err == -EFAULT) {
            err = futex_fault_in(addr);
            err = err == 0 ? -EAGAIN : err;
        } else if (err == -EWOULDBLOCK && try) {
            return err;
        }
        if (err != -EAGAIN)
            return err;
        if (thread_interrupted())
            return -ERESTARTSYS;
    }
}

/* The lock of `top`, the first waiter for it, is now its own; the others wait for it from now on. pi_lock held. */
static void hand_over(struct pi_waiter *top)
{
    struct thread *old = top->owner, *new = top->thread;
    take_out(top);
    list_for_each_safe(w, &old->pi_waiters, struct pi_waiter, node) {
        if (!futex_same_key(&w->key, &top->key))
            continue;
        list_remove(&w->node);
        w->owner = new;
        insert(w);
    }
    update_boost(new);
    update_boost(old);
    end_wait(top, OWNS);
}

int futex_unlock_pi(uaddr_t addr, u32 tid, bool shared)
{
    struct thread *self = current_thread();
    struct futex_key key;
    for (;;) {
        u32 v;
        int err = get_user_u32(addr, &v);
        if (err == 0)
            err = (v & FUTEX_TID_MASK) != tid ? -EPERM : futex_key_of(addr, shared, &key);
        if (err != 0)
            return err;
        struct pi_waiter *top = NULL;
        spin_lock(&pi_lock);
        list_for_each(w, &self->pi_waiters, struct pi_waiter, node)
            if (futex_same_key(&w->key, &key)) {
                top = w;
                break;
            }
        err = change_word(addr, v, top != NULL ? top->tid | FUTEX_WAITERS : 0);
        if (err == 0 && top != NULL)
            hand_over(top);
        spin_unlock(&pi_lock);
        if (err == -EFAULT)
            err = futex_fault_in(addr);
        else if (err == 0)
            return 0;
        if (err != 0 && err != -EAGAIN)
            return err;
    }
}

void futex_pi_exit(bool ended)
{
    struct thread *self = current_thread();
    spin_lock(&pi_lock);
    self->pi_ended = ended;
    while (!list_empty(&self->pi_waiters)) {
        struct pi_waiter *w = list_first(&self->pi_waiters, struct pi_waiter, node);
        take_out(w);
        end_wait(w, LOOK_AGAIN);
    }
    update_boost(self);
    spin_unlock(&pi_lock);
}

/* --- condition variables: from a word to a lock ------------------------------------------------------- */

int futex_wait_requeue_pi(uaddr_t addr, u32 value, uaddr_t lock, u32 tid, bool shared, u64 deadline_ns)
{
    struct futex_key key;
    if (addr == lock)
        return -EINVAL;
    int err = futex_key_of(lock, shared, &key);
    if (err != 0)
        return err;
    struct futex_waiter w = {.bitset = FUTEX_BITSET_ALL, .pi = &key};
    err = futex_wait_on(&w, addr, value, shared, deadline_ns);
    return err != 0 ? err : futex_lock_pi(lock, tid, shared, deadline_ns, false);
}

/* A waiter that is moved to a lock queues up there itself, before it returns to its program. */
int futex_cmp_requeue_pi(uaddr_t addr, uaddr_t lock, unsigned max_wake, unsigned max_requeue, u32 value, bool shared)
{
    struct futex_key key, lock_key;
    if (addr == lock || max_wake != 1 || max_requeue > INT32_MAX)
        return -EINVAL;
    for (;;) {
        u32 found;
        int err = futex_key_of(addr, shared, &key), n = 0;
        if (err == 0)
            err = futex_key_of(lock, shared, &lock_key);
        if (err == 0 && futex_same_key(&key, &lock_key))
            err = -EINVAL;
        if (err != 0)
            return err;
        struct bucket *b = futex_bucket(&key);
        spin_lock(&b->lock);
        err = futex_read_nofault(addr, &found);
        if (err == 0 && found != value)
            err = -EAGAIN;
        for (struct list *l = b->waiters.next, *next; err == 0 && l != &b->waiters && (unsigned)n < max_wake + max_requeue; l = next) {
            struct futex_waiter *w = list_entry(l, struct futex_waiter, node);
            next = l->next;
            if (!futex_same_key(&w->key, &key))
                continue;
            if (w->pi == NULL || !futex_same_key(w->pi, &lock_key)) {
                err = -EINVAL;
                break;
            }
            futex_wake_waiter(w);
            n++;
        }
        spin_unlock(&b->lock);
        if (err == -EFAULT)
            err = get_user_u32(addr, &found);
        else
            return err == 0 ? n : err;
        if (err != 0)
            return err;
    }
}
