/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a router says: RFC 4861 6.3.4 (routers, prefixes, MTU), RFC 4862 5.5.3 (addresses), RFC 4191 (preferences, routes for prefixes).
 * Whether it is asked and believed stands in net.ipv6.conf (ip6_conf.c).
 */
#include "ip6_impl.h"
#include "kern/thread.h"

#define TWO_HOURS_S 7200u
#define MIN_MTU 1280u
enum { OPT_PREFIX = 3, OPT_MTU = 5, OPT_ROUTE = 24 };

static u64 until(u64 now, u32 seconds) { return seconds == UINT32_MAX ? NEVER_NS : seconds == 0 ? 0 : now + seconds * NSEC_PER_SEC; }

/* Of a route. NEVER_NS is that of those which no router told of. */
static u64 route_until(u64 now, u32 seconds) { return MIN(until(now, seconds), NEVER_NS / 2); }

static bool says(const s32 *setting) { return atomic_load(setting) != 0; }

/* RFC 4862 5.5.3 of an address that there is: an unauthenticated advertisement cannot make it shorter than two hours. */
static void renew(struct ip6_addr *a, u32 preferred, u32 valid, u64 now)
{
    u64 left_ns = a->valid_ns == NEVER_NS ? NEVER_NS : a->valid_ns - MIN(now, a->valid_ns);
    a->preferred_ns = until(now, preferred);
    if (valid > TWO_HOURS_S || until(0, valid) > left_ns)
        a->valid_ns = until(now, valid);
    else if (left_ns > TWO_HOURS_S * NSEC_PER_SEC)
        a->valid_ns = until(now, TWO_HOURS_S);
    ip6_temp_renew(a);
    ip6_changed();
}

/* o: the option of 32 bytes. */
static void prefix_option(const u8 *o, u64 now)
{
    struct ip_addr prefix;
    u32 valid = get_be32(o + 4), preferred = get_be32(o + 8);
    u8 plen = o[2];
    memcpy(&prefix, o + 16, sizeof prefix);
    if (plen == 0 || plen > 128 || ip_is_group(prefix) || ip6_is_link_local(prefix) || ip_is_v4(prefix) || preferred > valid)
        return;
    if ((o[3] & 0x80) != 0)
        ip6_route_set(prefix, plen, IP6_ANY, 0, route_until(now, valid));
    if ((o[3] & 0x40) == 0 || plen != 64 || !says(&ip6_card.autoconf))
        return;
    struct ip_addr ours = ip6_eui64(ip6_mask(prefix, 64), six.nif->dev->mac);
    struct ip6_addr *a = ip6_addr_find(ours);
    if (a == NULL && valid != 0)
        (void)ip6_addr_add(ours, 64, until(now, preferred), until(now, valid));
    else if (a != NULL && !a->permanent)
        renew(a, preferred, valid, now);
}

/* Is a route for a prefix of that length wanted? */
static bool route_wanted(u8 plen)
{
    if (plen == 0)
        return says(&ip6_card.accept_ra_defrtr);
    return plen >= atomic_load(&ip6_card.accept_ra_rt_info_min_plen) && plen <= atomic_load(&ip6_card.accept_ra_rt_info_max_plen);
}

/* RFC 4191 2.3: of 8, 16 or 24 bytes, as the prefix needs. */
static void route_option(struct ip_addr router, const u8 *o, u32 size, u64 now)
{
    struct ip_addr prefix = IP6_ANY;
    u32 plen = o[2], pref = o[3] >> 3 & 3, bytes = size - 8;
    if (bytes > sizeof prefix || plen > 8 * bytes || pref == IP6_PREF_RESERVED || !route_wanted((u8)plen))
        return;
    memcpy(&prefix, o + 8, bytes);
    if (!ip_is_group(prefix))
        ip6_route_set(prefix, (u8)plen, router, says(&ip6_card.accept_ra_rtr_pref) ? pref : IP6_PREF_MEDIUM, route_until(now, get_be32(o + 4)));
}

/* Options that the stack has no use for: RDNSS and DNSSL (RFC 8106), captive portal (8910), PREF64 (8781). */
static bool for_programs(const u8 *o, u32 size)
{
    return (o[0] == 25 && size >= 24 && size % 16 == 8) || (o[0] == 31 && size >= 16) || o[0] == 37 || (o[0] == 38 && size == 16);
}

static void set_mtu(s32 mtu)
{
    if (atomic_load(&ip6_card.mtu) == mtu)
        return;
    atomic_store(&ip6_card.mtu, mtu);
    atomic_add(&route_gen, 1u);
}

static void option(const struct netif *nif, struct ip_addr router, const u8 *o, u32 size, u64 now)
{
    u32 mtu = size == 8 ? get_be32(o + 4) : 0;
    if (o[0] == OPT_PREFIX && size == 32 && says(&ip6_card.accept_ra_pinfo))
        prefix_option(o, now);
    else if (o[0] == OPT_MTU && mtu >= MIN_MTU && mtu <= nif->dev->mtu && says(&ip6_card.accept_ra_mtu))
        set_mtu((s32)mtu);
    else if (o[0] == OPT_ROUTE)
        route_option(router, o, size, now);
    else if (for_programs(o, size))
        rtnl_option(nif, router, o, size);
}

void ip6_router_advert(struct netif *nif, struct ip_addr router, const u8 *msg, u32 len)
{
    u64 now = now_ns();
    if (!says(&ip6_card.accept_ra))
        return;
    spin_lock(&six.lock);
    if (six.nif == nif && !says(&ip6_card.disable_ipv6)) {
        u32 pref = msg[5] >> 3 & 3, life = get_be16(msg + 6);
        if (pref == IP6_PREF_RESERVED || !says(&ip6_card.accept_ra_rtr_pref))
            pref = IP6_PREF_MEDIUM;
        if (says(&ip6_card.accept_ra_defrtr)) {
            ip6_route_set(IP6_ANY, 0, router, pref, until(now, life));
            if (msg[4] != 0 && msg[4] >= atomic_load(&ip6_card.accept_ra_min_hop_limit))
                atomic_store(&ip6_card.hop_limit, (s32)msg[4]);
        }
        for (u32 at = 16; at + 8 <= len && msg[at + 1] != 0; at += msg[at + 1] * 8u) {
            u32 size = msg[at + 1] * 8u;
            if (at + size > len)
                break;
            option(nif, router, msg + at, size, now);
        }
        six.solicits = 0;
        ip6_settle(now);
    }
    spin_unlock(&six.lock);
    atomic_store(&six.answered, 1u);
    wq_wake(&six.wq, 0);
}
