/* SPDX-License-Identifier: Apache-2.0 */
/* drupe gdb, drupe stack: gdb for a running instance, which speaks to `drupe gdb --server` through a pipe. */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "host/cli/cli.h"
#include "host/cli/common.h"
#include "host/debug/server.h"
#include "host/lib/fs.h"

enum { OPT_SERVER = 256, OPT_OWNED, OPT_HELP };

static const struct option options[] = {{"server", no_argument, NULL, OPT_SERVER},
                                        {"owned", no_argument, NULL, OPT_OWNED}, /* by run --gdb: gdb's end is the program's */
                                        {"process", required_argument, NULL, 'p'},
                                        {"help", no_argument, NULL, OPT_HELP},
                                        {0}};

struct gdb {
    bool server, owned;
    u64 pid;
    struct entry entry;
};

/* Options and the instance. 0 go on, 1 help was printed, -1 error. */
static int parse(struct gdb *g, const char *command, int argc, char **argv, struct error *err)
{
    opterr = 0;
    for (int c; (c = getopt_long(argc, argv, "+:p:h", options, NULL)) != -1;) {
        switch (c) {
        case OPT_SERVER:
            g->server = true;
            break;
        case OPT_OWNED:
            g->owned = true;
            break;
        case 'p':
            if (parse_number(optarg, 1, UINT32_MAX, &g->pid) < 0)
                return err_set(err, EXIT_DRUPE, "-p %s: the number of a process in the instance is needed", optarg);
            break;
        case 'h':
        case OPT_HELP:
            help_gdb();
            return 1;
        default:
            return bad_option(command, c, argv, err);
        }
    }
    if (optind == argc)
        return err_set(err, EXIT_DRUPE, "%s: INSTANCE is missing; see drupe %s --help", command, command);
    if (entry_find(argv[optind++], &g->entry, err) < 0)
        return -1;
    if (entry_state(&g->entry) != ENTRY_RUNNING)
        return err_set(err, 1, "%s is not running", g->entry.name);
    return 0;
}

/* For sh. */
static char *quoted(const char *text)
{
    struct buf b = {0};
    buf_addf(&b, "'");
    for (; *text; text++)
        buf_addf(&b, *text == '\'' ? "'\\''" : "%c", *text);
    buf_addf(&b, "'");
    return b.data;
}

static char *target_command(const struct gdb *g, struct error *err)
{
    AUTO_FREE char *self = self_path();
    if (!self) {
        err_errno(err, EXIT_DRUPE, "/proc/self/exe");
        return NULL;
    }
    AUTO_FREE char *path = quoted(self);
    return str_format("target remote | exec %s gdb --server%s -p %u %s", path, g->owned ? " --owned" : "", (unsigned)g->pid, g->entry.id);
}

/* What gdb is told first: `backtrace` begins with the kernel's frames; where there are no debug registers it need not try them. */
static int script(const struct gdb *g, struct error *err)
{
    static const char text[] = "define hook-backtrace\n"
                               "python\n"
                               "t = gdb.selected_thread()\n"
                               "print(gdb.execute('monitor kernel-stack %d' % t.ptid[1], to_string=True) if t else '', end='')\n"
                               "end\n"
                               "end\n";
    bool host = strcmp(entry_text(&g->entry, "Platform"), "host") == 0;
    AUTO_FREE char *whole = str_format("%s%s", text, host ? "set can-use-hw-watchpoints 0\n" : "");
    int fd = memory_file("drupe-gdb", whole, strlen(whole));
    return fd < 0 || set_cloexec(fd, false) < 0 ? err_errno(err, EXIT_DRUPE, "a script for gdb") : fd;
}

static int exec_gdb(const struct gdb *g, const char *const *before, const char *const *behind, struct error *err)
{
    struct strv argv = {0};
    AUTO_FREE char *target = target_command(g, err);
    int fd = target ? script(g, err) : -1;
    if (fd < 0)
        return -1;
    strv_add(&argv, "gdb");
    for (; *before; before++)
        strv_add(&argv, *before);
    strv_add(&argv, "-ex");
    strv_addf(&argv, "source /dev/fd/%d", fd);
    strv_add(&argv, "-ex");
    strv_add(&argv, target);
    for (; *behind; behind++)
        strv_add(&argv, *behind);
    execvp("gdb", argv.items);
    int result = err_errno(err, errno == ENOENT ? EXIT_NOPROG : EXIT_NOEXEC, "gdb");
    strv_done(&argv);
    return result;
}

static int serve(const struct gdb *g, struct error *err)
{
    signal(SIGINT, SIG_IGN); /* ^C at gdb's terminal is gdb's, which asks for the stop */
    signal(SIGPIPE, SIG_IGN);
    return debug_serve(&g->entry, (u32)g->pid, g->owned, STDIN_FILENO, STDOUT_FILENO, err);
}

int command_gdb(int argc, char **argv, struct error *err)
{
    static const char *const before[] = {"-q", NULL};
    struct gdb g = {.pid = 1, .entry = {.dir_fd = -1, .lock_fd = -1}};
    int result = parse(&g, "gdb", argc, argv, err);
    if (result == 0 && g.server && optind < argc)
        result = err_set(err, EXIT_DRUPE, "gdb --server: %s is one argument too many", argv[optind]);
    else if (result == 0)
        result = g.server ? serve(&g, err) : exec_gdb(&g, before, (const char *const *)argv + optind, err);
    entry_done(&g.entry);
    return result < 0 ? -1 : 0;
}

int command_stack(int argc, char **argv, struct error *err)
{
    static const char *const before[] = {"-q", "-nx", "-batch", "-ex", "set confirm off", "-ex", "set print thread-events off", NULL},
                       *const behind[] = {"-ex", "thread apply all bt", "-ex", "detach", NULL};
    struct gdb g = {.pid = 1, .entry = {.dir_fd = -1, .lock_fd = -1}};
    int result = parse(&g, "stack", argc, argv, err);
    if (result == 0 && (g.server || g.owned || optind < argc))
        result = err_set(err, EXIT_DRUPE, "stack: one INSTANCE is needed; see drupe stack --help");
    else if (result == 0)
        result = exec_gdb(&g, before, behind, err);
    entry_done(&g.entry);
    return result < 0 ? -1 : 0;
}

/* --- run --gdb --------------------------------------------------------------------------------------------- */

/* Give the terminal to a process group, from whichever. */
static void give_terminal(pid_t group)
{
    signal(SIGTTOU, SIG_IGN);
    tcsetpgrp(STDIN_FILENO, group);
    signal(SIGTTOU, SIG_DFL);
}

static void run_gdb(const char *id)
{
    struct error err = {0};
    char *argv[] = {(char *)"gdb", (char *)"--owned", (char *)id, NULL};
    setpgid(0, 0);
    give_terminal(getpid());
    optind = 0;
    if (command_gdb(3, argv, &err) < 0)
        err_print(&err);
    _exit(1);
}

void gdb_for_new(const char *id)
{
    sigset_t none;
    pid_t between = fork();
    if (between < 0) {
        warn("no gdb: %s", strerror(errno));
        return;
    }
    if (between > 0) {
        waitpid(between, NULL, 0);
        return;
    }
    if (fork() != 0)
        _exit(0);
    close_range(3, ~0u, 0); /* the instance's: they end with its tender */
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    pid_t own = getpgrp(), gdb = fork();
    if (gdb == 0)
        run_gdb(id);
    if (gdb > 0) {
        setpgid(gdb, gdb);
        while (waitpid(gdb, NULL, 0) < 0 && errno == EINTR)
            ;
        give_terminal(own);
    }
    _exit(0);
}
