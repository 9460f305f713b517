/* SPDX-License-Identifier: Apache-2.0 */
/* Return addresses in programs, by frame pointers. */
#ifndef BPF_STACK_H
#define BPF_STACK_H

#include "base/types.h"

/* Of the current thread's program, as it entered the kernel; caller: of the innermost function, if that has no frame yet, or 0. How many. */
u32 stack_of_program(u64 caller, u64 *ret, u32 max);

#endif
