/* SPDX-License-Identifier: Apache-2.0 */
/* A process in a running instance, held by the kernel's service "debug" (abi/debug.h). What comes from there is checked. */
#ifndef HOST_DEBUG_TARGET_H
#define HOST_DEBUG_TARGET_H

#include "abi/debug.h"
#include "host/client/client.h"

struct target {
    struct conversation talk;
    struct dbg_hello hello;
    struct dbg_event *events; /* that came while an answer was awaited */
    size_t nevents, capacity;
    bool gone;                /* the conversation has ended */
    struct error err;         /* why, if that was no proper end */
};

/* Attach to process `pid`; every thread is told to stop. 0 or -1. */
int target_open(struct target *t, const struct entry *e, u32 pid, struct error *err);
void target_close(struct target *t);
/* Ask. 0 with the answer's data in *ret (appended), or -errno; -EPIPE: gone. ret and ret_value may be NULL. */
int target_ask(struct target *t, const struct dbg_request *q, const void *data, size_t len, struct buf *ret, u64 *ret_value);
/* Ask for exactly len bytes. 0 or -errno; -EIO: there were fewer, or more. */
int target_ask_for(struct target *t, const struct dbg_request *q, void *ret, size_t len);
/* The next event, waiting up to ms (-1: for ever). 1, 0: none came, -1: gone. */
int target_event(struct target *t, int ms, struct dbg_event *ret);

#endif
