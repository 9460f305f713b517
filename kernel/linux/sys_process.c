/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers, groups, limits, scheduling and the odds and ends of a process. */
#include "task.h"
#include "base/fmt.h"
#include "base/str.h"
#include "kern/random.h"

/* The process or task meant by a pid argument (0 = the caller). Referenced. */
static struct task *task_arg(int pid)
{
    return pid == 0 ? task_get(current_task()) : pid > 0 ? task_find((u32)pid) : NULL;
}

s64 sys_getpid(void) { return current_process()->pid; }
s64 sys_gettid(void) { return current_task()->tid; }
s64 sys_getppid(void) { return atomic_load_relaxed(&current_process()->ppid); }

/* --- credentials --------------------------------------------------------------------------- */

s64 sys_getuid(void) { return current_cred()->uid; }
s64 sys_geteuid(void) { return current_cred()->euid; }
s64 sys_getgid(void) { return current_cred()->gid; }
s64 sys_getegid(void) { return current_cred()->egid; }

/* Capabilities follow user ids (capabilities(7), "Effect of user ID changes"). */
static void fix_capabilities(const struct cred *old, struct cred *c)
{
    bool had_root = old->uid == 0 || old->euid == 0 || old->suid == 0;
    bool has_root = c->uid == 0 || c->euid == 0 || c->suid == 0;
    if (had_root && !has_root && !current_process()->keep_caps) {
        c->cap_permitted = 0;
        c->cap_ambient = 0;
    }
    if (old->euid == 0 && c->euid != 0)
        c->cap_effective = 0;
    else if (old->euid != 0 && c->euid == 0)
        c->cap_effective = c->cap_permitted;
    c->cap_effective &= c->cap_permitted;
    if (old->euid != c->euid || old->egid != c->egid)
        current_process()->dumpable = false;
}

#define KEEP UINT32_MAX

static s64 set_uids(u32 r, u32 e, u32 s)
{
    struct cred *old = current_cred(), *c = cred_copy(old);
    if (c == NULL)
        return -ENOMEM;
    c->uid = r != KEEP ? r : c->uid;
    c->euid = e != KEEP ? e : c->euid;
    c->suid = s != KEEP ? s : c->suid;
    c->fsuid = c->euid;
    fix_capabilities(old, c);
    task_set_cred(c);
    return 0;
}

static s64 set_gids(u32 r, u32 e, u32 s)
{
    struct cred *c = cred_copy(current_cred());
    if (c == NULL)
        return -ENOMEM;
    c->gid = r != KEEP ? r : c->gid;
    c->egid = e != KEEP ? e : c->egid;
    c->sgid = s != KEEP ? s : c->sgid;
    c->fsgid = c->egid;
    task_set_cred(c);
    return 0;
}

static bool one_of(u32 id, u32 a, u32 b, u32 c) { return id == KEEP || id == a || id == b || id == c; }

s64 sys_setuid(u32 uid)
{
    const struct cred *c = current_cred();
    if (uid == KEEP)
        return -EINVAL;
    if (capable(CAP_SETUID))
        return set_uids(uid, uid, uid);
    return uid == c->uid || uid == c->suid ? set_uids(KEEP, uid, KEEP) : -EPERM;
}

s64 sys_setgid(u32 gid)
{
    const struct cred *c = current_cred();
    if (gid == KEEP)
        return -EINVAL;
    if (capable(CAP_SETGID))
        return set_gids(gid, gid, gid);
    return gid == c->gid || gid == c->sgid ? set_gids(KEEP, gid, KEEP) : -EPERM;
}

s64 sys_setreuid(u32 r, u32 e)
{
    const struct cred *c = current_cred();
    if (!capable(CAP_SETUID) && (!one_of(r, c->uid, c->euid, c->euid) || !one_of(e, c->uid, c->euid, c->suid)))
        return -EPERM;
    u32 new_e = e != KEEP ? e : c->euid;
    bool save = r != KEEP || (e != KEEP && e != c->uid);
    return set_uids(r, e, save ? new_e : KEEP);
}

s64 sys_setregid(u32 r, u32 e)
{
    const struct cred *c = current_cred();
    if (!capable(CAP_SETGID) && (!one_of(r, c->gid, c->egid, c->egid) || !one_of(e, c->gid, c->egid, c->sgid)))
        return -EPERM;
    u32 new_e = e != KEEP ? e : c->egid;
    bool save = r != KEEP || (e != KEEP && e != c->gid);
    return set_gids(r, e, save ? new_e : KEEP);
}

s64 sys_setresuid(u32 r, u32 e, u32 s)
{
    const struct cred *c = current_cred();
    if (!capable(CAP_SETUID) && (!one_of(r, c->uid, c->euid, c->suid) || !one_of(e, c->uid, c->euid, c->suid) ||
                                 !one_of(s, c->uid, c->euid, c->suid)))
        return -EPERM;
    return set_uids(r, e, s);
}

s64 sys_setresgid(u32 r, u32 e, u32 s)
{
    const struct cred *c = current_cred();
    if (!capable(CAP_SETGID) && (!one_of(r, c->gid, c->egid, c->sgid) || !one_of(e, c->gid, c->egid, c->sgid) ||
                                 !one_of(s, c->gid, c->egid, c->sgid)))
        return -EPERM;
    return set_gids(r, e, s);
}

static s64 put_three(uaddr_t a, u32 va, uaddr_t b, u32 vb, uaddr_t c, u32 vc)
{
    int r = put_user_u32(a, va);
    if (r == 0)
        r = put_user_u32(b, vb);
    return r == 0 ? put_user_u32(c, vc) : r;
}

s64 sys_getresuid(uaddr_t r, uaddr_t e, uaddr_t s)
{
    const struct cred *c = current_cred();
    return put_three(r, c->uid, e, c->euid, s, c->suid);
}
s64 sys_getresgid(uaddr_t r, uaddr_t e, uaddr_t s)
{
    const struct cred *c = current_cred();
    return put_three(r, c->gid, e, c->egid, s, c->sgid);
}

s64 sys_setfsuid(u32 uid)
{
    struct cred *c = current_cred();
    u32 old = c->fsuid;
    if (uid != old && (capable(CAP_SETUID) || uid == c->uid || uid == c->euid || uid == c->suid) && uid != KEEP) {
        c = cred_copy(c);
        if (c != NULL) {
            c->fsuid = uid;
            task_set_cred(c);
        }
    }
    return old;
}

s64 sys_setfsgid(u32 gid)
{
    struct cred *c = current_cred();
    u32 old = c->fsgid;
    if (gid != old && (capable(CAP_SETGID) || gid == c->gid || gid == c->egid || gid == c->sgid) && gid != KEEP) {
        c = cred_copy(c);
        if (c != NULL) {
            c->fsgid = gid;
            task_set_cred(c);
        }
    }
    return old;
}

s64 sys_getgroups(int size, uaddr_t ulist)
{
    const struct cred *c = current_cred();
    if (size < 0)
        return -EINVAL;
    if (size == 0)
        return c->ngroups;
    if ((u32)size < c->ngroups)
        return -EINVAL;
    return copy_to_user(ulist, c->groups, c->ngroups * sizeof(u32)) < 0 ? -EFAULT : (s64)c->ngroups;
}

s64 sys_setgroups(int size, uaddr_t ulist)
{
    if (!capable(CAP_SETGID))
        return -EPERM;
    if (size < 0 || size > CRED_MAX_GROUPS)
        return -EINVAL;
    struct cred *c = cred_copy(current_cred());
    if (c == NULL)
        return -ENOMEM;
    if (copy_from_user(c->groups, ulist, (size_t)size * sizeof(u32)) < 0) {
        cred_put(c);
        return -EFAULT;
    }
    c->ngroups = (u32)size;
    task_set_cred(c);
    return 0;
}

/* --- capabilities(7) ------------------------------------------------------------------------- */

struct cap_header { u32 version; s32 pid; };
struct cap_data { u32 effective, permitted, inheritable; };
#define CAP_VERSION_1 0x19980330u
#define CAP_VERSION_2 0x20071026u
#define CAP_VERSION_3 0x20080522u

static int cap_header_get(uaddr_t uhdr, struct cap_header *h, unsigned *ret_words)
{
    if (copy_from_user(h, uhdr, sizeof *h) < 0)
        return -EFAULT;
    *ret_words = h->version == CAP_VERSION_1 ? 1 : 2;
    if (h->version != CAP_VERSION_1 && h->version != CAP_VERSION_2 && h->version != CAP_VERSION_3)
        return put_user_u32(uhdr, CAP_VERSION_3) < 0 ? -EFAULT : -EINVAL;
    return 0;
}

s64 sys_capget(uaddr_t uhdr, uaddr_t udata)
{
    struct cap_header h;
    struct cap_data d[2];
    unsigned words;
    int r = cap_header_get(uhdr, &h, &words);
    if (r < 0)
        return udata == 0 && r == -EINVAL ? 0 : r;
    if (h.pid < 0)
        return -EINVAL;
    struct task *t = task_arg(h.pid);
    if (t == NULL)
        return -ESRCH;
    spin_lock_bh(&t->proc->lock);
    const struct cred *c = t->cred;
    for (unsigned i = 0; i < 2; i++)
        d[i] = (struct cap_data){(u32)(c->cap_effective >> (32 * i)), (u32)(c->cap_permitted >> (32 * i)),
                                 (u32)(c->cap_inheritable >> (32 * i))};
    spin_unlock_bh(&t->proc->lock);
    task_put(t);
    return copy_to_user(udata, d, words * sizeof d[0]);
}

s64 sys_capset(uaddr_t uhdr, uaddr_t udata)
{
    struct cap_header h;
    struct cap_data d[2] = {{0}};
    unsigned words;
    int r = cap_header_get(uhdr, &h, &words);
    if (r < 0)
        return r;
    if (h.pid != 0 && (u32)h.pid != current_task()->tid)
        return -EPERM;
    if (copy_from_user(d, udata, words * sizeof d[0]) < 0)
        return -EFAULT;
    u64 e = (d[0].effective | (u64)d[1].effective << 32) & CAP_ALL, p = (d[0].permitted | (u64)d[1].permitted << 32) & CAP_ALL;
    u64 i = (d[0].inheritable | (u64)d[1].inheritable << 32) & CAP_ALL;
    const struct cred *old = current_cred();
    if ((p & ~old->cap_permitted) || (e & ~p) || (i & ~(old->cap_inheritable | old->cap_permitted) && !capable(CAP_SETPCAP)))
        return -EPERM;
    struct cred *c = cred_copy(old);
    if (c == NULL)
        return -ENOMEM;
    c->cap_effective = e;
    c->cap_permitted = p;
    c->cap_inheritable = i;
    c->cap_ambient &= p & i;
    task_set_cred(c);
    return 0;
}

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
        as->limit_locked_bytes = v;
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

s64 sys_prlimit64(int pid, u32 which, uaddr_t unew, uaddr_t uold)
{
    struct krlimit new, old;
    if (which >= RLIMIT_NR)
        return -EINVAL;
    if (unew != 0) {
        if (copy_from_user(&new, unew, sizeof new) < 0)
            return -EFAULT;
        if (new.soft > new.hard)
            return -EINVAL;
        if (which == RLIMIT_NOFILE && new.hard > 524288)
            return -EPERM;
    }
    struct task *t = task_arg(pid);
    if (t == NULL)
        return -ESRCH;
    struct process *p = t->proc;
    s64 r = may_limit(p) ? 0 : -EPERM;
    spin_lock_bh(&p->lock);
    old = p->rlimits[which];
    if (r == 0 && unew != 0) {
        if (new.hard > old.hard && !capable(CAP_SYS_RESOURCE))
            r = -EPERM;
        else
            p->rlimits[which] = new;
    }
    spin_unlock_bh(&p->lock);
    if (r == 0 && unew != 0)
        apply_limit(t, which, new.soft);
    task_put(t);
    if (r == 0 && uold != 0)
        r = copy_to_user(uold, &old, sizeof old);
    return r;
}

s64 sys_getrlimit(u32 which, uaddr_t ulim) { return ulim == 0 ? -EFAULT : sys_prlimit64(0, which, 0, ulim); }
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
    return copy_to_user(ubuf, &s, sizeof s);
}

s64 sys_getrandom(uaddr_t buf, u64 len, u32 flags)
{
    u8 chunk[256];
    u64 done = 0;
    if ((flags & ~7u) || (flags & 6) == 6)
        return -EINVAL;
    len = MIN(len, (u64)INT32_MAX);
    while (done < len) {
        u64 n = MIN(len - done, sizeof chunk);
        random_bytes(chunk, n);
        if (copy_to_user(buf + done, chunk, n) < 0)
            return done > 0 ? (s64)done : -EFAULT;
        done += n;
        if (done % 4096 == 0) {
            if (thread_interrupted())
                break;
            cond_resched();
        }
    }
    memset(chunk, 0, sizeof chunk);
    compiler_barrier();
    return (s64)done;
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

s64 sys_seccomp(u32 op, u32 flags, uaddr_t args) { return -EINVAL; } /* as a Linux without CONFIG_SECCOMP_FILTER */

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

s64 sys_ioprio_get(int which, int who) { return which < 1 || which > 3 ? -EINVAL : 4; }
s64 sys_ioprio_set(int which, int who, int prio)
{
    return which < 1 || which > 3 || prio >> 13 > 3 ? -EINVAL : 0; /* one program, one disk: nothing to order */
}

/* --- prctl(2) --------------------------------------------------------------------------------------------- */

enum {
    PR_SET_PDEATHSIG = 1, PR_GET_PDEATHSIG, PR_GET_DUMPABLE, PR_SET_DUMPABLE, PR_GET_KEEPCAPS = 7, PR_SET_KEEPCAPS,
    PR_SET_NAME = 15, PR_GET_NAME, PR_GET_SECCOMP = 21, PR_SET_SECCOMP, PR_CAPBSET_READ, PR_CAPBSET_DROP,
    PR_GET_TSC = 25, PR_SET_TSC, PR_GET_SECUREBITS = 27, PR_SET_SECUREBITS, PR_SET_TIMERSLACK = 29, PR_GET_TIMERSLACK,
    PR_SET_CHILD_SUBREAPER = 36, PR_GET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS, PR_GET_NO_NEW_PRIVS, PR_GET_TID_ADDRESS,
    PR_SET_THP_DISABLE, PR_GET_THP_DISABLE, PR_CAP_AMBIENT = 47, PR_SET_VMA = 0x53564d41, PR_SET_PTRACER = 0x59616d61
};

static s64 cap_ambient(u64 op, u64 cap)
{
    const struct cred *old = current_cred();
    if (op == 4) /* CLEAR_ALL */
        cap = 0;
    else if (op < 1 || op > 3 || cap > CAP_LAST)
        return -EINVAL;
    if (op == 1)
        return (s64)((old->cap_ambient >> cap) & 1);
    if (op == 2 && !((old->cap_permitted & old->cap_inheritable) >> cap & 1))
        return -EPERM;
    struct cred *c = cred_copy(old);
    if (c == NULL)
        return -ENOMEM;
    c->cap_ambient = op == 4 ? 0 : op == 2 ? c->cap_ambient | 1ULL << cap : c->cap_ambient & ~(1ULL << cap);
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
        return p->keep_caps;
    case PR_SET_KEEPCAPS:
        if (a > 1)
            return -EINVAL;
        p->keep_caps = a != 0;
        return 0;
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
        return 0;
    case PR_SET_SECCOMP:
        return -EINVAL;
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
        return 0;
    case PR_SET_SECUREBITS:
        return a == 0 ? 0 : -EPERM;
    case PR_SET_TIMERSLACK:
        t->timer_slack_ns = a == 0 ? 50000 : a;
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
        p->no_new_privs = true;
        return 0;
    case PR_GET_NO_NEW_PRIVS:
        return a | b | c | d ? -EINVAL : p->no_new_privs;
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

/* --- scheduling ----------------------------------------------------------------------------------------------- */

s64 sys_sched_yield(void)
{
    sched_yield_cpu();
    return 0;
}

#define SCHED_RESET_ON_FORK 0x40000000

static bool valid_policy(int policy, int prio)
{
    bool rt = policy == POLICY_FIFO || policy == POLICY_RR;
    if (!rt && policy != POLICY_OTHER && policy != POLICY_BATCH && policy != POLICY_IDLE)
        return false;
    return rt ? prio >= 1 && prio <= 99 : prio == 0;
}

static s64 set_policy(int pid, int policy, int prio, bool keep_policy)
{
    struct task *t = task_arg(pid);
    if (t == NULL)
        return pid < 0 ? -EINVAL : -ESRCH;
    if (keep_policy)
        policy = t->thread->policy;
    s64 r = -EINVAL;
    if (valid_policy(policy, prio)) {
        if (prio > t->thread->rt_prio && !capable(CAP_SYS_NICE) && (u64)prio > rlimit_of(t->proc, RLIMIT_RTPRIO))
            r = -EPERM;
        else
            r = thread_set_policy(t->thread, (u8)policy, (u8)prio);
    }
    task_put(t);
    return r;
}

s64 sys_sched_setscheduler(int pid, int policy, uaddr_t uparam)
{
    u32 prio;
    if (policy < 0)
        return -EINVAL;
    if (get_user_u32(uparam, &prio) < 0)
        return -EFAULT;
    return set_policy(pid, policy & ~SCHED_RESET_ON_FORK, (int)prio, false);
}

s64 sys_sched_setparam(int pid, uaddr_t uparam)
{
    u32 prio;
    if (get_user_u32(uparam, &prio) < 0)
        return -EFAULT;
    return set_policy(pid, 0, (int)prio, true);
}

s64 sys_sched_getscheduler(int pid)
{
    struct task *t = task_arg(pid);
    s64 r = t != NULL ? t->thread->policy : pid < 0 ? -EINVAL : -ESRCH;
    task_put(t);
    return r;
}

s64 sys_sched_getparam(int pid, uaddr_t uparam)
{
    struct task *t = task_arg(pid);
    if (t == NULL)
        return pid < 0 ? -EINVAL : -ESRCH;
    u32 prio = t->thread->rt_prio;
    task_put(t);
    return put_user_u32(uparam, prio);
}

s64 sys_sched_get_priority_max(int policy)
{
    return policy == POLICY_FIFO || policy == POLICY_RR ? 99 : valid_policy(policy, 0) || policy == 6 ? 0 : -EINVAL;
}
s64 sys_sched_get_priority_min(int policy)
{
    return policy == POLICY_FIFO || policy == POLICY_RR ? 1 : valid_policy(policy, 0) || policy == 6 ? 0 : -EINVAL;
}

s64 sys_sched_rr_get_interval(int pid, uaddr_t uts)
{
    struct task *t = task_arg(pid);
    if (t == NULL)
        return pid < 0 ? -EINVAL : -ESRCH;
    u64 ns = t->thread->policy == POLICY_FIFO ? 0 : t->thread->policy == POLICY_RR ? 100 * NSEC_PER_MSEC : 4 * NSEC_PER_MSEC;
    task_put(t);
    return put_timespec(uts, ns);
}

s64 sys_sched_getaffinity(int pid, u32 size, uaddr_t umask)
{
    if (size < 8 || size % 8 != 0)
        return -EINVAL;
    struct task *t = task_arg(pid);
    if (t == NULL)
        return -ESRCH;
    unsigned cpus = plat_cpu_count();
    u64 mask = t->thread->affinity & (cpus >= 64 ? ~0ULL : (1ULL << cpus) - 1);
    task_put(t);
    return put_user_u64(umask, mask) < 0 ? -EFAULT : 8;
}

s64 sys_sched_setaffinity(int pid, u32 size, uaddr_t umask)
{
    u64 mask = 0;
    if (copy_from_user(&mask, umask, MIN(size, 8u)) < 0)
        return -EFAULT;
    struct task *t = task_arg(pid);
    if (t == NULL)
        return -ESRCH;
    unsigned cpus = plat_cpu_count();
    mask &= cpus >= 64 ? ~0ULL : (1ULL << cpus) - 1;
    s64 r = mask == 0 ? -EINVAL : thread_set_affinity(t->thread, mask);
    task_put(t);
    return r;
}

struct sched_attr {
    u32 size, policy;
    u64 flags;
    s32 nice;
    u32 priority;
    u64 runtime, deadline, period;
    u32 util_min, util_max;
};
_Static_assert(sizeof(struct sched_attr) == 56, "SCHED_ATTR_SIZE_VER1");

s64 sys_sched_setattr(int pid, uaddr_t uattr, u32 flags)
{
    struct sched_attr a;
    u32 size;
    if (flags != 0 || uattr == 0)
        return -EINVAL;
    if (get_user_u32(uattr, &size) < 0)
        return -EFAULT;
    if (size == 0)
        size = 48;
    if (size < 48 || size > PAGE_SIZE)
        return put_user_u32(uattr, sizeof a) < 0 ? -EFAULT : -E2BIG;
    int r = copy_struct_from_user(&a, sizeof a, uattr, size);
    if (r < 0)
        return r;
    s64 k = set_policy(pid, (int)a.policy, (int)a.priority, false);
    if (k == 0 && (a.policy == POLICY_OTHER || a.policy == POLICY_BATCH)) {
        struct task *t = task_arg(pid);
        if (t != NULL)
            thread_set_nice(t->thread, MAX(-20, MIN(a.nice, 19)));
        task_put(t);
    }
    return k;
}

s64 sys_sched_getattr(int pid, uaddr_t uattr, u32 size, u32 flags)
{
    if (flags != 0 || uattr == 0 || size < 48 || size > PAGE_SIZE)
        return -EINVAL;
    struct task *t = task_arg(pid);
    if (t == NULL)
        return pid < 0 ? -EINVAL : -ESRCH;
    struct sched_attr a = {.size = MIN(size, (u32)sizeof a), .policy = t->thread->policy, .nice = t->thread->nice,
                           .priority = t->thread->rt_prio, .util_max = 1024};
    task_put(t);
    return copy_to_user(uattr, &a, a.size);
}

/* PRIO_PROCESS means a task; a group or a user, the tasks of its processes. */
struct nice_job {
    int best;  /* in: 20 or the nice value to set; out, when reading: the best */
    bool set;
    s64 result;
};

static void nice_one(struct task *t, struct nice_job *j)
{
    const struct cred *c = current_cred();
    if (!j->set) {
        j->best = MIN(j->best, (int)t->thread->nice);
        j->result = 0;
    } else if (t->cred->uid != c->euid && t->cred->euid != c->euid && !capable(CAP_SYS_NICE)) {
        j->result = -EPERM;
    } else if (j->best < t->thread->nice && !capable(CAP_SYS_NICE) && (u64)(20 - j->best) > rlimit_of(t->proc, RLIMIT_NICE)) {
        j->result = -EACCES;
    } else {
        thread_set_nice(t->thread, j->best);
        j->result = j->result == -ESRCH ? 0 : j->result;
    }
}

static int nice_all(int which, int who, struct nice_job *j)
{
    j->result = -ESRCH;
    if (which < 0 || which > 2)
        return -EINVAL;
    u32 id = who != 0 ? (u32)who : which == 1 ? current_process()->pgid : current_cred()->uid;
    struct task *one = which == 0 ? task_arg(who) : NULL;
    spin_lock_bh(&process_list_lock);
    if (one != NULL)
        nice_one(one, j);
    if (which != 0)
        list_for_each(p, &process_list, struct process, all_node) {
            spin_lock(&p->lock);
            if ((which == 1 ? p->pgid : p->leader->cred->uid) == id)
                list_for_each(t, &p->tasks, struct task, proc_node)
                    nice_one(t, j);
            spin_unlock(&p->lock);
        }
    spin_unlock_bh(&process_list_lock);
    task_put(one);
    return (int)j->result;
}

s64 sys_getpriority(int which, int who)
{
    struct nice_job j = {.best = 20};
    int r = nice_all(which, who, &j);
    return r < 0 ? r : 20 - j.best;
}

s64 sys_setpriority(int which, int who, int nice)
{
    struct nice_job j = {.best = MAX(-20, MIN(nice, 19)), .set = true};
    return nice_all(which, who, &j);
}
