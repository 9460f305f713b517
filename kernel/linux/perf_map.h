/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LINUX_PERF_MAP_H
#define LINUX_PERF_MAP_H

void perf_map_init(void); /* registers the service "perf-map" (abi/profile.h) */

#endif
