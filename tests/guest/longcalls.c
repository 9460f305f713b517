/* SPDX-License-Identifier: Apache-2.0 */
/* Calls that take long let go when their thread is to end, and some of them when it has a signal to handle: the file that each of them fills is
 * then only partly there. And others have the CPU meanwhile. */
#include "t.h"
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>

#define LEN ((size_t)32 << 20)
#define ATTEMPTS 100 /* one may have ended before anybody looks */

static int filled, holes;
static char *source;

static char *map_filled(int flags)
{
    return mmap(NULL, LEN, PROT_READ | PROT_WRITE, MAP_SHARED | flags, filled, 0);
}

static long call_write(void) { return pwrite(filled, source, LEN, 0); }
static long call_fallocate(void) { return fallocate(filled, 0, 0, (off_t)LEN); }
static long call_populate(void) { return map_filled(MAP_POPULATE) == MAP_FAILED ? -1 : (long)LEN; }
static long call_madvise(void) { return madvise(map_filled(0), LEN, MADV_POPULATE_WRITE); }
static long call_random(void) { return getrandom(map_filled(0), LEN / 2, 0); }

static long call_sendfile(void)
{
    off_t at = 0;
    return sendfile(filled, holes, &at, LEN);
}

static long call_copy(void)
{
    off64_t in = 0, out = 0;
    return copy_file_range(holes, &in, filled, &out, LEN, 0);
}

static long call_vm_readv(void)
{
    struct iovec to = {map_filled(0), LEN}, from = {source, LEN};
    return process_vm_readv(getpid(), &to, 1, &from, 1, 0);
}

static long call_memory(void)
{
    return pread(open("/proc/self/mem", O_RDONLY), map_filled(0), LEN, (off_t)(uintptr_t)source);
}

static size_t bytes(void)
{
    struct stat s;
    return fstat(filled, &s) == 0 ? (size_t)s.st_blocks * 512 : 0;
}

static void handler(int sig) { }

/* A child makes the call; it gets the signal when there is something in the file. How it ended. */
static int signalled(long (*call)(void), int sig)
{
    if (ftruncate(filled, 0) != 0 || ftruncate(filled, (off_t)LEN) != 0)
        return -1;
    pid_t child = fork();
    if (child == 0) {
        sigaction(SIGUSR1, &(struct sigaction){.sa_handler = handler}, NULL);
        long n = call();
        _exit(n > 0 && n < (long)LEN / 2);
    }
    int status = 0;
    while (bytes() == 0 && waitpid(child, &status, WNOHANG) == 0)
        sched_yield();
    kill(child, sig);
    waitpid(child, &status, 0);
    return status;
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* A child makes the call. Does another process, which naps, get a CPU meanwhile? The child's memory is its own, so that the call's copies fault. */
static bool others_run(long (*call)(void))
{
    volatile double *at = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ftruncate(filled, 0);
    ftruncate(filled, (off_t)LEN);
    pid_t child = fork();
    if (child == 0) {
        at[0] = now();
        call();
        at[1] = now();
        _exit(0);
    }
    double last = now(), longest = 0;
    for (bool ended = false; !ended;) {
        ended = waitpid(child, NULL, WNOHANG) == child;
        nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL);
        double t = now();
        if (at[0] != 0 && t - last > longest)
            longest = t - last;
        last = t;
    }
    bool run = longest < (at[1] - at[0]) / 3;
    munmap((void *)at, 4096);
    return run;
}

static bool others_run_meanwhile(long (*call)(void))
{
    int good = 0;
    for (int i = 0; i < 15 && good < 5; i++) /* a busy machine may have had other work */
        good += others_run(call);
    return good == 5;
}

static bool killed_midway(long (*call)(void))
{
    for (int i = 0; i < ATTEMPTS; i++)
        if (WIFSIGNALED(signalled(call, SIGKILL)) && bytes() < LEN / 2)
            return true;
    return false;
}

static bool returns_midway(long (*call)(void))
{
    for (int i = 0; i < ATTEMPTS; i++)
        if (WEXITSTATUS(signalled(call, SIGUSR1)) == 1)
            return true;
    return false;
}

int main(void)
{
    filled = memfd_create("filled", 0);
    holes = memfd_create("holes", 0);
    source = mmap(NULL, LEN, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    SHOW(ftruncate(holes, (off_t)LEN));
    section("killed");
    SHOW_TRUE(killed_midway(call_write));
    SHOW_TRUE(killed_midway(call_fallocate));
    SHOW_TRUE(killed_midway(call_populate));
    SHOW_TRUE(killed_midway(call_madvise));
    SHOW_TRUE(killed_midway(call_random));
    SHOW_TRUE(killed_midway(call_sendfile));
    SHOW_TRUE(killed_midway(call_copy));
    SHOW_TRUE(killed_midway(call_vm_readv));
    SHOW_TRUE(killed_midway(call_memory));
    section("a signal to handle");
    SHOW_TRUE(returns_midway(call_random));
    SHOW_TRUE(returns_midway(call_sendfile));
    SHOW_TRUE(returns_midway(call_copy));
    section("others");
    memset(source, 1, LEN);
    SHOW_TRUE(others_run_meanwhile(call_write));
}
