/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A network path between two TAP interfaces, each in a network namespace, that does to frames what tc-netem(8) does; a
 * process of its own, so that it needs no module of the kernel and is the same from run to run.
 *
 *   path NAMESPACE:INTERFACE NAMESPACE:INTERFACE
 *
 * Each line of standard input sets both directions anew and is answered with one line, the counts since the last:
 *
 *   delay_us=20000 jitter_us=0 loss=10000 dup=0 corrupt=0 reorder=0 rate_kbit=0 limit=1000 seed=1
 *
 * loss, dup, corrupt and reorder are in a million frames; what is not named is 0 (limit: 1000 frames). corrupt inverts one
 * bit behind the Ethernet header. reorder lets a frame overtake all that wait. jitter_us spreads the delay evenly and keeps
 * the order. rate_kbit is a line's speed, limit how many frames may wait. It ends at the end of its input.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#define FRAME_MAX 2048
#define BATCH 64
#define MILLION 1000000u

struct settings {
    uint64_t delay_us, jitter_us, loss, dup, corrupt, reorder, rate_kbit, limit, seed;
};
static const struct {
    const char *name;
    size_t offset;
} names[] = {
#define NAME(x) { #x "=", offsetof(struct settings, x) }
    NAME(delay_us), NAME(jitter_us), NAME(loss), NAME(dup), NAME(corrupt), NAME(reorder), NAME(rate_kbit), NAME(limit), NAME(seed),
};

struct frame {
    struct frame *next;
    uint64_t due_ns;
    size_t len;
    unsigned char bytes[FRAME_MAX];
};

struct direction {
    int from, to;
    struct frame *first, **last;
    uint64_t free_ns, newest_ns; /* when the line is free; when the last in order is due */
    uint64_t waiting, random;
    uint64_t passed, lost, full, doubled, corrupted, reordered;
};

static struct settings set = { .limit = 1000 };
static struct direction ways[2];
static struct frame *spare;

static void die(const char *what)
{
    fprintf(stderr, "path: %s: %s\n", what, strerror(errno));
    exit(1);
}

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* splitmix64 */
static uint64_t rnd(struct direction *d)
{
    uint64_t z = d->random += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static int happens(struct direction *d, uint64_t in_a_million) { return in_a_million != 0 && rnd(d) % MILLION < in_a_million; }

static int tap_open(char *where)
{
    char *name = strchr(where, ':'), file[256];
    if (name == NULL)
        die("NAMESPACE:INTERFACE wanted");
    *name++ = '\0';
    snprintf(file, sizeof file, "/run/netns/%s", where);
    int ns = open(file, O_RDONLY | O_CLOEXEC);
    if (ns < 0 || setns(ns, CLONE_NEWNET) != 0)
        die(file);
    close(ns);
    struct ifreq r = { .ifr_flags = IFF_TAP | IFF_NO_PI };
    strncpy(r.ifr_name, name, IFNAMSIZ - 1);
    int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 || ioctl(fd, TUNSETIFF, &r) < 0)
        die(name);
    return fd;
}

static struct frame *frame_get(void)
{
    struct frame *f = spare;
    if (f != NULL)
        spare = f->next;
    else if ((f = malloc(sizeof *f)) == NULL)
        die("memory");
    return f;
}

static void frame_put(struct frame *f)
{
    f->next = spare;
    spare = f;
}

static void enqueue(struct direction *d, struct frame *f, int overtake)
{
    struct frame **at = d->last;
    d->waiting++;
    if (overtake) {
        at = &d->first;
        f->due_ns = now_ns();
        d->reordered++;
    } else {
        d->newest_ns = f->due_ns = f->due_ns > d->newest_ns ? f->due_ns : d->newest_ns;
    }
    f->next = *at;
    *at = f;
    if (f->next == NULL)
        d->last = &f->next;
}

static void take_in(struct direction *d, struct frame *f, uint64_t now)
{
    if (happens(d, set.loss)) {
        d->lost++;
        frame_put(f);
        return;
    }
    if (d->waiting >= set.limit) {
        d->full++;
        frame_put(f);
        return;
    }
    if (happens(d, set.corrupt) && f->len > 14) {
        uint64_t bit = rnd(d) % ((f->len - 14) * 8);
        f->bytes[14 + bit / 8] ^= (unsigned char)(1u << bit % 8);
        d->corrupted++;
    }
    uint64_t at = now;
    if (set.rate_kbit != 0) {
        at = (d->free_ns > now ? d->free_ns : now) + f->len * 8 * 1000000u / set.rate_kbit;
        d->free_ns = at;
    }
    f->due_ns = at + set.delay_us * 1000 + (set.jitter_us != 0 ? rnd(d) % (set.jitter_us * 1000) : 0);
    struct frame *twin = NULL;
    if (happens(d, set.dup)) {
        twin = frame_get();
        memcpy(twin, f, sizeof *f);
        d->doubled++;
    }
    enqueue(d, f, happens(d, set.reorder));
    if (twin != NULL)
        enqueue(d, twin, 0);
}

static void receive(struct direction *d, uint64_t now)
{
    for (int i = 0; i < BATCH; i++) {
        struct frame *f = frame_get();
        ssize_t n = read(d->from, f->bytes, sizeof f->bytes);
        if (n <= 0) {
            frame_put(f);
            return;
        }
        f->len = (size_t)n;
        take_in(d, f, now);
    }
}

static void deliver(struct direction *d, uint64_t now)
{
    while (d->first != NULL && d->first->due_ns <= now) {
        struct frame *f = d->first;
        if (write(d->to, f->bytes, f->len) < 0 && errno == EAGAIN)
            return;
        d->passed++;
        d->first = f->next;
        if (d->first == NULL)
            d->last = &d->first;
        d->waiting--;
        frame_put(f);
    }
}

static int command(void)
{
    char line[512];
    if (fgets(line, sizeof line, stdin) == NULL)
        return 0;
    set = (struct settings){ .limit = 1000 };
    for (char *word = strtok(line, " \n"); word != NULL; word = strtok(NULL, " \n")) {
        size_t i = 0;
        while (i < sizeof names / sizeof names[0] && strncmp(word, names[i].name, strlen(names[i].name)) != 0)
            i++;
        if (i == sizeof names / sizeof names[0]) {
            fprintf(stderr, "path: unknown setting '%s'\n", word);
            exit(1);
        }
        *(uint64_t *)(void *)((char *)&set + names[i].offset) = strtoull(word + strlen(names[i].name), NULL, 10);
    }
    for (unsigned w = 0; w < 2; w++) {
        struct direction *d = &ways[w];
        printf("%spassed=%lu lost=%lu full=%lu doubled=%lu corrupted=%lu reordered=%lu", w ? " | " : "", d->passed, d->lost, d->full,
               d->doubled, d->corrupted, d->reordered);
        d->passed = d->lost = d->full = d->doubled = d->corrupted = d->reordered = 0;
        d->random = set.seed * 2 + w;
        d->free_ns = 0;
    }
    printf("\n");
    fflush(stdout);
    return 1;
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "path NAMESPACE:INTERFACE NAMESPACE:INTERFACE\n");
        return 2;
    }
    prctl(PR_SET_PDEATHSIG, 9);
    setvbuf(stdin, NULL, _IONBF, 0);
    int a = tap_open(argv[1]), b = tap_open(argv[2]);
    ways[0] = (struct direction){ .from = a, .to = b, .last = &ways[0].first };
    ways[1] = (struct direction){ .from = b, .to = a, .last = &ways[1].first };
    for (;;) {
        uint64_t now = now_ns(), due = now + 1000000000u;
        for (unsigned w = 0; w < 2; w++) {
            deliver(&ways[w], now);
            if (ways[w].first != NULL && ways[w].first->due_ns < due)
                due = ways[w].first->due_ns;
        }
        struct pollfd p[3] = { { a, POLLIN, 0 }, { b, POLLIN, 0 }, { 0, POLLIN, 0 } };
        uint64_t wait = due > now ? due - now : 50000;
        struct timespec t = { (time_t)(wait / 1000000000u), (long)(wait % 1000000000u) };
        if (ppoll(p, 3, &t, NULL) < 0 && errno != EINTR)
            die("ppoll");
        if (p[2].revents != 0 && !command())
            return 0;
        now = now_ns();
        for (unsigned w = 0; w < 2; w++)
            if (p[w].revents & POLLIN)
                receive(&ways[w], now);
    }
}
