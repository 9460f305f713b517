/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_GUEST_PACKET_H
#define TESTS_GUEST_PACKET_H

#include <linux/filter.h>
#include <linux/if_packet.h>
#include <netinet/in.h>
#include <stdint.h>
#include <sys/socket.h>

/* Of what a packet socket (SOCK_RAW) hears, only frames of UDP over IPv4 to that port, as they come in: others use lo, too. */
static inline void only_udp_to(int s, uint16_t port)
{
    struct sock_filter f[] = {
        BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 14),           BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0x45, 0, 7),
        BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 14 + 9),       BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_UDP, 0, 5),
        BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 14 + 20 + 2),  BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, port, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, SKF_AD_OFF + SKF_AD_PKTTYPE), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, PACKET_OUTGOING, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, 0xffff),                BPF_STMT(BPF_RET | BPF_K, 0),
    };
    struct sock_fprog p = {.len = sizeof f / sizeof f[0], .filter = f};
    setsockopt(s, SOL_SOCKET, SO_ATTACH_FILTER, &p, sizeof p);
}

#endif
