/* SPDX-License-Identifier: Apache-2.0 */
/* eventfd(2): a counter. */
#include "fs_impl.h"
#include "base/fmt.h"
#include "kern/wait.h"

#define EFD_SEMAPHORE 1u
#define COUNT_MAX (UINT64_MAX - 1)

struct eventfd {
    struct waitqueue wq;
    struct spinlock lock;
    u64 count;      /* lock; read without by poll */
    bool semaphore; /* const */
};

/* 0 = nothing to take */
static u64 take(struct eventfd *e)
{
    spin_lock(&e->lock);
    u64 v = e->count == 0 ? 0 : e->semaphore ? 1 : e->count;
    e->count -= v;
    spin_unlock(&e->lock);
    return v;
}

static bool give(struct eventfd *e, u64 v)
{
    spin_lock(&e->lock);
    bool ok = v <= COUNT_MAX - e->count;
    if (ok)
        e->count += v;
    spin_unlock(&e->lock);
    return ok;
}

static s64 eventfd_read(struct file *f, struct uio *u, u64 *pos)
{
    struct eventfd *e = f->private;
    if (u->remaining < sizeof(u64))
        return -EINVAL;
    u64 v = take(e);
    if (v == 0) {
        if ((f->flags & O_NONBLOCK) != 0)
            return -EAGAIN;
        int err = wait_event_interruptible(&e->wq, (v = take(e)) != 0);
        if (err != 0 && v == 0)
            return err;
    }
    wake_waiters(&e->wq, POLLOUT);
    return put_number(u, v);
}

static s64 eventfd_write(struct file *f, struct uio *u, u64 *pos)
{
    struct eventfd *e = f->private;
    u64 v;
    if (u->remaining != sizeof(v))
        return -EINVAL;
    if (uio_copy_in(u, &v, sizeof(v)) != sizeof(v))
        return -EFAULT;
    if (v == UINT64_MAX)
        return -EINVAL;
    bool ok = give(e, v);
    if (!ok) {
        if ((f->flags & O_NONBLOCK) != 0)
            return -EAGAIN;
        int err = wait_event_interruptible(&e->wq, ok || (ok = give(e, v)));
        if (err != 0 && !ok)
            return err;
    }
    wake_waiters(&e->wq, POLLIN);
    return sizeof(v);
}

static u32 eventfd_poll(struct file *f, struct poll_table *pt)
{
    struct eventfd *e = f->private;
    poll_wait(&e->wq, pt);
    u64 n = atomic_load(&e->count);
    return (n > 0 ? POLLIN : 0) | (n < COUNT_MAX ? POLLOUT : 0);
}

static void eventfd_release(struct file *f) { kfree(f->private); }

static size_t eventfd_fdinfo(struct file *f, char *buf, size_t size)
{
    struct eventfd *e = f->private;
    return (size_t)fmt_snprintf(buf, size, "eventfd-count: %16llx\n", (unsigned long long)e->count);
}

static const struct file_ops eventfd_ops = {
    .read = eventfd_read,
    .write = eventfd_write,
    .poll = eventfd_poll,
    .release = eventfd_release,
    .fdinfo = eventfd_fdinfo,
};

bool file_is_eventfd(const struct file *f) { return f->ops == &eventfd_ops; }

int eventfd_create(u64 initial, u32 flags, struct file **ret)
{
    struct eventfd *e = kzalloc(sizeof(*e));
    if (e == NULL)
        return -ENOMEM;
    wq_init(&e->wq, "eventfd");
    spin_init(&e->lock, "eventfd");
    e->count = initial;
    e->semaphore = (flags & EFD_SEMAPHORE) != 0;
    int err = file_create_anon("[eventfd]", &eventfd_ops, e, O_RDWR | (flags & O_NONBLOCK), ret);
    if (err != 0)
        kfree(e);
    return err;
}
