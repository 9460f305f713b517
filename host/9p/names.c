/* SPDX-License-Identifier: Apache-2.0 */
/* What changes directories: see server.h. Modes come with the client's umask applied. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "host/9p/server.h"

/* The qid of the file that has just got this name. */
static int put_new_qid(struct server *s, int dir, const char *name, struct p9_out *out)
{
    struct stat st;
    if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return errno;
    return put_qid(s, &st, out);
}

/* The fid of a directory becomes the file opened in it; fd -1: errno says why there is none. */
static int become_file(struct server *s, struct fid *f, int fd, struct p9_out *out)
{
    struct stat st;
    if (fd < 0)
        return errno;
    close(f->fd);
    f->fd = fd;
    f->opened = true;
    f->mode = S_IFREG;
    return fstat(fd, &st) < 0 ? errno : put_qid(s, &st, out);
}

/* The fid of a directory, and a name in it. */
static int get_place(struct server *s, struct p9_in *in, struct fid **ret, char name[256])
{
    int problem = get_fid(s, in, ret);
    return problem ? problem : get_name(in, name);
}

int do_lcreate(struct server *s, struct p9_in *in, struct p9_out *out)
{
    char name[256];
    struct fid *f;
    int problem = get_place(s, in, &f, name);
    u32 flags = p9_get32(in), mode = p9_get32(in);
    p9_get32(in); /* the group: the client sets it */
    if (problem || in->bad || f->opened)
        return problem ? problem : EINVAL;
    problem = become_file(s, f, openat(f->fd, name, (int)(flags & O_ACCMODE) | O_CREAT | O_EXCL | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC,
                                       mode & 07777), out);
    p9_put32(out, 0);
    return problem;
}

int do_tmpfile(struct server *s, struct p9_in *in, struct p9_out *out)
{
    struct fid *f;
    int problem = get_fid(s, in, &f);
    u32 mode = p9_get32(in);
    if (problem || in->bad || f->opened)
        return problem ? problem : EINVAL;
    return become_file(s, f, openat(f->fd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, mode & 07777), out);
}

int do_symlink(struct server *s, struct p9_in *in, struct p9_out *out)
{
    char name[256], target[PATH_MAX];
    struct fid *f;
    int problem = get_place(s, in, &f, name);
    p9_get_string(in, target, sizeof(target));
    p9_get32(in);
    if (problem || in->bad)
        return problem ? problem : EINVAL;
    return symlinkat(target, f->fd, name) < 0 ? errno : put_new_qid(s, f->fd, name, out);
}

int do_mknod(struct server *s, struct p9_in *in, struct p9_out *out)
{
    char name[256];
    struct fid *f;
    int problem = get_place(s, in, &f, name);
    u32 mode = p9_get32(in);
    p9_get32(in);
    p9_get32(in);
    p9_get32(in);
    if (problem || in->bad)
        return problem ? problem : EINVAL;
    if (!S_ISFIFO(mode) && !S_ISSOCK(mode) && !S_ISREG(mode))
        return EPERM; /* a device node would be the host's device */
    return mknodat(f->fd, name, mode & (S_IFMT | 07777), 0) < 0 ? errno : put_new_qid(s, f->fd, name, out);
}

int do_mkdir(struct server *s, struct p9_in *in, struct p9_out *out)
{
    char name[256];
    struct fid *f;
    int problem = get_place(s, in, &f, name);
    u32 mode = p9_get32(in);
    p9_get32(in);
    if (problem || in->bad)
        return problem ? problem : EINVAL;
    return mkdirat(f->fd, name, mode & 07777) < 0 ? errno : put_new_qid(s, f->fd, name, out);
}

int do_link(struct server *s, struct p9_in *in, struct p9_out *out)
{
    char name[256];
    struct fid *dir, *f;
    int problem = get_fid(s, in, &dir);
    if (!problem)
        problem = get_fid(s, in, &f);
    if (!problem)
        problem = get_name(in, name);
    if (problem)
        return problem;
    return linkat(AT_FDCWD, fid_path(f).text, dir->fd, name, AT_SYMLINK_FOLLOW) < 0 ? errno : 0;
}

int do_rename(struct server *s, struct p9_in *in, struct p9_out *out)
{
    char from_name[256], to_name[256];
    struct fid *from, *to;
    int problem = get_place(s, in, &from, from_name);
    if (!problem)
        problem = get_place(s, in, &to, to_name);
    u32 flags = p9_get32(in);
    if (problem || in->bad || (flags & ~(RENAME_NOREPLACE | RENAME_EXCHANGE)) != 0)
        return problem ? problem : EINVAL;
    return syscall(SYS_renameat2, from->fd, from_name, to->fd, to_name, flags) < 0 ? errno : 0;
}

int do_unlinkat(struct server *s, struct p9_in *in, struct p9_out *out)
{
    char name[256];
    struct fid *f;
    int problem = get_place(s, in, &f, name);
    u32 flags = p9_get32(in);
    if (problem || in->bad)
        return problem ? problem : EINVAL;
    return unlinkat(f->fd, name, (flags & P9_UNLINK_DIR) != 0 ? AT_REMOVEDIR : 0) < 0 ? errno : 0;
}
