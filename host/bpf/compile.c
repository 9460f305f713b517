/* SPDX-License-Identifier: Apache-2.0 */
/* A whole program in words becomes a unit: lang.h. */
#include <stdio.h>
#include <string.h>

#include "host/bpf/gen.h"

#define TEXT_MAX 65536u
#define MAP_ENTRIES 4096u
#define RING_BYTES (256u << 10)
#define STACKS 1024u

u32 lang_output(struct lang *l, const struct output *o)
{
    for (u32 n = 0; n < l->noutputs; n++) {
        struct output *p = &l->outputs[n];
        bool equal = p->at == o->at && p->ntypes == o->ntypes;
        for (u32 i = 0; equal && i < o->ntypes; i++)
            equal = type_equal(&p->types[i], &o->types[i]);
        if (equal)
            return n;
    }
    l->outputs = xrealloc(l->outputs, (l->noutputs + 1) * sizeof(*l->outputs));
    l->outputs[l->noutputs] = *o;
    return l->noutputs++;
}

u64 lang_probe(struct lang *l, const struct target *t)
{
    for (size_t i = 0; i < l->probes.count; i++)
        if (strcmp(l->probes.items[i], t->name) == 0)
            return i;
    strv_add(&l->probes, t->name);
    return l->probes.count - 1;
}

u32 lang_stacks(struct lang *l, u32 frames)
{
    for (u32 i = 0; i < l->unit.nmaps; i++)
        if (l->unit.maps[i].type == BPF_MAP_TYPE_STACK_TRACE && l->unit.maps[i].value_size == 8 * frames)
            return i;
    unit_add_map(&l->unit, "stacks", BPF_MAP_TYPE_STACK_TRACE, 4, 8 * frames, STACKS)->hidden = true;
    return l->unit.nmaps - 1;
}

/* --- maps -------------------------------------------------------------------------------------- */

static u32 entries_of(const struct map_def *m)
{
    if (m->nkeys)
        return MAP_ENTRIES;
    return TYPE_HIST(m->value.kind) ? hist_buckets(&m->value) : 1;
}

static int make_maps(struct lang *l)
{
    unit_add_map(&l->unit, "outputs", BPF_MAP_TYPE_RINGBUF, 0, 0, RING_BYTES)->hidden = true;
    l->ring = (s32)l->unit.nmaps - 1;
    unit_add_map(&l->unit, "lost", BPF_MAP_TYPE_ARRAY, 4, 8, 1)->hidden = true;
    l->lost = (s32)l->unit.nmaps - 1;
    for (struct map_def *m = l->maps; m; m = m->next) {
        if (m->value.kind == T_NONE)
            return lang_fail(l, m->at, "nothing is ever assigned to %s", m->name);
        if (key_size(m) > BPFD_KEY_MAX)
            return lang_fail(l, m->at, "the key of %s is too long: %u bytes", m->name, key_size(m));
        unit_add_map(&l->unit, m->name, TYPE_SUMS(m->value.kind) ? BPF_MAP_TYPE_PERCPU_HASH : BPF_MAP_TYPE_HASH, key_size(m), m->value.size, entries_of(m));
        m->index = (s32)l->unit.nmaps - 1;
    }
    return 0;
}

/* --- programs ------------------------------------------------------------------------------------ */

static bool same_program(const struct unit_program *a, const struct unit_program *b)
{
    return a->ctx == b->ctx && a->ninsns == b->ninsns && memcmp(a->insns, b->insns, a->ninsns * sizeof(*a->insns)) == 0;
}

/* The number of an equal program of the same clause, or the new one's. */
static u32 add_program(struct lang *l, u32 first, struct unit_program *new, const char *name)
{
    for (u32 i = first; i < l->unit.nprograms; i++)
        if (same_program(&l->unit.programs[i], new)) {
            free(new->insns);
            free(new->lines);
            return i;
        }
    struct unit_program *p = unit_add_program(&l->unit, name, new->ctx, new->insns, new->ninsns);
    p->lines = new->lines;
    p->nlines = new->nlines;
    return l->unit.nprograms - 1;
}

/* Calls that one program serves, all of them, are one place. */
static bool joins_last(const struct lang *l, u32 first, u32 program, const struct target *t)
{
    const struct unit *u = &l->unit;
    struct unit_attach *last = u->nattaches > first ? &u->attaches[u->nattaches - 1] : NULL;
    return t->of_all && last && last->target.of_all && last->program == program && last->target.where == t->where;
}

static int add_clause(struct lang *l, struct clause *c)
{
    u32 first = l->unit.nprograms, places = l->unit.nattaches;
    AUTO_FREE u32 *programs = xalloc(c->targets.count * sizeof(*programs));
    bool one = true;
    for (size_t i = 0; i < c->targets.count; i++) {
        struct unit_program p;
        if (lang_check_clause(l, c, &c->targets.items[i]) < 0 || lang_generate(l, c, &c->targets.items[i], &p) < 0)
            return -1;
        programs[i] = add_program(l, first, &p, c->targets.items[i].name);
        one &= programs[i] == programs[0];
    }
    for (size_t i = 0; i < c->targets.count; i++) {
        struct target *t = &c->targets.items[i];
        if (one && joins_last(l, places, programs[i], t)) {
            l->unit.attaches[l->unit.nattaches - 1].target.number = BPFD_ALL_CALLS;
            continue;
        }
        if (l->unit.nprograms > BPFD_PROGRAMS_MAX || l->unit.nattaches == BPFD_ATTACHES_MAX)
            return lang_fail(l, c->at, "these probes want more than %u programs or %u places", BPFD_PROGRAMS_MAX, BPFD_ATTACHES_MAX);
        unit_add_attach(&l->unit, programs[i], t);
    }
    return 0;
}

/* Its probes' places. */
static int find_targets(struct lang *l, struct clause *c)
{
    for (u32 i = 0; i < c->nprobes; i++) {
        struct error why = {0};
        if (targets_add(&c->targets, c->probes[i], l->world, &why) < 0)
            return lang_fail(l, c->probes_at[i], "%s", why.text);
    }
    return 0;
}

static int compile(struct lang *l)
{
    if (l->len > TEXT_MAX)
        return err_set(l->err, EXIT_DRUPE, "the program is too long: %zu bytes, at most %u", l->len, TEXT_MAX);
    if (lang_parse(l) < 0)
        return -1;
    for (struct clause *c = l->clauses; c; c = c->next)
        if (find_targets(l, c) < 0)
            return -1;
    if (lang_check(l) < 0 || make_maps(l) < 0)
        return -1;
    for (struct clause *c = l->clauses; c; c = c->next)
        if (add_clause(l, c) < 0)
            return -1;
    return l->unit.nmaps <= BPFD_MAPS_MAX ? 0 : err_set(l->err, EXIT_DRUPE, "the program has too many maps: at most %u", BPFD_MAPS_MAX);
}

int lang_compile(struct lang *l, const char *text, size_t len, const struct world *w, struct error *err)
{
    *l = (struct lang){.text = text, .len = len, .world = w, .err = err};
    if (compile(l) == 0)
        return 0;
    lang_done(l);
    return -1;
}

void lang_done(struct lang *l)
{
    for (struct clause *c = l->clauses; c; c = c->next)
        targets_done(&c->targets);
    unit_done(&l->unit);
    strv_done(&l->probes);
    free(l->outputs);
    arena_done(&l->arena);
    *l = (struct lang){0};
}
