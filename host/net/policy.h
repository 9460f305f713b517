/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who may begin to speak with an instance, and with whom it may: --allow, --allow-from, --egress. The kernel inside enforces it
 * (abi/boot.h has the words it is told by), and drupe-slirp what passes it.
 */
#ifndef HOST_NET_POLICY_H
#define HOST_NET_POLICY_H

#include <netinet/in.h>

#include "host/lib/error.h"
#include "host/lib/util.h"

#define MAX_RULES 256

struct rule {
    u8 proto;              /* IPPROTO_TCP, IPPROTO_UDP; 0 = any */
    u16 first, last;       /* ports; 0 to 65535 = any */
    struct in6_addr prefix; /* IPv4 as ::ffff:a.b.c.d */
    unsigned bits;         /* of its 128 */
    bool everywhere;       /* no prefix */
};

struct rules {
    struct rule list[MAX_RULES];
    size_t count;
    bool given; /* on the command line */
};

struct policy {
    struct rules allow;  /* --allow */
    struct rules from;   /* --allow-from: prefixes alone */
    struct rules egress; /* --egress; not given = everything */
    bool allow_all;
};

/* "tcp:443", "udp:5000-5010", with "@PREFIX" behind; "all". */
int policy_allow(struct policy *p, const char *text, struct error *err);
/* A prefix. */
int policy_allow_from(struct policy *p, const char *text, struct error *err);
/* "[tcp:|udp:]PREFIX[:PORT[-PORT]]", IPv6 in brackets when a port follows; several with commas; "none". */
int policy_egress(struct policy *p, const char *text, struct error *err);

/* What the kernel is told to let in: --allow, each from where it says or from all of --allow-from. The caller frees; NULL = all. */
char *policy_ingress_words(const struct policy *p);
/* The same of --egress. */
char *policy_egress_words(const struct policy *p);
/* One of the words. The caller frees. */
char *rule_text(const struct rule *r);
/* From such a word. False = it is none. */
bool rule_parse(struct rule *r, const char *text);
/* Does one match? proto 0 stands for protocols without ports. An IPv4 address may be mapped or not. */
bool rules_match(const struct rules *l, u8 proto, const struct sockaddr *a);

#endif
