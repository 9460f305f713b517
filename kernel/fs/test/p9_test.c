/* SPDX-License-Identifier: Apache-2.0 */
/* A volume whose server lies: whatever it answers, calls end, with errors or with what was said, and nothing is left. */
#include "../9p/p9_impl.h"
#include "fs_test.h"
#include "kern/bh.h"
#include "kern/chardev.h"
#include "kern/msgdev.h"
#include "sim/sim.h"

#define ROUNDS 16
#define REPLY_MAX (128u << 10)

#define MESSAGES 8

static struct liar {
    struct chardev c;
    struct msgdev m;   /* of some: what goes over it does not go over the port */
    struct bh bh;
    struct spinlock lock;
    struct {
        void *cookie;
        u32 len;
    } replies[MESSAGES]; /* lock */
    unsigned nreplies;   /* lock */
    bool open;           /* lock */
    u8 in[16384];      /* requests, not whole yet */
    u32 in_len;
    u8 out[1u << 20];  /* replies, not read yet */
    u32 out_start, out_end;
    u32 truth;         /* of 100 replies so many keep to the rules */
    u64 requests;
} liars[ROUNDS];

static u32 chance(u32 n) { return (u32)(sim_random() % n); }

static void add(struct liar *l, const void *data, u32 len)
{
    if (len <= sizeof(l->out) - l->out_end) {
        memcpy(l->out + l->out_end, data, len);
        l->out_end += len;
    }
}

static u32 put_attr(u8 *p)
{
    static const u32 modes[] = {S_IFREG | 0644, S_IFREG | 0644, S_IFDIR | 0755, S_IFLNK | 0777, S_IFIFO | 0600, 0170000};
    u32 ino = chance(5);
    memset(p, 0, 153);
    put_u64(p + 13, ino);
    put_u32(p + 21, chance(8) == 0 ? (u32)sim_random() : modes[chance(20) == 0 ? 5 : ino]);
    put_u64(p + 33, chance(3));
    put_u64(p + 49, chance(30) == 0 ? sim_random() : chance(3) * 5000);
    put_u64(p + 57, 4096);
    put_u64(p + 81, chance(2));
    put_u64(p + 145, chance(3));
    return 153;
}

static u32 put_names(u8 *p, u32 room)
{
    u32 n = 4;
    for (u32 k = chance(5); k > 0 && n + 24 + 8 < room; k--) {
        u32 len = 1 + chance(6);
        memset(p + n, 0, 24);
        put_u64(p + n + 13, chance(20) == 0 ? sim_random() : sim_random() % 100);
        put_u16(p + n + 22, (u16)(chance(30) == 0 ? sim_random() : len));
        memset(p + n + 24, chance(30) == 0 ? '/' : 'a' + (int)chance(3), len);
        n += 24 + len;
    }
    put_u32(p, n - 4);
    return n;
}

static u32 put_body(u8 type, const u8 *request, u8 *p)
{
    u32 n = chance(40);
    for (u32 k = 0; k < 64; k++)
        p[k] = (u8)sim_random();
    switch (type) {
    case P9_TVERSION:
        put_u32(p, 65536);
        put_u16(p + 4, sizeof(P9_DIALECT) - 1);
        memcpy(p + 6, P9_DIALECT, sizeof(P9_DIALECT) - 1);
        return 6 + sizeof(P9_DIALECT) - 1;
    case P9_TATTACH:
    case P9_TMKDIR:
    case P9_TMKNOD:
    case P9_TSYMLINK:
        return P9_QID;
    case P9_TGETATTR:
        return put_attr(p);
    case P9_TWALK:
        put_u16(p, 1);
        return 2 + P9_QID;
    case P9_TREAD:
        n = MIN(get_u32(request + 19), chance(3) * 3000);
        memset(p + 4, 'x', n);
        put_u32(p, n);
        return 4 + n;
    case P9_TREADDIR:
        return put_names(p, 1000);
    case P9_TWRITE:
        put_u32(p, chance(10) == 0 ? (u32)sim_random() : get_u32(request + 19));
        return 4;
    case P9_TREADLINK:
        put_u16(p, (u16)n);
        memset(p + 2, 'l', n);
        return 2 + n;
    case P9_TSEEK:
    case P9_TXATTRWALK:
        put_u64(p, chance(100));
        return 8;
    }
    return chance(30);
}

static void answer(struct liar *l, const u8 *request)
{
    static u8 reply[REPLY_MAX];
    u8 type = request[4];
    bool honest = chance(100) < l->truth || l->requests++ < 3;
    u32 len = put_body(type, request, reply + P9_HEADER);
    reply[4] = (u8)(type + 1);
    put_u16(reply + 5, get_u16(request + 5));
    if (l->requests > 3 && chance(6) == 0) {
        reply[4] = P9_RLERROR;
        put_u32(reply + P9_HEADER, chance(4) == 0 ? (u32)sim_random() : 1 + chance(40));
        len = 4;
    }
    if (!honest && chance(2) == 0)
        len = chance(200);
    put_u32(reply, P9_HEADER + len);
    if (!honest)
        reply[chance(P9_HEADER + 4)] ^= (u8)(1u << chance(8));
    add(l, reply, P9_HEADER + len);
}

static size_t liar_write(struct chardev *c, const void *buf, size_t len)
{
    struct liar *l = c->driver;
    size_t n = MIN(len, sizeof(l->in) - l->in_len);
    memcpy(l->in + l->in_len, buf, n);
    l->in_len += (u32)n;
    u32 at = 0, size;
    while (l->in_len - at >= P9_HEADER && (size = get_u32(l->in + at)) <= l->in_len - at) {
        answer(l, l->in + at);
        at += size;
    }
    if (l->in_len - at >= P9_HEADER && get_u32(l->in + at) > sizeof(l->in)) { /* a long write: its head is enough */
        answer(l, l->in + at);
        at = l->in_len;
    }
    memmove(l->in, l->in + at, l->in_len - at);
    l->in_len -= at;
    wq_wake_all(&c->wq, 0);
    return n;
}

static size_t liar_read(struct chardev *c, void *buf, size_t len)
{
    struct liar *l = c->driver;
    u32 n = MIN(l->out_end - l->out_start, 1 + chance((u32)MIN(len, (size_t)5000)));
    memcpy(buf, l->out + l->out_start, n);
    l->out_start += n;
    return n;
}

static bool liar_can_read(struct chardev *c) { return ((struct liar *)c->driver)->out_start < ((struct liar *)c->driver)->out_end; }
static bool liar_can_write(struct chardev *c) { return true; }
static const struct chardev_ops liar_ops = {.write = liar_write, .read = liar_read, .can_read = liar_can_read, .can_write = liar_can_write};

/* --- the same by a message device --- */

static int liar_open(struct msgdev *d, unsigned *ret_messages)
{
    struct liar *l = d->driver;
    l->open = true;
    *ret_messages = MESSAGES;
    return chance(10) == 0 ? -EIO : 0;
}

static u32 gather(const struct msg_seg *segs, unsigned n, u8 *to, u32 room)
{
    u32 len = 0;
    for (unsigned k = 0; k < n && len < room; k++) {
        u32 part = MIN(segs[k].len, room - len);
        memcpy(to + len, segs[k].data, part);
        len += part;
    }
    return len;
}

static u32 scatter(const struct msg_seg *segs, unsigned n, const u8 *from, u32 len)
{
    u32 done = 0;
    for (unsigned k = 0; k < n && done < len; k++) {
        u32 part = MIN(segs[k].len, len - done);
        memcpy(segs[k].data, from + done, part);
        done += part;
    }
    return done;
}

static int liar_post(struct msgdev *d, const struct msg_seg *segs, unsigned nout, unsigned nin, void *cookie)
{
    struct liar *l = d->driver;
    CHECK(nout > 0 && nin > 0 && nout + nin <= MSG_SEGS);
    u32 len = gather(segs, nout, l->in, sizeof(l->in));
    CHECK(len >= P9_HEADER && (get_u32(l->in) == len || len == sizeof(l->in)));
    l->out_end = 0;
    answer(l, l->in);
    u32 got = scatter(segs + nout, nin, l->out, l->out_end);
    spin_lock_bh(&l->lock);
    CHECK(l->nreplies < MESSAGES);
    l->replies[l->nreplies].cookie = cookie;
    l->replies[l->nreplies++].len = l->truth == 100 || chance(60) != 0 ? got : chance(got + 1);
    spin_unlock_bh(&l->lock);
    return 0;
}

static void liar_bh(struct bh *bh)
{
    struct liar *l = container_of(bh, struct liar, bh);
    spin_lock_bh(&l->lock);
    for (unsigned k = 0; k < l->nreplies && l->open; k++)
        l->m.replied(&l->m, l->truth == 100 || chance(200) != 0 ? l->replies[k].cookie : NULL, l->replies[k].len);
    l->nreplies = 0;
    spin_unlock_bh(&l->lock);
}

static void liar_kick(struct msgdev *d) { bh_raise(&((struct liar *)d->driver)->bh); }

static void liar_close(struct msgdev *d)
{
    struct liar *l = d->driver;
    spin_lock_bh(&l->lock);
    l->open = false;
    l->nreplies = 0;
    spin_unlock_bh(&l->lock);
}

static const struct msgdev_ops liar_msg_ops = {.open = liar_open, .post = liar_post, .kick = liar_kick, .close = liar_close};

static void add_message_device(struct liar *l)
{
    memcpy(l->m.name, l->c.name, sizeof(l->c.name));
    l->m.ops = &liar_msg_ops;
    l->m.driver = l;
    spin_init(&l->lock, "liar");
    bh_init(&l->bh, liar_bh);
    msgdev_register(&l->m);
}

static void add_liar(struct liar *l, unsigned k)
{
    fmt_snprintf(l->c.name, sizeof(l->c.name), P9_PORT "%u", k);
    l->c.ops = &liar_ops;
    l->c.driver = l;
    l->c.host_open = l->c.host_was_open = true;
    l->truth = k % 4 == 0 ? 100 : 90 + chance(10);
    wq_init(&l->c.wq, "liar");
    chardev_register(&l->c);
    if (k % 8 >= 4)
        add_message_device(l);
}

static void use(const char *path)
{
    static char buf[20000];
    struct kstat s;
    struct path p;
    struct file *f;
    stat_of(path, LOOKUP_NOFOLLOW, &s);
    if (vfs_lookup(&as_root, path, LOOKUP_NOFOLLOW, &p) == 0) {
        vfs_readlink(&p, buf, sizeof(buf));
        vfs_getxattr(&p, &kernel_cred, "user.x", buf, 50);
        vfs_setxattr(&p, &kernel_cred, "user.x", "v", 1, 0);
        vfs_listxattr(&p, buf, 50);
        vfs_truncate(&p, &kernel_cred, chance(9000));
        path_put(&p);
    }
    if (vfs_open(&as_root, path, chance(2) != 0 ? O_RDWR | O_CREAT | O_NONBLOCK : O_RDONLY | O_NONBLOCK, 0644, 0, &f) != 0)
        return;
    if (S_ISREG(f->inode->mode)) {
        f_read(f, buf, sizeof(buf));
        f_write(f, buf, 1000);
        f->flags |= O_APPEND;
        f_write(f, buf, 10);
        vfs_fsync(f, false);
        vfs_fallocate(f, 0, 0, 100);
        vfs_seek(f, 0, 3);
    } else if (S_ISDIR(f->inode->mode)) {
        struct list_names l = {.e.emit = list_fn};
        vfs_iterate(f, &l.e);
    }
    file_put(f);
}

TEST(lying_server)
{
    boot_tmpfs();
    CHECK_EQ(vfs_mkdir(&as_root, "/m", 0755), 0);
    for (unsigned k = 0; k < ROUNDS; k++) {
        add_liar(&liars[k], k);
        char name[32];
        fmt_snprintf(name, sizeof(name), P9_PORT "%u", k);
        if (vfs_mount(&as_root, "9p", name, "/m", 0, NULL) != 0)
            continue;
        CHECK_EQ(vfs_mount(&as_root, "9p", name, "/m", 0, NULL), -EBUSY);
        for (unsigned n = 0; n < 20; n++) {
            static const char *const paths[] = {"/m", "/m/a", "/m/b", "/m/c/d", "/m/a/e"};
            use(paths[chance(5)]);
            vfs_mkdir(&as_root, paths[chance(5)], 0755);
            vfs_symlink(&as_root, "target", paths[chance(5)]);
            vfs_rename(&as_root, paths[chance(5)], &as_root, paths[chance(5)], chance(3));
            vfs_unlink(&as_root, paths[chance(5)]);
            vfs_rmdir(&as_root, paths[chance(5)]);
            thread_sleep_until(now_ns() + chance(200) * NSEC_PER_MSEC, false);
        }
        CHECK_EQ(vfs_umount(&as_root, "/m", 0), 0);
    }
}
