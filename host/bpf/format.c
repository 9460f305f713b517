/* SPDX-License-Identifier: Apache-2.0 */
/* Formats of printf(): format.h. */
#include "host/bpf/format.h"

#include <string.h>

#include "host/bpf/lang.h"

#define WIDTH_MAX 1000

static bool width(const char **format, int *ret)
{
    const char *p = *format;
    int n = 0;
    if (*p < '0' || *p > '9')
        return true;
    while (*p >= '0' && *p <= '9' && n <= WIDTH_MAX)
        n = n * 10 + (*p++ - '0');
    *format = p;
    *ret = n;
    return n <= WIDTH_MAX;
}

bool format_next(const char **format, struct conversion *ret)
{
    const char *p = *format, *start = p;
    *ret = (struct conversion){.text = p, .width = -1, .precision = -1};
    while (*p && (*p != '%' || p[1] == '%'))
        p += *p == '%' ? 2 : 1;
    ret->text_len = (size_t)(p - start);
    *format = p;
    if (!*p)
        return true;
    p++;
    for (size_t n = 0; *p && strchr("-+ #0", *p); p++)
        if (n < sizeof(ret->flags) - 1)
            ret->flags[n++] = *p;
    if (!width(&p, &ret->width))
        return false;
    if (*p == '.') {
        p++;
        ret->precision = 0;
        if (!width(&p, &ret->precision))
            return false;
    }
    while (*p == 'l' || *p == 'h' || *p == 'z' || *p == 'j')
        p++;
    if (!*p || !strchr("diuxXocsp", *p))
        return false;
    ret->letter = *p == 'i' ? 'd' : *p;
    *format = p + 1;
    return true;
}

/* What %s prints; everything else wants a number. */
static bool is_text(enum type_kind kind)
{
    return kind == T_STRING || kind == T_KSTACK || kind == T_USTACK || kind == T_KSYM || kind == T_USYM || kind == T_PROBE || kind == T_TIME;
}

int format_check(struct lang *l, const struct expr *call)
{
    struct conversion c;
    u32 n = 0;
    if (call->kids[0]->kind != E_STRING)
        return lang_fail(l, call->kids[0]->at, "printf()'s format is a string");
    for (const char *p = call->kids[0]->text;;) {
        if (!format_next(&p, &c))
            return lang_fail(l, call->kids[0]->at, "printf() does not know the conversion at \"%.10s\"", p);
        if (!c.letter)
            break;
        if (++n >= call->nkids)
            return lang_fail(l, call->at, "printf(): the format wants more than the %u values that follow it", call->nkids - 1);
        enum type_kind kind = call->kids[n]->type.kind;
        if (kind != T_NONE && (c.letter == 's' ? !is_text(kind) : kind != T_INT))
            return lang_fail(l, call->kids[n]->at, "printf(): %%%c does not print %s", c.letter, type_text(&call->kids[n]->type));
    }
    return n + 1 == call->nkids ? 0 : lang_fail(l, call->kids[n + 1]->at, "printf(): the format has nothing for this value");
}
