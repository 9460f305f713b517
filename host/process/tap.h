/* SPDX-License-Identifier: Apache-2.0 */
/* TAP interfaces. */
#ifndef HOST_PROCESS_TAP_H
#define HOST_PROCESS_TAP_H

#include "host/lib/error.h"

/* Open an interface for frames behind a 12-byte struct virtio_net_hdr, without blocking. *ret_tso: checksums and
 * segmentation may be left to the host both ways. *ret_sieve: its sieve (host/process/sieve.h), the caller's to close, or -1 where there can be none.
 * The descriptor, or -1. */
int tap_open(const char *name, bool *ret_tso, u32 *ret_mtu, int *ret_sieve, struct error *err);

#endif
