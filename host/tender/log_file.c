/* SPDX-License-Identifier: Apache-2.0 */
/* Docker's json-file: see logs.h. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "host/lib/fs.h"
#include "host/lib/time.h"
#include "host/tender/logs.h"

#define DEFAULT_BYTES (10ull << 20)
#define DEFAULT_FILES 3u

static int open_newest(struct logs *l, int flags)
{
    struct stat st;
    l->fd = openat(l->dir_fd, LOGS_FILE, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC | flags, 0600);
    if (l->fd < 0 || fstat(l->fd, &st) < 0)
        return -1;
    l->size_bytes = (u64)st.st_size;
    return 0;
}

static int open_file(struct logs *l, const struct entry *e, struct error *err)
{
    l->dir_fd = e->dir_fd;
    l->max_bytes = l->max_bytes ?: DEFAULT_BYTES;
    l->max_files = l->max_files ?: DEFAULT_FILES;
    return open_newest(l, 0) < 0 ? err_errno(err, EXIT_DRUPE, "the instance's " LOGS_FILE) : 0;
}

static void rotate(struct logs *l)
{
    char from[32], to[32];
    close(TAKE_FD(l->fd));
    for (unsigned i = l->max_files - 1; i > 0; i--) {
        snprintf(to, sizeof(to), LOGS_FILE ".%u", i);
        if (i > 1)
            snprintf(from, sizeof(from), LOGS_FILE ".%u", i - 1);
        renameat(l->dir_fd, i > 1 ? from : LOGS_FILE, l->dir_fd, to);
    }
    open_newest(l, l->max_files == 1 ? O_TRUNC : 0);
}

static void add_escaped(struct buf *out, const char *data, size_t len)
{
    for (size_t i = 0; i < len;) {
        u8 c = (u8)data[i];
        size_t n = utf8_len(data + i, len - i);
        if (!n)
            buf_addf(out, "\\ufffd");
        else if (c == '"' || c == '\\')
            buf_addf(out, "\\%c", c);
        else if (c == '\n')
            buf_add(out, "\\n", 2);
        else if (c < ' ' || c == 127)
            buf_addf(out, "\\u%04x", c);
        else
            buf_add(out, data + i, n);
        i += n ? n : 1;
    }
}

static void write_line(struct logs *l, unsigned stream, const char *data, size_t len)
{
    char when[TIME_TEXT_MAX];
    struct buf out = {0};
    time_text_now(9, when);
    buf_addf(&out, "{\"log\":\"");
    add_escaped(&out, data, len);
    buf_addf(&out, "\",\"stream\":\"%s\",\"time\":\"%s\"}\n", stream ? "stderr" : "stdout", when);
    if (l->fd >= 0 && l->size_bytes && l->size_bytes + out.len > l->max_bytes)
        rotate(l);
    if (l->fd >= 0 && fd_write_all(l->fd, out.data, out.len) == 0) {
        l->size_bytes += out.len;
    } else {
        l->lost_bytes += len;
        if (l->fd >= 0 && ftruncate(l->fd, (off_t)l->size_bytes) < 0) /* no half lines */
            close(TAKE_FD(l->fd));
    }
    buf_done(&out);
}

const struct log_driver log_file = {"file", open_file, write_line};
