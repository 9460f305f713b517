/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kernel virtual ranges: pages that need not be neighbours, mapped side by side in
 * [PLAT_KVMAP_START, PLAT_KVMAP_END) with an unmapped page on both sides. For thread
 * stacks above all, so a few areas of their size stay mapped for the next thread.
 *
 * Ranges in use form a tree ordered by address; a new one goes into the first
 * gap that fits. Two neighbours share the guard page between them. No gap before `full_to` has
 * room for a thread stack, so that ten thousands of stacks are not walked over for each new one.
 *
 * Lock: vmap_lock, a mutex (allocations inside may sleep; the shrinker only tries it).
 */
#include "kern/slab.h"

#include "base/rbtree.h"
#include "kern/lock.h"
#include "kern/log.h"
#include "kern/percpu.h"

#define SPARE_SIZE (16 * 1024UL)
#define SPARE_MAX 4u

struct vmap_area {
    struct rb_node node;   /* vmap_lock */
    u64 start;
    u32 npages;
    unsigned rights;       /* MAP_* */
    struct page *pages[];  /* [npages] */
};

static struct mutex vmap_lock;
static struct rb_root areas = RB_ROOT_INIT; /* vmap_lock */
static struct vmap_area *full_to;           /* vmap_lock; NULL = look from the beginning */
static struct vmap_area *spare[SPARE_MAX]; /* vmap_lock; still in `areas` and mapped */
static u32 spares;
static bool ready;

static struct vmap_area *area_of(struct rb_node *n) { return n != NULL ? rb_entry(n, struct vmap_area, node) : NULL; }

static void area_unlink(struct vmap_area *a)
{
    if (full_to != NULL && full_to->start >= a->start)
        full_to = area_of(rb_prev(&a->node));
    rb_remove(&areas, &a->node);
}

static void area_release(struct vmap_area *a)
{
    plat_kunmap((void *)(uintptr_t)a->start, (size_t)a->npages << PAGE_SHIFT);
    area_unlink(a);
    for (u32 i = 0; i < a->npages; i++)
        page_put(a->pages[i]);
    kfree(a);
}

static size_t vmap_shrink(size_t pages_wanted)
{
    size_t n = 0;
    if (!mutex_trylock(&vmap_lock))
        return 0;
    while (spares > 0) {
        n += spare[spares - 1]->npages;
        area_release(spare[--spares]);
    }
    mutex_unlock(&vmap_lock);
    return n;
}

static struct shrinker vmap_shrinker = { .shrink = vmap_shrink };

static u64 area_end(const struct vmap_area *a) { return a->start + ((u64)a->npages + 1) * PAGE_SIZE; }

static bool area_before(const struct rb_node *a, const struct rb_node *b)
{
    return rb_entry(a, struct vmap_area, node)->start < rb_entry(b, struct vmap_area, node)->start;
}

/* Link `a` into the first gap with room for it and a guard page at each end. */
static bool place(struct vmap_area *a)
{
    u64 need = (u64)a->npages * PAGE_SIZE;
    bool is_stack = need >= SPARE_SIZE;
    struct vmap_area *before = is_stack ? full_to : NULL;
    u64 at = before != NULL ? area_end(before) : PLAT_KVMAP_START + PAGE_SIZE;
    struct vmap_area *b = area_of(before != NULL ? rb_next(&before->node) : rb_first(&areas));
    for (; b != NULL && b->start - at < need + PAGE_SIZE; b = area_of(rb_next(&b->node)))
        at = area_end(b);
    if (b == NULL && (at >= PLAT_KVMAP_END || PLAT_KVMAP_END - at < need + PAGE_SIZE))
        return false;
    a->start = at;
    rb_insert(&areas, &a->node, area_before);
    if (need == SPARE_SIZE)
        full_to = a;
    return true;
}

static int map_pages(struct vmap_area *a)
{
    for (u32 i = 0, n; i < a->npages; i += n) {
        u64 va = a->start + (u64)i * PAGE_SIZE;
        for (n = 1; i + n < a->npages && page_phys(a->pages[i + n]) == page_phys(a->pages[i]) + n * PAGE_SIZE;)
            n++;
        int err = plat_kmap((void *)(uintptr_t)va, page_phys(a->pages[i]), n * PAGE_SIZE, a->rights);
        if (err != 0) {
            if (i > 0)
                plat_kunmap((void *)(uintptr_t)a->start, (size_t)i << PAGE_SHIFT);
            return err;
        }
    }
    return 0;
}

/* One block when there is one of that size to be had easily: the platform may map it in one step. */
static bool get_pages(struct vmap_area *a, u32 npages)
{
    unsigned order = (unsigned)__builtin_ctz(npages);
    struct page *block = npages == 1u << order && order <= 4 ? page_alloc(order, ALLOC_NORETRY) : NULL;
    if (block != NULL)
        page_split(block);
    for (a->npages = 0; a->npages < npages; a->npages++) {
        a->pages[a->npages] = block != NULL ? block + a->npages : page_alloc(0, 0);
        if (a->pages[a->npages] == NULL)
            return false;
    }
    return true;
}

static struct vmap_area *area_create(u32 npages)
{
    struct vmap_area *a = kmalloc(sizeof(*a) + npages * sizeof(a->pages[0]), 0);
    if (a == NULL)
        return NULL;
    a->rights = MAP_READ | MAP_WRITE;
    if (!get_pages(a, npages))
        goto out_pages;
    mutex_lock(&vmap_lock);
    if (!place(a))
        goto out_unlock;
    if (map_pages(a) != 0) {
        area_unlink(a);
        goto out_unlock;
    }
    mutex_unlock(&vmap_lock);
    return a;

out_unlock:
    mutex_unlock(&vmap_lock);
out_pages:
    while (a->npages > 0)
        page_put(a->pages[--a->npages]);
    kfree(a);
    return NULL;
}

void *vmap_alloc(size_t size_bytes)
{
    if (size_bytes == 0 || size_bytes > PLAT_KVMAP_END - PLAT_KVMAP_START)
        return NULL;
    if (!ready) { /* the first thread stack, before other CPUs and threads */
        mutex_init(&vmap_lock, "vmap");
        shrinker_register(&vmap_shrinker);
        ready = true;
    }
    size_t size = ALIGN_UP(size_bytes, PAGE_SIZE);
    if (size == SPARE_SIZE && spares > 0) {
        struct vmap_area *a = NULL;
        mutex_lock(&vmap_lock);
        if (spares > 0)
            a = spare[--spares];
        mutex_unlock(&vmap_lock);
        if (a != NULL)
            return (void *)(uintptr_t)a->start;
    }
    struct vmap_area *a = area_create((u32)(size >> PAGE_SHIFT));
    return a != NULL ? (void *)(uintptr_t)a->start : NULL;
}

/* vmap_lock held. */
static struct vmap_area *area_at(const void *p, size_t size)
{
    struct rb_node *n = areas.node;
    while (n != NULL && area_of(n)->start != (uintptr_t)p)
        n = area_of(n)->start > (uintptr_t)p ? n->left : n->right;
    struct vmap_area *a = area_of(n);
    if (a == NULL)
        panic("vmap_free: %p is not a kernel range", p);
    ASSERT((size_t)a->npages << PAGE_SHIFT == size);
    return a;
}

int vmap_make_code(void *p, size_t size_bytes)
{
    size_t size = ALIGN_UP(size_bytes, PAGE_SIZE);
    mutex_lock(&vmap_lock);
    struct vmap_area *a = area_at(p, size);
    plat_kunmap(p, size);
    a->rights = MAP_READ | MAP_EXEC;
    int err = map_pages(a);
    mutex_unlock(&vmap_lock);
    return err;
}

void vmap_free(void *p, size_t size_bytes)
{
    if (p == NULL)
        return;
    size_t size = ALIGN_UP(size_bytes, PAGE_SIZE);
    mutex_lock(&vmap_lock);
    struct vmap_area *a = area_at(p, size);
    if (size == SPARE_SIZE && (a->rights & MAP_WRITE) != 0 && spares < SPARE_MAX && !page_scarce())
        spare[spares++] = a;
    else
        area_release(a);
    mutex_unlock(&vmap_lock);
}
