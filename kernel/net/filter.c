/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The packet filter: who may begin to speak, from outside (ingress) and to the outside (egress). What has begun
 * goes on: the stack's own tables say so for TCP, connected UDP sockets for themselves; flows of other datagrams are
 * remembered here for FLOW_NS, those that a program began apart from those that were let in, so that nobody outside
 * can push out what a program waits for.
 *
 *   F1  Rules are set before a card opens and never changed: no lock.
 *   F2  Without a policy for a direction nothing of it is looked at (filter_on).
 *   F3  ICMP, ND and ARP pass, and what the kernel itself asks by DHCP; loopback is not looked at.
 *   F4  What a rule narrows to ports is for TCP and UDP, by their headers, whatever socket they come from. What has no ports that can be seen, as
 *       a fragment that is not the first, needs a rule without; other protocols need one that names none, either.
 *
 * Rules are words: PROTOCOL[:FIRST[-LAST]][@ADDRESS/BITS], PROTOCOL one of tcp, udp, any.
 */
#include "net_impl.h"
#include "sieve.h"

#define RULES_MAX 256u
#define FLOW_BUCKETS 256u
#define FLOW_WAYS 4u
#define FLOW_NS (120 * NSEC_PER_SEC) /* as Linux's conntrack keeps a UDP stream */

struct rule {
    struct ip_addr addr;
    u8 proto;        /* 0 = any */
    u8 bits;         /* of addr's 128 */
    bool everywhere;
    u16 first, last;
};

struct flow {
    struct ip_addr faddr;
    u16 lport, fport;
    u8 proto;
    u64 until_ns;
};

struct policy {
    struct rule *rules;
    u32 nrules;
    struct flow *flows; /* flow_lock: begun this way; there is one where the other way has rules */
};

u8 filter_on;
static struct policy policies[2];
static struct spinlock flow_lock = SPINLOCK_INIT("net_filter");

/* --- rules ---------------------------------------------------------------------------- */

static bool in_prefix(struct ip_addr a, struct ip_addr prefix, unsigned bits)
{
    u64 high = bits >= 64 ? ~0ULL : bits == 0 ? 0 : ~0ULL << (64 - bits);
    u64 low = bits <= 64 ? 0 : ~0ULL << (128 - bits);
    return ((be64(a.hi) ^ be64(prefix.hi)) & high) == 0 && ((be64(a.lo) ^ be64(prefix.lo)) & low) == 0;
}

#define NO_PORT (-1)

/* port: of TCP and UDP, or NO_PORT */
static bool allows(const struct policy *y, u8 proto, struct ip_addr a, s32 port)
{
    for (const struct rule *r = y->rules; r < y->rules + y->nrules; r++) {
        if ((r->proto != 0 && r->proto != proto) || (port == NO_PORT ? r->first > 0 || r->last < 65535 : port < r->first || port > r->last))
            continue;
        if (r->everywhere || (ip_is_v4(r->addr) == ip_is_v4(a) && in_prefix(a, r->addr, r->bits)))
            return true;
    }
    return false;
}

/* The number at *s, at most max; *s stands behind it. */
static bool take_number(const char **s, u32 max, u32 *ret)
{
    u32 v = 0;
    const char *p = *s;
    for (; *p >= '0' && *p <= '9' && v <= max; p++)
        v = v * 10 + (u32)(*p - '0');
    if (p == *s || v > max)
        return false;
    *s = p;
    *ret = v;
    return true;
}

static bool parse_prefix(const char *s, struct rule *r)
{
    char text[48];
    u32 bits, v4;
    const char *slash = strchr(s, '/');
    if (slash == NULL || (size_t)(slash - s) >= sizeof text)
        return false;
    memcpy(text, s, (size_t)(slash - s));
    text[slash - s] = '\0';
    s = slash + 1;
    bool is_v4 = net_parse_ipv4(text, &v4) == 0;
    if (is_v4)
        r->addr = ip_v4(v4);
    else if (net_parse_ipv6(text, (u8 *)&r->addr) != 0)
        return false;
    if (!take_number(&s, is_v4 ? 32 : 128, &bits) || *s != '\0')
        return false;
    r->bits = (u8)(is_v4 ? 96 + bits : bits);
    r->everywhere = false;
    return true;
}

static bool parse_rule(const char *s, struct rule *r)
{
    static const struct {
        char name[4];
        u8 proto;
    } protos[] = { { "tcp", IPPROTO_TCP }, { "udp", IPPROTO_UDP }, { "any", 0 } };
    u32 first = 0, last = 65535, i = 0;
    while (i < ARRAY_SIZE(protos) && strncmp(s, protos[i].name, 3) != 0)
        i++;
    if (i == ARRAY_SIZE(protos))
        return false;
    s += 3;
    if (*s == ':') {
        s++;
        if (!take_number(&s, 65535, &first))
            return false;
        last = first;
        if (*s == '-' && (s++, !take_number(&s, 65535, &last)))
            return false;
    }
    *r = (struct rule){ .proto = protos[i].proto, .everywhere = true, .first = (u16)first, .last = (u16)last };
    return *s == '\0' || (*s == '@' && parse_prefix(s + 1, r));
}

static int parse_rules(struct policy *y, struct policy *other, const char *text)
{
    char word[96];
    struct rule *rules = kmalloc(RULES_MAX * sizeof *rules, 0);
    u32 n = 0;
    other->flows = kzalloc(FLOW_BUCKETS * FLOW_WAYS * sizeof *other->flows);
    int err = rules == NULL || other->flows == NULL ? -ENOMEM : 0;
    while (err == 0 && *text != '\0') {
        size_t len = 0;
        while (text[len] != '\0' && text[len] != ' ')
            len++;
        if (len >= sizeof word || n == RULES_MAX) {
            err = -EINVAL;
            break;
        }
        memcpy(word, text, len);
        word[len] = '\0';
        if (!parse_rule(word, &rules[n++]))
            err = -EINVAL;
        text += len + (text[len] == ' ');
    }
    if (err != 0) { /* the machine goes */
        kfree(rules);
        return err;
    }
    y->rules = rules;
    y->nrules = n;
    return 0;
}

int net_filter_set(const char *ingress, const char *egress)
{
    int err = ingress != NULL ? parse_rules(&policies[0], &policies[1], ingress) : 0;
    if (err == 0 && egress != NULL)
        err = parse_rules(&policies[1], &policies[0], egress);
    if (err == 0)
        filter_on = (u8)((ingress != NULL ? FILTER_IN : 0) | (egress != NULL ? FILTER_OUT : 0));
    return err;
}

/* --- flows ----------------------------------------------------------------------------- */

/* Look the flow up among those begun in direction y, or enter it: the oldest of its bucket gives way. */
static bool flow(struct policy *y, const struct flow *f, bool enter)
{
    u64 now = now_ns();
    u32 h = net_hash(ip_pair(f->faddr, IP6_ANY), (u64)f->proto << 32 | (u32)f->lport << 16 | f->fport);
    struct flow *way = &y->flows[h % FLOW_BUCKETS * FLOW_WAYS], *oldest = way, *found = NULL;
    spin_lock_bh(&flow_lock);
    for (unsigned i = 0; i < FLOW_WAYS && found == NULL; i++) {
        struct flow *x = &way[i];
        if (x->lport == f->lport && x->fport == f->fport && x->proto == f->proto && ip_equal(x->faddr, f->faddr))
            found = x;
        else if (x->until_ns < oldest->until_ns)
            oldest = x;
    }
    bool lives = found != NULL && found->until_ns > now;
    if (enter) {
        found = found != NULL ? found : oldest;
        *found = *f;
        found->until_ns = now + FLOW_NS;
    }
    spin_unlock_bh(&flow_lock);
    return lives;
}

/* --- the two ways ------------------------------------------------------------------------ */

bool filter_tcp_in(const struct netif *nif, const struct ip_rx *rx, u16 lport)
{
    if (nif->loopback || allows(&policies[0], IPPROTO_TCP, rx->src, lport))
        return true;
    NET_DROP(filter_in_tcp);
    return false;
}

static bool has_ports(u8 proto) { return proto == IPPROTO_TCP || proto == IPPROTO_UDP; }

/* The flow that p, at `at` the header behind IP, belongs to, seen from here; ports are 0 where there are none. False = they cannot be seen. */
static bool flow_of(const struct pkt *p, u32 at, u8 proto, struct ip_addr faddr, bool in, struct flow *ret)
{
    u8 ports[4] = { 0 };
    bool seen = !has_ports(proto) || pkt_copy_out(p, at, ports, sizeof ports) == sizeof ports;
    u16 from = get_be16(ports), to = get_be16(ports + 2);
    *ret = (struct flow){ faddr, in ? to : from, in ? from : to, proto, 0 };
    return seen;
}

static s32 port_for_rules(u8 proto, u16 port) { return has_ports(proto) ? port : NO_PORT; }

bool filter_tcp_copy(const struct netif *nif, const struct pkt *p)
{
    struct flow f;
    return flow_of(p, 0, IPPROTO_TCP, ip_rx(p)->src, true, &f) &&
           (!(filter_on & FILTER_IN) || allows(&policies[0], IPPROTO_TCP, f.faddr, f.lport) || flow(&policies[1], &f, false));
}

bool filter_dgram_in(struct netif *nif, const struct pkt *p, u8 proto)
{
    const struct ip_rx *rx = ip_rx(p);
    struct flow f;
    if (proto == IPPROTO_ICMP || proto == IPPROTO_ICMPV6 || proto == IPPROTO_IGMP)
        return true;
    (void)flow_of(p, 0, proto, rx->src, true, &f); /* too short: ports 0, which UDP refuses */
    if (proto == IPPROTO_UDP && f.lport == 68 && dhcp_active(nif))
        return true;
    if (!(filter_on & FILTER_IN) || allows(&policies[0], proto, rx->src, port_for_rules(proto, f.lport))) {
        if (filter_on & FILTER_OUT)
            (void)flow(&policies[0], &f, true);
        return true;
    }
    if (flow(&policies[1], &f, false) || (proto == IPPROTO_UDP && udp_connected(rx, f.fport, f.lport)))
        return true;
    sieve_useless(nif, SIEVE_OTHER, 1);
    if (proto == IPPROTO_UDP)
        NET_DROP(filter_in_udp);
    else
        NET_DROP(filter_in_other);
    return false;
}

/* `entered`: flows of the protocol are remembered here. */
static int judge_out(const struct netif *nif, const struct flow *f, s32 port, bool entered)
{
    if (nif->loopback)
        return 0;
    if (filter_on & FILTER_OUT && !allows(&policies[1], f->proto, f->faddr, port) && (!entered || !flow(&policies[0], f, false))) {
        NET_DROP(filter_out);
        return -EPERM;
    }
    if (filter_on & FILTER_IN && entered)
        (void)flow(&policies[1], f, true);
    return 0;
}

int filter_out(const struct netif *nif, u8 proto, struct ip_addr dst, u16 lport, u16 port)
{
    const struct flow f = { dst, lport, port, proto, 0 };
    return judge_out(nif, &f, port_for_rules(proto, port), proto != IPPROTO_TCP);
}

int filter_raw_out(const struct netif *nif, const struct pkt *p, u32 at, u8 proto, bool first, struct ip_addr dst)
{
    struct flow f;
    bool seen = flow_of(p, at, proto, dst, false, &f) && first;
    return judge_out(nif, &f, seen ? port_for_rules(proto, f.fport) : NO_PORT, seen);
}
