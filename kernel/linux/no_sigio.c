/* SPDX-License-Identifier: Apache-2.0 */
/* In place of sigio.c: no file sends signals. */
#include "task.h"

int sigio_set(struct file *f, int fd, bool on) { return on ? -EINVAL : 0; }
s64 sigio_fcntl(struct file *f, int fd, u32 cmd, u64 arg) { return -EINVAL; }
void sigio_file_gone(struct file *f) {}
