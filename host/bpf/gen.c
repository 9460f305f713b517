/* SPDX-License-Identifier: Apache-2.0 */
/* Statements, sums and outputs: gen.h. */
#include <string.h>

#include "host/bpf/gen.h"

#define LOOP_MAX 256u /* rounds of a while: what the verifier follows, too */

static void gen_list(struct gen *g, const struct stmt *s);

/* --- @x = count() and the like ---------------------------------------------------------------- */

/* dst = 1 if src is not 0, else 0. r3 is lost. */
static void is_not_zero(struct gen *g, u8 dst, u8 src)
{
    emit_mov(g, R3, src);
    emit_alu_imm(g, BPF_NEG, R3, 0);
    emit_mov(g, dst, src);
    emit_alu(g, BPF_OR, dst, R3);
    emit_alu_imm(g, BPF_RSH, dst, 63);
}

/* r0 = which bucket of a histogram of powers of two: 0 below 0, 1 for 0, 2 for 1, 3 for 2 and 3, ... Without jumps: every one would double the
 * paths that the verifier has to follow. */
static void log2_bucket(struct gen *g)
{
    emit_mov(g, R4, R0);
    emit_alu_imm(g, BPF_RSH, R4, 63);
    emit_alu_imm(g, BPF_SUB, R4, 1); /* 0 if it is negative, else all bits */
    emit_mov(g, R1, R0);
    is_not_zero(g, R0, R1);
    emit_alu_imm(g, BPF_ADD, R0, 1);
    for (s32 power = 5; power >= 0; power--) {
        emit_mov(g, R5, R1);
        emit_alu_imm(g, BPF_RSH, R5, 1 << power);
        is_not_zero(g, R2, R5);
        emit_alu_imm(g, BPF_LSH, R2, power);
        emit_alu(g, BPF_RSH, R1, R2);
        emit_alu(g, BPF_ADD, R0, R2);
    }
    emit_alu(g, BPF_AND, R0, R4);
}

/* r0 = 0 below low, then one for each step, and one from high on. */
static void linear_bucket(struct gen *g, const struct type *t)
{
    u32 done = new_label(g), above = new_label(g), inside = new_label(g);
    emit_mov(g, R1, R0);
    emit_imm(g, R0, 0);
    emit_imm(g, R2, (u64)t->low);
    emit_jump(g, BPF_JSGE, R1, R2, above);
    emit_jump(g, BPF_JA, 0, 0, done);
    place_label(g, above);
    emit_imm(g, R0, hist_buckets(t) - 1);
    emit_imm(g, R3, (u64)t->high);
    emit_jump(g, BPF_JSLT, R1, R3, inside);
    emit_jump(g, BPF_JA, 0, 0, done);
    place_label(g, inside);
    emit_mov(g, R0, R1);
    emit_alu(g, BPF_SUB, R0, R2);
    emit_alu_imm(g, BPF_DIV, R0, (s32)t->step);
    emit_alu_imm(g, BPF_ADD, R0, 1);
    place_label(g, done);
}

/* r0: the element; at `first` what it is to take in. */
static void add_to(struct gen *g, const struct type *t, s32 first)
{
    u32 take = new_label(g), done = new_label(g);
    emit_load(g, R1, R10, first);
    emit_load(g, R2, R0, 0);
    if (t->kind == T_MIN || t->kind == T_MAX) {
        u8 jump = t->kind == T_MIN ? (t->is_signed ? BPF_JSLT : BPF_JLT) : (t->is_signed ? BPF_JSGT : BPF_JGT);
        emit_load(g, R3, R0, 8); /* this CPU has none yet */
        emit_jump_imm(g, BPF_JEQ, R3, 0, take);
        emit_jump(g, jump, R1, R2, take);
        emit_jump(g, BPF_JA, 0, 0, done);
        place_label(g, take);
        emit_imm(g, R3, 1);
        emit_store(g, R0, 8, R3);
        emit_store(g, R0, 0, R1);
    } else {
        emit_alu(g, BPF_ADD, R2, R1);
        emit_store(g, R0, 0, R2);
        if (t->size == 16) {
            emit_load(g, R1, R10, first + 8);
            emit_load(g, R2, R0, 8);
            emit_alu(g, BPF_ADD, R2, R1);
            emit_store(g, R0, 8, R2);
        }
    }
    place_label(g, done);
}

/* Values: count, sum and buckets {n}; avg and stats {sum, count}; min and max {value, 1}. */
static void gen_sum(struct gen *g, const struct expr *map, const struct expr *call)
{
    const struct type *t = &map->map->value;
    u32 stack = g->stack, missing = new_label(g), done = new_label(g);
    s32 first = take_stack(g, t->size), bucket = 0;
    if (call->nkids)
        gen_number(g, call->kids[0]);
    if (TYPE_HIST(t->kind)) {
        bucket = take_stack(g, 8);
        if (t->kind == T_HIST)
            log2_bucket(g);
        else
            linear_bucket(g, t);
        emit_store(g, R10, bucket, R0);
    } else if (call->nkids) {
        emit_store(g, R10, first, R0);
    }
    if (bucket || !call->nkids)
        emit_store_imm(g, first, 1);
    if (t->size == 16)
        emit_store_imm(g, first + 8, 1);
    s32 key = gen_key(g, map);
    if (bucket) {
        emit_load(g, R1, R10, bucket);
        emit_store(g, R10, key + (s32)key_size(map->map) - 8, R1);
    }
    g->at = call->at;
    gen_lookup(g, map->map, key);
    emit_jump_imm(g, BPF_JEQ, R0, 0, missing);
    add_to(g, t, first);
    emit_jump(g, BPF_JA, 0, 0, done);
    place_label(g, missing);
    gen_update(g, map->map, key, first);
    place_label(g, done);
    g->stack = stack;
}

/* --- outputs ------------------------------------------------------------------------------------- */

/* A record: the output's number, then the values of kids from `from` on. */
static void send(struct gen *g, struct output *o, const struct expr *call, u32 from)
{
    u32 stack = g->stack, size = 8;
    o->at = call->at;
    for (u32 i = from; i < call->nkids && o->ntypes < PARTS_MAX; i++) {
        o->types[o->ntypes++] = call->kids[i]->type;
        size += call->kids[i]->type.size;
    }
    s32 record = take_stack(g, size), at = record + 8;
    for (u32 i = 0; i < o->ntypes; i++) {
        gen_value(g, call->kids[from + i], at, &o->types[i]);
        at += (s32)o->types[i].size;
    }
    g->at = call->at;
    emit_store_imm(g, record, lang_output(g->l, o));
    emit_map(g, R1, (u32)g->l->ring);
    emit_address(g, R2, record);
    emit_imm(g, R3, size);
    emit_imm(g, R4, 0);
    emit_call(g, BPF_FUNC_ringbuf_output);
    g->stack = stack;
}

static void gen_print(struct gen *g, const struct expr *call)
{
    const struct expr *of = call->kids[0];
    struct output o = {.kind = OUT_PRINT};
    if (of->kind == E_MAP && of->nkids == 0) {
        o = (struct output){.kind = OUT_PRINT_MAP, .map = of->map, .top = call->nkids > 1 ? call->kids[1]->number : 0,
                            .div = call->nkids > 2 ? call->kids[2]->number : 0};
        send(g, &o, call, call->nkids);
    } else {
        send(g, &o, call, 0);
    }
}

static void gen_delete(struct gen *g, const struct expr *call)
{
    u32 stack = g->stack;
    s32 key = gen_key(g, call->kids[0]);
    emit_map(g, R1, (u32)call->kids[0]->map->index);
    emit_address(g, R2, key);
    emit_call(g, BPF_FUNC_map_delete_elem);
    g->stack = stack;
}

static void gen_call(struct gen *g, const struct expr *call)
{
    struct output o = {0};
    if (call_is(call, "printf")) {
        o = (struct output){.kind = OUT_PRINTF, .format = call->kids[0]->text};
        send(g, &o, call, 1);
    } else if (call_is(call, "print")) {
        gen_print(g, call);
    } else if (call_is(call, "clear") || call_is(call, "zero")) {
        o = (struct output){.kind = call_is(call, "zero") ? OUT_ZERO : OUT_CLEAR, .map = call->kids[0]->map};
        send(g, &o, call, call->nkids);
    } else if (call_is(call, "time")) {
        o = (struct output){.kind = OUT_TIME, .format = call->nkids ? call->kids[0]->text : NULL};
        send(g, &o, call, call->nkids);
    } else if (call_is(call, "exit")) {
        o.kind = OUT_EXIT;
        send(g, &o, call, 0);
        emit_jump(g, BPF_JA, 0, 0, g->end);
    } else if (call_is(call, "delete")) {
        gen_delete(g, call);
    } else {
        gen_fail(g, call->at, "the value of this is not used");
    }
}

/* --- statements ------------------------------------------------------------------------------------ */

/* @x = value, or $x += value. */
static void gen_assign(struct gen *g, const struct stmt *s)
{
    const struct expr *to = s->left;
    u32 stack = g->stack;
    const struct type *t = to->kind == E_MAP ? &to->map->value : &to->variable->type;
    s32 value = to->kind == E_MAP ? take_stack(g, t->size) : to->variable->slot;
    if (s->op == '=') {
        s32 whole = to->kind == E_VARIABLE && t->kind == T_TUPLE ? take_stack(g, t->size) : value; /* it may be made of itself */
        gen_value(g, s->right, whole, t);
        for (u32 i = 0; whole != value && i < t->size; i += 8) {
            emit_load(g, R1, R10, whole + (s32)i);
            emit_store(g, R10, value + (s32)i, R1);
        }
    } else {
        static const int plain[] = {'+', '-', '*', '/', '%', '&', '|', '^', TOK_SHL, TOK_SHR};
        s32 right = take_stack(g, 8);
        gen_number(g, s->right);
        emit_store(g, R10, right, R0);
        gen_number(g, to);
        emit_load(g, R1, R10, right);
        gen_operator(g, plain[s->op - TOK_ADD_SET], t->is_signed);
        emit_store(g, R10, value, R0);
    }
    if (to->kind == E_MAP) {
        s32 key = gen_key(g, to);
        g->at = s->at;
        gen_update(g, to->map, key, value);
    }
    g->stack = stack;
}

static void gen_if(struct gen *g, const struct stmt *s)
{
    u32 otherwise = new_label(g), done = new_label(g);
    gen_false(g, s->right, otherwise);
    gen_list(g, s->body);
    if (s->otherwise)
        emit_jump(g, BPF_JA, 0, 0, done);
    place_label(g, otherwise);
    gen_list(g, s->otherwise);
    place_label(g, done);
}

/* A program must end: after so many rounds it goes on behind the loop, and that is counted as what did not fit into a map is. */
static void gen_while(struct gen *g, const struct stmt *s)
{
    u32 start = g->loop_start, end = g->loop_end, stack = g->stack, more = new_label(g);
    s32 rounds = take_stack(g, 8);
    g->loop_start = new_label(g);
    g->loop_end = new_label(g);
    emit_store_imm(g, rounds, 0);
    place_label(g, g->loop_start);
    emit_load(g, R0, R10, rounds);
    emit_jump_imm(g, BPF_JLT, R0, LOOP_MAX, more);
    emit_imm(g, R0, (u64)-1);
    emit_lost(g);
    emit_jump(g, BPF_JA, 0, 0, g->loop_end);
    place_label(g, more);
    emit_alu_imm(g, BPF_ADD, R0, 1);
    emit_store(g, R10, rounds, R0);
    gen_false(g, s->right, g->loop_end);
    gen_list(g, s->body);
    emit_jump(g, BPF_JA, 0, 0, g->loop_start);
    place_label(g, g->loop_end);
    g->loop_start = start;
    g->loop_end = end;
    g->stack = stack;
}

static void gen_stmt(struct gen *g, const struct stmt *s)
{
    g->at = s->at;
    switch (s->kind) {
    case S_ASSIGN:
        if (call_sums(s->right))
            gen_sum(g, s->left, s->right);
        else
            gen_assign(g, s);
        break;
    case S_IF: gen_if(g, s); break;
    case S_UNROLL:
        for (u64 i = 0, before = UINT64_MAX; i < s->right->number && !g->failed && before != g->out->ninsns; i++) { /* unless it is empty */
            before = g->out->ninsns;
            gen_list(g, s->body);
        }
        break;
    case S_WHILE: gen_while(g, s); break;
    case S_RETURN: emit_jump(g, BPF_JA, 0, 0, g->end); break;
    case S_BREAK: emit_jump(g, BPF_JA, 0, 0, g->loop_end); break;
    case S_CONTINUE: emit_jump(g, BPF_JA, 0, 0, g->loop_start); break;
    case S_EXPR:
        if (s->right->kind == E_CALL)
            gen_call(g, s->right);
        else if (s->right->kind == E_STEP)
            gen_number(g, s->right);
        else
            gen_fail(g, s->at, "the value of this is not used");
        break;
    }
}

static void gen_list(struct gen *g, const struct stmt *s)
{
    for (; s && !g->failed; s = s->next)
        gen_stmt(g, s);
}

/* --- a program ---------------------------------------------------------------------------------------- */

int lang_generate(struct lang *l, struct clause *c, const struct target *t, struct unit_program *ret)
{
    AUTO_FREE struct gen *g = xalloc(sizeof(*g));
    *g = (struct gen){.l = l, .c = c, .t = t, .out = ret, .at = c->at};
    *ret = (struct unit_program){.ctx = t->ctx};
    g->end = new_label(g);
    emit_mov(g, R6, R1);
    for (struct variable *v = c->variables; v; v = v->next) {
        v->slot = take_stack(g, v->type.size);
        emit_zero(g, v->slot, v->type.size);
    }
    if (c->filter)
        gen_false(g, c->filter, g->end);
    gen_list(g, c->body);
    g->at = c->at;
    place_label(g, g->end);
    emit_imm(g, R0, 0);
    emit(g, BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
    emit_jumps(g);
    free(g->jumps);
    if (!g->failed)
        return 0;
    free(ret->insns);
    free(ret->lines);
    *ret = (struct unit_program){0};
    return -1;
}
