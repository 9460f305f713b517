/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the three kinds of System V objects share (sysvipc(7)): a table of objects with keys and owners, and waiting.
 *
 * ID: seq * IPC_SLOTS + slot. A slot is given out again only after all others, and then with another seq, so that an
 * old ID does not name a new object.
 * Lock: one for each kind guards its table and everything in its objects; a leaf, but for waking. An object
 * lives until ipc_remove(), whose caller frees it behind the lock; waiting threads keep no reference.
 */
#ifndef LINUX_SYSV_IPC_H
#define LINUX_SYSV_IPC_H

#include "task.h"

#define IPC_SLOTS 32768u
#define IPC_PRIVATE 0
#define IPC_CREAT 01000u
#define IPC_EXCL 02000u
#define IPC_NOWAIT 04000u
#define IPC_RMID 0
#define IPC_SET 1
#define IPC_STAT 2
#define IPC_INFO 3

struct abi_ipc_perm {
    s32 key;
    u32 uid, gid, cuid, cgid, mode;
    u16 seq, pad[3];
    u64 unused[2];
};

struct ipc_object {
    u32 id;
    struct abi_ipc_perm perm; /* mode: also the kind's own bits above 0777 */
};

struct ipc_kind {
    struct spinlock lock;
    const char *heading;       /* of /proc/sysvipc/... */
    /* Not in the table yet; perm is filled in by the caller. May sleep. */
    int (*create)(u64 arg, u32 flags, struct ipc_object **ret);
    int (*match)(const struct ipc_object *o, u64 arg); /* an existing one, as the *get call wants it: 0 or -EINVAL */
    void (*destroy)(struct ipc_object *o);             /* NULL is fine; no lock held */
    size_t (*line)(const struct ipc_object *o, char *buf, size_t size);
    u32 max;
    struct ipc_object **table; /* `size` slots; grows */
    u32 size, used, next, seq;
};

/* semget(), msgget(), shmget(): the ID or -errno. */
s64 ipc_get(struct ipc_kind *k, s32 key, u64 arg, u32 flags);
/* The rest is called with k->lock held. */
struct ipc_object *ipc_find(const struct ipc_kind *k, int id); /* NULL */
/* By ID, or by slot (the *_STAT calls), with the permission `want` (4 read, 2 write): 0, -EINVAL, -EACCES. */
int ipc_open(const struct ipc_kind *k, int id, bool by_slot, u32 want, struct ipc_object **ret);
int ipc_own(const struct ipc_kind *k, int id, struct ipc_object **ret); /* to change it: 0, -EINVAL, -EPERM */
void ipc_remove(struct ipc_kind *k, struct ipc_object *o);
int ipc_set_perm(struct ipc_object *o, const struct abi_ipc_perm *new); /* IPC_SET: 0, -EINVAL */
u32 ipc_highest(const struct ipc_kind *k); /* used slot, or 0 */

static inline s64 ipc_time(void) { return (s64)(wall_ns() / NSEC_PER_SEC); }

/* A thread waits until another has done what it wants. On a list of its object, under the kind's lock. */
struct ipc_wait {
    struct list node;
    struct thread *thread;
    s64 result;
    bool done; /* atomic; the last access of who sets it, but for the wake-up */
};
/* On list and with the lock held, which this drops: w->result, or -ETIMEDOUT, -ERESTARTSYS and off the list. */
s64 ipc_wait(struct ipc_wait *w, struct spinlock *lock, u64 deadline_ns);
void ipc_wait_end(struct ipc_wait *w, s64 result); /* lock held; takes it off its list */

extern struct ipc_kind sem_kind, msg_kind, shm_kind;
extern u32 msg_max, msg_queue_bytes; /* /proc/sys/kernel/msgmax, msgmnb */

#endif
