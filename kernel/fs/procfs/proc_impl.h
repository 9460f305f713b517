/* SPDX-License-Identifier: Apache-2.0 */
/*
 * procfs. Two halves: node.c has the tree of entries that others register (proc_add); pid.c has the
 * directories of processes, made up from struct proc_pid_ops; proc.c joins them to a file system
 * and renders files.
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
    char name[];
};

struct proc_inode {
    enum proc_kind kind;
    struct proc_node *node;
    u32 pid, tid; /* tid 0: the process' own directory */
    u32 index;    /* PROC_FILE, PROC_LINK; descriptor of PROC_FD, PROC_FDINFO */
};

static inline struct proc_inode *proc_i(const struct inode *i) { return i->private; }

extern struct mutex proc_lock;
extern struct proc_node *proc_root;
extern const struct proc_pid_ops *proc_pids;
extern const struct inode_ops proc_dir_inode_ops, proc_link_inode_ops, proc_file_inode_ops;
extern const struct file_ops proc_dir_ops, proc_file_ops, proc_mem_ops;

struct proc_node *proc_find(struct proc_node *dir, const char *name, size_t len);
/* Give d an inode of that kind. */
int proc_attach(struct inode *dir, struct dentry *d, const struct proc_inode *what, u32 mode);

/* pid.c: for directories of processes */
int proc_pid_lookup(struct inode *dir, struct dentry *d);
int proc_pid_iterate(struct inode *dir, u64 *pos, struct dir_emit *e);
bool proc_pid_valid(const struct proc_inode *p);
size_t proc_pid_show(const struct proc_inode *p, char *buf, size_t size);
s64 proc_pid_readlink(const struct proc_inode *p, char *buf, size_t size);
int proc_pid_follow(const struct proc_inode *p, struct path *ret);
bool proc_parse_number(const char *s, size_t len, u32 *ret);

#endif
