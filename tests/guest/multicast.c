/* SPDX-License-Identifier: Apache-2.0 */
/* Groups: memberships, who gets what is sent to them, sources (RFC 3678). On lo, for which the card is not opened. */
#include "t.h"
#include <arpa/inet.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>

#define PORT 17800
#define SA(a) ((struct sockaddr *)&(a))

static char buf[2000];

static int lo(void) { return (int)if_nametoindex("lo"); }

static struct sockaddr_in in4(const char *a, int port)
{
    struct sockaddr_in s = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    inet_pton(AF_INET, a, &s.sin_addr);
    return s;
}

static struct sockaddr_in6 in6(const char *a, int port)
{
    struct sockaddr_in6 s = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};
    inet_pton(AF_INET6, a, &s.sin6_addr);
    return s;
}

static int ip_mreq(int s, int name, const char *group, const char *interface)
{
    struct ip_mreq m = {in4(group, 0).sin_addr, in4(interface, 0).sin_addr};
    return setsockopt(s, IPPROTO_IP, name, &m, sizeof m);
}

static int ip_mreqn(int s, int name, const char *group, int index)
{
    struct ip_mreqn m = {.imr_multiaddr = in4(group, 0).sin_addr, .imr_ifindex = index};
    return setsockopt(s, IPPROTO_IP, name, &m, sizeof m);
}

static int ip6_mreq(int s, int name, const char *group, int index)
{
    struct ipv6_mreq m = {in6(group, 0).sin6_addr, (unsigned)index};
    return setsockopt(s, IPPROTO_IPV6, name, &m, sizeof m);
}

static void address(struct sockaddr_storage *to, const char *a)
{
    if (strchr(a, ':') != NULL)
        memcpy(to, &(struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_addr = in6(a, 0).sin6_addr}, sizeof(struct sockaddr_in6));
    else
        memcpy(to, &(struct sockaddr_in){.sin_family = AF_INET, .sin_addr = in4(a, 0).sin_addr}, sizeof(struct sockaddr_in));
}

static int group_req(int s, int level, int name, const char *group, int index)
{
    struct group_req g = {.gr_interface = (unsigned)index};
    address(&g.gr_group, group);
    return setsockopt(s, level, name, &g, sizeof g);
}

static int group_source(int s, int level, int name, const char *group, const char *source)
{
    struct group_source_req g = {.gsr_interface = (unsigned)lo()};
    address(&g.gsr_group, group);
    address(&g.gsr_source, source);
    return setsockopt(s, level, name, &g, sizeof g);
}

static int ip_source(int s, int name, const char *group, const char *source)
{
    struct ip_mreq_source m = {.imr_multiaddr = in4(group, 0).sin_addr, .imr_interface = in4("127.0.0.1", 0).sin_addr, .imr_sourceaddr = in4(source, 0).sin_addr};
    return setsockopt(s, IPPROTO_IP, name, &m, sizeof m);
}

static int receiver(int family)
{
    int s = socket(family, SOCK_DGRAM, 0), one = 1;
    struct sockaddr_in a = in4("0.0.0.0", PORT);
    struct sockaddr_in6 b = in6("::", PORT);
    setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    setsockopt(s, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one);
    if (bind(s, family == AF_INET ? SA(a) : SA(b), family == AF_INET ? sizeof a : sizeof b) != 0)
        perror("bind");
    return s;
}

/* A sender on lo; from: its address. */
static int sender(int family, const char *from)
{
    int s = socket(family, SOCK_DGRAM, 0), index = lo();
    struct ip_mreqn m = {.imr_ifindex = index};
    struct sockaddr_in a = in4(family == AF_INET ? from : "0.0.0.0", 0);
    if (family == AF_INET)
        bind(s, SA(a), sizeof a);
    setsockopt(s, IPPROTO_IP, IP_MULTICAST_IF, &m, sizeof m);
    setsockopt(s, IPPROTO_IPV6, IPV6_MULTICAST_IF, &index, sizeof index);
    return s;
}

static long send_to(int s, const char *group, const char *text)
{
    struct sockaddr_in a = in4(group, PORT);
    struct sockaddr_in6 b = in6(group, PORT);
    bool v6 = strchr(group, ':') != NULL;
    return sendto(s, text, strlen(text), 0, v6 ? SA(b) : SA(a), v6 ? sizeof b : sizeof a);
}

/* What s has got, in order: lo delivers before the sender's call ends. */
static void show_all(const char *who, int s)
{
    printf("%s:", who);
    long n;
    while ((n = recv(s, buf, sizeof buf - 1, MSG_DONTWAIT)) >= 0)
        printf(" %.*s", (int)n, buf);
    printf(" (%s)\n", strerrorname_np(errno));
}

static void errors(void)
{
    section("memberships");
    int s = socket(AF_INET, SOCK_DGRAM, 0), t = socket(AF_INET, SOCK_STREAM, 0);
    SHOW(ip_mreq(s, IP_ADD_MEMBERSHIP, "10.1.2.3", "127.0.0.1"));
    SHOW(ip_mreq(s, IP_ADD_MEMBERSHIP, "239.1.1.1", "192.0.2.77"));
    SHOW(ip_mreqn(s, IP_ADD_MEMBERSHIP, "239.1.1.1", 999));
    SHOW(ip_mreq(s, IP_ADD_MEMBERSHIP, "239.1.1.1", "127.0.0.1"));
    SHOW(ip_mreq(s, IP_ADD_MEMBERSHIP, "239.1.1.1", "127.0.0.1"));
    SHOW(ip_mreqn(s, IP_ADD_MEMBERSHIP, "239.1.1.1", lo()));
    SHOW(ip_mreqn(s, IP_DROP_MEMBERSHIP, "239.1.1.2", lo()));
    SHOW(ip_mreqn(s, IP_DROP_MEMBERSHIP, "239.1.1.1", 999));
    SHOW(ip_mreqn(s, IP_DROP_MEMBERSHIP, "10.1.2.3", lo()));
    SHOW(ip_mreqn(s, IP_DROP_MEMBERSHIP, "239.1.1.1", lo()));
    SHOW(ip_mreqn(s, IP_DROP_MEMBERSHIP, "239.1.1.1", lo()));
    SHOW(setsockopt(s, IPPROTO_IP, IP_ADD_MEMBERSHIP, buf, 7));
    SHOW(ip_mreqn(t, IP_ADD_MEMBERSHIP, "239.1.1.1", lo()));
    SHOW(group_req(s, IPPROTO_IP, MCAST_JOIN_GROUP, "239.1.1.1", lo()));
    SHOW(group_req(s, IPPROTO_IP, MCAST_JOIN_GROUP, "239.1.1.1", lo()));
    SHOW(group_req(s, IPPROTO_IP, MCAST_JOIN_GROUP, "ff02::77", lo()));
    SHOW(group_req(s, IPPROTO_IP, MCAST_LEAVE_GROUP, "239.1.1.1", lo()));
    SHOW(group_req(s, IPPROTO_IP, MCAST_LEAVE_GROUP, "239.1.1.1", lo()));
    char group[32];
    for (int i = 0; i < 20; i++) {
        snprintf(group, sizeof group, "239.2.0.%d", i);
        ip_mreqn(s, IP_ADD_MEMBERSHIP, group, lo());
    }
    SHOW(ip_mreqn(s, IP_ADD_MEMBERSHIP, "239.2.0.20", lo()));
    SHOW(ip_mreqn(s, IP_ADD_MEMBERSHIP, "239.2.0.19", lo()));
    SHOW(ip_mreqn(s, IP_DROP_MEMBERSHIP, "239.2.0.0", lo()));
    SHOW(ip_mreqn(s, IP_ADD_MEMBERSHIP, "239.2.0.20", lo()));
    close(s);
    close(t);
}

static void errors6(void)
{
    section("memberships of IPv6");
    int s = socket(AF_INET6, SOCK_DGRAM, 0), four = socket(AF_INET, SOCK_DGRAM, 0), t = socket(AF_INET6, SOCK_STREAM, 0);
    SHOW(ip6_mreq(s, IPV6_JOIN_GROUP, "fd00::1", lo()));
    SHOW(ip6_mreq(s, IPV6_JOIN_GROUP, "::ffff:239.1.1.1", lo()));
    SHOW(ip6_mreq(s, IPV6_JOIN_GROUP, "ff02::77", 999));
    SHOW(ip6_mreq(s, IPV6_JOIN_GROUP, "ff02::77", lo()));
    SHOW(ip6_mreq(s, IPV6_JOIN_GROUP, "ff02::77", lo()));
    SHOW(ip6_mreq(s, IPV6_JOIN_GROUP, "ff02::77", 0));
    SHOW(ip6_mreq(s, IPV6_LEAVE_GROUP, "ff02::78", lo()));
    SHOW(ip6_mreq(s, IPV6_LEAVE_GROUP, "fd00::1", lo()));
    SHOW(ip6_mreq(s, IPV6_LEAVE_GROUP, "ff02::77", 0));
    SHOW(ip6_mreq(s, IPV6_LEAVE_GROUP, "ff02::77", 0));
    SHOW(ip6_mreq(t, IPV6_JOIN_GROUP, "ff02::77", lo()));
    SHOW(ip6_mreq(four, IPV6_JOIN_GROUP, "ff02::77", lo()));
    SHOW(setsockopt(s, IPPROTO_IPV6, IPV6_JOIN_GROUP, buf, 19));
    SHOW(group_req(s, IPPROTO_IPV6, MCAST_JOIN_GROUP, "ff02::77", lo()));
    SHOW(group_req(s, IPPROTO_IPV6, MCAST_LEAVE_GROUP, "ff02::77", lo()));
    SHOW(ip_mreqn(s, IP_ADD_MEMBERSHIP, "239.1.1.1", lo())); /* of IPv4, by a socket of both */
    SHOW(ip_mreqn(s, IP_DROP_MEMBERSHIP, "239.1.1.1", lo()));
    close(s);
    close(four);
    close(t);
}

static void all_option(int s, int level, int name)
{
    int v = -1;
    socklen_t n = sizeof v;
    SHOW(getsockopt(s, level, name, &v, &n));
    SHOW(v);
    SHOW(setsockopt(s, level, name, &(int){0}, sizeof v));
    SHOW(getsockopt(s, level, name, &v, &n));
    SHOW(v);
}

/* a is in both groups, b in one, c in none; d in none and wants none of others'. */
static void delivery(int family, const char *one, const char *two)
{
    section(family == AF_INET ? "delivery" : "delivery of IPv6");
    int a = receiver(family), b = receiver(family), c = receiver(family), d = receiver(family), s = sender(family, "127.0.0.1");
    int level = family == AF_INET ? IPPROTO_IP : IPPROTO_IPV6;
    all_option(d, level, family == AF_INET ? IP_MULTICAST_ALL : IPV6_MULTICAST_ALL);
    send_to(s, one, "nobody");
    SHOW(group_req(a, level, MCAST_JOIN_GROUP, one, lo()));
    SHOW(group_req(a, level, MCAST_JOIN_GROUP, two, lo()));
    SHOW(group_req(b, level, MCAST_JOIN_GROUP, two, lo()));
    SHOW(send_to(s, one, "one"));
    SHOW(send_to(s, two, "two"));
    show_all("a", a);
    show_all("b", b);
    show_all("c", c);
    show_all("d", d);
    SHOW(group_req(a, level, MCAST_LEAVE_GROUP, one, lo()));
    SHOW(send_to(s, one, "gone"));
    show_all("a", a);
    close(a);
    SHOW(send_to(s, two, "still"));
    close(b);
    SHOW(send_to(s, two, "closed"));
    show_all("c", c);
    close(c);
    close(d);
    close(s);
}

/* More than the stack looks up at a time. */
static void many(void)
{
    section("many");
    int r[40], got = 0, s = sender(AF_INET, "127.0.0.1");
    for (int i = 0; i < 40; i++) {
        r[i] = receiver(AF_INET);
        group_req(r[i], IPPROTO_IP, MCAST_JOIN_GROUP, "239.3.3.3", lo());
    }
    SHOW(send_to(s, "239.3.3.3", "all"));
    for (int i = 0; i < 40; i++) {
        got += recv(r[i], buf, sizeof buf, MSG_DONTWAIT) == 3;
        close(r[i]);
    }
    SHOW(got);
    close(s);
}

static void texts(const char *file, const char *group)
{
    char line[256];
    FILE *f = fopen(file, "r");
    int users = 0, lines = 0;
    while (f != NULL && fgets(line, sizeof line, f) != NULL) {
        char *at = strstr(line, group);
        if (at != NULL && sscanf(at + strlen(group), "%d", &users) == 1)
            lines++;
    }
    if (f != NULL)
        fclose(f);
    printf("%s has %s %d times, users %d\n", file, group, lines, users);
}

static void proc(void)
{
    section("proc");
    int a = socket(AF_INET, SOCK_DGRAM, 0), b = socket(AF_INET, SOCK_DGRAM, 0), c = socket(AF_INET6, SOCK_DGRAM, 0);
    texts("/proc/net/igmp", "040404EF");
    SHOW(ip_mreqn(a, IP_ADD_MEMBERSHIP, "239.4.4.4", lo()));
    texts("/proc/net/igmp", "040404EF");
    SHOW(ip_mreqn(b, IP_ADD_MEMBERSHIP, "239.4.4.4", lo()));
    texts("/proc/net/igmp", "040404EF");
    close(a);
    texts("/proc/net/igmp", "040404EF");
    close(b);
    texts("/proc/net/igmp", "040404EF");
    SHOW(ip6_mreq(c, IPV6_JOIN_GROUP, "ff05::4444", lo()));
    texts("/proc/net/igmp6", "ff050000000000000000000000004444");
    close(c);
    texts("/proc/net/igmp6", "ff050000000000000000000000004444");
}

static void show_filter(int s)
{
    struct {
        struct ip_msfilter f;
        struct in_addr more[20];
    } m = {.f = {.imsf_multiaddr = in4("239.5.5.5", 0).sin_addr, .imsf_interface = in4("127.0.0.1", 0).sin_addr, .imsf_numsrc = 2}};
    socklen_t n = sizeof m;
    SHOW(getsockopt(s, IPPROTO_IP, IP_MSFILTER, &m, &n));
    printf("mode %u, %u sources, length %u\n", m.f.imsf_fmode, m.f.imsf_numsrc, n);
    fflush(stdout);
}

static int set_filter(int s, unsigned mode, unsigned n)
{
    struct {
        struct ip_msfilter f;
        struct in_addr more[20];
    } m = {.f = {.imsf_multiaddr = in4("239.5.5.5", 0).sin_addr, .imsf_interface = in4("127.0.0.1", 0).sin_addr, .imsf_fmode = mode, .imsf_numsrc = n}};
    for (unsigned i = 0; i < n && i < 20; i++)
        (&m.f.imsf_slist[0])[i] = in4("127.0.0.2", 0).sin_addr, (&m.f.imsf_slist[0])[i].s_addr += i << 24;
    return setsockopt(s, IPPROTO_IP, IP_MSFILTER, &m, IP_MSFILTER_SIZE(n));
}

static void send_from_three(const char *group)
{
    const char *from[] = {"127.0.0.1", "127.0.0.2", "127.0.0.3"};
    for (int i = 0; i < 3; i++) {
        int s = sender(AF_INET, from[i]);
        send_to(s, group, from[i]);
        close(s);
    }
}

static void sources(void)
{
    section("sources");
    const char *g = "239.5.5.5";
    int a = receiver(AF_INET), b = receiver(AF_INET);
    setsockopt(b, IPPROTO_IP, IP_MULTICAST_ALL, &(int){0}, sizeof(int));
    SHOW(ip_source(a, IP_BLOCK_SOURCE, g, "127.0.0.2"));
    SHOW(ip_mreqn(a, IP_ADD_MEMBERSHIP, g, lo()));
    SHOW(ip_source(a, IP_UNBLOCK_SOURCE, g, "127.0.0.2"));
    SHOW(ip_source(a, IP_BLOCK_SOURCE, g, "127.0.0.2"));
    SHOW(ip_source(a, IP_BLOCK_SOURCE, g, "127.0.0.2"));
    SHOW(ip_source(a, IP_ADD_SOURCE_MEMBERSHIP, g, "127.0.0.3"));
    SHOW(ip_source(b, IP_ADD_SOURCE_MEMBERSHIP, g, "127.0.0.3"));
    SHOW(ip_source(b, IP_ADD_SOURCE_MEMBERSHIP, g, "127.0.0.3"));
    SHOW(ip_source(b, IP_BLOCK_SOURCE, g, "127.0.0.3"));
    send_from_three(g);
    show_all("all but .2", a);
    show_all(".3 alone", b);
    show_filter(a);
    show_filter(b);
    SHOW(ip_source(a, IP_UNBLOCK_SOURCE, g, "127.0.0.2"));
    SHOW(ip_source(b, IP_ADD_SOURCE_MEMBERSHIP, g, "127.0.0.2"));
    send_from_three(g);
    show_all("all", a);
    show_all(".2 and .3", b);
    SHOW(ip_source(b, IP_DROP_SOURCE_MEMBERSHIP, g, "127.0.0.2"));
    SHOW(ip_source(b, IP_DROP_SOURCE_MEMBERSHIP, g, "127.0.0.2"));
    SHOW(ip_source(b, IP_DROP_SOURCE_MEMBERSHIP, g, "127.0.0.3")); /* the last one: left */
    SHOW(ip_source(b, IP_DROP_SOURCE_MEMBERSHIP, g, "127.0.0.3"));
    show_filter(b);
    SHOW(setsockopt(b, IPPROTO_IP, IP_BLOCK_SOURCE, buf, 13));
    close(a);
    close(b);
}

static void filters(void)
{
    section("filters");
    int a = receiver(AF_INET);
    SHOW(set_filter(a, MCAST_EXCLUDE, 2));
    SHOW(ip_mreqn(a, IP_ADD_MEMBERSHIP, "239.5.5.5", lo()));
    SHOW(set_filter(a, MCAST_INCLUDE, 2));
    show_filter(a);
    send_from_three("239.5.5.5");
    show_all(".2 and .3", a);
    SHOW(set_filter(a, MCAST_EXCLUDE, 3));
    show_filter(a);
    send_from_three("239.5.5.5");
    show_all(".1", a);
    SHOW(set_filter(a, MCAST_EXCLUDE, 10));
    SHOW(set_filter(a, MCAST_EXCLUDE, 11));
    SHOW(ip_source(a, IP_BLOCK_SOURCE, "239.5.5.5", "127.0.0.99"));
    SHOW(set_filter(a, 7, 1));
    SHOW(set_filter(a, MCAST_INCLUDE, 0));
    show_filter(a);
    close(a);
}

static void sources6(void)
{
    section("sources of IPv6");
    int a = receiver(AF_INET6), s = sender(AF_INET6, NULL);
    const char *g = "ff05::5555";
    SHOW(group_source(a, IPPROTO_IPV6, MCAST_BLOCK_SOURCE, g, "::1"));
    SHOW(group_source(a, IPPROTO_IPV6, MCAST_JOIN_SOURCE_GROUP, g, "fd00::1"));
    SHOW(group_source(a, IPPROTO_IPV6, MCAST_JOIN_SOURCE_GROUP, g, "127.0.0.1"));
    send_to(s, g, "not");
    show_all("fd00::1 alone", a);
    SHOW(group_source(a, IPPROTO_IPV6, MCAST_JOIN_SOURCE_GROUP, g, "::1"));
    send_to(s, g, "this");
    show_all("::1, too", a);
    union {
        struct group_filter f;
        char room[GROUP_FILTER_SIZE(3)];
    } m = {.f = {.gf_interface = (unsigned)lo(), .gf_numsrc = 3}};
    address(&m.f.gf_group, g);
    socklen_t n = sizeof m;
    SHOW(getsockopt(a, IPPROTO_IPV6, MCAST_MSFILTER, &m, &n));
    printf("mode %u, %u sources, length %u\n", m.f.gf_fmode, m.f.gf_numsrc, n);
    m.f.gf_fmode = MCAST_EXCLUDE;
    m.f.gf_numsrc = 1;
    address(&m.f.gf_slist[0], "::1");
    SHOW(setsockopt(a, IPPROTO_IPV6, MCAST_MSFILTER, &m, GROUP_FILTER_SIZE(1)));
    send_to(s, g, "not");
    show_all("all but ::1", a);
    SHOW(group_source(a, IPPROTO_IPV6, MCAST_UNBLOCK_SOURCE, g, "::1"));
    send_to(s, g, "again");
    show_all("all", a);
    SHOW(setsockopt(a, IPPROTO_IPV6, MCAST_MSFILTER, &m, GROUP_FILTER_SIZE(0)));
    close(a);
    close(s);
}

/* Linux's lo has no route for groups of IPv6; Drupe's needs none, and cannot add one. */
static void groups_on_lo(void)
{
    struct {
        struct nlmsghdr h;
        struct rtmsg m;
        struct rtattr dst_head;
        struct in6_addr dst;
        struct rtattr oif_head;
        int oif;
    } q = {.h = {sizeof q, RTM_NEWROUTE, NLM_F_REQUEST | NLM_F_CREATE | NLM_F_ACK, 1, 0},
           .m = {.rtm_family = AF_INET6, .rtm_dst_len = 8, .rtm_table = RT_TABLE_LOCAL, .rtm_protocol = RTPROT_BOOT, .rtm_type = RTN_LOCAL},
           .dst_head = {sizeof q.dst_head + sizeof q.dst, RTA_DST}, .dst.s6_addr = {0xff},
           .oif_head = {sizeof q.oif_head + sizeof q.oif, RTA_OIF}, .oif = lo()};
    int s = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
    send(s, &q, sizeof q, 0);
    recv(s, buf, sizeof buf, 0);
    close(s);
}

int main(void)
{
    groups_on_lo();
    errors();
    errors6();
    delivery(AF_INET, "239.1.1.1", "239.1.1.2");
    delivery(AF_INET6, "ff02::7701", "ff05::7702");
    many();
    proc();
    sources();
    filters();
    sources6();
    return 0;
}
