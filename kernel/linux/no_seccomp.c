/* SPDX-License-Identifier: Apache-2.0 */
/* In place of seccomp.c: a Linux without CONFIG_SECCOMP. */
#include "seccomp_impl.h"

bool seccomp_allows(struct task *t, struct trap_frame *f) { return true; }
void seccomp_inherit_locked(struct task *t, const struct task *from) {}
void seccomp_put(struct seccomp *s) {}
void seccomp_init(void) {}
u32 seccomp_mode(struct task *t, u32 *ret_filters) { return *ret_filters = 0; }
s64 seccomp_prctl(bool set, u64 mode, uaddr_t program) { return -EINVAL; }
