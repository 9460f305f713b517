/* SPDX-License-Identifier: Apache-2.0 */
/* The service "bpf": a conversation and what its client made (abi/bpf.h). */
#include "base/fmt.h"
#include "base/str.h"
#include "bpf_impl.h"
#include "kern/channel.h"
#include "kern/kprobe.h"
#include "kern/log.h"
#include "kern/slab.h"
#include "kern/thread.h"

#define ROUND_NS 5000000ull /* writers wake nobody: rings are looked at so often */
#define PRINT_RING_BYTES 65536u
#define END_NS (2 * NSEC_PER_SEC)
#define AREAS_BYTES (64u << 10)
#define AREAS_BYTES_MAX (4u << 20)

struct bpf_session {
    struct list node;          /* of sessions */
    struct channel *c;
    u32 flags;
    struct bpf_map *maps[BPFD_MAPS_MAX];
    struct bpf_program *programs[BPFD_PROGRAMS_MAX];
    struct list attached;      /* struct bpf_attach.node */
    u32 nattached, next_attach;
    size_t map_bytes;
    u32 rings;                 /* maps that have some, and the one below */
    struct bpf_ring print;     /* bytes NULL: nobody prints */
    const char *why;           /* text of an error's reply */
    struct verify_result verified;
    u64 value;                 /* of the reply */
    u32 len;                   /* of the reply's data, in out + REPLY_HEAD */
    u8 *in, *out;
};
#define REPLY_HEAD (sizeof(struct bpfd_head) + sizeof(struct bpfd_reply))
#define OUT_BYTES (REPLY_HEAD + BPFD_DATA_MAX)

static struct spinlock sessions_lock = SPINLOCK_INIT("bpf sessions"); /* threads only */
static struct list sessions = LIST_INIT(sessions);
static bool finishing; /* atomic */
static struct waitqueue sessions_wq;

struct bpf_ring *session_print_ring(struct bpf_session *s) { return &s->print; }

static u8 *reply_data(struct bpf_session *s) { return s->out + REPLY_HEAD; }

static int reply_text(struct bpf_session *s, int err, const char *text)
{
    s->len = (u32)MIN(strlen(text), (size_t)300);
    memcpy(reply_data(s), text, s->len);
    return err;
}

/* --- maps ------------------------------------------------------------------------------------- */

static size_t memory_limit(const struct bpf_session *s)
{
    size_t most = MIN((size_t)BPFD_MEMORY_MAX, page_available() * PAGE_SIZE / 8);
    return most > s->map_bytes ? most - s->map_bytes : 0;
}

static int map_make(struct bpf_session *s, const void *body, size_t len)
{
    struct bpfd_map_create c;
    const char *why = "";
    memcpy(&c, body, sizeof(c));
    if (len != sizeof(c) || c.map >= BPFD_MAPS_MAX || s->maps[c.map] != NULL)
        return reply_text(s, -EINVAL, "the number of a map that there is, or that is too large");
    int err = map_create(&c, memory_limit(s), &s->maps[c.map], &why);
    if (err != 0)
        return reply_text(s, err, why);
    s->map_bytes += s->maps[c.map]->bytes;
    s->rings += s->maps[c.map]->rings != NULL;
    return 0;
}

/* The head, and its map or NULL. */
static struct bpf_map *map_for(struct bpf_session *s, const void *body, struct bpfd_map_op *ret)
{
    memcpy(ret, body, sizeof(*ret));
    return ret->map < BPFD_MAPS_MAX ? s->maps[ret->map] : NULL;
}

static int map_look(struct bpf_session *s, const void *body, size_t len)
{
    struct bpfd_map_op op;
    struct bpf_map *m = map_for(s, body, &op);
    if (m == NULL || len != sizeof(op) + m->key_size)
        return -EINVAL;
    for (u32 i = 0; i < m->copies; i++) {
        const void *value = m->ops->lookup(m, (const u8 *)body + sizeof(op), i);
        if (value == NULL) { /* it may go in between */
            s->len = 0;
            return -ENOENT;
        }
        memset(reply_data(s) + s->len, 0, ALIGN_UP(m->value_size, 8u));
        memcpy(reply_data(s) + s->len, value, m->value_size);
        s->len += m->copies > 1 ? ALIGN_UP(m->value_size, 8u) : m->value_size;
    }
    return 0;
}

static int map_change(struct bpf_session *s, const void *body, size_t len)
{
    struct bpfd_map_op op;
    struct bpf_map *m = map_for(s, body, &op);
    if (m == NULL || len != sizeof(op) + m->key_size + (m->copies > 1 ? map_values_size(m) : m->value_size))
        return -EINVAL;
    const u8 *key = (const u8 *)body + sizeof(op);
    return m->ops->update(m, key, key + m->key_size, op.flags, 0, m->copies > 1);
}

static int map_remove(struct bpf_session *s, const void *body, size_t len)
{
    struct bpfd_map_op op;
    struct bpf_map *m = map_for(s, body, &op);
    return m != NULL && len == sizeof(op) + m->key_size ? m->ops->remove(m, (const u8 *)body + sizeof(op)) : -EINVAL;
}

static int map_dump(struct bpf_session *s, const void *body, size_t len)
{
    struct bpfd_map_op op;
    struct bpf_map *m = map_for(s, body, &op);
    if (m == NULL || len != sizeof(op))
        return -EINVAL;
    u32 key = ALIGN_UP(m->key_size, 8u), one = key + map_values_size(m);
    u64 cursor = op.cursor, next;
    for (; s->len + one <= BPFD_DATA_MAX; s->len += one, cursor = next) {
        u8 *to = reply_data(s) + s->len;
        memset(to, 0, one);
        next = m->ops->next(m, cursor, to, to + key);
        if (next == 0) {
            s->value = 0;
            return 0;
        }
    }
    s->value = cursor;
    return 0;
}

static int map_empty(struct bpf_session *s, const void *body, size_t len)
{
    struct bpfd_map_op op;
    struct bpf_map *m = map_for(s, body, &op);
    return m != NULL && len == sizeof(op) ? map_clear(m) : -EINVAL;
}

/* --- programs ------------------------------------------------------------------------------------- */

static void program_destroy(struct bpf_program *p)
{
    if (p == NULL)
        return;
    vmap_free(p->machine, p->machine_bytes);
    bpf_code_done(&p->code);
    kfree(p);
}

/* What cannot be compiled, for whatever reason, is interpreted. */
static void compile(struct bpf_program *p)
{
    u32 *offsets = kmalloc((p->code.count + 1) * sizeof(u32), 0);
    size_t size = offsets != NULL ? arch_bpf_compile(&p->code, offsets, NULL, 0) : 0;
    u8 *machine = size != 0 ? vmap_alloc(size) : NULL;
    if (machine != NULL) {
        arch_bpf_compile(&p->code, offsets, machine, size);
        if (vmap_make_code(machine, size) == 0) {
            p->machine = machine;
            p->machine_bytes = size;
        } else {
            vmap_free(machine, size);
        }
    }
    kfree(offsets);
}

static int accept(struct bpf_session *s, struct bpf_program *p)
{
    struct verify_result *r = &s->verified;
    const s16 *words = p->ctx == BPFD_CTX_CALL_ENTRY && bpf_personality != NULL ? bpf_personality->words : NULL;
    int err = bpf_verify(&p->code, bpf_ctx_size(p->ctx), words, s->maps, BPFD_MAPS_MAX, r);
    if (err != 0)
        return reply_text(s, err, r->why);
    if (r->prints && s->print.bytes == NULL) {
        if (ring_init(&s->print, PRINT_RING_BYTES) != 0)
            return reply_text(s, -ENOMEM, "no memory");
        s->rings++;
    }
    if ((s->flags & BPFD_INTERPRET) == 0)
        compile(p);
    p->entry = p->machine != NULL ? (bpf_entry_fn *)(uintptr_t)p->machine : bpf_interpreted;
    s->value = p->machine != NULL;
    return 0;
}

static int program_load(struct bpf_session *s, const void *body, size_t len)
{
    struct bpfd_load l;
    memcpy(&l, body, sizeof(l));
    if (l.program >= BPFD_PROGRAMS_MAX || s->programs[l.program] != NULL || l.flags != 0 || bpf_ctx_size(l.ctx) == 0)
        return reply_text(s, -EINVAL, "the number of a program that there is, or that is too large, or an unknown context");
    if (l.insn_count == 0 || l.insn_count > BPFD_INSNS_MAX || len != sizeof(l) + l.insn_count * sizeof(struct bpf_insn))
        return reply_text(s, -EINVAL, "the number of instructions");
    struct bpf_program *p = kzalloc(sizeof(*p));
    struct bpf_insn *insns = kmalloc(l.insn_count * sizeof(*insns), 0);
    if (p == NULL || insns == NULL) {
        kfree(p);
        kfree(insns);
        return reply_text(s, -ENOMEM, "no memory");
    }
    memcpy(insns, (const u8 *)body + sizeof(l), l.insn_count * sizeof(*insns));
    *p = (struct bpf_program){ .code = { .insns = insns, .count = l.insn_count }, .ctx = l.ctx, .session = s };
    int err = accept(s, p);
    if (err != 0)
        program_destroy(p);
    else
        s->programs[l.program] = p;
    return err;
}

static struct bpf_program *program_of(struct bpf_session *s, u32 number)
{
    return number < BPFD_PROGRAMS_MAX ? s->programs[number] : NULL;
}

static int program_run(struct bpf_session *s, const void *body, size_t len)
{
    u8 ctx[sizeof(struct bpfd_regs_ctx)] ALIGNED(8) = { 0 };
    struct bpfd_number n;
    memcpy(&n, body, sizeof(n));
    struct bpf_program *p = program_of(s, n.number);
    if (p == NULL || len - sizeof(n) > bpf_ctx_size(p->ctx))
        return -EINVAL;
    memcpy(ctx, (const u8 *)body + sizeof(n), len - sizeof(n));
    struct trap_frame frame = { 0 };
    for (u32 i = 0; p->code.on_frame && i < bpf_ctx_size(p->ctx) / 8; i++)
        if (bpf_personality->words[i] >= 0)
            memcpy((u8 *)&frame + bpf_personality->words[i], ctx + 8 * i, 8);
    s->value = bpf_run_once(p, p->code.on_frame ? (const void *)&frame : ctx);
    return 0;
}

static int program_stats(struct bpf_session *s, const void *body, size_t len)
{
    struct bpfd_number n;
    memcpy(&n, body, sizeof(n));
    const struct bpf_program *p = program_of(s, n.number);
    if (p == NULL)
        return -EINVAL;
    struct bpfd_stats stats = { .runs = p->runs, .missed = p->missed };
    memcpy(reply_data(s), &stats, sizeof(stats));
    s->len = sizeof(stats);
    return 0;
}

/* --- attachments -------------------------------------------------------------------------------------- */

static int attach(struct bpf_session *s, const void *body, size_t len)
{
    struct bpfd_attach want;
    const char *why = "";
    char path[BPFD_PATH_MAX + 1];
    memcpy(&want, body, sizeof(want));
    len -= sizeof(want);
    struct bpf_program *p = program_of(s, want.program);
    if (len > BPFD_PATH_MAX || p == NULL)
        return reply_text(s, -EINVAL, "there is no such program, or the path is too long");
    memcpy(path, (const u8 *)body + sizeof(want), len);
    path[len] = '\0';
    struct bpf_attach *a = s->nattached < BPFD_ATTACHES_MAX ? kzalloc(sizeof(*a)) : NULL;
    if (a == NULL)
        return reply_text(s, -ENOMEM, "too many attachments, or no memory");
    *a = (struct bpf_attach){ .program = p, .want = want, .number = s->next_attach };
    int err = bpf_attach(a, path, &why);
    if (err != 0) {
        kfree(a);
        return reply_text(s, err, why);
    }
    list_push_back(&s->attached, &a->node);
    s->nattached++;
    s->value = s->next_attach++;
    return 0;
}

static void detach_one(struct bpf_session *s, struct bpf_attach *a)
{
    bpf_detach(a);
    list_remove(&a->node);
    s->nattached--;
    kfree(a);
}

static int detach(struct bpf_session *s, const void *body, size_t len)
{
    struct bpfd_number n;
    memcpy(&n, body, sizeof(n));
    list_for_each(a, &s->attached, struct bpf_attach, node)
        if (a->number == n.number) {
            detach_one(s, a);
            return 0;
        }
    return -ENOENT;
}

/* --- names ------------------------------------------------------------------------------------------------ */

static int show_points(struct bpf_session *s, const void *body, size_t len)
{
    for (unsigned i = 0; i < TP_COUNT; i++) {
        const struct trace_point_info *p = &trace_points[i];
        s->len += (u32)fmt_snprintf((char *)reply_data(s) + s->len, BPFD_DATA_MAX - s->len, "%u %s %s %s\n", i, p->name, p->types, p->fields);
    }
    return 0;
}

static int show_symbol(struct bpf_session *s, const void *body, size_t len)
{
    struct bpfd_symbol symbol;
    char name[128];
    memcpy(&symbol, body, sizeof(symbol));
    if (symbol.address == 0) {
        memcpy(name, (const u8 *)body + sizeof(symbol), MIN(len - sizeof(symbol), sizeof(name) - 1));
        name[MIN(len - sizeof(symbol), sizeof(name) - 1)] = '\0';
        s->value = symbol_find(name);
        return s->value != 0 ? 0 : -ENOENT;
    }
    return reply_text(s, 0, symbol_name(symbol.address, name, sizeof(name)));
}

static int show_areas(struct bpf_session *s, const void *body, size_t len)
{
    struct bpfd_number n;
    s64 total = -ESRCH;
    memcpy(&n, body, sizeof(n));
    for (size_t size = AREAS_BYTES; bpf_personality != NULL && size <= AREAS_BYTES_MAX; size *= 2) {
        char *text = kmalloc(size, 0);
        if (text == NULL)
            return -ENOMEM;
        total = bpf_personality->areas(n.number, text, size);
        bool whole = total < (s64)size;
        if (whole && total > n.offset) {
            s->len = (u32)MIN((u64)total - n.offset, (u64)BPFD_DATA_MAX);
            memcpy(reply_data(s), text + n.offset, s->len);
        }
        kfree(text);
        if (whole)
            break;
    }
    s->value = total > 0 ? (u64)total : 0;
    return total < 0 ? (int)total : 0;
}

static int begin_program(struct bpf_session *s, const void *body, size_t len)
{
    trace_session_came();
    return 0;
}

/* --- output ------------------------------------------------------------------------------------------------- */

/* What is there now; -EPIPE: the client has gone. */
static int send_records(struct bpf_session *s, struct bpf_ring *r, const struct bpfd_record *like)
{
    const struct bpfd_head head = { .type = BPFD_OUTPUT };
    u64 end = atomic_load_relaxed(&r->end);
    u32 n, more;
    int err = 0;
    do {
        memcpy(s->out, &head, sizeof(head));
        for (n = sizeof(head); (more = ring_take(r, like, s->out + n, OUT_BYTES - n)) != 0; n += more)
            ;
        if (n > sizeof(head))
            err = channel_send(s->c, s->out, n, false);
    } while (err == 0 && n > sizeof(head) && r->begin < end);
    return err;
}

static int send_output(struct bpf_session *s)
{
    int err = 0;
    for (u32 i = 0; i < BPFD_MAPS_MAX && err == 0; i++) {
        struct bpf_map *m = s->maps[i];
        for (u32 k = 0; m != NULL && m->rings != NULL && k < m->copies && err == 0; k++) {
            struct bpfd_record like = { .kind = m->type == MAP_PERF ? BPFD_RECORD_PERF : BPFD_RECORD_RINGBUF, .cpu = (u16)k, .map = i };
            err = send_records(s, &m->rings[k], &like);
        }
    }
    if (err == 0 && s->print.bytes != NULL)
        err = send_records(s, &s->print, &(struct bpfd_record){ .kind = BPFD_RECORD_PRINT, .map = BPFD_NO_MAP });
    return err;
}

static int flush(struct bpf_session *s, const void *body, size_t len) { return send_output(s) != 0 ? -EPIPE : 0; }

/* --- the conversation --------------------------------------------------------------------------------------------- */

static const struct request {
    int (*fn)(struct bpf_session *s, const void *body, size_t len);
    size_t least; /* bytes of its body */
} requests[] = {
    [BPFD_MAP_CREATE] = { map_make, sizeof(struct bpfd_map_create) },
    [BPFD_MAP_LOOKUP] = { map_look, sizeof(struct bpfd_map_op) },
    [BPFD_MAP_UPDATE] = { map_change, sizeof(struct bpfd_map_op) },
    [BPFD_MAP_DELETE] = { map_remove, sizeof(struct bpfd_map_op) },
    [BPFD_MAP_DUMP] = { map_dump, sizeof(struct bpfd_map_op) },
    [BPFD_MAP_CLEAR] = { map_empty, sizeof(struct bpfd_map_op) },
    [BPFD_LOAD] = { program_load, sizeof(struct bpfd_load) },
    [BPFD_ATTACH] = { attach, sizeof(struct bpfd_attach) },
    [BPFD_DETACH] = { detach, sizeof(struct bpfd_number) },
    [BPFD_RUN] = { program_run, sizeof(struct bpfd_number) },
    [BPFD_STATS] = { program_stats, sizeof(struct bpfd_number) },
    [BPFD_POINTS] = { show_points, 0 },
    [BPFD_SYMBOL] = { show_symbol, sizeof(struct bpfd_symbol) },
    [BPFD_AREAS] = { show_areas, sizeof(struct bpfd_number) },
    [BPFD_FLUSH] = { flush, 0 },
    [BPFD_BEGIN] = { begin_program, 0 },
};

static int send_reply(struct bpf_session *s, u32 tag, int err)
{
    struct {
        struct bpfd_head head;
        struct bpfd_reply reply;
    } r = { { .type = BPFD_REPLY, .tag = tag }, { .error = err, .insn = err != 0 ? s->verified.insn : 0, .value = err == 0 ? s->value : 0 } };
    memcpy(s->out, &r, sizeof(r));
    return channel_send(s->c, s->out, REPLY_HEAD + s->len, false);
}

/* False: the conversation is over. */
static bool serve(struct bpf_session *s, size_t len)
{
    struct bpfd_head head;
    memcpy(&head, s->in, MIN(len, sizeof(head)));
    const struct request *r = len >= sizeof(head) && head.type < ARRAY_SIZE(requests) ? &requests[head.type] : NULL;
    if (r == NULL || r->fn == NULL || len - sizeof(head) < r->least) {
        channel_fail(s->c, EINVAL, "bpf: an unknown request, or one that is cut short");
        return false;
    }
    s->len = 0;
    s->value = 0;
    s->verified.insn = 0;
    int err = r->fn(s, s->in + sizeof(head), len - sizeof(head));
    return send_reply(s, head.tag, err) == 0;
}

/* A message; -EPIPE, -EMSGSIZE. */
static s64 receive(struct bpf_session *s)
{
    size_t len = 0;
    for (bool more = true; more;) {
        if (len == BPFD_MESSAGE_MAX) {
            channel_fail(s->c, EMSGSIZE, "bpf: the message is too long");
            return -EMSGSIZE;
        }
        s64 n = channel_receive(s->c, s->in + len, BPFD_MESSAGE_MAX - len, &more, NEVER_NS);
        if (n < 0)
            return n;
        len += (size_t)n;
    }
    return (s64)len;
}

static int say(struct bpf_session *s, u32 type, const void *data, size_t len)
{
    struct bpfd_head head = { .type = type };
    memcpy(s->out, &head, sizeof(head));
    if (len != 0)
        memcpy(s->out + sizeof(head), data, len);
    return channel_send(s->c, s->out, sizeof(head) + len, false);
}

static void converse(struct bpf_session *s)
{
    u64 end_ns = NEVER_NS;
    while (!channel_closed(s->c) && now_ns() < end_ns) {
        if (channel_readable(s->c)) {
            s64 len = receive(s);
            if (len < 0 || !serve(s, (size_t)len))
                return;
        } else if (s->rings != 0 && send_output(s) != 0) {
            return;
        }
        if (end_ns == NEVER_NS && atomic_load(&finishing)) {
            end_ns = now_ns() + END_NS;
            if (send_output(s) != 0 || say(s, BPFD_END, NULL, 0) != 0)
                return;
        }
        u64 next_ns = s->rings != 0 ? MIN(end_ns, now_ns() + ROUND_NS) : end_ns;
        wait_event_until(channel_wq(s->c), channel_closed(s->c) || channel_readable(s->c) || (end_ns == NEVER_NS && atomic_load(&finishing)), next_ns);
    }
}

static void session_destroy(struct bpf_session *s)
{
    list_for_each_safe(a, &s->attached, struct bpf_attach, node)
        detach_one(s, a);
    for (u32 i = 0; i < BPFD_PROGRAMS_MAX; i++)
        program_destroy(s->programs[i]);
    for (u32 i = 0; i < BPFD_MAPS_MAX; i++)
        map_destroy(s->maps[i]);
    if (s->print.bytes != NULL)
        ring_done(&s->print);
    kfree(s->in);
    kfree(s->out);
    kfree(s);
}

static struct bpf_session *session_create(struct channel *c, u32 flags)
{
    struct bpf_session *s = kzalloc(sizeof(*s));
    if (s == NULL)
        return NULL;
    s->c = c;
    s->flags = flags;
    list_init(&s->attached);
    s->in = kmalloc(BPFD_MESSAGE_MAX, 0);
    s->out = kmalloc(OUT_BYTES, 0);
    if (s->in != NULL && s->out != NULL && bpf_cpus_init())
        return s;
    session_destroy(s);
    return NULL;
}

static void run_bpf(struct channel *c, const char *args, size_t len)
{
    struct bpfd_open o = { 0 };
    memcpy(&o, args, MIN(len, sizeof(o)));
    if (len != sizeof(o) || o.version != BPFD_VERSION || (o.flags & ~BPFD_INTERPRET) != 0) {
        channel_fail(c, EINVAL, "bpf: this kernel does not know what is asked for");
        return;
    }
    struct bpf_session *s = session_create(c, o.flags);
    if (s == NULL) {
        channel_fail(c, ENOMEM, "the instance has no memory for it");
        return;
    }
    spin_lock(&sessions_lock);
    list_push_back(&sessions, &s->node);
    spin_unlock(&sessions_lock);
    struct bpfd_hello hello = { .version = BPFD_VERSION, .cpus = plat_cpu_count(), .realtime_ns = wall_ns(), .monotonic_ns = now_ns() };
    if (say(s, BPFD_HELLO, &hello, sizeof(hello)) == 0)
        converse(s);
    spin_lock(&sessions_lock);
    list_remove(&s->node);
    spin_unlock(&sessions_lock);
    session_destroy(s);
    wq_wake_all(&sessions_wq, 0);
}

void bpf_service_init(void)
{
    static struct service bpf = { .name = "bpf", .run = run_bpf };
    wq_init(&sessions_wq, "bpf sessions");
    kprobes_init();
    service_register(&bpf);
}

void bpf_finish(u64 deadline_ns)
{
    spin_lock(&sessions_lock);
    atomic_store(&finishing, true);
    list_for_each(s, &sessions, struct bpf_session, node)
        wq_wake_all(channel_wq(s->c), 0);
    spin_unlock(&sessions_lock);
    wait_event_until(&sessions_wq, list_empty(&sessions), deadline_ns);
}
