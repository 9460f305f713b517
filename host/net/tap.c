/* SPDX-License-Identifier: Apache-2.0 */
/* TAP interfaces: see tap.h. */
#include "host/net/tap.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "host/lib/util.h"
#include "host/net/sieve.h"

#define VNET_HEADER_BYTES 12
#define DEFAULT_MTU 1500

static u32 mtu_of(const char *name)
{
    struct ifreq request = {0};
    AUTO_CLOSE int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    strncpy(request.ifr_name, name, IFNAMSIZ - 1);
    return fd >= 0 && ioctl(fd, SIOCGIFMTU, &request) == 0 ? (u32)request.ifr_mtu : DEFAULT_MTU;
}

static int attach_error(const char *name, struct error *err)
{
    if (errno == EPERM)
        return err_set(err, EXIT_DRUPE, "--net tap:%s: this needs root, or an interface that is yours (as root: ip tuntap add %s "
                       "mode tap user YOU); or use --net user", name, name);
    if (errno == EBUSY)
        return err_set(err, EXIT_DRUPE, "--net tap:%s: another process uses the interface", name);
    if (errno == EINVAL)
        return err_set(err, EXIT_DRUPE, "--net tap:%s: that is no TAP interface", name);
    return err_errno(err, EXIT_DRUPE, "--net tap:%s", name);
}

/* A queue of the interface, or -1. */
static int open_queue(const char *name, short flags, struct error *err)
{
    struct ifreq request = {.ifr_flags = (short)(IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | flags)};
    int header = VNET_HEADER_BYTES, little_endian = 1;
    AUTO_CLOSE int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return err_errno(err, EXIT_DRUPE, "--net tap:%s: /dev/net/tun", name);
    strncpy(request.ifr_name, name, IFNAMSIZ - 1);
    if (ioctl(fd, TUNSETIFF, &request) < 0)
        return attach_error(name, err);
    if (ioctl(fd, TUNSETVNETHDRSZ, &header) < 0 || ioctl(fd, TUNSETVNETLE, &little_endian) < 0)
        return err_errno(err, EXIT_DRUPE, "--net tap:%s: frames with headers", name);
    return TAKE_FD(fd);
}

/* An interface that was made with several queues has to be asked for as such, even for one. */
static bool is_multi_queue(const char *name)
{
    struct ifreq request = {0};
    AUTO_CLOSE int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
    request.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | IFF_MULTI_QUEUE;
    strncpy(request.ifr_name, name, IFNAMSIZ - 1);
    return fd >= 0 && ioctl(fd, TUNSETIFF, &request) == 0;
}

int tap_open(const char *name, unsigned queues, struct tap *ret, struct error *err)
{
    bool several = is_multi_queue(name);
    struct tap t = {.sieve = -1};
    while (t.queues < (several ? queues : 1)) {
        int fd = open_queue(name, several ? IFF_MULTI_QUEUE : 0, err);
        if (fd < 0) {
            tap_close(&t);
            return -1;
        }
        t.fds[t.queues++] = fd;
    }
    t.tso = ioctl(t.fds[0], TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN) == 0;
    t.mtu = mtu_of(name);
    t.sieve = sieve_attach(t.fds[0]);
    if (t.sieve < 0)
        say("net: no sieve against floods on %s (bpf: %s)", name, strerror(errno));
    else
        say("net: a sieve against floods on %s (eBPF)", name);
    *ret = t;
    return 0;
}

void tap_close(struct tap *t)
{
    for (; t->queues > 0; t->queues--)
        close(t->fds[t->queues - 1]);
    auto_close_fn(&t->sieve);
    t->sieve = -1;
}

/* proc(5): /proc/net/dev; the fourth number of what is sent. */
u32 tap_dropped(const char *name)
{
    char line[512];
    unsigned long long dropped = 0;
    size_t n = strlen(name);
    FILE *f = fopen("/proc/net/dev", "re");
    while (f && fgets(line, sizeof(line), f)) {
        const char *at = line + strspn(line, " ");
        if (strncmp(at, name, n) == 0 && at[n] == ':' &&
            sscanf(at + n + 1, "%*u %*u %*u %*u %*u %*u %*u %*u %*u %*u %*u %llu", &dropped) == 1)
            break;
    }
    if (f)
        fclose(f);
    return (u32)dropped;
}
