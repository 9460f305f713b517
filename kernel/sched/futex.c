/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Futexes (futex(2)). Waiters hang in hash buckets; a bucket's lock orders "read the
 * user's word and queue up" against "change the word, then wake". The word is
 * read under that lock with faults failing at once; when the page is not there, the
 * lock is dropped, the page faulted in, and the call starts again.
 *
 *   X1  A waiter is on its bucket's list iff woken is false. w->bucket changes only by requeueing,
 *       with both buckets locked.
 *   X2  The waker sets `woken` as its last access to the waiter, whose stack frame
 *       may vanish from then on; it holds a reference to the thread.
 */
#include "futex_impl.h"

#include "kern/addrspace.h"

#define BUCKETS 64u /* power of two */

static struct bucket buckets[BUCKETS];

void futex_init(void)
{
    for (unsigned i = 0; i < BUCKETS; i++) {
        spin_init(&buckets[i].lock, "futex bucket");
        list_init(&buckets[i].waiters);
    }
}

struct bucket *futex_bucket(const struct futex_key *key)
{
    u64 h = ((u64)(uintptr_t)key->object >> 4) + (key->offset >> 2);
    h *= 0x9e3779b97f4a7c15ULL; /* 2^64 / golden ratio */
    return &buckets[h >> 58];
}
_Static_assert(BUCKETS == 1u << (64 - 58), "futex_bucket() takes the six top bits");

int futex_key_of(uaddr_t addr, bool shared, struct futex_key *ret)
{
    struct addrspace *as = current_thread()->as;
    if ((addr & 3) != 0)
        return -EINVAL;
    if (as == NULL || !user_range_ok(addr, 4))
        return -EFAULT;
    struct futex_key key = { as, addr };
    if (shared) {
        rwmutex_read_lock(&as->lock);
        struct vma *vma = as_find(as, addr, false);
        bool found = vma != NULL;
        if (found && (vma->flags & VMA_SHARED) != 0) {
            const void *object = vma->mapping != NULL ? (const void *)vma->mapping : vma->object;
            if (object != NULL)
                key = (struct futex_key){ object, (vma->pgoff << PAGE_SHIFT) + (addr - vma->start) };
        }
        rwmutex_read_unlock(&as->lock);
        if (!found)
            return -EFAULT;
    }
    *ret = key;
    return 0;
}

static void lock_two(struct bucket *a, struct bucket *b)
{
    spin_lock(a < b ? &a->lock : &b->lock);
    if (a != b)
        spin_lock(a < b ? &b->lock : &a->lock);
}

static void unlock_two(struct bucket *a, struct bucket *b)
{
    spin_unlock(&a->lock);
    if (a != b)
        spin_unlock(&b->lock);
}

void futex_wake_waiter(struct futex_waiter *w)
{
    struct thread *t = thread_get(w->thread);
    list_remove(&w->node);
    atomic_store(&w->woken, true); /* X2 */
    thread_wake(t);
    thread_put(t);
}

/* Bucket locked. 0 and less wake one, as on Linux; -EINVAL at one that waits to get a lock, after those before it. */
static int wake_matching(struct bucket *b, const struct futex_key *key, unsigned max, u32 bitset)
{
    int n = 0;
    for (struct list *l = b->waiters.next, *next; l != &b->waiters; l = next) {
        struct futex_waiter *w = list_entry(l, struct futex_waiter, node);
        next = l->next;
        if (!futex_same_key(&w->key, key))
            continue;
        if (w->pi != NULL)
            return -EINVAL;
        if ((w->bitset & bitset) == 0)
            continue;
        futex_wake_waiter(w);
        if (++n >= (s32)max)
            break;
    }
    return n;
}

int futex_read_nofault(uaddr_t addr, u32 *ret)
{
    uaccess_nofault_begin();
    int err = get_user_u32(addr, ret);
    uaccess_nofault_end();
    return err;
}

/* Lock the bucket a waiter is in now. NULL when it has been woken. */
static struct bucket *lock_waiter(struct futex_waiter *w)
{
    for (;;) {
        struct bucket *b = atomic_load(&w->bucket);
        spin_lock(&b->lock);
        if (w->woken) {
            spin_unlock(&b->lock);
            return NULL;
        }
        if (w->bucket == b)
            return b;
        spin_unlock(&b->lock);
    }
}

bool futex_unqueue(struct futex_waiter *w)
{
    struct bucket *b = lock_waiter(w);
    if (b == NULL)
        return false;
    list_remove(&w->node);
    spin_unlock(&b->lock);
    return true;
}

int futex_queue(struct futex_waiter *w, uaddr_t addr, u32 value, bool shared)
{
    for (;;) { /* until the word can be read under the lock */
        u32 found;
        int err = futex_key_of(addr, shared, &w->key);
        if (err != 0)
            return err;
        w->bucket = futex_bucket(&w->key);
        spin_lock(&w->bucket->lock);
        list_push_back(&w->bucket->waiters, &w->node);
        atomic_fence(); /* on the list, then the word is read: pairs with futex_wake() */
        err = futex_read_nofault(addr, &found);
        if (err == 0 && found == value) {
            spin_unlock(&w->bucket->lock);
            return 0;
        }
        list_remove(&w->node);
        spin_unlock(&w->bucket->lock);
        if (err == 0)
            return -EAGAIN;
        err = get_user_u32(addr, &found);
        if (err != 0)
            return err;
    }
}

int futex_wait_on(struct futex_waiter *w, uaddr_t addr, u32 value, bool shared, u64 deadline_ns)
{
    w->thread = current_thread();
    int err = futex_queue(w, addr, value, shared);
    if (err != 0)
        return err;
    while (err == 0 && !atomic_load(&w->woken)) {
        thread_prepare_block(true);
        if (!atomic_load(&w->woken))
            err = thread_block(deadline_ns);
    }
    thread_cancel_block();
    return err != 0 && !futex_unqueue(w) ? 0 : err;
}

int futex_wait(uaddr_t addr, u32 value, u32 bitset, bool shared, u64 deadline_ns)
{
    struct futex_waiter w = {.bitset = bitset};
    return bitset != 0 ? futex_wait_on(&w, addr, value, shared, deadline_ns) : -EINVAL;
}

int futex_wake(uaddr_t addr, unsigned max, u32 bitset, bool shared)
{
    struct futex_key key;
    if (bitset == 0)
        return -EINVAL;
    int err = futex_key_of(addr, shared, &key);
    if (err != 0)
        return err;
    struct bucket *b = futex_bucket(&key);
    atomic_fence(); /* the program's store to the word, then this look; the waiter does it the other way round */
    if (list_empty(&b->waiters))
        return 0;
    spin_lock(&b->lock);
    int n = wake_matching(b, &key, max, bitset);
    spin_unlock(&b->lock);
    return n;
}

static void move_waiter(struct futex_waiter *w, struct bucket *to, const struct futex_key *key)
{
    list_remove(&w->node);
    list_push_back(&to->waiters, &w->node);
    w->key = *key;
    atomic_store(&w->bucket, to);
}

int futex_requeue(uaddr_t from, uaddr_t to, unsigned max_wake, unsigned max_requeue, bool compare, u32 value, bool shared)
{
    struct futex_key key1, key2;
    if (max_wake > INT32_MAX || max_requeue > INT32_MAX)
        return -EINVAL;
    for (;;) {
        u32 found = value;
        int err = futex_key_of(from, shared, &key1);
        if (err == 0)
            err = futex_key_of(to, shared, &key2);
        if (err != 0)
            return err;
        struct bucket *b1 = futex_bucket(&key1), *b2 = futex_bucket(&key2);
        lock_two(b1, b2);
        err = compare ? futex_read_nofault(from, &found) : 0;
        if (err == 0 && found == value) {
            s64 done = 0, most = (s64)max_wake + max_requeue;
            for (struct list *l = b1->waiters.next, *next; err == 0 && l != &b1->waiters && done < most; l = next) {
                struct futex_waiter *w = list_entry(l, struct futex_waiter, node);
                next = l->next;
                if (!futex_same_key(&w->key, &key1))
                    continue;
                if (w->pi != NULL)
                    err = -EINVAL;
                else if (++done <= max_wake)
                    futex_wake_waiter(w);
                else if (!futex_same_key(&key1, &key2))
                    move_waiter(w, b2, &key2); /* in the same bucket it is met again, with another key */
            }
            unlock_two(b1, b2);
            return err != 0 ? err : (int)done;
        }
        unlock_two(b1, b2);
        if (err == 0)
            return -EAGAIN;
        err = get_user_u32(from, &found);
        if (err != 0)
            return err;
    }
}

/* FUTEX_OP of futex(2): op:4 cmp:4 oparg:12 cmparg:12; bit 3 of op shifts the argument. */
static int apply_op(u32 encoded, u32 old, u32 *ret_new)
{
    s32 arg = (s32)(encoded << 8) >> 20;
    if ((encoded >> 28 & 8) != 0)
        arg = (s32)(1u << (arg & 31));
    switch (encoded >> 28 & 7) {
    case 0: *ret_new = (u32)arg; return 0;
    case 1: *ret_new = old + (u32)arg; return 0;
    case 2: *ret_new = old | (u32)arg; return 0;
    case 3: *ret_new = old & ~(u32)arg; return 0;
    case 4: *ret_new = old ^ (u32)arg; return 0;
    default: return -ENOSYS;
    }
}

/* 0, 1, or -ENOSYS. */
static int compare_op(u32 encoded, u32 old)
{
    s32 v = (s32)old, arg = (s32)(encoded << 20) >> 20;
    switch (encoded >> 24 & 15) {
    case 0: return v == arg;
    case 1: return v != arg;
    case 2: return v < arg;
    case 3: return v <= arg;
    case 4: return v > arg;
    case 5: return v >= arg;
    default: return -ENOSYS;
    }
}

/* Change the word with faults failing at once; *ret_old = what it was. */
static int change_word_nofault(uaddr_t addr, u32 encoded, u32 *ret_old)
{
    u32 old, new, seen;
    uaccess_nofault_begin();
    int err = get_user_u32(addr, &old);
    while (err == 0) {
        err = apply_op(encoded, old, &new);
        if (err == 0)
            err = cas_user_u32(addr, old, new, &seen);
        if (err != 0 || seen == old)
            break;
        old = seen;
    }
    uaccess_nofault_end();
    *ret_old = old;
    return err;
}

int futex_fault_in(uaddr_t addr)
{
    u32 v, seen;
    int err = get_user_u32(addr, &v);
    return err != 0 ? err : cas_user_u32(addr, v, v, &seen);
}

int futex_wake_op(uaddr_t addr1, uaddr_t addr2, unsigned max1, unsigned max2, u32 encoded, bool shared)
{
    struct futex_key key1, key2;
    for (;;) {
        int err = futex_key_of(addr1, shared, &key1);
        if (err == 0)
            err = futex_key_of(addr2, shared, &key2);
        if (err != 0)
            return err;
        struct bucket *b1 = futex_bucket(&key1), *b2 = futex_bucket(&key2);
        u32 old = 0;
        lock_two(b1, b2);
        err = change_word_nofault(addr2, encoded, &old);
        if (err == 0) {
            int hit = compare_op(encoded, old), n = hit < 0 ? hit : wake_matching(b1, &key1, max1, FUTEX_BITSET_ALL), more = 0;
            if (n >= 0 && hit == 1)
                more = wake_matching(b2, &key2, max2, FUTEX_BITSET_ALL);
            unlock_two(b1, b2);
            return n < 0 || more >= 0 ? n + more : more;
        }
        unlock_two(b1, b2);
        if (err == -EFAULT)
            err = futex_fault_in(addr2);
        if (err != 0)
            return err;
    }
}
