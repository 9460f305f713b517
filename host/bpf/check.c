/* SPDX-License-Identifier: Apache-2.0 */
/* Types of expressions and statements: lang.h. What is not known yet (a map that is read before its assignment is seen) is T_NONE until lang->strict. */
#include <string.h>

#include "host/bpf/lang.h"

#define UNROLL_MAX 100u
#define PASSES_MAX 20u

int check_kind(struct checker *k, const struct expr *e, enum type_kind kind, const char *what)
{
    if (e->type.kind == kind || (e->type.kind == T_NONE && !k->l->strict))
        return 0;
    struct type want = {.kind = kind};
    return lang_fail(k->l, e->at, "%s must be %s; this is %s", what, type_text(&want), type_text(&e->type));
}

/* --- maps and variables ------------------------------------------------------------------- */

struct map_def *lang_map(const struct lang *l, const char *name)
{
    struct map_def *m = l->maps;
    while (m && strcmp(m->name, name) != 0)
        m = m->next;
    return m;
}

static struct map_def *map_named(struct lang *l, const char *name, u32 at)
{
    struct map_def **m = &l->maps;
    while (*m && strcmp((*m)->name, name) < 0)
        m = &(*m)->next;
    if (!*m || strcmp((*m)->name, name) != 0) {
        struct map_def *new = arena_alloc(&l->arena, sizeof(*new));
        *new = (struct map_def){.next = *m, .name = (char *)name, .at = at, .index = -1};
        *m = new;
        l->changed = true;
    }
    return *m;
}

/* A map with a key, as all uses of it have. */
static int check_keys(struct checker *k, struct expr *e)
{
    struct map_def *m = e->map;
    if (m->keyed_known && m->nkeys != e->nkids)
        return lang_fail(k->l, e->at, "%s has a key of %u parts elsewhere, here of %u", m->name, m->nkeys, e->nkids);
    m->keyed_known = true;
    m->nkeys = e->nkids;
    for (u32 i = 0; i < e->nkids; i++) {
        if (check_expr(k, e->kids[i]) < 0)
            return -1;
        const struct type *t = &e->kids[i]->type;
        if (TYPE_SUMS(t->kind) && e->kids[i]->kind != E_MAP)
            return lang_fail(k->l, e->kids[i]->at, "%s is no key", type_text(t));
        if (k->l->strict && t->kind == T_NONE)
            return lang_fail(k->l, e->kids[i]->at, "this has no value");
        if (!type_join(&k->l->arena, &m->keys[i], t, &k->l->changed))
            return lang_fail(k->l, e->kids[i]->at, "this part of %s's key is %s elsewhere, here %s", m->name, type_text(&m->keys[i]), type_text(t));
    }
    return 0;
}

int check_map_use(struct checker *k, struct expr *e)
{
    e->map = map_named(k->l, e->text, e->at);
    return check_keys(k, e);
}

static int read_map(struct checker *k, struct expr *e)
{
    if (check_map_use(k, e) < 0)
        return -1;
    enum type_kind kind = e->map->value.kind;
    if (k->l->strict && kind == T_NONE)
        return lang_fail(k->l, e->at, "%s is read, but nothing is ever assigned to it", e->text);
    if (TYPE_SUMS(kind))
        return lang_fail(k->l, e->at, "%s is added up for each CPU (%s); it can be printed, not read", e->text, type_text(&e->map->value));
    e->type = e->map->value;
    return 0;
}

static struct variable *variable_named(struct checker *k, const char *name)
{
    struct variable *v = k->c->variables;
    while (v && strcmp(v->name, name) != 0)
        v = v->next;
    return v;
}

static int read_variable(struct checker *k, struct expr *e)
{
    e->variable = variable_named(k, e->text);
    if (!e->variable || !e->variable->fixed)
        return lang_fail(k->l, e->at, "%s is read before a value was assigned to it", e->text);
    e->type = e->variable->type;
    return 0;
}

static int assign_variable(struct checker *k, struct expr *to, const struct expr *value)
{
    struct variable *v = variable_named(k, to->text);
    if (!v) {
        v = arena_alloc(&k->l->arena, sizeof(*v));
        *v = (struct variable){.next = k->c->variables, .name = to->text};
        k->c->variables = v;
    }
    if (!type_join(&k->l->arena, &v->type, &value->type, &k->changed))
        return lang_fail(k->l, value->at, "%s is %s; this is %s", v->name, type_text(&v->type), type_text(&value->type));
    v->fixed = true;
    to->variable = v;
    to->type = v->type;
    return 0;
}

static int assign_map(struct checker *k, struct expr *to, const struct expr *value)
{
    if (check_map_use(k, to) < 0)
        return -1;
    struct map_def *m = to->map;
    if (!type_join(&k->l->arena, &m->value, &value->type, &k->l->changed))
        return lang_fail(k->l, value->at, "%s is %s; this is %s", m->name, type_text(&m->value), type_text(&value->type));
    to->type = m->value;
    return 0;
}

static int check_step(struct checker *k, struct expr *e)
{
    struct expr *of = e->kids[0], one = {.at = e->at};
    set_int(&one, true);
    if ((of->kind == E_MAP ? assign_map(k, of, &one) : read_variable(k, of)) < 0 || check_kind(k, of, T_INT, "what ++ and -- change") < 0)
        return -1;
    set_int(e, true);
    return 0;
}

/* --- expressions ---------------------------------------------------------------------------- */

/* Signed, if one is: but a constant that is no negative number goes with the other. */
static bool result_signed(const struct expr *a, const struct expr *b)
{
    if (a->kind == E_NUMBER && (s64)a->number >= 0)
        return b->type.is_signed;
    if (b->kind == E_NUMBER && (s64)b->number >= 0)
        return a->type.is_signed;
    return a->type.is_signed || b->type.is_signed;
}

static int check_binary(struct checker *k, struct expr *e)
{
    struct expr *a = e->kids[0], *b = e->kids[1];
    if (check_expr(k, a) < 0 || check_expr(k, b) < 0)
        return -1;
    if (a->type.kind == T_STRING || b->type.kind == T_STRING) {
        if (e->op != TOK_EQ && e->op != TOK_NE)
            return lang_fail(k->l, e->at, "strings can be compared by == and !=, nothing else");
        if (check_kind(k, a, T_STRING, "what a string is compared with") < 0 || check_kind(k, b, T_STRING, "what a string is compared with") < 0)
            return -1;
        set_int(e, true);
        return 0;
    }
    if (check_kind(k, a, T_INT, "what this operator works on") < 0 || check_kind(k, b, T_INT, "what this operator works on") < 0)
        return -1;
    bool is_signed = e->op == TOK_SHL || e->op == TOK_SHR ? a->type.is_signed : result_signed(a, b);
    e->is_signed = is_signed; /* how it works */
    set_int(e, is_comparison(e->op) || e->op == TOK_AND || e->op == TOK_OR || is_signed);
    return 0;
}

static int check_choice(struct checker *k, struct expr *e)
{
    if (check_expr(k, e->kids[0]) < 0 || check_kind(k, e->kids[0], T_INT, "a condition") < 0 || check_expr(k, e->kids[1]) < 0 || check_expr(k, e->kids[2]) < 0)
        return -1;
    bool ignored;
    e->type = (struct type){0};
    type_join(&k->l->arena, &e->type, &e->kids[1]->type, &ignored);
    if (!type_join(&k->l->arena, &e->type, &e->kids[2]->type, &ignored))
        return lang_fail(k->l, e->at, "both values must be of one kind; they are %s and %s", type_text(&e->kids[1]->type), type_text(&e->kids[2]->type));
    return 0;
}

static int check_tuple(struct checker *k, struct expr *e)
{
    e->type = (struct type){.kind = T_TUPLE, .nparts = e->nkids, .parts = arena_alloc(&k->l->arena, e->nkids * sizeof(struct type))};
    for (u32 i = 0; i < e->nkids; i++) {
        if (check_expr(k, e->kids[i]) < 0)
            return -1;
        e->type.parts[i] = e->kids[i]->type;
        e->type.size += e->kids[i]->type.size;
        if (k->l->strict && e->kids[i]->type.kind == T_NONE)
            return lang_fail(k->l, e->kids[i]->at, "this has no value");
        if (e->kids[i]->type.kind == T_NONE) { /* a part that is not known yet makes the whole so */
            e->type = (struct type){0};
            return 0;
        }
    }
    return 0;
}

static int check_index(struct checker *k, struct expr *e)
{
    struct expr *of = e->kids[0];
    if (check_expr(k, of) < 0 || check_kind(k, of, T_TUPLE, "what has a part .N") < 0)
        return -1;
    if (of->type.kind == T_NONE)
        return 0;
    if (e->number >= of->type.nparts)
        return lang_fail(k->l, e->at, "this tuple has the parts .0 to .%u", of->type.nparts - 1);
    e->type = of->type.parts[e->number];
    return 0;
}

int check_expr(struct checker *k, struct expr *e)
{
    e->type = (struct type){0};
    switch (e->kind) {
    case E_NUMBER: set_int(e, true); return 0;
    case E_STRING:
        e->type = (struct type){.kind = T_STRING, .size = (u32)ALIGN_UP(strlen(e->text) + 1, 8)};
        return 0;
    case E_VARIABLE: return read_variable(k, e);
    case E_MAP: return read_map(k, e);
    case E_BUILTIN: return check_builtin(k, e);
    case E_FIELD: return check_field(k, e);
    case E_CALL: return check_call(k, e);
    case E_BINARY: return check_binary(k, e);
    case E_CHOICE: return check_choice(k, e);
    case E_TUPLE: return check_tuple(k, e);
    case E_INDEX: return check_index(k, e);
    case E_STEP: return check_step(k, e);
    case E_UNARY:
        if (check_expr(k, e->kids[0]) < 0 || check_kind(k, e->kids[0], T_INT, "what this operator works on") < 0)
            return -1;
        set_int(e, e->op != '~' || e->kids[0]->type.is_signed);
        return 0;
    case E_CAST:
        if (check_expr(k, e->kids[0]) < 0 || check_kind(k, e->kids[0], T_INT, "what is cast") < 0)
            return -1;
        set_int(e, e->is_signed);
        return 0;
    }
    return 0;
}

/* --- statements -------------------------------------------------------------------------------- */

static int check_list(struct checker *k, struct stmt *s);

static int check_assign(struct checker *k, struct stmt *s)
{
    struct expr *to = s->left, *value = s->right;
    bool sums = call_sums(value);
    if (sums && (to->kind != E_MAP || s->op != '='))
        return lang_fail(k->l, value->at, "%s() is only for @map = %s()", value->text, value->text);
    if (s->op != '=' && to->kind == E_VARIABLE && read_variable(k, to) < 0)
        return -1;
    if (check_expr(k, value) < 0)
        return -1;
    if (value->type.kind == T_NONE && k->l->strict)
        return lang_fail(k->l, value->at, "this has no value");
    if (s->op != '=' && check_kind(k, value, T_INT, "what this operator works on") < 0)
        return -1;
    return to->kind == E_MAP ? assign_map(k, to, value) : assign_variable(k, to, value);
}

static int check_if(struct checker *k, struct stmt *s)
{
    if (check_expr(k, s->right) < 0 || check_kind(k, s->right, T_INT, "a condition") < 0)
        return -1;
    return check_list(k, s->body) < 0 || check_list(k, s->otherwise) < 0 ? -1 : 0;
}

static int check_stmt(struct checker *k, struct stmt *s)
{
    int result;
    switch (s->kind) {
    case S_ASSIGN: return check_assign(k, s);
    case S_IF: return check_if(k, s);
    case S_UNROLL:
        if (s->right->kind != E_NUMBER || s->right->number < 1 || s->right->number > UNROLL_MAX)
            return lang_fail(k->l, s->right->at, "unroll needs a number from 1 to %u", UNROLL_MAX);
        return check_list(k, s->body);
    case S_WHILE:
        k->loops++;
        result = check_if(k, s);
        k->loops--;
        return result;
    case S_BREAK:
    case S_CONTINUE: return k->loops ? 0 : lang_fail(k->l, s->at, "there is no while around this");
    case S_EXPR:
        if (call_sums(s->right))
            return lang_fail(k->l, s->at, "%s() is only for @map = %s()", s->right->text, s->right->text);
        return check_expr(k, s->right);
    case S_RETURN: return 0;
    }
    return 0;
}

static int check_list(struct checker *k, struct stmt *s)
{
    for (; s; s = s->next)
        if (check_stmt(k, s) < 0)
            return -1;
    return 0;
}

static int check_once(struct checker *k)
{
    for (struct variable *v = k->c->variables; v; v = v->next)
        v->fixed = false;
    if (k->c->filter && (check_expr(k, k->c->filter) < 0 || check_kind(k, k->c->filter, T_INT, "a filter") < 0))
        return -1;
    return check_list(k, k->c->body);
}

int lang_check_clause(struct lang *l, struct clause *c, const struct target *t)
{
    struct checker k = {.l = l, .c = c, .t = t, .changed = true};
    c->variables = NULL;
    for (unsigned pass = 0; k.changed && pass < PASSES_MAX; pass++) { /* what is assigned late is known early the next time */
        k.changed = false;
        if (check_once(&k) < 0)
            return -1;
    }
    return 0;
}

static int check_all(struct lang *l)
{
    for (struct clause *c = l->clauses; c; c = c->next)
        for (size_t i = 0; i < c->targets.count; i++)
            if (lang_check_clause(l, c, &c->targets.items[i]) < 0)
                return -1;
    return 0;
}

int lang_check(struct lang *l)
{
    for (unsigned pass = 0; pass < PASSES_MAX; pass++) {
        l->changed = false;
        if (check_all(l) < 0)
            return -1;
        if (!l->changed)
            break;
    }
    l->strict = true;
    return check_all(l);
}
