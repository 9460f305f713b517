/* SPDX-License-Identifier: Apache-2.0 */
/* In place of ptrace*.c and debug_service.c: nobody traces anybody. */
#include "ptrace.h"

void ptrace_init(void) {}
bool debug_service_init(void) { return false; }
int ptrace_signal(struct task *t, struct ksiginfo *info) { return info->signo; }
bool ptrace_stop_wanted(struct task *t) { return false; }
bool debug_points_hit(const struct task *t, u32 hits, struct ksiginfo *ret) { return false; }
int debug_points_of_task(struct process *p, const struct trap_point old[TRAP_POINTS], const struct trap_point new[TRAP_POINTS]) { return 0; }
bool debug_points_there(void) { return false; }
void debug_points_mute(struct process *p, const struct trap_point these[TRAP_POINTS], bool on) {}
bool ptrace_runs_on(struct task *t) { return false; }
void ptrace_syscall(struct task *t, enum syscall_place place) {}
bool ptrace_event(struct task *t, unsigned event, u64 message) { return false; }
void ptrace_exec(struct task *t, u32 old_tid) {}
int ptrace_inherit(struct task *t, const struct clone_args *a, unsigned *ret_event) { return 0; }
void ptrace_forget(struct task *t) {}
void ptrace_task_ended(struct task *t) {}
bool ptrace_keeps_locked(struct process *p) { return false; }
bool ptrace_kept_locked(const struct process *p) { return false; }
bool ptrace_traced_by_locked(const struct process *p, const struct process *by) { return false; }
u32 ptrace_tracer_pid(const struct task *t) { return 0; }
bool ptrace_is_stopped_locked(const struct task *t) { return false; }
void ptrace_let_go_locked(struct tracee *tr, struct list *gone) {}
void ptrace_free(struct list *gone) {}
void ptrace_told_end_locked(struct tracee *tr, struct list *gone, struct list *gone_processes) {}
void ptrace_tracer_ends_locked(struct process *p, struct list *gone, struct list *gone_processes) {}
