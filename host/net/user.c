/* SPDX-License-Identifier: Apache-2.0 */
/* User networking: see user.h. */
#include "host/net/user.h"

#include "host/lib/child.h"

pid_t user_net_start(const char *slirp, int *frames_fd, struct port *ports, size_t nports, struct error *err)
{
    struct strv argv = {0};
    struct child_fd fds[MAX_PORTS + 1] = {{*frames_fd, 3}};
    strv_add(&argv, slirp);
    strv_add(&argv, "3");
    for (size_t i = 0; i < nports; i++) {
        fds[i + 1] = (struct child_fd){ports[i].fd, 4 + (int)i};
        strv_addf(&argv, "%s:%d:%u", ports[i].udp ? "udp" : "tcp", 4 + (int)i, ports[i].guest);
    }
    pid_t pid = child_start(argv.items, fds, nports + 1, true, err);
    strv_done(&argv);
    if (pid < 0)
        return err_prefix(err, "user networking");
    close(TAKE_FD(*frames_fd));
    for (size_t i = 0; i < nports; i++)
        close(TAKE_FD(ports[i].fd));
    return pid;
}
