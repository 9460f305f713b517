/* SPDX-License-Identifier: Apache-2.0 */
/* Calls that few programs make: protection keys without keys, handles of files that have none, remap_file_pages(2), kcmp(2), process_madvise(2). */
#include "msg.h"

/* --- protection keys: as Linux on a CPU without them ------------------------------------ */

s64 sys_pkey_alloc(u64 flags, u64 rights) { return flags != 0 || (rights & ~3ULL) ? -EINVAL : -ENOSPC; }
s64 sys_pkey_free(int key) { return -EINVAL; }
s64 sys_pkey_mprotect(uaddr_t addr, u64 len, u64 prot, int key) { return key == -1 ? sys_mprotect(addr, len, prot) : -EINVAL; }

/* --- remap_file_pages(2): as Linux has emulated it since 3.16, an area of its own for each piece ------------------- */

/* Is [start, end) of the same file all over, as its beginning is? as->lock held. */
static bool of_one_file(const struct vma *v, uaddr_t end)
{
    uaddr_t at = v->end;
    for (struct vma *n = as_next((struct vma *)v); at < end; n = as_next(n)) {
        if (n == NULL || n->start != at || n->object != v->object || n->flags != v->flags || n->prot != v->prot)
            return false;
        at = n->end;
    }
    return true;
}

s64 sys_remap_file_pages(uaddr_t start, u64 size, u64 prot, u64 pgoff, u64 flags)
{
    struct addrspace *as = current_thread()->as;
    uaddr_t at;
    start = ALIGN_DOWN(start, PAGE_SIZE);
    size = ALIGN_DOWN(size, PAGE_SIZE);
    if (prot != 0 || start + size <= start || start + size > PLAT_USER_MAX || pgoff + (size >> PAGE_SHIFT) < pgoff)
        return -EINVAL;
    rwmutex_read_lock(&as->lock);
    const struct vma *v = as_find(as, start, false);
    bool ok = v != NULL && (v->flags & VMA_SHARED) && !(v->flags & VMA_SPECIAL) && v->mapping != NULL && of_one_file(v, start + size);
    struct vma piece = { 0 };
    if (ok) {
        piece = *v;
        if (piece.ops != NULL && piece.ops->open != NULL)
            piece.ops->open(&piece);
    }
    rwmutex_read_unlock(&as->lock);
    if (!ok)
        return -EINVAL;
    struct map_request req = { .addr = start, .len_bytes = size, .prot = piece.prot, .flags = piece.flags, .fixed = true, .ops = piece.ops,
                               .mapping = piece.mapping, .object = piece.object, .pgoff = pgoff };
    int err = as_map(as, &req, &at);
    if (err != 0 && piece.ops != NULL && piece.ops->close != NULL)
        piece.ops->close(&piece);
    if (err == 0 && !(flags & MAP_NONBLOCK) && piece.prot != 0)
        (void)as_populate(as, start, size, TRAP_READ); /* what cannot be had now is asked for when it is touched */
    return err;
}

/* --- file handles: as Linux of a file system that cannot be exported (overlay) ------------- */

#define MAX_HANDLE 128u

s64 sys_name_to_handle_at(int dirfd, uaddr_t name, uaddr_t uhandle, uaddr_t umnt, int flags)
{
    struct path p;
    u32 bytes;
    if (flags & ~(AT_SYMLINK_FOLLOW | AT_EMPTY_PATH))
        return -EINVAL;
    s64 r = path_at(dirfd, name, (flags & AT_SYMLINK_FOLLOW ? 0 : LOOKUP_NOFOLLOW) | (flags & AT_EMPTY_PATH ? LOOKUP_EMPTY : 0), &p);
    if (r < 0)
        return r;
    path_put(&p);
    if (get_user_u32(uhandle, &bytes) < 0)
        return -EFAULT;
    return bytes > MAX_HANDLE ? -EINVAL : -EOPNOTSUPP;
}

s64 sys_open_by_handle_at(int mount_fd, uaddr_t uhandle, int flags)
{
    u32 bytes;
    if (!capable(CAP_DAC_READ_SEARCH))
        return -EPERM;
    if (get_user_u32(uhandle, &bytes) < 0)
        return -EFAULT;
    if (bytes == 0 || bytes > MAX_HANDLE)
        return -EINVAL;
    struct file *f = mount_fd == AT_FDCWD ? NULL : file_of(mount_fd);
    if (f == NULL && mount_fd != AT_FDCWD)
        return -EBADF;
    file_put(f);
    return -ESTALE;
}

/* --- kcmp(2) -------------------------------------------------------------------------------- */

enum { KCMP_FILE, KCMP_VM, KCMP_FILES, KCMP_FS, KCMP_SIGHAND, KCMP_IO, KCMP_SYSVSEM, KCMP_EPOLL_TFD };

/* A file of t, referenced; NULL. */
static struct file *file_of_task(struct task *t, u64 fd)
{
    struct fdtable *files = task_files(t);
    struct file *f = files != NULL && fd <= INT32_MAX ? fd_file(files, (int)fd) : NULL;
    fdtable_put(files);
    return f;
}

/* What is compared: an address that is used for nothing else. 0: there is none. The order of addresses is nobody's business. */
static int thing_of(struct task *t, int type, u64 fd, u64 *ret)
{
    if (type == KCMP_FILE) {
        struct file *f = file_of_task(t, fd);
        *ret = (u64)f;
        file_put(f);
        return f != NULL ? 0 : -EBADF;
    }
    spin_lock_bh(&t->proc->lock);
    *ret = (u64)(type == KCMP_VM ? (void *)t->thread->as : type == KCMP_FILES ? (void *)t->files : type == KCMP_FS ? (void *)t->fs
                 : type == KCMP_SIGHAND ? (void *)t->proc->sighand : NULL);
    spin_unlock_bh(&t->proc->lock);
    return 0;
}

/* What an epoll file of t watches: struct kcmp_epoll_slot. */
static int watched_of(struct task *t, uaddr_t uslot, u64 *ret)
{
    struct { u32 efd, tfd, toff; } slot;
    if (copy_from_user(&slot, uslot, sizeof slot) < 0)
        return -EFAULT;
    struct file *ep = file_of_task(t, slot.efd), *target = NULL;
    int r = ep != NULL ? epoll_target(ep, (int)slot.tfd, slot.toff, &target) : -EBADF;
    *ret = (u64)target;
    file_put(target);
    file_put(ep);
    return r;
}

s64 sys_kcmp(int pid1, int pid2, int type, u64 idx1, u64 idx2)
{
    struct task *a = task_find((u32)pid1), *b = task_find((u32)pid2);
    u64 x, y, key = (u64)&thing_of;
    s64 r = a == NULL || b == NULL ? -ESRCH : !process_access(a->proc, true) || !process_access(b->proc, true) ? -EPERM : 0;
    if (r == 0 && (type < KCMP_FILE || type > KCMP_EPOLL_TFD))
        r = -EINVAL;
    if (r == 0)
        r = thing_of(a, type == KCMP_EPOLL_TFD ? KCMP_FILE : type, idx1, &x);
    if (r == 0)
        r = type == KCMP_EPOLL_TFD ? watched_of(b, idx2, &y) : thing_of(b, type, idx2, &y);
    if (r == 0) {
        x = (x ^ key) * 0x9e3779b97f4a7c15ULL; /* an order, but not that of the addresses */
        y = (y ^ key) * 0x9e3779b97f4a7c15ULL;
        r = x == y ? 0 : x < y ? 1 : 2;
    }
    task_put(a);
    task_put(b);
    return r;
}

/* --- process_madvise(2) ------------------------------------------------------------------------ */

#define MADV_WILLNEED 3
#define MADV_COLD 20
#define MADV_PAGEOUT 21
#define MADV_COLLAPSE 25

static s64 advise_all(struct addrspace *as, const struct vec *v, u32 n, int advice)
{
    s64 done = 0;
    for (u32 i = 0; i < n; i++) {
        const struct uio_seg *s = &v->segs[i];
        u64 len = ALIGN_UP(s->len, PAGE_SIZE);
        int e = s->len != 0 && len == 0 ? -EINVAL : as_advise(as, s->base, len, advice);
        if (e < 0)
            return done > 0 ? done : e;
        done += (s64)s->len;
    }
    return done;
}

s64 sys_process_madvise(int pidfd, uaddr_t iov, u64 count, int advice, u32 flags)
{
    struct vec v;
    if (flags != 0)
        return -EINVAL;
    s64 r = vec_get(&v, iov, count);
    if (r < 0)
        return r;
    struct file *f = file_of(pidfd);
    struct process *p = f != NULL ? pidfd_process(f) : NULL;
    struct addrspace *as = NULL;
    if (p == NULL)
        r = -EBADF;
    else if (advice != MADV_WILLNEED && advice != MADV_COLD && advice != MADV_PAGEOUT && advice != MADV_COLLAPSE)
        r = -EINVAL;
    else if (!process_access(p, true))
        r = -EPERM;
    else if (p->state != PROC_LIVE || (as = task_as(p->leader)) == NULL)
        r = -ESRCH;
    if (r == 0 && p != current_process() && !capable(CAP_SYS_NICE))
        r = -EPERM;
    if (r == 0)
        r = advise_all(as, &v, (u32)count, advice);
    addrspace_put(as);
    file_put(f);
    vec_put(&v);
    return r;
}
