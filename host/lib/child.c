/* SPDX-License-Identifier: Apache-2.0 */
/* Child processes: see child.h. */
#include "host/lib/child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "host/lib/fs.h"

#define SCRATCH_FD 200 /* above every number that callers ask for */

/* In the child. Descriptors are first moved out of the way, then to their places. */
NORETURN static void run_child(const char *path, char *const *argv, const struct child_fd *fds, size_t nfds,
                               bool own_group, int (*confine)(void), pid_t parent, int report)
{
    bool have[3] = {false};
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(EXIT_DRUPE);
    if (own_group)
        setpgid(0, 0);
    int high = SCRATCH_FD;
    report = fcntl(report, F_DUPFD_CLOEXEC, high);
    int moved[128];
    for (size_t i = 0; i < nfds && i < ARRAY_SIZE(moved); i++)
        moved[i] = fcntl(fds[i].from, F_DUPFD_CLOEXEC, high);
    int top = 2;
    for (size_t i = 0; i < nfds && i < ARRAY_SIZE(moved); i++) {
        if (dup2(moved[i], fds[i].to) < 0)
            goto fail;
        if (fds[i].to < 3)
            have[fds[i].to] = true;
        top = MAX(top, fds[i].to);
    }
    if (!have[0]) {
        int null = open("/dev/null", O_RDWR | O_CLOEXEC);
        if (null < 0 || dup2(null, 0) < 0)
            goto fail;
    }
    for (int fd = 3; fd <= top; fd++) {
        bool wanted = false;
        for (size_t i = 0; i < nfds; i++)
            wanted |= fds[i].to == fd;
        if (!wanted)
            close(fd);
    }
    if (syscall(SYS_close_range, top + 1, ~0u, 4 /* CLOSE_RANGE_CLOEXEC */) < 0) {
        for (int fd = top + 1; fd < 1024; fd++)
            fcntl(fd, F_SETFD, FD_CLOEXEC);
    }
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
    signal(SIGXFSZ, SIG_DFL);
    if (confine == NULL || confine() == 0)
        execv(path, argv);
fail:;
    int saved = errno;
    ssize_t n = write(report, &saved, sizeof(saved));
    (void)n;
    _exit(EXIT_DRUPE);
}

pid_t child_start(char *const *argv, const struct child_fd *fds, size_t nfds, bool own_group, struct error *err)
{
    return child_start_confined(argv, fds, nfds, own_group, NULL, err);
}

pid_t child_start_confined(char *const *argv, const struct child_fd *fds, size_t nfds, bool own_group, int (*confine)(void),
                           struct error *err)
{
    AUTO_FREE char *path = strchr(argv[0], '/') ? xstrdup(argv[0]) : find_in_path(argv[0]);
    if (!path) {
        err_set(err, EXIT_DRUPE, "%s is not installed", argv[0]);
        errno = ENOENT;
        return -1;
    }
    int report[2];
    if (pipe2(report, O_CLOEXEC) < 0)
        return err_errno(err, EXIT_DRUPE, "pipe");
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid == 0)
        run_child(path, argv, fds, nfds, own_group, confine, parent, report[1]);
    close(report[1]);
    int problem = 0;
    ssize_t n = 0;
    if (pid > 0) {
        do
            n = read(report[0], &problem, sizeof(problem));
        while (n < 0 && errno == EINTR);
    }
    close(report[0]);
    if (pid < 0)
        return err_errno(err, EXIT_DRUPE, "fork");
    if (n == (ssize_t)sizeof(problem)) {
        waitpid(pid, NULL, 0);
        errno = problem;
        err_errno(err, EXIT_DRUPE, "%s", path);
        errno = problem;
        return -1;
    }
    return pid;
}

int child_run(char *const *argv, struct buf *ret_output, struct error *err)
{
    int out[2];
    if (pipe2(out, O_CLOEXEC) < 0)
        return err_errno(err, EXIT_DRUPE, "pipe");
    struct child_fd fds[] = {{out[1], 1}, {out[1], 2}};
    pid_t pid = child_start(argv, fds, ARRAY_SIZE(fds), false, err);
    close(out[1]);
    int status = 0;
    if (pid > 0) {
        file_read_fd(out[0], 1 << 20, ret_output);
        close(out[0]);
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
            ;
        return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    }
    int saved = errno;
    close(out[0]);
    errno = saved;
    return -1;
}
