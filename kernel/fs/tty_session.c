/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Controlling terminals (credentials(7), setsid(2), ioctl_tty(2)). A terminal knows its session and foreground group by
 * number; who is in them, the personality knows (tty_hooks). Terminals with a session are listed, and the session holds
 * a reference, until its leader ends, gives the terminal up or the terminal hangs up.
 */
#include "tty_impl.h"
#include "kern/thread.h"
#include "kern/uaccess.h"

const struct tty_hooks *tty_hooks;

static struct spinlock ttys_lock = SPINLOCK_INIT("ttys");
static struct list ttys = LIST_INIT(ttys); /* ttys_lock: those with a session */

static struct tty *find_locked(u32 sid)
{
    list_for_each(t, &ttys, struct tty, session_node)
        if (t->session == sid)
            return t;
    return NULL;
}

static void leave_locked(struct tty *t)
{
    list_remove_init(&t->session_node);
    t->session = t->pgrp = 0;
}

static void signal_group(u32 pgrp, int sig)
{
    if (tty_hooks != NULL && pgrp != 0)
        tty_hooks->signal(pgrp, sig);
}

void tty_signal_foreground(const struct tty *t, int sig) { signal_group(atomic_load_relaxed(&t->pgrp), sig); }

int tty_check_background(const struct tty *t, int sig)
{
    u32 session = atomic_load_relaxed(&t->session);
    return tty_hooks != NULL && session != 0 ? tty_hooks->background(session, t->pgrp, sig) : 0;
}

static bool current_ids(u32 *ret_pgrp, u32 *ret_sid)
{
    bool leader = true;
    *ret_pgrp = *ret_sid = 1;
    if (tty_hooks != NULL && current_thread()->task != NULL)
        tty_hooks->current(ret_pgrp, ret_sid, &leader);
    return leader;
}

struct tty *tty_current(void)
{
    u32 pgrp, sid;
    current_ids(&pgrp, &sid);
    spin_lock(&ttys_lock);
    struct tty *t = sid != 0 ? find_locked(sid) : NULL;
    if (t != NULL)
        ref_get(&t->refs);
    spin_unlock(&ttys_lock);
    return t;
}

static bool is_current(const struct tty *t)
{
    u32 pgrp, sid;
    current_ids(&pgrp, &sid);
    return sid != 0 && atomic_load_relaxed(&t->session) == sid;
}

/* Make t the terminal of the caller's session. steal: from another, as root may. */
static int take(struct tty *t, bool steal)
{
    u32 pgrp, sid;
    bool leader = current_ids(&pgrp, &sid);
    int r = -EPERM;
    spin_lock(&ttys_lock);
    if (leader && t->session == sid) {
        r = 0;
    } else if (leader && find_locked(sid) == NULL && (t->session == 0 || steal) && !t->hung_up) {
        if (t->session == 0) {
            ref_get(&t->refs);
            list_push_back(&ttys, &t->session_node);
        }
        t->session = sid;
        t->pgrp = pgrp;
        r = 0;
    }
    spin_unlock(&ttys_lock);
    return r;
}

void tty_may_take(struct tty *t) { (void)take(t, false); }

/* sid has no terminal any more. Referenced, or NULL. */
static struct tty *give_up(u32 sid, u32 *ret_pgrp)
{
    spin_lock(&ttys_lock);
    struct tty *t = sid != 0 ? find_locked(sid) : NULL;
    if (t != NULL) {
        *ret_pgrp = t->pgrp;
        leave_locked(t);
    }
    spin_unlock(&ttys_lock);
    return t;
}

void tty_session_ended(u32 sid)
{
    u32 pgrp;
    struct tty *t = give_up(sid, &pgrp);
    if (t != NULL)
        signal_group(pgrp, SIGHUP);
    tty_put(t);
}

void tty_session_hangup(struct tty *t)
{
    spin_lock(&ttys_lock);
    u32 sid = t->session, pgrp = t->pgrp;
    if (sid != 0)
        leave_locked(t);
    spin_unlock(&ttys_lock);
    if (sid == 0)
        return;
    if (tty_hooks != NULL)
        tty_hooks->hung_up(sid, pgrp);
    tty_put(t);
}

bool tty_of_session(u32 sid, u64 *ret_dev, u32 *ret_pgrp)
{
    spin_lock(&ttys_lock);
    struct tty *t = sid != 0 ? find_locked(sid) : NULL;
    if (t != NULL) {
        *ret_dev = t->driver->dev(t);
        *ret_pgrp = t->pgrp;
    }
    spin_unlock(&ttys_lock);
    return t != NULL;
}

static s64 set_foreground(struct tty *t, uaddr_t arg)
{
    u32 pgrp, own, sid;
    current_ids(&own, &sid);
    int r = tty_check_background(t, SIGTTOU);
    if (r != 0)
        return r == -EIO ? -ENOTTY : r; /* tiocspgrp() of Linux answers this for orphans */
    if (get_user_u32(arg, &pgrp) != 0)
        return -EFAULT;
    if ((s32)pgrp < 0)
        return -EINVAL;
    if (!is_current(t))
        return -ENOTTY;
    r = tty_hooks != NULL ? tty_hooks->check_group(pgrp, sid) : 0;
    if (r != 0)
        return r;
    spin_lock(&ttys_lock);
    r = t->session == sid ? 0 : -ENOTTY;
    if (r == 0)
        t->pgrp = pgrp;
    spin_unlock(&ttys_lock);
    return r;
}

static int no_terminal(struct tty *t)
{
    u32 pgrp, sid, foreground;
    bool leader = current_ids(&pgrp, &sid);
    if (!is_current(t))
        return -ENOTTY;
    if (!leader) {
        if (tty_hooks != NULL)
            tty_hooks->disown();
        return 0;
    }
    struct tty *own = give_up(sid, &foreground);
    if (own != NULL) {
        signal_group(foreground, SIGHUP);
        signal_group(foreground, SIGCONT);
        tty_put(own);
    }
    return 0;
}

s64 tty_session_ioctl(struct tty *t, struct file *f, bool master, u32 cmd, uaddr_t arg)
{
    bool root = cred_capable(f->cred, CAP_SYS_ADMIN);
    switch (cmd) {
    case TIOCSCTTY:
        return f->can_read || root ? take(t, arg == 1 && root) : -EPERM;
    case TIOCNOTTY:
        return master ? -ENOTTY : no_terminal(t);
    case TIOCGPGRP:
        return master || is_current(t) ? put_user_u32(arg, atomic_load_relaxed(&t->pgrp)) : -ENOTTY;
    case TIOCGSID:
        return t->session != 0 && (master || is_current(t)) ? put_user_u32(arg, t->session) : -ENOTTY;
    default: /* TIOCSPGRP */
        return set_foreground(t, arg);
    }
}
