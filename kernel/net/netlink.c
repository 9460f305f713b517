/* SPDX-License-Identifier: Apache-2.0 */
/* AF_NETLINK is not built in; the C library takes the refusal and asks by ioctl instead. */
#include "net_impl.h"

int netlink_sock_create(int type, int protocol, struct sock **ret) { return -EAFNOSUPPORT; }
