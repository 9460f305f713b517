/* SPDX-License-Identifier: Apache-2.0 */
/*
 * io_uring(7). A *ring* is a file whose submission and completion queues the program maps; a *request* is one
 * submission (sqe) on its way. Who runs requests: the task that submitted them, inside io_uring_enter(2), without
 * ever waiting; and *workers*, threads of the kernel that look like tasks of the process to what they call, but are on none of
 * its lists. Each task that has submitted has its own `struct uring_tasks`: its requests and its workers.
 *
 * io_submit(2)'s requests (aio.c) are the same, on a ring of another form: ring->post is where their results go.
 *
 * Files: uring.c (the rings, the calls), uring_run.c (requests' life), uring_work.c (workers), uring_ops.c and uring_net.c
 * (what each operation does), uring_poll.c (a thread that submits), uring_register.c (io_uring_register(2)).
 *
 * A request's life (req_state, guarded by owner->lock):
 *   LINKED    waits for the one before it in its chain            -> RUNNING, or ends with that one
 *   DEFERRED  waits for all before it, or for an IOSQE_IO_DRAIN   -> RUNNING, QUEUED
 *   RUNNING   some thread has it                                  -> ARMED, QUEUED, WORK, or it is complete
 *   ARMED     on wait queues, or a timer runs for it; nobody has it -> QUEUED, by whoever wakes, times or cancels it first
 *   QUEUED    on owner->ready: for the owner, if it is in io_uring_enter, else for a worker -> RUNNING
 *   WORK      on owner->work: for a worker, which may wait        -> RUNNING, or QUEUED when it is cancelled
 *
 *   U1  Only the thread that made it RUNNING touches a request, but for its state, `again` and `cancelled`.
 *       Once it is ARMED, QUEUED or WORK that thread has let go of it.
 *   U2  While a request is RUNNING a wake-up or a cancellation only leaves a mark; the mark is looked at before the request is ARMED.
 *   U3  A task ends, or runs another program, after all its requests (uring_task_end()); so workers use its memory and
 *       descriptors. It holds a reference of its descriptor table meanwhile, so that the table counts as shared.
 *   U4  What the program can write (rings, sqes) is read once, and never believed: positions are the kernel's own.
 *   U5  A completion is posted by a thread, not by an interrupt; so cq_lock is a plain spinlock.
 *
 * "Without waiting" is EXIT_NOWAIT (kern/thread.h): every interruptible wait ends at once, as if by a signal. What cannot be
 * interrupted (a page read from a device, names) is left to workers.
 *
 * Locks: ring->submit > ring->lock; ring->rlock > owner->lock; cq_lock > waitqueue.lock. A waitqueue.lock may be held
 * around owner->lock (irqsave), never the other way round.
 */
#ifndef LINUX_URING_H
#define LINUX_URING_H

#include "msg.h"
#include "kern/work.h"

#define SQE_FIXED_FILE 1u
#define SQE_DRAIN 2u
#define SQE_LINK 4u
#define SQE_HARDLINK 8u
#define SQE_ASYNC 16u
#define SQE_BUFFER_SELECT 32u
#define SQE_CQE_SKIP 64u

#define CQE_F_BUFFER 1u
#define CQE_F_MORE 2u

#define SETUP_SQPOLL 2u
#define SETUP_R_DISABLED 64u
#define SETUP_SUBMIT_ALL 128u
#define SETUP_SINGLE_ISSUER 4096u

#define FILE_INDEX_ALLOC UINT32_MAX

struct abi_sqe {
    u8 opcode, flags;
    u16 ioprio;
    s32 fd;
    u64 off, addr;
    u32 len, op_flags;
    u64 user_data;
    u16 buf, personality;
    u32 file_index; /* splice_fd_in */
    u64 addr3, pad;
};
_Static_assert(sizeof(struct abi_sqe) == 64, "struct io_uring_sqe");
struct abi_cqe {
    u64 user_data;
    s32 res;
    u32 flags;
};

/* A registered file or buffer; the table and each request that uses it hold a reference. With a tag, its end is told. */
struct rsrc {
    struct refcount refs;
    struct ring *ring;
    struct file *file;
    uaddr_t addr;
    u64 len, tag;
};

struct buf_group; /* provided buffers */
struct poller;

enum uring_words { SQ_HEAD = 0, SQ_TAIL = 4, CQ_HEAD = 8, CQ_TAIL = 12, SQ_MASK = 16, CQ_MASK = 20, SQ_ENTRIES = 24, CQ_ENTRIES = 28,
                   SQ_DROPPED = 32, SQ_FLAGS = 36, CQ_FLAGS = 40, CQ_OVERFLOW = 44, CQES = 64 };

/* Letters: c constant, s submit, l lock, q cq_lock, r rlock, a atomic */
struct req;
struct ring {
    struct refcount refs;       /* the file, requests, registered files and buffers */
    u32 flags;                  /* c: SETUP_* */
    u32 sq_entries, cq_entries; /* c: powers of two */
    u32 ring_pages, sqe_pages;  /* c */
    struct page **pages;        /* c: the rings', then the sqes' */
    struct mutex submit;
    u32 sq_head;                /* s */
    struct mutex lock;
    bool disabled;              /* l, read without */
    bool restricted;            /* l: from then on, the following */
    u64 allowed_ops;            /* l */
    u32 allowed_registers;      /* l */
    u8 allowed_flags, required_flags; /* l */
    bool restrictions_set;      /* l */
    struct rsrc **files, **bufs; /* l */
    u32 nfiles, nbufs;          /* l */
    struct list groups;         /* l: struct buf_group */
    struct cred *persons[8];    /* l: registered credentials */
    struct file *eventfd;       /* l */
    bool eventfd_async;         /* l */
    const struct task *issuer;  /* s: the only task that may submit; compared only */
    struct poller *poller;      /* l: SETUP_SQPOLL */
    bool dead;                  /* a: its last descriptor is closed */
    struct spinlock cq_lock;
    u32 cq_tail;                /* q, read without */
    struct list overflow;       /* q: struct overflow */
    u32 overflowed;             /* q, read without */
    u32 posted;                 /* q, read without: completions so far, for timeouts that count */
    struct waitqueue wq;
    struct spinlock rlock;
    struct list reqs;           /* r: all that are under way */
    struct list deferred;       /* r */
    u32 running, draining;      /* r: requests begun and not complete; those of them with SQE_DRAIN */
    u32 counted;                /* a: timeouts that count completions */
    void (*post)(struct req *r, s64 res); /* c: aio.c's; NULL: the completion queue */
};

enum req_state { REQ_LINKED, REQ_DEFERRED, REQ_RUNNING, REQ_ARMED, REQ_QUEUED, REQ_WORK };

struct hook {
    struct waiter w;
    struct req *req;
};
#define HOOKS 3

struct req {
    struct list ring_node;      /* ring->rlock */
    struct list owner_node;     /* owner->lock */
    struct list queue_node;     /* owner->lock; ring->rlock while DEFERRED */
    struct ring *ring;          /* c */
    struct uring_tasks *owner;  /* c */
    const struct uring_op *op;  /* c; NULL: it was bad from the beginning, as `error` says */
    struct abi_sqe sqe;         /* c: the copy */
    u8 state;                   /* owner->lock */
    bool again, cancelled;      /* owner->lock: U2 */
    bool timed_out;             /* owner->lock */
    bool begun;                 /* counted in ring->running */
    bool started;               /* has been run once */
    bool async;                 /* did not end at once */
    bool poll_first, multishot; /* wait before the first try; go on after a result */
    bool selected;              /* a provided buffer is taken: bid, buf_addr, buf_len */
    bool failed, fine;          /* breaks the chain, or not, whatever the result says */
    bool nowait;                /* it ends with EAGAIN when it would wait */
    bool counts;                /* a timeout, counted in ring->counted */
    bool relative;              /* deadline is from the start of the timer */
    bool lasting;               /* a: the end of its task waits for it and does not cancel it: aio.c's, of files that keep nobody waiting */
    struct file *resfd;         /* c: aio.c's eventfd; referenced */
    u16 bid;
    u32 mask;                   /* what poll() is to find; const while ARMED */
    s32 error;                  /* of a bad one */
    struct thread *worker;      /* owner->lock: who runs it and may wait */
    struct req *link;           /* the next of its chain */
    struct req *timeout;        /* owner->lock: the SQE LINK_TIMEOUT that guards it */
    struct req *guarded;        /* owner->lock: the other way round */
    struct file *file;          /* file_rsrc's, or referenced */
    struct rsrc *file_rsrc, *buf_rsrc;
    struct given given;         /* names that were copied */
    struct cred *cred;          /* NULL: the owner's */
    void *data;                 /* op's: what was copied */
    struct vec *vec;            /* the memory of reads and writes, what is left of it */
    struct msg *msg;
    uaddr_t buf_addr;           /* of a selected buffer */
    u32 buf_len;
    u64 done;                   /* bytes moved so far */
    u32 nhooks, tries;
    u64 deadline;               /* of now_ns() */
    u32 target;                 /* ring->posted at which a timeout is complete */
    struct ktimer timer;
    struct hook hooks[HOOKS];
};

/* Results that are none. */
#define RES_WAIT (-10001)  /* it would wait: when poll() finds op->mask, or in a worker */
#define RES_WORK (-10002)  /* to a worker, which may wait */
#define RES_ARMED (-10003) /* it is ARMED, or complete: do not touch it */

struct uring_op {
    /* Copies and checks; may wait. NULL: nothing to do. 0 or -errno, which is the completion. */
    int (*prep)(struct req *r);
    /* Once, or again after RES_WAIT. `may_wait`: by a worker. A result, or RES_*. */
    s64 (*run)(struct req *r, bool may_wait);
    u32 mask;         /* POLLIN or POLLOUT: that with which it can go on; 0: it is for workers when it would wait */
    bool file;        /* sqe.fd is one */
    bool work;        /* always for workers */
    bool select;      /* takes SQE_BUFFER_SELECT */
};
#define URING_OPS 46
#define OP_READV 1
#define OP_WRITEV 2
#define OP_FSYNC 3
#define OP_POLL_ADD 6
#define OP_TIMEOUT 11
#define OP_LINK_TIMEOUT 15
#define OP_READ 22
#define OP_WRITE 23
extern const struct uring_op uring_ops[URING_OPS];
static inline bool uring_op_known(u32 op) { return op < URING_OPS && uring_ops[op].run != NULL; }

/* Requests and workers of one task (or of a ring's poller). */
struct uring_tasks {
    struct task *task;          /* c: the owner */
    struct fdtable *files;      /* c: referenced */
    struct spinlock lock;       /* irqsave */
    struct list reqs, ready, work; /* lock */
    u32 nreqs;                  /* lock, read without */
    bool inside;                /* lock: the owner is in io_uring_enter, and runs what is ready before it leaves */
    bool ending;                /* lock, read without */
    struct list idle, workers;  /* lock: struct worker */
    u32 nworkers;               /* lock, read without: with those being made */
    struct work spawn;
    struct list pollers;        /* lock: threads of rings that the owner has made */
    struct waitqueue end_wq;    /* a request is complete, a worker or a poller is gone; for uring_task_end() */
};

/* --- uring.c */
extern const struct file_ops uring_file_ops;
static inline struct ring *ring_get(struct ring *g) { ref_get(&g->refs); return g; }
void ring_put(struct ring *g);
/* One of so many pages, cleared; `size` bytes begin with it. NULL */
struct ring *ring_alloc(size_t size, u32 ring_pages, u32 sqe_pages);
/* A word of the rings, shared with the program. */
static inline u32 *ring_word(struct ring *g, u32 off)
{
    return (u32 *)((char *)page_virt(g->pages[off >> PAGE_SHIFT]) + (off & (PAGE_SIZE - 1)));
}
/* A completion for the program. Thread context, no spinlock held. */
void ring_post(struct ring *g, u64 user_data, s64 res, u32 flags);
void ring_signal(struct ring *g, bool async); /* the registered eventfd */
void eventfd_add_one(struct file *f);
/* The current task's requests; made when there are none. -ENOMEM */
int uring_tasks_get(struct uring_tasks **ret);
/* From here on the owner runs what is ready itself. */
void uring_enter_begin(struct uring_tasks *o);
void uring_enter_end(struct uring_tasks *o); /* nothing stays behind that only the owner would run */
/* Take up to n sqes and begin them: how many, or -errno when it was none. */
s64 ring_submit(struct ring *g, struct uring_tasks *o, u32 n);

/* --- uring_poll.c: SETUP_SQPOLL */
int ring_poller_start(struct ring *g);
void ring_poller_end(struct ring *g);
void ring_pollers_end(struct uring_tasks *o); /* all that o's owner has made, and wait for them */
/* io_uring_enter on such a ring. -EOWNERDEAD: the thread has ended, with the task that made the ring. */
s64 ring_poller_enter(struct ring *g, bool wake, bool wait);

/* --- uring_run.c */
void uring_run_init(void);
struct req *req_create(struct ring *g, struct uring_tasks *o);
void req_free(struct req *r);             /* one that was not begun */
void req_begin(struct req *chain);        /* a chain, or one */
void req_fail_chain(struct req *r);       /* it and what is behind it end with their errors, or ECANCELED */
void req_run_ready(struct uring_tasks *o); /* all on o->ready, by the owner */
bool ring_lasting(struct ring *g);        /* is there a request that is `lasting`? */
void owner_finish(struct uring_tasks *o); /* until the owner, who is inside, has none */
/* What cancels: all that it matches, or the first. */
struct cancel {
    const struct req *self;
    u64 user_data;
    const struct file *file;
    const struct uring_op *op;       /* NULL: any */
    const struct uring_tasks *owner; /* NULL: any */
    bool by_file, any, all;
};
/* How many were found; -ENOENT, -EALREADY: it runs, and ends soon. */
s64 ring_cancel(struct ring *g, const struct cancel *c);
void timeouts_counted(struct ring *g);    /* after a completion */
void owner_cancel(struct uring_tasks *o); /* all its requests */
/* Wait until poll() finds r->mask. 0: it is ARMED; else what is there already, and it is still RUNNING. POLLNVAL: this file
 * cannot be waited for. */
u32 req_arm(struct req *r);
bool req_let_go(struct req *r); /* ARMED, with the hooks that it has; false: something has come meanwhile */
void req_arm_timer(struct req *r);
/* A link timeout has run out: what it guards is cancelled. */
void req_cancel_guarded(struct req *r);
/* The request of that user_data and operation that is ARMED, made RUNNING; NULL. */
struct req *ring_claim(struct ring *g, u64 user_data, const struct uring_op *op);
void req_queue(struct req *r); /* a RUNNING one: run it again, soon */

/* The first of o->ready or o->work, now RUNNING; NULL. owner->lock held. */
struct req *req_pop_locked(struct list *queue);
/* Run a RUNNING request and what follows it in its chain. `worker`: by one that may wait for those that want it. */
void req_run_chain(struct req *r, bool worker);

/* --- uring_work.c */
void worker_wake_locked(struct uring_tasks *o); /* an idle one, or one is made. owner->lock held, any context */
bool owner_need_worker(struct uring_tasks *o); /* false: there is no memory for the first one */
struct uring_tasks *owner_create(struct task *t, struct fdtable *files);
void owner_destroy(struct uring_tasks *o); /* all its requests are complete */
/* A task that is on no list, with what `like` has but these descriptors; thread_start() begins it. NULL: no memory. */
struct task *hidden_task_create(struct task *like, struct fdtable *files, const char *name, void (*fn)(void *));
NORETURN void hidden_task_exit(void);

/* --- uring_ops.c, uring_net.c */
int req_buffer(struct req *r, uaddr_t addr, u64 len);  /* its memory is this: -ENOMEM, -EFAULT */
int req_select_buffer(struct req *r); /* a provided buffer, if it wants one and has none: -ENOBUFS, -ENOMEM, -EFAULT */
void req_return_buffer(struct req *r); /* it did not come to use it: another may */
/* A descriptor that was just opened goes into the ring's table, if the request names a place there. */
s64 req_to_table(struct req *r, s64 fd);
s64 op_sendmsg(struct req *r, bool may_wait);
int prep_sendmsg(struct req *r);
s64 op_recvmsg(struct req *r, bool may_wait);
int prep_recvmsg(struct req *r);
s64 op_accept(struct req *r, bool may_wait);
int prep_accept(struct req *r);
s64 op_connect(struct req *r, bool may_wait);
int prep_connect(struct req *r);
s64 op_send(struct req *r, bool may_wait);
int prep_send(struct req *r);
s64 op_recv(struct req *r, bool may_wait);
int prep_recv(struct req *r);
s64 op_shutdown(struct req *r, bool may_wait);
s64 op_socket(struct req *r, bool may_wait);

/* --- uring_register.c */
void rsrc_put(struct rsrc *s);
int ring_file_get(struct ring *g, u32 index, struct rsrc **ret);  /* referenced. -EBADF */
int ring_buf_get(struct ring *g, u32 index, struct rsrc **ret);   /* -EFAULT */
/* Put f (whose reference moves in) at index, or at a free one: FILE_INDEX_ALLOC. The index; f NULL: empty it. */
s64 ring_file_install(struct ring *g, u32 index, struct file *f);
s64 ring_files_update(struct ring *g, u32 off, uaddr_t fds, u32 n);
void ring_unregister_all(struct ring *g);
/* Provided buffers. */
s64 ring_bufs_provide(struct ring *g, u16 group, uaddr_t addr, u32 len, u32 n, u32 bid);
s64 ring_bufs_remove(struct ring *g, u16 group, u32 n);
int ring_buf_select(struct ring *g, u16 group, uaddr_t *ret_addr, u32 *len, u16 *ret_bid); /* len: at most. -ENOBUFS */

#endif
