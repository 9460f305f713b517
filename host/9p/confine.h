/* SPDX-License-Identifier: Apache-2.0 */
/* The walls around the server of a volume. */
#ifndef HOST_9P_CONFINE_H
#define HOST_9P_CONFINE_H

/*
 * Give up all that serving `root` (O_PATH) does not need: see docs/SANDBOX.md. The working directory becomes
 * /proc/self/fd. Returns the descriptor to serve, perhaps another one. Ends the process with a message when a wall that
 * is always there cannot be built.
 */
int confine(int root);

#endif
