/* SPDX-License-Identifier: Apache-2.0 */
/*
 * net.ipv6.conf (/proc/sys/net/ipv6/conf), as ip-sysctl.rst of Linux has it: of all, default, lo and the card. There is only what has its effect here.
 * As in Linux `default` is for interfaces that come (none does), and `all` changes disable_ipv6 alone of those that there are.
 */
#include "base/fmt.h"
#include "ip6_impl.h"

#define DEFAULTS                                                                                                            \
    .accept_ra = 1, .accept_ra_defrtr = 1, .accept_ra_min_hop_limit = 1, .accept_ra_mtu = 1, .accept_ra_pinfo = 1, .accept_ra_rtr_pref = 1, .accept_redirects = 1, .autoconf = 1, \
    .dad_transmits = 1, .hop_limit = 64, .max_desync_factor = 600, .regen_max_retry = 3, .temp_prefered_lft = 86400, .temp_valid_lft = 604800
struct ip6_conf ip6_confs[CONFS] = {
    [CONF_ALL] = { DEFAULTS, .mtu = 1280 },
    [CONF_DEFAULT] = { DEFAULTS, .mtu = 1280 },
    [CONF_LO] = { DEFAULTS, .use_tempaddr = -1 },
    [CONF_CARD] = { DEFAULTS },
};

u8 ip6_hops(const struct netif *nif) { return (u8)atomic_load_relaxed(&ip6_confs[nif->loopback ? CONF_LO : CONF_CARD].hop_limit); }

static void disable_one(unsigned which)
{
    struct netif *nif = six.nif;
    if (which == CONF_LO)
        net_changed();
    else if (which == CONF_CARD && atomic_load(&ip6_card.disable_ipv6) != 0)
        ip6_stop();
    else if (which == CONF_CARD && nif != NULL && nif->dev->opened && ip_is_unspec(ip6_link_local()))
        ip6_start(nif);
}

static void disable_changed(struct ip6_conf *c)
{
    if (c != &ip6_confs[CONF_ALL]) {
        disable_one((unsigned)(c - ip6_confs));
        return;
    }
    for (unsigned i = CONF_DEFAULT; i < CONFS; i++) {
        atomic_store(&ip6_confs[i].disable_ipv6, c->disable_ipv6);
        disable_one(i);
    }
}

static void mtu_changed(struct ip6_conf *c)
{
    if (c == &ip6_card)
        atomic_add(&route_gen, 1u);
}

#define ANY .min = INT32_MIN, .max = INT32_MAX
static const struct ip6_item items[] = {
    IP6_ITEM(accept_ra, ANY),
    IP6_ITEM(accept_ra_defrtr, ANY),
    IP6_ITEM(accept_ra_min_hop_limit, ANY),
    IP6_ITEM(accept_ra_mtu, ANY),
    IP6_ITEM(accept_ra_pinfo, ANY),
    IP6_ITEM(accept_ra_rt_info_max_plen, ANY),
    IP6_ITEM(accept_ra_rt_info_min_plen, ANY),
    IP6_ITEM(accept_ra_rtr_pref, ANY),
    IP6_ITEM(accept_redirects, ANY),
    IP6_ITEM(autoconf, ANY),
    IP6_ITEM(dad_transmits, ANY),
    IP6_ITEM(disable_ipv6, ANY, .changed = disable_changed),
    IP6_ITEM(forwarding, .fixed = true),
    IP6_ITEM(hop_limit, .min = 1, .max = 255),
    IP6_ITEM(mtu, .min = 1280, .max = INT32_MAX, .changed = mtu_changed),
    { .name = NULL },
};

/* Whose word it is, of which item: a file's argument is the word's address. */
static struct ip6_conf *conf_of(const s32 *word) { return &ip6_confs[(size_t)((const u8 *)word - (const u8 *)ip6_confs) / sizeof(struct ip6_conf)]; }

static const struct ip6_item *item_in(const struct ip6_item *i, u32 at)
{
    while (i->name != NULL && i->at != at)
        i++;
    return i;
}

static size_t show(void *arg, char *buf, size_t size) { return (size_t)fmt_snprintf(buf, size, "%d\n", atomic_load((const s32 *)arg)); }

static bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\0'; }

/* The first word of the text, as Linux takes it. */
static int parse(const char *text, size_t len, s64 *ret)
{
    char word[24];
    u64 v;
    size_t n = 0;
    for (; len > 0 && is_blank(*text); len--)
        text++;
    while (n < len && !is_blank(text[n]))
        n++;
    bool minus = n > 0 && text[0] == '-';
    if (n >= sizeof word)
        return -EINVAL;
    memcpy(word, text + minus, n - minus);
    word[n - minus] = '\0';
    int err = str_to_u64(word, &v);
    if (err != 0 || v > INT32_MAX)
        return -EINVAL;
    *ret = minus ? -(s64)v : (s64)v;
    return 0;
}

/* The largest MTU is the interface's, and that of lo is as it is. */
static bool fits(const struct ip6_item *i, const struct ip6_conf *c, s64 v)
{
    const struct netif *nif = c == &ip6_card ? netif_card() : NULL;
    if (i->at != offsetof(struct ip6_conf, mtu))
        return v >= i->min && v <= i->max;
    return c == &ip6_confs[CONF_LO] ? v == c->mtu : v >= i->min && v <= (nif != NULL ? (s64)nif->dev->mtu : i->max);
}

static int store(void *arg, const char *text, size_t len)
{
    struct ip6_conf *c = conf_of(arg);
    u32 at = (u32)((const u8 *)arg - (const u8 *)c);
    const struct ip6_item *i = item_in(items, at);
    s64 v;
    if (i->name == NULL)
        i = item_in(ip6_temp_items, at);
    int err = parse(text, len, &v);
    if (err != 0)
        return err;
    if (!fits(i, c, v))
        return -EINVAL;
    atomic_store((s32 *)arg, (s32)v);
    if (i->changed != NULL)
        i->changed(c);
    return 0;
}

static int add_items(const char *dir, struct ip6_conf *c, const struct ip6_item *i, net_conf_add_fn *add)
{
    char path[80];
    int err = 0;
    for (; i->name != NULL && err == 0; i++) {
        fmt_snprintf(path, sizeof path, "sys/net/ipv6/conf/%s/%s", dir, i->name);
        err = add(path, i->fixed ? 0444 : 0644, show, i->fixed ? NULL : store, (u8 *)c + i->at);
    }
    return err;
}

int net_conf_add(net_conf_add_fn *add)
{
    int err = 0;
    for (unsigned k = 0; k < CONFS && err == 0; k++) {
        const struct netif *nif = k == CONF_LO ? &lo_if : k == CONF_CARD ? netif_card() : NULL;
        const char *dir = k == CONF_ALL ? "all" : k == CONF_DEFAULT ? "default" : nif != NULL ? nif->dev->name : NULL;
        if (dir == NULL) /* no card */
            continue;
        if (nif != NULL)
            atomic_store(&ip6_confs[k].mtu, (s32)nif->dev->mtu);
        err = add_items(dir, &ip6_confs[k], items, add);
        if (err == 0)
            err = add_items(dir, &ip6_confs[k], ip6_temp_items, add);
    }
    return err;
}
