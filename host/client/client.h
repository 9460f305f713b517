/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A command's side of a conversation with a running instance (host/tender/clients.h). What comes
 * from the tender is checked like anything from outside: it passes on what a hostile kernel says.
 */
#ifndef HOST_CLIENT_CLIENT_H
#define HOST_CLIENT_CLIENT_H

#include "abi/control.h"
#include "host/registry/registry.h"

struct conversation {
    int fd;
    bool ended, gone; /* gone: without a word */
    u32 error;        /* of its end; 0 = done */
    char why[CTL_REASON_MAX + 1];
};

/* Open a channel to a service of a running instance. 0, or -1 with the message set. */
int conversation_open(struct conversation *c, const struct entry *e, const char *service, const void *args, size_t len,
                      struct error *err);
/* Send one message, in parts. Blocks while the tender has no room. 0 or -1 (it has ended). */
int conversation_send(struct conversation *c, const void *data, size_t len);
/*
 * The next part into buf (CTL_PART_MAX bytes). 1 with *ret_len and *ret_more; 0 at the end, with error and why set;
 * -1 when the other side makes no sense, has vanished, or says nothing for as long as the socket's SO_RCVTIMEO, if it
 * has one.
 */
int conversation_receive(struct conversation *c, void *buf, size_t *ret_len, bool *ret_more, struct error *err);
/* A whole message of at most max bytes, appended. The same answers. */
int conversation_message(struct conversation *c, struct buf *ret, size_t max, struct error *err);
/* An end with an error, as drupe's own error. */
int conversation_failed(const struct conversation *c, const struct entry *e, struct error *err);
void conversation_done(struct conversation *c);

#endif
