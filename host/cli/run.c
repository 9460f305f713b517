/* SPDX-License-Identifier: Apache-2.0 */
/* drupe run: options, then image, configuration, instance. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <linux/kcmp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "abi/boot.h"
#include "abi/host.h"
#include "host/cli/cli.h"
#include "host/cli/common.h"
#include "host/cli/network.h"
#include "host/cli/trace.h"
#include "host/image/erofs.h"
#include "host/lib/fs.h"
#include "host/process/process.h"
#include "host/qemu/kvm.h"
#include "host/qemu/qemu.h"
#include "host/registry/registry.h"
#include "host/tender/logs.h"

#define MAX_CONFIG_BYTES (1u << 20)
#define DEFAULT_MEMORY ((u64)512 << 20)
#define MIN_MEMORY ((u64)4 << 20)

enum {
    OPT_ADD = 256,
    OPT_NO_PACKAGE,
    OPT_NO_PATCH,
    OPT_GDB,
    OPT_GCONV,
    OPT_NAME,
    OPT_ON,
    OPT_MACHINE,
    OPT_CPUS,
    OPT_NET,
    OPT_IP,
    OPT_ALLOW,
    OPT_ALLOW_FROM,
    OPT_EGRESS,
    OPT_DNS,
    OPT_RM,
    OPT_ENTRYPOINT,
    OPT_RESTART,
    OPT_LOG_DRIVER,
    OPT_LOG_OPT,
    OPT_CORE,
    OPT_PCAP,
    OPT_STRACE,
    OPT_SUMMARY,
    OPT_ULIMIT,
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
                                        {"ulimit", required_argument, NULL, OPT_ULIMIT},
                                        {"verbose", no_argument, NULL, 'V'},
                                        {"no-patch", no_argument, NULL, OPT_NO_PATCH},
                                        {"gdb", no_argument, NULL, OPT_GDB},
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
                                        {"allow", required_argument, NULL, OPT_ALLOW},
                                        {"allow-from", required_argument, NULL, OPT_ALLOW_FROM},
                                        {"egress", required_argument, NULL, OPT_EGRESS},
                                        {"rm", no_argument, NULL, OPT_RM},
                                        {"restart", required_argument, NULL, OPT_RESTART},
                                        {"log-driver", required_argument, NULL, OPT_LOG_DRIVER},
                                        {"log-opt", required_argument, NULL, OPT_LOG_OPT},
                                        {"core", required_argument, NULL, OPT_CORE},
                                        {"pcap", required_argument, NULL, OPT_PCAP},
                                        {"entrypoint", required_argument, NULL, OPT_ENTRYPOINT},
                                        {"strace", no_argument, NULL, OPT_STRACE},
                                        {"summary", no_argument, NULL, OPT_SUMMARY},
                                        {"help", no_argument, NULL, OPT_HELP},
                                        {0}};

struct run {
    struct program_options program;
    struct image_options image;
    struct instance instance;
    struct qemu_options qemu;
    struct process_options process;
    struct network_options network;
    struct volume volumes[P9_MAX_VOLUMES];
    const char *on, *machine, *entrypoint;
    bool interactive, no_patch, gdb, detach, remove, trace;
    const char *core_dir, *pcap_file; /* NULL: none */
    struct strace_options strace;
    struct logs logs;
    const char *log_option; /* one that was given, or NULL */
    int report_fd; /* detached: who waits for the start */
};

static int parse_option(struct run *r, int c, char **argv, struct error *err)
{
    u64 number;
    switch (c) {
    case 'i':
        r->interactive = true;
        break;
    case 't':
        r->instance.terminal = true;
        break;
    case 'd':
        r->detach = true;
        break;
    case OPT_RESTART:
        if (strcmp(optarg, "no") != 0)
            return err_set(err, EXIT_DRUPE, "--restart %s: nothing restarts instances yet; leave it to systemd or the like", optarg);
        break;
    case OPT_LOG_DRIVER:
        r->log_option = "--log-driver";
        return logs_driver(&r->logs, optarg, err);
    case OPT_LOG_OPT:
        r->log_option = "--log-opt";
        return logs_option(&r->logs, optarg, err);
    case 'v':
        return volume_add(r->volumes, &r->instance.nvolumes, optarg, err);
    case 'm':
        if (parse_size(optarg, 1, &r->instance.memory_bytes) < 0 || r->instance.memory_bytes < MIN_MEMORY ||
            r->instance.memory_bytes > (u64)1 << 40)
            return err_set(err, EXIT_DRUPE, "-m %s: a size from 4M to 1024G is needed, such as 64M or 2G", optarg);
        break;
    case 'p':
        if (r->instance.nports == MAX_PORTS)
            return err_set(err, EXIT_DRUPE, "-p: at most %d ports", MAX_PORTS);
        return port_parse(&r->network.ports[r->instance.nports++], optarg, err);
    case 'e':
        strv_add(&r->program.env, optarg);
        break;
    case OPT_ULIMIT:
        strv_add(&r->program.ulimits, optarg);
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
    case OPT_PCAP:
        r->pcap_file = optarg;
        break;
    case OPT_CORE:
        r->core_dir = optarg;
        break;
    case OPT_NO_PATCH:
        r->no_patch = true;
        break;
    case OPT_GDB:
        r->gdb = true;
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
        r->machine = optarg;
        break;
    case OPT_CPUS:
        if (parse_number(optarg, 1, 64, &number) < 0)
            return err_set(err, EXIT_DRUPE, "--cpus %s: a number from 1 to 64 is needed", optarg);
        r->instance.cpus = (unsigned)number;
        break;
    case OPT_NET:
        return network_parse(&r->instance, optarg, err);
    case OPT_IP:
        *(strchr(optarg, ':') ? &r->network.ip6 : &r->network.ip) = optarg;
        break;
    case OPT_DNS:
        r->network.dns = optarg;
        break;
    case OPT_ALLOW:
        return policy_allow(&r->network.policy, optarg, err);
    case OPT_ALLOW_FROM:
        return policy_allow_from(&r->network.policy, optarg, err);
    case OPT_EGRESS:
        return policy_egress(&r->network.policy, optarg, err);
    case OPT_ENTRYPOINT:
        r->entrypoint = optarg;
        break;
    case OPT_RM:
        r->remove = true;
        break;
    case OPT_STRACE:
    case OPT_SUMMARY:
        r->trace = true;
        r->strace.summary = c == OPT_SUMMARY;
        break;
    default:
        return bad_option("run", c, argv, err);
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

/* An ordinary user's files are the program's own inside, and the other way round. */
static void apply_volumes(const struct run *r, struct config *c)
{
    u32 uid, gid;
    config_user(c, &uid, &gid);
    for (size_t i = 0; i < r->instance.nvolumes; i++) {
        const struct volume *v = &r->volumes[i];
        struct strv how = {0};
        AUTO_FREE char *port = str_format(P9_PORT "%zu", i);
        strv_add(&how, v->read_only ? "ro" : "rw");
        if (v->is_file)
            strv_add(&how, "file");
        if (geteuid() != 0) {
            strv_addf(&how, "uid=%u:%u", (unsigned)geteuid(), uid);
            strv_addf(&how, "gid=%u:%u", (unsigned)getegid(), gid);
        }
        config_add_mount(c, "9p", port, v->target, &how);
        strv_done(&how);
    }
}

static int apply_terminal(const struct run *r, struct config *c)
{
    config_set_terminal(c, r->instance.terminal);
    config_set_annotation(c, ANN_WINSIZE, NULL);
    if (!r->instance.terminal)
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

/* Whether 2 is 1's open file (2>&1): then the order of what is written to the two is kept. */
static bool one_output(const struct run *r)
{
    return !r->detach && syscall(SYS_kcmp, getpid(), getpid(), KCMP_FILE, STDOUT_FILENO, STDERR_FILENO) == 0;
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
    if (result < 0 || network_apply(&r->network, &r->instance, c, err) < 0)
        return -1;
    apply_volumes(r, c);
    config_set_annotation(c, ANN_VERBOSE, verbose ? "1" : NULL);
    config_set_annotation(c, ANN_ONE_OUTPUT, one_output(r) ? "1" : NULL);
    config_set_annotation(c, ANN_NET_CAPTURE, r->pcap_file ? "1" : NULL);
    config_set_annotation(c, ANN_CORES, r->core_dir ? "1" : NULL);
    config_set_annotation(c, ANN_WAIT_DEBUGGER, r->gdb ? "1" : NULL);
    config_set_annotation(c, ANN_NO_PATCH, r->no_patch ? "1" : NULL);
    return apply_terminal(r, c);
}

/* A kernel image: named by the environment, or one of the places. NULL with the error set. */
static char *find_kernel(const char *name, const char *variable, const char *const *places, size_t count, struct error *err)
{
    const char *given = getenv(variable);
    if (given && *given) {
        if (access(given, R_OK) == 0)
            return xstrdup(given);
        err_errno(err, EXIT_DRUPE, "%s=%s", variable, given);
        return NULL;
    }
    char *path = find_part(places, count);
    if (!path)
        err_set(err, EXIT_DRUPE, "%s is not beside drupe; build it, or name it by %s", name, variable);
    return path;
}

static char *find_machine_kernel(struct error *err)
{
    static const char *const places[] = {"drupe-kernel.stripped", "../kernel/plat/pc/drupe-kernel.stripped",
                                         "kernel/plat/pc/drupe-kernel.stripped", "drupe-kernel",
                                         "../kernel/plat/pc/drupe-kernel", "kernel/plat/pc/drupe-kernel",
                                         "../lib/drupe/drupe-kernel"};
    return find_kernel("drupe-kernel", "DRUPE_KERNEL", places, ARRAY_SIZE(places), err);
}

static char *find_process_kernel(struct error *err)
{
    static const char *const places[] = {"../kernel/plat/host/drupe-kernel-host.stripped",
                                         "kernel/plat/host/drupe-kernel-host.stripped", "drupe-kernel-host.stripped",
                                         "drupe-kernel-host", "../lib/drupe/drupe-kernel-host"};
    return find_kernel("drupe-kernel-host", "DRUPE_HOST_KERNEL", places, ARRAY_SIZE(places), err);
}

static bool installed(const char *name)
{
    AUTO_FREE char *path = find_in_path(name);
    return path != NULL;
}

static void use_qemu(struct run *r, const char *accel)
{
    r->qemu.accel = accel;
    r->qemu.q35 = r->machine && r->machine[0] == 'q';
    r->qemu.lean = !r->qemu.q35 && strcmp(accel, "kvm") == 0 && r->instance.nvolumes == 0 && installed(QEMU_LEAN);
    r->instance.backend = &qemu_backend;
    r->instance.options = &r->qemu;
}

static void use_process(struct run *r)
{
    r->instance.backend = &process_backend;
    r->instance.options = &r->process;
}

/* Hardware where it is worth it, else a process; a machine, too, when the user wants one of a kind. */
static void choose_automatically(struct run *r)
{
    const char *why;
    struct error ignored;
    bool usable = kvm_usable(&why);
    if (usable && (installed(QEMU) || (installed(QEMU_LEAN) && !(r->machine && r->machine[0] == 'q')))) {
        use_qemu(r, "kvm");
        say("on: QEMU with KVM, because %s", why);
        return;
    }
    if (usable)
        why = "QEMU is not installed";
    bool machine = r->machine || r->instance.cpus > HOST_MAX_CPUS;
    AUTO_FREE char *kernel = machine ? NULL : find_process_kernel(&ignored);
    if (kernel) {
        use_process(r);
        say("on: a sandboxed process of this host, because %s", why);
    } else {
        use_qemu(r, "tcg");
        say("on: QEMU's emulation, because %s and %s", why,
            r->machine ? "--machine asks for a machine" : machine ? "--cpus asks for more processors than a process has" : ignored.text);
    }
}

static int choose_backend(struct run *r, struct error *err)
{
    const char *why = NULL;
    const char *on = r->on ? r->on : "auto";
    if (strcmp(on, "auto") == 0) {
        choose_automatically(r);
    } else if (strcmp(on, "host") == 0) {
        if (r->machine)
            return err_set(err, EXIT_DRUPE, "--machine %s: with --on host there is no machine; use --on qemu", r->machine);
        if (r->instance.cpus > HOST_MAX_CPUS)
            return err_set(err, EXIT_DRUPE, "--cpus %u: a sandboxed process has at most %u processors; use --on qemu or --on kvm",
                           r->instance.cpus, HOST_MAX_CPUS);
        use_process(r);
    } else if (strcmp(on, "qemu") == 0) {
        use_qemu(r, "tcg");
    } else if (strcmp(on, "kvm") == 0) {
        if (!kvm_usable(&why))
            return err_set(err, EXIT_DRUPE, "--on kvm: %s; use --on host or --on qemu", why);
        use_qemu(r, "kvm");
    } else if (strcmp(on, "firecracker") == 0) {
        return err_set(err, EXIT_DRUPE, "--on %s is not there yet; use auto, kvm, host or qemu", on);
    } else {
        return err_set(err, EXIT_DRUPE, "--on %s: say auto, kvm, host or qemu", on);
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

static char *kernel_arguments(const struct run *r)
{
    const char *more = getenv("DRUPE_KERNEL_ARGS");
    const char *const words[] = {verbose ? "drupe.log=info" : NULL, r->trace ? "drupe.trace=wait" : NULL, more};
    struct buf text = {0};
    buf_add(&text, "", 0);
    for (size_t i = 0; i < ARRAY_SIZE(words); i++)
        if (words[i])
            buf_addf(&text, "%s%s", text.len ? " " : "", words[i]);
    return text.data;
}

static struct json_object *list_command(const struct config *c)
{
    struct json_object *all = json_object_new_array();
    for (size_t k = 0; k < config_arg_count(c); k++)
        json_object_array_add(all, json_object_new_string(config_arg(c, k)));
    return all;
}

/* Put the instance where others find it. A foreground run goes on without, if nobody could be told apart by a name. */
static int make_entry(struct run *r, const char *source_name, const struct config *c, struct entry *e, struct error *err)
{
    static const char *const nets[] = {[NET_MODE_NONE] = "none", [NET_MODE_USER] = "user", [NET_MODE_TAP] = "tap"};
    const struct instance *i = &r->instance;
    if (entry_init(e, r->program.name, i->label, err) < 0)
        return -1;
    entry_set_text(e, "Platform", i->backend == &process_backend ? "host" : r->qemu.accel[0] == 'k' ? "kvm" : "qemu");
    entry_set_text(e, "Image", source_name);
    json_object_object_add(e->state, "Command", list_command(c));
    entry_set_number(e, "MemoryBytes", (s64)i->memory_bytes);
    entry_set_number(e, "Cpus", i->cpus);
    entry_set_text(e, "Net", nets[i->net]);
    network_describe(&r->network, i, e->state);
    entry_set_flag(e, "Tty", i->terminal);
    entry_set_flag(e, "Detached", r->detach);
    entry_set_text(e, "LogDriver", r->detach ? r->logs.driver->name : "none");
    entry_set_flag(e, "AutoRemove", r->remove || !r->detach);
    AUTO_FREE char *dir = entry_path(e, "");
    entry_set_text(e, "Dir", dir);
    entry_set_text(e, "Kernel", i->kernel);
    if (entry_publish(e, i->config, err) == 0) {
        r->instance.entry = e;
        return 0;
    }
    if (r->program.name || r->detach || r->gdb || r->trace || r->core_dir || r->pcap_file)
        return -1;
    say("not listed by drupe ps: %s", err->text);
    *err = (struct error){0};
    return 0;
}

/* The terminal is given up: who waits gets the id. If nobody does any more, nobody wants the instance. */
static void report_start(void *ctx)
{
    struct run *r = ctx;
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int fd = 0; fd < 3 && null >= 0; fd++)
        dup2(null, fd);
    if (null > 2)
        close(null);
    if (fd_write_all(r->report_fd, r->instance.entry->id, ID_LEN) < 0)
        kill(getpid(), SIGTERM);
    close(TAKE_FD(r->report_fd));
}

static void start_gdb(void *ctx)
{
    const struct run *r = ctx;
    gdb_for_new(r->instance.entry->id);
}

static int start(struct run *r, const struct source *s, const char *source_name, int nargs, char **args, int *ret_status,
                 struct error *err)
{
    static const char *const slirp_places[] = {"drupe-slirp", "host/drupe-slirp", "../lib/drupe/drupe-slirp"};
    struct instance *i = &r->instance;
    AUTO_FREE char *kernel = i->backend == &process_backend ? find_process_kernel(err) : find_machine_kernel(err);
    AUTO_FREE char *slirp = i->net == NET_MODE_USER ? find_part(slirp_places, ARRAY_SIZE(slirp_places)) : NULL;
    static const char *const server_places[] = {"drupe-9p", "host/drupe-9p", "../lib/drupe/drupe-9p"};
    AUTO_FREE char *server = i->nvolumes ? find_part(server_places, ARRAY_SIZE(server_places)) : NULL;
    AUTO_CLOSE int image = kernel ? image_open(s, &r->image, err) : -1;
    if (image < 0)
        return -1;
    if (i->net == NET_MODE_USER && !slirp)
        return err_set(err, EXIT_DRUPE, "drupe-slirp is not beside drupe; build it, or use --net tap or --net none");
    if (i->nvolumes && !server)
        return err_set(err, EXIT_DRUPE, "drupe-9p, which serves volumes, is not beside drupe; build it");
    struct config config = {0};
    if (make_config(r, s, source_name, image, nargs, args, &config, err) < 0) {
        config_done(&config);
        return -1;
    }
    AUTO_FREE char *text = config_text(&config);
    AUTO_FREE char *kernel_args = kernel_arguments(r);
    i->kernel = kernel;
    i->slirp = slirp;
    i->volume_server = server;
    i->image_fd = image;
    i->config = text;
    i->kernel_args = kernel_args;
    i->label = r->program.name ? r->program.name : path_basename(s->path);
    struct entry entry = {.dir_fd = -1, .lock_fd = -1};
    int result = make_entry(r, source_name, &config, &entry, err);
    config_done(&config);
    if (result == 0 && r->detach) {
        i->logs = &r->logs;
        i->started = report_start;
        i->started_ctx = r;
        result = logs_open(&r->logs, &entry, err);
        if (result < 0)
            entry_remove(&entry, &(struct error){0});
    }
    pid_t cores = result == 0 && r->core_dir ? collector_start(&entry, "cores", r->core_dir, err) : 0;
    pid_t packets = result == 0 && cores >= 0 && r->pcap_file ? collector_start(&entry, "pcap", r->pcap_file, err) : 0;
    if (cores < 0 || packets < 0)
        result = -1;
    pid_t tracer = result == 0 && r->trace ? strace_attend(&r->strace, &entry, err) : 0;
    if (tracer < 0)
        result = -1;
    if (result == 0 && r->gdb && !r->detach) {
        i->started = start_gdb;
        i->started_ctx = r;
    }
    if (result == 0)
        result = instance_run(i, ret_status, err);
    collector_end(cores);
    collector_end(packets);
    if (tracer > 0)
        waitpid(tracer, NULL, 0);
    logs_done(&r->logs);
    entry_done(&entry);
    return result;
}

static int check_outputs(struct run *r, struct error *err)
{
    struct stat st;
    if (r->pcap_file) {
        AUTO_CLOSE int fd = open(r->pcap_file, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        if (fd < 0)
            return err_errno(err, EXIT_DRUPE, "--pcap %s", r->pcap_file);
        if (r->instance.net == NET_MODE_NONE)
            return err_set(err, EXIT_DRUPE, "--pcap: there are no packets with --net none");
    }
    if (!r->core_dir)
        return 0;
    if (stat(r->core_dir, &st) < 0)
        return err_errno(err, EXIT_DRUPE, "--core %s", r->core_dir);
    if (!S_ISDIR(st.st_mode) || access(r->core_dir, W_OK | X_OK) < 0)
        return err_set(err, EXIT_DRUPE, "--core %s: not a directory that can be written to", r->core_dir);
    return 0;
}

static int check_streams(struct run *r, struct error *err)
{
    if (r->detach && (r->interactive || r->instance.terminal))
        return err_set(err, EXIT_DRUPE, "-d: a detached instance has no standard input and no terminal yet; leave -i and -t out");
    if (r->gdb && (r->interactive || r->instance.terminal))
        return err_set(err, EXIT_DRUPE, "--gdb: standard input and the terminal are gdb's; leave -i and -t out");
    if (r->log_option && !r->detach)
        return err_set(err, EXIT_DRUPE, "%s: without -d the program's output goes to where drupe was started", r->log_option);
    if (r->detach || r->gdb)
        return 0;
    if (r->instance.terminal && !isatty(STDIN_FILENO))
        return err_set(err, EXIT_DRUPE, "-t: standard input is not a terminal; leave -t out");
    /* A terminal stays the user's unless -i says otherwise; pipes and files are always meant. */
    r->instance.use_stdin = r->interactive || !isatty(STDIN_FILENO);
    if (r->instance.terminal && !r->interactive)
        r->instance.use_stdin = false;
    return 0;
}

static int run(struct run *r, int nargs, char **args, int *ret_status, struct error *err)
{
    struct source source = {.fd = -1};
    int result = -1;
    if (check_streams(r, err) == 0 && check_outputs(r, err) == 0 && choose_backend(r, err) == 0 &&
        (r->instance.backend != &process_backend || sandbox_prepare(&r->process.sandbox, err) == 0) &&
        source_resolve(&source, args[0], err) == 0 && network_check(&r->network, &r->instance, err) == 0)
        result = start(r, &source, args[0], nargs - 1, args + 1, ret_status, err);
    source_done(&source);
    sandbox_done(&r->process.sandbox);
    return result;
}

/* In the process that the user called: wait until the program of the other one runs, or does not. */
static int wait_for_start(pid_t pid, int report, struct error *err)
{
    char id[ID_LEN + 1] = "";
    size_t n = 0;
    int status;
    for (ssize_t more; n < ID_LEN && ((more = read(report, id + n, ID_LEN - n)) > 0 || (more < 0 && errno == EINTR));)
        n += more > 0 ? (size_t)more : 0;
    if (n == ID_LEN) {
        puts(id);
        return 0;
    }
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (WIFEXITED(status)) /* it has said why */
        return WEXITSTATUS(status);
    return err_set(err, EXIT_DRUPE, "the process that looks after the instance was ended by signal %d", WTERMSIG(status));
}

/* 0: this is the new process, without the terminal's signals. 1: the caller's, with *ret_status; -1: error. */
static int detach(struct run *r, int *ret_status, struct error *err)
{
    int report[2];
    if (pipe2(report, O_CLOEXEC) < 0)
        return err_errno(err, EXIT_DRUPE, "pipe");
    pid_t pid = fork();
    if (pid < 0)
        return err_errno(err, EXIT_DRUPE, "fork");
    if (pid == 0) {
        close(report[0]);
        r->report_fd = report[1];
        setsid();
        return 0;
    }
    close(report[1]);
    *ret_status = wait_for_start(pid, report[0], err);
    close(report[0]);
    return *ret_status < 0 ? -1 : 1;
}

int command_run(int argc, char **argv, struct error *err)
{
    struct run r = {.instance = {.memory_bytes = DEFAULT_MEMORY, .cpus = 1, .net = NET_MODE_USER, .start_ns = now_ns()},
                    .logs = {.driver = &log_file, .fd = -1}, .report_fd = -1};
    int status = 0;
    strace_defaults(&r.strace);
    r.instance.ports = r.network.ports;
    r.instance.policy = &r.network.policy;
    r.instance.volumes = r.volumes;
    int result = parse(&r, argc, argv, err);
    if (result > 0)
        return 0;
    if (result == 0 && r.detach)
        result = detach(&r, &status, err);
    if (result == 0) {
        split_words(&r.qemu.args, getenv("DRUPE_QEMU_ARGS"));
        result = run(&r, argc - optind, argv + optind, &status, err);
    }
    for (size_t i = 0; i < r.instance.nvolumes; i++)
        volume_done(&r.volumes[i]);
    strv_done(&r.qemu.args);
    strv_done(&r.program.env);
    strv_done(&r.program.ulimits);
    strv_done(&r.image.add);
    return result < 0 ? -1 : status;
}
