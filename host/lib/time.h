/* SPDX-License-Identifier: Apache-2.0 */
/* Points in time as text. */
#ifndef HOST_LIB_TIME_H
#define HOST_LIB_TIME_H

#include <time.h>

#define TIME_TEXT_MAX 40

/* "2026-01-31T23:59:59.123456789Z" (RFC 3339), with so many decimals, 1 to 9. */
void time_text(const struct timespec *t, unsigned decimals, char ret[TIME_TEXT_MAX]);
void time_text_now(unsigned decimals, char ret[TIME_TEXT_MAX]);
/* What people say: RFC 3339, whole or with the end left out (local time without a zone), seconds since 1970 with or without decimals, or how
 * long ago: "10m", "1h30m", "2d". 0 or -1. */
int time_parse(const char *text, struct timespec *ret);

#endif
