/* SPDX-License-Identifier: Apache-2.0 */
/* An instance's words: see console.h. */
#include "host/tender/console.h"

#include <errno.h>
#include <string.h>

#include "host/lib/error.h"
#include "host/lib/fs.h"

#define KEPT_BYTES 16384u
#define MAX_TEXT 65536u
#define LAST_LINES 30

void console_clean(char *text, size_t len) { text_clean(text, len, "\n\t\r"); }

size_t console_keep(int *fd, struct buf *b)
{
    char bytes[4096];
    ssize_t n = read(*fd, bytes, sizeof(bytes));
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (n <= 0) {
        close(TAKE_FD(*fd));
        return 0;
    }
    console_clean(bytes, (size_t)n);
    if (b->len + (size_t)n > KEPT_BYTES) {
        size_t drop = MIN(b->len, b->len + (size_t)n - KEPT_BYTES / 2);
        memmove(b->data, b->data + drop, b->len - drop);
        b->len -= drop;
    }
    buf_add(b, bytes, (size_t)n);
    return (size_t)n;
}

void console_print(const char *what, const void *text, size_t len)
{
    AUTO_FREE char *copy = xstrndup(text, MIN(len, MAX_TEXT));
    console_clean(copy, strlen(copy));
    char *to = copy;
    for (const char *p = copy; *p; p++)
        if (*p != '\r')
            *to++ = *p;
    while (to > copy && to[-1] == '\n')
        to--;
    *to = 0;
    struct buf out = {0};
    buf_addf(&out, "%s%s\n", what, copy);
    fd_write_all(STDERR_FILENO, out.data, out.len);
    buf_done(&out);
}

void console_print_last(const struct buf *kept)
{
    const char *p = kept->data ? kept->data : "";
    unsigned lines = 0;
    for (size_t i = kept->len; i > 0; i--) {
        if (p[i - 1] == '\n' && i < kept->len && ++lines == LAST_LINES) {
            p += i;
            break;
        }
    }
    if (*p)
        console_print("", p, strlen(p));
    else
        warn("the console is empty");
}
