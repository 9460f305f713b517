/* SPDX-License-Identifier: Apache-2.0 */
/* Volumes as the command sees them: -v SRC:DST[:ro], and the server that each has. */
#ifndef HOST_9P_VOLUME_H
#define HOST_9P_VOLUME_H

#include <sys/types.h>

#include "abi/p9.h"
#include "host/lib/error.h"
#include "host/lib/util.h"

struct volume {
    char *source, *target;
    bool read_only, is_file;
    int fd; /* of the source, O_PATH */
};

/* "SRC:DST[:ro]". SRC is a path of a directory or file that exists; DST is absolute. */
int volume_parse(struct volume *ret, const char *text, struct error *err);
/* Add one to a list of *n: -1 when another has the same DST, or there are too many. Outer ones come before what lies in them. */
int volume_add(struct volume *list, size_t *n, const char *text, struct error *err);
void volume_done(struct volume *v);
/* Start `server` (path of drupe-9p) for it, speaking on `socket`, or by virtqueues that come over `vhost` if that is not -1. pid, or -1. */
pid_t volume_serve(const struct volume *v, const char *server, int socket, int vhost, struct error *err);

#endif
