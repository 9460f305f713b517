/* SPDX-License-Identifier: Apache-2.0 */
/* In the place of netlink.c and rtnetlink.c (-Dwithout=netlink): the C library takes the refusal and asks by ioctl instead. */
#include "net_impl.h"

int netlink_sock_create(int type, int protocol, struct sock **ret) { return -EAFNOSUPPORT; }
