/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The start of day. Linux has put the image (static, position-independent) somewhere at the top and given it a stack; the
 * tender has left the memory and the devices as descriptors (abi/host.h). In this order:
 *
 *   1  relocate the image
 *   2  map the memory whole (the direct map), check the boot block
 *   3  copy data into the memory and map it, with the bss, over itself: from here on it is memory
 *   4  leave Linux's stack and unmap everything that is not ours: stack, vDSO
 *   5  signals, clock
 *   6  the sandbox, then kernel_main()
 */
#include <asm/auxvec.h>
#include <asm/siginfo.h>
#include <asm/signal.h>
#include <asm/unistd.h>
#include <linux/elf.h>
#include <linux/mman.h>
#include <linux/prctl.h>

#include "abi/boot.h"
#include "abi/sieve.h"
#include "arch/cpu.h"
#include "arch/x86.h"
#include "base/str.h"
#include "carrier.h"
#include "host.h"
#include "kern/core.h"
#include "kern/log.h"
#include "kern/thread.h"
#include "plat/layout.h"

#define R_X86_64_RELATIVE 8 /* System V ABI, 4.4.1 */
#define LINUX_TASK_SIZE 0x7ffffffff000UL
#define MAX_MEMORY (256UL << 30)
#define MAX_DISK (4UL << 30)
#define IMAGE_MAX (64UL << 20)
#define BOOT_TEXT_MAX (4UL << 20)

_Static_assert(LAYOUT_KSTACK_SIZE == KSTACK_SIZE, "entry code and headers agree");
_Static_assert(offsetof(struct percpu, plat) + offsetof(struct plat_percpu, events_off) == P_EVENTS_OFF, "offset");
_Static_assert(offsetof(struct percpu, plat) + offsetof(struct plat_percpu, pending) == P_PENDING, "offset");
_Static_assert(offsetof(struct percpu, plat) + offsetof(struct plat_percpu, program_gs) == P_PROGRAM_GS, "offset");

struct host_map host_map;
const struct host_boot *host_boot;
static struct plat_boot_info boot_info;
static paddr_t first_free; /* behind the boot block's texts, the image, signal stacks */

extern u8 text_start[], rodata_start[], relro_start[], data_start[], data_end[], kernel_end[];
extern const Elf64_Rela rela_start[], rela_end[];
void host_boot_early(const u64 *stack);
void host_signal_entry(void);
void host_signal_return(void);
void host_gate_fast(void);
extern void (*host_gate_target)(void);
NORETURN void host_enter(void *stack_top, void (*fn)(void));

static u8 boot_stack[KSTACK_SIZE] ALIGNED(4096);

/* Stack protector: set before the first protected function runs. */
u64 __stack_chk_guard;
NORETURN void __stack_chk_fail(void);
void __stack_chk_fail(void) { panic("stack protector: a function overran its frame"); }

void plat_console_write(const char *buf, size_t len)
{
    while (len > 0) {
        long n = host_call(__NR_write, (long)HOST_FD_CONSOLE, buf, len);
        if (n <= 0)
            return;
        buf += n;
        len -= (size_t)n;
    }
}

void host_fatal(const char *text)
{
    plat_console_write("drupe: ", 7);
    plat_console_write(text, strlen(text));
    plat_console_write("\n", 1);
    plat_power_off(125);
}

void plat_power_off(int status)
{
    for (;;)
        host_call(__NR_exit_group, (long)status);
}

/* --- early: no globals that are written, but what step 3 carries over ------------------------ */

#define EARLY __attribute__((no_stack_protector))

EARLY static void relocate(u64 base)
{
    for (const Elf64_Rela *r = rela_start; r < rela_end; r++)
        if (ELF64_R_TYPE(r->r_info) == R_X86_64_RELATIVE)
            *(u64 *)(base + r->r_offset) = base + (u64)r->r_addend;
}

EARLY static u64 map(u64 at, u64 len, long prot, long flags, u64 offset)
{
    u64 r = (u64)host_call(__NR_mmap, at, len, prot, MAP_SHARED | flags, (long)HOST_FD_MEMORY, offset);
    return r > -4096UL ? 0 : r;
}

EARLY static u64 entropy(void)
{
    u64 v = 0;
    host_call(__NR_getrandom, &v, sizeof v, 0L);
    return v ^ rdtsc();
}

/* A place for `len` bytes between programs and the image, with room on both sides. */
EARLY static u64 random_place(u64 low, u64 high, u64 len)
{
    u64 slots = (high - low - len) / HUGE_SIZE;
    return low + entropy() % slots * HUGE_SIZE;
}

EARLY static bool text_inside(u64 offset, u64 len, u64 memory)
{
    return len < BOOT_TEXT_MAX && offset >= HOST_BOOT_SIZE && offset < memory && len < memory - offset;
}

EARLY static u64 end_of_texts(const struct host_boot *b)
{
    return ALIGN_UP(MAX(b->cmdline_offset + b->cmdline_len + 1, b->config_offset + b->config_len), PAGE_SIZE);
}

EARLY static const char *check_block(const struct host_boot *b)
{
    if (b->magic != HOST_BOOT_MAGIC || b->version != HOST_BOOT_VERSION)
        return "the boot block is not of this kernel's version: drupe and drupe-kernel-host do not belong together";
    if (b->cpus == 0 || b->cpus > HOST_MAX_CPUS)
        return "the boot block asks for no CPU, or for too many";
    if (b->memory_bytes > MAX_MEMORY || !IS_ALIGNED(b->memory_bytes, HUGE_SIZE))
        return "too much memory for a process, or not a multiple of 2 MiB";
    if (b->ndevices > HOST_MAX_DEVICES || !text_inside(b->cmdline_offset, b->cmdline_len, b->memory_bytes) ||
        !text_inside(b->config_offset, b->config_len, b->memory_bytes))
        return "the boot block contradicts itself";
    if (end_of_texts(b) + (u64)(kernel_end - data_start) + HUGE_SIZE > b->memory_bytes)
        return "too little memory for the kernel";
    if ((u64)text_start < PLAT_USER_MAX + PLAT_KVMAP_SIZE + MAX_MEMORY + MAX_DISK + IMAGE_MAX)
        return "Linux put the kernel image too low (is the stack's limit above 8 MiB?)";
    return NULL;
}

/* Map the root image behind the memory (with a gap, so that no run of pages leads from one to the other), if programs may
 * execute from where it lies. */
EARLY static void map_disk(struct host_map *m, const struct host_boot *b)
{
    const struct host_device *d = &b->devices[0];
    if (b->ndevices == 0 || d->kind != HOST_BLOCK || !(d->flags & HOST_READ_ONLY) || d->size_bytes > MAX_DISK)
        return;
    u64 pa = b->memory_bytes + HUGE_SIZE, at = m->direct + pa, len = ALIGN_DOWN(d->size_bytes, PAGE_SIZE);
    for (long prot = PROT_READ | PROT_EXEC; len != 0; prot = PROT_READ) {
        if (host_call(__NR_mmap, at, len, prot, (long)(MAP_SHARED | MAP_FIXED), (long)HOST_FD_FIRST_DEVICE, 0L) != (long)at)
            return;
        if (prot == PROT_READ)
            break;
    }
    m->disk_phys = pa;
    m->disk_end = pa + len;
    m->disk_fd = HOST_FD_FIRST_DEVICE;
}

/* The sieve of the TAP goes behind that. Its descriptor is of no more use. */
EARLY static void map_sieve(struct host_map *m, const struct host_boot *b)
{
    u64 at = m->direct + b->memory_bytes + 2 * HUGE_SIZE + MAX_DISK;
    for (unsigned i = 0; i < b->ndevices; i++) {
        long fd = HOST_FD_FIRST_DEVICE + (long)i;
        if (b->devices[i].kind != HOST_SIEVE)
            continue;
        if (m->sieve == 0 && host_call(__NR_mmap, at, SIEVE_MAP_BYTES, (long)(PROT_READ | PROT_WRITE), (long)(MAP_SHARED | MAP_FIXED), fd, 0L) == (long)at)
            m->sieve = at;
        host_call(__NR_close, fd);
    }
}

static void late_boot(void);

EARLY void host_boot_early(const u64 *stack)
{
    relocate((u64)text_start - 0);
    const struct host_boot *b = (const struct host_boot *)map(0, HOST_BOOT_SIZE, PROT_READ, 0, 0);
    if (b == NULL)
        host_fatal("no memory file at descriptor 3: this kernel is started by drupe");
    const char *wrong = check_block(b);
    if (wrong != NULL)
        host_fatal(wrong);
    u64 window = PLAT_USER_MAX + HUGE_SIZE, top = ALIGN_DOWN((u64)text_start, HUGE_SIZE) - HUGE_SIZE;
    u64 middle = window + PLAT_KVMAP_SIZE + (top - window - PLAT_KVMAP_SIZE - b->memory_bytes - MAX_DISK) / 2;
    struct host_map m = {
        .kvmap = random_place(window, middle, PLAT_KVMAP_SIZE),
        .direct = random_place(middle, top, b->memory_bytes + 3 * HUGE_SIZE + MAX_DISK),
        .image = (u64)data_start,
        .image_end = (u64)kernel_end,
        .image_phys = end_of_texts(b),
    };
    if (map(m.direct, b->memory_bytes, PROT_READ | PROT_WRITE, MAP_FIXED | MAP_NORESERVE, 0) == 0)
        host_fatal("cannot map the memory: is there a limit of the address space (ulimit -v) below -m and 200 MiB?");
    map_disk(&m, b);
    map_sieve(&m, b);
    u64 *to = (u64 *)(m.direct + m.image_phys);
    for (const u64 *from = (const u64 *)data_start; from < (const u64 *)data_end;)
        *to++ = *from++;
    if (map((u64)data_start, (u64)(kernel_end - data_start), PROT_READ | PROT_WRITE, MAP_FIXED, m.image_phys) == 0)
        host_fatal("cannot map the kernel's data");
    /* What was written to the bss before is lost. */
    host_map = m;
    host_boot = (const struct host_boot *)m.direct;
    first_free = ALIGN_UP(m.image_phys + (u64)(kernel_end - data_start), (u64)SIGSTACK_SIZE);
    __stack_chk_guard = entropy() & ~0xffULL; /* a string cannot carry it over its end */
    host_call(__NR_mprotect, relro_start, (u64)(data_start - relro_start), (long)PROT_READ);
    host_enter(boot_stack + KSTACK_SIZE, late_boot);
}

/* --- in our own memory --------------------------------------------------------------------- */

/* Everything but [text_start, kernel_end), the direct map and the sieve. What Linux has sealed (a vDSO may be) stays; it is only code. */
static void unmap_rest(void)
{
    const u64 ours[][2] = {
        { host_map.direct, host_map.direct + MAX(host_boot->memory_bytes, host_map.disk_end) },
        { host_map.sieve, host_map.sieve + (host_map.sieve != 0 ? SIEVE_MAP_BYTES : 0) },
        { (u64)text_start, (u64)kernel_end },
    };
    u64 at = PLAT_USER_MIN;
    for (unsigned i = 0; i < ARRAY_SIZE(ours); i++) {
        if (ours[i][0] == ours[i][1])
            continue;
        host_call(__NR_munmap, at, ours[i][0] - at);
        at = ALIGN_UP(ours[i][1], PAGE_SIZE);
    }
    host_call(__NR_munmap, at, LINUX_TASK_SIZE - at);
}

struct kernel_sigaction {
    void (*handler)(void);
    u64 flags;
    void (*restorer)(void);
    u64 mask;
};

/* `blocked`: signals that wait while the handler runs, itself among them or not. */
static void set_signal(int sig, void (*handler)(void), u64 blocked)
{
    struct kernel_sigaction sa = {
        .handler = handler,
        .flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER | SA_RESTART | 0x04000000 /* SA_RESTORER */,
        .restorer = host_signal_return,
        .mask = blocked,
    };
    if (host_call(__NR_rt_sigaction, (long)sig, &sa, 0L, 8L) != 0)
        host_fatal("cannot set signal handlers");
}

static void init_signals(struct percpu *cpu)
{
    static const u8 faults[] = { SIGSEGV, SIGBUS, SIGSYS, SIGILL, SIGFPE, SIGTRAP };
    static const u8 ignored[] = { SIGINT, SIGQUIT, SIGHUP, SIGPIPE, SIGTSTP, SIGTTIN, SIGTTOU, SIGWINCH };
    const u64 none = 0, events = 1UL << (SIGALRM - 1) | 1UL << (SIGURG - 1);
    host_carrier_init(cpu, phys_to_virt(first_free));
    first_free += SIGSTACK_SIZE;
    for (unsigned i = 0; i < ARRAY_SIZE(faults); i++)
        set_signal(faults[i], host_signal_entry, 0);
    set_signal(SIGCHLD, host_signal_entry, events | 1UL << (SIGCHLD - 1));
    set_signal(SIGALRM, host_signal_entry, events);
    set_signal(SIGURG, host_signal_entry, events);
    for (unsigned i = 0; i < ARRAY_SIZE(ignored); i++)
        set_signal(ignored[i], (void (*)(void))1 /* SIG_IGN */, 0);
    host_call(__NR_rt_sigprocmask, (long)SIG_SETMASK, &none, 0L, 8L);
}

static void late_boot(void)
{
    struct percpu *cpu = &percpu_boot;
    if (!(arch_detect() & 1u))
        host_fatal("this CPU has no FSGSBASE instructions: use drupe run --on qemu");
    __asm__ volatile("wrgsbase %0" ::"r"(cpu));
    cpu->self = cpu;
    cpu->plat.events_off = 1;
    cpu->kernel_sp = (u64)boot_stack + KSTACK_SIZE;
    percpu_init(cpu, 0);
    host_gate_target = host_gate_fast;
    unmap_rest();
    init_signals(cpu);
    host_call(__NR_prctl, (long)PR_SET_TIMERSLACK, 1L, 0L, 0L, 0L);
    host_clock_init();
    cpu->plat.timer_want_ns = NEVER_NS;
    boot_info = (struct plat_boot_info){
        .cmdline = phys_to_virt(host_boot->cmdline_offset),
        .config = host_boot->config_len != 0 ? phys_to_virt(host_boot->config_offset) : NULL,
        .config_len_bytes = host_boot->config_len,
    };
    ((char *)phys_to_virt(host_boot->cmdline_offset))[host_boot->cmdline_len] = '\0';
    host_sandbox();
    kernel_main();
}

paddr_t host_disk_memory(int fd, u64 *ret_len_bytes)
{
    if (host_map.disk_phys == 0 || fd != host_map.disk_fd)
        return 0;
    *ret_len_bytes = host_map.disk_end - host_map.disk_phys;
    return host_map.disk_phys;
}

struct sieve *host_sieve(void) { return (struct sieve *)host_map.sieve; }

const struct plat_boot_info *plat_boot_info(void) { return &boot_info; }
const char *plat_name(void) { return "host"; }
bool plat_fresh_memory_is_zero(void) { return true; }

unsigned plat_memory(struct plat_mem_range ret_ranges[PLAT_MAX_RANGES])
{
    ret_ranges[0] = (struct plat_mem_range){ first_free, host_boot->memory_bytes - first_free };
    return 1;
}

size_t plat_entropy(void *buf, size_t len)
{
    long n = host_call(__NR_getrandom, buf, MIN(len, 256), 0L);
    return n > 0 ? (size_t)n : 0;
}
