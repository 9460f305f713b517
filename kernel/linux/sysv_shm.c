/* SPDX-License-Identifier: Apache-2.0 */
/*
 * System V shared memory (shmget(2), shmat(2), shmctl(2)). A segment is a file of tmpfs without a name; its areas
 * count as attachments through vma_ops, so fork, exec, exit and munmap() keep the count right by themselves.
 * A segment marked for removal is found no more by its key and goes with its last area.
 *
 * The table, keys and permissions are those of all System V objects (sysv_ipc.h). The lock of the kind is never held
 * while memory is mapped or files are put.
 */
#include "sysv_ipc.h"
#include "base/fmt.h"
#include "base/str.h"

#define SHM_SIZE_MAX (1ULL << 40)
#define SHM_LOCK 11
#define SHM_UNLOCK 12
#define SHM_STAT 13
#define SHM_INFO 14
#define SHM_STAT_ANY 15
#define SHM_HUGETLB 04000u
#define SHM_NORESERVE 010000u
#define SHM_RDONLY 010000u
#define SHM_RND 020000u
#define SHM_REMAP 040000u
#define SHM_EXEC 0100000u
#define SHM_LOCKED 02000u
#define SHM_DEST 01000u /* in mode: marked for removal */

struct abi_shmid {
    struct abi_ipc_perm perm;
    u64 size;
    s64 atime, dtime, ctime;
    s32 cpid, lpid;
    u64 nattch, unused[2];
};
_Static_assert(sizeof(struct abi_shmid) == 112, "struct shmid64_ds");

struct shm {
    struct ipc_object ipc;
    struct abi_shmid ds; /* perm: unused */
    struct file *file; /* c */
};
static inline struct shm *shm_of(const struct ipc_object *o) { return container_of(o, struct shm, ipc); }

static void destroy(struct ipc_object *o)
{
    if (o != NULL) {
        file_put(shm_of(o)->file);
        kfree(shm_of(o));
    }
}

/* Take it out of the table if nothing keeps it any more. Lock held; the caller destroys what it gets. */
static struct ipc_object *unlist(struct shm *s)
{
    if (!(s->ipc.perm.mode & SHM_DEST) || s->ds.nattch != 0)
        return NULL;
    ipc_remove(&shm_kind, &s->ipc);
    return &s->ipc;
}

/* --- areas ---------------------------------------------------------------------------------- */

static void area_open(struct vma *v)
{
    struct shm *s = v->object;
    spin_lock(&shm_kind.lock);
    s->ds.nattch++;
    s->ds.atime = ipc_time();
    s->ds.lpid = (s32)current_process()->pid;
    spin_unlock(&shm_kind.lock);
}

static void area_close(struct vma *v)
{
    struct shm *s = v->object;
    struct task *t = current_thread()->task;
    spin_lock(&shm_kind.lock);
    s->ds.nattch--;
    s->ds.dtime = ipc_time();
    s->ds.lpid = t != NULL ? (s32)t->proc->pid : s->ds.lpid;
    struct ipc_object *gone = unlist(s);
    spin_unlock(&shm_kind.lock);
    destroy(gone);
}

static void area_describe(struct vma *v, char *ret_name, size_t size, u64 *ret_dev, u64 *ret_ino)
{
    struct shm *s = v->object;
    fmt_snprintf(ret_name, size, "/SYSV%08x (deleted)", (u32)s->ipc.perm.key);
    *ret_dev = s->file->inode->sb->dev;
    *ret_ino = s->ipc.id;
}

static const struct vma_ops shm_vma_ops = {.open = area_open, .close = area_close, .describe = area_describe};

/* --- shmget ----------------------------------------------------------------------------------- */

static int create(u64 size, u32 flags, struct ipc_object **ret)
{
    if (size == 0 || size > SHM_SIZE_MAX)
        return -EINVAL;
    if (flags & SHM_HUGETLB)
        return -ENOMEM; /* no pool of huge pages */
    struct shm *s = kzalloc(sizeof *s);
    if (s == NULL)
        return -ENOMEM;
    int r = memfd_open("SYSV", 0, &s->file);
    if (r == 0)
        r = vfs_ftruncate(s->file, ALIGN_UP(size, PAGE_SIZE));
    if (r < 0) {
        destroy(&s->ipc);
        return r;
    }
    s->ds = (struct abi_shmid){.size = size, .ctime = ipc_time(), .cpid = (s32)current_process()->pid};
    *ret = &s->ipc;
    return 0;
}

static int match(const struct ipc_object *o, u64 size) { return size > shm_of(o)->ds.size ? -EINVAL : 0; }

static size_t line(const struct ipc_object *o, char *buf, size_t size)
{
    const struct shm *s = shm_of(o);
    const struct abi_ipc_perm *p = &o->perm;
    return (size_t)fmt_snprintf(buf, size, "%10d %10u  %4o %21llu %5d %5d  %5llu %5u %5u %5u %5u %10lld %10lld %10lld %21llu %21u\n", p->key,
                                o->id, p->mode, (unsigned long long)s->ds.size, s->ds.cpid, s->ds.lpid, (unsigned long long)s->ds.nattch,
                                p->uid, p->gid, p->cuid, p->cgid, (long long)s->ds.atime, (long long)s->ds.dtime, (long long)s->ds.ctime,
                                (unsigned long long)s->file->inode->data->page_count * PAGE_SIZE, 0u);
}

struct ipc_kind shm_kind = {
    .lock = SPINLOCK_INIT("sysv shm"),
    .heading = "       key      shmid perms                  size  cpid  lpid nattch   uid   gid  cuid  cgid      atime      dtime"
               "      ctime                   rss                  swap",
    .create = create, .match = match, .destroy = destroy, .line = line, .max = 4096,
};

s64 sys_shmget(int key, u64 size, int flags) { return ipc_get(&shm_kind, key, size, (u32)flags); }

/* --- shmat, shmdt -------------------------------------------------------------------------------- */

s64 sys_shmat(int id, uaddr_t addr, int uflags)
{
    u32 flags = (u32)uflags;
    struct map_request req = {.prot = MAP_READ | (flags & SHM_RDONLY ? 0 : MAP_WRITE) | (flags & SHM_EXEC ? MAP_EXEC : 0),
                              .flags = VMA_SHARED | (flags & SHM_RDONLY ? 0 : VMA_MAYWRITE), .ops = &shm_vma_ops};
    if (addr != 0 && !IS_ALIGNED(addr, PAGE_SIZE)) {
        if (!(flags & SHM_RND))
            return -EINVAL;
        addr = ALIGN_DOWN(addr, PAGE_SIZE);
    }
    if (addr == 0 && (flags & SHM_REMAP))
        return -EINVAL;
    spin_lock(&shm_kind.lock);
    struct ipc_object *o;
    s64 r = ipc_open(&shm_kind, id, false, flags & SHM_RDONLY ? 4 : 6, &o);
    struct shm *s = r == 0 ? shm_of(o) : NULL;
    if (r == 0) {
        s->ds.nattch++; /* keeps it; the area's from now on */
        s->ds.atime = ipc_time();
        s->ds.lpid = (s32)current_process()->pid;
    }
    spin_unlock(&shm_kind.lock);
    if (r < 0)
        return r;
    req.addr = addr;
    req.fixed = addr != 0;
    req.noreplace = req.fixed && !(flags & SHM_REMAP);
    req.len_bytes = ALIGN_UP(s->ds.size, PAGE_SIZE);
    req.mapping = s->file->inode->data;
    req.object = s;
    uaddr_t at;
    r = as_map(current_thread()->as, &req, &at);
    if (r < 0) {
        struct vma v = {.object = s};
        area_close(&v);
        return r == -EEXIST ? -EINVAL : r;
    }
    return (s64)at;
}

s64 sys_shmdt(uaddr_t addr)
{
    struct addrspace *as = current_thread()->as;
    if (!IS_ALIGNED(addr, PAGE_SIZE))
        return -EINVAL;
    rwmutex_read_lock(&as->lock);
    struct vma *v = as_find(as, addr, false);
    u64 len = 0;
    if (v != NULL && v->ops == &shm_vma_ops && v->start == addr && v->pgoff == 0)
        len = ALIGN_UP(((struct shm *)v->object)->ds.size, PAGE_SIZE);
    rwmutex_read_unlock(&as->lock);
    return len != 0 ? as_unmap(as, addr, len) : -EINVAL;
}

/* --- shmctl ------------------------------------------------------------------------------------------ */

struct abi_shminfo { u64 max, min, mni, seg, all, unused[4]; };
struct abi_shm_info {
    s32 used_ids, pad;
    u64 total, resident, swapped, attempts, successes;
};

/* Lock held. */
static u64 all_pages(void)
{
    u64 pages = 0;
    for (u32 i = 0; i < shm_kind.size; i++)
        if (shm_kind.table[i] != NULL)
            pages += ALIGN_UP(shm_of(shm_kind.table[i])->ds.size, PAGE_SIZE) / PAGE_SIZE;
    return pages;
}

static s64 info(int cmd, uaddr_t to)
{
    struct abi_shminfo limits = {SHM_SIZE_MAX, 1, shm_kind.max, shm_kind.max, SHM_SIZE_MAX / PAGE_SIZE, {0}};
    struct abi_shm_info now = {0};
    spin_lock(&shm_kind.lock);
    u32 highest = ipc_highest(&shm_kind);
    now.used_ids = (s32)shm_kind.used;
    now.total = all_pages();
    spin_unlock(&shm_kind.lock);
    int r = cmd == IPC_INFO ? copy_to_user(to, &limits, sizeof limits) : copy_to_user(to, &now, sizeof now);
    return r < 0 ? r : (s64)highest;
}

static s64 change(int id, int cmd, const struct abi_shmid *new)
{
    struct ipc_object *o, *gone = NULL;
    spin_lock(&shm_kind.lock);
    s64 r = ipc_own(&shm_kind, id, &o);
    if (r == 0 && cmd == IPC_RMID) {
        o->perm.mode |= SHM_DEST;
        o->perm.key = IPC_PRIVATE;
        gone = unlist(shm_of(o));
    } else if (r == 0 && cmd == IPC_SET) {
        r = ipc_set_perm(o, &new->perm);
        if (r == 0)
            shm_of(o)->ds.ctime = ipc_time();
    }
    spin_unlock(&shm_kind.lock);
    destroy(gone);
    return r;
}

/* Nothing is ever swapped out: who asks sees the bit. */
static s64 lock(int id, bool on)
{
    const struct cred *c = current_cred();
    struct ipc_object *o;
    spin_lock(&shm_kind.lock);
    s64 r = ipc_open(&shm_kind, id, false, 0, &o);
    if (r == 0 && !capable(CAP_IPC_LOCK) &&
        ((c->euid != o->perm.uid && c->euid != o->perm.cuid) || (on && rlimit_of(current_process(), RLIMIT_MEMLOCK) == 0)))
        r = -EPERM;
    if (r == 0)
        o->perm.mode = on ? o->perm.mode | SHM_LOCKED : o->perm.mode & ~SHM_LOCKED;
    spin_unlock(&shm_kind.lock);
    return r;
}

static s64 status(int id, int cmd, uaddr_t to)
{
    struct abi_shmid ds;
    struct ipc_object *o;
    spin_lock(&shm_kind.lock);
    s64 r = ipc_open(&shm_kind, id, cmd != IPC_STAT, cmd == SHM_STAT_ANY ? 0 : 4, &o);
    if (r == 0) {
        ds = shm_of(o)->ds;
        ds.perm = o->perm;
        r = cmd == IPC_STAT ? 0 : (s64)o->id;
    }
    spin_unlock(&shm_kind.lock);
    return r >= 0 && copy_to_user(to, &ds, sizeof ds) < 0 ? -EFAULT : r;
}

s64 sys_shmctl(int id, int cmd, uaddr_t buf)
{
    struct abi_shmid new;
    if (id < 0 || cmd < 0)
        return -EINVAL;
    switch (cmd) {
    case IPC_INFO:
    case SHM_INFO:
        return info(cmd, buf);
    case IPC_STAT:
    case SHM_STAT:
    case SHM_STAT_ANY:
        return status(id, cmd, buf);
    case IPC_SET:
        if (copy_from_user(&new, buf, sizeof new) < 0)
            return -EFAULT;
        return change(id, cmd, &new);
    case IPC_RMID:
        return change(id, cmd, NULL);
    case SHM_LOCK:
    case SHM_UNLOCK:
        return lock(id, cmd == SHM_LOCK);
    default:
        return -EINVAL;
    }
}
