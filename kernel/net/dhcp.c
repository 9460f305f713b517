/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DHCP client (RFC 2131, 2132) for the one card.
 *
 *   OFF -> SELECT    DISCOVER broadcast, again after 1, 2, 4 ... 16 s, without end
 *   SELECT -> REQUEST  an OFFER: REQUEST broadcast, DHCP_TRIES times, then SELECT again
 *   REQUEST -> BOUND   ACK: address in force
 *           -> SELECT  NAK
 *   BOUND -> RENEW     at half the lease: REQUEST unicast to the server
 *   RENEW -> BOUND     ACK;   -> REBIND at 7/8 of the lease: REQUEST broadcast
 *   REBIND -> SELECT   lease over: address taken away
 *
 * Everything from the server is checked: the transaction number, lengths of every option, sane
 * addresses and times. One lock; the timer and the receive path run as bottom halves.
 */
#include "kern/work.h"
#include "net_impl.h"
#include "sieve.h"

enum dhcp_state { DHCP_OFF, DHCP_SELECT, DHCP_REQUEST, DHCP_BOUND, DHCP_RENEW, DHCP_REBIND };
enum { MSG_DISCOVER = 1, MSG_OFFER, MSG_REQUEST, MSG_DECLINE, MSG_ACK, MSG_NAK };
#define DHCP_TRIES 4u
#define DHCP_LEASE_MIN_S 60u

struct dhcp_msg {
    u8 op, htype, hlen, hops;
    u32 xid;
    u16 secs, flags;
    u32 ciaddr, yiaddr, siaddr, giaddr;
    u8 chaddr[16];
    u8 sname[64], file[128];
    u32 magic;
} PACKED;
_Static_assert(sizeof(struct dhcp_msg) == 240, "RFC 2131");

struct lease {
    struct net_config c;
    u32 server, lease_s;
    u8 type;
};

static struct {
    struct spinlock lock;
    u8 state;                   /* lock; read without */
    u8 tries;
    struct netif *nif;
    u32 xid;
    struct lease lease;         /* offered or in force */
    u64 began_ns, bound_ns;
    struct ktimer timer;
    struct waitqueue wq;
    struct work changed;
} dhcp = { .lock = SPINLOCK_INIT("net_dhcp") };

bool dhcp_active(const struct netif *nif) { return atomic_load_relaxed(&dhcp.state) != DHCP_OFF && dhcp.nif == nif; }

/* --- out --------------------------------------------------------------------------- */

static u8 *opt(u8 *o, u8 code, u8 len, const void *data)
{
    o[0] = code;
    o[1] = len;
    memcpy(o + 2, data, len);
    return o + 2 + len;
}

static void send(u8 type, u64 now)
{
    struct pkt *p = pkt_alloc(NET_HEADROOM, 320);
    if (p == NULL) {
        NET_COUNT(no_memory);
        return;
    }
    const struct netif *nif = dhcp.nif;
    struct dhcp_msg *m = (void *)pkt_put(p, sizeof *m);
    memset(m, 0, sizeof *m);
    bool has_addr = dhcp.state == DHCP_RENEW || dhcp.state == DHCP_REBIND;
    m->op = 1;
    m->htype = 1;
    m->hlen = 6;
    m->xid = dhcp.xid;
    m->secs = be16((u16)MIN((now - dhcp.began_ns) / NSEC_PER_SEC, 65535ULL));
    m->flags = has_addr ? 0 : be16(0x8000); /* broadcast the answer: the address is not ours yet */
    m->ciaddr = has_addr ? nif->addr : 0;
    memcpy(m->chaddr, nif->dev->mac, 6);
    m->magic = be32(0x63825363);
    u8 options[64], *o = options;
    o = opt(o, 53, 1, &type);
    const u8 id[7] = { 1, nif->dev->mac[0], nif->dev->mac[1], nif->dev->mac[2],
                       nif->dev->mac[3], nif->dev->mac[4], nif->dev->mac[5] };
    o = opt(o, 61, 7, id);
    if (dhcp.state == DHCP_REQUEST) {
        o = opt(o, 50, 4, &dhcp.lease.c.address);
        o = opt(o, 54, 4, &dhcp.lease.server);
    }
    o = opt(o, 55, 5, (const u8[5]){ 1, 3, 6, 15, 51 });
    o = opt(o, 57, 2, (const u8[2]){ 0x05, 0xdc });
    *o++ = 255;
    memcpy(pkt_put(p, (u32)(o - options)), options, (size_t)(o - options));
    u32 pad = p->len < 300 ? 300 - p->len : 0; /* BOOTP's minimum, for old relays */
    memset(pkt_put(p, pad), 0, pad);
    bool unicast = dhcp.state == DHCP_RENEW && dhcp.lease.server != 0;
    struct ip_tx tx = { .src = ip_v4(has_addr ? nif->addr : 0), .dst = ip_v4(unicast ? dhcp.lease.server : IP_BROADCAST),
                        .proto = IPPROTO_UDP, .ttl = 64 };
    tx.rt = (struct ip_route){ .nif = dhcp.nif, .nexthop = ip_v4(IP_BROADCAST), .mtu = nif->dev->mtu };
    if (unicast && ip_route_find(tx.dst, tx.src, 0, &tx.rt) != 0) {
        pkt_free(p);
        return;
    }
    if (unicast)
        sieve_peer(tx.dst);
    struct udp_hdr *h = (void *)pkt_push(p, sizeof *h);
    *h = (struct udp_hdr){ be16(68), be16(67), be16((u16)p->total_len), 0 };
    csum_finish_l4(p, dhcp.nif, csum_ip(tx.src), csum_ip(tx.dst), IPPROTO_UDP, offsetof(struct udp_hdr, csum));
    ip_output(p, &tx);
}

/* --- states ------------------------------------------------------------------------- */

static u64 jitter(void) { return random_below(NSEC_PER_SEC / 4); }

static void select_server(u64 now)
{
    dhcp.state = DHCP_SELECT;
    dhcp.xid = (u32)random_u64();
    dhcp.began_ns = now;
    dhcp.tries = 1;
    send(MSG_DISCOVER, now);
    ktimer_start(&dhcp.timer, now + NSEC_PER_SEC + jitter());
}

/* Times of the lease: t1 renew, t2 rebind, t3 over. */
static u64 lease_at(u32 eighths) { return dhcp.bound_ns + (u64)dhcp.lease.lease_s * NSEC_PER_SEC / 8 * eighths; }

static void tick(struct ktimer *t)
{
    u64 now = now_ns();
    bool lost = false;
    spin_lock(&dhcp.lock);
    switch (dhcp.state) {
    case DHCP_SELECT:
        send(MSG_DISCOVER, now);
        ktimer_start(t, now + (NSEC_PER_SEC << MIN(dhcp.tries, 4)) + jitter());
        if (dhcp.tries < 255)
            dhcp.tries++;
        break;
    case DHCP_REQUEST:
        if (dhcp.tries++ >= DHCP_TRIES) {
            select_server(now);
        } else {
            send(MSG_REQUEST, now);
            ktimer_start(t, now + (NSEC_PER_SEC << dhcp.tries) + jitter());
        }
        break;
    case DHCP_BOUND:
        dhcp.state = DHCP_RENEW;
        dhcp.xid = (u32)random_u64();
        dhcp.began_ns = now;
        /* fallthrough */
    case DHCP_RENEW:
        if (now >= lease_at(7))
            dhcp.state = DHCP_REBIND;
        /* fallthrough */
    case DHCP_REBIND:
        if (now >= lease_at(8)) {
            lost = true;
            select_server(now);
            break;
        }
        send(MSG_REQUEST, now);
        u64 limit = lease_at(dhcp.state == DHCP_RENEW ? 7 : 8);
        u64 wait = MAX((limit > now ? limit - now : 0) / 2, 60 * NSEC_PER_SEC); /* RFC 2131 4.4.5 */
        ktimer_start(t, MIN(now + wait, MAX(limit, now + NSEC_PER_SEC)));
        break;
    default:
        break;
    }
    spin_unlock(&dhcp.lock);
    if (lost) {
        static const struct net_config none;
        net_apply_config(&none, dhcp.nif);
        work_queue(&dhcp.changed);
    }
    net_kick();
}

static void tell_changed(struct work *w)
{
    if (net_config_changed != NULL)
        net_config_changed();
}

/* --- in -------------------------------------------------------------------------------- */

static bool parse(const u8 *m, u32 len, struct lease *ret)
{
    const struct dhcp_msg *h = (const void *)m;
    if (len < sizeof *h || h->op != 2 || h->htype != 1 || h->hlen != 6 || h->xid != dhcp.xid || h->magic != be32(0x63825363) ||
        memcmp(h->chaddr, dhcp.nif->dev->mac, 6) != 0)
        return false;
    *ret = (struct lease){ .c = { .mode = NET_DHCP, .address = h->yiaddr }, .lease_s = 3600 };
    const u8 *o = m + sizeof *h;
    u32 left = len - (u32)sizeof *h;
    while (left > 0 && o[0] != 255) {
        if (o[0] == 0) {
            o++;
            left--;
            continue;
        }
        if (left < 2 || o[1] > left - 2)
            return false;
        u8 n = o[1];
        const u8 *v = o + 2;
        switch (o[0]) {
        case 53:
            ret->type = n >= 1 ? v[0] : 0;
            break;
        case 1:
            ret->c.netmask = n >= 4 ? get_u32(v) : 0;
            break;
        case 3:
            ret->c.gateway = n >= 4 ? get_u32(v) : 0;
            break;
        case 6:
            for (u32 i = 0; i < 3 && n >= 4 * (i + 1); i++)
                ret->c.dns[i] = get_u32(v + 4 * i);
            break;
        case 15:
            for (u32 i = 0; i < n && i < sizeof ret->c.domain - 1; i++) {
                u8 ch = v[i];
                bool good = (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') || (ch >= '0' && ch <= '9') || ch == '-' ||
                            ch == '.' || ch == '_';
                if (!good) { /* it ends up in resolv.conf: nothing but a name */
                    ret->c.domain[0] = '\0';
                    break;
                }
                ret->c.domain[i] = (char)ch;
            }
            break;
        case 51:
            ret->lease_s = n >= 4 ? get_be32(v) : 3600;
            break;
        case 54:
            ret->server = n >= 4 ? get_u32(v) : 0;
            break;
        }
        o += 2 + n;
        left -= 2u + n;
    }
    return true;
}

static bool usable(const struct lease *l)
{
    u32 a = l->c.address, inv = be32(~l->c.netmask);
    if (a == 0 || a == IP_BROADCAST || ip_is_multicast(a) || ip_is_loopback(a) || l->c.netmask == 0 || (inv & (inv + 1)) != 0)
        return false;
    return l->c.gateway == 0 || ((l->c.gateway ^ a) & l->c.netmask) == 0 || l->c.netmask == 0xffffffff;
}

void dhcp_input(struct netif *nif, const struct pkt *p)
{
    u8 m[1200];
    struct lease l;
    bool bound = false, lost = false;
    u32 len = pkt_copy_out(p, 0, m, sizeof m);
    u64 now = now_ns();
    spin_lock(&dhcp.lock);
    if (dhcp.state == DHCP_OFF || dhcp.state == DHCP_BOUND || dhcp.nif != nif || !parse(m, len, &l))
        goto out;
    if (dhcp.state == DHCP_SELECT) {
        if (l.type != MSG_OFFER || l.server == 0)
            goto out;
        if (l.c.netmask == 0) /* the server left it to the class (RFC 950) */
            l.c.netmask = (l.c.address & 0x80) == 0 ? 0xff : (l.c.address & 0xc0) == 0x80 ? 0xffff : 0xffffff;
        if (!usable(&l))
            goto out;
        dhcp.lease = l;
        dhcp.state = DHCP_REQUEST;
        dhcp.tries = 1;
        send(MSG_REQUEST, now);
        ktimer_start(&dhcp.timer, now + 2 * NSEC_PER_SEC + jitter());
    } else if (l.type == MSG_NAK) {
        lost = dhcp.state != DHCP_REQUEST;
        select_server(now);
    } else if (l.type == MSG_ACK) {
        if (l.c.netmask == 0)
            l.c.netmask = dhcp.lease.c.netmask;
        if (l.server == 0)
            l.server = dhcp.lease.server;
        if (!usable(&l))
            goto out;
        l.lease_s = MAX(l.lease_s, DHCP_LEASE_MIN_S);
        dhcp.lease = l;
        dhcp.bound_ns = now;
        dhcp.state = DHCP_BOUND;
        bound = true;
        if (l.lease_s != 0xffffffff)
            ktimer_start(&dhcp.timer, lease_at(4));
        else
            ktimer_cancel(&dhcp.timer);
    }
out:
    spin_unlock(&dhcp.lock);
    if (bound || lost) {
        static const struct net_config none;
        net_apply_config(bound ? &l.c : &none, nif);
        work_queue(&dhcp.changed);
        wq_wake_all(&dhcp.wq, 0);
    }
}

int dhcp_init(void)
{
    ktimer_init(&dhcp.timer, tick);
    wq_init(&dhcp.wq, "dhcp");
    work_init(&dhcp.changed, tell_changed);
    return 0;
}

void dhcp_start(struct netif *nif)
{
    spin_lock_bh(&dhcp.lock);
    dhcp.nif = nif;
    select_server(now_ns());
    spin_unlock(&dhcp.lock);
    net_kick();
    bh_enable();
}

bool dhcp_wait(u64 deadline_ns)
{
    return wait_event_interruptible_until(&dhcp.wq, dhcp.nif != NULL && atomic_load(&dhcp.nif->configured), deadline_ns) == 0;
}
