/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Debian's package database, read directly (dpkg(1), deb-control(5)): one
 * `dpkg -S` would take longer than the whole image.
 */
#ifndef HOST_IMAGE_DPKG_H
#define HOST_IMAGE_DPKG_H

#include "host/image/inputs.h"

struct package {
    char *name, *arch, *version;
    char *depends;   /* Pre-Depends and Depends, comma-separated */
    bool base;       /* Essential: yes, or Priority: required: part of every Debian system */
    bool taken;      /* for the caller */
    char *list_text; /* "\n" + .list content, loaded when first needed */
    size_t list_len;
};

struct dpkg {
    bool loaded;
    struct map by_name;  /* name -> struct package *, also what it provides */
    struct package **packages;
    size_t count, capacity;
    struct inputs *inputs;
};

/* Read the database once; a host without dpkg has no packages. */
void dpkg_load(struct dpkg *d, struct inputs *inputs);
void dpkg_done(struct dpkg *d);
/* The package that lists the path, whichever way /usr is merged; or NULL. */
struct package *dpkg_owner(struct dpkg *d, const char *path);
/* Its file list, one path a line; "" when there is none. */
const char *dpkg_files(struct dpkg *d, struct package *p);
/* Installed packages that satisfy p's dependencies, one for each clause, through fn. */
void dpkg_for_each_dependency(struct dpkg *d, struct package *p, void (*fn)(struct package *dep, void *ctx), void *ctx);

#endif
