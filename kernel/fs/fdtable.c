/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Descriptor tables. `used` marks numbers that are taken, also those reserved
 * but not yet published (files[fd] == NULL). Whoever changes the table holds the
 * lock. A reader needs it only when the table is shared: with one reference the
 * reader is the only one who could change it.
 */
#include "fs_impl.h"
#include "kern/thread.h"

#define FDS_INLINE 64u
#define FDS_MAX (1u << 19) /* the table of files is one block of memory: 4 MiB then */

struct fdtable {
    struct refcount refs;
    struct spinlock lock;
    u32 limit;             /* RLIMIT_NOFILE; read without the lock */
    u32 size;              /* multiple of 64 */
    u32 hint;              /* no free number below */
    struct file **files;   /* lock */
    u64 *used, *cloexec;   /* lock */
    struct file *files_inline[FDS_INLINE];
    u64 bits_inline[2];
};

static struct fdtable *table_alloc(void)
{
    struct fdtable *t = kzalloc(sizeof(*t));
    if (t == NULL)
        return NULL;
    ref_init(&t->refs);
    spin_init(&t->lock, "fdtable");
    t->limit = 1024;
    t->size = FDS_INLINE;
    t->files = t->files_inline;
    t->used = &t->bits_inline[0];
    t->cloexec = &t->bits_inline[1];
    return t;
}

struct fdtable *fdtable_create(void) { return table_alloc(); }

/* Room for descriptor fd. May sleep; the lock is not held. */
static int table_grow(struct fdtable *t, u32 fd)
{
    u32 size = MIN(MAX(ALIGN_UP(fd + 1, 64u), t->size * 2), FDS_MAX); /* fd < limit <= FDS_MAX */
    struct file **files = kzalloc(size * sizeof(*files));
    u64 *bits = kzalloc(size / 64 * 2 * sizeof(*bits));
    if (files == NULL || bits == NULL) {
        kfree(files);
        kfree(bits);
        return -ENOMEM;
    }
    void *old_files = files, *old_bits = bits;
    spin_lock(&t->lock);
    if (t->size < size) {
        memcpy(files, t->files, t->size * sizeof(*files));
        memcpy(bits, t->used, t->size / 8);
        memcpy(bits + size / 64, t->cloexec, t->size / 8);
        old_files = t->files != t->files_inline ? t->files : NULL;
        old_bits = t->used != t->bits_inline ? t->used : NULL;
        t->files = files;
        t->used = bits;
        t->cloexec = bits + size / 64;
        atomic_store(&t->size, size);
    }
    spin_unlock(&t->lock);
    kfree(old_files);
    kfree(old_bits);
    return 0;
}

struct fdtable *fdtable_copy(struct fdtable *from)
{
    struct fdtable *t = table_alloc();
    if (t == NULL)
        return NULL;
    for (;;) {
        u32 want = atomic_load(&from->size);
        if (t->size < want && table_grow(t, want - 1) != 0) {
            fdtable_put(t);
            return NULL;
        }
        spin_lock(&from->lock);
        if (from->size <= t->size)
            break;
        spin_unlock(&from->lock);
    }
    t->limit = from->limit;
    for (u32 fd = 0; fd < from->size; fd++) {
        struct file *f = from->files[fd];
        if (f == NULL)
            continue; /* free, or reserved by another thread */
        t->files[fd] = file_get(f);
        t->used[fd / 64] |= 1ULL << (fd % 64);
        t->cloexec[fd / 64] |= from->cloexec[fd / 64] & (1ULL << (fd % 64));
    }
    spin_unlock(&from->lock);
    return t;
}

struct fdtable *fdtable_get(struct fdtable *t)
{
    ref_get(&t->refs);
    return t;
}

bool fdtable_shared(struct fdtable *t) { return ref_count(&t->refs) > 1; }

static void close_file(struct file *f)
{
    if (f->ops->flush != NULL)
        f->ops->flush(f);
    file_put(f);
}

void fdtable_put(struct fdtable *t)
{
    if (t == NULL || !ref_put(&t->refs))
        return;
    for (u32 fd = 0; fd < t->size; fd++)
        if (t->files[fd] != NULL) {
            close_file(t->files[fd]);
            cond_resched();
        }
    if (t->files != t->files_inline) {
        kfree(t->files);
        kfree(t->used);
    }
    kfree(t);
}

void fdtable_set_limit(struct fdtable *t, u32 limit) { t->limit = MIN(limit, FDS_MAX); }

/* Of a table that several threads use. */
static ALWAYS_INLINE struct file *shared_file(struct fdtable *t, int fd)
{
    struct file *f = NULL;
    spin_lock(&t->lock);
    if ((u32)fd < t->size && (f = t->files[fd]) != NULL)
        file_get(f);
    spin_unlock(&t->lock);
    return f;
}

struct file *fd_file(struct fdtable *t, int fd)
{
    struct file *f = NULL;
    if (likely(ref_count(&t->refs) == 1)) {
        if (likely((u32)fd < t->size) && (f = t->files[fd]) != NULL)
            file_get(f);
        return f;
    }
    return shared_file(t, fd);
}

struct file *fd_borrow(struct fdtable *t, int fd, struct file **ret_owned)
{
    if (likely(ref_count(&t->refs) == 1)) {
        *ret_owned = NULL;
        return likely((u32)fd < t->size) ? t->files[fd] : NULL;
    }
    return *ret_owned = shared_file(t, fd);
}

static inline void set_bit64(u64 *bits, u32 n, bool on)
{
    u64 mask = 1ULL << (n % 64);
    bits[n / 64] = on ? bits[n / 64] | mask : bits[n / 64] & ~mask;
}

static u32 find_free(const struct fdtable *t, u32 from)
{
    for (u32 w = from / 64; w < t->size / 64; w++) {
        u64 free = ~t->used[w];
        if (w == from / 64)
            free &= ~0ULL << (from % 64);
        if (free != 0)
            return w * 64 + (u32)__builtin_ctzll(free);
    }
    return MAX(t->size, from);
}

static int take_number(struct fdtable *t, struct file *f, int min, bool cloexec)
{
    if (min < 0)
        return -EINVAL;
    for (;;) {
        spin_lock(&t->lock);
        u32 fd = find_free(t, MAX((u32)min, t->hint));
        if (fd >= t->limit) {
            spin_unlock(&t->lock);
            return -EMFILE;
        }
        if (fd < t->size) {
            if ((u32)min <= t->hint)
                t->hint = fd + 1;
            set_bit64(t->used, fd, true);
            set_bit64(t->cloexec, fd, cloexec);
            t->files[fd] = f;
            spin_unlock(&t->lock);
            return (int)fd;
        }
        spin_unlock(&t->lock);
        int err = table_grow(t, fd);
        if (err != 0)
            return err;
    }
}

int fd_install(struct fdtable *t, struct file *f, int min, bool cloexec) { return take_number(t, f, min, cloexec); }
int fd_reserve(struct fdtable *t, int min, bool cloexec) { return take_number(t, NULL, min, cloexec); }

void fd_publish(struct fdtable *t, int fd, struct file *f)
{
    spin_lock(&t->lock);
    ASSERT((u32)fd < t->size && t->files[fd] == NULL);
    t->files[fd] = f;
    spin_unlock(&t->lock);
}

static void release_number(struct fdtable *t, u32 fd)
{
    t->files[fd] = NULL;
    set_bit64(t->used, fd, false);
    set_bit64(t->cloexec, fd, false);
    if (fd < t->hint)
        t->hint = fd;
}

void fd_unreserve(struct fdtable *t, int fd)
{
    spin_lock(&t->lock);
    release_number(t, (u32)fd);
    spin_unlock(&t->lock);
}

int fd_close(struct fdtable *t, int fd)
{
    struct file *f = NULL;
    spin_lock(&t->lock);
    if ((u32)fd < t->size && (f = t->files[fd]) != NULL)
        release_number(t, (u32)fd);
    spin_unlock(&t->lock);
    if (f == NULL)
        return -EBADF;
    close_file(f);
    return 0;
}

int fd_close_range(struct fdtable *t, u32 first, u32 last, bool only_set_cloexec)
{
    if (first > last)
        return -EINVAL;
    if (only_set_cloexec) {
        spin_lock(&t->lock);
        for (u32 fd = first; fd <= last && fd < t->size; fd++)
            if (t->files[fd] != NULL)
                set_bit64(t->cloexec, fd, true);
        spin_unlock(&t->lock);
        return 0;
    }
    for (int fd = first <= INT32_MAX ? fd_next(t, (int)first) : -1; fd >= 0 && (u32)fd <= last; fd = fd_next(t, fd + 1)) {
        fd_close(t, fd);
        cond_resched();
    }
    return 0;
}

int fd_replace(struct fdtable *t, struct file *f, int to, bool cloexec)
{
    struct file *old;
    if (to < 0 || (u32)to >= t->limit)
        return -EBADF;
    if ((u32)to >= atomic_load(&t->size)) {
        int err = table_grow(t, (u32)to);
        if (err != 0)
            return err;
    }
    spin_lock(&t->lock);
    old = t->files[to];
    if (old == NULL && (t->used[to / 64] >> (to % 64) & 1) != 0) {
        spin_unlock(&t->lock);
        return -EBUSY; /* dup2(2): races with an open() of that number */
    }
    set_bit64(t->used, (u32)to, true);
    set_bit64(t->cloexec, (u32)to, cloexec);
    t->files[to] = f;
    spin_unlock(&t->lock);
    if (old != NULL)
        close_file(old);
    return to;
}

int fd_dup_to(struct fdtable *t, int from, int to, bool cloexec)
{
    if (from == to)
        return -EINVAL;
    struct file *f = fd_file(t, from);
    int r = f != NULL ? fd_replace(t, f, to, cloexec) : -EBADF;
    if (r < 0)
        file_put(f);
    return r;
}

int fd_get_cloexec(struct fdtable *t, int fd)
{
    int ret = -EBADF;
    spin_lock(&t->lock);
    if ((u32)fd < t->size && t->files[fd] != NULL)
        ret = (int)(t->cloexec[fd / 64] >> (fd % 64) & 1);
    spin_unlock(&t->lock);
    return ret;
}

int fd_set_cloexec(struct fdtable *t, int fd, bool on)
{
    int ret = -EBADF;
    spin_lock(&t->lock);
    if ((u32)fd < t->size && t->files[fd] != NULL) {
        set_bit64(t->cloexec, (u32)fd, on);
        ret = 0;
    }
    spin_unlock(&t->lock);
    return ret;
}

void fd_close_on_exec(struct fdtable *t)
{
    for (int fd = fd_next(t, 0); fd >= 0; fd = fd_next(t, fd + 1))
        if (fd_get_cloexec(t, fd) == 1)
            fd_close(t, fd);
}

int fd_next(struct fdtable *t, int fd)
{
    int found = -1;
    spin_lock(&t->lock);
    for (u32 n = (u32)fd; n < t->size && found < 0; n++)
        if (t->files[n] != NULL)
            found = (int)n;
    spin_unlock(&t->lock);
    return found;
}
