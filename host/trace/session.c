/* SPDX-License-Identifier: Apache-2.0 */
/* Records from an instance: session.h. */
#include "host/trace/session.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#define BATCH_MAX (1u << 20)

int trace_client_open(struct trace_client *t, const struct entry *e, struct trace_open *want, struct error *err)
{
    *t = (struct trace_client){.talk = {.fd = -1}};
    want->version = TRACE_VERSION;
    return conversation_open(&t->talk, e, "trace", want, sizeof(*want), err);
}

/* Names are shown, and put into JSON, as they are. */
static bool is_plain(const char *s) { return strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789_:,") == strlen(s); }

/* "name types fields", ended by zeros. */
static bool add_point(struct trace_client *t, u16 id, const char *text, size_t len)
{
    char name[64], types[16], fields[128];
    AUTO_FREE char *copy = xstrndup(text, len);
    if (id >= TRACE_POINTS || t->points[id].name || sscanf(copy, "%63s %15s %127s", name, types, fields) != 3 ||
        !is_plain(name) || !is_plain(fields) || strlen(types) > TRACE_FIELDS_MAX || strspn(types, "duxs") != strlen(types))
        return false;
    t->points[id] = (struct point){xstrdup(name), xstrdup(types), xstrdup(fields)};
    return true;
}

static bool note(struct trace_client *t, const struct trace_record *r, const u8 *body, size_t len)
{
    u64 v;
    if (r->kind == TRACE_DEFINE)
        return add_point(t, r->id, (const char *)body, len);
    if ((r->kind == TRACE_START || r->kind == TRACE_LOST) && len < sizeof(v))
        return false;
    if (r->kind == TRACE_START) {
        memcpy(&v, body, sizeof(v));
        t->first_ns = r->time_ns;
        t->realtime_offset_ns = v - r->time_ns;
    } else if (r->kind == TRACE_LOST) {
        memcpy(&v, body, sizeof(v));
        t->lost += v;
    }
    return true;
}

bool trace_client_more(const struct trace_client *t) { return t->at < t->batch.len; }

int trace_client_next(struct trace_client *t, const struct entry *e, struct trace_record *ret, const u8 **ret_body, struct error *err)
{
    if (!trace_client_more(t)) {
        t->at = t->batch.len = 0;
        int result = conversation_message(&t->talk, &t->batch, BATCH_MAX, err);
        if (result == 0 && t->talk.error)
            return conversation_failed(&t->talk, e, err);
        if (result <= 0)
            return result;
    }
    size_t left = t->batch.len - t->at;
    if (left >= sizeof(*ret))
        memcpy(ret, t->batch.data + t->at, sizeof(*ret));
    if (left < sizeof(*ret) || ret->len < sizeof(*ret) || ret->len > left || ret->len % 8)
        return err_set(err, EXIT_DRUPE, "%s: what it tells makes no sense", e->name);
    *ret_body = (const u8 *)t->batch.data + t->at + sizeof(*ret);
    t->at += ret->len;
    if (!note(t, ret, *ret_body, ret->len - sizeof(*ret)))
        return err_set(err, EXIT_DRUPE, "%s: what it tells makes no sense", e->name);
    return 1;
}

int trace_client_start(struct trace_client *t, const struct entry *e, struct error *err)
{
    struct trace_record r;
    const u8 *body;
    struct timeval patience = {.tv_sec = 10}, forever = {0};
    setsockopt(t->talk.fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    do {
        int result = trace_client_next(t, e, &r, &body, err);
        if (result <= 0)
            return result < 0 ? -1 : err_set(err, EXIT_DRUPE, "%s has ended", e->name);
    } while (trace_client_more(t));
    setsockopt(t->talk.fd, SOL_SOCKET, SO_RCVTIMEO, &forever, sizeof(forever));
    return 0;
}

void trace_client_finish(struct trace_client *t) { conversation_send(&t->talk, "", 0); }

void trace_client_done(struct trace_client *t)
{
    conversation_done(&t->talk);
    buf_done(&t->batch);
    for (unsigned i = 0; i < TRACE_POINTS; i++) {
        free(t->points[i].name);
        free(t->points[i].types);
        free(t->points[i].fields);
    }
}

bool trace_field(const struct point *p, unsigned index, const u8 **body, size_t *left, struct field *ret)
{
    if (!p->types || index >= strlen(p->types) || *left < 8)
        return false;
    *ret = (struct field){.type = p->types[index]};
    memcpy(&ret->value, *body, 8);
    *body += 8;
    *left -= 8;
    if (ret->type == 's') {
        if (ret->value > *left)
            return false;
        size_t padded = MIN(*left, (size_t)ALIGN_UP(ret->value, 8));
        ret->text = *body;
        *body += padded;
        *left -= padded;
    }
    return true;
}
