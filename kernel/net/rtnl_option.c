/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a router advertises for programs (RFC 8106: name servers, search domains; RFC 8910, 8781): told to the group of RTM_NEWNDUSEROPT as it
 * came, one message for each option, by the work thread. Of a burst as many are told as there is room for; routers repeat themselves.
 */
#include "kern/work.h"
#include "netlink_impl.h"

#define RTM_NEWNDUSEROPT 68
#define ATTR_SOURCE 1
#define ROUTER_ADVERT 134
#define WAITING 8u
#define OPTION_MAX 512u

struct message { /* struct nduseroptmsg */
    u8 family, pad;
    u16 len; /* of the options behind it */
    s32 ifindex;
    u8 icmp_type, icmp_code;
    u8 pads[6];
};
_Static_assert(sizeof(struct message) == 16, "linux/rtnetlink.h");

struct option {
    struct ip_addr router;
    u32 ifindex, len;
    u8 bytes[OPTION_MAX];
};

static struct spinlock option_lock = SPINLOCK_INIT("netlink_option");
static struct option *waiting; /* option_lock; made by the first that listens */
static u32 n;                  /* option_lock */

static void tell(struct nl_answer *a, const void *what)
{
    const struct option *o = what;
    u8 fixed[sizeof(struct message) + OPTION_MAX];
    const struct message m = { .family = AF_INET6, .len = (u16)o->len, .ifindex = (s32)o->ifindex, .icmp_type = ROUTER_ADVERT };
    memcpy(fixed, &m, sizeof m);
    memcpy(fixed + sizeof m, o->bytes, o->len);
    nl_begin(a, RTM_NEWNDUSEROPT, 0, fixed, (u32)sizeof m + o->len);
    nl_attr(a, ATTR_SOURCE, &o->router, sizeof o->router);
    nl_end(a);
}

static void work_fn(struct work *w)
{
    static struct option one; /* the work thread's */
    for (;;) {
        spin_lock_bh(&option_lock);
        bool any = n > 0;
        if (any) {
            one = waiting[0];
            memmove(waiting, waiting + 1, --n * sizeof *waiting);
        }
        spin_unlock_bh(&option_lock);
        if (!any)
            return;
        nl_multicast(RTMGRP_ND_USEROPT, tell, &one, false);
    }
}

static struct work work = { .node = LIST_INIT(work.node), .fn = work_fn };

void rtnl_option(const struct netif *nif, struct ip_addr router, const u8 *o, u32 len)
{
    if (len > OPTION_MAX)
        return;
    spin_lock_bh(&option_lock);
    bool room = waiting != NULL && n < WAITING;
    if (room) {
        waiting[n] = (struct option){ .router = router, .ifindex = nif->dev->index, .len = len };
        memcpy(waiting[n++].bytes, o, len);
    }
    spin_unlock_bh(&option_lock);
    if (room)
        work_queue(&work);
}

int rtnl_option_watch(void)
{
    struct option *w = kmalloc(WAITING * sizeof *w, 0);
    if (w == NULL)
        return -ENOMEM;
    spin_lock_bh(&option_lock);
    bool first = waiting == NULL;
    if (first)
        waiting = w;
    spin_unlock_bh(&option_lock);
    if (!first)
        kfree(w);
    return 0;
}
