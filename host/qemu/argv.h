/* SPDX-License-Identifier: Apache-2.0 */
/* QEMU's command line. */
#ifndef HOST_QEMU_ARGV_H
#define HOST_QEMU_ARGV_H

#include "host/qemu/qemu.h"

#define QEMU_VHOSTS 4u /* a microvm has room for 8 virtio devices; the others are serial, disk, entropy, network */

/* Descriptor numbers inside QEMU. */
enum {
    QFD_IMAGE = 3,
    QFD_CONFIG,
    QFD_CONSOLE,
    QFD_CONTROL,
    QFD_STDIN, /* or the terminal */
    QFD_STDOUT,
    QFD_STDERR,
    QFD_FRAMES,
    QFD_VOLUMES, /* and the following */
    QFD_VHOSTS = QFD_VOLUMES + P9_MAX_VOLUMES,
    QFD_TAP = QFD_VHOSTS + QEMU_VHOSTS, /* its queues */
};

/* tap_queues: how many there are from QFD_TAP on. */
void qemu_argv(const struct instance *m, unsigned tap_queues, struct strv *ret);

#endif
