/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kern/arch.h for the test platform: stack switching that AddressSanitizer
 * knows of, user copies through the software page table, and stand-ins
 * for registers that no test program has.
 */
#include "sim.h"

#include "base/str.h"
#include "kern/addrspace.h"
#include "kern/kprobe.h"
#include "kern/log.h"
#include "kern/trap.h"

#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#include <stdlib.h>

/* --- stacks ------------------------------------------------------------------- */

/* System V AMD64: rbx, rbp, r12..r15 belong to the caller. */
__asm__(".text\n"
        ".globl sim_swap_asm\n"
        ".type sim_swap_asm, @function\n"
        "sim_swap_asm:\n"
        "    pushq %rbp\n    pushq %rbx\n    pushq %r12\n    pushq %r13\n    pushq %r14\n    pushq %r15\n"
        "    movq %rsp, (%rdi)\n"
        "    movq %rsi, %rsp\n"
        "    popq %r15\n    popq %r14\n    popq %r13\n    popq %r12\n    popq %rbx\n    popq %rbp\n"
        "    ret\n"
        ".size sim_swap_asm, . - sim_swap_asm\n"
        ".globl sim_stack_entry\n"
        "sim_stack_entry:\n"
        "    movq %r12, %rdi\n    movq %r13, %rsi\n    xorl %ebp, %ebp\n    callq sim_stack_main\n    ud2\n");
void sim_swap_asm(void **from_sp, void *to_sp);
void sim_stack_entry(void);
void sim_stack_main(void (*fn)(void *), void *arg);

static const void *host_stack; /* learnt when leaving it */
static size_t host_stack_size;

__attribute__((no_sanitize("address"))) void sim_swap(void **from_sp, void *to_sp, const void *stack, size_t size)
{
    void *fake;
    const void *came_from;
    size_t came_size;
    __sanitizer_start_switch_fiber(&fake, stack != NULL ? stack : host_stack, stack != NULL ? size : host_stack_size);
    sim_swap_asm(from_sp, to_sp);
    __sanitizer_finish_switch_fiber(fake, &came_from, &came_size);
}

/* First thing on a new stack. */
void sim_stack_main(void (*fn)(void *), void *arg)
{
    const void *came_from;
    size_t came_size;
    __sanitizer_finish_switch_fiber(NULL, &came_from, &came_size);
    if (host_stack == NULL) { /* the first switch of all comes from there */
        host_stack = came_from;
        host_stack_size = came_size;
    }
    fn(arg);
    abort();
}

void *sim_new_stack_pointer(void *stack, size_t size, void (*fn)(void *), void *arg)
{
    __asan_unpoison_memory_region(stack, size); /* of whoever had it before */
    u64 *sp = (u64 *)((char *)stack + size);
    *--sp = 0;                          /* keeps the stack aligned at the call */
    *--sp = 0;
    *--sp = (u64)(uintptr_t)sim_stack_entry;
    *--sp = 0;                          /* rbp */
    *--sp = 0;                          /* rbx */
    *--sp = (u64)(uintptr_t)fn;         /* r12 */
    *--sp = (u64)(uintptr_t)arg;        /* r13 */
    *--sp = 0;
    *--sp = 0;
    return sp;
}

void arch_context_init(struct arch_context *ctx, void *stack, size_t size_bytes, void (*fn)(void *), void *arg)
{
    ctx->sp = sim_new_stack_pointer(stack, size_bytes, fn, arg);
}

void arch_switch(struct arch_context *from, struct arch_context *to)
{
    struct thread *t = container_of(to, struct thread, ctx);
    sim_swap(&from->sp, to->sp, t->kstack, KSTACK_SIZE);
}

/* --- registers ---------------------------------------------------------------- */

static u64 fpu_word[SIM_MAX_CPUS];
static bool fpu_trap[SIM_MAX_CPUS];
bool sim_fpu_can_trap;

static u64 *fpu_used(void)
{
    if (fpu_trap[sim_cpu->cpu] && !thread_fpu_trapped())
        panic("the FPU traps, and nobody knows why");
    return &fpu_word[sim_cpu->cpu];
}

u64 sim_fpu_get(void) { return *fpu_used(); }
void sim_fpu_set(u64 v) { *fpu_used() = v; }

size_t arch_fpu_size(void) { return 64; }
void arch_fpu_init_cpu(void) { }
void arch_fpu_reset(void *area) { memset(area, 0, 64); }

static u64 *fpu_of_kernel(void)
{
    if (fpu_trap[sim_cpu->cpu])
        panic("the kernel's use of the FPU traps");
    return &fpu_word[sim_cpu->cpu];
}

void arch_fpu_save(void *area) { memcpy(area, fpu_of_kernel(), sizeof(u64)); }
void arch_fpu_fill(void *area) { }
void arch_fpu_restore(const void *area) { memcpy(fpu_of_kernel(), area, sizeof(u64)); }

bool arch_fpu_trap(bool on)
{
    if (sim_fpu_can_trap)
        fpu_trap[sim_cpu->cpu] = on;
    return sim_fpu_can_trap;
}

bool arch_tells_cpu(void) { return false; }

static struct arch_tls tls_registers[SIM_MAX_CPUS];

void arch_tls_save(struct arch_tls *tls) { *tls = tls_registers[sim_cpu->cpu]; }
void arch_tls_load(const struct arch_tls *tls) { tls_registers[sim_cpu->cpu] = *tls; }

void arch_enter_program(const struct trap_frame *frame)
{
    panic("no programs on sim");
}

uaddr_t plat_call_gate(void) { return SIM_CALL_GATE; }

struct trap_frame *thread_frame(struct thread *t)
{
    return (struct trap_frame *)((char *)t->kstack + KSTACK_SIZE) - 1;
}

u64 arch_cycles(void) { return sim_now_ns; }
u64 arch_hwcap(void) { return 0; }
u64 arch_hwcap2(void) { return 0; }
unsigned arch_backtrace(const struct trap_frame *frame, u64 *ret_pcs, unsigned max) { return 0; }
unsigned arch_walk_frames(const u64 *frame, const void *stack, u64 *ret_pcs, unsigned max) { return 0; }

/* --- program memory ------------------------------------------------------------ */

#define COPY_PC 0x1000u  /* "the instruction that touches program memory" */
#define FIXED_PC 0x2000u

u64 arch_fault_fixup(u64 pc) { return pc == COPY_PC ? FIXED_PC : 0; }

static bool is_user(const void *p)
{
    u64 a = (u64)(uintptr_t)p;
    return a >= PLAT_USER_MIN && a < PLAT_USER_MAX;
}

/* Where a program's byte lies, or NULL; *ret_left = bytes to the end of its page. */
static void *user_byte(const void *p, unsigned access, size_t *ret_left)
{
    u64 va = (u64)(uintptr_t)p;
    *ret_left = PAGE_SIZE - (va & (PAGE_SIZE - 1));
    for (;;) {
        paddr_t pa;
        unsigned prot, want = access == TRAP_WRITE ? MAP_WRITE : MAP_READ;
        struct addrspace *as = current_thread()->as;
        if (as != NULL && plat_lookup(&as->plat, va & ~(PAGE_SIZE - 1), &pa, &prot) && (prot & want) != 0)
            return (char *)phys_to_virt(pa) + (va & (PAGE_SIZE - 1));
        struct trap_frame frame = { 0 };
        struct trap_info info = { .kind = TRAP_PAGE, .addr = va, .access = access };
        FRAME_PC(&frame) = COPY_PC;
        u64 flags = plat_events_save();
        trap_exception(&frame, &info, false);
        plat_events_restore(flags);
        if (FRAME_PC(&frame) != COPY_PC)
            return NULL;
    }
}

size_t arch_copy_user(void *dst, const void *src, size_t n)
{
    while (n != 0) {
        void *d = dst;
        const void *s = src;
        size_t left_d = n, left_s = n;
        if (is_user(dst) && (d = user_byte(dst, TRAP_WRITE, &left_d)) == NULL)
            break;
        if (is_user(src) && (s = user_byte(src, TRAP_READ, &left_s)) == NULL)
            break;
        size_t now = MIN(n, MIN(left_d, left_s));
        memcpy(d, s, now);
        dst = (char *)dst + now;
        src = (const char *)src + now;
        n -= now;
    }
    return n;
}

size_t arch_zero_user(void *dst, size_t n)
{
    while (n != 0) {
        size_t left;
        void *d = user_byte(dst, TRAP_WRITE, &left);
        if (d == NULL)
            break;
        left = MIN(left, n);
        memset(d, 0, left);
        dst = (char *)dst + left;
        n -= left;
    }
    return n;
}

size_t arch_strnlen_user(const char *src, size_t max, bool *ret_fault)
{
    *ret_fault = false;
    for (size_t n = 0; n < max; n++) {
        size_t left;
        const char *s = user_byte(src + n, TRAP_READ, &left);
        if (s == NULL) {
            *ret_fault = true;
            return n;
        }
        if (*s == '\0')
            return n;
    }
    return max;
}

int arch_cas_user_u32(u32 *p, u32 expected, u32 desired, u32 *ret_old)
{
    size_t left;
    u32 *word = user_byte(p, TRAP_WRITE, &left);
    if (word == NULL)
        return -EFAULT;
    *ret_old = *word;
    if (*word == expected)
        *word = desired;
    return 0;
}

/* --- reports -------------------------------------------------------------------- */

u64 symbol_find(const char *name) { return 0; }

const char *symbol_name(u64 addr, char *buf, size_t size)
{
    __sanitizer_symbolize_pc((void *)(uintptr_t)addr, "%f", buf, size);
    return buf;
}

void print_backtrace(const struct trap_frame *frame)
{
    __sanitizer_print_stack_trace();
}
