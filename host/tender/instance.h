/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One instance from its start to its end. drupe is its tender: it holds the four
 * ports of the design as socket pairs, copies the streams, speaks the control
 * protocol (abi/control.h), keeps the last lines of the console, and knows at the end
 * whether the program ended or the instance died. Everything that comes out of an
 * instance is taken for hostile; its process can always be killed.
 *
 *   drupe ── control, stdin, stdout, stderr (or control, tty) ───────────────────┐
 *         ── console (kept, printed when the instance dies) ─────────────────────┤ instance
 *         ── frames ─ drupe-slirp, started at the first frame ───────────────────┤
 *             drupe-9p for each volume ──────────────────────────────────────────┘
 *
 * What the instance is, a machine in QEMU (host/qemu) or a sandboxed process
 * (host/process), is the backend's affair: it starts one process that holds the other
 * ends and knows how to put into words how that process ended.
 */
#ifndef HOST_TENDER_INSTANCE_H
#define HOST_TENDER_INSTANCE_H

#include <sys/types.h>
#include <sys/wait.h>

#include "host/9p/volume.h"
#include "host/lib/error.h"
#include "host/lib/util.h"
#include "host/net/ports.h"
#include "host/net/tap.h"

enum net_mode { NET_MODE_NONE, NET_MODE_USER, NET_MODE_TAP };

/* The instance's ends of the socket pairs; -1 = there is none. They belong to the tender. */
struct instance_ends {
    int console;         /* bytes of the kernel's log */
    int messages;        /* what the backend's own process has to say */
    int control;         /* PORT_CONTROL */
    int ports[3];        /* PORT_STDIN, PORT_STDOUT, PORT_STDERR; or PORT_TTY alone */
    int frames;          /* Ethernet frames behind their length (NET_MODE_USER) */
    struct tap tap;      /* open with NET_MODE_TAP */
    int volumes[P9_MAX_VOLUMES]; /* ports P9_PORT 0, 1, ...: 9P (abi/p9.h) */
    int vhosts[P9_MAX_VOLUMES];  /* of the first `vhosts` of them: sockets of vhost-user for devices of the same names */
};

struct instance;
struct policy;

struct backend {
    const char *name; /* in messages: what died */
    bool has_messages;
    size_t vhosts;    /* so many volumes are virtio devices whose queues their servers serve; what others say goes over their ports */
    bool multi_queue;     /* takes a queue of the TAP for each processor; else one */
    bool maps_sieve;      /* hands the memory of the TAP's sieve on; else the tender serves it (host/tender/sieve.c) */
    int kick_signal;      /* after writing to a port, for a program that computes on and on; 0 = needs none */
    u64 boot_patience_ns; /* until CTL_HELLO; 0 = for ever (a debugger may hold it) */
    /* Start the process that is the instance. Its pid, or -1. */
    pid_t (*start)(const struct instance *i, const struct instance_ends *ends, struct error *err);
    /* What a wait status of that process means, in a few words. */
    void (*explain)(int wait_status, struct buf *ret);
};

/* The signal that ended the instance's process, or another one of the instance's with it (abi/host.h); 0 = none. */
static inline int instance_signal(int wait_status)
{
    return WIFSIGNALED(wait_status) ? WTERMSIG(wait_status) : MAX(WEXITSTATUS(wait_status) - 128, 0);
}

struct instance {
    const struct backend *backend;
    void *options;           /* the backend's own */
    const char *label;       /* what runs, for people who look at the process list */
    const char *kernel;      /* path */
    const char *kernel_args; /* for the command line; may be "" */
    const char *config;      /* config.json */
    const char *slirp;       /* path of drupe-slirp; NULL unless NET_MODE_USER */
    u64 memory_bytes;
    unsigned cpus;
    int image_fd;            /* the root file system, read-only */
    enum net_mode net;
    const char *tap;         /* interface of NET_MODE_TAP */
    struct port *ports;
    size_t nports;
    const struct policy *policy; /* what may pass the network (host/net/policy.h) */
    const char *volume_server; /* path of drupe-9p */
    struct volume *volumes;
    size_t nvolumes;
    bool terminal;           /* -t: one port instead of three */
    bool use_stdin;          /* else it ends at once */
    u64 start_ns;            /* when the user asked for it (now_ns()) */
    struct entry *entry;     /* where others find it (host/registry); NULL = they cannot */
    struct logs *logs;       /* detached: takes the output (host/tender/logs.h); NULL: our standard streams do */
    void (*started)(void *ctx); /* the program runs; may be NULL */
    void *started_ctx;
};

/* Run it to its end. 0 with the exit status for drupe, or -1. */
int instance_run(const struct instance *i, int *ret_status, struct error *err);

#endif
