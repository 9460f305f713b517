/* SPDX-License-Identifier: Apache-2.0 */
/* The pull parser of json.h. `expect` says what may come next; containers are a
 * bit each, so no stack and no recursion. */
#include "base/json.h"

#include "base/str.h"

enum { EXPECT_VALUE, EXPECT_FIRST_VALUE, EXPECT_FIRST_KEY, EXPECT_KEY, EXPECT_COMMA_OR_CLOSE, EXPECT_NOTHING };

void json_init(struct json *j, const char *text, size_t len)
{
    *j = (struct json){ .start = text, .pos = text, .end = text + len, .expect = EXPECT_VALUE };
}

static enum json_token fail(struct json *j, const char *why)
{
    if (j->error == NULL)
        j->error = why;
    j->token = NULL;
    j->token_len = 0;
    return j->last = JSON_ERROR;
}

static void skip_space(struct json *j)
{
    while (j->pos < j->end && (*j->pos == ' ' || *j->pos == '\t' || *j->pos == '\n' || *j->pos == '\r'))
        j->pos++;
}

static bool inside_object(const struct json *j) { return j->depth > 0 && ((j->in_object >> (j->depth - 1)) & 1) != 0; }

static void value_done(struct json *j) { j->expect = j->depth == 0 ? EXPECT_NOTHING : EXPECT_COMMA_OR_CLOSE; }

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* Four hex digits at p, or -1. */
static long hex4(const char *p, const char *end)
{
    if (end - p < 4)
        return -1;
    long v = 0;
    for (unsigned i = 0; i < 4; i++) {
        int d = hex_digit(p[i]);
        if (d < 0)
            return -1;
        v = v * 16 + d;
    }
    return v;
}

/* One character of a string at *p (not the closing quote): its code point, or -1. */
static long next_char(const char **p, const char *end)
{
    const u8 *s = (const u8 *)*p;
    size_t left = (size_t)(end - *p);
    u8 c = s[0];
    if (c < 0x20)
        return -1;
    if (c == '\\') {
        if (left < 2)
            return -1;
        *p += 2;
        switch (s[1]) {
        case '"': return '"';
        case '\\': return '\\';
        case '/': return '/';
        case 'b': return '\b';
        case 'f': return '\f';
        case 'n': return '\n';
        case 'r': return '\r';
        case 't': return '\t';
        case 'u': break;
        default: return -1;
        }
        long v = hex4(*p, end);
        if (v < 0 || (v >= 0xdc00 && v <= 0xdfff))
            return -1;
        *p += 4;
        if (v < 0xd800 || v > 0xdbff)
            return v;
        if (end - *p < 6 || (*p)[0] != '\\' || (*p)[1] != 'u')
            return -1;
        long low = hex4(*p + 2, end);
        if (low < 0xdc00 || low > 0xdfff)
            return -1;
        *p += 6;
        return 0x10000 + ((v - 0xd800) << 10) + (low - 0xdc00);
    }
    if (c < 0x80) {
        *p += 1;
        return c;
    }
    unsigned n = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : 2;
    if (c < 0xc2 || c > 0xf4 || left < n)
        return -1;
    long v = c & (0x7f >> n);
    for (unsigned i = 1; i < n; i++) {
        if ((s[i] & 0xc0) != 0x80)
            return -1;
        v = v << 6 | (s[i] & 0x3f);
    }
    static const long least[] = { 0, 0, 0x80, 0x800, 0x10000 };
    if (v < least[n] || v > 0x10ffff || (v >= 0xd800 && v <= 0xdfff))
        return -1;
    *p += n;
    return v;
}

/* At the opening quote. Checks the whole string and leaves it as the token. */
static bool scan_string(struct json *j)
{
    const char *p = j->pos + 1;
    j->token = p;
    while (p < j->end && *p != '"') {
        if (next_char(&p, j->end) < 0) {
            j->pos = p < j->end ? p : j->end;
            fail(j, "bad character or escape in a string");
            return false;
        }
    }
    if (p >= j->end) {
        j->pos = j->end;
        fail(j, "string without an end");
        return false;
    }
    j->token_len = (size_t)(p - j->token);
    j->pos = p + 1;
    return true;
}

static bool digits(const char **p, const char *end)
{
    const char *s = *p;
    while (*p < end && **p >= '0' && **p <= '9')
        ++*p;
    return *p > s;
}

static bool scan_number(struct json *j)
{
    const char *p = j->pos;
    if (p < j->end && *p == '-')
        p++;
    if (p < j->end && *p == '0')
        p++;
    else if (!digits(&p, j->end))
        return false;
    if (p < j->end && *p == '.') {
        p++;
        if (!digits(&p, j->end))
            return false;
    }
    if (p < j->end && (*p == 'e' || *p == 'E')) {
        p++;
        if (p < j->end && (*p == '+' || *p == '-'))
            p++;
        if (!digits(&p, j->end))
            return false;
    }
    j->token = j->pos;
    j->token_len = (size_t)(p - j->pos);
    j->pos = p;
    return true;
}

static bool scan_word(struct json *j, const char *word)
{
    size_t n = strlen(word);
    if ((size_t)(j->end - j->pos) < n || memcmp(j->pos, word, n) != 0)
        return false;
    j->pos += n;
    return true;
}

static enum json_token open_container(struct json *j, bool object)
{
    if (j->depth == JSON_MAX_DEPTH)
        return fail(j, "nested too deeply");
    u32 bit = 1u << j->depth;
    j->in_object = object ? j->in_object | bit : j->in_object & ~bit;
    j->depth++;
    j->pos++;
    j->expect = object ? EXPECT_FIRST_KEY : EXPECT_FIRST_VALUE;
    return j->last = object ? JSON_OBJECT : JSON_ARRAY;
}

static enum json_token close_container(struct json *j)
{
    bool object = inside_object(j);
    j->pos++;
    j->depth--;
    value_done(j);
    return j->last = object ? JSON_OBJECT_END : JSON_ARRAY_END;
}

static enum json_token scan_value(struct json *j)
{
    enum json_token t;
    switch (*j->pos) {
    case '{': return open_container(j, true);
    case '[': return open_container(j, false);
    case '"':
        if (!scan_string(j))
            return JSON_ERROR;
        t = JSON_STRING;
        break;
    case 't': t = scan_word(j, "true") ? JSON_TRUE : JSON_ERROR; break;
    case 'f': t = scan_word(j, "false") ? JSON_FALSE : JSON_ERROR; break;
    case 'n': t = scan_word(j, "null") ? JSON_NULL : JSON_ERROR; break;
    default: t = scan_number(j) ? JSON_NUMBER : JSON_ERROR; break;
    }
    if (t == JSON_ERROR)
        return fail(j, "a value was expected");
    value_done(j);
    return j->last = t;
}

static enum json_token scan_key(struct json *j)
{
    if (*j->pos != '"')
        return fail(j, "a member name in quotes was expected");
    if (!scan_string(j))
        return JSON_ERROR;
    skip_space(j);
    if (j->pos >= j->end || *j->pos != ':')
        return fail(j, "':' was expected behind a member name");
    j->pos++;
    j->expect = EXPECT_VALUE;
    return j->last = JSON_KEY;
}

enum json_token json_next(struct json *j)
{
    if (j->error != NULL)
        return JSON_ERROR;
    skip_space(j);
    if (j->pos >= j->end) {
        if (j->expect == EXPECT_NOTHING)
            return j->last = JSON_END;
        return fail(j, "the text ends too early");
    }
    char c = *j->pos;
    char closer = inside_object(j) ? '}' : ']';
    switch (j->expect) {
    case EXPECT_COMMA_OR_CLOSE:
        if (c == closer)
            return close_container(j);
        if (c != ',')
            return fail(j, "',' or the closing bracket was expected");
        j->pos++;
        skip_space(j);
        if (j->pos >= j->end)
            return fail(j, "the text ends too early");
        return inside_object(j) ? scan_key(j) : scan_value(j);
    case EXPECT_FIRST_KEY:
        return c == closer ? close_container(j) : scan_key(j);
    case EXPECT_FIRST_VALUE:
        return c == closer ? close_container(j) : scan_value(j);
    case EXPECT_VALUE:
        return scan_value(j);
    default:
        return fail(j, "text behind the end of the value");
    }
}

bool json_skip(struct json *j)
{
    if (j->last == JSON_ERROR)
        return false;
    if (j->last != JSON_OBJECT && j->last != JSON_ARRAY)
        return true;
    unsigned outside = j->depth - 1;
    while (j->depth > outside)
        if (json_next(j) == JSON_ERROR)
            return false;
    return true;
}

static unsigned encode_utf8(long v, char out[4])
{
    if (v < 0x80) {
        out[0] = (char)v;
        return 1;
    }
    if (v < 0x800) {
        out[0] = (char)(0xc0 | v >> 6);
        out[1] = (char)(0x80 | (v & 0x3f));
        return 2;
    }
    if (v < 0x10000) {
        out[0] = (char)(0xe0 | v >> 12);
        out[1] = (char)(0x80 | (v >> 6 & 0x3f));
        out[2] = (char)(0x80 | (v & 0x3f));
        return 3;
    }
    out[0] = (char)(0xf0 | v >> 18);
    out[1] = (char)(0x80 | (v >> 12 & 0x3f));
    out[2] = (char)(0x80 | (v >> 6 & 0x3f));
    out[3] = (char)(0x80 | (v & 0x3f));
    return 4;
}

long json_string(const struct json *j, char *buf, size_t size)
{
    const char *p = j->token, *end = p + j->token_len;
    size_t len = 0;
    while (p < end) {
        char enc[4];
        long v = next_char(&p, end); /* checked by scan_string() */
        if (v <= 0)
            return -1;
        unsigned n = encode_utf8(v, enc);
        if (size <= n || len >= size - n)
            return -1;
        memcpy(buf + len, enc, n);
        len += n;
    }
    if (size == 0)
        return -1;
    buf[len] = '\0';
    return (long)len;
}

bool json_is(const struct json *j, const char *s)
{
    const char *p = j->token, *end = p + j->token_len;
    while (p < end) {
        char enc[4];
        long v = next_char(&p, end);
        if (v <= 0)
            return false;
        unsigned n = encode_utf8(v, enc);
        if (strncmp(s, enc, n) != 0)
            return false;
        s += n;
    }
    return *s == '\0';
}

bool json_u64(const struct json *j, u64 *ret)
{
    u64 v = 0;
    if (j->last != JSON_NUMBER)
        return false;
    for (size_t i = 0; i < j->token_len; i++) {
        char c = j->token[i];
        if (c < '0' || c > '9' || __builtin_mul_overflow(v, 10u, &v) || __builtin_add_overflow(v, (u64)(c - '0'), &v))
            return false;
    }
    *ret = v;
    return true;
}

bool json_s64(const struct json *j, s64 *ret)
{
    if (j->last != JSON_NUMBER || j->token_len == 0)
        return false;
    struct json rest = *j;
    bool negative = j->token[0] == '-';
    if (negative) {
        rest.token++;
        rest.token_len--;
    }
    u64 v;
    if (!json_u64(&rest, &v) || v > (u64)INT64_MAX + (negative ? 1 : 0))
        return false;
    *ret = negative ? (s64)(0 - v) : (s64)v;
    return true;
}

const char *json_error(const struct json *j) { return j->error; }

unsigned json_line(const struct json *j)
{
    unsigned line = 1;
    for (const char *p = j->start; p < j->pos; p++)
        line += *p == '\n';
    return line;
}
