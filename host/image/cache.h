/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The image cache: <dir>/<key>.img beside <key>.meta, where the key is a hash of
 * the request (what was asked for, with which options) and the meta file holds
 * the request itself, the identity of its .img and the inputs (inputs.h).
 *
 *  - An entry counts only if the request, the .img's inode, size and mtime, and all
 *    inputs match; so a kill between the two renames leaves nothing that is believed.
 *  - New files are made under <dir>/tmp.XXXXXX, whose maker holds a lock on it, and
 *    moved into place by rename(). A tmp directory that nobody has locked is left over
 *    from a kill and removed by the next maker.
 *  - Two makers of the same request wait for each other on lock.NN (a fixed set).
 *  - The meta file's mtime is the time of last use; the longest unused go when the
 *    images take more than the limit. Who has an image open keeps it.
 */
#ifndef HOST_IMAGE_CACHE_H
#define HOST_IMAGE_CACHE_H

#include "host/image/inputs.h"
#include "host/lib/error.h"

struct cache {
    char *dir;
    struct buf request; /* built by the caller before the first call */
    char key[33];
};

/* The directory of cached images, or NULL: there is no place for one. */
char *cache_directory(void);
int cache_open(struct cache *c, struct error *err);
void cache_done(struct cache *c);
/* Set c->key from the request. */
void cache_set_key(struct cache *c);
/* An open image, or -1. */
int cache_lookup(struct cache *c);
/* Wait for the right to make this request's image; close the result to give it back. */
int cache_lock(struct cache *c, struct error *err);
/* A fresh directory for the making; *ret_lock is closed when done with it. */
int cache_make_tmp(struct cache *c, char **ret_path, int *ret_lock, struct error *err);
/* Move the image in; returns it open, or -1. */
int cache_publish(struct cache *c, const char *image_path, const struct inputs *in, struct error *err);

#endif
