/* SPDX-License-Identifier: Apache-2.0 */
/* Arguments in and results out: paths, descriptors, times. */
#include "task.h"
#include "base/str.h"

int copy_struct_from_user(void *dst, size_t dst_size, uaddr_t src, size_t size)
{
    memset(dst, 0, dst_size);
    int r = copy_from_user(dst, src, MIN(size, dst_size));
    for (size_t i = dst_size; r == 0 && i < size; i++) {
        u8 b;
        r = copy_from_user(&b, src + i, 1);
        if (r == 0 && b != 0)
            r = -E2BIG;
    }
    return r;
}

/* --- time ---------------------------------------------------------------------- */

int get_timespec(uaddr_t addr, struct abi_timespec *ret)
{
    int r = copy_from_user(ret, addr, sizeof *ret);
    if (r == 0 && (ret->sec < 0 || (u64)ret->nsec >= NSEC_PER_SEC))
        r = -EINVAL;
    return r;
}

int get_itimerspec(uaddr_t addr, struct abi_itimerspec *ret)
{
    int r = get_timespec(addr, &ret->interval);
    return r < 0 ? r : get_timespec(addr + sizeof ret->interval, &ret->value);
}

u64 timespec_to_ns(const struct abi_timespec *t)
{
    if ((u64)t->sec >= NEVER_NS / NSEC_PER_SEC / 2)
        return NEVER_NS / 2;
    return (u64)t->sec * NSEC_PER_SEC + (u64)t->nsec;
}

struct abi_timespec ns_to_timespec(u64 ns)
{
    return (struct abi_timespec){(s64)(ns / NSEC_PER_SEC), (s64)(ns % NSEC_PER_SEC)};
}

int put_timespec(uaddr_t addr, u64 ns)
{
    struct abi_timespec t = ns_to_timespec(ns);
    return copy_to_user(addr, &t, sizeof t);
}

u64 deadline_after(u64 ns)
{
    u64 now = now_ns();
    return ns >= NEVER_NS - 1 - now ? NEVER_NS - 1 : now + ns;
}

int get_timeout(uaddr_t addr, int clock, u64 *ret_deadline)
{
    struct abi_timespec ts;
    *ret_deadline = NEVER_NS;
    if (addr == 0)
        return 0;
    int r = get_timespec(addr, &ts);
    if (r < 0)
        return r;
    u64 ns = timespec_to_ns(&ts);
    if (clock != CLOCK_DURATION)
        return clock_deadline(clock, ns, ret_deadline);
    *ret_deadline = ns == 0 ? 0 : deadline_after(ns);
    return 0;
}

/* --- names ----------------------------------------------------------------------- */

/* Where a given name is kept, or NULL. */
static char **given_name(uaddr_t addr)
{
    struct given *g = current_task()->given;
    return g != NULL && addr >= GIVEN_NAME(1) ? &g->names[GIVEN_NAME(0) - addr] : NULL;
}

bool given_name_empty(uaddr_t addr)
{
    char **given = given_name(addr);
    return given != NULL && *given != NULL && **given == '\0';
}

/* Referenced; NULL: fd is none. */
static struct file *given_file(int fd)
{
    struct given *g = current_task()->given;
    struct file *f = g != NULL && fd <= GIVEN_FD(1) ? g->files[fd - GIVEN_FD(0)] : NULL;
    return f != NULL ? file_get(f) : NULL;
}

int name_get(uaddr_t addr, u32 lookup_flags, char **ret)
{
    char **given = given_name(addr), *name;
    s64 r = 0;
    if (unlikely(given != NULL)) {
        name = *given;
        *given = NULL;
        r = name != NULL ? 0 : -EFAULT;
    } else {
        name = kmalloc(PATH_MAX, 0);
        r = name != NULL ? copy_string_from_user(name, addr, PATH_MAX) : -ENOMEM;
    }
    if (r >= 0 && *name == '\0' && !(lookup_flags & LOOKUP_EMPTY))
        r = -ENOENT;
    if (r < 0) {
        kfree(name);
        return (int)r;
    }
    *ret = name;
    return 0;
}

void name_put(char *name)
{
    kfree(name);
}

struct file *any_file_of(int fd)
{
    return likely(fd > GIVEN_FD(1)) ? fd_file(current_files(), fd) : given_file(fd);
}

struct file *file_of(int fd)
{
    struct file *f = any_file_of(fd);
    if (f == NULL || likely(!(f->flags & O_PATH)))
        return f;
    file_put(f);
    return NULL;
}

int at_begin(int dirfd, const char *name, struct at *ret)
{
    struct task *t = current_task();
    ret->l = (struct lookup){.fs = t->fs, .cred = t->cred};
    ret->file = NULL;
    ret->nameless = (struct path){NULL, NULL};
    if (*name == '/' || dirfd == AT_FDCWD)
        return 0;
    struct file *f = any_file_of(dirfd);
    if (f == NULL)
        return -EBADF;
    ret->l.at = &f->path;
    if (f->path.dentry == NULL) {
        int r = *name != '\0' ? 0 : file_path(f, &ret->nameless);
        ret->l.err = *name != '\0' ? -ENOTDIR : 0;
        if (r < 0) {
            file_put(f);
            return r;
        }
        ret->l.at = &ret->nameless;
    }
    ret->file = f;
    return 0;
}

void at_done(struct at *a)
{
    path_put(&a->nameless);
    file_put(a->file);
}

int path_at(int dirfd, uaddr_t uname, u32 lookup_flags, struct path *ret) { return path_at_as(dirfd, uname, lookup_flags, current_cred(), ret); }

int path_at_as(int dirfd, uaddr_t uname, u32 lookup_flags, const struct cred *cred, struct path *ret)
{
    char *name = NULL;
    struct at at;
    int r = name_get(uname, lookup_flags, &name);
    if (r < 0)
        return r;
    r = at_begin(dirfd, name, &at);
    if (r == 0) {
        at.l.cred = cred;
        r = vfs_lookup(&at.l, name, lookup_flags, ret);
        at_done(&at);
    }
    name_put(name);
    return r;
}
