/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PCI through its memory-mapped configuration space (PCI Express Base 3.0, 7.2.2). BARs keep the addresses
 * that the firmware gave them; interrupts are MSI-X only, so no routing tables (AML) are needed. Buses behind
 * bridges are found by the numbers in the bridges.
 */
#include "arch/cpu.h"
#include "base/fmt.h"
#include "kern/log.h"
#include "kern/slab.h"
#include "pc.h"

#define CFG_COMMAND 4
#define CFG_STATUS 6
#define CFG_CLASS 8
#define CFG_HEADER 0xe
#define CFG_BAR 0x10
#define CFG_BUSES 0x18
#define CFG_SUBSYSTEM 0x2e
#define CFG_CAPS 0x34
#define COMMAND_MEMORY 2u
#define COMMAND_MASTER 4u
#define COMMAND_NO_INTX 0x400u
#define CAP_MSIX 0x11
#define MSIX_ENABLE 0x8000u
#define MSIX_MASK_ALL 0x4000u
#define MAX_DEVICES 128

struct pci_function {
    struct device dev;
    volatile u8 *config;      /* its 4 KiB */
    volatile u32 *msix_table; /* mapped at the first attach */
    unsigned msix_cap, msix_count;
};

static u32 read_at(volatile u8 *config, unsigned off, unsigned width)
{
    if (off > 4096 - width || off % width != 0)
        return UINT32_MAX;
    return width == 1 ? config[off] : width == 2 ? *(volatile u16 *)(config + off) : *(volatile u32 *)(config + off);
}

static void write_at(volatile u8 *config, unsigned off, unsigned width, u32 v)
{
    if (off > 4096 - width || off % width != 0)
        return;
    if (width == 1)
        config[off] = (u8)v;
    else if (width == 2)
        *(volatile u16 *)(config + off) = (u16)v;
    else
        *(volatile u32 *)(config + off) = v;
}

static struct pci_function *function_of(struct device *d) { return container_of(d, struct pci_function, dev); }

static u32 config_read(struct device *d, unsigned off, unsigned width)
{
    return read_at(function_of(d)->config, off, width);
}

static void config_write(struct device *d, unsigned off, unsigned width, u32 v)
{
    write_at(function_of(d)->config, off, width, v);
}

/* Where BAR n lies and how long it is. False: absent, an I/O BAR, or nonsense. */
static bool bar_range(volatile u8 *config, unsigned bar, u64 *ret_base, u64 *ret_len)
{
    if (bar > 5)
        return false;
    unsigned off = CFG_BAR + 4 * bar;
    u32 low = read_at(config, off, 4), high = 0;
    bool wide = (low & 6) == 4;
    if ((low & 1) || (wide && bar == 5))
        return false;
    u32 command = read_at(config, CFG_COMMAND, 2);
    write_at(config, CFG_COMMAND, 2, command & ~COMMAND_MEMORY); /* sized with decoding off (PCI 3.0, 6.2.5.1) */
    write_at(config, off, 4, UINT32_MAX);
    u64 mask = read_at(config, off, 4) & ~15u;
    write_at(config, off, 4, low);
    if (wide) {
        high = read_at(config, off + 4, 4);
        write_at(config, off + 4, 4, UINT32_MAX);
        mask |= (u64)read_at(config, off + 4, 4) << 32;
        write_at(config, off + 4, 4, high);
    } else {
        mask |= 0xffffffffULL << 32;
    }
    write_at(config, CFG_COMMAND, 2, command);
    *ret_base = (low & ~15u) | (u64)high << 32;
    *ret_len = ~mask + 1;
    return *ret_base != 0 && *ret_len != 0 && (*ret_len & (*ret_len - 1)) == 0 && *ret_base >> 46 == 0;
}

static volatile void *map_bar(struct device *d, unsigned bar, u64 *ret_len)
{
    u64 base, len;
    volatile u8 *config = function_of(d)->config;
    if (!bar_range(config, bar, &base, &len))
        return NULL;
    volatile void *p = plat_map_device(base, len);
    if (p != NULL) {
        write_at(config, CFG_COMMAND, 2, read_at(config, CFG_COMMAND, 2) | COMMAND_MEMORY | COMMAND_MASTER);
        *ret_len = len;
    }
    return p;
}

static unsigned find_cap(volatile u8 *config, unsigned id)
{
    if (!(read_at(config, CFG_STATUS, 2) & 0x10))
        return 0;
    unsigned at = read_at(config, CFG_CAPS, 1) & ~3u;
    for (unsigned i = 0; i < 48 && at >= 0x40; i++) {
        if (read_at(config, at, 1) == id)
            return at;
        at = read_at(config, at + 1, 1) & ~3u;
    }
    return 0;
}

static int msix_setup(struct pci_function *f)
{
    unsigned cap = find_cap(f->config, CAP_MSIX);
    if (cap == 0)
        return -ENODEV;
    u32 control = read_at(f->config, cap + 2, 2), where = read_at(f->config, cap + 4, 4);
    unsigned count = (control & 0x7ff) + 1;
    u64 base, len, offset = where & ~7u;
    if (!bar_range(f->config, where & 7, &base, &len) || offset >= len || len - offset < count * 16)
        return -EIO;
    f->msix_table = plat_map_device(base + offset, count * 16);
    if (f->msix_table == NULL)
        return -ENOMEM;
    f->msix_count = count;
    f->msix_cap = cap;
    u32 command = read_at(f->config, CFG_COMMAND, 2);
    write_at(f->config, CFG_COMMAND, 2, command | COMMAND_MEMORY | COMMAND_MASTER | COMMAND_NO_INTX);
    write_at(f->config, cap + 2, 2, (control | MSIX_ENABLE) & ~MSIX_MASK_ALL);
    return 0;
}

static int msix_attach(struct device *d, unsigned entry, irq_handler_fn *fn, void *arg)
{
    struct pci_function *f = function_of(d);
    int err = f->msix_table == NULL ? msix_setup(f) : 0;
    if (err != 0)
        return err;
    if (entry >= f->msix_count)
        return -EINVAL;
    int vector = pc_vector_attach(fn, arg);
    if (vector < 0)
        return vector;
    volatile u32 *e = f->msix_table + entry * 4;
    e[0] = 0xfee00000u | percpu_table[0]->plat.apic_id << 12;
    e[1] = 0;
    e[2] = (u32)vector;
    e[3] = 0; /* unmasked */
    return 0;
}

static void msix_route(struct device *d, unsigned entry, unsigned cpu)
{
    struct pci_function *f = function_of(d);
    ASSERT(f->msix_table != NULL && entry < f->msix_count);
    volatile u32 *e = f->msix_table + entry * 4;
    e[3] = 1; /* masked while address and data do not belong together (PCI 3.0, 6.8.3.5); what comes meanwhile stays pending */
    e[0] = 0xfee00000u | percpu_table[cpu]->plat.apic_id << 12;
    e[3] = 0;
}

static const struct pci_ops pci_ops = { config_read, config_write, map_bar, msix_attach, msix_route };

static bool add_function(volatile u8 *config, unsigned bus, unsigned slot, unsigned fn)
{
    struct pci_function *f = kzalloc(sizeof *f);
    if (f == NULL)
        return false;
    u32 id = read_at(config, 0, 4);
    f->config = config;
    f->dev.bus = BUS_PCI;
    f->dev.pci = &pci_ops;
    f->dev.bdf = (u16)(bus << 8 | slot << 3 | fn);
    f->dev.vendor = (u16)id;
    f->dev.device_id = (u16)(id >> 16);
    f->dev.subsystem_id = (u16)read_at(config, CFG_SUBSYSTEM, 2);
    f->dev.class_code = read_at(config, CFG_CLASS, 4) >> 8;
    fmt_snprintf(f->dev.name, sizeof f->dev.name, "pci %02x:%02x.%u", bus, slot, fn);
    device_add(&f->dev);
    return true;
}

unsigned pc_pci_discover(paddr_t ecam, u8 first_bus, u8 last_bus)
{
    u64 todo[4] = { 0 }; /* buses seen in bridges; each is scanned once */
    unsigned found = 0;
    todo[first_bus / 64] |= 1ULL << first_bus % 64;
    for (unsigned bus = first_bus; bus <= last_bus; bus++) { /* the firmware numbers them downwards */
        if (!(todo[bus / 64] >> bus % 64 & 1))
            continue;
        volatile u8 *base = plat_map_device(ecam + ((u64)bus - first_bus) * 0x100000, 0x100000);
        if (base == NULL) {
            klog(LOG_ERROR, "no room to map PCI bus %u", bus);
            break;
        }
        for (unsigned slot = 0; slot < 32; slot++) {
            for (unsigned fn = 0; fn < 8 && found < MAX_DEVICES; fn++) {
                volatile u8 *config = base + (slot << 15 | fn << 12);
                u32 vendor = read_at(config, 0, 2);
                if (vendor == 0xffff || vendor == 0) {
                    if (fn == 0)
                        break;
                    continue;
                }
                u32 header = read_at(config, CFG_HEADER, 1);
                unsigned below = read_at(config, CFG_BUSES + 1, 1);
                if ((header & 0x7f) == 1 && below > bus)
                    todo[below / 64] |= 1ULL << below % 64;
                else if ((header & 0x7f) == 0 && add_function(config, bus, slot, fn))
                    found++;
                if (fn == 0 && !(header & 0x80))
                    break;
            }
        }
    }
    return found;
}
