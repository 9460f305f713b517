/* SPDX-License-Identifier: Apache-2.0 */
/* Control protocol, tender's side: see control.h. */
#include "host/tender/control.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

/* Clients' messages are bounded by their channels' windows: only an instance that reads nothing comes so far. */
#define MAX_WAITING (2u << 20)

void control_feed(struct control *c, const void *data, size_t len, control_fn *fn, void *ctx)
{
    if (c->broken)
        return;
    buf_add(&c->in, data, len);
    size_t at = 0;
    while (c->in.len - at >= sizeof(struct ctl_header)) {
        struct ctl_header h;
        memcpy(&h, c->in.data + at, sizeof(h));
        if (h.magic != CTL_MAGIC)
            c->broken = "a message without the magic number";
        else if (h.version != CTL_VERSION)
            c->broken = "another version of the protocol: kernel and drupe do not belong together";
        else if (h.len > CTL_MAX_LEN)
            c->broken = "a message that is too long";
        if (c->broken || c->in.len - at - sizeof(h) < h.len)
            break;
        fn(ctx, h.type, c->in.data + at + sizeof(h), h.len);
        at += sizeof(h) + h.len;
    }
    buf_drop(&c->in, at);
}

void control_done(struct control *c)
{
    buf_done(&c->in);
    buf_done(&c->out);
}

bool control_queue(struct control *c, u16 type, const void *head, u32 head_len, const void *data, u32 len)
{
    struct ctl_header h = {.magic = CTL_MAGIC, .version = CTL_VERSION, .type = type, .len = head_len + len};
    if (c->out.len > MAX_WAITING)
        return false;
    buf_add(&c->out, &h, sizeof(h));
    buf_add(&c->out, head, head_len);
    buf_add(&c->out, data, len);
    return true;
}

bool control_flush(struct control *c, int fd)
{
    size_t done = 0;
    while (done < c->out.len) {
        ssize_t n = send(fd, c->out.data + done, c->out.len - done, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno != EAGAIN) /* whoever reads the port will see that it has ended */
            done = c->out.len;
        if (n <= 0)
            break;
        done += (size_t)n;
    }
    buf_drop(&c->out, done);
    return done > 0;
}
