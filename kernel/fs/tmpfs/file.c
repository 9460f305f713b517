/* SPDX-License-Identifier: Apache-2.0 */
/* tmpfs: file data, within the limit of the mount. */
#include "tmpfs_impl.h"
#include "kern/thread.h"

#define FALLOC_FL_KEEP_SIZE 1
#define FALLOC_FL_PUNCH_HOLE 2

const struct mapping_ops tmpfs_mapping_ops = {.read = NULL, .write = NULL};

/* How many of the pages [first, last] are not there yet; counting stops at `enough`. */
static u64 missing_pages(struct inode *i, u64 first, u64 last, u64 enough)
{
    u64 n = 0;
    if (atomic_load_relaxed(&i->mapping.page_count) == 0)
        return last - first + 1;
    for (u64 k = first; k <= last && n < enough; k++) {
        struct page *p = mapping_peek(&i->mapping, k);
        if (p == NULL)
            n++;
        else
            page_put(p);
    }
    return n;
}

s64 tmpfs_write(struct file *f, struct uio *u, u64 *pos)
{
    struct inode *i = f->inode;
    u64 room = tmpfs_room(tmpfs_fs(i));
    if (unlikely((u->remaining >> PAGE_SHIFT) + 2 > room)) {
        /* near the limit: write what fits */
        u64 off = (f->flags & O_APPEND) != 0 ? inode_size(i) : *pos;
        u64 len = u->remaining;
        while (len > 0 && missing_pages(i, off >> PAGE_SHIFT, (off + len - 1) >> PAGE_SHIFT, room + 1) > room)
            len = len > PAGE_SIZE ? (len - 1) & ~(PAGE_SIZE - 1) : 0;
        if (len == 0 && u->remaining > 0)
            return -ENOSPC;
        u->remaining = len;
    }
    s64 n = generic_file_write(f, u, pos);
    tmpfs_charge(i);
    return n;
}

static int allocate(struct inode *i, u64 off, u64 end)
{
    u64 first = off >> PAGE_SHIFT, last = (end - 1) >> PAGE_SHIFT;
    u64 room = tmpfs_room(tmpfs_fs(i));
    if (last - first >= room && missing_pages(i, first, last, room + 1) > room)
        return -ENOSPC;
    for (u64 k = first; k <= last; k++) {
        struct page *p;
        int err = mapping_get(&i->mapping, k, true, &p);
        if (err != 0)
            return err == -ENOMEM ? -ENOSPC : err;
        mapping_mark_dirty(p);
        page_put(p);
        if (!cond_resched())
            return -EINTR;
    }
    return 0;
}

/* Zero [off, end), which lies in one page, if that page exists, here or in the lower file. */
static void zero_piece(struct inode *i, u64 off, u64 end)
{
    struct tmpfs_inode *t = tmpfs_i(i);
    struct page *p;
    u64 k = off >> PAGE_SHIFT;
    bool hole = (t->lower == NULL || off >= ALIGN_UP(t->lower_valid, PAGE_SIZE)) && missing_pages(i, k, k, 1) > 0;
    if (off >= end || off >= inode_size(i) || hole || mapping_get(&i->mapping, k, false, &p) != 0)
        return;
    memset((char *)page_virt(p) + (off & (PAGE_SIZE - 1)), 0, end - off);
    mapping_mark_dirty(p);
    page_put(p);
}

static void punch(struct inode *i, u64 off, u64 end)
{
    u64 first = ALIGN_UP(off, PAGE_SIZE), last = ALIGN_DOWN(end, PAGE_SIZE);
    if (first > last) {
        zero_piece(i, off, end);
        return;
    }
    zero_piece(i, off, first);
    zero_piece(i, last, end);
    struct tmpfs_inode *t = tmpfs_i(i);
    /* where a lower file would shine through a hole, zeros must be written */
    for (u64 k = first; k < last && t->lower != NULL && k < t->lower_valid; k += PAGE_SIZE)
        zero_piece(i, k, k + PAGE_SIZE);
    if (t->lower != NULL)
        first = MAX(first, ALIGN_UP(t->lower_valid, PAGE_SIZE));
    if (first < last)
        mapping_punch(&i->mapping, first, last);
}

int tmpfs_fallocate(struct file *f, int mode, u64 off, u64 len)
{
    struct inode *i = f->inode;
    u64 end = off + len;
    int err = 0;
    if ((mode & ~(FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE)) != 0)
        return -EOPNOTSUPP;
    mutex_lock(&i->lock);
    if ((mode & FALLOC_FL_PUNCH_HOLE) != 0) {
        punch(i, off, end);
    } else {
        err = allocate(i, off, end);
        if (err == 0 && (mode & FALLOC_FL_KEEP_SIZE) == 0 && end > inode_size(i))
            i->mapping.size_bytes = end;
    }
    if (err == 0) {
        inode_remove_privs(i);
        inode_touch(i, true);
    }
    tmpfs_charge(i);
    mutex_unlock(&i->lock);
    return err;
}
