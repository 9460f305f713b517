/* SPDX-License-Identifier: Apache-2.0 */
/* Types of values: lang.h. */
#include <string.h>

#include "host/bpf/lang.h"

const char *type_text(const struct type *t)
{
    static const char *const names[] = {[T_NONE] = "nothing", [T_INT] = "an integer", [T_STRING] = "a string", [T_TUPLE] = "a tuple", [T_KSTACK] = "a kernel stack",
                                        [T_USTACK] = "a stack", [T_KSYM] = "a kernel symbol", [T_USYM] = "a symbol", [T_PROBE] = "a probe", [T_TIME] = "a time",
                                        [T_COUNT] = "count()", [T_SUM] = "sum()", [T_AVG] = "avg()", [T_MIN] = "min()", [T_MAX] = "max()",
                                        [T_STATS] = "stats()", [T_HIST] = "hist()", [T_LHIST] = "lhist()"};
    return names[t->kind];
}

bool type_equal(const struct type *a, const struct type *b)
{
    if (a->kind != b->kind || a->is_signed != b->is_signed || a->size != b->size || a->nparts != b->nparts || a->low != b->low || a->high != b->high ||
        a->step != b->step || a->frames != b->frames || (a->format && strcmp(a->format, b->format) != 0))
        return false;
    for (u32 i = 0; i < a->nparts; i++)
        if (!type_equal(&a->parts[i], &b->parts[i]))
            return false;
    return true;
}

static struct type type_copy(struct arena *a, const struct type *t)
{
    struct type copy = *t;
    if (t->nparts) {
        copy.parts = arena_alloc(a, t->nparts * sizeof(*copy.parts));
        for (u32 i = 0; i < t->nparts; i++)
            copy.parts[i] = type_copy(a, &t->parts[i]);
    }
    return copy;
}

static bool join_parts(struct arena *a, struct type *to, const struct type *from, bool *changed)
{
    if (to->nparts != from->nparts)
        return false;
    to->size = 0;
    for (u32 i = 0; i < to->nparts; i++) {
        if (!type_join(a, &to->parts[i], &from->parts[i], changed))
            return false;
        to->size += to->parts[i].size;
    }
    return true;
}

bool type_join(struct arena *a, struct type *to, const struct type *from, bool *changed)
{
    if (from->kind == T_NONE)
        return true;
    if (to->kind == T_NONE) {
        *to = type_copy(a, from);
        *changed = true;
        return true;
    }
    if (to->kind != from->kind || to->low != from->low || to->high != from->high || to->step != from->step || to->frames != from->frames ||
        (to->format && strcmp(to->format, from->format) != 0))
        return false;
    if (to->kind == T_TUPLE)
        return join_parts(a, to, from, changed);
    if (to->size < from->size || to->is_signed < from->is_signed) {
        to->size = MAX(to->size, from->size);
        to->is_signed |= from->is_signed;
        *changed = true;
    }
    return true;
}
