/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How core and sched come up. The boot CPU's order:
 *
 *   platform   percpu_init(&percpu_boot, 0), kernel_sp = top of the boot stack (KSTACK_SIZE
 *              bytes, which become the idle thread's); this_cpu() works from here on, and with it klog(), panic(), spinlocks, bh_*, current_thread()
 *   init       core_init()          clock and timers of the boot CPU
 *              page_init(), slab_init()                  (mm)
 *              random_init()        as soon as plat_entropy() works
 *              sched_init()         needs slab; the caller becomes the idle thread
 *              futex_init()
 *              ... address spaces, devices, files, network ...
 *              plat_events_enable() when interrupts may come; any time after sched_init()
 *              thread_create() + thread_start() of the first thread
 *              sched_idle_loop()    never returns
 *
 * Whatever sleeps runs in a thread of its own: the boot thread is the idle
 * thread and must not block. So init does early steps on the boot stack, then
 * starts one thread that does the rest.
 *
 * Every other CPU: percpu_init(its own, n); page_init_cpu(); sched_init_cpu(n); arch_fpu_init_cpu();
 * plat_events_enable(); sched_idle_loop().
 */
#ifndef KERN_CORE_H
#define KERN_CORE_H

void core_init(void);

#endif
