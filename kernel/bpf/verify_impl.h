/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The verifier follows every path of a program with what is known of its registers and stack. At places where paths meet
 * it remembers the states seen there; a path that comes with a state that a remembered one covers ends, for what follows was
 * found right already. Loops are followed round by round, so they end, or the budget (BPF_STEPS_MAX) does.
 *
 *   check.c    form of the instructions, jumps, functions; which registers are still needed where
 *   verify.c   paths
 *   state.c    states: copies, comparison
 *   step.c     one instruction
 *   access.c   memory
 *   call.c     helpers
 */
#ifndef BPF_VERIFY_IMPL_H
#define BPF_VERIFY_IMPL_H

#include "bpf_impl.h"
#include "range.h"

#define REGS 11
#define R10 10
#define SLOTS (BPF_STACK_BYTES / 8)
#define RECORDS_MAX 8u

enum reg_type {
    REG_UNSET,
    REG_NUMBER,
    REG_CTX,
    REG_STACK,
    REG_MAP,
    REG_VALUE,
    REG_VALUE_OR_NULL,
    REG_RECORD,
    REG_RECORD_OR_NULL,
};

struct reg {
    u8 type;                   /* enum reg_type */
    u8 frame;                  /* STACK: whose */
    s32 off;                   /* of pointers: the constant part; `range` has the rest */
    u32 id;                    /* *_OR_NULL, RECORD: the call it came from; NUMBER: equal ones have the same, or 0 */
    u32 size;                  /* RECORD */
    const struct bpf_map *map; /* MAP, VALUE */
    struct range range;
};

/* Eight bytes of stack. */
struct slot {
    u8 known;                  /* a bit for each byte that was written */
    bool spilled;              /* it holds reg, whole */
    struct reg reg;
};

struct frame {
    u32 call_site;             /* where the caller goes on */
    u32 used;                  /* slots in use, from the top */
    struct reg regs[REGS];
    struct slot slots[SLOTS];  /* the top one first */
};

struct state {
    u32 nframes, nrecords;
    u32 records[RECORDS_MAX];  /* ids of records that are to be given up */
    struct frame *frames[BPF_FRAMES_MAX];
};

struct insn_info {
    bool start;                /* an instruction begins here */
    bool meet;                 /* paths meet */
    bool visited;
    bool many;                 /* a lookup in different maps */
    u8 set, unset;             /* of trace_printk(): arguments that were, or were not */
    u16 live;                  /* registers that are read before they are written, from here on */
    const struct bpf_map *map; /* of the lookup */
    bool reads_ctx, reads_else;
    s32 ctx_at, ctx_base;      /* of a load from the context: the byte, and where the register pointed */
    struct seen *seen;
};

/* A state that was remembered, or waits to be followed. */
struct seen {
    struct seen *next;
    struct seen *parent;       /* the one before it on its path */
    u32 insn;
    bool taken;                /* of one that waits: the way of the jump at insn */
    u32 pending;               /* paths behind it that have not ended; 0: what follows is right */
    u32 nframes, nrecords;
    u32 records[RECORDS_MAX];
    u8 frames[] ALIGNED(8);    /* each as far as it is used */
};

struct verifier {
    struct bpf_code *code;
    struct insn_info *info;
    struct bpf_map *const *maps;
    u32 nmaps;
    u32 ctx_size;
    const s16 *words;          /* bpf_verify(); NULL: the context has to be as it is */
    u32 at;                    /* the instruction in question */
    u32 next_id;
    u32 starts[BPF_FUNCTIONS_MAX], nstarts;   /* functions but the first */
    size_t seen_bytes;
    struct state state;
    struct seen *waiting;      /* paths not yet followed */
    u32 nwaiting;
    struct seen *last;         /* the state remembered last on this path */
    struct verify_result *result;
};

/* Refuse the program: err, and why. */
int refuse(struct verifier *v, int err, const char *format, ...) PRINTF_LIKE(3, 4);
static inline struct frame *top_frame(struct verifier *v) { return v->state.frames[v->state.nframes - 1]; }
static inline struct reg *reg_of(struct verifier *v, unsigned number) { return &top_frame(v)->regs[number]; }
static inline bool is_pointer(const struct reg *r) { return r->type > REG_NUMBER; }
static inline struct slot *slot_at(struct frame *f, s64 off) { return &f->slots[(-off - 1) / 8]; }

/* check.c */
int check_form(struct verifier *v);

/* state.c */
void set_number(struct reg *r, struct range range);
size_t frame_bytes(const struct frame *f);
struct seen *state_save(struct verifier *v, u32 insn);
void state_load(struct verifier *v, const struct seen *s);
/* Is whatever the state can be, as far as it matters, one of those that s can be? exact: and the other way round. */
bool state_covered(const struct verifier *v, const struct seen *s, bool exact);
/* fn for each register, and each that is on a stack. */
void for_each_reg(struct verifier *v, void (*fn)(struct reg *r, const void *ctx), const void *ctx);
int enter_frame(struct verifier *v, u32 call_site);
void leave_frame(struct verifier *v);

/* step.c: what the instruction does, but jumps, calls and exits. */
int step_plain(struct verifier *v, const struct bpf_insn *i);
int check_read(struct verifier *v, unsigned number);
struct reg operand(struct verifier *v, const struct bpf_insn *i); /* the second, checked before */

/* access.c: a load or store of size bytes at base + off. value: what is stored, NULL: a load to *ret. */
int check_load(struct verifier *v, const struct reg *base, s32 off, u32 size, struct reg *ret);
int check_store(struct verifier *v, const struct reg *base, s32 off, u32 size, const struct reg *value);
/* At most `max` bytes, at least min, by a helper. */
int check_helper_memory(struct verifier *v, unsigned number, u64 min, u64 max, bool write);

/* call.c */
int step_helper(struct verifier *v, const struct bpf_insn *i);
void give_up_record(struct verifier *v, u32 id);

#endif
