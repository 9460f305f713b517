/* SPDX-License-Identifier: Apache-2.0 */
/* virtio-net: frames both ways, offloads, merged buffers, a full ring, memory that runs out, hostile headers. */
#include "fake.h"
#include "kern/bh.h"
#include "kern/drivers.h"
#include "kern/netdev.h"

#define FEATURES (VIRTIO_F_EVENT_IDX | 1u << 0 | 1u << 1 | 1u << 5 | 1u << 7 | 1u << 11 | 1u << 15 | 1u << 16)
#define NEEDS_CSUM 1

struct hdr {
    u8 flags, gso_type;
    u16 hdr_len, gso_size, csum_start, csum_offset, num_buffers;
};

static struct fake f;
static struct netdev *dev;
static struct fake_chain rx[512];
static unsigned rx_first, rx_count;
static u8 sent[70000];
static u32 sent_len, sent_segs;
static unsigned sent_frames;
static struct list received = LIST_INIT(received);
static unsigned received_count, batches;

static void serve(struct fake *d, struct fake_chain *c)
{
    if (c->queue == 0) {
        CHECK(rx_count - rx_first < ARRAY_SIZE(rx));
        rx[rx_count++ % ARRAY_SIZE(rx)] = *c;
        return;
    }
    CHECK_EQ(c->queue, 1);
    sent_len = 0;
    sent_segs = c->nout;
    sent_frames++;
    for (unsigned i = 0; i < c->nout; i++) {
        CHECK(sent_len + c->seg[i].len <= sizeof(sent));
        fake_copy_out(c, i, sent + sent_len, c->seg[i].len);
        sent_len += c->seg[i].len;
    }
    fake_finish(d, 1, c->head, 0);
}

static void input(struct netdev *d, struct pkt *p)
{
    CHECK(d == dev);
    list_push_back(&received, &p->node);
    received_count++;
}

static void input_done(struct netdev *d, bool more) { batches++; }

static void start(u64 features)
{
    pkt_init();
    fake_init(&f, VIRTIO_ID_NET, features);
    memcpy(f.config, "\x52\x54\0\x12\x34\x56", 6);
    f.config[6] = 1;
    f.serve = serve;
    CHECK_EQ(virtio_net_driver.probe(&f.vd), 0);
    CHECK_EQ(f.status, 0); /* untouched until opened */
    dev = netdev_find("eth0");
    CHECK(dev != NULL);
    dev->input = input;
    dev->input_done = input_done;
    CHECK_EQ(dev->ops->open(dev), 0);
    dev->opened = true;
    CHECK_EQ(f.status, 15);
    fake_start(&f);
    fake_sleep(NSEC_PER_MSEC);
}

static void stop(void)
{
    f.on = false;
    fake_sleep(NSEC_PER_MSEC);
    dev->ops->stop(dev);
    struct list *n;
    while ((n = list_pop_front(&received)) != NULL)
        pkt_free(list_entry(n, struct pkt, node));
    CHECK_EQ(pkt_in_use(), 0);
}

/* A frame from the device through as many buffers as it takes. */
static void deliver(const struct hdr *h, const u8 *frame, u32 len)
{
    struct hdr head = *h;
    u32 room = rx[rx_first % ARRAY_SIZE(rx)].seg[0].len, total = len + 12, off = 0;
    unsigned n = (total + room - 1) / room;
    if (head.num_buffers == 0)
        head.num_buffers = (u16)n;
    CHECK(rx_count - rx_first >= n);
    static u8 buf[70000];
    memcpy(buf, &head, 12);
    memcpy(buf + 12, frame, len);
    bh_disable(); /* a device shows all buffers of a frame at once (5.1.6.4) */
    for (unsigned i = 0; i < n; i++) {
        struct fake_chain *c = &rx[rx_first++ % ARRAY_SIZE(rx)];
        u32 part = MIN(room, total - off);
        fake_copy_in(c, 0, buf + off, part);
        off += part;
        fake_finish(&f, 0, c->head, part);
    }
    bh_enable();
}

static struct pkt *take(void)
{
    fake_sleep(NSEC_PER_MSEC);
    CHECK(!list_empty(&received));
    return list_entry(list_pop_front(&received), struct pkt, node);
}

static u8 frame[66000];

TEST(receive)
{
    struct hdr none = { 0 };
    u8 copy[2000];
    start(FEATURES);
    CHECK(dev->features & NETDEV_RX_GRO);
    CHECK_MEM(dev->mac, "\x52\x54\0\x12\x34\x56", 6);
    for (unsigned i = 0; i < sizeof(frame); i++)
        frame[i] = (u8)(i * 13);
    deliver(&none, frame, 60);
    struct pkt *p = take();
    CHECK_EQ(p->total_len, 60);
    CHECK_EQ(p->csum, PKT_CSUM_NONE);
    CHECK_EQ((uintptr_t)(p->data + 14) % 4, 0);
    CHECK_MEM(p->data, frame, 60);
    pkt_free(p);
    for (unsigned i = 0; i < 1000; i++) {
        deliver(&none, frame + i, 1514);
        p = take();
        CHECK_EQ(pkt_copy_out(p, 0, copy, 2000), 1514);
        CHECK_MEM(copy, frame + i, 1514);
        pkt_free(p);
    }
    CHECK(batches > 0);
    stop();
}

TEST(merged_buffers)
{
    struct hdr tso = { .flags = NEEDS_CSUM, .gso_type = 1, .gso_size = 1448, .hdr_len = 66, .csum_start = 34, .csum_offset = 16 };
    static u8 copy[66000];
    start(FEATURES);
    for (u32 len = 1500; len <= 65549; len += 6101) {
        deliver(&tso, frame, len);
        struct pkt *p = take();
        CHECK_EQ(p->total_len, len);
        CHECK_EQ(p->gso, PKT_GSO_TCP4);
        CHECK_EQ(p->gso_size, 1448);
        CHECK_EQ(p->csum, PKT_CSUM_PARTIAL);
        CHECK_EQ(p->csum_start, 34);
        CHECK_EQ(pkt_copy_out(p, 0, copy, len), len);
        CHECK_MEM(copy, frame, len);
        pkt_free(p);
    }
    stop();
}

TEST(hostile_headers)
{
    struct hdr h = { .flags = NEEDS_CSUM, .csum_start = 50, .csum_offset = 20 };
    start(FEATURES);
    deliver(&h, frame, 60); /* the sum lies behind the end */
    h.csum_start = h.csum_offset = 0xffff;
    deliver(&h, frame, 60);
    h = (struct hdr){ .gso_type = 1 }; /* segments of nothing */
    deliver(&h, frame, 60);
    h = (struct hdr){ .gso_type = 77, .gso_size = 1 };
    deliver(&h, frame, 60);
    h = (struct hdr){ .num_buffers = 0xffff };
    deliver(&h, frame, 60);
    fake_finish(&f, 0, rx[rx_first++ % ARRAY_SIZE(rx)].head, 5); /* shorter than a header */
    fake_sleep(NSEC_PER_MSEC);
    CHECK_EQ(received_count, 0);
    CHECK(netdev_stats(dev).rx_errors >= 6);
    h = (struct hdr){ 0 };
    deliver(&h, frame, 100);
    pkt_free(take());
    stop();
}

static void send(struct pkt *p)
{
    bh_disable();
    dev->ops->transmit(dev, p);
    dev->ops->kick(dev, 0);
    bh_enable();
}

TEST(transmit)
{
    struct hdr h;
    start(FEATURES);
    struct pkt *p = pkt_alloc(64, 1500);
    memcpy(pkt_put(p, 200), frame, 200);
    p->total_len = 200;
    p->csum = PKT_CSUM_PARTIAL;
    p->csum_start = 34;
    p->csum_offset = 16;
    p->gso = PKT_GSO_TCP4;
    p->gso_size = 1000;
    p->gso_hdr_len = 54;
    send(p);
    fake_sleep(NSEC_PER_MSEC);
    CHECK_EQ(sent_len, 212);
    memcpy(&h, sent, 12);
    CHECK_EQ(h.flags, NEEDS_CSUM);
    CHECK_EQ(h.csum_start, 34);
    CHECK_EQ(h.gso_type, 1);
    CHECK_EQ(h.gso_size, 1000);
    CHECK_MEM(sent + 12, frame, 200);
    /* Shared storage may not be written: the header goes elsewhere. */
    p = pkt_alloc(64, 1500);
    memcpy(pkt_put(p, 300), frame, 300);
    p->total_len = 300;
    struct pkt *v = pkt_view(p, 100, 200);
    memset(p->data, 0xee, 100);
    send(v);
    fake_sleep(NSEC_PER_MSEC);
    CHECK_EQ(sent_len, 212);
    CHECK_MEM(sent + 12, frame + 100, 200);
    for (unsigned i = 0; i < 100; i++)
        CHECK_EQ(p->data[i], 0xee);
    CHECK_EQ(sent_segs, 2);
    /* But what is in front of a view may be its own. */
    v = pkt_view(p, 100, 200);
    v->front = true;
    send(v);
    fake_sleep(NSEC_PER_MSEC);
    CHECK_EQ(sent_len, 212);
    CHECK_EQ(sent_segs, 1);
    CHECK_MEM(sent + 12, frame + 100, 200);
    for (unsigned i = 0; i < 100; i++)
        CHECK_EQ(p->data[i], i < 88 ? 0xee : sent[i - 88]);
    pkt_free(p);
    stop();
}

TEST(long_chains)
{
    start(FEATURES);
    struct pkt *whole = pkt_alloc(64, 1500);
    memcpy(pkt_put(whole, 1400), frame, 1400);
    whole->total_len = 1400;
    struct pkt *p = NULL;
    for (unsigned i = 0; i < 140; i++) { /* more views than a ring entry takes */
        struct pkt *v = pkt_view(whole, i * 10, 10);
        if (p == NULL)
            p = v;
        else
            pkt_append(p, v);
    }
    CHECK_EQ(p->total_len, 1400);
    send(p);
    fake_sleep(NSEC_PER_MSEC);
    CHECK_EQ(sent_len, 1412);
    CHECK_MEM(sent + 12, frame, 1400);
    pkt_free(whole);
    stop();
}

TEST(a_full_ring_waits)
{
    start(FEATURES);
    f.held = 100;
    unsigned n = 0;
    bh_disable();
    for (; n < 2000; n++) {
        struct pkt *p = pkt_alloc(64, 100);
        pkt_put(p, 60);
        p->total_len = 60;
        if (dev->ops->transmit(dev, p) != 0)
            break;
    }
    dev->ops->kick(dev, 0);
    bh_enable();
    CHECK(n > 300 && n < 2000); /* the ring and a bounded queue, then drops */
    fake_sleep(100 * NSEC_PER_MSEC);
    CHECK_EQ(sent_frames, n);
    CHECK_EQ(netdev_stats(dev).tx_dropped, 1);
    stop();
}

TEST(sent_packets_are_freed_without_further_traffic)
{
    start(FEATURES);
    u32 before = pkt_in_use();
    struct pkt *p = pkt_alloc(64, 100);
    pkt_put(p, 60);
    p->total_len = 60;
    send(p);
    fake_sleep(100 * NSEC_PER_MSEC);
    CHECK_EQ(pkt_in_use(), before);
    stop();
}

TEST(survives_a_time_without_memory)
{
    struct hdr none = { 0 };
    start(FEATURES);
    sim_fail_allocations(1);
    while (rx_first != rx_count) /* use up every buffer */
        deliver(&none, frame, 100);
    fake_sleep(5 * NSEC_PER_MSEC);
    CHECK_EQ(rx_first, rx_count);
    sim_fail_allocations(0);
    fake_sleep(100 * NSEC_PER_MSEC);
    CHECK(rx_count - rx_first >= 16);
    unsigned before = received_count;
    deliver(&none, frame, 100);
    fake_sleep(NSEC_PER_MSEC);
    CHECK_EQ(received_count, before + 1);
    stop();
}

TEST(opens_again)
{
    struct hdr none = { 0 };
    start(FEATURES & ~VIRTIO_F_EVENT_IDX);
    deliver(&none, frame, 100);
    pkt_free(take());
    f.on = false;
    fake_sleep(NSEC_PER_MSEC);
    dev->ops->stop(dev);
    CHECK_EQ(pkt_in_use(), 0);
    CHECK_EQ(f.status, 0);
    rx_first = rx_count = 0;
    CHECK_EQ(dev->ops->open(dev), 0);
    fake_start(&f);
    fake_sleep(NSEC_PER_MSEC);
    deliver(&none, frame, 100);
    pkt_free(take());
    stop();
}

static unsigned link_changes;
static void link_changed(struct netdev *d) { link_changes++; }

TEST(link_status)
{
    start(FEATURES);
    dev->link_changed = link_changed;
    CHECK(dev->link_up);
    f.config[6] = 0;
    fake_interrupt(&f, true);
    fake_sleep(NSEC_PER_MSEC);
    CHECK(!dev->link_up);
    CHECK_EQ(link_changes, 1);
    stop();
}
