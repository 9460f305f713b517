/* SPDX-License-Identifier: Apache-2.0 */
/* Integer arithmetic that says when it overflowed, and range checks by subtraction. */
#ifndef BASE_CHECKED_H
#define BASE_CHECKED_H

#include "base/types.h"

/* True on overflow; *ret then holds the wrapped value. */
#define checked_add(a, b, ret) __builtin_add_overflow(a, b, ret)
#define checked_sub(a, b, ret) __builtin_sub_overflow(a, b, ret)
#define checked_mul(a, b, ret) __builtin_mul_overflow(a, b, ret)

/* Does [off, off+len) lie inside [0, size)? Never overflows. */
static inline bool range_inside(u64 off, u64 len, u64 size) { return off <= size && len <= size - off; }

#endif
