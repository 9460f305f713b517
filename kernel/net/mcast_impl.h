/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Groups of both families: who is in which (mcast.c), and what the link hears of it (mcast_wire.c).
 *
 * A socket's membership of a group on an interface has a mode and sources: all but those, or those alone. What the members of a group want
 * together is its filter (RFC 3376 3.2): it says what the interface lets in, and its changes are what is reported.
 * A group lives while it has members, is an address's own, or has changes to tell.
 */
#ifndef MCAST_IMPL_H
#define MCAST_IMPL_H

#include "sock_impl.h"

#define IGMP_SOURCES 10u /* igmp_max_msf of Linux */
#define MC_SOURCES 64u   /* mld_max_msf; and what a report tells of one group */

struct mc_filter {
    bool exclude;
    u8 n;
    struct ip_addr src[MC_SOURCES];
};

struct mc_group { /* mc_lock */
    struct list node;
    struct netif *nif;
    struct ip_addr addr;
    struct list members;
    unsigned own;               /* addresses of ours that need it */
    u8 mode_left, source_left;  /* how often a change of the mode, or of sources alone, is still to be told */
    u64 change_ns, answer_ns;   /* when that is, and when a query is answered; 0 = not at all */
    struct mc_filter *touched;  /* the sources that changed; NULL = none */
    struct mc_filter *asked;    /* the sources that a query asked for; NULL = it asked for the group */
};

struct mc_member { /* mc_lock */
    struct list node;       /* of its group */
    struct mc_member *next; /* of its socket */
    struct sock *s;
    struct mc_group *group;
    bool exclude;
    u8 n;
    struct ip_addr *src;    /* room for all it may have; NULL = there never was one */
};

extern struct spinlock mc_lock;
extern struct list mc_groups; /* mc_lock */

static inline unsigned mc_max_sources(struct ip_addr group) { return ip_is_v4(group) ? IGMP_SOURCES : MC_SOURCES; }
static inline bool mc_members(const struct mc_group *g) { return g->own != 0 || g->members.next != &g->members; }
/* The place of a in a list, or n. */
unsigned mc_find_source(const struct ip_addr *list, unsigned n, struct ip_addr a);
/* What the members want together; more sources than there is room for: everything. */
void mc_filter_of(const struct mc_group *g, struct mc_filter *ret);
bool mc_group_wants(const struct mc_group *g, struct ip_addr src);
/* The filter was `before`: tell the link. mc_lock. */
void mc_changed(struct mc_group *g, const struct mc_filter *before);
/* Free g if nothing keeps it. mc_lock. */
void mc_group_done(struct mc_group *g);
struct mc_group *mc_find_group(const struct netif *nif, struct ip_addr addr);
/* Of IGMP or MLD: what the link's querier speaks. mc_lock. */
unsigned mc_version(const struct netif *nif, bool v6);

#endif
