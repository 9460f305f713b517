/* SPDX-License-Identifier: Apache-2.0 */
/* What each CPU needs: required features, descriptor tables, IST stacks, system call registers. */
#include "arch/cpu.h"
#include "arch/x86.h"
#include "base/fmt.h"
#include "base/str.h"
#include "kern/arch.h"
#include "kern/slab.h"
#include "pc.h"

/* Leaf 1 and 0x80000001 edx; long mode and no-execute were checked by boot.S. */
static const struct {
    u32 leaf;
    u8 bit; /* of edx */
    char name[10];
} needed[] = {
    { 1, 0, "fpu" },  { 1, 4, "tsc" },   { 1, 5, "msr" },  { 1, 9, "apic" },
    { 1, 13, "pge" }, { 1, 24, "fxsr" }, { 1, 26, "sse2" }, { 0x80000001, 11, "syscall" },
};

void pc_check_features(void)
{
    u32 leaf1 = cpuid(1, 0).edx, leaf8 = cpuid(0x80000001, 0).edx;
    for (unsigned i = 0; i < ARRAY_SIZE(needed); i++) {
        if ((needed[i].leaf == 1 ? leaf1 : leaf8) >> needed[i].bit & 1)
            continue;
        char text[96];
        fmt_snprintf(text, sizeof text, "this CPU lacks \"%s\": give the machine another CPU model", needed[i].name);
        pc_fatal(text);
    }
}

struct tss {
    u32 reserved0;
    u64 rsp[3];
    u64 reserved1;
    u64 ist[7];
    u64 reserved2;
    u16 reserved3, io_map;
} PACKED;

/* A stack with the fixed slot that entry.S reads. */
#define IST_STACK(size)        \
    struct {                   \
        u8 bytes[size];        \
        struct percpu *percpu; \
        u64 padding;           \
    } ALIGNED(16)

struct cpu_tables {
    u64 gdt[5];
    struct tss tss;
    IST_STACK(4096) normal; /* room for the report of a stack overflow */
    IST_STACK(4096) nmi;
    IST_STACK(4096) debug;
    IST_STACK(4096) double_fault;
    IST_STACK(4096) machine_check;
};
static struct cpu_tables boot_cpu_tables __attribute__((section(".bss..noinit")));

struct gate {
    u16 offset_low, selector;
    u8 ist, type;
    u16 offset_mid;
    u32 offset_high, reserved;
};
static struct gate idt[NR_VECTORS] ALIGNED(16); /* const after boot */

extern const u8 vector_stubs[];
void syscall_entry(void);

static void idt_fill(void)
{
    u64 stub = (u64)vector_stubs;
    for (unsigned v = 0; v < NR_VECTORS; v++, stub += 16)
        idt[v] = (struct gate){ (u16)stub, SEL_CODE, 1, 0x8e, (u16)(stub >> 16), (u32)(stub >> 32), 0 };
    idt[VEC_NMI].ist = 2;
    idt[VEC_DB].ist = 3;
    idt[VEC_DF].ist = 4;
    idt[VEC_MC].ist = 5;
}

struct table_pointer {
    u16 limit;
    u64 base;
} PACKED;

struct cpu_tables *pc_cpu_tables_alloc(void) { return kmalloc(sizeof(struct cpu_tables), 0); }

void pc_cpu_init(struct percpu *cpu)
{
    if (cpu->cpu == 0)
        cpu->plat.tables = &boot_cpu_tables;
    struct cpu_tables *t = cpu->plat.tables;
    u64 base = (u64)&t->tss;
    t->gdt[0] = 0;
    t->gdt[SEL_CODE / 8] = 0x00af9b000000ffffULL;
    t->gdt[SEL_DATA / 8] = 0x00cf93000000ffffULL;
    t->gdt[SEL_TSS / 8] = (sizeof t->tss - 1) | (base & 0xffffff) << 16 | 0x89ULL << 40 | (base >> 24 & 0xff) << 56;
    t->gdt[SEL_TSS / 8 + 1] = base >> 32;
    memset(&t->tss, 0, sizeof t->tss);
    t->tss.io_map = sizeof t->tss;
    t->normal.percpu = t->nmi.percpu = t->debug.percpu = t->double_fault.percpu = t->machine_check.percpu = cpu;
    t->tss.ist[0] = (u64)&t->normal.percpu;
    t->tss.ist[1] = (u64)&t->nmi.percpu;
    t->tss.ist[2] = (u64)&t->debug.percpu;
    t->tss.ist[3] = (u64)&t->double_fault.percpu;
    t->tss.ist[4] = (u64)&t->machine_check.percpu;
    if (cpu->cpu == 0)
        idt_fill();
    struct table_pointer gdt_pointer = { sizeof t->gdt - 1, (u64)t->gdt }, idt_pointer = { sizeof idt - 1, (u64)idt };
    __asm__ volatile("lgdt %0; lidt %1; ltr %w2" ::"m"(gdt_pointer), "m"(idt_pointer), "r"(SEL_TSS) : "memory");

    wrmsr(MSR_STAR, (u64)SEL_CODE << 32);
    wrmsr(MSR_LSTAR, (u64)syscall_entry);
    wrmsr(MSR_FMASK, RFLAGS_IF | RFLAGS_DF | RFLAGS_TF | RFLAGS_NT | RFLAGS_AC | RFLAGS_RF);
    wrmsr(MSR_KERNEL_GS_BASE, 0);
    wrmsr(MSR_FS_BASE, 0);
    if (arch_tells_cpu())
        wrmsr(MSR_TSC_AUX, cpu->cpu);
    arch_init_cpu();
}

size_t plat_entropy(void *buf, size_t len)
{
    u32 has_seed = cpuid(0, 0).eax >= 7 ? cpuid(7, 0).ebx >> 18 & 1 : 0;
    u32 has_rand = cpuid(1, 0).ecx >> 30 & 1;
    size_t done = 0;
    while (done < len) {
        u64 v = 0;
        u8 ok = 0;
        for (unsigned tries = 0; tries < 16 && !ok && has_seed; tries++)
            __asm__ volatile("rdseed %0; setc %1" : "=r"(v), "=qm"(ok)::"cc");
        for (unsigned tries = 0; tries < 16 && !ok && has_rand; tries++)
            __asm__ volatile("rdrand %0; setc %1" : "=r"(v), "=qm"(ok)::"cc");
        if (!ok)
            break;
        size_t n = MIN(len - done, sizeof v);
        memcpy((u8 *)buf + done, &v, n);
        done += n;
    }
    return done;
}
