/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config.json (OCI runtime-spec 1.0, config.md and config-linux.md; annotations of
 * abi/boot.h). Each object is a table of members and a function for the value of
 * each; members that are not listed are skipped, as the specification asks. The
 * text comes from outside: every mistake is an error that names the line and
 * the member.
 */
#include "config.h"

#include "abi/boot.h"
#include "base/bytes.h"
#include "base/fmt.h"
#include "base/json.h"
#include "base/str.h"
#include "kern/slab.h"

struct reader {
    struct json json;
    struct boot_config *c;
    char *arena, *arena_end; /* decoded strings; never longer than the text */
    struct rlimit_spec limit; /* the one being read */
    struct mount_spec mount;
    char *why;
    size_t why_size;
    bool out_of_memory;
};

struct member {
    const char *name;
    bool (*read)(struct reader *r, enum json_token t); /* the value's first token is t */
};

static bool fail(struct reader *r, const char *what)
{
    if (r->why[0] != '\0')
        return false;
    const char *syntax = json_error(&r->json);
    fmt_snprintf(r->why, r->why_size, "config.json, line %u: %s", json_line(&r->json), syntax != NULL ? syntax : what);
    return false;
}

static bool read_object(struct reader *r, enum json_token t, const char *what, const struct member *members, unsigned n)
{
    if (t != JSON_OBJECT)
        return fail(r, what);
    while ((t = json_next(&r->json)) == JSON_KEY) {
        const struct member *m = NULL;
        for (unsigned i = 0; i < n && m == NULL; i++)
            if (json_is(&r->json, members[i].name))
                m = &members[i];
        t = json_next(&r->json);
        if (m != NULL ? !m->read(r, t) : !json_skip(&r->json))
            return fail(r, what);
    }
    return t == JSON_OBJECT_END || fail(r, what);
}

/* The current string, kept. NULL with an error set. */
static char *keep_string(struct reader *r, enum json_token t, const char *what)
{
    long n = t == JSON_STRING ? json_string(&r->json, r->arena, (size_t)(r->arena_end - r->arena)) : -1;
    if (n < 0) {
        fail(r, what);
        return NULL;
    }
    char *s = r->arena;
    r->arena += n + 1;
    return s;
}

static bool read_bool(struct reader *r, enum json_token t, bool *ret, const char *what)
{
    if (t != JSON_TRUE && t != JSON_FALSE)
        return fail(r, what);
    *ret = t == JSON_TRUE;
    return true;
}

static bool read_u64(struct reader *r, enum json_token t, u64 max, u64 *ret, const char *what)
{
    return (t == JSON_NUMBER && json_u64(&r->json, ret) && *ret <= max) || fail(r, what);
}

static bool read_u32(struct reader *r, enum json_token t, u32 *ret, const char *what)
{
    u64 v;
    if (!read_u64(r, t, UINT32_MAX, &v, what))
        return false;
    *ret = (u32)v;
    return true;
}

/* An array of strings -> a NULL-terminated vector. */
static bool read_strings(struct reader *r, enum json_token t, char ***ret, const char *what)
{
    size_t n = 0, room = 16;
    if (t != JSON_ARRAY)
        return fail(r, what);
    char **v = kmalloc(room * sizeof(*v), 0);
    while (v != NULL && (t = json_next(&r->json)) != JSON_ARRAY_END) {
        char *s = keep_string(r, t, what);
        if (s == NULL) {
            kfree(v);
            return false;
        }
        if (n + 1 == room) {
            char **more = krealloc(v, room * sizeof(*v), 2 * room * sizeof(*v));
            if (more == NULL)
                kfree(v);
            v = more;
            room *= 2;
            if (v == NULL)
                break;
        }
        v[n++] = s;
    }
    if (v == NULL) {
        r->out_of_memory = true;
        return fail(r, "out of memory");
    }
    v[n] = NULL;
    *ret = v;
    return true;
}

/* --- process --------------------------------------------------------------------- */

static bool read_args(struct reader *r, enum json_token t)
{
    return read_strings(r, t, &r->c->program.argv, "process.args must be an array of strings");
}

static bool read_env(struct reader *r, enum json_token t)
{
    return read_strings(r, t, &r->c->program.envp, "process.env must be an array of strings");
}

static bool read_cwd(struct reader *r, enum json_token t)
{
    r->c->program.cwd = keep_string(r, t, "process.cwd must be a string");
    if (r->c->program.cwd == NULL)
        return false;
    return r->c->program.cwd[0] == '/' || fail(r, "process.cwd must be an absolute path");
}

static bool read_terminal(struct reader *r, enum json_token t)
{
    return read_bool(r, t, &r->c->terminal, "process.terminal must be true or false");
}

static bool read_no_new_privileges(struct reader *r, enum json_token t)
{
    return read_bool(r, t, &r->c->program.no_new_privileges, "process.noNewPrivileges must be true or false");
}

static bool read_uid(struct reader *r, enum json_token t)
{
    return read_u32(r, t, &r->c->program.uid, "process.user.uid must be a number");
}

static bool read_gid(struct reader *r, enum json_token t)
{
    return read_u32(r, t, &r->c->program.gid, "process.user.gid must be a number");
}

static bool read_groups(struct reader *r, enum json_token t)
{
    static const char what[] = "process.user.additionalGids must be an array of at most 64 numbers";
    struct program_spec *p = &r->c->program;
    if (t != JSON_ARRAY)
        return fail(r, what);
    for (p->ngroups = 0; (t = json_next(&r->json)) != JSON_ARRAY_END; p->ngroups++)
        if (p->ngroups == CRED_MAX_GROUPS || !read_u32(r, t, &p->groups[p->ngroups], what))
            return fail(r, what);
    return true;
}

static bool read_user(struct reader *r, enum json_token t)
{
    static const struct member members[] = {
        { "uid", read_uid }, { "gid", read_gid }, { "additionalGids", read_groups },
    };
    return read_object(r, t, "process.user must be an object", members, ARRAY_SIZE(members));
}

static bool read_limit_type(struct reader *r, enum json_token t)
{
    static const char *const names[] = { /* by RLIMIT_* */
        "CPU", "FSIZE", "DATA", "STACK", "CORE", "RSS", "NPROC", "NOFILE", "MEMLOCK", "AS", "LOCKS", "SIGPENDING",
        "MSGQUEUE", "NICE", "RTPRIO", "RTTIME",
    };
    const char *s = keep_string(r, t, "process.rlimits[].type must be a string");
    if (s == NULL)
        return false;
    for (u32 i = 0; str_starts_with(s, "RLIMIT_") && i < ARRAY_SIZE(names); i++) {
        if (strcmp(s + 7, names[i]) == 0) {
            r->limit.resource = i;
            return true;
        }
    }
    return fail(r, "process.rlimits[].type is not a limit that Linux has");
}

static bool read_limit_soft(struct reader *r, enum json_token t)
{
    return read_u64(r, t, UINT64_MAX, &r->limit.soft, "process.rlimits[].soft must be a number");
}

static bool read_limit_hard(struct reader *r, enum json_token t)
{
    return read_u64(r, t, UINT64_MAX, &r->limit.hard, "process.rlimits[].hard must be a number");
}

static bool read_rlimits(struct reader *r, enum json_token t)
{
    static const struct member members[] = {
        { "type", read_limit_type }, { "soft", read_limit_soft }, { "hard", read_limit_hard },
    };
    static const char what[] = "process.rlimits must be an array of objects with type, soft and hard";
    struct program_spec *p = &r->c->program;
    if (t != JSON_ARRAY)
        return fail(r, what);
    while ((t = json_next(&r->json)) != JSON_ARRAY_END) {
        r->limit = (struct rlimit_spec){ .resource = UINT32_MAX };
        if (!read_object(r, t, what, members, ARRAY_SIZE(members)))
            return false;
        if (r->limit.resource == UINT32_MAX || p->nrlimits == ARRAY_SIZE(p->rlimits))
            return fail(r, what);
        if (r->limit.soft > r->limit.hard)
            return fail(r, "process.rlimits[]: the soft limit is above the hard one");
        p->rlimits[p->nrlimits++] = r->limit;
    }
    return true;
}

static bool read_rows(struct reader *r, enum json_token t)
{
    u64 v;
    if (!read_u64(r, t, UINT16_MAX, &v, "process.consoleSize.height must be a number up to 65535"))
        return false;
    r->c->rows = (u16)v;
    return true;
}

static bool read_cols(struct reader *r, enum json_token t)
{
    u64 v;
    if (!read_u64(r, t, UINT16_MAX, &v, "process.consoleSize.width must be a number up to 65535"))
        return false;
    r->c->cols = (u16)v;
    return true;
}

static bool read_console_size(struct reader *r, enum json_token t)
{
    static const struct member members[] = { { "height", read_rows }, { "width", read_cols } };
    return read_object(r, t, "process.consoleSize must be an object", members, ARRAY_SIZE(members));
}

static bool read_process(struct reader *r, enum json_token t)
{
    static const struct member members[] = {
        { "args", read_args },         { "env", read_env },
        { "cwd", read_cwd },           { "user", read_user },
        { "terminal", read_terminal }, { "rlimits", read_rlimits },
        { "consoleSize", read_console_size }, { "noNewPrivileges", read_no_new_privileges },
    };
    return read_object(r, t, "process must be an object", members, ARRAY_SIZE(members));
}

/* --- root, mounts ------------------------------------------------------------------- */

static bool read_root_read_only(struct reader *r, enum json_token t)
{
    return read_bool(r, t, &r->c->root_read_only, "root.readonly must be true or false");
}

static bool read_root(struct reader *r, enum json_token t)
{
    static const struct member members[] = { { "readonly", read_root_read_only } };
    return read_object(r, t, "root must be an object", members, ARRAY_SIZE(members));
}

static bool read_mount_destination(struct reader *r, enum json_token t)
{
    r->mount.destination = keep_string(r, t, "mounts[].destination must be a string");
    return r->mount.destination != NULL;
}

static bool read_mount_type(struct reader *r, enum json_token t)
{
    r->mount.type = keep_string(r, t, "mounts[].type must be a string");
    return r->mount.type != NULL;
}

static bool read_mount_source(struct reader *r, enum json_token t)
{
    r->mount.source = keep_string(r, t, "mounts[].source must be a string");
    return r->mount.source != NULL;
}

static bool read_mount_options(struct reader *r, enum json_token t)
{
    static const char what[] = "mounts[].options must be an array of strings";
    if (t != JSON_ARRAY)
        return fail(r, what);
    char *options = r->arena;
    while ((t = json_next(&r->json)) != JSON_ARRAY_END) {
        char *one = keep_string(r, t, what);
        if (one == NULL)
            return false;
        if (strcmp(one, "ro") == 0)
            r->mount.read_only = true;
        if (strcmp(one, "file") == 0)
            r->mount.file = true;
        if (strchr(one, '=') != NULL) {
            r->mount.options = options; /* what is kept so far, joined by commas */
            r->arena[-1] = ',';
        } else {
            r->arena = one;
        }
    }
    if (r->mount.options != NULL)
        r->arena[-1] = '\0';
    return true;
}

static bool read_mounts(struct reader *r, enum json_token t)
{
    static const struct member members[] = {
        { "destination", read_mount_destination }, { "type", read_mount_type },
        { "source", read_mount_source },           { "options", read_mount_options },
    };
    static const char what[] = "mounts must be an array of at most 16 objects";
    if (t != JSON_ARRAY)
        return fail(r, what);
    while ((t = json_next(&r->json)) != JSON_ARRAY_END) {
        r->mount = (struct mount_spec){ .type = "", .source = "none" };
        if (!read_object(r, t, what, members, ARRAY_SIZE(members)))
            return false;
        if (r->mount.destination == NULL || r->mount.destination[0] != '/')
            return fail(r, "mounts[].destination must be an absolute path");
        if (r->c->nmounts == CONFIG_MAX_MOUNTS)
            return fail(r, what);
        r->c->mounts[r->c->nmounts++] = r->mount;
    }
    return true;
}

static bool read_hostname(struct reader *r, enum json_token t)
{
    r->c->program.hostname = keep_string(r, t, "hostname must be a string");
    if (r->c->program.hostname == NULL)
        return false;
    return strlen(r->c->program.hostname) <= 64 || fail(r, "hostname is longer than 64 bytes");
}

/* --- annotations -------------------------------------------------------------------- */

static bool read_net_mode(struct reader *r, enum json_token t)
{
    const char *s = keep_string(r, t, ANN_NET_MODE " must be a string");
    if (s == NULL)
        return false;
    if (strcmp(s, "static") == 0)
        r->c->net.mode = NET_STATIC;
    else if (strcmp(s, "dhcp") == 0)
        r->c->net.mode = NET_DHCP;
    else if (strcmp(s, "none") == 0)
        r->c->net.mode = NET_NONE;
    else
        return fail(r, ANN_NET_MODE " must be static, dhcp or none");
    return true;
}

static bool read_net_address(struct reader *r, enum json_token t)
{
    static const char what[] = ANN_NET_ADDRESS " must be a.b.c.d/bits";
    char *s = keep_string(r, t, what);
    if (s == NULL)
        return false;
    char *slash = strchr(s, '/');
    u64 bits = 32;
    if (slash != NULL) {
        *slash = '\0';
        if (str_to_u64(slash + 1, &bits) != 0 || bits > 32)
            return fail(r, what);
    }
    r->c->net.netmask = be32(bits == 0 ? 0 : UINT32_MAX << (32 - bits));
    return net_parse_ipv4(s, &r->c->net.address) == 0 || fail(r, what);
}

static bool read_net_gateway(struct reader *r, enum json_token t)
{
    static const char what[] = ANN_NET_GATEWAY " must be an IPv4 address";
    const char *s = keep_string(r, t, what);
    return s != NULL && (net_parse_ipv4(s, &r->c->net.gateway) == 0 || fail(r, what));
}

static bool read_net_address6(struct reader *r, enum json_token t)
{
    static const char what[] = ANN_NET_ADDRESS6 " must be an IPv6 address/bits";
    char *s = keep_string(r, t, what), *slash = s != NULL ? strchr(s, '/') : NULL;
    u64 bits;
    if (slash == NULL || str_to_u64(slash + 1, &bits) != 0 || bits < 1 || bits > 128)
        return fail(r, what);
    *slash = '\0';
    r->c->net.prefix6 = (u8)bits;
    return net_parse_ipv6(s, r->c->net.address6) == 0 || fail(r, what);
}

static bool read_net_gateway6(struct reader *r, enum json_token t)
{
    static const char what[] = ANN_NET_GATEWAY6 " must be an IPv6 address";
    const char *s = keep_string(r, t, what);
    return s != NULL && (net_parse_ipv6(s, r->c->net.gateway6) == 0 || fail(r, what));
}

static bool read_net_dns(struct reader *r, enum json_token t)
{
    static const char what[] = ANN_NET_DNS " must be up to three IPv4 addresses with commas between";
    char *s = keep_string(r, t, what);
    unsigned n = 0;
    while (s != NULL && *s != '\0') {
        char *comma = strchr(s, ',');
        if (comma != NULL)
            *comma = '\0';
        if (n == ARRAY_SIZE(r->c->net.dns) || net_parse_ipv4(s, &r->c->net.dns[n++]) != 0)
            return fail(r, what);
        s = comma != NULL ? comma + 1 : NULL;
    }
    return r->why[0] == '\0';
}

static bool read_net_domain(struct reader *r, enum json_token t)
{
    static const char what[] = ANN_NET_DOMAIN " must be a string of at most 63 bytes";
    const char *s = keep_string(r, t, what);
    return s != NULL && (str_copy(r->c->net.domain, s, sizeof(r->c->net.domain)) < sizeof(r->c->net.domain) ||
                         fail(r, what));
}

static bool read_flag(struct reader *r, enum json_token t, bool *ret, const char *what)
{
    if (t != JSON_STRING || !(json_is(&r->json, "0") || json_is(&r->json, "1")))
        return fail(r, what);
    *ret = json_is(&r->json, "1");
    return true;
}

static bool read_net_eager(struct reader *r, enum json_token t)
{
    return read_flag(r, t, &r->c->net.eager, ANN_NET_EAGER " must be \"0\" or \"1\"");
}

static bool read_ingress(struct reader *r, enum json_token t)
{
    r->c->net.ingress = keep_string(r, t, ANN_NET_INGRESS " must be a string");
    return r->c->net.ingress != NULL;
}

static bool read_egress(struct reader *r, enum json_token t)
{
    r->c->net.egress = keep_string(r, t, ANN_NET_EGRESS " must be a string");
    return r->c->net.egress != NULL;
}

static bool read_no_patch(struct reader *r, enum json_token t)
{
    return read_flag(r, t, &r->c->program.no_patch, ANN_NO_PATCH " must be \"0\" or \"1\"");
}

static bool read_capture(struct reader *r, enum json_token t)
{
    return read_flag(r, t, &r->c->net.capture, ANN_NET_CAPTURE " must be \"0\" or \"1\"");
}

static bool read_cores(struct reader *r, enum json_token t)
{
    return read_flag(r, t, &r->c->program.cores_expected, ANN_CORES " must be \"0\" or \"1\"");
}

static bool read_wait_debugger(struct reader *r, enum json_token t)
{
    return read_flag(r, t, &r->c->program.wait_debugger, ANN_WAIT_DEBUGGER " must be \"0\" or \"1\"");
}

static bool read_one_output(struct reader *r, enum json_token t)
{
    return read_flag(r, t, &r->c->one_output, ANN_ONE_OUTPUT " must be \"0\" or \"1\"");
}

static bool read_verbose(struct reader *r, enum json_token t)
{
    return read_flag(r, t, &r->c->program.verbose, ANN_VERBOSE " must be \"0\" or \"1\"");
}

static bool read_winsize(struct reader *r, enum json_token t)
{
    static const char what[] = ANN_WINSIZE " must be ROWSxCOLS";
    char *s = keep_string(r, t, what);
    char *x = s != NULL ? strchr(s, 'x') : NULL;
    u64 rows, cols;
    if (x == NULL)
        return fail(r, what);
    *x = '\0';
    if (str_to_u64(s, &rows) != 0 || str_to_u64(x + 1, &cols) != 0 || rows > UINT16_MAX || cols > UINT16_MAX)
        return fail(r, what);
    r->c->rows = (u16)rows;
    r->c->cols = (u16)cols;
    return true;
}

static bool read_annotations(struct reader *r, enum json_token t)
{
    static const struct member members[] = {
        { ANN_NET_MODE, read_net_mode },       { ANN_NET_ADDRESS, read_net_address },
        { ANN_NET_GATEWAY, read_net_gateway }, { ANN_NET_DNS, read_net_dns },
        { ANN_NET_ADDRESS6, read_net_address6 }, { ANN_NET_GATEWAY6, read_net_gateway6 },
        { ANN_NET_DOMAIN, read_net_domain },   { ANN_NET_EAGER, read_net_eager },
        { ANN_VERBOSE, read_verbose },         { ANN_NO_PATCH, read_no_patch },
        { ANN_CORES, read_cores },             { ANN_NET_CAPTURE, read_capture },
        { ANN_NET_INGRESS, read_ingress },     { ANN_NET_EGRESS, read_egress },
        { ANN_WINSIZE, read_winsize },         { ANN_WAIT_DEBUGGER, read_wait_debugger },
        { ANN_ONE_OUTPUT, read_one_output },
    };
    return read_object(r, t, "annotations must be an object", members, ARRAY_SIZE(members));
}

int config_parse(const char *text, size_t len, struct boot_config *ret, char *ret_why, size_t why_size)
{
    static const struct member members[] = {
        { "process", read_process }, { "root", read_root },         { "mounts", read_mounts },
        { "hostname", read_hostname }, { "annotations", read_annotations },
    };
    static char *no_env[] = { NULL };
    struct reader r = { .c = ret, .why = ret_why, .why_size = why_size };
    *ret = (struct boot_config){ .program = { .cwd = "/", .hostname = "drupe", .envp = no_env } };
    ret_why[0] = '\0';
    if (len > CONFIG_MAX_BYTES) {
        fmt_snprintf(ret_why, why_size, "config.json has %zu bytes; at most %u are taken", len, CONFIG_MAX_BYTES);
        return -EINVAL;
    }
    r.arena = kmalloc(len + 1, 0);
    if (r.arena == NULL)
        return -ENOMEM;
    r.arena_end = r.arena + len + 1;
    json_init(&r.json, text, len);
    if (!read_object(&r, json_next(&r.json), "the configuration must be an object", members, ARRAY_SIZE(members)) ||
        (json_next(&r.json) != JSON_END && !fail(&r, "text behind the end")))
        return r.out_of_memory ? -ENOMEM : -EINVAL;
    if (ret->program.argv == NULL || ret->program.argv[0] == NULL) {
        fmt_snprintf(ret_why, why_size, "config.json: process.args is missing or empty: there is no program to run");
        return -EINVAL;
    }
    if (ret->net.mode == NET_STATIC && ret->net.address == 0 && ret->net.prefix6 == 0) {
        fmt_snprintf(ret_why, why_size, "config.json: " ANN_NET_MODE " is static, but there is no " ANN_NET_ADDRESS);
        return -EINVAL;
    }
    return 0;
}
