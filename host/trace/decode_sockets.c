/* SPDX-License-Identifier: Apache-2.0 */
/* Options and ioctls of sockets and terminals: decode_impl.h. */
#include "host/trace/decode_impl.h"

#include <arpa/inet.h>
#include <asm/ioctls.h>
#include <linux/fs.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <sys/socket.h>

/* Of the instance: a network card is its second one. */
void add_interface(struct buf *out, u32 index)
{
    if (index == 1 || index == 2)
        buf_addf(out, "if_nametoindex(\"%s\")", index == 1 ? "lo" : "eth0");
    else
        buf_addf(out, "%u", index);
}

/* --- options --------------------------------------------------------------------------------- */

struct option_name {
    u16 option;
    const char *name;
};
static const struct option_name ip_options[] = {
    {1, "IP_TOS"}, {2, "IP_TTL"}, {3, "IP_HDRINCL"}, {4, "IP_OPTIONS"}, {5, "IP_ROUTER_ALERT"}, {6, "IP_RECVOPTS"}, {7, "IP_RETOPTS"}, {8, "IP_PKTINFO"},
    {9, "IP_PKTOPTIONS"}, {10, "IP_MTU_DISCOVER"}, {11, "IP_RECVERR"}, {12, "IP_RECVTTL"}, {13, "IP_RECVTOS"}, {14, "IP_MTU"}, {15, "IP_FREEBIND"},
    {16, "IP_IPSEC_POLICY"}, {17, "IP_XFRM_POLICY"}, {18, "IP_PASSSEC"}, {19, "IP_TRANSPARENT"}, {20, "IP_ORIGDSTADDR"}, {21, "IP_MINTTL"}, {22, "IP_NODEFRAG"},
    {23, "IP_CHECKSUM"}, {24, "IP_BIND_ADDRESS_NO_PORT"}, {25, "IP_RECVFRAGSIZE"}, {26, "IP_RECVERR_RFC4884"}, {32, "IP_MULTICAST_IF"}, {33, "IP_MULTICAST_TTL"},
    {34, "IP_MULTICAST_LOOP"}, {35, "IP_ADD_MEMBERSHIP"}, {36, "IP_DROP_MEMBERSHIP"}, {37, "IP_UNBLOCK_SOURCE"}, {38, "IP_BLOCK_SOURCE"},
    {39, "IP_ADD_SOURCE_MEMBERSHIP"}, {40, "IP_DROP_SOURCE_MEMBERSHIP"}, {41, "IP_MSFILTER"}, {42, "MCAST_JOIN_GROUP"}, {43, "MCAST_BLOCK_SOURCE"},
    {44, "MCAST_UNBLOCK_SOURCE"}, {45, "MCAST_LEAVE_GROUP"}, {46, "MCAST_JOIN_SOURCE_GROUP"}, {47, "MCAST_LEAVE_SOURCE_GROUP"}, {48, "MCAST_MSFILTER"},
    {49, "IP_MULTICAST_ALL"}, {50, "IP_UNICAST_IF"}};
static const struct option_name ipv6_options[] = {
    {1, "IPV6_ADDRFORM"}, {2, "IPV6_2292PKTINFO"}, {3, "IPV6_2292HOPOPTS"}, {4, "IPV6_2292DSTOPTS"}, {5, "IPV6_2292RTHDR"}, {6, "IPV6_2292PKTOPTIONS"}, {7, "IPV6_CHECKSUM"}, {8, "IPV6_2292HOPLIMIT"}, {9, "IPV6_NEXTHOP"}, {10, "IPV6_AUTHHDR"},
    {11, "IPV6_FLOWINFO"}, {16, "IPV6_UNICAST_HOPS"}, {17, "IPV6_MULTICAST_IF"}, {18, "IPV6_MULTICAST_HOPS"}, {19, "IPV6_MULTICAST_LOOP"},
    {20, "IPV6_ADD_MEMBERSHIP"}, {21, "IPV6_DROP_MEMBERSHIP"}, {22, "IPV6_ROUTER_ALERT"}, {23, "IPV6_MTU_DISCOVER"}, {24, "IPV6_MTU"}, {25, "IPV6_RECVERR"},
    {26, "IPV6_V6ONLY"}, {27, "IPV6_JOIN_ANYCAST"}, {28, "IPV6_LEAVE_ANYCAST"}, {29, "IPV6_MULTICAST_ALL"}, {30, "IPV6_ROUTER_ALERT_ISOLATE"}, {31, "IPV6_RECVERR_RFC4884"}, {32, "IPV6_FLOWLABEL_MGR"}, {33, "IPV6_FLOWINFO_SEND"},
    {34, "IPV6_IPSEC_POLICY"}, {35, "IPV6_XFRM_POLICY"}, {36, "IPV6_HDRINCL"},
    {42, "MCAST_JOIN_GROUP"}, {43, "MCAST_BLOCK_SOURCE"}, {44, "MCAST_UNBLOCK_SOURCE"}, {45, "MCAST_LEAVE_GROUP"}, {46, "MCAST_JOIN_SOURCE_GROUP"},
    {47, "MCAST_LEAVE_SOURCE_GROUP"}, {48, "MCAST_MSFILTER"}, {49, "IPV6_RECVPKTINFO"}, {50, "IPV6_PKTINFO"}, {51, "IPV6_RECVHOPLIMIT"}, {52, "IPV6_HOPLIMIT"}, {53, "IPV6_RECVHOPOPTS"},
    {54, "IPV6_HOPOPTS"}, {55, "IPV6_RTHDRDSTOPTS"}, {56, "IPV6_RECVRTHDR"}, {57, "IPV6_RTHDR"}, {58, "IPV6_RECVDSTOPTS"}, {59, "IPV6_DSTOPTS"}, {60, "IPV6_RECVPATHMTU"},
    {61, "IPV6_PATHMTU"}, {62, "IPV6_DONTFRAG"}, {63, "IPV6_USE_MIN_MTU"}, {66, "IPV6_RECVTCLASS"}, {67, "IPV6_TCLASS"}, {70, "IPV6_AUTOFLOWLABEL"}, {72, "IPV6_ADDR_PREFERENCES"},
    {73, "IPV6_MINHOPCOUNT"}, {74, "IPV6_ORIGDSTADDR"}, {75, "IPV6_TRANSPARENT"}, {76, "IPV6_UNICAST_IF"}, {77, "IPV6_RECVFRAGSIZE"}, {78, "IPV6_FREEBIND"}};
static const struct option_name tcp_options[] = {
    {1, "TCP_NODELAY"}, {2, "TCP_MAXSEG"}, {3, "TCP_CORK"}, {4, "TCP_KEEPIDLE"}, {5, "TCP_KEEPINTVL"}, {6, "TCP_KEEPCNT"}, {7, "TCP_SYNCNT"}, {8, "TCP_LINGER2"},
    {9, "TCP_DEFER_ACCEPT"}, {10, "TCP_WINDOW_CLAMP"}, {11, "TCP_INFO"}, {12, "TCP_QUICKACK"}, {13, "TCP_CONGESTION"}, {14, "TCP_MD5SIG"},
    {15, "TCP_COOKIE_TRANSACTIONS"}, {16, "TCP_THIN_LINEAR_TIMEOUTS"}, {17, "TCP_THIN_DUPACK"}, {18, "TCP_USER_TIMEOUT"}, {19, "TCP_REPAIR"},
    {20, "TCP_REPAIR_QUEUE"}, {21, "TCP_QUEUE_SEQ"}, {22, "TCP_REPAIR_OPTIONS"}, {23, "TCP_FASTOPEN"}, {24, "TCP_TIMESTAMP"}, {25, "TCP_NOTSENT_LOWAT"},
    {26, "TCP_CC_INFO"}, {27, "TCP_SAVE_SYN"}, {28, "TCP_SAVED_SYN"}, {29, "TCP_REPAIR_WINDOW"}, {30, "TCP_FASTOPEN_CONNECT"}, {31, "TCP_ULP"},
    {32, "TCP_MD5SIG_EXT"}, {33, "TCP_FASTOPEN_KEY"}, {34, "TCP_FASTOPEN_NO_COOKIE"}, {35, "TCP_ZEROCOPY_RECEIVE"}, {36, "TCP_INQ"}, {37, "TCP_TX_DELAY"}};
static const struct option_name udp_options[] = {{1, "UDP_CORK"}, {100, "UDP_ENCAP"}, {101, "UDP_NO_CHECK6_TX"}, {102, "UDP_NO_CHECK6_RX"}, {103, "UDP_SEGMENT"}, {104, "UDP_GRO"}};
static const struct option_name packet_options[] = {
    {1, "PACKET_ADD_MEMBERSHIP"}, {2, "PACKET_DROP_MEMBERSHIP"}, {3, "PACKET_RECV_OUTPUT"}, {5, "PACKET_RX_RING"}, {6, "PACKET_STATISTICS"}, {7, "PACKET_COPY_THRESH"},
    {8, "PACKET_AUXDATA"}, {9, "PACKET_ORIGDEV"}, {10, "PACKET_VERSION"}, {11, "PACKET_HDRLEN"}, {12, "PACKET_RESERVE"}, {13, "PACKET_TX_RING"}, {14, "PACKET_LOSS"},
    {15, "PACKET_VNET_HDR"}, {16, "PACKET_TX_TIMESTAMP"}, {17, "PACKET_TIMESTAMP"}, {18, "PACKET_FANOUT"}, {19, "PACKET_TX_HAS_OFF"}, {20, "PACKET_QDISC_BYPASS"},
    {21, "PACKET_ROLLOVER_STATS"}, {22, "PACKET_FANOUT_DATA"}, {23, "PACKET_IGNORE_OUTGOING"}};
static const struct option_name netlink_options[] = {
    {1, "NETLINK_ADD_MEMBERSHIP"}, {2, "NETLINK_DROP_MEMBERSHIP"}, {3, "NETLINK_PKTINFO"}, {4, "NETLINK_BROADCAST_ERROR"}, {5, "NETLINK_NO_ENOBUFS"},
    {8, "NETLINK_LISTEN_ALL_NSID"}, {9, "NETLINK_LIST_MEMBERSHIPS"}, {10, "NETLINK_CAP_ACK"}, {11, "NETLINK_EXT_ACK"}, {12, "NETLINK_GET_STRICT_CHK"}};

static const struct {
    u32 level;
    const struct option_name *names;
    size_t count;
    const char *unknown;
} levels[] = {
    {IPPROTO_IP, ip_options, ARRAY_SIZE(ip_options), "IP_???"},           {IPPROTO_IPV6, ipv6_options, ARRAY_SIZE(ipv6_options), "IPV6_???"},
    {IPPROTO_TCP, tcp_options, ARRAY_SIZE(tcp_options), "TCP_???"},       {IPPROTO_UDP, udp_options, ARRAY_SIZE(udp_options), "UDP_???"},
    {SOL_PACKET, packet_options, ARRAY_SIZE(packet_options), "PACKET_???"}, {SOL_NETLINK, netlink_options, ARRAY_SIZE(netlink_options), "NETLINK_???"}};

void add_sockopt(struct buf *out, const struct call *c, unsigned i)
{
    u32 level = (u32)c->args[1], option = (u32)c->args[i];
    if (level == SOL_SOCKET) {
        add_enum(out, SET_sockopt, option);
        return;
    }
    for (size_t k = 0; k < ARRAY_SIZE(levels); k++) {
        if (levels[k].level != level)
            continue;
        for (size_t n = 0; n < levels[k].count; n++)
            if (levels[k].names[n].option == option) {
                buf_addf(out, "%s", levels[k].names[n].name);
                return;
            }
        buf_addf(out, "%#x /* %s */", option, levels[k].unknown);
        return;
    }
    buf_addf(out, "%d", (s32)option);
}

static void add_membership(struct buf *out, u32 level, const u8 *d)
{
    char group[INET6_ADDRSTRLEN], own[INET_ADDRSTRLEN];
    inet_ntop(level == IPPROTO_IP ? AF_INET : AF_INET6, d, group, sizeof(group));
    if (level == IPPROTO_IP) {
        inet_ntop(AF_INET, d + 4, own, sizeof(own));
        buf_addf(out, "{imr_multiaddr=inet_addr(\"%s\"), imr_interface=inet_addr(\"%s\")}", group, own);
        return;
    }
    buf_addf(out, "{inet_pton(AF_INET6, \"%s\", &ipv6mr_multiaddr), ipv6mr_interface=", group);
    add_interface(out, half(d, 16));
    buf_add(out, "}", 1);
}

/* struct packet_mreq. */
static void add_packet_member(struct buf *out, const u8 *d)
{
    static const char *const types[] = {"PACKET_MR_MULTICAST", "PACKET_MR_PROMISC", "PACKET_MR_ALLMULTI", "PACKET_MR_UNICAST"};
    u32 type = half(d, 4) & 0xffff, len = half(d, 4) >> 16;
    buf_addf(out, "{mr_ifindex=");
    add_interface(out, half(d, 0));
    if (type < ARRAY_SIZE(types))
        buf_addf(out, ", mr_type=%s", types[type]);
    else
        buf_addf(out, ", mr_type=%#x /* PACKET_MR_??? */", type);
    buf_addf(out, ", mr_alen=%u, mr_address=", len);
    for (u32 i = 0; i < MIN(len, 8u); i++)
        buf_addf(out, i ? ":%02x" : "%02x", d[8 + i]);
    buf_add(out, "}", 1);
}

/* Memberships, and rings. False: another option. */
static bool add_packet_option(struct buf *out, const struct call *c, u32 option, const u8 *d, size_t len)
{
    bool member = option == 1 || option == 2, ring = option == 5 || option == 13;
    if (member && len >= 16)
        add_packet_member(out, d);
    else if (ring && len == 16)
        buf_addf(out, "{tp_block_size=%u, tp_block_nr=%u, tp_frame_size=%u, tp_frame_nr=%u}", half(d, 0), half(d, 4), half(d, 8), half(d, 12));
    else if (member || ring)
        add_pointer(out, c->args[3]);
    return member || ring;
}

bool add_option(struct buf *out, const struct call *c, const u8 *d, size_t len)
{
    u32 level = (u32)c->args[1], option = (u32)c->args[2];
    bool socket = level == SOL_SOCKET, text = is_call(c, "getsockopt") && ((socket && option == SO_BINDTODEVICE) || (level == IPPROTO_TCP && option == TCP_CONGESTION));
    bool group = (level == IPPROTO_IP || level == IPPROTO_IPV6) && (option == MCAST_JOIN_GROUP || option == MCAST_LEAVE_GROUP);
    bool linger = socket && option == SO_LINGER, filter = socket && (option == SO_ATTACH_FILTER || option == SO_ATTACH_REUSEPORT_CBPF);
    if (linger && len >= 8) {
        buf_addf(out, "{l_onoff=%d, l_linger=%d}", (s32)half(d, 0), (s32)half(d, 4));
    } else if (filter && len >= 16) {
        buf_addf(out, "{len=%u, filter=", half(d, 0) & 0xffff);
        add_pointer(out, word(d, 8));
        buf_add(out, "}", 1);
    } else if (group && len >= sizeof(struct group_req)) {
        buf_addf(out, "{gr_interface=");
        add_interface(out, half(d, 0));
        buf_addf(out, ", gr_group=");
        add_sockaddr(out, d + offsetof(struct group_req, gr_group), sizeof(struct sockaddr_storage));
        buf_add(out, "}", 1);
    } else if (linger || filter || group) { /* too short for its structure */
        add_pointer(out, c->args[3]);
    } else if (level == SOL_PACKET && add_packet_option(out, c, option, d, len)) {
        return true;
    } else if (socket && option == SO_PEERCRED && len == 12) {
        buf_addf(out, "{pid=%d, uid=%u, gid=%u}", (s32)half(d, 0), half(d, 4), half(d, 8));
    } else if ((level == IPPROTO_IP && (option == IP_ADD_MEMBERSHIP || option == IP_DROP_MEMBERSHIP) && len >= 8) ||
               (level == IPPROTO_IPV6 && (option == IPV6_ADD_MEMBERSHIP || option == IPV6_DROP_MEMBERSHIP || option == IPV6_JOIN_ANYCAST || option == IPV6_LEAVE_ANYCAST) && len >= 20)) {
        add_membership(out, level, d);
    } else if (len == 4 && !text) {
        buf_addf(out, "[%d]", (s32)half(d, 0));
    } else {
        return false;
    }
    return true;
}

/* --- protocols ------------------------------------------------------------------------------- */

void add_protocol(struct buf *out, u64 family, u64 v)
{
    static const struct { u32 family, number; const char *name; } others[] = {
        {AF_NETLINK, 0, "NETLINK_ROUTE"}, {AF_NETLINK, 2, "NETLINK_USERSOCK"}, {AF_NETLINK, 4, "NETLINK_SOCK_DIAG"}, {AF_NETLINK, 5, "NETLINK_NFLOG"},
        {AF_NETLINK, 6, "NETLINK_XFRM"}, {AF_NETLINK, 7, "NETLINK_SELINUX"}, {AF_NETLINK, 9, "NETLINK_AUDIT"}, {AF_NETLINK, 10, "NETLINK_FIB_LOOKUP"},
        {AF_NETLINK, 11, "NETLINK_CONNECTOR"}, {AF_NETLINK, 12, "NETLINK_NETFILTER"}, {AF_NETLINK, 15, "NETLINK_KOBJECT_UEVENT"},
        {AF_NETLINK, 16, "NETLINK_GENERIC"}, {AF_NETLINK, 21, "NETLINK_CRYPTO"}, {AF_PACKET, 0x0300, "htons(ETH_P_ALL)"},
        {AF_PACKET, 0x0008, "htons(ETH_P_IP)"}, {AF_PACKET, 0x0608, "htons(ETH_P_ARP)"}, {AF_PACKET, 0xdd86, "htons(ETH_P_IPV6)"}};
    for (size_t i = 0; i < ARRAY_SIZE(others); i++)
        if (others[i].family == family && others[i].number == v) {
            buf_addf(out, "%s", others[i].name);
            return;
        }
    if (family == AF_INET || family == AF_INET6)
        add_enum(out, SET_protocol, v);
    else if (family == AF_NETLINK)
        buf_addf(out, "%#x /* NETLINK_??? */", (u32)v);
    else
        buf_addf(out, "%d", (s32)v);
}

/* --- ioctls ----------------------------------------------------------------------------------- */

bool ioctl_writes(u64 cmd)
{
    return cmd >> 8 == 0x89 || cmd == TCGETS || cmd == TIOCGWINSZ || cmd == FIONREAD || cmd == TIOCGPGRP || cmd == TIOCGSID || cmd == TIOCGPTN || cmd == TIOCOUTQ;
}

void add_ioctl_name(struct buf *out, u32 v)
{
    static const char *const ways[] = {"_IOC_NONE", "_IOC_WRITE", "_IOC_READ", "_IOC_READ|_IOC_WRITE"};
    const char *name = enum_name(SET_ioctl, v);
    if (name)
        buf_addf(out, "%s", name);
    else
        buf_addf(out, "_IOC(%s, %#x, %#x, %s%x)", ways[v >> 30], v >> 8 & 0xff, v & 0xff, v >> 16 & 0x3fff ? "0x" : "", v >> 16 & 0x3fff);
}

static void add_hardware(struct buf *out, const u8 *d)
{
    u16 family = (u16)half(d, 0);
    buf_addf(out, ", ifr_hwaddr={sa_family=");
    buf_addf(out, family == 1 ? "ARPHRD_ETHER" : family == 772 ? "ARPHRD_LOOPBACK" : "%#x", family);
    buf_addf(out, ", sa_data=%02x:%02x:%02x:%02x:%02x:%02x}", d[2], d[3], d[4], d[5], d[6], d[7]);
}

/* The union of struct ifreq. */
static void add_ifreq(struct buf *out, u32 cmd, const u8 *d)
{
    s32 n = (s32)half(d, 0);
    if (cmd == SIOCGIFINDEX) {
        buf_addf(out, ", ifr_ifindex=%d", n);
    } else if (cmd == SIOCGIFMTU || cmd == SIOCSIFMTU) {
        buf_addf(out, ", ifr_mtu=%d", n);
    } else if (cmd == SIOCGIFTXQLEN) {
        buf_addf(out, ", ifr_qlen=%d", n);
    } else if (cmd == SIOCGIFMETRIC) {
        buf_addf(out, ", ifr_metric=%d", n);
    } else if (cmd == SIOCGIFHWADDR) {
        add_hardware(out, d);
    } else if (cmd == SIOCGIFFLAGS || cmd == SIOCSIFFLAGS) {
        buf_addf(out, ", ifr_flags=");
        add_flags(out, SET_iff, (u16)n);
    } else if (cmd == SIOCGIFADDR || cmd == SIOCGIFNETMASK || cmd == SIOCGIFBRDADDR || cmd == SIOCGIFDSTADDR || cmd == SIOCSIFADDR || cmd == SIOCSIFNETMASK) {
        static const char *const names[] = {"addr", "dstaddr", "broadaddr", "netmask"};
        buf_addf(out, ", ifr_%s=", names[(cmd - SIOCGIFADDR) / 2]);
        add_sockaddr(out, d, 16);
    } else {
        buf_addf(out, ", ...");
    }
}

static bool sets_interface(u32 cmd) { return cmd == SIOCSIFFLAGS || cmd == SIOCSIFADDR || cmd == SIOCSIFNETMASK || cmd == SIOCSIFMTU; }

static void add_interface_call(struct buf *out, const struct call *c, u32 cmd)
{
    bool failed = !c->has_exited || result_is_error(c->result);
    struct found f = piece_of(c, 2, !failed && !sets_interface(cmd));
    if (f.len < 32) {
        add_pointer(out, c->args[2]);
        return;
    }
    if (cmd == SIOCGIFNAME) {
        buf_addf(out, failed ? "{ifr_ifindex=%d" : "{ifr_ifindex=%d, ifr_name=", (s32)half(f.data, 16));
        if (!failed)
            add_quoted(out, f.data, strnlen((const char *)f.data, 16), false, false);
    } else {
        buf_addf(out, "{ifr_name=");
        add_quoted(out, f.data, strnlen((const char *)f.data, 16), false, false);
        if (!failed || sets_interface(cmd))
            add_ifreq(out, cmd, f.data + 16);
    }
    buf_add(out, "}", 1);
}

static void add_list_bytes(struct buf *out, u32 len)
{
    enum { SIZE = 40 }; /* of struct ifreq */
    buf_addf(out, len % SIZE ? "%u" : "%u /* %u * sizeof(struct ifreq) */", len, len / SIZE);
}

static void add_interfaces(struct buf *out, const struct call *c)
{
    enum { SIZE = 40 };
    struct found before = piece_of(c, 2, false), after = piece_of(c, 2, true), list = find_piece(c->exit, 2, 1);
    if (before.len < 16 || after.len < 16) {
        add_pointer(out, c->args[2]);
        return;
    }
    u64 at = word(after.data, 8);
    buf_addf(out, "{ifc_len=");
    if (at && half(before.data, 0) != half(after.data, 0)) {
        add_list_bytes(out, half(before.data, 0));
        buf_addf(out, " => ");
    }
    add_list_bytes(out, half(after.data, 0));
    buf_addf(out, ", ifc_buf=");
    if (!list.data) {
        add_pointer(out, at);
    } else {
        for (size_t i = 0; i + SIZE <= list.len; i += SIZE) {
            buf_addf(out, i ? ", {ifr_name=" : "[{ifr_name=");
            add_quoted(out, list.data + i, strnlen((const char *)list.data + i, 16), false, false);
            buf_addf(out, ", ifr_addr=");
            add_sockaddr(out, list.data + i + 16, 16);
            buf_add(out, "}", 1);
        }
        buf_addf(out, list.cut ? ", ...]" : list.len < SIZE ? "[]" : "]");
    }
    buf_add(out, "}", 1);
}

static void add_termios(struct buf *out, const u8 *d)
{
    static const struct { const char *name; enum set_id set; } words[] = {{"{c_iflag=", SET_termi}, {", c_oflag=", SET_termo}, {", c_cflag=", SET_termc}, {", c_lflag=", SET_terml}};
    for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
        buf_addf(out, "%s", words[i].name);
        add_flags(out, words[i].set, half(d, 4 * i));
    }
    buf_addf(out, ", ...}");
}

void add_ioctl(struct buf *out, const struct call *c)
{
    u32 cmd = (u32)c->args[1];
    bool writes = ioctl_writes(cmd), sets_mode = cmd >= TCSETS && cmd <= TCSETSF;
    struct found f = piece_of(c, 2, writes);
    u16 w[4];
    if (cmd == SIOCGIFCONF) {
        add_interfaces(out, c);
    } else if (cmd >> 8 == 0x89) {
        add_interface_call(out, c, cmd);
    } else if ((cmd == TIOCGWINSZ || cmd == TIOCSWINSZ) && f.len >= sizeof(w)) {
        memcpy(w, f.data, sizeof(w));
        buf_addf(out, "{ws_row=%u, ws_col=%u, ws_xpixel=%u, ws_ypixel=%u}", w[0], w[1], w[2], w[3]);
    } else if ((sets_mode || cmd == TCGETS) && f.len >= 16) {
        add_termios(out, f.data);
    } else if (f.len >= 4 && ((writes && cmd != TCGETS) || cmd == FIONBIO || cmd == FIOASYNC || cmd == TIOCSPGRP)) {
        buf_addf(out, "[%d]", (s32)half(f.data, 0));
    } else if (cmd == TIOCSCTTY || cmd == TCFLSH || cmd == TCXONC || cmd == TCSBRK || cmd == FICLONE) {
        buf_addf(out, "%d", (s32)c->args[2]);
    } else {
        add_pointer(out, c->args[2]);
    }
}
