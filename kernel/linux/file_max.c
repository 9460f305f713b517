/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /proc/sys/fs/file-max and file-nr (proc(5)): how many files may be open in the machine. Memory is the limit until another is set; then it
 * holds for whoever has not CAP_SYS_ADMIN.
 */
#include "task.h"
#include "base/fmt.h"
#include "base/str.h"

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
    char word[24];
    u64 v;
    while (len > 0 && (text[len - 1] == '\n' || text[len - 1] == ' ' || text[len - 1] == '\0'))
        len--;
    if (len >= sizeof word)
        return -EINVAL;
    memcpy(word, text, len);
    word[len] = '\0';
    int err = str_to_u64(word, &v);
    if (err != 0)
        return err;
    if (v > INT64_MAX)
        return -EINVAL;
    atomic_store(&file_max, v);
    atomic_store(&vfs_may_open, may_open);
    return 0;
}

void file_max_init(void)
{
    proc_add_writable("sys/fs/file-max", 0644, show_max, store_max, NULL);
    proc_add("sys/fs/file-nr", 0444, show_nr, NULL);
}
