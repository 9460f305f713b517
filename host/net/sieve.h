/* SPDX-License-Identifier: Apache-2.0 */
/* The sieve of a TAP (abi/sieve.h). */
#ifndef HOST_NET_SIEVE_H
#define HOST_NET_SIEVE_H

/* Attach one to the interface of which tap is a queue, in the place of what was attached before. Returns the descriptor of its memory,
 * which can be mapped, or -1 with errno: the caller has no CAP_BPF, or Linux no eBPF; then the interface is as it was. What is left on an interface
 * when the instance is gone lets everything pass. */
int sieve_attach(int tap);

#endif
