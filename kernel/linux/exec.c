/* SPDX-License-Identifier: Apache-2.0 */
/*
 * execve(2) and the start of the first program, which are one thing: a new
 * address space is built whole beside the old one; only when nothing can fail any
 * more do the other tasks end and the process changes over.
 *
 * Stack at the start (x86-64 psABI 3.4.1), from low to high:
 *   argc, argv[], NULL, envp[], NULL, auxv[], AT_NULL, padding,
 *   16 random bytes, platform name, argument strings, environment strings, file name, NULL word
 */
#include "elf_load.h"
#include "ptrace.h"
#include "base/checked.h"
#include "base/fmt.h"
#include "base/str.h"
#include "kern/random.h"
#include "kern/trace.h"

#define MAX_INTERPRETERS 5
#define SCRIPT_LINE_MAX 256
#define MAX_ARG_STRLEN (32 * PAGE_SIZE)
#define STACK_START_SIZE (132 * 1024UL)
#define PIE_BASE ALIGN_DOWN(PLAT_USER_MAX / 3 * 2, PAGE_SIZE)
#define ASLR_PAGES (1UL << 28) /* mmap and PIE bases, as Linux' default of 28 bits */
#define STACK_ASLR_PAGES (1UL << 22)

struct exec {
    struct elf_image main, interp;
    struct addrspace *as;
    char **argv;            /* own array, strings of the caller or of `owned` */
    char *const *envp;
    char *owned[3 * MAX_INTERPRETERS];
    unsigned nowned;
    const char *file_name;  /* AT_EXECFN */
    uaddr_t vdso;
    u64 phdr;
    struct kstat st;
    bool fixed_places;
    bool unreadable;        /* the program, for who runs it */
    u64 auxv[ARRAY_SIZE(((struct process *)0)->auxv)];
    unsigned auxv_words;
};

static size_t array_len(char *const *a)
{
    size_t n = 0;
    while (a != NULL && a[n] != NULL)
        n++;
    return n;
}

/* Open `name` for running: a regular file with the x bit, on a file system that allows it. */
static int open_program(const char *name, const struct path *at, u32 lookup_flags, struct file **ret, struct kstat *ret_st, bool *ret_unreadable)
{
    struct task *t = current_task();
    struct lookup l = {.fs = t->fs, .cred = t->cred, .at = at};
    struct path p;
    int r = vfs_lookup(&l, name, lookup_flags, &p);
    if (r < 0)
        return r;
    r = vfs_stat_path(&p, ret_st);
    if (r == 0 && S_ISLNK(ret_st->mode)) /* LOOKUP_NOFOLLOW */
        r = -ELOOP;
    if (r == 0 && (!S_ISREG(ret_st->mode) || (p.mount->flags & MS_NOEXEC)))
        r = -EACCES;
    if (r == 0)
        r = vfs_access(&p, t->cred, 1);
    if (r == 0 && (ret_st->mode & 0111) == 0)
        r = -EACCES;
    if (r == 0)
        r = vfs_open_path(&p, O_RDONLY, t->cred, ret);
    if (r == -EACCES && vfs_access(&p, t->cred, 1) == 0 && S_ISREG(ret_st->mode)) {
        /* Execute-only: readable for the kernel all the same. */
        if ((ret_st->mode & 0111) != 0 && !(p.mount->flags & MS_NOEXEC)) {
            *ret_unreadable = true;
            r = vfs_open_path(&p, O_RDONLY, &kernel_cred, ret);
        }
    }
    if (r == 0) {
        r = inode_deny_write((*ret)->inode);
        if (r < 0) {
            file_put(*ret);
            *ret = NULL;
        }
    }
    path_put(&p);
    return r;
}

struct file *program_get(struct file *f)
{
    if (f != NULL) {
        (void)inode_deny_write(f->inode); /* as it is denied already, this only counts */
        file_get(f);
    }
    return f;
}

void program_put(struct file *f)
{
    if (f == NULL)
        return;
    inode_allow_write(f->inode);
    file_put(f);
}

/* "#! interpreter [one argument]": put them in front of argv. */
static int apply_script(struct exec *e, const char *line, size_t len, const char *script, char **ret_interp)
{
    char text[SCRIPT_LINE_MAX];
    size_t n = 2;
    while (n < len && line[n] != '\n')
        n++;
    if (n == len && len == SCRIPT_LINE_MAX) { /* cut: fine only when the interpreter's name ends inside */
        size_t i = 2;
        while (i < len && (line[i] == ' ' || line[i] == '\t'))
            i++;
        while (i < len && line[i] != ' ' && line[i] != '\t')
            i++;
        if (i == len)
            return -ENOEXEC;
    }
    size_t start = 2;
    while (start < n && (line[start] == ' ' || line[start] == '\t'))
        start++;
    while (n > start && (line[n - 1] == ' ' || line[n - 1] == '\t'))
        n--;
    if (start == n)
        return -ENOEXEC;
    memcpy(text, line + start, n - start);
    text[n - start] = '\0';
    char *arg = text;
    while (*arg != '\0' && *arg != ' ' && *arg != '\t')
        arg++;
    if (*arg != '\0') {
        *arg++ = '\0';
        while (*arg == ' ' || *arg == '\t')
            arg++;
    }
    size_t argc = array_len(e->argv), extra = *arg != '\0' ? 2 : 1;
    size_t rest = argc > 0 ? argc - 1 : 0;
    char **nv = kmalloc((extra + 1 + rest + 1) * sizeof *nv, 0);
    char *interp = kstrdup(text), *argument = *arg != '\0' ? kstrdup(arg) : NULL, *name = kstrdup(script);
    if (nv == NULL || interp == NULL || name == NULL || (*arg != '\0' && argument == NULL)) {
        kfree(nv);
        kfree(interp);
        kfree(argument);
        kfree(name);
        return -ENOMEM;
    }
    size_t k = 0;
    nv[k++] = interp;
    if (argument != NULL)
        nv[k++] = argument;
    nv[k++] = name;
    for (size_t i = 0; i < rest; i++)
        nv[k++] = e->argv[i + 1];
    nv[k] = NULL;
    kfree(e->argv);
    e->argv = nv;
    e->owned[e->nowned++] = interp;
    e->owned[e->nowned++] = name;
    if (argument != NULL)
        e->owned[e->nowned++] = argument;
    *ret_interp = interp;
    return 0;
}

/* What an array takes on the stack: strings and pointers. */
static u64 array_bytes(char *const *a)
{
    u64 n = 0;
    for (; a != NULL && *a != NULL; a++)
        n += strlen(*a) + 1 + sizeof *a;
    return n;
}

/* A place by chance among so many pages (personality(2)). */
static u64 shift(const struct exec *e, u64 pages) { return e->fixed_places ? 0 : random_below(pages) * PAGE_SIZE; }

static int map_stack(struct exec *e, uaddr_t *ret_top)
{
    u64 limit = rlimit_of(current_process(), RLIMIT_STACK);
    u64 top = PLAT_USER_MAX - PAGE_SIZE - shift(e, STACK_ASLR_PAGES);
    u64 size = STACK_START_SIZE + ALIGN_UP(array_bytes(e->argv) + array_bytes(e->envp), PAGE_SIZE);
    struct map_request req = {
        .addr = top - size, .len_bytes = size, .fixed = true,
        .prot = PROT_READ | PROT_WRITE,
        .flags = VMA_GROWSDOWN | VMA_STACK | VMA_MAYWRITE,
    };
    u64 gap = MIN(MAX(limit, 128ULL << 20), PLAT_USER_MAX / 6 * 5);
    e->as->mmap_base = ALIGN_DOWN(PLAT_USER_MAX - gap - STACK_ASLR_PAGES * PAGE_SIZE - (1ULL << 20), PAGE_SIZE) -
                       shift(e, ASLR_PAGES);
    uaddr_t addr;
    int r = as_map(e->as, &req, &addr);
    if (r < 0)
        return r;
    e->as->stack_start = top;
    *ret_top = top;
    return 0;
}

struct auxv {
    u64 *words;
    unsigned n;
};

static void aux(struct auxv *a, u64 type, u64 value)
{
    a->words[a->n++] = type;
    a->words[a->n++] = value;
}

/* Lay out and write the initial stack; *ret_sp = its lowest address. */
static int build_stack(struct exec *e, const struct cred *cred, bool secure, uaddr_t top, uaddr_t *ret_sp)
{
    size_t argc = array_len(e->argv), envc = array_len(e->envp);
    size_t platform_len = strlen(arch_platform_name) + 1, name_len = strlen(e->file_name) + 1;
    size_t arg_bytes = 0, env_bytes = 0;
    for (size_t i = 0; i < argc; i++)
        arg_bytes += strlen(e->argv[i]) + 1;
    for (size_t i = 0; i < envc; i++)
        env_bytes += strlen(e->envp[i]) + 1;
    u64 limit = MIN(rlimit_of(current_process(), RLIMIT_STACK) / 4, 6ULL << 20);
    if (arg_bytes + env_bytes + (argc + envc) * 8 > MAX(limit, 128ULL << 10))
        return -E2BIG;

    struct auxv av = {e->auxv, 0};
    u64 string_bytes = 16 + platform_len + arg_bytes + env_bytes + name_len + 8;
    u64 word_bytes = (1 + argc + 1 + envc + 1) * 8 + sizeof e->auxv;
    u64 strings = ALIGN_DOWN(top - string_bytes, 16);
    u64 sp = ALIGN_DOWN(strings - word_bytes, 16);
    size_t total = (size_t)(top - sp);
    u8 *buf = total > 16 * PAGE_SIZE ? vmap_alloc(total) : kzalloc(total);
    if (buf == NULL)
        return -ENOMEM;

    u64 random_at = strings, platform_at = strings + 16;
    random_bytes(buf + (random_at - sp), 16);
    memcpy(buf + (platform_at - sp), arch_platform_name, platform_len);
    u64 at = platform_at + platform_len;
    u64 *w = (u64 *)buf;
    *w++ = argc;
    e->as->arg_start = at;
    for (size_t i = 0; i < argc; i++) {
        size_t n = strlen(e->argv[i]) + 1;
        *w++ = at;
        memcpy(buf + (at - sp), e->argv[i], n);
        at += n;
    }
    *w++ = 0;
    e->as->arg_end = e->as->env_start = at;
    for (size_t i = 0; i < envc; i++) {
        size_t n = strlen(e->envp[i]) + 1;
        *w++ = at;
        memcpy(buf + (at - sp), e->envp[i], n);
        at += n;
    }
    *w++ = 0;
    e->as->env_end = at;
    u64 name_at = at;
    memcpy(buf + (name_at - sp), e->file_name, name_len);

    if (e->vdso != 0)
        aux(&av, AT_SYSINFO_EHDR, e->vdso);
    aux(&av, AT_MINSIGSTKSZ, signal_min_stack());
    aux(&av, AT_HWCAP, arch_hwcap());
    aux(&av, AT_PAGESZ, PAGE_SIZE);
    aux(&av, AT_CLKTCK, USER_HZ);
    aux(&av, AT_PHDR, e->phdr);
    aux(&av, AT_PHENT, ELF_PHDR_SIZE);
    aux(&av, AT_PHNUM, e->main.info.phdr_count);
    aux(&av, AT_BASE, e->interp.file != NULL ? e->interp.bias : 0);
    aux(&av, AT_FLAGS, 0);
    aux(&av, AT_ENTRY, e->main.info.entry + e->main.bias);
    aux(&av, AT_UID, cred->uid);
    aux(&av, AT_EUID, cred->euid);
    aux(&av, AT_GID, cred->gid);
    aux(&av, AT_EGID, cred->egid);
    aux(&av, AT_SECURE, secure);
    aux(&av, AT_RANDOM, random_at);
    aux(&av, AT_HWCAP2, arch_hwcap2());
    aux(&av, AT_EXECFN, name_at);
    aux(&av, AT_PLATFORM, platform_at);
    aux(&av, AT_NULL, 0);
    ASSERT(av.n <= ARRAY_SIZE(e->auxv));
    e->auxv_words = av.n;
    memcpy(w, e->auxv, av.n * sizeof(u64));

    s64 n = as_copy(e->as, sp, buf, total, true);
    if (total > 16 * PAGE_SIZE)
        vmap_free(buf, total);
    else
        kfree(buf);
    *ret_sp = sp;
    return n == (s64)total ? 0 : n < 0 ? (int)n : -ENOMEM;
}

/* Find the interpreter's name in the file and open it. */
static int open_interpreter(struct exec *e, const char **ret_why)
{
    struct kstat st;
    u64 len = e->main.info.interp_len;
    char *name = kmalloc(len, 0);
    if (name == NULL)
        return -ENOMEM;
    s64 n = file_read_at(e->main.file, e->main.info.interp_offset, name, len);
    int r = n < 0 ? (int)n : n != (s64)len || name[len - 1] != '\0' ? -ENOEXEC : 0;
    if (r == 0) {
        r = open_program(name, NULL, 0, &e->interp.file, &st, &(bool){false});
        if (r < 0)
            *ret_why = "its program interpreter (dynamic linker) is not in the image";
    }
    kfree(name);
    if (r < 0)
        return r;
    r = elf_read(&e->interp, ret_why);
    if (r == 0 && e->interp.info.has_interp)
        r = -ENOEXEC;
    return r == -ENOEXEC ? -ELIBBAD : r;
}

#define NAME_HIDDEN (1u << 31) /* beside LOOKUP_*: the program's name is of a descriptor that its interpreter will not have */

/* Follow #! lines until an ELF file is open in e->main.file. */
static int find_program(struct exec *e, const char *name, const struct path *at, u32 lookup_flags, const char **ret_why)
{
    char line[SCRIPT_LINE_MAX];
    for (unsigned depth = 0;; depth++) {
        int r = open_program(name, at, lookup_flags & ~NAME_HIDDEN, &e->main.file, &e->st, &e->unreadable);
        if (r < 0)
            return r;
        s64 n = file_read_at(e->main.file, 0, line, sizeof line);
        if (n < 0)
            return (int)n;
        if (n < 2 || line[0] != '#' || line[1] != '!')
            return 0;
        if (depth == MAX_INTERPRETERS)
            return -ELOOP;
        char *interp;
        r = apply_script(e, line, (size_t)n, depth == 0 ? e->file_name : name, &interp);
        if (r < 0) {
            *ret_why = "its #! line names no interpreter";
            return r;
        }
        if (lookup_flags & NAME_HIDDEN)
            return -ENOENT;
        program_put(e->main.file);
        e->main.file = NULL;
        name = interp;
        at = NULL;
        lookup_flags = 0;
    }
}

static int load(struct exec *e, const struct cred *cred, bool secure, uaddr_t *ret_pc, uaddr_t *ret_sp)
{
    struct process *p = current_process();
    uaddr_t top;
    int r = addrspace_create(&e->as);
    if (r < 0)
        return r;
    e->as->limit_as_bytes = rlimit_of(p, RLIMIT_AS);
    e->as->limit_data_bytes = rlimit_of(p, RLIMIT_DATA);
    e->as->limit_stack_bytes = rlimit_of(p, RLIMIT_STACK);
    e->as->limit_locked_bytes = cred_capable(cred, CAP_IPC_LOCK) ? UINT64_MAX : rlimit_of(p, RLIMIT_MEMLOCK);
    e->fixed_places = !secure && (p->personality & ADDR_NO_RANDOMIZE) != 0;
    r = map_stack(e, &top);
    if (r == 0)
        r = elf_map(&e->main, e->as, PIE_BASE + shift(e, ASLR_PAGES));
    if (r == 0 && e->interp.file != NULL)
        r = elf_map(&e->interp, e->as, 0);
    if (r == 0)
        r = vdso_map(e->as, &e->vdso);
    if (r < 0)
        return r;
    u64 brk = ALIGN_UP(e->main.info.brk + e->main.bias, PAGE_SIZE) + shift(e, 0x2000);
    e->as->brk_start = e->as->brk = brk;
    e->phdr = e->main.info.phdr_vaddr != 0 ? e->main.info.phdr_vaddr + e->main.bias : 0;
    struct elf_image *first = e->interp.file != NULL ? &e->interp : &e->main;
    *ret_pc = first->info.entry + first->bias;
    return build_stack(e, cred, secure, top, ret_sp);
}

static void exec_done(struct exec *e)
{
    for (unsigned i = 0; i < e->nowned; i++)
        kfree(e->owned[i]);
    program_put(e->main.file);
    program_put(e->interp.file);
    addrspace_put(e->as);
    kfree(e->argv);
    kfree(e);
}

/* The change-over. Nothing here fails. */
static void commit(struct exec *e, struct cred *cred, bool secure)
{
    struct task *t = current_task();
    struct process *p = t->proc;
    struct arch_tls tls = {0};

    task_switch_as(t, e->as);
    e->as = NULL;
    /* Before anybody can know of it: by the end of a vfork() or of a pipe. */
    spin_lock_bh(&process_list_lock);
    p->executed = true;
    p->parent_signal = SIGCHLD;
    spin_unlock_bh(&process_list_lock);
    vfork_done(p);
    signal_exec_reset(p);
    t->altstack = (struct abi_stack){.flags = SS_DISABLE};
    t->restart.kind = RESTART_NONE;
    fd_close_on_exec(t->files);
    p->dumpable = t->cred->euid == t->cred->uid && t->cred->egid == t->cred->gid && !e->unreadable;
    if (secure)
        t->pdeath_signal = 0;
    task_set_cred(cred);
    struct file *old_exe = p->exe;
    spin_lock_bh(&p->lock);
    p->exe = e->main.file;
    memcpy(p->auxv, e->auxv, sizeof p->auxv);
    p->auxv_words = e->auxv_words;
    spin_unlock_bh(&p->lock);
    e->main.file = old_exe;
    const char *base = strrchr(e->file_name, '/');
    str_copy(t->thread->name, base != NULL ? base + 1 : e->file_name, sizeof t->thread->name);
    arch_tls_load(&tls);
    thread_fpu_reset(t->thread);
}

int exec_program(const char *name, const char *shown, const struct path *at, u32 lookup_flags, char *const *argv, char *const *envp,
                 struct trap_frame *ret_frame, const char **ret_why)
{
    const char *why = NULL;
    uaddr_t pc = 0, sp = 0;
    bool secure = false;
    struct exec *e = kzalloc(sizeof *e);
    if (e == NULL)
        return -ENOMEM;
    size_t argc = array_len(argv);
    e->argv = kmalloc((argc + 2) * sizeof *e->argv, 0);
    int r = e->argv != NULL ? 0 : -ENOMEM;
    if (r == 0) {
        memcpy(e->argv, argv, argc * sizeof *argv);
        if (argc == 0) /* an empty argv becomes one empty string (Linux 5.18) */
            e->argv[argc++] = (char *)(uintptr_t) "";
        e->argv[argc] = NULL;
        e->envp = envp;
        e->file_name = shown;
        r = find_program(e, name, at, lookup_flags, &why);
    }
    if (r == 0)
        r = elf_read(&e->main, &why);
    if (r == 0 && e->main.info.has_interp)
        r = open_interpreter(e, &why);
    struct cred *cred = NULL;
    if (r == 0) {
        r = cred_of_program(e->main.file, &e->st, &cred, &secure);
        if (r == 0)
            r = load(e, cred, secure, &pc, &sp);
    }
    if (r == 0)
        r = process_become_single();
    if (r == 0) {
        uring_task_end(current_task());
        posix_timers_done(current_process()); /* they look at what is not shared any more */
        r = process_unshare(current_task());
        if (r < 0) /* the other tasks are gone: nothing to go back to */
            process_kill(current_process(), 0, SIGKILL);
    }
    if (r == 0) {
        if (secure)
            current_process()->personality &= ~PER_CLEAR_ON_SETID;
        commit(e, cred, secure);
        arch_init_program_frame(ret_frame, pc, sp);
    } else if (cred != NULL) {
        cred_put(cred);
    }
    exec_done(e);
    if (ret_why != NULL)
        *ret_why = why;
    return r;
}

/* --- the calls --------------------------------------------------------------- */

static void free_string_array(char **list)
{
    for (char **s = list; s != NULL && *s != NULL; s++)
        kfree(*s);
    kfree(list);
}

/* Copy a NULL-terminated array of strings. *budget is the bytes still allowed. */
static int dup_string_array(uaddr_t list, char ***ret, size_t *budget)
{
    size_t room = 16, n = 0;
    char **out = kzalloc(room * sizeof *out);
    char *page = kmalloc(PAGE_SIZE, 0);
    int r = out == NULL || page == NULL ? -ENOMEM : 0;
    while (r == 0 && list != 0) {
        u64 s;
        r = get_user_u64(list + n * 8, &s);
        if (r < 0 || s == 0)
            break;
        if (n + 2 > room) {
            char **bigger = krealloc(out, room * sizeof *out, 2 * room * sizeof *out);
            if (bigger == NULL) {
                r = -ENOMEM;
                break;
            }
            memset(bigger + room, 0, room * sizeof *out);
            out = bigger;
            room *= 2;
        }
        cond_resched();
        s64 len = copy_string_from_user(page, s, PAGE_SIZE);
        if (len >= 0) {
            out[n] = kmalloc((size_t)len + 1, 0);
            if (out[n] != NULL)
                memcpy(out[n], page, (size_t)len + 1);
        } else if (len == -ENAMETOOLONG) {
            out[n] = kmalloc(MAX_ARG_STRLEN, 0);
            if (out[n] != NULL)
                len = copy_string_from_user(out[n], s, MAX_ARG_STRLEN);
            if (len == -ENAMETOOLONG)
                len = -E2BIG;
        }
        if (len >= 0 && out[n] == NULL)
            len = -ENOMEM;
        n++; /* freed with the rest on failure */
        if (len < 0)
            r = (int)len;
        else if (checked_sub(*budget, (size_t)len + 9, budget))
            r = -E2BIG;
    }
    kfree(page);
    if (r < 0) {
        free_string_array(out);
        return r;
    }
    *ret = out;
    return 0;
}

static s64 do_execve(const struct path *at, const char *name, const char *shown, u32 lookup_flags, uaddr_t argv, uaddr_t envp)
{
    struct trap_frame frame;
    char **av = NULL, **ev = NULL;
    size_t budget = 6 << 20;
    u32 tid = current_task()->tid;
    int r = dup_string_array(argv, &av, &budget);
    if (r == 0)
        r = dup_string_array(envp, &ev, &budget);
    if (r == 0)
        r = exec_program(name, shown, at, lookup_flags, av, ev, &frame, NULL);
    free_string_array(av);
    free_string_array(ev);
    if (r < 0)
        return r;
    TRACE(PROCESS_EXEC, (u64)name);
    *thread_frame(current_thread()) = frame;
    if (task_traced(current_task()))
        ptrace_exec(current_task(), tid);
    syscall_done();
    return 0;
}

s64 sys_execve(uaddr_t name, uaddr_t argv, uaddr_t envp)
{
    return sys_execveat(AT_FDCWD, name, argv, envp, 0);
}

/* What a program that was found by a descriptor is told of its name; a script's interpreter opens it by that. */
static char *name_below(int dirfd, const char *name)
{
    size_t size = strlen(name) + 32;
    char *s = kmalloc(size, 0);
    if (s != NULL)
        fmt_snprintf(s, size, "/dev/fd/%d%s%s", dirfd, *name != '\0' ? "/" : "", name);
    return s;
}

s64 sys_execveat(int dirfd, uaddr_t uname, uaddr_t argv, uaddr_t envp, int flags)
{
    char *name, *shown = NULL;
    struct at at;
    u32 lookup_flags = (flags & AT_EMPTY_PATH ? LOOKUP_EMPTY : 0) | (flags & AT_SYMLINK_NOFOLLOW ? LOOKUP_NOFOLLOW : 0);
    if (flags & ~(AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW))
        return -EINVAL;
    s64 r = name_get(uname, lookup_flags, &name);
    if (r < 0)
        return r;
    r = at_begin(dirfd, name, &at);
    if (r == 0) {
        if (at.file != NULL && fd_get_cloexec(current_files(), dirfd) != 0)
            lookup_flags |= NAME_HIDDEN;
        if (at.l.err != 0)
            r = at.l.err;
        else if (at.file != NULL && (shown = name_below(dirfd, name)) == NULL)
            r = -ENOMEM;
        else
            r = do_execve(at.l.at, name, shown != NULL ? shown : name, lookup_flags, argv, envp);
        at_done(&at);
    }
    kfree(shown);
    name_put(name);
    if (r == 0) /* all registers are the new program's, so leave by the way that restores all */
        arch_enter_program(thread_frame(current_thread()));
    return r;
}
