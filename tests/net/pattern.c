/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Transfers over TCP of which every byte is compared; the same program at both ends, on Linux and in Drupe.
 *
 *   pattern serve PORT
 *   pattern up|down ADDRESS PORT STREAMS BYTES|SECONDSs [SEED]
 *
 * Each stream is a connection. The client says what it wants (struct order), the sender sends (`up`: the client) in writes of all
 * sizes, the receiver compares, counts, and says how many bytes were right; the other end answers with how many it sent.
 * Streams with odd seeds send without copies (MSG_ZEROCOPY), and overwrite what they sent as soon as they are told that they may.
 * The client prints "ok BYTES bytes in MS ms", or what was wrong and ends with 1. The server says "wrong: ..." for its part.
 */
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <linux/errqueue.h> /* needs struct timespec */

#define CHUNK 65536u

struct order {
    uint64_t up, bytes, ms, seed; /* bytes, or so long; network order is this machine's */
};
struct stream {
    int fd;
    struct order order;
    uint64_t bytes;
    int flags;            /* of send() */
    unsigned sends, told; /* with MSG_ZEROCOPY; notifications */
    char why[160];
};

static uint64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static uint64_t mix(uint64_t z)
{
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

/* The stream's bytes from offset on; offset is a multiple of CHUNK. */
static void fill(uint64_t *chunk, uint64_t seed, uint64_t offset)
{
    for (unsigned i = 0; i < CHUNK / 8; i++)
        chunk[i] = mix(seed * 0x9e3779b97f4a7c15u + offset / 8 + i);
}

static int failed(struct stream *s, const char *what)
{
    snprintf(s->why, sizeof s->why, "%s after %lu bytes: %s", what, s->bytes, errno != 0 ? strerror(errno) : "end of the connection");
    return -1;
}

/* Wait until nobody looks at what was sent. */
static int settle(struct stream *s)
{
    while (s->told != s->sends) {
        char control[256];
        struct msghdr m = { .msg_control = control, .msg_controllen = sizeof control };
        struct pollfd p = { .fd = s->fd };
        if (poll(&p, 1, 60000) != 1 || !(p.revents & POLLERR))
            return failed(s, "no notification");
        errno = 0;
        if (recvmsg(s->fd, &m, MSG_ERRQUEUE) != 0 || CMSG_FIRSTHDR(&m) == NULL)
            return failed(s, "notification");
        const struct sock_extended_err *e = (const void *)CMSG_DATA(CMSG_FIRSTHDR(&m));
        if (e->ee_origin != SO_EE_ORIGIN_ZEROCOPY || e->ee_errno != 0 || e->ee_data - e->ee_info >= s->sends - s->told)
            return failed(s, "an odd notification");
        s->told += e->ee_data - e->ee_info + 1;
    }
    return 0;
}

static int all(struct stream *s, void *data, size_t len, int sending)
{
    for (size_t done = 0; done < len;) {
        errno = 0;
        ssize_t n = sending ? send(s->fd, (char *)data + done, len - done, MSG_NOSIGNAL | s->flags) : recv(s->fd, (char *)data + done, len - done, 0);
        if (n < 0 && errno == ENOBUFS && s->flags != 0 && settle(s) == 0)
            continue;
        if (n <= 0)
            return failed(s, sending ? "send" : "recv");
        s->sends += sending && s->flags != 0;
        done += (size_t)n;
    }
    return 0;
}

static int send_all(struct stream *s)
{
    static __thread uint64_t chunk[CHUNK / 8];
    const struct order *o = &s->order;
    uint64_t end = o->ms != 0 ? now_ms() + o->ms : UINT64_MAX;
    int one = 1;
    if (o->seed % 2 != 0 && setsockopt(s->fd, SOL_SOCKET, SO_ZEROCOPY, &one, sizeof one) == 0)
        s->flags = MSG_ZEROCOPY;
    while (s->bytes < o->bytes && (o->ms == 0 || now_ms() < end)) {
        size_t at = s->bytes % CHUNK, want = o->ms != 0 ? CHUNK : 1 + mix(s->bytes + o->seed) % CHUNK;
        if (at == 0 && settle(s) < 0)
            return -1;
        if (at == 0)
            fill(chunk, o->seed, s->bytes);
        want = want < CHUNK - at ? want : CHUNK - at;
        want = want < o->bytes - s->bytes ? want : o->bytes - s->bytes;
        if (all(s, (char *)chunk + at, want, 1) < 0)
            return -1;
        s->bytes += want;
    }
    uint64_t right;
    if (settle(s) < 0)
        return -1;
    s->flags = 0;
    if (shutdown(s->fd, SHUT_WR) != 0)
        return failed(s, "shutdown");
    if (all(s, &right, sizeof right, 0) < 0)
        return -1;
    if (right != s->bytes)
        snprintf(s->why, sizeof s->why, "sent %lu bytes, %lu arrived rightly", s->bytes, right);
    return right == s->bytes ? 0 : -1;
}

static int receive_all(struct stream *s)
{
    static __thread uint64_t chunk[CHUNK / 8];
    static __thread char got[CHUNK];
    int wrong = 0;
    for (;;) {
        size_t at = s->bytes % CHUNK;
        if (at == 0)
            fill(chunk, s->order.seed, s->bytes);
        errno = 0;
        ssize_t n = recv(s->fd, got, CHUNK - at, 0);
        if (n < 0)
            return failed(s, "recv");
        if (n == 0)
            break;
        wrong = wrong || memcmp(got, (char *)chunk + at, (size_t)n) != 0;
        if (wrong && s->why[0] == '\0')
            snprintf(s->why, sizeof s->why, "other bytes between %lu and %lu", s->bytes, s->bytes + (uint64_t)n);
        s->bytes += (uint64_t)n;
    }
    uint64_t right = wrong ? 0 : s->bytes;
    if (!wrong && s->order.ms == 0 && s->bytes != s->order.bytes) {
        snprintf(s->why, sizeof s->why, "%lu bytes of %lu arrived", s->bytes, s->order.bytes);
        wrong = 1;
    }
    return all(s, &right, sizeof right, 1) < 0 || wrong ? -1 : 0;
}

static void *serve_stream(void *arg)
{
    struct stream *s = arg;
    if (all(s, &s->order, sizeof s->order, 0) == 0 && (s->order.up ? receive_all(s) : send_all(s)) != 0) {
        printf("wrong: %s\n", s->why);
        fflush(stdout);
    }
    close(s->fd);
    free(s);
    return NULL;
}

static int serve(const char *port)
{
    struct sockaddr_in6 a = { .sin6_family = AF_INET6, .sin6_port = htons((uint16_t)atoi(port)) };
    int l = socket(AF_INET6, SOCK_STREAM, 0), one = 1;
    setsockopt(l, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(l, (void *)&a, sizeof a) != 0 || listen(l, 128) != 0) {
        perror("listen");
        return 1;
    }
    printf("ready\n");
    fflush(stdout);
    for (;;) {
        struct stream *s = calloc(1, sizeof *s);
        pthread_t t;
        s->fd = accept(l, NULL, NULL);
        if (s->fd < 0 || pthread_create(&t, NULL, serve_stream, s) != 0) {
            perror("accept");
            return 1;
        }
        pthread_detach(t);
    }
}

static void *client_stream(void *arg)
{
    struct stream *s = arg;
    if (all(s, &s->order, sizeof s->order, 1) == 0)
        s->order.up ? send_all(s) : receive_all(s);
    close(s->fd);
    return NULL;
}

static int dial(const char *address, const char *port, struct stream *s)
{
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST }, *a;
    if (getaddrinfo(address, port, &hints, &a) != 0) {
        snprintf(s->why, sizeof s->why, "no address: %s", address);
        return -1;
    }
    errno = 0;
    s->fd = socket(a->ai_family, SOCK_STREAM, 0);
    int err = s->fd < 0 || connect(s->fd, a->ai_addr, a->ai_addrlen) != 0 ? failed(s, "connect") : 0;
    freeaddrinfo(a);
    return err;
}

static int client(char **argv, uint64_t seed)
{
    unsigned n = (unsigned)atoi(argv[4]), started = 0, failures = 0;
    struct stream *s = calloc(n, sizeof *s);
    pthread_t *t = calloc(n, sizeof *t);
    char *unit;
    uint64_t amount = strtoull(argv[5], &unit, 10), start = now_ms(), bytes = 0;
    struct order o = { .up = strcmp(argv[1], "up") == 0, .bytes = *unit == 's' ? UINT64_MAX : amount, .ms = *unit == 's' ? amount * 1000 : 0 };
    for (; started < n; started++) {
        o.seed = seed + started;
        s[started].order = o;
        if (dial(argv[2], argv[3], &s[started]) < 0 || pthread_create(&t[started], NULL, client_stream, &s[started]) != 0)
            break;
    }
    for (unsigned i = 0; i < started; i++)
        pthread_join(t[i], NULL);
    for (unsigned i = 0; i < n; i++) {
        bytes += s[i].bytes;
        if (s[i].why[0] != '\0') {
            printf("stream %u: %s\n", i, s[i].why);
            failures++;
        }
    }
    if (failures > 0)
        return 1;
    printf("ok %lu bytes in %lu ms\n", bytes, now_ms() - start);
    return 0;
}

int main(int argc, char **argv)
{
    signal(SIGPIPE, SIG_IGN);
    if (argc == 3 && strcmp(argv[1], "serve") == 0)
        return serve(argv[2]);
    if (argc >= 6)
        return client(argv, argc > 6 ? strtoull(argv[6], NULL, 10) : 1);
    fprintf(stderr, "pattern serve PORT | pattern up|down ADDRESS PORT STREAMS BYTES|SECONDSs [SEED]\n");
    return 2;
}
