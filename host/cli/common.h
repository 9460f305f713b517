/* SPDX-License-Identifier: Apache-2.0 */
/* Options that run and build share. */
#ifndef HOST_CLI_COMMON_H
#define HOST_CLI_COMMON_H

#include "host/image/config.h"
#include "host/image/image.h"

/* What changes config.json. */
struct program_options {
    struct strv env, ulimits;
    const char *workdir, *user, *name;
};

/* Apply to a configuration. Names of users come from passwd_text and group_text (may be empty). */
int program_options_apply(const struct program_options *o, struct config *c, const struct buf *passwd_text,
                          const struct buf *group_text, struct error *err);
/* getopt_long() said c, which is no option: ':' or '?'. -1. */
int bad_option(const char *command, int c, char **argv, struct error *err);
/* This executable, or NULL with errno set; the caller frees. */
char *self_path(void);
/* A file that belongs to drupe, at one of the places relative to the executable: as built, or as installed. NULL when there is
 * none; the caller frees. */
char *find_part(const char *const *places, size_t count);
/* The names that this host has. */
void accounts_of_host(struct buf *ret_passwd, struct buf *ret_group);

#endif
