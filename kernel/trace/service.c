/* SPDX-License-Identifier: Apache-2.0 */
/* The service "trace": a session for each client (abi/trace.h). */
#include "base/fmt.h"
#include "base/str.h"
#include "kern/channel.h"
#include "kern/slab.h"
#include "kern/timer.h"
#include "trace_impl.h"

#define BATCH_BYTES (4 * CTL_PART_MAX)
#define ROUND_NS 5000000ull /* writers wake nobody: the rings are looked at so often */
#define SUMS_NS NSEC_PER_SEC
#define PLACE_NS NSEC_PER_SEC

void (*trace_watch_calls)(bool on, bool sums);
static u32 open_sessions; /* atomic */
static bool call_session; /* atomic: one that wants calls has been opened */
static bool finishing;    /* atomic */
static struct waitqueue sessions_wq;

/* What the client learns first: the time, and which tracepoints there are. */
static int send_start(struct channel *c, u8 *buf)
{
    struct {
        struct trace_record head;
        struct trace_start start;
    } s = { { .len = sizeof(s), .kind = TRACE_START, .time_ns = now_ns() }, { .realtime_ns = wall_ns() } };
    memcpy(buf, &s, sizeof(s));
    size_t n = sizeof(s);
    for (unsigned i = 0; i < TP_COUNT; i++) {
        struct trace_record *r = (struct trace_record *)(buf + n);
        char *text = (char *)(r + 1);
        size_t len = (size_t)fmt_snprintf(text, 200, "%s %s %s", trace_points[i].name, trace_points[i].types, trace_points[i].fields);
        for (char *p = strchr(text, ' ') + 1; (TRACE_POINTS_NAMED >> i & 1) != 0 && *p != ' '; p++)
            *p = *p == 'x' ? 's' : *p;
        size_t padded = ALIGN_UP(len + 1, 8);
        memset(text + len, 0, padded - len);
        *r = (struct trace_record){ .len = (u32)(sizeof(*r) + padded), .kind = TRACE_DEFINE, .id = (u16)i };
        n += r->len;
    }
    return channel_send(c, buf, n, false);
}

void trace_session_came(void)
{
    atomic_store(&call_session, true);
    wq_wake_all(&sessions_wq, 0);
}

static int send_sums(struct channel *c, struct trace_session *s, u8 *buf)
{
    struct trace_record *r = (struct trace_record *)buf;
    struct trace_sum *sums = (struct trace_sum *)(r + 1);
    _Static_assert(BATCH_BYTES >= sizeof(*r) + TRACE_CALLS * sizeof(*sums), "sums fit");
    u32 n = 0;
    session_sums(s, sums);
    for (u32 nr = 0; nr < TRACE_CALLS; nr++)
        if (sums[nr].calls != 0)
            sums[n++] = sums[nr];
    *r = (struct trace_record){ .len = (u32)(sizeof(*r) + n * sizeof(*sums)), .kind = TRACE_SUMS, .time_ns = now_ns() };
    return channel_send(c, buf, r->len, false);
}

/* Until the client leaves or says that it has seen enough, or the machine ends. */
static void carry(struct channel *c, struct trace_session *s, u8 *buf)
{
    bool sums = (s->want.flags & TRACE_SUMMARY) != 0, records = !sums || s->want.points != 0;
    u64 next_sums_ns = now_ns() + SUMS_NS;
    for (;;) {
        bool last = atomic_load(&finishing) || channel_readable(c);
        size_t n = session_drain(s, buf, BATCH_BYTES);
        if (n > 0 && channel_send(c, buf, n, false) != 0)
            return;
        if (sums && (last || now_ns() >= next_sums_ns)) {
            next_sums_ns = now_ns() + SUMS_NS;
            if (send_sums(c, s, buf) != 0)
                return;
        }
        if (last && n == 0)
            return;
        if (n == 0)
            wait_event_until(channel_wq(c), channel_closed(c) || channel_readable(c) || atomic_load(&finishing),
                             records ? now_ns() + ROUND_NS : next_sums_ns);
        if (channel_closed(c))
            return;
    }
}

static void run_session(struct channel *c, struct trace_session *s)
{
    u8 *buf = kmalloc(BATCH_BYTES, 0);
    bool calls = wants_calls(&s->want), sums = (s->want.flags & TRACE_SUMMARY) != 0;
    if (buf == NULL) {
        channel_fail(c, ENOMEM, "the instance has no memory for it");
        return;
    }
    if (calls)
        trace_watch_calls(true, sums);
    if (send_start(c, buf) == 0) {
        if (calls)
            trace_session_came();
        carry(c, s, buf);
    }
    if (calls)
        trace_watch_calls(false, sums);
    kfree(buf);
}

static void leave(void)
{
    atomic_sub(&open_sessions, 1u);
    wq_wake_all(&sessions_wq, 0);
}

/* Those whose clients have gone are given time to end. */
static int create(struct channel *c, const struct trace_open *o, struct trace_session **ret)
{
    u64 deadline = now_ns() + PLACE_NS;
    for (;;) {
        atomic_add(&open_sessions, 1u);
        int err = session_create(o, channel_wq(c), ret);
        if (err == 0)
            return 0;
        leave();
        if (err != -EBUSY || channel_closed(c) || wait_event_until(&sessions_wq, atomic_load(&open_sessions) < SESSIONS_MAX, deadline) != 0)
            return err;
    }
}

static void run_trace(struct channel *c, const char *args, size_t len)
{
    struct trace_open o;
    struct trace_session *s;
    if (len != sizeof(o)) {
        channel_fail(c, EINVAL, "trace: another length of arguments is expected");
        return;
    }
    memcpy(&o, args, sizeof(o));
    if (o.version != TRACE_VERSION || (o.flags & ~(TRACE_SUMMARY | TRACE_ERRORS)) != 0 || o.nfds > TRACE_FDS_MAX ||
        o.path[TRACE_PATH_MAX - 1] != '\0' || o.string_max > TRACE_STRING_MAX || o.points >> TP_COUNT != 0) {
        channel_fail(c, EINVAL, "trace: this kernel does not know what is asked for");
        return;
    }
    int err = create(c, &o, &s);
    if (err != 0) {
        channel_fail(c, -err, err == -EBUSY ? "trace: too many look already" : "the instance has no memory for it");
        return;
    }
    run_session(c, s);
    session_destroy(s);
    leave();
}

void trace_service_init(void)
{
    static struct service trace = { .name = "trace", .run = run_trace };
    wq_init(&sessions_wq, "trace sessions");
    service_register(&trace);
}

void trace_finish(u64 deadline_ns)
{
    atomic_store(&finishing, true);
    sessions_wake();
    wait_event_until(&sessions_wq, atomic_load(&open_sessions) == 0, deadline_ns);
}

void trace_wait_session(u64 deadline_ns) { wait_event_until(&sessions_wq, atomic_load(&call_session), deadline_ns); }
