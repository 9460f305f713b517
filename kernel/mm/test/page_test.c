/* SPDX-License-Identifier: Apache-2.0 */
/* The page allocator: blocks do not overlap, nothing leaks, the reserve holds. */
#include "mm_test.h"

struct block {
    struct page *page;
    unsigned order;
    u64 mark;
};

static void mark(const struct block *b, u64 value)
{
    for (unsigned i = 0; i < 1u << b->order; i++)
        *(u64 *)((u8 *)page_virt(b->page) + i * PAGE_SIZE) = value;
}

static void check_mark(const struct block *b)
{
    for (unsigned i = 0; i < 1u << b->order; i++)
        CHECK_EQ(*(u64 *)((u8 *)page_virt(b->page) + i * PAGE_SIZE), b->mark);
}

static void churn(unsigned rounds, u64 tag)
{
    static struct block all[4][128];
    struct block *blocks = all[tag & 3];
    for (unsigned i = 0; i < rounds; i++) {
        struct block *b = &blocks[pick(128)];
        if (b->page != NULL) {
            check_mark(b);
            page_put(b->page);
            b->page = NULL;
            continue;
        }
        bool zero = pick(2);
        b->order = pick(8) != 0 ? pick(3) : pick(PAGE_MAX_ORDER + 1);
        b->page = page_alloc(b->order, zero ? ALLOC_ZERO : 0);
        if (b->page == NULL)
            continue;
        CHECK(IS_ALIGNED(page_phys(b->page), PAGE_SIZE << b->order));
        CHECK_EQ(ref_count(&b->page->refs), 1);
        for (unsigned k = 0; k < 1u << b->order; k++) {
            CHECK(page_of(page_phys(b->page) + k * PAGE_SIZE) == b->page + k);
            CHECK_EQ(page_phys(b->page + k), page_phys(b->page) + k * PAGE_SIZE);
        }
        if (zero)
            for (unsigned k = 0; k < (PAGE_SIZE << b->order) / 8; k += 61)
                CHECK_EQ(((u64 *)page_virt(b->page))[k], 0);
        b->mark = tag << 32 | i;
        mark(b, b->mark);
        cond_resched();
    }
    for (unsigned i = 0; i < 128; i++) {
        if (blocks[i].page != NULL) {
            check_mark(&blocks[i]);
            page_put(blocks[i].page);
        }
        blocks[i].page = NULL;
    }
}

TEST(blocks_do_not_overlap)
{
    touch_all_memory();
    u64 before = free_memory();
    churn(20000, 1);
    CHECK_EQ(free_memory(), before);
}

static void churn_thread(void *arg) { churn(5000, (uintptr_t)arg); }

TEST_CPUS(several_cpus, 3)
{
    struct thread *t[3];
    touch_all_memory();
    for (uintptr_t i = 0; i < 3; i++)
        t[i] = test_thread("churn", churn_thread, (void *)(i + 1));
    for (unsigned i = 0; i < 3; i++)
        test_join(t[i]);
}

TEST(everything_can_be_had_and_comes_back)
{
    struct mem_stats s;
    touch_all_memory();
    u64 before = free_memory(), got = 0;
    struct page *list = NULL, *p;
    while ((p = page_alloc(0, 0)) != NULL) {
        p->private = (uintptr_t)list;
        list = p;
        got++;
    }
    page_stats(&s);
    CHECK(got > s.total_pages * 9 / 10);
    CHECK(page_alloc(3, 0) == NULL);
    p = page_alloc(0, ALLOC_ATOMIC); /* the reserve */
    CHECK(p != NULL);
    page_put(p);
    while (list != NULL) {
        p = list;
        list = (struct page *)(uintptr_t)p->private;
        page_put(p);
    }
    CHECK_EQ(free_memory(), before);
    p = page_alloc(PAGE_MAX_ORDER, 0); /* it has merged again */
    CHECK(p != NULL);
    page_put(p);
    CHECK(page_alloc(PAGE_MAX_ORDER + 1, 0) == NULL);
}

/* What is asked for page by page lies in a row, where memory is not in pieces: one read, one mapping. */
TEST(fresh_pages_are_neighbours)
{
    struct page *pages[256];
    unsigned rising = 0;
    for (unsigned i = 0; i < ARRAY_SIZE(pages); i++) {
        CHECK((pages[i] = page_alloc(0, 0)) != NULL);
        rising += i > 0 && page_phys(pages[i]) == page_phys(pages[i - 1]) + PAGE_SIZE;
    }
    CHECK(rising > ARRAY_SIZE(pages) * 3 / 4);
    for (unsigned i = 0; i < ARRAY_SIZE(pages); i++)
        page_put(pages[i]);
}

TEST(split_blocks_are_freed_singly)
{
    touch_all_memory();
    u64 before = free_memory();
    struct page *p = page_alloc(9, 0);
    CHECK(p != NULL);
    page_set_kind(p, PAGE_ANON);
    page_split(p);
    struct mem_stats s;
    page_stats(&s);
    CHECK_EQ(s.anon_pages, 512);
    for (unsigned i = 0; i < 512; i++)
        page_put(p + (i * 37) % 512);
    page_stats(&s);
    CHECK_EQ(s.anon_pages, 0);
    CHECK_EQ(free_memory(), before);
}

static size_t asked;
static struct page *droppable;

static size_t drop_one(size_t wanted)
{
    asked++;
    if (droppable == NULL)
        return 0;
    page_put(droppable);
    droppable = NULL;
    return 1;
}

TEST(shrinkers_are_asked)
{
    static struct shrinker s = { .shrink = drop_one };
    shrinker_register(&s);
    droppable = page_alloc(0, 0);
    struct page *list = NULL, *p;
    while ((p = page_alloc(0, ALLOC_NORETRY)) != NULL) {
        p->private = (uintptr_t)list;
        list = p;
    }
    while ((p = page_alloc(0, 0)) != NULL) { /* directly, or by the background reclaim before */
        p->private = (uintptr_t)list;
        list = p;
    }
    CHECK(asked > 0 && droppable == NULL);
    while (list != NULL) {
        p = list;
        list = (struct page *)(uintptr_t)p->private;
        page_put(p);
    }
}
