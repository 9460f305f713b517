/* SPDX-License-Identifier: Apache-2.0 */
/* Descriptors: open and close, duplicates, fcntl(2), pipes, event files. */
#include "task.h"
#include "base/str.h"

static int install(struct file *f, u32 flags)
{
    int fd = fd_install(current_files(), f, 0, (flags & O_CLOEXEC) != 0);
    if (fd < 0)
        file_put(f);
    return fd;
}

/* --- open ------------------------------------------------------------------------- */

#define VALID_OPEN_FLAGS                                                                                          \
    (O_ACCMODE | O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_APPEND | O_NONBLOCK | O_SYNC | O_DSYNC | O_ASYNC |     \
     O_DIRECT | O_LARGEFILE | O_DIRECTORY | O_NOFOLLOW | O_NOATIME | O_CLOEXEC | O_PATH | O_TMPFILE)
#define TMPFILE_BIT 020000000u

static s64 do_open(int dirfd, uaddr_t uname, u32 flags, u32 mode, u32 lookup_flags)
{
    char *name;
    struct at at;
    struct file *f;
    struct fdtable *t = current_files();
    s64 r = name_get(uname, 0, &name);
    if (r < 0)
        return r;
    s64 fd = fd_reserve(t, 0, (flags & O_CLOEXEC) != 0); /* nothing is made or truncated without a number for it */
    r = fd < 0 ? fd : at_begin(dirfd, name, &at);
    if (r == 0) {
        r = vfs_open(&at.l, name, flags, mode, lookup_flags | ((flags & O_NOFOLLOW) ? LOOKUP_NOFOLLOW : 0), &f);
        at_done(&at);
    }
    name_put(name);
    if (r == 0)
        fd_publish(t, (int)fd, f);
    else if (fd >= 0)
        fd_unreserve(t, (int)fd);
    return r == 0 ? fd : r;
}

s64 open_as(int dirfd, uaddr_t name, const struct open_how *how)
{
    static const struct { u8 resolve; u8 lookup; } map[] = {
        {0x01, LOOKUP_NO_XDEV}, {0x02, LOOKUP_NO_MAGICLINKS}, {0x04, LOOKUP_NO_SYMLINKS}, {0x08, LOOKUP_BENEATH}, {0x10, LOOKUP_IN_ROOT},
    };
    u32 lookup = 0;
    if ((how->flags & ~(u64)VALID_OPEN_FLAGS) || (how->mode & ~07777ULL) || (how->resolve & ~0x3fULL) ||
        (how->resolve & 0x18) == 0x18)
        return -EINVAL;
    if (how->mode != 0 && !(how->flags & (O_CREAT | TMPFILE_BIT)))
        return -EINVAL;
    if ((how->flags & O_PATH) && (how->flags & ~(u64)(O_DIRECTORY | O_NOFOLLOW | O_PATH | O_CLOEXEC)))
        return -EINVAL;
    if (how->flags & TMPFILE_BIT) {
        if ((how->flags & O_TMPFILE) != O_TMPFILE || !(how->flags & O_ACCMODE) || (how->flags & O_CREAT))
            return -EINVAL;
    } else if ((how->flags & (O_DIRECTORY | O_CREAT)) == (O_DIRECTORY | O_CREAT)) {
        return -EINVAL;
    }
    if (how->resolve & 0x20) /* RESOLVE_CACHED */
        return -EAGAIN;
    for (unsigned i = 0; i < ARRAY_SIZE(map); i++)
        if (how->resolve & map[i].resolve)
            lookup |= map[i].lookup;
    return do_open(dirfd, name, (u32)how->flags | O_LARGEFILE, (u32)how->mode, lookup);
}

s64 sys_openat(int dirfd, uaddr_t name, int flags, u32 mode)
{
    u64 f = (u32)flags & VALID_OPEN_FLAGS; /* open(2) ignores what it does not know */
    if (f & O_PATH)
        f &= O_DIRECTORY | O_NOFOLLOW | O_PATH | O_CLOEXEC;
    return open_as(dirfd, name, &(struct open_how){.flags = f, .mode = f & (O_CREAT | TMPFILE_BIT) ? mode & 07777 : 0});
}

s64 sys_open(uaddr_t name, int flags, u32 mode) { return sys_openat(AT_FDCWD, name, flags, mode); }
s64 sys_creat(uaddr_t name, u32 mode) { return sys_openat(AT_FDCWD, name, O_CREAT | O_WRONLY | O_TRUNC, mode); }

int open_plain(struct task *t, const char *name, u32 lookup, const struct cred *cred, struct file **ret)
{
    struct path path;
    struct kstat st;
    struct fs_ctx *fs = task_fs(t);
    struct lookup l = {.fs = fs, .cred = cred};
    int r = fs == NULL || name[0] != '/' ? -ENOENT : vfs_lookup(&l, name, lookup, &path);
    if (r == 0) {
        r = vfs_stat_path(&path, &st);
        r = r < 0 ? r : !S_ISREG(st.mode) ? -EACCES : vfs_open_path(&path, O_RDONLY, cred, ret);
        path_put(&path);
    }
    fs_ctx_put(fs);
    return r;
}

int open_how_get(uaddr_t uhow, u64 size, struct open_how *ret)
{
    if (size < sizeof *ret)
        return -EINVAL;
    return size > PAGE_SIZE ? -E2BIG : copy_struct_from_user(ret, sizeof *ret, uhow, size);
}

s64 sys_openat2(int dirfd, uaddr_t name, uaddr_t uhow, u64 size)
{
    struct open_how how;
    int r = open_how_get(uhow, size, &how);
    return r < 0 ? r : open_as(dirfd, name, &how);
}

s64 sys_close(int fd)
{
    struct fdtable *t = current_files();
    if (unlikely(atomic_load_relaxed(&posix_lock_count) != 0)) {
        struct file *f = fd_file(t, fd);
        if (f == NULL)
            return -EBADF;
        int r = fd_close(t, fd);
        locks_file_closed(f, current_process());
        file_put(f);
        return r;
    }
    return fd_close(t, fd);
}

s64 sys_close_range(u32 first, u32 last, u32 flags)
{
    struct task *t = current_task();
    if ((flags & ~6u) || first > last)
        return -EINVAL;
    if (flags & 2) { /* CLOSE_RANGE_UNSHARE */
        struct fdtable *own = fdtable_copy(t->files);
        if (own == NULL)
            return -ENOMEM;
        spin_lock_bh(&t->proc->lock);
        struct fdtable *old = t->files;
        t->files = own;
        spin_unlock_bh(&t->proc->lock);
        fdtable_put(old);
    }
    return fd_close_range(t->files, first, last, (flags & 4) != 0);
}

/* --- duplicates ---------------------------------------------------------------------- */

s64 sys_dup(int fd)
{
    struct file *f = any_file_of(fd);
    return f == NULL ? -EBADF : install(f, 0);
}

s64 sys_dup3(int from, int to, int flags)
{
    if ((u32)flags & ~O_CLOEXEC || from == to)
        return -EINVAL;
    if (to < 0 || (u64)to >= rlimit_of(current_process(), RLIMIT_NOFILE))
        return -EBADF;
    int r = fd_dup_to(current_files(), from, to, flags != 0);
    return r < 0 ? r : to;
}

s64 sys_dup2(int from, int to)
{
    if (from == to) {
        int r = fd_get_cloexec(current_files(), from);
        return r < 0 ? r : to;
    }
    return sys_dup3(from, to, 0);
}

/* --- fcntl ----------------------------------------------------------------------------- */

#define SETFL_MASK (O_APPEND | O_NONBLOCK | O_DIRECT | O_NOATIME)

static s64 set_flags(struct file *f, int fd, u32 flags)
{
    u32 old = atomic_load_relaxed(&f->flags), new;
    if ((flags & O_NOATIME) && !(old & O_NOATIME) && current_cred()->fsuid != f->inode->uid && !capable(CAP_FOWNER))
        return -EPERM;
    do
        new = (old & ~SETFL_MASK) | (flags & SETFL_MASK);
    while (!atomic_cas(&f->flags, &old, new));
    int r = sigio_set(f, fd, (flags & O_ASYNC) != 0);
    return r == -ENOTTY ? 0 : r;
}

#define WRITE_LIFE_EXTREME 5u

static s64 set_write_hint(struct inode *i, uaddr_t arg)
{
    u64 hint;
    if (current_cred()->fsuid != i->uid && !capable(CAP_FOWNER))
        return -EPERM;
    if (get_user_u64(arg, &hint) < 0)
        return -EFAULT;
    if (hint > WRITE_LIFE_EXTREME)
        return -EINVAL;
    atomic_store_relaxed(&i->write_hint, (u8)hint);
    return 0;
}

s64 sys_fcntl(int fd, u32 cmd, u64 arg)
{
    struct fdtable *t = current_files();
    switch (cmd) { /* without the file itself */
    case F_GETFD:
        return fd_get_cloexec(t, fd);
    case F_SETFD:
        return fd_set_cloexec(t, fd, arg & 1);
    default:
        break;
    }
    struct file *f = fd_file(t, fd);
    s64 r;
    if (f == NULL)
        return -EBADF;
    if ((f->flags & O_PATH) && cmd != F_DUPFD && cmd != F_DUPFD_CLOEXEC && cmd != F_GETFL) {
        file_put(f);
        return -EBADF;
    }
    switch (cmd) {
    case F_DUPFD:
    case F_DUPFD_CLOEXEC:
        if (arg >= rlimit_of(current_process(), RLIMIT_NOFILE)) {
            r = -EINVAL;
            break;
        }
        r = fd_install(t, f, (int)arg, cmd == F_DUPFD_CLOEXEC);
        if (r >= 0)
            return r; /* the reference moved in */
        break;
    case F_GETFL:
        r = atomic_load_relaxed(&f->flags) & ~(O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_CLOEXEC);
        break;
    case F_SETFL:
        r = set_flags(f, fd, (u32)arg);
        break;
    case F_GETLK:
    case F_SETLK:
    case F_SETLKW:
    case F_OFD_GETLK:
    case F_OFD_SETLK:
    case F_OFD_SETLKW:
        r = lock_fcntl(f, fd, cmd, arg);
        break;
    case F_SETOWN:
    case F_GETOWN:
    case F_SETSIG:
    case F_GETSIG:
    case F_SETOWN_EX:
    case F_GETOWN_EX:
        r = sigio_fcntl(f, fd, cmd, arg);
        break;
    case F_GETLEASE:
        r = 2; /* F_UNLCK */
        break;
    case F_SETPIPE_SZ:
        r = pipe_set_size(f, arg);
        break;
    case F_GETPIPE_SZ:
        r = pipe_get_size(f);
        break;
    case F_ADD_SEALS:
        r = memfd_add_seals(f, (u32)arg);
        break;
    case F_GET_SEALS:
        r = memfd_get_seals(f);
        break;
    case F_GET_RW_HINT:
        r = put_user_u64(arg, atomic_load_relaxed(&f->inode->write_hint));
        break;
    case F_SET_RW_HINT:
        r = set_write_hint(f->inode, arg);
        break;
    default:
        r = -EINVAL;
        break;
    }
    file_put(f);
    return r;
}

/* --- ioctl ------------------------------------------------------------------------------- */

#define FIONCLEX 0x5450u
#define FIOCLEX 0x5451u
#define FIONBIO 0x5421u
#define FIOASYNC 0x5452u
#define FIOSETOWN 0x8901u
#define SIOCSPGRP 0x8902u
#define FIOGETOWN 0x8903u
#define SIOCGPGRP 0x8904u
#define TIOCGPTPEER 0x5441u
#define FIONREAD 0x541bu
#define FIGETBSZ 2u

static s64 open_peer(struct file *master, u32 flags)
{
    struct file *peer;
    s64 r = pty_open_peer(master, flags, &peer);
    if (r == 0) {
        r = fd_install(current_files(), peer, 0, (flags & O_CLOEXEC) != 0);
        if (r < 0)
            file_put(peer);
    }
    return r;
}

s64 sys_ioctl(int fd, u32 cmd, uaddr_t arg)
{
    struct file *f = file_of(fd);
    s64 r = 0;
    u32 on;
    struct kstatfs fs;
    if (f == NULL)
        return -EBADF;
    switch (cmd) {
    case FIOCLEX:
    case FIONCLEX:
        r = fd_set_cloexec(current_files(), fd, cmd == FIOCLEX);
        break;
    case FIONBIO:
        r = get_user_u32(arg, &on);
        if (r == 0 && on)
            atomic_or(&f->flags, O_NONBLOCK);
        else if (r == 0)
            atomic_and(&f->flags, ~O_NONBLOCK);
        break;
    case FIOASYNC:
        r = get_user_u32(arg, &on);
        if (r == 0)
            r = sigio_set(f, fd, on != 0);
        break;
    case FIOSETOWN:
    case SIOCSPGRP:
        r = file_sock(f) != NULL ? get_user_u32(arg, &on) : -ENOTTY;
        if (r == 0)
            r = sigio_fcntl(f, fd, F_SETOWN, on);
        break;
    case FIOGETOWN:
    case SIOCGPGRP:
        r = file_sock(f) != NULL ? put_user_u32(arg, (u32)sigio_fcntl(f, fd, F_GETOWN, 0)) : -ENOTTY;
        break;
    case TIOCGPTPEER:
        r = open_peer(f, (u32)arg);
        break;
    case FIGETBSZ:
        r = vfs_fstatfs(f, &fs);
        if (r == 0)
            r = put_user_u32(arg, (u32)fs.block_size);
        break;
    case FIONREAD:
        if (S_ISREG(f->inode->mode)) {
            r = put_user_u32(arg, (u32)(inode_size(f->inode) - f->pos)); /* negative behind the end */
            break;
        }
        /* fall through */
    default:
        r = f->ops->ioctl != NULL ? f->ops->ioctl(f, cmd, arg) : -ENOTTY;
        break;
    }
    file_put(f);
    return r;
}

/* --- pairs and event files ------------------------------------------------------------------ */

s64 install_pair(struct file *pair[2], bool cloexec, uaddr_t ufds)
{
    struct fdtable *t = current_files();
    s32 fds[2];
    fds[0] = fd_reserve(t, 0, cloexec);
    fds[1] = fds[0] < 0 ? fds[0] : fd_reserve(t, 0, cloexec);
    int r = fds[1] < 0 ? fds[1] : copy_to_user(ufds, fds, sizeof fds);
    if (r == 0) {
        fd_publish(t, fds[0], pair[0]);
        fd_publish(t, fds[1], pair[1]);
        return 0;
    }
    if (fds[0] >= 0)
        fd_unreserve(t, fds[0]);
    if (fds[1] >= 0)
        fd_unreserve(t, fds[1]);
    file_put(pair[0]);
    file_put(pair[1]);
    return r;
}

s64 sys_pipe2(uaddr_t ufds, int flags)
{
    struct file *pair[2];
    if ((u32)flags & ~(O_CLOEXEC | O_NONBLOCK | O_DIRECT))
        return -EINVAL;
    int r = pipe_create((u32)flags & (O_NONBLOCK | O_DIRECT), pair);
    return r < 0 ? r : install_pair(pair, ((u32)flags & O_CLOEXEC) != 0, ufds);
}

s64 sys_pipe(uaddr_t ufds) { return sys_pipe2(ufds, 0); }

s64 sys_eventfd2(u32 initial, int flags)
{
    struct file *f;
    if ((u32)flags & ~(O_CLOEXEC | O_NONBLOCK | 1u))
        return -EINVAL;
    int r = eventfd_create(initial, (u32)flags & (O_NONBLOCK | 1u), &f);
    return r < 0 ? r : install(f, (u32)flags);
}

s64 sys_eventfd(u32 initial) { return sys_eventfd2(initial, 0); }

s64 sys_epoll_create1(int flags)
{
    struct file *f;
    if ((u32)flags & ~O_CLOEXEC)
        return -EINVAL;
    int r = epoll_open(0, &f);
    return r < 0 ? r : install(f, (u32)flags);
}

s64 sys_epoll_create(int size) { return size <= 0 ? -EINVAL : sys_epoll_create1(0); }

s64 sys_epoll_ctl(int epfd, int op, int fd, uaddr_t uevent)
{
    struct kepoll_event ev = {0};
    if (op != 2 /* EPOLL_CTL_DEL */) {
        int r = copy_from_user(&ev, uevent, sizeof ev);
        if (r < 0)
            return r;
    }
    struct file *ep = file_of(epfd);
    if (ep == NULL)
        return -EBADF;
    struct file *f = file_of(fd);
    s64 r = -EBADF;
    if (f != NULL) {
        r = epoll_control(ep, op, fd, f, &ev);
        file_put(f);
    }
    file_put(ep);
    return r;
}

static s64 do_epoll_wait(int epfd, uaddr_t events, int max, u64 deadline)
{
    if (max <= 0 || (u64)max > INT32_MAX / sizeof(struct kepoll_event))
        return -EINVAL;
    struct file *ep = file_of(epfd);
    if (ep == NULL)
        return -EBADF;
    s64 r = epoll_collect(ep, events, max, deadline);
    file_put(ep);
    return r == -ERESTARTNOHAND || r == -ERESTARTSYS ? -EINTR : r; /* never restarted (signal(7)) */
}

/* 0 = do not wait: a deadline that has passed. */
static u64 ms_deadline(int ms)
{
    return ms < 0 ? NEVER_NS : ms == 0 ? 0 : deadline_after((u64)ms * NSEC_PER_MSEC);
}

s64 sys_epoll_wait(int epfd, uaddr_t events, int max, int timeout_ms)
{
    return do_epoll_wait(epfd, events, max, ms_deadline(timeout_ms));
}

s64 sys_epoll_pwait(int epfd, uaddr_t events, int max, int timeout_ms, uaddr_t set, u64 size)
{
    s64 r = signal_mask_begin(set, size);
    if (r < 0)
        return r;
    r = do_epoll_wait(epfd, events, max, ms_deadline(timeout_ms));
    signal_mask_end(r);
    return r;
}

s64 sys_epoll_pwait2(int epfd, uaddr_t events, int max, uaddr_t timeout, uaddr_t set, u64 size)
{
    u64 deadline;
    s64 r = get_timeout(timeout, CLOCK_DURATION, &deadline);
    if (r == 0)
        r = signal_mask_begin(set, size);
    if (r < 0)
        return r;
    r = do_epoll_wait(epfd, events, max, deadline);
    signal_mask_end(r);
    return r;
}

s64 sys_timerfd_create(int clock, int flags)
{
    struct file *f;
    if ((u32)flags & ~(O_CLOEXEC | O_NONBLOCK))
        return -EINVAL;
    if (clock != CLOCK_REALTIME && clock != CLOCK_MONOTONIC && clock != CLOCK_BOOTTIME && clock != CLOCK_REALTIME_ALARM &&
        clock != CLOCK_BOOTTIME_ALARM)
        return -EINVAL;
    int r = timerfd_open(clock, (u32)flags & O_NONBLOCK, &f);
    return r < 0 ? r : install(f, (u32)flags);
}

s64 sys_timerfd_settime(int fd, int flags, uaddr_t unew, uaddr_t uold)
{
    struct abi_itimerspec its;
    u64 old, old_interval;
    int r = get_itimerspec(unew, &its);
    if (r < 0)
        return r;
    if (flags & ~3)
        return -EINVAL;
    struct file *f = file_of(fd);
    if (f == NULL)
        return -EBADF;
    r = timerfd_set(f, flags, timespec_to_ns(&its.value), timespec_to_ns(&its.interval), &old, &old_interval);
    file_put(f);
    if (r == 0 && uold != 0) {
        its.value = ns_to_timespec(old);
        its.interval = ns_to_timespec(old_interval);
        r = copy_to_user(uold, &its, sizeof its);
    }
    return r;
}

s64 sys_timerfd_gettime(int fd, uaddr_t ucur)
{
    struct abi_itimerspec its;
    u64 value, interval;
    struct file *f = file_of(fd);
    if (f == NULL)
        return -EBADF;
    int r = timerfd_get(f, &value, &interval);
    file_put(f);
    if (r < 0)
        return r;
    its.value = ns_to_timespec(value);
    its.interval = ns_to_timespec(interval);
    return copy_to_user(ucur, &its, sizeof its);
}
