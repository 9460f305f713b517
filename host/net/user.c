/* SPDX-License-Identifier: Apache-2.0 */
/* User networking: see user.h. */
#include "host/net/user.h"

#include <fcntl.h>

#include "host/lib/child.h"

static void add_rules(struct strv *argv, const char *what, const struct rules *l)
{
    for (size_t i = 0; i < l->count; i++) {
        AUTO_FREE char *word = rule_text(&l->list[i]);
        strv_addf(argv, "%s:%s", what, word);
    }
}

pid_t user_net_start(const char *slirp, int *frames_fd, struct port *ports, size_t nports, const struct policy *policy, bool quiet,
                     struct error *err)
{
    struct strv argv = {0};
    struct child_fd fds[MAX_PORTS + 3] = {{*frames_fd, 3}};
    AUTO_CLOSE int null = quiet ? open("/dev/null", O_WRONLY | O_CLOEXEC) : -1;
    size_t n = nports + 1;
    strv_add(&argv, slirp);
    strv_add(&argv, "3");
    for (size_t i = 0; i < nports; i++) {
        fds[i + 1] = (struct child_fd){ports[i].fd, 4 + (int)i};
        strv_addf(&argv, "%s:%d:%u", ports[i].udp ? "udp" : "tcp", 4 + (int)i, ports[i].guest);
    }
    if (policy->egress.given)
        strv_add(&argv, "egress");
    add_rules(&argv, "egress", &policy->egress);
    add_rules(&argv, "from", &policy->from);
    for (int fd = 1; fd <= 2 && null >= 0; fd++)
        fds[n++] = (struct child_fd){null, fd};
    pid_t pid = child_start(argv.items, fds, n, true, err);
    strv_done(&argv);
    if (pid < 0)
        return err_prefix(err, "user networking");
    close(TAKE_FD(*frames_fd));
    for (size_t i = 0; i < nports; i++)
        close(TAKE_FD(ports[i].fd));
    return pid;
}
