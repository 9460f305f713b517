/* SPDX-License-Identifier: Apache-2.0 */
/* The tender's side of the control protocol (abi/control.h): cutting the byte
 * stream of a possibly hostile instance into messages, and writing our own. */
#ifndef HOST_TENDER_CONTROL_H
#define HOST_TENDER_CONTROL_H

#include "abi/control.h"
#include "host/lib/error.h"
#include "host/lib/util.h"

struct control {
    struct buf in;
    const char *broken; /* why the conversation ended early, or NULL */
    struct buf out;     /* what the port has not taken yet */
};

/* Take in bytes; fn is called for each whole message. */
typedef void control_fn(void *ctx, u16 type, const void *payload, u32 len);
void control_feed(struct control *c, const void *data, size_t len, control_fn *fn, void *ctx);
void control_done(struct control *c);
/* Put a message behind those that wait: head, then data. False: the instance takes none. */
bool control_queue(struct control *c, u16 type, const void *head, u32 head_len, const void *data, u32 len);
/* Hand over what the port takes now, without blocking. Has anything been written? */
bool control_flush(struct control *c, int fd);

#endif
