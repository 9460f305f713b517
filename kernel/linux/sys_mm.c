/* SPDX-License-Identifier: Apache-2.0 */
/* Memory calls: mmap(2) and its family. The work is done by mm; here are Linux' checks. */
#include "task.h"
#include "elf_load.h"
#include "base/checked.h"
#include "base/str.h"

static struct addrspace *as_current(void) { return current_thread()->as; }

/* Length rounded to pages; false when it does not fit an address space. */
static bool page_len(u64 *len)
{
    u64 n = ALIGN_UP(*len, PAGE_SIZE);
    if (n < *len || n > PLAT_USER_MAX)
        return false;
    *len = n;
    return true;
}

s64 sys_mmap(uaddr_t addr, u64 len, u64 prot, u64 flags, u64 fd, u64 off)
{
    struct addrspace *as = as_current();
    struct map_request req = {.prot = prot & (PROT_READ | PROT_WRITE | PROT_EXEC), .flags = VMA_MAYWRITE};
    uaddr_t at;
    int r;

    if (!IS_ALIGNED(off, PAGE_SIZE) || len == 0)
        return -EINVAL;
    if (!page_len(&len))
        return -ENOMEM;
    if (off + len < off)
        return -EOVERFLOW;
    if (flags & MAP_FIXED_NOREPLACE)
        flags |= MAP_FIXED;
    if (flags & MAP_FIXED) {
        if (!IS_ALIGNED(addr, PAGE_SIZE))
            return -EINVAL;
        if (addr > PLAT_USER_MAX || len > PLAT_USER_MAX - addr)
            return -ENOMEM;
        if (addr < PLAT_USER_MIN)
            return -EPERM;
    }
    req.addr = ALIGN_DOWN(addr, PAGE_SIZE);
    req.len_bytes = len;
    req.fixed = (flags & MAP_FIXED) != 0;
    req.noreplace = (flags & MAP_FIXED_NOREPLACE) != 0;
    req.pgoff = off >> PAGE_SHIFT;
    if (flags & MAP_GROWSDOWN)
        req.flags |= VMA_GROWSDOWN;
    if ((flags & MAP_NORESERVE) && atomic_load_relaxed(&overcommit.mode) != COMMIT_NEVER)
        req.flags |= VMA_NORESERVE;
    if (flags & MAP_LOCKED)
        req.flags |= VMA_LOCKED;
    u32 type = flags & MAP_TYPE;
    if (type != MAP_PRIVATE && type != MAP_SHARED && (type != MAP_SHARED_VALIDATE || (flags & MAP_ANONYMOUS)))
        return -EINVAL;
    if (type != MAP_PRIVATE)
        req.flags |= VMA_SHARED;

    if (flags & MAP_ANONYMOUS) {
        if (flags & MAP_HUGETLB)
            return -ENOMEM; /* no pool of huge pages, as on a Linux with nr_hugepages = 0 */
        req.pgoff = 0;
        r = as_map(as, &req, &at);
    } else {
        struct file *f = file_of((int)fd);
        if (f == NULL)
            return -EBADF;
        r = 0;
        if (flags & MAP_HUGETLB)
            r = -EINVAL;
        else if (type == MAP_SHARED_VALIDATE && (flags & MAP_SYNC))
            r = -EOPNOTSUPP;
        else if (!f->can_read || (type != MAP_PRIVATE && (prot & PROT_WRITE) && !f->can_write))
            r = -EACCES;
        else if ((prot & PROT_EXEC) && f->path.mount != NULL && (f->path.mount->flags & MS_NOEXEC))
            r = -EPERM;
        else if (flags & MAP_GROWSDOWN)
            r = -EINVAL;
        if (r == 0) {
            if (type != MAP_PRIVATE && !f->can_write)
                req.flags &= ~VMA_MAYWRITE;
            r = map_file(as, f, &req, &at);
        }
        file_put(f);
    }
    if (r < 0)
        return r;
    if ((flags & (MAP_POPULATE | MAP_NONBLOCK)) == MAP_POPULATE && prot != 0)
        as_populate(as, at, len, 0);
    return (s64)at;
}

s64 sys_munmap(uaddr_t addr, u64 len)
{
    if (!IS_ALIGNED(addr, PAGE_SIZE) || len == 0 || !page_len(&len) || addr > PLAT_USER_MAX || len > PLAT_USER_MAX - addr)
        return -EINVAL;
    return as_unmap(as_current(), addr, len);
}

s64 sys_mprotect(uaddr_t addr, u64 len, u64 prot)
{
    if (!IS_ALIGNED(addr, PAGE_SIZE))
        return -EINVAL;
    if (prot & ~(u64)(PROT_READ | PROT_WRITE | PROT_EXEC | PROT_SEM | PROT_GROWSDOWN | PROT_GROWSUP))
        return -EINVAL;
    if ((prot & PROT_GROWSDOWN) && (prot & PROT_GROWSUP))
        return -EINVAL;
    if (len == 0)
        return 0;
    if (!page_len(&len) || addr > PLAT_USER_MAX || len > PLAT_USER_MAX - addr)
        return -ENOMEM;
    if (prot & (PROT_GROWSUP | PROT_GROWSDOWN)) { /* nothing grows up here; from the start of an area that grows down */
        struct addrspace *as = as_current();
        bool down = (prot & PROT_GROWSDOWN) != 0;
        rwmutex_read_lock(&as->lock);
        struct vma *v = as_find(as, addr, down);
        bool there = v != NULL && v->start < addr + len;
        u64 start = there && down && (v->flags & VMA_GROWSDOWN) ? v->start : 0;
        rwmutex_read_unlock(&as->lock);
        if (start == 0)
            return there ? -EINVAL : -ENOMEM;
        len += addr - start;
        addr = start;
    }
    return as_protect(as_current(), addr, len, prot & (PROT_READ | PROT_WRITE | PROT_EXEC));
}

s64 sys_brk(uaddr_t brk)
{
    uaddr_t now = 0;
    as_set_brk(as_current(), brk, &now);
    return (s64)now;
}

s64 sys_mremap(uaddr_t addr, u64 old_len, u64 new_len, u64 flags, uaddr_t new_addr)
{
    uaddr_t at;
    int r = as_remap(as_current(), addr, old_len, new_len, flags, new_addr, &at);
    return r < 0 ? r : (s64)at;
}

s64 sys_msync(uaddr_t addr, u64 len, int flags)
{
    if ((flags & ~7) || !IS_ALIGNED(addr, PAGE_SIZE) || (flags & 5) == 5)
        return -EINVAL;
    if (len == 0 || len > UINT64_MAX - (PAGE_SIZE - 1)) /* no page either, as Linux rounds it */
        return 0;
    if (!page_len(&len) || addr > PLAT_USER_MAX || len > PLAT_USER_MAX - addr)
        return -ENOMEM;
    return as_sync(as_current(), addr, len, flags);
}

s64 sys_mincore(uaddr_t addr, u64 len, uaddr_t vec)
{
    u8 buf[256];
    if (!IS_ALIGNED(addr, PAGE_SIZE))
        return -EINVAL;
    if (!page_len(&len) || addr > PLAT_USER_MAX || len > PLAT_USER_MAX - addr)
        return -ENOMEM;
    while (len > 0) {
        u64 pages = MIN(len >> PAGE_SHIFT, sizeof buf);
        int r = as_mincore(as_current(), addr, pages << PAGE_SHIFT, buf);
        if (r == 0)
            r = copy_to_user(vec, buf, pages);
        if (r < 0)
            return r;
        addr += pages << PAGE_SHIFT;
        len -= pages << PAGE_SHIFT;
        vec += pages;
        if (!cond_resched())
            return -EINTR;
    }
    return 0;
}

s64 sys_madvise(uaddr_t addr, u64 len, int advice)
{
    if (!IS_ALIGNED(addr, PAGE_SIZE) || !page_len(&len))
        return -EINVAL;
    return as_advise(as_current(), addr, len, advice);
}

static s64 lock_range(uaddr_t addr, u64 len, u32 locks)
{
    len += addr & (PAGE_SIZE - 1);
    addr = ALIGN_DOWN(addr, PAGE_SIZE);
    len = ALIGN_UP(len, PAGE_SIZE); /* the longest become none, as Linux's do */
    if (addr + len < addr)
        return -EINVAL;
    if (len != 0 && (addr > PLAT_USER_MAX || len > PLAT_USER_MAX - addr))
        return -ENOMEM;
    return as_lock_range(as_current(), addr, len, locks);
}

s64 sys_mlock(uaddr_t addr, u64 len) { return lock_range(addr, len, VMA_LOCKED); }
s64 sys_munlock(uaddr_t addr, u64 len) { return lock_range(addr, len, 0); }

#define MLOCK_ONFAULT 1

s64 sys_mlock2(uaddr_t addr, u64 len, int flags)
{
    if (flags & ~MLOCK_ONFAULT)
        return -EINVAL;
    return lock_range(addr, len, flags & MLOCK_ONFAULT ? VMA_LOCKS : VMA_LOCKED);
}

enum { MCL_CURRENT = 1, MCL_FUTURE = 2, MCL_ONFAULT = 4 };

s64 sys_mlockall(int flags)
{
    u32 locks = flags & MCL_ONFAULT ? VMA_LOCKS : VMA_LOCKED;
    if (!(flags & (MCL_CURRENT | MCL_FUTURE)) || (flags & ~(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT)))
        return -EINVAL;
    return as_lock_all(as_current(), flags & MCL_CURRENT ? &locks : NULL, flags & MCL_FUTURE ? locks : 0);
}

s64 sys_munlockall(void)
{
    const u32 none = 0;
    return as_lock_all(as_current(), &none, 0);
}

s64 sys_memfd_create(uaddr_t uname, u32 flags)
{
    char name[250];
    struct file *f;
    s64 r = copy_string_from_user(name, uname, sizeof name);
    if (r < 0)
        return r == -ENAMETOOLONG ? -EINVAL : r;
    r = memfd_open(name, flags, &f);
    if (r < 0)
        return r;
    r = fd_install(current_files(), f, 0, flags & 1);
    if (r < 0)
        file_put(f);
    return r;
}

#define MEMBARRIER_CMD_QUERY 0

/* Every command's barrier: each CPU that may be running a task concerned has passed a barrier, and synchronized its instruction
 * stream, when this returns. */
s64 sys_membarrier(int cmd, u32 flags, int cpu)
{
    struct process *p = current_process();
    if (flags != 0 && !(cmd == 0x80 && flags == 1))
        return -EINVAL;
    if (cmd == MEMBARRIER_CMD_QUERY)
        return 0x1f | 0x20 | 0x40;
    switch (cmd) {
    case 1: case 2: /* GLOBAL, GLOBAL_EXPEDITED */
        break;
    case 4: case 16: case 64: /* REGISTER_* */
        p->membarrier_registered |= (u32)cmd << 1;
        return 0;
    case 8: case 32: /* PRIVATE_EXPEDITED, _SYNC_CORE */
        if (!(p->membarrier_registered & (u32)(cmd == 8 ? 16 << 1 : 64 << 1)))
            return -EPERM;
        break;
    default:
        return -EINVAL;
    }
    atomic_fence();
    plat_barrier(cmd <= 2 ? NULL : &current_thread()->as->plat);
    return 0;
}

/* process_vm_readv(2) and process_vm_writev(2) */
static s64 vm_rw(u32 pid, uaddr_t lvec, u64 lcount, uaddr_t rvec, u64 rcount, u64 flags, bool write)
{
    struct abi_iovec l, r;
    u64 li = 0, loff = 0;
    s64 total = 0;
    if (flags != 0 || lcount > UIO_MAX_SEGS || rcount > UIO_MAX_SEGS)
        return -EINVAL;
    if (lcount == 0 || rcount == 0)
        return 0;
    struct task *t = task_find(pid);
    struct addrspace *as = t != NULL ? task_as(t) : NULL;
    bool allowed = t != NULL && process_access(t->proc, true);
    task_put(t);
    u8 *page = kmalloc(PAGE_SIZE, 0);
    if (as == NULL || !allowed || page == NULL) {
        addrspace_put(as);
        kfree(page);
        return as == NULL ? -ESRCH : !allowed ? -EPERM : -ENOMEM;
    }
    for (u64 ri = 0; ri < rcount; ri++) {
        if (copy_from_user(&r, rvec + ri * sizeof r, sizeof r) < 0)
            goto fault;
        for (u64 done = 0; done < r.len;) {
            if (li == lcount)
                goto out;
            if (copy_from_user(&l, lvec + li * sizeof l, sizeof l) < 0)
                goto fault;
            if (loff == l.len) {
                li++;
                loff = 0;
                continue;
            }
            u64 n = MIN(MIN(r.len - done, l.len - loff), PAGE_SIZE);
            if (write && copy_from_user(page, l.base + loff, n) < 0)
                goto fault;
            s64 moved = as_copy_as_user(as, r.base + done, page, n, write);
            if (moved <= 0 || (!write && copy_to_user(l.base + loff, page, (u64)moved) < 0))
                goto fault;
            n = (u64)moved;
            done += n;
            loff += n;
            total += (s64)n;
            if (!cond_resched())
                goto out;
        }
    }
out:
    addrspace_put(as);
    kfree(page);
    return total;
fault:
    addrspace_put(as);
    kfree(page);
    return total > 0 ? total : -EFAULT;
}

s64 sys_process_vm_readv(u32 pid, uaddr_t lvec, u64 lcount, uaddr_t rvec, u64 rcount, u64 flags)
{
    return vm_rw(pid, lvec, lcount, rvec, rcount, flags, false);
}

s64 sys_process_vm_writev(u32 pid, uaddr_t lvec, u64 lcount, uaddr_t rvec, u64 rcount, u64 flags)
{
    return vm_rw(pid, lvec, lcount, rvec, rcount, flags, true);
}
