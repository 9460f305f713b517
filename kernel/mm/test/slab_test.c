/* SPDX-License-Identifier: Apache-2.0 */
/* Objects: contents stay, counts return, and the sanitizer sees what is free. */
#include "mm_test.h"

#if defined(__SANITIZE_ADDRESS__)
int __asan_address_is_poisoned(void const volatile *addr);
#endif

#define SLOTS 500

static void churn(unsigned rounds, u8 *table[SLOTS], size_t size[SLOTS])
{
    for (unsigned i = 0; i < rounds; i++) {
        unsigned k = pick(SLOTS);
        if (table[k] != NULL) {
            for (size_t b = 0; b < size[k]; b++)
                CHECK_EQ(table[k][b], (u8)k);
            kfree(table[k]);
            table[k] = NULL;
            continue;
        }
        size[k] = pick(5) != 0 ? pick(400) : pick(20000);
        table[k] = kmalloc(size[k], pick(2) ? ALLOC_ZERO : 0);
        if (table[k] == NULL)
            continue;
        CHECK(IS_ALIGNED((uintptr_t)table[k], 16));
        memset(table[k], (u8)k, size[k]);
    }
    for (unsigned k = 0; k < SLOTS; k++) {
        kfree(table[k]);
        table[k] = NULL;
    }
}

TEST(contents_stay)
{
    static u8 *table[SLOTS];
    static size_t size[SLOTS];
    touch_all_memory();
    u64 before = free_memory();
    churn(20000, table, size);
    sim_fail_allocations(5);
    churn(20000, table, size);
    sim_fail_allocations(0);
    CHECK_EQ(free_memory(), before);
}

static void churn_thread(void *arg)
{
    u8 **table = kzalloc(SLOTS * sizeof(u8 *));
    size_t *size = kzalloc(SLOTS * sizeof(size_t));
    churn(4000, table, size);
    kfree(table);
    kfree(size);
}

TEST_CPUS(several_cpus, 2)
{
    struct thread *a = test_thread("a", churn_thread, NULL), *b = test_thread("b", churn_thread, NULL);
    test_join(a);
    test_join(b);
}

TEST(caches_count_their_objects)
{
    struct kmem_cache *c = kmem_cache_create("test", 100, 64);
    void *objects[300];
    for (unsigned i = 0; i < 300; i++) {
        objects[i] = kmem_alloc(c, ALLOC_ZERO);
        CHECK(objects[i] != NULL && IS_ALIGNED((uintptr_t)objects[i], 64));
        CHECK_EQ(((u8 *)objects[i])[99], 0);
        memset(objects[i], 0xff, 100);
    }
    CHECK_EQ(kmem_cache_in_use(c), 300);
    for (unsigned i = 0; i < 300; i++)
        if (i & 1)
            kmem_free(c, objects[i]);
        else
            kfree(objects[i]);
    CHECK_EQ(kmem_cache_in_use(c), 0);
    kmem_free(c, NULL);
}

TEST(large_and_odd_sizes)
{
    CHECK(kmalloc((4UL << 20) + 1, 0) == NULL);
    u8 *p = kmalloc(4UL << 20, ALLOC_ZERO);
    CHECK(p != NULL && p[(4UL << 20) - 1] == 0);
    kfree(p);
    p = kmalloc(0, 0);
    CHECK(p != NULL);
    p = krealloc(p, 0, 10);
    memcpy(p, "123456789", 10);
    p = krealloc(p, 10, 5000);
    CHECK_STR((char *)p, "123456789");
    kfree(p);
    char *s = kstrdup("stone");
    CHECK_STR(s, "stone");
    kfree(s);
}

#if defined(__SANITIZE_ADDRESS__)
TEST(sanitizer_sees_free_memory)
{
    u8 *p = kmalloc(100, 0);
    CHECK(!__asan_address_is_poisoned(p) && !__asan_address_is_poisoned(p + 99));
    CHECK(__asan_address_is_poisoned(p + 104));
    kfree(p);
    CHECK(__asan_address_is_poisoned(p) && __asan_address_is_poisoned(p + 99));
    struct page *page = page_alloc(0, 0);
    p = page_virt(page);
    CHECK(!__asan_address_is_poisoned(p + 4095));
    page_put(page);
    CHECK(__asan_address_is_poisoned(p));
}
#endif

TEST(kernel_ranges)
{
    touch_all_memory();
    u64 before = free_memory();
    u8 *range[20];
    for (unsigned round = 0; round < 50; round++) {
        unsigned k = round % 20;
        if (round >= 20)
            vmap_free(range[k], PAGE_SIZE * (1 + k));
        range[k] = vmap_alloc(PAGE_SIZE * (1 + k));
        CHECK(range[k] != NULL);
        memset(range[k], (int)k, PAGE_SIZE * (1 + k));
    }
    for (unsigned a = 0; a < 20; a++) {
        CHECK_EQ(range[a][PAGE_SIZE * (1 + a) - 1], a);
        for (unsigned b = 0; b < 20; b++) /* a guard page between any two */
            CHECK(a == b || range[b] >= range[a] + PAGE_SIZE * (2 + a) || range[a] >= range[b] + PAGE_SIZE * (2 + b));
    }
    for (unsigned a = 0; a < 20; a++)
        vmap_free(range[a], PAGE_SIZE * (1 + a));
    sim_fail_allocations(4);
    for (unsigned i = 0; i < 200; i++)
        vmap_free(vmap_alloc(PAGE_SIZE * 6), PAGE_SIZE * 6);
    sim_fail_allocations(0);
    CHECK_EQ(free_memory(), before);
}
