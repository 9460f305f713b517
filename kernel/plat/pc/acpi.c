/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ACPI tables that are data (ACPI 6.5, chapter 5): RSDP, XSDT or RSDT, MADT for CPUs and I/O APICs, MCFG for
 * PCI's configuration space. No AML is read. All of it comes from outside: lengths are bounded, checksums
 * must be right, and an unsound table counts as absent.
 */
#include "base/bytes.h"
#include "base/str.h"
#include "pc.h"

#define HEADER_LEN 36u
#define TABLE_MAX 65536u
#define MAX_TABLES 64u
#define MADT_CPU 0
#define MADT_IOAPIC 1
#define MADT_OVERRIDE 2
#define MADT_X2APIC 9

static const u8 *mcfg;

/* A whole table with a right checksum, its length in *ret_len; or NULL. */
static const u8 *map_table(paddr_t pa, const char *signature, size_t *ret_len)
{
    const u8 *t = pa != 0 ? pc_map_firmware(pa, HEADER_LEN) : NULL;
    if (t == NULL || (signature != NULL && memcmp(t, signature, 4) != 0))
        return NULL;
    size_t len = get_u32(t + 4);
    if (len < HEADER_LEN || len > TABLE_MAX || (t = pc_map_firmware(pa, len)) == NULL || pc_checksum(t, len) != 0)
        return NULL;
    *ret_len = len;
    return t;
}

static const u8 *find_rsdp(void)
{
    const u8 *p = NULL;
    if (pc_rsdp != 0 && pc_rsdp < 1ULL << 46)
        p = pc_map_firmware(pc_rsdp, 36);
    return p != NULL && memcmp(p, "RSD PTR ", 8) == 0 && pc_checksum(p, 20) == 0 ? p : NULL;
}

static void parse_madt(const u8 *t, size_t len)
{
    for (size_t at = 44; at + 2 <= len;) {
        const u8 *e = t + at;
        size_t n = e[1];
        if (n < 2 || n > len - at)
            return;
        if (e[0] == MADT_CPU && n >= 8 && (get_u32(e + 4) & 1)) {
            pc_cpu_add(e[3]);
        } else if (e[0] == MADT_X2APIC && n >= 16 && (get_u32(e + 8) & 1)) {
            pc_cpu_add(get_u32(e + 4));
        } else if (e[0] == MADT_IOAPIC && n >= 12) {
            pc_ioapic_add(get_u32(e + 4), get_u32(e + 8));
        } else if (e[0] == MADT_OVERRIDE && n >= 10 && e[2] == 0) {
            unsigned gsi = get_u32(e + 4), flags = get_u16(e + 8);
            pc_isa_route(e[3], gsi);
            pc_gsi_set_mode(gsi, (flags >> 2 & 3) == 3, (flags & 3) == 3);
        }
        at += n;
    }
}

bool pc_acpi_parse(void)
{
    const u8 *rsdp = find_rsdp();
    if (rsdp == NULL)
        return false;
    bool extended = rsdp[15] >= 2 && get_u64(rsdp + 24) != 0 && pc_checksum(rsdp, 36) == 0;
    size_t len, width = extended ? 8 : 4;
    const u8 *root = map_table(extended ? get_u64(rsdp + 24) : get_u32(rsdp + 16), extended ? "XSDT" : "RSDT", &len);
    if (root == NULL)
        return false;
    bool found = false;
    size_t count = MIN((len - HEADER_LEN) / width, (size_t)MAX_TABLES);
    for (size_t i = 0; i < count; i++) {
        const u8 *slot = root + HEADER_LEN + i * width;
        u64 pa = extended ? get_u64(slot) : get_u32(slot);
        const u8 *t;
        size_t table_len;
        if ((t = map_table(pa, "APIC", &table_len)) != NULL) {
            parse_madt(t, table_len);
            found = true;
        } else if ((t = map_table(pa, "MCFG", &table_len)) != NULL && table_len >= 44 + 16) {
            mcfg = t;
        }
    }
    return found;
}

bool pc_acpi_mcfg(paddr_t *ret_base, u8 *ret_first_bus, u8 *ret_last_bus)
{
    if (mcfg == NULL || get_u16(mcfg + 44 + 8) != 0 || mcfg[44 + 10] > mcfg[44 + 11])
        return false;
    u64 base = get_u64(mcfg + 44);
    if (base == 0 || base >> 46 != 0 || !IS_ALIGNED(base, 1UL << 20))
        return false;
    *ret_base = base;
    *ret_first_bus = mcfg[44 + 10];
    *ret_last_bus = mcfg[44 + 11];
    return true;
}
