/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sampling where CPUs are (abi/profile.h). A timer on each CPU takes down the interrupted thread: the kernel's frames by its frame
 * pointers, and of the program registers and the top of its stack, from which the host unwinds by the files' own tables: programs
 * need no frame pointers, the kernel no tables. Timers are bottom halves, so that code which keeps these off is seen where it
 * lets them in again.
 */
#include "abi/profile.h"
#include "arch_linux.h"
#include "base/fmt.h"
#include "base/str.h"
#include "kern/channel.h"
#include "kern/page.h"
#include "kern/timer.h"
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
    u64 period_ns;         /* constant while client is not NULL */
} prof = {.lock = SPINLOCK_INIT("profile"), .queue = LIST_INIT(prof.queue)};
static struct sampler samplers[MAX_CPUS];

/* --- taking one ------------------------------------------------------------------------------ */

static u32 kernel_frames(const struct thread *t, u64 *ret)
{
    const u64 *fp = __builtin_frame_address(0);
    u64 low = (u64)t->kstack, high = low + KSTACK_SIZE - sizeof(struct trap_frame);
    u32 n = 0;
    while (n < FRAMES_MAX && (u64)fp >= low && (u64)fp + 16 <= high && IS_ALIGNED((u64)fp, 8)) {
        ret[n++] = fp[1];
        if (fp[0] <= (u64)fp)
            break;
        fp = (const u64 *)fp[0];
    }
    return n;
}

static void sample_program(struct sample *s, struct thread *t)
{
    const struct task *task = t->task;
    const struct trap_frame *f = thread_frame(t);
    s->head.pid = task->proc->pid;
    s->head.tid = task->tid;
    arch_dwarf_registers(f, s->head.regs);
    u64 sp = FRAME_SP(f), n = sp < PLAT_USER_MAX ? MIN(PLAT_USER_MAX - sp, (u64)PROFILE_STACK_MAX) : 0;
    uaccess_nofault_begin();
    s->head.stack_len = (u32)copy_from_user_partial(s->stack, sp, n);
    uaccess_nofault_end();
}

static void take_sample(void)
{
    struct thread *t = current_thread();
    u64 most = MIN(QUEUE_BYTES, page_available() * PAGE_SIZE / QUEUE_SHARE);
    struct sample *s = kmalloc(sizeof *s + PROFILE_STACK_MAX, ALLOC_ATOMIC);
    if (s != NULL) {
        memset(s, 0, sizeof *s);
        s->head.time_ns = now_ns();
        s->head.cpu = this_cpu()->cpu;
        s->nframes = kernel_frames(t, s->frames);
        str_copy(s->head.name, t->name, sizeof s->head.name);
        if (t->user && t->task != NULL && t->as != NULL)
            sample_program(s, t);
    }
    spin_lock(&prof.lock);
    bool room = s != NULL && prof.client != NULL && prof.bytes + sizeof *s + PROFILE_STACK_MAX <= most;
    if (room) {
        list_push_back(&prof.queue, &s->node);
        prof.bytes += sizeof *s + PROFILE_STACK_MAX;
        wq_wake_all(channel_wq(prof.client), 0);
    } else {
        prof.lost++;
    }
    spin_unlock(&prof.lock);
    if (!room)
        kfree(s);
}

static void tick(struct ktimer *timer)
{
    struct sampler *s = container_of(timer, struct sampler, timer);
    if (current_thread() != this_cpu()->idle && current_thread() != prof.self)
        take_sample();
    u64 now = now_ns();
    do {
        s->next_ns += prof.period_ns;
    } while (s->next_ns <= now);
    ktimer_start(timer, s->next_ns);
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
    struct task *t = task_find(pid);
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
    static const char *const machinery[] = {"take_sample+", "tick+", "run+", "run_timers+", "bh_", "irq_", "timer_", "spin_unlock", "host_", "ktimer_", "dispatch+", "pc_trap+"};
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

/* A timer runs where it is started: this thread goes to each CPU. */
static void start_timers(void)
{
    struct thread *self = current_thread();
    u64 affinity = self->affinity;
    for (unsigned cpu = 0; cpu < MAX_CPUS && percpu_table[cpu] != NULL; cpu++) {
        if (thread_set_affinity(self, 1ULL << cpu) != 0)
            continue;
        sched_yield_cpu();
        ktimer_init(&samplers[cpu].timer, tick);
        samplers[cpu].next_ns = now_ns() + prof.period_ns;
        ktimer_start(&samplers[cpu].timer, samplers[cpu].next_ns);
    }
    (void)thread_set_affinity(self, affinity);
}

static void stop_timers(void)
{
    for (unsigned cpu = 0; cpu < MAX_CPUS && percpu_table[cpu] != NULL; cpu++)
        if (samplers[cpu].timer.base != NULL)
            ktimer_cancel_sync(&samplers[cpu].timer);
}

static bool begin(struct channel *c, u64 hz)
{
    spin_lock_bh(&prof.lock);
    bool free = prof.client == NULL;
    if (free) {
        prof.client = c;
        prof.self = current_thread();
        prof.period_ns = NSEC_PER_SEC / hz;
        prof.lost = 0;
    }
    spin_unlock_bh(&prof.lock);
    return free;
}

static void end(void)
{
    stop_timers();
    spin_lock_bh(&prof.lock);
    prof.client = NULL;
    prof.self = NULL;
    spin_unlock_bh(&prof.lock);
    for (struct sample *s; (s = next_sample()) != NULL;)
        kfree(s);
}

static void run(struct channel *c, const char *args, size_t len)
{
    u64 hz;
    if (str_to_u64(args, &hz) < 0 || hz == 0 || hz > PROFILE_HZ_MAX) {
        channel_fail(c, EINVAL, "samples a second: 1 to 10000");
        return;
    }
    struct told *told = kzalloc(PIDS_MAX * sizeof *told);
    if (told == NULL || !begin(c, hz)) {
        channel_fail(c, told == NULL ? ENOMEM : EBUSY, told == NULL ? "no memory" : "another client takes samples");
        kfree(told);
        return;
    }
    start_timers();
    for (int err = 0; err == 0 && !channel_closed(c);) {
        struct sample *s = NULL;
        wait_event(channel_wq(c), channel_closed(c) || (s = next_sample()) != NULL);
        if (s == NULL)
            continue;
        err = s->head.pid != 0 ? tell_maps(c, told, s->head.pid) : 0;
        if (err == 0)
            err = send_sample(c, s);
        kfree(s);
    }
    end();
    kfree(told);
}

void profile_init(void)
{
    static struct service profile = {.name = "profile", .run = run};
    service_register(&profile);
}
