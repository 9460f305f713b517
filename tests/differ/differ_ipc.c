/* SPDX-License-Identifier: Apache-2.0 */
/*
 * System V shared memory, semaphores and messages, queues of POSIX, futexes, eventfds and sealed memfds. Nothing waits but a child: it sleeps in
 * a call until this process does what wakes it, or takes it away; what it returned is read from it when it is said to be over.
 */
#include "differ.h"
#include <fcntl.h>
#include <limits.h>
#include <mqueue.h>
#include <poll.h>
#include <signal.h>
#include <time.h>
#include <linux/futex.h>
#include <sys/eventfd.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/resource.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define IDS 4
#define WORDS 4
#define WAITERS 3
static int shm[IDS], sem[IDS], msg[IDS];
static char *maps[IDS];
static uint32_t *words; /* shared with children */
static struct waiter {
    pid_t pid;
} waiters[WAITERS];
static struct shared {
    int result[WAITERS], error[WAITERS];
} *shared;
static char data[8192];

static const struct word get_flags[] = {W(IPC_CREAT), W(IPC_CREAT), W(IPC_EXCL)};

static int arg_id(const int *ids)
{
    unsigned k = rnd(IDS);
    for (unsigned i = 0; i < IDS && ids[k] == -1 && !one_in(10); i++)
        k = (k + 1) % IDS;
    arg("%u", k);
    return ids[k];
}

static void ret_id(int *ids, long id)
{
    unsigned k = rnd(IDS);
    ret_ok(id);
    if (id == -1)
        return;
    for (unsigned i = 0; i < IDS; i++)
        if (ids[i] == id) {
            say(" again %u", i);
            return;
        }
    say(" %u", k);
    ids[k] = id; /* what was there lives on by its key */
}

static key_t arg_key(void) { return NUM(IPC_PRIVATE, 11, 12, 13, 11, 12); }
static const struct word ctls[] = {W(IPC_STAT), W(IPC_STAT), W(IPC_SET), W(IPC_RMID), W(IPC_RMID), {99, "99"}};

/* --- shared memory ------------------------------------------------------------------------- */

static void do_shmget(void)
{
    key_t k = arg_key();
    size_t n = NUM(0, 1, 4096, 5000, 8192, -1);
    ret_id(shm, shmget(k, n, NUM(0600, 0600, 0400, 0) | SOME(get_flags, 2)));
}

static void do_shmat(void)
{
    static const struct word flags[] = {W(SHM_RDONLY), W(SHM_RND), W(SHM_REMAP), {SHM_EXEC, "SHM_EXEC"}};
    unsigned m = rnd(IDS);
    int id = arg_id(shm);
    char *at = one_in(4) ? (char *)0x200000000000 + m * 0x100000 + NUM(0, 1, 4096) : NULL; /* where nothing else is */
    arg("m%u", m);
    long f = SOME(flags, 6);
    void *p = shmat(id, at, f);
    ret_ok(p == (void *)-1 ? -1 : 0);
    if (p == (void *)-1)
        return;
    if (maps[m] != NULL && maps[m] != p)
        shmdt(maps[m]);
    for (unsigned i = 0; i < IDS; i++)
        if (maps[i] == p)
            maps[i] = NULL;
    maps[m] = p;
    struct shmid_ds d;
    if (!(f & SHM_RDONLY) && shmctl(id, IPC_STAT, &d) == 0 && d.shm_segsz > 0)
        *(volatile char *)p += 1;
    say(" %d", *(volatile char *)p);
}

static void do_shmdt(void)
{
    unsigned m = rnd(IDS);
    arg("m%u", m);
    ret(shmdt(maps[m] + (one_in(10) ? 4096 : 0)));
    if (errno == 0)
        maps[m] = NULL;
}

static void say_perm(const struct ipc_perm *p) { say(" %x %o %u %u", p->__key, p->mode, p->uid, p->gid); }

static void do_shmctl(void)
{
    static const struct word more[] = {W(SHM_LOCK), W(SHM_UNLOCK), W(IPC_INFO)};
    int id = arg_id(shm), cmd = one_in(5) ? ONE(more) : ONE(ctls);
    struct shmid_ds d = {};
    struct shminfo info = {};
    if (cmd == IPC_SET) {
        d.shm_perm.mode = NUM(0600, 0644, 0777, 01777);
        d.shm_perm.uid = NUM(0, 1000, -1);
    }
    long r = cmd == IPC_INFO ? ret_ok(shmctl(id, cmd, (void *)&info)) : ret(shmctl(id, cmd, &d));
    if (r == 0 && cmd == IPC_STAT) {
        say_perm(&d.shm_perm);
        say(" %zu %lu %s %s %s %s", d.shm_segsz, (unsigned long)d.shm_nattch, d.shm_cpid == getpid() ? "me" : "?", d.shm_lpid == getpid() ? "me" : d.shm_lpid == 0 ? "0" : "?", d.shm_atime ? "a" : "-", d.shm_dtime ? "d" : "-");
    }
}

/* --- semaphores ------------------------------------------------------------------------------ */

static void do_semget(void)
{
    key_t k = arg_key();
    int n = NUM(0, 1, 2, 3, 3, -1, 40000);
    ret_id(sem, semget(k, n, NUM(0600, 0600, 0400, 0) | SOME(get_flags, 2)));
}

static unsigned arg_ops(struct sembuf *o, bool wait)
{
    static const struct word flags[] = {W(SEM_UNDO), {0, "0"}, {0, "0"}};
    unsigned n = 1 + rnd(3);
    for (unsigned i = 0; i < n; i++) {
        o[i].sem_num = NUM(0, 0, 1, 2, 5);
        o[i].sem_op = NUM(1, 1, -1, -1, 0, 2, -2, 32767, -32768);
        o[i].sem_flg = ONE(flags) | (wait ? 0 : IPC_NOWAIT);
    }
    return n;
}

static void do_semop(void)
{
    struct sembuf o[3];
    int id = arg_id(sem);
    unsigned n = arg_ops(o, false);
    struct timespec t = {0, 0};
    if (one_in(20))
        ret(semop(id, o, NUM(0, 501)));
    else if (one_in(6)) {
        o[0].sem_flg &= ~IPC_NOWAIT;
        t.tv_nsec = NUM(0, 1000, -1, 1000000000);
        ret(semtimedop(id, o, n, &t));
    } else
        ret(semop(id, o, n));
}

union semun {
    int val;
    struct semid_ds *buf;
    unsigned short *array;
    struct seminfo *info;
};

static void do_semctl(void)
{
    static const struct word more[] = {W(GETVAL), W(SETVAL), W(SETVAL), W(GETALL), W(SETALL), W(GETPID), W(GETNCNT), W(GETZCNT), W(IPC_INFO)};
    unsigned short v[16] = {NUM(0, 1, 5), 2, 3, 4, 32767};
    int id = arg_id(sem), num = NUM(0, 0, 1, 2, 5, -1), cmd = one_in(3) ? ONE(ctls) : ONE(more);
    struct semid_ds d = {};
    struct seminfo info = {};
    union semun u = {.buf = &d};
    if (cmd == IPC_SET)
        d.sem_perm.mode = NUM(0600, 0644, 0777, 01777);
    if (cmd == SETVAL)
        u.val = NUM(0, 1, 3, 32767, 32768, -1);
    else if (cmd == GETALL || cmd == SETALL)
        u.array = v;
    else if (cmd == IPC_INFO)
        u.info = &info;
    long r = semctl(id, num, cmd, u);
    if (cmd == GETPID && r > 0) {
        ret(0);
        say(" %s", r == getpid() ? "me" : "?");
    } else if (cmd == IPC_INFO)
        ret_ok(r);
    else
        ret(r);
    if (r == 0 && cmd == IPC_STAT) {
        say_perm(&d.sem_perm);
        say(" %lu %s", d.sem_nsems, d.sem_otime ? "o" : "-");
    }
    if (r == 0 && cmd == GETALL)
        say(" %d %d %d", v[0], v[1], v[2]);
}

/* --- messages ---------------------------------------------------------------------------------- */

static void do_msgget(void)
{
    key_t k = arg_key();
    ret_id(msg, msgget(k, NUM(0600, 0600, 0400, 0) | SOME(get_flags, 2)));
}

static struct { long type; char text[20000]; } letter;

static void do_msgsnd(void)
{
    int id = arg_id(msg);
    letter.type = NUM(1, 2, 3, 1, 2, 0, -1);
    size_t n = NUM(0, 1, 10, 100, 4000, 8192, 8193, -1);
    memset(letter.text, 'a' + step_number() % 26, sizeof letter.text);
    ret(msgsnd(id, &letter, n, IPC_NOWAIT));
}

static void do_msgrcv(void)
{
    static const struct word flags[] = {W(MSG_NOERROR), W(MSG_EXCEPT), {MSG_COPY, "MSG_COPY"}};
    int id = arg_id(msg);
    long type = NUM(0, 0, 1, 2, -1, -2, -3, LONG_MIN);
    size_t n = NUM(8192, 8192, 10, 0, 1, -1);
    memset(&letter, 0, sizeof letter);
    long r = ret(msgrcv(id, &letter, n, type, IPC_NOWAIT | SOME(flags, 5)));
    if (r >= 0)
        say(" %ld %08x", letter.type, hash(letter.text, 9000));
}

static void do_msgctl(void)
{
    int id = arg_id(msg), cmd = ONE(ctls);
    struct msqid_ds d = {};
    if (cmd == IPC_SET) {
        d.msg_perm.mode = NUM(0600, 0644, 0777);
        d.msg_qbytes = NUM(0, 100, 5000, 16384, 20000);
    }
    long r = ret(msgctl(id, cmd, &d));
    if (r == 0 && cmd == IPC_STAT) {
        say_perm(&d.msg_perm);
        say(" %lu %lu %lu %s %s", d.msg_qnum, d.__msg_cbytes, d.msg_qbytes, d.msg_lspid == getpid() ? "me" : d.msg_lspid == 0 ? "0" : "?", d.msg_lrpid == getpid() ? "me" : d.msg_lrpid == 0 ? "0" : "?");
    }
}

/* --- queues of POSIX ------------------------------------------------------------------------------ */

static const char *arg_queue(void)
{
    static const char *const names[] = {"da", "db", "dc", "da", "db", "", "d/x"};
    const char *n = names[rnd(COUNT(names))];
    arg("%s", n);
    return n;
}

static bool is_queue(int fd)
{
    struct mq_attr a;
    return mq_getattr(fd, &a) == 0;
}

static void do_mq_open(void)
{
    static const struct word flags[] = {W(O_CREAT), W(O_CREAT), W(O_EXCL), W(O_CLOEXEC)};
    struct mq_attr a = {0, 0, 0, 0};
    const char *n = arg_queue();
    int f = NUM(O_RDWR, O_RDWR, O_RDONLY, O_WRONLY) | O_NONBLOCK | SOME(flags, 2);
    a.mq_maxmsg = NUM(1, 2, 5, 10, 0, -1, 70000);
    a.mq_msgsize = NUM(1, 10, 100, 8192, 0);
    ret_slot(RAW(mq_open, n, f, 0600, one_in(3) ? NULL : &a));
}

static void do_mq_unlink(void) { const char *n = arg_queue(); ret(RAW(mq_unlink, n)); }

static void do_mq_send(void)
{
    int fd = slots[arg_slot_of(is_queue)];
    memset(data, 'a' + step_number() % 26, sizeof data);
    size_t n = NUM(0, 1, 10, 10, 100, 8192, 8193);
    unsigned prio = NUM(0, 0, 1, 5, 32767, 32768);
    struct timespec t = {NUM(0, 1, -1), NUM(0, 1000000000)};
    ret(RAW(mq_timedsend, fd, data, n, prio, one_in(5) ? &t : NULL));
}

static void do_mq_receive(void)
{
    unsigned prio = 77;
    int fd = slots[arg_slot_of(is_queue)];
    memset(data, 0, sizeof data);
    size_t n = NUM(8192, 8192, 100, 10, 0);
    struct timespec t = {NUM(0, 1, -1), NUM(0, 1000000000)};
    if (ret(RAW(mq_timedreceive, fd, data, n, &prio, one_in(5) ? &t : NULL)) >= 0)
        say(" %u %08x", prio, hash(data, sizeof data));
}

static void do_mq_notify(void)
{
    int fd = slots[arg_slot_of(is_queue)];
    struct sigevent e = {.sigev_notify = NUM(SIGEV_SIGNAL, SIGEV_SIGNAL, SIGEV_NONE, 9), .sigev_signo = NUM(SIGUSR1, SIGUSR2, 0, 65)};
    ret(RAW(mq_notify, fd, one_in(3) ? NULL : &e));
}

static void do_mq_attr(void)
{
    int fd = slots[arg_slot_of(is_queue)];
    struct mq_attr a = {NUM(O_NONBLOCK, O_NONBLOCK, 1), 0, 0, 0}, old = {};
    ret(RAW(mq_getsetattr, fd, one_in(2) ? NULL : &a, &old));
    say(" %lx %ld %ld %ld", old.mq_flags, old.mq_maxmsg, old.mq_msgsize, old.mq_curmsgs);
}

/* --- futexes --------------------------------------------------------------------------------------- */

/* The upper half are locks with priority inheritance: who waits for one is seen as waiting at the word on Linux alone. */
static uint32_t *arg_word(bool lock)
{
    unsigned k = rnd(WORDS / 2) + (lock ? WORDS / 2 : 0);
    arg("w%u", k);
    return words + k * 16;
}

static void do_futex(void)
{
    static const struct word ops[] = {W(FUTEX_WAKE), W(FUTEX_WAKE), W(FUTEX_WAKE), W(FUTEX_REQUEUE), W(FUTEX_CMP_REQUEUE), W(FUTEX_CMP_REQUEUE), W(FUTEX_WAKE_OP), W(FUTEX_WAKE_OP), W(FUTEX_WAKE_BITSET), W(FUTEX_WAIT), W(FUTEX_WAIT_BITSET), W(FUTEX_TRYLOCK_PI),
        W(FUTEX_UNLOCK_PI), W(FUTEX_CMP_REQUEUE_PI), W(FUTEX_WAIT_REQUEUE_PI), W(FUTEX_LOCK_PI), {FUTEX_FD, "FUTEX_FD"}, {99, "99"}};
    int op = ONE(ops);
    bool pi = op == FUTEX_TRYLOCK_PI || op == FUTEX_UNLOCK_PI || op == FUTEX_LOCK_PI, to_lock = op == FUTEX_CMP_REQUEUE_PI || op == FUTEX_WAIT_REQUEUE_PI;
    uint32_t *a = arg_word(pi), *b = arg_word(pi || to_lock);
    struct timespec zero = {0, NUM(0, 1000, 0, -1)};
    long value = NUM(0, 1, 1, 2, 0x7fffffff, -1), value2 = NUM(0, 1, 1, 0x7fffffff, -1), value3 = NUM(0, 1, 2, 5, -1);
    if (one_in(10)) {
        arg("FUTEX_CLOCK_REALTIME");
        op |= FUTEX_CLOCK_REALTIME;
    }
    if (one_in(30)) {
        arg("odd");
        a = (void *)((char *)a + 1);
    }
    switch (op & 127) {
    case FUTEX_WAIT: case FUTEX_WAIT_BITSET: case FUTEX_WAIT_REQUEUE_PI: case FUTEX_LOCK_PI:
        if ((op & 127) != FUTEX_WAIT && zero.tv_nsec == 1000) /* a time that was */
            zero.tv_sec = 1;
        ret(RAW(futex, a, op, value, &zero, b, value3));
        break;
    case FUTEX_WAKE_OP:
        value3 = FUTEX_OP(NUM(0, 1, 2, 3, 4, 8, 9), NUM(1, 2, 33), NUM(0, 1, 2, 3, 4, 5, 6), NUM(0, 1, 2));
        /* fall through */
    default:
        ret(RAW(futex, a, op, value, value2, b, value3));
    }
}

static void do_word(void)
{
    static const struct word values[] = {{0, "0"}, {0, "0"}, {1, "1"}, {2, "2"}, {-1, "-1"}}, owners[] = {{0, "0"}, {0, "0"}, {FUTEX_TID_MASK, "nobody"}, {FUTEX_OWNER_DIED, "died"}, {-1, "-1"}, {FUTEX_WAITERS, "waiters"}};
    bool lock = one_in(2);
    uint32_t *w = arg_word(lock);
    uint32_t v = lock ? ONE(owners) : ONE(values);
    if (!lock || !(*w & FUTEX_WAITERS) || (*w & FUTEX_TID_MASK) == 0 || (*w & FUTEX_TID_MASK) == FUTEX_TID_MASK) /* not one that is waited for */
        *w = v;
    ret(0);
}

/* --- those who wait --------------------------------------------------------------------------------- */

static char settled(pid_t pid)
{
    char c;
    for (int i = 0; i < 20000; i++) {
        c = state_of(pid);
        if (c == 'Z' || c == '?')
            return c;
        if (c == 'S') {
            usleep(300);
            if (state_of(pid) == 'S')
                return c;
        }
        usleep(100);
    }
    return c;
}

static void do_waiter(void)
{
    unsigned k = rnd(WAITERS);
    struct sembuf o[3];
    static const struct word hows[] = {{0, "semop"}, {0, "semop"}, {1, "msgrcv"}, {2, "msgsnd"}, {3, "futex"}, {3, "futex"}, {4, "futex bitset"}, {5, "lock_pi"}, {6, "wait_requeue_pi"}};
    arg("p%u", k);
    if (waiters[k].pid != 0) {
        kill(waiters[k].pid, SIGKILL);
        waitpid(waiters[k].pid, NULL, 0);
        waiters[k].pid = 0;
    }
    int how = ONE(hows), id = -1;
    unsigned n = 0;
    long type = 0;
    uint32_t *a = NULL, *b = NULL;
    if (how == 0) {
        id = arg_id(sem);
        n = arg_ops(o, true);
    } else if (how <= 2) {
        id = arg_id(msg);
        type = NUM(0, 1, 2, -2);
    } else {
        a = arg_word(how == 5);
        b = arg_word(how >= 5);
        type = NUM(1, 2, 3);
    }
    shared->result[k] = 99;
    pid_t pid = waiters[k].pid = fork();
    if (pid == 0) {
        long r = -1;
        sigset_t none;
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
        errno = 0;
        switch (how) {
        case 0: r = semop(id, o, n); break;
        case 1: r = msgrcv(id, &letter, 100, type, MSG_NOERROR); break;
        case 2: letter.type = type > 0 ? type : 1; r = msgsnd(id, &letter, 100, 0); break;
        case 3: r = RAW(futex, a, FUTEX_WAIT, *a, NULL, NULL, 0); break;
        case 4: r = RAW(futex, a, FUTEX_WAIT_BITSET, *a, NULL, NULL, type); break;
        case 5: r = RAW(futex, a, FUTEX_LOCK_PI, 0, NULL, NULL, 0); break;
        default: r = RAW(futex, a, FUTEX_WAIT_REQUEUE_PI, *a, NULL, b, 0); break;
        }
        shared->error[k] = errno;
        shared->result[k] = r;
        _exit(0);
    }
    settled(pid);
    ret(0);
}

static void do_eventfd(void)
{
    uint64_t v = NUM(0, 1, 5, -1, -2);
    if (one_in(3)) {
        static const struct word flags[] = {W(EFD_SEMAPHORE), W(EFD_CLOEXEC), {1 << 5, "1<<5"}};
        ret_slot(eventfd(v, EFD_NONBLOCK | SOME(flags, 3)));
        return;
    }
    int fd = slots[arg_slot()];
    if (is_queue(fd)) {
        ret(0);
        return;
    }
    size_t n = NUM(8, 8, 8, 4, 16);
    if (one_in(2))
        ret(write(fd, (uint64_t[2]){v}, n));
    else {
        uint64_t got[2] = {};
        arg("read");
        ret(read(fd, got, n));
        say(" %lx", got[0]);
    }
}

static bool is_memfd(int fd) { return fcntl(fd, F_GET_SEALS) != -1; }

static void do_memfd(void)
{
    static const struct word flags[] = {W(MFD_CLOEXEC), W(MFD_ALLOW_SEALING), W(MFD_ALLOW_SEALING), {8, "MFD_NOEXEC_SEAL"}, {0x10, "MFD_EXEC"}, {1 << 9, "1<<9"}};
    static const struct word seals[] = {W(F_SEAL_SEAL), W(F_SEAL_SHRINK), W(F_SEAL_GROW), W(F_SEAL_WRITE), {F_SEAL_FUTURE_WRITE, "F_SEAL_FUTURE_WRITE"}, {0x20, "F_SEAL_EXEC"}, {0x40, "0x40"}};
    if (one_in(4)) {
        ret_slot(memfd_create("m", SOME(flags, 3)));
        return;
    }
    int fd = slots[arg_slot_of(is_memfd)];
    struct stat st;
    if (fstat(fd, &st) == 0 && !S_ISREG(st.st_mode)) {
        ret(0);
        return;
    }
    switch (rnd(9)) {
    case 0: arg("ftruncate"); ret(ftruncate(fd, NUM(0, 100, 4096, 10000, -1))); break;
    case 1: arg("write"); ret(pwrite(fd, data, NUM(0, 10, 100, 5000), NUM(0, 4000, 9000))); break;
    case 2: case 3: case 4: arg("seal"); ret(fcntl(fd, F_ADD_SEALS, SOME(seals, 7))); break;
    case 5: {
        int prot = NUM(1, 3, 2), flag = NUM(MAP_SHARED, MAP_SHARED, MAP_PRIVATE);
        arg("mmap");
        void *p = mmap(NULL, 4096, prot, flag, fd, 0);
        ret_ok(p == MAP_FAILED ? -1 : 0);
        if (p == MAP_FAILED)
            break;
        say(" writable %ld", (long)mprotect(p, 4096, PROT_READ | PROT_WRITE));
        arg("seal");
        ret(fcntl(fd, F_ADD_SEALS, NUM(F_SEAL_WRITE, F_SEAL_FUTURE_WRITE, 0)));
        munmap(p, 4096);
        break;
    }
    case 6: arg("fallocate"); ret(fallocate(fd, NUM(0, 1, 3), NUM(0, 4096), NUM(100, 4096, 20000))); break;
    case 7: arg("fchmod"); ret(fchmod(fd, NUM(0600, 0777, 0666))); break;
    default: arg("get"); ret(fcntl(fd, F_GET_SEALS)); break;
    }
}

/* --- the mode --------------------------------------------------------------------------------------- */

static void ipc_start(void)
{
    static const int all[] = {SIGUSR1, SIGUSR2};
    sigset_t s;
    sigemptyset(&s);
    for (unsigned i = 0; i < COUNT(all); i++)
        sigaddset(&s, all[i]);
    sigprocmask(SIG_BLOCK, &s, NULL);
    /* what other seeds left */
    for (int i = 0; i < 3; i++) {
        shmctl(shmget(11 + i, 0, 0), IPC_RMID, NULL);
        semctl(semget(11 + i, 0, 0), 0, IPC_RMID);
        msgctl(msgget(11 + i, 0), IPC_RMID, NULL);
    }
    RAW(mq_unlink, "da");
    RAW(mq_unlink, "db");
    RAW(mq_unlink, "dc");
    for (unsigned i = 0; i < IDS; i++) {
        shm[i] = sem[i] = msg[i] = -1;
        maps[i] = NULL;
    }
    words = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    shared = (void *)((char *)words + 4096);
}

static void ipc_watch(void)
{
    char key[16];
    sigset_t s;
    for (unsigned k = 0; k < WAITERS; k++) {
        snprintf(key, sizeof key, "p%u", k);
        if (waiters[k].pid == 0) {
            state(key, "-");
            continue;
        }
        char c = settled(waiters[k].pid);
        if (c != 'Z') {
            state(key, "%c", c);
            continue;
        }
        waitpid(waiters[k].pid, NULL, 0);
        waiters[k].pid = 0;
        state(key, "%d %s", shared->result[k], shared->result[k] == -1 ? error_name(shared->error[k]) : "");
    }
    for (unsigned k = 0; k < WORDS; k++) {
        uint32_t v = words[k * 16], owner = v & FUTEX_TID_MASK;
        const char *who = "";
        if (k >= WORDS / 2) {
            who = owner == 0 ? "free" : owner == FUTEX_TID_MASK ? "nobody" : owner == (uint32_t)getpid() ? "me" : "one that was";
            for (unsigned i = 0; i < WAITERS; i++)
                if (owner == (uint32_t)waiters[i].pid)
                    who = owner == 0 ? who : "a waiter";
            v &= ~FUTEX_TID_MASK;
        }
        snprintf(key, sizeof key, "w%u", k);
        state(key, "%x %s", v, who);
    }
    for (unsigned i = 0; i < IDS; i++) {
        unsigned short v[64] = {};
        struct semid_ds d;
        struct msqid_ds m;
        struct shmid_ds h;
        snprintf(key, sizeof key, "sem%u", i);
        if (sem[i] != -1 && semctl(sem[i], 0, IPC_STAT, (union semun){.buf = &d}) == 0) {
            semctl(sem[i], 0, GETALL, (union semun){.array = v});
            state(key, "%lu: %d %d %d n %d %d z %d %d", d.sem_nsems, v[0], v[1], v[2], semctl(sem[i], 0, GETNCNT), semctl(sem[i], 1, GETNCNT), semctl(sem[i], 0, GETZCNT), semctl(sem[i], 1, GETZCNT));
        } else
            state(key, "%s", sem[i] == -1 ? "-" : error_name(errno));
        snprintf(key, sizeof key, "msg%u", i);
        if (msg[i] != -1 && msgctl(msg[i], IPC_STAT, &m) == 0)
            state(key, "%lu %lu", m.msg_qnum, m.__msg_cbytes);
        else
            state(key, "%s", msg[i] == -1 ? "-" : error_name(errno));
        snprintf(key, sizeof key, "shm%u", i);
        if (shm[i] != -1 && shmctl(shm[i], IPC_STAT, &h) == 0)
            state(key, "%zu %lu %o", h.shm_segsz, (unsigned long)h.shm_nattch, h.shm_perm.mode);
        else
            state(key, "%s", shm[i] == -1 ? "-" : error_name(errno));
    }
    for (unsigned i = 0; i < SLOTS; i++) {
        struct pollfd p = {slots[i], POLLIN | POLLOUT, 0};
        struct mq_attr a;
        struct stat st;
        snprintf(key, sizeof key, "f%u", i);
        if (slots[i] == -1)
            state(key, "-");
        else if (RAW(mq_getsetattr, slots[i], NULL, &a) == 0)
            state(key, "queue %ld of %ld by %ld, %d", a.mq_curmsgs, a.mq_maxmsg, a.mq_msgsize, poll(&p, 1, 0) == 1 ? p.revents : 0);
        else if (is_memfd(slots[i]) && fstat(slots[i], &st) == 0)
            state(key, "memfd %ld %o seals %x", (long)st.st_size, st.st_mode, fcntl(slots[i], F_GET_SEALS));
        else
            state(key, "%d", poll(&p, 1, 0) == 1 ? p.revents : 0);
    }
    sigpending(&s);
    state("pending", "%d%d", sigismember(&s, SIGUSR1), sigismember(&s, SIGUSR2));
}

static void do_take(void)
{
    sigset_t s;
    siginfo_t i = {};
    sigemptyset(&s);
    sigaddset(&s, SIGUSR1);
    sigaddset(&s, SIGUSR2);
    ret(sigtimedwait(&s, &i, &(struct timespec){0, 0}));
    say(" %d %s", i.si_code, i.si_signo != 0 ? i.si_pid == getpid() ? "me" : "?" : "");
}

static const struct act acts[] = {
    {"shmget", do_shmget, 14}, {"shmat", do_shmat, 16}, {"shmdt", do_shmdt, 8}, {"shmctl", do_shmctl, 14}, {"semget", do_semget, 12}, {"semop", do_semop, 30}, {"semctl", do_semctl, 20}, {"msgget", do_msgget, 12},
    {"msgsnd", do_msgsnd, 24}, {"msgrcv", do_msgrcv, 24}, {"msgctl", do_msgctl, 10}, {"mq_open", do_mq_open, 20}, {"mq_unlink", do_mq_unlink, 4}, {"mq_send", do_mq_send, 24}, {"mq_receive", do_mq_receive, 20}, {"mq_notify", do_mq_notify, 8},
    {"mq_attr", do_mq_attr, 5}, {"futex", do_futex, 50}, {"word", do_word, 14}, {"waiter", do_waiter, 30}, {"eventfd", do_eventfd, 16}, {"memfd", do_memfd, 36}, {"take", do_take, 5}, {"close", do_close, 6}, {"dup", do_dup, 3}, {},
};
const struct mode mode_ipc = {"ipc", ipc_start, acts, NULL, ipc_watch};
