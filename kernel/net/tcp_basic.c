/* SPDX-License-Identifier: Apache-2.0 */
/* -Dtcp=basic: NewReno, SACK as RFC 6675 has it, and nothing that can be left out. */
#include "tcp_impl.h"

u32 net_tcp_fastopen;
const struct sysctl_range net_tcp_settings[] = {{ .name = NULL }};
const struct tcp_parts tcp_parts = { .cc = { &tcp_reno } };
