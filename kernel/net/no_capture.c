/* SPDX-License-Identifier: Apache-2.0 */
/* A kernel that records no packets (-Dwithout=capture). */
#include "net_impl.h"

void net_capture_init(void) {}
void net_capture_expect(void) {}
void net_capture_drain(u64 deadline_ns) {}
