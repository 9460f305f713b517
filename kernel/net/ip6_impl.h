/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private to IPv6's own files: the state of the one card.
 *
 *   ip6_addr.c   addresses, duplicates, the timer        ip6_route.c  what routers and prefixes are known, who is asked, from where
 *   ip6_ra.c     what a router says                      ip6_temp.c   temporary addresses; or no_ip6_temp.c
 *   ip6_conf.c   net.ipv6.conf                           ip6_nd.c     the link
 */
#ifndef IP6_IMPL_H
#define IP6_IMPL_H

#include "net_impl.h"

/* net.ipv6.conf.NAME, with Linux's names, values and defaults. The card's is in force; words, read without a lock. */
struct ip6_conf {
    s32 accept_ra, accept_ra_defrtr, accept_ra_mtu, accept_ra_pinfo, accept_ra_rt_info_min_plen, accept_ra_rt_info_max_plen;
    s32 accept_ra_min_hop_limit, accept_ra_rtr_pref, accept_redirects, autoconf, dad_transmits, disable_ipv6, forwarding, hop_limit, mtu;
    s32 max_desync_factor, regen_max_retry, temp_prefered_lft, temp_valid_lft, use_tempaddr; /* ip6_temp.c; seconds */
};
enum { CONF_ALL, CONF_DEFAULT, CONF_LO, CONF_CARD, CONFS };
extern struct ip6_conf ip6_confs[CONFS];
#define ip6_card ip6_confs[CONF_CARD]

struct ip6_item {
    const char *name; /* NULL: behind the last */
    u16 at;           /* of struct ip6_conf */
    bool fixed;       /* no program changes it */
    s32 min, max;
    void (*changed)(struct ip6_conf *c); /* thread context, no lock; may be NULL */
};
#define IP6_ITEM(field, ...) { #field, offsetof(struct ip6_conf, field), __VA_ARGS__ }
extern const struct ip6_item ip6_temp_items[];

extern struct ip6_state {
    struct spinlock lock; /* all below, and what ip6_addrs and the routes are changed under */
    struct netif *nif;    /* the card; NULL until it is open or configured */
    u8 solicits;          /* router solicitations still to send */
    u64 solicit_ns;
    u32 answered; /* atomic: a router has spoken */
    struct ktimer timer;
    struct waitqueue wq;
} six;

/* All of these with six.lock held. */

/* A new address, which is looked for on the link; NULL: there is no room, or it is there. */
struct ip6_addr *ip6_addr_add(struct ip_addr a, u8 plen, u64 preferred_ns, u64 valid_ns);
void ip6_addr_drop(struct ip6_addr *a);
struct ip6_addr *ip6_addr_find(struct ip_addr a);
/* Addresses, routes or how they are chosen are not as they were: what was cached is asked for again, and who listens is told. */
void ip6_changed(void);
/* Makes the temporary addresses that are due, and arms the timer for what comes next. */
void ip6_settle(u64 now);
struct ip_addr ip6_eui64(struct ip_addr prefix, const u8 mac[6]);
struct ip_addr ip6_mask(struct ip_addr a, u32 plen);
static inline bool ip6_in_prefix(struct ip_addr a, struct ip_addr prefix, u32 plen) { return ip_equal(ip6_mask(a, plen), ip6_mask(prefix, plen)); }

/* A prefix of the link (gateway ::), a default router (plen 0) or one for a prefix. until_ns 0: it is none any more. No room: nothing happens. */
void ip6_route_set(struct ip_addr dst, u8 plen, struct ip_addr gateway, u32 pref, u64 until_ns);
/* Forgets what has ended; when the next one does. */
u64 ip6_routes_expire(u64 now);
void ip6_routes_drop(void);

/* ip6_temp.c: makes what is due; when there is something again. */
u64 ip6_temp_due(u64 now);
/* The public address of a's prefix lives longer or shorter. */
void ip6_temp_renew(const struct ip6_addr *public);
/* A temporary address was dropped because somebody has it; is nobody's else, as far as we can see. */
void ip6_temp_duplicate(void);
void ip6_temp_unique(void);

#endif
