/* SPDX-License-Identifier: Apache-2.0 */
/* The devices that the tender gave us: each entry of the boot block is checked and goes to its driver. */
#include "device.h"

#include "base/str.h"
#include "kern/log.h"

long host_read(int fd, void *buf, size_t len)
{
    long r;
    while ((r = host_call(NR_READ, (long)fd, (long)buf, (long)len)) == -EINTR)
        ;
    return r;
}

long host_write(int fd, const void *buf, size_t len)
{
    long r;
    while ((r = host_call(NR_WRITE, (long)fd, (long)buf, (long)len)) == -EINTR)
        ;
    return r;
}

long host_readv(int fd, const struct host_iovec *iov, unsigned n)
{
    long r;
    while ((r = host_call(NR_READV, (long)fd, (long)iov, (long)n)) == -EINTR)
        ;
    return r;
}

long host_writev(int fd, const struct host_iovec *iov, unsigned n)
{
    long r;
    while ((r = host_call(NR_WRITEV, (long)fd, (long)iov, (long)n)) == -EINTR)
        ;
    return r;
}

void host_source_want(struct host_source *s, short add, short remove)
{
    short more = add != 0 ? (short)(add & ~__atomic_fetch_or(&s->events, add, __ATOMIC_SEQ_CST)) : 0;
    if (more != 0)
        host_sources_changed();
    if ((more & HOST_POLLOUT) != 0) { /* whoever computes meanwhile is interrupted to look */
        u64 flags = plat_events_save();
        host_timer_resume();
        plat_events_restore(flags);
    }
    if (remove != 0)
        (void)__atomic_fetch_and(&s->events, (short)~remove, __ATOMIC_SEQ_CST);
}

static bool is_card(const struct host_device *h) { return h->kind == HOST_TAP || h->kind == HOST_FRAMES; }

/* What is wrong with an entry, or NULL. */
static const char *check(const struct host_device *h, unsigned place)
{
    static const u32 flags[] = { [HOST_BLOCK] = HOST_READ_ONLY, [HOST_PORT] = 0, [HOST_TAP] = HOST_TSO, [HOST_FRAMES] = 0, [HOST_SIEVE] = 0 };
    if (h->kind == 0 || h->kind >= ARRAY_SIZE(flags))
        return "unknown kind";
    if ((h->flags & ~flags[h->kind]) != 0)
        return "unknown flags";
    if (h->fd != HOST_FD_FIRST_DEVICE + place)
        return "descriptor is not the entry's place";
    if (strnlen(h->name, sizeof(h->name)) == sizeof(h->name))
        return "name without end";
    if (is_card(h) && ((h->mac[0] & 1) != 0 || memcmp(h->mac, "\0\0\0\0\0\0", 6) == 0))
        return "hardware address is none of a card";
    if (is_card(h) && (h->mtu < 576 || h->mtu > 65535))
        return "MTU out of range (576 to 65535)";
    return NULL;
}

static int add(const struct host_device *h)
{
    switch (h->kind) {
    case HOST_BLOCK: return host_blk_add(h);
    case HOST_PORT: return host_port_add(h);
    case HOST_SIEVE: return 0; /* mapped by boot.c */
    default: return host_net_add(h);
    }
}

void plat_discover_devices(void)
{
    for (unsigned i = 0; i < MIN(host_boot->ndevices, (u32)HOST_MAX_DEVICES); i++) {
        const struct host_device *h = &host_boot->devices[i];
        const char *wrong = check(h, i);
        int err = wrong == NULL ? add(h) : -EINVAL;
        if (err != 0)
            klog(LOG_ERROR, "device %u of the boot block (kind %u, flags %#x, mtu %u): %s (error %d)", i, h->kind, h->flags,
                 h->mtu, wrong != NULL ? wrong : "cannot be used", -err);
    }
}
