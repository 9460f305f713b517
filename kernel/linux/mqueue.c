/* SPDX-License-Identifier: Apache-2.0 */
/*
 * POSIX message queues (mq_overview(7)). A queue is a file of the file system "mqueue", which is mounted on /dev/mqueue;
 * the calls look names up there whatever the caller's root is.
 *
 *   P1  Messages are in order of priority, oldest first of each; no receiver waits while there are any, no sender while
 *       there is room.
 *
 * Locks: mq_making > inode locks: what mq_open() asks of a new queue. q->lock: a queue; a leaf, but for waking.
 */
#include "sysv_ipc.h" /* waiting */
#include "base/fmt.h"
#include "base/str.h"
#include "kern/poll.h"

#define MQ_PRIO_MAX 32768u
#define MQ_HARD_MSGS 65536
#define MQ_HARD_SIZE (16 << 20)
#define SI_MESGQ (-3)

struct abi_mq_attr {
    s64 flags, max, size, count;
    s64 reserved[4];
};

struct mq_msg {
    struct list node;
    u32 prio;
    u64 size;
    u8 data[];
};

struct mq_notice {
    struct process *owner; /* a reference; NULL: nobody */
    struct ksiginfo info;  /* signo 0: told by nothing (SIGEV_NONE) */
    s32 how;
};

struct mqueue {
    struct spinlock lock;
    struct waitqueue wq;   /* poll */
    struct list msgs, receivers, senders;
    s64 max, size;         /* c */
    u64 count, bytes;
    struct mq_notice notice;
    struct list node;      /* mq_list */
    u32 uid;               /* c */
    u64 charge;            /* c: against RLIMIT_MSGQUEUE of uid */
};

struct mq_wait {
    struct ipc_wait wait;
    struct mq_msg *msg;
};

static struct { u32 queues_max, msg_max, msgsize_max, msg_default, msgsize_default; } limits = {256, 10, 8192, 10, 8192};
static struct superblock *mq_super;
static struct mutex mq_making;
static const struct abi_mq_attr *wanted; /* mq_making */
static struct spinlock mq_list_lock = SPINLOCK_INIT("mqueues");
static struct list mq_list = LIST_INIT(mq_list);
static const struct file_ops mq_file_ops;

/* --- messages -------------------------------------------------------------------------------- */

static void enqueue(struct mqueue *q, struct mq_msg *m)
{
    struct list *at = q->msgs.prev;
    while (at != &q->msgs && list_entry(at, struct mq_msg, node)->prio < m->prio)
        at = at->prev;
    list_insert_after(at, &m->node);
    q->count++;
    q->bytes += m->size;
}

/* To a receiver, or queued. True: it is the first and nobody waited for it. q->lock held. */
static bool deliver(struct mqueue *q, struct mq_msg *m)
{
    if (!list_empty(&q->receivers)) {
        struct mq_wait *w = list_first(&q->receivers, struct mq_wait, wait.node);
        w->msg = m;
        ipc_wait_end(&w->wait, 0);
        return false;
    }
    enqueue(q, m);
    return q->count == 1;
}

static struct mq_msg *take(struct mqueue *q)
{
    struct mq_msg *m = list_entry(list_pop_front(&q->msgs), struct mq_msg, node);
    q->count--;
    q->bytes -= m->size;
    if (!list_empty(&q->senders)) {
        struct mq_wait *w = list_first(&q->senders, struct mq_wait, wait.node);
        enqueue(q, w->msg);
        w->msg = NULL;
        ipc_wait_end(&w->wait, 0);
    }
    return m;
}

/* --- telling of a message in an empty queue (mq_notify(3)) ------------------------------------------- */

/* q->lock held; the caller gives the owner back. */
static struct mq_notice take_notice(struct mqueue *q)
{
    struct mq_notice n = q->notice;
    q->notice.owner = NULL;
    return n;
}

static void tell(struct mq_notice *n)
{
    if (n->owner == NULL)
        return;
    if (n->how == SIGEV_SIGNAL && n->info.signo != 0) { /* 0 is allowed, and none */
        n->info.rt.pid = (s32)current_process()->pid;
        n->info.rt.uid = current_cred()->uid;
        (void)signal_send_process(n->owner, &n->info, NULL);
    }
    process_put(n->owner);
}

/* A descriptor of the process is closed: it is not told any more. */
static void mq_flush(struct file *f)
{
    struct mqueue *q = f->inode->private;
    struct mq_notice n = {0};
    spin_lock(&q->lock);
    if (q->notice.owner == current_process())
        n = take_notice(q);
    spin_unlock(&q->lock);
    process_put(n.owner);
}

static s64 set_notice(struct mqueue *q, const struct abi_sigevent *ev)
{
    struct mq_notice old = {0};
    s64 r = 0;
    spin_lock(&q->lock);
    if (ev == NULL) {
        if (q->notice.owner == current_process())
            old = take_notice(q);
    } else if (q->notice.owner != NULL) {
        r = -EBUSY;
    } else {
        q->notice = (struct mq_notice){.owner = process_get(current_process()), .how = ev->notify};
        q->notice.info = (struct ksiginfo){.signo = ev->signo, .code = SI_MESGQ, .rt.value = ev->value};
    }
    spin_unlock(&q->lock);
    process_put(old.owner);
    return r;
}

/* --- the file system ------------------------------------------------------------------------------------ */

static u64 charge_of(s64 max, s64 size)
{
    return (u64)max * (u64)size + (u64)max * sizeof(void *) + MIN((u64)max, (u64)MQ_PRIO_MAX) * 48; /* as Linux counts */
}

/* mq_list_lock held. */
static int within_limits(const struct mqueue *q)
{
    u64 bytes = q->charge;
    u32 n = 0;
    list_for_each(o, &mq_list, struct mqueue, node) {
        bytes += o->uid == q->uid ? o->charge : 0;
        n++;
    }
    if (n >= limits.queues_max && !capable(CAP_SYS_RESOURCE))
        return -ENOSPC;
    return bytes > rlimit_of(current_process(), RLIMIT_MSGQUEUE) ? -EMFILE : 0;
}

static int queue_create(struct mqueue **ret)
{
    bool ours = mutex_held(&mq_making) && wanted != NULL; /* else open(2) makes it */
    struct mqueue *q = kzalloc(sizeof *q);
    if (q == NULL)
        return -ENOMEM;
    spin_init(&q->lock, "mqueue");
    wq_init(&q->wq, "mqueue");
    list_init(&q->msgs);
    list_init(&q->receivers);
    list_init(&q->senders);
    q->max = ours ? wanted->max : MIN(limits.msg_max, limits.msg_default);
    q->size = ours ? wanted->size : MIN(limits.msgsize_max, limits.msgsize_default);
    q->charge = charge_of(q->max, q->size);
    q->uid = current_cred()->uid;
    spin_lock(&mq_list_lock);
    int r = within_limits(q);
    if (r == 0)
        list_push_back(&mq_list, &q->node);
    spin_unlock(&mq_list_lock);
    if (r < 0)
        kfree(q);
    else
        *ret = q;
    return r;
}

static void queue_destroy(struct mqueue *q)
{
    spin_lock(&mq_list_lock);
    list_remove(&q->node);
    spin_unlock(&mq_list_lock);
    list_for_each_safe(m, &q->msgs, struct mq_msg, node)
        kfree(m);
    process_put(q->notice.owner);
    kfree(q);
}

static int mq_setattr(struct inode *i, const struct setattr *a)
{
    inode_apply_attrs(i, a);
    return 0;
}

static const struct inode_ops mq_inode_ops = {.setattr = mq_setattr};

static int mq_create(struct inode *dir, struct dentry *d, u32 mode, const struct cred *c)
{
    static u64 last_ino = 1;
    struct mqueue *q;
    int r = queue_create(&q);
    if (r < 0)
        return r;
    struct inode *i = inode_create(dir->sb, mode);
    if (i == NULL) {
        queue_destroy(q);
        return -ENOMEM;
    }
    inode_init_owner(i, dir, mode, c);
    i->ino = atomic_add(&last_ino, 1u);
    i->ops = &mq_inode_ops;
    i->fops = &mq_file_ops;
    i->private = q;
    i->mapping.size_bytes = 80; /* what read() gives */
    dentry_attach(d, i);
    dentry_pin(d);
    dir->mtime_ns = dir->ctime_ns = vfs_time_ns();
    return 0;
}

static int mq_unlink(struct inode *dir, struct dentry *d)
{
    d->inode->nlink--;
    dir->mtime_ns = dir->ctime_ns = d->inode->ctime_ns = vfs_time_ns();
    dentry_unpin(d);
    return 0;
}

static int mq_lookup(struct inode *dir, struct dentry *d) { return 0; } /* what there is is in the cache */

static const struct inode_ops mq_dir_ops = {.lookup = mq_lookup, .create = mq_create, .unlink = mq_unlink, .setattr = mq_setattr};

static void mq_evict(struct inode *i)
{
    if (i->private != NULL)
        queue_destroy(i->private);
}

static const struct super_ops mq_super_ops = {.evict_inode = mq_evict};

/* There is one; each mount shows it. */
static int mq_mount(const char *source, u64 flags, const char *data, struct superblock **ret)
{
    if (mq_super == NULL) { /* under the mounts' mutex */
        struct superblock *sb = super_create("mqueue", &mq_super_ops);
        struct inode *root = sb != NULL ? inode_create(sb, S_IFDIR | 01777) : NULL;
        if (root != NULL) {
            root->ino = 1;
            root->nlink = 2;
            root->ops = &mq_dir_ops;
            root->fops = &generic_dir_ops;
            sb->root = dentry_create_root(sb, root);
        }
        if (sb == NULL || sb->root == NULL) {
            super_put(sb);
            return -ENOMEM;
        }
        mq_super = sb; /* keeps the first reference */
    }
    ref_get(&mq_super->active);
    *ret = mq_super;
    return 0;
}

static const struct fs_type mq_type = {.name = "mqueue", .mount = mq_mount, .nodev = true};

/* --- the file -------------------------------------------------------------------------------------------- */

static s64 mq_read(struct file *f, struct uio *u, u64 *pos)
{
    struct mqueue *q = f->inode->private;
    char text[96];
    spin_lock(&q->lock);
    const struct mq_notice *n = &q->notice;
    int len = fmt_snprintf(text, sizeof text, "QSIZE:%-10llu NOTIFY:%-5d SIGNO:%-5d NOTIFY_PID:%-6u\n", (unsigned long long)q->bytes,
                           n->owner != NULL ? n->how : 0, n->owner != NULL && n->how == SIGEV_SIGNAL ? n->info.signo : 0,
                           n->owner != NULL ? n->owner->pid : 0);
    spin_unlock(&q->lock);
    if (*pos >= (u64)len)
        return 0;
    s64 r = uio_copy_out(u, text + *pos, (u64)len - *pos);
    if (r > 0)
        *pos += (u64)r;
    return r;
}

static u32 mq_poll(struct file *f, struct poll_table *pt)
{
    struct mqueue *q = f->inode->private;
    poll_wait(&q->wq, pt);
    u64 n = atomic_load(&q->count);
    return (n != 0 ? POLLIN | POLLRDNORM : 0) | (n < (u64)q->max ? POLLOUT | POLLWRNORM : 0);
}

static const struct file_ops mq_file_ops = {.read = mq_read, .seek = generic_file_seek, .poll = mq_poll, .flush = mq_flush};

/* --- the calls --------------------------------------------------------------------------------------------- */

/* The directory of all queues, kept from the first call on. -ENOSYS: it is not mounted. */
static int mq_root(struct path *ret)
{
    static struct path root; /* mq_making */
    int r = 0;
    mutex_lock(&mq_making);
    if (root.dentry == NULL) {
        struct lookup l = {.fs = fs_ctx_create(), .cred = &kernel_cred};
        r = l.fs != NULL ? vfs_lookup(&l, "/dev/mqueue", 0, &root) : -ENOMEM;
        fs_ctx_put(l.fs);
        if (r == 0 && root.dentry->sb != mq_super)
            path_put(&root);
        if (r != 0 || root.dentry == NULL)
            r = r == -ENOMEM ? r : -ENOSYS;
    }
    *ret = root;
    mutex_unlock(&mq_making);
    return r;
}

/* A name for the calls: 0 and *ret to be given to name_put(), and the lookup for it. */
static int mq_name(uaddr_t uname, struct path *root, struct lookup *ret_lookup, char **ret)
{
    char *name;
    int r = mq_root(root);
    if (r == 0)
        r = name_get(uname, 0, &name);
    if (r < 0)
        return r;
    r = strchr(name, '/') != NULL || strcmp(name, ".") == 0 || strcmp(name, "..") == 0 ? -EACCES :
        strlen(name) > NAME_MAX ? -ENAMETOOLONG : 0;
    if (r < 0) {
        name_put(name);
        return r;
    }
    *ret_lookup = (struct lookup){.fs = current_task()->fs, .cred = current_cred(), .at = root};
    *ret = name;
    return 0;
}

static int check_attr(const struct abi_mq_attr *a)
{
    bool more = capable(CAP_SYS_RESOURCE);
    s64 max = more ? MQ_HARD_MSGS : (s64)limits.msg_max, size = more ? MQ_HARD_SIZE : (s64)limits.msgsize_max;
    return a->max <= 0 || a->size <= 0 || a->max > max || a->size > size ? -EINVAL : 0;
}

/* O_CREAT with attributes: nobody else makes a queue meanwhile. */
static int open_with(const struct lookup *l, const char *name, u32 flags, u32 mode, const struct abi_mq_attr *attr, struct file **ret)
{
    mutex_lock(&mq_making);
    wanted = attr;
    int r = vfs_open(l, name, flags, mode, 0, ret);
    wanted = NULL;
    mutex_unlock(&mq_making);
    return r;
}

s64 sys_mq_open(uaddr_t uname, int uflags, u32 mode, uaddr_t uattr)
{
    u32 flags = (u32)uflags & (O_ACCMODE | O_CREAT | O_EXCL | O_NONBLOCK | O_CLOEXEC);
    struct abi_mq_attr attr;
    struct lookup l;
    struct path root;
    struct file *f;
    char *name;
    if (uattr != 0 && copy_from_user(&attr, uattr, sizeof attr) < 0)
        return -EFAULT;
    if ((flags & O_ACCMODE) == O_ACCMODE)
        return -EINVAL;
    s64 r = mq_name(uname, &root, &l, &name);
    if (r < 0)
        return r;
    r = vfs_open(&l, name, flags & ~(O_CREAT | O_EXCL), 0, 0, &f);
    if (r == 0 && (flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL)) {
        file_put(f);
        r = -EEXIST;
    } else if (r == -ENOENT && flags & O_CREAT) {
        r = uattr != 0 ? check_attr(&attr) : 0;
        if (r == 0)
            r = open_with(&l, name, flags, mode & 0777, uattr != 0 ? &attr : NULL, &f);
    }
    name_put(name);
    if (r < 0)
        return r;
    r = fd_install(current_files(), f, 0, true);
    if (r < 0)
        file_put(f);
    return r;
}

s64 sys_mq_unlink(uaddr_t uname)
{
    struct lookup l;
    struct path root;
    char *name;
    s64 r = mq_name(uname, &root, &l, &name);
    if (r < 0)
        return r;
    r = vfs_unlink(&l, name);
    name_put(name);
    return r;
}

/* A descriptor of a queue, open for what the call does. NULL. */
static struct file *mq_file(int fd, bool write, bool any)
{
    struct file *f = file_of(fd);
    if (f != NULL && f->ops == &mq_file_ops && (any || (write ? f->can_write : f->can_read)))
        return f;
    if (f != NULL)
        file_put(f);
    return NULL;
}

static s64 send(struct file *f, struct mq_wait *w, u64 deadline)
{
    struct mqueue *q = f->inode->private;
    struct mq_notice notice = {0};
    spin_lock(&q->lock);
    if (q->count < (u64)q->max) {
        if (deliver(q, w->msg))
            notice = take_notice(q);
        w->msg = NULL;
        spin_unlock(&q->lock);
        wq_wake(&q->wq, POLLIN | POLLRDNORM);
        tell(&notice);
        return 0;
    }
    if (f->flags & O_NONBLOCK) {
        spin_unlock(&q->lock);
        return -EAGAIN;
    }
    list_push_back(&q->senders, &w->wait.node);
    return ipc_wait(&w->wait, &q->lock, deadline);
}

s64 sys_mq_timedsend(int fd, uaddr_t umsg, u64 size, u32 prio, uaddr_t timeout)
{
    u64 deadline;
    s64 r = get_timeout(timeout, CLOCK_REALTIME, &deadline);
    if (r < 0)
        return r;
    if (prio >= MQ_PRIO_MAX)
        return -EINVAL;
    struct file *f = mq_file(fd, true, false);
    if (f == NULL)
        return -EBADF;
    struct mq_wait w = {.wait.thread = current_thread()};
    if (size > (u64)((struct mqueue *)f->inode->private)->size)
        r = -EMSGSIZE;
    else if ((w.msg = kmalloc(sizeof *w.msg + size, 0)) == NULL)
        r = -ENOMEM;
    else
        r = copy_from_user(w.msg->data, umsg, size);
    if (r == 0) {
        w.msg->prio = prio;
        w.msg->size = size;
        r = send(f, &w, deadline);
    }
    kfree(w.msg);
    file_put(f);
    return r;
}

static s64 receive(struct file *f, struct mq_wait *w, u64 deadline)
{
    struct mqueue *q = f->inode->private;
    spin_lock(&q->lock);
    if (q->count != 0) {
        w->msg = take(q);
        spin_unlock(&q->lock);
        wq_wake(&q->wq, POLLOUT | POLLWRNORM);
        return 0;
    }
    if (f->flags & O_NONBLOCK) {
        spin_unlock(&q->lock);
        return -EAGAIN;
    }
    list_push_back(&q->receivers, &w->wait.node);
    return ipc_wait(&w->wait, &q->lock, deadline);
}

s64 sys_mq_timedreceive(int fd, uaddr_t umsg, u64 room, uaddr_t uprio, uaddr_t timeout)
{
    u64 deadline;
    s64 r = get_timeout(timeout, CLOCK_REALTIME, &deadline);
    if (r < 0)
        return r;
    struct file *f = mq_file(fd, false, false);
    if (f == NULL)
        return -EBADF;
    struct mq_wait w = {.wait.thread = current_thread()};
    r = room < (u64)((struct mqueue *)f->inode->private)->size ? -EMSGSIZE : receive(f, &w, deadline);
    if (r == 0) {
        r = (s64)w.msg->size;
        if ((uprio != 0 && put_user_u32(uprio, w.msg->prio) < 0) || copy_to_user(umsg, w.msg->data, w.msg->size) < 0)
            r = -EFAULT;
    }
    kfree(w.msg);
    file_put(f);
    return r;
}

s64 sys_mq_notify(int fd, uaddr_t uevent)
{
    struct abi_sigevent ev;
    if (uevent != 0) {
        if (copy_from_user(&ev, uevent, sizeof ev) < 0)
            return -EFAULT;
        if (ev.notify == SIGEV_THREAD)
            return -ENOSYS; /* wants a message on a netlink socket */
        if ((ev.notify != SIGEV_NONE && ev.notify != SIGEV_SIGNAL) || (ev.notify == SIGEV_SIGNAL && (ev.signo < 0 || ev.signo > NSIG)))
            return -EINVAL;
    }
    struct file *f = mq_file(fd, false, true);
    if (f == NULL)
        return -EBADF;
    s64 r = set_notice(f->inode->private, uevent != 0 ? &ev : NULL);
    file_put(f);
    return r;
}

s64 sys_mq_getsetattr(int fd, uaddr_t unew, uaddr_t uold)
{
    struct abi_mq_attr new = {0};
    if (unew != 0 && copy_from_user(&new, unew, sizeof new) < 0)
        return -EFAULT;
    if (new.flags & ~(s64)O_NONBLOCK)
        return -EINVAL;
    struct file *f = mq_file(fd, false, true);
    if (f == NULL)
        return -EBADF;
    struct mqueue *q = f->inode->private;
    struct abi_mq_attr old = {.flags = f->flags & O_NONBLOCK, .max = q->max, .size = q->size, .count = (s64)atomic_load(&q->count)};
    if (unew != 0 && new.flags)
        atomic_or(&f->flags, O_NONBLOCK);
    else if (unew != 0)
        atomic_and(&f->flags, ~O_NONBLOCK);
    file_put(f);
    return uold != 0 ? copy_to_user(uold, &old, sizeof old) : 0;
}

void mqueue_init(void)
{
    mutex_init(&mq_making, "mqueue making");
    fs_register(&mq_type);
    sysctl_add("fs/mqueue/queues_max", &limits.queues_max);
    sysctl_add("fs/mqueue/msg_max", &limits.msg_max);
    sysctl_add("fs/mqueue/msgsize_max", &limits.msgsize_max);
    sysctl_add("fs/mqueue/msg_default", &limits.msg_default);
    sysctl_add("fs/mqueue/msgsize_default", &limits.msgsize_default);
}
