/* SPDX-License-Identifier: Apache-2.0 */
/* drupe top INSTANCE, drupe ps INSTANCE: its processes and threads. */
#include <getopt.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>

#include "host/cli/cli.h"
#include "host/cli/common.h"
#include "host/client/syscall_names.h"
#include "host/client/tasks.h"

#define ONCE_NS 250000000ull /* rates need two looks */
#define PAGE_KIB 4

/* What an instance did between two looks. */
struct look {
    struct entry entry;
    struct conversation talk;
    struct tasks before, now;
};

/* A row as it is shown. */
struct line {
    const struct task_row *task;
    double cpu, calls; /* percent of one processor; for each second */
};

static struct line rates(const struct look *l, const struct task_row *t)
{
    const struct task_row *old = tasks_find(&l->before, t->tid);
    double seconds = (double)(l->now.at_ns - l->before.at_ns) / 1e9;
    struct line line = {.task = t};
    if (seconds <= 0 || (old && (old->pid != t->pid || old->cpu_ns > t->cpu_ns || old->calls > t->calls)))
        return line; /* the number was given to another thread */
    line.cpu = (double)(t->cpu_ns - (old ? old->cpu_ns : 0)) / 1e7 / seconds;
    line.calls = (double)(t->calls - (old ? old->calls : 0)) / seconds;
    return line;
}

static int by_cpu(const void *a, const void *b)
{
    const struct line *x = a, *y = b;
    if (x->cpu != y->cpu)
        return x->cpu < y->cpu ? 1 : -1;
    return x->task->tid < y->task->tid ? -1 : x->task->tid > y->task->tid;
}

/* The call that it is in, or what it waits for: "read", "read (pipe)", "disk". */
static char *doing(const struct task_row *t)
{
    bool waits = strcmp(t->waits_for, "-") != 0;
    const char *call = t->call >= 0 ? syscall_name((unsigned)t->call) : NULL;
    if (!call)
        return xstrdup(waits ? t->waits_for : "-");
    return waits ? str_format("%s (%s)", call, t->waits_for) : xstrdup(call);
}

static void print_line(const struct line *l)
{
    const struct task_row *t = l->task;
    AUTO_FREE char *what = doing(t);
    u64 hundredths = t->cpu_ns / 10000000;
    printf("%5u %5u %5u %c %3d %6.1f %5llu:%02llu.%02llu %8llu %9.0f  %-22s %s\n", t->pid, t->tid, t->ppid, t->state, t->nice, l->cpu,
           (unsigned long long)(hundredths / 6000), (unsigned long long)(hundredths / 100 % 60), (unsigned long long)(hundredths % 100),
           (unsigned long long)t->rss_pages * PAGE_KIB, l->calls, what, t->name);
}

/* max: lines, 0 = all. sorted: by use, else as the instance lists them. */
static void print_threads(const struct look *l, bool sorted, size_t max)
{
    struct line *lines = xalloc((l->now.count + 1) * sizeof(*lines));
    for (size_t i = 0; i < l->now.count; i++)
        lines[i] = rates(l, &l->now.rows[i]);
    if (sorted)
        qsort(lines, l->now.count, sizeof(*lines), by_cpu);
    printf("%5s %5s %5s %s %3s %6s %11s %8s %9s  %-22s %s\n", "PID", "TID", "PPID", "S", "NI", "%CPU", "TIME", "RSS/KiB", "CALLS/s",
           "CALL (WAIT)", "NAME");
    for (size_t i = 0; i < l->now.count && (!max || i < max); i++)
        print_line(&lines[i]);
    free(lines);
}

static void print_summary(const struct look *l)
{
    size_t processes = 0, states[128] = {0};
    double cpu = 0, calls = 0;
    for (size_t i = 0; i < l->now.count; i++) {
        struct line line = rates(l, &l->now.rows[i]);
        processes += line.task->pid == line.task->tid;
        states[line.task->state & 127]++;
        cpu += line.cpu;
        calls += line.calls;
    }
    printf("%s: %zu processes, %zu threads: %zu running, %zu sleeping, %zu stopped, %zu zombie; %.1f %%CPU, %.0f calls/s\n\n",
           l->entry.name, processes, l->now.count, states['R'], states['S'] + states['D'], states['T'] + states['t'], states['Z'], cpu,
           calls);
}

static int look_again(struct look *l, struct error *err)
{
    tasks_done(&l->before);
    l->before = l->now;
    return tasks_read(&l->talk, &l->entry, &l->now, err);
}

static int look_begin(struct look *l, const char *name, struct error *err)
{
    *l = (struct look){.entry = {.dir_fd = -1, .lock_fd = -1}, .talk = {.fd = -1}};
    if (entry_find(name, &l->entry, err) < 0 || tasks_open(&l->talk, &l->entry, err) < 0)
        return -1;
    return tasks_read(&l->talk, &l->entry, &l->now, err);
}

static void look_done(struct look *l)
{
    conversation_done(&l->talk);
    tasks_done(&l->before);
    tasks_done(&l->now);
    entry_done(&l->entry);
}

int show_threads(const char *name, struct error *err)
{
    struct look l;
    int result = look_begin(&l, name, err);
    if (result == 0) {
        poll(NULL, 0, ONCE_NS / 1000000);
        result = look_again(&l, err);
    }
    if (result == 0)
        print_threads(&l, false, 0);
    look_done(&l);
    return result;
}

/* --- top ----------------------------------------------------------------------------------- */

static size_t terminal_rows(void)
{
    struct winsize w;
    return ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_row > 4 ? w.ws_row - 4u : 0;
}

/* Until the time is over; true: the user wants to leave. */
static bool pause_or_quit(u64 ns, bool keys)
{
    for (u64 end = now_ns() + ns, now; (now = now_ns()) < end;) {
        struct pollfd p = {.fd = keys ? STDIN_FILENO : -1, .events = POLLIN};
        char key = 0;
        if (poll(&p, 1, (int)MIN((end - now) / 1000000 + 1, 3600000ull)) > 0) {
            if (read(STDIN_FILENO, &key, 1) != 1)
                keys = false;
            if (key == 'q')
                return true;
            if (key == ' ')
                return false;
        }
    }
    return false;
}

static int show_top(struct look *l, u64 delay_ns, u64 rounds, bool batch, bool keys, struct error *err)
{
    for (u64 i = 0; !rounds || i < rounds; i++) {
        if (pause_or_quit(i ? delay_ns : MIN(delay_ns, ONCE_NS), keys))
            return 0;
        if (look_again(l, err) < 0)
            return -1;
        if (!batch)
            fputs("\033[H\033[J", stdout);
        print_summary(l);
        print_threads(l, true, batch ? 0 : terminal_rows());
        if (batch && i + 1 != rounds)
            putchar('\n');
        if (fflush(stdout) != 0)
            return 0;
    }
    return 0;
}

/* Keys come at once and unseen. ^C ends drupe as ever: the shell then restores its own modes. */
static bool keys_begin(struct termios *saved)
{
    if (!isatty(STDIN_FILENO) || tcgetattr(STDIN_FILENO, saved) < 0)
        return false;
    struct termios t = *saved;
    t.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
    return tcsetattr(STDIN_FILENO, TCSANOW, &t) == 0;
}

static const struct option options[] = {{"batch", no_argument, NULL, 'b'},
                                        {"delay", required_argument, NULL, 'd'},
                                        {"iterations", required_argument, NULL, 'n'},
                                        {"help", no_argument, NULL, 'h'},
                                        {0}};

int command_top(int argc, char **argv, struct error *err)
{
    double delay = 3;
    u64 rounds = 0;
    bool batch = !isatty(STDOUT_FILENO);
    char *end;
    opterr = 0;
    for (int c; (c = getopt_long(argc, argv, ":bd:n:h", options, NULL)) != -1;) {
        switch (c) {
        case 'b':
            batch = true;
            break;
        case 'd':
            delay = strtod(optarg, &end);
            if (end == optarg || *end || !(delay >= 0.01 && delay <= 1e6))
                return err_set(err, EXIT_DRUPE, "-d %s: a number of seconds is needed", optarg);
            break;
        case 'n':
            if (parse_number(optarg, 1, 1000000000, &rounds) < 0)
                return err_set(err, EXIT_DRUPE, "-n %s: a number of rounds is needed", optarg);
            break;
        case 'h':
            help_top();
            return 0;
        default:
            return bad_option("top", c, argv, err);
        }
    }
    if (optind + 1 != argc)
        return err_set(err, EXIT_DRUPE, "top: one INSTANCE is needed; see drupe top --help");
    struct look l;
    struct termios saved;
    int result = look_begin(&l, argv[optind], err);
    bool keys = result == 0 && !batch && keys_begin(&saved);
    if (result == 0)
        result = show_top(&l, (u64)(delay * 1e9), rounds, batch, keys, err);
    if (keys)
        tcsetattr(STDIN_FILENO, TCSANOW, &saved);
    look_done(&l);
    return result;
}
