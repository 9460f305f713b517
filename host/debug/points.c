/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Break- and watchpoints. In an instance that is a process of this host the kernel cannot load debug registers; Linux does for whoever may trace the process, as perf events
 * that raise SIGTRAP there (perf_event_open(2)): one for each thread that there is, inherited by those made later, gone with its descriptor however we end.
 *
 * QEMU's emulation of a CPU never comes back from a single step that touches what is watched (7.2), so data points are taken out for the step. What it has
 * written is seen afterwards, as on a host, where Linux tells of the step alone; a read is not.
 */
#include <errno.h>
#include <linux/hw_breakpoint.h>
#include <linux/perf_event.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "host/debug/server.h"
#include "host/debug/server_impl.h"
#include "host/lib/process.h"

#define ATTEMPTS 20

static const u32 types[] = {[DBG_POINT_EXEC] = HW_BREAKPOINT_X, [DBG_POINT_WRITE] = HW_BREAKPOINT_W, [DBG_POINT_ACCESS] = HW_BREAKPOINT_RW};

/* Its descriptor, or -errno. */
static int open_event(pid_t tid, u32 how, u64 addr, u64 len)
{
    struct perf_event_attr attr = {.type = PERF_TYPE_BREAKPOINT,
                                   .size = sizeof(attr),
                                   .bp_type = types[how],
                                   .bp_addr = addr,
                                   .bp_len = how == DBG_POINT_EXEC ? sizeof(long) : len, /* what Linux wants for an instruction */
                                   .sample_period = 1,
                                   .exclude_kernel = 1,
                                   .exclude_hv = 1,
                                   .inherit = 1,
                                   .remove_on_exec = 1,
                                   .sigtrap = 1};
    int fd = (int)syscall(SYS_perf_event_open, &attr, tid, -1, -1, PERF_FLAG_FD_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

int debug_points_refused(const struct entry *e)
{
    static const u64 nowhere = 8;
    int fd = open_event((pid_t)entry_number(e, "InstancePid"), DBG_POINT_WRITE, nowhere, 8);
    if (fd >= 0)
        close(fd);
    return MIN(fd, 0);
}

/* --- the instance's threads: of its first process, and of that one's children ------------------------------------------ */

static int add_thread(void *ctx, u64 tid)
{
    buf_add(ctx, &(pid_t){(pid_t)tid}, sizeof(pid_t));
    return 0;
}

/* One that has ended has none. */
static int add_threads(void *ctx, u64 pid)
{
    int r = each_thread(pid, add_thread, ctx);
    return r == -ENOENT ? 0 : r;
}

static int add_all(u64 instance, struct buf *ret)
{
    int r = add_threads(ret, instance);
    return r < 0 ? r : each_child(instance, add_threads, ret);
}

/* --- points ------------------------------------------------------------------------------------------------------------ */

static struct point *find(struct server *s, u32 how, u64 addr, u64 len)
{
    for (size_t i = 0; i < ARRAY_SIZE(s->points); i++)
        if (s->points[i].how == how && s->points[i].addr == addr && s->points[i].len == len)
            return &s->points[i];
    return NULL;
}

static void unload(struct point *p)
{
    for (size_t at = 0; at < p->events.len; at += sizeof(int)) {
        int fd;
        memcpy(&fd, p->events.data + at, sizeof(fd));
        close(fd);
    }
    p->events.len = 0;
}

static int load_for(struct point *p, const struct buf *threads)
{
    for (size_t at = 0; at < threads->len; at += sizeof(pid_t)) {
        pid_t tid;
        memcpy(&tid, threads->data + at, sizeof(tid));
        int fd = open_event(tid, p->how, p->addr, p->len);
        if (fd < 0)
            return fd;
        buf_add(&p->events, &fd, sizeof(fd));
    }
    return 0;
}

/* A thread that came meanwhile has inherited the events, or has not; or one has ended: then once more. */
static int load(const struct server *s, struct point *p)
{
    struct buf threads = {0}, again = {0};
    bool same = false;
    int r = 0;
    for (int i = 0; r == 0 && !same; i++) {
        unload(p);
        threads.len = again.len = 0;
        r = i == ATTEMPTS ? -EAGAIN : add_all(s->instance, &threads);
        int loaded = r == 0 ? load_for(p, &threads) : r;
        r = loaded == -ESRCH ? 0 : loaded;
        if (r == 0)
            r = add_all(s->instance, &again);
        same = r == 0 && loaded == 0 && threads.len == again.len && memcmp(threads.data, again.data, again.len) == 0;
    }
    if (r < 0)
        unload(p);
    buf_done(&threads);
    buf_done(&again);
    return r;
}

/* --- single steps ------------------------------------------------------------------------------------------------------- */

/* What is there now. True: since the last time it has changed. */
static bool look_at(struct server *s, struct point *p)
{
    u8 now[8] = {0};
    if (p->how == DBG_POINT_EXEC)
        return false; /* gdb sees where the step has led */
    if (target_ask_for(&s->target, &(struct dbg_request){.op = DBG_READ, .addr = p->addr, .value = p->len}, now, p->len) < 0)
        return false;
    bool changed = memcmp(p->value, now, sizeof(now)) != 0;
    memcpy(p->value, now, sizeof(now));
    return changed;
}

/* The kernel does what a system call touches, and the step ends with its entry. */
static bool at_syscall(struct server *s, u32 tid)
{
    struct dbg_request q = {.op = DBG_READ, .value = 2};
    u8 rip[8], code[2] = {0};
    if (server_load_regs(s, tid) < 0)
        return false;
    regs_get(&s->layout, NUMBER_RIP, &s->regs, rip);
    memcpy(&q.addr, rip, sizeof(q.addr));
    return target_ask_for(&s->target, &q, code, sizeof(code)) >= 0 && code[0] == 0x0f && code[1] == 0x05;
}

static void ask_kernel(struct server *s, u32 op, const struct point *p)
{
    target_ask(&s->target, &(struct dbg_request){.op = op, .how = p->how, .addr = p->addr, .value = p->len}, NULL, 0, NULL, NULL);
}

void points_before_step(struct server *s, u32 tid)
{
    bool any = false;
    for (size_t i = 0; i < ARRAY_SIZE(s->points); i++)
        any |= s->points[i].len && s->points[i].how != DBG_POINT_EXEC && !s->points[i].lifted;
    if (!any || !s->emulated || at_syscall(s, tid))
        return;
    for (size_t i = 0; i < ARRAY_SIZE(s->points); i++) {
        struct point *p = &s->points[i];
        if (p->len == 0 || p->how == DBG_POINT_EXEC || p->lifted)
            continue;
        ask_kernel(s, DBG_UNPOINT, p);
        p->lifted = true;
    }
}

static void put_back(struct server *s)
{
    for (size_t i = 0; i < ARRAY_SIZE(s->points); i++)
        if (s->points[i].lifted) {
            ask_kernel(s, DBG_POINT, &s->points[i]);
            s->points[i].lifted = false;
        }
}

/* --- changes ------------------------------------------------------------------------------------------------------------ */

static int set(struct server *s, u32 how, u64 addr, u64 len)
{
    struct point *p = find(s, how, addr, len);
    if (p)
        return 0;
    p = find(s, 0, 0, 0);
    if (!p)
        return -ENOSPC;
    *p = (struct point){.how = how, .addr = addr, .len = len, .events = p->events};
    int r = s->target.hello.flags & DBG_POINTS_OUTSIDE ? load(s, p) : 0;
    if (r < 0) {
        if (r == -EAGAIN)
            warn("no hardware breakpoint or watchpoint: the instance's threads come and go faster than each is given one; try again");
        else
            warn("no hardware breakpoint or watchpoint: Linux gives the instance no debug register: %s", strerror(-r));
        *p = (struct point){.events = p->events};
        return r;
    }
    look_at(s, p);
    return 0;
}

static void unset(struct server *s, u32 how, u64 addr, u64 len)
{
    struct point *p = find(s, how, addr, len);
    if (!p)
        return;
    unload(p);
    *p = (struct point){.events = p->events};
}

int points_change(struct server *s, u32 how, u64 addr, u64 len, bool on)
{
    struct dbg_request q = {.op = on ? DBG_POINT : DBG_UNPOINT, .how = how, .addr = addr, .value = len};
    if (!on)
        unset(s, how, addr, len);
    int r = target_ask(&s->target, &q, NULL, 0, NULL, NULL);
    if (r < 0 || !on)
        return r;
    r = set(s, how, addr, len);
    q.op = DBG_UNPOINT;
    if (r < 0)
        target_ask(&s->target, &q, NULL, 0, NULL, NULL);
    return r;
}

bool points_stepped(struct server *s, struct sthread *t)
{
    struct point *hit = NULL;
    put_back(s);
    for (size_t i = 0; i < ARRAY_SIZE(s->points); i++)
        if (s->points[i].len && look_at(s, &s->points[i]) && !hit)
            hit = &s->points[i];
    if (!hit || !t || t->pending != PENDING_STEP)
        return false;
    t->point = (u8)hit->how;
    t->point_addr = hit->addr;
    return true;
}

void points_done(struct server *s)
{
    for (size_t i = 0; i < ARRAY_SIZE(s->points); i++) {
        unload(&s->points[i]);
        buf_done(&s->points[i].events);
        s->points[i] = (struct point){0};
    }
}
