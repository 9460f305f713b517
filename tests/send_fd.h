/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_SEND_FD_H
#define TESTS_SEND_FD_H

#include <string.h>
#include <sys/socket.h>

/* A descriptor and one byte, over a unix socket: sendmsg()'s result. */
static inline long send_fd(int over, int fd, int flags)
{
    union {
        struct cmsghdr head;
        char space[CMSG_SPACE(sizeof(int))];
    } control = {.head = {.cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS}};
    memcpy(CMSG_DATA(&control.head), &fd, sizeof fd);
    struct iovec byte = {"*", 1};
    struct msghdr m = {.msg_iov = &byte, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    return sendmsg(over, &m, flags);
}

#endif
