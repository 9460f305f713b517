/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The shared libraries that ELF files need, found the way ld.so(8) finds them:
 * DT_RPATH of the object and of those that loaded it (where it has no
 * DT_RUNPATH), DT_RUNPATH, the directories of ld.so.conf, the default ones.
 * LD_LIBRARY_PATH is the caller's affair and not the image's. Inside the image
 * a fresh ld.so.cache says where everything is, which also saves the program's
 * start a search.
 */
#ifndef HOST_IMAGE_LIBS_H
#define HOST_IMAGE_LIBS_H

#include "host/image/elf.h"
#include "host/image/tree.h"

struct libs {
    struct tree *tree;
    struct strv dirs;      /* ld.so.conf's, then the default ones */
    bool dirs_known;
    struct map by_name;    /* DT_NEEDED name -> host path */
    struct map done;       /* real paths that were looked into */
    bool musl, glibc;      /* which loaders the image has */
    bool elsewhere;        /* the files of libs_add_for() are in the image under other names */
    bool wants_locale, wants_nss, wants_gconv, wants_unwinder;
};

void libs_init(struct libs *l, struct tree *tree);
void libs_done(struct libs *l);
/* Add everything that the ELF file at host path `path` needs: interpreter and libraries.
 * With `must`, a missing library is an error; else it is mentioned with -V. Files that are
 * not ELF, or not for x86-64, are passed over unless `must`. */
int libs_add_for(struct libs *l, const char *path, bool must, struct error *err);
/* Find a library by name and add it with what it needs. Missing is fine (returns false). */
bool libs_add_named(struct libs *l, const char *name);
/* Write /etc/ld.so.cache for what was found. */
void libs_write_cache(struct libs *l);

#endif
