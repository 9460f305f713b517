/* SPDX-License-Identifier: Apache-2.0 */
/* The network stack as init sees it: bring-up and configuration. */
#ifndef KERN_NET_H
#define KERN_NET_H

#include "kern/sysctl.h"
#include "kern/types.h"

struct netdev;

struct net_config {
    enum { NET_NONE, NET_STATIC, NET_DHCP } mode;
    u32 address, netmask, gateway; /* big-endian; gateway 0 = none */
    u32 dns[3];                    /* big-endian; 0 = none */
    char domain[64];               /* search domain, may be empty */
    u8 address6[16], gateway6[16]; /* IPv6; gateway :: = none (routers say) */
    u8 prefix6;                    /* length; 0 = no fixed address */
    bool eager;                    /* open the card at boot (a port is published) */
    const char *ingress, *egress;  /* rules of the packet filter (abi/boot.h); NULL = that way is open */
    bool capture;                  /* record packets from the beginning: a client will come for them (abi/pcap.h) */
};

/* net.ipv4.tcp_fastopen: 1 client, 2 server, ...; without effect in a kernel with -Dtcp=basic. */
extern u32 net_tcp_fastopen;
extern const struct sysctl_range net_tcp_settings[]; /* others of TCP, as ip-sysctl.rst of Linux has them */

void net_init(void); /* loopback, tables; no device is touched */
/* The packet filter's rules, before net_configure() and once; NULL = that way is open. 0, -EINVAL for a text that is none,
 * -ENOMEM, -EOPNOTSUPP when this kernel has no filter. */
int net_filter_set(const char *ingress, const char *egress);
/* Configure the first real device. With NET_DHCP and !eager the exchange happens
 * at first use. Returns 0 or -ENODEV. */
int net_configure(const struct net_config *c);
/* The configuration in force, after DHCP: for resolv.conf and hosts. False = none yet. */
bool net_current_config(struct net_config *ret);
/* Called (thread context) whenever net_current_config() changes; set by init. */
extern void (*net_config_changed)(void);
/* "a.b.c.d" -> big-endian address. 0 or -EINVAL. */
int net_parse_ipv4(const char *s, u32 *ret);
/* The text of an IPv6 address (RFC 4291 2.2, without a zone). 0 or -EINVAL. */
int net_parse_ipv6(const char *s, u8 ret[16]);
/* Before the machine goes: wait, at most until the deadline, for what programs have sent and
 * closed to be acknowledged and for the cards to have taken what was given to them. Thread context. */
void net_drain(u64 deadline_ns);
/* The same for packets that a client outside records. */
void net_capture_drain(u64 deadline_ns);
/* TCP sockets in each state, by Linux's numbers (1 established ... 11 closing). */
#define NET_TCP_STATES 12
void net_tcp_states(u32 ret[NET_TCP_STATES]);
/* Names of the files in /proc/net, NULL behind the last; the text of one: appended to buf; returns length needed. proc.c, or no_proc.c. */
extern const char *const net_proc_names[];
size_t net_proc_show(const char *name, char *buf, size_t size);
/* Lines "interface reason packets": what was thrown away, by the interface it came in by. Returns length needed. */
size_t net_show_drops(char *buf, size_t size);
/* How a file of /proc is added: proc_add_writable() of kern/vfs.h. */
typedef int net_conf_add_fn(const char *path, u32 mode, size_t (*show)(void *arg, char *buf, size_t size),
                            int (*store)(void *arg, const char *text, size_t len), void *arg);
/* Adds net.ipv6.conf, once the cards are known. 0 or what add() says. */
int net_conf_add(net_conf_add_fn *add);
struct sysfs_ops;
/* /sys/class/net. 0 or -ENOMEM. sysfs.c, or no_proc.c, where there is none. */
int net_sysfs_add(const struct sysfs_ops *sys);

#endif
