/* SPDX-License-Identifier: Apache-2.0 */
/* In place of file_max.c (-Dwithout=file_max): memory is the limit, and no other can be set. */
#include "task.h"
#include "base/fmt.h"

#define FILE_MAX "9223372036854775807"

static size_t show(void *arg, char *buf, size_t size)
{
    if (arg != NULL)
        return (size_t)fmt_snprintf(buf, size, "%lu\t0\t" FILE_MAX "\n", (unsigned long)vfs_open_files());
    return (size_t)fmt_snprintf(buf, size, FILE_MAX "\n");
}

void file_max_init(void)
{
    proc_add("sys/fs/file-max", 0444, show, NULL);
    proc_add("sys/fs/file-nr", 0444, show, "");
}
