/* SPDX-License-Identifier: Apache-2.0 */
/* See introduce.h. */
#include "host/net/introduce.h"

#include <string.h>

#include "base/bytes.h"
#include "host/lib/util.h"

#define ETHERNET 14u
#define ARP 28u
#define IPV6 40u
#define ADVERTISEMENT 24u /* of a neighbour, without options */
#define TCP 6
#define ICMPV6 58
#define SYN 0x02

_Static_assert(INTRODUCTION_MAX == ETHERNET + IPV6 + ADVERTISEMENT, "the longer one");

/* Does a SYN of TCP begin at `at`, or what libslirp may take for one? */
static bool is_syn(const char *frame, size_t len, size_t at) { return len > at + 13 && (frame[at + 13] & SYN); }

static void begin(const char *frame, char *ret, u16 type)
{
    memset(ret, 0, INTRODUCTION_MAX);
    memset(ret, 0xff, 6);
    memcpy(ret + 6, frame + 6, 6);
    put_be16(ret + 12, type);
}

/* An answer of ARP: the sender's address is at the sender's link address. */
static size_t arp(const char *frame, char *ret)
{
    static const char head[8] = {0, 1, 8, 0, 6, 4, 0, 2};
    begin(frame, ret, 0x0806);
    memcpy(ret + ETHERNET, head, sizeof(head));
    memcpy(ret + ETHERNET + 8, frame + 6, 6);
    memcpy(ret + ETHERNET + 14, frame + ETHERNET + 12, 4);
    return ETHERNET + ARP;
}

/* A neighbour's advertisement to all nodes, unsolicited. */
static size_t advertisement(const char *frame, char *ret)
{
    static const u8 all_nodes[16] = {0xff, 2, [15] = 1};
    char *ip = ret + ETHERNET, *icmp = ip + IPV6;
    begin(frame, ret, 0x86dd);
    ip[0] = 0x60;
    put_be16(ip + 4, ADVERTISEMENT);
    ip[6] = ICMPV6;
    memset(ip + 7, 255, 1);
    memcpy(ip + 8, frame + ETHERNET + 8, 16);
    memcpy(ip + 24, all_nodes, 16);
    memset(icmp, 136, 1);
    memcpy(icmp + 8, frame + ETHERNET + 8, 16);
    u32 sum = ADVERTISEMENT + ICMPV6;
    for (unsigned i = 8; i < IPV6 + ADVERTISEMENT; i += 2)
        sum += get_be16(ip + i);
    sum = (sum & 0xffff) + (sum >> 16);
    put_be16(icmp + 2, (u16)~(sum + (sum >> 16)));
    return ETHERNET + IPV6 + ADVERTISEMENT;
}

bool introduce(const char *frame, size_t len, char ret[INTRODUCTION_MAX], size_t *ret_len)
{
    const u8 *ip = (const u8 *)frame + ETHERNET;
    *ret_len = 0;
    if (len >= ETHERNET + 20 && get_be16(frame + 12) == 0x0800 && ip[9] == TCP && is_syn(frame, len, ETHERNET + (ip[0] & 15u) * 4)) {
        if (ip[12] == 0 || ip[12] >= 224)
            return false;
        *ret_len = arp(frame, ret);
    } else if (len >= ETHERNET + IPV6 && get_be16(frame + 12) == 0x86dd && ip[6] == TCP && is_syn(frame, len, ETHERNET + IPV6)) {
        if (ip[8] == 0 || ip[8] == 0xff) /* unspecified, loopback, mapped; groups */
            return false;
        *ret_len = advertisement(frame, ret);
    }
    return true;
}
