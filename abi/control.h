/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The control protocol between an instance and its tender, over the port
 * "drupe.control". Little-endian. Each side treats the other as hostile: a message
 * with a wrong magic, version, type, or a length over CTL_MAX_LEN ends the
 * conversation with a reason; unknown types of a known version are skipped.
 *
 *   0       4        6       8         12
 *   | magic | version | type | len_bytes | payload ... |
 */
#ifndef ABI_CONTROL_H
#define ABI_CONTROL_H

#include <stdint.h>

#define CTL_MAGIC 0x50555244u /* "DRUP" */
#define CTL_VERSION 1
#define CTL_MAX_LEN 65536u

/* Port names (virtio-serial). */
#define PORT_CONTROL "drupe.control"
#define PORT_STDIN "drupe.stdin"
#define PORT_STDOUT "drupe.stdout"
#define PORT_STDERR "drupe.stderr"
#define PORT_TTY "drupe.tty" /* with -t, instead of the three */

struct ctl_header {
    uint32_t magic;
    uint16_t version;
    uint16_t type;
    uint32_t len; /* of the payload */
};

enum ctl_type {
    /* instance -> tender */
    CTL_HELLO = 1,  /* struct ctl_hello: the kernel runs */
    CTL_STARTED,    /* empty: the program has been entered */
    CTL_EXIT,       /* struct ctl_exit: last message; the machine powers off after it */
    CTL_CRASH,      /* UTF-8 text: crash report of the program or panic of the kernel */
    CTL_LOG,        /* UTF-8 text: something the user should know (missing call, ...) */
    CTL_NET,        /* UTF-8 text: address obtained, "192.0.2.7/24" */
    CTL_OUTPUT_EOF, /* struct ctl_output_eof: the program has closed this stream for good */
    /* tender -> instance */
    CTL_SIGNAL = 64, /* struct ctl_signal */
    CTL_WINSIZE,     /* struct ctl_winsize */
    CTL_STDIN_EOF,   /* struct ctl_stdin_eof, or empty = end at once: no more standard input will come */
};

struct ctl_hello {
    char kernel_version[32]; /* NUL-padded */
    uint64_t boot_ns;        /* monotonic time since the kernel's start */
};

struct ctl_exit {
    uint32_t code;   /* exit status, 0..255 */
    uint32_t signal; /* the signal that killed the program, or 0 */
    uint32_t kind;   /* enum ctl_exit_kind */
    uint32_t reserved;
};
enum ctl_exit_kind {
    CTL_EXIT_NORMAL,  /* code or signal hold */
    CTL_EXIT_NOEXEC,  /* the program could not be started; code is 126 or 127, CTL_CRASH said why */
    CTL_EXIT_PANIC,   /* the kernel gave up; CTL_CRASH said why */
};

struct ctl_signal {
    uint32_t signal;
    uint32_t pid; /* 0 = the first process */
};

struct ctl_winsize {
    uint16_t rows, cols, xpixel, ypixel;
};

/* The two ports are not ordered against each other, so the end of input is a
 * place in the stream: the program sees it behind that many bytes. */
struct ctl_stdin_eof {
    uint64_t total_bytes; /* written to the stdin port since the start */
};

/* The same for output: the reader sees the end behind that many bytes. */
struct ctl_output_eof {
    uint32_t stream; /* 1 = stdout, 2 = stderr */
    uint32_t reserved;
    uint64_t total_bytes; /* written to that port since the start */
};

#endif
