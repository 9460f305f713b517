/* SPDX-License-Identifier: Apache-2.0 */
/* drupe build */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "host/cli/cli.h"
#include "host/cli/common.h"
#include "host/lib/fs.h"

enum { OPT_ADD = 256, OPT_NO_PACKAGE, OPT_GCONV, OPT_NAME, OPT_ULIMIT, OPT_HELP };

static const struct option options[] = {{"output", required_argument, NULL, 'o'},
                                        {"env", required_argument, NULL, 'e'},
                                        {"workdir", required_argument, NULL, 'w'},
                                        {"user", required_argument, NULL, 'u'},
                                        {"ulimit", required_argument, NULL, OPT_ULIMIT},
                                        {"add", required_argument, NULL, OPT_ADD},
                                        {"no-package", no_argument, NULL, OPT_NO_PACKAGE},
                                        {"gconv", no_argument, NULL, OPT_GCONV},
                                        {"name", required_argument, NULL, OPT_NAME},
                                        {"verbose", no_argument, NULL, 'V'},
                                        {"help", no_argument, NULL, OPT_HELP},
                                        {0}};

struct build {
    struct program_options program;
    struct image_options image;
    const char *output;
};

/* 0 go on, 1 help was printed, -1 error. */
static int parse(struct build *b, int argc, char **argv, struct error *err)
{
    opterr = 0;
    for (int c; (c = getopt_long(argc, argv, "+:o:e:w:u:Vh", options, NULL)) != -1;) {
        switch (c) {
        case 'o':
            b->output = optarg;
            break;
        case 'e':
            strv_add(&b->program.env, optarg);
            break;
        case OPT_ULIMIT:
            strv_add(&b->program.ulimits, optarg);
            break;
        case 'w':
            b->program.workdir = optarg;
            break;
        case 'u':
            b->program.user = optarg;
            break;
        case OPT_ADD:
            strv_add(&b->image.add, optarg);
            break;
        case OPT_NO_PACKAGE:
            b->image.no_package = true;
            break;
        case OPT_GCONV:
            b->image.gconv = true;
            break;
        case OPT_NAME:
            b->program.name = optarg;
            break;
        case 'V':
            verbose = true;
            break;
        case OPT_HELP:
        case 'h':
            help_build();
            return 1;
        default:
            return bad_option("build", c, argv, err);
        }
    }
    if (optind == argc)
        return err_set(err, EXIT_DRUPE, "build: SOURCE is missing; see drupe build --help");
    return 0;
}

static int build(struct build *b, int nargs, char **args, struct error *err)
{
    struct source source;
    struct config config = {0};
    struct buf passwd = {0}, group = {0};
    AUTO_FREE char *output = NULL;
    int result = source_resolve(&source, args[0], err);
    if (result == 0 && source.kind == SOURCE_IMAGE)
        result = err_set(err, EXIT_DRUPE, "%s is an image already", args[0]);
    if (result == 0) {
        AUTO_FREE char *stem = xstrdup(path_basename(source.path));
        output = b->output ? xstrdup(b->output) : str_format("%s.img", stem);
        config_init(&config);
        config_set_args(&config, source.args.items, source.args.count);
        config_append_args(&config, args + 1, (size_t)nargs - 1);
        accounts_of_host(&passwd, &group);
        result = program_options_apply(&b->program, &config, &passwd, &group, err);
    }
    if (result == 0 && !config_arg_count(&config))
        say("the image has no arguments of its own; `drupe run %s PROGRAM [ARG]...` gives them", output);
    if (result == 0)
        result = image_build(&source, &b->image, &config, output, err);
    if (result == 0)
        say("wrote %s", output);
    config_done(&config);
    buf_done(&passwd);
    buf_done(&group);
    source_done(&source);
    return result;
}

int command_build(int argc, char **argv, struct error *err)
{
    struct build b = {0};
    int result = parse(&b, argc, argv, err);
    if (result == 0)
        result = build(&b, argc - optind, argv + optind, err);
    strv_done(&b.program.env);
    strv_done(&b.program.ulimits);
    strv_done(&b.image.add);
    return result < 0 ? -1 : 0;
}
