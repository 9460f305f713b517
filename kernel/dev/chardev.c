/* SPDX-License-Identifier: Apache-2.0 */
/* Byte streams to the host: the registry and the blocking conveniences. See kern/chardev.h. */
#include "kern/chardev.h"

#include "base/str.h"

static struct spinlock chardevs_lock = SPINLOCK_INIT("chardevs");
static struct list chardevs = LIST_INIT(chardevs); /* chardevs_lock; entries stay for good */
struct waitqueue chardev_added = { SPINLOCK_INIT("chardev_added"), LIST_INIT(chardev_added.waiters) };
u32 chardev_pending;
void (*chardev_closed)(struct chardev *c);

void chardev_register(struct chardev *c)
{
    c->eof_at = UINT64_MAX;
    spin_lock_bh(&chardevs_lock);
    list_push_back(&chardevs, &c->node);
    spin_unlock_bh(&chardevs_lock);
    wq_wake_all(&chardev_added, 0);
}

struct chardev *chardev_find(const char *name)
{
    struct chardev *found = NULL;
    spin_lock_bh(&chardevs_lock);
    list_for_each(c, &chardevs, struct chardev, node) {
        if (strcmp(c->name, name) == 0) {
            found = c;
            break;
        }
    }
    spin_unlock_bh(&chardevs_lock);
    return found;
}

void chardev_for_each(void (*fn)(struct chardev *c, void *ctx), void *ctx)
{
    /* Entries are only ever appended, so walking without the lock while fn sleeps is safe. */
    list_for_each(c, &chardevs, struct chardev, node)
        fn(c, ctx);
}

void chardev_set_eof(struct chardev *c, u64 total_bytes)
{
    atomic_store(&c->eof_at, total_bytes);
    if (atomic_load(&c->rx_bytes) >= total_bytes) {
        atomic_store(&c->host_open, false);
        wq_wake_all(&c->wq, 0);
    }
}

void chardev_received(struct chardev *c, size_t n)
{
    u64 total = atomic_add(&c->rx_bytes, (u64)n);
    if (total >= atomic_load(&c->eof_at))
        atomic_store(&c->host_open, false);
}

s64 chardev_read(struct chardev *c, void *buf, size_t len, bool nonblock)
{
    if (len == 0)
        return 0;
    for (;;) {
        /* Before looking for data: an end that comes between the two must not hide the last bytes. */
        bool ended = c->host_was_open && !atomic_load(&c->host_open);
        size_t n = c->ops->read(c, buf, len);
        if (n > 0)
            return (s64)n;
        if (ended)
            return 0;
        if (nonblock)
            return -EAGAIN;
        int err = wait_event_interruptible(
            &c->wq, c->ops->can_read(c) || (c->host_was_open && !atomic_load(&c->host_open)));
        if (err != 0)
            return err;
    }
}

s64 chardev_write(struct chardev *c, const void *buf, size_t len, bool nonblock)
{
    const char *p = buf;
    size_t done = 0;
    while (done < len) {
        if (c->host_was_open && !atomic_load(&c->host_open))
            return done > 0 ? (s64)done : -EPIPE;
        done += c->ops->write(c, p + done, len - done);
        if (done == len)
            break;
        if (nonblock)
            return done > 0 ? (s64)done : -EAGAIN;
        int err = wait_event_interruptible(
            &c->wq, c->ops->can_write(c) || (c->host_was_open && !atomic_load(&c->host_open)));
        if (err != 0)
            return done > 0 ? (s64)done : err;
    }
    return (s64)done;
}
