/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Intrusive red-black tree (Guibas, Sedgewick 1978). The tree knows no keys: a
 * user walks from the root to the place of a new node, links it there, and
 * asks for rebalancing. rb_insert() does that walk with a comparison callback.
 */
#ifndef BASE_RBTREE_H
#define BASE_RBTREE_H

#include "base/types.h"

struct rb_node {
    uintptr_t parent_color; /* parent pointer; bit 0 set = black */
    struct rb_node *left, *right;
};

struct rb_root {
    struct rb_node *node;
};

#define RB_ROOT_INIT { NULL }
#define rb_entry(node, type, member) container_of(node, type, member)

static inline struct rb_node *rb_parent(const struct rb_node *n)
{
    return (struct rb_node *)(n->parent_color & ~(uintptr_t)1);
}

/* Put `node` (uninitialised) at `*link`, the empty child slot of `parent`. */
static inline void rb_link(struct rb_node *node, struct rb_node *parent, struct rb_node **link)
{
    node->parent_color = (uintptr_t)parent;
    node->left = node->right = NULL;
    *link = node;
}

/* Restore the balance after rb_link(). */
void rb_insert_fixup(struct rb_root *root, struct rb_node *node);
/* Walk, link and rebalance; `less(a, b)` orders nodes, equal ones go behind. */
void rb_insert(struct rb_root *root, struct rb_node *node,
               bool (*less)(const struct rb_node *a, const struct rb_node *b));
void rb_remove(struct rb_root *root, struct rb_node *node);

struct rb_node *rb_first(const struct rb_root *root);
struct rb_node *rb_last(const struct rb_root *root);
struct rb_node *rb_next(const struct rb_node *node);
struct rb_node *rb_prev(const struct rb_node *node);

#endif
