/* SPDX-License-Identifier: Apache-2.0 */
/* The root file system around a program: see base.h. */
#include "host/image/base.h"

#include <string.h>

#include "host/lib/fs.h"

#define MAX_ACCOUNT_BYTES (1u << 20)
#define FIRST_HUMAN 1000
#define NOBODY 65534
#define GCONV "/usr/lib/x86_64-linux-gnu/gconv"

static const char nsswitch[] = "passwd: files\ngroup: files\nshadow: files\nhosts: files dns\nnetworks: files\n"
                               "protocols: files\nservices: files\n";
static const char hosts[] = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n";

void base_add_mount_points(struct tree *t)
{
    tree_add_dir(t, "/dev", 0755, "generated");
    tree_add_dir(t, "/proc", 0555, "generated");
    tree_add_dir(t, "/sys", 0555, "generated");
    tree_add_dir(t, "/tmp", 01777, "generated");
    tree_add_dir(t, "/run", 0755, "generated");
    tree_add_dir(t, "/etc", 0755, "generated");
}

/* /bin, /lib and so on look as on this host: symlinks where /usr is merged. */
static void add_top_dirs(struct tree *t)
{
    static const char *const like_host[] = {"/bin", "/lib", "/lib64", "/sbin"};
    struct error ignored;
    for (size_t i = 0; i < ARRAY_SIZE(like_host); i++)
        if (tree_add_host(t, like_host[i], "generated", NULL, &ignored) < 0)
            tree_add_dir(t, like_host[i], 0755, "generated");
    static const char *const plain[] = {"/usr", "/usr/bin", "/usr/sbin", "/usr/lib", "/usr/share", "/var", "/var/lib",
                                        "/var/log", "/var/cache", "/var/spool", "/home", "/mnt"};
    for (size_t i = 0; i < ARRAY_SIZE(plain); i++)
        tree_add_dir(t, plain[i], 0755, "generated");
    base_add_mount_points(t);
    tree_add_dir(t, "/root", 0700, "generated");
    tree_add_dir(t, "/var/tmp", 01777, "generated");
    tree_add_link(t, "/var/run", "/run", "generated");
    tree_add_link(t, "/var/lock", "/run/lock", "generated");
    tree_add_dir(t, "/run/lock", 01777, "generated");
}

/* Lines of passwd or group whose number is a system account's: people stay at home. */
static void add_accounts(struct tree *t, const char *path, const char *fallback)
{
    struct buf text = {0}, out = {0};
    inputs_note(t->inputs, path, INPUT_WHOLE, NULL);
    if (file_read(path, MAX_ACCOUNT_BYTES, &text) < 0)
        buf_addf(&text, "%s", fallback);
    for (const char *line = text.data; *line;) {
        size_t len = strcspn(line, "\n");
        AUTO_FREE char *copy = xstrndup(line, len);
        char *save = NULL;
        char *name = strtok_r(copy, ":", &save);
        strtok_r(NULL, ":", &save);
        char *id = strtok_r(NULL, ":", &save);
        u64 number;
        if (name && id && parse_number(id, 0, UINT32_MAX, &number) == 0 && (number < FIRST_HUMAN || number == NOBODY))
            buf_addf(&out, "%.*s\n", (int)len, line);
        line += len + (line[len] == '\n');
    }
    tree_add_data(t, path, 0644, out.data ? out.data : "", out.len, "generated");
    buf_done(&text);
    buf_done(&out);
}

static void add_if_there(struct tree *t, const char *path, const char *why)
{
    struct error ignored;
    struct stat st;
    if (stat(path, &st) == 0)
        tree_add_host(t, path, why, NULL, &ignored);
    else
        inputs_note(t->inputs, path, INPUT_ABSENT, NULL);
}

static void add_nss(struct tree *t, struct libs *l)
{
    /* Part of libc itself since glibc 2.34; small files for programs that still load them. */
    static const char *const modules[] = {"libnss_files.so.2", "libnss_dns.so.2", "libresolv.so.2"};
    for (size_t i = 0; l->glibc && i < ARRAY_SIZE(modules); i++)
        libs_add_named(l, modules[i]);
    add_if_there(t, "/etc/services", "name services");
    add_if_there(t, "/etc/protocols", "name services");
}

static int add_locale(struct tree *t, struct error *err)
{
    static const char *const dirs[] = {"/usr/lib/locale/C.utf8", "/usr/lib/locale/C.UTF-8"};
    for (size_t i = 0; i < ARRAY_SIZE(dirs); i++) {
        struct stat st;
        if (stat(dirs[i], &st) < 0)
            inputs_note(t->inputs, dirs[i], INPUT_ABSENT, NULL);
        else
            return tree_add_host_dir(t, dirs[i], "locale C.UTF-8", false, err);
    }
    return 0;
}

/* What libtinfo knows terminals by: without it even `top -b` ends at once, and a shell edits as on a teletype. */
static int add_terminfo(struct tree *t, struct error *err)
{
    static const char dir[] = "/lib/terminfo";
    struct stat st;
    if (stat(dir, &st) == 0)
        return tree_add_host_dir(t, dir, "terminals", false, err);
    inputs_note(t->inputs, dir, INPUT_ABSENT, NULL);
    return 0;
}

static int add_all_converters(struct tree *t, struct error *err)
{
    struct stat st;
    if (stat(GCONV, &st) < 0)
        return err_errno(err, EXIT_DRUPE, "--gconv: %s", GCONV);
    return tree_add_host_dir(t, GCONV, "gconv", false, err);
}

/* The few that programs take for granted: without ISO-8859-1 Guile does not even start. */
static void add_common_converters(struct tree *t)
{
    static const char *const files[] = {"gconv-modules.cache", "ISO8859-1.so", "ISO8859-15.so", "CP1252.so", "UNICODE.so", "UTF-16.so", "UTF-32.so"};
    for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
        AUTO_FREE char *path = path_join(GCONV, files[i]);
        add_if_there(t, path, "common character sets");
    }
    say("of converters of character sets it gets those of Unicode and Latin-1, all with --gconv");
}

int base_add(struct tree *t, struct libs *l, bool gconv, struct error *err)
{
    if (l->wants_nss)
        add_nss(t, l);
    if (l->wants_unwinder && l->glibc)
        libs_add_named(l, "libgcc_s.so.1");
    if (l->wants_locale && l->glibc && add_locale(t, err) < 0)
        return -1;
    if ((map_get(&l->by_name, "libtinfo.so.6") || map_get(&l->by_name, "libncursesw.so.6")) && add_terminfo(t, err) < 0)
        return -1;
    if (gconv && add_all_converters(t, err) < 0)
        return -1;
    if (!gconv && l->wants_gconv && l->glibc)
        add_common_converters(t);
    add_top_dirs(t);
    add_accounts(t, "/etc/passwd", "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/bin/false\n");
    add_accounts(t, "/etc/group", "root:x:0:\nnogroup:x:65534:\n");
    tree_add_data(t, "/etc/nsswitch.conf", 0644, nsswitch, sizeof(nsswitch) - 1, "generated");
    tree_add_data(t, "/etc/hosts", 0644, hosts, sizeof(hosts) - 1, "generated");
    tree_add_data(t, "/etc/resolv.conf", 0644, "", 0, "generated");
    tree_add_data(t, "/etc/hostname", 0644, "drupe\n", 6, "generated");
    add_if_there(t, "/usr/share/zoneinfo/UTC", "time zone UTC");
    if (tree_find(t, "/usr/share/zoneinfo/UTC"))
        tree_add_link(t, "/etc/localtime", "/usr/share/zoneinfo/UTC", "time zone UTC");
    libs_write_cache(l);
    return 0;
}
