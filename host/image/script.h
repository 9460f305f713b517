/* SPDX-License-Identifier: Apache-2.0 */
/* Scripts: programs whose first line names what interprets them (execve(2)). */
#ifndef HOST_IMAGE_SCRIPT_H
#define HOST_IMAGE_SCRIPT_H

#include "host/image/libs.h"

#define SCRIPT_LINE_MAX 4096
#define SCRIPTS_MAX 4u /* one interpreted by the other, as execve(2) has it */

struct script_line {
    char text[SCRIPT_LINE_MAX + 2];
    const char *interpreter, *argument; /* in text; the argument is the rest of the line, or nothing */
};

/* 1 and what the line says; 0: no script; -1: errno. */
int script_read(int fd, struct script_line *ret);
/* "env PROGRAM": what env(1) is to look for; NULL: no such interpreter. With options or variables it is not one name: "". */
const char *script_env_program(const struct script_line *line);

/* The directories where programs are looked for in an instance: up to a NULL. */
extern const char *const default_path[];

struct image_options;
/* Take what interprets the script at that host path, with its libraries and packages, and what interprets that. Nothing where it is no script; what is not
 * on this host is mentioned with -V. */
int script_add_interpreters(struct tree *t, struct libs *l, const struct image_options *o, const char *script, const char *why, struct error *err);

#endif
