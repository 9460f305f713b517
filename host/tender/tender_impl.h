/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of one tender share: its state, and what its services (services.c) may do to the instance. */
#ifndef HOST_TENDER_TENDER_IMPL_H
#define HOST_TENDER_TENDER_IMPL_H

#include "host/registry/registry.h"
#include "host/tender/clients.h"
#include "host/tender/console.h"
#include "host/tender/control.h"
#include "host/tender/instance.h"
#include "host/tender/sieve.h"
#include "host/tender/stream.h"

/* What the deadline is for. */
enum waiting { WAITING_FOR_NOTHING, WAITING_FOR_HELLO, WAITING_FOR_STOP, WAITING_FOR_END };

struct tender {
    const struct instance *i;
    pid_t pid, slirp, servers[P9_MAX_VOLUMES];
    int wait_status;
    bool gone, killed, stuck; /* the process has ended; we did it; it never came up */
    int control_fd, console_fd, messages_fd, frames_fd; /* our ends; -1 when closed */
    int port_fds[3];                                    /* stdin (or tty), stdout, stderr */
    int signal_fd;
    struct control control;
    struct clients clients;
    struct far_sieve sieve;
    struct stream *in, *out, *err;
    bool stdin_end_sent;
    struct console console, messages; /* the last bytes of the log; what the backend itself says */
    bool started, ended;
    struct ctl_exit end;
    struct buf crash;
    unsigned stop_requests;
    enum waiting waiting;
    u64 list_at_ns;  /* write the entry then, or after the first output; UINT64_MAX = it is up to date */
    u64 deadline_ns; /* kill then; UINT64_MAX = never */
    u64 logs_deadline_ns; /* the instance has ended: what the logs' reader did not take by then is lost; 0 = it lives */
};

/* Signal number for the first process of the program. */
void tender_signal(struct tender *t, u32 number);
/* SIGTERM, and the end of all after so long. */
void tender_stop(struct tender *t, u64 patience_ns);
void tender_kill(struct tender *t);

/* services.c: what the tender itself answers. */
extern const struct tender_service tender_services[];
/* The exit status is known: whoever waits for it is told. */
void services_tell_end(struct tender *t, int status);

#endif
