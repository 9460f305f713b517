/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ARP (RFC 826) with the neighbour states of RFC 4861, cut down:
 *
 *   FREE       -> INCOMPLETE  first packet for the address: request broadcast, packet queued
 *   INCOMPLETE -> REACHABLE   an answer; the queue is sent
 *              -> FAILED      ARP_TRIES requests without one; the queue is dropped
 *   REACHABLE  -> PROBE       used after ARP_FRESH_NS: unicast requests, still used meanwhile
 *   PROBE      -> REACHABLE   an answer
 *              -> INCOMPLETE  ARP_TRIES probes without one
 *   FAILED     -> FREE        after ARP_FAILED_NS (senders get EHOSTUNREACH until then)
 *
 * Bounds: ARP_ENTRIES neighbours (the least recently used one that waits for nothing is
 * replaced), ARP_QUEUE packets waiting for each, one timer for the table, running only while
 * something waits. Only our own requests and requests for our address make entries, so
 * a flood of foreign answers changes nothing.
 */
#include "net_impl.h"

#define ARP_ENTRIES 64u
#define ARP_QUEUE 8u
#define ARP_TRIES 3u
#define ARP_RETRY_NS (1 * NSEC_PER_SEC)
#define ARP_FRESH_NS (30 * NSEC_PER_SEC)
#define ARP_FAILED_NS (5 * NSEC_PER_SEC)

struct arp_pkt {
    u16 htype, ptype;
    u8 hlen, plen;
    u16 op;
    u8 sha[6];
    u32 spa;
    u8 tha[6];
    u32 tpa;
} PACKED;
_Static_assert(sizeof(struct arp_pkt) == 28, "RFC 826");

enum arp_state { ARP_FREE, ARP_INCOMPLETE, ARP_REACHABLE, ARP_PROBE, ARP_FAILED };

struct arp_entry {
    u8 state, tries;
    u8 mac[6];
    u32 ip;
    struct netif *nif;
    u64 used_ns, until_ns; /* until: fresh (REACHABLE), next try (INCOMPLETE, PROBE), end (FAILED) */
    struct list queue;
    u32 queued;
};

static struct spinlock arp_lock = SPINLOCK_INIT("net_arp");
static struct arp_entry *table; /* arp_lock: ARP_ENTRIES of them, made at first use */
static struct ktimer arp_timer;

static struct arp_entry *find(struct netif *nif, u32 ip)
{
    if (table == NULL)
        return NULL;
    for (unsigned i = 0; i < ARP_ENTRIES; i++)
        if (table[i].ip == ip && table[i].state != ARP_FREE && table[i].nif == nif)
            return &table[i];
    return NULL;
}

static void entry_clear(struct arp_entry *e)
{
    pkt_list_free(&e->queue);
    e->queued = 0;
    e->state = ARP_FREE;
}

static struct arp_entry *make(struct netif *nif, u32 ip)
{
    if (table == NULL) {
        table = kmalloc(ARP_ENTRIES * sizeof *table, ALLOC_ATOMIC | ALLOC_ZERO);
        if (table == NULL)
            return NULL;
        for (unsigned i = 0; i < ARP_ENTRIES; i++)
            list_init(&table[i].queue);
    }
    struct arp_entry *best = NULL;
    for (unsigned i = 0; i < ARP_ENTRIES; i++) {
        struct arp_entry *e = &table[i];
        if (e->state == ARP_FREE) {
            best = e;
            break;
        }
        if (e->state != ARP_INCOMPLETE && (best == NULL || e->used_ns < best->used_ns))
            best = e;
    }
    if (best == NULL) {
        NET_COUNT(arp_full);
        return NULL;
    }
    entry_clear(best);
    best->ip = ip;
    best->nif = nif;
    best->tries = 0;
    best->used_ns = now_ns();
    return best;
}

static void send(struct netif *nif, u16 op, const u8 dst[6], const u8 tha[6], u32 spa, u32 tpa)
{
    struct pkt *p = pkt_alloc(NET_HEADROOM, sizeof(struct arp_pkt));
    if (p == NULL) {
        NET_COUNT(no_memory);
        return;
    }
    struct arp_pkt *a = (void *)pkt_put(p, sizeof *a);
    *a = (struct arp_pkt){ be16(1), be16(ETH_IP), 6, 4, be16(op), { 0 }, spa, { 0 }, tpa };
    memcpy(a->sha, nif->dev->mac, 6);
    if (tha != NULL)
        memcpy(a->tha, tha, 6);
    ether_output(nif, dst, ETH_ARP, p);
}

static void request(struct arp_entry *e, u64 now)
{
    e->tries++;
    e->until_ns = now + ARP_RETRY_NS;
    NET_COUNT(arp_requests);
    send(e->nif, 1, e->state == ARP_PROBE ? e->mac : ether_broadcast, NULL, e->nif->addr, e->ip);
    if (!ktimer_armed(&arp_timer))
        ktimer_start(&arp_timer, now + ARP_RETRY_NS);
}

static void arp_tick(struct ktimer *t)
{
    u64 now = now_ns();
    bool again = false;
    spin_lock(&arp_lock);
    for (unsigned i = 0; i < ARP_ENTRIES && table != NULL; i++) {
        struct arp_entry *e = &table[i];
        if (e->state != ARP_INCOMPLETE && e->state != ARP_PROBE && e->state != ARP_FAILED)
            continue;
        again = true;
        if (now + ARP_RETRY_NS / 10 < e->until_ns)
            continue;
        if (e->state == ARP_FAILED) {
            e->state = ARP_FREE;
        } else if (e->tries < ARP_TRIES) {
            if (e->state == ARP_PROBE && now - e->used_ns > ARP_FRESH_NS)
                entry_clear(e); /* nobody asks any more */
            else
                request(e, now);
        } else if (e->state == ARP_PROBE) {
            e->state = ARP_INCOMPLETE;
            e->tries = 0;
            request(e, now);
        } else {
            NET_COUNT(arp_unresolved);
            pkt_list_free(&e->queue);
            e->queued = 0;
            e->state = ARP_FAILED;
            e->until_ns = now + ARP_FAILED_NS;
        }
    }
    spin_unlock(&arp_lock);
    if (again)
        ktimer_start(t, now + ARP_RETRY_NS);
    net_kick();
}

int arp_resolve(struct netif *nif, u32 ip, struct pkt *p, u8 ret_mac[6])
{
    u64 now = p->time_ns != 0 ? p->time_ns : now_ns();
    int ret = -EINPROGRESS;
    spin_lock_bh(&arp_lock);
    struct arp_entry *e = find(nif, ip);
    if (e == NULL) {
        e = make(nif, ip);
        if (e == NULL) {
            ret = -ENOBUFS;
            goto out;
        }
        e->state = ARP_INCOMPLETE;
        request(e, now);
    }
    e->used_ns = now;
    switch (e->state) {
    case ARP_REACHABLE:
        if (now >= e->until_ns) {
            e->state = ARP_PROBE;
            e->tries = 0;
            request(e, now);
        }
        /* fallthrough */
    case ARP_PROBE:
        memcpy(ret_mac, e->mac, 6);
        ret = 0;
        break;
    case ARP_INCOMPLETE:
        if (e->queued == ARP_QUEUE) { /* the oldest makes room */
            NET_COUNT(arp_queue_drop);
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
    spin_unlock_bh(&arp_lock);
    return ret;
}

static void learn(struct arp_entry *e, const u8 mac[6], u64 now, struct list *ret_ready)
{
    memcpy(e->mac, mac, 6);
    e->state = ARP_REACHABLE;
    e->tries = 0;
    e->until_ns = now + ARP_FRESH_NS;
    list_splice_back(ret_ready, &e->queue);
    e->queued = 0;
}

void arp_input(struct netif *nif, struct pkt *p)
{
    struct arp_pkt a;
    NET_COUNT(arp_in);
    if (pkt_copy_out(p, 0, &a, sizeof a) != sizeof a || a.htype != be16(1) || a.ptype != be16(ETH_IP) || a.hlen != 6 ||
        a.plen != 4 || (a.sha[0] & 1) != 0 || ip_is_multicast(a.spa) || ip_is_loopback(a.spa) || a.spa == IP_BROADCAST) {
        NET_COUNT(arp_bad);
        pkt_free(p);
        return;
    }
    pkt_free(p);
    u64 now = now_ns();
    u32 own = nif->addr;
    bool for_us = own != 0 && a.tpa == own;
    if (a.spa == own && own != 0)
        return; /* somebody claims our address: keep it, do not learn from it */
    struct list ready;
    list_init(&ready);
    u8 mac[6];
    memcpy(mac, a.sha, 6);
    spin_lock(&arp_lock);
    struct arp_entry *e = a.spa != 0 ? find(nif, a.spa) : NULL;
    if (e == NULL && for_us && a.op == be16(1) && a.spa != 0)
        e = make(nif, a.spa); /* whoever asks for us will be answered next */
    if (e != NULL)
        learn(e, mac, now, &ready);
    spin_unlock(&arp_lock);
    if (for_us && a.op == be16(1))
        send(nif, 2, mac, mac, own, a.spa);
    struct list *n;
    while ((n = list_pop_front(&ready)) != NULL)
        ether_output(nif, mac, ETH_IP, list_entry(n, struct pkt, node));
}

void arp_announce(struct netif *nif) { send(nif, 1, ether_broadcast, NULL, nif->addr, nif->addr); }

void arp_probe_send(struct netif *nif, u32 target) { send(nif, 1, ether_broadcast, NULL, 0, target); }

void arp_flush(struct netif *nif)
{
    spin_lock_bh(&arp_lock);
    for (unsigned i = 0; i < ARP_ENTRIES && table != NULL; i++)
        if (table[i].nif == nif)
            entry_clear(&table[i]);
    spin_unlock_bh(&arp_lock);
}

size_t arp_show(char *buf, size_t size)
{
    struct text t = { buf, size, 0 };
    text_add(&t, "IP address       HW type     Flags       HW address            Mask     Device\n");
    spin_lock_bh(&arp_lock);
    for (unsigned i = 0; i < ARP_ENTRIES && table != NULL; i++) {
        const struct arp_entry *e = &table[i];
        if (e->state == ARP_FREE)
            continue;
        bool known = e->state == ARP_REACHABLE || e->state == ARP_PROBE;
        char ip[16];
        struct text a = { ip, sizeof ip, 0 };
        text_add(&a, "%u.%u.%u.%u", e->ip & 255, e->ip >> 8 & 255, e->ip >> 16 & 255, e->ip >> 24);
        text_add(&t, "%-16s 0x1         0x%d         ", ip, known ? 2 : 0);
        for (unsigned k = 0; k < 6; k++)
            text_add(&t, "%02x%s", known ? e->mac[k] : 0, k < 5 ? ":" : "");
        text_add(&t, "     *        %s\n", e->nif->dev->name);
    }
    spin_unlock_bh(&arp_lock);
    return t.len;
}

void arp_init(void) { ktimer_init(&arp_timer, arp_tick); }
