/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the vDSO reads. Two read-only pages lie before its first byte: the platform's
 * clock page (struct plat_clock_params, which vdso_map.c compares with this) and
 * the personality's page.
 */
#ifndef LINUX_VDSO_VVAR_H
#define LINUX_VDSO_VVAR_H

#include "base/types.h"

struct vdso_clock {
    u32 seq, valid;
    u64 tsc_base, mult, ns_base;
};
enum { CPU_FROM_CALL, CPU_ONLY_ONE, CPU_FROM_RDTSCP };
struct vdso_data {
    u64 wall_offset_ns; /* CLOCK_REALTIME - CLOCK_MONOTONIC; one aligned word, so always whole */
    u32 cpu_from;       /* CPU_FROM_*: what getcpu() needs */
    u32 has_clock;      /* the clock page is there */
};

#endif
