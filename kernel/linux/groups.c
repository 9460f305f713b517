/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Process groups, sessions and job control (credentials(7), setpgid(2), setsid(2), POSIX 11.1).
 *
 * A group or session bears the number of the process that began it, and keeps the number in use (T1) for as
 * long as it has members, even when that process is long gone. One object stands for both: `users` counts the
 * processes with this pgid and those with this sid.
 *
 * The terminal (fs/tty.c) knows its session and foreground group by number and asks through tty_hooks.
 */
#include "task.h"

struct group {
    struct list node; /* l */
    u32 id;           /* l */
    u32 users;        /* l */
};

#define GROUP_BUCKETS 16
static struct list groups[GROUP_BUCKETS]; /* l */
u32 stopped_count;

void groups_init(void)
{
    for (unsigned i = 0; i < GROUP_BUCKETS; i++)
        list_init(&groups[i]);
}

struct group *group_create(void) { return kzalloc(sizeof(struct group)); }

static struct group *find(u32 id)
{
    list_for_each(g, &groups[id % GROUP_BUCKETS], struct group, node)
        if (g->id == id)
            return g;
    return NULL;
}

bool group_exists_locked(u32 id) { return find(id) != NULL; }

static void drop(u32 id)
{
    struct group *g = find(id);
    ASSERT(g != NULL && g->users != 0);
    if (--g->users == 0) {
        list_remove(&g->node);
        kfree(g);
    }
}

void group_begin_locked(struct group *g, struct process *p, u32 id, bool session)
{
    g->id = id;
    g->users = session ? 2 : 1;
    list_push_back(&groups[id % GROUP_BUCKETS], &g->node);
    p->pgid = id;
    if (session)
        p->sid = id;
}

void group_join_locked(struct process *p, const struct process *like)
{
    find(like->pgid)->users++;
    find(like->sid)->users++;
    p->pgid = like->pgid;
    p->sid = like->sid;
}

void group_leave_locked(struct process *p)
{
    drop(p->pgid);
    drop(p->sid);
}

/* --- orphans and stopped jobs ----------------------------------------------------------------- */

bool group_orphaned_locked(u32 pgid, const struct process *without)
{
    list_for_each(p, &process_list, struct process, all_node) {
        const struct process *parent = p->parent;
        if (p->pgid == pgid && p != without && p->state == PROC_LIVE && parent != NULL && parent != without &&
            parent->pgid != pgid && parent->sid == p->sid)
            return false;
    }
    return true;
}

/* From the kernel. */
static void signal_group_locked(u32 pgid, int sig)
{
    struct ksiginfo i = {.signo = sig, .code = SI_KERNEL};
    list_for_each(p, &process_list, struct process, all_node)
        if (p->pgid == pgid)
            signal_send_process(p, &i, NULL);
}

static bool has_stopped(u32 pgid)
{
    list_for_each(p, &process_list, struct process, all_node)
        if (p->pgid == pgid && p->stopped)
            return true;
    return false;
}

/* Was `pgid` not orphaned by its member's parent, and is it now? */
static void wake_if_orphaned(u32 pgid, const struct process *without)
{
    if (group_orphaned_locked(pgid, without) && has_stopped(pgid)) {
        signal_group_locked(pgid, SIGHUP);
        signal_group_locked(pgid, SIGCONT);
    }
}

void groups_after_end_locked(struct process *p)
{
    if (atomic_load_relaxed(&stopped_count) == 0)
        return;
    if (p->parent != NULL && p->parent->pgid != p->pgid && p->parent->sid == p->sid)
        wake_if_orphaned(p->pgid, p);
    list_for_each(c, &p->children, struct process, sibling)
        if (c->pgid != p->pgid && c->sid == p->sid)
            wake_if_orphaned(c->pgid, p);
}

/* --- the calls ---------------------------------------------------------------------------------- */

static s64 number_of(int pid, bool session)
{
    s64 r = -ESRCH;
    if (pid == 0)
        return session ? current_process()->sid : current_process()->pgid;
    struct task *t = pid > 0 ? task_find((u32)pid) : NULL;
    if (t != NULL)
        r = session ? t->proc->sid : t->proc->pgid;
    task_put(t);
    return r;
}

s64 sys_getpgid(int pid) { return number_of(pid, false); }
s64 sys_getsid(int pid) { return number_of(pid, true); }
s64 sys_getpgrp(void) { return current_process()->pgid; }

static bool group_in_session(u32 pgid, u32 sid)
{
    list_for_each(p, &process_list, struct process, all_node)
        if (p->pgid == pgid && p->sid == sid)
            return true;
    return false;
}

/* l held. 0 with *ret_take set when `fresh` went into use. */
static int change_group(struct process *p, u32 pgid, struct group *fresh, bool *ret_taken)
{
    struct process *self = current_process();
    if (p->parent == self) {
        if (p->sid != self->sid)
            return -EPERM;
        if (p->executed)
            return -EACCES;
    } else if (p != self) {
        return -ESRCH;
    }
    if (p->sid == p->pid)
        return -EPERM; /* a session's leader stays where it is */
    if (pgid != p->pid && !group_in_session(pgid, self->sid))
        return -EPERM;
    if (pgid == p->pgid)
        return 0;
    u32 old = p->pgid;
    struct group *g = find(pgid);
    if (g != NULL) {
        g->users++;
        p->pgid = pgid;
    } else {
        group_begin_locked(fresh, p, pgid, false);
        *ret_taken = true;
    }
    drop(old);
    return 0;
}

s64 sys_setpgid(int pid, int pgid)
{
    if (pgid < 0 || (pgid == 0 && pid < 0))
        return -EINVAL;
    struct task *t = pid == 0 ? task_get(current_task()) : pid > 0 ? task_find((u32)pid) : NULL;
    if (t == NULL)
        return -ESRCH;
    struct process *p = t->proc;
    struct group *fresh = group_create();
    bool taken = false;
    s64 r = fresh == NULL ? -ENOMEM : 0;
    if (r == 0) {
        spin_lock_bh(&process_list_lock);
        if (pid != 0 && t != p->leader)
            r = -EINVAL;
        else if (p->state == PROC_GONE)
            r = -ESRCH;
        else
            r = change_group(p, pgid != 0 ? (u32)pgid : p->pid, fresh, &taken);
        spin_unlock_bh(&process_list_lock);
    }
    if (!taken)
        kfree(fresh);
    task_put(t);
    return r;
}

s64 sys_setsid(void)
{
    struct process *p = current_process();
    struct group *fresh = group_create();
    if (fresh == NULL)
        return -ENOMEM;
    s64 r = p->pid;
    spin_lock_bh(&process_list_lock);
    if (find(p->pid) != NULL) {
        r = -EPERM;
    } else {
        group_leave_locked(p);
        group_begin_locked(fresh, p, p->pid, true);
        p->no_tty = false;
        p->hung_up_group = 0;
    }
    spin_unlock_bh(&process_list_lock);
    if (r < 0)
        kfree(fresh);
    return r;
}

/* --- the terminal's questions ------------------------------------------------------------------------ */

static void tty_current_ids(u32 *ret_pgrp, u32 *ret_sid, bool *ret_leader)
{
    struct process *p = current_process();
    *ret_pgrp = p->pgid;
    *ret_sid = p->no_tty ? 0 : p->sid;
    *ret_leader = p->sid == p->pid;
}

/* May the current process read (SIGTTIN) or change (SIGTTOU) a terminal of which another group has the foreground? */
static int tty_background(u32 session, u32 foreground, int sig)
{
    struct task *t = current_task();
    struct process *p = t->proc;
    if (p->sid != session || p->no_tty || p->pgid == foreground)
        return 0;
    spin_lock_bh(&p->sighand->lock);
    bool unheard = (t->blocked & SIGMASK(sig)) || p->sighand->act[sig - 1].handler == SIG_IGN;
    spin_unlock_bh(&p->sighand->lock);
    if (unheard)
        return sig == SIGTTIN ? -EIO : 0;
    int r = -ERESTARTSYS;
    spin_lock_bh(&process_list_lock);
    if (group_orphaned_locked(p->pgid, NULL))
        r = -EIO;
    else
        signal_group_locked(p->pgid, sig);
    spin_unlock_bh(&process_list_lock);
    return r;
}

static void tty_signal_group(u32 pgrp, int sig)
{
    spin_lock_bh(&process_list_lock);
    if (pgrp != 0)
        signal_group_locked(pgrp, sig);
    spin_unlock_bh(&process_list_lock);
}

static int tty_check_group(u32 pgrp, u32 session)
{
    spin_lock_bh(&process_list_lock);
    int r = group_in_session(pgrp, session) ? 0 : group_exists_locked(pgrp) ? -EPERM : -ESRCH;
    spin_unlock_bh(&process_list_lock);
    return r;
}

static void tty_hung_up(u32 session, u32 foreground)
{
    struct ksiginfo hup = {.signo = SIGHUP, .code = SI_KERNEL}, cont = {.signo = SIGCONT, .code = SI_KERNEL};
    spin_lock_bh(&process_list_lock);
    list_for_each(p, &process_list, struct process, all_node) {
        if (p->pid != session || p->sid != session)
            continue;
        p->hung_up_group = foreground;
        signal_send_process(p, &hup, NULL);
        signal_send_process(p, &cont, NULL);
    }
    spin_unlock_bh(&process_list_lock);
}

/* A session's leader ends. */
void groups_leader_end(struct process *p)
{
    tty_session_ended(p->sid);
    if (p->hung_up_group != 0) {
        tty_signal_group(p->hung_up_group, SIGHUP);
        tty_signal_group(p->hung_up_group, SIGCONT);
    }
}

static void tty_disown(void) { current_process()->no_tty = true; }

const struct tty_hooks linux_tty_hooks = {
    .current = tty_current_ids, .background = tty_background, .signal = tty_signal_group, .check_group = tty_check_group,
    .hung_up = tty_hung_up, .disown = tty_disown,
};
