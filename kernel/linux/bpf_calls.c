/* SPDX-License-Identifier: Apache-2.0 */
/*
 * eBPF programs at system calls (kern/bpf.h), and what they ask of Linux. While a program hangs at any call, bpf_syscall() stands in
 * linux_syscall()'s place; else the path of a call has no instruction for it.
 */
#include "abi/bpf.h"
#include "arch_linux.h"
#include "kern/bpf.h"
#include "task.h"

static struct bpfd_event event_of(void) { return (struct bpfd_event){ .pid = (s32)current_task()->tid }; }

/* By a program for which a context is made. */
static bool wanted(const struct bpf_calls *calls, u64 nr)
{
    return atomic_load_relaxed(&calls->all[false]) != NULL || (nr < BPF_CALLS && atomic_load_relaxed(&calls->one[false][nr]) != NULL);
}

static void run_at(const struct bpf_calls *calls, u64 nr, const void *ctx)
{
    if (atomic_load_relaxed(&calls->all[false]) != NULL)
        bpf_run(&calls->all[false], ctx, NULL);
    if (nr < BPF_CALLS && atomic_load_relaxed(&calls->one[false][nr]) != NULL)
        bpf_run(&calls->one[false][nr], ctx, NULL);
}

/* bpf_syscall() has run what is at all entries and wants no context. */
static void slow_call(struct trap_frame *f)
{
    u64 nr = FRAME_SYSCALL_NR(f);
    if (wanted(&bpf_call_entries, nr)) {
        struct bpfd_call_entry_ctx ctx = { event_of(), (s64)nr, { FRAME_ARG0(f), FRAME_ARG1(f), FRAME_ARG2(f), FRAME_ARG3(f), FRAME_ARG4(f), FRAME_ARG5(f) } };
        run_at(&bpf_call_entries, nr, &ctx);
    }
    if (nr < BPF_CALLS && atomic_load_relaxed(&bpf_call_entries.one[true][nr]) != NULL)
        bpf_run(&bpf_call_entries.one[true][nr], f, NULL);
    if (wanted(&bpf_call_exits, nr))
        current_task()->program_call = (u32)nr + 1;
    linux_syscall(f);
    if (current_task()->program_call != 0)
        bpf_call_exit(current_task());
}

void bpf_call_exit(struct task *t)
{
    const struct trap_frame *f = thread_frame(t->thread);
    u32 nr = t->program_call - 1;
    t->program_call = 0;
    struct bpfd_call_exit_ctx ctx = { event_of(), nr, (s64)FRAME_RESULT(f), { FRAME_ARG0(f), FRAME_ARG1(f), FRAME_ARG2(f), FRAME_ARG3(f), FRAME_ARG4(f),
                                      FRAME_ARG5(f) } };
    run_at(&bpf_call_exits, nr, &ctx);
}

static void watch_calls(void)
{
    spin_lock_bh(&process_list_lock);
    syscall_make_by(atomic_load(&bpf_calls_used) != 0 ? bpf_syscall : linux_syscall);
    spin_unlock_bh(&process_list_lock);
}

static u64 uid_gid(void)
{
    const struct task *t = current_thread()->task;
    return t != NULL ? (u64)t->cred->gid << 32 | t->cred->uid : 0;
}

static s64 areas(u32 pid, char *buf, size_t size)
{
    struct task *t = process_task_find(pid);
    bool there = t != NULL;
    task_put(t);
    return there ? (s64)linux_show_maps(pid, buf, size) : -ESRCH;
}

void bpf_calls_init(void)
{
    static const struct bpf_personality linux_personality = { arch_bpf_call_words, linux_syscall, slow_call, watch_calls, uid_gid, arch_bpf_registers,
                                                               probe_attach, probe_detach, areas };
    probes_init();
    bpf_personality = &linux_personality;
}
