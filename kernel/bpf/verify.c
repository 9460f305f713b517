/* SPDX-License-Identifier: Apache-2.0 */
/* The paths of a program: verify_impl.h. */
#include "verify_impl.h"

#include "base/fmt.h"
#include "base/str.h"
#include "kern/slab.h"
#include "kern/thread.h"

#define WAITING_MAX 4096u
#define SEEN_OF_INSN 32u /* finished ones that are kept */
#define LOOKS 128u       /* of an instruction's states, the newest */
#define LOOKS_OF_STEP 8u /* so many cost as much of the budget as an instruction */
#define YIELD_STEPS 1024u

u32 bpf_verify_steps = BPF_STEPS_MAX;

int refuse(struct verifier *v, int err, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fmt_vsnprintf(v->result->why, sizeof(v->result->why), format, args);
    va_end(args);
    v->result->insn = v->at;
    return err;
}

/* --- paths: beginnings and ends -------------------------------------------------------------- */

/* The jump's other way waits, with the state of now. */
static int wait_for(struct verifier *v, bool taken)
{
    struct seen *s = v->nwaiting < WAITING_MAX ? state_save(v, v->at) : NULL;
    if (s == NULL)
        return refuse(v, -E2BIG, "too many paths");
    s->taken = taken;
    s->parent = v->last;
    s->next = v->waiting;
    v->waiting = s;
    v->nwaiting++;
    if (v->last != NULL)
        v->last->pending++;
    return 0;
}

static void end_path(struct verifier *v)
{
    for (struct seen *s = v->last; s != NULL && --s->pending == 0; s = s->parent)
        ;
}

static void free_seen(struct verifier *v, struct seen *s)
{
    size_t bytes = sizeof(*s);
    const u8 *f = s->frames;
    for (u32 i = 0; i < s->nframes; i++) {
        bytes += frame_bytes((const struct frame *)f);
        f += frame_bytes((const struct frame *)f);
    }
    v->seen_bytes -= bytes;
    kfree(s);
}

static void remember(struct verifier *v)
{
    struct insn_info *info = &v->info[v->at];
    u32 finished = 0, looks = 0;
    for (struct seen **p = &info->seen; *p != NULL && looks++ < LOOKS;) {
        struct seen *s = *p;
        if (s->pending == 0 && ++finished >= SEEN_OF_INSN) { /* nothing that goes on points to it */
            *p = s->next;
            free_seen(v, s);
        } else {
            p = &s->next;
        }
    }
    struct seen *s = state_save(v, v->at);
    if (s == NULL)
        return;
    s->pending = 1;
    s->parent = v->last;
    s->next = info->seen;
    info->seen = s;
    v->last = s;
}

/* 1: what follows was found right before; -EINVAL. */
static int meet(struct verifier *v)
{
    u32 looks = 0;
    for (const struct seen *s = v->info[v->at].seen; s != NULL && looks++ < LOOKS; s = s->next) {
        if (!state_covered(v, s, false))
            continue;
        if (s->pending == 0)
            return 1;
        if (state_covered(v, s, true))
            return refuse(v, -EINVAL, "a loop that may not end: nothing that matters has changed since the last round");
    }
    v->result->steps += looks / LOOKS_OF_STEP;
    remember(v);
    return 0;
}

/* --- jumps --------------------------------------------------------------------------------------- */

static bool is_maybe_null(const struct reg *r) { return r->type == REG_VALUE_OR_NULL || r->type == REG_RECORD_OR_NULL; }

struct tested {
    u32 id;
    bool null;
};

static void settle(struct reg *r, const void *ctx)
{
    const struct tested *t = ctx;
    if (!is_maybe_null(r) || r->id != t->id)
        return;
    if (t->null)
        set_number(r, range_const(0));
    else
        r->type = r->type == REG_VALUE_OR_NULL ? REG_VALUE : REG_RECORD;
}

/* A comparison with 0. */
static void branch_pointer(struct verifier *v, const struct reg *r, bool null)
{
    struct tested t = { r->id, null };
    if (null && r->type == REG_RECORD_OR_NULL)
        give_up_record(v, r->id);
    if (is_maybe_null(r))
        for_each_reg(v, settle, &t);
}

static void set_equal(struct reg *r, const void *ctx)
{
    const struct reg *like = ctx;
    if (r->type == REG_NUMBER && r->id == like->id)
        r->range = like->range;
}

static void learn(struct verifier *v, struct reg *r, const struct range *range)
{
    r->range = *range;
    if (r->id != 0) {
        struct reg like = *r;
        for_each_reg(v, set_equal, &like);
    }
}

/* Is that way ever gone? ra, rb: what the operands are then. */
static bool can_go(struct verifier *v, const struct bpf_insn *i, bool taken, struct range *ra, struct range *rb)
{
    const struct reg *a = reg_of(v, insn_dst(i)), b = operand(v, i);
    if (is_pointer(a))
        return is_maybe_null(a) || (BPF_OP(i->code) == BPF_JEQ) != taken;
    *ra = a->range;
    *rb = b.range;
    if ((i->code & BPF_X) != 0 && insn_src(i) == insn_dst(i))
        return true;
    return range_branch(BPF_OP(i->code), BPF_CLASS(i->code) == BPF_JMP, taken, ra, rb);
}

/* Go that way, which can be gone. */
static void go(struct verifier *v, const struct bpf_insn *i, bool taken)
{
    struct reg *a = reg_of(v, insn_dst(i));
    struct range ra, rb;
    (void)can_go(v, i, taken, &ra, &rb);
    if (is_pointer(a)) {
        branch_pointer(v, &(struct reg){ .type = a->type, .id = a->id }, (BPF_OP(i->code) == BPF_JEQ) == taken);
    } else {
        learn(v, a, &ra);
        if ((i->code & BPF_X) != 0)
            learn(v, reg_of(v, insn_src(i)), &rb);
    }
    v->at += 1 + (taken ? (u32)(s32)i->off : 0);
}

/* The way that began to wait last. False: there is none. */
static bool next_path(struct verifier *v)
{
    struct seen *s = v->waiting;
    if (s == NULL)
        return false;
    bool taken = s->taken;
    v->waiting = s->next;
    v->nwaiting--;
    state_load(v, s);
    v->last = s->parent;
    v->at = s->insn;
    free_seen(v, s);
    go(v, &v->code->insns[v->at], taken);
    return true;
}

static int check_condition(struct verifier *v, const struct bpf_insn *i)
{
    bool zero = (i->code & BPF_X) == 0 && i->imm == 0;
    u8 op = BPF_OP(i->code);
    int err = check_read(v, insn_dst(i));
    if (err == 0 && (i->code & BPF_X) != 0)
        err = check_read(v, insn_src(i));
    if (err != 0)
        return err;
    if (is_pointer(reg_of(v, insn_dst(i))) ? !zero || BPF_CLASS(i->code) != BPF_JMP || (op != BPF_JEQ && op != BPF_JNE)
                                           : (i->code & BPF_X) != 0 && is_pointer(reg_of(v, insn_src(i))))
        return refuse(v, -EACCES, "a pointer is compared with something else than 0");
    return 0;
}

/* Where both ways can be gone, the one of which less is known comes first, so that the other may find itself covered where they meet.
 * 1: neither can. */
static int step_condition(struct verifier *v, const struct bpf_insn *i)
{
    struct range ra, rb;
    int err = check_condition(v, i);
    if (err != 0)
        return err;
    bool on = can_go(v, i, false, &ra, &rb), there = can_go(v, i, true, &ra, &rb);
    bool taken = on && there ? BPF_OP(i->code) == BPF_JNE : there;
    if (!on && !there)
        return 1;
    if (on && there)
        err = wait_for(v, !taken);
    if (err == 0)
        go(v, i, taken);
    return err;
}

/* --- calls and ends -------------------------------------------------------------------------------- */

/* What a function returns may be nothing, or any pointer but to a stack. */
static int step_return(struct verifier *v, u32 *ret_next)
{
    struct reg result = *reg_of(v, 0);
    if (result.type == REG_STACK)
        return refuse(v, -EACCES, "a function returns the address of a stack");
    *ret_next = top_frame(v)->call_site;
    leave_frame(v);
    *reg_of(v, 0) = result;
    for (unsigned n = 1; n <= 5; n++)
        *reg_of(v, n) = (struct reg){ .type = REG_UNSET };
    return 0;
}

static int step_exit(struct verifier *v, u32 *ret_next)
{
    if (v->state.nframes > 1)
        return step_return(v, ret_next);
    int err = check_read(v, 0);
    if (err != 0)
        return err;
    if (is_pointer(reg_of(v, 0)))
        return refuse(v, -EACCES, "r0 is a pointer at the end");
    if (v->state.nrecords != 0)
        return refuse(v, -EINVAL, "a reserved record is neither submitted nor discarded");
    return 1;
}

static int step_call(struct verifier *v, const struct bpf_insn *i, u32 *ret_next)
{
    if (insn_src(i) != BPF_PSEUDO_CALL)
        return step_helper(v, i);
    *ret_next = v->at + 1 + (u32)i->imm;
    return enter_frame(v, v->at + 1);
}

/* 1: the path ends here. */
static int step(struct verifier *v)
{
    const struct bpf_insn *i = &v->code->insns[v->at];
    u32 next = v->at + (i->code == BPF_LD_IMM64 ? 2 : 1);
    int err = 0;
    v->info[v->at].visited = true;
    if (BPF_CLASS(i->code) != BPF_JMP && BPF_CLASS(i->code) != BPF_JMP32)
        err = step_plain(v, i);
    else if (i->code == (BPF_JMP | BPF_EXIT))
        err = step_exit(v, &next);
    else if (i->code == (BPF_JMP | BPF_CALL))
        err = step_call(v, i, &next);
    else if (i->code == (BPF_JMP | BPF_JA))
        next = v->at + 1 + (u32)(s32)i->off;
    else
        return step_condition(v, i);
    if (err == 0)
        v->at = next;
    return err;
}

static int follow(struct verifier *v)
{
    for (u32 rounds = 0;;) {
        int r = v->info[v->at].meet ? meet(v) : 0;
        if (r == 0 && ++v->result->steps > bpf_verify_steps)
            r = refuse(v, -E2BIG, "longer than %u instructions on all paths: too many paths, or a loop that does not end", bpf_verify_steps);
        if (r == 0)
            r = step(v);
        if (r != 0)
            return r < 0 ? r : 0;
        if (++rounds % YIELD_STEPS == 0)
            cond_resched();
    }
}

static int follow_all(struct verifier *v)
{
    int err = enter_frame(v, 0);
    if (err != 0)
        return err;
    top_frame(v)->regs[1] = (struct reg){ .type = REG_CTX, .range = range_const(0) };
    v->at = 0;
    do {
        err = follow(v);
        end_path(v);
    } while (err == 0 && next_path(v));
    return err;
}

/* --- what will run ---------------------------------------------------------------------------------- */

static u32 array_of(struct bpf_code *code, const struct bpf_map *m)
{
    u32 i = 0;
    while (i < code->narrays && code->arrays[i].values != m->values)
        i++;
    if (i == code->narrays)
        code->arrays[code->narrays++] = (struct bpf_array){ .values = m->values, .entries = m->entries, .stride = m->stride };
    return i;
}

static void put_address(struct bpf_insn *i, const void *p)
{
    i[0].imm = (s32)(u32)(uintptr_t)p;
    i[1].imm = (s32)(u32)((u64)(uintptr_t)p >> 32);
    i[0].regs &= 15;
}

static void finish_insn(struct verifier *v, u32 at)
{
    struct bpf_insn *i = &v->code->insns[at];
    const struct insn_info *info = &v->info[at];
    if (i->code == BPF_LD_IMM64 && insn_src(i) == BPF_PSEUDO_MAP_FD)
        put_address(i, v->maps[i->imm]);
    else if (i->code == BPF_LD_IMM64 && insn_src(i) == BPF_PSEUDO_MAP_VALUE)
        put_address(i, v->maps[i->imm]->values + (u32)i[1].imm);
    else if (info->reads_ctx && v->words != NULL)
        i->off = (s16)(v->words[info->ctx_at / 8] + info->ctx_at % 8 - info->ctx_base);
    else if (info->unset != 0)
        i->off = info->unset;
    else if (info->map != NULL && !info->many && info->map->type == MAP_ARRAY)
        *i = (struct bpf_insn){ .code = i->code, .regs = BPF_CALL_ARRAY << 4, .imm = (s32)array_of(v->code, info->map) };
}

/* Addresses for maps; what no path reaches becomes an end. */
static int finish(struct verifier *v)
{
    struct bpf_code *code = v->code;
    code->arrays = kzalloc((v->nmaps + 1) * sizeof(code->arrays[0]));
    code->starts = kzalloc((v->nstarts + 1) * sizeof(code->starts[0]));
    if (code->arrays == NULL || code->starts == NULL)
        return refuse(v, -ENOMEM, "no memory");
    memcpy(code->starts, v->starts, v->nstarts * sizeof(code->starts[0]));
    code->nstarts = v->nstarts;
    code->on_frame = v->words != NULL;
    for (u32 at = 0; at < code->count; at++) {
        if (!v->info[at].visited) {
            code->insns[at] = (struct bpf_insn){ .code = BPF_JMP | BPF_EXIT };
            continue;
        }
        bool pair = code->insns[at].code == BPF_LD_IMM64;
        finish_insn(v, at);
        at += pair;
    }
    return 0;
}

void bpf_code_done(struct bpf_code *code)
{
    kfree(code->insns);
    kfree(code->arrays);
    kfree(code->starts);
    *code = (struct bpf_code){ 0 };
}

static void verifier_done(struct verifier *v)
{
    while (v->waiting != NULL) {
        struct seen *s = v->waiting;
        v->waiting = s->next;
        kfree(s);
    }
    for (u32 at = 0; v->info != NULL && at < v->code->count; at++)
        for (struct seen *s = v->info[at].seen, *next; s != NULL; s = next) {
            next = s->next;
            kfree(s);
        }
    for (unsigned i = 0; i < BPF_FRAMES_MAX; i++)
        kfree(v->state.frames[i]);
    kfree(v->info);
    kfree(v);
}

int bpf_verify(struct bpf_code *code, u32 ctx_size, const s16 *words, struct bpf_map *const *maps, u32 nmaps, struct verify_result *ret)
{
    struct verifier *v = kzalloc(sizeof(*v));
    *ret = (struct verify_result){ .why = "no memory" };
    if (v == NULL)
        return -ENOMEM;
    *v = (struct verifier){ .code = code, .maps = maps, .nmaps = nmaps, .ctx_size = ctx_size, .words = words, .result = ret };
    int err = -ENOMEM;
    if (code->count == 0 || code->count > BPFD_INSNS_MAX)
        err = refuse(v, -E2BIG, "a program has 1 to %u instructions", BPFD_INSNS_MAX);
    else if ((v->info = kzalloc(code->count * sizeof(v->info[0]))) != NULL)
        err = check_form(v);
    if (err == 0)
        err = follow_all(v);
    if (err == 0)
        err = finish(v);
    verifier_done(v);
    return err;
}
