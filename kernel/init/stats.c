/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counters for the outside: the services "stats" and "tasks". Each message of the client, whatever is in it, asks for
 * one answer: a message of text. Nothing is kept or counted for them that the kernel would not count anyway,
 * but for histograms of times, which the argument "latency on" of "stats" switches on, and "latency off" off, until the next one.
 *
 * A line of "stats" is a metric in Prometheus' words without the prefix and without a client's labels:
 *
 *     name{label="value"} number
 *
 * Names end in their unit and, where they only grow, in _total; seconds have decimals. What a
 * value is, is written in a table here; help texts are the client's affair (host/client/metrics_help.c), which takes names it does
 * not know, too. "tasks": kern/linux.h.
 */
#include "base/fmt.h"
#include "base/str.h"
#include "init_impl.h"
#include "kern/blkdev.h"
#include "kern/channel.h"
#include "kern/latency.h"
#include "kern/linux.h"
#include "kern/net.h"
#include "kern/netdev.h"
#include "kern/page.h"
#include "kern/percpu.h"
#include "kern/pkt.h"
#include "kern/slab.h"
#include "kern/thread.h"

#define TEXT_MAX (4u << 20)
#define TEXT_FIRST (16u << 10)

/* --- single values --------------------------------------------------------------------- */

struct sample {
    u64 now_ns, cpus, gated;
    u64 cpu[STAT_NR]; /* sums over all CPUs */
    struct mem_stats mem;
    struct linux_stats program;
    u64 packets;
};

enum unit { ONE, PAGES, NANOSECONDS };

static const struct {
    const char *name;
    u16 offset; /* of a u64 in struct sample */
    u8 unit;
} values[] = {
#define V(name, field, unit) { name, offsetof(struct sample, field), unit }
    V("uptime_seconds", now_ns, NANOSECONDS),
    V("cpus", cpus, ONE),
    V("context_switches_total", cpu[STAT_SWITCHES], ONE),
    V("interrupts_total", cpu[STAT_IRQS], ONE),
    V("timer_interrupts_total", cpu[STAT_TIMER_IRQS], ONE),
    V("page_faults_total", cpu[STAT_FAULTS], ONE),
    V("syscalls_by_entry_total{entry=\"jump\"}", gated, ONE),
    V("syscalls_by_entry_total{entry=\"trap\"}", cpu[STAT_CALLS_TRAPPED], ONE),
    V("memory_total_bytes", mem.total_pages, PAGES), /* a gauge: the unit is bytes, what is meant is the total */
    V("memory_bytes{use=\"free\"}", mem.free_pages, PAGES),
    V("memory_bytes{use=\"program\"}", mem.anon_pages, PAGES),
    V("memory_bytes{use=\"page_cache\"}", mem.cache_pages, PAGES),
    V("memory_bytes{use=\"page_tables\"}", mem.table_pages, PAGES),
    V("memory_bytes{use=\"slab\"}", mem.slab_pages, PAGES),
    V("memory_bytes{use=\"kernel\"}", mem.kernel_pages, PAGES),
    V("processes", program.processes, ONE),
    V("zombies", program.zombies, ONE),
    V("threads", program.threads, ONE),
    V("network_packet_buffers", packets, ONE),
#undef V
};

static void add_seconds(struct text *t, u64 ns)
{
    text_add(t, " %lu.%09lu\n", (unsigned long)(ns / NSEC_PER_SEC), (unsigned long)(ns % NSEC_PER_SEC));
}

static void take_sample(struct sample *s)
{
    memset(s, 0, sizeof(*s));
    s->now_ns = now_ns();
    s->packets = pkt_in_use();
    page_stats(&s->mem);
    linux_stats(&s->program);
    for (unsigned i = 0; i < MAX_CPUS && percpu_table[i] != NULL; i++) {
        s->cpus++;
        s->gated += percpu_table[i]->calls_gated;
        for (unsigned k = 0; k < STAT_NR; k++)
            s->cpu[k] += percpu_table[i]->stats[k];
    }
}

static void add_values(struct text *t, const struct sample *s)
{
    for (unsigned i = 0; i < ARRAY_SIZE(values); i++) {
        u64 v = *(const u64 *)((const u8 *)s + values[i].offset);
        text_add(t, "%s", values[i].name);
        if (values[i].unit == NANOSECONDS)
            add_seconds(t, v);
        else
            text_add(t, " %lu\n", (unsigned long)(values[i].unit == PAGES ? v * PAGE_SIZE : v));
    }
}

/* --- one for each of something ------------------------------------------------------------ */

static void add_cpus(struct text *t, u64 now)
{
    for (unsigned i = 0; i < plat_cpu_count(); i++) {
        u64 idle = MIN(cpu_idle_ns(i), now);
        text_add(t, "cpu_seconds_total{cpu=\"%u\",mode=\"idle\"}", i);
        add_seconds(t, idle);
        text_add(t, "cpu_seconds_total{cpu=\"%u\",mode=\"busy\"}", i);
        add_seconds(t, now - idle);
    }
}

static void add_calls(struct text *t)
{
    for (u32 nr = 0; nr < LINUX_CALL_NUMBERS; nr++)
        if (linux_call_count(nr) != 0) /* its name is the client's affair */
            text_add(t, "syscalls_total{nr=\"%u\"} %lu\n", nr, (unsigned long)linux_call_count(nr));
}

/* A row of u64 fields as metrics with one label; a name with its own labels ends in a comma. */
struct field {
    const char *name;
    size_t offset;
};

static void add_fields(struct text *t, const struct field *f, const char *label, const char *value, const void *object)
{
    for (; f->name != NULL; f++)
        text_add(t, "%s%s=\"%s\"} %lu\n", f->name, label, value, (unsigned long)*(const u64 *)((const u8 *)object + f->offset));
}

static void add_netdev(struct netdev *d, void *ctx)
{
#define F(name, field) { name, offsetof(struct netdev_stats, field) }
    static const struct field fields[] = {
        F("network_receive_packets_total{", rx_packets), F("network_receive_bytes_total{", rx_bytes),
        F("network_receive_drops_total{", rx_dropped), F("network_receive_errors_total{", rx_errors),
        F("network_transmit_packets_total{", tx_packets), F("network_transmit_bytes_total{", tx_bytes),
        F("network_transmit_drops_total{", tx_dropped), F("network_transmit_errors_total{", tx_errors), { NULL, 0 },
    };
#undef F
    const struct netdev_stats sum = netdev_stats(d);
    add_fields(ctx, fields, "interface", d->name, &sum);
}

static void add_blkdev(struct blkdev *b, void *ctx)
{
#define F(name, field) { name, offsetof(struct blkdev, field) }
    static const struct field fields[] = {
        F("block_reads_total{", reads), F("block_writes_total{", writes), F("block_read_bytes_total{", bytes_read),
        F("block_written_bytes_total{", bytes_written), F("block_errors_total{", errors), { NULL, 0 },
    };
#undef F
    add_fields(ctx, fields, "device", b->name, b);
}

static void add_tcp(struct text *t)
{
    static const char states[NET_TCP_STATES][12] = { "", "established", "syn_sent", "syn_recv", "fin_wait1", "fin_wait2", "time_wait",
                                                     "close", "close_wait", "last_ack", "listen", "closing" };
    u32 counts[NET_TCP_STATES];
    net_tcp_states(counts);
    for (unsigned i = 1; i < NET_TCP_STATES; i++)
        text_add(t, "tcp_connections{state=\"%s\"} %u\n", states[i], counts[i]);
}

/* Lines "name value" of net's own counters; what comes behind "packets" there are no counters. */
static void add_net_events(struct text *t)
{
    char *lines = kmalloc(TEXT_FIRST, 0);
    if (lines == NULL)
        return;
    net_proc_show("drupe", lines, TEXT_FIRST);
    lines[TEXT_FIRST - 1] = '\0';
    for (char *p = lines, *blank, *end; (blank = strchr(p, ' ')) != NULL && (end = strchr(blank, '\n')) != NULL; p = end + 1) {
        *blank = *end = '\0';
        if (strcmp(p, "packets") == 0)
            break;
        text_add(t, "network_events_total{event=\"%s\"} %s\n", p, blank + 1);
    }
    kfree(lines);
}

/* Lines "interface reason packets" of net. */
static void add_drops(struct text *t)
{
    char *lines = kmalloc(TEXT_FIRST, 0);
    if (lines == NULL)
        return;
    size_t n = net_show_drops(lines, TEXT_FIRST);
    lines[MIN(n, TEXT_FIRST - 1)] = '\0';
    for (char *p = lines, *reason, *count, *end;
         (reason = strchr(p, ' ')) != NULL && (count = strchr(reason + 1, ' ')) != NULL && (end = strchr(count, '\n')) != NULL; p = end + 1) {
        *reason = *count = *end = '\0';
        text_add(t, "network_drops_total{interface=\"%s\",reason=\"%s\"} %s\n", p, reason + 1, count + 1);
    }
    kfree(lines);
}

/* --- histograms ----------------------------------------------------------------------------- */

static struct mutex latency_mutex;
static bool latencies; /* latency_mutex; read without */

static void on_wait(u64 ns) { latency_add(LATENCY_SCHED, ns); }

static int switch_latencies(bool on)
{
    mutex_lock(&latency_mutex);
    int err = on && !latencies ? latency_start() : 0;
    if (err == 0) {
        latencies = on;
        linux_time_calls(on ? latency_add : NULL);
        atomic_store(&thread_waited, on ? on_wait : NULL);
    }
    mutex_unlock(&latency_mutex);
    return err;
}

/* label: "" or one. */
static void add_histogram(struct text *t, const char *name, const char *label, u32 slot)
{
    struct latency l;
    u64 sum = 0;
    bool one = label[0] != '\0';
    if (!latency_read(slot, &l))
        return;
    for (unsigned i = 0; i < LATENCY_BUCKETS; i++) {
        u64 ns = (u64)LATENCY_FIRST_NS << 2 * i;
        sum += l.count[i];
        if (i + 1 < LATENCY_BUCKETS)
            text_add(t, "%s_bucket{%s%sle=\"%lu.%09lu\"} %lu\n", name, label, one ? "," : "", (unsigned long)(ns / NSEC_PER_SEC), (unsigned long)(ns % NSEC_PER_SEC), (unsigned long)sum);
    }
    text_add(t, "%s_bucket{%s%sle=\"+Inf\"} %lu\n", name, label, one ? "," : "", (unsigned long)sum);
    text_add(t, "%s_sum%s%s%s", name, one ? "{" : "", label, one ? "}" : "");
    add_seconds(t, l.sum_ns);
    text_add(t, "%s_count%s%s%s %lu\n", name, one ? "{" : "", label, one ? "}" : "", (unsigned long)sum);
}

static void add_latencies(struct text *t)
{
    char label[24];
    if (!latencies)
        return;
    for (u32 nr = 0; nr < LATENCY_CALLS; nr++) {
        fmt_snprintf(label, sizeof(label), "nr=\"%u\"", nr);
        add_histogram(t, "syscall_duration_seconds", label, nr);
    }
    add_histogram(t, "scheduler_latency_seconds", "", LATENCY_SCHED);
}

static size_t show_stats(char *buf, size_t size)
{
    struct text t = { buf, size, 0 };
    struct sample s;
    take_sample(&s);
    add_values(&t, &s);
    add_cpus(&t, s.now_ns);
    add_calls(&t);
    netdev_for_each(add_netdev, &t);
    blkdev_for_each(add_blkdev, &t);
    add_tcp(&t);
    add_net_events(&t);
    add_drops(&t);
    add_latencies(&t);
    return t.len;
}

/* --- the services ---------------------------------------------------------------------------- */

/* The whole text, however long it got, kmalloc()ed; NULL: no memory. */
static char *render(size_t (*show)(char *buf, size_t size), size_t *ret_len)
{
    for (size_t size = TEXT_FIRST; size <= TEXT_MAX; size *= 2) {
        char *buf = kmalloc(size, 0);
        if (buf == NULL)
            return NULL;
        *ret_len = show(buf, size);
        if (*ret_len < size)
            return buf;
        kfree(buf);
    }
    return NULL;
}

static void serve(struct channel *c, size_t (*show)(char *buf, size_t size))
{
    char ignored[16];
    bool more;
    while (channel_receive(c, ignored, sizeof(ignored), &more, NEVER_NS) >= 0) {
        size_t len;
        char *text = more ? NULL : render(show, &len);
        if (text == NULL) {
            channel_fail(c, more ? EINVAL : ENOMEM, more ? "a message of one part is needed" : "no memory for the answer");
            return;
        }
        int err = channel_send(c, text, len, false);
        kfree(text);
        if (err != 0)
            return;
    }
}

static void run_stats(struct channel *c, const char *args, size_t len)
{
    bool on = strcmp(args, "latency on") == 0;
    if (on || strcmp(args, "latency off") == 0) {
        if (switch_latencies(on) != 0)
            channel_fail(c, ENOMEM, "no memory for histograms");
        return;
    }
    if (len != 0)
        channel_fail(c, EINVAL, "stats: latency on, latency off, or nothing");
    else
        serve(c, show_stats);
}
static void run_tasks(struct channel *c, const char *args, size_t len) { serve(c, linux_show_tasks); }

void stats_init(void)
{
    static struct service services[] = { { .name = "stats", .run = run_stats }, { .name = "tasks", .run = run_tasks } };
    mutex_init(&latency_mutex, "latencies");
    for (unsigned i = 0; i < ARRAY_SIZE(services); i++)
        service_register(&services[i]);
}
