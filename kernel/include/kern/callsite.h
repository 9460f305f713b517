/* SPDX-License-Identifier: Apache-2.0 */
/*
 * System calls as jumps. The first calls that a site makes arrive by trap; that proves that the bytes are an
 * instruction and shows the number. At the PLAT_SITE_CALLS'th, if the site lies in a page of a file that was never written, and can be
 * replaced without doubt (kern/arch.h: arch_call_site()), the page becomes a private copy in which the site is a jump
 * to a thunk of its own, and the thunk jumps to the platform's gate. Nothing is read or looked for in advance.
 *
 * Rules:
 *   C1  The cache's page stays as it is: read(), other mappings and fork's child have the original. So has whoever reads
 *       the memory from outside (as_copy()). Only the program's own loads see the jump.
 *   C2  A patched copy (PG_PATCHED) holds nothing but the file's bytes and jumps: dropping it restores the original.
 *       That happens before an area becomes writable, before any write, and when its thunks go.
 *   C3  While a thread is in a call, its frame's pc is in the program's own text, as if nothing had been patched.
 *       Where a thread is stopped inside a thunk, callsite_original() says which place of its own text that is, and going on
 *       there is the same. So signal frames and unwinders never meet a thunk.
 *   C4  What changes a site leaves every boundary between the replaced instructions a place where a thread may go on:
 *       it is either unchanged, or raises an invalid opcode, which callsite_resume() answers.
 *   C5  A site that could not be replaced, for whatever reason, stays a trap.
 *
 * Thunks lie in areas of 64 KiB ("[thunks]"), the nearest free room below the text: read and execute for the
 * program, written by the kernel through the direct map. A program that maps something over them gets its memory, and its
 * sites back; threads that were inside are put right when they come to execute there (callsite_original()).
 *
 * Locks: as->lock, for writing to change anything here.
 */
#ifndef KERN_CALLSITE_H
#define KERN_CALLSITE_H

#include "kern/addrspace.h"

/* The current thread's system call `f` came by trap from address space `as`: make its next one a jump, if that can be done. May
 * sleep. */
void callsite_trapped(struct addrspace *as, struct trap_frame *f);
/* pc, or if it lies in a thunk the place of the program's own text that it stands for. May sleep. */
uaddr_t callsite_original(struct addrspace *as, uaddr_t pc);
/* The same for a thread that goes on: whoever has come to a probe's instruction in a thunk is left there, or the probe would see it twice. */
uaddr_t callsite_resting(struct addrspace *as, uaddr_t pc);
/* An invalid opcode at pc: if a replaced site is the cause, where to go on, else 0. May sleep. */
uaddr_t callsite_resume(struct addrspace *as, uaddr_t pc);
/* The site that pc (in the program's own text) belongs to is not patched any more: for single steps. May sleep. */
void callsite_undo(struct addrspace *as, uaddr_t pc);

#endif
