/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The global entries of /proc that tell about the machine (proc(5)), and /proc/sys. A table
 * of constants and a few functions; nothing is made until a file is opened.
 */
#include "task.h"
#include "base/fmt.h"
#include "base/str.h"
#include "kern/blkdev.h"
#include "kern/net.h"
#include "kern/random.h"

/* --- the machine ------------------------------------------------------------------- */

static size_t show_meminfo(void *arg, char *buf, size_t size)
{
    struct text x = {buf, size, 0};
    struct mem_stats m;
    page_stats(&m);
    const struct {
        char name[16];
        u64 pages;
    } rows[] = {
        {"MemTotal:", m.total_pages}, {"MemFree:", m.free_pages}, {"MemAvailable:", m.free_pages + m.cache_pages}, {"Buffers:", 0},
        {"Cached:", m.cache_pages}, {"SwapCached:", 0}, {"Active:", m.anon_pages}, {"Inactive:", m.cache_pages}, {"SwapTotal:", 0},
        {"SwapFree:", 0}, {"Dirty:", 0}, {"Writeback:", 0}, {"AnonPages:", m.anon_pages}, {"Mapped:", 0}, {"Shmem:", 0},
        {"Slab:", m.slab_pages}, {"SReclaimable:", 0}, {"SUnreclaim:", m.slab_pages}, {"KernelStack:", 0},
        {"PageTables:", m.table_pages}, {"CommitLimit:", commit_limit_pages()}, {"Committed_AS:", commit_used_pages()}, {"AnonHugePages:", 0},
    };
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++)
        text_add(&x, "%-15s %8lu kB\n", rows[i].name, (unsigned long)(rows[i].pages * (PAGE_SIZE / 1024)));
    text_add(&x, "HugePages_Total:       0\nHugePages_Free:        0\nHugepagesize:       2048 kB\n");
    return x.len;
}

static void add_moved(struct blkdev *b, void *ctx)
{
    u64 *moved = ctx;
    moved[0] += b->bytes_read;
    moved[1] += b->bytes_written;
}

/* What is counted of it; readers take what is missing for 0. */
static size_t show_vmstat(void *arg, char *buf, size_t size)
{
    struct text x = {buf, size, 0};
    struct mem_stats m;
    u64 moved[2] = {0, 0};
    page_stats(&m);
    blkdev_for_each(add_moved, moved);
    text_add(&x, "nr_free_pages %lu\nnr_anon_pages %lu\nnr_file_pages %lu\nnr_slab_unreclaimable %lu\nnr_page_table_pages %lu\n",
        (unsigned long)m.free_pages, (unsigned long)m.anon_pages, (unsigned long)m.cache_pages, (unsigned long)m.slab_pages,
        (unsigned long)m.table_pages);
    text_add(&x, "pgpgin %lu\npgpgout %lu\npswpin 0\npswpout 0\n", (unsigned long)(moved[0] / 1024), (unsigned long)(moved[1] / 1024));
    return x.len;
}

static void add_partition(struct blkdev *b, void *ctx)
{
    text_add(ctx, "%4d  %7d %10lu %s\n", 254, (b->name[2] - 'a') * 16, (unsigned long)(b->size_bytes / 1024), b->name); /* "vda" */
}

static size_t show_partitions(void *arg, char *buf, size_t size)
{
    struct text x = {buf, size, 0};
    text_add(&x, "major minor  #blocks  name\n\n");
    blkdev_for_each(add_partition, &x);
    return x.len;
}

static void add_disk(struct blkdev *b, void *ctx)
{
    u64 reads = atomic_load_relaxed(&b->reads), writes = atomic_load_relaxed(&b->writes);
    text_add(ctx, "%4d %7d %s %llu 0 %llu 0 %llu 0 %llu 0 0 0 0\n", 254, (b->name[2] - 'a') * 16, b->name, (unsigned long long)reads,
             (unsigned long long)atomic_load_relaxed(&b->bytes_read) / 512, (unsigned long long)writes, (unsigned long long)atomic_load_relaxed(&b->bytes_written) / 512);
}

/* Requests and sectors; nobody takes the times of requests, merges them or counts those under way. */
static size_t show_diskstats(void *arg, char *buf, size_t size)
{
    struct text x = {buf, size, 0};
    blkdev_for_each(add_disk, &x);
    return x.len;
}

struct cpu_times {
    u64 user, system, idle; /* ns */
};

/* Of CPU i. None ever goes back: what proves to have been the kernel's is told when the CPU has worked for as long (U3 in cpu_levels.c). */
static struct cpu_times times_of(unsigned i)
{
    static struct spinlock lock = SPINLOCK_INIT("proc stat");
    static struct { u64 busy, user; } told[MAX_CPUS];
    spin_lock(&lock);
    u64 idle = cpu_idle_ns(i), now = now_ns(), busy = MAX(told[i].busy, now > idle ? now - idle : 0);
    u64 user = MAX(told[i].user, busy - MIN(cpu_system_ns(i), busy));
    told[i].busy = busy;
    told[i].user = user;
    spin_unlock(&lock);
    return (struct cpu_times){user, busy - user, idle};
}

static void add_cpu(struct text *x, const char *name, struct cpu_times t)
{
    const u64 tick = NSEC_PER_SEC / USER_HZ;
    text_add(x, "%s %lu 0 %lu %lu 0 0 0 0 0 0\n", name, (unsigned long)(t.user / tick), (unsigned long)(t.system / tick), (unsigned long)(t.idle / tick));
}

static size_t show_stat(void *arg, char *buf, size_t size)
{
    struct text x = {buf, size, 0};
    struct cpu_times each[MAX_CPUS], all = {0, 0, 0};
    u64 irqs = 0, switches = 0;
    unsigned n = plat_cpu_count();
    for (unsigned i = 0; i < MAX_CPUS && percpu_table[i] != NULL; i++) {
        irqs += percpu_table[i]->stats[STAT_IRQS];
        switches += percpu_table[i]->stats[STAT_SWITCHES];
    }
    for (unsigned i = 0; i < n; i++) {
        each[i] = times_of(i);
        all.user += each[i].user;
        all.system += each[i].system;
        all.idle += each[i].idle;
    }
    add_cpu(&x, "cpu ", all);
    for (unsigned i = 0; i < n; i++) {
        char name[16];
        fmt_snprintf(name, sizeof name, "cpu%u", i);
        add_cpu(&x, name, each[i]);
    }
    text_add(&x, "intr %lu\nctxt %lu\nbtime %lu\nprocesses %u\nprocs_running %u\nprocs_blocked 0\nsoftirq 0 0 0 0 0 0 0 0 0 0 0\n",
        (unsigned long)irqs, (unsigned long)switches, (unsigned long)((wall_ns() - now_ns()) / NSEC_PER_SEC), last_pid(), tasks_running());
    return x.len;
}

static size_t show_uptime(void *arg, char *buf, size_t size)
{
    u64 up = now_ns() / (NSEC_PER_SEC / 100), idle = 0;
    for (unsigned i = 0; i < plat_cpu_count(); i++)
        idle += cpu_idle_ns(i);
    idle /= NSEC_PER_SEC / 100;
    return (size_t)fmt_snprintf(buf, size, "%lu.%02lu %lu.%02lu\n", (unsigned long)(up / 100), (unsigned long)(up % 100),
                                (unsigned long)(idle / 100), (unsigned long)(idle % 100));
}

static size_t show_version(void *arg, char *buf, size_t size)
{
    return (size_t)fmt_snprintf(buf, size, "Linux version %s (drupe) #1 SMP Drupe %s\n", LINUX_RELEASE, DRUPE_VERSION);
}

static size_t show_cmdline(void *arg, char *buf, size_t size)
{
    return (size_t)fmt_snprintf(buf, size, "%s\n", plat_boot_info()->cmdline);
}

static void add_cache(const char *name, size_t size, size_t in_use, size_t pages, void *text)
{
    size_t total = MAX(pages * PAGE_SIZE / size, in_use);
    text_add(text, "%-17s %6lu %6lu %6lu %4lu %4u : tunables 0 0 0 : slabdata %6lu %6lu 0\n", name, (unsigned long)in_use, (unsigned long)total,
        (unsigned long)size, (unsigned long)MAX(PAGE_SIZE / size, 1u), 1, (unsigned long)pages, (unsigned long)pages);
}

/* Slabs are counted in pages, whatever a cache makes them of. */
static size_t show_slabinfo(void *arg, char *buf, size_t size)
{
    struct text x = {buf, size, 0};
    text_add(&x, "slabinfo - version: 2.1\n# name            <active_objs> <num_objs> <objsize> <objperslab> <pagesperslab> : tunables <limit> "
            "<batchcount> <sharedfactor> : slabdata <active_slabs> <num_slabs> <sharedavail>\n");
    slab_for_each_cache(add_cache, &x);
    return x.len;
}

static size_t show_filesystems(void *arg, char *buf, size_t size) { return vfs_show_filesystems(buf, size); }

/* --- /proc/sys --------------------------------------------------------------------------- */

static size_t show_text(void *arg, char *buf, size_t size) { return (size_t)fmt_snprintf(buf, size, "%s\n", (const char *)arg); }

static size_t show_uuid(void *arg, char *buf, size_t size)
{
    static struct spinlock boot_lock = SPINLOCK_INIT("boot id");
    static u8 boot[16]; /* boot_lock; all zero = not made yet */
    u8 u[16];
    random_bytes(u, sizeof u);
    u[6] = (u[6] & 0x0f) | 0x40;
    u[8] = (u[8] & 0x3f) | 0x80;
    if (arg != NULL) {
        spin_lock(&boot_lock);
        if (boot[8] == 0)
            memcpy(boot, u, sizeof boot);
        memcpy(u, boot, sizeof u);
        spin_unlock(&boot_lock);
    }
    struct text x = {buf, size, 0};
    for (unsigned i = 0; i < 16; i++)
        text_add(&x, "%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", u[i]);
    text_add(&x, "\n");
    return x.len;
}

static int store_name(void *arg, const char *text, size_t len)
{
    char *name = arg;
    while (len > 0 && (text[len - 1] == '\n' || text[len - 1] == '\0'))
        len--;
    if (len > 64)
        return -EINVAL;
    spin_lock_bh(&process_list_lock);
    memset(name, 0, 65);
    memcpy(name, text, len);
    spin_unlock_bh(&process_list_lock);
    return 0;
}

/* Numbers that may be read and written; those without effect here say so by being only this. */
struct setting {
    const char *name;
    u32 value;
};
static struct setting settings[] = {
    {"kernel/randomize_va_space", 2},     {"kernel/kptr_restrict", 1},
    {"kernel/perf_event_paranoid", 4},    {"kernel/panic", 0},
    {"kernel/sched_child_runs_first", 0}, {"kernel/ngroups_max", CRED_MAX_GROUPS}, {"kernel/cap_last_cap", CAP_LAST},
    {"kernel/core_uses_pid", 0},
    {"vm/max_map_count", AS_MAX_VMAS},
    {"vm/swappiness", 0},                 {"vm/min_free_kbytes", 1024},         {"vm/nr_hugepages", 0},
    {"vm/mmap_min_addr", PLAT_USER_MIN},  {"vm/zone_reclaim_mode", 0},          {"vm/dirty_ratio", 20},
    {"fs/pipe-max-size", 1048576},
    {"fs/pipe-user-pages-soft", 16384},   {"fs/protected_hardlinks", 1},        {"fs/protected_symlinks", 0},
    {"kernel/overflowuid", 65534},        {"kernel/overflowgid", 65534},        {"fs/overflowuid", 65534},            {"fs/overflowgid", 65534},
    {"fs/suid_dumpable", 0},              {"fs/epoll/max_user_watches", 1048576}, {"fs/aio-max-nr", 65536},
    {"net/core/somaxconn", 4096},         {"net/core/rmem_max", 4194304},       {"net/core/wmem_max", 4194304},
    {"net/core/rmem_default", 212992},    {"net/core/wmem_default", 212992},    {"net/core/netdev_max_backlog", 1000},
    {"net/ipv4/ip_forward", 0},           {"net/ipv4/tcp_keepalive_time", 7200}, {"net/ipv4/tcp_keepalive_intvl", 75},
    {"net/ipv4/tcp_keepalive_probes", 9}, {"net/ipv4/tcp_max_syn_backlog", 1024}, {"net/ipv4/tcp_fin_timeout", 60},
    {"net/ipv4/tcp_syncookies", 1},       {"net/ipv4/tcp_timestamps", 1},       {"net/ipv4/tcp_window_scaling", 1},
    {"net/ipv4/tcp_sack", 1},             {"net/ipv4/tcp_tw_reuse", 2},
    {"net/ipv4/ip_unprivileged_port_start", 1024}, {"net/ipv4/ip_default_ttl", 64}, {"net/ipv4/tcp_ecn", 2},
};

static size_t show_setting(void *arg, char *buf, size_t size)
{
    return (size_t)fmt_snprintf(buf, size, "%u\n", atomic_load_relaxed((u32 *)arg));
}

int sysctl_number(const char *text, size_t len, u64 min, u64 max, u64 *ret)
{
    char word[24];
    u64 v;
    while (len > 0 && (text[len - 1] == '\n' || text[len - 1] == ' ' || text[len - 1] == '\0'))
        len--;
    if (len >= sizeof word)
        return -EINVAL;
    memcpy(word, text, len);
    word[len] = '\0';
    int r = str_to_u64(word, &v);
    if (r < 0)
        return r;
    if (v < min || v > max)
        return -EINVAL;
    *ret = v;
    return 0;
}

static int store_number(u32 *value, const char *text, size_t len, u32 min, u32 max)
{
    u64 v;
    int r = sysctl_number(text, len, min, max, &v);
    if (r == 0)
        atomic_store(value, (u32)v);
    return r;
}

static int store_setting(void *arg, const char *text, size_t len) { return store_number(arg, text, len, 0, UINT32_MAX); }

/* Numbers of others that have bounds. */
static const struct sysctl_range ranges[] = {
    {"kernel/pid_max", &pid_max, 301, 4194304},
    {"kernel/threads-max", &threads_max, 20, 4194304},
    {"fs/nr_open", &nr_open, 64, NR_OPEN_MAX},
    {"vm/overcommit_memory", &overcommit.mode, COMMIT_GUESS, COMMIT_NEVER},
    {"vm/overcommit_ratio", &overcommit.ratio, 0, INT32_MAX},
    {"vm/overcommit_kbytes", &overcommit.kbytes, 0, UINT32_MAX},
    {NULL, NULL, 0, 0},
};

static size_t show_range(void *arg, char *buf, size_t size) { return show_setting(((const struct sysctl_range *)arg)->value, buf, size); }
static int store_range(void *arg, const char *text, size_t len)
{
    const struct sysctl_range *r = arg;
    int err = store_number(r->value, text, len, r->min, r->max);
    if (err == 0 && (r->value == &overcommit.ratio || r->value == &overcommit.kbytes)) /* one of the two is the limit */
        atomic_store(r->value == &overcommit.ratio ? &overcommit.kbytes : &overcommit.ratio, 0u);
    return err;
}

static void add_ranges(const struct sysctl_range *r)
{
    for (; r->name != NULL; r++) {
        char path[64];
        fmt_snprintf(path, sizeof path, "sys/%s", r->name);
        proc_add_writable(path, 0644, show_range, store_range, (void *)(uintptr_t)r);
    }
}

static size_t show_nothing(void *arg, char *buf, size_t size) { return 0; }

/* What memory could be had for the asking is had; the number says of what in Linux, here it is always of all. */
static int store_drop_caches(void *arg, const char *text, size_t len)
{
    u32 what;
    int r = store_number(&what, text, len, 1, 4);
    if (r == 0)
        (void)page_reclaim(SIZE_MAX);
    return r;
}

void sysctl_add(const char *name, u32 *value)
{
    char path[64];
    fmt_snprintf(path, sizeof path, "sys/%s", name);
    proc_add_writable(path, 0644, show_setting, store_setting, value);
}

/* What ps and top name terminals by. */
#define TTY_DRIVERS                                                          \
    "/dev/tty             /dev/tty        5       0 system:/dev/tty\n"       \
    "/dev/console         /dev/console    5       1 system:console\n"        \
    "/dev/ptmx            /dev/ptmx       5       2 system\n"                \
    "pty_slave            /dev/pts      136 0-4095 pty:slave\n"              \
    "pty_master           /dev/ptm      128 0-4095 pty:master"

void sysctl_init(void)
{
    static const struct {
        const char *name;
        proc_show_fn *show;
        const void *arg;
    } entries[] = {
        {"meminfo", show_meminfo, NULL}, {"stat", show_stat, NULL}, {"uptime", show_uptime, NULL},
        {"vmstat", show_vmstat, NULL}, {"partitions", show_partitions, NULL}, {"diskstats", show_diskstats, NULL}, {"locks", locks_show, NULL},
        {"version", show_version, NULL}, {"cmdline", show_cmdline, NULL},
        {"filesystems", show_filesystems, NULL}, {"sys/kernel/ostype", show_text, "Linux"},
        {"sys/kernel/osrelease", show_text, LINUX_RELEASE}, {"sys/kernel/version", show_text, "#1 SMP Drupe " DRUPE_VERSION},
        {"sys/kernel/core_pattern", show_text, "core"}, {"sys/kernel/sem", show_text, "32000\t1024000000\t500\t32000"}, {"sys/kernel/tainted", show_text, "0"},
        {"sys/kernel/random/uuid", show_uuid, NULL},
        {"sys/kernel/random/boot_id", show_uuid, ""}, {"sys/kernel/random/entropy_avail", show_text, "256"},
        {"sys/kernel/random/poolsize", show_text, "256"},
        {"sys/fs/leases-enable", show_text, "0"}, {"sys/fs/dir-notify-enable", show_text, "0"},
        {"tty/drivers", show_text, TTY_DRIVERS}, {"slabinfo", show_slabinfo, NULL},
        {"sys/net/ipv4/ip_local_port_range", show_text, "32768\t60999"}, {"sys/net/ipv4/tcp_rmem", show_text, "4096\t131072\t4194304"},
        {"sys/net/ipv4/tcp_wmem", show_text, "4096\t16384\t4194304"}, {"sys/net/ipv4/tcp_congestion_control", show_text, "cubic"},
        {"sys/net/ipv4/tcp_available_congestion_control", show_text, "cubic"},
    };
    for (unsigned i = 0; i < ARRAY_SIZE(entries); i++)
        proc_add(entries[i].name, 0444, entries[i].show, (void *)(uintptr_t)entries[i].arg);
    for (unsigned i = 0; i < ARRAY_SIZE(settings); i++)
        sysctl_add(settings[i].name, &settings[i].value);
    sysctl_add("net/ipv4/tcp_fastopen", &net_tcp_fastopen);
    struct mem_stats m;
    page_stats(&m);
    threads_max = (u32)MIN(MAX(m.total_pages / 32, 20u), 32768u); /* an eighth of memory in kernel stacks, as Linux does */
    add_ranges(ranges);
    add_ranges(net_tcp_settings);
    loadavg_init();
    proc_lockstat_init();
    cpuinfo_init();
    file_max_init();
    proc_add_writable("sys/vm/drop_caches", 0200, show_nothing, store_drop_caches, NULL);
    proc_add_writable("sys/kernel/hostname", 0644, show_text, store_name, uts_hostname);
    proc_add_writable("sys/kernel/domainname", 0644, show_text, store_name, uts_domainname);
}
