/* SPDX-License-Identifier: Apache-2.0 */
/* Core files that come over a conversation (abi/core.h). Whoever sends them is hostile: names are made of few characters. */
#ifndef HOST_CLIENT_CORES_H
#define HOST_CLIENT_CORES_H

#include "host/client/client.h"

/* Take cores until the conversation ends: into `file`, which is made anew (one core), or when that is NULL as
 * core.NAME.PID, and core.NAME.PID.2 and so on if that is there, into the directory dir. Each path is printed by `told`. 0, or -1. */
int cores_receive(struct conversation *c, const struct entry *e, const char *dir, const char *file, void (*told)(const char *path),
                  struct error *err);

#endif
