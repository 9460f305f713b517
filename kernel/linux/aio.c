/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Asynchronous I/O as it was before io_uring (io_setup(2) and its kin). A context is a ring of results that the program sees, and that it
 * may take from itself, at the address that is the context's name; its requests are io_uring's (uring.h), begun by who submits them, done by
 * workers where they would wait. Linux waits in io_submit(2) with whoever reads a pipe or what is not O_DIRECT; here nobody waits.
 *
 *   A1  A context lives as long as its area, which fork does not copy, and as its requests. It is found by the area alone.
 *   A2  `inflight` and what lies in the ring are fewer than its entries: there is room for each result (reserve()).
 *   A3  The program may write what it likes into the ring: only `head` is read, modulo the number of entries.
 */
#include "uring.h"
#include "base/fmt.h"

#define RING_MAGIC 0xa10a10a1u
#define HEADER_BYTES 32u
#define EVENTS_MAX (0x10000000u / 32)
enum aio_words { AIO_ID = 0, AIO_NR = 4, AIO_HEAD = 8, AIO_TAIL = 12, AIO_MAGIC = 16, AIO_COMPAT = 20, AIO_HEADER = 28 };

struct abi_iocb {
    u64 data;
    u32 key;
    s32 rw_flags;
    u16 opcode;
    s16 reqprio;
    u32 fd;
    u64 buf, nbytes;
    s64 offset;
    u64 reserved2;
    u32 flags, resfd;
};
_Static_assert(sizeof(struct abi_iocb) == 64, "struct iocb");
struct abi_io_event {
    u64 data, obj;
    s64 res, res2;
};
enum { IOCB_PREAD, IOCB_PWRITE, IOCB_FSYNC, IOCB_FDSYNC, IOCB_POLL = 5, IOCB_PREADV = 7, IOCB_PWRITEV };
#define IOCB_FLAG_RESFD 1u
#define IOCB_FLAG_IOPRIO 2u

struct aio {
    struct ring ring;   /* its file is none; `dead`: the area is gone, or going */
    u32 entries;        /* c */
    u32 charged;        /* c: of aio_max_nr */
    u32 inflight;       /* ring.cq_lock */
    u32 areas;          /* a: more than one when the program has cut it up */
    bool destroyed;     /* a: io_destroy(2) has begun */
};

static u32 aio_nr, aio_max_nr = 65536; /* atomic */

static struct aio *aio_of(struct ring *g) { return container_of(g, struct aio, ring); }

/* --- results ------------------------------------------------------------------------------------ */

static u32 waiting(struct aio *a)
{
    u32 head = atomic_load(ring_word(&a->ring, AIO_HEAD)) % a->entries;
    return (atomic_load(&a->ring.cq_tail) + a->entries - head) % a->entries;
}

static struct abi_io_event *event_at(struct aio *a, u32 i) { return (void *)ring_word(&a->ring, HEADER_BYTES + i * (u32)sizeof(struct abi_io_event)); }

static void post(struct req *r, s64 res)
{
    struct ring *g = r->ring;
    struct aio *a = aio_of(g);
    bool gone = res == -ECANCELED && r->op == &uring_ops[OP_POLL_ADD]; /* nothing was there to be seen */
    spin_lock(&g->cq_lock);
    *event_at(a, g->cq_tail) = (struct abi_io_event){ r->sqe.addr3, r->sqe.user_data, gone ? 0 : res, 0 };
    atomic_store(&g->cq_tail, (g->cq_tail + 1) % a->entries);
    atomic_store(ring_word(g, AIO_TAIL), g->cq_tail);
    a->inflight--;
    spin_unlock(&g->cq_lock);
    atomic_store(&r->lasting, false);
    atomic_fence();
    wq_wake_all(&g->wq, 0);
    if (r->resfd != NULL)
        eventfd_add_one(r->resfd);
}

/* How many went to the program's memory; -EFAULT if none could. */
static s64 take(struct aio *a, uaddr_t to, s64 max)
{
    struct ring *g = &a->ring;
    s64 n = 0;
    int err = 0;
    mutex_lock(&g->lock);
    u32 head = atomic_load(ring_word(g, AIO_HEAD)) % a->entries;
    while (n < max && head != atomic_load(&g->cq_tail)) {
        struct abi_io_event e = *event_at(a, head);
        err = copy_to_user(to + (u64)n * sizeof e, &e, sizeof e);
        if (err < 0)
            break;
        head = (head + 1) % a->entries;
        n++;
    }
    atomic_store(ring_word(g, AIO_HEAD), head);
    mutex_unlock(&g->lock);
    return n > 0 ? n : err;
}

/* --- contexts ------------------------------------------------------------------------------------- */

static void end(struct aio *a)
{
    struct cancel all = { .any = true, .all = true };
    atomic_store(&a->ring.dead, true);
    (void)ring_cancel(&a->ring, &all);
}

static int area_fault(struct vma *v, u64 index, struct page **ret)
{
    struct aio *a = v->object;
    if (index >= a->ring.ring_pages)
        return -ENXIO;
    *ret = page_get(a->ring.pages[index]);
    return 0;
}
static void area_open(struct vma *v) { atomic_add(&((struct aio *)v->object)->areas, 1u); }
static void area_close(struct vma *v)
{
    struct aio *a = v->object;
    if (atomic_sub(&a->areas, 1u) != 0)
        return;
    end(a);
    atomic_sub(&aio_nr, a->charged);
    ring_put(&a->ring);
}
static void area_describe(struct vma *v, char *ret_name, size_t size, u64 *ret_dev, u64 *ret_ino) { fmt_snprintf(ret_name, size, "/[aio] (deleted)"); }
static const struct vma_ops area_ops = { .fault = area_fault, .open = area_open, .close = area_close, .describe = area_describe };

/* Referenced; NULL. */
static struct aio *find(u64 id)
{
    struct addrspace *as = current_thread()->as;
    struct aio *a = NULL;
    rwmutex_read_lock(&as->lock);
    struct vma *v = id < PLAT_USER_MAX ? as_find(as, id, false) : NULL;
    if (v != NULL && v->ops == &area_ops && v->start == id && v->pgoff == 0) {
        a = v->object;
        if (atomic_load(&a->destroyed))
            a = NULL;
        else
            ring_get(&a->ring);
    }
    rwmutex_read_unlock(&as->lock);
    return a;
}

static bool charge(u32 n)
{
    u32 now = atomic_load(&aio_nr);
    do {
        u32 max = atomic_load(&aio_max_nr);
        if (now > max || n > max - now)
            return false;
    } while (!atomic_cas(&aio_nr, &now, now + n));
    return true;
}

static struct aio *create(u32 nr)
{
    u32 pages = (u32)((HEADER_BYTES + (u64)(nr + 2) * sizeof(struct abi_io_event) + PAGE_SIZE - 1) >> PAGE_SHIFT);
    struct ring *g = ring_alloc(sizeof(struct aio), pages, 0);
    if (g == NULL)
        return NULL;
    struct aio *a = aio_of(g);
    a->entries = (u32)((pages * PAGE_SIZE - HEADER_BYTES) / sizeof(struct abi_io_event));
    a->areas = 1;
    g->post = post;
    *ring_word(g, AIO_NR) = a->entries;
    *ring_word(g, AIO_MAGIC) = RING_MAGIC;
    *ring_word(g, AIO_COMPAT) = 1;
    *ring_word(g, AIO_HEADER) = HEADER_BYTES;
    return a;
}

s64 sys_io_setup(u32 nr, uaddr_t uid)
{
    struct addrspace *as = current_thread()->as;
    u64 id;
    if (get_user_u64(uid, &id) < 0)
        return -EFAULT;
    if (id != 0 || nr == 0 || nr > EVENTS_MAX)
        return -EINVAL;
    if (!charge(nr))
        return -EAGAIN;
    uring_run_init();
    struct aio *a = create(nr);
    struct map_request req = { .prot = MAP_READ | MAP_WRITE, .flags = VMA_SHARED | VMA_MAYWRITE | VMA_SPECIAL | VMA_DONTFORK | VMA_DONTDUMP, .ops = &area_ops,
                               .object = a };
    if (a != NULL) {
        a->charged = nr;
        req.len_bytes = (u64)a->ring.ring_pages << PAGE_SHIFT;
    }
    s64 r = a != NULL ? as_map(as, &req, &id) : -ENOMEM;
    if (r < 0) {
        atomic_sub(&aio_nr, nr);
        if (a != NULL)
            ring_put(&a->ring);
        return r;
    }
    r = put_user_u64(uid, id);
    if (r < 0)
        (void)as_unmap(as, id, req.len_bytes);
    return r;
}

/* --- requests --------------------------------------------------------------------------------------- */

static bool reserve(struct aio *a)
{
    spin_lock(&a->ring.cq_lock);
    bool ok = a->inflight + waiting(a) + 1 < a->entries;
    a->inflight += ok;
    spin_unlock(&a->ring.cq_lock);
    return ok;
}

static void unreserve(struct aio *a)
{
    spin_lock(&a->ring.cq_lock);
    a->inflight--;
    spin_unlock(&a->ring.cq_lock);
    wq_wake_all(&a->ring.wq, 0);
}

static int prepare_rw(struct req *r, const struct abi_iocb *c, u8 opcode, bool write)
{
    const struct file *f = r->file;
    if ((c->flags & IOCB_FLAG_IOPRIO) && (u16)c->reqprio >> 13 > 3)
        return -EINVAL;
    if ((f->flags & O_ACCMODE) == (write ? O_RDONLY : O_WRONLY))
        return -EBADF;
    if ((write ? f->ops->write == NULL : f->ops->read == NULL) || c->offset < 0)
        return -EINVAL;
    bool vector = opcode == OP_READV || opcode == OP_WRITEV;
    if (vector && c->nbytes > UINT32_MAX)
        return -EINVAL;
    r->sqe.opcode = opcode;
    r->sqe.addr = c->buf;
    r->sqe.len = (u32)(vector ? c->nbytes : MIN(c->nbytes, (u64)MAX_RW_COUNT));
    r->sqe.off = (u64)c->offset;
    r->sqe.op_flags = (u32)c->rw_flags;
    return 0;
}

static int prepare_other(struct req *r, const struct abi_iocb *c, u8 opcode)
{
    if (c->offset != 0 || c->nbytes != 0 || c->rw_flags != 0 || (opcode == OP_POLL_ADD ? c->buf > UINT16_MAX : c->buf != 0))
        return -EINVAL;
    if (opcode == OP_FSYNC && r->file->ops->fsync == NULL)
        return -EINVAL;
    r->sqe.opcode = opcode;
    r->sqe.op_flags = opcode == OP_POLL_ADD ? (u32)c->buf : c->opcode == IOCB_FDSYNC;
    return 0;
}

static int prepare(struct req *r, const struct abi_iocb *c)
{
    switch (c->opcode) {
    case IOCB_PREAD: return prepare_rw(r, c, OP_READ, false);
    case IOCB_PWRITE: return prepare_rw(r, c, OP_WRITE, true);
    case IOCB_PREADV: return prepare_rw(r, c, OP_READV, false);
    case IOCB_PWRITEV: return prepare_rw(r, c, OP_WRITEV, true);
    case IOCB_FSYNC:
    case IOCB_FDSYNC: return prepare_other(r, c, OP_FSYNC);
    case IOCB_POLL: return prepare_other(r, c, OP_POLL_ADD);
    default: return -EINVAL;
    }
}

static int open_files(struct req *r, const struct abi_iocb *c)
{
    r->file = fd_file(current_files(), (int)c->fd);
    if (r->file == NULL || (r->file->flags & O_PATH))
        return -EBADF;
    r->lasting = S_ISREG(r->file->inode->mode) || S_ISBLK(r->file->inode->mode);
    if (!(c->flags & IOCB_FLAG_RESFD))
        return 0;
    r->resfd = fd_file(current_files(), (int)c->resfd);
    return r->resfd == NULL ? -EBADF : file_is_eventfd(r->resfd) ? 0 : -EINVAL;
}

static s64 submit_one(struct aio *a, struct uring_tasks *o, uaddr_t uiocb)
{
    struct abi_iocb c;
    if (copy_from_user(&c, uiocb, sizeof c) < 0)
        return -EFAULT;
    if (c.reserved2 != 0 || (s64)c.nbytes < 0)
        return -EINVAL;
    if (!reserve(a))
        return -EAGAIN;
    struct req *r = req_create(&a->ring, o);
    int err = -EAGAIN;
    if (r != NULL) {
        r->sqe.user_data = uiocb;
        r->sqe.addr3 = c.data;
        err = open_files(r, &c);
    }
    if (err == 0)
        err = put_user_u32(uiocb + offsetof(struct abi_iocb, key), 0);
    if (err == 0)
        err = prepare(r, &c);
    if (err == 0) {
        r->op = &uring_ops[r->sqe.opcode];
        err = r->op->prep != NULL ? r->op->prep(r) : 0;
    }
    if (err == 0) {
        req_begin(r);
        return 0;
    }
    if (r != NULL)
        req_free(r);
    unreserve(a);
    return err;
}

static s64 submit(struct aio *a, struct uring_tasks *o, s64 nr, uaddr_t list)
{
    s64 n = 0, err = 0;
    for (; n < MIN(nr, (s64)a->entries); n++) {
        u64 at;
        err = get_user_u64(list + (u64)n * sizeof at, &at) < 0 ? -EFAULT : submit_one(a, o, at);
        if (err < 0)
            break;
        cond_resched();
    }
    return n > 0 ? n : err;
}

s64 sys_io_submit(u64 id, s64 nr, uaddr_t list)
{
    struct uring_tasks *o;
    if (nr < 0)
        return -EINVAL;
    struct aio *a = find(id);
    if (a == NULL)
        return -EINVAL;
    s64 r = uring_tasks_get(&o);
    if (r == 0) {
        uring_enter_begin(o);
        r = submit(a, o, nr, list);
        uring_enter_end(o);
    }
    ring_put(&a->ring);
    return r;
}

/* Only what waits for poll() can be cancelled, as in Linux; the result comes by the ring. */
s64 sys_io_cancel(u64 id, uaddr_t uiocb, uaddr_t uresult)
{
    struct cancel c = { .user_data = uiocb, .op = &uring_ops[OP_POLL_ADD] };
    u32 key;
    if (get_user_u32(uiocb + offsetof(struct abi_iocb, key), &key) < 0)
        return -EFAULT;
    if (key != 0)
        return -EINVAL;
    struct aio *a = find(id);
    if (a == NULL)
        return -EINVAL;
    s64 r = ring_cancel(&a->ring, &c);
    ring_put(&a->ring);
    return r == -ENOENT ? -EINVAL : -EINPROGRESS;
}

/* --- waiting ------------------------------------------------------------------------------------------- */

static bool work_ready(const struct uring_tasks *o) { return o != NULL && !list_empty(&o->ready); }

/* Until it is not busy, while the current task's own requests go on. */
static void wait_while(struct ring *g, bool (*busy)(struct ring *g))
{
    struct uring_tasks *o = current_task()->uring;
    if (o != NULL)
        uring_enter_begin(o);
    for (;;) {
        if (o != NULL)
            req_run_ready(o);
        if (!busy(g))
            break;
        wait_event(&g->wq, !busy(g) || work_ready(o));
    }
    if (o != NULL)
        uring_enter_end(o);
}

static bool has_inflight(struct ring *g) { return atomic_load(&aio_of(g)->inflight) != 0; }

s64 sys_io_destroy(u64 id)
{
    struct aio *a = find(id);
    if (a == NULL)
        return -EINVAL;
    s64 r = atomic_xchg(&a->destroyed, true) ? -EINVAL : 0;
    if (r == 0) {
        wq_wake_all(&a->ring.wq, 0); /* who waits for results: there may be none to come */
        wait_while(&a->ring, ring_lasting);
        end(a);
        wait_while(&a->ring, has_inflight);
        (void)as_unmap(current_thread()->as, id, (u64)a->ring.ring_pages << PAGE_SHIFT);
    }
    ring_put(&a->ring);
    return r;
}

static s64 get_events(struct aio *a, s64 min, s64 nr, uaddr_t events, u64 deadline)
{
    struct uring_tasks *o = current_task()->uring;
    s64 n = 0, r = 0;
    int err = 0;
    for (;;) {
        if (o != NULL)
            req_run_ready(o);
        r = take(a, events + (u64)n * sizeof(struct abi_io_event), nr - n);
        n += MAX(r, 0);
        if (r < 0 || n >= min || err != 0 || atomic_load(&a->destroyed))
            break;
        err = wait_event_interruptible_until(&a->ring.wq, waiting(a) != 0 || work_ready(o) || atomic_load(&a->destroyed), deadline);
    }
    s64 none = atomic_load(&a->destroyed) ? -EINVAL : err == 0 || err == -ETIMEDOUT ? 0 : -EINTR;
    return n > 0 ? n : r < 0 ? r : none;
}

static s64 events_until(u64 id, s64 min, s64 nr, uaddr_t events, u64 deadline)
{
    struct aio *a = find(id);
    if (a == NULL)
        return -EINVAL;
    struct uring_tasks *o = current_task()->uring;
    s64 r = -EINVAL;
    if (min <= nr && min >= 0) {
        if (o != NULL)
            uring_enter_begin(o);
        r = get_events(a, min, nr, events, deadline);
        if (o != NULL)
            uring_enter_end(o);
    }
    ring_put(&a->ring);
    return r;
}

s64 sys_io_getevents(u64 id, s64 min, s64 nr, uaddr_t events, uaddr_t utimeout)
{
    u64 deadline;
    s64 r = get_timeout(utimeout, CLOCK_DURATION, &deadline);
    return r < 0 ? r : events_until(id, min, nr, events, deadline);
}

s64 sys_io_pgetevents(u64 id, s64 min, s64 nr, uaddr_t events, uaddr_t utimeout, uaddr_t usig)
{
    struct { u64 set, size; } sig = { 0, 0 };
    u64 deadline;
    s64 r = get_timeout(utimeout, CLOCK_DURATION, &deadline);
    if (r == 0 && usig != 0 && copy_from_user(&sig, usig, sizeof sig) < 0)
        r = -EFAULT;
    if (r == 0)
        r = signal_mask_begin(sig.set, sig.size);
    if (r < 0)
        return r;
    r = events_until(id, min, nr, events, deadline);
    if (r == -EINTR)
        r = -ERESTARTNOHAND;
    signal_mask_end(r);
    return r;
}

static size_t show_nr(void *arg, char *buf, size_t size) { return (size_t)fmt_snprintf(buf, size, "%u\n", atomic_load_relaxed(&aio_nr)); }

void aio_init(void)
{
    proc_add("sys/fs/aio-nr", 0444, show_nr, NULL);
    sysctl_add("fs/aio-max-nr", &aio_max_nr);
}
