/* SPDX-License-Identifier: Apache-2.0 */
/* 9P: open files, data, directories. See p9_impl.h. */
#include "kern/timer.h"
#include "kern/thread.h"
#include "p9_impl.h"

#define WRITE_HEAD 23u                                 /* Twrite before its data */
#define CHUNK (508u << 10)                             /* of whole pages, with the head in 512 KiB of memory */
#define SMALL_CHUNK (PAGE_SIZE - WRITE_HEAD)
#define SEEK_END 2
#define SEEK_DATA 3
#define SEEK_HOLE 4

/* Memory for WRITE_HEAD and up to `wanted` bytes behind it, as many as there is room for without a search. */
static u8 *io_buf(u64 wanted, u32 *ret_room)
{
    u32 room = (u32)MIN(wanted, (u64)CHUNK);
    u8 *buf = NULL;
    for (; room > SMALL_CHUNK && buf == NULL; room = ALIGN_DOWN(room / 2, PAGE_SIZE)) {
        buf = kmalloc(WRITE_HEAD + room, ALLOC_NORETRY);
        *ret_room = room;
    }
    if (buf == NULL) {
        *ret_room = (u32)MIN(wanted, (u64)SMALL_CHUNK);
        buf = kmalloc(PAGE_SIZE, 0);
    }
    return buf;
}

/* --- open files ------------------------------------------------------------------------- */

void p9_open_put(struct p9_open *o)
{
    if (o == NULL || !ref_put(&o->refs))
        return;
    p9_clunk(o->conn, o->fid);
    kfree(o);
}

struct p9_open *p9_open_of(struct inode *i, bool for_writing)
{
    struct p9_inode *pi = p9_i(i);
    struct p9_open *found = NULL;
    spin_lock(&pi->lock);
    list_for_each(o, &pi->opens, struct p9_open, node) {
        if (for_writing ? o->can_write : o->can_read) {
            ref_get(&o->refs);
            found = o;
            break;
        }
    }
    spin_unlock(&pi->lock);
    return found;
}

/* What create() has opened, if it is there. */
static u32 take_spare(struct p9_inode *pi)
{
    spin_lock(&pi->lock);
    u32 fid = pi->spare_fid;
    pi->spare_fid = P9_NOFID;
    spin_unlock(&pi->lock);
    return fid;
}

int p9_open_fid(struct inode *i, u32 flags, u32 *ret_fid)
{
    struct p9_conn *c = p9_c(i);
    struct p9_req w, o, g, *all[] = {&w, &o, &g};
    struct p9_attr a;
    u32 fid = p9_fid_new(c);
    u64 now = now_ns();
    p9_start(&w, P9_TWALK);
    p9_put32(&w, p9_i(i)->fid);
    p9_put32(&w, fid);
    p9_put16(&w, 0);
    p9_start(&o, P9_TLOPEN);
    p9_put32(&o, fid);
    p9_put32(&o, flags);
    p9_ask_attr(&g, p9_i(i)->fid);
    int err = p9_call(c, all, 3);
    if (err == 0)
        err = p9_got_attr(&g, &a);
    if (err == 0) {
        p9_apply(i, &a, now);
        *ret_fid = fid;
        return 0;
    }
    p9_fid_end(c, fid, w.err);
    return err;
}

static int p9_file_open(struct inode *i, struct file *f)
{
    struct p9_inode *pi = p9_i(i);
    struct p9_open *o = kzalloc(sizeof(*o));
    if (o == NULL)
        return -ENOMEM;
    ref_init(&o->refs);
    o->conn = p9_c(i);
    o->can_read = f->can_read;
    o->can_write = f->can_write;
    o->fid = (f->flags & O_SYNC) == 0 ? take_spare(pi) : P9_NOFID;
    if (o->fid != P9_NOFID) {
        o->can_read = o->can_write = true;
    } else {
        mutex_lock(&i->lock);
        int err = p9_open_fid(i, f->flags & (O_ACCMODE | O_SYNC), &o->fid);
        mutex_unlock(&i->lock);
        if (err != 0) {
            kfree(o);
            return err;
        }
    }
    spin_lock(&pi->lock);
    list_push_back(&pi->opens, &o->node);
    spin_unlock(&pi->lock);
    f->private = o;
    return 0;
}

/* What could not be written and has nobody left who could is lost, as on a disk that fails. */
static void drop_unwritable(struct inode *i)
{
    struct p9_open *o = p9_open_of(i, true);
    if (o == NULL && atomic_load(&i->mapping.dirty_pages) != 0) {
        klog(LOG_WARN, "9p: changes of a mapped file are lost, the host did not take them");
        mapping_punch(&i->mapping, 0, ALIGN_UP(inode_size(i), PAGE_SIZE));
    }
    p9_open_put(o);
}

static void p9_file_release(struct file *f)
{
    struct inode *i = f->inode;
    struct p9_inode *pi = p9_i(i);
    struct p9_open *o = f->private;
    if (f->can_write)
        mapping_sync(&i->mapping); /* C4; an error is one of msync() or fsync() to tell */
    spin_lock(&pi->lock);
    list_remove(&o->node);
    spin_unlock(&pi->lock);
    if (f->can_write)
        drop_unwritable(i);
    p9_open_put(o);
}

static int p9_fsync(struct file *f, bool data_only)
{
    struct p9_open *o = f->private;
    struct p9_req r;
    int err = S_ISREG(f->inode->mode) ? mapping_sync(&f->inode->mapping) : 0;
    if (err != 0)
        return err;
    p9_start(&r, P9_TFSYNC);
    p9_put32(&r, o->fid);
    p9_put32(&r, data_only);
    return p9_call_one(o->conn, &r);
}

/* --- pages --------------------------------------------------------------------------------- */

static void start_read(struct p9_req *r, u32 fid, u64 off, u32 len)
{
    p9_start(r, P9_TREAD);
    p9_put32(r, fid);
    p9_put64(r, off);
    p9_put32(r, len);
    r->takes_data = true;
    r->data_cap = len;
}

/* From byte `done` of the pages on, which is byte `off` of the file: bytes, 0 = there are no more. Two messages take one round trip. */
static s64 read_some(struct p9_open *o, u64 off, struct page **pages, u64 done, u64 total)
{
    struct p9_req r[2], *all[] = {&r[0], &r[1]};
    u64 in_page = done & (PAGE_SIZE - 1), most = MIN((u64)P9_MSG_PAGES << PAGE_SHIFT, (u64)p9_io_bytes(o->conn) & ~(PAGE_SIZE - 1));
    unsigned n = 0;
    pages += done >> PAGE_SHIFT;
    if (in_page != 0) {
        start_read(&r[n], o->fid, off, (u32)(PAGE_SIZE - in_page));
        r[n++].data = (u8 *)page_virt(*pages) + in_page;
    }
    for (u32 len; in_page == 0 && n < ARRAY_SIZE(r) && done < total; done += len, off += len, pages += len >> PAGE_SHIFT) {
        len = (u32)MIN(total - done, most);
        start_read(&r[n], o->fid, off, len);
        r[n++].pages = pages;
    }
    s64 got = 0;
    p9_call(o->conn, all, n);
    for (unsigned k = 0; k < n && r[k].err == 0; k++) {
        got += r[k].data_len;
        if (r[k].data_len < r[k].data_cap)
            break;
    }
    return got > 0 ? got : r[0].err;
}

static int read_pages(struct p9_open *o, u64 off, u64 end, struct page **pages, unsigned n)
{
    u64 total = (u64)n << PAGE_SHIFT, done = 0;
    while (done < total && off + done < end) {
        s64 got = read_some(o, off + done, pages, done, total);
        if (got < 0)
            return (int)got;
        if (got == 0)
            break;
        done += (u64)got;
    }
    for (; done < total; done = ALIGN_DOWN(done, PAGE_SIZE) + PAGE_SIZE) {
        u64 in_page = done & (PAGE_SIZE - 1);
        memset((u8 *)page_virt(pages[done >> PAGE_SHIFT]) + in_page, 0, PAGE_SIZE - in_page);
    }
    return 0;
}

static int p9_read_pages(struct mapping *m, u64 index, struct page **pages, unsigned n)
{
    struct p9_open *o = p9_open_of(m->host, false);
    if (o == NULL)
        return -EIO;
    int err = read_pages(o, index << PAGE_SHIFT, atomic_load(&m->size_bytes), pages, n);
    p9_open_put(o);
    return err;
}

static void start_write(struct p9_req *r, u32 fid, u64 off, u32 len)
{
    p9_start(r, P9_TWRITE);
    p9_put32(r, fid);
    p9_put64(r, off);
    p9_put32(r, len);
}

static int p9_write_page(struct mapping *m, struct page *page)
{
    struct inode *i = m->host;
    u64 off = page->index << PAGE_SHIFT, size = atomic_load(&m->size_bytes), end = MIN(off + PAGE_SIZE, size);
    struct p9_open *o = p9_open_of(i, true);
    struct p9_req r;
    int err = o == NULL ? -EIO : 0;
    for (u64 at = off; at < end && err == 0;) {
        start_write(&r, o->fid, at, (u32)(end - at));
        r.send_data = (u8 *)page_virt(page) + (at - off);
        r.send_len = (u32)(end - at);
        err = p9_call_one(o->conn, &r);
        u32 n = err == 0 ? p9_get32(&r) : 0;
        if (err == 0 && (n == 0 || n > end - at))
            err = -EIO;
        at += n;
    }
    atomic_store(&p9_i(i)->changed, true);
    p9_open_put(o);
    return err;
}

const struct mapping_ops p9_mapping_ops = {.read_max = MAPPING_READ_MAX, .read = p9_read_pages, .write = p9_write_page};

void p9_forget_pages(struct inode *i)
{
    mapping_sync(&i->mapping);
    if (atomic_load(&i->mapping.page_count) != 0)
        mapping_punch(&i->mapping, 0, ALIGN_UP(inode_size(i), PAGE_SIZE));
}

/* The page in which the shorter end lies goes instead of being cleared: a page made dirty by that would want a fid. */
void p9_set_size(struct inode *i, u64 size)
{
    u64 old = inode_size(i), end = MIN(size, old);
    if (size == old)
        return;
    if ((end & (PAGE_SIZE - 1)) != 0)
        mapping_punch(&i->mapping, ALIGN_DOWN(end, PAGE_SIZE), ALIGN_UP(end, PAGE_SIZE));
    mapping_truncate(&i->mapping, size);
}

/* --- reading ----------------------------------------------------------------------------------- */

/* C5. */
static s64 read_direct(struct file *f, struct uio *u, u64 *pos)
{
    struct p9_open *o = f->private;
    s64 done = 0;
    u32 room;
    u8 *buf = io_buf(u->remaining, &room);
    if (buf == NULL)
        return -ENOMEM;
    while (u->remaining > 0) {
        struct p9_req r;
        u32 want = (u32)MIN(u->remaining, (u64)room);
        start_read(&r, o->fid, *pos, want);
        r.data = buf;
        s64 n = p9_call_one(o->conn, &r);
        if (n == 0 && r.data_len > 0)
            n = uio_copy_out(u, buf, r.data_len);
        if (n <= 0) {
            done = done == 0 ? n : done;
            break;
        }
        *pos += (u64)n;
        done += n;
        if ((u64)n < want)
            break;
    }
    kfree(buf);
    return done;
}

static s64 p9_read(struct file *f, struct uio *u, u64 *pos)
{
    struct inode *i = f->inode;
    if (unlikely(*pos > INT64_MAX))
        return -EINVAL;
    if (unlikely((f->flags & O_DIRECT) != 0)) {
        int err = mapping_sync(&i->mapping);
        return err != 0 ? err : read_direct(f, u, pos);
    }
    int err = p9_refresh_if_old(i);
    return err != 0 ? err : generic_file_read(f, u, pos);
}

/* --- writing (C3) ---------------------------------------------------------------------------------- */

/* Set-ID bits go with a write; who runs the server may be allowed to keep them. */
static int remove_privs(struct file *f)
{
    struct inode *i = f->inode;
    u32 before = i->mode;
    inode_remove_privs(i);
    if (i->mode == before)
        return 0;
    struct setattr a = {.valid = SETATTR_MODE, .mode = i->mode & 07777};
    return i->ops->setattr(i, &a);
}

/* What the host has appended is at the end that it tells; somebody else's may be before it. */
static int appended(struct inode *i, struct p9_req *g, u64 old, u32 n, u64 *ret_pos)
{
    struct p9_attr a;
    int err = g->err != 0 ? g->err : p9_got_attr(g, &a);
    if (err != 0)
        return err;
    p9_i(i)->changed = a.size == old + n;
    if (!p9_i(i)->changed)
        p9_forget_pages(i);
    *ret_pos = a.size - MIN(a.size, (u64)n);
    p9_apply(i, &a, now_ns());
    return 0;
}

/* One message. buf has n bytes behind WRITE_HEAD; *pos is where they go, and then where they went. Bytes taken. */
static s64 write_chunk(struct file *f, u8 *buf, u32 n, u64 *pos, bool append)
{
    struct inode *i = f->inode;
    struct p9_open *o = f->private;
    struct p9_req r, g, *both[] = {&r, &g};
    start_write(&r, o->fid, append ? P9_APPEND : *pos, n);
    memcpy(buf, r.out, WRITE_HEAD);
    r.out = buf;
    r.out_len = WRITE_HEAD + n;
    if (append)
        p9_ask_attr(&g, o->fid);
    p9_call(o->conn, both, append ? 2 : 1);
    u32 taken = r.err == 0 ? p9_get32(&r) : 0;
    if (r.err != 0 || taken == 0 || taken > n)
        return r.err != 0 ? r.err : -EIO;
    int err = append ? appended(i, &g, inode_size(i), taken, pos) : 0;
    if (err != 0)
        return err;
    p9_i(i)->changed = true;
    current_thread()->disk_written += taken;
    mapping_update(&i->mapping, *pos, buf + WRITE_HEAD, taken);
    return taken;
}

static s64 write_all(struct file *f, struct uio *u, u64 *pos, bool append)
{
    u32 room;
    u8 *buf = io_buf(u->remaining, &room);
    s64 done = 0, n = buf == NULL ? -ENOMEM : 0;
    while (buf != NULL && u->remaining > 0) {
        s64 got = uio_copy_in(u, buf + WRITE_HEAD, MIN(u->remaining, (u64)room));
        n = got > 0 ? write_chunk(f, buf, (u32)got, pos, append) : got;
        if (n <= 0)
            break;
        *pos += (u64)n;
        done += n;
        if (n < got || !cond_resched())
            break;
    }
    kfree(buf);
    return done > 0 ? done : n;
}

static s64 p9_write(struct file *f, struct uio *u, u64 *pos)
{
    struct inode *i = f->inode;
    bool append = (f->flags & O_APPEND) != 0;
    if (u->remaining == 0)
        return 0;
    mutex_lock(&i->lock);
    if (append)
        *pos = inode_size(i);
    u64 limit = vfs_write_limit(*pos);
    s64 n = *pos >= limit ? -EFBIG : remove_privs(f);
    if (n == 0) {
        u->remaining = MIN(u->remaining, limit - *pos);
        n = write_all(f, u, pos, append);
        if (n > 0)
            i->mtime_ns = i->ctime_ns = vfs_time_ns(); /* until the host tells its own */
    }
    mutex_unlock(&i->lock);
    return n;
}

static int p9_fallocate(struct file *f, int mode, u64 off, u64 len)
{
    struct inode *i = f->inode;
    struct p9_open *o = f->private;
    struct p9_req r, g, *both[] = {&r, &g};
    struct p9_attr a;
    p9_start(&r, P9_TALLOCATE);
    p9_put32(&r, o->fid);
    p9_put32(&r, (u32)mode);
    p9_put64(&r, off);
    p9_put64(&r, len);
    p9_ask_attr(&g, o->fid);
    mutex_lock(&i->lock);
    int err = remove_privs(f);
    if (err == 0)
        err = mapping_sync(&i->mapping);
    u64 now = now_ns();
    if (err == 0)
        err = p9_call(o->conn, both, 2);
    if (err == 0)
        err = p9_got_attr(&g, &a);
    if (err == 0) {
        p9_forget_pages(i); /* holes and moved ranges */
        p9_apply(i, &a, now);
    }
    mutex_unlock(&i->lock);
    return err;
}

/* Only the host knows the holes. */
static s64 seek_host(struct file *f, s64 off, int whence)
{
    struct p9_open *o = f->private;
    struct p9_req r;
    if (off < 0)
        return -ENXIO;
    p9_start(&r, P9_TSEEK);
    p9_put32(&r, o->fid);
    p9_put32(&r, (u32)whence);
    p9_put64(&r, (u64)off);
    s64 err = mapping_sync(&f->inode->mapping);
    if (err == 0)
        err = p9_call_one(o->conn, &r);
    if (err != 0)
        return err;
    u64 at = p9_get64(&r);
    if (p9_ended(&r) != 0 || at > INT64_MAX)
        return -EIO;
    f->pos = at;
    return (s64)at;
}

static s64 p9_seek(struct file *f, s64 off, int whence)
{
    if (whence == SEEK_DATA || whence == SEEK_HOLE)
        return seek_host(f, off, whence);
    int err = whence == SEEK_END ? p9_refresh_if_old(f->inode) : 0;
    return err != 0 ? err : generic_file_seek(f, off, whence);
}

const struct file_ops p9_file_ops = {
    .open = p9_file_open,
    .release = p9_file_release,
    .read = p9_read,
    .write = p9_write,
    .seek = p9_seek,
    .mmap = generic_file_mmap,
    .fsync = p9_fsync,
    .fallocate = p9_fallocate,
};

/* --- directories --------------------------------------------------------------------------------------- */

/* qid[13] offset[8] type[1] name[s] */
int p9_get_entry(const u8 *buf, u32 n, u32 *at, struct p9_entry *e)
{
    const u8 *p = buf + *at;
    u32 left = n - *at;
    if (left < 24)
        return -EIO;
    e->ino = get_u64(p + 5);
    e->next = get_u64(p + 13);
    e->type = p[21];
    e->len = get_u16(p + 22);
    e->name = (const char *)p + 24;
    if (e->len == 0 || e->len > NAME_MAX || e->len > left - 24 || e->next > INT64_MAX ||
        memchr(e->name, '/', e->len) != NULL || memchr(e->name, 0, e->len) != NULL)
        return -EIO;
    *at += 24 + e->len;
    return 0;
}

static bool is_dots(const struct p9_entry *e) { return e->name[0] == '.' && (e->len == 1 || (e->len == 2 && e->name[1] == '.')); }

/* "." and ".." are ours: the host's parent of the root is nobody's business. */
static u64 dots_ino(struct file *f, const struct p9_entry *e)
{
    struct dentry *d = f->path.dentry;
    spin_lock(&dcache_lock);
    u64 ino = (e->len == 1 ? d : d->parent)->inode->ino;
    spin_unlock(&dcache_lock);
    return ino;
}

static int emit_entries(struct file *f, const u8 *buf, u32 n, u64 *pos, struct dir_emit *e)
{
    for (u32 at = 0; at < n;) {
        struct p9_entry one;
        int err = p9_get_entry(buf, n, &at, &one);
        if (err != 0)
            return err;
        u64 ino = is_dots(&one) ? dots_ino(f, &one) : one.ino;
        if (!e->emit(e, one.name, one.len, ino, one.type, one.next))
            return 1;
        *pos = one.next;
    }
    return 0;
}

int p9_read_dir(struct p9_conn *c, u32 fid, u64 pos, u8 *buf, u32 *ret_n)
{
    struct p9_req r;
    p9_start(&r, P9_TREADDIR);
    p9_put32(&r, fid);
    p9_put64(&r, pos);
    p9_put32(&r, P9_DIR_BYTES);
    r.takes_data = true;
    r.data = buf;
    r.data_cap = P9_DIR_BYTES;
    int err = p9_call_one(c, &r);
    if (err == 0)
        *ret_n = r.data_len;
    return err;
}

static int p9_iterate(struct file *f, u64 *pos, struct dir_emit *e)
{
    struct p9_open *o = f->private;
    u8 *buf = kmalloc(P9_DIR_BYTES, 0);
    int err = buf == NULL ? -ENOMEM : 0;
    while (err == 0) {
        u64 from = *pos;
        u32 n = 0;
        err = p9_read_dir(o->conn, o->fid, from, buf, &n);
        if (err == 0 && n == 0)
            break;
        if (err == 0)
            err = emit_entries(f, buf, n, pos, e);
        if (err == 0 && *pos == from)
            err = -EIO; /* it would go on for ever */
    }
    kfree(buf);
    return MIN(err, 0);
}

const struct file_ops p9_dir_file_ops = {
    .open = p9_file_open,
    .release = p9_file_release,
    .seek = generic_dir_seek,
    .iterate = p9_iterate,
    .fsync = p9_fsync,
};
