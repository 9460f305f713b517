/* SPDX-License-Identifier: Apache-2.0 */
/* Threads of the process that gdb looks at: see server_impl.h. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "host/debug/server_impl.h"

#define STOP_MS 6000
#define THREADS_MAX 100000u

/* --- signals: gdb has its own numbers (include/gdb/signals.def) ------------------------------------- */

static const u8 numbers[] = {[SIGHUP] = 1, [SIGINT] = 2, [SIGQUIT] = 3, [SIGILL] = 4, [SIGTRAP] = 5, [SIGABRT] = 6, [SIGFPE] = 8,
                             [SIGKILL] = 9, [SIGBUS] = 10, [SIGSEGV] = 11, [SIGSYS] = 12, [SIGPIPE] = 13, [SIGALRM] = 14,
                             [SIGTERM] = 15, [SIGURG] = 16, [SIGSTOP] = 17, [SIGTSTP] = 18, [SIGCONT] = 19, [SIGCHLD] = 20,
                             [SIGTTIN] = 21, [SIGTTOU] = 22, [SIGIO] = 23, [SIGXCPU] = 24, [SIGXFSZ] = 25, [SIGVTALRM] = 26,
                             [SIGPROF] = 27, [SIGWINCH] = 28, [SIGUSR1] = 30, [SIGUSR2] = 31, [SIGPWR] = 32, [32] = 77, [64] = 78};

int gdb_signal(int n)
{
    if (n > 32 && n < 64)
        return 45 + n - 33;
    return n > 0 && n < (int)ARRAY_SIZE(numbers) && numbers[n] ? numbers[n] : 143; /* unknown */
}

int linux_signal(int n)
{
    for (int i = 1; i <= 64; i++)
        if (gdb_signal(i) == n && n != 143)
            return i;
    return 0;
}

/* --- who there is ----------------------------------------------------------------------------------- */

struct sthread *thread_find(struct server *s, u32 tid)
{
    for (size_t i = 0; i < s->nthreads; i++)
        if (s->threads[i].tid == tid)
            return &s->threads[i];
    return NULL;
}

static struct sthread *thread_add(struct server *s, u32 tid)
{
    struct sthread *t = thread_find(s, tid);
    if (t || s->nthreads == THREADS_MAX)
        return t;
    if (s->nthreads == s->capacity) {
        s->capacity = s->capacity * 2 + 16;
        s->threads = xrealloc(s->threads, s->capacity * sizeof(*s->threads));
    }
    t = &s->threads[s->nthreads++];
    *t = (struct sthread){.tid = tid, .wanted = s->rest_runs};
    return t;
}

static void thread_remove(struct server *s, u32 tid)
{
    struct sthread *t = thread_find(s, tid);
    if (t)
        *t = s->threads[--s->nthreads];
}

static void add_text(struct buf *b, const char *text, size_t max)
{
    for (size_t i = 0; i < max && text[i]; i++) {
        if ((u8)text[i] < ' ' || (u8)text[i] > 126)
            buf_add(b, "?", 1);
        else if (strchr("<>&\"", text[i]))
            buf_addf(b, "&#%d;", text[i]);
        else
            buf_add(b, &text[i], 1);
    }
}

void threads_list(struct server *s, struct buf *ret)
{
    struct buf answer = {0};
    if (ret)
        buf_addf(ret, "<?xml version=\"1.0\"?><threads>");
    if (target_ask(&s->target, &(struct dbg_request){.op = DBG_THREADS}, NULL, 0, &answer, NULL) == 0)
        for (size_t at = 0; at + sizeof(struct dbg_thread) <= answer.len; at += sizeof(struct dbg_thread)) {
            struct dbg_thread t;
            memcpy(&t, answer.data + at, sizeof(t));
            if (t.tid == 0 || !thread_add(s, t.tid) || !ret)
                continue;
            buf_addf(ret, "<thread id=\"%x\" name=\"", t.tid);
            add_text(ret, t.name, sizeof(t.name));
            buf_addf(ret, "\"/>");
        }
    if (ret)
        buf_addf(ret, "</threads>");
    buf_done(&answer);
}

/* --- going on ----------------------------------------------------------------------------------------- */

void thread_resume(struct server *s, struct sthread *t, bool step, u8 signal)
{
    struct dbg_request q = {.op = DBG_RESUME, .tid = t->tid, .how = step, .value = signal};
    if (step)
        points_before_step(s, t->tid);
    t->stopped = false;
    t->stepping = step;
    t->has_siginfo = false;
    if (s->regs_tid == t->tid)
        s->regs_tid = 0;
    if (target_ask(&s->target, &q, NULL, 0, NULL, NULL) == -ESRCH)
        thread_remove(s, t->tid); /* it was killed; its end is told, or has been */
}

/* --- what happens --------------------------------------------------------------------------------------- */

static bool is_step(const struct dbg_event *e)
{
    s32 code;
    memcpy(&code, e->siginfo + 8, sizeof(code));
    return e->signal == SIGTRAP && code == TRAP_TRACE;
}

bool thread_passes(const struct server *s, const struct sthread *t)
{
    return t->pending == PENDING_SIGNAL && t->signal > 0 && t->signal <= 64 && (s->pass_signals >> (t->signal - 1) & 1);
}

static void take_stop(struct server *s, struct sthread *t, const struct dbg_event *e)
{
    t->stopped = true;
    t->signal = (u8)(e->signal & 127);
    t->has_siginfo = e->kind == DBG_STOPPED;
    memcpy(t->siginfo, e->siginfo, sizeof(t->siginfo));
    t->point = (u8)e->signal;
    t->point_addr = e->status;
    t->pending = e->kind == DBG_POINT_HIT ? PENDING_POINT : e->kind == DBG_BREAKPOINT ? PENDING_BREAK : e->kind == DBG_EXEC ? PENDING_EXEC : is_step(e) ? PENDING_STEP : PENDING_SIGNAL;
    if (thread_passes(s, t) && s->running && !s->interrupted) {
        t->pending = PENDING_NOTHING;
        thread_resume(s, t, t->stepping, t->signal);
    }
}

bool threads_take(struct server *s, const struct dbg_event *e)
{
    struct sthread *t;
    bool known = thread_find(s, e->tid) != NULL;
    switch (e->kind) {
    case DBG_EXITING:
        s->status = e->status;
        s->has_status = true;
        return true;
    case DBG_THREAD_GONE:
        thread_remove(s, e->tid);
        return true;
    case DBG_PROCESS_GONE:
        s->status = e->status;
        s->has_status = s->ended = true;
        return true;
    case DBG_EXEC:
        s->nthreads = 0;
        points_done(s);
        break;
    case DBG_INTERRUPTED:
    case DBG_STOPPED:
    case DBG_BREAKPOINT:
        break;
    case DBG_POINT_HIT:
        if (e->signal > DBG_POINT_ACCESS)
            return false;
        break;
    default:
        return false;
    }
    if (e->tid == 0 || (t = thread_add(s, e->tid)) == NULL)
        return false;
    if (e->kind != DBG_INTERRUPTED) {
        take_stop(s, t, e);
        return true;
    }
    t->stopped = true;
    t->has_siginfo = false;
    t->pending = PENDING_NOTHING;
    if (!known && s->running && s->rest_runs && !s->interrupted)
        thread_resume(s, t, false, 0);
    return true;
}

bool threads_any_runs(const struct server *s)
{
    for (size_t i = 0; i < s->nthreads; i++)
        if (!s->threads[i].stopped)
            return true;
    return false;
}

struct sthread *threads_news(struct server *s)
{
    for (size_t i = 0; i < s->nthreads; i++)
        if (s->threads[i].stopped && s->threads[i].wanted && s->threads[i].pending && !thread_passes(s, &s->threads[i]))
            return &s->threads[i];
    return NULL;
}

void threads_stop_all(struct server *s)
{
    struct dbg_event e;
    u64 until = now_ns() + STOP_MS * 1000000ull;
    s->interrupted = true;
    target_ask(&s->target, &(struct dbg_request){.op = DBG_INTERRUPT}, NULL, 0, NULL, NULL);
    while (!s->ended && threads_any_runs(s) && now_ns() < until) {
        int r = target_event(&s->target, STOP_MS, &e);
        if (r < 0 || (r > 0 && !threads_take(s, &e)))
            s->ended = true;
    }
    s->interrupted = false;
}
