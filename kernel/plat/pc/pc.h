/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private to plat/pc. The order at boot (boot.c): start info, memory map, page tables, this CPU's
 * tables, clock; then kernel_main(). Devices are looked for when init asks (devices.c).
 */
#ifndef PC_H
#define PC_H

#include "kern/device.h"
#include "kern/percpu.h"
#include "kern/trap.h"
#include "plat/layout.h"

/* --- boot.c --- */
struct pc_ram {
    paddr_t start, end;
};
#define PC_MAX_RAM 32
/* RAM as the start info tells it: page aligned, sorted, disjoint. const after boot */
extern struct pc_ram pc_ram[PC_MAX_RAM];
extern unsigned pc_ram_count;
extern paddr_t pc_rsdp; /* 0 = not told */
NORETURN void pc_boot(paddr_t start_info);
void pc_image_add(void); /* the root image's device, if it lies in memory */
/* Stop with a message for the person who started the machine. */
NORETURN void pc_fatal(const char *text);
/* "key=value" on the command line: the value's start, or NULL. It ends at a space or the end. */
const char *pc_option(const char *key);
/* Next "key=value" after `from` (a former result, or NULL to begin). */
const char *pc_option_next(const char *key, const char *from);
/* The I/O port that "key=PORT" tells, hexadecimal with or without 0x; 0 = none. */
u16 pc_option_port(const char *key);
/* A number at *s (0x prefix allowed); advances. False when there is none or it does not fit. */
bool pc_parse_number(const char **s, u64 *ret);

/* --- paging.c --- */
extern u64 kernel_pml4[512];
/* Build the final tables; `next` is the first physical page that boot data may take. Returns its end. */
paddr_t pc_paging_init(paddr_t next);
void pc_paging_identity(bool on);
/* Read-only, cached: firmware tables. NULL when there is no room. */
const void *pc_map_firmware(paddr_t pa, size_t len_bytes);

/* --- cpu.c --- */
void pc_check_features(void);
void pc_cpu_init(struct percpu *cpu);
struct cpu_tables *pc_cpu_tables_alloc(void); /* for another CPU, or NULL */

/* --- debug.c --- */
void pc_debug_init_cpu(void);
#define TCG_SIGNATURE 0x54474354u /* "TCGT": the hypervisor QEMU is without KVM */
u32 pc_debug_hits(void); /* since it was last asked, on this CPU: bit n for the n-th point. After a #DB */

/* --- smp.c --- */
bool pc_stopping(void);     /* plat_stop_others() wants this CPU to end here */

/* --- apic.c --- */
void pc_apic_init_cpu(void);
void pc_apic_eoi(void);
/* The count-down timer, undivided */
u32 pc_apic_timer_read(void);
void pc_apic_timer_start(u32 count);
/* Let the timer interrupt: one-shot by count, or by MSR_TSC_DEADLINE. */
void pc_apic_timer_enable(bool tsc_deadline);
u32 pc_apic_id(void);
/* `command`: a vector, or one of the others below. */
#define PC_IPI_NMI 0x400u
#define PC_IPI_INIT 0x4500u
#define PC_IPI_STARTUP 0x600u /* | page number of the code to begin with */
void pc_apic_ipi(u32 apic_id, unsigned command);

/* --- clock.c --- */
void pc_clock_init(void);
void pc_clock_init_cpu(void); /* every other CPU */
void pc_timer_irq(void);

/* --- irq.c --- */
/* Route a wire (global system interrupt) to handler. 0, -ENOSPC, -ENOMEM, -ENODEV (no such I/O APIC). */
int pc_gsi_attach(unsigned gsi, irq_handler_fn *fn, void *arg);
/* A free vector for a message interrupt, or -ENOSPC, -ENOMEM. */
int pc_vector_attach(irq_handler_fn *fn, void *arg);
void pc_irq_dispatch(unsigned vector);

/* From the firmware's tables; an I/O APIC is mapped when a wire of it is first attached. */
int pc_ioapic_add(paddr_t pa, u32 gsi_base);
void pc_gsi_set_mode(unsigned gsi, bool level, bool low); /* default: edge, active high */
unsigned pc_ioapic_count(void);

/* --- tables --- */
extern unsigned pc_cpu_found;
extern u8 pc_cpu_apic_ids[MAX_CPUS]; /* the boot CPU's first */
void pc_cpu_add(u32 apic_id);
void pc_tables_parse(void); /* ACPI or MP: CPUs and interrupt controllers */
unsigned pc_isa_gsi(unsigned irq); /* the wire that an ISA interrupt number means */
void pc_isa_route(unsigned irq, unsigned gsi);
bool pc_mptable_parse(void);              /* false: there is none */
unsigned pc_mmio_discover(void);          /* command line; returns devices added */
bool pc_acpi_parse(void);                 /* MADT; false: no sound tables */
bool pc_acpi_mcfg(paddr_t *ret_base, u8 *ret_first_bus, u8 *ret_last_bus);
unsigned pc_pci_discover(paddr_t ecam, u8 first_bus, u8 last_bus);
u8 pc_checksum(const void *p, size_t len);

/* --- fwcfg.c --- */
/* A file of QEMU's at most `size` bytes long. Its length; 0 when it is not there, empty or longer. */
size_t pc_fwcfg_read(u16 port, const char *name, void *buf, size_t size);

/* --- uart.c --- */
void pc_uart_init(void);

#endif
