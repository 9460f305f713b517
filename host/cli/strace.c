/* SPDX-License-Identifier: Apache-2.0 */
/* drupe strace: the system calls of a running instance. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>

#include "host/cli/cli.h"
#include "host/cli/common.h"
#include "host/cli/trace.h"
#include "host/client/syscall_names.h"
#include "host/trace/session.h"

#define DEFAULT_STRING_MAX 32
#define START_NS 20000000000ull /* from the entry to its socket: an image may be built meanwhile */

static int end_signals = -1; /* a signalfd: they are looked for where we wait */

void catch_end_signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGHUP);
    sigprocmask(SIG_BLOCK, &set, NULL);
    end_signals = signalfd(-1, &set, SFD_CLOEXEC);
}

int end_signals_fd(void) { return end_signals; }

FILE *output_open(const char *path, FILE *otherwise, struct error *err)
{
    FILE *out = path ? fopen(path, "we") : otherwise;
    if (!out)
        err_errno(err, EXIT_DRUPE, "%s", path);
    return out;
}

int output_close(FILE *out, const char *path, int result, struct error *err)
{
    bool bad = fflush(out) != 0 || ferror(out);
    if (path)
        bad |= fclose(out) != 0;
    return bad && result == 0 ? err_set(err, EXIT_DRUPE, "%s: not all could be written; is its file system full?", path ? path : "the output") : result;
}

void await_records(struct trace_client *t, bool *finishing)
{
    struct pollfd p[2] = {{.fd = t->talk.fd, .events = POLLIN}, {.fd = *finishing ? -1 : end_signals, .events = POLLIN}};
    if (trace_client_more(t))
        return;
    poll(p, 2, -1);
    if (p[1].revents & POLLIN) {
        trace_client_finish(t); /* the rest comes, then the end */
        *finishing = true;
    }
}

/* --- -e trace= -------------------------------------------------------------------------- */

/* Families, as strace has them; of calls that take a path or a descriptor the arguments tell. */
static const struct {
    const char *family, *names; /* ":name:name:" */
} families[] = {
    {"network", ":socket:connect:accept:accept4:sendto:recvfrom:sendmsg:recvmsg:shutdown:bind:listen:getsockname:getpeername:socketpair:setsockopt:"
                "getsockopt:recvmmsg:sendmmsg:"},
    {"process", ":clone:clone3:fork:vfork:execve:execveat:exit:exit_group:wait4:waitid:kill:tkill:tgkill:rt_sigqueueinfo:rt_tgsigqueueinfo:"
                "pidfd_open:pidfd_send_signal:unshare:"},
    {"signal", ":rt_sigaction:rt_sigprocmask:rt_sigreturn:pause:kill:rt_sigpending:rt_sigtimedwait:rt_sigqueueinfo:rt_sigsuspend:sigaltstack:tkill:"
               "tgkill:signalfd:signalfd4:rt_tgsigqueueinfo:pidfd_send_signal:"},
    {"ipc", ":shmget:shmat:shmctl:shmdt:semget:semop:semctl:semtimedop:msgget:msgsnd:msgrcv:msgctl:"},
    {"memory", ":mmap:mprotect:munmap:brk:mremap:msync:mincore:madvise:shmat:shmdt:mlock:mlock2:munlock:mlockall:munlockall:"},
    {"file", ":open:stat:lstat:access:execve:truncate:getcwd:chdir:rename:mkdir:rmdir:creat:link:unlink:symlink:readlink:chmod:chown:lchown:utime:mknod:"
             "statfs:chroot:mount:umount2:setxattr:lsetxattr:getxattr:lgetxattr:listxattr:llistxattr:removexattr:lremovexattr:utimes:inotify_add_watch:"
             "openat:mkdirat:mknodat:fchownat:futimesat:newfstatat:unlinkat:renameat:linkat:symlinkat:readlinkat:fchmodat:faccessat:utimensat:renameat2:"
             "execveat:statx:openat2:faccessat2:"},
    {"desc", ":read:write:open:close:fstat:poll:lseek:mmap:ioctl:pread64:pwrite64:readv:writev:pipe:select:dup:dup2:socket:connect:accept:sendto:recvfrom:"
             "sendmsg:recvmsg:shutdown:bind:listen:getsockname:getpeername:socketpair:setsockopt:getsockopt:fcntl:flock:fsync:fdatasync:ftruncate:getdents:"
             "fchdir:fchmod:fchown:fstatfs:readahead:fsetxattr:fgetxattr:flistxattr:fremovexattr:epoll_create:getdents64:fadvise64:epoll_wait:epoll_ctl:"
             "inotify_init:inotify_add_watch:inotify_rm_watch:openat:mkdirat:newfstatat:unlinkat:renameat:linkat:symlinkat:readlinkat:fchmodat:faccessat:"
             "pselect6:ppoll:splice:sync_file_range:utimensat:epoll_pwait:signalfd:timerfd_create:eventfd:fallocate:timerfd_settime:timerfd_gettime:accept4:"
             "signalfd4:eventfd2:epoll_create1:dup3:pipe2:inotify_init1:preadv:pwritev:recvmmsg:syncfs:sendmmsg:sendfile:renameat2:memfd_create:"
             "copy_file_range:preadv2:pwritev2:statx:pidfd_open:close_range:openat2:faccessat2:epoll_pwait2:"}};

static bool family_has(const char *names, const char *call)
{
    AUTO_FREE char *word = str_format(":%s:", call);
    return strstr(names, word) != NULL;
}

static bool add_word(struct trace_open *want, const char *word)
{
    const char *names = NULL;
    bool found = false;
    bool all = strcmp(word, "all") == 0;
    for (size_t i = 0; i < ARRAY_SIZE(families); i++)
        if (strcmp(word + (word[0] == '%'), families[i].family) == 0)
            names = families[i].names;
    for (unsigned nr = 0; nr < TRACE_CALLS; nr++) {
        const char *name = syscall_name(nr);
        if (all || (name && (names ? family_has(names, name) : strcmp(name, word) == 0))) {
            want->calls[nr / 64] |= 1ull << nr % 64;
            found = true;
        }
    }
    return found || names;
}

/* "open,read,%network", "!futex", "none" */
int parse_trace_set(struct trace_open *want, const char *text, struct error *err)
{
    bool inverted = text[0] == '!';
    AUTO_FREE char *copy = xstrdup(text + inverted);
    char *save = NULL;
    memset(want->calls, 0, sizeof(want->calls));
    for (char *word = strtok_r(copy, ",", &save); word; word = strtok_r(NULL, ",", &save))
        if (strcmp(word, "none") != 0 && !add_word(want, word))
            return err_set(err, EXIT_DRUPE, "-e trace=%s: there is no call or family %s", text, word);
    for (size_t i = 0; inverted && i < ARRAY_SIZE(want->calls); i++)
        want->calls[i] = ~want->calls[i];
    return 0;
}

/* --- options -------------------------------------------------------------------------------- */

static void want_results(struct strace_options *o, bool failed, bool good)
{
    o->want.flags |= TRACE_ERRORS;
    memset(o->want.errors, failed ? 0xff : 0, sizeof(o->want.errors));
    o->want.errors[0] = (o->want.errors[0] & ~1ull) | good;
}

/* "errno=ENOENT,EACCES" */
static int parse_errors(struct strace_options *o, const char *text, struct error *err)
{
    AUTO_FREE char *copy = xstrdup(strchr(text, '=') + 1);
    char *save = NULL;
    want_results(o, false, false);
    for (char *word = strtok_r(copy, ",", &save); word; word = strtok_r(NULL, ",", &save)) {
        int number = 1;
        while (number < 256 && strcmp(strerrorname_np(number) ?: "", word) != 0)
            number++;
        if (number == 256)
            return err_set(err, EXIT_DRUPE, "-e %s: there is no error %s", text, word);
        o->want.errors[number / 64] |= 1ull << number % 64;
    }
    return 0;
}

static int parse_expression(struct strace_options *o, const char *text, struct error *err)
{
    if (str_has_prefix(text, "trace=") || str_has_prefix(text, "t="))
        return parse_trace_set(&o->want, strchr(text, '=') + 1, err);
    if (str_has_prefix(text, "fd=") || str_has_prefix(text, "fds=")) {
        AUTO_FREE char *copy = xstrdup(strchr(text, '=') + 1);
        char *save = NULL;
        u64 number;
        for (char *word = strtok_r(copy, ",", &save); word; word = strtok_r(NULL, ",", &save)) {
            if (parse_number(word, 0, 1 << 30, &number) < 0)
                return err_set(err, EXIT_DRUPE, "-e %s: descriptors are numbers", text);
            if (o->want.nfds == TRACE_FDS_MAX)
                return err_set(err, EXIT_DRUPE, "-e %s: at most %u descriptors", text, TRACE_FDS_MAX);
            o->want.fds[o->want.nfds++] = (s32)number;
        }
        return 0;
    }
    if (strcmp(text, "status=failed") == 0 || strcmp(text, "status=successful") == 0) {
        want_results(o, text[7] == 'f', text[7] == 's');
        return 0;
    }
    if (str_has_prefix(text, "errno="))
        return parse_errors(o, text, err);
    if (strchr(text, '='))
        return err_set(err, EXIT_DRUPE, "-e %s: say trace=CALL,..., fd=N,..., errno=NAME,... or status=failed|successful", text);
    return parse_trace_set(&o->want, text, err);
}

int strace_option(struct strace_options *o, int c, const char *value, struct error *err)
{
    u64 number;
    switch (c) {
    case 'c': o->summary = true; break;
    case 'f': break; /* all threads and processes are followed anyway */
    case 'e': return parse_expression(o, value, err);
    case 'P':
        if (strlen(value) >= TRACE_PATH_MAX)
            return err_set(err, EXIT_DRUPE, "-P %.40s...: a path of at most %u bytes", value, TRACE_PATH_MAX - 1);
        strcpy(o->want.path, value);
        break;
    case 'Z': want_results(o, true, false); break;
    case 'z': want_results(o, false, true); break;
    case 'o': o->output = value; break;
    case 't':
        o->show.micros |= o->show.clock;
        o->show.clock = true;
        break;
    case 'r': o->show.relative = true; break;
    case 'T': o->show.took = true; break;
    case 'p':
        if (parse_number(value, 1, UINT32_MAX, &number) < 0)
            return err_set(err, EXIT_DRUPE, "-p %s: the number of a process or thread of the instance is needed", value);
        o->want.pid = (u32)number;
        break;
    case 's':
        if (parse_number(value, 0, TRACE_STRING_MAX, &number) < 0)
            return err_set(err, EXIT_DRUPE, "-s %s: a number of bytes up to %u is needed", value, TRACE_STRING_MAX);
        o->want.string_max = (u32)number;
        break;
    default: return 1;
    }
    return 0;
}

void strace_defaults(struct strace_options *o)
{
    *o = (struct strace_options){.want = {.string_max = DEFAULT_STRING_MAX}};
    memset(o->want.calls, 0xff, sizeof(o->want.calls));
}

/* --- running -------------------------------------------------------------------------------------- */

static void want_points(struct trace_client *t, struct trace_open *want)
{
    static const char *const names[] = {"signal:deliver", "process:exit"};
    for (unsigned i = 0; i < TRACE_POINTS; i++)
        for (size_t k = 0; k < ARRAY_SIZE(names); k++)
            if (t->points[i].name && strcmp(t->points[i].name, names[k]) == 0)
                want->points |= 1ull << i;
}

/* A session for nothing tells which tracepoints this kernel has. */
static int look_up_points(const struct entry *e, struct trace_open *want, struct error *err)
{
    struct trace_client t;
    struct trace_open none = {0};
    int result = trace_client_open(&t, e, &none, err);
    if (result == 0)
        result = trace_client_start(&t, e, err);
    if (result == 0)
        want_points(&t, want);
    trace_client_done(&t);
    return result;
}

static int watch(struct strace_options *o, const struct entry *e, struct trace_client *t, struct error *err)
{
    struct show *show = o->summary ? NULL : show_create(&o->show, t);
    struct trace_record r, sums = {0};
    struct buf last = {0};
    const u8 *body;
    int result;
    bool finishing = false;
    do {
        await_records(t, &finishing);
        while ((result = trace_client_next(t, e, &r, &body, err)) > 0) {
            if (show)
                show_record(show, &r, body);
            if (r.kind == TRACE_SUMS) {
                sums = r;
                last.len = 0;
                buf_add(&last, body, r.len - sizeof(r));
            }
            if (!trace_client_more(t)) {
                if (show && !show_flush(show))
                    result = 0; /* who read it has gone */
                break;
            }
        }
    } while (result > 0);
    if (show)
        show_done(show);
    else if (sums.len)
        show_sums(o->show.out, &sums, (const u8 *)last.data);
    buf_done(&last);
    return result;
}

int strace_entry(struct strace_options *o, const struct entry *e, struct error *err)
{
    struct trace_client t = {.talk = {.fd = -1}};
    o->show.string_max = o->want.string_max;
    o->show.want = &o->want;
    o->show.always_pid = o->output != NULL;
    o->show.out = output_open(o->output, stderr, err);
    if (!o->show.out)
        return -1;
    o->want.flags |= o->summary ? TRACE_SUMMARY : 0;
    int result = o->summary ? 0 : look_up_points(e, &o->want, err);
    if (result == 0)
        result = trace_client_open(&t, e, &o->want, err);
    if (result == 0)
        result = trace_client_start(&t, e, err);
    if (result == 0)
        result = watch(o, e, &t, err);
    trace_client_done(&t);
    return output_close(o->show.out, o->output, result, err);
}

/* The instance will be there: it lists itself before it waits for us. */
static int entry_await(const char *id, struct entry *e, struct error *err)
{
    for (u64 end = now_ns() + START_NS;;) {
        struct error not_yet = {0};
        int fd = -1;
        if (entry_find(id, e, &not_yet) == 0) {
            fd = entry_connect(e, &not_yet);
            if (fd >= 0) {
                close(fd);
                return 0;
            }
            entry_done(e);
        }
        if (now_ns() > end || getppid() == 1)
            return err_set(err, EXIT_DRUPE, "%s", not_yet.text);
        poll(NULL, 0, 2);
    }
}

pid_t strace_attend(struct strace_options *o, struct entry *tender, struct error *err)
{
    fflush(NULL);
    pid_t pid = fork();
    if (pid < 0)
        return err_errno(err, EXIT_DRUPE, "fork");
    if (pid > 0)
        return pid;
    AUTO_FREE char *id = xstrdup(tender->id);
    struct entry e = {.dir_fd = -1, .lock_fd = -1};
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    entry_done(tender); /* its lock is the tender's alone */
    dup2(null, STDIN_FILENO);
    dup2(null, STDOUT_FILENO);
    signal(SIGINT, SIG_IGN); /* the program decides what it means */
    signal(SIGQUIT, SIG_IGN);
    signal(SIGTERM, SIG_IGN);
    if (entry_await(id, &e, err) < 0 || strace_entry(o, &e, err) < 0)
        err_print(err);
    _exit(0);
}

int command_strace(int argc, char **argv, struct error *err)
{
    static const struct option options[] = {{"summary-only", no_argument, NULL, 'c'}, {"attach", required_argument, NULL, 'p'},
                                            {"output", required_argument, NULL, 'o'}, {"string-limit", required_argument, NULL, 's'},
                                            {"failed-only", no_argument, NULL, 'Z'}, {"successful-only", no_argument, NULL, 'z'},
                                            {"help", no_argument, NULL, 'h'}, {0}};
    struct strace_options o;
    strace_defaults(&o);
    opterr = 0;
    for (int c; (c = getopt_long(argc, argv, ":cfe:P:Zzo:trTp:s:h", options, NULL)) != -1;) {
        if (c == 'h') {
            help_strace();
            return 0;
        }
        int result = strace_option(&o, c, optarg, err);
        if (result != 0)
            return result < 0 ? -1 : bad_option("strace", c, argv, err);
    }
    if (optind + 1 != argc)
        return err_set(err, EXIT_DRUPE, "strace: one INSTANCE is needed; see drupe strace --help");
    struct entry e = {.dir_fd = -1, .lock_fd = -1};
    int result = entry_find(argv[optind], &e, err);
    catch_end_signals();
    if (result == 0)
        result = strace_entry(&o, &e, err);
    entry_done(&e);
    return result;
}
