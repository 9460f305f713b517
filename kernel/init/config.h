/* SPDX-License-Identifier: Apache-2.0 */
/* What to run and how: an OCI runtime-spec config.json, read (abi/boot.h). */
#ifndef INIT_CONFIG_H
#define INIT_CONFIG_H

#include "kern/linux.h"
#include "kern/net.h"

#define CONFIG_MAX_BYTES (1u << 20)
#define CONFIG_MAX_MOUNTS 16

struct mount_spec {
    const char *destination, *type, *source;
    const char *options; /* those of the file system ("uid=1000:0,..."), or NULL */
    bool read_only;
    bool file;           /* a file is mounted, on a file */
};

struct boot_config {
    struct program_spec program; /* stdio not filled in */
    bool terminal;
    bool one_output;             /* standard error is standard output */
    bool root_read_only;
    u16 rows, cols;              /* 0 = not given */
    struct net_config net;
    struct mount_spec mounts[CONFIG_MAX_MOUNTS];
    unsigned nmounts;
};

/* Everything that the result points to lives as long as the machine; `text` need not.
 * 0, -ENOMEM, or -EINVAL with the reason in ret_why. */
int config_parse(const char *text, size_t len, struct boot_config *ret, char *ret_why, size_t why_size);

#endif
