/* SPDX-License-Identifier: Apache-2.0 */
/*
 * drupe-profile HZ SECONDS FORMAT INSTANCE, started by `drupe profile`: takes samples for so many seconds (0: until ^C, or the
 * instance's end) and writes counted stacks to standard output: "folded" for flamegraph.pl, speedscope and their like, or "svg".
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
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
                *c = *c == ';' || (unsigned char)*c < ' ' ? '_' : *c;
            if (p.pid) {
                unwinder_frames(s->unwinder, &p, kernel + p.kernel_len, &program);
                prepend(&stack, program.data, program.len, "");
            }
            prepend(&stack, kernel, p.kernel_len, "_[k]");
            buf_add(&stack, "", 1);
            folded_add(s->folded, stack.data);
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

/* Until the deadline, ^C, or the end. */
static int collect(struct session *s, struct conversation *c, const struct entry *e, u64 deadline_ns, struct error *err)
{
    int result = 1;
    while (result > 0 && !interrupted) {
        u64 now = now_ns();
        if (deadline_ns && now >= deadline_ns)
            return 0;
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

static void print_row(void *ctx, const char *stack, u64 count) { fprintf(ctx, "%s %llu\n", stack, (unsigned long long)count); }

static int profile(char **argv, struct error *err)
{
    struct session s = {0};
    struct entry e = {.dir_fd = -1, .lock_fd = -1};
    struct conversation c = {.fd = -1};
    u64 seconds = strtoull(argv[2], NULL, 10);
    int result = entry_find(argv[4], &e, err);
    if (result == 0)
        result = conversation_open(&c, &e, "profile", argv[1], strlen(argv[1]), err);
    if (result == 0) {
        s.unwinder = unwinder_new();
        s.folded = folded_new();
        result = collect(&s, &c, &e, seconds ? now_ns() + seconds * 1000000000 : 0, err);
        AUTO_FREE char *title = str_format("%s: %llu samples at %s Hz", argv[4], (unsigned long long)s.samples, argv[1]);
        if (result == 0 && strcmp(argv[3], "svg") == 0)
            svg_write(stdout, s.folded, title);
        else if (result == 0)
            folded_each(s.folded, print_row, stdout);
        if (s.lost)
            fprintf(stderr, "drupe: %llu samples were lost\n", (unsigned long long)s.lost);
        if (result == 0 && fflush(stdout) != 0)
            result = err_errno(err, EXIT_DRUPE, "standard output");
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
    if (argc != 5)
        return EXIT_DRUPE;
    sigaction(SIGINT, &(struct sigaction){.sa_handler = on_interrupt}, NULL);
    sigaction(SIGTERM, &(struct sigaction){.sa_handler = on_interrupt}, NULL);
    if (profile(argv, &err) == 0)
        return 0;
    err_print(&err);
    return err.code ? err.code : EXIT_DRUPE;
}
