/* SPDX-License-Identifier: Apache-2.0 */
/* The steps of init/ that are long enough for a file of their own. */
#ifndef INIT_INIT_IMPL_H
#define INIT_INIT_IMPL_H

#include "config.h"
#include "kern/device.h"

extern const struct driver *const bus_drivers[]; /* drivers.c; NULL-terminated */

/* root.c: the file tree. Both end the machine with a message when they cannot do their part. */
void root_mount_image(const char *serial);
void root_furnish(const struct boot_config *c);
/* Write /etc/resolv.conf and /etc/hosts from the network configuration in force. */
void root_write_network_files(void);
/* Read a whole file of at most max bytes. 0 or -errno; *ret is kmalloc()ed. */
int root_read_file(const char *path, size_t max, char **ret, size_t *ret_len);
/* Who init is when it touches files. */
const struct lookup *root_lookup(void);

/* stats.c: counters and threads for clients (kern/channel.h). */
void stats_init(void);

/* cpus.c: start all other CPUs; they come up meanwhile. Before there is a program. */
void cpus_start(void);

/* stdio.c: fill in the three standard streams. */
void stdio_open(struct boot_config *c);

#endif
