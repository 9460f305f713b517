/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The platform line. plat/pc, plat/host and plat/sim each implement this whole
 * header; nothing above it knows which one it runs on. "Events" are what a
 * platform delivers asynchronously to a CPU: interrupts on pc, signals on host.
 *
 * plat/<platform>/include/plat/impl.h supplies the inline parts:
 *
 *   struct plat_aspace            the platform's part of an address space
 *   struct percpu *this_cpu(void)         valid while the caller cannot migrate
 *   struct thread *current_thread(void)   always valid, one load
 *   bool plat_events_enabled(void)
 *   u64  plat_events_save(void)     disable events; returns the former state
 *   void plat_events_restore(u64)
 *   void plat_events_enable(void), plat_events_disable(void)
 *   void plat_relax(void)           hint inside a spin loop
 *   PLAT_USER_MIN, PLAT_USER_MAX    range [MIN, MAX) that programs may map
 *   PLAT_SITE_CALLS                 with so many traps a call site becomes a jump (kern/callsite.h)
 *   PLAT_KVMAP_START, PLAT_KVMAP_END  kernel virtual range that kern/vmap.h hands out
 *   bool plat_kernel_readable(u64 addr, u64 len)  may it be read, if it is there: no device's registers lie there
 *   void *phys_to_virt(paddr_t), paddr_t virt_to_phys(const void *)  direct map
 */
#ifndef KERN_PLAT_H
#define KERN_PLAT_H

#include "kern/types.h"

struct percpu;
struct thread;
struct plat_aspace;
struct trap_frame;

#include "plat/impl.h"

/* --- memory ---------------------------------------------------------------- */

#define PLAT_MAX_RANGES 32
struct plat_mem_range {
    paddr_t start; /* page aligned; ranges are sorted and do not overlap */
    u64 len_bytes;
};
/* RAM that the kernel may hand out: kernel image, boot data still in use and
 * firmware areas already left out. Returns the number of ranges. */
unsigned plat_memory(struct plat_mem_range ret_ranges[PLAT_MAX_RANGES]);
/* True when pages that were never used are known to read as zero (host memfd). */
bool plat_fresh_memory_is_zero(void);

/* --- address spaces -------------------------------------------------------- */

#define MAP_READ 1u
#define MAP_WRITE 2u
#define MAP_EXEC 4u
#define MAP_HUGE 8u /* the range is 2 MiB aligned in both spaces: use a large page */

/* The platform remembers every mapping until it is removed (on pc: the page
 * tables are the only record; on host: a table of its own, of which host
 * mappings are a cache). Callers hold the address space's lock, which may be a
 * spinlock: nothing here sleeps, and -ENOMEM can be answered by making room and trying again. */
int plat_aspace_init(struct plat_aspace *as); /* 0 or -ENOMEM */
void plat_aspace_done(struct plat_aspace *as); /* all user mappings already removed */
/* Make `as` current on this CPU; NULL = kernel only. Events disabled. */
void plat_aspace_switch(struct plat_aspace *as);
/* `as`, current on this CPU, is never made current again, nor are its programs' pages touched: its only thread is about to leave it. What
 * the platform has for it may go to the next one. */
void plat_aspace_retire(struct plat_aspace *as);
/* Map `len_bytes` at va to contiguous physical memory. Replaces what is there
 * (only ever the same page with other rights, or a page the caller has
 * already accounted for). 0 or -ENOMEM (page table), nothing mapped then. */
int plat_map(struct plat_aspace *as, uaddr_t va, paddr_t pa, size_t len_bytes, unsigned prot);
/* For each bit n of `wanted`: map pa[n] at va + n pages if nothing is mapped there; all that are wanted lie inside one 2 MiB. *ret_mapped = those
 * that it mapped. 0 or -ENOMEM (page table), nothing mapped then. */
int plat_map_absent(struct plat_aspace *as, uaddr_t va, const paddr_t *pa, u64 wanted, unsigned prot, u64 *ret_mapped);
/* Remove all mappings in the range, calling fn for each one found (may be
 * NULL). The pages must not be reused before plat_flush(). -ENOMEM only when a
 * large page had to be split and no table page was to be had. */
typedef void plat_unmap_fn(void *ctx, uaddr_t va, paddr_t pa, size_t len_bytes);
int plat_unmap(struct plat_aspace *as, uaddr_t va, size_t len_bytes, plat_unmap_fn *fn, void *ctx);
/* Map in `to`, which has nothing there, what `from` has in the range; nobody may write to it from then on, in either.
 * fn is called for each mapping found, and says false for one to be left alone and out. Pages go by themselves or as
 * large ones. The callers hold both spaces' locks and flush `from`. -ENOMEM: so far as it came, it is done. */
typedef bool plat_copy_fn(void *ctx, uaddr_t va, paddr_t pa, size_t len_bytes);
int plat_copy(struct plat_aspace *from, struct plat_aspace *to, uaddr_t va, size_t len_bytes, plat_copy_fn *fn, void *ctx);
/* Change the rights of whatever is mapped in the range. */
int plat_protect(struct plat_aspace *as, uaddr_t va, size_t len_bytes, unsigned prot);
/* Is va mapped, and to what? ret_* may be NULL. */
bool plat_lookup(struct plat_aspace *as, uaddr_t va, paddr_t *ret_pa, unsigned *ret_prot);
/* The first page in [va, end) that is mapped, or end. Costs by what is mapped more than by the range's size. */
uaddr_t plat_next_mapped(struct plat_aspace *as, uaddr_t va, uaddr_t end);
/* Make earlier unmap/protect visible to every CPU that may use `as`. */
void plat_flush(struct plat_aspace *as, uaddr_t va, size_t len_bytes);

/* Kernel mappings in [PLAT_KVMAP_START, PLAT_KVMAP_END), shared by all address spaces. */
int plat_kmap(void *kva, paddr_t pa, size_t len_bytes, unsigned prot);
void plat_kunmap(void *kva, size_t len_bytes); /* flushed on return */
/* Map a device's registers, uncached. NULL when there is no room. Never undone. */
volatile void *plat_map_device(paddr_t pa, size_t len_bytes);

/* --- time ------------------------------------------------------------------ */

u64 plat_now_ns(void);  /* monotonic since boot */
u64 plat_wall_ns(void); /* since 1970-01-01 UTC */
/* Call timer_interrupt() on this CPU at `deadline_ns` (plat_now_ns scale) or
 * soon after; replaces the former deadline; NEVER_NS disarms. Events disabled. */
void plat_timer_arm(u64 deadline_ns);

/* How to compute plat_now_ns() from the cycle counter without a call, for the
 * vDSO: ns = ns_base + (((u128)(tsc - tsc_base) * mult) >> 32), valid when seq is even
 * and unchanged across the reading. Renewed when the counter's frequency is known better. */
struct plat_clock_params {
    u32 seq;
    u32 valid;    /* 0: the counter is no clock, make the call */
    u64 tsc_base;
    u64 mult;     /* 32.32 fixed point, ns per cycle */
    u64 ns_base;
};
/* False when the counter is no clock. */
bool plat_clock_params(struct plat_clock_params *ret);
/* Physical address of a page that begins with the live struct plat_clock_params
 * and holds nothing else: for mapping read-only into programs. 0 = none. */
paddr_t plat_clock_page(void);

/* --- system calls ------------------------------------------------------------ */

/* Where the thunks of call sites jump to (kern/callsite.h); 0 = there is no gate, every call traps.
 * At the gate everything is the program's as at its system call, number in its register; beside that, on x86-64, r11 = the
 * address behind the call in the program's text, rcx = where to go on, nothing on the stack. The platform leaves a
 * frame as for a trapped call, rip = r11, cs with FRAME_GATED (arch/frame.h), counts percpu calls_gated, calls trap_handlers.syscall
 * and goes back to the frame's rcx, as long as FRAME_GATED is still set. */
uaddr_t plat_call_gate(void);

/* --- CPUs ------------------------------------------------------------------ */

#define MAX_CPUS 64
unsigned plat_cpu_count(void); /* that there are, started or not; constant */
/* Start CPU `cpu` in fn with the stack top given (KSTACK_SIZE bytes): there this_cpu() works and events are disabled. It begins some
 * time after the return. 0 or -errno: -ENOSYS where there can be only one, -ENOMEM. From threads. */
int plat_cpu_start(unsigned cpu, void (*fn)(void), void *stack_top);
/* Make `cpu` leave idle and run its pending work (kern/sched.h: cpu_kicked()). */
void plat_cpu_kick(unsigned cpu);
/* Every other CPU on which `as` (NULL = anything) may be loaded has passed a full memory barrier and a serializing instruction when this
 * returns: membarrier(2). From threads, without a lock that is taken with events disabled. */
void plat_barrier(struct plat_aspace *as);
/* All other CPUs stop for good, wherever they are. Any context; for panics. */
void plat_stop_others(void);
/* Called with events disabled: atomically enable them and wait for one;
 * returns with events enabled, after the handlers ran. */
void plat_idle(void);

/* --- the rest -------------------------------------------------------------- */

void plat_console_write(const char *buf, size_t len); /* the log's bytes; any context */
/* Up to len bytes of true entropy; returns how many. Seeds kern/random.h. */
size_t plat_entropy(void *buf, size_t len);
/* Find devices and hand each to device_add() (kern/device.h). */
void plat_discover_devices(void);
/* Power off. `status` reaches the host where the machine has a way to tell. */
NORETURN void plat_power_off(int status);

struct plat_boot_info {
    const char *cmdline;     /* never NULL */
    const void *config;      /* overriding config.json, or NULL */
    size_t config_len_bytes;
};
const struct plat_boot_info *plat_boot_info(void);

/* init/main.c: called once on the boot CPU by the platform, on the boot stack
 * (KSTACK_SIZE bytes, percpu kernel_sp is its top), events disabled; this_cpu() works,
 * no portable part is initialised. */
NORETURN void kernel_main(void);

/* Human-readable platform name: "pc", "host", "sim". */
const char *plat_name(void);

#endif
