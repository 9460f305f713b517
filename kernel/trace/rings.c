/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions, rings, and what writes to them: kern/trace.h. */
#include "trace_impl.h"

#include "base/str.h"
#include "kern/log.h"
#include "kern/percpu.h"
#include "kern/slab.h"
#include "kern/timer.h"

#define RING_BYTES (1u << 20)
#define RING_BYTES_SMALL (64u << 10) /* where there is little memory */

const struct trace_point_info trace_points[TP_COUNT] = {
#define X(id, name, types, fields) { name, types, fields },
    TRACE_POINT_LIST(X)
#undef X
};
u8 trace_on[TP_COUNT];
static u8 recorded[TP_COUNT];    /* slots_lock, read without: sessions that want it */
static u32 programmed[TP_COUNT]; /* slots_lock: programs at it */
void (*trace_programs)(enum trace_point point, const u64 *fields, const u64 *frame);
void (*trace_who)(u32 *ret_pid, u32 *ret_tid);

static struct trace_session *sessions[SESSIONS_MAX]; /* slots: set and cleared atomically, X2 */
static u32 filled;                                   /* bits of slots that are; slots_lock, read without */
static u32 summing;                                  /* those of sessions with sums; the same */
static struct {
    u32 busy;                                        /* atomic: a thread of this CPU is in trace_call_counted(), X4 */
} ALIGNED(64) summers[MAX_CPUS];
static struct spinlock locks[MAX_CPUS] = { [0 ... MAX_CPUS - 1] = SPINLOCK_INIT("trace") };
static struct spinlock slots_lock = SPINLOCK_INIT("trace sessions"); /* changes of sessions and trace_on */

/* --- rings ------------------------------------------------------------------------------- */

static void copy_in(const struct trace_session *s, struct ring *r, const void *data, u32 len)
{
    u32 at = (u32)r->end & (s->size - 1), first = MIN(len, s->size - at);
    memcpy(r->bytes + at, data, first);
    memcpy(r->bytes, (const u8 *)data + first, len - first);
    r->end += len;
}

static void copy_out(const struct trace_session *s, const struct ring *r, void *data, u32 len)
{
    u32 at = (u32)r->begin & (s->size - 1), first = MIN(len, s->size - at);
    memcpy(data, r->bytes + at, first);
    memcpy((u8 *)data + first, r->bytes, len - first);
}

/* X held. The oldest records make room. */
static void put(struct trace_session *s, struct ring *r, const struct trace_record *rec)
{
    while (r->end - r->begin + rec->len > s->size) {
        struct trace_record old;
        copy_out(s, r, &old, sizeof(old));
        r->begin += old.len;
        r->lost++;
    }
    copy_in(s, r, rec, rec->len);
}

static bool of_thread(const struct trace_session *s, u32 pid, u32 tid)
{
    return s->want.pid == 0 || s->want.pid == pid || s->want.pid == tid;
}

static bool has_fd(const struct trace_open *w, const struct trace_call *c)
{
    bool found = w->nfds == 0;
    for (u32 arg = 0; arg < 6 && !found; arg++)
        for (u32 i = 0; (c->fd_args >> arg & 1) != 0 && i < w->nfds; i++)
            found |= w->fds[i] == (s32)c->args[arg];
    return found;
}

static bool has_result(const struct trace_open *w, s64 result)
{
    u64 error = result < 0 && result >= -4095 ? (u64)-result : 0;
    return error < 8 * sizeof(w->errors) && (w->errors[error / 64] >> error % 64 & 1) != 0;
}

/* Among the pieces of an entry's record. */
static bool has_path(const struct trace_open *w, const struct trace_call *c, const struct trace_record *r)
{
    u32 len = (u32)strnlen(w->path, TRACE_PATH_MAX), at = sizeof(*r) + 6 * 8;
    bool found = len == 0 || r->kind != TRACE_ENTRY;
    while (!found && at + sizeof(struct trace_piece) <= r->len) {
        struct trace_piece p;
        memcpy(&p, (const u8 *)r + at, sizeof(p));
        at += sizeof(p);
        found = (c->path_args >> p.arg & 1) != 0 && p.len == len && memcmp((const u8 *)r + at, w->path, len) == 0;
        at += ALIGN_UP(p.len, 8);
    }
    return found;
}

static bool wants_number(const struct trace_session *s, u32 nr) { return (s->want.calls[nr / 64] & 1ull << nr % 64) != 0; }

static bool wants(const struct trace_session *s, const struct trace_call *c)
{
    return (s->want.flags & TRACE_SUMMARY) == 0 && wants_number(s, c->nr) && of_thread(s, c->pid, c->tid);
}

/* It is known only when the call has returned whether its record is wanted. */
static bool wants_late(const struct trace_session *s, const struct trace_call *c) { return (s->want.flags & TRACE_ERRORS) != 0 && !c->early; }

/* The lock is held. */
static void publish_to(struct trace_session *s, unsigned cpu, const struct trace_record *rec)
{
    if (s->rings[cpu].bytes != NULL)
        put(s, &s->rings[cpu], rec);
}

u8 trace_publish(struct trace_record *rec, const struct trace_call *c, u8 sessions_bits)
{
    u8 got = 0;
    u64 flags = plat_events_save();
    unsigned cpu = this_cpu()->cpu;
    spin_lock(&locks[cpu]);
    rec->cpu = (u8)cpu;
    rec->time_ns = rec->time_ns != 0 ? rec->time_ns : now_ns();
    for (unsigned i = 0; i < SESSIONS_MAX; i++) {
        struct trace_session *s = (sessions_bits >> i & 1) != 0 ? atomic_load(&sessions[i]) : NULL;
        if (s == NULL || !wants(s, c) || !has_path(&s->want, c, rec))
            continue;
        publish_to(s, cpu, rec);
        got |= (u8)(1u << i);
    }
    spin_unlock(&locks[cpu]);
    plat_events_restore(flags);
    return got;
}

static void publish_point(struct trace_record *rec)
{
    u64 flags = plat_events_save();
    unsigned cpu = this_cpu()->cpu;
    spin_lock(&locks[cpu]);
    rec->cpu = (u8)cpu;
    rec->time_ns = now_ns();
    for (unsigned i = 0; i < SESSIONS_MAX; i++) {
        struct trace_session *s = atomic_load(&sessions[i]);
        if (s != NULL && (s->want.points & 1ull << rec->id) != 0 && of_thread(s, rec->pid, rec->tid))
            publish_to(s, cpu, rec);
    }
    spin_unlock(&locks[cpu]);
    plat_events_restore(flags);
}

/* --- tracepoints ---------------------------------------------------------------------------- */

#define POINT_STRING_MAX 96u

static u32 add_string(u8 *to, const char *text)
{
    u64 len = text != NULL ? strnlen(text, POINT_STRING_MAX) : 0;
    u32 padded = (u32)ALIGN_UP(len, 8);
    memcpy(to, &len, 8);
    memset(to + 8, 0, padded);
    memcpy(to + 8, text != NULL ? text : "", len);
    return 8 + padded;
}

static u32 add_function(u8 *to, u64 address)
{
    char name[POINT_STRING_MAX];
    char *plus = strchr(symbol_name(address, name, sizeof(name)), '+');
    if (plus != NULL)
        *plus = '\0';
    return add_string(to, name);
}

void trace_emit(enum trace_point point, u64 a, u64 b, u64 c, u64 d, u64 e, u64 f)
{
    const u64 fields[TRACE_FIELDS_MAX] = { a, b, c, d, e, f };
    struct {
        struct trace_record head;
        u8 bytes[TRACE_FIELDS_MAX * (8 + POINT_STRING_MAX)] ALIGNED(8);
    } r;
    u32 n = 0;
    if (trace_programs != NULL)
        trace_programs(point, fields, __builtin_frame_address(0));
    if (atomic_load_relaxed(&recorded[point]) == 0)
        return;
    for (unsigned i = 0; trace_points[point].types[i] != '\0'; i++) {
        if (trace_points[point].types[i] == 'x' && (TRACE_POINTS_NAMED >> point & 1) != 0) {
            n += add_function(r.bytes + n, fields[i]);
        } else if (trace_points[point].types[i] == 's') {
            n += add_string(r.bytes + n, (const char *)(uintptr_t)fields[i]);
        } else {
            memcpy(r.bytes + n, &fields[i], 8);
            n += 8;
        }
    }
    r.head = (struct trace_record){ .len = sizeof(r.head) + n, .kind = TRACE_POINT, .id = (u16)point };
    if (trace_who != NULL)
        trace_who(&r.head.pid, &r.head.tid);
    publish_point(&r.head);
}

/* --- calls ------------------------------------------------------------------------------------- */

struct trace_wanted trace_call_entered(const struct trace_call *c)
{
    struct trace_wanted w = { 0 };
    if (c->nr >= TRACE_CALLS)
        return w;
    u64 flags = plat_events_save();
    struct spinlock *lock = &locks[this_cpu()->cpu];
    spin_lock(lock);
    for (u32 left = atomic_load_relaxed(&filled); left != 0; left &= left - 1) {
        u8 i = (u8)__builtin_ctz(left);
        const struct trace_session *s = atomic_load(&sessions[i]);
        if (s == NULL || !wants(s, c))
            continue;
        w.any |= (u8)(1u << i);
        if (!wants_late(s, c) && has_fd(&s->want, c))
            w.now |= (u8)(1u << i);
    }
    spin_unlock(lock);
    plat_events_restore(flags);
    return w;
}

static NOINLINE bool of_current_thread(const struct trace_session *s)
{
    u32 pid, tid;
    trace_who(&pid, &tid);
    return of_thread(s, pid, tid);
}

void trace_call_counted(u32 nr, s64 result, u64 time_ns)
{
    unsigned cpu = this_cpu()->cpu;
    atomic_store_relaxed(&summers[cpu].busy, 1u);
    compiler_barrier();
    for (u32 left = nr < TRACE_CALLS ? atomic_load(&summing) : 0; left != 0; left &= left - 1) {
        const struct trace_session *s = sessions[__builtin_ctz(left)];
        struct trace_sum *sum = s->rings[cpu].sums;
        if (sum == NULL || !wants_number(s, nr) || (unlikely(s->want.pid != 0) && !of_current_thread(s)))
            continue;
        sum += nr;
        sum->calls++;
        sum->errors += result < 0 && result >= -4095;
        sum->time_ns += time_ns;
    }
    atomic_store(&summers[cpu].busy, 0u);
}

u8 trace_call_returned(const struct trace_call *c)
{
    u8 late = 0;
    u64 flags = plat_events_save();
    struct spinlock *lock = &locks[this_cpu()->cpu];
    spin_lock(lock);
    for (u32 left = atomic_load_relaxed(&filled); left != 0; left &= left - 1) {
        u8 i = (u8)__builtin_ctz(left);
        const struct trace_session *s = atomic_load(&sessions[i]);
        if (s != NULL && wants(s, c) && wants_late(s, c) && has_fd(&s->want, c) && has_result(&s->want, c->result))
            late |= (u8)(1u << i);
    }
    spin_unlock(lock);
    plat_events_restore(flags);
    return late;
}

u32 trace_string_max(u8 sessions_bits)
{
    u32 max = 0;
    u64 flags = plat_events_save();
    struct spinlock *lock = &locks[this_cpu()->cpu];
    spin_lock(lock);
    for (unsigned i = 0; i < SESSIONS_MAX; i++) {
        const struct trace_session *s = (sessions_bits >> i & 1) != 0 ? atomic_load(&sessions[i]) : NULL;
        max = s != NULL ? MAX(max, s->want.string_max) : max;
    }
    spin_unlock(lock);
    plat_events_restore(flags);
    return max;
}

/* --- sessions ------------------------------------------------------------------------------------ */

static void free_rings(struct trace_session *s)
{
    for (unsigned i = 0; i < MAX_CPUS; i++) {
        if (s->rings[i].bytes != NULL)
            vmap_free(s->rings[i].bytes, s->size);
        kfree(s->rings[i].sums);
    }
    kfree(s);
}

static bool add_rings(struct trace_session *s)
{
    for (unsigned i = 0; i < MAX_CPUS && percpu_table[i] != NULL; i++) {
        struct ring *r = &s->rings[i];
        r->bytes = vmap_alloc(s->size);
        if ((s->want.flags & TRACE_SUMMARY) != 0)
            r->sums = kzalloc(TRACE_CALLS * sizeof(*r->sums));
        if (r->bytes == NULL || ((s->want.flags & TRACE_SUMMARY) != 0 && r->sums == NULL))
            return false;
    }
    return true;
}

/* slots_lock held. */
static void set_on(enum trace_point point) { atomic_store(&trace_on[point], (u8)(recorded[point] + (programmed[point] != 0))); }

static void count_points(u64 set, int by)
{
    for (unsigned i = 0; i < TP_COUNT; i++)
        if ((set & 1ull << i) != 0) {
            atomic_store(&recorded[i], (u8)(recorded[i] + by));
            set_on(i);
        }
}

void trace_point_want(enum trace_point point, int by)
{
    spin_lock(&slots_lock);
    programmed[point] += (u32)by;
    set_on(point);
    spin_unlock(&slots_lock);
}

static int find_slot_locked(const struct trace_session *s)
{
    for (int i = 0; i < SESSIONS_MAX; i++)
        if (sessions[i] == s)
            return i;
    return -EBUSY;
}

bool wants_calls(const struct trace_open *o)
{
    u64 any = 0;
    for (unsigned i = 0; i < ARRAY_SIZE(o->calls); i++)
        any |= o->calls[i];
    return any != 0;
}

int session_create(const struct trace_open *want, struct waitqueue *wq, struct trace_session **ret)
{
    struct mem_stats m;
    struct trace_session *s = kzalloc(sizeof(*s));
    if (s == NULL)
        return -ENOMEM;
    page_stats(&m);
    s->want = *want;
    s->wq = wq;
    s->size = (want->flags & TRACE_SUMMARY) != 0 || m.free_pages * PAGE_SIZE < 16 * RING_BYTES ? RING_BYTES_SMALL : RING_BYTES;
    if (!add_rings(s)) {
        free_rings(s);
        return -ENOMEM;
    }
    spin_lock(&slots_lock);
    int slot = find_slot_locked(NULL);
    if (slot >= 0) {
        atomic_store(&sessions[slot], s);
        atomic_store(&filled, filled | 1u << slot);
        if ((want->flags & TRACE_SUMMARY) != 0)
            atomic_store(&summing, summing | 1u << slot);
        count_points(want->points, 1);
    }
    spin_unlock(&slots_lock);
    if (slot < 0) {
        free_rings(s);
        return slot;
    }
    *ret = s;
    return 0;
}

/* X4 */
static void stop_sums(const struct trace_session *s)
{
    spin_lock(&slots_lock);
    atomic_store(&summing, summing & ~(1u << find_slot_locked(s)));
    spin_unlock(&slots_lock);
    plat_barrier(NULL);
    for (unsigned i = 0; i < MAX_CPUS; i++)
        while (atomic_load(&summers[i].busy) != 0)
            plat_relax();
}

void session_destroy(struct trace_session *s)
{
    if ((s->want.flags & TRACE_SUMMARY) != 0)
        stop_sums(s);
    spin_lock(&slots_lock);
    int slot = find_slot_locked(s);
    ASSERT(slot >= 0);
    atomic_store(&sessions[slot], NULL);
    atomic_store(&filled, filled & ~(1u << slot));
    count_points(s->want.points, -1);
    spin_unlock(&slots_lock);
    for (unsigned i = 0; i < MAX_CPUS; i++) { /* X2 */
        u64 flags = spin_lock_irqsave(&locks[i]);
        spin_unlock_irqrestore(&locks[i], flags);
    }
    free_rings(s);
}

void sessions_wake(void)
{
    spin_lock(&slots_lock);
    for (unsigned i = 0; i < SESSIONS_MAX; i++)
        if (sessions[i] != NULL)
            wq_wake_all(sessions[i]->wq, 0);
    spin_unlock(&slots_lock);
}

/* The CPU whose oldest record is the oldest; -1: all rings are empty. */
static int oldest(struct trace_session *s)
{
    int best = -1;
    u64 best_ns = 0;
    for (unsigned i = 0; i < MAX_CPUS && s->rings[i].bytes != NULL; i++) {
        struct ring *r = &s->rings[i];
        struct trace_record head = { 0 };
        u64 flags = spin_lock_irqsave(&locks[i]);
        bool any = r->begin != r->end;
        if (any)
            copy_out(s, r, &head, sizeof(head));
        spin_unlock_irqrestore(&locks[i], flags);
        if (any && (best < 0 || head.time_ns < best_ns)) {
            best = (int)i;
            best_ns = head.time_ns;
        }
    }
    return best;
}

/* The oldest record, and before it how many were lost there. Bytes, 0: there is no room. */
static size_t take(struct trace_session *s, unsigned cpu, u8 *buf, size_t size)
{
    struct {
        struct trace_record head;
        u64 count;
    } lost = { .head = { .len = sizeof(lost), .kind = TRACE_LOST, .cpu = (u8)cpu } };
    struct ring *r = &s->rings[cpu];
    size_t n = 0;
    u64 flags = spin_lock_irqsave(&locks[cpu]);
    struct trace_record head;
    copy_out(s, r, &head, sizeof(head));
    if (size >= head.len + sizeof(lost)) {
        if (r->lost != 0) {
            lost.count = r->lost;
            lost.head.time_ns = head.time_ns;
            r->lost = 0;
            memcpy(buf, &lost, sizeof(lost));
            n = sizeof(lost);
        }
        copy_out(s, r, buf + n, head.len);
        r->begin += head.len;
        n += head.len;
    }
    spin_unlock_irqrestore(&locks[cpu], flags);
    return n;
}

size_t session_drain(struct trace_session *s, u8 *buf, size_t size)
{
    size_t n = 0;
    for (int cpu; (cpu = oldest(s)) >= 0;) {
        size_t more = take(s, (unsigned)cpu, buf + n, size - n);
        if (more == 0)
            break;
        n += more;
    }
    return n;
}

void session_sums(struct trace_session *s, struct trace_sum *ret)
{
    memset(ret, 0, TRACE_CALLS * sizeof(*ret));
    for (unsigned i = 0; i < MAX_CPUS && s->rings[i].sums != NULL; i++) {
        for (u32 nr = 0; nr < TRACE_CALLS; nr++) {
            const struct trace_sum *one = &s->rings[i].sums[nr];
            ret[nr].nr = nr;
            ret[nr].calls += atomic_load_relaxed(&one->calls);
            ret[nr].errors += atomic_load_relaxed(&one->errors);
            ret[nr].time_ns += atomic_load_relaxed(&one->time_ns);
        }
    }
}
