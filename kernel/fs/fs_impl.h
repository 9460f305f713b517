/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private to fs/: what its files share. See kern/vfs.h for the model and
 * docs/LOCKING.md for the order of locks.
 */
#ifndef FS_IMPL_H
#define FS_IMPL_H

#include "base/str.h"
#include "kern/log.h"
#include "kern/notify.h"
#include "kern/slab.h"
#include "kern/sysfs.h"
#include "kern/vfs.h"

/* Guards every link between dentries, the hash, the LRU, the mount list and
 * the roots and working directories of struct fs_ctx. Never held over a sleep. */
extern struct spinlock dcache_lock;
extern struct mutex rename_mutex;

/* --- dentry.c --- */
void dcache_init(void);
size_t dcache_shrink(size_t pages_wanted); /* forget names that nobody uses; a shrinker */
u32 name_hash(const char *name, size_t len);
/* dcache_lock held; not referenced. */
struct dentry *dcache_find(struct dentry *parent, const char *name, size_t len, u32 hash);
/* refs 1, not yet in the cache, negative. NULL = no memory. */
struct dentry *dentry_create(struct dentry *parent, const char *name, size_t len, u32 hash);
void dentry_add(struct dentry *d);      /* make it findable; parent's inode lock held */
void dentry_unhash(struct dentry *d);   /* forget the name; users keep the dentry */
/* Move `from` to the name and place of `to`, which disappears; or swap them. */
int dentry_move(struct dentry *from, struct dentry *to, bool exchange);
/* Kill the whole tree below a root (last unmount). */
void dentry_kill_tree(struct dentry *root);
bool dentry_is_below(struct dentry *d, struct dentry *ancestor); /* or equal. dcache_lock held */

/* --- inode.c --- */
void inode_cache_init(void);
void super_unref(struct superblock *sb);
void inode_touch(struct inode *i, bool mtime); /* ctime (and mtime) = now */
int permission(const struct inode *i, const struct cred *c, u32 rwx); /* 0 or -EACCES */
bool inode_owner_or_capable(const struct inode *i, const struct cred *c);
u32 inode_set_ids(const struct inode *i, const struct cred *c); /* the mode's bits that go when c changes the owner: set-user-ID, set-group-ID where it means "run as" or c is not of the group */
u32 inode_privs_to_remove(const struct inode *i); /* those that go when the caller writes; i->lock held */
void inode_remove_privs(struct inode *i); /* those, and capabilities */
void inode_drop_file_caps(struct inode *i); /* i->lock held */
int inode_get_write(struct inode *i);   /* -ETXTBSY */
void inode_put_write(struct inode *i);

/* --- mount.c --- */
extern struct mount *root_mount;
/* Any mount of it, referenced; NULL: there is none. */
struct mount *mount_of(const struct superblock *sb);
void mounts_init(void);
static inline struct mount *mount_get(struct mount *m) { ref_get(&m->refs); return m; }
void mount_put(struct mount *m);
/* What is mounted on p, or NULL. dcache_lock held; not referenced. */
struct mount *mount_at(const struct path *p);
int path_want_write(const struct path *p); /* -EROFS */
/* A mount that belongs to no tree: for objects without a name. */
extern struct superblock *anon_sb;
extern struct mount *anon_mount;

/* --- lookup.c --- */
enum last_type { LAST_NORMAL, LAST_ROOT, LAST_DOT, LAST_DOTDOT };
struct walk {
    const struct lookup *l;
    u32 flags;
    struct path cur, root;     /* borrowed while the dcache lock is held, else covered by pins */
    struct path pin, root_pin; /* references that keep cur and root over sleeps */
    struct path start;         /* LOOKUP_BENEATH, LOOKUP_IN_ROOT: not above this */
    struct dentry *child;      /* reference to the last dentry looked up slowly */
    const char *name;          /* what is left */
    char *buf;                 /* text of the last symbolic link, or NULL */
    const char *last;
    u32 last_len, last_hash;
    enum last_type last_type;
    bool trailing;             /* a slash follows the last component */
    bool rooted;               /* the walk had to do with root: LOOKUP_NO_XDEV's links to "/..." may go there only then, as Linux' */
    u8 links;
};
/* Walk all but the last component; w->pin is then the (referenced) directory and no
 * lock is held. w must be ended by walk_done() whatever this returns. */
int walk_parent_of(struct walk *w, const struct lookup *l, const char *name, u32 lookup_flags);
/* The last component was a symbolic link: go on behind it. dir is w->pin. */
int walk_through(struct walk *w, struct dentry *link);
void walk_done(struct walk *w);
/* The child of w->pin named by w->last: positive or negative, referenced. dir->lock held. */
int child_lookup(struct dentry *dir, const char *name, u32 len, u32 hash, struct dentry **ret);
void path_cross_mounts(struct path *p); /* p referenced */

/* --- file.c --- */
void files_init(void);
int file_alloc(u32 flags, const struct cred *c, struct file **ret); /* refs 1. -ENFILE, -ENOMEM */
/* The inode's reference is taken over, also on failure. */
int file_create_on(struct inode *i, const char *name, const struct file_ops *ops, void *private, u32 flags,
                   struct file **ret);
struct inode *anon_inode_create(u32 mode); /* on anon_sb, with a number of its own */
extern const struct file_ops path_file_ops; /* O_PATH, and what could not be opened: everything refused (open.c) */
void file_touch_atime(struct file *f);
void epoll_init(void); /* epoll.c */
void epoll_file_gone(struct file *f);

/* --- inotify.c: what happens, told to those who watch; with no watch anywhere a load and a branch. IN_* masks --- */
extern u32 watch_count; /* atomic */
static ALWAYS_INLINE bool watched(void) { return unlikely(atomic_load_relaxed(&watch_count) != 0); }
void notify_dentry_slow(struct dentry *d, u32 mask, bool by_file);
void notify_inode_slow(struct inode *i, u32 mask, u32 cookie, const char *name, u32 len);
void notify_removed_slow(struct dentry *d);
bool notify_put_slow(struct dentry *d);
u32 notify_cookie(void); /* for both events of a move */
void notify_unmount(struct superblock *sb);
/* To d itself and, with its name, to its parent. */
static inline void notify_dentry(struct dentry *d, u32 mask)
{
    if (watched())
        notify_dentry_slow(d, mask, false);
}
static inline void notify_file(struct file *f, u32 mask)
{
    if (watched() && f->path.dentry != NULL)
        notify_dentry_slow(f->path.dentry, mask, true);
}
static inline void notify_inode(struct inode *i, u32 mask, u32 cookie, const char *name, u32 len)
{
    if (watched())
        notify_inode_slow(i, mask, cookie, name, len);
}
/* To a directory: the name d in it came or went. */
static inline void notify_name(struct inode *dir, struct dentry *d, bool is_dir, u32 mask)
{
    notify_inode(dir, mask | (is_dir ? IN_ISDIR : 0), 0, d->name, d->name_len);
}
/* d lost its last name and the caller has the only reference, perhaps: its watches end. */
static inline void notify_removed(struct dentry *d)
{
    if (watched())
        notify_removed_slow(d);
}
/* Put a dentry that may have lost its name: the last to do so ends its watches. */
static inline void dentry_put_notify(struct dentry *d)
{
    if (!watched() || d == NULL || d->inode == NULL || d->hashed || !notify_put_slow(d))
        dentry_put(d);
}

/* --- generic.c: parts of a directory's iterate(); 0 = go on, 1 = the reader is full --- */
int dir_emit_dots(struct file *f, u64 *pos, struct dir_emit *e);
void dir_forget(struct dentry *d); /* it leaves its parent's children; dcache_lock held */
int dir_emit_children(struct file *f, u64 *pos, struct dir_emit *e, bool pinned_only);

/* --- others --- */
int chrdev_open(struct inode *i, struct file *f);
extern const struct file_ops fifo_file_ops; /* pipe.c: FIFO inodes */
int memfd_may_chmod(const struct inode *i, u32 mode);  /* as the next one */
int memfd_may_resize(const struct inode *i, u64 size); /* -EPERM: sealed; i->lock held */
void mem_devices_init(void);
void tty_devices_init(void); /* console.c */
void pty_init(void);
void p9_init(void);
int vfs_setattr_dentry(struct dentry *d, const struct cred *c, const struct setattr *a); /* the same, told */
extern const struct fs_type tmpfs_type, devfs_type, erofs_type, overlay_type, procfs_type;
void procfs_init(void);
void sysfs_init(void); /* procfs/sys.c, or no_sysfs.c */

/* Wake after a change of what the queue's waiters test. The fence orders the change
 * before the look at the queue, as adding oneself orders before testing. */
static inline void wake_waiters(struct waitqueue *wq, u32 events)
{
    atomic_fence();
    if (wq_active(wq))
        wq_wake(wq, events);
}

/* User memory of a read that has exactly one number for an answer. */
static inline s64 put_number(struct uio *u, u64 v)
{
    s64 n = uio_copy_out(u, &v, sizeof(v));
    return n == sizeof(v) ? n : -EFAULT;
}

static inline bool path_equal(const struct path *a, const struct path *b)
{
    return a->dentry == b->dentry && a->mount == b->mount;
}
static inline u8 mode_to_dtype(u32 mode) { return (u8)((mode & S_IFMT) >> 12); }

#endif
