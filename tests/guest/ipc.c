/* SPDX-License-Identifier: Apache-2.0 */
/* System V shared memory, and signal-driven input */
#include "t.h"
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/ipc.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/wait.h>

#define KEY 0x44525550 /* of this test */

static long attached(int id)
{
    struct shmid_ds ds;
    return shmctl(id, IPC_STAT, &ds) == 0 ? (long)ds.shm_nattch : -1;
}

static void segments(void)
{
    section("shm");
    int old = shmget(KEY, 0, 0);
    if (old >= 0)
        shmctl(old, IPC_RMID, NULL);
    SHOW(shmget(KEY, 4096, 0600));
    SHOW(shmget(KEY, 0, IPC_CREAT | 0600));
    int id = shmget(KEY, 10000, IPC_CREAT | IPC_EXCL | 0600);
    SHOW_TRUE(id >= 0);
    SHOW(shmget(KEY, 10000, IPC_CREAT | IPC_EXCL | 0600));
    SHOW_TRUE(shmget(KEY, 100, 0) == id);
    SHOW(shmget(KEY, 20000, 0));
    struct shmid_ds ds;
    SHOW(shmctl(id, IPC_STAT, &ds));
    printf("size %zu mode %o attached %lu, made by us %d, key %s\n", ds.shm_segsz, ds.shm_perm.mode, ds.shm_nattch,
           ds.shm_cpid == getpid(), ds.shm_perm.__key == KEY ? "yes" : "no");
    char *p = shmat(id, NULL, 0), *q = shmat(id, NULL, SHM_RDONLY);
    SHOW_TRUE(p != (void *)-1 && q != (void *)-1 && p != q);
    strcpy(p + 9000, "here");
    SHOW_STR(q + 9000);
    SHOW(attached(id));
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        SHOW(attached(id));
        strcpy(p, "from the child");
        SHOW(shmdt(q));
        SHOW(attached(id));
        fflush(stdout);
        _exit(0);
    }
    waitpid(pid, NULL, 0);
    SHOW_STR(q);
    SHOW(attached(id));
    SHOW(shmdt(p + 1));
    SHOW(shmdt(p + 4096));
    SHOW(shmdt(q));
    SHOW(shmdt(q));
    SHOW(attached(id));
    ds.shm_perm.mode = 0640;
    SHOW(shmctl(id, IPC_SET, &ds));
    SHOW(shmctl(id, IPC_STAT, &ds));
    printf("mode %o\n", ds.shm_perm.mode);
    SHOW((long)shmat(id, p + 1, 0));
    SHOW((long)shmat(id, p, 0));
    SHOW_TRUE(shmat(id, p + 1, SHM_RND | SHM_REMAP) == p);
    SHOW(attached(id));
    SHOW(shmctl(id, IPC_RMID, NULL));
    SHOW(shmctl(id, IPC_STAT, &ds));
    printf("marked %d, key gone %d\n", (ds.shm_perm.mode & 01000) != 0, ds.shm_perm.__key == IPC_PRIVATE);
    SHOW(shmget(KEY, 100, 0));
    SHOW_STR(p);
    SHOW(shmdt(p));
    SHOW(shmctl(id, IPC_STAT, &ds));
    SHOW((long)shmat(id, NULL, 0));
    SHOW(shmctl(id, IPC_RMID, NULL));
    SHOW(shmctl(-1, IPC_STAT, &ds));
    id = shmget(IPC_PRIVATE, 4096, 0600);
    int other = shmget(IPC_PRIVATE, 4096, 0600);
    SHOW_TRUE(id >= 0 && id != other);
    SHOW(shmctl(other, IPC_RMID, NULL));
    SHOW(shmctl(id, 99, &ds));
    pid = fork();
    if (pid == 0) {
        setresgid(4321, 4321, 4321);
        setresuid(4321, 4321, 4321);
        SHOW((long)shmat(id, NULL, 0));
        SHOW(shmctl(id, IPC_STAT, &ds));
        SHOW(shmctl(id, IPC_RMID, NULL));
        fflush(stdout);
        _exit(0);
    }
    waitpid(pid, NULL, 0);
    p = shmat(id, NULL, 0);
    shmctl(id, IPC_RMID, NULL);
    pid = fork(); /* the last area goes with a process */
    if (pid == 0) {
        shmdt(p);
        _exit((int)attached(id));
    }
    int st;
    waitpid(pid, &st, 0);
    printf("the parent's area is left: %d\n", WEXITSTATUS(st));
    shmdt(p);
    SHOW(attached(id));
}

static volatile int count, last_fd, last_code;
static void on_io(int s, siginfo_t *i, void *u)
{
    count++;
    last_fd = i->si_fd;
    last_code = i->si_code;
}

static void sigio(void)
{
    section("SIGIO");
    struct sigaction sa = {.sa_sigaction = on_io, .sa_flags = SA_SIGINFO | SA_RESTART};
    int fd[2], on = 1, off = 0;
    char c;
    sigaction(SIGIO, &sa, NULL);
    sigaction(SIGRTMIN, &sa, NULL);
    socketpair(AF_UNIX, SOCK_STREAM, 0, fd);
    SHOW(fcntl(fd[0], F_GETOWN));
    SHOW(fcntl(fd[0], F_SETOWN, getpid()));
    SHOW_TRUE(fcntl(fd[0], F_GETOWN) == getpid());
    SHOW(ioctl(fd[0], FIOASYNC, &on));
    SHOW(fcntl(fd[0], F_GETFL) & O_ASYNC);
    SHOW(sched_setscheduler(0, SCHED_FIFO, &(struct sched_param){.sched_priority = 1}));
    write(fd[1], "x", 1);
    SHOW_TRUE(count >= 1); /* before the call that caused it is back, and with no other thread */
    SHOW(sched_setscheduler(0, SCHED_OTHER, &(struct sched_param){0}));
    read(fd[0], &c, 1);
    SHOW(fcntl(fd[0], F_GETSIG));
    SHOW(fcntl(fd[0], F_SETSIG, 99));
    SHOW(fcntl(fd[0], F_SETSIG, SIGRTMIN));
    usleep(20000);
    count = 0;
    write(fd[1], "x", 1);
    SHOW_TRUE(count >= 1 && last_fd == fd[0] && last_code > 0);
    read(fd[0], &c, 1);
    SHOW(ioctl(fd[0], FIOASYNC, &off));
    usleep(20000);
    count = 0;
    write(fd[1], "x", 1);
    usleep(20000);
    SHOW(count);
    SHOW(fcntl(fd[0], F_SETFL, O_ASYNC));
    close(fd[0]);
    close(fd[1]);
    int file = open("/proc/self/exe", O_RDONLY);
    SHOW(ioctl(file, FIOASYNC, &on));
    SHOW(fcntl(file, F_SETFL, O_ASYNC));
    close(file);
}

/* A shell's <(...): the writer may have ended when the other end is opened. */
static void pipe_by_name(void)
{
    section("pipe by name");
    int fd[2], again;
    char path[64], c;
    pipe(fd);
    write(fd[1], "x", 1);
    close(fd[1]);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd[0]);
    again = open(path, O_RDONLY);
    SHOW_TRUE(again >= 0);
    SHOW(read(again, &c, 1));
    SHOW(read(again, &c, 1));
    close(again);
    close(fd[0]);
    pipe(fd);
    close(fd[0]);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd[1]);
    again = open(path, O_WRONLY);
    SHOW_TRUE(again >= 0);
    signal(SIGPIPE, SIG_IGN);
    SHOW(write(again, &c, 1));
    close(again);
    close(fd[1]);
}

int main(void)
{
    segments();
    sigio();
    pipe_by_name();
    return 0;
}
