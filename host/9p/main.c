/* SPDX-License-Identifier: Apache-2.0 */
/*
 * drupe-9p: serves one directory or file to one instance.
 *
 *     drupe-9p rw|ro [vhost]    descriptor 3: the socket; 4: what is served, opened by O_PATH
 *
 * With "vhost" descriptor 5 is a socket of vhost-user, and messages come by virtqueues; the other socket says that both sides live.
 *
 * Before it reads the first byte it gives up everything else: docs/SANDBOX.md. It ends with the socket.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "host/9p/confine.h"
#include "host/9p/server.h"
#include "host/9p/vhost.h"

#define SOCKET_FD 3
#define ROOT_FD 4
#define VHOST_FD 5

static u8 in_buffer[2 * P9_MSIZE], out_buffer[2 * P9_MSIZE];

static void send_all(const u8 *data, size_t len)
{
    while (len > 0) {
        ssize_t n = write(SOCKET_FD, data, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            _exit(0); /* the instance has ended */
        data += n;
        len -= (size_t)n;
    }
}

/* Serve the whole messages in [0, len) of the buffer; returns how many bytes they were. */
static size_t serve(struct server *s, size_t len)
{
    size_t used = 0, ready = 0;
    while (len - used >= P9_HEADER) {
        u32 size = get_u32(in_buffer + used);
        if (size < P9_HEADER || size > P9_MSIZE)
            _exit(EXIT_FAILURE);
        if (size > len - used)
            break;
        if (ready + P9_MSIZE > sizeof(out_buffer)) {
            send_all(out_buffer, ready);
            ready = 0;
        }
        struct p9_out out = {.start = out_buffer + ready};
        server_message(s, in_buffer + used, size, &out);
        ready += out.len;
        used += size;
    }
    send_all(out_buffer, ready);
    return used;
}

int main(int argc, char **argv)
{
    struct server s = {.root = ROOT_FD};
    bool vhost = argc == 3 && strcmp(argv[2], "vhost") == 0;
    if ((argc != 2 && !vhost) || (strcmp(argv[1], "ro") != 0 && strcmp(argv[1], "rw") != 0)) {
        fputs("drupe-9p: started by drupe\n", stderr);
        return EXIT_FAILURE;
    }
    s.read_only = argv[1][1] == 'o';
    s.root = confine(ROOT_FD);
    if (vhost)
        return vhost_serve(&s, VHOST_FD, SOCKET_FD) < 0;
    for (size_t len = 0;;) {
        ssize_t n = read(SOCKET_FD, in_buffer + len, sizeof(in_buffer) - len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        len += (size_t)n;
        size_t used = serve(&s, len);
        len -= used;
        memmove(in_buffer, in_buffer + used, len);
    }
    return 0;
}
