/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Breakpoints in the text of files, for probes: in every address space that has the file mapped as private text, now or later.
 *
 *   K1  They are in private copies of pages (PG_PATCHED, C1 and C2 in kern/callsite.h), which faults make: so forked, executed and later mapped
 *       text has them, and who reads the memory from outside or writes to it sees the file's bytes. A page that was written has none.
 *   K2  One byte is written, through the direct map, into pages that run: a CPU executes either the old instruction or the breakpoint.
 *   K3  A thread that came to one that has been taken out since goes on at the same place.
 *   K4  Functions whose return is watched return to the address space's trampoline. Where to instead is known by the place on the stack; a
 *       place that holds something else by now (longjmp) is forgotten when it is used again, or when there is no room left.
 *
 * Locks: mapping->lock > as->pt_lock > text breaks; text returns: a leaf, irq-safe.
 */
#ifndef KERN_TEXTBREAK_H
#define KERN_TEXTBREAK_H

#include "kern/addrspace.h"
#include "kern/arch.h"

struct text_break {
    struct list node;        /* text breaks */
    struct mapping *mapping; /* c, as the rest: the owner keeps the mapping alive */
    u64 offset;              /* in the file, of the instruction; of each there is one text_break at most */
    u8 code[ARCH_PROBE_BYTES];
    u8 len;
};

/* Set b->code and len from the file. 0, -EIO and others of mapping_get(), -EOPNOTSUPP: an instruction that no probe can stand for. */
int text_break_look(struct text_break *b);
void text_break_set(struct text_break *b);
void text_break_clear(struct text_break *b);
/* The one that the current program ran into at pc; NULL: none. The caller keeps them from being cleared. May sleep. */
struct text_break *text_break_at(uaddr_t pc);
/* Go on behind b, at which the current thread's frame is. False: it could not be done; the program has b no more. May sleep. */
bool text_break_pass(struct text_break *b, struct trap_frame *f);

/* The function that has just been entered with this stack pointer returns to the trampoline; `who` is told then. 0, -EFAULT, -ENOMEM. May sleep. */
int return_watch(uaddr_t sp, uaddr_t pc, void *who);
bool return_is_trampoline(uaddr_t pc);
/* The thread came there, its stack pointer is behind the return address: who watched (NULL: nobody any more) and where it goes. To be called again
 * as long as that is the trampoline. False: nothing is known. */
bool return_take(uaddr_t sp, void **ret_who, uaddr_t *ret_pc);
void return_forget(void *who); /* nobody by that name is told any more */
/* The true return address where the current program's stack has `value` at sp. Any context. */
uaddr_t return_true(uaddr_t sp, uaddr_t value);

#endif
