/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The start of day: copy what the start info says before anything can overwrite it, build
 * the page tables, and call kernel_main(). hvm_start_info and its lists: Xen's
 * public/arch-x86/hvm/start_info.h. Everything read here comes from outside: addresses are checked
 * before they are mapped, counts are bounded.
 */
#include "abi/boot.h"
#include "arch/cpu.h"
#include "arch/x86.h"
#include "base/str.h"
#include "kern/blkdev.h"
#include "kern/core.h"
#include "kern/log.h"
#include "kern/page.h"
#include "kern/thread.h"
#include "pc.h"

#define START_MAGIC 0x336ec578u
#define MEMMAP_RAM 1u
#define CMDLINE_MAX 16384u
#define MEMMAP_MAX 256u
#define BOOT_MAPPED 0x400000u /* what boot.S maps at PLAT_KERNEL_BASE */

struct start_info {
    u32 magic, version, flags, nr_modules;
    u64 modules, cmdline, rsdp;
    u64 memmap; /* from here: version 1 */
    u32 memmap_entries, reserved;
};

struct module {
    u64 start, len, cmdline, reserved;
};

struct memmap_entry {
    u64 start, len;
    u32 type, reserved;
};

_Static_assert(LAYOUT_KSTACK_SIZE == KSTACK_SIZE, "entry code and headers agree");
_Static_assert(KERNEL_BASE == PLAT_KERNEL_BASE, "entry code and headers agree");

struct pc_ram pc_ram[PC_MAX_RAM];
unsigned pc_ram_count;
paddr_t pc_rsdp;

static struct plat_boot_info boot_info;
static struct module module; /* the configuration; with drupe.fwcfg= the root image */
static paddr_t boot_data_end; /* image and early tables end here */
static paddr_t image_end;     /* the module is the root image: what is left to others behind it (kern/page.h); else 0 */

extern u64 kernel_pd[512];
extern u8 boot_stack_top[], kernel_end[], text_start[];

/* Stack protector: set before the first protected function runs, from what little is known then. */
u64 __stack_chk_guard;
NORETURN void __stack_chk_fail(void) __attribute__((used)); /* link-time optimization sees no call of it */
void __stack_chk_fail(void) { panic("stack protector: a function overran its frame"); }

void pc_fatal(const char *text)
{
    plat_console_write("drupe: ", 7);
    plat_console_write(text, strlen(text));
    plat_console_write("\n", 1);
    plat_power_off(125);
}

/* A window of up to 2 MiB on any physical address, good until the next call: two large
 * pages after those of boot.S. */
static const void *peek(paddr_t pa, size_t len)
{
    if (pa >= 1ULL << 46 || len > HUGE_SIZE)
        pc_fatal("the start info points outside memory");
    paddr_t base = ALIGN_DOWN(pa, HUGE_SIZE);
    for (unsigned i = 0; i < 2; i++) {
        kernel_pd[2 + i] = (base + i * HUGE_SIZE) | 0xe1u | 1ULL << 63;
        invlpg(PLAT_KERNEL_BASE + BOOT_MAPPED + i * HUGE_SIZE);
    }
    return (const void *)(PLAT_KERNEL_BASE + BOOT_MAPPED + (pa - base));
}

static void add_ram(u64 start, u64 len)
{
    if (len > (1ULL << 46) || start > (1ULL << 46) || len == 0)
        return;
    u64 end = ALIGN_DOWN(start + len, PAGE_SIZE);
    start = ALIGN_UP(start, PAGE_SIZE);
    if (start >= end)
        return;
    unsigned i = pc_ram_count;
    if (i == PC_MAX_RAM)
        return;
    while (i > 0 && pc_ram[i - 1].start > start) {
        pc_ram[i] = pc_ram[i - 1];
        i--;
    }
    pc_ram[i] = (struct pc_ram){ start, end };
    pc_ram_count++;
}

/* Join what touches; overlaps (a firmware's mistake) count once. */
static void merge_ram(void)
{
    unsigned n = 0;
    for (unsigned i = 0; i < pc_ram_count; i++) {
        if (n > 0 && pc_ram[i].start <= pc_ram[n - 1].end)
            pc_ram[n - 1].end = MAX(pc_ram[n - 1].end, pc_ram[i].end);
        else
            pc_ram[n++] = pc_ram[i];
    }
    pc_ram_count = n;
}

static bool inside_ram(u64 start, u64 len)
{
    for (unsigned i = 0; i < pc_ram_count; i++)
        if (start >= pc_ram[i].start && start < pc_ram[i].end)
            return len <= pc_ram[i].end - start;
    return false;
}

/* From pa on, up to the module. */
static u64 ram_behind(paddr_t pa)
{
    for (unsigned i = 0; i < pc_ram_count; i++)
        if (pa >= pc_ram[i].start && pa < pc_ram[i].end)
            return (module.start > pa ? MIN(module.start, pc_ram[i].end) : pc_ram[i].end) - pa;
    return 0;
}

static void read_start_info(paddr_t pa)
{
    struct start_info si;
    memcpy(&si, peek(pa, sizeof si), sizeof si);
    if (si.magic != START_MAGIC)
        pc_fatal("not started through the PVH entry (bad start info)");
    if (si.version < 1 || si.memmap_entries == 0)
        pc_fatal("the start info has no memory map (version 1 is needed)");
    if (si.memmap_entries > MEMMAP_MAX)
        pc_fatal("the memory map has too many entries");
    pc_rsdp = si.rsdp;
    const struct memmap_entry *map = peek(si.memmap, si.memmap_entries * sizeof *map);
    for (unsigned i = 0; i < si.memmap_entries; i++)
        if (map[i].type == MEMMAP_RAM)
            add_ram(map[i].start, map[i].len);
    merge_ram();
    if (si.nr_modules > 0) {
        memcpy(&module, peek(si.modules, sizeof module), sizeof module);
        if (module.len == 0 || !inside_ram(module.start, module.len))
            pc_fatal("the module (initrd) does not lie in memory");
    }
    boot_info.cmdline = "";
    boot_data_end = ALIGN_UP((paddr_t)kernel_end - PLAT_KERNEL_BASE, PAGE_SIZE);
    if (si.cmdline != 0) {
        const char *from = peek(si.cmdline, CMDLINE_MAX);
        size_t len = strnlen(from, CMDLINE_MAX);
        if (len == CMDLINE_MAX)
            pc_fatal("the command line is too long");
        char *to = (char *)PLAT_KERNEL_BASE + boot_data_end;
        memmove(to, from, len);
        to[len] = 0;
        boot_info.cmdline = phys_to_virt(boot_data_end);
        boot_data_end = ALIGN_UP(boot_data_end + len + 1, PAGE_SIZE);
    }
    /* Where the module itself sits in the way of the early tables, there is no machine of ours to run. */
    if (module.len != 0 && module.start < BOOT_MAPPED &&
        module.start + module.len > boot_data_end)
        if (module.start < boot_data_end + 64 * PAGE_SIZE)
            pc_fatal("the module (initrd) lies too close to the kernel: give the machine more memory");
}

/* The configuration is the module, or QEMU has it (abi/boot.h) and the module is the root image. */
static void take_module(void)
{
    u16 fwcfg = pc_option_port("drupe.fwcfg");
    if (fwcfg != 0) {
        void *config = phys_to_virt(boot_data_end);
        size_t len = pc_fwcfg_read(fwcfg, BOOT_FWCFG_CONFIG, config, ram_behind(boot_data_end));
        if (len == 0)
            pc_fatal("drupe.fwcfg=: no " BOOT_FWCFG_CONFIG " there, or no room for it");
        boot_data_end += ALIGN_UP(len, PAGE_SIZE);
        boot_info.config = config;
        boot_info.config_len_bytes = len;
        image_end = module.len != 0 ? ALIGN_UP(module.start + module.len, PAGE_SIZE << PAGE_MAX_ORDER) : 0;
    } else if (module.len != 0) {
        boot_info.config = phys_to_virt(module.start);
        boot_info.config_len_bytes = module.len;
    }
}

__attribute__((no_stack_protector)) void pc_boot(paddr_t start_info)
{
    percpu_boot.self = &percpu_boot;
    wrmsr(MSR_GS_BASE, (u64)&percpu_boot);
    __stack_chk_guard = rdtsc() * 0x9e3779b97f4a7c15ULL;
    percpu_boot.kernel_sp = (u64)boot_stack_top;
    percpu_init(&percpu_boot, 0);
    pc_uart_init();
    pc_check_features();
    read_start_info(start_info);
    if (!inside_ram((paddr_t)text_start - PLAT_KERNEL_BASE, boot_data_end - ((paddr_t)text_start - PLAT_KERNEL_BASE)))
        pc_fatal("the memory map does not cover the kernel");
    pc_cpu_init(&percpu_boot);
    boot_data_end = pc_paging_init(boot_data_end);
    take_module();
    u64 seed;
    if (plat_entropy(&seed, sizeof seed) == sizeof seed)
        __stack_chk_guard ^= seed;
    __stack_chk_guard &= ~0xffULL; /* a string cannot carry it over its end */
    pc_apic_init_cpu();
    pc_clock_init();
    pc_tables_parse();
    kernel_main();
}

void pc_image_add(void)
{
    if (image_end != 0 && blkdev_add_memory(module.start, module.len, SERIAL_ROOT) != 0)
        klog(LOG_ERROR, "no memory for the root image's device");
}

const struct plat_boot_info *plat_boot_info(void) { return &boot_info; }
const char *plat_name(void) { return "pc"; }
bool plat_fresh_memory_is_zero(void) { return false; }

/* Not to be handed out, sorted: page 0 (firmware's data and null), the kernel and its boot data, the module. */
unsigned plat_memory(struct plat_mem_range ret_ranges[PLAT_MAX_RANGES])
{
    const struct pc_ram reserved[] = {
        { 0, PAGE_SIZE },
        { (paddr_t)text_start - PLAT_KERNEL_BASE, boot_data_end },
        { ALIGN_DOWN(module.start, PAGE_SIZE), MAX(ALIGN_UP(module.start + module.len, PAGE_SIZE), image_end) },
    };
    unsigned n = 0;
    for (unsigned i = 0; i < pc_ram_count; i++) {
        paddr_t at = pc_ram[i].start;
        while (at < pc_ram[i].end && n < PLAT_MAX_RANGES) {
            paddr_t end = pc_ram[i].end, skip = 0;
            for (unsigned r = 0; r < ARRAY_SIZE(reserved); r++) {
                if (reserved[r].end <= at || reserved[r].start >= end || reserved[r].start >= reserved[r].end)
                    continue;
                end = MAX(reserved[r].start, at);
                skip = reserved[r].end;
            }
            if (end > at)
                ret_ranges[n++] = (struct plat_mem_range){ at, end - at };
            at = skip != 0 ? skip : end;
        }
    }
    return n;
}

/* --- command line -------------------------------------------------------------- */

const char *pc_option_next(const char *key, const char *from)
{
    size_t len = strlen(key);
    const char *s = from != NULL ? from : boot_info.cmdline;
    bool start = from == NULL;
    for (; *s != 0; s++) {
        if (start && strncmp(s, key, len) == 0 && s[len] == '=')
            return s + len + 1;
        start = *s == ' ';
    }
    return NULL;
}

const char *pc_option(const char *key) { return pc_option_next(key, NULL); }

static int digit_of(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : 99;
}

u16 pc_option_port(const char *key)
{
    const char *s = pc_option(key);
    u64 port = 0;
    if (s != NULL && s[0] == '0' && (s[1] | 0x20) == 'x')
        s += 2;
    for (unsigned d; s != NULL && (d = (unsigned)digit_of(*s)) < 16 && port < 0x10000; s++)
        port = port * 16 + d;
    return port < 0x10000 ? (u16)port : 0;
}

bool pc_parse_number(const char **s, u64 *ret)
{
    const char *p = *s;
    unsigned base = 10;
    if (p[0] == '0' && (p[1] | 0x20) == 'x') {
        base = 16;
        p += 2;
    }
    u64 v = 0;
    const char *first = p;
    for (int d; (d = digit_of(*p)) < (int)base; p++)
        if (__builtin_mul_overflow(v, (u64)base, &v) || __builtin_add_overflow(v, (u64)d, &v))
            return false;
    if (p == first)
        return false;
    *s = p;
    *ret = v;
    return true;
}
