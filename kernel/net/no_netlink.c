/* SPDX-License-Identifier: Apache-2.0 */
/* In the place of netlink.c, rtnetlink.c and rtnl_watch.c (-Dwithout=netlink): the C library takes the refusal and asks by ioctl instead. */
#include "sock_impl.h"

int netlink_sock_create(int type, int protocol, struct sock **ret) { return -EAFNOSUPPORT; }
void net_changed(void) {}
void rtnl_option(const struct netif *nif, struct ip_addr router, const u8 *o, u32 len) {}
