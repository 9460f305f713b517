/* SPDX-License-Identifier: Apache-2.0 */
/* ioctl(2) on sockets: bytes pending (tcp(7), udp(7)) and interface questions (netdevice(7)). */
#include "kern/uaccess.h"
#include "sock_impl.h"

#define FIONREAD 0x541B
#define SIOCOUTQ 0x5411
#define SIOCATMARK 0x8905
#define SIOCGIFNAME 0x8910
#define SIOCGIFCONF 0x8912
#define SIOCGIFFLAGS 0x8913
#define SIOCGIFADDR 0x8915
#define SIOCGIFDSTADDR 0x8917
#define SIOCGIFBRDADDR 0x8919
#define SIOCGIFNETMASK 0x891b
#define SIOCGIFMETRIC 0x891d
#define SIOCGIFMTU 0x8921
#define SIOCGIFHWADDR 0x8927
#define SIOCGIFINDEX 0x8933
#define SIOCGIFTXQLEN 0x8942
#define SIOCETHTOOL 0x8946

struct ifreq_ {
    char name[16];
    union {
        struct sockaddr_in_ addr;
        struct { u16 family; u8 mac[14]; } hw;
        s32 number;
        u16 flags;
        u8 pad[24];
    };
};
_Static_assert(sizeof(struct ifreq_) == 40, "struct ifreq of Linux");

static struct sockaddr_in_ in_addr(u32 a) { return (struct sockaddr_in_){ .family = AF_INET, .addr = a }; }

static int if_conf(uaddr_t arg)
{
    s32 len;
    u64 buf;
    u32 n32;
    if (get_user_u32(arg, &n32) != 0 || get_user_u64(arg + 8, &buf) != 0)
        return -EFAULT;
    len = (s32)n32;
    s32 used = 0;
    for (unsigned i = 0; i < NETIF_MAX && netifs[i] != NULL; i++) {
        if (netifs[i]->addr == 0)
            continue;
        struct ifreq_ r;
        memset(&r, 0, sizeof r);
        memcpy(r.name, netifs[i]->dev->name, sizeof r.name);
        r.addr = in_addr(netifs[i]->addr);
        if (buf != 0) {
            if (len - used < (s32)sizeof r)
                break;
            if (copy_to_user(buf + (u32)used, &r, sizeof r) != 0)
                return -EFAULT;
        }
        used += (s32)sizeof r;
    }
    return put_user_u32(arg, (u32)used);
}

static int if_ioctl(u32 cmd, uaddr_t arg)
{
    struct ifreq_ r;
    if (copy_from_user(&r, arg, sizeof r) != 0)
        return -EFAULT;
    r.name[15] = '\0';
    struct netif *nif = cmd == SIOCGIFNAME ? netif_by_index((unsigned)r.number) : netif_by_name(r.name);
    if (nif == NULL)
        return -ENODEV;
    if (cmd == SIOCETHTOOL)
        return -EOPNOTSUPP; /* as a driver without any */
    const struct netdev *d = nif->dev;
    memset(r.pad, 0, sizeof r.pad);
    switch (cmd) {
    case SIOCGIFNAME:
        memcpy(r.name, d->name, sizeof r.name);
        r.number = (s32)d->index;
        break;
    case SIOCGIFFLAGS:
        r.flags = (u16)netif_flags(nif);
        break;
    case SIOCGIFADDR:
    case SIOCGIFDSTADDR:
    case SIOCGIFBRDADDR:
    case SIOCGIFNETMASK:
        if (nif->addr == 0)
            return -EADDRNOTAVAIL;
        r.addr = in_addr(cmd == SIOCGIFNETMASK                        ? nif->mask
                         : cmd == SIOCGIFBRDADDR && !nif->loopback ? nif->bcast
                         : cmd == SIOCGIFBRDADDR                      ? 0
                                                                      : nif->addr);
        break;
    case SIOCGIFMETRIC:
        break;
    case SIOCGIFMTU:
        r.number = (s32)d->mtu;
        break;
    case SIOCGIFHWADDR:
        r.hw.family = netif_hw_type(nif);
        memcpy(r.hw.mac, d->mac, 6);
        break;
    case SIOCGIFINDEX:
        r.number = (s32)d->index;
        break;
    case SIOCGIFTXQLEN:
        r.number = NETIF_TXQLEN;
        break;
    }
    return copy_to_user(arg, &r, sizeof r);
}

int sock_ioctl(struct sock *s, u32 cmd, uaddr_t arg)
{
    switch (cmd) {
    case FIONREAD:
    case SIOCOUTQ: {
        s64 n = s->ops->pending == NULL ? -ENOTTY : s->ops->pending(s, cmd == SIOCOUTQ);
        return n < 0 ? (int)n : put_user_u32(arg, (u32)MIN(n, (s64)INT32_MAX));
    }
    case SIOCATMARK:
        if (s->domain == AF_UNIX && s->type != SOCK_STREAM)
            return -EOPNOTSUPP;
        return s->ops->recv_oob == NULL ? -ENOTTY : put_user_u32(arg, (atomic_load(&s->urg) & URG_AT_MARK) != 0);
    case SIOCGIFCONF:
        return if_conf(arg);
    case SIOCGIFNAME:
    case SIOCGIFFLAGS:
    case SIOCGIFADDR:
    case SIOCGIFDSTADDR:
    case SIOCGIFBRDADDR:
    case SIOCGIFNETMASK:
    case SIOCGIFMETRIC:
    case SIOCGIFMTU:
    case SIOCGIFHWADDR:
    case SIOCGIFINDEX:
    case SIOCGIFTXQLEN:
    case SIOCETHTOOL:
        return if_ioctl(cmd, arg);
    default:
        return -ENOTTY;
    }
}
