/* SPDX-License-Identifier: Apache-2.0 */
/* A kernel without probes (-Dwithout=probes). */
#include "task.h"

int probe_attach(struct bpf_attach *a, const struct bpf_function_place *at, struct bpf_probe **ret_probe, const char **ret_why)
{
    *ret_why = "this kernel was built without probes";
    return -EOPNOTSUPP;
}

void probe_detach(struct bpf_attach *a, struct bpf_probe *p, bool returns) {}
void probes_init(void) {}
