/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tasks that another process traces (ptrace(2)): what signal.c, wait.c, clone.c and exec.c ask of ptrace.c. Everything here is
 * behind task_traced(), so a task that nobody traces pays one test where it is on its way out anyway.
 *
 *   P1  t->tracee is set and cleared under the process list lock l, as is every field of struct tracee. A traced task is on the
 *       `tracees` of a LIVE process: whoever ends lets its tracees go before it becomes a ZOMBIE.
 *   P2  A task stops itself and nobody else does. While it is stopped its frame, FPU state and TLS lie in memory and are
 *       the tracer's, within ptrace_hold() and ptrace_release(); it does not go on while it is held. It is told to be stopped while it
 *       still has a CPU, and may have one for a while whenever stop_wq is woken. So its TLS is kept where no switch saves it.
 *   P3  A task that must end does not stay stopped.
 *   P4  A process that is traced by another one than its parent is shown to the parent as ended only when the tracer has seen it, or
 *       is gone.
 *   P5  The end of a task other than the first is told before the process can be a ZOMBIE, whoever of them is the last. The first
 *       task's is told with the process'; if another one executes a program in its place, never.
 * Tracing is by process: any thread of the tracer may make requests (Linux: the one that attached).
 */
#ifndef LINUX_PTRACE_H
#define LINUX_PTRACE_H

#include "kern/trap.h"
#include "task.h"

#define PTRACE_EVENT_FORK 1
#define PTRACE_EVENT_VFORK 2
#define PTRACE_EVENT_CLONE 3
#define PTRACE_EVENT_EXEC 4
#define PTRACE_EVENT_VFORK_DONE 5
#define PTRACE_EVENT_EXIT 6
#define PTRACE_EVENT_SECCOMP 7
#define PTRACE_EVENT_STOP 128

#define PTRACE_O_TRACESYSGOOD 1u
#define PTRACE_O_EVENT(event) (1u << (event)) /* FORK to SECCOMP */
#define PTRACE_O_EXITKILL (1u << 20)
#define PTRACE_O_KNOWN (0xffu | PTRACE_O_EXITKILL)

enum resume_how { RESUME_CONT, RESUME_SYSCALL, RESUME_STEP, RESUME_LISTEN };
enum syscall_place { PLACE_NONE, PLACE_ENTRY, PLACE_EXIT, PLACE_SECCOMP };

struct tracee {
    struct task *task;       /* referenced */
    struct process *tracer;
    struct list node;        /* tracer->tracees */
    u32 options;
    bool seized;
    bool stopped, unseen;    /* unseen: wait() has not told */
    bool held;               /* P2 */
    bool listening;          /* stopped by PTRACE_LISTEN: a SIGCONT is told, nothing resumes it else */
    bool interrupt;          /* to be stopped by PTRACE_INTERRUPT, or as a new SEIZEd child */
    bool ran_on;             /* the tracer let it run although its process is stopped */
    bool watched;            /* counted by syscall_watch() */
    bool ended;              /* its task has; wait() has not told */
    u8 how;                  /* enum resume_how */
    u8 place;                /* enum syscall_place of the present stop */
    u32 code;                /* of the stop: signal | event << 8 */
    u64 message;             /* PTRACE_GETEVENTMSG */
    u64 debug[8];            /* the debug registers as ptrace_x86_64.c keeps them */
    u64 was[TRAP_POINTS];    /* what was there when a step began that goes without them: */
    bool stepping_blind;
    struct ksiginfo *info;   /* of the stop: the task's own, NULL for group stops */
    int exit_code, exit_signal;
    u32 nframes;             /* where in the kernel it slept when debug_service.c interrupted it: return addresses */
    u64 frames[24];
};

static inline bool task_traced(const struct task *t) { return unlikely(atomic_load_relaxed(&t->tracee) != NULL); }

void ptrace_init(void);
/* Signal `info` is about to be delivered to the current task: stop and tell. What to deliver instead; 0 = nothing. */
int ptrace_signal(struct task *t, struct ksiginfo *info);
/* Stops of other causes that the current task is to make; true if it made one. */
bool ptrace_stop_wanted(struct task *t);
/* debug_points.c: the current task t was stopped by points that are hit (bit n for the n-th; 0 by a step) and concern it: *ret says so. */
bool debug_points_hit(const struct task *t, u32 hits, struct ksiginfo *ret);
/* Those that the kernel got to on behalf of t, the current task, become its signals. */
void debug_points_deliver(struct task *t);
/* Points in the registers of one task of p. -EINVAL, -ENOSPC: no room, or another process has them. What was there stays then. */
int debug_points_of_task(struct process *p, const struct trap_point old[TRAP_POINTS], const struct trap_point new[TRAP_POINTS]);
bool debug_points_there(void); /* can there be any? */
void debug_points_mute(struct process *p, const struct trap_point these[TRAP_POINTS], bool on); /* some that are set do nothing, or do again */
/* Its process is stopped, but the tracer wants the task to run. */
bool ptrace_runs_on(struct task *t);
/* Before and after the current task's system call. */
void ptrace_syscall(struct task *t, enum syscall_place place);
/* An event of the current task, if the tracer asked for it: did it? */
bool ptrace_event(struct task *t, unsigned event, u64 message);
/* After execve(); `old_tid` is what the task was before it took its process' number. */
void ptrace_exec(struct task *t, u32 old_tid);
/* The current task makes t: trace it as well, if asked for. *ret_event is the event to tell, or 0. -ENOMEM */
int ptrace_inherit(struct task *t, const struct clone_args *a, unsigned *ret_event);
/* The tracer, if any, forgets a task that was never started, or whose number another one takes by exec. */
void ptrace_forget(struct task *t);
/* A task has ended and is still counted among its process'. Its tracer, if any, is told, but for the first task's (P5). */
void ptrace_task_ended(struct task *t);
/* l held: p has ended. True: its tracer has to be told first (P4). */
bool ptrace_keeps_locked(struct process *p);
/* l held: is p kept from its parent so? */
bool ptrace_kept_locked(const struct process *p);
/* l held: is p's first task traced by `by`? */
bool ptrace_traced_by_locked(const struct process *p, const struct process *by);
u32 ptrace_tracer_pid(const struct task *t);
bool ptrace_is_stopped_locked(const struct task *t); /* l */

/* What it traces under this number, alive. l held. */
struct tracee *ptrace_find_locked(const struct process *tracer, u32 tid);
/* The same if it is stopped, for as long as it is held (P2). One caller at a time. NULL: -ESRCH. */
struct tracee *ptrace_hold(const struct process *tracer, u32 tid);
void ptrace_release(struct tracee *tr);

/* l held: take it from its tracer; ptrace_free() later, without l. */
void ptrace_let_go_locked(struct tracee *tr, struct list *gone);
void ptrace_free(struct list *gone);
void ptrace_tracer_ends_locked(struct process *p, struct list *gone, struct list *gone_processes);
/* t gets a tracer. -ENOMEM, -EPERM: it has one, or ends. */
int ptrace_attach(struct task *t, struct process *tracer, bool seize, u32 options);
void ptrace_interrupt_locked(struct tracee *tr); /* PTRACE_INTERRUPT, l held */
/* l held: its end has been told; as let_go. A process that was kept (P4) is shown to its parent, or goes to gone_processes. */
void ptrace_told_end_locked(struct tracee *tr, struct list *gone, struct list *gone_processes);
void ptrace_resume(struct tracee *tr, enum resume_how how, int sig); /* held and stopped */

#define NT_PRSTATUS 1u
#define NT_PRFPREG 2u
#define NT_X86_XSTATE 0x202u

/* ptrace_x86_64.c. The task is held, or the current one. */
s64 ptrace_get_regset(struct task *t, u32 type, void *buf, size_t size); /* bytes, or -EINVAL */
s64 ptrace_set_regset(struct task *t, u32 type, const void *buf, size_t size);
size_t ptrace_regset_size(u32 type); /* 0: unknown */
s64 ptrace_peek_user(struct task *t, u64 offset, u64 *ret); /* -EIO */
s64 ptrace_poke_user(struct task *t, u64 offset, u64 value);
/* l held: points that are hit: are they in its debug registers? Those tell. f: of the task, which runs. */
bool ptrace_debug_hit(struct tracee *tr, u32 hits, const struct trap_point points[TRAP_POINTS], struct trap_frame *f);
void ptrace_debug_clear(struct tracee *tr); /* l held */
void ptrace_debug_stopped(struct tracee *tr); /* l held */
void ptrace_set_step(struct task *t, bool on);
void ptrace_show_syscall_entry(struct trap_frame *f); /* the result is -ENOSYS until the call is made */

#endif
