/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One instance in QEMU, from its start to its end. drupe is its tender: it holds
 * the four ports of the design as socket pairs, copies the streams, speaks the
 * control protocol (abi/control.h), keeps the last lines of the console, and knows
 * at the end whether the program ended or the machine died.
 *
 *   drupe ── control, stdin, stdout, stderr (or control, tty) ── virtio-serial ─┐
 *         ── console (kept, printed when the machine dies) ───── UART ──────────┤ QEMU
 *         ── frames ─ drupe-slirp, started at the first frame ── virtio-net ────┘
 */
#ifndef HOST_QEMU_MACHINE_H
#define HOST_QEMU_MACHINE_H

#include "host/lib/error.h"
#include "host/lib/util.h"
#include "host/net/ports.h"

enum net_mode { NET_MODE_NONE, NET_MODE_USER, NET_MODE_TAP };

struct machine {
    const char *kernel;     /* path */
    const char *slirp;      /* path of drupe-slirp; NULL unless NET_MODE_USER */
    const char *accel;      /* "tcg", "kvm" */
    bool q35;               /* else microvm */
    u64 memory_bytes;
    unsigned cpus;
    int image_fd, config_fd;
    const char *kernel_args; /* more for the command line; may be "" */
    enum net_mode net;
    const char *tap;         /* interface of NET_MODE_TAP */
    struct port *ports;
    size_t nports;
    bool terminal;           /* -t: one port instead of three */
    bool use_stdin;          /* else it ends at once */
    struct strv qemu_args;   /* more for QEMU (DRUPE_QEMU_ARGS) */
};

/* Run it to its end. 0 with the exit status for drupe, or -1. */
int machine_run(const struct machine *m, int *ret_status, struct error *err);

#endif
