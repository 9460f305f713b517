/* SPDX-License-Identifier: Apache-2.0 */
/* Return addresses, by frame pointers. */
#ifndef BPF_STACK_H
#define BPF_STACK_H

#include "base/types.h"

#define STACK_FRAMES_MAX 127u

/* Of the kernel, from the function whose frame it is; NULL: none. How many. */
u32 stack_of_kernel(const u64 *frame, u64 *ret, u32 max);
/* Of the current thread's program, as it entered the kernel. */
u32 stack_of_program(u64 *ret, u32 max);

#endif
