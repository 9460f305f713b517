/* SPDX-License-Identifier: Apache-2.0 */
/* Control protocol, tender's side: see control.h. */
#include "host/tender/control.h"

#include <string.h>
#include <sys/socket.h>

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
    if (at) {
        memmove(c->in.data, c->in.data + at, c->in.len - at);
        c->in.len -= at;
    }
}

void control_done(struct control *c) { buf_done(&c->in); }

bool control_send(int fd, u16 type, const void *payload, u32 len)
{
    char message[sizeof(struct ctl_header) + 256];
    struct ctl_header h = {.magic = CTL_MAGIC, .version = CTL_VERSION, .type = type, .len = len};
    if (len > 256)
        return false;
    memcpy(message, &h, sizeof(h));
    if (len)
        memcpy(message + sizeof(h), payload, len);
    /* A stream socket takes all of so short a message or nothing. */
    return send(fd, message, sizeof(h) + len, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)(sizeof(h) + len);
}
