/* SPDX-License-Identifier: Apache-2.0 */
/* The local APIC (Intel SDM volume 3, chapter 10): x2APIC by MSR where there is one, else its page. */
#include "arch/cpu.h"
#include "kern/atomic.h"
#include "pc.h"

#define APIC_ID 0x20
#define APIC_TPR 0x80
#define APIC_EOI 0xb0
#define APIC_SVR 0xf0
#define APIC_ICR 0x300
#define APIC_ICR_HIGH 0x310
#define APIC_LVT_TIMER 0x320
#define APIC_LVT_LINT0 0x350
#define APIC_LVT_ERROR 0x370
#define APIC_TIMER_INITIAL 0x380
#define APIC_TIMER_CURRENT 0x390
#define APIC_TIMER_DIVIDE 0x3e0
#define APIC_MASKED 0x10000u
#define APIC_ENABLE 0x100u
#define ICR_PENDING 0x1000u
#define DIVIDE_BY_1 0xbu
#define TIMER_TSC_DEADLINE (2u << 17)
#define BASE_ENABLE (1u << 11)
#define BASE_X2APIC (1u << 10)

static bool x2apic;              /* const after the boot CPU's start */
static volatile u32 *registers;  /* the same */

static u32 apic_read(unsigned reg)
{
    return x2apic ? (u32)rdmsr(MSR_X2APIC + (reg >> 4)) : registers[reg / 4];
}

static void apic_write(unsigned reg, u32 v)
{
    if (x2apic)
        wrmsr(MSR_X2APIC + (reg >> 4), v);
    else
        registers[reg / 4] = v;
}

void pc_apic_init_cpu(void)
{
    u64 base = rdmsr(MSR_APIC_BASE);
    bool boot = this_cpu()->cpu == 0;
    if (boot)
        x2apic = (cpuid(1, 0).ecx >> 21 & 1) != 0;
    if (x2apic) {
        wrmsr(MSR_APIC_BASE, base | BASE_ENABLE);
        wrmsr(MSR_APIC_BASE, base | BASE_ENABLE | BASE_X2APIC);
    } else {
        if (!(base & BASE_ENABLE))
            wrmsr(MSR_APIC_BASE, base | BASE_ENABLE);
        if (boot)
            registers = plat_map_device(base & 0x000ffffffffff000ULL, PAGE_SIZE);
    }
    apic_write(APIC_TPR, 0);
    apic_write(APIC_LVT_LINT0, APIC_MASKED); /* the old interrupt controller stays out */
    apic_write(APIC_LVT_ERROR, APIC_MASKED);
    apic_write(APIC_LVT_TIMER, APIC_MASKED | VEC_TIMER);
    apic_write(APIC_TIMER_DIVIDE, DIVIDE_BY_1);
    apic_write(APIC_SVR, APIC_ENABLE | VEC_SPURIOUS);
    this_cpu()->plat.apic_id = pc_apic_id();
    if (!boot)
        return;
    outb(0x21, 0xff); /* and masks all its lines */
    outb(0xa1, 0xff);
    pc_cpu_apic_ids[0] = (u8)this_cpu()->plat.apic_id;
}

u32 pc_apic_id(void) { return x2apic ? apic_read(APIC_ID) : apic_read(APIC_ID) >> 24; }
void pc_apic_eoi(void) { apic_write(APIC_EOI, 0); }
u32 pc_apic_timer_read(void) { return apic_read(APIC_TIMER_CURRENT); }
void pc_apic_timer_start(u32 count) { apic_write(APIC_TIMER_INITIAL, count); }

void pc_apic_timer_enable(bool tsc_deadline)
{
    apic_write(APIC_LVT_TIMER, VEC_TIMER | (tsc_deadline ? TIMER_TSC_DEADLINE : 0));
    if (tsc_deadline)
        atomic_fence(); /* the mode is set before the first deadline (SDM 10.5.4.1) */
}

void pc_apic_ipi(u32 apic_id, unsigned command)
{
    u64 flags = plat_events_save();
    if (x2apic) {
        atomic_fence();
        wrmsr(MSR_X2APIC + (APIC_ICR >> 4), (u64)apic_id << 32 | command);
    } else {
        for (unsigned i = 0; i < 100000 && (apic_read(APIC_ICR) & ICR_PENDING); i++)
            plat_relax();
        apic_write(APIC_ICR_HIGH, apic_id << 24);
        apic_write(APIC_ICR, command);
    }
    plat_events_restore(flags);
}
