/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Programs of clients at instructions of the kernel and at the return of its functions: kern/kprobe.h. A probe stays where it was once made, without
 * its breakpoint, so who is on the way through it needs no lock.
 *
 * A function whose return is watched returns to the trampoline, a breakpoint beside the thunks. Where to instead is known by the place of its return
 * address: `returns` is a table by that, of a few ways. What never returns is overwritten when a later call uses the same place.
 */
#include "kern/kprobe.h"

#include "base/str.h"
#include "bpf_impl.h"
#include "kern/atomic.h"
#include "kern/percpu.h"
#include "kern/slab.h"
#include "kern/thread.h"
#include "kern/trap.h"

#define THUNK_BYTES 32u
#define THUNKS 128u /* the first is the trampoline */
#define PROBES_MAX 256u
#define RETURNS 1024u
#define WAYS 8u

/* Beside the text that they stand for, in reach of its displacements. */
__attribute__((section(".text.noprobe.thunks"), aligned(THUNK_BYTES))) static const u8 thunks[THUNKS][THUNK_BYTES] = { { ARCH_BREAK } };
extern const u8 text_start[], text_end[], noprobe_start[], noprobe_end[];

struct bpf_probe {
    u64 pc;                              /* c, as the next four */
    u64 thunk;
    u8 code[ARCH_PROBE_BYTES];
    bool at_entry;
    struct bpf_attach *entries, *returns; /* run.c's lists */
    u32 users;                           /* probes_lock */
};

struct watched {
    u64 sp; /* atomic: where the return address lay; 0: free */
    u64 pc;
    struct bpf_probe *probe;
};

static struct mutex probes_lock;
static struct bpf_probe *probes[PROBES_MAX];  /* atomic; by hash, then the next free one; never taken out */
static u32 nthunks = 1;                       /* probes_lock */
static struct watched *watched;               /* [RETURNS]; set once */
static u8 busy[MAX_CPUS];                     /* its CPU's, events disabled */

static u32 slot_of(u64 pc) { return (u32)(pc * 0x9e3779b97f4a7c15ull >> 32) % PROBES_MAX; }

static ALWAYS_INLINE struct bpf_probe *find(u64 pc)
{
    struct bpf_probe *p;
    for (u32 i = slot_of(pc), n = 0; n < PROBES_MAX && (p = atomic_load(&probes[i])) != NULL; i = (i + 1) % PROBES_MAX, n++)
        if (p->pc == pc)
            return p;
    return NULL;
}

/* --- returns -------------------------------------------------------------------------------------- */

static u64 trampoline(void) { return (u64)(uintptr_t)thunks; }

static struct watched *way(u64 sp, u32 n) { return &watched[((u32)(sp >> 3) * WAYS + n) % RETURNS]; }

static struct watched *find_return(u64 sp)
{
    for (u32 i = 0; i < WAYS && watched != NULL; i++)
        if (atomic_load(&way(sp, i)->sp) == sp)
            return way(sp, i);
    return NULL;
}

/* Where the return address lies at sp; false: no room, or somebody else watches it (a jump from one function to another). */
static bool watch(u64 *sp, struct bpf_probe *p)
{
    u64 at = (u64)(uintptr_t)sp, none = 0;
    if (*sp == trampoline())
        return false;
    struct watched *w = find_return(at);
    for (u32 i = 0; i < WAYS && w == NULL; i++, none = 0)
        if (atomic_cas(&way(at, i)->sp, &none, at))
            w = way(at, i);
    if (w == NULL)
        return false;
    w->pc = *sp;
    w->probe = p;
    *sp = trampoline();
    return true;
}

u64 kprobe_true_return(const u64 *frame, u64 value)
{
    struct watched *w = value == trampoline() ? find_return((u64)(uintptr_t)(frame + 1)) : NULL;
    return w != NULL ? w->pc : value;
}

/* --- running ----------------------------------------------------------------------------------------- */

static void entered(struct bpf_probe *p, struct trap_frame *f)
{
    struct bpfd_regs_ctx ctx;
    u64 *sp = (u64 *)(uintptr_t)FRAME_SP(f);
    u64 frames[] = { (u64)(uintptr_t)&frames[2], p->pc, FRAME_FP(f), p->at_entry ? kprobe_true_return(sp - 1, *sp) : 0 }; /* as if both had a frame */
    if (!p->at_entry)
        frames[0] = FRAME_FP(f);
    if (p->entries != NULL) {
        bpf_personality->registers(f, &ctx);
        bpf_run(&p->entries, &ctx, frames);
    }
    if (p->returns != NULL && !watch(sp, p))
        bpf_missed(&p->returns);
}

static bool returned(struct trap_frame *f)
{
    struct bpfd_regs_ctx ctx;
    struct watched *w = find_return(FRAME_SP(f) - sizeof(u64));
    if (w == NULL)
        return false;
    struct bpf_probe *p = w->probe;
    FRAME_PC(f) = w->pc;
    atomic_store(&w->sp, 0);
    if (p->returns != NULL) {
        u64 frame[] = { FRAME_FP(f), FRAME_PC(f) };
        bpf_personality->registers(f, &ctx);
        bpf_run(&p->returns, &ctx, frame);
    }
    return true;
}

/* Nothing but what is inlined here may be called before `busy` is set. */
static ALWAYS_INLINE void count_missed(struct bpf_attach *const *place)
{
    for (struct bpf_attach *a = atomic_load(place); a != NULL; a = atomic_load(&a->next))
        a->program->missed++;
}

/* In a probe already; returns cannot be missed, or their functions would never return. */
static ALWAYS_INLINE bool pass_busy(struct bpf_probe *p, struct trap_frame *f)
{
    count_missed(&p->entries);
    count_missed(&p->returns);
    FRAME_PC(f) = p->thunk;
    return true;
}

NOPROBE bool kprobe_trap(struct trap_frame *f)
{
    u8 *mine = &busy[this_cpu()->cpu];
    bool back = FRAME_PC(f) - 1 == (u64)(uintptr_t)thunks, good;
    struct bpf_probe *p = back ? NULL : find(FRAME_PC(f) - 1);
    if (!back && p == NULL)
        return false;
    FRAME_PC(f)--;
    if (*mine && !back)
        return pass_busy(p, f);
    u8 nested = *mine;
    *mine = 1;
    if (back) {
        good = returned(f);
    } else {
        entered(p, f);
        FRAME_PC(f) = p->thunk;
        good = true;
    }
    *mine = nested;
    return good;
}

/* --- attaching ------------------------------------------------------------------------------------------- */

/* Does an instruction begin there? By decoding from the begin of the function on. */
static bool begins_instruction(u64 pc)
{
    u64 at = symbol_start(pc);
    if (at == 0)
        return false;
    while (at < pc) {
        unsigned len = arch_insn_length((const u8 *)(uintptr_t)at);
        if (len == 0)
            return false;
        at += len;
    }
    return at == pc;
}

static const char *why_not(u64 pc)
{
    if (pc < (u64)(uintptr_t)text_start || pc >= (u64)(uintptr_t)text_end || !begins_instruction(pc))
        return "no instruction of the kernel begins there";
    if (pc >= (u64)(uintptr_t)noprobe_start && pc < (u64)(uintptr_t)noprobe_end)
        return "it is part of what probes themselves need";
    if (arch_fault_fixup(pc) != 0 || arch_probe_fits((const u8 *)(uintptr_t)pc) == 0)
        return "there is an instruction that no breakpoint can stand for";
    return NULL;
}

/* The thunk; 0: none is left, or no memory. */
static u64 make_thunk(struct bpf_probe *p)
{
    u8 code[THUNK_BYTES] = { 0 };
    if (nthunks == THUNKS)
        return 0;
    u64 at = (u64)(uintptr_t)thunks[nthunks];
    if (!arch_probe_thunk(code, at, p->pc, p->code) || plat_text_write((void *)(uintptr_t)at, code, sizeof(code)) != 0)
        return 0;
    nthunks++;
    return at;
}

/* probes_lock held. */
static int make_probe(u64 pc, struct bpf_probe **ret)
{
    u32 i = slot_of(pc), n = 0;
    while (n++ < PROBES_MAX && probes[i] != NULL)
        i = (i + 1) % PROBES_MAX;
    struct bpf_probe *p = n <= PROBES_MAX ? kzalloc(sizeof(*p)) : NULL;
    if (p == NULL)
        return -ENOMEM;
    p->pc = pc;
    memcpy(p->code, (const void *)(uintptr_t)pc, sizeof(p->code));
    p->at_entry = symbol_start(pc) == pc;
    p->thunk = make_thunk(p);
    if (p->thunk == 0) {
        kfree(p);
        return -ENOMEM;
    }
    atomic_store(&probes[i], p);
    *ret = p;
    return 0;
}

static int set(struct bpf_probe *p, bool on)
{
    const u8 byte = on ? ARCH_BREAK : p->code[0];
    return plat_text_write((void *)(uintptr_t)p->pc, &byte, 1);
}

int kprobe_attach(struct bpf_attach *a, u64 pc, bool returns, const char **ret_why)
{
    struct bpf_probe *p;
    int err = 0;
    mutex_lock(&probes_lock);
    p = find(pc);
    *ret_why = p == NULL ? why_not(pc) : NULL;
    if (*ret_why != NULL || bpf_personality == NULL) {
        err = -EOPNOTSUPP;
    } else {
        *ret_why = "no memory, or more functions than there is room for";
        if (returns && watched == NULL)
            watched = kzalloc(RETURNS * sizeof(*watched));
        err = returns && watched == NULL ? -ENOMEM : p == NULL ? make_probe(pc, &p) : 0;
    }
    if (err == 0 && p->users == 0)
        err = set(p, true);
    if (err == 0) {
        p->users++;
        a->probe = p;
        bpf_place_add(returns ? &p->returns : &p->entries, a);
    }
    mutex_unlock(&probes_lock);
    return err;
}

void kprobe_detach(struct bpf_attach *a)
{
    struct bpf_probe *p = a->probe;
    mutex_lock(&probes_lock);
    bpf_place_remove(a->want.where == BPFD_AT_RETURN ? &p->returns : &p->entries, a);
    if (--p->users == 0)
        (void)set(p, false); /* the page is there: it cannot fail */
    mutex_unlock(&probes_lock);
    bpf_quiesce();
}

void kprobes_init(void) { mutex_init(&probes_lock, "kprobes"); }
