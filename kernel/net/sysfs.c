/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /sys/class/net, as sysfs-class-net of Linux says it: what programs read of interfaces and their counters. What an interface cannot tell
 * (the speed of lo, the number of times the carrier came and went) has no file. Cards count as virtual devices: there is no tree of buses.
 */
#include "base/fmt.h"
#include "kern/sysfs.h"
#include "net_impl.h"

enum what {
    ADDR_LEN, ADDRESS, BROADCAST, CARRIER, ZERO, HEX_ZERO, FLAGS, INDEX, MTU, OPERSTATE, TXQLEN, TYPE, UEVENT, SPEED, DUPLEX,
    RX_BYTES, RX_PACKETS, RX_ERRORS, RX_DROPPED, TX_BYTES, TX_PACKETS, TX_ERRORS, TX_DROPPED,
};

static const struct file {
    const char *name;
    u8 what; /* enum what */
} files[] = {
    { "addr_assign_type", ZERO }, { "addr_len", ADDR_LEN }, { "address", ADDRESS }, { "broadcast", BROADCAST }, { "carrier", CARRIER },
    { "dev_id", HEX_ZERO }, { "dev_port", ZERO }, { "dormant", ZERO }, { "flags", FLAGS }, { "ifindex", INDEX }, { "iflink", INDEX },
    { "link_mode", ZERO }, { "mtu", MTU }, { "operstate", OPERSTATE }, { "tx_queue_len", TXQLEN }, { "type", TYPE }, { "uevent", UEVENT },
    { "statistics/collisions", ZERO }, { "statistics/multicast", ZERO }, { "statistics/rx_bytes", RX_BYTES }, { "statistics/rx_compressed", ZERO },
    { "statistics/rx_crc_errors", ZERO }, { "statistics/rx_dropped", RX_DROPPED }, { "statistics/rx_errors", RX_ERRORS },
    { "statistics/rx_fifo_errors", ZERO }, { "statistics/rx_frame_errors", ZERO }, { "statistics/rx_length_errors", ZERO },
    { "statistics/rx_missed_errors", ZERO }, { "statistics/rx_nohandler", ZERO }, { "statistics/rx_over_errors", ZERO },
    { "statistics/rx_packets", RX_PACKETS }, { "statistics/tx_aborted_errors", ZERO }, { "statistics/tx_bytes", TX_BYTES },
    { "statistics/tx_carrier_errors", ZERO }, { "statistics/tx_compressed", ZERO }, { "statistics/tx_dropped", TX_DROPPED },
    { "statistics/tx_errors", TX_ERRORS }, { "statistics/tx_fifo_errors", ZERO }, { "statistics/tx_heartbeat_errors", ZERO },
    { "statistics/tx_packets", TX_PACKETS }, { "statistics/tx_window_errors", ZERO },
};
/* As Linux has it of a virtual machine's card, whose speed nobody knows. */
static const struct file of_cards[] = { { "speed", SPEED }, { "duplex", DUPLEX } };

#define INTERFACES "devices/virtual/net"

static const char *operstate(const struct netif *nif) { return nif->loopback ? "unknown" : nif->dev->link_up ? "up" : "down"; }

static size_t show_mac(struct text *t, const u8 *m)
{
    text_add(t, "%02x:%02x:%02x:%02x:%02x:%02x\n", m[0], m[1], m[2], m[3], m[4], m[5]);
    return t->len;
}

static u64 number(const struct netif *nif, enum what what)
{
    struct netdev_stats s = netdev_stats(nif->dev);
    switch (what) {
    case ADDR_LEN: return 6;
    case CARRIER: return nif->dev->link_up;
    case INDEX: return nif->dev->index;
    case MTU: return nif->dev->mtu;
    case TXQLEN: return NETIF_TXQLEN;
    case TYPE: return netif_hw_type(nif);
    case RX_BYTES: return s.rx_bytes;
    case RX_PACKETS: return s.rx_packets;
    case RX_ERRORS: return s.rx_errors;
    case RX_DROPPED: return s.rx_dropped;
    case TX_BYTES: return s.tx_bytes;
    case TX_PACKETS: return s.tx_packets;
    case TX_ERRORS: return s.tx_errors;
    case TX_DROPPED: return s.tx_dropped;
    default: return 0;
    }
}

/* An entry's argument: what, of which interface. */
static void *argument(enum what what, unsigned interface) { return (void *)(uintptr_t)((unsigned)what << 8 | interface); }

static size_t show(void *arg, char *buf, size_t size)
{
    static const u8 none[6];
    const struct netif *nif = netifs[(uintptr_t)arg & 255];
    enum what what = (enum what)((uintptr_t)arg >> 8);
    struct text t = { buf, size, 0 };
    switch (what) {
    case ADDRESS:
        return show_mac(&t, nif->loopback ? none : nif->dev->mac);
    case BROADCAST:
        return show_mac(&t, nif->loopback ? none : ether_broadcast);
    case HEX_ZERO:
        text_add(&t, "0x0\n");
        break;
    case FLAGS:
        text_add(&t, "0x%x\n", netif_flags(nif) & ~0x40u); /* but IFF_RUNNING */
        break;
    case OPERSTATE:
        text_add(&t, "%s\n", operstate(nif));
        break;
    case UEVENT:
        text_add(&t, "INTERFACE=%s\nIFINDEX=%u\n", nif->dev->name, nif->dev->index);
        break;
    case SPEED:
        text_add(&t, "-1\n");
        break;
    case DUPLEX:
        text_add(&t, "unknown\n");
        break;
    default:
        text_add(&t, "%llu\n", (unsigned long long)number(nif, what));
    }
    return t.len;
}

static int add_files(const struct sysfs_ops *sys, unsigned i, const struct file *f, unsigned n)
{
    char path[96];
    int err = 0;
    for (; n > 0 && err == 0; n--, f++) {
        fmt_snprintf(path, sizeof path, INTERFACES "/%s/%s", netifs[i]->dev->name, f->name);
        err = sys->add(path, 0444, show, argument((enum what)f->what, i));
    }
    return err;
}

static int add_queues(const struct sysfs_ops *sys, unsigned i)
{
    char path[96];
    int err = 0;
    for (unsigned q = 0; q < MAX(netifs[i]->dev->queues, 1u) && err == 0; q++) {
        fmt_snprintf(path, sizeof path, INTERFACES "/%s/queues/rx-%u/rps_flow_cnt", netifs[i]->dev->name, q);
        err = sys->add(path, 0444, show, argument(ZERO, i));
        fmt_snprintf(path, sizeof path, INTERFACES "/%s/queues/tx-%u/tx_maxrate", netifs[i]->dev->name, q);
        if (err == 0)
            err = sys->add(path, 0444, show, argument(ZERO, i));
    }
    return err;
}

static int fill_interfaces(const struct sysfs_ops *sys)
{
    int err = 0;
    for (unsigned i = 0; i < NETIF_MAX && netifs[i] != NULL && err == 0; i++) {
        err = add_files(sys, i, files, ARRAY_SIZE(files));
        if (err == 0 && !netifs[i]->loopback)
            err = add_files(sys, i, of_cards, ARRAY_SIZE(of_cards));
        if (err == 0)
            err = add_queues(sys, i);
    }
    return err;
}

static int fill_class(const struct sysfs_ops *sys)
{
    static char targets[NETIF_MAX][sizeof "../../" INTERFACES "/" + 16]; /* links are not copied */
    char path[48];
    int err = 0;
    for (unsigned i = 0; i < NETIF_MAX && netifs[i] != NULL && err == 0; i++) {
        fmt_snprintf(path, sizeof path, "class/net/%s", netifs[i]->dev->name);
        fmt_snprintf(targets[i], sizeof targets[i], "../../" INTERFACES "/%s", netifs[i]->dev->name);
        err = sys->add_symlink(path, targets[i]);
    }
    return err;
}

int net_sysfs_add(const struct sysfs_ops *sys)
{
    int err = sys->add_dir(INTERFACES, fill_interfaces);
    return err != 0 ? err : sys->add_dir("class/net", fill_class);
}
