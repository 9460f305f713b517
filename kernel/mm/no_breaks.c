/* SPDX-License-Identifier: Apache-2.0 */
/* A kernel without probes (-Dwithout=probes). */
#include "as_impl.h"

u32 text_breaks;

bool text_broken_slow(const struct vma *v, u64 index) { return false; }
int text_map_broken(struct vma *v, uaddr_t va, struct page *p, unsigned access) { return AGAIN; }
void returns_forked(struct addrspace *from, struct addrspace *to) {}
void returns_gone(struct addrspace *as) {}
