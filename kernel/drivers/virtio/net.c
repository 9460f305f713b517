/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio-net (virtio 1.2, section 5.1): mergeable receive buffers, checksum and segmentation offload both ways, and one
 * pair of queues, or one for each CPU: all that a CPU needs to receive and to transmit (net_pair.c). Only the device's configuration
 * is common. Without VIRTIO_NET_F_CTRL_RX the device passes every frame (5.1.6.5.1), so groups need no filter.
 *
 * The card is untouched until open(); features are chosen at probe from what is
 * offered, so the stack knows them before.
 */
#include "kern/drivers.h"
#include "kern/log.h"
#include "kern/page.h"
#include "kern/random.h"
#include "kern/slab.h"
#include "vnet.h"

#define CONFIG_MAC 0
#define CONFIG_STATUS 6
#define CONFIG_MTU 10
#define STATUS_LINK_UP 1u

/* --- events --------------------------------------------------------------------------- */

static void config_callback(struct virtio_dev *vd)
{
    struct vnet *v = vd->driver;
    atomic_store(&v->config_pending, 1u);
    bh_raise(&v->pairs[0].bh);
}

static void check_link(struct vnet *v)
{
    bool up = !virtio_has(v->vd, VNET_F_STATUS) || (virtio_config16(v->vd, CONFIG_STATUS) & STATUS_LINK_UP) != 0;
    if (up == v->dev.link_up)
        return;
    v->dev.link_up = up;
    if (v->dev.link_changed != NULL)
        v->dev.link_changed(&v->dev);
}

void vnet_check_config(struct vnet *v)
{
    if (atomic_load_relaxed(&v->config_pending) != 0 && atomic_xchg(&v->config_pending, 0u) != 0)
        check_link(v);
}

/* --- open and stop ---------------------------------------------------------------------- */

static void release(struct vnet *v)
{
    virtio_stop(v->vd);
    for (unsigned i = 0; i < v->max_pairs; i++)
        vnet_pair_release(&v->pairs[i]);
    vnet_mq_release(v);
    v->npairs = v->dev.queues = 0;
    virtio_free_queues(v->vd);
}

static u16 ring_size(void)
{
    struct mem_stats m;
    page_stats(&m);
    return m.total_pages < (16 << 20) / PAGE_SIZE ? 64 : m.total_pages < (64 << 20) / PAGE_SIZE ? 128 : 256;
}

static int vnet_open(struct netdev *d)
{
    struct vnet *v = d->driver;
    u16 size = ring_size();
    v->vd->config_changed = config_callback;
    int err = virtio_start(v->vd, v->wanted);
    if (err != 0)
        return err;
    err = vnet_pair_open(&v->pairs[0], size);
    if (err != 0) {
        klog(LOG_ERROR, "%s: cannot start: error %d", d->name, -err);
        release(v);
        return err;
    }
    v->npairs = 1;
    vnet_mq_open(v, size);
    virtio_ready(v->vd);
    for (unsigned i = 0; i < v->npairs; i++)
        vnet_pair_run(&v->pairs[i], true);
    vnet_mq_ready(v);
    check_link(v);
    return 0;
}

static void vnet_stop(struct netdev *d)
{
    struct vnet *v = d->driver;
    bool was = false;
    for (unsigned i = 0; i < v->npairs; i++)
        was |= vnet_pair_run(&v->pairs[i], false);
    if (was)
        release(v);
}

/* --- the stack's side ---------------------------------------------------------------------- */

static struct vnet_pair *pair_of(struct netdev *d, unsigned queue)
{
    struct vnet *v = d->driver;
    return &v->pairs[queue];
}

static int vnet_transmit(struct netdev *d, struct pkt *p) { return vnet_pair_transmit(pair_of(d, p->queue), p); }
static void vnet_kick(struct netdev *d, unsigned queue) { vnet_pair_kick(pair_of(d, queue)); }

static bool vnet_idle(struct netdev *d)
{
    const struct vnet *v = d->driver;
    bool idle = true;
    for (unsigned i = 0; i < v->npairs; i++)
        idle &= vnet_pair_idle(pair_of(d, i));
    return idle;
}

static void vnet_add_stats(const struct netdev *d, struct netdev_stats *sum)
{
    const struct vnet *v = d->driver;
    for (unsigned i = 0; i < v->max_pairs; i++) {
        const struct netdev_stats *s = &v->pairs[i].stats;
        sum->rx_packets += s->rx_packets;
        sum->rx_bytes += s->rx_bytes;
        sum->rx_errors += s->rx_errors;
        sum->tx_packets += s->tx_packets;
        sum->tx_bytes += s->tx_bytes;
        sum->tx_dropped += s->tx_dropped;
    }
}

static const struct netdev_ops vnet_ops = {
    .open = vnet_open,
    .stop = vnet_stop,
    .transmit = vnet_transmit,
    .kick = vnet_kick,
    .idle = vnet_idle,
    .add_stats = vnet_add_stats,
};

static int vnet_probe(struct virtio_dev *vd)
{
    u64 f = vd->offered & (VNET_F_CSUM | VNET_F_GUEST_CSUM | VNET_F_MTU | VNET_F_MAC | VNET_F_GUEST_TSO4 | VNET_F_HOST_TSO4 |
                           VNET_F_HOST_TSO6 | VNET_F_MRG_RXBUF | VNET_F_STATUS | VNET_F_CTRL_VQ | VNET_F_MQ);
    if ((f & VNET_F_CSUM) == 0)
        f &= ~(VNET_F_HOST_TSO4 | VNET_F_HOST_TSO6);
    if ((f & VNET_F_GUEST_CSUM) == 0 || (f & VNET_F_MRG_RXBUF) == 0 || ring_size() < 2 * VNET_RX_TARGET_TSO)
        f &= ~VNET_F_GUEST_TSO4;
    u16 device_pairs = 1;
    unsigned pairs = vnet_mq_pairs(vd, &f, &device_pairs);
    struct vnet *v = kzalloc(sizeof(*v) + pairs * sizeof(v->pairs[0]));
    if (v == NULL)
        return -ENOMEM;
    vd->driver = v;
    v->vd = vd;
    v->wanted = f;
    v->max_pairs = pairs;
    v->device_pairs = device_pairs;
    for (unsigned i = 0; i < pairs; i++)
        vnet_pair_init(&v->pairs[i], v, i);
    struct netdev *d = &v->dev;
    d->ops = &vnet_ops;
    d->driver = v;
    d->link_up = true;
    d->mtu = 1500;
    if ((f & VNET_F_MTU) != 0) {
        u16 mtu = virtio_config16(vd, CONFIG_MTU);
        if (mtu >= 576 && mtu < 1500) /* larger ones are not worth larger buffers */
            d->mtu = mtu;
    }
    if ((f & VNET_F_MAC) != 0) {
        virtio_config_bytes(vd, CONFIG_MAC, d->mac, sizeof(d->mac));
    } else {
        random_bytes(d->mac, sizeof(d->mac));
        d->mac[0] = (u8)((d->mac[0] & 0xfe) | 2); /* locally administered, unicast */
    }
    d->features = ((f & VNET_F_CSUM) != 0 ? NETDEV_TX_CSUM : 0) | ((f & VNET_F_HOST_TSO4) != 0 ? NETDEV_TX_TSO4 : 0) |
                  ((f & VNET_F_HOST_TSO6) != 0 ? NETDEV_TX_TSO6 : 0) | ((f & VNET_F_GUEST_CSUM) != 0 ? NETDEV_RX_CSUM : 0) |
                  ((f & VNET_F_GUEST_TSO4) != 0 ? NETDEV_RX_GRO : 0);
    netdev_register(d);
    return 0;
}

const struct virtio_driver virtio_net_driver = { .name = "virtio-net", .type = VIRTIO_ID_NET, .probe = vnet_probe };
