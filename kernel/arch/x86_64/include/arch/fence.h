/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Order between what this CPU writes and then reads in memory that a device shares.
 *
 * MFENCE is enough for a CPU. QEMU's emulation before 8.1, however, translates MFENCE and LOCK prefixes
 * to nothing when the machine has one CPU, although its devices run in another thread of the host: our write
 * waits in the host CPU's store buffer while the read is done, the device does the same, and a wake-up is lost
 * for good. RDTSC takes a host lock there, with an exchange that drains the store buffer; elsewhere it
 * costs some 20 cycles.
 */
#ifndef ARCH_FENCE_H
#define ARCH_FENCE_H

static inline void arch_device_fence(void)
{
    __asm__ volatile("mfence; rdtsc" ::: "rax", "rdx", "memory");
}

#endif
