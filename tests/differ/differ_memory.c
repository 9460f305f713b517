/* SPDX-License-Identifier: Apache-2.0 */
/* Mappings in an arena of some pages, private, shared and of files; what is watched are the lines of /proc/self/maps there, and at times what each page holds or how it faults. */
#include "differ.h"
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

#define PAGE 4096l
#define PAGES 24
#define ARENA ((char *)0x20000000000)
#define FILES 3

static int files[FILES]; /* of 0, two and a half, and eight pages */
static const char *const file_names[FILES] = {"m0", "m1", "m2"};
static int sink;
static sigjmp_buf back;
static volatile int fault_signal, fault_code;
static void *volatile fault_address;

static void fault(int sig, siginfo_t *info, void *context)
{
    (void)context;
    fault_signal = sig;
    fault_code = info->si_code;
    fault_address = info->si_addr;
    siglongjmp(back, 1);
}

static char *arg_page(void)
{
    long i = rnd(PAGES), off = one_in(30) ? 1 : 0;
    if (one_in(60))
        i = PAGES;
    arg("p%ld%s", i, off ? "+1" : "");
    return ARENA + i * PAGE + off;
}

static size_t arg_length(void)
{
    long n = 1 + (one_in(3) ? rnd(PAGES) : rnd(5)), less = one_in(12) ? 100 : 0;
    if (one_in(60))
        n = one_in(2) ? 0 : -1;
    arg("%ld%s", n, less && n > 0 ? "-" : "");
    return n > 0 ? (size_t)(n * PAGE - less) : (size_t)n;
}

/* Within the arena: nothing below or behind it is this mode's. */
static size_t within(char *at, size_t n)
{
    size_t left = at < ARENA + PAGES * PAGE ? ARENA + PAGES * PAGE - at : PAGE;
    return n == -1ul ? n : n > left ? left : n;
}

static const char *page_name(long at)
{
    static char names[4][32];
    static unsigned next;
    char *n = names[next++ % 4];
    long i = (at - (long)ARENA) / PAGE;
    if (at >= (long)ARENA && i <= PAGES + 40)
        snprintf(n, 32, "p%ld%s", i, at % PAGE != 0 ? "+" : "");
    else
        snprintf(n, 32, "elsewhere");
    return n;
}

static void *ret_map(void *p)
{
    if (p == MAP_FAILED)
        ret(-1);
    else
        say(") = %s", page_name((long)p));
    return p;
}

static const struct word prots[] = {{0, "NONE"}, {PROT_READ, "R"}, {PROT_READ | PROT_WRITE, "RW"}, {PROT_READ | PROT_WRITE, "RW"}, {PROT_READ | PROT_WRITE, "RW"}, {PROT_WRITE, "W"}, {PROT_READ | PROT_EXEC, "RX"},
    {PROT_EXEC, "X"}};
static const struct word odd_prots[] = {{0x10, "0x10"}, {PROT_GROWSDOWN, "GROWSDOWN"}, {PROT_GROWSUP, "GROWSUP"}, {PROT_GROWSDOWN | PROT_GROWSUP, "both"}};

static int arg_prot(void) { return one_in(40) ? ONE(odd_prots) : ONE(prots); }

static void do_mmap(void)
{
    static const struct word kinds[] = {W(MAP_PRIVATE), W(MAP_PRIVATE), W(MAP_SHARED), {MAP_SHARED_VALIDATE, "MAP_SHARED_VALIDATE"}, {0, "0"}},
                             more[] = {W(MAP_NORESERVE), W(MAP_POPULATE), W(MAP_LOCKED), W(MAP_STACK), W(MAP_DENYWRITE), W(MAP_NONBLOCK), {MAP_SYNC, "MAP_SYNC"}, {1 << 27, "1<<27"}};
    char *at = arg_page();
    size_t n = within(at, arg_length());
    int prot = arg_prot(), flags = one_in(12) ? ONE(kinds) : arg_of(kinds, 3), fd = -1;
    if (one_in(4) && (flags == MAP_PRIVATE || flags == MAP_SHARED)) {
        arg("NOREPLACE");
        flags |= MAP_FIXED_NOREPLACE;
    } else
        flags |= MAP_FIXED;
    flags |= SOME(more, 12);
    long off = 0;
    if (one_in(2)) {
        unsigned f = rnd(FILES);
        arg("m%u", f);
        fd = files[f];
        off = NUM(0, 0, 0, 1, 2, 5, 8) * PAGE + (one_in(40) ? 1 : 0);
    } else {
        arg("anon");
        flags |= MAP_ANONYMOUS;
    }
    ret_map(mmap(at, n, prot, flags, fd, off));
}

/* A descriptor that may not do what the mapping wants. */
static void do_mmap_rights(void)
{
    static const struct word how[] = {W(O_RDONLY), W(O_WRONLY), W(O_PATH)}, kinds[] = {W(MAP_PRIVATE), W(MAP_SHARED)};
    char *at = (char *)((uintptr_t)arg_page() & -PAGE);
    int fd = open("m2", ONE(how)), prot = arg_prot();
    void *p = ret_map(mmap(at, PAGE, prot, ONE(kinds) | MAP_FIXED, fd, 0));
    close(fd);
    if (p != MAP_FAILED) {
        ret(mprotect(p, PAGE, arg_prot()));
    }
}

static void do_munmap(void)
{
    char *at = arg_page();
    ret(munmap(at, within(at, arg_length())));
}

static void do_mprotect(void)
{
    char *at = arg_page();
    size_t n = within(at, arg_length());
    ret(mprotect(at, n, arg_prot()));
}

static void do_mremap(void)
{
    static const struct word more[] = {{MREMAP_DONTUNMAP, "DONTUNMAP"}, {8, "8"}};
    char *at = arg_page();
    size_t n = within(at, arg_length());
    if (one_in(10)) {
        arg("from nothing");
        n = 0;
    }
    char *to = one_in(2) ? at : arg_page();
    int flags = one_in(5) ? 0 : MREMAP_MAYMOVE;
    if (to != at || one_in(10))
        flags |= MREMAP_FIXED;
    arg("%s%s", flags & MREMAP_MAYMOVE ? "MAYMOVE" : "", flags & MREMAP_FIXED ? " FIXED" : "");
    if (one_in(8))
        flags |= SOME(more, 2);
    size_t m = one_in(3) ? n : within(to, arg_length());
    if (!(flags & MREMAP_FIXED)) /* where it goes is nobody's to say */
        m = within(at, m);
    if (n > PAGE && n != -1ul && (m != n || (flags & MREMAP_DONTUNMAP))) { /* what looks like one area may be more */
        bool fresh = one_in(2) && (uintptr_t)at % PAGE == 0;
        arg(fresh ? "fresh" : "a page");
        if (!fresh)
            n = PAGE;
        else if (mmap(at, n, PROT_READ | PROT_WRITE, (one_in(2) ? MAP_PRIVATE : MAP_SHARED) | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == at)
            *(volatile uint32_t *)(at + rnd(n / PAGE + (n % PAGE != 0)) * PAGE) = step_number();
    }
    if (flags & MREMAP_DONTUNMAP)
        munlock(at, n); /* Linux counts what is locked twice then (6.18) */
    char *p = ret_map(mremap(at, n, m, flags, to));
    if (p != MAP_FAILED && (p < ARENA || p >= ARENA + (PAGES + 40) * PAGE))
        munmap(p, m);
}

static const struct word advices[] = {W(MADV_NORMAL), W(MADV_RANDOM), W(MADV_SEQUENTIAL), W(MADV_WILLNEED), W(MADV_DONTNEED), W(MADV_DONTNEED), W(MADV_DONTNEED), W(MADV_REMOVE), W(MADV_DONTFORK), W(MADV_DOFORK),
    W(MADV_DONTDUMP), W(MADV_DODUMP), W(MADV_WIPEONFORK), W(MADV_KEEPONFORK), W(MADV_COLD), W(MADV_POPULATE_READ), W(MADV_POPULATE_WRITE), {24, "MADV_DONTNEED_LOCKED"}, {99, "99"}};

/* No MADV_PAGEOUT: with swap, what it takes out mincore() does not see. */
static void do_madvise(void)
{
    char *at = arg_page();
    size_t n = within(at, arg_length());
    ret(madvise(at, n, ONE(advices)));
}

static void do_mincore(void)
{
    unsigned char in[PAGES + 1];
    char *at = arg_page();
    size_t n = within(at, arg_length());
    memset(in, 9, sizeof in);
    long r = ret(mincore(at, n, in));
    for (size_t i = 0; r == 0 && i < (n + PAGE - 1) / PAGE && i < sizeof in; i++)
        say("%s%d", i == 0 ? " " : "", in[i] & 1);
}

static void do_msync(void)
{
    static const struct word flags[] = {W(MS_ASYNC), W(MS_SYNC), W(MS_INVALIDATE), {8, "8"}};
    char *at = arg_page();
    size_t n = within(at, arg_length());
    ret(msync(at, n, SOME(flags, 3)));
}

static void do_mlock(void)
{
    char *at = arg_page();
    size_t n = within(at, arg_length());
    switch (rnd(4)) {
    case 0:
        arg("lock");
        ret(mlock(at, n));
        break;
    case 1:
        ret(mlock2(at, n, NUM(0, 1, 1, 2)));
        break;
    default:
        arg("unlock");
        ret(munlock(at, n));
    }
}

static void do_mlockall(void)
{
    if (one_in(2))
        ret(munlockall());
    else {
        long r = ret(mlockall(NUM(0, 4, 8)));
        if (r == 0)
            munlockall();
    }
}

static bool say_fault(void)
{
    say("%s %d %s", fault_signal == SIGSEGV ? "SEGV" : "BUS", fault_code, page_name((long)fault_address));
    return true;
}

static void do_store(void)
{
    char *at = arg_page();
    if (sigsetjmp(back, 1) == 0) {
        *(volatile uint32_t *)at = step_number();
        say(") = ok");
    } else {
        say(") = ");
        say_fault();
    }
}

static void do_load(void)
{
    char *at = arg_page();
    if (sigsetjmp(back, 1) == 0)
        say(") = %u", *(volatile uint32_t *)(at + (one_in(2) ? 0 : 2048)));
    else {
        say(") = ");
        say_fault();
    }
}

/* By the kernel: a fault is an error. */
static void do_kernel_copy(void)
{
    char *at = arg_page();
    long n = NUM(1, 4, 4096, 5000, 8192, 20000);
    if (one_in(2)) {
        arg("into");
        ret(pread(files[2], at, n, NUM(0, 4096)));
    } else {
        arg("from");
        ret(pwrite(sink, at, n, 0)); /* no file that is mapped: its pages are there even if there was nothing to write */
    }
}

static void do_pipe_copy(void)
{
    int p[2];
    char *at = arg_page(), *to = arg_page();
    long n = NUM(1, 4096, 6000, 8192, 12288);
    pipe2(p, O_NONBLOCK);
    long r = ret(write(p[1], at, n));
    if (r > 0)
        ret(read(p[0], to, n));
    close(p[0]);
    close(p[1]);
}

static void do_vm(void)
{
    char here[20000];
    char *at = arg_page();
    long n = NUM(1, 4096, 6000, 12288);
    struct iovec mine = {here, n}, there = {at, n};
    memset(here, step_number(), sizeof here);
    if (one_in(2)) {
        arg("read");
        long r = ret(process_vm_readv(getpid(), &mine, 1, &there, 1, 0));
        say(" %08x", r > 0 ? hash(here, r) : 0);
    } else {
        arg("write");
        ret(process_vm_writev(getpid(), &mine, 1, &there, 1, 0));
    }
}

static void do_proc_mem(void)
{
    char here[8192];
    int fd = open("/proc/self/mem", O_RDWR);
    char *at = arg_page();
    long n = NUM(1, 4096, 6000);
    if (sigsetjmp(back, 1) == 0)
        (void)(*(volatile char *)at + ((volatile char *)at)[n]);
    else { /* what PROT_NONE hides stays hidden */
        ret(0);
        close(fd);
        return;
    }
    memset(here, step_number(), sizeof here);
    if (one_in(2)) {
        arg("read");
        long r = ret(pread(fd, here, n, (off_t)at));
        say(" %08x", r > 0 ? hash(here, r) : 0);
    } else {
        arg("write");
        ret(pwrite(fd, here, n, (off_t)at));
    }
    close(fd);
}

static void do_file(void)
{
    unsigned f = rnd(FILES);
    arg("m%u", f);
    char here[5000];
    memset(here, step_number(), sizeof here);
    if (one_in(2)) {
        arg("write");
        long n = NUM(1, 100, 4096, 5000);
        ret(pwrite(files[f], here, n, NUM(0, 4000, 4096, 8192, 20000)));
    } else if (one_in(3)) {
        arg("punch");
        long at = NUM(0, 100, 4096, 8192);
        ret(fallocate(files[f], FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, at, NUM(100, 4096, 9000)));
    } else {
        arg("truncate");
        ret(ftruncate(files[f], NUM(0, 1, 4096, 5000, 10240, 32768)));
    }
}

/* What is there in each page: a number, or how it faults. */
static void contents(char *text, size_t room)
{
    volatile size_t n = 0;
    for (volatile int i = 0; i < PAGES; i++) {
        if (sigsetjmp(back, 1) == 0) {
            volatile uint32_t *w = (volatile uint32_t *)(ARENA + i * PAGE);
            n += snprintf(text + n, room - n, " %x", (unsigned)(w[0] ^ w[512] * 3));
        } else
            n += snprintf(text + n, room - n, " %s%d", fault_signal == SIGSEGV ? "S" : "B", fault_code);
    }
}

static void say_all(const char *who)
{
    char text[2048] = "";
    contents(text, sizeof text);
    state(who, "%s", text);
}

static void do_look(void)
{
    ret(0);
    say_all("pages");
}

/* A child sees and changes what it got; what it changed is seen or not. */
static void do_fork(void)
{
    char *at = arg_page();
    bool writes = one_in(2);
    arg(writes ? "writes" : "looks");
    int p[2];
    pipe(p);
    pid_t pid = fork();
    if (pid == 0) {
        char text[2048] = "";
        if (writes && sigsetjmp(back, 1) == 0)
            *(volatile uint32_t *)at = step_number();
        contents(text, sizeof text);
        write(p[1], text, strlen(text));
        _exit(0);
    }
    char text[2048] = "";
    int status;
    close(p[1]);
    waitpid(pid, &status, 0);
    read(p[0], text, sizeof text - 1);
    close(p[0]);
    ret(status);
    say(" child %08x", hash(text, strlen(text)));
    state("child", "%s", text);
}

static void do_uncaught(void)
{
    char *at = arg_page();
    bool writes = one_in(2);
    arg(writes ? "writes" : "reads");
    pid_t pid = fork();
    if (pid == 0) {
        setrlimit(RLIMIT_CORE, &(struct rlimit){});
        signal(SIGSEGV, SIG_DFL);
        signal(SIGBUS, SIG_DFL);
        if (writes)
            *(volatile char *)at = 1;
        else
            (void)*(volatile char *)at;
        _exit(0);
    }
    int status;
    waitpid(pid, &status, 0);
    ret(status & 0x7f);
}

/* 128 KiB of memory that may be locked. */
static void do_limits(void)
{
    static const struct word what[] = {W(RLIMIT_MEMLOCK), W(RLIMIT_AS), W(RLIMIT_DATA)};
    int which = ONE(what);
    char *at = arg_page();
    pid_t pid = fork();
    if (pid == 0) {
        setrlimit(which, &(struct rlimit){which == RLIMIT_MEMLOCK ? 0 : PAGE, which == RLIMIT_MEMLOCK ? 0 : PAGE});
        if (setuid(1000) != 0)
            _exit(99);
        errno = 0;
        _exit(which == RLIMIT_MEMLOCK ? (mlock(at, PAGE), errno) : (mmap(at, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0), errno));
    }
    int status;
    waitpid(pid, &status, 0);
    errno = status >> 8;
    ret(errno == 0 ? 0 : -1);
}

static void memory_start(void)
{
    static char stack[65536];
    stack_t s = {.ss_sp = stack, .ss_size = sizeof stack};
    struct sigaction a = {.sa_sigaction = fault, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    sigaltstack(&s, NULL);
    sigaction(SIGSEGV, &a, NULL);
    sigaction(SIGBUS, &a, NULL);
    signal(SIGPIPE, SIG_IGN);
    sink = hidden(open("sink", O_CREAT | O_RDWR, 0644));
    char data[8 * PAGE];
    memset(data, 'm', sizeof data);
    for (int i = 0; i < FILES; i++) {
        files[i] = hidden(open(file_names[i], O_CREAT | O_RDWR, 0644));
        write(files[i], data, i == 0 ? 0 : i == 1 ? 10240 : sizeof data);
    }
}

static void memory_watch(void)
{
    char text[4096] = "", l[512], before[400] = "";
    unsigned long before_to = 0, before_off = 0;
    size_t n = 0;
    FILE *f = fopen("/proc/self/maps", "re");
    while (f != NULL && fgets(l, sizeof l, f) != NULL) {
        unsigned long from, to, off;
        char perms[8], name[400] = "";
        sscanf(l, "%lx-%lx %7s %lx %*s %*s %399s", &from, &to, perms, &off, name);
        if (from < (unsigned long)ARENA || from >= (unsigned long)ARENA + (PAGES + 40) * PAGE)
            continue;
        char *base = strrchr(name, '/');
        strcat(name, perms);
        if (from == before_to && off == before_off && strcmp(name, before) == 0) /* two areas or one: nobody's business */
            n = strrchr(text, '-') - text;
        else
            n += snprintf(text + n, sizeof text - n, "%s%s@%lu%s:%s", n == 0 ? "" : " ", base != NULL ? base + 1 : name, off / PAGE, perms, page_name(from));
        n += snprintf(text + n, sizeof text - n, "-%s", page_name(to));
        strcpy(before, name);
        before_to = to;
        before_off = name[0] == '/' ? off + (to - from) : 0;
    }
    if (f != NULL)
        fclose(f);
    state("maps", "%s", text);
    for (int i = 0; i < FILES; i++) {
        struct stat st;
        char here[32768];
        fstat(files[i], &st);
        ssize_t r = pread(files[i], here, sizeof here, 0);
        state(file_names[i], "%ld %08x", (long)st.st_size, hash(here, r < 0 ? 0 : r));
    }
    if (step_number() % 8 == 0)
        say_all("pages");
    f = fopen("/proc/self/status", "re");
    while (f != NULL && fgets(l, sizeof l, f) != NULL)
        if (strncmp(l, "VmLck:", 6) == 0) {
            l[strcspn(l, "\n")] = 0;
            state("locked", "%s", l + 6 + strspn(l + 6, " \t"));
        }
    if (f != NULL)
        fclose(f);
}

static const struct act acts[] = {
    {"mmap", do_mmap, 40}, {"mmap_rights", do_mmap_rights, 6}, {"munmap", do_munmap, 12}, {"mprotect", do_mprotect, 20}, {"mremap", do_mremap, 24}, {"madvise", do_madvise, 30}, {"mincore", do_mincore, 8},
    {"msync", do_msync, 8}, {"mlock", do_mlock, 14}, {"mlockall", do_mlockall, 1}, {"store", do_store, 40}, {"load", do_load, 20}, {"kernel_copy", do_kernel_copy, 14}, {"pipe_copy", do_pipe_copy, 6}, {"vm", do_vm, 8},
    {"proc_mem", do_proc_mem, 8}, {"file", do_file, 20}, {"look", do_look, 6}, {"fork", do_fork, 12}, {"uncaught", do_uncaught, 3}, {"limits", do_limits, 3}, {},
};
const struct mode mode_memory = {"memory", memory_start, acts, NULL, memory_watch};
