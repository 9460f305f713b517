/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The personality from init's side: set-up, the first process, signals from
 * the control port. The first program is started by its own task through the
 * same code as execve(2).
 */
#include "core.h"
#include "ptrace.h"
#include "seccomp_impl.h"
#include "sysfs.h"
#include "arch_linux.h"
#include "base/fmt.h"
#include "base/str.h"

bool linux_verbose, patch_calls;
char uts_hostname[65] = "drupe", uts_domainname[65] = "(none)";

static bool debuggable, waits_for_debugger; /* the latter: atomic */

struct first {
    const struct program_spec *spec;
    struct waitqueue wq;
    bool done;
    int result;
    const char *why;
};

static u64 fsize_limit(u64 at)
{
    struct task *t = current_thread()->task;
    u64 limit = t != NULL ? rlimit_of(t->proc, RLIMIT_FSIZE) : UINT64_MAX;
    if (at >= limit)
        signal_send_self(SIGXFSZ);
    return limit;
}

static const struct cred *caller(void)
{
    struct task *t = current_thread()->task;
    return t != NULL ? t->cred : &kernel_cred;
}

static bool lock_unlimited(void) { return capable(CAP_IPC_LOCK); }

void linux_init(void)
{
    trap_handlers.syscall = linux_syscall;
    trap_handlers.syscall_trapped = linux_syscall_trapped;
    trap_handlers.exit_work = linux_exit_work;
    trap_handlers.program_trap = linux_program_trap;
    vfs_fsize_limit = fsize_limit;
    vfs_caller = caller;
    as_lock_unlimited = lock_unlimited;
    wall_changed = time_wall_changed;
    tty_hooks = &linux_tty_hooks;
    ptrace_init();
    seccomp_init();
    aio_init();
    trace_calls_init();
    bpf_calls_init();
    debuggable = debug_service_init();
    sysctl_init();
    sysfs_entries_init();
    inotify_glue_init();
    sysv_ipc_init();
    mqueue_init();
    core_service_init();
    profile_init();
    futex_glue_init();
    proc_pid_init();
    oom_init();
    cpu_levels_init();
    socket_glue_init();
}

static int try_program(const struct program_spec *spec, const char *name, struct trap_frame *frame, const char **ret_why)
{
    u64 began = now_ns();
    int r = exec_program(name, name, NULL, 0, spec->argv, spec->envp, frame, ret_why);
    if (r == 0)
        trace_first_execve(name, spec->argv, FRAME_SP(frame), began);
    return r;
}

/* Try `dir`/`name` for each directory of PATH; the first that can be run. */
static int run_from_path(const struct program_spec *spec, struct trap_frame *frame, const char **ret_why)
{
    const char *name = spec->argv[0], *path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    int result = -ENOENT;
    if (strchr(name, '/') != NULL)
        return try_program(spec, name, frame, ret_why);
    for (char **e = spec->envp; e != NULL && *e != NULL; e++)
        if (strncmp(*e, "PATH=", 5) == 0)
            path = *e + 5;
    char *full = kmalloc(PATH_MAX, 0);
    if (full == NULL)
        return -ENOMEM;
    while (true) {
        const char *end = strchr(path, ':');
        size_t len = end != NULL ? (size_t)(end - path) : strlen(path);
        int n = fmt_snprintf(full, PATH_MAX, "%.*s%s%s", (int)len, path, len != 0 ? "/" : "", name);
        if (n < PATH_MAX) {
            int r = try_program(spec, full, frame, ret_why);
            if (r != -ENOENT && r != -ENOTDIR && (r != -EACCES || result == -ENOENT))
                result = r;
            if (r == 0 || (r < 0 && r != -ENOENT && r != -ENOTDIR && r != -EACCES))
                break;
        }
        if (end == NULL)
            break;
        path = end + 1;
    }
    kfree(full);
    return result;
}

static const char cwd_failed[] = "cwd"; /* the text has its name */

static int set_up(struct task *t, const struct program_spec *spec, const char **ret_why)
{
    struct cred *c = kzalloc(sizeof *c);
    if (c == NULL)
        return -ENOMEM;
    ref_init(&c->refs);
    c->uid = c->euid = c->suid = c->fsuid = spec->uid;
    c->gid = c->egid = c->sgid = c->fsgid = spec->gid;
    c->ngroups = MIN(spec->ngroups, (u32)CRED_MAX_GROUPS);
    memcpy(c->groups, spec->groups, c->ngroups * sizeof c->groups[0]);
    c->cap_bounding = CAP_ALL;
    if (spec->uid == 0)
        c->cap_effective = c->cap_permitted = CAP_ALL;
    t->cred = c;
    t->fs = fs_ctx_create();
    t->files = fdtable_create();
    if (t->fs == NULL || t->files == NULL)
        return -ENOMEM;
    t->fs->umask = 022;
    fdtable_set_limit(t->files, (u32)MIN(rlimit_of(t->proc, RLIMIT_NOFILE), (u64)UINT32_MAX));
    for (int fd = 0; fd < 3; fd++)
        if (spec->stdio[fd] != NULL) {
            int r = fd_install(t->files, spec->stdio[fd], fd, false);
            if (r < 0)
                return r;
        }
    if (spec->cwd != NULL && strcmp(spec->cwd, "/") != 0) {
        struct lookup l = {.fs = t->fs, .cred = t->cred};
        struct path p;
        int r = vfs_lookup(&l, spec->cwd, LOOKUP_DIRECTORY, &p);
        if (r == 0) {
            r = vfs_chdir(t->fs, &p, t->cred);
            path_put(&p);
        }
        if (r < 0) {
            *ret_why = cwd_failed;
            return r;
        }
    }
    return 0;
}

static void hold_program(struct process *p)
{
    spin_lock_bh(&p->lock);
    p->frozen++;
    spin_unlock_bh(&p->lock);
    atomic_store(&waits_for_debugger, true);
}

void program_release(void)
{
    if (atomic_xchg(&waits_for_debugger, false))
        process_thaw(first_process);
}

static void first_main(void *arg)
{
    struct task *t = arg;
    struct first *s = t->first;
    struct trap_frame frame;
    bool hold = s->spec->wait_debugger && debuggable;
    int r = set_up(t, s->spec, &s->why);
    if (r == 0)
        r = run_from_path(s->spec, &frame, &s->why);
    t->first = NULL;
    s->result = r;
    if (r == 0 && hold)
        hold_program(t->proc);
    atomic_store(&s->done, true);
    wq_wake_all(&s->wq, 0);
    if (r < 0) {
        process_ended = NULL;
        task_exit();
    }
    if (hold)
        process_parks(t);
    arch_enter_program(&frame);
}

static const char *reason(int err)
{
    switch (err) {
    case -ENOENT: return "no such file";
    case -EACCES: return "permission denied (not an executable file?)";
    case -ENOEXEC: return "not an executable that Linux on x86-64 could run";
    case -ELIBBAD: return "its program interpreter is damaged";
    case -ENOTDIR: return "a part of its path is not a directory";
    case -ELOOP: return "too many symbolic links or interpreters";
    case -ENOMEM: return "not enough memory";
    case -E2BIG: return "arguments and environment are too long";
    case -EIO: return "the image cannot be read";
    default: return NULL;
    }
}

int linux_start(const struct program_spec *spec, void (*ended)(const struct program_end *end, const char *report),
                char *ret_why, size_t why_size)
{
    struct first s = {.spec = spec};
    struct process *p;
    struct task *t;
    if (spec->argv == NULL || spec->argv[0] == NULL) {
        str_copy(ret_why, "no program given", why_size);
        return -EINVAL;
    }
    linux_verbose = spec->verbose;
    cores_expected = spec->cores_expected;
    patch_calls = !spec->no_patch && plat_call_gate() != 0;
    if (spec->hostname != NULL && spec->hostname[0] != '\0')
        str_copy(uts_hostname, spec->hostname, sizeof uts_hostname);
    int r = process_create(NULL, &p);
    if (r < 0)
        return r;
    for (u32 i = 0; i < spec->nrlimits && i < ARRAY_SIZE(spec->rlimits); i++)
        if (spec->rlimits[i].resource < RLIMIT_NR)
            p->rlimits[spec->rlimits[i].resource] = (struct krlimit){spec->rlimits[i].soft, spec->rlimits[i].hard};
    r = task_create(p, "program", first_main, &t);
    if (r == 0) {
        t->no_new_privs = spec->no_new_privileges;
        r = process_publish(p, t, false);
    }
    if (r < 0) {
        process_put(p);
        str_copy(ret_why, "not enough memory", why_size);
        return r;
    }
    process_ended = ended;
    t->first = &s;
    wq_init(&s.wq, "start");
    task_start(t);
    wait_event(&s.wq, atomic_load(&s.done));
    if (s.result < 0 && why_size > 0) {
        const char *why = s.why != NULL ? s.why : reason(s.result);
        if (why == cwd_failed)
            fmt_snprintf(ret_why, why_size, "%s: its working directory %s cannot be entered", spec->argv[0], spec->cwd);
        else if (why != NULL)
            fmt_snprintf(ret_why, why_size, "%s: %s", spec->argv[0], why);
        else
            fmt_snprintf(ret_why, why_size, "%s: error %d", spec->argv[0], -s.result);
    }
    return s.result;
}

int linux_signal(u32 pid, int sig)
{
    struct ksiginfo i = {.signo = sig, .code = SI_USER};
    if (sig < 1 || sig > NSIG)
        return -EINVAL;
    struct process *p = process_find(pid != 0 ? pid : 1);
    if (p == NULL)
        return -ESRCH;
    int r = signal_send_process(p, &i, NULL);
    process_put(p);
    return r;
}
