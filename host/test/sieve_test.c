/* SPDX-License-Identifier: Apache-2.0 */
/* The sieve of a TAP as Linux runs it (abi/sieve.h), in a network namespace of its own: which frames come through. */
#include "host/net/sieve.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "abi/sieve.h"

static int tap, wire, number, failed;
static struct sieve *sieve;
static struct sockaddr_ll device = {.sll_family = AF_PACKET};

static void check(int good, const char *what)
{
    printf("%sok %d - %s\n", good ? "" : "not ", ++number, what);
    failed |= !good;
}

static int skip(const char *why)
{
    printf("ok 1 - the sieve # SKIP %s (%s)\n1..1\n", why, strerror(errno));
    return 0;
}

static int open_tap(void)
{
    struct ifreq r = {.ifr_flags = IFF_TAP | IFF_NO_PI};
    tap = open("/dev/net/tun", O_RDWR | O_NONBLOCK);
    strcpy(r.ifr_name, "sieve0");
    if (tap < 0 || ioctl(tap, TUNSETIFF, &r) < 0)
        return -1;
    wire = socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL));
    device.sll_ifindex = (int)if_nametoindex("sieve0");
    r.ifr_flags = IFF_UP;
    return ioctl(wire, SIOCSIFFLAGS, &r);
}

/* --- frames --------------------------------------------------------------------------------- */

static uint8_t frame[128];
static size_t frame_len;

static void begin(uint16_t type)
{
    memset(frame, 0, sizeof frame);
    memcpy(frame, "\x02\x73\x69\x65\x76\x65", 6); /* nobody's: Linux itself sends other things meanwhile */
    frame[12] = (uint8_t)(type >> 8);
    frame[13] = (uint8_t)type;
}

static void v4(uint32_t src, uint8_t proto, uint16_t frag, uint8_t tcp_flags, int options)
{
    begin(0x0800);
    uint8_t *ip = frame + 14;
    ip[0] = (uint8_t)(0x45 + options);
    ip[6] = (uint8_t)(frag >> 8);
    ip[7] = (uint8_t)frag;
    ip[9] = proto;
    src = htonl(src);
    memcpy(ip + 12, &src, 4);
    ip[20 + 4 * options + 13] = tcp_flags;
    frame_len = 14 + 20 + 4 * (size_t)options + 20;
}

static void v6(uint8_t net, uint8_t host, uint8_t next, uint8_t tcp_flags)
{
    begin(0x86dd);
    uint8_t *ip = frame + 14;
    ip[0] = 0x60;
    ip[6] = next;
    ip[8] = 0x20;
    ip[15] = net;
    ip[23] = host;
    ip[40 + 13] = tcp_flags;
    frame_len = 14 + 40 + 20;
}

/* How many of n such frames come out of the TAP. */
static int through(int n)
{
    char got[2048];
    int came = 0;
    for (int i = 0; i < n; i++) {
        if (sendto(wire, frame, frame_len, 0, (void *)&device, sizeof device) < 0)
            perror("sendto");
        for (ssize_t r; (r = read(tap, got, sizeof got)) > 0;)
            came += r == (ssize_t)frame_len && memcmp(got, frame, 6) == 0;
    }
    return came;
}

static int held(enum sieve_kind k) { return (int)__atomic_load_n(&sieve->strangers[k].held, __ATOMIC_RELAXED); }

/* For ever: as the program would note it for SIEVE_HOLD_NS. */
static void ask(uint32_t syn, uint32_t segment, uint32_t fragment, uint32_t other)
{
    const uint32_t few[] = {syn, segment, fragment, other};
    memcpy(sieve->few, few, sizeof few);
    sieve->until_ns = UINT64_MAX;
    sieve->asked = sieve->seen = 1;
}

/* For SIEVE_HOLD_NS, until it has an effect. */
static int ask_once(void)
{
    for (int i = 0; i < 1000; i++) {
        sieve->asked++;
        if (through(1) == 0)
            return 1;
    }
    return 0;
}

/* --- who is known: the formula of abi/sieve.h -------------------------------------------------- */

static uint32_t place_of(uint64_t h, int bits) { return ((uint32_t)h ^ (uint32_t)(h >> 32)) >> (32 - bits); }

static void know(uint64_t h)
{
    uint32_t place = place_of(h, SIEVE_PEER_BITS);
    sieve->peers[place / 8] |= (uint8_t)(1 << place % 8);
}

static uint64_t hash4(uint32_t a) { return sieve->sum4 + sieve->mul4 * (uint64_t)(uint32_t)(htonl(a) + sieve->add4); }
static void know4(uint32_t a) { know(hash4(a)); }

static void know6(uint8_t net)
{
    uint8_t a[8] = {0x20, [7] = net};
    uint32_t w[2];
    memcpy(w, a, 8);
    know(sieve->sum6 + (uint64_t)(uint32_t)(w[0] + sieve->add6[0]) * (uint32_t)(w[1] + sieve->add6[1]));
}

static void kinds(void)
{
    const uint32_t stranger = 0xc6120001;
    v4(stranger, 6, 0, 0x02, 0);
    check(through(50) == 50, "what nobody asked to be held passes");
    ask(0, SIEVE_ALL, SIEVE_ALL, SIEVE_ALL);
    check(through(50) == 0 && held(SIEVE_SYN) == 50, "SYNs of strangers are held back, and counted");
    v4(stranger, 6, 0, 0x02, 3);
    check(through(5) == 0, "behind IP options, too");
    v4(stranger, 6, 0, 0x12, 0);
    check(through(5) == 5, "a SYN with an ACK is none");
    ask(SIEVE_ALL, 0, SIEVE_ALL, SIEVE_ALL);
    check(through(5) == 0 && held(SIEVE_SEGMENT) == 5, "but another segment");
    v4(stranger, 6, 0x2000, 0x10, 0);
    check(through(5) == 5, "a first fragment is no segment");
    ask(SIEVE_ALL, SIEVE_ALL, 0, SIEVE_ALL);
    check(through(5) == 0, "but a fragment");
    v4(stranger, 17, 0x0001, 0, 0);
    check(through(5) == 0 && held(SIEVE_FRAGMENT) == 10, "as is a later one");
    v4(stranger, 17, 0x4000, 0, 0);
    check(through(5) == 5, "DF makes no fragment");
    ask(SIEVE_ALL, SIEVE_ALL, SIEVE_ALL, 0);
    check(through(5) == 0 && held(SIEVE_OTHER) == 5, "UDP is another kind");
    begin(0x0806);
    frame_len = 60;
    check(through(5) == 5, "ARP is none of them");
    v6(1, 1, 6, 0x02);
    ask(0, SIEVE_ALL, SIEVE_ALL, SIEVE_ALL);
    check(through(5) == 0, "a SYN over IPv6");
    v6(1, 1, 6, 0x10);
    check(through(5) == 5, "any other segment over IPv6");
    v6(1, 1, 44, 0);
    ask(SIEVE_ALL, SIEVE_ALL, 0, SIEVE_ALL);
    check(through(5) == 0, "a fragment of IPv6");
    v6(1, 1, 17, 0);
    ask(SIEVE_ALL, SIEVE_ALL, SIEVE_ALL, 0);
    check(through(5) == 0, "UDP over IPv6");
    begin(0x0800);
    frame_len = 20;
    check(through(5) == 0, "what is no packet does not come");
}

static void peers(void)
{
    sieve->add4 = 0x9e3779b9, sieve->mul4 = 0x85ebca6b, sieve->sum4 = 0x123456789abcdef0;
    sieve->add6[0] = 0xdeadbeef, sieve->add6[1] = 0xc2b2ae35, sieve->sum6 = 0xfedcba9876543210;
    ask(0, 0, 0, 0);
    know4(0x0a510001);
    know6(7);
    v4(0x0a510001, 6, 0, 0x02, 0);
    check(through(50) == 50, "a peer's SYNs pass");
    v4(0x0a510001, 17, 0x2000, 0, 0);
    check(through(50) == 50, "and its fragments");
    v4(0x0a510002, 6, 0, 0x02, 0);
    check(through(50) == 0, "its neighbour's do not");
    v6(7, 1, 6, 0x10);
    check(through(50) == 50, "a peer over IPv6");
    v6(7, 99, 6, 0x10);
    check(through(50) == 50, "and another of its network");
    v6(8, 1, 6, 0x10);
    check(through(50) == 0, "but none of the next one");
}

static void credit(void)
{
    const uint32_t stranger = 0xc6120005;
    uint32_t place = place_of(hash4(stranger), SIEVE_CREDIT_BITS);
    ask(0, 0, 0, 0);
    sieve->credit[SIEVE_SEGMENT][place] = 3;
    sieve->credit[SIEVE_OTHER][place] = 255;
    v4(stranger, 6, 0, 0x02, 0);
    check(through(10) == 0, "credit for segments is none for SYNs");
    v4(0xc6120006, 6, 0, 0x10, 0);
    check(through(10) == 0, "nor for others");
    v4(stranger, 6, 0, 0x10, 0);
    check(through(10) == 3 && through(10) == 0, "so many pass, and no more");
    v4(stranger, 17, 0, 0, 0);
    check(through(250) == 250 && through(10) == 5 && sieve->credit[SIEVE_OTHER][place] == 0, "the most there is");
    sieve->credit[SIEVE_SEGMENT][place] = 3;
    know4(stranger);
    v4(stranger, 6, 0, 0x10, 0);
    check(through(50) == 50 && sieve->credit[SIEVE_SEGMENT][place] == 3, "peers need none");
}

static void few(void)
{
    uint64_t slice;
    int came, passed, tries = 0;
    v4(0xc6120002, 6, 0, 0x02, 0);
    ask(3, 0, 0, 0);
    do { /* until all of a try lies within a slice */
        through(1);
        slice = sieve->strangers[SIEVE_SYN].slice;
        passed = (int)sieve->strangers[SIEVE_SYN].passed;
        came = through(20);
    } while (++tries < 1000 && slice != sieve->strangers[SIEVE_SYN].slice);
    check(passed > 0 && came == 3 - passed, "three of a slice pass");
    struct timespec t = {0, 2 << SIEVE_SLICE_SHIFT};
    nanosleep(&t, NULL);
    check(through(1) == 1, "and more in another one");
    ask(0, 0, 0, 0);
    check(ask_once(), "held");
    t.tv_nsec = SIEVE_HOLD_NS + (SIEVE_HOLD_NS >> 3);
    nanosleep(&t, NULL);
    check(through(50) == 50, "who does not go on asking gets all");
    check(ask_once(), "held again");
    sieve->asked = 0;
    check(through(50) == 50, "or says so");
}

int main(void)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (unshare(CLONE_NEWNET) < 0 || open_tap() < 0)
        return skip("no TAP here");
    int map = sieve_attach(tap);
    if (map < 0)
        return skip("no eBPF here");
    sieve = mmap(NULL, SIEVE_MAP_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, map, 0);
    if (sieve == MAP_FAILED) {
        perror("mmap");
        return 1;
    }
    close(map);
    kinds();
    peers();
    credit();
    few();
    ask(0, 0, 0, 0);
    v4(0xc6120003, 6, 0, 0x02, 0);
    check(through(5) == 0, "held before another one is attached");
    close(sieve_attach(tap));
    check(through(5) == 5, "which is in its place");
    printf("1..%d\n", number);
    return failed;
}
