/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Beside an instance from its beginning: takes its core files (`drupe run --core DIR`) or packets (--pcap FILE). A process of its own,
 * a client like any other: `drupe collect ID cores DIR` or `drupe collect ID pcap FILE`, internal to drupe run.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "host/cli/cli.h"
#include "host/cli/common.h"
#include "host/client/cores.h"
#include "host/client/pcap.h"
#include "host/lib/child.h"

#define TRIES 5000
#define TRY_NS 2000000L
#define END_MS 5000 /* from the end of the instance */

static void say_path(const char *path) { fprintf(stderr, "drupe: core file: %s\n", path); }

/* The instance may not listen yet. */
static int open_soon(struct conversation *c, struct entry *e, const char *id, const char *service, struct error *err)
{
    int result = -1;
    for (unsigned i = 0; i < TRIES && result < 0; i++) {
        *err = (struct error){0};
        *e = (struct entry){.dir_fd = -1, .lock_fd = -1};
        result = entry_find(id, e, err);
        if (result == 0)
            result = conversation_open(c, e, service, "", 0, err);
        if (result < 0) {
            entry_done(e);
            nanosleep(&(struct timespec){.tv_nsec = TRY_NS}, NULL);
        }
    }
    return result;
}

int command_collect(int argc, char **argv, struct error *err)
{
    if (argc != 4)
        return err_set(err, EXIT_DRUPE, "collect: internal to drupe run");
    struct conversation c = {.fd = -1};
    struct entry e;
    bool cores = strcmp(argv[2], "cores") == 0;
    int fd = cores ? -1 : open(argv[3], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (!cores && fd < 0)
        return err_errno(err, EXIT_DRUPE, "--pcap %s", argv[3]);
    if (open_soon(&c, &e, argv[1], argv[2], err) < 0)
        return -1;
    int result = cores ? cores_receive(&c, &e, argv[3], NULL, say_path, err) : pcap_receive(&c, &e, fd, err);
    bool usual = c.gone || c.ended; /* its end is the instance's */
    conversation_done(&c);
    entry_done(&e);
    return usual ? 0 : cores ? result : err_prefix(err, "--pcap %s", argv[3]);
}

pid_t collector_start(const struct entry *e, const char *what, const char *where, struct error *err)
{
    char *argv[] = {(char *)"/proc/self/exe", (char *)"collect", (char *)e->id, (char *)what, (char *)where, NULL};
    return child_start(argv, NULL, 0, true, err);
}

void collector_end(pid_t pid)
{
    for (unsigned ms = 0; pid > 0 && waitpid(pid, NULL, WNOHANG) == 0; ms++) {
        if (ms == END_MS)
            kill(pid, SIGKILL);
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
}
