/* SPDX-License-Identifier: Apache-2.0 */
/* packet(7) on the loopback interface, with filters of classic BPF that leave out what others send there; raw(7) with headers of its own. Needs root. */
#include "t.h"
#include <arpa/inet.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>

#define PORT 17777
#define SA(a) ((struct sockaddr *)&(a))

static char buf[4096];
static int udp; /* bound to PORT */

static int lo_index(void) { return (int)if_nametoindex("lo"); }

static struct sockaddr_ll on_lo(int protocol)
{
    return (struct sockaddr_ll){.sll_family = AF_PACKET, .sll_protocol = htons((uint16_t)protocol), .sll_ifindex = lo_index()};
}

static int try_filter(int s, struct sock_filter *f, unsigned short n)
{
    struct sock_fprog p = {.len = n, .filter = f};
    return setsockopt(s, SOL_SOCKET, SO_ATTACH_FILTER, &p, sizeof p);
}

/* UDP over IPv4 to PORT; `at`: where the IP header is. The most that is kept comes back. */
static int attach(int s, unsigned at, unsigned keep)
{
    struct sock_filter f[] = {
        BPF_STMT(BPF_LD | BPF_B | BPF_ABS, at),           BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0x45, 0, 5),
        BPF_STMT(BPF_LD | BPF_B | BPF_ABS, at + 9),       BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_UDP, 0, 3),
        BPF_STMT(BPF_LD | BPF_H | BPF_ABS, at + 20 + 2),  BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, PORT, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, keep),                  BPF_STMT(BPF_RET | BPF_K, 0),
    };
    return try_filter(s, f, sizeof f / sizeof f[0]);
}

static void send_datagram(const char *text)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(PORT), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int s = socket(AF_INET, SOCK_DGRAM, 0);
    sendto(s, text, strlen(text), 0, SA(to), sizeof to);
    close(s);
    while (recv(udp, buf, sizeof buf, 0) != (ssize_t)strlen(text)) /* or what sending() sent */
        ;
}

static void show_frame(int s, int header)
{
    struct sockaddr_ll from = {0};
    socklen_t len = sizeof from;
    memset(buf, 0, sizeof buf);
    ssize_t n = recvfrom(s, buf, sizeof buf, MSG_TRUNC | MSG_DONTWAIT, SA(from), &len);
    struct iphdr *ip = (struct iphdr *)(buf + header);
    printf("frame of %zd: family %d protocol %04x hatype %d pkttype %d halen %d, IP protocol %d, \"%.20s\"\n", n, from.sll_family,
           ntohs(from.sll_protocol), from.sll_hatype, from.sll_pkttype, from.sll_halen, ip->protocol, buf + header + 28);
}

static void creation(void)
{
    section("creation");
    SHOW(socket(AF_PACKET, SOCK_STREAM, 0));
    SHOW(socket(AF_PACKET, 99, 0));
    int s = SHOW_OK(socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL)));
    struct sockaddr_ll a = on_lo(ETH_P_ALL), got;
    socklen_t len = sizeof got;
    SHOW(bind(s, SA(a), 10));
    a.sll_ifindex = 9999;
    SHOW(bind(s, SA(a), sizeof a));
    a = on_lo(ETH_P_IP);
    SHOW(bind(s, SA(a), sizeof a));
    SHOW(getsockname(s, SA(got), &len));
    printf("name of %u: protocol %04x hatype %d halen %d\n", len, ntohs(got.sll_protocol), got.sll_hatype, got.sll_halen);
    SHOW(getpeername(s, SA(got), &len));
    SHOW(listen(s, 1));
    SHOW(setsockopt(s, SOL_PACKET, 999, &len, sizeof len));
    SHOW(getsockopt(s, SOL_PACKET, 999, buf, &len));
    SHOW(setsockopt(s, SOL_SOCKET, SO_DETACH_FILTER, &len, sizeof len));
    close(s);
}

static void filters(void)
{
    section("filters that are none");
    int s = socket(AF_PACKET, SOCK_RAW, 0);
    struct sock_filter none[] = {BPF_STMT(BPF_RET | BPF_K, 0)}, no_end[] = {BPF_STMT(BPF_LD | BPF_IMM, 1)},
                       jump[] = {BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 0), BPF_STMT(BPF_RET | BPF_K, 0)},
                       division[] = {BPF_STMT(BPF_ALU | BPF_DIV | BPF_K, 0), BPF_STMT(BPF_RET | BPF_A, 0)},
                       shift[] = {BPF_STMT(BPF_ALU | BPF_LSH | BPF_K, 32), BPF_STMT(BPF_RET | BPF_A, 0)},
                       memory[] = {BPF_STMT(BPF_ST, 16), BPF_STMT(BPF_RET | BPF_K, 0)},
                       strange[] = {BPF_STMT(0xffff, 0), BPF_STMT(BPF_RET | BPF_K, 0)},
                       last[] = {BPF_STMT(BPF_JMP | BPF_JA, 0), BPF_STMT(BPF_RET | BPF_K, 0)};
    SHOW(try_filter(s, none, 1));
    SHOW(try_filter(s, none, 0));
    SHOW(try_filter(s, no_end, 1));
    SHOW(try_filter(s, jump, 2));
    SHOW(try_filter(s, division, 2));
    SHOW(try_filter(s, shift, 2));
    SHOW(try_filter(s, memory, 2));
    SHOW(try_filter(s, strange, 2));
    SHOW(try_filter(s, last, 2));
    SHOW(try_filter(s, (void *)8, 2));
    SHOW(setsockopt(s, SOL_SOCKET, SO_DETACH_FILTER, buf, 4));
    SHOW(setsockopt(s, SOL_SOCKET, SO_DETACH_FILTER, buf, 4));
    close(s);
}

static void receiving(void)
{
    section("receiving");
    struct sockaddr_ll all = on_lo(ETH_P_ALL), ip = on_lo(ETH_P_IP), arp = on_lo(ETH_P_ARP);
    int raw = socket(AF_PACKET, SOCK_RAW, 0), cooked = socket(AF_PACKET, SOCK_DGRAM, 0), other = socket(AF_PACKET, SOCK_RAW, 0);
    SHOW(attach(raw, 14, 0xffff));
    SHOW(attach(cooked, 0, 0xffff));
    SHOW(attach(other, 14, 0xffff));
    bind(raw, SA(all), sizeof all);
    bind(cooked, SA(ip), sizeof ip);
    bind(other, SA(arp), sizeof arp);
    send_datagram("hello");
    show_frame(raw, 14);
    show_frame(raw, 14);
    show_frame(raw, 14);
    show_frame(cooked, 0);
    show_frame(cooked, 0);
    SHOW(recv(other, buf, sizeof buf, MSG_DONTWAIT));
    SHOW(attach(raw, 14, 20));
    send_datagram("only the beginning of it");
    show_frame(raw, 14);
    show_frame(raw, 14);
    struct tpacket_stats st;
    socklen_t len = sizeof st;
    SHOW(getsockopt(raw, SOL_PACKET, PACKET_STATISTICS, &st, &len));
    printf("%u packets, %u drops\n", st.tp_packets, st.tp_drops);
    SHOW(getsockopt(raw, SOL_PACKET, PACKET_STATISTICS, &st, &len));
    printf("%u packets, %u drops\n", st.tp_packets, st.tp_drops);
    struct packet_mreq m = {.mr_ifindex = lo_index(), .mr_type = PACKET_MR_PROMISC};
    SHOW(setsockopt(raw, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &m, sizeof m));
    SHOW(setsockopt(raw, SOL_PACKET, PACKET_DROP_MEMBERSHIP, &m, sizeof m));
    m.mr_ifindex = 9999;
    SHOW(setsockopt(raw, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &m, sizeof m));
    close(raw);
    close(cooked);
    close(other);
}

static unsigned sum(const void *p, int n)
{
    unsigned s = 0;
    for (int i = 0; i < n; i += 2)
        s += (unsigned)((const unsigned char *)p)[i] << 8 | ((const unsigned char *)p)[i + 1];
    while (s >> 16)
        s = (s & 0xffff) + (s >> 16);
    return s;
}

static void sending(void)
{
    section("sending");
    int raw = socket(AF_PACKET, SOCK_RAW, 0), cooked = socket(AF_PACKET, SOCK_DGRAM, 0);
    struct sockaddr_ll to = on_lo(ETH_P_IP);
    char frame[14 + 20 + 8 + 5] = {[12] = 8};
    struct iphdr *ip = (struct iphdr *)(frame + 14);
    struct udphdr *u = (struct udphdr *)(ip + 1);
    to.sll_halen = 6;
    *ip = (struct iphdr){.version = 4, .ihl = 5, .tot_len = htons(33), .ttl = 64, .protocol = IPPROTO_UDP,
                         .saddr = htonl(INADDR_LOOPBACK), .daddr = htonl(INADDR_LOOPBACK)};
    ip->check = htons((uint16_t)~sum(ip, 20));
    *u = (struct udphdr){.source = htons(1), .dest = htons(PORT), .len = htons(13)};
    memcpy(u + 1, "forge", 5);
    SHOW(sendto(raw, frame, sizeof frame, 0, SA(to), sizeof to));
    SHOW(sendto(cooked, frame + 14, sizeof frame - 14, 0, SA(to), sizeof to));
    SHOW(sendto(raw, frame, 10, 0, SA(to), sizeof to));
    SHOW(send(raw, frame, sizeof frame, 0));
    to.sll_ifindex = 9999;
    SHOW(sendto(raw, frame, sizeof frame, 0, SA(to), sizeof to));
    close(raw);
    close(cooked);
}

static int is_mapped(const char *name)
{
    FILE *f = fopen("/proc/self/maps", "r");
    int found = 0;
    while (fgets(buf, sizeof buf, f) != NULL)
        found |= strstr(buf, name) != NULL;
    fclose(f);
    return found;
}

static void ring(int version)
{
    section(version == TPACKET_V1 ? "ring, version 1" : "ring, version 2");
    int s = socket(AF_PACKET, SOCK_RAW, 0), v = version;
    socklen_t len = sizeof v;
    SHOW(getsockopt(s, SOL_PACKET, PACKET_HDRLEN, &v, &len));
    printf("header %d\n", v);
    v = 77;
    SHOW(getsockopt(s, SOL_PACKET, PACKET_HDRLEN, &v, &len));
    SHOW(setsockopt(s, SOL_PACKET, PACKET_VERSION, &v, sizeof v));
    v = version;
    SHOW(setsockopt(s, SOL_PACKET, PACKET_VERSION, &v, sizeof v));
    struct tpacket_req r = {.tp_block_size = 8192, .tp_block_nr = 2, .tp_frame_size = 2048, .tp_frame_nr = 8}, bad = r;
    bad.tp_block_size = 5000;
    SHOW(setsockopt(s, SOL_PACKET, PACKET_RX_RING, &bad, sizeof bad));
    bad = r, bad.tp_frame_nr = 7;
    SHOW(setsockopt(s, SOL_PACKET, PACKET_RX_RING, &bad, sizeof bad));
    bad = r, bad.tp_frame_size = 40;
    SHOW(setsockopt(s, SOL_PACKET, PACKET_RX_RING, &bad, sizeof bad));
    SHOW(mmap(NULL, 16384, PROT_READ | PROT_WRITE, MAP_SHARED, s, 0) == MAP_FAILED);
    SHOW(setsockopt(s, SOL_PACKET, PACKET_RX_RING, &r, sizeof r));
    SHOW(setsockopt(s, SOL_PACKET, PACKET_RX_RING, &r, sizeof r));
    SHOW(mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, s, 0) == MAP_FAILED);
    char *map = mmap(NULL, 16384, PROT_READ | PROT_WRITE, MAP_SHARED, s, 0);
    SHOW(map != MAP_FAILED);
    SHOW_TRUE(is_mapped("socket:["));
    attach(s, 14, 0xffff);
    struct sockaddr_ll all = on_lo(ETH_P_ALL);
    bind(s, SA(all), sizeof all);
    struct pollfd p = {.fd = s, .events = POLLIN};
    SHOW(poll(&p, 1, 0));
    for (int i = 0; i < 3; i++)
        send_datagram(i == 0 ? "first" : "more");
    SHOW(poll(&p, 1, 1000));
    for (int i = 0; i < 7; i++) {
        char *at = map + i * 2048;
        struct tpacket_hdr *h1 = (void *)at;
        struct tpacket2_hdr *h2 = (void *)at;
        struct sockaddr_ll *ll = (void *)(at + TPACKET_ALIGN(version == TPACKET_V1 ? sizeof *h1 : sizeof *h2));
        unsigned status = version == TPACKET_V1 ? (unsigned)h1->tp_status : h2->tp_status;
        if (!(status & TP_STATUS_USER)) {
            printf("frame %d: nothing\n", i);
            continue;
        }
        int mac = version == TPACKET_V1 ? h1->tp_mac : h2->tp_mac, net = version == TPACKET_V1 ? h1->tp_net : h2->tp_net;
        printf("frame %d: len %u of %u, mac %d net %d, type %d, \"%.5s\", time %d\n", i, version == TPACKET_V1 ? h1->tp_snaplen : h2->tp_snaplen,
               version == TPACKET_V1 ? h1->tp_len : h2->tp_len, mac, net, ll->sll_pkttype, at + net + 28,
               (version == TPACKET_V1 ? h1->tp_sec : h2->tp_sec) > 1600000000);
        if (version == TPACKET_V1)
            h1->tp_status = 0;
        else
            h2->tp_status = 0;
    }
    for (int i = 0; i < 6; i++)
        send_datagram("too many");
    struct tpacket_stats st;
    len = sizeof st;
    SHOW(getsockopt(s, SOL_PACKET, PACKET_STATISTICS, &st, &len));
    printf("%u packets, %u drops\n", st.tp_packets, st.tp_drops);
    close(s);
    SHOW(map[0] & 1); /* it outlives the descriptor */
    SHOW(munmap(map, 16384));
}

/* --- raw(7) with IP_HDRINCL --------------------------------------------------------------------- */

static struct {
    struct iphdr ip;
    char rest[44]; /* options, then a datagram of 13 bytes */
} own;

/* Send a datagram to PORT behind a header with that many words, of so many bytes in all, and show what the socket and the raw one get. */
static void send_own(int s, int raw, unsigned words, uint32_t from, int frag)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)}, peer;
    size_t head = words * 4, all = head + 13;
    socklen_t n = sizeof peer;
    memset(&own, 1, sizeof own); /* options that do nothing */
    own.ip = (struct iphdr){.version = 4, .ihl = words & 15, .tos = 0x20, .tot_len = 7, .frag_off = htons((uint16_t)frag), .ttl = 9, .protocol = IPPROTO_UDP,
                            .check = 7, .saddr = htonl(from), .daddr = to.sin_addr.s_addr};
    *(struct udphdr *)((char *)&own + head) = (struct udphdr){.source = htons(9), .dest = htons(PORT), .len = htons(13)};
    memcpy((char *)&own + head + 8, "mine!", 5);
    SHOW(sendto(s, &own, all, 0, SA(to), sizeof to) == (ssize_t)all);
    while (recvfrom(udp, buf, sizeof buf, 0, SA(peer), &n) != 5 || memcmp(buf, "mine!", 5) != 0)
        ;
    printf("from %s:%d\n", inet_ntoa(peer.sin_addr), ntohs(peer.sin_port));
    struct iphdr *ip = (struct iphdr *)buf;
    while (recv(raw, buf, sizeof buf, 0) != (ssize_t)all || memcmp(buf + all - 5, "mine!", 5) != 0)
        ;
    uint32_t sum = 0;
    for (size_t i = 0; i < head; i += 2)
        sum += *(uint16_t *)(buf + i);
    printf("words %d tos %d length %d id %d frag %x ttl %d from %s sum %x\n", ip->ihl, ip->tos, ntohs(ip->tot_len), ip->id != 0, ntohs(ip->frag_off), ip->ttl,
           inet_ntoa((struct in_addr){ip->saddr}), ((sum & 0xffff) + (sum >> 16)) & 0xffff);
}

static void own_header(void)
{
    section("IP_HDRINCL");
    static char big[65536];
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int s = SHOW_OK(socket(AF_INET, SOCK_RAW, IPPROTO_RAW)), raw = SHOW_OK(socket(AF_INET, SOCK_RAW, IPPROTO_UDP)), v = 7;
    socklen_t n = sizeof v;
    SHOW(getsockopt(s, IPPROTO_IP, IP_HDRINCL, &v, &n));
    SHOW(v);
    SHOW(getsockopt(raw, IPPROTO_IP, IP_HDRINCL, &v, &n));
    SHOW(v);
    SHOW(setsockopt(udp, IPPROTO_IP, IP_HDRINCL, &n, sizeof n));
    send_own(s, raw, 5, 0, 0);
    send_own(s, raw, 5, INADDR_LOOPBACK + 8, IP_DF);
    send_own(s, raw, 6, 0, 0);
    SHOW(setsockopt(raw, IPPROTO_IP, IP_HDRINCL, &n, sizeof n));
    send_own(raw, raw, 5, INADDR_LOOPBACK + 1, 0);
    SHOW(sendto(s, &own, 19, 0, SA(to), sizeof to));
    own.ip.ihl = 15;
    SHOW(sendto(s, &own, 59, 0, SA(to), sizeof to));
    SHOW(sendto(s, big, sizeof big, 0, SA(to), sizeof to));
    SHOW(send(s, &own, 33, 0));
    close(s);
    close(raw);
}

/* Segments of TCP reach raw sockets, whoever else they belong to. */
static void raw_tcp(void)
{
    section("raw TCP");
    struct sockaddr_in closed = {.sin_family = AF_INET, .sin_port = htons(PORT + 1), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int raw = SHOW_OK(socket(AF_INET, SOCK_RAW, IPPROTO_TCP)), s = socket(AF_INET, SOCK_STREAM, 0);
    SHOW(connect(s, SA(closed), sizeof closed));
    for (int i = 0; i < 2;) {
        struct iphdr *ip = (struct iphdr *)buf;
        recv(raw, buf, sizeof buf, 0);
        unsigned char *tcp = (unsigned char *)buf + ip->ihl * 4;
        if (*(uint16_t *)tcp != closed.sin_port && *(uint16_t *)(tcp + 2) != closed.sin_port)
            continue;
        printf("segment %d: protocol %d flags %02x to it %d\n", i++, ip->protocol, tcp[13] & 0x3f, *(uint16_t *)(tcp + 2) == closed.sin_port);
    }
    close(raw);
    close(s);
}

/* On lo the stack leaves out its own checksums, and looks at those of raw sockets. */
static void checksums(void)
{
    section("checksums on lo");
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int raw = socket(AF_INET, SOCK_RAW, IPPROTO_UDP);
    struct {
        struct udphdr u;
        char text[6];
    } d = {{.source = htons(9), .dest = htons(PORT), .len = htons(14), .check = htons(0x1234)}, "wrong"};
    SHOW(sendto(raw, &d, sizeof d, 0, SA(to), sizeof to));
    strcpy(d.text, "right");
    d.u.check = 0;
    unsigned add = sum(&to.sin_addr, 4) * 2 + IPPROTO_UDP + 14 + sum(&d, sizeof d);
    while (add >> 16)
        add = (add & 0xffff) + (add >> 16);
    d.u.check = htons((uint16_t)~add);
    SHOW(sendto(raw, &d, sizeof d, 0, SA(to), sizeof to));
    SHOW(recv(udp, buf, sizeof buf, 0));
    SHOW_STR(buf);
    close(raw);
}

static void largest(void)
{
    section("the largest datagram");
    static char big[65507], got[65508];
    struct sockaddr_in6 a = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    socklen_t n = sizeof a;
    int s = socket(AF_INET6, SOCK_DGRAM, 0), v = 200000;
    memset(big, 'x', sizeof big);
    bind(s, SA(a), sizeof a);
    getsockname(s, SA(a), &n);
    setsockopt(s, SOL_SOCKET, SO_RCVBUF, &v, sizeof v);
    SHOW(sendto(s, big, sizeof big, 0, SA(a), sizeof a)); /* in fragments: lo's packets have 65535 bytes */
    SHOW(recv(s, got, sizeof got, 0));
    SHOW(memcmp(big, got, sizeof big));
    close(s);
}

int main(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(PORT), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (geteuid() != 0)
        return 0;
    udp = socket(AF_INET, SOCK_DGRAM, 0);
    setvbuf(stdout, NULL, _IOLBF, 0);
    alarm(60);
    SHOW(bind(udp, SA(a), sizeof a));
    creation();
    filters();
    receiving();
    sending();
    ring(TPACKET_V1);
    ring(TPACKET_V2);
    own_header();
    raw_tcp();
    checksums();
    largest();
    return 0;
}
