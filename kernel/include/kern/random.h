/* SPDX-License-Identifier: Apache-2.0 */
/* Random bytes: ChaCha20 with fast key erasure, keyed by the platform's and the
 * virtio-rng device's entropy. Never blocks after boot. */
#ifndef KERN_RANDOM_H
#define KERN_RANDOM_H

#include "kern/types.h"

void random_init(void);                            /* once, from plat_entropy() */
void random_add(const void *buf, size_t len);      /* mix in more, any time */
void random_bytes(void *buf, size_t len);
u64 random_u64(void);
u64 random_below(u64 bound);                       /* uniform in [0, bound), bound > 0 */

#endif
