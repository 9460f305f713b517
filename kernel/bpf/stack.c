/* SPDX-License-Identifier: Apache-2.0 */
#include "stack.h"

#include "kern/textbreak.h"
#include "kern/thread.h"
#include "kern/uaccess.h"

u32 stack_of_program(u64 caller, u64 *ret, u32 max)
{
    struct thread *t = current_thread();
    if (!t->user || t->as == NULL)
        return 0;
    const struct trap_frame *f = thread_frame(t);
    u64 fp = FRAME_FP(f), words[2];
    u32 n = 0;
    ret[n++] = FRAME_PC(f);
    if (caller != 0 && n < max)
        ret[n++] = caller;
    uaccess_nofault_begin();
    while (n < max && fp % 8 == 0 && copy_from_user(words, fp, sizeof(words)) == 0 && words[1] != 0) {
        ret[n++] = return_true(fp + sizeof(u64), words[1]);
        if (words[0] <= fp)
            break;
        fp = words[0];
    }
    uaccess_nofault_end();
    return n;
}
