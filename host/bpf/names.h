/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of addresses in an instance, and places of names. The kernel's it tells itself; those of programs come from the files of this host
 * with the same path as the areas that are mapped there: an image made here has this host's files.
 */
#ifndef HOST_BPF_NAMES_H
#define HOST_BPF_NAMES_H

#include "host/bpf/session.h"

struct names;
struct names *names_new(struct session *s);
void names_free(struct names *n);
/* "function+12", or the address in hex. offset: with it. pid 0: the kernel's. Owned by names. */
const char *names_of(struct names *n, u64 address, u32 pid, bool offset);

/* Where in its file t's function is, or -1 with the reason. */
int function_find(const struct target *t, u64 *ret_offset, struct error *err);

#endif
