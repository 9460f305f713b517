/* SPDX-License-Identifier: Apache-2.0 */
/* In place of futex_pi.c: as a Linux without CONFIG_FUTEX_PI. */
#include "futex_impl.h"
#include "sched_impl.h"

struct thread *(*futex_find_thread)(u32 tid);

void pi_priority_changed(struct thread *t) {}
int futex_lock_pi(uaddr_t addr, u32 tid, bool shared, u64 deadline_ns, bool try) { return -ENOSYS; }
int futex_unlock_pi(uaddr_t addr, u32 tid, bool shared) { return -ENOSYS; }
int futex_wait_requeue_pi(uaddr_t addr, u32 value, uaddr_t lock, u32 tid, bool shared, u64 deadline_ns) { return -ENOSYS; }
int futex_cmp_requeue_pi(uaddr_t addr, uaddr_t lock, unsigned max_wake, unsigned max_requeue, u32 value, bool shared) { return -ENOSYS; }
void futex_pi_exit(bool ended) {}
