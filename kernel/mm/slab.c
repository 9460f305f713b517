/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Small objects, after Bonwick's slab allocator (USENIX 1994) and its magazines
 * (USENIX 2001), with both reduced to linked lists.
 *
 * A *slab* is a block of pages cut into equal objects; its free ones are chained
 * through their first word from page->private, page->index counts those in use. Each CPU
 * keeps a short chain of free objects per cache, so that an allocation is a pop;
 * it is filled from and spilled to the slabs in batches. Objects in such a chain count as
 * in use for their slab, not for kmem_cache_in_use().
 *
 * kmalloc() rounds up to a size class; beyond the largest class it takes whole
 * pages, which kfree() tells apart by the page's kind.
 *
 * Locks: cache->lock (bottom halves off) guards the slabs; a CPU's chain belongs to that
 * CPU with bottom halves off; caches_lock guards the list of caches. Order: cache->lock, then page.zone.
 */
#include "kern/slab.h"

#include "base/str.h"
#include "kern/lock.h"
#include "kern/log.h"
#include "mm_impl.h"
#include "poison.h"

#define CLASS_MAX 2048u
#define CHAIN_BYTES 4096u /* a CPU's chain of one cache holds at most this ... */
#define CHAIN_MAX 32u     /* ... and this many objects */
#define EMPTY_KEEP 1u     /* empty slabs a cache holds on to */
#define SLAB_MIN_OBJECTS 4u

struct chain {
    void *free;
    u32 count;
    s32 in_use; /* this CPU's share of the sum */
};

struct kmem_cache {
    struct spinlock lock;
    struct list partial;    /* lock: slabs with a free object; empty ones at the back */
    u32 empty;              /* lock: slabs without one in use */
    u64 slabs;              /* lock */
    u32 size, align;        /* constant, as the rest */
    u16 per_slab, batch;
    u8 order;
    u8 ncpus;
    const char *name;
    struct list node;       /* caches_lock */
    struct chain chains[];  /* [ncpus] */
};

static const u16 class_size[] = { 16, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048 };
static const char *const class_name[] = { "kmalloc-16",  "kmalloc-32",  "kmalloc-48",  "kmalloc-64",   "kmalloc-96",
                                          "kmalloc-128", "kmalloc-192", "kmalloc-256", "kmalloc-384",  "kmalloc-512",
                                          "kmalloc-768", "kmalloc-1024", "kmalloc-1536", "kmalloc-2048" };
static struct kmem_cache *class_cache[ARRAY_SIZE(class_size)];
static u8 class_of[CLASS_MAX / 16 + 1]; /* by size in 16-byte units, rounded up */

static struct list caches = LIST_INIT(caches);
static struct spinlock caches_lock = SPINLOCK_INIT("slab.caches");
static u8 *cache_mem, *cache_mem_end; /* caches_lock: where descriptors are cut from */

/* Free objects are poisoned for the sanitizer, so these two are exempt. */
static RAW_ACCESS void *link_get(void *obj) { return *(void **)obj; }
static RAW_ACCESS void link_set(void *obj, void *next) { *(void **)obj = next; }

/* --- slabs: cache->lock held ------------------------------------------------------ */

static struct page *slab_head(const struct kmem_cache *c, const void *obj)
{
    return page_of(ALIGN_DOWN(virt_to_phys(obj), PAGE_SIZE << c->order));
}

static NO_ASAN void slab_carve(struct kmem_cache *c, struct page *p)
{
    u8 *base = page_virt(p);
    void *chain = NULL;
    for (unsigned i = 0; i < 1u << c->order; i++)
        p[i].slab = c;
    for (unsigned i = c->per_slab; i-- > 0;) {
        link_set(base + (size_t)i * c->size, chain);
        chain = base + (size_t)i * c->size;
    }
    mem_poison(base, PAGE_SIZE << c->order);
    p->private = (uintptr_t)chain;
    p->index = 0;
}

/* Return one object to its slab; a slab that must go is put on `ret_dead`. */
static void slab_give(struct kmem_cache *c, void *obj, struct list *ret_dead)
{
    struct page *p = slab_head(c, obj);
    ASSERT(p->kind == PAGE_SLAB && p->slab == c && p->index > 0);
    link_set(obj, (void *)(uintptr_t)p->private);
    p->private = (uintptr_t)obj;
    if (p->index-- == c->per_slab)
        list_push_front(&c->partial, &p->node);
    if (p->index != 0)
        return;
    list_remove(&p->node);
    if (c->empty >= EMPTY_KEEP) {
        c->slabs--;
        list_push_back(ret_dead, &p->node);
    } else {
        c->empty++;
        list_push_back(&c->partial, &p->node);
    }
}

static size_t slabs_free(struct kmem_cache *c, struct list *dead)
{
    size_t n = 0;
    struct list *l;
    while ((l = list_pop_front(dead)) != NULL) {
        struct page *p = list_entry(l, struct page, node);
        for (unsigned i = 1; i < 1u << c->order; i++)
            p[i].kind = PAGE_KERNEL;
        page_free(p, c->order);
        n += 1u << c->order;
    }
    return n;
}

static void slab_add(struct kmem_cache *c, struct page *p)
{
    page_set_kind(p, PAGE_SLAB);
    for (unsigned i = 1; i < 1u << c->order; i++)
        p[i].kind = PAGE_SLAB; /* looked up by kfree(); counted with the head */
    slab_carve(c, p);
    spin_lock_bh(&c->lock);
    c->slabs++;
    c->empty++;
    list_push_back(&c->partial, &p->node);
    spin_unlock_bh(&c->lock);
}

/* Fill a chain from partial slabs. Bottom halves off. */
static NOINLINE void chain_fill(struct kmem_cache *c, struct chain *ch)
{
    spin_lock(&c->lock);
    while (ch->count < c->batch && !list_empty(&c->partial)) {
        struct page *p = list_first(&c->partial, struct page, node);
        void *obj = (void *)(uintptr_t)p->private;
        if (p->index == 0)
            c->empty--;
        while (obj != NULL && ch->count < c->batch) {
            void *next = link_get(obj);
            link_set(obj, ch->free);
            ch->free = obj;
            ch->count++;
            p->index++;
            obj = next;
        }
        p->private = (uintptr_t)obj;
        if (obj == NULL)
            list_remove(&p->node);
    }
    spin_unlock(&c->lock);
}

/* Spill n objects to their slabs. Bottom halves off. */
static NOINLINE size_t chain_spill(struct kmem_cache *c, struct chain *ch, u32 n)
{
    struct list dead;
    list_init(&dead);
    spin_lock(&c->lock);
    for (; n > 0 && ch->free != NULL; n--) {
        void *obj = ch->free;
        ch->free = link_get(obj);
        ch->count--;
        slab_give(c, obj, &dead);
    }
    spin_unlock(&c->lock);
    return slabs_free(c, &dead);
}

/* --- objects ------------------------------------------------------------------------- */

static ALWAYS_INLINE struct chain *chain_of(struct kmem_cache *c, const struct percpu *cpu)
{
    return &c->chains[cpu->cpu < c->ncpus ? cpu->cpu : 0];
}

static ALWAYS_INLINE void *chain_pop(struct chain *ch)
{
    void *obj = ch->free;
    if (unlikely(obj == NULL))
        return NULL;
    ch->free = link_get(obj);
    ch->count--;
    ch->in_use++;
    return obj;
}

/* An object's first bytes, for kmem_alloc() and kmalloc(). */
static ALWAYS_INLINE void *handed_out(void *obj, size_t size, unsigned flags)
{
    mem_unpoison(obj, size);
    return flags & ALLOC_ZERO ? memset(obj, 0, size) : obj;
}

/* The chain was empty, or a test decides. The CPU is left. */
static NOINLINE void *alloc_slow(struct kmem_cache *c, struct percpu *cpu, size_t size, unsigned flags)
{
    if (unlikely(alloc_fail_hook != NULL)) { /* it asks what its caller's state is */
        cpu_leave(cpu);
        if (alloc_fail_hook())
            return NULL;
        cpu = cpu_enter();
    }
    for (;;) { /* others may take all of a fresh slab: only a lack of pages ends it */
        struct chain *ch = chain_of(c, cpu);
        if (ch->free == NULL)
            chain_fill(c, ch);
        void *obj = chain_pop(ch);
        cpu_leave(cpu);
        if (obj != NULL)
            return handed_out(obj, size, flags);
        struct page *p = page_alloc(c->order, flags & (ALLOC_ATOMIC | ALLOC_NORETRY));
        if (p == NULL)
            return NULL;
        slab_add(c, p);
        cpu = cpu_enter();
    }
}

/* Bottom halves wait, or it is to be zeros. */
static NOINLINE void *alloc_end(void *obj, size_t size, unsigned flags, bool pending)
{
    if (pending)
        bh_enabled();
    return handed_out(obj, size, flags);
}

/* The usual case calls nothing, so that it need not save registers. */
static ALWAYS_INLINE void *cache_alloc(struct kmem_cache *c, size_t size, unsigned flags)
{
    struct percpu *cpu = cpu_enter();
    void *obj = likely(alloc_fail_hook == NULL) ? chain_pop(chain_of(c, cpu)) : NULL;
    if (unlikely(obj == NULL))
        return alloc_slow(c, cpu, size, flags);
    bool pending = cpu_leaving(cpu);
    if (unlikely(pending || (flags & ALLOC_ZERO)))
        return alloc_end(obj, size, flags, pending);
    return handed_out(obj, size, 0);
}

#if MM_QUARANTINE
static void *quarantine[MM_QUARANTINE];
static u32 quarantine_next;
#endif

/* What is really given back when `obj` is freed: an older one where there is a quarantine. */
static ALWAYS_INLINE void *quarantine_swap(void *obj)
{
#if MM_QUARANTINE
    return atomic_xchg(&quarantine[atomic_add(&quarantine_next, 1u) % MM_QUARANTINE], obj);
#else
    return obj;
#endif
}

static NOINLINE void chain_full(struct kmem_cache *c, struct chain *ch, struct percpu *cpu)
{
    chain_spill(c, ch, c->batch);
    cpu_leave(cpu);
}

/* The CPU is left. */
static ALWAYS_INLINE void cache_put(struct kmem_cache *c, struct chain *ch, struct percpu *cpu, void *obj)
{
    link_set(obj, ch->free);
    ch->free = obj;
    if (unlikely(++ch->count > 2u * c->batch))
        chain_full(c, ch, cpu);
    else
        cpu_leave(cpu);
}

static ALWAYS_INLINE void cache_free(struct kmem_cache *c, void *obj)
{
    mem_poison(obj, c->size);
    struct percpu *cpu = cpu_enter();
    struct chain *ch = chain_of(c, cpu);
    ch->in_use--;
    if (MM_QUARANTINE) {
        obj = quarantine_swap(obj);
        if (obj == NULL) {
            cpu_leave(cpu);
            return;
        }
        c = virt_to_page(obj)->slab;
        ch = chain_of(c, cpu);
    }
    cache_put(c, ch, cpu, obj);
}

void *kmem_alloc(struct kmem_cache *c, unsigned alloc_flags) { return cache_alloc(c, c->size, alloc_flags); }

void kmem_free(struct kmem_cache *c, void *obj)
{
    if (obj != NULL)
        cache_free(c, obj);
}

/* Smallest order that wastes under an eighth of the slab, or holds enough objects. */
static unsigned slab_order(size_t size)
{
    for (unsigned o = 0; o < 3; o++) {
        size_t bytes = PAGE_SIZE << o;
        if (bytes / size >= 1 && (bytes % size) * 8 <= bytes && (bytes / size >= SLAB_MIN_OBJECTS || size >= 1024))
            return o;
    }
    unsigned o = 0;
    while ((PAGE_SIZE << o) < size)
        o++;
    return o;
}

struct kmem_cache *kmem_cache_create(const char *name, size_t size, size_t align)
{
    align = MAX(align, MIN(16, sizeof(void *)));
    size = ALIGN_UP(MAX(size, sizeof(void *)), align);
    unsigned ncpus = MAX(1u, MIN(plat_cpu_count(), (unsigned)MAX_CPUS));
    size_t bytes = ALIGN_UP(sizeof(struct kmem_cache) + ncpus * sizeof(struct chain), 16);
    ASSERT((align & (align - 1)) == 0 && align <= PAGE_SIZE && size <= PAGE_SIZE * 4 && bytes <= PAGE_SIZE);

    spin_lock_bh(&caches_lock);
    if ((size_t)(cache_mem_end - cache_mem) < bytes) {
        struct page *p = page_alloc(0, ALLOC_ZERO | ALLOC_ATOMIC);
        if (p == NULL)
            panic("no memory for the object cache %s", name);
        cache_mem = page_virt(p);
        cache_mem_end = cache_mem + PAGE_SIZE;
    }
    struct kmem_cache *c = (struct kmem_cache *)cache_mem;
    cache_mem += bytes;
    spin_init(&c->lock, "slab.cache");
    list_init(&c->partial);
    c->name = name;
    c->size = (u32)size;
    c->align = (u32)align;
    c->ncpus = (u8)ncpus;
    c->order = (u8)slab_order(size);
    c->per_slab = (u16)((PAGE_SIZE << c->order) / size);
    c->batch = (u16)MAX(1u, MIN(CHAIN_MAX, CHAIN_BYTES / 2 / size));
    list_push_back(&caches, &c->node);
    spin_unlock_bh(&caches_lock);
    return c;
}

void kmem_cache_burst(struct kmem_cache *c, unsigned objects)
{
    struct mem_stats m;
    page_stats(&m);
    u64 most = m.total_pages * PAGE_SIZE / 512 / c->size; /* both ends of a chain: 1/256 of memory */
    c->batch = (u16)MAX(c->batch, MIN((u64)objects / 2, most));
}

size_t kmem_cache_in_use(const struct kmem_cache *c)
{
    s64 n = 0;
    for (unsigned i = 0; i < c->ncpus; i++)
        n += c->chains[i].in_use;
    return (size_t)MAX(n, 0);
}

void slab_for_each_cache(void (*fn)(const char *name, size_t size, size_t in_use, size_t pages, void *ctx), void *ctx)
{
    list_for_each(c, &caches, struct kmem_cache, node) /* only ever grows at the back */
        fn(c->name, c->size, kmem_cache_in_use(c), c->slabs << c->order, ctx);
}

static void quarantine_drain(void)
{
#if MM_QUARANTINE
    for (unsigned i = 0; i < MM_QUARANTINE; i++) {
        struct percpu *cpu = cpu_enter();
        void *obj = atomic_xchg(&quarantine[i], NULL);
        if (obj != NULL) {
            struct kmem_cache *c = virt_to_page(obj)->slab;
            cache_put(c, chain_of(c, cpu), cpu, obj);
        } else {
            cpu_leave(cpu);
        }
    }
#endif
}

size_t slab_trim(void)
{
    size_t freed = 0;
    quarantine_drain();
    list_for_each(c, &caches, struct kmem_cache, node) {
        struct list dead;
        list_init(&dead);
        struct percpu *cpu = cpu_enter();
        freed += chain_spill(c, chain_of(c, cpu), UINT32_MAX);
        spin_lock(&c->lock);
        while (c->empty > 0) { /* they are at the back */
            struct page *p = list_last(&c->partial, struct page, node);
            list_remove(&p->node);
            list_push_back(&dead, &p->node);
            c->empty--;
            c->slabs--;
        }
        spin_unlock(&c->lock);
        freed += slabs_free(c, &dead);
        cpu_leave(cpu);
    }
    return freed;
}

static size_t slab_shrink(size_t pages_wanted) { return slab_trim(); }
static struct shrinker slab_shrinker = { .shrink = slab_shrink };

/* --- kmalloc -------------------------------------------------------------------------- */

static unsigned size_order(size_t size)
{
    unsigned order = 0;
    while ((PAGE_SIZE << order) < size)
        order++;
    return order;
}

void *kmalloc(size_t size, unsigned alloc_flags)
{
    if (likely(size <= CLASS_MAX)) {
        /* The rest of the class is a red zone. */
        return cache_alloc(class_cache[class_of[(size + 15) / 16]], MAX(size, 1u), alloc_flags);
    }
    if (size > PAGE_SIZE << PAGE_MAX_ORDER)
        return NULL;
    struct page *p = page_alloc(size_order(size), alloc_flags);
    if (p == NULL)
        return NULL;
    mem_poison((u8 *)page_virt(p) + size, (PAGE_SIZE << p->order) - size);
    return page_virt(p);
}

void kfree(void *obj)
{
    if (obj == NULL)
        return;
    struct page *p = virt_to_page(obj);
    ASSERT(p != NULL);
    if (likely(p->kind == PAGE_SLAB)) {
        cache_free(p->slab, obj);
        return;
    }
    ASSERT(p->kind == PAGE_KERNEL && page_virt(p) == obj);
    page_free(p, p->order);
}

void *krealloc(void *old, size_t old_size, size_t new_size)
{
    void *p = kmalloc(new_size, 0);
    if (p == NULL)
        return NULL;
    if (old != NULL) {
        memcpy(p, old, MIN(old_size, new_size));
        kfree(old);
    }
    return p;
}

char *kstrdup(const char *s)
{
    size_t n = strlen(s) + 1;
    char *p = kmalloc(n, 0);
    if (p != NULL)
        memcpy(p, s, n);
    return p;
}

void slab_init(void)
{
    unsigned k = 0;
    for (unsigned i = 0; i < ARRAY_SIZE(class_size); i++) {
        class_cache[i] = kmem_cache_create(class_name[i], class_size[i], 16);
        for (; k * 16 <= class_size[i]; k++)
            class_of[k] = (u8)i;
    }
    shrinker_register(&slab_shrinker);
}
