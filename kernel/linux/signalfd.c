/* SPDX-License-Identifier: Apache-2.0 */
/* signalfd(2): pending signals of the reader as a file. */
#include "task.h"
#include "base/str.h"

struct abi_signalfd_siginfo {
    u32 signo;
    s32 err, code;
    u32 pid, uid;
    s32 fd;
    u32 tid, band, overrun, trapno;
    s32 status, value;
    u64 ptr, utime, stime, addr;
    u16 addr_lsb;
    u8 pad[46];
};
_Static_assert(sizeof(struct abi_signalfd_siginfo) == 128, "struct signalfd_siginfo");

static bool ready(struct task *t, u64 mask) { return ((t->pending.set | t->proc->pending.set) & mask) != 0; }

static void convert(struct abi_signalfd_siginfo *o, const struct ksiginfo *i)
{
    memset(o, 0, sizeof *o);
    o->signo = (u32)i->signo;
    o->err = i->err;
    o->code = i->code;
    if (i->code == SI_TIMER) {
        o->tid = (u32)i->timer.tid;
        o->overrun = (u32)i->timer.overrun;
        o->ptr = i->timer.value;
        o->value = (s32)i->timer.value;
    } else if (SIGMASK(i->signo) & (SIGMASK(SIGSEGV) | SIGMASK(SIGBUS) | SIGMASK(SIGILL) | SIGMASK(SIGFPE) | SIGMASK(SIGTRAP))) {
        o->addr = i->fault.addr;
    } else if (i->signo == SIGCHLD && i->code > 0) {
        o->pid = (u32)i->child.pid;
        o->uid = i->child.uid;
        o->status = i->child.status;
        o->utime = (u64)i->child.utime;
        o->stime = (u64)i->child.stime;
    } else {
        o->pid = (u32)i->rt.pid;
        o->uid = i->rt.uid;
        o->ptr = i->rt.value;
        o->value = (s32)i->rt.value;
    }
}

static s64 signalfd_read(struct file *f, struct uio *u, u64 *pos)
{
    struct task *t = current_task();
    struct sighand *h = t->proc->sighand;
    u64 mask = (u64)(uintptr_t)f->private;
    s64 total = 0;
    if (u->remaining < sizeof(struct abi_signalfd_siginfo))
        return -EINVAL;
    while (u->remaining >= sizeof(struct abi_signalfd_siginfo)) {
        struct ksiginfo info;
        struct abi_signalfd_siginfo out;
        spin_lock_bh(&h->lock);
        int sig = signal_dequeue_locked(t, mask, &info);
        spin_unlock_bh(&h->lock);
        if (sig == 0) {
            if (total > 0)
                break;
            if (f->flags & O_NONBLOCK)
                return -EAGAIN;
            int r = wait_event_interruptible(&t->proc->signal_wq, ready(t, mask));
            if (r < 0)
                return r;
            continue;
        }
        convert(&out, &info);
        s64 n = uio_copy_out(u, &out, sizeof out);
        if (n < 0)
            return total > 0 ? total : n;
        total += n;
    }
    return total;
}

static u32 signalfd_poll(struct file *f, struct poll_table *pt)
{
    struct task *t = current_thread()->task;
    if (t == NULL)
        return 0;
    poll_wait(&signal_watchers, pt);
    return ready(t, (u64)(uintptr_t)f->private) ? POLLIN : 0;
}

static const struct file_ops signalfd_ops = {.read = signalfd_read, .poll = signalfd_poll};

s64 sys_signalfd4(int fd, uaddr_t umask, u64 size, int flags)
{
    u64 mask;
    struct file *f;
    if (((u32)flags & ~(O_CLOEXEC | O_NONBLOCK)) || size != sizeof mask)
        return -EINVAL;
    if (get_user_u64(umask, &mask) < 0)
        return -EFAULT;
    mask &= ~(SIGMASK(SIGKILL) | SIGMASK(SIGSTOP));
    if (fd != -1) {
        f = file_of(fd);
        if (f == NULL)
            return -EBADF;
        s64 r = fd;
        if (f->ops == &signalfd_ops)
            atomic_store(&f->private, (void *)(uintptr_t)mask);
        else
            r = -EINVAL;
        file_put(f);
        return r;
    }
    int r = file_create_anon("[signalfd]", &signalfd_ops, (void *)(uintptr_t)mask, O_RDWR | ((u32)flags & O_NONBLOCK), &f);
    if (r < 0)
        return r;
    r = fd_install(current_files(), f, 0, ((u32)flags & O_CLOEXEC) != 0);
    if (r < 0)
        file_put(f);
    return r;
}

s64 sys_signalfd(int fd, uaddr_t umask, u64 size) { return sys_signalfd4(fd, umask, size, 0); }
