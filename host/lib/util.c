/* SPDX-License-Identifier: Apache-2.0 */
/* Memory, strings, vectors, maps: see util.h. */
#include "host/lib/util.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "host/lib/error.h"

NORETURN static void out_of_memory(void)
{
    warn("out of memory");
    _exit(EXIT_DRUPE);
}

void *xalloc(size_t size)
{
    void *p = calloc(1, size ? size : 1);
    if (!p)
        out_of_memory();
    return p;
}

void *xrealloc(void *p, size_t size)
{
    p = realloc(p, size ? size : 1);
    if (!p)
        out_of_memory();
    return p;
}

char *xstrndup(const char *s, size_t n)
{
    size_t len = strnlen(s, n);
    char *copy = xalloc(len + 1);
    memcpy(copy, s, len);
    return copy;
}

char *xstrdup(const char *s) { return xstrndup(s, strlen(s)); }

static char *text(const char *format, va_list args)
{
    char *s = NULL;
    if (vasprintf(&s, format, args) < 0)
        out_of_memory();
    return s;
}

char *str_format(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char *s = text(format, args);
    va_end(args);
    return s;
}

void str_ascii(char *s)
{
    for (; *s; s++)
        *s = (u8)*s < ' ' || (u8)*s > 126 ? '?' : *s;
}

size_t utf8_len(const char *text, size_t n)
{
    const u8 *p = (const u8 *)text;
    size_t len = p[0] < 0x80 ? 1 : p[0] >= 0xc2 && p[0] < 0xe0 ? 2 : (p[0] & 0xf0) == 0xe0 ? 3 : p[0] >= 0xf0 && p[0] < 0xf5 ? 4 : 0;
    if (!len || len > n)
        return 0;
    for (size_t i = 1; i < len; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) || (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f))
        return 0;
    return len;
}

void text_clean(char *text, size_t len, const char *keep)
{
    for (size_t i = 0, n; i < len; i += n) {
        u8 *c = (u8 *)text + i;
        n = utf8_len(text + i, len - i);
        bool good = n == 1 ? (*c >= ' ' && *c != 127) || (*c && strchr(keep, *c)) : n == 2 ? c[0] != 0xc2 || c[1] >= 0xa0 : n > 2;
        n = n ? n : 1;
        if (!good)
            memset(c, '?', n);
    }
}

bool str_has_prefix(const char *s, const char *prefix) { return strncmp(s, prefix, strlen(prefix)) == 0; }

bool str_has_suffix(const char *s, const char *suffix)
{
    size_t n = strlen(s), m = strlen(suffix);
    return n >= m && memcmp(s + n - m, suffix, m) == 0;
}

int parse_number(const char *s, u64 min, u64 max, u64 *ret_value)
{
    u64 value = 0;
    if (!*s)
        return -1;
    for (; *s; s++) {
        if (*s < '0' || *s > '9' || __builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, (u64)(*s - '0'), &value))
            return -1;
    }
    if (value < min || value > max)
        return -1;
    *ret_value = value;
    return 0;
}

int parse_size(const char *s, u64 unit, u64 *ret_bytes)
{
    AUTO_FREE char *digits = xstrdup(s);
    size_t n = strlen(digits);
    if (n > 1 && (digits[n - 1] == 'b' || digits[n - 1] == 'B'))
        digits[--n] = 0, unit = 1;
    if (n) {
        static const char letters[] = "kKmMgG";
        const char *at = strchr(letters, digits[n - 1]);
        if (at) {
            unit = (u64)1 << (10 * (1 + (at - letters) / 2));
            digits[--n] = 0;
        }
    }
    u64 value;
    if (parse_number(digits, 0, UINT64_MAX, &value) < 0 || __builtin_mul_overflow(value, unit, &value))
        return -1;
    *ret_bytes = value;
    return 0;
}

void strv_take(struct strv *v, char *s)
{
    if (v->count + 2 > v->capacity) {
        v->capacity = v->capacity ? v->capacity * 2 : 16;
        v->items = xrealloc(v->items, v->capacity * sizeof(char *));
    }
    v->items[v->count++] = s;
    v->items[v->count] = NULL;
}

void strv_add(struct strv *v, const char *s) { strv_take(v, xstrdup(s)); }

void strv_addf(struct strv *v, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    strv_take(v, text(format, args));
    va_end(args);
}

void strv_done(struct strv *v)
{
    for (size_t i = 0; i < v->count; i++)
        free(v->items[i]);
    free(v->items);
    *v = (struct strv){0};
}

bool strv_contains(const struct strv *v, const char *s)
{
    for (size_t i = 0; i < v->count; i++)
        if (strcmp(v->items[i], s) == 0)
            return true;
    return false;
}

static void buf_reserve(struct buf *b, size_t more)
{
    if (b->len + more + 1 <= b->capacity)
        return;
    b->capacity = MAX(b->capacity * 2, b->len + more + 1);
    b->data = xrealloc(b->data, b->capacity);
}

void buf_add(struct buf *b, const void *data, size_t len)
{
    buf_reserve(b, len);
    if (len)
        memcpy(b->data + b->len, data, len);
    b->len += len;
    b->data[b->len] = 0;
}

void buf_fit(struct buf *b)
{
    if (b->data && b->capacity > b->len + 1) {
        b->capacity = b->len + 1;
        b->data = xrealloc(b->data, b->capacity);
    }
}

void buf_drop(struct buf *b, size_t len)
{
    if (!len)
        return;
    b->len -= len;
    memmove(b->data, b->data + len, b->len + 1);
}

void buf_addf(struct buf *b, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char *s = text(format, args);
    va_end(args);
    buf_add(b, s, strlen(s));
    free(s);
}

void buf_add_clean(struct buf *b, const char *text, size_t max, const char *keep)
{
    size_t len = strnlen(text, max);
    buf_add(b, text, len);
    text_clean(b->data + b->len - len, len, keep);
}

void buf_done(struct buf *b)
{
    free(b->data);
    *b = (struct buf){0};
}

u64 hash_bytes(const void *data, size_t len, u64 seed)
{
    u64 h = 0xcbf29ce484222325ull ^ seed;
    for (const u8 *p = data; len--; p++)
        h = (h ^ *p) * 0x100000001b3ull;
    return h ^ h >> 29;
}

static struct map_slot *map_find(const struct map *m, const char *key)
{
    size_t i = hash_bytes(key, strlen(key), 0) & (m->capacity - 1);
    while (m->slots[i].key && strcmp(m->slots[i].key, key) != 0)
        i = (i + 1) & (m->capacity - 1);
    return &m->slots[i];
}

void *map_get(const struct map *m, const char *key) { return m->capacity ? map_find(m, key)->value : NULL; }

static void map_grow(struct map *m)
{
    struct map bigger = {.capacity = m->capacity ? m->capacity * 2 : 64, .count = m->count};
    bigger.slots = xalloc(bigger.capacity * sizeof(*bigger.slots));
    for (size_t i = 0; i < m->capacity; i++)
        if (m->slots[i].key)
            *map_find(&bigger, m->slots[i].key) = m->slots[i];
    free(m->slots);
    *m = bigger;
}

void map_put(struct map *m, const char *key, void *value)
{
    if (m->count * 2 >= m->capacity)
        map_grow(m);
    struct map_slot *slot = map_find(m, key);
    if (!slot->key) {
        slot->key = xstrdup(key);
        m->count++;
    }
    slot->value = value;
}

void map_done(struct map *m, void (*free_value)(void *))
{
    for (size_t i = 0; i < m->capacity; i++) {
        if (m->slots[i].key && free_value)
            free_value(m->slots[i].value);
        free(m->slots[i].key);
    }
    free(m->slots);
    *m = (struct map){0};
}

u64 now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (u64)t.tv_sec * 1000000000ull + (u64)t.tv_nsec;
}
