/* SPDX-License-Identifier: Apache-2.0 */
/* Builtins and functions: which there are, where they may stand and what they give (lang.h). */
#include <string.h>

#include "host/bpf/lang.h"
#include "host/trace/decode.h"

#define STR_MAX 200u
#define LHIST_MAX 1000

static void set_type(struct expr *e, enum type_kind kind, u32 size) { e->type = (struct type){.kind = kind, .size = size}; }

/* --- builtins ------------------------------------------------------------------------------- */

/* A value at that offset of the context. */
static int set_ctx(struct expr *e, u32 offset, char type)
{
    e->param = (s32)offset;
    e->field_type = type;
    if (type == 's')
        set_type(e, T_STRING, STRING_BYTES);
    else
        set_int(e, type == 'i' || type == 'd');
    return 0;
}

static int argument(struct checker *k, struct expr *e)
{
    static const u16 registers[] = {offsetof(struct bpfd_regs_ctx, rdi), offsetof(struct bpfd_regs_ctx, rsi), offsetof(struct bpfd_regs_ctx, rdx),
                                    offsetof(struct bpfd_regs_ctx, rcx), offsetof(struct bpfd_regs_ctx, r8), offsetof(struct bpfd_regs_ctx, r9)};
    u32 n = (u32)(e->text[3] - '0');
    if (e->text[4] || n > 5)
        return lang_fail(k->l, e->at, "arguments are arg0 to arg5");
    switch (k->t->where) {
    case BPFD_AT_CALL_ENTRY: return set_ctx(e, offsetof(struct bpfd_call_entry_ctx, args) + 8 * n, 'u');
    case BPFD_AT_CALL_EXIT: return set_ctx(e, offsetof(struct bpfd_call_exit_ctx, args) + 8 * n, 'u');
    case BPFD_AT_POINT: return set_ctx(e, offsetof(struct bpfd_point_ctx, fields) + 8 * n, 'u');
    case BPFD_AT_FUNCTION: return set_ctx(e, registers[n], 'u');
    default: return lang_fail(k->l, e->at, "%s has no arguments", k->t->name);
    }
}

static int result(struct checker *k, struct expr *e)
{
    if (k->t->where == BPFD_AT_CALL_EXIT)
        return set_ctx(e, offsetof(struct bpfd_call_exit_ctx, ret), 'd');
    if (k->t->where == BPFD_AT_RETURN)
        return set_ctx(e, offsetof(struct bpfd_regs_ctx, rax), 'd');
    return lang_fail(k->l, e->at, "%s has no result; syscall:CALL, tracepoint:syscalls:sys_exit_CALL, kretprobe and uretprobe have", k->t->name);
}

/* Where several calls are meant, -1 stands for those that have none. */
static int descriptor(struct checker *k, struct expr *e)
{
    int n = target_is_call(k->t) ? call_fd_arg(k->t->number) : -1;
    if (n < 0 && k->c->targets.count == 1)
        return lang_fail(k->l, e->at, "%s has no descriptor", k->t->name);
    if (n < 0) {
        set_int(e, true);
        e->param = -1;
        return 0;
    }
    return set_ctx(e, (k->t->where == BPFD_AT_CALL_EXIT ? offsetof(struct bpfd_call_exit_ctx, args) : offsetof(struct bpfd_call_entry_ctx, args)) + 8 * (u32)n, 'i');
}

static int function(struct checker *k, struct expr *e)
{
    if (!target_is_function(k->t))
        return lang_fail(k->l, e->at, "func is for kprobe and uprobe");
    set_type(e, k->t->path ? T_USYM : T_KSYM, k->t->path ? 16 : 8);
    return 0;
}

int check_builtin(struct checker *k, struct expr *e)
{
    static const struct {
        const char *name;
        enum type_kind kind;
        u8 size;
        bool is_signed;
    } plain[] = {{"pid", T_INT, 8, true}, {"tid", T_INT, 8, true}, {"uid", T_INT, 8, true}, {"gid", T_INT, 8, true}, {"cpu", T_INT, 8, true},
                 {"nsecs", T_INT, 8, false}, {"elapsed", T_INT, 8, false}, {"rand", T_INT, 8, false}, {"comm", T_STRING, 16, false},
                 {"probe", T_PROBE, 8, false}};
    for (size_t i = 0; i < ARRAY_SIZE(plain); i++)
        if (strcmp(e->text, plain[i].name) == 0) {
            e->type = (struct type){.kind = plain[i].kind, .size = plain[i].size, .is_signed = plain[i].is_signed};
            return 0;
        }
    if (strcmp(e->text, "kstack") == 0 || strcmp(e->text, "ustack") == 0 || strcmp(e->text, "stack") == 0) {
        e->type = (struct type){.kind = e->text[0] == 'k' ? T_KSTACK : T_USTACK, .size = 8, .frames = BPFD_FRAMES_MAX};
        return 0;
    }
    if (strcmp(e->text, "retval") == 0 || strcmp(e->text, "ret") == 0)
        return result(k, e);
    if (strcmp(e->text, "fd") == 0)
        return descriptor(k, e);
    if (strcmp(e->text, "func") == 0)
        return function(k, e);
    if (str_has_prefix(e->text, "arg") && e->text[3] >= '0' && e->text[3] <= '9')
        return argument(k, e);
    if (strcmp(e->text, "args") == 0)
        return lang_fail(k->l, e->at, "args needs a field: args.NAME");
    return lang_fail(k->l, e->at, "there is no builtin %s", e->text);
}

int check_field(struct checker *k, struct expr *e)
{
    struct ctx_field f;
    const struct expr *of = e->kids[0];
    if (of->kind != E_BUILTIN || strcmp(of->text, "args") != 0)
        return lang_fail(k->l, e->at, "only args has fields");
    if (target_field(k->t, e->text, strlen(e->text), &f))
        return set_ctx(e, f.offset, f.type);
    AUTO_FREE char *there = target_fields(k->t);
    return lang_fail(k->l, e->at, "%s has no field %s; there are: %s", k->t->name, e->text, there);
}

/* --- functions ----------------------------------------------------------------------------------- */

static int constant(struct checker *k, const struct expr *e, s64 low, s64 high, const char *what)
{
    if (e->kind == E_NUMBER && (s64)e->number >= low && (s64)e->number <= high)
        return 0;
    return lang_fail(k->l, e->at, "%s must be a number from %lld to %lld", what, (long long)low, (long long)high);
}

static int check_str(struct checker *k, struct expr *e)
{
    u32 size = STRING_BYTES;
    if (e->nkids == 2) {
        if (constant(k, e->kids[1], 1, STR_MAX, "the length of str()") < 0)
            return -1;
        size = (u32)ALIGN_UP(e->kids[1]->number + 1, 8);
    }
    set_type(e, T_STRING, size);
    return e->kids[0]->type.kind == T_STRING ? 0 : check_kind(k, e->kids[0], T_INT, "str()'s argument");
}

static int check_stack(struct checker *k, struct expr *e)
{
    e->type = (struct type){.kind = e->text[0] == 'k' ? T_KSTACK : T_USTACK, .size = 8, .frames = BPFD_FRAMES_MAX};
    if (e->nkids && constant(k, e->kids[0], 1, BPFD_FRAMES_MAX, "how many frames") < 0)
        return -1;
    if (e->nkids)
        e->type.frames = (u32)e->kids[0]->number;
    return 0;
}

static int check_symbol(struct checker *k, struct expr *e)
{
    set_type(e, e->text[0] == 'k' ? T_KSYM : T_USYM, e->text[0] == 'k' ? 8 : 16);
    return check_kind(k, e->kids[0], T_INT, "an address");
}

static int check_sum(struct checker *k, struct expr *e)
{
    static const struct {
        const char *name;
        enum type_kind kind;
        u8 size;
    } kinds[] = {{"count", T_COUNT, 8}, {"sum", T_SUM, 8}, {"avg", T_AVG, 16}, {"min", T_MIN, 16}, {"max", T_MAX, 16}, {"stats", T_STATS, 16}, {"hist", T_HIST, 8}};
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
        if (strcmp(e->text, kinds[i].name) == 0)
            set_type(e, kinds[i].kind, kinds[i].size);
    if (e->nkids && check_kind(k, e->kids[0], T_INT, "what is added up") < 0)
        return -1;
    e->type.is_signed = e->nkids && e->kids[0]->type.is_signed && e->type.kind != T_HIST;
    return 0;
}

static int check_lhist(struct checker *k, struct expr *e)
{
    s64 bounds[3], range;
    for (unsigned i = 0; i < 3; i++) {
        if (e->kids[i + 1]->kind != E_NUMBER)
            return lang_fail(k->l, e->kids[i + 1]->at, "lhist(value, min, max, step): these three are numbers");
        bounds[i] = (s64)e->kids[i + 1]->number;
    }
    if (bounds[2] < 1 || bounds[2] > INT32_MAX || __builtin_sub_overflow(bounds[1], bounds[0], &range) || range < 1 || range / bounds[2] > LHIST_MAX)
        return lang_fail(k->l, e->at, "lhist(value, min, max, step): min below max, and at most %d steps between them", LHIST_MAX);
    e->type = (struct type){.kind = T_LHIST, .size = 8, .low = bounds[0], .high = bounds[1], .step = bounds[2]};
    return check_kind(k, e->kids[0], T_INT, "what is added up");
}

static int check_strncmp(struct checker *k, struct expr *e)
{
    set_int(e, true);
    if (check_kind(k, e->kids[0], T_STRING, "strncmp()'s argument") < 0 || check_kind(k, e->kids[1], T_STRING, "strncmp()'s argument") < 0)
        return -1;
    return constant(k, e->kids[2], 1, STR_MAX, "the length of strncmp()");
}

static int check_strftime(struct checker *k, struct expr *e)
{
    if (e->kids[0]->kind != E_STRING)
        return lang_fail(k->l, e->kids[0]->at, "strftime()'s format is a string");
    e->type = (struct type){.kind = T_TIME, .size = 8, .format = e->kids[0]->text};
    return check_kind(k, e->kids[1], T_INT, "strftime()'s time");
}

static int check_time(struct checker *k, struct expr *e)
{
    if (e->nkids && e->kids[0]->kind != E_STRING)
        return lang_fail(k->l, e->kids[0]->at, "time()'s format is a string");
    return 0;
}

static int check_printf(struct checker *k, struct expr *e) { return format_check(k->l, e); }

/* print(@x), print(@x, top), print(@x, top, div), or print() of a value. */
static int check_print(struct checker *k, struct expr *e)
{
    bool whole = e->kids[0]->kind == E_MAP && e->kids[0]->nkids == 0;
    if (!whole && e->nkids > 1)
        return lang_fail(k->l, e->kids[1]->at, "only print(@map) takes more than one argument");
    for (u32 i = 1; i < e->nkids; i++)
        if (constant(k, e->kids[i], 0, INT32_MAX, i == 1 ? "how many" : "the divisor") < 0)
            return -1;
    return 0;
}

static int check_nothing(struct checker *k, struct expr *e) { return 0; }

/* How a map stands as the argument of these: the whole of it, not its value. */
enum takes { VALUES, WHOLE_MAP, WHOLE_OR_VALUE, MAP_WITH_KEY };

static const struct {
    const char *name;
    u8 least, most;
    u8 takes; /* enum takes, of the first argument */
    int (*check)(struct checker *k, struct expr *e);
} functions[] = {
    {"printf", 1, PARTS_MAX, VALUES, check_printf}, {"print", 1, 3, WHOLE_OR_VALUE, check_print}, {"clear", 1, 1, WHOLE_MAP, check_nothing},
    {"zero", 1, 1, WHOLE_MAP, check_nothing}, {"delete", 1, 1, MAP_WITH_KEY, check_nothing}, {"exit", 0, 0, VALUES, check_nothing},
    {"time", 0, 1, VALUES, check_time}, {"str", 1, 2, VALUES, check_str}, {"strncmp", 3, 3, VALUES, check_strncmp},
    {"strftime", 2, 2, VALUES, check_strftime}, {"ksym", 1, 1, VALUES, check_symbol}, {"usym", 1, 1, VALUES, check_symbol},
    {"kstack", 0, 1, VALUES, check_stack}, {"ustack", 0, 1, VALUES, check_stack}, {"count", 0, 0, VALUES, check_sum}, {"sum", 1, 1, VALUES, check_sum},
    {"avg", 1, 1, VALUES, check_sum}, {"min", 1, 1, VALUES, check_sum}, {"max", 1, 1, VALUES, check_sum}, {"stats", 1, 1, VALUES, check_sum},
    {"hist", 1, 1, VALUES, check_sum}, {"lhist", 4, 4, VALUES, check_lhist},
};

bool call_is(const struct expr *e, const char *name) { return e->kind == E_CALL && strcmp(e->text, name) == 0; }

bool call_sums(const struct expr *e)
{
    static const char *const names[] = {"count", "sum", "avg", "min", "max", "stats", "hist", "lhist"};
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        if (call_is(e, names[i]))
            return true;
    return false;
}

/* The map of print(), clear(), zero() and delete(). */
static int check_map_argument(struct checker *k, struct expr *e, enum takes takes)
{
    struct expr *m = e->kids[0];
    if (m->kind != E_MAP || (takes == WHOLE_MAP && m->nkids))
        return lang_fail(k->l, m->at, takes == WHOLE_MAP ? "%s() takes a whole map: %s(@x)" : "%s() takes a map and a key: %s(@x[key])", e->text, e->text);
    if (takes == MAP_WITH_KEY)
        return check_map_use(k, m);
    m->map = lang_map(k->l, m->text);
    if (!m->map && k->l->strict)
        return lang_fail(k->l, m->at, "nothing is ever assigned to %s", m->text);
    return 0;
}

int check_call(struct checker *k, struct expr *e)
{
    size_t i = 0;
    while (i < ARRAY_SIZE(functions) && strcmp(functions[i].name, e->text) != 0)
        i++;
    if (i == ARRAY_SIZE(functions))
        return lang_fail(k->l, e->at, "there is no function %s()", e->text);
    if (e->nkids < functions[i].least || e->nkids > functions[i].most)
        return lang_fail(k->l, e->at, functions[i].least == functions[i].most ? "%s() takes %u arguments; here are %u" : "%s() takes %u arguments or more; here are %u",
                         e->text, functions[i].least, e->nkids);
    enum takes takes = functions[i].takes;
    bool map = e->nkids && (takes == WHOLE_MAP || takes == MAP_WITH_KEY || (takes == WHOLE_OR_VALUE && e->kids[0]->kind == E_MAP && !e->kids[0]->nkids));
    if (map && check_map_argument(k, e, takes == WHOLE_OR_VALUE ? WHOLE_MAP : takes) < 0)
        return -1;
    for (u32 n = map; n < e->nkids; n++) {
        if (call_sums(e->kids[n]))
            return lang_fail(k->l, e->kids[n]->at, "%s() is only for @map = %s()", e->kids[n]->text, e->kids[n]->text);
        if (check_expr(k, e->kids[n]) < 0)
            return -1;
        if (k->l->strict && e->kids[n]->type.kind == T_NONE)
            return lang_fail(k->l, e->kids[n]->at, "this has no value");
    }
    return functions[i].check(k, e);
}
