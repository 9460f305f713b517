/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a Debian program brings along besides its libraries. The rules:
 *
 *  1. The packages that own the program's path (and every symlink on the way to the
 *     file) are taken, and what they depend on for their run, recursively; with
 *     a part (NAME-minimal, perl-base) also the whole, if it is installed (python3, perl).
 *  2. Not followed: packages of the base system (Essential, or Priority required),
 *     and those that only installation scripts want (packages.c has the table).
 *  3. Of a taken package come its configuration, data, modules and empty state
 *     directories. Not: documentation, translations, /usr/include, static libraries,
 *     gconv, integration with init systems, cron and shells; nor executables in the
 *     bin directories (the program alone is what runs; give others by --add); nor,
 *     for packages depended on, libraries in the library directories that no
 *     ELF file in the image needs.
 *  4. A configuration directory below /etc is taken with everything that others may
 *     read, since administrators and installation scripts add files there; a symlink
 *     there that leads to a file of another package brings that package (a module
 *     that was switched on).
 *  5. Compiled Python (__pycache__) of a taken .py file comes along.
 *  6. ELF files that came this way have their libraries found, too.
 *  7. What installation scripts make and the program cannot do without comes from a
 *     short table in packages.c: the first page of a web server, an index.
 *
 * A program of a base package (ls, sh) brings no more than it needs itself: rule 3
 * for its own package, and no dependencies.
 */
#ifndef HOST_IMAGE_PACKAGES_H
#define HOST_IMAGE_PACKAGES_H

#include "host/image/libs.h"

/* Take the packages of the program at `path`, which is in the tree already. */
int packages_add_for(struct tree *t, struct libs *l, const char *path, bool with_gconv, struct error *err);

#endif
