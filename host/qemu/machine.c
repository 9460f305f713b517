/* SPDX-License-Identifier: Apache-2.0 */
/* One instance in QEMU: see machine.h. */
#include "host/qemu/machine.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <termios.h>

#include "host/image/symbols.h"
#include "host/lib/child.h"
#include "host/lib/fs.h"
#include "host/qemu/argv.h"
#include "host/qemu/control.h"
#include "host/qemu/stream.h"

#define CONSOLE_KEPT 16384u
#define STOP_PATIENCE_NS 10000000000ull /* after the first SIGINT or SIGTERM */
#define END_PATIENCE_NS 2000000000ull   /* after CTL_EXIT */
#define MAX_TEXT 65536u

struct tender {
    const struct machine *m;
    pid_t qemu, slirp;
    int qemu_status;
    bool qemu_gone, killed;
    int control_fd, console_fd, messages_fd, frames_fd; /* our ends; -1 when closed */
    int port_fds[3];                                    /* stdin (or tty), stdout, stderr */
    int signal_fd;
    struct control control;
    struct stream *in, *out, *err;
    bool stdin_end_sent;
    struct buf console, messages; /* last bytes of the UART; what QEMU itself says */
    bool started, ended;
    struct ctl_exit end;
    struct buf crash;
    unsigned stop_requests;
    u64 deadline_ns; /* kill then; UINT64_MAX = never */
    u64 start_ns;
};

/* --- the terminal ------------------------------------------------------------------ */

static struct termios saved_termios;
static bool raw_mode;

static void terminal_restore(void)
{
    if (raw_mode)
        tcsetattr(STDIN_FILENO, TCSADRAIN, &saved_termios);
    raw_mode = false;
}

static void terminal_raw(void)
{
    if (tcgetattr(STDIN_FILENO, &saved_termios) < 0)
        return;
    struct termios raw = saved_termios;
    cfmakeraw(&raw);
    static bool registered;
    if (!registered)
        registered = atexit(terminal_restore) == 0;
    raw_mode = tcsetattr(STDIN_FILENO, TCSADRAIN, &raw) == 0;
}

static void send_window_size(struct tender *t)
{
    struct winsize ws;
    if (ioctl(STDIN_FILENO, TIOCGWINSZ, &ws) < 0)
        return;
    struct ctl_winsize size = {ws.ws_row, ws.ws_col, ws.ws_xpixel, ws.ws_ypixel};
    control_send(t->control_fd, CTL_WINSIZE, &size, sizeof(size));
}

/* --- starting ---------------------------------------------------------------------- */

static int socket_pair(int ret[2], struct error *err)
{
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ret) < 0)
        return err_errno(err, EXIT_DRUPE, "socketpair");
    return 0;
}

static int start_slirp(struct tender *t, struct error *err)
{
    struct strv argv = {0};
    struct child_fd fds[MAX_PORTS + 1] = {{t->frames_fd, 3}};
    strv_add(&argv, t->m->slirp);
    strv_add(&argv, "3");
    for (size_t i = 0; i < t->m->nports; i++) {
        const struct port *p = &t->m->ports[i];
        fds[i + 1] = (struct child_fd){p->fd, 4 + (int)i};
        strv_addf(&argv, "%s:%d:%u", p->udp ? "udp" : "tcp", 4 + (int)i, p->guest);
    }
    t->slirp = child_start(argv.items, fds, t->m->nports + 1, true, err);
    strv_done(&argv);
    if (t->slirp < 0)
        return err_prefix(err, "user networking");
    close(t->frames_fd);
    t->frames_fd = -1;
    for (size_t i = 0; i < t->m->nports; i++) {
        close(t->m->ports[i].fd);
        t->m->ports[i].fd = -1;
    }
    return 0;
}

static int start_qemu(struct tender *t, struct error *err)
{
    const struct machine *m = t->m;
    int control[2], console[2], port[3][2], frames[2] = {-1, -1}, messages[2];
    unsigned nports = m->terminal ? 1 : 3;
    struct child_fd fds[16] = {{m->image_fd, QFD_IMAGE}, {m->config_fd, QFD_CONFIG}};
    size_t n = 2;
    if (socket_pair(control, err) < 0 || socket_pair(console, err) < 0)
        return -1;
    for (unsigned i = 0; i < nports; i++)
        if (socket_pair(port[i], err) < 0)
            return -1;
    if (pipe2(messages, O_CLOEXEC) < 0)
        return err_errno(err, EXIT_DRUPE, "pipe");
    if (m->net == NET_MODE_USER) {
        if (socket_pair(frames, err) < 0)
            return -1;
        fds[n++] = (struct child_fd){frames[1], QFD_FRAMES};
        t->frames_fd = frames[0];
        if (m->nports && start_slirp(t, err) < 0)
            return -1;
    }
    fds[n++] = (struct child_fd){console[1], QFD_CONSOLE};
    fds[n++] = (struct child_fd){control[1], QFD_CONTROL};
    for (unsigned i = 0; i < nports; i++) {
        fds[n++] = (struct child_fd){port[i][1], QFD_STDIN + (int)i};
        t->port_fds[i] = port[i][0];
    }
    fds[n++] = (struct child_fd){messages[1], 1};
    fds[n++] = (struct child_fd){messages[1], 2};
    struct strv argv = {0};
    qemu_argv(m, &argv);
    if (verbose) {
        struct buf line = {0};
        for (size_t i = 0; i < argv.count; i++)
            buf_addf(&line, " %s", argv.items[i]);
        say("machine:%s", line.data);
        buf_done(&line);
    }
    t->qemu = child_start(argv.items, fds, n, true, err);
    bool missing = t->qemu < 0 && errno == ENOENT;
    strv_done(&argv);
    close(control[1]);
    close(console[1]);
    close(messages[1]);
    for (unsigned i = 0; i < nports; i++)
        close(port[i][1]);
    if (frames[1] >= 0)
        close(frames[1]);
    t->control_fd = control[0];
    t->console_fd = console[0];
    t->messages_fd = messages[0];
    if (missing)
        return err_set(err, EXIT_DRUPE, "qemu-system-x86_64 is not installed; install it (Debian: apt install qemu-system-x86)");
    return t->qemu < 0 ? -1 : 0;
}

static int catch_signals(struct tender *t, struct error *err)
{
    sigset_t set;
    sigemptyset(&set);
    static const int caught[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGWINCH, SIGCHLD};
    for (size_t i = 0; i < ARRAY_SIZE(caught); i++)
        sigaddset(&set, caught[i]);
    signal(SIGPIPE, SIG_IGN);
    sigprocmask(SIG_BLOCK, &set, NULL);
    t->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return t->signal_fd < 0 ? err_errno(err, EXIT_DRUPE, "signalfd") : 0;
}

static int open_streams(struct tender *t)
{
    bool tty = t->m->terminal;
    t->in = xalloc(sizeof(*t->in));
    t->out = xalloc(sizeof(*t->out));
    t->err = xalloc(sizeof(*t->err));
    int in_fd = t->port_fds[0], out_fd = t->port_fds[tty ? 0 : 1];
    fcntl(in_fd, F_SETFL, O_NONBLOCK);
    stream_init_input(t->in, t->m->use_stdin ? STDIN_FILENO : -1, in_fd);
    t->in->shut = !tty; /* one socket both ways: its end would end the output, too */
    stream_init_output(t->out, out_fd, STDOUT_FILENO);
    if (tty) {
        stream_init_output(t->err, -1, -1);
        t->err->from = -1;
        terminal_raw();
        send_window_size(t);
    } else {
        stream_init_output(t->err, t->port_fds[2], STDERR_FILENO);
    }
    return 0;
}

/* --- the life of it ------------------------------------------------------------------ */

static void kill_machine(struct tender *t)
{
    t->killed = true;
    t->deadline_ns = UINT64_MAX;
    if (!t->qemu_gone)
        kill(t->qemu, SIGKILL);
}

static void print_text(const char *what, const void *text, size_t len)
{
    AUTO_FREE char *copy = xstrndup(text, MIN(len, MAX_TEXT));
    char *to = copy;
    for (const char *p = copy; *p; p++)
        if (*p != '\r')
            *to++ = *p;
    *to = 0;
    for (char *p = copy; *p; p++)
        if ((*p < ' ' && *p != '\n' && *p != '\t') || *p == 127)
            *p = '?'; /* an instance does not write escapes to our terminal through our messages */
    size_t n = strlen(copy);
    while (n && copy[n - 1] == '\n')
        copy[--n] = 0;
    struct buf out = {0};
    buf_addf(&out, "%s%s\n", what, copy);
    fd_write_all(STDERR_FILENO, out.data, out.len);
    buf_done(&out);
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
            say("kernel %s, up in %.1f ms, %.1f ms after the start of drupe's part", hello.kernel_version,
                (double)hello.boot_ns / 1e6, (double)(now_ns() - t->start_ns) / 1e6);
        }
        break;
    case CTL_STARTED:
        t->started = true;
        break;
    case CTL_EXIT:
        if (len >= sizeof(t->end) && !t->ended) {
            memcpy(&t->end, payload, sizeof(t->end));
            t->ended = true;
            t->deadline_ns = MIN(t->deadline_ns, now_ns() + END_PATIENCE_NS);
        }
        break;
    case CTL_CRASH:
        if (t->crash.len < MAX_TEXT)
            buf_add(&t->crash, payload, strnlen(payload, len));
        break;
    case CTL_LOG:
        print_text("drupe: ", payload, len);
        break;
    case CTL_NET:
        say("the instance's address: %.*s", (int)MIN(len, 64u), (const char *)payload);
        break;
    case CTL_OUTPUT_EOF:
        if (len >= sizeof(struct ctl_output_eof)) {
            struct ctl_output_eof e;
            memcpy(&e, payload, sizeof(e));
            if (e.stream == 1 && !t->m->terminal)
                t->out->limit_bytes = e.total_bytes;
            else if (e.stream == 2)
                t->err->limit_bytes = e.total_bytes;
        }
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
        if (t->control.broken) {
            warn("control port: %s", t->control.broken);
            kill_machine(t);
        }
    }
}

/* Keep the last bytes of a stream. Returns how many are new: they are the last of those kept. */
static size_t keep(int *fd, struct buf *b)
{
    char bytes[4096];
    ssize_t n = read(*fd, bytes, sizeof(bytes));
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (n <= 0) {
        close(*fd);
        *fd = -1;
        return 0;
    }
    if (b->len + (size_t)n > CONSOLE_KEPT) {
        size_t drop = MIN(b->len, b->len + (size_t)n - CONSOLE_KEPT / 2);
        memmove(b->data, b->data + drop, b->len - drop);
        b->len -= drop;
    }
    buf_add(b, bytes, (size_t)n);
    return (size_t)n;
}

static void read_console(struct tender *t)
{
    size_t more = keep(&t->console_fd, &t->console);
    if (verbose && more)
        fd_write_all(STDERR_FILENO, t->console.data + t->console.len - more, more);
}

static void forward_signal(struct tender *t, u32 number)
{
    struct ctl_signal s = {.signal = number};
    if (t->control_fd >= 0)
        control_send(t->control_fd, CTL_SIGNAL, &s, sizeof(s));
}

static void on_stop_signal(struct tender *t, u32 number)
{
    forward_signal(t, number);
    if (number == SIGHUP || number == SIGQUIT)
        return;
    if (++t->stop_requests > 1) {
        warn("killed");
        kill_machine(t);
    } else if (!t->ended) {
        t->deadline_ns = now_ns() + STOP_PATIENCE_NS;
    }
}

static void reap(struct tender *t)
{
    int status;
    for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
        if (pid == t->qemu) {
            t->qemu_gone = true;
            t->qemu_status = status;
        } else if (pid == t->slirp) {
            t->slirp = -1;
            if (!t->qemu_gone && !t->ended && (WIFSIGNALED(status) || WEXITSTATUS(status)))
                warn("user networking ended (%s %d); the instance has no network any more",
                     WIFSIGNALED(status) ? "signal" : "status", WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
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
            if (t->m->terminal && t->control_fd >= 0)
                send_window_size(t);
            break;
        case SIGUSR1:
        case SIGUSR2:
            forward_signal(t, si.ssi_signo);
            break;
        default:
            on_stop_signal(t, si.ssi_signo);
        }
    }
}

/* All input has been handed over: say where it ends. */
static void tell_stdin_end(struct tender *t)
{
    if (t->stdin_end_sent || t->m->terminal || !stream_finished(t->in) || t->control_fd < 0)
        return;
    struct ctl_stdin_eof e = {.total_bytes = t->in->total_bytes};
    t->stdin_end_sent = control_send(t->control_fd, CTL_STDIN_EOF, &e, sizeof(e));
}

static bool all_over(const struct tender *t)
{
    bool streams = t->out->from < 0 && t->err->from < 0 && stream_finished(t->out) && stream_finished(t->err);
    return t->qemu_gone && streams && t->control_fd < 0 && t->messages_fd < 0 && t->console_fd < 0;
}

static int watch(struct tender *t, struct error *err)
{
    while (!all_over(t)) {
        struct pollfd fds[16];
        size_t n = 0;
        int own[] = {t->signal_fd, t->control_fd, t->console_fd, t->messages_fd, t->frames_fd};
        for (size_t i = 0; i < ARRAY_SIZE(own); i++)
            fds[n++] = (struct pollfd){.fd = own[i], .events = POLLIN};
        /* After the machine's end nobody takes input any more. */
        if (!t->qemu_gone && !t->ended)
            n += stream_poll(t->in, fds + n);
        n += stream_poll(t->out, fds + n);
        n += stream_poll(t->err, fds + n);
        int timeout_ms = -1;
        if (t->deadline_ns != UINT64_MAX) {
            u64 now = now_ns();
            timeout_ms = t->deadline_ns <= now ? 0 : (int)MIN((t->deadline_ns - now) / 1000000 + 1, 60000u);
        }
        int ready = poll(fds, n, timeout_ms);
        if (ready < 0 && errno != EINTR)
            return err_errno(err, EXIT_DRUPE, "poll");
        if (ready < 0)
            continue;
        if (t->deadline_ns <= now_ns() && !t->qemu_gone) {
            if (!t->ended)
                warn("the program did not stop within 10 seconds; killed");
            kill_machine(t);
        }
        if (fds[0].revents)
            read_signals(t);
        if (fds[1].revents)
            read_control(t);
        if (fds[2].revents)
            read_console(t);
        if (fds[3].revents)
            keep(&t->messages_fd, &t->messages);
        if (fds[4].revents && t->frames_fd >= 0) {
            char byte; /* a hang-up looks readable, too */
            if (!t->qemu_gone && recv(t->frames_fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 1) {
                if (start_slirp(t, err) < 0)
                    return -1;
            } else {
                close(t->frames_fd);
                t->frames_fd = -1;
            }
        }
        if (!t->qemu_gone && !t->ended)
            stream_copy(t->in);
        stream_copy(t->out);
        stream_copy(t->err);
        tell_stdin_end(t);
    }
    return 0;
}

/* --- the end ------------------------------------------------------------------------- */

static void print_last_lines(const struct tender *t)
{
    const char *p = t->console.data ? t->console.data : "";
    unsigned lines = 0;
    for (size_t i = t->console.len; i > 0; i--) {
        if (p[i - 1] == '\n' && i < t->console.len && ++lines == 30) {
            p += i;
            break;
        }
    }
    if (*p)
        print_text("", p, strlen(p));
    else
        warn("the console is empty");
}

static int machine_died(struct tender *t, struct error *err)
{
    if (t->messages.len)
        print_text("qemu: ", t->messages.data, t->messages.len);
    if (!verbose) {
        warn("the last lines of the machine's console:");
        print_last_lines(t);
    }
    const char *what = t->started ? "while the program ran" : "before the program started";
    if (WIFSIGNALED(t->qemu_status))
        return err_set(err, EXIT_DRUPE, "the machine died %s (QEMU: signal %d, %s)", what, WTERMSIG(t->qemu_status),
                       strsignal(WTERMSIG(t->qemu_status)));
    return err_set(err, EXIT_DRUPE, "the machine died without a word %s (QEMU's exit status: %d)", what,
                   WEXITSTATUS(t->qemu_status));
}

static int judge(struct tender *t, int *ret_status, struct error *err)
{
    if (t->crash.len) {
        AUTO_FREE char *report = symbols_annotate(t->crash.data, t->m->image_fd);
        print_text("", report, strlen(report));
    }
    if (!t->ended && t->killed && !t->control.broken) {
        *ret_status = 128 + SIGKILL;
        return 0;
    }
    if (!t->ended)
        return machine_died(t, err);
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
    if (t->qemu > 0 && !t->qemu_gone) {
        kill(t->qemu, SIGKILL);
        waitpid(t->qemu, NULL, 0);
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
    if (t->in) {
        stream_done(t->out);
        stream_done(t->err);
    }
    free(t->in);
    free(t->out);
    free(t->err);
    control_done(&t->control);
    buf_done(&t->console);
    buf_done(&t->messages);
    buf_done(&t->crash);
}

int machine_run(const struct machine *m, int *ret_status, struct error *err)
{
    struct tender t = {.m = m, .qemu = -1, .slirp = -1, .control_fd = -1, .console_fd = -1, .messages_fd = -1,
                       .frames_fd = -1, .port_fds = {-1, -1, -1}, .signal_fd = -1, .deadline_ns = UINT64_MAX,
                       .start_ns = now_ns()};
    int result = -1;
    if (catch_signals(&t, err) == 0 && start_qemu(&t, err) == 0 && open_streams(&t) == 0 && watch(&t, err) == 0)
        result = judge(&t, ret_status, err);
    finish(&t);
    return result;
}
