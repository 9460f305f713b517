/* SPDX-License-Identifier: Apache-2.0 */
/* The network options of `drupe run`: see network.h. */
#include "host/cli/network.h"

#include <arpa/inet.h>
#include <json-c/json.h>
#include <net/if.h>
#include <string.h>

#include "abi/boot.h"

int network_parse(struct instance *m, const char *text, struct error *err)
{
    if (strcmp(text, "user") == 0) {
        m->net = NET_MODE_USER;
    } else if (strcmp(text, "none") == 0) {
        m->net = NET_MODE_NONE;
    } else if (str_has_prefix(text, "tap:") && text[4]) {
        m->net = NET_MODE_TAP;
        m->tap = text + 4;
        if (strlen(m->tap) >= IFNAMSIZ || strpbrk(m->tap, "/, "))
            return err_set(err, EXIT_DRUPE, "--net %s: that is no interface name", text);
    } else {
        return err_set(err, EXIT_DRUPE, "--net %s: say user, tap:INTERFACE or none", text);
    }
    return 0;
}

static int check_policy(const struct policy *p, const struct instance *m, struct error *err)
{
    if (m->net == NET_MODE_NONE && (p->allow.given || p->from.given || p->egress.given))
        return err_set(err, EXIT_DRUPE, "--allow, --allow-from and --egress: there is no network with --net none");
    if (m->net == NET_MODE_USER && p->allow.given)
        return err_set(err, EXIT_DRUPE, "--allow: with --net user the program's ports are reached where they are published; say -p HOST:PORT");
    if (p->from.given && !(m->net == NET_MODE_USER ? m->nports : p->allow.given))
        return err_set(err, EXIT_DRUPE, "--allow-from: nothing is open that it could narrow; say %s",
                       m->net == NET_MODE_USER ? "-p HOST:PORT" : "--allow tcp:PORT");
    return 0;
}

int network_check(struct network_options *o, const struct instance *m, struct error *err)
{
    if (m->nports && m->net != NET_MODE_USER)
        return err_set(err, EXIT_DRUPE, "-p works with --net user only; with %s",
                       m->net != NET_MODE_TAP ? "--net none there are no ports"
                                              : "--net tap the program's ports are reached at its address where --allow opens them");
    if (check_policy(&o->policy, m, err) < 0)
        return -1;
    if ((o->ip || o->ip6) && m->net != NET_MODE_TAP)
        return err_set(err, EXIT_DRUPE, "--ip %s: works with --net tap:INTERFACE only", o->ip ? o->ip : o->ip6);
    if (o->dns && m->net == NET_MODE_NONE)
        return err_set(err, EXIT_DRUPE, "--dns %s: there is no network with --net none", o->dns);
    if (m->net == NET_MODE_TAP && if_nametoindex(m->tap) == 0)
        return err_set(err, EXIT_DRUPE, "--net tap:%s: there is no interface %s; make it: ip tuntap add %s mode tap && ip link set %s up",
                       m->tap, m->tap, m->tap, m->tap);
    for (size_t i = 0; i < m->nports; i++)
        if (port_bind(&o->ports[i], err) < 0)
            return -1;
    return 0;
}

/* "A/LEN[,GW]" into the annotations. */
static int apply_ip(struct config *c, const char *text, bool v6, struct error *err)
{
    AUTO_FREE char *address = xstrdup(text);
    char *gateway = strchr(address, ',');
    struct in6_addr a;
    u64 len;
    int family = v6 ? AF_INET6 : AF_INET;
    if (gateway)
        *gateway++ = 0;
    AUTO_FREE char *alone = xstrndup(address, strcspn(address, "/"));
    char *slash = strchr(address, '/');
    if (!slash || inet_pton(family, alone, &a) != 1 || parse_number(slash + 1, 1, v6 ? 128 : 32, &len) < 0 ||
        (gateway && inet_pton(family, gateway, &a) != 1))
        return err_set(err, EXIT_DRUPE, "--ip %s: say ADDRESS/LENGTH[,GATEWAY], as in 192.0.2.2/24,192.0.2.1 or 2001:db8::2/64,fe80::1", text);
    if (!v6)
        config_set_annotation(c, ANN_NET_MODE, "static");
    config_set_annotation(c, v6 ? ANN_NET_ADDRESS6 : ANN_NET_ADDRESS, address);
    config_set_annotation(c, v6 ? ANN_NET_GATEWAY6 : ANN_NET_GATEWAY, gateway);
    return 0;
}

static bool publishes_ipv6(const struct network_options *o, const struct instance *m)
{
    for (size_t i = 0; i < m->nports; i++)
        if (o->ports[i].ipv6)
            return true;
    return false;
}

static int check_dns(const char *text, struct error *err)
{
    AUTO_FREE char *list = xstrdup(text);
    char *p = list;
    unsigned n = 0;
    for (char *one; (one = strsep(&p, ","));) {
        struct in_addr a;
        if (inet_pton(AF_INET, one, &a) != 1 || ++n > 3)
            return err_set(err, EXIT_DRUPE, "--dns %s: say one to three IPv4 addresses, separated by commas", text);
    }
    return 0;
}

static size_t count_words(const char *text)
{
    size_t n = text && *text;
    for (const char *p = text; p && (p = strchr(p, ' ')); p++)
        n++;
    return n;
}

/* In the user network it is drupe-slirp that lets in nothing but callers of published ports. */
static int apply_policy(const struct network_options *o, const struct instance *m, struct config *c, struct error *err)
{
    AUTO_FREE char *in = m->net == NET_MODE_TAP ? policy_ingress_words(&o->policy) : NULL;
    AUTO_FREE char *out = policy_egress_words(&o->policy);
    config_set_annotation(c, ANN_NET_INGRESS, in);
    config_set_annotation(c, ANN_NET_EGRESS, out);
    if (count_words(in) > MAX_RULES)
        return err_set(err, EXIT_DRUPE, "--allow, --allow-from: more than %d pairs of what and from where", MAX_RULES);
    if (m->net == NET_MODE_TAP)
        say("network: open from outside: %s", !in ? "everything (--allow all)" : *in ? in : "nothing (see --allow)");
    for (size_t i = 0; i < m->nports; i++) {
        AUTO_FREE char *port = port_text(&o->ports[i]);
        say("network: open from outside: %s%s", port, o->policy.from.given ? ", for --allow-from" : "");
    }
    say("network: open to the outside: %s", !out ? "everything" : *out ? out : "nothing");
    return 0;
}

int network_apply(const struct network_options *o, const struct instance *m, struct config *c, struct error *err)
{
    static const char *const all[] = {ANN_NET_MODE, ANN_NET_ADDRESS, ANN_NET_GATEWAY, ANN_NET_ADDRESS6, ANN_NET_GATEWAY6,
                                      ANN_NET_DNS, ANN_NET_EAGER, ANN_NET_INGRESS, ANN_NET_EGRESS};
    for (size_t i = 0; i < ARRAY_SIZE(all); i++)
        config_set_annotation(c, all[i], NULL);
    if (o->dns && check_dns(o->dns, err) < 0)
        return -1;
    switch (m->net) {
    case NET_MODE_NONE:
        config_set_annotation(c, ANN_NET_MODE, "none");
        return 0;
    case NET_MODE_USER:
        config_set_annotation(c, ANN_NET_MODE, "static");
        config_set_annotation(c, ANN_NET_ADDRESS, SLIRP_GUEST "/24");
        config_set_annotation(c, ANN_NET_GATEWAY, SLIRP_GATEWAY);
        config_set_annotation(c, ANN_NET_DNS, SLIRP_DNS);
        if (publishes_ipv6(o, m)) { /* else routers' advertisements give one */
            config_set_annotation(c, ANN_NET_ADDRESS6, SLIRP_GUEST6 "/64");
            config_set_annotation(c, ANN_NET_GATEWAY6, SLIRP_GATEWAY6);
        }
        break;
    case NET_MODE_TAP:
        config_set_annotation(c, ANN_NET_MODE, "dhcp");
        if ((o->ip && apply_ip(c, o->ip, false, err) < 0) || (o->ip6 && apply_ip(c, o->ip6, true, err) < 0))
            return -1;
        break;
    }
    if (o->dns)
        config_set_annotation(c, ANN_NET_DNS, o->dns);
    if (apply_policy(o, m, c, err) < 0)
        return -1;
    /* Who calls from outside shall not find a sleeping card. */
    if (m->nports || m->net == NET_MODE_TAP)
        config_set_annotation(c, ANN_NET_EAGER, "1");
    return 0;
}

static struct json_object *list_ports(const struct instance *i)
{
    struct json_object *all = json_object_new_array();
    for (size_t k = 0; k < i->nports; k++) {
        AUTO_FREE char *text = port_text(&i->ports[k]);
        json_object_array_add(all, json_object_new_string(text));
    }
    return all;
}

static struct json_object *list_rules(const struct rules *l)
{
    struct json_object *all = json_object_new_array();
    for (size_t k = 0; k < l->count; k++) {
        AUTO_FREE char *text = rule_text(&l->list[k]);
        json_object_array_add(all, json_object_new_string(text));
    }
    return all;
}

void network_describe(const struct network_options *o, const struct instance *m, struct json_object *state)
{
    static const struct rules everything = {.list = {{.last = 65535, .everywhere = true}}, .count = 1};
    const struct policy *p = &o->policy;
    json_object_object_add(state, "Ports", list_ports(m));
    json_object_object_add(state, "Allow", list_rules(p->allow_all ? &everything : &p->allow));
    json_object_object_add(state, "AllowFrom", list_rules(p->from.given ? &p->from : &everything));
    json_object_object_add(state, "Egress", list_rules(p->egress.given ? &p->egress : &everything));
}
