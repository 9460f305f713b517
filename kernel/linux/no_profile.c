/* SPDX-License-Identifier: Apache-2.0 */
/* A kernel without the sampling profiler (-Dwithout=profile). */
#include "task.h"

void profile_init(void) {}
