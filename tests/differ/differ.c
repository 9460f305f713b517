/* SPDX-License-Identifier: Apache-2.0 */
#include "differ.h"
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <linux/capability.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define SECONDS 100 /* for one seed */

static const struct mode *const modes[] = {&mode_files, &mode_inet, &mode_memory, &mode_streams, &mode_creds, &mode_signals, &mode_ipc, &mode_ptys};

static uint64_t dice;
static uint32_t step, *steps_begun; /* of a seed, by all processes that make its steps */
static char line[1 << 16];
static size_t len;
static bool comma;
int slots[SLOTS];
int self;
char work[64];

static uint64_t mixed(uint64_t x) /* splitmix64 */
{
    x += 0x9e3779b97f4a7c15;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
    x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
    return x ^ (x >> 31);
}

unsigned rnd(unsigned below) { return (dice = mixed(dice)) % below; }
bool one_in(unsigned n) { return rnd(n) == 0; }
uint32_t step_number(void) { return step; }

static void vsay(const char *format, va_list args)
{
    int n = vsnprintf(line + len, sizeof line - len, format, args);
    len = len + n < sizeof line ? len + n : sizeof line - 1;
}

void say(const char *format, ...)
{
    va_list args;
    int e = errno;
    va_start(args, format);
    vsay(format, args);
    va_end(args);
    errno = e;
}

void arg(const char *format, ...)
{
    va_list args;
    int e = errno;
    say(comma ? ", " : "");
    comma = true;
    va_start(args, format);
    vsay(format, args);
    va_end(args);
    errno = e;
}

const char *error_name(int e) { return strerrorname_np(e) != NULL ? strerrorname_np(e) : "?"; }

long ret(long r)
{
    if (r == -1)
        say(") = -1 %s", error_name(errno));
    else
        say(") = %ld", r);
    return r;
}

long ret_bytes(long r, const void *data, size_t size_bytes)
{
    ret(r);
    if (r > 0)
        say(" %08x", hash(data, r < (long)size_bytes ? (size_t)r : size_bytes));
    return r;
}

long ret_ok(long r)
{
    if (r == -1)
        return ret(r);
    say(") = ok");
    return r;
}

uint32_t hash(const void *data, size_t len_bytes)
{
    const unsigned char *p = data;
    uint32_t h = 2166136261; /* FNV-1a */
    for (size_t i = 0; i < len_bytes; i++)
        h = (h ^ p[i]) * 16777619;
    return h;
}

long arg_of(const struct word *words, unsigned n)
{
    const struct word *w = &words[rnd(n)];
    arg("%s", w->name);
    return w->value;
}

void say_flags(const struct word *words, unsigned n, unsigned long flags)
{
    bool first = true;
    for (unsigned i = 0; i < n; i++)
        if (words[i].value != 0 && (flags & words[i].value) == (unsigned long)words[i].value) {
            say("%s%s", first ? "" : "|", words[i].name);
            first = false;
        }
    if (first)
        say("0");
}

long arg_some(const struct word *words, unsigned n, unsigned chance)
{
    long flags = 0;
    bool first = true;
    arg("%s", "");
    for (unsigned i = 0; i < n; i++)
        if (one_in(chance)) {
            flags |= words[i].value;
            say("%s%s", first ? "" : "|", words[i].name);
            first = false;
        }
    say(first ? "0" : "");
    return flags;
}

long arg_num(const long *values, unsigned n)
{
    long v = values[rnd(n)];
    arg("%ld", v);
    return v;
}

#define KEYS 512
static struct {
    char key[32];
    char *value;
} keys[KEYS];

void state(const char *key, const char *format, ...)
{
    char value[4096];
    va_list args;
    va_start(args, format);
    vsnprintf(value, sizeof value, format, args);
    va_end(args);
    for (unsigned i = 0; i < KEYS; i++) {
        if (keys[i].value == NULL)
            snprintf(keys[i].key, sizeof keys[i].key, "%s", key);
        else if (strcmp(keys[i].key, key) != 0)
            continue;
        else if (strcmp(keys[i].value, value) == 0)
            return;
        free(keys[i].value);
        keys[i].value = strdup(value);
        say(" | %s: %s", key, value);
        return;
    }
    say(" | no room for %s", key);
}

unsigned arg_slot_of(bool (*good)(int fd))
{
    unsigned slot = rnd(SLOTS), tries = one_in(20) ? 0 : SLOTS;
    for (unsigned i = 0; i < tries && !(slots[slot] != -1 && (good == NULL || good(slots[slot]))); i++)
        slot = (slot + 1) % SLOTS;
    arg("f%u", slot);
    return slot;
}

unsigned arg_slot(void) { return arg_slot_of(NULL); }

void slot_put(unsigned slot, long fd)
{
    if (slots[slot] != -1 && slots[slot] != fd)
        close(slots[slot]);
    slots[slot] = fd;
}

long ret_slot(long fd)
{
    unsigned slot = rnd(SLOTS);
    ret(fd);
    if (fd != -1) {
        say(" f%u", slot);
        slot_put(slot, fd);
    }
    return fd;
}

void do_close(void)
{
    unsigned slot = arg_slot();
    ret(close(slots[slot]));
    slots[slot] = -1;
}

void do_dup(void)
{
    int fd = slots[arg_slot()];
    ret_slot(dup(fd));
}

int hidden(int fd)
{
    int high = fcntl(fd, F_DUPFD_CLOEXEC, 900);
    close(fd);
    return high;
}

static bool kept(const char *keep, uint32_t n)
{
    if (keep == NULL)
        return true;
    for (const char *p = keep; *p != 0;) {
        char *end;
        unsigned long from = strtoul(p, &end, 10), to = *end == '-' ? strtoul(end + 1, &end, 10) : from;
        if (n >= from && n <= to)
            return true;
        p = *end == ',' ? end + 1 : end;
    }
    return false;
}

char state_of(pid_t pid)
{
    char name[64], text[512] = "";
    snprintf(name, sizeof name, "/proc/%d/stat", pid);
    int fd = open(name, O_RDONLY);
    ssize_t n = read(fd, text, sizeof text - 1);
    close(fd);
    const char *p = n > 0 ? strrchr(text, ')') : NULL;
    return p != NULL ? p[2] : '?';
}

void end_line(void)
{
    line[len++] = '\n';
    for (size_t at = 0; at < len;) {
        ssize_t n = write(1, line + at, len - at);
        if (n > 0)
            at += n;
        else if (n == -1 && errno != EINTR && errno != EAGAIN)
            _exit(3);
    }
    len = 0;
}

/* Not every root has it. */
static void drop_sys_resource(void)
{
    struct __user_cap_header_struct h = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct d[2];
    prctl(PR_CAPBSET_DROP, CAP_SYS_RESOURCE, 0, 0, 0);
    if (RAW(capget, &h, d) != 0)
        return;
    d[0].effective &= ~(1u << CAP_SYS_RESOURCE);
    d[0].permitted &= ~(1u << CAP_SYS_RESOURCE);
    RAW(capset, &h, d);
}

static void one_seed(const struct mode *m, uint64_t seed, uint32_t steps, const char *keep)
{
    unsigned sum = 0;
    for (const struct act *a = m->acts; a->name != NULL; a++)
        sum += a->weight;
    for (unsigned i = 0; i < SLOTS; i++)
        slots[i] = -1;
    umask(022);
    drop_sys_resource();
    setpriority(PRIO_PROCESS, 0, 5);
    m->start();
    m->watch();
    end_line();
    while ((step = ++*steps_begun) <= steps) {
        if (!kept(keep, step))
            continue;
        dice = mixed(mixed(seed) + step);
        unsigned at = rnd(sum);
        const struct act *a = m->acts;
        while (at >= a->weight)
            at -= a++->weight;
        say("%u %s(", step, a->name);
        comma = false;
        errno = 0;
        a->run();
        if (m->after != NULL)
            m->after();
        m->watch();
        end_line();
    }
}

static pid_t child;
static void too_long(int sig) { kill(-child, SIGKILL); }

int main(int argc, char **argv)
{
    const struct mode *m = NULL;
    char *plus;
    if (argc == 2 && strcmp(argv[1], "creds") == 0)
        return creds_tell();
    if (argc < 4)
        return 2;
    for (unsigned i = 0; i < COUNT(modes); i++)
        if (strcmp(modes[i]->name, argv[1]) == 0)
            m = modes[i];
    if (m == NULL)
        return 2;
    unsigned long long seed = strtoull(argv[2], &plus, 0), count = *plus == '+' ? strtoull(plus + 1, NULL, 0) : 1;
    setbuf(stdout, NULL);
    signal(SIGALRM, too_long);
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    RAW(close_range, 3, ~0u, 0);
    steps_begun = mmap(NULL, sizeof *steps_begun, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    self = hidden(open("/proc/self/exe", O_RDONLY));
    snprintf(work, sizeof work, "/tmp/drupe-test-differ-XXXXXX");
    if (mkdtemp(work) == NULL)
        return 3;
    chmod(work, 0755);
    for (; count-- != 0; seed++) {
        if (mount("tmpfs", work, "tmpfs", 0, m->room != NULL ? m->room : "size=256k,mode=755") != 0) {
            perror("mount");
            return 3;
        }
        printf("=== %s %llu\n", m->name, seed);
        *steps_begun = 0;
        child = fork();
        if (child == 0) {
            setsid();
            signal(SIGALRM, SIG_DFL);
            setrlimit(RLIMIT_AS, &(struct rlimit){1 << 30, 1 << 30});
            if (chdir(work) != 0 || (m->confined && chroot(".") != 0)) /* "/" and ".." are somebody's */
                _exit(3);
            one_seed(m, seed, strtoul(argv[3], NULL, 0), argc > 4 ? argv[4] : NULL);
            kill(0, SIGKILL); /* whatever is left of it */
        }
        int status;
        alarm(SECONDS);
        while (waitpid(child, &status, 0) != child)
            ;
        if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
            printf("ended by %#x\n", status);
        alarm(0);
        kill(-child, SIGKILL); /* whom it might not */
        while (waitpid(-1, &status, 0) > 0) /* with what it had open */
            ;
        umount2(work, MNT_DETACH);
    }
    rmdir(work);
    return 0;
}
