/* SPDX-License-Identifier: Apache-2.0 */
/*
 * System V semaphores (semget(2), semop(2), semctl(2)). A semop() whose operations cannot all be done at once waits in the
 * set's queue; whoever changes a value tries the queue in order and does for the waiters what can be done now.
 *
 *   M1  No operation in a queue could be done: whoever changes values leaves only after wake_queue().
 *   M2  An undo belongs to one process and one set, and is in the lists of both. Adding up the values of a set and its
 *       undos gives what it would be if all those processes ended.
 *
 * Lock: sem_kind.lock for everything here.
 */
#include "sysv_ipc.h"
#include "base/fmt.h"
#include "base/str.h"

#define GETPID 11
#define GETVAL 12
#define GETALL 13
#define GETNCNT 14
#define GETZCNT 15
#define SETVAL 16
#define SETALL 17
#define SEM_STAT 18
#define SEM_INFO 19
#define SEM_STAT_ANY 20
#define SEM_UNDO 0x1000
#define SEM_PER_SET 32000u      /* SEMMSL */
#define SEM_ALL 1024000000u     /* SEMMNS */
#define SEM_OPS 500u            /* SEMOPM */
#define SEM_VALUE_MAX 32767     /* SEMVMX, SEMAEM */
#define FAST_OPS 16

struct abi_sembuf {
    u16 num;
    s16 op, flags;
};
struct abi_semid {
    struct abi_ipc_perm perm;
    s64 otime;
    u64 unused1;
    s64 ctime;
    u64 unused2, nsems, unused3, unused4;
};
_Static_assert(sizeof(struct abi_semid) == 104, "struct semid64_ds");
struct abi_seminfo { s32 map, mni, mns, mnu, msl, opm, ume, usz, vmx, aem; };

struct sem {
    s32 value, pid;
};
struct sem_set {
    struct ipc_object ipc;
    struct list queue; /* struct sem_wait */
    struct list undos;
    s64 otime, ctime;
    u32 nsems;
    struct sem sems[];
};
struct sem_undo {
    struct list proc_node, set_node; /* M2 */
    struct process *proc;
    struct sem_set *set;
    s16 adjust[];
};
struct sem_wait {
    struct ipc_wait wait;
    const struct abi_sembuf *ops, *blocking;
    u32 nops;
    s32 pid;
    struct sem_undo *undo;
};

static u32 sems_used;

static inline struct sem_set *set_of(const struct ipc_object *o) { return container_of(o, struct sem_set, ipc); }

/* --- sets ------------------------------------------------------------------------------------------ */

static int create(u64 nsems, u32 flags, struct ipc_object **ret)
{
    if (nsems == 0)
        return -EINVAL;
    struct sem_set *s = kzalloc(sizeof *s + nsems * sizeof s->sems[0]);
    if (s == NULL)
        return -ENOMEM;
    list_init(&s->queue);
    list_init(&s->undos);
    s->nsems = (u32)nsems;
    s->ctime = ipc_time();
    if (atomic_add(&sems_used, s->nsems) > SEM_ALL) {
        atomic_sub(&sems_used, s->nsems);
        kfree(s);
        return -ENOSPC;
    }
    *ret = &s->ipc;
    return 0;
}

static int match(const struct ipc_object *o, u64 nsems) { return nsems > set_of(o)->nsems ? -EINVAL : 0; }

static void destroy(struct ipc_object *o)
{
    if (o == NULL)
        return;
    atomic_sub(&sems_used, set_of(o)->nsems);
    list_for_each_safe(u, &set_of(o)->undos, struct sem_undo, set_node)
        kfree(u);
    kfree(set_of(o));
}

static size_t line(const struct ipc_object *o, char *buf, size_t size)
{
    const struct sem_set *s = set_of(o);
    const struct abi_ipc_perm *p = &o->perm;
    return (size_t)fmt_snprintf(buf, size, "%10d %10u  %4o %10u %5u %5u %5u %5u %10lld %10lld\n", p->key, o->id, p->mode, s->nsems,
                                p->uid, p->gid, p->cuid, p->cgid, (long long)s->otime, (long long)s->ctime);
}

struct ipc_kind sem_kind = {
    .lock = SPINLOCK_INIT("sysv sem"),
    .heading = "       key      semid perms      nsems   uid   gid  cuid  cgid      otime      ctime",
    .create = create, .match = match, .destroy = destroy, .line = line, .max = 32000,
};

s64 sys_semget(int key, int nsems, int flags)
{
    return nsems < 0 || (u32)nsems > SEM_PER_SET ? -EINVAL : ipc_get(&sem_kind, key, (u64)nsems, (u32)flags);
}

/* --- operations --------------------------------------------------------------------------------------- */

/* One operation: 0 done, 1 it has to wait, -EAGAIN it would have to, -ERANGE. */
static int do_one(struct sem *s, const struct abi_sembuf *op, struct sem_undo *undo)
{
    s32 value = s->value + op->op;
    if (op->op == 0 ? s->value != 0 : value < 0)
        return (u16)op->flags & IPC_NOWAIT ? -EAGAIN : 1;
    if (value > SEM_VALUE_MAX)
        return -ERANGE;
    if (op->flags & SEM_UNDO) {
        s32 adjust = undo->adjust[op->num] - op->op;
        if (adjust < -SEM_VALUE_MAX - 1 || adjust > SEM_VALUE_MAX)
            return -ERANGE;
        undo->adjust[op->num] = (s16)adjust;
    }
    s->value = value;
    return 0;
}

static void take_back(struct sem_set *s, const struct sem_wait *w, u32 n)
{
    while (n-- > 0) {
        s->sems[w->ops[n].num].value -= w->ops[n].op;
        if (w->ops[n].flags & SEM_UNDO)
            w->undo->adjust[w->ops[n].num] = (s16)(w->undo->adjust[w->ops[n].num] + w->ops[n].op);
    }
}

/* All operations or none; as do_one(). */
static int try(struct sem_set *s, struct sem_wait *w)
{
    for (u32 i = 0; i < w->nops; i++) {
        int r = do_one(&s->sems[w->ops[i].num], &w->ops[i], w->undo);
        if (r != 0) {
            take_back(s, w, i);
            w->blocking = &w->ops[i];
            return r;
        }
    }
    for (u32 i = 0; i < w->nops; i++)
        s->sems[w->ops[i].num].pid = w->pid;
    return 0;
}

static bool alters(const struct abi_sembuf *ops, u32 n)
{
    for (u32 i = 0; i < n; i++)
        if (ops[i].op != 0)
            return true;
    return false;
}

/* M1, after values changed. Each pass ends at least one wait, or is the last. */
static void wake_queue(struct sem_set *s)
{
    bool again;
    do {
        again = false;
        list_for_each_safe(w, &s->queue, struct sem_wait, wait.node) {
            int r = try(s, w);
            if (r > 0)
                continue;
            again |= r == 0 && alters(w->ops, w->nops);
            ipc_wait_end(&w->wait, r);
            if (r == 0)
                s->otime = ipc_time();
        }
    } while (again);
}

/* --- undos ---------------------------------------------------------------------------------------------- */

static struct sem_undo *find_undo(const struct sem_set *s, const struct process *p)
{
    list_for_each(u, &s->undos, struct sem_undo, set_node)
        if (u->proc == p)
            return u;
    return NULL;
}

/* The process' undo for a set, made if need be. Lock held, but dropped to allocate: the set is looked up again.
 * 0, -ENOMEM, -EINVAL (the set went), -EIDRM. */
static int get_undo(int id, struct sem_set **set, struct sem_undo **ret)
{
    struct process *p = current_process();
    struct ipc_object *o = &(*set)->ipc;
    struct sem_undo *new = NULL, *u;
    while ((u = find_undo(set_of(o), p)) == NULL && new == NULL) {
        u32 nsems = set_of(o)->nsems;
        spin_unlock(&sem_kind.lock);
        new = kzalloc(sizeof *new + nsems * sizeof new->adjust[0]);
        spin_lock(&sem_kind.lock);
        o = ipc_find(&sem_kind, id);
        if (new == NULL || o == NULL) {
            kfree(new);
            return new == NULL ? -ENOMEM : -EIDRM;
        }
    }
    if (u == NULL) {
        u = new;
        new = NULL;
        u->proc = p;
        u->set = set_of(o);
        list_push_back(&p->sem_undos, &u->proc_node);
        list_push_back(&u->set->undos, &u->set_node);
    }
    kfree(new);
    *set = set_of(o);
    *ret = u;
    return 0;
}

void sem_process_exit(struct process *p)
{
    struct list done = LIST_INIT(done);
    if (list_empty(&p->sem_undos))
        return;
    spin_lock(&sem_kind.lock);
    list_for_each_safe(u, &p->sem_undos, struct sem_undo, proc_node) {
        struct sem_set *s = u->set;
        for (u32 i = 0; i < s->nsems; i++) {
            if (u->adjust[i] == 0)
                continue;
            s->sems[i].value = MIN(MAX(s->sems[i].value + u->adjust[i], 0), SEM_VALUE_MAX);
            s->sems[i].pid = (s32)p->pid;
        }
        list_remove(&u->set_node);
        list_remove(&u->proc_node);
        list_push_back(&done, &u->proc_node);
        s->otime = ipc_time();
        wake_queue(s);
    }
    spin_unlock(&sem_kind.lock);
    list_for_each_safe(u, &done, struct sem_undo, proc_node)
        kfree(u);
}

/* --- semop ---------------------------------------------------------------------------------------------- */

static s64 operate(int id, const struct abi_sembuf *ops, u32 nops, u64 deadline)
{
    struct sem_wait w = {.wait.thread = current_thread(), .ops = ops, .nops = nops, .pid = (s32)current_process()->pid};
    struct ipc_object *o;
    u32 last = 0;
    bool undo = false;
    for (u32 i = 0; i < nops; i++) {
        last = MAX(last, ops[i].num);
        undo |= (ops[i].flags & SEM_UNDO) != 0;
    }
    spin_lock(&sem_kind.lock);
    s64 r = ipc_open(&sem_kind, id, false, alters(ops, nops) ? 2 : 4, &o);
    struct sem_set *s = r != -EINVAL ? set_of(o) : NULL;
    if (s != NULL && last >= s->nsems)
        r = -EFBIG;
    if (r == 0 && undo)
        r = get_undo(id, &s, &w.undo);
    if (r == 0 && (r = try(s, &w)) > 0) {
        list_push_back(&s->queue, &w.wait.node);
        r = ipc_wait(&w.wait, &sem_kind.lock, deadline);
        return r == -ETIMEDOUT ? -EAGAIN : r == -ERESTARTSYS ? -EINTR : r;
    }
    if (r == 0) {
        s->otime = ipc_time();
        if (alters(ops, nops))
            wake_queue(s);
    }
    spin_unlock(&sem_kind.lock);
    return r;
}

s64 sys_semtimedop(int id, uaddr_t uops, u32 nops, uaddr_t timeout)
{
    struct abi_sembuf fast[FAST_OPS], *ops = fast;
    u64 deadline;
    s64 r = get_timeout(timeout, CLOCK_DURATION, &deadline);
    if (r < 0)
        return r;
    if (nops > SEM_OPS)
        return -E2BIG;
    if (nops == 0 || id < 0)
        return -EINVAL;
    if (nops > FAST_OPS && (ops = kmalloc(nops * sizeof *ops, 0)) == NULL)
        return -ENOMEM;
    r = copy_from_user(ops, uops, nops * sizeof *ops);
    if (r == 0)
        r = operate(id, ops, nops, deadline);
    if (ops != fast)
        kfree(ops);
    return r;
}

s64 sys_semop(int id, uaddr_t ops, u32 nops) { return sys_semtimedop(id, ops, nops, 0); }

/* --- semctl --------------------------------------------------------------------------------------------- */

static s64 info(int cmd, uaddr_t to)
{
    struct abi_seminfo i = {.map = SEM_ALL, .mni = (s32)sem_kind.max, .mns = SEM_ALL, .mnu = SEM_ALL, .msl = SEM_PER_SET, .opm = SEM_OPS,
                            .ume = SEM_OPS, .usz = 20, .vmx = SEM_VALUE_MAX, .aem = SEM_VALUE_MAX};
    spin_lock(&sem_kind.lock);
    u32 highest = ipc_highest(&sem_kind);
    if (cmd == SEM_INFO) {
        i.usz = (s32)sem_kind.used;
        i.aem = (s32)atomic_load(&sems_used);
    }
    spin_unlock(&sem_kind.lock);
    int r = copy_to_user(to, &i, sizeof i);
    return r < 0 ? r : (s64)highest;
}

static s64 status(int id, int cmd, uaddr_t to)
{
    struct abi_semid ds = {0};
    struct ipc_object *o;
    spin_lock(&sem_kind.lock);
    s64 r = ipc_open(&sem_kind, id, cmd != IPC_STAT, cmd == SEM_STAT_ANY ? 0 : 4, &o);
    if (r == 0) {
        const struct sem_set *s = set_of(o);
        ds = (struct abi_semid){.perm = o->perm, .otime = s->otime, .ctime = s->ctime, .nsems = s->nsems};
        r = cmd == IPC_STAT ? 0 : (s64)o->id;
    }
    spin_unlock(&sem_kind.lock);
    return r >= 0 && copy_to_user(to, &ds, sizeof ds) < 0 ? -EFAULT : r;
}

static s64 change(int id, const struct abi_semid *new)
{
    struct ipc_object *o, *gone = NULL;
    spin_lock(&sem_kind.lock);
    s64 r = ipc_own(&sem_kind, id, &o);
    if (r == 0 && new != NULL) {
        r = ipc_set_perm(o, &new->perm);
        if (r == 0)
            set_of(o)->ctime = ipc_time();
    } else if (r == 0) {
        list_for_each_safe(w, &set_of(o)->queue, struct sem_wait, wait.node)
            ipc_wait_end(&w->wait, -EIDRM);
        list_for_each(u, &set_of(o)->undos, struct sem_undo, set_node)
            list_remove(&u->proc_node);
        ipc_remove(&sem_kind, o);
        gone = o;
    }
    spin_unlock(&sem_kind.lock);
    destroy(gone);
    return r;
}

/* How many wait for semaphore `num`: to become zero, or to grow. */
static s64 waiting(const struct sem_set *s, u32 num, bool zero)
{
    s64 n = 0;
    list_for_each(w, &s->queue, struct sem_wait, wait.node)
        n += w->blocking->num == num && (zero ? w->blocking->op == 0 : w->blocking->op < 0);
    return n;
}

/* What SETVAL and SETALL set is not undone. */
static void set_value(struct sem_set *s, u32 num, s32 value)
{
    s->sems[num].value = value;
    s->sems[num].pid = (s32)current_process()->pid;
    list_for_each(u, &s->undos, struct sem_undo, set_node)
        u->adjust[num] = 0;
}

static s64 one_value(int id, int num, int cmd, s32 value)
{
    struct ipc_object *o;
    if (cmd == SETVAL && (value < 0 || value > SEM_VALUE_MAX))
        return -ERANGE;
    spin_lock(&sem_kind.lock);
    s64 r = ipc_open(&sem_kind, id, false, cmd == SETVAL ? 2 : 4, &o);
    struct sem_set *s = r != -EINVAL ? set_of(o) : NULL;
    if (s != NULL && (num < 0 || (u32)num >= s->nsems) && (cmd == SETVAL || r == 0))
        r = -EINVAL;
    if (r == 0) {
        switch (cmd) {
        case GETVAL: r = s->sems[num].value; break;
        case GETPID: r = s->sems[num].pid; break;
        case GETNCNT: r = waiting(s, (u32)num, false); break;
        case GETZCNT: r = waiting(s, (u32)num, true); break;
        default:
            set_value(s, (u32)num, value);
            s->ctime = ipc_time();
            wake_queue(s);
            break;
        }
    }
    spin_unlock(&sem_kind.lock);
    return r;
}

/* The values of a whole set, from or to `v`, which has room for `n`: a set of that size. */
static s64 exchange_all(int id, int cmd, u16 *v, u32 n)
{
    struct ipc_object *o;
    spin_lock(&sem_kind.lock);
    s64 r = ipc_open(&sem_kind, id, false, cmd == SETALL ? 2 : 4, &o);
    if (r == 0 && set_of(o)->nsems != n)
        r = -EINVAL;
    for (u32 i = 0; r == 0 && i < n; i++) {
        if (cmd == SETALL)
            set_value(set_of(o), i, v[i]);
        else
            v[i] = (u16)set_of(o)->sems[i].value;
    }
    if (r == 0 && cmd == SETALL) {
        set_of(o)->ctime = ipc_time();
        wake_queue(set_of(o));
    }
    spin_unlock(&sem_kind.lock);
    return r;
}

static s64 all_values(int id, int cmd, uaddr_t arg)
{
    struct ipc_object *o;
    spin_lock(&sem_kind.lock);
    s64 r = ipc_open(&sem_kind, id, false, cmd == SETALL ? 2 : 4, &o);
    u32 n = r == 0 ? set_of(o)->nsems : 0;
    spin_unlock(&sem_kind.lock);
    if (r < 0)
        return r;
    u16 *v = kmalloc(n * sizeof *v, 0);
    if (v == NULL)
        return -ENOMEM;
    if (cmd == SETALL)
        r = copy_from_user(v, arg, n * sizeof *v);
    for (u32 i = 0; r == 0 && cmd == SETALL && i < n; i++)
        r = v[i] > SEM_VALUE_MAX ? -ERANGE : 0;
    if (r == 0)
        r = exchange_all(id, cmd, v, n);
    if (r == 0 && cmd == GETALL)
        r = copy_to_user(arg, v, n * sizeof *v);
    kfree(v);
    return r;
}

s64 sys_semctl(int id, int num, int cmd, u64 arg)
{
    struct abi_semid new;
    if (id < 0)
        return -EINVAL;
    switch (cmd) {
    case IPC_INFO:
    case SEM_INFO:
        return info(cmd, arg);
    case IPC_STAT:
    case SEM_STAT:
    case SEM_STAT_ANY:
        return status(id, cmd, arg);
    case GETVAL:
    case GETPID:
    case GETNCNT:
    case GETZCNT:
    case SETVAL:
        return one_value(id, num, cmd, (s32)arg);
    case GETALL:
    case SETALL:
        return all_values(id, cmd, arg);
    case IPC_SET:
        if (copy_from_user(&new, arg, sizeof new) < 0)
            return -EFAULT;
        return change(id, &new);
    case IPC_RMID:
        return change(id, NULL);
    default:
        return -EINVAL;
    }
}
