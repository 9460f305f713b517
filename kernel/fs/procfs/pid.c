/* SPDX-License-Identifier: Apache-2.0 */
/* /proc/PID and what is below, from what the personality tells (struct proc_pid_ops). */
#include "proc_impl.h"

const struct proc_pid_ops *proc_pids;

static const char *const link_names[] = {"exe", "cwd", "root", "net"};
/* Names of proc_pids->names that take writes, if the personality does. */
static const char *const writable[] = {"comm", "oom_score_adj", "oom_adj", "coredump_filter", "clear_refs",
                                       "timerslack_ns", "loginuid", "autogroup"};
static const char *const secret[] = {"environ", "auxv", "io", "personality"};

static const struct {
    const char *name;
    enum proc_kind kind;
    u32 mode;
    bool process_only;
} fixed[] = {
    {"task", PROC_TASK_DIR, S_IFDIR | 0555, true},
    {"fd", PROC_FD_DIR, S_IFDIR | 0500, false},
    {"fdinfo", PROC_FDINFO_DIR, S_IFDIR | 0500, false},
    {"ns", PROC_NS_DIR, S_IFDIR | 0511, false},
    {"mem", PROC_MEM, S_IFREG | 0600, false},
    {"mounts", PROC_MOUNTS, S_IFREG | 0444, false},
    {"mountinfo", PROC_MOUNTINFO, S_IFREG | 0444, false},
};

void proc_set_pid_ops(const struct proc_pid_ops *ops) { atomic_store(&proc_pids, ops); }

u32 proc_pid_of(struct file *f)
{
    const struct proc_inode *p = f->ops == &proc_dir_ops ? proc_i(f->inode) : NULL;
    return p != NULL && p->kind == PROC_PID_DIR && p->tid == 0 ? p->pid : 0;
}

bool proc_parse_number(const char *s, size_t len, u32 *ret)
{
    u64 n = 0;
    if (len == 0 || len > 10 || (len > 1 && s[0] == '0'))
        return false;
    for (size_t k = 0; k < len; k++) {
        if (s[k] < '0' || s[k] > '9')
            return false;
        n = n * 10 + (u64)(s[k] - '0');
    }
    *ret = (u32)n;
    return n <= INT32_MAX;
}

static bool tid_exists(u32 pid, u32 tid) { return tid != 0 && proc_pids->next_tid(pid, tid - 1) == tid; }

static struct file *fd_of(u32 pid, u32 fd)
{
    struct fdtable *t = proc_pids->fdtable != NULL ? proc_pids->fdtable(pid) : NULL;
    struct file *f = t != NULL ? fd_file(t, (int)fd) : NULL;
    fdtable_put(t);
    return f;
}

static bool fd_exists(u32 pid, u32 fd)
{
    struct file *f = fd_of(pid, fd);
    file_put(f);
    return f != NULL;
}

u32 proc_fd_mode(const struct proc_inode *p)
{
    struct file *f = fd_of(p->pid, p->index);
    u32 mode = f == NULL ? 0 : (f->can_read ? 0500 : 0) | (f->can_write ? 0300 : 0);
    file_put(f);
    return mode;
}

bool proc_pid_valid(const struct proc_inode *p)
{
    if (proc_pids == NULL || !proc_pids->exists(p->pid) || (p->tid != 0 && !tid_exists(p->pid, p->tid)))
        return false;
    return (p->kind != PROC_FD && p->kind != PROC_FDINFO) || fd_exists(p->pid, p->index);
}

static bool name_is(const struct dentry *d, const char *s) { return strlen(s) == d->name_len && memcmp(s, d->name, d->name_len) == 0; }

static u32 file_mode(const char *name)
{
    for (unsigned k = 0; k < ARRAY_SIZE(writable); k++)
        if (strcmp(writable[k], name) == 0)
            return S_IFREG | 0644;
    for (unsigned k = 0; k < ARRAY_SIZE(secret); k++)
        if (strcmp(secret[k], name) == 0)
            return S_IFREG | 0400;
    return S_IFREG | 0444;
}

/* A name in /proc/PID or /proc/PID/task/TID */
static int lookup_entry(struct inode *dir, struct dentry *d)
{
    struct proc_inode p = {.pid = proc_i(dir)->pid, .tid = proc_i(dir)->tid};
    for (unsigned k = 0; k < ARRAY_SIZE(fixed); k++) {
        if (name_is(d, fixed[k].name) && !(fixed[k].process_only && p.tid != 0)) {
            p.kind = fixed[k].kind;
            return proc_attach(dir, d, &p, fixed[k].mode);
        }
    }
    for (unsigned k = 0; k < ARRAY_SIZE(link_names); k++) {
        if (name_is(d, link_names[k])) {
            p.kind = PROC_LINK;
            p.index = k;
            return proc_attach(dir, d, &p, S_IFLNK | 0777);
        }
    }
    for (unsigned k = 0; proc_pids->names[k] != NULL; k++) {
        if (name_is(d, proc_pids->names[k])) {
            p.kind = PROC_FILE;
            p.index = k;
            return proc_attach(dir, d, &p, file_mode(proc_pids->names[k]));
        }
    }
    return 0;
}

static int lookup_ns(struct inode *dir, struct dentry *d, struct proc_inode *what)
{
    what->kind = PROC_NS;
    for (; proc_pids->namespaces != NULL && proc_pids->namespaces[what->index] != NULL; what->index++)
        if (name_is(d, proc_pids->namespaces[what->index]))
            return proc_attach(dir, d, what, S_IFLNK | 0777);
    return 0;
}

int proc_pid_lookup(struct inode *dir, struct dentry *d)
{
    struct proc_inode *p = proc_i(dir), what = {.pid = p->pid, .tid = p->tid};
    u32 n;
    if (!proc_pid_valid(p))
        return -ENOENT;
    if (p->kind == PROC_PID_DIR)
        return lookup_entry(dir, d);
    if (p->kind == PROC_NS_DIR)
        return lookup_ns(dir, d, &what);
    if (!proc_parse_number(d->name, d->name_len, &n))
        return 0;
    if (p->kind == PROC_TASK_DIR) {
        if (!tid_exists(p->pid, n))
            return 0;
        what.kind = PROC_PID_DIR;
        what.tid = n;
        return proc_attach(dir, d, &what, S_IFDIR | 0555);
    }
    if (!fd_exists(p->pid, n))
        return 0;
    what.kind = p->kind == PROC_FD_DIR ? PROC_FD : PROC_FDINFO;
    what.index = n;
    return proc_attach(dir, d, &what, what.kind == PROC_FD ? S_IFLNK | 0700 : S_IFREG | 0444);
}

/* Entries by number: 0 fixed, then links, then files. NULL = no more. */
static const char *entry_name(u32 k, bool thread, u8 *ret_type)
{
    if (k < ARRAY_SIZE(fixed)) {
        *ret_type = mode_to_dtype(fixed[k].mode);
        return fixed[k].process_only && thread ? "" : fixed[k].name;
    }
    k -= ARRAY_SIZE(fixed);
    if (k < ARRAY_SIZE(link_names)) {
        *ret_type = DT_LNK;
        return link_names[k];
    }
    k -= ARRAY_SIZE(link_names);
    *ret_type = DT_REG;
    for (u32 j = 0; j < k; j++)
        if (proc_pids->names[j] == NULL)
            return NULL;
    return proc_pids->names[k];
}

static bool emit_number(struct dir_emit *e, u32 n, u8 type, u64 next)
{
    char text[16];
    int len = fmt_snprintf(text, sizeof(text), "%u", n);
    return e->emit(e, text, (size_t)len, 0x100000000ULL + n, type, next);
}

/* Positions from 2 on; the dots are done. */
int proc_pid_iterate(struct inode *dir, u64 *pos, struct dir_emit *e)
{
    struct proc_inode *p = proc_i(dir);
    if (!proc_pid_valid(p))
        return -ENOENT;
    if (p->kind == PROC_PID_DIR) {
        for (;; (*pos)++) {
            u8 type;
            const char *name = *pos - 2 <= UINT32_MAX ? entry_name((u32)(*pos - 2), p->tid != 0, &type) : NULL;
            if (name == NULL || (name[0] != 0 && !e->emit(e, name, strlen(name), *pos + 0x200000000ULL, type, *pos + 1)))
                return 0;
        }
    }
    if (p->kind == PROC_TASK_DIR) {
        u32 tid;
        while ((tid = proc_pids->next_tid(p->pid, (u32)(*pos - 2))) != 0 && emit_number(e, tid, DT_DIR, tid + 2ULL))
            *pos = tid + 2ULL;
        return 0;
    }
    if (p->kind == PROC_NS_DIR) {
        const char *name = NULL;
        for (u64 k = 0; proc_pids->namespaces != NULL && (name = proc_pids->namespaces[k]) != NULL; k++)
            if (k == *pos - 2) {
                if (!e->emit(e, name, strlen(name), *pos + 0x300000000ULL, DT_LNK, *pos + 1))
                    return 0;
                (*pos)++;
            }
        return 0;
    }
    struct fdtable *t = proc_pids->fdtable != NULL ? proc_pids->fdtable(p->pid) : NULL;
    int fd;
    u8 type = p->kind == PROC_FD_DIR ? DT_LNK : DT_REG;
    while (t != NULL && *pos - 2 <= INT32_MAX && (fd = fd_next(t, (int)(*pos - 2))) >= 0 &&
           emit_number(e, (u32)fd, type, (u64)fd + 3))
        *pos = (u64)fd + 3;
    fdtable_put(t);
    return 0;
}

static size_t show_fdinfo(const struct proc_inode *p, char *buf, size_t size)
{
    struct file *f = fd_of(p->pid, p->index);
    if (f == NULL)
        return 0;
    struct fdtable *t = proc_pids->fdtable(p->pid);
    u32 flags = f->flags | (t != NULL && fd_get_cloexec(t, (int)p->index) == 1 ? O_CLOEXEC : 0);
    fdtable_put(t);
    if ((flags & O_PATH) == 0)
        flags |= O_LARGEFILE;
    size_t n = (size_t)fmt_snprintf(buf, size, "pos:\t%llu\nflags:\t0%o\nmnt_id:\t%u\nino:\t%llu\n",
                                    (unsigned long long)(f->ops->seek != NULL ? f->pos : 0), flags,
                                    f->path.mount != NULL ? f->path.mount->id : 0, (unsigned long long)f->inode->ino);
    if (f->ops->fdinfo != NULL)
        n += f->ops->fdinfo(f, buf + MIN(n, size), n < size ? size - n : 0);
    file_put(f);
    return n;
}

size_t proc_pid_show(const struct proc_inode *p, char *buf, size_t size)
{
    switch (p->kind) {
    case PROC_FILE:
        return proc_pids->show(p->pid, p->tid, proc_pids->names[p->index], buf, size);
    case PROC_FDINFO:
        return show_fdinfo(p, buf, size);
    case PROC_MOUNTS:
    case PROC_MOUNTINFO:
        return vfs_show_mounts(NULL, p->kind == PROC_MOUNTINFO, buf, size);
    default:
        return 0;
    }
}

s64 proc_pid_readlink(const struct proc_inode *p, char *buf, size_t size)
{
    char *text = kmalloc(PATH_MAX, ALLOC_ZERO);
    struct path path = {NULL, NULL};
    s64 n;
    if (text == NULL)
        return -ENOMEM;
    if (p->kind == PROC_FD) {
        struct file *f = fd_of(p->pid, p->index);
        n = f != NULL ? file_name(NULL, f, text, PATH_MAX) : -ENOENT;
        file_put(f);
    } else if (p->kind == PROC_NS) {
        str_copy(text, proc_pids->namespaces[p->index], PATH_MAX);
        const char *end = strchr(text, '_'); /* pid_for_children: a pid namespace, too */
        size_t len = end != NULL ? (size_t)(end - text) : strlen(text);
        n = proc_pids->ns(p->pid, text, &path);
        if (n == 0)
            n = (s64)len + fmt_snprintf(text + len, PATH_MAX - len, ":[%lu]", (unsigned long)path.dentry->inode->ino);
        path_put(&path);
    } else {
        n = proc_pids->link(p->pid, link_names[p->index], &path, text, PATH_MAX);
        if (n == 0 && path.dentry != NULL)
            n = path_name(NULL, &path, text, PATH_MAX);
        else if (n == 0)
            n = (s64)strnlen(text, PATH_MAX);
        path_put(&path);
    }
    if (n > 0) {
        n = MIN(n, (s64)size);
        memcpy(buf, text, (size_t)n);
    }
    kfree(text);
    return n;
}

int proc_pid_follow(const struct proc_inode *p, struct path *ret)
{
    *ret = (struct path){NULL, NULL};
    if (p->kind == PROC_NS)
        return proc_pids->ns(p->pid, proc_pids->namespaces[p->index], ret);
    if (p->kind == PROC_LINK) {
        char text[64];
        return proc_pids->link(p->pid, link_names[p->index], ret, text, sizeof(text));
    }
    struct file *f = fd_of(p->pid, p->index);
    int err = f != NULL ? file_path(f, ret) : -ENOENT;
    file_put(f);
    return err;
}
