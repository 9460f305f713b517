/* SPDX-License-Identifier: Apache-2.0 */
/* In place of oom.c: whose fault finds no memory, ends. */
#include "task.h"

void oom_init(void) {}
u32 oom_score(struct process *p) { return 0; }
