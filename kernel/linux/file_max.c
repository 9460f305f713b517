/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /proc/sys/fs/file-max and file-nr (proc(5)): how many files may be open in the machine. Memory is the limit until another is set; then it
 * holds for whoever has not CAP_SYS_ADMIN.
 */
#include "task.h"
#include "base/fmt.h"

static u64 file_max = INT64_MAX; /* atomic */

static int may_open(void)
{
    struct task *t = current_task();
    return vfs_open_files() >= atomic_load_relaxed(&file_max) && t != NULL && !cred_capable(t->cred, CAP_SYS_ADMIN) ? -ENFILE : 0;
}

static size_t show_max(void *arg, char *buf, size_t size)
{
    return (size_t)fmt_snprintf(buf, size, "%lu\n", (unsigned long)atomic_load_relaxed(&file_max));
}

static size_t show_nr(void *arg, char *buf, size_t size)
{
    return (size_t)fmt_snprintf(buf, size, "%lu\t0\t%lu\n", (unsigned long)vfs_open_files(), (unsigned long)atomic_load_relaxed(&file_max));
}

static int store_max(void *arg, const char *text, size_t len)
{
    u64 v;
    int err = sysctl_number(text, len, 0, INT64_MAX, &v);
    if (err != 0)
        return err;
    atomic_store(&file_max, v);
    atomic_store(&vfs_may_open, may_open);
    return 0;
}

void file_max_init(void)
{
    proc_add_writable("sys/fs/file-max", 0644, show_max, store_max, NULL);
    proc_add("sys/fs/file-nr", 0444, show_nr, NULL);
}
