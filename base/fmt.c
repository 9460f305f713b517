/* SPDX-License-Identifier: Apache-2.0 */
/* Formatted output; the header says which conversions there are. No locale, no floating point. */
#include "base/fmt.h"

#include "base/str.h"

struct out {
    char *buf;
    size_t size, len; /* len counts what was cut, too */
};

struct spec {
    bool left, zero, plus, space, alt, upper;
    int width, precision; /* precision -1 = none */
};

static void put(struct out *o, char c)
{
    if (o->len < o->size)
        o->buf[o->len] = c;
    o->len++;
}

static void put_many(struct out *o, const char *s, size_t n)
{
    if (o->len < o->size) {
        size_t room = o->size - o->len;
        memcpy(o->buf + o->len, s, n < room ? n : room);
    }
    o->len += n;
}

static void pad(struct out *o, char c, int n)
{
    if (n <= 0)
        return;
    if (o->len < o->size)
        memset(o->buf + o->len, c, MIN((size_t)n, o->size - o->len));
    o->len += (size_t)n;
}

static void put_text(struct out *o, const struct spec *sp, const char *s, size_t n)
{
    int fill = sp->width > 0 && (size_t)sp->width > n ? sp->width - (int)n : 0;
    if (!sp->left)
        pad(o, ' ', fill);
    put_many(o, s, n);
    if (sp->left)
        pad(o, ' ', fill);
}

static void put_number(struct out *o, const struct spec *sp, u64 v, unsigned base, char sign)
{
    const char *digits = sp->upper ? "0123456789ABCDEF" : "0123456789abcdef";
    char tmp[24];
    int n = 0;
    bool nonzero = v != 0;
    if (v <= UINT32_MAX) { /* short division where it will do */
        for (u32 w = (u32)v; w != 0; w /= base)
            tmp[n++] = digits[w % base];
    } else {
        for (; v != 0; v /= base)
            tmp[n++] = digits[v % base];
    }
    int zeros = (sp->precision < 0 ? 1 : sp->precision) - n;
    if (base == 8 && sp->alt && zeros <= 0 && (nonzero || n == 0))
        zeros = 1;
    if (zeros < 0)
        zeros = 0;
    char prefix[3];
    int np = 0;
    if (sign != 0)
        prefix[np++] = sign;
    if (base == 16 && sp->alt && nonzero) {
        prefix[np++] = '0';
        prefix[np++] = sp->upper ? 'X' : 'x';
    }
    int fill = sp->width - np - zeros - n;
    if (sp->zero && !sp->left && sp->precision < 0 && fill > 0) {
        zeros += fill;
        fill = 0;
    }
    if (!sp->left)
        pad(o, ' ', fill);
    put_many(o, prefix, (size_t)np);
    pad(o, '0', zeros);
    while (n > 0)
        put(o, tmp[--n]);
    if (sp->left)
        pad(o, ' ', fill);
}

enum length { LEN_INT, LEN_CHAR, LEN_SHORT, LEN_LONG };

static const char *parse_length(const char *f, enum length *ret)
{
    *ret = LEN_INT;
    switch (*f) {
    case 'h':
        *ret = f[1] == 'h' ? LEN_CHAR : LEN_SHORT;
        return f + (f[1] == 'h' ? 2 : 1);
    case 'l': /* long, long long, size_t, intmax_t and ptrdiff_t are all 64 bits */
        *ret = LEN_LONG;
        return f + (f[1] == 'l' ? 2 : 1);
    case 'z':
    case 'j':
    case 't':
        *ret = LEN_LONG;
        return f + 1;
    default:
        return f;
    }
}

static const char *parse_flags(const char *f, struct spec *sp)
{
    for (;; f++) {
        switch (*f) {
        case '-': sp->left = true; break;
        case '0': sp->zero = true; break;
        case '+': sp->plus = true; break;
        case ' ': sp->space = true; break;
        case '#': sp->alt = true; break;
        default: return f;
        }
    }
}

static const char *parse_int(const char *f, int *ret)
{
    int v = 0;
    for (; *f >= '0' && *f <= '9'; f++)
        if (v < 100000)
            v = v * 10 + (*f - '0');
    *ret = v;
    return f;
}

int fmt_vsnprintf(char *buf, size_t size, const char *format, va_list args)
{
    struct out o = { buf, size, 0 };
    va_list ap;
    va_copy(ap, args);
    for (const char *f = format; *f != '\0';) {
        if (*f != '%') {
            const char *start = f;
            while (*f != '\0' && *f != '%')
                f++;
            put_many(&o, start, (size_t)(f - start));
            continue;
        }
        const char *start = f++;
        struct spec sp = { .precision = -1 };
        f = parse_flags(f, &sp);
        if (*f == '*') {
            sp.width = va_arg(ap, int);
            if (sp.width < 0) {
                sp.left = true;
                sp.width = -sp.width;
            }
            f++;
        } else {
            f = parse_int(f, &sp.width);
        }
        if (*f == '.') {
            if (f[1] == '*') {
                sp.precision = va_arg(ap, int);
                if (sp.precision < 0)
                    sp.precision = -1;
                f += 2;
            } else {
                f = parse_int(f + 1, &sp.precision);
            }
        }
        enum length len;
        f = parse_length(f, &len);
        switch (*f) {
        case 'd':
        case 'i': {
            s64 v = len == LEN_LONG ? va_arg(ap, s64) : va_arg(ap, int);
            if (len == LEN_CHAR)
                v = (s8)v;
            else if (len == LEN_SHORT)
                v = (s16)v;
            put_number(&o, &sp, v < 0 ? 0 - (u64)v : (u64)v, 10, v < 0 ? '-' : sp.plus ? '+' : sp.space ? ' ' : 0);
            break;
        }
        case 'X':
            sp.upper = true; /* fall through */
        case 'x':
        case 'o':
        case 'u': {
            u64 v = len == LEN_LONG ? va_arg(ap, u64) : va_arg(ap, unsigned);
            if (len == LEN_CHAR)
                v = (u8)v;
            else if (len == LEN_SHORT)
                v = (u16)v;
            put_number(&o, &sp, v, *f == 'u' ? 10 : *f == 'o' ? 8 : 16, 0);
            break;
        }
        case 'p':
            sp.alt = true;
            put_number(&o, &sp, (u64)(uintptr_t)va_arg(ap, void *), 16, 0);
            break;
        case 'c': {
            char c = (char)va_arg(ap, int);
            put_text(&o, &sp, &c, 1);
            break;
        }
        case 's': {
            const char *s = va_arg(ap, const char *);
            if (s == NULL)
                s = "(null)";
            put_text(&o, &sp, s, sp.precision >= 0 ? strnlen(s, (size_t)sp.precision) : strlen(s));
            break;
        }
        case '%':
            put(&o, '%');
            break;
        default: /* unknown: as it stands */
            if (*f != '\0')
                f++;
            put_many(&o, start, (size_t)(f - start));
            continue;
        }
        f++;
    }
    va_end(ap);
    if (size != 0)
        buf[o.len < size ? o.len : size - 1] = '\0';
    return (int)o.len;
}

int fmt_snprintf(char *buf, size_t size, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    int n = fmt_vsnprintf(buf, size, format, ap);
    va_end(ap);
    return n;
}

void text_add(struct text *t, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    bool room = t->len < t->size;
    t->len += (size_t)fmt_vsnprintf(room ? t->buf + t->len : NULL, room ? t->size - t->len : 0, format, ap);
    va_end(ap);
}
