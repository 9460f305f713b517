/* SPDX-License-Identifier: Apache-2.0 */
/* Maps, programs and attachments: unit.h. */
#include "host/bpf/unit.h"

#include <string.h>

static void *grow(void *list, u32 *count, size_t size)
{
    char *items = xrealloc(list, (*count + 1) * size);
    memset(items + *count * size, 0, size);
    (*count)++;
    return items;
}

struct unit_map *unit_add_map(struct unit *u, const char *name, u32 type, u32 key_size, u32 value_size, u32 max_entries)
{
    u->maps = grow(u->maps, &u->nmaps, sizeof(*u->maps));
    struct unit_map *m = &u->maps[u->nmaps - 1];
    *m = (struct unit_map){.name = xstrdup(name), .type = type, .key_size = key_size, .value_size = value_size, .max_entries = max_entries};
    return m;
}

struct unit_program *unit_add_program(struct unit *u, const char *name, u32 ctx, struct bpf_insn *insns, u32 ninsns)
{
    u->programs = grow(u->programs, &u->nprograms, sizeof(*u->programs));
    struct unit_program *p = &u->programs[u->nprograms - 1];
    *p = (struct unit_program){.name = xstrdup(name), .ctx = ctx, .insns = insns, .ninsns = ninsns};
    return p;
}

void unit_add_attach(struct unit *u, u32 program, struct target *t)
{
    u->attaches = grow(u->attaches, &u->nattaches, sizeof(*u->attaches));
    u->attaches[u->nattaches - 1] = (struct unit_attach){program, *t};
    t->name = t->path = t->symbol = NULL;
}

const struct unit_line *unit_line_of(const struct unit_program *p, u32 insn)
{
    const struct unit_line *found = NULL;
    for (u32 i = 0; i < p->nlines && p->lines[i].insn <= insn; i++)
        found = &p->lines[i];
    return found;
}

static void program_done(struct unit_program *p)
{
    for (u32 i = 0; i < p->nlines; i++)
        free(p->lines[i].text);
    free(p->name);
    free(p->insns);
    free(p->lines);
}

void unit_done(struct unit *u)
{
    for (u32 i = 0; i < u->nmaps; i++) {
        free(u->maps[i].name);
        free(u->maps[i].data);
    }
    for (u32 i = 0; i < u->nprograms; i++)
        program_done(&u->programs[i]);
    for (u32 i = 0; i < u->nattaches; i++)
        target_done(&u->attaches[i].target);
    free(u->maps);
    free(u->programs);
    free(u->attaches);
    *u = (struct unit){0};
}
