/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Many address spaces: carriers HOW [N]. What each process has is its own, however often they take turns, and what is done
 * to one that sleeps is there when it wakes. carriers.py
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ticks.h"

#define PAGE 4096
#define PAGES 64

/* --- a crowd that takes turns ------------------------------------------------------------ */

static unsigned char *area; /* private; of each process since fork() */
static _Thread_local int own_id;

static int check_round(int id, int round)
{
    int wrong = own_id != id;
    for (int p = 0; p < PAGES; p += 7)
        wrong += area[p * PAGE] != (unsigned char)(id + round - 1) && round > 0;
    for (int p = 0; p < PAGES; p += 7)
        area[p * PAGE] = (unsigned char)(id + round);
    return wrong;
}

/* One byte in, one out, for each turn; what is in the registers must stay. */
static void member(int id, int in, int out, int rounds)
{
    unsigned char wrong = 0, byte;
    own_id = id;
    for (int round = 0; round < rounds; round++) {
        uint64_t mark = (uint64_t)id << 32 | (uint64_t)round, found;
        __asm__ volatile("movq %0, %%xmm15" ::"r"(mark) : "xmm15");
        if (read(in, &byte, 1) != 1)
            _exit(1);
        __asm__ volatile("movq %%xmm15, %0" : "=r"(found));
        wrong += found != mark;
        wrong = (unsigned char)(wrong + check_round(id, round));
        if (write(out, &wrong, 1) != 1)
            _exit(1);
    }
    _exit(0);
}

static void crowd(int n, int rounds)
{
    int (*in)[2] = calloc((size_t)n, sizeof *in), out[2], wrong = 0, made = 0, ended = 0, status;
    unsigned char byte = 0;
    area = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memset(area, 0xee, PAGES * PAGE);
    if (pipe(out) != 0)
        return;
    puts("ready");
    fflush(stdout);
    (void)!read(0, &byte, 1);
    for (byte = 0; made < n && pipe(in[made]) == 0; made++) {
        pid_t pid = fork();
        if (pid == 0)
            member(made, in[made][0], out[1], rounds);
        if (pid < 0)
            break;
        close(in[made][0]);
    }
    puts("made");
    fflush(stdout);
    for (int round = 0; round < rounds; round++) {
        for (int i = 0; i < made; i++) {
            int who = (i * 7 + round) % made; /* n is no multiple of 7 */
            wrong += write(in[who][1], &byte, 1) != 1 || read(out[0], &byte, 1) != 1 || byte != 0;
        }
        area[round * PAGE] = 0xdd;
    }
    while (wait(&status) > 0)
        ended += status == 0;
    printf("crowd of %d: %d wrong, %d ended well\n", made, wrong, ended);
}

/* --- what others do to one that sleeps ------------------------------------------------------- */

static sigjmp_buf back;
static void on_bus(int sig) { siglongjmp(back, sig); }

static struct {
    volatile int value;
    char fill[PAGE - sizeof(int)];
} private_page __attribute__((aligned(PAGE))) = { .value = 1 };

/* The child touches everything, sleeps while the parent does `change`, and looks. */
static void asleep(void)
{
    char name[] = "/tmp/carriersXXXXXX";
    int fd = mkstemp(name), go[2], ready[2], status;
    char byte = 0;
    if (fd < 0 || ftruncate(fd, 2 * PAGE) != 0 || pipe(go) != 0 || pipe(ready) != 0)
        exit(1);
    volatile char *file = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    volatile char *copy = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    file[0] = 'a', file[PAGE] = 'b';
    pid_t pid = fork();
    if (pid == 0) {
        volatile char seen = file[0] + file[PAGE] + copy[0];
        (void)seen;
        copy[1] = 'c';
        private_page.value++;
        signal(SIGBUS, on_bus);
        (void)!write(ready[1], &byte, 1);
        (void)!read(go[0], &byte, 1);
        printf("asleep: file %c, own page %d, copy %c%c\n", file[0], private_page.value, copy[0], copy[1]);
        if (sigsetjmp(back, 1) == 0)
            printf("asleep: behind the end: %c\n", file[PAGE]);
        else
            printf("asleep: SIGBUS behind the file's end\n");
        fflush(stdout);
        _exit(0);
    }
    (void)!read(ready[0], &byte, 1);
    private_page.value = 40; /* ours alone */
    int given = 77;
    struct iovec here = { &given, sizeof given }, there = { (void *)&private_page.value, sizeof given };
    int poked = process_vm_writev(pid, &here, 1, &there, 1, 0) == sizeof given;
    file[0] = 'z';
    int cut = ftruncate(fd, PAGE);
    (void)!write(go[1], &byte, 1);
    waitpid(pid, &status, 0);
    printf("awake: own page %d, poked %d, cut %d, ended %d\n", private_page.value, poked, cut, status);
    unlink(name);
}

/* --- timers in two processes at once ----------------------------------------------------------- */

static void compute(void) {}
static void doze(void) { usleep(10000); }

/* Every process waits for its ticks, computing or asleep; one that does not come within two seconds is lost. */
static void ticking(int n)
{
    int lost = 0, status;
    for (int i = 0; i < n; i++) {
        if (fork() != 0)
            continue;
        start_ticks(1000 + 100 * i, 1000);
        for (double end = now_s() + 2; now_s() < end;)
            lost += !next_tick(2, i % 2 == 1 ? doze : compute);
        _exit(lost != 0);
    }
    puts("ready");
    fflush(stdout);
    for (lost = 0; wait(&status) > 0;)
        lost += status != 0;
    printf("%d of %d lost a tick\n", lost, n);
}

/* Processes that sleep, and one that computes: whoever looks finds as many carriers. */
static void stay(int n)
{
    for (int i = 0; i < n; i++)
        if (fork() == 0)
            for (;;)
                pause();
    usleep(1000);
    puts("ready");
    fflush(stdout);
    for (char c; read(0, &c, 1) == 1;)
        if (c == 'q')
            break;
    puts("went on");
}

/* Two pass a byte to and fro, until there is something to read; then one computes until there is more. */
static void talk(void)
{
    struct pollfd more = { 0, POLLIN, 0 };
    int there[2], back[2];
    char byte = 0;
    if (pipe(there) != 0 || pipe(back) != 0)
        exit(1);
    if (fork() == 0) {
        close(there[1]);
        while (read(there[0], &byte, 1) == 1 && write(back[1], &byte, 1) == 1)
            ;
        _exit(0);
    }
    puts("ready");
    fflush(stdout);
    for (unsigned i = 0; i % 256 != 0 || poll(&more, 1, 0) == 0; i++)
        if (write(there[1], &byte, 1) != 1 || read(back[0], &byte, 1) != 1)
            exit(1);
    (void)!read(0, &byte, 1);
    while (poll(&more, 1, 0) == 0)
        ;
    close(there[1]);
    wait(NULL);
    puts("talked");
}

/* On the machine's first CPU two pass a byte to and fro, and one of them makes processes that sleep. */
static void aside(int n)
{
    cpu_set_t one;
    int there[2], back[2];
    char byte = 0;
    CPU_ZERO(&one);
    CPU_SET(0, &one);
    if (sched_setaffinity(0, sizeof one, &one) != 0 || pipe(there) != 0 || pipe(back) != 0)
        exit(1);
    if (fork() == 0)
        for (;;)
            if (read(there[0], &byte, 1) != 1 || write(back[1], &byte, 1) != 1)
                _exit(1);
    for (int i = 0; i < n; i++) {
        for (int turn = 0; turn < 1000; turn++)
            if (write(there[1], &byte, 1) != 1 || read(back[0], &byte, 1) != 1)
                exit(1);
        if (fork() == 0)
            for (;;)
                pause();
    }
    puts("ready");
    fflush(stdout);
    (void)!read(0, &byte, 1);
}

int main(int argc, char **argv)
{
    const char *how = argc > 1 ? argv[1] : "";
    int n = argc > 2 ? atoi(argv[2]) : 3;
    if (strcmp(how, "crowd") == 0)
        crowd(n, 6);
    else if (strcmp(how, "asleep") == 0)
        asleep();
    else if (strcmp(how, "ticking") == 0)
        ticking(n);
    else if (strcmp(how, "stay") == 0)
        stay(n);
    else if (strcmp(how, "talk") == 0)
        talk();
    else if (strcmp(how, "aside") == 0)
        aside(n);
    return 0;
}
