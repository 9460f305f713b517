/* SPDX-License-Identifier: Apache-2.0 */
/* Control messages of sockets: decode_impl.h. */
#include "host/trace/decode_impl.h"

#include <time.h>

#include <arpa/inet.h>
#include <linux/errqueue.h>
#include <netinet/in.h>
#include <sys/socket.h>

static void add_times(struct buf *out, const u8 *d, unsigned n, const char *fraction)
{
    for (unsigned i = 0; i < n; i++)
        buf_addf(out, "%s{tv_sec=%lld, tv_%s=%lld}", i ? ", " : "", (long long)word(d, 16 * i), fraction, (long long)word(d, 16 * i + 8));
}

static bool add_timestamp(struct buf *out, const char *fraction, const u8 *d, size_t len)
{
    if (len >= 16)
        add_times(out, d, 1, fraction);
    else
        buf_addf(out, "?""?""?");
    return true;
}

static bool add_timestamps(struct buf *out, const u8 *d, size_t len)
{
    if (len < 48) {
        buf_addf(out, "?""?""?");
        return true;
    }
    buf_add(out, "[", 1);
    add_times(out, d, 3, "nsec");
    buf_add(out, "]", 1);
    return true;
}

static bool add_bytes(struct buf *out, const u8 *d, size_t len)
{
    for (size_t i = 0; i < len; i++)
        buf_addf(out, "%s%#x", i ? ", " : "[", d[i]);
    buf_addf(out, len ? "]" : "[]");
    return true;
}

static bool add_descriptors(struct buf *out, const u8 *d, size_t len)
{
    for (size_t i = 0; i + 4 <= len; i += 4)
        buf_addf(out, "%s%d", i ? ", " : "[", (s32)half(d, i));
    buf_addf(out, len < 4 ? "[]" : "]");
    return true;
}

static bool add_packet_info(struct buf *out, const u8 *d, size_t len)
{
    char own[INET_ADDRSTRLEN], to[INET_ADDRSTRLEN];
    if (len < sizeof(struct in_pktinfo))
        return false;
    inet_ntop(AF_INET, d + 4, own, sizeof(own));
    inet_ntop(AF_INET, d + 8, to, sizeof(to));
    buf_addf(out, "{ipi_ifindex=");
    add_interface(out, half(d, 0));
    buf_addf(out, ", ipi_spec_dst=inet_addr(\"%s\"), ipi_addr=inet_addr(\"%s\")}", own, to);
    return true;
}

static bool add_extended_error(struct buf *out, const u8 *d, size_t len)
{
    struct sock_extended_err e;
    if (len < sizeof(e) + sizeof(struct sockaddr_in))
        return false;
    memcpy(&e, d, sizeof(e));
    buf_addf(out, "{ee_errno=%u, ee_origin=%u, ee_type=%u, ee_code=%u, ee_info=%u, ee_data=%u, offender=", e.ee_errno, e.ee_origin, e.ee_type, e.ee_code, e.ee_info, e.ee_data);
    add_sockaddr(out, d + sizeof(e), sizeof(struct sockaddr_in));
    buf_add(out, "}", 1);
    return true;
}

/* False: nothing is shown of what it has, or it is too short. */
static bool add_socket_data(struct buf *out, u32 type, const u8 *d, size_t len)
{
    switch (type) {
    case SCM_RIGHTS: return add_descriptors(out, d, len);
    case SCM_CREDENTIALS:
        if (len < 12)
            return false;
        buf_addf(out, "{pid=%d, uid=%u, gid=%u}", (s32)half(d, 0), half(d, 4), half(d, 8));
        return true;
    case 3: add_quoted(out, d, len, false, false); return true;
    case 29: case 63: return add_timestamp(out, "usec", d, len);
    case 35: case 64: return add_timestamp(out, "nsec", d, len);
    case 37: case 65: return add_timestamps(out, d, len);
    default: return false;
    }
}

static bool add_ip_data(struct buf *out, u32 type, const u8 *d, size_t len)
{
    switch (type) {
    case IP_TOS: case IP_RECVOPTS: case IP_RETOPTS: return add_bytes(out, d, len);
    case IP_TTL: case 23: /* IP_CHECKSUM */
        if (len < 4)
            return false;
        buf_addf(out, "[%u]", half(d, 0));
        return true;
    case 3: add_quoted(out, d, len, false, false); return true;
    case IP_PKTINFO: return add_packet_info(out, d, len);
    case IP_RECVERR: return add_extended_error(out, d, len);
    case IP_ORIGDSTADDR:
        if (len < sizeof(struct sockaddr_in))
            return false;
        add_sockaddr(out, d, len);
        return true;
    default: return false;
    }
}

static const struct {
    u32 type;
    const char *name;
} socket_types[] = {{SCM_RIGHTS, "SCM_RIGHTS"}, {SCM_CREDENTIALS, "SCM_CREDENTIALS"}, {3, "SCM_SECURITY"}, {29, "SO_TIMESTAMP_OLD"}, {35, "SO_TIMESTAMPNS_OLD"},
                    {37, "SO_TIMESTAMPING_OLD"}, {61, "SO_TXTIME"}, {63, "SO_TIMESTAMP_NEW"}, {64, "SO_TIMESTAMPNS_NEW"}, {65, "SO_TIMESTAMPING_NEW"}},
  ip_types[] = {{IP_TOS, "IP_TOS"}, {IP_TTL, "IP_TTL"}, {3, "SCM_SECURITY"}, {IP_RECVOPTS, "IP_RECVOPTS"}, {IP_RETOPTS, "IP_RETOPTS"}, {IP_PKTINFO, "IP_PKTINFO"},
                {IP_RECVERR, "IP_RECVERR"}, {IP_ORIGDSTADDR, "IP_ORIGDSTADDR"}, {23, "IP_CHECKSUM"}};

static void add_type(struct buf *out, u32 level, u32 type)
{
    bool socket = level == SOL_SOCKET;
    size_t n = socket ? ARRAY_SIZE(socket_types) : level == IPPROTO_IP ? ARRAY_SIZE(ip_types) : 0;
    for (size_t i = 0; i < n; i++)
        if ((socket ? socket_types[i].type : ip_types[i].type) == type) {
            buf_addf(out, "%s", socket ? socket_types[i].name : ip_types[i].name);
            return;
        }
    buf_addf(out, n ? "%#x /* %s_??" "? */" : "%#x", type, socket ? "SCM" : "IP");
}

static void add_one(struct buf *out, const struct cmsghdr *h, const u8 *d, size_t len)
{
    u32 level = (u32)h->cmsg_level, type = (u32)h->cmsg_type;
    buf_addf(out, "{cmsg_len=%zu, cmsg_level=", (size_t)h->cmsg_len);
    add_enum(out, SET_sol, level);
    buf_addf(out, ", cmsg_type=");
    add_type(out, level, type);
    size_t before = out->len;
    buf_addf(out, ", cmsg_data=");
    if (!(level == SOL_SOCKET ? add_socket_data(out, type, d, len) : level == IPPROTO_IP && add_ip_data(out, type, d, len)))
        out->len = before;
    buf_add(out, "}", 1);
}

void add_control(struct buf *out, const u8 *d, size_t len, bool cut)
{
    const char *between = "[";
    struct cmsghdr h;
    for (size_t at = 0; len - at >= sizeof(h); at += MIN(CMSG_ALIGN(MIN(h.cmsg_len, len - at)), len - at)) {
        memcpy(&h, d + at, sizeof(h));
        if (h.cmsg_len < sizeof(h))
            break;
        buf_addf(out, "%s", between);
        add_one(out, &h, d + at + sizeof(h), MIN(h.cmsg_len, len - at) - sizeof(h));
        between = ", ";
    }
    buf_addf(out, cut ? "%s...]" : *between == '[' ? "[]" : "]", between);
}
