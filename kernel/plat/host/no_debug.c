/* SPDX-License-Identifier: Apache-2.0 */
/* In place of debug.c: nobody sets points. */
#include "host.h"

u32 host_debug_hits(u64 addr) { return 0; }
