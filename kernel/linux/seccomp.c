/* SPDX-License-Identifier: Apache-2.0 */
/* seccomp(2): chains of filters, and what becomes of a call. Listeners are seccomp_notif.c. */
#include "seccomp_impl.h"
#include "arch_linux.h"
#include "base/fmt.h"
#include "base/str.h"
#include "kern/cbpf.h"
#include "ptrace.h"

enum { SET_MODE_STRICT, SET_MODE_FILTER, GET_ACTION_AVAIL, GET_NOTIF_SIZES };
enum { MODE_NONE, MODE_STRICT, MODE_FILTER };
#define FLAG_TSYNC 1u
#define FLAG_LOG 2u
#define FLAG_SPEC_ALLOW 4u /* there are no mitigations to be spared */
#define FLAG_NEW_LISTENER 8u
#define FLAG_TSYNC_ESRCH 16u
#define FLAG_WAIT_KILLABLE_RECV 32u

#define RET_KILL_PROCESS 0x80000000u
#define RET_KILL_THREAD 0u
#define RET_TRAP 0x00030000u
#define RET_ERRNO 0x00050000u
#define RET_USER_NOTIF 0x7fc00000u
#define RET_TRACE 0x7ff00000u
#define RET_LOG 0x7ffc0000u
#define RET_ALLOW 0x7fff0000u
#define RET_ACTION 0xffff0000u
#define RET_DATA 0xffffu
#define MAX_ERRNO 4095u

#define SYS_SECCOMP 1
#define CHAIN_INSNS 32768u /* in all programs that a task runs, and PROGRAM_COST for each: Linux */
#define PROGRAM_COST 4u

struct seccomp {
    struct refcount refs;
    struct seccomp *older;        /* c; a reference */
    struct cbpf_program *program; /* c; NULL: strict */
    struct seccomp_listener *listener; /* c; a reference, or NULL */
    u32 count, cost;              /* c: of the chain */
    bool log;                     /* c */
};

/* --- chains ---------------------------------------------------------------------------------- */

/* Takes over the program; the listener when it has been attached. */
static struct seccomp *chain_add(struct seccomp *older, struct cbpf_program *program, struct seccomp_listener *listener, bool log)
{
    struct seccomp *s = kzalloc(sizeof *s);
    if (s == NULL)
        return NULL;
    ref_init(&s->refs);
    s->older = older;
    s->program = program;
    s->listener = listener;
    s->log = log;
    s->count = (older != NULL ? older->count : 0) + 1;
    s->cost = (older != NULL ? older->cost : 0) + (program != NULL ? program->len + PROGRAM_COST : 0);
    if (older != NULL)
        ref_get(&older->refs);
    spin_lock_bh(&process_list_lock);
    syscall_watch(true);
    spin_unlock_bh(&process_list_lock);
    return s;
}

void seccomp_put(struct seccomp *s)
{
    while (s != NULL && ref_put(&s->refs)) {
        struct seccomp *older = s->older;
        spin_lock_bh(&process_list_lock);
        syscall_watch(false);
        spin_unlock_bh(&process_list_lock);
        cbpf_put(s->program);
        seccomp_unlisten(s->listener);
        kfree(s);
        s = older;
    }
}

void seccomp_inherit_locked(struct task *t, const struct task *from)
{
    struct seccomp *old = t->seccomp;
    if (from->seccomp != NULL)
        ref_get(&from->seccomp->refs);
    atomic_store(&t->seccomp, from->seccomp);
    if (from->no_new_privs) /* what made the filters may have come with it since t copied it */
        t->no_new_privs = true;
    if (old != NULL)
        (void)ref_put(&old->refs); /* the new one has another: S2 */
}

static u32 mode_of(const struct seccomp *s) { return s == NULL ? MODE_NONE : s->program == NULL ? MODE_STRICT : MODE_FILTER; }

u32 seccomp_mode(struct task *t, u32 *ret_filters)
{
    spin_lock_bh(&t->proc->lock);
    u32 mode = mode_of(t->seccomp);
    *ret_filters = mode == MODE_FILTER ? t->seccomp->count : 0;
    spin_unlock_bh(&t->proc->lock);
    return mode;
}

/* --- calls ------------------------------------------------------------------------------------- */

struct call_view {
    struct cbpf_data d;
    struct seccomp_call call;
};

static bool load(const struct cbpf_data *d, u32 off, u32 size, u32 *ret)
{
    const struct seccomp_call *c = &container_of(d, const struct call_view, d)->call;
    memcpy(ret, (const u8 *)c + off, sizeof *ret); /* a whole word inside: insn_ok() */
    return true;
}

static s32 precedence(u32 verdict) { return (s32)(verdict & RET_ACTION); }

static struct call_view view(const struct trap_frame *f)
{
    return (struct call_view){
        { sizeof(struct seccomp_call), load },
        { FRAME_SYSCALL_NR(f), ARCH_AUDIT, FRAME_PC(f), { FRAME_ARG0(f), FRAME_ARG1(f), FRAME_ARG2(f), FRAME_ARG3(f), FRAME_ARG4(f), FRAME_ARG5(f) } },
    };
}

/* The strictest verdict, of those the newest filter's; whose it is, or NULL when it is the one that is there without. */
static u32 verdict_on(const struct seccomp *s, const struct call_view *v, const struct seccomp **ret_by)
{
    u32 least = RET_ALLOW;
    *ret_by = NULL;
    for (; s != NULL; s = s->older) {
        u32 r = cbpf_run(s->program, &v->d);
        if (precedence(r) < precedence(least)) {
            least = r;
            *ret_by = s;
        }
    }
    return least;
}

#define LOG_BURST 10u
#define LOG_PERIOD_NS (5 * NSEC_PER_SEC)

/* As Linux' audit without a daemon, and no more often than that. */
static void log_call(const struct task *t, const struct trap_frame *f, u32 sig, u32 verdict)
{
    static u64 period;
    static u32 lines;
    u64 now = now_ns() / LOG_PERIOD_NS;
    if (atomic_xchg(&period, now) != now)
        atomic_store(&lines, 0u);
    if (atomic_add(&lines, 1u) > LOG_BURST)
        return;
    klog(LOG_INFO, "audit: type=1326 uid=%u gid=%u pid=%u comm=\"%s\" sig=%u arch=%x syscall=%d ip=0x%lx code=0x%x", t->cred->uid, t->cred->gid,
         t->proc->pid, t->thread->name, sig, ARCH_AUDIT, FRAME_SYSCALL_NR(f), (unsigned long)FRAME_PC(f), verdict & RET_ACTION);
}

static struct ksiginfo sigsys(struct trap_frame *f, u32 verdict)
{
    struct ksiginfo i = { .signo = SIGSYS, .code = SYS_SECCOMP, .err = (s32)(verdict & RET_DATA) };
    i.sys.addr = FRAME_PC(f);
    i.sys.nr = FRAME_SYSCALL_NR(f);
    i.sys.arch = ARCH_AUDIT;
    FRAME_RESULT(f) = FRAME_SYSCALL_REG(f); /* the registers of before the call */
    return i;
}

static bool refuse(struct trap_frame *f, u64 err)
{
    FRAME_RESULT(f) = 0 - err;
    return false;
}

static bool kill(struct task *t, struct trap_frame *f, u32 verdict)
{
    log_call(t, f, SIGSYS, verdict);
    if ((verdict & RET_ACTION) == RET_KILL_THREAD && atomic_load_relaxed(&t->proc->ntasks) > 1)
        task_end(0, SIGSYS);
    struct ksiginfo i = sigsys(f, verdict);
    signal_end(f, &i);
    return false;
}

/* `asked`: the tracer has been, and may have made another call of it. */
static bool allowed(struct task *t, struct trap_frame *f, bool asked)
{
    const struct call_view v = view(f);
    const struct seccomp *by;
    u32 verdict = verdict_on(atomic_load(&t->seccomp), &v, &by), action = verdict & RET_ACTION, data = verdict & RET_DATA;
    if (action == RET_LOG || (by != NULL && by->log && (action == RET_TRAP || action == RET_ERRNO || action == RET_TRACE || action == RET_USER_NOTIF)))
        log_call(t, f, 0, verdict);
    switch (action) {
    case RET_ALLOW:
    case RET_LOG:
        return true;
    case RET_TRACE:
        if (asked)
            return true;
        if (!task_traced(t) || !ptrace_event(t, PTRACE_EVENT_SECCOMP, data))
            return refuse(f, ENOSYS);
        return !task_must_end(t->proc) && FRAME_SYSCALL_NR(f) >= 0 && allowed(t, f, true);
    case RET_ERRNO:
        return refuse(f, MIN(data, MAX_ERRNO));
    case RET_USER_NOTIF:
        return by->listener != NULL ? seccomp_ask(by->listener, f, &v.call) : refuse(f, ENOSYS);
    case RET_TRAP: {
        struct ksiginfo i = sigsys(f, verdict);
        signal_force(t, &i);
        return false;
    }
    default: /* RET_KILL_PROCESS, and what is unknown */
        return kill(t, f, verdict);
    }
}

bool seccomp_allows(struct task *t, struct trap_frame *f)
{
    u32 nr = (u32)FRAME_SYSCALL_NR(f);
    if (mode_of(atomic_load(&t->seccomp)) != MODE_STRICT)
        return allowed(t, f, false);
    if (nr == NR_read || nr == NR_write || nr == NR_exit || nr == NR_rt_sigreturn)
        return true;
    log_call(t, f, SIGKILL, RET_KILL_THREAD);
    task_end(0, SIGKILL);
}

/* --- seccomp(2) -------------------------------------------------------------------------------- */

/* What Linux leaves of classic BPF here. */
static bool insn_ok(const struct cbpf_insn *i)
{
    u32 class = CBPF_CLASS(i->code), mode = CBPF_MODE(i->code);
    if (class == CBPF_LD && mode == CBPF_ABS)
        return (i->code & 0x18) == 0 && i->k % 4 == 0 && i->k < sizeof(struct seccomp_call);
    if (class == CBPF_LD || class == CBPF_LDX)
        return mode == CBPF_IMM || mode == CBPF_MEM || mode == CBPF_LEN;
    return class != CBPF_ALU || CBPF_OP(i->code) != CBPF_MOD;
}

static bool may_become(const struct task *t, u32 mode) { return t->seccomp == NULL || mode_of(t->seccomp) == mode; }

static bool part_of(const struct seccomp *part, const struct seccomp *chain)
{
    while (chain != NULL && chain != part)
        chain = chain->older;
    return part == chain;
}

/* A thread whose filters are not among t's, or 0. process->lock held. */
static u32 apart_locked(const struct task *t)
{
    list_for_each(o, &t->proc->tasks, struct task, proc_node)
        if (o != t && !part_of(o->seccomp, t->seccomp))
            return o->tid;
    return 0;
}

static s64 attach(struct task *t, struct seccomp *s, u32 flags)
{
    struct process *p = t->proc;
    spin_lock_bh(&p->lock);
    u32 apart = flags & FLAG_TSYNC ? apart_locked(t) : 0;
    bool ok = apart == 0 && s->older == t->seccomp; /* another thread may have given it one meanwhile */
    struct seccomp *old = t->seccomp;
    if (ok) {
        atomic_store(&t->seccomp, s);
        if (flags & FLAG_TSYNC)
            list_for_each(o, &p->tasks, struct task, proc_node)
                if (o != t)
                    seccomp_inherit_locked(o, t);
    }
    spin_unlock_bh(&p->lock);
    if (!ok)
        s->listener = NULL; /* its caller's still */
    seccomp_put(ok ? old : s);
    return ok ? 0 : apart == 0 ? -EAGAIN : flags & FLAG_TSYNC_ESRCH ? -ESRCH : (s64)apart;
}

static s64 set_strict(void)
{
    struct task *t = current_task();
    if (!may_become(t, MODE_STRICT))
        return -EINVAL;
    struct seccomp *s = chain_add(NULL, NULL, NULL, false);
    s64 r = s != NULL ? attach(t, s, 0) : -ENOMEM;
    return r == -EAGAIN ? -EINVAL : r; /* another thread gave it a filter meanwhile */
}

static bool has_listener(const struct seccomp *s)
{
    while (s != NULL && !seccomp_heard(s->listener))
        s = s->older;
    return s != NULL;
}

/* Takes over the listener, but not when it fails. */
static s64 add_filter(struct task *t, u32 flags, struct cbpf_program *program, struct seccomp_listener *listener)
{
    s64 r;
    do {
        struct seccomp *older = t->seccomp;
        if (!may_become(t, MODE_FILTER))
            return -EINVAL;
        if (listener != NULL && has_listener(older))
            return -EBUSY;
        if ((older != NULL ? older->cost : 0) + program->len > CHAIN_INSNS)
            return -ENOMEM;
        struct seccomp *s = chain_add(older, program, listener, (flags & FLAG_LOG) != 0);
        if (s == NULL)
            return -ENOMEM;
        ref_get(&program->refs);
        r = attach(t, s, flags);
    } while (r == -EAGAIN);
    return r;
}

static s64 add_listened(struct task *t, u32 flags, struct cbpf_program *program)
{
    struct seccomp_listener *l;
    struct file *file;
    int fd = fd_reserve(current_files(), 0, true);
    if (fd < 0)
        return fd;
    s64 r = seccomp_listen((flags & FLAG_WAIT_KILLABLE_RECV) != 0, &l, &file);
    if (r == 0) {
        r = add_filter(t, flags, program, l);
        if (r == 0) {
            fd_publish(current_files(), fd, file);
            return fd;
        }
        seccomp_unlisten(l);
        file_put(file);
    }
    fd_unreserve(current_files(), fd);
    return r;
}

static s64 set_filter(u32 flags, uaddr_t uprogram)
{
    struct task *t = current_task();
    struct { u16 len; u64 insn; } fprog;
    struct cbpf_program *program;
    if (flags & ~(FLAG_TSYNC | FLAG_LOG | FLAG_SPEC_ALLOW | FLAG_NEW_LISTENER | FLAG_TSYNC_ESRCH | FLAG_WAIT_KILLABLE_RECV))
        return -EINVAL;
    if (flags & FLAG_NEW_LISTENER ? (flags & (FLAG_TSYNC | FLAG_TSYNC_ESRCH)) == FLAG_TSYNC : (flags & FLAG_WAIT_KILLABLE_RECV) != 0)
        return -EINVAL;
    if (copy_from_user(&fprog, uprogram, sizeof fprog) < 0)
        return -EFAULT;
    if (fprog.len == 0 || fprog.len > BPF_MAXINSNS)
        return -EINVAL;
    if (!t->no_new_privs && !capable(CAP_SYS_ADMIN))
        return -EACCES;
    s64 r = cbpf_create(fprog.insn, fprog.len, insn_ok, &program);
    if (r < 0)
        return r;
    r = flags & FLAG_NEW_LISTENER ? add_listened(t, flags, program) : add_filter(t, flags, program, NULL);
    cbpf_put(program);
    return r;
}

static s64 action_avail(uaddr_t uaction)
{
    static const u32 known[] = { RET_KILL_PROCESS, RET_KILL_THREAD, RET_TRAP, RET_ERRNO, RET_USER_NOTIF, RET_TRACE, RET_LOG, RET_ALLOW };
    u32 action;
    if (get_user_u32(uaction, &action) < 0)
        return -EFAULT;
    for (unsigned i = 0; i < ARRAY_SIZE(known); i++)
        if (known[i] == action)
            return 0;
    return -EOPNOTSUPP;
}

s64 sys_seccomp(u32 op, u32 flags, uaddr_t arg)
{
    switch (op) {
    case SET_MODE_STRICT:
        return flags != 0 || arg != 0 ? -EINVAL : set_strict();
    case SET_MODE_FILTER:
        return set_filter(flags, arg);
    case GET_ACTION_AVAIL:
        return flags != 0 ? -EINVAL : action_avail(arg);
    case GET_NOTIF_SIZES:
        return flags != 0 ? -EINVAL : copy_to_user(arg, seccomp_notif_sizes, sizeof seccomp_notif_sizes);
    default:
        return -EINVAL;
    }
}

static size_t show_actions(void *arg, char *buf, size_t size)
{
    return (size_t)fmt_snprintf(buf, size, "kill_process kill_thread trap errno user_notif trace log allow\n");
}

void seccomp_init(void) { proc_add("sys/kernel/seccomp/actions_avail", 0444, show_actions, NULL); }

s64 seccomp_prctl(bool set, u64 mode, uaddr_t program)
{
    if (!set)
        return mode_of(current_task()->seccomp);
    return mode == MODE_STRICT ? set_strict() : mode == MODE_FILTER ? set_filter(0, program) : -EINVAL;
}
