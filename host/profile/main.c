/* SPDX-License-Identifier: Apache-2.0 */
/*
 * drupe-profile HZ SECONDS FORMAT WHAT INSTANCE, started by `drupe profile`: takes samples for so many seconds (0: until ^C, or the
 * instance's end) and writes counted stacks to standard output: "folded" for flamegraph.pl, speedscope and their like, "svg" or "pprof".
 * WHAT is "cpu", or "off-cpu": stacks that slept, whose folded counts are microseconds.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "host/client/client.h"
#include "host/profile/profile.h"

#define MESSAGE_MAX (PROFILE_MAPS_MAX + 64)

static volatile sig_atomic_t interrupted;
static void on_interrupt(int sig) { interrupted = sig; }

struct session {
    struct unwinder *unwinder;
    struct folded *folded;
    u64 samples, lost;
};

/* Frames, innermost first, a line each, in front of the stack. */
static void prepend(struct buf *stack, const char *lines, size_t len, const char *mark)
{
    struct buf all = {0};
    for (size_t end = len; end > 0;) {
        size_t start = end - 1;
        while (start > 0 && lines[start - 1] != '\n')
            start--;
        size_t n = end - 1 - start;
        if (all.len || stack->len)
            buf_add(&all, ";", 1);
        for (size_t i = start; i < start + n; i++)
            buf_add(&all, lines[i] == ';' ? ":" : &lines[i], 1);
        buf_add(&all, mark, strlen(mark));
        end = start;
    }
    buf_add(stack, all.data, all.len);
    buf_done(&all);
}

static int take_sample(struct session *s, const char *data, size_t len, struct error *err)
{
    struct profile_sample p;
    if (len >= sizeof(p)) {
        memcpy(&p, data, sizeof(p));
        p.name[sizeof(p.name) - 1] = 0;
        len -= sizeof(p);
        if (p.kernel_len <= PROFILE_KERNEL_MAX && p.stack_len <= PROFILE_STACK_MAX && (u64)p.kernel_len + p.stack_len == len) {
            const char *kernel = data + sizeof(p);
            struct buf stack = {0}, program = {0};
            buf_addf(&stack, "%s", p.name[0] ? p.name : "?");
            for (char *c = stack.data; *c; c++)
                *c = *c == ';' ? '_' : *c;
            if (p.pid) {
                unwinder_frames(s->unwinder, &p, kernel + p.kernel_len, &program);
                prepend(&stack, program.data, program.len, "");
            }
            prepend(&stack, kernel, p.kernel_len, "_[k]");
            text_clean(stack.data, stack.len, "");
            buf_add(&stack, "", 1);
            folded_add(s->folded, stack.data, p.weight_ns);
            buf_done(&stack);
            buf_done(&program);
            s->samples++;
            s->lost = p.lost;
            return 0;
        }
    }
    return err_set(err, EXIT_DRUPE, "the instance sends samples that make no sense");
}

static int take_message(struct session *s, const struct buf *m, struct error *err)
{
    u32 pid;
    if (m->len > 1 + sizeof(pid) && m->data[0] == PROFILE_MAPS) {
        memcpy(&pid, m->data + 1, sizeof(pid));
        unwinder_maps(s->unwinder, pid, m->data + 1 + sizeof(pid), m->len - 1 - sizeof(pid));
        return 0;
    }
    if (m->len > 0 && m->data[0] == PROFILE_SAMPLE)
        return take_sample(s, m->data + 1, m->len - 1, err);
    return err_set(err, EXIT_DRUPE, "the instance sends samples that make no sense");
}

/* Until the instance has sent all it had at the deadline, or ^C; or until its end. A second ^C does not wait for that. */
static int collect(struct session *s, struct conversation *c, const struct entry *e, u64 deadline_ns, struct error *err)
{
    int result = 1;
    bool asked = false;
    while (result > 0 && !(asked && interrupted)) {
        u64 now = now_ns();
        if (!asked && (interrupted || (deadline_ns && now >= deadline_ns))) {
            asked = true;
            interrupted = 0;
            deadline_ns = 0;
            if (conversation_send(c, "", 0) < 0)
                break;
        }
        struct pollfd p = {.fd = c->fd, .events = POLLIN};
        int ready = poll(&p, 1, deadline_ns ? (int)((deadline_ns - now) / 1000000 + 1) : -1);
        if (ready < 0 && errno != EINTR)
            return err_errno(err, EXIT_DRUPE, "poll");
        if (ready <= 0)
            continue;
        struct buf m = {0};
        result = conversation_message(c, &m, MESSAGE_MAX, err);
        if (result > 0 && take_message(s, &m, err) < 0)
            result = -1;
        buf_done(&m);
    }
    return result == 0 && c->error != 0 && c->error != EPIPE ? conversation_failed(c, e, err) : result < 0 ? -1 : 0;
}

static void print_samples(void *out, const struct folded_row *row) { fprintf(out, "%s %llu\n", row->stack, (unsigned long long)row->samples); }
static void print_times(void *out, const struct folded_row *row) { fprintf(out, "%s %llu\n", row->stack, (unsigned long long)row->ns / 1000); }

static int write_out(const struct session *s, char **argv, const struct pprof_about *about, struct error *err)
{
    bool off = strcmp(argv[4], "off-cpu") == 0;
    AUTO_FREE char *title = str_format("%s: %s, %llu samples at %s Hz", argv[5], off ? "off CPU" : "on CPU", (unsigned long long)s->samples, argv[1]);
    int result = 0;
    if (strcmp(argv[3], "svg") == 0)
        svg_write(stdout, s->folded, title, off);
    else if (strcmp(argv[3], "pprof") == 0)
        result = pprof_write(stdout, s->folded, about);
    else
        folded_each(s->folded, off ? print_times : print_samples, stdout);
    if (fflush(stdout) != 0 || result < 0)
        return err_errno(err, EXIT_DRUPE, "standard output");
    return 0;
}

static u64 realtime_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (u64)t.tv_sec * 1000000000 + (u64)t.tv_nsec;
}

static int profile(char **argv, struct error *err)
{
    struct session s = {0};
    struct entry e = {.dir_fd = -1, .lock_fd = -1};
    struct conversation c = {.fd = -1};
    u64 seconds = strtoull(argv[2], NULL, 10), start = now_ns();
    bool off = strcmp(argv[4], "off-cpu") == 0;
    struct pprof_about about = {.what = off ? "off_cpu" : "cpu", .start_ns = realtime_ns(), .period_ns = 1000000000 / strtoull(argv[1], NULL, 10)};
    AUTO_FREE char *wanted = str_format("%s%s", argv[1], off ? " off-cpu" : "");
    int result = entry_find(argv[5], &e, err);
    if (result == 0)
        result = conversation_open(&c, &e, "profile", wanted, strlen(wanted), err);
    if (result == 0) {
        s.unwinder = unwinder_new(&e);
        s.folded = folded_new();
        result = collect(&s, &c, &e, seconds ? now_ns() + seconds * 1000000000 : 0, err);
        about.duration_ns = now_ns() - start;
        if (result == 0)
            result = write_out(&s, argv, &about, err);
        if (s.lost)
            fprintf(stderr, "drupe: %llu samples were lost\n", (unsigned long long)s.lost);
        folded_free(s.folded);
        unwinder_free(s.unwinder);
    }
    conversation_done(&c);
    entry_done(&e);
    return result;
}

int main(int argc, char **argv)
{
    struct error err = {0};
    if (argc != 6)
        return EXIT_DRUPE;
    sigaction(SIGINT, &(struct sigaction){.sa_handler = on_interrupt}, NULL);
    sigaction(SIGTERM, &(struct sigaction){.sa_handler = on_interrupt}, NULL);
    if (profile(argv, &err) == 0)
        return 0;
    err_print(&err);
    return err.code ? err.code : EXIT_DRUPE;
}
