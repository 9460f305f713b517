/* SPDX-License-Identifier: Apache-2.0 */
/* The tender of one instance: see instance.h. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "host/image/symbols.h"
#include "host/lib/cgroup.h"
#include "host/lib/fs.h"
#include "host/lib/trim.h"
#include "host/net/user.h"
#include "host/tender/logs.h"
#include "host/tender/tender_impl.h"
#include "host/tender/terminal.h"

#define STOP_PATIENCE_NS 10000000000ull /* after the first SIGINT or SIGTERM */
#define END_PATIENCE_NS 2000000000ull   /* after CTL_EXIT */
#define LIST_DELAY_NS 10000000ull       /* for the program's first output to go first */
#define LOGS_PATIENCE_NS 5000000000ull  /* after the end of the process, with a reader that takes nothing */
#define MAX_REPORT 65536u

/* --- starting ---------------------------------------------------------------------- */

static int socket_pair(int *ret_ours, int *ret_theirs, int flags, struct error *err)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | flags, 0, pair) < 0)
        return err_errno(err, EXIT_DRUPE, "socketpair");
    *ret_ours = pair[0];
    *ret_theirs = pair[1];
    return 0;
}

static int start_slirp(struct tender *t, struct error *err)
{
    const struct instance *i = t->i;
    t->slirp = user_net_start(i->slirp, &t->frames_fd, i->ports, i->nports, i->policy, i->logs != NULL, err);
    return t->slirp < 0 ? -1 : 0;
}

static int make_ends(struct tender *t, struct instance_ends *e, struct error *err)
{
    const struct instance *i = t->i;
    /* The log may block: nothing of it shall be lost. */
    if (socket_pair(&t->console_fd, &e->console, 0, err) < 0 ||
        socket_pair(&t->control_fd, &e->control, SOCK_NONBLOCK, err) < 0)
        return -1;
    for (unsigned k = 0; k < (i->terminal ? 1 : 3); k++)
        if (socket_pair(&t->port_fds[k], &e->ports[k], SOCK_NONBLOCK, err) < 0)
            return -1;
    if (i->net == NET_MODE_USER && socket_pair(&t->frames_fd, &e->frames, SOCK_NONBLOCK, err) < 0)
        return -1;
    if (i->net == NET_MODE_TAP && tap_open(i->tap, i->backend->multi_queue ? i->cpus : 1, &e->tap, err) < 0)
        return -1;
    for (size_t k = 0; k < i->nvolumes; k++) {
        AUTO_CLOSE int server = -1, vhost = -1;
        if (socket_pair(&server, &e->volumes[k], SOCK_NONBLOCK, err) < 0 ||
            (k < i->backend->vhosts && socket_pair(&vhost, &e->vhosts[k], 0, err) < 0))
            return -1;
        t->servers[k] = volume_serve(&i->volumes[k], i->volume_server, server, vhost, err);
        if (t->servers[k] < 0)
            return -1;
    }
    int messages[2];
    if (i->backend->has_messages) {
        if (pipe2(messages, O_CLOEXEC) < 0)
            return err_errno(err, EXIT_DRUPE, "pipe");
        t->messages_fd = messages[0];
        e->messages = messages[1];
    }
    return 0;
}

static void set_deadline(struct tender *t, enum waiting what, u64 patience_ns)
{
    t->waiting = what;
    t->deadline_ns = what == WAITING_FOR_NOTHING ? UINT64_MAX : now_ns() + patience_ns;
}

static int open_sieve(struct tender *t, int map, struct error *err)
{
    return t->i->backend->maps_sieve || map < 0 ? 0 : far_sieve_open(&t->sieve, t->i->tap, map, &t->control, err);
}

static int start(struct tender *t, struct error *err)
{
    struct instance_ends e = {.console = -1, .messages = -1, .control = -1, .ports = {-1, -1, -1}, .frames = -1, .tap.sieve = -1};
    memset(e.volumes, -1, sizeof(e.volumes));
    memset(e.vhosts, -1, sizeof(e.vhosts));
    if (make_ends(t, &e, err) == 0 && open_sieve(t, e.tap.sieve, err) == 0)
        t->pid = t->i->backend->start(t->i, &e, err);
    const int theirs[] = {e.console, e.messages, e.control, e.ports[0], e.ports[1], e.ports[2], e.frames};
    for (size_t k = 0; k < ARRAY_SIZE(theirs); k++)
        if (theirs[k] >= 0)
            close(theirs[k]);
    tap_close(&e.tap);
    for (size_t k = 0; k < ARRAY_SIZE(e.volumes); k++) {
        if (e.volumes[k] >= 0)
            close(e.volumes[k]);
        if (e.vhosts[k] >= 0)
            close(e.vhosts[k]);
    }
    if (t->pid < 0)
        return -1;
    if (t->i->backend->boot_patience_ns)
        set_deadline(t, WAITING_FOR_HELLO, t->i->backend->boot_patience_ns);
    return t->i->nports ? start_slirp(t, err) : 0;
}

/* Something has been written to a port: abi/host.h. */
static void kick(const struct tender *t)
{
    if (t->i->backend->kick_signal && !t->gone)
        kill(t->pid, t->i->backend->kick_signal);
}

static void flush_control(struct tender *t)
{
    if (t->control_fd >= 0 && t->control.out.len && control_flush(&t->control, t->control_fd))
        kick(t);
}

static bool tell(struct tender *t, u16 type, const void *payload, u32 len)
{
    bool taken = t->control_fd >= 0 && control_queue(&t->control, type, payload, len, NULL, 0);
    flush_control(t);
    return taken;
}

static void send_window_size(struct tender *t)
{
    struct ctl_winsize size;
    if (terminal_size(&size))
        tell(t, CTL_WINSIZE, &size, sizeof(size));
}

static int catch_signals(struct tender *t, struct error *err)
{
    sigset_t set;
    sigemptyset(&set);
    static const int caught[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGWINCH, SIGCHLD};
    for (size_t i = 0; i < ARRAY_SIZE(caught); i++)
        sigaddset(&set, caught[i]);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a limit on files is an error of the write that meets it */
    sigprocmask(SIG_BLOCK, &set, NULL);
    t->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return t->signal_fd < 0 ? err_errno(err, EXIT_DRUPE, "signalfd") : 0;
}

static void open_streams(struct tender *t)
{
    bool tty = t->i->terminal;
    t->in = xalloc(sizeof(*t->in));
    t->out = xalloc(sizeof(*t->out));
    t->err = xalloc(sizeof(*t->err));
    int in_fd = t->port_fds[0], out_fd = t->port_fds[tty ? 0 : 1];
    stream_init_input(t->in, t->i->use_stdin ? STDIN_FILENO : -1, in_fd);
    t->in->shut = !tty; /* one socket both ways: its end would end the output, too */
    if (t->i->logs)
        stream_init_sink(t->out, out_fd, logs_stdout, t->i->logs);
    else
        stream_init_output(t->out, out_fd, STDOUT_FILENO);
    if (t->i->logs && !tty) {
        stream_init_sink(t->err, t->port_fds[2], logs_stderr, t->i->logs);
    } else if (tty) {
        stream_init_output(t->err, -1, -1);
        t->err->from = -1;
        terminal_raw();
        send_window_size(t);
    } else {
        stream_init_output(t->err, t->port_fds[2], STDERR_FILENO);
    }
}

/* --- the life of it ------------------------------------------------------------------ */

void tender_kill(struct tender *t)
{
    t->killed = true;
    set_deadline(t, WAITING_FOR_NOTHING, 0);
    if (!t->gone)
        kill(t->pid, SIGKILL);
}

/* What is listed is for people to read: that it could not be written ends nothing. */
static void save_entry(struct tender *t)
{
    struct error ignored;
    t->list_at_ns = UINT64_MAX;
    if (t->i->entry && entry_save(t->i->entry, &ignored) < 0)
        say("%s", ignored.text);
}

static void on_started(struct tender *t)
{
    if (t->started)
        return;
    t->started = true;
    if (t->i->entry) {
        entry_set_text(t->i->entry, "State", "running");
        entry_set_now(t->i->entry, "Started");
        entry_set_number(t->i->entry, "InstancePid", t->pid);
        t->list_at_ns = now_ns() + LIST_DELAY_NS;
    }
    if (t->i->started) { /* others will look at once */
        save_entry(t);
        t->i->started(t->i->started_ctx);
    }
}

static const char *on_channel(struct tender *t, u16 type, const void *payload, u32 len)
{
    u32 channel;
    if (len < sizeof(channel))
        return "a channel's message without a number";
    memcpy(&channel, payload, sizeof(channel));
    return channel == SIEVE_CHANNEL ? far_sieve_message(&t->sieve, type, payload, len)
                                    : clients_message(&t->clients, type, payload, len);
}

static void on_message(void *ctx, u16 type, const void *payload, u32 len)
{
    struct tender *t = ctx;
    switch (type) {
    case CTL_HELLO:
        if (len >= sizeof(struct ctl_hello)) {
            struct ctl_hello hello;
            memcpy(&hello, payload, sizeof(hello));
            hello.kernel_version[sizeof(hello.kernel_version) - 1] = 0;
            console_clean(hello.kernel_version, strlen(hello.kernel_version));
            say("kernel %s, up in %.1f ms, %.1f ms after drupe's start", hello.kernel_version,
                (double)hello.boot_ns / 1e6, (double)(now_ns() - t->i->start_ns) / 1e6);
        }
        if (t->waiting == WAITING_FOR_HELLO)
            set_deadline(t, WAITING_FOR_NOTHING, 0);
        break;
    case CTL_STARTED:
        on_started(t);
        say("the program starts, %.1f ms after drupe's start", (double)(now_ns() - t->i->start_ns) / 1e6);
        break;
    case CTL_EXIT:
        if (len >= sizeof(t->end) && !t->ended) {
            memcpy(&t->end, payload, sizeof(t->end));
            t->ended = true;
            set_deadline(t, WAITING_FOR_END, END_PATIENCE_NS);
        }
        break;
    case CTL_CRASH:
        if (t->crash.len < MAX_REPORT)
            buf_add(&t->crash, payload, strnlen(payload, len));
        break;
    case CTL_LOG:
        console_print("drupe: ", payload, len);
        break;
    case CTL_NET:
        if (verbose)
            console_print("drupe: the instance's address: ", payload, MIN(len, 64u));
        break;
    case CTL_OUTPUT_EOF:
        if (len >= sizeof(struct ctl_output_eof)) {
            struct ctl_output_eof e;
            memcpy(&e, payload, sizeof(e));
            if (e.stream == 1 && !t->i->terminal)
                t->out->limit_bytes = e.total_bytes;
            else if (e.stream == 2)
                t->err->limit_bytes = e.total_bytes;
        }
        break;
    case CTL_OPEN:
    case CTL_DATA:
    case CTL_CREDIT:
    case CTL_CLOSE:
        if (!t->control.broken)
            t->control.broken = on_channel(t, type, payload, len);
        break;
    default: /* a newer kernel's: skipped, as abi/control.h says */
        break;
    }
}

static void read_control(struct tender *t)
{
    char bytes[8192];
    ssize_t n = recv(t->control_fd, bytes, sizeof(bytes), MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n < 0 && errno != ECONNRESET)
        warn("control port: %s", strerror(errno));
    if (n > 0)
        control_feed(&t->control, bytes, (size_t)n, on_message, t);
    if (n <= 0 || t->control.broken) {
        close(t->control_fd);
        t->control_fd = -1;
        clients_kernel_gone(&t->clients, "the instance has ended");
        if (t->control.broken) {
            warn("control port: %s", t->control.broken);
            tender_kill(t);
        }
    }
}

static void read_console(struct tender *t)
{
    size_t more = console_keep(&t->console_fd, &t->console);
    if (verbose && more)
        fd_write_all(STDERR_FILENO, t->console.text.data + t->console.text.len - more, more);
}

void tender_signal(struct tender *t, u32 number)
{
    struct ctl_signal s = {.signal = number};
    tell(t, CTL_SIGNAL, &s, sizeof(s));
}

static void on_stop_signal(struct tender *t, u32 number)
{
    tender_signal(t, number);
    if (number == SIGHUP || number == SIGQUIT)
        return;
    bool first = t->stop_requests++ == 0;
    if (!first && number == SIGINT) { /* of SIGTERM, timeout(1) sends two */
        warn("killed");
        tender_kill(t);
    } else if (first && !t->ended) {
        set_deadline(t, WAITING_FOR_STOP, STOP_PATIENCE_NS);
    }
}

void tender_stop(struct tender *t, u64 patience_ns)
{
    t->stop_requests++;
    tender_signal(t, SIGTERM);
    if (!t->ended)
        set_deadline(t, WAITING_FOR_STOP, patience_ns);
}

/* What it was serving answers EIO from now on. */
static void server_ended(struct tender *t, pid_t pid)
{
    for (size_t k = 0; k < t->i->nvolumes; k++) {
        if (t->servers[k] != pid)
            continue;
        t->servers[k] = -1;
        if (!t->gone && !t->ended)
            warn("the server of volume %s ended; the program gets errors from it now", t->i->volumes[k].source);
    }
}

static void reap(struct tender *t)
{
    int status;
    for (siginfo_t si = {0}; waitid(P_ALL, 0, &si, WEXITED | WNOHANG | WNOWAIT) == 0 && si.si_pid; si.si_pid = 0) {
        pid_t pid = si.si_pid;
        if (pid == t->pid) /* its number is its group's as long as nobody has waited for it */
            kill(-pid, SIGKILL);
        if (waitpid(pid, &status, WNOHANG) != pid)
            return;
        if (pid == t->pid) {
            t->gone = true;
            t->wait_status = status;
        } else if (pid == t->slirp) {
            t->slirp = -1;
            if (!t->gone && !t->ended && (WIFSIGNALED(status) || WEXITSTATUS(status)))
                warn("user networking ended (%s %d); the instance has no network any more",
                     WIFSIGNALED(status) ? "signal" : "status", WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
        } else {
            server_ended(t, pid);
        }
    }
}

static void read_signals(struct tender *t)
{
    struct signalfd_siginfo si;
    while (read(t->signal_fd, &si, sizeof(si)) == sizeof(si)) {
        switch (si.ssi_signo) {
        case SIGCHLD:
            reap(t);
            break;
        case SIGWINCH:
            if (t->i->terminal)
                send_window_size(t);
            break;
        case SIGUSR1:
        case SIGUSR2:
            tender_signal(t, si.ssi_signo);
            break;
        default:
            on_stop_signal(t, si.ssi_signo);
        }
    }
}

/* All input has been handed over: say where it ends. */
static void tell_stdin_end(struct tender *t)
{
    if (t->stdin_end_sent || t->i->terminal || !stream_finished(t->in))
        return;
    struct ctl_stdin_eof e = {.total_bytes = t->in->total_bytes};
    t->stdin_end_sent = tell(t, CTL_STDIN_EOF, &e, sizeof(e));
}

static bool all_over(const struct tender *t)
{
    bool streams = t->out->from < 0 && t->err->from < 0 && stream_finished(t->out) && stream_finished(t->err);
    return t->gone && streams && !logs_pending(t->i->logs) && t->control_fd < 0 && t->messages_fd < 0 && t->console_fd < 0;
}

static bool is_silent(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    return fd >= 0 && poll(&p, 1, 0) == 0;
}

/* The process is gone: what it wrote has arrived. Where there is neither a byte nor an end, somebody has inherited
 * the other side, and is not waited for. */
static void leave_silent(struct tender *t)
{
    int *fds[] = {&t->control_fd, &t->console_fd, &t->messages_fd};
    for (size_t k = 0; k < ARRAY_SIZE(fds); k++)
        if (is_silent(*fds[k]))
            close(TAKE_FD(*fds[k]));
    if (is_silent(t->out->from))
        t->out->from = -1;
    if (is_silent(t->err->from))
        t->err->from = -1;
}

/* Lines that wait for their reader. */
static void serve_logs(struct tender *t)
{
    if (!t->i->logs)
        return;
    size_t before = t->i->logs->waiting.len;
    logs_serve(t->i->logs);
    if (!t->gone || !logs_pending(t->i->logs))
        return;
    if (!t->logs_deadline_ns || t->i->logs->waiting.len < before)
        t->logs_deadline_ns = now_ns() + LOGS_PATIENCE_NS;
    else if (t->logs_deadline_ns <= now_ns())
        logs_give_up(t->i->logs);
}

static void on_deadline(struct tender *t)
{
    switch (t->waiting) {
    case WAITING_FOR_HELLO:
        t->stuck = true;
        warn("no word from the kernel within %llu seconds; killed",
             (unsigned long long)t->i->backend->boot_patience_ns / 1000000000);
        break;
    case WAITING_FOR_STOP:
        warn("the program did not stop in time; killed");
        break;
    default:
        break;
    }
    tender_kill(t);
}

static int watch_frames(struct tender *t, struct error *err)
{
    char byte; /* a hang-up looks readable, too */
    if (!t->gone && recv(t->frames_fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 1)
        return start_slirp(t, err);
    close(TAKE_FD(t->frames_fd));
    return 0;
}

static void copy_output(struct stream *s, const char *name)
{
    stream_copy(s);
    if (s->error) {
        warn("%s: %s; what the program writes there is lost", name, strerror(s->error));
        s->error = 0;
    }
}

static int watch(struct tender *t, struct error *err)
{
    while (!all_over(t)) {
        struct pollfd fds[16 + CLIENTS_POLLFDS];
        size_t n = 0;
        int own[] = {t->signal_fd, t->control_fd, t->console_fd, t->messages_fd, t->frames_fd};
        for (size_t i = 0; i < ARRAY_SIZE(own); i++)
            fds[n++] = (struct pollfd){.fd = own[i], .events = POLLIN};
        if (t->control.out.len)
            fds[1].events |= POLLOUT;
        /* After the program's end nobody takes input any more. */
        if (!t->gone && !t->ended)
            n += stream_poll(t->in, fds + n);
        n += stream_poll(t->out, fds + n);
        n += stream_poll(t->err, fds + n);
        u64 deadline_ns = MIN(t->deadline_ns, t->list_at_ns);
        n += clients_poll(&t->clients, fds + n, &deadline_ns);
        if (t->i->logs)
            n += logs_poll(t->i->logs, fds + n, &deadline_ns);
        if (t->logs_deadline_ns)
            deadline_ns = MIN(deadline_ns, t->logs_deadline_ns);
        int timeout_ms = -1;
        if (deadline_ns != UINT64_MAX) {
            u64 now = now_ns();
            timeout_ms = deadline_ns <= now ? 0 : (int)MIN((deadline_ns - now) / 1000000 + 1, 60000u);
        }
        int ready = poll(fds, n, timeout_ms);
        if (ready < 0 && errno != EINTR)
            return err_errno(err, EXIT_DRUPE, "poll");
        if (ready < 0)
            continue;
        if (fds[0].revents)
            read_signals(t);
        if (fds[1].revents & ~POLLOUT)
            read_control(t);
        if (fds[2].revents)
            read_console(t);
        if (fds[3].revents)
            console_keep(&t->messages_fd, &t->messages);
        if (fds[4].revents && t->frames_fd >= 0 && watch_frames(t, err) < 0)
            return -1;
        if (!t->gone && !t->ended && stream_copy(t->in))
            kick(t);
        serve_logs(t);
        copy_output(t->out, "standard output");
        copy_output(t->err, "standard error");
        if (t->list_at_ns != UINT64_MAX && (t->out->total_bytes || t->err->total_bytes || t->list_at_ns <= now_ns()))
            save_entry(t);
        tell_stdin_end(t);
        clients_serve(&t->clients);
        flush_control(t);
        if (t->gone)
            leave_silent(t);
        else if (t->deadline_ns <= now_ns())
            on_deadline(t);
    }
    return 0;
}

/* --- the end ------------------------------------------------------------------------- */

/* SIGKILL came from outside. If it was for want of memory, the cgroup knows. */
static void memory_note(struct buf *how)
{
    u64 kills = cgroup_oom_kills();
    if (kills)
        buf_addf(how, "; this cgroup's memory limit has ended %llu process%s so far", (unsigned long long)kills,
                 kills == 1 ? "" : "es");
    else
        buf_addf(how, "; somebody's kill, or the host had no memory left");
}

static int instance_died(struct tender *t, struct error *err)
{
    const struct backend *backend = t->i->backend;
    if (t->messages.text.len)
        console_print("", t->messages.text.data, t->messages.text.len);
    if (!verbose) {
        warn("the last lines of the %s's console:", backend->name);
        console_print_last(&t->console.text);
    }
    struct buf how = {0};
    backend->explain(t->wait_status, &how);
    if (instance_signal(t->wait_status) == SIGKILL && !t->killed)
        memory_note(&how);
    err_set(err, EXIT_DRUPE, "the %s died%s %s (%s)", backend->name, instance_signal(t->wait_status) ? "" : " without a word",
            t->started ? "while the program ran" : "before the program started", how.data);
    buf_done(&how);
    return -1;
}

/* For who cannot see our standard error. */
static void list_report(struct tender *t, const char *report)
{
    AUTO_FREE char *text = xstrndup(report, MAX_REPORT);
    console_clean(text, strlen(text)); /* UTF-8, as JSON has to be */
    if (t->i->entry)
        entry_set_text(t->i->entry, "CrashReport", text);
}

static int judge(struct tender *t, int *ret_status, struct error *err)
{
    if (t->crash.len) {
        AUTO_FREE char *report = symbols_annotate(t->crash.data, t->i->image_fd);
        console_print("", report, strlen(report));
        list_report(t, report);
    }
    if (!t->ended && t->killed && !t->control.broken && !t->stuck) {
        *ret_status = 128 + SIGKILL;
        return 0;
    }
    if (!t->ended)
        return instance_died(t, err);
    say("the program ended: code %u, signal %u", t->end.code, t->end.signal);
    if (t->end.kind == CTL_EXIT_PANIC)
        return err_set(err, EXIT_DRUPE, "the kernel gave up");
    if (t->end.signal) {
        u32 number = t->end.signal & 127;
        if (t->end.kind == CTL_EXIT_NORMAL && t->stop_requests == 0)
            warn("the program was ended by SIG%s (signal %u, %s)", sigabbrev_np((int)number) ?: "RT", number,
                 strsignal((int)number));
        *ret_status = 128 + (int)number;
    } else {
        *ret_status = (int)(t->end.code & 255);
    }
    return 0;
}

static void finish(struct tender *t)
{
    terminal_restore();
    if (t->pid > 0 && !t->gone) {
        kill(t->pid, SIGKILL);
        waitpid(t->pid, NULL, 0);
    }
    int fds[] = {t->control_fd, t->console_fd, t->messages_fd, t->frames_fd, t->signal_fd,
                 t->port_fds[0], t->port_fds[1], t->port_fds[2]};
    for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
        if (fds[i] >= 0)
            close(fds[i]);
    if (t->slirp > 0) { /* it ends by itself with the frames, at once */
        kill(t->slirp, SIGTERM);
        waitpid(t->slirp, NULL, 0);
    }
    for (size_t k = 0; k < t->i->nvolumes; k++) {
        if (t->servers[k] > 0) {
            kill(t->servers[k], SIGTERM);
            waitpid(t->servers[k], NULL, 0);
        }
    }
    if (t->in) {
        stream_done(t->out);
        stream_done(t->err);
    }
    clients_done(&t->clients);
    far_sieve_close(&t->sieve);
    free(t->in);
    free(t->out);
    free(t->err);
    control_done(&t->control);
    buf_done(&t->console.text);
    buf_done(&t->messages.text);
    buf_done(&t->crash);
}

/* Others may look at what is left, or find nothing any more. */
static void list_end(struct tender *t, int status, const char *problem)
{
    struct entry *e = t->i->entry;
    struct error err;
    if (!e)
        return;
    entry_set_text(e, "State", "exited");
    entry_set_number(e, "ExitCode", status);
    entry_set_text(e, "Error", problem);
    entry_set_now(e, "Finished");
    if (t->i->logs && t->i->logs->lost_bytes)
        entry_set_number(e, "LogBytesLost", (s64)t->i->logs->lost_bytes);
    if (!entry_flag(e, "AutoRemove"))
        save_entry(t);
    else if (entry_remove(e, &err) < 0)
        warn("%s", err.text);
    services_tell_end(t, status);
}

int instance_run(const struct instance *i, int *ret_status, struct error *err)
{
    struct tender t = {.i = i, .pid = -1, .slirp = -1, .control_fd = -1, .console_fd = -1, .messages_fd = -1,
                       .frames_fd = -1, .port_fds = {-1, -1, -1}, .signal_fd = -1, .list_at_ns = UINT64_MAX, .deadline_ns = UINT64_MAX};
    int result = -1, listen_fd = i->entry ? entry_listen(i->entry, err) : -1;
    clients_init(&t.clients, listen_fd, tender_services, &t, &t.control);
    if ((!i->entry || listen_fd >= 0) && catch_signals(&t, err) == 0 && start(&t, err) == 0) {
        open_streams(&t);
        trim_memory();
        if (watch(&t, err) == 0)
            result = judge(&t, ret_status, err);
    }
    list_end(&t, result == 0 ? *ret_status : err->code, result == 0 ? "" : err->text);
    finish(&t);
    return result;
}
