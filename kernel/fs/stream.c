/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Standard input, output and error when they are not a terminal: one direction of a host
 * port. To the program each is a pipe (S_IFIFO), so that C libraries buffer as they do there.
 */
#include "fs_impl.h"
#include "kern/chardev.h"
#include "kern/page.h"

#define SMALL 256u

/* Bytes go through a buffer of the kernel: the port may keep them. */
static s64 stream_write(struct file *f, struct uio *u, u64 *pos)
{
    struct chardev *c = f->private;
    bool nonblock = (f->flags & O_NONBLOCK) != 0;
    char small[SMALL], *buf = small;
    size_t room = sizeof(small);
    struct page *page = NULL;
    if (u->remaining > SMALL && (page = page_alloc(0, ALLOC_NORETRY)) != NULL) {
        buf = page_virt(page);
        room = PAGE_SIZE;
    }
    s64 done = 0, err = 0;
    while (u->remaining > 0 && err == 0) {
        s64 n = uio_copy_in(u, buf, MIN((u64)room, u->remaining));
        if (n <= 0) {
            err = n < 0 ? n : -EFAULT;
            break;
        }
        for (s64 sent = 0; sent < n && err == 0;) {
            s64 w = chardev_write(c, buf + sent, (size_t)(n - sent), nonblock);
            if (w > 0) {
                sent += w;
                done += w;
            } else {
                err = w < 0 ? w : -EPIPE;
            }
        }
    }
    if (page != NULL)
        page_put(page);
    return done > 0 ? done : err;
}

static s64 stream_read(struct file *f, struct uio *u, u64 *pos)
{
    struct chardev *c = f->private;
    bool nonblock = (f->flags & O_NONBLOCK) != 0;
    char small[SMALL], *buf = small;
    size_t room = sizeof(small);
    struct page *page = NULL;
    if (u->remaining == 0)
        return 0;
    if (u->remaining > SMALL && (page = page_alloc(0, ALLOC_NORETRY)) != NULL) {
        buf = page_virt(page);
        room = PAGE_SIZE;
    }
    s64 n = chardev_read(c, buf, MIN((u64)room, u->remaining), nonblock);
    if (n > 0)
        n = uio_copy_out(u, buf, (u64)n);
    if (page != NULL)
        page_put(page);
    return n;
}

static u32 stream_poll(struct file *f, struct poll_table *pt)
{
    struct chardev *c = f->private;
    u32 r = 0;
    poll_wait(&c->wq, pt);
    bool gone = c->host_was_open && !c->host_open;
    if (f->can_read) {
        if (c->ops->can_read(c))
            r |= POLLIN | POLLRDNORM;
        if (gone)
            r |= POLLHUP;
    }
    if (f->can_write) {
        if (gone)
            r |= POLLERR;
        if (gone || c->ops->can_write(c))
            r |= POLLOUT | POLLWRNORM;
    }
    return r;
}

static void count_writer(struct chardev *c, const struct file *f)
{
    if (f->can_write)
        (void)atomic_add(&c->writers, 1u);
}

static int stream_open_again(struct inode *i, struct file *f) /* /proc/self/fd/N */
{
    f->private = i->private;
    f->anon_name = "pipe";
    count_writer(i->private, f);
    return 0;
}

/* With the last descriptor that could write, the reader on the host sees the end, as at a pipe. */
static void stream_release(struct file *f)
{
    struct chardev *c = f->private;
    if (f->can_write && atomic_sub(&c->writers, 1u) == 0)
        c->ops->close(c);
}

static const struct file_ops stream_ops = {
    .open = stream_open_again,
    .read = stream_read,
    .write = stream_write,
    .poll = stream_poll,
    .release = stream_release,
};

int stream_open(struct chardev *c, bool can_read, bool can_write, struct file **ret)
{
    u32 flags = can_read && can_write ? O_RDWR : can_write ? O_WRONLY : O_RDONLY;
    int err = file_create_inode("pipe", &stream_ops, c, S_IFIFO | 0600, flags, ret);
    if (err == 0) {
        (*ret)->inode->private = c;
        (*ret)->inode->fops = &stream_ops;
        count_writer(c, *ret);
    }
    return err;
}
