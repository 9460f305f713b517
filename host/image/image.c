/* SPDX-License-Identifier: Apache-2.0 */
/* Making images: see image.h. The order is: the program, what the user adds, packages, the rest of a root. */
#include "host/image/image.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "abi/boot.h"
#include "host/image/base.h"
#include "host/image/cache.h"
#include "host/image/packages.h"
#include "host/image/script.h"
#include "host/lib/child.h"
#include "host/lib/fs.h"

#define FORMAT "drupe image 6" /* change it when the builder makes other images of the same inputs */

static int add_user_paths(struct tree *t, struct libs *l, const struct source *s, const struct image_options *o, struct error *err)
{
    for (size_t i = 0; i < o->add.count; i++) {
        AUTO_FREE char *source = xstrdup(o->add.items[i]);
        char *colon = strrchr(source, ':');
        const char *dst = NULL;
        if (colon && colon[1] == '/') {
            *colon = 0;
            dst = colon + 1;
        }
        struct stat st;
        AUTO_FREE char *path = path_absolute(source);
        if (stat(path, &st) < 0)
            return err_errno(err, EXIT_DRUPE, "--add %s", source);
        AUTO_FREE char *why = str_format("--add %s", source);
        struct list *before = t->nodes.prev;
        int result = dst                   ? tree_add_as(t, path, dst, why, err)
                     : S_ISDIR(st.st_mode) ? tree_add_host_dir(t, path, why, false, err)
                                           : tree_add_host(t, path, why, NULL, err);
        if (result < 0)
            return err_prefix(err, "--add");
        struct strv elf_files = {0};
        for (struct list *at = before->next; at != &t->nodes; at = at->next) {
            struct tree_node *n = list_entry(at, struct tree_node, link);
            if (n->source && (n->mode & 0111 || strstr(n->source, ".so")))
                strv_add(&elf_files, n->source);
        }
        l->elsewhere = dst != NULL;
        for (size_t k = 0; k < elf_files.count && result == 0; k++)
            result = libs_add_for(l, elf_files.items[k], false, err);
        l->elsewhere = false;
        strv_done(&elf_files);
        if (result == 0 && s->kind != SOURCE_DIR && S_ISREG(st.st_mode) && st.st_mode & 0111) /* a root of the user's own has what he wants */
            result = script_add_interpreters(t, l, o, path, why, err);
        if (result < 0)
            return -1;
    }
    return 0;
}

static int add_program(struct tree *t, struct libs *l, const struct source *s, const struct image_options *o,
                       struct error *err)
{
    if (s->kind == SOURCE_SCRIPT && tree_add_host(t, s->path, "the program", NULL, err) < 0)
        return -1;
    for (size_t i = 0; i < s->scripts.count; i++)
        if (tree_add_host(t, s->scripts.items[i], "an interpreter", NULL, err) < 0)
            return -1;
    const char *binary = s->interpreter ? s->interpreter : s->path;
    if (libs_add_for(l, binary, true, err) < 0)
        return s->interpreter ? err_prefix(err, "%s: its interpreter", s->path) : -1;
    if (o->no_package)
        return 0;
    if (s->interpreter && packages_add_for(t, l, s->interpreter, o->gconv, err) < 0)
        return -1;
    return packages_add_for(t, l, s->path, o->gconv, err);
}

static int fill_tree(struct tree *t, struct libs *l, const struct source *s, const struct image_options *o,
                     const struct config *c, struct error *err)
{
    AUTO_FREE char *json = config_text(c);
    if (s->kind == SOURCE_DIR) {
        if (tree_add_as(t, s->path, "/", "the directory", err) < 0)
            return -1;
        struct tree_node *old = tree_find(t, BOOT_CONFIG_PATH);
        if (old) {
            free(old->source);
            old->source = NULL;
            old->data.len = 0;
            buf_add(&old->data, json, strlen(json));
        }
        if (add_user_paths(t, l, s, o, err) < 0)
            return -1;
        base_add_mount_points(t);
    } else if (add_program(t, l, s, o, err) < 0 || add_user_paths(t, l, s, o, err) < 0 ||
               base_add(t, l, o->gconv, err) < 0) {
        return -1;
    }
    tree_add_dir(t, "/.drupe", 0755, "generated");
    tree_add_data(t, BOOT_CONFIG_PATH, 0644, json, strlen(json), "generated");
    return 0;
}

static int run_mkfs(const char *image, const char *root, struct error *err)
{
    const char *argv[] = {"mkfs.erofs", "--quiet", "-E", "noinline_data,force-inode-extended", image, root, NULL, NULL};
    if (geteuid() != 0) { /* our own number means nothing inside: see docs */
        argv[4] = "--all-root";
        argv[5] = image;
        argv[6] = root;
    }
    struct buf output = {0};
    int status = child_run((char *const *)argv, &output, err);
    if (status < 0 && errno == ENOENT)
        err_set(err, EXIT_DRUPE, "mkfs.erofs is not installed; install it (Debian: apt install erofs-utils)");
    else if (status > 0)
        err_set(err, EXIT_DRUPE, "mkfs.erofs failed (status %d): %s", status, output.data ? output.data : "");
    buf_done(&output);
    return status == 0 ? 0 : -1;
}

/* Make the image below `tmp`; *ret_path says where. */
static int make(const struct source *s, const struct image_options *o, const struct config *c, const char *tmp,
                struct inputs *inputs, char **ret_path, struct error *err)
{
    u64 start = now_ns();
    struct tree tree;
    struct libs libs;
    tree_init(&tree, inputs);
    libs_init(&libs, &tree);
    AUTO_FREE char *root = path_join(tmp, "root");
    AUTO_FREE char *image = path_join(tmp, "image");
    int result = fill_tree(&tree, &libs, s, o, c, err);
    u64 found = now_ns();
    if (result == 0 && (mkdir(root, 0755) < 0 || chmod(root, 0755) < 0))
        result = err_errno(err, EXIT_DRUPE, "%s", root);
    if (result == 0)
        result = tree_stage(&tree, root, err);
    u64 staged = now_ns();
    if (result == 0)
        result = run_mkfs(image, root, err);
    if (result == 0) {
        if (geteuid() != 0)
            say("image: not made by root, so everything in it belongs to root");
        tree_report(&tree);
        say("image: made in %llu ms (finding %llu, copying %llu, mkfs.erofs %llu)",
            (unsigned long long)(now_ns() - start) / 1000000, (unsigned long long)(found - start) / 1000000,
            (unsigned long long)(staged - found) / 1000000, (unsigned long long)(now_ns() - staged) / 1000000);
        *ret_path = TAKE_PTR(image);
    }
    libs_done(&libs);
    tree_done(&tree);
    return result;
}

static void add_request(struct cache *c, const char *key, const char *value)
{
    buf_addf(&c->request, "%s=%s", key, value);
    buf_add(&c->request, "", 1);
}

static void make_request(struct cache *c, const struct source *s, const struct image_options *o)
{
    add_request(c, "format", FORMAT " " DRUPE_VERSION);
    add_request(c, "source", s->path);
    add_request(c, "kind", s->kind == SOURCE_DIR ? "dir" : s->kind == SOURCE_SCRIPT ? "script" : "elf");
    if (s->interpreter)
        add_request(c, "interpreter", s->interpreter);
    for (size_t i = 0; i < s->scripts.count; i++)
        add_request(c, "script", s->scripts.items[i]);
    add_request(c, "no-package", o->no_package ? "1" : "0");
    add_request(c, "gconv", o->gconv ? "1" : "0");
    add_request(c, "root", geteuid() == 0 ? "1" : "0");
    for (size_t i = 0; i < o->add.count; i++) {
        AUTO_FREE char *path = path_absolute(o->add.items[i]);
        add_request(c, "add", path);
    }
    cache_set_key(c);
}

static int make_cached(struct cache *cache, const struct source *s, const struct image_options *o, struct error *err)
{
    AUTO_CLOSE int lock = cache_lock(cache, err);
    if (lock < 0)
        return -1;
    int fd = cache_lookup(cache);
    if (fd >= 0)
        return fd;
    AUTO_FREE char *tmp = NULL, *image = NULL;
    AUTO_CLOSE int tmp_lock = -1;
    if (cache_make_tmp(cache, &tmp, &tmp_lock, err) < 0)
        return -1;
    struct inputs inputs = {0};
    struct config config;
    config_init(&config);
    config_set_args(&config, s->args.items, s->args.count);
    if (make(s, o, &config, tmp, &inputs, &image, err) == 0)
        fd = cache_publish(cache, image, &inputs, err);
    config_done(&config);
    inputs_done(&inputs);
    remove_tree(AT_FDCWD, tmp);
    return fd;
}

int image_open(const struct source *s, const struct image_options *o, struct error *err)
{
    if (s->kind == SOURCE_IMAGE)
        return fcntl(s->fd, F_DUPFD_CLOEXEC, 3);
    struct cache cache = {0};
    u64 start = now_ns();
    int fd = -1;
    if (cache_open(&cache, err) == 0) {
        make_request(&cache, s, o);
        fd = cache_lookup(&cache);
        if (fd >= 0)
            say("image: %s/%s.img, cached, checked in %llu us", cache.dir, cache.key,
                (unsigned long long)(now_ns() - start) / 1000);
        else
            fd = make_cached(&cache, s, o, err);
    }
    cache_done(&cache);
    return fd;
}

int image_build(const struct source *s, const struct image_options *o, const struct config *c, const char *out,
                struct error *err)
{
    struct cache cache = {0};
    AUTO_FREE char *tmp = NULL, *image = NULL;
    AUTO_CLOSE int tmp_lock = -1;
    struct inputs inputs = {0};
    int result = -1;
    if (cache_open(&cache, err) == 0 && cache_make_tmp(&cache, &tmp, &tmp_lock, err) == 0 &&
        make(s, o, c, tmp, &inputs, &image, err) == 0) {
        /* Beside the target first: the cache may lie on another file system. */
        AUTO_FREE char *partial = str_format("%s.partial.%d", out, getpid());
        AUTO_CLOSE int from = open(image, O_RDONLY | O_CLOEXEC);
        AUTO_CLOSE int to = open(partial, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
        if (from < 0 || to < 0 || fd_copy(from, to) < 0 || fsync(to) < 0 || rename(partial, out) < 0) {
            err_errno(err, EXIT_DRUPE, "%s", out);
            if (to >= 0)
                unlink(partial);
        } else {
            result = 0;
        }
    }
    if (tmp)
        remove_tree(AT_FDCWD, tmp);
    inputs_done(&inputs);
    cache_done(&cache);
    return result;
}
