/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The server of one volume: 9P2000.L in the dialect of abi/p9.h. The client is hostile.
 *
 * A fid is a descriptor, opened by O_PATH until Tlopen; so it stays with its file whatever becomes of names, and a
 * walk is openat(fid, NAME, O_PATH | O_NOFOLLOW) with a NAME without slash that is not "..": no symbolic link is
 * followed, and nothing leads up. What needs a path is asked of the working directory, /proc/self/fd, where a
 * fid's number names its file and nothing else.
 *
 * Only regular files and directories are ever opened; device nodes are not made; of extended attributes there are those
 * of "user." alone.
 *
 *   server.c   messages in, replies out      names.c   what changes directories
 *   fid.c      fids, qids                    data.c    reading, writing, attributes
 *   vhost.c    messages by a machine's virtqueues (ring.c); otherwise they come over a socket (main.c)
 */
#ifndef HOST_9P_SERVER_H
#define HOST_9P_SERVER_H

#include <sys/stat.h>

#include "abi/p9.h"
#include "host/9p/wire.h"

#define SERVER_MAX_FIDS (1u << 20)
#define SERVER_MAX_DEVICES 64
#define SERVER_XATTR_MAX 65536u
#define SERVER_VALUES_MAX (32u << 20) /* bytes of extended attributes that are kept at once */

/* An extended attribute, or the list of their names, that is read or being written. */
struct value {
    u32 size, filled;
    bool setting;  /* Tclunk sets it */
    int set_flags;
    char name[256];
    u8 data[];
};

struct fid {
    int fd;        /* O_PATH, or opened */
    bool opened;
    u32 mode;      /* kind of file: S_IFMT */
    struct value *value; /* of a fid by Txattrwalk or Txattrcreate, instead of a file; NULL = it is a file */
};

struct server {
    int root;          /* descriptor of the directory or file, O_PATH */
    bool read_only;
    u32 msize;         /* 0 before Tversion */
    struct fid **fids; /* by number */
    u32 capacity;
    size_t value_bytes; /* that fids have: at most SERVER_VALUES_MAX */
    struct device {
        u64 dev; /* st_dev */
        enum { TIMES_UNKNOWN, TIMES_TELL, TIMES_SILENT } times; /* does a directory's time of change tell of names? */
    } devices[SERVER_MAX_DEVICES]; /* of what lies below, in the order of their first use */
    unsigned ndevices;
};

struct stat;

/* Handle one whole message, of which the size field was checked. The reply goes to *out, which has room for P9_MSIZE bytes. */
void server_message(struct server *s, const u8 *message, u32 size, struct p9_out *out);
/* The reply is an error instead. */
void server_error(const u8 *message, int problem, struct p9_out *out);
void server_done(struct server *s);

/* Handlers: 0 or errno. */
struct fid *fid_get(struct server *s, u32 number); /* NULL = there is none */
int fid_make(struct server *s, u32 number, int fd, u32 mode, struct fid **ret); /* takes fd over, also on failure */
void fid_drop(struct server *s, u32 number);
/* A value of so many zeros for f: ENOMEM, also when there are too many. */
int fid_make_value(struct server *s, struct fid *f, u32 size);
/* The file's name in the working directory. */
struct fid_path {
    char text[16];
};
struct fid_path fid_path(const struct fid *f);
/* The file system that st is of; NULL = there are too many. */
struct device *device_of(struct server *s, const struct stat *st);
int put_qid(struct server *s, const struct stat *st, struct p9_out *out);
/* A file's name inside a directory: EINVAL, EACCES (".."), ENAMETOOLONG. */
int get_name(struct p9_in *in, char name[256]);
/* The fid that a request begins with: EBADF; and of a file. */
int get_fid(struct server *s, struct p9_in *in, struct fid **ret);

typedef int server_fn(struct server *s, struct p9_in *in, struct p9_out *out);
server_fn do_walk, do_clunk, do_attach;                                               /* fid.c */
server_fn do_lcreate, do_symlink, do_mknod, do_mkdir, do_link, do_rename, do_unlinkat, do_tmpfile; /* names.c */
server_fn do_lopen, do_read, do_write, do_readdir, do_fsync, do_statfs, do_getattr, do_setattr, do_readlink, do_xattrwalk,
    do_xattrcreate, do_allocate, do_seek;                                                                   /* data.c */
int xattr_set(const struct fid *f); /* at Tclunk */

#endif
