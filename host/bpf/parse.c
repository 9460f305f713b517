/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From tokens to a tree (lang.h), by recursive descent; every level of the grammar is a function. How deep a tree may be is bounded, because all that
 * walk it do so by recursion.
 */
#include <string.h>

#include "host/bpf/lang.h"

#define DEPTH_MAX 100u

struct parser {
    struct lang *l;
    struct lexer lexer;
    struct token tok;
    u32 depth;     /* of statements and parentheses being read */
    bool filter;   /* a '/' before a brace ends it */
};

static struct expr *expression(struct parser *p);
static struct stmt *statement(struct parser *p);

static bool refuse(struct parser *p, u32 at, const char *what)
{
    lang_fail(p->l, at, "%s", what);
    return false;
}

static void *fail(struct parser *p, u32 at, const char *what)
{
    refuse(p, at, what);
    return NULL;
}

static bool advance(struct parser *p) { return lex_next(&p->lexer, &p->tok) == 0; }

static bool is_word(const struct parser *p, const char *word) { return p->tok.kind == TOK_WORD && strcmp(p->tok.text, word) == 0; }

static bool take(struct parser *p, int kind, const char *missing)
{
    if (p->tok.kind != kind)
        return refuse(p, p->tok.at, missing);
    return advance(p);
}

static bool deeper(struct parser *p)
{
    return ++p->depth < DEPTH_MAX || refuse(p, p->tok.at, "this is nested too deeply");
}

/* --- expressions ---------------------------------------------------------------------------- */

static struct expr *node(struct parser *p, enum expr_kind kind, u32 at)
{
    struct expr *e = arena_alloc(&p->l->arena, sizeof(*e));
    e->kind = kind;
    e->at = at;
    e->depth = 1;
    return e;
}

/* False: there is none, or no room for it; the error is set. */
static bool add_kid(struct parser *p, struct expr *e, struct expr *kid)
{
    if (!kid)
        return false;
    if (e->nkids == PARTS_MAX)
        return refuse(p, kid->at, "these are too many parts");
    e->kids[e->nkids++] = kid;
    e->depth = MAX(e->depth, kid->depth + 1);
    return e->depth < DEPTH_MAX || refuse(p, kid->at, "this is nested too deeply");
}

/* Up to `end`, which is taken; with commas. */
static bool list(struct parser *p, struct expr *e, int end, const char *missing)
{
    bool filter = p->filter;
    p->filter = false;
    if (!deeper(p))
        return false;
    while (p->tok.kind != end) {
        if (!add_kid(p, e, expression(p)))
            return false;
        if (p->tok.kind == ',' ? !advance(p) : p->tok.kind != end)
            return p->tok.kind != ',' && refuse(p, p->tok.at, missing);
    }
    p->depth--;
    p->filter = filter;
    return advance(p);
}

static struct expr *named(struct parser *p)
{
    struct token t = p->tok;
    struct expr *e = node(p, t.kind == TOK_VARIABLE ? E_VARIABLE : t.kind == TOK_MAP ? E_MAP : E_BUILTIN, t.at);
    e->text = t.text;
    if (!advance(p))
        return NULL;
    if (e->kind == E_MAP && p->tok.kind == '[') {
        if (!advance(p) || !list(p, e, ']', "a key ends with ]"))
            return NULL;
        return e->nkids ? e : fail(p, e->at, "the key is missing between [ and ]");
    }
    if (e->kind == E_BUILTIN && p->tok.kind == '(') {
        e->kind = E_CALL;
        if (!advance(p) || !list(p, e, ')', "arguments end with )"))
            return NULL;
    }
    return e;
}

static const struct {
    const char *name;
    u8 bytes;
    bool is_signed;
} integers[] = {{"uint8", 1, false}, {"uint16", 2, false}, {"uint32", 4, false}, {"uint64", 8, false},
                {"int8", 1, true}, {"int16", 2, true}, {"int32", 4, true}, {"int64", 8, true}};

static struct expr *unary(struct parser *p);

/* From the type's name on, behind "(". */
static struct expr *cast(struct parser *p, u32 at, u8 bytes, bool is_signed)
{
    struct expr *e = node(p, E_CAST, at);
    e->number = bytes;
    e->is_signed = is_signed;
    if (!advance(p) || !take(p, ')', "a cast is (TYPE) VALUE") || !deeper(p) || !add_kid(p, e, unary(p)))
        return NULL;
    p->depth--;
    return e;
}

static struct expr *parenthesis(struct parser *p)
{
    u32 at = p->tok.at;
    if (!advance(p))
        return NULL;
    for (size_t i = 0; i < ARRAY_SIZE(integers); i++)
        if (is_word(p, integers[i].name))
            return cast(p, at, integers[i].bytes, integers[i].is_signed);
    struct expr *e = node(p, E_TUPLE, at);
    if (!list(p, e, ')', "a ) is missing"))
        return NULL;
    if (!e->nkids)
        return fail(p, at, "a value is missing between ( and )");
    return e->nkids == 1 ? e->kids[0] : e;
}

static struct expr *primary(struct parser *p)
{
    struct token t = p->tok;
    struct expr *e;
    switch (t.kind) {
    case TOK_NUMBER:
    case TOK_STRING:
        e = node(p, t.kind == TOK_NUMBER ? E_NUMBER : E_STRING, t.at);
        e->number = t.number;
        e->text = t.text;
        return advance(p) ? e : NULL;
    case TOK_WORD:
    case TOK_VARIABLE:
    case TOK_MAP: return named(p);
    case '(': return parenthesis(p);
    case TOK_END: return fail(p, t.at, "the program ends where a value is needed");
    default: return fail(p, t.at, "a value is needed here");
    }
}

static struct expr *field(struct parser *p, struct expr *of)
{
    bool arrow = p->tok.kind == TOK_ARROW;
    if (!advance(p))
        return NULL;
    struct expr *e = node(p, p->tok.kind == TOK_NUMBER ? E_INDEX : E_FIELD, p->tok.at);
    if (p->tok.kind != TOK_WORD && (p->tok.kind != TOK_NUMBER || arrow))
        return fail(p, p->tok.at, "a field's name is needed here");
    e->text = p->tok.text;
    e->number = p->tok.number;
    return advance(p) && add_kid(p, e, of) ? e : NULL;
}

static struct expr *step(struct parser *p, struct expr *of, struct token t, bool postfix)
{
    if (of && of->kind != E_VARIABLE && of->kind != E_MAP)
        return fail(p, t.at, "++ and -- are for variables and maps");
    struct expr *e = node(p, E_STEP, t.at);
    e->op = t.kind;
    e->postfix = postfix;
    return add_kid(p, e, of) ? e : NULL;
}

static struct expr *postfix(struct parser *p)
{
    struct expr *e = primary(p);
    while (e) {
        struct token t = p->tok;
        if (t.kind == '.' || t.kind == TOK_ARROW)
            e = field(p, e);
        else if (t.kind == TOK_INC || t.kind == TOK_DEC)
            e = advance(p) ? step(p, e, t, true) : NULL;
        else if (t.kind == '[')
            return fail(p, t.at, "only maps have [ ]");
        else
            return e;
    }
    return NULL;
}

static struct expr *unary(struct parser *p)
{
    struct token t = p->tok;
    struct expr *e = NULL;
    if (t.kind == '*')
        return fail(p, t.at, "reading memory by * is not there; str() reads a string");
    if (t.kind != '-' && t.kind != '!' && t.kind != '~' && t.kind != TOK_INC && t.kind != TOK_DEC)
        return postfix(p);
    if (!advance(p) || !deeper(p))
        return NULL;
    if (t.kind == TOK_INC || t.kind == TOK_DEC) {
        e = step(p, unary(p), t, false);
    } else {
        e = node(p, E_UNARY, t.at);
        e->op = t.kind;
        if (!add_kid(p, e, unary(p)))
            return NULL;
        if (t.kind == '-' && e->kids[0]->kind == E_NUMBER) { /* so that a constant is one */
            e->kids[0]->number = -e->kids[0]->number;
            e = e->kids[0];
        }
    }
    p->depth--;
    return e;
}

/* Operators by how closely they bind, as in C. */
static int binding(int op)
{
    switch (op) {
    case TOK_OR: return 1;
    case TOK_AND: return 2;
    case '|': return 3;
    case '^': return 4;
    case '&': return 5;
    case TOK_EQ:
    case TOK_NE: return 6;
    case '<':
    case '>':
    case TOK_LE:
    case TOK_GE: return 7;
    case TOK_SHL:
    case TOK_SHR: return 8;
    case '+':
    case '-': return 9;
    case '*':
    case '/':
    case '%': return 10;
    default: return 0;
    }
}

static struct expr *binary(struct parser *p, int least)
{
    struct expr *left = unary(p);
    while (left) {
        struct token t = p->tok;
        int b = binding(t.kind);
        if (b < least || b == 0 || (t.kind == '/' && p->filter && lex_before_brace(&p->lexer)))
            return left;
        struct expr *e = node(p, E_BINARY, t.at);
        e->op = t.kind;
        if (!advance(p) || !add_kid(p, e, left) || !add_kid(p, e, binary(p, b + 1)))
            return NULL;
        left = e;
    }
    return NULL;
}

static struct expr *expression(struct parser *p)
{
    if (!deeper(p))
        return NULL;
    struct expr *e = binary(p, 1);
    if (e && p->tok.kind == '?') {
        struct expr *choice = node(p, E_CHOICE, p->tok.at);
        if (!advance(p) || !add_kid(p, choice, e) || !add_kid(p, choice, expression(p)) || !take(p, ':', "a ? b : c needs its :") ||
            !add_kid(p, choice, expression(p)))
            return NULL;
        e = choice;
    }
    p->depth--;
    return e;
}

/* --- statements ------------------------------------------------------------------------------- */

static struct stmt *new_stmt(struct parser *p, enum stmt_kind kind)
{
    struct stmt *s = arena_alloc(&p->l->arena, sizeof(*s));
    s->kind = kind;
    s->at = p->tok.at;
    return s;
}

/* { ... }; the closing brace stays. An empty one is NULL, so whether it failed is told apart. */
static bool block(struct parser *p, struct stmt **ret)
{
    struct stmt **last = ret;
    *ret = NULL;
    if (!take(p, '{', "a { is needed here") || !deeper(p))
        return false;
    while (p->tok.kind != '}') {
        if (p->tok.kind == ';') {
            if (!advance(p))
                return false;
            continue;
        }
        if (p->tok.kind == TOK_END)
            return refuse(p, p->tok.at, "a } is missing");
        *last = statement(p);
        if (!*last)
            return false;
        last = &(*last)->next;
    }
    p->depth--;
    return true;
}

static bool condition(struct parser *p, struct stmt *s)
{
    return advance(p) && take(p, '(', "a ( is needed here") && (s->right = expression(p)) != NULL && take(p, ')', "a ) is missing");
}

static struct stmt *compound(struct parser *p, enum stmt_kind kind)
{
    struct stmt *s = new_stmt(p, kind);
    if (!condition(p, s) || !block(p, &s->body) || !advance(p))
        return NULL;
    if (kind == S_IF && is_word(p, "else")) {
        if (!advance(p))
            return NULL;
        if (is_word(p, "if")) {
            if (!deeper(p) || !(s->otherwise = statement(p)))
                return NULL;
            p->depth--;
        } else if (!block(p, &s->otherwise) || !advance(p)) {
            return NULL;
        }
    }
    return s;
}

static bool is_assignment(int kind) { return kind == '=' || (kind >= TOK_ADD_SET && kind <= TOK_SHR_SET); }

static struct stmt *simple(struct parser *p)
{
    static const struct {
        const char *word;
        enum stmt_kind kind;
    } words[] = {{"return", S_RETURN}, {"break", S_BREAK}, {"continue", S_CONTINUE}};
    struct stmt *s = new_stmt(p, S_EXPR);
    for (size_t i = 0; i < ARRAY_SIZE(words); i++)
        if (is_word(p, words[i].word)) {
            s->kind = words[i].kind;
            return advance(p) ? s : NULL;
        }
    s->right = expression(p);
    if (!s->right || !is_assignment(p->tok.kind))
        return s->right ? s : NULL;
    if (s->right->kind != E_VARIABLE && s->right->kind != E_MAP)
        return fail(p, p->tok.at, "only a variable or a map can be assigned to");
    s->kind = S_ASSIGN;
    s->op = p->tok.kind;
    s->left = s->right;
    return advance(p) && (s->right = expression(p)) ? s : NULL;
}

static struct stmt *statement(struct parser *p)
{
    if (is_word(p, "if"))
        return compound(p, S_IF);
    if (is_word(p, "unroll"))
        return compound(p, S_UNROLL);
    if (is_word(p, "while"))
        return compound(p, S_WHILE);
    if (is_word(p, "for"))
        return fail(p, p->tok.at, "for is not there; while and unroll are");
    struct stmt *s = simple(p);
    if (s && p->tok.kind == ';')
        return advance(p) ? s : NULL;
    return !s || p->tok.kind == '}' ? s : fail(p, p->tok.at, p->tok.kind == TOK_END ? "a } is missing" : "a ; is missing before this");
}

static struct clause *clause(struct parser *p)
{
    struct clause *c = arena_alloc(&p->l->arena, sizeof(*c));
    do {
        if (c->nprobes == ARRAY_SIZE(c->probes))
            return fail(p, (u32)p->lexer.at, "these are too many probes for one clause");
        c->probes[c->nprobes] = lex_probe(&p->lexer, &c->probes_at[c->nprobes]);
        if (!c->probes[c->nprobes] || !advance(p))
            return NULL;
        c->nprobes++;
    } while (p->tok.kind == ',');
    c->at = c->probes_at[0];
    if (p->tok.kind == '/') {
        p->filter = true;
        if (!advance(p) || !(c->filter = expression(p)) || !take(p, '/', "a filter ends with / before the {"))
            return NULL;
        p->filter = false;
    }
    return block(p, &c->body) ? c : NULL;
}

int lang_parse(struct lang *l)
{
    struct parser p = {.l = l, .lexer = {l->text, l->len, 0, &l->arena, l->err}};
    struct clause **last = &l->clauses;
    if (l->len >= 2 && memcmp(l->text, "#!", 2) == 0) /* a script's interpreter */
        while (p.lexer.at < l->len && l->text[p.lexer.at] != '\n')
            p.lexer.at++;
    while (!lex_at_end(&p.lexer)) {
        *last = clause(&p);
        if (!*last)
            return -1;
        last = &(*last)->next;
    }
    if (l->err->code)
        return -1;
    return l->clauses ? 0 : lang_fail(l, 0, "the program has no probe");
}
