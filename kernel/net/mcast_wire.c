/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the link hears of groups: the host's half of IGMPv3 (RFC 3376) and MLDv2 (RFC 3810), which differ in the size of an address, and of
 * what they fall back to where an older querier speaks (RFC 1112, 2236, 2710), for OLD_QUERIER_NS after it last did.
 *
 *   a change    is told at once and again within RETELL_NS, as often as the querier's robustness asks (2): a change of the mode with
 *               all sources, else the sources that changed, each by what is wanted when the report leaves
 *   a query     is answered after a random part of the time that it gives: for all groups, one group, or sources of one
 *
 * Believed are queries with a TTL of 1, with the router alert where the version has it, to all hosts if they ask for all groups, and of MLD
 * from a link-local address. Nothing is told of all hosts' groups, of groups that do not leave the host, or on lo.
 */
#include "mcast_impl.h"

#define ROBUST 2u
#define RETELL_NS (1 * NSEC_PER_SEC)
#define OLD_RETELL_NS (10 * NSEC_PER_SEC)
#define OLD_QUERIER_NS (260 * NSEC_PER_SEC) /* 2 intervals of 125 s, and 10 s to answer */
#define REPORT_MAX 1200u
#define HEAD 8u /* of a report */
#define ALL_HOSTS ip_v4(IP4(224, 0, 0, 1))
#define ALL_ROUTERS ip_v4(IP4(224, 0, 0, 2))
#define ALL_IGMP3 ip_v4(IP4(224, 0, 0, 22))
#define ALL_ROUTERS6 ((struct ip_addr){ 0x02ffULL, 2ULL << 56 })
#define ALL_MLD2 ((struct ip_addr){ 0x02ffULL, 0x16ULL << 56 })

enum { IGMP_QUERY = 0x11, IGMP1_REPORT, IGMP2_REPORT = 0x16, IGMP2_LEAVE, IGMP3_REPORT = 0x22 };
enum { MLD_QUERY = 130, MLD1_REPORT, MLD1_DONE, MLD2_REPORT = 143 };
enum { IS_INCLUDE = 1, IS_EXCLUDE, TO_INCLUDE, TO_EXCLUDE, ALLOW, BLOCK };

/* One interface's IGMP, or MLD. Times are 0 for never. */
struct link {
    u64 general_ns;      /* when a query for all groups is answered */
    u64 old_until_ns[2]; /* version 1, and IGMP's 2, is spoken until then */
    u8 robust;           /* 0 = ROBUST */
};
static struct link links[NETIF_MAX][2]; /* mc_lock; in the order of netifs; IGMP, MLD */
static struct mc_filter now_wanted;     /* mc_lock: too large for a stack */
static struct ktimer timer;             /* mc_lock */

static struct link *link_of(const struct netif *nif, bool v6)
{
    unsigned i = 0;
    while (i < NETIF_MAX - 1 && netifs[i] != nif)
        i++;
    return &links[i][v6];
}

static bool is_v6(const struct mc_group *g) { return !ip_is_v4(g->addr); }

unsigned mc_version(const struct netif *nif, bool v6)
{
    const struct link *l = link_of(nif, v6);
    u64 now = now_ns();
    return now < l->old_until_ns[0] ? 1 : v6 || now < l->old_until_ns[1] ? 2 : 3;
}

static bool old_querier(const struct mc_group *g) { return mc_version(g->nif, is_v6(g)) < (is_v6(g) ? 2u : 3u); }

static bool reported(const struct mc_group *g)
{
    if (g->nif->loopback || !g->nif->dev->opened)
        return false;
    return is_v6(g) ? ip6_scope(g->addr) > 1 && !ip_equal(g->addr, IP6_ALL_NODES) : !ip_equal(g->addr, ALL_HOSTS);
}

static u64 earlier(u64 a, u64 b) { return a == 0 ? b : b == 0 ? a : MIN(a, b); }

static void arm(void)
{
    u64 next = 0;
    for (unsigned i = 0; i < NETIF_MAX; i++)
        next = earlier(next, earlier(links[i][0].general_ns, links[i][1].general_ns));
    list_for_each(g, &mc_groups, struct mc_group, node)
        next = earlier(next, earlier(g->change_ns, g->answer_ns));
    if (next != 0)
        ktimer_start(&timer, next);
}

/* --- sending ------------------------------------------------------------------------------------------------ */

static void put_addr(u8 *b, struct ip_addr a)
{
    if (ip_is_v4(a))
        put_u32(b, ip_to_v4(a));
    else
        memcpy(b, &a, sizeof a);
}

/* A message of len bytes and room for REPORT_MAX, its type set; NULL = no memory. */
static struct pkt *message(u8 type, u32 len)
{
    struct pkt *p = pkt_alloc(NET_HEADROOM, REPORT_MAX);
    if (p == NULL) {
        NET_COUNT(no_memory);
        return NULL;
    }
    u8 *b = pkt_put(p, len);
    memset(b, 0, len);
    b[0] = type;
    return p;
}

/* Behind a router alert (RFC 2113), from no address where there is none yet. Takes p. */
static void send_igmp(struct netif *nif, struct ip_addr dst, struct pkt *p)
{
    static const u8 alert[4] = { 0x94, 4, 0, 0 };
    put_u16(p->data + 2, csum_fold(csum_pkt(p, 0, 0)));
    u32 total = p->total_len + IP_HLEN + (u32)sizeof alert;
    memcpy(pkt_push(p, sizeof alert), alert, sizeof alert);
    struct ip_hdr *h = (void *)pkt_push(p, IP_HLEN);
    *h = (struct ip_hdr){ .vihl = 0x46, .tos = 0xc0, .len = be16((u16)total), .id = be16(ip_next_id()), .frag = be16(IP_DF), .ttl = 1,
                          .proto = IPPROTO_IGMP, .src = nif->addr, .dst = ip_to_v4(dst) };
    h->csum = csum_fold(csum_add(h, IP_HLEN + sizeof alert, 0));
    p->l3_off = (u16)pkt_headroom(p);
    NET_COUNT(ip_out);
    ether_output_ip(nif, dst, p);
}

/* The same behind a hop-by-hop option (RFC 2711). */
static void send_mld(struct netif *nif, struct ip_addr dst, struct pkt *p)
{
    static const u8 alert[8] = { IPPROTO_ICMPV6, 0, 5, 2, 0, 0, 1, 0 };
    struct ip_tx tx = { .rt = { .nif = nif, .nexthop = dst, .mtu = nif->dev->mtu }, .src = ip6_link_local(), .dst = dst, .proto = 0, .ttl = 1 };
    put_u16(p->data + 2, csum_fold(csum_pkt(p, 0, csum_pseudo(csum_ip(tx.src), csum_ip(dst), IPPROTO_ICMPV6, p->total_len))));
    memcpy(pkt_push(p, sizeof alert), alert, sizeof alert);
    NET_COUNT(icmp6_out);
    ip6_output(p, &tx);
}

/* A report of version 3 or 2 that is being written: records of groups of one interface and family. */
struct report {
    struct netif *nif;
    bool v6;
    u16 records;
    struct pkt *p;
};

static void report_send(struct report *r)
{
    if (r->p == NULL)
        return;
    put_be16(r->p->data + 6, r->records);
    if (r->v6)
        send_mld(r->nif, ALL_MLD2, r->p);
    else
        send_igmp(r->nif, ALL_IGMP3, r->p);
    r->p = NULL;
    r->records = 0;
}

static void report_add(struct report *r, u8 type, struct ip_addr group, const struct ip_addr *src, unsigned n)
{
    u32 alen = r->v6 ? 16 : 4, size = 4 + alen * (1 + n);
    if (r->p != NULL && r->p->total_len + size > REPORT_MAX)
        report_send(r);
    if (r->p == NULL && (r->p = message(r->v6 ? MLD2_REPORT : IGMP3_REPORT, HEAD)) == NULL)
        return;
    u8 *b = pkt_put(r->p, size);
    b[0] = type;
    b[1] = 0;
    put_be16(b + 2, (u16)n);
    put_addr(b + 4, group);
    for (unsigned i = 0; i < n; i++)
        put_addr(b + 4 + alen * (1 + i), src[i]);
    r->records++;
}

/* A message of version 1 or IGMP's 2: we are in g, or no more (which IGMP's 1 cannot say). */
static void send_old(const struct mc_group *g, bool wanted)
{
    bool v6 = is_v6(g), first = mc_version(g->nif, v6) == 1;
    if (!v6 && first && !wanted)
        return;
    struct pkt *p = message(v6 ? (wanted ? MLD1_REPORT : MLD1_DONE) : !wanted ? IGMP2_LEAVE : first ? IGMP1_REPORT : IGMP2_REPORT, v6 ? 24 : 8);
    if (p == NULL)
        return;
    put_addr(p->data + (v6 ? 8 : 4), g->addr);
    if (v6)
        send_mld(g->nif, wanted ? g->addr : ALL_ROUTERS6, p);
    else
        send_igmp(g->nif, wanted ? g->addr : ALL_ROUTERS, p);
}

/* --- changes -------------------------------------------------------------------------------------------------- */

static unsigned robustness(const struct mc_group *g)
{
    u8 r = link_of(g->nif, is_v6(g))->robust;
    return r != 0 ? r : ROBUST;
}

/* Add a to a list that is made when it is needed; false = no room. */
static bool note(struct mc_filter **list, struct ip_addr a)
{
    if (*list == NULL && (*list = kmalloc(sizeof **list, ALLOC_ATOMIC)) != NULL)
        (*list)->n = 0;
    struct mc_filter *f = *list;
    if (f == NULL)
        return false;
    if (mc_find_source(f->src, f->n, a) < f->n)
        return true;
    if (f->n == MC_SOURCES)
        return false;
    f->src[f->n++] = a;
    return true;
}

static void forget(struct mc_filter **list)
{
    kfree(*list);
    *list = NULL;
}

/* The sources that one list has and the other has not. */
static bool note_difference(struct mc_group *g, const struct mc_filter *a, const struct mc_filter *b, bool *ret_some)
{
    for (unsigned i = 0; i < a->n; i++)
        if (mc_find_source(b->src, b->n, a->src[i]) == b->n) {
            *ret_some = true;
            if (!note(&g->touched, a->src[i]))
                return false;
        }
    return true;
}

static void tell_sources(struct report *r, const struct mc_group *g)
{
    struct mc_filter *f = &now_wanted;
    for (u8 type = ALLOW; type <= BLOCK && g->touched != NULL; type++) {
        f->n = 0;
        for (unsigned i = 0; i < g->touched->n; i++)
            if (mc_group_wants(g, g->touched->src[i]) == (type == ALLOW))
                f->src[f->n++] = g->touched->src[i];
        if (f->n != 0)
            report_add(r, type, g->addr, f->src, f->n);
    }
}

/* Tell what changed, and set when it is told again. */
static void tell(struct mc_group *g)
{
    u64 again_ns = RETELL_NS;
    struct report r = { .nif = g->nif, .v6 = is_v6(g) };
    mc_filter_of(g, &now_wanted);
    if (old_querier(g)) {
        bool wanted = now_wanted.exclude || now_wanted.n != 0;
        send_old(g, wanted);
        u8 left = MAX(g->mode_left, g->source_left);
        g->mode_left = wanted ? (u8)(left - 1) : 0;
        g->source_left = 0;
        again_ns = OLD_RETELL_NS;
    } else if (g->mode_left != 0) {
        report_add(&r, now_wanted.exclude ? TO_EXCLUDE : TO_INCLUDE, g->addr, now_wanted.src, now_wanted.n);
        g->mode_left--;
    } else {
        tell_sources(&r, g);
        g->source_left--;
    }
    report_send(&r);
    bool more = g->mode_left != 0 || g->source_left != 0;
    g->change_ns = more ? now_ns() + 1 + random_below(again_ns) : 0;
    if (!more)
        forget(&g->touched);
}

void mc_changed(struct mc_group *g, const struct mc_filter *was)
{
    bool some = false;
    if (!reported(g))
        return;
    mc_filter_of(g, &now_wanted);
    if (was->exclude != now_wanted.exclude || !note_difference(g, was, &now_wanted, &some) || !note_difference(g, &now_wanted, was, &some)) {
        g->mode_left = (u8)robustness(g);
        g->source_left = 0;
        forget(&g->touched);
    } else if (!some) {
        return;
    } else if (g->mode_left != 0) {
        g->mode_left = (u8)robustness(g);
    } else {
        g->source_left = (u8)robustness(g);
    }
    tell(g);
    arm();
}

void mc_start(struct netif *nif)
{
    spin_lock_bh(&mc_lock);
    list_for_each(g, &mc_groups, struct mc_group, node)
        if (g->nif == nif && reported(g) && g->mode_left == 0) {
            g->mode_left = (u8)robustness(g);
            tell(g);
        }
    arm();
    spin_unlock_bh(&mc_lock);
}

/* --- answers ---------------------------------------------------------------------------------------------------- */

static void add_state(struct report *r, const struct mc_group *g)
{
    mc_filter_of(g, &now_wanted);
    if (now_wanted.exclude || now_wanted.n != 0)
        report_add(r, now_wanted.exclude ? IS_EXCLUDE : IS_INCLUDE, g->addr, now_wanted.src, now_wanted.n);
}

static void answer_all(struct netif *nif, bool v6)
{
    struct report r = { .nif = nif, .v6 = v6 };
    list_for_each(g, &mc_groups, struct mc_group, node)
        if (g->nif == nif && is_v6(g) == v6 && reported(g))
            add_state(&r, g);
    report_send(&r);
}

static void answer(struct mc_group *g)
{
    struct report r = { .nif = g->nif, .v6 = is_v6(g) };
    g->answer_ns = 0;
    if (old_querier(g)) {
        if (mc_members(g))
            send_old(g, true);
    } else if (g->asked == NULL) {
        add_state(&r, g);
    } else {
        struct mc_filter *f = g->asked;
        u8 n = f->n;
        f->n = 0;
        for (u8 i = 0; i < n; i++)
            if (mc_group_wants(g, f->src[i]))
                f->src[f->n++] = f->src[i];
        if (f->n != 0)
            report_add(&r, IS_INCLUDE, g->addr, f->src, f->n);
    }
    report_send(&r);
    forget(&g->asked);
}

static bool due(u64 *when, u64 now)
{
    bool is = *when != 0 && now >= *when;
    *when = is ? 0 : *when;
    return is;
}

static void tick(struct ktimer *t)
{
    u64 now = now_ns();
    spin_lock(&mc_lock);
    for (unsigned i = 0; i < NETIF_MAX && netifs[i] != NULL; i++)
        for (unsigned v6 = 0; v6 < 2; v6++)
            if (due(&links[i][v6].general_ns, now))
                answer_all(netifs[i], v6 != 0);
    list_for_each_safe(g, &mc_groups, struct mc_group, node) {
        if (due(&g->change_ns, now))
            tell(g);
        if (due(&g->answer_ns, now))
            answer(g);
        mc_group_done(g);
    }
    arm();
    spin_unlock(&mc_lock);
    net_kick();
}

void mc_init(void) { ktimer_init(&timer, tick); }

/* --- queries ------------------------------------------------------------------------------------------------------ */

struct query {
    struct ip_addr group; /* a wildcard: all */
    u64 max_ns;           /* to answer in */
    u8 old;               /* the version, if it is not the newest */
    u8 robust;
    const u8 *sources;
    u32 n;
};

/* RFC 3376 5.2: an answer to all that comes sooner has it; one for the whole group that is due has any source. */
static void group_asked(struct mc_group *g, const struct query *q, const struct link *l, u64 at_ns)
{
    bool whole = q->n == 0 || q->n > MC_SOURCES || (g->answer_ns != 0 && g->asked == NULL);
    if (l->general_ns != 0 && l->general_ns <= at_ns)
        return;
    for (u32 i = 0; i < q->n && !whole; i++) {
        struct ip_addr a = ip_v4(0);
        if (is_v6(g))
            memcpy(&a, q->sources + 16 * i, sizeof a);
        else
            a = ip_v4(get_u32(q->sources + 4 * i));
        whole = !note(&g->asked, a);
    }
    if (whole)
        forget(&g->asked);
    g->answer_ns = earlier(g->answer_ns, at_ns);
}

/* An older version is spoken from now on: what was still to be said in another is not. */
static void fall_back(const struct netif *nif, bool v6, u8 version)
{
    unsigned was = mc_version(nif, v6);
    struct link *l = link_of(nif, v6);
    l->old_until_ns[version - 1] = now_ns() + OLD_QUERIER_NS;
    if (mc_version(nif, v6) == was)
        return;
    l->general_ns = 0;
    list_for_each_safe(g, &mc_groups, struct mc_group, node)
        if (g->nif == nif && is_v6(g) == v6) {
            g->change_ns = g->answer_ns = 0;
            g->mode_left = g->source_left = 0;
            forget(&g->asked);
            forget(&g->touched);
            mc_group_done(g);
        }
}

static void query_in(struct netif *nif, bool v6, const struct query *q)
{
    spin_lock_bh(&mc_lock);
    struct link *l = link_of(nif, v6);
    if (q->old != 0)
        fall_back(nif, v6, q->old);
    else if (q->robust != 0)
        l->robust = q->robust;
    bool all = ip_is_any(q->group), newest = mc_version(nif, v6) == (v6 ? 2u : 3u);
    u64 now = now_ns();
    if (all && newest)
        l->general_ns = earlier(l->general_ns, now + 1 + random_below(q->max_ns + 1));
    list_for_each(g, &mc_groups, struct mc_group, node)
        if (g->nif == nif && is_v6(g) == v6 && reported(g) && (all ? !newest : ip_equal(g->addr, q->group)))
            group_asked(g, q, l, now + 1 + random_below(q->max_ns + 1));
    arm();
    spin_unlock_bh(&mc_lock);
}

/* Somebody else's report of an old version answers for us. */
static void report_in(struct netif *nif, struct ip_addr group)
{
    spin_lock_bh(&mc_lock);
    struct mc_group *g = mc_find_group(nif, group);
    if (g != NULL && old_querier(g)) {
        g->change_ns = g->answer_ns = 0;
        g->mode_left = g->source_left = 0;
        mc_group_done(g);
    }
    spin_unlock_bh(&mc_lock);
}

/* RFC 3376 4.1.1, RFC 3810 5.1.3: a code is a number, or one with an exponent of three bits. */
static u64 code_value(u32 code, unsigned mantissa_bits)
{
    u32 mark = 1u << (mantissa_bits + 3), mantissa = code & ((1u << mantissa_bits) - 1);
    return code < mark ? code : (u64)(mantissa | 1u << mantissa_bits) << ((code >> mantissa_bits & 7) + 3);
}

static bool has_alert4(const struct pkt *p)
{
    const u8 *o = p->store->start + p->l3_off + IP_HLEN;
    for (u32 left = ip_rx(p)->hlen - IP_HLEN; left >= 4 && *o != 0;) { /* ip_input() has walked them */
        u32 n = *o == 1 ? 1 : o[1];
        if (*o == 0x94)
            return true;
        if (n > left)
            break;
        o += n;
        left -= n;
    }
    return false;
}

static bool igmp_query(struct netif *nif, const struct pkt *p, const u8 *m, u32 len)
{
    struct query q = { .group = ip_v4(get_u32(m + 4)), .old = len > 8 ? 0 : m[1] != 0 ? 2 : 1 };
    q.max_ns = (q.old == 1 ? 100 : q.old == 2 ? m[1] : code_value(m[1], 4)) * (NSEC_PER_SEC / 10);
    bool all = ip_is_any(q.group);
    if ((q.old != 1 && !has_alert4(p)) || (all ? !ip_equal(ip_rx(p)->dst, ALL_HOSTS) : !ip_is_group(q.group)) || (len > 8 && len < 12))
        return false;
    if (q.old == 0) {
        q.robust = m[8] & 7;
        q.n = get_be16(m + 10);
        q.sources = m + 12;
        if (p->total_len < 12 + 4 * q.n || (all && q.n != 0))
            return false;
    }
    if (q.old == 1)
        q.group = ip_v4(0);
    query_in(nif, false, &q);
    return true;
}

void igmp_input(struct netif *nif, struct pkt *p)
{
    u8 m[12 + 4 * MC_SOURCES];
    u32 len = pkt_copy_out(p, 0, m, sizeof m);
    bool good = len >= 8 && ip_rx(p)->ttl == 1 && csum_fold(csum_pkt(p, 0, 0)) == 0;
    if (good && m[0] == IGMP_QUERY)
        good = nif->loopback || igmp_query(nif, p, m, len);
    else if (good && (m[0] == IGMP1_REPORT || m[0] == IGMP2_REPORT))
        report_in(nif, ip_v4(get_u32(m + 4)));
    if (!good)
        NET_DROP(igmp_bad);
    pkt_free(p);
}

static bool has_alert6(const struct pkt *p)
{
    const u8 *h = p->store->start + p->l3_off, *o = h + IP6_HLEN + 2;
    if (h[6] != 0)
        return false;
    for (const u8 *end = o - 2 + (o[-1] + 1u) * 8; o + 4 <= end;) { /* ip6_input() has walked them */
        if (o[0] == 5)
            return get_be16(o + 2) == 0;
        o += o[0] == 0 ? 1 : 2 + o[1];
    }
    return false;
}

void mld_input(struct netif *nif, const struct pkt *p, u8 type)
{
    u8 m[28 + 16 * MC_SOURCES];
    const struct ip_rx *rx = ip_rx(p);
    u32 len = pkt_copy_out(p, 0, m, sizeof m);
    struct query q = { .old = len < 28 };
    bool good = len >= 24 && (len == 24 || len >= 28 || type != MLD_QUERY) && rx->ttl == 1 && ip6_is_link_local(rx->src) && has_alert6(p);
    if (good)
        memcpy(&q.group, m + 8, sizeof q.group);
    if (good && type == MLD_QUERY) {
        q.max_ns = (q.old ? get_be16(m + 4) : code_value(get_be16(m + 4), 12)) * NSEC_PER_MSEC;
        if (!q.old) {
            q.robust = m[24] & 7;
            q.n = get_be16(m + 26);
            q.sources = m + 28;
        }
        bool all = ip_is_unspec(q.group);
        good = (all ? q.n == 0 && ip_equal(rx->dst, IP6_ALL_NODES) : ip_is_group(q.group)) && p->total_len >= (q.old ? 24 : 28 + 16 * q.n);
        if (good)
            query_in(nif, true, &q);
    } else if (good && type == MLD1_REPORT) {
        report_in(nif, q.group);
    }
    if (!good)
        NET_DROP(icmp_bad);
}
