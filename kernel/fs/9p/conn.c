/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests and replies of one connection: see p9_impl.h.
 *
 * A request takes a tag, is sent, and waits on its tag's queue. The transport brings its reply to the request whose tag it
 * bears. A reply that breaks a rule ends the connection: every request that waits and every later one gets -EIO. A clunk waits
 * for nobody; its tag is free when its reply comes.
 *
 * Invariants: a tag is free or has one request in flight; a slot with `req` set keeps the maker of that request waiting, so
 * that its memory stays; who takes a slot's type away (atomically) is the one to finish what is in it.
 *
 * Locks: send_lock (sleeping; whole messages; nothing is allocated under it); lock (bottom halves: tags, fids, dead) is a leaf.
 */
#include "kern/thread.h"
#include "p9_impl.h"

struct slot {
    struct p9_req *req; /* NULL = a clunk, or free */
    u8 type;            /* of the request in flight, set when req is (release/acquire); 0 = none */
    struct waitqueue wq;
};

struct p9_conn {
    struct p9_trans trans;
    struct mutex send_lock;
    u32 msize;
    struct spinlock lock;
    u64 free_tags;         /* lock */
    unsigned nfree_tags;   /* lock */
    struct waitqueue tag_wq;
    struct slot slots[P9_TAGS];
    bool dead;             /* lock; read without */
    struct refcount refs;  /* the file system and the transport's thread */
    u32 next_fid;          /* lock */
    u32 *free_fids;        /* lock */
    u32 nfree, free_cap;   /* lock */
};

u32 p9_io_bytes(const struct p9_conn *c) { return c->msize - P9_IO_HEADER; }

/* --- fields ------------------------------------------------------------------------------ */

void p9_start(struct p9_req *r, u8 type)
{
    r->out = r->out_own;
    r->out_cap = P9_OUT_BYTES;
    r->in = r->in_own;
    r->in_cap = P9_IN_BYTES;
    r->send_data = NULL;
    r->send_len = r->data_cap = r->data_len = 0;
    r->takes_data = false;
    r->data = NULL;
    r->pages = NULL;
    r->out[4] = type;
    r->out_len = P9_HEADER;
}

static u8 *grow(struct p9_req *r, u32 n)
{
    ASSERT(n <= r->out_cap - r->out_len);
    u8 *p = r->out + r->out_len;
    r->out_len += n;
    return p;
}

void p9_put8(struct p9_req *r, u8 v) { *grow(r, 1) = v; }
void p9_put16(struct p9_req *r, u16 v) { put_u16(grow(r, 2), v); }
void p9_put32(struct p9_req *r, u32 v) { put_u32(grow(r, 4), v); }
void p9_put64(struct p9_req *r, u64 v) { put_u64(grow(r, 8), v); }
void p9_put_bytes(struct p9_req *r, const char *s, u32 n)
{
    p9_put16(r, (u16)n);
    memcpy(grow(r, n), s, n);
}

static const u8 *take(struct p9_req *r, u32 n)
{
    static const u8 zeros[8];
    if (n > r->in_len - r->in_pos) {
        r->in_bad = true;
        return zeros;
    }
    const u8 *p = r->in + r->in_pos;
    r->in_pos += n;
    return p;
}

u8 p9_get8(struct p9_req *r) { return *take(r, 1); }
u16 p9_get16(struct p9_req *r) { return get_u16(take(r, 2)); }
u32 p9_get32(struct p9_req *r) { return get_u32(take(r, 4)); }
u64 p9_get64(struct p9_req *r) { return get_u64(take(r, 8)); }
int p9_ended(const struct p9_req *r) { return r->in_bad ? -EIO : 0; }

/* --- tags -------------------------------------------------------------------------------- */

static bool try_tags(struct p9_conn *c, unsigned n, u16 *ret)
{
    spin_lock_bh(&c->lock);
    bool enough = c->nfree_tags >= n;
    for (unsigned k = 0; k < n && enough; k++) {
        ret[k] = (u16)__builtin_ctzll(c->free_tags);
        c->free_tags &= c->free_tags - 1;
        c->nfree_tags--;
    }
    spin_unlock_bh(&c->lock);
    return enough;
}

static void free_tag(struct p9_conn *c, u16 tag)
{
    spin_lock_bh(&c->lock);
    c->free_tags |= 1ull << tag;
    c->nfree_tags++;
    spin_unlock_bh(&c->lock);
    wake_waiters(&c->tag_wq, 0);
}

/* --- replies ---------------------------------------------------------------------------- */

static void finish(struct slot *s, struct p9_req *r, int err)
{
    r->err = err;
    atomic_store(&r->done, true); /* from here on r may be gone */
    wake_waiters(&s->wq, 0);
}

int p9_reply_of(struct p9_conn *c, const u8 *head, struct p9_req **ret)
{
    u32 size = get_u32(head);
    u16 tag = get_u16(head + 5);
    if (size < P9_HEADER || size > c->msize || tag >= P9_TAGS)
        return -EIO;
    struct slot *s = &c->slots[tag];
    u8 type = atomic_load(&s->type);
    if (type == 0 || (head[4] != P9_RLERROR && head[4] != type + 1) || !atomic_cas(&s->type, &type, (u8)0))
        return -EIO;
    *ret = s->req;
    s->req = NULL;
    if (*ret == NULL)
        free_tag(c, tag);
    return 0;
}

int p9_reply_fields(struct p9_req *r, bool is_error, u32 size)
{
    u32 fields = r->takes_data && !is_error ? 4 : size;
    if (fields > size || fields > r->in_cap)
        return -EIO;
    r->in_len = fields;
    r->in_pos = 0;
    r->in_bad = false;
    return 0;
}

int p9_reply_data(struct p9_req *r, u32 size)
{
    u32 len = get_u32(r->in);
    if (len != size - r->in_len || len > r->data_cap)
        return -EIO;
    r->data_len = len;
    return 0;
}

void p9_reply_done(struct p9_conn *c, struct p9_req *r, bool is_error, int err)
{
    u32 code = is_error && err == 0 ? p9_get32(r) : 0;
    if (is_error && err == 0)
        err = code > 0 && code < 512 ? -(int)code : -EIO;
    finish(&c->slots[r->tag], r, err);
}

void p9_lost(struct p9_conn *c)
{
    spin_lock_bh(&c->lock);
    c->dead = true;
    spin_unlock_bh(&c->lock);
    mutex_lock(&c->send_lock); /* who sends at this moment has its slots filled in */
    for (unsigned k = 0; k < P9_TAGS; k++) {
        struct slot *s = &c->slots[k];
        if (atomic_xchg(&s->type, (u8)0) != 0 && s->req != NULL)
            finish(s, s->req, -EIO);
    }
    mutex_unlock(&c->send_lock);
    wq_wake_all(&c->tag_wq, 0);
}

void p9_conn_put(struct p9_conn *c)
{
    if (!ref_put(&c->refs))
        return;
    if (c->trans.ops != NULL)
        c->trans.ops->done(c->trans.own);
    kfree(c->free_fids);
    kfree(c);
}

/* --- sending ---------------------------------------------------------------------------------- */

/* Under send_lock. A failure to send ends the connection by way of the transport's thread. */
static void send_locked(struct p9_conn *c, struct p9_req *const *reqs, unsigned n, bool waits)
{
    bool dead = atomic_load(&c->dead);
    for (unsigned k = 0; k < n; k++) {
        struct p9_req *r = reqs[k];
        struct slot *s = &c->slots[r->tag];
        put_u32(r->out, r->out_len + r->send_len);
        put_u16(r->out + 5, r->tag);
        if (dead) {
            finish(s, r, -EIO);
        } else {
            s->req = waits ? r : NULL;
            atomic_store(&s->type, r->out[4]);
        }
    }
    if (!dead)
        c->trans.ops->send(c->trans.own, reqs, n);
}

int p9_call(struct p9_conn *c, struct p9_req *const *reqs, unsigned n)
{
    u16 tags[8];
    int ret = 0;
    ASSERT(n <= ARRAY_SIZE(tags));
    wait_event(&c->tag_wq, atomic_load(&c->dead) || try_tags(c, n, tags));
    if (atomic_load(&c->dead)) { /* tags do not matter any more */
        for (unsigned k = 0; k < n; k++)
            reqs[k]->err = -EIO;
        return -EIO;
    }
    for (unsigned k = 0; k < n; k++) {
        reqs[k]->tag = tags[k];
        reqs[k]->done = false;
    }
    mutex_lock(&c->send_lock);
    send_locked(c, reqs, n, true);
    mutex_unlock(&c->send_lock);
    for (unsigned k = 0; k < n; k++) {
        struct p9_req *r = reqs[k];
        wait_event(&c->slots[r->tag].wq, atomic_load(&r->done));
        free_tag(c, r->tag);
        if (ret == 0)
            ret = r->err;
    }
    return ret;
}

/* --- fids ------------------------------------------------------------------------------------- */

u32 p9_fid_new(struct p9_conn *c)
{
    spin_lock_bh(&c->lock);
    u32 fid = c->nfree > 0 ? c->free_fids[--c->nfree] : c->next_fid++;
    spin_unlock_bh(&c->lock);
    return fid;
}

void p9_fid_free(struct p9_conn *c, u32 fid)
{
    spin_lock_bh(&c->lock);
    if (c->nfree == c->free_cap) {
        u32 cap = c->free_cap != 0 ? c->free_cap * 2 : 64;
        u32 *list = kmalloc(cap * sizeof(*list), ALLOC_ATOMIC);
        if (list != NULL) {
            if (c->nfree > 0)
                memcpy(list, c->free_fids, c->nfree * sizeof(*list));
            kfree(c->free_fids);
            c->free_fids = list;
            c->free_cap = cap;
        }
    }
    if (c->nfree < c->free_cap) /* else the number is not used again */
        c->free_fids[c->nfree++] = fid;
    spin_unlock_bh(&c->lock);
}

void p9_clunk(struct p9_conn *c, u32 fid)
{
    struct p9_req r, *one = &r;
    wait_event(&c->tag_wq, atomic_load(&c->dead) || try_tags(c, 1, &r.tag));
    if (!atomic_load(&c->dead)) {
        p9_start(&r, P9_TCLUNK);
        p9_put32(&r, fid);
        mutex_lock(&c->send_lock);
        send_locked(c, &one, 1, false);
        mutex_unlock(&c->send_lock);
    }
    p9_fid_free(c, fid); /* requests are served in order, so it is free before it is used again */
}

void p9_fid_end(struct p9_conn *c, u32 fid, int walk_err)
{
    if (walk_err == 0)
        p9_clunk(c, fid);
    else
        p9_fid_free(c, fid);
}

/* --- beginning and end --------------------------------------------------------------------------- */

static int negotiate(struct p9_conn *c)
{
    struct p9_req r;
    p9_start(&r, P9_TVERSION);
    p9_put32(&r, c->trans.msize);
    p9_put_bytes(&r, P9_DIALECT, sizeof(P9_DIALECT) - 1);
    int err = p9_call_one(c, &r);
    if (err != 0)
        return err;
    u32 msize = p9_get32(&r);
    u16 len = p9_get16(&r);
    if (p9_ended(&r) != 0 || msize < P9_MIN_MSIZE || msize > c->trans.msize || len != sizeof(P9_DIALECT) - 1 ||
        len > r.in_len - r.in_pos || memcmp(r.in + r.in_pos, P9_DIALECT, len) != 0)
        return -EPROTONOSUPPORT;
    c->msize = msize;
    return 0;
}

static struct p9_conn *make_conn(void)
{
    struct p9_conn *c = kzalloc(sizeof(*c));
    if (c == NULL)
        return NULL;
    ref_init(&c->refs);
    c->msize = P9_MIN_MSIZE;
    mutex_init(&c->send_lock, "p9_send");
    spin_init(&c->lock, "p9");
    wq_init(&c->tag_wq, "p9_tag");
    for (unsigned k = 0; k < P9_TAGS; k++)
        wq_init(&c->slots[k].wq, "p9_reply");
    return c;
}

int p9_connect(struct chardev *port, struct p9_conn **ret)
{
    struct msgdev *dev = msgdev_find(port->name);
    struct p9_conn *c = make_conn();
    struct thread *t;
    if (c == NULL)
        return -ENOMEM;
    int err = dev != NULL ? p9_queue_open(&c->trans, c, dev, port) : p9_stream_open(&c->trans, c, port);
    if (err == 0)
        err = thread_create("9p", c->trans.ops->thread, c->trans.own, false, &t);
    if (err != 0) {
        p9_conn_put(c);
        return err;
    }
    c->free_tags = ~0ull >> (P9_TAGS - c->trans.tags);
    c->nfree_tags = c->trans.tags;
    ref_get(&c->refs);
    thread_start(t);
    thread_put(t);
    err = negotiate(c);
    if (err != 0)
        p9_disconnect(c);
    else
        *ret = c;
    return err;
}

/* The port's end of the conversation; so the thread ends, too. */
void p9_disconnect(struct p9_conn *c)
{
    chardev_set_eof(c->trans.port, 0);
    p9_conn_put(c);
}
