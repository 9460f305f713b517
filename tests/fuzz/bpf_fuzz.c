/* SPDX-License-Identifier: Apache-2.0 */
/*
 * eBPF programs, raw or put together from pieces that usual programs have. What the verifier accepts runs in the interpreter, where every access has to
 * lie in the context, the stack, one value of a map or a ring, and within the bound of steps; then as machine code, and on a context whose words lie
 * elsewhere if it can, which have to come to the same result and leave the same maps. The stack has other bytes in it each time, so that what was not
 * written shows.
 */
#include "fuzz_sim.h"

static void on_access(unsigned long long address, unsigned size);
static void on_step(void);
#define BPF_ON_ACCESS(address, size, write) on_access(address, size)
#define BPF_ON_STEP() on_step()
#include "kernel/bpf/interp.c"

#include "kernel/bpf/bpf_impl.h"

#include <stdio.h>
#include <stdlib.h>

#define CTX_BYTES 64u
#define INSNS_MAX 200u
#define VALUE_BYTES 40u
#define MAPS 5u
enum { ARRAY, HASH, RING, READ_ONLY, SMALL };

static struct bpf_map *maps[MAPS];
static const s16 words[CTX_BYTES / 8] = { 64, 72, 8, 120, 24, 16, 40, 56 };
static u8 ctx[CTX_BYTES] ALIGNED(8), elsewhere[128] ALIGNED(8), stack[BPF_STACK_BYTES * BPF_FRAMES_MAX] ALIGNED(16);
static u32 steps;

static void boot(void *arg)
{
    static const struct bpfd_map_create all[MAPS] = {
        { ARRAY, MAP_ARRAY, 4, VALUE_BYTES, 7 }, { HASH, MAP_HASH, 8, VALUE_BYTES, 4 }, { RING, MAP_RINGBUF, 0, 0, 4096 },
        { READ_ONLY, MAP_ARRAY, 4, VALUE_BYTES, 3, MAP_RDONLY_PROG }, { SMALL, MAP_PERCPU_ARRAY, 4, 8, 5 },
    };
    const char *why;
    CHECK(bpf_cpus_init());
    bpf_verify_steps = 8192; /* or one input would take seconds */
    for (u32 i = 0; i < MAPS; i++)
        CHECK(map_create(&all[i], 1 << 20, &maps[i], &why) == 0);
}

/* --- what programs may touch ------------------------------------------------------------------- */

static bool inside(u64 address, u32 size, const void *start, u64 bytes)
{
    u64 off = address - (u64)(uintptr_t)start;
    return off <= bytes && size <= bytes - off;
}

static bool in_one_value(const struct bpf_map *m, u64 address, u32 size)
{
    u64 off = address - (u64)(uintptr_t)m->memory;
    if (!inside(address, size, m->memory, m->bytes))
        return false;
    return m->type == MAP_HASH || off % m->stride + size <= m->value_size;
}

static void on_access(unsigned long long address, unsigned size)
{
    bool good = inside(address, size, ctx, sizeof(ctx)) || inside(address, size, elsewhere, sizeof(elsewhere)) || inside(address, size, stack, sizeof(stack)) ||
                inside(address, size, maps[RING]->rings[0].bytes, maps[RING]->rings[0].size);
    for (u32 i = 0; i < MAPS; i++)
        good |= maps[i]->memory != NULL && in_one_value(maps[i], address, size);
    CHECK(good);
}

static void on_step(void) { CHECK(++steps <= BPF_STEPS_MAX); }

/* --- programs -------------------------------------------------------------------------------------- */

struct maker {
    struct fuzz_in *in;
    struct bpf_insn insns[INSNS_MAX];
    u32 n;
};

static void put(struct maker *m, unsigned code, unsigned dst, unsigned src, s32 off, u32 imm)
{
    if (m->n < INSNS_MAX)
        m->insns[m->n++] = (struct bpf_insn){ (u8)code, (u8)(dst | src << 4), (s16)off, (s32)imm };
}

static unsigned below(struct maker *m, unsigned n) { return fuzz_u8(m->in) % n; }
static unsigned reg(struct maker *m) { return (const u8[]){ 0, 2, 3, 7, 8, 9, 4, 5, 1, 10 }[below(m, 64) < 60 ? below(m, 6) : below(m, 10)]; }
static unsigned size_code(struct maker *m) { return below(m, 4) * 8; }
static s32 slot(struct maker *m) { return -8 * (s32)(1 + below(m, below(m, 4) != 0 ? 6 : 65)); }

static u32 number(struct maker *m)
{
    u32 v = fuzz_u8(m->in);
    switch (below(m, 6)) {
    case 0: return v | (u32)fuzz_u16(m->in) << 8 | (u32)fuzz_u8(m->in) << 24;
    case 1: return -v;
    case 2: return 1u << v % 32;
    default: return v % 64;
    }
}

static void load_map(struct maker *m, unsigned dst, u32 map)
{
    put(m, BPF_LD_IMM64, dst, BPF_PSEUDO_MAP_FD, 0, map);
    put(m, 0, 0, 0, 0, 0);
}

static void arithmetic(struct maker *m)
{
    static const u8 ops[] = { BPF_ADD, BPF_SUB, BPF_MUL, BPF_DIV, BPF_OR, BPF_AND, BPF_LSH, BPF_RSH, BPF_MOD, BPF_XOR, BPF_MOV, BPF_ARSH, BPF_NEG, BPF_END };
    u8 op = ops[below(m, ARRAY_SIZE(ops))];
    unsigned cls = below(m, 3) != 0 ? BPF_ALU64 : BPF_ALU, dst = reg(m), x = below(m, 2) ? BPF_X : 0;
    bool shift = op == BPF_LSH || op == BPF_RSH || op == BPF_ARSH;
    if (op == BPF_END)
        put(m, BPF_ALU | BPF_END | x, dst, 0, 0, 16u << below(m, 3));
    else if (op == BPF_NEG)
        put(m, cls | op, dst, 0, 0, 0);
    else if (x)
        put(m, cls | op | BPF_X, dst, reg(m), 0, 0);
    else
        put(m, cls | op, dst, 0, 0, shift ? number(m) % 32 : (op == BPF_DIV || op == BPF_MOD) ? number(m) | 1 : number(m));
}

static unsigned jump_op(struct maker *m)
{
    static const u8 ops[] = { BPF_JEQ, BPF_JGT, BPF_JGE, BPF_JSET, BPF_JNE, BPF_JSGT, BPF_JSGE, BPF_JLT, BPF_JLE, BPF_JSLT, BPF_JSLE };
    return ops[below(m, ARRAY_SIZE(ops))] | (below(m, 3) != 0 ? BPF_JMP : BPF_JMP32);
}

static void jump(struct maker *m)
{
    unsigned op = jump_op(m), dst = reg(m);
    s32 off = (s32)below(m, 6);
    if (below(m, 3) == 0)
        put(m, op | BPF_X, dst, reg(m), off, 0);
    else
        put(m, op, dst, 0, off, number(m));
}

static void access_at(struct maker *m, unsigned base, s32 off)
{
    static const u32 atomics[] = { BPF_ADD, BPF_OR, BPF_AND, BPF_XOR, BPF_ADD | 1, BPF_OR | 1, BPF_AND | 1, BPF_XOR | 1, BPF_XCHG, BPF_CMPXCHG };
    unsigned size = size_code(m);
    switch (below(m, 4)) {
    case 0: put(m, BPF_STX | BPF_MEM | size, base, reg(m), off, 0); break;
    case 1: put(m, BPF_ST | BPF_MEM | size, base, 0, off, number(m)); break;
    case 2: put(m, BPF_STX | BPF_ATOMIC | (size >= BPF_B ? BPF_DW : BPF_W), base, reg(m), off & ~7, atomics[below(m, ARRAY_SIZE(atomics))]); break;
    default: put(m, BPF_LDX | BPF_MEM | size, reg(m), base, off, 0);
    }
}

/* r0 = a value; behind it accesses, some with a bounded register in the address. */
static void lookup(struct maker *m)
{
    u32 map = (const u32[]){ ARRAY, HASH, READ_ONLY, SMALL }[below(m, 4)];
    s32 at = slot(m);
    put(m, below(m, 2) ? BPF_STX | BPF_MEM | BPF_DW : BPF_ST | BPF_MEM | BPF_DW, 10, reg(m), at, number(m) % 9);
    if (BPF_CLASS(m->insns[m->n - 1].code) == BPF_STX)
        m->insns[m->n - 1].imm = 0;
    else
        m->insns[m->n - 1].regs &= 15;
    put(m, BPF_ALU64 | BPF_MOV | BPF_X, 2, 10, 0, 0);
    put(m, BPF_ALU64 | BPF_ADD, 2, 0, 0, (u32)at);
    load_map(m, 1, map);
    put(m, BPF_JMP | BPF_CALL, 0, 0, 0, 1);
    u32 test = m->n;
    put(m, BPF_JMP | BPF_JEQ, 0, 0, 0, 0);
    unsigned value = below(m, 2) ? 0 : 9, by = 7 + below(m, 2);
    if (value == 9)
        put(m, BPF_ALU64 | BPF_MOV | BPF_X, 9, 0, 0, 0);
    if (below(m, 2) == 0) {
        put(m, BPF_LDX | BPF_MEM | size_code(m), by, 6, 8 * (s32)below(m, 8), 0);
        if (below(m, 2) == 0)
            put(m, BPF_ALU64 | BPF_AND, by, 0, 0, number(m) % 64);
        else
            put(m, jump_op(m), by, 0, (s32)below(m, 6), number(m) % 64);
        if (below(m, 3) == 0)
            arithmetic(m);
        put(m, BPF_ALU64 | (below(m, 8) != 0 ? BPF_ADD : BPF_SUB) | BPF_X, value, by, 0, 0);
    }
    for (unsigned n = below(m, 4); n > 0; n--)
        access_at(m, value, (s32)(number(m) % 64) & (below(m, 2) ? ~7 : ~0));
    if (test < m->n)
        m->insns[test].off = (s16)(m->n - test - 1);
    for (unsigned r = 1; r <= 5 && below(m, 4) != 0; r++)
        put(m, BPF_ALU64 | BPF_MOV, r, 0, 0, r);
    put(m, BPF_ALU64 | BPF_MOV, 0, 0, 0, number(m));
    if (below(m, 8) != 0)
        put(m, BPF_ALU64 | BPF_MOV, 9, 0, 0, 9);
}

/* A load of the context or of the stack, and one of either. */
static void either(struct maker *m)
{
    put(m, BPF_LDX | BPF_MEM | size_code(m), 8, 6, 8 * (s32)below(m, 8), 0);
    put(m, BPF_ALU64 | BPF_MOV | BPF_X, 9, 6, 0, 0);
    put(m, jump_op(m), 8, 0, 2, number(m));
    if (below(m, 4) == 0) {
        put(m, BPF_ALU64 | BPF_ADD, 9, 0, 0, 0);
        put(m, BPF_ALU64 | BPF_ADD, 9, 0, 0, below(m, 2) * 8);
    } else {
        put(m, BPF_ALU64 | BPF_MOV | BPF_X, 9, 10, 0, 0);
        put(m, BPF_ALU64 | BPF_SUB, 9, 0, 0, 48);
    }
    put(m, BPF_LDX | BPF_MEM | size_code(m), reg(m), 9, 8 * (s32)below(m, 6), 0);
    put(m, BPF_ALU64 | BPF_MOV, 9, 0, 0, 9);
}

static void record(struct maker *m)
{
    u32 size = 1 + number(m) % 40;
    load_map(m, 1, RING);
    put(m, BPF_ALU64 | BPF_MOV, 2, 0, 0, size);
    put(m, BPF_ALU64 | BPF_MOV, 3, 0, 0, 0);
    put(m, BPF_JMP | BPF_CALL, 0, 0, 0, 131);
    u32 test = m->n;
    put(m, BPF_JMP | BPF_JEQ, 0, 0, 0, 0);
    for (unsigned i = 0; i * 8 + 8 <= size; i++)
        put(m, BPF_ST | BPF_MEM | BPF_DW, 0, 0, (s32)i * 8, number(m));
    put(m, BPF_ALU64 | BPF_MOV | BPF_X, 1, 0, 0, 0);
    put(m, BPF_ALU64 | BPF_MOV, 2, 0, 0, 0);
    put(m, BPF_JMP | BPF_CALL, 0, 0, 0, 133);
    if (test < m->n)
        m->insns[test].off = (s16)(m->n - test - 1);
    for (unsigned r = 0; r <= 5; r++)
        put(m, BPF_ALU64 | BPF_MOV, r, 0, 0, r * 3);
}

static void helper(struct maker *m)
{
    static const u8 calls[] = { 2, 3, 4, 7, 8, 14, 15, 16, 113, 115, 130, 27, 67 };
    u32 nr = calls[below(m, ARRAY_SIZE(calls))];
    s32 at = slot(m);
    for (unsigned r = 1; r <= 5; r++)
        switch (below(m, 6)) {
        case 0: load_map(m, r, below(m, MAPS)); break;
        case 1:
        case 2:
            put(m, BPF_ALU64 | BPF_MOV | BPF_X, r, 10, 0, 0);
            put(m, BPF_ALU64 | BPF_ADD, r, 0, 0, (u32)at);
            break;
        case 3: put(m, BPF_ALU64 | BPF_MOV | BPF_X, r, 6, 0, 0); break;
        default: put(m, BPF_ALU64 | BPF_MOV, r, 0, 0, number(m));
        }
    put(m, BPF_JMP | BPF_CALL, 0, 0, 0, nr);
    for (unsigned r = 1; r <= 5; r++)
        put(m, BPF_ALU64 | BPF_MOV, r, 0, 0, r);
}

static void loop(struct maker *m)
{
    unsigned counter = 7 + below(m, 3);
    put(m, BPF_ALU64 | BPF_MOV, counter, 0, 0, number(m) % 16);
    u32 first = m->n;
    for (unsigned n = below(m, 4); n > 0; n--)
        arithmetic(m);
    put(m, BPF_ALU64 | BPF_ADD, counter, 0, 0, 1);
    put(m, BPF_JMP | (below(m, 2) ? BPF_JLT : BPF_JNE), counter, 0, (s32)first - (s32)m->n - 1, number(m) % 16 + 1);
}

static void piece(struct maker *m)
{
    switch (below(m, 13)) {
    case 0:
    case 1:
    case 2: arithmetic(m); break;
    case 3:
    case 4: jump(m); break;
    case 5: put(m, BPF_LDX | BPF_MEM | size_code(m), reg(m), 6, 8 * (s32)below(m, 8), 0); break;
    case 6: access_at(m, 10, slot(m)); break;
    case 7: lookup(m); break;
    case 8: loop(m); break;
    case 9: record(m); break;
    case 10: helper(m); break;
    case 11: either(m); break;
    default:
        put(m, BPF_LD_IMM64, reg(m), 0, 0, number(m));
        put(m, 0, 0, 0, 0, number(m));
    }
}

/* A jump that leads nowhere leads on. */
static void mend_jumps(struct maker *m, u32 end)
{
    for (u32 at = 0; at < end; at++) {
        struct bpf_insn *i = &m->insns[at];
        bool jumps = (BPF_CLASS(i->code) == BPF_JMP && BPF_OP(i->code) != BPF_CALL && BPF_OP(i->code) != BPF_EXIT) || BPF_CLASS(i->code) == BPF_JMP32;
        s64 target = (s64)at + 1 + i->off;
        if (jumps && (target < 1 || target >= end || m->insns[target - 1].code == BPF_LD_IMM64))
            i->off = 0;
        at += i->code == BPF_LD_IMM64;
    }
}

static void make_pieces(struct maker *m)
{
    put(m, BPF_ALU64 | BPF_MOV | BPF_X, 6, 1, 0, 0);
    for (unsigned r = 0; r <= 9; r++)
        if (r != 6)
            put(m, BPF_ALU64 | BPF_MOV, r, 0, 0, r * 7);
    for (unsigned i = 1; i <= 6; i++)
        put(m, BPF_ST | BPF_MEM | BPF_DW, 10, 0, -8 * (s32)i, i);
    u32 call = UINT32_MAX;
    bool function = below(m, 3) == 0;
    while (m->in->p < m->in->end && m->n < INSNS_MAX - 80) {
        if (function && call == UINT32_MAX && below(m, 8) == 0) {
            call = m->n;
            put(m, BPF_JMP | BPF_CALL, 0, BPF_PSEUDO_CALL, 0, 0);
            for (unsigned r = 1; r <= 5; r++)
                put(m, BPF_ALU64 | BPF_MOV, r, 0, 0, r);
        }
        piece(m);
    }
    put(m, BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
    mend_jumps(m, m->n);
    if (call != UINT32_MAX) {
        m->insns[call].imm = (s32)(m->n - call - 1);
        put(m, BPF_ALU64 | BPF_MOV | BPF_X, 0, 2, 0, 0);
        put(m, BPF_ALU64 | BPF_ADD, 0, 0, 0, 5);
        put(m, BPF_ALU64 | BPF_MOV, 7, 0, 0, 1);
        put(m, BPF_ST | BPF_MEM | BPF_DW, 10, 0, -8, 1);
        put(m, BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
    }
}

static void make_raw(struct maker *m)
{
    size_t len;
    while (m->in->p < m->in->end && m->n < INSNS_MAX) {
        struct bpf_insn i = { 0 };
        const u8 *p = fuzz_bytes(m->in, sizeof(i), &len);
        memcpy(&i, p, len);
        m->insns[m->n++] = i;
    }
}

/* --- runs ------------------------------------------------------------------------------------------- */

struct outcome {
    u64 result, hash[16][VALUE_BYTES / 8], ring_end, ring_lost;
    u8 array[7 * VALUE_BYTES], small[5 * 8], ring[4096];
};

static void reset(u8 junk)
{
    memset(stack, junk, sizeof(stack));
    for (u32 i = 0; i < 7 * VALUE_BYTES; i++)
        maps[ARRAY]->memory[i] = (u8)(i * 37);
    memset(maps[SMALL]->memory, 0, maps[SMALL]->bytes);
    CHECK(map_clear(maps[HASH]) == 0);
    struct bpf_ring *r = &maps[RING]->rings[0];
    r->begin = r->end = r->lost = 0;
    memset(r->bytes, 0, r->size);
    bpf_this_cpu()->random = 1;
    bpf_this_cpu()->frame = NULL;
}

static void look(struct outcome *o, u64 result)
{
    memset(o, 0, sizeof(*o));
    o->result = result;
    memcpy(o->array, maps[ARRAY]->memory, sizeof(o->array));
    memcpy(o->small, maps[SMALL]->memory, sizeof(o->small));
    for (u64 k = 0; k < 16; k++) {
        const void *v = map_lookup(maps[HASH], &k);
        memcpy(o->hash[k], v != NULL ? v : o->hash[k], v != NULL ? VALUE_BYTES : 0);
    }
    const struct bpf_ring *r = &maps[RING]->rings[0];
    o->ring_end = r->end;
    o->ring_lost = r->lost;
    memcpy(o->ring, r->bytes, sizeof(o->ring));
}

static u64 run_slowly(const struct bpf_code *code, const u8 *at)
{
    reset(0x11);
    steps = 0;
    return bpf_interpret(code, at, stack + sizeof(stack));
}

/* moved: the same program, accepted for a context that lies elsewhere. */
static void run_all(const struct bpf_code *code, const struct bpf_code *moved)
{
    static u32 offsets[INSNS_MAX + 1];
    static struct outcome slow, fast;
    size_t size = arch_bpf_compile(code, offsets, NULL, 0);
    u8 *machine = vmap_alloc(size);
    CHECK(size != 0 && machine != NULL);
    CHECK(arch_bpf_compile(code, offsets, machine, size) == size);
    CHECK(vmap_make_code(machine, size) == 0);
    look(&slow, run_slowly(code, ctx));
    look(&fast, run_slowly(moved, moved->on_frame ? elsewhere : ctx));
    CHECK(memcmp(&slow, &fast, sizeof(slow)) == 0);
    reset(0xee);
    look(&fast, ((bpf_entry_fn *)(uintptr_t)machine)(ctx, stack + sizeof(stack)));
    CHECK(memcmp(&slow, &fast, sizeof(slow)) == 0);
    vmap_free(machine, size);
}

static int verify(const struct maker *m, const s16 *to, struct bpf_code *ret, struct verify_result *why)
{
    *ret = (struct bpf_code){ .insns = kmalloc(m->n * sizeof(m->insns[0]) + 1, 0), .count = m->n };
    memcpy(ret->insns, m->insns, m->n * sizeof(m->insns[0]));
    return bpf_verify(ret, CTX_BYTES, to, maps, MAPS, why);
}

static void one(struct fuzz_in *in)
{
    static struct maker m;
    struct verify_result why;
    size_t len;
    m = (struct maker){ .in = in };
    const u8 *bytes = fuzz_bytes(in, CTX_BYTES, &len);
    memset(ctx, 0, sizeof(ctx));
    memcpy(ctx, bytes, len);
    memset(elsewhere, 0xdd, sizeof(elsewhere));
    for (u32 i = 0; i < ARRAY_SIZE(words); i++)
        memcpy(elsewhere + words[i], ctx + 8 * i, 8);
    if ((fuzz_u8(in) & 7) == 7)
        make_raw(&m);
    else
        make_pieces(&m);
    struct bpf_code code, moved;
    int err = verify(&m, NULL, &code, &why);
    CHECK(err == 0 || (why.why[0] != '\0' && (why.insn < m.n || m.n == 0)));
    CHECK(err != 0 || verify(&m, words, &moved, &why) == 0);
    if (err == 0 && !why.prints)
        run_all(&code, &moved);
    if (err == 0)
        bpf_code_done(&moved);
    if (err == 0 && getenv("BPF_FUZZ_COUNT") != NULL)
        fprintf(stderr, "accepted: %u instructions, %u steps\n", m.n, why.steps);
    if (err != 0 && getenv("BPF_FUZZ_COUNT") != NULL)
        fprintf(stderr, "refused %s\n", why.why);
    bpf_code_done(&code);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_run(boot, one, data, size);
    return 0;
}
