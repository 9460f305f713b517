/* SPDX-License-Identifier: Apache-2.0 */
/*
 * seccomp(2): programs that say which system calls a task may make. A task's filters are a chain from the newest to the oldest, which tasks
 * share; strict mode is a chain of one that has no program.
 *
 *   S1  While there is a chain, watched_syscall() stands in linux_syscall()'s place, by whichever road a call comes; else the path of a call has
 *       no instruction for it.
 *   S2  t->seccomp changes with process->lock held, by the task itself or by a thread of it (TSYNC), and only to a chain that the old one is a
 *       part of. So the task reads it without, and what it has read lives as long as it has not returned to its program.
 *   S3  A thread has the chain of who made it before it can be found by TSYNC.
 */
#ifndef LINUX_SECCOMP_IMPL_H
#define LINUX_SECCOMP_IMPL_H

#include "task.h"

struct seccomp_call { /* struct seccomp_data */
    s32 nr;
    u32 arch;
    u64 pc, args[6];
};
_Static_assert(sizeof(struct seccomp_call) == 64, "struct seccomp_data");

/* Before the current task's call: false = it is not made; the result is in its frame. May not return. */
bool seccomp_allows(struct task *t, struct trap_frame *f);
/* t, new, gets what `from` has; process->lock of the latter held. */
void seccomp_inherit_locked(struct task *t, const struct task *from);
void seccomp_put(struct seccomp *s); /* NULL is fine */
/* 0: none, 1: strict, 2: filters, so many */
u32 seccomp_mode(struct task *t, u32 *ret_filters);
void seccomp_init(void);
/* Listeners (seccomp_notif.c). -ENOMEM; the caller has a reference of each, to give up by seccomp_unlisten() and file_put(). */
struct seccomp_listener;
int seccomp_listen(bool killable, struct seccomp_listener **ret, struct file **ret_file);
bool seccomp_heard(const struct seccomp_listener *l); /* its file is open; NULL: no */
void seccomp_unlisten(struct seccomp_listener *l);    /* its filter is gone; any context. NULL is fine */
/* Sleeps until it is answered, or a signal comes. False: the call is not made, its result is in the frame. */
bool seccomp_ask(struct seccomp_listener *l, struct trap_frame *f, const struct seccomp_call *call);
extern const u16 seccomp_notif_sizes[3];

/* PR_GET_SECCOMP, PR_SET_SECCOMP */
s64 seccomp_prctl(bool set, u64 mode, uaddr_t program);

#endif
