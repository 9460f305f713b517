/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Other commands that speak to a running instance (`drupe stats web`), through a
 * Unix socket beside its state (host/registry). Each connection carries one channel of
 * abi/control.h, to a service of the kernel, or to one of the tender's own.
 *
 * A client is somebody else's program: only the same user and root are let in, every
 * message is checked, and nothing is waited for. What it does not read fills its channel's
 * window and no more; one that reads nothing for CLIENT_PATIENCE_NS is dropped. Its
 * end, however it comes, closes the channel.
 *
 * Packets of a connection: one message each, client: OPEN, DATA..., CLOSE or hang up; tender: DATA..., CLOSE, hang up.
 */
#ifndef HOST_TENDER_CLIENTS_H
#define HOST_TENDER_CLIENTS_H

#include <poll.h>

#include "host/tender/control.h"

#define CLIENTS_MAX CTL_CHANNELS_MAX
#define CLIENTS_POLLFDS (CLIENTS_MAX + 1)
#define CLIENT_PATIENCE_NS 10000000000ull
#define CLIENT_WINDOW (256u << 10) /* the kernel may be so far ahead of a client */

struct client;

/* A service of the tender itself, asked before the kernel's. */
struct tender_service {
    const char *name;
    /* args as sent, with a 0 byte behind. The client stays until client_end(). */
    void (*open)(void *ctx, struct client *c, const char *args, size_t len);
};

struct clients {
    int listen_fd; /* -1 = none */
    const struct tender_service *own; /* ends with a NULL name */
    void *ctx;        /* of own */
    struct control *control;
    bool kernel_there; /* the control port is open */
    u32 next_channel;
    struct client *slots[CLIENTS_MAX];
    struct pollfd *poll; /* for one round */
};

void clients_init(struct clients *s, int listen_fd, const struct tender_service *own, void *ctx, struct control *control);
void clients_done(struct clients *s);
/* What to wait for, at most CLIENTS_POLLFDS entries; returns how many. Lowers *deadline_ns. */
size_t clients_poll(struct clients *s, struct pollfd *fds, u64 *deadline_ns);
/* After poll(). */
void clients_serve(struct clients *s);
/* All that waits to be said now, by those who wait to be let in, too. Who still has to take something is given time for it. */
void clients_settle(struct clients *s);
/* A message of the channels' types from the kernel. NULL, or what is wrong with it. */
const char *clients_message(struct clients *s, u16 type, const void *payload, u32 len);
/* The kernel is gone: its channels end. */
void clients_kernel_gone(struct clients *s, const char *why);

/* --- for the tender's services --- */

void client_send(struct client *c, const void *data, size_t len);
/* The client is told, and goes. error: errno, 0 = done. */
void client_end(struct client *c, int error, const char *why);
/* Call fn for each client of that service. */
void clients_each(struct clients *s, const struct tender_service *service, void (*fn)(void *ctx, struct client *c), void *ctx);

#endif
