/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The MultiProcessor table (Intel MultiProcessor Specification 1.4, chapter 4): CPUs, I/O APICs, and how the
 * ISA bus's interrupts are wired. It comes from firmware: signatures, checksums and every length are checked,
 * and what is outside the bounds is not read.
 */
#include "base/bytes.h"
#include "base/str.h"
#include "pc.h"

#define FLOATING_LEN 16u
#define HEADER_LEN 44u
#define ENTRY_CPU 0
#define ENTRY_BUS 1
#define ENTRY_IOAPIC 2
#define ENTRY_IRQ 3

static u8 isa_gsi[16] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 };

unsigned pc_isa_gsi(unsigned irq) { return irq < ARRAY_SIZE(isa_gsi) ? isa_gsi[irq] : irq; }

void pc_isa_route(unsigned irq, unsigned gsi)
{
    if (irq < ARRAY_SIZE(isa_gsi) && gsi < 256)
        isa_gsi[irq] = (u8)gsi;
}

void pc_cpu_add(u32 apic_id)
{
    if (pc_cpu_found < MAX_CPUS && apic_id < 255 && apic_id != pc_cpu_apic_ids[0])
        pc_cpu_apic_ids[pc_cpu_found++] = (u8)apic_id;
}

/* In [start, start + len) of the first megabyte, on 16-byte boundaries (the direct map has it). */
static const u8 *find_floating(paddr_t start, size_t len)
{
    for (const u8 *p = phys_to_virt(start); len >= FLOATING_LEN; p += 16, len -= 16)
        if (get_u32(p) == 0x5f504d5fu && p[8] == 1 && pc_checksum(p, FLOATING_LEN) == 0) /* "_MP_" */
            return p;
    return NULL;
}

static const u8 *find_table(void)
{
    u64 ebda = (u64)get_u16(phys_to_virt(0x40e)) << 4;
    const u8 *f = NULL;
    if (ebda >= 0x9f000 && ebda <= 0x9fc00)
        f = find_floating(ebda, 1024);
    if (f == NULL)
        f = find_floating(0x9fc00, 1024);
    if (f == NULL)
        f = find_floating(0xf0000, 0x10000);
    if (f == NULL)
        f = find_floating(0xe0000, 0x10000);
    u64 pa = f != NULL ? get_u32(f + 4) : 0;
    if (pa == 0)
        return NULL;
    const u8 *t = pc_map_firmware(pa, HEADER_LEN);
    if (t == NULL || get_u32(t) != 0x504d4350u) /* "PCMP" */
        return NULL;
    size_t len = get_u16(t + 4);
    if (len < HEADER_LEN || (t = pc_map_firmware(pa, len)) == NULL || pc_checksum(t, len) != 0)
        return NULL;
    return t;
}

static void add_irq(const u8 *e, u64 isa_buses, u32 ioapic_id)
{
    unsigned flags = get_u16(e + 2), bus = e[4], irq = e[5], pin = e[7];
    if (e[1] != 0 || bus >= 64 || !(isa_buses >> bus & 1) || (e[6] != ioapic_id && e[6] != 255))
        return;
    pc_isa_route(irq, pin);
    pc_gsi_set_mode(pin, (flags >> 2 & 3) == 3, (flags & 3) == 3);
}

bool pc_mptable_parse(void)
{
    const u8 *t = find_table();
    if (t == NULL)
        return false;
    const u8 *e = t + HEADER_LEN, *end = t + get_u16(t + 4);
    u64 isa_buses = 0;
    u32 ioapic_id = 256;
    while (e < end) { /* the length bounds it: some firmware leaves the count of entries 0 */
        size_t len = e[0] == ENTRY_CPU ? 20 : 8;
        if ((size_t)(end - e) < len)
            break;
        if (e[0] == ENTRY_CPU && (e[3] & 1)) {
            pc_cpu_add(e[1]);
        } else if (e[0] == ENTRY_BUS && e[1] < 64 && memcmp(e + 2, "ISA", 3) == 0) {
            isa_buses |= 1ULL << e[1];
        } else if (e[0] == ENTRY_IOAPIC && (e[3] & 1) && ioapic_id == 256) {
            ioapic_id = e[1]; /* the table gives no wire numbers beyond its own: the first one */
            pc_ioapic_add(get_u32(e + 4), 0);
        } else if (e[0] == ENTRY_IRQ) {
            add_irq(e, isa_buses, ioapic_id);
        }
        e += len;
    }
    return true;
}
