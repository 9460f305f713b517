/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Unit tests. A test program is any number of TEST(name) { ... } linked with the sim
 * library, which brings main(). Each test runs in a process of its own, on a fresh
 * kernel thread of a machine that has just booted, and ends at the first failed CHECK.
 *
 *   prog                 all tests, TAP on stdout
 *   prog NAME            one test, in this process (for gdb)
 *   DRUPE_SEEDS=n        each test with n seeds, starting from DRUPE_SEED (default 1)
 *   DRUPE_CPUS, DRUPE_MEM, DRUPE_VERBOSE   see sim/sim.h
 *   DRUPE_TIMEOUT=s      host seconds that one test may take (default 240)
 */
#ifndef SIM_TEST_H
#define SIM_TEST_H

#include "base/fmt.h"
#include "base/str.h"
#include "kern/core.h"
#include "kern/log.h"
#include "kern/page.h"
#include "kern/slab.h"
#include "kern/thread.h"
#include "sim/sim.h"

struct sim_test {
    const char *name;
    void (*fn)(void);
    struct sim_test *next;
    unsigned cpus; /* so many; 0 = DRUPE_CPUS, else 1 */
};
void sim_test_register(struct sim_test *t);

#define TEST_CPUS(test_name, cpus_wanted)                                                        \
    static void test_##test_name(void);                                                       \
    static struct sim_test entry_##test_name = { #test_name, test_##test_name, NULL, cpus_wanted }; \
    __attribute__((constructor)) static void register_##test_name(void)                       \
    {                                                                                         \
        sim_test_register(&entry_##test_name);                                                \
    }                                                                                         \
    static void test_##test_name(void)
#define TEST(test_name) TEST_CPUS(test_name, 0)

NORETURN void sim_test_failed(const char *file, int line, const char *format, ...) PRINTF_LIKE(3, 4);
/* End the test as not applicable. */
NORETURN void sim_test_skip(const char *why);

#define CHECK(x)                                                 \
    do {                                                         \
        if (!(x))                                                \
            sim_test_failed(__FILE__, __LINE__, "%s", #x);       \
    } while (0)

/* Integers; shown as signed 64-bit numbers. */
#define CHECK_EQ(a, b)                                                                                  \
    do {                                                                                                \
        s64 check_a_ = (s64)(a), check_b_ = (s64)(b);                                                   \
        if (check_a_ != check_b_)                                                                       \
            sim_test_failed(__FILE__, __LINE__, "%s == %s: %lld, %lld", #a, #b, (long long)check_a_,     \
                            (long long)check_b_);                                                       \
    } while (0)

#define CHECK_STR(a, b)                                                                                 \
    do {                                                                                                \
        const char *check_a_ = (a), *check_b_ = (b);                                                    \
        if (strcmp(check_a_, check_b_) != 0)                                                            \
            sim_test_failed(__FILE__, __LINE__, "%s == %s: \"%s\", \"%s\"", #a, #b, check_a_, check_b_); \
    } while (0)

#define CHECK_MEM(a, b, n)                                                                    \
    do {                                                                                      \
        if (memcmp(a, b, n) != 0)                                                             \
            sim_test_failed(__FILE__, __LINE__, "%s == %s (%zu bytes)", #a, #b, (size_t)(n)); \
    } while (0)

/* A thread that runs fn(arg); join waits for its end and drops the reference. */
struct thread *test_thread(const char *name, void (*fn)(void *), void *arg);
void test_join(struct thread *t);

#endif
