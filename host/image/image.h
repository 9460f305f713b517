/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From what the user names (SOURCE) to an image: what it is, what belongs to it,
 * and the EROFS file made of it, through the cache for `drupe run` or into a file
 * for `drupe build`.
 */
#ifndef HOST_IMAGE_IMAGE_H
#define HOST_IMAGE_IMAGE_H

#include "host/image/config.h"
#include "host/lib/error.h"
#include "host/lib/util.h"

enum source_kind { SOURCE_ELF, SOURCE_SCRIPT, SOURCE_DIR, SOURCE_IMAGE };

struct source {
    enum source_kind kind;
    char *path;        /* absolute host path of the program, directory or image */
    char *interpreter; /* of a script: host path */
    struct strv scripts; /* between a script and its interpreter: host paths */
    struct strv args;  /* how the program is called, before the user's arguments */
    int fd;            /* SOURCE_IMAGE: open */
};

struct image_options {
    struct strv add; /* PATH or PATH:DST */
    bool no_package; /* leave Debian's packages alone */
    bool gconv;      /* take the character set converters */
};

int source_resolve(struct source *s, const char *text, struct error *err);
void source_done(struct source *s);
/* An open image for the source, from the cache or made now; -1 on failure. */
int image_open(const struct source *s, const struct image_options *o, struct error *err);
/* Make an image at `out` with this configuration inside. */
int image_build(const struct source *s, const struct image_options *o, const struct config *c, const char *out,
                struct error *err);

#endif
