/* SPDX-License-Identifier: Apache-2.0 */
/* In place of oom.c: whose fault finds no memory, ends. */
#include "task.h"

void oom_init(void) {}
u32 oom_score(struct process *p) { return 0; }
s32 oom_old_adj(s32 adj) { return 0; }
int oom_adjust(struct process *p, const char *word, bool old) { return -EPERM; } /* nobody is chosen by it */
