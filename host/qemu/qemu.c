/* SPDX-License-Identifier: Apache-2.0 */
/* An instance in QEMU: see qemu.h. */
#include "host/qemu/qemu.h"

#include <errno.h>
#include <string.h>
#include <sys/wait.h>

#include "host/lib/child.h"
#include "host/lib/fs.h"
#include "host/qemu/argv.h"
#include "host/qemu/confine.h"

static void say_argv(const struct strv *argv)
{
    struct buf line = {0};
    for (size_t i = 0; i < argv->count; i++)
        buf_addf(&line, " %s", argv->items[i]);
    say("machine:%s", line.data);
    buf_done(&line);
}

static pid_t qemu_start(const struct instance *i, const struct instance_ends *e, struct error *err)
{
    const struct qemu_options *qemu = i->options;
    AUTO_CLOSE int config = memory_file("drupe-config", i->config, strlen(i->config));
    if (config < 0)
        return err_errno(err, EXIT_DRUPE, "memfd");
    const struct child_fd all[] = {{i->image_fd, QFD_IMAGE}, {config, QFD_CONFIG}, {e->console, QFD_CONSOLE},
                                   {e->control, QFD_CONTROL}, {e->ports[0], QFD_STDIN}, {e->ports[1], QFD_STDOUT},
                                   {e->ports[2], QFD_STDERR}, {e->frames, QFD_FRAMES}, {e->messages, 1}, {e->messages, 2}};
    struct child_fd fds[ARRAY_SIZE(all) + P9_MAX_VOLUMES + QEMU_VHOSTS + TAP_QUEUES_MAX];
    size_t n = 0;
    for (size_t k = 0; k < i->nvolumes; k++) {
        fds[n++] = (struct child_fd){e->volumes[k], QFD_VOLUMES + (int)k};
        if (k < QEMU_VHOSTS)
            fds[n++] = (struct child_fd){e->vhosts[k], QFD_VHOSTS + (int)k};
    }
    for (unsigned k = 0; k < e->tap.queues; k++)
        fds[n++] = (struct child_fd){e->tap.fds[k], QFD_TAP + (int)k};
    for (size_t k = 0; k < ARRAY_SIZE(all); k++)
        if (all[k].from >= 0)
            fds[n++] = all[k];
    struct strv argv = {0};
    qemu_argv(i, e->tap.queues, &argv);
    if (verbose)
        say_argv(&argv);
    pid_t pid = child_start_confined(argv.items, fds, n, true, qemu->lean ? qemu_confine : NULL, err);
    bool missing = pid < 0 && errno == ENOENT;
    strv_done(&argv);
    if (missing)
        return err_set(err, EXIT_DRUPE, QEMU " is not installed; install it (Debian: apt install qemu-system-x86)");
    return pid;
}

static void qemu_explain(int status, struct buf *ret)
{
    if (WIFSIGNALED(status))
        buf_addf(ret, "QEMU: signal %d, %s", WTERMSIG(status), strsignal(WTERMSIG(status)));
    else
        buf_addf(ret, "QEMU's exit status: %d", WEXITSTATUS(status));
}

const struct backend qemu_backend = {.name = "machine", .has_messages = true, .vhosts = QEMU_VHOSTS, .multi_queue = true, .start = qemu_start, .explain = qemu_explain};
