/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Listeners of seccomp filters (seccomp_unotify(2)): a call for which a filter says SECCOMP_RET_USER_NOTIF waits until who reads the listener's
 * file has said what becomes of it.
 *
 *   N1  A question is the asking task's, on its stack, and on its listener's list as long as the task waits. It changes under `lock`.
 *   N2  NEW -> SENT (NOTIF_RECV) -> REPLIED (NOTIF_SEND, or a descriptor as the answer). Only one that is SENT is answered or given descriptors, which the
 *       task installs itself.
 *   N3  Filter and file each hold the listener. Without the file, calls are answered by ENOSYS; without the filter the file says POLLHUP.
 */
#include "seccomp_impl.h"
#include "base/str.h"
#include "kern/random.h"
#include "kern/wait.h"

#define FLAG_CONTINUE 1u
#define ADDFD_SETFD 1u
#define ADDFD_SEND 2u
#define ADDFD_SIZE_FIRST 24u

#define IOCTL(dir, nr, size) ((dir) << 30 | (u32)(size) << 16 | '!' << 8 | (nr))
#define IOCTL_ANY_SIZE(cmd) ((cmd) & ~(0x3fffu << 16))
#define NOTIF_RECV IOCTL(3u, 0, sizeof(struct abi_notif))
#define NOTIF_SEND IOCTL(3u, 1, sizeof(struct abi_notif_resp))
#define NOTIF_ID_VALID IOCTL(1u, 2, sizeof(u64))
#define NOTIF_ID_VALID_OLD IOCTL(2u, 2, sizeof(u64)) /* of before Linux 5.17 */
#define NOTIF_ADDFD IOCTL(1u, 3, 0)

struct abi_notif {
    u64 id;
    u32 pid, flags;
    struct seccomp_call call;
};
struct abi_notif_resp {
    u64 id;
    s64 val;
    s32 error;
    u32 flags;
};
struct abi_notif_addfd {
    u64 id;
    u32 flags, srcfd, newfd, newfd_flags;
};
_Static_assert(sizeof(struct abi_notif) == 80 && sizeof(struct abi_notif_resp) == 24 && sizeof(struct abi_notif_addfd) == 24, "linux/seccomp.h");

const u16 seccomp_notif_sizes[] = { sizeof(struct abi_notif), sizeof(struct abi_notif_resp), sizeof(struct seccomp_call) };

/* A descriptor for the asking task; on the stack of who gives it. */
struct gift {
    struct list node;  /* N1 */
    struct file *file; /* c */
    s32 to;            /* c */
    bool chosen;       /* c: at that number; else the lowest that is free */
    bool cloexec;      /* c */
    bool answers;      /* c: its number is the result of the call */
    bool taken;        /* lock: it will be done */
    bool done;         /* atomic, with the result */
    s64 result;
};

enum state { NEW, SENT, REPLIED };

struct question {
    struct list node;
    struct list gifts;
    u64 id;
    u32 tid;
    enum state state;
    s64 val;
    s32 err;
    u32 flags;
    const struct seccomp_call *call;
};

struct seccomp_listener {
    struct refcount refs;
    struct mutex lock;
    struct waitqueue wq;      /* the file's */
    struct waitqueue answers; /* who asked, who gives */
    struct list questions;    /* lock */
    u64 next_id;              /* lock */
    u32 unread;               /* atomic: what NOTIF_RECV may look for; who went away meanwhile is counted */
    bool killable;            /* c: who was heard waits on in spite of signals */
    bool closed;              /* lock: there is no file */
    bool unused;              /* atomic: there is no filter */
};

static void listener_put(struct seccomp_listener *l)
{
    if (ref_put(&l->refs))
        kfree(l);
}

static struct question *find(struct seccomp_listener *l, u64 id)
{
    list_for_each(q, &l->questions, struct question, node)
        if (q->id == id)
            return q;
    return NULL;
}

static struct question *first(struct seccomp_listener *l, enum state state)
{
    list_for_each(q, &l->questions, struct question, node)
        if (q->state == state)
            return q;
    return NULL;
}

/* --- who asks --------------------------------------------------------------------------------------- */

static s64 install(const struct gift *g)
{
    struct fdtable *t = current_files();
    file_get(g->file);
    int fd = g->chosen ? fd_replace(t, g->file, g->to, g->cloexec) : fd_install(t, g->file, 0, g->cloexec);
    if (fd < 0)
        file_put(g->file);
    return fd;
}

static void give_back(struct seccomp_listener *l, struct gift *g, s64 result)
{
    list_remove(&g->node);
    g->result = result;
    atomic_store(&g->done, true);
    wq_wake(&l->answers, 0);
}

/* lock held, but while a number is taken: what had it is closed then, which may take long, or be another listener. */
static void take_gifts(struct seccomp_listener *l, struct question *q)
{
    while (!list_empty(&q->gifts)) {
        struct gift *g = list_first(&q->gifts, struct gift, node);
        g->taken = true;
        mutex_unlock(&l->lock);
        s64 fd = install(g);
        mutex_lock(&l->lock);
        if (g->answers) {
            q->val = fd;
            q->state = fd < 0 ? SENT : REPLIED;
        }
        give_back(l, g, fd);
    }
}

/* lock held, but for the sleep. */
static int wait_for_answer(struct seccomp_listener *l, struct question *q)
{
    struct waiter w;
    waiter_init_thread(&w);
    for (;;) {
        take_gifts(l, q);
        if (q->state == REPLIED)
            return 0;
        bool killable = l->killable && q->state == SENT;
        wait_prepare(&l->answers, &w, true);
        if (killable)
            thread_block_killable();
        mutex_unlock(&l->lock);
        int r = wait_block(NEVER_NS, true);
        wait_finish(&w);
        mutex_lock(&l->lock);
        if (r != 0 && q->state != REPLIED && (killable || !l->killable || q->state != SENT))
            return r;
    }
}

bool seccomp_ask(struct seccomp_listener *l, struct trap_frame *f, const struct seccomp_call *call)
{
    struct question q = { .tid = current_task()->tid, .call = call };
    int r = -ENOSYS;
    list_init(&q.gifts);
    mutex_lock(&l->lock);
    if (!l->closed) {
        q.id = l->next_id++;
        list_push_back(&l->questions, &q.node);
        atomic_add(&l->unread, 1u);
        wq_wake(&l->wq, POLLIN | POLLRDNORM);
        r = wait_for_answer(l, &q);
        while (!list_empty(&q.gifts))
            give_back(l, list_first(&q.gifts, struct gift, node), -ESRCH);
        list_remove(&q.node);
    }
    mutex_unlock(&l->lock);
    if (r == 0 && (q.flags & FLAG_CONTINUE))
        return true;
    FRAME_RESULT(f) = (u64)(r != 0 ? r : q.err != 0 ? q.err : q.val);
    return false;
}

/* --- who answers ---------------------------------------------------------------------------------------- */

static bool take_unread(struct seccomp_listener *l)
{
    u32 n = atomic_load(&l->unread);
    while (n != 0 && !atomic_cas(&l->unread, &n, n - 1))
        ;
    return n != 0;
}

/* It could not be told: as if it had not been asked for. */
static s64 unreceive(struct seccomp_listener *l, u64 id)
{
    mutex_lock(&l->lock);
    struct question *q = find(l, id);
    if (q != NULL) {
        q->state = NEW;
        atomic_add(&l->unread, 1u);
        wq_wake(&l->wq, POLLIN | POLLRDNORM);
        if (l->killable)
            wq_wake(&l->answers, 0);
    }
    mutex_unlock(&l->lock);
    return -EFAULT;
}

static s64 receive(struct seccomp_listener *l, uaddr_t unotif)
{
    struct abi_notif n, zero = { 0 };
    if (copy_from_user(&n, unotif, sizeof n) < 0)
        return -EFAULT;
    if (memcmp(&n, &zero, sizeof n) != 0)
        return -EINVAL;
    int r = wait_event_interruptible(&l->wq, take_unread(l) || atomic_load(&l->unused));
    if (r != 0)
        return r;
    mutex_lock(&l->lock);
    struct question *q = first(l, NEW);
    if (q != NULL) {
        n = (struct abi_notif){ .id = q->id, .pid = q->tid, .call = *q->call };
        q->state = SENT;
        if (l->killable)
            wq_wake(&l->answers, 0); /* it is to sleep otherwise */
    }
    mutex_unlock(&l->lock);
    if (q == NULL)
        return -ENOENT;
    wq_wake(&l->wq, POLLOUT | POLLWRNORM);
    return copy_to_user(unotif, &n, sizeof n) == 0 ? 0 : unreceive(l, n.id);
}

/* The question that may be answered, or NULL and *ret_err. lock held. */
static struct question *sent(struct seccomp_listener *l, u64 id, s64 *ret_err)
{
    struct question *q = find(l, id);
    *ret_err = q == NULL ? -ENOENT : q->state != SENT ? -EINPROGRESS : 0;
    return *ret_err == 0 ? q : NULL;
}

static s64 answer(struct seccomp_listener *l, uaddr_t uresp)
{
    struct abi_notif_resp a;
    s64 r;
    if (copy_from_user(&a, uresp, sizeof a) < 0)
        return -EFAULT;
    if ((a.flags & ~FLAG_CONTINUE) || ((a.flags & FLAG_CONTINUE) && (a.error != 0 || a.val != 0)))
        return -EINVAL;
    mutex_lock(&l->lock);
    struct question *q = sent(l, a.id, &r);
    if (q != NULL) {
        q->state = REPLIED;
        q->val = a.val;
        q->err = a.error;
        q->flags = a.flags;
        wq_wake(&l->answers, 0);
    }
    mutex_unlock(&l->lock);
    return r;
}

static s64 id_valid(struct seccomp_listener *l, uaddr_t uid)
{
    u64 id;
    s64 r;
    if (get_user_u64(uid, &id) < 0)
        return -EFAULT;
    mutex_lock(&l->lock);
    struct question *q = sent(l, id, &r);
    mutex_unlock(&l->lock);
    return q != NULL ? 0 : -ENOENT;
}

static s64 give(struct seccomp_listener *l, u64 id, struct gift *g)
{
    s64 r;
    mutex_lock(&l->lock);
    struct question *q = sent(l, id, &r);
    if (q != NULL && g->answers && !list_empty(&q->gifts))
        r = -EBUSY;
    if (r == 0) {
        if (g->answers)
            q->state = REPLIED;
        list_push_back(&q->gifts, &g->node);
        wq_wake(&l->answers, 0);
    }
    mutex_unlock(&l->lock);
    if (r != 0)
        return r;
    r = wait_event_interruptible(&l->answers, atomic_load(&g->done));
    mutex_lock(&l->lock);
    bool back = !g->done && !g->taken; /* interrupted */
    if (back) {
        list_remove(&g->node);
        q = g->answers ? find(l, id) : NULL;
        if (q != NULL)
            q->state = SENT;
    }
    mutex_unlock(&l->lock);
    if (!back)
        wait_event(&l->answers, atomic_load(&g->done));
    return back ? r : g->result;
}

static s64 add_fd(struct seccomp_listener *l, uaddr_t uadd, u32 size)
{
    struct abi_notif_addfd a;
    if (size < ADDFD_SIZE_FIRST || size >= PAGE_SIZE)
        return -EINVAL;
    int err = copy_struct_from_user(&a, sizeof a, uadd, size);
    if (err != 0)
        return err;
    if ((a.newfd_flags & ~(u32)O_CLOEXEC) || (a.flags & ~(ADDFD_SETFD | ADDFD_SEND)) || (a.newfd != 0 && !(a.flags & ADDFD_SETFD)))
        return -EINVAL;
    struct gift g = { .file = file_of((int)a.srcfd), .to = (s32)a.newfd, .chosen = (a.flags & ADDFD_SETFD) != 0, .cloexec = a.newfd_flags != 0,
                      .answers = (a.flags & ADDFD_SEND) != 0 };
    if (g.file == NULL)
        return -EBADF;
    s64 r = give(l, a.id, &g);
    file_put(g.file);
    return r;
}

/* --- the file ----------------------------------------------------------------------------------------------- */

static s64 notif_ioctl(struct file *f, u32 cmd, uaddr_t arg)
{
    struct seccomp_listener *l = f->private;
    switch (cmd) {
    case NOTIF_RECV:
        return receive(l, arg);
    case NOTIF_SEND:
        return answer(l, arg);
    case NOTIF_ID_VALID:
    case NOTIF_ID_VALID_OLD:
        return id_valid(l, arg);
    default:
        return IOCTL_ANY_SIZE(cmd) == NOTIF_ADDFD ? add_fd(l, arg, cmd >> 16 & 0x3fff) : -EINVAL;
    }
}

static u32 notif_poll(struct file *f, struct poll_table *pt)
{
    struct seccomp_listener *l = f->private;
    poll_wait(&l->wq, pt);
    mutex_lock(&l->lock);
    u32 events = (first(l, NEW) != NULL ? POLLIN | POLLRDNORM : 0) | (first(l, SENT) != NULL ? POLLOUT | POLLWRNORM : 0);
    mutex_unlock(&l->lock);
    return events | (atomic_load(&l->unused) ? POLLHUP : 0);
}

static void notif_release(struct file *f)
{
    struct seccomp_listener *l = f->private;
    mutex_lock(&l->lock);
    atomic_store(&l->closed, true);
    list_for_each(q, &l->questions, struct question, node)
        if (q->state != REPLIED) {
            q->state = REPLIED;
            q->err = -ENOSYS;
        }
    wq_wake(&l->answers, 0);
    mutex_unlock(&l->lock);
    listener_put(l);
}

static const struct file_ops notif_ops = { .ioctl = notif_ioctl, .poll = notif_poll, .release = notif_release };

int seccomp_listen(bool killable, struct seccomp_listener **ret, struct file **ret_file)
{
    struct seccomp_listener *l = kzalloc(sizeof *l);
    if (l == NULL)
        return -ENOMEM;
    ref_init(&l->refs);
    mutex_init(&l->lock, "seccomp listener");
    wq_init(&l->wq, "seccomp listener");
    wq_init(&l->answers, "seccomp answers");
    list_init(&l->questions);
    random_bytes(&l->next_id, sizeof l->next_id);
    l->killable = killable;
    int r = file_create_anon("seccomp notify", &notif_ops, l, O_RDWR, ret_file);
    if (r < 0) {
        kfree(l);
        return r;
    }
    ref_get(&l->refs); /* the file has the other */
    *ret = l;
    return 0;
}

bool seccomp_heard(const struct seccomp_listener *l) { return l != NULL && !atomic_load(&l->closed); }

void seccomp_unlisten(struct seccomp_listener *l)
{
    if (l == NULL)
        return;
    atomic_store(&l->unused, true);
    wq_wake(&l->wq, POLLHUP);
    listener_put(l);
}
