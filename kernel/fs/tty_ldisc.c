/* SPDX-License-Identifier: Apache-2.0 */
/* The line discipline: editing, echo, signals and output processing of termios(4). */
#include "tty_impl.h"

#define DISABLED 0u /* _POSIX_VDISABLE */

static inline u8 *at(struct tty *t, u32 pos) { return &t->ring[pos % TTY_RING]; }
static inline bool bit(const u8 *map, u32 pos) { return (map[pos % TTY_RING / 8] >> (pos % 8) & 1) != 0; }

static void set_bit8(u8 *map, u32 pos, bool on)
{
    u8 mask = (u8)(1u << (pos % 8)), *b = &map[pos % TTY_RING / 8];
    *b = on ? *b | mask : *b & (u8)~mask;
}

static inline bool is(const struct tty *t, u8 c, unsigned which)
{
    return t->tio.cc[which] != DISABLED && c == t->tio.cc[which];
}

/* --- output -------------------------------------------------------------------- */

size_t tty_output(struct tty *t, u8 c, char out[8])
{
    u32 o = t->tio.oflag;
    size_t n = 0;
    if ((o & OPOST) == 0) {
        out[0] = (char)c;
        return 1;
    }
    switch (c) {
    case '\n':
        if ((o & ONLCR) != 0)
            out[n++] = '\r';
        if ((o & (ONLCR | ONLRET)) != 0)
            t->column = 0;
        break;
    case '\r':
        if ((o & ONOCR) != 0 && t->column == 0)
            return 0;
        t->column = 0;
        if ((o & OCRNL) != 0)
            c = '\n';
        break;
    case '\t':
        if ((o & XTABS) == XTABS) {
            do
                out[n++] = ' ';
            while ((++t->column & 7) != 0);
            return n;
        }
        t->column = (t->column | 7) + 1;
        break;
    case '\b':
        if (t->column > 0)
            t->column--;
        break;
    default:
        if (c >= ' ' && c != 127 && ((t->tio.iflag & IUTF8) == 0 || (c & 0xc0) != 0x80))
            t->column++;
    }
    out[n++] = (char)c;
    return n;
}

/* Echo is lost when the port is full: nobody may wait for it. */
static void echo_raw(struct tty *t, u8 c)
{
    char out[8];
    size_t n = tty_output(t, c, out);
    if (n > 0)
        t->port->ops->write(t->port, out, n);
}

static void echo(struct tty *t, u8 c)
{
    if ((t->tio.lflag & ECHOCTL) != 0 && (c < ' ' || c == 127) && c != '\t' && c != '\n') {
        echo_raw(t, '^');
        echo_raw(t, c ^ 0100);
    } else {
        echo_raw(t, c);
    }
}

/* --- editing ------------------------------------------------------------------- */

static bool store(struct tty *t, u8 c, bool delim, bool eof)
{
    if (t->head - t->tail >= TTY_RING - (delim ? 0u : 1u)) {
        if ((t->tio.iflag & IMAXBEL) != 0)
            echo_raw(t, '\a');
        return false;
    }
    *at(t, t->head) = c;
    set_bit8(t->delim, t->head, delim);
    set_bit8(t->eof, t->head, eof);
    atomic_store(&t->head, t->head + 1);
    return true;
}

static unsigned shown_width(const struct tty *t, u8 c)
{
    if ((c < ' ' || c == 127) && c != '\t')
        return (t->tio.lflag & ECHOCTL) != 0 ? 2 : 0;
    if ((t->tio.iflag & IUTF8) != 0 && (c & 0xc0) == 0x80)
        return 0;
    return 1;
}

/* Take the last character of the unfinished line back. */
static void erase_one(struct tty *t)
{
    u8 c;
    if (t->head == t->canon)
        return;
    unsigned width = 0;
    do {
        atomic_store(&t->head, t->head - 1);
        c = *at(t, t->head);
        width += shown_width(t, c);
    } while ((t->tio.iflag & IUTF8) != 0 && (c & 0xc0) == 0x80 && t->head != t->canon);
    if ((t->tio.lflag & ECHO) == 0)
        return;
    if ((t->tio.lflag & ECHOE) == 0) {
        echo(t, t->tio.cc[VERASE]);
        return;
    }
    for (; width > 0; width--) {
        echo_raw(t, '\b');
        echo_raw(t, ' ');
        echo_raw(t, '\b');
    }
}

static void erase_word(struct tty *t)
{
    while (t->head != t->canon && (*at(t, t->head - 1) == ' ' || *at(t, t->head - 1) == '\t'))
        erase_one(t);
    while (t->head != t->canon && *at(t, t->head - 1) != ' ' && *at(t, t->head - 1) != '\t')
        erase_one(t);
}

static void kill_line(struct tty *t)
{
    u32 l = t->tio.lflag;
    if ((l & ECHO) != 0 && (l & (ECHOE | ECHOKE)) == (ECHOE | ECHOKE)) {
        while (t->head != t->canon)
            erase_one(t);
        return;
    }
    atomic_store(&t->head, t->canon);
    if ((l & ECHO) != 0) {
        echo(t, t->tio.cc[VKILL]);
        if ((l & ECHOK) != 0)
            echo_raw(t, '\n');
    }
}

static void reprint(struct tty *t)
{
    echo(t, t->tio.cc[VREPRINT]);
    echo_raw(t, '\n');
    for (u32 k = t->canon; k != t->head; k++)
        echo(t, *at(t, k));
}

static void end_line(struct tty *t, u8 c, bool eof)
{
    if (store(t, c, true, eof))
        atomic_store(&t->canon, t->head);
}

/* True when c edited or ended the line. */
static bool canonical(struct tty *t, u8 c)
{
    u32 l = t->tio.lflag;
    bool ext = (l & IEXTEN) != 0;
    if (is(t, c, VERASE)) {
        erase_one(t);
    } else if (is(t, c, VKILL)) {
        kill_line(t);
    } else if (ext && is(t, c, VWERASE)) {
        erase_word(t);
    } else if (ext && is(t, c, VLNEXT)) {
        t->lnext = true;
        if ((l & ECHO) != 0 && (l & ECHOCTL) != 0) {
            echo_raw(t, '^');
            echo_raw(t, '\b');
        }
    } else if (ext && is(t, c, VREPRINT) && (l & ECHO) != 0) {
        reprint(t);
    } else if (is(t, c, VEOF)) {
        end_line(t, 0, true);
    } else if (c == '\n' || is(t, c, VEOL) || (ext && is(t, c, VEOL2))) {
        if ((l & ECHO) != 0 || (c == '\n' && (l & ECHONL) != 0))
            echo(t, c);
        end_line(t, c, false);
    } else {
        return false;
    }
    return true;
}

static int signal_of(const struct tty *t, u8 c)
{
    return is(t, c, VINTR) ? SIGINT : is(t, c, VQUIT) ? SIGQUIT : is(t, c, VSUSP) ? SIGTSTP : 0;
}

void tty_flush_input(struct tty *t)
{
    atomic_store(&t->tail, t->head);
    atomic_store(&t->canon, t->head);
    t->lnext = false;
}

static void set_stopped(struct tty *t, bool stopped)
{
    if (t->stopped == stopped)
        return;
    atomic_store(&t->stopped, stopped);
    if (!stopped)
        wq_wake_all(&t->writable, POLLOUT | POLLWRNORM);
}

int tty_input(struct tty *t, u8 c)
{
    u32 i = t->tio.iflag, l = t->tio.lflag;
    if ((i & ISTRIP) != 0)
        c &= 0x7f;
    if (!t->lnext) {
        if ((i & IXON) != 0) {
            if (is(t, c, VSTART) || is(t, c, VSTOP)) {
                set_stopped(t, is(t, c, VSTOP) && !(t->stopped && is(t, c, VSTART)));
                return 0;
            }
            if ((i & IXANY) != 0)
                set_stopped(t, false);
        }
        int sig = (l & ISIG) != 0 ? signal_of(t, c) : 0;
        if (sig != 0) {
            if ((l & NOFLSH) == 0)
                tty_flush_input(t);
            set_stopped(t, false);
            if ((l & ECHO) != 0)
                echo(t, c);
            return sig;
        }
        if (c == '\r') {
            if ((i & IGNCR) != 0)
                return 0;
            if ((i & ICRNL) != 0)
                c = '\n';
        } else if (c == '\n' && (i & INLCR) != 0) {
            c = '\r';
        }
        if ((l & ICANON) != 0 && canonical(t, c))
            return 0;
    }
    t->lnext = false;
    if (store(t, c, false, false) && (l & ECHO) != 0)
        echo(t, c);
    return 0;
}

/* --- reading -------------------------------------------------------------------- */

bool tty_readable(const struct tty *t, u32 min)
{
    u32 tail = atomic_load(&t->tail);
    if ((t->tio.lflag & ICANON) != 0)
        return atomic_load(&t->canon) != tail;
    return atomic_load(&t->head) - tail >= (min > 0 ? min : 1);
}

size_t tty_take(struct tty *t, u8 *buf, size_t room, bool *ret_end)
{
    bool canon = (t->tio.lflag & ICANON) != 0;
    u32 end = canon ? t->canon : t->head;
    size_t n = 0;
    *ret_end = false;
    while (n < room && t->tail != end && !*ret_end) {
        u32 pos = t->tail;
        atomic_store(&t->tail, pos + 1);
        *ret_end = canon && bit(t->delim, pos);
        if (!bit(t->eof, pos))
            buf[n++] = *at(t, pos);
    }
    return n;
}

/* What was typed becomes readable at once, or a line begins behind it. */
void tty_mode_changed(struct tty *t, u32 old_lflag)
{
    if (((old_lflag ^ t->tio.lflag) & ICANON) == 0)
        return;
    if ((t->tio.lflag & ICANON) != 0 && t->head != t->tail)
        set_bit8(t->delim, t->head - 1, true);
    atomic_store(&t->canon, t->head);
    t->lnext = false;
    wq_wake_all(&t->readable, POLLIN | POLLRDNORM);
}
