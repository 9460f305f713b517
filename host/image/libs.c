/* SPDX-License-Identifier: Apache-2.0 */
/* Finding shared libraries: see libs.h. */
#include "host/image/libs.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <string.h>

#include "base/bytes.h"
#include "host/lib/fs.h"

#define MAX_CONF_DEPTH 8
#define MAX_CHAIN 64

static const char *const default_dirs[] = {"/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu", "/lib64", "/usr/lib64",
                                           "/lib", "/usr/lib"};
static const char *const musl_dirs[] = {"/lib", "/usr/local/lib", "/usr/lib"};

/* An object being looked into and the one that needed it, for DT_RPATH and messages. */
struct object {
    const struct object *loader;
    const char *path, *origin;
    struct elf_info elf;
    unsigned depth;
};

void libs_init(struct libs *l, struct tree *tree) { *l = (struct libs){.tree = tree}; }

void libs_done(struct libs *l)
{
    strv_done(&l->dirs);
    map_done(&l->by_name, free);
    map_done(&l->done, NULL);
}

static void add_dir(struct libs *l, const char *dir)
{
    if (!strv_contains(&l->dirs, dir))
        strv_add(&l->dirs, dir);
}

static void read_conf(struct libs *l, const char *path, unsigned depth)
{
    struct buf text = {0};
    inputs_note(l->tree->inputs, path, INPUT_WHOLE, NULL);
    if (depth > MAX_CONF_DEPTH || file_read(path, 1 << 20, &text) < 0)
        return;
    char *save = NULL;
    for (char *line = strtok_r(text.data, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        line[strcspn(line, "#")] = 0;
        line += strspn(line, " \t");
        size_t n = strlen(line);
        while (n && strchr(" \t\r", line[n - 1]))
            line[--n] = 0;
        if (str_has_prefix(line, "include") && strchr(" \t", line[7]) && line[7]) {
            const char *pattern = line + 7 + strspn(line + 7, " \t");
            AUTO_FREE char *full = pattern[0] == '/' ? xstrdup(pattern) : path_join("/etc", pattern);
            AUTO_FREE char *dir = path_dirname(full);
            inputs_note(l->tree->inputs, dir, INPUT_LISTING, NULL);
            glob_t found;
            if (glob(full, 0, NULL, &found) == 0) {
                for (size_t i = 0; i < found.gl_pathc; i++)
                    read_conf(l, found.gl_pathv[i], depth + 1);
                globfree(&found);
            }
        } else if (line[0] == '/') {
            add_dir(l, line);
        }
    }
    buf_done(&text);
}

static void know_dirs(struct libs *l)
{
    if (l->dirs_known)
        return;
    l->dirs_known = true;
    if (!l->musl || l->glibc)
        read_conf(l, "/etc/ld.so.conf", 0);
    const char *const *dirs = l->musl ? musl_dirs : default_dirs;
    size_t count = l->musl ? ARRAY_SIZE(musl_dirs) : ARRAY_SIZE(default_dirs);
    for (size_t i = 0; i < count; i++)
        add_dir(l, dirs[i]);
}

/* $ORIGIN, $LIB and $PLATFORM, with or without braces (ld.so(8), "Dynamic string tokens"). */
static char *expand_tokens(const char *s, const char *origin)
{
    const struct {
        const char *name, *value;
    } tokens[] = {{"$ORIGIN", origin}, {"${ORIGIN}", origin}, {"$LIB", "lib/x86_64-linux-gnu"},
                  {"${LIB}", "lib/x86_64-linux-gnu"}, {"$PLATFORM", "x86_64"}, {"${PLATFORM}", "x86_64"}};
    struct buf out = {0};
    buf_add(&out, "", 0);
    while (*s) {
        size_t i = 0;
        while (i < ARRAY_SIZE(tokens) && !str_has_prefix(s, tokens[i].name))
            i++;
        if (i < ARRAY_SIZE(tokens)) {
            buf_addf(&out, "%s", tokens[i].value);
            s += strlen(tokens[i].name);
        } else {
            buf_add(&out, s++, 1);
        }
    }
    return out.data;
}

/* Is there a library for us at `path`? Others (32-bit ones) are passed over, as ld.so does. */
static bool usable(struct libs *l, const char *path)
{
    struct stat st;
    u8 head[20];
    AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        inputs_note(l->tree->inputs, path, INPUT_ABSENT, NULL);
        return false;
    }
    return fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && read(fd, head, sizeof(head)) == sizeof(head) &&
           memcmp(head, ELFMAG, SELFMAG) == 0 && head[EI_CLASS] == ELFCLASS64 && get_u16(head + 18) == EM_X86_64;
}

static char *try_dir(struct libs *l, const char *dir, const char *name)
{
    struct stat st;
    if (stat(dir, &st) < 0) {
        inputs_note(l->tree->inputs, dir, INPUT_ABSENT, NULL);
        return NULL;
    }
    AUTO_FREE char *path = path_join(dir, name);
    return usable(l, path) ? path_absolute(path) : NULL;
}

static char *try_list(struct libs *l, const char *list, const char *origin, const char *name)
{
    for (const char *p = list; p;) {
        const char *end = strchrnul(p, ':');
        AUTO_FREE char *raw = xstrndup(p, (size_t)(end - p));
        AUTO_FREE char *dir = expand_tokens(raw, origin);
        char *found = dir[0] == '/' ? try_dir(l, dir, name) : NULL;
        if (found)
            return found;
        p = *end ? end + 1 : NULL;
    }
    return NULL;
}

static char *find_library(struct libs *l, const struct object *o, const char *name)
{
    if (strchr(name, '/')) {
        AUTO_FREE char *path = expand_tokens(name, o->origin);
        return usable(l, path) ? path_absolute(path) : NULL;
    }
    char *found = NULL;
    if (!o->elf.runpath) {
        for (const struct object *up = o; up && !found; up = up->loader)
            if (up->elf.rpath && !up->elf.runpath)
                found = try_list(l, up->elf.rpath, up->origin, name);
    }
    if (!found && o->elf.runpath)
        found = try_list(l, o->elf.runpath, o->origin, name);
    know_dirs(l);
    for (size_t i = 0; i < l->dirs.count && !found; i++)
        found = try_dir(l, l->dirs.items[i], name);
    return found;
}

static void describe_chain(const struct object *o, struct buf *text)
{
    buf_addf(text, "needed by %s", o->path);
    if (o->loader) {
        buf_addf(text, ", ");
        describe_chain(o->loader, text);
    }
}

static int add_object(struct libs *l, const char *path, const struct object *loader, bool must, struct error *err);

static int add_needed(struct libs *l, const struct object *o, const char *name, bool must, struct error *err)
{
    const char *known = map_get(&l->by_name, name);
    if (known)
        return 0;
    AUTO_FREE char *path = find_library(l, o, name);
    if (!path) {
        struct buf chain = {0};
        describe_chain(o, &chain);
        int result = 0;
        if (must)
            result = err_set(err, EXIT_NOPROG,
                             "library %s is not on this host (%s); install the package that has it, or give it with --add",
                             name, chain.data);
        else
            say("left out: library %s is not on this host (%s)", name, chain.data);
        buf_done(&chain);
        return result;
    }
    map_put(&l->by_name, name, xstrdup(path));
    return add_object(l, path, o, must, err);
}

static int add_interpreter(struct libs *l, const struct object *o, bool must, struct error *err)
{
    if (access(o->elf.interp, R_OK) < 0) {
        if (must)
            return err_set(err, EXIT_NOPROG, "%s: its loader %s is not on this host", o->path, o->elf.interp);
        return 0;
    }
    if (str_has_prefix(path_basename(o->elf.interp), "ld-musl"))
        l->musl = true;
    else
        l->glibc = true;
    return tree_add_host(l->tree, o->elf.interp, "shared libraries", NULL, err);
}

static void note_wishes(struct libs *l, const struct elf_info *elf)
{
    /* The C library names everything; it is what others name that counts. */
    if (elf->soname && str_has_prefix(elf->soname, "libc."))
        return;
    l->wants_locale |= elf->wants_locale;
    l->wants_nss |= elf->wants_nss;
    l->wants_gconv |= elf->wants_gconv;
    l->wants_unwinder |= elf->wants_unwinder;
}

static int add_object(struct libs *l, const char *path, const struct object *loader, bool must, struct error *err)
{
    AUTO_FREE char *real = NULL;
    if (!loader && l->elsewhere) {
        real = realpath(path, NULL);
        if (!real)
            return must ? err_errno(err, EXIT_NOEXEC, "%s", path) : 0;
    } else if (tree_add_host(l->tree, path, loader ? "shared libraries" : "the program", &real, err) < 0) {
        err->code = must ? EXIT_NOEXEC : err->code;
        return must ? -1 : 0;
    }
    if (map_get(&l->done, real))
        return 0;
    map_put(&l->done, real, l);
    AUTO_CLOSE int fd = open(real, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_errno(err, EXIT_NOEXEC, "%s", real);
    AUTO_FREE char *origin = path_dirname(loader ? path : real);
    struct object o = {.loader = loader, .path = path, .origin = origin, .depth = loader ? loader->depth + 1 : 0};
    enum elf_kind kind;
    if (elf_read(fd, path, &kind, &o.elf, err) < 0) {
        if (must)
            return -1;
        say("%s", err->text);
        return 0;
    }
    if (kind == ELF_NOT_ELF)
        return must ? err_set(err, EXIT_NOEXEC, "%s: not an ELF file", path) : 0;
    int result = 0;
    if (o.elf.machine != EM_X86_64 || o.elf.elf_class != ELFCLASS64) {
        result = must ? err_set(err, EXIT_NOEXEC, "%s: wrong architecture: it is for %s, the machine is x86-64", path,
                                elf_machine_name(o.elf.machine, o.elf.elf_class))
                      : 0;
    } else if (o.depth > MAX_CHAIN) {
        result = err_set(err, EXIT_NOEXEC, "%s: libraries nested too deeply", path);
    } else {
        note_wishes(l, &o.elf);
        if (o.elf.interp)
            result = add_interpreter(l, &o, must, err);
        for (size_t i = 0; i < o.elf.needed.count && result == 0; i++)
            result = add_needed(l, &o, o.elf.needed.items[i], must, err);
    }
    elf_done(&o.elf);
    return result;
}

int libs_add_for(struct libs *l, const char *path, bool must, struct error *err)
{
    return add_object(l, path, NULL, must, err);
}

bool libs_add_named(struct libs *l, const char *name)
{
    struct error err;
    struct object nobody = {.path = "the C library", .origin = "/"};
    if (map_get(&l->by_name, name))
        return true;
    AUTO_FREE char *path = find_library(l, &nobody, name);
    if (!path)
        return false;
    map_put(&l->by_name, name, xstrdup(path));
    return add_object(l, path, &nobody, false, &err) == 0;
}

/* --- ld.so.cache ------------------------------------------------------------
 *
 *   0        17    20      24         28      29         32           36      48
 *   | magic  | 1.1 | count | strings  | flags | padding  | extensions | unused |
 *   then `count` entries of 24 bytes: flags, key, value (offsets from the start of
 *   the file), osversion, hwcap (8 bytes); then the strings. Sorted by key,
 *   descending, runs of digits compared as numbers.
 */

struct cache_entry {
    const char *name, *path;
};

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

static int compare_library_names(const char *a, const char *b)
{
    while (*a && *b) {
        if (is_digit(*a) && is_digit(*b)) {
            u64 x = 0, y = 0;
            while (is_digit(*a))
                x = x * 10 + (u64)(*a++ - '0');
            while (is_digit(*b))
                y = y * 10 + (u64)(*b++ - '0');
            if (x != y)
                return x < y ? -1 : 1;
        } else if (is_digit(*a) != is_digit(*b)) {
            return is_digit(*a) ? 1 : -1;
        } else if (*a != *b) {
            return *a < *b ? -1 : 1;
        } else {
            a++, b++;
        }
    }
    return *a ? 1 : *b ? -1 : 0;
}

static int compare_entries(const void *a, const void *b)
{
    return compare_library_names(((const struct cache_entry *)b)->name, ((const struct cache_entry *)a)->name);
}

void libs_write_cache(struct libs *l)
{
    if (!l->glibc || !l->by_name.count)
        return;
    AUTO_FREE struct cache_entry *entries = xalloc(l->by_name.count * sizeof(*entries));
    u32 count = 0;
    for (size_t i = 0; i < l->by_name.capacity; i++) {
        struct map_slot *slot = &l->by_name.slots[i];
        if (slot->key && !strchr(slot->key, '/'))
            entries[count++] = (struct cache_entry){slot->key, slot->value};
    }
    qsort(entries, count, sizeof(*entries), compare_entries);
    struct buf strings = {0}, out = {0};
    u32 base = 48 + count * 24;
    u8 header[48] = "glibc-ld.so.cache1.1";
    buf_add(&out, header, sizeof(header));
    for (u32 i = 0; i < count; i++) {
        u8 entry[24] = {0};
        put_u32(entry, 0x0303); /* ELF, libc6, x86-64 */
        put_u32(entry + 4, base + (u32)strings.len);
        buf_add(&strings, entries[i].name, strlen(entries[i].name) + 1);
        put_u32(entry + 8, base + (u32)strings.len);
        buf_add(&strings, entries[i].path, strlen(entries[i].path) + 1);
        buf_add(&out, entry, sizeof(entry));
    }
    put_u32(out.data + 20, count);
    put_u32(out.data + 24, (u32)strings.len);
    out.data[28] = 2; /* little-endian */
    buf_add(&out, strings.data, strings.len);
    tree_add_data(l->tree, "/etc/ld.so.cache", 0644, out.data, out.len, "generated");
    buf_done(&strings);
    buf_done(&out);
}
