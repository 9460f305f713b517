/* SPDX-License-Identifier: Apache-2.0 */
/* Fids and qids: see server.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "host/9p/server.h"

#define MAX_NAMES 16 /* of a walk, as the protocol has it */

struct fid *fid_get(struct server *s, u32 number) { return number < s->capacity ? s->fids[number] : NULL; }

static int grow(struct server *s, u32 number)
{
    if (number < s->capacity)
        return 0;
    if (number >= SERVER_MAX_FIDS)
        return EMFILE;
    u32 capacity = s->capacity ? s->capacity : 64;
    while (capacity <= number)
        capacity *= 2;
    struct fid **fids = realloc(s->fids, capacity * sizeof(*fids));
    if (!fids)
        return ENOMEM;
    memset(fids + s->capacity, 0, (capacity - s->capacity) * sizeof(*fids));
    s->fids = fids;
    s->capacity = capacity;
    return 0;
}

int fid_make(struct server *s, u32 number, int fd, u32 mode, struct fid **ret)
{
    int problem = grow(s, number);
    if (!problem && s->fids[number])
        problem = EBADF;
    struct fid *f = problem ? NULL : calloc(1, sizeof(*f));
    if (!f) {
        if (fd >= 0)
            close(fd);
        return problem ? problem : ENOMEM;
    }
    f->fd = fd;
    f->mode = mode & S_IFMT;
    s->fids[number] = f;
    if (ret)
        *ret = f;
    return 0;
}

void fid_drop(struct server *s, u32 number)
{
    struct fid *f = fid_get(s, number);
    if (!f)
        return;
    if (f->fd >= 0)
        close(f->fd);
    if (f->value)
        s->value_bytes -= sizeof(*f->value) + f->value->size;
    free(f->value);
    free(f);
    s->fids[number] = NULL;
}

int fid_make_value(struct server *s, struct fid *f, u32 size)
{
    size_t bytes = sizeof(*f->value) + size;
    if (bytes > SERVER_VALUES_MAX - s->value_bytes)
        return ENOMEM;
    f->value = calloc(1, bytes);
    if (!f->value)
        return ENOMEM;
    f->value->size = size;
    s->value_bytes += bytes;
    return 0;
}

struct fid_path fid_path(const struct fid *f)
{
    struct fid_path p;
    snprintf(p.text, sizeof(p.text), "%d", f->fd);
    return p;
}

int get_fid(struct server *s, struct p9_in *in, struct fid **ret)
{
    struct fid *f = fid_get(s, p9_get32(in));
    if (!f || f->value)
        return EBADF;
    *ret = f;
    return 0;
}

int get_name(struct p9_in *in, char name[256])
{
    p9_get_string(in, name, 256);
    if (in->bad || !name[0] || strchr(name, '/') || strcmp(name, ".") == 0)
        return EINVAL;
    return strcmp(name, "..") == 0 ? EACCES : 0;
}

struct device *device_of(struct server *s, const struct stat *st)
{
    unsigned i = 0;
    while (i < s->ndevices && s->devices[i].dev != st->st_dev)
        i++;
    if (i == SERVER_MAX_DEVICES)
        return NULL;
    if (i == s->ndevices)
        s->devices[s->ndevices++] = (struct device){.dev = st->st_dev};
    return &s->devices[i];
}

int put_qid(struct server *s, const struct stat *st, struct p9_out *out)
{
    const struct device *device = device_of(s, st);
    if (!device)
        return EXDEV;
    p9_put8(out, S_ISDIR(st->st_mode) ? P9_QID_DIR : S_ISLNK(st->st_mode) ? P9_QID_SYMLINK : 0);
    p9_put32(out, (u32)(st->st_mtim.tv_nsec ^ st->st_mtim.tv_sec << 8 ^ st->st_size));
    p9_put64(out, st->st_ino ^ (u64)(device - s->devices) << 48); /* inode numbers of 48 bits, and the device's place */
    return 0;
}

int do_attach(struct server *s, struct p9_in *in, struct p9_out *out)
{
    char text[64];
    struct stat st;
    u32 number = p9_get32(in);
    p9_get32(in);
    p9_get_string(in, text, sizeof(text));
    p9_get_string(in, text, sizeof(text));
    p9_get32(in);
    if (in->bad)
        return EINVAL;
    int fd = fcntl(s->root, F_DUPFD_CLOEXEC, 0);
    if (fd < 0 || fstat(fd, &st) < 0)
        return errno;
    int problem = fid_make(s, number, fd, st.st_mode, NULL);
    return problem ? problem : put_qid(s, &st, out);
}

/* One step down; *fd becomes the next. */
static int step(struct server *s, struct p9_in *in, int *fd, struct stat *st, struct p9_out *out)
{
    char name[256];
    int problem = get_name(in, name);
    if (problem)
        return problem;
    int next = openat(*fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (next < 0)
        return errno;
    close(*fd);
    *fd = next;
    return fstat(next, st) < 0 ? errno : put_qid(s, st, out);
}

int do_walk(struct server *s, struct p9_in *in, struct p9_out *out)
{
    struct stat st;
    struct fid *f;
    int problem = get_fid(s, in, &f);
    u32 number = p9_get32(in);
    u16 n = p9_get16(in);
    if (problem || in->bad || n > MAX_NAMES)
        return problem ? problem : EINVAL;
    if (f->opened && n > 0)
        return EBADF;
    /* a second descriptor of an open file would share its position, so by path */
    int fd = f->opened ? open(fid_path(f).text, O_PATH | O_CLOEXEC) : fcntl(f->fd, F_DUPFD_CLOEXEC, 0);
    if (fd < 0)
        return errno;
    st.st_mode = f->mode;
    p9_put16(out, n);
    for (u16 i = 0; i < n && !problem; i++)
        problem = step(s, in, &fd, &st, out);
    if (problem) {
        close(fd);
        return problem;
    }
    if (fid_get(s, number) == f && !f->opened)
        fid_drop(s, number);
    return fid_make(s, number, fd, st.st_mode, NULL);
}

int do_clunk(struct server *s, struct p9_in *in, struct p9_out *out)
{
    u32 number = p9_get32(in);
    struct fid *f = fid_get(s, number);
    if (!f)
        return EBADF;
    int problem = f->value && f->value->setting ? xattr_set(f) : 0;
    fid_drop(s, number);
    return problem;
}
