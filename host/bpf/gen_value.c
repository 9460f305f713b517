/* SPDX-License-Identifier: Apache-2.0 */
/* Expressions: gen.h. */
#include <string.h>

#include "host/bpf/gen.h"

/* --- maps ----------------------------------------------------------------------------------- */

u32 key_size(const struct map_def *m)
{
    u32 size = TYPE_HIST(m->value.kind) ? 8 : 0;
    for (u32 i = 0; i < m->nkeys; i++)
        size += m->keys[i].size;
    return MAX(size, 8u);
}

s32 gen_key(struct gen *g, const struct expr *map)
{
    const struct map_def *m = map->map;
    s32 key = take_stack(g, key_size(m)), at = key;
    for (u32 i = 0; i < m->nkeys; i++) {
        gen_value(g, map->kids[i], at, &m->keys[i]);
        at += (s32)m->keys[i].size;
    }
    if (m->nkeys == 0 && !TYPE_HIST(m->value.kind))
        emit_store_imm(g, key, 0);
    return key;
}

void gen_lookup(struct gen *g, const struct map_def *m, s32 key)
{
    emit_map(g, R1, (u32)m->index);
    emit_address(g, R2, key);
    emit_call(g, BPF_FUNC_map_lookup_elem);
}

void gen_update(struct gen *g, const struct map_def *m, s32 key, s32 value)
{
    emit_map(g, R1, (u32)m->index);
    emit_address(g, R2, key);
    emit_address(g, R3, value);
    emit_imm(g, R4, BPF_ANY);
    emit_call(g, BPF_FUNC_map_update_elem);
    emit_lost(g);
}

static void map_number(struct gen *g, const struct expr *e)
{
    u32 stack = g->stack, missing = new_label(g);
    gen_lookup(g, e->map, gen_key(g, e));
    emit_jump_imm(g, BPF_JEQ, R0, 0, missing); /* then r0 is the value, too */
    emit_load(g, R0, R0, 0);
    place_label(g, missing);
    g->stack = stack;
}

/* --- builtins ----------------------------------------------------------------------------------- */

static void narrow(struct gen *g, u32 bits, bool is_signed)
{
    if (bits < 64) {
        emit_alu_imm(g, BPF_LSH, R0, (s32)(64 - bits));
        emit_alu_imm(g, is_signed ? BPF_ARSH : BPF_RSH, R0, (s32)(64 - bits));
    }
}

static void ctx_number(struct gen *g, const struct expr *e)
{
    emit_load(g, R0, R6, e->param);
    if (e->field_type == 'i' || e->field_type == 'w')
        narrow(g, 32, e->field_type == 'i');
}

static void high_half(struct gen *g, s32 helper)
{
    emit_call(g, helper);
    emit_alu_imm(g, BPF_RSH, R0, 32);
}

static void low_half(struct gen *g, s32 helper)
{
    emit_call(g, helper);
    narrow(g, 32, false);
}

static void probe_number(struct gen *g)
{
    if (!target_is_call(g->t)) {
        emit_imm(g, R0, lang_probe(g->l, g->t));
        return;
    }
    enum probe_call kind = g->t->call_only ? PROBE_SYSCALL : g->t->where == BPFD_AT_CALL_ENTRY ? PROBE_ENTER : PROBE_EXIT;
    emit_load(g, R0, R6, offsetof(struct bpfd_call_entry_ctx, id)); /* so that one program serves all calls */
    emit_imm(g, R1, kind * PROBE_CALL);
    emit_alu(g, BPF_OR, R0, R1);
}

/* A number for the frames; of program stacks the process, too, in the upper half. */
static void stack_number(struct gen *g, const struct type *t)
{
    bool user = t->kind == T_USTACK;
    u32 found = new_label(g);
    emit_mov(g, R1, R6);
    emit_map(g, R2, lang_stacks(g->l, t->frames));
    emit_imm(g, R3, user ? BPF_F_USER_STACK : 0);
    emit_call(g, BPF_FUNC_get_stackid);
    emit_jump_imm(g, BPF_JSGE, R0, 0, found);
    emit_imm(g, R0, UINT32_MAX); /* none */
    place_label(g, found);
    if (user) {
        emit_mov(g, R7, R0);
        high_half(g, BPF_FUNC_get_current_pid_tgid);
        emit_alu_imm(g, BPF_LSH, R0, 32);
        emit_alu(g, BPF_OR, R0, R7);
    }
}

static void builtin_number(struct gen *g, const struct expr *e)
{
    const char *name = e->text;
    if (strcmp(name, "pid") == 0) {
        high_half(g, BPF_FUNC_get_current_pid_tgid);
    } else if (strcmp(name, "tid") == 0) {
        low_half(g, BPF_FUNC_get_current_pid_tgid);
    } else if (strcmp(name, "uid") == 0) {
        low_half(g, BPF_FUNC_get_current_uid_gid);
    } else if (strcmp(name, "gid") == 0) {
        high_half(g, BPF_FUNC_get_current_uid_gid);
    } else if (strcmp(name, "cpu") == 0) {
        emit_call(g, BPF_FUNC_get_smp_processor_id);
    } else if (strcmp(name, "rand") == 0) {
        emit_call(g, BPF_FUNC_get_prandom_u32);
    } else if (strcmp(name, "nsecs") == 0) {
        emit_call(g, BPF_FUNC_ktime_get_ns);
    } else if (strcmp(name, "elapsed") == 0) {
        emit_call(g, BPF_FUNC_ktime_get_ns);
        emit_imm(g, R1, g->l->world->monotonic_ns);
        emit_alu(g, BPF_SUB, R0, R1);
    } else if (strcmp(name, "probe") == 0) {
        probe_number(g);
    } else if (strcmp(name, "func") == 0) {
        emit_load(g, R0, R6, offsetof(struct bpfd_regs_ctx, rip));
    } else if (e->type.kind == T_KSTACK || e->type.kind == T_USTACK) {
        stack_number(g, &e->type);
    } else if (e->param < 0) { /* fd of a call that has none */
        emit_imm(g, R0, (u64)-1);
    } else {
        ctx_number(g, e);
    }
}

/* --- strings -------------------------------------------------------------------------------------- */

static u64 word_of(const char *text, u32 at)
{
    char word[9] = {0};
    if (at < strlen(text))
        memcpy(word, text + at, strnlen(text + at, 8));
    u64 value;
    memcpy(&value, word, 8);
    return value;
}

/* r0 = 0 if they are equal in their first len bytes, else 1. */
static void compare_strings(struct gen *g, const struct expr *a, const struct expr *b, u32 len)
{
    u32 stack = g->stack, differ = new_label(g), done = new_label(g);
    if (a->kind == E_STRING) {
        const struct expr *swap = a;
        a = b;
        b = swap;
    }
    s32 left = take_stack(g, a->type.size), right = 0;
    gen_value(g, a, left, &a->type);
    if (b->kind != E_STRING) {
        right = take_stack(g, b->type.size);
        gen_value(g, b, right, &b->type);
    }
    for (u32 i = 0; i < len && i < MAX(a->type.size, b->type.size) && !g->failed; i += 8) {
        u64 mask = len - i >= 8 ? UINT64_MAX : (1ull << 8 * (len - i)) - 1;
        if (i < a->type.size)
            emit_load(g, R1, R10, left + (s32)i);
        else
            emit_imm(g, R1, 0);
        if (b->kind != E_STRING && i < b->type.size)
            emit_load(g, R2, R10, right + (s32)i);
        else
            emit_imm(g, R2, b->kind == E_STRING ? word_of(b->text, i) & mask : 0);
        if (mask != UINT64_MAX) {
            emit_imm(g, R3, mask);
            emit_alu(g, BPF_AND, R1, R3);
            emit_alu(g, BPF_AND, R2, R3);
        }
        emit_jump(g, BPF_JNE, R1, R2, differ);
    }
    emit_imm(g, R0, 0);
    emit_jump(g, BPF_JA, 0, 0, done);
    place_label(g, differ);
    emit_imm(g, R0, 1);
    place_label(g, done);
    g->stack = stack;
}

/* At r0, as far as it goes. */
static void read_string(struct gen *g, s32 off, u32 size, u32 most)
{
    emit_mov(g, R3, R0);
    emit_zero(g, off, size);
    emit_address(g, R1, off);
    emit_imm(g, R2, MIN(size, most));
    emit_call(g, BPF_FUNC_probe_read_str);
}

/* What stands at base + from, as `to` wants it. */
static void copy(struct gen *g, u8 base, s32 from, const struct type *is, s32 off, const struct type *to)
{
    if (is->kind == T_TUPLE) {
        for (u32 i = 0; i < to->nparts && i < is->nparts; i++) {
            copy(g, base, from, &is->parts[i], off, &to->parts[i]);
            from += (s32)is->parts[i].size;
            off += (s32)to->parts[i].size;
        }
        return;
    }
    for (u32 i = 0; i < to->size && !g->failed; i += 8) {
        if (i < is->size) {
            emit_load(g, R1, base, from + (s32)i);
            emit_store(g, R10, off + (s32)i, R1);
        } else {
            emit_store_imm(g, off + (s32)i, 0);
        }
    }
}

static void map_value(struct gen *g, const struct expr *e, s32 off, const struct type *to)
{
    u32 stack = g->stack, missing = new_label(g), done = new_label(g);
    gen_lookup(g, e->map, gen_key(g, e));
    emit_jump_imm(g, BPF_JEQ, R0, 0, missing);
    copy(g, R0, 0, &e->map->value, off, to);
    emit_jump(g, BPF_JA, 0, 0, done);
    place_label(g, missing);
    emit_zero(g, off, to->size);
    place_label(g, done);
    g->stack = stack;
}

static void string_call(struct gen *g, const struct expr *e, s32 off, const struct type *to)
{
    const struct expr *of = e->kids[0];
    if (of->type.kind == T_STRING) {
        gen_value(g, of, off, to);
        return;
    }
    gen_number(g, of);
    read_string(g, off, to->size, e->nkids == 2 ? (u32)e->kids[1]->number + 1 : STRING_BYTES);
}

/* An address of a program, and whose. */
static void symbol_value(struct gen *g, const struct expr *e, s32 off)
{
    if (e->kind == E_CALL)
        gen_number(g, e->kids[0]);
    else
        builtin_number(g, e);
    emit_store(g, R10, off, R0);
    high_half(g, BPF_FUNC_get_current_pid_tgid);
    emit_store(g, R10, off + 8, R0);
}

static void builtin_string(struct gen *g, const struct expr *e, s32 off, const struct type *to)
{
    if (e->kind == E_BUILTIN && strcmp(e->text, "comm") == 0) {
        emit_zero(g, off, to->size);
        emit_address(g, R1, off);
        emit_imm(g, R2, MIN(to->size, 16u));
        emit_call(g, BPF_FUNC_get_current_comm);
    } else {
        emit_load(g, R0, R6, e->param);
        read_string(g, off, to->size, STRING_BYTES);
    }
}

static void choice_value(struct gen *g, const struct expr *e, s32 off, const struct type *to)
{
    u32 otherwise = new_label(g), done = new_label(g);
    gen_false(g, e->kids[0], otherwise);
    gen_value(g, e->kids[1], off, to);
    emit_jump(g, BPF_JA, 0, 0, done);
    place_label(g, otherwise);
    gen_value(g, e->kids[2], off, to);
    place_label(g, done);
}

/* A part of a tuple: at that offset of it. */
static u32 part_offset(const struct expr *e)
{
    u32 at = 0;
    for (u32 i = 0; i < e->number; i++)
        at += e->kids[0]->type.parts[i].size;
    return at;
}

static void index_value(struct gen *g, const struct expr *e, s32 off, const struct type *to)
{
    u32 stack = g->stack;
    s32 whole = take_stack(g, e->kids[0]->type.size);
    gen_value(g, e->kids[0], whole, &e->kids[0]->type);
    copy(g, R10, whole + (s32)part_offset(e), &e->type, off, to);
    g->stack = stack;
}

void gen_value(struct gen *g, const struct expr *e, s32 off, const struct type *to)
{
    if (g->failed)
        return;
    if (e->kind == E_INDEX) {
        index_value(g, e, off, to);
    } else if (e->kind == E_CHOICE && to->kind != T_INT) {
        choice_value(g, e, off, to);
    } else if (e->kind == E_TUPLE) {
        for (u32 i = 0; i < e->nkids; i++) {
            gen_value(g, e->kids[i], off, &to->parts[i]);
            off += (s32)to->parts[i].size;
        }
    } else if (e->kind == E_STRING) {
        for (u32 i = 0; i < to->size && !g->failed; i += 8)
            emit_store_imm(g, off + (s32)i, word_of(e->text, i));
    } else if (e->kind == E_VARIABLE) {
        copy(g, R10, e->variable->slot, &e->variable->type, off, to);
    } else if (e->kind == E_MAP) {
        map_value(g, e, off, to);
    } else if (call_is(e, "str")) {
        string_call(g, e, off, to);
    } else if (to->kind == T_STRING) {
        builtin_string(g, e, off, to);
    } else if (to->kind == T_USYM) {
        symbol_value(g, e, off);
    } else {
        gen_number(g, e);
        emit_store(g, R10, off, R0);
    }
}

/* --- numbers ------------------------------------------------------------------------------------ */

/* r0 / r1 or r0 % r1 of signed numbers, as in C; there is an instruction for unsigned ones only. */
static void signed_division(struct gen *g, bool remainder)
{
    u32 plain = new_label(g), positive = new_label(g), done = new_label(g);
    emit_mov(g, R2, R0); /* whose sign a remainder has */
    if (!remainder)
        emit_alu(g, BPF_XOR, R2, R1);
    emit_jump_imm(g, BPF_JSGE, R0, 0, plain);
    emit_alu_imm(g, BPF_NEG, R0, 0);
    place_label(g, plain);
    emit_jump_imm(g, BPF_JSGE, R1, 0, positive);
    emit_alu_imm(g, BPF_NEG, R1, 0);
    place_label(g, positive);
    emit_alu(g, remainder ? BPF_MOD : BPF_DIV, R0, R1);
    emit_jump_imm(g, BPF_JSGE, R2, 0, done);
    emit_alu_imm(g, BPF_NEG, R0, 0);
    place_label(g, done);
}

/* By more than a number has: 0, or its sign. */
static void shift(struct gen *g, u8 op)
{
    u32 good = new_label(g);
    emit_jump_imm(g, BPF_JLT, R1, 64, good);
    if (op != BPF_ARSH)
        emit_imm(g, R0, 0);
    emit_imm(g, R1, 63);
    place_label(g, good);
    emit_alu(g, op, R0, R1);
}

void gen_operator(struct gen *g, int op, bool is_signed)
{
    switch (op) {
    case '+': emit_alu(g, BPF_ADD, R0, R1); break;
    case '-': emit_alu(g, BPF_SUB, R0, R1); break;
    case '*': emit_alu(g, BPF_MUL, R0, R1); break;
    case '&': emit_alu(g, BPF_AND, R0, R1); break;
    case '|': emit_alu(g, BPF_OR, R0, R1); break;
    case '^': emit_alu(g, BPF_XOR, R0, R1); break;
    case TOK_SHL: shift(g, BPF_LSH); break;
    case TOK_SHR: shift(g, is_signed ? BPF_ARSH : BPF_RSH); break;
    case '/':
    case '%':
        if (is_signed)
            signed_division(g, op == '%');
        else
            emit_alu(g, op == '%' ? BPF_MOD : BPF_DIV, R0, R1);
        break;
    }
}

/* r0 and r1 = the operands. */
static void operands(struct gen *g, const struct expr *a, const struct expr *b)
{
    u32 stack = g->stack;
    gen_number(g, a);
    if (b->kind == E_NUMBER) {
        emit_imm(g, R1, b->number);
    } else if (b->kind == E_VARIABLE) {
        emit_load(g, R1, R10, b->variable->slot);
    } else {
        s32 kept = take_stack(g, 8);
        emit_store(g, R10, kept, R0);
        gen_number(g, b);
        emit_mov(g, R1, R0);
        emit_load(g, R0, R10, kept);
    }
    g->stack = stack;
}

static bool is_condition(const struct expr *e)
{
    return (e->kind == E_BINARY && (is_comparison(e->op) || e->op == TOK_AND || e->op == TOK_OR)) || (e->kind == E_UNARY && e->op == '!');
}

/* The jump that is taken when the comparison does not hold. */
static u8 opposite(int op, bool is_signed)
{
    switch (op) {
    case TOK_EQ: return BPF_JNE;
    case TOK_NE: return BPF_JEQ;
    case '<': return is_signed ? BPF_JSGE : BPF_JGE;
    case '>': return is_signed ? BPF_JSLE : BPF_JLE;
    case TOK_LE: return is_signed ? BPF_JSGT : BPF_JGT;
    default: return is_signed ? BPF_JSLT : BPF_JLT;
    }
}

void gen_false(struct gen *g, const struct expr *e, u32 label)
{
    if (g->failed)
        return;
    if (e->kind == E_BINARY && e->op == TOK_AND) {
        gen_false(g, e->kids[0], label);
        gen_false(g, e->kids[1], label);
    } else if (e->kind == E_BINARY && e->op == TOK_OR) {
        u32 second = new_label(g), done = new_label(g);
        gen_false(g, e->kids[0], second);
        emit_jump(g, BPF_JA, 0, 0, done);
        place_label(g, second);
        gen_false(g, e->kids[1], label);
        place_label(g, done);
    } else if (e->kind == E_UNARY && e->op == '!') {
        u32 holds = new_label(g);
        gen_false(g, e->kids[0], holds);
        emit_jump(g, BPF_JA, 0, 0, label);
        place_label(g, holds);
    } else if (e->kind == E_BINARY && is_comparison(e->op) && e->kids[0]->type.kind == T_STRING) {
        compare_strings(g, e->kids[0], e->kids[1], UINT32_MAX);
        emit_jump_imm(g, e->op == TOK_EQ ? BPF_JNE : BPF_JEQ, R0, 0, label);
    } else if (e->kind == E_BINARY && is_comparison(e->op)) {
        operands(g, e->kids[0], e->kids[1]);
        emit_jump(g, opposite(e->op, e->is_signed), R0, R1, label);
    } else {
        gen_number(g, e);
        emit_jump_imm(g, BPF_JEQ, R0, 0, label);
    }
}

/* 1 or 0; or one of two values. */
static void by_condition(struct gen *g, const struct expr *condition, const struct expr *yes, const struct expr *no)
{
    u32 otherwise = new_label(g), done = new_label(g);
    gen_false(g, condition, otherwise);
    if (yes)
        gen_number(g, yes);
    else
        emit_imm(g, R0, 1);
    emit_jump(g, BPF_JA, 0, 0, done);
    place_label(g, otherwise);
    if (no)
        gen_number(g, no);
    else
        emit_imm(g, R0, 0);
    place_label(g, done);
}

/* ++ and --: the value is the old or the new one. */
static void step(struct gen *g, const struct expr *e)
{
    const struct expr *of = e->kids[0];
    s32 by = e->op == TOK_INC ? 1 : -1;
    u32 stack = g->stack;
    if (of->kind == E_VARIABLE) {
        emit_load(g, R0, R10, of->variable->slot);
        emit_mov(g, R1, R0);
        emit_alu_imm(g, BPF_ADD, R1, by);
        emit_store(g, R10, of->variable->slot, R1);
        if (!e->postfix)
            emit_mov(g, R0, R1);
        return;
    }
    u32 missing = new_label(g), done = new_label(g);
    s32 key = gen_key(g, of), first = take_stack(g, 8);
    gen_lookup(g, of->map, key);
    emit_jump_imm(g, BPF_JEQ, R0, 0, missing);
    emit_load(g, R1, R0, 0);
    emit_alu_imm(g, BPF_ADD, R1, by);
    emit_store(g, R0, 0, R1);
    emit_mov(g, R0, R1);
    if (e->postfix)
        emit_alu_imm(g, BPF_SUB, R0, by);
    emit_jump(g, BPF_JA, 0, 0, done);
    place_label(g, missing);
    emit_store_imm(g, first, (u64)(s64)by);
    gen_update(g, of->map, key, first);
    emit_imm(g, R0, e->postfix ? 0 : (u64)(s64)by);
    place_label(g, done);
    g->stack = stack;
}

/* By a constant, where one instruction does it. */
static bool by_constant(struct gen *g, const struct expr *e)
{
    static const struct {
        int op;
        u8 code;
    } ops[] = {{'+', BPF_ADD}, {'-', BPF_SUB}, {'*', BPF_MUL}, {'&', BPF_AND}, {'|', BPF_OR}, {'^', BPF_XOR}, {TOK_SHL, BPF_LSH}, {TOK_SHR, BPF_RSH},
               {'/', BPF_DIV}, {'%', BPF_MOD}};
    u64 n = e->kids[1]->number;
    bool shifts = e->op == TOK_SHL || e->op == TOK_SHR, divides = e->op == '/' || e->op == '%';
    if (e->kids[1]->kind != E_NUMBER || (s64)n != (s32)n || (shifts && n > 63) || (divides && e->is_signed))
        return false;
    for (size_t i = 0; i < ARRAY_SIZE(ops); i++)
        if (ops[i].op == e->op) {
            gen_number(g, e->kids[0]);
            emit_alu_imm(g, e->op == TOK_SHR && e->is_signed ? BPF_ARSH : ops[i].code, R0, (s32)n);
            return true;
        }
    return false;
}

static void binary(struct gen *g, const struct expr *e)
{
    if ((e->op == '/' || e->op == '%') && e->kids[1]->kind == E_NUMBER && e->kids[1]->number == 0)
        gen_fail(g, e->at, "this divides by 0");
    if (by_constant(g, e))
        return;
    operands(g, e->kids[0], e->kids[1]);
    gen_operator(g, e->op, e->is_signed);
}

static void call_number(struct gen *g, const struct expr *e)
{
    if (call_is(e, "strncmp"))
        compare_strings(g, e->kids[0], e->kids[1], (u32)e->kids[2]->number);
    else if (call_is(e, "kstack") || call_is(e, "ustack"))
        stack_number(g, &e->type);
    else if (call_is(e, "ksym"))
        gen_number(g, e->kids[0]);
    else if (call_is(e, "strftime"))
        gen_number(g, e->kids[1]);
    else
        gen_fail(g, e->at, "this has no value");
}

void gen_number(struct gen *g, const struct expr *e)
{
    if (g->failed)
        return;
    g->at = e->at;
    u32 stack = g->stack;
    s32 whole;
    if (is_condition(e)) {
        by_condition(g, e, NULL, NULL);
        return;
    }
    switch (e->kind) {
    case E_NUMBER: emit_imm(g, R0, e->number); break;
    case E_VARIABLE: emit_load(g, R0, R10, e->variable->slot); break;
    case E_MAP: map_number(g, e); break;
    case E_BUILTIN: builtin_number(g, e); break;
    case E_FIELD: ctx_number(g, e); break;
    case E_CALL: call_number(g, e); break;
    case E_BINARY: binary(g, e); break;
    case E_CHOICE: by_condition(g, e->kids[0], e->kids[1], e->kids[2]); break;
    case E_STEP: step(g, e); break;
    case E_UNARY:
        gen_number(g, e->kids[0]);
        if (e->op == '-')
            emit_alu_imm(g, BPF_NEG, R0, 0);
        else
            emit_alu_imm(g, BPF_XOR, R0, -1);
        break;
    case E_CAST:
        gen_number(g, e->kids[0]);
        narrow(g, (u32)e->number * 8, e->is_signed);
        break;
    case E_INDEX:
        whole = take_stack(g, e->kids[0]->type.size);
        gen_value(g, e->kids[0], whole, &e->kids[0]->type);
        emit_load(g, R0, R10, whole + (s32)part_offset(e));
        break;
    case E_STRING:
    case E_TUPLE: gen_fail(g, e->at, "a number is needed here"); break;
    }
    g->stack = stack;
}
