/* SPDX-License-Identifier: Apache-2.0 */
/* Threads of a running instance: the kernel's service "tasks" (kern/linux.h has the format), checked. */
#ifndef HOST_CLIENT_TASKS_H
#define HOST_CLIENT_TASKS_H

#include "host/client/client.h"

#define TASKS_TEXT_MAX (4u << 20)

struct task_row {
    u32 pid, ppid, tid;
    char state; /* as in proc(5) */
    s32 nice, call; /* call: number of the one that it is in, or -1 */
    u64 cpu_ns, calls, voluntary, forced, rss_pages;
    char waits_for[32], name[64];
};
struct tasks {
    struct task_row *rows; /* by process, then thread */
    size_t count;
    u64 at_ns; /* now_ns() of the answer */
};

/* A conversation that gives a sample for each tasks_read(). */
int tasks_open(struct conversation *c, const struct entry *e, struct error *err);
int tasks_read(struct conversation *c, const struct entry *e, struct tasks *ret, struct error *err);
/* Lines of the kernel's text; a line that is none is an error. */
int tasks_parse(struct tasks *t, const char *text, struct error *err);
const struct task_row *tasks_find(const struct tasks *t, u32 tid); /* NULL */
void tasks_done(struct tasks *t);

#endif
