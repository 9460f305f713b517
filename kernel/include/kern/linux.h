/* SPDX-License-Identifier: Apache-2.0 */
/* The Linux personality as init sees it. */
#ifndef KERN_LINUX_H
#define KERN_LINUX_H

#include "kern/vfs.h"

struct rlimit_spec {
    u32 resource; /* RLIMIT_* */
    u64 soft, hard;
};

/* What to run first. Strings live as long as the machine. */
struct program_spec {
    char **argv; /* NULL-terminated, argv[0] = path, or a name to look up in PATH */
    char **envp;
    const char *cwd;      /* "/" */
    const char *hostname;
    u32 uid, gid;
    u32 ngroups, groups[CRED_MAX_GROUPS];
    u32 nrlimits;
    struct rlimit_spec rlimits[16];
    struct file *stdio[3]; /* references move in */
    bool controlling_tty;  /* stdio is a terminal: make it the session's */
    bool verbose;          /* name missing calls in the log once */
    bool no_new_privileges;
    bool cores_expected;   /* a client will come that takes core files */
    bool wait_debugger;    /* its first instruction is made when one has come */
    bool no_patch;         /* no system calls as jumps (kern/callsite.h) */
};

struct program_end {
    int code;   /* exit status */
    int signal; /* or the signal that killed it */
    bool not_started; /* code is 126 or 127; report says why */
};

void linux_init(void);
/* Start the first process (pid 1). `ended` is called once, thread context, when it
 * is gone; `report` is its crash report or NULL. 0 or -errno with a message in `ret_why`. */
int linux_start(const struct program_spec *spec, void (*ended)(const struct program_end *end, const char *report),
                char *ret_why, size_t why_size);
/* From the control port: signal `pid` (0 = the first process). 0 or -ESRCH / -EINVAL. */
int linux_signal(u32 pid, int sig);
/* The calls that were missing, "name count, name count". Returns the length needed. */
size_t linux_missing_calls(char *buf, size_t size);
/* System calls with that number so far; all are below LINUX_CALL_NUMBERS. */
u64 linux_call_count(u32 nr);
#define LINUX_CALL_NUMBERS 512u

/* Tell of each system call how long it took, from entry to return; NULL: no more. Waiting counts. */
void linux_time_calls(void (*timed)(u32 nr, u64 ns));

struct linux_stats {
    u64 processes, zombies, threads; /* now */
};
void linux_stats(struct linux_stats *ret);
/* One line for each thread, "pid ppid tid state cpu_ns calls voluntary forced rss_pages nice call waits_for name":
 * state as in proc(5), call the number of the system call it is in or -1, waits_for "-" when unknown, and the name, which may
 * have blanks, last. Returns length needed. */
size_t linux_show_tasks(char *buf, size_t size);
/* A message for the user (CTL_LOG), set by init; may be NULL. */
extern void (*linux_notice)(const char *text);

#endif
