/* SPDX-License-Identifier: Apache-2.0 */
/* /proc/lock_stat: which locks were waited for (kern/lockstat.h). */
#include "base/fmt.h"
#include "kern/lockstat.h"
#include "kern/vfs.h"
#include "task.h"

static void add_class(const struct lockstat *s, void *ctx)
{
    text_add(ctx, "%-20s %10llu %12llu %10llu %10llu %15llu\n", s->name, (unsigned long long)s->waits, (unsigned long long)s->turns,
             (unsigned long long)s->longest, (unsigned long long)s->sleeps, (unsigned long long)s->slept_ns);
}

static size_t show(void *arg, char *buf, size_t size)
{
    struct text t = { buf, size, 0 };
    text_add(&t, "%-20s %10s %12s %10s %10s %15s\n", "lock class", "waits", "turns", "longest", "sleeps", "slept ns");
    lockstat_for_each(add_class, &t);
    return t.len;
}

void proc_lockstat_init(void) { proc_add("lock_stat", 0400, show, NULL); }
