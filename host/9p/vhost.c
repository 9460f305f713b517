/* SPDX-License-Identifier: Apache-2.0 */
/* vhost-user, and 9P by virtqueues: see vhost.h. */
#include "host/9p/vhost.h"

#include <errno.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host/9p/ring.h"

#define QUEUES 2
#define F_EVENT_IDX (1ull << 29)
#define F_PROTOCOL_FEATURES (1ull << 30) /* of which we have none; QEMU does not begin without the question */
#define F_VERSION_1 (1ull << 32)
#define VHOST_VERSION 1u
#define VHOST_REPLY 4u
#define NO_FD (1u << 8)
#define ROUND 32u /* requests of a queue, then the other queue and the monitor have their turn */
#define MIN(a, b) ((a) < (b) ? (a) : (b))

enum {
    GET_FEATURES = 1,
    SET_FEATURES,
    SET_OWNER,
    RESET_OWNER,
    SET_MEM_TABLE,
    SET_VRING_NUM = 8,
    SET_VRING_ADDR,
    SET_VRING_BASE,
    GET_VRING_BASE,
    SET_VRING_KICK,
    SET_VRING_CALL,
    SET_VRING_ERR,
    GET_PROTOCOL_FEATURES,
    SET_PROTOCOL_FEATURES,
    SET_VRING_ENABLE = 18,
};

struct message {
    u32 unused;               /* what travels begins behind it, and its body is aligned */
    u32 request, flags, size;
    union {
        u64 number;
        struct {
            u32 index, value;
        } state;
        struct {
            u32 index, flags;
            u64 desc, used, avail, log;
        } address;
        struct {
            u32 n, padding;
            struct {
                u64 guest, size, user, offset;
            } regions[GUEST_REGIONS];
        } memory;
    };
    int fds[GUEST_REGIONS]; /* -1 = none */
};
static u8 *message_bytes(struct message *m) { return (u8 *)m + sizeof(m->unused); }
#define MESSAGE_HEAD 12u
#define MESSAGE_BODY (sizeof(((struct message *)0)->memory))

struct vhost {
    struct server *server;
    int socket;
    struct guest guest;
    struct ring rings[QUEUES];
};

/* --- requests of the guest ---------------------------------------------------------------- */

static u8 message_in[P9_MSIZE], message_out[P9_MSIZE];

static void gather(const struct ring_chain *c, u8 *to)
{
    for (unsigned i = 0; i < c->nout; to += c->out[i++].iov_len)
        memcpy(to, c->out[i].iov_base, c->out[i].iov_len);
}

static void scatter(const struct ring_chain *c, const u8 *from, size_t len)
{
    for (unsigned i = 0; len > 0; i++) {
        size_t n = MIN(len, c->in[i].iov_len);
        memcpy(c->in[i].iov_base, from, n);
        from += n;
        len -= n;
    }
}

static int answer(struct vhost *v, struct ring *r, const struct ring_chain *c)
{
    struct p9_out out = {.start = message_out};
    if (c->out_bytes < P9_HEADER || c->out_bytes > sizeof(message_in) || c->in_bytes < P9_HEADER + 4)
        return -1;
    gather(c, message_in);
    if (get_u32(message_in) != c->out_bytes)
        return -1;
    server_message(v->server, message_in, (u32)c->out_bytes, &out);
    if (out.len > c->in_bytes)
        server_error(message_in, EMSGSIZE, &out);
    scatter(c, out.start, out.len);
    ring_give(r, c->head, (u32)out.len);
    return 0;
}

static int call(struct ring *r)
{
    static const u64 one = 1;
    return ring_wants_call(r) && r->call >= 0 && write(r->call, &one, sizeof(one)) < 0 && errno != EAGAIN ? -1 : 0;
}

/* One round. The guest hears of each answer, if it wants to: the next request may take long. */
static int serve(struct vhost *v, struct ring *r)
{
    static struct ring_chain chain;
    r->more = false;
    for (unsigned n = 0; r->desc && r->enabled; n++) {
        if (n == ROUND) {
            r->more = true;
            break;
        }
        int got = ring_take(r, &v->guest, &chain);
        if (got < 0 || (got > 0 && (answer(v, r, &chain) < 0 || call(r) < 0)))
            return -1;
        if (got == 0 && ring_sleep(r))
            break;
    }
    return 0;
}

static int kicked(struct ring *r)
{
    u64 count;
    return read(r->kick, &count, sizeof(count)) < 0 && errno != EAGAIN && errno != EINTR ? -1 : 0;
}

/* `events` says that there is something to read of the kick. */
static int turn(struct vhost *v, struct ring *r, bool events)
{
    if (events && kicked(r) < 0)
        return -1;
    return events || r->more ? serve(v, r) : 0;
}

/* --- messages of the monitor ---------------------------------------------------------------- */

static int receive_exactly(int fd, void *to, size_t len)
{
    for (u8 *p = to; len > 0;) {
        ssize_t n = read(fd, p, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return -1;
        p += n;
        len -= (size_t)n;
    }
    return 0;
}

/* 1, 0 at the end, -1. */
static int receive(int fd, struct message *m)
{
    union {
        char bytes[CMSG_SPACE(sizeof(m->fds))];
        struct cmsghdr align;
    } control;
    struct iovec head = {message_bytes(m), MESSAGE_HEAD};
    struct msghdr h = {.msg_iov = &head, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)};
    ssize_t n;
    memset(m->fds, -1, sizeof(m->fds));
    do
        n = recvmsg(fd, &h, MSG_CMSG_CLOEXEC);
    while (n < 0 && errno == EINTR);
    if (n <= 0)
        return n == 0 || errno == ECONNRESET ? 0 : -1;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&h); c; c = CMSG_NXTHDR(&h, c))
        if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
            memcpy(m->fds, CMSG_DATA(c), MIN(c->cmsg_len - CMSG_LEN(0), sizeof(m->fds)));
    if (receive_exactly(fd, message_bytes(m) + n, MESSAGE_HEAD - (size_t)n) < 0 || m->size > MESSAGE_BODY)
        return -1;
    memset(&m->number, 0, MESSAGE_BODY);
    return receive_exactly(fd, &m->number, m->size) < 0 ? -1 : 1;
}

static int reply(int fd, struct message *m, u32 size)
{
    m->flags = VHOST_VERSION | VHOST_REPLY;
    m->size = size;
    return write(fd, message_bytes(m), MESSAGE_HEAD + size) == (ssize_t)(MESSAGE_HEAD + size) ? 0 : -1;
}

static void forget_memory(struct vhost *v)
{
    for (unsigned i = 0; i < v->guest.n; i++)
        munmap(v->guest.regions[i].at, v->guest.regions[i].size);
    v->guest.n = 0;
}

/* The files are sealed against shrinking by who made them, the monitor. */
static int set_memory(struct vhost *v, const struct message *m)
{
    forget_memory(v);
    if (m->memory.n > GUEST_REGIONS)
        return -1;
    for (u32 i = 0; i < m->memory.n; i++) {
        u64 size = m->memory.regions[i].size;
        void *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, m->fds[i], (off_t)m->memory.regions[i].offset);
        if (at == MAP_FAILED)
            return -1;
        v->guest.regions[v->guest.n++] =
            (struct guest_region){m->memory.regions[i].guest, m->memory.regions[i].user, size, at};
    }
    for (unsigned i = 0; i < QUEUES; i++)
        if (v->rings[i].desc)
            ring_map(&v->rings[i], &v->guest);
    return 0;
}

/* The descriptor moves into *to. */
static void take_fd(struct message *m, int *to)
{
    if (*to >= 0)
        close(*to);
    *to = (m->number & NO_FD) != 0 ? -1 : m->fds[0];
    m->fds[0] = -1;
}

static int set_kick(struct vhost *v, struct ring *r, struct message *m)
{
    take_fd(m, &r->kick);
    return ring_map(r, &v->guest) ? serve(v, r) : -1;
}

static int set_enable(struct vhost *v, struct ring *r, bool enabled)
{
    r->enabled = enabled;
    return r->desc ? serve(v, r) : 0;
}

static int about_ring(struct vhost *v, struct ring *r, struct message *m)
{
    switch (m->request) {
    case SET_VRING_NUM:
        if (r->desc) /* it was found to fit in memory with the size it has */
            return -1;
        r->size = m->state.value;
        return 0;
    case SET_VRING_ADDR:
        r->desc_user = m->address.desc;
        r->used_user = m->address.used;
        r->avail_user = m->address.avail;
        return 0;
    case SET_VRING_BASE:
        r->next = (u16)m->state.value;
        return 0;
    case GET_VRING_BASE:
        r->desc = NULL;
        m->state.value = r->next;
        return reply(v->socket, m, sizeof(m->state));
    case SET_VRING_KICK:
        return set_kick(v, r, m);
    case SET_VRING_CALL:
        take_fd(m, &r->call);
        return 0;
    case SET_VRING_ENABLE:
        return set_enable(v, r, m->state.value != 0);
    }
    return 0;
}

static int obey(struct vhost *v, struct message *m)
{
    switch (m->request) {
    case GET_FEATURES:
        m->number = F_VERSION_1 | F_EVENT_IDX | F_PROTOCOL_FEATURES;
        return reply(v->socket, m, sizeof(m->number));
    case SET_FEATURES:
        for (unsigned i = 0; i < QUEUES; i++) {
            v->rings[i].event_idx = (m->number & F_EVENT_IDX) != 0;
            v->rings[i].enabled |= (m->number & F_PROTOCOL_FEATURES) == 0;
        }
        return 0;
    case GET_PROTOCOL_FEATURES:
        m->number = 0;
        return reply(v->socket, m, sizeof(m->number));
    case SET_PROTOCOL_FEATURES:
    case SET_OWNER:
    case RESET_OWNER:
        return 0;
    case SET_MEM_TABLE:
        return set_memory(v, m);
    }
    unsigned index = m->request == SET_VRING_KICK || m->request == SET_VRING_CALL || m->request == SET_VRING_ERR ? m->number & 0xff : m->state.index;
    if (m->request < SET_VRING_NUM || m->request > SET_VRING_ENABLE || index >= QUEUES)
        return -1;
    return about_ring(v, &v->rings[index], m);
}

static int monitor_speaks(struct vhost *v)
{
    struct message m;
    int got = receive(v->socket, &m);
    int problem = got > 0 ? obey(v, &m) : got;
    for (unsigned i = 0; got > 0 && i < GUEST_REGIONS; i++)
        if (m.fds[i] >= 0)
            close(m.fds[i]);
    return problem < 0 ? -1 : got;
}

int vhost_serve(struct server *s, int socket, int other)
{
    struct vhost v = {.server = s, .socket = socket};
    for (unsigned i = 0; i < QUEUES; i++)
        v.rings[i].kick = v.rings[i].call = -1;
    for (;;) {
        struct pollfd fds[2 + QUEUES] = {{socket, POLLIN, 0}, {other, POLLIN, 0}};
        for (unsigned i = 0; i < QUEUES; i++)
            fds[2 + i] = (struct pollfd){v.rings[i].desc ? v.rings[i].kick : -1, POLLIN, 0};
        if (poll(fds, 2 + QUEUES, v.rings[0].more || v.rings[1].more ? 0 : -1) < 0 && errno != EINTR)
            return -1;
        if (fds[1].revents)
            return 0;
        for (unsigned i = 0; i < QUEUES; i++)
            if (turn(&v, &v.rings[i], fds[2 + i].revents != 0) < 0)
                return -1;
        int got = fds[0].revents ? monitor_speaks(&v) : 1;
        if (got <= 0)
            return got;
    }
}
