/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libslirp 4.7 answers a SYN whose connection the host refuses at once with a reset that it makes of the SYN's own buffer, and then frees the buffer. If
 * it does not know the link address of the SYN's sender, the reset still waits in a queue, and the next frames are written through what was freed. So whoever
 * sends a SYN is made known first, by the advertisement (RFC 826, 4861) that it could have sent itself; who cannot be made known sends none.
 */
#ifndef HOST_NET_INTRODUCE_H
#define HOST_NET_INTRODUCE_H

#include <stdbool.h>
#include <stddef.h>

#define INTRODUCTION_MAX 78u

/* Before an Ethernet frame of len bytes: what libslirp is to be handed first, its length in *ret_len, 0 = nothing. False: the frame is not for it. */
bool introduce(const char *frame, size_t len, char ret[INTRODUCTION_MAX], size_t *ret_len);

#endif
