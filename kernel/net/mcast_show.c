/* SPDX-License-Identifier: Apache-2.0 */
/* /proc/net/igmp and igmp6, in Linux's layouts. */
#include "mcast_impl.h"

#define TICK_NS (NSEC_PER_SEC / 100)

static unsigned users(const struct mc_group *g)
{
    unsigned n = g->own;
    list_for_each(m, &g->members, struct mc_member, node)
        n++;
    return n;
}

/* When something is to be said of g, in ticks from now; 0 = nothing. */
static unsigned long ticks_left(const struct mc_group *g)
{
    u64 now = now_ns(), at = g->answer_ns != 0 ? g->answer_ns : g->change_ns;
    return at > now ? (unsigned long)((at - now) / TICK_NS + 1) : 0;
}

static bool shown(const struct mc_group *g, const struct netif *nif, bool v6) { return g->nif == nif && ip_is_v4(g->addr) != v6 && mc_members(g); }

size_t igmp_show(char *buf, size_t size)
{
    struct text t = { buf, size, 0 };
    text_add(&t, "Idx\tDevice    : Count Querier\tGroup    Users Timer\tReporter\n");
    spin_lock_bh(&mc_lock);
    for (unsigned i = 0; i < NETIF_MAX && netifs[i] != NULL; i++) {
        const struct netif *nif = netifs[i];
        unsigned n = 1;
        list_for_each(g, &mc_groups, struct mc_group, node)
            n += shown(g, nif, false);
        text_add(&t, "%u\t%-10s: %5u      V%u\n", nif->dev->index, nif->dev->name, n, mc_version(nif, false));
        list_for_each(g, &mc_groups, struct mc_group, node)
            if (shown(g, nif, false))
                text_add(&t, "\t\t\t\t%08X %5u %u:%08lX\t\t%u\n", ip_to_v4(g->addr), users(g), ticks_left(g) != 0, ticks_left(g), 0);
        text_add(&t, "\t\t\t\t%08X %5u 0:00000000\t\t0\n", IP4(224, 0, 0, 1), 1);
    }
    spin_unlock_bh(&mc_lock);
    return t.len;
}

static void add_line(struct text *t, const struct netif *nif, struct ip_addr a, unsigned users, unsigned flags, unsigned long ticks)
{
    text_add(t, "%-4u %-15s ", nif->dev->index, nif->dev->name);
    text_add_hex(t, &a, sizeof a);
    text_add(t, " %5u %08X %lu\n", users, flags, ticks);
}

size_t igmp6_show(char *buf, size_t size)
{
    enum { TIMER = 1, LOADED = 4, UNREPORTED = 8 }; /* MAF_* of Linux */
    struct text t = { buf, size, 0 };
    spin_lock_bh(&mc_lock);
    for (unsigned i = 0; i < NETIF_MAX && netifs[i] != NULL; i++) {
        list_for_each(g, &mc_groups, struct mc_group, node)
            if (shown(g, netifs[i], true))
                add_line(&t, netifs[i], g->addr, users(g), LOADED | (ticks_left(g) != 0 ? TIMER : 0), ticks_left(g));
        add_line(&t, netifs[i], IP6_ALL_NODES, 1, LOADED | UNREPORTED, 0);
    }
    spin_unlock_bh(&mc_lock);
    return t.len;
}
