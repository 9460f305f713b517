/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A process as it was at one moment, for who only looks: all threads are stopped, their registers and the tops of their stacks are read,
 * and they go on, however long gdb takes to load symbols and to print. Stacks below what was read, and all other memory, are
 * read from the process while it runs. Nothing can be changed. What is kept of a thread is bounded by an equal share of what all may take, however many a kernel says there are.
 */
#include <stddef.h>
#include <string.h>

#include "host/debug/server_impl.h"

#define STACK_MAX 65536u
#define THREAD_MAX (STACK_MAX + sizeof(struct regs) + DBG_DATA_MAX)
#define RED_ZONE 128u

struct frozen_thread {
    u32 tid;
    struct buf regs; /* struct regs, up to the last byte that means something */
    struct buf kernel, stack;
    u64 stack_at;
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

/* Up to where its memory, or the room, ends. */
static void read_stack(struct server *s, struct frozen_thread *f, size_t room)
{
    room = MIN(room, (size_t)STACK_MAX);
    memcpy(&f->stack_at, s->regs.general + REGS_RSP_AT, sizeof(f->stack_at));
    f->stack_at -= RED_ZONE;
    for (size_t before = room; f->stack.len < room && f->stack.len != before;) {
        before = f->stack.len;
        struct dbg_request q = {.op = DBG_READ, .addr = f->stack_at + before, .value = MIN(DBG_DATA_MAX, room - before)};
        if (target_ask(&s->target, &q, NULL, 0, &f->stack, NULL) < 0 || f->stack.len - before > q.value) {
            f->stack.len = before;
            break;
        }
    }
}

/* False: it has ended, does not stop, or its registers alone want more than its room. */
static bool freeze(struct server *s, u32 tid, size_t room, struct frozen_thread *f)
{
    size_t size = offsetof(struct regs, state) + MAX(s->target.hello.state_size, REGS_LEGACY_SIZE);
    if (size > room || server_load_regs(s, tid) < 0)
        return false;
    f->tid = tid;
    buf_add(&f->regs, &s->regs, size);
    room -= size;
    target_ask(&s->target, &(struct dbg_request){.op = DBG_KERNEL_STACK, .tid = tid}, NULL, 0, &f->kernel, NULL);
    if (f->kernel.len > room)
        buf_done(&f->kernel);
    read_stack(s, f, room - f->kernel.len);
    buf_fit(&f->kernel);
    buf_fit(&f->stack);
    return true;
}

void snapshot_take(struct server *s, size_t most)
{
    struct snapshot *n = xalloc(sizeof(*n));
    size_t room = MIN(THREAD_MAX, most / (s->nthreads + 1));
    n->threads = xalloc((s->nthreads + 1) * sizeof(*n->threads));
    threads_list(s, &n->list);
    for (size_t i = 0; i < s->nthreads; i++)
        n->count += freeze(s, s->threads[i].tid, room, &n->threads[n->count]);
    s->snapshot = n;
    snapshot_let_go(s);
}

size_t snapshot_size(const struct snapshot *n)
{
    size_t all = 0;
    for (size_t i = 0; i < n->count; i++)
        all += n->threads[i].regs.capacity + n->threads[i].kernel.capacity + n->threads[i].stack.capacity;
    return all;
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

bool snapshot_regs(const struct snapshot *n, u32 tid, struct regs *ret)
{
    const struct frozen_thread *f = find(n, tid);
    if (f)
        memcpy(ret, f->regs.data, f->regs.len);
    return f != NULL;
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
        buf_done(&n->threads[i].regs);
        buf_done(&n->threads[i].stack);
        buf_done(&n->threads[i].kernel);
    }
    if (n) {
        buf_done(&n->list);
        free(n->threads);
    }
    free(n);
}
