/* SPDX-License-Identifier: Apache-2.0 */
/* netlink(7), rtnetlink(7): what there is of the loopback interface, groups, and refusals */
#include "t.h"
#include <arpa/inet.h>
#include <dirent.h>
#include <ifaddrs.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#define SA(a) ((struct sockaddr *)&(a))

static struct {
    struct nlmsghdr h;
    union {
        struct rtgenmsg gen;
        struct ifinfomsg link;
        struct rtmsg route;
    };
    char attrs[64];
} req;
static char answer[65536];

static void *ask(int type, int flags, size_t size)
{
    memset(&req, 0, sizeof req);
    req.h = (struct nlmsghdr){NLMSG_LENGTH(size), (uint16_t)type, (uint16_t)(NLM_F_REQUEST | flags), 7, 0};
    return req.attrs;
}

static void attribute(int type, const void *data, size_t len)
{
    struct rtattr *a = (void *)((char *)&req + NLMSG_ALIGN(req.h.nlmsg_len));
    *a = (struct rtattr){(uint16_t)RTA_LENGTH(len), (uint16_t)type};
    memcpy(RTA_DATA(a), data, len);
    req.h.nlmsg_len = (uint32_t)(NLMSG_ALIGN(req.h.nlmsg_len) + a->rta_len);
}

/* The first message of the answer, whose type it shows. */
static struct nlmsghdr *tell(int s)
{
    struct nlmsghdr *h = (void *)answer;
    SHOW_TRUE(send(s, &req, req.h.nlmsg_len, 0) == (ssize_t)req.h.nlmsg_len);
    ssize_t n = recv(s, answer, sizeof answer, MSG_DONTWAIT);
    SHOW_TRUE(n >= (ssize_t)sizeof *h && NLMSG_OK(h, (size_t)n));
    SHOW(h->nlmsg_type);
    SHOW(h->nlmsg_seq);
    if (h->nlmsg_type == NLMSG_ERROR)
        SHOW(((struct nlmsgerr *)NLMSG_DATA(h))->error);
    return h;
}

static void sockets(void)
{
    section("sockets");
    SHOW(socket(AF_NETLINK, SOCK_STREAM, NETLINK_ROUTE));
    int s = SHOW_OK(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE)), t = socket(AF_NETLINK, SOCK_DGRAM, NETLINK_ROUTE);
    struct sockaddr_nl a = {.nl_family = AF_NETLINK}, b = a;
    socklen_t l = sizeof b;
    SHOW(bind(s, SA(a), 4));
    SHOW(bind(s, SA(a), sizeof a));
    SHOW(bind(t, SA(a), sizeof a));
    SHOW(getsockname(s, SA(b), &l));
    SHOW(l);
    SHOW_TRUE(b.nl_pid == (uint32_t)getpid());
    SHOW(bind(t, SA(b), sizeof b));
    SHOW(getsockname(t, SA(a), &l));
    SHOW_TRUE(a.nl_pid != b.nl_pid);
    SHOW(recv(s, answer, sizeof answer, MSG_DONTWAIT));
    SHOW(ioctl(s, FIONREAD, &l));
    SHOW(listen(s, 1));
    SHOW(close(s));
    SHOW(close(t));
}

static int membership(int s, int option, int group) { return setsockopt(s, SOL_NETLINK, option, &group, sizeof group); }

static unsigned groups_of(int s)
{
    struct sockaddr_nl a = {0};
    socklen_t l = sizeof a;
    getsockname(s, SA(a), &l);
    return a.nl_groups;
}

static void groups(void)
{
    struct sockaddr_nl a = {.nl_family = AF_NETLINK, .nl_groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_ROUTE};
    int s = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
    section("groups");
    SHOW(groups_of(s));
    SHOW(bind(s, SA(a), sizeof a));
    SHOW(groups_of(s));
    SHOW(membership(s, NETLINK_ADD_MEMBERSHIP, RTNLGRP_NEIGH));
    SHOW(groups_of(s));
    SHOW(membership(s, NETLINK_DROP_MEMBERSHIP, RTNLGRP_LINK));
    SHOW(membership(s, NETLINK_DROP_MEMBERSHIP, RTNLGRP_LINK));
    SHOW(groups_of(s));
    SHOW(membership(s, NETLINK_ADD_MEMBERSHIP, 0));
    SHOW(membership(s, NETLINK_ADD_MEMBERSHIP, 100000));
    SHOW(setsockopt(s, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &a, 2));
    a.nl_groups = RTMGRP_IPV4_ROUTE;
    a.nl_pid = 0;
    SHOW(bind(s, SA(a), sizeof a));
    SHOW(groups_of(s));
    SHOW(close(s));
}

static void questions(void)
{
    int s = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE), index = 0;
    uint32_t to = htonl(INADDR_LOOPBACK);
    section("one interface");
    ask(RTM_GETLINK, 0, sizeof req.link);
    req.link.ifi_index = 1;
    struct ifinfomsg *link = NLMSG_DATA(tell(s));
    SHOW(link->ifi_index);
    SHOW(link->ifi_type);
    SHOW(link->ifi_flags & (IFF_UP | IFF_LOOPBACK | IFF_BROADCAST));
    ask(RTM_GETLINK, 0, sizeof req.link);
    attribute(IFLA_IFNAME, "lo", 3);
    link = NLMSG_DATA(tell(s));
    SHOW(link->ifi_index);
    ask(RTM_GETLINK, 0, sizeof req.link);
    attribute(IFLA_IFNAME, "none0", 6);
    tell(s);
    section("one route");
    ask(RTM_GETROUTE, 0, sizeof req.route);
    req.route.rtm_family = AF_INET;
    req.route.rtm_dst_len = 32;
    attribute(RTA_DST, &to, 4);
    struct nlmsghdr *h = tell(s);
    struct rtmsg *r = NLMSG_DATA(h);
    SHOW(r->rtm_family);
    SHOW(r->rtm_type);
    SHOW(r->rtm_table);
    SHOW(r->rtm_dst_len);
    size_t left = RTM_PAYLOAD(h);
    int last = 0;
    for (struct rtattr *x = RTM_RTA(r); RTA_OK(x, left); x = RTA_NEXT(x, left)) {
        last = x->rta_type;
        if (x->rta_type == RTA_OIF)
            memcpy(&index, RTA_DATA(x), 4);
    }
    SHOW(index);
    SHOW(last == RTA_CACHEINFO); /* nmap looks at all but the last */
    section("refusals, acknowledgements");
    ask(RTM_GETADDR, NLM_F_DUMP, sizeof req.gen);
    req.gen.rtgen_family = AF_INET;
    req.h.nlmsg_len = 8; /* no message: nothing comes back */
    SHOW(send(s, &req, 17, 0));
    SHOW(recv(s, answer, sizeof answer, MSG_DONTWAIT));
    ask(NLMSG_NOOP, NLM_F_ACK, sizeof req.gen);
    tell(s);
    ask(RTM_MAX + 5, 0, sizeof req.gen);
    tell(s);
    close(s);
}

/* The C library's view: dumps of interfaces and addresses. */
static void library(void)
{
    struct ifaddrs *all = NULL;
    char text[64];
    unsigned counters = 0;
    section("getifaddrs, if_nameindex");
    SHOW(getifaddrs(&all));
    for (struct ifaddrs *i = all; i != NULL; i = i->ifa_next) {
        if (strcmp(i->ifa_name, "lo") != 0 || i->ifa_addr == NULL)
            continue;
        counters += i->ifa_addr->sa_family == AF_PACKET && i->ifa_data != NULL;
        if (i->ifa_addr->sa_family != AF_INET || ((struct sockaddr_in *)(void *)i->ifa_addr)->sin_addr.s_addr != htonl(INADDR_LOOPBACK))
            continue;
        SHOW_STR(inet_ntop(AF_INET, &((struct sockaddr_in *)(void *)i->ifa_addr)->sin_addr, text, sizeof text));
        SHOW_STR(inet_ntop(AF_INET, &((struct sockaddr_in *)(void *)i->ifa_netmask)->sin_addr, text, sizeof text));
        SHOW(i->ifa_flags & (IFF_UP | IFF_RUNNING | IFF_LOOPBACK));
    }
    SHOW(counters);
    freeifaddrs(all);
    struct if_nameindex *names = if_nameindex();
    SHOW_TRUE(names != NULL);
    SHOW(names != NULL ? names[0].if_index : 0);
    SHOW_STR(names != NULL ? names[0].if_name : "");
    if_freenameindex(names);
    SHOW(if_nametoindex("lo"));
    SHOW_STR(if_indextoname(1, text));
}

/* /sys/class/net: lo as it is there. */
static void sys(void)
{
    section("sys");
    static const char *const names[] = {"addr_assign_type", "addr_len", "address", "broadcast", "carrier", "dev_id", "dev_port", "dormant", "flags",
                                        "ifindex", "iflink", "link_mode", "operstate", "type", "uevent", "statistics/collisions",
                                        "statistics/rx_errors", "statistics/tx_dropped"};
    char path[96], text[256];
    for (unsigned i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(path, sizeof path, "/sys/class/net/lo/%s", names[i]);
        FILE *f = fopen(path, "r");
        size_t n = f != NULL ? fread(text, 1, sizeof text - 1, f) : 0;
        text[n] = '\0';
        printf("%s: %s", names[i], n > 0 ? text : "nothing\n");
        if (f != NULL)
            fclose(f);
    }
    SHOW_TRUE(readlink("/sys/class/net/lo", text, sizeof text) > 0 && strncmp(text, "../../devices/virtual/net/lo", 28) == 0);
    SHOW(access("/sys/class/net/lo/queues/rx-0", X_OK));
    SHOW(access("/sys/class/net/lo/queues/tx-0", X_OK));
    SHOW(access("/sys/class/net/none", F_OK));
    SHOW_OK(access("/sys/devices/virtual/net/lo/statistics/tx_packets", R_OK));
    DIR *d = opendir("/sys/class/net/lo/statistics");
    int n = 0;
    while (d != NULL && readdir(d) != NULL)
        n++;
    SHOW_TRUE(n >= 24);
    if (d != NULL)
        closedir(d);
}

int main(void)
{
    sockets();
    groups();
    questions();
    library();
    sys();
    return 0;
}
