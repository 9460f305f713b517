/* SPDX-License-Identifier: Apache-2.0 */
/* System V objects: keys, IDs, permissions, waiting, and their entries in /proc. See sysv_ipc.h. */
#include "sysv_ipc.h"
#include "base/fmt.h"
#include "base/str.h"

#define CAP_IPC_OWNER 15
#define FIRST_SIZE 64u

static u32 most(const struct ipc_kind *k) { return MIN(atomic_load_relaxed(&k->max), IPC_SLOTS); }

struct ipc_object *ipc_find(const struct ipc_kind *k, int id)
{
    u32 slot = (u32)id % IPC_SLOTS;
    struct ipc_object *o = id >= 0 && slot < k->size ? k->table[slot] : NULL;
    return o != NULL && o->id == (u32)id ? o : NULL;
}

static bool ipc_allowed(const struct ipc_object *o, u32 want)
{
    const struct cred *c = current_cred();
    u32 mode = o->perm.mode;
    if (c->euid == o->perm.uid || c->euid == o->perm.cuid)
        mode >>= 6;
    else if (c->egid == o->perm.gid || c->egid == o->perm.cgid)
        mode >>= 3;
    return (want & ~mode & 7) == 0 || cred_capable(c, CAP_IPC_OWNER);
}

int ipc_open(const struct ipc_kind *k, int id, bool by_slot, u32 want, struct ipc_object **ret)
{
    u32 slot = (u32)id % IPC_SLOTS;
    struct ipc_object *o = !by_slot ? ipc_find(k, id) : slot < k->size ? k->table[slot] : NULL;
    if (o == NULL)
        return -EINVAL;
    *ret = o;
    return ipc_allowed(o, want) ? 0 : -EACCES;
}

int ipc_own(const struct ipc_kind *k, int id, struct ipc_object **ret)
{
    const struct cred *c = current_cred();
    struct ipc_object *o = ipc_find(k, id);
    if (o == NULL)
        return -EINVAL;
    *ret = o;
    return c->euid == o->perm.uid || c->euid == o->perm.cuid || cred_capable(c, CAP_SYS_ADMIN) ? 0 : -EPERM;
}

int ipc_set_perm(struct ipc_object *o, const struct abi_ipc_perm *new)
{
    if (new->uid == UINT32_MAX || new->gid == UINT32_MAX)
        return -EINVAL;
    o->perm.uid = new->uid;
    o->perm.gid = new->gid;
    o->perm.mode = (o->perm.mode & ~0777u) | (new->mode & 0777);
    return 0;
}

void ipc_remove(struct ipc_kind *k, struct ipc_object *o)
{
    k->table[o->id % IPC_SLOTS] = NULL;
    k->used--;
}

u32 ipc_highest(const struct ipc_kind *k)
{
    u32 i = k->size;
    while (i > 0 && k->table[i - 1] == NULL)
        i--;
    return i > 0 ? i - 1 : 0;
}

/* --- the *get calls --------------------------------------------------------------------------- */

/* An object with this key, as the caller wants it: its ID or an error. Lock held. */
static s64 by_key(const struct ipc_kind *k, s32 key, u64 arg, u32 flags)
{
    for (u32 i = 0; key != IPC_PRIVATE && i < k->size; i++) {
        struct ipc_object *o = k->table[i];
        if (o == NULL || o->perm.key != key)
            continue;
        if ((flags & (IPC_CREAT | IPC_EXCL)) == (IPC_CREAT | IPC_EXCL))
            return -EEXIST;
        int r = k->match(o, arg);
        return r < 0 ? r : !ipc_allowed(o, (flags >> 6 | flags >> 3 | flags) & 7) ? -EACCES : (s64)o->id;
    }
    return -ENOENT;
}

/* Room for one more. Others may use it up meanwhile; then insert() says so and the caller comes again. */
static int make_room(struct ipc_kind *k)
{
    u32 size = atomic_load(&k->size), want = size == 0 ? FIRST_SIZE : size * 2;
    if (atomic_load(&k->used) < size || size >= most(k))
        return 0;
    want = MIN(want, most(k));
    struct ipc_object **t = kzalloc(want * sizeof(*t)), **old = NULL;
    if (t == NULL)
        return -ENOMEM;
    spin_lock(&k->lock);
    if (k->size < want) {
        if (k->size != 0)
            memcpy(t, k->table, k->size * sizeof(*t));
        old = k->table;
        k->table = t;
        k->size = want;
        t = old;
    }
    spin_unlock(&k->lock);
    kfree(t);
    return 0;
}

/* Lock held. -EAGAIN: the table has to grow. */
static s64 insert(struct ipc_kind *k, struct ipc_object *o)
{
    if (k->used >= most(k))
        return -ENOSPC;
    if (k->used >= k->size)
        return -EAGAIN;
    u32 slot = k->next;
    for (;; slot++) {
        if (slot >= k->size) {
            slot = 0;
            k->seq = (k->seq + 1) % (INT32_MAX / IPC_SLOTS + 1u);
        }
        if (k->table[slot] == NULL)
            break;
    }
    k->next = slot + 1;
    k->table[slot] = o;
    k->used++;
    o->perm.seq = (u16)k->seq;
    return o->id = k->seq * IPC_SLOTS + slot;
}

static void fill_perm(struct ipc_object *o, s32 key, u32 flags)
{
    const struct cred *c = current_cred();
    o->perm = (struct abi_ipc_perm){.key = key, .uid = c->euid, .gid = c->egid, .cuid = c->euid, .cgid = c->egid, .mode = flags & 0777};
}

s64 ipc_get(struct ipc_kind *k, s32 key, u64 arg, u32 flags)
{
    struct ipc_object *o = NULL;
    spin_lock(&k->lock);
    s64 r = by_key(k, key, arg, flags);
    spin_unlock(&k->lock);
    if (r != -ENOENT || (key != IPC_PRIVATE && !(flags & IPC_CREAT)))
        return r;
    r = k->create(arg, flags, &o);
    if (r < 0)
        return r;
    fill_perm(o, key, flags);
    do {
        r = make_room(k);
        if (r < 0)
            break;
        spin_lock(&k->lock);
        r = by_key(k, key, arg, flags); /* another may have been faster */
        if (r == -ENOENT && (r = insert(k, o)) >= 0)
            o = NULL;
        spin_unlock(&k->lock);
    } while (r == -EAGAIN);
    k->destroy(o);
    return r;
}

/* --- waiting ------------------------------------------------------------------------------------- */

s64 ipc_wait(struct ipc_wait *w, struct spinlock *lock, u64 deadline_ns)
{
    thread_prepare_block(true);
    spin_unlock(lock);
    while (!atomic_load(&w->done)) {
        int r = thread_block(deadline_ns);
        if (r != 0) {
            spin_lock(lock);
            if (!w->done) {
                list_remove(&w->node);
                w->result = r;
                w->done = true;
            }
            spin_unlock(lock);
            break;
        }
        thread_prepare_block(true); /* a wake-up that was not for us */
    }
    thread_cancel_block();
    return w->result;
}

void ipc_wait_end(struct ipc_wait *w, s64 result)
{
    struct thread *t = thread_get(w->thread);
    list_remove(&w->node);
    w->result = result;
    atomic_store(&w->done, true); /* w may be gone from here on */
    thread_wake(t);
    thread_put(t);
}

/* --- /proc ----------------------------------------------------------------------------------------- */

static size_t ipc_show(void *kind, char *buf, size_t size)
{
    struct ipc_kind *k = kind;
    size_t n = (size_t)fmt_snprintf(buf, size, "%s\n", k->heading);
    spin_lock(&k->lock);
    for (u32 i = 0; i < k->size; i++)
        if (k->table[i] != NULL)
            n += k->line(k->table[i], n < size ? buf + n : NULL, n < size ? size - n : 0);
    spin_unlock(&k->lock);
    return n;
}

void sysv_ipc_init(void)
{
    proc_add("sysvipc/shm", 0444, ipc_show, &shm_kind);
    proc_add("sysvipc/sem", 0444, ipc_show, &sem_kind);
    proc_add("sysvipc/msg", 0444, ipc_show, &msg_kind);
    sysctl_add("kernel/shmmni", &shm_kind.max);
    sysctl_add("kernel/msgmni", &msg_kind.max);
    sysctl_add("kernel/msgmax", &msg_max);
    sysctl_add("kernel/msgmnb", &msg_queue_bytes);
}
