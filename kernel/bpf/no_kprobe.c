/* SPDX-License-Identifier: Apache-2.0 */
/* A kernel without probes (-Dwithout=probes). */
#include "kern/kprobe.h"

#include "bpf_impl.h"

int kprobe_attach(struct bpf_attach *a, u64 address, bool returns, const char **ret_why)
{
    *ret_why = "this kernel was built without probes";
    return -EOPNOTSUPP;
}

void kprobe_detach(struct bpf_attach *a) {}
void kprobes_init(void) {}
u64 kprobe_true_return(const u64 *frame, u64 value) { return value; }
