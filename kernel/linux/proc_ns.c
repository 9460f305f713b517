/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /proc/PID/ns (namespaces(7)): there is one namespace of each kind, the first, with the number that it has on Linux. ioctl_ns(2)
 * tells what it is and whose.
 */
#include "task.h"
#include "base/fmt.h"
#include "base/str.h"

#define NS_GET_USERNS 0xb701u
#define NS_GET_PARENT 0xb702u
#define NS_GET_NSTYPE 0xb703u
#define NS_GET_OWNER_UID 0xb704u

const char *const proc_ns_names[] = {"cgroup", "ipc", "mnt", "net", "pid", "pid_for_children", "time", "time_for_children", "user", "uts", NULL};

static const struct kind {
    const char *name;
    u32 ino, type;
} kinds[] = {
    {"cgroup", 0xeffffffb, CLONE_NEWCGROUP}, {"ipc", 0xefffffff, CLONE_NEWIPC}, {"mnt", 0xf0000001, CLONE_NEWNS}, {"net", 0xf0000000, CLONE_NEWNET},
    {"pid", 0xeffffffc, CLONE_NEWPID}, {"time", 0xeffffffa, CLONE_NEWTIME}, {"user", 0xeffffffd, CLONE_NEWUSER}, {"uts", 0xeffffffe, CLONE_NEWUTS},
};

static const struct kind *kind_of(const struct file *f)
{
    const struct kind *k = kinds;
    while (k->ino != f->inode->ino)
        k++;
    return k;
}

static void ns_describe(struct file *f, char *buf, size_t size) { fmt_snprintf(buf, size, "%s:[%u]", kind_of(f)->name, kind_of(f)->ino); }

static s64 open_user_ns(void)
{
    struct path p;
    struct file *f;
    s64 r = proc_ns_path("user", &p);
    if (r != 0)
        return r;
    r = vfs_open_path(&p, O_RDONLY, current_task()->cred, &f);
    path_put(&p);
    if (r != 0)
        return r;
    r = fd_install(current_files(), f, 0, true);
    if (r < 0)
        file_put(f);
    return r;
}

static s64 ns_ioctl(struct file *f, u32 cmd, uaddr_t arg)
{
    u32 type = kind_of(f)->type;
    switch (cmd) {
    case NS_GET_USERNS:
        return type != CLONE_NEWUSER ? open_user_ns() : -EPERM; /* what is above the first one is not to be seen */
    case NS_GET_PARENT:
        return type == CLONE_NEWUSER || type == CLONE_NEWPID ? -EPERM : -EINVAL;
    case NS_GET_NSTYPE:
        return type;
    case NS_GET_OWNER_UID:
        return type == CLONE_NEWUSER ? put_user_u32(arg, 0) : -EINVAL;
    default:
        return -ENOTTY;
    }
}

static const struct file_ops ns_ops = {.ioctl = ns_ioctl, .describe = ns_describe};

int proc_ns_path(const char *name, struct path *ret)
{
    for (unsigned i = 0; i < ARRAY_SIZE(kinds); i++) {
        size_t n = strlen(kinds[i].name);
        if (memcmp(kinds[i].name, name, MIN(n, strlen(name))) == 0 && (name[n] == '\0' || name[n] == '_')) /* pid_for_children */
            return anon_path_create(S_IFREG | 0444, kinds[i].ino, &ns_ops, ret);
    }
    return -ENOENT;
}
