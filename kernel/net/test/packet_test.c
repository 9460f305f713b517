/* SPDX-License-Identifier: Apache-2.0 */
/* Packet sockets: rings' bounds, and blocks that fill up at the moment when their time is over. */
#include "../packet_impl.h"
#include "net_test.h"

#define SOL_PACKET 263
#define BLOCKS 16u
#define ROUNDS 200u
enum { PACKET_RX_RING = 5, PACKET_VERSION = 10, PACKET_RESERVE = 12, PACKET_TX_RING = 13 };

static struct sock *ring;
static u64 begin_ns;

/* The blocks are the stack's again. */
static void read_all(void)
{
    for (u32 i = 0; i < BLOCKS; i++) {
        struct page *pg;
        CHECK_EQ(sock_map_page(ring, i, &pg), 0);
        atomic_store((u32 *)page_virt(pg) + 2, 0u); /* its status */
        page_put(pg);
    }
}

/* Frames of which a block has room for two. */
static void send_at_deadlines(void *arg)
{
    u8 f[1400] = { 0 };
    memcpy(f, test_dev.mac, 6);
    memcpy(f + 6, peer_mac, 6);
    put_be16(f + 12, 0x88b5);
    for (u32 i = 0; i < ROUNDS; i++) {
        thread_sleep_until(begin_ns + i * NSEC_PER_MSEC, false);
        read_all();
        wire_in(f, sizeof f);
        wire_in(f, sizeof f);
    }
}

TEST_CPUS(block_timers_hold_the_socket, 2)
{
    const struct packet_ring_request q = { .block_size = PAGE_SIZE, .block_nr = BLOCKS, .frame_size = PAGE_SIZE / 2, .frame_nr = 2 * BLOCKS, .timeout_ms = 1 };
    struct thread *t[2];
    net_test_boot(0);
    CHECK_EQ(sock_create(AF_PACKET, SOCK_RAW, be16(3), &ring), 0);
    CHECK_EQ(sock_setopt(ring, SOL_PACKET, PACKET_VERSION, &(int){ TPACKET_V3 }, 4), 0);
    CHECK_EQ(sock_setopt(ring, SOL_PACKET, PACKET_RX_RING, &q, sizeof q), 0);
    begin_ns = now_ns() + NSEC_PER_MSEC;
    for (unsigned i = 0; i < ARRAY_SIZE(t); i++)
        t[i] = test_thread("sender", send_at_deadlines, NULL);
    for (unsigned i = 0; i < ARRAY_SIZE(t); i++)
        test_join(t[i]);
    sleep_ns(NSEC_PER_SEC);
    CHECK_EQ(ref_count(&ring->refs), 1);
    sock_release(ring);
    check_no_leak();
}

/* All rings together take half of what sockets may hold, and nothing of that. */
TEST(rings_have_a_bound_together)
{
    struct sock *s[16];
    unsigned made = 0;
    net_test_boot(0);
    struct packet_ring_request q = { .block_size = PAGE_SIZE, .block_nr = 64, .frame_size = PAGE_SIZE, .frame_nr = 64 };
    net_mem_limit = 6 * 64 * PAGE_SIZE;
    for (unsigned i = 0; i < ARRAY_SIZE(s); i++) {
        CHECK_EQ(sock_create(AF_PACKET, SOCK_RAW, be16(3), &s[i]), 0);
        int err = sock_setopt(s[i], SOL_PACKET, i % 2 == 0 ? PACKET_RX_RING : PACKET_TX_RING, &q, offsetof(struct packet_ring_request, timeout_ms));
        CHECK(err == 0 || err == -ENOMEM);
        made += err == 0;
    }
    CHECK_EQ(made, 3);
    CHECK_EQ(net_mem_used, 0);
    for (unsigned i = 0; i < ARRAY_SIZE(s); i++)
        sock_release(s[i]);
    check_no_leak();
}

/* A frame whose place cannot be told in 16 bits is lost. */
TEST(a_place_beyond_64_kib)
{
    struct packet_ring_request q = { .block_size = 32 * PAGE_SIZE, .block_nr = 1, .frame_size = 32 * PAGE_SIZE, .frame_nr = 1 };
    u8 f[60] = { 0 };
    net_test_boot(0);
    put_be16(f + 12, 0x88b5);
    memcpy(f, test_dev.mac, 6);
    for (u32 reserve = 65400; reserve <= 65500; reserve += 100) {
        struct page *pg;
        CHECK_EQ(sock_create(AF_PACKET, SOCK_RAW, be16(3), &ring), 0);
        CHECK_EQ(sock_setopt(ring, SOL_PACKET, PACKET_VERSION, &(int){ TPACKET_V2 }, 4), 0);
        CHECK_EQ(sock_setopt(ring, SOL_PACKET, PACKET_RESERVE, &reserve, 4), 0);
        CHECK_EQ(sock_setopt(ring, SOL_PACKET, PACKET_RX_RING, &q, offsetof(struct packet_ring_request, timeout_ms)), 0);
        wire_in(f, sizeof f);
        CHECK_EQ(sock_map_page(ring, 0, &pg), 0);
        CHECK_EQ(get_u32(page_virt(pg)) & 1, reserve == 65400);
        page_put(pg);
        sock_release(ring);
    }
    check_no_leak();
}
