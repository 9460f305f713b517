/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the instruction set gives, at any privilege level. arch/<arch>/
 * implements it; plat/sim builds the same files.
 */
#ifndef KERN_ARCH_H
#define KERN_ARCH_H

#include "arch/frame.h"
#include "kern/types.h"

struct thread;

/* Saved by arch_switch(): callee-saved registers live on the thread's stack. */
struct arch_context {
    void *sp;
};

/* Prepare `ctx` so that the first switch to it calls fn(arg) on the stack
 * [stack, stack + size). fn never returns. */
void arch_context_init(struct arch_context *ctx, void *stack, size_t size_bytes, void (*fn)(void *), void *arg);
/* The frame that a switched-out thread went to sleep in: see arch_walk_frames(). */
const u64 *arch_context_frame(const struct arch_context *ctx);
/* Save the caller in `from`, continue `to`. Events disabled. */
void arch_switch(struct arch_context *from, struct arch_context *to);

/* Extended (FPU, vector) state. The kernel is built without vector registers,
 * so program state stays live in the CPU until another program thread runs. */
size_t arch_fpu_size(void);          /* bytes, 64-aligned; after arch_fpu_init_cpu() */
u64 arch_fpu_components(void);       /* of it: bits as in XCR0; the CPU may have more, which programs are not told of */
u32 arch_fpu_offset(unsigned component); /* in it; 0: there is none */
void arch_fpu_init_cpu(void);        /* once on each CPU, before programs run */
void arch_fpu_reset(void *area);     /* the state a program starts with */
void arch_fpu_save(void *area);       /* enough to restore from */
void arch_fpu_fill(void *area);       /* and what arch_fpu_save() left out of it, for who looks at the bytes */
void arch_fpu_restore(const void *area);
/* Let the next use of the FPU trap, or not. False = cannot be done here. Events disabled. */
bool arch_fpu_trap(bool on);

/* Thread pointer registers. On x86-64 FS and GS base of the program. */
struct arch_tls {
    u64 fs_base, gs_base;
};
void arch_tls_save(struct arch_tls *tls);
void arch_tls_load(const struct arch_tls *tls);

/* Enter the program with the registers of `frame` (on the current thread's
 * kernel stack or elsewhere; it is copied). Never returns. */
NORETURN void arch_enter_program(const struct trap_frame *frame);
/* The current thread's program registers: those of its last entry. Fixed place
 * at the top of the kernel stack. Only for threads that run a program. */
struct trap_frame *thread_frame(struct thread *t);

/* Copies that survive faults on the program side. Each returns the number of
 * bytes NOT copied (0 = all). The caller has checked the range. */
size_t arch_copy_user(void *dst, const void *src, size_t n);
size_t arch_zero_user(void *dst, size_t n);
/* Length of the string at src, at most max; *ret_fault when it ran into one. */
size_t arch_strnlen_user(const char *src, size_t max, bool *ret_fault);
/* 32-bit compare-and-swap on program memory: 0 or -EFAULT; *ret_old = value found. */
int arch_cas_user_u32(u32 *p, u32 expected, u32 desired, u32 *ret_old);
/* If `pc` may fault on a program's memory, where to go on; 0 otherwise. */
u64 arch_fault_fixup(u64 pc);

/* Call frames by walking tables or the frame chain: fills pcs[], returns count. */
unsigned arch_backtrace(const struct trap_frame *frame, u64 *ret_pcs, unsigned max);
/* Return addresses from a function's frame on, __builtin_frame_address(0) there (the saved frame pointer, then the return address), as
 * far as frames lie on the kernel stack (KSTACK_SIZE bytes) and rise: none of NULL. Count. */
unsigned arch_walk_frames(const u64 *frame, const void *stack, u64 *ret_pcs, unsigned max);

/* Call sites and thunks as bytes; kern/callsite.h says what they are for. */
struct call_site {
    uaddr_t start; /* first byte that a jump replaces; 0 = none */
    uaddr_t back;  /* behind the system call */
    u32 nr;        /* CALL_SITE_PROBE: no call, but [start, back) has a breakpoint */
    u8 kept;       /* length of the instruction at `back` where the jump covers it too, else 0 */
};
#define CALL_SITE_PROBE UINT32_MAX
#define ARCH_CALL_SITE_BYTES 5u             /* that the jump replaces */
#define ARCH_THUNK_BYTES 48u                /* room for any thunk */
#define ARCH_THUNK_REACH ((s64)0x7ff00000)  /* from a site */
/* The system call that ends at page[end], made with number nr, as a site: offsets in the page. False = it cannot be
 * replaced without doubt. `page` is a page of unchanged text. */
bool arch_call_site(const u8 *page, unsigned end, u64 nr, struct call_site *ret);
/* May the thunk of s (addresses now) lie there? */
bool arch_thunk_fits(const struct call_site *s, uaddr_t thunk);
/* Write the thunk that is to run at `thunk`; gate_slot is the address of the word that holds plat_call_gate(),
 * `original` the text at s->start. False: it cannot lie there (only a probe's). */
bool arch_thunk_write(u8 *code, uaddr_t thunk, uaddr_t gate_slot, const struct call_site *s, const u8 *original);
void arch_call_site_patch(u8 *code, const struct call_site *s, uaddr_t thunk); /* code = the text at s->start */
/* Where the program goes on after the call. */
uaddr_t arch_thunk_again(const struct call_site *s, uaddr_t thunk);
/* The place in the program's own text that pc, inside the thunk, stands for: going on there is the same. */
uaddr_t arch_thunk_original(const struct call_site *s, uaddr_t thunk, uaddr_t pc);

/*
 * Probes: the instruction at the pc of a frame, of which `code` has the bytes (ARCH_PROBE_BYTES of them, what is behind the end of all code being
 * anything), and whose first byte a breakpoint has taken.
 */
#define ARCH_BREAK 0xcc
#define ARCH_PROBE_BYTES 16u
enum probe_step {
    PROBE_THUNK,  /* nothing was done: run the thunk */
    PROBE_DONE,   /* the frame is behind it */
    PROBE_PUSH,   /* so it is when *ret_push has been pushed */
    PROBE_RETURN, /* and when the pc has been popped */
};
/* Its length; 0: none of the ways below can do it. */
unsigned arch_probe_fits(const u8 *code);
enum probe_step arch_probe_step(struct trap_frame *f, const u8 *code, u64 *ret_push);
/* Write the thunk (at most ARCH_THUNK_BYTES) that is to run at `thunk` instead of the one at pc. False: too far. */
bool arch_probe_thunk(u8 *to, u64 thunk, u64 pc, const u8 *code);

u64 arch_cycles(void); /* TSC; for tracing, not for time */
/* Can programs read the number of their CPU? On x86-64 by RDTSCP. */
bool arch_tells_cpu(void);

/* Hardware capabilities told to programs in the auxiliary vector. */
u64 arch_hwcap(void);
u64 arch_hwcap2(void);

#endif
