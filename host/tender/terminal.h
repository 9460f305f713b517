/* SPDX-License-Identifier: Apache-2.0 */
/* The user's terminal while an instance with -t has it. */
#ifndef HOST_TENDER_TERMINAL_H
#define HOST_TENDER_TERMINAL_H

#include "abi/control.h"
#include "base/types.h"

/* Hand every byte over as it is. Undone by terminal_restore(), at exit at the latest. */
void terminal_raw(void);
void terminal_restore(void);
/* The size of standard input's window; false where there is none. */
bool terminal_size(struct ctl_winsize *ret);

#endif
