/* SPDX-License-Identifier: Apache-2.0 */
/*
 * System V message queues (msgget(2), msgsnd(2), msgrcv(2), msgctl(2)).
 *
 *   Q1  No waiting receiver wants a message that is queued, and no waiting sender's message fits: a message that comes is
 *       handed to the first receiver that wants it, and room that comes is given to senders in their order.
 *
 * Lock: msg_kind.lock for everything here.
 */
#include "sysv_ipc.h"
#include "base/fmt.h"
#include "base/str.h"

#define MSG_STAT 11
#define MSG_INFO 12
#define MSG_STAT_ANY 13
#define MSG_NOERROR 010000u
#define MSG_EXCEPT 020000u
#define MSG_COPY 040000u
#define MSG_SIZE_MAX (1u << 20)

u32 msg_max = 8192, msg_queue_bytes = 16384;

struct abi_msqid {
    struct abi_ipc_perm perm;
    s64 stime, rtime, ctime;
    u64 cbytes, qnum, qbytes;
    s32 lspid, lrpid;
    u64 unused[2];
};
_Static_assert(sizeof(struct abi_msqid) == 120, "struct msqid64_ds");
struct abi_msginfo {
    s32 pool, map, max, mnb, mni, ssz, tql;
    u16 seg;
};

struct msg {
    struct list node;
    s64 type;
    u64 size;
    u8 data[];
};
struct msg_queue {
    struct ipc_object ipc;
    struct abi_msqid ds; /* perm: unused */
    struct list msgs, receivers, senders;
};
struct msg_wait {
    struct ipc_wait wait;
    struct msg *msg;   /* to send, or received */
    s64 type;          /* receivers */
    u64 room;
    u32 flags;
    s32 pid;
};

static inline struct msg_queue *queue_of(const struct ipc_object *o) { return container_of(o, struct msg_queue, ipc); }

/* --- queues --------------------------------------------------------------------------------------- */

static int create(u64 arg, u32 flags, struct ipc_object **ret)
{
    struct msg_queue *q = kzalloc(sizeof *q);
    if (q == NULL)
        return -ENOMEM;
    list_init(&q->msgs);
    list_init(&q->receivers);
    list_init(&q->senders);
    q->ds.ctime = ipc_time();
    q->ds.qbytes = msg_queue_bytes;
    *ret = &q->ipc;
    return 0;
}

static int match(const struct ipc_object *o, u64 arg) { return 0; }

static void destroy(struct ipc_object *o)
{
    if (o == NULL)
        return;
    list_for_each_safe(m, &queue_of(o)->msgs, struct msg, node)
        kfree(m);
    kfree(queue_of(o));
}

static size_t line(const struct ipc_object *o, char *buf, size_t size)
{
    const struct abi_msqid *d = &queue_of(o)->ds;
    const struct abi_ipc_perm *p = &o->perm;
    return (size_t)fmt_snprintf(buf, size, "%10d %10u  %4o  %10llu %10llu %5d %5d %5u %5u %5u %5u %10lld %10lld %10lld\n", p->key, o->id,
                                p->mode, (unsigned long long)d->cbytes, (unsigned long long)d->qnum, d->lspid, d->lrpid, p->uid,
                                p->gid, p->cuid, p->cgid, (long long)d->stime, (long long)d->rtime, (long long)d->ctime);
}

struct ipc_kind msg_kind = {
    .lock = SPINLOCK_INIT("sysv msg"),
    .heading = "       key      msqid perms      cbytes       qnum lspid lrpid   uid   gid  cuid  cgid      stime      rtime      ctime",
    .create = create, .match = match, .destroy = destroy, .line = line, .max = 32000,
};

s64 sys_msgget(int key, int flags) { return ipc_get(&msg_kind, key, 0, (u32)flags); }

/* --- moving messages ---------------------------------------------------------------------------------- */

static bool wanted(const struct msg *m, s64 type, u32 flags)
{
    if (type == 0 || flags & MSG_COPY)
        return true;
    if (type < 0)
        return m->type <= -type;
    return (m->type == type) != ((flags & MSG_EXCEPT) != 0);
}

/* The message that msgrcv() takes: the first wanted; of those for a negative type, the first of the lowest. */
static struct msg *choose(const struct msg_queue *q, s64 type, u32 flags)
{
    struct msg *best = NULL;
    s64 n = 0;
    list_for_each(m, &q->msgs, struct msg, node) {
        if (flags & MSG_COPY) { /* by number */
            if (n++ == type)
                return m;
        } else if (wanted(m, type, flags)) {
            if (type >= 0)
                return m;
            if (best == NULL || m->type < best->type)
                best = m;
        }
    }
    return best;
}

static bool fits(const struct msg_queue *q, const struct msg *m)
{
    return q->ds.cbytes + m->size <= q->ds.qbytes && q->ds.qnum + 1 <= q->ds.qbytes;
}

static void received(struct msg_queue *q, s32 pid)
{
    q->ds.rtime = ipc_time();
    q->ds.lrpid = pid;
}

/* A message arrives: handed to a receiver, or queued. */
static void deliver(struct msg_queue *q, struct msg *m, s32 pid)
{
    q->ds.stime = ipc_time();
    q->ds.lspid = pid;
    list_for_each_safe(w, &q->receivers, struct msg_wait, wait.node) {
        if (!wanted(m, w->type, w->flags))
            continue;
        if (m->size > w->room && !(w->flags & MSG_NOERROR)) {
            ipc_wait_end(&w->wait, -E2BIG);
            continue;
        }
        w->msg = m;
        received(q, w->pid);
        ipc_wait_end(&w->wait, 0);
        return;
    }
    list_push_back(&q->msgs, &m->node);
    q->ds.cbytes += m->size;
    q->ds.qnum++;
}

/* Room came. */
static void admit_senders(struct msg_queue *q)
{
    list_for_each_safe(w, &q->senders, struct msg_wait, wait.node) {
        if (!fits(q, w->msg))
            continue;
        deliver(q, w->msg, w->pid);
        w->msg = NULL;
        ipc_wait_end(&w->wait, 0);
    }
}

static s64 wait_result(s64 r) { return r == -ERESTARTSYS ? -ERESTARTNOHAND : r; }

static s64 send(int id, struct msg_wait *w)
{
    struct ipc_object *o;
    spin_lock(&msg_kind.lock);
    s64 r = ipc_open(&msg_kind, id, false, 2, &o);
    if (r == 0 && fits(queue_of(o), w->msg)) {
        deliver(queue_of(o), w->msg, w->pid);
        w->msg = NULL;
    } else if (r == 0 && w->flags & IPC_NOWAIT) {
        r = -EAGAIN;
    } else if (r == 0) {
        list_push_back(&queue_of(o)->senders, &w->wait.node);
        return wait_result(ipc_wait(&w->wait, &msg_kind.lock, NEVER_NS));
    }
    spin_unlock(&msg_kind.lock);
    return r;
}

s64 sys_msgsnd(int id, uaddr_t umsg, u64 size, int flags)
{
    s64 type;
    int r = get_user_u64(umsg, (u64 *)&type);
    if (r < 0)
        return r;
    if (size > MIN(msg_max, MSG_SIZE_MAX) || id < 0 || type < 1)
        return -EINVAL;
    struct msg *m = kmalloc(sizeof *m + size, 0);
    if (m == NULL)
        return -ENOMEM;
    m->type = type;
    m->size = size;
    struct msg_wait w = {.wait.thread = current_thread(), .msg = m, .flags = (u32)flags, .pid = (s32)current_process()->pid};
    s64 n = copy_from_user(m->data, umsg + sizeof type, size);
    if (n == 0)
        n = send(id, &w);
    kfree(w.msg);
    return n;
}

/* A copy for MSG_COPY, which leaves the message where it is; lock held, so from the reserve or not at all. */
static struct msg *copy_of(const struct msg *m)
{
    struct msg *c = kmalloc(sizeof *c + m->size, ALLOC_ATOMIC);
    if (c != NULL)
        memcpy(c, m, sizeof *c + m->size);
    return c;
}

static s64 receive(int id, struct msg_wait *w)
{
    struct ipc_object *o;
    spin_lock(&msg_kind.lock);
    s64 r = ipc_open(&msg_kind, id, false, 4, &o);
    struct msg_queue *q = r == 0 ? queue_of(o) : NULL;
    struct msg *m = r == 0 ? choose(q, w->type, w->flags) : NULL;
    if (m != NULL && m->size > w->room && !(w->flags & MSG_NOERROR)) {
        r = -E2BIG;
    } else if (m != NULL && w->flags & MSG_COPY) {
        w->msg = m->size <= w->room ? copy_of(m) : NULL; /* copies are not cut */
        r = w->msg != NULL ? 0 : m->size <= w->room ? -ENOMEM : -EINVAL;
    } else if (m != NULL) {
        list_remove(&m->node);
        w->msg = m;
        q->ds.cbytes -= m->size;
        q->ds.qnum--;
        received(q, w->pid);
        admit_senders(q);
    } else if (r == 0 && w->flags & IPC_NOWAIT) {
        r = -ENOMSG;
    } else if (r == 0) {
        list_push_back(&q->receivers, &w->wait.node);
        return wait_result(ipc_wait(&w->wait, &msg_kind.lock, NEVER_NS));
    }
    spin_unlock(&msg_kind.lock);
    return r;
}

s64 sys_msgrcv(int id, uaddr_t umsg, u64 room, s64 type, int uflags)
{
    u32 flags = (u32)uflags;
    if (id < 0 || room > INT64_MAX)
        return -EINVAL;
    if (flags & MSG_COPY && (flags & MSG_EXCEPT || !(flags & IPC_NOWAIT)))
        return -EINVAL;
    if (type == INT64_MIN)
        type = -INT64_MAX;
    struct msg_wait w = {.wait.thread = current_thread(), .type = type, .room = room, .flags = flags, .pid = (s32)current_process()->pid};
    s64 r = receive(id, &w);
    if (r == 0) {
        u64 n = MIN(room, w.msg->size);
        if (put_user_u64(umsg, (u64)w.msg->type) < 0 || copy_to_user(umsg + sizeof(u64), w.msg->data, n) < 0)
            r = -EFAULT;
        else
            r = (s64)n;
    }
    kfree(w.msg);
    return r;
}

/* --- msgctl --------------------------------------------------------------------------------------------- */

static s64 info(int cmd, uaddr_t to)
{
    struct abi_msginfo i = {.pool = (s32)(msg_kind.max * (u64)msg_queue_bytes / 1024), .map = (s32)msg_queue_bytes, .max = (s32)msg_max,
                            .mnb = (s32)msg_queue_bytes, .mni = (s32)msg_kind.max, .ssz = 16, .tql = (s32)msg_queue_bytes, .seg = 0xffff};
    spin_lock(&msg_kind.lock);
    u32 highest = ipc_highest(&msg_kind);
    if (cmd == MSG_INFO) {
        i.pool = (s32)msg_kind.used;
        i.map = i.tql = 0;
        for (u32 k = 0; k < msg_kind.size; k++)
            if (msg_kind.table[k] != NULL) {
                i.map += (s32)queue_of(msg_kind.table[k])->ds.qnum;
                i.tql += (s32)queue_of(msg_kind.table[k])->ds.cbytes;
            }
    }
    spin_unlock(&msg_kind.lock);
    int r = copy_to_user(to, &i, sizeof i);
    return r < 0 ? r : (s64)highest;
}

static s64 status(int id, int cmd, uaddr_t to)
{
    struct abi_msqid ds;
    struct ipc_object *o;
    spin_lock(&msg_kind.lock);
    s64 r = ipc_open(&msg_kind, id, cmd != IPC_STAT, cmd == MSG_STAT_ANY ? 0 : 4, &o);
    if (r == 0) {
        ds = queue_of(o)->ds;
        ds.perm = o->perm;
        r = cmd == IPC_STAT ? 0 : (s64)o->id;
    }
    spin_unlock(&msg_kind.lock);
    return r >= 0 && copy_to_user(to, &ds, sizeof ds) < 0 ? -EFAULT : r;
}

static void end_waits(struct list *waits)
{
    list_for_each_safe(w, waits, struct msg_wait, wait.node)
        ipc_wait_end(&w->wait, -EIDRM);
}

static s64 change(int id, const struct abi_msqid *new)
{
    struct ipc_object *o, *gone = NULL;
    spin_lock(&msg_kind.lock);
    s64 r = ipc_own(&msg_kind, id, &o);
    if (r == 0 && new != NULL && new->qbytes > msg_queue_bytes && !capable(CAP_SYS_RESOURCE))
        r = -EPERM;
    bool set = r == 0 && new != NULL;
    if (set)
        r = ipc_set_perm(o, &new->perm);
    if (r == 0 && set) {
        struct msg_queue *q = queue_of(o);
        q->ds.qbytes = new->qbytes;
        q->ds.ctime = ipc_time();
        admit_senders(q);
    } else if (r == 0) {
        end_waits(&queue_of(o)->receivers);
        end_waits(&queue_of(o)->senders);
        ipc_remove(&msg_kind, o);
        gone = o;
    }
    spin_unlock(&msg_kind.lock);
    destroy(gone);
    return r;
}

s64 sys_msgctl(int id, int cmd, uaddr_t buf)
{
    struct abi_msqid new;
    if (id < 0 || cmd < 0)
        return -EINVAL;
    switch (cmd) {
    case IPC_INFO:
    case MSG_INFO:
        return info(cmd, buf);
    case IPC_STAT:
    case MSG_STAT:
    case MSG_STAT_ANY:
        return status(id, cmd, buf);
    case IPC_SET:
        if (copy_from_user(&new, buf, sizeof new) < 0)
            return -EFAULT;
        return change(id, &new);
    case IPC_RMID:
        return change(id, NULL);
    default:
        return -EINVAL;
    }
}
