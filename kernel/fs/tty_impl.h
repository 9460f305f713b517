/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The terminal, in two files: tty.c (files, ioctls, the port), tty_ldisc.c (the line
 * discipline N_TTY of termios(4)).
 *
 * Input: port -> a work item -> tty_input() -> ring -> read(). So ^C works while nobody reads.
 * The ring holds bytes tail..head-1; in canonical mode only tail..canon-1, whole lines, may
 * be read. A bit in `delim` marks the last byte of a line, one in `eof` that this byte is
 * an end of file and not data.
 */
#ifndef TTY_IMPL_H
#define TTY_IMPL_H

#include "fs_impl.h"
#include "kern/chardev.h"
#include "kern/wait.h"
#include "kern/work.h"

#define TTY_RING 4096u
#define TTY_NCC 19

#define SIGHUP 1
#define SIGINT 2
#define SIGQUIT 3
#define SIGCONT 18
#define SIGTSTP 20
#define SIGTTIN 21
#define SIGTTOU 22
#define SIGWINCH 28

enum { VINTR, VQUIT, VERASE, VKILL, VEOF, VTIME, VMIN, VSWTC, VSTART, VSTOP, VSUSP, VEOL, VREPRINT, VDISCARD, VWERASE,
       VLNEXT, VEOL2 };

/* c_iflag */
#define ISTRIP 0000040u
#define INLCR 0000100u
#define IGNCR 0000200u
#define ICRNL 0000400u
#define IXON 0002000u
#define IXANY 0004000u
#define IMAXBEL 0020000u
#define IUTF8 0040000u
/* c_oflag */
#define OPOST 0000001u
#define ONLCR 0000004u
#define OCRNL 0000010u
#define ONOCR 0000020u
#define ONLRET 0000040u
#define XTABS 0014000u
/* c_lflag */
#define ISIG 0000001u
#define ICANON 0000002u
#define ECHO 0000010u
#define ECHOE 0000020u
#define ECHOK 0000040u
#define ECHONL 0000100u
#define NOFLSH 0000200u
#define TOSTOP 0000400u
#define ECHOCTL 0001000u
#define ECHOKE 0004000u
#define IEXTEN 0100000u

struct termios { /* Linux's struct termios of TCGETS */
    u32 iflag, oflag, cflag, lflag;
    u8 line, cc[TTY_NCC];
};

struct tty {
    struct chardev *port;
    struct mutex lock;             /* everything below unless noted */
    struct termios tio;
    u32 speed;
    u16 rows, cols;
    u32 pgrp, session;
    u32 head, tail, canon;         /* poll reads them without */
    u32 column;
    bool stopped, lnext;           /* stopped: poll and writers read it without */
    bool hung_up;
    struct waitqueue readable, writable;
    struct waiter port_waiter;
    struct work work;
    u8 delim[TTY_RING / 8], eof[TTY_RING / 8];
    u8 ring[TTY_RING];
};

/* One byte from the host. lock held. Returns a signal for the foreground group, or 0. */
int tty_input(struct tty *t, u8 c);
void tty_flush_input(struct tty *t); /* lock held */
/* Output processing: at most 8 bytes for one. lock held. */
size_t tty_output(struct tty *t, u8 c, char out[8]);
bool tty_readable(const struct tty *t, u32 min);
/* Take up to `room` bytes; *ret_end: a line (or EOF) ended. lock held. */
size_t tty_take(struct tty *t, u8 *buf, size_t room, bool *ret_end);
/* The mode changed between canonical and not. lock held. */
void tty_mode_changed(struct tty *t, u32 old_lflag);

#endif
