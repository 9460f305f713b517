/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RAM, kernel mappings and programs' page tables of the test platform.
 *
 * A page table has four levels of 512 entries. A leaf holds the physical address
 * and the rights; at level 1 it may be a 2 MiB one (LARGE). Tables come from
 * the host's heap, but an allocation may be made to fail, as pc's may.
 */
#define _GNU_SOURCE /* memfd_create */
#include "sim.h"

#include "base/str.h"
#include "kern/log.h"
#include "kern/page.h"

#include <sanitizer/asan_interface.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define PRESENT 0x10ull
#define LARGE 0x20ull
#define PROT_MASK 7ull
#define PA_MASK (~(u64)(PAGE_SIZE - 1))

static int ram_fd = -1;

paddr_t sim_device_memory(void) { return ALIGN_UP(sim_config.ram_bytes, PAGE_SIZE << PAGE_MAX_ORDER); }

void sim_memory_init(void)
{
    u64 all = sim_device_memory() + SIM_DEVICE_BYTES;
    ram_fd = memfd_create("drupe-sim", MFD_CLOEXEC);
    if (ram_fd < 0 || ftruncate(ram_fd, (off_t)all) != 0)
        panic("memory file");
    void *ram = mmap((void *)SIM_RAM_BASE, all, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED_NOREPLACE,
                     ram_fd, 0);
    void *range = mmap((void *)PLAT_KVMAP_START, PLAT_KVMAP_END - PLAT_KVMAP_START, PROT_NONE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
    if (ram != (void *)SIM_RAM_BASE || range != (void *)PLAT_KVMAP_START)
        panic("host addresses are taken");
}

unsigned plat_memory(struct plat_mem_range ret_ranges[PLAT_MAX_RANGES])
{
    /* Page 0 and a hole in the middle are not RAM. */
    u64 half = ALIGN_DOWN(sim_config.ram_bytes / 2, HUGE_SIZE);
    ret_ranges[0] = (struct plat_mem_range){ PAGE_SIZE, half - PAGE_SIZE };
    ret_ranges[1] = (struct plat_mem_range){ half + 16 * PAGE_SIZE, sim_config.ram_bytes - half - 16 * PAGE_SIZE };
    return 2;
}

bool plat_fresh_memory_is_zero(void) { return true; }

int plat_kmap(void *kva, paddr_t pa, size_t len_bytes, unsigned prot)
{
    ASSERT((u64)(uintptr_t)kva >= PLAT_KVMAP_START && (u64)(uintptr_t)kva + len_bytes <= PLAT_KVMAP_END);
    ASSERT(pa + len_bytes <= sim_config.ram_bytes);
    int p = PROT_READ | (prot & MAP_WRITE ? PROT_WRITE : 0) | (prot & MAP_EXEC ? PROT_EXEC : 0);
    return mmap(kva, len_bytes, p, MAP_SHARED | MAP_FIXED, ram_fd, (off_t)pa) == kva ? 0 : -ENOMEM;
}

u64 sim_readable_start, sim_readable_end;

bool plat_kernel_readable(u64 addr, u64 len)
{
    return (addr >= SIM_RAM_BASE && addr < SIM_RAM_BASE + sim_config.ram_bytes && len <= SIM_RAM_BASE + sim_config.ram_bytes - addr) ||
           (addr >= sim_readable_start && addr < sim_readable_end && len <= sim_readable_end - addr);
}

void plat_kunmap(void *kva, size_t len_bytes)
{
    __asan_unpoison_memory_region(kva, len_bytes);
    void *p = mmap(kva, len_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
    ASSERT(p == kva);
}

volatile void *plat_map_device(paddr_t pa, size_t len_bytes) { return NULL; }

/* --- page tables ----------------------------------------------------------------- */

static unsigned index_at(uaddr_t va, unsigned level) { return va >> (PAGE_SHIFT + 9 * level) & 511; }

int plat_aspace_init(struct plat_aspace *as)
{
    as->top = calloc(512, sizeof(u64));
    return as->top != NULL ? 0 : -ENOMEM;
}

static void free_table(u64 *table, unsigned level)
{
    for (unsigned i = 0; i < 512; i++) {
        if (table[i] == 0)
            continue;
        ASSERT(level != 0 && (table[i] & LARGE) == 0); /* all mappings already removed */
        free_table((u64 *)(uintptr_t)table[i], level - 1);
    }
    free(table);
}

void plat_aspace_done(struct plat_aspace *as)
{
    if (as->top != NULL)
        free_table(as->top, 3);
    as->top = NULL;
}

void plat_aspace_switch(struct plat_aspace *as) { }
void plat_aspace_retire(struct plat_aspace *as) { }

/* Turn a 2 MiB leaf into a table of pages. */
static int split(u64 *entry)
{
    u64 *table = alloc_must_fail() ? NULL : calloc(512, sizeof(u64));
    if (table == NULL)
        return -ENOMEM;
    for (u64 i = 0; i < 512; i++)
        table[i] = (*entry & ~LARGE) + (i << PAGE_SHIFT);
    *entry = (u64)(uintptr_t)table;
    return 0;
}

/* The entry for va at `level` (0 or 1), making tables when `make`. NULL: absent, or no
 * memory. A LARGE leaf above level 0 is returned as it is unless `make`. */
static u64 *walk(struct plat_aspace *as, uaddr_t va, unsigned level, bool make)
{
    u64 *table = as->top;
    for (unsigned l = 3;; l--) {
        u64 *entry = &table[index_at(va, l)];
        if (l == level)
            return entry;
        if (*entry == 0) {
            if (!make || alloc_must_fail())
                return NULL;
            *entry = (u64)(uintptr_t)calloc(512, sizeof(u64));
            if (*entry == 0)
                return NULL;
        } else if ((*entry & LARGE) != 0) {
            if (!make)
                return entry;
            if (split(entry) != 0)
                return NULL;
        }
        table = (u64 *)(uintptr_t)*entry;
    }
}

static void check_range(uaddr_t va, size_t len_bytes)
{
    ASSERT(IS_ALIGNED(va, PAGE_SIZE) && IS_ALIGNED(len_bytes, PAGE_SIZE));
    ASSERT(va >= PLAT_USER_MIN && va <= PLAT_USER_MAX && len_bytes <= PLAT_USER_MAX - va);
}

int plat_map(struct plat_aspace *as, uaddr_t va, paddr_t pa, size_t len_bytes, unsigned prot)
{
    check_range(va, len_bytes);
    ASSERT(IS_ALIGNED(pa, PAGE_SIZE) && pa + len_bytes <= sim_device_memory() + SIM_DEVICE_BYTES);
    bool large = (prot & MAP_HUGE) != 0;
    u64 step = large ? HUGE_SIZE : PAGE_SIZE;
    ASSERT(!large || (IS_ALIGNED(va, HUGE_SIZE) && IS_ALIGNED(pa, HUGE_SIZE) && IS_ALIGNED(len_bytes, HUGE_SIZE)));
    for (u64 off = 0; off < len_bytes; off += step) /* first all that may fail */
        if (walk(as, va + off, large ? 1 : 0, true) == NULL)
            return -ENOMEM;
    for (u64 off = 0; off < len_bytes; off += step) {
        u64 *entry = walk(as, va + off, large ? 1 : 0, true);
        if (large && *entry != 0 && (*entry & LARGE) == 0) {
            free_table((u64 *)(uintptr_t)*entry, 0); /* asserts that it is empty */
            *entry = 0;
        }
        *entry = (pa + off) | PRESENT | (large ? LARGE : 0) | (prot & PROT_MASK);
    }
    return 0;
}

int plat_map_absent(struct plat_aspace *as, uaddr_t va, const paddr_t *pa, u64 wanted, unsigned prot, u64 *ret_mapped)
{
    u64 mapped = 0;
    for (unsigned i = 0; i < 64; i++) {
        if (!(wanted >> i & 1) || plat_lookup(as, va + i * PAGE_SIZE, NULL, NULL))
            continue;
        if (plat_map(as, va + i * PAGE_SIZE, pa[i], PAGE_SIZE, prot) != 0)
            return -ENOMEM; /* only ever the first: it makes the table */
        mapped |= 1ULL << i;
    }
    *ret_mapped = mapped;
    return 0;
}

/* Visit the leaves of a range; 2 MiB leaves that it covers in part are split. */
static int for_range(struct plat_aspace *as, uaddr_t va, size_t len_bytes,
                     void (*fn)(u64 *entry, uaddr_t va, size_t len, void *ctx), void *ctx)
{
    check_range(va, len_bytes);
    uaddr_t end = va + len_bytes;
    for (uaddr_t at = va; at < end;) { /* first all that may fail */
        uaddr_t next = MIN(ALIGN_DOWN(at, HUGE_SIZE) + HUGE_SIZE, end);
        u64 *entry = walk(as, at, 1, false);
        if (entry != NULL && (*entry & LARGE) != 0 && next - at != HUGE_SIZE && split(entry) != 0)
            return -ENOMEM;
        at = next;
    }
    for (uaddr_t at = va; at < end;) {
        u64 *entry = walk(as, at, 1, false);
        if (entry == NULL || *entry == 0) {
            at = ALIGN_DOWN(at, HUGE_SIZE) + HUGE_SIZE;
        } else if ((*entry & LARGE) != 0) {
            fn(entry, at, HUGE_SIZE, ctx);
            at += HUGE_SIZE;
        } else {
            u64 *leaf = &((u64 *)(uintptr_t)*entry)[index_at(at, 0)];
            if (*leaf != 0)
                fn(leaf, at, PAGE_SIZE, ctx);
            at += PAGE_SIZE;
        }
    }
    return 0;
}

struct unmap_ctx {
    plat_unmap_fn *fn;
    void *ctx;
};

static void unmap_one(u64 *entry, uaddr_t va, size_t len, void *arg)
{
    struct unmap_ctx *u = arg;
    paddr_t pa = *entry & PA_MASK;
    *entry = 0;
    if (u->fn != NULL)
        u->fn(u->ctx, va, pa, len);
}

int plat_unmap(struct plat_aspace *as, uaddr_t va, size_t len_bytes, plat_unmap_fn *fn, void *ctx)
{
    struct unmap_ctx u = { fn, ctx };
    return for_range(as, va, len_bytes, unmap_one, &u);
}

static void protect_one(u64 *entry, uaddr_t va, size_t len, void *arg)
{
    *entry = (*entry & ~PROT_MASK) | *(unsigned *)arg;
}

int plat_protect(struct plat_aspace *as, uaddr_t va, size_t len_bytes, unsigned prot)
{
    prot &= PROT_MASK;
    return for_range(as, va, len_bytes, protect_one, &prot);
}

struct copy_ctx {
    struct plat_aspace *to;
    plat_copy_fn *fn;
    void *ctx;
    int err;
};

static void copy_one(u64 *entry, uaddr_t va, size_t len, void *arg)
{
    struct copy_ctx *c = arg;
    u64 *leaf = c->err == 0 ? walk(c->to, va, len == HUGE_SIZE ? 1 : 0, true) : NULL;
    if (leaf == NULL)
        c->err = -ENOMEM;
    else if (c->fn(c->ctx, va, *entry & PA_MASK, len))
        *leaf = *entry = *entry & ~(u64)MAP_WRITE;
}

int plat_copy(struct plat_aspace *from, struct plat_aspace *to, uaddr_t va, size_t len_bytes, plat_copy_fn *fn, void *ctx)
{
    struct copy_ctx c = { to, fn, ctx, 0 };
    int err = for_range(from, va, len_bytes, copy_one, &c);
    return err != 0 ? err : c.err;
}

bool plat_lookup(struct plat_aspace *as, uaddr_t va, paddr_t *ret_pa, unsigned *ret_prot)
{
    u64 *entry = walk(as, va, 0, false);
    if (entry == NULL || *entry == 0)
        return false;
    u64 inside = *entry & LARGE ? va & (HUGE_SIZE - 1) & PA_MASK : 0;
    if (ret_pa != NULL)
        *ret_pa = (*entry & PA_MASK) + inside;
    if (ret_prot != NULL)
        *ret_prot = (unsigned)(*entry & PROT_MASK) | (*entry & LARGE ? MAP_HUGE : 0);
    return true;
}

uaddr_t plat_next_mapped(struct plat_aspace *as, uaddr_t va, uaddr_t end)
{
    while (va < end) {
        u64 *entry = walk(as, va, 1, false);
        if (entry == NULL || *entry == 0)
            va = MIN(ALIGN_DOWN(va, HUGE_SIZE) + HUGE_SIZE, end);
        else if (plat_lookup(as, va, NULL, NULL))
            return va;
        else
            va += PAGE_SIZE;
    }
    return end;
}

void (*sim_flush_hook)(void);

void plat_flush(struct plat_aspace *as, uaddr_t va, size_t len_bytes)
{
    if (sim_flush_hook != NULL)
        sim_flush_hook();
}
