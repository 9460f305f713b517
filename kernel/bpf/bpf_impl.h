/* SPDX-License-Identifier: Apache-2.0 */
/* Maps, rings and helpers, as programs and the service see them. Locks: c constant, m the map's, r the ring's. */
#ifndef BPF_BPF_IMPL_H
#define BPF_BPF_IMPL_H

#include "abi/bpf.h"
#include "base/list.h"
#include "kern/bpf.h"
#include "kern/lock.h"

/* --- rings (ring.c): records that one client takes, whoever writes them --------------------------- */

#define RING_BYTES_MIN 4096u
#define RING_RECORD_MAX (BPFD_DATA_MAX - (u32)sizeof(struct bpfd_record))

struct bpf_ring {
    struct spinlock lock;  /* irq-safe */
    u8 *bytes;
    u32 size;              /* c: a power of two */
    u64 begin, end;        /* r: bytes since the start */
    u64 lost;              /* r */
};
/* 0 or -ENOMEM. */
int ring_init(struct bpf_ring *r, u32 size);
void ring_done(struct bpf_ring *r);
/* Room for len bytes, or NULL; ring_finish() before the program's run ends. Any context. */
void *ring_reserve(struct bpf_ring *r, u32 len);
void ring_finish(void *data, bool submit);
/* The oldest record as a bpfd_record of that kind; 0: there is none, or no room for it. Losses come first. The service's thread. */
u32 ring_take(struct bpf_ring *r, const struct bpfd_record *like, u8 *buf, size_t size);

/* --- maps (map.c, hash.c) ---------------------------------------------------------------------------- */

enum bpf_map_type { MAP_HASH = 1, MAP_ARRAY, MAP_PERF = 4, MAP_PERCPU_HASH, MAP_PERCPU_ARRAY, MAP_STACKS, MAP_LRU_HASH = 9,
                    MAP_LRU_PERCPU_HASH, MAP_RINGBUF = 27 };
enum { UPDATE_ANY, UPDATE_NOEXIST, UPDATE_EXIST };
#define MAP_RDONLY_PROG 0x80u
#define MAP_FLAGS (1u | 2u | MAP_RDONLY_PROG)

struct bpf_map {
    const struct map_ops *ops;  /* c, as all to `values` */
    u32 number, type, flags;
    u32 key_size, value_size, entries;
    u32 copies;                 /* values of each key: CPUs, or 1 */
    u32 stride;                 /* bytes of a copy: value_size, padded to 8 */
    size_t bytes;               /* of memory */
    u8 *memory;
    u8 *values;                 /* arrays: the first copy's; one copy follows the other */
    struct spinlock lock;       /* irq-safe: hashes */
    struct hash *hash;
    struct bpf_ring *rings;     /* [copies]; ring buffers, perf event arrays */
};

/* Any context. A value: of this CPU, or of CPU `copy`. */
struct map_ops {
    void *(*lookup)(struct bpf_map *m, const void *key, u32 copy);
    /* value: of one copy; all: every copy has its own, one behind the other. */
    int (*update)(struct bpf_map *m, const void *key, const u8 *value, u32 flags, u32 copy, bool all);
    int (*remove)(struct bpf_map *m, const void *key);
    /* The element that is number `cursor` or the next one behind it: its number plus one, 0: none. */
    u64 (*next)(struct bpf_map *m, u64 cursor, u8 *key, u8 *values);
};
/* -EINVAL, -E2BIG, -ENOMEM, -EOPNOTSUPP (no such type); ret_why. limit: bytes. */
int map_create(const struct bpfd_map_create *c, size_t limit, struct bpf_map **ret, const char **ret_why);
void map_destroy(struct bpf_map *m);
int map_clear(struct bpf_map *m); /* 0 or -ENOMEM */
u32 map_values_size(const struct bpf_map *m); /* all copies */
void *map_lookup(struct bpf_map *m, const void *key);

extern const struct map_ops hash_ops;
size_t hash_bytes(const struct bpf_map *m);
int hash_init(struct bpf_map *m);
void hash_done(struct bpf_map *m);

/* The number that stands for these frames in a map of stacks, or -errno as bpf_get_stackid(). */
s64 stacks_add(struct bpf_map *m, const u64 *frames, u32 count, u64 flags);

/* --- a CPU's run (run.c) ------------------------------------------------------------------------------ */

struct bpf_session;

struct bpf_program {
    struct bpf_code code;
    bpf_entry_fn *entry;        /* machine, or bpf_interpreted() */
    u8 *machine;                /* or NULL */
    size_t machine_bytes;
    u32 ctx;                    /* enum bpfd_ctx */
    struct bpf_session *session;
    u64 runs, missed;           /* plain increments: of two CPUs at once one may be lost, never torn */
};

struct bpf_cpu {
    u32 active;                 /* a program runs; atomic, B2, B4 */
    const u64 *frame;           /* where kernel stacks begin, or NULL */
    u64 caller;                 /* of the program's function, when its frame is not there yet; or 0 */
    struct bpf_program *program;
    u8 *top;                    /* c: behind stack */
    u64 random;                 /* never 0 */
    u8 stack[BPF_STACK_BYTES * BPF_FRAMES_MAX] ALIGNED(16);
    u8 scratch[2048] ALIGNED(8); /* a helper's */
};
/* False: no memory. */
bool bpf_cpus_init(void);
struct bpf_cpu *bpf_this_cpu(void); /* inside a run */
u64 bpf_interpreted(const void *ctx, u8 *stack); /* the CPU's program */
u64 bpf_run_once(struct bpf_program *p, const void *ctx); /* thread context */

struct bpf_attach {
    struct bpf_attach *next;    /* changed under attach_lock, read without: B4 */
    struct bpf_program *program;
    struct bpfd_attach want;
    u32 number;
    struct list node;           /* the session's */
    struct bpf_timers *timers;
    struct bpf_probe *probe;    /* functions: whoever has made it */
    bool of_file;               /* and it is a program's */
};
/* path: of a function's file, or "". 0, -EINVAL, -ENOMEM, -EOPNOTSUPP and others of opening files; ret_why. */
int bpf_attach(struct bpf_attach *a, const char *path, const char **ret_why);
void bpf_detach(struct bpf_attach *a); /* waits for its end */
u32 bpf_ctx_size(u32 ctx);             /* 0: there is no such context */

/* kprobe.c: functions of the kernel */
int kprobe_attach(struct bpf_attach *a, u64 address, bool returns, const char **ret_why); /* as bpf_attach() */
void kprobe_detach(struct bpf_attach *a);
void kprobes_init(void);

/* The ring of trace_printk(). */
struct bpf_ring *session_print_ring(struct bpf_session *s);

/* --- helpers (helpers.c) ------------------------------------------------------------------------------- */

enum arg_kind {
    ARG_NONE,
    ARG_ANY,         /* a number */
    ARG_ADDRESS,     /* a number, or any pointer: what is there is read */
    ARG_PRINTED,     /* the same, or nothing: a register that was not set is 0 */
    ARG_CTX,
    ARG_MAP,
    ARG_MAP_CHANGED, /* not one that programs only read */
    ARG_KEY,         /* of the map before it, initialised */
    ARG_VALUE,
    ARG_MEM,         /* read; its size is the next argument */
    ARG_MEM_OUT,     /* written */
    ARG_SIZE,        /* at least 1 */
    ARG_SIZE_OR_0,
    ARG_RECORD,      /* of ringbuf_reserve(); it is given up */
    ARG_CONST_SIZE,  /* a constant, the size of what is returned */
};
enum ret_kind { RET_NUMBER, RET_VALUE_OR_NULL, RET_RECORD_OR_NULL };

struct helper {
    u16 number;
    u8 ret;             /* enum ret_kind */
    u8 args[5];         /* enum arg_kind */
    u64 map_types;      /* bits: of which types the map may be */
    bpf_helper_fn *fn;
    const char *name;
};
#define HELPER_MAP_LOOKUP 1
#define HELPER_TRACE_PRINTK 6
const struct helper *helper_find(s32 number);

/* --- the verifier (verify.c) --------------------------------------------------------------------------- */

struct verify_result {
    u32 insn;
    u32 steps;     /* instructions looked at */
    bool prints;   /* it calls trace_printk() */
    char why[160];
};
/*
 * Accept the program, or not: -EINVAL, -EACCES, -E2BIG, -ENOMEM, and why. maps[]: by number, NULL: there is none. Accepted, code->insns have
 * addresses for maps, code->arrays and starts are allocated. words: where in another structure each u64 of the context is, -1: nowhere; if the program
 * wants no more than what is there, it is made to run on that (code->on_frame). NULL: it is not. Thread context.
 */
int bpf_verify(struct bpf_code *code, u32 ctx_size, const s16 *words, struct bpf_map *const *maps, u32 nmaps, struct verify_result *ret);
void bpf_code_done(struct bpf_code *code);
extern u32 bpf_verify_steps; /* BPF_STEPS_MAX; tests want less */

#endif
