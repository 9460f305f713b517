/* SPDX-License-Identifier: Apache-2.0 */
/* An instance's memory: see layout.h. */
#include "host/process/layout.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>

#include "host/lib/util.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 8u /* no execve() of it; PROT_EXEC mappings are another matter */
#endif
#define BLOCK_ALIGN ((u64)2 << 20)

static int open_memory(void)
{
    int fd = memfd_create("drupe-memory", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);
    return fd < 0 && errno == EINVAL ? memfd_create("drupe-memory", MFD_CLOEXEC | MFD_ALLOW_SEALING) : fd;
}

int layout_memory(struct host_boot *boot, const char *cmdline, const char *config, struct error *err)
{
    boot->magic = HOST_BOOT_MAGIC;
    boot->version = HOST_BOOT_VERSION;
    boot->memory_bytes = ALIGN_UP(boot->memory_bytes, BLOCK_ALIGN);
    boot->cmdline_offset = HOST_BOOT_SIZE;
    boot->cmdline_len = strlen(cmdline);
    boot->config_offset = boot->cmdline_offset + boot->cmdline_len + 1;
    boot->config_len = strlen(config);
    u64 total = boot->config_offset + boot->config_len;
    if (total > boot->memory_bytes / 2)
        return err_set(err, EXIT_DRUPE, "configuration and arguments take %llu bytes; give it more memory with -m",
                       (unsigned long long)total);
    char block[HOST_BOOT_SIZE] = {0};
    memcpy(block, boot, sizeof(*boot));
    struct iovec parts[] = {{block, sizeof(block)}, {(char *)cmdline, boot->cmdline_len + 1},
                            {(char *)config, boot->config_len}};
    AUTO_CLOSE int fd = open_memory();
    if (fd < 0 || ftruncate(fd, (off_t)boot->memory_bytes) < 0)
        return err_errno(err, EXIT_DRUPE, "the instance's memory (%llu MiB; see -m, and ulimit -f)", (unsigned long long)boot->memory_bytes >> 20);
    if (pwritev(fd, parts, ARRAY_SIZE(parts), 0) != (ssize_t)total)
        return err_errno(err, EXIT_DRUPE, "writing the instance's boot block");
    if (fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
        return err_errno(err, EXIT_DRUPE, "sealing the instance's memory");
    return TAKE_FD(fd);
}

struct host_device *layout_add_device(struct host_boot *boot, enum host_device_kind kind, const char *name)
{
    struct host_device *d = &boot->devices[boot->ndevices];
    *d = (struct host_device){.kind = kind, .fd = HOST_FD_FIRST_DEVICE + boot->ndevices++};
    strncpy(d->name, name, sizeof(d->name) - 1);
    return d;
}
