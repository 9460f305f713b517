/* SPDX-License-Identifier: Apache-2.0 */
/* A kernel without eBPF programs (-Dwithout=bpf). */
#include "task.h"

void bpf_call_exit(struct task *t) {}
void bpf_calls_init(void) {}
