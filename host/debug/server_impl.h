/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The server's parts: threads.c (who runs, who stops and why), files.c (files of the instance for gdb), tls.c, server.c (packets). All-stop:
 * gdb has its say while every thread is stopped; after vCont some run until one has something to tell, then all stop again.
 */
#ifndef HOST_DEBUG_SERVER_IMPL_H
#define HOST_DEBUG_SERVER_IMPL_H

#include "host/debug/regs.h"
#include "host/debug/rsp.h"
#include "host/debug/target.h"

#define SERVER_FILES_MAX DBG_FILES_MAX

/* Why a thread stands still, as long as gdb has not been told. */
enum pending { PENDING_NOTHING, PENDING_SIGNAL, PENDING_BREAK, PENDING_STEP, PENDING_EXEC, PENDING_POINT };

struct sthread {
    u32 tid;
    bool stopped;
    bool wanted;  /* gdb has let it go on: what it has to tell is told */
    bool stepping;
    u8 pending; /* enum pending */
    u8 signal;  /* Linux' number */
    u8 siginfo[128];
    bool has_siginfo;
    u8 point;        /* PENDING_POINT: DBG_POINT_* */
    u64 point_addr;
};

struct server_file {
    bool used;
    int local; /* the same file of this host; -1: the instance's is read */
    u32 number;
    struct dbg_stat stat;
};

/* points.c: one that is set. len 0: none. */
struct point {
    u64 addr, len;
    u32 how;
    bool lifted;       /* for a single step */
    u8 value[8];       /* what was there at the last stop */
    struct buf events; /* int: descriptors, of one that is loaded from outside */
};
#define POINTS_MAX 4u /* an x86 has no more */

struct server {
    struct target target;
    struct regs_layout layout;
    struct sthread *threads;
    size_t nthreads, capacity;
    bool running;        /* gdb waits for a stop */
    bool rest_runs;      /* threads that are new go on */
    bool interrupted;    /* gdb wants it to stop */
    bool ended;          /* the process has, or the instance */
    bool told_end, owned;
    u64 status;          /* as wait(2) has it; of the last thread that said it would end */
    bool has_status;
    u64 pass_signals;    /* bit n-1: not worth stopping for */
    u32 general, cont;   /* tid of Hg; of Hc, 0 = any */
    u32 current;         /* of the last stop */
    struct regs regs;    /* of regs_tid; 0 = nobody's */
    u32 regs_tid;
    u64 tls_symbol;      /* tls.c */
    bool exec_events, no_resumed, quit;
    struct server_file files[SERVER_FILES_MAX];
    struct point points[POINTS_MAX];
    u64 instance; /* pid of its first process, where it is one */
    bool emulated; /* by QEMU, which does not survive a single step over watched memory */
    struct rsp rsp;
    struct buf reply;    /* content of the packet to send */
    int out;
    struct snapshot *snapshot; /* the process goes on, and gdb sees what was; NULL: it stands still */
};

/* server.c: the registers of a thread that stands still into s->regs. 0 or -errno */
int server_load_regs(struct server *s, u32 tid);

/* snapshot.c: with all threads stopped. Of each at most an equal share of so many bytes is kept; one whose registers do not fit there is left out. */
void snapshot_take(struct server *s, size_t most);
size_t snapshot_size(const struct snapshot *n); /* memory that they take */
void snapshot_let_go(struct server *s); /* whoever has stopped since */
bool snapshot_has(const struct snapshot *n, u32 tid);
bool snapshot_regs(const struct snapshot *n, u32 tid, struct regs *ret); /* false: no such thread */
const struct buf *snapshot_threads(const struct snapshot *n);        /* gdb's <threads> document */
bool snapshot_read(const struct snapshot *n, u64 addr, u64 len, struct buf *ret); /* false: not in what was read */
bool snapshot_kernel(const struct snapshot *n, u32 tid, struct buf *ret);
void snapshot_free(struct snapshot *n);

/* threads.c */
struct sthread *thread_find(struct server *s, u32 tid);
/* Take in what happened. False: the conversation is over. */
bool threads_take(struct server *s, const struct dbg_event *e);
/* All are to stop; waits until they have. */
void threads_stop_all(struct server *s);
/* Somebody has something to tell; NULL: nobody. */
struct sthread *threads_news(struct server *s);
bool threads_any_runs(const struct server *s);
/* signal: Linux' number or 0. */
void thread_resume(struct server *s, struct sthread *t, bool step, u8 signal);
/* Names and numbers anew; with *ret, as gdb's <threads> document. */
void threads_list(struct server *s, struct buf *ret);
int gdb_signal(int linux_signal);
/* It stopped for a signal that gdb does not want to hear of. */
bool thread_passes(const struct server *s, const struct sthread *t);
int linux_signal(int gdb_signal); /* 0: there is none */

/* tls.c: packets behind "qSymbol:", and behind "qGetTLSAddr:THREAD,". */
void tls_symbol(struct server *s, const char *p);
int tls_address(struct server *s, const char *p, u64 fs_base, u64 *ret);

/* points.c: DBG_POINT_* at an aligned address. 0 or -errno; -ENOSYS: this kind is not there */
int points_change(struct server *s, u32 how, u64 addr, u64 len, bool on);
/* A thread that stands still is about to make a single step. */
void points_before_step(struct server *s, u32 tid);
/* All are stopped, t (NULL: nobody in particular) after a single step or at a point. A step tells of itself alone: did it change what a point is for? */
bool points_stepped(struct server *s, struct sthread *t);
void points_done(struct server *s); /* none is set any more: they went with the program, or we go */

/* files.c: packets vFile:... behind the colon. */
void files_packet(struct server *s, const char *p);
void files_done(struct server *s);

#endif
