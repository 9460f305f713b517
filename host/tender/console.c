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

static size_t keep(struct buf *b, char *bytes, size_t n)
{
    console_clean(bytes, n);
    if (b->len + n > KEPT_BYTES) {
        size_t drop = MIN(b->len, b->len + n - KEPT_BYTES / 2);
        memmove(b->data, b->data + drop, b->len - drop);
        b->len -= drop;
    }
    buf_add(b, bytes, n);
    return n;
}

/* Bytes at the end that may be the beginning of a letter. */
static size_t begun_letter(const char *bytes, size_t n)
{
    for (size_t back = 1; back <= MIN(n, 3u); back++) {
        u8 c = (u8)bytes[n - back];
        if ((c & 0xc0) != 0x80)
            return c >= (back == 1 ? 0xc2 : back == 2 ? 0xe0 : 0xf0) && c < 0xf5 ? back : 0;
    }
    return 0;
}

size_t console_keep(int *fd, struct console *c)
{
    char bytes[4096];
    size_t before = c->nbegun;
    memcpy(bytes, c->begun, before);
    ssize_t n = read(*fd, bytes + before, sizeof(bytes) - before);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    size_t len = before + (size_t)MAX(n, 0);
    c->nbegun = n > 0 ? begun_letter(bytes, len) : 0;
    len -= c->nbegun;
    memcpy(c->begun, bytes + len, c->nbegun);
    if (n <= 0)
        close(TAKE_FD(*fd));
    return keep(&c->text, bytes, len);
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
