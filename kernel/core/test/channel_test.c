/* SPDX-License-Identifier: Apache-2.0 */
/* Channels, with the test as the tender: flow control, hostile messages, nothing left behind. */
#include "kern/channel.h"
#include "base/str.h"
#include "sim/test.h"

/* What came out of channel n % 64. */
static struct seen {
    u64 data_bytes, spent, credit;
    unsigned messages, closes;
    u32 error;
    u8 last[256];
    size_t last_len;
} seen[64];
static bool deaf; /* the port takes nothing any more */

static bool transport(enum ctl_type type, const void *head, size_t head_len, const void *data, size_t len)
{
    u32 number;
    memcpy(&number, head, sizeof(number));
    struct seen *s = &seen[number % ARRAY_SIZE(seen)];
    if (deaf)
        return false;
    if (type == CTL_DATA) {
        const struct ctl_data *d = head;
        CHECK(head_len == sizeof(*d) && len <= CTL_PART_MAX && s->closes == 0);
        s->data_bytes += len;
        s->spent += CTL_PART_COST(len);
        s->messages += (d->flags & CTL_MORE) == 0;
        s->last_len = MIN(len, sizeof(s->last));
        memcpy(s->last, data, s->last_len);
    } else if (type == CTL_CREDIT) {
        s->credit = ((const struct ctl_credit *)head)->total;
    } else {
        CHECK_EQ(type, CTL_CLOSE);
        s->closes++;
        s->error = ((const struct ctl_close *)head)->error;
    }
    return true;
}

/* Gives every message back; args say nothing. */
static void echo_run(struct channel *c, const char *args, size_t len)
{
    static u8 buf[CTL_PART_MAX];
    bool more;
    CHECK_EQ(args[len], 0);
    for (s64 n; (n = channel_receive(c, buf, sizeof(buf), &more, NEVER_NS)) >= 0;)
        if (channel_send(c, buf, (size_t)n, more) != 0)
            return;
}

static void flood_run(struct channel *c, const char *args, size_t len)
{
    static u8 buf[3000];
    while (channel_send(c, buf, sizeof(buf), false) == 0)
        ;
}

static void small_run(struct channel *c, const char *args, size_t len)
{
    u8 buf[4];
    bool more;
    CHECK_EQ(channel_receive(c, buf, sizeof(buf), &more, now_ns() + NSEC_PER_MSEC), -ETIMEDOUT);
    channel_receive(c, buf, sizeof(buf), &more, NEVER_NS);
}

static void refuse_run(struct channel *c, const char *args, size_t len) { channel_fail(c, EINVAL, "no"); }

/* It takes a while to put away what it made. */
static void slow_run(struct channel *c, const char *args, size_t len)
{
    wait_event(channel_wq(c), channel_closed(c) || channel_readable(c));
    thread_sleep_until(now_ns() + NSEC_PER_SEC, false);
}

static void set_up(void)
{
    static struct service all[] = { { "echo", echo_run }, { "flood", flood_run }, { "small", small_run }, { "refuse", refuse_run }, { "slow", slow_run, "taken" } };
    static bool registered;
    channel_transport = transport;
    for (unsigned i = 0; !registered && i < ARRAY_SIZE(all); i++)
        service_register(&all[i]);
    registered = true;
    memset(seen, 0, sizeof(seen));
}

static const char *open_with(u32 number, u32 window, const char *name)
{
    struct {
        struct ctl_open o;
        char text[64];
    } m = { { number, window, (u32)strlen(name) }, "" };
    size_t n = strlen(name);
    memcpy(m.text, name, n);
    return channel_message(CTL_OPEN, &m, sizeof(m.o) + n);
}

static const char *data_to(u32 number, u32 flags, const void *bytes, size_t len)
{
    static u8 m[sizeof(struct ctl_data) + CTL_PART_MAX + 1];
    struct ctl_data d = { number, flags };
    memcpy(m, &d, sizeof(d));
    memcpy(m + sizeof(d), bytes, len);
    return channel_message(CTL_DATA, m, sizeof(d) + len);
}

static const char *credit_to(u32 number, u64 total)
{
    struct ctl_credit c = { .channel = number, .total = total };
    return channel_message(CTL_CREDIT, &c, sizeof(c));
}

static const char *close_to(u32 number)
{
    struct ctl_close c = { .channel = number };
    return channel_message(CTL_CLOSE, &c, sizeof(c));
}

static void let_run(void) { thread_sleep_until(now_ns() + 5 * NSEC_PER_MSEC, false); }

TEST(messages_come_back_and_credit_is_renewed)
{
    static u8 bytes[5000];
    u64 spent = 0;
    set_up();
    CHECK(open_with(1, 1 << 20, "echo") == NULL);
    for (unsigned i = 0; i < 100; i++) {
        spent += CTL_PART_COST(sizeof(bytes));
        CHECK(spent <= MAX(seen[1].credit, (u64)CTL_WINDOW));
        bytes[0] = (u8)i;
        CHECK(data_to(1, i % 2 ? 0 : CTL_MORE, bytes, sizeof(bytes)) == NULL);
        let_run();
        CHECK(seen[1].last[0] == (u8)i);
    }
    CHECK_EQ(seen[1].data_bytes, 100 * sizeof(bytes));
    CHECK_EQ(seen[1].messages, 50);
    CHECK(data_to(1, 0, bytes, 0) == NULL); /* an empty message is one */
    let_run();
    CHECK_EQ(seen[1].messages, 51);
    CHECK(close_to(1) == NULL);
    let_run();
    CHECK_EQ(seen[1].closes, 0);
    CHECK(data_to(1, 0, bytes, 1) == NULL); /* crossed its end */
}

TEST(a_reader_that_stops_stops_its_own_channel)
{
    set_up();
    CHECK(open_with(1, 10000, "flood") == NULL);
    CHECK(open_with(2, CTL_WINDOW, "echo") == NULL);
    let_run();
    CHECK(seen[1].spent <= 10000 && seen[1].spent > 10000 - CTL_PART_COST(3000));
    CHECK(data_to(2, 0, "x", 1) == NULL);
    let_run();
    CHECK_EQ(seen[2].messages, 1);
    CHECK(credit_to(1, 20000) == NULL);
    let_run();
    CHECK(seen[1].spent <= 20000 && seen[1].spent > 20000 - CTL_PART_COST(3000));
    CHECK(credit_to(1, 19999) != NULL); /* taken back */
    channel_hang_up_all();
    let_run();
}

TEST(refusals)
{
    set_up();
    CHECK(open_with(1, CTL_WINDOW, "nothing") == NULL);
    CHECK_EQ(seen[1].error, ENOENT);
    CHECK(open_with(2, CTL_WINDOW, "refuse") == NULL);
    let_run();
    CHECK(seen[2].closes == 1 && seen[2].error == EINVAL);
    CHECK(open_with(3, CTL_WINDOW, "small") == NULL);
    CHECK(open_with(3, CTL_WINDOW, "small") != NULL); /* twice */
    let_run();
    CHECK(data_to(3, 0, "12345", 5) == NULL);
    let_run();
    CHECK(seen[3].closes == 1 && seen[3].error == EMSGSIZE);
    for (u32 n = 10; n < 10 + 2 * CTL_CHANNELS_MAX; n++)
        CHECK(open_with(n, CTL_WINDOW, "echo") == NULL);
    CHECK(open_with(50, CTL_WINDOW, "echo") == NULL);
    CHECK(seen[50].closes == 1 && seen[50].error == EBUSY);
    channel_hang_up_all();
    let_run();
}

/* Refused while the other's client is there, waiting when it has gone; and there is nothing to wait for when one has been told of its end. */
TEST(a_service_for_one)
{
    set_up();
    CHECK(open_with(1, CTL_WINDOW, "slow") == NULL);
    let_run();
    CHECK(open_with(2, CTL_WINDOW, "slow") == NULL);
    let_run();
    CHECK(seen[2].closes == 1 && seen[2].error == EBUSY);
    CHECK(close_to(1) == NULL);
    CHECK(open_with(3, CTL_WINDOW, "slow") == NULL);
    CHECK(open_with(4, CTL_WINDOW, "slow") == NULL);
    let_run();
    CHECK(seen[3].closes == 0 && seen[4].closes == 0);
    thread_sleep_until(now_ns() + NSEC_PER_SEC, false);
    CHECK_EQ(seen[3].closes + seen[4].closes, 1); /* one has it, which tells the other */
    u32 has = seen[3].closes == 0 ? 3 : 4;
    CHECK_EQ(seen[7 - has].error, EBUSY);
    CHECK(data_to(has, 0, "x", 1) == NULL);
    while (seen[has].closes == 0)
        let_run();
    CHECK_EQ(seen[has].error, 0);
    CHECK(open_with(5, CTL_WINDOW, "slow") == NULL);
    let_run();
    CHECK_EQ(seen[5].closes, 0);
    CHECK(close_to(5) == NULL);
    thread_sleep_until(now_ns() + 2 * NSEC_PER_SEC, false);
}

TEST(hostile_messages)
{
    static u8 bytes[CTL_PART_MAX + 1];
    struct ctl_open o = { 1, CTL_WINDOW, 4 };
    set_up();
    CHECK(open_with(1, 1, "echo") != NULL);
    CHECK(open_with(1, UINT32_MAX, "echo") != NULL);
    CHECK(open_with(1, CTL_WINDOW, "") != NULL);
    CHECK(open_with(1, CTL_WINDOW, "a name that is longer than thirty-one bytes") != NULL);
    CHECK(channel_message(CTL_OPEN, &o, sizeof(o)) != NULL); /* its name is missing */
    CHECK(channel_message(CTL_OPEN, &o, sizeof(o) - 1) != NULL);
    CHECK(channel_message(CTL_DATA, bytes, 7) != NULL);
    CHECK(channel_message(CTL_CREDIT, bytes, 15) != NULL);
    CHECK(channel_message(CTL_CLOSE, bytes, 0) != NULL);
    CHECK(data_to(1, 0, bytes, CTL_PART_MAX + 1) != NULL);
    CHECK(data_to(1, 2, bytes, 1) != NULL);
    CHECK(open_with(1, CTL_WINDOW, "flood") == NULL); /* it reads nothing */
    for (unsigned i = 0; i < CTL_WINDOW / CTL_PART_COST(CTL_PART_MAX); i++)
        CHECK(data_to(1, 0, bytes, CTL_PART_MAX) == NULL);
    CHECK(data_to(1, 0, bytes, CTL_PART_MAX) != NULL); /* more than there was credit for */
    channel_hang_up_all();
    let_run();
}

TEST(ten_thousand_clients_leave_nothing)
{
    struct mem_stats before, after;
    set_up();
    for (u32 n = 0; n < 10000; n++) {
        if (n == 100) {
            slab_trim();
            page_stats(&before);
        }
        CHECK(open_with(n, CTL_WINDOW, n % 2 ? "echo" : "flood") == NULL);
        CHECK(data_to(n, 0, "x", 1) == NULL);
        if (n % 3)
            thread_sleep_until(now_ns() + sim_random() % 100000, false);
        CHECK(close_to(n) == NULL);
        let_run();
        memset(seen, 0, sizeof(seen));
    }
    slab_trim();
    page_stats(&after);
    CHECK(after.free_pages + 64 >= before.free_pages); /* caches of CPUs apart */
}

TEST(a_port_that_takes_nothing)
{
    set_up();
    CHECK(open_with(1, CTL_WINDOW, "flood") == NULL);
    deaf = true;
    let_run();
    deaf = false;
    CHECK(open_with(1, CTL_WINDOW, "echo") == NULL); /* it has ended: the number is free */
    close_to(1);
    let_run();
}
