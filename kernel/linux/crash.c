/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The report of a program that a signal ended: what, where, the registers, and the
 * callers as far as frame pointers lead. Addresses are given as file+offset, which
 * addr2line and gdb take.
 */
#include "task.h"
#include "arch_linux.h"
#include "base/fmt.h"

#define REPORT_SIZE 4000
#define MAX_CALLERS 16

static const char signal_names[][8] = {
    "", "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE", "ALRM",
    "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ", "VTALRM", "PROF",
    "WINCH", "IO", "PWR", "SYS",
};

/* "libc.so.6+0x1234", "[heap]+0x10", or nothing for an unmapped address. */
static void add_place(struct text *t, u64 pc)
{
    char name[128];
    struct addrspace *as = current_thread()->as;
    rwmutex_read_lock(&as->lock);
    struct vma *v = as_find(as, pc, false);
    struct file *f = NULL;
    u64 off = 0;
    if (v != NULL) {
        off = pc - v->start + (v->pgoff << PAGE_SHIFT);
        if (v->ops == &file_vma_ops && v->object != NULL)
            f = file_get(v->object);
    }
    rwmutex_read_unlock(&as->lock);
    if (f != NULL) {
        if (file_name(current_task()->fs, f, name, sizeof name) >= 0)
            text_add(t, "  %s+0x%lx", name, (unsigned long)off);
        file_put(f);
    } else if (v == NULL) {
        text_add(t, "  (not mapped)");
    }
}

char *crash_report(const struct trap_frame *f, const struct ksiginfo *info)
{
    struct text t = {kmalloc(REPORT_SIZE, 0), REPORT_SIZE, 0};
    struct task *task = current_task();
    if (t.buf == NULL)
        t.buf = kmalloc(REPORT_SIZE, ALLOC_ATOMIC); /* from the reserve: out of memory is what to report, most likely */
    if (t.buf == NULL) {
        if (linux_notice != NULL)
            linux_notice("the program ended, and there was no memory for a report");
        return NULL;
    }
    int sig = info->signo;
    if (task->out_of_memory)
        text_add(&t, "%s (tid %u) was ended: out of memory at address 0x%lx\n", task->thread->name, task->tid,
                 (unsigned long)info->fault.addr);
    else if (info->code == SI_USER || info->code == SI_TKILL)
        text_add(&t, "%s (tid %u) was ended by SIG%s (%d), sent by pid %d\n", task->thread->name, task->tid,
                 sig < SIGRTMIN ? signal_names[sig] : "RT", sig, info->rt.pid);
    else
        text_add(&t, "%s (tid %u) was ended by SIG%s (%d), code %d, address 0x%lx\n", task->thread->name, task->tid,
                 sig < SIGRTMIN ? signal_names[sig] : "RT", sig, info->code, (unsigned long)info->fault.addr);
    text_add(&t, "at 0x%lx", (unsigned long)FRAME_PC(f));
    add_place(&t, FRAME_PC(f));
    text_add(&t, "\n");
    if (t.len < REPORT_SIZE)
        t.len += arch_show_registers(f, t.buf + t.len, REPORT_SIZE - t.len);
    u64 fp = FRAME_FP(f), last = FRAME_SP(f), words[2];
    for (unsigned i = 0; i < MAX_CALLERS && fp >= last && IS_ALIGNED(fp, 8); i++) {
        if (copy_from_user(words, fp, sizeof words) < 0 || words[1] < PLAT_USER_MIN || words[1] >= PLAT_USER_MAX)
            break;
        text_add(&t, "called from 0x%lx", (unsigned long)words[1]);
        add_place(&t, words[1]);
        text_add(&t, "\n");
        last = fp + 16;
        fp = words[0];
    }
    return t.buf;
}
