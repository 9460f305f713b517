/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Terminals. tty.c: the terminal as a file (reading, writing, polling); tty_ioctl.c: ioctl_tty(2);
 * tty_session.c: controlling terminals; tty_ldisc.c: the line discipline N_TTY of termios(4). What a terminal is the
 * front of: console.c (a port of the host), pty.c and devpts.c (a master, pty(7); a build may leave them out).
 *
 * Input: port or master -> tty_receive() -> tty_input() -> ring -> read(). So ^C works while nobody reads.
 * The ring holds bytes tail..head-1; in canonical mode only tail..canon-1, whole lines, may
 * be read. A bit in `delim` marks the last byte of a line, one in `eof` that this byte is
 * an end of file and not data.
 *
 * Output: write() -> tty_output() -> port->ops->write(). A byte that became several of which the port took only
 * some is finished by the next writer (`rest`).
 *
 * Life: a reference for each open file, one for the session whose terminal it is, one for the master or the console. A terminal
 * that hung up stays so: reads end, writes and ioctls fail with EIO.
 */
#ifndef TTY_IMPL_H
#define TTY_IMPL_H

#include "fs_impl.h"
#include "kern/chardev.h"
#include "kern/wait.h"
#include "kern/work.h"

#define TTY_RING 4096u
#define TTY_NCC 19
#define TTY_EXPANSION 8u /* bytes that output processing makes of one, at most */

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
#define PARMRK 0000010u
#define ISTRIP 0000040u
#define INLCR 0000100u
#define IGNCR 0000200u
#define ICRNL 0000400u
#define IUCLC 0001000u
#define IXON 0002000u
#define IXANY 0004000u
#define IMAXBEL 0020000u
#define IUTF8 0040000u
/* c_oflag */
#define OPOST 0000001u
#define OLCUC 0000002u
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
#define ECHOPRT 0002000u
#define ECHOKE 0004000u
#define IEXTEN 0100000u
#define EXTPROC 0200000u

/* What a master in packet mode is told (ioctl_tty(2), TIOCPKT). */
#define TIOCPKT_FLUSHREAD 1u
#define TIOCPKT_FLUSHWRITE 2u
#define TIOCPKT_STOP 4u
#define TIOCPKT_START 8u
#define TIOCPKT_NOSTOP 16u
#define TIOCPKT_DOSTOP 32u
#define TIOCPKT_IOCTL 64u

struct termios { /* Linux's struct termios of TCGETS */
    u32 iflag, oflag, cflag, lflag;
    u8 line, cc[TTY_NCC];
};

struct tty;
/* What is behind a terminal, but for its port's bytes. Thread context. */
struct tty_driver {
    u64 (*dev)(const struct tty *t);             /* its number */
    void (*room)(struct tty *t);                 /* input was read: more may come */
    void (*flush_output)(struct tty *t);         /* throw away what nobody has seen yet; t->lock held */
    void (*status)(struct tty *t, u32 packet);   /* TIOCPKT_*; t->lock held */
    void (*opened)(struct tty *t);               /* one more file */
    void (*closed)(struct tty *t);
    void (*destroy)(struct tty *t);
};

struct tty {
    const struct tty_driver *driver;
    struct chardev *port;
    struct refcount refs;
    struct mutex write_lock;       /* one writer at a time; before `lock` */
    u8 rest[TTY_EXPANSION], nrest; /* write_lock */
    struct mutex lock;             /* everything below unless noted */
    struct termios tio, locked;    /* locked: what TCSET* leaves as it is */
    u32 speed;
    u16 winsize[4];                /* rows, columns, and both in pixels */
    u32 pgrp, session;             /* ttys_lock; read without */
    struct list session_node;      /* ttys_lock */
    u32 head, tail, canon;         /* poll reads them without */
    u32 column, canon_column;      /* of the cursor, and where the line being typed begins */
    bool stopped, lnext, erasing;  /* stopped: poll and writers read it without. erasing: ECHOPRT's backslash is out */
    bool hung_up;                  /* once and for all; read without */
    bool exclusive[2];             /* atomic: of the terminal; of its master, which is opened once anyway */
    struct waitqueue readable, writable;
    u8 delim[TTY_RING / 8], eof[TTY_RING / 8];
    u8 ring[TTY_RING];
};

/* --- tty_ldisc.c: lock held unless noted --- */
/* One byte in. Returns a signal for the foreground group, or 0. */
int tty_input(struct tty *t, u8 c);
/* How many bytes tty_input() takes before any is lost. */
u32 tty_room(const struct tty *t);
void tty_flush_input(struct tty *t);
void tty_set_stopped(struct tty *t, bool stopped);
/* Output processing of one byte. */
size_t tty_output(struct tty *t, u8 c, char out[TTY_EXPANSION]);
bool tty_readable(const struct tty *t, u32 min); /* no lock needed */
u32 tty_available(const struct tty *t);          /* FIONREAD */
/* Take up to `room` bytes; *ret_end: a line (or EOF) ended. */
size_t tty_take(struct tty *t, u8 *buf, size_t room, bool *ret_end);
/* The modes changed. */
void tty_mode_changed(struct tty *t, const struct termios *old);

/* --- tty.c --- */
extern const struct file_ops tty_ops;
/* A terminal in caller's storage with one reference, in the state that a terminal begins with. */
void tty_init(struct tty *t, const struct tty_driver *d, struct chardev *port);
void tty_put(struct tty *t);
/* f becomes an open file of t, whose reference it takes over; also on failure. */
int tty_open(struct tty *t, struct file *f);
/* Bytes typed; returns how many there was room for. Sends signals, wakes readers. */
size_t tty_receive(struct tty *t, const u8 *buf, size_t n);
/* The other side is gone for good. */
void tty_hangup(struct tty *t);

/* --- tty_ioctl.c --- */
s64 tty_ioctl(struct file *f, u32 cmd, uaddr_t arg);
/* The ioctls that the master passes on to its terminal. */
s64 tty_common_ioctl(struct tty *t, struct file *f, bool master, u32 cmd, uaddr_t arg);

/* --- tty_session.c --- */
/* 0, or why the current process must not use the terminal now: it is in the background. */
int tty_check_background(const struct tty *t, int sig);
void tty_signal_foreground(const struct tty *t, int sig);
/* The current process' controlling terminal, referenced; NULL: none. */
struct tty *tty_current(void);
/* A file of t was opened without O_NOCTTY: it may become the session's. */
void tty_may_take(struct tty *t);
s64 tty_session_ioctl(struct tty *t, struct file *f, bool master, u32 cmd, uaddr_t arg);
/* t hung up: its session has no terminal any more, and is told. */
void tty_session_hangup(struct tty *t);

#define TIOCSCTTY 0x540eu
#define TIOCGPGRP 0x540fu
#define TIOCSPGRP 0x5410u
#define TIOCNOTTY 0x5422u
#define TIOCGSID 0x5429u

#endif
