/* SPDX-License-Identifier: Apache-2.0 */
/* States of the verifier: verify_impl.h. */
#include "verify_impl.h"

#include "base/str.h"
#include "kern/slab.h"

#define SEEN_BYTES_MAX (16u << 20)

void set_number(struct reg *r, struct range range) { *r = (struct reg){ .type = REG_NUMBER, .range = range }; }

size_t frame_bytes(const struct frame *f) { return offsetof(struct frame, slots) + f->used * sizeof(f->slots[0]); }

int enter_frame(struct verifier *v, u32 call_site)
{
    struct state *s = &v->state;
    if (s->nframes == BPF_FRAMES_MAX)
        return refuse(v, -E2BIG, "calls nest deeper than %u functions", BPF_FRAMES_MAX);
    if (s->frames[s->nframes] == NULL && (s->frames[s->nframes] = kmalloc(sizeof(struct frame), 0)) == NULL)
        return refuse(v, -ENOMEM, "no memory");
    struct frame *f = s->frames[s->nframes];
    memset(f, 0, offsetof(struct frame, slots));
    f->call_site = call_site;
    f->regs[R10] = (struct reg){ .type = REG_STACK, .frame = (u8)s->nframes, .range = range_const(0) };
    for (unsigned i = 1; i <= 5 && s->nframes > 0; i++)
        f->regs[i] = s->frames[s->nframes - 1]->regs[i];
    s->nframes++;
    return 0;
}

void leave_frame(struct verifier *v) { v->state.nframes--; }

struct seen *state_save(struct verifier *v, u32 insn)
{
    const struct state *s = &v->state;
    size_t bytes = sizeof(struct seen), n = 0;
    for (u32 i = 0; i < s->nframes; i++)
        bytes += frame_bytes(s->frames[i]);
    if (v->seen_bytes + bytes > SEEN_BYTES_MAX)
        return NULL;
    struct seen *seen = kmalloc(bytes, 0);
    if (seen == NULL)
        return NULL;
    v->seen_bytes += bytes;
    *seen = (struct seen){ .insn = insn, .nframes = s->nframes, .nrecords = s->nrecords };
    memcpy(seen->records, s->records, sizeof(s->records));
    for (u32 i = 0; i < s->nframes; i++) {
        memcpy(seen->frames + n, s->frames[i], frame_bytes(s->frames[i]));
        n += frame_bytes(s->frames[i]);
    }
    return seen;
}

static const struct frame *next_frame(const struct frame *f) { return (const struct frame *)((const u8 *)f + frame_bytes(f)); }

void state_load(struct verifier *v, const struct seen *seen)
{
    struct state *s = &v->state;
    const struct frame *f = (const struct frame *)seen->frames;
    s->nframes = seen->nframes;
    s->nrecords = seen->nrecords;
    memcpy(s->records, seen->records, sizeof(s->records));
    for (u32 i = 0; i < s->nframes; i++, f = next_frame(f))
        memcpy(s->frames[i], f, frame_bytes(f));
}

void for_each_reg(struct verifier *v, void (*fn)(struct reg *r, const void *ctx), const void *ctx)
{
    for (u32 i = 0; i < v->state.nframes; i++) {
        struct frame *f = v->state.frames[i];
        for (unsigned k = 0; k < REGS; k++)
            fn(&f->regs[k], ctx);
        for (u32 k = 0; k < f->used; k++)
            if (f->slots[k].spilled)
                fn(&f->slots[k].reg, ctx);
    }
}

/* --- comparison ---------------------------------------------------------------------------------- */

/* Which number of an old state is which of a new one: what was the same there has to be the same here. */
struct pairs {
    bool exact; /* neither more nor less */
    u32 n, old_id[64], new_id[64];
    u32 fresh;
};

static bool same_id(struct pairs *p, u32 old_id, u32 new_id)
{
    if (old_id == 0)
        return true;
    if (new_id == 0)
        new_id = --p->fresh; /* equal to nothing else */
    for (u32 i = 0; i < p->n; i++)
        if (p->old_id[i] == old_id)
            return p->new_id[i] == new_id;
    if (p->n == ARRAY_SIZE(p->old_id))
        return false;
    p->old_id[p->n] = old_id;
    p->new_id[p->n++] = new_id;
    return true;
}

static bool reg_covers(struct pairs *p, const struct reg *old, const struct reg *new)
{
    if (old->type == REG_UNSET)
        return true;
    if (old->type != new->type)
        return false;
    if (old->type != REG_NUMBER && (old->frame != new->frame || old->off != new->off || old->size != new->size || old->map != new->map))
        return false;
    if (p->exact && !range_covers(&new->range, &old->range))
        return false;
    return range_covers(&old->range, &new->range) && same_id(p, old->id, new->id);
}

static bool slot_covers(struct pairs *p, const struct slot *old, const struct slot *new)
{
    if ((old->known & ~new->known) != 0 || (p->exact && (old->known != new->known || old->spilled != new->spilled)))
        return false;
    if (old->spilled)
        return new->spilled && reg_covers(p, &old->reg, &new->reg);
    return old->known == 0 || !new->spilled || !is_pointer(&new->reg);
}

static bool frame_covers(struct pairs *p, const struct frame *old, const struct frame *new, u16 live)
{
    if (old->call_site != new->call_site)
        return false;
    for (unsigned i = 0; i < REGS; i++)
        if ((live & 1u << i) != 0 && !reg_covers(p, &old->regs[i], &new->regs[i]))
            return false;
    for (u32 i = 0; i < old->used; i++)
        if (i < new->used ? !slot_covers(p, &old->slots[i], &new->slots[i]) : old->slots[i].known != 0)
            return false;
    return true;
}

bool state_covered(const struct verifier *v, const struct seen *seen, bool exact)
{
    struct pairs p; /* the rest of it is not looked at */
    p.exact = exact;
    p.n = p.fresh = 0;
    const struct frame *old = (const struct frame *)seen->frames;
    if (seen->nframes != v->state.nframes || seen->nrecords != v->state.nrecords)
        return false;
    for (u32 i = 0; i < seen->nrecords; i++)
        if (!same_id(&p, seen->records[i], v->state.records[i]))
            return false;
    for (u32 i = 0; i < seen->nframes; i++, old = next_frame(old)) {
        u32 at = i + 1 < seen->nframes ? v->state.frames[i + 1]->call_site : seen->insn;
        u16 live = i + 1 < seen->nframes ? v->info[at].live & 0x3c0 : v->info[at].live; /* of a caller r6 to r9 */
        if (!frame_covers(&p, old, v->state.frames[i], live))
            return false;
    }
    return true;
}
