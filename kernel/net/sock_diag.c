/* SPDX-License-Identifier: Apache-2.0 */
/* NETLINK_SOCK_DIAG (sock_diag(7)): which sockets there are, for ss. SOCK_DESTROY is refused. */
#include "diag_impl.h"

#define SOCK_DESTROY 21

void diag_memory(struct nl_answer *a, u16 type, const struct sock *s)
{
    /* rmem, rcvbuf, wmem, sndbuf, forward, wmem queued, options, backlog, drops: those we do not have are 0 */
    const u32 v[9] = { s->rcv_mem, s->rcvbuf, s->snd_mem, s->sndbuf, 0, s->snd_mem, 0, 0, 0 };
    nl_attr(a, type, v, sizeof v);
}

struct sock_dump {
    struct nl_dump d;
    void (*find)(struct socks_found *f);
    diag_tell_fn *tell;
    struct socks_found f; /* how far */
    u8 request[];
};

static bool more(struct nl_answer *a, struct nl_dump *d)
{
    struct sock_dump *x = container_of(d, struct sock_dump, d);
    x->f.n = 0;
    x->find(&x->f);
    for (unsigned i = 0; i < x->f.n; i++) {
        x->tell(a, x->f.s[i], x->request);
        sock_put(x->f.s[i]);
    }
    return x->f.n == SOCKS_FOUND;
}

int diag_dump(struct nl_answer *a, void (*find)(struct socks_found *f), diag_tell_fn *tell, const void *request, size_t len)
{
    struct sock_dump *x = kzalloc(sizeof *x + len);
    if (x == NULL)
        return -ENOMEM;
    x->d.more = more;
    x->find = find;
    x->tell = tell;
    memcpy(x->request, request, len);
    a->dump = &x->d;
    return 0;
}

static int handle(struct nl_answer *a, const struct nl_request *r)
{
    if (r->type < NLMSG_MIN_TYPE)
        return 0;
    if (r->type == SOCK_DESTROY)
        return sock_may(12) ? -EOPNOTSUPP : -EPERM; /* CAP_NET_ADMIN */
    if (r->type != SOCK_DIAG_BY_FAMILY || r->len < 2)
        return -EINVAL;
    switch (r->body[0]) {
    case AF_INET:
    case AF_INET6:
        return diag_inet(a, r);
    case AF_UNIX:
        return diag_unix(a, r);
    case AF_PACKET:
    case AF_NETLINK:
        return diag_other(a, r);
    default:
        return -ENOENT; /* as Linux without the family's module */
    }
}

nl_handler *const sock_diag_handle = handle;
