/* SPDX-License-Identifier: Apache-2.0 */
/*
 * QEMU's command line (qemu-system(1)), chosen for a fast start and few devices:
 *
 *  - microvm with acpi=off starts qboot instead of SeaBIOS; devices are virtio-mmio,
 *    announced on the kernel's command line. q35: the same devices over PCI, modern only.
 *  - Everything that is a file is handed over open; nothing depends on paths.
 *  - A TAP interface with several queues gives the card a pair of queues for each processor.
 *  - A small image is put into a microvm's memory whole, as the module beside the kernel. A disk would be asked a dozen
 *    times until the first line, and each answer takes several threads' turns.
 *  - A volume is a virtio device whose queues its own server serves, in the machine's memory, which is shared with it for that
 *    (vhost-user). It is of the file systems' type, for QEMU knows none of 9P that others may serve; a port of the same name
 *    tells the kernel when the server ends. For more than QEMU_VHOSTS the ports carry the messages, too.
 *  - max_ports bounds the queues of virtio-serial: two for each port.
 *  - The sandbox forbids QEMU what this machine never needs (fork, set-uid, ...).
 *  - QEMU_LEAN has neither isa-debug-exit nor a sandbox: there a reset ends the machine, too (-no-reboot), and qemu_confine()
 *    comes before it.
 */
#include "host/qemu/argv.h"

#include <string.h>
#include <sys/stat.h>

#include "abi/boot.h"
#include "abi/control.h"

#define DEBUG_EXIT_PORT 0xf4
#define FWCFG_PORT 0x510
#define MEMORY_UNIT 8192ull
#define MEMORY_IMAGE_MAX ((u64)8 << 20)
#define MEMORY_IMAGE_SHARE 16 /* at most this part of the machine's memory */

static const struct qemu_options *qemu_of(const struct instance *m) { return m->options; }

static void add_device(const struct instance *m, struct strv *v, const char *mmio, const char *pci, const char *options)
{
    strv_add(v, "-device");
    if (qemu_of(m)->q35)
        strv_addf(v, "%s,disable-legacy=on,%s", pci, options);
    else
        strv_addf(v, "%s,%s", mmio, options);
}

static void add_port(struct strv *v, const char *id, int fd, const char *name, unsigned nr)
{
    strv_add(v, "-chardev");
    strv_addf(v, "socket,id=%s,fd=%d", id, fd);
    strv_add(v, "-device");
    strv_addf(v, "virtserialport,chardev=%s,name=%s,nr=%u", id, name, nr);
}

static bool image_in_memory(const struct instance *m)
{
    struct stat st;
    return !qemu_of(m)->q35 && fstat(m->image_fd, &st) == 0 && (u64)st.st_size <= MEMORY_IMAGE_MAX &&
           (u64)st.st_size <= m->memory_bytes / MEMORY_IMAGE_SHARE;
}

/* The root image and the configuration (abi/boot.h). */
static void add_root(const struct instance *m, struct strv *v)
{
    bool memory = image_in_memory(m);
    strv_add(v, "-initrd");
    strv_addf(v, "/dev/fd/%d", memory ? QFD_IMAGE : QFD_CONFIG);
    if (memory) {
        strv_add(v, "-fw_cfg");
        strv_addf(v, "name=" BOOT_FWCFG_CONFIG ",file=/dev/fd/%d", QFD_CONFIG);
        return;
    }
    strv_add(v, "-add-fd");
    strv_addf(v, "fd=%d,set=1", QFD_IMAGE);
    strv_add(v, "-blockdev");
    strv_add(v, "driver=file,node-name=root,filename=/dev/fdset/1,read-only=on,locking=off");
    add_device(m, v, "virtio-blk-device", "virtio-blk-pci", "drive=root,serial=" SERIAL_ROOT);
}

static char *kernel_command_line(const struct instance *m)
{
    struct buf line = {0};
    buf_addf(&line, "%s", m->kernel_args);
    if (!qemu_of(m)->lean)
        buf_addf(&line, " drupe.exit=%x", DEBUG_EXIT_PORT);
    if (image_in_memory(m))
        buf_addf(&line, " drupe.fwcfg=%x", FWCFG_PORT);
    return line.data;
}

static void add_serial(const struct instance *m, struct strv *v)
{
    unsigned first = m->terminal ? 3 : 5;
    AUTO_FREE char *ports = str_format("max_ports=%u", first + (unsigned)m->nvolumes);
    add_device(m, v, "virtio-serial-device", "virtio-serial-pci", ports);
    add_port(v, "control", QFD_CONTROL, PORT_CONTROL, 1);
    if (m->terminal) {
        add_port(v, "tty", QFD_STDIN, PORT_TTY, 2);
    } else {
        add_port(v, "in", QFD_STDIN, PORT_STDIN, 2);
        add_port(v, "out", QFD_STDOUT, PORT_STDOUT, 3);
        add_port(v, "err", QFD_STDERR, PORT_STDERR, 4);
    }
    for (unsigned k = 0; k < m->nvolumes; k++) {
        AUTO_FREE char *id = str_format("volume%u", k), *name = str_format(P9_PORT "%u", k);
        add_port(v, id, QFD_VOLUMES + (int)k, name, first + k);
    }
}

/* QEMU rounds what -m says, but not what it is compared with. */
static unsigned long long memory_kib(const struct instance *m) { return ALIGN_UP(m->memory_bytes, MEMORY_UNIT) / 1024; }

static void add_volumes(const struct instance *m, struct strv *v)
{
    if (m->nvolumes == 0)
        return;
    strv_add(v, "-object");
    strv_addf(v, "memory-backend-memfd,id=ram,share=on,size=%lluk", memory_kib(m));
    for (unsigned k = 0; k < MIN(m->nvolumes, QEMU_VHOSTS); k++) {
        strv_add(v, "-chardev");
        strv_addf(v, "socket,id=vhost%u,fd=%d", k, QFD_VHOSTS + (int)k);
        AUTO_FREE char *options = str_format("chardev=vhost%u,tag=" P9_PORT "%u,queue-size=%u", k, k, P9_QUEUE);
        strv_add(v, "-device");
        strv_addf(v, "%s,%s", qemu_of(m)->q35 ? "vhost-user-fs-pci" : "vhost-user-fs-device", options);
    }
}

static void add_net(const struct instance *m, unsigned queues, struct strv *v)
{
    if (m->net == NET_MODE_NONE)
        return;
    u64 mac = 0x123456;
    strv_add(v, "-netdev");
    if (m->net == NET_MODE_USER) {
        strv_addf(v, "stream,id=net,server=off,addr.type=fd,addr.str=%d", QFD_FRAMES);
    } else {
        struct buf fds = {0};
        for (unsigned k = 0; k < queues; k++)
            buf_addf(&fds, "%s%d", k ? ":" : "", QFD_TAP + (int)k);
        strv_addf(v, "tap,id=net,vhost=off,fds=%s", fds.data);
        buf_done(&fds);
        mac = hash_bytes(m->tap, strlen(m->tap), 0); /* one for each TAP, the same every time */
    }
    AUTO_FREE char *options = str_format("netdev=net,mac=52:54:00:%02x:%02x:%02x%s%s", (unsigned)(mac >> 16 & 255),
                                         (unsigned)(mac >> 8 & 255), (unsigned)(mac & 255), qemu_of(m)->q35 ? ",romfile=" : "",
                                         queues > 1 ? ",mq=on" : "");
    AUTO_FREE char *pci_options = str_format("%s,vectors=%u", options, 2 * MAX(queues, 1u) + 2);
    add_device(m, v, "virtio-net-device", "virtio-net-pci", qemu_of(m)->q35 ? pci_options : options);
}

void qemu_argv(const struct instance *m, unsigned tap_queues, struct strv *ret)
{
    static const char *const fixed[] = {"-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-name", "drupe"};
    struct strv v = {0};
    AUTO_FREE char *command_line = kernel_command_line(m);
    strv_add(&v, qemu_of(m)->lean ? QEMU_LEAN : QEMU);
    for (size_t i = 0; i < ARRAY_SIZE(fixed); i++)
        strv_add(&v, fixed[i]);
    if (!qemu_of(m)->lean) {
        strv_add(&v, "-sandbox");
        strv_add(&v, "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny");
    }
    strv_add(&v, "-machine");
    strv_addf(&v, "%s%s", qemu_of(m)->q35 ? "q35,smm=off,vmport=off,sata=off,smbus=off,i8042=off"
                                      : "microvm,acpi=off,x-option-roms=off,isa-serial=on",
              m->nvolumes ? ",memory-backend=ram" : "");
    strv_add(&v, "-global");
    strv_add(&v, "virtio-mmio.force-legacy=false");
    strv_add(&v, "-accel");
    strv_add(&v, qemu_of(m)->accel);
    strv_add(&v, "-cpu");
    strv_add(&v, strcmp(qemu_of(m)->accel, "kvm") == 0 ? "host" : "max");
    strv_add(&v, "-smp");
    strv_addf(&v, "%u", m->cpus);
    strv_add(&v, "-m");
    strv_addf(&v, "%lluk", memory_kib(m));
    strv_add(&v, "-kernel");
    strv_add(&v, m->kernel);
    strv_add(&v, "-append");
    strv_add(&v, command_line);
    strv_add(&v, "-chardev");
    strv_addf(&v, "socket,id=console,fd=%d", QFD_CONSOLE);
    strv_add(&v, "-serial");
    strv_add(&v, "chardev:console");
    if (!qemu_of(m)->lean) {
        strv_add(&v, "-device");
        strv_addf(&v, "isa-debug-exit,iobase=0x%x,iosize=4", DEBUG_EXIT_PORT);
    }
    add_root(m, &v);
    add_serial(m, &v);
    add_volumes(m, &v);
    if (qemu_of(m)->q35 || strcmp(qemu_of(m)->accel, "tcg") != 0) { /* an emulated CPU's RDSEED is getrandom() of this host, too */
        strv_add(&v, "-object");
        strv_add(&v, "rng-builtin,id=rng");
        add_device(m, &v, "virtio-rng-device", "virtio-rng-pci", "rng=rng");
    }
    add_net(m, tap_queues, &v);
    for (size_t i = 0; i < qemu_of(m)->args.count; i++)
        strv_add(&v, qemu_of(m)->args.items[i]);
    *ret = v;
}
