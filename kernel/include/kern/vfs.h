/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The virtual file system: names (dentries), things (inodes), open files, mounts.
 *
 *   struct path   = (mount, dentry): a place in the tree
 *   struct dentry = a name in a directory; negative when inode == NULL
 *   struct inode  = the thing; pages in its embedded mapping
 *   struct file   = an open inode with a position and flags
 *
 * File systems implement inode_ops and file_ops; everything that a program can
 * ask for goes through the vfs_* calls below, which do permission checks. Paths
 * are kernel strings. Relative ones start at `at` (NULL = ctx->cwd).
 *
 * Locks, in order: rename (global mutex) > directory inode->lock (parent before
 * child) > file inode->lock > dcache spinlock > mapping->lock.
 */
#ifndef KERN_VFS_H
#define KERN_VFS_H

#include "kern/atomic.h"
#include "kern/lock.h"
#include "kern/pagecache.h"
#include "kern/poll.h"
#include "kern/uio.h"

struct dentry;
struct inode;
struct file;
struct mount;
struct superblock;
struct vma;
struct map_request;

/* --- numbers of the Linux ABI that files know (asm-generic/fcntl.h, stat.h) --- */
#define S_IFMT 0170000u
#define S_IFSOCK 0140000u
#define S_IFLNK 0120000u
#define S_IFREG 0100000u
#define S_IFBLK 0060000u
#define S_IFDIR 0040000u
#define S_IFCHR 0020000u
#define S_IFIFO 0010000u
#define S_ISUID 04000u
#define S_ISGID 02000u
#define S_ISVTX 01000u
#define S_ISDIR(m) (((m) & S_IFMT) == S_IFDIR)
#define S_ISREG(m) (((m) & S_IFMT) == S_IFREG)
#define S_ISLNK(m) (((m) & S_IFMT) == S_IFLNK)
#define S_ISCHR(m) (((m) & S_IFMT) == S_IFCHR)
#define S_ISBLK(m) (((m) & S_IFMT) == S_IFBLK)
#define S_ISFIFO(m) (((m) & S_IFMT) == S_IFIFO)
#define S_ISSOCK(m) (((m) & S_IFMT) == S_IFSOCK)

#define O_ACCMODE 03u
#define O_RDONLY 00u
#define O_WRONLY 01u
#define O_RDWR 02u
#define O_CREAT 0100u
#define O_EXCL 0200u
#define O_NOCTTY 0400u
#define O_TRUNC 01000u
#define O_APPEND 02000u
#define O_NONBLOCK 04000u
#define O_DSYNC 010000u
#define O_ASYNC 020000u
#define O_DIRECT 040000u
#define O_LARGEFILE 0100000u
#define O_DIRECTORY 0200000u
#define O_NOFOLLOW 0400000u
#define O_NOATIME 01000000u
#define O_CLOEXEC 02000000u
#define O_SYNC 04010000u
#define O_PATH 010000000u
#define O_TMPFILE 020200000u /* __O_TMPFILE | O_DIRECTORY */

/* What a rename may be told (linux/fs.h). */
#define RENAME_NOREPLACE 1u
#define RENAME_EXCHANGE 2u
#define RENAME_WHITEOUT 4u /* -EINVAL of file systems that have none */

#define PATH_MAX 4096
#define NAME_MAX 255
#define MAX_SYMLINKS 40

#define MKDEV(ma, mi) (((u64)(ma) << 20) | (mi)) /* kernel form; stat encodes it */
#define DEV_MAJOR(d) ((u32)((d) >> 20))
#define DEV_MINOR(d) ((u32)((d)&0xfffff))

struct kstat {
    u64 dev, ino, rdev, size, blocks_512;
    u32 mode, nlink, uid, gid, block_size;
    u64 atime_ns, mtime_ns, ctime_ns, btime_ns; /* since the epoch */
};

struct kstatfs {
    u64 type, block_size, blocks, blocks_free, files, files_free, name_max, flags;
    u64 fsid;
};

/* --- who asks -------------------------------------------------------------- */

#define CRED_MAX_GROUPS 64
struct cred {
    struct refcount refs;
    u32 uid, euid, suid, fsuid, gid, egid, sgid, fsgid;
    u32 ngroups, groups[CRED_MAX_GROUPS];
    u64 cap_effective, cap_permitted, cap_inheritable, cap_bounding, cap_ambient;
    u32 securebits;
};
#define CAP_CHOWN 0
#define CAP_DAC_OVERRIDE 1
#define CAP_DAC_READ_SEARCH 2
#define CAP_FOWNER 3
#define CAP_FSETID 4
#define CAP_MKNOD 27
#define CAP_SYS_ADMIN 21
#define CAP_SYS_CHROOT 18
#define CAP_SYS_RESOURCE 24
#define CAP_SETFCAP 31
/* Credentials are kmalloc()ed with refs = 1; open files keep a reference. */
static inline struct cred *cred_get(const struct cred *c)
{
    struct cred *m = (struct cred *)c;
    ref_get(&m->refs);
    return m;
}
void cred_put(struct cred *c);  /* NULL is fine */
extern struct cred kernel_cred; /* root with every capability; never freed */
bool cred_has_group(const struct cred *c, u32 gid); /* the file system's, or one of the others */
static inline bool cred_capable(const struct cred *c, unsigned cap) { return (c->cap_effective >> cap) & 1; }

struct path {
    struct mount *mount;
    struct dentry *dentry;
};

/* A process' view; CLONE_FS shares it. */
struct fs_ctx {
    struct refcount refs;
    struct mutex lock; /* root, cwd, umask; writers of root and cwd hold the dcache lock too */
    struct path root, cwd;
    u32 umask;
};
struct fs_ctx *fs_ctx_create(void);             /* at the root of the tree; NULL = no memory */
struct fs_ctx *fs_ctx_copy(struct fs_ctx *c);
void fs_ctx_put(struct fs_ctx *c);

/* All the callers' part of a lookup. */
struct lookup {
    struct fs_ctx *fs;
    const struct cred *cred;
    const struct path *at; /* NULL = fs->cwd */
    int err;               /* why there is no `at`: what every name but "" is answered */
};

/* --- what file systems implement ------------------------------------------- */

struct setattr {
    u32 valid; /* SETATTR_* */
    u32 mode, uid, gid;
    u64 size, atime_ns, mtime_ns;
};
#define SETATTR_MODE 1u
#define SETATTR_UID 2u
#define SETATTR_GID 4u
#define SETATTR_SIZE 8u
#define SETATTR_ATIME 16u
#define SETATTR_MTIME 32u
#define SETATTR_CTIME 64u
#define SETATTR_OWNER 256u /* chown(2), whatever of owner and group it sets: set-ID bits go */
#define SETATTR_NOW 128u /* the times given mean "now" (utimensat): write permission suffices */

/* Directory operations are called with dir->lock held. A NULL operation is
 * -EPERM (changes), -ENOTDIR (lookup) or the generic behaviour. */
struct inode_ops {
    /* Give the dentry its inode (dentry_attach), or leave it negative. 0 or -errno. */
    int (*lookup)(struct inode *dir, struct dentry *d);
    int (*create)(struct inode *dir, struct dentry *d, u32 mode, const struct cred *c);
    int (*mkdir)(struct inode *dir, struct dentry *d, u32 mode, const struct cred *c);
    int (*mknod)(struct inode *dir, struct dentry *d, u32 mode, u64 rdev, const struct cred *c);
    int (*symlink)(struct inode *dir, struct dentry *d, const char *target, const struct cred *c);
    int (*link)(struct inode *dir, struct dentry *d, struct inode *target);
    int (*unlink)(struct inode *dir, struct dentry *d);
    int (*rmdir)(struct inode *dir, struct dentry *d);
    int (*rename)(struct inode *from_dir, struct dentry *from, struct inode *to_dir, struct dentry *to, u32 flags, const struct cred *c);
    int (*tmpfile)(struct inode *dir, u32 mode, const struct cred *c, struct inode **ret);
    /* Length of the target, copied into buf without an end byte. */
    s64 (*readlink)(struct inode *i, char *buf, size_t size);
    /* Magic links (/proc/self/fd/3): the path itself instead of a text. May be NULL. */
    int (*follow)(struct inode *i, struct path *ret);
    int (*getattr)(struct inode *i, struct kstat *ret); /* NULL = from the inode */
    /* Checked already; i->lock held. NULL = -EPERM. inode_apply_attrs() does all but the size. */
    int (*setattr)(struct inode *i, const struct setattr *a);
    s64 (*getxattr)(struct inode *i, const char *name, void *buf, size_t size);
    int (*setxattr)(struct inode *i, const char *name, const void *val, size_t size, int flags);
    s64 (*listxattr)(struct inode *i, char *buf, size_t size);
    int (*removexattr)(struct inode *i, const char *name);
    bool (*grants)(const struct inode *i); /* to the caller what the mode does not; may be NULL. The dcache lock may be held */
};

/* One directory entry out; false = no room, stop. `next_off` resumes behind it. */
struct dir_emit {
    bool (*emit)(struct dir_emit *e, const char *name, size_t len, u64 ino, u8 dtype, u64 next_off);
};
#define DT_UNKNOWN 0
#define DT_FIFO 1
#define DT_CHR 2
#define DT_DIR 4
#define DT_BLK 6
#define DT_REG 8
#define DT_LNK 10
#define DT_SOCK 12

struct file_ops {
    int (*open)(struct inode *i, struct file *f);
    void (*release)(struct file *f); /* last reference gone */
    void (*flush)(struct file *f);   /* a descriptor was closed */
    /* *pos is read and advanced by the callee. NULL = -EINVAL. */
    s64 (*read)(struct file *f, struct uio *u, u64 *pos);
    s64 (*write)(struct file *f, struct uio *u, u64 *pos);
    bool no_splice; /* sendfile(2) and splice(2) do not read it: -EINVAL */
    s64 (*seek)(struct file *f, s64 off, int whence); /* NULL = -ESPIPE */
    int (*iterate)(struct file *f, u64 *pos, struct dir_emit *e);
    u32 (*poll)(struct file *f, struct poll_table *pt); /* NULL = always readable and writable, epoll gives EPERM */
    s64 (*ioctl)(struct file *f, u32 cmd, uaddr_t arg); /* NULL = -ENOTTY */
    /* Fill in req->mapping / ops / object for an mmap of this file. No reference moves: the caller takes the area's when
     * object is f. All three left NULL: anonymous memory. NULL = -ENODEV. */
    int (*mmap)(struct file *f, struct map_request *req);
    int (*fsync)(struct file *f, bool data_only);       /* NULL = -EINVAL */
    int (*fallocate)(struct file *f, int mode, u64 off, u64 len);
    /* For /proc/self/fd/N of things without a name: "pipe:[12]". */
    void (*describe)(struct file *f, char *buf, size_t size);
    /* Lines for /proc/PID/fdinfo/N behind the common ones; may be NULL. Returns length. */
    size_t (*fdinfo)(struct file *f, char *buf, size_t size);
};

struct inode {
    struct refcount refs;
    struct superblock *sb;
    u64 ino;
    u32 mode, uid, gid, nlink; /* lock */
    u64 rdev;
    u64 atime_ns, mtime_ns, ctime_ns, btime_ns; /* lock; read without */
    const struct inode_ops *ops;
    const struct file_ops *fops;
    struct mutex lock;
    s32 write_count;           /* atomic: open for writing; negative = being executed */
    bool no_file_caps;         /* lock: known to have none (or it is not for us to take them) */
    u8 write_hint;             /* atomic: F_SET_RW_HINT, kept and told */
    struct mapping mapping;    /* mapping.size_bytes is the file's size */
    struct mapping *data;      /* where the contents are: &mapping, or a lower file's (overlay) */
    void *private;
    void *shared_object;       /* FIFO's pipe and the like, lock */
    struct inotify_watch *watches;     /* inotify.c */
    struct list sb_node;
};

#define DENTRY_INLINE_NAME 40
struct dentry {
    struct refcount refs;     /* 0 = only cached; from 0 it rises under the dcache lock only */
    u32 hash;                 /* of the name alone */
    struct inode *inode;      /* NULL = negative */
    struct dentry *parent;    /* referenced; itself for a root. dcache lock */
    struct superblock *sb;
    struct list hash_node, children, child_node, lru_node; /* dcache lock */
    u64 cookie;               /* position in the parent's list, ascending. dcache lock */
    bool hashed, mounted;     /* dcache lock */
    bool referenced;          /* used since the shrinker last looked */
    bool pinned;              /* the file system holds a reference (dentry_pin) */
    bool transient;           /* the file system's, before it is hashed: not cached once nobody uses it */
    u16 name_len;             /* dcache lock, or the parent's inode lock */
    const char *name;         /* the same; with an end byte */
    void *private;            /* the file system's */
    char inline_name[DENTRY_INLINE_NAME];
};

struct super_ops {
    void (*evict_inode)(struct inode *i);    /* last reference: free private data; nlink == 0 means deleted */
    int (*statfs)(struct superblock *sb, struct kstatfs *ret);
    int (*sync)(struct superblock *sb);
    void (*shutdown)(struct superblock *sb); /* the names are gone: give up inodes that you keep */
    void (*unmount)(struct superblock *sb);  /* the last inode is gone: free private */
    /* A cached dentry may be used as it is? NULL = yes (procfs says no). */
    bool (*revalidate)(struct dentry *d);
};

struct superblock {
    struct refcount refs;     /* inodes, and one for all mounts */
    struct refcount active;   /* mounts; at zero the tree is torn down */
    const struct super_ops *ops;
    const char *type;         /* "tmpfs" */
    char source[64];
    u64 dev;                  /* st_dev */
    bool read_only;
    struct dentry *root;
    void *private;
    struct spinlock lock;
    struct list inodes;
};

struct fs_type {
    const char *name;
    /* data = mount options. Makes a superblock with a root dentry. */
    int (*mount)(const char *source, u64 flags, const char *data, struct superblock **ret);
    bool nodev;
};

struct mount {
    struct refcount refs;
    struct superblock *sb;
    struct dentry *root;
    struct mount *parent;      /* NULL for the root */
    struct dentry *mountpoint;
    u64 flags;                 /* MS_RDONLY, MS_NOEXEC, ... */
    struct list node;
    u32 id;
};
#define MS_RDONLY 1u
#define MS_NOSUID 2u
#define MS_NODEV 4u
#define MS_NOEXEC 8u
#define MS_REMOUNT 32u
#define MS_BIND 4096u
#define MS_MOVE 8192u
#define MS_REC 16384u

struct file {
    struct refcount refs;
    const struct file_ops *ops;
    struct inode *inode;       /* NULL never; anonymous files share one inode per kind */
    struct path path;          /* dentry NULL for anonymous files */
    u32 flags;                 /* O_*; F_SETFL bits change atomically */
    bool can_read, can_write;
    bool counted_write;        /* holds inode->write_count */
    bool had_locks;            /* flock() or OFD locks were taken: file_locks_gone() at the end */
    u64 pos;
    struct mutex pos_lock;     /* read/write/seek with the shared position */
    struct cred *cred;
    void *private;
    struct list epoll_items;   /* fs/epoll.c */
    struct spinlock epoll_lock;
    void *owner_data;          /* the personality's: F_SETOWN, leases */
    const char *anon_name;     /* anonymous files: constant text */
};

/* The personality's, set before had_locks of any file: the last reference is going. */
extern void (*file_locks_gone)(struct file *f);

/* --- helpers for file systems ---------------------------------------------- */
struct inode *inode_create(struct superblock *sb, u32 mode); /* refs 1, times now; NULL = no memory */
static inline struct inode *inode_get(struct inode *i) { ref_get(&i->refs); return i; }
void inode_put(struct inode *i);
void dentry_attach(struct dentry *d, struct inode *i); /* takes over the reference */
/* Takes over the reference, also on failure: NULL, no memory, or i is NULL. */
struct dentry *dentry_create_root(struct superblock *sb, struct inode *i);
struct dentry *dentry_get(struct dentry *d);
void dentry_put(struct dentry *d);
/* mode, owner and times of *a into the inode; i->lock held. */
void inode_apply_attrs(struct inode *i, const struct setattr *a);
/* A name the file system keeps (tmpfs): the cache may not drop it. dir->lock held. */
void dentry_pin(struct dentry *d);
void dentry_unpin(struct dentry *d);
/* Owner, group and mode of a new inode in `dir` (set-group-ID directories). */
void inode_init_owner(struct inode *i, const struct inode *dir, u32 mode, const struct cred *c);
bool dentry_has_children(struct dentry *d); /* positive ones */
/* Forget cached names below a directory whose contents changed behind the cache. */
void dentry_invalidate(struct dentry *d);
struct superblock *super_create(const char *type, const struct super_ops *ops); /* gets a st_dev */
void super_put(struct superblock *sb);
extern const struct file_ops generic_file_ops;  /* regular files through the page cache */
/* read() of /dev/random, and getrandom(2), which has no file and no position: all of u, less when the thread is interrupted behind a page. */
s64 dev_random_read(struct file *f, struct uio *u, u64 *pos);
extern const struct file_ops generic_dir_ops;   /* iterate supplied through cached children (tmpfs, devfs) */
s64 generic_file_read(struct file *f, struct uio *u, u64 *pos);
s64 generic_file_write(struct file *f, struct uio *u, u64 *pos);
int generic_file_fsync(struct file *f, bool data_only);
s64 generic_file_seek(struct file *f, s64 off, int whence);
s64 generic_dir_seek(struct file *f, s64 off, int whence);
u64 vfs_time_ns(void); /* now, for timestamps */

/* Character devices by number: what opening a device node does. */
int chrdev_register(u64 rdev, const struct file_ops *fops, void *private);

/* --- mounts ----------------------------------------------------------------- */
void vfs_init(void);
void fs_register(const struct fs_type *t);
int vfs_mount_root(const char *type, const char *source, u64 flags, const char *data);
int vfs_mount(const struct lookup *l, const char *type, const char *source, const char *target, u64 flags, const char *data);
int vfs_umount(const struct lookup *l, const char *target, int flags);
/* Lines of /proc/mounts (or mountinfo). Appended; returns length needed. */
size_t vfs_show_mounts(const struct fs_ctx *fs, bool mountinfo, char *buf, size_t size);
size_t vfs_show_filesystems(char *buf, size_t size);

/* --- what the personality calls -------------------------------------------- */
#define LOOKUP_NOFOLLOW 1u    /* the last component may be a symbolic link itself */
#define LOOKUP_DIRECTORY 2u
#define LOOKUP_EMPTY 4u       /* "" names `at` itself (AT_EMPTY_PATH) */
#define LOOKUP_BENEATH 8u
#define LOOKUP_IN_ROOT 16u
#define LOOKUP_NO_SYMLINKS 32u
#define LOOKUP_NO_MAGICLINKS 64u
#define LOOKUP_NO_XDEV 128u

int vfs_lookup(const struct lookup *l, const char *name, u32 lookup_flags, struct path *ret);
void path_get(const struct path *p);
void path_put(struct path *p);
int vfs_open(const struct lookup *l, const char *name, u32 open_flags, u32 mode, u32 lookup_flags, struct file **ret);
int vfs_open_path(const struct path *p, u32 open_flags, const struct cred *c, struct file **ret);
/* An open file that has no name. `name` for describe: "[eventfd]". */
int file_create_anon(const char *name, const struct file_ops *ops, void *private, u32 flags, struct file **ret);
/* The same with an inode of its own, for fstat(): S_IFIFO, S_IFSOCK, S_IFCHR ... | permissions.
 * Shown as "name:[ino]". Opening it again (/proc/self/fd/N) gives -ENXIO unless inode->fops is set. */
int file_create_inode(const char *name, const struct file_ops *ops, void *private, u32 mode, u32 flags, struct file **ret);
/* A place without a name, for links of procfs to lead to; whoever opens it gets a file with `ops`. `ino` need not be its alone. 0 or -ENOMEM. */
int anon_path_create(u32 mode, u64 ino, const struct file_ops *ops, struct path *ret);
/* The place itself, referenced. For a file without a name: a dentry that nobody else can find. -ENOMEM */
int file_path(struct file *f, struct path *ret);
static inline struct file *file_get(struct file *f) { ref_get(&f->refs); return f; }
void file_put(struct file *f);
size_t vfs_open_files(void); /* of the whole machine */

/* pos == NULL uses and advances the file's own position. */
s64 vfs_read(struct file *f, struct uio *u, u64 *pos);
s64 vfs_write(struct file *f, struct uio *u, u64 *pos); /* O_APPEND, RLIMIT_FSIZE through vfs_fsize_limit */
s64 vfs_seek(struct file *f, s64 off, int whence);
u32 vfs_poll(struct file *f, struct poll_table *pt);
int vfs_iterate(struct file *f, struct dir_emit *e);
/* May len bytes be moved at *pos (NULL: the file's own position)? 0 or -EINVAL: they would end at an offset that no file has. */
int vfs_range_ok(const struct file *f, const u64 *pos, u64 len);
s64 vfs_sendfile(struct file *out, struct file *in, u64 *in_pos, u64 len); /* a pipe takes the pages themselves, as many as it has room for */
/* splice(2) of what is no pipe into a pipe: as vfs_sendfile(), or what one read gives. */
s64 vfs_splice_to_pipe(struct file *out, struct file *in, u64 *in_pos, u64 len);
int vfs_fsync(struct file *f, bool data_only);
int vfs_stat_path(const struct path *p, struct kstat *ret);
int vfs_stat_file(struct file *f, struct kstat *ret);
int vfs_statfs(const struct path *p, struct kstatfs *ret);
int vfs_fstatfs(const struct file *f, struct kstatfs *ret); /* also of what has no path: pipes, sockets, memfds */
int vfs_setattr_path(const struct path *p, const struct cred *c, const struct setattr *a);
int vfs_truncate(const struct path *p, const struct cred *c, u64 size);
int vfs_ftruncate(struct file *f, u64 size);
int vfs_fallocate(struct file *f, int mode, u64 off, u64 len);
int vfs_mkdir(const struct lookup *l, const char *name, u32 mode);
int vfs_mknod(const struct lookup *l, const char *name, u32 mode, u64 rdev);
int vfs_symlink(const struct lookup *l, const char *target, const char *name);
int vfs_link(const struct lookup *from, const char *from_name, const struct lookup *to, const char *to_name, u32 lookup_flags);
int vfs_unlink(const struct lookup *l, const char *name);
int vfs_rmdir(const struct lookup *l, const char *name);
/* flags: what goes together; the caller has looked. */
int vfs_rename(const struct lookup *from, const char *from_name, const struct lookup *to, const char *to_name, u32 flags);
s64 vfs_readlink(const struct path *p, char *buf, size_t size);
int vfs_access(const struct path *p, const struct cred *c, u32 rwx); /* R_OK 4, W_OK 2, X_OK 1 */
int vfs_chdir(struct fs_ctx *fs, const struct path *p, const struct cred *c);
int vfs_chroot(struct fs_ctx *fs, const struct path *p, const struct cred *c);
#define XATTR_CAPABILITY "security.capability"
/* Its value: what a program may do (capabilities(7)); `root` in the third revision alone. */
struct file_caps { u32 magic, permitted, inheritable, permitted_high, inheritable_high, root; };
#define FILE_CAPS_EFFECTIVE 1u
bool file_caps_valid(const struct file_caps *x, size_t size_bytes);
s64 vfs_getxattr(const struct path *p, const struct cred *c, const char *name, void *buf, size_t size);
int vfs_setxattr(const struct path *p, const struct cred *c, const char *name, const void *val, size_t size, int flags);
s64 vfs_listxattr(const struct path *p, char *buf, size_t size);
int vfs_removexattr(const struct path *p, const struct cred *c, const char *name);
/* Absolute name below fs->root; "(deleted)" appended; "(unreachable)" in front. Length or -ENAMETOOLONG. */
bool path_is_removed(const struct path *p); /* it has no name any more */
s64 path_name(const struct fs_ctx *fs, const struct path *p, char *buf, size_t size);
/* What /proc/self/fd/N shows. */
s64 file_name(const struct fs_ctx *fs, struct file *f, char *buf, size_t size);
/* Executing a file keeps writers out: -ETXTBSY while one is open for writing. */
int inode_deny_write(struct inode *i);
void inode_allow_write(struct inode *i);
static inline u64 inode_size(const struct inode *i) { return i->mapping.size_bytes; }
int vfs_sync_all(void);
/* RLIMIT_FSIZE of the current process, which is sent SIGXFSZ unless it may write the byte `at`; set by linux. */
extern u64 (*vfs_fsize_limit)(u64 at);
/* Whose call this is, and what the kernel does on its own is &kernel_cred's; set by linux, NULL: there is only the kernel. */
extern const struct cred *(*vfs_caller)(void);
/* The personality's, atomic: may one more file be open? 0 or -ENFILE. NULL: yes. */
extern int (*vfs_may_open)(void);
/* How long a file may become by a write at `pos`. */
u64 vfs_write_limit(u64 pos);
/* vma_ops for file mappings: keep the file open, describe it. For file_ops.mmap. */
extern const struct vma_ops file_vma_ops;
/* For vma_ops of other areas that hold a file. */
void file_vma_open(struct vma *vma);
void file_vma_close(struct vma *vma);
void file_vma_describe(struct vma *vma, char *ret_name, size_t size, u64 *ret_dev, u64 *ret_ino);
int generic_file_mmap(struct file *f, struct map_request *req);

/* --- the other objects of fs/ ---------------------------------------------- */
int pipe_create(u32 flags, struct file *ret[2]); /* O_NONBLOCK, O_DIRECT */
int eventfd_create(u64 initial, u32 flags, struct file **ret); /* EFD_SEMAPHORE, O_NONBLOCK */
bool file_is_eventfd(const struct file *f);
struct ktimespec { s64 sec, nsec; };
int timerfd_open(int clock, u32 flags, struct file **ret);
int timerfd_set(struct file *f, int flags, u64 value_ns, u64 interval_ns, u64 *ret_old_value, u64 *ret_old_interval);
int timerfd_get(struct file *f, u64 *ret_value, u64 *ret_interval);
void timerfd_wall_changed(void); /* after wall_set(); not in an interrupt */
int epoll_open(u32 flags, struct file **ret);
struct kepoll_event { u32 events; u64 data; } PACKED;
int epoll_control(struct file *ep, int op, int fd, struct file *target, const struct kepoll_event *ev);
/* The file that is watched as descriptor fd, referenced, after skipping `skip` of them. -EINVAL: no epoll file, -ENOENT. */
int epoll_target(struct file *ep, int fd, u32 skip, struct file **ret);
/* Blocks until an event, the deadline, or a signal: count, 0, -ERESTARTNOHAND. */
int epoll_collect(struct file *ep, uaddr_t events, int max, u64 deadline_ns);
int memfd_open(const char *name, u32 flags, struct file **ret); /* MFD_* flags, checked */
/* fcntl's F_GET_SEALS / F_ADD_SEALS: seals, 0, or -errno (-EINVAL: not a memfd). */
int memfd_get_seals(struct file *f);
int memfd_add_seals(struct file *f, u32 seals);
/*
 * splice(2) and tee(2). How many bytes; 0: the end; -EAGAIN: none there, or no room; -EPIPE: nobody reads. `in` is a pipe, `out` is one but in
 * pipe_to_file().
 */
bool file_is_pipe(const struct file *f);
s64 pipe_to_file(struct file *in, struct file *out, u64 *out_pos, u64 len); /* what out does not take stays */
s64 pipe_to_pipe(struct file *in, struct file *out, u64 len, bool take);    /* tee(2): !take. -EINVAL: both are the same one */
s64 pipe_wait_room(struct file *out);                                       /* bytes that it has room for */
/* A part of a page, or a copy of the next len (<= PAGE_SIZE) bytes of u: len. Nothing is waited for. */
s64 pipe_put_page(struct file *out, struct page *page, u32 off, u32 len);
s64 pipe_put_copy(struct file *out, struct uio *u, u32 len);
s64 pipe_put_user(struct file *out, const struct uio_seg *segs, u32 nsegs); /* vmsplice(2): each page a part of its own, as many as there is room for */
/* F_GETPIPE_SZ / F_SETPIPE_SZ: bytes, or -errno (-EBADF: not a pipe). */
int pipe_get_size(struct file *f);
int pipe_set_size(struct file *f, u64 bytes);

/* --- descriptor tables ------------------------------------------------------ */
struct fdtable;
struct fdtable *fdtable_create(void);
struct fdtable *fdtable_copy(struct fdtable *t); /* fork */
bool fdtable_shared(struct fdtable *t); /* has it other users? */
struct fdtable *fdtable_get(struct fdtable *t);
void fdtable_put(struct fdtable *t);             /* closes all at zero */
void fdtable_set_limit(struct fdtable *t, u32 limit); /* RLIMIT_NOFILE soft */
struct file *fd_file(struct fdtable *t, int fd);     /* referenced, or NULL */
/* fd_file() for the length of one system call of the table's owner: no reference is taken while nobody shares the
 * table. What is to be put afterwards, or NULL, is in *ret_owned. */
struct file *fd_borrow(struct fdtable *t, int fd, struct file **ret_owned);
/* Lowest free descriptor >= min, or -EMFILE / -ENOMEM. Takes over the reference on success. */
int fd_install(struct fdtable *t, struct file *f, int min, bool cloexec);
/* Reserve without making it visible; then fd_publish() or fd_unreserve(). */
int fd_reserve(struct fdtable *t, int min, bool cloexec);
void fd_publish(struct fdtable *t, int fd, struct file *f);
void fd_unreserve(struct fdtable *t, int fd);
int fd_close(struct fdtable *t, int fd);             /* -EBADF */
int fd_close_range(struct fdtable *t, u32 first, u32 last, bool only_set_cloexec);
/* A file at that number, in place of what was there. -EBADF, -EBUSY, -ENOMEM. Takes over the reference on success. */
int fd_replace(struct fdtable *t, struct file *f, int to, bool cloexec);
int fd_dup_to(struct fdtable *t, int from, int to, bool cloexec); /* dup2/dup3 on different numbers */
int fd_get_cloexec(struct fdtable *t, int fd);       /* 0, 1, -EBADF */
int fd_set_cloexec(struct fdtable *t, int fd, bool on);
void fd_close_on_exec(struct fdtable *t);
/* Next used descriptor >= fd, or -1 (for /proc/self/fd). */
int fd_next(struct fdtable *t, int fd);

/* --- procfs ------------------------------------------------------------------ */
/* procfs serves what others register. A show function appends text to buf and
 * returns the length the whole text needs; the file is rendered at open. */
typedef size_t proc_show_fn(void *arg, char *buf, size_t size);
int proc_add(const char *path, u32 mode, proc_show_fn *show, void *arg);
/* Writable entries (sysctl): parse the whole text written. 0 or -errno. */
int proc_add_writable(const char *path, u32 mode, proc_show_fn *show, int (*store)(void *arg, const char *text, size_t len), void *arg);
int proc_add_symlink(const char *path, const char *target);

/* The same for /sys; NULL in a kernel without it. */
extern const struct sysfs_ops *const sysfs;

/* /proc/PID directories, supplied by the personality. */
struct proc_pid_ops {
    bool (*exists)(u32 pid);
    u32 (*next_pid)(u32 after);            /* 0 = none */
    u32 (*self)(void);
    u32 (*thread_self)(void);              /* tid */
    u32 (*next_tid)(u32 pid, u32 after);   /* 0 = none */
    void (*owner)(u32 pid, u32 mode, u32 *ret_uid, u32 *ret_gid); /* of what has this mode there */
    size_t (*show)(u32 pid, u32 tid, const char *name, char *buf, size_t size); /* "stat", "maps", ...; a list: */
    const char *const *names;              /* NULL-terminated: regular files of /proc/PID (and task/TID) */
    int (*link)(u32 pid, const char *name, struct path *ret, char *buf, size_t size); /* "exe" "cwd" "root": path, or text */
    struct fdtable *(*fdtable)(u32 pid);   /* referenced, or NULL */
    s64 (*mem)(u32 pid, u64 addr, void *buf, size_t len, bool write); /* /proc/PID/mem */
    int (*store)(u32 pid, u32 tid, const char *name, const char *text, size_t len); /* oom_score_adj, comm, ... -EACCES */
    const char *const *namespaces;         /* NULL-terminated: links of /proc/PID/ns */
    int (*ns)(u32 pid, const char *name, struct path *ret); /* where one of them leads */
};
void proc_set_pid_ops(const struct proc_pid_ops *ops);
u32 proc_pid_of(struct file *f); /* f is an open /proc/PID: its number; 0 when f is anything else */

/* --- terminals and standard streams ------------------------------------------ */
struct chardev;
/* One-directional stream on a host port: file for fd 0, 1 or 2 without -t. */
int stream_open(struct chardev *c, bool can_read, bool can_write, struct file **ret);
/* The terminal on a host port with a line discipline (termios(4)); becomes /dev/console. */
struct tty;
int tty_create(struct chardev *c, struct tty **ret);
int tty_open_file(struct tty *t, struct file **ret);
void tty_set_winsize(struct tty *t, u16 rows, u16 cols);
/* Job control as the terminal sees it; set by linux. Those without a session or group are about the calling process. */
struct tty_hooks {
    void (*current)(u32 *ret_pgrp, u32 *ret_sid, bool *ret_session_leader); /* sid 0: of no session with a terminal */
    /* It is not of the foreground group, perhaps: 0 go on, -EIO, -ERESTARTSYS (its group was sent `sig`: SIGTTIN, SIGTTOU). */
    int (*background)(u32 session, u32 foreground, int sig);
    void (*signal)(u32 pgrp, int sig);
    /* The session lost its terminal: its leader hears of it, and when that ends, the group that had the foreground. */
    void (*hung_up)(u32 session, u32 foreground);
    int (*check_group)(u32 pgrp, u32 session); /* 0, -ESRCH, -EPERM: of another session */
    void (*disown)(void);                      /* it gives its terminal up, its session keeps it: sid 0 from now on */
};
extern const struct tty_hooks *tty_hooks;
/* A session's leader ends: the foreground group hears of it, the terminal is free. */
void tty_session_ended(u32 sid);
/* ioctl TIOCGPTPEER of a pseudo terminal's master: its terminal opened with O_* flags. -ENOTTY, -EIO, or as open(). */
int pty_open_peer(struct file *master, u32 flags, struct file **ret);
/* The device number and foreground group of a session's terminal. False: it has none. */
bool tty_of_session(u32 sid, u64 *ret_dev, u32 *ret_pgrp);

#endif
