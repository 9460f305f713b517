/* SPDX-License-Identifier: Apache-2.0 */
/* inotify(7): the calls and their limits in /proc/sys/fs/inotify; watches and events are fs/inotify.c. */
#include "task.h"
#include "kern/notify.h"

#define IN_KNOWN                                                                                                  \
    (IN_ALL_EVENTS | IN_UNMOUNT | IN_Q_OVERFLOW | IN_IGNORED | IN_ONLYDIR | IN_DONT_FOLLOW | IN_EXCL_UNLINK |      \
     IN_MASK_CREATE | IN_MASK_ADD | IN_ISDIR | IN_ONESHOT)

s64 sys_inotify_init1(int flags)
{
    struct file *f;
    if ((u32)flags & ~(O_CLOEXEC | O_NONBLOCK))
        return -EINVAL;
    int r = inotify_open((u32)flags & O_NONBLOCK, current_cred()->uid, &f);
    if (r < 0)
        return r;
    int fd = fd_install(current_files(), f, 0, ((u32)flags & O_CLOEXEC) != 0);
    if (fd < 0)
        file_put(f);
    return fd;
}

s64 sys_inotify_init(void) { return sys_inotify_init1(0); }

static s64 add_watch(struct file *f, uaddr_t name, u32 mask)
{
    struct path p;
    if ((mask & (IN_MASK_ADD | IN_MASK_CREATE)) == (IN_MASK_ADD | IN_MASK_CREATE) || !file_is_inotify(f))
        return -EINVAL;
    s64 r = path_at(AT_FDCWD, name, (mask & IN_DONT_FOLLOW ? LOOKUP_NOFOLLOW : 0) | (mask & IN_ONLYDIR ? LOOKUP_DIRECTORY : 0), &p);
    if (r < 0)
        return r;
    r = vfs_access(&p, current_cred(), 4);
    if (r == 0)
        r = inotify_add(f, &p, mask);
    path_put(&p);
    return r;
}

s64 sys_inotify_add_watch(int fd, uaddr_t name, u32 mask)
{
    if ((mask & ~IN_KNOWN) || !(mask & IN_KNOWN))
        return -EINVAL;
    struct file *f = file_of(fd);
    if (f == NULL)
        return -EBADF;
    s64 r = add_watch(f, name, mask);
    file_put(f);
    return r;
}

s64 sys_inotify_rm_watch(int fd, int wd)
{
    struct file *f = file_of(fd);
    if (f == NULL)
        return -EBADF;
    s64 r = file_is_inotify(f) ? inotify_remove(f, wd) : -EINVAL;
    file_put(f);
    return r;
}

void inotify_glue_init(void)
{
    sysctl_add("fs/inotify/max_queued_events", &inotify_limits.max_queued_events);
    sysctl_add("fs/inotify/max_user_instances", &inotify_limits.max_user_instances);
    sysctl_add("fs/inotify/max_user_watches", &inotify_limits.max_user_watches);
}
