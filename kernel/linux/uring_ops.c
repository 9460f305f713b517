/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What io_uring's operations do. `prep` copies what the program may change or free once io_uring_enter(2) has returned; most
 * others are the system calls of the same names, made on behalf of the request (struct given).
 */
#include "uring.h"
#include "kern/poll.h"

#define POLL_MULTI 1u
#define POLL_UPDATE_EVENTS 2u
#define POLL_UPDATE_DATA 4u
#define TIMEOUT_ABS 1u
#define TIMEOUT_UPDATE 2u
#define TIMEOUT_BOOTTIME 4u
#define TIMEOUT_REALTIME 8u
#define LINK_TIMEOUT_UPDATE 16u
#define TIMEOUT_ETIME_SUCCESS 32u
#define CANCEL_ALL 1u
#define CANCEL_FD 2u
#define CANCEL_ANY 4u
#define CANCEL_FD_FIXED 8u
#define PEEK_PAGES 256u /* more are not looked for before a worker reads */

/* --- memory of reads and writes --------------------------------------------------------- */

static struct vec *new_vec(struct req *r)
{
    struct vec *v = kzalloc(sizeof *v);
    if (v != NULL)
        v->segs = v->fast;
    return r->vec = v;
}

int req_buffer(struct req *r, uaddr_t addr, u64 len)
{
    if (new_vec(r) == NULL)
        return -ENOMEM;
    return uio_user(&r->vec->u, addr, MIN(len, MAX_RW_COUNT));
}

static int rw_check(struct req *r)
{
    if (r->sqe.op_flags & ~(RWF_DSYNC | RWF_SYNC | RWF_NOWAIT | RWF_APPEND))
        return -EOPNOTSUPP;
    r->nowait = r->sqe.op_flags & RWF_NOWAIT;
    return r->sqe.ioprio != 0 ? -EINVAL : 0; /* as ioprio_check_cap() does with a class that is none */
}

static int prep_rw(struct req *r)
{
    int e = rw_check(r);
    return e < 0 || (r->sqe.flags & SQE_BUFFER_SELECT) ? e : req_buffer(r, r->sqe.addr, r->sqe.len);
}

static int prep_rwv(struct req *r)
{
    int e = rw_check(r);
    if (e < 0)
        return e;
    if (r->sqe.flags & SQE_BUFFER_SELECT) {
        struct abi_iovec one;
        if (r->sqe.len != 1)
            return -EINVAL;
        if (copy_from_user(&one, r->sqe.addr, sizeof one) < 0)
            return -EFAULT;
        r->sqe.len = (u32)MIN(one.len, (u64)UINT32_MAX);
        return 0;
    }
    struct vec *v = kmalloc(sizeof *v, 0);
    if (v == NULL)
        return -ENOMEM;
    e = vec_get(v, r->sqe.addr, r->sqe.len);
    if (e < 0)
        kfree(v);
    else
        r->vec = v;
    return e;
}

/* A provided buffer for it, if it wants one and has none. */
int req_select_buffer(struct req *r)
{
    if (!(r->sqe.flags & SQE_BUFFER_SELECT) || r->selected)
        return 0;
    r->buf_len = r->sqe.len;
    int e = ring_buf_select(r->ring, r->sqe.buf, &r->buf_addr, &r->buf_len, &r->bid);
    if (e < 0)
        return e;
    r->selected = true;
    if (r->vec == NULL && new_vec(r) == NULL)
        return -ENOMEM;
    return uio_user(&r->vec->u, r->buf_addr, r->buf_len);
}

/* It did not come to use it: another may. */
void req_return_buffer(struct req *r)
{
    if (r->selected)
        (void)ring_bufs_provide(r->ring, r->sqe.buf, r->buf_addr, r->buf_len, 1, r->bid);
    r->selected = false;
}

static int fixed_buffer(struct req *r)
{
    if (r->buf_rsrc != NULL)
        return 0;
    int e = ring_buf_get(r->ring, r->sqe.buf, &r->buf_rsrc);
    if (e < 0)
        return e;
    const struct rsrc *b = r->buf_rsrc;
    if (r->sqe.addr < b->addr || r->sqe.addr - b->addr > b->len || r->sqe.len > b->len - (r->sqe.addr - b->addr))
        return -EFAULT;
    return req_buffer(r, r->sqe.addr, r->sqe.len);
}

/* Would reading or writing wait for a device, or for names and room below? */
static bool may_wait_uninterruptibly(struct req *r, u64 pos, bool write)
{
    struct file *f = r->file;
    struct mapping *m = f->inode->data;
    if (!S_ISREG(f->inode->mode) && !S_ISBLK(f->inode->mode))
        return false;
    if (m == NULL || m->ops == NULL || f->ops->mmap == NULL)
        return true;
    if (write || f->ops->read != generic_file_read)
        return m->ops->read != NULL || m->ops->write != NULL;
    if (m->ops->read == NULL)
        return false;
    u64 size = m->size_bytes, end = MIN(pos + r->vec->u.remaining, size);
    if (end > pos && (end - pos) >> PAGE_SHIFT > PEEK_PAGES)
        return true;
    for (u64 i = pos >> PAGE_SHIFT; pos < end && i <= (end - 1) >> PAGE_SHIFT; i++) {
        struct page *p = mapping_peek(m, i);
        if (p == NULL)
            return true;
        page_put(p);
    }
    return false;
}

static s64 read_write(struct req *r, bool may_wait, bool write)
{
    struct file *f = r->file;
    u32 flags = r->sqe.op_flags;
    bool at_pos = f->ops->seek == NULL || r->sqe.off == ~0ULL;
    u64 pos = at_pos ? f->pos : r->sqe.off;
    if (!at_pos && (s64)r->sqe.off < 0)
        return -EINVAL;
    s64 e = req_select_buffer(r);
    if (e < 0)
        return e;
    u64 want = r->vec->u.remaining;
    if (!may_wait && (may_wait_uninterruptibly(r, pos, write) || (flags & (RWF_DSYNC | RWF_SYNC)))) {
        if (flags & RWF_NOWAIT)
            return write || f->ops->seek == NULL ? -EOPNOTSUPP : -EAGAIN;
        req_return_buffer(r);
        return RES_WORK;
    }
    u64 *at = at_pos ? NULL : &pos;
    s64 n = write ? write_flagged(f, &r->vec->u, at, flags) : vfs_read(f, &r->vec->u, at);
    if (n == -EPIPE && !may_wait)
        signal_send_self(SIGPIPE);
    if (n < 0)
        req_return_buffer(r);
    r->failed = n >= 0 && (u64)n < want && !r->selected;
    return n;
}

static s64 op_read(struct req *r, bool may_wait) { return read_write(r, may_wait, false); }
static s64 op_write(struct req *r, bool may_wait) { return read_write(r, may_wait, true); }
static s64 op_read_fixed(struct req *r, bool may_wait)
{
    int e = fixed_buffer(r);
    return e < 0 ? e : read_write(r, may_wait, false);
}
static s64 op_write_fixed(struct req *r, bool may_wait)
{
    int e = fixed_buffer(r);
    return e < 0 ? e : read_write(r, may_wait, true);
}

/* --- poll --------------------------------------------------------------------------------------- */

#define POLL_ALWAYS (POLLERR | POLLHUP)

static int prep_poll(struct req *r)
{
    if (r->sqe.off != 0 || r->sqe.addr != 0 || r->sqe.buf != 0 || (r->sqe.len & ~POLL_MULTI))
        return -EINVAL;
    r->mask = r->sqe.op_flags | POLL_ALWAYS;
    r->multishot = r->sqe.len & POLL_MULTI;
    return r->multishot && (r->sqe.flags & SQE_CQE_SKIP) ? -EINVAL : 0;
}

static s64 op_poll(struct req *r, bool may_wait)
{
    r->async = true;
    for (;;) {
        u32 got = req_arm(r);
        if (got == 0)
            return RES_ARMED;
        if (got == POLLNVAL)
            return -EINVAL;
        if (r->cancelled)
            return -ECANCELED;
        if (!r->multishot)
            return got;
        ring_post(r->ring, r->sqe.user_data, got, CQE_F_MORE);
        if (req_let_go(r))
            return RES_ARMED;
    }
}

static s64 update_poll(struct req *r)
{
    struct req *other = ring_claim(r->ring, r->sqe.addr, &uring_ops[OP_POLL_ADD]);
    if (other == NULL)
        return -ENOENT;
    if (r->sqe.len & POLL_UPDATE_EVENTS) {
        other->mask = r->sqe.op_flags | POLL_ALWAYS;
        other->multishot = r->sqe.len & POLL_MULTI;
    }
    if (r->sqe.len & POLL_UPDATE_DATA)
        other->sqe.user_data = r->sqe.off;
    req_queue(other);
    return 0;
}

static s64 cancel_by_data(struct req *r, const struct uring_op *op)
{
    struct cancel c = {.self = r, .user_data = r->sqe.addr, .op = op};
    s64 n = ring_cancel(r->ring, &c);
    return n < 0 ? n : 0;
}

static s64 op_poll_remove(struct req *r, bool may_wait)
{
    u32 f = r->sqe.len;
    if (r->sqe.buf != 0 || (f & ~(POLL_MULTI | POLL_UPDATE_EVENTS | POLL_UPDATE_DATA)) || f == POLL_MULTI ||
        (!(f & POLL_UPDATE_DATA) && r->sqe.off != 0) || (!(f & POLL_UPDATE_EVENTS) && r->sqe.op_flags != 0))
        return -EINVAL;
    return f != 0 ? update_poll(r) : cancel_by_data(r, &uring_ops[OP_POLL_ADD]);
}

/* --- timeouts ---------------------------------------------------------------------------------- */

static int get_deadline(uaddr_t addr, u32 flags, struct req *ret)
{
    struct abi_timespec ts;
    u32 clock = flags & (TIMEOUT_BOOTTIME | TIMEOUT_REALTIME);
    if (clock == (TIMEOUT_BOOTTIME | TIMEOUT_REALTIME))
        return -EINVAL;
    int e = get_timespec(addr, &ts);
    if (e < 0)
        return e;
    ret->relative = !(flags & TIMEOUT_ABS);
    ret->deadline = timespec_to_ns(&ts);
    if (ret->relative)
        return 0;
    return clock_deadline(clock == TIMEOUT_REALTIME ? CLOCK_REALTIME : clock ? CLOCK_BOOTTIME : CLOCK_MONOTONIC, ret->deadline,
                          &ret->deadline);
}

static int prep_timeout(struct req *r)
{
    if (r->sqe.buf != 0 || r->sqe.len != 1 || r->sqe.file_index != 0 ||
        (r->sqe.op_flags & ~(TIMEOUT_ABS | TIMEOUT_BOOTTIME | TIMEOUT_REALTIME | TIMEOUT_ETIME_SUCCESS)))
        return -EINVAL;
    return get_deadline(r->sqe.addr, r->sqe.op_flags, r);
}

static int prep_link_timeout(struct req *r) { return r->sqe.off != 0 ? -EINVAL : prep_timeout(r); }

static s64 op_timeout(struct req *r, bool may_wait)
{
    struct ring *g = r->ring;
    if (r->tries != 0) {
        r->fine = r->timed_out && (r->sqe.op_flags & TIMEOUT_ETIME_SUCCESS);
        return r->timed_out ? -ETIME : 0;
    }
    r->async = true;
    r->tries = 1;
    if (r->sqe.off != 0) {
        r->target = atomic_load(&g->posted) + (u32)MIN(r->sqe.off, (u64)INT32_MAX);
        r->counts = true;
        atomic_add(&g->counted, 1u);
    }
    req_arm_timer(r);
    return RES_ARMED;
}

static s64 op_link_timeout(struct req *r, bool may_wait)
{
    if (!r->timed_out)
        return -EINVAL; /* it stands behind nothing */
    req_cancel_guarded(r);
    return -ETIME;
}

static s64 op_timeout_remove(struct req *r, bool may_wait)
{
    u32 f = r->sqe.op_flags;
    if (r->sqe.buf != 0 || r->sqe.len != 0 || r->sqe.file_index != 0)
        return -EINVAL;
    if (f == 0)
        return cancel_by_data(r, &uring_ops[OP_TIMEOUT]);
    if ((f & ~(TIMEOUT_ABS | TIMEOUT_UPDATE | LINK_TIMEOUT_UPDATE | TIMEOUT_BOOTTIME | TIMEOUT_REALTIME)) ||
        !(f & (TIMEOUT_UPDATE | LINK_TIMEOUT_UPDATE)))
        return -EINVAL;
    struct req *other = ring_claim(r->ring, r->sqe.addr, &uring_ops[f & LINK_TIMEOUT_UPDATE ? OP_LINK_TIMEOUT : OP_TIMEOUT]);
    if (other == NULL)
        return -ENOENT;
    ktimer_cancel_sync(&other->timer);
    other->deadline = r->deadline;
    other->relative = r->relative;
    if (other->timed_out)
        req_queue(other);
    else
        req_arm_timer(other);
    return 0;
}

static int prep_timeout_remove(struct req *r)
{
    return r->sqe.op_flags & (TIMEOUT_UPDATE | LINK_TIMEOUT_UPDATE) ? get_deadline(r->sqe.off, r->sqe.op_flags, r) : 0;
}

static s64 op_cancel(struct req *r, bool may_wait)
{
    u32 f = r->sqe.op_flags;
    struct cancel c = {.self = r, .user_data = r->sqe.addr, .by_file = f & CANCEL_FD, .any = f & CANCEL_ANY,
                       .all = f & (CANCEL_ALL | CANCEL_ANY)};
    struct rsrc *fixed = NULL;
    struct file *owned = NULL;
    if (r->sqe.off != 0 || r->sqe.len != 0 || r->sqe.file_index != 0 ||
        (f & ~(CANCEL_ALL | CANCEL_FD | CANCEL_ANY | CANCEL_FD_FIXED)) || ((f & CANCEL_FD) && (f & CANCEL_ANY)))
        return -EINVAL;
    if (f & CANCEL_FD) {
        if ((f & CANCEL_FD_FIXED) || (r->sqe.flags & SQE_FIXED_FILE))
            c.file = ring_file_get(r->ring, (u32)r->sqe.fd, &fixed) == 0 ? fixed->file : NULL;
        else
            c.file = owned = fd_file(current_files(), r->sqe.fd);
        if (c.file == NULL)
            return -EBADF;
    }
    s64 n = ring_cancel(r->ring, &c);
    rsrc_put(fixed);
    file_put(owned);
    return n < 0 || c.all ? (n == -ENOENT && c.all ? 0 : n) : 0;
}

/* --- files and names ------------------------------------------------------------------------------- */

static int get_name(struct req *r, unsigned i, uaddr_t addr) { return name_get(addr, LOOKUP_EMPTY, &r->given.names[i]); }

static int prep_open(struct req *r)
{
    if (r->sqe.buf != 0 || (r->sqe.flags & SQE_FIXED_FILE))
        return r->sqe.buf != 0 ? -EINVAL : -EBADF;
    return get_name(r, 0, r->sqe.addr);
}

static int prep_open2(struct req *r)
{
    struct open_how *how = kmalloc(sizeof *how, 0);
    r->data = how;
    if (how == NULL)
        return -ENOMEM;
    int e = open_how_get(r->sqe.off, r->sqe.len, how);
    return e < 0 ? e : prep_open(r);
}

static s64 op_open(struct req *r, bool may_wait)
{
    if (r->sqe.file_index != 0 && (r->sqe.op_flags & O_CLOEXEC))
        return -EINVAL;
    return req_to_table(r, sys_openat(r->sqe.fd, GIVEN_NAME(0), (int)r->sqe.op_flags, r->sqe.len));
}

static s64 op_open2(struct req *r, bool may_wait)
{
    const struct open_how *how = r->data;
    if (r->sqe.file_index != 0 && (how->flags & O_CLOEXEC))
        return -EINVAL;
    return req_to_table(r, open_as(r->sqe.fd, GIVEN_NAME(0), how));
}

static int prep_one_name(struct req *r)
{
    return r->sqe.buf != 0 || r->sqe.file_index != 0 ? -EINVAL : get_name(r, 0, r->sqe.addr);
}
static int prep_two_names(struct req *r)
{
    int e = prep_one_name(r);
    return e < 0 ? e : get_name(r, 1, r->sqe.off);
}
static s64 op_statx(struct req *r, bool may_wait)
{
    return sys_statx(r->sqe.fd, GIVEN_NAME(0), (int)r->sqe.op_flags, r->sqe.len, r->sqe.off);
}
static s64 op_unlink(struct req *r, bool may_wait)
{
    return r->sqe.off != 0 || r->sqe.len != 0 ? -EINVAL : sys_unlinkat(r->sqe.fd, GIVEN_NAME(0), (int)r->sqe.op_flags);
}
static s64 op_rename(struct req *r, bool may_wait)
{
    return sys_renameat2(r->sqe.fd, GIVEN_NAME(0), (int)r->sqe.len, GIVEN_NAME(1), r->sqe.op_flags);
}
static s64 op_mkdir(struct req *r, bool may_wait)
{
    return r->sqe.off != 0 || r->sqe.op_flags != 0 ? -EINVAL : sys_mkdirat(r->sqe.fd, GIVEN_NAME(0), r->sqe.len);
}
static s64 op_symlink(struct req *r, bool may_wait)
{
    return r->sqe.len != 0 || r->sqe.op_flags != 0 ? -EINVAL : sys_symlinkat(GIVEN_NAME(0), r->sqe.fd, GIVEN_NAME(1));
}
static s64 op_link(struct req *r, bool may_wait)
{
    return sys_linkat(r->sqe.fd, GIVEN_NAME(0), (int)r->sqe.len, GIVEN_NAME(1), (int)r->sqe.op_flags);
}

static s64 op_fsync(struct req *r, bool may_wait)
{
    if (r->sqe.addr != 0 || r->sqe.buf != 0 || r->sqe.file_index != 0 || (r->sqe.op_flags & ~1u))
        return -EINVAL;
    return vfs_fsync(r->file, r->sqe.op_flags & 1);
}
static s64 op_sync_range(struct req *r, bool may_wait)
{
    return sys_sync_file_range(GIVEN_FD(0), (s64)r->sqe.off, (s64)r->sqe.len, r->sqe.op_flags);
}
static s64 op_fallocate(struct req *r, bool may_wait)
{
    if (r->sqe.buf != 0 || r->sqe.op_flags != 0 || r->sqe.file_index != 0)
        return -EINVAL;
    return sys_fallocate(GIVEN_FD(0), (int)r->sqe.len, (s64)r->sqe.off, (s64)r->sqe.addr);
}
static s64 op_fadvise(struct req *r, bool may_wait)
{
    if (r->sqe.addr != 0 || r->sqe.buf != 0)
        return -EINVAL;
    return sys_fadvise64(GIVEN_FD(0), (s64)r->sqe.off, r->sqe.len, (int)r->sqe.op_flags);
}
static s64 op_madvise(struct req *r, bool may_wait)
{
    if (r->sqe.off != 0 || r->sqe.buf != 0)
        return -EINVAL;
    return sys_madvise(r->sqe.addr, r->sqe.len, (int)r->sqe.op_flags);
}

/* Its last reference may be the end of something that waits: a worker's, unless it is a pipe or the like. */
static s64 op_close(struct req *r, bool may_wait)
{
    if (r->sqe.off != 0 || r->sqe.addr != 0 || r->sqe.len != 0 || r->sqe.op_flags != 0 || r->sqe.buf != 0)
        return -EINVAL;
    if (r->sqe.flags & SQE_FIXED_FILE)
        return -EBADF;
    if (r->sqe.file_index != 0) {
        if (r->sqe.fd != 0)
            return -EINVAL;
        s64 e = ring_file_install(r->ring, r->sqe.file_index - 1, NULL);
        return e < 0 ? e : 0;
    }
    struct file *f = fd_file(current_files(), r->sqe.fd);
    bool slow = f != NULL && (f->ops->flush != NULL || S_ISREG(f->inode->mode));
    bool ring = f != NULL && file_is_uring(f);
    file_put(f);
    if (f == NULL || ring)
        return -EBADF;
    return slow && !may_wait ? RES_WORK : sys_close(r->sqe.fd);
}

static s64 op_splice_tee(struct req *r, bool tee)
{
    u32 flags = r->sqe.op_flags & ~(1u << 31);
    struct rsrc *fixed = NULL;
    int in = (int)r->sqe.file_index;
    if (r->sqe.op_flags >> 31) {
        if (ring_file_get(r->ring, r->sqe.file_index, &fixed) < 0)
            return -EBADF;
        r->given.files[1] = fixed->file;
        in = GIVEN_FD(1);
    }
    s64 n = tee ? tee_at(in, GIVEN_FD(0), r->sqe.len, flags) : splice_at(in, r->sqe.addr, GIVEN_FD(0), r->sqe.off, r->sqe.len, flags);
    r->given.files[1] = NULL;
    rsrc_put(fixed);
    r->failed = n >= 0 && n != (s64)r->sqe.len;
    return n;
}
static s64 op_splice(struct req *r, bool may_wait) { return op_splice_tee(r, false); }
static s64 op_tee(struct req *r, bool may_wait)
{
    return r->sqe.off != 0 || r->sqe.addr != 0 ? -EINVAL : op_splice_tee(r, true);
}

/* --- the rest ------------------------------------------------------------------------------------------ */

static s64 op_nop(struct req *r, bool may_wait) { return 0; }

static int prep_epoll_ctl(struct req *r)
{
    if (r->sqe.buf != 0 || r->sqe.file_index != 0 || (r->sqe.flags & SQE_FIXED_FILE))
        return -EINVAL;
    if (r->sqe.len == 2 /* EPOLL_CTL_DEL */)
        return 0;
    r->data = kmalloc(sizeof(struct kepoll_event), 0);
    return r->data == NULL ? -ENOMEM : copy_from_user(r->data, r->sqe.addr, sizeof(struct kepoll_event));
}
static s64 op_epoll_ctl(struct req *r, bool may_wait)
{
    struct kepoll_event zero = {0};
    struct file *target = fd_file(current_files(), (int)r->sqe.off);
    if (target == NULL)
        return -EBADF;
    s64 e = epoll_control(r->file, (int)r->sqe.len, (int)r->sqe.off, target, r->data != NULL ? r->data : &zero);
    file_put(target);
    return e;
}

static s64 op_provide(struct req *r, bool may_wait)
{
    if (r->sqe.op_flags != 0 || r->sqe.file_index != 0)
        return -EINVAL;
    return ring_bufs_provide(r->ring, r->sqe.buf, r->sqe.addr, r->sqe.len, (u32)r->sqe.fd, (u32)MIN(r->sqe.off, (u64)UINT32_MAX));
}
static s64 op_remove_bufs(struct req *r, bool may_wait)
{
    if (r->sqe.op_flags != 0 || r->sqe.addr != 0 || r->sqe.len != 0 || r->sqe.off != 0 || r->sqe.file_index != 0)
        return -EINVAL;
    return ring_bufs_remove(r->ring, r->sqe.buf, (u32)r->sqe.fd);
}
static s64 op_files_update(struct req *r, bool may_wait)
{
    if (r->sqe.op_flags != 0 || r->sqe.file_index != 0 || r->sqe.len == 0 || (r->sqe.flags & (SQE_FIXED_FILE | SQE_BUFFER_SELECT)))
        return -EINVAL;
    return ring_files_update(r->ring, (u32)MIN(r->sqe.off, (u64)UINT32_MAX), r->sqe.addr, r->sqe.len);
}

static s64 op_msg_ring(struct req *r, bool may_wait)
{
    if (r->sqe.buf != 0 || r->sqe.addr != 0 /* IORING_MSG_DATA */ || r->sqe.op_flags != 0 || r->sqe.file_index != 0)
        return -EINVAL;
    struct ring *to = file_is_uring(r->file) ? r->file->private : NULL;
    if (to == NULL || atomic_load(&to->disabled))
        return -EBADFD;
    ring_post(to, r->sqe.off, (s32)r->sqe.len, 0);
    return 0;
}

const struct uring_op uring_ops[URING_OPS] = {
    [0] = {.run = op_nop},
    [1] = {.run = op_read, .prep = prep_rwv, .file = true, .mask = POLLIN, .select = true},
    [2] = {.run = op_write, .prep = prep_rwv, .file = true, .mask = POLLOUT},
    [3] = {.run = op_fsync, .file = true, .work = true},
    [4] = {.run = op_read_fixed, .prep = rw_check, .file = true, .mask = POLLIN},
    [5] = {.run = op_write_fixed, .prep = rw_check, .file = true, .mask = POLLOUT},
    [OP_POLL_ADD] = {.run = op_poll, .prep = prep_poll, .file = true},
    [7] = {.run = op_poll_remove},
    [8] = {.run = op_sync_range, .file = true, .work = true},
    [9] = {.run = op_sendmsg, .prep = prep_sendmsg, .file = true, .mask = POLLOUT},
    [10] = {.run = op_recvmsg, .prep = prep_recvmsg, .file = true, .mask = POLLIN, .select = true},
    [OP_TIMEOUT] = {.run = op_timeout, .prep = prep_timeout},
    [12] = {.run = op_timeout_remove, .prep = prep_timeout_remove},
    [13] = {.run = op_accept, .prep = prep_accept, .file = true, .mask = POLLIN},
    [14] = {.run = op_cancel},
    [OP_LINK_TIMEOUT] = {.run = op_link_timeout, .prep = prep_link_timeout},
    [16] = {.run = op_connect, .prep = prep_connect, .file = true, .mask = POLLOUT},
    [17] = {.run = op_fallocate, .file = true, .work = true},
    [18] = {.run = op_open, .prep = prep_open, .work = true},
    [19] = {.run = op_close},
    [20] = {.run = op_files_update},
    [21] = {.run = op_statx, .prep = prep_one_name, .work = true},
    [22] = {.run = op_read, .prep = prep_rw, .file = true, .mask = POLLIN, .select = true},
    [23] = {.run = op_write, .prep = prep_rw, .file = true, .mask = POLLOUT},
    [24] = {.run = op_fadvise, .file = true, .work = true},
    [25] = {.run = op_madvise, .work = true},
    [26] = {.run = op_send, .prep = prep_send, .file = true, .mask = POLLOUT},
    [27] = {.run = op_recv, .prep = prep_recv, .file = true, .mask = POLLIN, .select = true},
    [28] = {.run = op_open2, .prep = prep_open2, .work = true},
    [29] = {.run = op_epoll_ctl, .prep = prep_epoll_ctl, .file = true},
    [30] = {.run = op_splice, .file = true, .work = true},
    [31] = {.run = op_provide},
    [32] = {.run = op_remove_bufs},
    [33] = {.run = op_tee, .file = true, .work = true},
    [34] = {.run = op_shutdown, .file = true, .work = true},
    [35] = {.run = op_rename, .prep = prep_two_names, .work = true},
    [36] = {.run = op_unlink, .prep = prep_one_name, .work = true},
    [37] = {.run = op_mkdir, .prep = prep_one_name, .work = true},
    [38] = {.run = op_symlink, .prep = prep_two_names, .work = true},
    [39] = {.run = op_link, .prep = prep_two_names, .work = true},
    [40] = {.run = op_msg_ring, .file = true},
    [45] = {.run = op_socket, .work = true},
};
