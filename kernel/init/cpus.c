/* SPDX-License-Identifier: Apache-2.0 */
/* All CPUs but the first. They start side by side with whatever the first one does next; nobody waits for them. */
#include "init_impl.h"
#include "kern/core.h"
#include "kern/log.h"
#include "kern/page.h"
#include "kern/percpu.h"
#include "kern/slab.h"
#include "kern/thread.h"

static void cpu_main(void)
{
    arch_fpu_init_cpu();
    page_init_cpu();
    sched_init_cpu(this_cpu()->cpu);
    plat_events_enable();
    sched_idle_loop();
}

void cpus_start(void)
{
    unsigned n = plat_cpu_count();
    if (n > 1)
        sched_expect_cpus();
    for (unsigned cpu = 1; cpu < n; cpu++) {
        u8 *stack = vmap_alloc(KSTACK_SIZE);
        int err = stack != NULL ? plat_cpu_start(cpu, cpu_main, stack + KSTACK_SIZE) : -ENOMEM;
        if (err != 0) {
            klog(LOG_ERROR, "CPU %u cannot be started: error %d", cpu, -err);
            vmap_free(stack, KSTACK_SIZE);
            return;
        }
    }
}
