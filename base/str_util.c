/* SPDX-License-Identifier: Apache-2.0 */
/* String helpers of our own; every build has them (base/str.h). */
#include "base/str.h"

#include "base/errno.h"

size_t str_copy(char *dst, const char *src, size_t size)
{
    size_t len = strlen(src);
    if (size != 0) {
        size_t n = len < size ? len : size - 1;
        memcpy(dst, src, n);
        dst[n] = '\0';
    }
    return len;
}

bool str_starts_with(const char *s, const char *prefix)
{
    while (*prefix != '\0')
        if (*s++ != *prefix++)
            return false;
    return true;
}

static unsigned digit_value(char c)
{
    if (c >= '0' && c <= '9')
        return (unsigned)(c - '0');
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? (unsigned)(c - 'a' + 10) : 99u;
}

int str_to_u64(const char *s, u64 *ret_value)
{
    unsigned base = 10;
    if (s[0] == '0' && (s[1] | 0x20) == 'x') {
        base = 16;
        s += 2;
    }
    if (*s == '\0')
        return -EINVAL;
    u64 value = 0;
    bool overflow = false;
    for (; *s != '\0'; s++) {
        unsigned d = digit_value(*s);
        if (d >= base)
            return -EINVAL;
        overflow |= __builtin_mul_overflow(value, (u64)base, &value);
        overflow |= __builtin_add_overflow(value, (u64)d, &value);
    }
    if (overflow)
        return -ERANGE;
    *ret_value = value;
    return 0;
}
