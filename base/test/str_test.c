/* SPDX-License-Identifier: Apache-2.0 */
/* base/str.c against the C library's functions, and the helpers of base/str_util.c. */
#include "sim/test.h"

#define memcpy our_memcpy
#define memmove our_memmove
#define memset our_memset
#define memcmp our_memcmp
#define memchr our_memchr
#define strlen our_strlen
#define strnlen our_strnlen
#define strcmp our_strcmp
#define strncmp our_strncmp
#define strchr our_strchr
#define strrchr our_strrchr
#undef BASE_STR_H
#include "base/str.h"
#include "base/str.c"
#undef memcpy
#undef memmove
#undef memset
#undef memcmp
#undef memchr
#undef strlen
#undef strnlen
#undef strcmp
#undef strncmp
#undef strchr
#undef strrchr

#define N 300

static u8 want[N], got[N];

static void fill(void)
{
    for (unsigned i = 0; i < N; i++)
        want[i] = got[i] = (u8)sim_random();
}

static int sign(int v) { return (v > 0) - (v < 0); }

TEST(memcpy_all_lengths)
{
    u8 src[N];
    for (unsigned i = 0; i < N; i++)
        src[i] = (u8)sim_random();
    for (size_t n = 0; n < 200; n++)
        for (size_t d = 0; d < 9; d++) {
            fill();
            memcpy(want + d, src + 8 - d, n);
            CHECK(our_memcpy(got + d, src + 8 - d, n) == got + d);
            CHECK_MEM(want, got, N);
        }
}

TEST(memmove_overlapping)
{
    for (size_t n = 0; n < 150; n++)
        for (int shift = -70; shift <= 70; shift += 1) {
            fill();
            memmove(want + 75 + shift, want + 75, n);
            our_memmove(got + 75 + shift, got + 75, n);
            CHECK_MEM(want, got, N);
        }
}

TEST(memset_all_lengths)
{
    for (size_t n = 0; n < 200; n++)
        for (size_t d = 0; d < 9; d++) {
            fill();
            memset(want + d, 0xa7, n);
            our_memset(got + d, 0x100 + 0xa7, n);
            CHECK_MEM(want, got, N);
        }
}

TEST(memcmp_finds_every_difference)
{
    for (size_t n = 0; n < 40; n++)
        for (size_t at = 0; at < n; at++) {
            fill();
            CHECK_EQ(our_memcmp(want, got, n), 0);
            got[at] ^= 0x80;
            CHECK_EQ(sign(our_memcmp(want, got, n)), sign(memcmp(want, got, n)));
            CHECK_EQ(our_memcmp(want, got, at), 0);
        }
}

TEST(strings)
{
    static const char *const words[] = { "", "a", "ab", "abc", "abd", "b", "\xff", "abca" };
    for (unsigned i = 0; i < ARRAY_SIZE(words); i++) {
        CHECK_EQ(our_strlen(words[i]), strlen(words[i]));
        CHECK_EQ(our_strnlen(words[i], 2), strnlen(words[i], 2));
        CHECK(our_strchr(words[i], 'a') == strchr(words[i], 'a'));
        CHECK(our_strrchr(words[i], 'a') == strrchr(words[i], 'a'));
        CHECK(our_strchr(words[i], 0) == strchr(words[i], 0));
        CHECK(our_memchr(words[i], 'b', strlen(words[i])) == memchr(words[i], 'b', strlen(words[i])));
        for (unsigned j = 0; j < ARRAY_SIZE(words); j++) {
            CHECK_EQ(sign(our_strcmp(words[i], words[j])), sign(strcmp(words[i], words[j])));
            for (size_t n = 0; n < 5; n++)
                CHECK_EQ(sign(our_strncmp(words[i], words[j], n)), sign(strncmp(words[i], words[j], n)));
        }
    }
}

TEST(str_copy_truncates)
{
    char buf[4] = "xyz";
    CHECK_EQ(str_copy(buf, "hello", sizeof buf), 5);
    CHECK_STR(buf, "hel");
    CHECK_EQ(str_copy(buf, "hi", sizeof buf), 2);
    CHECK_STR(buf, "hi");
    CHECK_EQ(str_copy(buf, "no", 0), 2);
    CHECK_STR(buf, "hi");
    CHECK(str_starts_with("hello", "he"));
    CHECK(str_starts_with("hello", ""));
    CHECK(!str_starts_with("he", "hello"));
}

TEST(str_to_u64_bounds)
{
    u64 v = 7;
    CHECK_EQ(str_to_u64("0", &v), 0);
    CHECK_EQ(v, 0);
    CHECK_EQ(str_to_u64("18446744073709551615", &v), 0);
    CHECK(v == UINT64_MAX);
    CHECK_EQ(str_to_u64("0xDeadBeef", &v), 0);
    CHECK_EQ(v, 0xdeadbeef);
    v = 7;
    CHECK_EQ(str_to_u64("18446744073709551616", &v), -ERANGE);
    CHECK_EQ(str_to_u64("0x10000000000000000", &v), -ERANGE);
    CHECK_EQ(str_to_u64("", &v), -EINVAL);
    CHECK_EQ(str_to_u64("0x", &v), -EINVAL);
    CHECK_EQ(str_to_u64("12a", &v), -EINVAL);
    CHECK_EQ(str_to_u64(" 1", &v), -EINVAL);
    CHECK_EQ(str_to_u64("-1", &v), -EINVAL);
    CHECK_EQ(v, 7);
}
