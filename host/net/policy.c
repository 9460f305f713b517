/* SPDX-License-Identifier: Apache-2.0 */
/* Rules of the packet filter: see policy.h. */
#include "host/net/policy.h"

#include <arpa/inet.h>
#include <string.h>

/* --- one rule ------------------------------------------------------------------------ */

/* ADDRESS[/BITS] */
static bool parse_prefix(struct rule *r, const char *text)
{
    AUTO_FREE char *copy = xstrdup(text);
    char *slash = strchr(copy, '/');
    struct in_addr v4;
    u64 bits;
    if (slash)
        *slash++ = 0;
    bool is_v4 = inet_pton(AF_INET, copy, &v4) == 1;
    if (!is_v4 && inet_pton(AF_INET6, copy, &r->prefix) != 1)
        return false;
    bits = is_v4 ? 32 : 128;
    if (slash && parse_number(slash, 0, bits, &bits) < 0)
        return false;
    if (is_v4) {
        memset(r->prefix.s6_addr, 0, 10);
        memset(r->prefix.s6_addr + 10, 0xff, 2);
        memcpy(r->prefix.s6_addr + 12, &v4, 4);
        bits += 96;
    }
    r->bits = (unsigned)bits;
    r->everywhere = false;
    return true;
}

static bool parse_ports(struct rule *r, const char *text)
{
    AUTO_FREE char *copy = xstrdup(text);
    char *dash = strchr(copy, '-');
    u64 first, last;
    if (dash)
        *dash++ = 0;
    if (parse_number(copy, 1, 65535, &first) < 0 || (dash && parse_number(dash, first, 65535, &last) < 0))
        return false;
    r->first = (u16)first;
    r->last = (u16)(dash ? last : first);
    return true;
}

/* "tcp:" or "udp:" in front: *text stands behind it. */
static u8 take_proto(const char **text)
{
    u8 proto = str_has_prefix(*text, "tcp:") ? IPPROTO_TCP : str_has_prefix(*text, "udp:") ? IPPROTO_UDP : 0;
    *text += proto ? 4 : 0;
    return proto;
}

static const struct rule any_rule = {.last = 65535, .everywhere = true};

bool rule_parse(struct rule *r, const char *text)
{
    AUTO_FREE char *copy = xstrdup(text);
    char *at = strchr(copy, '@'), *colon;
    *r = any_rule;
    if (at)
        *at++ = 0;
    if ((colon = strchr(copy, ':')))
        *colon++ = 0;
    r->proto = strcmp(copy, "tcp") == 0 ? IPPROTO_TCP : strcmp(copy, "udp") == 0 ? IPPROTO_UDP : 0;
    return (r->proto || strcmp(copy, "any") == 0) && (!colon || parse_ports(r, colon)) && (!at || parse_prefix(r, at));
}

char *rule_text(const struct rule *r)
{
    char address[INET6_ADDRSTRLEN];
    struct buf b = {0};
    buf_addf(&b, "%s", r->proto == IPPROTO_TCP ? "tcp" : r->proto == IPPROTO_UDP ? "udp" : "any");
    if (r->first)
        buf_addf(&b, r->last > r->first ? ":%u-%u" : ":%u", r->first, r->last);
    bool v4 = IN6_IS_ADDR_V4MAPPED(&r->prefix);
    if (!r->everywhere)
        buf_addf(&b, "@%s/%u", inet_ntop(v4 ? AF_INET : AF_INET6, r->prefix.s6_addr + (v4 ? 12 : 0), address, sizeof(address)),
                 r->bits - (v4 ? 96 : 0));
    return b.data;
}

static bool in_prefix(const struct rule *r, const struct in6_addr *a)
{
    unsigned whole = r->bits / 8, rest = r->bits % 8;
    if (IN6_IS_ADDR_V4MAPPED(&r->prefix) != IN6_IS_ADDR_V4MAPPED(a) || memcmp(&r->prefix, a, whole) != 0)
        return false;
    return !rest || ((r->prefix.s6_addr[whole] ^ a->s6_addr[whole]) >> (8 - rest)) == 0;
}

bool rules_match(const struct rules *l, u8 proto, const struct sockaddr *sa)
{
    struct in6_addr a = {0};
    u16 port;
    if (sa->sa_family == AF_INET) {
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)sa;
        memset(a.s6_addr + 10, 0xff, 2);
        memcpy(a.s6_addr + 12, &v4->sin_addr, 4);
        port = ntohs(v4->sin_port);
    } else if (sa->sa_family == AF_INET6) {
        a = ((const struct sockaddr_in6 *)sa)->sin6_addr;
        port = ntohs(((const struct sockaddr_in6 *)sa)->sin6_port);
    } else {
        return false;
    }
    for (const struct rule *r = l->list; r < l->list + l->count; r++) {
        bool fits = proto ? (!r->proto || r->proto == proto) && port >= r->first && port <= r->last
                          : !r->proto && r->first == 0 && r->last == 65535;
        if (fits && (r->everywhere || in_prefix(r, &a)))
            return true;
    }
    return false;
}

/* --- options --------------------------------------------------------------------------- */

static int add(struct rules *l, const struct rule *r, const char *option, struct error *err)
{
    if (l->count == MAX_RULES)
        return err_set(err, EXIT_DRUPE, "%s: at most %d rules", option, MAX_RULES);
    l->list[l->count++] = *r;
    return 0;
}

int policy_allow(struct policy *p, const char *text, struct error *err)
{
    struct rule r;
    p->allow.given = true;
    if (strcmp(text, "all") == 0) {
        p->allow_all = true;
        return 0;
    }
    if (!rule_parse(&r, text) || !r.proto || !r.first)
        return err_set(err, EXIT_DRUPE, "--allow %s: say tcp:PORT or udp:PORT (or FIRST-LAST), if need be with @ADDRESS/BITS of who may, as "
                       "in tcp:22@192.0.2.0/24; or all", text);
    return add(&p->allow, &r, "--allow", err);
}

int policy_allow_from(struct policy *p, const char *text, struct error *err)
{
    struct rule r = any_rule;
    p->from.given = true;
    if (!parse_prefix(&r, text))
        return err_set(err, EXIT_DRUPE, "--allow-from %s: say ADDRESS/BITS, as in 192.0.2.0/24 or 2001:db8::/32", text);
    return add(&p->from, &r, "--allow-from", err);
}

/* One of --egress: [tcp:|udp:]PREFIX[:PORTS]. */
static bool parse_egress(struct rule *r, const char *text)
{
    *r = any_rule;
    r->proto = take_proto(&text);
    AUTO_FREE char *copy = xstrdup(text);
    char *prefix = copy, *ports = NULL, *end = strchr(copy, ']');
    if (copy[0] == '[' && end) { /* [2001:db8::]/32:443 and [2001:db8::/32]:443 */
        prefix = copy + 1;
        memmove(end, end + 1, strlen(end));
        ports = strchr(end, ':');
    } else if (strchr(copy, ':') == strrchr(copy, ':')) {
        ports = strchr(copy, ':');
    }
    if (ports)
        *ports++ = 0;
    return parse_prefix(r, prefix) && (!ports || parse_ports(r, ports));
}

int policy_egress(struct policy *p, const char *text, struct error *err)
{
    AUTO_FREE char *copy = xstrdup(text);
    char *rest = copy;
    p->egress.given = true;
    if (strcmp(text, "none") == 0)
        return 0;
    for (char *one; (one = strsep(&rest, ","));) {
        struct rule r;
        if (!parse_egress(&r, one))
            return err_set(err, EXIT_DRUPE, "--egress %s: say ADDRESS/BITS[:PORT], as in 192.0.2.0/24:443 or [2001:db8::/32]:443, with tcp: or "
                           "udp: in front for one of them; or none", one);
        if (add(&p->egress, &r, "--egress", err) < 0)
            return -1;
    }
    return 0;
}

/* --- words for the kernel ------------------------------------------------------------------ */

static void add_word(struct buf *b, const struct rule *r)
{
    AUTO_FREE char *text = rule_text(r);
    buf_addf(b, "%s%s", b->len ? " " : "", text);
}

char *policy_ingress_words(const struct policy *p)
{
    struct buf b = {0};
    buf_add(&b, "", 0);
    if (p->allow_all && !p->from.count)
        return buf_done(&b), NULL;
    for (size_t i = 0; i < p->allow.count + p->allow_all; i++) {
        struct rule r = i < p->allow.count ? p->allow.list[i] : any_rule;
        if (!r.everywhere || !p->from.count)
            add_word(&b, &r);
        for (size_t k = 0; r.everywhere && k < p->from.count; k++) {
            struct rule narrowed = p->from.list[k];
            narrowed.proto = r.proto;
            narrowed.first = r.first;
            narrowed.last = r.last;
            add_word(&b, &narrowed);
        }
    }
    return b.data;
}

char *policy_egress_words(const struct policy *p)
{
    if (!p->egress.given)
        return NULL;
    struct buf b = {0};
    buf_add(&b, "", 0);
    for (size_t i = 0; i < p->egress.count; i++)
        add_word(&b, &p->egress.list[i]);
    return b.data;
}
