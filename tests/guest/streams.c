/* SPDX-License-Identifier: Apache-2.0 */
/* What streams tell and carry beside their bytes, over the loopback interface: TCP_INFO in full (tcp(7)) */
#include "t.h"
#include <arpa/inet.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

static char buf[1 << 20];

#define SA(a) ((struct sockaddr *)&(a))
#define INFO_6_1 232 /* bytes of struct tcp_info in Linux 6.1 */

static void pair(int ret[2])
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t l = sizeof a;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    bind(listener, SA(a), sizeof a);
    listen(listener, 5);
    getsockname(listener, SA(a), &l);
    ret[0] = socket(AF_INET, SOCK_STREAM, 0);
    connect(ret[0], SA(a), sizeof a);
    ret[1] = accept(listener, NULL, NULL);
    close(listener);
}

static void close_pair(int s[2])
{
    close(s[0]);
    close(s[1]);
}

/* --- TCP_INFO ----------------------------------------------------------------------------- */

static struct tcp_info info(int s)
{
    struct tcp_info i;
    socklen_t l = INFO_6_1;
    memset(&i, 0, sizeof i);
    getsockopt(s, IPPROTO_TCP, TCP_INFO, &i, &l);
    return i;
}

static void move(int from, int to, size_t n)
{
    write(from, buf, n);
    recv(to, buf, n, MSG_WAITALL);
    for (struct tcp_info i = info(from); i.tcpi_unacked != 0 || i.tcpi_notsent_bytes != 0; i = info(from))
        usleep(1000);
}

static void show_info(int s)
{
    struct tcp_info i = info(s);
    SHOW(i.tcpi_state);
    SHOW(i.tcpi_bytes_acked);
    SHOW(i.tcpi_bytes_received);
    SHOW(i.tcpi_bytes_sent);
    SHOW(i.tcpi_bytes_retrans);
    SHOW(i.tcpi_notsent_bytes);
    SHOW(i.tcpi_dsack_dups);
    SHOW(i.tcpi_reord_seen);
    SHOW(i.tcpi_rcv_ooopack);
    SHOW(i.tcpi_delivered_ce);
    SHOW(i.tcpi_rwnd_limited);
    SHOW(i.tcpi_sndbuf_limited);
    SHOW_TRUE(i.tcpi_segs_out > i.tcpi_data_segs_out);
    SHOW_TRUE(i.tcpi_segs_in > i.tcpi_data_segs_in);
    SHOW_TRUE(i.tcpi_data_segs_out > 0);
    SHOW_TRUE(i.tcpi_data_segs_in > 0);
    SHOW_TRUE(i.tcpi_delivered == i.tcpi_data_segs_out + 1);
    SHOW_TRUE(i.tcpi_min_rtt > 0 && i.tcpi_min_rtt < 10000000);
    SHOW_TRUE(i.tcpi_snd_wnd > 20000);
    SHOW_TRUE(i.tcpi_delivery_rate > 0);
    SHOW_TRUE(i.tcpi_max_pacing_rate == UINT64_MAX);
}

static void tcp_info(void)
{
    int s[2];
    section("TCP_INFO");
    pair(s);
    struct tcp_info i;
    for (socklen_t n = 0; n <= INFO_6_1; n += INFO_6_1 / 2) {
        socklen_t l = n;
        memset(&i, 0x55, sizeof i);
        SHOW(getsockopt(s[0], IPPROTO_TCP, TCP_INFO, &i, &l));
        SHOW_TRUE(l == n);
        SHOW_TRUE(n == sizeof i || ((char *)&i)[n] == 0x55);
    }
    i = info(s[0]);
    SHOW(i.tcpi_data_segs_out);
    SHOW(i.tcpi_data_segs_in);
    SHOW(i.tcpi_bytes_sent);
    SHOW(i.tcpi_bytes_acked);
    SHOW(info(s[1]).tcpi_bytes_acked);
    SHOW(i.tcpi_segs_out);
    SHOW(i.tcpi_segs_in);
    SHOW(info(s[1]).tcpi_segs_in);
    SHOW(info(s[1]).tcpi_segs_out);
    move(s[0], s[1], 20000);
    move(s[1], s[0], 3000);
    move(s[0], s[1], 1);
    show_info(s[0]);
    show_info(s[1]);
    SHOW(shutdown(s[0], SHUT_WR));
    SHOW(read(s[1], buf, 1));
    SHOW(info(s[1]).tcpi_bytes_received);
    close_pair(s);

    pair(s); /* a peer that does not read */
    while (send(s[0], buf, sizeof buf, MSG_DONTWAIT) > 0)
        ;
    for (i = info(s[0]); i.tcpi_rwnd_limited < 1000 || i.tcpi_snd_wnd > 60000; i = info(s[0]))
        usleep(10000);
    SHOW_TRUE(i.tcpi_notsent_bytes > 0);
    SHOW_TRUE(i.tcpi_busy_time >= i.tcpi_rwnd_limited);
    SHOW_TRUE(i.tcpi_bytes_sent >= i.tcpi_bytes_acked - 1);
    close_pair(s);
}

int main(void)
{
    tcp_info();
    return 0;
}
