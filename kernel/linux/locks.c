/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Advisory file locks: fcntl(2) POSIX locks (owned by a process), open file
 * description locks and flock(2) (owned by the open file). All locks are on
 * one list; files with locks are few.
 */
#include "task.h"
#include "base/fmt.h"

#define F_RDLCK 0
#define F_WRLCK 1
#define F_UNLCK 2
#define LOCK_SH 1u
#define LOCK_EX 2u
#define LOCK_NB 4u
#define LOCK_MAND 32u
#define LOCK_UN 8u
#define OFFSET_MAX INT64_MAX

enum kind { KIND_POSIX, KIND_OFD, KIND_FLOCK };

struct lock {
    struct list node;
    struct inode *inode;
    const void *owner; /* struct process or struct file */
    u8 kind;
    bool write;
    s64 start, end;    /* inclusive */
    u32 pid;           /* of who took it */
};

static struct spinlock locks_lock = SPINLOCK_INIT("file locks");
static struct list all_locks = LIST_INIT(all_locks);
static struct waitqueue locks_wq = {SPINLOCK_INIT("file lock waiters"), LIST_INIT(locks_wq.waiters)};
static struct list all_blocked = LIST_INIT(all_blocked); /* struct blocked */
u32 posix_lock_count;

/* A thread that waits; locks_lock. */
struct blocked {
    struct list node;
    const struct lock *want;
};
#define CHAIN_MAX 10 /* longer chains of waiting processes are not followed, as on Linux */

static bool overlap(const struct lock *a, const struct lock *b) { return a->start <= b->end && b->start <= a->end; }

/* flock and fcntl locks do not see each other. */
static struct lock *conflict(const struct lock *want)
{
    list_for_each(l, &all_locks, struct lock, node)
        if (l->inode == want->inode && (l->kind == KIND_FLOCK) == (want->kind == KIND_FLOCK) && l->owner != want->owner &&
            (l->write || want->write) && overlap(l, want))
            return l;
    return NULL;
}

static const struct lock *wanted_by(const void *owner)
{
    list_for_each(b, &all_blocked, struct blocked, node)
        if (b->want->owner == owner)
            return b->want;
    return NULL;
}

/* Would waiting close a circle of processes that wait for each other? locks_lock held. */
static bool deadlocks(const struct lock *want)
{
    const struct lock *l = want;
    for (int i = 0; i < CHAIN_MAX; i++) {
        const struct lock *held = conflict(l);
        if (held == NULL || held->kind != KIND_POSIX)
            return false;
        if (held->owner == want->owner)
            return true;
        l = wanted_by(held->owner);
        if (l == NULL)
            return false;
    }
    return false;
}

static bool same_holder(const struct lock *a, const struct lock *b) { return a->inode == b->inode && a->owner == b->owner && a->kind == b->kind; }

/* An owner's are together, by their start: the first one in somebody's way is what F_GETLK tells of. */
static void insert(struct lock *l)
{
    struct list *before = &all_locks;
    list_for_each(m, &all_locks, struct lock, node)
        if (same_holder(m, l)) {
            before = m->start > l->start ? &m->node : m->node.next;
            if (m->start > l->start)
                break;
        }
    list_insert_before(before, &l->node);
    atomic_add(&posix_lock_count, 1u);
}

static void drop(struct lock *l)
{
    list_remove(&l->node);
    atomic_sub(&posix_lock_count, 1u);
    kfree(l);
}

/* Locks of an open file end with it, which may be after its last descriptor (mmap, a call on its way). */
static void file_gone(struct file *f)
{
    sigio_file_gone(f);
    spin_lock(&locks_lock);
    list_for_each_safe(l, &all_locks, struct lock, node)
        if (l->owner == f)
            drop(l);
    spin_unlock(&locks_lock);
    wq_wake_all(&locks_wq, 0);
}

void file_watch_end(struct file *f)
{
    file_locks_gone = file_gone;
    f->had_locks = true;
}

/* Ranges of one owner and type that touch are one. */
static void join_neighbours(struct lock *l)
{
    list_for_each_safe(m, &all_locks, struct lock, node) {
        if (!same_holder(m, l) || m->write != l->write)
            continue;
        if (m->end < l->start && m->end + 1 == l->start) {
            l->start = m->start;
            drop(m);
        } else if (l->end < m->start && l->end + 1 == m->start) {
            l->end = m->end;
            drop(m);
        }
    }
}

/* Take `range` away from what its owner holds. `spare` serves a lock cut in two; true = used. */
static bool cut(const struct lock *range, struct lock *spare)
{
    bool used = false;
    list_for_each_safe(l, &all_locks, struct lock, node) {
        if (!same_holder(l, range) || !overlap(l, range))
            continue;
        if (l->start < range->start && l->end > range->end) {
            *spare = *l;
            spare->start = range->end + 1;
            l->end = range->start - 1;
            insert(spare);
            used = true;
        } else if (l->start < range->start) {
            l->end = range->start - 1;
        } else if (l->end > range->end) {
            l->start = range->end + 1;
        } else {
            drop(l);
        }
    }
    return used;
}

static bool still_blocked(const struct lock *want)
{
    spin_lock(&locks_lock);
    bool still = conflict(want) != NULL;
    spin_unlock(&locks_lock);
    return still;
}

/* Until nothing is in the way. 0, -EDEADLK, -ERESTARTSYS. */
static s64 wait_for(const struct lock *want)
{
    struct blocked b = {.want = want};
    spin_lock(&locks_lock);
    bool circle = want->kind == KIND_POSIX && deadlocks(want);
    if (!circle)
        list_push_back(&all_blocked, &b.node);
    spin_unlock(&locks_lock);
    if (circle)
        return -EDEADLK;
    int r = wait_event_interruptible(&locks_wq, !still_blocked(want));
    spin_lock(&locks_lock);
    list_remove(&b.node);
    spin_unlock(&locks_lock);
    return r < 0 ? -ERESTARTSYS : 0;
}

/* Take or release on f. 0, -EAGAIN (would wait), -EDEADLK, -ENOLCK, -ERESTARTSYS. */
static s64 apply(struct file *f, const struct lock *want, bool release, bool wait)
{
    if (want->owner == f)
        file_watch_end(f);
    for (;;) {
        struct lock *l = kmalloc(sizeof *l, 0), *spare = kmalloc(sizeof *spare, 0);
        if (l == NULL || spare == NULL) {
            kfree(l);
            kfree(spare);
            return -ENOLCK;
        }
        spin_lock(&locks_lock);
        bool blocked = !release && conflict(want) != NULL;
        bool changes = !blocked || want->kind == KIND_FLOCK; /* flock(2): what it held is given up before it waits */
        if (changes && cut(want, spare))
            spare = NULL;
        if (!blocked && !release) {
            *l = *want;
            join_neighbours(l);
            insert(l);
            l = NULL;
        }
        spin_unlock(&locks_lock);
        kfree(l);
        kfree(spare);
        if (changes)
            wq_wake_all(&locks_wq, 0);
        if (!blocked)
            return 0;
        if (!wait)
            return -EAGAIN;
        s64 r = wait_for(want);
        if (r < 0)
            return r;
    }
}

/* fl_start/fl_len relative to whence, as inclusive bounds. */
static int range_of(struct file *f, const struct abi_flock *fl, struct lock *ret)
{
    s64 base = fl->whence == 0 ? 0 : fl->whence == 1 ? (s64)f->pos : fl->whence == 2 ? (s64)inode_size(f->inode) : -1;
    if (base < 0)
        return -EINVAL;
    s64 start, end;
    if (__builtin_add_overflow(base, fl->start, &start))
        return -EOVERFLOW;
    if (fl->len > 0) {
        if (__builtin_add_overflow(start, fl->len - 1, &end))
            return -EOVERFLOW;
    } else if (fl->len < 0) {
        end = start - 1;
        if (__builtin_add_overflow(start, fl->len, &start))
            return -EINVAL;
    } else {
        end = OFFSET_MAX;
    }
    if (start < 0)
        return -EINVAL;
    ret->start = start;
    ret->end = end;
    return 0;
}

static bool still_at(const struct file *f, int fd)
{
    struct file *now = file_of(fd);
    file_put(now);
    return now == f;
}

s64 lock_fcntl(struct file *f, int fd, u32 cmd, uaddr_t arg)
{
    struct abi_flock fl;
    bool ofd = cmd >= F_OFD_GETLK;
    struct lock want = {.inode = f->inode, .kind = ofd ? KIND_OFD : KIND_POSIX, .pid = current_process()->pid};
    want.owner = ofd ? (const void *)f : (const void *)current_process();
    if (copy_from_user(&fl, arg, sizeof fl) < 0)
        return -EFAULT;
    bool asks = cmd == F_GETLK || cmd == F_OFD_GETLK;
    if (asks && fl.type != F_RDLCK && fl.type != F_WRLCK)
        return -EINVAL;
    int r = range_of(f, &fl, &want);
    if (r < 0)
        return r;
    want.write = fl.type == F_WRLCK;
    if (asks) {
        if (ofd && fl.pid != 0)
            return -EINVAL;
        spin_lock(&locks_lock);
        struct lock *c = conflict(&want);
        fl.type = F_UNLCK;
        if (c != NULL) {
            fl.type = c->write ? F_WRLCK : F_RDLCK;
            fl.whence = 0;
            fl.start = c->start;
            fl.len = c->end == OFFSET_MAX ? 0 : c->end - c->start + 1;
            fl.pid = c->kind == KIND_POSIX ? (s32)((const struct process *)c->owner)->pid : -1;
        }
        spin_unlock(&locks_lock);
        return copy_to_user(arg, &fl, sizeof fl);
    }
    if (fl.type != F_RDLCK && fl.type != F_WRLCK && fl.type != F_UNLCK)
        return -EINVAL;
    if ((fl.type == F_RDLCK && !f->can_read) || (fl.type == F_WRLCK && !f->can_write))
        return -EBADF;
    if (ofd && fl.pid != 0)
        return -EINVAL;
    s64 done = apply(f, &want, fl.type == F_UNLCK, cmd == F_SETLKW || cmd == F_OFD_SETLKW);
    if (done == 0 && !ofd && fl.type != F_UNLCK && !still_at(f, fd)) { /* another thread's close() took the locks there were by then */
        locks_file_closed(f, current_process());
        done = -EBADF;
    }
    return done;
}

s64 sys_flock(int fd, u32 op)
{
    u32 what = op & ~LOCK_NB;
    if (op & LOCK_MAND)
        return 0; /* mandatory locks are no more, and nobody is told */
    if (what != LOCK_SH && what != LOCK_EX && what != LOCK_UN)
        return -EINVAL;
    struct file *f = file_of(fd);
    if (f == NULL)
        return -EBADF;
    s64 r = -EBADF;
    if (what == LOCK_UN || f->can_read || f->can_write) {
        struct lock want = {.inode = f->inode, .owner = f, .kind = KIND_FLOCK, .write = what == LOCK_EX, .end = OFFSET_MAX, .pid = current_process()->pid};
        r = apply(f, &want, what == LOCK_UN, !(op & LOCK_NB));
    }
    file_put(f);
    return r;
}

void locks_file_closed(struct file *f, struct process *p)
{
    /* POSIX locks go when the process closes any descriptor of the file, and with the process. */
    bool any = false;
    spin_lock(&locks_lock);
    list_for_each_safe(l, &all_locks, struct lock, node)
        if (l->kind == KIND_POSIX && l->owner == p && (f == NULL || l->inode == f->inode)) {
            drop(l);
            any = true;
        }
    spin_unlock(&locks_lock);
    if (any)
        wq_wake_all(&locks_wq, 0);
}

static void add_lock(struct text *x, unsigned n, const char *waits, const struct lock *l)
{
    static const char *const kinds[] = {[KIND_POSIX] = "POSIX ", [KIND_OFD] = "OFDLCK", [KIND_FLOCK] = "FLOCK "};
    u64 dev = l->inode->sb->dev;
    text_add(x, "%u: %s%s ADVISORY  %s %d %02x:%02x:%llu %lld ", n, waits, kinds[l->kind], l->write ? "WRITE" : "READ ", l->kind == KIND_OFD ? -1 : (int)l->pid,
             DEV_MAJOR(dev), DEV_MINOR(dev), (unsigned long long)l->inode->ino, (long long)l->start);
    if (l->end == OFFSET_MAX)
        text_add(x, "EOF\n");
    else
        text_add(x, "%lld\n", (long long)l->end);
}

size_t locks_show(void *arg, char *buf, size_t size)
{
    struct text x = {buf, size, 0};
    unsigned n = 0;
    spin_lock(&locks_lock);
    list_for_each(l, &all_locks, struct lock, node) {
        add_lock(&x, ++n, "", l);
        list_for_each(b, &all_blocked, struct blocked, node)
            if (conflict(b->want) == l)
                add_lock(&x, n, "-> ", b->want);
    }
    spin_unlock(&locks_lock);
    return x.len;
}
