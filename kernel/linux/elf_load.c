/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Maps the segments of an ELF file through the page cache. A segment is a file
 * area up to its file size, rounded to pages, then zero pages; the bytes between
 * the file's end and the page's end are cleared in a private copy of the page.
 */
#include "elf_load.h"
#include "base/str.h"

s64 file_read_at(struct file *f, u64 off, void *buf, size_t len)
{
    struct uio u;
    size_t done = 0;
    while (done < len) {
        u64 pos = off + done;
        uio_kernel(&u, (u8 *)buf + done, len - done);
        s64 n = vfs_read(f, &u, &pos);
        if (n < 0)
            return n;
        if (n == 0)
            break;
        done += (size_t)n;
    }
    return (s64)done;
}

int elf_read(struct elf_image *img, const char **ret_why)
{
    u8 header[ELF_HEADER_SIZE];
    u64 size = img->file->inode->mapping.size_bytes;
    s64 n = file_read_at(img->file, 0, header, sizeof header);
    if (n < 0)
        return (int)n;
    int r = elf_check_header(header, (size_t)n, size, &img->info);
    if (r < 0) {
        *ret_why = "not an x86-64 ELF program";
        return r;
    }
    size_t len = (size_t)img->info.phdr_count * ELF_PHDR_SIZE;
    u8 *phdrs = kmalloc(len, 0);
    if (phdrs == NULL)
        return -ENOMEM;
    n = file_read_at(img->file, img->info.phdr_offset, phdrs, len);
    if (n == (s64)len)
        r = elf_check_segments(phdrs, size, PLAT_USER_MIN, PLAT_USER_MAX, &img->info);
    else
        r = n < 0 ? (int)n : -ENOEXEC;
    if (r < 0)
        *ret_why = "its ELF program headers are damaged or the file is cut short";
    kfree(phdrs);
    return r;
}

int map_file(struct addrspace *as, struct file *f, struct map_request *req, uaddr_t *ret_addr)
{
    if (f->ops->mmap == NULL)
        return -ENODEV;
    int r = f->ops->mmap(f, req);
    if (r < 0)
        return r;
    bool holds = req->object == f;
    if (holds) /* the area's own reference */
        file_get(f);
    r = as_map(as, req, ret_addr);
    if (r < 0 && holds)
        file_put(f);
    return r;
}

static int map_segment(struct elf_image *img, struct addrspace *as, const struct elf_segment *s)
{
    u64 start = ALIGN_DOWN(s->vaddr, PAGE_SIZE) + img->bias;
    u64 file_end = s->vaddr + s->filesz + img->bias, mem_end = s->vaddr + s->memsz + img->bias;
    u64 zero_from = s->filesz != 0 ? ALIGN_UP(file_end, PAGE_SIZE) : start;
    uaddr_t addr;
    int r;
    if (s->filesz != 0) {
        struct map_request req = {
            .addr = start, .len_bytes = zero_from - start, .prot = s->prot, .fixed = true,
            .flags = VMA_MAYWRITE, .pgoff = ALIGN_DOWN(s->offset, PAGE_SIZE) >> PAGE_SHIFT,
        };
        r = map_file(as, img->file, &req, &addr);
        if (r < 0)
            return r;
    }
    if (ALIGN_UP(mem_end, PAGE_SIZE) > zero_from) {
        struct map_request req = {
            .addr = zero_from, .len_bytes = ALIGN_UP(mem_end, PAGE_SIZE) - zero_from, .prot = s->prot, .fixed = true,
            .flags = VMA_MAYWRITE,
        };
        r = as_map(as, &req, &addr);
        if (r < 0)
            return r;
    }
    if (s->filesz != 0 && mem_end > file_end && file_end < zero_from && (s->prot & PROT_WRITE)) {
        s64 done = as_copy(as, file_end, NULL, zero_from - file_end, true);
        if (done != (s64)(zero_from - file_end))
            return done < 0 ? (int)done : -EFAULT;
    }
    return 0;
}

int elf_map(struct elf_image *img, struct addrspace *as, u64 hint)
{
    const struct elf_info *info = &img->info;
    img->bias = 0;
    if (info->position_independent) {
        /* Find room for the whole span; the segments replace it piece by piece. */
        struct map_request req = {
            .addr = ALIGN_DOWN(hint, info->align),
            .len_bytes = info->high - ALIGN_DOWN(info->low, info->align) + (info->align - PAGE_SIZE),
        };
        uaddr_t base;
        int r = as_map(as, &req, &base);
        if (r < 0)
            return r;
        r = as_unmap(as, base, req.len_bytes);
        if (r < 0)
            return r;
        img->bias = ALIGN_UP(base, info->align) - ALIGN_DOWN(info->low, info->align);
    }
    for (unsigned i = 0; i < info->nsegments; i++) {
        int r = map_segment(img, as, &info->segments[i]);
        if (r < 0)
            return r;
    }
    return 0;
}
