/* SPDX-License-Identifier: Apache-2.0 */
/* Options that run and build share: see common.h. */
#include "host/cli/common.h"

#include <getopt.h>
#include <string.h>

#include "host/lib/fs.h"

#define MAX_GROUPS 16

struct account {
    u32 id, gid;
    const char *home;
    char *line;
};

/* Find a line of passwd or group by name or number. */
static bool find_account(const struct buf *text, const char *who, bool group, struct account *ret)
{
    u64 wanted = UINT64_MAX;
    bool numeric = parse_number(who, 0, UINT32_MAX, &wanted) == 0;
    for (const char *line = text->data ? text->data : ""; *line;) {
        size_t len = strcspn(line, "\n");
        char *copy = xstrndup(line, len);
        char *fields[7] = {0}, *p = copy;
        for (size_t i = 0; i < ARRAY_SIZE(fields) && p; i++)
            fields[i] = strsep(&p, ":");
        u64 id, gid = 0;
        if (fields[2] && parse_number(fields[2], 0, UINT32_MAX, &id) == 0 &&
            (group || (fields[3] && parse_number(fields[3], 0, UINT32_MAX, &gid) == 0)) &&
            (strcmp(fields[0], who) == 0 || (numeric && id == wanted))) {
            *ret = (struct account){(u32)id, (u32)gid, group || !fields[5] ? "" : fields[5], copy};
            return true;
        }
        free(copy);
        line += len + (line[len] == '\n');
    }
    return false;
}

/* Groups that list the user as a member. */
static size_t member_groups(const struct buf *text, const char *user, u32 *ret)
{
    size_t n = 0;
    for (const char *line = text->data ? text->data : ""; *line && n < MAX_GROUPS;) {
        size_t len = strcspn(line, "\n");
        AUTO_FREE char *copy = xstrndup(line, len);
        char *p = copy;
        strsep(&p, ":");
        if (p)
            strsep(&p, ":");
        char *id_text = p ? strsep(&p, ":") : NULL;
        u64 id;
        for (char *member; p && (member = strsep(&p, ","));)
            if (strcmp(member, user) == 0 && parse_number(id_text, 0, UINT32_MAX, &id) == 0 && n < MAX_GROUPS)
                ret[n++] = (u32)id;
        line += len + (line[len] == '\n');
    }
    return n;
}

static int apply_user(const char *spec, struct config *c, const struct buf *passwd_text, const struct buf *group_text,
                      struct error *err)
{
    AUTO_FREE char *user = xstrdup(spec);
    char *group = strchr(user, ':');
    if (group)
        *group++ = 0;
    struct account a = {0}, g = {0};
    u32 groups[MAX_GROUPS];
    size_t ngroups = 0;
    u64 number;
    const char *home = "/";
    if (find_account(passwd_text, user, false, &a)) {
        home = a.home;
        if (!group)
            ngroups = member_groups(group_text, user, groups);
    } else if (parse_number(user, 0, UINT32_MAX - 1, &number) == 0) {
        a.id = (u32)number;
    } else {
        return err_set(err, EXIT_DRUPE, "-u %s: the image has no user \"%s\"; give a number", spec, user);
    }
    if (group) {
        if (find_account(group_text, group, true, &g)) {
            a.gid = g.id;
        } else if (parse_number(group, 0, UINT32_MAX - 1, &number) == 0) {
            a.gid = (u32)number;
        } else {
            free(a.line);
            return err_set(err, EXIT_DRUPE, "-u %s: the image has no group \"%s\"; give a number", spec, group);
        }
    }
    config_set_user(c, a.id, a.gid, groups, ngroups);
    AUTO_FREE char *home_env = str_format("HOME=%s", *home ? home : "/");
    config_set_env(c, home_env);
    free(a.line);
    free(g.line);
    return 0;
}

/* "-1" and "unlimited" are none. */
static int parse_limit(const char *text, u64 *ret)
{
    if (strcmp(text, "-1") == 0 || strcmp(text, "unlimited") == 0) {
        *ret = UINT64_MAX;
        return 0;
    }
    return parse_number(text, 0, UINT64_MAX, ret);
}

/* TYPE=SOFT[:HARD], as Docker and podman say it. */
static int apply_ulimit(const char *spec, struct config *c, struct error *err)
{
    static const char *const types[] = {"as", "core", "cpu", "data", "fsize", "locks", "memlock", "msgqueue", "nice", "nofile", "nproc", "rss", "rtprio",
                                        "rttime", "sigpending", "stack"};
    AUTO_FREE char *type = xstrdup(spec);
    char *soft = strchr(type, '='), *hard = soft ? strchr(soft, ':') : NULL;
    u64 low, high;
    if (soft)
        *soft++ = 0;
    if (hard)
        *hard++ = 0;
    size_t i = 0;
    while (i < ARRAY_SIZE(types) && strcmp(types[i], type) != 0)
        i++;
    if (i == ARRAY_SIZE(types))
        return err_set(err, EXIT_DRUPE, "--ulimit %s: no such limit; say nofile=1024:4096, or another name of `man 2 setrlimit`, without RLIMIT_", spec);
    if (!soft || parse_limit(soft, &low) < 0 || parse_limit(hard ? hard : soft, &high) < 0)
        return err_set(err, EXIT_DRUPE, "--ulimit %s: say TYPE=SOFT[:HARD], two numbers, or -1 for none", spec);
    if (low > high)
        return err_set(err, EXIT_DRUPE, "--ulimit %s: the soft limit is above the hard one", spec);
    config_set_rlimit(c, type, low, high);
    return 0;
}

int program_options_apply(const struct program_options *o, struct config *c, const struct buf *passwd_text,
                          const struct buf *group_text, struct error *err)
{
    if (o->user && apply_user(o->user, c, passwd_text, group_text, err) < 0)
        return -1;
    for (size_t i = 0; i < o->env.count; i++) {
        if (!o->env.items[i][0] || o->env.items[i][0] == '=')
            return err_set(err, EXIT_DRUPE, "-e %s: say NAME=VALUE or NAME", o->env.items[i]);
        config_set_env(c, o->env.items[i]);
    }
    if (o->workdir) {
        if (o->workdir[0] != '/')
            return err_set(err, EXIT_DRUPE, "-w %s: the working directory must be an absolute path", o->workdir);
        config_set_cwd(c, o->workdir);
    }
    for (size_t i = 0; i < o->ulimits.count; i++)
        if (apply_ulimit(o->ulimits.items[i], c, err) < 0)
            return -1;
    if (o->name) {
        size_t n = strlen(o->name);
        if (!n || n > 63 || strspn(o->name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") != n)
            return err_set(err, EXIT_DRUPE, "--name %s: 1 to 63 letters, digits, '-', '_' and '.'", o->name);
        config_set_hostname(c, o->name);
    }
    return 0;
}

int bad_option(const char *command, int c, char **argv, struct error *err)
{
    const char *last = argv[optind - 1];
    if (c == ':')
        return err_set(err, EXIT_DRUPE, "%s: option %s needs a value", command, last);
    /* In a cluster of short options (-xi) getopt has not moved on yet; only optopt names the one. */
    if (optopt > ' ' && optopt < 127)
        return err_set(err, EXIT_DRUPE, "%s: unknown option -%c; see drupe %s --help", command, optopt, command);
    return err_set(err, EXIT_DRUPE, "%s: unknown option %s; see drupe %s --help", command, last, command);
}

void accounts_of_host(struct buf *ret_passwd, struct buf *ret_group)
{
    if (file_read("/etc/passwd", 1 << 20, ret_passwd) < 0)
        *ret_passwd = (struct buf){0};
    if (file_read("/etc/group", 1 << 20, ret_group) < 0)
        *ret_group = (struct buf){0};
}

char *self_path(void)
{
    char self[4096];
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
    return n > 0 ? xstrndup(self, (size_t)n) : NULL;
}

char *find_part(const char *const *places, size_t count)
{
    AUTO_FREE char *self = self_path();
    if (!self)
        return NULL;
    AUTO_FREE char *dir = path_dirname(self);
    for (size_t i = 0; i < count; i++) {
        AUTO_FREE char *joined = path_join(dir, places[i]);
        char *path = path_absolute(joined);
        if (access(path, R_OK) == 0)
            return path;
        free(path);
    }
    return NULL;
}
