/* SPDX-License-Identifier: Apache-2.0 */
/*
 * IPv4 fragments from the guest are put together here (RFC 791 3.2), so that libslirp sees whole datagrams only: it keeps fragments for 30
 * seconds, as many as come, in a list that each new one walks. Here there is room for a few datagrams; a new one takes the place of the oldest.
 * What overlaps, or has options, is dropped.
 */
#ifndef HOST_NET_FRAGMENTS_H
#define HOST_NET_FRAGMENTS_H

#include <stddef.h>

/* An Ethernet frame of *len bytes: itself when it is no fragment, the datagram with its new *len when this was what lacked (until the
 * next call), else NULL. */
const char *fragments_take(const char *frame, size_t *len);

#endif
