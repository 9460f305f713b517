/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The stack of a sample is a copy of its topmost bytes; libdw follows it by the .eh_frame of the files that the process has
 * mapped. These are looked for on this host under the same path: an image made here has this host's files. A file
 * of another build unwinds wrongly or not at all, which ends in "[truncated]" or in names that make no sense.
 */
#include <elfutils/libdwfl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "host/lib/fs.h"
#include "host/client/jit.h"
#include "host/profile/profile.h"

#define FRAMES_MAX 512

struct process {
    u32 pid;
    Dwfl *dwfl;
    struct process *next;
};
struct unwinder {
    struct process *processes;
    struct jit *jit;
};

/* What the callbacks of one sample work on. */
struct view {
    const struct profile_sample *sample;
    const char *stack;
    struct process *process;
    struct jit *jit;
    struct buf *frames;
    unsigned count;
    bool whole;
};

/* --- modules --------------------------------------------------------------------------------- */

static char *debug_path;
static const Dwfl_Callbacks file_callbacks = {.find_elf = dwfl_linux_proc_find_elf, .find_debuginfo = dwfl_standard_find_debuginfo,
                                              .debuginfo_path = &debug_path};

struct unwinder *unwinder_new(const struct entry *e)
{
    struct unwinder *u = xalloc(sizeof(*u));
    *u = (struct unwinder){.jit = jit_new(e)};
    return u;
}

static void free_process(struct process *p)
{
    if (p->dwfl)
        dwfl_end(p->dwfl);
    free(p);
}

void unwinder_free(struct unwinder *u)
{
    for (struct process *p = u ? u->processes : NULL, *next; p; p = next) {
        next = p->next;
        free_process(p);
    }
    if (u)
        jit_free(u->jit);
    free(u);
}

static struct process *find(struct unwinder *u, u32 pid)
{
    struct process *p = u->processes;
    while (p && p->pid != pid)
        p = p->next;
    return p;
}

/* The descriptor is libdw's, if it takes the file. */
static void report_file(Dwfl *dwfl, const char *path, u64 start)
{
    int fd = open_regular(path);
    if (fd >= 0 && !dwfl_report_elf(dwfl, path, path, fd, start, false))
        close(fd);
}

/* Each file once, where its first byte would lie: dwfl_report_elf() finds out by itself where the rest is. */
static void report_files(Dwfl *dwfl, const char *text)
{
    char last[1024] = "";
    AUTO_FREE char *copy = xstrdup(text);
    char *save = NULL;
    for (char *line = strtok_r(copy, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        u64 start, end, offset;
        int at = 0;
        if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %*4c %" SCNx64 " %*x:%*x %*u %n", &start, &end, &offset, &at) < 3 || !at || line[at] != '/' ||
            strcmp(line + at, last) == 0 || strlen(line + at) >= sizeof(last))
            continue;
        snprintf(last, sizeof(last), "%s", line + at);
        if (offset == 0)
            report_file(dwfl, line + at, start);
    }
}

void unwinder_maps(struct unwinder *u, u32 pid, const char *text, size_t len)
{
    AUTO_FREE char *copy = str_format("%.*s", (int)len, text);
    struct process *p = find(u, pid);
    if (!p) {
        p = xalloc(sizeof(*p));
        *p = (struct process){.pid = pid, .next = u->processes};
        u->processes = p;
    }
    if (p->dwfl)
        dwfl_end(p->dwfl);
    p->dwfl = dwfl_begin(&file_callbacks);
    if (!p->dwfl)
        return;
    dwfl_report_begin(p->dwfl);
    report_files(p->dwfl, copy);
    dwfl_report_end(p->dwfl, NULL, NULL);
}

/* --- one stack ------------------------------------------------------------------------------------- */

static pid_t next_thread(Dwfl *dwfl, void *arg, void **thread_arg)
{
    struct view *v = arg;
    (void)dwfl;
    if (*thread_arg)
        return 0;
    *thread_arg = arg;
    return (pid_t)v->sample->pid;
}

static bool read_elf(Dwfl *dwfl, Dwarf_Addr addr, Dwarf_Word *ret)
{
    GElf_Addr bias;
    Dwfl_Module *module = dwfl_addrmodule(dwfl, addr);
    Elf *elf = module ? dwfl_module_getelf(module, &bias) : NULL;
    size_t n;
    if (!elf || elf_getphdrnum(elf, &n) != 0)
        return false;
    for (size_t i = 0; i < n; i++) {
        GElf_Phdr mem, *ph = gelf_getphdr(elf, (int)i, &mem);
        if (!ph || ph->p_type != PT_LOAD || addr - bias < ph->p_vaddr || addr - bias + sizeof(*ret) > ph->p_vaddr + ph->p_filesz)
            continue;
        Elf_Data *data = elf_getdata_rawchunk(elf, (int64_t)(ph->p_offset + (addr - bias - ph->p_vaddr)), sizeof(*ret), ELF_T_BYTE);
        if (data)
            memcpy(ret, data->d_buf, sizeof(*ret));
        return data != NULL;
    }
    return false;
}

static bool read_memory(Dwfl *dwfl, Dwarf_Addr addr, Dwarf_Word *ret, void *arg)
{
    const struct view *v = arg;
    u64 sp = v->sample->regs[PROFILE_RSP];
    if (addr >= sp && v->sample->stack_len >= sizeof(*ret) && addr - sp <= v->sample->stack_len - sizeof(*ret)) {
        memcpy(ret, v->stack + (addr - sp), sizeof(*ret));
        return true;
    }
    return read_elf(dwfl, addr, ret);
}

static bool set_registers(Dwfl_Thread *thread, void *arg)
{
    const struct view *v = arg;
    Dwarf_Word regs[PROFILE_REGS];
    for (unsigned i = 0; i < PROFILE_REGS; i++)
        regs[i] = v->sample->regs[i];
    return dwfl_thread_state_registers(thread, 0, PROFILE_REGS, regs);
}

static const Dwfl_Thread_Callbacks thread_callbacks = {.next_thread = next_thread, .memory_read = read_memory,
                                                       .set_initial_registers = set_registers};

static void add_name(struct view *v, u64 pc)
{
    Dwfl_Module *module = dwfl_addrmodule(v->process->dwfl, pc);
    const char *name = module ? dwfl_module_addrname(module, pc) : NULL;
    if (name) {
        buf_addf(v->frames, "%s\n", name);
        return;
    }
    const char *file = module ? dwfl_module_info(module, NULL, NULL, NULL, NULL, NULL, NULL, NULL) : NULL;
    u64 offset;
    const char *made = module ? NULL : jit_name(v->jit, v->sample->pid, pc, &offset);
    const char *slash = file ? strrchr(file, '/') : NULL;
    if (file)
        buf_addf(v->frames, "[%s]\n", slash ? slash + 1 : file);
    else
        buf_addf(v->frames, "%s\n", made ? made : "[unknown]");
}

static int on_frame(Dwfl_Frame *frame, void *arg)
{
    struct view *v = arg;
    Dwarf_Addr pc;
    bool activation;
    if (!dwfl_frame_pc(frame, &pc, &activation))
        return DWARF_CB_ABORT;
    add_name(v, activation ? pc : pc - 1);
    return ++v->count < FRAMES_MAX ? DWARF_CB_OK : DWARF_CB_ABORT;
}

static int on_thread(Dwfl_Thread *thread, void *arg)
{
    struct view *v = arg;
    v->whole = dwfl_thread_getframes(thread, on_frame, v) == 0;
    return DWARF_CB_OK;
}

void unwinder_frames(struct unwinder *u, const struct profile_sample *s, const char *stack, struct buf *ret)
{
    struct view v = {.sample = s, .stack = stack, .process = find(u, s->pid), .jit = u->jit, .frames = ret};
    if (v.process && v.process->dwfl) {
        /* A Dwfl keeps one attached state for good: its argument is this pointer's content. */
        static struct view current;
        current = v;
        (void)dwfl_attach_state(v.process->dwfl, NULL, (pid_t)s->pid, &thread_callbacks, &current);
        (void)dwfl_getthreads(v.process->dwfl, on_thread, &current);
        v = current;
    }
    if (!v.count)
        buf_addf(ret, "[unknown]\n");
    if (!v.whole)
        buf_addf(ret, "[truncated]\n");
}
