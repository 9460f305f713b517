/* SPDX-License-Identifier: Apache-2.0 */
/* -Dtcp=full: every part there is. */
#include "tcp_impl.h"

const struct tcp_parts tcp_parts = {
    .cc = { &tcp_cubic, &tcp_reno }, .rack = &tcp_rack, .prr = &tcp_prr, .ecn = &tcp_ecn, .frto = &tcp_frto, .mtu = &tcp_mtu, .tfo = &tcp_tfo,
    .shed = &tcp_shed, .info = &tcp_info, .urg = &tcp_urg,
};
