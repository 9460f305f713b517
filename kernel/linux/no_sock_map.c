/* SPDX-License-Identifier: Apache-2.0 */
/* In place of sock_map.c: no socket has memory to map. */
#include "scm.h"

int socket_mmap(struct file *f, struct map_request *req) { return -ENODEV; }
