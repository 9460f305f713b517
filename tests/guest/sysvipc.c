/* SPDX-License-Identifier: Apache-2.0 */
/* System V semaphores and message queues: values, waiting, undo, types, limits, permissions. */
#include "t.h"
#include <signal.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/wait.h>
#include <time.h>

#ifndef MSG_COPY
#define MSG_COPY 040000
#endif

union arg {
    int val;
    struct semid_ds *ds;
    unsigned short *all;
    struct seminfo *info;
};

static void on_signal(int s) { (void)s; }

static int op1(int id, int num, int op, int flags)
{
    struct sembuf b = {num, op, flags};
    return semop(id, &b, 1);
}

static int val(int id, int num) { return semctl(id, num, GETVAL); }

#define CHILD(code) child_run(({ fflush(stdout); pid_t p_ = fork(); if (p_ == 0) { code; fflush(stdout); _exit(0); } p_; }))
static int child_run(pid_t pid)
{
    int st = -1;
    waitpid(pid, &st, 0);
    return st;
}

/* Until `n` processes wait for a semaphore. */
static void until_waiting(int id, int num, int cmd, int n)
{
    for (int i = 0; i < 2000 && semctl(id, num, cmd) != n; i++)
        usleep(1000);
}

static void sem_arguments(void)
{
    section("semget");
    SHOW(semget(IPC_PRIVATE, 0, 0600));
    SHOW(semget(IPC_PRIVATE, -1, 0600));
    SHOW(semget(IPC_PRIVATE, 32001, 0600));
    key_t key = 0x44700000 + getpid();
    SHOW(semget(key, 1, 0600));
    int id = semget(key, 3, IPC_CREAT | IPC_EXCL | 0640);
    SHOW_TRUE(id >= 0);
    SHOW(semget(key, 3, IPC_CREAT | IPC_EXCL | 0600));
    SHOW_TRUE(semget(key, 3, 0) == id);
    SHOW_TRUE(semget(key, 0, 0) == id);
    SHOW(semget(key, 4, 0));
    struct semid_ds ds;
    SHOW(semctl(id, 0, IPC_STAT, (union arg){.ds = &ds}));
    printf("nsems %lu mode %o uid %d cuid %d otime %ld recent %d\n", ds.sem_nsems, ds.sem_perm.mode, ds.sem_perm.uid, ds.sem_perm.cuid,
           (long)ds.sem_otime, labs(time(NULL) - ds.sem_ctime) < 5);
    SHOW(semctl(id, 0, IPC_STAT, (union arg){.ds = (void *)8}));
    ds.sem_perm.mode = 0660;
    SHOW(semctl(id, 0, IPC_SET, (union arg){.ds = &ds}));
    SHOW(semctl(id, 0, IPC_SET, (union arg){.ds = (void *)8}));
    semctl(id, 0, IPC_STAT, (union arg){.ds = &ds});
    printf("mode %o\n", ds.sem_perm.mode);
    SHOW(semctl(id, 0, 99));
    SHOW(semctl(-1, 0, IPC_STAT, (union arg){.ds = &ds}));
    SHOW(semctl(id, 3, GETVAL));
    SHOW(semctl(id, -1, GETVAL));
    SHOW(semctl(id, 3, SETVAL, (union arg){.val = 1}));
    SHOW(semctl(id, 0, SETVAL, (union arg){.val = -1}));
    SHOW(semctl(id, 0, SETVAL, (union arg){.val = 32768}));
    SHOW(semctl(id, 0, SETVAL, (union arg){.val = 32767}));
    SHOW(val(id, 0));
    SHOW_TRUE(semctl(id, 0, GETPID) == getpid());
    SHOW(semctl(id, 1, GETPID));
    unsigned short all[3] = {1, 2, 3}, big[3] = {1, 40000, 3}, got[3];
    SHOW(semctl(id, 0, SETALL, (union arg){.all = all}));
    SHOW(semctl(id, 0, SETALL, (union arg){.all = big}));
    SHOW(semctl(id, 0, SETALL, (union arg){.all = (void *)8}));
    SHOW(semctl(id, 0, GETALL, (union arg){.all = got}));
    printf("%d %d %d\n", got[0], got[1], got[2]);
    SHOW(semctl(id, 0, GETALL, (union arg){.all = (void *)8}));
    struct seminfo info;
    SHOW_OK(semctl(0, 0, IPC_INFO, (union arg){.info = &info}));
    printf("mni %d mns %d msl %d opm %d vmx %d aem %d\n", info.semmni, info.semmns, info.semmsl, info.semopm, info.semvmx, info.semaem);
    SHOW_OK(semctl(0, 0, SEM_INFO, (union arg){.info = &info}));
    SHOW_TRUE(info.semusz >= 1 && info.semaem >= 3);
    bool found = false;
    int top = semctl(0, 0, SEM_INFO, (union arg){.info = &info});
    for (int i = 0; i <= top; i++)
        found |= semctl(i, 0, SEM_STAT, (union arg){.ds = &ds}) == id;
    SHOW_TRUE(found);
    SHOW(semctl(30000, 0, SEM_STAT, (union arg){.ds = &ds}));
    CHILD({
        setresgid(4321, 4321, 4321);
        setresuid(4321, 4321, 4321);
        SHOW(val(id, 0));
        SHOW(semctl(id, 9, GETVAL));
        SHOW(semctl(id, 9, SETVAL, (union arg){.val = 1}));
        SHOW(semctl(id, 0, SETVAL, (union arg){.val = 1}));
        SHOW(semctl(id, 0, GETALL, (union arg){.all = got}));
        SHOW(semctl(id, 0, IPC_STAT, (union arg){.ds = &ds}));
        SHOW(semctl(id, 0, IPC_SET, (union arg){.ds = &ds}));
        SHOW(semctl(id, 0, IPC_RMID));
        SHOW(op1(id, 0, 1, 0));
        SHOW(op1(id, 9, 1, 0));
        SHOW(semget(key, 3, 0600));
        SHOW(semget(key, 4, 0600));
        SHOW_TRUE(semget(key, 3, 0) == id);
    });
    SHOW(semctl(id, 0, IPC_RMID));
    SHOW(semctl(id, 0, IPC_RMID));
    SHOW(op1(id, 0, 1, 0));
    SHOW(semget(key, 3, 0));
}

static void sem_operations(void)
{
    section("semop");
    int id = semget(IPC_PRIVATE, 3, 0600);
    struct sembuf two[2] = {{0, 1, 0}, {1, -1, IPC_NOWAIT}}, many[501] = {{0}};
    struct timespec soon = {0, 20000000}, bad = {0, 1000000000}, past = {-1, 0};
    SHOW(semop(id, two, 0));
    SHOW(semop(id, many, 501));
    SHOW(semop(id, many, 500));
    SHOW(semop(id, (void *)8, 1));
    SHOW(op1(-1, 0, 1, 0));
    SHOW(op1(id, 3, 1, 0));
    SHOW(op1(id, 0, 5, 0));
    SHOW(val(id, 0));
    SHOW(op1(id, 0, -2, 0));
    SHOW(val(id, 0));
    SHOW(op1(id, 0, -4, IPC_NOWAIT));
    SHOW(op1(id, 0, 0, IPC_NOWAIT));
    SHOW(op1(id, 1, 0, IPC_NOWAIT));
    SHOW(semop(id, two, 2));
    SHOW(val(id, 0));
    SHOW(op1(id, 0, 32767, 0));
    SHOW(val(id, 0));
    SHOW(semtimedop(id, two, 2, &soon));
    SHOW(semtimedop(id, &(struct sembuf){1, -1, 0}, 1, &soon));
    SHOW(semtimedop(id, &(struct sembuf){1, -1, 0}, 1, &(struct timespec){0, 0}));
    SHOW(semtimedop(id, &(struct sembuf){0, 1, 0}, 1, &bad));
    SHOW(semtimedop(id, &(struct sembuf){0, 1, 0}, 1, &past));
    SHOW(semtimedop(id, &(struct sembuf){0, 1, 0}, 1, (void *)8));
    SHOW(semctl(id, 1, GETNCNT));
    struct semid_ds ds;
    semctl(id, 0, IPC_STAT, (union arg){.ds = &ds});
    SHOW_TRUE(labs(time(NULL) - ds.sem_otime) < 5);

    /* waiting for more, for zero, and for two at once */
    pid_t a = fork();
    if (a == 0)
        _exit(op1(id, 1, -2, 0) == 0 ? 7 : errno);
    until_waiting(id, 1, GETNCNT, 1);
    SHOW(semctl(id, 1, GETNCNT));
    SHOW(semctl(id, 1, GETZCNT));
    SHOW(op1(id, 1, 1, 0));
    SHOW(semctl(id, 1, GETNCNT));
    SHOW(op1(id, 1, 1, 0));
    SHOW(WEXITSTATUS(child_run(a)));
    SHOW(val(id, 1));
    SHOW_TRUE(semctl(id, 1, GETPID) == a);
    op1(id, 2, 1, 0);
    a = fork();
    if (a == 0)
        _exit(op1(id, 2, 0, 0) == 0 ? 7 : errno);
    until_waiting(id, 2, GETZCNT, 1);
    SHOW(semctl(id, 2, GETZCNT));
    SHOW(op1(id, 2, -1, 0));
    SHOW(WEXITSTATUS(child_run(a)));
    semctl(id, 0, SETVAL, (union arg){.val = 0});
    struct sembuf both[2] = {{0, -1, 0}, {1, -1, 0}};
    a = fork();
    if (a == 0)
        _exit(semop(id, both, 2) == 0 ? 7 : errno);
    until_waiting(id, 0, GETNCNT, 1);
    SHOW(op1(id, 0, 1, 0));
    until_waiting(id, 1, GETNCNT, 1);
    printf("%d %d, blocked on the first %d, the second %d\n", val(id, 0), val(id, 1), semctl(id, 0, GETNCNT), semctl(id, 1, GETNCNT));
    SHOW(semctl(id, 1, SETVAL, (union arg){.val = 3}));
    SHOW(WEXITSTATUS(child_run(a)));
    printf("%d %d\n", val(id, 0), val(id, 1));

    /* a chain: one wake lets the next go */
    semctl(id, 0, SETALL, (union arg){.all = (unsigned short[]){0, 0, 0}});
    pid_t b = fork();
    if (b == 0)
        _exit(semop(id, (struct sembuf[]){{1, -1, 0}, {2, 1, 0}}, 2) == 0 ? 7 : errno);
    until_waiting(id, 1, GETNCNT, 1);
    a = fork();
    if (a == 0)
        _exit(semop(id, (struct sembuf[]){{0, -1, 0}, {1, 1, 0}}, 2) == 0 ? 7 : errno);
    until_waiting(id, 0, GETNCNT, 1);
    SHOW(op1(id, 0, 1, 0));
    SHOW(WEXITSTATUS(child_run(a)));
    SHOW(WEXITSTATUS(child_run(b)));
    printf("%d %d %d\n", val(id, 0), val(id, 1), val(id, 2));

    /* signals and removal */
    a = fork();
    if (a == 0) {
        struct sigaction sa = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
        sigaction(SIGUSR1, &sa, NULL);
        int r = op1(id, 0, -9, 0);
        _exit(r == -1 && errno == EINTR ? 7 : 8);
    }
    until_waiting(id, 0, GETNCNT, 1);
    kill(a, SIGUSR1);
    SHOW(WEXITSTATUS(child_run(a)));
    SHOW(semctl(id, 0, GETNCNT));
    a = fork();
    if (a == 0)
        _exit(op1(id, 0, -9, 0) == -1 && errno == EIDRM ? 7 : 8);
    b = fork();
    if (b == 0) {
        op1(id, 0, -9, 0);
        _exit(0);
    }
    until_waiting(id, 0, GETNCNT, 2);
    kill(b, SIGKILL);
    SHOW(WTERMSIG(child_run(b)));
    SHOW(semctl(id, 0, GETNCNT));
    SHOW(semctl(id, 0, IPC_RMID));
    SHOW(WEXITSTATUS(child_run(a)));
}

static void sem_undo(void)
{
    section("SEM_UNDO");
    int id = semget(IPC_PRIVATE, 2, 0600);
    SHOW(semctl(id, 0, SETVAL, (union arg){.val = 5}));
    CHILD({
        SHOW(op1(id, 0, -3, SEM_UNDO));
        SHOW(op1(id, 1, 2, SEM_UNDO));
        SHOW(val(id, 0));
    });
    printf("%d %d\n", val(id, 0), val(id, 1));
    CHILD(op1(id, 0, -3, 0));
    SHOW(val(id, 0));
    CHILD({
        op1(id, 0, 4, SEM_UNDO);
        semctl(id, 0, SETVAL, (union arg){.val = 1}); /* forgets it */
    });
    SHOW(val(id, 0));
    CHILD({
        op1(id, 0, 4, SEM_UNDO);
        op1(id, 0, -5, 0);
    });
    SHOW(val(id, 0)); /* not below 0 */
    CHILD({
        op1(id, 0, 32767, 0);
        SHOW(op1(id, 0, -32767, SEM_UNDO));
        SHOW(op1(id, 0, 1, 0));
        SHOW(op1(id, 0, -1, SEM_UNDO));
    });
    SHOW(val(id, 0));
    semctl(id, 0, SETVAL, (union arg){.val = 0});
    pid_t holder = fork();
    if (holder == 0) {
        op1(id, 1, 1, 0);
        op1(id, 0, 1, SEM_UNDO);
        op1(id, 0, -1, SEM_UNDO);
        op1(id, 0, 2, 0);
        op1(id, 0, -2, SEM_UNDO);
        for (;;)
            pause();
    }
    pid_t waiter = fork();
    if (waiter == 0)
        _exit(op1(id, 0, -2, 0) == 0 ? 7 : 8);
    until_waiting(id, 0, GETNCNT, 1);
    usleep(20000);
    kill(holder, SIGKILL);
    SHOW(WTERMSIG(child_run(holder)));
    SHOW(WEXITSTATUS(child_run(waiter)));
    SHOW(val(id, 0));
    CHILD({ /* survives exec, not fork */
        op1(id, 0, 3, SEM_UNDO);
        CHILD((void)0);
        SHOW(val(id, 0));
    });
    SHOW(val(id, 0));
    CHILD({
        op1(id, 0, 3, SEM_UNDO);
        semctl(id, 0, IPC_RMID);
    });
    SHOW(val(id, 0));
}

struct message {
    long type;
    char text[64];
};

static int send_text(int id, long type, const char *text, int flags)
{
    struct message m = {type, ""};
    strcpy(m.text, text);
    return msgsnd(id, &m, strlen(text) + 1, flags);
}

static void recv_show(int id, size_t room, long type, int flags)
{
    struct message m = {-1, ""};
    errno = 0;
    ssize_t n = msgrcv(id, &m, room, type, flags);
    if (n < 0)
        printf("msgrcv(%zu, %ld, %o) = -1 %s\n", room, type, flags, strerrorname_np(errno));
    else
        printf("msgrcv(%zu, %ld, %o) = %zd type %ld \"%.*s\"\n", room, type, flags, n, m.type, (int)n, m.text);
    fflush(stdout);
}

static void msg_arguments(void)
{
    section("msgget");
    key_t key = 0x44710000 + getpid();
    SHOW(msgget(key, 0600));
    int id = msgget(key, IPC_CREAT | IPC_EXCL | 0640);
    SHOW_TRUE(id >= 0);
    SHOW(msgget(key, IPC_CREAT | IPC_EXCL | 0600));
    SHOW_TRUE(msgget(key, 0) == id);
    struct msqid_ds ds;
    SHOW(msgctl(id, IPC_STAT, &ds));
    printf("mode %o qnum %lu cbytes %lu qbytes %lu lspid %d lrpid %d stime %ld rtime %ld recent %d\n", ds.msg_perm.mode, ds.msg_qnum,
           ds.__msg_cbytes, ds.msg_qbytes, ds.msg_lspid, ds.msg_lrpid, (long)ds.msg_stime, (long)ds.msg_rtime,
           labs(time(NULL) - ds.msg_ctime) < 5);
    SHOW(msgctl(id, IPC_STAT, (void *)8));
    SHOW(msgctl(id, 99, &ds));
    SHOW(msgctl(-1, IPC_STAT, &ds));
    SHOW(send_text(id, 0, "x", 0));
    SHOW(send_text(id, -1, "x", 0));
    SHOW(send_text(-1, 1, "x", 0));
    SHOW(msgsnd(id, (void *)8, 1, 0));
    char big[9000] = {1};
    SHOW(msgsnd(id, big, 8193, 0));
    SHOW(msgsnd(id, big, -1, 0));
    SHOW(msgsnd(id, big, 0, 0));
    recv_show(id, 0, 0, 0);
    SHOW(msgrcv(id, big, -1, 0, 0));
    SHOW(msgrcv(-1, big, 1, 0, 0));
    struct msginfo info;
    SHOW_OK(msgctl(0, IPC_INFO, (void *)&info));
    printf("max %d mnb %d mni %d ssz %d\n", info.msgmax, info.msgmnb, info.msgmni, info.msgssz);
    SHOW_OK(msgctl(0, MSG_INFO, (void *)&info));
    SHOW_TRUE(info.msgpool >= 1);
    bool found = false;
    int top = msgctl(0, MSG_INFO, (void *)&info);
    for (int i = 0; i <= top; i++)
        found |= msgctl(i, MSG_STAT, &ds) == id;
    SHOW_TRUE(found);
    SHOW(msgctl(30000, MSG_STAT, &ds));
    msgctl(id, IPC_STAT, &ds);
    ds.msg_qbytes = 12000;
    ds.msg_perm.mode = 0600;
    SHOW(msgctl(id, IPC_SET, &ds));
    msgctl(id, IPC_STAT, &ds);
    printf("mode %o qbytes %lu\n", ds.msg_perm.mode, ds.msg_qbytes);
    ds.msg_perm.uid = 4321;
    msgctl(id, IPC_SET, &ds);
    CHILD({
        setresgid(4322, 4322, 4322);
        setresuid(4321, 4321, 4321);
        ds.msg_qbytes = 11000;
        SHOW(msgctl(id, IPC_SET, &ds));
        ds.msg_qbytes = 30000;
        SHOW(msgctl(id, IPC_SET, &ds));
    });
    CHILD({
        setresgid(4322, 4322, 4322);
        setresuid(4322, 4322, 4322);
        SHOW(send_text(id, 1, "x", 0));
        recv_show(id, 10, 0, IPC_NOWAIT);
        SHOW(msgctl(id, IPC_STAT, &ds));
        SHOW(msgctl(id, IPC_SET, &ds));
        SHOW(msgctl(id, IPC_RMID, NULL));
        SHOW(msgget(key, 0600));
    });
    SHOW(msgctl(id, IPC_RMID, NULL));
    SHOW(msgctl(id, IPC_RMID, NULL));
    SHOW(send_text(id, 1, "x", 0));
}

static void msg_types(void)
{
    section("types");
    int id = msgget(IPC_PRIVATE, 0600);
    recv_show(id, 10, 0, IPC_NOWAIT);
    static const struct { long type; const char *text; } all[] = {{5, "five"}, {3, "three"}, {7, "seven"}, {3, "three again"}, {1, "one"}, {9, "nine"}};
    for (unsigned i = 0; i < 6; i++)
        SHOW(send_text(id, all[i].type, all[i].text, 0));
    struct msqid_ds ds;
    msgctl(id, IPC_STAT, &ds);
    printf("qnum %lu cbytes %lu lspid us %d lrpid %d\n", ds.msg_qnum, ds.__msg_cbytes, ds.msg_lspid == getpid(), ds.msg_lrpid);
    recv_show(id, 64, 0, MSG_COPY);
    recv_show(id, 64, 0, MSG_COPY | IPC_NOWAIT | MSG_EXCEPT);
    recv_show(id, 64, 0, MSG_COPY | IPC_NOWAIT);
    recv_show(id, 64, 2, MSG_COPY | IPC_NOWAIT);
    recv_show(id, 64, 6, MSG_COPY | IPC_NOWAIT);
    recv_show(id, 3, 1, MSG_COPY | IPC_NOWAIT | MSG_NOERROR);
    recv_show(id, 3, 0, 0);
    recv_show(id, 3, 4, IPC_NOWAIT);
    recv_show(id, 64, 3, 0);
    recv_show(id, 64, -4, 0);
    recv_show(id, 64, -4, 0);
    recv_show(id, 64, -4, IPC_NOWAIT);
    recv_show(id, 64, 5, MSG_EXCEPT);
    recv_show(id, 2, 0, MSG_NOERROR);
    recv_show(id, 64, 9, MSG_EXCEPT | IPC_NOWAIT);
    recv_show(id, 64, (long)(1UL << 63), IPC_NOWAIT);
    recv_show(id, 64, 0, IPC_NOWAIT);
    msgctl(id, IPC_STAT, &ds);
    printf("qnum %lu cbytes %lu lrpid us %d\n", ds.msg_qnum, ds.__msg_cbytes, ds.msg_lrpid == getpid());
    struct { long type; char text[8192]; } m = {1, ""};
    SHOW(msgsnd(id, &m, 8192, IPC_NOWAIT));
    SHOW(msgsnd(id, &m, 8192, IPC_NOWAIT));
    SHOW(msgsnd(id, &m, 1, IPC_NOWAIT));
    SHOW(msgsnd(id, &m, 0, IPC_NOWAIT));
    int n = 0;
    while (msgsnd(id, &m, 0, IPC_NOWAIT) == 0)
        n++;
    SHOW(n);
    SHOW(errno == EAGAIN);
    SHOW(msgctl(id, IPC_RMID, NULL));
}

static void msg_waiting(void)
{
    section("waiting");
    int id = msgget(IPC_PRIVATE, 0600);
    pid_t a = fork();
    if (a == 0) {
        recv_show(id, 64, 2, 0);
        _exit(0);
    }
    usleep(20000);
    send_text(id, 1, "not for it", 0);
    send_text(id, 2, "for it", 0);
    child_run(a);
    recv_show(id, 64, 0, IPC_NOWAIT);
    a = fork();
    if (a == 0) {
        recv_show(id, 2, 0, 0);
        _exit(0);
    }
    usleep(20000);
    send_text(id, 2, "too big", 0);
    child_run(a);
    recv_show(id, 64, 0, IPC_NOWAIT);
    struct { long type; char text[8192]; } m = {1, "first"};
    msgsnd(id, &m, 8192, 0);
    msgsnd(id, &m, 8192, 0);
    a = fork();
    if (a == 0)
        _exit(send_text(id, 6, "later", 0) == 0 ? 7 : 8);
    usleep(20000);
    SHOW(msgrcv(id, &m, 8192, 0, 0));
    SHOW(WEXITSTATUS(child_run(a)));
    recv_show(id, 64, 6, IPC_NOWAIT);
    SHOW(msgrcv(id, &m, 8192, 0, 0));
    for (int restart = 0; restart < 2; restart++) {
        a = fork();
        if (a == 0) {
            struct sigaction sa = {.sa_handler = on_signal, .sa_flags = restart ? SA_RESTART : 0};
            sigaction(SIGUSR1, &sa, NULL);
            _exit(msgrcv(id, &m, 64, 0, 0) == -1 && errno == EINTR ? 7 : 8);
        }
        usleep(50000);
        kill(a, SIGUSR1);
        SHOW(WEXITSTATUS(child_run(a)));
    }
    a = fork();
    if (a == 0)
        _exit(msgrcv(id, &m, 64, 0, 0) == -1 && errno == EIDRM ? 7 : 8);
    usleep(20000);
    SHOW(msgctl(id, IPC_RMID, NULL));
    SHOW(WEXITSTATUS(child_run(a)));
}

/* Lines of ours in /proc/sysvipc, without what differs. */
static void proc(void)
{
    section("/proc/sysvipc");
    int sem = semget(IPC_PRIVATE, 2, 0640), msg = msgget(IPC_PRIVATE, 0604);
    send_text(msg, 1, "text", 0);
    static const char *const names[] = {"sem", "msg", "shm"};
    for (int i = 0; i < 3; i++) {
        char path[64], text[512];
        snprintf(path, sizeof path, "/proc/sysvipc/%s", names[i]);
        FILE *f = fopen(path, "r");
        SHOW_TRUE(f != NULL);
        fgets(text, sizeof text, f);
        printf("%s", text);
        while (fgets(text, sizeof text, f)) {
            int key, id, n = 0;
            unsigned mode, a, b;
            if (sscanf(text, "%d %d %o %u %u%n", &key, &id, &mode, &a, &b, &n) == 5 && id == (i == 0 ? sem : msg) && i < 2)
                printf("key %d mode %o %u %u, length %zu\n", key, mode, a, b, strlen(text));
        }
        fclose(f);
    }
    semctl(sem, 0, IPC_RMID);
    msgctl(msg, IPC_RMID, NULL);
    FILE *f = fopen("/proc/sys/kernel/sem", "r");
    char text[128];
    fgets(text, sizeof text, f);
    printf("%s", text);
    fclose(f);
}

static void many(void)
{
    section("many");
    int ids[500], ok = 0, distinct = 1;
    for (int i = 0; i < 500; i++) {
        ids[i] = semget(IPC_PRIVATE, 1, 0600);
        ok += ids[i] >= 0;
        distinct &= i == 0 || ids[i] != ids[i - 1];
    }
    SHOW(ok);
    SHOW(distinct);
    ok = 0;
    for (int i = 0; i < 500; i++)
        ok += semctl(ids[i], 0, IPC_RMID) == 0;
    SHOW(ok);
    SHOW(val(ids[3], 0));
}

int main(void)
{
    sem_arguments();
    sem_operations();
    sem_undo();
    msg_arguments();
    msg_types();
    msg_waiting();
    proc();
    many();
    return 0;
}
