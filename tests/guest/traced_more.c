// SPDX-License-Identifier: Apache-2.0
/* Not a guest test: more of traced_calls.c. Structures behind calls: filters, asynchronous requests, control messages, options of sockets. */
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define NOWHERE ((void *)0x1000)

/* Always six arguments: nothing is left over from calls before. */
#define C(name, ...) syscall(SYS_##name, ##__VA_ARGS__, 0l, 0l, 0l, 0l, 0l, 0l)

static char buf[512];

static void filters(void)
{
    struct sock_filter allow[] = {{0x20, 0, 0, 4}, {0x15, 1, 0, 0xc000003e}, {6, 0, 0, 0x80000000}, {0x45, 0, 2, 7}, {0x54, 0, 0, 0xff}, {5, 0, 0, 1},
                                  {0x80, 0, 0, 0}, {0x16, 0, 0, 0}, {6, 0, 0, 0x50001}, {6, 0, 0, 0x7fff0000}, {0x61, 0, 0, 3}, {2, 0, 0, 3}, {7, 0, 0, 0},
                                  {0x87, 0, 0, 0}, {0xb1, 0, 0, 14}, {0x84, 0, 0, 0}, {0x0c, 0, 0, 0}, {0xf4, 0, 0, 9}, {0x28, 0, 0, 0xfffff000}, {0xffff, 1, 2, 3}};
    struct sock_fprog program = {20, allow}, short_one = {3, allow}, empty = {0, allow}, away = {4, NOWHERE};
    C(seccomp, 1, 0x1f, &program);
    C(seccomp, 1, 0x100, &short_one);
    C(seccomp, 1, 0x100, &empty);
    C(seccomp, 1, 0x100, &away);
    C(seccomp, 1, 0x100, NOWHERE);
    C(seccomp, 1, 0x100, NULL);
    C(seccomp, 2, 0, (unsigned[]){0x7ffc0000});
    C(seccomp, 2, 1, (unsigned[]){0x1234});
    C(seccomp, 3, 1, NULL);
    C(prctl, 22, 2, &empty);
    C(prctl, 22, 2, &away);
    C(prctl, 22, 5, NULL);
    C(setsockopt, 99, SOL_SOCKET, SO_ATTACH_FILTER, &short_one, sizeof(short_one));
    C(setsockopt, 99, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &program, sizeof(program));
    C(setsockopt, 99, SOL_SOCKET, SO_ATTACH_FILTER, &away, sizeof(program));
}

static void requests(void)
{
    aio_context_t ctx = 0, none = 0;
    int fd = (int)C(memfd_create, "aio", 0);
    struct iovec v[2] = {{buf, 3}, {buf + 8, 2}};
    struct iocb a = {.aio_data = 0x11, .aio_lio_opcode = IOCB_CMD_PWRITE, .aio_reqprio = 1, .aio_fildes = (unsigned)fd, .aio_buf = (uintptr_t)"written by aio", .aio_nbytes = 14, .aio_offset = 5};
    struct iocb b = {.aio_data = 0x22, .aio_lio_opcode = IOCB_CMD_PREAD, .aio_fildes = (unsigned)fd, .aio_buf = (uintptr_t)buf, .aio_nbytes = 14, .aio_offset = 5};
    struct iocb c = {.aio_lio_opcode = IOCB_CMD_PWRITEV, .aio_fildes = (unsigned)fd, .aio_buf = (uintptr_t)v, .aio_nbytes = 2};
    struct iocb d = {.aio_lio_opcode = IOCB_CMD_FSYNC, .aio_fildes = (unsigned)fd}, e = {.aio_lio_opcode = 77, .aio_fildes = 99, .aio_flags = 1, .aio_resfd = 98};
    struct iocb f = {.aio_lio_opcode = IOCB_CMD_POLL, .aio_fildes = 99, .aio_buf = 5}, g = {.aio_lio_opcode = IOCB_CMD_PREADV, .aio_fildes = (unsigned)fd, .aio_buf = (uintptr_t)v, .aio_nbytes = 2};
    struct iocb *list[] = {&a, &b}, *more[] = {&c, &g}, *bad[] = {&d}, *bad2[] = {&e}, *bad3[] = {&f}, *null[] = {NULL, NOWHERE};
    struct io_event events[4];
    C(io_setup, 8, NULL);
    C(io_setup, 0, &none);
    C(io_setup, 8, &ctx);
    C(io_submit, ctx, 2, list);
    C(io_getevents, ctx, 2, 4, events, NULL);
    C(io_submit, ctx, 2, more);
    C(io_getevents, ctx, 1, 1, events, (struct timespec[]){{1, 5}});
    C(io_pgetevents, ctx, 1, 1, events, (struct timespec[]){{1, 5}}, (struct { void *set; long size; }[]){{(unsigned long[]){1ul << (SIGTERM - 1)}, 8}});
    C(io_pgetevents, ctx, 0, 1, events, (struct timespec[]){{0, 0}}, NULL);
    C(io_getevents, ctx, 0, 1, events, (struct timespec[]){{0, 0}});
    C(io_getevents, ctx, 3, 1, NULL, NULL);
    C(io_getevents, 0x77000000, 0, 1, events, NOWHERE);
    C(io_submit, ctx, 1, bad2);
    C(io_submit, ctx, 1, bad3);
    C(io_submit, 0x77000000, 1, bad);
    C(io_submit, ctx, 1, null);
    C(io_submit, ctx, 1, null + 1);
    C(io_submit, ctx, 0, NULL);
    C(io_submit, ctx, -1l, list);
    C(io_submit, ctx, 1, NOWHERE);
    for (unsigned op = 0; op < 10; op++)
        for (unsigned kind = 0; kind < 5; kind++) {
            struct iocb q = {.aio_lio_opcode = (unsigned short)op, .aio_fildes = 3, .aio_buf = 0x1000, .aio_nbytes = 4, .aio_offset = -7};
            if (kind == 1 || kind == 2)
                q.aio_flags = kind == 1 ? 1 : 6, q.aio_resfd = 98;
            if (kind == 3)
                q.aio_key = 5, q.aio_rw_flags = 0x103, q.aio_reqprio = -3;
            if (kind == 4)
                q.aio_nbytes = 0;
            C(io_submit, 0x77000000, 1, (struct iocb *[]){&q});
        }
    C(io_submit, 0x77000000, 0, list);
    C(io_cancel, 0x77000000, &a, events);
    C(io_cancel, ctx, NULL, events);
    C(io_destroy, 0x77000000);
    C(io_destroy, ctx);
    C(close, fd);
    C(remap_file_pages, 0x10000, 4096, 0, 3, MAP_NONBLOCK);
    C(remap_file_pages, NULL, 0, PROT_READ | PROT_WRITE, 1, 0);
    int tids[2] = {7, 8};
    C(clone3, (unsigned long[11]){0x200000000, 0, 0, 0, 400, 0, 0, 0, (unsigned long)tids, 2, 9}, 88);
    C(clone3, (unsigned long[11]){CLONE_THREAD, 0, 0, 0, SIGCHLD, 0, 0, 0, 0x1000, 2, 9}, 88);
    C(clone3, (unsigned long[11]){CLONE_THREAD, 0, 0, 0, SIGCHLD, 0, 0, 0, (unsigned long)tids, 0, 0}, 88);
    C(clone3, (unsigned long[11]){CLONE_THREAD, 0, 0, 0, SIGCHLD, 0, 0, 0, (unsigned long)tids, 1, 0}, 80);
}

static char space[512];

/* A message with one control message of that kind. */
static void control(int fd, int level, int type, const void *data, size_t len)
{
    struct cmsghdr *c = (void *)space;
    struct iovec v = {"x", 1};
    memset(space, 0, sizeof(space));
    *c = (struct cmsghdr){.cmsg_len = CMSG_LEN(len), .cmsg_level = level, .cmsg_type = type};
    memcpy(CMSG_DATA(c), data, len);
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = space, .msg_controllen = CMSG_SPACE(len)};
    C(sendmsg, fd, &m, 0);
}

static void controls(void)
{
    int fd = 99;
    unsigned char err[48] = {11, 0, 0, 0, 2, 3, 4, 0, 5, 0, 0, 0, 6, 0, 0, 0, 2, 0, 0, 53, 127, 0, 0, 1};
    for (int type = 1; type < 4; type++)
        control(fd, SOL_SOCKET, type, (int[]){1, 2, 3}, type == 2 ? 12 : 8);
    control(fd, SOL_SOCKET, 29, (long[]){5, 6}, 16);
    control(fd, SOL_SOCKET, 29, (long[]){5, 6}, 12);
    control(fd, SOL_SOCKET, 35, (long[]){5, 6}, 16);
    control(fd, SOL_SOCKET, 37, (long[]){5, 6, 0, 0, 7, 8}, 48);
    control(fd, SOL_SOCKET, 63, (long[]){5, 6}, 16);
    control(fd, SOL_SOCKET, 64, (long[]){5, 6}, 16);
    control(fd, SOL_SOCKET, 65, (long[]){5, 6, 0, 0, 7, 8}, 48);
    control(fd, SOL_SOCKET, 61, (long[]){5}, 8);
    control(fd, SOL_SOCKET, 77, (long[]){5}, 8);
    for (int type = 1; type < 27; type++)
        control(fd, IPPROTO_IP, type, (int[]){1, 0x0100007f, 0x0200007f}, type == 8 ? 12 : 4);
    control(fd, IPPROTO_IP, 8, (int[]){1, 0x0100007f, 0x0200007f}, 8);
    control(fd, IPPROTO_IP, 1, "\x10", 1);
    control(fd, IPPROTO_IP, 2, "\x10", 1);
    control(fd, IPPROTO_IP, 11, err, 32);
    control(fd, IPPROTO_IP, 11, err, 16);
    control(fd, IPPROTO_IP, 20, "\2\0\0\65\177\0\0\1\0\0\0\0\0\0\0\0", 16);
    for (int type = 1; type < 78; type++)
        control(fd, IPPROTO_IPV6, type, (int[]){1, 2, 3, 4, 1}, type == 50 ? 20 : 4);
    control(fd, IPPROTO_IPV6, 25, err, 44);
    control(fd, IPPROTO_UDP, UDP_SEGMENT, (short[]){1200}, 2);
    control(fd, IPPROTO_UDP, UDP_GRO, (int[]){1200}, 4);
    control(fd, SOL_NETLINK, 3, (int[]){1200}, 4);
    control(fd, SOL_PACKET, 8, (int[]){1200, 2, 3, 4, 5}, 20);
}

static void options(void)
{
    struct packet_mreq member = {1, PACKET_MR_MULTICAST, 6, {1, 2, 3, 4, 5, 6}};
    struct tpacket_req ring = {4096, 2, 2048, 4};
    struct tpacket_req3 ring3 = {4096, 2, 2048, 4, 5, 6, 7};
    for (int option = 1; option < 26; option++)
        C(setsockopt, 99, SOL_PACKET, option, (int[]){1, 2, 3, 4, 5}, 4);
    for (int option = 1; option < 26; option++)
        C(getsockopt, 99, SOL_PACKET, option, (int[]){1, 2, 3, 4, 5}, (int[]){4});
    C(setsockopt, 99, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &member, sizeof(member));
    C(setsockopt, 99, SOL_PACKET, PACKET_DROP_MEMBERSHIP, &member, sizeof(member));
    C(setsockopt, 99, SOL_PACKET, PACKET_RX_RING, &ring, sizeof(ring));
    C(setsockopt, 99, SOL_PACKET, PACKET_TX_RING, &ring, sizeof(ring));
    C(setsockopt, 99, SOL_PACKET, PACKET_RX_RING, &ring3, sizeof(ring3));
    C(setsockopt, 99, SOL_PACKET, PACKET_RX_RING, NOWHERE, sizeof(ring));
    C(setsockopt, 99, SOL_PACKET, PACKET_FANOUT, (int[]){0x10007}, 4);
    for (int option = 1; option < 80; option++)
        if (option != 74) /* SO_TXREHASH */
            C(setsockopt, 99, SOL_SOCKET, option, (int[]){1, 0, 3, 4, 5}, 4);
    for (int option = 1; option < 52; option++)
        C(setsockopt, 99, IPPROTO_IP, option, (int[]){0x0100007f, 0x0100007f, 1, 0, 0}, 12);
    for (int option = 1; option < 80; option++)
        if (option != 64 && option != 65) /* of netfilter */
            C(setsockopt, 99, IPPROTO_IPV6, option, (int[]){1, 2, 3, 4, 1}, 20);
    for (int option = 1; option < 40; option++)
        C(setsockopt, 99, IPPROTO_TCP, option, (int[]){1, 2, 3, 4, 1}, 4);
    for (int option = 42; option < 49; option++) { /* groups and their sources */
        struct group_source_req group = {1, {AF_INET, "\0\0\357\1\2\3"}, {AF_INET, "\0\0\12\0\0\1"}};
        C(setsockopt, 99, IPPROTO_IP, option, &group, sizeof(struct group_req));
        C(setsockopt, 99, IPPROTO_IP, option, &group, sizeof(group));
        C(setsockopt, 99, IPPROTO_IP, option, &group, sizeof(struct group_req) - 1);
        C(setsockopt, 99, IPPROTO_IP, option, NULL, sizeof(group));
        C(setsockopt, 99, IPPROTO_IP, option, NOWHERE, sizeof(group));
        group.gsr_group = (struct sockaddr_storage){AF_INET6, "\0\65\0\0\0\5\377\2\0\0\0\0\0\0\0\0\0\0\0\0\0\1\2"};
        C(setsockopt, 99, IPPROTO_IPV6, option, &group, sizeof(struct group_req));
        group.gsr_group.ss_family = 0;
        C(setsockopt, 99, IPPROTO_IPV6, option, &group, sizeof(struct group_req));
    }
    C(setsockopt, 99, SOL_SOCKET, SO_LINGER, (int[40]){1, 2}, 160);
    C(setsockopt, 99, SOL_SOCKET, SO_RCVTIMEO, (long[]){5, 6}, 16);
    C(setsockopt, 99, SOL_SOCKET, SO_RCVTIMEO, (long[]){5, 6}, 12);
}

static void prctls(void)
{
    for (int op = 1; op < 70; op++)
        if (op != 1 && op != 22 && op != 5 && op != 14 && op != 26 && op != 28 && op != 24 && op != 38 && op != 15 && op != 59 && /* they would change us */
            op != 50 && op != 51 && !(op >= 54 && op <= 56) && !(op >= 60 && op <= 64))                                          /* not of this architecture */
            C(prctl, op, 0x77000000, 5, 6, 7);
    C(prctl, 0x53564d41, 1, 2, 3, 4);
    C(prctl, 0x53564d41, 0, 0x1000, 4096, NULL);
    C(prctl, 0x59616d61, 5);
    C(prctl, 0x12345678, 5);
}

static void rings(void)
{
    unsigned params[30] = {0};
    for (unsigned flag = 0; flag < 12; flag++) {
        params[2] = 1u << flag | 0x80000000;
        C(io_uring_setup, 4, params);
    }
    for (unsigned op = 0; op < 17; op++)
        if (op != 6 && op != 8 && op != 11)
            C(io_uring_register, 99, op, (int[16]){1, 2, 3, 4, 5, 6, 7, 8}, 1);
    for (unsigned op = 0; op < 17; op++)
        C(io_uring_register, 99, op, NULL, 0);
    for (unsigned flag = 0; flag < 8; flag++)
        C(io_uring_enter, 99, 1, 2, 1u << flag, NULL, 8);
}

int main(void)
{
    close_range(3, 1000, 0);
    access("/begin", F_OK);
    filters();
    requests();
    controls();
    options();
    prctls();
    rings();
    C(exit_group, 7);
}
