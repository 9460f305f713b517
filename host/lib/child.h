/* SPDX-License-Identifier: Apache-2.0 */
/* Child processes that end with their parent. */
#ifndef HOST_LIB_CHILD_H
#define HOST_LIB_CHILD_H

#include <sys/types.h>

#include "host/lib/error.h"
#include "host/lib/util.h"

struct child_fd {
    int from, to; /* parent's descriptor, number in the child */
};

/* Start argv[0] (looked up in PATH unless it has a slash; also in the sbin directories).
 * Standard streams not in `fds` are /dev/null for input, inherited otherwise; all other
 * descriptors stay closed. The child dies with this process. With own_group it does not
 * see the terminal's signals. pid, or -1 (errno ENOENT: no such command). */
pid_t child_start(char *const *argv, const struct child_fd *fds, size_t nfds, bool own_group, struct error *err);
/* The same; `confine` (may be NULL) is called in the child last of all: -1 with errno fails the start. */
pid_t child_start_confined(char *const *argv, const struct child_fd *fds, size_t nfds, bool own_group, int (*confine)(void),
                           struct error *err);
/* Run to the end, collecting what it prints. Exit status (128+signal), or -1. */
int child_run(char *const *argv, struct buf *ret_output, struct error *err);

#endif
