/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Watching files (inotify(7)). What vfs_* calls do to names and open files is told to the watches of the inode and
 * of its parent directory; the hooks are in fs/fs_impl.h, above every file system.
 */
#ifndef KERN_NOTIFY_H
#define KERN_NOTIFY_H

#include "kern/vfs.h"

#define IN_ACCESS 0x001u
#define IN_MODIFY 0x002u
#define IN_ATTRIB 0x004u
#define IN_CLOSE_WRITE 0x008u
#define IN_CLOSE_NOWRITE 0x010u
#define IN_OPEN 0x020u
#define IN_MOVED_FROM 0x040u
#define IN_MOVED_TO 0x080u
#define IN_CREATE 0x100u
#define IN_DELETE 0x200u
#define IN_DELETE_SELF 0x400u
#define IN_MOVE_SELF 0x800u
#define IN_ALL_EVENTS 0xfffu
#define IN_UNMOUNT 0x2000u
#define IN_Q_OVERFLOW 0x4000u
#define IN_IGNORED 0x8000u
#define IN_ONLYDIR 0x01000000u
#define IN_DONT_FOLLOW 0x02000000u
#define IN_EXCL_UNLINK 0x04000000u
#define IN_MASK_CREATE 0x10000000u
#define IN_MASK_ADD 0x20000000u
#define IN_ISDIR 0x40000000u
#define IN_ONESHOT 0x80000000u

/* For each real user; read when something is made. /proc/sys/fs/inotify changes them. */
struct inotify_limits {
    u32 max_queued_events, max_user_instances, max_user_watches;
};
extern struct inotify_limits inotify_limits;

/* O_NONBLOCK; owned by user uid. -EMFILE: too many of that user, -ENOMEM. */
int inotify_open(u32 flags, u32 uid, struct file **ret);
bool file_is_inotify(const struct file *f);
/* A checked IN_* mask for p. The watch's number, or -EEXIST, -ENOSPC, -ENOMEM. */
s64 inotify_add(struct file *f, const struct path *p, u32 mask);
int inotify_remove(struct file *f, s32 wd); /* -EINVAL */

#endif
