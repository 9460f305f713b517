/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Descriptors on their way through unix sockets (SCM_RIGHTS): bundles of files in a socket's queue.
 *
 * A socket that is on its way lives as long as the queue that holds it. Two that hold each other, or one that holds itself,
 * would live for ever once nobody has a descriptor of them; scm_collect() finds them, as Linux does:
 *
 *   - nodes are the sockets on their way; a node is *reachable* if its file has more references than are on their way,
 *     or if it is in the queue of something reachable. What is no node is reachable.
 *   - the queues of all other nodes are emptied, which ends them.
 *
 * References on their way come and go only under flight_lock (take, give, drop), and who receives from a socket holds a
 * reference of it that is not on its way; so what is unreachable once stays so.
 *
 * Dropping a bundle may end a socket whose queue has a bundle, and so on without end: a thread that drops already only
 * queues what comes to it meanwhile.
 */
#include "scm.h"
#include "base/str.h"
#include "kern/socket.h"

struct bundle {
    struct list node;         /* f: all, or a dropper's */
    struct sock *holder;      /* f: in whose queue it is; NULL: not yet in one. Compared only */
    struct bundle *next_held; /* f: scm_collect()'s */
    u32 n, sockets;
    struct file *files[];
};

static struct spinlock flight_lock = SPINLOCK_INIT("scm"); /* f */
static struct list flights = LIST_INIT(flights);           /* f: bundles with sockets */
static u32 sockets_in_flight;                              /* f; read without */

struct dropper {
    struct list node;           /* f */
    const struct thread *who;   /* f */
    struct list pending;        /* f */
};
static struct list droppers = LIST_INIT(droppers); /* f */

/* f held. */
static void unlist_locked(struct bundle *b)
{
    list_remove_init(&b->node);
    sockets_in_flight -= b->sockets;
    b->sockets = 0;
}

static void free_bundle(struct bundle *b)
{
    for (u32 i = 0; i < b->n; i++)
        file_put(b->files[i]);
    kfree(b);
}

/* True: this thread drops bundles further up its stack, and will drop this one. f held. */
static bool leave_to_dropper_locked(struct bundle *b)
{
    list_for_each(d, &droppers, struct dropper, node) {
        if (d->who != current_thread())
            continue;
        list_push_back(&d->pending, &b->node);
        return true;
    }
    return false;
}

static void drop_bundle(void *bundle)
{
    struct bundle *b = bundle;
    struct dropper self = {.who = current_thread()};
    list_init(&self.pending);
    spin_lock_bh(&flight_lock);
    unlist_locked(b);
    if (leave_to_dropper_locked(b)) {
        spin_unlock_bh(&flight_lock);
        return;
    }
    list_push_back(&droppers, &self.node);
    for (struct list *l = &b->node; l != NULL; l = list_pop_front(&self.pending)) {
        spin_unlock_bh(&flight_lock);
        free_bundle(list_entry(l, struct bundle, node));
        spin_lock_bh(&flight_lock);
    }
    list_remove(&self.node);
    spin_unlock_bh(&flight_lock);
}

static int take_fds(const s32 *fds, u32 n, void **bundle)
{
    struct bundle *old = *bundle;
    u32 had = old != NULL ? old->n : 0;
    if (n > SCM_MAX_FD - had)
        return -EINVAL;
    struct bundle *b = kzalloc(sizeof *b + (had + n) * sizeof b->files[0]);
    if (b == NULL)
        return -ENOMEM;
    list_init(&b->node);
    for (; b->n < n; b->n++) {
        struct file *f = any_file_of(fds[b->n]);
        if (f == NULL || file_is_uring(f)) { /* a ring that holds the socket it is in would never end */
            file_put(f);
            free_bundle(b);
            return f == NULL ? -EBADF : -EINVAL;
        }
        b->files[b->n] = f;
        b->sockets += file_sock(f) != NULL;
    }
    spin_lock_bh(&flight_lock);
    sockets_in_flight += b->sockets;
    if (old != NULL) {
        memmove(b->files + had, b->files, n * sizeof b->files[0]); /* in the order in which they were named */
        memcpy(b->files, old->files, had * sizeof b->files[0]);
        b->n += had;
        b->sockets += old->sockets;
        list_remove_init(&old->node);
    }
    if (b->sockets != 0)
        list_push_back(&flights, &b->node);
    spin_unlock_bh(&flight_lock);
    kfree(old);
    *bundle = b;
    return 0;
}

static void hold_bundle(void *bundle, struct sock *holder)
{
    struct bundle *b = bundle;
    spin_lock_bh(&flight_lock);
    b->holder = holder;
    spin_unlock_bh(&flight_lock);
}

static u32 give_fds(void *bundle, s32 *ret_fds, u32 max, bool cloexec, bool keep, bool *ret_truncated)
{
    struct bundle *b = bundle;
    u32 n = 0, total = b->n;
    if (!keep) {
        spin_lock_bh(&flight_lock);
        unlist_locked(b);
        spin_unlock_bh(&flight_lock);
    }
    for (; n < total && n < max; n++) {
        struct file *f = b->files[n];
        if (keep)
            file_get(f);
        int fd = fd_install(current_files(), f, 0, cloexec);
        if (fd < 0) {
            if (keep)
                file_put(f);
            break;
        }
        if (!keep)
            b->files[n] = NULL;
        ret_fds[n] = fd;
    }
    if (ret_truncated != NULL)
        *ret_truncated = n < total;
    if (!keep)
        drop_bundle(b);
    return n;
}

void scm_untold(const void *control, u32 len_bytes)
{
    const struct sock_msg m = { .control = control, .control_len = len_bytes };
    struct sock_cmsg c;
    for (u32 at = 0; sock_next_cmsg(&m, &at, &c) > 0;)
        for (u32 i = 0; c.level == 1 && c.type == 1 /* SOL_SOCKET, SCM_RIGHTS */ && i < c.len; i += sizeof(s32)) {
            s32 fd;
            memcpy(&fd, c.data + i, sizeof fd);
            fd_close(current_files(), fd);
        }
}

const struct sock_fd_ops scm_fd_ops = {.take = take_fds, .give = give_fds, .drop = drop_bundle, .hold = hold_bundle};

/* --- what nobody can reach any more ---------------------------------------------------------------- */

struct node {
    struct file *file;   /* NULL: free */
    struct bundle *held; /* in its queue */
    struct node *next;   /* to be looked at */
    u32 refs;            /* on their way */
    bool reachable;
};

struct graph {
    struct node *nodes; /* a hash table by socket, never full */
    u64 mask;
    struct node *work;
};

static struct node *node_of(const struct graph *g, const struct sock *s, struct file *make)
{
    for (u64 i = ((uintptr_t)s >> 6) * 0x9e3779b97f4a7c15ULL >> 32;; i++) {
        struct node *n = &g->nodes[i & g->mask];
        if (n->file == NULL) {
            n->file = make;
            return make != NULL ? n : NULL;
        }
        if (n->file->private == s)
            return n;
    }
}

static void reach(struct graph *g, struct node *n)
{
    if (n->reachable)
        return;
    n->reachable = true;
    n->next = g->work;
    g->work = n;
}

static void reach_files(struct graph *g, const struct bundle *b)
{
    for (u32 i = 0; i < b->n; i++) {
        struct sock *s = file_sock(b->files[i]);
        if (s != NULL)
            reach(g, node_of(g, s, NULL));
    }
}

/* f held. */
static void mark_locked(struct graph *g)
{
    list_for_each(b, &flights, struct bundle, node)
        for (u32 i = 0; i < b->n; i++) {
            struct sock *s = file_sock(b->files[i]);
            if (s != NULL)
                node_of(g, s, b->files[i])->refs++;
        }
    for (u64 i = 0; i <= g->mask; i++)
        if (g->nodes[i].file != NULL && ref_count(&g->nodes[i].file->refs) > g->nodes[i].refs)
            reach(g, &g->nodes[i]);
    list_for_each(b, &flights, struct bundle, node) {
        struct node *n = b->holder != NULL ? node_of(g, b->holder, NULL) : NULL;
        if (n == NULL) {
            reach_files(g, b);
        } else {
            b->next_held = n->held;
            n->held = b;
        }
    }
    while (g->work != NULL) {
        struct node *n = g->work;
        g->work = n->next;
        for (struct bundle *b = n->held; b != NULL; b = b->next_held)
            reach_files(g, b);
    }
}

/* Take the files out of the bundles that nobody can reach: into `ret`, how many. f held. */
static u32 sweep_locked(struct graph *g, struct file **ret)
{
    u32 count = 0;
    for (u64 i = 0; i <= g->mask; i++) {
        if (g->nodes[i].reachable)
            continue;
        for (struct bundle *b = g->nodes[i].held; b != NULL; b = b->next_held) {
            for (u32 k = 0; k < b->n; k++)
                if (file_sock(b->files[k]) != NULL) { /* the others end with their bundle */
                    ret[count++] = b->files[k];
                    b->files[k] = NULL;
                }
            unlist_locked(b);
        }
    }
    return count;
}

/* One pass. Sockets that came since `sockets` was read are left for the pass of their own end. */
static void collect(u32 sockets)
{
    u64 size = 16;
    while (size < 2ULL * sockets)
        size *= 2;
    struct graph g = {.nodes = kzalloc(size * sizeof(struct node)), .mask = size - 1};
    struct file **garbage = kmalloc(sockets * sizeof *garbage, 0);
    u32 n = 0;
    if (g.nodes != NULL && garbage != NULL) { /* else the next end of a socket tries again */
        spin_lock_bh(&flight_lock);
        if (sockets_in_flight <= sockets) {
            mark_locked(&g);
            n = sweep_locked(&g, garbage);
        }
        spin_unlock_bh(&flight_lock);
    }
    for (u32 i = 0; i < n; i++)
        file_put(garbage[i]);
    kfree(garbage);
    kfree(g.nodes);
}

void scm_collect(void)
{
    static u32 wanted; /* atomic: calls since the running pass began; 0 = none runs */
    static u32 ends;   /* atomic: of sockets, since a pass */
    u32 sockets = atomic_load(&sockets_in_flight);
    if (likely(sockets == 0) || atomic_add(&ends, 1u) < sockets / 4) /* so that a pass costs each end the same, however many */
        return;
    if (atomic_add(&wanted, 1u) != 1)
        return;
    atomic_store(&ends, 0u);
    u32 seen;
    do {
        seen = atomic_load(&wanted);
        sockets = atomic_load(&sockets_in_flight);
        if (sockets != 0)
            collect(sockets);
    } while (atomic_sub(&wanted, seen) != 0);
}
