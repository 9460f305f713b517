/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The process that becomes an instance. It is started early and gives its privileges
 * away while drupe still looks for the image, because making namespaces takes as long as
 * that; then it gets its descriptors and executes the kernel image.
 */
#ifndef HOST_PROCESS_SANDBOX_H
#define HOST_PROCESS_SANDBOX_H

#include <sys/types.h>

#include "host/lib/error.h"

struct sandbox {
    pid_t pid; /* 0 = there is none */
    int link;  /* our end of the socket to it */
};

/* Start the process; it gets ready by itself. */
int sandbox_prepare(struct sandbox *s, struct error *err);
/*
 * Execute `image` there under the name argv0 and with an empty environment. fds[] become its descriptors 2, 3, ...;
 * it has no others. Its pid, or -1. The process is the caller's from now on (s is empty).
 */
pid_t sandbox_execute(struct sandbox *s, int image, const char *argv0, const int *fds, size_t nfds, struct error *err);
/* End a process that is not needed after all. */
void sandbox_done(struct sandbox *s);

#endif
