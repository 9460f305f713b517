/* SPDX-License-Identifier: Apache-2.0 */
/* The devices of plat/host on real descriptors: socket pairs stand for TAP, stream and ports, a file for a disk. */
#include "../device.h"
#include "../frames.h"
#include "base/bytes.h"
#include "kern/bh.h"
#include "kern/blkdev.h"
#include "kern/chardev.h"
#include "kern/netdev.h"
#include "kern/vnet_hdr.h"
#include "sim/test.h"

#include <signal.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <unistd.h>

/* --- Linux below ---------------------------------------------------------------------- */

static void (*nothing_read)(void); /* once, behind the next call that says EAGAIN */

long host_call(long nr, ...)
{
    va_list ap;
    va_start(ap, nr);
    long a = va_arg(ap, long), b = va_arg(ap, long), c = va_arg(ap, long);
    register long d __asm__("r10") = va_arg(ap, long);
    register long e __asm__("r8") = va_arg(ap, long);
    register long f __asm__("r9") = va_arg(ap, long);
    va_end(ap);
    long r;
    __asm__ volatile("syscall" : "=a"(r) : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(d), "r"(e), "r"(f) : "rcx", "r11", "memory");
    void (*then)(void) = nothing_read;
    if (r == -EAGAIN && then != NULL) {
        nothing_read = NULL;
        then();
    }
    return r;
}

static struct host_source *sources[HOST_MAX_SOURCES];
static unsigned nsources;

void host_timer_resume(void) {}
void host_sources_changed(void) {} /* every test asks anew */

int host_source_add(struct host_source *s)
{
    if (nsources == HOST_MAX_SOURCES)
        return -ENOSPC;
    sources[nsources++] = s;
    return 0;
}

/* One look at all sources, as the idle CPU does it. Returns how many had something. */
static unsigned look(void)
{
    struct { int fd; short events, revents; } poll[HOST_MAX_SOURCES];
    unsigned fired = 0;
    for (unsigned i = 0; i < nsources; i++) {
        poll[i].fd = sources[i]->events != 0 ? sources[i]->fd : -1;
        poll[i].events = sources[i]->events;
        poll[i].revents = 0;
    }
    CHECK(host_call(7 /* poll */, (long)poll, (long)nsources, 0L) >= 0);
    u64 flags = plat_events_save();
    irq_enter();
    for (unsigned i = 0; i < nsources; i++) {
        if (poll[i].revents == 0)
            continue;
        sources[i]->fn(sources[i]->arg);
        fired++;
    }
    irq_exit();
    plat_events_restore(flags);
    return fired;
}

/* Until there is nothing; a source that never becomes quiet is a spin. */
static void settle(void)
{
    for (unsigned i = 0; look() > 0; i++)
        CHECK(i < 1000);
}

static struct host_boot boot;
paddr_t host_disk_memory(int fd, u64 *ret_len_bytes) { return 0; }
struct sieve *host_sieve(void) { return (struct sieve *)(void *)&boot; }
const struct host_boot *host_boot = &boot;
static int host_end[HOST_MAX_DEVICES];

static struct host_device *entry(u32 kind, const char *name)
{
    unsigned i = boot.ndevices++;
    struct host_device *h = &boot.devices[i];
    *h = (struct host_device){ .kind = kind, .fd = HOST_FD_FIRST_DEVICE + i, .mtu = 1500, .mac = { 2, 0, 0, 0, 0, 7 } };
    str_copy(h->name, name, sizeof(h->name));
    return h;
}

/* The device's end lies where the table says, the host's end is host_end[]. */
static unsigned add_pair(u32 kind, int type, const char *name)
{
    int pair[2];
    unsigned i = boot.ndevices;
    signal(SIGPIPE, SIG_IGN);
    CHECK_EQ(socketpair(AF_UNIX, type | SOCK_NONBLOCK, 0, pair), 0);
    entry(kind, name);
    CHECK(dup2(pair[1], 100 + (int)i) >= 0 && dup2(pair[0], HOST_FD_FIRST_DEVICE + (int)i) >= 0);
    host_end[i] = 100 + (int)i;
    for (unsigned k = 0; k < 2; k++)
        if (pair[k] != HOST_FD_FIRST_DEVICE + (int)i)
            close(pair[k]);
    return i;
}

/* --- cards ------------------------------------------------------------------------------ */

static struct netdev *dev;
static struct list received = LIST_INIT(received);
static unsigned received_count, batches, link_changes;
static u8 bytes[70000], copy[70000];

static void input(struct netdev *d, struct pkt *p)
{
    CHECK(d == dev);
    list_push_back(&received, &p->node);
    received_count++;
}

static void input_done(struct netdev *d, bool more) { batches++; }
static void link_changed(struct netdev *d) { link_changes++; }

static int start(u32 kind, u32 flags)
{
    pkt_init();
    unsigned i = add_pair(kind, kind == HOST_TAP ? SOCK_SEQPACKET : SOCK_STREAM, "net");
    boot.devices[i].flags = flags;
    plat_discover_devices();
    dev = netdev_find("eth0");
    CHECK(dev != NULL);
    CHECK_EQ(look(), 0); /* untouched until it is opened */
    dev->input = input;
    dev->input_done = input_done;
    dev->link_changed = link_changed;
    CHECK_EQ(dev->ops->open(dev), 0);
    for (unsigned k = 0; k < sizeof(bytes); k++)
        bytes[k] = (u8)(k * 13 + k / 256);
    return host_end[i];
}

static struct pkt *take(void)
{
    settle();
    CHECK(!list_empty(&received));
    return list_entry(list_pop_front(&received), struct pkt, node);
}

static void stop(void)
{
    struct list *n;
    while ((n = list_pop_front(&received)) != NULL)
        pkt_free(list_entry(n, struct pkt, node));
    dev->ops->stop(dev);
    CHECK_EQ(pkt_in_use(), 0);
    CHECK_EQ(look(), 0);
}

static void deliver(int fd, const struct vnet_hdr *h, const u8 *frame, u32 len)
{
    static u8 buf[80000];
    int room = 1 << 20;
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
    memcpy(buf, h, VNET_HDR_LEN);
    memcpy(buf + VNET_HDR_LEN, frame, len);
    CHECK_EQ(write(fd, buf, VNET_HDR_LEN + len), VNET_HDR_LEN + len);
}

static const struct vnet_hdr plain, large = {
    .flags = 1, .gso_type = 1, .gso_size = 1448, .hdr_len = 66, .csum_start = 34, .csum_offset = 16
};

TEST(tap_receive)
{
    int fd = start(HOST_TAP, 0);
    CHECK_EQ(dev->features, 0);
    CHECK(dev->sieve == host_sieve());
    CHECK_MEM(dev->mac, "\2\0\0\0\0\7", 6);
    for (u32 len = 14; len <= 1514; len += 100) {
        deliver(fd, &plain, bytes + len, len);
        struct pkt *p = take();
        CHECK_EQ(p->total_len, len);
        CHECK_EQ(p->len, len);
        CHECK_EQ(p->csum, PKT_CSUM_NONE);
        CHECK(p->dev == dev);
        CHECK_EQ((uintptr_t)(p->data + 14) % 4, 0);
        CHECK_MEM(p->data, bytes + len, len);
        pkt_free(p);
    }
    for (unsigned i = 0; i < 150; i++)
        deliver(fd, &plain, bytes + i, 60);
    batches = received_count = 0;
    look();
    CHECK_EQ(received_count, 150); /* the bottom half goes on until there is nothing */
    CHECK_EQ(batches, 3);
    for (unsigned i = 0; i < 150; i++) {
        struct pkt *p = take();
        CHECK_MEM(p->data, bytes + i, 60);
        pkt_free(p);
    }
    stop();
}

TEST(tap_large_frames)
{
    int fd = start(HOST_TAP, HOST_TSO);
    CHECK((dev->features & NETDEV_RX_GRO) != 0 && (dev->features & NETDEV_TX_TSO6) != 0);
    for (u32 len = 100; len <= 65549; len += 911) {
        deliver(fd, &large, bytes, len);
        struct pkt *p = take();
        CHECK_EQ(p->total_len, len);
        CHECK_EQ(p->gso, PKT_GSO_TCP4);
        CHECK_EQ(p->gso_size, 1448);
        CHECK_EQ(p->csum, PKT_CSUM_PARTIAL);
        CHECK_EQ(p->csum_start, 34);
        CHECK_EQ(pkt_copy_out(p, 0, copy, sizeof(copy)), len);
        CHECK_MEM(copy, bytes, len);
        CHECK(pkt_truesize(p) < 3 * len + 4096); /* a little data does not pin much memory */
        pkt_free(p);
    }
    struct vnet_hdr six = large;
    six.gso_type = 4 | 0x80;
    deliver(fd, &six, bytes, 3000);
    struct pkt *p = take();
    CHECK_EQ(p->gso, PKT_GSO_TCP6);
    pkt_free(p);
    stop();
}

TEST(tap_hostile_headers)
{
    struct vnet_hdr h = { .flags = 1, .csum_start = 50, .csum_offset = 20 };
    int fd = start(HOST_TAP, 0);
    deliver(fd, &h, bytes, 60); /* the sum lies behind the end */
    h.csum_start = h.csum_offset = 0xffff;
    deliver(fd, &h, bytes, 60);
    deliver(fd, &large, bytes, 1000); /* nobody agreed on it */
    deliver(fd, &plain, bytes, 0);
    deliver(fd, &plain, bytes, 9000); /* cut off */
    CHECK_EQ(write(fd, bytes, 5), 5);
    settle();
    CHECK_EQ(received_count, 0);
    CHECK_EQ(dev->stats.rx_errors, 6);
    CHECK(dev->link_up);
    deliver(fd, &plain, bytes, 100);
    pkt_free(take());
    stop();
}

TEST(tap_hostile_gso)
{
    int fd = start(HOST_TAP, HOST_TSO);
    struct vnet_hdr h = large;
    h.gso_size = 0;
    deliver(fd, &h, bytes, 3000);
    h.gso_size = 1448;
    h.gso_type = 77;
    deliver(fd, &h, bytes, 3000);
    deliver(fd, &large, bytes, 69000);
    h = large;
    h.hdr_len = 0xffff;
    deliver(fd, &h, bytes, 3000);
    struct pkt *p = take();
    CHECK(p->gso_hdr_len <= p->total_len);
    pkt_free(p);
    CHECK_EQ(received_count, 1);
    CHECK_EQ(dev->stats.rx_errors, 3);
    stop();
}

TEST(tap_without_memory)
{
    int fd = start(HOST_TAP, HOST_TSO);
    for (unsigned i = 0; i < 20; i++)
        deliver(fd, &large, bytes, 40000);
    sim_fail_allocations(1);
    settle();
    sim_fail_allocations(0);
    CHECK_EQ(received_count, 0);
    CHECK_EQ(dev->stats.rx_dropped, 20);
    unsigned failing = 3;
    for (unsigned i = 0; i < 200; i++) {
        deliver(fd, &large, bytes, 40000);
        sim_fail_allocations(failing);
        settle();
        sim_fail_allocations(0);
        struct list *n = list_pop_front(&received);
        if (n == NULL)
            continue;
        struct pkt *p = list_entry(n, struct pkt, node);
        CHECK_EQ(pkt_copy_out(p, 0, copy, sizeof(copy)), 40000);
        CHECK_MEM(copy, bytes, 40000);
        pkt_free(p);
    }
    stop();
}

/* A packet of `views` views, len bytes of `bytes` at off. */
static struct pkt *chain(u32 off, u32 len, unsigned views)
{
    struct pkt *first = NULL;
    for (unsigned i = 0; i < views; i++) {
        u32 n = i + 1 < views ? len / views : len - len / views * (views - 1);
        struct pkt *p = pkt_alloc(0, n);
        CHECK(p != NULL);
        memcpy(pkt_put(p, n), bytes + off, n);
        off += n;
        if (first == NULL)
            first = p;
        else
            pkt_append(first, p);
    }
    return first;
}

static int send_packet(struct pkt *p)
{
    bh_disable();
    int err = dev->ops->transmit(dev, p);
    dev->ops->kick(dev, 0);
    bh_enable();
    return err;
}

TEST(tap_transmit)
{
    struct vnet_hdr h;
    int fd = start(HOST_TAP, HOST_TSO);
    for (unsigned views = 1; views <= 90; views++) { /* more than one call takes: copied */
        struct pkt *p = chain(views, 9000, views);
        p->csum = PKT_CSUM_PARTIAL;
        p->csum_start = 34;
        p->csum_offset = 16;
        p->gso = PKT_GSO_TCP6;
        p->gso_size = 1400;
        p->gso_hdr_len = 74;
        CHECK_EQ(send_packet(p), 0);
        CHECK_EQ(read(fd, copy, sizeof(copy)), VNET_HDR_LEN + 9000);
        memcpy(&h, copy, VNET_HDR_LEN);
        CHECK(h.flags == 1 && h.csum_start == 34 && h.csum_offset == 16 && h.gso_type == 4 && h.gso_size == 1400 &&
              h.hdr_len == 74);
        CHECK_MEM(copy + VNET_HDR_LEN, bytes + views, 9000);
    }
    CHECK_EQ(dev->stats.tx_packets, 90);
    CHECK_EQ(dev->stats.tx_bytes, 90 * 9000);
    stop();
}

TEST(tap_full)
{
    int fd = start(HOST_TAP, 0);
    unsigned sent = 0, tried = 0, got = 0;
    while (send_packet(chain(tried, 1000, 2)) == 0) {
        sent++;
        tried++;
        CHECK(tried < 5000);
    }
    CHECK_EQ(dev->stats.tx_dropped, 1);
    CHECK(!dev->ops->idle(dev));
    CHECK_EQ(look(), 0); /* no room: nothing to do, and no spinning */
    for (unsigned round = 0; round < 5000 && got < sent; round++) {
        for (unsigned i = 0; i < 7 && read(fd, copy, sizeof(copy)) == VNET_HDR_LEN + 1000; i++)
            CHECK_MEM(copy + VNET_HDR_LEN, bytes + got++, 1000);
        settle();
    }
    CHECK_EQ(got, sent);
    CHECK(dev->ops->idle(dev));
    CHECK_EQ(send_packet(chain(0, 100, 1)), 0);
    CHECK_EQ(read(fd, copy, sizeof(copy)), VNET_HDR_LEN + 100);
    stop();
}

TEST(tap_taken_away)
{
    int fd = start(HOST_TAP, 0);
    deliver(fd, &plain, bytes, 100);
    close(fd);
    pkt_free(take());
    settle();
    CHECK(!dev->link_up);
    CHECK_EQ(link_changes, 1);
    CHECK_EQ(look(), 0);
    CHECK_EQ(send_packet(chain(0, 100, 1)), -ENOBUFS);
    CHECK(dev->ops->idle(dev));
    stop();
}

/* --- streams of frames ------------------------------------------------------------------ */

static u32 put_frame(u8 *at, u32 len, u32 off)
{
    put_be32(at, len);
    memcpy(at + FRAME_PREFIX, bytes + off, len);
    return FRAME_PREFIX + len;
}

TEST(frame_parser)
{
    static u8 buf[4096], wire[200000];
    static const u32 sizes[] = { 1, 60, 1514, 1518, 2, 700 };
    for (unsigned k = 0; k < sizeof(bytes); k++)
        bytes[k] = (u8)(k * 7);
    u32 total = 0;
    for (unsigned i = 0; i < 120; i++)
        total += put_frame(wire + total, sizes[i % 6], i);
    for (u32 step = 1; step < 5000; step = step * 3 + 1) { /* however the stream is cut */
        struct frame_stream s = { .buf = buf, .size = sizeof(buf), .max = 1518 };
        const u8 *frame;
        unsigned n = 0;
        int len;
        for (u32 at = 0; at < total;) {
            u32 room;
            u8 *to = frames_room(&s, &room);
            CHECK(room > 0);
            u32 part = MIN(MIN(room, step), total - at);
            memcpy(to, wire + at, part);
            frames_added(&s, part);
            at += part;
            for (; (len = frames_next(&s, &frame)) > 0; n++) {
                CHECK_EQ(len, sizes[n % 6]);
                CHECK_MEM(frame, bytes + n, (size_t)len);
            }
            CHECK_EQ(len, 0);
        }
        CHECK_EQ(n, 120);
    }
    static const u32 wrong[] = { 0, 1519, 0x7fffffff, 0xffffffff };
    for (unsigned i = 0; i < ARRAY_SIZE(wrong); i++) {
        struct frame_stream s = { .buf = buf, .size = sizeof(buf), .max = 1518 };
        const u8 *frame;
        put_be32(buf, wrong[i]);
        frames_added(&s, 4);
        CHECK_EQ(frames_next(&s, &frame), -EPROTO);
    }
}

TEST(stream_receive)
{
    int fd = start(HOST_FRAMES, 0);
    static u8 wire[300000];
    u32 total = 0, at = 0;
    for (unsigned i = 0; i < 200; i++)
        total += put_frame(wire + total, 60 + i * 7, i);
    while (at < total) {
        u32 part = MIN(1 + (u32)(sim_random() % 30000), total - at);
        ssize_t n = write(fd, wire + at, part);
        if (n > 0)
            at += (u32)n;
        settle();
    }
    CHECK_EQ(received_count, 200);
    for (unsigned i = 0; i < 200; i++) {
        struct pkt *p = take();
        CHECK_EQ(p->total_len, 60 + i * 7);
        CHECK_EQ((uintptr_t)(p->data + 14) % 4, 0);
        CHECK_MEM(p->data, bytes + i, 60 + i * 7);
        pkt_free(p);
    }
    stop();
}

TEST(stream_transmit)
{
    int fd = start(HOST_FRAMES, 0), small = 4096;
    setsockopt(HOST_FD_FIRST_DEVICE, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
    static u8 wire[3000000];
    u32 want = 0, got = 0;
    for (unsigned i = 0; i < 1000; i++) { /* partial writes, several frames a call, a full queue */
        u32 len = 60 + i % 1455;
        bh_disable();
        if (dev->ops->transmit(dev, chain(i, len, 1 + i % 5)) == 0)
            want += put_frame(wire + want, len, i);
        if (i % 3 == 0)
            dev->ops->kick(dev, 0);
        bh_enable();
        if (i % 50 == 0) {
            ssize_t n = read(fd, copy, 3000);
            if (n > 0) {
                CHECK_MEM(copy, wire + got, (size_t)n);
                got += (u32)n;
            }
            settle();
        }
    }
    CHECK(dev->stats.tx_dropped > 0);
    dev->ops->kick(dev, 0);
    CHECK_EQ(look(), 0);
    while (got < want) {
        ssize_t n = read(fd, copy, 5000);
        CHECK(n > 0);
        CHECK_MEM(copy, wire + got, (size_t)n);
        got += (u32)n;
        settle();
    }
    CHECK(dev->ops->idle(dev));
    stop();
}

TEST(stream_opened_again)
{
    int fd = start(HOST_FRAMES, 0), small = 4096;
    setsockopt(HOST_FD_FIRST_DEVICE, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
    u8 wire[200];
    u32 n = put_frame(wire, 100, 0);
    CHECK_EQ(write(fd, wire, 50), 50);
    settle();
    for (unsigned i = 0; i < 20; i++)
        send_packet(chain(0, 1000, 1)); /* the last one that goes out goes in part */
    dev->ops->stop(dev);
    CHECK_EQ(dev->ops->open(dev), 0);
    CHECK_EQ(write(fd, wire + 50, n - 50), n - 50);
    struct pkt *p = take();
    CHECK_EQ(p->total_len, 100);
    pkt_free(p);
    u32 got = 0;
    for (ssize_t r; (r = read(fd, copy + got, 1500)) > 0; settle())
        got += (u32)r;
    CHECK_EQ(got % 1004, 0);
    CHECK(got > 0 && got < 20 * 1004);
    stop();
}

TEST(stream_closed)
{
    int fd = start(HOST_FRAMES, 0);
    u8 wire[300];
    u32 n = put_frame(wire, 100, 0);
    put_frame(wire + n, 100, 0);
    CHECK_EQ(write(fd, wire, n + 20), n + 20);
    close(fd);
    pkt_free(take()); /* what came whole is still good */
    settle();
    CHECK_EQ(received_count, 1);
    CHECK(!dev->link_up);
    CHECK_EQ(link_changes, 1);
    stop();
}

TEST(stream_closed_while_sending)
{
    int fd = start(HOST_FRAMES, 0);
    while (send_packet(chain(0, 1000, 1)) == 0)
        ;
    close(fd);
    settle();
    CHECK(!dev->link_up);
    CHECK(dev->ops->idle(dev)); /* nothing waits for a host that is gone */
    stop();
}

TEST(stream_of_nonsense)
{
    int fd = start(HOST_FRAMES, 0);
    memset(copy, 0xff, 1000);
    CHECK_EQ(write(fd, copy, 1000), 1000);
    settle();
    CHECK(!dev->link_up);
    CHECK_EQ(received_count, 0);
    stop();
}

/* --- ports ------------------------------------------------------------------------------- */

static struct chardev *port;

static int start_port(void)
{
    unsigned i = add_pair(HOST_PORT, SOCK_STREAM, "drupe.stdout");
    plat_discover_devices();
    port = chardev_find("drupe.stdout");
    CHECK(port != NULL && port->host_open && port->host_was_open);
    for (unsigned k = 0; k < sizeof(bytes); k++)
        bytes[k] = (u8)(k * 31 + k / 256);
    return host_end[i];
}

TEST(port_output)
{
    int fd = start_port();
    CHECK_EQ(chardev_write(port, "hello", 5, true), 5);
    CHECK_EQ(read(fd, copy, 100), 5);
    CHECK_MEM(copy, "hello", 5);
    u64 sent = 0, got = 0;
    s64 n;
    while ((n = chardev_write(port, bytes + sent % 1000, 1000, true)) > 0)
        sent += (u64)n;
    CHECK_EQ(n, -EAGAIN);
    CHECK_EQ(port->tx_bytes, 5 + sent);
    CHECK(!port->ops->can_write(port));
    CHECK_EQ(look(), 0);
    while (got < sent)
        got += (u64)read(fd, copy, sizeof(copy));
    CHECK_EQ(look(), 1);
    CHECK_EQ(look(), 0); /* nobody asked again */
    CHECK(port->ops->can_write(port));
    CHECK_EQ(chardev_write(port, "x", 1, true), 1);
    close(fd);
    CHECK_EQ(chardev_write(port, "x", 1, false), -EPIPE);
    CHECK(port->ops->can_write(port)); /* an error is there to be had */
    port->ops->write_sync(port, "x", 1);
    port->ops->drain(port);
}

static s64 written;
static void write_much(void *arg) { written = chardev_write(port, bytes, sizeof(bytes), false); }

TEST(port_writer_waits)
{
    int fd = start_port(), small = 4096;
    setsockopt(HOST_FD_FIRST_DEVICE, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
    struct thread *t = test_thread("writer", write_much, NULL);
    u32 got = 0;
    while (got < sizeof(bytes)) {
        thread_sleep_until(now_ns() + NSEC_PER_MSEC, false);
        ssize_t n = read(fd, copy + got, sizeof(copy) - got);
        CHECK(n > 0);
        got += (u32)n;
        settle();
    }
    test_join(t);
    CHECK_EQ(written, sizeof(bytes));
    CHECK_MEM(copy, bytes, sizeof(bytes));
}

TEST(port_input)
{
    int fd = start_port();
    u8 buf[3000];
    CHECK_EQ(chardev_read(port, buf, sizeof(buf), true), -EAGAIN);
    CHECK_EQ(write(fd, bytes, 2500), 2500);
    CHECK_EQ(look(), 0); /* nobody waits */
    CHECK(port->ops->can_read(port));
    CHECK_EQ(chardev_read(port, buf, 10, true), 10);
    s64 n = 10;
    for (s64 r; (r = chardev_read(port, buf + n, sizeof(buf) - (size_t)n, true)) > 0; n += r)
        ;
    CHECK_EQ(n, 2500);
    CHECK_MEM(buf, bytes, 2500);
    CHECK(!port->ops->can_read(port));
    CHECK_EQ(write(fd, "end", 3), 3);
    close(fd);
    settle();
    CHECK(port->ops->can_read(port)); /* the last bytes come before the end */
    CHECK_EQ(chardev_read(port, buf, sizeof(buf), false), 3);
    CHECK_EQ(chardev_read(port, buf, sizeof(buf), false), 0);
    CHECK(!port->ops->can_read(port));
    CHECK_EQ(look(), 0);
}

static int client;
static unsigned noticed;
static void client_writes(void)
{
    CHECK_EQ(write(client, "new", 3), 3);
    noticed = look(); /* its signal comes */
}

TEST(port_input_behind_the_last_look)
{
    client = start_port();
    nothing_read = client_writes;
    CHECK(!port->ops->can_read(port));
    CHECK_EQ(noticed, 1);
    CHECK(port->ops->can_read(port));
}

static s64 got_total;
static void read_all(void *arg)
{
    s64 n;
    while ((n = chardev_read(port, copy + got_total, sizeof(copy) - (size_t)got_total, false)) > 0)
        got_total += n;
}

TEST(port_reader_waits)
{
    int fd = start_port();
    struct thread *t = test_thread("reader", read_all, NULL);
    for (u32 at = 0; at < 20000; at += 500) {
        thread_sleep_until(now_ns() + NSEC_PER_MSEC, false);
        CHECK_EQ(write(fd, bytes + at, 500), 500);
        look();
    }
    thread_sleep_until(now_ns() + NSEC_PER_MSEC, false);
    close(fd);
    look();
    test_join(t);
    CHECK_EQ(got_total, 20000);
    CHECK_MEM(copy, bytes, 20000);
}

/* --- disks --------------------------------------------------------------------------------- */

static int add_disk(u32 flags, u64 size)
{
    int file = (int)host_call(319 /* memfd_create */, (long)"disk", 0L);
    CHECK(file >= 0 && ftruncate(file, (off_t)size) == 0);
    struct host_device *h = entry(HOST_BLOCK, "root");
    h->flags = flags;
    h->size_bytes = size;
    CHECK(dup2(file, (int)h->fd) >= 0);
    plat_discover_devices();
    return file;
}

TEST(disk)
{
    int file = add_disk(0, 1 << 20);
    struct blkdev *b = blkdev_find("root");
    CHECK(b != NULL && b == blkdev_find("vda") && !b->read_only);
    CHECK_EQ(b->size_bytes, 1 << 20);
    u8 *buf = kmalloc(16384, 0);
    for (unsigned i = 0; i < 16384; i++)
        buf[i] = (u8)(i * 3);
    CHECK_EQ(blk_rw(b, BLK_WRITE, 512, buf, 16384), 0);
    CHECK_EQ(blk_rw(b, BLK_FLUSH, 0, NULL, 0), 0);
    CHECK_EQ(pread(file, copy, 16384, 512), 16384);
    CHECK_MEM(copy, buf, 16384);
    memset(buf, 0, 16384);
    CHECK_EQ(blk_rw(b, BLK_READ, 512, buf, 16384), 0);
    CHECK_MEM(copy, buf, 16384);
    struct page *pages[200];
    for (unsigned i = 0; i < 200; i++)
        CHECK((pages[i] = page_alloc(0, 0)) != NULL);
    CHECK_EQ(blk_read_pages(b, 0, pages, 200), 0);
    CHECK_MEM((u8 *)page_virt(pages[0]) + 512, copy, PAGE_SIZE - 512);
    CHECK_EQ(blk_rw(b, BLK_READ, 1 << 20, buf, 512), -EINVAL);
    CHECK_EQ(blk_rw(b, BLK_READ, (1 << 20) - 512, buf, 1024), -EINVAL);
    CHECK_EQ(ftruncate(file, 4096), 0); /* the file is no longer what it was */
    CHECK_EQ(blk_rw(b, BLK_READ, 4096, buf, 512), -EIO);
    CHECK_EQ(blk_rw(b, BLK_READ, 3584, buf, 1024), -EIO);
    CHECK_EQ(b->errors, 2);
    for (unsigned i = 0; i < 200; i++)
        page_put(pages[i]);
    kfree(buf);
}

TEST(disk_read_only)
{
    add_disk(HOST_READ_ONLY, 8192);
    struct blkdev *b = blkdev_find("root");
    CHECK(b->read_only);
    u8 *buf = kmalloc(512, 0);
    CHECK_EQ(blk_rw(b, BLK_WRITE, 0, buf, 512), -EROFS);
    CHECK_EQ(blk_rw(b, BLK_READ, 0, buf, 512), 0);
    kfree(buf);
}

/* --- the table ------------------------------------------------------------------------------ */

TEST(refused_entries)
{
    entry(HOST_BLOCK, "fd")->fd = 0;
    entry(0, "kind");
    entry(77, "kind");
    entry(HOST_BLOCK, "flags")->flags = HOST_TSO;
    entry(HOST_PORT, "flags")->flags = HOST_READ_ONLY;
    memset(entry(HOST_PORT, "name")->name, 'x', 32);
    entry(HOST_SIEVE, "flags")->flags = HOST_TSO;
    entry(HOST_TAP, "mac")->mac[0] = 1;
    memset(entry(HOST_FRAMES, "mac")->mac, 0, 6);
    entry(HOST_TAP, "mtu")->mtu = 100;
    entry(HOST_FRAMES, "mtu")->mtu = 1u << 31;
    entry(HOST_FRAMES, "flags")->flags = HOST_TSO;
    plat_discover_devices();
    CHECK_EQ(nsources, 0);
    CHECK(blkdev_first() == NULL && netdev_find("eth0") == NULL);
    boot.ndevices = 0xffffffff; /* never looked at beyond the table */
    plat_discover_devices();
    CHECK_EQ(nsources, 0);
}
