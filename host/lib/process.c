/* SPDX-License-Identifier: Apache-2.0 */
#include "host/lib/process.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>

#include "host/lib/fs.h"

#define CHILDREN_MAX 65536u /* bytes of one thread's list */

int each_thread(u64 pid, int (*fn)(void *ctx, u64 tid), void *ctx)
{
    AUTO_FREE char *path = str_format("/proc/%llu/task", (unsigned long long)pid);
    DIR *dir = opendir(path);
    u64 tid;
    int r = dir ? 0 : -errno;
    for (struct dirent *e; r == 0 && (e = readdir(dir)) != NULL;)
        if (parse_number(e->d_name, 1, INT32_MAX, &tid) == 0)
            r = fn(ctx, tid);
    if (dir)
        closedir(dir);
    return r;
}

struct children {
    u64 pid;
    int (*fn)(void *ctx, u64 child);
    void *ctx;
};

static int children_of_thread(void *ctx, u64 tid)
{
    const struct children *c = ctx;
    AUTO_FREE char *path = str_format("/proc/%llu/task/%llu/children", (unsigned long long)c->pid, (unsigned long long)tid);
    struct buf list = {0};
    int r = file_read(path, CHILDREN_MAX, &list) == 0 || errno == ENOENT || errno == ESRCH ? 0 : -errno; /* the thread has ended */
    for (char *p = list.data, *end; r == 0 && p; p = end) {
        u64 child = strtoull(p, &end, 10);
        if (end == p)
            break;
        r = c->fn(c->ctx, child);
    }
    buf_done(&list);
    return r;
}

int each_child(u64 pid, int (*fn)(void *ctx, u64 child), void *ctx)
{
    struct children c = {.pid = pid, .fn = fn, .ctx = ctx};
    return each_thread(pid, children_of_thread, &c);
}
