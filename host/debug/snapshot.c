/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A process as it was at one moment, for who only looks: all threads are stopped, their registers and the tops of their stacks are read,
 * and they go on, however long gdb takes to load symbols and to print. Stacks below what was read, and all other memory, are
 * read from the process while it runs. Nothing can be changed.
 */
#include <string.h>

#include "host/debug/server_impl.h"

#define STACK_MAX 65536u
#define RED_ZONE 128u

struct frozen_thread {
    u32 tid;
    struct regs regs;
    u64 stack_at;
    struct buf stack, kernel;
};
struct snapshot {
    struct frozen_thread *threads;
    size_t count;
    struct buf list; /* gdb's document of threads */
};

static struct frozen_thread *find(const struct snapshot *n, u32 tid)
{
    for (size_t i = 0; i < n->count; i++)
        if (n->threads[i].tid == tid)
            return &n->threads[i];
    return NULL;
}

/* Up to where its memory ends. */
static void read_stack(struct server *s, struct frozen_thread *f)
{
    memcpy(&f->stack_at, f->regs.general + REGS_RSP_AT, sizeof(f->stack_at));
    f->stack_at -= RED_ZONE;
    for (size_t before = 1; f->stack.len < STACK_MAX && f->stack.len != before;) {
        before = f->stack.len;
        struct dbg_request q = {.op = DBG_READ, .addr = f->stack_at + before, .value = MIN(DBG_DATA_MAX, STACK_MAX - before)};
        if (target_ask(&s->target, &q, NULL, 0, &f->stack, NULL) < 0 || f->stack.len - before > q.value) {
            f->stack.len = before;
            break;
        }
    }
}

void snapshot_take(struct server *s)
{
    struct snapshot *n = xalloc(sizeof(*n));
    n->threads = xalloc((s->nthreads + 1) * sizeof(*n->threads));
    threads_list(s, &n->list);
    for (size_t i = 0; i < s->nthreads; i++) {
        struct frozen_thread *f = &n->threads[n->count];
        struct dbg_request q = {.op = DBG_KERNEL_STACK, .tid = s->threads[i].tid};
        if (server_load_regs(s, q.tid) < 0)
            continue; /* it has ended, or does not stop */
        f->tid = q.tid;
        f->regs = s->regs;
        read_stack(s, f);
        target_ask(&s->target, &q, NULL, 0, &f->kernel, NULL);
        n->count++;
    }
    s->snapshot = n;
    snapshot_let_go(s);
}

void snapshot_let_go(struct server *s)
{
    s->rest_runs = true;
    for (size_t i = s->nthreads; i-- > 0 && !s->ended;) {
        struct sthread *t = &s->threads[i];
        if (!t->stopped)
            continue;
        u8 signal = t->pending == PENDING_SIGNAL ? t->signal : 0;
        t->pending = PENDING_NOTHING;
        thread_resume(s, t, false, signal);
    }
}

bool snapshot_has(const struct snapshot *n, u32 tid) { return find(n, tid) != NULL; }
const struct buf *snapshot_threads(const struct snapshot *n) { return &n->list; }

const struct regs *snapshot_regs(const struct snapshot *n, u32 tid)
{
    const struct frozen_thread *f = find(n, tid);
    return f ? &f->regs : NULL;
}

bool snapshot_read(const struct snapshot *n, u64 addr, u64 len, struct buf *ret)
{
    for (size_t i = 0; i < n->count; i++) {
        const struct frozen_thread *f = &n->threads[i];
        if (addr < f->stack_at || addr - f->stack_at >= f->stack.len || len > f->stack.len - (addr - f->stack_at))
            continue;
        buf_add(ret, f->stack.data + (addr - f->stack_at), len);
        return true;
    }
    return false;
}

bool snapshot_kernel(const struct snapshot *n, u32 tid, struct buf *ret)
{
    const struct frozen_thread *f = find(n, tid);
    if (f)
        buf_add(ret, f->kernel.data, f->kernel.len);
    return f != NULL;
}

void snapshot_free(struct snapshot *n)
{
    for (size_t i = 0; n && i < n->count; i++) {
        buf_done(&n->threads[i].stack);
        buf_done(&n->threads[i].kernel);
    }
    if (n) {
        buf_done(&n->list);
        free(n->threads);
    }
    free(n);
}
