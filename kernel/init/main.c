/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From nothing to a running program, in a visible order. The platform calls
 * kernel_main() on the boot CPU; it brings the parts up (`steps`), starts the init
 * thread and becomes the idle thread. The init thread finds devices, mounts the
 * root, starts the program, and then listens to the tender.
 *
 * Nothing here waits for a device that the program does not need: the network card
 * stays closed until first use, entropy arrives when it arrives.
 */
#include "base/bytes.h"
#include "base/fmt.h"
#include "base/str.h"
#include "control.h"
#include "init_impl.h"
#include "abi/boot.h"
#include "kern/addrspace.h"
#include "kern/bpf.h"
#include "kern/chardev.h"
#include "kern/core.h"
#include "kern/futex.h"
#include "kern/log.h"
#include "kern/pagecache.h"
#include "kern/percpu.h"
#include "kern/pkt.h"
#include "kern/random.h"
#include "kern/slab.h"
#include "kern/thread.h"
#include "kern/trace.h"
#include "kern/vfs.h"

/* A port's announcement takes the host no time to speak of; one that never comes must not hang the boot. */
#define PORTS_WAIT_NS NSEC_PER_SEC

/* How long a peer may take to acknowledge what the program sent before it ended. */
#define NET_DRAIN_NS (5 * NSEC_PER_SEC)

/* And a client that traces for what it has not got yet. */
#define TRACE_DRAIN_NS (2 * NSEC_PER_SEC)

/* With drupe.trace=wait the program starts when somebody traces it, or after so long. */
#define TRACE_WAIT_NS (10 * NSEC_PER_SEC)

/* --- the command line --------------------------------------------------------------- */

/* Value of the last "key=value" (up to a blank) copied to buf. False when it is not there. */
static bool cmdline_value(const char *key, char *buf, size_t size)
{
    size_t n = strlen(key);
    bool found = false;
    for (const char *p = plat_boot_info()->cmdline; *p != '\0';) {
        while (*p == ' ')
            p++;
        size_t len = 0;
        while (p[len] != '\0' && p[len] != ' ')
            len++;
        if (len > n && strncmp(p, key, n) == 0 && p[n] == '=' && len - n - 1 < size) {
            memcpy(buf, p + n + 1, len - n - 1);
            buf[len - n - 1] = '\0';
            found = true;
        }
        p += len;
    }
    return found;
}

static bool marking; /* boot times are wanted */

static void log_from_cmdline(void)
{
    static const char *const names[] = { [LOG_ERROR] = "error", [LOG_WARN] = "warn", [LOG_INFO] = "info", [LOG_DEBUG] = "debug" };
    char value[16];
    if (!cmdline_value("drupe.log", value, sizeof(value)))
        return;
    for (unsigned i = 0; i < ARRAY_SIZE(names); i++) {
        if (strcmp(value, names[i]) == 0) {
            log_set_console_level((enum log_level)i);
            marking = i == LOG_DEBUG;
            return;
        }
    }
    klog(LOG_WARN, "drupe.log=%s: not a log level (error, warn, info, debug)", value);
}

/* --- boot time, at log level debug ----------------------------------------------------- */

static void mark(const char *what)
{
    static u64 last_cycles;
    if (!marking)
        return;
    u64 now = arch_cycles();
    klog(LOG_DEBUG, "boot: %-12s at %6llu us, %8llu cycles", what, (unsigned long long)(plat_now_ns() / 1000),
         (unsigned long long)(last_cycles == 0 ? 0 : now - last_cycles));
    last_cycles = arch_cycles();
}

/* --- on the boot stack: nothing here may sleep ------------------------------------------- */

static void init_thread(void *arg);

static const struct {
    const char *name;
    void (*fn)(void);
} steps[] = {
    { "fpu", arch_fpu_init_cpu }, /* first: an emulator translates code again when the control registers change */
    { "core", core_init },
    { "log level", log_from_cmdline },
    { "pages", page_init },
    { "slab", slab_init },
    { "random", random_init },
    { "sched", sched_init },
    { "futex", futex_init },
    { "addrspace", addrspace_init_subsystem },
    { "page cache", pagecache_init },
    { "vfs", vfs_init },
    { "packets", pkt_init },
    { "net", net_init },
    { "linux", linux_init },
    { "events", plat_events_enable },
};

NORETURN void kernel_main(void)
{
    for (unsigned i = 0; i < ARRAY_SIZE(steps); i++) {
        steps[i].fn();
        mark(steps[i].name);
    }
    struct thread *t;
    int err = thread_create("init", init_thread, NULL, false, &t);
    if (err != 0)
        panic("no memory for the init thread");
    thread_start(t);
    thread_put(t);
    sched_idle_loop();
}

/* --- in the init thread -------------------------------------------------------------------- */

static void probe_devices(void)
{
    unsigned n = 0;
    plat_discover_devices();
    while (bus_drivers[n] != NULL)
        n++;
    device_probe_all(bus_drivers, n);
    if (wait_event_until(&chardev_added, atomic_load(&chardev_pending) == 0, now_ns() + PORTS_WAIT_NS) != 0)
        klog(LOG_WARN, "virtio-serial: the host announces no ports");
}

static void read_config(struct boot_config *ret)
{
    const struct plat_boot_info *boot = plat_boot_info();
    char why[200];
    int err;
    if (boot->config != NULL) {
        err = config_parse(boot->config, boot->config_len_bytes, ret, why, sizeof(why));
    } else {
        char *text;
        size_t len;
        err = root_read_file(BOOT_CONFIG_PATH, CONFIG_MAX_BYTES, &text, &len);
        if (err == -ENOENT)
            boot_fail("no configuration: the image has no " BOOT_CONFIG_PATH " and none was given beside the kernel");
        if (err != 0)
            boot_fail("cannot read " BOOT_CONFIG_PATH ": error %d", -err);
        err = config_parse(text, len, ret, why, sizeof(why));
        kfree(text);
    }
    if (err == -ENOMEM)
        boot_fail("out of memory while reading the configuration");
    if (err != 0)
        boot_fail("%s", why);
}

static void net_changed(void)
{
    struct net_config n;
    root_write_network_files();
    if (net_current_config(&n) && n.address != 0) {
        char text[32];
        const u8 *a = (const u8 *)&n.address;
        fmt_snprintf(text, sizeof(text), "%u.%u.%u.%u/%u", a[0], a[1], a[2], a[3],
                     n.netmask == 0 ? 0u : 32u - (unsigned)__builtin_ctz(be32(n.netmask)));
        control_text(CTL_NET, text);
    }
}

static size_t show_net(void *arg, char *buf, size_t size) { return net_proc_show(arg, buf, size); }

static void add_net_files(void)
{
    for (const char *const *name = net_proc_names; *name != NULL; name++) {
        char path[24];
        fmt_snprintf(path, sizeof path, "net/%s", *name);
        if (proc_add(path, 0444, show_net, (void *)(uintptr_t)*name) != 0)
            klog(LOG_WARN, "/proc/%s: no memory for it", path);
    }
    if (net_conf_add(proc_add_writable) != 0)
        klog(LOG_WARN, "/proc/sys/net/ipv6/conf: no memory for it");
}

static void configure_net(const struct boot_config *c)
{
    add_net_files();
    if (c->net.mode == NET_NONE)
        return;
    net_config_changed = net_changed;
    int err = net_filter_set(c->net.ingress, c->net.egress);
    if (err != 0) /* nothing runs unprotected that was to be protected */
        boot_fail("%s", err == -EOPNOTSUPP ? "this kernel has no packet filter (-Dwithout=filter); --allow all asks for none"
                        : err == -ENOMEM   ? "out of memory for the packet filter"
                                           : "config.json: " ANN_NET_INGRESS " or " ANN_NET_EGRESS ": not the words of a filter");
    err = net_configure(&c->net);
    if (err == -ENODEV)
        control_notice("the configuration has a network, but the machine has no network card");
    else if (err == -EOPNOTSUPP)
        boot_fail("this kernel has no DHCP client (-Dwithout=dhcp); give the network an address");
    else if (err != 0)
        klog(LOG_WARN, "network: error %d", -err);
}

/* What the kernel itself holds: the same before the program and behind it, or something leaked. */
static u64 memory_in_use_kib(void)
{
    struct mem_stats m;
    page_stats(&m);
    return (m.total_pages - m.free_pages - m.cache_pages) * (PAGE_SIZE / 1024);
}

static void tell_calls(void)
{
    u64 gated = 0, trapped = 0, sites = 0;
    char text[120];
    for (unsigned i = 0; i < MAX_CPUS && percpu_table[i] != NULL; i++) {
        gated += percpu_table[i]->calls_gated;
        trapped += percpu_table[i]->stats[STAT_CALLS_TRAPPED];
        sites += percpu_table[i]->stats[STAT_CALL_SITES];
    }
    fmt_snprintf(text, sizeof(text), "system calls: %lu by jump, %lu by trap; %lu call sites replaced", (unsigned long)gated,
                 (unsigned long)trapped, (unsigned long)sites);
    control_notice(text);
    char missing[400] = "calls missing: ";
    size_t n = strlen(missing);
    if (linux_missing_calls(missing + n, sizeof(missing) - n) > 0)
        control_notice(missing);
}

static bool verbose;
static u64 in_use_before_kib;

static void program_ended(const struct program_end *end, const char *report)
{
    if (verbose) {
        char text[120];
        fmt_snprintf(text, sizeof(text), "memory in use without the page cache: %lu KiB before the program, %lu KiB behind it",
                     (unsigned long)in_use_before_kib, (unsigned long)memory_in_use_kib());
        control_notice(text);
        tell_calls();
    }
    trace_finish(now_ns() + TRACE_DRAIN_NS);
    bpf_finish(now_ns() + TRACE_DRAIN_NS);
    vfs_sync_all();
    net_drain(now_ns() + NET_DRAIN_NS);
    net_capture_drain(now_ns() + NET_DRAIN_NS);
    machine_end(end->not_started ? CTL_EXIT_NOEXEC : CTL_EXIT_NORMAL, end->code, end->signal, report);
}

static void start_program(const struct boot_config *c)
{
    char why[300] = "";
    linux_notice = control_notice;
    verbose = c->program.verbose;
    in_use_before_kib = memory_in_use_kib();
    int err = linux_start(&c->program, program_ended, why, sizeof(why));
    if (err == 0) {
        control_started();
        return;
    }
    char text[400];
    fmt_snprintf(text, sizeof(text), "drupe: %s", why[0] != '\0' ? why : "cannot start the program");
    machine_end(CTL_EXIT_NOEXEC, err == -ENOENT || err == -ENOTDIR ? 127 : 126, 0, text);
}

static void start_traced(void *config)
{
    trace_wait_session(now_ns() + TRACE_WAIT_NS);
    start_program(config);
}

/* Where the control port is to be heard meanwhile. */
static void start_waiting(struct boot_config *c)
{
    struct thread *t;
    if (thread_create("start", start_traced, c, false, &t) != 0)
        boot_fail("out of memory");
    thread_start(t);
    thread_put(t);
}

static void init_thread(void *arg)
{
    char serial[24] = SERIAL_ROOT, wait[8];
    cpus_start();
    probe_devices();
    mark("devices");
    control_open();
    stats_init();
    trace_service_init();
    bpf_service_init();
    mark("control");
    cmdline_value("drupe.root", serial, sizeof(serial));
    root_mount_image(serial);
    mark("root");
    struct boot_config *c = kzalloc(sizeof(*c));
    if (c == NULL)
        boot_fail("out of memory");
    read_config(c);
    mark("config");
    root_furnish(c);
    mark("tree");
    configure_net(c);
    stdio_open(c);
    mark("streams");
    if (cmdline_value("drupe.trace", wait, sizeof(wait)) && strcmp(wait, "wait") == 0)
        start_waiting(c);
    else
        start_program(c);
    mark("program");
    control_serve();
}
