/* SPDX-License-Identifier: Apache-2.0 */
/* pidfd_open(2) and its family: a process as a file, readable (poll) when it has ended. */
#include "task.h"
#include "base/fmt.h"

static u32 pidfd_poll(struct file *f, struct poll_table *pt)
{
    struct process *p = f->private;
    poll_wait(&p->stop_wq, pt);
    u32 s = atomic_load(&p->state);
    return (s != PROC_LIVE ? POLLIN | POLLRDNORM : 0) | (s == PROC_GONE ? POLLHUP : 0);
}

static void pidfd_release(struct file *f) { process_put(f->private); }

static size_t pidfd_fdinfo(struct file *f, char *buf, size_t size)
{
    const struct process *p = f->private;
    int pid = p->state != PROC_GONE ? (int)p->pid : -1;
    return (size_t)fmt_snprintf(buf, size, "Pid:\t%d\nNSpid:\t%d\n", pid, pid);
}

static const struct file_ops pidfd_ops = {.poll = pidfd_poll, .release = pidfd_release, .fdinfo = pidfd_fdinfo};

struct process *pidfd_process(struct file *f) { return f->ops == &pidfd_ops ? f->private : NULL; }

int pidfd_create(struct process *p, u32 flags, struct file **ret)
{
    int r = file_create_anon("[pidfd]", &pidfd_ops, p, O_RDWR | flags, ret);
    if (r == 0)
        process_get(p);
    return r;
}

s64 sys_pidfd_open(int pid, u32 flags)
{
    struct file *f;
    if ((flags & ~O_NONBLOCK) || pid <= 0)
        return -EINVAL;
    struct task *t = task_find((u32)pid);
    if (t == NULL)
        return -ESRCH;
    s64 r = t != t->proc->leader ? -EINVAL : pidfd_create(t->proc, flags, &f);
    task_put(t);
    if (r < 0)
        return r;
    r = fd_install(current_files(), f, 0, true);
    if (r < 0)
        file_put(f);
    return r;
}

/* The process that a signal through fd is for, referenced: fd is a pidfd or an open /proc/PID. */
static s64 signal_target(int fd, struct process **ret)
{
    struct file *f = file_of(fd);
    if (f == NULL)
        return -EBADF;
    struct process *p = pidfd_process(f);
    u32 pid = p == NULL ? proc_pid_of(f) : 0;
    if (p != NULL)
        process_get(p);
    else if (pid != 0)
        p = process_find(pid);
    file_put(f);
    *ret = p;
    return p != NULL ? 0 : pid != 0 ? -ESRCH : -EBADF;
}

#define PIDFD_SIGNAL_THREAD 1u
#define PIDFD_SIGNAL_PROCESS_GROUP 4u
#define PIDFD_SIGNAL_ALL 7u /* 2: the process, as 0 */

static s64 send(struct process *p, const struct ksiginfo *info, bool to_thread)
{
    struct task *t = p->state == PROC_GONE ? NULL : task_find(p->pid);
    s64 r = t == NULL ? -ESRCH : !signal_permitted(p, info->signo) ? -EPERM : 0;
    if (r == 0 && info->signo != 0)
        r = to_thread ? signal_send_task(t, info, NULL) : signal_send_process(p, info, NULL);
    task_put(t);
    return r;
}

s64 sys_pidfd_send_signal(int fd, int sig, uaddr_t uinfo, u32 flags)
{
    struct ksiginfo info;
    struct process *p = NULL;
    bool to_thread = flags == PIDFD_SIGNAL_THREAD, to_group = flags == PIDFD_SIGNAL_PROCESS_GROUP;
    if ((flags & ~PIDFD_SIGNAL_ALL) || (flags & (flags - 1)))
        return -EINVAL;
    s64 r = signal_target(fd, &p);
    siginfo_user(&info, sig, to_thread ? SI_TKILL : SI_USER);
    if (r == 0 && uinfo != 0) {
        r = copy_from_user(&info, uinfo, sizeof info);
        if (r == 0 && info.signo != sig)
            r = -EINVAL;
        if (r == 0 && (p != current_process() || to_group) && (info.code >= 0 || info.code == SI_TKILL))
            r = -EPERM;
    }
    if (r == 0 && (sig < 0 || sig > NSIG))
        r = -EINVAL;
    if (r == 0)
        r = to_group ? signal_send_group(p->pid, sig, &info) : send(p, &info, to_thread);
    process_put(p);
    return r;
}

s64 sys_pidfd_getfd(int fd, int target, u32 flags)
{
    if (flags != 0)
        return -EINVAL;
    struct file *f = file_of(fd), *got = NULL;
    struct process *p = f != NULL ? pidfd_process(f) : NULL;
    s64 r = p == NULL ? -EBADF : p->state != PROC_LIVE ? -ESRCH : !process_access(p, true) ? -EPERM : 0;
    if (r == 0) {
        struct task *t = process_task(p);
        struct fdtable *files = t != NULL ? task_files(t) : NULL;
        task_put(t);
        got = files != NULL ? fd_file(files, target) : NULL;
        fdtable_put(files);
        r = got == NULL ? -EBADF : fd_install(current_files(), got, 0, true);
        if (r < 0)
            file_put(got);
    }
    file_put(f);
    return r;
}
