/* SPDX-License-Identifier: Apache-2.0 */
/* Conversations with the service, with the test as the tender: maps, programs at their places, output, and nothing left behind. */
#include "asm.h"

#include "kern/channel.h"
#include "kern/trace.h"

#define ADDR(d, off) MOVX(d, 10), ALU(BPF_ADD, d, off)

/* --- the client ------------------------------------------------------------------------------ */

static struct client {
    u8 message[1 << 17];
    size_t len;
    bool more;
    struct bpfd_reply reply;
    u8 data[BPFD_DATA_MAX];
    size_t data_len;
    u32 tag, tags;             /* answered, asked */
    u8 output[1 << 16];        /* records */
    size_t output_len;
    unsigned hellos, ends, closes;
} client;

static void take_message(void)
{
    struct bpfd_head head;
    CHECK(client.len >= sizeof(head));
    memcpy(&head, client.message, sizeof(head));
    const u8 *body = client.message + sizeof(head);
    size_t len = client.len - sizeof(head);
    client.hellos += head.type == BPFD_HELLO;
    client.ends += head.type == BPFD_END;
    if (head.type == BPFD_OUTPUT && client.output_len + len <= sizeof(client.output)) {
        memcpy(client.output + client.output_len, body, len);
        client.output_len += len;
    } else if (head.type == BPFD_REPLY) {
        CHECK(len >= sizeof(client.reply) && len - sizeof(client.reply) <= BPFD_DATA_MAX);
        memcpy(&client.reply, body, sizeof(client.reply));
        client.data_len = len - sizeof(client.reply);
        memcpy(client.data, body + sizeof(client.reply), client.data_len);
        client.tag = head.tag;
    }
}

static bool transport(enum ctl_type type, const void *head, size_t head_len, const void *data, size_t len)
{
    if (type == CTL_DATA) {
        CHECK(client.len + len <= sizeof(client.message));
        memcpy(client.message + client.len, data, len);
        client.len += len;
        if ((((const struct ctl_data *)head)->flags & CTL_MORE) == 0) {
            take_message();
            client.len = 0;
            struct ctl_credit c = { .channel = 1, .total = UINT64_MAX };
            channel_message(CTL_CREDIT, &c, sizeof(c));
        }
    }
    client.closes += type == CTL_CLOSE;
    return true;
}

static void open_client(u32 flags)
{
    static bool registered;
    struct {
        struct ctl_open o;
        char name[3];
        struct bpfd_open args;
    } PACKED m = { { 1, CTL_WINDOW_MAX, 3 }, "bpf", { BPFD_VERSION, flags } };
    channel_transport = transport;
    if (!registered)
        bpf_service_init();
    registered = true;
    memset(&client, 0, sizeof(client));
    CHECK(channel_message(CTL_OPEN, &m, sizeof(m)) == NULL);
    while (client.hellos == 0 && client.closes == 0)
        thread_sleep_until(now_ns() + NSEC_PER_MSEC, false);
}

static void close_client(void)
{
    struct ctl_close c = { .channel = 1 };
    CHECK(channel_message(CTL_CLOSE, &c, sizeof(c)) == NULL);
    thread_sleep_until(now_ns() + 50 * NSEC_PER_MSEC, false);
}

/* The answer's error. */
static int ask(u32 type, const void *body, size_t len, const void *more, size_t more_len, const void *even_more, size_t even_more_len)
{
    static u8 m[BPFD_MESSAGE_MAX];
    struct bpfd_head head = { type, ++client.tags };
    size_t n = sizeof(head);
    memcpy(m, &head, sizeof(head));
    memcpy(m + n, body, len);
    n += len;
    memcpy(m + n, more, more_len);
    n += more_len;
    memcpy(m + n, even_more, even_more_len);
    n += even_more_len;
    for (size_t at = 0; at < n;) {
        u8 part[sizeof(struct ctl_data) + CTL_PART_MAX];
        size_t now = MIN(n - at, (size_t)CTL_PART_MAX);
        struct ctl_data d = { 1, at + now < n ? CTL_MORE : 0 };
        memcpy(part, &d, sizeof(d));
        memcpy(part + sizeof(d), m + at, now);
        CHECK(channel_message(CTL_DATA, part, sizeof(d) + now) == NULL);
        at += now;
        thread_sleep_until(now_ns() + NSEC_PER_MSEC, false);
    }
    while (client.tag != client.tags && client.closes == 0)
        thread_sleep_until(now_ns() + NSEC_PER_MSEC, false);
    return client.closes == 0 ? client.reply.error : -EPIPE;
}

static int make(u32 number, u32 type, u32 key, u32 value, u32 entries)
{
    struct bpfd_map_create c = { number, type, key, value, entries, 0, 0, "test" };
    return ask(BPFD_MAP_CREATE, &c, sizeof(c), "", 0, "", 0);
}

static int with_map(u32 type, u32 map, u32 flags, const void *key, size_t key_len, const void *value, size_t value_len)
{
    struct bpfd_map_op op = { map, flags, 0 };
    return ask(type, &op, sizeof(op), key, key_len, value, value_len);
}

static int load(u32 number, u32 ctx, const struct bpf_insn *insns, u32 count)
{
    struct bpfd_load l = { number, ctx, count, 0, "test" };
    return ask(BPFD_LOAD, &l, sizeof(l), insns, count * sizeof(*insns), "", 0);
}
#define LOAD(number, ctx, ...)                                            \
    ({                                                                    \
        const struct bpf_insn insns_[] = { __VA_ARGS__ };                 \
        load(number, ctx, insns_, ARRAY_SIZE(insns_));                    \
    })

static int attach(u32 program, u32 where, u32 number, u64 value)
{
    struct bpfd_attach a = { program, where, number, 0, value };
    return ask(BPFD_ATTACH, &a, sizeof(a), "", 0, "", 0);
}

static int about(u32 type, u32 number, const void *more, size_t len)
{
    struct bpfd_number n = { number, 0 };
    return ask(type, &n, sizeof(n), more, len, "", 0);
}

static u64 value_at(u32 map, u32 index)
{
    u64 v = 0;
    CHECK_EQ(with_map(BPFD_MAP_LOOKUP, map, 0, &index, 4, "", 0), 0);
    memcpy(&v, client.data, MIN(client.data_len, (size_t)8));
    return v;
}

/* r0's value, at `off` of the array's first entry, one more. */
#define COUNT(map) LDVALUE(1, map, 0), MOV(2, 1), ATOMIC(BPF_DW, BPF_ADD, 1, 0, 2), MOV(0, 0), EXIT()

/* --- maps --------------------------------------------------------------------------------------- */

TEST(hashes)
{
    open_client(0);
    CHECK_EQ(make(0, MAP_HASH, 4, 8, 3), 0);
    for (u32 k = 0; k < 3; k++)
        CHECK_EQ(with_map(BPFD_MAP_UPDATE, 0, 0, &k, 4, &(u64){ k * 10 }, 8), 0);
    u32 k = 3, one = 1;
    CHECK_EQ(with_map(BPFD_MAP_UPDATE, 0, 0, &k, 4, &(u64){ 1 }, 8), -E2BIG);
    CHECK_EQ(with_map(BPFD_MAP_UPDATE, 0, UPDATE_NOEXIST, &one, 4, &(u64){ 1 }, 8), -EEXIST);
    CHECK_EQ(with_map(BPFD_MAP_UPDATE, 0, UPDATE_EXIST, &k, 4, &(u64){ 1 }, 8), -ENOENT);
    CHECK_EQ(with_map(BPFD_MAP_UPDATE, 0, 3, &one, 4, &(u64){ 1 }, 8), -EINVAL);
    CHECK_EQ(value_at(0, 2), 20);
    CHECK_EQ(with_map(BPFD_MAP_DELETE, 0, 0, &one, 4, "", 0), 0);
    CHECK_EQ(with_map(BPFD_MAP_DELETE, 0, 0, &one, 4, "", 0), -ENOENT);
    CHECK_EQ(with_map(BPFD_MAP_LOOKUP, 0, 0, &one, 4, "", 0), -ENOENT);
    CHECK_EQ(client.data_len, 0);
    CHECK_EQ(with_map(BPFD_MAP_UPDATE, 0, 0, &k, 4, &(u64){ 30 }, 8), 0);
    CHECK_EQ(with_map(BPFD_MAP_DUMP, 0, 0, "", 0, "", 0), 0);
    CHECK_EQ(client.data_len, 3 * 16);
    CHECK_EQ(client.reply.value, 0);
    u64 sum = 0, v;
    for (unsigned i = 0; i < 3; i++) {
        memcpy(&v, client.data + 16 * i + 8, 8);
        sum += v;
    }
    CHECK_EQ(sum, 50);
    CHECK_EQ(with_map(BPFD_MAP_CLEAR, 0, 0, "", 0, "", 0), 0);
    CHECK_EQ(with_map(BPFD_MAP_DUMP, 0, 0, "", 0, "", 0), 0);
    CHECK_EQ(client.data_len, 0);
    close_client();
}

TEST(dump_goes_on)
{
    open_client(0);
    CHECK_EQ(make(0, MAP_HASH, 4, 1000, 200), 0);
    static u8 value[1000];
    for (u32 k = 0; k < 200; k++)
        CHECK_EQ(with_map(BPFD_MAP_UPDATE, 0, 0, &k, 4, value, 1000), 0);
    struct bpfd_map_op op = { 0 };
    unsigned seen = 0, rounds = 0;
    do {
        CHECK_EQ(ask(BPFD_MAP_DUMP, &op, sizeof(op), "", 0, "", 0), 0);
        CHECK_EQ(client.data_len % 1008, 0);
        seen += client.data_len / 1008;
        op.cursor = client.reply.value;
        rounds++;
    } while (op.cursor != 0);
    CHECK_EQ(seen, 200);
    CHECK(rounds > 5);
    close_client();
}

TEST(an_lru_hash_forgets_the_oldest)
{
    open_client(0);
    CHECK_EQ(make(0, MAP_LRU_HASH, 4, 8, 8), 0);
    u32 kept = 0;
    for (u32 k = 0; k < 100; k++) {
        CHECK_EQ(with_map(BPFD_MAP_UPDATE, 0, 0, &k, 4, &(u64){ k }, 8), 0);
        CHECK_EQ(value_at(0, kept), 0); /* looked up all the time */
    }
    CHECK_EQ(value_at(0, 99), 99);
    close_client();
}

TEST_CPUS(each_cpu_has_its_value, 3)
{
    u64 values[3] = { 5, 6, 7 };
    u32 key = 1;
    open_client(0);
    for (u32 m = 0; m < 3; m++) {
        static const u32 types[] = { MAP_PERCPU_ARRAY, MAP_PERCPU_HASH, MAP_LRU_PERCPU_HASH };
        CHECK_EQ(make(m, types[m], 4, 8, 4), 0);
        CHECK_EQ(with_map(BPFD_MAP_UPDATE, m, 0, &key, 4, values, sizeof(values)), 0);
        CHECK_EQ(with_map(BPFD_MAP_LOOKUP, m, 0, &key, 4, "", 0), 0);
        CHECK_EQ(client.data_len, sizeof(values));
        CHECK_MEM(client.data, values, sizeof(values));
        CHECK_EQ(with_map(BPFD_MAP_UPDATE, m, 0, &key, 4, values, 8), -EINVAL);
    }
    close_client();
}

TEST(maps_that_cannot_be)
{
    open_client(0);
    CHECK_EQ(make(0, 99, 4, 8, 3), -EOPNOTSUPP);
    CHECK_EQ(make(0, MAP_ARRAY, 8, 8, 3), -EINVAL);
    CHECK_EQ(make(0, MAP_ARRAY, 4, 0, 3), -EINVAL);
    CHECK_EQ(make(0, MAP_ARRAY, 4, 8, 0), -EINVAL);
    CHECK_EQ(make(0, MAP_HASH, 0, 8, 3), -EINVAL);
    CHECK_EQ(make(0, MAP_HASH, 8, BPFD_VALUE_MAX + 1, 3), -EINVAL);
    CHECK_EQ(make(0, MAP_RINGBUF, 0, 0, 5000), -EINVAL);
    CHECK_EQ(make(0, MAP_STACKS, 4, 12, 16), -EINVAL);
    CHECK_EQ(make(BPFD_MAPS_MAX, MAP_ARRAY, 4, 8, 3), -EINVAL);
    CHECK_EQ(make(0, MAP_ARRAY, 4, 8192, 1 << 20), -E2BIG);
    CHECK_EQ(make(0, MAP_HASH, 4, 8, UINT32_MAX), -E2BIG);
    CHECK_EQ(make(0, MAP_ARRAY, 4, 8, 3), 0);
    CHECK_EQ(make(0, MAP_ARRAY, 4, 8, 3), -EINVAL);
    CHECK_EQ(with_map(BPFD_MAP_DELETE, 0, 0, &(u32){ 1 }, 4, "", 0), -EINVAL);
    CHECK_EQ(with_map(BPFD_MAP_LOOKUP, 0, 0, &(u32){ 3 }, 4, "", 0), -ENOENT);
    CHECK_EQ(with_map(BPFD_MAP_LOOKUP, 5, 0, &(u32){ 3 }, 4, "", 0), -EINVAL);
    close_client();
}

/* --- programs ------------------------------------------------------------------------------------- */

static void at_a_tracepoint(u32 flags)
{
    open_client(flags);
    CHECK_EQ(make(0, MAP_ARRAY, 4, 8, 300), 0);
    /* counts by the second field */
    CHECK_EQ(LOAD(3, BPFD_CTX_POINT, LDX(BPF_DW, 2, 1, 16), STX(BPF_W, 10, -4, 2), ADDR(2, -4), LDMAP(1, 0), CALL(1), JMP(BPF_JEQ, 0, 0, 2), MOV(1, 1),
                  ATOMIC(BPF_DW, BPF_ADD, 0, 0, 1), MOV(0, 0), EXIT()), 0);
    CHECK_EQ(client.reply.value, flags == 0);
    CHECK_EQ(trace_on[TP_NET_TCP_STATE], 0);
    CHECK_EQ(attach(3, BPFD_AT_POINT, TP_NET_TCP_STATE, 0), 0);
    u32 number = (u32)client.reply.value;
    CHECK_EQ(trace_on[TP_NET_TCP_STATE], 1);
    for (u64 i = 0; i < 1000; i++)
        TRACE(NET_TCP_STATE, 1, i % 310, 3, 4);
    CHECK_EQ(value_at(0, 7), 4);
    CHECK_EQ(value_at(0, 299), 3);
    CHECK_EQ(about(BPFD_STATS, 3, "", 0), 0);
    struct bpfd_stats stats;
    memcpy(&stats, client.data, sizeof(stats));
    CHECK_EQ(stats.runs, 1000);
    CHECK_EQ(stats.missed, 0);
    bpf_this_cpu()->active = 1; /* a program is running here */
    TRACE(NET_TCP_STATE, 1, 7, 3, 4);
    bpf_this_cpu()->active = 0;
    CHECK_EQ(value_at(0, 7), 4);
    CHECK_EQ(about(BPFD_STATS, 3, "", 0), 0);
    memcpy(&stats, client.data, sizeof(stats));
    CHECK_EQ(stats.missed, 1);
    CHECK_EQ(about(BPFD_DETACH, number, "", 0), 0);
    CHECK_EQ(about(BPFD_DETACH, number, "", 0), -ENOENT);
    CHECK_EQ(trace_on[TP_NET_TCP_STATE], 0);
    close_client();
}

TEST(at_a_tracepoint_compiled) { at_a_tracepoint(0); }
TEST(at_a_tracepoint_interpreted) { at_a_tracepoint(BPFD_INTERPRET); }

TEST(a_refusal_says_where_and_why)
{
    open_client(0);
    CHECK_EQ(LOAD(0, BPFD_CTX_POINT, MOV(2, 0), LDX(BPF_DW, 0, 2, 0), EXIT()), -EACCES);
    CHECK_EQ(client.reply.insn, 1);
    CHECK(client.data_len > 10 && memcmp(client.data, "a number", 8) == 0);
    CHECK_EQ(LOAD(0, 77, MOV(0, 0), EXIT()), -EINVAL);
    CHECK_EQ(LOAD(0, BPFD_CTX_POINT, MOV(0, 0), EXIT()), 0);
    CHECK_EQ(LOAD(0, BPFD_CTX_POINT, MOV(0, 0), EXIT()), -EINVAL);
    CHECK_EQ(attach(0, BPFD_AT_CALL_ENTRY, 0, 0), -EINVAL);
    CHECK_EQ(attach(1, BPFD_AT_POINT, 0, 0), -EINVAL);
    CHECK_EQ(attach(0, BPFD_AT_POINT, TP_COUNT, 0), -EINVAL);
    CHECK_EQ(LOAD(1, BPFD_CTX_REGS, MOV(0, 0), EXIT()), 0);
    CHECK_EQ(attach(1, BPFD_AT_FUNCTION, 0, 0x1234), -EOPNOTSUPP);
    CHECK_EQ(attach(1, BPFD_AT_INTERVAL, 0, 5), -EINVAL);
    CHECK_EQ(attach(1, BPFD_AT_INTERVAL, 0, UINT64_MAX), -EINVAL);
    CHECK_EQ(attach(1, BPFD_AT_PROFILE, BPFD_HZ_MAX + 1, 0), -EINVAL);
    close_client();
}

TEST_CPUS(timers_run_programs, 2)
{
    open_client(0);
    CHECK_EQ(make(0, MAP_ARRAY, 4, 8, 1), 0);
    CHECK_EQ(LOAD(0, BPFD_CTX_REGS, COUNT(0)), 0);
    CHECK_EQ(attach(0, BPFD_AT_INTERVAL, 0, NSEC_PER_MSEC), 0);
    u32 number = (u32)client.reply.value;
    u64 before = value_at(0, 0), at = now_ns();
    thread_sleep_until(at + 100 * NSEC_PER_MSEC, false);
    u64 ran = value_at(0, 0) - before, slept_ms = (now_ns() - at) / NSEC_PER_MSEC;
    CHECK(ran + 3 >= slept_ms && ran <= slept_ms + 3);
    CHECK_EQ(about(BPFD_DETACH, number, "", 0), 0);
    before = value_at(0, 0);
    thread_sleep_until(now_ns() + 10 * NSEC_PER_MSEC, false);
    CHECK_EQ(value_at(0, 0), before);
    CHECK_EQ(attach(0, BPFD_AT_PROFILE, 1000, 0), 0);
    sim_compute(50 * NSEC_PER_MSEC);
    CHECK(value_at(0, 0) > before + 10);
    close_client(); /* with the timers on */
    thread_sleep_until(now_ns() + 10 * NSEC_PER_MSEC, false);
}

TEST(run_once_with_a_context)
{
    open_client(0);
    CHECK_EQ(LOAD(0, BPFD_CTX_CALL_EXIT, LDX(BPF_DW, 0, 1, 16), LDX(BPF_DW, 2, 1, 8), ALUX(BPF_ADD, 0, 2), EXIT()), 0);
    CHECK_EQ(about(BPFD_RUN, 0, (const u64[]){ 0, 30, 12 }, 24), 0);
    CHECK_EQ(client.reply.value, 42);
    CHECK_EQ(about(BPFD_RUN, 0, (const u8[sizeof(struct bpfd_call_exit_ctx) + 1]){ 0 }, sizeof(struct bpfd_call_exit_ctx) + 1), -EINVAL);
    close_client();
}

/* --- output -------------------------------------------------------------------------------------------- */

static const struct bpfd_record *next_record(size_t *at)
{
    const struct bpfd_record *r = (const void *)(client.output + *at);
    if (*at >= client.output_len)
        return NULL;
    *at += sizeof(*r) + ALIGN_UP(r->len, 8u);
    CHECK(*at <= client.output_len);
    return r;
}

TEST(output_comes_in_order)
{
    open_client(0);
    CHECK_EQ(make(0, MAP_RINGBUF, 0, 0, 4096), 0);
    CHECK_EQ(make(1, MAP_PERF, 4, 4, 0), 0);
    CHECK_EQ(LOAD(0, BPFD_CTX_POINT, MOVX(6, 1), LDX(BPF_DW, 7, 6, 8), LDMAP(1, 0), MOV(2, 12), MOV(3, 0), CALL(131), JMP(BPF_JEQ, 0, 0, 6), STX(BPF_DW, 0, 0, 7),
                  ST(BPF_W, 0, 8, 0x1234), MOVX(1, 0), MOV(2, 0), CALL(132), MOV(0, 0), MOV(0, 0), EXIT()), 0);
    CHECK_EQ(attach(0, BPFD_AT_POINT, TP_NET_DROP, 0), 0);
    for (u64 i = 0; i < 50; i++) /* twice round the ring, in bites */
        for (u64 k = 0; k < 10; k++) {
            TRACE(NET_DROP, i * 10 + k);
            if (k == 9)
                thread_sleep_until(now_ns() + 6 * NSEC_PER_MSEC, false);
        }
    CHECK_EQ(ask(BPFD_FLUSH, "", 0, "", 0, "", 0), 0);
    size_t at = 0;
    u64 want = 0, value;
    for (const struct bpfd_record *r; (r = next_record(&at)) != NULL; want++) {
        CHECK(r->kind == BPFD_RECORD_RINGBUF && r->len == 12 && r->map == 0);
        memcpy(&value, r + 1, 8);
        CHECK_EQ(value, want);
    }
    CHECK_EQ(want, 500);
    close_client();
}

TEST(what_does_not_fit_is_counted)
{
    open_client(0);
    CHECK_EQ(make(0, MAP_RINGBUF, 0, 0, 4096), 0);
    CHECK_EQ(LOAD(0, BPFD_CTX_POINT, ST(BPF_DW, 10, -8, 1), ADDR(2, -8), LDMAP(1, 0), MOV(3, 8), MOV(4, 0), CALL(130), MOV(0, 0), EXIT()), 0);
    CHECK_EQ(attach(0, BPFD_AT_POINT, TP_NET_DROP, 0), 0);
    for (unsigned i = 0; i < 1000; i++)
        TRACE(NET_DROP, 0);
    CHECK_EQ(ask(BPFD_FLUSH, "", 0, "", 0, "", 0), 0);
    size_t at = 0;
    u64 lost = 0, got = 0;
    for (const struct bpfd_record *r; (r = next_record(&at)) != NULL;) {
        got += r->kind == BPFD_RECORD_RINGBUF;
        if (r->kind == BPFD_RECORD_LOST)
            memcpy(&lost, r + 1, 8);
    }
    CHECK_EQ(got + lost, 1000);
    CHECK_EQ(got, 4096 / 16);
    close_client();
}

TEST(an_empty_record_says_whose_it_is)
{
    open_client(0);
    CHECK_EQ(make(1, MAP_RINGBUF, 0, 0, 4096), 0);
    CHECK_EQ(LOAD(0, BPFD_CTX_POINT, MOV(2, 0), LDMAP(1, 1), MOV(3, 0), MOV(4, 0), CALL(130), EXIT()), 0);
    CHECK_EQ(about(BPFD_RUN, 0, "", 0), 0);
    CHECK_EQ(ask(BPFD_FLUSH, "", 0, "", 0, "", 0), 0);
    size_t at = 0;
    const struct bpfd_record *r = next_record(&at);
    CHECK(r != NULL && r->kind == BPFD_RECORD_RINGBUF && r->len == 0 && r->map == 1);
    close_client();
}

static void expect_text(const char *text, const struct bpf_insn *insns, u32 count)
{
    static char word[256] = "word";
    client.output_len = 0;
    static u32 number = 10;
    CHECK_EQ(load(number, BPFD_CTX_POINT, insns, count), 0);
    CHECK_EQ(about(BPFD_RUN, number++, (const u64[]){ 0, 0xfffffffe, (u64)(uintptr_t)word }, 24), 0);
    CHECK_EQ(ask(BPFD_FLUSH, "", 0, "", 0, "", 0), 0);
    size_t at = 0;
    const struct bpfd_record *r = next_record(&at);
    CHECK(r != NULL && r->kind == BPFD_RECORD_PRINT && r->map == BPFD_NO_MAP);
    if (r->len != strlen(text) || memcmp(r + 1, text, r->len) != 0)
        sim_test_failed(__FILE__, __LINE__, "\"%.*s\", not \"%s\"", (int)r->len, (const char *)(r + 1), text);
}

TEST(prints)
{
    open_client(0);
    sim_readable_start = 1ull << 40;
    sim_readable_end = UINT64_MAX;
    char format[3][8] = { "%d %u %x", "%lld%%", "%s|%5d|" };
    u64 f[3];
    memcpy(f, format, sizeof(f));
    const struct bpf_insn a[] = { LDX(BPF_DW, 3, 1, 8), MOVX(4, 3), MOV(5, 255), LD64(2, f[0]), STX(BPF_DW, 10, -16, 2), ST(BPF_DW, 10, -8, 0), ADDR(1, -16), MOV(2, 9),
                                  CALL(6), EXIT() };
    expect_text("-2 4294967294 ff", a, ARRAY_SIZE(a));
    const struct bpf_insn b[] = { LDX(BPF_DW, 3, 1, 8), LD64(2, f[1]), STX(BPF_DW, 10, -16, 2), ADDR(1, -16), MOV(2, 8), CALL(6), EXIT() };
    expect_text("4294967294%", b, ARRAY_SIZE(b));
    const struct bpf_insn c[] = { LDX(BPF_DW, 3, 1, 16), MOV(4, 42), LD64(2, f[2]), STX(BPF_DW, 10, -16, 2), ADDR(1, -16), MOV(2, 8), CALL(6), EXIT() };
    expect_text("word|   42|", c, ARRAY_SIZE(c));
    close_client();
}

TEST(helpers_tell)
{
    u8 word[16] = "kernel text";
    open_client(0);
    sim_readable_start = (u64)(uintptr_t)word;
    sim_readable_end = sim_readable_start + sizeof(word);
    /* get_current_comm(): "channel"'s thread is named like the service */
    CHECK_EQ(LOAD(0, BPFD_CTX_POINT, ADDR(1, -16), MOV(2, 16), CALL(16), LDX(BPF_DW, 0, 10, -16), EXIT()), 0);
    CHECK_EQ(about(BPFD_RUN, 0, "", 0), 0);
    CHECK_EQ(client.reply.value, 0x667062); /* "bpf" */
    /* probe_read_kernel_str(): its length; what is behind is 0 */
    CHECK_EQ(LOAD(1, BPFD_CTX_POINT, LDX(BPF_DW, 3, 1, 8), ADDR(1, -16), MOV(2, 16), CALL(115), EXIT()), 0);
    CHECK_EQ(about(BPFD_RUN, 1, (const u64[]){ 0, (u64)(uintptr_t)word }, 16), 0);
    CHECK_EQ(client.reply.value, 12);
    CHECK_EQ(about(BPFD_RUN, 1, (const u64[]){ 0, (u64)(uintptr_t)word + 1000000 }, 16), 0);
    CHECK_EQ(client.reply.value, -EFAULT);
    CHECK_EQ(about(BPFD_RUN, 1, (const u64[]){ 0, PLAT_USER_MIN }, 16), 0); /* no address of a program */
    CHECK_EQ(client.reply.value, -EFAULT);
    /* ktime_get_ns() */
    CHECK_EQ(LOAD(2, BPFD_CTX_POINT, CALL(5), EXIT()), 0);
    u64 before = now_ns();
    CHECK_EQ(about(BPFD_RUN, 2, "", 0), 0);
    CHECK(client.reply.value >= before && client.reply.value <= now_ns());
    /* map_update_elem(), map_delete_elem() */
    CHECK_EQ(make(0, MAP_HASH, 8, 8, 4), 0);
    CHECK_EQ(LOAD(3, BPFD_CTX_POINT, ST(BPF_DW, 10, -8, 77), ADDR(2, -8), ADDR(3, -8), LDMAP(1, 0), MOV(4, 0), CALL(2), EXIT()), 0);
    CHECK_EQ(about(BPFD_RUN, 3, "", 0), 0);
    CHECK_EQ(client.reply.value, 0);
    CHECK_EQ(with_map(BPFD_MAP_LOOKUP, 0, 0, &(u64){ 77 }, 8, "", 0), 0);
    CHECK_EQ(LOAD(4, BPFD_CTX_POINT, ST(BPF_DW, 10, -8, 77), ADDR(2, -8), LDMAP(1, 0), CALL(3), EXIT()), 0);
    CHECK_EQ(about(BPFD_RUN, 4, "", 0), 0);
    CHECK_EQ(with_map(BPFD_MAP_LOOKUP, 0, 0, &(u64){ 77 }, 8, "", 0), -ENOENT);
    close_client();
}

/* --- nothing is left ----------------------------------------------------------------------------------------- */

static u64 used_pages(void)
{
    struct mem_stats m;
    slab_trim();
    page_stats(&m);
    return m.kernel_pages + m.slab_pages;
}

static void everything(void)
{
    for (u32 i = 0; i < 4; i++) {
        static const u32 types[] = { MAP_HASH, MAP_ARRAY, MAP_RINGBUF, MAP_PERF };
        (void)make(i, types[i], i == 2 ? 0 : 4, i == 2 ? 0 : i == 3 ? 4 : 8, i == 2 ? 4096 : 100);
    }
    (void)LOAD(0, BPFD_CTX_REGS, COUNT(1));
    (void)LOAD(1, BPFD_CTX_POINT, ST(BPF_DW, 10, -8, 0), ADDR(1, -8), MOV(2, 8), CALL(6), MOV(0, 0), EXIT());
    (void)LOAD(2, BPFD_CTX_POINT, MOV(0, 0), STX(BPF_DW, 0, 0, 10), EXIT());
    (void)attach(0, BPFD_AT_INTERVAL, 0, NSEC_PER_MSEC);
    (void)attach(0, BPFD_AT_PROFILE, 100, 0);
    (void)attach(1, BPFD_AT_POINT, TP_NET_DROP, 0);
    (void)attach(1, BPFD_AT_POINT, TP_NET_DROP, 0);
    TRACE(NET_DROP, 1);
}

TEST(all_goes_with_the_client)
{
    open_client(0);
    everything();
    close_client();
    u64 before = used_pages();
    for (unsigned i = 0; i < 30; i++) {
        open_client(0);
        unsigned rate = sim_fail_allocations(i < 5 ? 0 : 12);
        everything();
        sim_fail_allocations(rate);
        close_client();
        CHECK_EQ(trace_on[TP_NET_DROP], 0);
        if (client.closes == 0)
            CHECK(client.hellos == 1);
    }
    CHECK(used_pages() <= before + 4); /* spare stacks and the like */
}

TEST(bad_messages_end_it)
{
    open_client(0);
    CHECK_EQ(ask(99, "", 0, "", 0, "", 0), -EPIPE);
    close_client();
    open_client(0);
    CHECK_EQ(ask(BPFD_LOAD, "abc", 3, "", 0, "", 0), -EPIPE);
    close_client();
    open_client(8);
    CHECK_EQ(client.closes, 1);
}

TEST(the_machine_ends)
{
    open_client(0);
    CHECK_EQ(make(0, MAP_ARRAY, 4, 8, 1), 0);
    struct thread *t = test_thread("finish", (void (*)(void *))(uintptr_t)bpf_finish, (void *)NEVER_NS);
    while (client.ends == 0)
        thread_sleep_until(now_ns() + NSEC_PER_MSEC, false);
    CHECK_EQ(value_at(0, 0), 0); /* it still answers */
    close_client();
    test_join(t);
}
