/* SPDX-License-Identifier: Apache-2.0 */
/* main() of unit tests; sim/test.h is the manual. */
#include "sim.h"
#include "sim/test.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define SKIPPED 77

static struct sim_test *tests, **tests_end = &tests;

void sim_test_register(struct sim_test *t)
{
    *tests_end = t;
    tests_end = &t->next;
}

void sim_test_failed(const char *file, int line, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    fprintf(stderr, "# %s:%d: check failed: ", file, line);
    vfprintf(stderr, format, ap);
    fputc('\n', stderr);
    va_end(ap);
    sim_exit(1);
}

void sim_test_skip(const char *why)
{
    fprintf(stderr, "# skipped: %s\n", why);
    sim_exit(SKIPPED);
}

struct thread *test_thread(const char *name, void (*fn)(void *), void *arg)
{
    struct thread *t;
    unsigned rate = sim_fail_allocations(0);
    int err = thread_create(name, fn, arg, false, &t);
    sim_fail_allocations(rate);
    CHECK_EQ(err, 0);
    thread_start(t);
    return t;
}

void test_join(struct thread *t)
{
    u64 give_up_ns = now_ns() + 600 * NSEC_PER_SEC;
    while (atomic_load(&t->state) != THREAD_DEAD) {
        if (now_ns() > give_up_ns) {
            sim_print_threads();
            sim_test_failed(__FILE__, __LINE__, "thread %u %s does not end", t->id, t->name);
        }
        thread_sleep_until(now_ns() + NSEC_PER_MSEC, false);
    }
    thread_put(t);
}

static void call_test(void *arg)
{
    ((struct sim_test *)arg)->fn();
}

static NORETURN void run_here(struct sim_test *t, u64 seed)
{
    char text[24];
    fmt_snprintf(text, sizeof text, "%llu", (unsigned long long)seed);
    setenv("DRUPE_SEED", text, 1);
    if (t->cpus != 0) {
        fmt_snprintf(text, sizeof text, "%u", t->cpus);
        setenv("DRUPE_CPUS", text, 1);
    }
    const char *timeout = getenv("DRUPE_TIMEOUT");
    alarm(timeout != NULL ? (unsigned)atoi(timeout) : 240);
    sim_init_once(NULL);
    sim_run(call_test, t);
    sim_exit(0);
}

/* The child's exit status, or 128 + signal. */
static int run_in_child(struct sim_test *t, u64 seed)
{
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0)
        run_here(t, seed);
    int status;
    if (pid < 0 || waitpid(pid, &status, 0) != pid)
        return 1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static u64 env_number(const char *name, u64 otherwise)
{
    const char *s = getenv(name);
    u64 v;
    return s != NULL && str_to_u64(s, &v) == 0 ? v : otherwise;
}

int main(int argc, char **argv)
{
    u64 seed = env_number("DRUPE_SEED", 1), seeds = env_number("DRUPE_SEEDS", 1);
    for (struct sim_test *t = tests; argc > 1 && t != NULL; t = t->next)
        if (strcmp(t->name, argv[1]) == 0) {
            if (seeds == 1)
                run_here(t, seed);
            t->next = NULL;
            tests = t;
            argc = 1;
        }
    if (argc > 1) {
        fprintf(stderr, "%s: no test \"%s\"\n", argv[0], argv[1]);
        return 2;
    }
    unsigned count = 0, number = 0, failed = 0;
    for (struct sim_test *t = tests; t != NULL; t = t->next)
        count++;
    printf("1..%u\n", count);
    for (struct sim_test *t = tests; t != NULL; t = t->next) {
        int status = 0;
        u64 s = seed;
        for (; s < seed + seeds; s++)
            if ((status = run_in_child(t, s)) != 0)
                break;
        number++;
        if (status == 0) {
            printf("ok %u - %s\n", number, t->name);
        } else if (status == SKIPPED) {
            printf("ok %u - %s # SKIP\n", number, t->name);
        } else {
            failed++;
            printf("not ok %u - %s\n# status %d, seed %llu\n", number, t->name, status, (unsigned long long)s);
        }
        fflush(stdout);
    }
    return failed != 0;
}
