/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Processes and tasks. A task is a thread as Linux sees it (tid, signal mask,
 * credentials); a process is what its tasks share. The first process is pid 1 and
 * the machine's: its end is the machine's.
 *
 * Life of a task: task_create(); task_publish() gives it its number and makes it found;
 * task_start(); task_exit() takes it off the lists; it is freed with its last reference.
 * Life of a process (proc_state): LIVE from process_publish(); ZOMBIE when its last
 * task is through with everything but its kernel stack; GONE when a parent has
 * collected it, or at once when the parent does not care (wait.c).
 *
 *   T1  A number is in use while a task has it as tid, or a group has it as id (groups.c).
 *       The leader (tid == pid) has it until its process is GONE, also when it ended long before.
 *   T2  A process that is not GONE is on process_list and, but for the first, on its parent's `children`.
 *       The parent is LIVE: whoever ends gives its children away in the step in which it becomes a ZOMBIE.
 *   T3  state moves under l only, and only forward: so a zombie is collected once.
 *   T4  A process is published, or told to end with others, under l: whoever tells a group (or all)
 *       meets a child either on the list, or not yet: then its parent sees the signal and forks no more.
 *
 * Locks, in order: process list > process->lock > sighand->lock. Letters below:
 *   c constant after creation, o only the task itself, p process->lock,
 *   g sighand->lock, a atomic, l process list lock.
 * All of them are _bh spinlocks: timers send signals from bottom halves.
 */
#ifndef LINUX_TASK_H
#define LINUX_TASK_H

#include "base/list.h"
#include "kern/addrspace.h"
#include "kern/atomic.h"
#include "kern/callsite.h"
#include "kern/linux.h"
#include "kern/lock.h"
#include "kern/log.h"
#include "kern/slab.h"
#include "kern/thread.h"
#include "kern/timer.h"
#include "kern/trap.h"
#include "kern/uaccess.h"
#include "kern/uio.h"
#include "kern/vfs.h"
#include "kern/wait.h"
#include "abi.h"
#include "linux/syscalls_gen.h"

struct bpf_attach;
struct bpf_function_place;
struct bpf_probe;
struct posix_timer;
struct seccomp;
struct uring_tasks;
struct first;
struct tracee;

struct sigpending {
    u64 set;
    struct list queue; /* struct sigqueue */
};
struct sigqueue {
    struct list node;
    struct ksiginfo info;
    struct posix_timer *timer; /* fills in the overrun count when taken; NULL otherwise */
};

struct sighand {
    struct refcount refs;
    struct spinlock lock;
    struct ksigaction act[NSIG]; /* g */
};

enum itimer_kind { ITIMER_REAL, ITIMER_VIRTUAL, ITIMER_PROF, ITIMER_NR };
struct itimer {
    struct ktimer timer;
    struct process *proc;
    u64 deadline_ns, interval_ns; /* p; of now_ns() or of the process' CPU time */
};

enum proc_state { PROC_LIVE, PROC_ZOMBIE, PROC_GONE };

/* What read() and write() and the like have moved, and what of it devices have: /proc/PID/io, in this order. */
enum { IO_RCHAR, IO_WCHAR, IO_SYSCR, IO_SYSCW, IO_CALLS, IO_READ_BYTES = IO_CALLS, IO_WRITE_BYTES, IO_CANCELLED, IO_NR };

/* What getrusage() and wait4() tell. */
struct usage {
    u64 cpu_ns, system_ns, voluntary, forced, minor_faults, major_faults, max_rss_pages;
    u64 io[IO_NR];
};

struct process {
    struct refcount refs;
    u32 pid;                      /* c */
    struct list all_node;         /* l */
    struct spinlock lock;
    struct list tasks;            /* p: without those that ended */
    u32 ntasks;                   /* p */
    struct task *leader;          /* l and p: tid == pid; kept until the process is GONE */
    struct process *parent;       /* l; NULL: the first process */
    struct list children, sibling;/* l */
    struct list tracees;          /* l: struct tracee (ptrace.h) */
    u32 ppid, pgid, sid;          /* l, read without */
    u32 hung_up_group;            /* l: a leader whose terminal hung up: what had the foreground, told when this ends; 0: none */
    bool no_tty;                  /* the process itself: TIOCNOTTY; its session has a terminal all the same */
    u8 state;                     /* l, read without: enum proc_state */
    u8 parent_signal;             /* l: what the parent gets at the end; 0 = nothing */
    bool executed;                /* l: the program is not the parent's any more */
    bool vfork;                   /* a: the parent waits until this one lets go of its memory */
    struct waitqueue child_wq;    /* a child ended, stopped or went on */
    struct sighand *sighand;      /* p, and g of the old one; the process' own tasks read without */
    struct sigpending pending;    /* g */
    u32 queued_signals;           /* g */
    struct waitqueue signal_wq;   /* those that read from a signalfd; who only watches: signal_watchers */
    bool group_exit;              /* p, read without: every task must end */
    bool exec_pending;            /* p: one task ends the others to replace the program */
    bool dumping, core_dumped;    /* p: core.h */
    u32 frozen;                   /* p, read without: freeze.c */
    bool stopped;                 /* p and g, read without */
    u8 stop_signal;               /* p */
    bool stop_unseen, continue_unseen; /* p: wait() has not told yet */
    bool tell_continued;          /* a: the parent has not been told */
    u32 continues;                /* g: SIGCONTs so far */
    struct waitqueue stop_wq;     /* stopped cleared; tasks left (exec); memory let go (vfork); ended (pidfd) */
    int exit_code, exit_signal;   /* p */
    char *crash_report;           /* p: heap */
    struct krlimit rlimits[RLIMIT_NR]; /* p */
    struct file *exe;             /* p */
    u64 auxv[2 * 22];             /* c until exec */
    u32 auxv_words;
    struct itimer itimers[ITIMER_NR];
    struct list timers;           /* p: struct posix_timer */
    u32 next_timer_id;            /* p */
    struct list sem_undos;        /* sem_kind.lock: struct sem_undo */
    u64 start_ns;                 /* c */
    struct usage dead;            /* p: of tasks that ended and programs that were replaced */
    struct usage waited;          /* p: of children that were collected */
    bool dumpable, child_subreaper, thp_disable;
    u32 personality;
    s32 oom_score_adj, oom_score_adj_min; /* the second: what it may be lowered to without CAP_SYS_RESOURCE */
    bool oom_waited;              /* oom.c: its end took too long for those who want memory */
    u32 membarrier_registered;
};

#define NOBODY_LOGGED_IN UINT32_MAX

struct task {
    struct refcount refs;
    u32 tid;                      /* c */
    struct process *proc;         /* c */
    struct thread *thread;        /* c */
    struct list proc_node;        /* p */
    struct list hash_node;        /* l */
    struct tracee *tracee;        /* l, read without: ptrace.h */
    u8 resume_signal;             /* l: what the tracer lets a stop go on with */
    bool tls_kept;                /* it makes a stop: `tls` is the tracer's (ptrace.h, P2) */
    struct arch_tls tls;
    bool parked;                  /* a: freeze.c */
    bool ended;                   /* l: past the point where it could be traced */
    struct fs_ctx *fs;            /* o */
    struct fdtable *files;        /* o; others read it under p */
    struct cred *cred;            /* o; others read it under p */
    u64 blocked;                  /* g; the task reads its own without */
    u64 saved_mask;               /* o */
    bool restore_mask;            /* o: put saved_mask back on the way out */
    u64 wait_set;                 /* g: signals sigtimedwait() waits for */
    struct sigpending pending;    /* g */
    struct abi_stack altstack;    /* o */
    uaddr_t set_child_tid;        /* c: written by the new task itself */
    uaddr_t clear_child_tid;      /* o */
    uaddr_t robust_list;          /* o */
    struct { uaddr_t addr; u32 sig; } rseq; /* o: rseq.c; addr 0: none */
    u64 fault_addr;               /* o: of the last page fault, for signal frames */
    bool out_of_memory;           /* o: the last fault found no memory */
    u32 pdeath_signal;            /* o */
    u16 ioprio;                   /* a: class << 13 | level */
    bool reset_on_fork;           /* a: its children start as everybody (sched(7)) */
    bool no_new_privs;            /* p: set only; read without */
    struct seccomp *seccomp;      /* p, its own read without: seccomp_impl.h (S2) */
    u64 timer_slack_ns;           /* o */
    u32 loginuid, sessionid;      /* o: who logged in, and which time that was; NOBODY_LOGGED_IN */
    struct {                      /* o: what restart_syscall goes on with */
        enum { RESTART_NONE, RESTART_NANOSLEEP, RESTART_FUTEX, RESTART_POLL } kind;
        u64 deadline_ns;
        uaddr_t addr, addr2;
        u32 value, bitset;
        bool shared;
    } restart;
    struct given *given;          /* o: while a call is made for a request of io_uring; else NULL */
    struct uring_tasks *uring;    /* o: uring.h; NULL: it has submitted nothing */
    u64 call_began_ns;            /* o: of a call that is looked at; else 0 */
    u32 call_nr;                  /* o: its number */
    bool call_recorded;           /* o: trace_calls.c wants to know when it has returned */
    u8 call_sessions;             /* o: of kern/trace.h, that have its entry */
    u32 program_call;             /* o: number + 1 of the call that bpf_calls.c will see the exit of; else 0 */
    u64 io[IO_CALLS];             /* o, read without */
    u64 system_ns, sampled_ns;    /* of cpu_levels.c: written by the CPU that it runs on, read without */
    u64 shown_user_ns;            /* p: U3 there */
    struct first *first;          /* o: start.c, until the first program runs */
    struct trap_frame start_frame; /* c: registers a new thread begins with */
};

#define TIMER_SLACK_NS 50000 /* as a task begins */
#define LINUX_RELEASE "6.1.0-drupe"

typedef s64 syscall_fn(u64, u64, u64, u64, u64, u64);

static ALWAYS_INLINE struct task *current_task(void) { return current_thread()->task; }
static ALWAYS_INLINE struct process *current_process(void) { return current_task()->proc; }
static ALWAYS_INLINE struct fdtable *current_files(void) { return current_task()->files; }
static inline struct cred *current_cred(void) { return current_task()->cred; }
static inline bool capable(unsigned cap) { return cred_capable(current_cred(), cap); }

/* --- task.c ------------------------------------------------------------------------ */
extern struct spinlock process_list_lock;
extern struct list process_list;
extern bool linux_verbose;
extern bool patch_calls; /* kern/callsite.h */
extern char uts_hostname[65], uts_domainname[65]; /* process_list_lock; read without */
/* What systemd and Docker begin with: FD_SETSIZE for who asks for no more (select(2), and who closes all there may be), as many as one likes for who does. */
#define NR_OPEN_SOFT 1024u
#define NR_OPEN_MAX 524288u
extern u32 nr_open; /* atomic: the highest RLIMIT_NOFILE that may be set */
extern u32 pid_max, threads_max; /* atomic: numbers are below the one, and so many tasks have one at most */

/* With `shared`, that process' signal handlers. */
int process_create(struct process *shared, struct process **ret);
static inline struct process *process_get(struct process *p) { ref_get(&p->refs); return p; }
void process_put(struct process *p);
void task_unnumber_locked(struct task *t); /* its number is free again. l held */
int task_create(struct process *p, const char *name, void (*fn)(void *), struct task **ret);
/* Are there fewer than threads_max? A hint, for who would copy much in vain. */
bool task_room(void);
/* Give a complete task of a running process its number. 0 or -EAGAIN. */
int task_publish(struct task *t);
/* The same for the first task of a new process, a child of the current one, or its brother. Takes the initial reference
 * over. 0, -EAGAIN, -EINVAL (no brothers of the first), -ERESTARTNOINTR: the caller has a signal to look at first (T4). */
int process_publish(struct process *p, struct task *t, bool brother);
/* Let it run. */
void task_start(struct task *t);
/* The task's address space, referenced; NULL when it has none any more. */
struct addrspace *task_as(struct task *t);
struct fs_ctx *task_fs(struct task *t); /* the same for its directories */
struct fdtable *task_files(struct task *t); /* and its descriptors */
struct cred *task_cred(struct task *t); /* referenced */
/* All tasks of the machine, or of the processes of one real user. l held. */
u32 task_count_locked(const u32 *uid);
u32 last_pid(void); /* the number given out last */
static inline struct task *task_get(struct task *t) { ref_get(&t->refs); return t; }
void task_put(struct task *t);
struct task *task_find(u32 tid);       /* referenced, or NULL */
struct task *task_find_locked(u32 tid); /* l held; or NULL */
struct task *process_task(struct process *p); /* one of its tasks, referenced, or NULL */
struct task *task_arg(int pid);        /* of a call: 0 = the caller. The same */
struct task *process_task_find(u32 pid); /* one of that process, whichever is left; referenced, or NULL */
struct process *process_find(u32 pid); /* referenced, or NULL */
NORETURN void task_exit(void);
/* End the current task; if it is the last one, or nobody says otherwise, this is the result of its process. Does not return. */
NORETURN void task_end(int code, int signal);
/* End every task of the current process with this result. Does not return. */
NORETURN void process_exit(int code, int signal);
/* Begin the end of any process: its tasks end as they leave the kernel. */
void process_kill(struct process *p, int code, int signal);
/* End all other tasks of the current process and take over its pid (execve). 0 or -EAGAIN. */
int process_become_single(void);
u64 process_cpu_ns(struct process *p);
void cpu_levels_init(void);
/* cpu_levels.c: the kernel's part of a task's CPU time (p->lock held), and of all that CPU `cpu` has done for tasks. */
u64 task_system_ns(struct task *t, u64 cpu_ns);
u64 cpu_system_ns(unsigned cpu);
/* proc_ns.c: what is in /proc/PID/ns, and where one of these leads: 0, -ENOENT, -ENOMEM. */
extern const char *const proc_ns_names[];
int proc_ns_path(const char *name, struct path *ret);
#define ROBUST_LIMIT 2048 /* so much of a task's list of robust futexes is looked at */
/* The process lets its program's memory go (at exec, at the end): robust futexes, the word of
 * CLONE_CHILD_CLEARTID, and the new address space (NULL: none). */
void task_switch_as(struct task *t, struct addrspace *as);
void usage_add(struct usage *to, const struct usage *u);
/* User and system time in 1/USER_HZ s: of *own, and of *waited. */
void usage_ticks(const struct usage *own, const struct usage *waited, u64 ret[4]);
struct usage task_usage(struct task *t); /* what is counted by task: times and switches */
/* Of the process itself: tasks that ended and that run. */
void process_usage(struct process *p, struct usage *ret);
char task_state_locked(const struct task *t);   /* l held */
void vfork_done(struct process *p);
/* Have handlers and descriptors of its own for a new program. -ENOMEM */
int process_unshare(struct task *t);
extern void (*process_ended)(const struct program_end *end, const char *report);
extern struct process *first_process;

struct cred *cred_copy(const struct cred *c);
/* The credentials that the program in `f` runs with (execve(2), capabilities(7)); 0, -ENOMEM or -EPERM. AT_SECURE is ret_secure. */
int cred_of_program(const struct file *f, const struct kstat *st, struct cred **ret, bool *ret_secure);
void task_set_cred(struct cred *c); /* takes the reference over, drops the old one */

/* --- clone.c, fork.c ------------------------------------------------------------------------------ */
struct clone_args {
    u64 flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid, set_tid_size, cgroup;
};
_Static_assert(sizeof(struct clone_args) == 88, "CLONE_ARGS_SIZE_VER2");
/* A new process with the caller's first task's state; flags are checked. The new pid or -errno. */
s64 fork_process(const struct clone_args *a);
/* What a new task takes from the current one. -ENOMEM */
int task_inherit(struct task *t, const struct clone_args *a);
void task_abandon(struct task *t);
void task_main(void *task);

/* --- wait.c ------------------------------------------------------------------------------ */
/* The last task is going: children get another parent, the parent is told. The current process is a ZOMBIE or GONE then. */
void process_zombie(struct process *p);
/* Off all lists. l held; process_release() follows without it. */
void process_unlist_locked(struct process *p);
/* Tell the parent that p stopped or goes on. */
void process_stop_changed(struct process *p, bool stopped);
/* l held: an ended process is shown to its parent now (ptrace.h, P4). One that the parent does not care for goes to
 * `gone`; process_release_all() follows without l. */
void process_tell_end_locked(struct process *p, struct list *gone);
void process_release_all(struct list *gone);
struct ksigaction process_sigchld_action(struct process *p);
/* The machine ends: all other processes do. Returns when they are gone, or have had their time. */
void process_end_others(void);
struct process *pidfd_process(struct file *f); /* pidfd.c: NULL when f is none */
int pidfd_create(struct process *p, u32 flags, struct file **ret);

/* --- groups.c ---------------------------------------------------------------------------- */
struct group; /* a process group or session with the number of the process that began it */
struct group *group_create(void);      /* not in use yet; NULL */
bool group_exists_locked(u32 id);      /* l */
void group_begin_locked(struct group *g, struct process *p, u32 id, bool session);
void group_join_locked(struct process *p, const struct process *like);
void group_leave_locked(struct process *p);
/* l held: no member's parent is in the session but outside the group (POSIX: orphaned). `without` counts as gone. */
bool group_orphaned_locked(u32 pgid, const struct process *without);
/* p ends: SIGHUP and SIGCONT for groups with stopped jobs that nobody could continue any more. l held. */
void groups_after_end_locked(struct process *p);
void groups_leader_end(struct process *p); /* a session's leader ends: its terminal */
extern const struct tty_hooks linux_tty_hooks;
extern u32 stopped_count; /* atomic: processes that are stopped */
void groups_init(void);

/* --- exec.c / elf_load.c --------------------------------------------------------------- */
/* Let go of a file opened for execution (it keeps writers out); NULL is fine. */
void program_put(struct file *f);
struct file *program_get(struct file *f); /* another reference to one */
/* Replace the program of the current process by `name`, looked up from `at` (NULL: the working directory) with LOOKUP_EMPTY or
 * LOOKUP_NOFOLLOW; it and #! lines are told that it is `shown`. On success the task's frame `ret_frame`
 * holds the first registers of the new program. ret_why: a word on the cause, may be NULL. */
int exec_program(const char *name, const char *shown, const struct path *at, u32 lookup_flags, char *const *argv, char *const *envp,
                 struct trap_frame *ret_frame, const char **ret_why);

/* --- oom.c ------------------------------------------------------------------------------- */
void oom_init(void);
u32 oom_score(struct process *p); /* /proc/PID/oom_score */
s32 oom_old_adj(s32 adj);         /* oom_score_adj as /proc/PID/oom_adj has it */
/* oom_score_adj becomes word, by the old scale if `old`: lower than what somebody with CAP_SYS_RESOURCE gave it only with that (by the old name: than
 * it is). 0, -EINVAL, -EACCES; -EPERM: not in this kernel. */
int oom_adjust(struct process *p, const char *word, bool old);

/* --- signal.c ---------------------------------------------------------------------------- */
extern struct waitqueue signal_watchers;
int signal_send_process(struct process *p, const struct ksiginfo *info, struct posix_timer *timer);
int signal_send_task(struct task *t, const struct ksiginfo *info, struct posix_timer *timer);
s64 signal_send_group(u32 pgid, int sig, const struct ksiginfo *info); /* as kill(2), whose errors it has */
void signal_force(struct task *t, const struct ksiginfo *info); /* faults: cannot be blocked or ignored */
void signal_end(struct trap_frame *f, const struct ksiginfo *info); /* the current process by it, whatever its handler; may return: others do so */
void signal_send_self(int sig);                                  /* SIGPIPE and the like */
void siginfo_user(struct ksiginfo *i, int sig, int code);
/* Take one pending signal out of `mask`. 0 = none. sighand->lock held. */
int signal_dequeue_locked(struct task *t, u64 mask, struct ksiginfo *ret);
void signal_recalc_locked(struct task *t); /* set EXIT_SIGNAL when something is deliverable */
void signal_set_blocked(u64 mask);         /* of the current task */
/* ppoll and friends: mask for the duration of the call. */
int signal_mask_begin(uaddr_t set, u64 size);
void signal_mask_end(s64 result);
void signal_drop_ignored_locked(struct process *p, int sig); /* p and g held: after sigaction */
void signal_flush(struct process *p, struct sigpending *q);
bool signal_permitted(struct process *target, int sig);
/* May the caller look into the process (ptrace(2), "access mode checking")? */
bool process_access(struct process *p, bool real); /* as who one really is (calls), or as who goes through files (/proc) */
void signal_exec_reset(struct process *p);
void linux_exit_work(struct trap_frame *frame);
void linux_program_trap(struct trap_frame *frame, const struct trap_info *info, int err);
void signal_timer_detach(struct process *p, struct posix_timer *timer);
/* posix_timer.c: overrun count of a timer signal being taken. g held. */
s32 posix_timer_taken(struct posix_timer *t);
void posix_timers_done(struct process *p);
/* itimer.c */
void itimers_init(struct process *p);
void itimers_done(struct process *p);
/* When a timer that is due at `deadline` of its clock, CPU time or now_ns(), looks at it next; the second, when it has just fired. */
u64 timer_deadline(bool cpu_time, u64 deadline, u64 now);
u64 timer_next_deadline(bool cpu_time, u64 deadline, u64 now);

/* signal_x86_64.c: build the frame of a handler; -EFAULT when the stack has no room. */
int signal_push_frame(struct trap_frame *f, const struct ksigaction *act, const struct ksiginfo *info, u64 mask);
int signal_pop_frame(struct trap_frame *f);
void arch_init_program_frame(struct trap_frame *f, uaddr_t pc, uaddr_t sp);
/* A result that means "again": back to the instruction, with call number nr. */
void arch_restart_syscall(struct trap_frame *f, u64 nr);
size_t signal_min_stack(void);
extern const char arch_platform_name[];

/* crash.c: text of the report, heap, or NULL. */
char *crash_report(const struct trap_frame *f, const struct ksiginfo *info);

/* signal.c: must the current task, one of p, end? */
bool task_must_end(struct process *p);

/* freeze.c: keep the tasks of p, but not the current one, out of their program until process_thaw(). False: one was
 * still running after seconds; thaw all the same. May sleep. */
bool process_freeze(struct process *p);
void process_thaw(struct process *p);
void process_parks(struct task *t); /* the current task, while its process is frozen */

/* start.c: a first program that waits for a debugger (program_spec.wait_debugger) begins. */
void program_release(void);
bool debug_service_init(void); /* false: it was left out */

/* rseq.c: before the current task goes back to its program, or into a handler, with frame f; thread->told_cpu is set. */
void rseq_resume(struct task *t, struct trap_frame *f);
/* uring.c: its requests end. Before its memory and descriptors go. */
void uring_task_end(struct task *t);
bool file_is_uring(struct file *f);
void aio_init(void);

/* syscall.c: somebody more, or less, wants to see system calls (ptrace_syscall()). l held. */
void syscall_watch(bool on);
/* A call that does not return to where it came from (exec, sigreturn) is done. */
void syscall_done(void);
/* call_times.c: one more, or less, wants to know when calls begin and end; l held. The current task's does, while call_timers != 0; the end, if call_began_ns != 0. */
extern u32 call_timers; /* l, read without */
void syscall_time(bool on);
void call_begins(struct task *t, const struct trap_frame *f);
void call_ends(struct task *t);
/* trace_calls.c: before a call of the current task, while trace_calls_watched != 0; and after it, if that was true. */
extern u32 trace_calls_watched; /* l, read without: sessions that want records */
bool trace_call_entry(struct task *t, const struct trap_frame *f);
void trace_call_exit(struct task *t, const struct trap_frame *f);
/* The first program is not started by a call, but shown and counted as if; sp: its stack, as it begins. */
void trace_first_execve(const char *name, char *const *argv, u64 sp, u64 began_ns);
void trace_calls_init(void);
/* bpf_calls.c: programs at calls (kern/bpf.h). A call whose exit they want to see (task.program_call) is done. */
void bpf_call_exit(struct task *t);
void bpf_calls_init(void);
/* probe.c: programs at functions of programs: bpf_personality.attach and detach. */
int probe_attach(struct bpf_attach *a, const struct bpf_function_place *at, struct bpf_probe **ret_probe, const char **ret_why);
void probe_detach(struct bpf_attach *a, struct bpf_probe *p, bool returns);
void probes_init(void);
/* syscall.c: fn makes calls, in linux_syscall()'s place; l held. */
void syscall_make_by(void (*fn)(struct trap_frame *f));
/* syscall.c: count the call being made as missing (a part of it that is). */
void syscall_count_missing(void);
void linux_syscall(struct trap_frame *f);
void linux_syscall_trapped(struct trap_frame *f);

/* --- shared helpers of the sys_*.c files ---------------------------------------------------- */
/* An extensible structure (openat2, clone3): what the kernel does not know must be zero (-E2BIG). */
int copy_struct_from_user(void *dst, size_t dst_size, uaddr_t src, size_t size);
int get_timespec(uaddr_t addr, struct abi_timespec *ret); /* -EFAULT, -EINVAL when not normal */
int get_itimerspec(uaddr_t addr, struct abi_itimerspec *ret); /* the same for both */
u64 timespec_to_ns(const struct abi_timespec *t);         /* saturates below NEVER_NS */
struct abi_timespec ns_to_timespec(u64 ns);
int put_timespec(uaddr_t addr, u64 ns);
u64 deadline_after(u64 ns);                               /* now + ns, saturating */
/* A program's time limit as a deadline of now_ns(): a duration (0: a deadline of 0), or a time of that clock. Address 0: NEVER_NS.
 * -EFAULT, -EINVAL */
#define CLOCK_DURATION (-1)
int get_timeout(uaddr_t addr, int clock, u64 *ret_deadline);
/* Whose CPU time a clock is, referenced: a task of the current process', or a process'. -EINVAL */
int cpu_clock_of(int clock, struct task **ret_task, struct process **ret_proc);
/* Program's clock to now_ns() deadlines. */
int clock_now(int clock, u64 *ret_ns);
int clock_deadline(int clock, u64 abs_ns, u64 *ret_deadline);

/* restart_syscall(2) */
s64 futex_wait_restart(void);
s64 poll_restart(void);

/*
 * What a request of io_uring brings along where a call has descriptors and names: files that may have no number, and names that
 * were copied when it was submitted. The calls find them by numbers and addresses that mean nothing without task->given.
 */
struct given {
    struct file *files[2];
    char *names[2]; /* name_get() takes them over */
};
#define GIVEN_FD(i) (INT32_MIN + (i))
#define GIVEN_NAME(i) (~0ULL - (i))
bool given_name_empty(uaddr_t addr);       /* it is a given name, and "" */

/* A path argument: a kernel copy. -ENOENT: it is "" (not with LOOKUP_EMPTY). Free with name_put(). */
int name_get(uaddr_t addr, u32 lookup_flags, char **ret);
void name_put(char *name);
/* Directory of an *at() call as a lookup. Release with at_done(). */
struct at {
    struct lookup l;
    struct path nameless; /* where `file` has no place of its own */
    struct file *file;
};
/* A file without a name (memfd_create(2), a pipe) is a place for "" alone (AT_EMPTY_PATH). -EBADF, -ENOMEM */
int at_begin(int dirfd, const char *name, struct at *ret);
void at_done(struct at *a);
int path_at(int dirfd, uaddr_t name, u32 lookup_flags, struct path *ret);
int path_at_as(int dirfd, uaddr_t name, u32 lookup_flags, const struct cred *cred, struct path *ret);
/* That of an open descriptor: referenced. -EBADF, -EINVAL: it has no name in the tree. o_path: one opened with O_PATH has one, too. */
int path_of_fd(int fd, bool o_path, struct path *ret);
/* The open file behind a descriptor, referenced. NULL: none, or, but for the second, one that stands for a place only (O_PATH). */
struct file *file_of(int fd);
struct file *any_file_of(int fd);

/* file locks (locks.c) */
s64 lock_fcntl(struct file *f, int fd, u32 cmd, uaddr_t arg);
size_t locks_show(void *arg, char *buf, size_t size); /* /proc/locks (proc(5)): a proc_show_fn */
void locks_file_closed(struct file *f, struct process *p); /* a descriptor of f went away (NULL: all): POSIX locks go */

void file_watch_end(struct file *f); /* what this file has here (locks, sigio) goes with its last reference */

/* sigio.c */
int sigio_set(struct file *f, int fd, bool on); /* -ENOTTY: nothing of the kind can happen to it */
void sigio_file_gone(struct file *f);
s64 sigio_fcntl(struct file *f, int fd, u32 cmd, u64 arg);

extern u32 posix_lock_count; /* atomic: locks held; 0 makes close() short */
/* splice.c: splice(2) with the offsets themselves (~0: the file's own position), and tee(2) */
s64 splice_at(int in_fd, u64 in_off, int out_fd, u64 out_off, u64 len, u32 flags);
s64 tee_at(int in_fd, int out_fd, u64 len, u32 flags);
/* sys_io.c: SIGPIPE for -EPIPE. */
s64 write_result(s64 r);
/* A function from file to file with the program's offsets, read and written back; NULL: the file's own position. */
s64 with_user_offsets(uaddr_t in_off, uaddr_t out_off, s64 (*fn)(struct file *in, u64 *in_off, struct file *out, u64 *out_off, u64 len), int in_fd, int out_fd, u64 len);
struct open_how { u64 flags, mode, resolve; };
int open_how_get(uaddr_t uhow, u64 size, struct open_how *ret);
s64 open_as(int dirfd, uaddr_t name, const struct open_how *how); /* openat2(2) */
/* For clients outside, to be read: a plain file as t sees it, by an absolute name. Others (/proc, /dev) may ask who the caller is, and it is nobody.
 * lookup: LOOKUP_*. -EACCES: not a plain one; -ENOENT also where t has no directories any more. */
int open_plain(struct task *t, const char *name, u32 lookup, const struct cred *cred, struct file **ret);
/* Two new descriptors, written to `ufds` (pipe, socketpair). References move in. */
s64 install_pair(struct file *pair[2], bool cloexec, uaddr_t ufds);

/* socket glue (sys_socket.c) */
struct sock;
struct sock *file_sock(struct file *f);

/* vdso (vdso_map.c) */
int vdso_map(struct addrspace *as, uaddr_t *ret_base);
void vdso_clock_changed(void);
void time_wall_changed(bool set); /* wall_changed (kern/timer.h) */

void profile_init(void);
void proc_lockstat_init(void);
void cpuinfo_init(void);
void file_max_init(void); /* file_max.c */
/* /proc/PID/maps; the length needed. */
size_t linux_show_maps(u32 pid, char *buf, size_t size);
void sysctl_init(void);
/* loadavg.c */
void loadavg_init(void);
void loadavg_go_on(void);         /* a CPU is or was awake. Bottom half */
void load_averages(u64 ret[3]);   /* of 1, 5 and 15 minutes, as sysinfo(2) has it: times 65536 */
u32 tasks_running(void);          /* that run or want to. Takes l and p */
void sysctl_add(const char *name, u32 *value); /* a number in /proc/sys, read and written atomically */
/* What is written there: a number from min to max, perhaps with a blank or a newline behind it. 0, -EINVAL, -ERANGE. */
int sysctl_number(const char *text, size_t len, u64 min, u64 max, u64 *ret);
void inotify_glue_init(void);
void sysv_ipc_init(void);
void mqueue_init(void);
void futex_glue_init(void);
void sem_process_exit(struct process *p); /* sysv_sem.c: SEM_UNDO */
void socket_glue_init(void);
void proc_pid_init(void);
u64 rlimit_of(struct process *p, unsigned which);

#endif
