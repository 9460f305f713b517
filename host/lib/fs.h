/* SPDX-License-Identifier: Apache-2.0 */
/* Files and paths for the host tools. */
#ifndef HOST_LIB_FS_H
#define HOST_LIB_FS_H

#include <sys/stat.h>

#include "host/lib/error.h"
#include "host/lib/util.h"

/* "a/./b//../c" -> absolute, without "." and "..", textually (no symlinks are
 * followed). Relative paths start at the working directory. Never NULL. */
char *path_absolute(const char *path);
char *path_join(const char *dir, const char *name);
char *path_dirname(const char *path); /* "/a/b" -> "/a", "/a" -> "/" */
const char *path_basename(const char *path);
/* Is `path` equal to `dir` or below it? */
bool path_is_inside(const char *path, const char *dir);

/* Read a whole file of at most max_len bytes. 0 or -1 with errno (EFBIG: longer). */
int file_read(const char *path, size_t max_len, struct buf *ret);
int file_read_fd(int fd, size_t max_len, struct buf *ret);
/* Open a file to read it, if it is a regular one: opening a device or a pipe may do anything, and the path may be what an
 * instance says. The descriptor, or -1 with errno (EINVAL: it is none). */
int open_regular(const char *path);
/* Write all bytes. 0 or -1 with errno. */
int fd_write_all(int fd, const void *data, size_t len);
/* Copy the rest of `from` to `to`, sharing blocks where the file system can. 0 or -1 with errno. */
int fd_copy(int from, int to);
/* Make a directory and its parents. 0 or -1 with errno. */
int make_dirs(const char *path, mode_t mode);
/* Remove a tree, whatever modes it has. Missing is fine. 0 or -1 with errno. */
int remove_tree(int dir_fd, const char *name);
/* Look a command up in PATH; NULL when there is none that may be executed. */
char *find_in_path(const char *name);
/* An anonymous file with these bytes, readable from its start. -1 with errno. */
int memory_file(const char *name, const void *data, size_t len);
int set_cloexec(int fd, bool on);

#endif
