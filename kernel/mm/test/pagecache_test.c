/* SPDX-License-Identifier: Apache-2.0 */
/* The page cache against a byte array: read, write, map, truncate, with a device that fails and memory that is short. */
#include "kern/trap.h"
#include "mm_test.h"

#define FILE_MAX (200 * PAGE_SIZE)

static u8 disk[FILE_MAX];   /* what the device holds */
static u8 expect[FILE_MAX]; /* what a reader must see */
static u64 disk_size;
static unsigned fail_reads, reads;
static bool slow;

static int disk_read(struct mapping *m, u64 index, struct page **pages, unsigned n)
{
    reads++;
    if (slow)
        thread_sleep_until(now_ns() + NSEC_PER_MSEC, false);
    if (fail_reads != 0 && pick(fail_reads) == 0)
        return -EIO;
    for (unsigned i = 0; i < n; i++) {
        u8 *kva = page_virt(pages[i]);
        u64 off = (index + i) * PAGE_SIZE, len = off < disk_size ? MIN(disk_size - off, PAGE_SIZE) : 0;
        CHECK_EQ(pages[i]->index, index + i);
        CHECK((pages[i]->flags & (PG_LOCKED | PG_UPTODATE)) == PG_LOCKED);
        memcpy(kva, disk + off, len);
        memset(kva + len, 0, PAGE_SIZE - len);
    }
    return 0;
}

static int disk_write(struct mapping *m, struct page *p)
{
    memcpy(disk + p->index * PAGE_SIZE, page_virt(p), PAGE_SIZE);
    disk_size = MAX(disk_size, MIN((p->index + 1) * PAGE_SIZE, m->size_bytes));
    return 0;
}

static const struct mapping_ops disk_ops = { .read = disk_read, .write = disk_write };
static const struct mapping_ops memory_ops = { 0 };

static void fill(void *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        ((u8 *)p)[i] = (u8)pick(256);
}

static u8 buffer[FILE_MAX];

static void do_read(struct mapping *m)
{
    u64 off = pick(FILE_MAX), len = 1 + pick(pick(2) ? 100 : 60000);
    struct uio u;
    uio_kernel(&u, buffer, len);
    s64 n = mapping_read(m, off, &u);
    s64 want = off >= m->size_bytes ? 0 : (s64)MIN(len, m->size_bytes - off);
    if (fail_reads != 0 && n != want) {
        CHECK(n < want && (n >= 0 || n == -EIO));
        want = MAX(n, 0);
    } else {
        CHECK_EQ(n, want);
    }
    CHECK_MEM(buffer, expect + off, (size_t)want);
}

static void do_write(struct mapping *m)
{
    u64 off = pick(FILE_MAX - 30000), len = 1 + pick(pick(2) ? 100 : 30000);
    struct uio u;
    fill(buffer, len);
    uio_kernel(&u, buffer, len);
    s64 n = mapping_write(m, off, &u);
    if (fail_reads == 0)
        CHECK_EQ(n, len);
    if (n > 0)
        memcpy(expect + off, buffer, (size_t)n);
}

static void do_truncate(struct mapping *m)
{
    u64 size = pick(FILE_MAX);
    if (size < m->size_bytes)
        memset(expect + size, 0, FILE_MAX - size);
    mapping_truncate(m, size);
    if (size < disk_size) {
        memset(disk + size, 0, disk_size - size);
        disk_size = size;
    }
    CHECK_EQ(m->size_bytes, size);
}

static void do_punch(struct mapping *m)
{
    u64 start = pick(FILE_MAX), end = start + pick((unsigned)(FILE_MAX - start) + 1);
    if (m->ops->read != NULL)
        return; /* the device would have to forget, too */
    mapping_punch(m, start, end);
    memset(expect + start, 0, end - start);
}

static void do_mapped(struct mapping *m, uaddr_t shared, uaddr_t private)
{
    u64 page = pick(FILE_MAX / PAGE_SIZE), off = page * PAGE_SIZE + pick(PAGE_SIZE / 4) * 4;
    u32 seen = 0, word = (u32)sim_random();
    bool inside = page * PAGE_SIZE < m->size_bytes;
    int err = get_user_u32(shared + off, &seen);
    if (fail_reads == 0 || err == 0)
        CHECK_EQ(err, inside ? 0 : -EFAULT);
    if (err == 0)
        CHECK_MEM(&seen, expect + off, 4);
    if (pick(2) && off + 4 <= m->size_bytes && put_user_u32(shared + off, word) == 0)
        memcpy(expect + off, &word, 4);
    if (pick(8) == 0 && inside) {
        u64 at = page * PAGE_SIZE;
        if (put_user_u32(private + at, 1) == 0) /* a copy: nobody else sees it */
            CHECK(get_user_u32(private + at, &seen) == 0 && seen == 1);
        as_advise(current_thread()->as, private + at, PAGE_SIZE, 4);
    }
}

static void run(const struct mapping_ops *ops, unsigned operations)
{
    struct mapping m;
    struct addrspace *as = test_space();
    uaddr_t shared, private;
    mapping_init(&m, ops, NULL);
    m.size_bytes = disk_size = ops->read != NULL ? FILE_MAX / 2 + 77 : 0;
    fill(disk, disk_size);
    memset(disk + disk_size, 0, FILE_MAX - disk_size);
    memcpy(expect, disk, FILE_MAX);
    struct map_request r = { .len_bytes = FILE_MAX, .prot = MAP_READ | MAP_WRITE, .flags = VMA_SHARED | VMA_MAYWRITE, .mapping = &m };
    CHECK_EQ(as_map(as, &r, &shared), 0);
    r.flags = 0;
    CHECK_EQ(as_map(as, &r, &private), 0);
    for (unsigned i = 0; i < operations; i++) {
        switch (pick(16)) {
        case 0: do_truncate(&m); break;
        case 1: case 2: case 3: do_write(&m); break;
        case 4: CHECK_EQ(mapping_sync(&m), 0); break;
        case 5: do_punch(&m); break;
        case 6: page_reclaim(pick(200)); break;
        case 7: case 8: case 9: do_read(&m); break;
        default: do_mapped(&m, shared, private); break;
        }
        if (pick(100) == 0)
            as_advise(as, shared, FILE_MAX, 4);
    }
    CHECK_EQ(m.writable_maps, 1);
    end_space(as);
    CHECK(list_empty(&m.vmas));
    CHECK_EQ(m.writable_maps, 0);
    CHECK_EQ(mapping_sync(&m), 0);
    CHECK(m.dirty_pages == 0 || ops->write == NULL);
    if (fail_reads == 0)
        for (u64 i = 0; i < m.size_bytes && ops->read != NULL; i++)
            CHECK_EQ(disk[i], expect[i]);
    mapping_done(&m);
}

TEST(file)
{
    mm_test_init();
    u64 before = free_memory();
    run(&disk_ops, 3000);
    CHECK_EQ(free_memory(), before);
}

TEST(memory_file)
{
    mm_test_init();
    u64 before = free_memory();
    run(&memory_ops, 3000);
    CHECK_EQ(free_memory(), before);
}

TEST(failing_device)
{
    mm_test_init();
    u64 before = free_memory();
    fail_reads = 3;
    run(&disk_ops, 3000);
    CHECK_EQ(free_memory(), before);
}

TEST(failing_allocations)
{
    mm_test_init();
    u64 before = free_memory();
    for (unsigned rate = 2; rate < 60; rate *= 3) {
        struct mapping m;
        mapping_init(&m, pick(2) ? &disk_ops : &memory_ops, NULL);
        m.size_bytes = disk_size = FILE_MAX / 2;
        sim_fail_allocations(rate);
        for (unsigned i = 0; i < 300; i++) {
            struct uio u;
            struct page *p;
            u64 off = pick(FILE_MAX - 40000);
            uio_kernel(&u, buffer, 1 + pick(40000));
            if (pick(2))
                mapping_write(&m, off, &u);
            else
                mapping_read(&m, off, &u);
            if (mapping_get(&m, pick(300), pick(2), &p) == 0)
                page_put(p);
            if (pick(10) == 0)
                mapping_truncate(&m, pick(FILE_MAX));
        }
        sim_fail_allocations(0);
        mapping_done(&m);
        CHECK_EQ(free_memory(), before);
    }
}

TEST(sequential_reading_reads_ahead)
{
    struct mapping m;
    mm_test_init();
    mapping_init(&m, &disk_ops, NULL);
    m.size_bytes = disk_size = FILE_MAX;
    for (u64 off = 0; off < FILE_MAX; off += 1000) {
        struct uio u;
        uio_kernel(&u, buffer, 1000);
        mapping_read(&m, off, &u);
    }
    CHECK(reads <= 12);
    mapping_done(&m);
}

TEST(sparse_indices)
{
    struct mapping m;
    struct page *p;
    static const u64 at[] = { 0, 63, 64, 4095, 4096, 1 << 20, 1UL << 40, (1UL << 51) - 1 };
    mm_test_init();
    u64 before = free_memory();
    mapping_init(&m, &memory_ops, NULL);
    for (unsigned i = 0; i < ARRAY_SIZE(at); i++) {
        CHECK_EQ(mapping_get(&m, at[i], false, &p), -ENXIO);
        CHECK_EQ(mapping_get(&m, at[i], true, &p), 0);
        *(u64 *)page_virt(p) = at[i];
        page_put(p);
    }
    CHECK_EQ(m.page_count, ARRAY_SIZE(at));
    for (unsigned i = 0; i < ARRAY_SIZE(at); i++) {
        p = mapping_peek(&m, at[i]);
        CHECK(p != NULL && *(u64 *)page_virt(p) == at[i]);
        page_put(p);
        CHECK(at[i] == 63 || at[i] == 4095 || mapping_peek(&m, at[i] + 1) == NULL);
    }
    m.size_bytes = UINT64_MAX;
    mapping_truncate(&m, 4096 * PAGE_SIZE);
    CHECK_EQ(m.page_count, 4);
    mapping_done(&m);
    CHECK_EQ(free_memory(), before);
}

static struct mapping common;

static void reader(void *arg)
{
    for (unsigned i = 0; i < 60; i++) {
        u8 buf[300];
        struct uio u;
        u64 off = pick(FILE_MAX - 300);
        uio_kernel(&u, buf, sizeof(buf));
        s64 n = mapping_read(&common, off, &u);
        CHECK(n == -EIO || (n >= 0 && memcmp(buf, disk + off, (size_t)n) == 0));
        if (pick(5) == 0)
            page_reclaim(20);
        if (pick(20) == 0)
            mapping_truncate(&common, FILE_MAX - pick(1000));
    }
}

TEST_CPUS(readers_wait_for_each_other, 2)
{
    struct thread *t[4];
    mm_test_init();
    fill(disk, FILE_MAX);
    disk_size = FILE_MAX;
    slow = true;
    fail_reads = 10;
    mapping_init(&common, &disk_ops, NULL);
    common.size_bytes = FILE_MAX;
    for (unsigned i = 0; i < 4; i++)
        t[i] = test_thread("reader", reader, NULL);
    for (unsigned i = 0; i < 4; i++)
        test_join(t[i]);
    mapping_done(&common);
}

static struct mapping contended;
static bool contest_over;

static void rival(void *step)
{
    while (!contest_over) {
        ((void (*)(void))step)();
        cond_resched();
    }
}

/* A shared mapping of four pages, and a thread that does `step` again and again meanwhile. */
static struct addrspace *start_contest(void (*step)(void), struct thread **ret_rival, uaddr_t *ret_shared)
{
    mm_test_init();
    struct addrspace *as = test_space();
    mapping_init(&contended, &disk_ops, NULL);
    contended.size_bytes = disk_size = 4 * PAGE_SIZE;
    memset(disk, 0, disk_size);
    struct map_request r = { .len_bytes = disk_size, .prot = MAP_READ | MAP_WRITE, .flags = VMA_SHARED | VMA_MAYWRITE, .mapping = &contended };
    CHECK_EQ(as_map(as, &r, ret_shared), 0);
    *ret_rival = test_thread("rival", rival, (void *)step);
    return as;
}

static void end_contest(struct addrspace *as, struct thread *t)
{
    contest_over = true;
    test_join(t);
    end_space(as);
    mapping_done(&contended);
}

static void write_word(u64 off, u32 word)
{
    struct uio u;
    uio_kernel(&u, &word, sizeof word);
    CHECK_EQ(mapping_write(&contended, off, &u), sizeof word);
}

static void reclaim_some(void) { page_reclaim(2); }

/* A page that is written to while it is about to be dropped stays. */
TEST_CPUS(reclaim_drops_nothing_written, 2)
{
    uaddr_t shared;
    struct thread *t;
    struct addrspace *as = start_contest(reclaim_some, &t, &shared);
    for (u32 i = 1; i < 3000; i++) {
        u64 off = i % 4 * PAGE_SIZE;
        u32 seen = 0;
        struct uio u;
        if (i % 3 == 0)
            CHECK_EQ(put_user_u32(shared + off, i), 0);
        else
            write_word(off, i);
        uio_kernel(&u, &seen, sizeof seen);
        CHECK_EQ(mapping_read(&contended, off, &u), sizeof seen);
        CHECK_EQ(seen, i);
        cond_resched();
    }
    end_contest(as, t);
}

static void sync_all(void) { CHECK_EQ(mapping_sync(&contended), 0); }

/* What a program writes to a page that is mapped while it is written back is written back, too. */
TEST_CPUS(writeback_misses_no_mapping, 2)
{
    uaddr_t shared;
    struct thread *t;
    struct addrspace *as = start_contest(sync_all, &t, &shared);
    for (u32 i = 1; i < 2000; i++) {
        u32 on_disk;
        write_word(8, i); /* dirty already when it is mapped */
        CHECK_EQ(put_user_u32(shared, i), 0);
        CHECK_EQ(mapping_sync(&contended), 0);
        memcpy(&on_disk, disk, sizeof on_disk);
        CHECK_EQ(on_disk, i);
        CHECK_EQ(as_advise(as, shared, PAGE_SIZE, 4), 0);
        cond_resched();
    }
    end_contest(as, t);
}

/* More file than memory: the cache gives way, anonymous memory stays. */
TEST(cache_gives_way)
{
    struct mapping m;
    mm_test_init();
    u64 before = free_memory();
    struct addrspace *as = test_space();
    uaddr_t a;
    mapping_init(&m, &disk_ops, NULL);
    m.size_bytes = disk_size = FILE_MAX;
    fill(disk, FILE_MAX);
    struct map_request r = { .len_bytes = FILE_MAX, .prot = MAP_READ, .mapping = &m };
    CHECK_EQ(as_map(as, &r, &a), 0);
    for (u64 off = 0; off < FILE_MAX; off += PAGE_SIZE) {
        u32 v;
        CHECK_EQ(get_user_u32(a + off, &v), 0);
        CHECK_MEM(&v, disk + off, 4);
    }
    CHECK_EQ(as->rss_file, FILE_MAX / PAGE_SIZE);
    struct page *list = NULL, *p;
    while ((p = page_alloc(0, 0)) != NULL) {
        p->private = (uintptr_t)list;
        list = p;
    }
    CHECK_EQ(as->rss_file, 0);
    CHECK_EQ(m.page_count, 0);
    while (list != NULL) {
        p = list;
        list = (struct page *)(uintptr_t)p->private;
        page_put(p);
    }
    for (u64 off = 0; off < FILE_MAX; off += PAGE_SIZE) {
        u32 v;
        CHECK_EQ(get_user_u32(a + off, &v), 0);
        CHECK_MEM(&v, disk + off, 4);
    }
    end_space(as);
    mapping_done(&m);
    CHECK_EQ(free_memory(), before);
}

/* --- device memory ------------------------------------------------------------------------ */

static paddr_t direct(struct mapping *m, u64 index) { return index % 8 == 7 ? 0 : sim_device_memory() + index * PAGE_SIZE; }
static const struct mapping_ops direct_ops = { .read = disk_read, .direct = direct };

/* Pages that are the device's own: neither read nor copied until written to, never freed, and only one mapping's. */
TEST(direct_pages)
{
    enum { N = 24 };
    struct mapping m, other;
    uaddr_t a;
    mm_test_init();
    (void)page_add_device(sim_device_memory(), SIM_DEVICE_BYTES); /* -EBUSY with the next seed */
    fill(disk, N * PAGE_SIZE);
    memcpy(phys_to_virt(sim_device_memory()), disk, N * PAGE_SIZE);
    disk_size = N * PAGE_SIZE;
    for (unsigned round = 0; round < 3; round++) {
        struct addrspace *as = test_space();
        mapping_init(&m, &direct_ops, NULL);
        mapping_init(&other, &direct_ops, NULL);
        m.size_bytes = other.size_bytes = N * PAGE_SIZE;
        u64 before = free_memory();
        reads = 0;
        struct map_request r = { .len_bytes = N * PAGE_SIZE, .prot = MAP_READ | MAP_WRITE, .mapping = &m };
        CHECK_EQ(as_map(as, &r, &a), 0);
        for (u64 i = 0; i < N; i++) {
            u32 v;
            paddr_t pa;
            CHECK_EQ(get_user_u32(a + i * PAGE_SIZE, &v), 0);
            CHECK_MEM(&v, disk + i * PAGE_SIZE, 4);
            CHECK(plat_lookup(&as->plat, a + i * PAGE_SIZE, &pa, NULL));
            CHECK((pa == sim_device_memory() + i * PAGE_SIZE) == (i % 8 != 7));
        }
        CHECK_EQ(put_user_u32(a, 0x600df00d), 0);
        CHECK_MEM(phys_to_virt(sim_device_memory()), disk, 4); /* the copy was written to */
        /* What is one mapping's is read by the other. */
        struct page *p;
        CHECK_EQ(mapping_get(&other, 2, false, &p), 0);
        CHECK(page_phys(p) != sim_device_memory() + 2 * PAGE_SIZE);
        CHECK_MEM(page_virt(p), disk + 2 * PAGE_SIZE, PAGE_SIZE);
        page_put(p);
        end_space(as);
        mapping_done(&m);
        mapping_done(&other);
        if (round > 0) /* the struct pages stay */
            CHECK_EQ(free_memory(), before);
        CHECK(reads > 0 && reads <= 5);
    }
}

static struct page *watched;
static u32 held, mapped, flushes;

static void look(void)
{
    flushes++;
    CHECK_EQ(ref_count(&watched->refs), held);
    CHECK_EQ(watched->map_count, mapped);
}

/* Nobody takes a page for unused or unmapped while other CPUs may use it still: references go behind the flush, whatever takes the page away. */
TEST(references_outlive_the_flush)
{
    mm_test_init();
    u64 before = free_memory();
    for (unsigned how = 0; how < 4; how++) {
        static struct mapping m;
        struct addrspace *as = test_space();
        uaddr_t a, b;
        paddr_t pa;
        mapping_init(&m, &memory_ops, NULL);
        m.size_bytes = PAGE_SIZE;
        struct map_request r = { .len_bytes = PAGE_SIZE, .prot = MAP_READ | MAP_WRITE, .flags = VMA_SHARED | VMA_MAYWRITE, .mapping = &m };
        CHECK_EQ(as_map(as, &r, &a), 0);
        CHECK_EQ(put_user_u32(a, 1), 0);
        CHECK(plat_lookup(&as->plat, a, &pa, NULL));
        watched = page_of(pa);
        held = how == 3 ? 1 : 2; /* the mapping's goes first */
        mapped = 1;
        flushes = 0;
        sim_flush_hook = look;
        addrspace_get(as); /* another thread of the program */
        if (how == 0)
            CHECK_EQ(as_unmap(as, a, PAGE_SIZE), 0);
        else if (how == 1)
            CHECK_EQ(as_advise(as, a, PAGE_SIZE, 4), 0);
        else if (how == 2)
            CHECK_EQ(map_anon(as, a, PAGE_SIZE, MAP_READ, 0, true, &b), 0);
        else
            mapping_truncate(&m, 0);
        sim_flush_hook = NULL;
        CHECK_EQ(flushes, 1);
        addrspace_put(as);
        end_space(as);
        mapping_done(&m);
    }
    CHECK_EQ(free_memory(), before);
}

/* Many at once: of a file, and shared with a copy of the program. */
TEST(many_shared_pages_go)
{
    mm_test_init();
    u64 before = free_memory();
    static struct mapping m;
    struct addrspace *as = test_space(), *copy;
    uaddr_t a, b;
    mapping_init(&m, &memory_ops, NULL);
    m.size_bytes = 300 * PAGE_SIZE;
    struct map_request r = { .len_bytes = 300 * PAGE_SIZE, .prot = MAP_READ | MAP_WRITE, .flags = VMA_SHARED | VMA_MAYWRITE, .mapping = &m };
    CHECK_EQ(as_map(as, &r, &a), 0);
    CHECK_EQ(map_anon(as, 0, 2 * HUGE_SIZE, MAP_READ | MAP_WRITE, VMA_HUGE, false, &b), 0);
    CHECK_EQ(as_populate(as, a, 300 * PAGE_SIZE, MAP_WRITE), 0);
    CHECK_EQ(as_populate(as, b, 2 * HUGE_SIZE, MAP_WRITE), 0);
    CHECK_EQ(addrspace_fork(as, &copy), 0);
    addrspace_get(as);
    CHECK_EQ(as_unmap(as, a, 300 * PAGE_SIZE), 0);
    CHECK_EQ(as_unmap(as, b, 2 * HUGE_SIZE), 0);
    CHECK_EQ(as->rss_anon + as->rss_file, 0);
    addrspace_put(as);
    end_space(as);
    addrspace_put(copy);
    mapping_done(&m);
    CHECK_EQ(free_memory(), before);
}
