/* SPDX-License-Identifier: Apache-2.0 */
/* 9P over a host port: see p9_impl.h. One thread sends at a time (conn.c's send_lock), the transport's own reads. */
#include "p9_impl.h"

#define BUF_BYTES PAGE_SIZE
#define SEND_BYTES 8192u /* gathered, so that what belongs together is one write */

struct stream {
    struct chardev *port;
    struct p9_conn *conn;
    u8 *send_buf;
    u32 send_len;
    u8 *buf; /* what was read ahead */
    u32 start, end;
};

/* --- sending ----------------------------------------------------------------------------- */

static int write_all(struct chardev *port, const u8 *p, u32 len)
{
    while (len > 0) {
        size_t n = port->ops->write(port, p, len);
        if (n == 0) {
            if (p9_gone(port))
                return -EIO;
            wait_event(&port->wq, port->ops->can_write(port) || p9_gone(port));
        }
        p += n;
        len -= (u32)n;
    }
    return 0;
}

static int flush(struct stream *s)
{
    u32 n = s->send_len;
    s->send_len = 0;
    return write_all(s->port, s->send_buf, n);
}

static int gather(struct stream *s, const void *data, u32 len)
{
    if (len > SEND_BYTES - s->send_len) {
        int err = flush(s);
        if (err != 0)
            return err;
        if (len > SEND_BYTES)
            return write_all(s->port, data, len);
    }
    memcpy(s->send_buf + s->send_len, data, len);
    s->send_len += len;
    return 0;
}

/* The reader sees the same end of the stream. */
static void stream_send(void *own, struct p9_req *const *reqs, unsigned n)
{
    struct stream *s = own;
    int err = 0;
    for (unsigned k = 0; k < n && err == 0; k++) {
        err = gather(s, reqs[k]->out, reqs[k]->out_len);
        if (err == 0 && reqs[k]->send_len > 0)
            err = gather(s, reqs[k]->send_data, reqs[k]->send_len);
    }
    if (err == 0)
        flush(s);
    s->send_len = 0;
}

/* --- receiving --------------------------------------------------------------------------- */

/* Some bytes, at most len. 0 = the host is gone. */
static size_t some(struct chardev *port, void *data, size_t len)
{
    for (;;) {
        bool ended = p9_gone(port);
        size_t n = port->ops->read(port, data, len);
        if (n > 0 || ended)
            return n;
        wait_event(&port->wq, port->ops->can_read(port) || p9_gone(port));
    }
}

/* All of it, or -EIO. Short pieces by way of the buffer, so that several replies take one read; long ones straight to where they belong. */
static int receive_bytes(struct stream *s, void *data, u32 len)
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

static int receive_data(struct stream *s, struct p9_req *r, u32 len)
{
    if (r->pages == NULL)
        return receive_bytes(s, r->data, len);
    for (u32 k = 0; len > 0;) {
        u8 *to = page_virt(r->pages[k++]);
        u32 n = PAGE_SIZE;
        for (; n < len && page_virt(r->pages[k]) == to + n; k++) /* pages side by side take one read */
            n += PAGE_SIZE;
        n = MIN(n, len);
        int err = receive_bytes(s, to, n);
        if (err != 0)
            return err;
        len -= n;
    }
    return 0;
}

/* The reply's rest of `size` bytes into r. */
static int receive_reply(struct stream *s, struct p9_req *r, bool is_error, u32 size)
{
    int err = p9_reply_fields(r, is_error, size);
    if (err == 0)
        err = receive_bytes(s, r->in, r->in_len);
    if (err == 0 && r->takes_data && !is_error)
        err = p9_reply_data(r, size);
    return err != 0 || r->data_len == 0 ? err : receive_data(s, r, r->data_len);
}

/* One reply. -EIO = the host is gone, or broke the rules. */
static int receive(struct stream *s)
{
    u8 head[P9_HEADER];
    struct p9_req *r;
    int err = receive_bytes(s, head, sizeof(head));
    if (err == 0)
        err = p9_reply_of(s->conn, head, &r);
    if (err != 0)
        return err;
    u32 size = get_u32(head) - P9_HEADER;
    if (r == NULL)
        return size <= sizeof(head) ? receive_bytes(s, head, size) : -EIO;
    err = receive_reply(s, r, head[4] == P9_RLERROR, size);
    p9_reply_done(s->conn, r, head[4] == P9_RLERROR, err);
    return err;
}

static void reader(void *own)
{
    struct stream *s = own;
    struct p9_conn *c = s->conn;
    while (receive(s) == 0)
        ;
    p9_lost(c);
    p9_conn_put(c);
}

static void stream_done(void *own)
{
    struct stream *s = own;
    kfree(s->send_buf);
    kfree(s->buf);
    kfree(s);
}

static const struct p9_trans_ops stream_ops = {.send = stream_send, .thread = reader, .done = stream_done};

int p9_stream_open(struct p9_trans *t, struct p9_conn *c, struct chardev *port)
{
    struct stream *s = kzalloc(sizeof(*s));
    if (s == NULL)
        return -ENOMEM;
    s->port = port;
    s->conn = c;
    s->send_buf = kmalloc(SEND_BYTES, 0);
    s->buf = kmalloc(BUF_BYTES, 0);
    *t = (struct p9_trans){&stream_ops, s, port, P9_MSIZE, P9_TAGS};
    return s->send_buf == NULL || s->buf == NULL ? -ENOMEM : 0;
}
