/* SPDX-License-Identifier: Apache-2.0 */
/* What the control group that we run in says (cgroups(7), both versions). */
#ifndef HOST_LIB_CGROUP_H
#define HOST_LIB_CGROUP_H

#include "base/types.h"

/* How many processes of our group its memory limit has ended; 0 also when nobody tells. */
u64 cgroup_oom_kills(void);

#endif
