/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The control protocol between an instance and its tender, over the port
 * "drupe.control". Little-endian. Each side treats the other as hostile: a message
 * with a wrong magic, version, type, or a length over CTL_MAX_LEN ends the
 * conversation with a reason; unknown types of a known version are skipped.
 *
 *   0       4        6       8         12
 *   | magic | version | type | len_bytes | payload ... |
 *
 * Channels. Besides its own few messages the port carries up to CTL_CHANNELS_MAX
 * conversations between clients (`drupe stats`, `drupe strace`, ...) and services of
 * the kernel, named by a string; one more may be the tender's own (abi/sieve.h). The tender opens one, with a number that no open one has;
 * then both sides send parts (CTL_DATA) until either closes it with a reason; a
 * part for a channel that is closed is ignored, because the two may cross.
 *
 *   - A message is any number of parts; all but its last carry CTL_MORE.
 *   - Flow: a part costs CTL_PART_COST(len). What a sender has spent since the opening
 *     never exceeds what CTL_CREDIT allowed last (a total since the opening, so it only
 *     grows); the start is ctl_open.window towards the client and CTL_WINDOW towards the instance.
 *     So no reader that stops can fill the port: its own channel stops, nothing else.
 *   - The receiver's memory is bounded by the window it gave.
 *
 * A client reaches the tender by a Unix socket (SOCK_SEQPACKET, one of these messages
 * in each packet, docs/INSTANCES.md) that carries one channel: CTL_OPEN, CTL_DATA and
 * CTL_CLOSE with the same payloads, channel and window 0 and ignored; the socket's own
 * back-pressure stands for CTL_CREDIT.
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
    /* both ways */
    CTL_OPEN = 32,  /* struct ctl_open, then its name and arguments; never from the instance */
    CTL_DATA,       /* struct ctl_data, then 0..CTL_PART_MAX bytes */
    CTL_CREDIT,     /* struct ctl_credit */
    CTL_CLOSE,      /* struct ctl_close, then UTF-8 text: why (may be empty) */
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

/* --- channels --- */

#define CTL_CHANNELS_MAX 16u
#define CTL_PART_MAX 8192u
#define CTL_WINDOW 32768u        /* first credit towards the instance */
#define CTL_WINDOW_MAX (1u << 20) /* largest ctl_open.window; the smallest is one part: CTL_PART_COST(CTL_PART_MAX) */
#define CTL_NAME_MAX 31u
#define CTL_ARGS_MAX 4096u
#define CTL_REASON_MAX 500u
#define CTL_PART_COST(len) ((uint64_t)(len) + sizeof(struct ctl_header) + sizeof(struct ctl_data))

struct ctl_open {
    uint32_t channel;
    uint32_t window;   /* first credit towards the client */
    uint32_t name_len; /* 1..CTL_NAME_MAX bytes of name, then 0..CTL_ARGS_MAX of arguments */
};

struct ctl_data {
    uint32_t channel;
    uint32_t flags; /* CTL_MORE; other bits are 0 */
};
#define CTL_MORE 1u

struct ctl_credit {
    uint32_t channel;
    uint32_t reserved;
    uint64_t total; /* allowed since the opening */
};

struct ctl_close {
    uint32_t channel;
    uint32_t error; /* errno of Linux; 0 = done */
};

#endif
