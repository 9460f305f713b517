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
    CHECK_EQ(session_create(&want, &s), 0);
    return s;
}

static void emit(u64 from, u64 to)
{
    for (u64 i = from; i < to; i++)
        TRACE(NET_TCP_STATE, 1, 2, i, 4);
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
        CHECK_EQ(session_create(&want, &all[i]), 0);
    CHECK_EQ(session_create(&want, &more), -EBUSY);
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
    CHECK_EQ(session_create(&want, &s), 0);
    trace_sum(3, 1, 1, 5, 100);
    trace_sum(3, 1, 1, -ENOENT, 11);
    trace_sum(4, 1, 1, 0, 7);
    session_sums(s, sums);
    CHECK_EQ(sums[3].calls, 2);
    CHECK_EQ(sums[3].errors, 1);
    CHECK_EQ(sums[3].time_ns, 111);
    CHECK_EQ(sums[4].calls, 0);
    session_destroy(s);
}

static u32 running;

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
