/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The service "debug" (abi/debug.h): a tracer whose requests come from outside. It is a process that nobody sees, has no tasks and
 * traces by the rules of ptrace.h; one thread, the service's, acts for it.
 *
 *   D1  A breakpoint that is `in` memory was put there by this conversation. The byte below it is `old`, or was when it was last in.
 *   D2  A child has the breakpoints that were in memory when it was made. It loses them before its first instruction, and before any of them is
 *       taken out of the program's memory and forgotten.
 *   D3  A child made by vfork() has the program's own memory and is not traced: none is in memory while one does (vforks).
 */
#include "abi/debug.h"
#include "arch_linux.h"
#include "base/fmt.h"
#include "base/str.h"
#include "debug_points.h"
#include "kern/callsite.h"
#include "kern/channel.h"
#include "ptrace.h"

#define OPTIONS                                                                                                              \
    (PTRACE_O_EVENT(PTRACE_EVENT_FORK) | PTRACE_O_EVENT(PTRACE_EVENT_VFORK) | PTRACE_O_EVENT(PTRACE_EVENT_CLONE) |             \
     PTRACE_O_EVENT(PTRACE_EVENT_EXEC) | PTRACE_O_EVENT(PTRACE_EVENT_VFORK_DONE) | PTRACE_O_EVENT(PTRACE_EVENT_EXIT))
#define STOP_NS (5 * NSEC_PER_SEC) /* a task that is in no hurry to leave the kernel is not waited for any longer */
#define INT3 0xcc

extern const u8 text_start[] __attribute__((weak)); /* the linker's */

struct breakpoint {
    uaddr_t addr;
    u8 old;
    bool in;
};

struct debug {
    struct channel *c;
    struct process *proc, *tracer; /* proc: referenced */
    u32 nbreaks, vforks;
    struct breakpoint breaks[DBG_BREAKS_MAX];
    struct file *files[DBG_FILES_MAX];
    u8 in[CTL_PART_MAX];
    struct {
        struct dbg_answer head;
        u8 data[DBG_DATA_MAX];
    } out;
};

/* --- memory and breakpoints --------------------------------------------------------------------------- */

static struct addrspace *memory_of(struct process *p)
{
    struct task *t = process_task(p);
    struct addrspace *as = t != NULL ? task_as(t) : NULL;
    task_put(t);
    return as;
}

static struct breakpoint *find_break(struct debug *d, uaddr_t addr)
{
    for (u32 i = 0; i < d->nbreaks; i++)
        if (d->breaks[i].addr == addr)
            return &d->breaks[i];
    return NULL;
}

/* Into memory, or out. */
static int put_break(struct breakpoint *b, struct addrspace *as, bool in)
{
    u8 byte = INT3;
    if (b->in == in)
        return 0;
    if (in && as_copy(as, b->addr, &b->old, 1, false) != 1)
        return -EIO;
    if (as_copy(as, b->addr, in ? &byte : &b->old, 1, true) != 1)
        return -EIO;
    b->in = in;
    return 0;
}

static void put_breaks(struct debug *d, bool in)
{
    struct addrspace *as = memory_of(d->proc);
    for (u32 i = 0; as != NULL && i < d->nbreaks; i++)
        (void)put_break(&d->breaks[i], as, in); /* memory that the program unmapped has none */
    addrspace_put(as);
}

static s64 add_break(struct debug *d, struct addrspace *as, uaddr_t addr)
{
    if (find_break(d, addr) != NULL)
        return 0;
    if (d->nbreaks == DBG_BREAKS_MAX)
        return -ENOSPC;
    struct breakpoint *b = &d->breaks[d->nbreaks];
    *b = (struct breakpoint){.addr = addr};
    int r = d->vforks == 0 ? put_break(b, as, true) : as_copy(as, addr, &b->old, 1, false) == 1 ? 0 : -EIO;
    d->nbreaks += r == 0;
    return r;
}

static s64 remove_break(struct debug *d, struct addrspace *as, uaddr_t addr)
{
    struct breakpoint *b = find_break(d, addr);
    if (b == NULL)
        return -ENOENT;
    int r = put_break(b, as, false);
    *b = d->breaks[--d->nbreaks];
    return r;
}

static s64 read_memory(struct debug *d, struct addrspace *as, uaddr_t addr, u64 len)
{
    s64 n = as_copy(as, addr, d->out.data, MIN(len, (u64)DBG_DATA_MAX), false);
    for (u32 i = 0; n > 0 && i < d->nbreaks; i++)
        if (d->breaks[i].in && d->breaks[i].addr - addr < (u64)n)
            d->out.data[d->breaks[i].addr - addr] = d->breaks[i].old;
    return n > 0 ? n : -EIO;
}

static s64 write_memory(struct debug *d, struct addrspace *as, uaddr_t addr, u8 *data, size_t len)
{
    for (u32 i = 0; i < d->nbreaks; i++)
        if (d->breaks[i].in && d->breaks[i].addr - addr < len) {
            d->breaks[i].old = data[d->breaks[i].addr - addr];
            data[d->breaks[i].addr - addr] = INT3;
        }
    return as_copy(as, addr, data, len, true) == (s64)len ? 0 : -EIO;
}

static const unsigned point_access[] = {[DBG_POINT_EXEC] = TRAP_EXEC, [DBG_POINT_WRITE] = TRAP_WRITE, [DBG_POINT_ACCESS] = TRAP_READ | TRAP_WRITE};

static u32 point_kind(const struct trap_point *p)
{
    u32 kind = 0;
    while (point_access[kind] != p->access)
        kind++;
    return kind;
}

static s64 set_point(struct debug *d, const struct dbg_request *q, struct addrspace *as)
{
    struct trap_point p = {.addr = q->addr, .len = (u8)q->value};
    if (q->how >= ARRAY_SIZE(point_access) || q->value > 8)
        return -EINVAL;
    p.access = point_access[q->how];
    if (p.access == TRAP_EXEC && q->op == DBG_POINT)
        callsite_undo(as, p.addr); /* inside a jump nobody would get there */
    return debug_point(d->proc, &p, q->op == DBG_POINT);
}

/* What is in the program's memory now need not be what was when the copy was made: a vfork() of another thread may have taken breakpoints out since. */
static void clean_copy(struct debug *d, struct addrspace *copy)
{
    u8 byte;
    for (u32 i = 0; i < d->nbreaks; i++)
        if (as_copy(copy, d->breaks[i].addr, &byte, 1, false) == 1 && byte == INT3)
            (void)as_copy(copy, d->breaks[i].addr, &d->breaks[i].old, 1, true); /* where one could be put in */
}

/* A process that d->proc has just made, before its first instruction. */
static void clean_child(struct debug *d, struct process *child)
{
    struct addrspace *own = memory_of(d->proc), *as = memory_of(child);
    if (as != NULL && as == own) {
        d->vforks++;
        put_breaks(d, false);
    } else if (as != NULL) {
        clean_copy(d, as);
    }
    addrspace_put(as);
    addrspace_put(own);
}

/* --- tracing ------------------------------------------------------------------------------------------ */

/* All tasks that have no tracer yet get one. 1 = there were some, 0, or -errno. */
static int attach_tasks(struct debug *d)
{
    struct process *p = d->proc;
    struct task *found;
    int r = 0;
    do {
        found = NULL;
        spin_lock_bh(&p->lock);
        list_for_each(t, &p->tasks, struct task, proc_node)
            if (found == NULL && !task_traced(t) && !t->ended)
                found = task_get(t);
        spin_unlock_bh(&p->lock);
        int err = found != NULL ? ptrace_attach(found, d->tracer, true, OPTIONS) : 0;
        r = found == NULL || err == -EPERM ? r : err < 0 ? err : 1; /* -EPERM: it ended meanwhile */
        task_put(found);
    } while (found != NULL && r >= 0);
    return r;
}

/* l held. */
static void interrupt_locked(struct tracee *tr)
{
    u64 since;
    if (tr->nframes == 0) /* else it is on its way */
        tr->nframes = thread_sleeping_frames(tr->task->thread, tr->frames, ARRAY_SIZE(tr->frames), &since);
    ptrace_interrupt_locked(tr);
}

static bool all_stopped(struct debug *d, bool interrupt)
{
    bool all = true;
    spin_lock_bh(&process_list_lock);
    list_for_each(tr, &d->tracer->tracees, struct tracee, node) {
        if (tr->stopped || tr->ended)
            continue;
        all = false;
        if (interrupt)
            interrupt_locked(tr);
    }
    spin_unlock_bh(&process_list_lock);
    return all;
}

static void stop_all(struct debug *d)
{
    if (!all_stopped(d, true))
        (void)wait_event_until(&d->tracer->child_wq, all_stopped(d, false), now_ns() + STOP_NS);
}

static bool is_news(const struct tracee *tr) { return tr->ended || (tr->stopped && tr->unseen); }

static bool has_news(struct debug *d)
{
    bool news = false;
    spin_lock_bh(&process_list_lock);
    list_for_each(tr, &d->tracer->tracees, struct tracee, node)
        news |= is_news(tr);
    spin_unlock_bh(&process_list_lock);
    return news;
}

static int tell(struct debug *d, enum dbg_event_kind kind, u32 tid, u32 signal, u64 status, const struct ksiginfo *info)
{
    struct dbg_event e = {.op = DBG_EVENT, .kind = kind, .tid = tid, .signal = signal, .status = status};
    _Static_assert(sizeof *info <= sizeof e.siginfo, "room");
    if (info != NULL)
        memcpy(e.siginfo, info, sizeof *info);
    return channel_send(d->c, &e, sizeof e, false);
}

/* The task ran into a breakpoint and behind it: back onto it. */
static bool back_onto_break(struct debug *d, struct tracee *tr)
{
    struct trap_frame *f = thread_frame(tr->task->thread);
    bool hit = tr->code == SIGTRAP && tr->info != NULL && tr->info->code == SI_KERNEL && find_break(d, FRAME_PC(f) - 1) != NULL;
    if (hit)
        FRAME_PC(f)--;
    return hit;
}

/* Let one go for good. */
static void let_go(struct tracee *tr)
{
    struct list gone, gone_processes;
    list_init(&gone);
    list_init(&gone_processes);
    spin_lock_bh(&process_list_lock);
    ptrace_told_end_locked(tr, &gone, &gone_processes);
    spin_unlock_bh(&process_list_lock);
    ptrace_free(&gone);
    process_release_all(&gone_processes);
}

/* A stop that is news. tr is held. */
static int on_stop(struct debug *d, struct tracee *tr)
{
    u32 signal = tr->code & 0x7f, tid = tr->task->tid;
    struct trap_point point;
    switch (tr->code >> 8) {
    case PTRACE_EVENT_VFORK_DONE:
        d->vforks -= d->vforks > 0;
        if (d->vforks == 0)
            put_breaks(d, true);
        break;
    case PTRACE_EVENT_EXIT:
        if (tell(d, DBG_EXITING, tid, 0, tr->message, NULL) < 0)
            return -EPIPE;
        break;
    case PTRACE_EVENT_EXEC:
        d->nbreaks = d->vforks = 0;
        debug_points_drop(d->proc);
        return tell(d, DBG_EXEC, tid, signal, 0, NULL);
    case PTRACE_EVENT_STOP:
        return tell(d, signal == SIGTRAP ? DBG_INTERRUPTED : DBG_STOPPED, tid, signal, 0, NULL);
    case 0:
        if (back_onto_break(d, tr))
            return tell(d, DBG_BREAKPOINT, tid, signal, 0, NULL);
        if (debug_point_of(d->proc, tr->info, &point))
            return tell(d, DBG_POINT_HIT, tid, point_kind(&point), point.addr, NULL);
        return tell(d, DBG_STOPPED, tid, signal, 0, tr->info);
    default: /* made something */
        break;
    }
    ptrace_resume(tr, tr->how, 0);
    return 0;
}

static int on_end(struct debug *d, struct tracee *tr)
{
    u32 tid = tr->task->tid;
    bool process = tr->task == d->proc->leader, own = tr->task->proc == d->proc;
    u64 status = (u64)(tr->exit_code & 0xff) << 8 | (u64)tr->exit_signal;
    let_go(tr);
    return own ? tell(d, process ? DBG_PROCESS_GONE : DBG_THREAD_GONE, tid, 0, status, NULL) : 0;
}

/* One that has news: ended, or stopped, then held and seen. NULL: none. Stops come first. */
static struct tracee *take_news(struct debug *d)
{
    struct tracee *found = NULL;
    spin_lock_bh(&process_list_lock);
    list_for_each(tr, &d->tracer->tracees, struct tracee, node)
        if (is_news(tr) && (found == NULL || (found->ended && !tr->ended)))
            found = tr;
    if (found != NULL && !found->ended) {
        found->held = true;
        found->unseen = false;
    }
    spin_unlock_bh(&process_list_lock);
    return found;
}

static int on_news(struct debug *d)
{
    struct tracee *found = take_news(d);
    if (found == NULL)
        return 0;
    if (found->ended)
        return on_end(d, found);
    if (found->task->proc != d->proc) {
        clean_child(d, found->task->proc);
        let_go(found);
        return 0;
    }
    int r = on_stop(d, found);
    ptrace_release(found);
    return r;
}

static bool has_children(struct debug *d)
{
    bool found = false;
    spin_lock_bh(&process_list_lock);
    list_for_each(tr, &d->tracer->tracees, struct tracee, node)
        found |= tr->task->proc != d->proc;
    spin_unlock_bh(&process_list_lock);
    return found;
}

/* Until they have been cleaned (D2): they come to their stops by themselves. 0 or -EPIPE. */
static int await_children(struct debug *d)
{
    u64 deadline_ns = now_ns() + STOP_NS;
    int r = 0;
    while (r == 0 && has_children(d) && wait_event_until(&d->tracer->child_wq, has_news(d), deadline_ns) == 0)
        r = on_news(d);
    return r;
}

/* --- requests ------------------------------------------------------------------------------------------- */

static s64 hello(struct debug *d)
{
    struct dbg_hello h = {.version = DBG_VERSION, .pid = d->proc->pid, .components = arch_fpu_components(),
                          .state_size = (u32)ptrace_regset_size(NT_X86_XSTATE), .flags = &trap_points_outside != NULL ? DBG_POINTS_OUTSIDE : 0};
    for (u32 i = 0; i < ARRAY_SIZE(h.offsets); i++)
        h.offsets[i] = h.components >> i & 1 ? arch_fpu_offset(i) : 0;
    memcpy(d->out.data, &h, sizeof h);
    return sizeof h;
}

/* By itself, because it may be longer than others. 1 = sent */
static s64 send_threads(struct debug *d)
{
    struct process *p = d->proc;
    u32 n = 0, room = atomic_load_relaxed(&p->ntasks) + 16;
    size_t size = sizeof(struct dbg_answer) + room * sizeof(struct dbg_thread);
    struct dbg_answer *a = kzalloc(size);
    struct dbg_thread *list = (struct dbg_thread *)(a + 1);
    if (a == NULL)
        return -ENOMEM;
    a->op = DBG_THREADS;
    spin_lock_bh(&p->lock);
    list_for_each(t, &p->tasks, struct task, proc_node) {
        if (n == room)
            break;
        list[n].tid = t->tid;
        str_copy(list[n++].name, t->thread->name, sizeof list[0].name);
    }
    spin_unlock_bh(&p->lock);
    int r = channel_send(d->c, a, sizeof *a + n * sizeof *list, false);
    kfree(a);
    return r < 0 ? r : 1;
}

static s64 interrupt(struct debug *d, u32 tid)
{
    s64 r = tid == 0 ? 0 : -ESRCH;
    spin_lock_bh(&process_list_lock);
    list_for_each(tr, &d->tracer->tracees, struct tracee, node)
        if (!tr->ended && !tr->stopped && (tid == 0 || tr->task->tid == tid)) {
            interrupt_locked(tr);
            r = 0;
        }
    spin_unlock_bh(&process_list_lock);
    return r;
}

static s64 kernel_stack(struct debug *d, const struct tracee *tr)
{
    s64 n = 0;
    char name[80];
    for (u32 i = 0; i < tr->nframes; i++) { /* a return address belongs to the instruction before it */
        u64 addr = tr->frames[i] - 1;
        n += fmt_snprintf((char *)d->out.data + n, (size_t)(DBG_DATA_MAX - n), "%s %llx\n", symbol_name(addr, name, sizeof name),
                          (unsigned long long)(addr - (u64)text_start));
    }
    return n;
}

static s64 of_stopped(struct debug *d, const struct dbg_request *q, const u8 *data, size_t len)
{
    struct tracee *tr = ptrace_hold(d->tracer, q->tid);
    s64 r = -EINVAL;
    if (tr == NULL)
        return -ESRCH;
    if (tr->unseen) { /* its event is on its way: that comes first */
        r = -EAGAIN;
    } else if (q->op == DBG_GET_REGS) {
        r = ptrace_get_regset(tr->task, q->how, d->out.data, DBG_DATA_MAX);
    } else if (q->op == DBG_KERNEL_STACK) {
        r = kernel_stack(d, tr);
    } else if (q->op == DBG_SET_REGS) {
        r = MIN(ptrace_set_regset(tr->task, q->how, data, len), 0);
    } else if (q->how <= 1 && q->value <= NSIG) {
        ptrace_resume(tr, q->how == 1 ? RESUME_STEP : RESUME_CONT, (int)q->value);
        r = 0;
    }
    ptrace_release(tr);
    return r;
}

static s64 of_memory(struct debug *d, const struct dbg_request *q, u8 *data, size_t len)
{
    s64 r = q->op == DBG_UNBREAK ? await_children(d) : 0;
    struct addrspace *as = r == 0 ? memory_of(d->proc) : NULL;
    if (as == NULL)
        return r < 0 ? r : -ESRCH;
    switch (q->op) {
    case DBG_READ: r = read_memory(d, as, q->addr, q->value); break;
    case DBG_WRITE: r = write_memory(d, as, q->addr, data, len); break;
    case DBG_BREAK: r = add_break(d, as, q->addr); break;
    case DBG_POINT:
    case DBG_UNPOINT: r = set_point(d, q, as); break;
    default: r = remove_break(d, as, q->addr); break;
    }
    addrspace_put(as);
    return r;
}

static s64 exe_name(struct debug *d)
{
    struct task *t = process_task(d->proc);
    struct fs_ctx *fs = t != NULL ? task_fs(t) : NULL;
    spin_lock_bh(&d->proc->lock);
    struct file *exe = d->proc->exe != NULL ? file_get(d->proc->exe) : NULL;
    spin_unlock_bh(&d->proc->lock);
    s64 n = fs != NULL && exe != NULL ? file_name(fs, exe, (char *)d->out.data, DBG_DATA_MAX) : -ENOENT;
    file_put(exe);
    fs_ctx_put(fs);
    task_put(t);
    return n < 0 ? n : (s64)strlen((char *)d->out.data);
}

/* Of the root's file system. */
static int open_file(struct debug *d, const char *name, struct file **ret)
{
    struct task *t = process_task(d->proc);
    if (t == NULL)
        return -ESRCH;
    struct cred *cred = task_cred(t);
    int r = open_plain(t, name, LOOKUP_NO_XDEV, cred, ret);
    cred_put(cred);
    task_put(t);
    return r;
}

static s64 open_for(struct debug *d, const u8 *data, size_t len)
{
    u32 slot = 0;
    struct kstat st;
    while (slot < DBG_FILES_MAX && d->files[slot] != NULL)
        slot++;
    if (slot == DBG_FILES_MAX)
        return -EMFILE;
    memcpy(d->out.data, data, len);
    d->out.data[len] = '\0';
    int r = open_file(d, (const char *)d->out.data, &d->files[slot]);
    if (r < 0)
        return r;
    r = vfs_stat_file(d->files[slot], &st);
    if (r < 0)
        return r;
    struct dbg_stat s = {.size = st.size, .mtime_s = st.mtime_ns / NSEC_PER_SEC, .mode = st.mode};
    memcpy(d->out.data, &s, sizeof s);
    d->out.head.value = slot;
    return sizeof s;
}

static s64 of_file(struct debug *d, const struct dbg_request *q)
{
    struct file *f = q->how < DBG_FILES_MAX ? d->files[q->how] : NULL;
    struct uio u;
    u64 pos = q->addr;
    if (f == NULL)
        return -EBADF;
    if (q->op == DBG_CLOSE) {
        file_put(f);
        d->files[q->how] = NULL;
        return 0;
    }
    if (pos > INT64_MAX)
        return -EINVAL;
    uio_kernel(&u, d->out.data, MIN(q->value, (u64)DBG_DATA_MAX));
    return vfs_read(f, &u, &pos);
}

/* Bytes in d->out.data, or -errno; -EPIPE: the end; `sent` is set when it has answered by itself. */
static s64 serve(struct debug *d, const struct dbg_request *q, u8 *data, size_t len, bool *sent)
{
    switch (q->op) {
    case DBG_HELLO: return hello(d);
    case DBG_THREADS: *sent = true; return send_threads(d);
    case DBG_INTERRUPT: return interrupt(d, q->tid);
    case DBG_RESUME:
    case DBG_GET_REGS:
    case DBG_KERNEL_STACK:
    case DBG_SET_REGS: return of_stopped(d, q, data, len);
    case DBG_READ:
    case DBG_WRITE:
    case DBG_BREAK:
    case DBG_UNBREAK:
    case DBG_POINT:
    case DBG_UNPOINT: return of_memory(d, q, data, len);
    case DBG_AUXV: memcpy(d->out.data, d->proc->auxv, d->proc->auxv_words * sizeof(u64)); return d->proc->auxv_words * (s64)sizeof(u64);
    case DBG_EXE: return exe_name(d);
    case DBG_OPEN: return open_for(d, data, len);
    case DBG_PREAD:
    case DBG_CLOSE: return of_file(d, q);
    case DBG_KILL: process_kill(d->proc, 0, SIGKILL); return 0;
    default: return -ENOSYS;
    }
}

static int on_request(struct debug *d)
{
    struct dbg_request q;
    bool more, sent = false;
    s64 n = channel_receive(d->c, d->in, sizeof d->in, &more, NEVER_NS);
    if (n < 0)
        return -EPIPE;
    if (more || (size_t)n < sizeof q || (size_t)n >= sizeof q + DBG_DATA_MAX) {
        channel_fail(d->c, EPROTO, "a request is one part, with its head and at most 7167 bytes of data");
        return -EPIPE;
    }
    memcpy(&q, d->in, sizeof q);
    d->out.head = (struct dbg_answer){.op = q.op};
    s64 r = serve(d, &q, d->in + sizeof q, (size_t)n - sizeof q, &sent);
    if (sent && r >= 0)
        return 0;
    d->out.head.error = r < 0 ? (s32)r : 0;
    return channel_send(d->c, &d->out, sizeof d->out.head + (r > 0 ? (size_t)r : 0), false);
}

/* --- a conversation ------------------------------------------------------------------------------------- */

static bool wake_service(struct waiter *w, u32 events)
{
    thread_wake(w->thread);
    return false;
}

static void converse(struct debug *d)
{
    struct waiter news;
    int r = 0;
    waiter_init_thread(&news);
    news.fn = wake_service;
    wq_add(&d->tracer->child_wq, &news);
    while (r == 0) {
        wait_event(channel_wq(d->c), channel_closed(d->c) || channel_readable(d->c) || has_news(d));
        while (r == 0 && !channel_closed(d->c) && has_news(d))
            r = on_news(d);
        if (r == 0 && channel_closed(d->c))
            r = -EPIPE;
        if (r == 0 && channel_readable(d->c))
            r = on_request(d);
    }
    wq_remove(&news);
}

/* Nothing of it stays: whoever has run into a breakpoint and not been told goes back onto what was there before. */
static void undo(struct debug *d)
{
    struct tracee *tr;
    struct list *l;
    stop_all(d);
    while ((tr = take_news(d)) != NULL && !tr->ended) {
        if (tr->task->proc != d->proc)
            clean_child(d, tr->task->proc);
        else if (!back_onto_break(d, tr) && tr->code != SIGTRAP && tr->code <= NSIG && tr->info != NULL)
            tr->task->resume_signal = (u8)tr->code; /* nobody has been told of it */
    }
    put_breaks(d, false);
    debug_points_drop(d->proc);
    while ((l = d->tracer->tracees.next) != &d->tracer->tracees)
        let_go(list_entry(l, struct tracee, node));
    for (u32 i = 0; i < DBG_FILES_MAX; i++)
        file_put(d->files[i]);
}

static const char *begin(struct debug *d)
{
    int err = process_create(NULL, &d->tracer), more;
    if (err < 0)
        return "no memory for it";
    d->tracer->sighand->act[SIGCHLD - 1].handler = SIG_IGN;
    do { /* threads that were being made meanwhile */
        more = attach_tasks(d);
        (void)all_stopped(d, true);
        program_release();
        stop_all(d);
    } while (more > 0);
    if (more == 0 && list_empty(&d->tracer->tracees))
        return "it is being debugged already, or ends";
    return more < 0 ? "no memory for it" : NULL;
}

static void run_debug(struct channel *c, const char *args, size_t len)
{
    u64 pid = 1;
    if (len != 0 && (str_to_u64(args, &pid) != 0 || pid > UINT32_MAX)) {
        channel_fail(c, EINVAL, "the argument is the number of a process");
        return;
    }
    struct debug *d = kzalloc(sizeof *d);
    struct process *p = process_find((u32)pid);
    if (d == NULL || p == NULL) {
        channel_fail(c, d == NULL ? ENOMEM : ESRCH, d == NULL ? "no memory for it" : "there is no such process");
    } else {
        d->c = c;
        d->proc = p;
        const char *why = begin(d);
        if (why != NULL)
            channel_fail(c, EBUSY, why);
        else
            converse(d);
        if (d->tracer != NULL)
            undo(d);
        process_put(d->tracer);
    }
    process_put(p);
    kfree(d);
}

bool debug_service_init(void)
{
    static struct service debug = {.name = "debug", .run = run_debug};
    service_register(&debug);
    return true;
}
