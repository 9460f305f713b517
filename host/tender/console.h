/* SPDX-License-Identifier: Apache-2.0 */
/* Text that comes from an instance and ends up before a person. */
#ifndef HOST_TENDER_CONSOLE_H
#define HOST_TENDER_CONSOLE_H

#include "host/lib/util.h"

/* Put a question mark for each control character and for what is no UTF-8: an instance does not write escapes to our terminal. */
void console_clean(char *text, size_t len);
/* The last bytes of what was read, cleaned; and a letter of which only the beginning has come. */
struct console {
    struct buf text;
    char begun[4];
    size_t nbegun;
};
/* Read what a descriptor has. At the end *fd is closed and -1. Returns how many bytes are new: they are the last of those kept. */
size_t console_keep(int *fd, struct console *c);
/* Print to standard error behind `what`, cleaned. */
void console_print(const char *what, const void *text, size_t len);
/* The last lines of what was kept. */
void console_print_last(const struct buf *kept);

#endif
