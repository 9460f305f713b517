/* SPDX-License-Identifier: Apache-2.0 */
/* What programs ask of the machine: CPUs, their places and caches in /sys, beside sysconf() and /proc. */
#include "t.h"
#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysinfo.h>

#define CPUS "/sys/devices/system/cpu"

/* A file's text without the end of the line; "" when there is none. Valid until the fourth call from here. */
static const char *text(const char *format, ...)
{
    static char bufs[4][4096];
    static int turn;
    char path[256], *buf = bufs[turn++ & 3];
    va_list args;
    va_start(args, format);
    vsnprintf(path, sizeof path, format, args);
    va_end(args);
    int fd = open(path, O_RDONLY);
    ssize_t n = fd >= 0 ? read(fd, buf, sizeof bufs[0] - 1) : 0;
    close(fd);
    buf[n > 0 ? n : 0] = '\0';
    buf[strcspn(buf, "\n")] = '\0';
    return buf;
}

static long all;

/* Does the list say "all CPUs"? */
static int is_all(const char *list)
{
    char want[32];
    snprintf(want, sizeof want, all == 1 ? "0" : "0-%ld", all - 1);
    return strcmp(list, want) == 0;
}

static int bits(const char *mask)
{
    int n = 0;
    for (; *mask != '\0'; mask++)
        n += *mask == ',' ? 0 : __builtin_popcount((unsigned)strtol((char[]){*mask, 0}, NULL, 16));
    return n;
}

static void cpus(void)
{
    section("cpus");
    all = sysconf(_SC_NPROCESSORS_CONF);
    SHOW_TRUE(all >= 1 && all == sysconf(_SC_NPROCESSORS_ONLN) && all == get_nprocs() && all == get_nprocs_conf());
    SHOW_TRUE(is_all(text(CPUS "/online")));
    SHOW_TRUE(is_all(text(CPUS "/present")));
    SHOW_TRUE(is_all(text(CPUS "/possible")));
    SHOW_TRUE(atoi(text(CPUS "/kernel_max")) >= all - 1);
    SHOW_STR(text(CPUS "/offline"));
    SHOW_STR(text(CPUS "/isolated"));
    int dirs = 0;
    DIR *d = opendir(CPUS);
    for (struct dirent *e; (e = readdir(d)) != NULL;)
        dirs += strncmp(e->d_name, "cpu", 3) == 0 && e->d_name[3] >= '0' && e->d_name[3] <= '9' && e->d_type == DT_DIR;
    closedir(d);
    SHOW_TRUE(dirs == all);
    FILE *f = fopen("/proc/cpuinfo", "r");
    int processors = 0, cores = 0, lm = 0;
    char line[8192];
    while (fgets(line, sizeof line, f) != NULL) {
        processors += strncmp(line, "processor\t", 10) == 0;
        cores += strncmp(line, "core id\t", 8) == 0;
        lm += strncmp(line, "flags\t", 6) == 0 && strstr(line, " lm ") != NULL && strstr(line, " fpu ") != NULL && strstr(line, " syscall ") != NULL;
    }
    fclose(f);
    SHOW_TRUE(processors == all && cores == all && lm == all);
}

static void topology(void)
{
    section("topology");
    int self = 0, together = 0, masks = 0, packages = 0;
    for (int cpu = 0; cpu < all; cpu++) {
        const char *t = CPUS "/cpu%d/topology/%s";
        self += bits(text(t, cpu, "core_cpus")) >= 1 && strcmp(text(t, cpu, "core_cpus_list"), text(t, cpu, "thread_siblings_list")) == 0;
        together += strcmp(text(t, cpu, "package_cpus_list"), text(t, cpu, "core_siblings_list")) == 0;
        masks += bits(text(t, cpu, "package_cpus")) >= bits(text(t, cpu, "core_cpus")) && bits(text(t, cpu, "die_cpus")) >= 1;
        packages += text(t, cpu, "physical_package_id")[0] != '\0' && text(t, cpu, "core_id")[0] != '\0' && text(t, cpu, "die_id")[0] != '\0';
    }
    SHOW_TRUE(self == all);
    SHOW_TRUE(together == all);
    SHOW_TRUE(masks == all);
    SHOW_TRUE(packages == all);
    SHOW(access(CPUS "/cpu999/topology/core_id", F_OK));
}

/* Is the description of each cache whole, and its size the product of its parts? (QEMU's emulated CPU describes none.) */
static void caches(void)
{
    section("caches");
    int found = 0, whole = 0, shared = 0;
    for (int cpu = 0; cpu < all; cpu++)
        for (int k = 0; k < 10 && text(CPUS "/cpu%d/cache/index%d/type", cpu, k)[0] != '\0'; k++) {
            const char *t = CPUS "/cpu%d/cache/index%d/%s";
            long size = atol(text(t, cpu, k, "size")) * 1024, line = atol(text(t, cpu, k, "coherency_line_size"));
            long ways = atol(text(t, cpu, k, "ways_of_associativity")), sets = atol(text(t, cpu, k, "number_of_sets"));
            found++;
            whole += line > 0 && size == line * ways * sets * atol(text(t, cpu, k, "physical_line_partition")) && atoi(text(t, cpu, k, "level")) > 0;
            shared += bits(text(t, cpu, k, "shared_cpu_map")) >= 1 && text(t, cpu, k, "shared_cpu_list")[0] != '\0';
        }
    SHOW_TRUE(whole == found && shared == found);
}

static void rules(void)
{
    section("the file system");
    struct statfs sf;
    struct stat st;
    SHOW(statfs("/sys", &sf));
    SHOW(sf.f_type);
    SHOW(stat(CPUS "/online", &st));
    SHOW(st.st_size);
    printf("%o\n", st.st_mode);
    SHOW(open(CPUS "/online", O_RDONLY | O_DIRECTORY));
    SHOW(open(CPUS "/nothing", O_RDONLY));
    SHOW(open(CPUS "/nothing", O_RDWR | O_CREAT, 0644));
    SHOW(mkdir("/sys/devices/new", 0755));
    SHOW(unlink(CPUS "/online"));
    int fd = open(CPUS "/online", O_RDONLY);
    char c[2][64] = {"", ""};
    SHOW_TRUE(read(fd, c[0], 1) == 1 && read(fd, c[0] + 1, 62) == (ssize_t)strlen(c[0]) - 1);
    SHOW(read(fd, c[1], 1));
    SHOW_TRUE(pread(fd, c[1], 63, 0) == (ssize_t)strlen(c[0]) && strcmp(c[0], c[1]) == 0);
    SHOW(lseek(fd, 0, SEEK_SET));
    SHOW(write(fd, "0", 1));
    SHOW(open(CPUS "/online", O_WRONLY));
    SHOW_STR(text("/sys/kernel/mm/transparent_hugepage/hpage_pmd_size"));
    SHOW_TRUE(strchr(text("/sys/kernel/mm/transparent_hugepage/enabled"), '[') != NULL);
    close(fd);
}

int main(void)
{
    cpus();
    topology();
    caches();
    rules();
    return 0;
}
