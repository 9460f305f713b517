/* SPDX-License-Identifier: Apache-2.0 */
/* An instance's memory as its kernel finds it: the boot block of abi/host.h and what it points to. */
#ifndef HOST_PROCESS_LAYOUT_H
#define HOST_PROCESS_LAYOUT_H

#include "abi/host.h"
#include "host/lib/error.h"

/* Memory for `boot`, whose offsets and lengths of texts are filled in here: a sealed memfd, or -1. */
int layout_memory(struct host_boot *boot, const char *cmdline, const char *config, struct error *err);
/* Take the next place in the table of devices. It is there for as many as drupe has kinds of. */
struct host_device *layout_add_device(struct host_boot *boot, enum host_device_kind kind, const char *name);

#endif
