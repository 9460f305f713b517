/* SPDX-License-Identifier: Apache-2.0 */
/* Bounds of what strangers can make us do. */
#ifndef NET_LIMIT_H
#define NET_LIMIT_H

#include "base/types.h"

/* Once in interval_ns, but up to burst_ns ahead of that. */
struct net_limit {
    u64 interval_ns, burst_ns;
    u64 until_ns; /* atomic: what was done has used the time up to here */
};
/* May it be done now? Then it counts as done. Any context. */
bool net_limit_pass(struct net_limit *l);

#endif
