/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sending: one message at a time under a mutex; a tender that takes nothing for
 * SEND_STALL_NS ends the conversation, because half a message cannot be taken back.
 * Receiving: the init thread, in a loop. What the tender sends is checked for magic,
 * version, length and, for the types known here, exact size.
 */
#include "control.h"

#include "base/fmt.h"
#include "base/str.h"
#include "kern/channel.h"
#include "kern/chardev.h"
#include "kern/linux.h"
#include "kern/log.h"
#include "kern/slab.h"
#include "kern/thread.h"

#define SEND_STALL_NS (10 * NSEC_PER_SEC)

static struct chardev *port;      /* constant once open */
static struct mutex send_lock;
static bool silent;               /* send_lock: the conversation has ended */
static u32 ending;                /* atomic: machine_end() has begun */
struct tty *control_tty;

/* --- sending ----------------------------------------------------------------------- */

static bool port_gone(void) { return port->host_was_open && !atomic_load(&port->host_open); }

/* Signals do not interrupt this: a program thread that is being killed may be the sender. */
static bool send_bytes(const void *data, size_t len)
{
    const u8 *p = data;
    while (len > 0) {
        size_t n = port->ops->write(port, p, len);
        p += n;
        len -= n;
        if (len > 0 && n == 0 &&
            (wait_event_until(&port->wq, port->ops->can_write(port) || port_gone(), now_ns() + SEND_STALL_NS) != 0 ||
             port_gone()))
            return false;
    }
    return true;
}

/* One message of two pieces. False: the conversation has ended. */
static bool send_two(enum ctl_type type, const void *head, size_t head_len, const void *data, size_t len)
{
    if (port == NULL)
        return false;
    u8 small[sizeof(struct ctl_header) + sizeof(struct ctl_hello)];
    size_t n = sizeof(struct ctl_header) + head_len;
    struct ctl_header h = {
        .magic = CTL_MAGIC, .version = CTL_VERSION, .type = (u16)type, .len = (u32)MIN(head_len + len, (size_t)CTL_MAX_LEN),
    };
    memcpy(small, &h, sizeof(h));
    memcpy(small + sizeof(h), head, head_len);
    len = h.len - head_len;
    mutex_lock(&send_lock);
    if (len > 0 && len <= sizeof(small) - n) { /* the usual: one piece, one doorbell */
        memcpy(small + n, data, len);
        n += len;
        len = 0;
    }
    bool ok = !silent && send_bytes(small, n) && send_bytes(data, len);
    if (!ok && !silent) {
        silent = true;
        klog(LOG_WARN, "control port: the tender takes no more messages");
    }
    mutex_unlock(&send_lock);
    return ok;
}

static void send(enum ctl_type type, const void *payload, size_t len) { send_two(type, NULL, 0, payload, len); }

void control_started(void) { send(CTL_STARTED, "", 0); }

void control_text(enum ctl_type type, const char *text)
{
    if (port != NULL && port->ops->can_write(port))
        send(type, text, strlen(text));
}

void control_notice(const char *text)
{
    control_text(CTL_LOG, text);
    klog(LOG_INFO, "%s", text);
}

/* A panic: no locks, no sleeping. A message cut by the panic loses the conversation, and the tender says so. */
static void report_panic(const char *text, size_t len)
{
    if (port->ops->write_sync == NULL)
        return;
    struct ctl_header h = {
        .magic = CTL_MAGIC, .version = CTL_VERSION, .type = CTL_CRASH, .len = (u32)MIN(len, (size_t)CTL_MAX_LEN),
    };
    struct {
        struct ctl_header h;
        struct ctl_exit e;
    } end = {
        { CTL_MAGIC, CTL_VERSION, CTL_EXIT, sizeof(struct ctl_exit) },
        { .code = 134, .kind = CTL_EXIT_PANIC },
    };
    port->ops->write_sync(port, &h, sizeof(h));
    port->ops->write_sync(port, text, h.len);
    port->ops->write_sync(port, &end, sizeof(end));
}

/* The program has closed one of its output streams; the port itself stays open. */
static void output_closed(struct chardev *c)
{
    struct ctl_output_eof e = { .total_bytes = c->tx_bytes };
    if (strcmp(c->name, PORT_STDOUT) == 0)
        e.stream = 1;
    else if (strcmp(c->name, PORT_STDERR) == 0)
        e.stream = 2;
    else
        return;
    send(CTL_OUTPUT_EOF, &e, sizeof(e));
}

void control_open(void)
{
    mutex_init(&send_lock, "control");
    port = chardev_find(PORT_CONTROL);
    if (port == NULL)
        return;
    struct ctl_hello hello = { .boot_ns = now_ns() };
    str_copy(hello.kernel_version, DRUPE_VERSION, sizeof(hello.kernel_version));
    send(CTL_HELLO, &hello, sizeof(hello));
    channel_transport = send_two;
    panic_report = report_panic;
    chardev_closed = output_closed;
}

/* --- receiving ----------------------------------------------------------------------- */

/* All of len bytes; `to` NULL = throw them away. False at the port's end. */
static bool receive(void *to, u32 len)
{
    u8 sink[64];
    for (u32 done = 0; done < len;) {
        u32 want = to != NULL ? len - done : MIN(len - done, (u32)sizeof(sink));
        s64 n = chardev_read(port, to != NULL ? (u8 *)to + done : sink, want, false);
        if (n <= 0)
            return false;
        done += (u32)n;
    }
    return true;
}

static void handle_signal(const struct ctl_signal *s)
{
    int err = s->signal > 64 ? -EINVAL : linux_signal(s->pid, (int)s->signal);
    if (err != 0)
        klog(LOG_INFO, "control port: signal %u for process %u: error %d", s->signal, s->pid, -err);
}

static void handle_stdin_eof(u64 total_bytes)
{
    struct chardev *c = chardev_find(PORT_STDIN);
    if (c != NULL)
        chardev_set_eof(c, total_bytes);
}

static bool broken(const char *what, u32 type, u32 len)
{
    char why[160];
    fmt_snprintf(why, sizeof(why), "control port: %s (message type %u, %u bytes); not listening any more", what, type, len);
    control_notice(why);
    return false;
}

static bool handle_channel(u16 type, u32 len)
{
    if (len > sizeof(struct ctl_open) + MAX(CTL_PART_MAX, CTL_NAME_MAX + CTL_ARGS_MAX))
        return broken("a channel's message is too long", type, len);
    void *payload = kmalloc(len + 1, 0);
    if (payload == NULL) /* the other side's account of the channel would go wrong unseen */
        return broken("no memory for it", type, len);
    const char *problem = receive(payload, len) ? channel_message(type, payload, len) : "cut off";
    kfree(payload);
    return problem == NULL || broken(problem, type, len);
}

/* The payload of a known type, in its exact size. False ends the conversation. */
static bool handle(u16 type, u32 len)
{
    union {
        struct ctl_signal signal;
        struct ctl_winsize winsize;
        struct ctl_stdin_eof eof;
    } m = { 0 };
    u32 want;
    switch (type) {
    case CTL_SIGNAL: want = sizeof(m.signal); break;
    case CTL_WINSIZE: want = sizeof(m.winsize); break;
    case CTL_STDIN_EOF: want = len == 0 ? 0 : sizeof(m.eof); break;
    case CTL_OPEN:
    case CTL_DATA:
    case CTL_CREDIT:
    case CTL_CLOSE: return handle_channel(type, len);
    default: return receive(NULL, len);
    }
    if (len != want)
        return broken("another length is expected", type, len);
    if (!receive(&m, len))
        return false;
    if (type == CTL_SIGNAL)
        handle_signal(&m.signal);
    else if (type == CTL_WINSIZE && control_tty != NULL)
        tty_set_winsize(control_tty, m.winsize.rows, m.winsize.cols);
    else if (type == CTL_STDIN_EOF)
        handle_stdin_eof(m.eof.total_bytes);
    return true;
}

void control_serve(void)
{
    struct ctl_header h;
    while (port != NULL && receive(&h, sizeof(h))) {
        if (h.magic != CTL_MAGIC || h.version != CTL_VERSION || h.len > CTL_MAX_LEN) {
            char why[100];
            fmt_snprintf(why, sizeof(why), "control port: bad message (magic %#x, version %u, %u bytes); not listening any more",
                         h.magic, h.version, h.len);
            control_notice(why);
            break;
        }
        if (!handle(h.type, h.len))
            break;
    }
    channel_hang_up_all();
}

/* --- the end ------------------------------------------------------------------------- */

static void drain_port(struct chardev *c, void *ctx)
{
    if (c->ops->drain != NULL && !(c->host_was_open && !atomic_load(&c->host_open)))
        c->ops->drain(c);
}

void machine_end(enum ctl_exit_kind kind, int code, int signal, const char *report)
{
    while (atomic_xchg(&ending, 1u) != 0) /* somebody else is at it and will not come back */
        thread_sleep_until(NEVER_NS, false);
    if (report != NULL && report[0] != '\0') {
        if (port == NULL || kind == CTL_EXIT_PANIC)
            log_text("%s%s", report, report[strlen(report) - 1] == '\n' ? "" : "\n");
        send(CTL_CRASH, report, strlen(report));
    }
    chardev_for_each(drain_port, NULL); /* output first, so that the end is the last thing heard */
    struct ctl_exit e = { .code = (u32)code, .signal = (u32)signal, .kind = (u32)kind };
    send(CTL_EXIT, &e, sizeof(e));
    if (port != NULL)
        port->ops->drain(port);
    plat_power_off(signal != 0 ? 128 + signal : code);
}

void boot_fail(const char *format, ...)
{
    char text[512];
    va_list ap;
    va_start(ap, format);
    int n = fmt_snprintf(text, sizeof(text), "drupe: ");
    fmt_vsnprintf(text + n, sizeof(text) - (size_t)n, format, ap);
    va_end(ap);
    machine_end(CTL_EXIT_PANIC, 125, 0, text);
}
