/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memcpy() and its family for freestanding platforms. Word at a time, in
 * overlapping pieces: a copy of n bytes with 8 <= n <= 16 is two eight-byte moves
 * that may share bytes, so no length needs a byte loop. An architecture may
 * leave this file out and bring its own.
 *
 * The empty asm in the loops keeps the compiler from recognising them as
 * memcpy() or memset() and calling ourselves.
 */
#include "base/str.h"

#define KEEP_LOOP() __asm__ volatile("")

typedef u64 __attribute__((may_alias, aligned(1))) word;
typedef u32 __attribute__((may_alias, aligned(1))) half;
typedef u16 __attribute__((may_alias, aligned(1))) quarter;

/* n <= 32; every byte is loaded before one is stored, so overlap is fine. */
static inline void move_small(u8 *d, const u8 *s, size_t n)
{
    if (n >= 16) {
        u64 a = *(const word *)s, b = *(const word *)(s + 8);
        u64 c = *(const word *)(s + n - 16), e = *(const word *)(s + n - 8);
        *(word *)d = a;
        *(word *)(d + 8) = b;
        *(word *)(d + n - 16) = c;
        *(word *)(d + n - 8) = e;
    } else if (n >= 8) {
        u64 a = *(const word *)s, b = *(const word *)(s + n - 8);
        *(word *)d = a;
        *(word *)(d + n - 8) = b;
    } else if (n >= 4) {
        u32 a = *(const half *)s, b = *(const half *)(s + n - 4);
        *(half *)d = a;
        *(half *)(d + n - 4) = b;
    } else if (n >= 2) {
        u16 a = *(const quarter *)s, b = *(const quarter *)(s + n - 2);
        *(quarter *)d = a;
        *(quarter *)(d + n - 2) = b;
    } else if (n == 1) {
        *d = *s;
    }
}

/* n > 32, and dst does not lie inside (src, src + n). */
static inline void move_up(u8 *d, const u8 *s, size_t n)
{
    u64 t0 = *(const word *)(s + n - 32), t1 = *(const word *)(s + n - 24);
    u64 t2 = *(const word *)(s + n - 16), t3 = *(const word *)(s + n - 8);
    u8 *end = d + n - 32;
    do {
        u64 a = *(const word *)s, b = *(const word *)(s + 8);
        u64 c = *(const word *)(s + 16), e = *(const word *)(s + 24);
        *(word *)d = a;
        *(word *)(d + 8) = b;
        *(word *)(d + 16) = c;
        *(word *)(d + 24) = e;
        d += 32;
        s += 32;
        KEEP_LOOP();
    } while (d < end);
    *(word *)end = t0;
    *(word *)(end + 8) = t1;
    *(word *)(end + 16) = t2;
    *(word *)(end + 24) = t3;
}

/* n > 32, dst above src. */
static inline void move_down(u8 *start, const u8 *s, size_t n)
{
    u64 h0 = *(const word *)s, h1 = *(const word *)(s + 8);
    u64 h2 = *(const word *)(s + 16), h3 = *(const word *)(s + 24);
    u8 *d = start + n;
    s += n;
    do {
        d -= 32;
        s -= 32;
        u64 a = *(const word *)s, b = *(const word *)(s + 8);
        u64 c = *(const word *)(s + 16), e = *(const word *)(s + 24);
        *(word *)d = a;
        *(word *)(d + 8) = b;
        *(word *)(d + 16) = c;
        *(word *)(d + 24) = e;
        KEEP_LOOP();
    } while (d > start + 32);
    *(word *)start = h0;
    *(word *)(start + 8) = h1;
    *(word *)(start + 16) = h2;
    *(word *)(start + 24) = h3;
}

void *(memcpy)(void *restrict dst, const void *restrict src, size_t n)
{
    if (n <= 32)
        move_small(dst, src, n);
    else
        move_up(dst, src, n);
    return dst;
}

void *memmove(void *dst, const void *src, size_t n)
{
    if (n <= 32)
        move_small(dst, src, n);
    else if ((uintptr_t)dst - (uintptr_t)src >= n)
        move_up(dst, src, n);
    else
        move_down(dst, src, n);
    return dst;
}

void *(memset)(void *dst, int c, size_t n)
{
    u8 *d = dst;
    u64 v = (u8)c * 0x0101010101010101ULL;
    if (n >= 8) {
        u8 *end = d + n - 8;
        for (; (size_t)(end - d) >= 32 && d < end; d += 32) {
            *(word *)d = v;
            *(word *)(d + 8) = v;
            *(word *)(d + 16) = v;
            *(word *)(d + 24) = v;
            KEEP_LOOP();
        }
        for (; d < end; d += 8) {
            *(word *)d = v;
            KEEP_LOOP();
        }
        *(word *)end = v;
        return dst;
    }
    while (n-- != 0) {
        *d++ = (u8)c;
        KEEP_LOOP();
    }
    return dst;
}

int memcmp(const void *a, const void *b, size_t n)
{
    const u8 *p = a, *q = b;
    for (; n >= 8 && *(const word *)p == *(const word *)q; n -= 8, p += 8, q += 8)
        ;
    for (; n != 0; n--, p++, q++)
        if (*p != *q)
            return *p - *q;
    return 0;
}

void *memchr(const void *s, int c, size_t n)
{
    for (const u8 *p = s; n != 0; n--, p++)
        if (*p == (u8)c)
            return (void *)(uintptr_t)p;
    return NULL;
}

size_t strnlen(const char *s, size_t max)
{
    size_t n = 0;
    while (n < max && s[n] != '\0') {
        n++;
        KEEP_LOOP();
    }
    return n;
}

size_t strlen(const char *s)
{
    return strnlen(s, SIZE_MAX);
}

int strcmp(const char *a, const char *b)
{
    while (*a != '\0' && *a == *b) {
        a++;
        b++;
    }
    return (u8)*a - (u8)*b;
}

int strncmp(const char *a, const char *b, size_t n)
{
    for (; n != 0; n--, a++, b++) {
        if (*a != *b)
            return (u8)*a - (u8)*b;
        if (*a == '\0')
            break;
    }
    return 0;
}

char *strchr(const char *s, int c)
{
    for (;; s++) {
        if (*s == (char)c)
            return (char *)(uintptr_t)s;
        if (*s == '\0')
            return NULL;
    }
}

char *strrchr(const char *s, int c)
{
    const char *found = NULL;
    for (;; s++) {
        if (*s == (char)c)
            found = s;
        if (*s == '\0')
            return (char *)(uintptr_t)found;
    }
}
