/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signal-driven input and output (fcntl(2): F_SETOWN, F_SETSIG, O_ASYNC; ioctl FIOASYNC). An asynchronous file has waiters on
 * the queues that its poll operation names; they stay there until the mode is turned off or the file ends. A wake-up comes with the
 * queue's lock held, where no signal can be sent, so a bottom half sends it: before who caused it is back in its program. A socket with an owner is watched in any case: the owner is to
 * hear of urgent data (POLLMSG: its pointer came) by SIGURG.
 *
 * file->owner_data holds the owner (low half; negative: a group), the signal (next 8 bits, 0: SIGIO), and whether the owner is one task.
 */
#include "task.h"
#include "kern/bh.h"
#include "kern/poll.h"

#define QUEUES_MAX 3
#define OWNER_TASK (1ULL << 40)
#define OWNER_SIGNAL(v) ((int)((v) >> 32 & 0xff))
enum { F_OWNER_TID, F_OWNER_PID, F_OWNER_PGRP };

struct async {
    struct list node;           /* async_lock */
    struct refcount refs;       /* the list's, and one while it is on `told` */
    const struct file *file;    /* the file is there as long as the waiters are */
    struct watch {
        struct waiter waiter;
        struct async *async;
    } watches[QUEUES_MAX];
    unsigned used;
    struct poll_table pt;
    struct list told_node;      /* told_lock */
    u64 owner;                  /* told_lock: the file's owner_data at the last event */
    u32 events;                 /* told_lock: POLLMSG, and another bit for SIGIO; those to be told of. Not 0: on `told` */
    int fd;                     /* c: what siginfo says */
};

static struct spinlock async_lock = SPINLOCK_INIT("async files");
static struct list asyncs = LIST_INIT(asyncs);
static struct spinlock told_lock = SPINLOCK_INIT("async events"); /* irq-safe */
static struct list told = LIST_INIT(told);

static void async_put(struct async *a)
{
    if (ref_put(&a->refs))
        kfree(a);
}

static void send(u64 owner, const struct ksiginfo *i)
{
    s32 pid = (s32)owner;
    bool task = owner & OWNER_TASK;
    spin_lock_bh(&process_list_lock);
    struct task *t = task ? task_find_locked((u32)pid) : NULL;
    if (t != NULL)
        (void)signal_send_task(t, i, NULL);
    list_for_each(p, &process_list, struct process, all_node)
        if (!task && (pid > 0 ? p->pid == (u32)pid : pid < 0 && p->pgid == (u32)-pid))
            (void)signal_send_process(p, i, NULL);
    spin_unlock_bh(&process_list_lock);
}

static void tell(u64 owner, u32 events, int fd)
{
    int sig = OWNER_SIGNAL(owner);
    struct ksiginfo i = {.signo = sig != 0 ? sig : SIGIO, .code = SI_KERNEL};
    if (sig != 0) {
        i.code = 1; /* POLL_IN */
        i.poll.band = POLLIN | POLLRDNORM;
        i.poll.fd = fd;
    }
    if (events & POLLMSG)
        send(owner, &(struct ksiginfo){.signo = SIGURG, .code = SI_KERNEL});
    if (events & ~POLLMSG)
        send(owner, &i);
}

static void tell_all(struct bh *bh)
{
    for (;;) {
        u64 flags = spin_lock_irqsave(&told_lock);
        struct list *l = list_pop_front(&told);
        struct async *a = l != NULL ? list_entry(l, struct async, told_node) : NULL;
        u64 owner = a != NULL ? a->owner : 0;
        u32 events = a != NULL ? a->events : 0;
        if (a != NULL)
            a->events = 0;
        spin_unlock_irqrestore(&told_lock, flags);
        if (a == NULL)
            return;
        tell(owner, events, a->fd);
        async_put(a);
    }
}

static struct bh tell_bh = {.fn = tell_all};

static bool event(struct waiter *w, u32 events)
{
    struct async *a = container_of(w, struct watch, waiter)->async;
    bool io = (atomic_load_relaxed(&a->file->flags) & O_ASYNC) != 0 && (events & ~POLLMSG) != 0;
    u32 what = (events & POLLMSG) | (io ? POLLIN : 0);
    if (what == 0)
        return false;
    u64 flags = spin_lock_irqsave(&told_lock);
    if (a->events == 0) {
        ref_get(&a->refs);
        list_push_back(&told, &a->told_node);
    }
    a->events |= what;
    a->owner = (u64)(uintptr_t)a->file->owner_data;
    spin_unlock_irqrestore(&told_lock, flags);
    bh_raise(&tell_bh);
    return false;
}

static void add_queue(struct poll_table *pt, struct waitqueue *wq)
{
    struct async *a = container_of(pt, struct async, pt);
    if (a->used == QUEUES_MAX)
        return;
    struct watch *w = &a->watches[a->used++];
    w->waiter.fn = event;
    w->async = a;
    wq_add(wq, &w->waiter);
}

/* async_lock held. */
static struct async *find(const struct file *f)
{
    list_for_each(a, &asyncs, struct async, node)
        if (a->file == f)
            return a;
    return NULL;
}

void sigio_file_gone(struct file *f)
{
    spin_lock(&async_lock);
    struct async *a = find(f);
    if (a != NULL)
        list_remove(&a->node);
    spin_unlock(&async_lock);
    if (a == NULL)
        return;
    for (unsigned i = 0; i < a->used; i++)
        wq_remove(&a->watches[i].waiter);
    async_put(a);
}

static bool watched(const struct file *f)
{
    spin_lock(&async_lock);
    bool found = find(f) != NULL;
    spin_unlock(&async_lock);
    return found;
}

/* f->pos_lock held. */
static int watch(struct file *f, int fd)
{
    if (watched(f))
        return 0;
    struct async *a = kzalloc(sizeof *a);
    if (a == NULL)
        return -ENOMEM;
    ref_init(&a->refs);
    a->file = f;
    a->fd = fd;
    a->pt.queue = add_queue;
    file_watch_end(f);
    spin_lock(&async_lock);
    list_push_back(&asyncs, &a->node);
    spin_unlock(&async_lock);
    (void)vfs_poll(f, &a->pt);
    return 0;
}

static int set(struct file *f, int fd, bool on)
{
    if (((atomic_load_relaxed(&f->flags) & O_ASYNC) != 0) == on)
        return 0;
    if (!on) {
        atomic_and(&f->flags, ~O_ASYNC);
        if (file_sock(f) == NULL)
            sigio_file_gone(f);
        return 0;
    }
    if (f->ops->poll == NULL)
        return -ENOTTY; /* always ready: nothing to be told of */
    int r = watch(f, fd);
    if (r == 0)
        atomic_or(&f->flags, O_ASYNC);
    return r;
}

int sigio_set(struct file *f, int fd, bool on)
{
    if (!on && !(atomic_load_relaxed(&f->flags) & O_ASYNC))
        return 0;
    mutex_lock(&f->pos_lock);
    int r = set(f, fd, on);
    mutex_unlock(&f->pos_lock);
    return r;
}

/* 0, -ESRCH (nobody), -EPERM. */
static int check_owner(s32 owner, bool task)
{
    int r = owner == 0 ? 0 : -ESRCH;
    struct task *t = task ? task_find((u32)owner) : NULL;
    if (t != NULL)
        r = signal_permitted(t->proc, SIGIO) ? 0 : -EPERM;
    task_put(t);
    spin_lock_bh(&process_list_lock);
    list_for_each(p, &process_list, struct process, all_node)
        if (!task && (owner > 0 ? p->pid == (u32)owner : owner < 0 && p->pgid == (u32)-owner) && r != -EPERM)
            r = signal_permitted(p, SIGIO) ? 0 : -EPERM;
    spin_unlock_bh(&process_list_lock);
    return r;
}

static s64 set_owner(struct file *f, int fd, s32 owner, bool task)
{
    int r = owner != INT32_MIN ? check_owner(owner, task) : -EINVAL;
    u64 v = (u64)(uintptr_t)f->owner_data & 0xffULL << 32;
    if (r != 0)
        return r;
    f->owner_data = (void *)(uintptr_t)(v | (u32)owner | (task ? OWNER_TASK : 0));
    if (owner != 0 && file_sock(f) != NULL) {
        mutex_lock(&f->pos_lock);
        r = watch(f, fd);
        mutex_unlock(&f->pos_lock);
    }
    return r;
}

static s64 set_owner_ex(struct file *f, int fd, uaddr_t arg)
{
    s32 ex[2]; /* struct f_owner_ex */
    if (copy_from_user(ex, arg, sizeof ex) < 0)
        return -EFAULT;
    if (ex[0] < F_OWNER_TID || ex[0] > F_OWNER_PGRP || ex[1] < 0)
        return -EINVAL;
    return set_owner(f, fd, ex[0] == F_OWNER_PGRP ? -ex[1] : ex[1], ex[0] == F_OWNER_TID);
}

s64 sigio_fcntl(struct file *f, int fd, u32 cmd, u64 arg)
{
    u64 v = (u64)(uintptr_t)f->owner_data;
    s32 owner = (s32)v;
    switch (cmd) {
    case F_SETOWN:
        return set_owner(f, fd, (s32)arg, false);
    case F_GETOWN:
        return owner;
    case F_SETOWN_EX:
        return set_owner_ex(f, fd, arg);
    case F_GETOWN_EX: {
        s32 ex[2] = {v & OWNER_TASK ? F_OWNER_TID : owner < 0 ? F_OWNER_PGRP : F_OWNER_PID, owner < 0 ? -owner : owner};
        return copy_to_user(arg, ex, sizeof ex);
    }
    case F_SETSIG:
        if (arg > NSIG)
            return -EINVAL;
        f->owner_data = (void *)(uintptr_t)((v & ~(0xffULL << 32)) | arg << 32);
        return 0;
    default:
        return OWNER_SIGNAL(v);
    }
}
