/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The stack's bring-up: interfaces, configuration, opening the card at first use.
 *
 * Interfaces are added while the machine comes up and never removed, so the table is
 * read without a lock. Only the first real device is configured.
 */
#include "base/fmt.h"
#include "kern/page.h"
#include "kern/thread.h"
#include "limit.h"
#include "net_impl.h"
#include "sieve.h"

struct net_counters net_counters;

void net_count_drop(unsigned counter)
{
    u64 *all = (u64 *)&net_counters + counter;
    atomic_store_relaxed(all, atomic_load_relaxed(all) + 1);
    TRACE(NET_DROP, (u64)net_counter_name(counter));
}

struct netif *netifs[NETIF_MAX];
u64 net_mem_limit, net_mem_used;
void (*net_config_changed)(void);

static struct spinlock config_lock = SPINLOCK_INIT("net_config");
static struct net_config current; /* config_lock */
static bool current_valid;        /* config_lock */
static struct net_config wanted;  /* need_lock */
static bool wanted_valid;         /* need_lock, read without */
static struct mutex need_lock;    /* opening and configuring the device */
static u32 need_done;             /* atomic: nothing left to do in net_need() */

struct net_handed net_handed[MAX_CPUS];

void text_add_hex(struct text *t, const void *bytes, u32 len)
{
    for (u32 i = 0; i < len; i++)
        text_add(t, "%02x", ((const u8 *)bytes)[i]);
}

void text_add_name(struct text *t, int domain, struct ip_addr a, u16 port)
{
    if (domain == AF_INET)
        text_add(t, " %08X:%04X", ip_to_v4(a), port);
    else
        text_add(t, " %08X%08X%08X%08X:%04X", (u32)a.hi, (u32)(a.hi >> 32), (u32)a.lo, (u32)(a.lo >> 32), port);
}

struct netif *netif_by_index(unsigned index)
{
    for (unsigned i = 0; i < NETIF_MAX && netifs[i] != NULL; i++)
        if (netifs[i]->dev->index == index)
            return netifs[i];
    return NULL;
}

struct netif *netif_by_name(const char *name)
{
    for (unsigned i = 0; i < NETIF_MAX && netifs[i] != NULL; i++)
        if (strcmp(netifs[i]->dev->name, name) == 0)
            return netifs[i];
    return NULL;
}

bool ip_is_local(u32 addr)
{
    if (ip_is_loopback(addr))
        return true;
    if (addr == 0)
        return false;
    for (unsigned i = 0; i < NETIF_MAX && netifs[i] != NULL; i++)
        if (atomic_load_relaxed(&netifs[i]->addr) == addr)
            return true;
    return false;
}

bool ip_addr_is_local(struct ip_addr a) { return ip_is_v4(a) ? ip_is_local(ip_to_v4(a)) : ip6_is_local(a); }
bool ip_addr_is_loopback(struct ip_addr a) { return ip_is_v4(a) ? ip_is_loopback(ip_to_v4(a)) : ip_equal(a, IP6_LOOPBACK); }
bool ip_addr_is_broadcast(const struct netif *nif, struct ip_addr a) { return ip_is_v4(a) && ip_is_broadcast(nif, ip_to_v4(a)); }

bool net_limit_pass(struct net_limit *l)
{
    u64 now = now_ns(), until = atomic_load_relaxed(&l->until_ns), at;
    do {
        at = MAX(until, now);
        if (at - now >= l->burst_ns)
            return false;
    } while (!atomic_cas(&l->until_ns, &until, at + l->interval_ns));
    return true;
}

static void netif_input(struct netdev *d, struct pkt *p)
{
    net_taking_in(netif_of(d));
    ether_input(d, p);
    net_taking_in(NULL);
}

static void netif_batch_end(struct netdev *d, bool more)
{
    tcp_shed_batch(more);
    if (unlikely(d->sieve != NULL))
        sieve_batch(d);
    net_batch_end();
}

void net_batch_end(void)
{
    tcp_batch_end();
    net_kick();
}

void net_knock(struct net_handed *h)
{
    struct netdev *d = h->dev;
    for (; h->queues != 0; h->queues &= h->queues - 1)
        if (d->ops->kick != NULL)
            d->ops->kick(d, (unsigned)__builtin_ctzll(h->queues));
}

static bool all_sent(void)
{
    if (tcp_unfinished())
        return false;
    for (unsigned i = 0; i < NETIF_MAX && netifs[i] != NULL; i++) {
        struct netdev *d = netifs[i]->dev;
        if (d->opened && d->ops->idle != NULL && !d->ops->idle(d))
            return false;
    }
    return true;
}

void net_drain(u64 deadline_ns)
{
    u64 pause = 100 * NSEC_PER_USEC;
    while (!all_sent() && now_ns() < deadline_ns) {
        thread_sleep_until(now_ns() + pause, false);
        pause = MIN(2 * pause, 20 * NSEC_PER_MSEC);
    }
}

int ether_output(struct netif *nif, const u8 dst[6], u16 type, struct pkt *p)
{
    struct netdev *d = nif->dev;
    if (unlikely(pkt_headroom(p) < ETH_HLEN)) {
        d->stats.tx_dropped++;
        pkt_free(p);
        return -ENETDOWN;
    }
    memcpy(p->data - ETH_HLEN, dst, 6);
    return ether_output_resolved(nif, type, p);
}

int ether_output_resolved(struct netif *nif, u16 type, struct pkt *p)
{
    struct eth_hdr *e = (void *)pkt_push(p, ETH_HLEN);
    memcpy(e->src, nif->dev->mac, 6);
    e->type = be16(type);
    return ether_transmit(nif, p);
}

int ether_transmit(struct netif *nif, struct pkt *p)
{
    struct netdev *d = nif->dev;
    p->l2_off = (u16)pkt_headroom(p);
    if (p->csum == PKT_CSUM_PARTIAL)
        p->csum_start = (u16)(p->l4_off - p->l2_off);
    if (unlikely(atomic_load_relaxed(&packet_taps) != 0))
        packet_tap(nif, p, true);
    if (unlikely(!d->opened)) {
        d->stats.tx_dropped++;
        pkt_free(p);
        return -ENETDOWN;
    }
    unsigned cpu = this_cpu()->cpu, queue = d->queues <= 1 ? 0 : (p->queue != 0 ? p->queue - 1u : cpu) % d->queues;
    p->queue = (u16)queue;
    struct net_handed *h = &net_handed[cpu];
    if (unlikely(h->dev != d)) {
        if (h->queues != 0)
            net_knock(h);
        h->dev = d;
    }
    h->queues |= 1ULL << queue;
    return d->ops->transmit(d, p);
}

static void link_changed(struct netdev *d) { net_changed(); }

static void device_added(struct netdev *d)
{
    if (d->stack != NULL)
        return;
    unsigned slot = 0;
    while (slot < NETIF_MAX && netifs[slot] != NULL)
        slot++;
    struct netif *nif = slot < NETIF_MAX ? kzalloc(sizeof *nif) : NULL;
    if (nif == NULL)
        return;
    nif->dev = d;
    nif->all_ones = nif->all_zeros = IP_BROADCAST;
    d->stack = nif;
    d->input = netif_input;
    d->input_done = netif_batch_end;
    d->link_changed = link_changed;
    atomic_store(&netifs[slot], nif);
}

static void add_existing(struct netdev *d, void *ctx) { device_added(d); }

void netif_set_address(struct netif *nif, u32 addr, u32 mask)
{
    u32 old = nif->addr;
    if (old != addr) {
        route_remove_netif(nif);
        neigh_flush(nif);
    }
    nif->mask = mask;
    nif->bcast = addr | ~mask;
    bool has_broadcast = addr != 0 && mask < 0xfeffffff; /* not /31 and /32 (RFC 3021) */
    nif->all_ones = has_broadcast ? nif->bcast : IP_BROADCAST;
    nif->all_zeros = has_broadcast ? addr & mask : IP_BROADCAST;
    atomic_store(&nif->addr, addr);
    if (addr != 0) {
        route_add(&(struct route){ .nif = nif, .dst = addr & mask, .mask = mask });
        if (nif->dev->opened && old != addr && !nif->loopback)
            arp_announce(nif);
    }
    atomic_store(&nif->configured, addr != 0);
    net_changed();
}

void net_apply_config(const struct net_config *c, struct netif *nif)
{
    bh_disable();
    if (nif->addr == c->address && nif->mask != c->netmask)
        route_remove_netif(nif);
    netif_set_address(nif, c->address, c->netmask);
    if (c->address != 0 && c->gateway != 0)
        route_add(&(struct route){ .nif = nif, .gateway = c->gateway });
    spin_lock(&config_lock);
    current = *c;
    current_valid = c->address != 0;
    spin_unlock(&config_lock);
    net_kick();
    bh_enable();
}

struct netif *netif_card(void)
{
    for (unsigned i = 0; i < NETIF_MAX && netifs[i] != NULL; i++)
        if (!netifs[i]->loopback)
            return netifs[i];
    return NULL;
}

static int open_device(struct netif *nif)
{
    if (nif->dev->opened)
        return 0;
    int err = nif->dev->ops->open != NULL ? nif->dev->ops->open(nif->dev) : 0;
    if (err != 0) {
        klog(LOG_ERROR, "net: %s: open failed: %d", nif->dev->name, err);
        return err;
    }
    nif->dev->opened = true;
    if (nif->addr != 0) {
        bh_disable();
        arp_announce(nif);
        net_kick();
        bh_enable();
    }
    ip6_start(nif);
    bh_disable();
    mc_start(nif);
    net_kick();
    bh_enable();
    return 0;
}

#define DHCP_FIRST_WAIT_NS (10 * NSEC_PER_SEC)
#define ROUTER_WAIT_NS (300 * NSEC_PER_MSEC) /* who answers a solicitation does it sooner; others come unasked */

/* Open the card and get an address. `wait` = block for DHCP's first answer, and with `wait6` for a router's. need_lock held. */
static int bring_up(bool wait, bool wait6)
{
    struct netif *nif = netif_card();
    if (nif == NULL)
        return -ENODEV;
    int err = open_device(nif);
    if (err != 0)
        return err;
    if (wanted.mode == NET_DHCP && !nif->configured) {
        if (!dhcp_active(nif))
            dhcp_start(nif);
        if (wait && !dhcp_wait(now_ns() + DHCP_FIRST_WAIT_NS))
            return -ENETUNREACH;
    }
    if (wait && wait6)
        ip6_wait(now_ns() + ROUTER_WAIT_NS);
    return 0;
}

void net_need(struct ip_addr dst)
{
    if (likely(atomic_load(&need_done) != 0) || ip_addr_is_loopback(dst) || !atomic_load(&wanted_valid))
        return;
    bool want6 = !ip_is_v4(dst) && !ip_is_any(dst) && !ip6_is_link_local(dst) && !ip_is_group(dst);
    mutex_lock(&need_lock);
    if (need_done == 0) {
        int err = bring_up(true, want6);
        /* A DHCP server that does not answer is not waited for again: the client goes on by itself. */
        if (err == 0 || err == -ENODEV || err == -ENETUNREACH)
            atomic_store(&need_done, 1u);
    }
    mutex_unlock(&need_lock);
}

int net_configure(const struct net_config *c)
{
    int err = 0;
    struct netif *nif = netif_card();
    if (c->mode == NET_NONE)
        return 0;
    if (nif == NULL)
        return -ENODEV;
    if (c->mode == NET_DHCP && !dhcp_active(nif) && (err = dhcp_init()) != 0)
        return err;
    if (c->capture)
        net_capture_expect();
    mutex_lock(&need_lock);
    wanted = *c;
    atomic_store(&need_done, 0u);
    atomic_store(&wanted_valid, true);
    if (c->mode == NET_STATIC)
        net_apply_config(c, nif);
    if (c->prefix6 != 0) {
        struct ip_addr addr, gateway;
        memcpy(&addr, c->address6, sizeof addr);
        memcpy(&gateway, c->gateway6, sizeof gateway);
        err = ip6_configure(nif, addr, c->prefix6, gateway);
    }
    if (err == 0 && c->eager)
        err = bring_up(false, false);
    mutex_unlock(&need_lock);
    if (c->mode == NET_STATIC && net_config_changed != NULL)
        net_config_changed();
    return err;
}

bool net_current_config(struct net_config *ret)
{
    spin_lock_bh(&config_lock);
    bool valid = current_valid;
    if (valid)
        *ret = current;
    spin_unlock_bh(&config_lock);
    return valid;
}

int net_parse_ipv4(const char *s, u32 *ret)
{
    u32 addr = 0;
    for (unsigned i = 0; i < 4; i++) {
        u32 v = 0;
        unsigned digits = 0;
        for (; *s >= '0' && *s <= '9'; s++) {
            v = v * 10 + (u32)(*s - '0');
            if (++digits > 3 || v > 255)
                return -EINVAL;
        }
        if (digits == 0 || *s != (i < 3 ? '.' : '\0'))
            return -EINVAL;
        addr |= v << (8 * i);
        s++;
    }
    *ret = addr;
    return 0;
}

/* One group of up to four hexadecimal digits: its end, or NULL. */
static const char *hex_group(const char *s, u32 *ret)
{
    u32 v = 0, n = 0;
    for (;; s++, n++) {
        u32 c = (u8)*s | 32u;
        u32 digit = *s >= '0' && *s <= '9' ? (u32)(*s - '0') : c >= 'a' && c <= 'f' ? c - 'a' + 10 : 16;
        if (digit == 16)
            break;
        v = v << 4 | digit;
    }
    *ret = v;
    return n >= 1 && n <= 4 ? s : NULL;
}

int net_parse_ipv6(const char *s, u8 ret[16])
{
    u8 out[16] = { 0 };
    unsigned n = 0, gap = 16; /* gap: where :: stands */
    if (s[0] == ':' && s[1] != ':')
        return -EINVAL;
    while (*s != '\0' || n == 0) {
        u32 v;
        if (s[0] == ':' && s[1] == ':') {
            if (gap != 16 || n == 16)
                return -EINVAL;
            gap = n;
            s += 2;
            if (*s == '\0')
                break;
        } else if (n > 0 && gap != n && *s++ != ':') {
            return -EINVAL;
        }
        if (n == 16)
            return -EINVAL;
        if (n <= 12 && net_parse_ipv4(s, &v) == 0) { /* its last four bytes as IPv4 */
            memcpy(out + n, &v, 4);
            n += 4;
            break;
        }
        if ((s = hex_group(s, &v)) == NULL)
            return -EINVAL;
        put_be16(out + n, (u16)v);
        n += 2;
    }
    if (gap == 16 ? n != 16 : n > 14)
        return -EINVAL;
    if (gap != 16) {
        memmove(out + 16 - (n - gap), out + gap, n - gap);
        memset(out + gap, 0, 16 - n);
    }
    memcpy(ret, out, 16);
    return 0;
}

void net_init(void)
{
    struct mem_stats ms;
    page_stats(&ms);
    net_mem_limit = MAX(ms.free_pages / 4 * PAGE_SIZE, 512 * 1024UL);
    random_bytes(net_secret, sizeof net_secret);
    mutex_init(&need_lock, "net_need");
    pkt_init();
    neigh_init();
    ip_frag_init();
    ip6_init();
    mc_init();
    tcp_init();
    lo_init();
    net_capture_init();
    sieve_far_init();
    netdev_added = device_added;
    netdev_for_each(add_existing, NULL);
}
