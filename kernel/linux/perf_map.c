/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The service "perf-map" (abi/profile.h): names of code that a program has made, from where the program itself writes them for perf(1).
 */
#include "perf_map.h"

#include "abi/profile.h"
#include "base/fmt.h"
#include "base/str.h"
#include "kern/channel.h"
#include "task.h"

/* Whoever it belongs to. */
static int open_map(u32 pid, struct file **ret)
{
    char name[32];
    struct task *t = process_task_find(pid);
    fmt_snprintf(name, sizeof name, "/tmp/perf-%u.map", pid);
    int r = t == NULL ? -ESRCH : open_plain(t, name, LOOKUP_NO_SYMLINKS, &kernel_cred, ret);
    task_put(t);
    return r;
}

static void run_perf_map(struct channel *c, const char *args, size_t len)
{
    u64 pid, pos = 0;
    struct file *f = NULL;
    u8 *buf = kmalloc(CTL_PART_MAX, 0);
    int r = buf == NULL ? -ENOMEM : str_to_u64(args, &pid) < 0 || pid > UINT32_MAX ? -EINVAL : open_map((u32)pid, &f);
    while (r == 0 && pos < PERF_MAP_MAX) {
        struct uio u;
        uio_kernel(&u, buf, CTL_PART_MAX);
        s64 n = vfs_read(f, &u, &pos);
        if (n <= 0)
            break;
        r = channel_send(c, buf, (size_t)n, false);
    }
    if (r < 0 && r != -EPIPE)
        channel_fail(c, (u32)-r, "perf-map: there is no such process, or no file of its");
    file_put(f);
    kfree(buf);
}

void perf_map_init(void)
{
    static struct service perf_map = {.name = "perf-map", .run = run_perf_map};
    service_register(&perf_map);
}
