/* SPDX-License-Identifier: Apache-2.0 */
/* virtio-console: the conversation about ports, streams both ways, ends, hostile messages. */
#include "fake.h"
#include "kern/chardev.h"
#include "kern/drivers.h"

static struct fake f;
static const char *const names[] = { NULL, "drupe.control", "drupe.stdin", "drupe.stdout" };
static u8 *captured;
static size_t captured_len;
static unsigned opened; /* bit p: the driver opened port p */
static struct fake_chain ctl_in[64];
static unsigned ctl_in_first, ctl_in_count;
static struct fake_chain rx[64];
static unsigned rx_first, rx_count;

struct message {
    u32 id;
    u16 event, value;
    char name[24];
};

static void tell_raw(const void *m, u32 len)
{
    CHECK(ctl_in_first < ctl_in_count);
    struct fake_chain *c = &ctl_in[ctl_in_first++ % 64];
    fake_copy_in(c, 0, m, len);
    fake_finish(&f, 2, c->head, len);
}

static void tell(u32 id, u16 event, u16 value, const char *name)
{
    struct message m = { .id = id, .event = event, .value = value };
    str_copy(m.name, name != NULL ? name : "", sizeof(m.name));
    tell_raw(&m, 8 + (name != NULL ? (u32)strlen(name) : 0));
}

static void serve(struct fake *d, struct fake_chain *c)
{
    struct message m;
    if (c->queue == 2) {
        ctl_in[ctl_in_count++ % 64] = *c;
        return;
    }
    if (c->queue == 3) {
        fake_copy_out(c, 0, &m, 8);
        if (m.event == 0) {
            for (u32 i = 1; i < ARRAY_SIZE(names); i++)
                tell(i, 1, 1, NULL);
        } else if (m.event == 3 && m.value == 1) {
            tell(m.id, 7, 1, names[m.id]);
            tell(m.id, 6, 1, NULL);
        } else if (m.event == 6) {
            opened = m.value != 0 ? opened | 1u << m.id : opened & ~(1u << m.id);
        }
        fake_finish(d, 3, c->head, 0);
        return;
    }
    if (c->queue == 9) { /* output of port 3 */
        CHECK_EQ(c->nout, 1);
        fake_copy_out(c, 0, captured + captured_len, c->seg[0].len);
        captured_len += c->seg[0].len;
        fake_finish(d, 9, c->head, 0);
        return;
    }
    if (c->queue == 6) { /* buffers for input of port 2 */
        rx[rx_count++ % 64] = *c;
        return;
    }
    CHECK(0);
}

static void start(u64 features)
{
    fake_init(&f, VIRTIO_ID_CONSOLE, features | 1u << 1);
    *(u32 *)(void *)(f.config + 4) = 5;
    f.serve = serve;
    captured = kmalloc(1 << 20, 0);
    fake_start(&f);
    CHECK_EQ(virtio_console_driver.probe(&f.vd), 0);
    CHECK_EQ(wait_event_until(&chardev_added, chardev_pending == 0, now_ns() + NSEC_PER_SEC), 0);
    for (unsigned i = 1; i < ARRAY_SIZE(names); i++) {
        struct chardev *c = chardev_find(names[i]);
        CHECK(c != NULL);
        CHECK(c->host_was_open && c->host_open);
    }
}

TEST(ports_have_names)
{
    start(VIRTIO_F_EVENT_IDX);
    CHECK_EQ(opened, 0); /* nothing is opened before it is used */
    CHECK(chardev_find("drupe.stderr") == NULL);
    f.on = false;
}

static void output(u64 features)
{
    start(features);
    struct chardev *c = chardev_find("drupe.stdout");
    u8 *data = kmalloc(200000, 0);
    for (unsigned i = 0; i < 200000; i++)
        data[i] = (u8)(i * 31 + i / 251);
    size_t done = 0;
    for (unsigned i = 0; done < 200000; i++) {
        size_t n = MIN((size_t)(1 + i * i % 9001), 200000 - done);
        CHECK_EQ(chardev_write(c, data + done, n, false), (s64)n);
        done += n;
        if (i % 16 == 0)
            f.held = 5; /* let the ring fill up */
    }
    c->ops->drain(c);
    CHECK_EQ(captured_len, 200000);
    CHECK_MEM(captured, data, 200000);
    CHECK_EQ(c->tx_bytes, 200000);
    CHECK_EQ(opened, 8);
    c->ops->close(c);
    fake_sleep(NSEC_PER_MSEC);
    CHECK_EQ(opened, 0);
    f.on = false;
}

TEST(output) { output(VIRTIO_F_EVENT_IDX); }
TEST(output_without_event_index) { output(0); }

TEST(nonblocking_output_stops_when_full)
{
    start(VIRTIO_F_EVENT_IDX);
    struct chardev *c = chardev_find("drupe.stdout");
    u8 *data = kzalloc(100000);
    f.held = 1000;
    s64 n = chardev_write(c, data, 100000, true);
    CHECK(n > 0 && n < 100000);
    CHECK_EQ(chardev_write(c, data, 10, true), -EAGAIN);
    CHECK(!c->ops->can_write(c));
    CHECK_EQ(wait_event_until(&c->wq, c->ops->can_write(c), now_ns() + NSEC_PER_SEC), 0);
    c->ops->drain(c);
    CHECK_EQ(captured_len, n);
    f.on = false;
}

static const char *feed_text;
static unsigned feed_pieces;
static void feed(struct fake *d)
{
    if (feed_pieces == 0 || rx_first == rx_count)
        return;
    struct fake_chain *c = &rx[rx_first++ % 64];
    u32 len = (u32)strlen(feed_text);
    fake_copy_in(c, 0, feed_text, len);
    feed_pieces--;
    fake_finish(d, 6, c->head, len);
    if (feed_pieces == 0)
        tell(2, 6, 0, NULL); /* the host closes right behind the last byte */
}

TEST(port_is_open_before_its_buffers_are_offered)
{
    start(VIRTIO_F_EVENT_IDX);
    struct chardev *c = chardev_find("drupe.stdin");
    f.doorbell = 0;
    CHECK(!c->ops->can_read(c));
    CHECK_EQ(f.doorbell, 6); /* QEMU looks for input when this bell rings, if it knows by then that the port is open, and not when it learns of that */
    f.on = false;
}

TEST(input_ends_behind_the_last_byte)
{
    start(VIRTIO_F_EVENT_IDX);
    struct chardev *c = chardev_find("drupe.stdin");
    char buf[7];
    s64 n, total = 0;
    feed_text = "0123456789";
    feed_pieces = 100;
    f.step = feed;
    while ((n = chardev_read(c, buf, sizeof(buf), false)) > 0) {
        for (s64 i = 0; i < n; i++)
            CHECK_EQ(buf[i], '0' + (total + i) % 10);
        total += n;
    }
    CHECK_EQ(n, 0);
    CHECK_EQ(total, 1000);
    f.on = false;
}

TEST(input_ends_at_a_given_place)
{
    start(VIRTIO_F_EVENT_IDX);
    struct chardev *c = chardev_find("drupe.stdin");
    char buf[64];
    s64 n, total = 0;
    chardev_set_eof(c, 30); /* told before any byte came */
    feed_text = "0123456789";
    feed_pieces = 3;
    f.step = feed;
    while ((n = chardev_read(c, buf, sizeof(buf), false)) > 0)
        total += n;
    CHECK_EQ(n, 0);
    CHECK_EQ(total, 30);
    f.on = false;
}

TEST(nonsense_is_ignored)
{
    start(VIRTIO_F_EVENT_IDX);
    tell(77, 1, 1, NULL);          /* no such port */
    tell(0xffffffff, 6, 1, NULL);
    tell(4, 6, 1, NULL);           /* not announced */
    tell(4, 7, 1, "name");
    tell(3, 999, 1, NULL);
    tell_raw("abc", 3);            /* short */
    tell(3, 7, 1, "renamed");      /* named already */
    fake_sleep(NSEC_PER_MSEC);
    CHECK(chardev_find("renamed") == NULL);
    struct chardev *c = chardev_find("drupe.stdout");
    CHECK_EQ(chardev_write(c, "x", 1, false), 1);
    c->ops->drain(c);
    CHECK_EQ(captured_len, 1);
    /* A length beyond the buffer breaks the control queue only. */
    struct fake_chain *in = &ctl_in[ctl_in_first++ % 64];
    fake_finish(&f, 2, in->head, 100000);
    fake_sleep(NSEC_PER_MSEC);
    CHECK_EQ(chardev_write(c, "y", 1, false), 1);
    c->ops->drain(c);
    CHECK_EQ(captured_len, 2);
    f.on = false;
}

TEST(writing_to_a_closed_host_is_a_broken_pipe)
{
    start(VIRTIO_F_EVENT_IDX);
    struct chardev *c = chardev_find("drupe.stdout");
    tell(3, 6, 0, NULL);
    fake_sleep(NSEC_PER_MSEC);
    CHECK_EQ(chardev_write(c, "x", 1, false), -EPIPE);
    f.on = false;
}
