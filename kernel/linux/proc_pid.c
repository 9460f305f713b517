/* SPDX-License-Identifier: Apache-2.0 */
/* /proc/PID (proc(5)): what the processes look like from outside. procfs asks through proc_pid_ops. */
#include "ptrace.h"
#include "seccomp_impl.h"
#include "base/fmt.h"
#include "base/str.h"

static bool exists(u32 pid)
{
    struct process *p = process_find(pid);
    process_put(p);
    return p != NULL;
}

static u32 next_pid(u32 after)
{
    u32 best = 0;
    spin_lock_bh(&process_list_lock);
    list_for_each(p, &process_list, struct process, all_node)
        if (p->pid > after && (best == 0 || p->pid < best))
            best = p->pid;
    spin_unlock_bh(&process_list_lock);
    return best;
}

static u32 self(void)
{
    struct task *t = current_thread()->task;
    return t != NULL ? t->proc->pid : 0;
}

static u32 thread_self(void)
{
    struct task *t = current_thread()->task;
    return t != NULL ? t->tid : 0;
}

static u32 next_tid(u32 pid, u32 after)
{
    u32 best = 0;
    struct process *p = process_find(pid);
    if (p == NULL)
        return 0;
    spin_lock_bh(&p->lock);
    list_for_each(t, &p->tasks, struct task, proc_node)
        if (t->tid > after && (best == 0 || t->tid < best))
            best = t->tid;
    if (list_empty(&p->tasks) && pid > after)
        best = pid; /* a zombie: its leader is left */
    spin_unlock_bh(&p->lock);
    process_put(p);
    return best;
}

/* The task named by (pid, tid), tid 0 = the first that still runs, or the leader of a zombie. Referenced. */
static struct task *find(u32 pid, u32 tid)
{
    struct task *found = NULL;
    struct process *p = process_find(pid);
    if (p == NULL)
        return NULL;
    spin_lock_bh(&p->lock);
    list_for_each(t, &p->tasks, struct task, proc_node)
        if (tid == 0 || t->tid == tid) {
            found = task_get(t);
            break;
        }
    if (found == NULL && (tid == 0 || tid == pid))
        found = task_get(p->leader);
    spin_unlock_bh(&p->lock);
    process_put(p);
    return found;
}

static void owner(u32 pid, u32 mode, u32 *ret_uid, u32 *ret_gid)
{
    struct task *t = find(pid, 0);
    struct cred *c = t != NULL ? task_cred(t) : NULL;
    bool own = c != NULL && (t->proc->dumpable || mode == (S_IFDIR | 0555)); /* else root's: proc(5) */
    *ret_uid = own ? c->euid : 0;
    *ret_gid = own ? c->egid : 0;
    cred_put(c);
    task_put(t);
}

/* --- contents ------------------------------------------------------------------------------- */

static char task_state(const struct task *t)
{
    spin_lock_bh(&process_list_lock);
    char state = task_state_locked(t);
    spin_unlock_bh(&process_list_lock);
    return state;
}

char task_state_locked(const struct task *t)
{
    if (t->proc->state != PROC_LIVE || t->thread->state == THREAD_DEAD)
        return 'Z';
    if (ptrace_is_stopped_locked(t))
        return 't';
    if (t->proc->stopped)
        return 'T';
    switch (t->thread->state) {
    case THREAD_READY:
    case THREAD_RUNNING:
    case THREAD_NEW:
        return 'R';
    default:
        return (t->thread->interruptible & EXIT_SIGNAL) != 0 ? 'S' : 'D';
    }
}

static u32 umask_of(struct task *t)
{
    struct fs_ctx *fs = task_fs(t);
    u32 mask = fs != NULL ? fs->umask : 0;
    fs_ctx_put(fs);
    return mask;
}

static u64 rss_pages(const struct addrspace *as) { return as->rss_anon + as->rss_file; }

static void handlers(struct process *p, u64 *ret_ignored, u64 *ret_caught)
{
    *ret_ignored = *ret_caught = 0;
    spin_lock_bh(&p->lock);
    for (int i = 0; i < NSIG; i++) {
        if (p->sighand->act[i].handler == SIG_IGN)
            *ret_ignored |= 1ULL << i;
        else if (p->sighand->act[i].handler != SIG_DFL)
            *ret_caught |= 1ULL << i;
    }
    spin_unlock_bh(&p->lock);
}

static void show_stat(struct text *x, struct task *t, const struct addrspace *as, bool whole)
{
    struct process *p = t->proc;
    struct usage u;
    u64 ignored, caught, tick = NSEC_PER_SEC / USER_HZ, tty = 0;
    u32 foreground = 0;
    handlers(p, &ignored, &caught);
    process_usage(p, &u);
    int tpgid = !p->no_tty && tty_of_session(p->sid, &tty, &foreground) ? (int)foreground : -1;
    text_add(x, "%u (%s) %c %u %u %u %lu %d 4194304 %lu %lu %lu %lu ", whole ? p->pid : t->tid, t->thread->name, task_state(t),
        p->ppid, p->pgid, p->sid, (unsigned long)((DEV_MINOR(tty) & 0xff) | DEV_MAJOR(tty) << 8 | (DEV_MINOR(tty) & ~0xffu) << 12), tpgid, (unsigned long)u.minor_faults, (unsigned long)p->waited.minor_faults,
        (unsigned long)u.major_faults, (unsigned long)p->waited.major_faults);
    const struct usage one = task_usage(t);
    u64 ticks[4];
    usage_ticks(whole ? &u : &one, &p->waited, ticks);
    text_add(x, "%lu %lu %lu %lu %d %d %u 0 ", (unsigned long)ticks[0], (unsigned long)ticks[1], (unsigned long)ticks[2], (unsigned long)ticks[3],
        t->thread->rt_prio != 0 ? -1 - t->thread->rt_prio : 20 + t->thread->nice, t->thread->nice, p->ntasks);
    text_add(x, "%lu %lu %lu %lu ", (unsigned long)(p->start_ns / tick), (unsigned long)(as != NULL ? as->total_pages * PAGE_SIZE : 0),
        (unsigned long)(as != NULL ? rss_pages(as) : 0), (unsigned long)rlimit_of(p, RLIMIT_RSS));
    text_add(x, "0 0 %lu 0 0 %lu %lu %lu %lu 0 0 0 %u %u %u %u 0 0 0 ", (unsigned long)(as != NULL ? as->stack_start : 0),
        (unsigned long)(t->pending.set & 0x7fffffff), (unsigned long)(t->blocked & 0x7fffffff), (unsigned long)(ignored & 0x7fffffff),
        (unsigned long)(caught & 0x7fffffff), p->parent_signal, t->thread->cpu, t->thread->rt_prio, t->thread->policy);
    if (as != NULL)
        text_add(x, "0 0 %lu %lu %lu %lu %lu 0\n", (unsigned long)as->brk_start, (unsigned long)as->arg_start, (unsigned long)as->arg_end,
            (unsigned long)as->env_start, (unsigned long)as->env_end);
    else
        text_add(x, "0 0 0 0 0 0 0 0\n");
}

/* As bits, and as a list of ranges. */
static void show_cpus(struct text *x, u64 affinity)
{
    unsigned cpus = plat_cpu_count();
    u64 mask = affinity & (cpus >= 64 ? ~0ULL : (1ULL << cpus) - 1);
    text_add(x, "Cpus_allowed:\t%lx\nCpus_allowed_list:\t", (unsigned long)mask);
    const char *comma = "";
    for (unsigned i = 0; i < cpus; i++) {
        unsigned first = i;
        if (!(mask >> i & 1))
            continue;
        while (i + 1 < cpus && (mask >> (i + 1) & 1))
            i++;
        text_add(x, i > first ? "%s%u-%u" : "%s%u", comma, first, i);
        comma = ",";
    }
    text_add(x, "\nMems_allowed_list:\t0\n");
}

static void show_status(struct text *x, struct task *t, const struct addrspace *as)
{
    static const char *const states[] = {"R (running)", "S (sleeping)", "D (disk sleep)", "T (stopped)", "t (tracing stop)", "Z (zombie)"};
    struct process *p = t->proc;
    struct cred *c = task_cred(t);
    char st = task_state(t);
    u64 ignored, caught;
    handlers(p, &ignored, &caught);
    text_add(x, "Name:\t%s\nUmask:\t%04o\nState:\t%s\n", t->thread->name, umask_of(t),
        states[st == 'R' ? 0 : st == 'S' ? 1 : st == 'D' ? 2 : st == 'T' ? 3 : st == 't' ? 4 : 5]);
    text_add(x, "Tgid:\t%u\nNgid:\t0\nPid:\t%u\nPPid:\t%u\nTracerPid:\t%u\n", p->pid, t->tid, p->ppid, ptrace_tracer_pid(t));
    text_add(x, "Uid:\t%u\t%u\t%u\t%u\nGid:\t%u\t%u\t%u\t%u\n", c->uid, c->euid, c->suid, c->fsuid, c->gid, c->egid, c->sgid, c->fsgid);
    text_add(x, "FDSize:\t64\nGroups:\t");
    for (u32 i = 0; i < c->ngroups; i++)
        text_add(x, "%u ", c->groups[i]);
    text_add(x, "\n");
    if (as != NULL) {
        unsigned long kb = PAGE_SIZE / 1024, rss = rss_pages(as) * kb;
        text_add(x, "VmPeak:\t%8lu kB\nVmSize:\t%8lu kB\nVmLck:\t%8lu kB\nVmPin:\t       0 kB\nVmHWM:\t%8lu kB\nVmRSS:\t%8lu kB\n",
            (unsigned long)as->total_pages * kb, (unsigned long)as->total_pages * kb, (unsigned long)as->locked_pages * kb,
            MAX((unsigned long)as->hiwater_rss * kb, rss), rss);
        text_add(x, "RssAnon:\t%8lu kB\nRssFile:\t%8lu kB\nRssShmem:\t       0 kB\nVmData:\t%8lu kB\nVmStk:\t%8lu kB\nVmSwap:\t       0 kB\n",
            (unsigned long)as->rss_anon * kb, (unsigned long)as->rss_file * kb, (unsigned long)as->data_pages * kb,
            (unsigned long)as->stack_pages * kb);
    }
    text_add(x, "Threads:\t%u\nSigQ:\t%u/%lu\n", p->ntasks, p->queued_signals, (unsigned long)rlimit_of(p, RLIMIT_SIGPENDING));
    text_add(x, "SigPnd:\t%016lx\nShdPnd:\t%016lx\nSigBlk:\t%016lx\nSigIgn:\t%016lx\nSigCgt:\t%016lx\n", (unsigned long)t->pending.set,
        (unsigned long)p->pending.set, (unsigned long)t->blocked, (unsigned long)ignored, (unsigned long)caught);
    text_add(x, "CapInh:\t%016lx\nCapPrm:\t%016lx\nCapEff:\t%016lx\nCapBnd:\t%016lx\nCapAmb:\t%016lx\n", (unsigned long)c->cap_inheritable,
        (unsigned long)c->cap_permitted, (unsigned long)c->cap_effective, (unsigned long)c->cap_bounding, (unsigned long)c->cap_ambient);
    u32 filters, seccomp = seccomp_mode(t, &filters);
    text_add(x, "NoNewPrivs:\t%d\nSeccomp:\t%u\nSeccomp_filters:\t%u\n", t->no_new_privs, seccomp, filters);
    show_cpus(x, t->thread->affinity);
    text_add(x, "voluntary_ctxt_switches:\t%lu\nnonvoluntary_ctxt_switches:\t%lu\n", (unsigned long)t->thread->switches_voluntary,
        (unsigned long)t->thread->switches_forced);
    cred_put(c);
}

static void show_usage(struct text *x, const struct vma_usage *u, u64 locked_bytes)
{
    const unsigned long kb = PAGE_SIZE / 1024;
    u64 all = u->pages[0][0] + u->pages[0][1] + u->pages[1][0] + u->pages[1][1];
    const struct {
        const char *name;
        unsigned long kb;
    } lines[] = {
        {"Rss", all * kb}, {"Pss", u->pss_bytes / 1024}, {"Shared_Clean", u->pages[1][0] * kb}, {"Shared_Dirty", u->pages[1][1] * kb},
        {"Private_Clean", u->pages[0][0] * kb}, {"Private_Dirty", u->pages[0][1] * kb}, {"Referenced", all * kb}, {"Anonymous", u->anonymous * kb},
        {"AnonHugePages", 0}, {"Swap", 0}, {"SwapPss", 0}, {"Locked", locked_bytes / 1024},
    };
    for (unsigned i = 0; i < ARRAY_SIZE(lines); i++)
        text_add(x, "%s:%*s%8lu kB\n", lines[i].name, (int)(15 - strlen(lines[i].name)), "", lines[i].kb);
}

static void show_rollup(struct text *x, struct addrspace *as)
{
    struct vma_usage u = {0};
    u64 locked_bytes = 0;
    rwmutex_read_lock(&as->lock);
    struct vma *v = as_first(as), *last = v;
    for (; v != NULL; v = as_next(v)) {
        u64 before = u.pss_bytes;
        vma_add_usage(v, &u);
        locked_bytes += v->flags & VMA_LOCKED ? u.pss_bytes - before : 0;
        last = v;
    }
    text_add(x, "%08lx-%08lx ---p 00000000 00:00 0 %*s[rollup]\n", (unsigned long)(last != NULL ? as_first(as)->start : 0),
        (unsigned long)(last != NULL ? last->end : 0), 25, "");
    rwmutex_read_unlock(&as->lock);
    show_usage(x, &u, locked_bytes);
}

/* proc_pid_smaps(5), VmFlags; in the order of Linux's bits */
static void show_vm_flags(struct text *x, const struct vma *v)
{
    bool shared = v->flags & VMA_SHARED, may_write = !shared || (v->flags & VMA_MAYWRITE);
    const struct {
        char name[4];
        bool on;
    } flags[] = {
        {"rd", v->prot & MAP_READ}, {"wr", v->prot & MAP_WRITE}, {"ex", v->prot & MAP_EXEC}, {"sh", shared && may_write}, {"mr", true}, {"mw", may_write},
        {"me", true}, {"ms", shared}, {"gd", v->flags & VMA_GROWSDOWN}, {"lo", v->flags & VMA_LOCKED}, {"dc", v->flags & VMA_DONTFORK},
        {"de", v->flags & VMA_SPECIAL}, {"lf", v->flags & VMA_ONFAULT},
        {"ac", (v->prot & MAP_WRITE) && !(v->flags & (VMA_SHARED | VMA_NORESERVE))}, {"nr", v->flags & VMA_NORESERVE},
        {"wf", v->flags & VMA_WIPEONFORK}, {"dd", v->flags & VMA_DONTDUMP}, {"hg", v->flags & VMA_HUGE}, {"nh", v->flags & VMA_NOHUGE},
    };
    text_add(x, "VmFlags: ");
    for (unsigned i = 0; i < ARRAY_SIZE(flags); i++)
        if (flags[i].on)
            text_add(x, "%s ", flags[i].name);
    text_add(x, "\n");
}

static void show_maps(struct text *x, struct addrspace *as, bool smaps)
{
    char name[256];
    rwmutex_read_lock(&as->lock);
    for (struct vma *v = as_first(as); v != NULL; v = as_next(v)) {
        u64 dev = 0, ino = 0;
        name[0] = '\0';
        if (v->ops != NULL && v->ops->describe != NULL)
            v->ops->describe(v, name, sizeof name, &dev, &ino);
        else if (v->flags & VMA_STACK)
            str_copy(name, "[stack]", sizeof name);
        else if (v->flags & VMA_HEAP)
            str_copy(name, "[heap]", sizeof name);
        size_t start = x->len;
        text_add(x, "%08lx-%08lx %c%c%c%c %08lx %02x:%02x %lu ", (unsigned long)v->start, (unsigned long)v->end,
            v->prot & MAP_READ ? 'r' : '-', v->prot & MAP_WRITE ? 'w' : '-', v->prot & MAP_EXEC ? 'x' : '-',
            v->flags & VMA_SHARED ? 's' : 'p', (unsigned long)(v->mapping != NULL || v->ops != NULL ? v->pgoff << PAGE_SHIFT : 0),
            DEV_MAJOR(dev), DEV_MINOR(dev), (unsigned long)ino);
        if (name[0] != '\0')
            text_add(x, "%*s%s", (int)(x->len - start < 73 ? 73 - (x->len - start) : 0), "", name);
        text_add(x, "\n");
        if (smaps) {
            struct vma_usage u = {0};
            vma_add_usage(v, &u);
            text_add(x, "Size:           %8lu kB\nKernelPageSize:        4 kB\nMMUPageSize:           4 kB\n", (unsigned long)(v->end - v->start) / 1024);
            show_usage(x, &u, v->flags & VMA_LOCKED ? u.pss_bytes : 0);
            show_vm_flags(x, v);
        }
        cond_resched();
    }
    rwmutex_read_unlock(&as->lock);
}

/* Bytes of the program's own memory: cmdline, environ. */
static void show_memory(struct text *x, struct addrspace *as, uaddr_t start, uaddr_t end)
{
    u64 len = end > start ? end - start : 0;
    if (x->len < x->size && len != 0) {
        u64 n = MIN(len, x->size - x->len);
        s64 got = as_copy(as, start, x->buf + x->len, n, false);
        if (got < (s64)n)
            len = got > 0 ? (u64)got : 0;
    }
    x->len += len;
}

static const struct {
    char name[24], unit[12];
} limit_names[RLIMIT_NR] = {
    {"Max cpu time", "seconds"}, {"Max file size", "bytes"}, {"Max data size", "bytes"}, {"Max stack size", "bytes"},
    {"Max core file size", "bytes"}, {"Max resident set", "bytes"}, {"Max processes", "processes"}, {"Max open files", "files"},
    {"Max locked memory", "bytes"}, {"Max address space", "bytes"}, {"Max file locks", "locks"}, {"Max pending signals", "signals"},
    {"Max msgqueue size", "bytes"}, {"Max nice priority", ""}, {"Max realtime priority", ""}, {"Max realtime timeout", "us"},
};

static void show_limits(struct text *x, struct task *t)
{
    text_add(x, "%-26s%-21s%-21s%-10s\n", "Limit", "Soft Limit", "Hard Limit", "Units");
    for (unsigned i = 0; i < RLIMIT_NR; i++) {
        char s[2][24];
        const struct krlimit *l = &t->proc->rlimits[i];
        u64 v[2] = {l->soft, l->hard};
        for (int k = 0; k < 2; k++) {
            if (v[k] == RLIM_INFINITY)
                str_copy(s[k], "unlimited", sizeof s[k]);
            else
                fmt_snprintf(s[k], sizeof s[k], "%lu", (unsigned long)v[k]);
        }
        text_add(x, "%-26s%-21s%-21s%-10s\n", limit_names[i].name, s[0], s[1], limit_names[i].unit);
    }
}

static void show_io(struct text *x, struct task *t, bool whole)
{
    static const char *const of[IO_NR] = {"rchar", "wchar", "syscr", "syscw", "read_bytes", "write_bytes", "cancelled_write_bytes"};
    struct process *p = t->proc;
    struct usage u = task_usage(t);
    if (whole) {
        process_usage(p, &u);
        spin_lock_bh(&p->lock);
        usage_add(&u, &p->waited);
        spin_unlock_bh(&p->lock);
    }
    for (unsigned i = 0; i < IO_NR; i++)
        text_add(x, "%s: %lu\n", of[i], (unsigned long)u.io[i]);
}

enum entry {
    E_STAT, E_STATUS, E_STATM, E_MAPS, E_SMAPS, E_SMAPS_ROLLUP, E_CMDLINE, E_ENVIRON, E_COMM, E_LIMITS, E_AUXV, E_IO, E_OOM_ADJ,
    E_OOM_SCORE, E_OOM_SCORE_ADJ, E_CGROUP, E_MOUNTS, E_MOUNTINFO, E_PERSONALITY, E_SCHEDSTAT, E_WCHAN, E_LOGINUID, E_SESSIONID,
    E_SETGROUPS, E_UID_MAP, E_GID_MAP, E_TIMERSLACK, E_NR
};
static const char *const names[E_NR + 1] = {
    "stat", "status", "statm", "maps", "smaps", "smaps_rollup", "cmdline", "environ", "comm", "limits", "auxv", "io", "oom_adj",
    "oom_score", "oom_score_adj", "cgroup", "mounts", "mountinfo", "personality", "schedstat", "wchan", "loginuid", "sessionid",
    "setgroups", "uid_map", "gid_map", "timerslack_ns", NULL
};

static int entry_of(const char *name)
{
    for (int i = 0; i < E_NR; i++)
        if (strcmp(names[i], name) == 0)
            return i;
    return -1;
}

static size_t show(u32 pid, u32 tid, const char *name, char *buf, size_t size)
{
    struct text x = {buf, size, 0};
    struct task *t = find(pid, tid);
    if (t == NULL)
        return 0;
    struct process *p = t->proc;
    struct addrspace *as = task_as(t);
    switch (entry_of(name)) {
    case E_STAT:
        show_stat(&x, t, as, tid == 0);
        break;
    case E_STATUS:
        show_status(&x, t, as);
        break;
    case E_STATM:
        if (as != NULL)
            text_add(&x, "%lu %lu %lu 0 0 %lu 0\n", (unsigned long)as->total_pages, (unsigned long)rss_pages(as),
                (unsigned long)as->rss_file, (unsigned long)(as->data_pages + as->stack_pages));
        break;
    case E_MAPS:
        if (as != NULL)
            show_maps(&x, as, false);
        break;
    case E_SMAPS:
        if (as != NULL)
            show_maps(&x, as, true);
        break;
    case E_SMAPS_ROLLUP:
        if (as != NULL)
            show_rollup(&x, as);
        break;
    case E_CMDLINE:
        if (as != NULL)
            show_memory(&x, as, as->arg_start, as->arg_end);
        break;
    case E_ENVIRON:
        if (as != NULL && process_access(p, false))
            show_memory(&x, as, as->env_start, as->env_end);
        break;
    case E_COMM:
        text_add(&x, "%s\n", t->thread->name);
        break;
    case E_LIMITS:
        show_limits(&x, t);
        break;
    case E_AUXV:
        x.len = p->auxv_words * sizeof(u64);
        memcpy(buf, p->auxv, MIN(x.len, size));
        break;
    case E_IO:
        if (process_access(p, false))
            show_io(&x, t, tid == 0);
        break;
    case E_OOM_ADJ:
        text_add(&x, "%d\n", oom_old_adj(p->oom_score_adj));
        break;
    case E_OOM_SCORE:
        text_add(&x, "%u\n", oom_score(p));
        break;
    case E_OOM_SCORE_ADJ:
        text_add(&x, "%d\n", p->oom_score_adj);
        break;
    case E_CGROUP:
        text_add(&x, "0::/\n");
        break;
    case E_MOUNTS:
    case E_MOUNTINFO: {
        struct fs_ctx *fs = task_fs(t);
        if (fs != NULL)
            x.len = vfs_show_mounts(fs, entry_of(name) == E_MOUNTINFO, buf, size);
        fs_ctx_put(fs);
        break;
    }
    case E_PERSONALITY:
        text_add(&x, "%08x\n", p->personality);
        break;
    case E_SCHEDSTAT:
        text_add(&x, "%lu 0 %lu\n", (unsigned long)thread_cpu_ns(t->thread), (unsigned long)t->thread->switches_voluntary);
        break;
    case E_WCHAN:
        text_add(&x, "%s", t->thread->wait_reason != NULL ? t->thread->wait_reason : "0");
        break;
    case E_LOGINUID:
        text_add(&x, "%u", atomic_load_relaxed(&t->loginuid));
        break;
    case E_SESSIONID:
        text_add(&x, "%u", atomic_load_relaxed(&t->sessionid));
        break;
    case E_SETGROUPS:
        text_add(&x, "allow\n");
        break;
    case E_UID_MAP:
    case E_GID_MAP:
        text_add(&x, "         0          0 4294967295\n");
        break;
    case E_TIMERSLACK:
        text_add(&x, "%lu\n", (unsigned long)t->timer_slack_ns);
        break;
    default:
        break;
    }
    addrspace_put(as);
    task_put(t);
    return x.len;
}

/* --- links, descriptors, memory ----------------------------------------------------------------- */

static int link(u32 pid, const char *name, struct path *ret, char *buf, size_t size)
{
    struct task *t = find(pid, 0);
    int r = -ENOENT;
    if (t == NULL)
        return -ESRCH;
    if (!process_access(t->proc, false)) {
        task_put(t);
        return -EACCES;
    }
    struct fs_ctx *fs = task_fs(t);
    spin_lock_bh(&t->proc->lock);
    struct file *exe = t->proc->exe;
    if (exe != NULL && t->thread->as != NULL)
        file_get(exe);
    else
        exe = NULL;
    spin_unlock_bh(&t->proc->lock);
    if (strcmp(name, "exe") == 0 && exe != NULL) {
        *ret = exe->path;
        path_get(ret);
        r = 0;
    } else if (fs != NULL && (strcmp(name, "cwd") == 0 || strcmp(name, "root") == 0)) {
        mutex_lock(&fs->lock);
        *ret = name[0] == 'c' ? fs->cwd : fs->root;
        path_get(ret);
        mutex_unlock(&fs->lock);
        r = 0;
    } else if (fs != NULL && strcmp(name, "net") == 0) { /* one network for all */
        struct lookup l = {.fs = fs, .cred = &kernel_cred};
        r = vfs_lookup(&l, "/proc/net", 0, ret);
    }
    if (exe != NULL)
        file_put(exe);
    fs_ctx_put(fs);
    task_put(t);
    return r;
}

static int ns(u32 pid, const char *name, struct path *ret)
{
    struct task *t = find(pid, 0);
    int r = t == NULL ? -ESRCH : process_access(t->proc, false) ? proc_ns_path(name, ret) : -EACCES;
    task_put(t);
    return r;
}

size_t linux_show_maps(u32 pid, char *buf, size_t size)
{
    return show(pid, 0, "maps", buf, size);
}

static struct fdtable *fdtable_of(u32 pid)
{
    struct task *t = find(pid, 0);
    if (t == NULL)
        return NULL;
    struct fdtable *files = task_files(t);
    task_put(t);
    return files;
}

static s64 mem(u32 pid, u64 addr, void *buf, size_t len, bool write)
{
    struct task *t = find(pid, 0);
    if (t == NULL)
        return -ESRCH;
    struct addrspace *as = task_as(t);
    s64 r = as == NULL ? 0 : !process_access(t->proc, false) ? -EACCES : as_copy(as, addr, buf, len, write);
    addrspace_put(as);
    task_put(t);
    return r == -EFAULT ? -EIO : r;
}

static int store_slack(struct task *t, const char *word)
{
    u64 ns;
    if (str_to_u64(word, &ns) != 0)
        return -EINVAL;
    if (t != current_task() && !capable(CAP_SYS_NICE))
        return -EPERM;
    atomic_store_relaxed(&t->timer_slack_ns, ns == 0 ? TIMER_SLACK_NS : ns);
    return 0;
}

/* What a login (pam_loginuid) says of itself: anybody once, then with CAP_AUDIT_CONTROL. */
static int store_loginuid(struct task *t, const char *word)
{
    static u32 sessions;
    u64 uid;
    if (t != current_task())
        return -EPERM;
    int r = str_to_u64(word, &uid);
    if (r != 0)
        return r;
    if (uid > UINT32_MAX)
        return -ERANGE;
    if (t->loginuid != NOBODY_LOGGED_IN && !capable(CAP_AUDIT_CONTROL))
        return -EPERM;
    atomic_store_relaxed(&t->loginuid, (u32)uid);
    atomic_store_relaxed(&t->sessionid, uid == NOBODY_LOGGED_IN ? NOBODY_LOGGED_IN : atomic_add(&sessions, 1));
    return 0;
}

static int store(u32 pid, u32 tid, const char *name, const char *text, size_t len)
{
    struct task *t = find(pid, tid);
    int r = -EACCES;
    char word[32];
    if (t == NULL)
        return -ESRCH;
    str_copy(word, text, MIN(len + 1, sizeof word));
    for (size_t n = strlen(word); n > 0 && word[n - 1] == '\n';)
        word[--n] = '\0';
    switch (entry_of(name)) {
    case E_COMM:
        if (t->proc != current_process()) {
            r = -EINVAL;
            break;
        }
        str_copy(t->thread->name, word, sizeof t->thread->name);
        r = 0;
        break;
    case E_OOM_SCORE_ADJ:
    case E_OOM_ADJ:
        r = oom_adjust(t->proc, word, entry_of(name) == E_OOM_ADJ);
        break;
    case E_LOGINUID:
        r = store_loginuid(t, word);
        break;
    case E_TIMERSLACK:
        r = store_slack(t, word);
        break;
    default:
        break;
    }
    task_put(t);
    return r;
}

static const struct proc_pid_ops ops = {
    .exists = exists, .next_pid = next_pid, .self = self, .thread_self = thread_self, .next_tid = next_tid, .owner = owner,
    .show = show, .names = names, .link = link, .namespaces = proc_ns_names, .ns = ns, .fdtable = fdtable_of, .mem = mem, .store = store,
};

void proc_pid_init(void)
{
    proc_set_pid_ops(&ops);
}
