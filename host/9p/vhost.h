/* SPDX-License-Identifier: Apache-2.0 */
/*
 * 9P by virtqueues: the monitor (QEMU) hands over a device's queues and the guest's memory by the vhost-user protocol
 * (docs/interop/vhost-user of QEMU); from then on guest and server speak without it. Each request is a chain: the message, then room
 * for the reply.
 */
#ifndef HOST_9P_VHOST_H
#define HOST_9P_VHOST_H

#include "host/9p/server.h"

/* Serve until the monitor closes `socket`. `other` ends, too, with the instance. 0, or -1: monitor or guest broke the rules. */
int vhost_serve(struct server *s, int socket, int other);

#endif
