/* SPDX-License-Identifier: Apache-2.0 */
/* Files in address spaces. The area holds a reference to the file; pages come from the file's mapping. */
#include "fs_impl.h"
#include "kern/addrspace.h"

void file_vma_open(struct vma *vma) { file_get(vma->object); }
void file_vma_close(struct vma *vma) { file_put(vma->object); }

/* What a shared area has changed is with whoever stores it when the area goes. */
static void vma_close(struct vma *vma)
{
    struct file *f = vma->object;
    if ((vma->flags & VMA_SHARED) != 0)
        mapping_sync(f->inode->data);
    file_vma_close(vma);
}

void file_vma_describe(struct vma *vma, char *ret_name, size_t size, u64 *ret_dev, u64 *ret_ino)
{
    struct file *f = vma->object;
    if (file_name(NULL, f, ret_name, size) < 0)
        str_copy(ret_name, "(long name)", size);
    *ret_dev = f->inode->sb->dev;
    *ret_ino = f->inode->ino;
}

const struct vma_ops file_vma_ops = {
    .open = file_vma_open,
    .close = vma_close,
    .describe = file_vma_describe,
};

/* mmap(2)'s errors for files. */
int generic_file_mmap(struct file *f, struct map_request *req)
{
    bool shared = (req->flags & VMA_SHARED) != 0;
    if (!f->can_read)
        return -EACCES;
    if (shared && (req->prot & MAP_WRITE) != 0 && !f->can_write)
        return -EACCES;
    if ((req->prot & MAP_EXEC) != 0 && f->path.mount != NULL && (f->path.mount->flags & MS_NOEXEC) != 0)
        return -EPERM;
    if (!shared || f->can_write)
        req->flags |= VMA_MAYWRITE;
    req->ops = &file_vma_ops;
    req->mapping = f->inode->data;
    req->object = f;
    if (!shared || !f->can_write)
        file_touch_atime(f);
    return 0;
}
