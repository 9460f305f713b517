/* SPDX-License-Identifier: Apache-2.0 */
/* drupe pcap: the packets of a running instance. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "host/cli/cli.h"
#include "host/cli/common.h"
#include "host/client/pcap.h"

static const struct option options[] = {{"write", required_argument, NULL, 'w'}, {"snaplen", required_argument, NULL, 's'},
                                        {"help", no_argument, NULL, 'h'}, {0}};

int command_pcap(int argc, char **argv, struct error *err)
{
    const char *file = "-", *snaplen = "";
    opterr = 0;
    for (int c; (c = getopt_long(argc, argv, "+:w:s:h", options, NULL)) != -1;) {
        if (c == 'w')
            file = optarg;
        else if (c == 's')
            snaplen = optarg;
        else if (c == 'h')
            return help_pcap(), 0;
        else
            return bad_option(argv[0], c, argv, err);
    }
    if (optind + 1 != argc)
        return err_set(err, EXIT_DRUPE, "pcap: one INSTANCE is needed; see drupe pcap --help");
    bool standard = strcmp(file, "-") == 0;
    if (standard && isatty(STDOUT_FILENO))
        return err_set(err, EXIT_DRUPE, "pcap: packets are not for a terminal; use -w FILE, or a pipe: drupe pcap %s | tcpdump -r -", argv[optind]);
    struct entry e = {.dir_fd = -1, .lock_fd = -1};
    struct conversation c = {.fd = -1};
    int fd = STDOUT_FILENO, result = entry_find(argv[optind], &e, err);
    if (result == 0)
        result = conversation_open(&c, &e, "pcap", snaplen, strlen(snaplen), err);
    if (result == 0 && !standard && (fd = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600)) < 0)
        result = err_errno(err, EXIT_DRUPE, "%s", file);
    if (result == 0)
        result = pcap_receive(&c, &e, fd, err);
    conversation_done(&c);
    entry_done(&e);
    return result;
}
