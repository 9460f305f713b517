/* SPDX-License-Identifier: Apache-2.0 */
/* A kernel without counters of lock contention (-Dwithout=lockstat). */
#include "task.h"

void proc_lockstat_init(void) {}
