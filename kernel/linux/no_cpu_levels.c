/* SPDX-License-Identifier: Apache-2.0 */
/* In place of cpu_levels.c: all time counts as the program's. */
#include "task.h"

void cpu_levels_init(void) {}
u64 task_system_ns(struct task *t, u64 cpu_ns) { return 0; }
u64 cpu_system_ns(unsigned cpu) { return 0; }
