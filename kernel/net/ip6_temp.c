/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Temporary addresses (RFC 8981), off unless net.ipv6.conf.NAME.use_tempaddr is 1 or 2 (then they are also preferred as sources: rule 7 in
 * ip6_route.c): beside each autoconfigured address one whose interface identifier is random and that is preferred for a day at most. Before
 * that ends, another one takes its place, while what is connected from the old one goes on until its valid lifetime ends.
 *
 * There is one rule: an autoconfigured address whose prefix has no temporary address that is still preferred for REGEN_ADVANCE gets one.
 *
 * Bounds: the table of addresses; where that is full, the oldest temporary address that is deprecated gives way. regen_max_retry duplicates
 * in a row end it all (RFC 8981 3.4).
 */
#include "ip6_impl.h"
#include "kern/thread.h"

static u32 duplicates; /* six.lock: in a row */

static u64 seconds(const s32 *setting) { return (u64)MAX(atomic_load(setting), 0) * NSEC_PER_SEC; }

/* How long before the end of a preferred lifetime another address is made: so long as it takes to see that nobody has it. */
static u64 advance_ns(void)
{
    return 2 * NSEC_PER_SEC + (u64)MAX(atomic_load(&ip6_card.regen_max_retry), 0) * seconds(&ip6_card.dad_transmits);
}

/* RFC 8981 3.3.1, and RFC 5453's reserved ones. */
static u64 random_id(void)
{
    for (;;) {
        u64 id = random_u64(), reserved = bswap64(id);
        if (id != 0 && reserved >> 24 != 0x02005efffeULL && reserved < 0xfdffffffffffff80ULL)
            return id;
    }
}

static void make_room(u64 now)
{
    struct ip6_addr *oldest = NULL;
    for (unsigned i = 0; i < IP6_ADDRS; i++) {
        struct ip6_addr *a = &ip6_addrs[i];
        if (!a->used)
            return;
        if (a->temporary && now >= a->preferred_ns && (oldest == NULL || a->made_ns < oldest->made_ns))
            oldest = a;
    }
    if (oldest != NULL)
        ip6_addr_drop(oldest);
}

/* Not longer than the public one, nor than is wanted of temporary ones. */
static void limit(struct ip6_addr *a, const struct ip6_addr *public)
{
    u64 wanted = seconds(&ip6_card.temp_prefered_lft), least = advance_ns() + NSEC_PER_SEC;
    u64 preferred = wanted > least + a->desync_ns ? wanted - a->desync_ns : least;
    a->valid_ns = MIN(public->valid_ns, a->made_ns + seconds(&ip6_card.temp_valid_lft));
    a->preferred_ns = MIN(MIN(public->preferred_ns, a->made_ns + preferred), a->valid_ns);
}

/* False: the prefix does not live long enough, or there is no room. */
static bool make(const struct ip6_addr *public, u64 now, u64 *ret_preferred_ns)
{
    u64 wanted = seconds(&ip6_card.temp_prefered_lft), advance = advance_ns();
    u64 spread = MIN(seconds(&ip6_card.max_desync_factor), wanted > advance ? wanted - advance : 0);
    struct ip6_addr new = { .made_ns = now, .desync_ns = spread > 0 ? random_below(spread) : 0 };
    limit(&new, public);
    if (new.preferred_ns <= now + advance)
        return false;
    make_room(now);
    struct ip6_addr *a = ip6_addr_add((struct ip_addr){ public->addr.hi, random_id() }, 64, new.preferred_ns, new.valid_ns);
    if (a == NULL)
        return false;
    a->temporary = true;
    a->desync_ns = new.desync_ns;
    *ret_preferred_ns = a->preferred_ns;
    return true;
}

/* Until when a temporary address of the prefix is preferred. */
static u64 preferred_until(const struct ip6_addr *public)
{
    u64 last = 0;
    for (unsigned i = 0; i < IP6_ADDRS; i++)
        if (ip6_addrs[i].used && ip6_addrs[i].temporary && ip6_addrs[i].addr.hi == public->addr.hi)
            last = MAX(last, ip6_addrs[i].preferred_ns);
    return last;
}

u64 ip6_temp_due(u64 now)
{
    u64 next = NEVER_NS, advance = advance_ns();
    for (unsigned i = 0; i < IP6_ADDRS && atomic_load(&ip6_card.use_tempaddr) > 0; i++) {
        const struct ip6_addr *a = &ip6_addrs[i];
        if (!a->used || a->permanent || a->temporary)
            continue;
        u64 end = preferred_until(a);
        if ((end > now + advance || make(a, now, &end)) && end != NEVER_NS)
            next = MIN(next, end - advance);
    }
    return next;
}

void ip6_temp_renew(const struct ip6_addr *public)
{
    for (unsigned i = 0; i < IP6_ADDRS; i++)
        if (ip6_addrs[i].used && ip6_addrs[i].temporary && ip6_addrs[i].addr.hi == public->addr.hi)
            limit(&ip6_addrs[i], public);
}

void ip6_temp_duplicate(void)
{
    if (++duplicates < (u32)MAX(atomic_load(&ip6_card.regen_max_retry), 0))
        return;
    duplicates = 0;
    atomic_store(&ip6_card.use_tempaddr, -1);
    klog(LOG_WARN, "net: somebody else has each temporary IPv6 address that was tried: there will be none");
}

void ip6_temp_unique(void) { duplicates = 0; }

static void use_changed(struct ip6_conf *c)
{
    if (c != &ip6_card)
        return;
    spin_lock_bh(&six.lock);
    ip6_settle(now_ns());
    ip6_changed(); /* other sources may be preferred */
    spin_unlock(&six.lock);
    net_kick();
    bh_enable();
}

const struct ip6_item ip6_temp_items[] = {
    IP6_ITEM(max_desync_factor, .min = INT32_MIN, .max = INT32_MAX),
    IP6_ITEM(regen_max_retry, .min = INT32_MIN, .max = INT32_MAX),
    IP6_ITEM(temp_prefered_lft, .min = INT32_MIN, .max = INT32_MAX),
    IP6_ITEM(temp_valid_lft, .min = INT32_MIN, .max = INT32_MAX),
    IP6_ITEM(use_tempaddr, .min = INT32_MIN, .max = INT32_MAX, .changed = use_changed),
    { .name = NULL },
};
