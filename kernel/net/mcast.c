/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memberships of groups: options of SOL_IP and SOL_IPV6 with Linux's limits and errors (ip(7), ipv6(7), RFC 3678), which datagrams they let in,
 * and IP_MULTICAST_LOOP. mcast_impl.h has the model. A stream's socket has no groups.
 */
#include "mcast_impl.h"

#define MEMBERSHIPS4 20u /* igmp_max_memberships */
#define MEMBERSHIPS6 256u
#define ALL_HOSTS IP4(224, 0, 0, 1)

enum { EXCLUDE, INCLUDE }; /* MCAST_* */

enum {
    IP_ADD_MEMBERSHIP = 35, IP_DROP_MEMBERSHIP, IP_UNBLOCK_SOURCE, IP_BLOCK_SOURCE, IP_ADD_SOURCE_MEMBERSHIP, IP_DROP_SOURCE_MEMBERSHIP, IP_MSFILTER,
    MCAST_JOIN_GROUP, MCAST_BLOCK_SOURCE, MCAST_UNBLOCK_SOURCE, MCAST_LEAVE_GROUP, MCAST_JOIN_SOURCE_GROUP, MCAST_LEAVE_SOURCE_GROUP, MCAST_MSFILTER,
    IP_MULTICAST_ALL,
};
enum { IPV6_JOIN_GROUP = 20, IPV6_LEAVE_GROUP, IPV6_MULTICAST_ALL = 29 };

#define STORAGE 128u /* struct sockaddr_storage */

struct spinlock mc_lock = SPINLOCK_INIT("net_mcast");
struct list mc_groups = LIST_INIT(mc_groups);
static struct mc_filter before; /* mc_lock: too large for a stack */

static void unlock(void)
{
    spin_unlock(&mc_lock);
    net_kick();
    bh_enable();
}

/* --- groups -------------------------------------------------------------------------------------------- */

struct mc_group *mc_find_group(const struct netif *nif, struct ip_addr addr)
{
    list_for_each(g, &mc_groups, struct mc_group, node)
        if (g->nif == nif && ip_equal(g->addr, addr))
            return g;
    return NULL;
}

unsigned mc_find_source(const struct ip_addr *list, unsigned n, struct ip_addr a)
{
    unsigned i = 0;
    while (i < n && !ip_equal(list[i], a))
        i++;
    return i;
}

static bool member_wants(const struct mc_member *m, struct ip_addr src) { return (mc_find_source(m->src, m->n, src) < m->n) != m->exclude; }

bool mc_group_wants(const struct mc_group *g, struct ip_addr src)
{
    list_for_each(m, &g->members, struct mc_member, node)
        if (member_wants(m, src))
            return true;
    return g->own != 0;
}

void mc_filter_of(const struct mc_group *g, struct mc_filter *f)
{
    f->exclude = g->own != 0;
    f->n = 0;
    list_for_each(m, &g->members, struct mc_member, node)
        f->exclude |= m->exclude;
    list_for_each(m, &g->members, struct mc_member, node)
        for (unsigned i = 0; i < m->n && m->exclude == f->exclude; i++) {
            if (mc_find_source(f->src, f->n, m->src[i]) < f->n || (f->exclude && mc_group_wants(g, m->src[i])))
                continue;
            if (f->n == MC_SOURCES) {
                f->exclude = true;
                f->n = 0;
                return;
            }
            f->src[f->n++] = m->src[i];
        }
}

static void group_init(struct mc_group *g, struct netif *nif, struct ip_addr addr)
{
    g->nif = nif;
    g->addr = addr;
    list_init(&g->members);
}

void mc_group_done(struct mc_group *g)
{
    if (mc_members(g) || g->mode_left != 0 || g->source_left != 0)
        return;
    list_remove(&g->node);
    kfree(g->touched);
    kfree(g->asked);
    kfree(g);
}

void mc_own(struct netif *nif, struct ip_addr addr, bool wanted)
{
    spin_lock_bh(&mc_lock);
    struct mc_group *g = mc_find_group(nif, addr);
    if (g == NULL && wanted && (g = kmalloc(sizeof *g, ALLOC_ZERO | ALLOC_ATOMIC)) != NULL) {
        group_init(g, nif, addr);
        list_push_front(&mc_groups, &g->node);
    }
    if (g != NULL) {
        mc_filter_of(g, &before);
        g->own += wanted ? 1u : -1u;
        mc_changed(g, &before);
        mc_group_done(g);
    } else if (wanted) {
        NET_COUNT(no_memory);
    }
    spin_unlock_bh(&mc_lock);
}

/* --- what comes in --------------------------------------------------------------------------------------- */

bool mc_accepts(const struct netif *nif, struct ip_addr group, struct ip_addr src)
{
    if (ip_is_v4(group) ? ip_to_v4(group) == ALL_HOSTS : ip_equal(group, IP6_ALL_NODES))
        return true;
    if (!ip_is_v4(group) && ip6_scope(group) <= 1 && !nif->loopback) /* interface-local: never from a wire */
        return false;
    spin_lock_bh(&mc_lock);
    const struct mc_group *g = mc_find_group(nif, group);
    bool wanted = g != NULL && mc_group_wants(g, src);
    spin_unlock_bh(&mc_lock);
    return wanted;
}

bool mc_wants(const struct sock *s, const struct ip_rx *rx)
{
    bool v4 = ip_is_v4(rx->dst), wanted = (s->mc_joined_only & (v4 ? 1 : 2)) == 0;
    if (atomic_load_relaxed(&s->mc) == NULL)
        return wanted;
    spin_lock_bh(&mc_lock);
    for (const struct mc_member *m = s->mc; m != NULL; m = m->next)
        if (ip_equal(m->group->addr, rx->dst) && m->group->nif->dev->index == rx->ifindex) {
            wanted = member_wants(m, rx->src);
            break;
        }
    spin_unlock_bh(&mc_lock);
    return wanted;
}

/* --- what goes out ----------------------------------------------------------------------------------------- */

/* A copy of what is sent, for this host's members. */
static void loop_back(const struct pkt *p, const struct ip_tx *tx)
{
    struct netif *nif = tx->rt.nif;
    struct pkt *q = pkt_alloc(NET_HEADROOM, p->total_len);
    if (q == NULL) {
        NET_COUNT(no_memory);
        return;
    }
    pkt_copy_out(p, 0, pkt_put(q, p->total_len), p->total_len);
    q->csum = p->csum == PKT_CSUM_NONE ? PKT_CSUM_NONE : PKT_CSUM_VALID;
    q->dev = nif->dev;
    u8 hlen = 0;
    if (ip_is_v4(tx->dst)) { /* which raw sockets get to see */
        ip_put_header(q, tx, ip_next_id(), 0);
        hlen = IP_HLEN;
        pkt_pull(q, hlen);
    }
    q->l4_off = (u16)pkt_headroom(q);
    *ip_rx(q) = (struct ip_rx){ .src = tx->src, .dst = tx->dst, .ttl = tx->ttl, .tos = tx->tos, .hlen = hlen, .broadcast = true,
                                .ifindex = (u16)nif->dev->index };
    raw_input(nif, q, tx->proto);
    if (tx->proto == IPPROTO_UDP)
        udp_input(nif, q);
    else if (tx->proto == IPPROTO_ICMPV6 && hlen == 0)
        icmp6_input(nif, q, true);
    else
        pkt_free(q);
}

int mc_output(struct sock *s, struct pkt *p, const struct ip_tx *tx)
{
    const struct netif *nif = tx->rt.nif;
    if (nif->loopback)
        return ip_output(p, tx);
    if (s->mc_loop && mc_accepts(nif, tx->dst, tx->src))
        loop_back(p, tx);
    if (tx->ttl == 0 || (!ip_is_v4(tx->dst) && ip6_scope(tx->dst) <= 1)) { /* not beyond this host */
        pkt_free(p);
        return 0;
    }
    return ip_output(p, tx);
}

/* --- memberships ---------------------------------------------------------------------------------------------- */

struct request {
    struct ip_addr group, source;
    u32 ifindex, address; /* of SOL_IP: the interface may be named by its address */
    bool v6;
};

static bool is_group(const struct request *r) { return ip_is_group(r->group) && ip_is_v4(r->group) != r->v6; }

/* The interface that is meant, or NULL. May wait for the network. */
static struct netif *find_nif(const struct request *r)
{
    struct netif *nif = r->ifindex != 0 ? netif_by_index(r->ifindex) : NULL;
    if (ip_is_loopback(r->address) && r->ifindex == 0)
        return &lo_if;
    if (nif == NULL ? r->ifindex == 0 : !nif->loopback)
        net_need(r->group);
    if (r->ifindex != 0)
        return nif;
    for (unsigned i = 0; r->address != 0 && i < NETIF_MAX && netifs[i] != NULL; i++)
        if (netifs[i]->addr == r->address)
            return netifs[i];
    struct ip_route rt;
    return r->address == 0 && ip_route_find(r->group, r->v6 ? IP6_ANY : ip_v4(0), 0, &rt) == 0 ? rt.nif : NULL;
}

/* The membership of the group on an interface (NULL = on any), and in how many groups of its family the socket is. */
static struct mc_member *find_member(const struct sock *s, struct ip_addr group, const struct netif *nif, unsigned *ret_count)
{
    struct mc_member *found = NULL;
    *ret_count = 0;
    for (struct mc_member *m = s->mc; m != NULL; m = m->next) {
        *ret_count += ip_is_v4(m->group->addr) == ip_is_v4(group);
        if (found == NULL && ip_equal(m->group->addr, group) && (nif == NULL || m->group->nif == nif))
            found = m;
    }
    return found;
}

static int join(struct sock *s, const struct request *r, bool exclude)
{
    unsigned count, max = r->v6 ? MEMBERSHIPS6 : MEMBERSHIPS4;
    if (!is_group(r))
        return -EINVAL;
    struct netif *nif = find_nif(r);
    if (nif == NULL)
        return -ENODEV;
    struct mc_member *m = kzalloc(sizeof *m);
    struct mc_group *fresh = kzalloc(sizeof *fresh), *g;
    int err = m == NULL || fresh == NULL ? -ENOMEM : 0;
    spin_lock_bh(&mc_lock);
    if (err == 0 && find_member(s, r->group, r->v6 && r->ifindex == 0 ? NULL : nif, &count) != NULL)
        err = -EADDRINUSE;
    else if (err == 0 && count >= max)
        err = -ENOBUFS;
    if (err == 0) {
        g = mc_find_group(nif, r->group);
        if (g == NULL) {
            g = fresh;
            fresh = NULL;
            group_init(g, nif, r->group);
            list_push_front(&mc_groups, &g->node);
        }
        mc_filter_of(g, &before);
        *m = (struct mc_member){ .s = s, .group = g, .exclude = exclude, .next = s->mc };
        list_push_back(&g->members, &m->node);
        atomic_store(&s->mc, m);
        mc_changed(g, &before);
        m = NULL;
    }
    unlock();
    kfree(m);
    kfree(fresh);
    return err;
}

static void drop_locked(struct mc_member *m)
{
    struct mc_member **at = &m->s->mc;
    while (*at != m)
        at = &(*at)->next;
    atomic_store(at, m->next);
    mc_filter_of(m->group, &before);
    list_remove(&m->node);
    mc_changed(m->group, &before);
    mc_group_done(m->group);
    kfree(m->src);
    kfree(m);
}

static int leave(struct sock *s, const struct request *r)
{
    unsigned count;
    bool any = r->v6 && r->ifindex == 0;
    if (r->v6 && !is_group(r))
        return -EINVAL;
    struct netif *nif = any ? NULL : find_nif(r);
    if (nif == NULL && !any)
        return r->ifindex == 0 && r->address == 0 ? -ENODEV : -EADDRNOTAVAIL;
    spin_lock_bh(&mc_lock);
    struct mc_member *m = find_member(s, r->group, nif, &count);
    if (m != NULL)
        drop_locked(m);
    unlock();
    return m != NULL ? 0 : -EADDRNOTAVAIL;
}

void mc_leave_all(struct sock *s)
{
    if (atomic_load_relaxed(&s->mc) == NULL)
        return;
    spin_lock_bh(&mc_lock);
    while (s->mc != NULL)
        drop_locked(s->mc);
    unlock();
}

/* --- sources ---------------------------------------------------------------------------------------------------- */

/* Add or take one; `room` becomes the member's list if it has none. What was the last one to be let in ends the membership: *ret_leave. */
static int change_source(struct mc_member *m, struct ip_addr src, bool add, bool exclude, struct ip_addr **room, bool *ret_leave)
{
    if (m->exclude != exclude && m->n != 0)
        return -EINVAL;
    m->exclude = exclude; /* an empty list may change its mode */
    unsigned at = mc_find_source(m->src, m->n, src);
    if ((at < m->n) == add)
        return add && m->n >= mc_max_sources(m->group->addr) ? -ENOBUFS : -EADDRNOTAVAIL;
    if (!add) {
        *ret_leave = m->n == 1 && !exclude;
        if (!*ret_leave)
            m->src[at] = m->src[--m->n];
        return 0;
    }
    if (m->n >= mc_max_sources(m->group->addr))
        return -ENOBUFS;
    if (m->src == NULL) {
        m->src = *room;
        *room = NULL;
    }
    m->src[m->n++] = src;
    return 0;
}

static int source(struct sock *s, const struct request *r, bool add, bool exclude)
{
    unsigned count;
    bool ended = false;
    if (!is_group(r))
        return -EINVAL;
    struct netif *nif = find_nif(r);
    if (nif == NULL)
        return -ENODEV;
    struct ip_addr *room = kmalloc(mc_max_sources(r->group) * sizeof *room, 0);
    if (room == NULL)
        return -ENOMEM;
    spin_lock_bh(&mc_lock);
    struct mc_member *m = find_member(s, r->group, nif, &count);
    int err = -EINVAL;
    if (m != NULL) {
        mc_filter_of(m->group, &before);
        err = change_source(m, r->source, add, exclude, &room, &ended);
        mc_changed(m->group, &before);
        if (ended)
            drop_locked(m);
    }
    unlock();
    kfree(room);
    return err;
}

/* Joined for one source at a time: the first makes the membership. */
static int join_source(struct sock *s, const struct request *r)
{
    int err = join(s, r, false);
    return err == 0 || err == -EADDRINUSE ? source(s, r, true, false) : err;
}

/* A whole filter at once: n sources, each `stride` bytes behind the one before. */
static int set_filter(struct sock *s, const struct request *r, u32 mode, const u8 *src, u32 n, u32 stride)
{
    unsigned count;
    if (!is_group(r) || (mode != INCLUDE && mode != EXCLUDE))
        return -EINVAL;
    if (mode == INCLUDE && n == 0)
        return leave(s, r);
    struct netif *nif = find_nif(r);
    if (nif == NULL)
        return -ENODEV;
    struct ip_addr *room = kmalloc(mc_max_sources(r->group) * sizeof *room, 0);
    if (room == NULL)
        return -ENOMEM;
    for (u32 i = 0; i < n; i++) {
        if (r->v6)
            memcpy(&room[i], src + i * stride, sizeof room[i]);
        else
            room[i] = ip_v4(get_u32(src + i * stride));
    }
    spin_lock_bh(&mc_lock);
    struct mc_member *m = find_member(s, r->group, nif, &count);
    if (m != NULL) {
        struct ip_addr *old = m->src;
        mc_filter_of(m->group, &before);
        m->exclude = mode == EXCLUDE;
        m->src = room;
        m->n = (u8)n;
        mc_changed(m->group, &before);
        room = old;
    }
    unlock();
    kfree(room);
    return m != NULL ? 0 : -EINVAL;
}

/* --- options ------------------------------------------------------------------------------------------------------ */

/* The address in a struct sockaddr_storage; false = of another family. */
static bool storage_in(const u8 *b, bool v6, struct ip_addr *ret)
{
    if (get_u16(b) != (v6 ? AF_INET6 : AF_INET))
        return false;
    if (v6)
        memcpy(ret, b + 8, sizeof *ret);
    else
        *ret = ip_v4(get_u32(b + 4));
    return true;
}

/* MCAST_*, of either family. */
static int set_any(struct sock *s, struct request *r, int name, const u8 *b, u32 len)
{
    bool plain = name == MCAST_JOIN_GROUP || name == MCAST_LEAVE_GROUP;
    if (name == MCAST_MSFILTER ? len < 16 + STORAGE : plain ? len < 8 + STORAGE : len != 8 + 2 * STORAGE)
        return -EINVAL;
    r->ifindex = get_u32(b);
    bool group = storage_in(b + 8, r->v6, &r->group);
    if (name == MCAST_MSFILTER) {
        u32 n = get_u32(b + 12 + STORAGE);
        if (n > (r->v6 ? MC_SOURCES : IGMP_SOURCES))
            return -ENOBUFS;
        if (!group || 16 + STORAGE * (1 + n) > len)
            return group || r->v6 ? -EINVAL : -EADDRNOTAVAIL;
        for (u32 i = 0; i < n; i++)
            if (!storage_in(b + 16 + STORAGE * (1 + i), r->v6, &r->source))
                return -EADDRNOTAVAIL;
        return set_filter(s, r, get_u32(b + 8 + STORAGE), b + 16 + STORAGE + (r->v6 ? 8 : 4), n, STORAGE);
    }
    if (plain && !group)
        return -EINVAL;
    if (plain)
        return name == MCAST_JOIN_GROUP ? join(s, r, true) : leave(s, r);
    if (!group || !storage_in(b + 8 + STORAGE, r->v6, &r->source))
        return -EADDRNOTAVAIL;
    if (name == MCAST_JOIN_SOURCE_GROUP)
        return join_source(s, r);
    return source(s, r, name == MCAST_BLOCK_SOURCE, name != MCAST_LEAVE_SOURCE_GROUP);
}

static int set_all(struct sock *s, bool v6, const u8 *b, u32 len)
{
    u8 bit = v6 ? 2 : 1;
    if (len < (v6 ? 4 : 1))
        return -EINVAL;
    s32 v = len >= 4 ? (s32)get_u32(b) : *b;
    if (!v6 && v != 0 && v != 1)
        return -EINVAL;
    s->mc_joined_only = (u8)(v != 0 ? s->mc_joined_only & ~bit : s->mc_joined_only | bit);
    return 0;
}

static int set_v4(struct sock *s, struct request *r, int name, const u8 *b, u32 len)
{
    bool plain = name == IP_ADD_MEMBERSHIP || name == IP_DROP_MEMBERSHIP;
    if (name == IP_MSFILTER ? len < 16 : plain ? len < 8 : len != 12)
        return -EINVAL;
    r->group = ip_v4(get_u32(b));
    r->address = get_u32(b + 4);
    if (plain && len >= 12)
        r->ifindex = get_u32(b + 8);
    else if (name != IP_MSFILTER && !plain)
        r->source = ip_v4(get_u32(b + 8));
    switch (name) {
    case IP_ADD_MEMBERSHIP:
        return join(s, r, true);
    case IP_DROP_MEMBERSHIP:
        return leave(s, r);
    case IP_ADD_SOURCE_MEMBERSHIP:
        return join_source(s, r);
    case IP_MSFILTER:
        if (get_u32(b + 12) > IGMP_SOURCES)
            return -ENOBUFS;
        return 16 + 4 * get_u32(b + 12) > len ? -EINVAL : set_filter(s, r, get_u32(b + 8), b + 16, get_u32(b + 12), 4);
    default:
        return source(s, r, name == IP_BLOCK_SOURCE, name != IP_DROP_SOURCE_MEMBERSHIP);
    }
}

int mc_setopt(struct sock *s, int level, int name, const void *val, u32 len)
{
    struct request r = { .v6 = level == IPPROTO_IPV6 };
    bool all = name == (r.v6 ? IPV6_MULTICAST_ALL : IP_MULTICAST_ALL), any = name >= MCAST_JOIN_GROUP && name <= MCAST_MSFILTER;
    bool joins6 = r.v6 && (name == IPV6_JOIN_GROUP || name == IPV6_LEAVE_GROUP), v4 = !r.v6 && name >= IP_ADD_MEMBERSHIP && name <= IP_MSFILTER;
    if (all)
        return set_all(s, r.v6, val, len);
    if (!any && !joins6 && !v4)
        return -ENOPROTOOPT;
    if (s->type == SOCK_STREAM)
        return -EPROTO;
    if (any)
        return set_any(s, &r, name, val, len);
    if (v4)
        return set_v4(s, &r, name, val, len);
    if (len < 20)
        return -EINVAL;
    memcpy(&r.group, val, sizeof r.group);
    r.ifindex = get_u32((const u8 *)val + 16);
    return name == IPV6_JOIN_GROUP ? join(s, &r, true) : leave(s, &r);
}

/* What IP_MSFILTER and MCAST_MSFILTER answer in the place of the question. */
static int get_filter(struct sock *s, struct request *r, u8 *b, u32 head, u32 stride, u32 *len)
{
    unsigned count;
    u8 *words = b + head - 8; /* mode and number */
    u32 room = get_u32(words + 4);
    if (!is_group(r))
        return -EINVAL;
    struct netif *nif = find_nif(r);
    if (nif == NULL)
        return -ENODEV;
    spin_lock_bh(&mc_lock);
    const struct mc_member *m = find_member(s, r->group, nif, &count);
    u32 n = m != NULL ? MIN(MIN((u32)m->n, room), (*len - head) / stride) : 0;
    if (m != NULL) {
        put_u32(words, m->exclude ? EXCLUDE : INCLUDE);
        put_u32(words + 4, m->n);
    }
    for (u32 i = 0; i < n; i++) {
        u8 *to = b + head + i * stride;
        memset(to, 0, stride);
        if (stride == STORAGE)
            put_u16(to, r->v6 ? AF_INET6 : AF_INET);
        if (r->v6)
            memcpy(to + 8, &m->src[i], sizeof m->src[i]);
        else
            put_u32(to + (stride == STORAGE ? 4 : 0), ip_to_v4(m->src[i]));
    }
    spin_unlock_bh(&mc_lock);
    *len = head + n * stride;
    return m != NULL ? 0 : -EADDRNOTAVAIL;
}

int mc_getopt(struct sock *s, int level, int name, void *ret_val, u32 *len)
{
    struct request r = { .v6 = level == IPPROTO_IPV6 };
    u8 *b = ret_val;
    if (name == (r.v6 ? IPV6_MULTICAST_ALL : IP_MULTICAST_ALL))
        return opt_int_out(ret_val, len, (s->mc_joined_only & (r.v6 ? 2 : 1)) == 0);
    if (name == MCAST_MSFILTER) {
        if (*len < 16 + STORAGE)
            return -EINVAL;
        r.ifindex = get_u32(b);
        return storage_in(b + 8, r.v6, &r.group) ? get_filter(s, &r, b, 16 + STORAGE, STORAGE, len) : r.v6 ? -EINVAL : -EADDRNOTAVAIL;
    }
    if (r.v6 || name != IP_MSFILTER)
        return -ENOPROTOOPT;
    if (*len < 16)
        return -EINVAL;
    r.group = ip_v4(get_u32(b));
    r.address = get_u32(b + 4);
    return get_filter(s, &r, b, 16, 4, len);
}
