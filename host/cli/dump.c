/* SPDX-License-Identifier: Apache-2.0 */
/* drupe dump: a core file of a running process. drupe collect: takes the cores of `drupe run --core DIR`. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "host/cli/cli.h"
#include "host/cli/common.h"
#include "host/client/cores.h"

static const struct option options[] = {{"output", required_argument, NULL, 'o'}, {"pid", required_argument, NULL, 'p'},
                                        {"help", no_argument, NULL, 'h'}, {0}};

static void print_path(const char *path) { puts(path); }
static void say_path(const char *path) { fprintf(stderr, "drupe: core file: %s\n", path); }

int command_dump(int argc, char **argv, struct error *err)
{
    const char *file = NULL, *pid = "";
    opterr = 0;
    for (int c; (c = getopt_long(argc, argv, "+:o:p:h", options, NULL)) != -1;) {
        if (c == 'o')
            file = optarg;
        else if (c == 'p')
            pid = optarg;
        else if (c == 'h')
            return help_dump(), 0;
        else if (c == ':')
            return err_set(err, EXIT_DRUPE, "dump: option %s needs a value", argv[optind - 1]);
        else
            return unknown_option(argv[0], argv[optind - 1], err);
    }
    if (optind + 1 != argc)
        return err_set(err, EXIT_DRUPE, "dump: one INSTANCE is needed; see drupe dump --help");
    struct entry e = {.dir_fd = -1, .lock_fd = -1};
    struct conversation c = {.fd = -1};
    int result = entry_find(argv[optind], &e, err);
    if (result == 0)
        result = conversation_open(&c, &e, "dump", pid, strlen(pid), err);
    if (result == 0) {
        result = cores_receive(&c, &e, ".", file, print_path, err);
        conversation_done(&c);
    }
    entry_done(&e);
    return result;
}

#define TRIES 3000
#define TRY_NS 2000000L

/* Internal: `drupe collect ID DIR`, started by drupe run beside the instance, which may not listen yet. */
int command_collect(int argc, char **argv, struct error *err)
{
    if (argc != 3)
        return err_set(err, EXIT_DRUPE, "collect: internal to drupe run --core");
    int result = -1;
    struct conversation c = {.fd = -1};
    struct entry e = {.dir_fd = -1, .lock_fd = -1};
    for (unsigned i = 0; i < TRIES && result < 0; i++) {
        *err = (struct error){0};
        e = (struct entry){.dir_fd = -1, .lock_fd = -1};
        result = entry_find(argv[1], &e, err);
        if (result == 0)
            result = conversation_open(&c, &e, "cores", "", 0, err);
        if (result < 0) {
            entry_done(&e);
            nanosleep(&(struct timespec){.tv_nsec = TRY_NS}, NULL);
        }
    }
    if (result < 0)
        return -1;
    struct error end = {0};
    (void)cores_receive(&c, &e, argv[2], NULL, say_path, &end); /* its end is the instance's */
    conversation_done(&c);
    entry_done(&e);
    return 0;
}
