/* SPDX-License-Identifier: Apache-2.0 */
/* memfd_create(2): a file in memory without a name, with seals (fcntl(2), "File Sealing"). */
#include "tmpfs/tmpfs_impl.h"
#include "base/fmt.h"
#include "kern/addrspace.h"

#define MFD_CLOEXEC 1u
#define MFD_ALLOW_SEALING 2u
#define MFD_NOEXEC_SEAL 8u
#define MFD_EXEC 16u
#define F_SEAL_SEAL 1u
#define F_SEAL_SHRINK 2u
#define F_SEAL_GROW 4u
#define F_SEAL_WRITE 8u
#define F_SEAL_FUTURE_WRITE 16u
#define F_SEAL_EXEC 32u
#define SEALS_RESIZE_WRITE (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_FUTURE_WRITE)
#define SEALS_ALL 63u

struct memfd {
    u32 seals; /* inode->lock */
    char name[];
};

static struct superblock *memfd_sb;

static u32 seals_of(const struct inode *i)
{
    const struct memfd *m = S_ISREG(i->mode) ? i->shared_object : NULL;
    return m != NULL ? atomic_load_relaxed(&m->seals) : 0;
}

int memfd_may_resize(const struct inode *i, u64 size)
{
    u32 seals = seals_of(i);
    if ((size < inode_size(i) && (seals & F_SEAL_SHRINK) != 0) || (size > inode_size(i) && (seals & F_SEAL_GROW) != 0))
        return -EPERM;
    return 0;
}

int memfd_may_chmod(const struct inode *i, u32 mode)
{
    return (seals_of(i) & F_SEAL_EXEC) != 0 && ((i->mode ^ mode) & 0111) != 0 ? -EPERM : 0;
}

static s64 memfd_write(struct file *f, struct uio *u, u64 *pos)
{
    u32 seals = seals_of(f->inode);
    if (seals != 0 && u->remaining > 0) {
        u64 off = (f->flags & O_APPEND) != 0 ? inode_size(f->inode) : *pos;
        if (off >= vfs_write_limit(off))
            return -EFBIG; /* first */
        if ((seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE)) != 0)
            return -EPERM;
        if ((seals & F_SEAL_GROW) != 0 && off + u->remaining > inode_size(f->inode)) {
            u64 whole = ALIGN_DOWN(inode_size(f->inode), PAGE_SIZE); /* what of it is in one page is written or not */
            if (off >= whole)
                return -EPERM;
            u->remaining = whole - off;
        }
    }
    return tmpfs_write(f, u, pos);
}

static int memfd_fallocate(struct file *f, int mode, u64 off, u64 len)
{
    u32 seals = seals_of(f->inode);
    bool punch = (mode & 2) != 0;
    if ((mode & ~3) != 0)
        return -EOPNOTSUPP;
    if (punch && (seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE)) != 0)
        return -EPERM;
    if (!punch && (seals & F_SEAL_GROW) != 0 && off + len > inode_size(f->inode))
        return -EPERM;
    return tmpfs_fallocate(f, mode, off, len);
}

static int memfd_mmap(struct file *f, struct map_request *req)
{
    bool sealed = (seals_of(f->inode) & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE)) != 0;
    bool shared = (req->flags & VMA_SHARED) != 0;
    if (sealed && shared && (req->prot & MAP_WRITE) != 0)
        return -EPERM;
    int err = generic_file_mmap(f, req);
    if (err == 0 && sealed && shared)
        req->flags &= ~VMA_MAYWRITE;
    return err;
}

static void memfd_describe(struct file *f, char *buf, size_t size)
{
    struct memfd *m = f->inode->shared_object;
    fmt_snprintf(buf, size, "/memfd:%s (deleted)", m->name);
}

static const struct file_ops memfd_ops = {
    .read = generic_file_read,
    .write = memfd_write,
    .seek = generic_file_seek,
    .mmap = memfd_mmap,
    .fsync = generic_file_fsync,
    .fallocate = memfd_fallocate,
    .describe = memfd_describe,
};

/* The file system behind them, made when first needed. */
static int memfd_super(void)
{
    struct superblock *sb, *none = NULL;
    if (atomic_load(&memfd_sb) != NULL)
        return 0;
    int err = tmpfs_super("tmpfs", "nr_inodes=0", &sb);
    if (err == 0 && !atomic_cas(&memfd_sb, &none, sb))
        super_put(sb);
    return err;
}

int memfd_open(const char *name, u32 flags, struct file **ret)
{
    size_t len = strlen(name);
    if ((flags & ~(MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL | MFD_EXEC)) != 0 || len > NAME_MAX - 6 ||
        (flags & (MFD_NOEXEC_SEAL | MFD_EXEC)) == (MFD_NOEXEC_SEAL | MFD_EXEC))
        return -EINVAL;
    int err = memfd_super();
    if (err != 0)
        return err;
    bool noexec = (flags & MFD_NOEXEC_SEAL) != 0;
    struct memfd *m = kzalloc(sizeof(*m) + len + 1);
    struct inode *i = tmpfs_inode_create(memfd_sb, NULL, S_IFREG | (noexec ? 0666 : 0777), &kernel_cred);
    if (m == NULL || i == NULL) {
        kfree(m);
        inode_put(i);
        return -ENOMEM;
    }
    memcpy(m->name, name, len + 1);
    m->seals = noexec ? F_SEAL_EXEC : (flags & MFD_ALLOW_SEALING) != 0 ? 0 : F_SEAL_SEAL;
    i->shared_object = m;
    i->fops = &memfd_ops;
    i->nlink = 0;
    return file_create_on(i, "memfd", &memfd_ops, NULL, O_RDWR | O_LARGEFILE, ret);
}

int memfd_get_seals(struct file *f)
{
    return f->ops == &memfd_ops ? (int)seals_of(f->inode) : tmpfs_has_file(f->inode) ? (int)F_SEAL_SEAL : -EINVAL;
}

int memfd_add_seals(struct file *f, u32 seals)
{
    if (!f->can_write)
        return -EPERM;
    if ((seals & ~SEALS_ALL) != 0)
        return -EINVAL;
    if (f->ops != &memfd_ops)
        return tmpfs_has_file(f->inode) ? -EPERM : -EINVAL;
    struct inode *i = f->inode;
    struct memfd *m = i->shared_object;
    int err = 0;
    mutex_lock(&i->lock);
    if ((seals & F_SEAL_EXEC) != 0 && (i->mode & 0111) != 0) /* what runs is not written */
        seals |= F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_FUTURE_WRITE;
    if ((m->seals & F_SEAL_SEAL) != 0)
        err = -EPERM;
    else if ((seals & F_SEAL_WRITE) != 0 && (m->seals & F_SEAL_WRITE) == 0 &&
             atomic_load(&i->mapping.writable_maps) != 0)
        err = -EBUSY;
    else
        atomic_store(&m->seals, m->seals | seals | ((seals & F_SEAL_EXEC) != 0 && (i->mode & 0111) != 0 ? SEALS_RESIZE_WRITE : 0)); /* W^X */
    mutex_unlock(&i->lock);
    return err;
}
