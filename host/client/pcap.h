/* SPDX-License-Identifier: Apache-2.0 */
/* Packets that come over a conversation (abi/pcap.h), written as pcapng, which Wireshark and tcpdump open. */
#ifndef HOST_CLIENT_PCAP_H
#define HOST_CLIENT_PCAP_H

#include "host/client/client.h"

/* Until the conversation ends, or nobody reads fd any more. What became of a packet is its comment. 0, or -1. */
int pcap_receive(struct conversation *c, const struct entry *e, int fd, struct error *err);

#endif
