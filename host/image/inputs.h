/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The list of everything on the host that an image was made from, as the
 * builder looked at it. It is stored beside a cached image; the image is still
 * good when every entry looks the same (inputs_unchanged()), which costs one
 * lstat() each. Also remembered is what was looked for and not there, because
 * its appearance would change the result.
 */
#ifndef HOST_IMAGE_INPUTS_H
#define HOST_IMAGE_INPUTS_H

#include <sys/stat.h>

#include "host/lib/util.h"

enum input_kind {
    INPUT_WHOLE = 1, /* type, mode, owner, size, mtime, inode: files and symlinks */
    INPUT_ATTRS,     /* type, mode, owner: a directory that the image also has */
    INPUT_LISTING,   /* as INPUT_WHOLE but for the inode: a directory whose entries were read */
    INPUT_ABSENT,    /* nothing there */
};

struct inputs {
    struct buf records;
    struct map seen; /* path -> highest kind noted */
    size_t count;
};

/* lstat() the path and note what was found; st may be NULL. Returns lstat's result
 * (an absent file is noted as such). */
int inputs_note(struct inputs *in, const char *path, enum input_kind kind, struct stat *ret_st);
bool inputs_unchanged(const void *records, size_t len);
void inputs_done(struct inputs *in);

#endif
