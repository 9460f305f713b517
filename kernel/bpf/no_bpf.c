/* SPDX-License-Identifier: Apache-2.0 */
/* A kernel without eBPF programs (-Dwithout=bpf). */
#include "kern/bpf.h"

void bpf_service_init(void) {}
void bpf_finish(u64 deadline_ns) {}
