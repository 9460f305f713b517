/* SPDX-License-Identifier: Apache-2.0 */
/* In place of splice.c: io_uring's operations of these names. */
#include "task.h"

s64 splice_at(int in_fd, u64 in_off, int out_fd, u64 out_off, u64 len, u32 flags) { return -EINVAL; }
s64 tee_at(int in_fd, int out_fd, u64 len, u32 flags) { return -EINVAL; }
