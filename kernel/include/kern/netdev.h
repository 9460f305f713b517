/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Network devices. The driver hands received packets to dev->input and asks for
 * nothing else of the stack; the stack transmits and knocks once per batch.
 */
#ifndef KERN_NETDEV_H
#define KERN_NETDEV_H

#include "kern/pkt.h"

#define NETDEV_TX_CSUM 0x01u  /* takes PKT_CSUM_PARTIAL */
#define NETDEV_TX_TSO4 0x02u
#define NETDEV_TX_TSO6 0x04u
#define NETDEV_RX_CSUM 0x10u  /* sets PKT_CSUM_VALID or PARTIAL */
#define NETDEV_RX_GRO 0x20u   /* may deliver packets larger than the MTU */

struct netdev;
struct netdev_stats;
struct sieve;

struct netdev_ops {
    int (*open)(struct netdev *d);   /* allocate rings, start receiving. Lazily by the stack. */
    void (*stop)(struct netdev *d);
    /* Takes the packet over in every case. Frames start at the Ethernet header. It goes by queue p->queue, below d->queues.
     * Bottom-half or thread context with bottom halves disabled. 0 or -ENOBUFS (dropped, counted). */
    int (*transmit)(struct netdev *d, struct pkt *p);
    void (*kick)(struct netdev *d, unsigned queue); /* doorbell for what transmit queued there; may be NULL */
    bool (*idle)(struct netdev *d); /* has the device taken all that was transmitted? May be NULL. */
    /* Add what is counted elsewhere than in d->stats. May be NULL. */
    void (*add_stats)(const struct netdev *d, struct netdev_stats *sum);
};

struct netdev_stats {
    u64 rx_packets, rx_bytes, rx_dropped, rx_errors;
    u64 tx_packets, tx_bytes, tx_dropped, tx_errors;
};

struct netdev {
    struct list node;
    char name[16];                /* "eth0" */
    const struct netdev_ops *ops;
    u8 mac[6];
    u32 mtu;
    u32 features;                 /* NETDEV_* */
    unsigned index;               /* interface index, 1 = lo */
    unsigned queues;              /* to transmit by, 0 = 1; more: one for each CPU, which also receives what belongs to it */
    bool link_up;
    bool opened;
    void (*input)(struct netdev *d, struct pkt *p); /* set by net; takes the packet; bottom-half context */
    /* Set by net: end of a receive batch (acks, kick); more: it ended by its budget, the device may have others. May be NULL. */
    void (*input_done)(struct netdev *d, bool more);
    void (*link_changed)(struct netdev *d);         /* set by net; may be NULL */
    void *stack;                  /* net's interface */
    void *driver;
    struct sieve *sieve;          /* of what is behind the card (abi/sieve.h), or NULL; set once */
    struct netdev_stats stats;    /* and what add_stats() adds: netdev_stats() */
};

/* net registers here to be told of devices (boot order independent). */
extern void (*netdev_added)(struct netdev *d);
struct netdev_stats netdev_stats(const struct netdev *d);
void netdev_register(struct netdev *d); /* gives it a name and an index */
struct netdev *netdev_find(const char *name);
void netdev_for_each(void (*fn)(struct netdev *d, void *ctx), void *ctx);

#endif
