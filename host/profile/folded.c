/* SPDX-License-Identifier: Apache-2.0 */
#include <search.h>
#include <string.h>

#include "host/profile/profile.h"

struct row {
    char *stack;
    u64 count;
};
struct folded {
    void *tree; /* struct row, tsearch(3) */
    u64 total;
};

static int compare(const void *a, const void *b) { return strcmp(((const struct row *)a)->stack, ((const struct row *)b)->stack); }

struct folded *folded_new(void)
{
    struct folded *f = xalloc(sizeof(*f));
    *f = (struct folded){0};
    return f;
}

static void free_row(void *row)
{
    free(((struct row *)row)->stack);
    free(row);
}

void folded_free(struct folded *f)
{
    if (f)
        tdestroy(f->tree, free_row);
    free(f);
}

void folded_add(struct folded *f, const char *stack)
{
    struct row key = {.stack = (char *)stack};
    struct row **at = tfind(&key, &f->tree, compare);
    f->total++;
    if (at) {
        (*at)->count++;
        return;
    }
    struct row *row = xalloc(sizeof(*row));
    *row = (struct row){.stack = xstrdup(stack), .count = 1};
    if (!tsearch(row, &f->tree, compare))
        abort(); /* as xalloc() without memory */
}

u64 folded_total(const struct folded *f) { return f->total; }

struct walk {
    void (*fn)(void *ctx, const char *stack, u64 count);
    void *ctx;
};

static void visit(const void *node, VISIT which, void *closure)
{
    const struct walk *w = closure;
    const struct row *row = *(const struct row *const *)node;
    if (which == postorder || which == leaf)
        w->fn(w->ctx, row->stack, row->count);
}

void folded_each(struct folded *f, void (*fn)(void *ctx, const char *stack, u64 count), void *ctx)
{
    twalk_r(f->tree, visit, &(struct walk){fn, ctx});
}
