/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Formatted output without a C library: %d %i %u %x %X %o %c %s %p %% with
 * flags `-0+ #`, width, precision (also `*`) and lengths hh h l ll z j t.
 * Returns the length the whole text needs, as snprintf does (C17 7.21.6.5);
 * an unknown conversion is printed as it stands.
 */
#ifndef BASE_FMT_H
#define BASE_FMT_H

#include "base/types.h"

int fmt_vsnprintf(char *buf, size_t size, const char *format, va_list args);
int fmt_snprintf(char *buf, size_t size, const char *format, ...) PRINTF_LIKE(3, 4);

/* Text that may outgrow its buffer: `len` is what it needs, without the NUL. {buf, size, 0} is empty. */
struct text {
    char *buf;
    size_t size, len;
};
void text_add(struct text *t, const char *format, ...) PRINTF_LIKE(2, 3);

#endif
