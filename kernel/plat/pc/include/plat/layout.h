/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers that assembly shares with C; boot.c checks them. */
#ifndef PLAT_LAYOUT_H
#define PLAT_LAYOUT_H

#define KERNEL_BASE 0xffffffff80000000
#define LAYOUT_KSTACK_SIZE 16384
#define KSTACK_ROOM 1536 /* an interrupt in the kernel needs at least this much stack */

#define SEL_CODE 0x08
#define SEL_DATA 0x10
#define SEL_TSS 0x18
#define SEL_CODE32 0x18 /* of boot.S's table */
#define LAYOUT_MAX_CPUS 64

#define VEC_NMI 2
#define VEC_DB 1
#define VEC_NM 7
#define VEC_DF 8
#define VEC_MC 18
#define VEC_FIRST_IRQ 0x20
#define VEC_TIMER 0x70
#define VEC_KICK 0x71
#define VEC_CALL 0x72
#define VEC_SPURIOUS 0x7f
#define NR_VECTORS 0x80

#endif
