/* SPDX-License-Identifier: Apache-2.0 */
/* Memory, what is shared by it, queues and semaphores, io_uring. */
#define _GNU_SOURCE
#include "faults.h"

#include <fcntl.h>
#include <liburing.h>
#include <linux/futex.h>
#include <mqueue.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/uio.h>
#include <time.h>

#define PAGE 4096ul
#define ANON (MAP_PRIVATE | MAP_ANONYMOUS)

static void unmap(long at, size_t len)
{
    if (at != -1)
        munmap((void *)at, len);
}

static void areas(void)
{
    int fd = memfd_create("faults", 0);
    ftruncate(fd, 1 << 20);
    EACH(mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, ANON, -1, 0)) unmap(a.r, 1 << 20);
    EACH(mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, ANON | MAP_POPULATE, -1, 0)) unmap(a.r, 1 << 20);
    EACH(mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0)) unmap(a.r, 1 << 20);
    EACH(mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0)) unmap(a.r, 1 << 20);
    char *m = mmap(NULL, 64 * PAGE, PROT_READ | PROT_WRITE, ANON, -1, 0);
    memset(m, 1, 64 * PAGE);
    EACH(mprotect(m + PAGE, PAGE, PROT_READ)) mprotect(m, 64 * PAGE, PROT_READ | PROT_WRITE);
    EACH(munmap(m + 20 * PAGE, PAGE)) mmap(m + 20 * PAGE, PAGE, PROT_READ | PROT_WRITE, ANON | MAP_FIXED, -1, 0);
    EACH(mmap(m + 9 * PAGE, PAGE, PROT_NONE, ANON | MAP_FIXED, -1, 0)) mmap(m + 9 * PAGE, PAGE, PROT_READ | PROT_WRITE, ANON | MAP_FIXED, -1, 0);
    EACH(madvise(m + 3 * PAGE, PAGE, MADV_DONTFORK)) madvise(m, 64 * PAGE, MADV_DOFORK);
    EACH(madvise(m + 30 * PAGE, 9 * PAGE, MADV_DONTNEED)) ;
    EACH(madvise(m, 64 * PAGE, MADV_WILLNEED)) ;
    EACH(mlock(m + 5 * PAGE, 30 * PAGE)) munlock(m, 64 * PAGE);
    EACH(msync(m, 64 * PAGE, MS_SYNC)) ;
    char vec[64];
    EACH(mincore(m, 64 * PAGE, (unsigned char *)vec)) ;
    munmap(m, 64 * PAGE);
    char *part = NULL;
    EACH((part = mmap(NULL, 8 * PAGE, PROT_READ | PROT_WRITE, ANON | MAP_POPULATE, -1, 0), part == MAP_FAILED ? -1 : (long)mremap(part, 8 * PAGE, 100 * PAGE, MREMAP_MAYMOVE))) {
        unmap(a.r != -1 ? a.r : (long)part, a.r != -1 ? 100 * PAGE : 8 * PAGE);
    }
    EACH(sbrk(1 << 18)) if (a.r != -1) sbrk(-(1 << 18));
    also_errno(EFAULT);
    char *fresh = mmap(NULL, 16 * PAGE, PROT_READ | PROT_WRITE, ANON, -1, 0);
    EACH(pread(fd, fresh, 16 * PAGE, 0)) madvise(fresh, 16 * PAGE, MADV_DONTNEED); /* pages come while the call copies */
    EACH(process_vm_readv(getpid(), &(struct iovec){fresh, 5000}, 1, &(struct iovec){vec, 64}, 1, 0)) madvise(fresh, 16 * PAGE, MADV_DONTNEED);
    also_errno(0);
    EACH(process_madvise((int)RAW(pidfd_open, getpid(), 0), &(struct iovec){fresh, PAGE}, 1, MADV_COLD, 0) * 0) close_fd(fd + 1);
    munmap(fresh, 16 * PAGE);
    close(fd);
}

/* Pages that come by a touch: a program that cannot have them ends. */
static char *shared, *copied;
static void touch_anon(void)
{
    char *m = mmap(NULL, 1 << 16, PROT_READ | PROT_WRITE, ANON, -1, 0);
    if (m != MAP_FAILED)
        memset(m, 1, 1 << 16);
}
static void touch_copy(void) { memset(copied, 2, 16 * PAGE); }
static void touch_shared(void) { memset(shared, 3, 16 * PAGE); }
static void stack(void)
{
    char deep[200000];
    memset(deep, 1, sizeof deep);
    __asm__ volatile("" : : "r"(deep) : "memory");
}

static void faults(void)
{
    copied = mmap(NULL, 16 * PAGE, PROT_READ | PROT_WRITE, ANON | MAP_POPULATE, -1, 0);
    each_child("touch anonymous memory", touch_anon);
    each_child("touch copy-on-write memory", touch_copy);
    shared = mmap(NULL, 16 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    each_child("touch shared memory", touch_shared);
    each_child("touch a stack", stack);
    munmap(copied, 16 * PAGE);
    munmap(shared, 16 * PAGE);
}

static void sysv(void)
{
    void *at;
    struct { long type; char text[100]; } msg = {1, ""};
    EACH(shmget(IPC_PRIVATE, 20000, 0600)) if (a.r >= 0) shmctl((int)a.r, IPC_RMID, NULL);
    int id = shmget(IPC_PRIVATE, 20000, 0600);
    EACH(shmat(id, NULL, 0)) if (a.r != -1) shmdt((void *)a.r);
    EACH((at = shmat(id, NULL, 0), at == (void *)-1 ? -1 : shmdt(at))) if (a.r < 0 && at != (void *)-1) shmdt(at);
    shmctl(id, IPC_RMID, NULL);
    EACH(semget(IPC_PRIVATE, 5, 0600)) if (a.r >= 0) semctl((int)a.r, 0, IPC_RMID);
    id = semget(IPC_PRIVATE, 50, 0600);
    struct sembuf up[20];
    for (int i = 0; i < 20; i++)
        up[i] = (struct sembuf){(unsigned short)i, 1, SEM_UNDO};
    EACH(semop(id, up, 20)) semctl(id, 0, SETALL, (unsigned short[50]){0});
    also_errno(EAGAIN);
    EACH(semtimedop(id, &(struct sembuf){40, -1, 0}, 1, &(struct timespec){0, 1000}) * 0) ;
    also_errno(0);
    semctl(id, 0, IPC_RMID);
    EACH(msgget(IPC_PRIVATE, 0600)) if (a.r >= 0) msgctl((int)a.r, IPC_RMID, NULL);
    id = msgget(IPC_PRIVATE, 0600);
    EACH(msgsnd(id, &msg, 100, 0)) msgrcv(id, &msg, 100, 0, IPC_NOWAIT);
    msgsnd(id, &msg, 100, 0);
    EACH(msgrcv(id, &msg, 100, 0, 0)) msgsnd(id, &msg, 100, IPC_NOWAIT);
    msgctl(id, IPC_RMID, NULL);
}

static void queues(void)
{
    struct mq_attr attr = {.mq_maxmsg = 4, .mq_msgsize = 200};
    char text[200] = "";
    EACH(mq_open("/faults", O_CREAT | O_RDWR | O_NONBLOCK, 0600, &attr)) { if (a.r >= 0) mq_close((mqd_t)a.r); mq_unlink("/faults"); }
    mqd_t q = mq_open("/faults", O_CREAT | O_RDWR | O_NONBLOCK, 0600, &attr);
    EACH(mq_send(q, text, 100, 1)) mq_receive(q, text, sizeof text, NULL);
    mq_send(q, text, 100, 1);
    EACH(mq_receive(q, text, sizeof text, NULL)) mq_send(q, text, 100, 1);
    mq_receive(q, text, sizeof text, NULL);
    EACH(RAW(mq_notify, q, &(struct sigevent){.sigev_notify = SIGEV_NONE})) RAW(mq_notify, q, NULL);
    mq_close(q);
    EACH(mq_unlink("/faults")) { q = mq_open("/faults", O_CREAT | O_RDWR | O_NONBLOCK, 0600, &attr); mq_close(q); }
    mq_unlink("/faults");
}

static void futexes(void)
{
    int word = 0, other = 0;
    struct timespec soon = {0, 1000};
    also_errno(ETIMEDOUT);
    EACH(RAW(futex, &word, FUTEX_WAIT, 0, &soon, NULL, 0) * 0) ;
    EACH(RAW(futex, &word, FUTEX_WAKE, 1, NULL, NULL, 0)) ;
    EACH(RAW(futex, &word, FUTEX_REQUEUE, 1, 1, &other, 0)) ;
    EACH(RAW(futex, &word, FUTEX_LOCK_PI, 0, NULL, NULL, 0)) RAW(futex, &word, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0);
    struct futex_waitv v[2] = {{0, (unsigned long)&word, FUTEX_32, 0}, {0, (unsigned long)&other, FUTEX_32, 0}};
    EACH(RAW(futex_waitv, v, 2, 0, &soon, CLOCK_MONOTONIC) * 0) ;
    also_errno(0);
}

static long told(int r)
{
    errno = r < 0 ? -r : 0;
    return r;
}

static struct io_uring ring;
static int ring_pipe[2];
static char ring_bytes[64];
static struct iovec ring_vec = {ring_bytes, 8};
static struct __kernel_timespec soon = {0, 1000}, long_ = {5, 0};

enum op { NOP, READ, WRITE, POLL, TIMEOUT, OPEN, WRITEV, FSYNC, CLOSE, OPS };

static void prepare(enum op op, unsigned flags)
{
    struct io_uring_sqe *s = io_uring_get_sqe(&ring);
    if (s == NULL)
        printf("odd io_uring: its queue is full\n"), _exit(3);
    switch (op) {
    case READ: io_uring_prep_read(s, ring_pipe[0], ring_bytes, 8, 0); break;
    case WRITE: io_uring_prep_write(s, ring_pipe[1], ring_bytes, 8, 0); break;
    case POLL: io_uring_prep_poll_add(s, ring_pipe[0], POLLIN); break;
    case TIMEOUT: io_uring_prep_timeout(s, &soon, 0, 0); break;
    case OPEN: io_uring_prep_openat(s, AT_FDCWD, "/dev/null", O_RDONLY, 0); break;
    case WRITEV: io_uring_prep_writev(s, ring_pipe[1], &ring_vec, 1, 0); break;
    case FSYNC: io_uring_prep_fsync(s, ring_pipe[1], 0); break;
    case CLOSE: io_uring_prep_close(s, 500); break;
    default: io_uring_prep_nop(s);
    }
    s->flags |= (unsigned char)flags;
}

/* Whatever failed: what was handed in comes to an end. */
static void complete(enum op op)
{
    struct io_uring_cqe *c;
    char rest[100];
    if (op == READ || op == POLL)
        (void)!write(ring_pipe[1], "12345678", 8);
    if (io_uring_sq_ready(&ring) != 0)
        io_uring_submit(&ring); /* what a failure left in the queue */
    int r = io_uring_wait_cqe_timeout(&ring, &c, &long_);
    if (r != 0) {
        printf("odd io_uring %d: no completion, %d\n", op, r);
        return;
    }
    if (op == OPEN && c->res >= 0)
        close(c->res);
    io_uring_cqe_seen(&ring, c);
    (void)!read(ring_pipe[0], rest, sizeof rest);
}

static void operations(unsigned flags)
{
    for (enum op op = 0; op < OPS; op++) {
        prepare(op, flags);
        EACH(told(io_uring_submit(&ring))) { complete(op); prepare(op, flags); }
        io_uring_submit(&ring);
        complete(op);
    }
}

static void rings(void)
{
    long r = 0;
    pipe2(ring_pipe, O_NONBLOCK);
    EACH(r = told(io_uring_queue_init(8, &ring, 0))) if (r == 0) io_uring_queue_exit(&ring);
    EACH(r = told(io_uring_queue_init(8, &ring, IORING_SETUP_SQPOLL))) if (r == 0) io_uring_queue_exit(&ring);
    io_uring_queue_init(8, &ring, 0);
    EACH(RAW(io_uring_register, ring.ring_fd, IORING_REGISTER_FILES, ring_pipe, 2)) io_uring_unregister_files(&ring);
    EACH(RAW(io_uring_register, ring.ring_fd, IORING_REGISTER_BUFFERS, &ring_vec, 1)) io_uring_unregister_buffers(&ring);
    EACH(RAW(io_uring_register, ring.ring_fd, IORING_REGISTER_PERSONALITY, NULL, 0)) if (a.r >= 0) io_uring_unregister_personality(&ring, (int)a.r);
    struct io_uring_probe *probe = calloc(1, sizeof *probe + 256 * sizeof(struct io_uring_probe_op));
    EACH(RAW(io_uring_register, ring.ring_fd, IORING_REGISTER_PROBE, memset(probe, 0, sizeof *probe), 256)) ;
    free(probe);
    also_errno(EAGAIN);
    operations(0);
    operations(IOSQE_ASYNC);
    also_errno(0);
    io_uring_queue_exit(&ring);
    close_fds(ring_pipe, 2);
}

const struct family families_memory[] = {{"areas", areas}, {"faults", faults}, {"sysv", sysv}, {"queues", queues}, {"futexes", futexes}, {"io_uring", rings},
                                         {NULL, NULL}};
