/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Core files for clients outside (abi/core.h). "dump" copies a process that goes on; "cores" has those that end
 * wait until it has written them down. One client at a time has "cores".
 */
#include "core.h"
#include "abi/core.h"
#include "base/bytes.h"
#include "base/fmt.h"
#include "base/str.h"
#include "kern/channel.h"

#define EXPECT_NS (10 * NSEC_PER_SEC)
#define ANSWER_NS (30 * NSEC_PER_SEC)

/* A process that ends and waits for its core to be written. On its task's stack. */
struct request {
    struct task *task;
    const struct ksiginfo *info;
    bool done; /* lock */
    struct list node;
};

bool cores_expected; /* a client will come: whoever ends before waits for it */
static struct spinlock lock = SPINLOCK_INIT("cores");
static struct channel *watcher; /* lock */
static struct list requests = LIST_INIT(requests); /* lock */
static struct waitqueue done_wq;

/* --- to a channel ----------------------------------------------------------------------------- */

struct channel_sink {
    struct core_sink sink;
    struct channel *channel;
    size_t used;
    u8 part[CTL_PART_MAX];
};

static int flush(struct channel_sink *s)
{
    size_t n = s->used;
    s->used = 1;
    s->part[0] = CORE_DATA;
    return n > 1 ? channel_send(s->channel, s->part, n, false) : 0;
}

static int put(struct core_sink *sink, const void *data, size_t len)
{
    struct channel_sink *s = container_of(sink, struct channel_sink, sink);
    const u8 *from = data;
    while (len > 0) {
        size_t n = MIN(len, sizeof s->part - s->used);
        memcpy(s->part + s->used, from, n);
        s->used += n;
        from += n;
        len -= n;
        int err = s->used == sizeof s->part ? flush(s) : 0;
        if (err < 0)
            return err;
    }
    return 0;
}

static int skip(struct core_sink *sink, u64 len)
{
    struct channel_sink *s = container_of(sink, struct channel_sink, sink);
    u8 message[9] = {CORE_SKIP};
    put_u64(message + 1, len);
    int err = flush(s);
    return err == 0 && len != 0 ? channel_send(s->channel, message, sizeof message, false) : err;
}

/* One core, begin to end, and the client's word that it has it. False: the client has gone. */
static bool send_core(struct channel *c, struct task *t, const struct ksiginfo *info)
{
    struct channel_sink *s = kmalloc(sizeof *s, 0);
    char text[96];
    size_t n = (size_t)fmt_snprintf(text, sizeof text, "%c%u %d %s", CORE_BEGIN, t->proc->pid, info != NULL ? info->signo : 0, t->thread->name);
    int err = channel_send(c, text, MIN(n, sizeof text - 1), false);
    if (err == 0) {
        int failed = -ENOMEM;
        if (s != NULL) {
            *s = (struct channel_sink){.sink = {put, skip}, .channel = c};
            flush(s);
            failed = core_write(t, info, info == NULL, &s->sink);
            failed = failed == 0 ? flush(s) : failed;
        }
        n = failed == 0 ? 1 : (size_t)fmt_snprintf(text, sizeof text, " error %d", -failed);
        text[0] = CORE_END;
        err = channel_send(c, text, n, false);
    }
    kfree(s);
    bool more;
    return err == 0 && channel_receive(c, text, sizeof text, &more, now_ns() + ANSWER_NS) >= 0;
}

/* --- "dump" -------------------------------------------------------------------------------------- */

/* A task of the process, referenced. */
static struct task *task_of(u32 pid)
{
    return process_task_find(pid != 0 ? pid : first_process->pid);
}

static void run_dump(struct channel *c, const char *args, size_t len)
{
    u64 pid = 0;
    struct task *t = len != 0 && (str_to_u64(args, &pid) < 0 || pid == 0 || pid > UINT32_MAX) ? NULL : first_process == NULL ? NULL : task_of((u32)pid);
    if (t == NULL) {
        channel_fail(c, ESRCH, "no such process");
        return;
    }
    (void)send_core(c, t, NULL);
    task_put(t);
}

/* --- "cores" --------------------------------------------------------------------------------------- */

static struct request *next_request(void)
{
    spin_lock(&lock);
    struct request *r = list_empty(&requests) ? NULL : list_first(&requests, struct request, node);
    spin_unlock(&lock);
    return r;
}

static void run_cores(struct channel *c, const char *args, size_t len)
{
    spin_lock(&lock);
    watcher = c;
    spin_unlock(&lock);
    wq_wake_all(&done_wq, 0);
    struct request *r;
    bool there = true;
    while (there) {
        wait_event(channel_wq(c), channel_closed(c) || next_request() != NULL);
        r = next_request();
        there = r != NULL && send_core(c, r->task, r->info);
        spin_lock(&lock);
        if (r != NULL) {
            list_remove(&r->node);
            r->done = true;
        }
        if (!there)
            watcher = NULL;
        spin_unlock(&lock);
        wq_wake_all(&done_wq, 0);
    }
}

static bool is_done(const struct request *r)
{
    spin_lock(&lock);
    bool done = r->done;
    spin_unlock(&lock);
    return done;
}

bool core_client(void)
{
    if (atomic_load_relaxed(&cores_expected))
        (void)wait_event_until(&done_wq, atomic_load_relaxed(&watcher) != NULL, now_ns() + EXPECT_NS);
    atomic_store(&cores_expected, false); /* it has come, or does not */
    return atomic_load_relaxed(&watcher) != NULL;
}

bool core_to_client(struct task *t, const struct ksiginfo *info)
{
    struct request r = {.task = t, .info = info};
    spin_lock(&lock);
    struct channel *c = watcher;
    if (c != NULL) {
        list_push_back(&requests, &r.node);
        wq_wake_all(channel_wq(c), 0);
    }
    spin_unlock(&lock);
    if (c == NULL)
        return false;
    /* A client that goes away leaves the others' requests behind. */
    wait_event(&done_wq, is_done(&r) || atomic_load_relaxed(&watcher) == NULL);
    spin_lock(&lock);
    bool done = r.done;
    if (!done)
        list_remove(&r.node);
    spin_unlock(&lock);
    return done;
}

void core_service_init(void)
{
    static struct service services[] = {{.name = "dump", .run = run_dump}, {.name = "cores", .run = run_cores, .taken = "another client takes the core files"}};
    wq_init(&done_wq, "cores");
    for (unsigned i = 0; i < ARRAY_SIZE(services); i++)
        service_register(&services[i]);
}
