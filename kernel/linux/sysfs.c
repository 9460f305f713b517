/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What of /sys tells about the machine as programs ask for it (sysfs(5)): its CPUs, which are cores of one package, their caches,
 * and large pages. There is no node/, as in a kernel without NUMA: get_mempolicy() is not there either.
 */
#include "task.h"
#include "sysfs.h"
#include "base/fmt.h"
#include "kern/net.h"
#include "kern/sysfs.h"

enum kind {
    ZERO, EMPTY, KERNEL_MAX, SMT,
    NUMBER, SELF_MASK, SELF_LIST, ALL_MASK, ALL_LIST,                                    /* of a CPU */
    TYPE, LEVEL, SIZE, LINE, WAYS, SETS, PARTITIONS, CACHE_ID, SHARED_MASK, SHARED_LIST, /* of a cache of a CPU */
};

struct entry {
    const char *name;
    enum kind kind;
};

static const struct entry cpus[] = {
    {"online", ALL_LIST}, {"possible", ALL_LIST}, {"present", ALL_LIST}, {"offline", EMPTY}, {"isolated", EMPTY},
    {"kernel_max", KERNEL_MAX}, {"smt/active", ZERO}, {"smt/control", SMT},
};
static const struct entry topology[] = {
    {"core_id", NUMBER}, {"physical_package_id", ZERO}, {"die_id", ZERO},
    {"core_cpus", SELF_MASK}, {"core_cpus_list", SELF_LIST}, {"thread_siblings", SELF_MASK}, {"thread_siblings_list", SELF_LIST},
    {"core_siblings", ALL_MASK}, {"core_siblings_list", ALL_LIST}, {"package_cpus", ALL_MASK}, {"package_cpus_list", ALL_LIST},
    {"die_cpus", ALL_MASK}, {"die_cpus_list", ALL_LIST},
};
static const struct entry caches[] = {
    {"type", TYPE}, {"level", LEVEL}, {"size", SIZE}, {"coherency_line_size", LINE}, {"ways_of_associativity", WAYS},
    {"number_of_sets", SETS}, {"physical_line_partition", PARTITIONS}, {"id", CACHE_ID}, {"shared_cpu_map", SHARED_MASK},
    {"shared_cpu_list", SHARED_LIST},
};
static const struct {
    const char *name, *text;
} large_pages[] = { /* mm/fault.c */
    {"enabled", "[always] madvise never\n"}, {"shmem_enabled", "always within_size advise [never] deny force\n"},
    {"hpage_pmd_size", "2097152\n"},
};

/* An entry's argument: what, of which cache, of which CPU. */
static void *argument(enum kind kind, unsigned cache, unsigned cpu) { return (void *)(uintptr_t)(kind << 16 | cache << 8 | cpu); }

static size_t show_number(char *buf, size_t size, unsigned n) { return (size_t)fmt_snprintf(buf, size, "%u\n", n); }

/* As Linux prints masks: groups of 32 bits, the first one as wide as there are CPUs. */
static size_t show_mask(char *buf, size_t size, u64 mask)
{
    unsigned n = plat_cpu_count();
    if (n <= 32)
        return (size_t)fmt_snprintf(buf, size, "%0*x\n", (int)(n + 3) / 4, (unsigned)mask);
    return (size_t)fmt_snprintf(buf, size, "%0*x,%08x\n", (int)(n - 32 + 3) / 4, (unsigned)(mask >> 32), (unsigned)mask);
}

static size_t show_all(char *buf, size_t size, bool list)
{
    unsigned n = plat_cpu_count();
    if (!list)
        return show_mask(buf, size, ~0ULL >> (64 - n));
    return n == 1 ? show_number(buf, size, 0) : (size_t)fmt_snprintf(buf, size, "0-%u\n", n - 1);
}

static size_t show_cache(enum kind kind, unsigned index, unsigned cpu, char *buf, size_t size)
{
    struct cpu_cache c;
    if (!cpu_cache(index, &c))
        return 0;
    bool shared = c.level > 2; /* by the package; the others are the core's own */
    switch (kind) {
    case TYPE: return (size_t)fmt_snprintf(buf, size, "%s\n", c.type);
    case LEVEL: return show_number(buf, size, c.level);
    case SIZE: return (size_t)fmt_snprintf(buf, size, "%uK\n", (unsigned)((u64)c.line_bytes * c.partitions * c.ways * c.sets / 1024));
    case LINE: return show_number(buf, size, c.line_bytes);
    case WAYS: return show_number(buf, size, c.ways);
    case SETS: return show_number(buf, size, c.sets);
    case PARTITIONS: return show_number(buf, size, c.partitions);
    case CACHE_ID: return show_number(buf, size, shared ? 0 : cpu);
    case SHARED_MASK: return shared ? show_all(buf, size, false) : show_mask(buf, size, 1ULL << cpu);
    default: return shared ? show_all(buf, size, true) : show_number(buf, size, cpu);
    }
}

static size_t show(void *arg, char *buf, size_t size)
{
    unsigned a = (unsigned)(uintptr_t)arg, cpu = a & 255;
    enum kind kind = a >> 16;
    switch (kind) {
    case ZERO: return show_number(buf, size, 0);
    case EMPTY: return (size_t)fmt_snprintf(buf, size, "\n");
    case KERNEL_MAX: return show_number(buf, size, MAX_CPUS - 1);
    case SMT: return (size_t)fmt_snprintf(buf, size, "notsupported\n");
    case NUMBER: case SELF_LIST: return show_number(buf, size, cpu);
    case SELF_MASK: return show_mask(buf, size, 1ULL << cpu);
    case ALL_MASK: case ALL_LIST: return show_all(buf, size, kind == ALL_LIST);
    default: return show_cache(kind, a >> 8 & 255, cpu, buf, size);
    }
}

static int add_all(const struct sysfs_ops *sys, const char *dir, const struct entry *e, unsigned n, unsigned cache, unsigned cpu)
{
    char path[80];
    int err = 0;
    for (; n > 0 && err == 0; n--, e++) {
        fmt_snprintf(path, sizeof path, "%s/%s", dir, e->name);
        err = sys->add(path, 0444, show, argument(e->kind, cache, cpu));
    }
    return err;
}

static int fill_cpus(const struct sysfs_ops *sys)
{
    struct cpu_cache c;
    char dir[64];
    int err = add_all(sys, "devices/system/cpu", cpus, ARRAY_SIZE(cpus), 0, 0);
    for (unsigned cpu = 0; cpu < plat_cpu_count() && err == 0; cpu++) {
        fmt_snprintf(dir, sizeof dir, "devices/system/cpu/cpu%u/topology", cpu);
        err = add_all(sys, dir, topology, ARRAY_SIZE(topology), 0, cpu);
        for (unsigned k = 0; err == 0 && cpu_cache(k, &c); k++) {
            fmt_snprintf(dir, sizeof dir, "devices/system/cpu/cpu%u/cache/index%u", cpu, k);
            err = add_all(sys, dir, caches, ARRAY_SIZE(caches), k, cpu);
        }
    }
    return err;
}

static size_t show_text(void *arg, char *buf, size_t size) { return (size_t)fmt_snprintf(buf, size, "%s", (const char *)arg); }

static int fill_mm(const struct sysfs_ops *sys)
{
    char path[64];
    int err = 0;
    for (unsigned k = 0; k < ARRAY_SIZE(large_pages) && err == 0; k++) {
        fmt_snprintf(path, sizeof path, "kernel/mm/transparent_hugepage/%s", large_pages[k].name);
        err = sys->add(path, 0444, show_text, (void *)(uintptr_t)large_pages[k].text);
    }
    return err;
}

void sysfs_entries_init(void)
{
    if (sysfs->add_dir("devices/system/cpu", fill_cpus) != 0 || sysfs->add_dir("kernel/mm", fill_mm) != 0 || net_sysfs_add(sysfs) != 0)
        klog(LOG_WARN, "/sys: no memory for it");
}
