/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Enough of EROFS (Linux Documentation/filesystems/erofs.rst) to recognise an
 * image and read a small file from it. The image comes from outside: every
 * address is checked against its size.
 */
#ifndef HOST_IMAGE_EROFS_H
#define HOST_IMAGE_EROFS_H

#include "host/lib/error.h"
#include "host/lib/util.h"

bool erofs_is_image(int fd);
/* Check the superblock against the file. `name` stands in messages. */
int erofs_check(int fd, const char *name, struct error *err);
/* Read the regular file at `path` (no symlinks on the way), at most max_len bytes.
 * 1 read, 0 no such file, -1 damaged or of a kind we do not read. */
int erofs_read_file(int fd, const char *name, const char *path, size_t max_len, struct buf *ret, struct error *err);

#endif
