/* SPDX-License-Identifier: Apache-2.0 */
/* drupe profile: where the CPUs of a running instance spend their time, and where its threads wait. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "abi/profile.h"
#include "host/cli/cli.h"
#include "host/cli/common.h"

enum { OPT_SVG = 256, OPT_FORMAT, OPT_OFF_CPU, OPT_HELP };
static const struct option options[] = {{"frequency", required_argument, NULL, 'F'}, {"duration", required_argument, NULL, 'd'},
                                        {"svg", no_argument, NULL, OPT_SVG}, {"format", required_argument, NULL, OPT_FORMAT},
                                        {"off-cpu", no_argument, NULL, OPT_OFF_CPU}, {"help", no_argument, NULL, OPT_HELP}, {0}};

int command_profile(int argc, char **argv, struct error *err)
{
    static const char *const places[] = {"drupe-profile", "host/drupe-profile", "../lib/drupe/drupe-profile"};
    const char *hz = "99", *seconds = "0", *format = "folded", *what = "cpu";
    u64 number;
    opterr = 0;
    for (int c; (c = getopt_long(argc, argv, "+:F:d:h", options, NULL)) != -1;) {
        if (c == 'F')
            hz = optarg;
        else if (c == 'd')
            seconds = optarg;
        else if (c == OPT_SVG)
            format = "svg";
        else if (c == OPT_FORMAT)
            format = optarg;
        else if (c == OPT_OFF_CPU)
            what = "off-cpu";
        else if (c == 'h' || c == OPT_HELP)
            return help_profile(), 0;
        else
            return bad_option(argv[0], c, argv, err);
    }
    if (parse_number(hz, 1, PROFILE_HZ_MAX, &number) < 0)
        return err_set(err, EXIT_DRUPE, "profile: -F %s: 1 to %u samples a second", hz, PROFILE_HZ_MAX);
    if (parse_number(seconds, 0, 86400, &number) < 0)
        return err_set(err, EXIT_DRUPE, "profile: -d %s: 0 (until ^C) to 86400 seconds", seconds);
    if (strcmp(format, "folded") != 0 && strcmp(format, "svg") != 0 && strcmp(format, "pprof") != 0)
        return err_set(err, EXIT_DRUPE, "profile: --format %s: folded, svg or pprof", format);
    if (strcmp(format, "pprof") == 0 && isatty(STDOUT_FILENO))
        return err_set(err, EXIT_DRUPE, "profile: --format pprof is nothing for a terminal: redirect it to a file");
    if (optind + 1 != argc)
        return err_set(err, EXIT_DRUPE, "profile: one INSTANCE is needed; see drupe profile --help");
    AUTO_FREE char *path = find_part(places, ARRAY_SIZE(places));
    if (!path)
        return err_set(err, EXIT_DRUPE, "drupe-profile is not beside drupe; build it");
    char *args[] = {path, (char *)hz, (char *)seconds, (char *)format, (char *)what, argv[optind], NULL};
    execv(path, args);
    return err_errno(err, EXIT_DRUPE, "%s", path);
}
