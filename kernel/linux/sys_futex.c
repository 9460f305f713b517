/* SPDX-License-Identifier: Apache-2.0 */
/* futex(2): decoding. The queues are in sched/futex.c. */
#include "task.h"
#include "kern/futex.h"

enum {
    FUTEX_WAIT, FUTEX_WAKE, FUTEX_FD, FUTEX_REQUEUE, FUTEX_CMP_REQUEUE, FUTEX_WAKE_OP, FUTEX_LOCK_PI, FUTEX_UNLOCK_PI,
    FUTEX_TRYLOCK_PI, FUTEX_WAIT_BITSET, FUTEX_WAKE_BITSET, FUTEX_WAIT_REQUEUE_PI, FUTEX_CMP_REQUEUE_PI, FUTEX_LOCK_PI2
};
#define FUTEX_PRIVATE_FLAG 128
#define FUTEX_CLOCK_REALTIME 256

static s64 wait(uaddr_t addr, u32 value, u32 bitset, bool shared, u64 deadline, bool relative)
{
    int r = futex_wait(addr, value, bitset, shared, deadline);
    if (r == -ERESTARTSYS && relative) {
        struct task *t = current_task();
        t->restart.kind = RESTART_FUTEX;
        t->restart.addr = addr;
        t->restart.value = value;
        t->restart.bitset = bitset;
        t->restart.shared = shared;
        t->restart.deadline_ns = deadline;
        return -ERESTART_RESTARTBLOCK;
    }
    return r;
}

s64 futex_wait_restart(void)
{
    struct task *t = current_task();
    return wait(t->restart.addr, t->restart.value, t->restart.bitset, t->restart.shared, t->restart.deadline_ns, true);
}

s64 sys_futex(uaddr_t addr, int op, u32 value, uaddr_t timeout, uaddr_t addr2, u32 value3)
{
    int cmd = op & ~(FUTEX_PRIVATE_FLAG | FUTEX_CLOCK_REALTIME);
    bool shared = !(op & FUTEX_PRIVATE_FLAG);
    u64 deadline = NEVER_NS;
    u32 bitset = FUTEX_BITSET_ALL, tid = current_task()->tid;
    int r;

    switch (cmd) { /* a bad time comes before a bad flag */
    case FUTEX_WAIT:
    case FUTEX_WAIT_BITSET:
    case FUTEX_LOCK_PI:
    case FUTEX_LOCK_PI2:
    case FUTEX_WAIT_REQUEUE_PI:
        r = get_timeout(timeout, cmd == FUTEX_WAIT ? CLOCK_DURATION : cmd == FUTEX_LOCK_PI || op & FUTEX_CLOCK_REALTIME ? CLOCK_REALTIME : CLOCK_MONOTONIC, &deadline);
        if (r < 0)
            return r;
    }
    if ((op & FUTEX_CLOCK_REALTIME) && cmd != FUTEX_WAIT_BITSET && cmd != FUTEX_WAIT_REQUEUE_PI && cmd != FUTEX_LOCK_PI2)
        return -ENOSYS;
    switch (cmd) {
    case FUTEX_WAIT_BITSET:
        bitset = value3;
        /* fall through */
    case FUTEX_WAIT:
        if (bitset == 0)
            return -EINVAL;
        return wait(addr, value, bitset, shared, deadline, cmd == FUTEX_WAIT && timeout != 0);
    case FUTEX_WAKE_BITSET:
        if (value3 == 0)
            return -EINVAL;
        bitset = value3;
        /* fall through */
    case FUTEX_WAKE:
        return futex_wake(addr, value, bitset, shared);
    case FUTEX_REQUEUE:
    case FUTEX_CMP_REQUEUE:
        if ((s32)value < 0 || (s32)timeout < 0)
            return -EINVAL;
        return futex_requeue(addr, addr2, value, (u32)timeout, cmd == FUTEX_CMP_REQUEUE, value3, shared);
    case FUTEX_WAKE_OP:
        return futex_wake_op(addr, addr2, value, (u32)timeout, value3, shared);
    case FUTEX_LOCK_PI:
    case FUTEX_LOCK_PI2:
    case FUTEX_WAIT_REQUEUE_PI:
        r = cmd == FUTEX_WAIT_REQUEUE_PI ? futex_wait_requeue_pi(addr, value, addr2, tid, shared, deadline) :
                                           futex_lock_pi(addr, tid, shared, deadline, false);
        return r == -ERESTARTSYS ? -ERESTARTNOINTR : r;
    case FUTEX_TRYLOCK_PI:
        return futex_lock_pi(addr, tid, shared, NEVER_NS, true);
    case FUTEX_UNLOCK_PI:
        return futex_unlock_pi(addr, tid, shared);
    case FUTEX_CMP_REQUEUE_PI:
        return futex_cmp_requeue_pi(addr, addr2, value, (u32)timeout, value3, shared);
    default:
        return -ENOSYS;
    }
}

#define FUTEX_32 2u
#define WAITV_MAX 128u

s64 sys_futex_waitv(uaddr_t uvec, u32 n, u32 flags, uaddr_t timeout, int clock)
{
    struct { u64 value, addr; u32 flags, reserved; } in;
    u64 deadline = NEVER_NS;
    if (flags != 0 || n == 0 || n > WAITV_MAX || uvec == 0)
        return -EINVAL;
    if (timeout != 0 && clock != CLOCK_MONOTONIC && clock != CLOCK_REALTIME)
        return -EINVAL;
    s64 r = get_timeout(timeout, clock, &deadline);
    if (r < 0)
        return r;
    struct futex_vector *v = kmalloc(n * sizeof *v, 0);
    if (v == NULL)
        return -ENOMEM;
    for (u32 i = 0; r == 0 && i < n; i++) {
        r = copy_from_user(&in, uvec + i * sizeof in, sizeof in);
        if (r == 0 && ((in.flags & ~(FUTEX_32 | FUTEX_PRIVATE_FLAG)) != 0 || !(in.flags & FUTEX_32) || in.reserved != 0))
            r = -EINVAL;
        v[i] = (struct futex_vector){in.value, in.addr, !(in.flags & FUTEX_PRIVATE_FLAG)};
    }
    if (r == 0)
        r = futex_wait_any(v, n, deadline);
    kfree(v);
    return r;
}

static struct thread *thread_of(u32 tid)
{
    struct task *t = task_find(tid);
    struct thread *th = t != NULL ? thread_get(t->thread) : NULL;
    task_put(t);
    return th;
}

void futex_glue_init(void) { futex_find_thread = thread_of; }

s64 sys_set_tid_address(uaddr_t addr)
{
    struct task *t = current_task();
    t->clear_child_tid = addr;
    return t->tid;
}

#define ROBUST_HEAD_SIZE 24

s64 sys_set_robust_list(uaddr_t head, u64 size)
{
    if (size != ROBUST_HEAD_SIZE)
        return -EINVAL;
    current_task()->robust_list = head;
    return 0;
}

s64 sys_get_robust_list(int tid, uaddr_t uhead, uaddr_t usize)
{
    struct task *t = tid == 0 ? task_get(current_task()) : task_find((u32)tid);
    if (t == NULL)
        return -ESRCH;
    bool may = tid == 0 || process_access(t->proc, true);
    u64 head = t->robust_list;
    task_put(t);
    if (!may)
        return -EPERM;
    if (put_user_u64(usize, ROBUST_HEAD_SIZE) < 0 || put_user_u64(uhead, head) < 0)
        return -EFAULT;
    return 0;
}
