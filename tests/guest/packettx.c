/* SPDX-License-Identifier: Apache-2.0 */
/* packet(7) on the loopback interface: rings for sending, in all versions. What is sent is heard by another packet socket. Needs root. */
#include "t.h"
#include "packet.h"
#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>

#define PORT 17779
#define FRAME 2048
#define FRAMES 8
#define BYTES (FRAME * FRAMES)
#define SA(a) ((struct sockaddr *)&(a))

static struct sockaddr_ll on_lo(void)
{
    return (struct sockaddr_ll){.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_IP), .sll_ifindex = (int)if_nametoindex("lo"), .sll_halen = 6};
}

/* Datagrams of UDP to PORT, as they come in. */
static int listener(void)
{
    struct sockaddr_ll a = on_lo();
    int s = socket(AF_PACKET, SOCK_RAW, 0);
    only_udp_to(s, PORT);
    bind(s, SA(a), sizeof a);
    return s;
}

/* How many came, and the text of each. */
static void heard(int s, int want)
{
    char b[4096] = {0};
    struct pollfd p = {.fd = s, .events = POLLIN};
    int n = 0;
    for (; poll(&p, 1, n < want ? 10000 : 0) == 1; n++) {
        ssize_t len = recv(s, b, sizeof b - 1, 0);
        b[len > 0 ? len : 0] = 0;
        printf("  heard %zd: %s\n", len, b + 42);
    }
    printf("  %d of %d\n", n, want);
}

/* A datagram behind its link header; its length. */
static unsigned datagram(char *at, const char *text)
{
    unsigned len = (unsigned)strlen(text), sum = 0;
    struct iphdr ip = {.version = 4, .ihl = 5, .tot_len = htons((uint16_t)(28 + len)), .ttl = 64, .protocol = IPPROTO_UDP,
                       .saddr = htonl(INADDR_LOOPBACK), .daddr = htonl(INADDR_LOOPBACK)};
    struct udphdr u = {.source = htons(1), .dest = htons(PORT), .len = htons((uint16_t)(8 + len))};
    uint16_t words[10];
    memcpy(words, &ip, 20);
    for (int i = 0; i < 10; i++)
        sum += ntohs(words[i]);
    ip.check = htons((uint16_t)~((sum & 0xffff) + (sum >> 16)));
    memset(at, 0, 14);
    at[12] = 8;
    memcpy(at + 14, &ip, 20);
    memcpy(at + 34, &u, 8);
    memcpy(at + 42, text, len);
    return 42 + len;
}

/* --- a ring ------------------------------------------------------------------------------------------ */

struct ring {
    int s, version;
    char *map;
};

static char *frame(struct ring *r, int i) { return r->map + i % FRAMES * FRAME; }
static unsigned header(struct ring *r) { return r->version == TPACKET_V3 ? 48 : 32; }

static unsigned status(struct ring *r, int i)
{
    char *f = frame(r, i);
    return r->version == TPACKET_V1 ? (unsigned)((struct tpacket_hdr *)f)->tp_status
                                    : r->version == TPACKET_V2 ? ((struct tpacket2_hdr *)f)->tp_status : ((struct tpacket3_hdr *)f)->tp_status;
}

static void mark(struct ring *r, int i, unsigned len, unsigned at, unsigned want)
{
    char *f = frame(r, i);
    if (r->version == TPACKET_V1)
        *(struct tpacket_hdr *)f = (struct tpacket_hdr){.tp_status = want, .tp_len = len, .tp_mac = (uint16_t)at, .tp_net = (uint16_t)at};
    else if (r->version == TPACKET_V2)
        *(struct tpacket2_hdr *)f = (struct tpacket2_hdr){.tp_status = want, .tp_len = len, .tp_mac = (uint16_t)at, .tp_net = (uint16_t)at};
    else
        *(struct tpacket3_hdr *)f = (struct tpacket3_hdr){.tp_status = want, .tp_len = len, .tp_mac = (uint16_t)at, .tp_net = (uint16_t)at};
}

static void put(struct ring *r, int i, const char *text)
{
    mark(r, i, datagram(frame(r, i) + header(r), text), 0, TP_STATUS_SEND_REQUEST);
}

static void statuses(struct ring *r)
{
    for (int i = 0; i < FRAMES; i++)
        printf("%s%u", i == 0 ? "  statuses " : " ", status(r, i));
    printf("\n");
}

static long request(struct ring *r, int name, unsigned timeout_ms)
{
    struct tpacket_req3 q = {.tp_block_size = 2 * FRAME, .tp_block_nr = FRAMES / 2, .tp_frame_size = FRAME, .tp_frame_nr = FRAMES, .tp_retire_blk_tov = timeout_ms};
    return setsockopt(r->s, SOL_PACKET, name, &q, r->version == TPACKET_V3 ? sizeof q : sizeof(struct tpacket_req));
}

static struct ring ring(int version, int type, int option)
{
    struct ring r = {.s = socket(AF_PACKET, type, 0), .version = version};
    int on = 1;
    SHOW(setsockopt(r.s, SOL_PACKET, PACKET_VERSION, &version, sizeof version));
    if (option != 0)
        SHOW(setsockopt(r.s, SOL_PACKET, option, &on, sizeof on));
    SHOW(request(&r, PACKET_TX_RING, 0));
    r.map = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, r.s, 0);
    SHOW_TRUE(r.map != MAP_FAILED);
    return r;
}

static void bind_ring(struct ring *r)
{
    struct sockaddr_ll a = on_lo();
    a.sll_protocol = 0; /* nothing is to be heard */
    SHOW(bind(r->s, SA(a), sizeof a));
}

static void end(struct ring *r)
{
    munmap(r->map, BYTES);
    close(r->s);
}

static void requests(void)
{
    section("requests");
    for (int v = TPACKET_V1; v <= TPACKET_V3; v++) {
        struct ring r = {.s = socket(AF_PACKET, SOCK_RAW, 0), .version = v};
        int on = 1;
        SHOW(setsockopt(r.s, SOL_PACKET, PACKET_VERSION, &v, sizeof v));
        if (v == TPACKET_V3)
            SHOW(request(&r, PACKET_TX_RING, 10));
        SHOW(request(&r, PACKET_TX_RING, 0));
        SHOW(request(&r, PACKET_TX_RING, 0));
        SHOW(setsockopt(r.s, SOL_PACKET, PACKET_VERSION, &v, sizeof v));
        SHOW(setsockopt(r.s, SOL_PACKET, PACKET_LOSS, &on, sizeof on));
        SHOW(setsockopt(r.s, SOL_PACKET, PACKET_TX_HAS_OFF, &on, sizeof on));
        SHOW(request(&r, PACKET_RX_RING, 0));
        SHOW_TRUE(mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, r.s, 0) == MAP_FAILED);
        char *both = mmap(NULL, 2 * BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, r.s, 0);
        SHOW_TRUE(both != MAP_FAILED);
        memset(both, 0, 2 * BYTES);
        r.map = both + BYTES; /* the second */
        int l = listener();
        bind_ring(&r);
        put(&r, 0, "from the second ring");
        SHOW(send(r.s, NULL, 0, 0));
        heard(l, 1);
        munmap(both, 2 * BYTES);
        close(l);
        close(r.s);
    }
}

static void sends(int version)
{
    printf("--- version %d\n", version + 1);
    struct ring r = ring(version, SOCK_RAW, 0);
    int l = listener(), at = 0;
    struct pollfd p = {.fd = r.s, .events = POLLOUT};
    put(&r, 0, "lost");
    SHOW(send(r.s, NULL, 0, 0)); /* where to? */
    statuses(&r);
    bind_ring(&r);
    SHOW(send(r.s, NULL, 0, 0));
    heard(l, 1);
    SHOW(send(r.s, NULL, 0, 0));
    put(&r, 1, "one");
    put(&r, 2, "two, longer");
    put(&r, 3, "");
    put(&r, 5, "behind a gap");
    SHOW(send(r.s, NULL, 0, MSG_DONTWAIT));
    statuses(&r);
    heard(l, 3);
    SHOW(poll(&p, 1, 0));
    put(&r, 4, "in the gap");
    SHOW(send(r.s, "ignored", 7, 0));
    heard(l, 2);
    for (at = 6; at < 6 + 3 * FRAMES; at++) { /* round and round */
        char text[16];
        snprintf(text, sizeof text, "%d", at);
        put(&r, at, text);
        if (at % 3 == 0)
            SHOW(send(r.s, NULL, 0, 0));
    }
    SHOW(send(r.s, NULL, 0, 0));
    heard(l, 3 * FRAMES);
    statuses(&r);
    section("wrong frames");
    mark(&r, at, FRAME, 0, TP_STATUS_SEND_REQUEST);
    put(&r, at + 1, "after it");
    SHOW(send(r.s, NULL, 0, 0));
    statuses(&r);
    SHOW(send(r.s, NULL, 0, 0));
    mark(&r, at, 10, 0, TP_STATUS_SEND_REQUEST);
    SHOW(send(r.s, NULL, 0, 0));
    statuses(&r);
    put(&r, at, "mended");
    SHOW(send(r.s, NULL, 0, 0));
    heard(l, 2);
    struct sockaddr_ll to = on_lo();
    SHOW(sendto(r.s, NULL, 0, 0, SA(to), 8));
    to.sll_ifindex = 9999;
    SHOW(sendto(r.s, NULL, 0, 0, SA(to), sizeof to));
    close(l);
    end(&r);
}

/* Wrong ones are left out. */
static void losses(int version)
{
    section("PACKET_LOSS");
    struct ring r = ring(version, SOCK_RAW, PACKET_LOSS);
    int l = listener(), v = 7;
    socklen_t len = sizeof v;
    SHOW(getsockopt(r.s, SOL_PACKET, PACKET_LOSS, &v, &len));
    SHOW(v);
    bind_ring(&r);
    put(&r, 0, "before");
    mark(&r, 1, FRAME, 0, TP_STATUS_SEND_REQUEST);
    mark(&r, 2, 13, 0, TP_STATUS_SEND_REQUEST);
    put(&r, 3, "after");
    SHOW(send(r.s, NULL, 0, 0));
    statuses(&r);
    heard(l, 2);
    close(l);
    end(&r);
}

/* The program says where in the frame it begins; without a link header. */
static void offsets(int version)
{
    section("PACKET_TX_HAS_OFF, SOCK_DGRAM");
    struct ring r = ring(version, SOCK_DGRAM, PACKET_TX_HAS_OFF);
    static const unsigned places[] = {0, 31, 65535, FRAME - 37, FRAME - 38};
    struct sockaddr_ll to = on_lo();
    char b[100];
    int l = listener();
    unsigned len = datagram(b, "offset") - 14;
    memcpy(frame(&r, 0) + 500, b + 14, len);
    mark(&r, 0, len, 500, TP_STATUS_SEND_REQUEST);
    SHOW(sendto(r.s, NULL, 0, 0, SA(to), sizeof to));
    heard(l, 1);
    for (unsigned i = 0; i < sizeof places / sizeof places[0]; i++) {
        mark(&r, 1, 38, places[i], TP_STATUS_SEND_REQUEST);
        SHOW(sendto(r.s, NULL, 0, 0, SA(to), sizeof to));
        printf("  %u: %u\n", places[i], status(&r, 1));
    }
    close(l);
    end(&r);
}

int main(void)
{
    if (geteuid() != 0)
        return 0;
    setvbuf(stdout, NULL, _IOLBF, 0);
    alarm(60);
    requests();
    for (int v = TPACKET_V1; v <= TPACKET_V3; v++) {
        sends(v);
        losses(v);
        offsets(v);
    }
    return 0;
}
