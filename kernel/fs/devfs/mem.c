/* SPDX-License-Identifier: Apache-2.0 */
/* /dev/null, zero, full, random, urandom (mem(4), random(4)). */
#include "../fs_impl.h"
#include "kern/addrspace.h"
#include "kern/random.h"
#include "kern/thread.h"
#include "kern/uaccess.h"

#define RNDGETENTCNT 0x80045200u
#define RNDADDTOENTCNT 0x40045201u
#define RNDADDENTROPY 0x40085203u
#define RNDZAPENTCNT 0x5204u
#define RNDCLEARPOOL 0x5206u
#define RNDRESEEDCRNG 0x5207u

static s64 null_read(struct file *f, struct uio *u, u64 *pos) { return 0; }

static s64 null_write(struct file *f, struct uio *u, u64 *pos)
{
    u64 n = u->remaining;
    uio_advance(u, n);
    return (s64)n;
}

static s64 zero_read(struct file *f, struct uio *u, u64 *pos)
{
    s64 done = 0;
    while (u->remaining > 0) {
        s64 n = uio_zero(u, MIN(u->remaining, (u64)(1u << 20)));
        if (n <= 0)
            return done > 0 ? done : n;
        done += n;
        if (u->remaining > 0) {
            if (thread_interrupted())
                break;
            cond_resched();
        }
    }
    return done;
}

static s64 full_write(struct file *f, struct uio *u, u64 *pos) { return -ENOSPC; }

static s64 null_seek(struct file *f, s64 off, int whence)
{
    f->pos = 0;
    return 0;
}

/* Anonymous memory: without operations and a mapping, as_map() makes what a shared area needs. */
static int zero_mmap(struct file *f, struct map_request *req)
{
    req->pgoff = 0;
    return 0;
}

s64 dev_random_read(struct file *f, struct uio *u, u64 *pos)
{
    u8 buf[256];
    s64 done = 0, n = 0;
    while (u->remaining > 0) {
        size_t len = MIN(u->remaining, sizeof(buf));
        random_bytes(buf, len);
        n = uio_copy_out(u, buf, len);
        if (n <= 0)
            break;
        done += n;
        if ((done & (PAGE_SIZE - 1)) == 0) {
            cond_resched();
            if (thread_interrupted())
                break;
        }
    }
    memset(buf, 0, sizeof(buf));
    compiler_barrier();
    return done > 0 ? done : n;
}

static s64 random_write(struct file *f, struct uio *u, u64 *pos)
{
    u8 buf[256];
    s64 done = 0;
    while (u->remaining > 0) {
        s64 r = uio_copy_in(u, buf, MIN(u->remaining, sizeof(buf)));
        if (r <= 0)
            return done > 0 ? done : r;
        random_add(buf, (size_t)r);
        done += r;
    }
    return done;
}

static s64 random_ioctl(struct file *f, u32 cmd, uaddr_t arg)
{
    bool admin = cred_capable(f->cred, CAP_SYS_ADMIN);
    switch (cmd) {
    case RNDGETENTCNT:
        return put_user_u32(arg, 256);
    case RNDADDTOENTCNT:
    case RNDZAPENTCNT:
    case RNDCLEARPOOL:
    case RNDRESEEDCRNG:
        return admin ? 0 : -EPERM;
    case RNDADDENTROPY: {
        u32 head[2];
        u8 buf[256];
        if (!admin)
            return -EPERM;
        if (copy_from_user(head, arg, sizeof(head)) != 0)
            return -EFAULT;
        if ((s32)head[0] < 0 || (s32)head[1] < 0)
            return -EINVAL;
        for (u32 done = 0; done < head[1];) {
            u32 n = MIN(head[1] - done, (u32)sizeof(buf));
            if (copy_from_user(buf, arg + 8 + done, n) != 0)
                return -EFAULT;
            random_add(buf, n);
            done += n;
        }
        return 0;
    }
    default:
        return -ENOTTY;
    }
}

static const struct file_ops null_ops = {.read = null_read, .write = null_write, .seek = null_seek, .no_splice = true};
static const struct file_ops zero_ops = {.read = zero_read, .write = null_write, .seek = null_seek, .mmap = zero_mmap};
static const struct file_ops full_ops = {.read = zero_read, .write = full_write, .seek = null_seek};
static const struct file_ops random_ops = {
    .read = dev_random_read,
    .write = random_write,
    .seek = null_seek,
    .ioctl = random_ioctl,
};

void mem_devices_init(void)
{
    chrdev_register(MKDEV(1, 3), &null_ops, NULL);
    chrdev_register(MKDEV(1, 5), &zero_ops, NULL);
    chrdev_register(MKDEV(1, 7), &full_ops, NULL);
    chrdev_register(MKDEV(1, 8), &random_ops, NULL);
    chrdev_register(MKDEV(1, 9), &random_ops, NULL);
}
