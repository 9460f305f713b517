/* SPDX-License-Identifier: Apache-2.0 */
/* Tokens of a program in words: lang.h. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "host/bpf/lang.h"

#define LINE_SHOWN 100u

struct arena_block {
    struct arena_block *next;
    max_align_t data[];
};

void *arena_alloc(struct arena *a, size_t size)
{
    struct arena_block *b = xalloc(sizeof(*b) + size);
    b->next = a->blocks;
    a->blocks = b;
    return b->data;
}

char *arena_text(struct arena *a, const char *text, size_t len)
{
    char *copy = arena_alloc(a, len + 1);
    memcpy(copy, text, len);
    return copy;
}

void arena_done(struct arena *a)
{
    for (struct arena_block *b; (b = a->blocks) != NULL;) {
        a->blocks = b->next;
        free(b);
    }
}

int lang_error(struct error *err, const char *text, size_t len, u32 at, const char *format, ...)
{
    char message[600];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof(message), format, args);
    va_end(args);
    unsigned line = 1, start = 0;
    at = (u32)MIN((size_t)at, len);
    for (u32 i = 0; i < at; i++)
        if (text[i] == '\n') {
            line++;
            start = i + 1;
        }
    /* of a long line, what is around the place */
    u32 from = at - start > LINE_SHOWN / 2 ? at - LINE_SHOWN / 2 : start, n = 0;
    char shown[LINE_SHOWN + 1], mark[LINE_SHOWN + 1];
    for (; n < LINE_SHOWN && from + n < len && text[from + n] != '\n'; n++)
        shown[n] = isprint((u8)text[from + n]) ? text[from + n] : ' ';
    shown[n] = 0;
    memset(mark, ' ', sizeof(mark));
    snprintf(mark + (at - from), sizeof(mark) - (at - from), "^");
    return err_set(err, EXIT_DRUPE, "line %u, column %u: %s\n  %s\n  %s", line, at - start + 1, message, shown, mark);
}

static int fail(const struct lexer *l, size_t at, const char *what) { return lang_error(l->err, l->text, l->len, (u32)at, "%s", what); }

static char peek(const struct lexer *l, size_t ahead) { return l->at + ahead < l->len ? l->text[l->at + ahead] : 0; }

static bool is_name(char c) { return isalnum((u8)c) || c == '_'; }

/* Blanks and comments. 0 or -1. */
static int skip(struct lexer *l)
{
    for (;;) {
        while (l->at < l->len && isspace((u8)l->text[l->at]))
            l->at++;
        if (peek(l, 0) == '/' && peek(l, 1) == '/') {
            while (l->at < l->len && l->text[l->at] != '\n')
                l->at++;
        } else if (peek(l, 0) == '/' && peek(l, 1) == '*') {
            const char *end = memmem(l->text + l->at + 2, l->len - l->at - 2, "*/", 2);
            if (!end)
                return fail(l, l->at, "a comment without an end");
            l->at = (size_t)(end - l->text) + 2;
        } else {
            return 0;
        }
    }
}

static int number(struct lexer *l, struct token *t)
{
    char digits[40];
    size_t n = 0;
    for (; is_name(peek(l, n)) && n < sizeof(digits) - 1; n++)
        digits[n] = peek(l, n);
    digits[n] = 0;
    char *end;
    errno = 0;
    t->number = strtoull(digits, &end, 0);
    unsigned power = 0;
    if (*end == 'e' && isdigit((u8)end[1]) && strlen(end) <= 3 && !str_has_prefix(digits, "0x")) {
        for (power = (unsigned)strtoul(end + 1, &end, 10); power > 0 && errno == 0; power--)
            if (__builtin_mul_overflow(t->number, 10u, &t->number))
                errno = ERANGE;
    } else {
        static const struct {
            const char *unit;
            u64 ns;
        } units[] = {{"ns", 1}, {"us", 1000}, {"ms", 1000000}, {"s", 1000000000}, {"ull", 1}, {"ULL", 1}, {"ll", 1}, {"ul", 1}, {"u", 1}};
        for (size_t i = 0; i < ARRAY_SIZE(units); i++)
            if (strcmp(end, units[i].unit) == 0) {
                if (__builtin_mul_overflow(t->number, units[i].ns, &t->number))
                    errno = ERANGE;
                end += strlen(end);
            }
    }
    if (errno || *end)
        return fail(l, l->at, errno ? "this number does not fit into 64 bits" : "this is neither a number nor a name");
    l->at += n;
    t->kind = TOK_NUMBER;
    return 0;
}

static int escape(struct lexer *l, char *ret)
{
    static const char from[] = "ntr0ea\\\"'", to[] = "\n\t\r\0\033\a\\\"'";
    char c = peek(l, 0);
    const char *known = c ? strchr(from, c) : NULL;
    if (!known)
        return fail(l, l->at - 1, "after \\ there is one of n t r 0 e a \\ \"");
    *ret = to[known - from];
    l->at++;
    return 0;
}

static int string(struct lexer *l, struct token *t)
{
    size_t start = l->at++;
    struct buf out = {0};
    int result = 0;
    buf_add(&out, "", 0);
    while (result == 0 && l->at < l->len && l->text[l->at] != '"') {
        char c = l->text[l->at++];
        if (c == '\\')
            result = escape(l, &c);
        buf_add(&out, &c, 1);
    }
    if (result == 0 && l->at == l->len)
        result = fail(l, start, "a string without an end");
    if (result == 0 && memchr(out.data, 0, out.len))
        result = fail(l, start, "a string ends where it has a 0");
    l->at++;
    t->kind = TOK_STRING;
    t->text = arena_text(l->arena, out.data, out.len);
    buf_done(&out);
    return result;
}

static int operator(struct lexer *l, struct token *t)
{
    static const struct {
        char text[4];
        int kind;
    } operators[] = {
        {"<<=", TOK_SHL_SET}, {">>=", TOK_SHR_SET}, {"<=", TOK_LE}, {">=", TOK_GE}, {"==", TOK_EQ}, {"!=", TOK_NE}, {"<<", TOK_SHL}, {">>", TOK_SHR},
        {"&&", TOK_AND}, {"||", TOK_OR}, {"++", TOK_INC}, {"--", TOK_DEC}, {"->", TOK_ARROW}, {"+=", TOK_ADD_SET}, {"-=", TOK_SUB_SET},
        {"*=", TOK_MUL_SET}, {"/=", TOK_DIV_SET}, {"%=", TOK_MOD_SET}, {"&=", TOK_AND_SET}, {"|=", TOK_OR_SET}, {"^=", TOK_XOR_SET},
    };
    for (size_t i = 0; i < ARRAY_SIZE(operators); i++) {
        size_t n = strlen(operators[i].text);
        if (l->len - l->at >= n && memcmp(l->text + l->at, operators[i].text, n) == 0) {
            t->kind = operators[i].kind;
            l->at += n;
            return 0;
        }
    }
    if (!strchr("+-*/%&|^~!<>=?:;,.(){}[]", l->text[l->at]))
        return fail(l, l->at, "this character means nothing here");
    t->kind = l->text[l->at++];
    return 0;
}

int lex_next(struct lexer *l, struct token *ret)
{
    if (skip(l) < 0)
        return -1;
    *ret = (struct token){.kind = TOK_END, .at = (u32)l->at};
    int result = 0;
    char c = peek(l, 0);
    if (l->at == l->len)
        return 0;
    if (isdigit((u8)c)) {
        result = number(l, ret);
    } else if (c == '"') {
        result = string(l, ret);
    } else if (isalpha((u8)c) || c == '_' || c == '$' || c == '@') {
        size_t n = 1;
        while (is_name(peek(l, n)))
            n++;
        if (c == '$' && (n == 1 || isdigit((u8)peek(l, 1))))
            return fail(l, l->at, "a variable's name is missing behind $");
        ret->kind = c == '$' ? TOK_VARIABLE : c == '@' ? TOK_MAP : TOK_WORD;
        ret->text = arena_text(l->arena, l->text + l->at, n);
        l->at += n;
    } else {
        result = operator(l, ret);
    }
    ret->len = (u32)l->at - ret->at;
    return result;
}

char *lex_probe(struct lexer *l, u32 *ret_at)
{
    if (skip(l) < 0)
        return NULL;
    size_t start = l->at;
    while (l->at < l->len && !isspace((u8)peek(l, 0)) && !strchr(",{", peek(l, 0))) {
        /* a path has slashes, too, but a filter begins behind a probe that has none */
        if (peek(l, 0) == '/' && l->text[start] != 'u')
            break;
        l->at++;
    }
    *ret_at = (u32)start;
    if (l->at == start) {
        fail(l, start, "a probe is needed here, such as syscall:read or BEGIN");
        return NULL;
    }
    return arena_text(l->arena, l->text + start, l->at - start);
}

bool lex_at_end(struct lexer *l) { return skip(l) == 0 && l->at == l->len; }

bool lex_before_brace(const struct lexer *l)
{
    struct error ignored = {0};
    struct lexer ahead = *l;
    ahead.err = &ignored;
    return skip(&ahead) == 0 && peek(&ahead, 0) == '{';
}
