/* SPDX-License-Identifier: Apache-2.0 */
/* Speaking to a running instance: see client.h. */
#include "host/client/client.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

static int send_packet(struct conversation *c, u16 type, const void *head, size_t head_len, const void *data,
                       size_t len)
{
    struct ctl_header h = {.magic = CTL_MAGIC, .version = CTL_VERSION, .type = type, .len = (u32)(head_len + len)};
    struct iovec v[] = {{&h, sizeof(h)}, {(void *)head, head_len}, {(void *)data, len}};
    struct msghdr m = {.msg_iov = v, .msg_iovlen = 3};
    ssize_t n;
    do
        n = sendmsg(c->fd, &m, MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    return n < 0 ? -1 : 0;
}

int conversation_open(struct conversation *c, const struct entry *e, const char *service, const void *args, size_t len,
                      struct error *err)
{
    char text[CTL_NAME_MAX + CTL_ARGS_MAX];
    size_t n = strlen(service);
    *c = (struct conversation){.fd = -1};
    if (n > CTL_NAME_MAX || len > CTL_ARGS_MAX)
        return err_set(err, EXIT_DRUPE, "%s: the arguments are too long (%zu bytes, at most %u)", service, len,
                       CTL_ARGS_MAX);
    c->fd = entry_connect(e, err);
    if (c->fd < 0)
        return -1;
    memcpy(text, service, n);
    if (len)
        memcpy(text + n, args, len);
    struct ctl_open o = {.name_len = (u32)n};
    /* An end that has come already is told by the next receive. */
    send_packet(c, CTL_OPEN, &o, sizeof(o), text, n + len);
    return 0;
}

int conversation_send(struct conversation *c, const void *data, size_t len)
{
    const char *p = data;
    do {
        size_t n = MIN(len, (size_t)CTL_PART_MAX);
        struct ctl_data d = {.flags = n < len ? CTL_MORE : 0};
        if (send_packet(c, CTL_DATA, &d, sizeof(d), p, n) < 0)
            return -1;
        p += n;
        len -= n;
    } while (len);
    return 0;
}

static int on_close(struct conversation *c, const char *payload, size_t len)
{
    struct ctl_close close;
    memcpy(&close, payload, sizeof(close));
    len = MIN(len - sizeof(close), sizeof(c->why) - 1);
    memcpy(c->why, payload + sizeof(close), len);
    text_clean(c->why, len, "");
    c->why[len] = 0;
    c->error = close.error;
    c->ended = true;
    return 0;
}

int conversation_receive(struct conversation *c, void *buf, size_t *ret_len, bool *ret_more, struct error *err)
{
    char packet[sizeof(struct ctl_header) + sizeof(struct ctl_data) + CTL_PART_MAX];
    struct ctl_header h;
    struct ctl_data d;
    if (c->ended)
        return 0;
    ssize_t n;
    unsigned resets = 0; /* told once before the packets that came earlier */
    do
        n = recv(c->fd, packet, sizeof(packet), MSG_TRUNC);
    while (n < 0 && (errno == EINTR || (errno == ECONNRESET && resets++ == 0)));
    if (n < 0 && errno == EAGAIN) /* SO_RCVTIMEO */
        return err_set(err, EXIT_DRUPE, "the instance does not answer");
    if (n <= 0) {
        c->gone = true;
        return err_set(err, EXIT_DRUPE, "the instance has ended");
    }
    memcpy(&h, packet, MIN((size_t)n, sizeof(h)));
    if ((size_t)n < sizeof(h) + sizeof(d) || (size_t)n > sizeof(packet) || h.magic != CTL_MAGIC ||
        h.version != CTL_VERSION || h.len != (size_t)n - sizeof(h) || (h.type != CTL_DATA && h.type != CTL_CLOSE))
        return err_set(err, EXIT_DRUPE, "the instance's tender speaks another protocol than this drupe");
    if (h.type == CTL_CLOSE)
        return on_close(c, packet + sizeof(h), h.len);
    memcpy(&d, packet + sizeof(h), sizeof(d));
    *ret_len = h.len - sizeof(d);
    *ret_more = d.flags & CTL_MORE;
    memcpy(buf, packet + sizeof(h) + sizeof(d), *ret_len);
    return 1;
}

int conversation_message(struct conversation *c, struct buf *ret, size_t max, struct error *err)
{
    char part[CTL_PART_MAX];
    for (;;) {
        size_t len;
        bool more;
        int result = conversation_receive(c, part, &len, &more, err);
        if (result <= 0)
            return result;
        if (ret->len + len > max)
            return err_set(err, EXIT_DRUPE, "the instance's answer is too long (over %zu bytes)", max);
        buf_add(ret, part, len);
        if (!more)
            return 1;
    }
}

int conversation_failed(const struct conversation *c, const struct entry *e, struct error *err)
{
    return err_set(err, EXIT_DRUPE, "%s: %s", e->name, c->why[0] ? c->why : strerror((int)c->error));
}

void conversation_done(struct conversation *c)
{
    if (c->fd >= 0)
        close(c->fd);
    c->fd = -1;
}
