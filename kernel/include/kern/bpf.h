/* SPDX-License-Identifier: Apache-2.0 */
/*
 * eBPF programs of clients outside (abi/bpf.h) that run where something happens in the kernel. The parts of kernel/bpf/:
 *
 *   service.c    the conversation; owns what its client made
 *   verify.c     accepts a program, or says why not; verify_impl.h has its parts
 *   interp.c     runs an accepted program; arch/ compiles it instead where it can (arch_bpf_compile())
 *   map.c ring.c what programs keep and tell; helpers.c what they may call
 *   run.c        the places that programs are attached to
 *
 *   B1  An accepted program ends within BPF_STEPS_MAX instructions and touches nothing but its context, its stack, values of its
 *       maps and records of its rings. No other check is made when it runs.
 *   B2  Programs run with events disabled, one at a time on each CPU: where one runs already (a tracepoint inside a helper), the
 *       other does not and is counted as missed. So what belongs to a CPU needs no lock.
 *   B3  Nothing that a program does allocates, sleeps, wakes or waits but for the short spinlocks of maps and rings, which are taken with events
 *       disabled and inside any other lock. So a program may run anywhere.
 *   B4  A program is freed after it was taken off its place and each CPU was then seen running none.
 */
#ifndef KERN_BPF_H
#define KERN_BPF_H

#include "kern/arch.h"
#include "kern/atomic.h"
#include "kern/trace.h"

#define BPF_STACK_BYTES 512u  /* of each function */
#define BPF_FRAMES_MAX 8u
#define BPF_FUNCTIONS_MAX 64u /* beside the first */
#define BPF_STEPS_MAX 262144u

/* --- instructions, as in Linux's linux/bpf.h ------------------------------------------------- */

struct bpf_insn {
    u8 code;
    u8 regs; /* destination, source << 4 */
    s16 off;
    s32 imm;
};
static inline unsigned insn_dst(const struct bpf_insn *i) { return i->regs & 15; }
static inline unsigned insn_src(const struct bpf_insn *i) { return i->regs >> 4; }

#define BPF_CLASS(code) ((code) & 7)
enum { BPF_LD, BPF_LDX, BPF_ST, BPF_STX, BPF_ALU, BPF_JMP, BPF_JMP32, BPF_ALU64 };
#define BPF_SIZE(code) ((code) & 0x18)
enum { BPF_W = 0, BPF_H = 0x08, BPF_B = 0x10, BPF_DW = 0x18 };
#define BPF_MODE(code) ((code) & 0xe0)
enum { BPF_IMM = 0, BPF_MEM = 0x60, BPF_ATOMIC = 0xc0 };
#define BPF_OP(code) ((code) & 0xf0)
enum { BPF_ADD, BPF_SUB = 0x10, BPF_MUL = 0x20, BPF_DIV = 0x30, BPF_OR = 0x40, BPF_AND = 0x50, BPF_LSH = 0x60, BPF_RSH = 0x70,
       BPF_NEG = 0x80, BPF_MOD = 0x90, BPF_XOR = 0xa0, BPF_MOV = 0xb0, BPF_ARSH = 0xc0, BPF_END = 0xd0 };
enum { BPF_JA, BPF_JEQ = 0x10, BPF_JGT = 0x20, BPF_JGE = 0x30, BPF_JSET = 0x40, BPF_JNE = 0x50, BPF_JSGT = 0x60, BPF_JSGE = 0x70,
       BPF_CALL = 0x80, BPF_EXIT = 0x90, BPF_JLT = 0xa0, BPF_JLE = 0xb0, BPF_JSLT = 0xc0, BPF_JSLE = 0xd0 };
#define BPF_X 0x08        /* the second operand is a register */
#define BPF_FETCH 0x01    /* atomic operations, beside BPF_ADD, OR, AND, XOR in imm */
#define BPF_XCHG 0xe1
#define BPF_CMPXCHG 0xf1
#define BPF_LD_IMM64 (BPF_LD | BPF_IMM | BPF_DW)
enum { BPF_PSEUDO_MAP_FD = 1, BPF_PSEUDO_MAP_VALUE, BPF_PSEUDO_CALL = 1 };
/* Bytes of a load or store. */
static inline u32 insn_bytes(const struct bpf_insn *i)
{
    switch (BPF_SIZE(i->code)) {
    case BPF_B: return 1;
    case BPF_H: return 2;
    case BPF_W: return 4;
    default: return 8;
    }
}
/* What BPF_END makes of x: its low imm bits, as big-endian ones with BPF_X. */
static inline u64 insn_byte_order(const struct bpf_insn *i, u64 x)
{
    bool swap = (i->code & BPF_X) != 0;
    switch (i->imm) {
    case 16: return swap ? __builtin_bswap16((u16)x) : (u16)x;
    case 32: return swap ? __builtin_bswap32((u32)x) : (u32)x;
    default: return swap ? __builtin_bswap64(x) : x;
    }
}
/* Ours, in accepted programs only: a call of map_lookup_elem() for array number imm of bpf_code; and off of a helper's call: bits of
 * arguments that are to be 0. */
#define BPF_CALL_ARRAY 15

/* --- accepted programs ---------------------------------------------------------------------------- */

typedef u64 bpf_helper_fn(u64 r1, u64 r2, u64 r3, u64 r4, u64 r5);

struct bpf_array {
    u8 *values;
    u32 entries;
    u32 stride; /* bytes from one to the next */
};

/* An accepted program, with maps' addresses in place. */
struct bpf_code {
    struct bpf_insn *insns;
    u32 count;
    u32 narrays;
    struct bpf_array *arrays;
    u32 *starts; /* of functions behind the first, ascending */
    u32 nstarts;
    bool on_frame; /* its context is the frame itself: bpf_personality.words */
};
/* NULL: there is no such helper. */
bpf_helper_fn *bpf_helper(s32 number);
/* An entry of the array, or 0. */
static inline u64 bpf_array_lookup(const struct bpf_array *a, const u32 *key)
{
    u32 index;
    __builtin_memcpy(&index, key, sizeof(index));
    return index < a->entries ? (u64)(uintptr_t)a->values + (u64)index * a->stride : 0;
}

/* stack: behind the last byte of the outermost function's; the inner ones' lie below. */
typedef u64 bpf_entry_fn(const void *ctx, u8 *stack);
u64 bpf_interpret(const struct bpf_code *code, const void *ctx, u8 *stack);
/*
 * As machine code, which is a bpf_entry_fn wherever it is put: its bytes, of which as many as fit were written to buf; 0: this machine
 * cannot. offsets: count + 1 words to work with.
 */
size_t arch_bpf_compile(const struct bpf_code *code, u32 *offsets, u8 *buf, size_t size);

/* --- places ------------------------------------------------------------------------------------------ */

struct bpf_attach;

/* For who has places of his own: onto one and off it, where it may run until bpf_quiesce(). */
void bpf_place_add(struct bpf_attach **place, struct bpf_attach *a);
void bpf_place_remove(struct bpf_attach **place, struct bpf_attach *a);
/* After it no CPU is in a program that was taken off before. Thread context. */
void bpf_quiesce(void);
/* What hangs there was to run and could not. Any context. */
void bpf_missed(struct bpf_attach *const *place);
/* Run what hangs there. frame: of the function that `ctx` is about, where its callers begin; may be NULL. Any context. */
void bpf_run(struct bpf_attach *const *place, const void *ctx, const u64 *frame);
/* The same where a program's function has just been entered and will return to `caller` (0: that is not known). */
void bpf_run_at_entry(struct bpf_attach *const *place, const void *ctx, u64 caller);

#define BPF_CALLS 512u
/* Attachments to all calls, and to one by its number: programs for which a context is made, and those that run on the frame. */
struct bpf_calls {
    struct bpf_attach *all[2], *one[2][BPF_CALLS]; /* [on_frame] */
};
extern struct bpf_calls bpf_call_entries, bpf_call_exits;
/* Attachments to calls, and those of them that are not to all entries on the frame; read without lock. */
extern u32 bpf_calls_used, bpf_calls_slow;
/* A system call: runs the programs at all entries that run on the frame, then bpf_personality.call or, while there are others, slow_call. */
void bpf_syscall(struct trap_frame *f);

struct bpf_probe;
struct bpfd_regs_ctx;
/* An instruction of a file. */
struct bpf_function_place {
    const char *path;
    u64 offset;
    bool returns; /* when the function has returned that begins there */
    bool begins;  /* one does */
};
/* What the personality tells and does; set at boot. */
struct bpf_personality {
    const s16 *words;                    /* where in a trap_frame each u64 of a call entry's context is; -1: nowhere */
    void (*call)(struct trap_frame *f);  /* make the call */
    void (*slow_call)(struct trap_frame *f);
    void (*watch_calls)(void);           /* bpf_calls_used has become 0, or is so no longer. Thread context */
    u64 (*uid_gid)(void);                /* of the current thread: gid << 32 | uid. Any context, as the next one */
    void (*registers)(const struct trap_frame *f, struct bpfd_regs_ctx *ret);
    /* Programs there. 0 and *ret_probe, or -errno and why. */
    int (*attach)(struct bpf_attach *a, const struct bpf_function_place *at, struct bpf_probe **ret_probe, const char **ret_why);
    void (*detach)(struct bpf_attach *a, struct bpf_probe *probe, bool returns); /* after it, no run of a is left */
    s64 (*areas)(u32 pid, char *buf, size_t size); /* the bytes that /proc/PID/maps has, if less than size; -ESRCH */
};
extern const struct bpf_personality *bpf_personality;

/* --- for init --- */
void bpf_service_init(void);
/* The machine ends: let clients take what there is, at most until then. */
void bpf_finish(u64 deadline_ns);

#endif
