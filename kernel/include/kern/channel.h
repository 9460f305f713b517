/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Conversations with clients outside (channels of abi/control.h). A service is a
 * function that talks to one client: it runs in a thread of its own for each client, and
 * the channel ends when it returns. What a client sends is hostile until checked.
 *
 *   static void hello_run(struct channel *c, const char *args, size_t len)
 *   {
 *       if (channel_send(c, "hello", 5, false) != 0)
 *           return;                            // the client has gone
 *   }
 *   static struct service hello = { .name = "hello", .run = hello_run };
 *   service_register(&hello);                  // at boot; nothing else is spent until somebody asks
 *
 * A service that watches the kernel writes to rings of its own where things happen, and its
 * thread carries them to the client: nothing else waits for a client.
 */
#ifndef KERN_CHANNEL_H
#define KERN_CHANNEL_H

#include "abi/control.h"
#include "kern/wait.h"

struct channel;

struct service {
    const char *name;
    /* args (len bytes, behind them a 0 byte) live as long as it runs. */
    void (*run)(struct channel *c, const char *args, size_t len);
    const char *taken; /* NULL, or it is for one client at a time: what another is told (EBUSY). One that has gone is waited for */
    struct list node;
};
void service_register(struct service *s); /* boot */

/*
 * Send len bytes of a message, in parts; `more`: it goes on with the next call. Sleeps while the
 * client has no room. 0, or -EPIPE: the client has gone. The service's thread.
 */
int channel_send(struct channel *c, const void *data, size_t len, bool more);
/*
 * The next part from the client, at most `size` bytes (a longer one ends the channel: EMSGSIZE; CTL_PART_MAX always
 * suffices). ret_more: its message goes on. Its length, or -EPIPE: the client has gone, or -ETIMEDOUT.
 */
s64 channel_receive(struct channel *c, void *buf, size_t size, bool *ret_more, u64 deadline_ns);
/* Conditions to wait for on channel_wq() together with others. */
bool channel_readable(const struct channel *c);
bool channel_closed(const struct channel *c);
struct waitqueue *channel_wq(struct channel *c);
/* What the client is told when the service returns; else it is "done". */
void channel_fail(struct channel *c, int error, const char *why);

/* --- for the control port (init/control.c) --- */

/* One message: head, then data. False: the conversation is over. Thread context. */
extern bool (*channel_transport)(enum ctl_type type, const void *head, size_t head_len, const void *data, size_t len);
/* A message of the channels' types came. NULL, or why the conversation cannot go on. Thread context. */
const char *channel_message(enum ctl_type type, const void *payload, size_t len);
void channel_hang_up_all(void);

#endif
