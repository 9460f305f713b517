/* SPDX-License-Identifier: Apache-2.0 */
/* What kern/bh.h has inline for files that are built for speed (SPIN_INLINE), for all others. */
#include "kern/bh.h"

void bh_enable(void)
{
    compiler_barrier();
    struct percpu *cpu = this_cpu();
    if (--cpu->bh_disabled == 0 && unlikely(!list_empty(&cpu->bh_pending)))
        bh_enabled();
}
