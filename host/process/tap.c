/* SPDX-License-Identifier: Apache-2.0 */
/* TAP interfaces: see tap.h. */
#include "host/process/tap.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "host/lib/util.h"
#include "host/process/sieve.h"

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
        return err_set(err, EXIT_DRUPE, "--net tap:%s: that is no TAP interface with a single queue", name);
    return err_errno(err, EXIT_DRUPE, "--net tap:%s", name);
}

int tap_open(const char *name, bool *ret_tso, u32 *ret_mtu, int *ret_sieve, struct error *err)
{
    struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};
    int header = VNET_HEADER_BYTES, little_endian = 1;
    AUTO_CLOSE int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return err_errno(err, EXIT_DRUPE, "--net tap:%s: /dev/net/tun", name);
    strncpy(request.ifr_name, name, IFNAMSIZ - 1);
    if (ioctl(fd, TUNSETIFF, &request) < 0)
        return attach_error(name, err);
    if (ioctl(fd, TUNSETVNETHDRSZ, &header) < 0 || ioctl(fd, TUNSETVNETLE, &little_endian) < 0)
        return err_errno(err, EXIT_DRUPE, "--net tap:%s: frames with headers", name);
    *ret_tso = ioctl(fd, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN) == 0;
    *ret_mtu = mtu_of(name);
    *ret_sieve = sieve_attach(fd);
    if (*ret_sieve < 0)
        say("net: no sieve against floods on %s (bpf: %s)", name, strerror(errno));
    else
        say("net: a sieve against floods on %s (eBPF)", name);
    return TAKE_FD(fd);
}
