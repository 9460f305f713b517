/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ELF core format: header, program headers, one segment of notes, then memory. Of memory come
 * anonymous areas as far as they were touched, private ones of files where any page was written to, and the first page of mapped ELF files, by whose build-id
 * debuggers find them; the rest is in the files that NT_FILE names (/proc/PID/coredump_filter 0x33).
 */
#include "core.h"
#include "base/fmt.h"
#include "base/str.h"
#include "ptrace.h"

#define NT_PRPSINFO 3u
#define NT_AUXV 6u
#define NT_SIGINFO 0x53494749u
#define NT_FILE 0x46494c45u
#define PN_XNUM 0xffff
#define AREAS_MAX (PN_XNUM - 2u)
#define NOTES_MAX (4u << 20)

struct elf_header {
    u8 ident[16];
    u16 type, machine;
    u32 version;
    u64 entry, phoff, shoff;
    u32 flags;
    u16 ehsize, phentsize, phnum, shentsize, shnum, shstrndx;
};
struct program_header {
    u32 type, flags;
    u64 offset, vaddr, paddr, filesz, memsz, align;
};
_Static_assert(sizeof(struct elf_header) == 64 && sizeof(struct program_header) == 56, "ELF64");

struct prstatus { /* struct elf_prstatus */
    s32 signo, code, err;
    u16 cursig, pad;
    u64 pending, held;
    s32 pid, ppid, pgrp, sid;
    struct abi_timeval utime, stime, cutime, cstime;
    u64 regs[27];
    s32 fpvalid, pad2;
};
struct prpsinfo { /* struct elf_prpsinfo */
    char state, sname, zombie, nice;
    u32 pad;
    u64 flags;
    u32 uid, gid;
    s32 pid, ppid, pgrp, sid;
    char fname[16], args[80];
};
_Static_assert(sizeof(struct prstatus) == 336 && sizeof(struct prpsinfo) == 136, "Linux' layout");

struct area {
    uaddr_t start, end;
    u32 prot;
    u64 bytes;     /* of it in the file */
    bool sparse;   /* what was not touched is zero */
    u64 pgoff;
    struct file *file;
};

struct core {
    struct process *p;
    struct addrspace *as;
    struct area *areas;
    u32 count;
    u8 *notes;
    size_t size, room;
    int err;
    u8 page[PAGE_SIZE];
};

/* --- notes -------------------------------------------------------------------------------------- */

static void *reserve(struct core *c, size_t len)
{
    if (c->err == 0 && c->size + len > c->room) {
        size_t room = MAX(c->room * 2, c->size + len);
        void *bigger = room <= NOTES_MAX ? krealloc(c->notes, c->room, room) : NULL;
        if (bigger == NULL) {
            c->err = -ENOMEM;
        } else {
            c->notes = bigger;
            c->room = room;
        }
    }
    if (c->err != 0)
        return NULL;
    void *at = c->notes + c->size;
    memset(at, 0, len);
    c->size += len;
    return at;
}

static void *note(struct core *c, u32 type, const char *owner, size_t len)
{
    size_t name = strlen(owner) + 1, padded = ALIGN_UP(name, 4);
    u32 *head = reserve(c, 12 + padded + ALIGN_UP(len, 4));
    if (head == NULL)
        return NULL;
    head[0] = (u32)name;
    head[1] = (u32)len;
    head[2] = type;
    memcpy(head + 3, owner, name);
    return (u8 *)(head + 3) + padded;
}

static struct abi_timeval to_timeval(u64 ns)
{
    return (struct abi_timeval){(s64)(ns / NSEC_PER_SEC), (s64)(ns % NSEC_PER_SEC / 1000)};
}

static void note_task(struct core *c, struct task *t, const struct ksiginfo *info)
{
    struct prstatus *s = note(c, NT_PRSTATUS, "CORE", sizeof *s);
    if (s == NULL)
        return;
    s->signo = s->cursig = info != NULL ? (u16)info->signo : 0;
    s->code = info != NULL ? info->code : 0;
    s->pending = t->pending.set;
    s->held = t->blocked;
    s->pid = (s32)t->tid;
    s->ppid = (s32)c->p->ppid;
    s->pgrp = (s32)c->p->pgid;
    s->sid = (s32)c->p->sid;
    struct usage u = task_usage(t);
    s->utime = to_timeval(u.cpu_ns - u.system_ns);
    s->stime = to_timeval(u.system_ns);
    s->fpvalid = 1;
    ptrace_get_regset(t, NT_PRSTATUS, s->regs, sizeof s->regs);
    const struct {
        u32 type;
        const char *owner;
    } sets[] = {{NT_PRFPREG, "CORE"}, {NT_X86_XSTATE, "LINUX"}};
    for (unsigned i = 0; i < ARRAY_SIZE(sets); i++) {
        size_t n = ptrace_regset_size(sets[i].type);
        void *at = n != 0 ? note(c, sets[i].type, sets[i].owner, n) : NULL;
        if (at != NULL)
            ptrace_get_regset(t, sets[i].type, at, n);
    }
}

static void note_process(struct core *c, struct task *t)
{
    struct process *p = c->p;
    struct prpsinfo *i = note(c, NT_PRPSINFO, "CORE", sizeof *i);
    if (i == NULL)
        return;
    i->sname = 'R';
    i->nice = (char)t->thread->nice;
    i->uid = t->cred->uid;
    i->gid = t->cred->gid;
    i->pid = (s32)p->pid;
    i->ppid = (s32)p->ppid;
    i->pgrp = (s32)p->pgid;
    i->sid = (s32)p->sid;
    str_copy(i->fname, t->thread->name, sizeof i->fname);
    size_t n = MIN(sizeof i->args - 1, c->as->arg_end - c->as->arg_start);
    s64 got = as_copy(c->as, c->as->arg_start, i->args, n, false);
    for (s64 k = 0; k + 1 < got; k++)
        if (i->args[k] == '\0')
            i->args[k] = ' ';
}

static void note_files(struct core *c, struct fs_ctx *fs)
{
    u64 count = 0;
    for (u32 i = 0; i < c->count; i++)
        count += c->areas[i].file != NULL;
    size_t start = c->size, head = 12 + 8;
    u64 *words = note(c, NT_FILE, "CORE", 16 + count * 24);
    if (words == NULL)
        return;
    words[0] = count;
    words[1] = PAGE_SIZE;
    u64 *w = words + 2;
    for (u32 i = 0; i < c->count; i++) {
        const struct area *a = &c->areas[i];
        if (a->file == NULL)
            continue;
        *w++ = a->start;
        *w++ = a->end;
        *w++ = a->pgoff;
    }
    for (u32 i = 0; i < c->count; i++) {
        if (c->areas[i].file == NULL)
            continue;
        if (file_name(fs, c->areas[i].file, (char *)c->page, sizeof c->page) < 0)
            c->page[0] = '\0';
        size_t n = strlen((char *)c->page) + 1;
        char *at = reserve(c, n);
        if (at != NULL)
            memcpy(at, c->page, n);
    }
    if (c->err == 0) {
        ((u32 *)(c->notes + start))[1] = (u32)(c->size - start - head);
        reserve(c, ALIGN_UP(c->size, 4) - c->size);
    }
}

static void make_notes(struct core *c, struct task *first, const struct ksiginfo *info)
{
    struct fs_ctx *fs = task_fs(first);
    note_task(c, first, info);
    note_process(c, first);
    if (info != NULL) {
        void *at = note(c, NT_SIGINFO, "CORE", SIGINFO_SIZE);
        if (at != NULL)
            memcpy(at, info, sizeof *info);
    }
    void *auxv = note(c, NT_AUXV, "CORE", c->p->auxv_words * sizeof(u64));
    if (auxv != NULL)
        memcpy(auxv, c->p->auxv, c->p->auxv_words * sizeof(u64));
    if (fs != NULL)
        note_files(c, fs);
    fs_ctx_put(fs);
}

/* Registers of tasks that do not run lie in memory already, but for FPU state that is still in the CPU. */
static void settle(struct task *t)
{
    thread_fpu_sync(t->thread);
    if (t == current_thread()->task)
        arch_tls_save(&t->thread->tls);
}

static void note_others(struct core *c, const struct task *first)
{
    spin_lock_bh(&c->p->lock);
    u32 n = c->p->ntasks;
    spin_unlock_bh(&c->p->lock);
    struct task **others = kzalloc((n + 1) * sizeof *others);
    if (others == NULL) {
        c->err = -ENOMEM;
        return;
    }
    u32 k = 0;
    spin_lock_bh(&c->p->lock);
    list_for_each(t, &c->p->tasks, struct task, proc_node)
        if (t != first && k < n)
            others[k++] = task_get(t);
    spin_unlock_bh(&c->p->lock);
    for (u32 i = 0; i < k; i++) {
        settle(others[i]);
        note_task(c, others[i], NULL);
        task_put(others[i]);
    }
    kfree(others);
}

/* --- memory ------------------------------------------------------------------------------------------ */

static bool starts_elf(struct core *c, uaddr_t addr)
{
    u8 magic[4];
    return as_copy(c->as, addr, magic, sizeof magic, false) == sizeof magic && memcmp(magic, "\177ELF", 4) == 0;
}

static int list_areas(struct core *c)
{
    rwmutex_read_lock(&c->as->lock);
    u32 room = MIN(c->as->vma_count, AREAS_MAX);
    c->areas = kzalloc((room + 1) * sizeof *c->areas);
    for (struct vma *v = c->areas != NULL ? as_first(c->as) : NULL; v != NULL && c->count < room; v = as_next(v)) {
        struct area *a = &c->areas[c->count++];
        bool file = v->ops == &file_vma_ops && v->object != NULL;
        bool none = (v->flags & VMA_DONTDUMP) != 0;
        *a = (struct area){.start = v->start, .end = v->end, .prot = v->prot, .pgoff = v->pgoff};
        a->file = file ? file_get(v->object) : NULL;
        a->sparse = !file;
        if (!none && (!file || (!(v->flags & VMA_SHARED) && vma_has_private_pages(v))))
            a->bytes = v->end - v->start;
    }
    rwmutex_read_unlock(&c->as->lock);
    if (c->areas == NULL)
        return -ENOMEM;
    for (u32 i = 0; i < c->count; i++) {
        struct area *a = &c->areas[i];
        if (a->file != NULL && a->bytes == 0 && a->pgoff == 0 && (a->prot & MAP_READ) && starts_elf(c, a->start))
            a->bytes = PAGE_SIZE;
    }
    return 0;
}

static int put_area(struct core *c, const struct area *a, struct core_sink *s)
{
    for (uaddr_t at = a->start; at < a->start + a->bytes; at += PAGE_SIZE) {
        u8 in = 1;
        if (a->sparse && (as_mincore(c->as, at, PAGE_SIZE, &in) != 0 || !in))
            in = 0;
        if (in && as_copy(c->as, at, c->page, PAGE_SIZE, false) != (s64)PAGE_SIZE)
            in = 0;
        int err = in ? s->put(s, c->page, PAGE_SIZE) : s->skip(s, PAGE_SIZE);
        if (err < 0)
            return err;
        if (!cond_resched())
            return -EINTR;
    }
    return 0;
}

static int put_headers(struct core *c, struct core_sink *s)
{
    struct elf_header h = {
        .ident = {0x7f, 'E', 'L', 'F', 2, 1, 1}, .type = 4 /* ET_CORE */, .machine = 62, .version = 1, .phoff = sizeof h,
        .ehsize = sizeof h, .phentsize = sizeof(struct program_header), .phnum = (u16)(c->count + 1),
    };
    u64 notes_at = sizeof h + (c->count + 1) * sizeof(struct program_header);
    u64 at = ALIGN_UP(notes_at + c->size, PAGE_SIZE);
    struct program_header p = {.type = 4 /* PT_NOTE */, .offset = notes_at, .filesz = c->size, .align = 4};
    int err = s->put(s, &h, sizeof h);
    if (err == 0)
        err = s->put(s, &p, sizeof p);
    for (u32 i = 0; err == 0 && i < c->count; i++) {
        const struct area *a = &c->areas[i];
        p = (struct program_header){.type = 1 /* PT_LOAD */, .offset = at, .vaddr = a->start, .filesz = a->bytes,
                                    .memsz = a->end - a->start, .align = PAGE_SIZE};
        p.flags = (a->prot & MAP_READ ? 4u : 0) | (a->prot & MAP_WRITE ? 2u : 0) | (a->prot & MAP_EXEC ? 1u : 0);
        at += a->bytes;
        err = s->put(s, &p, sizeof p);
    }
    if (err == 0)
        err = s->put(s, c->notes, c->size);
    return err == 0 ? s->skip(s, ALIGN_UP(notes_at + c->size, PAGE_SIZE) - notes_at - c->size) : err;
}

/* From here on the memory is a copy's. */
static void take_copy(struct core *c)
{
    struct addrspace *copy;
    if (!process_freeze(c->p))
        c->err = -EBUSY;
    if (c->err == 0)
        c->err = addrspace_fork(c->as, &copy);
    if (c->err != 0)
        return;
    addrspace_put(c->as);
    c->as = copy;
}

int core_write(struct task *first, const struct ksiginfo *info, bool live, struct core_sink *sink)
{
    struct core *c = kzalloc(sizeof *c);
    if (c == NULL)
        return -ENOMEM;
    c->p = first->proc;
    c->as = task_as(first);
    if (c->as == NULL)
        c->err = -ESRCH;
    else if (live)
        take_copy(c);
    if (c->err == 0)
        c->err = list_areas(c);
    if (c->err == 0) {
        settle(first);
        make_notes(c, first, info);
        note_others(c, first);
    }
    if (live && c->as != NULL)
        process_thaw(c->p);
    if (c->err == 0)
        c->err = put_headers(c, sink);
    for (u32 i = 0; c->err == 0 && i < c->count; i++)
        c->err = put_area(c, &c->areas[i], sink);
    for (u32 i = 0; i < c->count; i++)
        file_put(c->areas[i].file);
    addrspace_put(c->as);
    kfree(c->areas);
    kfree(c->notes);
    int err = c->err;
    kfree(c);
    return err;
}

/* --- into a file -------------------------------------------------------------------------------------- */

struct file_sink {
    struct core_sink sink;
    struct file *file;
    u64 pos, limit;
    struct process *p;
};

static int file_put_bytes(struct core_sink *s, const void *data, size_t len)
{
    struct file_sink *f = container_of(s, struct file_sink, sink);
    struct uio u;
    if (task_must_end(f->p))
        return -EINTR;
    if (len > f->limit - f->pos)
        return -EFBIG;
    uio_kernel(&u, (void *)(uintptr_t)data, len);
    s64 n = vfs_write(f->file, &u, &f->pos);
    return n == (s64)len ? 0 : n < 0 ? (int)n : -ENOSPC;
}

static int file_skip_bytes(struct core_sink *s, u64 len)
{
    struct file_sink *f = container_of(s, struct file_sink, sink);
    if (len > f->limit - f->pos)
        return -EFBIG;
    f->pos += len;
    return 0;
}

/* "core" in the working directory, made anew or owned by the process (core(5)). */
static int open_core(struct task *t, struct file **ret)
{
    struct lookup l = {.fs = t->fs, .cred = t->cred};
    struct kstat st;
    int r = vfs_open(&l, "core", O_CREAT | O_RDWR | O_NOFOLLOW, 0600, LOOKUP_NOFOLLOW, ret);
    if (r < 0)
        return r;
    r = vfs_stat_file(*ret, &st);
    if (r == 0 && (!S_ISREG(st.mode) || st.nlink != 1 || st.uid != t->cred->fsuid))
        r = -EPERM;
    if (r == 0)
        r = vfs_ftruncate(*ret, 0);
    if (r < 0)
        file_put(*ret);
    return r;
}

static int dump_to_file(struct task *t, const struct ksiginfo *info, u64 limit)
{
    struct file_sink f = {.sink = {file_put_bytes, file_skip_bytes}, .limit = MIN(limit, (u64)INT64_MAX), .p = t->proc};
    int r = open_core(t, &f.file);
    if (r < 0)
        return r;
    r = core_write(t, info, false, &f.sink);
    if (r == 0 || r == -EFBIG)
        r = vfs_ftruncate(f.file, f.pos);
    file_put(f.file);
    return r;
}

bool core_dump(struct task *t, const struct ksiginfo *info)
{
    struct process *p = t->proc;
    u64 limit = rlimit_of(p, RLIMIT_CORE);
    spin_lock_bh(&p->lock);
    bool mine = !p->dumping && !p->group_exit;
    bool file = p->dumpable && limit >= PAGE_SIZE;
    p->dumping |= mine;
    spin_unlock_bh(&p->lock);
    if (!mine)
        return false;
    bool client = core_client();
    if (!client && !file)
        return true;
    bool still = process_freeze(p);
    bool done = still && ((client && core_to_client(t, info)) || (file && dump_to_file(t, info, limit) == 0));
    spin_lock_bh(&p->lock);
    p->core_dumped = done;
    spin_unlock_bh(&p->lock);
    process_kill(p, 0, info->signo); /* before the others go on */
    process_thaw(p);
    return true;
}
