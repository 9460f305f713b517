/* SPDX-License-Identifier: Apache-2.0 */
/* Classic BPF: what a program computes, what it may load, and that whatever passes the check ends. */
#include "../packet_impl.h"
#include "net_test.h"

static u32 run(const struct cbpf_insn *insn, u32 n, const struct frame_view *f)
{
    struct cbpf_program *b = kmalloc(sizeof *b + n * sizeof *insn, 0);
    b->len = n;
    memcpy(b->insn, insn, n * sizeof *insn);
    CHECK_EQ(cbpf_check(b->insn, n), 0);
    u32 got = frame_filter(b, f);
    kfree(b);
    return got;
}
#define RUN(f, ...) run((const struct cbpf_insn[]){ __VA_ARGS__ }, sizeof((const struct cbpf_insn[]){ __VA_ARGS__ }) / 8, f)
#define RET_A_ { 0x16, 0, 0, 0 }

TEST(loads_and_arithmetic)
{
    net_test_boot(0);
    static const u8 front[ETH_HLEN] = { [12] = 0x08 };
    struct pkt *p = pkt_alloc(0, 8), *q = pkt_alloc(0, 8);
    memcpy(pkt_put(p, 4), "\x45\x01\x02\x03", 4);
    memcpy(pkt_put(q, 4), "\x04\x05\x06\x07", 4);
    pkt_append(p, q);
    struct frame_view f = { .p = p, .front = front, .nfront = ETH_HLEN, .len = ETH_HLEN + 8, .maclen = ETH_HLEN,
                            .from = { .protocol = be16(0x800), .pkttype = 4, .ifindex = 2 } };
    CHECK_EQ(RUN(&f, { 0x28, 0, 0, 12 }, RET_A_), 0x800);
    CHECK_EQ(RUN(&f, { 0x20, 0, 0, 12 }, RET_A_), 0x08004501); /* across the missing header's end */
    CHECK_EQ(RUN(&f, { 0x20, 0, 0, 16 }, RET_A_), 0x02030405); /* across views */
    CHECK_EQ(RUN(&f, { 0x20, 0, 0, 19 }, RET_A_), 0);          /* beyond the end */
    CHECK_EQ(RUN(&f, { 0x30, 0, 0, 21 }, RET_A_), 7);
    CHECK_EQ(RUN(&f, { 0x01, 0, 0, 14 }, { 0x50, 0, 0, 3 }, RET_A_), 3);
    CHECK_EQ(RUN(&f, { 0x01, 0, 0, 0xffffffff }, { 0x50, 0, 0, 16 }, RET_A_), 1); /* k + x wraps, to inside */
    CHECK_EQ(RUN(&f, { 0xb1, 0, 0, 14 }, { 0x87, 0, 0, 0 }, RET_A_), 20); /* 4 * (header length) */
    CHECK_EQ(RUN(&f, { 0x80, 0, 0, 0 }, RET_A_), 22);
    CHECK_EQ(RUN(&f, { 0x28, 0, 0, 0xfffff000 }, RET_A_), 0x800);
    CHECK_EQ(RUN(&f, { 0x20, 0, 0, 0xfffff004 }, RET_A_), 4);
    CHECK_EQ(RUN(&f, { 0x20, 0, 0, 0xfffff008 }, RET_A_), 2);
    CHECK_EQ(RUN(&f, { 0x30, 0, 0, 0xfff00001 }, RET_A_), 1); /* of the network's header */
    CHECK_EQ(RUN(&f, { 0x30, 0, 0, 0xffe0000c }, RET_A_), 8); /* of the link's */
    f.skip = ETH_HLEN;
    CHECK_EQ(RUN(&f, { 0x30, 0, 0, 0 }, RET_A_), 0x45);
    CHECK_EQ(RUN(&f, { 0x80, 0, 0, 0 }, RET_A_), 8);
    CHECK_EQ(RUN(&f, { 0x00, 0, 0, 7 }, { 0x34, 0, 0, 2 }, { 0x02, 0, 0, 5 }, { 0x61, 0, 0, 5 }, { 0x0c, 0, 0, 0 }, RET_A_), 6);
    CHECK_EQ(RUN(&f, { 0x00, 0, 0, 7 }, { 0x3c, 0, 0, 0 }, { 0x06, 0, 0, 9 }), 0); /* division by x = 0 */
    CHECK_EQ(RUN(&f, { 0x00, 0, 0, 1 }, { 0x01, 0, 0, 40 }, { 0x6c, 0, 0, 0 }, RET_A_), 256); /* the CPU's own shift, as on Linux */
    CHECK_EQ(RUN(&f, { 0x15, 1, 0, 0 }, { 0x06, 0, 0, 1 }, { 0x06, 0, 0, 2 }), 2);
    pkt_free(p);
}

#define CHECKED(...) cbpf_check((const struct cbpf_insn[]){ __VA_ARGS__ }, sizeof((const struct cbpf_insn[]){ __VA_ARGS__ }) / 8)

TEST(memory_is_written_before_it_is_read)
{
    net_test_boot(0);
    CHECK_EQ(CHECKED({ 0x02, 0, 0, 3 }, { 0x60, 0, 0, 3 }, RET_A_), 0);
    CHECK_EQ(CHECKED({ 0x02, 0, 0, 3 }, { 0x60, 0, 0, 4 }, RET_A_), -EINVAL);
    CHECK_EQ(CHECKED({ 0x15, 0, 1, 0 }, { 0x02, 0, 0, 3 }, { 0x60, 0, 0, 3 }, RET_A_), -EINVAL); /* on one of two ways */
    CHECK_EQ(CHECKED({ 0x03, 0, 0, 3 }, { 0x15, 0, 1, 0 }, { 0x02, 0, 0, 3 }, { 0x61, 0, 0, 3 }, RET_A_), 0);
    sim_fail_allocations(1);
    CHECK_EQ(CHECKED(RET_A_), -ENOMEM);
    sim_fail_allocations(0);
}

/* Whatever passes the check runs to its end within its length and touches nothing that is not there (ASan looks on). */
TEST(any_program)
{
    net_test_boot(0);
    struct pkt *p = pkt_alloc(0, 64);
    stream_fill(pkt_put(p, 60), 0, 60);
    struct frame_view f = { .p = p, .len = 60, .maclen = ETH_HLEN };
    static const u16 codes[] = { 0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x0c, 0x14, 0x15, 0x16, 0x1c, 0x1d, 0x20, 0x24, 0x25, 0x28, 0x2c, 0x30, 0x34,
                                 0x35, 0x3c, 0x40, 0x44, 0x45, 0x48, 0x50, 0x54, 0x60, 0x61, 0x64, 0x6c, 0x74, 0x80, 0x81, 0x84, 0x87, 0x94, 0x9c, 0xa4, 0xb1 };
    u32 good = 0;
    for (u32 round = 0; round < 20000; round++) {
        u32 n = 1 + (u32)(sim_random() % 8);
        struct cbpf_program *b = kmalloc(sizeof *b + n * sizeof b->insn[0], 0); /* exactly so many */
        b->len = n;
        for (u32 i = 0; i < n; i++)
            b->insn[i] = (struct cbpf_insn){ i + 1 == n ? 0x16 : codes[sim_random() % ARRAY_SIZE(codes)], (u8)(sim_random() % 4), (u8)(sim_random() % 4),
                                            sim_random() % 4 == 0 ? (u32)sim_random() : (u32)(sim_random() % 20) };
        if (cbpf_check(b->insn, n) == 0) {
            good++;
            f.skip = round % 2 * ETH_HLEN;
            (void)frame_filter(b, &f);
        }
        kfree(b);
    }
    CHECK(good > 1000);
    pkt_free(p);
}
