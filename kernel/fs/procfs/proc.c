/* SPDX-License-Identifier: Apache-2.0 */
/* procfs as a file system: inodes, directories, and files that are rendered when read. */
#include "proc_impl.h"
#include "kern/thread.h"

#define TEXT_MAX (16u << 20)
#define PID_POS 0x100000000ULL /* root directory: positions of processes */

/* --- inodes ----------------------------------------------------------------------- */

static struct inode *inode_of(struct superblock *sb, const struct proc_inode *what, u32 mode)
{
    struct proc_inode *p = kmalloc(sizeof(*p), 0);
    struct inode *i = inode_create(sb, mode);
    if (p == NULL || i == NULL) {
        kfree(p);
        inode_put(i);
        return NULL;
    }
    *p = *what;
    i->private = p;
    if (what->kind == PROC_NODE)
        i->ino = what->node->ino;
    else
        i->ino = ((u64)what->pid << 32) | ((u64)what->kind << 27) | ((what->tid * 256 + what->index) & 0x7ffffff);
    i->nlink = S_ISDIR(mode) ? 2 : 1;
    if (S_ISDIR(mode)) {
        i->ops = &proc_dir_inode_ops;
        i->fops = &proc_dir_ops;
    } else if (S_ISLNK(mode)) {
        i->ops = &proc_link_inode_ops;
        i->mapping.size_bytes = what->kind == PROC_NODE ? strlen(what->node->target) : 0;
    } else {
        i->ops = &proc_file_inode_ops;
        i->fops = what->kind == PROC_MEM ? &proc_mem_ops : &proc_file_ops;
    }
    if (what->pid != 0 && proc_pids->owner != NULL)
        proc_pids->owner(what->pid, mode, &i->uid, &i->gid);
    return i;
}

int proc_attach(struct inode *dir, struct dentry *d, const struct proc_inode *what, u32 mode)
{
    struct inode *i = inode_of(dir->sb, what, mode);
    if (i == NULL)
        return -ENOMEM;
    d->transient = what->pid != 0;
    dentry_attach(d, i);
    return 0;
}

static void proc_evict(struct inode *i) { kfree(i->private); }

static bool proc_revalidate(struct dentry *d)
{
    if (d->inode == NULL)
        return false; /* it may have come into being */
    struct proc_inode *p = proc_i(d->inode);
    return p->kind < PROC_PID_DIR || proc_pid_valid(p);
}

static int proc_lookup(struct inode *dir, struct dentry *d)
{
    struct proc_inode *p = proc_i(dir), what = {.kind = PROC_NODE};
    d->transient = true; /* what is not there now, and what goes with a process */
    if (p->kind != PROC_NODE)
        return proc_pid_lookup(dir, d);
    int err = proc_fill(p->node);
    if (err != 0)
        return err;
    mutex_lock(&proc_lock);
    what.node = proc_find(p->node, d->name, d->name_len);
    mutex_unlock(&proc_lock);
    if (what.node != NULL)
        return proc_attach(dir, d, &what, what.node->mode);
    if (p->node != proc_tree.root || proc_pids == NULL)
        return 0;
    if (strcmp(d->name, "self") == 0)
        what.kind = PROC_SELF;
    else if (strcmp(d->name, "thread-self") == 0)
        what.kind = PROC_THREAD_SELF;
    if (what.kind != PROC_NODE)
        return proc_attach(dir, d, &what, S_IFLNK | 0777);
    if (!proc_parse_number(d->name, d->name_len, &what.pid) || !proc_pids->exists(what.pid))
        return 0;
    what.kind = PROC_PID_DIR;
    return proc_attach(dir, d, &what, S_IFDIR | 0555);
}

static s64 proc_readlink(struct inode *i, char *buf, size_t size)
{
    struct proc_inode *p = proc_i(i);
    char text[48];
    const char *s = text;
    if (p->kind > PROC_THREAD_SELF)
        return proc_pid_readlink(p, buf, size);
    if (p->kind == PROC_NODE)
        s = p->node->target;
    else if (p->kind == PROC_SELF)
        fmt_snprintf(text, sizeof(text), "%u", proc_pids->self());
    else
        fmt_snprintf(text, sizeof(text), "%u/task/%u", proc_pids->self(), proc_pids->thread_self());
    size_t n = MIN(strlen(s), size);
    memcpy(buf, s, n);
    return (s64)n;
}

static int proc_follow(struct inode *i, struct path *ret)
{
    struct proc_inode *p = proc_i(i);
    *ret = (struct path){NULL, NULL};
    return p->kind > PROC_THREAD_SELF ? proc_pid_follow(p, ret) : 0; /* 0 without a path: go by the text */
}

static int proc_getattr(struct inode *i, struct kstat *s)
{
    struct proc_inode *p = proc_i(i);
    const struct proc_tree *tree = i->sb->private;
    if (p->kind == PROC_FDINFO_DIR)
        s->mode |= 0055; /* as Linux shows it, where nobody else may look either */
    if (p->pid != 0 && proc_pids->owner != NULL)
        proc_pids->owner(p->pid, s->mode, &s->uid, &s->gid);
    s->atime_ns = s->mtime_ns = s->ctime_ns = vfs_time_ns();
    s->blocks_512 = 0;
    if (S_ISLNK(s->mode) && p->kind == PROC_FD) {
        s->size = 64;
        s->mode = S_IFLNK | proc_fd_mode(p);
    } else if (S_ISREG(s->mode))
        s->size = tree->file_size;
    s->block_size = 1024;
    return 0;
}

static int proc_setattr(struct inode *i, const struct setattr *a)
{
    return (a->valid & ~(SETATTR_SIZE | SETATTR_MTIME | SETATTR_CTIME)) == 0 ? 0 : -EPERM; /* O_TRUNC is harmless */
}

/* A process may look at its own descriptors whatever it has become: /proc/self/fd is root's when it has changed its user. */
static bool proc_grants(const struct inode *i)
{
    const struct proc_inode *p = proc_i(i);
    return (p->kind == PROC_FD_DIR || p->kind == PROC_FDINFO_DIR) && p->pid == proc_pids->self();
}

const struct inode_ops proc_dir_inode_ops = {.lookup = proc_lookup, .getattr = proc_getattr, .grants = proc_grants};
const struct inode_ops proc_link_inode_ops = {.readlink = proc_readlink, .follow = proc_follow, .getattr = proc_getattr};
const struct inode_ops proc_file_inode_ops = {.getattr = proc_getattr, .setattr = proc_setattr};

/* --- directories -------------------------------------------------------------------- */

/* The k-th child of a node, or NULL. */
static struct proc_node *child_at(struct proc_node *dir, u64 k)
{
    struct proc_node *found = NULL;
    mutex_lock(&proc_lock);
    list_for_each(n, &dir->children, struct proc_node, sibling) {
        if (k-- == 0) {
            found = n;
            break;
        }
    }
    mutex_unlock(&proc_lock);
    return found;
}

static int iterate_node(struct proc_node *dir, u64 *pos, struct dir_emit *e)
{
    struct proc_node *n;
    int err = proc_fill(dir);
    if (err != 0)
        return err;
    while (*pos < PID_POS && (n = child_at(dir, *pos - 2)) != NULL) {
        if (!e->emit(e, n->name, strlen(n->name), n->ino, mode_to_dtype(n->mode), *pos + 1))
            return 0;
        (*pos)++;
    }
    if (dir != proc_tree.root || proc_pids == NULL)
        return 0;
    static const char *const selves[] = {"self", "thread-self"};
    if (*pos < PID_POS - 2)
        *pos = PID_POS - 2;
    for (; *pos < PID_POS; (*pos)++) {
        const char *s = selves[*pos - (PID_POS - 2)];
        if (!e->emit(e, s, strlen(s), 2, DT_LNK, *pos + 1))
            return 0;
    }
    u32 pid;
    while ((pid = proc_pids->next_pid((u32)(*pos - PID_POS))) != 0) {
        char text[16];
        int len = fmt_snprintf(text, sizeof(text), "%u", pid);
        if (!e->emit(e, text, (size_t)len, ((u64)pid << 32) | 1, DT_DIR, PID_POS + pid))
            return 0;
        *pos = PID_POS + pid;
    }
    return 0;
}

static int proc_iterate(struct file *f, u64 *pos, struct dir_emit *e)
{
    struct proc_inode *p = proc_i(f->inode);
    if (dir_emit_dots(f, pos, e) != 0)
        return 0;
    return p->kind == PROC_NODE ? iterate_node(p->node, pos, e) : proc_pid_iterate(f->inode, pos, e);
}

static int proc_fsync(struct file *f, bool data_only) { return 0; }

const struct file_ops proc_dir_ops = {.iterate = proc_iterate, .seek = generic_dir_seek, .fsync = proc_fsync};

/* --- files ---------------------------------------------------------------------------- */

struct proc_text {
    struct mutex lock;
    size_t len;
    char *bytes; /* NULL = not made yet */
};

static size_t show(const struct proc_inode *p, char *buf, size_t size)
{
    if (p->kind != PROC_NODE)
        return proc_pid_show(p, buf, size);
    return p->node->show != NULL ? p->node->show(p->node->arg, buf, size) : 0;
}

static int render(const struct proc_inode *p, struct proc_text *t)
{
    if (p->kind >= PROC_PID_DIR && !proc_pid_valid(p))
        return -ESRCH;
    size_t size = p->kind == PROC_NODE ? 1024 : 4000;
    for (unsigned tries = 0; tries < 8 && size <= TEXT_MAX; tries++) {
        char *buf = kmalloc(size, 0);
        if (buf == NULL)
            return -ENOMEM;
        size_t n = show(p, buf, size);
        if (n < size) { /* formatters need room for an end byte */
            kfree(t->bytes);
            t->bytes = buf;
            t->len = n;
            return 0;
        }
        kfree(buf);
        size = n + n / 4 + 64;
    }
    return -ENOMEM;
}

static int proc_open(struct inode *i, struct file *f)
{
    const struct proc_tree *tree = i->sb->private;
    if (tree->refuses_writers && (f->flags & O_ACCMODE) != O_RDONLY && (i->mode & 0222) == 0)
        return -EACCES;
    struct proc_text *t = kzalloc(sizeof(*t));
    if (t == NULL)
        return -ENOMEM;
    mutex_init(&t->lock, "proc_text");
    f->private = t;
    return 0;
}

static void proc_release(struct file *f)
{
    struct proc_text *t = f->private;
    kfree(t->bytes);
    kfree(t);
}

static s64 proc_read(struct file *f, struct uio *u, u64 *pos)
{
    struct proc_text *t = f->private;
    s64 n = 0;
    mutex_lock(&t->lock);
    int err = *pos == 0 || t->bytes == NULL ? render(proc_i(f->inode), t) : 0;
    if (err != 0)
        n = err;
    else if (*pos < t->len)
        n = uio_copy_out(u, t->bytes + *pos, t->len - *pos);
    mutex_unlock(&t->lock);
    if (n > 0)
        *pos += (u64)n;
    return n;
}

static s64 proc_write(struct file *f, struct uio *u, u64 *pos)
{
    struct proc_inode *p = proc_i(f->inode);
    u64 len = u->remaining;
    if (len >= PAGE_SIZE)
        return -EINVAL;
    if (p->kind == PROC_NODE ? p->node->store == NULL : p->kind != PROC_FILE || proc_pids->store == NULL)
        return -EIO;
    char *text = kmalloc(len + 1, 0);
    if (text == NULL)
        return -ENOMEM;
    s64 n = len > 0 ? uio_copy_in(u, text, len) : 0;
    if (n == (s64)len) {
        text[len] = 0;
        int err = p->kind == PROC_NODE ? p->node->store(p->node->arg, text, len)
                                       : proc_pids->store(p->pid, p->tid, proc_pids->names[p->index], text, len);
        if (err != 0)
            n = err;
        else
            *pos += len;
    } else if (n >= 0) {
        n = -EFAULT;
    }
    kfree(text);
    return n;
}

const struct file_ops proc_file_ops = {
    .open = proc_open,
    .release = proc_release,
    .read = proc_read,
    .write = proc_write,
    .seek = generic_file_seek,
};

/* /proc/PID/mem: the position is the address. */
static s64 mem_move(struct file *f, struct uio *u, u64 *pos, bool write)
{
    struct proc_inode *p = proc_i(f->inode);
    u8 buf[512];
    s64 done = 0, n = 0;
    if (proc_pids == NULL || proc_pids->mem == NULL)
        return -EIO;
    while (u->remaining > 0) {
        size_t len = MIN(u->remaining, sizeof(buf));
        if (write && (n = uio_copy_in(u, buf, len)) <= 0)
            break;
        n = proc_pids->mem(p->pid, *pos, buf, write ? (size_t)n : len, write);
        if (n <= 0)
            break;
        if (!write && (n = uio_copy_out(u, buf, (u64)n)) <= 0)
            break;
        *pos += (u64)n;
        done += n;
        if (!cond_resched())
            break;
    }
    return done > 0 ? done : n < 0 ? n : 0;
}

static s64 mem_read(struct file *f, struct uio *u, u64 *pos) { return mem_move(f, u, pos, false); }
static s64 mem_write(struct file *f, struct uio *u, u64 *pos) { return mem_move(f, u, pos, true); }

static s64 mem_seek(struct file *f, s64 off, int whence)
{
    if (whence == 1)
        off += (s64)f->pos;
    else if (whence != 0)
        return -EINVAL;
    f->pos = (u64)off;
    return off;
}

const struct file_ops proc_mem_ops = {.read = mem_read, .write = mem_write, .seek = mem_seek};

/* --- mounting --------------------------------------------------------------------------- */

static int proc_statfs(struct superblock *sb, struct kstatfs *s)
{
    const struct proc_tree *t = sb->private;
    s->type = t->magic;
    return 0;
}

static const struct super_ops proc_super_ops = {
    .evict_inode = proc_evict,
    .revalidate = proc_revalidate,
    .statfs = proc_statfs,
};

int proc_mount_tree(const struct proc_tree *t, struct superblock **ret)
{
    struct proc_inode what = {.kind = PROC_NODE, .node = t->root};
    struct superblock *sb = super_create(t->type, &proc_super_ops);
    if (sb == NULL)
        return -ENOMEM;
    sb->private = (void *)(uintptr_t)t;
    sb->root = dentry_create_root(sb, inode_of(sb, &what, S_IFDIR | 0555));
    if (sb->root == NULL) {
        super_put(sb);
        return -ENOMEM;
    }
    *ret = sb;
    return 0;
}

static int proc_mount(const char *source, u64 flags, const char *data, struct superblock **ret)
{
    return proc_mount_tree(&proc_tree, ret);
}

const struct fs_type procfs_type = {.name = "proc", .mount = proc_mount, .nodev = true};
