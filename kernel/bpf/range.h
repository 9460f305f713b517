/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is known of a 64-bit number: bits (those of `mask` are unknown, the others are as in `value`), and bounds, as unsigned and as
 * signed. Every set is a superset of what the number can be; operations on sets give a superset of the results.
 */
#ifndef BPF_RANGE_H
#define BPF_RANGE_H

#include "base/types.h"

struct range {
    u64 value, mask;
    u64 umin, umax;
    s64 smin, smax;
};

struct range range_any(void);
struct range range_const(u64 v);
struct range range_between(u64 min, u64 max); /* unsigned */
static inline bool range_is_const(const struct range *r) { return r->mask == 0; }
/* Is every number of b one of a? */
bool range_covers(const struct range *a, const struct range *b);
/* Let bits and bounds tell each other what they know. False: there is no such number. */
bool range_sync(struct range *r);
/* The low `bits` bits, others 0. */
struct range range_truncate(struct range r, unsigned bits);
/* op: BPF_ADD, ... of kern/bpf.h, not NEG, MOV or END; wide: BPF_ALU64. */
struct range range_op(u8 op, bool wide, struct range a, struct range b);
/* A conditional jump (op: BPF_JEQ, ...) goes that way: what a and b are then. False: it cannot. */
bool range_branch(u8 op, bool wide, bool taken, struct range *a, struct range *b);

#endif
