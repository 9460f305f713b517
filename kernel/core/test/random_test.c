/* SPDX-License-Identifier: Apache-2.0 */
/* The random generator, and the log's ring. The ChaCha20 vector is that of RFC 8439, section 2.3.2. */
#include "sim/test.h"

#include "../random.c"

TEST(chacha20_block_vector)
{
    static const u8 want[64] = {
        0x10, 0xf1, 0xe7, 0xe4, 0xd1, 0x3b, 0x59, 0x15, 0x50, 0x0f, 0xdd, 0x1f, 0xa3, 0x20, 0x71, 0xc4,
        0xc7, 0xd1, 0xf4, 0xc7, 0x33, 0xc0, 0x68, 0x03, 0x04, 0x22, 0xaa, 0x9a, 0xc3, 0xd4, 0x6c, 0x4e,
        0xd2, 0x82, 0x64, 0x46, 0x07, 0x9f, 0xaa, 0x09, 0x14, 0xc2, 0xd7, 0x05, 0xd9, 0x8b, 0x02, 0xa2,
        0xb5, 0x12, 0x9c, 0xd1, 0xde, 0x16, 0x4e, 0xb9, 0xcb, 0xd0, 0x83, 0xe8, 0xa2, 0x50, 0x3c, 0x4e,
    };
    u8 key[32], out[64];
    for (unsigned i = 0; i < 32; i++)
        key[i] = (u8)i;
    /* counter 1; nonce 00:00:00:09:00:00:00:4a:00:00:00:00 */
    chacha20_block(key, 1 | 0x09000000ULL << 32, 0x4a000000, out);
    CHECK_MEM(out, want, sizeof want);
}

TEST(handed_out_bytes_are_wiped)
{
    u8 buf[100];
    random_bytes(buf, sizeof buf);
    const struct random_cpu *r = &this_cpu()->random;
    for (u32 i = KEY_BYTES; i < r->pos; i++)
        CHECK_EQ(r->buf[i], 0);
}

TEST(no_repeats)
{
    static u64 seen[2000];
    for (unsigned i = 0; i < ARRAY_SIZE(seen); i++) {
        seen[i] = random_u64();
        if (i == 1000)
            random_add("more", 4);
        for (unsigned j = 0; j < i; j++)
            CHECK(seen[j] != seen[i]);
    }
}

TEST(all_lengths_and_nothing_beyond)
{
    u8 buf[700];
    for (size_t n = 0; n < 600; n += 7) {
        u8 any = 0;
        for (int round = 0; round < 4; round++) {
            memset(buf, 0, sizeof buf);
            random_bytes(buf, n);
            for (size_t i = n; i < sizeof buf; i++)
                CHECK_EQ(buf[i], 0);
            any |= n != 0 ? buf[n - 1] : 1;
        }
        CHECK(any != 0 || n == 0);
    }
}

TEST(bits_are_balanced)
{
    u64 ones = 0;
    for (int i = 0; i < 4000; i++)
        ones += (u64)__builtin_popcountll(random_u64());
    CHECK(ones > 128000 - 1500 && ones < 128000 + 1500); /* 8 standard deviations are 1431 */
}

TEST(below)
{
    u32 seen = 0;
    for (int i = 0; i < 1000; i++) {
        u64 v = random_below(7);
        CHECK(v < 7);
        seen |= 1u << v;
    }
    CHECK_EQ(seen, 0x7f);
    CHECK_EQ(random_below(1), 0);
    CHECK(random_below(1ULL << 63) < 1ULL << 63);
}

TEST(log_ring_keeps_the_tail)
{
    char buf[64];
    for (int i = 0; i < 2000; i++)
        klog(LOG_DEBUG, "line %d", i);
    size_t n = log_read_tail(buf, 10);
    CHECK_EQ(n, 10);
    CHECK_MEM(buf, "line 1999\n", 10);
}
