/* SPDX-License-Identifier: Apache-2.0 */
/* futex(2): decoding. The queues are in sched/futex.c. */
#include "task.h"
#include "kern/futex.h"

enum {
    FUTEX_WAIT, FUTEX_WAKE, FUTEX_FD, FUTEX_REQUEUE, FUTEX_CMP_REQUEUE, FUTEX_WAKE_OP, FUTEX_LOCK_PI, FUTEX_UNLOCK_PI,
    FUTEX_TRYLOCK_PI, FUTEX_WAIT_BITSET, FUTEX_WAKE_BITSET
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
    u32 bitset = FUTEX_BITSET_ALL;

    if ((op & FUTEX_CLOCK_REALTIME) && cmd != FUTEX_WAIT_BITSET)
        return -ENOSYS;
    switch (cmd) {
    case FUTEX_WAIT_BITSET:
        bitset = value3;
        /* fall through */
    case FUTEX_WAIT:
        if (bitset == 0)
            return -EINVAL;
        if (timeout != 0) {
            struct abi_timespec ts;
            int r = get_timespec(timeout, &ts);
            if (r < 0)
                return r;
            u64 ns = timespec_to_ns(&ts);
            if (cmd == FUTEX_WAIT)
                deadline = deadline_after(ns);
            else if (!(op & FUTEX_CLOCK_REALTIME))
                deadline = ns;
            else
                clock_deadline(CLOCK_REALTIME, ns, &deadline);
        }
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
    default: /* priority inheritance is not there: as a Linux without CONFIG_FUTEX_PI */
        return -ENOSYS;
    }
}

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
    u64 head = t->robust_list;
    task_put(t);
    if (put_user_u64(usize, ROBUST_HEAD_SIZE) < 0 || put_user_u64(uhead, head) < 0)
        return -EFAULT;
    return 0;
}
