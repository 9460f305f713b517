/* SPDX-License-Identifier: Apache-2.0 */
/* virtio-net with several pairs of queues: announced, each served by its CPU, and devices that refuse, fall silent or lie. */
#include "fake.h"
#include "kern/bh.h"
#include "kern/drivers.h"
#include "kern/netdev.h"
#include "kern/percpu.h"

#define F_CTRL_VQ (1u << 17)
#define F_MQ (1u << 22)
#define FEATURES (VIRTIO_F_EVENT_IDX | 1u << 5 | 1u << 15 | 1u << 16 | F_CTRL_VQ | F_MQ)
#define PAIRS 4u /* the device's; its control queue is number 8 */
#define BUFFERS 512u

static struct fake f;
static struct netdev *dev;
static struct fake_chain rx[PAIRS][BUFFERS];
static unsigned rx_first[PAIRS], rx_count[PAIRS], sent[PAIRS], received[MAX_CPUS], commands;
static u8 answer;     /* to the command */
static bool silent;   /* no answer */
static u8 command[4];

static void serve(struct fake *d, struct fake_chain *c)
{
    if (c->queue == 2 * PAIRS) {
        CHECK_EQ(c->nout, 2);
        CHECK_EQ(c->nin, 1);
        fake_copy_out(c, 0, command, 2);
        fake_copy_out(c, 1, command + 2, 2);
        commands++;
        if (!silent) {
            fake_copy_in(c, 0, &answer, 1);
            fake_finish(d, c->queue, c->head, 1);
        }
    } else if (c->queue % 2 == 0) {
        unsigned pair = c->queue / 2;
        CHECK(rx_count[pair] - rx_first[pair] < BUFFERS);
        rx[pair][rx_count[pair]++ % BUFFERS] = *c;
    } else {
        sent[c->queue / 2]++;
        fake_finish(d, c->queue, c->head, 0);
    }
}

static void input(struct netdev *d, struct pkt *p)
{
    CHECK(bh_is_disabled());
    received[this_cpu()->cpu]++;
    pkt_free(p);
}

static void start(u16 pairs_of_device)
{
    pkt_init();
    fake_init(&f, VIRTIO_ID_NET, FEATURES);
    memcpy(f.config, "\x52\x54\0\x12\x34\x56\1", 7);
    memcpy(f.config + 8, &pairs_of_device, 2);
    f.serve = serve;
    CHECK_EQ(virtio_net_driver.probe(&f.vd), 0);
    dev = netdev_find("eth0");
    dev->input = input;
    fake_start(&f);
    CHECK_EQ(dev->ops->open(dev), 0);
    dev->opened = true;
    fake_sleep(NSEC_PER_MSEC);
}

static void stop(void)
{
    f.on = false;
    fake_sleep(NSEC_PER_MSEC);
    dev->ops->stop(dev);
    CHECK_EQ(pkt_in_use(), 0);
}

static void deliver(unsigned pair)
{
    static const u8 frame[12 + 60] = { [10] = 1 };
    CHECK(rx_count[pair] != rx_first[pair]);
    struct fake_chain *c = &rx[pair][rx_first[pair]++ % BUFFERS];
    fake_copy_in(c, 0, frame, sizeof frame);
    fake_finish(&f, (u16)(2 * pair), c->head, sizeof frame);
}

static void send(unsigned queue)
{
    struct pkt *p = pkt_alloc(64, 100);
    pkt_put(p, 60);
    p->total_len = 60;
    p->queue = (u16)queue;
    bh_disable();
    CHECK_EQ(dev->ops->transmit(dev, p), 0);
    dev->ops->kick(dev, queue);
    bh_enable();
}

/* One pair alone, and it works. */
static void check_single(void)
{
    CHECK_EQ(dev->queues, 0);
    send(0);
    deliver(0);
    fake_sleep(NSEC_PER_MSEC);
    CHECK_EQ(sent[0], 1);
    CHECK_EQ(received[0] + received[1] + received[2], 1);
    stop();
}

TEST_CPUS(a_pair_for_each_cpu, 3)
{
    start(PAIRS);
    CHECK_EQ(commands, 1);
    CHECK_MEM(command, "\4\0\3\0", 4);
    CHECK_EQ(dev->queues, 3);
    for (unsigned round = 0; round < 100; round++) {
        for (unsigned pair = 0; pair < 3; pair++) {
            send(pair);
            deliver(pair);
            if (sim_chance(2))
                deliver(pair);
        }
        fake_sleep(sim_chance(2) ? NSEC_PER_MSEC : 5000);
    }
    fake_sleep(20 * NSEC_PER_MSEC);
    for (unsigned pair = 0; pair < 3; pair++) {
        CHECK_EQ(sent[pair], 100);
        CHECK_EQ(received[pair], rx_first[pair]); /* all of it, where it belongs */
    }
    CHECK_EQ(netdev_stats(dev).rx_packets, rx_first[0] + rx_first[1] + rx_first[2]);
    CHECK_EQ(netdev_stats(dev).tx_packets, 300);
    CHECK(dev->ops->idle(dev));
    stop();
}

/* The device has sent what was posted, and its interrupt, the line of all pairs, comes to CPU 0 when a further transmit has taken that
 * back already: for those that wait for room it is the only one. */
TEST_CPUS(packets_that_wait_hear_of_room, 2)
{
    enum { COUNT = 400 };
    start(PAIRS);
    CHECK_EQ(thread_set_affinity(current_thread(), 1), 0);
    fake_sleep(1000);
    f.broken = true; /* it rests */
    for (unsigned i = 0; i < COUNT; i++)
        send(1);
    struct virtq *tx = f.q[3];
    while (f.seen[3] != tx->avail->idx) {
        struct fake_chain c;
        fake_chain(&f, 3, &c);
        tx->used->ring[tx->used->idx % tx->size] = (struct vq_used_elem){ c.head, 0 };
        tx->used->idx++;
        sent[1]++;
    }
    CHECK(sent[1] < COUNT);
    send(1);
    f.broken = false;
    fake_interrupt(&f, false);
    fake_sleep(NSEC_PER_MSEC); /* the timer of what was sent last would come after 10 */
    CHECK_EQ(sent[1], COUNT + 1);
    stop();
}

TEST_CPUS(opens_again, 2)
{
    start(PAIRS);
    CHECK_MEM(command, "\4\0\2\0", 4);
    f.on = false;
    fake_sleep(NSEC_PER_MSEC);
    dev->ops->stop(dev);
    CHECK_EQ(pkt_in_use(), 0);
    memset(rx_first, 0, sizeof rx_first);
    memset(rx_count, 0, sizeof rx_count);
    fake_start(&f);
    CHECK_EQ(dev->ops->open(dev), 0);
    fake_sleep(NSEC_PER_MSEC);
    CHECK_EQ(commands, 2);
    deliver(1);
    fake_sleep(NSEC_PER_MSEC);
    CHECK_EQ(received[1], 1);
    stop();
}

TEST_CPUS(one_cpu_wants_one_pair, 1)
{
    start(PAIRS);
    CHECK_EQ(f.accepted & (F_CTRL_VQ | F_MQ), 0);
    CHECK_EQ(commands, 0);
    check_single();
}

TEST_CPUS(a_device_that_refuses, 3)
{
    answer = 1;
    start(PAIRS);
    CHECK_EQ(commands, 1);
    check_single();
}

TEST_CPUS(a_device_that_does_not_answer, 3)
{
    silent = true;
    start(PAIRS);
    CHECK_EQ(commands, 1);
    check_single();
}

TEST_CPUS(impossible_numbers_of_pairs, 3)
{
    static const u16 lies[] = { 0, 1, 0x8000, 0xffff };
    u16 lie = lies[sim_seed() % ARRAY_SIZE(lies)];
    start(lie);
    CHECK_EQ(f.accepted & F_MQ, 0);
    check_single();
}

/* More than it has queues for: those that are there are used, or one where the control queue is not where it should be. */
TEST_CPUS(fewer_queues_than_announced, 3)
{
    start(100);
    CHECK_EQ(commands, 0);
    check_single();
}
