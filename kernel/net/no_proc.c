/* SPDX-License-Identifier: Apache-2.0 */
/* A kernel without /proc/net (-Dwithout=proc_net). */
#include "net_impl.h"

const char *const net_proc_names[] = { NULL };

size_t net_proc_show(const char *name, char *buf, size_t size) { return 0; }
const char *net_counter_name(unsigned counter) { return "?"; } /* the names are those of /proc/net/drupe */
int net_sysfs_add(const struct sysfs_ops *sys) { return 0; }
