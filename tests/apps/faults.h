/* SPDX-License-Identifier: Apache-2.0 */
/*
 * System calls whose n-th allocation fails, n = 1, 2, 3 ... until the call makes fewer (/proc/PID/fail-nth), then whose n-th touch of
 * the program's memory does (touch-nth):
 *
 *     EACH(pipe(p))
 *         close_fds(p, a.r == 0 ? 2 : 0);
 *
 * makes the call again and again; the body takes back what each made (`a.r` is its result). What a failure may be told as is ENOMEM or EFAULT,
 * or what also_errno() adds; anything else is printed: "odd FILE CALL N ERRNO". So is a call that never came to its end: "stall FILE CALL N".
 * Where kills come, each call is made once and as it is.
 */
#ifndef FAULTS_H
#define FAULTS_H

#include <errno.h>
#include <stdbool.h>
#include <sys/syscall.h>
#include <unistd.h>

enum nth_file { FAIL_NTH, TOUCH_NTH, NTH_FILES };

struct attempt {
    const char *call;
    enum nth_file file;
    unsigned n;
    unsigned unfailed; /* attempts in which nothing failed: twice, and that was all */
    long r;
};

struct attempt attempt_first(const char *call);
bool attempt_more(struct attempt *a); /* arms it */
void attempt_made(struct attempt *a); /* disarms it and judges */

#define EACH(call_) \
    for (struct attempt a = attempt_first(#call_); attempt_more(&a) && (a.r = (long)(call_), attempt_made(&a), true);)

/* The same for what a new process does, which ends with it: 0 and by its exit, or by SIGKILL when not even its memory was to be had
 * (SIGSEGV: a signal's frame was not to be written). */
void each_child(const char *what, void (*run)(void));

/* From now on, a call may also answer so when memory fails; 0: no more. */
void also_errno(int e);

/* For calls that do not come back: a new process's own n-th allocation or touch fails. What is left of n there. */
void arm_own(enum nth_file file, unsigned n);
unsigned left_of(long pid, enum nth_file file);
bool each_is_once(void); /* kills come */

void close_fd(long fd); /* if it is one */
void close_fds(const int *fds, int n);

#define RAW(nr, ...) syscall(SYS_##nr, ##__VA_ARGS__)

struct family {
    const char *name;
    void (*run)(void);
};
extern const struct family families_files[], families_net[], families_memory[], families_processes[], families_rest[]; /* the last one has no name */
extern const struct family families_ends[]; /* that do not come back: for kills */

#endif
