/* SPDX-License-Identifier: Apache-2.0 */
/* Error carrier and messages: see error.h. */
#include "host/lib/error.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

bool verbose;

int err_set(struct error *err, int code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    err->code = code;
    vsnprintf(err->text, sizeof(err->text), format, args);
    va_end(args);
    return -1;
}

int err_errno(struct error *err, int code, const char *format, ...)
{
    int saved = errno;
    va_list args;
    va_start(args, format);
    err->code = code;
    int n = vsnprintf(err->text, sizeof(err->text), format, args);
    va_end(args);
    if (n >= 0 && (size_t)n < sizeof(err->text))
        snprintf(err->text + n, sizeof(err->text) - n, ": %s", strerror(saved));
    return -1;
}

int err_prefix(struct error *err, const char *format, ...)
{
    char old[sizeof(err->text)];
    memcpy(old, err->text, sizeof(old));
    va_list args;
    va_start(args, format);
    int n = vsnprintf(err->text, sizeof(err->text), format, args);
    va_end(args);
    if (n >= 0 && (size_t)n < sizeof(err->text))
        snprintf(err->text + n, sizeof(err->text) - n, ": %.1900s", old);
    return -1;
}

/* One write per message: lines of drupe and of the program do not mix. */
static void emit(const char *format, va_list args)
{
    char line[2300] = "drupe: ";
    int n = vsnprintf(line + 7, sizeof(line) - 8, format, args);
    if (n < 0)
        return;
    size_t len = MIN((size_t)n + 7, sizeof(line) - 2);
    line[len++] = '\n';
    ssize_t done = write(STDERR_FILENO, line, len);
    (void)done;
}

void err_print(const struct error *err) { warn("%s", err->text); }

void say(const char *format, ...)
{
    if (!verbose)
        return;
    va_list args;
    va_start(args, format);
    emit(format, args);
    va_end(args);
}

void warn(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    emit(format, args);
    va_end(args);
}
