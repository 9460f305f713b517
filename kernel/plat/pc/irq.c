/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Interrupt vectors of devices, and the I/O APICs that route wires to them (Intel 82093AA).
 * All go to the boot CPU.
 *
 *   VEC_FIRST_IRQ .. VEC_TIMER - 1   devices, given out in order
 *   VEC_TIMER, VEC_KICK, VEC_CALL, VEC_SPURIOUS
 */
#include "kern/cpu_calls.h"
#include "kern/lock.h"
#include "kern/log.h"
#include "kern/slab.h"
#include "kern/thread.h"
#include "kern/trace.h"
#include "pc.h"

#define NR_DEVICE_VECTORS (VEC_TIMER - VEC_FIRST_IRQ)
#define MAX_IOAPICS 4
#define MAX_GSI 128

/* Handlers of one vector; a shared wire has several. Links are added in front and never removed. */
struct irq_line {
    struct irq_action action;
    struct irq_line *next;
};

static struct spinlock irq_lock = SPINLOCK_INIT("pc irq");
static struct irq_line *lines[NR_DEVICE_VECTORS]; /* irq_lock to change */
static unsigned next_vector = VEC_FIRST_IRQ;      /* irq_lock */
static u8 gsi_vector[MAX_GSI];                    /* irq_lock; 0 = not routed */
static u8 gsi_mode[MAX_GSI];                      /* boot; bit 0 level, bit 1 active low */

struct ioapic {
    paddr_t pa;
    volatile u32 *regs; /* mapped at first use */
    u32 gsi_base, pins;
};
static struct ioapic ioapics[MAX_IOAPICS]; /* boot */
static unsigned ioapic_count;

void pc_irq_dispatch(unsigned vector)
{
    irq_enter();
    if (vector == VEC_TIMER) {
        pc_apic_eoi();
        pc_timer_irq();
    } else if (vector == VEC_KICK) {
        pc_apic_eoi();
        cpu_kicked();
    } else if (vector == VEC_CALL) {
        pc_apic_eoi();
        cpu_answer_calls();
    } else if (vector != VEC_SPURIOUS) {
        struct irq_line *l = vector < VEC_TIMER ? atomic_load(&lines[vector - VEC_FIRST_IRQ]) : NULL;
        for (; l != NULL; l = l->next) {
            l->action.count++;
            TRACE(IRQ_HANDLER, (u64)l->action.fn);
            l->action.fn(l->action.arg);
        }
        pc_apic_eoi(); /* after the device was read: a level-triggered wire is low again */
    }
    irq_exit();
}

static int add_line(unsigned vector, irq_handler_fn *fn, void *arg)
{
    struct irq_line *l = kzalloc(sizeof *l);
    if (l == NULL)
        return -ENOMEM;
    l->action = (struct irq_action){ fn, arg, 0 };
    struct irq_line **head = &lines[vector - VEC_FIRST_IRQ];
    l->next = *head;
    atomic_store(head, l);
    return 0;
}

int pc_vector_attach(irq_handler_fn *fn, void *arg)
{
    u64 flags = spin_lock_irqsave(&irq_lock);
    int r = next_vector < VEC_TIMER ? (int)next_vector : -ENOSPC;
    if (r > 0) {
        int err = add_line(next_vector, fn, arg);
        if (err != 0)
            r = err;
        else
            next_vector++;
    }
    spin_unlock_irqrestore(&irq_lock, flags);
    return r;
}

/* --- I/O APIC ---------------------------------------------------------------------- */

int pc_ioapic_add(paddr_t pa, u32 gsi_base)
{
    if (ioapic_count == MAX_IOAPICS)
        return -ENOSPC;
    ioapics[ioapic_count++] = (struct ioapic){ .pa = pa, .gsi_base = gsi_base };
    return 0;
}

unsigned pc_ioapic_count(void) { return ioapic_count; }

void pc_gsi_set_mode(unsigned gsi, bool level, bool low)
{
    if (gsi < MAX_GSI)
        gsi_mode[gsi] = (u8)(level | low << 1);
}

static u32 ioapic_read(struct ioapic *a, u32 reg)
{
    a->regs[0] = reg;
    return a->regs[4];
}

static void ioapic_write(struct ioapic *a, u32 reg, u32 v)
{
    a->regs[0] = reg;
    a->regs[4] = v;
}

static struct ioapic *ioapic_of(unsigned gsi)
{
    for (unsigned i = 0; i < ioapic_count; i++) {
        struct ioapic *a = &ioapics[i];
        if (a->regs == NULL) {
            a->regs = plat_map_device(a->pa, 32);
            if (a->regs == NULL)
                continue;
            a->pins = (ioapic_read(a, 1) >> 16 & 0xff) + 1;
        }
        if (gsi >= a->gsi_base && gsi - a->gsi_base < a->pins)
            return a;
    }
    return NULL;
}

int pc_gsi_attach(unsigned gsi, irq_handler_fn *fn, void *arg)
{
    struct ioapic *a = gsi < MAX_GSI ? ioapic_of(gsi) : NULL;
    if (a == NULL)
        return -ENODEV;
    if (gsi_vector[gsi] != 0) { /* a shared wire */
        u64 flags = spin_lock_irqsave(&irq_lock);
        int err = add_line(gsi_vector[gsi], fn, arg);
        spin_unlock_irqrestore(&irq_lock, flags);
        return err;
    }
    int vector = pc_vector_attach(fn, arg);
    if (vector < 0)
        return vector;
    u64 flags = spin_lock_irqsave(&irq_lock);
    gsi_vector[gsi] = (u8)vector;
    u32 reg = 0x10 + 2 * (gsi - a->gsi_base);
    ioapic_write(a, reg + 1, percpu_table[0]->plat.apic_id << 24);
    ioapic_write(a, reg, (u32)vector | (gsi_mode[gsi] & 2u ? 1u << 13 : 0) | (gsi_mode[gsi] & 1u ? 1u << 15 : 0));
    spin_unlock_irqrestore(&irq_lock, flags);
    return 0;
}
