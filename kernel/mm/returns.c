/* SPDX-License-Identifier: Apache-2.0 */
/* Functions of programs whose return is watched: kern/textbreak.h, K4. */
#include "as_impl.h"
#include "kern/slab.h"
#include "kern/textbreak.h"
#include "kern/thread.h"
#include "kern/uaccess.h"

#define BUCKETS 256u
#define RETURNS_MAX 16384u
#define POPPED_MAX 65536u /* bytes of arguments that a function may take off the stack */

struct watched {
    struct list node;
    struct addrspace *as;
    uaddr_t sp, pc; /* where the return address lay, and which */
    void *who;
};

static struct spinlock returns_lock = SPINLOCK_INIT("text returns"); /* irq-safe: programs of clients ask, too */
static struct list buckets[BUCKETS]; /* returns_lock, as the next one; the latest first */
static u32 count;

static struct list *bucket(uaddr_t sp)
{
    struct list *b = &buckets[(sp >> 3 ^ sp >> 11) % BUCKETS];
    if (b->next == NULL)
        list_init(b);
    return b;
}

static void drop(struct watched *w, struct list *freed)
{
    list_remove(&w->node);
    list_push_back(freed, &w->node);
    count--;
}

static void free_all(struct list *freed)
{
    list_for_each_safe(w, freed, struct watched, node)
        kfree(w);
}

/* Call fn for those of as. */
static void for_each(struct addrspace *as, void (*fn)(struct watched *w, void *arg), void *arg)
{
    for (u32 i = 0; i < BUCKETS && count != 0; i++) {
        u64 flags = spin_lock_irqsave(&returns_lock);
        if (buckets[i].next != NULL)
            list_for_each_safe(w, &buckets[i], struct watched, node)
                if (w->as == as || as == NULL)
                    fn(w, arg);
        spin_unlock_irqrestore(&returns_lock, flags);
    }
}

static void drop_any(struct watched *w, void *freed) { drop(w, freed); }

static void drop_stale(struct watched *w, void *freed)
{
    u64 word;
    uaccess_nofault_begin();
    bool there = get_user_u64(w->sp, &word) == 0;
    uaccess_nofault_end();
    if (!there || !return_is_trampoline(word))
        drop(w, freed);
}

void returns_gone(struct addrspace *as)
{
    struct list freed;
    list_init(&freed);
    for_each(as, drop_any, &freed);
    free_all(&freed);
}

static void forget(struct watched *w, void *who)
{
    if (w->who == who)
        w->who = NULL;
}

void return_forget(void *who) { for_each(NULL, forget, who); }

/* --- the trampoline --------------------------------------------------------------------------------- */

bool return_is_trampoline(uaddr_t pc) { return pc != 0 && pc == callsite_trampoline(current_thread()->as); }

static uaddr_t trampoline_near(uaddr_t pc)
{
    struct addrspace *as = current_thread()->as;
    uaddr_t at = callsite_trampoline(as);
    if (at != 0)
        return at;
    rwmutex_write_lock(&as->lock);
    struct vma *v = as_find(as, pc, false);
    if (v != NULL && callsite_prepare(as))
        at = callsite_make_trampoline(v);
    as_write_unlock(as);
    return at;
}

int return_watch(uaddr_t sp, uaddr_t pc, void *who)
{
    struct addrspace *as = current_thread()->as;
    uaddr_t to, trampoline = trampoline_near(pc);
    struct list freed;
    list_init(&freed);
    if (get_user_u64(sp, &to) != 0)
        return -EFAULT;
    if (atomic_load_relaxed(&count) >= RETURNS_MAX)
        for_each(as, drop_stale, &freed);
    struct watched *w = trampoline != 0 && atomic_load_relaxed(&count) < RETURNS_MAX ? kmalloc(sizeof(*w), 0) : NULL;
    if (w == NULL || put_user_u64(sp, trampoline) != 0) {
        kfree(w);
        free_all(&freed);
        return w == NULL ? -ENOMEM : -EFAULT;
    }
    *w = (struct watched){ .as = as, .sp = sp, .pc = to, .who = who };
    u64 flags = spin_lock_irqsave(&returns_lock);
    struct list *b = bucket(sp);
    if (to != trampoline) /* a new call: what used the place before has not returned, and never will */
        list_for_each_safe(old, b, struct watched, node)
            if (old->as == as && old->sp == sp)
                drop(old, &freed);
    list_push_front(b, &w->node);
    count++;
    spin_unlock_irqrestore(&returns_lock, flags);
    free_all(&freed);
    return 0;
}

/* The latest one whose return address lay there. returns_lock held. */
static struct watched *find(struct addrspace *as, uaddr_t sp)
{
    list_for_each(w, bucket(sp), struct watched, node)
        if (w->as == as && w->sp == sp)
            return w;
    return NULL;
}

/* Of a function that also takes arguments off the stack: the nearest one. returns_lock held. */
static struct watched *find_below(struct addrspace *as, uaddr_t sp)
{
    struct watched *best = NULL;
    for (u32 i = 0; i < BUCKETS; i++)
        if (buckets[i].next != NULL)
            list_for_each(w, &buckets[i], struct watched, node)
                if (w->as == as && w->sp < sp && sp - w->sp <= POPPED_MAX && (best == NULL || w->sp > best->sp))
                    best = w;
    return best;
}

bool return_take(uaddr_t sp, void **ret_who, uaddr_t *ret_pc)
{
    struct addrspace *as = current_thread()->as;
    struct list freed;
    list_init(&freed);
    u64 flags = spin_lock_irqsave(&returns_lock);
    struct watched *w = find(as, sp - sizeof(u64));
    if (w == NULL)
        w = find_below(as, sp);
    if (w != NULL) {
        *ret_who = w->who;
        *ret_pc = w->pc;
        drop(w, &freed);
    }
    spin_unlock_irqrestore(&returns_lock, flags);
    free_all(&freed);
    return w != NULL;
}

uaddr_t return_true(uaddr_t sp, uaddr_t value)
{
    if (!return_is_trampoline(value))
        return value;
    u64 flags = spin_lock_irqsave(&returns_lock);
    list_for_each(w, bucket(sp), struct watched, node)
        if (w->as == current_thread()->as && w->sp == sp && w->pc != value) {
            value = w->pc;
            break;
        }
    spin_unlock_irqrestore(&returns_lock, flags);
    return value;
}

/* --- fork ---------------------------------------------------------------------------------------------- */

struct undo {
    uaddr_t trampoline, after, sp, pc;
};

/* The one with the lowest place on the stack from `after` on. */
static void next_place(struct watched *w, void *arg)
{
    struct undo *u = arg;
    if (w->pc != u->trampoline && w->sp >= u->after && (u->sp == 0 || w->sp < u->sp)) {
        u->sp = w->sp;
        u->pc = w->pc;
    }
}

/* The copy has no trampoline: its stacks get their return addresses back. */
void returns_forked(struct addrspace *from, struct addrspace *to)
{
    struct undo u = { .trampoline = callsite_trampoline(from) };
    u64 word;
    while (u.trampoline != 0) {
        u.sp = 0;
        for_each(from, next_place, &u);
        if (u.sp == 0)
            return;
        if (as_copy(to, u.sp, &word, sizeof(word), false) == sizeof(word) && word == u.trampoline)
            as_copy(to, u.sp, &u.pc, sizeof(u.pc), true);
        u.after = u.sp + 1;
    }
}
