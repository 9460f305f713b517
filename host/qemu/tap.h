/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HOST_QEMU_TAP_H
#define HOST_QEMU_TAP_H

#include "base/types.h"

/* Was the interface made with several queues (ip tuntap add ... multi_queue)? It can be attached to as such only: what is asked for has to
 * be what it is. False as well where it cannot be attached to at all; QEMU says why. */
bool tap_is_multi_queue(const char *name);

#endif
