/* SPDX-License-Identifier: Apache-2.0 */
/* 9P over a host port: see p9_impl.h. One thread sends at a time (conn.c), one reads. */
#include "kern/chardev.h"
#include "p9_impl.h"

#define BUF_BYTES PAGE_SIZE

static bool gone(const struct chardev *port) { return port->host_was_open && !atomic_load(&port->host_open); }

int p9_stream_send(struct p9_stream *s, const void *data, u32 len)
{
    struct chardev *port = s->port;
    const u8 *p = data;
    while (len > 0) {
        size_t n = port->ops->write(port, p, len);
        if (n == 0) {
            if (gone(port))
                return -EIO;
            wait_event(&port->wq, port->ops->can_write(port) || gone(port));
        }
        p += n;
        len -= (u32)n;
    }
    return 0;
}

/* Some bytes, at most len. 0 = the host is gone. */
static size_t some(struct chardev *port, void *data, size_t len)
{
    for (;;) {
        bool ended = gone(port);
        size_t n = port->ops->read(port, data, len);
        if (n > 0 || ended)
            return n;
        wait_event(&port->wq, port->ops->can_read(port) || gone(port));
    }
}

/* Short pieces by way of the buffer, so that several replies take one read; long ones straight to where they belong. */
int p9_stream_receive(struct p9_stream *s, void *data, u32 len)
{
    u8 *p = data;
    while (len > 0) {
        u32 n = MIN(s->end - s->start, len);
        if (n > 0) {
            memcpy(p, s->buf + s->start, n);
            s->start += n;
        } else if (len >= BUF_BYTES) {
            n = (u32)some(s->port, p, len);
        } else {
            s->start = 0;
            s->end = (u32)some(s->port, s->buf, BUF_BYTES);
            if (s->end == 0)
                return -EIO;
            continue;
        }
        if (n == 0)
            return -EIO;
        p += n;
        len -= n;
    }
    return 0;
}
