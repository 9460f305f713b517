/* SPDX-License-Identifier: Apache-2.0 */
/* What a Debian program brings along: see packages.h for the rules. */
#include "host/image/packages.h"

#include <dirent.h>
#include <errno.h>
#include <fnmatch.h>
#include <string.h>

#include "host/image/dpkg.h"
#include "host/lib/fs.h"

struct taking {
    struct tree *tree;
    struct libs *libs;
    struct dpkg dpkg;
    struct package *queue[4096];
    size_t queued, next;
    struct strv python_dirs;
    struct strv elf_files;
    struct package *whole; /* rule 1: what the program's package is a part of */
    bool with_gconv;
};

/* Rule 1: a part in a package of its own, and what it is a part of; beside NAME-minimal and NAME. */
static const struct {
    const char *part, *whole;
} parts[] = {
    {"perl-base", "perl"},
    {"apache2-bin", "apache2"},
    {"swi-prolog-core", "swi-prolog-nox"},
};

/* Rule 2: wanted by installation scripts and not by programs. */
static const char *const not_for_run[] = {
    "adduser", "debconf", "debconf-2.0", "cdebconf", "debianutils", "dpkg", "init-system-helpers", "install-info",
    "iproute2", "libc-bin", "libperl*", "login", "lsb-base", "lsb-release", "mawk", "passwd", "perl", "perl-base",
    "perl-modules*", "procps", "sensible-utils", "systemd", "systemd-*", "libpam-systemd", "sysvinit-utils", "ucf",
    "util-linux", "gcc-*-base", "logrotate", "cron", "cron-daemon-common", "dbus", "dbus-*", "udev", "tzdata"};

/* Rule 3. A pattern that ends in '/' stands for the directory and all below it. */
static const char *const not_taken[] = {
    "/usr/share/doc/", "/usr/share/doc-base/", "/usr/share/man/", "/usr/share/info/", "/usr/share/locale/",
    "/usr/share/lintian/", "/usr/share/bug/", "/usr/share/bash-completion/", "/usr/share/zsh/", "/usr/share/fish/",
    "/usr/share/applications/", "/usr/share/icons/", "/usr/share/pixmaps/", "/usr/share/menu/", "/usr/share/metainfo/",
    "/usr/share/apport/", "/usr/share/debconf/", "/usr/share/gdb/auto-load/", "/usr/share/polkit-1/", "/usr/share/initramfs-tools/",
    "/usr/include/", "/usr/src/", "/usr/lib/pkgconfig/", "/usr/lib/x86_64-linux-gnu/pkgconfig/", "/usr/lib/locale/",
    "/usr/lib/x86_64-linux-gnu/audit/", "/lib/x86_64-linux-gnu/audit/",
    "/usr/lib/systemd/", "/lib/systemd/", "/usr/lib/tmpfiles.d/", "/usr/lib/sysusers.d/", "/usr/lib/udev/", "/lib/udev/",
    "/usr/lib/debug/", "/usr/lib/sysctl.d/", "/usr/lib/modules-load.d/", "/usr/share/man-db/",
    "/etc/init.d/", "/etc/rc*.d/", "/etc/cron.*/", "/etc/logrotate.d/", "/etc/systemd/", "/etc/ufw/", "/etc/apparmor.d/",
    "/etc/apparmor/", "/etc/bash_completion.d/", "/etc/default/", "/etc/insserv.conf.d/", "/etc/apport/", "/etc/udev/",
    "/etc/network/", "/etc/pam.d/", "/etc/dbus-1/", "/etc/binfmt.d/", "/etc/profile.d/", "/etc/X11/", "/etc/sysctl.d/",
    "/bin/", "/sbin/", "/usr/bin/", "/usr/sbin/", "/usr/games/", "/boot/", "/lib/modules/"};

/* Directories below /etc that belong to everyone: only listed files are taken from them. */
static const char *const shared_etc[] = {"/etc/ssl", "/etc/alternatives", "/etc/ld.so.conf.d", "/etc/opt", "/etc/security",
                                         "/etc/ssh", "/etc/skel", "/etc/terminfo", "/etc/xdg", "/etc/ca-certificates"};

/* Rule 7: data that a package's installation script makes, so that no list has it. */
static const struct {
    const char *package, *path;
} made_by_script[] = {
    {"nginx-common", "/var/www/html/index.nginx-debian.html"},
    {"apache2", "/var/www/html/index.html"},
    {"swi-prolog-core", "/usr/lib/swi-prolog/library/INDEX.pl"},
};

static bool matches_any(const char *text, const char *const *patterns, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (fnmatch(patterns[i], text, 0) == 0)
            return true;
    return false;
}

static bool below(const char *path, const char *pattern)
{
    size_t n = strlen(pattern) - 1; /* without the slash */
    if (!strchr(pattern, '*'))
        return strncmp(path, pattern, n) == 0 && (path[n] == 0 || path[n] == '/');
    AUTO_FREE char *all = str_format("%s*", pattern);
    AUTO_FREE char *dir = xstrndup(pattern, n);
    return fnmatch(all, path, 0) == 0 || fnmatch(dir, path, FNM_PATHNAME) == 0;
}

static bool is_in_library_directory(const char *path)
{
    static const char *const dirs[] = {"/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu", "/lib", "/usr/lib", "/lib64",
                                       "/usr/lib64"};
    AUTO_FREE char *dir = path_dirname(path);
    for (size_t i = 0; i < ARRAY_SIZE(dirs); i++)
        if (strcmp(dir, dirs[i]) == 0)
            return true;
    return false;
}

/* The search by DT_NEEDED brings it if it is needed. */
static bool is_plain_library(const char *path)
{
    return strstr(path_basename(path), ".so") && is_in_library_directory(path);
}

static bool is_left_out(struct taking *k, const char *path)
{
    for (size_t i = 0; i < ARRAY_SIZE(not_taken); i++)
        if (below(path, not_taken[i]))
            return true;
    if (!k->with_gconv && strstr(path, "/gconv/"))
        return true;
    if (str_has_suffix(path, ".la")) /* elsewhere it names a module that libltdl loads */
        return is_in_library_directory(path);
    return str_has_suffix(path, ".a");
}

static void enqueue(struct package *p, struct taking *k)
{
    if (p->taken || k->queued == ARRAY_SIZE(k->queue))
        return;
    p->taken = true;
    k->queue[k->queued++] = p;
}

static void enqueue_owner(struct package *p, struct taking *k)
{
    enqueue(p, k);
    AUTO_FREE char *name = str_has_suffix(p->name, "-minimal") ? xstrndup(p->name, strlen(p->name) - strlen("-minimal")) : NULL;
    for (size_t i = 0; i < ARRAY_SIZE(parts) && !name; i++)
        if (strcmp(p->name, parts[i].part) == 0)
            name = xstrdup(parts[i].whole);
    struct package *whole = name ? map_get(&k->dpkg.by_name, name) : NULL;
    if (whole)
        enqueue(k->whole = whole, k);
}

/* Other parts of the whole (perl-modules-5.36) are no mere helpers of installation scripts here. */
static void enqueue_dependency(struct package *p, void *ctx)
{
    struct taking *k = ctx;
    bool part = k->whole && strstr(p->name, k->whole->name);
    if (!p->base && (part || !matches_any(p->name, not_for_run, ARRAY_SIZE(not_for_run))))
        enqueue(p, k);
}

/* Rule 4, second half. */
static void follow_config_link(struct taking *k, const char *link)
{
    AUTO_FREE char *real = realpath(link, NULL);
    struct package *p = real ? dpkg_owner(&k->dpkg, real) : NULL;
    if (p && !p->base)
        enqueue(p, k);
}

static int take_config_dir(struct taking *k, const char *dir, const char *why, unsigned depth, struct error *err)
{
    if (depth > 8)
        return 0;
    if (tree_add_host_dir(k->tree, dir, why, true, err) < 0)
        return -1;
    AUTO_FREE char *prefix = str_format("%s/", dir);
    struct strv links = {0};
    list_for_each(n, &k->tree->nodes, struct tree_node, link)
        if (S_ISLNK(n->mode) && str_has_prefix(n->path, prefix))
            strv_add(&links, n->path);
    for (size_t i = 0; i < links.count; i++)
        follow_config_link(k, links.items[i]);
    strv_done(&links);
    return 0;
}

static bool is_state_dir(const char *path)
{
    return str_has_prefix(path, "/var/") || str_has_prefix(path, "/srv/") || str_has_prefix(path, "/run/") ||
           str_has_prefix(path, "/opt/") || str_has_prefix(path, "/etc/");
}

static void note_special(struct taking *k, const char *path, const struct stat *st)
{
    if (str_has_suffix(path, ".py")) {
        AUTO_FREE char *dir = path_dirname(path);
        if (!k->python_dirs.count || strcmp(k->python_dirs.items[k->python_dirs.count - 1], dir) != 0)
            strv_add(&k->python_dirs, dir);
    }
    if (S_ISREG(st->st_mode) && (strstr(path_basename(path), ".so") || st->st_mode & 0111))
        strv_add(&k->elf_files, path);
}

static int take_entry(struct taking *k, const char *path, bool own, const char *why, struct error *err)
{
    struct stat st;
    if (is_left_out(k, path) || (!own && is_plain_library(path)))
        return 0;
    if (lstat(path, &st) < 0) {
        if (errno == EACCES)
            warn("not in the image: %s: %s; as root it would be", path, strerror(errno));
        inputs_note(k->tree->inputs, path, INPUT_ABSENT, NULL);
        return 0;
    }
    if (S_ISDIR(st.st_mode)) {
        if (str_has_prefix(path, "/etc/")) {
            bool shared = false;
            for (size_t i = 0; i < ARRAY_SIZE(shared_etc); i++)
                shared |= path_is_inside(path, shared_etc[i]);
            if (!shared)
                return take_config_dir(k, path, why, 0, err);
        }
        if (is_state_dir(path) && tree_add_host(k->tree, path, why, NULL, err) < 0)
            say("left out: %s", err->text);
        return 0;
    }
    if (tree_add_host(k->tree, path, why, NULL, err) < 0) {
        if (errno == EACCES)
            warn("not in the image: %s; as root it would be", err->text);
        else
            say("left out: %s", err->text);
        return 0;
    }
    note_special(k, path, &st);
    return 0;
}

static int take_package(struct taking *k, struct package *p, bool own, struct error *err)
{
    AUTO_FREE char *why = str_format("package %s %s", p->name, p->version ? p->version : "");
    const char *list = dpkg_files(&k->dpkg, p);
    for (const char *line = list; *line;) {
        const char *end = strchrnul(line, '\n');
        AUTO_FREE char *path = xstrndup(line, (size_t)(end - line));
        if (path[0] == '/' && path[1] && path[1] != '.' && take_entry(k, path, own && !p->base, why, err) < 0)
            return -1;
        line = *end ? end + 1 : end;
    }
    for (size_t i = 0; i < ARRAY_SIZE(made_by_script); i++)
        if (strcmp(p->name, made_by_script[i].package) == 0 && take_entry(k, made_by_script[i].path, own, why, err) < 0)
            return -1;
    return 0;
}

/* Rule 5. */
static void take_compiled_python(struct taking *k)
{
    for (size_t i = 0; i < k->python_dirs.count; i++) {
        AUTO_FREE char *cache = path_join(k->python_dirs.items[i], "__pycache__");
        if (tree_find(k->tree, cache))
            continue;
        DIR *dir = opendir(cache);
        if (!dir)
            continue;
        inputs_note(k->tree->inputs, cache, INPUT_LISTING, NULL);
        for (struct dirent *e; (e = readdir(dir));) {
            char *dot = strchr(e->d_name, '.');
            if (!dot || dot == e->d_name || !str_has_suffix(e->d_name, ".pyc"))
                continue;
            AUTO_FREE char *source = str_format("%s/%.*s.py", k->python_dirs.items[i], (int)(dot - e->d_name), e->d_name);
            AUTO_FREE char *compiled = path_join(cache, e->d_name);
            struct error ignored;
            if (tree_find(k->tree, source))
                tree_add_host(k->tree, compiled, "compiled Python", NULL, &ignored);
        }
        closedir(dir);
    }
}

/* Rule 1: the owners of every step from the name to the file. */
static void enqueue_owners(struct taking *k, const char *path)
{
    AUTO_FREE char *at = xstrdup(path);
    for (unsigned i = 0; i < 16; i++) {
        struct package *p = dpkg_owner(&k->dpkg, at);
        if (p)
            enqueue_owner(p, k);
        AUTO_FREE char *dir = path_dirname(at);
        char target[4096];
        ssize_t n = readlink(at, target, sizeof(target) - 1);
        if (n <= 0)
            break;
        target[n] = 0;
        AUTO_FREE char *joined = target[0] == '/' ? xstrdup(target) : path_join(dir, target);
        free(at);
        at = path_absolute(joined);
    }
    AUTO_FREE char *real = realpath(path, NULL);
    struct package *p = real ? dpkg_owner(&k->dpkg, real) : NULL;
    if (p)
        enqueue_owner(p, k);
}

int packages_add_for(struct tree *t, struct libs *l, const char *path, bool with_gconv, struct error *err)
{
    static const char *const homes[] = {"/usr/", "/bin/", "/sbin/", "/lib/", "/lib64/", "/opt/", "/etc/", "/var/"};
    bool possible = false;
    for (size_t i = 0; i < ARRAY_SIZE(homes); i++)
        possible |= str_has_prefix(path, homes[i]);
    if (!possible || str_has_prefix(path, "/usr/local/"))
        return 0;
    AUTO_FREE struct taking *k = xalloc(sizeof(*k));
    k->tree = t;
    k->libs = l;
    k->with_gconv = with_gconv;
    dpkg_load(&k->dpkg, t->inputs);
    enqueue_owners(k, path);
    size_t own = k->queued;
    int result = 0;
    for (; k->next < k->queued && result == 0; k->next++) {
        struct package *p = k->queue[k->next];
        result = take_package(k, p, k->next < own, err);
        if (!p->base)
            dpkg_for_each_dependency(&k->dpkg, p, enqueue_dependency, k);
    }
    if (result == 0)
        take_compiled_python(k);
    for (size_t i = 0; i < k->elf_files.count && result == 0; i++)
        result = libs_add_for(l, k->elf_files.items[i], false, err);
    strv_done(&k->python_dirs);
    strv_done(&k->elf_files);
    dpkg_done(&k->dpkg);
    return result;
}
