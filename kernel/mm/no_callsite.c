/* SPDX-License-Identifier: Apache-2.0 */
/* In place of callsite.c: every system call is a trap. */
#include "kern/callsite.h"

#include "as_impl.h"

void callsite_trapped(struct addrspace *as, struct trap_frame *f) {}
uaddr_t callsite_original(struct addrspace *as, uaddr_t pc) { return pc; }
uaddr_t callsite_resting(struct addrspace *as, uaddr_t pc) { return pc; }
uaddr_t callsite_resume(struct addrspace *as, uaddr_t pc) { return 0; }
void callsite_undo(struct addrspace *as, uaddr_t pc) {}
void callsite_drop_page(struct addrspace *as, uaddr_t va) {}
void callsite_restore(struct addrspace *as, uaddr_t start, uaddr_t end) {}
void callsite_forget(struct addrspace *as, uaddr_t start, uaddr_t end) {}
bool callsite_is_thunks(const struct vma *v) { return false; }
void callsite_retire(struct vma *v) {}
void callsite_trim(struct addrspace *as) {}
void callsite_done(struct addrspace *as) {}
