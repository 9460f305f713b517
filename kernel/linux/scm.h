/* SPDX-License-Identifier: Apache-2.0 */
/* Descriptors on their way through unix sockets: scm.c. */
#ifndef LINUX_SCM_H
#define LINUX_SCM_H

#include "task.h"

#define SCM_MAX_FD 253u /* in one message */

extern const struct sock_fd_ops scm_fd_ops;
/* A socket's file ended: end those, too, that only hold each other now. Thread context, no locks. */
void scm_collect(void);
/* mmap of a socket (sock_map.c). */
int socket_mmap(struct file *f, struct map_request *req);

#endif
