/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions and rings: what is wanted arrives in order, what does not fit is lost from the old end and counted, on several CPUs too. */
#include "sim/test.h"

#include "../trace_impl.h"

static u8 batch[32768] ALIGNED(8);

struct seen {
    u64 records, lost, first, last; /* first and last value of net:tcp_state's field 2 */
};

/* Takes everything that is there. */
static void drain(struct trace_session *s, struct seen *seen)
{
    *seen = (struct seen){ 0 };
    for (size_t n; (n = session_drain(s, batch, sizeof(batch))) > 0;) {
        for (size_t at = 0; at < n;) {
            const struct trace_record *r = (const void *)(batch + at);
            const u64 *body = (const void *)(r + 1);
            CHECK(r->len >= sizeof(*r) && r->len % 8 == 0 && r->len <= n - at);
            if (r->kind == TRACE_LOST) {
                seen->lost += body[0];
            } else {
                CHECK_EQ(r->kind, TRACE_POINT);
                CHECK(seen->records == 0 || r->id != TP_NET_TCP_STATE || body[2] > seen->last);
                seen->last = body[2];
                seen->first = seen->records++ == 0 ? body[2] : seen->first;
            }
            at += r->len;
        }
    }
}

static struct trace_session *watch(u64 points)
{
    struct trace_session *s;
    struct trace_open want = { .version = TRACE_VERSION, .points = points };
    CHECK_EQ(session_create(&want, NULL, &s), 0);
    return s;
}

static void emit(u64 from, u64 to)
{
    for (u64 i = from; i < to; i++)
        TRACE(NET_TCP_STATE, 1, 2, i, 4);
}

/* A call with a descriptor and a path, as trace_calls.c tells of it. What a session has of it, as letters. */
static const char *records_of(const struct trace_open *want, const char *path, s64 result)
{
    static char seen[8];
    struct {
        struct trace_record head;
        u64 args[6];
        struct trace_piece piece;
        char path[16];
    } entry = { { .len = sizeof(entry), .kind = TRACE_ENTRY, .id = 3 }, { 5, 6 }, { .arg = 1, .len = (u16)strlen(path) }, "" };
    struct trace_call c = { .nr = 3, .pid = 1, .tid = 1, .fd_args = 1, .path_args = 2, .args = entry.args, .result = result };
    struct trace_session *s;
    unsigned n = 0;
    str_copy(entry.path, path, sizeof(entry.path));
    CHECK_EQ(session_create(want, NULL, &s), 0);
    u8 to = trace_call_entered(&c).now;
    to = to != 0 ? trace_publish(&entry.head, &c, to) : 0;
    u8 late = trace_call_returned(&c);
    entry.head.time_ns = 0;
    if (late != 0)
        to |= trace_publish(&entry.head, &c, late);
    entry.head = (struct trace_record){ .len = sizeof(entry.head), .kind = TRACE_EXIT, .id = 3 };
    if (to != 0)
        trace_publish(&entry.head, &c, to);
    size_t len = session_drain(s, batch, sizeof(batch));
    for (size_t at = 0; at < len; at += ((struct trace_record *)(void *)(batch + at))->len)
        seen[n++] = ((struct trace_record *)(void *)(batch + at))->kind == TRACE_ENTRY ? 'e' : 'x';
    seen[n] = '\0';
    session_destroy(s);
    return seen;
}

TEST(calls_are_chosen)
{
    struct trace_open all = { .version = TRACE_VERSION, .calls = { 1ull << 3 } }, fd = all, path = all, failed = all, good = all, both;
    fd.nfds = 2;
    fd.fds[0] = 9;
    fd.fds[1] = 6;
    str_copy(path.path, "/tmp/x", sizeof(path.path));
    failed.flags = good.flags = TRACE_ERRORS;
    failed.errors[0] = 1ull << ENOENT;
    good.errors[0] = 1;
    CHECK_STR(records_of(&all, "/", 0), "ex");
    CHECK_STR(records_of(&fd, "/", 0), "");
    fd.fds[0] = 5;
    CHECK_STR(records_of(&fd, "/", 0), "ex");
    CHECK_STR(records_of(&path, "/tmp/", 0), "");
    CHECK_STR(records_of(&path, "/tmp/xx", 0), "");
    CHECK_STR(records_of(&path, "/tmp/x", 0), "ex");
    CHECK_STR(records_of(&failed, "/", 0), "");
    CHECK_STR(records_of(&failed, "/", -EPERM), "");
    CHECK_STR(records_of(&failed, "/", -ENOENT), "ex");
    CHECK_STR(records_of(&good, "/", -ENOENT), "");
    CHECK_STR(records_of(&good, "/", 7), "ex");
    both = path;
    both.flags = TRACE_ERRORS;
    both.errors[0] = 1;
    CHECK_STR(records_of(&both, "/", 1), "");
    CHECK_STR(records_of(&both, "/tmp/x", -EIO), "");
    CHECK_STR(records_of(&both, "/tmp/x", 1), "ex");
}

TEST(only_what_is_wanted)
{
    struct seen seen;
    emit(0, 10);
    struct trace_session *s = watch(1ull << TP_NET_TCP_STATE), *other = watch(1ull << TP_NET_DROP);
    emit(1, 11);
    drain(s, &seen);
    CHECK_EQ(seen.records, 10);
    CHECK_EQ(seen.first, 1);
    CHECK_EQ(seen.last, 10);
    drain(other, &seen);
    CHECK_EQ(seen.records, 0);
    session_destroy(other);
    CHECK_EQ(trace_on[TP_NET_DROP], 0);
    CHECK_EQ(trace_on[TP_NET_TCP_STATE], 1);
    session_destroy(s);
    CHECK_EQ(trace_on[TP_NET_TCP_STATE], 0);
}

TEST(old_ones_are_lost)
{
    struct seen seen;
    struct trace_session *s = watch(1ull << TP_NET_TCP_STATE);
    u64 total = 3 * s->size / (sizeof(struct trace_record) + 4 * 8);
    emit(1, total + 1);
    drain(s, &seen);
    CHECK(seen.lost > 0);
    CHECK_EQ(seen.records + seen.lost, total);
    CHECK_EQ(seen.last, total);
    CHECK_EQ(seen.first, seen.lost + 1);
    emit(1, 6);
    drain(s, &seen);
    CHECK_EQ(seen.lost, 0);
    CHECK_EQ(seen.records, 5);
    session_destroy(s);
}

TEST(strings)
{
    struct trace_session *s = watch(1ull << TP_PROCESS_EXEC);
    TRACE(PROCESS_EXEC, (u64)"/bin/true");
    TRACE(PROCESS_EXEC, 0);
    CHECK_EQ(session_drain(s, batch, sizeof(batch)), 2 * sizeof(struct trace_record) + 8 + 16 + 8);
    CHECK_EQ(*(u64 *)(batch + sizeof(struct trace_record)), 9);
    CHECK_MEM(batch + sizeof(struct trace_record) + 8, "/bin/true", 9);
    session_destroy(s);
}

TEST(sessions_are_bounded_and_leave_nothing)
{
    struct mem_stats before, after;
    struct trace_session *all[8], *more;
    struct trace_open want = { .version = TRACE_VERSION, .points = 1, .flags = TRACE_SUMMARY };
    session_destroy(watch(1)); /* what the first one makes for good */
    page_stats(&before);
    for (unsigned i = 0; i < ARRAY_SIZE(all); i++)
        CHECK_EQ(session_create(&want, NULL, &all[i]), 0);
    CHECK_EQ(session_create(&want, NULL, &more), -EBUSY);
    for (unsigned i = 0; i < ARRAY_SIZE(all); i++)
        session_destroy(all[i]);
    slab_trim();
    page_stats(&after);
    CHECK(after.free_pages + 8 >= before.free_pages);
}

TEST(sums)
{
    static struct trace_sum sums[TRACE_CALLS];
    struct trace_session *s;
    struct trace_open want = { .version = TRACE_VERSION, .flags = TRACE_SUMMARY, .calls = { 1ull << 3 } };
    CHECK_EQ(session_create(&want, NULL, &s), 0);
    u64 args[6] = { 0 };
    for (u32 nr = 3; nr <= 4; nr++) {
        struct trace_call c = { .nr = nr, .pid = 1, .tid = 1, .args = args, .result = 5 };
        CHECK_EQ(trace_call_entered(&c).any, 0); /* no records */
        CHECK_EQ(trace_call_returned(&c), 0);
        trace_call_counted(nr, 5, 100);
        trace_call_counted(nr, -ENOENT, 11);
        trace_call_counted(nr, -4096, 1000);
    }
    trace_call_counted(TRACE_CALLS, 0, 1);
    trace_call_counted(UINT32_MAX, 0, 1);
    session_sums(s, sums);
    CHECK_EQ(sums[3].calls, 3);
    CHECK_EQ(sums[3].errors, 1);
    CHECK_EQ(sums[3].time_ns, 1111);
    CHECK_EQ(sums[4].calls, 0);
    session_destroy(s);
}

static void as_seven(u32 *ret_pid, u32 *ret_tid)
{
    *ret_pid = 7;
    *ret_tid = 8;
}

TEST(sums_of_one_process)
{
    static struct trace_sum sums[TRACE_CALLS];
    trace_who = as_seven;
    for (u32 pid = 6; pid <= 9; pid++) {
        struct trace_session *s;
        struct trace_open want = { .version = TRACE_VERSION, .flags = TRACE_SUMMARY, .pid = pid, .calls = { 1 } };
        CHECK_EQ(session_create(&want, NULL, &s), 0);
        trace_call_counted(0, 0, 1);
        session_sums(s, sums);
        CHECK_EQ(sums[0].calls, pid == 7 || pid == 8);
        session_destroy(s);
    }
    trace_who = NULL;
}

static u32 running;

static void counter(void *arg)
{
    for (unsigned i = 0; i < 200; i++) {
        trace_call_counted(3, 0, 1);
        cond_resched();
    }
    atomic_sub(&running, 1u);
}

TEST_CPUS(sums_come_and_go_under_calls, 4)
{
    static struct trace_sum sums[TRACE_CALLS];
    struct trace_open want = { .version = TRACE_VERSION, .flags = TRACE_SUMMARY, .calls = { 1ull << 3 } };
    struct trace_session *whole, *s;
    struct thread *t;
    CHECK_EQ(session_create(&want, NULL, &whole), 0);
    atomic_store(&running, 8u);
    for (unsigned i = 0; i < 8; i++) {
        CHECK_EQ(thread_create("counter", counter, NULL, false, &t), 0);
        thread_start(t);
        thread_put(t);
    }
    while (atomic_load(&running) != 0) {
        CHECK_EQ(session_create(&want, NULL, &s), 0);
        sched_yield_cpu();
        session_sums(s, sums);
        CHECK(sums[3].calls <= 8 * 200 && sums[3].time_ns <= 8 * 200);
        session_destroy(s);
    }
    session_sums(whole, sums);
    CHECK_EQ(sums[3].calls, 8 * 200);
    CHECK_EQ(sums[3].time_ns, 8 * 200);
    session_destroy(whole);
}

static void writer(void *arg)
{
    for (unsigned i = 0; i < 200; i++) {
        TRACE(NET_DROP, (u64)"x");
        cond_resched();
    }
    atomic_sub(&running, 1u);
}

TEST_CPUS(come_and_go_under_writers, 4)
{
    struct thread *t;
    atomic_store(&running, 8u);
    for (unsigned i = 0; i < 8; i++) {
        CHECK_EQ(thread_create("writer", writer, NULL, false, &t), 0);
        thread_start(t);
        thread_put(t);
    }
    while (atomic_load(&running) != 0) {
        struct trace_session *s = watch(1ull << TP_NET_DROP);
        sched_yield_cpu();
        while (session_drain(s, batch, sizeof(batch)) > 0)
            ;
        session_destroy(s);
    }
    CHECK_EQ(trace_on[TP_NET_DROP], 0);
}
