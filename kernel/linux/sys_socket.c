/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Socket calls: the glue between descriptors and kern/socket.h. Addresses, messages
 * and options are copied here; what a socket does is net's. The hooks at the end give
 * net what it must not know itself: who calls, names in the tree, descriptors.
 */
#include "msg.h"
#include "scm.h"
#include "base/str.h"

#define SOCK_CLOEXEC 02000000
#define SOCK_NONBLOCK 04000
#define SOCK_TYPE_MASK 0xf
#define MSG_TRUNC 0x20u
#define MSG_DONTWAIT 0x40u
#define MSG_NOSIGNAL 0x4000u
#define MSG_CMSG_CLOEXEC 0x40000000u
#define CONTROL_MAX 10240u
#define OPTVAL_MAX 9216u /* MCAST_MSFILTER with 64 sources */
#define VLEN_MAX 1024u

/* --- sockets as files -------------------------------------------------------------- */

static u32 wait_flag(const struct file *f, u32 flags)
{
    return flags | (atomic_load_relaxed(&f->flags) & O_NONBLOCK ? MSG_DONTWAIT : 0);
}

static s64 socket_read(struct file *f, struct uio *u, u64 *pos)
{
    struct sock_msg m = {.uio = u, .flags = wait_flag(f, 0)};
    return u->remaining == 0 ? 0 : sock_recv(f->private, &m);
}

static s64 socket_write(struct file *f, struct uio *u, u64 *pos)
{
    struct sock_msg m = {.uio = u, .flags = wait_flag(f, 0)};
    return sock_send(f->private, &m);
}

static u32 socket_poll(struct file *f, struct poll_table *pt) { return sock_poll(f->private, pt); }
static s64 socket_ioctl(struct file *f, u32 cmd, uaddr_t arg) { return sock_ioctl(f->private, cmd, arg); }
static void socket_release(struct file *f)
{
    if (f->private != NULL) /* it was made for a connection that did not come */
        sock_release(f->private);
    scm_collect();
}

static const struct file_ops socket_ops = {
    .read = socket_read, .write = socket_write, .poll = socket_poll, .ioctl = socket_ioctl, .mmap = socket_mmap, .release = socket_release,
};

struct sock *file_sock(struct file *f)
{
    return f->ops == &socket_ops ? f->private : NULL;
}

/* A file that nobody sees before it has its socket. */
static int bare_file(u32 type_flags, struct file **ret)
{
    return file_create_inode("socket", &socket_ops, NULL, S_IFSOCK | 0777, O_RDWR | (type_flags & SOCK_NONBLOCK ? O_NONBLOCK : 0), ret);
}

static void give_socket(struct file *f, struct sock *s)
{
    f->private = s;
    sock_set_file(s, f->inode->ino);
}

/* Wrap s, which is released on failure. */
static int socket_file(struct sock *s, u32 type_flags, struct file **ret)
{
    int r = bare_file(type_flags, ret);
    if (r < 0)
        sock_release(s);
    else
        give_socket(*ret, s);
    return r;
}

/* The socket behind fd; *ret_file is referenced. -EBADF, -ENOTSOCK. */
static int socket_of(int fd, struct file **ret_file, struct sock **ret)
{
    struct file *f = file_of(fd);
    if (f == NULL)
        return -EBADF;
    struct sock *s = file_sock(f);
    if (s == NULL) {
        file_put(f);
        return -ENOTSOCK;
    }
    *ret_file = f;
    *ret = s;
    return 0;
}

/* --- addresses ------------------------------------------------------------------------ */

int sock_addr_get(uaddr_t uaddr, int len, struct sock_addr *ret)
{
    if (len < 0 || (u32)len > sizeof ret->data)
        return -EINVAL;
    memset(ret, 0, sizeof *ret);
    ret->len = (u32)len;
    return len == 0 ? 0 : copy_from_user(ret->data, uaddr, (size_t)len);
}

/* Value-result: as much as fits, and the true length. */
static int put_addr(uaddr_t uaddr, uaddr_t ulen, const struct sock_addr *a)
{
    u32 room;
    if (get_user_u32(ulen, &room) < 0)
        return -EFAULT;
    if ((s32)room < 0)
        return -EINVAL;
    u32 len = MIN(a->len, (u32)sizeof a->data);
    if (copy_to_user(uaddr, a->data, MIN(room, len)) < 0)
        return -EFAULT;
    return put_user_u32(ulen, a->len);
}

/* --- making and connecting --------------------------------------------------------------- */

s64 sys_socket(int domain, int type, int protocol)
{
    struct sock *s;
    struct file *f;
    u32 flags = (u32)type & ~SOCK_TYPE_MASK;
    if (flags & ~(SOCK_CLOEXEC | SOCK_NONBLOCK))
        return -EINVAL;
    int r = sock_create(domain, type & SOCK_TYPE_MASK, protocol, &s);
    if (r == 0)
        r = socket_file(s, flags, &f);
    if (r < 0)
        return r;
    r = fd_install(current_files(), f, 0, (flags & SOCK_CLOEXEC) != 0);
    if (r < 0)
        file_put(f);
    return r;
}

s64 sys_socketpair(int domain, int type, int protocol, uaddr_t ufds)
{
    struct sock *s[2];
    struct file *f[2];
    u32 flags = (u32)type & ~SOCK_TYPE_MASK;
    if (flags & ~(SOCK_CLOEXEC | SOCK_NONBLOCK))
        return -EINVAL;
    int r = sock_create_pair(domain, type & SOCK_TYPE_MASK, protocol, s);
    if (r < 0)
        return r;
    r = socket_file(s[0], flags, &f[0]);
    if (r < 0) {
        sock_release(s[1]);
        return r;
    }
    r = socket_file(s[1], flags, &f[1]);
    if (r < 0) {
        file_put(f[0]);
        return r;
    }
    return install_pair(f, (flags & SOCK_CLOEXEC) != 0, ufds);
}

static int socket_and_addr(int fd, uaddr_t uaddr, int len, struct file **ret_f, struct sock **ret_s, struct sock_addr *ret_addr)
{
    int r = socket_of(fd, ret_f, ret_s);
    if (r < 0)
        return r;
    r = sock_addr_get(uaddr, len, ret_addr);
    if (r < 0)
        file_put(*ret_f);
    return r;
}

s64 sys_bind(int fd, uaddr_t uaddr, int len)
{
    struct file *f;
    struct sock *s;
    struct sock_addr a;
    int r = socket_and_addr(fd, uaddr, len, &f, &s, &a);
    if (r < 0)
        return r;
    r = sock_bind(s, &a);
    file_put(f);
    return r;
}

s64 sys_connect(int fd, uaddr_t uaddr, int len)
{
    struct file *f;
    struct sock *s;
    struct sock_addr a;
    int r = socket_and_addr(fd, uaddr, len, &f, &s, &a), err = r == -ENOTSOCK ? sock_addr_get(uaddr, len, &a) : 0;
    if (r < 0)
        return err != 0 ? err : r; /* unlike bind(), it looks at the address first */
    r = sock_connect(s, &a, (f->flags & O_NONBLOCK) != 0);
    file_put(f);
    return r;
}

s64 sys_listen(int fd, int backlog)
{
    struct file *f;
    struct sock *s;
    int r = socket_of(fd, &f, &s);
    if (r < 0)
        return r;
    r = sock_listen(s, backlog);
    file_put(f);
    return r;
}

s64 sys_accept4(int fd, uaddr_t uaddr, uaddr_t ulen, int flags)
{
    struct file *f, *nf = NULL;
    struct sock *s, *ns;
    struct sock_addr peer = {0};
    struct fdtable *t = current_files();
    if (flags & ~(SOCK_CLOEXEC | SOCK_NONBLOCK))
        return -EINVAL;
    int r = socket_of(fd, &f, &s);
    if (r < 0)
        return r;
    /* The descriptor and the file first: with none to be had the connection stays in the queue. */
    int nfd = fd_reserve(t, 0, (flags & SOCK_CLOEXEC) != 0);
    bool nonblock = (f->flags & O_NONBLOCK) != 0;
    r = nfd < 0 ? nfd : nonblock ? sock_accept(s, true, NULL, NULL) : 0; /* no file for nothing */
    if (r == 0)
        r = bare_file((u32)flags, &nf);
    if (r == 0)
        r = sock_accept(s, nonblock, &ns, uaddr != 0 ? &peer : NULL);
    if (r == 0) {
        give_socket(nf, ns);
        if (uaddr != 0)
            r = put_addr(uaddr, ulen, &peer);
    }
    file_put(f);
    if (r < 0) {
        file_put(nf);
        if (nfd >= 0)
            fd_unreserve(t, nfd);
        return r;
    }
    fd_publish(t, nfd, nf);
    return nfd;
}

s64 sys_accept(int fd, uaddr_t uaddr, uaddr_t ulen) { return sys_accept4(fd, uaddr, ulen, 0); }

s64 sys_shutdown(int fd, int how)
{
    struct file *f;
    struct sock *s;
    int r = socket_of(fd, &f, &s);
    if (r < 0)
        return r;
    r = how < 0 || how > 2 ? -EINVAL : sock_shutdown(s, how);
    file_put(f);
    return r;
}

static s64 getname(int fd, uaddr_t uaddr, uaddr_t ulen, bool peer)
{
    struct file *f;
    struct sock *s;
    struct sock_addr a = {0};
    int r = socket_of(fd, &f, &s);
    if (r < 0)
        return r;
    r = sock_getname(s, peer, &a);
    file_put(f);
    return r < 0 ? r : put_addr(uaddr, ulen, &a);
}

s64 sys_getsockname(int fd, uaddr_t uaddr, uaddr_t ulen) { return getname(fd, uaddr, ulen, false); }
s64 sys_getpeername(int fd, uaddr_t uaddr, uaddr_t ulen) { return getname(fd, uaddr, ulen, true); }

/* --- options --------------------------------------------------------------------------------- */

s64 sys_setsockopt(int fd, int level, int name, uaddr_t uval, int len)
{
    struct file *f;
    struct sock *s;
    u8 small[64], *val = small;
    if (len < 0)
        return -EINVAL;
    int r = socket_of(fd, &f, &s);
    if (r < 0)
        return r;
    u32 n = MIN((u32)len, OPTVAL_MAX);
    if (n > sizeof small) {
        val = kmalloc(n, 0);
        if (val == NULL)
            r = -ENOMEM;
    }
    if (r == 0)
        r = copy_from_user(val, uval, n);
    if (r == 0)
        r = sock_setopt(s, level, name, val, n);
    if (val != small)
        kfree(val);
    file_put(f);
    return r;
}

/* What the option tells depends on what stands there: the version of PACKET_HDRLEN, the group of IP_MSFILTER and MCAST_MSFILTER. */
static bool answers_in_place(const struct sock *s, int name)
{
    int d = sock_domain(s);
    return d == AF_PACKET || ((d == AF_INET || d == AF_INET6) && (name == 41 || name == 48));
}

s64 sys_getsockopt(int fd, int level, int name, uaddr_t uval, uaddr_t ulen)
{
    struct file *f;
    struct sock *s;
    u8 small[64], *val = small;
    u32 len;
    int r = socket_of(fd, &f, &s);
    if (r < 0)
        return r;
    r = get_user_u32(ulen, &len);
    if (r == 0 && (s32)len < 0)
        r = -EINVAL;
    int filter = r == 0 ? sock_filter_out(s, level, name, uval, ulen) : r;
    if (filter != -ENOPROTOOPT) {
        file_put(f);
        return filter;
    }
    if (r == 0) {
        len = MIN(len, OPTVAL_MAX);
        if (len > sizeof small)
            val = kmalloc(len, 0);
        if (val == NULL)
            r = -ENOMEM;
    }
    if (r == 0) {
        memset(val, 0, MIN(len, (u32)sizeof small));
        if (answers_in_place(s, name))
            r = copy_from_user(val, uval, len);
    }
    if (r == 0) {
        r = sock_getopt(s, level, name, val, &len);
    }
    if (r == 0)
        r = copy_to_user(uval, val, len);
    if (r == 0)
        r = put_user_u32(ulen, len);
    if (val != small)
        kfree(val);
    file_put(f);
    return r;
}

/* --- data --------------------------------------------------------------------------------------- */

static s64 send_result(struct sock *s, s64 r, u32 flags)
{
    if (r == -EPIPE && !(flags & MSG_NOSIGNAL) && (sock_type(s) == SOCK_STREAM || sock_type(s) == SOCK_SEQPACKET))
        signal_send_self(SIGPIPE);
    return r;
}

s64 sys_sendto(int fd, uaddr_t buf, u64 len, u32 flags, uaddr_t uaddr, int addr_len)
{
    struct file *f;
    struct sock *s;
    struct sock_addr a;
    struct uio u;
    s64 r = socket_of(fd, &f, &s);
    if (r < 0)
        return r;
    r = uio_user(&u, buf, MIN(len, MAX_RW_COUNT));
    if (r == 0 && uaddr != 0)
        r = sock_addr_get(uaddr, addr_len, &a);
    if (r == 0) {
        struct sock_msg m = {.uio = &u, .to = uaddr != 0 ? &a : NULL, .flags = wait_flag(f, flags)};
        r = send_result(s, sock_send(s, &m), flags);
    }
    file_put(f);
    return r;
}

s64 sys_recvfrom(int fd, uaddr_t buf, u64 len, u32 flags, uaddr_t uaddr, uaddr_t ulen)
{
    struct file *f;
    struct sock *s;
    struct sock_addr a = {0};
    struct uio u;
    s64 r = socket_of(fd, &f, &s);
    if (r < 0)
        return r;
    r = uio_user(&u, buf, MIN(len, MAX_RW_COUNT));
    if (r == 0) {
        struct sock_msg m = {.uio = &u, .from = uaddr != 0 ? &a : NULL, .flags = wait_flag(f, flags)};
        r = sock_recv(s, &m);
    }
    file_put(f);
    if (r >= 0 && uaddr != 0) {
        int e = put_addr(uaddr, ulen, &a);
        if (e < 0)
            r = e;
    }
    return r;
}

struct abi_mmsghdr {
    struct abi_msghdr hdr;
    u32 len, pad;
};
_Static_assert(sizeof(struct abi_mmsghdr) == 64, "struct mmsghdr");

int msg_get(struct msg *m, uaddr_t umsg, bool sending)
{
    m->segs = m->fast;
    m->control = NULL;
    if (copy_from_user(&m->h, umsg, sizeof m->h) < 0)
        return -EFAULT;
    if (m->h.iovlen > UIO_MAX_SEGS)
        return -EMSGSIZE;
    if ((s32)m->h.namelen < 0)
        return -EINVAL;
    if (m->h.name == 0)
        m->h.namelen = 0;
    if (m->h.iovlen > ARRAY_SIZE(m->fast)) {
        m->segs = kmalloc(m->h.iovlen * sizeof *m->segs, 0);
        if (m->segs == NULL)
            return -ENOMEM;
    }
    int r = copy_from_user(m->segs, m->h.iov, m->h.iovlen * sizeof *m->segs);
    if (r == 0)
        r = uio_user_segs(&m->u, m->segs, (u32)m->h.iovlen);
    memset(&m->addr, 0, sizeof m->addr);
    if (r == 0 && sending && m->h.name != 0)
        r = sock_addr_get(m->h.name, (int)MIN(m->h.namelen, (u32)sizeof m->addr.data), &m->addr);
    if (m->h.control == 0)
        m->h.controllen = 0;
    if (r == 0 && m->h.controllen != 0) {
        if (sending && m->h.controllen > CONTROL_MAX)
            r = -ENOBUFS;
        m->h.controllen = MIN(m->h.controllen, CONTROL_MAX);
        m->control = r == 0 ? kzalloc(m->h.controllen) : NULL;
        if (r == 0 && m->control == NULL)
            r = -ENOMEM;
        if (r == 0 && sending)
            r = copy_from_user(m->control, m->h.control, m->h.controllen);
    }
    return r;
}

void msg_put(struct msg *m)
{
    if (m->segs != m->fast)
        kfree(m->segs);
    kfree(m->control);
}

s64 msg_send(struct file *f, struct msg *m, u32 flags)
{
    struct sock *s = file_sock(f);
    struct sock_msg sm = {.uio = &m->u, .to = m->h.name != 0 && m->h.namelen != 0 ? &m->addr : NULL, .control = m->control,
                          .control_len = (u32)m->h.controllen, .flags = wait_flag(f, flags)};
    return send_result(s, sock_send(s, &sm), flags);
}

s64 msg_recv(struct file *f, struct msg *m, uaddr_t umsg, u32 flags)
{
    struct sock_msg sm = {.uio = &m->u, .from = m->h.name != 0 ? &m->addr : NULL, .ret_control = m->control,
                          .control_len = (u32)m->h.controllen, .flags = wait_flag(f, flags)};
    s64 r = sock_recv(file_sock(f), &sm);
    if (r < 0)
        return r;
    u32 namelen = m->addr.len;
    u64 controllen = m->control != NULL ? sm.control_len : 0;
    int e = controllen != 0 ? copy_to_user(m->h.control, m->control, MIN(controllen, m->h.controllen)) : 0;
    if (e != 0)
        scm_untold(m->control, (u32)controllen);
    if (e == 0 && m->h.name != 0) {
        e = copy_to_user(m->h.name, m->addr.data, MIN(MIN(m->h.namelen, namelen), (u32)sizeof m->addr.data));
        if (e == 0)
            e = put_user_u32(umsg + offsetof(struct abi_msghdr, namelen), namelen);
    }
    if (e == 0)
        e = put_user_u64(umsg + offsetof(struct abi_msghdr, controllen), controllen);
    if (e == 0)
        e = put_user_u32(umsg + offsetof(struct abi_msghdr, flags), (sm.flags & ~(MSG_DONTWAIT | MSG_CMSG_CLOEXEC)) | (flags & MSG_CMSG_CLOEXEC));
    return e < 0 ? e : r;
}

/* One message: msg_send(), or msg_recv(). */
static s64 one_msg(struct file *f, uaddr_t umsg, u32 flags, bool sending)
{
    struct msg m;
    s64 r = msg_get(&m, umsg, sending);
    if (r == 0)
        r = sending ? msg_send(f, &m, flags) : msg_recv(f, &m, umsg, flags);
    msg_put(&m);
    return r;
}

static s64 message(int fd, uaddr_t umsg, u32 flags, bool sending)
{
    struct file *f;
    struct sock *s;
    s64 r = socket_of(fd, &f, &s);
    if (r < 0)
        return r;
    r = one_msg(f, umsg, flags, sending);
    file_put(f);
    return r;
}

s64 sys_sendmsg(int fd, uaddr_t umsg, u32 flags) { return message(fd, umsg, flags, true); }
s64 sys_recvmsg(int fd, uaddr_t umsg, u32 flags) { return message(fd, umsg, flags, false); }

/* Until one fails, or the time is over: how many. */
static s64 messages(int fd, uaddr_t uvec, u32 n, u32 flags, u64 deadline, bool sending)
{
    struct file *f;
    struct sock *s;
    s64 r = socket_of(fd, &f, &s);
    u32 done = 0;
    if (r < 0)
        return r;
    r = sending || (flags & MSG_ERRQUEUE) ? 0 : sock_take_err(s); /* first, also where there is nothing to be read */
    for (n = MIN(n, VLEN_MAX); r >= 0 && done < n;) {
        uaddr_t one = uvec + done * sizeof(struct abi_mmsghdr);
        r = one_msg(f, one, flags & ~MSG_WAITFORONE, sending);
        if (r >= 0 && put_user_u32(one + offsetof(struct abi_mmsghdr, len), (u32)r) < 0)
            r = -EFAULT;
        if (r < 0)
            break;
        done++;
        if (flags & MSG_WAITFORONE)
            flags |= MSG_DONTWAIT;
        if ((deadline != NEVER_NS && now_ns() >= deadline) || !cond_resched())
            break;
    }
    file_put(f);
    return done > 0 || r >= 0 ? done : r;
}

s64 sys_sendmmsg(int fd, uaddr_t uvec, u32 n, u32 flags) { return messages(fd, uvec, n, flags & ~MSG_WAITFORONE, NEVER_NS, true); }

s64 sys_recvmmsg(int fd, uaddr_t uvec, u32 n, u32 flags, uaddr_t utimeout)
{
    u64 deadline;
    s64 r = get_timeout(utimeout, CLOCK_DURATION, &deadline);
    if (r == 0)
        r = messages(fd, uvec, n, flags, deadline, false);
    if (utimeout != 0 && r > 0) {
        u64 now = now_ns();
        put_timespec(utimeout, deadline > now ? deadline - now : 0);
    }
    return r;
}

/* --- what net asks for ------------------------------------------------------------------------------ */

static void who(u32 *ret_pid, u32 *ret_uid, u32 *ret_gid)
{
    struct task *t = current_thread()->task;
    *ret_pid = t != NULL ? t->proc->pid : 1;
    *ret_uid = t != NULL ? t->cred->euid : 0;
    *ret_gid = t != NULL ? t->cred->egid : 0;
}

static void sender(u32 *ret_pid, u32 *ret_uid, u32 *ret_gid)
{
    struct task *t = current_thread()->task;
    *ret_pid = t != NULL ? t->proc->pid : 1;
    *ret_uid = t != NULL ? t->cred->uid : 0;
    *ret_gid = t != NULL ? t->cred->gid : 0;
}

static int may_claim(u32 pid, u32 uid, u32 gid)
{
    struct task *t = current_thread()->task;
    const struct cred *c = t->cred;
    if (uid == UINT32_MAX || gid == UINT32_MAX)
        return -EINVAL;
    bool may = (pid == t->proc->pid || cred_capable(c, CAP_SYS_ADMIN)) && (uid == c->uid || uid == c->euid || uid == c->suid || cred_capable(c, CAP_SETUID)) &&
               (gid == c->gid || gid == c->egid || gid == c->sgid || cred_capable(c, CAP_SETGID));
    return may ? 0 : -EPERM;
}

static bool has_capability(unsigned cap)
{
    struct task *t = current_thread()->task;
    return t == NULL || cred_capable(t->cred, cap);
}

static int find_socket_name(const char *path, void **ret_key)
{
    struct task *t = current_task();
    struct lookup l = {.fs = t->fs, .cred = t->cred};
    struct path p;
    int r = vfs_lookup(&l, path, 0, &p);
    if (r < 0)
        return r;
    struct inode *i = p.dentry->inode;
    r = !S_ISSOCK(i->mode) ? -ECONNREFUSED : vfs_access(&p, t->cred, 2);
    if (r == 0)
        *ret_key = inode_get(i);
    path_put(&p);
    return r;
}

static int make_socket_name(const char *path, void **ret_key)
{
    struct task *t = current_task();
    struct lookup l = {.fs = t->fs, .cred = t->cred};
    int r = vfs_mknod(&l, path, S_IFSOCK | 0777, 0);
    return r == -EEXIST ? -EADDRINUSE : r < 0 ? r : find_socket_name(path, ret_key);
}

static void put_socket_name(void *key) { inode_put(key); }

static const struct sock_path_ops path_ops = {.make = make_socket_name, .find = find_socket_name, .put = put_socket_name};

void socket_glue_init(void)
{
    sock_who = who;
    sock_sender = sender;
    sock_may_claim = may_claim;
    sock_capable = has_capability;
    sock_path_ops = &path_ops;
    sock_fd_ops = &scm_fd_ops;
}
