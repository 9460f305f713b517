/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers, limits and the odds and ends of a process. */
#include "seccomp_impl.h"
#include "base/str.h"

struct task *task_arg(int pid)
{
    return pid == 0 ? task_get(current_task()) : pid > 0 ? task_find((u32)pid) : NULL;
}

s64 sys_getpid(void) { return current_process()->pid; }
s64 sys_gettid(void) { return current_task()->tid; }
s64 sys_getppid(void) { return atomic_load_relaxed(&current_process()->ppid); }

/* --- limits --------------------------------------------------------------------------- */

/* Where a limit is looked at: descriptor tables and address spaces have copies of theirs. */
static void apply_limit(struct task *t, unsigned which, u64 v)
{
    struct addrspace *as = task_as(t);
    if (which == RLIMIT_NOFILE) {
        spin_lock_bh(&t->proc->lock);
        if (t->files != NULL)
            fdtable_set_limit(t->files, (u32)MIN(v, (u64)UINT32_MAX));
        spin_unlock_bh(&t->proc->lock);
    } else if (as != NULL && which == RLIMIT_AS) {
        as->limit_as_bytes = v;
    } else if (as != NULL && which == RLIMIT_DATA) {
        as->limit_data_bytes = v;
    } else if (as != NULL && which == RLIMIT_STACK) {
        as->limit_stack_bytes = v;
    } else if (as != NULL && which == RLIMIT_MEMLOCK) {
        as->limit_locked_bytes = cred_capable(t->cred, CAP_IPC_LOCK) ? UINT64_MAX : v;
    }
    addrspace_put(as);
}

/* prlimit(2): the ids must match, or CAP_SYS_RESOURCE. */
static bool may_limit(struct process *p)
{
    const struct cred *c = current_cred();
    if (p == current_process() || capable(CAP_SYS_RESOURCE))
        return true;
    spin_lock_bh(&p->lock);
    const struct cred *o = p->leader->cred;
    bool ok = c->uid == o->uid && c->uid == o->euid && c->uid == o->suid && c->gid == o->gid && c->gid == o->egid && c->gid == o->sgid;
    spin_unlock_bh(&p->lock);
    return ok;
}

static s64 change_limit(struct task *t, u32 which, const struct krlimit *new, struct krlimit *ret_old)
{
    struct process *p = t->proc;
    s64 r = 0;
    if (!may_limit(p))
        return -EPERM;
    if (which >= RLIMIT_NR || (new != NULL && new->soft > new->hard))
        return -EINVAL;
    if (new != NULL && which == RLIMIT_NOFILE && new->hard > atomic_load_relaxed(&nr_open))
        return -EPERM;
    spin_lock_bh(&p->lock);
    *ret_old = p->rlimits[which];
    if (new != NULL) {
        if (new->hard > ret_old->hard && !capable(CAP_SYS_RESOURCE))
            r = -EPERM;
        else
            p->rlimits[which] = *new;
    }
    spin_unlock_bh(&p->lock);
    if (r == 0 && new != NULL)
        apply_limit(t, which, new->soft);
    return r;
}

s64 sys_prlimit64(int pid, u32 which, uaddr_t unew, uaddr_t uold)
{
    struct krlimit new, old;
    if (unew != 0 && copy_from_user(&new, unew, sizeof new) < 0)
        return -EFAULT;
    struct task *t = task_arg(pid);
    if (t == NULL)
        return -ESRCH;
    s64 r = change_limit(t, which, unew != 0 ? &new : NULL, &old);
    task_put(t);
    if (r == 0 && uold != 0)
        r = copy_to_user(uold, &old, sizeof old);
    return r;
}

s64 sys_getrlimit(u32 which, uaddr_t ulim) { return which < RLIMIT_NR && ulim == 0 ? -EFAULT : sys_prlimit64(0, which, 0, ulim); }
s64 sys_setrlimit(u32 which, uaddr_t ulim) { return ulim == 0 ? -EFAULT : sys_prlimit64(0, which, ulim, 0); }

/* --- the machine --------------------------------------------------------------------------------------- */

struct abi_utsname { char sysname[65], nodename[65], release[65], version[65], machine[65], domainname[65]; };

s64 sys_uname(uaddr_t ubuf)
{
    struct abi_utsname u = {.sysname = "Linux", .release = LINUX_RELEASE, .version = "#1 SMP Drupe " DRUPE_VERSION};
    str_copy(u.nodename, uts_hostname, sizeof u.nodename);
    str_copy(u.machine, arch_platform_name, sizeof u.machine);
    str_copy(u.domainname, uts_domainname, sizeof u.domainname);
    return copy_to_user(ubuf, &u, sizeof u);
}

static s64 set_name(char name[65], uaddr_t uname, int len)
{
    char new[65] = {0};
    if (!capable(CAP_SYS_ADMIN))
        return -EPERM;
    if (len < 0 || len > 64)
        return -EINVAL;
    if (copy_from_user(new, uname, (size_t)len) < 0)
        return -EFAULT;
    spin_lock_bh(&process_list_lock);
    memcpy(name, new, sizeof new);
    spin_unlock_bh(&process_list_lock);
    return 0;
}
s64 sys_sethostname(uaddr_t name, int len) { return set_name(uts_hostname, name, len); }
s64 sys_setdomainname(uaddr_t name, int len) { return set_name(uts_domainname, name, len); }

struct abi_sysinfo {
    s64 uptime;
    u64 loads[3], totalram, freeram, sharedram, bufferram, totalswap, freeswap;
    u16 procs, pad;
    u64 totalhigh, freehigh;
    u32 mem_unit, tail;
};
_Static_assert(sizeof(struct abi_sysinfo) == 112, "struct sysinfo");

s64 sys_sysinfo(uaddr_t ubuf)
{
    struct mem_stats m;
    page_stats(&m);
    spin_lock_bh(&process_list_lock);
    u32 tasks = task_count_locked(NULL);
    spin_unlock_bh(&process_list_lock);
    struct abi_sysinfo s = {
        .uptime = (s64)(now_ns() / NSEC_PER_SEC), .totalram = m.total_pages * PAGE_SIZE, .freeram = m.free_pages * PAGE_SIZE,
        .procs = (u16)tasks, .mem_unit = 1,
    };
    load_averages(s.loads);
    return copy_to_user(ubuf, &s, sizeof s);
}

s64 sys_getrandom(uaddr_t buf, u64 len, u32 flags)
{
    struct uio u;
    if ((flags & ~7u) || (flags & 6) == 6)
        return -EINVAL;
    int err = uio_user(&u, buf, MIN(len, (u64)INT32_MAX));
    return err != 0 ? err : dev_random_read(NULL, &u, NULL);
}

s64 sys_syslog(int type, uaddr_t ubuf, int len)
{
    if (type != 3 && type != 10 && !capable(CAP_SYS_ADMIN))
        return -EPERM;
    if (type == 10)
        return 64 * 1024;
    if (type == 9 || (type >= 5 && type <= 8) || type == 0 || type == 1)
        return 0;
    if (type < 2 || type > 4 || len < 0)
        return -EINVAL;
    size_t size = MIN((size_t)len, (size_t)65536);
    char *buf = kmalloc(MAX(size, 1UL), 0);
    if (buf == NULL)
        return -ENOMEM;
    size_t n = log_read_tail(buf, size);
    s64 r = copy_to_user(ubuf, buf, n) < 0 ? -EFAULT : (s64)n;
    kfree(buf);
    return r;
}

s64 sys_reboot(int magic1, int magic2, u32 cmd, uaddr_t arg)
{
    if (!capable(CAP_SYS_BOOT))
        return -EPERM;
    if ((u32)magic1 != 0xfee1dead || (magic2 != 672274793 && magic2 != 85072278 && magic2 != 369367448 && magic2 != 537993216))
        return -EINVAL;
    if (cmd == 0x4321fedc || cmd == 0xcdef0123 || cmd == 0x01234567) { /* power off, halt, restart: the machine ends */
        vfs_sync_all();
        process_kill(first_process, 0, 0);
        return 0;
    }
    return cmd == 0 || cmd == 0x89abcdef ? 0 : -EINVAL; /* Ctrl-Alt-Del off, on */
}

s64 sys_vhangup(void) { return capable(26) ? 0 : -EPERM; }

s64 sys_getcpu(uaddr_t ucpu, uaddr_t unode, uaddr_t unused)
{
    u32 cpu = this_cpu()->cpu;
    if ((ucpu != 0 && put_user_u32(ucpu, cpu) < 0) || (unode != 0 && put_user_u32(unode, 0) < 0))
        return -EFAULT;
    return 0;
}

s64 sys_personality(u32 v)
{
    struct process *p = current_process();
    u32 old = p->personality;
    if (v != UINT32_MAX)
        p->personality = v;
    return old;
}

s64 sys_unshare(u64 flags)
{
    struct task *t = current_task();
    if (flags & ~(CLONE_FS | CLONE_FILES | CLONE_SYSVSEM | CLONE_THREAD | CLONE_VM | CLONE_SIGHAND))
        return -EINVAL; /* namespaces: none */
    if ((flags & (CLONE_THREAD | CLONE_VM | CLONE_SIGHAND)) && t->proc->ntasks > 1)
        return -EINVAL;
    if ((flags & CLONE_FS) && ref_count(&t->fs->refs) > 1) {
        struct fs_ctx *fs = fs_ctx_copy(t->fs), *old = t->fs;
        if (fs == NULL)
            return -ENOMEM;
        spin_lock_bh(&t->proc->lock);
        t->fs = fs;
        spin_unlock_bh(&t->proc->lock);
        fs_ctx_put(old);
    }
    if (flags & CLONE_FILES) {
        struct fdtable *files = fdtable_copy(t->files), *old = t->files;
        if (files == NULL)
            return -ENOMEM;
        spin_lock_bh(&t->proc->lock);
        t->files = files;
        spin_unlock_bh(&t->proc->lock);
        fdtable_put(old);
    }
    return 0;
}

/* --- prctl(2) --------------------------------------------------------------------------------------------- */

enum {
    PR_SET_PDEATHSIG = 1, PR_GET_PDEATHSIG, PR_GET_DUMPABLE, PR_SET_DUMPABLE, PR_GET_KEEPCAPS = 7, PR_SET_KEEPCAPS,
    PR_SET_NAME = 15, PR_GET_NAME, PR_GET_SECCOMP = 21, PR_SET_SECCOMP, PR_CAPBSET_READ, PR_CAPBSET_DROP,
    PR_GET_TSC = 25, PR_SET_TSC, PR_GET_SECUREBITS = 27, PR_SET_SECUREBITS, PR_SET_TIMERSLACK = 29, PR_GET_TIMERSLACK,
    PR_SET_CHILD_SUBREAPER = 36, PR_GET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS, PR_GET_NO_NEW_PRIVS, PR_GET_TID_ADDRESS,
    PR_SET_THP_DISABLE, PR_GET_THP_DISABLE, PR_CAP_AMBIENT = 47, PR_SET_VMA = 0x53564d41
};

static s64 cap_ambient(u64 op, u64 cap)
{
    const struct cred *old = current_cred();
    if (op == 4 ? cap != 0 : op < 1 || op > 3 || cap > CAP_LAST) /* 4: CLEAR_ALL */
        return -EINVAL;
    if (op == 1)
        return (s64)((old->cap_ambient >> cap) & 1);
    if (op == 2 && (!((old->cap_permitted & old->cap_inheritable) >> cap & 1) || (old->securebits & SECURE_NO_CAP_AMBIENT_RAISE)))
        return -EPERM;
    struct cred *c = cred_copy(old);
    if (c == NULL)
        return -ENOMEM;
    c->cap_ambient = op == 4 ? 0 : op == 2 ? c->cap_ambient | 1ULL << cap : c->cap_ambient & ~(1ULL << cap);
    task_set_cred(c);
    return 0;
}

static s64 set_securebits(u32 bits)
{
    struct cred *c = cred_copy(current_cred());
    if (c == NULL)
        return -ENOMEM;
    c->securebits = bits;
    task_set_cred(c);
    return 0;
}

s64 sys_prctl(int op, u64 a, u64 b, u64 c, u64 d)
{
    struct task *t = current_task();
    struct process *p = t->proc;
    char name[16];
    switch (op) {
    case PR_SET_PDEATHSIG:
        if (a > NSIG)
            return -EINVAL;
        t->pdeath_signal = (u32)a;
        return 0;
    case PR_GET_PDEATHSIG:
        return put_user_u32(a, t->pdeath_signal);
    case PR_GET_DUMPABLE:
        return p->dumpable;
    case PR_SET_DUMPABLE:
        if (a > 1)
            return -EINVAL;
        p->dumpable = a != 0;
        return 0;
    case PR_GET_KEEPCAPS:
        return (t->cred->securebits & SECURE_KEEP_CAPS) != 0;
    case PR_SET_KEEPCAPS:
        if (a > 1)
            return -EINVAL;
        if (t->cred->securebits & SECURE_KEEP_CAPS_LOCKED)
            return -EPERM;
        return set_securebits((t->cred->securebits & ~SECURE_KEEP_CAPS) | (a != 0 ? SECURE_KEEP_CAPS : 0));
    case PR_SET_NAME: {
        s64 n = copy_string_from_user(name, a, sizeof name);
        if (n < 0 && n != -ENAMETOOLONG)
            return n;
        if (n < 0 && copy_from_user(name, a, sizeof name - 1) < 0)
            return -EFAULT;
        name[15] = '\0';
        str_copy(t->thread->name, name, sizeof t->thread->name);
        return 0;
    }
    case PR_GET_NAME:
        memset(name, 0, sizeof name);
        str_copy(name, t->thread->name, sizeof name);
        return copy_to_user(a, name, sizeof name);
    case PR_GET_SECCOMP:
    case PR_SET_SECCOMP:
        return seccomp_prctl(op == PR_SET_SECCOMP, a, b);
    case PR_CAPBSET_READ:
        return a > CAP_LAST ? -EINVAL : (s64)((t->cred->cap_bounding >> a) & 1);
    case PR_CAPBSET_DROP: {
        if (!capable(CAP_SETPCAP))
            return -EPERM;
        if (a > CAP_LAST)
            return -EINVAL;
        struct cred *n = cred_copy(t->cred);
        if (n == NULL)
            return -ENOMEM;
        n->cap_bounding &= ~(1ULL << a);
        task_set_cred(n);
        return 0;
    }
    case PR_GET_TSC:
        return put_user_u32(a, 1);
    case PR_SET_TSC:
        return a == 1 ? 0 : -EINVAL;
    case PR_GET_SECUREBITS:
        return t->cred->securebits;
    case PR_SET_SECUREBITS: {
        u64 old = t->cred->securebits, locks = old & SECURE_ALL_LOCKS;
        if ((locks >> 1 & (old ^ a)) || (locks & ~a) || (a & ~(u64)(SECURE_ALL_LOCKS | SECURE_ALL_BITS)) || !capable(CAP_SETPCAP))
            return -EPERM;
        return set_securebits((u32)a);
    }
    case PR_SET_TIMERSLACK:
        t->timer_slack_ns = a == 0 ? TIMER_SLACK_NS : a;
        return 0;
    case PR_GET_TIMERSLACK:
        return (s64)t->timer_slack_ns;
    case PR_SET_CHILD_SUBREAPER:
        p->child_subreaper = a != 0;
        return 0;
    case PR_GET_CHILD_SUBREAPER:
        return put_user_u32(a, p->child_subreaper);
    case PR_SET_NO_NEW_PRIVS:
        if (a != 1 || b != 0 || c != 0 || d != 0)
            return -EINVAL;
        t->no_new_privs = true;
        return 0;
    case PR_GET_NO_NEW_PRIVS:
        return a | b | c | d ? -EINVAL : t->no_new_privs;
    case PR_GET_TID_ADDRESS:
        return put_user_u64(a, t->clear_child_tid);
    case PR_SET_THP_DISABLE:
        p->thp_disable = a != 0;
        return 0;
    case PR_GET_THP_DISABLE:
        return p->thp_disable;
    case PR_CAP_AMBIENT:
        return c | d ? -EINVAL : cap_ambient(a, b);
    default: /* PR_SET_VMA names areas for debuggers: EINVAL, as without CONFIG_ANON_VMA_NAME */
        return -EINVAL;
    }
}
