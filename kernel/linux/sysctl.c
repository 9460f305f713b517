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

struct text {
    char *buf;
    size_t size, n;
};
static PRINTF_LIKE(2, 3) void add(struct text *t, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    bool room = t->n < t->size;
    t->n += (size_t)fmt_vsnprintf(room ? t->buf + t->n : NULL, room ? t->size - t->n : 0, format, args);
    va_end(args);
}

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
        add(&x, "%-15s %8lu kB\n", rows[i].name, (unsigned long)(rows[i].pages * (PAGE_SIZE / 1024)));
    add(&x, "HugePages_Total:       0\nHugePages_Free:        0\nHugepagesize:       2048 kB\n");
    return x.n;
}

static void cpuid(u32 leaf, u32 sub, u32 r[4])
{
    __asm__ volatile("cpuid" : "=a"(r[0]), "=b"(r[1]), "=c"(r[2]), "=d"(r[3]) : "0"(leaf), "2"(sub));
}

/* The names that programs look for, by their bits in CPUID; "-" = none, or not for programs. */
static const struct {
    u32 leaf, sub;
    unsigned reg; /* of EAX EBX ECX EDX */
    const char *names;
} cpu_flags[] = {
    {1, 0, 3, "fpu vme de pse tsc msr pae mce cx8 apic - sep mtrr pge mca cmov pat pse36 pn clflush - dts acpi mmx fxsr sse sse2 ss ht tm ia64 pbe"},
    {0x80000001, 0, 3, "- - - - - - - - - - - syscall - - - - - - - mp nx - mmxext - - fxsr_opt pdpe1gb rdtscp - lm 3dnowext 3dnow"},
    {1, 0, 2, "pni pclmulqdq dtes64 monitor ds_cpl vmx smx est tm2 ssse3 cid sdbg fma cx16 xtpr pdcm - pcid dca sse4_1 sse4_2 x2apic movbe popcnt tsc_deadline_timer aes xsave - avx f16c rdrand hypervisor"},
    {0x80000001, 0, 2, "lahf_lm cmp_legacy svm extapic cr8_legacy abm sse4a misalignsse 3dnowprefetch osvw ibs xop skinit wdt - lwp fma4 tce - - - tbm topoext"},
    {7, 0, 1, "fsgsbase tsc_adjust sgx bmi1 hle avx2 - smep bmi2 erms invpcid rtm cqm - mpx rdt_a avx512f avx512dq rdseed adx smap avx512ifma - clflushopt clwb intel_pt avx512pf avx512er avx512cd sha_ni avx512bw avx512vl"},
    {0xd, 1, 0, "xsaveopt xsavec xgetbv1 xsaves"},
    {0x80000008, 0, 1, "clzero irperf xsaveerptr - - - - - - wbnoinvd"},
    {7, 0, 2, "- avx512vbmi - - - waitpkg avx512_vbmi2 - gfni vaes vpclmulqdq avx512_vnni avx512_bitalg tme avx512_vpopcntdq - - - - - - - rdpid - - cldemote - movdiri movdir64b"},
    {7, 0, 3, "- - avx512_4vnniw avx512_4fmaps fsrm - - - avx512_vp2intersect - md_clear - - - serialize"},
};

static void add_flags(struct text *x)
{
    u32 basic[4], extended[4], r[4];
    cpuid(0, 0, basic);
    cpuid(0x80000000, 0, extended);
    for (unsigned k = 0; k < ARRAY_SIZE(cpu_flags); k++) {
        u32 leaf = cpu_flags[k].leaf;
        if (leaf > (leaf >> 31 ? extended[0] : basic[0]))
            continue;
        cpuid(leaf, cpu_flags[k].sub, r);
        const char *name = cpu_flags[k].names;
        for (u32 bits = r[cpu_flags[k].reg]; *name != '\0'; bits >>= 1) {
            size_t n = 0;
            while (name[n] != ' ' && name[n] != '\0')
                n++;
            if ((bits & 1) && name[0] != '-')
                add(x, " %.*s", (int)n, name);
            name += n + (name[n] == ' ');
        }
    }
}

static size_t show_cpuinfo(void *arg, char *buf, size_t size)
{
    struct text x = {buf, size, 0};
    u32 r[4], v[4], brand[13] = {0};
    char vendor[13] = {0};
    struct plat_clock_params clock;
    cpuid(0, 0, v);
    memcpy(vendor, &v[1], 4);
    memcpy(vendor + 4, &v[3], 4);
    memcpy(vendor + 8, &v[2], 4);
    cpuid(0x80000000, 0, r);
    if (r[0] >= 0x80000004)
        for (u32 i = 0; i < 3; i++)
            cpuid(0x80000002 + i, 0, brand + 4 * i);
    u32 one[4], physical_bits = 40;
    cpuid(1, 0, one);
    if (r[0] >= 0x80000008) {
        cpuid(0x80000008, 0, r);
        physical_bits = r[0] & 255;
    }
    u32 family = (one[0] >> 8) & 15, model = ((one[0] >> 4) & 15) | ((one[0] >> 12) & 0xf0);
    if (family == 15)
        family += (one[0] >> 20) & 255;
    u64 khz = plat_clock_params(&clock) && clock.mult != 0 ? (1000000ULL << 32) / clock.mult : 0;
    for (unsigned cpu = 0; cpu < plat_cpu_count(); cpu++) {
        add(&x, "processor\t: %u\nvendor_id\t: %s\ncpu family\t: %u\nmodel\t\t: %u\nmodel name\t: %s\nstepping\t: %u\n", cpu, vendor, family,
            model, (const char *)brand, one[0] & 15);
        add(&x, "cpu MHz\t\t: %u.%03u\nphysical id\t: 0\nsiblings\t: %u\ncore id\t\t: %u\ncpu cores\t: %u\n",
            (unsigned)(khz / 1000), (unsigned)(khz % 1000), plat_cpu_count(), cpu, plat_cpu_count());
        add(&x, "fpu\t\t: yes\nfpu_exception\t: yes\ncpuid level\t: %u\nwp\t\t: yes\nflags\t\t:", v[0]);
        add_flags(&x);
        add(&x, "\nbugs\t\t:\nbogomips\t: %u.%02u\nclflush size\t: 64\ncache_alignment\t: 64\naddress sizes\t: %u bits physical, 48 bits virtual\n\n",
            (unsigned)(khz * 2 / 1000), (unsigned)(khz * 2 % 1000 / 10), physical_bits);
    }
    return x.n;
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
    add(&x, "nr_free_pages %lu\nnr_anon_pages %lu\nnr_file_pages %lu\nnr_slab_unreclaimable %lu\nnr_page_table_pages %lu\n",
        (unsigned long)m.free_pages, (unsigned long)m.anon_pages, (unsigned long)m.cache_pages, (unsigned long)m.slab_pages,
        (unsigned long)m.table_pages);
    add(&x, "pgpgin %lu\npgpgout %lu\npswpin 0\npswpout 0\n", (unsigned long)(moved[0] / 1024), (unsigned long)(moved[1] / 1024));
    return x.n;
}

static void add_partition(struct blkdev *b, void *ctx)
{
    add(ctx, "%4d  %7d %10lu %s\n", 254, (b->name[2] - 'a') * 16, (unsigned long)(b->size_bytes / 1024), b->name); /* "vda" */
}

static size_t show_partitions(void *arg, char *buf, size_t size)
{
    struct text x = {buf, size, 0};
    add(&x, "major minor  #blocks  name\n\n");
    blkdev_for_each(add_partition, &x);
    return x.n;
}

static size_t show_stat(void *arg, char *buf, size_t size)
{
    struct text x = {buf, size, 0};
    u64 tick = NSEC_PER_SEC / USER_HZ, now = now_ns(), idle = 0, irqs = 0, switches = 0;
    unsigned n = plat_cpu_count();
    for (unsigned i = 0; i < n; i++)
        idle += cpu_idle_ns(i);
    for (unsigned i = 0; i < MAX_CPUS && percpu_table[i] != NULL; i++) {
        irqs += percpu_table[i]->stats[STAT_IRQS];
        switches += percpu_table[i]->stats[STAT_SWITCHES];
    }
    u64 busy = now * n > idle ? now * n - idle : 0;
    add(&x, "cpu  %lu 0 0 %lu 0 0 0 0 0 0\n", (unsigned long)(busy / tick), (unsigned long)(idle / tick));
    for (unsigned i = 0; i < n; i++) {
        u64 one = cpu_idle_ns(i);
        add(&x, "cpu%u %lu 0 0 %lu 0 0 0 0 0 0\n", i, (unsigned long)((now > one ? now - one : 0) / tick), (unsigned long)(one / tick));
    }
    add(&x, "intr %lu\nctxt %lu\nbtime %lu\nprocesses %u\nprocs_running 1\nprocs_blocked 0\nsoftirq 0 0 0 0 0 0 0 0 0 0 0\n",
        (unsigned long)irqs, (unsigned long)switches, (unsigned long)((wall_ns() - now) / NSEC_PER_SEC), last_pid());
    return x.n;
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

static size_t show_loadavg(void *arg, char *buf, size_t size)
{
    spin_lock_bh(&process_list_lock);
    u32 tasks = task_count_locked(NULL);
    spin_unlock_bh(&process_list_lock);
    return (size_t)fmt_snprintf(buf, size, "0.00 0.00 0.00 1/%u %u\n", tasks, last_pid());
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
    add(text, "%-17s %6lu %6lu %6lu %4lu %4u : tunables 0 0 0 : slabdata %6lu %6lu 0\n", name, (unsigned long)in_use, (unsigned long)total,
        (unsigned long)size, (unsigned long)MAX(PAGE_SIZE / size, 1u), 1, (unsigned long)pages, (unsigned long)pages);
}

/* Slabs are counted in pages, whatever a cache makes them of. */
static size_t show_slabinfo(void *arg, char *buf, size_t size)
{
    struct text x = {buf, size, 0};
    add(&x, "slabinfo - version: 2.1\n# name            <active_objs> <num_objs> <objsize> <objperslab> <pagesperslab> : tunables <limit> "
            "<batchcount> <sharedfactor> : slabdata <active_slabs> <num_slabs> <sharedavail>\n");
    slab_for_each_cache(add_cache, &x);
    return x.n;
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
        add(&x, "%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", u[i]);
    add(&x, "\n");
    return x.n;
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
    {"fs/pipe-user-pages-soft", 16384},   {"fs/protected_hardlinks", 1},        {"fs/protected_symlinks", 1},
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

static int store_number(u32 *value, const char *text, size_t len, u32 min, u32 max)
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
    atomic_store(value, (u32)v);
    return 0;
}

static int store_setting(void *arg, const char *text, size_t len) { return store_number(arg, text, len, 0, UINT32_MAX); }

/* Numbers of others that have bounds. */
static const struct range {
    const char *name;
    u32 *value, min, max;
} ranges[] = {
    {"kernel/pid_max", &pid_max, 301, 4194304},
    {"kernel/threads-max", &threads_max, 20, 4194304},
    {"fs/nr_open", &nr_open, 64, NR_OPEN_MAX},
    {"vm/overcommit_memory", &overcommit.mode, COMMIT_GUESS, COMMIT_NEVER},
    {"vm/overcommit_ratio", &overcommit.ratio, 0, INT32_MAX},
    {"vm/overcommit_kbytes", &overcommit.kbytes, 0, UINT32_MAX},
};

static size_t show_range(void *arg, char *buf, size_t size) { return show_setting(((const struct range *)arg)->value, buf, size); }
static int store_range(void *arg, const char *text, size_t len)
{
    const struct range *r = arg;
    int err = store_number(r->value, text, len, r->min, r->max);
    if (err == 0 && (r->value == &overcommit.ratio || r->value == &overcommit.kbytes)) /* one of the two is the limit */
        atomic_store(r->value == &overcommit.ratio ? &overcommit.kbytes : &overcommit.ratio, 0u);
    return err;
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
        {"meminfo", show_meminfo, NULL}, {"cpuinfo", show_cpuinfo, NULL}, {"stat", show_stat, NULL}, {"uptime", show_uptime, NULL},
        {"vmstat", show_vmstat, NULL}, {"partitions", show_partitions, NULL},
        {"loadavg", show_loadavg, NULL}, {"version", show_version, NULL}, {"cmdline", show_cmdline, NULL},
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
    for (unsigned i = 0; i < ARRAY_SIZE(ranges); i++) {
        char path[64];
        fmt_snprintf(path, sizeof path, "sys/%s", ranges[i].name);
        proc_add_writable(path, 0644, show_range, store_range, (void *)(uintptr_t)&ranges[i]);
    }
    proc_lockstat_init();
    file_max_init();
    proc_add_writable("sys/vm/drop_caches", 0200, show_nothing, store_drop_caches, NULL);
    proc_add_writable("sys/kernel/hostname", 0644, show_text, store_name, uts_hostname);
    proc_add_writable("sys/kernel/domainname", 0644, show_text, store_name, uts_domainname);
}
