/* SPDX-License-Identifier: Apache-2.0 */
/* Descriptors on their way through unix sockets: scm.c. */
#ifndef LINUX_SCM_H
#define LINUX_SCM_H

#include "task.h"

#define SCM_MAX_FD 253u /* in one message */

extern const struct sock_fd_ops scm_fd_ops;
/* Of what was received, the program could not be told: the descriptors in it are closed. */
void scm_untold(const void *control, u32 len_bytes);
/* A socket's file ended: end those, too, that only hold each other now. Thread context, no locks. */
void scm_collect(void);
/* mmap of a socket (sock_map.c). */
int socket_mmap(struct file *f, struct map_request *req);

#endif
