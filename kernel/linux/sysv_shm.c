/* SPDX-License-Identifier: Apache-2.0 */
/*
 * System V shared memory (shmget(2), shmat(2), shmctl(2)). A segment is a file of tmpfs without a name; its areas
 * count as attachments through vma_ops, so fork, exec, exit and munmap() keep the count right by themselves.
 * A segment marked for removal is found no more by its key and goes with its last area.
 *
 * ID: the slot's index, and above it how often slots were given out, so that an old ID does not name a new segment.
 * Locks: shm_lock for the table and every field; a leaf, never held while memory is mapped or files are put.
 */
#include "task.h"
#include "base/fmt.h"
#include "base/str.h"

#define SHM_MAX 4096u
#define SHM_SIZE_MAX (1ULL << 40)
#define IPC_PRIVATE 0
#define IPC_CREAT 01000u
#define IPC_EXCL 02000u
#define IPC_RMID 0
#define IPC_SET 1
#define IPC_STAT 2
#define IPC_INFO 3
#define SHM_STAT 13
#define SHM_INFO 14
#define SHM_STAT_ANY 15
#define SHM_HUGETLB 04000u
#define SHM_NORESERVE 010000u
#define SHM_RDONLY 010000u
#define SHM_RND 020000u
#define SHM_REMAP 040000u
#define SHM_EXEC 0100000u
#define SHM_DEST 01000u /* in mode: marked for removal */
#define CAP_IPC_OWNER 15

struct abi_ipc_perm {
    s32 key;
    u32 uid, gid, cuid, cgid, mode;
    u16 seq, pad[3];
    u64 unused[2];
};
struct abi_shmid {
    struct abi_ipc_perm perm;
    u64 size;
    s64 atime, dtime, ctime;
    s32 cpid, lpid;
    u64 nattch, unused[2];
};
_Static_assert(sizeof(struct abi_shmid) == 112, "struct shmid64_ds");

struct shm {
    u32 id;
    struct abi_shmid ds;
    struct file *file; /* c */
};

static struct spinlock shm_lock = SPINLOCK_INIT("sysv shm");
static struct shm **table;  /* SHM_MAX entries, made with the first segment */
static u32 given_out;

static s64 wall_seconds(void) { return (s64)(wall_ns() / NSEC_PER_SEC); }

/* shm_lock held. */
static struct shm *find(u32 id)
{
    struct shm *s = table != NULL ? table[id % SHM_MAX] : NULL;
    return s != NULL && s->id == id ? s : NULL;
}

/* Take it out of the table if nothing keeps it any more. shm_lock held; the caller frees what it gets. */
static struct shm *unlist(struct shm *s)
{
    if (!(s->ds.perm.mode & SHM_DEST) || s->ds.nattch != 0)
        return NULL;
    table[s->id % SHM_MAX] = NULL;
    return s;
}

static void destroy(struct shm *s)
{
    if (s != NULL) {
        file_put(s->file);
        kfree(s);
    }
}

static bool allowed(const struct shm *s, u32 want)
{
    const struct cred *c = current_cred();
    u32 mode = s->ds.perm.mode;
    if (c->euid == s->ds.perm.uid || c->euid == s->ds.perm.cuid)
        mode >>= 6;
    else if (c->egid == s->ds.perm.gid || c->egid == s->ds.perm.cgid)
        mode >>= 3;
    return (want & ~mode & 7) == 0 || cred_capable(c, CAP_IPC_OWNER);
}

static bool owns(const struct shm *s)
{
    const struct cred *c = current_cred();
    return c->euid == s->ds.perm.uid || c->euid == s->ds.perm.cuid || cred_capable(c, CAP_SYS_ADMIN);
}

/* --- areas ---------------------------------------------------------------------------------- */

static void area_open(struct vma *v)
{
    struct shm *s = v->object;
    spin_lock(&shm_lock);
    s->ds.nattch++;
    spin_unlock(&shm_lock);
}

static void area_close(struct vma *v)
{
    struct shm *s = v->object;
    struct task *t = current_thread()->task;
    spin_lock(&shm_lock);
    s->ds.nattch--;
    s->ds.dtime = wall_seconds();
    s->ds.lpid = t != NULL ? (s32)t->proc->pid : s->ds.lpid;
    s = unlist(s);
    spin_unlock(&shm_lock);
    destroy(s);
}

static void area_describe(struct vma *v, char *ret_name, size_t size, u64 *ret_dev, u64 *ret_ino)
{
    struct shm *s = v->object;
    fmt_snprintf(ret_name, size, "/SYSV%08x (deleted)", (u32)s->ds.perm.key);
    *ret_dev = s->file->inode->sb->dev;
    *ret_ino = s->id;
}

static const struct vma_ops shm_vma_ops = {.open = area_open, .close = area_close, .describe = area_describe};

/* --- shmget ----------------------------------------------------------------------------------- */

static int create(s32 key, u64 size, u32 flags, struct shm **ret)
{
    char name[16];
    if (size == 0 || size > SHM_SIZE_MAX)
        return -EINVAL;
    if (flags & SHM_HUGETLB)
        return -ENOMEM; /* no pool of huge pages */
    struct shm *s = kzalloc(sizeof *s);
    if (s == NULL)
        return -ENOMEM;
    fmt_snprintf(name, sizeof name, "SYSV%08x", (u32)key);
    int r = memfd_open(name, 0, &s->file);
    if (r == 0)
        r = vfs_ftruncate(s->file, ALIGN_UP(size, PAGE_SIZE));
    if (r < 0) {
        file_put(s->file);
        kfree(s);
        return r;
    }
    const struct cred *c = current_cred();
    s->ds = (struct abi_shmid){
        .perm = {.key = key, .uid = c->euid, .gid = c->egid, .cuid = c->euid, .cgid = c->egid, .mode = flags & 0777},
        .size = size, .ctime = wall_seconds(), .cpid = (s32)current_process()->pid,
    };
    *ret = s;
    return 0;
}

/* A segment with this key, seen as shmget() wants it: its ID or an error. shm_lock held. */
static s64 by_key(s32 key, u64 size, u32 flags)
{
    for (u32 i = 0; key != IPC_PRIVATE && table != NULL && i < SHM_MAX; i++) {
        struct shm *s = table[i];
        if (s == NULL || s->ds.perm.key != key || (s->ds.perm.mode & SHM_DEST))
            continue;
        if ((flags & (IPC_CREAT | IPC_EXCL)) == (IPC_CREAT | IPC_EXCL))
            return -EEXIST;
        return size > s->ds.size ? -EINVAL : !allowed(s, (flags >> 6 | flags >> 3 | flags) & 7) ? -EACCES : (s64)s->id;
    }
    return -ENOENT;
}

/* shm_lock held. */
static s64 insert(struct shm *s)
{
    for (u32 n = 0; n < SHM_MAX; n++) {
        u32 i = given_out++ % (INT32_MAX + 1u);
        if (table[i % SHM_MAX] == NULL) {
            table[i % SHM_MAX] = s;
            s->ds.perm.seq = (u16)(i / SHM_MAX);
            return s->id = i;
        }
    }
    return -ENOSPC;
}

static int make_table(void)
{
    struct shm **t, **none = NULL;
    if (atomic_load(&table) != NULL)
        return 0;
    t = kzalloc(SHM_MAX * sizeof *t);
    if (t == NULL)
        return -ENOMEM;
    if (!atomic_cas(&table, &none, t))
        kfree(t);
    return 0;
}

s64 sys_shmget(int key, u64 size, int uflags)
{
    u32 flags = (u32)uflags;
    struct shm *s = NULL;
    s64 r = make_table();
    if (r < 0)
        return r;
    spin_lock(&shm_lock);
    r = by_key(key, size, flags);
    spin_unlock(&shm_lock);
    if (r != -ENOENT || (key != IPC_PRIVATE && !(flags & IPC_CREAT)))
        return r;
    r = create(key, size, flags, &s);
    if (r < 0)
        return r;
    spin_lock(&shm_lock);
    r = by_key(key, size, flags); /* another may have been faster */
    if (r == -ENOENT && (r = insert(s)) >= 0)
        s = NULL;
    spin_unlock(&shm_lock);
    destroy(s);
    return r;
}

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
    spin_lock(&shm_lock);
    struct shm *s = id >= 0 ? find((u32)id) : NULL;
    s64 r = s == NULL ? -EINVAL : !allowed(s, flags & SHM_RDONLY ? 4 : 6) ? -EACCES : 0;
    if (r == 0) {
        s->ds.nattch++; /* keeps it; the area's from now on */
        s->ds.atime = wall_seconds();
        s->ds.lpid = (s32)current_process()->pid;
    }
    spin_unlock(&shm_lock);
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

static u32 used_ids(u32 *ret_highest, u64 *ret_pages)
{
    u32 n = 0;
    *ret_highest = 0;
    *ret_pages = 0;
    for (u32 i = 0; table != NULL && i < SHM_MAX; i++)
        if (table[i] != NULL) {
            n++;
            *ret_highest = i;
            *ret_pages += ALIGN_UP(table[i]->ds.size, PAGE_SIZE) / PAGE_SIZE;
        }
    return n;
}

static s64 info(int cmd, uaddr_t to)
{
    struct abi_shminfo limits = {SHM_SIZE_MAX, 1, SHM_MAX, SHM_MAX, SHM_SIZE_MAX / PAGE_SIZE, {0}};
    struct abi_shm_info now = {0};
    u32 highest;
    spin_lock(&shm_lock);
    now.used_ids = (s32)used_ids(&highest, &now.total);
    spin_unlock(&shm_lock);
    int r = cmd == IPC_INFO ? copy_to_user(to, &limits, sizeof limits) : copy_to_user(to, &now, sizeof now);
    return r < 0 ? r : (s64)highest;
}

static s64 change(int id, int cmd, const struct abi_shmid *new)
{
    spin_lock(&shm_lock);
    struct shm *s = id >= 0 ? find((u32)id) : NULL, *gone = NULL;
    s64 r = s == NULL ? -EINVAL : !owns(s) ? -EPERM : 0;
    if (r == 0 && cmd == IPC_RMID) {
        s->ds.perm.mode |= SHM_DEST;
        s->ds.perm.key = IPC_PRIVATE;
        gone = unlist(s);
    } else if (r == 0) {
        s->ds.perm.uid = new->perm.uid;
        s->ds.perm.gid = new->perm.gid;
        s->ds.perm.mode = (s->ds.perm.mode & ~0777u) | (new->perm.mode & 0777);
        s->ds.ctime = wall_seconds();
    }
    spin_unlock(&shm_lock);
    destroy(gone);
    return r;
}

static s64 status(int id, int cmd, uaddr_t to)
{
    struct abi_shmid ds;
    spin_lock(&shm_lock);
    struct shm *s = id < 0 ? NULL : cmd == IPC_STAT ? find((u32)id) : table != NULL && (u32)id < SHM_MAX ? table[id] : NULL;
    s64 r = s == NULL ? -EINVAL : cmd != SHM_STAT_ANY && !allowed(s, 4) ? -EACCES : cmd == IPC_STAT ? 0 : (s64)s->id;
    if (r >= 0)
        ds = s->ds;
    spin_unlock(&shm_lock);
    return r >= 0 && copy_to_user(to, &ds, sizeof ds) < 0 ? -EFAULT : r;
}

s64 sys_shmctl(int id, int cmd, uaddr_t buf)
{
    struct abi_shmid new;
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
    case 11: /* SHM_LOCK and SHM_UNLOCK: nothing is ever swapped out */
    case 12: {
        spin_lock(&shm_lock);
        struct shm *s = id >= 0 ? find((u32)id) : NULL;
        s64 r = s == NULL ? -EINVAL : !owns(s) ? -EPERM : 0;
        spin_unlock(&shm_lock);
        return r;
    }
    default:
        return -EINVAL;
    }
}
