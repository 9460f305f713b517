/* SPDX-License-Identifier: Apache-2.0 */
/* Formatted output, compared with the C library's. */
#include "sim/test.h"

int snprintf(char *restrict buf, size_t size, const char *restrict format, ...);

#define SAME(...)                                                          \
    do {                                                                   \
        char want_[128], got_[128];                                        \
        int n_ = snprintf(want_, sizeof want_, __VA_ARGS__);               \
        CHECK_EQ(fmt_snprintf(got_, sizeof got_, __VA_ARGS__), n_);        \
        CHECK_STR(got_, want_);                                            \
    } while (0)

TEST(integers)
{
    static const s64 values[] = { 0, 1, -1, 9, 10, 42, -42, 255, INT32_MAX, INT32_MIN, UINT32_MAX, INT64_MAX, INT64_MIN };
    for (unsigned i = 0; i < ARRAY_SIZE(values); i++) {
        long v = values[i];
        SAME("%ld|%lu|%lx|%lX|%lo", v, v, v, v, v);
        SAME("%d|%u|%x|%i", (int)v, (int)v, (int)v, (int)v);
        SAME("%hd|%hhd|%hu|%hhx", (short)v, (signed char)v, (unsigned short)v, (unsigned char)v);
        SAME("%10ld|%-10ld|%010ld|%+ld|% ld", v, v, v, v, v);
        SAME("%.5ld|%8.5ld|%-8.5ld", v, v, v);
        SAME("%#lx|%#lo|%#12lx|%#012lx|%-#12lx|", v, v, v, v, v);
        SAME("%lld|%zu|%jd|%td", (long long)v, (size_t)v, (intmax_t)v, (ptrdiff_t)v);
    }
    SAME("%.0d|%.0x|%5.0d|", 0, 0, 0);
    SAME("%*d|%-*d|%.*d", 6, 42, 6, 42, 4, 42);
    SAME("%*d|", -6, 42);
    SAME("%.*d|", -1, 42);
}

TEST(text)
{
    SAME("%s|%10s|%-10s|%.2s|%10.2s", "abc", "abc", "abc", "abc", "abc");
    SAME("%c%c%5c%-5c|", 'x', 'y', 'z', 'w');
    SAME("100%% %s", "sure");
    SAME("%p", (void *)0x1234abcd);
    SAME("no conversions");
    char unterminated[3] = { 'a', 'b', 'c' };
    SAME("%.3s", unterminated);
}

TEST(truncation_and_unknown)
{
    char buf[8] = "zzzzzzz";
    CHECK_EQ(fmt_snprintf(buf, 4, "%d", 123456), 6);
    CHECK_STR(buf, "123");
    CHECK_EQ(buf[4], 'z');
    CHECK_EQ(fmt_snprintf(NULL, 0, "%s", "hello"), 5);
    const char *odd = "%y %", *str = "%s";
    const char *volatile null = NULL; /* the compiler must not see it */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
#pragma GCC diagnostic ignored "-Wformat-security"
    CHECK_EQ(fmt_snprintf(buf, sizeof buf, odd), 4);
    CHECK_STR(buf, "%y %");
    CHECK_EQ(fmt_snprintf(buf, sizeof buf, str, null), 6);
#pragma GCC diagnostic pop
    CHECK_STR(buf, "(null)");
}

TEST(growing_text)
{
    char buf[8];
    struct text t = { buf, sizeof buf, 0 };
    text_add(&t, "%d", 12345);
    CHECK_STR(buf, "12345");
    text_add(&t, "%s", "abc");
    CHECK_STR(buf, "12345ab");
    text_add(&t, "%s", "more");
    CHECK_STR(buf, "12345ab");
    CHECK_EQ(t.len, 12);
}
