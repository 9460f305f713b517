/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses and names: names.h. */
#include "host/bpf/names.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "host/client/jit.h"
#include "host/image/symbols.h"
#include "host/lib/fs.h"

#define FILE_MAX (1u << 30)
#define AREAS_MAX (16u << 20)

/* --- files of this host ------------------------------------------------------------------- */

struct image {
    void *bytes; /* NULL: there is none */
    size_t len;
};

static struct image *image_open(const char *path)
{
    struct image *i = xalloc(sizeof(*i));
    struct stat st;
    AUTO_CLOSE int fd = open_regular(path);
    if (fd >= 0 && fstat(fd, &st) == 0 && st.st_size > 0 && st.st_size < FILE_MAX) {
        i->len = (size_t)st.st_size;
        i->bytes = mmap(NULL, i->len, PROT_READ, MAP_PRIVATE, fd, 0);
        if (i->bytes == MAP_FAILED)
            i->bytes = NULL;
    }
    return i;
}

static void image_close(void *image)
{
    struct image *i = image;
    if (i->bytes)
        munmap(i->bytes, i->len);
    free(i);
}

/* --- areas of a process ------------------------------------------------------------------------ */

struct area {
    u64 start, end, offset;
    const char *path;
};

/* The next line of /proc/PID/maps that has a file, executable. The text is cut into pieces. */
static bool next_area(char **text, struct area *ret)
{
    for (char *line; (line = strsep(text, "\n")) != NULL;) {
        char perms[8];
        int at = 0;
        if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %7s %" SCNx64 " %*s %*s %n", &ret->start, &ret->end, perms, &ret->offset, &at) == 4 && at > 0 &&
            strlen(perms) >= 3 && perms[2] == 'x' && line[at] == '/') {
            ret->path = line + at;
            return true;
        }
    }
    return false;
}

/* All lines, as far as they are told. */
static char *areas_of(struct session *s, u32 pid)
{
    struct bpfd_reply reply;
    struct buf text = {0}, part = {0};
    struct error ignored = {0};
    buf_add(&text, "", 0);
    do { /* one reply has some hundred lines */
        struct bpfd_number n = {.number = pid, .offset = (u32)text.len};
        if (session_ask(s, BPFD_AREAS, &n, sizeof(n), NULL, 0, &reply, &part, &ignored) < 0 || reply.error)
            break;
        buf_add(&text, part.data, part.len);
    } while (part.len && text.len < MIN(reply.value, (u64)AREAS_MAX));
    buf_done(&part);
    return text.data;
}

/* --- names --------------------------------------------------------------------------------------- */

struct names {
    struct session *session;
    struct jit *jit;
    struct map known;  /* "pid address offset" -> name */
    struct map areas;  /* "pid" -> text */
    struct map images; /* path -> struct image */
};

struct names *names_new(struct session *s)
{
    struct names *n = xalloc(sizeof(*n));
    n->session = s;
    n->jit = jit_new(s->entry);
    return n;
}

void names_free(struct names *n)
{
    jit_free(n->jit);
    map_done(&n->known, free);
    map_done(&n->areas, free);
    map_done(&n->images, image_close);
    free(n);
}

static const char *areas_kept(struct names *n, u32 pid)
{
    AUTO_FREE char *key = str_format("%u", pid);
    char *text = map_get(&n->areas, key);
    if (!text) {
        text = areas_of(n->session, pid);
        map_put(&n->areas, key, text);
    }
    return text;
}

static const struct image *image_kept(struct names *n, const char *path)
{
    struct image *i = map_get(&n->images, path);
    if (!i) {
        i = image_open(path);
        map_put(&n->images, path, i);
    }
    return i;
}

static char *user_name(struct names *n, u64 address, u32 pid)
{
    AUTO_FREE char *text = xstrdup(areas_kept(n, pid));
    struct area a;
    for (char *rest = text; next_area(&rest, &a);) {
        if (address < a.start || address >= a.end)
            continue;
        const struct image *i = image_kept(n, a.path);
        return i->bytes ? symbol_at(i->bytes, i->len, address - a.start + a.offset) : NULL;
    }
    u64 offset;
    const char *made = jit_name(n->jit, pid, address, &offset); /* by the program itself */
    return made ? str_format("%s+%#" PRIx64, made, offset) : NULL;
}

static char *kernel_name(struct names *n, u64 address)
{
    struct bpfd_symbol symbol = {.address = address};
    struct bpfd_reply reply;
    struct buf data = {0};
    struct error ignored = {0};
    char *name = NULL;
    if (address && session_ask(n->session, BPFD_SYMBOL, &symbol, sizeof(symbol), NULL, 0, &reply, &data, &ignored) == 0 && !reply.error && data.len) {
        name = xstrndup(data.data, MIN(data.len, (size_t)200));
        str_ascii(name);
    }
    buf_done(&data);
    return name;
}

/* "name+0x1f" becomes "name+31" or "name". */
static char *spell(const char *name, u64 address, bool offset)
{
    const char *plus = name ? strrchr(name, '+') : NULL;
    if (!name)
        return str_format("%#" PRIx64, address);
    unsigned long long n = plus ? strtoull(plus + 1, NULL, 16) : 0;
    int len = plus ? (int)(plus - name) : (int)strlen(name);
    return offset && n ? str_format("%.*s+%llu", len, name, n) : str_format("%.*s", len, name);
}

const char *names_of(struct names *n, u64 address, u32 pid, bool offset)
{
    AUTO_FREE char *key = str_format("%u %" PRIx64 " %d", pid, address, offset);
    char *name = map_get(&n->known, key);
    if (!name) {
        AUTO_FREE char *found = pid ? user_name(n, address, pid) : kernel_name(n, address);
        name = spell(found, address, offset);
        map_put(&n->known, key, name);
    }
    return name;
}

/* --- functions to attach to ------------------------------------------------------------------------ */

int function_find(const struct target *t, u64 *ret_offset, struct error *err)
{
    struct image *i = image_open(t->path);
    int result = 0;
    *ret_offset = 0;
    if (!i->bytes)
        result = err_set(err, EXIT_DRUPE, "%s: %s cannot be read on this host, where its functions are looked up", t->name, t->path);
    else if (t->symbol && !symbol_find(i->bytes, i->len, t->symbol, ret_offset))
        result = err_set(err, EXIT_DRUPE, "%s: %s has no function %s in its symbol tables", t->name, t->path, t->symbol);
    *ret_offset += t->offset;
    image_close(i);
    return result;
}
