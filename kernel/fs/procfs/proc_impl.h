/* SPDX-License-Identifier: Apache-2.0 */
/*
 * procfs. Two halves: node.c has the tree of entries that others register (proc_add); pid.c has the
 * directories of processes, made up from struct proc_pid_ops; proc.c joins them to a file system
 * and renders files. sysfs (sys.c) is the first half once more, with a tree of its own.
 *
 * A file's text is made when its beginning is read and kept by the open file, so that reading in
 * pieces is consistent and lseek(0) shows news. Registered nodes are never removed.
 */
#ifndef PROC_IMPL_H
#define PROC_IMPL_H

#include "../fs_impl.h"
#include "base/fmt.h"

enum proc_kind {
    PROC_NODE,
    PROC_SELF,
    PROC_THREAD_SELF,
    /* from here on of a process */
    PROC_PID_DIR,
    PROC_TASK_DIR,
    PROC_FD_DIR,
    PROC_FDINFO_DIR,
    PROC_FD,
    PROC_FDINFO,
    PROC_FILE,  /* index: into pid_ops->names */
    PROC_LINK,  /* index: exe, cwd, root */
    PROC_NS_DIR,
    PROC_NS,    /* index: into pid_ops->namespaces */
    PROC_MEM,
    PROC_MOUNTS,
    PROC_MOUNTINFO,
};

struct proc_node {
    struct proc_node *parent;
    struct list children, sibling; /* proc_lock */
    u64 ino;
    u32 mode;
    proc_show_fn *show;
    int (*store)(void *arg, const char *text, size_t len);
    void *arg;
    const char *target;
    int (*fill)(const struct sysfs_ops *sys); /* of a directory: to be called before one looks into it; NULL = was, or none */
    char name[];
};

/* A file system of registered entries. */
struct proc_tree {
    const char *type;
    u32 magic;
    u32 file_size; /* what stat() says of a file */
    bool refuses_writers; /* of files that nobody may write, whoever asks */
    struct proc_node *root;
};

struct proc_inode {
    enum proc_kind kind;
    struct proc_node *node;
    u32 pid, tid; /* tid 0: the process' own directory */
    u32 index;    /* PROC_FILE, PROC_LINK, PROC_NS; descriptor of PROC_FD, PROC_FDINFO */
};

static inline struct proc_inode *proc_i(const struct inode *i) { return i->private; }

extern struct mutex proc_lock;
extern struct proc_tree proc_tree;
extern const struct proc_pid_ops *proc_pids;
extern const struct inode_ops proc_dir_inode_ops, proc_link_inode_ops, proc_file_inode_ops;
extern const struct file_ops proc_dir_ops, proc_file_ops, proc_mem_ops;

struct proc_node *proc_find(struct proc_node *dir, const char *name, size_t len);
/* The entry at path, with the directories that lead to it. An entry that was there is replaced. */
int proc_add_below(struct proc_node *dir, const char *path, u32 mode, const struct proc_node *what);
/* Make what dir promised. Several may do so at once: they add the same. */
int proc_fill(struct proc_node *dir);
struct proc_node *proc_tree_create(void);
int proc_mount_tree(const struct proc_tree *t, struct superblock **ret);
/* Give d an inode of that kind. */
int proc_attach(struct inode *dir, struct dentry *d, const struct proc_inode *what, u32 mode);

/* pid.c: for directories of processes */
int proc_pid_lookup(struct inode *dir, struct dentry *d);
int proc_pid_iterate(struct inode *dir, u64 *pos, struct dir_emit *e);
bool proc_pid_valid(const struct proc_inode *p);
u32 proc_fd_mode(const struct proc_inode *p); /* of the link: what the descriptor is open for */
size_t proc_pid_show(const struct proc_inode *p, char *buf, size_t size);
s64 proc_pid_readlink(const struct proc_inode *p, char *buf, size_t size);
int proc_pid_follow(const struct proc_inode *p, struct path *ret);
bool proc_parse_number(const char *s, size_t len, u32 *ret);

#endif
