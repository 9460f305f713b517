/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Packet sockets (packet(7)): frames as the cards carry them, both ways, with and without their link header, through a filter, into
 * a queue or into a ring that the program maps. A frame passes here only while there is such a socket (packet_taps).
 *
 * Cards pass everything up that they hear, so PACKET_MR_PROMISC decides only whether frames for other stations are shown.
 */
#include "kern/uaccess.h"
#include "packet_impl.h"

#define SOL_PACKET 263
#define CAP_NET_RAW 13
#define ETH_P_ALL 3
#define ETH_P_802_3_MIN 1536

enum { TO_HOST, TO_ALL, TO_GROUP, TO_OTHER, OUTGOING };
enum {
    PACKET_ADD_MEMBERSHIP = 1, PACKET_DROP_MEMBERSHIP, PACKET_RX_RING = 5, PACKET_STATISTICS, PACKET_AUXDATA = 8, PACKET_VERSION = 10, PACKET_HDRLEN,
    PACKET_RESERVE, PACKET_TX_RING, PACKET_LOSS, PACKET_FANOUT = 18, PACKET_TX_HAS_OFF, PACKET_FANOUT_DATA = 22, PACKET_IGNORE_OUTGOING = 23
};
enum { MR_MULTICAST, MR_PROMISC, MR_ALLMULTI };

struct packet_sock {
    struct sock s;
    struct list node;            /* packet_lock */
    u16 protocol;                /* packet_lock: ETH_P_*, 0 = nothing yet */
    u32 ifindex;                 /* packet_lock: 0 = all */
    u32 promisc;                 /* packet_lock: memberships, of any card */
    struct packet_member member; /* packet_lock: of a fanout group */
    bool not_outgoing;           /* packet_lock */
    bool auxdata;                /* s.lock, read without */
    struct packet_ring *ring;    /* s.lock */
    struct packet_ring *tx;      /* changed under s.wr and s.lock */
    bool loss, tx_has_off;       /* s.lock: of tx, and unchanged while there is one */
    bool mapped;                 /* s.lock: the program has the rings; they stay until the end */
    u32 version, reserve;        /* s.lock */
    u32 seen, lost;              /* s.lock: since they were asked for */
};

u32 packet_taps;
static struct spinlock packet_lock = SPINLOCK_INIT("net_packet");
static struct list socks = LIST_INIT(socks); /* packet_lock */
static u64 frames;                           /* packet_lock: how many came by */

/* What a queued frame's cb has. */
struct queued {
    struct sockaddr_ll_ from;
    u32 status, len; /* of PACKET_AUXDATA: the frame's bytes, of which some may be kept */
    u16 net;         /* where its network header begins */
};
_Static_assert(sizeof(struct queued) <= sizeof(((struct pkt *)0)->cb), "fits");

static struct packet_sock *pk(struct sock *s) { return container_of(s, struct packet_sock, s); }

/* --- in ------------------------------------------------------------------------------------ */

u32 frame_copy(const struct frame_view *f, u32 off, void *dst, u32 n)
{
    u32 done = off < f->nfront ? MIN(n, f->nfront - off) : 0;
    if (done > 0)
        memcpy(dst, f->front + off, done);
    return done == n ? n : done + pkt_copy_out(f->p, off + done - f->nfront, (u8 *)dst + done, n - done);
}

/* --- filters ------------------------------------------------------------------------------- */

struct frame_data {
    struct cbpf_data d;
    const struct frame_view *f;
};

static u32 known_of(const struct frame_view *f, u32 what)
{
    switch (what) {
    case CBPF_AD_PROTOCOL:
        return be16(f->from.protocol);
    case CBPF_AD_PKTTYPE:
        return f->from.pkttype;
    case CBPF_AD_IFINDEX:
        return (u32)f->from.ifindex;
    case CBPF_AD_HATYPE:
        return f->from.hatype;
    default: /* tags stay in the frame */
        return 0;
    }
}

static bool load(const struct cbpf_data *d, u32 off, u32 size, u32 *ret)
{
    const struct frame_view *f = container_of(d, const struct frame_data, d)->f;
    u8 b[4];
    u32 at = f->skip + off;
    if (off >= CBPF_AD_OFF) {
        *ret = known_of(f, off - CBPF_AD_OFF);
        return true;
    }
    if (off >= CBPF_NET_OFF)
        at = f->maclen + (off - CBPF_NET_OFF);
    else if (off >= CBPF_LL_OFF)
        at = off - CBPF_LL_OFF;
    else if (at < off)
        return false;
    if (frame_copy(f, at, b, size) != size)
        return false;
    *ret = size == 4 ? get_be32(b) : size == 2 ? get_be16(b) : b[0];
    return true;
}

u32 frame_filter(const struct cbpf_program *b, const struct frame_view *f)
{
    const struct frame_data d = { { f->len - f->skip, load }, f };
    return cbpf_run(b, &d.d);
}

static bool queue_copy(struct packet_sock *k, const struct frame_view *f, u32 keep)
{
    struct pkt *q = pkt_alloc(0, keep);
    if (q == NULL)
        return false;
    frame_copy(f, f->skip, pkt_put(q, keep), keep);
    const struct queued c = { f->from, STATUS_USER | frame_csum_status(f), f->len - f->skip, (u16)(f->maclen - f->skip) };
    memcpy(q->cb, &c, sizeof c);
    q->time_ns = wall_ns();
    return dgram_queue(&k->s, q);
}

static void count(struct packet_sock *k, bool lost)
{
    sock_lock(&k->s);
    k->seen++;
    k->lost += lost;
    spin_unlock_bh(&k->s.lock);
}

/* False: there is no room for it. */
static bool deliver(struct packet_sock *k, struct frame_view *f)
{
    bool cooked = k->s.type == SOCK_DGRAM;
    f->skip = cooked ? f->maclen : 0;
    struct cbpf_program *filter = sock_filter_get(&k->s);
    u32 keep = MIN(filter != NULL ? frame_filter(filter, f) : UINT32_MAX, f->len - f->skip);
    cbpf_put(filter);
    if (keep == 0)
        return true;
    sock_lock(&k->s);
    bool wake = false, ring = k->ring != NULL, ok = ring && !k->s.closed && packet_ring_put(k->ring, f, keep, cooked, &wake);
    k->seen += ok;
    spin_unlock_bh(&k->s.lock);
    if (wake)
        sock_wake(&k->s, WAKE_IN);
    if (!ring && (ok = queue_copy(k, f, keep)))
        count(k, false);
    return ok;
}

/* To k, or whoever takes its place; takes the reference. */
static void give(struct packet_sock *k, struct frame_view *f)
{
    for (u32 tried = 0; !deliver(k, f);) {
        spin_lock_bh(&packet_lock);
        struct packet_member *m = fanout_next(&k->member, &tried);
        struct packet_sock *next = m != NULL ? container_of(m, struct packet_sock, member) : NULL;
        if (next != NULL)
            sock_get(&next->s);
        spin_unlock_bh(&packet_lock);
        if (next == NULL) {
            count(k, true);
            break;
        }
        sock_put(&k->s);
        k = next;
    }
    sock_put(&k->s);
}

static bool wants(const struct packet_sock *k, struct frame_view *f, u64 number)
{
    const bool out = f->from.pkttype == OUTGOING;
    if (k->protocol == 0 || (k->protocol != ETH_P_ALL && (k->protocol != be16(f->from.protocol) || out)) || (out && k->not_outgoing) ||
        (k->ifindex != 0 && k->ifindex != (u32)f->from.ifindex) || (f->from.pkttype == TO_OTHER && k->promisc == 0))
        return false;
    return fanout_mine(&k->member, f, number, out);
}

static void pass(struct frame_view *f)
{
    struct socks_found found = { .seen = 0 };
    u64 number = 0;
    do {
        found.at = found.n = 0;
        spin_lock_bh(&packet_lock);
        if (number == 0)
            number = ++frames;
        list_for_each(k, &socks, struct packet_sock, node)
            if (wants(k, f, number))
                sock_found(&found, &k->s);
        spin_unlock_bh(&packet_lock);
        for (unsigned i = 0; i < found.n; i++)
            give(pk(found.s[i]), f);
    } while (found.n == SOCKS_FOUND);
}

u32 frame_csum_status(const struct frame_view *f)
{
    return f->p->csum == PKT_CSUM_PARTIAL ? STATUS_CSUMNOTREADY : f->p->csum == PKT_CSUM_VALID ? STATUS_CSUM_VALID : 0;
}

u32 frame_hash(const struct frame_view *f)
{
    u8 b[IP6_HLEN + 4] = { 0 };
    u64 ends[2] = { 0, 0 }; /* of each end what it adds, so that both ways are one */
    u32 at = f->maclen, hlen, n = frame_copy(f, at, b, sizeof b);
    bool v4 = f->from.protocol == be16(ETH_IP) && n >= IP_HLEN, v6 = f->from.protocol == be16(ETH_IPV6) && n >= IP6_HLEN;
    u8 proto = v4 ? b[9] : b[6];
    if (!v4 && !v6)
        return 0;
    hlen = v4 ? (b[0] & 15) * 4u : IP6_HLEN;
    for (unsigned i = 0; i < 2; i++)
        ends[i] = v4 ? get_u32(b + 12 + 4 * i) : get_u64(b + 8 + 16 * i) * 31 + get_u64(b + 16 + 16 * i);
    bool whole = v6 || (get_be16(b + 6) & (IP_MF | IP_OFFMASK)) == 0;
    if (whole && (proto == IPPROTO_TCP || proto == IPPROTO_UDP) && frame_copy(f, at + hlen, b, 4) == 4)
        for (unsigned i = 0; i < 2; i++)
            ends[i] ^= (u64)get_u16(b + 2 * i) << 40;
    return net_hash(ends[0] + ends[1], (ends[0] ^ ends[1]) ^ proto);
}

static u8 type_of(const struct netdev *d, const u8 dst[6])
{
    return memcmp(dst, ether_broadcast, 6) == 0 ? TO_ALL : dst[0] & 1 ? TO_GROUP : memcmp(dst, d->mac, 6) == 0 ? TO_HOST : TO_OTHER;
}

void packet_tap(struct netif *nif, const struct pkt *p, bool out)
{
    static const u8 lo_header[2][ETH_HLEN] = { { [12] = 0x08 }, { [12] = 0x86, [13] = 0xdd } };
    struct frame_view f = { .p = p, .len = p->total_len, .maclen = ETH_HLEN };
    u8 h[ETH_HLEN];
    if (nif->loopback) { /* there is none between the two ends */
        f.front = lo_header[p->data[0] >> 4 == 6];
        f.nfront = ETH_HLEN;
        f.len += ETH_HLEN;
    }
    if (frame_copy(&f, 0, h, sizeof h) != sizeof h)
        return;
    f.from = (struct sockaddr_ll_){ .family = AF_PACKET, .protocol = get_u16(h + 12), .ifindex = (s32)nif->dev->index,
                                    .hatype = netif_hw_type(nif), .halen = 6 };
    if (get_be16(h + 12) < ETH_P_802_3_MIN)
        f.from.protocol = be16(4); /* ETH_P_802_2: a length stands there */
    memcpy(f.from.addr, h + 6, 6);
    f.from.pkttype = out ? OUTGOING : nif->loopback ? TO_HOST : type_of(nif->dev, h);
    pass(&f);
}

/* --- calls ------------------------------------------------------------------------------------ */

/* Opens the card: a program that listens wants to hear. */
static int bind_to(struct packet_sock *k, u32 ifindex, u16 protocol)
{
    net_need(ip_v4(0));
    if (ifindex != 0 && netif_by_index(ifindex) == NULL)
        return -ENODEV;
    spin_lock_bh(&packet_lock);
    int err = k->member.group != NULL ? -EINVAL : 0;
    if (err == 0)
        k->ifindex = ifindex;
    if (err == 0 && protocol != 0)
        k->protocol = protocol;
    spin_unlock_bh(&packet_lock);
    return err;
}

static int join_fanout(struct packet_sock *k, const void *val, u32 len)
{
    if (len != 4 && len != 8)
        return -EINVAL;
    if (len == 8 && get_u32((const u8 *)val + 4) > 256) /* the most members that are wanted */
        return -EINVAL;
    struct packet_fanout *fresh = fanout_create();
    if (fresh == NULL)
        return -ENOMEM;
    spin_lock_bh(&packet_lock);
    int err = k->member.group != NULL ? -EALREADY : k->protocol == 0 ? -EINVAL : fanout_join(&k->member, get_u32(val), k->protocol, k->ifindex, fresh);
    bool used = fanout_used(fresh);
    spin_unlock_bh(&packet_lock);
    if (!used)
        fanout_destroy(fresh);
    return err;
}

static int fanout_data(struct packet_sock *k, const void *val, u32 len)
{
    struct cbpf_program *b, *old;
    u64 at;
    spin_lock_bh(&packet_lock);
    bool in_group = k->member.group != NULL;
    spin_unlock_bh(&packet_lock);
    if (!in_group || len != 16) /* struct sock_fprog */
        return -EINVAL;
    if (sock_filter_locked(&k->s))
        return -EPERM;
    memcpy(&at, (const u8 *)val + 8, sizeof at);
    int err = cbpf_create(at, get_u16(val), NULL, &b);
    if (err != 0)
        return err;
    spin_lock_bh(&packet_lock);
    err = fanout_program(&k->member, b, &old);
    spin_unlock_bh(&packet_lock);
    cbpf_put(err != 0 ? b : old);
    return err;
}

static int packet_bind(struct sock *s, const struct sock_addr *a)
{
    const struct sockaddr_ll_ *ll = (const void *)a->data;
    if (a->len < sizeof *ll || a->family != AF_PACKET)
        return -EINVAL;
    return bind_to(pk(s), (u32)ll->ifindex, be16(ll->protocol));
}

/* A frame of the program's goes out; takes p, which begins at the link header. */
static int send_frame(struct netif *nif, struct pkt *p)
{
    int err;
    bh_disable();
    if (nif->loopback) {
        u16 type = get_be16(p->data + 12);
        pkt_pull(p, ETH_HLEN);
        p->l3_off = (u16)pkt_headroom(p);
        if (p->len >= IP_HLEN && ((type == ETH_IP && p->data[0] >> 4 == 4) || (type == ETH_IPV6 && p->data[0] >> 4 == 6))) {
            err = lo_output(p);
        } else {
            pkt_free(p);
            err = 0;
        }
    } else {
        err = ether_transmit(nif, p);
    }
    net_kick();
    bh_enable();
    return err;
}

/* Where a message goes, and as what. */
static int way_of(struct sock *s, const struct sock_msg *m, struct packet_way *w)
{
    struct packet_sock *k = pk(s);
    *w = (struct packet_way){ .to = { .ifindex = (s32)k->ifindex, .protocol = be16(k->protocol) }, .cooked = s->type == SOCK_DGRAM };
    if (m->to != NULL && m->to->len != 0) {
        if (m->to->len < sizeof w->to || m->to->family != AF_PACKET)
            return -EINVAL;
        memcpy(&w->to, m->to->data, sizeof w->to);
        w->named = true;
    }
    net_need(ip_v4(0));
    w->nif = netif_by_index((unsigned)w->to.ifindex);
    if (w->nif == NULL)
        return -ENXIO;
    return filter_on & FILTER_OUT && !w->nif->loopback ? -EPERM : 0; /* the egress policy does not know frames */
}

int packet_send_frame(const struct packet_way *w, struct pkt *p)
{
    if (w->cooked) {
        struct eth_hdr *e = (void *)pkt_push(p, ETH_HLEN);
        memcpy(e->dst, w->to.addr, 6);
        memcpy(e->src, w->nif->dev->mac, 6);
        e->type = w->to.protocol;
    }
    return send_frame(w->nif, p);
}

static s64 send_ring(struct packet_sock *k, const struct packet_way *w)
{
    mutex_lock(&k->s.wr); /* the ring stays */
    s64 r = k->tx == NULL ? -EBUSY : packet_ring_send(k->tx, w, k->loss, k->tx_has_off);
    mutex_unlock(&k->s.wr);
    return r;
}

static s64 packet_send(struct sock *s, struct sock_msg *m)
{
    struct packet_sock *k = pk(s);
    struct packet_way w;
    bool ring = atomic_load(&k->tx) != NULL;
    int err = way_of(s, m, &w);
    if (err == 0 && ring)
        return send_ring(k, &w);
    if (w.cooked && !w.named && err != -EINVAL)
        return -EDESTADDRREQ;
    if (err != 0)
        return err;
    u64 want = m->uio->remaining;
    u32 most = w.nif->dev->mtu + (w.cooked ? 0 : ETH_HLEN + 4);
    if (want > most)
        return -EMSGSIZE;
    if (!w.cooked && want < ETH_HLEN)
        return -EINVAL;
    struct pkt *p = pkt_alloc(NET_HEADROOM, (u32)want);
    if (p == NULL)
        return -ENOBUFS;
    if (uio_copy_in(m->uio, pkt_put(p, (u32)want), (u32)want) != (s64)want) {
        pkt_free(p);
        return -EFAULT;
    }
    err = packet_send_frame(&w, p);
    return err != 0 ? err : (s64)want;
}

static void packet_from(struct sock *s, const struct pkt *p, struct sock_addr *ret)
{
    ret->len = sizeof(struct sockaddr_ll_);
    memcpy(ret->data, p->cb, ret->len);
}

static void packet_cmsgs(struct sock *s, const struct pkt *p, struct sock_msg *m, u32 *used)
{
    struct { /* struct tpacket_auxdata */
        u32 status, len, snaplen;
        u16 mac, net, vlan_tci, vlan_tpid;
    } aux = { 0 };
    struct queued q;
    if (!pk(s)->auxdata)
        return;
    memcpy(&q, p->cb, sizeof q);
    aux.status = q.status;
    aux.len = q.len;
    aux.snaplen = p->total_len;
    aux.net = q.net;
    sock_put_cmsg(m, used, SOL_PACKET, PACKET_AUXDATA, &aux, sizeof aux);
}

static s64 packet_recv(struct sock *s, struct sock_msg *m) { return dgram_recv(s, m, packet_from); }

static u32 packet_poll(struct sock *s)
{
    u32 ev = dgram_poll(s);
    sock_lock(s);
    if (pk(s)->ring != NULL && packet_ring_readable(pk(s)->ring))
        ev |= POLLIN | POLLRDNORM;
    spin_unlock_bh(&s->lock);
    return ev;
}

static int membership(struct packet_sock *k, bool add, const void *val, u32 len)
{
    if (len < 16)
        return -EINVAL;
    if (netif_by_index(get_u32(val)) == NULL)
        return -ENODEV;
    u16 type = get_u16((const u8 *)val + 4);
    if (type == MR_MULTICAST || type == MR_ALLMULTI)
        return 0; /* groups are heard as they are */
    if (type != MR_PROMISC)
        return -EINVAL;
    spin_lock_bh(&packet_lock);
    bool was = k->promisc > 0;
    if (add || was)
        k->promisc += add ? 1 : UINT32_MAX;
    spin_unlock_bh(&packet_lock);
    return add || was ? 0 : -EADDRNOTAVAIL;
}

static int set_ring(struct packet_sock *k, bool tx, const void *val, u32 len)
{
    struct packet_ring_request q = { .block_size = 0 };
    struct packet_ring *r = NULL, *old;
    u32 size = k->version == TPACKET_V3 ? sizeof q : offsetof(struct packet_ring_request, timeout_ms);
    if (len < size)
        return -EINVAL;
    memcpy(&q, val, size);
    if (q.block_nr == 0 && q.frame_nr != 0)
        return -EINVAL;
    int err = q.block_nr != 0 ? packet_ring_create(tx ? NULL : &k->s, &q, k->version, k->reserve, &r) : 0;
    if (err != 0)
        return err;
    struct packet_ring **at = tx ? &k->tx : &k->ring;
    mutex_lock(&k->s.wr);
    sock_lock(&k->s);
    err = k->mapped || (*at != NULL && r != NULL) ? -EBUSY : 0;
    old = err != 0 ? r : *at;
    if (err == 0)
        atomic_store(at, r);
    spin_unlock_bh(&k->s.lock);
    mutex_unlock(&k->s.wr);
    packet_ring_stop(old);
    packet_ring_destroy(old);
    return err;
}

static bool has_ring(const struct packet_sock *k) { return k->ring != NULL || k->tx != NULL; }

static int packet_setopt(struct sock *s, int level, int name, const void *val, u32 len)
{
    struct packet_sock *k = pk(s);
    s32 v = 0;
    if (level != SOL_PACKET)
        return -ENOPROTOOPT;
    if (name == PACKET_ADD_MEMBERSHIP || name == PACKET_DROP_MEMBERSHIP)
        return membership(k, name == PACKET_ADD_MEMBERSHIP, val, len);
    if (name == PACKET_RX_RING || name == PACKET_TX_RING)
        return set_ring(k, name == PACKET_TX_RING, val, len);
    if (name == PACKET_FANOUT)
        return join_fanout(k, val, len);
    if (name == PACKET_FANOUT_DATA)
        return fanout_data(k, val, len);
    int err = opt_int_in(val, len, &v);
    if (err != 0)
        return err;
    switch (name) {
    case PACKET_AUXDATA:
        k->auxdata = v != 0;
        return 0;
    case PACKET_IGNORE_OUTGOING:
        if (v < 0 || v > 1)
            return -EINVAL;
        k->not_outgoing = v != 0;
        return 0;
    case PACKET_LOSS:
        if (has_ring(k))
            return -EBUSY;
        k->loss = v != 0;
        return 0;
    case PACKET_TX_HAS_OFF: /* too late with a ring; Linux does not say so */
        if (!has_ring(k))
            k->tx_has_off = v != 0;
        return 0;
    case PACKET_VERSION:
    case PACKET_RESERVE:
        if (has_ring(k))
            return -EBUSY;
        if (name == PACKET_VERSION ? packet_ring_header_len((u32)v) == 0 : v < 0 || v > 65536)
            return -EINVAL;
        *(name == PACKET_VERSION ? &k->version : &k->reserve) = (u32)v;
        return 0;
    default:
        return -ENOPROTOOPT;
    }
}

static int packet_getopt(struct sock *s, int level, int name, void *ret_val, u32 *len)
{
    struct packet_sock *k = pk(s);
    if (level != SOL_PACKET)
        return -ENOPROTOOPT;
    switch (name) {
    case PACKET_STATISTICS: {
        sock_lock(s);
        u32 v[3] = { k->seen, k->lost, k->ring != NULL ? packet_ring_told(k->ring) : 0 };
        k->seen = k->lost = 0;
        spin_unlock_bh(&s->lock);
        return opt_out(ret_val, len, v, k->version == TPACKET_V3 ? 12 : 8);
    }
    case PACKET_AUXDATA:
        return opt_int_out(ret_val, len, k->auxdata);
    case PACKET_IGNORE_OUTGOING:
        return opt_int_out(ret_val, len, k->not_outgoing);
    case PACKET_LOSS:
        return opt_int_out(ret_val, len, k->loss);
    case PACKET_TX_HAS_OFF:
        return opt_int_out(ret_val, len, k->tx_has_off);
    case PACKET_FANOUT: {
        spin_lock_bh(&packet_lock);
        u32 word = fanout_word(&k->member);
        spin_unlock_bh(&packet_lock);
        return opt_int_out(ret_val, len, (s32)word);
    }
    case PACKET_VERSION:
        return opt_int_out(ret_val, len, (s32)k->version);
    case PACKET_RESERVE:
        return opt_int_out(ret_val, len, (s32)k->reserve);
    case PACKET_HDRLEN: { /* asked of a version */
        u32 n = *len >= 4 ? packet_ring_header_len(get_u32(ret_val)) : 0;
        return n == 0 ? -EINVAL : opt_int_out(ret_val, len, (s32)n);
    }
    default:
        return -ENOPROTOOPT;
    }
}

static int packet_getname(struct sock *s, bool peer, struct sock_addr *ret)
{
    struct packet_sock *k = pk(s);
    struct netif *nif = netif_by_index(k->ifindex);
    if (peer)
        return -EOPNOTSUPP;
    struct sockaddr_ll_ ll = { .family = AF_PACKET, .protocol = be16(k->protocol), .ifindex = (s32)k->ifindex,
                               .hatype = nif == NULL ? 0 : netif_hw_type(nif), .halen = nif == NULL ? 0 : 6 };
    if (nif != NULL)
        memcpy(ll.addr, nif->dev->mac, 6);
    memcpy(ret->data, &ll, sizeof ll);
    ret->len = 12u + ll.halen;
    return 0;
}

static u64 ring_bytes(const struct packet_ring *r) { return r == NULL ? 0 : packet_ring_bytes(r); }

/* One behind the other, as Linux has them. */
static int packet_map(struct sock *s, u64 len_bytes)
{
    struct packet_sock *k = pk(s);
    sock_lock(s);
    bool ok = has_ring(k) && ring_bytes(k->ring) + ring_bytes(k->tx) == len_bytes;
    k->mapped |= ok;
    sock_unlock(s);
    return ok ? 0 : -EINVAL;
}

static int packet_map_page(struct sock *s, u64 index, struct page **ret)
{
    struct packet_sock *k = pk(s);
    u64 first = ring_bytes(k->ring) / PAGE_SIZE;
    if (index < first)
        return packet_ring_page(k->ring, index, ret);
    return k->tx == NULL ? -EFAULT : packet_ring_page(k->tx, index - first, ret);
}

static void packet_release(struct sock *s)
{
    spin_lock_bh(&packet_lock);
    list_remove(&pk(s)->node);
    struct packet_fanout *group = fanout_leave(&pk(s)->member);
    atomic_sub(&packet_taps, 1u);
    spin_unlock_bh(&packet_lock);
    fanout_destroy(group);
    sock_lock(s);
    s->closed = 1; /* the ring gets nothing any more, so no timer starts */
    spin_unlock_bh(&s->lock);
    packet_ring_stop(pk(s)->ring);
    dgram_close(s);
}

static void packet_destroy(struct sock *s)
{
    dgram_purge(s);
    packet_ring_destroy(pk(s)->ring);
    packet_ring_destroy(pk(s)->tx);
    kfree(pk(s));
}

static const struct sock_ops packet_ops = {
    .bind = packet_bind,
    .send = packet_send,
    .recv = packet_recv,
    .cmsgs = packet_cmsgs,
    .getname = packet_getname,
    .setopt = packet_setopt,
    .getopt = packet_getopt,
    .poll = packet_poll,
    .pending = dgram_pending,
    .release = packet_release,
    .destroy = packet_destroy,
    .map = packet_map,
    .map_page = packet_map_page,
};

static struct sock *of(struct list *node) { return &list_entry(node, struct packet_sock, node)->s; }

void packet_find_all(struct socks_found *f)
{
    spin_lock_bh(&packet_lock);
    socks_walk(f, &socks, 1, of);
    spin_unlock_bh(&packet_lock);
}

void packet_facts_of(struct sock *s, struct packet_facts *ret)
{
    const struct packet_sock *k = pk(s);
    spin_lock_bh(&packet_lock);
    *ret = (struct packet_facts){ .protocol = k->protocol, .ifindex = k->ifindex, .in_group = k->member.group != NULL, .fanout = fanout_word(&k->member) };
    spin_unlock_bh(&packet_lock);
    sock_lock(s);
    ret->auxdata = k->auxdata;
    ret->version = k->version;
    ret->reserve = k->reserve;
    if (k->ring != NULL)
        memcpy(ret->ring, &k->ring->r, sizeof ret->ring);
    if (k->tx != NULL)
        memcpy(ret->tx, &k->tx->r, sizeof ret->tx);
    ret->loss = k->loss;
    spin_unlock_bh(&s->lock);
}

int packet_sock_create(int type, int protocol, struct sock **ret)
{
    if (!sock_may(CAP_NET_RAW))
        return -EPERM;
    if (type != SOCK_RAW && type != SOCK_DGRAM)
        return -ESOCKTNOSUPPORT;
    struct packet_sock *k = kzalloc(sizeof *k);
    if (k == NULL)
        return -ENOMEM;
    sock_setup(&k->s, &packet_ops, AF_PACKET, type, 0);
    k->s.lock.name = "sock_packet"; /* its own class: taken under others that send */
    k->protocol = be16((u16)protocol);
    if (k->protocol != 0)
        net_need(ip_v4(0));
    spin_lock_bh(&packet_lock);
    list_push_back(&socks, &k->node);
    atomic_add(&packet_taps, 1u);
    spin_unlock_bh(&packet_lock);
    *ret = &k->s;
    return 0;
}
