/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sampling where CPUs are (abi/profile.h). A timer on each CPU takes down the interrupted thread: the kernel's frames by its frame
 * pointers, and of the program registers and the top of its stack, from which the host unwinds by the files' own tables: programs
 * need no frame pointers, the kernel no tables. Timers are bottom halves, so that code which keeps these off is seen where it
 * lets them in again.
 *
 * Off the CPU it is sleeps that are sampled: their times add up on each CPU as they end, and the one that fills a period is told, with the
 * periods that it filled, by the thread that goes on. Who still sleeps at the end is told with all the time that it has slept.
 */
#include "abi/profile.h"
#include "arch_linux.h"
#include "base/fmt.h"
#include "base/str.h"
#include "kern/channel.h"
#include "kern/page.h"
#include "kern/timer.h"
#include "perf_map.h"
#include "task.h"

#define QUEUE_BYTES (8UL << 20)
#define QUEUE_SHARE 8 /* and at most this part of free memory */
#define FRAMES_MAX 32u
#define PIDS_MAX 64u
#define MAPS_FIRST (64u << 10)

struct sample {
    struct list node;
    u32 nframes;
    u64 frames[FRAMES_MAX];
    struct profile_sample head;
    u8 stack[];
};

struct sampler {
    struct ktimer timer;
    u64 next_ns;
};

/* What was told of a process' areas. */
struct told {
    u32 pid;
    u64 areas, pages;
};

static struct {
    struct spinlock lock;  /* taken in bottom halves; all below */
    struct list queue;
    u64 bytes, lost;
    struct channel *client;
    struct thread *self;   /* the client's: its own samples would grow by what they cost */
    u64 period_ns, start_ns; /* constant while client is not NULL */
    u64 slept_ns[MAX_CPUS];  /* behind the last multiple of the period */
} prof = {.lock = SPINLOCK_INIT("profile"), .queue = LIST_INIT(prof.queue)};
static struct sampler samplers[MAX_CPUS];

/* --- taking one ------------------------------------------------------------------------------ */

static struct sample *new_sample(const struct thread *t, u64 weight_ns)
{
    struct sample *s = kmalloc(sizeof *s + PROFILE_STACK_MAX, ALLOC_ATOMIC);
    if (s != NULL) {
        memset(s, 0, sizeof *s);
        s->head.time_ns = now_ns();
        s->head.weight_ns = weight_ns;
        s->head.cpu = t->cpu;
        str_copy(s->head.name, t->name, sizeof s->head.name);
    }
    return s;
}

/* What the program was at; returns where its stack is and, in *ret_len, how much of it is wanted. */
static uaddr_t program_of(struct sample *s, struct thread *t, u64 *ret_len)
{
    const struct task *task = t->task;
    const struct trap_frame *f = thread_frame(t);
    s->head.pid = task->proc->pid;
    s->head.tid = task->tid;
    arch_dwarf_registers(f, s->head.regs);
    u64 sp = FRAME_SP(f);
    *ret_len = sp < PLAT_USER_MAX ? MIN(PLAT_USER_MAX - sp, (u64)PROFILE_STACK_MAX) : 0;
    return sp;
}

/* Takes s, or counts it as lost; NULL: there was no memory for it. */
static void queue_sample(struct sample *s)
{
    u64 most = MIN(QUEUE_BYTES, page_available() * PAGE_SIZE / QUEUE_SHARE);
    spin_lock_bh(&prof.lock);
    bool room = s != NULL && prof.client != NULL && prof.bytes + sizeof *s + PROFILE_STACK_MAX <= most;
    if (room) {
        list_push_back(&prof.queue, &s->node);
        prof.bytes += sizeof *s + PROFILE_STACK_MAX;
        wq_wake_all(channel_wq(prof.client), 0);
    } else {
        prof.lost++;
    }
    spin_unlock_bh(&prof.lock);
    if (!room)
        kfree(s);
}

/* Of the current thread, whose frames begin at fp. */
static void take_sample(const u64 *fp, u64 weight_ns)
{
    struct thread *t = current_thread();
    struct sample *s = new_sample(t, weight_ns);
    if (s != NULL) {
        s->nframes = arch_walk_frames(fp, t->kstack, s->frames, FRAMES_MAX);
        if (t->user && t->task != NULL && t->as != NULL) {
            u64 len;
            uaddr_t sp = program_of(s, t, &len);
            uaccess_nofault_begin();
            s->head.stack_len = (u32)copy_from_user_partial(s->stack, sp, len);
            uaccess_nofault_end();
        }
    }
    queue_sample(s);
}

static void tick(struct ktimer *timer)
{
    struct sampler *s = container_of(timer, struct sampler, timer);
    if (current_thread() != this_cpu()->idle && current_thread() != prof.self)
        take_sample(__builtin_frame_address(0), prof.period_ns);
    u64 now = now_ns();
    do {
        s->next_ns += prof.period_ns;
    } while (s->next_ns <= now);
    ktimer_start(timer, s->next_ns);
}

/* thread_slept() */
static void slept(u64 since_ns)
{
    const struct thread *t = current_thread();
    u64 now = now_ns(), weight = 0;
    if (!t->user || t->task == NULL)
        return;
    spin_lock_bh(&prof.lock);
    if (prof.client != NULL) {
        u64 *acc = &prof.slept_ns[this_cpu()->cpu], sum = *acc + now - MIN(now, MAX(since_ns, prof.start_ns));
        *acc = sum % prof.period_ns;
        weight = sum - *acc;
    }
    spin_unlock_bh(&prof.lock);
    if (weight != 0)
        take_sample(__builtin_frame_address(0), weight);
}

/* Of a thread that sleeps, with all the time since then. If it goes on meanwhile it has been told by slept(). */
static void take_sleeper(struct thread *t)
{
    u64 since, again, len, none;
    struct sample *s = new_sample(t, 0);
    struct task *task = t->task;
    struct addrspace *as = task_as(task);
    if (s != NULL && as != NULL && (s->nframes = thread_sleeping_frames(t, s->frames, FRAMES_MAX, &since)) != 0) {
        uaddr_t sp = program_of(s, t, &len);
        s64 got = as_copy(as, sp, s->stack, len, false);
        s->head.stack_len = got > 0 ? (u32)got : 0;
        s->head.weight_ns = s->head.time_ns - MIN(s->head.time_ns, MAX(since, prof.start_ns));
        if (thread_sleeping_frames(t, &none, 1, &again) != 0 && again == since) {
            queue_sample(s);
            s = NULL;
        }
    }
    kfree(s);
    addrspace_put(as);
}

/* Numbers of the tasks that there are; how many, which may be more than max. */
static u32 list_tasks(u32 *ret_tids, u32 max)
{
    u32 n = 0;
    spin_lock_bh(&process_list_lock);
    list_for_each(p, &process_list, struct process, all_node) {
        spin_lock(&p->lock);
        list_for_each(t, &p->tasks, struct task, proc_node) {
            if (n < max)
                ret_tids[n] = t->tid;
            n++;
        }
        spin_unlock(&p->lock);
    }
    spin_unlock_bh(&process_list_lock);
    return n;
}

static void take_sleepers(void)
{
    u32 max = list_tasks(NULL, 0) + 64;
    u32 *tids = kmalloc(max * sizeof *tids, 0);
    u32 n = tids != NULL ? MIN(list_tasks(tids, max), max) : 0;
    for (u32 i = 0; i < n; i++) {
        struct task *t = task_find(tids[i]);
        if (t != NULL && t->thread->user)
            take_sleeper(t->thread);
        task_put(t);
    }
    kfree(tids);
}

/* --- telling ------------------------------------------------------------------------------------ */

static struct sample *next_sample(void)
{
    struct sample *s = NULL;
    spin_lock_bh(&prof.lock);
    if (!list_empty(&prof.queue)) {
        s = list_first(&prof.queue, struct sample, node);
        list_remove(&s->node);
        prof.bytes -= sizeof *s + PROFILE_STACK_MAX;
        s->head.lost = prof.lost;
    }
    spin_unlock_bh(&prof.lock);
    return s;
}

static int send_maps(struct channel *c, u32 pid)
{
    for (size_t size = MAPS_FIRST; size <= PROFILE_MAPS_MAX; size *= 2) {
        u8 *buf = kmalloc(size, 0);
        if (buf == NULL)
            return 0;
        buf[0] = PROFILE_MAPS;
        memcpy(buf + 1, &pid, sizeof pid);
        size_t n = linux_show_maps(pid, (char *)buf + 5, size - 5);
        int err = n < size - 5 ? channel_send(c, buf, n + 5, false) : 1;
        kfree(buf);
        if (err <= 0)
            return err;
    }
    return 0;
}

/* Areas of the sample's process, unless the client knows them. */
static int tell_maps(struct channel *c, struct told *told, u32 pid)
{
    struct task *t = process_task_find(pid);
    struct addrspace *as = t != NULL ? task_as(t) : NULL;
    struct told now = {pid, as != NULL ? as->vma_count : 0, as != NULL ? as->total_pages : 0};
    addrspace_put(as);
    task_put(t);
    struct told *at = &told[pid % PIDS_MAX];
    if (as == NULL || (at->pid == now.pid && at->areas == now.areas && at->pages == now.pages))
        return 0;
    *at = now;
    return send_maps(c, pid);
}

/* Names of the frames that the sample's own making did not add. */
static size_t name_frames(const struct sample *s, char *buf, size_t size)
{
    static const char *const machinery[] = {"take_sample+", "tick+", "slept+", "tell_sleep+", "thread_block+", "run+", "run_timers+", "bh_", "irq_", "timer_", "spin_unlock", "host_", "ktimer_", "dispatch+", "pc_trap+"};
    size_t n = 0;
    bool inside = true;
    buf[0] = '\0';
    for (u32 i = 0; i < s->nframes; i++) {
        char name[64];
        symbol_name(s->frames[i], name, sizeof name);
        bool ours = false;
        for (unsigned k = 0; k < ARRAY_SIZE(machinery); k++)
            ours |= strncmp(name, machinery[k], strlen(machinery[k])) == 0;
        inside &= ours || i == 0;
        if (inside || strncmp(name, "gate_end", 8) == 0)
            continue;
        char *plus = strchr(name, '+');
        if (plus != NULL)
            *plus = '\0';
        n += (size_t)fmt_snprintf(buf + n, size - n, "%s\n", name);
        if (n >= size)
            return size - 1;
    }
    return n;
}

static int send_sample(struct channel *c, struct sample *s)
{
    u8 kind = PROFILE_SAMPLE;
    char kernel[PROFILE_KERNEL_MAX / 2];
    s->head.kernel_len = (u32)name_frames(s, kernel, sizeof kernel);
    int err = channel_send(c, &kind, 1, true);
    if (err == 0)
        err = channel_send(c, &s->head, sizeof s->head, true);
    if (err == 0 && s->head.kernel_len != 0)
        err = channel_send(c, kernel, s->head.kernel_len, true);
    return err == 0 ? channel_send(c, s->stack, s->head.stack_len, false) : err;
}

/* --- the service ----------------------------------------------------------------------------------- */

/* A timer runs where it is started. */
static void start_timer(void *arg)
{
    struct sampler *s = &samplers[this_cpu()->cpu];
    ktimer_init(&s->timer, tick);
    s->next_ns = now_ns() + prof.period_ns;
    ktimer_start(&s->timer, s->next_ns);
}

static void stop(void)
{
    atomic_store(&thread_slept, NULL);
    for (unsigned cpu = 0; cpu < MAX_CPUS && percpu_table[cpu] != NULL; cpu++)
        if (samplers[cpu].timer.base != NULL)
            ktimer_cancel_sync(&samplers[cpu].timer);
}

static void begin(struct channel *c, u64 hz)
{
    spin_lock_bh(&prof.lock);
    prof.client = c;
    prof.self = current_thread();
    prof.period_ns = NSEC_PER_SEC / hz;
    prof.start_ns = now_ns();
    prof.lost = 0;
    memset(prof.slept_ns, 0, sizeof prof.slept_ns);
    spin_unlock_bh(&prof.lock);
}

static void end(void)
{
    spin_lock_bh(&prof.lock);
    prof.client = NULL;
    prof.self = NULL;
    spin_unlock_bh(&prof.lock);
    for (struct sample *s; (s = next_sample()) != NULL;)
        kfree(s);
}

/* Samples as they come, until the client goes, or (asked) there are none left. */
static void carry(struct channel *c, struct told *told, bool asked)
{
    for (int err = 0; err == 0 && !channel_closed(c);) {
        struct sample *s = NULL;
        wait_event(channel_wq(c), channel_closed(c) || (s = next_sample()) != NULL || asked || channel_readable(c));
        if (s == NULL)
            return;
        err = s->head.pid != 0 ? tell_maps(c, told, s->head.pid) : 0;
        if (err == 0)
            err = send_sample(c, s);
        kfree(s);
    }
}

static void run(struct channel *c, const char *args, size_t len)
{
    u64 hz;
    const char *more = strchr(args, ' ');
    char number[24] = "";
    if (more == NULL)
        more = args + len;
    str_copy(number, args, MIN(sizeof number, (size_t)(more - args) + 1));
    bool off_cpu = strcmp(more, " off-cpu") == 0;
    if (str_to_u64(number, &hz) < 0 || hz == 0 || hz > PROFILE_HZ_MAX || (*more != '\0' && !off_cpu)) {
        channel_fail(c, EINVAL, "samples a second: 1 to 10000, then nothing or off-cpu");
        return;
    }
    struct told *told = kzalloc(PIDS_MAX * sizeof *told);
    if (told == NULL) {
        channel_fail(c, ENOMEM, "no memory");
        return;
    }
    begin(c, hz);
    if (off_cpu)
        atomic_store(&thread_slept, slept);
    else
        sched_on_each_cpu(start_timer, NULL);
    carry(c, told, false);
    if (off_cpu && !channel_closed(c))
        take_sleepers();
    stop();
    carry(c, told, true);
    end();
    kfree(told);
}

void profile_init(void)
{
    static struct service profile = {.name = "profile", .run = run, .taken = "another client takes samples"};
    service_register(&profile);
    perf_map_init();
}
