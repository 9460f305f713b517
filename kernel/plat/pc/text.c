/* SPDX-License-Identifier: Apache-2.0 */
/* Kernel text changes (kern/kprobe.h): there is no writable alias of it, so the CPU that writes lets go of write protection for these few bytes. */
#include "arch/cpu.h"
#include "base/str.h"
#include "kern/kprobe.h"
#include "pc.h"

#define CR0_WP (1ul << 16)

static void write(void *at, const void *bytes, size_t n)
{
    u64 flags = plat_events_save(), cr0 = read_cr0();
    write_cr0(cr0 & ~CR0_WP);
    memcpy(at, bytes, n);
    write_cr0(cr0);
    plat_events_restore(flags);
    plat_barrier(NULL); /* who runs it takes an interrupt, and so reads it anew */
}

int plat_text_write(void *at, const void *bytes, size_t n)
{
    write(at, bytes, n);
    write(at, bytes, n); /* an emulator that translated the old bytes on another CPU meanwhile may have kept that: now it hears of a write */
    return 0;
}
