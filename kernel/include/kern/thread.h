/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Threads and their scheduling. 1:1: a program thread is a kernel thread whose
 * function enters the program. Per-CPU run queues; real-time classes first, then
 * fair by virtual runtime; tickless.
 *
 * States, and who moves them:
 *   NEW -> READY           thread_start()
 *   READY -> RUNNING       the scheduler
 *   RUNNING -> BLOCKING    thread_prepare_block() (still running; a wake undoes it)
 *   BLOCKING -> BLOCKED    thread_block()
 *   BLOCKING|BLOCKED -> READY/RUNNING   thread_wake(), deadline
 *   RUNNING -> DEAD        thread_exit(); freed by the last thread_put()
 */
#ifndef KERN_THREAD_H
#define KERN_THREAD_H

#include "base/list.h"
#include "base/rbtree.h"
#include "kern/arch.h"
#include "kern/atomic.h"
#include "kern/lock.h"
#include "kern/percpu.h"
#include "kern/timer.h"

#ifndef KSTACK_SIZE /* plat/impl.h may want more: sanitizers do */
#define KSTACK_SIZE (16 * 1024UL) /* plus an unmapped guard page below */
#endif

enum thread_state { THREAD_NEW, THREAD_READY, THREAD_RUNNING, THREAD_BLOCKING, THREAD_BLOCKED, THREAD_DEAD };

/* exit_work bits: why the thread must not return to its program just yet. */
#define EXIT_SIGNAL 1u  /* the personality has a signal (or an end) for it */
#define EXIT_TRACE 2u
#define EXIT_KILL 4u    /* the thread must end; interrupts every interruptible wait */
#define EXIT_RSEQ 16u   /* its program lost the CPU between two instructions, or got another one, and wants to know (told_cpu) */
#define EXIT_NOWAIT 8u  /* set by the thread itself around what may not wait: an interruptible wait ends as if interrupted */

/* Linux's scheduling policies (sched(7)) */
#define POLICY_OTHER 0
#define POLICY_FIFO 1
#define POLICY_RR 2
#define POLICY_BATCH 3
#define POLICY_IDLE 5

struct addrspace;

/* Locks: c const after creation, o owner thread only, q its run queue's lock,
 * a atomic. */
struct thread {
    struct arch_context ctx;      /* q */
    void *kstack;                 /* c: lowest byte; size KSTACK_SIZE */
    u32 exit_work;                /* a: EXIT_* ; entry code tests it */
    u32 state;                    /* q, read without: enum thread_state */
    u32 interruptible;            /* q: EXIT_* bits with which thread_interrupt() may end the present block */
    bool user;                    /* c: runs a program */
    bool on_rq;                   /* q */
    bool timed_out;               /* q: the last block ended by its deadline */
    u32 cpu;                      /* q: where it runs or ran last */
    void *fpu;                    /* c: arch_fpu_size() bytes, user threads only */
    struct fpu_file *fpu_file;    /* o: the registers that hold the state, or NULL */
    u8 fpu_eager, fpu_eager_next; /* o: so many more times its state is loaded before it is used; and when that traps next */
    u32 debug_hits;               /* a: points (kern/trap.h) that the kernel got to on its behalf: bit n for the n-th */
    struct arch_tls tls;          /* o */
    struct addrspace *as;         /* o: NULL for kernel threads */
    void *task;                   /* o: the personality's (struct task) */
    const char *wait_reason;      /* o: for ps and top */
    u64 calls;                    /* o, read without: system calls so far */
    u64 disk_read, disk_written, disk_cancelled; /* o, read without: bytes of files that a device or a host has: fetched, made dirty, cut off before they were written */
    u32 told_cpu;                 /* o, q: 1 + the CPU that its program was told (rseq.c); 0: it did not ask */

    u8 policy, rt_prio;           /* q: its own */
    u8 boost;                     /* q: a real-time priority lent to it (futex_pi.c), or 0 */
    s8 nice;                      /* q */
    u32 weight;                   /* q: from nice */
    u64 affinity;                 /* q: CPU mask */
    u64 vruntime_ns;              /* q */
    u64 exec_start_ns;            /* q: when it got the CPU */
    u64 ready_ns;                 /* q: when it became READY, while thread_waited is set; else 0 */
    u64 cpu_ns;                   /* q: total CPU time; thread_cpu_ns() adds the running slice */
    u64 switches_voluntary, switches_forced; /* q */
    struct rb_node rq_node;       /* q */
    struct list rt_node;          /* q */
    struct ktimer block_timer;    /* o */
    void (*fn)(void *);           /* c */
    void *arg;                    /* c */

    struct pi_waiter *pi_blocked; /* futex_pi.c's lock, as the next two */
    struct list pi_waiters;
    bool pi_ended;

    struct refcount refs;
    u32 id;                       /* c: kernel-wide, unique */
    char name[16];                /* o, read without */
    struct list all_node;         /* all-threads lock */
};

/* Create, not yet started. fn(arg) runs on its own stack; returning = thread_exit().
 * `user` allocates FPU state. -ENOMEM. The caller holds one reference. */
int thread_create(const char *name, void (*fn)(void *), void *arg, bool user, struct thread **ret_thread);
void thread_start(struct thread *t);
NORETURN void thread_exit(void);
static inline struct thread *thread_get(struct thread *t) { ref_get(&t->refs); return t; }
void thread_put(struct thread *t);

/* Blocking. The protocol: thread_prepare_block(); test the condition; thread_block(). */
void thread_prepare_block(bool interruptible);
/* The present block ends by the thread's end only, not by signals. Right after thread_prepare_block(true). */
static inline void thread_block_killable(void) { current_thread()->interruptible = EXIT_KILL; }
void thread_cancel_block(void);
/* 0 woken, -ETIMEDOUT, -ERESTARTSYS (interruptible and exit_work pending). */
int thread_block(u64 deadline_ns);
void thread_wake(struct thread *t);       /* any context */
/* Set exit_work bits and end an interruptible block. Any context. */
void thread_interrupt(struct thread *t, u32 exit_bits);
static inline bool thread_interrupted(void)
{
    return (atomic_load_relaxed(&current_thread()->exit_work) & (EXIT_SIGNAL | EXIT_KILL)) != 0;
}
/* Called on the thread's own stack, events enabled, after each block that gave up the CPU, with the time at which it did; 0: that
 * was before this was set. NULL: nobody wants to know. Atomic. */
extern void (*thread_slept)(u64 since_ns);
/* Until thread_nowait_end(), the current thread's interruptible waits end at once with -ERESTARTSYS. */
static inline bool thread_nowait_begin(void)
{
    return (atomic_or(&current_thread()->exit_work, EXIT_NOWAIT) & EXIT_NOWAIT) == 0;
}
/* `began`: what thread_nowait_begin() returned; they nest. */
static inline void thread_nowait_end(bool began)
{
    if (began)
        atomic_and(&current_thread()->exit_work, ~EXIT_NOWAIT);
}
/* Called in each switch, events disabled, a run queue locked: so long has the thread that comes in been READY. NULL: nobody wants to know. Atomic. */
extern void (*thread_waited)(u64 ns);
/* Called in each switch from the idle thread, events disabled, this CPU's run queue locked. NULL: nobody wants to know. Atomic. */
extern void (*cpu_awakes)(void);
/* 0 at the deadline, -ERESTARTSYS when interruptible and interrupted. */
int thread_sleep_until(u64 deadline_ns, bool interruptible);

void sched_init(void);                    /* boot CPU; makes the caller its idle thread */
/* Other CPUs will come. Before there is a program thread: from then on the CPU keeps no state of threads that are switched out. */
void sched_expect_cpus(void);
bool cpu_online(unsigned number);         /* it runs threads and answers kicks; once true, for good */
void sched_init_cpu(unsigned cpu);
void sched_yield_cpu(void);               /* sched_yield(2) */
void sched_resched(void);                 /* give way if need_resched; thread context, events enabled */
bool cond_resched(void);                  /* the same inside long loops; false: the thread must end, which waits for this one */
NORETURN void sched_idle_loop(void);
void cpu_kicked(void);                    /* plat: this CPU got a kick */

int thread_set_policy(struct thread *t, u8 policy, u8 rt_prio);
void thread_set_nice(struct thread *t, int nice);
int thread_set_affinity(struct thread *t, u64 mask);
u64 thread_cpu_ns(struct thread *t);
/* It is on no CPU, and what it had in registers lies in memory. As long as somebody else sees to that. Any context. */
bool thread_at_rest(struct thread *t);
/* fn(arg) on each CPU in turn: the caller, a thread, goes there. */
void sched_on_each_cpu(void (*fn)(void *arg), void *arg);
/* How long CPU `cpu` has been idle since the machine started. */
u64 cpu_idle_ns(unsigned cpu);
/* Load another address space on the current thread (exec, exit). A thread that drops its
 * reference to one switches to NULL first: kernel threads run on what is loaded. */
void thread_switch_as(struct addrspace *as);
/* Save live FPU state of `t` to t->fpu, whole, to be read; t is current or not running. */
void thread_fpu_sync(struct thread *t);
/* Make the CPU forget live FPU state: from here on t->fpu may be changed, and is loaded before the program goes on. */
void thread_fpu_reload(struct thread *t);
/* t->fpu becomes what a program starts with. */
void thread_fpu_reset(struct thread *t);
/* Load FPU state if another owner's is live. Called by trap_before_program(), events disabled. */
void thread_fpu_before_program(void);
/* The platform is about to give this CPU other registers: whoever's state is live in these gets it saved. They keep what they have
 * until this CPU has them again. Events disabled. */
void thread_fpu_leave(struct fpu_file *to);
/* A program used the FPU and it trapped. False = not because of us. Events disabled. */
bool thread_fpu_trapped(void);

/* Return addresses on the kernel stack of a thread that sleeps, innermost first, and since when. Count; 0: it does not. Any context. */
unsigned thread_sleeping_frames(struct thread *t, u64 *ret_pcs, unsigned max, u64 *ret_since_ns);

/* Walk all threads under the list lock (no sleeping in fn). */
void thread_for_each(void (*fn)(struct thread *t, void *ctx), void *ctx);

#endif
