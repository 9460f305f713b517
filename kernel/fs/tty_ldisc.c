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

static u8 lower(u8 c) { return c >= 'A' && c <= 'Z' ? c | 0x20 : c; }
static u8 upper(u8 c) { return c >= 'a' && c <= 'z' ? c & ~0x20u : c; }

size_t tty_output(struct tty *t, u8 c, char out[TTY_EXPANSION])
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
        if ((o & OLCUC) != 0)
            c = upper(c);
        if (c >= ' ' && c != 127 && ((t->tio.iflag & IUTF8) == 0 || (c & 0xc0) != 0x80))
            t->column++;
    }
    out[n++] = (char)c;
    return n;
}

/* Echo is lost when the port is full: nobody may wait for it. */
static void echo_raw(struct tty *t, u8 c)
{
    char out[TTY_EXPANSION];
    size_t n = tty_output(t, c, out);
    if (n > 0)
        t->port->ops->write(t->port, out, n);
}

static void echo(struct tty *t, u8 c)
{
    if ((t->tio.lflag & ECHOCTL) != 0 && (c < ' ' || c == 127) && c != '\t') {
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

static bool continues(const struct tty *t, u8 c) { return (t->tio.iflag & IUTF8) != 0 && (c & 0xc0) == 0x80; }

static unsigned shown_width(const struct tty *t, u8 c)
{
    if ((c < ' ' || c == 127) && c != '\t')
        return (t->tio.lflag & ECHOCTL) != 0 ? 2 : 0;
    return continues(t, c) ? 0 : 1;
}

/* The columns of a tab that stood at the end of the unfinished line: what came since the tab before it, or since the
 * line's begin, says where it began. */
static unsigned tab_width(const struct tty *t)
{
    u32 at_column = 0, k = t->head;
    while (k != t->canon && t->ring[(k - 1) % TTY_RING] != '\t')
        at_column += shown_width(t, t->ring[--k % TTY_RING]);
    if (k == t->canon)
        at_column += t->canon_column;
    return 8 - (at_column & 7);
}

/* Where the last character of the unfinished line begins, of several bytes perhaps. */
static u32 last_character(const struct tty *t)
{
    u32 k = t->head - 1;
    while (k != t->canon && continues(t, t->ring[k % TTY_RING]))
        k--;
    return k;
}

/* Take the last character of the unfinished line back. */
static void erase_one(struct tty *t)
{
    if (t->head == t->canon)
        return;
    u32 end = t->head;
    atomic_store(&t->head, last_character(t));
    u8 c = *at(t, t->head);
    if ((t->tio.lflag & ECHO) == 0)
        return;
    if ((t->tio.lflag & ECHOPRT) != 0) {
        if (!t->erasing)
            echo_raw(t, '\\');
        t->erasing = true;
        echo(t, c);
        for (u32 k = t->head + 1; k != end; k++)
            echo_raw(t, *at(t, k));
        return;
    }
    if ((t->tio.lflag & ECHOE) == 0) {
        echo(t, t->tio.cc[VERASE]);
        return;
    }
    if (c == '\t') {
        for (unsigned width = tab_width(t); width > 0; width--)
            echo_raw(t, '\b');
        return;
    }
    for (unsigned width = shown_width(t, c); width > 0; width--) {
        echo_raw(t, '\b');
        echo_raw(t, ' ');
        echo_raw(t, '\b');
    }
}

/* ECHOPRT: what was rubbed out is closed before anything else is shown. */
static void end_erasing(struct tty *t)
{
    if (t->erasing)
        echo_raw(t, '/');
    t->erasing = false;
}

static bool of_word(u8 c)
{
    u8 l = lower(c);
    return (c >= '0' && c <= '9') || (l >= 'a' && l <= 'z') || c == '_' || (c >= 0xc0 && c != 0xd7 && c != 0xf7);
}

static void erase_word(struct tty *t)
{
    bool seen = false;
    while (t->head != t->canon) {
        bool word = of_word(*at(t, last_character(t)));
        if (seen && !word)
            break;
        seen |= word;
        erase_one(t);
    }
}

static void kill_line(struct tty *t)
{
    u32 l = t->tio.lflag;
    if ((l & ECHO) != 0 && (l & ECHOK) != 0 && (l & (ECHOE | ECHOKE)) == (ECHOE | ECHOKE)) {
        while (t->head != t->canon)
            erase_one(t);
        return;
    }
    atomic_store(&t->head, t->canon);
    if ((l & ECHO) != 0) {
        end_erasing(t);
        echo(t, t->tio.cc[VKILL]);
        if ((l & ECHOK) != 0)
            echo_raw(t, '\n');
    }
}

static void reprint(struct tty *t)
{
    end_erasing(t);
    echo(t, t->tio.cc[VREPRINT]);
    echo_raw(t, '\n');
    for (u32 k = t->canon; k != t->head; k++)
        echo(t, *at(t, k));
}

static void end_line(struct tty *t, u8 c, bool eof)
{
    if ((t->tio.lflag & ECHO) != 0)
        end_erasing(t);
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
        if (c == '\n' && (l & (ECHO | ECHONL)) != 0)
            echo_raw(t, c);
        else if ((l & ECHO) != 0)
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
    t->lnext = t->erasing = false;
    t->driver->status(t, TIOCPKT_FLUSHREAD);
}

void tty_set_stopped(struct tty *t, bool stopped)
{
    if (t->stopped == stopped)
        return;
    atomic_store(&t->stopped, stopped);
    t->driver->status(t, stopped ? TIOCPKT_STOP : TIOCPKT_START);
    if (!stopped)
        wq_wake_all(&t->writable, POLLOUT | POLLWRNORM);
}

u32 tty_room(const struct tty *t)
{
    if ((t->tio.lflag & ICANON) != 0 && t->canon == t->tail)
        return TTY_RING; /* a line without end may not stop the end from coming: it loses bytes */
    u32 room = TTY_RING - 1 - (t->head - t->tail);
    return (t->tio.iflag & PARMRK) != 0 ? room / 2 : room;
}

int tty_input(struct tty *t, u8 c)
{
    u32 i = t->tio.iflag, l = t->tio.lflag;
    bool literal = t->lnext;
    if ((i & ISTRIP) != 0)
        c &= 0x7f;
    if ((i & IUCLC) != 0 && (l & IEXTEN) != 0)
        c = lower(c);
    t->lnext = false;
    if ((l & EXTPROC) != 0) {
        store(t, c, false, false);
        return 0;
    }
    if (!literal) {
        if ((i & IXON) != 0) {
            if (is(t, c, VSTART) || is(t, c, VSTOP)) {
                tty_set_stopped(t, is(t, c, VSTOP) && !(t->stopped && is(t, c, VSTART)));
                return 0;
            }
            if ((i & IXANY) != 0)
                tty_set_stopped(t, false);
        }
        int sig = (l & ISIG) != 0 ? signal_of(t, c) : 0;
        if (sig != 0) {
            if ((l & NOFLSH) == 0) {
                t->driver->flush_output(t);
                tty_flush_input(t);
            }
            tty_set_stopped(t, false);
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
    if ((l & ECHO) != 0) {
        end_erasing(t);
        if (t->head == t->canon)
            t->canon_column = t->column;
    }
    if (c == 0xff && (i & (PARMRK | ISTRIP)) == PARMRK)
        store(t, c, false, false);
    if (store(t, c, false, false) && (l & ECHO) != 0) {
        if (c == '\n' && !literal)
            echo_raw(t, c);
        else
            echo(t, c);
    }
    return 0;
}

/* --- reading -------------------------------------------------------------------- */

/* EXTPROC: the other side makes the lines, and the echo. */
static bool by_line(const struct tty *t) { return (t->tio.lflag & (ICANON | EXTPROC)) == ICANON; }

bool tty_readable(const struct tty *t, u32 min)
{
    u32 tail = atomic_load(&t->tail);
    if (by_line(t))
        return atomic_load(&t->canon) != tail;
    return atomic_load(&t->head) - tail >= (min > 0 ? min : 1);
}

size_t tty_take(struct tty *t, u8 *buf, size_t room, bool *ret_end)
{
    bool canon = by_line(t);
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
    if (canon && n > 0 && !*ret_end && t->tail != end && bit(t->eof, t->tail)) {
        atomic_store(&t->tail, t->tail + 1); /* the end of what filled the buffer, not one of its own */
        *ret_end = true;
    }
    return n;
}

u32 tty_available(const struct tty *t)
{
    bool canon = by_line(t);
    u32 end = canon ? t->canon : t->head, n = end - t->tail;
    for (u32 k = t->tail; canon && k != end; k++)
        n -= bit(t->delim, k) && t->ring[k % TTY_RING] == 0; /* Linux tells an end by its byte here */
    return n;
}

static bool flow_controlled(const struct termios *t)
{
    return (t->iflag & IXON) != 0 && t->cc[VSTOP] == 023 && t->cc[VSTART] == 021;
}

void tty_mode_changed(struct tty *t, const struct termios *old)
{
    bool was = flow_controlled(old), is_now = flow_controlled(&t->tio);
    u32 changed = old->lflag ^ t->tio.lflag;
    if (was != is_now)
        t->driver->status(t, is_now ? TIOCPKT_DOSTOP : TIOCPKT_NOSTOP);
    if (((old->lflag | t->tio.lflag) & EXTPROC) != 0)
        t->driver->status(t, TIOCPKT_IOCTL);
    if ((t->tio.iflag & IXON) == 0 && (old->iflag & IXON) != 0)
        tty_set_stopped(t, false);
    if ((changed & (ICANON | EXTPROC)) == 0)
        return;
    /* What was typed becomes readable at once, or a line begins behind it; what ended lines is a byte like others. */
    memset(t->delim, 0, sizeof(t->delim));
    memset(t->eof, 0, sizeof(t->eof));
    if (by_line(t) && t->head != t->tail)
        set_bit8(t->delim, t->head - 1, true);
    atomic_store(&t->canon, t->head);
    t->lnext = t->erasing = false;
    wq_wake_all(&t->readable, POLLIN | POLLRDNORM);
}
