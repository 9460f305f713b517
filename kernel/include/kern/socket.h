/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sockets as the Linux personality uses them. Addresses are in Linux's binary
 * layout (struct sockaddr_in ...), already in kernel memory. All calls are thread
 * context and return 0 / a count / -errno as the man page of the call of the same
 * name says. Nonblocking is asked for per call (MSG_DONTWAIT or `nonblock`).
 */
#ifndef KERN_SOCKET_H
#define KERN_SOCKET_H

#include "kern/poll.h"
#include "kern/uio.h"

#define AF_UNSPEC 0
#define AF_UNIX 1
#define AF_INET 2
#define AF_INET6 10
#define AF_NETLINK 16
#define AF_PACKET 17

#define SOCK_STREAM 1
#define SOCK_DGRAM 2
#define SOCK_RAW 3
#define SOCK_SEQPACKET 5

/* Flags of send and recv (socket.h of Linux). */
#define MSG_OOB 0x1u
#define MSG_PEEK 0x2u
#define MSG_DONTROUTE 0x4u
#define MSG_CTRUNC 0x8u
#define MSG_TRUNC 0x20u
#define MSG_DONTWAIT 0x40u
#define MSG_EOR 0x80u
#define MSG_WAITALL 0x100u
#define MSG_CONFIRM 0x800u
#define MSG_ERRQUEUE 0x2000u
#define MSG_NOSIGNAL 0x4000u
#define MSG_MORE 0x8000u
#define MSG_WAITFORONE 0x10000u
#define MSG_ZEROCOPY 0x4000000u
#define MSG_FASTOPEN 0x20000000u
#define MSG_CMSG_CLOEXEC 0x40000000u

struct sock;
struct page;

struct sock_addr {
    u32 len; /* bytes valid in data; at most sizeof data */
    union {
        u16 family;
        u8 data[128];
    };
};

struct zc_send;

struct sock_msg {
    struct uio *uio;
    const struct sock_addr *to;  /* send: NULL = connected peer */
    struct sock_addr *from;      /* recv: filled when not NULL */
    const void *control;         /* send: cmsghdrs, kernel memory */
    void *ret_control;           /* recv: room for cmsghdrs, kernel memory */
    u32 control_len;             /* in: bytes valid / room; recv out: bytes filled */
    struct zc_send *zc;          /* the stack's own: of a send with MSG_ZEROCOPY */
    u32 flags;                   /* in: MSG_*; recv out: MSG_TRUNC, MSG_CTRUNC, MSG_EOR, MSG_OOB */
};

struct sock_cmsg {
    s32 level, type;
    u32 len;
    const u8 *data;
};
/* The cmsg at *at, which starts at 0, of a send, and *at moves on: 1; 0 = there are no more; -EINVAL. */
int sock_next_cmsg(const struct sock_msg *m, u32 *at, struct sock_cmsg *ret);

int sock_create(int domain, int type, int protocol, struct sock **ret);
int sock_create_pair(int domain, int type, int protocol, struct sock *ret[2]);
int sock_take_err(struct sock *s); /* 0 or -err; clears */
void sock_release(struct sock *s); /* close(2) of the last descriptor; honours SO_LINGER */
/* The calling process has a file for it: what /proc and NETLINK_SOCK_DIAG name it by. */
void sock_set_file(struct sock *s, u64 ino);
int sock_bind(struct sock *s, const struct sock_addr *a);
int sock_connect(struct sock *s, const struct sock_addr *a, bool nonblock);
int sock_listen(struct sock *s, int backlog);
/* ret NULL: only look whether there is one, or wait for it. */
int sock_accept(struct sock *s, bool nonblock, struct sock **ret, struct sock_addr *ret_peer);
s64 sock_send(struct sock *s, struct sock_msg *m);
s64 sock_recv(struct sock *s, struct sock_msg *m);
int sock_shutdown(struct sock *s, int how);
int sock_getname(struct sock *s, bool peer, struct sock_addr *ret);
/* optval in kernel memory */
int sock_setopt(struct sock *s, int level, int name, const void *val, u32 len);
int sock_getopt(struct sock *s, int level, int name, void *ret_val, u32 *len);
/* SO_GET_FILTER of SOL_SOCKET, which is about a program's memory: room for *ulen instructions at uinsn; *ulen is then how many the filter has. 0 there
 * only asks. -ENOPROTOOPT: it is another option. -EINVAL (too few), -EFAULT. */
int sock_filter_out(struct sock *s, int level, int name, u64 uinsn, u64 ulen);
u32 sock_poll(struct sock *s, struct poll_table *pt);
/* SIOC* and FIONREAD/SIOCOUTQ; arg is a program address. -ENOTTY when unknown. */
int sock_ioctl(struct sock *s, u32 cmd, uaddr_t arg);
/* mmap(2) of a socket's memory: -ENODEV, -EINVAL for another length than all of it; then its pages, referenced, or -EFAULT. */
int sock_map(struct sock *s, u64 len_bytes);
int sock_map_page(struct sock *s, u64 index, struct page **ret);
int sock_domain(const struct sock *s);
int sock_type(const struct sock *s);

/* --- what the personality supplies; each pointer may stay NULL -------------------- */

/* Who calls: pid, effective uid and gid of the current process (SO_PEERCRED). NULL = 1, 0, 0. */
extern void (*sock_who)(u32 *ret_pid, u32 *ret_uid, u32 *ret_gid);
/* The same with the real ones (SCM_CREDENTIALS); and may it say that it is another? 0, -EPERM, -EINVAL. NULL = it may. */
extern void (*sock_sender)(u32 *ret_pid, u32 *ret_uid, u32 *ret_gid);
extern int (*sock_may_claim)(u32 pid, u32 uid, u32 gid);
/* Does the current process have this capability? NULL = yes. */
extern bool (*sock_capable)(unsigned cap);

/* Names of AF_UNIX sockets in the file system. A key is a referenced handle of the
 * socket's inode; equal inodes give equal keys. NULL table = pathnames give -EOPNOTSUPP. */
struct sock_path_ops {
    int (*make)(const char *path, void **ret_key); /* create the socket file: -EADDRINUSE when it exists, ... */
    int (*find)(const char *path, void **ret_key); /* -ENOENT, -ECONNREFUSED (not a socket), -EACCES */
    void (*put)(void *key);
};
extern const struct sock_path_ops *sock_path_ops;

/* Descriptors in flight (SCM_RIGHTS). NULL table = sending them gives -EOPNOTSUPP. */
struct sock_fd_ops {
    /* Take references of the files behind fds; *bundle (NULL at first) then holds them, too, and on failure what it
     * held. -EBADF, -ENOMEM, -EINVAL when they are too many. */
    int (*take)(const s32 *fds, u32 n, void **bundle);
    /* Give up to max of them to the current process as new descriptors and, unless it keeps them, drop the bundle; how many. */
    u32 (*give)(void *bundle, s32 *ret_fds, u32 max, bool cloexec, bool keep, bool *ret_truncated);
    void (*drop)(void *bundle);
    /* It goes into the queue of `holder` now: how ends that only hold each other are found. */
    void (*hold)(void *bundle, struct sock *holder);
};
extern const struct sock_fd_ops *sock_fd_ops;

#endif
