/* SPDX-License-Identifier: Apache-2.0 */
/* Speaking to the service "debug": see target.h. */
#include "host/debug/target.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

#define ANSWER_MAX (1u << 20)
#define EVENTS_MAX 100000u

/* It makes no sense: nothing of it is believed any more. */
static int give_up(struct target *t, const char *why)
{
    err_set(&t->err, EXIT_DRUPE, "the instance's debug service %s", why);
    t->gone = true;
    return -EPIPE;
}

/* One message. 0, or -EPIPE. */
static int receive(struct target *t, struct buf *message)
{
    message->len = 0;
    int r = t->gone ? 0 : conversation_message(&t->talk, message, ANSWER_MAX, &t->err);
    if (r > 0 && message->len >= sizeof(struct dbg_answer))
        return 0;
    if (r > 0)
        return give_up(t, "sent a message that is too short");
    t->gone = true;
    return -EPIPE;
}

static u32 op_of(const struct buf *message)
{
    u32 op;
    memcpy(&op, message->data, sizeof(op));
    return op;
}

static int keep_event(struct target *t, const struct buf *message)
{
    if (message->len != sizeof(struct dbg_event))
        return give_up(t, "sent an event of a wrong length");
    if (t->nevents == t->capacity) {
        if (t->nevents >= EVENTS_MAX)
            return give_up(t, "sends events without an end");
        t->capacity = t->capacity * 2 + 16;
        t->events = xrealloc(t->events, t->capacity * sizeof(*t->events));
    }
    memcpy(&t->events[t->nevents++], message->data, sizeof(*t->events));
    return 0;
}

static int take_answer(struct target *t, const struct buf *message, u32 op, struct buf *ret, u64 *ret_value)
{
    struct dbg_answer a;
    memcpy(&a, message->data, sizeof(a));
    if (a.op != op || a.error > 0 || a.error < -4095 || (a.error != 0 && message->len != sizeof(a)))
        return give_up(t, "sent an answer to something else");
    if (ret && a.error == 0)
        buf_add(ret, message->data + sizeof(a), message->len - sizeof(a));
    if (ret_value)
        *ret_value = a.value;
    return a.error;
}

int target_ask(struct target *t, const struct dbg_request *q, const void *data, size_t len, struct buf *ret, u64 *ret_value)
{
    struct buf message = {0};
    int r = t->gone ? -EPIPE : 0;
    if (r == 0 && len >= DBG_DATA_MAX)
        return -EINVAL;
    if (r == 0) {
        buf_add(&message, q, sizeof(*q));
        buf_add(&message, data, len);
        conversation_send(&t->talk, message.data, message.len); /* its end is told by the next receive */
    }
    while (r == 0 && (r = receive(t, &message)) == 0 && op_of(&message) == DBG_EVENT)
        r = keep_event(t, &message);
    if (r == 0)
        r = take_answer(t, &message, q->op, ret, ret_value);
    buf_done(&message);
    return r;
}

int target_ask_for(struct target *t, const struct dbg_request *q, void *ret, size_t len)
{
    struct buf answer = {0};
    int r = target_ask(t, q, NULL, 0, &answer, NULL);
    if (r == 0 && answer.len != len)
        r = -EIO;
    if (r == 0)
        memcpy(ret, answer.data, len);
    buf_done(&answer);
    return r;
}

int target_event(struct target *t, int ms, struct dbg_event *ret)
{
    struct pollfd p = {.fd = t->talk.fd, .events = POLLIN};
    if (t->nevents == 0) {
        struct buf message = {0};
        if (t->gone)
            return -1;
        if (poll(&p, 1, ms) <= 0)
            return 0;
        int r = receive(t, &message);
        if (r == 0)
            r = op_of(&message) == DBG_EVENT ? keep_event(t, &message) : give_up(t, "answers what nobody asked");
        buf_done(&message);
        if (r < 0)
            return -1;
    }
    *ret = t->events[0];
    memmove(t->events, t->events + 1, --t->nevents * sizeof(*t->events));
    return 1;
}

int target_open(struct target *t, const struct entry *e, u32 pid, struct error *err)
{
    struct buf answer = {0};
    struct dbg_request q = {.op = DBG_HELLO};
    AUTO_FREE char *args = str_format("%u", pid);
    *t = (struct target){.talk = {.fd = -1}};
    if (conversation_open(&t->talk, e, "debug", args, strlen(args), err) < 0)
        return -1;
    int r = target_ask(t, &q, NULL, 0, &answer, NULL), result = 0;
    if (r == -EPIPE && t->talk.error)
        result = conversation_failed(&t->talk, e, err);
    else if (r < 0)
        result = err_set(err, EXIT_DRUPE, "%s: %s", e->name, t->err.code ? t->err.text : "it has ended");
    else if (answer.len != sizeof(t->hello))
        result = err_set(err, EXIT_DRUPE, "%s: its debug service is of another version", e->name);
    else
        memcpy(&t->hello, answer.data, sizeof(t->hello));
    if (result == 0 && (t->hello.version != DBG_VERSION || t->hello.state_size >= DBG_DATA_MAX))
        result = err_set(err, EXIT_DRUPE, "%s: its debug service is of another version", e->name);
    buf_done(&answer);
    return result;
}

void target_close(struct target *t)
{
    conversation_done(&t->talk);
    free(t->events);
    *t = (struct target){.talk = {.fd = -1}};
}
