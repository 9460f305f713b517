/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Packets over a channel (abi/control.h): the service "pcap"; arguments: the most bytes of a packet, in decimal, or nothing. Little-endian. The
 * first message is text: names of the interfaces, one a line, in the order of their numbers. Each other one is a
 * struct pcap_record, `captured` bytes from the Ethernet header on, and text: what counters say of the packet's end.
 * A record with PCAP_SYNC has neither; the client answers it by an empty message when it has written all before it.
 */
#ifndef ABI_PCAP_H
#define ABI_PCAP_H

#include <stdint.h>

#define PCAP_IN 1u
#define PCAP_OUT 2u
#define PCAP_SYNC 4u
#define PCAP_SNAPLEN_MAX 65536u
#define PCAP_REASON_MAX 128u

struct pcap_record {
    uint64_t time_ns;   /* since 1970 */
    uint32_t length;    /* of the packet */
    uint32_t captured;  /* of it here */
    uint32_t interface; /* 0 = the first */
    uint32_t flags;     /* PCAP_* */
    uint64_t lost;      /* packets that there was no room for, since the beginning */
};

#endif
