/* SPDX-License-Identifier: Apache-2.0 */
/*
 * 9P by a message device: see p9_impl.h. A message and the room for its reply are posted together, data where it lies and where it is to
 * be; what the maker of a request has on its stack goes through a buffer of its tag's. Replies come in the device's bottom half.
 *
 * The port carries nothing; it hangs up when the server ends, of which a device with work in hand would never tell.
 */
#include "p9_impl.h"

#define IN_BYTES (P9_HEADER + P9_IN_BYTES)
#define TAG_BYTES (P9_OUT_BYTES + ALIGN_UP(IN_BYTES, 8))
_Static_assert(P9_MSG_PAGES + 4 <= MSG_SEGS, "pages, and few other pieces");

struct queue {
    struct msgdev *dev;
    struct p9_conn *conn;
    struct chardev *port;
    u8 *bufs;    /* TAG_BYTES for each tag: what goes out, what comes in */
    bool broken; /* by the device, or a reply */
};

static u8 *out_buf(const struct queue *q, u16 tag) { return q->bufs + tag * TAG_BYTES; }
static u8 *in_buf(const struct queue *q, u16 tag) { return out_buf(q, tag) + P9_OUT_BYTES; }

/* --- sending ----------------------------------------------------------------------------- */

struct segs {
    struct msg_seg s[MSG_SEGS];
    unsigned n;
};

static void add(struct segs *all, unsigned first, void *data, u32 len)
{
    struct msg_seg *last = all->n > first ? &all->s[all->n - 1] : NULL;
    if (last != NULL && (u8 *)last->data + last->len == data) {
        last->len += len;
        return;
    }
    ASSERT(all->n < MSG_SEGS);
    all->s[all->n++] = (struct msg_seg){data, len};
}

static void add_out(struct queue *q, struct segs *all, struct p9_req *r)
{
    u8 *out = r->out;
    if (out == r->out_own) {
        out = out_buf(q, r->tag);
        memcpy(out, r->out, r->out_len);
    }
    add(all, 0, out, r->out_len);
    if (r->send_len > 0)
        add(all, 0, (void *)r->send_data, r->send_len);
}

static void add_in(struct queue *q, struct segs *all, struct p9_req *r)
{
    unsigned first = all->n;
    u8 *in = in_buf(q, r->tag);
    add(all, first, in, P9_HEADER);
    add(all, first, r->in == r->in_own ? in + P9_HEADER : r->in, r->takes_data ? 4 : r->in_cap);
    if (r->data_cap > 0 && r->pages == NULL)
        add(all, first, r->data, r->data_cap);
    for (u32 at = 0; r->pages != NULL && at < r->data_cap; at += PAGE_SIZE)
        add(all, first, page_virt(r->pages[at >> PAGE_SHIFT]), MIN(PAGE_SIZE, r->data_cap - at));
}

static void break_off(struct queue *q)
{
    atomic_store(&q->broken, true);
    wq_wake_all(&q->port->wq, 0);
}

static void queue_send(void *own, struct p9_req *const *reqs, unsigned n)
{
    struct queue *q = own;
    int err = 0;
    for (unsigned k = 0; k < n && err == 0; k++) {
        struct segs all = {.n = 0};
        add_out(q, &all, reqs[k]);
        unsigned nout = all.n;
        add_in(q, &all, reqs[k]);
        err = q->dev->ops->post(q->dev, all.s, nout, all.n - nout, out_buf(q, reqs[k]->tag));
    }
    q->dev->ops->kick(q->dev);
    if (err != 0)
        break_off(q);
}

/* --- replies ----------------------------------------------------------------------------- */

/* The reply's rest of `size` bytes, of which fields may still be in the tag's buffer. */
static int take_reply(struct p9_req *r, const u8 *in, bool is_error, u32 size)
{
    int err = p9_reply_fields(r, is_error, size);
    if (err != 0)
        return err;
    if (r->in == r->in_own)
        memcpy(r->in, in + P9_HEADER, r->in_len);
    return r->takes_data && !is_error ? p9_reply_data(r, size) : 0;
}

static int take(struct queue *q, void *cookie, u32 len)
{
    u8 head[P9_HEADER];
    struct p9_req *r;
    u32 at = (u32)((u8 *)cookie - q->bufs);
    u8 *in = in_buf(q, (u16)(at / TAG_BYTES));
    memcpy(head, in, sizeof(head)); /* it may change */
    if (len < P9_HEADER || get_u32(head) != len || get_u16(head + 5) != at / TAG_BYTES)
        return -EIO;
    int err = p9_reply_of(q->conn, head, &r);
    if (err != 0 || r == NULL)
        return err;
    err = take_reply(r, in, head[4] == P9_RLERROR, len - P9_HEADER);
    p9_reply_done(q->conn, r, head[4] == P9_RLERROR, err);
    return err;
}

static void replied(struct msgdev *d, void *cookie, u32 len)
{
    if (cookie == NULL || take(d->user, cookie, len) != 0)
        break_off(d->user);
}

/* --- beginning and end --------------------------------------------------------------------- */

static void watch(void *own)
{
    struct queue *q = own;
    struct p9_conn *c = q->conn;
    wait_event(&q->port->wq, atomic_load(&q->broken) || p9_gone(q->port));
    q->dev->ops->close(q->dev);
    p9_lost(c);
    p9_conn_put(c);
}

static void queue_done(void *own)
{
    struct queue *q = own;
    q->dev->ops->close(q->dev);
    kfree(q->bufs);
    kfree(q);
}

static const struct p9_trans_ops queue_ops = {.send = queue_send, .thread = watch, .done = queue_done};

int p9_queue_open(struct p9_trans *t, struct p9_conn *c, struct msgdev *dev, struct chardev *port)
{
    struct queue *q = kzalloc(sizeof(*q));
    if (q == NULL)
        return -ENOMEM;
    q->dev = dev;
    q->conn = c;
    q->port = port;
    dev->user = q;
    dev->replied = replied;
    *t = (struct p9_trans){&queue_ops, q, port, P9_MSIZE, 0};
    int err = dev->ops->open(dev, &t->tags);
    if (err != 0)
        return err;
    t->tags = MIN(t->tags, P9_TAGS);
    q->bufs = kmalloc(t->tags * TAG_BYTES, 0);
    return q->bufs == NULL ? -ENOMEM : 0;
}
