/* SPDX-License-Identifier: Apache-2.0 */
/* mmap(2), munmap(2), mprotect(2), mremap(2), madvise(2), brk(2), mincore(2), msync(2) */
#include "t.h"
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

#define PAGE 4096UL
static sigjmp_buf escape;
static volatile int caught_signal, caught_code;

static void on_fault(int sig, siginfo_t *info, void *ctx)
{
    caught_signal = sig;
    caught_code = info->si_code;
    siglongjmp(escape, 1);
}

/* What happens on an access: "fine" or "signal SEGV code 2" */
static const char *touch(volatile char *p, bool write)
{
    static char text[64];
    if (sigsetjmp(escape, 1) != 0) {
        snprintf(text, sizeof text, "%s code %d", sigabbrev_np(caught_signal), caught_code);
        return text;
    }
    if (write)
        *p = 1;
    else
        (void)*p;
    return "fine";
}

#define SHOW_TOUCH(p, write) printf("touch %s %s: %s\n", #p, write ? "write" : "read", touch((void *)(p), write))

static void *map(size_t len, int prot, int flags) { return mmap(NULL, len, prot, flags, -1, 0); }

#define REMAP(at, n, pgoff) SHOW(syscall(SYS_remap_file_pages, at, (n) * PAGE, 0, pgoff, 0))

static void remapped(void)
{
    section("remap_file_pages");
    int fd = memfd_create("remapped", 0);
    ftruncate(fd, 8 * PAGE);
    char *p = mmap(NULL, 8 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    for (int i = 0; i < 8; i++)
        p[i * PAGE] = (char)('a' + i);
    REMAP(p, 1, 7);
    REMAP(p + 7 * PAGE, 1, 0);
    REMAP(p + 2 * PAGE, 2, 4);
    for (int i = 0; i < 8; i++)
        printf("%c", p[i * PAGE]);
    printf("\n");
    p[0] = 'H';
    char c;
    pread(fd, &c, 1, 7 * PAGE);
    printf("%c\n", c);
    REMAP(p + 2 * PAGE, 4, 0); /* pieces of one file, side by side */
    REMAP(p + 100, 1, 3);
    for (int i = 0; i < 8; i++)
        printf("%c", p[i * PAGE]);
    printf("\n");
    REMAP(p, 0, 0);
    REMAP(p, 2, -1UL);
    SHOW(syscall(SYS_remap_file_pages, p, PAGE, PROT_READ, 0, 0));
    REMAP(p + 4 * PAGE, 5, 0); /* beyond its end */
    mprotect(p + PAGE, PAGE, PROT_READ);
    REMAP(p, 2, 0); /* not alike */
    mprotect(p + PAGE, PAGE, PROT_READ | PROT_WRITE);
    REMAP(16 * PAGE, 1, 0);
    munmap(p + 3 * PAGE, PAGE);
    REMAP(p + 2 * PAGE, 3, 0);
    munmap(p, 8 * PAGE);
    close(fd);
    p = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    REMAP(p, 1, 1);
    munmap(p, 2 * PAGE);
    p = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    p[3 * PAGE] = 'z';
    REMAP(p, 1, 3);
    SHOW(p[0]);
    munmap(p, 4 * PAGE);
}

/* Code in memory that may be written and executed, in a large page where there are any, writes to another part of it: a translator's buffer. */
static void code_writes_beside_itself(void)
{
    section("large pages of code");
    const size_t large = 2UL << 20;
    char *area = mmap(NULL, 2 * large, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    SHOW_TRUE(area != MAP_FAILED);
    char *code = (char *)(((uintptr_t)area + large - 1) & ~(large - 1));
    SHOW(madvise(area, 2 * large, MADV_HUGEPAGE));
    memcpy(code, "\x89\x3e\x8d\x47\x01\xc3", 6); /* mov %edi,(%rsi); lea 1(%rdi),%eax; ret */
    int (*store)(int, void *) = (int (*)(int, void *))(uintptr_t)code;
    SHOW(store(41, code + large / 2));
    SHOW(*(int *)(code + large / 2));
    int sum = 0;
    for (int i = 0; i < 500; i++)
        sum += store(i, code + PAGE * (1 + (size_t)i));
    SHOW(sum);
    SHOW(*(int *)(code + PAGE * 500));
    SHOW(munmap(area, 2 * large));
}

/* Ranges of several areas, with holes: where each call stops, and what it says. */
static void several_areas(void)
{
    section("several areas");
    int f = memfd_create("f", 0), only = -1;
    char path[64], *p = map(32 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS), *q = p + 16 * PAGE;
    ftruncate(f, 3 * PAGE);
    snprintf(path, sizeof path, "/proc/self/fd/%d", f);
    only = open(path, O_RDONLY);
    mmap(p, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    munmap(p + 2 * PAGE, PAGE);
    mmap(p + 3 * PAGE, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, f, PAGE);
    p[0] = 1;
    p[3 * PAGE] = 3;
    SHOW(mlock(p, 5 * PAGE));
    SHOW(madvise(p, PAGE, MADV_DONTNEED));         /* was locked */
    SHOW(madvise(p + 3 * PAGE, PAGE, MADV_DONTNEED)); /* behind the hole: was not */
    SHOW(munlock(p + 2 * PAGE, 3 * PAGE));
    SHOW(munlock(p, 2 * PAGE));
    SHOW(mlock(p + 8 * PAGE, PAGE)); /* PROT_NONE */
    munlock(p + 8 * PAGE, PAGE);
    char *end = mmap(p + 6 * PAGE, 2 * PAGE, PROT_READ, MAP_SHARED | MAP_FIXED, f, 2 * PAGE);
    SHOW(mlock(end, 2 * PAGE)); /* beyond the file */
    SHOW(syscall(SYS_mlock2, end, 2 * PAGE, 1));
    munlock(end, 2 * PAGE);
    SHOW(madvise(end, 2 * PAGE, MADV_POPULATE_READ));
    SHOW(madvise(end, PAGE, MADV_POPULATE_WRITE));
    SHOW(madvise(end, PAGE, MADV_REMOVE)); /* may be made writable: enough */
    mmap(end, PAGE, PROT_READ, MAP_SHARED | MAP_FIXED, only, 0);
    SHOW(madvise(end, PAGE, MADV_REMOVE));
    SHOW(msync(p, -1UL, MS_SYNC));
    SHOW(mmap(q, PAGE, PROT_READ, MAP_SHARED_VALIDATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED);

    SHOW_TRUE(mremap(p, 5 * PAGE, 5 * PAGE, 0) == p);                                   /* nothing to do, hole or not */
    SHOW(mremap(p + 3 * PAGE, 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, p + 3 * PAGE));
    SHOW(mremap(p, 5 * PAGE, 4 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, q)); /* too long even when cut */
    SHOW_TOUCH(p + 4 * PAGE, false); /* not cut */
    SHOW_TRUE(mremap(p + 3 * PAGE, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP, q) == q);
    SHOW(q[0] + p[3 * PAGE]);
    SHOW_TRUE(mremap(p, 3 * PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, q) == q); /* what is cut off may be anything */
    SHOW_TOUCH(p + PAGE, false);

    char b[8];
    struct iovec mine = {b, 8}, there = {p + 8 * PAGE, 8};
    SHOW(process_vm_readv(getpid(), &mine, 1, &there, 1, 0)); /* no rights there, no debugger either */
    int mem = open("/proc/self/mem", O_RDWR);
    SHOW(pwrite(mem, "x", 1, (off_t)(p + PAGE + 16)));
    close(mem);
    munmap(p, 32 * PAGE);
    close(f);
    close(only);
}

static long of_status(const char *format)
{
    char line[200];
    long n = 0;
    FILE *f = fopen("/proc/self/status", "r");
    while (fgets(line, sizeof line, f) != NULL)
        sscanf(line, format, &n);
    fclose(f);
    return n;
}

/* What moves was in memory once, and what stays where it was counts twice, be it several areas. */
static void moves_counted(void)
{
    section("moves are counted");
    const size_t n = 16 << 20;
    char *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0), *room = mmap(NULL, n, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memset(p, 1, n);
    long before = of_status("VmHWM: %ld");
    SHOW_TRUE(mremap(p, n, n, MREMAP_MAYMOVE | MREMAP_FIXED, room) == room);
    SHOW_TRUE(of_status("VmHWM: %ld") < before + 8192);
    munmap(room, n);
    struct rlimit old, less;
    p = mmap(NULL, 2 * n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    mprotect(p + n / 2, n / 2, PROT_READ);
    munmap(p + n, n); /* where there is room */
    getrlimit(RLIMIT_AS, &old);
    less = old;
    less.rlim_cur = ((rlim_t)of_status("VmSize: %ld") << 10) + n / 4;
    setrlimit(RLIMIT_AS, &less);
    SHOW_TRUE(mremap(p, n, n, MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP, p + n) == MAP_FAILED);
    setrlimit(RLIMIT_AS, &old);
    munmap(p, n);
    fflush(stdout);
    if (fork() == 0) { /* a lock goes along */
        p = map(16 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);
        SHOW(mlock(p, 16 * PAGE));
        setrlimit(RLIMIT_MEMLOCK, &(struct rlimit){16 * PAGE, 16 * PAGE});
        if (geteuid() == 0)
            SHOW(setresuid(1000, 1000, 1000));
        char *q = mremap(p, 16 * PAGE, 16 * PAGE, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, NULL);
        SHOW_TRUE(q != MAP_FAILED);
        SHOW(munlock(q, 16 * PAGE));
        _exit(0);
    }
    wait(NULL);
}

/* A number of kB or the words of a line of /proc/self/NAME; of smaps, of the area that begins at p. */
static const char *told(const char *name, const char *field, const void *p)
{
    static char line[512];
    char start[32];
    unsigned long low, high;
    snprintf(start, sizeof start, "%08lx-", (unsigned long)p);
    bool here = p == NULL, found = false;
    FILE *f = fopen(name, "r");
    while (!found && fgets(line, sizeof line, f) != NULL) {
        if (sscanf(line, "%lx-%lx ", &low, &high) == 2)
            here = strncmp(line, start, strlen(start)) == 0;
        found = here && strncmp(line, field, strlen(field)) == 0;
    }
    fclose(f);
    line[strcspn(line, "\n")] = '\0';
    return found ? line + strlen(field) + strspn(line + strlen(field), " \t") : "(nothing)";
}

static long locked_kb(void) { return atol(told("/proc/self/status", "VmLck:", NULL)); }

static int present(void *p, int pages)
{
    unsigned char in[64];
    int n = 0;
    if (mincore(p, (size_t)pages * PAGE, in) != 0)
        return -1;
    for (int i = 0; i < pages; i++)
        n += in[i] & 1;
    return n;
}

static void *map_rw(int pages) { return map((size_t)pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS); }

/* An area of its own: no neighbour is like it. */
static char *map_alone(int pages, int flags)
{
    char *p = map((size_t)(pages + 2) * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE);
    return mmap(p + PAGE, (size_t)pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | flags, -1, 0);
}

#define SHOW_FLAGS(p) SHOW_STR(told("/proc/self/smaps", "VmFlags:", p))

static void area_flags(void)
{
    section("VmFlags");
    char *p = map_alone(4, 0);
    SHOW_FLAGS(p);
    mlock(p, 4 * PAGE);
    SHOW_FLAGS(p);
    syscall(SYS_mlock2, p, 4 * PAGE, 1);
    SHOW_FLAGS(p);
    mlock(p, 4 * PAGE);
    madvise(p, 4 * PAGE, MADV_DONTFORK);
    madvise(p, 4 * PAGE, MADV_DONTDUMP);
    SHOW_FLAGS(p);
    munlock(p, 4 * PAGE);
    madvise(p, 4 * PAGE, MADV_NOHUGEPAGE);
    madvise(p, 4 * PAGE, MADV_WIPEONFORK);
    SHOW_FLAGS(p);
    SHOW_FLAGS(map_alone(1, MAP_NORESERVE));
    SHOW_FLAGS(map_alone(1, MAP_GROWSDOWN));
    int fd = memfd_create("flags", 0);
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    int only = open(path, O_RDONLY);
    ftruncate(fd, PAGE);
    SHOW_FLAGS(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0));
    SHOW_FLAGS(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, only, 0));
    SHOW_FLAGS(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, only, 0));
    close(only);
    close(fd);
}

/* Without CAP_IPC_LOCK, with a limit of 64 pages. */
static void lock_limited(void)
{
    struct rlimit rl = {64 * PAGE, 64 * PAGE}, none = {0, 64 * PAGE};
    setrlimit(RLIMIT_MEMLOCK, &rl);
    SHOW(setresuid(1000, 1000, 1000));
    SHOW(mlockall(MCL_CURRENT));
    SHOW(mlockall(MCL_CURRENT | MCL_ONFAULT));
    SHOW(mlockall(MCL_FUTURE));
    char *p = map_rw(32);
    SHOW_TRUE(p != MAP_FAILED);
    SHOW_TRUE(map_rw(33) == MAP_FAILED && errno == EAGAIN);
    SHOW_TRUE(mremap(p, 32 * PAGE, 65 * PAGE, MREMAP_MAYMOVE) == MAP_FAILED && errno == EAGAIN);
    char *brk = sbrk(0);
    SHOW_TRUE(sbrk(40 * PAGE) == (void *)-1 && sbrk(0) == brk);
    SHOW(locked_kb());
    SHOW(munlockall());
    SHOW(mlock(p, 32 * PAGE));
    p = map_rw(65);
    SHOW(mlock(p, 65 * PAGE));
    setrlimit(RLIMIT_MEMLOCK, &none);
    SHOW(mlock(p, PAGE));
    SHOW(mlock(p, 0));
    SHOW(munlock(p, PAGE));
    SHOW(mlockall(MCL_FUTURE));
    SHOW(munlockall());
    SHOW_TRUE(map(PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_LOCKED) == MAP_FAILED && errno == EPERM);
}

static void lock_all(void)
{
    section("mlockall");
    struct rlimit small = {4 * PAGE, 4 * PAGE}, old;
    fflush(stdout);
    if (fork() == 0) {
        lock_limited();
        fflush(stdout);
        _exit(0);
    }
    wait(NULL);
    char *p = map_rw(16);
    SHOW(mlockall(MCL_FUTURE));
    long before = locked_kb();
    SHOW(present(p, 16));
    char *q = map_rw(16), *none = map(4 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS);
    SHOW(present(q, 16));
    SHOW(locked_kb() - before);
    SHOW(madvise(q, PAGE, MADV_DONTNEED));
    char *brk = sbrk(0);
    sbrk(16 * PAGE);
    SHOW(present((void *)(((unsigned long)brk + PAGE - 1) & ~(PAGE - 1)), 15));
    fflush(stdout);
    if (fork() == 0) {
        SHOW(locked_kb());
        SHOW(present(map_rw(16), 16));
        fflush(stdout);
        _exit(0);
    }
    wait(NULL);
    SHOW(mlockall(MCL_FUTURE | MCL_ONFAULT));
    char *late = map_rw(16);
    SHOW(present(late, 16));
    late[PAGE] = 1;
    SHOW(present(late, 16));
    SHOW(munmap(q, 16 * PAGE));
    SHOW(munmap(none, 4 * PAGE));
    SHOW(mlockall(MCL_CURRENT | MCL_ONFAULT));
    SHOW(present(p, 16));
    SHOW(mlockall(MCL_CURRENT));
    SHOW(present(p, 16));
    SHOW_TRUE(locked_kb() > 0);
    SHOW(present(map_rw(16), 16)); /* MCL_FUTURE went */
    SHOW(munlockall());
    SHOW(locked_kb());
    getrlimit(RLIMIT_MEMLOCK, &old);
    setrlimit(RLIMIT_MEMLOCK, &small);
    SHOW(mlock(p, 16 * PAGE)); /* CAP_IPC_LOCK */
    SHOW(munlockall());
    setrlimit(RLIMIT_MEMLOCK, &old);
}

int main(void)
{
    struct sigaction sa = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};
    sigaction(SIGSEGV, &sa, NULL);
    sigaction(SIGBUS, &sa, NULL);

    section("errors");
    SHOW(mmap(NULL, 0, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    SHOW(mmap(NULL, PAGE, PROT_READ, MAP_ANONYMOUS, -1, 0));
    SHOW(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, -1, 0));
    SHOW(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, 0, 1));
    SHOW(mmap((void *)1, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
    SHOW(mmap(NULL, 1UL << 60, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    SHOW(munmap((void *)1, PAGE));
    SHOW(munmap((void *)PAGE, 0));
    SHOW(mprotect((void *)1, PAGE, PROT_READ));
    SHOW(mprotect((void *)(16 * PAGE), PAGE, PROT_READ));
    SHOW(madvise((void *)(16 * PAGE), PAGE, MADV_DONTNEED));
    SHOW(madvise((void *)1, PAGE, MADV_DONTNEED));
    SHOW(msync((void *)1, PAGE, MS_SYNC));

    remapped();
    several_areas();
    moves_counted();
    code_writes_beside_itself();
    section("anonymous");
    char *p = map(8 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);
    SHOW_TRUE(p != MAP_FAILED);
    SHOW(p[0] | p[7 * PAGE]);
    memset(p, 7, 8 * PAGE);
    SHOW(mprotect(p + PAGE, PAGE, PROT_READ));
    SHOW_TOUCH(p + PAGE, true);
    SHOW_TOUCH(p + PAGE, false);
    SHOW(mprotect(p + 2 * PAGE, PAGE, PROT_NONE));
    SHOW_TOUCH(p + 2 * PAGE, false);
    SHOW(mprotect(p, 8 * PAGE, PROT_READ | PROT_WRITE));
    SHOW(p[PAGE] + p[2 * PAGE]);
    SHOW(munmap(p + 3 * PAGE, PAGE));
    SHOW_TOUCH(p + 3 * PAGE, false);
    SHOW(mprotect(p, 8 * PAGE, PROT_READ));
    SHOW_TOUCH(p, true);
    SHOW_TOUCH(p + 4 * PAGE, true);
    mprotect(p + 4 * PAGE, 4 * PAGE, PROT_READ | PROT_WRITE);
    SHOW(madvise(p + 4 * PAGE, PAGE, MADV_DONTNEED));
    SHOW(p[4 * PAGE]);
    SHOW(p[5 * PAGE]);
    SHOW(madvise(p, PAGE, 9999));
    unsigned char vec[8];
    SHOW(mincore(p + 4 * PAGE, 4 * PAGE, vec));
    SHOW(mincore(p, 8 * PAGE, vec));
    SHOW(mincore(p + 1, PAGE, vec));
    SHOW(munmap(p, 8 * PAGE));
    SHOW_TOUCH(p, false);
    SHOW_TOUCH(0, false);
    SHOW_TOUCH(0x10, true);

    section("fixed");
    p = map(4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);
    memset(p, 5, 4 * PAGE);
    SHOW(mmap(p + PAGE, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == p + PAGE);
    SHOW(p[PAGE]);
    SHOW(mmap(p, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0));
    munmap(p, 4 * PAGE);
    SHOW(mmap(p, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) == p);
    munmap(p, PAGE);
    SHOW(mmap(p, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == p);

    section("remap");
    p = map(2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);
    p[0] = 11;
    p[PAGE] = 12;
    char *q = mremap(p, 2 * PAGE, 600 * PAGE, MREMAP_MAYMOVE);
    SHOW_TRUE(q != MAP_FAILED);
    SHOW(q[0] + q[PAGE]);
    SHOW(q[599 * PAGE]);
    SHOW(mremap(q, 600 * PAGE, PAGE, 0) == q);
    SHOW_TOUCH(q + PAGE, false);
    SHOW(mremap(q + 1, PAGE, PAGE, 0));
    SHOW(mremap(q, PAGE, 0, 0));
    SHOW(mremap((void *)(16 * PAGE), PAGE, 2 * PAGE, MREMAP_MAYMOVE));
    SHOW(mremap(q, PAGE, 2 * PAGE, 0x100));

    section("files");
    char name[] = "/tmp/memoryXXXXXX";
    int fd = mkstemp(name);
    SHOW(ftruncate(fd, 3 * PAGE + 100));
    pwrite(fd, "file data", 9, 0);
    char *s = mmap(NULL, 6 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    char *c = mmap(NULL, 6 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    SHOW_TRUE(memcmp(s, "file data", 9) == 0);
    c[0] = 'P';
    SHOW(s[0]);
    s[1] = 'S';
    char b[10];
    SHOW(pread(fd, b, 2, 0));
    SHOW(b[1]);
    SHOW(c[1]);
    pwrite(fd, "Z", 1, PAGE);
    SHOW(s[PAGE]);
    SHOW(c[PAGE]);
    SHOW(s[3 * PAGE + 200]);
    SHOW_TOUCH(s + 4 * PAGE, false);
    SHOW_TOUCH(c + 5 * PAGE, true);
    SHOW(ftruncate(fd, PAGE));
    SHOW_TOUCH(s + PAGE, false);
    SHOW_TOUCH(c + 2 * PAGE, false);
    SHOW(c[0]);
    SHOW(ftruncate(fd, 2 * PAGE));
    SHOW(s[PAGE]);
    SHOW(msync(s, PAGE, MS_SYNC));
    SHOW(msync(s, PAGE, MS_SYNC | MS_ASYNC));
    int ro = open(name, O_RDONLY);
    SHOW(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, ro, 0));
    void *r = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, ro, 0);
    SHOW(mprotect(r, PAGE, PROT_READ | PROT_WRITE));
    SHOW_TRUE(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, ro, 0) != MAP_FAILED);
    int wo = open(name, O_WRONLY);
    SHOW(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, wo, 0));
    int dir = open("/tmp", O_RDONLY);
    SHOW(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, dir, 0));
    close(fd);
    SHOW(s[0]);
    unlink(name);
    SHOW(s[0]);

    section("/dev/zero");
    int zero = SHOW_OK(open("/dev/zero", O_RDWR));
    s = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, zero, 0);
    c = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, zero, PAGE);
    SHOW(s[PAGE] + c[0]);
    SHOW(mmap(s, PAGE, PROT_READ, MAP_SHARED | MAP_FIXED_NOREPLACE, zero, 0));
    s[PAGE] = c[0] = 7;
    char same = 1;
    SHOW(read(zero, &same, 1));
    SHOW(same);
    SHOW(munmap(s, 2 * PAGE));
    SHOW(fcntl(zero, F_GETFL) & O_ACCMODE);
    SHOW(close(zero));
    zero = SHOW_OK(open("/dev/zero", O_RDONLY));
    SHOW(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, zero, 0));
    s = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, zero, 0);
    SHOW(s[0]);
    SHOW(mprotect(s, PAGE, PROT_READ | PROT_WRITE));
    SHOW(close(zero));
    zero = open("/dev/zero", O_RDWR);
    SHOW_OK(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, zero, 0));
    int null = open("/dev/null", O_RDONLY);
    SHOW(read(zero, &same, 1));
    SHOW(read(null, &same, 1));
    SHOW(close(zero));
    SHOW(read(null, &same, 1));
    SHOW(close(null));

    section("shared anonymous and memfd");
    s = map(2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS);
    s[0] = 3;
    SHOW(s[0] + s[PAGE]);
    int m = SHOW_OK(memfd_create("x", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    SHOW(ftruncate(m, PAGE));
    s = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, m, 0);
    s[5] = 'm';
    SHOW(pread(m, b, 1, 5));
    SHOW(b[0]);
    SHOW(fcntl(m, F_ADD_SEALS, F_SEAL_SHRINK));
    SHOW(ftruncate(m, 0));
    SHOW(fcntl(m, F_GET_SEALS));
    SHOW(fcntl(m, F_ADD_SEALS, F_SEAL_WRITE));
    SHOW(memfd_create("x", 0x8000));

    section("brk");
    char *top = sbrk(0);
    SHOW_TRUE(sbrk(100000) == top);
    top[99999] = 1;
    SHOW(top[0]);
    SHOW_TRUE(sbrk(-100000) == top + 100000);

    section("execute");
    unsigned char *code = map(PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);
    memcpy(code, "\xb8\x2a\0\0\0\xc3", 6); /* mov $42,%eax; ret */
    SHOW(mprotect(code, PAGE, PROT_READ | PROT_EXEC));
    SHOW(((int (*)(void))code)());
    code = map(PAGE, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS);
    for (int i = 0; i < 3; i++) { /* write and run in turn, as a JIT does */
        memcpy(code, "\xb8\x2a\0\0\0\xc3", 6);
        code[1] = (unsigned char)i;
        SHOW(((int (*)(void))code)());
    }

    section("large");
    size_t big = 64UL << 20;
    p = map(big, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);
    long sum = 0;
    for (size_t i = 0; i < big; i += PAGE)
        sum += p[i], p[i] = 1;
    for (size_t i = 0; i < big; i += PAGE)
        sum += p[i];
    SHOW(sum);
    SHOW(munmap(p, big));
    p = map(1UL << 40, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE);
    SHOW_TRUE(p != MAP_FAILED);
    SHOW(munmap(p, 1UL << 40));

    section("sparse");
    big = 1UL << 43;
    p = map(big, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE);
    q = map(big, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE);
    SHOW_TRUE(p != MAP_FAILED && q != MAP_FAILED);
    p[big / 3] = 7;
    SHOW_TRUE(mremap(p, big, big, MREMAP_MAYMOVE | MREMAP_FIXED, q) == q);
    SHOW(q[big / 3]);
    SHOW(q[big / 2]);
    SHOW(munmap(q, big));
    big = 1UL << 40;
    int sparse = memfd_create("sparse", 0);
    SHOW(ftruncate(sparse, PAGE));
    p = mmap(NULL, big, PROT_READ | PROT_WRITE, MAP_SHARED, sparse, 0);
    SHOW_TRUE(p != MAP_FAILED);
    p[0] = 1;
    SHOW(ftruncate(sparse, 0));
    SHOW_STR(touch(p, false));
    SHOW(munmap(p, big));
    close(sparse);

    area_flags();
    lock_all();

    section("lock");
    p = map(PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);
    SHOW(mlock(p, PAGE));
    SHOW(munlock(p, PAGE));
    SHOW(mlock((void *)(16 * PAGE), PAGE));
    char *two = map(3 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);
    munmap(two + PAGE, PAGE);
    SHOW(mlock(two, PAGE));
    SHOW(mlock(two + 2 * PAGE, PAGE));
    SHOW(munlockall());
    SHOW(madvise(two, PAGE, MADV_DONTNEED)); /* EINVAL where it is locked */
    SHOW(madvise(two + 2 * PAGE, PAGE, MADV_DONTNEED));
    char *writable = map(2 * PAGE, PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE);
    SHOW(madvise(writable, PAGE, MADV_POPULATE_READ));
    SHOW(madvise(writable, PAGE, MADV_POPULATE_WRITE));
    unsigned char in[2] = {0};
    SHOW(mincore(writable, 2 * PAGE, in));
    SHOW_TRUE(in[0] & in[1] & 1);
    SHOW(mprotect(two, PAGE, PROT_READ | PROT_GROWSUP));
    SHOW(mprotect(two + PAGE, 2 * PAGE, PROT_READ | PROT_GROWSUP));
    SHOW(mprotect(two + PAGE, PAGE, PROT_READ | PROT_GROWSDOWN));
    SHOW(mprotect(two + PAGE, 2 * PAGE, PROT_READ | PROT_GROWSDOWN));
    int file = memfd_create("locked", 0);
    SHOW(write(file, "0123", 4));
    p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, file, 0);
    q = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, file, 0);
    char *later = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, file, 0);
    SHOW(mlock(p, PAGE));
    SHOW(mlock(q, PAGE));
    SHOW(mlock2(later, PAGE, MLOCK_ONFAULT));
    SHOW(mprotect(q, PAGE, PROT_READ | PROT_WRITE));
    SHOW(mprotect(later, PAGE, PROT_READ | PROT_WRITE));
    SHOW(pwrite(file, "new!", 4, 0));
    printf("%.4s %.4s %.4s\n", p, q, later); /* what is locked and may be written is the program's own already */
    SHOW(munlockall());
    p = map(PAGE, PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE);
    SHOW(mincore(p, PAGE, in));
    SHOW(in[0]);

    section("up to where");
    char *shared = map(4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS);
    SHOW(mremap(shared + 2 * PAGE, 0, PAGE, 0));
    SHOW(mremap(shared + 2 * PAGE, -1UL, 2 * PAGE, 0));
    SHOW(mremap(shared + 2 * PAGE, 1UL << 50, PAGE, 0));
    SHOW(mremap(shared + 2 * PAGE, PAGE, 1UL << 48, MREMAP_MAYMOVE));
    SHOW(mremap(shared + 2 * PAGE, 0, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, shared + 2 * PAGE)); /* EFAULT: what it is to be made of goes first */
    SHOW(mremap(shared + 2 * PAGE, -1UL, 2 * PAGE, MREMAP_MAYMOVE));
    SHOW_STR(touch(shared + 2 * PAGE, false));
    p = map(3 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);
    memset(p, 'x', 3 * PAGE);
    SHOW_TRUE(mmap(p + PAGE, 2 * PAGE, PROT_READ, MAP_PRIVATE | MAP_FIXED, file, 0) == p + PAGE);
    SHOW(madvise(p, 2 * PAGE, MADV_WIPEONFORK)); /* EINVAL, but what came before is done */
    pid_t pid = fork();
    if (pid == 0)
        _exit(p[0]);
    int status, ends[2];
    waitpid(pid, &status, 0);
    SHOW(status);
    munmap(p + PAGE, 2 * PAGE);
    SHOW(pipe2(ends, O_NONBLOCK));
    SHOW(write(ends[1], p + 1, 2 * PAGE)); /* whole pages, or nothing of one */
    SHOW(write(ends[1], "123456", 6));
    SHOW(write(ends[1], p + PAGE - 2, 3));
    SHOW(read(ends[0], p + PAGE - 2, 6));
    SHOW(read(ends[0], p, PAGE));
    struct rlimit rl = {1UL << 30, RLIM_INFINITY};
    SHOW(setrlimit(RLIMIT_AS, &rl));
    SHOW_TRUE(map(2UL << 30, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS) == MAP_FAILED && errno == ENOMEM);
    return 0;
}
