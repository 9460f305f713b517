/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Clients of a running instance: see clients.h.
 *
 *   NEW      connected, nothing said yet
 *   OPEN     its channel goes to the kernel, or to a service of our own
 *   ENDING   only what is queued, with CTL_CLOSE as the last, is still to be handed over
 *
 * A client leaves its slot when it hangs up, when ENDING has handed everything over, and when it takes nothing for too
 * long: then it becomes ENDING with the reason alone, and after as long again it is cut off.
 */
#include "host/tender/clients.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "host/lib/util.h"

#define SETTLE_NS 2000000000ull /* as long as the kernel waits for them at its end */
#define PACKET_MAX (sizeof(struct ctl_header) + sizeof(struct ctl_open) + CTL_NAME_MAX + CTL_PART_MAX)

enum state { NEW, OPEN, ENDING };

struct client {
    struct clients *all;
    int fd;
    enum state state;
    const struct tender_service *own; /* OPEN: NULL = the kernel's */
    u32 channel;
    u64 out_spent, out_allowed;  /* kernel to client */
    u64 out_taken;               /* cost of what the client has read */
    u64 in_spent, in_allowed;    /* client to kernel */
    struct buf queue;            /* packets for the client, each behind its length (u32) */
    size_t queue_at;
    u64 stuck_since_ns;          /* 0 = nothing waits */
    struct pollfd *poll;
};

void clients_init(struct clients *s, int listen_fd, const struct tender_service *own, void *ctx, struct control *control)
{
    *s = (struct clients){.listen_fd = listen_fd, .own = own, .ctx = ctx, .control = control, .kernel_there = true,
                          .next_channel = 1};
}

/* --- to the client --------------------------------------------------------------------- */

static void enqueue(struct client *c, u16 type, const void *head, u32 head_len, const void *data, u32 len)
{
    struct ctl_header h = {.magic = CTL_MAGIC, .version = CTL_VERSION, .type = type, .len = head_len + len};
    u32 size = sizeof(h) + h.len;
    buf_add(&c->queue, &size, sizeof(size));
    buf_add(&c->queue, &h, sizeof(h));
    buf_add(&c->queue, head, head_len);
    buf_add(&c->queue, data, len);
    if (!c->stuck_since_ns)
        c->stuck_since_ns = now_ns();
}

/* Credit for the kernel as the client reads: when half the window has been read. */
static void renew_credit(struct client *c)
{
    if (c->state != OPEN || c->own || c->out_taken + CLIENT_WINDOW < c->out_allowed + CLIENT_WINDOW / 2)
        return;
    struct ctl_credit credit = {.channel = c->channel, .total = c->out_taken + CLIENT_WINDOW};
    if (control_queue(c->all->control, CTL_CREDIT, &credit, sizeof(credit), NULL, 0))
        c->out_allowed = credit.total;
}

/* Hand over what the socket takes. False: the client has hung up. */
static bool drain(struct client *c)
{
    bool some = false;
    while (c->queue_at < c->queue.len) {
        u32 size;
        memcpy(&size, c->queue.data + c->queue_at, sizeof(size));
        ssize_t n = send(c->fd, c->queue.data + c->queue_at + sizeof(size), size, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && (errno == EAGAIN || errno == ENOBUFS))
            break;
        if (n < 0)
            return false;
        c->queue_at += sizeof(size) + size;
        c->out_taken += size;
        some = true;
    }
    if (c->queue_at == c->queue.len) {
        buf_done(&c->queue);
        c->queue_at = 0;
        c->stuck_since_ns = 0;
    } else if (some) {
        buf_drop(&c->queue, c->queue_at);
        c->queue_at = 0;
        c->stuck_since_ns = now_ns();
    }
    renew_credit(c);
    return true;
}

void client_send(struct client *c, const void *data, size_t len)
{
    const char *p = data;
    do {
        u32 n = (u32)MIN(len, (size_t)CTL_PART_MAX);
        struct ctl_data head = {.flags = n < len ? CTL_MORE : 0};
        enqueue(c, CTL_DATA, &head, sizeof(head), p, n);
        p += n;
        len -= n;
    } while (len);
}

/* --- the end of one ----------------------------------------------------------------------- */

/* The other side of its channel shall know that nobody is there any more. */
static void close_channel(struct client *c)
{
    if (c->state != OPEN)
        return;
    c->state = ENDING;
    if (!c->own) {
        struct ctl_close close = {.channel = c->channel};
        control_queue(c->all->control, CTL_CLOSE, &close, sizeof(close), NULL, 0);
    }
}

static void say_end(struct client *c, u32 error, const char *why, size_t why_len)
{
    struct ctl_close close = {.error = error};
    c->state = ENDING;
    enqueue(c, CTL_CLOSE, &close, sizeof(close), why, (u32)MIN(why_len, (size_t)CTL_REASON_MAX));
}

void client_end(struct client *c, int error, const char *why)
{
    close_channel(c);
    say_end(c, (u32)error, why, strlen(why));
}

static void drop(struct client *c)
{
    for (size_t i = 0; i < CLIENTS_MAX; i++)
        if (c->all->slots[i] == c)
            c->all->slots[i] = NULL;
    close_channel(c);
    close(c->fd);
    buf_done(&c->queue);
    free(c);
}

static void on_patience_over(struct client *c)
{
    if (c->state == ENDING) {
        drop(c);
        return;
    }
    buf_done(&c->queue);
    c->queue_at = 0;
    c->stuck_since_ns = 0;
    client_end(c, ETIMEDOUT, c->state == NEW ? "nothing was asked for within ten seconds"
                                              : "nothing was read for ten seconds; what came meanwhile is lost");
}

/* --- from the client ------------------------------------------------------------------------ */

static const struct tender_service *find_own(const struct clients *s, const char *name, size_t len)
{
    for (const struct tender_service *o = s->own; o && o->name; o++)
        if (strlen(o->name) == len && memcmp(o->name, name, len) == 0)
            return o;
    return NULL;
}

static const char *on_open(struct client *c, const char *payload, u32 len)
{
    struct clients *s = c->all;
    struct ctl_open o;
    if (c->state != NEW)
        return "a channel is open already";
    if (len < sizeof(o))
        return "CTL_OPEN is too short";
    memcpy(&o, payload, sizeof(o));
    const char *name = payload + sizeof(o);
    len -= (u32)sizeof(o);
    if (o.name_len == 0 || o.name_len > CTL_NAME_MAX || o.name_len > len || len - o.name_len > CTL_ARGS_MAX)
        return "CTL_OPEN has bad lengths";
    c->state = OPEN;
    c->stuck_since_ns = 0;
    c->own = find_own(s, name, o.name_len);
    if (c->own) {
        AUTO_FREE char *args = xalloc(len - o.name_len + 1);
        memcpy(args, name + o.name_len, len - o.name_len);
        c->own->open(s->ctx, c, args, len - o.name_len);
        return NULL;
    }
    c->channel = s->next_channel++;
    c->in_allowed = CTL_WINDOW;
    c->out_allowed = CLIENT_WINDOW;
    o.channel = c->channel;
    o.window = CLIENT_WINDOW;
    if (!s->kernel_there || !control_queue(s->control, CTL_OPEN, &o, sizeof(o), name, len)) {
        c->state = ENDING;
        say_end(c, EPIPE, "the instance takes no messages", 30);
    }
    return NULL;
}

static const char *on_data(struct client *c, const char *payload, u32 len)
{
    struct ctl_data d;
    if (c->state == ENDING)
        return NULL; /* crossed its end */
    if (c->state != OPEN)
        return "CTL_DATA before CTL_OPEN";
    if (len < sizeof(d) || len - sizeof(d) > CTL_PART_MAX)
        return "CTL_DATA has a bad length";
    memcpy(&d, payload, sizeof(d));
    len -= (u32)sizeof(d);
    if (d.flags & ~CTL_MORE)
        return "CTL_DATA has unknown flags";
    if (c->own)
        return "this service takes no messages";
    d.channel = c->channel;
    c->in_spent += CTL_PART_COST(len);
    if (!control_queue(c->all->control, CTL_DATA, &d, sizeof(d), payload + sizeof(d), len))
        return "the instance takes no messages";
    return NULL;
}

/* One packet. NULL, or what is wrong with it. */
static const char *on_packet(struct client *c, const char *packet, size_t len)
{
    struct ctl_header h;
    if (len < sizeof(h))
        return "half a message";
    memcpy(&h, packet, sizeof(h));
    if (h.magic != CTL_MAGIC)
        return "a message without the magic number";
    if (h.version != CTL_VERSION)
        return "another version of the protocol: this drupe and the one that tends the instance do not belong together";
    if (h.len != len - sizeof(h))
        return "a message whose length is not its packet's";
    switch (h.type) {
    case CTL_OPEN:
        return on_open(c, packet + sizeof(h), h.len);
    case CTL_DATA:
        return on_data(c, packet + sizeof(h), h.len);
    case CTL_CLOSE:
        close_channel(c);
        say_end(c, 0, "", 0);
        return NULL;
    default:
        return "a message of an unknown type";
    }
}

/* A part of full length may be passed on. */
static bool may_send(const struct client *c)
{
    return c->state != OPEN || c->own || c->in_allowed - c->in_spent >= CTL_PART_COST(CTL_PART_MAX);
}

/* False: it has hung up. */
static bool read_packet(struct client *c)
{
    char packet[PACKET_MAX + 1];
    ssize_t n = recv(c->fd, packet, sizeof(packet), MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return true;
    if (n <= 0)
        return false;
    const char *problem = (size_t)n > PACKET_MAX ? "a message that is too long" : on_packet(c, packet, (size_t)n);
    if (problem)
        client_end(c, EPROTO, problem);
    return true;
}

/* --- all of them ------------------------------------------------------------------------------- */

static bool is_welcome(int fd)
{
    struct ucred who;
    socklen_t len = sizeof(who);
    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) == 0 && (who.uid == 0 || who.uid == geteuid());
}

static void accept_client(struct clients *s)
{
    int fd = accept4(s->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0)
        return;
    struct client *c = xalloc(sizeof(*c));
    *c = (struct client){.all = s, .fd = fd, .stuck_since_ns = now_ns()}; /* until it says what it wants */
    for (size_t i = 0; i < CLIENTS_MAX; i++) {
        if (s->slots[i])
            continue;
        s->slots[i] = c;
        if (!is_welcome(fd))
            client_end(c, EACCES, "this instance is another user's");
        return;
    }
    say_end(c, EBUSY, "too many clients", 16);
    drain(c);
    drop(c);
}

size_t clients_poll(struct clients *s, struct pollfd *fds, u64 *deadline_ns)
{
    size_t n = 0;
    s->poll = NULL;
    if (s->listen_fd >= 0) {
        s->poll = &fds[n];
        fds[n++] = (struct pollfd){.fd = s->listen_fd, .events = POLLIN};
    }
    for (size_t i = 0; i < CLIENTS_MAX; i++) {
        struct client *c = s->slots[i];
        if (!c)
            continue;
        short events = (short)((c->state != ENDING && may_send(c) ? POLLIN : 0) | (c->queue.len ? POLLOUT : 0));
        c->poll = &fds[n];
        fds[n++] = (struct pollfd){.fd = c->fd, .events = events};
        if (c->stuck_since_ns)
            *deadline_ns = MIN(*deadline_ns, c->stuck_since_ns + CLIENT_PATIENCE_NS);
    }
    return n;
}

static void serve(struct client *c)
{
    short events = c->poll ? c->poll->revents : 0;
    c->poll = NULL;
    bool there = true;
    if (events & POLLIN && c->state != ENDING && may_send(c))
        there = read_packet(c);
    if (there && c->queue.len)
        there = drain(c);
    if (!there || (c->state == ENDING && !c->queue.len) || events & (POLLHUP | POLLERR | POLLNVAL))
        drop(c);
    else if (c->stuck_since_ns && now_ns() >= c->stuck_since_ns + CLIENT_PATIENCE_NS)
        on_patience_over(c);
}

void clients_serve(struct clients *s)
{
    for (size_t i = 0; i < CLIENTS_MAX; i++)
        if (s->slots[i])
            serve(s->slots[i]);
    if (s->poll && s->poll->revents)
        accept_client(s);
    s->poll = NULL;
}

/* How long, in milliseconds, those are waited for that have not taken everything yet: while they take some. */
static int unsent_ms(const struct clients *s, u64 start_ns)
{
    u64 now = now_ns();
    u64 until = 0;
    for (size_t i = 0; i < CLIENTS_MAX; i++) {
        const struct client *c = s->slots[i];
        if (c && c->queue.len)
            until = MAX(until, MAX(c->stuck_since_ns, start_ns) + SETTLE_NS);
    }
    return until > now ? (int)((until - now) / 1000000 + 1) : 0;
}

void clients_settle(struct clients *s)
{
    struct pollfd fds[CLIENTS_POLLFDS];
    u64 ignored = UINT64_MAX, start_ns = now_ns();
    for (unsigned rounds = 0; rounds < 4 * CLIENTS_MAX || unsent_ms(s, start_ns) > 0; rounds++) {
        size_t n = clients_poll(s, fds, &ignored);
        if (poll(fds, n, unsent_ms(s, start_ns)) <= 0)
            break;
        clients_serve(s);
    }
    for (size_t i = 0; i < CLIENTS_MAX; i++)
        if (s->slots[i])
            s->slots[i]->poll = NULL;
    s->poll = NULL;
}

void clients_done(struct clients *s)
{
    for (size_t i = 0; i < CLIENTS_MAX; i++) {
        if (s->slots[i]) {
            drain(s->slots[i]);
            drop(s->slots[i]);
        }
    }
    if (s->listen_fd >= 0)
        close(TAKE_FD(s->listen_fd));
}

/* --- from the kernel ----------------------------------------------------------------------------- */

static struct client *find_channel(struct clients *s, u32 channel)
{
    for (size_t i = 0; i < CLIENTS_MAX; i++) {
        struct client *c = s->slots[i];
        if (c && c->state == OPEN && !c->own && c->channel == channel)
            return c;
    }
    return NULL;
}

const char *clients_message(struct clients *s, u16 type, const void *payload, u32 len)
{
    union {
        u32 channel;
        struct ctl_data data;
        struct ctl_credit credit;
        struct ctl_close close;
    } m;
    u32 head = type == CTL_DATA ? sizeof(m.data) : type == CTL_CREDIT ? sizeof(m.credit) : sizeof(m.close);
    if (type == CTL_OPEN || len < head)
        return "a channel's message that makes no sense";
    memcpy(&m, payload, head);
    const char *rest = (const char *)payload + head;
    len -= head;
    struct client *c = find_channel(s, m.channel);
    if (!c)
        return NULL; /* crossed our end of it */
    if (type == CTL_DATA) {
        c->out_spent += CTL_PART_COST(len);
        if (len > CTL_PART_MAX || m.data.flags & ~CTL_MORE || c->out_spent > c->out_allowed)
            return "a channel's part that is too long or beyond its credit";
        m.data.channel = 0;
        enqueue(c, CTL_DATA, &m.data, sizeof(m.data), rest, len);
    } else if (type == CTL_CREDIT) {
        if (m.credit.total < c->in_allowed || m.credit.total > c->in_spent + CTL_WINDOW)
            return "a channel's credit that makes no sense";
        c->in_allowed = m.credit.total;
    } else {
        say_end(c, m.close.error, rest, len);
    }
    return NULL;
}

void clients_kernel_gone(struct clients *s, const char *why)
{
    s->kernel_there = false;
    for (size_t i = 0; i < CLIENTS_MAX; i++) {
        struct client *c = s->slots[i];
        if (c && c->state == OPEN && !c->own)
            say_end(c, EPIPE, why, strlen(why));
    }
}

/* --- for the tender's services ------------------------------------------------------------------- */

void clients_each(struct clients *s, const struct tender_service *service, void (*fn)(void *ctx, struct client *c), void *ctx)
{
    for (size_t i = 0; i < CLIENTS_MAX; i++) {
        struct client *c = s->slots[i];
        if (c && c->state == OPEN && c->own == service)
            fn(ctx, c);
    }
}
