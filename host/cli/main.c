/* SPDX-License-Identifier: Apache-2.0 */
/* drupe: the command. Errors travel up to here and are printed once. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "host/cli/cli.h"

static const struct command {
    const char *name;
    int (*run)(int argc, char **argv, struct error *err);
    void (*help)(void);
} commands[] = {{"run", command_run, help_run}, {"build", command_build, help_build},
                {"ps", command_ps, help_instances}, {"logs", command_logs, help_instances},
                {"inspect", command_inspect, help_instances}, {"stop", command_stop, help_instances},
                {"kill", command_kill, help_instances}, {"wait", command_wait, help_instances},
                {"rm", command_rm, help_instances}, {"stats", command_stats, help_stats},
                {"top", command_top, help_top}, {"strace", command_strace, help_strace}, {"trace", command_trace, help_trace},
                {"profile", command_profile, help_profile}, {"dump", command_dump, help_dump}, {"pcap", command_pcap, help_pcap}, {"collect", command_collect, help_dump},
                {"gdb", command_gdb, help_gdb}, {"stack", command_stack, help_gdb}};

/* Words of the design that later work fills in. */
static const char *const later[] = {"attach", "snapshot", "convert", "serve"};

static const struct command *find(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    return NULL;
}

static int unknown(const char *name, struct error *err)
{
    for (size_t i = 0; i < ARRAY_SIZE(later); i++)
        if (strcmp(later[i], name) == 0)
            return err_set(err, EXIT_DRUPE, "drupe %s is not there yet", name);
    return err_set(err, EXIT_DRUPE, "unknown command \"%s\"; see drupe --help", name);
}

static int help(const char *name, struct error *err)
{
    const struct command *c = name ? find(name) : NULL;
    if (name && !c)
        return unknown(name, err);
    if (c)
        c->help();
    else
        help_main();
    return 0;
}

/* Who starts us with standard streams closed shall not find our sockets in their place. */
static void fill_standard_streams(void)
{
    for (int fd = 0; fd < 3; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", fd == 0 ? O_RDONLY : O_WRONLY) != fd)
            _exit(EXIT_DRUPE);
}

/* What a command printed is out, or it has failed. */
static int end_output(int status, struct error *err)
{
    bool bad = fflush(stdout) != 0 || ferror(stdout);
    return bad && status >= 0 ? err_set(err, EXIT_DRUPE, "standard output: not all could be written; is its file system full?") : status;
}

int main(int argc, char **argv)
{
    struct error err = {0};
    fill_standard_streams();
    signal(SIGCHLD, SIG_DFL); /* of who starts us ignoring it: we would never hear of the end of what we start */
    int status;
    const char *name = argc > 1 ? argv[1] : "";
    if (argc < 2) {
        status = err_set(&err, EXIT_DRUPE, "a command is missing; see drupe --help");
    } else if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0) {
        status = help(argc > 2 ? argv[2] : NULL, &err);
    } else if (strcmp(name, "version") == 0 || strcmp(name, "--version") == 0) {
        puts("drupe " DRUPE_VERSION);
        status = 0;
    } else {
        const struct command *c = find(name);
        status = c ? c->run(argc - 1, argv + 1, &err) : unknown(name, &err);
    }
    status = end_output(status, &err);
    if (status < 0) {
        err_print(&err);
        return err.code ? err.code : EXIT_DRUPE;
    }
    return status;
}
