/* SPDX-License-Identifier: Apache-2.0 */
/* Texts of /proc/net, in Linux's layouts (proc(5)), and our own counters as "drupe". */
#include "sock_impl.h"

static size_t show_dev(char *buf, size_t size)
{
    struct text t = { buf, size, 0 };
    text_add(&t, "Inter-|   Receive                                                |  Transmit\n"
                 " face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls "
                 "carrier compressed\n");
    for (unsigned i = 0; i < NETIF_MAX && netifs[i] != NULL; i++) {
        const struct netdev_stats sum = netdev_stats(netifs[i]->dev), *s = &sum;
        text_add(&t, "%6s: %7llu %7llu %4llu %4llu    0     0          0         0 %8llu %7llu %4llu %4llu    0     0       0"
                 "          0\n", netifs[i]->dev->name,
                 (unsigned long long)s->rx_bytes, (unsigned long long)s->rx_packets, (unsigned long long)s->rx_errors,
                 (unsigned long long)s->rx_dropped, (unsigned long long)s->tx_bytes, (unsigned long long)s->tx_packets,
                 (unsigned long long)s->tx_errors, (unsigned long long)s->tx_dropped);
    }
    return t.len;
}

static size_t show_route(char *buf, size_t size)
{
    struct text t = { buf, size, 0 };
    struct route r[ROUTE_MAX];
    unsigned n = route_list(r, ROUTE_MAX);
    text_add(&t, "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT"
                 "                                                       \n");
    for (unsigned i = n; i-- > 0;) /* the default route first, as Linux */
        if (!r[i].nif->loopback)
            text_add(&t, "%s\t%08X\t%08X\t%04X\t0\t0\t%u\t%08X\t0\t0\t0\n", r[i].nif->dev->name, r[i].dst, r[i].gateway,
                     r[i].gateway != 0 ? 3 : 1, r[i].metric, r[i].mask);
    return t.len;
}

struct tally {
    int domain;
    u32 n;
};

static bool tally(const struct sock *s, void *ctx)
{
    struct tally *x = ctx;
    x->n += s->domain == x->domain;
    return false;
}

static u32 count_of(void (*find)(struct socks_found *f), int domain)
{
    struct tally x = { .domain = domain };
    sock_search(find, tally, &x);
    return x.n;
}

static size_t show_sockstat(char *buf, size_t size)
{
    struct text t = { buf, size, 0 };
    u32 orphans, tw, tcp = tcp_count(&orphans, &tw), open = tcp_count_open(AF_INET) + count_of(tcp_find_listeners, AF_INET);
    u32 udp = count_of(udp_find_all, AF_INET), raw = count_of(raw_find_all, AF_INET), frag_bytes, frags = ip_frag_count(true, &frag_bytes);
    u32 other = count_of(udp_find_all, AF_INET6) + count_of(raw_find_all, AF_INET6) + count_of(unix_find_all, AF_UNIX);
    unsigned long pages = (unsigned long)(atomic_load_relaxed(&net_mem_used) / PAGE_SIZE);
    text_add(&t, "sockets: used %u\nTCP: inuse %u orphan %u tw %u alloc %u mem %lu\nUDP: inuse %u mem 0\nUDPLITE: inuse 0\n"
                 "RAW: inuse %u\nFRAG: inuse %u memory %u\n", tcp + udp + raw + other, open, orphans, tw, tcp, pages, udp, raw, frags, frag_bytes);
    return t.len;
}

static size_t show_sockstat6(char *buf, size_t size)
{
    struct text t = { buf, size, 0 };
    u32 frag_bytes, frags = ip_frag_count(false, &frag_bytes);
    text_add(&t, "TCP6: inuse %u\nUDP6: inuse %u\nUDPLITE6: inuse 0\nRAW6: inuse %u\nFRAG6: inuse %u memory %u\n",
             tcp_count_open(AF_INET6) + count_of(tcp_find_listeners, AF_INET6), count_of(udp_find_all, AF_INET6), count_of(raw_find_all, AF_INET6),
             frags, frag_bytes);
    return t.len;
}

#define C(name) ((unsigned long long)net_counters.name)

static size_t show_snmp(char *buf, size_t size)
{
    struct text t = { buf, size, 0 };
    u32 orphans, tw;
    text_add(&t, "Ip: Forwarding DefaultTTL InReceives InHdrErrors InAddrErrors ForwDatagrams InUnknownProtos InDiscards "
                 "InDelivers OutRequests OutDiscards OutNoRoutes ReasmTimeout ReasmReqds ReasmOKs ReasmFails FragOKs "
                 "FragFails FragCreates\n");
    text_add(&t, "Ip: 2 64 %llu %llu %llu 0 %llu 0 %llu %llu 0 %llu %llu %llu %llu %llu 0 0 %llu\n", C(ip_in),
             C(ip_bad_header) + C(ip_bad_checksum), C(ip_bad_address) + C(ip_not_ours), C(ip_unknown_protocol),
             C(ip_delivers), C(ip_out), C(ip_no_route), C(ip_frag_timeout), C(ip_frag_in), C(ip_frag_ok),
             C(ip_frag_bad) + C(ip_frag_limit), C(ip_frag_created));
    text_add(&t, "Icmp: InMsgs InErrors OutMsgs OutErrors\nIcmp: %llu %llu %llu 0\n", C(icmp_in), C(icmp_bad), C(icmp_out));
    text_add(&t, "Tcp: RtoAlgorithm RtoMin RtoMax MaxConn ActiveOpens PassiveOpens AttemptFails EstabResets CurrEstab InSegs "
                 "OutSegs RetransSegs InErrs OutRsts InCsumErrors\n");
    text_add(&t, "Tcp: 1 200 120000 -1 %llu %llu %llu %llu %u %llu %llu %llu %llu %llu %llu\n", C(tcp_active_opens),
             C(tcp_passive_opens), C(tcp_failed_opens), C(tcp_resets), tcp_count(&orphans, &tw), C(tcp_in), C(tcp_out),
             C(tcp_retransmits), C(tcp_bad), C(tcp_rst_out), C(tcp_bad_checksum));
    text_add(&t, "Udp: InDatagrams NoPorts InErrors OutDatagrams RcvbufErrors SndbufErrors InCsumErrors IgnoredMulti MemErrors\n"
                 "Udp: %llu %llu %llu %llu %llu 0 0 0 0\n", C(udp_in), C(udp_no_port), C(udp_bad), C(udp_out),
             C(udp_queue_full));
    return t.len;
}

/* What is counted of IPv6 alone; Linux has more lines. */
static size_t show_snmp6(char *buf, size_t size)
{
    struct text t = { buf, size, 0 };
    const struct {
        const char *name;
        unsigned long long n;
    } lines[] = { { "Ip6InReceives", C(ip6_in) }, { "Ip6InDelivers", C(ip6_delivers) }, { "Ip6OutRequests", C(ip6_out) }, { "Icmp6InMsgs", C(icmp6_in) },
                  { "Icmp6OutMsgs", C(icmp6_out) } };
    for (unsigned i = 0; i < ARRAY_SIZE(lines); i++)
        text_add(&t, "%-32s\t%llu\n", lines[i].name, lines[i].n);
    return t.len;
}

/* One string of names, each with its end byte, in the order of the struct. */
#define X(name) #name "\0"
static const char names[] = NET_COUNTERS(X);
#undef X

const char *net_counter_name(unsigned counter)
{
    const char *n = names;
    for (; counter > 0; counter--)
        n += strlen(n) + 1;
    return n;
}

static size_t show_counters(char *buf, size_t size)
{
    struct text t = { buf, size, 0 };
    const u64 *value = (const u64 *)&net_counters;
    for (const char *n = names; *n != '\0'; n += strlen(n) + 1)
        text_add(&t, "%s %llu\n", n, (unsigned long long)*value++);
    text_add(&t, "packets %u\nmemory %llu\nmemory_limit %llu\n", pkt_in_use(),
             (unsigned long long)atomic_load_relaxed(&net_mem_used), (unsigned long long)net_mem_limit);
    return t.len;
}

const char *const net_proc_names[] = { "tcp", "tcp6", "udp", "udp6", "if_inet6", "ipv6_route", "raw", "igmp", "igmp6", "unix", "dev", "route", "arp", "sockstat", "sockstat6", "snmp", "snmp6",
                                       "drupe", NULL };

size_t net_proc_show(const char *name, char *buf, size_t size)
{
    if (strcmp(name, "tcp") == 0 || strcmp(name, "tcp6") == 0)
        return tcp_show(buf, size, name[3] == '6' ? AF_INET6 : AF_INET);
    if (strcmp(name, "udp") == 0 || strcmp(name, "udp6") == 0)
        return udp_show(buf, size, name[3] == '6' ? AF_INET6 : AF_INET);
    if (strcmp(name, "if_inet6") == 0)
        return ip6_show_addrs(buf, size);
    if (strcmp(name, "ipv6_route") == 0)
        return ip6_show_routes(buf, size);
    if (strcmp(name, "raw") == 0)
        return raw_show(buf, size);
    if (strcmp(name, "igmp") == 0)
        return igmp_show(buf, size);
    if (strcmp(name, "igmp6") == 0)
        return igmp6_show(buf, size);
    if (strcmp(name, "unix") == 0)
        return unix_show(buf, size);
    if (strcmp(name, "dev") == 0)
        return show_dev(buf, size);
    if (strcmp(name, "route") == 0)
        return show_route(buf, size);
    if (strcmp(name, "arp") == 0)
        return arp_show(buf, size);
    if (strcmp(name, "sockstat") == 0)
        return show_sockstat(buf, size);
    if (strcmp(name, "sockstat6") == 0)
        return show_sockstat6(buf, size);
    if (strcmp(name, "snmp") == 0)
        return show_snmp(buf, size);
    if (strcmp(name, "snmp6") == 0)
        return show_snmp6(buf, size);
    if (strcmp(name, "drupe") == 0)
        return show_counters(buf, size);
    return 0;
}
