/* SPDX-License-Identifier: Apache-2.0 */
/* Text that comes from an instance and ends up before a person. */
#ifndef HOST_TENDER_CONSOLE_H
#define HOST_TENDER_CONSOLE_H

#include "host/lib/util.h"

/* Put a question mark for each control character and for what is no UTF-8: an instance does not write escapes to our terminal. */
void console_clean(char *text, size_t len);
/* Read what a descriptor has and keep the last bytes of it all, cleaned. At the end *fd is closed and -1.
 * Returns how many bytes are new: they are the last of those kept. */
size_t console_keep(int *fd, struct buf *kept);
/* Print to standard error behind `what`, cleaned. */
void console_print(const char *what, const void *text, size_t len);
/* The last lines of what was kept. */
void console_print_last(const struct buf *kept);

#endif
