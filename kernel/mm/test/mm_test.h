/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the tests of mm: start-up, leak counts, invariants of address spaces. */
#ifndef MM_TEST_H
#define MM_TEST_H

#include "kern/addrspace.h"
#include "kern/page.h"
#include "kern/pagecache.h"
#include "kern/slab.h"
#include "kern/thread.h"
#include "kern/uaccess.h"
#include "sim/test.h"

#define TEST_BASE ALIGN_UP(PLAT_USER_MIN, HUGE_SIZE)

/* Take all memory once, so that every chunk has its struct pages and counts are stable. */
static inline void touch_all_memory(void)
{
    struct page *list = NULL, *p;
    while ((p = page_alloc(0, ALLOC_NORETRY)) != NULL) {
        p->private = (uintptr_t)list;
        list = p;
    }
    while (list != NULL) {
        p = list;
        list = (struct page *)(uintptr_t)p->private;
        page_put(p);
    }
}

static inline void mm_test_init(void)
{
    addrspace_init_subsystem();
    pagecache_init();
    touch_all_memory();
}

static inline u64 free_memory(void)
{
    struct mem_stats s;
    page_reclaim(SIZE_MAX);
    slab_trim();
    page_stats(&s);
    return s.free_pages + s.slab_pages;
}

static inline struct addrspace *test_space(void)
{
    struct addrspace *as;
    CHECK_EQ(addrspace_create(&as), 0);
    as->mmap_base = TEST_BASE + (64UL << 30);
    as->brk_start = as->brk = TEST_BASE + (128UL << 30);
    thread_switch_as(as);
    return as;
}

static inline void end_space(struct addrspace *as)
{
    thread_switch_as(NULL);
    addrspace_put(as);
}

/* Invariants V1 to V5 of vma.c. */
static inline void check_space(struct addrspace *as)
{
    u64 total = 0, data = 0, stack = 0, locked = 0, end = PLAT_USER_MIN, count = 0;
    struct vma *before = NULL;
    for (struct vma *v = as_first(as); v != NULL; before = v, v = as_next(v)) {
        u64 n = (v->end - v->start) >> PAGE_SHIFT;
        CHECK(v->as == as && v->start < v->end && v->start >= end && v->end <= PLAT_USER_MAX);
        CHECK(IS_ALIGNED(v->start | v->end, PAGE_SIZE));
        if (before != NULL && as->free_top != 0 && v->start > end && end < as->mmap_base && v->start > as->free_top)
            CHECK(MIN(v->start, as->mmap_base) - MAX(end, as->free_top) <= as->hole_max || end < as->free_top);
        end = v->end;
        total += n;
        if (v->flags & (VMA_STACK | VMA_GROWSDOWN))
            stack += n;
        else if ((v->prot & MAP_WRITE) && !(v->flags & VMA_SHARED))
            data += n;
        locked += v->flags & VMA_LOCKED ? n : 0;
        CHECK((v->mapping == NULL) == list_empty(&v->mapping_node));
        count++;
    }
    CHECK_EQ(as->vma_count, count);
    CHECK_EQ(as->total_pages, total);
    CHECK_EQ(as->data_pages, data);
    CHECK_EQ(as->stack_pages, stack);
    CHECK_EQ(as->locked_pages, locked);
}

static inline unsigned pick(unsigned n) { return (unsigned)(sim_random() >> 33) % n; }

static inline int map_anon(struct addrspace *as, uaddr_t addr, u64 len, u32 prot, u32 flags, bool fixed, uaddr_t *ret)
{
    struct map_request r = { .addr = addr, .len_bytes = len, .prot = prot, .flags = flags, .fixed = fixed };
    return as_map(as, &r, ret);
}

#endif
