/* SPDX-License-Identifier: Apache-2.0 */
/* Names of code that programs make: jit.h. */
#include "host/client/jit.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "abi/profile.h"

#define AGAIN_NS 1000000000ull
#define LOOK_BACK 32u /* entries that begin before an address, of which one may still reach it */
#define ANSWER_SECONDS 5

struct piece {
    u64 start, size;
    size_t line; /* the later one counts */
    const char *name;
};

struct perf_map {
    u32 pid;
    u64 read_ns;
    bool told; /* that there is more of it than is read */
    char *text;
    struct piece *pieces; /* by start, then line */
    size_t count;
    struct perf_map *next;
};

struct jit {
    const struct entry *entry;
    struct perf_map *maps;
};

struct jit *jit_new(const struct entry *e)
{
    struct jit *j = xalloc(sizeof(*j));
    j->entry = e;
    return j;
}

static void forget(struct perf_map *m)
{
    free(m->text);
    free(m->pieces);
    m->text = NULL;
    m->pieces = NULL;
    m->count = 0;
}

void jit_free(struct jit *j)
{
    for (struct perf_map *m = j ? j->maps : NULL, *next; m; m = next) {
        next = m->next;
        forget(m);
        free(m);
    }
    free(j);
}

static int by_start(const void *a, const void *b)
{
    const struct piece *x = a, *y = b;
    return x->start != y->start ? (x->start < y->start ? -1 : 1) : (x->line > y->line) - (x->line < y->line);
}

static struct perf_map *map_of(struct jit *j, u32 pid)
{
    struct perf_map *m = j->maps;
    while (m && m->pid != pid)
        m = m->next;
    if (!m) {
        m = xalloc(sizeof(*m));
        *m = (struct perf_map){.pid = pid, .next = j->maps};
        j->maps = m;
    }
    return m;
}

void jit_take(struct jit *j, u32 pid, const char *text, size_t len)
{
    struct perf_map *m = map_of(j, pid);
    size_t lines = 1;
    forget(m);
    m->text = xstrndup(text, len);
    for (const char *p = m->text; (p = strchr(p, '\n')); p++)
        lines++;
    m->pieces = xalloc(lines * sizeof(*m->pieces));
    char *rest = m->text;
    for (char *line; (line = strsep(&rest, "\n")) != NULL;) {
        struct piece p = {.line = m->count};
        int at = 0;
        if (sscanf(line, "%" SCNx64 " %" SCNx64 " %n", &p.start, &p.size, &at) != 2 || !at || !line[at] || p.size == 0)
            continue;
        text_clean(line + at, strlen(line + at), "");
        p.name = line + at;
        m->pieces[m->count++] = p;
    }
    qsort(m->pieces, m->count, sizeof(*m->pieces), by_start);
}

void jit_text(const struct entry *e, u32 pid, struct buf *text, bool *told)
{
    struct timeval patience = {.tv_sec = ANSWER_SECONDS};
    struct conversation c = {.fd = -1};
    struct error ignored = {0};
    AUTO_FREE char *args = str_format("%u", pid);
    if (conversation_open(&c, e, "perf-map", args, strlen(args), &ignored) == 0) {
        setsockopt(c.fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
        while (text->len < PERF_MAP_MAX && conversation_message(&c, text, PERF_MAP_MAX + CTL_PART_MAX, &ignored) > 0)
            ;
    }
    conversation_done(&c);
    if (text->len >= PERF_MAP_MAX && !*told) {
        warn("names of code: /tmp/perf-%u.map is longer than the %u MiB that are read", pid, PERF_MAP_MAX >> 20);
        *told = true;
    }
    while (text->len && text->data[text->len - 1] != '\n') /* not whole: it is being written, or behind what is read */
        text->len--;
}

static void read_map(struct jit *j, struct perf_map *m)
{
    struct buf text = {0};
    m->read_ns = now_ns();
    jit_text(j->entry, m->pid, &text, &m->told);
    if (text.len)
        jit_take(j, m->pid, text.data, text.len);
    buf_done(&text);
}

static const struct piece *find(const struct perf_map *m, u64 address)
{
    const struct piece *found = NULL;
    size_t low = 0, high = m->count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (m->pieces[mid].start <= address)
            low = mid + 1;
        else
            high = mid;
    }
    for (size_t i = low, n = 0; i > 0 && n < LOOK_BACK; i--, n++) {
        const struct piece *p = &m->pieces[i - 1];
        if (address - p->start < p->size && (!found || p->line > found->line))
            found = p;
    }
    return found;
}

const char *jit_name(struct jit *j, u32 pid, u64 address, u64 *ret_offset)
{
    struct perf_map *m = map_of(j, pid);
    const struct piece *p = find(m, address);
    if (!p && (m->read_ns == 0 || now_ns() - m->read_ns >= AGAIN_NS)) {
        read_map(j, m);
        p = find(m, address);
    }
    if (p)
        *ret_offset = address - p->start;
    return p ? p->name : NULL;
}
