/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Address spaces against a model: an array that says for each page of a window whether
 * it is mapped, with which rights, and what its first word is. Random operations
 * are done to both. The same operations then run with failing allocations, where only
 * the invariants and the leak count are checked.
 */
#include "kern/trap.h"
#include "mm_test.h"

#define WINDOW 96u /* pages */

struct model_page {
    bool mapped;
    u32 prot;
    u32 word;
};

static struct model_page model[WINDOW];
static bool strict; /* compare results with the model */

static uaddr_t at(unsigned page) { return TEST_BASE + page * PAGE_SIZE; }

static void check_page(unsigned i)
{
    u32 word = 0;
    int err = get_user_u32(at(i), &word);
    bool readable = model[i].mapped && model[i].prot != 0;
    CHECK_EQ(err, readable ? 0 : -EFAULT);
    if (readable)
        CHECK_EQ(word, model[i].word);
}

static void random_range(unsigned *ret_first, unsigned *ret_n)
{
    *ret_first = pick(WINDOW);
    unsigned most = pick(4) ? 8 : WINDOW;
    *ret_n = 1 + pick(MIN(WINDOW - *ret_first, most));
}

static u32 random_prot(void)
{
    static const u32 prots[] = { 0, MAP_READ, MAP_READ | MAP_WRITE, MAP_READ | MAP_WRITE, MAP_READ | MAP_WRITE,
                                 MAP_READ | MAP_EXEC, MAP_READ | MAP_WRITE | MAP_EXEC, MAP_WRITE };
    return prots[pick(ARRAY_SIZE(prots))];
}

static void do_map(struct addrspace *as)
{
    unsigned first, n;
    uaddr_t got = 0;
    random_range(&first, &n);
    u32 prot = random_prot(), flags = pick(4) == 0 ? VMA_NORESERVE : pick(6) == 0 ? VMA_SHARED | VMA_MAYWRITE : 0;
    struct map_request r = { .addr = at(first), .len_bytes = n * PAGE_SIZE - pick(PAGE_SIZE), .prot = prot, .flags = flags,
                             .fixed = true, .noreplace = pick(4) == 0 };
    bool busy = false;
    for (unsigned i = first; i < first + n; i++)
        busy |= model[i].mapped;
    int err = as_map(as, &r, &got);
    if (!strict)
        return;
    if (r.noreplace && busy) {
        CHECK_EQ(err, -EEXIST);
        return;
    }
    CHECK_EQ(err, 0);
    CHECK_EQ(got, at(first));
    for (unsigned i = first; i < first + n; i++)
        model[i] = (struct model_page){ true, prot, 0 };
}

static void do_unmap(struct addrspace *as)
{
    unsigned first, n;
    random_range(&first, &n);
    int err = as_unmap(as, at(first), n * PAGE_SIZE);
    if (!strict)
        return;
    CHECK_EQ(err, 0);
    for (unsigned i = first; i < first + n; i++)
        model[i] = (struct model_page){ 0 };
}

static void do_protect(struct addrspace *as)
{
    unsigned first, n, i;
    random_range(&first, &n);
    u32 prot = random_prot();
    int err = as_protect(as, at(first), n * PAGE_SIZE, prot);
    if (!strict)
        return;
    for (i = first; i < first + n && model[i].mapped; i++)
        model[i].prot = prot;
    CHECK_EQ(err, i == first + n ? 0 : -ENOMEM);
}

static void do_write(struct addrspace *as)
{
    unsigned i = pick(WINDOW);
    u32 word = (u32)sim_random();
    int err = put_user_u32(at(i), word);
    if (!strict)
        return;
    bool writable = model[i].mapped && (model[i].prot & MAP_WRITE);
    CHECK_EQ(err, writable ? 0 : -EFAULT);
    if (writable)
        model[i].word = word;
}

static void do_exec(struct addrspace *as)
{
    unsigned i = pick(WINDOW);
    int err = as_fault(as, at(i), TRAP_EXEC);
    if (strict)
        CHECK_EQ(err, model[i].mapped && (model[i].prot & MAP_EXEC) ? 0 : -EFAULT);
}

static void do_dontneed(struct addrspace *as)
{
    unsigned first, n;
    bool hole = false;
    random_range(&first, &n);
    for (unsigned i = first; i < first + n; i++) { /* shared memory keeps its contents: leave it alone */
        struct vma *v = as_find(as, at(i), false);
        if (v != NULL && (v->flags & VMA_SHARED))
            return;
        hole |= v == NULL;
    }
    int err = as_advise(as, at(first), n * PAGE_SIZE, pick(2) ? 4 : 8);
    if (!strict)
        return;
    CHECK_EQ(err, hole ? -ENOMEM : 0);
    for (unsigned i = first; i < first + n; i++)
        model[i].word = 0;
}

static void do_flags(struct addrspace *as)
{
    static const int advice[] = { 10, 11, 14, 15, 16, 17 };
    unsigned first, n;
    random_range(&first, &n);
    as_advise(as, at(first), n * PAGE_SIZE, advice[pick(ARRAY_SIZE(advice))]);
}

/* Is [first, first + n) one area? */
static bool one_area(struct addrspace *as, unsigned first, unsigned n)
{
    struct vma *v = as_find(as, at(first), false);
    return v != NULL && v->end >= at(first + n);
}

static void do_remap(struct addrspace *as)
{
    unsigned first = pick(WINDOW / 2), n = 1 + pick(6), m = 1 + pick(10), to = WINDOW / 2 + pick(WINDOW / 2 - 10);
    struct model_page moved[16] = { 0 };
    uaddr_t got = 0;
    struct vma *v = as_find(as, at(first), false);
    bool ok = n == m ? v != NULL : one_area(as, first, MIN(n, m)); /* a move that keeps the length takes all areas, and leaves out holes */
    if (v != NULL && (v->flags & VMA_SHARED) && m > n)
        return; /* grows past the object: reads there fault */
    if (first + n > to)
        return;
    int err = as_remap(as, at(first), n * PAGE_SIZE, m * PAGE_SIZE, 3, at(to), &got); /* MAYMOVE | FIXED */
    if (!strict)
        return;
    CHECK_EQ(err, ok ? 0 : -EFAULT);
    if (!ok)
        return;
    CHECK_EQ(got, at(to));
    for (unsigned i = 0; i < m; i++)
        moved[i] = i < n ? model[first + i] : (struct model_page){ true, model[first].prot, 0 };
    for (unsigned i = 0; i < n; i++)
        model[first + i] = (struct model_page){ 0 };
    for (unsigned i = 0; i < m; i++)
        if (moved[i].mapped)
            model[to + i] = moved[i];
}

static void do_copy(struct addrspace *as)
{
    unsigned i = pick(WINDOW);
    u32 word = pick(4) != 0 ? (u32)sim_random() : 0, seen = 0;
    struct vma *v = as_find(as, at(i), false);
    bool shared = v != NULL && (v->flags & VMA_SHARED);
    s64 n = as_copy(as, at(i), word != 0 ? &word : NULL, sizeof(word), true);
    bool ok = model[i].mapped && model[i].prot != 0 && (!shared || (model[i].prot & MAP_WRITE));
    if (!strict)
        return;
    CHECK_EQ(n, ok ? 4 : -EFAULT);
    if (!ok)
        return;
    model[i].word = word;
    CHECK_EQ(as_copy(as, at(i), &seen, sizeof(seen), false), 4);
    CHECK_EQ(seen, word);
}

/* A copy sees what was there; neither sees what the other writes to private memory. */
static void do_fork(struct addrspace *as)
{
    struct addrspace *copy;
    if (addrspace_fork(as, &copy) != 0) {
        CHECK(!strict);
        return;
    }
    check_space(copy);
    thread_switch_as(copy);
    for (unsigned i = 0; i < WINDOW && strict; i++) {
        struct vma *v = as_find(as, at(i), false);
        if (v == NULL || (v->flags & VMA_DONTFORK))
            continue;
        check_page(i);
        if ((model[i].prot & MAP_WRITE) && !(v->flags & VMA_SHARED) && pick(2)) {
            CHECK_EQ(put_user_u32(at(i), ~model[i].word), 0);
            if (pick(2)) { /* from now on the other side may write in place */
                thread_switch_as(as);
                check_page(i);
                thread_switch_as(copy);
            }
        }
    }
    thread_switch_as(as);
    addrspace_put(copy);
}

static void random_operation(struct addrspace *as)
{
    switch (pick(24)) {
    case 0: case 1: case 2: do_map(as); break;
    case 3: case 4: do_unmap(as); break;
    case 5: case 6: case 7: do_protect(as); break;
    case 8: do_dontneed(as); break;
    case 9: do_flags(as); break;
    case 10: case 11: do_remap(as); break;
    case 12: do_exec(as); break;
    case 13: do_copy(as); break;
    case 14: if (pick(4) == 0) do_fork(as); break;
    default: do_write(as); break;
    }
}

static void run_model(unsigned operations)
{
    struct addrspace *as = test_space();
    memset(model, 0, sizeof(model));
    for (unsigned i = 0; i < operations; i++) {
        random_operation(as);
        if (i % 8 == 0)
            check_space(as);
        if (strict)
            check_page(pick(WINDOW));
    }
    for (unsigned i = 0; i < WINDOW && strict; i++)
        check_page(i);
    end_space(as);
}

TEST(model)
{
    mm_test_init();
    u64 before = free_memory();
    strict = true;
    run_model(6000);
    CHECK_EQ(free_memory(), before);
}

TEST(failing_allocations)
{
    mm_test_init();
    u64 before = free_memory();
    strict = false;
    for (unsigned rate = 2; rate <= 40; rate = rate * 3 / 2 + 1) {
        struct addrspace *as = test_space();
        sim_fail_allocations(rate);
        for (unsigned i = 0; i < 800; i++)
            random_operation(as);
        sim_fail_allocations(0);
        check_space(as);
        end_space(as);
        CHECK_EQ(free_memory(), before);
    }
}

TEST(search_finds_every_hole)
{
    mm_test_init();
    struct addrspace *as = test_space();
    uaddr_t a[64];
    for (unsigned i = 0; i < 64; i++)
        CHECK_EQ(map_anon(as, 0, PAGE_SIZE, MAP_READ, i & 1 ? VMA_NORESERVE : 0, false, &a[i]), 0);
    CHECK_EQ(a[0], as->mmap_base - PAGE_SIZE);
    CHECK_EQ(a[63], as->mmap_base - 64 * PAGE_SIZE);
    CHECK_EQ(as->vma_count, 64);
    CHECK_EQ(as_unmap(as, a[10], PAGE_SIZE), 0);
    CHECK_EQ(as_unmap(as, a[21] , 2 * PAGE_SIZE), 0);
    uaddr_t b;
    CHECK_EQ(map_anon(as, 0, 2 * PAGE_SIZE, MAP_READ, VMA_NOHUGE, false, &b), 0);
    CHECK_EQ(b, a[21]);
    CHECK_EQ(map_anon(as, 0, PAGE_SIZE, MAP_READ, VMA_NOHUGE, false, &b), 0);
    CHECK_EQ(b, a[10]);
    CHECK_EQ(map_anon(as, 0, PAGE_SIZE, MAP_READ, VMA_NOHUGE, false, &b), 0);
    CHECK_EQ(b, a[63] - PAGE_SIZE);
    check_space(as);
    /* a hint is honoured; large areas are aligned for large pages */
    CHECK_EQ(map_anon(as, TEST_BASE + 0x5000, PAGE_SIZE, MAP_READ, 0, false, &b), 0);
    CHECK_EQ(b, TEST_BASE + 0x5000);
    CHECK_EQ(map_anon(as, 0, HUGE_SIZE, MAP_READ, 0, false, &b), 0);
    CHECK(IS_ALIGNED(b, HUGE_SIZE));
    end_space(as);
}

TEST(neighbours_merge)
{
    mm_test_init();
    struct addrspace *as = test_space();
    uaddr_t a;
    for (unsigned i = 0; i < 10; i++)
        CHECK_EQ(map_anon(as, 0, PAGE_SIZE, MAP_READ | MAP_WRITE, 0, false, &a), 0);
    CHECK_EQ(as->vma_count, 1);
    CHECK_EQ(as_protect(as, a + 4 * PAGE_SIZE, PAGE_SIZE, MAP_READ), 0);
    CHECK_EQ(as->vma_count, 3);
    CHECK_EQ(as_protect(as, a + 4 * PAGE_SIZE, PAGE_SIZE, MAP_READ | MAP_WRITE), 0);
    CHECK_EQ(as->vma_count, 1);
    CHECK_EQ(as_unmap(as, a + 2 * PAGE_SIZE, PAGE_SIZE), 0);
    CHECK_EQ(as->vma_count, 2);
    end_space(as);
}

TEST(sequential_touch_is_cheap)
{
    mm_test_init();
    u64 before = free_memory();
    struct addrspace *as = test_space();
    uaddr_t a;
    CHECK_EQ(map_anon(as, 0, 4UL << 20, MAP_READ | MAP_WRITE, 0, false, &a), 0);
    for (u64 i = 0; i < 4UL << 20; i += PAGE_SIZE)
        CHECK_EQ(put_user_u32(a + i, (u32)i), 0);
    CHECK_EQ(as->rss_anon, 1024);
    CHECK(as->faults_minor < 100);
    /* a hole punched into whatever size of page */
    CHECK_EQ(as_unmap(as, a + 0x5000, 0x3000), 0);
    CHECK_EQ(as->rss_anon, 1021);
    for (u64 i = 0; i < 4UL << 20; i += PAGE_SIZE) {
        u32 v;
        CHECK_EQ(get_user_u32(a + i, &v), i >= 0x5000 && i < 0x8000 ? -EFAULT : 0);
        if (i < 0x5000 || i >= 0x8000)
            CHECK_EQ(v, i);
    }
    CHECK_EQ(as_unmap(as, a, 4UL << 20), 0);
    CHECK_EQ(as->rss_anon, 0);
    CHECK_EQ(as->vma_count, 0);
    end_space(as);
    CHECK_EQ(free_memory(), before);
}

TEST(sparse_touch_is_thrifty)
{
    mm_test_init();
    struct addrspace *as = test_space();
    uaddr_t a;
    CHECK_EQ(map_anon(as, 0, 64UL << 20, MAP_READ | MAP_WRITE, VMA_NORESERVE, false, &a), 0);
    for (u64 i = 0; i < 64; i++)
        CHECK_EQ(put_user_u32(a + (i * 37 % 64) * (1UL << 20), 1), 0);
    CHECK(as->rss_anon <= 80);
    end_space(as);
}

TEST(large_pages_split_and_fork)
{
    mm_test_init();
    u64 before = free_memory();
    struct addrspace *as = test_space(), *copy;
    uaddr_t a;
    u32 v;
    CHECK_EQ(map_anon(as, 0, 4 * HUGE_SIZE, MAP_READ | MAP_WRITE, VMA_HUGE, false, &a), 0);
    CHECK_EQ(as_populate(as, a, 4 * HUGE_SIZE, MAP_WRITE), 0);
    CHECK_EQ(as->rss_anon, 2048);
    for (u64 i = 0; i < 4 * HUGE_SIZE; i += PAGE_SIZE)
        CHECK_EQ(put_user_u32(a + i, (u32)i), 0);
    CHECK_EQ(as_protect(as, a + HUGE_SIZE + 0x7000, 0x2000, MAP_READ), 0);
    CHECK_EQ(put_user_u32(a + HUGE_SIZE + 0x7000, 1), -EFAULT);
    CHECK_EQ(addrspace_fork(as, &copy), 0);
    thread_switch_as(copy);
    for (u64 i = 0; i < 4 * HUGE_SIZE; i += 5 * PAGE_SIZE) {
        CHECK_EQ(get_user_u32(a + i, &v), 0);
        CHECK_EQ(v, i);
        if (i < HUGE_SIZE)
            CHECK_EQ(put_user_u32(a + i, 7), 0);
    }
    thread_switch_as(as);
    for (u64 i = 0; i < 4 * HUGE_SIZE; i += PAGE_SIZE) {
        CHECK_EQ(get_user_u32(a + i, &v), 0);
        CHECK_EQ(v, i);
    }
    for (u64 i = 0; i < HUGE_SIZE; i += 7 * PAGE_SIZE)
        CHECK_EQ(put_user_u32(a + i, 9), 0);
    uaddr_t moved;
    CHECK_EQ(as_remap(as, a + 2 * HUGE_SIZE, HUGE_SIZE, HUGE_SIZE + PAGE_SIZE, 1, 0, &moved), 0);
    for (u64 i = 0; i < HUGE_SIZE; i += PAGE_SIZE) {
        CHECK_EQ(get_user_u32(moved + i, &v), 0);
        CHECK_EQ(v, i + 2 * HUGE_SIZE);
    }
    addrspace_put(copy);
    end_space(as);
    CHECK_EQ(free_memory(), before);
}

static struct page *large_head;
static u32 flushes;

static void look_at_large(void)
{
    flushes++;
    for (u64 i = 0; i < HUGE_SIZE / PAGE_SIZE; i++)
        CHECK_EQ(ref_count(&large_head[i].refs), 2);
}

/* A large page that a fork shares goes at once, its references behind the flush. */
TEST(large_page_leaves_a_thread_behind)
{
    mm_test_init();
    u64 before = free_memory();
    struct addrspace *as = test_space(), *copy;
    uaddr_t a;
    paddr_t pa;
    CHECK_EQ(map_anon(as, 0, HUGE_SIZE, MAP_READ | MAP_WRITE, VMA_HUGE, false, &a), 0);
    CHECK_EQ(as_populate(as, a, HUGE_SIZE, MAP_WRITE), 0);
    CHECK(plat_lookup(&as->plat, a, &pa, NULL));
    large_head = page_of(pa);
    CHECK_EQ(addrspace_fork(as, &copy), 0);
    addrspace_get(as);
    flushes = 0;
    sim_flush_hook = look_at_large;
    CHECK_EQ(as_unmap(as, a, HUGE_SIZE), 0);
    sim_flush_hook = NULL;
    CHECK_EQ(flushes, 1);
    CHECK_EQ(as->rss_anon, 0);
    for (u64 i = 0; i < HUGE_SIZE / PAGE_SIZE; i++)
        CHECK_EQ(ref_count(&large_head[i].refs), 1);
    addrspace_put(as);
    addrspace_put(copy);
    end_space(as);
    CHECK_EQ(free_memory(), before);
}

TEST(write_xor_execute)
{
    mm_test_init();
    struct addrspace *as = test_space();
    uaddr_t a;
    unsigned hw;
    CHECK_EQ(map_anon(as, 0, PAGE_SIZE, MAP_READ | MAP_WRITE | MAP_EXEC, 0, false, &a), 0);
    for (unsigned i = 0; i < 100; i++) {
        CHECK_EQ(put_user_u32(a, i), 0);
        CHECK(plat_lookup(&as->plat, a, NULL, &hw) && !(hw & MAP_EXEC) && (hw & MAP_WRITE));
        CHECK_EQ(as_fault(as, a, TRAP_EXEC), 0);
        CHECK(plat_lookup(&as->plat, a, NULL, &hw) && (hw & MAP_EXEC) && !(hw & MAP_WRITE));
    }
    end_space(as);
}

/* A page that the allocator never had (the clock page) next to one that it gave. */
static struct page *given;

static int special_fault(struct vma *v, u64 index, struct page **ret)
{
    if (index != 1)
        return -EFAULT;
    *ret = page_get(given);
    return 0;
}

TEST(special_areas)
{
    static const struct vma_ops ops = { .fault = special_fault };
    mm_test_init();
    u64 before = free_memory();
    struct plat_mem_range ranges[PLAT_MAX_RANGES];
    struct addrspace *as = test_space(), *copy;
    uaddr_t a;
    u32 v;
    CHECK(plat_memory(ranges) == 2);
    paddr_t hole = ranges[1].start - PAGE_SIZE;
    CHECK(page_of(hole) == NULL || page_of(hole)->kind == PAGE_RESERVED);
    given = page_alloc(0, ALLOC_ZERO);
    struct map_request r = { .len_bytes = 3 * PAGE_SIZE, .prot = MAP_READ, .flags = VMA_SPECIAL, .ops = &ops };
    CHECK_EQ(as_map(as, &r, &a), 0);
    CHECK_EQ(plat_map(&as->plat, a, hole, PAGE_SIZE, MAP_READ), 0);
    CHECK_EQ(get_user_u32(a, &v), 0);
    CHECK_EQ(get_user_u32(a + PAGE_SIZE, &v), 0);
    CHECK_EQ(get_user_u32(a + 2 * PAGE_SIZE, &v), -EFAULT);
    CHECK_EQ(put_user_u32(a, v), -EFAULT);
    CHECK_EQ(ref_count(&given->refs), 2);
    CHECK_EQ(addrspace_fork(as, &copy), 0);
    CHECK_EQ(ref_count(&given->refs), 3);
    end_space(as);
    thread_switch_as(copy);
    CHECK_EQ(get_user_u32(a, &v), 0);
    end_space(copy);
    CHECK_EQ(ref_count(&given->refs), 1);
    page_put(given);
    CHECK_EQ(free_memory(), before);
}

TEST(stacks_grow_to_their_limit)
{
    mm_test_init();
    struct addrspace *as = test_space();
    uaddr_t top = TEST_BASE + (1UL << 30), a;
    as->limit_stack_bytes = 1UL << 20;
    CHECK_EQ(map_anon(as, top - 2 * PAGE_SIZE, 2 * PAGE_SIZE, MAP_READ | MAP_WRITE, VMA_GROWSDOWN | VMA_STACK, true, &a), 0);
    CHECK_EQ(put_user_u32(top - 500000, 1), 0);
    CHECK_EQ(put_user_u32(top - (1UL << 20), 1), 0);
    CHECK_EQ(put_user_u32(top - (1UL << 20) - 4, 1), -EFAULT);
    check_space(as);
    /* not into the guard gap of a neighbour */
    as->limit_stack_bytes = UINT64_MAX;
    CHECK_EQ(map_anon(as, top - (4UL << 20), PAGE_SIZE, MAP_READ, 0, true, &a), 0);
    CHECK_EQ(put_user_u32(top - (3UL << 20) + PAGE_SIZE, 1), 0);
    CHECK_EQ(put_user_u32(top - (3UL << 20) - PAGE_SIZE, 1), -EFAULT);
    end_space(as);
}

TEST(limits_and_bad_arguments)
{
    mm_test_init();
    struct addrspace *as = test_space();
    uaddr_t a, brk;
    CHECK_EQ(map_anon(as, 0, 0, MAP_READ, 0, false, &a), -EINVAL);
    CHECK_EQ(map_anon(as, 0, UINT64_MAX, MAP_READ, 0, false, &a), -ENOMEM);
    CHECK_EQ(map_anon(as, TEST_BASE + 1, PAGE_SIZE, MAP_READ, 0, true, &a), -EINVAL);
    CHECK_EQ(map_anon(as, 0, PAGE_SIZE, MAP_READ, 0, true, &a), -EPERM);
    CHECK_EQ(map_anon(as, PLAT_USER_MAX - PAGE_SIZE, 2 * PAGE_SIZE, MAP_READ, 0, true, &a), -ENOMEM);
    CHECK_EQ(as_unmap(as, TEST_BASE, 0), -EINVAL);
    CHECK_EQ(as_unmap(as, TEST_BASE, UINT64_MAX), -EINVAL);
    CHECK_EQ(as_protect(as, TEST_BASE, PAGE_SIZE, MAP_READ), -ENOMEM);
    CHECK_EQ(as_advise(as, TEST_BASE, PAGE_SIZE, 77), -EINVAL);
    CHECK_EQ(as_advise(as, TEST_BASE, PAGE_SIZE, 4), -ENOMEM);
    CHECK_EQ(as_remap(as, TEST_BASE, PAGE_SIZE, 0, 0, 0, &a), -EINVAL);
    CHECK_EQ(as_remap(as, TEST_BASE, PAGE_SIZE, PAGE_SIZE, 0, 0, &a), -EFAULT);
    CHECK_EQ(as_sync(as, TEST_BASE, PAGE_SIZE, 5), -EINVAL);
    CHECK_EQ(as_fault(as, 0, TRAP_READ), -EFAULT);
    CHECK_EQ(as_fault(as, UINT64_MAX, TRAP_WRITE), -EFAULT);
    as->limit_as_bytes = 10 * PAGE_SIZE;
    CHECK_EQ(map_anon(as, 0, 11 * PAGE_SIZE, MAP_READ, 0, false, &a), -ENOMEM);
    CHECK_EQ(map_anon(as, 0, 10 * PAGE_SIZE, MAP_READ, 0, false, &a), 0);
    CHECK_EQ(as_set_brk(as, as->brk_start + 1, &brk), -ENOMEM);
    CHECK_EQ(brk, as->brk_start);
    as->limit_as_bytes = UINT64_MAX;
    CHECK_EQ(as_set_brk(as, as->brk_start + 5000, &brk), 0);
    CHECK_EQ(brk, as->brk_start + 5000);
    CHECK_EQ(put_user_u32(as->brk_start + 8000, 1), 0);
    CHECK_EQ(as_set_brk(as, as->brk_start + 100, &brk), 0);
    CHECK_EQ(put_user_u32(as->brk_start + 8000, 1), -EFAULT);
    as->limit_locked_bytes = PAGE_SIZE;
    CHECK_EQ(as_lock_range(as, a, 2 * PAGE_SIZE, VMA_LOCKED), -ENOMEM);
    CHECK_EQ(as_lock_range(as, a, PAGE_SIZE, VMA_LOCKED), 0);
    CHECK_EQ(as->locked_pages, 1);
    u8 vec[10];
    CHECK_EQ(as_mincore(as, a, 10 * PAGE_SIZE, vec), 0);
    CHECK_EQ(vec[0], 1);
    CHECK_EQ(as_lock_range(as, a, PAGE_SIZE, 0), 0);
    CHECK_EQ(as->locked_pages, 0);
    check_space(as);
    end_space(as);
}

/* Nobody has memory left: the fault says so and nothing hangs. */
/* overcommit_memory 2: what goes is given back before it is asked whether there is room, and what nobody promised is not promised to a child. */
TEST(promises)
{
    mm_test_init();
    struct addrspace *as = test_space(), *copy;
    u64 page_kb = PAGE_SIZE / 1024, used = commit_used_pages();
    u32 rw = MAP_READ | MAP_WRITE;
    uaddr_t a, b;
    overcommit.kbytes = (u32)((used + 100) * page_kb);
    overcommit.mode = COMMIT_NEVER;
    CHECK_EQ(map_anon(as, TEST_BASE, 80 * PAGE_SIZE, rw, 0, true, &a), 0);
    CHECK_EQ(commit_used_pages(), used + 80);
    CHECK_EQ(map_anon(as, 0, 21 * PAGE_SIZE, rw, 0, false, &b), -ENOMEM);
    CHECK_EQ(map_anon(as, TEST_BASE, 80 * PAGE_SIZE, rw, 0, true, &a), 0);                    /* all of it again */
    CHECK_EQ(map_anon(as, TEST_BASE + 40 * PAGE_SIZE, 60 * PAGE_SIZE, rw, 0, true, &a), 0);   /* half, and the rest of the room */
    CHECK_EQ(commit_used_pages(), used + 100);
    CHECK_EQ(map_anon(as, TEST_BASE + 40 * PAGE_SIZE, 61 * PAGE_SIZE, rw, 0, true, &a), -ENOMEM);
    CHECK_EQ(map_anon(as, TEST_BASE, 100 * PAGE_SIZE, MAP_READ, 0, true, &a), 0);
    CHECK_EQ(commit_used_pages(), used);
    CHECK_EQ(map_anon(as, TEST_BASE, 100 * PAGE_SIZE, rw, 0, true, &a), 0); /* what lay there was not promised */
    CHECK_EQ(map_anon(as, TEST_BASE, 60 * PAGE_SIZE, rw, 0, true, &a), 0);
    CHECK_EQ(as_unmap(as, TEST_BASE + 50 * PAGE_SIZE, 50 * PAGE_SIZE), 0);
    CHECK_EQ(map_anon(as, 0, 400 * PAGE_SIZE, rw, VMA_NORESERVE, false, &b), 0);
    CHECK_EQ(addrspace_fork(as, &copy), 0);
    CHECK_EQ(commit_used_pages(), used + 100);
    addrspace_put(copy);
    CHECK_EQ(map_anon(as, 0, PAGE_SIZE, rw, 0, false, &b), 0);
    CHECK_EQ(addrspace_fork(as, &copy), -ENOMEM);
    as->limit_as_bytes = as->total_pages << PAGE_SHIFT; /* neither is a limit in the way of what takes another's place */
    CHECK_EQ(map_anon(as, TEST_BASE, 50 * PAGE_SIZE, rw, 0, true, &a), 0);
    CHECK_EQ(map_anon(as, 0, PAGE_SIZE, MAP_READ, 0, false, &b), -ENOMEM);
    overcommit.mode = COMMIT_GUESS;
    overcommit.kbytes = 0;
    overcommit.ratio = 50;
    end_space(as);
    CHECK_EQ(commit_used_pages(), used);
}

/* Who must end looks at no more pages: a reader of smaps holds the lock of somebody else's memory. */
TEST(counting_pages_ends_with_its_thread)
{
    mm_test_init();
    struct thread *self = current_thread();
    struct addrspace *as = test_space();
    struct vma_usage all = {0}, some = {0};
    uaddr_t a;
    CHECK_EQ(map_anon(as, 0, 8 * PAGE_SIZE, MAP_READ | MAP_WRITE, 0, false, &a), 0);
    for (u64 i = 0; i < 8; i++)
        CHECK_EQ(as_fault(as, a + i * PAGE_SIZE, TRAP_WRITE), 0);
    vma_add_usage(as_first(as), &all);
    CHECK_EQ(all.anonymous, 8);
    atomic_or(&self->exit_work, EXIT_KILL);
    vma_add_usage(as_first(as), &some);
    atomic_and(&self->exit_work, ~EXIT_KILL);
    CHECK(some.anonymous < 8);
    end_space(as);
}

/* Who must end copies no more, neither of many areas nor of a large one. */
TEST(a_fork_ends_with_its_thread)
{
    mm_test_init();
    u64 before = free_memory();
    struct thread *self = current_thread();
    for (unsigned shared = 0; shared < 2; shared++) {
        struct addrspace *as = test_space(), *copy = NULL;
        uaddr_t a;
        CHECK_EQ(map_anon(as, 0, PAGE_SIZE, MAP_READ | MAP_WRITE, shared ? VMA_SHARED : 0, false, &a), 0);
        CHECK_EQ(as_fault(as, a, TRAP_WRITE), 0);
        atomic_or(&self->exit_work, EXIT_KILL);
        CHECK_EQ(addrspace_fork(as, &copy), -EINTR);
        atomic_and(&self->exit_work, ~EXIT_KILL);
        CHECK(copy == NULL);
        CHECK_EQ(addrspace_fork(as, &copy), 0);
        addrspace_put(copy);
        end_space(as);
    }
    CHECK_EQ(free_memory(), before);
}

static struct addrspace *victim;

/* As from another CPU: after a fault looked what is mapped, and before it maps the page that it allocates here. */
static bool reap_once(void)
{
    struct addrspace *as = victim;
    victim = NULL;
    if (as != NULL)
        CHECK(as_reap(as, NULL, 0));
    return false;
}

TEST(what_was_reaped_does_not_come_back)
{
    mm_test_init();
    u64 before = free_memory();
    for (unsigned large = 0; large < 2; large++) {
        struct addrspace *as = test_space();
        uaddr_t a;
        u32 word;
        CHECK_EQ(map_anon(as, 0, 4 * HUGE_SIZE, MAP_READ | MAP_WRITE, large ? VMA_HUGE : VMA_NOHUGE, false, &a), 0);
        CHECK(IS_ALIGNED(a, HUGE_SIZE));
        CHECK_EQ(put_user_u32(a, 1), 0);
        for (u64 off = PAGE_SIZE; large && off < HUGE_SIZE; off += PAGE_SIZE) /* so that the next one is a large page */
            CHECK_EQ(put_user_u32(a + off, 1), 0);
        victim = as;
        alloc_fail_hook = reap_once;
        CHECK_EQ(get_user_u32(a + HUGE_SIZE, &word), -EFAULT);
        alloc_fail_hook = NULL;
        CHECK(victim == NULL);
        CHECK_EQ(as->rss_anon, 0);
        CHECK_EQ(get_user_u32(a, &word), -EFAULT);
        end_space(as);
    }
    CHECK_EQ(free_memory(), before);
}

TEST(spared_pages_are_not_reaped)
{
    mm_test_init();
    u64 before = free_memory(), words[2];
    struct addrspace *as = test_space();
    uaddr_t a, b;
    u32 word;
    CHECK_EQ(map_anon(as, 0, 2 * HUGE_SIZE, MAP_READ | MAP_WRITE, VMA_HUGE, false, &a), 0);
    CHECK_EQ(as_populate(as, a, 2 * HUGE_SIZE, MAP_WRITE), 0);
    CHECK_EQ(map_anon(as, a + HUGE_SIZE, PAGE_SIZE, MAP_READ, VMA_SHARED, true, &b), 0);
    uaddr_t spared[] = { a + 9 * PAGE_SIZE, a, a + HUGE_SIZE, a + 8 * PAGE_SIZE, a + 2 * HUGE_SIZE - PAGE_SIZE, a + 4 * HUGE_SIZE };
    for (u64 i = 0; i < HUGE_SIZE / PAGE_SIZE; i++)
        CHECK_EQ(put_user_u32(a + i * PAGE_SIZE, (u32)i + 1), 0);
    CHECK(as_peek(as, a + 9 * PAGE_SIZE - 8, words, 16) && words[0] == 0 && words[1] == 10);
    CHECK(!as_peek(as, b, words, 8)); /* there is no page yet */
    CHECK(as_reap(as, spared, ARRAY_SIZE(spared)));
    CHECK_EQ(as->rss_anon, 4);
    for (u64 i = 0; i < HUGE_SIZE / PAGE_SIZE; i++)
        CHECK_EQ(get_user_u32(a + i * PAGE_SIZE, &word), i == 0 || i == 8 || i == 9 ? 0 : -EFAULT);
    CHECK(as_peek(as, a + 9 * PAGE_SIZE - 8, words, 16) && words[1] == 10);
    CHECK(!as_peek(as, a + 10 * PAGE_SIZE - 8, words, 16));
    CHECK(!as_peek(as, UINT64_MAX - 7, words, 16));
    end_space(as);
    CHECK_EQ(free_memory(), before);
}

TEST(out_of_memory)
{
    mm_test_init();
    u64 before = free_memory();
    struct addrspace *as = test_space();
    uaddr_t a;
    int err = 0;
    CHECK_EQ(map_anon(as, 0, 1UL << 30, MAP_READ | MAP_WRITE, VMA_NORESERVE, false, &a), 0);
    for (u64 i = 0; i < 1UL << 30 && err == 0; i += PAGE_SIZE)
        err = as_fault(as, a + i, TRAP_WRITE);
    CHECK_EQ(err, -ENOMEM);
    end_space(as);
    CHECK_EQ(free_memory(), before);
}

static struct addrspace *shared_space;
static uaddr_t shared_area;

static void toucher(void *arg)
{
    thread_switch_as(addrspace_get(shared_space));
    for (unsigned i = 0; i < 400; i++) {
        u64 off = pick(64) * PAGE_SIZE;
        u32 *word = (u32 *)(uintptr_t)(shared_area + off + 4 * (uintptr_t)arg), v = 0;
        CHECK_EQ(put_user_u32((uaddr_t)(uintptr_t)word, i), 0);
        cond_resched();
        CHECK_EQ(get_user_u32((uaddr_t)(uintptr_t)word, &v), 0);
        CHECK_EQ(v, i);
        if (pick(20) == 0) {
            uaddr_t a;
            CHECK_EQ(map_anon(shared_space, 0, 3 * PAGE_SIZE, MAP_READ | MAP_WRITE, 0, false, &a), 0);
            CHECK_EQ(put_user_u32(a, 5), 0);
            CHECK_EQ(as_unmap(shared_space, a, 3 * PAGE_SIZE), 0);
        }
    }
    thread_switch_as(NULL);
    addrspace_put(shared_space);
}

TEST_CPUS(threads_fault_side_by_side, 3)
{
    struct thread *t[3];
    mm_test_init();
    shared_space = test_space();
    CHECK_EQ(map_anon(shared_space, 0, 64 * PAGE_SIZE, MAP_READ | MAP_WRITE, 0, false, &shared_area), 0);
    for (uintptr_t i = 0; i < 3; i++)
        t[i] = test_thread("touch", toucher, (void *)i);
    for (unsigned i = 0; i < 3; i++)
        test_join(t[i]);
    check_space(shared_space);
    CHECK_EQ(shared_space->rss_anon, 64);
    end_space(shared_space);
}

static void passes(void *arg) { *(bool *)arg = true; }

/* Another thread's turn comes while one call works on many areas. */
TEST(protecting_many_areas_gives_way)
{
    mm_test_init();
    struct addrspace *as = test_space();
    uaddr_t a;
    bool passed = false;
    CHECK_EQ(map_anon(as, 0, 64 * PAGE_SIZE, MAP_READ | MAP_WRITE, 0, false, &a), 0);
    for (u64 i = 0; i < 64; i += 2)
        CHECK_EQ(as_protect(as, a + i * PAGE_SIZE, PAGE_SIZE, MAP_READ), 0);
    struct thread *t = test_thread("passes", passes, &passed);
    this_cpu()->need_resched = true;
    CHECK_EQ(as_protect(as, a, 64 * PAGE_SIZE, MAP_READ | MAP_WRITE), 0);
    CHECK(passed);
    test_join(t);
    end_space(as);
}

struct meanwhile {
    struct addrspace *as;
    uaddr_t last;        /* page that is to be moved */
    struct mapping *cut; /* or NULL */
    bool before;  /* was it there still? */
};

static void comes_between(void *arg)
{
    struct meanwhile *w = arg;
    w->before = plat_lookup(&w->as->plat, w->last, NULL, NULL);
    if (w->cut != NULL)
        mapping_truncate(w->cut, w->cut->size_bytes / 2 + PAGE_SIZE);
}

/* The object is cut in the middle of a move: neither place shows what is gone. */
TEST(moving_much_of_an_object_gives_way)
{
    mm_test_init();
    const u64 len = 64UL << 20;
    u64 before = 0;
    for (unsigned round = 0; round < 4; round++) {
        bool cut = round & 1;
        struct addrspace *as = test_space();
        uaddr_t a, b;
        u32 word;
        CHECK_EQ(map_anon(as, 0, len, MAP_READ | MAP_WRITE, VMA_SHARED, false, &a), 0);
        for (u64 i = 0; i < 4; i++)
            CHECK_EQ(put_user_u32(a + i * len / 4, (u32)i), 0);
        struct meanwhile w = { as, a + 3 * len / 4, cut ? as_find(as, a, false)->mapping : NULL, false };
        struct thread *t = test_thread("comes", comes_between, &w);
        this_cpu()->need_resched = true;
        CHECK_EQ(as_remap(as, a, len, len, 3, a + (1UL << 30), &b), 0); /* MAYMOVE | FIXED */
        CHECK(w.before);
        CHECK_EQ(as->rss_file, cut ? 3 : 4);
        CHECK_EQ(plat_next_mapped(&as->plat, a, a + len), a + len);
        for (u64 i = 0; i < 4; i++) {
            bool there = !cut || i < 3;
            CHECK_EQ(get_user_u32(b + i * len / 4, &word), there ? 0 : -EFAULT);
            CHECK(!there || word == i);
        }
        test_join(t);
        check_space(as);
        end_space(as);
        before = round == 0 ? free_memory() : before; /* the first thread's stack is kept */
    }
    CHECK_EQ(free_memory(), before);
}

TEST(moving_much_gives_way)
{
    mm_test_init();
    const u64 len = 64UL << 20;
    struct addrspace *as = test_space();
    uaddr_t a, b;
    bool passed = false;
    CHECK_EQ(map_anon(as, 0, len, MAP_READ | MAP_WRITE, VMA_NORESERVE | VMA_NOHUGE, false, &a), 0);
    for (u64 i = 0; i < 4; i++)
        CHECK_EQ(as_fault(as, a + i * len / 4, TRAP_WRITE), 0);
    u64 resident = as->rss_anon;
    struct thread *t = test_thread("passes", passes, &passed);
    this_cpu()->need_resched = true;
    CHECK_EQ(as_remap(as, a, len, len, 5, 0, &b), 0); /* MAYMOVE | DONTUNMAP */
    CHECK(passed);
    CHECK_EQ(as->rss_anon, resident);
    CHECK(!plat_lookup(&as->plat, a, NULL, NULL) && plat_lookup(&as->plat, b, NULL, NULL) && plat_lookup(&as->plat, b + len / 4 * 3, NULL, NULL));
    test_join(t);
    end_space(as);
}
