/* SPDX-License-Identifier: Apache-2.0 */
/* packet(7) on the loopback interface: rings of version 3, groups that share frames, what is told with a frame. Needs root. */
#include "t.h"
#include "packet.h"
#include <arpa/inet.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>

#define PORT 17778
#define BLOCK 8192
#define BLOCKS 4
#define SA(a) ((struct sockaddr *)&(a))

static char buf[4096];
static int udp; /* bound to PORT */

static int on_lo(int s)
{
    struct sockaddr_ll a = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL), .sll_ifindex = (int)if_nametoindex("lo")};
    return bind(s, SA(a), sizeof a);
}

static int sniffer(void)
{
    int s = socket(AF_PACKET, SOCK_RAW, 0);
    only_udp_to(s, PORT);
    return s;
}

static void send_from(int s, const char *text, size_t n)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(PORT), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    sendto(s, text, n, 0, SA(to), sizeof to);
    recv(udp, buf, sizeof buf, 0);
}

static void send_some(const char *text)
{
    int s = socket(AF_INET, SOCK_DGRAM, 0);
    send_from(s, text, strlen(text));
    close(s);
}

/* --- version 3 -------------------------------------------------------------------------------------- */

static int try_ring(int s, unsigned timeout_ms, unsigned private, unsigned block_size, unsigned frame_size)
{
    struct tpacket_req3 r = {.tp_block_size = block_size, .tp_block_nr = BLOCKS, .tp_frame_size = frame_size,
                             .tp_frame_nr = frame_size != 0 ? block_size / frame_size * BLOCKS : 0, .tp_retire_blk_tov = timeout_ms, .tp_sizeof_priv = private};
    return setsockopt(s, SOL_PACKET, PACKET_RX_RING, &r, sizeof r);
}

static void show_block(char *map, int i)
{
    struct tpacket_block_desc *b = (void *)(map + i * BLOCK);
    struct tpacket_hdr_v1 *h = &b->hdr.bh1;
    if (!(__atomic_load_n(&h->block_status, __ATOMIC_ACQUIRE) & TP_STATUS_USER)) {
        printf("block %d: not ours\n", i);
        return;
    }
    printf("block %d: version %u private at %u, status %x frames %u first at %u used %u number %llu, times %d\n", i, b->version, b->offset_to_priv,
           h->block_status, h->num_pkts, h->offset_to_first_pkt, h->blk_len, (unsigned long long)h->seq_num,
           h->ts_first_pkt.ts_sec > 1600000000 && h->ts_last_pkt.ts_sec >= h->ts_first_pkt.ts_sec);
    char *at = (char *)b + h->offset_to_first_pkt;
    for (unsigned k = 0; k < h->num_pkts; k++) {
        struct tpacket3_hdr *f = (void *)at;
        struct sockaddr_ll *ll = (void *)(at + TPACKET_ALIGN(sizeof *f));
        if (k < 2 || k + 1 == h->num_pkts)
            printf("  frame %u: next %u kept %u of %u, status %x mac %u net %u vlan %u, type %d protocol %04x, \"%.5s\", time %d\n", k, f->tp_next_offset,
                   f->tp_snaplen, f->tp_len, f->tp_status & ~(unsigned)(TP_STATUS_CSUM_VALID | TP_STATUS_CSUMNOTREADY), f->tp_mac, f->tp_net, f->hv1.tp_vlan_tci,
                   ll->sll_pkttype, ntohs(ll->sll_protocol), at + f->tp_net + 28, f->tp_sec > 1600000000);
        at += f->tp_next_offset;
    }
}

static void statistics(int s)
{
    struct tpacket_stats_v3 st;
    socklen_t len = sizeof st;
    SHOW(getsockopt(s, SOL_PACKET, PACKET_STATISTICS, &st, &len));
    printf("%u bytes: %u packets, %u drops\n", len, st.tp_packets, st.tp_drops);
}

static int version3(void)
{
    int s = sniffer(), v = TPACKET_V3;
    socklen_t len = sizeof v;
    SHOW(getsockopt(s, SOL_PACKET, PACKET_HDRLEN, &v, &len));
    SHOW(v);
    v = TPACKET_V3;
    SHOW(setsockopt(s, SOL_PACKET, PACKET_VERSION, &v, sizeof v));
    return s;
}

static void requests(void)
{
    section("ring, version 3: requests");
    int s = version3();
    SHOW(try_ring(s, 10, 0, 5000, 2048));
    SHOW(try_ring(s, 10, 0, BLOCK, 64));
    SHOW(try_ring(s, 10, 0, BLOCK, 2044));
    SHOW(try_ring(s, 10, BLOCK - 100, BLOCK, 2048));
    SHOW(try_ring(s, 10, 1u << 31, BLOCK, 2048));
    SHOW(try_ring(s, 10, UINT32_MAX, BLOCK, 2048));
    struct tpacket_req r = {.tp_block_size = BLOCK, .tp_block_nr = BLOCKS, .tp_frame_size = 2048, .tp_frame_nr = 16};
    SHOW(setsockopt(s, SOL_PACKET, PACKET_RX_RING, &r, sizeof r));
    SHOW(try_ring(s, 10, 16, BLOCK, 2048));
    SHOW(try_ring(s, 10, 16, BLOCK, 2048));
    int v = TPACKET_V2;
    SHOW(setsockopt(s, SOL_PACKET, PACKET_VERSION, &v, sizeof v));
    SHOW(mmap(NULL, BLOCK, PROT_READ, MAP_SHARED, s, 0) == MAP_FAILED);
    memset(&r, 0, sizeof r);
    struct tpacket_req3 none = {0};
    SHOW(setsockopt(s, SOL_PACKET, PACKET_RX_RING, &none, sizeof none));
    SHOW(setsockopt(s, SOL_PACKET, PACKET_VERSION, &v, sizeof v));
    close(s);
}

/* Frames come before the block is full: the program gets it when its time is over. */
static void by_time(void)
{
    section("ring, version 3: a block's time");
    int s = version3();
    SHOW(try_ring(s, 50, 12, BLOCK, 2048));
    char *map = mmap(NULL, BLOCK * BLOCKS, PROT_READ | PROT_WRITE, MAP_SHARED, s, 0);
    SHOW(on_lo(s));
    struct pollfd p = {.fd = s, .events = POLLIN};
    SHOW(poll(&p, 1, 0));
    send_some("first");
    SHOW(poll(&p, 1, 30000));
    SHOW(p.revents);
    show_block(map, 0);
    show_block(map, 1);
    ((struct tpacket_block_desc *)map)->hdr.bh1.block_status = TP_STATUS_KERNEL;
    SHOW(poll(&p, 1, 0));
    send_some("second");
    SHOW(poll(&p, 1, 30000));
    show_block(map, 1);
    statistics(s);
    close(s);
    SHOW(munmap(map, BLOCK * BLOCKS));
}

/* Nobody reads: as many blocks as there are are filled, then frames are lost, and said to be. */
static void by_size(void)
{
    section("ring, version 3: full blocks");
    static char text[1000];
    int s = version3(), from = socket(AF_INET, SOCK_DGRAM, 0);
    SHOW(try_ring(s, 600000, 0, BLOCK, 2048));
    char *map = mmap(NULL, BLOCK * BLOCKS, PROT_READ | PROT_WRITE, MAP_SHARED, s, 0);
    SHOW(on_lo(s));
    memset(text, 'a', sizeof text);
    for (int i = 0; i < 7; i++)
        send_from(from, text, sizeof text);
    show_block(map, 0);
    send_from(from, text, sizeof text); /* does not fit */
    show_block(map, 0);
    for (int i = 0; i < 60; i++)
        send_from(from, text, 500 + (size_t)i);
    statistics(s);
    for (int i = 0; i < BLOCKS; i++) {
        show_block(map, i);
        ((struct tpacket_block_desc *)(map + i * BLOCK))->hdr.bh1.block_status = TP_STATUS_KERNEL;
    }
    for (int i = 0; i < 20; i++)
        send_from(from, text, 600);
    show_block(map, 0);
    statistics(s);
    struct pollfd p = {.fd = s, .events = POLLIN};
    SHOW(poll(&p, 1, 1000));
    close(s);
    close(from);
    munmap(map, BLOCK * BLOCKS);
}

/* --- groups ------------------------------------------------------------------------------------------- */

static int fanout(int s, int id, int type)
{
    int word = id | type << 16;
    return setsockopt(s, SOL_PACKET, PACKET_FANOUT, &word, sizeof word);
}

static int waiting(int s)
{
    int n = 0;
    while (recv(s, buf, sizeof buf, MSG_DONTWAIT) >= 0)
        n++;
    return n;
}

static void joining(void)
{
    section("fanout: joining");
    int a = sniffer(), b = sniffer(), c = sniffer(), word = 0;
    socklen_t len = sizeof word;
    SHOW(fanout(a, 7, PACKET_FANOUT_LB));
    SHOW(on_lo(a));
    on_lo(b);
    SHOW(getsockopt(a, SOL_PACKET, PACKET_FANOUT, &word, &len));
    SHOW(word);
    SHOW(fanout(a, 7, 99));
    SHOW(fanout(a, 7, PACKET_FANOUT_LB));
    SHOW(getsockopt(a, SOL_PACKET, PACKET_FANOUT, &word, &len));
    SHOW(word);
    SHOW(fanout(a, 7, PACKET_FANOUT_LB));
    SHOW(on_lo(a));
    SHOW(fanout(b, 7, PACKET_FANOUT_HASH));
    SHOW(fanout(b, 7, PACKET_FANOUT_LB));
    struct sockaddr_ll ip = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_IP), .sll_ifindex = (int)if_nametoindex("lo")};
    bind(c, SA(ip), sizeof ip);
    SHOW(fanout(c, 7, PACKET_FANOUT_LB));
    SHOW(setsockopt(c, SOL_PACKET, PACKET_FANOUT, &word, 3));
    SHOW(fanout(c, 8, PACKET_FANOUT_LB));
    close(a);
    close(b);
    close(c);
}

static void shares(void)
{
    section("fanout: shares");
    static const struct {
        const char *name;
        int type;
    } types[] = {{"hash", PACKET_FANOUT_HASH}, {"in turn", PACKET_FANOUT_LB}, {"cpu", PACKET_FANOUT_CPU}, {"random", PACKET_FANOUT_RND}};
    for (int t = 0; t < 4; t++) {
        int s[3], n[3], all = 0, from[64], whole = 1;
        for (int i = 0; i < 3; i++) {
            s[i] = sniffer();
            on_lo(s[i]);
            fanout(s[i], 100 + t, types[t].type);
        }
        for (int i = 0; i < 64; i++)
            from[i] = socket(AF_INET, SOCK_DGRAM, 0);
        for (int i = 0; i < 60; i++)
            send_from(from[i], "x", 1);
        for (int i = 0; i < 3; i++)
            all += n[i] = waiting(s[i]);
        printf("%s: %d frames", types[t].name, all);
        if (types[t].type == PACKET_FANOUT_HASH) { /* one connection, one socket */
            for (int i = 0; i < 10; i++) {
                for (int k = 0; k < 5; k++)
                    send_from(from[i], "x", 1);
                for (int k = 0; k < 3; k++)
                    whole &= (n[k] = waiting(s[k])) == 0 || n[k] == 5;
            }
            printf(", connections whole %d", whole);
        }
        close(s[1]);
        for (int i = 0; i < 30; i++)
            send_from(from[i], "x", 1);
        printf(", of two %d\n", waiting(s[0]) + waiting(s[2]));
        close(s[0]);
        close(s[2]);
        for (int i = 0; i < 64; i++)
            close(from[i]);
    }
}

static int choice(int s, struct sock_filter *f, size_t n)
{
    struct sock_fprog p = {.len = (unsigned short)n, .filter = f};
    return setsockopt(s, SOL_PACKET, PACKET_FANOUT_DATA, &p, sizeof p);
}

static void programs(void)
{
    section("fanout: programs");
    struct sock_filter second[] = {BPF_STMT(BPF_RET | BPF_K, 4)}, by_length[] = {BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 2), BPF_STMT(BPF_RET | BPF_A, 0)},
                       broken[] = {BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 2)};
    int s[3], from = socket(AF_INET, SOCK_DGRAM, 0), on = 1;
    for (int i = 0; i < 3; i++) {
        s[i] = sniffer();
        on_lo(s[i]);
        if (i == 0)
            SHOW(choice(s[0], second, 1));
        SHOW(fanout(s[i], 200, PACKET_FANOUT_CBPF));
    }
    send_from(from, "x", 1);
    printf("none: %d %d %d\n", waiting(s[0]), waiting(s[1]), waiting(s[2]));
    SHOW(choice(s[0], broken, 1));
    SHOW(choice(s[0], second, 0));
    SHOW(choice(s[2], second, 1));
    for (int i = 0; i < 5; i++)
        send_from(from, "x", 1);
    printf("a number: %d %d %d\n", waiting(s[0]), waiting(s[1]), waiting(s[2]));
    SHOW(choice(s[0], by_length, 2)); /* of the datagram: 29, 30, ... */
    for (int i = 1; i <= 8; i++)
        send_from(from, "xxxxxxxx", (size_t)i);
    printf("by length: %d %d %d\n", waiting(s[0]), waiting(s[1]), waiting(s[2]));
    SHOW(setsockopt(s[0], SOL_SOCKET, SO_LOCK_FILTER, &on, sizeof on));
    SHOW(choice(s[0], second, 1));
    for (int i = 0; i < 3; i++)
        close(s[i]);
    s[0] = sniffer();
    on_lo(s[0]);
    SHOW(fanout(s[0], 201, PACKET_FANOUT_LB));
    SHOW(choice(s[0], second, 1));
    s[1] = sniffer();
    on_lo(s[1]);
    SHOW(fanout(s[1], 202, PACKET_FANOUT_ROLLOVER | PACKET_FANOUT_FLAG_ROLLOVER));
    SHOW(fanout(s[1], 202, PACKET_FANOUT_LB | PACKET_FANOUT_FLAG_ROLLOVER));
    close(s[0]);
    close(s[1]);
    close(from);
}

/* Two rings of 16 frames, nobody reads: what one has no room for is the other's. */
static void rollover(int type, const char *name)
{
    char *map[2];
    int s[2], from = socket(AF_INET, SOCK_DGRAM, 0), n[2] = {0};
    for (int i = 0; i < 2; i++) {
        struct tpacket_req q = {.tp_block_size = 4096, .tp_block_nr = 8, .tp_frame_size = 2048, .tp_frame_nr = 16};
        int version = TPACKET_V2;
        s[i] = sniffer();
        setsockopt(s[i], SOL_PACKET, PACKET_VERSION, &version, sizeof version);
        setsockopt(s[i], SOL_PACKET, PACKET_RX_RING, &q, sizeof q);
        map[i] = mmap(NULL, 16 * 2048, PROT_READ | PROT_WRITE, MAP_SHARED, s[i], 0);
        on_lo(s[i]);
        fanout(s[i], 300 + (type & 255), type);
    }
    for (int i = 0; i < 20; i++)
        send_from(from, "x", 1);
    for (int i = 0; i < 32; i++)
        n[i / 16] += ((struct tpacket2_hdr *)(map[i / 16] + i % 16 * 2048))->tp_status != 0;
    printf("%s: %d, both %d\n", name, n[0] + n[1], n[0] > 0 && n[1] > 0);
    for (int i = 0; i < 2; i++)
        close(s[i]), munmap(map[i], 16 * 2048);
    close(from);
}

/* --- what is told with a frame ------------------------------------------------------------------------------ */

static void auxdata(void)
{
    section("PACKET_AUXDATA, PACKET_IGNORE_OUTGOING");
    int s = sniffer(), all = socket(AF_PACKET, SOCK_RAW, 0), v = 1;
    socklen_t len = sizeof v;
    char control[256];
    struct iovec io = {buf, 50};
    struct msghdr m = {.msg_iov = &io, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    SHOW(setsockopt(s, SOL_PACKET, PACKET_AUXDATA, &v, sizeof v));
    v = 7;
    SHOW(getsockopt(s, SOL_PACKET, PACKET_AUXDATA, &v, &len));
    SHOW(v);
    on_lo(s);
    send_some("hello world, and more than fits");
    SHOW(recvmsg(s, &m, MSG_DONTWAIT));
    SHOW(m.msg_flags & MSG_TRUNC);
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    if (c != NULL) {
        struct tpacket_auxdata *a = (void *)CMSG_DATA(c);
        printf("level %d type %d: user %d len %u snaplen %u mac %u net %u vlan %u\n", c->cmsg_level, c->cmsg_type, a->tp_status & 1, a->tp_len, a->tp_snaplen, a->tp_mac,
               a->tp_net, a->tp_vlan_tci);
    }
    v = 2;
    SHOW(setsockopt(all, SOL_PACKET, PACKET_IGNORE_OUTGOING, &v, sizeof v));
    v = 1;
    SHOW(setsockopt(all, SOL_PACKET, PACKET_IGNORE_OUTGOING, &v, sizeof v));
    SHOW(getsockopt(all, SOL_PACKET, PACKET_IGNORE_OUTGOING, &v, &len));
    SHOW(v);
    on_lo(all);
    send_some("once");
    struct sockaddr_ll from;
    int outgoing = 0, seen = 0;
    for (len = sizeof from; recvfrom(all, buf, sizeof buf, MSG_DONTWAIT, SA(from), &len) >= 0; len = sizeof from, seen++)
        outgoing += from.sll_pkttype == PACKET_OUTGOING;
    SHOW(outgoing);
    SHOW(seen > 0);
    close(s);
    close(all);
}

/* More sockets than one look at the table finds. */
static void many(void)
{
    section("forty sockets");
    int s[40], got = 0;
    for (int i = 0; i < 40; i++) {
        s[i] = sniffer();
        on_lo(s[i]);
    }
    send_some("to all");
    for (int i = 0; i < 40; i++) {
        got += waiting(s[i]);
        close(s[i]);
    }
    SHOW(got);
}

int main(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(PORT), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (geteuid() != 0)
        return 0;
    setvbuf(stdout, NULL, _IOLBF, 0);
    alarm(60);
    udp = socket(AF_INET, SOCK_DGRAM, 0);
    SHOW(bind(udp, SA(a), sizeof a));
    requests();
    by_time();
    by_size();
    joining();
    shares();
    programs();
    section("fanout: rollover");
    rollover(PACKET_FANOUT_ROLLOVER, "by itself");
    rollover(PACKET_FANOUT_CPU | PACKET_FANOUT_FLAG_ROLLOVER, "after the CPU's");
    rollover(PACKET_FANOUT_CPU, "none");
    auxdata();
    many();
    return 0;
}
