/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel's own page tables, made once. W^X from the start:
 *
 *   image      text r-x, rodata r--, data and bss rw-nx; nothing below or above it; a hole under the boot stack
 *   direct map RAM rw-nx in the largest pages there are; the image's text and rodata r--; the
 *              firmware area below 1 MiB r-- (its tables are read there)
 *   devices    one 2 MiB table of small mappings, then large ones, handed out in order
 *
 * The three top-level entries and the one for [PLAT_KVMAP_START, ..) are never changed afterwards, so
 * every address space copies them (pagetable.c). Tables come from the pages after the image; while
 * they are written boot.S's mapping of the first 4 MiB is in use. Cost: one entry for each 2 MiB of RAM, or
 * for each 1 GiB where the CPU can.
 */
#include "arch/cpu.h"
#include "base/str.h"
#include "kern/lock.h"
#include "kern/log.h"
#include "arch/pagetable.h"
#include "pc.h"

#define BOOT_MAPPED 0x400000u
#define GIB (1UL << 30)

extern u64 kernel_pdpt[512], kernel_pd[512];
extern u8 text_start[], text_end[], rodata_start[], data_start[], kernel_end[], boot_stack_guard[];

static u64 kernel_pt[512] __attribute__((section(".bss..boot_tables"), aligned(4096)));
static u64 device_pd[512] __attribute__((section(".bss..boot_tables"), aligned(4096)));
static u64 device_pt[512] __attribute__((section(".bss..boot_tables"), aligned(4096)));
static u64 kvmap_pdpt[512] __attribute__((section(".bss..boot_tables"), aligned(4096)));

static u64 *kernel_pt_high; /* of what lies above 2 MiB, if anything does */
static paddr_t early_next; /* next free page while the tables are built */

static u64 image_phys(const void *p) { return (u64)p - PLAT_KERNEL_BASE; }

/* A zeroed table page; reachable through boot.S's mapping. */
static u64 *early_table(void)
{
    if (early_next + PAGE_SIZE > BOOT_MAPPED)
        pc_fatal("too much memory for the early page tables: this CPU needs 1 GiB pages");
    u64 *t = (u64 *)(early_next + PLAT_KERNEL_BASE);
    early_next += PAGE_SIZE;
    memset(t, 0, PAGE_SIZE);
    return t;
}

static u64 *early_child(u64 *table, unsigned index)
{
    if (table[index] == 0)
        table[index] = image_phys(early_table()) | PTE_TABLE;
    return (u64 *)((table[index] & PTE_ADDR) + PLAT_KERNEL_BASE);
}

/* Rights of a 4 KiB page in the direct map. */
static u64 direct_rights(paddr_t pa)
{
    bool constant = (pa >= 0x9f000 && pa < 0x100000) ||
                    (pa >= image_phys(text_start) && pa < image_phys(data_start));
    return constant ? PTE_KERNEL_RO : PTE_KERNEL_RW;
}

static void map_direct(paddr_t start, paddr_t end, bool gib_pages)
{
    for (paddr_t pa = start; pa < end;) {
        u64 va = PLAT_DIRECT_BASE + pa;
        u64 *pdpt = early_child(kernel_pml4, PT_INDEX(va, 4));
        if (gib_pages && IS_ALIGNED(pa, GIB) && end - pa >= GIB && pa != 0) {
            pdpt[PT_INDEX(va, 3)] = pa | PTE_KERNEL_RW | PTE_LARGE;
            pa += GIB;
            continue;
        }
        u64 *pd = early_child(pdpt, PT_INDEX(va, 3));
        if (IS_ALIGNED(pa, HUGE_SIZE) && end - pa >= HUGE_SIZE && pa != 0) {
            pd[PT_INDEX(va, 2)] = pa | PTE_KERNEL_RW | PTE_LARGE;
            pa += HUGE_SIZE;
            continue;
        }
        u64 *pt = early_child(pd, PT_INDEX(va, 2));
        paddr_t stop = MIN(end, ALIGN_DOWN(pa, HUGE_SIZE) + HUGE_SIZE);
        for (; pa < stop; pa += PAGE_SIZE)
            pt[PT_INDEX(PLAT_DIRECT_BASE + pa, 1)] = pa | direct_rights(pa);
    }
}

static void map_image(const void *from, const void *to, u64 rights)
{
    for (u64 pa = image_phys(from); pa < image_phys(to); pa += PAGE_SIZE)
        (pa < HUGE_SIZE ? kernel_pt : kernel_pt_high)[PT_INDEX(pa, 1)] = pa | rights;
}

paddr_t pc_paging_init(paddr_t next)
{
    early_next = next;
    bool gib_pages = (cpuid(0x80000001, 0).edx & (1u << 26)) != 0;
    for (unsigned i = 0; i < pc_ram_count; i++)
        map_direct(pc_ram[i].start, pc_ram[i].end, gib_pages);
    map_direct(0, PAGE_SIZE, false);
    map_direct(0x9f000, 0xa0000, false); /* the extended BIOS data area: MP table */
    map_direct(0xe0000, 0x100000, false);

    if (image_phys(kernel_end) > HUGE_SIZE)
        kernel_pt_high = early_table();
    map_image(text_start, rodata_start, PTE_KERNEL_RX);
    map_image(rodata_start, data_start, PTE_KERNEL_RO);
    map_image(data_start, kernel_end, PTE_KERNEL_RW);
    kernel_pt[PT_INDEX(image_phys(boot_stack_guard), 1)] = 0;

    device_pd[0] = image_phys(device_pt) | PTE_TABLE;
    kernel_pdpt[511] = image_phys(device_pd) | PTE_TABLE;
    kernel_pml4[PT_INDEX(PLAT_KVMAP_START, 4)] = image_phys(kvmap_pdpt) | PTE_TABLE;
    kernel_pd[0] = image_phys(kernel_pt) | PTE_TABLE;
    kernel_pd[1] = kernel_pt_high != NULL ? image_phys(kernel_pt_high) | PTE_TABLE : 0;
    kernel_pd[2] = kernel_pd[3] = 0;
    kernel_pdpt[0] = 0;
    kernel_pml4[0] = 0;
    write_cr3(image_phys(kernel_pml4));
    return early_next;
}

/* The image also where it lies physically, for CPUs that begin without paging; in the kernel's own table only. */
void pc_paging_identity(bool on)
{
    atomic_store(&kernel_pdpt[0], on ? image_phys(kernel_pd) | PTE_TABLE : 0);
    atomic_store(&kernel_pml4[0], on ? image_phys(kernel_pdpt) | PTE_TABLE : 0);
}

/* --- devices and firmware tables ------------------------------------------------- */

static struct spinlock device_lock = SPINLOCK_INIT("pc device map"); /* irq-safe */
static unsigned device_small = 1; /* device_lock: next entry of device_pt; entry 0 stays a hole */
static unsigned device_large = 1; /* device_lock: next entry of device_pd */

static volatile void *map_locked(paddr_t pa, size_t len, u64 rights)
{
    u64 offset = pa & (PAGE_SIZE - 1);
    if (len == 0 || len > GIB || pa >= 1ULL << 52 || pa + len > 1ULL << 52)
        return NULL;
    if (len < HUGE_SIZE / 8) {
        unsigned pages = (unsigned)(ALIGN_UP(offset + len, PAGE_SIZE) / PAGE_SIZE);
        paddr_t base = pa - offset;
        if (pages == 1) /* devices share pages */
            for (unsigned i = 1; i < device_small; i++)
                if (device_pt[i] == (base | rights))
                    return (void *)(PLAT_DEVICE_BASE + i * PAGE_SIZE + offset);
        if (pages + 1 > 512 - device_small)
            return NULL;
        u64 va = PLAT_DEVICE_BASE + device_small * PAGE_SIZE;
        for (unsigned i = 0; i < pages; i++)
            device_pt[device_small++] = (base + i * PAGE_SIZE) | rights;
        return (void *)(va + offset);
    }
    offset = pa & (HUGE_SIZE - 1);
    unsigned count = (unsigned)(ALIGN_UP(offset + len, HUGE_SIZE) / HUGE_SIZE);
    if (count > 512 - device_large)
        return NULL;
    u64 va = PLAT_DEVICE_BASE + device_large * HUGE_SIZE;
    for (unsigned i = 0; i < count; i++)
        device_pd[device_large++] = (pa - offset + i * HUGE_SIZE) | rights | PTE_LARGE;
    return (void *)(va + offset);
}

static volatile void *map_device(paddr_t pa, size_t len, u64 rights)
{
    u64 flags = spin_lock_irqsave(&device_lock);
    volatile void *at = map_locked(pa, len, rights);
    spin_unlock_irqrestore(&device_lock, flags);
    return at;
}

volatile void *plat_map_device(paddr_t pa, size_t len_bytes)
{
    return map_device(pa, len_bytes, PTE_KERNEL_RW | PTE_UNCACHED);
}

const void *pc_map_firmware(paddr_t pa, size_t len_bytes)
{
    return (const void *)map_device(pa, len_bytes, PTE_KERNEL_RO);
}
