/* SPDX-License-Identifier: Apache-2.0 */
/* drupe run: options, then image, configuration, machine. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

#include "abi/boot.h"
#include "host/cli/cli.h"
#include "host/cli/common.h"
#include "host/image/erofs.h"
#include "host/lib/fs.h"
#include "host/qemu/kvm.h"
#include "host/qemu/machine.h"

#define MAX_CONFIG_BYTES (1u << 20)
#define DEFAULT_MEMORY ((u64)512 << 20)
#define MIN_MEMORY ((u64)4 << 20)

enum {
    OPT_ADD = 256,
    OPT_NO_PACKAGE,
    OPT_GCONV,
    OPT_NAME,
    OPT_ON,
    OPT_MACHINE,
    OPT_CPUS,
    OPT_NET,
    OPT_IP,
    OPT_DNS,
    OPT_RM,
    OPT_ENTRYPOINT,
    OPT_HELP
};

static const struct option options[] = {{"interactive", no_argument, NULL, 'i'},
                                        {"tty", no_argument, NULL, 't'},
                                        {"detach", no_argument, NULL, 'd'},
                                        {"memory", required_argument, NULL, 'm'},
                                        {"publish", required_argument, NULL, 'p'},
                                        {"volume", required_argument, NULL, 'v'},
                                        {"env", required_argument, NULL, 'e'},
                                        {"workdir", required_argument, NULL, 'w'},
                                        {"user", required_argument, NULL, 'u'},
                                        {"verbose", no_argument, NULL, 'V'},
                                        {"add", required_argument, NULL, OPT_ADD},
                                        {"no-package", no_argument, NULL, OPT_NO_PACKAGE},
                                        {"gconv", no_argument, NULL, OPT_GCONV},
                                        {"name", required_argument, NULL, OPT_NAME},
                                        {"on", required_argument, NULL, OPT_ON},
                                        {"machine", required_argument, NULL, OPT_MACHINE},
                                        {"cpus", required_argument, NULL, OPT_CPUS},
                                        {"net", required_argument, NULL, OPT_NET},
                                        {"ip", required_argument, NULL, OPT_IP},
                                        {"dns", required_argument, NULL, OPT_DNS},
                                        {"rm", no_argument, NULL, OPT_RM},
                                        {"entrypoint", required_argument, NULL, OPT_ENTRYPOINT},
                                        {"help", no_argument, NULL, OPT_HELP},
                                        {0}};

struct run {
    struct program_options program;
    struct image_options image;
    struct machine machine;
    struct port ports[MAX_PORTS];
    const char *on, *ip, *dns, *entrypoint;
    bool interactive;
};

static int parse_net(struct run *r, const char *text, struct error *err)
{
    if (strcmp(text, "user") == 0) {
        r->machine.net = NET_MODE_USER;
    } else if (strcmp(text, "none") == 0) {
        r->machine.net = NET_MODE_NONE;
    } else if (str_has_prefix(text, "tap:") && text[4]) {
        r->machine.net = NET_MODE_TAP;
        r->machine.tap = text + 4;
        if (strlen(r->machine.tap) >= IFNAMSIZ || strpbrk(r->machine.tap, "/, "))
            return err_set(err, EXIT_DRUPE, "--net %s: that is no interface name", text);
    } else {
        return err_set(err, EXIT_DRUPE, "--net %s: say user, tap:INTERFACE or none", text);
    }
    return 0;
}

static int parse_option(struct run *r, int c, char **argv, struct error *err)
{
    u64 number;
    switch (c) {
    case 'i':
        r->interactive = true;
        break;
    case 't':
        r->machine.terminal = true;
        break;
    case 'd':
        return err_set(err, EXIT_DRUPE, "-d: running in the background is not there yet; use the shell's &");
    case 'v':
        return err_set(err, EXIT_DRUPE, "-v %s: volumes are not there yet; --add puts a copy into the image", optarg);
    case 'm':
        if (parse_size(optarg, 1, &r->machine.memory_bytes) < 0 || r->machine.memory_bytes < MIN_MEMORY ||
            r->machine.memory_bytes > (u64)1 << 40)
            return err_set(err, EXIT_DRUPE, "-m %s: a size from 4M to 1024G is needed, such as 64M or 2G", optarg);
        break;
    case 'p':
        if (r->machine.nports == MAX_PORTS)
            return err_set(err, EXIT_DRUPE, "-p: at most %d ports", MAX_PORTS);
        return port_parse(&r->ports[r->machine.nports++], optarg, err);
    case 'e':
        strv_add(&r->program.env, optarg);
        break;
    case 'w':
        r->program.workdir = optarg;
        break;
    case 'u':
        r->program.user = optarg;
        break;
    case 'V':
        verbose = true;
        break;
    case OPT_ADD:
        strv_add(&r->image.add, optarg);
        break;
    case OPT_NO_PACKAGE:
        r->image.no_package = true;
        break;
    case OPT_GCONV:
        r->image.gconv = true;
        break;
    case OPT_NAME:
        r->program.name = optarg;
        break;
    case OPT_ON:
        r->on = optarg;
        break;
    case OPT_MACHINE:
        if (strcmp(optarg, "microvm") != 0 && strcmp(optarg, "q35") != 0)
            return err_set(err, EXIT_DRUPE, "--machine %s: say microvm or q35", optarg);
        r->machine.q35 = optarg[0] == 'q';
        break;
    case OPT_CPUS:
        if (parse_number(optarg, 1, 64, &number) < 0)
            return err_set(err, EXIT_DRUPE, "--cpus %s: a number from 1 is needed", optarg);
        if (number > 1)
            return err_set(err, EXIT_DRUPE, "--cpus %s: more than one processor is not there yet", optarg);
        break;
    case OPT_NET:
        return parse_net(r, optarg, err);
    case OPT_IP:
        r->ip = optarg;
        break;
    case OPT_DNS:
        r->dns = optarg;
        break;
    case OPT_ENTRYPOINT:
        r->entrypoint = optarg;
        break;
    case OPT_RM:
        break; /* nothing of an instance outlives it */
    case ':':
        return err_set(err, EXIT_DRUPE, "run: option %s needs a value", argv[optind - 1]);
    default:
        return unknown_option("run", argv[optind - 1], err);
    }
    return 0;
}

/* 0 go on, 1 help was printed, -1 error. */
static int parse(struct run *r, int argc, char **argv, struct error *err)
{
    opterr = 0;
    for (int c; (c = getopt_long(argc, argv, "+:itdm:p:v:e:w:u:Vh", options, NULL)) != -1;) {
        if (c == OPT_HELP || c == 'h') {
            help_run();
            return 1;
        }
        if (parse_option(r, c, argv, err) < 0)
            return -1;
    }
    if (optind == argc)
        return err_set(err, EXIT_DRUPE, "run: SOURCE is missing; see drupe run --help");
    return 0;
}

static int check_network(struct run *r, struct error *err)
{
    struct machine *m = &r->machine;
    if (m->nports && m->net != NET_MODE_USER)
        return err_set(err, EXIT_DRUPE, "-p works with --net user only; with %s the program's ports are reached at its address",
                       m->net == NET_MODE_TAP ? "--net tap" : "--net none there are none");
    if (r->ip && m->net != NET_MODE_TAP)
        return err_set(err, EXIT_DRUPE, "--ip %s: works with --net tap:INTERFACE only", r->ip);
    if (r->dns && m->net == NET_MODE_NONE)
        return err_set(err, EXIT_DRUPE, "--dns %s: there is no network with --net none", r->dns);
    if (m->net == NET_MODE_TAP && if_nametoindex(m->tap) == 0)
        return err_set(err, EXIT_DRUPE, "--net tap:%s: there is no interface %s; make it: ip tuntap add %s mode tap && ip link set %s up",
                       m->tap, m->tap, m->tap, m->tap);
    for (size_t i = 0; i < m->nports; i++)
        if (port_bind(&r->ports[i], err) < 0)
            return -1;
    return 0;
}

/* "A/LEN[,GW]" into the annotations. */
static int apply_ip(struct config *c, const char *text, struct error *err)
{
    AUTO_FREE char *address = xstrdup(text);
    char *gateway = strchr(address, ',');
    struct in_addr a;
    u64 len;
    if (gateway)
        *gateway++ = 0;
    AUTO_FREE char *alone = xstrndup(address, strcspn(address, "/"));
    char *slash = strchr(address, '/');
    if (!slash || inet_pton(AF_INET, alone, &a) != 1 || parse_number(slash + 1, 1, 32, &len) < 0 ||
        (gateway && inet_pton(AF_INET, gateway, &a) != 1))
        return err_set(err, EXIT_DRUPE, "--ip %s: say ADDRESS/LENGTH[,GATEWAY], as in 192.0.2.2/24,192.0.2.1", text);
    config_set_annotation(c, ANN_NET_MODE, "static");
    config_set_annotation(c, ANN_NET_ADDRESS, address);
    config_set_annotation(c, ANN_NET_GATEWAY, gateway);
    return 0;
}

static int check_dns(const char *text, struct error *err)
{
    AUTO_FREE char *list = xstrdup(text);
    char *p = list;
    unsigned n = 0;
    for (char *one; (one = strsep(&p, ","));) {
        struct in_addr a;
        if (inet_pton(AF_INET, one, &a) != 1 || ++n > 3)
            return err_set(err, EXIT_DRUPE, "--dns %s: say one to three IPv4 addresses, separated by commas", text);
    }
    return 0;
}

static int apply_network(const struct run *r, struct config *c, struct error *err)
{
    static const char *const all[] = {ANN_NET_MODE, ANN_NET_ADDRESS, ANN_NET_GATEWAY, ANN_NET_DNS, ANN_NET_EAGER};
    const struct machine *m = &r->machine;
    for (size_t i = 0; i < ARRAY_SIZE(all); i++)
        config_set_annotation(c, all[i], NULL);
    if (r->dns && check_dns(r->dns, err) < 0)
        return -1;
    switch (m->net) {
    case NET_MODE_NONE:
        config_set_annotation(c, ANN_NET_MODE, "none");
        return 0;
    case NET_MODE_USER:
        config_set_annotation(c, ANN_NET_MODE, "static");
        config_set_annotation(c, ANN_NET_ADDRESS, SLIRP_GUEST "/24");
        config_set_annotation(c, ANN_NET_GATEWAY, SLIRP_GATEWAY);
        config_set_annotation(c, ANN_NET_DNS, SLIRP_DNS);
        break;
    case NET_MODE_TAP:
        config_set_annotation(c, ANN_NET_MODE, "dhcp");
        if (r->ip && apply_ip(c, r->ip, err) < 0)
            return -1;
        break;
    }
    if (r->dns)
        config_set_annotation(c, ANN_NET_DNS, r->dns);
    /* Who calls from outside shall not find a sleeping card. */
    if (m->nports || m->net == NET_MODE_TAP)
        config_set_annotation(c, ANN_NET_EAGER, "1");
    return 0;
}

static int apply_terminal(const struct run *r, struct config *c)
{
    config_set_terminal(c, r->machine.terminal);
    config_set_annotation(c, ANN_WINSIZE, NULL);
    if (!r->machine.terminal)
        return 0;
    struct winsize ws;
    if (ioctl(STDIN_FILENO, TIOCGWINSZ, &ws) == 0 && ws.ws_row && ws.ws_col) {
        AUTO_FREE char *size = str_format("%ux%u", ws.ws_row, ws.ws_col);
        config_set_annotation(c, ANN_WINSIZE, size);
    }
    if (!config_env(c, "TERM") && getenv("TERM"))
        config_set_env(c, "TERM");
    return 0;
}

/* The configuration: the image's own, or a fresh one for a program of this host. */
static int make_config(const struct run *r, const struct source *s, const char *source_name, int image_fd, int nargs,
                       char **args, struct config *c, struct error *err)
{
    struct buf text = {0}, passwd = {0}, group = {0};
    int found = s->kind == SOURCE_IMAGE || s->kind == SOURCE_DIR
                    ? erofs_read_file(image_fd, source_name, BOOT_CONFIG_PATH, MAX_CONFIG_BYTES, &text, err)
                    : 0;
    if (found < 0)
        return -1;
    int result = 0;
    if (found) {
        AUTO_FREE char *name = str_format("%s: %s", source_name, BOOT_CONFIG_PATH);
        result = config_parse(c, text.data, text.len, name, err);
    } else {
        config_init(c);
        config_set_args(c, s->args.items, s->args.count);
    }
    buf_done(&text);
    if (result < 0)
        return -1;
    if (r->entrypoint) {
        char *const entry[] = {(char *)r->entrypoint};
        config_set_args(c, entry, 1);
        config_append_args(c, args, (size_t)nargs);
    } else if (s->kind == SOURCE_IMAGE || s->kind == SOURCE_DIR) {
        if (nargs)
            config_set_args(c, args, (size_t)nargs);
    } else {
        config_append_args(c, args, (size_t)nargs);
    }
    if (!config_arg_count(c))
        return err_set(err, EXIT_DRUPE, "%s does not say which program to run; give it behind: drupe run %s PROGRAM [ARG]...",
                       source_name, source_name);
    if (r->program.user && (erofs_read_file(image_fd, source_name, "/etc/passwd", MAX_CONFIG_BYTES, &passwd, err) < 0 ||
                            erofs_read_file(image_fd, source_name, "/etc/group", MAX_CONFIG_BYTES, &group, err) < 0))
        result = -1;
    if (result == 0)
        result = program_options_apply(&r->program, c, &passwd, &group, err);
    buf_done(&passwd);
    buf_done(&group);
    if (result < 0 || apply_network(r, c, err) < 0)
        return -1;
    config_set_annotation(c, ANN_VERBOSE, verbose ? "1" : NULL);
    return apply_terminal(r, c);
}

/* A file that belongs to drupe: beside the executable as built, or as installed. */
static char *find_part(const char *const *places, size_t count)
{
    char self[4096];
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
    if (n <= 0)
        return NULL;
    self[n] = 0;
    AUTO_FREE char *dir = path_dirname(self);
    for (size_t i = 0; i < count; i++) {
        AUTO_FREE char *joined = path_join(dir, places[i]);
        char *path = path_absolute(joined);
        if (access(path, R_OK) == 0)
            return path;
        free(path);
    }
    return NULL;
}

static char *find_kernel(struct error *err)
{
    static const char *const places[] = {"drupe-kernel.stripped", "../kernel/plat/pc/drupe-kernel.stripped", "kernel/plat/pc/drupe-kernel.stripped",
                                         "drupe-kernel", "../kernel/plat/pc/drupe-kernel", "kernel/plat/pc/drupe-kernel", "../lib/drupe/drupe-kernel"};
    const char *given = getenv("DRUPE_KERNEL");
    if (given && *given) {
        if (access(given, R_OK) == 0)
            return xstrdup(given);
        err_errno(err, EXIT_DRUPE, "DRUPE_KERNEL=%s", given);
        return NULL;
    }
    char *path = find_part(places, ARRAY_SIZE(places));
    if (!path)
        err_set(err, EXIT_DRUPE, "drupe-kernel is not beside drupe; build it, or name it by DRUPE_KERNEL");
    return path;
}

static int choose_accel(struct run *r, struct error *err)
{
    const char *why = NULL;
    const char *on = r->on ? r->on : "auto";
    if (strcmp(on, "qemu") == 0) {
        r->machine.accel = "tcg";
    } else if (strcmp(on, "auto") == 0) {
        r->machine.accel = kvm_usable(&why) ? "kvm" : "tcg";
        say("on: %s, because %s", r->machine.accel[0] == 'k' ? "QEMU with KVM" : "QEMU's emulation", why);
    } else if (strcmp(on, "kvm") == 0) {
        if (!kvm_usable(&why))
            return err_set(err, EXIT_DRUPE, "--on kvm: %s; use --on qemu", why);
        r->machine.accel = "kvm";
    } else if (strcmp(on, "host") == 0 || strcmp(on, "firecracker") == 0) {
        return err_set(err, EXIT_DRUPE, "--on %s is not there yet; use auto, kvm or qemu", on);
    } else {
        return err_set(err, EXIT_DRUPE, "--on %s: say auto, kvm or qemu", on);
    }
    return 0;
}

static void split_words(struct strv *v, const char *text)
{
    AUTO_FREE char *copy = xstrdup(text ? text : "");
    char *save = NULL;
    for (char *word = strtok_r(copy, " ", &save); word; word = strtok_r(NULL, " ", &save))
        strv_add(v, word);
}

static int start(struct run *r, const struct source *s, const char *source_name, int nargs, char **args, int *ret_status,
                 struct error *err)
{
    static const char *const slirp_places[] = {"drupe-slirp", "host/drupe-slirp", "../lib/drupe/drupe-slirp"};
    struct machine *m = &r->machine;
    AUTO_FREE char *kernel = find_kernel(err);
    AUTO_FREE char *slirp = find_part(slirp_places, ARRAY_SIZE(slirp_places));
    AUTO_CLOSE int image = kernel ? image_open(s, &r->image, err) : -1;
    if (image < 0)
        return -1;
    if (m->net == NET_MODE_USER && !slirp)
        return err_set(err, EXIT_DRUPE, "drupe-slirp is not beside drupe; build it, or use --net tap or --net none");
    struct config config = {0};
    if (make_config(r, s, source_name, image, nargs, args, &config, err) < 0) {
        config_done(&config);
        return -1;
    }
    AUTO_FREE char *text = config_text(&config);
    config_done(&config);
    AUTO_CLOSE int config_fd = memory_file("drupe-config", text, strlen(text));
    if (config_fd < 0)
        return err_errno(err, EXIT_DRUPE, "memfd");
    m->kernel = kernel;
    m->slirp = slirp;
    m->image_fd = image;
    m->config_fd = config_fd;
    const char *more = getenv("DRUPE_KERNEL_ARGS");
    AUTO_FREE char *kernel_args = str_format("%s%s%s", verbose ? "drupe.log=info" : "", verbose && more ? " " : "",
                                             more ? more : "");
    m->kernel_args = kernel_args;
    split_words(&m->qemu_args, getenv("DRUPE_QEMU_ARGS"));
    int result = machine_run(m, ret_status, err);
    strv_done(&m->qemu_args);
    return result;
}

static int check_streams(struct run *r, struct error *err)
{
    if (r->machine.terminal && !isatty(STDIN_FILENO))
        return err_set(err, EXIT_DRUPE, "-t: standard input is not a terminal; leave -t out");
    /* A terminal stays the user's unless -i says otherwise; pipes and files are always meant. */
    r->machine.use_stdin = r->interactive || !isatty(STDIN_FILENO);
    if (r->machine.terminal && !r->interactive)
        r->machine.use_stdin = false;
    return 0;
}

int command_run(int argc, char **argv, struct error *err)
{
    struct run r = {.machine = {.memory_bytes = DEFAULT_MEMORY, .cpus = 1, .net = NET_MODE_USER}};
    struct source source = {.fd = -1};
    int status = 0;
    r.machine.ports = r.ports;
    int result = parse(&r, argc, argv, err);
    if (result > 0)
        return 0;
    int nargs = argc - optind;
    char **args = argv + optind;
    if (result == 0 && check_streams(&r, err) == 0 && source_resolve(&source, args[0], err) == 0 &&
        choose_accel(&r, err) == 0 && check_network(&r, err) == 0)
        result = start(&r, &source, args[0], nargs - 1, args + 1, &status, err);
    else
        result = -1;
    source_done(&source);
    strv_done(&r.program.env);
    strv_done(&r.image.add);
    return result < 0 ? -1 : status;
}
