/* SPDX-License-Identifier: Apache-2.0 */
/* What there is of TCP, for /proc/net/tcp, counters, and the machine's end. */
#include "tcp_impl.h"

static bool unfinished(const struct tcp_node *n, void *ctx)
{
    return n->kind == NODE_CONN && !ip_addr_is_loopback(n->faddr) &&
           IN_STATES(container_of(n, struct tcp, node), ST(FIN_WAIT1) | ST(CLOSING) | ST(LAST_ACK));
}

bool tcp_unfinished(void) { return tcp_table_any(unfinished, NULL); }

u8 tcp_node_state(const struct tcp_node *n)
{
    return n->kind == NODE_CONN ? container_of(n, const struct tcp, node)->state : n->kind == NODE_TW ? TCP_TIME_WAIT : TCP_SYN_RCVD;
}

static void count_listener(const struct tcp_listen *l, void *states) { ((u32 *)states)[TCP_LISTEN]++; }

static bool count_node(const struct tcp_node *n, void *states)
{
    ((u32 *)states)[tcp_node_state(n) % NET_TCP_STATES]++;
    return false;
}

void net_tcp_states(u32 ret[NET_TCP_STATES])
{
    memset(ret, 0, NET_TCP_STATES * sizeof(*ret));
    tcp_listen_for_each(count_listener, ret);
    tcp_table_any(count_node, ret);
}

struct tally {
    u32 n;
    int domain;
};

static bool tally_node(const struct tcp_node *n, void *ctx)
{
    struct tally *x = ctx;
    x->n += n->kind == NODE_CONN && tcp_node_domain(n) == x->domain;
    return false;
}

u32 tcp_count_open(int domain)
{
    struct tally x = { .domain = domain };
    tcp_table_any(tally_node, &x);
    return x.n;
}

struct show {
    struct text t;
    unsigned n;
    int domain;
};

static void show_line(struct show *x, struct ip_addr la, u16 lp, struct ip_addr fa, u16 fp, u8 state, u32 tx, u32 rx, const struct sock *s)
{
    text_add(&x->t, "%4u:", x->n++);
    text_add_name(&x->t, x->domain, la, lp);
    text_add_name(&x->t, x->domain, fa, fp);
    text_add(&x->t, " %02X %08X:%08X 00:00000000 00000000 %5u        0 %u 1 0 100 0 0 10 0\n", state, tx, rx, s != NULL ? s->uid : 0,
             s != NULL ? s->ino : 0);
}

static void show_listener(const struct tcp_listen *l, void *ctx)
{
    struct show *x = ctx;
    const struct sock *s = &l->t->s;
    if (s->domain == x->domain)
        show_line(x, s->laddr, s->lport, IP6_ANY, 0, TCP_LISTEN, 0, l->naccept, s);
}

/* The family a line belongs to: the socket's; a remembered connection has only its addresses. */
int tcp_node_domain(const struct tcp_node *n)
{
    if (n->kind == NODE_TW)
        return ip_is_v4(n->laddr) ? AF_INET : AF_INET6;
    return n->kind == NODE_CONN ? container_of(n, const struct tcp, node)->s.domain
                                : container_of(n, const struct tcp_req, node)->listener->s.domain;
}

static bool show_node(const struct tcp_node *n, void *ctx)
{
    struct show *x = ctx;
    const struct tcp *c = n->kind == NODE_CONN ? container_of(n, const struct tcp, node) : NULL;
    if (tcp_node_domain(n) == x->domain)
        show_line(x, n->laddr, n->lport, n->faddr, n->fport, tcp_node_state(n), c != NULL ? c->write_seq - c->snd_una : 0,
                  c != NULL ? c->s.rcvq_bytes : 0, c != NULL ? &c->s : NULL);
    return false;
}

size_t tcp_show(char *buf, size_t size, int domain)
{
    struct show x = { .t = { buf, size, 0 }, .domain = domain };
    text_add(&x.t, domain == AF_INET6 ? "  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
                                      : "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode"
                                        "                                                     \n");
    tcp_listen_for_each(show_listener, &x);
    tcp_table_any(show_node, &x);
    return x.t.len;
}
