/* SPDX-License-Identifier: Apache-2.0 */
/* In the place of ip6_addr.c, ip6_nd.c and their tests' half of the stack: ::1 is the only IPv6 address (-Dwithout=ipv6). */
#include "sock_impl.h"

bool ip6_is_local(struct ip_addr a) { return ip_equal(a, IP6_LOOPBACK); }
bool ip6_accepts(struct ip_addr dst) { return false; }

int ip6_route_find(struct ip_addr dst, struct ip_addr src, unsigned ifindex, struct ip_route *ret)
{
    if (!ip_equal(dst, IP6_LOOPBACK) || (!ip_is_any(src) && !ip_equal(src, dst))) {
        NET_COUNT(ip_no_route);
        return -ENETUNREACH;
    }
    *ret = (struct ip_route){ .nif = &lo_if, .src = dst, .nexthop = dst, .mtu = lo_if.dev->mtu, .gen = ret->gen };
    return 0;
}

u8 ip6_hops(const struct netif *nif) { return 64; }
void ip6_source(struct ip_addr dst, u32 prefs, struct ip_addr *ret) {}
int ip6_prefer(struct sock *s, u32 v) { return -ENOPROTOOPT; }
s32 ip6_preferences(const struct sock *s) { return -ENOPROTOOPT; }
void ip6_init(void) {}
void ip6_start(struct netif *nif) {}
void ip6_wait(u64 deadline_ns) {}
void nd_solicit(struct netif *nif, struct ip_addr target, const u8 *mac) {}
void nd_input(struct netif *nif, struct pkt *p, u8 type) {}
struct ip_addr ip6_link_local(void) { return IP6_ANY; }

unsigned ip6_addr_list(struct ip6_addr ret[IP6_ADDRS], struct netif **ret_nif) { return 0; }
unsigned ip6_route_list(struct ip6_route ret[IP6_ROUTES], struct netif **ret_nif) { return 0; }

int ip6_configure(struct netif *nif, struct ip_addr addr, u8 plen, struct ip_addr gateway) { return -EAFNOSUPPORT; }

size_t ip6_show_routes(char *buf, size_t size) { return 0; }
u32 ip6_addr_flags(const struct ip6_addr *a, u64 now) { return 0x80; }
int net_conf_add(net_conf_add_fn *add) { return 0; }

size_t ip6_show_addrs(char *buf, size_t size)
{
    struct text t = { buf, size, 0 };
    text_add(&t, "00000000000000000000000000000001 01 80 10 80       lo\n");
    return t.len;
}
