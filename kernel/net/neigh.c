/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Neighbours of both families: the link addresses of hosts on the wire, with the states of RFC 4861, cut down.
 * ARP (arp.c) and neighbour discovery (ip6_nd.c) ask and tell.
 *
 *   FREE       -> INCOMPLETE  first packet for the address: request to all, packet queued
 *   INCOMPLETE -> REACHABLE   an answer; the queue is sent
 *              -> FAILED      NEIGH_TRIES requests without one; the queue is dropped
 *   REACHABLE  -> PROBE       used after NEIGH_FRESH_NS: unicast requests, still used meanwhile
 *   PROBE      -> REACHABLE   an answer
 *              -> INCOMPLETE  NEIGH_TRIES probes without one
 *   FAILED     -> INCOMPLETE  used after NEIGH_FAILED_NS (senders get EHOSTUNREACH until then)
 *
 * A default router that FAILED is left for others until it says something (RFC 4861 6.3.6); neigh_answers() asks it now and then.
 *
 * Bounds: NEIGH_ENTRIES neighbours (the least recently used one that waits for nothing is
 * replaced), NEIGH_QUEUE packets waiting for each, one timer for the table, running only while
 * something waits. Only our own requests and requests for our address make entries, so
 * a flood of foreign answers changes nothing.
 */
#include "net_impl.h"

#define NEIGH_QUEUE 8u
#define NEIGH_TRIES 3u
#define NEIGH_RETRY_NS (1 * NSEC_PER_SEC)
#define NEIGH_FRESH_NS (30 * NSEC_PER_SEC)
#define NEIGH_FAILED_NS (5 * NSEC_PER_SEC)
#define NEIGH_ASK_AGAIN_NS (60 * NSEC_PER_SEC) /* RFC 4191 3.5 */

enum neigh_state { NEIGH_FREE, NEIGH_INCOMPLETE, NEIGH_REACHABLE, NEIGH_PROBE, NEIGH_FAILED };

struct neigh {
    u8 state, tries;
    u8 mac[6];
    struct ip_addr ip;
    struct netif *nif;
    u64 used_ns, until_ns; /* until: fresh (REACHABLE), next try (INCOMPLETE, PROBE), end (FAILED) */
    struct list queue;
    u32 queued;
};

static struct spinlock neigh_lock = SPINLOCK_INIT("net_neigh");
static struct neigh *table; /* neigh_lock: NEIGH_ENTRIES of them, made at first use */
static struct ktimer neigh_timer;

static struct neigh *last_found; /* neigh_lock: in the table once there is one */

static bool is_for(const struct neigh *e, const struct netif *nif, struct ip_addr ip)
{
    return ip_equal(e->ip, ip) && e->state != NEIGH_FREE && e->nif == nif;
}

static NOINLINE struct neigh *search(const struct netif *nif, struct ip_addr ip)
{
    for (unsigned i = 0; i < NEIGH_ENTRIES && table != NULL; i++)
        if (is_for(&table[i], nif, ip))
            return last_found = &table[i];
    return NULL;
}

static inline struct neigh *find(const struct netif *nif, struct ip_addr ip)
{
    return likely(last_found != NULL && is_for(last_found, nif, ip)) ? last_found : search(nif, ip);
}

static void entry_clear(struct neigh *e)
{
    pkt_list_free(&e->queue);
    e->queued = 0;
    e->state = NEIGH_FREE;
}

static struct neigh *make(struct netif *nif, struct ip_addr ip)
{
    if (table == NULL) {
        table = kmalloc(NEIGH_ENTRIES * sizeof *table, ALLOC_ATOMIC | ALLOC_ZERO);
        if (table == NULL)
            return NULL;
        for (unsigned i = 0; i < NEIGH_ENTRIES; i++)
            list_init(&table[i].queue);
    }
    struct neigh *best = NULL;
    for (unsigned i = 0; i < NEIGH_ENTRIES; i++) {
        struct neigh *e = &table[i];
        if (e->state == NEIGH_FREE) {
            best = e;
            break;
        }
        if (e->state != NEIGH_INCOMPLETE && (best == NULL || e->used_ns < best->used_ns))
            best = e;
    }
    if (best == NULL) {
        NET_DROP(arp_full);
        return NULL;
    }
    entry_clear(best);
    best->ip = ip;
    best->nif = nif;
    best->tries = 0;
    best->used_ns = now_ns();
    return best;
}

static void request(struct neigh *e, u64 now)
{
    e->tries++;
    e->until_ns = now + NEIGH_RETRY_NS;
    net_changed();
    const u8 *mac = e->state == NEIGH_PROBE ? e->mac : NULL;
    if (ip_is_v4(e->ip))
        arp_solicit(e->nif, ip_to_v4(e->ip), mac);
    else
        nd_solicit(e->nif, e->ip, mac);
    if (!ktimer_armed(&neigh_timer))
        ktimer_start(&neigh_timer, now + NEIGH_RETRY_NS);
}

static void neigh_tick(struct ktimer *t)
{
    u64 now = now_ns();
    bool again = false;
    spin_lock(&neigh_lock);
    for (unsigned i = 0; i < NEIGH_ENTRIES && table != NULL; i++) {
        struct neigh *e = &table[i];
        if (e->state != NEIGH_INCOMPLETE && e->state != NEIGH_PROBE)
            continue;
        again = true;
        if (now + NEIGH_RETRY_NS / 10 < e->until_ns)
            continue;
        if (e->tries < NEIGH_TRIES) {
            if (e->state == NEIGH_PROBE && now - e->used_ns > NEIGH_FRESH_NS)
                entry_clear(e); /* nobody asks any more */
            else
                request(e, now);
        } else if (e->state == NEIGH_PROBE) {
            e->state = NEIGH_INCOMPLETE;
            e->tries = 0;
            request(e, now);
        } else {
            NET_COUNT(arp_unresolved);
            pkt_list_free(&e->queue);
            e->queued = 0;
            e->state = NEIGH_FAILED;
            e->until_ns = now + NEIGH_FAILED_NS;
            atomic_add(&route_gen, 1u); /* it may have been a router: another is chosen */
        }
    }
    spin_unlock(&neigh_lock);
    if (again)
        ktimer_start(t, now + NEIGH_RETRY_NS);
    net_changed();
    net_kick();
}

int neigh_resolve(struct netif *nif, struct ip_addr ip, struct pkt *p, u8 ret_mac[6])
{
    u64 now = p->time_ns != 0 ? p->time_ns : now_ns();
    int ret = -EINPROGRESS;
    spin_lock_bh(&neigh_lock);
    struct neigh *e = find(nif, ip);
    if (e == NULL) {
        e = make(nif, ip);
        if (e == NULL) {
            ret = -ENOBUFS;
            goto out;
        }
        e->until_ns = now;
        e->state = NEIGH_FAILED;
    }
    e->used_ns = now;
    if (unlikely(e->state == NEIGH_FAILED) && now >= e->until_ns) {
        e->state = NEIGH_INCOMPLETE;
        e->tries = 0;
        request(e, now);
    }
    switch (e->state) {
    case NEIGH_REACHABLE:
        if (now >= e->until_ns) {
            e->state = NEIGH_PROBE;
            e->tries = 0;
            request(e, now);
        }
        /* fallthrough */
    case NEIGH_PROBE:
        memcpy(ret_mac, e->mac, 6);
        ret = 0;
        break;
    case NEIGH_INCOMPLETE:
        if (e->queued == NEIGH_QUEUE) { /* the oldest makes room */
            NET_DROP(arp_queue_drop);
            pkt_free(list_entry(list_pop_front(&e->queue), struct pkt, node));
            e->queued--;
        }
        list_push_back(&e->queue, &p->node);
        e->queued++;
        break;
    default:
        ret = -EHOSTUNREACH;
        break;
    }
out:
    spin_unlock_bh(&neigh_lock);
    return ret;
}

bool neigh_answers(const struct netif *nif, struct ip_addr ip)
{
    u64 now = now_ns();
    spin_lock_bh(&neigh_lock);
    struct neigh *e = find(nif, ip);
    bool lost = e != NULL && e->state == NEIGH_FAILED;
    if (lost && now - e->used_ns >= NEIGH_ASK_AGAIN_NS) {
        e->used_ns = now;
        nd_solicit(e->nif, ip, NULL);
    }
    spin_unlock_bh(&neigh_lock);
    return !lost;
}

static void learn(struct neigh *e, const u8 mac[6], u64 now, struct list *ret_ready)
{
    memcpy(e->mac, mac, 6);
    e->state = NEIGH_REACHABLE;
    e->tries = 0;
    e->until_ns = now + NEIGH_FRESH_NS;
    list_splice_back(ret_ready, &e->queue);
    e->queued = 0;
}

void neigh_learn(struct netif *nif, struct ip_addr ip, const u8 mac[6], unsigned how)
{
    u64 now = now_ns();
    struct list ready;
    list_init(&ready);
    spin_lock(&neigh_lock);
    struct neigh *e = find(nif, ip);
    bool other = e != NULL && (e->state == NEIGH_REACHABLE || e->state == NEIGH_PROBE) && memcmp(e->mac, mac, 6) != 0;
    if (e == NULL && (how & NEIGH_CREATE))
        e = make(nif, ip);
    if (e != NULL && (!other || (how & NEIGH_OVERRIDE)))
        learn(e, mac, now, &ready);
    spin_unlock(&neigh_lock);
    net_changed();
    struct list *n;
    while ((n = list_pop_front(&ready)) != NULL)
        ether_output(nif, mac, ip_is_v4(ip) ? ETH_IP : ETH_IPV6, list_entry(n, struct pkt, node));
}

void neigh_flush(struct netif *nif)
{
    spin_lock_bh(&neigh_lock);
    for (unsigned i = 0; i < NEIGH_ENTRIES && table != NULL; i++)
        if (table[i].nif == nif)
            entry_clear(&table[i]);
    spin_unlock_bh(&neigh_lock);
}

unsigned neigh_list(struct neigh_info ret[NEIGH_ENTRIES])
{
    static const u8 nud[] = { [NEIGH_INCOMPLETE] = 0x01, [NEIGH_REACHABLE] = 0x02, [NEIGH_PROBE] = 0x10, [NEIGH_FAILED] = 0x20 };
    unsigned n = 0;
    u64 now = now_ns();
    spin_lock_bh(&neigh_lock);
    for (unsigned i = 0; i < NEIGH_ENTRIES && table != NULL; i++) {
        const struct neigh *e = &table[i];
        if (e->state == NEIGH_FREE)
            continue;
        struct neigh_info *r = &ret[n++];
        *r = (struct neigh_info){ .nif = e->nif, .ip = e->ip, .state = nud[e->state] };
        r->known = e->state == NEIGH_REACHABLE || e->state == NEIGH_PROBE;
        if (e->state == NEIGH_REACHABLE && now >= e->until_ns)
            r->state = 0x04; /* stale: asked for again at its next use */
        memcpy(r->mac, e->mac, sizeof r->mac);
    }
    spin_unlock_bh(&neigh_lock);
    return n;
}

size_t arp_show(char *buf, size_t size)
{
    struct text t = { buf, size, 0 };
    text_add(&t, "IP address       HW type     Flags       HW address            Mask     Device\n");
    spin_lock_bh(&neigh_lock);
    for (unsigned i = 0; i < NEIGH_ENTRIES && table != NULL; i++) {
        const struct neigh *e = &table[i];
        if (e->state == NEIGH_FREE || !ip_is_v4(e->ip))
            continue;
        u32 a4 = ip_to_v4(e->ip);
        bool known = e->state == NEIGH_REACHABLE || e->state == NEIGH_PROBE;
        char ip[16];
        struct text a = { ip, sizeof ip, 0 };
        text_add(&a, "%u.%u.%u.%u", a4 & 255, a4 >> 8 & 255, a4 >> 16 & 255, a4 >> 24);
        text_add(&t, "%-16s 0x1         0x%d         ", ip, known ? 2 : 0);
        for (unsigned k = 0; k < 6; k++)
            text_add(&t, "%02x%s", known ? e->mac[k] : 0, k < 5 ? ":" : "");
        text_add(&t, "     *        %s\n", e->nif->dev->name);
    }
    spin_unlock_bh(&neigh_lock);
    return t.len;
}

void neigh_init(void) { ktimer_init(&neigh_timer, neigh_tick); }
