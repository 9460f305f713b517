// SPDX-License-Identifier: Apache-2.0
/* For probes.py: SIGUSR1 calls its functions as often as the test knows, SIGUSR2 begins to call them without an end, and looks at each result; with
 * the argument jit it stays in code that it has made. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define NOINLINE __attribute__((noinline))

int number = 5;
static jmp_buf jump;

/* One of each kind of instruction that a probe has to do something about; probes.py knows the offsets. */
__asm__(".text\n.globl steps\n.type steps, @function\nsteps: endbr64\n push %rbp\n mov %rsp, %rbp\n sub $16, %rsp\n mov number(%rip), %eax\n test %edi, %edi\n"
        " je 1f\n call two\n1: lea 1(%rax,%rdi,1), %eax\n leave\n ret\n.size steps, . - steps\n"
        ".type two, @function\ntwo: add $2, %eax\n ret\n.size two, . - two\n");
int steps(int n);

/* Knows nothing of where it lies. */
__asm__(".text\n.balign 4096\n.globl twice\n.type twice, @function\ntwice: endbr64\n lea (%rdi,%rdi,1), %eax\n ret\n.size twice, . - twice\n.balign 4096\n");
int twice(int n);

NOINLINE int add(int a, int b)
{
    __asm__ volatile("");
    return a + b + number;
}

NOINLINE int deep(int n)
{
    int r = n == 0 ? 1 : deep(n - 1);
    __asm__ volatile("" : "+r"(r));
    return r + (n != 0);
}

NOINLINE void leaves(int n)
{
    if (n != 0)
        longjmp(jump, n);
    __asm__ volatile("");
}

NOINLINE int inner(int n)
{
    __asm__ volatile("" : "+r"(n));
    return n;
}

NOINLINE int outer(int n)
{
    int r = inner(n);
    __asm__ volatile("" : "+r"(r));
    return r + 1;
}

static void *thousand(void *arg)
{
    long sum = 0;
    for (int i = 0; i < 1000; i++)
        sum += add(i, 1);
    return (void *)sum;
}

/* Its page, of this file, as dlopen() and dlclose() map it and take it away: calls it there. */
static int elsewhere(const char *self)
{
    char line[256];
    unsigned long first, last, offset = 0, at = (unsigned long)twice;
    int sum = 0, fd = open(self, O_RDONLY);
    FILE *maps = fopen("/proc/self/maps", "r");
    while (fgets(line, sizeof line, maps) && (sscanf(line, "%lx-%lx %*s %lx", &first, &last, &offset) != 3 || at < first || at >= last))
        ;
    fclose(maps);
    for (int i = 1; i <= 3; i++) {
        void *page = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, (off_t)(offset + (at - first)));
        sum += ((int (*)(int))page)(i);
        munmap(page, 4096);
    }
    close(fd);
    return sum;
}

/* A child writes to its text, which is its own then, and calls it. */
static int written(void)
{
    int status;
    pid_t child = fork();
    if (child == 0) {
        volatile char *code = (char *)twice;
        if (mprotect((void *)code, 4096, PROT_READ | PROT_WRITE) != 0)
            _exit(1);
        code[4095] = code[4095];
        if (mprotect((void *)code, 4096, PROT_READ | PROT_EXEC) != 0)
            _exit(2);
        pid_t own = fork();
        if (own != 0)
            waitpid(own, &status, 0);
        _exit(own == 0 ? twice(6) : twice(5) + WEXITSTATUS(status));
    }
    waitpid(child, &status, 0);
    return WEXITSTATUS(status) + twice(7);
}

NOINLINE static void known(const char *self)
{
    pthread_t t[4];
    void *r;
    long sum = 0;
    int status[2];
    for (int i = 0; i < 4; i++)
        pthread_create(&t[i], NULL, thousand, NULL);
    for (int i = 0; i < 4; i++) {
        pthread_join(t[i], &r);
        sum += (long)r;
    }
    int d = deep(50), s = steps(1) + steps(0), o = outer(3);
    for (int i = 1; i <= 100; i++)
        if (setjmp(jump) == 0)
            leaves(i);
    leaves(0);
    for (int i = 0; i < 7; i++)
        getppid();
    pid_t forked = fork();
    if (forked == 0)
        _exit(add(1, 2));
    waitpid(forked, &status[0], 0);
    pid_t executed = fork();
    if (executed == 0) {
        execl(self, self, "child", NULL);
        _exit(127);
    }
    waitpid(executed, &status[1], 0);
    printf("known %ld %d %d %d %d %d %d %d\n", sum, d, s, o, WEXITSTATUS(status[0]), WEXITSTATUS(status[1]), elsewhere(self), written());
}

/* Code of its own that calls fn, and its name where perf(1) looks for it. */
static void (*made(void))(void (*fn)(void))
{
    static const unsigned char code[] = {0x55, 0x48, 0x89, 0xe5, 0xff, 0xd7, 0x5d, 0xc3}; /* push %rbp; mov %rsp, %rbp; call *%rdi; pop %rbp; ret */
    char name[32];
    unsigned char *at = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memcpy(at, code, sizeof code);
    mprotect(at, 4096, PROT_READ | PROT_EXEC);
    snprintf(name, sizeof name, "/tmp/perf-%d.map", getpid());
    FILE *f = fopen(name, "w");
    fprintf(f, "%lx 10 an_older_name\n%lx %zx made by: itself\n", (long)at, (long)at, sizeof code);
    fclose(f);
    return (void (*)(void (*)(void)))at;
}

NOINLINE static void busy(void)
{
    printf("ready\n");
    for (volatile long i = 0;; i++)
        ;
}

static void *endless(void *arg)
{
    for (int i = 0;; i = (i + 1) & 0xffff)
        if (add(i, 2) != i + 7 || steps(i) != (i == 0 ? 6 : i + 8) || outer(i) != i + 1 || getppid() != 0) {
            printf("wrong result\n");
            abort();
        }
    return NULL;
}

int main(int argc, char **argv)
{
    sigset_t set;
    pthread_t t;
    int sig;
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (argc > 1 && strcmp(argv[1], "jit") == 0)
        made()(busy);
    if (argc > 1)
        return add(10, 20);
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGUSR2);
    sigprocmask(SIG_BLOCK, &set, NULL);
    printf("ready\n");
    while (sigwait(&set, &sig) == 0)
        if (sig == SIGUSR1)
            known(argv[0]);
        else
            for (int i = 0; i < 2; i++)
                pthread_create(&t, NULL, endless, NULL);
    return 1;
}
