/* SPDX-License-Identifier: Apache-2.0 */
/* TAP interfaces. */
#ifndef HOST_NET_TAP_H
#define HOST_NET_TAP_H

#include "host/lib/error.h"

#define TAP_QUEUES_MAX 64u

struct tap {
    int fds[TAP_QUEUES_MAX];
    unsigned queues; /* 0 = not open */
    bool tso;        /* checksums and segmentation may be left to the host both ways */
    u32 mtu;
    int sieve;       /* the descriptor of its sieve (host/net/sieve.h), or -1 */
};

/* Open an interface for frames behind a 12-byte struct virtio_net_hdr, without blocking: `queues` of them (1 to TAP_QUEUES_MAX) where
 * it was made with several (ip tuntap add ... multi_queue), else the only one. A sieve is attached where there can be one. 0 or -1. */
int tap_open(const char *name, unsigned queues, struct tap *ret, struct error *err);
void tap_close(struct tap *t);
/* Frames that did not come through it, ever, because of its sieve or because nobody took them. 0 where that is not known. */
u32 tap_dropped(const char *name);

#endif
