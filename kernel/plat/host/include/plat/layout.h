/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers that assembly shares with C; boot.c checks them. */
#ifndef PLAT_LAYOUT_H
#define PLAT_LAYOUT_H

#define LAYOUT_KSTACK_SIZE 16384
#define CS_USER 0x33 /* Linux's selectors of 64-bit programs */
#define SS_USER 0x2b
#define KSTACK_ROOM 1536 /* an event in the kernel needs at least this much stack */
#define SIGSTACK_SIZE 65536 /* aligned to its size; at its bottom a struct host_seat, which begins with the struct percpu * */

/* struct plat_percpu, inside struct percpu */
#define P_EVENTS_OFF 128
#define P_PENDING 129
#define P_PROGRAM_GS 152

/* plat.pending */
#define PENDING_TIMER 1
#define PENDING_LOOK 2 /* something outside has changed: look at the sources */
#define PENDING_KICK 4 /* cpu_kicked() */
#define PENDING_ASK 8  /* cpu_answer_calls() */

#endif
