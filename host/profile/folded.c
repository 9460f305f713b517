/* SPDX-License-Identifier: Apache-2.0 */
#include <search.h>
#include <string.h>

#include "host/profile/profile.h"

struct folded {
    void *tree; /* struct folded_row, tsearch(3) */
};

static int compare(const void *a, const void *b) { return strcmp(((const struct folded_row *)a)->stack, ((const struct folded_row *)b)->stack); }

struct folded *folded_new(void)
{
    struct folded *f = xalloc(sizeof(*f));
    *f = (struct folded){0};
    return f;
}

static void free_row(void *row)
{
    free(((struct folded_row *)row)->stack);
    free(row);
}

void folded_free(struct folded *f)
{
    if (f)
        tdestroy(f->tree, free_row);
    free(f);
}

void folded_add(struct folded *f, const char *stack, u64 ns)
{
    struct folded_row key = {.stack = (char *)stack};
    struct folded_row **at = tfind(&key, &f->tree, compare);
    if (at) {
        (*at)->samples++;
        (*at)->ns += ns;
        return;
    }
    struct folded_row *row = xalloc(sizeof(*row));
    *row = (struct folded_row){.stack = xstrdup(stack), .samples = 1, .ns = ns};
    if (!tsearch(row, &f->tree, compare))
        abort(); /* as xalloc() without memory */
}

struct walk {
    void (*fn)(void *ctx, const struct folded_row *row);
    void *ctx;
};

static void visit(const void *node, VISIT which, void *closure)
{
    const struct walk *w = closure;
    const struct folded_row *row = *(const struct folded_row *const *)node;
    if (which == postorder || which == leaf)
        w->fn(w->ctx, row);
}

void folded_each(struct folded *f, void (*fn)(void *ctx, const struct folded_row *row), void *ctx)
{
    twalk_r(f->tree, visit, &(struct walk){fn, ctx});
}
