/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Programs of clients at instructions of programs' files and at the return of functions (kern/bpf.h), by breakpoints (kern/textbreak.h). One probe for
 * each instruction, however many programs hang there. While there is one, program_trap() stands in linux_program_trap()'s place.
 *
 * Lock: probes_lock, a sleeping one, is held (for reading) while programs run, so a probe that was taken out is no longer in use:
 * probes_lock > as->lock, mapping->lock.
 */
#include "abi/bpf.h"
#include "arch_linux.h"
#include "base/str.h"
#include "kern/bpf.h"
#include "kern/pagecache.h"
#include "kern/slab.h"
#include "kern/textbreak.h"
#include "task.h"

struct bpf_probe {
    struct list node;                    /* probes_lock, as the rest */
    struct text_break at;
    struct file *file;                   /* keeps the mapping */
    struct bpf_attach *entries, *returns;
    u32 users;
    bool begins;                         /* a function */
};

static struct rwmutex probes_lock;
static struct list probes = LIST_INIT(probes); /* probes_lock */

/* --- threads that come there ------------------------------------------------------------------- */

static void run_entries(struct bpf_probe *p, const struct trap_frame *f)
{
    struct bpfd_regs_ctx ctx;
    u64 caller = 0;
    arch_bpf_registers(f, &ctx);
    if (p->begins && get_user_u64(FRAME_SP(f), &caller) == 0)
        caller = return_true(FRAME_SP(f), caller);
    bpf_run_at_entry(&p->entries, &ctx, caller);
}

/* False: there is no probe. */
static bool entered(struct trap_frame *f)
{
    u8 byte;
    FRAME_PC(f)--; /* it is behind the breakpoint */
    rwmutex_read_lock(&probes_lock);
    struct text_break *b = text_break_at(FRAME_PC(f));
    struct bpf_probe *p = b != NULL ? container_of(b, struct bpf_probe, at) : NULL;
    if (p != NULL) {
        if (p->entries != NULL)
            run_entries(p, f);
        if (p->returns != NULL && return_watch(FRAME_SP(f), FRAME_PC(f), p) != 0)
            bpf_missed(&p->returns);
        if (!text_break_pass(b, f))
            bpf_missed(&p->entries);
    }
    rwmutex_read_unlock(&probes_lock);
    if (p == NULL && (copy_from_user(&byte, FRAME_PC(f), 1) != 0 || byte == ARCH_BREAK))
        FRAME_PC(f)++; /* none of ours, not even of a moment ago */
    else
        return true;
    return false;
}

/* A function that was watched has returned to the trampoline. */
static bool returned(struct trap_frame *f)
{
    struct bpfd_regs_ctx ctx;
    void *who = NULL;
    uaddr_t pc = FRAME_PC(f) - 1;
    bool known;
    rwmutex_read_lock(&probes_lock);
    while ((known = return_take(FRAME_SP(f), &who, &pc))) {
        const struct bpf_probe *p = who;
        bool more = return_is_trampoline(pc);
        FRAME_PC(f) = more ? return_true(FRAME_SP(f) - sizeof(u64), pc) : pc;
        arch_bpf_registers(f, &ctx);
        if (p != NULL)
            bpf_run(&p->returns, &ctx, NULL);
        if (!more)
            break;
    }
    rwmutex_read_unlock(&probes_lock);
    return known;
}

static void program_trap(struct trap_frame *f, const struct trap_info *info, int err)
{
    bool ours = info->kind == TRAP_BREAKPOINT && (return_is_trampoline(FRAME_PC(f) - 1) ? returned(f) : entered(f));
    if (!ours)
        linux_program_trap(f, info, err);
    else if (FRAME_STEPPING(f)) /* by a debugger: that was one */
        linux_program_trap(f, &(struct trap_info){ .kind = TRAP_DEBUG }, 0);
}

/* --- attaching --------------------------------------------------------------------------------------- */

/* Of the root's file system, as the first process sees it. */
static int open_file(const char *path, struct file **ret)
{
    struct task *t = process_task_find(1);
    int r = t == NULL ? -ENOENT : open_plain(t, path, LOOKUP_NO_XDEV, &kernel_cred, ret);
    task_put(t);
    return r;
}

static struct bpf_probe *find(const struct mapping *m, u64 offset)
{
    list_for_each(p, &probes, struct bpf_probe, node)
        if (p->at.mapping == m && p->at.offset == offset)
            return p;
    return NULL;
}

/* The probe there; the file's reference moves in. */
static int get_probe(struct file *file, u64 offset, struct bpf_probe **ret)
{
    struct mapping *m = file->inode->data;
    struct bpf_probe *p = find(m, offset);
    if (p != NULL) {
        file_put(file);
    } else {
        p = kzalloc(sizeof(*p));
        int r = -ENOMEM;
        if (p != NULL) {
            p->file = file;
            p->at.mapping = m;
            p->at.offset = offset;
            r = text_break_look(&p->at);
        }
        if (r < 0) {
            file_put(file);
            kfree(p);
            return r;
        }
        list_push_back(&probes, &p->node);
    }
    *ret = p;
    return 0;
}

int probe_attach(struct bpf_attach *a, const struct bpf_function_place *at, struct bpf_probe **ret_probe, const char **ret_why)
{
    struct file *file = NULL;
    struct bpf_probe *p = NULL;
    *ret_why = "the instance has no such file, or none that can be read";
    int r = open_file(at->path, &file);
    if (r < 0)
        return r;
    rwmutex_write_lock(&probes_lock);
    r = get_probe(file, at->offset, &p);
    *ret_why = r == -EOPNOTSUPP ? "there is an instruction that no breakpoint can stand for" : "no instruction can be read there";
    if (r == 0) {
        bpf_place_add(at->returns ? &p->returns : &p->entries, a);
        p->begins |= at->begins;
        *ret_probe = p;
        trap_handlers.program_trap = program_trap; /* and it stays */
        if (p->users++ == 0)
            text_break_set(&p->at);
    }
    rwmutex_write_unlock(&probes_lock);
    return r;
}

void probe_detach(struct bpf_attach *a, struct bpf_probe *p, bool returns)
{
    rwmutex_write_lock(&probes_lock);
    bpf_place_remove(returns ? &p->returns : &p->entries, a);
    bool last = --p->users == 0;
    if (last) {
        text_break_clear(&p->at);
        list_remove(&p->node);
        return_forget(p);
    }
    rwmutex_write_unlock(&probes_lock);
    if (last) {
        file_put(p->file);
        kfree(p);
    }
}

void probes_init(void)
{
    rwmutex_init(&probes_lock, "probes");
}
