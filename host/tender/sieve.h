/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sieve of a TAP (abi/sieve.h) for an instance that cannot map it: its kernel says over a channel what is to be written there, and
 * is told what was held back. The channel is the tender's own, none of a client's (clients.h).
 */
#ifndef HOST_TENDER_SIEVE_H
#define HOST_TENDER_SIEVE_H

#include "abi/sieve.h"
#include "host/tender/control.h"

#define SIEVE_CHANNEL 0u /* clients' numbers are others */

struct far_sieve {
    struct sieve *memory; /* NULL = there is none */
    const char *tap;      /* the interface */
    struct control *control;
    u64 in_spent, in_allowed;   /* by the kernel */
    u64 out_spent, out_allowed; /* to it */
};

/* map: the memory of tap's sieve; stays the caller's. The kernel will be asked for the channel, which the control port carries as soon as it is read. 0 or -1. */
int far_sieve_open(struct far_sieve *s, const char *tap, int map, struct control *control, struct error *err);
/* A message of SIEVE_CHANNEL from the kernel. NULL, or what is wrong with it. */
const char *far_sieve_message(struct far_sieve *s, u16 type, const void *payload, u32 len);
/* All frames pass again. */
void far_sieve_close(struct far_sieve *s);

#endif
