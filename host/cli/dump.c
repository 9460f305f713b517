/* SPDX-License-Identifier: Apache-2.0 */
/* drupe dump: a core file of a running process. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "host/cli/cli.h"
#include "host/cli/common.h"
#include "host/client/cores.h"

static const struct option options[] = {{"output", required_argument, NULL, 'o'}, {"pid", required_argument, NULL, 'p'},
                                        {"help", no_argument, NULL, 'h'}, {0}};

static void print_path(const char *path) { puts(path); }

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
        else
            return bad_option(argv[0], c, argv, err);
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
