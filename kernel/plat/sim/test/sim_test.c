/* SPDX-License-Identifier: Apache-2.0 */
/* The test platform itself: clock, simulated interrupts, kernel mappings, page tables. */
#include "kern/trap.h"
#include "sim/test.h"

static u64 fired_at;

static void fire(void *arg)
{
    CHECK(in_interrupt());
    fired_at = now_ns();
    thread_wake(arg);
}

TEST(time_stands_still_until_idle)
{
    u64 start = now_ns();
    for (int i = 0; i < 1000; i++)
        cond_resched();
    CHECK_EQ(now_ns(), start);
    thread_sleep_until(start + 5 * NSEC_PER_SEC, false);
    CHECK_EQ(now_ns(), start + 5 * NSEC_PER_SEC);
}

TEST(interrupt_wakes_a_thread)
{
    u64 at = now_ns() + 123456;
    sim_interrupt_at(at, fire, current_thread());
    while (fired_at == 0) {
        thread_prepare_block(false);
        if (fired_at == 0)
            thread_block(NEVER_NS);
    }
    thread_cancel_block();
    CHECK_EQ(fired_at, at);
}

TEST(compute_takes_cpu_time)
{
    u64 before = thread_cpu_ns(current_thread());
    sim_compute(10 * NSEC_PER_MSEC);
    CHECK_EQ(thread_cpu_ns(current_thread()) - before, 10 * NSEC_PER_MSEC);
}

TEST(kernel_mapping)
{
    char *p = vmap_alloc(3 * PAGE_SIZE);
    CHECK(p != NULL);
    memset(p, 0x5a, 3 * PAGE_SIZE);
    CHECK_EQ(p[3 * PAGE_SIZE - 1], 0x5a);
    vmap_free(p, 3 * PAGE_SIZE);
}

static u64 unmapped_bytes;

static void count_unmapped(void *ctx, uaddr_t va, paddr_t pa, size_t len_bytes)
{
    unmapped_bytes += len_bytes;
    CHECK_EQ(va - (u64)PLAT_USER_MIN, pa - HUGE_SIZE);
}

TEST(page_table_splits_large_pages)
{
    struct plat_aspace as;
    paddr_t pa;
    unsigned prot;
    CHECK_EQ(plat_aspace_init(&as), 0);
    CHECK_EQ(plat_map(&as, PLAT_USER_MIN, HUGE_SIZE, HUGE_SIZE, MAP_READ | MAP_WRITE | MAP_HUGE), 0);
    CHECK(plat_lookup(&as, PLAT_USER_MIN + 5 * PAGE_SIZE, &pa, &prot));
    CHECK_EQ(pa, HUGE_SIZE + 5 * PAGE_SIZE);
    CHECK_EQ(plat_protect(&as, PLAT_USER_MIN + PAGE_SIZE, PAGE_SIZE, MAP_READ), 0);
    CHECK(plat_lookup(&as, PLAT_USER_MIN + PAGE_SIZE, &pa, &prot));
    CHECK_EQ(prot, MAP_READ);
    CHECK(plat_lookup(&as, PLAT_USER_MIN + 2 * PAGE_SIZE, &pa, &prot));
    CHECK_EQ(prot, MAP_READ | MAP_WRITE);
    CHECK_EQ(plat_unmap(&as, PLAT_USER_MIN, HUGE_SIZE, count_unmapped, NULL), 0);
    CHECK_EQ(unmapped_bytes, HUGE_SIZE);
    CHECK(!plat_lookup(&as, PLAT_USER_MIN, NULL, NULL));
    plat_aspace_done(&as);
}

TEST(page_table_finds_what_is_mapped)
{
    struct plat_aspace as;
    uaddr_t small = PLAT_USER_MIN + (1UL << 36), large = ALIGN_UP(PLAT_USER_MIN, HUGE_SIZE) + (1UL << 37);
    uaddr_t end = PLAT_USER_MIN + (1UL << 40);
    CHECK_EQ(plat_aspace_init(&as), 0);
    CHECK_EQ(plat_next_mapped(&as, PLAT_USER_MIN, end), end);
    CHECK_EQ(plat_map(&as, small, HUGE_SIZE, PAGE_SIZE, MAP_READ), 0);
    CHECK_EQ(plat_map(&as, large, 2 * HUGE_SIZE, HUGE_SIZE, MAP_READ | MAP_HUGE), 0);
    CHECK_EQ(plat_next_mapped(&as, PLAT_USER_MIN, end), small);
    CHECK_EQ(plat_next_mapped(&as, PLAT_USER_MIN, small), small);
    CHECK_EQ(plat_next_mapped(&as, small + PAGE_SIZE, end), large);
    CHECK_EQ(plat_next_mapped(&as, large + PAGE_SIZE, end), large + PAGE_SIZE);
    CHECK_EQ(plat_next_mapped(&as, large + HUGE_SIZE, end), end);
    CHECK_EQ(plat_protect(&as, small, PAGE_SIZE, 0), 0);
    CHECK_EQ(plat_next_mapped(&as, small - PAGE_SIZE, end), small); /* without rights, but remembered */
    CHECK_EQ(plat_unmap(&as, small, end - small, NULL, NULL), 0);
    CHECK_EQ(plat_next_mapped(&as, PLAT_USER_MIN, end), end);
    plat_aspace_done(&as);
}

TEST(page_table_maps_what_is_absent)
{
    struct plat_aspace as;
    uaddr_t va = ALIGN_UP(PLAT_USER_MIN, HUGE_SIZE) + (1UL << 36);
    paddr_t pa, want[] = { HUGE_SIZE, HUGE_SIZE + 4 * PAGE_SIZE, 0, HUGE_SIZE + PAGE_SIZE };
    unsigned prot;
    u64 mapped;
    CHECK_EQ(plat_aspace_init(&as), 0);
    CHECK_EQ(plat_map(&as, va + PAGE_SIZE, 2 * HUGE_SIZE, PAGE_SIZE, MAP_READ | MAP_WRITE), 0);
    CHECK_EQ(plat_map_absent(&as, va, want, 0xb, MAP_READ, &mapped), 0);
    CHECK_EQ(mapped, 0x9);
    CHECK(plat_lookup(&as, va + PAGE_SIZE, &pa, &prot)); /* as it was */
    CHECK_EQ(pa, 2 * HUGE_SIZE);
    CHECK_EQ(prot, MAP_READ | MAP_WRITE);
    CHECK(!plat_lookup(&as, va + 2 * PAGE_SIZE, NULL, NULL)); /* not asked for */
    CHECK(plat_lookup(&as, va + 3 * PAGE_SIZE, &pa, &prot));
    CHECK_EQ(pa, HUGE_SIZE + PAGE_SIZE);
    CHECK_EQ(prot, MAP_READ);
    CHECK_EQ(plat_map(&as, va + HUGE_SIZE, 2 * HUGE_SIZE, HUGE_SIZE, MAP_READ | MAP_HUGE), 0);
    CHECK_EQ(plat_map_absent(&as, va + HUGE_SIZE, want, 0xf, MAP_READ, &mapped), 0);
    CHECK_EQ(mapped, 0);
    CHECK(plat_lookup(&as, va + HUGE_SIZE, NULL, &prot));
    CHECK_EQ(prot, MAP_READ | MAP_HUGE); /* a large page stays whole */
    CHECK_EQ(plat_unmap(&as, va, 2 * HUGE_SIZE, NULL, NULL), 0);
    plat_aspace_done(&as);
}

static void yield_often(void *arg)
{
    u64 *cpus = arg;
    for (int i = 0; i < 200; i++) {
        atomic_or(cpus, 1ULL << this_cpu()->cpu);
        thread_sleep_until(now_ns() + 1000, false);
        sim_compute(500);
    }
}

TEST_CPUS(threads_use_several_cpus, 3)
{
    u64 cpus = 0;
    struct thread *t[6];
    for (int i = 0; i < 6; i++)
        t[i] = test_thread("spread", yield_often, &cpus);
    for (int i = 0; i < 6; i++)
        test_join(t[i]);
    CHECK_EQ(cpus, 7);
}
