/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Addresses of the one card: fixed ones, and stateless autoconfiguration (RFC 4862). Interface identifiers are EUI-64; ip6_temp.c makes
 * others.
 *
 * Addresses are optimistic (RFC 4429): in use at once, while one probe a second looks for somebody else who has it;
 * if there is one, the address goes. So a machine that lives for a second need not wait for one.
 *
 * Bounds: IP6_ADDRS addresses. One timer, armed while something ends or is to be sent.
 */
#include "ip6_impl.h"
#include "kern/thread.h"

#define SOLICITS 3u
#define SOLICIT_NS (4 * NSEC_PER_SEC)
#define DAD_NS (1 * NSEC_PER_SEC)

struct ip6_addr ip6_addrs[IP6_ADDRS];
struct ip6_state six = { .lock = SPINLOCK_INIT("net_ip6") };

struct ip_addr ip6_eui64(struct ip_addr prefix, const u8 mac[6])
{
    const u8 id[8] = { mac[0] ^ 2, mac[1], mac[2], 0xff, 0xfe, mac[3], mac[4], mac[5] };
    memcpy(&prefix.lo, id, sizeof id);
    return prefix;
}

struct ip6_addr *ip6_addr_find(struct ip_addr a)
{
    for (unsigned i = 0; i < IP6_ADDRS; i++)
        if (atomic_load(&ip6_addrs[i].used) && ip_equal(ip6_addrs[i].addr, a))
            return &ip6_addrs[i];
    return NULL;
}

bool ip6_is_local(struct ip_addr a)
{
    return ip_equal(a, IP6_LOOPBACK) ? atomic_load_relaxed(&ip6_confs[CONF_LO].disable_ipv6) == 0 : ip6_addr_find(a) != NULL;
}

bool ip6_accepts(struct ip_addr dst)
{
    if (!ip_is_group(dst))
        return ip6_addr_find(dst) != NULL;
    if (ip_equal(dst, IP6_ALL_NODES))
        return atomic_load_relaxed(&ip6_card.disable_ipv6) == 0;
    for (unsigned i = 0; i < IP6_ADDRS; i++)
        if (atomic_load(&ip6_addrs[i].used) && ip_equal(ip6_solicited_node(ip6_addrs[i].addr), dst))
            return true;
    return false;
}

void ip6_settle(u64 now)
{
    u64 next = MIN(ip6_temp_due(now), ip6_routes_expire(now));
    if (six.solicits > 0)
        next = MIN(next, six.solicit_ns);
    for (unsigned i = 0; i < IP6_ADDRS; i++)
        if (ip6_addrs[i].used)
            next = MIN(next, MIN(ip6_addrs[i].valid_ns, ip6_addrs[i].dad_ns));
    if (next != NEVER_NS)
        ktimer_start(&six.timer, next);
}

void ip6_changed(void)
{
    atomic_add(&route_gen, 1u);
    net_changed();
}

/* Look for somebody else who has it: once a second, as often as it is wanted; then it is ours. */
static void probe(struct ip6_addr *a, u64 now)
{
    if (a->probes > 0) {
        a->probes--;
        a->dad_ns = now + DAD_NS;
        nd_probe(six.nif, a->addr);
        return;
    }
    a->dad_ns = NEVER_NS;
    if (a->temporary)
        ip6_temp_unique();
    net_changed();
}

static void probe_first(struct ip6_addr *a, u64 now)
{
    a->probes = (u8)MIN(MAX(atomic_load(&ip6_card.dad_transmits), 0), 255);
    probe(a, now);
}

struct ip6_addr *ip6_addr_add(struct ip_addr a, u8 plen, u64 preferred_ns, u64 valid_ns)
{
    struct ip6_addr *free = NULL;
    for (unsigned i = 0; i < IP6_ADDRS && free == NULL; i++)
        if (!ip6_addrs[i].used)
            free = &ip6_addrs[i];
    if (free == NULL || ip6_addr_find(a) != NULL)
        return NULL;
    u64 now = now_ns();
    *free = (struct ip6_addr){ .addr = a, .plen = plen, .dad_ns = NEVER_NS, .preferred_ns = preferred_ns, .valid_ns = valid_ns, .made_ns = now };
    atomic_store(&free->used, true);
    ip6_changed();
    mc_own(six.nif, ip6_solicited_node(a), true);
    if (six.nif->dev->opened)
        probe_first(free, now);
    return free;
}

void ip6_addr_drop(struct ip6_addr *a)
{
    atomic_store(&a->used, false);
    mc_own(six.nif, ip6_solicited_node(a->addr), false);
    ip6_changed();
}

void ip6_duplicate(struct ip_addr addr)
{
    bool gone = false;
    spin_lock(&six.lock);
    struct ip6_addr *a = ip6_addr_find(addr);
    if (a != NULL && a->dad_ns != NEVER_NS) {
        ip6_addr_drop(a);
        gone = true;
        if (a->temporary) {
            ip6_temp_duplicate();
            ip6_settle(now_ns());
        }
    }
    spin_unlock(&six.lock);
    if (gone) {
        NET_COUNT(ip6_duplicates);
        klog(LOG_WARN, "net: somebody else has one of our IPv6 addresses: it is not used");
    }
}

struct ip_addr ip6_link_local(void)
{
    for (unsigned i = 0; i < IP6_ADDRS; i++)
        if (atomic_load(&ip6_addrs[i].used) && ip6_is_link_local(ip6_addrs[i].addr))
            return ip6_addrs[i].addr;
    return IP6_ANY;
}

static void tick(struct ktimer *t)
{
    u64 now = now_ns();
    spin_lock(&six.lock);
    for (unsigned i = 0; i < IP6_ADDRS; i++) {
        struct ip6_addr *a = &ip6_addrs[i];
        if (a->used && now >= a->dad_ns)
            probe(a, now);
        if (a->used && now >= a->valid_ns)
            ip6_addr_drop(a);
    }
    if (six.solicits > 0 && now >= six.solicit_ns) {
        six.solicits--;
        six.solicit_ns = now + SOLICIT_NS;
        nd_router_solicit(six.nif, ip6_link_local());
    }
    ip6_settle(now);
    spin_unlock(&six.lock);
    net_kick();
}

/* --- the beginning and the end ------------------------------------------------------------------- */

void ip6_start(struct netif *nif)
{
    spin_lock_bh(&six.lock);
    u64 now = now_ns();
    six.nif = nif;
    if (atomic_load(&ip6_card.disable_ipv6) != 0) {
        spin_unlock_bh(&six.lock);
        return;
    }
    for (unsigned i = 0; i < IP6_ADDRS; i++)
        if (ip6_addrs[i].used)
            probe_first(&ip6_addrs[i], now);
    struct ip_addr prefix = { 0x80feULL, 0 };
    struct ip6_addr *a = ip6_addr_add(ip6_eui64(prefix, nif->dev->mac), 64, NEVER_NS, NEVER_NS);
    if (a != NULL)
        a->permanent = true;
    nd_router_solicit(nif, ip6_link_local());
    six.solicits = SOLICITS - 1;
    six.solicit_ns = now + SOLICIT_NS;
    ip6_settle(now);
    spin_unlock(&six.lock);
    net_kick();
    bh_enable();
}

void ip6_stop(void)
{
    spin_lock_bh(&six.lock);
    for (unsigned i = 0; i < IP6_ADDRS; i++)
        if (ip6_addrs[i].used)
            ip6_addr_drop(&ip6_addrs[i]);
    ip6_routes_drop();
    six.solicits = 0;
    spin_unlock_bh(&six.lock);
}

int ip6_configure(struct netif *nif, struct ip_addr addr, u8 plen, struct ip_addr gateway)
{
    spin_lock_bh(&six.lock);
    six.nif = nif;
    ip6_route_set(addr, plen, IP6_ANY, 0, NEVER_NS);
    struct ip6_addr *a = ip6_addr_add(addr, plen, NEVER_NS, NEVER_NS);
    if (a != NULL)
        a->permanent = true;
    if (!ip_is_unspec(gateway)) {
        ip6_route_set(IP6_ANY, 0, gateway, IP6_PREF_MEDIUM, NEVER_NS);
        atomic_store(&six.answered, 1u);
    }
    spin_unlock_bh(&six.lock);
    return 0;
}

void ip6_wait(u64 deadline_ns) { wait_event_interruptible_until(&six.wq, atomic_load(&six.answered) != 0, deadline_ns); }

/* --- what others see ------------------------------------------------------------------------------ */

unsigned ip6_addr_list(struct ip6_addr ret[IP6_ADDRS], struct netif **ret_nif)
{
    unsigned n = 0;
    spin_lock_bh(&six.lock);
    *ret_nif = six.nif;
    for (unsigned i = 0; i < IP6_ADDRS; i++)
        if (ip6_addrs[i].used)
            ret[n++] = ip6_addrs[i];
    spin_unlock_bh(&six.lock);
    return n;
}

u32 ip6_addr_flags(const struct ip6_addr *a, u64 now)
{
    return (a->permanent ? 0x80u : 0) | (a->dad_ns != NEVER_NS ? 0x04u : 0) | (now >= a->preferred_ns ? 0x20u : 0) | (a->temporary ? 0x01u : 0) |
           (!a->permanent && !a->temporary ? 0x100u : 0);
}

size_t ip6_show_addrs(char *buf, size_t size)
{
    struct text t = { buf, size, 0 };
    if (ip6_is_local(IP6_LOOPBACK))
        text_add(&t, "00000000000000000000000000000001 01 80 10 80       lo\n");
    spin_lock_bh(&six.lock);
    u64 now = now_ns();
    for (unsigned i = 0; i < IP6_ADDRS; i++) {
        const struct ip6_addr *a = &ip6_addrs[i];
        if (!a->used)
            continue;
        text_add_hex(&t, &a->addr, 16);
        text_add(&t, " %02x %02x %02x %02x %8s\n", six.nif->dev->index, a->plen, ip6_is_link_local(a->addr) ? 0x20 : 0, (u8)ip6_addr_flags(a, now),
                 six.nif->dev->name);
    }
    spin_unlock_bh(&six.lock);
    return t.len;
}

void ip6_init(void)
{
    ktimer_init(&six.timer, tick);
    wq_init(&six.wq, "ip6_wq");
}
