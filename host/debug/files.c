/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files of the instance for gdb (its manual, "Host I/O Packets"), to read. Where this host has a file of the same name, size and time, as
 * it does when the image was made of it, that one is read: sooner, and the same.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "host/debug/server_impl.h"
#include "host/lib/fs.h"

#define NAME_MAX_BYTES 4096u

/* gdb's own numbers (fileio.h). */
static void fail(struct server *s, int err)
{
    int n = err == ENOENT || err == EBADF || err == EACCES || err == EINVAL ? err : err == EMFILE ? 24 : 9999;
    buf_addf(&s->reply, "F-1,%x", (unsigned)n);
}

static int open_local(const char *name, const struct dbg_stat *d)
{
    struct stat st;
    AUTO_CLOSE int fd = open_regular(name);
    bool same = fd >= 0 && fstat(fd, &st) == 0 && (u64)st.st_size == d->size && (u64)st.st_mtime == d->mtime_s;
    return same ? TAKE_FD(fd) : -1;
}

static void open_file(struct server *s, const char *p)
{
    char name[NAME_MAX_BYTES];
    size_t n = 0, slot = 0;
    u64 flags, mode, number;
    while (n + 1 < sizeof(name) && *p != ',' && rsp_hex(&p, &name[n], 1))
        n++;
    name[n] = 0;
    if (*p++ != ',' || !rsp_number_to(&p, ',', &flags) || !rsp_number(&p, &mode) || strlen(name) != n) {
        fail(s, EINVAL);
        return;
    }
    while (slot < SERVER_FILES_MAX && s->files[slot].used)
        slot++;
    if (slot == SERVER_FILES_MAX || flags != 0) { /* 0 = read only */
        fail(s, flags ? EACCES : EMFILE);
        return;
    }
    struct buf answer = {0};
    struct server_file *f = &s->files[slot];
    int r = target_ask(&s->target, &(struct dbg_request){.op = DBG_OPEN}, name, n, &answer, &number);
    if (r == 0 && (answer.len != sizeof(f->stat) || number >= DBG_FILES_MAX))
        r = -EIO;
    if (r == 0) {
        *f = (struct server_file){.used = true, .number = (u32)number};
        memcpy(&f->stat, answer.data, sizeof(f->stat));
        f->local = open_local(name, &f->stat);
        buf_addf(&s->reply, "F%zx", slot);
    } else {
        fail(s, -r);
    }
    buf_done(&answer);
}

static struct server_file *file_of(struct server *s, const char **p)
{
    u64 n;
    bool good = rsp_number(p, &n) && n < SERVER_FILES_MAX && s->files[n].used;
    if (!good)
        fail(s, EBADF);
    return good ? &s->files[n] : NULL;
}

static void read_file(struct server *s, const char *p)
{
    struct server_file *f = file_of(s, &p);
    char bytes[DBG_DATA_MAX];
    struct buf answer = {0};
    u64 count, offset;
    if (!f)
        return;
    if (*p++ != ',' || !rsp_number_to(&p, ',', &count) || !rsp_number(&p, &offset) || offset > INT64_MAX) {
        fail(s, EINVAL);
        return;
    }
    struct dbg_request q = {.op = DBG_PREAD, .how = f->number, .addr = offset, .value = MIN(count, (u64)sizeof(bytes))};
    int r = 0;
    if (f->local >= 0) {
        ssize_t n = pread(f->local, bytes, q.value, (off_t)offset);
        r = n < 0 ? -errno : 0;
        buf_add(&answer, bytes, n > 0 ? (size_t)n : 0);
    } else {
        r = target_ask(&s->target, &q, NULL, 0, &answer, NULL);
    }
    if (r == 0 && answer.len > q.value)
        r = -EIO;
    if (r == 0) {
        buf_addf(&s->reply, "F%zx;", answer.len);
        buf_add(&s->reply, answer.data, answer.len);
    } else {
        fail(s, -r);
    }
    buf_done(&answer);
}

static void put_be(u8 *at, u64 value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        at[i] = (u8)(value >> 8 * (bytes - 1 - i));
}

static void stat_file(struct server *s, const char *p)
{
    struct server_file *f = file_of(s, &p);
    u8 st[64] = {0}; /* struct fio_stat: big-endian */
    if (!f)
        return;
    put_be(st + 8, f->stat.mode, 4);
    put_be(st + 12, 1, 4);
    put_be(st + 28, f->stat.size, 8);
    put_be(st + 36, 4096, 8);
    put_be(st + 44, (f->stat.size + 511) / 512, 8);
    put_be(st + 56, f->stat.mtime_s, 4);
    buf_addf(&s->reply, "F40;");
    buf_add(&s->reply, st, sizeof(st));
}

static void close_file(struct server *s, struct server_file *f)
{
    target_ask(&s->target, &(struct dbg_request){.op = DBG_CLOSE, .how = f->number}, NULL, 0, NULL, NULL);
    if (f->local >= 0)
        close(f->local);
    f->used = false;
}

void files_packet(struct server *s, const char *p)
{
    struct server_file *f;
    if (str_has_prefix(p, "setfs:")) {
        buf_addf(&s->reply, "F0");
    } else if (str_has_prefix(p, "open:")) {
        open_file(s, p + 5);
    } else if (str_has_prefix(p, "pread:")) {
        read_file(s, p + 6);
    } else if (str_has_prefix(p, "fstat:")) {
        p += 6;
        stat_file(s, p);
    } else if (str_has_prefix(p, "close:")) {
        p += 6;
        if ((f = file_of(s, &p)) != NULL) {
            close_file(s, f);
            buf_addf(&s->reply, "F0");
        }
    }
}

void files_done(struct server *s)
{
    for (size_t i = 0; i < SERVER_FILES_MAX; i++)
        if (s->files[i].used && s->files[i].local >= 0)
            close(s->files[i].local);
}
