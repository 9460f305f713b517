/* SPDX-License-Identifier: Apache-2.0 */
/* Requests, replies and output: session.h. */
#include "host/bpf/session.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

#include "host/bpf/lang.h"
#include "host/bpf/names.h"

#define AHEAD 64u              /* requests without a reply: less than a window of the channel */
#define OUTPUT_MAX (64u << 20) /* kept while a reply is waited for */
#define PATIENCE_MS 20000      /* for one reply */

static int nonsense(const struct session *s, struct error *err) { return err_set(err, EXIT_DRUPE, "%s: what it tells of its programs makes no sense", s->entry->name); }

/* --- messages ------------------------------------------------------------------------------ */

/* The next message: its head, and the rest in s->message. 1; 0 at the end; -1. */
static int receive(struct session *s, struct bpfd_head *ret, struct error *err)
{
    s->message.len = 0;
    int result = conversation_message(&s->talk, &s->message, BPFD_MESSAGE_MAX, err);
    if (result == 0 && s->talk.error)
        return conversation_failed(&s->talk, s->entry, err);
    if (result <= 0)
        return result;
    if (s->message.len < sizeof(*ret))
        return nonsense(s, err);
    memcpy(ret, s->message.data, sizeof(*ret));
    s->ended |= ret->type == BPFD_END;
    if (ret->type == BPFD_OUTPUT) {
        if (s->output.len + s->message.len > OUTPUT_MAX)
            return err_set(err, EXIT_DRUPE, "%s: more output comes than can be taken", s->entry->name);
        buf_add(&s->output, s->message.data + sizeof(*ret), s->message.len - sizeof(*ret));
    }
    return 1;
}

/* The next message, or an error when none comes. */
static int await(struct session *s, struct bpfd_head *ret, struct error *err)
{
    struct pollfd p = {.fd = s->talk.fd, .events = POLLIN};
    int ready;
    do
        ready = poll(&p, 1, PATIENCE_MS);
    while (ready < 0 && errno == EINTR);
    return ready > 0 ? receive(s, ret, err) : err_set(err, EXIT_DRUPE, "%s: no answer within %d seconds", s->entry->name, PATIENCE_MS / 1000);
}

static void send_request(struct session *s, u32 type, const void *head, size_t head_len, const void *data, size_t len)
{
    struct bpfd_head h = {.type = type, .tag = ++s->sent};
    struct buf out = {0};
    buf_add(&out, &h, sizeof(h));
    buf_add(&out, head, head_len);
    buf_add(&out, data, len);
    conversation_send(&s->talk, out.data, out.len); /* an end that has come is told by the next message */
    buf_done(&out);
}

/* The reply to the oldest request that has none yet. */
static int take_reply(struct session *s, struct bpfd_reply *ret, struct buf *ret_data, struct error *err)
{
    struct bpfd_head h;
    int result;
    do
        result = await(s, &h, err);
    while (result > 0 && (h.type == BPFD_OUTPUT || h.type == BPFD_END));
    if (result <= 0)
        return result < 0 ? -1 : err_set(err, EXIT_DRUPE, "%s has ended", s->entry->name);
    if (h.type != BPFD_REPLY || h.tag != ++s->answered || s->message.len < sizeof(h) + sizeof(*ret))
        return nonsense(s, err);
    memcpy(ret, s->message.data + sizeof(h), sizeof(*ret));
    if (ret_data) {
        ret_data->len = 0;
        buf_add(ret_data, s->message.data + sizeof(h) + sizeof(*ret), s->message.len - sizeof(h) - sizeof(*ret));
    }
    return 0;
}

int session_ask(struct session *s, u32 type, const void *head, size_t head_len, const void *data, size_t len, struct bpfd_reply *ret, struct buf *ret_data,
                struct error *err)
{
    send_request(s, type, head, head_len, data, len);
    return take_reply(s, ret, ret_data, err);
}

int session_wait(struct session *s, struct error *err)
{
    struct bpfd_head h;
    int result = receive(s, &h, err);
    return result > 0 && h.type != BPFD_OUTPUT && h.type != BPFD_END ? nonsense(s, err) : result;
}

bool session_output(struct session *s, struct bpfd_record *ret, const u8 **ret_data)
{
    size_t left = s->output.len - s->output_at;
    if (left >= sizeof(*ret))
        memcpy(ret, s->output.data + s->output_at, sizeof(*ret));
    if (left < sizeof(*ret) || ALIGN_UP((size_t)ret->len, 8) > left - sizeof(*ret)) { /* nothing, or (of a kernel that lies) cut short */
        s->output.len = s->output_at = 0;
        return false;
    }
    s->record.len = 0;
    buf_add(&s->record, s->output.data + s->output_at + sizeof(*ret), ret->len);
    s->output_at += sizeof(*ret) + ALIGN_UP((size_t)ret->len, 8);
    *ret_data = (const u8 *)s->record.data;
    return true;
}

static int expect(struct session *s, u32 type, const void *head, size_t len, const char *what, struct bpfd_reply *ret, struct buf *ret_data, struct error *err)
{
    if (session_ask(s, type, head, len, NULL, 0, ret, ret_data, err) < 0)
        return -1;
    return ret->error ? err_set(err, EXIT_DRUPE, "%s: %s: %s", s->entry->name, what, strerror(-ret->error)) : 0;
}

int session_open(struct session *s, const struct entry *e, u32 flags, struct error *err)
{
    struct bpfd_open open = {.version = BPFD_VERSION, .flags = flags};
    struct bpfd_hello hello;
    struct bpfd_head h;
    struct bpfd_reply reply;
    struct buf points = {0};
    *s = (struct session){.talk = {.fd = -1}, .entry = e};
    if (conversation_open(&s->talk, e, "bpf", &open, sizeof(open), err) < 0)
        return -1;
    int result = await(s, &h, err);
    if (result <= 0)
        return result < 0 ? -1 : err_set(err, EXIT_DRUPE, "%s has ended", e->name);
    if (h.type != BPFD_HELLO || s->message.len < sizeof(h) + sizeof(hello))
        return nonsense(s, err);
    memcpy(&hello, s->message.data + sizeof(h), sizeof(hello));
    if (hello.version != BPFD_VERSION || hello.cpus == 0 || hello.cpus > 1024)
        return err_set(err, EXIT_DRUPE, "%s: its kernel speaks another protocol than this drupe", e->name);
    s->world.cpus = hello.cpus;
    s->world.monotonic_ns = hello.monotonic_ns;
    s->world.realtime_ns = hello.realtime_ns;
    result = expect(s, BPFD_POINTS, NULL, 0, "its tracepoints", &reply, &points, err);
    if (result == 0 && world_points(&s->world, points.data ? points.data : "", points.len) < 0)
        result = nonsense(s, err);
    buf_done(&points);
    return result;
}

void session_done(struct session *s)
{
    conversation_done(&s->talk);
    world_done(&s->world);
    buf_done(&s->output);
    buf_done(&s->message);
    buf_done(&s->record);
    free(s->attached);
}

/* --- maps ------------------------------------------------------------------------------------ */

bool map_is_percpu(u32 type) { return type == BPF_MAP_TYPE_PERCPU_HASH || type == BPF_MAP_TYPE_PERCPU_ARRAY || type == BPF_MAP_TYPE_LRU_PERCPU_HASH; }

u32 session_values_size(const struct session *s, const struct unit_map *m) { return ALIGN_UP(m->value_size, 8) * (map_is_percpu(m->type) ? s->world.cpus : 1); }

int session_dump(struct session *s, const struct unit *u, u32 map, void (*fn)(void *ctx, const u8 *key, const u8 *values), void *ctx, struct error *err)
{
    u32 key = ALIGN_UP(u->maps[map].key_size, 8), one = key + session_values_size(s, &u->maps[map]);
    struct bpfd_map_op op = {.map = map};
    struct bpfd_reply reply;
    struct buf data = {0};
    int result;
    do {
        result = expect(s, BPFD_MAP_DUMP, &op, sizeof(op), u->maps[map].name, &reply, &data, err);
        if (result == 0 && (one == 0 || data.len % one || (reply.value && reply.value <= op.cursor)))
            result = nonsense(s, err);
        for (size_t at = 0; result == 0 && at < data.len; at += one)
            fn(ctx, (const u8 *)data.data + at, (const u8 *)data.data + at + key);
        op.cursor = reply.value;
    } while (result == 0 && op.cursor);
    buf_done(&data);
    return result;
}

static int fill_array(struct session *s, const struct unit_map *m, u32 number, struct error *err)
{
    struct bpfd_map_op op = {.map = number};
    struct bpfd_reply reply;
    for (u32 i = 0; m->data && i < m->max_entries; i++) {
        struct buf element = {0};
        buf_add(&element, &i, sizeof(i));
        buf_add(&element, m->data + (size_t)i * m->value_size, m->value_size);
        int result = session_ask(s, BPFD_MAP_UPDATE, &op, sizeof(op), element.data, element.len, &reply, NULL, err);
        buf_done(&element);
        if (result < 0)
            return -1;
        if (reply.error)
            return err_set(err, EXIT_DRUPE, "%s: %s", m->name, strerror(-reply.error));
    }
    return 0;
}

/* What came from the kernel as text, for a message. */
static char *reason(const struct buf *data, s32 error)
{
    if (!data->len)
        return xstrdup(strerror(-error));
    char *text = xstrndup(data->data, MIN(data->len, (size_t)400));
    str_ascii(text);
    return text;
}

static int create_map(struct session *s, const struct unit_map *m, u32 number, struct error *err)
{
    struct bpfd_map_create c = {.map = number, .type = m->type, .key_size = m->key_size, .value_size = m->value_size, .max_entries = m->max_entries,
                                .flags = m->flags, .buffer_bytes = m->buffer_bytes};
    struct bpfd_reply reply;
    struct buf why = {0};
    memcpy(c.name, m->name, strnlen(m->name, sizeof(c.name) - 1));
    int result = session_ask(s, BPFD_MAP_CREATE, &c, sizeof(c), NULL, 0, &reply, &why, err);
    AUTO_FREE char *text = result == 0 && reply.error ? reason(&why, reply.error) : NULL;
    if (text)
        result = err_set(err, EXIT_DRUPE, "map %s is refused: %s", m->name, text);
    buf_done(&why);
    return result == 0 ? fill_array(s, m, number, err) : -1;
}

/* --- programs ---------------------------------------------------------------------------------- */

static int refused(const struct unit_program *p, u32 insn, const char *why, const char *text, size_t text_len, struct error *err)
{
    const struct unit_line *line = unit_line_of(p, insn);
    if (line && text)
        return lang_error(err, text, text_len, line->at, "the program for %s is refused: %s (instruction %u)", p->name, why, insn);
    return err_set(err, EXIT_DRUPE, "program %s is refused: %s (instruction %u)%s%s", p->name, why, insn, line ? "\n  " : "", line ? line->text : "");
}

static int load_program(struct session *s, const struct unit_program *p, u32 number, const char *text, size_t text_len, struct error *err)
{
    struct bpfd_load l = {.program = number, .ctx = p->ctx, .insn_count = p->ninsns};
    struct bpfd_reply reply;
    struct buf why = {0};
    memcpy(l.name, p->name, strnlen(p->name, sizeof(l.name) - 1));
    int result = session_ask(s, BPFD_LOAD, &l, sizeof(l), p->insns, p->ninsns * sizeof(*p->insns), &reply, &why, err);
    if (result == 0 && reply.error) {
        AUTO_FREE char *said = reason(&why, reply.error);
        result = refused(p, reply.insn, said, text, text_len, err);
    }
    buf_done(&why);
    return result;
}

int session_load(struct session *s, const struct unit *u, const char *text, size_t text_len, struct error *err)
{
    for (u32 i = 0; i < u->nmaps; i++)
        if (create_map(s, &u->maps[i], i, err) < 0)
            return -1;
    for (u32 i = 0; i < u->nprograms; i++)
        if (load_program(s, &u->programs[i], i, text, text_len, err) < 0)
            return -1;
    return 0;
}

int session_run(struct session *s, const struct unit *u, u32 where, struct error *err)
{
    struct bpfd_reply reply;
    for (u32 i = 0; i < u->nattaches; i++) {
        struct bpfd_number n = {.number = u->attaches[i].program};
        if (u->attaches[i].target.where == where && expect(s, BPFD_RUN, &n, sizeof(n), u->attaches[i].target.name, &reply, NULL, err) < 0)
            return -1;
    }
    return 0;
}

int session_stats(struct session *s, const struct unit *u, struct bpfd_stats *ret, struct error *err)
{
    struct bpfd_reply reply;
    struct buf data = {0};
    int result = 0;
    *ret = (struct bpfd_stats){0};
    for (u32 i = 0; result == 0 && i < u->nprograms; i++) {
        struct bpfd_number n = {.number = i};
        struct bpfd_stats one;
        result = expect(s, BPFD_STATS, &n, sizeof(n), u->programs[i].name, &reply, &data, err);
        if (result == 0 && data.len != sizeof(one))
            result = nonsense(s, err);
        if (result < 0)
            break;
        memcpy(&one, data.data, sizeof(one));
        ret->runs += one.runs;
        ret->missed += one.missed;
    }
    buf_done(&data);
    return result;
}

/* --- places --------------------------------------------------------------------------------------- */

static int take_attached(struct session *s, const struct unit_attach *a, struct error *err)
{
    struct bpfd_reply reply;
    struct buf why = {0};
    int result = take_reply(s, &reply, &why, err);
    if (result == 0 && reply.error) {
        AUTO_FREE char *said = reason(&why, reply.error);
        result = err_set(err, EXIT_DRUPE, "%s: %s", a->target.name, said);
    }
    if (result == 0) {
        s->attached = xrealloc(s->attached, (s->nattached + 1) * sizeof(*s->attached));
        s->attached[s->nattached++] = (u32)reply.value;
    }
    buf_done(&why);
    return result;
}

/* path: of a function's file; or NULL. */
static void ask_attach(struct session *s, const struct unit_attach *a, u64 value, const char *path)
{
    struct bpfd_attach at = {.program = a->program, .where = a->target.where, .number = a->target.number, .value = value,
                             .flags = path && a->target.symbol && !a->target.offset ? BPFD_FUNCTION_BEGINS : 0};
    send_request(s, BPFD_ATTACH, &at, sizeof(at), path, path ? strlen(path) : 0);
}

static int attach_kernel(struct session *s, const struct unit_attach *a, struct error *err)
{
    struct bpfd_symbol symbol = {0};
    struct bpfd_reply reply = {0};
    const char *name = a->target.symbol;
    if (name && session_ask(s, BPFD_SYMBOL, &symbol, sizeof(symbol), name, strlen(name), &reply, NULL, err) < 0)
        return -1;
    if (reply.error)
        return err_set(err, EXIT_DRUPE, "%s: the instance's kernel has no function %s", a->target.name, name);
    ask_attach(s, a, reply.value + a->target.offset, NULL);
    return take_attached(s, a, err);
}

static int attach_user(struct session *s, const struct unit_attach *a, struct error *err)
{
    u64 offset;
    if (function_find(&a->target, &offset, err) < 0)
        return -1;
    ask_attach(s, a, offset, a->target.path);
    return take_attached(s, a, err);
}

/* Places that need nothing to be found out: up to AHEAD requests are on their way before a reply is waited for. */
static int attach_plain(struct session *s, const struct unit *u, struct error *err)
{
    const struct unit_attach *waiting[AHEAD];
    u32 sent = 0, answered = 0;
    for (u32 i = 0; i < u->nattaches; i++) {
        const struct unit_attach *a = &u->attaches[i];
        if (target_is_function(&a->target) || a->target.where >= AT_BEGIN)
            continue;
        if (sent - answered == AHEAD && take_attached(s, waiting[answered++ % AHEAD], err) < 0)
            return -1;
        waiting[sent++ % AHEAD] = a;
        ask_attach(s, a, a->target.value, NULL);
    }
    while (answered < sent)
        if (take_attached(s, waiting[answered++ % AHEAD], err) < 0)
            return -1;
    return 0;
}

int session_attach(struct session *s, const struct unit *u, struct error *err)
{
    for (u32 i = 0; i < u->nattaches; i++) {
        const struct unit_attach *a = &u->attaches[i];
        if (target_is_function(&a->target) && (a->target.path ? attach_user(s, a, err) : attach_kernel(s, a, err)) < 0)
            return -1;
    }
    return attach_plain(s, u, err);
}

int session_detach(struct session *s, struct error *err)
{
    u32 sent = 0, answered = 0;
    while (answered < s->nattached) {
        struct bpfd_reply reply;
        for (; sent < s->nattached && sent - answered < AHEAD; sent++)
            send_request(s, BPFD_DETACH, &(struct bpfd_number){.number = s->attached[sent]}, sizeof(struct bpfd_number), NULL, 0);
        if (take_reply(s, &reply, NULL, err) < 0)
            return -1;
        answered++;
    }
    s->nattached = 0;
    return 0;
}

int session_flush(struct session *s, struct error *err)
{
    struct bpfd_reply reply;
    return expect(s, BPFD_FLUSH, NULL, 0, "flush", &reply, NULL, err);
}
