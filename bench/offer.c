/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests to a server over connections that stay, at a rate that does not depend on its answers:
 *
 *   offer HOST PORT CONNECTIONS SECONDS RATE SETUP REQUEST
 *
 * Request i is due i / RATE seconds after the start and goes to the connection whose turn it is; its latency counts from
 * when it was due, so that a server that stalls pays for all that waited. RATE 0: each connection asks again once it has
 * its answer. SETUP (may be empty) is sent once before, on a connection of its own. Every answer must be as long as the
 * first one was, which came alone.
 *
 * Prints: answers, microseconds of the median, of the 99th percentile and of the slowest.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MAX_CONNECTIONS 1024
#define MAX_ANSWERS (64l << 20)
#define DRAIN_NS 30000000000u /* for what is still due when the time is over */

static struct connection {
    int fd;
    long waiting;    /* due requests that are its turn, the one under way included */
    long turn;       /* number of the oldest of them */
    size_t got;      /* bytes of the answer */
    uint64_t asked;
} connections[MAX_CONNECTIONS];

static struct sockaddr_in server;
static const char *request;
static size_t request_len, answer_len;
static long nconnections;
static double rate;
static uint64_t begin;
static uint32_t *latencies_us;
static long answers;

static uint64_t now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static int connected(void)
{
    int one = 1, s = socket(AF_INET, SOCK_STREAM, 0);
    if (s < 0 || connect(s, (void *)&server, sizeof server) < 0)
        die("connect");
    setsockopt(s, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return s;
}

/* Bytes that come for what is sent, until nothing has come for a while. */
static size_t asked_alone(const char *what)
{
    char buf[65536];
    int s = connected();
    size_t sum = 0;
    if (write(s, what, strlen(what)) != (ssize_t)strlen(what))
        die("write");
    struct pollfd p = {.fd = s, .events = POLLIN};
    for (int patience = 10000; poll(&p, 1, patience) > 0; patience = 500) {
        ssize_t n = read(s, buf, sizeof buf);
        if (n <= 0)
            die("the first answer");
        sum += (size_t)n;
    }
    close(s);
    if (sum == 0) {
        fprintf(stderr, "no answer\n");
        exit(1);
    }
    return sum;
}

static void ask(struct connection *c)
{
    c->asked = now();
    if (write(c->fd, request, request_len) != (ssize_t)request_len)
        die("write");
}

static uint64_t due(long i) { return begin + (uint64_t)((double)i * 1e9 / rate); }

static void answered(struct connection *c)
{
    uint64_t from = rate > 0 ? due(c->turn) : c->asked;
    if (answers == MAX_ANSWERS) {
        fprintf(stderr, "too many answers\n");
        exit(1);
    }
    latencies_us[answers++] = (uint32_t)((now() - from) / 1000);
    c->got = 0;
    c->turn += nconnections;
    c->waiting--;
}

static void readable(struct connection *c)
{
    char buf[65536];
    ssize_t n = read(c->fd, buf, sizeof buf);
    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0)
        die("read");
    c->got += (size_t)n;
    if (c->got > answer_len) {
        fprintf(stderr, "an answer of %zu bytes instead of %zu\n", c->got, answer_len);
        exit(1);
    }
    if (c->got < answer_len)
        return;
    answered(c);
    if (c->waiting > 0)
        ask(c);
}

/* Hand out what is due by now; *next: the first that is not. */
static void hand_out(long *next, long last, uint64_t at)
{
    for (; *next < last && due(*next) <= at; ++*next) {
        struct connection *c = &connections[*next % nconnections];
        if (c->waiting++ == 0)
            ask(c);
    }
}

static void run(int ep, uint64_t end)
{
    long next = 0, last = (long)(rate * (double)(end - begin) / 1e9);
    for (long i = 0; i < nconnections; i++) {
        connections[i].turn = i;
        if (rate == 0) {
            connections[i].waiting = LONG_MAX;
            ask(&connections[i]);
        }
    }
    for (;;) {
        struct epoll_event ev[256];
        struct timespec wait = {0, 1000000};
        uint64_t at = now();
        if (rate > 0)
            hand_out(&next, last, at);
        if (rate > 0 ? answers == last : at >= end)
            return;
        if (at > end + DRAIN_NS) {
            fprintf(stderr, "%ld of %ld were answered\n", answers, last);
            exit(1);
        }
        if (rate > 0 && next < last && due(next) - at < 1000000)
            wait.tv_nsec = (long)(due(next) - at);
        int n = epoll_pwait2(ep, ev, 256, &wait, NULL);
        for (int i = 0; i < n; i++)
            readable(ev[i].data.ptr);
    }
}

static int by_size(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
    if (argc != 8)
        return 2;
    server = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(argv[2]))};
    nconnections = atol(argv[3]);
    rate = atof(argv[5]);
    request = argv[7];
    request_len = strlen(request);
    if (inet_pton(AF_INET, argv[1], &server.sin_addr) != 1 || nconnections < 1 || nconnections > MAX_CONNECTIONS || rate < 0)
        return 2;
    latencies_us = calloc(MAX_ANSWERS, sizeof *latencies_us);
    int ep = epoll_create1(0);
    if (latencies_us == NULL || ep < 0)
        die("set-up");
    if (argv[6][0] != 0)
        asked_alone(argv[6]);
    answer_len = asked_alone(request);
    for (long i = 0; i < nconnections; i++) {
        struct connection *c = &connections[i];
        c->fd = connected();
        fcntl(c->fd, F_SETFL, O_NONBLOCK);
        if (epoll_ctl(ep, EPOLL_CTL_ADD, c->fd, &(struct epoll_event){.events = EPOLLIN, .data.ptr = c}) < 0)
            die("epoll_ctl");
    }
    begin = now();
    run(ep, begin + (uint64_t)(atof(argv[4]) * 1e9));
    if (answers == 0)
        return 1;
    qsort(latencies_us, (size_t)answers, sizeof *latencies_us, by_size);
    printf("%ld %u %u %u\n", answers, latencies_us[answers / 2], latencies_us[answers * 99 / 100], latencies_us[answers - 1]);
    return 0;
}
