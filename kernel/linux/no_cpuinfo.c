/* SPDX-License-Identifier: Apache-2.0 */
/* A kernel without /proc/cpuinfo (-Dwithout=cpuinfo): programs ask the CPU itself. */
#include "task.h"

void cpuinfo_init(void) {}
