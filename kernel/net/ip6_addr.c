/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Addresses, prefixes and routers of the one card: fixed ones, and stateless autoconfiguration (RFC 4862) with routers and
 * prefixes by RFC 4861; source selection by RFC 6724, rules 1 to 3 and 8. Interface identifiers are EUI-64.
 *
 * Addresses are optimistic (RFC 4429): in use at once, while one probe a second looks for somebody else who has it;
 * if there is one, the address goes. So a machine that lives for a second need not wait for one.
 *
 * Bounds: IP6_ADDRS addresses, IP6_PREFIXES prefixes, IP6_ROUTERS routers, in that an advertisement adds no more than there
 * is room. One timer, armed while something ends or is to be sent.
 */
#include "kern/thread.h"
#include "net_impl.h"

#define SOLICITS 3u
#define SOLICIT_NS (4 * NSEC_PER_SEC)
#define DAD_NS (1 * NSEC_PER_SEC)
#define TWO_HOURS_S 7200u
#define MIN_MTU 1280u

struct ip6_addr ip6_addrs[IP6_ADDRS];

static struct {
    struct spinlock lock;
    struct netif *nif; /* the card; NULL until it is open or configured */
    struct {
        struct ip_addr addr;
        u8 plen; /* 0 = free */
        u64 until_ns;
    } prefix[IP6_PREFIXES];
    struct {
        struct ip_addr addr; /* :: = free */
        u64 until_ns;
    } router[IP6_ROUTERS];
    u32 mtu;           /* 0 = the card's */
    u8 solicits;       /* router solicitations still to send */
    u64 solicit_ns;
    u32 answered;      /* atomic: a router has spoken */
    struct ktimer timer;
    struct waitqueue wq;
} six = { .lock = SPINLOCK_INIT("net_ip6") };

/* --- addresses --------------------------------------------------------------------------------- */

static struct ip_addr mask(struct ip_addr a, u32 plen)
{
    u8 b[16];
    memcpy(b, &a, sizeof b);
    for (u32 i = 0; i < 16; i++)
        b[i] &= (u8)(plen >= 8 * i + 8 ? 0xff : plen <= 8 * i ? 0 : 0xff << (8 * i + 8 - plen));
    memcpy(&a, b, sizeof a);
    return a;
}

static bool in_prefix(struct ip_addr a, struct ip_addr prefix, u32 plen) { return ip_equal(mask(a, plen), mask(prefix, plen)); }

static u32 common_bits(struct ip_addr a, struct ip_addr b)
{
    u64 hi = bswap64(a.hi ^ b.hi), lo = bswap64(a.lo ^ b.lo);
    return hi != 0 ? (u32)__builtin_clzll(hi) : lo != 0 ? 64 + (u32)__builtin_clzll(lo) : 128;
}

static struct ip_addr eui64(struct ip_addr prefix, const u8 mac[6])
{
    const u8 id[8] = { mac[0] ^ 2, mac[1], mac[2], 0xff, 0xfe, mac[3], mac[4], mac[5] };
    memcpy(&prefix.lo, id, sizeof id);
    return prefix;
}

static struct ip6_addr *find_addr(struct ip_addr a)
{
    for (unsigned i = 0; i < IP6_ADDRS; i++)
        if (atomic_load(&ip6_addrs[i].used) && ip_equal(ip6_addrs[i].addr, a))
            return &ip6_addrs[i];
    return NULL;
}

bool ip6_is_local(struct ip_addr a) { return ip_equal(a, IP6_LOOPBACK) || find_addr(a) != NULL; }

bool ip6_accepts(struct ip_addr dst)
{
    if (!ip_is_group(dst))
        return find_addr(dst) != NULL;
    if (ip_equal(dst, IP6_ALL_NODES))
        return true;
    for (unsigned i = 0; i < IP6_ADDRS; i++)
        if (atomic_load(&ip6_addrs[i].used) && ip_equal(ip6_solicited_node(ip6_addrs[i].addr), dst))
            return true;
    return false;
}

static void arm(u64 now)
{
    u64 next = six.solicits > 0 ? six.solicit_ns : NEVER_NS;
    for (unsigned i = 0; i < IP6_ADDRS; i++)
        if (ip6_addrs[i].used)
            next = MIN(next, MIN(ip6_addrs[i].valid_ns, ip6_addrs[i].dad_ns));
    for (unsigned i = 0; i < IP6_PREFIXES; i++)
        if (six.prefix[i].plen != 0)
            next = MIN(next, six.prefix[i].until_ns);
    for (unsigned i = 0; i < IP6_ROUTERS; i++)
        if (!ip_is_unspec(six.router[i].addr))
            next = MIN(next, six.router[i].until_ns);
    if (next != NEVER_NS)
        ktimer_start(&six.timer, next);
}

static void changed(void)
{
    atomic_add(&route_gen, 1u);
    net_changed();
}

static void add_addr(struct ip_addr a, u8 plen, u64 preferred_ns, u64 valid_ns, bool permanent)
{
    struct ip6_addr *free = NULL;
    for (unsigned i = 0; i < IP6_ADDRS && free == NULL; i++)
        if (!ip6_addrs[i].used)
            free = &ip6_addrs[i];
    if (free == NULL || find_addr(a) != NULL)
        return;
    free->addr = a;
    free->plen = plen;
    free->preferred_ns = preferred_ns;
    free->valid_ns = valid_ns;
    free->permanent = permanent;
    free->dad_ns = now_ns() + DAD_NS;
    atomic_store(&free->used, true);
    changed();
    mc_own(six.nif, ip6_solicited_node(a), true);
    if (six.nif->dev->opened)
        nd_probe(six.nif, a);
}

static void drop_addr(struct ip6_addr *a)
{
    atomic_store(&a->used, false);
    mc_own(six.nif, ip6_solicited_node(a->addr), false);
    changed();
}

static void add_prefix(struct ip_addr a, u8 plen, u64 until_ns)
{
    unsigned at = IP6_PREFIXES;
    for (unsigned i = 0; i < IP6_PREFIXES; i++) {
        bool same = six.prefix[i].plen == plen && in_prefix(a, six.prefix[i].addr, plen);
        if (same || (six.prefix[i].plen == 0 && at == IP6_PREFIXES))
            at = i;
        if (same)
            break;
    }
    if (at == IP6_PREFIXES)
        return;
    six.prefix[at].addr = mask(a, plen);
    six.prefix[at].plen = until_ns == 0 ? 0 : plen;
    six.prefix[at].until_ns = until_ns;
    changed();
}

static void add_router(struct ip_addr a, u64 until_ns)
{
    unsigned at = IP6_ROUTERS;
    for (unsigned i = 0; i < IP6_ROUTERS; i++) {
        bool same = ip_equal(six.router[i].addr, a);
        if (same || (ip_is_unspec(six.router[i].addr) && at == IP6_ROUTERS))
            at = i;
        if (same)
            break;
    }
    if (at == IP6_ROUTERS)
        return;
    six.router[at].addr = until_ns == 0 ? IP6_ANY : a;
    six.router[at].until_ns = until_ns;
    changed();
}

void ip6_duplicate(struct ip_addr addr)
{
    bool gone = false;
    spin_lock(&six.lock);
    struct ip6_addr *a = find_addr(addr);
    if (a != NULL && a->dad_ns != NEVER_NS) {
        drop_addr(a);
        gone = true;
    }
    spin_unlock(&six.lock);
    if (gone) {
        NET_COUNT(ip6_duplicates);
        klog(LOG_WARN, "net: somebody else has one of our IPv6 addresses: it is not used");
    }
}

/* --- time ---------------------------------------------------------------------------------------- */

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
        if (!a->used)
            continue;
        if (now >= a->dad_ns)
            a->dad_ns = NEVER_NS;
        if (now >= a->valid_ns)
            drop_addr(a);
    }
    for (unsigned i = 0; i < IP6_PREFIXES; i++)
        if (six.prefix[i].plen != 0 && now >= six.prefix[i].until_ns)
            add_prefix(six.prefix[i].addr, six.prefix[i].plen, 0);
    for (unsigned i = 0; i < IP6_ROUTERS; i++)
        if (!ip_is_unspec(six.router[i].addr) && now >= six.router[i].until_ns)
            add_router(six.router[i].addr, 0);
    if (six.solicits > 0 && now >= six.solicit_ns) {
        six.solicits--;
        six.solicit_ns = now + SOLICIT_NS;
        nd_router_solicit(six.nif, ip6_link_local());
    }
    arm(now);
    spin_unlock(&six.lock);
    net_kick();
}

void ip6_start(struct netif *nif)
{
    spin_lock_bh(&six.lock);
    u64 now = now_ns();
    six.nif = nif;
    for (unsigned i = 0; i < IP6_ADDRS; i++)
        if (ip6_addrs[i].used) {
            ip6_addrs[i].dad_ns = now + DAD_NS;
            nd_probe(nif, ip6_addrs[i].addr);
        }
    struct ip_addr prefix = { 0x80feULL, 0 };
    add_addr(eui64(prefix, nif->dev->mac), 64, NEVER_NS, NEVER_NS, true);
    nd_router_solicit(nif, ip6_link_local());
    six.solicits = SOLICITS - 1;
    six.solicit_ns = now + SOLICIT_NS;
    arm(now);
    spin_unlock(&six.lock);
    net_kick();
    bh_enable();
}

int ip6_configure(struct netif *nif, struct ip_addr addr, u8 plen, struct ip_addr gateway)
{
    spin_lock_bh(&six.lock);
    six.nif = nif;
    add_prefix(addr, plen, NEVER_NS);
    add_addr(addr, plen, NEVER_NS, NEVER_NS, true);
    if (!ip_is_unspec(gateway)) {
        add_router(gateway, NEVER_NS);
        atomic_store(&six.answered, 1u);
    }
    spin_unlock_bh(&six.lock);
    return 0;
}

void ip6_wait(u64 deadline_ns) { wait_event_interruptible_until(&six.wq, atomic_load(&six.answered) != 0, deadline_ns); }

/* --- what a router says ---------------------------------------------------------------------------- */

static u64 until(u64 now, u32 seconds) { return seconds == UINT32_MAX ? NEVER_NS : seconds == 0 ? 0 : now + seconds * NSEC_PER_SEC; }

/* RFC 4862 5.5.3. o: the option of 32 bytes. */
static void prefix_option(const u8 *o, u64 now)
{
    struct ip_addr prefix;
    u32 valid = get_be32(o + 4), preferred = get_be32(o + 8);
    u8 plen = o[2];
    memcpy(&prefix, o + 16, sizeof prefix);
    if (plen == 0 || plen > 128 || ip_is_group(prefix) || ip6_is_link_local(prefix) || ip_is_v4(prefix) || preferred > valid)
        return;
    if ((o[3] & 0x80) != 0)
        add_prefix(prefix, plen, until(now, valid));
    if ((o[3] & 0x40) == 0 || plen != 64)
        return;
    struct ip6_addr *a = find_addr(eui64(prefix, six.nif->dev->mac));
    if (a == NULL && valid != 0) {
        add_addr(eui64(mask(prefix, 64), six.nif->dev->mac), 64, until(now, preferred), until(now, valid), false);
    } else if (a != NULL && !a->permanent) {
        a->preferred_ns = until(now, preferred);
        u64 left_ns = a->valid_ns == NEVER_NS ? NEVER_NS : a->valid_ns - MIN(now, a->valid_ns);
        /* An unauthenticated advertisement cannot make it shorter than two hours. */
        if (valid > TWO_HOURS_S || until(0, valid) > left_ns)
            a->valid_ns = until(now, valid);
        else if (left_ns > TWO_HOURS_S * NSEC_PER_SEC)
            a->valid_ns = until(now, TWO_HOURS_S);
        changed();
    }
}

/* Options that the stack has no use for: RDNSS and DNSSL (RFC 8106), captive portal (8910), PREF64 (8781). */
static bool for_programs(const u8 *o, u32 size)
{
    return (o[0] == 25 && size >= 24 && size % 16 == 8) || (o[0] == 31 && size >= 16) || o[0] == 37 || (o[0] == 38 && size == 16);
}

void ip6_router_advert(struct netif *nif, struct ip_addr router, const u8 *msg, u32 len)
{
    u64 now = now_ns();
    spin_lock(&six.lock);
    if (six.nif == nif) {
        add_router(router, until(now, get_be16(msg + 6)));
        for (u32 at = 16; at + 8 <= len && msg[at + 1] != 0; at += msg[at + 1] * 8u) {
            u32 size = msg[at + 1] * 8u;
            if (at + size > len)
                break;
            if (msg[at] == 3 && size == 32)
                prefix_option(msg + at, now);
            else if (msg[at] == 5 && size == 8 && get_be32(msg + at + 4) >= MIN_MTU && get_be32(msg + at + 4) <= nif->dev->mtu)
                six.mtu = get_be32(msg + at + 4);
            else if (for_programs(msg + at, size))
                rtnl_option(nif, router, msg + at, size);
        }
        six.solicits = 0;
        arm(now);
    }
    spin_unlock(&six.lock);
    atomic_store(&six.answered, 1u);
    wq_wake(&six.wq, 0);
}

/* --- routes ----------------------------------------------------------------------------------------- */

/* The source for dst: the same scope, not deprecated, the longest common prefix. */
static bool select_source(struct ip_addr dst, u64 now, struct ip_addr *ret)
{
    int best = -1;
    bool local = ip6_is_link_local(dst) || (ip_is_group(dst) && ((dst.hi >> 8) & 0xf) == 2);
    for (unsigned i = 0; i < IP6_ADDRS; i++) {
        const struct ip6_addr *a = &ip6_addrs[i];
        if (!a->used)
            continue;
        int fit = (ip6_is_link_local(a->addr) == local ? 1024 : 0) + (now < a->preferred_ns ? 512 : 0) + (int)common_bits(a->addr, dst);
        if (fit > best) {
            best = fit;
            *ret = a->addr;
        }
    }
    return best >= 0;
}

static bool next_hop(struct ip_addr dst, struct ip_addr *ret)
{
    *ret = dst;
    if (ip_is_group(dst) || ip6_is_link_local(dst))
        return true;
    for (unsigned i = 0; i < IP6_PREFIXES; i++)
        if (six.prefix[i].plen != 0 && in_prefix(dst, six.prefix[i].addr, six.prefix[i].plen))
            return true;
    for (unsigned i = 0; i < IP6_ROUTERS; i++)
        if (!ip_is_unspec(six.router[i].addr)) {
            *ret = redirect_gateway(dst, six.router[i].addr);
            return true;
        }
    return false;
}

int ip6_route_find(struct ip_addr dst, struct ip_addr src, unsigned ifindex, struct ip_route *ret)
{
    bool any = ip_is_any(src);
    bool group = ip_is_group(dst) && ifindex == lo_if.dev->index;
    if (ip6_is_local(dst) || group) {
        ret->nif = &lo_if;
        ret->src = !any ? src : group ? IP6_LOOPBACK : dst;
        ret->nexthop = dst;
        ret->mtu = lo_if.dev->mtu;
        return 0;
    }
    int err = -ENETUNREACH;
    spin_lock_bh(&six.lock);
    struct netif *nif = six.nif;
    ret->src = src;
    if (nif != NULL && (ifindex == 0 || ifindex == nif->dev->index) && !ip_equal(src, IP6_LOOPBACK) && next_hop(dst, &ret->nexthop) &&
        (!any || select_source(dst, now_ns(), &ret->src))) {
        ret->nif = nif;
        ret->mtu = six.mtu != 0 ? MIN(six.mtu, nif->dev->mtu) : nif->dev->mtu;
        err = 0;
    }
    spin_unlock_bh(&six.lock);
    if (err == 0)
        ret->mtu = pmtu_lookup(dst, ret->mtu);
    else
        NET_COUNT(ip_no_route);
    return err;
}

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

unsigned ip6_route_list(struct ip6_route ret[IP6_ROUTES], struct netif **ret_nif)
{
    unsigned n = 0;
    spin_lock_bh(&six.lock);
    *ret_nif = six.nif;
    for (unsigned i = 0; i < IP6_PREFIXES; i++)
        if (six.prefix[i].plen != 0)
            ret[n++] = (struct ip6_route){ .dst = six.prefix[i].addr, .plen = six.prefix[i].plen };
    if (!ip_is_unspec(ip6_link_local()))
        ret[n++] = (struct ip6_route){ .dst = { 0x80feULL, 0 }, .plen = 64 };
    for (unsigned i = 0; i < IP6_ROUTERS; i++)
        if (!ip_is_unspec(six.router[i].addr))
            ret[n++] = (struct ip6_route){ .gateway = six.router[i].addr };
    spin_unlock_bh(&six.lock);
    return n;
}

/* --- texts ------------------------------------------------------------------------------------------- */

size_t ip6_show_addrs(char *buf, size_t size)
{
    struct text t = { buf, size, 0 };
    text_add(&t, "00000000000000000000000000000001 01 80 10 80       lo\n");
    spin_lock_bh(&six.lock);
    for (unsigned i = 0; i < IP6_ADDRS; i++) {
        const struct ip6_addr *a = &ip6_addrs[i];
        if (!a->used)
            continue;
        const u8 *b = (const u8 *)&a->addr;
        for (unsigned k = 0; k < 16; k++)
            text_add(&t, "%02x", b[k]);
        text_add(&t, " %02x %02x %02x %02x %8s\n", six.nif->dev->index, a->plen, ip6_is_link_local(a->addr) ? 0x20 : 0,
                 (a->permanent ? 0x80 : 0) | (a->dad_ns != NEVER_NS ? 0x04 : 0), six.nif->dev->name);
    }
    spin_unlock_bh(&six.lock);
    return t.len;
}

void ip6_init(void)
{
    ktimer_init(&six.timer, tick);
    wq_init(&six.wq, "ip6_wq");
}
