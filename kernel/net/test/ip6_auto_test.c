/* SPDX-License-Identifier: Apache-2.0 */
/* What routers say and net.ipv6.conf lets be: temporary addresses (RFC 8981), preferences and routes for prefixes (RFC 4191), sources (RFC 6724). */
#include "../ip6_impl.h"
#include "ip6_peer.h"

#define PREFIX IP6(0x2001000100000000ULL, 0)
#define PUBLIC IP6(0x2001000100000000ULL, 0x000000fffe000002ULL)
#define NEAR IP6(0x2001000100000000ULL, 7)
#define ALL_NODES IP6(0xff02000000000000ULL, 1)
#define SECOND IP6(0xfe80000000000000ULL, 0x9a)
#define DAY (86400 * NSEC_PER_SEC)
enum { LOW = 0x18, HIGH = 0x08, RESERVED = 0x10 };

/* --- net.ipv6.conf as /proc has it ------------------------------------------------------------------ */

static struct file {
    char path[80];
    u32 mode;
    size_t (*show)(void *arg, char *buf, size_t size);
    int (*store)(void *arg, const char *text, size_t len);
    void *arg;
} files[128];
static unsigned nfiles;

static int add_file(const char *path, u32 mode, size_t (*show)(void *, char *, size_t), int (*store)(void *, const char *, size_t), void *arg)
{
    CHECK(nfiles < ARRAY_SIZE(files));
    struct file *f = &files[nfiles++];
    *f = (struct file){ .mode = mode, .show = show, .store = store, .arg = arg };
    str_copy(f->path, path, sizeof f->path);
    return 0;
}

static const struct file *file(const char *name)
{
    for (unsigned i = 0; i < nfiles; i++)
        if (strcmp(files[i].path + strlen("sys/net/ipv6/conf/"), name) == 0)
            return &files[i];
    return NULL;
}

static int set(const char *name, const char *text)
{
    const struct file *f = file(name);
    return f == NULL ? -ENOENT : f->store == NULL ? -EACCES : f->store(f->arg, text, strlen(text));
}

static bool is(const char *name, const char *text)
{
    char b[32];
    const struct file *f = file(name);
    size_t n = f->show(f->arg, b, sizeof b);
    return n == strlen(text) + 1 && memcmp(b, text, n - 1) == 0 && b[n - 1] == '\n';
}

static void boot(void)
{
    struct seen s;
    boot6(0);
    nfiles = 0;
    CHECK_EQ(net_conf_add(add_file), 0);
    while (next6(&s, 20 * NSEC_PER_SEC))
        ;
}

static void quiet(u64 wait_ns)
{
    struct seen s;
    while (next6(&s, wait_ns))
        ;
}

/* --- what a router says ------------------------------------------------------------------------------ */

static void say(struct ip_addr router, u32 life_s, u8 pref, const void *options, u32 len)
{
    u8 m[256] = { 134, 0, 0, 0, 64, pref };
    put_be16(m + 6, (u16)life_s);
    memcpy(m + 16, options, len);
    icmp_in(router, ALL_NODES, 255, m, 16 + len);
}

static void say_prefix(struct ip_addr prefix, u32 valid_s, u32 preferred_s)
{
    u8 o[32] = { 3, 4, 64, 0xc0 };
    put_be32(o + 4, valid_s);
    put_be32(o + 8, preferred_s);
    memcpy(o + 16, &prefix, 16);
    say(ROUTER, 1800, 0, o, sizeof o);
}

static void say_route(struct ip_addr router, struct ip_addr prefix, u8 plen, u8 pref, u32 life_s)
{
    u8 o[24] = { 24, 3, plen, pref };
    put_be32(o + 4, life_s);
    memcpy(o + 8, &prefix, 16);
    say(router, 1800, 0, o, sizeof o);
}

static struct ip_addr way(struct ip_addr dst)
{
    struct ip_route rt;
    return ip_route_find(dst, IP6_ANY, 0, &rt) == 0 ? rt.nexthop : IP6_ANY;
}

static struct ip_addr source(struct ip_addr dst)
{
    struct ip_route rt;
    CHECK_EQ(ip_route_find(dst, IP6_ANY, 0, &rt), 0);
    return rt.src;
}

/* How many temporary addresses there are; the youngest. */
static unsigned temporary(struct ip6_addr *ret)
{
    struct ip6_addr all[IP6_ADDRS];
    struct netif *nif;
    unsigned n = 0, of = ip6_addr_list(all, &nif);
    for (unsigned i = 0; i < of; i++)
        if (all[i].temporary && (n++ == 0 || all[i].made_ns > ret->made_ns))
            *ret = all[i];
    return n;
}

static void done(void)
{
    ip6_stop();
    quiet(10 * NSEC_PER_SEC);
    check_no_leak();
}

/* Neither a prefix nor a gateway that was configured. */
TEST(routers_change_no_fixed_route)
{
    boot();
    spin_lock_bh(&six.lock);
    ip6_route_set(IP6_ANY, 0, ROUTER, IP6_PREF_MEDIUM, NEVER_NS);
    spin_unlock_bh(&six.lock);
    say_prefix(ip6_mask(OUR, 64), 0, 0);
    say(ROUTER, 0, HIGH, "", 0);
    CHECK(ip_equal(way(PEER), PEER));
    CHECK(ip_equal(way(FAR), ROUTER));
    done();
}

/* --- temporary addresses ------------------------------------------------------------------------------ */

TEST(temporary_addresses_are_asked_for)
{
    struct ip6_addr t;
    boot();
    say_prefix(PREFIX, 30 * 86400, 7 * 86400);
    CHECK(ip6_is_local(PUBLIC));
    CHECK_EQ(temporary(&t), 0);
    CHECK_EQ(set("default/use_tempaddr", "2"), 0); /* of no card that there is */
    CHECK_EQ(set("all/use_tempaddr", "2"), 0);
    say_prefix(PREFIX, 30 * 86400, 7 * 86400);
    CHECK_EQ(temporary(&t), 0);
    CHECK_EQ(set("eth0/use_tempaddr", "1"), 0);
    CHECK_EQ(temporary(&t), 1);
    CHECK(t.addr.hi == PREFIX.hi && t.plen == 64 && t.addr.lo != PUBLIC.lo);
    u64 now = now_ns();
    CHECK(t.preferred_ns <= now + DAY && t.preferred_ns > now + DAY - 600 * NSEC_PER_SEC);
    CHECK_EQ(t.valid_ns, t.made_ns + 7 * DAY);
    CHECK_EQ(ip6_addr_flags(&t, now) & ~4u, 1);
    say_prefix(PREFIX, 30 * 86400, 7 * 86400); /* once more: no other */
    CHECK_EQ(temporary(&t), 1);
    struct ip_addr public = PUBLIC;
    CHECK(ip_equal(source(FAR), public));
    CHECK_EQ(set("eth0/use_tempaddr", "2"), 0);
    CHECK(ip_equal(source(FAR), t.addr));
    CHECK(ip_equal(source(PEER), OUR)); /* another kind of address (rule 6) comes first */
    CHECK(ip6_is_link_local(source(ROUTER)));
    CHECK_EQ(temporary(&t), 1);
    done();
}

TEST(another_takes_its_place_in_time)
{
    struct ip6_addr t, first;
    boot();
    CHECK_EQ(set("eth0/use_tempaddr", "2"), 0);
    say_prefix(PREFIX, UINT32_MAX, UINT32_MAX);
    CHECK_EQ(temporary(&first), 1);
    quiet(2 * NSEC_PER_SEC);
    sleep_ns(first.preferred_ns - now_ns() - 5 * NSEC_PER_SEC - NSEC_PER_MSEC);
    CHECK_EQ(temporary(&t), 1);
    sleep_ns(2 * NSEC_PER_MSEC); /* five seconds before: time to see that nobody has it */
    CHECK_EQ(temporary(&t), 2);
    CHECK(t.addr.lo != first.addr.lo && t.addr.hi == first.addr.hi);
    CHECK(ip_equal(source(NEAR), t.addr));
    sleep_ns(5 * NSEC_PER_SEC);
    CHECK_EQ(ip6_addr_flags(&first, now_ns()) & 0x21, 0x21);
    CHECK(ip6_is_local(first.addr)); /* for what is connected from it */
    for (u32 day = 0; day < 20; day++) {
        sleep_ns(DAY);
        unsigned n = temporary(&t);
        CHECK(n >= 1 && n <= 8);
        CHECK(t.preferred_ns > now_ns());
        CHECK(ip_equal(source(NEAR), t.addr));
        quiet(NSEC_PER_SEC);
    }
    CHECK(!ip6_is_local(first.addr));
    CHECK_EQ(set("eth0/use_tempaddr", "0"), 0); /* what there is lives on, and nothing follows */
    CHECK(temporary(&t) > 0);
    sleep_ns(8 * DAY);
    CHECK_EQ(temporary(&t), 0);
    done();
}

TEST(lifetimes_are_the_shorter_ones)
{
    struct ip6_addr t;
    boot();
    CHECK_EQ(set("eth0/use_tempaddr", "2"), 0);
    say_prefix(PREFIX, 100, 5); /* not preferred for long enough */
    CHECK(ip6_is_local(PUBLIC));
    CHECK_EQ(temporary(&t), 0);
    say_prefix(PREFIX, 8000, 60);
    CHECK_EQ(temporary(&t), 1);
    CHECK_EQ(t.preferred_ns, now_ns() + 60 * NSEC_PER_SEC);
    CHECK_EQ(t.valid_ns, now_ns() + 8000 * NSEC_PER_SEC);
    sleep_ns(50 * NSEC_PER_SEC);
    say_prefix(PREFIX, 9000, 100); /* the router goes on: so does the address */
    CHECK_EQ(temporary(&t), 1);
    CHECK_EQ(t.preferred_ns, now_ns() + 100 * NSEC_PER_SEC);
    CHECK_EQ(set("eth0/temp_valid_lft", "50"), 0); /* of its whole life */
    say_prefix(PREFIX, 9000, 100);
    sleep_ns(NSEC_PER_SEC);
    CHECK(!ip6_is_local(t.addr));
    CHECK_EQ(temporary(&t), 1); /* another one */
    CHECK_EQ(set("eth0/temp_valid_lft", "604800"), 0);
    CHECK_EQ(set("eth0/temp_prefered_lft", "1"), 0); /* less than it takes: as Linux, just that */
    say_prefix(PREFIX, 9000, 1000);
    CHECK(temporary(&t) >= 1);
    CHECK_EQ(t.preferred_ns, t.made_ns + 6 * NSEC_PER_SEC);
    say_prefix(PREFIX, 9000, 0); /* the prefix is deprecated, and all of it */
    CHECK(temporary(&t) >= 1);
    CHECK(t.preferred_ns <= now_ns());
    done();
}

/* Somebody else has the address that was just made. */
static void claim(struct ip_addr a)
{
    u8 m[32] = { 136, 0, 0, 0, 0x20 };
    memcpy(m + 8, &a, 16);
    m[24] = 2, m[25] = 1;
    icmp_in(a, ALL_NODES, 255, m, sizeof m);
}

TEST(duplicates_are_tried_again_and_then_no_more)
{
    struct ip6_addr t, before = { .plen = 0 };
    boot();
    CHECK_EQ(set("eth0/use_tempaddr", "2"), 0);
    say_prefix(PREFIX, 86400, 86400);
    for (unsigned i = 0; i < 2; i++) {
        CHECK_EQ(temporary(&t), 1);
        CHECK(!ip_equal(t.addr, before.addr));
        before = t;
        claim(t.addr);
    }
    CHECK_EQ(temporary(&t), 1);
    quiet(2 * NSEC_PER_SEC);
    claim(t.addr); /* too late: it is ours */
    CHECK_EQ(temporary(&t), 1);
    CHECK(is("eth0/use_tempaddr", "2"));
    CHECK_EQ(set("eth0/temp_valid_lft", "1"), 0);
    say_prefix(PREFIX, 86400, 86400);
    sleep_ns(NSEC_PER_SEC);
    CHECK_EQ(set("eth0/temp_valid_lft", "10000"), 0);
    say_prefix(PREFIX, 86400, 86400);
    for (unsigned i = 0; i < 3; i++) { /* three in a row */
        CHECK_EQ(temporary(&t), 1);
        claim(t.addr);
    }
    CHECK_EQ(temporary(&t), 0);
    CHECK(is("eth0/use_tempaddr", "-1"));
    say_prefix(PREFIX, 86400, 86400);
    CHECK_EQ(temporary(&t), 0);
    CHECK(ip6_is_local(PUBLIC));
    done();
}

TEST(temporary_addresses_have_bounds)
{
    struct ip6_addr all[IP6_ADDRS], t;
    struct netif *nif;
    boot();
    CHECK_EQ(set("eth0/use_tempaddr", "2"), 0);
    for (u32 i = 0; i < 40; i++)
        say_prefix(IP6(0x2001000100000000ULL + i, 0), UINT32_MAX, UINT32_MAX);
    CHECK_EQ(ip6_addr_list(all, &nif), IP6_ADDRS);
    unsigned n = temporary(&t);
    CHECK(n >= 4);
    quiet(2 * NSEC_PER_SEC);
    sleep_ns(3 * DAY); /* the old ones make room */
    CHECK_EQ(ip6_addr_list(all, &nif), IP6_ADDRS);
    unsigned preferred = 0;
    for (unsigned i = 0; i < IP6_ADDRS; i++)
        preferred += all[i].temporary && all[i].preferred_ns > now_ns();
    CHECK(preferred >= 1);
    done();
}

/* --- routers' preferences ------------------------------------------------------------------------------ */

TEST(the_preferred_router_is_asked)
{
    struct ip_addr router = ROUTER, second = SECOND;
    boot();
    say(ROUTER, 1800, 0, "", 0);
    say(SECOND, 1800, 0, "", 0);
    CHECK(ip_equal(way(FAR), router)); /* the first */
    say(SECOND, 1800, HIGH, "", 0);
    CHECK(ip_equal(way(FAR), second));
    say(SECOND, 1800, RESERVED, "", 0); /* as medium */
    CHECK(ip_equal(way(FAR), router));
    say(ROUTER, 1800, LOW, "", 0);
    CHECK(ip_equal(way(FAR), second));
    say(SECOND, 0, HIGH, "", 0);
    CHECK(ip_equal(way(FAR), router));
    CHECK_EQ(set("eth0/accept_ra_rtr_pref", "0"), 0);
    say(SECOND, 1800, HIGH, "", 0);
    say(ROUTER, 1800, 0, "", 0);
    CHECK(ip_equal(way(FAR), router));
    CHECK_EQ(set("eth0/accept_ra_defrtr", "0"), 0);
    say(ROUTER, 0, 0, "", 0); /* not looked at */
    CHECK(ip_equal(way(FAR), router));
    done();
}

TEST(routes_for_prefixes)
{
    struct ip_addr router = ROUTER, second = SECOND, net = IP6(0x2001000000000000ULL, 0), inner = IP6(0x2001000000000000ULL, 0x10);
    struct ip6_route r[IP6_ROUTES];
    struct netif *nif;
    boot();
    say(ROUTER, 1800, 0, "", 0);
    say_route(SECOND, net, 64, HIGH, 100);
    CHECK(ip_equal(way(FAR), router)); /* as Linux: not unless asked to */
    CHECK_EQ(set("eth0/accept_ra_rt_info_max_plen", "128"), 0);
    CHECK_EQ(set("eth0/accept_ra_rt_info_min_plen", "10"), 0);
    say_route(SECOND, net, 9, HIGH, 100);
    say_route(SECOND, net, 129, HIGH, 100);
    say_route(SECOND, net, 64, RESERVED, 100);
    say_route(SECOND, IP6(0xff00000000000000ULL, 0), 64, HIGH, 100);
    CHECK(ip_equal(way(FAR), router));
    say_route(SECOND, net, 64, LOW, 100); /* the longer prefix, whatever it is worth */
    CHECK(ip_equal(way(FAR), second));
    CHECK(ip_equal(way(IP6(0x2001000000000001ULL, 0)), router));
    say_route(ROUTER, net, 64, HIGH, 100); /* of the same the preferred one */
    CHECK(ip_equal(way(FAR), router));
    say_route(SECOND, inner, 124, LOW, 200);
    CHECK(ip_equal(way(IP6(0x2001000000000000ULL, 0x11)), second));
    say_route(ROUTER, net, 64, HIGH, 0);
    CHECK(ip_equal(way(FAR), second));
    quiet(NSEC_PER_SEC);
    sleep_ns(101 * NSEC_PER_SEC);
    CHECK(ip_equal(way(FAR), router));
    CHECK(ip_equal(way(IP6(0x2001000000000000ULL, 0x11)), second));
    say_route(SECOND, IP6_ANY, 0, HIGH, 100); /* its own word about all the rest */
    CHECK(ip_equal(way(FAR), second));
    for (u32 i = 0; i < 100; i++)
        say_route(SECOND, IP6(0x2001000200000000ULL + i, 0), 64, HIGH, 1000);
    unsigned n = ip6_route_list(r, &nif), more = 0;
    for (unsigned i = 0; i < n; i++)
        more += r[i].plen != 0 && !ip_is_unspec(r[i].gateway);
    CHECK_EQ(more, IP6_MORE_ROUTES);
    say(IP6(0xfe80000000000000ULL, 0x9b), 1800, HIGH, "", 0); /* and there is room for routers */
    CHECK_EQ(ip6_route_list(r, &nif), n + 1);
    u8 broken[16] = { 24, 2, 65, HIGH, 0, 0, 1, 0, 0x20 }; /* shorter than its prefix */
    say(SECOND, 1800, HIGH, broken, sizeof broken);
    CHECK_EQ(ip6_route_list(r, &nif), n + 1);
    done();
}

/* --- the other settings ---------------------------------------------------------------------------------- */

TEST(settings)
{
    struct ip_route rt;
    struct seen s;
    boot();
    CHECK(is("all/mtu", "1280") && is("lo/mtu", "65535") && is("eth0/mtu", "1500") && is("lo/use_tempaddr", "-1") && is("eth0/temp_valid_lft", "604800"));
    CHECK_EQ(set("eth0/forwarding", "1"), -EACCES);
    static const char *const bad[] = { "x", "1x", "99999999999", "-99999999999", "--1", "-" };
    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++)
        CHECK_EQ(set("eth0/accept_ra", bad[i]), -EINVAL);
    CHECK_EQ(set("eth0/mtu", "1279"), -EINVAL);
    CHECK_EQ(set("eth0/mtu", "1501"), -EINVAL);
    CHECK_EQ(set("eth0/accept_ra", " 0 7\n"), 0);
    CHECK(is("eth0/accept_ra", "0") && is("all/accept_ra", "1"));
    say_prefix(PREFIX, 1000, 1000);
    CHECK(!ip6_is_local(PUBLIC) && ip_is_unspec(way(FAR)));
    CHECK_EQ(set("eth0/accept_ra", "1\n"), 0);
    CHECK_EQ(set("eth0/autoconf", "0"), 0);
    say_prefix(PREFIX, 1000, 1000);
    CHECK(!ip6_is_local(PUBLIC) && ip_equal(way(FAR), ROUTER));
    CHECK_EQ(set("eth0/mtu", "1400"), 0);
    CHECK_EQ(ip_route_find(FAR, IP6_ANY, 0, &rt), 0);
    CHECK_EQ(rt.mtu, 1400);
    static const u8 mtu[8] = { 5, 1, 0, 0, 0, 0, 1300 >> 8, 1300 & 0xff };
    u32 before = route_gen;
    say(SECOND, 0, 0, mtu, sizeof mtu); /* which is no router, but says so */
    CHECK(is("eth0/mtu", "1300") && route_gen != before);
    quiet(NSEC_PER_SEC);
    /* probes for duplicates */
    CHECK_EQ(set("eth0/autoconf", "1"), 0);
    CHECK_EQ(set("eth0/dad_transmits", "2"), 0);
    say_prefix(PREFIX, 1000, 1000);
    unsigned probes = 0;
    while (next6(&s, 3 * NSEC_PER_SEC))
        probes += s.type == 135 && ip_is_unspec(s.src);
    CHECK_EQ(probes, 2);
    CHECK_EQ(set("eth0/dad_transmits", "0"), 0);
    say_prefix(IP6(0x2001000300000000ULL, 0), 1000, 1000);
    CHECK(!next6(&s, NSEC_PER_SEC) || s.type != 135);
    /* none at all, and again */
    CHECK_EQ(set("all/disable_ipv6", "1"), 0);
    CHECK(is("eth0/disable_ipv6", "1") && is("lo/disable_ipv6", "1"));
    CHECK(!ip6_is_local(PUBLIC) && !ip6_is_local(IP6_LOOPBACK) && !ip6_accepts(ALL_NODES));
    CHECK_EQ(ip_route_find(ROUTER, IP6_ANY, 0, &rt), -EADDRNOTAVAIL);
    CHECK_EQ(ip_route_find(IP6_LOOPBACK, IP6_ANY, 0, &rt), -EADDRNOTAVAIL);
    say_prefix(PREFIX, 1000, 1000);
    CHECK(!ip6_is_local(PUBLIC));
    quiet(NSEC_PER_SEC);
    CHECK_EQ(set("all/disable_ipv6", "0"), 0);
    CHECK(ip6_is_local(IP6_LOOPBACK) && !ip_is_unspec(ip6_link_local()) && !ip6_is_local(OUR));
    bool asked = false;
    while (next6(&s, NSEC_PER_SEC))
        asked |= s.type == 133;
    CHECK(asked);
    say_prefix(PREFIX, 1000, 1000);
    CHECK(ip6_is_local(PUBLIC));
    done();
}

/* Messages of that type to dst, until nothing is sent any more. */
static unsigned sent_to(struct ip_addr dst, u8 type)
{
    struct seen s;
    unsigned n = 0;
    while (next6(&s, 5 * NSEC_PER_SEC))
        n += s.next == 58 && s.type == type && ip_equal(s.dst, dst);
    return n;
}

/* RFC 4861 7.3.3, 6.3.6: by its link address, then by asking all, then another one. */
TEST(a_router_that_does_not_answer_is_left)
{
    struct ip_addr router = ROUTER, second = SECOND, all = ip6_solicited_node(ROUTER);
    struct sock_addr to;
    struct sock *u;
    struct seen s;
    boot();
    say(ROUTER, 1800, HIGH, "", 0);
    say(SECOND, 1800, 0, "", 0);
    CHECK_EQ(sock_create(AF_INET6, SOCK_DGRAM, 0, &u), 0);
    inet_name_out(u, &to, FAR, 9);
    CHECK_EQ(sock_connect(u, &to, false), 0);
    CHECK_EQ(send_bytes(u, "x", 1, 0), 1);
    advertise(ROUTER, 1);
    quiet(31 * NSEC_PER_SEC);
    CHECK_EQ(send_bytes(u, "x", 1, 0), 1); /* to where it was, which is asked about */
    CHECK(next6(&s, NSEC_PER_MSEC) && s.type == 135 && ip_equal(s.dst, router));
    CHECK(next6(&s, NSEC_PER_MSEC) && s.next == 17 && s.mac[5] == 1);
    CHECK_EQ(sent_to(all, 135), 3);
    CHECK(ip_equal(way(FAR), second));
    CHECK_EQ(send_bytes(u, "x", 1, 0), 1);
    advertise(SECOND, 2);
    CHECK(next6(&s, NSEC_PER_MSEC) && s.type == 135);
    CHECK(next6(&s, NSEC_PER_MSEC) && s.next == 17 && s.mac[5] == 2);
    quiet(20 * NSEC_PER_SEC);
    CHECK(ip_equal(way(FAR), second)); /* it stays so, and nobody is asked */
    CHECK_EQ(sent_to(all, 135), 0);
    quiet(60 * NSEC_PER_SEC);
    for (unsigned i = 0; i < 3; i++)
        CHECK(ip_equal(way(FAR), second));
    CHECK_EQ(sent_to(all, 135), 1); /* is it there again? */
    advertise(ROUTER, 1);
    CHECK(ip_equal(way(FAR), router));
    sock_release(u);
    done();
}

/* With none that answers the preferred one is asked, as if all did. */
TEST(no_router_answers)
{
    struct ip_addr router = ROUTER, second = SECOND;
    struct sock_addr to;
    struct sock *u;
    boot();
    CHECK_EQ(sock_create(AF_INET6, SOCK_DGRAM, 0, &u), 0);
    inet_name_out(u, &to, FAR, 9);
    say(ROUTER, 1800, HIGH, "", 0);
    say(SECOND, 1800, 0, "", 0);
    for (unsigned i = 0; i < 2; i++) {
        CHECK(ip_equal(way(FAR), i == 0 ? router : second));
        CHECK_EQ(sock_connect(u, &to, false), 0);
        CHECK_EQ(send_bytes(u, "x", 1, 0), 1);
        quiet(10 * NSEC_PER_SEC);
    }
    CHECK(ip_equal(way(FAR), router));
    sock_release(u);
    done();
}

/* RFC 5014: a program's words come before the setting. */
TEST(programs_prefer_sources)
{
    struct ip6_addr temp = { 0 };
    struct ip_addr public = PUBLIC, near = NEAR;
    static const struct {
        int prefs, err;
        bool temporary;
    } tries[] = { { 0, 0, true }, { 2, 0, false }, { 1, 0, true }, { 3, -EINVAL, true }, { 2, 0, false }, { 4, 0, false }, { 0x100, 0, true } };
    boot();
    CHECK_EQ(set("eth0/use_tempaddr", "2"), 0);
    say_prefix(PREFIX, 86400, 14400);
    quiet(5 * NSEC_PER_SEC);
    CHECK_EQ(temporary(&temp), 1);
    struct sock *u;
    struct sock_addr to;
    CHECK_EQ(sock_create(AF_INET6, SOCK_DGRAM, 0, &u), 0);
    for (unsigned i = 0; i < ARRAY_SIZE(tries); i++) {
        CHECK_EQ(sock_setopt(u, 41, 72, &tries[i].prefs, 4), tries[i].err);
        u->laddr = IP6_ANY;
        inet_name_out(u, &to, near, 9);
        CHECK_EQ(sock_connect(u, &to, false), 0);
        CHECK(ip_equal(u->laddr, tries[i].temporary ? temp.addr : public));
    }
    sock_release(u);
    done();
}

static void say_hops(u8 hops)
{
    u8 m[16] = { 134, 0, 0, 0, hops };
    put_be16(m + 6, 1800);
    icmp_in(ROUTER, ALL_NODES, 255, m, sizeof m);
}

/* Hop limit of the next datagram; forward is asked where the router is. */
static u8 hops_sent(struct sock *u)
{
    struct seen s;
    CHECK_EQ(send_bytes(u, "x", 1, 0), 1);
    while (next6(&s, NSEC_PER_SEC) && s.next != 17)
        advertise(ROUTER, 1);
    return s.hops;
}

TEST(hop_limits)
{
    struct sock *u;
    struct sock_addr to;
    boot();
    say_hops(77);
    CHECK(is("eth0/hop_limit", "77") && is("all/hop_limit", "64"));
    CHECK_EQ(sock_create(AF_INET6, SOCK_DGRAM, 0, &u), 0);
    inet_name_out(u, &to, FAR, 9);
    CHECK_EQ(sock_connect(u, &to, false), 0);
    CHECK_EQ(hops_sent(u), 77);
    say_hops(0); /* it does not say */
    CHECK_EQ(hops_sent(u), 77);
    CHECK_EQ(set("eth0/accept_ra_min_hop_limit", "60"), 0);
    say_hops(59);
    CHECK_EQ(hops_sent(u), 77);
    say_hops(60);
    CHECK_EQ(hops_sent(u), 60);
    CHECK_EQ(set("eth0/hop_limit", "0"), -EINVAL);
    CHECK_EQ(set("eth0/hop_limit", "256"), -EINVAL);
    CHECK_EQ(set("eth0/hop_limit", "50"), 0);
    CHECK_EQ(hops_sent(u), 50);
    CHECK_EQ(sock_setopt(u, 41, 16, &(int){ 9 }, 4), 0);
    CHECK_EQ(hops_sent(u), 9);
    CHECK_EQ(sock_setopt(u, 41, 16, &(int){ -1 }, 4), 0);
    int v;
    u32 len = sizeof v;
    CHECK_EQ(sock_getopt(u, 41, 16, &v, &len), 0);
    CHECK_EQ(v, 50);
    sock_release(u);
    done();
}
