/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stands in for the kernel of an instance that is a process: it checks what abi/host.h promises, tells standard
 * output what it got, and does what the last argument of the program in the configuration says
 * (as fake_qemu.py does for a machine). Freestanding, so that it finds the process as the kernel does.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "abi/control.h"
#include "abi/host.h"

static struct host_boot *boot;
static const char *config;
static int control = -1, in = -1, out = -1, error = -1;

/* --- the least that C needs ----------------------------------------------------------- */

static long call(long nr, long a, long b, long c, long d, long e, long f)
{
    long result;
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    register long r9 __asm__("r9") = f;
    __asm__ volatile("syscall" : "=a"(result) : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
}
#define CALL(nr, a, b, c) call(SYS_##nr, (long)(a), (long)(b), (long)(c), 0, 0, 0)

void *memcpy(void *to, const void *from, size_t n);
void *memset(void *to, int c, size_t n);
void *memcpy(void *to, const void *from, size_t n)
{
    for (size_t i = 0; i < n; i++)
        ((char *)to)[i] = ((const char *)from)[i];
    return to;
}
void *memset(void *to, int c, size_t n)
{
    for (size_t i = 0; i < n; i++)
        ((char *)to)[i] = (char)c;
    return to;
}

static size_t length(const char *s)
{
    size_t n = 0;
    while (s[n])
        n++;
    return n;
}

static bool same(const char *a, const char *b)
{
    while (*a && *a == *b)
        a++, b++;
    return *a == *b;
}

__attribute__((noreturn)) static void leave(int status)
{
    for (;;)
        CALL(exit_group, status, 0, 0);
}

static void wait_for(int fd, short events)
{
    struct pollfd p = {fd, events, 0};
    CALL(poll, &p, 1, -1);
}

static void sleep_seconds(long seconds)
{
    long t[2] = {seconds, 0};
    CALL(nanosleep, t, 0, 0);
}

/* False: nobody reads any more. */
static bool write_all(int fd, const void *data, size_t len)
{
    for (const char *p = data; len;) {
        long n = CALL(write, fd, p, len);
        if (n == -EAGAIN)
            wait_for(fd, POLLOUT);
        else if (n < 0)
            return false;
        else
            p += n, len -= (size_t)n;
    }
    return true;
}

static void print(int fd, const char *text) { write_all(fd, text, length(text)); }

static void print_number(int fd, unsigned long n, unsigned base)
{
    char digits[24], *p = digits + sizeof(digits);
    *--p = 0;
    do
        *--p = "0123456789abcdef"[n % base];
    while (n /= base);
    print(fd, p);
}

__attribute__((noreturn)) static void broken(const char *what)
{
    print(HOST_FD_CONSOLE, "not as promised: ");
    print(HOST_FD_CONSOLE, what);
    print(HOST_FD_CONSOLE, "\n");
    leave(99);
}

static long read_some(int fd, void *data, size_t len)
{
    for (;;) {
        long n = CALL(read, fd, data, len);
        if (n != -EAGAIN)
            return n;
        wait_for(fd, POLLIN);
    }
}

/* --- what was promised ------------------------------------------------------------------ */

static void check_device(const struct host_device *d, unsigned place)
{
    long flags = CALL(fcntl, d->fd, F_GETFL, 0);
    if (d->fd != HOST_FD_FIRST_DEVICE + place || flags < 0)
        broken("a device's descriptor");
    if (d->kind == HOST_BLOCK && (!(d->flags & HOST_READ_ONLY) || (flags & O_ACCMODE) != O_RDONLY || d->size_bytes < 4096))
        broken("the root image");
    if (d->kind != HOST_BLOCK && d->kind != HOST_SIEVE && !(flags & O_NONBLOCK))
        broken("a device that blocks");
    if ((d->kind == HOST_TAP || d->kind == HOST_FRAMES) && ((d->mac[0] & 3) != 2 || d->mtu < 1280))
        broken("a network card");
    if (d->kind != HOST_PORT)
        return;
    if (same(d->name, PORT_CONTROL))
        control = (int)d->fd;
    else if (same(d->name, PORT_STDIN))
        in = (int)d->fd;
    else if (same(d->name, PORT_STDOUT))
        out = (int)d->fd;
    else if (same(d->name, PORT_STDERR))
        error = (int)d->fd;
    else if (same(d->name, PORT_TTY))
        in = out = error = (int)d->fd;
    else
        broken("a port's name");
}

static void check_everything(long argc, char **argv)
{
    const size_t window = 2u << 20;
    long seals = CALL(fcntl, HOST_FD_MEMORY, F_GET_SEALS, 0);
    boot = (struct host_boot *)call(SYS_mmap, 0, (long)window, PROT_READ | PROT_WRITE, MAP_SHARED, HOST_FD_MEMORY, 0);
    if ((unsigned long)boot > -4096ul || boot->magic != HOST_BOOT_MAGIC || boot->version != HOST_BOOT_VERSION)
        broken("the block");
    if (call(SYS_mmap, 0, 4096, PROT_READ | PROT_EXEC, MAP_SHARED, HOST_FD_MEMORY, (long)boot->memory_bytes - 4096) < 0)
        broken("memory that may be executed");
    if (CALL(lseek, HOST_FD_MEMORY, 0, 2 /* SEEK_END */) != (long)boot->memory_bytes || boot->memory_bytes % window)
        broken("the memory's size");
    if (seals < 0 || (seals & (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)) != (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL))
        broken("the memory's seals");
    const char *text = (const char *)boot;
    config = text + boot->config_offset;
    if (boot->cmdline_offset < HOST_BOOT_SIZE || text[boot->cmdline_offset + boot->cmdline_len] || config[0] != '{' ||
        boot->config_offset + boot->config_len > window)
        broken("command line and configuration");
    if (argc != 1 || argv[argc + 1])
        broken("one argument and no environment");
    for (unsigned i = 0; i < boot->ndevices; i++)
        check_device(&boot->devices[i], i);
    for (int fd = 0; fd < 1024; fd++) {
        bool listed = fd >= HOST_FD_CONSOLE && fd < HOST_FD_FIRST_DEVICE + (int)boot->ndevices;
        if ((CALL(fcntl, fd, F_GETFD, 0) == 0) != listed)
            broken(listed ? "a descriptor that is missing" : "a descriptor that is not listed");
    }
    if (control < 0 || in < 0)
        broken("the ports");
}

/* The last string of the array "args", unescaped as far as the tests need it. */
static const char *last_argument(void)
{
    static char word[4096];
    size_t i = 0, n = 0;
    while (!(config[i] == '"' && config[i + 1] == 'a' && config[i + 2] == 'r' && config[i + 3] == 'g' && config[i + 4] == 's'))
        i++;
    for (i += 6; config[i] != ']'; i++) {
        if (config[i] != '"')
            continue;
        for (n = 0, i++; config[i] != '"' && n < sizeof(word) - 1; i++) {
            if (config[i] == '\\')
                i++;
            word[n++] = config[i - 1] == '\\' && config[i] == 'n' ? '\n' : config[i];
        }
        word[n] = 0;
    }
    return word;
}

/* --- the control protocol --------------------------------------------------------------- */

static void send_as(unsigned magic, unsigned type, const void *payload, unsigned len, unsigned said)
{
    struct ctl_header h = {.magic = magic, .version = CTL_VERSION, .type = (uint16_t)type, .len = said};
    write_all(control, &h, sizeof(h));
    write_all(control, payload, len);
}

static void send(unsigned type, const void *payload, unsigned len) { send_as(CTL_MAGIC, type, payload, len, len); }
static void send_text(unsigned type, const char *text) { send(type, text, (unsigned)length(text)); }

__attribute__((noreturn)) static void end(unsigned code, unsigned number, unsigned kind)
{
    struct ctl_exit e = {code, number, kind, 0};
    send(CTL_EXIT, &e, sizeof(e));
    leave(1);
}

static void read_whole(void *data, size_t len)
{
    for (char *p = data; len;) {
        long n = read_some(control, p, len);
        if (n <= 0)
            leave(9);
        p += n;
        len -= (size_t)n;
    }
}

static unsigned receive(void *payload)
{
    struct ctl_header h;
    read_whole(&h, sizeof(h));
    read_whole(payload, h.len);
    return h.type;
}

/* --- what the argument asks for ----------------------------------------------------------- */

static void tell(void)
{
    print(out, "memory ");
    print_number(out, boot->memory_bytes, 10);
    print(out, "\ncmdline ");
    print(out, (const char *)boot + boot->cmdline_offset);
    for (unsigned i = 0; i < boot->ndevices; i++) {
        const struct host_device *d = &boot->devices[i];
        print(out, "\ndevice ");
        print_number(out, d->kind, 10);
        print(out, " ");
        print(out, d->name);
        print(out, d->flags & HOST_TSO ? " tso" : "");
    }
    print(out, "\nuid ");
    print_number(out, (unsigned long)CALL(getuid, 0, 0, 0), 10);
    print(out, " pid ");
    print_number(out, (unsigned long)CALL(getpid, 0, 0, 0), 10);
    print(out, " files ");
    print_number(out, (unsigned long)-CALL(open, "/proc/self/status", O_RDONLY, 0), 10);
    print(out, "\nready\n");
}

static void echo(void)
{
    static char bytes[65536];
    unsigned long done = 0;
    struct ctl_stdin_eof e = {.total_bytes = ~0ul};
    while (done < e.total_bytes) {
        struct pollfd p[2] = {{in, POLLIN, 0}, {control, POLLIN, 0}};
        CALL(poll, p, 2, -1);
        long n = p[0].revents ? CALL(read, in, bytes, sizeof(bytes)) : 0;
        if (n > 0) {
            done += (unsigned long)n;
            write_all(out, bytes, (size_t)n);
        } else if (p[1].revents || p[0].revents) {
            while (receive(bytes) != CTL_STDIN_EOF)
                ;
            memcpy(&e, bytes, sizeof(e));
        }
    }
    end(done == e.total_bytes ? 0 : 1, 0, 0);
}

static void on_terminal(void)
{
    char payload[256];
    struct ctl_winsize size;
    for (int sizes = 0; sizes < 2;) {
        if (receive(payload) != CTL_WINSIZE)
            continue;
        memcpy(&size, payload, sizeof(size));
        print(out, "size ");
        print_number(out, size.rows, 10);
        print(out, "x");
        print_number(out, size.cols, 10);
        print(out, "\r\n");
        sizes++;
    }
    read_some(in, payload, 1);
    print(out, "got ");
    print_number(out, (unsigned char)payload[0], 10);
    print(out, "\r\n");
    end(5, 0, 0);
}

static void forbidden_call(void)
{
    struct sock_filter kill[] = {{BPF_RET | BPF_K, 0, 0, SECCOMP_RET_KILL_PROCESS}};
    struct sock_fprog program = {1, kill};
    CALL(prctl, PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
    CALL(getpid, 0, 0, 0);
}

static void wait_for_signal(void)
{
    char payload[256];
    struct ctl_signal s;
    print(out, "ready\n");
    while (receive(payload) != CTL_SIGNAL)
        ;
    memcpy(&s, payload, sizeof(s));
    end(0, s.signal, 0);
}

static void big(void)
{
    static char bytes[65536];
    for (int i = 0; i < 160; i++) {
        memset(bytes, i, sizeof(bytes));
        write_all(out, bytes, sizeof(bytes));
    }
    end(0, 0, 0);
}

/* All memory, one page after the other. */
static void eat(void)
{
    long start = call(SYS_mmap, 0, (long)boot->memory_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, HOST_FD_MEMORY, 0);
    print(HOST_FD_CONSOLE, "eating\n");
    for (uint64_t at = HOST_BOOT_SIZE; at < boot->memory_bytes; at += 4096)
        *(volatile char *)(start + (long)at) = 1;
    end(0, 0, 0);
}

static void behave(const char *what)
{
    if (same(what, "exit3")) {
        write_all(out, "to stdout\0\xff\n", 12);
        print(error, "to stderr\n");
        end(3, 0, 0);
    } else if (same(what, "longline")) {
        for (int i = 0; i < 4000; i++)
            write_all(out, "0123456789", 10);
        print(out, "\nafter\n");
        end(0, 0, 0);
    } else if (same(what, "lines")) {
        for (int i = 0; i < 5000; i++) {
            char line[16] = "line ";
            int n = 5;
            for (int unit = i >= 1000 ? 1000 : i >= 100 ? 100 : i >= 10 ? 10 : 1; unit > 0; unit /= 10)
                line[n++] = (char)('0' + i / unit % 10);
            line[n++] = '\n';
            write_all(out, line, (unsigned long)n);
        }
        end(0, 0, 0);
    } else if (same(what, "tell")) {
        tell();
        sleep_seconds(60);
    } else if (same(what, "big")) {
        big();
    } else if (same(what, "echo")) {
        echo();
    } else if (same(what, "segv")) {
        send_text(CTL_CRASH, "program: SIGSEGV at 0 in main+4\n\x1b[31m");
        end(0, SIGSEGV, 0);
    } else if (what[0] == 'a' && what[1] == 't' && what[2] == ' ') {
        send_text(CTL_CRASH, what);
        end(0, SIGSEGV, 0);
    } else if (same(what, "noexec")) {
        send_text(CTL_CRASH, "/prog: No such file or directory");
        end(127, 0, CTL_EXIT_NOEXEC);
    } else if (same(what, "panic")) {
        send_text(CTL_CRASH, "panic: the sky fell");
        end(125, 0, CTL_EXIT_PANIC);
    } else if (same(what, "signal")) {
        wait_for_signal();
    } else if (same(what, "stubborn")) {
        print(out, "ready\n");
        sleep_seconds(100);
    } else if (same(what, "lingers")) { /* says that it has ended, and stays */
        struct ctl_exit e = {4, 0, 0, 0};
        send(CTL_EXIT, &e, sizeof(e));
        sleep_seconds(100);
    } else if (same(what, "badmagic")) {
        send_as(1, CTL_EXIT, "", 0, 0);
        sleep_seconds(30);
    } else if (same(what, "toolong")) {
        send_as(CTL_MAGIC, CTL_LOG, "", 0, 1 << 20);
        sleep_seconds(30);
    } else if (same(what, "log")) {
        send_text(CTL_LOG, "system call 999 is missing");
        send_text(200, "from the future");
        end(0, 0, 0);
    } else if (same(what, "flood")) { /* messages that nobody knows, without an end */
        static char bytes[CTL_MAX_LEN];
        for (;;)
            send(201, bytes, sizeof(bytes));
    } else if (same(what, "garbage")) {
        write_all(control, boot, HOST_BOOT_SIZE);
        sleep_seconds(30);
    } else if (same(what, "endless")) {
        while (write_all(out, "y\ny\ny\ny\ny\ny\ny\ny\n", 16))
            ;
        end(0, SIGPIPE, 0);
    } else if (same(what, "closes")) {
        struct ctl_output_eof e = {1, 0, 4};
        print(out, "all\n");
        send(CTL_OUTPUT_EOF, &e, sizeof(e));
        sleep_seconds(30);
        end(0, 0, 0);
    } else if (same(what, "tty")) {
        on_terminal();
    } else if (same(what, "forbidden")) {
        forbidden_call();
    } else if (same(what, "eat")) {
        eat();
    } else if (same(what, "fault")) {
        *(volatile char *)8 = 1;
    } else if (same(what, "orphan")) { /* somebody stays behind with all descriptors */
        if (CALL(fork, 0, 0, 0) == 0)
            sleep_seconds(100);
        leave(7);
    } else if (same(what, "bomb")) {
        long n = 0, pid;
        while ((pid = CALL(fork, 0, 0, 0)) > 0 && n < 100000)
            n++;
        if (pid == 0) // the control port is its parent's alone
            sleep_seconds(100);
        end(n < 100000 ? 0 : 1, 0, 0);
    }
}

__attribute__((noreturn, used)) static void begin(long *stack)
{
    struct ctl_hello hello = {.kernel_version = "fake", .boot_ns = 1000000};
    check_everything(stack[0], (char **)(stack + 1));
    const char *what = last_argument();
    struct { long handler, flags, restorer, mask; } ignore = {1, 0, 0, 0};
    call(SYS_rt_sigaction, SIGPIPE, (long)&ignore, 0, 8, 0, 0);
    print(HOST_FD_CONSOLE, "first line \x1b[31mof the console\xc2\x9b" "31m\nlast line of the console\n");
    if (same(what, "mute"))
        sleep_seconds(100);
    if (!same(what, "silent")) {
        send(CTL_HELLO, &hello, sizeof(hello));
        send(CTL_STARTED, "", 0);
    }
    behave(what);
    leave(7);
}

__asm__(".globl _start\n_start: xor %ebp, %ebp\n mov %rsp, %rdi\n and $-16, %rsp\n call begin\n");
