/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Channels: see kern/channel.h and abi/control.h.
 *
 *   C1  A channel is on `channels` from its opening until its service has returned: so a number that is in use is known.
 *   C2  Two hold it: the list and the service's thread. The control thread looks and changes under the lock.
 *   C3  After `closed` nothing is sent for it and nothing queued: whoever sets it first says CTL_CLOSE, if anybody does.
 */
#include "kern/channel.h"

#include "base/str.h"
#include "kern/slab.h"
#include "kern/thread.h"

#define CHANNELS_MAX (2 * CTL_CHANNELS_MAX) /* services that have not yet seen their client's end count, too */

struct part {
    struct list node;
    u32 len;
    bool more;
    u8 data[];
};

/* Locks: c constant, l channels_lock, s the service's thread only. */
struct channel {
    struct list node;            /* l */
    u32 number;                  /* c */
    const struct service *service; /* c */
    struct waitqueue wq;
    struct list parts;           /* l: from the client */
    u64 in_spent, in_allowed;    /* l */
    u64 in_read;                 /* s: cost of what was taken */
    u64 out_allowed;             /* l */
    u64 out_spent;               /* s */
    bool closed;                 /* l, read without: by the client */
    bool served;                 /* l: its service runs */
    u32 error;                   /* s: what the client is told */
    const char *why;             /* s */
    size_t args_len;             /* c */
    char args[];                 /* c */
};

static struct spinlock channels_lock = SPINLOCK_INIT("channels");
static struct list channels = LIST_INIT(channels); /* channels_lock */
static unsigned open_channels;                     /* channels_lock */
static struct waitqueue ended = { SPINLOCK_INIT("channels wq"), LIST_INIT(ended.waiters) }; /* services that have returned */
static struct list services = LIST_INIT(services); /* constant after boot */
bool (*channel_transport)(enum ctl_type type, const void *head, size_t head_len, const void *data, size_t len);

void service_register(struct service *s) { list_push_back(&services, &s->node); }

static const struct service *service_find(const char *name, size_t len)
{
    list_for_each(s, &services, struct service, node) {
        if (strlen(s->name) == len && memcmp(s->name, name, len) == 0)
            return s;
    }
    return NULL;
}

static struct channel *find_locked(u32 number)
{
    list_for_each(c, &channels, struct channel, node) {
        if (c->number == number)
            return c;
    }
    return NULL;
}

static void say_closed(u32 number, u32 error, const char *why)
{
    struct ctl_close close = { .channel = number, .error = error };
    channel_transport(CTL_CLOSE, &close, sizeof(close), why, MIN(strlen(why), (size_t)CTL_REASON_MAX));
}

/* --- for services ------------------------------------------------------------------ */

bool channel_closed(const struct channel *c) { return atomic_load(&c->closed); }
bool channel_readable(const struct channel *c) { return !list_empty(&c->parts); }
struct waitqueue *channel_wq(struct channel *c) { return &c->wq; }

void channel_fail(struct channel *c, int error, const char *why)
{
    c->error = (u32)error;
    c->why = why;
}

static bool fits(const struct channel *c, size_t len)
{
    return atomic_load(&c->out_allowed) - c->out_spent >= CTL_PART_COST(len);
}

int channel_send(struct channel *c, const void *data, size_t len, bool more)
{
    const u8 *p = data;
    do {
        size_t n = MIN(len, (size_t)CTL_PART_MAX);
        wait_event(&c->wq, fits(c, n) || channel_closed(c));
        if (channel_closed(c))
            return -EPIPE;
        struct ctl_data head = { .channel = c->number, .flags = n < len || more ? CTL_MORE : 0 };
        c->out_spent += CTL_PART_COST(n);
        if (!channel_transport(CTL_DATA, &head, sizeof(head), p, n))
            return -EPIPE;
        p += n;
        len -= n;
    } while (len > 0);
    return 0;
}

static struct part *take(struct channel *c)
{
    spin_lock(&channels_lock);
    struct list *n = list_pop_front(&c->parts);
    spin_unlock(&channels_lock);
    return n != NULL ? list_entry(n, struct part, node) : NULL;
}

/* The client may send as much again, told when half of it has been read. */
static void give_credit(struct channel *c, u32 len)
{
    c->in_read += CTL_PART_COST(len);
    if (c->in_read + CTL_WINDOW < c->in_allowed + CTL_WINDOW / 2)
        return;
    struct ctl_credit credit = { .channel = c->number, .total = c->in_read + CTL_WINDOW };
    spin_lock(&channels_lock);
    c->in_allowed = credit.total;
    spin_unlock(&channels_lock);
    channel_transport(CTL_CREDIT, &credit, sizeof(credit), NULL, 0);
}

s64 channel_receive(struct channel *c, void *buf, size_t size, bool *ret_more, u64 deadline_ns)
{
    int err = wait_event_until(&c->wq, channel_readable(c) || channel_closed(c), deadline_ns);
    struct part *p = take(c);
    if (p == NULL)
        return channel_closed(c) ? -EPIPE : err;
    s64 n = p->len;
    if (p->len > size) {
        channel_fail(c, EMSGSIZE, "the message is too long for this service");
        n = -EPIPE;
    } else {
        memcpy(buf, p->data, p->len);
        *ret_more = p->more;
        give_credit(c, p->len);
    }
    kfree(p);
    return n;
}

/* --- a channel's life ------------------------------------------------------------------ */

/* 0, -EBUSY: its service is another's, or -EAGAIN: whose client has gone. */
static int begin(struct channel *c)
{
    int err = 0;
    spin_lock(&channels_lock);
    list_for_each(other, &channels, struct channel, node) {
        if (other->served && other->service == c->service && c->service->taken != NULL)
            err = other->closed ? -EAGAIN : -EBUSY;
    }
    c->served = err == 0;
    spin_unlock(&channels_lock);
    return err;
}

static void end(struct channel *c)
{
    spin_lock(&channels_lock);
    c->served = false;
    spin_unlock(&channels_lock);
    wq_wake_all(&ended, 0);
}

static void service_thread(void *arg)
{
    struct channel *c = arg;
    struct part *p;
    int err;
    wait_event(&ended, (err = begin(c)) != -EAGAIN);
    if (err == 0)
        c->service->run(c, c->args, c->args_len);
    else
        channel_fail(c, EBUSY, c->service->taken);
    end(c); /* before its client is told, who may come again at once */
    if (!channel_closed(c))
        say_closed(c->number, c->error, c->why);
    spin_lock(&channels_lock);
    list_remove(&c->node);
    open_channels--;
    spin_unlock(&channels_lock);
    while ((p = take(c)) != NULL)
        kfree(p);
    kfree(c);
}

/* NULL when there is a new channel, else why not. */
static const char *open_channel(const struct ctl_open *o, const char *name, size_t args_len, int *ret_error)
{
    const struct service *s = service_find(name, o->name_len);
    struct channel *c;
    struct thread *t;
    *ret_error = ENOENT;
    if (s == NULL)
        return "this kernel has no such service";
    *ret_error = ENOMEM;
    if ((c = kzalloc(sizeof(*c) + args_len + 1)) == NULL)
        return "the instance has no memory for it";
    c->number = o->channel;
    c->service = s;
    c->in_allowed = CTL_WINDOW;
    c->out_allowed = o->window;
    c->why = "";
    c->args_len = args_len;
    memcpy(c->args, name + o->name_len, args_len);
    wq_init(&c->wq, "channel");
    list_init(&c->parts);
    if (thread_create(s->name, service_thread, c, false, &t) != 0) {
        kfree(c);
        return "the instance has no memory for it";
    }
    spin_lock(&channels_lock);
    list_push_back(&channels, &c->node);
    open_channels++;
    spin_unlock(&channels_lock);
    thread_start(t);
    thread_put(t);
    return NULL;
}

static const char *handle_open(const struct ctl_open *o, const void *rest, size_t len)
{
    if (o->name_len == 0 || o->name_len > CTL_NAME_MAX || o->name_len > len || len - o->name_len > CTL_ARGS_MAX ||
        o->window < CTL_PART_COST(CTL_PART_MAX) || o->window > CTL_WINDOW_MAX)
        return "a channel is opened with bad lengths";
    spin_lock(&channels_lock);
    bool used = find_locked(o->channel) != NULL, full = open_channels >= CHANNELS_MAX;
    spin_unlock(&channels_lock);
    if (used)
        return "a channel is opened twice";
    int error = EBUSY;
    const char *why = full ? "too many channels are open" : open_channel(o, rest, len - o->name_len, &error);
    if (why != NULL)
        say_closed(o->channel, (u32)error, why);
    return NULL;
}

static const char *handle_data(const struct ctl_data *d, const void *bytes, size_t len)
{
    if (len > CTL_PART_MAX || (d->flags & ~CTL_MORE) != 0)
        return "a bad part of a message";
    struct part *p = kmalloc(sizeof(*p) + len, 0);
    const char *problem = NULL;
    bool lost = false;
    if (p != NULL) {
        p->len = (u32)len;
        p->more = (d->flags & CTL_MORE) != 0;
        memcpy(p->data, bytes, len);
    }
    spin_lock(&channels_lock);
    struct channel *c = find_locked(d->channel);
    if (c != NULL && !c->closed) {
        c->in_spent += CTL_PART_COST(len);
        if (c->in_spent > c->in_allowed) {
            problem = "more was sent than there was credit for";
        } else if (p == NULL) {
            atomic_store(&c->closed, true);
            lost = true;
        } else {
            list_push_back(&c->parts, &p->node);
            p = NULL;
        }
        wq_wake_all(&c->wq, 0);
    }
    spin_unlock(&channels_lock);
    kfree(p);
    if (lost)
        say_closed(d->channel, ENOMEM, "the instance has no memory for it");
    return problem;
}

static const char *handle_credit(const struct ctl_credit *m)
{
    const char *problem = NULL;
    spin_lock(&channels_lock);
    struct channel *c = find_locked(m->channel);
    if (c != NULL && m->total < c->out_allowed)
        problem = "credit was taken back";
    else if (c != NULL)
        atomic_store(&c->out_allowed, m->total);
    if (c != NULL)
        wq_wake_all(&c->wq, 0);
    spin_unlock(&channels_lock);
    return problem;
}

/* One of them, or all. */
static void hang_up(u32 number, bool all)
{
    spin_lock(&channels_lock);
    list_for_each(c, &channels, struct channel, node) {
        if (all || c->number == number) {
            atomic_store(&c->closed, true);
            wq_wake_all(&c->wq, 0);
        }
    }
    spin_unlock(&channels_lock);
}

void channel_hang_up_all(void) { hang_up(0, true); }

const char *channel_message(enum ctl_type type, const void *payload, size_t len)
{
    union {
        struct ctl_open open;
        struct ctl_data data;
        struct ctl_credit credit;
        struct ctl_close close;
    } m;
    size_t head = type == CTL_OPEN     ? sizeof(m.open)
                  : type == CTL_DATA   ? sizeof(m.data)
                  : type == CTL_CREDIT ? sizeof(m.credit)
                                       : sizeof(m.close);
    if (len < head)
        return "a channel's message is too short";
    memcpy(&m, payload, head);
    const u8 *rest = (const u8 *)payload + head;
    switch (type) {
    case CTL_OPEN: return handle_open(&m.open, rest, len - head);
    case CTL_DATA: return handle_data(&m.data, rest, len - head);
    case CTL_CREDIT: return handle_credit(&m.credit);
    default: hang_up(m.close.channel, false); return NULL;
    }
}
