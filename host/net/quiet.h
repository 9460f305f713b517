/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HOST_NET_QUIET_H
#define HOST_NET_QUIET_H

/* What libslirp thinks of frames is not printed from now on: it would be as much as the guest likes, and GLib asks before whether standard error
 * is a terminal or the journal, which drupe-slirp's filter does not answer. */
void quiet_libslirp(void);

#endif
