/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Errors of the host tools. A function that can fail returns 0 or -1 and fills
 * the caller's `struct error`; each layer that knows more puts its context in
 * front ("redis.img: config.json: ..."). Only main() prints, once, and exits
 * with `code`: 125 for drupe's own failures, 126 when the program cannot be
 * executed, 127 when there is no such program (the numbers of Docker and sh).
 */
#ifndef HOST_LIB_ERROR_H
#define HOST_LIB_ERROR_H

#include "base/types.h"

#define EXIT_DRUPE 125
#define EXIT_NOEXEC 126
#define EXIT_NOPROG 127

struct error {
    int code;        /* exit status; 0 = no error */
    char text[2000]; /* one or more lines, no newline at the end */
};

/* Set the error and return -1, so that callers can write `return err_set(...)`. */
int err_set(struct error *err, int code, const char *format, ...) PRINTF_LIKE(3, 4);
/* The same with ": strerror(errno)" behind it. */
int err_errno(struct error *err, int code, const char *format, ...) PRINTF_LIKE(3, 4);
/* Put "text: " before what is there. Returns -1. */
int err_prefix(struct error *err, const char *format, ...) PRINTF_LIKE(2, 3);
/* Print to standard error as "drupe: text". */
void err_print(const struct error *err);

/* Say something with -V only; one line, no newline in `format`. */
void say(const char *format, ...) PRINTF_LIKE(1, 2);
/* Say something always, to standard error, as "drupe: ...". */
void warn(const char *format, ...) PRINTF_LIKE(1, 2);
extern bool verbose;

#endif
