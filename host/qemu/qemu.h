/* SPDX-License-Identifier: Apache-2.0 */
/* The backend that runs an instance as a machine in QEMU. */
#ifndef HOST_QEMU_QEMU_H
#define HOST_QEMU_QEMU_H

#include "host/tender/instance.h"

#define QEMU "qemu-system-x86_64"
#define QEMU_LEAN QEMU "-microvm" /* as Debian has it: a fifth of the libraries, and so starts sooner */

struct qemu_options {
    const char *accel; /* "tcg", "kvm" */
    bool q35;          /* else microvm */
    bool lean;         /* by QEMU_LEAN; microvm and KVM only, and no volumes: it has no vhost-user */
    struct strv args;  /* more for QEMU (DRUPE_QEMU_ARGS) */
};

/* instance.options = struct qemu_options */
extern const struct backend qemu_backend;

#endif
