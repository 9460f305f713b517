/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The page allocator: a binary buddy system (Knowlton 1965; Knuth, The Art of
 * Computer Programming 2.5) with per-CPU stacks of single pages on top.
 *
 * Memory is cut into chunks of 4 MiB, the largest block. A chunk is *virgin* until
 * the free lists run dry; then its `struct page` array is laid out and its free
 * blocks are seeded. So neither boot time nor touched memory depend on how much
 * RAM there is. The arrays come from an arena that is taken from the free lists
 * a few chunks in advance; where that fails a chunk hosts its own.
 *
 * Invariants:
 *   P1  Every chunk before zone.next_chunk is seeded, none after it is.
 *   P2  In the buddy tree of a chunk, both heads of a split block are initialised, and so is
 *       every page of a hole (PAGE_RESERVED). Other struct pages may be garbage: nothing looks at them.
 *   P3  A block is on free[order] iff its head has kind PAGE_FREE and that order.
 *   P4  A page in a CPU's stack has kind PAGE_PCP: it never merges.
 *   P5  Sleeping allocations leave zone.reserve pages to those that cannot sleep. Who gets near to it wakes
 *       the background reclaim, since a bottom half that eats into the reserve cannot reclaim itself.
 *
 * Locks: zone.lock (a spinlock, bottom halves off) guards the zone; a CPU's stack
 * belongs to that CPU with bottom halves off; reclaim_mutex admits one reclaimer.
 * Pages in another CPU's stack (at most PCP_MAX) are out of reach of an allocation.
 */
#include "kern/page.h"

#include "base/str.h"
#include "kern/lock.h"
#include "kern/log.h"
#include "kern/thread.h"
#include "kern/trace.h"
#include "kern/work.h"
#include "mm_impl.h"
#include "poison.h"

#define CHUNK_PAGES (1u << PAGE_MAX_ORDER)
#define CHUNK_SHIFT (PAGE_SHIFT + PAGE_MAX_ORDER)
#define SMALL_TABLE 64 /* chunks (256 MiB) that need no table of their own */
#define PCP_MAX 32u
#define PCP_BATCH 16u
#define RECLAIM_BATCH 32u
#define RECLAIM_ROUNDS 16
#define LOW_FACTOR 2u       /* times the reserve: below it, reclaim in the background ... */
#define HIGH_FACTOR 4u      /* ... up to this */
#define FUTILE_NS (100 * NSEC_PER_MSEC) /* pause after nothing was found */

struct chunk {
    struct page *pages; /* of page index 0 in the chunk, so it may point before the array; NULL = virgin */
    u16 lo, hi;         /* pages [lo, hi) have a struct page */
};

struct page_pcp {
    u32 count;
    struct page *pages[PCP_MAX];
    s64 kinds[PAGE_KINDS]; /* pages in use, this CPU's share of the sum; PAGE_KERNEL is not counted */
};

static struct chunk small_table[SMALL_TABLE];

static struct {
    struct spinlock lock;
    struct list free[PAGE_MAX_ORDER + 1]; /* lock */
    u32 nonempty;        /* lock: bit n = free[n] has blocks */
    u64 free_pages;      /* lock, read without: on the lists */
    u64 virgin_pages;    /* lock, read without: in virgin chunks */
    u64 total_pages;     /* constant */
    u64 reserve;         /* constant */
    bool low;            /* atomic: background reclaim is wanted */
    struct chunk *chunks; /* constant table; entries under lock until seeded */
    u64 nchunks, next_chunk; /* lock */
    u8 *arena, *arena_end;   /* lock: memory for struct page arrays */
    bool fresh_zero;     /* constant */
    unsigned nranges;
    struct plat_mem_range ranges[PLAT_MAX_RANGES]; /* constant */
} zone = { .lock = SPINLOCK_INIT("page.zone") };

static struct page_pcp boot_pcp;
static struct mutex reclaim_mutex;
static struct list shrinkers = LIST_INIT(shrinkers);
bool (*alloc_fail_hook)(void);

static struct work reclaim_work;
static bool reclaimer_ready;  /* atomic: the work thread exists */
static u64 futile_until_ns;   /* atomic */

/* --- clearing and copying --------------------------------------------------------- */

/* Wide stores in an unrolled loop: under emulation far cheaper than string
 * instructions, on hardware as fast as memory. The barrier keeps the compiler from making it a memset() call. */
NO_ASAN void page_clear(void *kva)
{
    u64 *p = kva;
    for (unsigned i = 0; i < PAGE_SIZE / 128; i++, p += 16) {
        p[0] = 0, p[1] = 0, p[2] = 0, p[3] = 0, p[4] = 0, p[5] = 0, p[6] = 0, p[7] = 0;
        p[8] = 0, p[9] = 0, p[10] = 0, p[11] = 0, p[12] = 0, p[13] = 0, p[14] = 0, p[15] = 0;
        compiler_barrier();
    }
}

NO_ASAN void page_copy(void *dst, const void *src)
{
    u64 *d = dst;
    const u64 *s = src;
    for (unsigned i = 0; i < PAGE_SIZE / 64; i++, d += 8, s += 8) {
        u64 a = s[0], b = s[1], c = s[2], e = s[3];
        d[0] = a, d[1] = b, d[2] = c, d[3] = e;
        a = s[4], b = s[5], c = s[6], e = s[7];
        d[4] = a, d[5] = b, d[6] = c, d[7] = e;
        compiler_barrier();
    }
}

/* --- chunks ------------------------------------------------------------------------ */

/* Device memory: struct pages for 4 MiB at a time, zeroed; as much as 4 GiB. */
#define DEVICE_CHUNK_PAGES CHUNK_PAGES
#define DEVICE_CHUNKS_MAX 1024u
static paddr_t device_start;
static u64 device_pages; /* constant after page_add_device() */
static struct page *device_chunks[DEVICE_CHUNKS_MAX]; /* atomic; made when first used, never freed */

static struct page *page_of_device(paddr_t pa)
{
    u64 i = PFN(pa - device_start);
    if (i >= device_pages)
        return NULL;
    struct page *chunk = atomic_load(&device_chunks[i / DEVICE_CHUNK_PAGES]);
    return chunk != NULL ? &chunk[i % DEVICE_CHUNK_PAGES] : NULL;
}

struct page *page_of(paddr_t pa)
{
    u64 ci = pa >> CHUNK_SHIFT;
    unsigned i = (unsigned)(pa >> PAGE_SHIFT) & (CHUNK_PAGES - 1);
    if (unlikely(ci >= zone.nchunks))
        return page_of_device(pa);
    const struct chunk *c = &zone.chunks[ci];
    if (unlikely(i < c->lo || i >= c->hi))
        return page_of_device(pa);
    return &c->pages[i];
}

static void block_link(struct page *p, unsigned order)
{
    p->kind = PAGE_FREE;
    p->order = (u8)order;
    list_push_front(&zone.free[order], &p->node);
    zone.nonempty |= 1u << order;
}

static void block_unlink(struct page *p, unsigned order)
{
    list_remove(&p->node);
    if (list_empty(&zone.free[order]))
        zone.nonempty &= ~(1u << order);
}

/* Pages of [pfn, pfn + n) that are RAM and not used by `skip`. */
static u64 ram_in(u64 pfn, u64 n, u64 skip_pfn, u64 skip_n)
{
    u64 sum = 0;
    for (unsigned i = 0; i < zone.nranges; i++) {
        u64 a = PFN(zone.ranges[i].start), b = a + PFN(zone.ranges[i].len_bytes);
        a = MAX(a, pfn);
        b = MIN(b, pfn + n);
        if (a >= b)
            continue;
        sum += b - a;
        u64 sa = MAX(a, skip_pfn), sb = MIN(b, skip_pfn + skip_n);
        if (sa < sb)
            sum -= sb - sa;
    }
    return sum;
}

/* Put the free blocks of a chunk on the lists, largest first (P2). */
int page_add_device(paddr_t start, u64 len_bytes)
{
    u64 pages = len_bytes >> PAGE_SHIFT;
    if (device_pages != 0)
        return -EBUSY;
    if (!IS_ALIGNED(start, PAGE_SIZE))
        return -EINVAL;
    for (unsigned i = 0; i < zone.nranges; i++) {
        const struct plat_mem_range *r = &zone.ranges[i];
        if (r->start + r->len_bytes > start && r->start < ALIGN_UP(start + len_bytes, 1UL << CHUNK_SHIFT))
            return -EINVAL;
    }
    if (pages > (u64)DEVICE_CHUNKS_MAX * DEVICE_CHUNK_PAGES)
        return -E2BIG;
    device_start = start;
    device_pages = pages;
    return 0;
}

static bool device_chunk_make(u64 n)
{
    u64 pages = MIN(device_pages - n * DEVICE_CHUNK_PAGES, (u64)DEVICE_CHUNK_PAGES);
    unsigned order = 0;
    while (PAGE_SIZE << order < pages * sizeof(struct page))
        order++;
    struct page *block = page_alloc(order, ALLOC_ZERO | ALLOC_NORETRY), *none = NULL;
    if (block == NULL)
        return false;
    if (!atomic_cas(&device_chunks[n], &none, (struct page *)page_virt(block)))
        page_put(block);
    return true;
}

struct page *page_claim_device(paddr_t pa, struct mapping *m)
{
    u64 i = PFN(pa - device_start);
    if (i >= device_pages)
        return NULL;
    if (atomic_load(&device_chunks[i / DEVICE_CHUNK_PAGES]) == NULL && !device_chunk_make(i / DEVICE_CHUNK_PAGES))
        return NULL;
    struct page *p = page_of_device(pa);
    struct mapping *none = NULL;
    if (!atomic_cas(&p->mapping, &none, m))
        return NULL;
    atomic_store(&p->flags, PG_DEVICE);
    if (p->phys == 0) { /* the first time */
        p->phys = ALIGN_DOWN(pa, PAGE_SIZE);
        p->kind = PAGE_CACHE;
        p->counted = PAGE_KERNEL;
        ref_init(&p->refs); /* the device's own, so that it is never freed */
    }
    return p;
}

static void chunk_seed(struct chunk *c, u64 base, unsigned i, unsigned order, u64 skip_pfn, u64 skip_n)
{
    u64 ram = ram_in(base + i, 1u << order, skip_pfn, skip_n);
    if (ram == 0 || ram == 1u << order) {
        if (ram == 0) { /* a hole: looked up by those who map the kernel's own pages */
            for (unsigned k = MAX(i, c->lo); k < MIN(i + (1u << order), c->hi); k++) {
                mem_unpoison(&c->pages[k], sizeof(struct page));
                memset(&c->pages[k], 0, sizeof(struct page));
                c->pages[k].phys = (base + k) << PAGE_SHIFT;
                c->pages[k].kind = PAGE_RESERVED;
            }
            return;
        }
        struct page *p = &c->pages[i];
        mem_unpoison(p, sizeof(*p));
        memset(p, 0, sizeof(*p));
        p->phys = (base + i) << PAGE_SHIFT;
        p->flags = zone.fresh_zero ? PG_ZEROED : 0;
        mem_poison(phys_to_virt(p->phys), PAGE_SIZE << order);
        block_link(p, order);
        zone.free_pages += ram;
        return;
    }
    order--;
    chunk_seed(c, base, i, order, skip_pfn, skip_n);
    chunk_seed(c, base, i + (1u << order), order, skip_pfn, skip_n);
}

static struct page *block_take(unsigned order);

/* Room for the next chunks' arrays: about a quarter of the remaining chunks, at most 2 MiB. */
static void arena_fill(void)
{
    u64 left = zone.nchunks - zone.next_chunk;
    if (left == 0 || zone.arena_end - zone.arena >= (ptrdiff_t)(CHUNK_PAGES * sizeof(struct page)))
        return;
    unsigned order = 4; /* one chunk's array: 64 KiB */
    while (order < 9 && (4u << (order - 4)) < left)
        order++;
    struct page *p = block_take(order);
    if (p == NULL)
        return;
    p->kind = p->counted = PAGE_KERNEL;
    p->order = (u8)order;
    zone.arena = page_virt(p);
    zone.arena_end = zone.arena + (PAGE_SIZE << order);
    mem_unpoison(zone.arena, PAGE_SIZE << order);
}

/* Seed the next chunk that has RAM. False when there is none. zone.lock held. */
static bool chunk_add(void)
{
    while (zone.next_chunk < zone.nchunks) {
        struct chunk *c = &zone.chunks[zone.next_chunk];
        u64 base = zone.next_chunk++ << PAGE_MAX_ORDER;
        u64 lo = CHUNK_PAGES, hi = 0, best = 0, best_n = 0, ram = 0;
        for (unsigned i = 0; i < zone.nranges; i++) {
            u64 a = PFN(zone.ranges[i].start), b = a + PFN(zone.ranges[i].len_bytes);
            a = MAX(a, base);
            b = MIN(b, base + CHUNK_PAGES);
            if (a >= b)
                continue;
            ram += b - a;
            lo = MIN(lo, a - base);
            hi = MAX(hi, b - base);
            if (b - a > best_n) {
                best = a;
                best_n = b - a;
            }
        }
        if (ram == 0)
            continue;
        zone.virgin_pages -= ram;
        u64 bytes = (hi - lo) * sizeof(struct page), skip = 0, skip_n = 0;
        u8 *array;
        if ((u64)(zone.arena_end - zone.arena) >= bytes) {
            array = zone.arena;
            zone.arena += bytes;
        } else {
            skip = best;
            skip_n = PFN(ALIGN_UP(bytes, PAGE_SIZE));
            if (skip_n >= best_n)
                continue; /* a sliver not worth its array */
            array = phys_to_virt(skip << PAGE_SHIFT);
            mem_unpoison(array, skip_n << PAGE_SHIFT);
        }
        c->pages = (struct page *)((uintptr_t)array - lo * sizeof(struct page));
        c->lo = (u16)lo;
        atomic_store(&c->hi, (u16)hi);
        chunk_seed(c, base, 0, PAGE_MAX_ORDER, skip, skip_n);
        arena_fill();
        return true;
    }
    return false;
}

/* The array's other pages are made valid when a block is handed out, so that each may be looked up. */
static void tails_init(struct page *p, unsigned order)
{
    for (unsigned i = 1; i < 1u << order; i++) {
        struct page *t = p + i;
        t->flags = 0; /* field by field: a memset() call costs more */
        t->kind = t->counted = PAGE_KERNEL;
        t->order = t->reserved = 0;
        t->refs.n = t->map_count = 0;
        t->owner = NULL;
        t->index = t->private = 0;
        t->phys = p->phys + i * PAGE_SIZE;
    }
}

/* --- the buddy system: zone.lock held ------------------------------------------------ */

static struct page *block_take(unsigned order)
{
    u32 fit = zone.nonempty >> order;
    if (fit == 0)
        return NULL;
    unsigned o = order + (unsigned)__builtin_ctz(fit);
    struct page *p = list_first(&zone.free[o], struct page, node);
    block_unlink(p, o);
    while (o > order) {
        o--;
        struct page *half = p + (1u << o);
        half->flags = p->flags & PG_ZEROED;
        half->counted = PAGE_KERNEL;
        half->phys = p->phys + (PAGE_SIZE << o);
        block_link(half, o);
    }
    p->kind = PAGE_KERNEL; /* under the lock, or a neighbour that is given back merges with it (P3) */
    zone.free_pages -= 1u << order;
    return p;
}

static void block_give(struct page *p, unsigned order)
{
    u64 ci = p->phys >> CHUNK_SHIFT;
    struct chunk *c = &zone.chunks[ci];
    unsigned i = (unsigned)(p->phys >> PAGE_SHIFT) & (CHUNK_PAGES - 1);
    zone.free_pages += 1u << order;
    p->flags &= PG_ZEROED;
    while (order < PAGE_MAX_ORDER) {
        unsigned bi = i ^ (1u << order);
        if (bi < c->lo || bi >= c->hi)
            break;
        struct page *b = &c->pages[bi];
        if (b->kind != PAGE_FREE || b->order != order)
            break;
        block_unlink(b, order);
        if (bi < i) {
            b->flags &= p->flags;
            p->kind = PAGE_RESERVED;
            p = b;
            i = bi;
        } else {
            p->flags &= b->flags;
            b->kind = PAGE_RESERVED;
        }
        order++;
    }
    block_link(p, order);
}

/* One block, seeding chunks as needed; at least `keep` pages stay behind (P5). */
static struct page *zone_take(unsigned order, u64 keep)
{
    u64 available = zone.free_pages + zone.virgin_pages;
    if (unlikely(available < LOW_FACTOR * zone.reserve))
        atomic_store_relaxed(&zone.low, true);
    if (available < keep + (1u << order))
        return NULL;
    struct page *p;
    while ((p = block_take(order)) == NULL)
        if (!chunk_add())
            return NULL;
    return p;
}

static void pcp_drain(struct page_pcp *pcp, unsigned n)
{
    spin_lock(&zone.lock);
    while (n-- > 0 && pcp->count > 0)
        block_give(pcp->pages[--pcp->count], 0);
    spin_unlock(&zone.lock);
}

/* Of an empty stack. The zone gives neighbours in rising order, and so will the stack: pages that are asked for one after
 * the other can be read and mapped in one piece. */
static NOINLINE void pcp_refill(struct page_pcp *pcp, u64 keep)
{
    unsigned n = 0;
    spin_lock(&zone.lock);
    for (struct page *p; n < PCP_BATCH && (p = zone_take(0, keep)) != NULL; n++) {
        p->kind = PAGE_PCP;
        pcp->pages[PCP_BATCH - 1 - n] = p;
    }
    spin_unlock(&zone.lock);
    if (n < PCP_BATCH)
        memmove(pcp->pages, &pcp->pages[PCP_BATCH - n], n * sizeof(pcp->pages[0]));
    pcp->count = n;
}

/* --- allocation ------------------------------------------------------------------------ */

bool alloc_may_sleep(unsigned flags)
{
    if (flags & ALLOC_ATOMIC)
        return false;
    return this_cpu()->bh_disabled == 0 && plat_events_enabled();
}

static struct page *take(unsigned order, u64 keep)
{
    struct page *p = NULL;
    struct percpu *c = cpu_enter();
    struct page_pcp *pcp = c->pcp;
    if (order == 0 && likely(pcp != NULL)) {
        if (unlikely(pcp->count == 0))
            pcp_refill(pcp, keep);
        if (likely(pcp->count > 0))
            p = pcp->pages[--pcp->count];
    } else {
        spin_lock(&zone.lock);
        p = zone_take(order, keep);
        if (p == NULL && pcp != NULL && pcp->count > 0) { /* their return may make a block */
            while (pcp->count > 0)
                block_give(pcp->pages[--pcp->count], 0);
            p = zone_take(order, keep);
        }
        spin_unlock(&zone.lock);
    }
    cpu_leave(c);
    return p;
}

/* Runs on the work thread. */
static void reclaim_in_background(struct work *w)
{
    while (page_available() < HIGH_FACTOR * zone.reserve) {
        if (page_reclaim(RECLAIM_BATCH) == 0) {
            atomic_store_relaxed(&futile_until_ns, plat_now_ns() + FUTILE_NS);
            break;
        }
        cond_resched();
    }
}

/* The work thread is made by the first thread that comes here; later any context may wake it. */
static NOINLINE void wake_reclaimer(void)
{
    const struct percpu *c = this_cpu();
    if (!atomic_load(&reclaimer_ready)) {
        if (!alloc_may_sleep(0) || c->rq == NULL || c->irq_depth != 0 || c->current == c->idle || mutex_held(&reclaim_mutex))
            return;
        atomic_store(&reclaimer_ready, true);
    }
    atomic_store_relaxed(&zone.low, false);
    if (plat_now_ns() >= atomic_load_relaxed(&futile_until_ns))
        work_queue(&reclaim_work);
}

static NOINLINE struct page *take_slow(unsigned order, unsigned flags)
{
    bool may_sleep = alloc_may_sleep(flags);
    if (flags & ALLOC_NORETRY)
        return NULL;
    if (!may_sleep)
        return take(order, 0);
    if (mutex_held(&reclaim_mutex)) /* a shrinker allocates */
        return take(order, 0);
    for (unsigned round = 0; round < RECLAIM_ROUNDS; round++) {
        size_t got = page_reclaim(MAX(RECLAIM_BATCH, 1u << order));
        struct page *p = take(order, zone.reserve);
        if (p != NULL)
            return p;
        if (got == 0)
            break;
    }
    return NULL;
}

struct page *page_alloc(unsigned order, unsigned flags)
{
    if (unlikely(order > PAGE_MAX_ORDER) || alloc_must_fail())
        return NULL;
    struct page *p = take(order, flags & ALLOC_ATOMIC ? 0 : zone.reserve);
    if (unlikely(p == NULL)) {
        p = take_slow(order, flags);
        if (p == NULL) {
            TRACE(MM_OOM, 1u << order);
            return NULL;
        }
    }
    if (unlikely(atomic_load_relaxed(&zone.low)))
        wake_reclaimer();
    u32 was = p->flags;
    p->flags = 0;
    p->kind = p->counted = PAGE_KERNEL;
    p->order = (u8)order;
    ref_init(&p->refs);
    p->map_count = 0;
    p->owner = NULL;
    p->private = 0;
    if (unlikely(order > 0))
        tails_init(p, order);
    void *kva = page_virt(p);
    mem_unpoison(kva, PAGE_SIZE << order);
    if ((flags & ALLOC_ZERO) && !(was & PG_ZEROED))
        for (unsigned i = 0; i < 1u << order; i++)
            page_clear((u8 *)kva + i * PAGE_SIZE);
    return p;
}

void page_free(struct page *p, unsigned order)
{
    ASSERT(p->kind != PAGE_FREE && p->kind != PAGE_PCP && p->kind != PAGE_RESERVED && p->order == order);
    mem_poison(page_virt(p), PAGE_SIZE << order);
    p->flags = 0;
    struct percpu *c = cpu_enter();
    struct page_pcp *pcp = c->pcp;
    if (p->counted != PAGE_KERNEL) {
        (pcp != NULL ? pcp : &boot_pcp)->kinds[p->counted] -= 1 << order;
        p->counted = PAGE_KERNEL;
    }
    if (order == 0 && likely(pcp != NULL)) {
        if (unlikely(pcp->count == PCP_MAX))
            pcp_drain(pcp, PCP_BATCH);
        p->kind = PAGE_PCP;
        pcp->pages[pcp->count++] = p;
    } else {
        spin_lock(&zone.lock);
        block_give(p, order);
        spin_unlock(&zone.lock);
    }
    cpu_leave(c);
}

void page_put(struct page *p)
{
    if (ref_put(&p->refs))
        page_free(p, p->order);
}

void page_split(struct page *p)
{
    for (unsigned i = 1; i < 1u << p->order; i++) {
        p[i].kind = p[i].counted = p->kind;
        p[i].map_count = 0;
        ref_init(&p[i].refs);
    }
    p->order = 0;
}

void page_free_list(struct list *pages)
{
    struct list *l, *next;
    for (l = pages->next; l != pages; l = next) {
        struct page *p = list_entry(l, struct page, node);
        next = l->next;
        page_free(p, p->order);
    }
    list_init(pages);
}

void page_set_kind(struct page *p, enum page_kind kind)
{
    struct percpu *c = cpu_enter();
    struct page_pcp *pcp = c->pcp != NULL ? c->pcp : &boot_pcp;
    if (p->counted != PAGE_KERNEL)
        pcp->kinds[p->counted] -= 1 << p->order;
    if (kind != PAGE_KERNEL)
        pcp->kinds[kind] += 1 << p->order;
    p->kind = p->counted = (u8)kind;
    cpu_leave(c);
}

/* --- reclaim ----------------------------------------------------------------------------- */

void shrinker_register(struct shrinker *s) { list_push_back(&shrinkers, &s->node); }

size_t page_reclaim(size_t n)
{
    size_t got = 0;
    if (mutex_held(&reclaim_mutex)) /* a shrinker asks */
        return 0;
    mutex_lock(&reclaim_mutex);
    list_for_each(s, &shrinkers, struct shrinker, node) {
        got += s->shrink(n - got);
        if (got >= n)
            break;
    }
    mutex_unlock(&reclaim_mutex);
    return got;
}

/* --- start and statistics ------------------------------------------------------------------- */

/* The chunk table of a large machine is cut from the front of a range. */
static void chunk_table_init(u64 nchunks)
{
    zone.chunks = small_table;
    zone.nchunks = nchunks;
    if (nchunks <= SMALL_TABLE)
        return;
    u64 bytes = ALIGN_UP(nchunks * sizeof(struct chunk), PAGE_SIZE);
    for (unsigned i = 0; i < zone.nranges; i++) {
        struct plat_mem_range *r = &zone.ranges[i];
        if (r->len_bytes <= bytes)
            continue;
        zone.chunks = phys_to_virt(r->start);
        r->start += bytes;
        r->len_bytes -= bytes;
        if (!zone.fresh_zero)
            for (u64 off = 0; off < bytes; off += PAGE_SIZE)
                page_clear((u8 *)zone.chunks + off);
        return;
    }
    zone.nchunks = SMALL_TABLE; /* scattered slivers: use what the small table covers */
}

void page_init(void)
{
    struct plat_mem_range in[PLAT_MAX_RANGES];
    unsigned n = plat_memory(in);
    u64 end = 0;
    mutex_init(&reclaim_mutex, "page.reclaim");
    zone.fresh_zero = plat_fresh_memory_is_zero();
    for (unsigned i = 0; i < n; i++) {
        u64 a = ALIGN_UP(in[i].start, PAGE_SIZE), b = ALIGN_DOWN(in[i].start + in[i].len_bytes, PAGE_SIZE);
        if (a >= b)
            continue;
        zone.ranges[zone.nranges++] = (struct plat_mem_range){ a, b - a };
        end = b;
    }
    for (unsigned o = 0; o <= PAGE_MAX_ORDER; o++)
        list_init(&zone.free[o]);
    chunk_table_init((end + (1UL << CHUNK_SHIFT) - 1) >> CHUNK_SHIFT);
    for (unsigned i = 0; i < zone.nranges; i++)
        zone.total_pages += PFN(zone.ranges[i].len_bytes);
    zone.virgin_pages = zone.total_pages;
    zone.reserve = MIN(MAX(zone.total_pages / 64, 16), 1024);
    work_init(&reclaim_work, reclaim_in_background);
    this_cpu()->pcp = &boot_pcp;
}

void page_init_cpu(void)
{
    _Static_assert(sizeof(struct page_pcp) <= PAGE_SIZE, "one page");
    struct page *p = page_alloc(0, ALLOC_ZERO);
    if (p != NULL) /* without one the CPU uses the zone directly */
        this_cpu()->pcp = page_virt(p);
}

u64 page_available(void) { return atomic_load_relaxed(&zone.free_pages) + atomic_load_relaxed(&zone.virgin_pages); }

bool page_exhausted(void) { return page_available() < zone.reserve + PCP_BATCH; }
bool page_scarce(void) { return page_available() < zone.total_pages / 8; }

void page_stats(struct mem_stats *ret)
{
    s64 kinds[PAGE_KINDS] = { 0 };
    u64 cached = 0;
    bool boot_seen = false;
    for (unsigned cpu = 0; cpu < MAX_CPUS; cpu++) {
        const struct percpu *c = percpu_table[cpu];
        const struct page_pcp *pcp = c != NULL ? c->pcp : NULL;
        if (pcp == NULL)
            continue;
        boot_seen |= pcp == &boot_pcp;
        cached += pcp->count;
        for (unsigned k = 0; k < PAGE_KINDS; k++)
            kinds[k] += pcp->kinds[k];
    }
    if (!boot_seen) {
        cached += boot_pcp.count;
        for (unsigned k = 0; k < PAGE_KINDS; k++)
            kinds[k] += boot_pcp.kinds[k];
    }
    *ret = (struct mem_stats){
        .total_pages = zone.total_pages,
        .free_pages = page_available() + cached,
        .slab_pages = (u64)MAX(kinds[PAGE_SLAB], 0),
        .anon_pages = (u64)MAX(kinds[PAGE_ANON], 0),
        .cache_pages = (u64)MAX(kinds[PAGE_CACHE], 0),
        .table_pages = (u64)MAX(kinds[PAGE_TABLE], 0),
    };
    u64 known = ret->free_pages + ret->slab_pages + ret->anon_pages + ret->cache_pages + ret->table_pages;
    ret->kernel_pages = known < ret->total_pages ? ret->total_pages - known : 0;
}
