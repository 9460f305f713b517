/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Red-black tree. Invariants: (1) the root is black; (2) a red node has no red
 * child; (3) every path from a node down to an empty slot has the same number
 * of black nodes. Both fix-ups walk upwards and treat the mirrored cases
 * through child(n, dir), so that each case stands here once.
 */
#include "base/rbtree.h"

#define BLACK ((uintptr_t)1)

static inline bool is_red(const struct rb_node *n) { return n != NULL && (n->parent_color & BLACK) == 0; }
static inline void set_black(struct rb_node *n) { n->parent_color |= BLACK; }
static inline void set_red(struct rb_node *n) { n->parent_color &= ~BLACK; }
static inline struct rb_node **child(struct rb_node *n, bool right) { return right ? &n->right : &n->left; }

static inline void set_parent(struct rb_node *n, struct rb_node *parent)
{
    n->parent_color = (uintptr_t)parent | (n->parent_color & BLACK);
}

/* Where the tree points to `n`, whose parent is `parent`. */
static inline struct rb_node **slot_of(struct rb_root *root, struct rb_node *parent, struct rb_node *n)
{
    return parent == NULL ? &root->node : child(parent, parent->right == n);
}

/* Lift n's child on the other side of `right` above n: n goes down to side `right`. */
static void rotate(struct rb_root *root, struct rb_node *n, bool right)
{
    struct rb_node *up = *child(n, !right), *parent = rb_parent(n);
    struct rb_node *inner = *child(up, right);
    *slot_of(root, parent, n) = up;
    set_parent(up, parent);
    *child(up, right) = n;
    set_parent(n, up);
    *child(n, !right) = inner;
    if (inner != NULL)
        set_parent(inner, n);
}

void rb_insert_fixup(struct rb_root *root, struct rb_node *n)
{
    struct rb_node *p;
    set_red(n);
    while (is_red(p = rb_parent(n))) {
        struct rb_node *g = rb_parent(p); /* exists: a red node is not the root */
        bool right = g->right == p;
        struct rb_node *uncle = *child(g, !right);
        if (is_red(uncle)) {
            set_black(p);
            set_black(uncle);
            set_red(g);
            n = g;
            continue;
        }
        if (*child(p, !right) == n) { /* inner grandchild: make it the outer one */
            rotate(root, p, right);
            p = n;
        }
        set_black(p);
        set_red(g);
        rotate(root, g, !right);
        break;
    }
    set_black(root->node);
}

void rb_insert(struct rb_root *root, struct rb_node *node, bool (*less)(const struct rb_node *, const struct rb_node *))
{
    struct rb_node **link = &root->node, *parent = NULL;
    while (*link != NULL) {
        parent = *link;
        link = less(node, parent) ? &parent->left : &parent->right;
    }
    rb_link(node, parent, link);
    rb_insert_fixup(root, node);
}

/* The paths through `parent`'s child n (maybe empty) lack one black node. */
static void remove_fixup(struct rb_root *root, struct rb_node *parent, struct rb_node *n)
{
    while (parent != NULL && !is_red(n)) {
        bool right = parent->right == n;
        struct rb_node *s = *child(parent, !right);
        if (is_red(s)) {
            set_black(s);
            set_red(parent);
            rotate(root, parent, right);
            s = *child(parent, !right);
        }
        struct rb_node *outer = *child(s, !right);
        if (!is_red(outer)) {
            struct rb_node *inner = *child(s, right);
            if (!is_red(inner)) {
                set_red(s);
                n = parent;
                parent = rb_parent(n);
                continue;
            }
            set_black(inner);
            set_red(s);
            rotate(root, s, !right);
            outer = s;
            s = inner;
        }
        s->parent_color = (s->parent_color & ~BLACK) | (parent->parent_color & BLACK);
        set_black(parent);
        set_black(outer);
        rotate(root, parent, right);
        return;
    }
    if (n != NULL)
        set_black(n);
}

void rb_remove(struct rb_root *root, struct rb_node *node)
{
    struct rb_node *parent = rb_parent(node), *hole;
    bool lost_black = !is_red(node);
    if (node->left == NULL || node->right == NULL) {
        hole = node->left != NULL ? node->left : node->right;
        *slot_of(root, parent, node) = hole;
        if (hole != NULL)
            set_parent(hole, parent);
    } else { /* the successor, which has no left child, takes the place */
        struct rb_node *next = node->right;
        while (next->left != NULL)
            next = next->left;
        lost_black = !is_red(next);
        hole = next->right;
        struct rb_node *above = rb_parent(next);
        if (above == node) {
            above = next;
        } else {
            above->left = hole;
            if (hole != NULL)
                set_parent(hole, above);
            next->right = node->right;
            set_parent(next->right, next);
        }
        next->left = node->left;
        set_parent(next->left, next);
        *slot_of(root, parent, node) = next;
        next->parent_color = node->parent_color;
        parent = above;
    }
    if (lost_black)
        remove_fixup(root, parent, hole);
}

struct rb_node *rb_first(const struct rb_root *root)
{
    struct rb_node *n = root->node;
    while (n != NULL && n->left != NULL)
        n = n->left;
    return n;
}

struct rb_node *rb_last(const struct rb_root *root)
{
    struct rb_node *n = root->node;
    while (n != NULL && n->right != NULL)
        n = n->right;
    return n;
}

struct rb_node *rb_next(const struct rb_node *n)
{
    struct rb_node *up;
    if (n->right != NULL) {
        for (up = n->right; up->left != NULL;)
            up = up->left;
        return up;
    }
    while ((up = rb_parent(n)) != NULL && up->right == n)
        n = up;
    return up;
}

struct rb_node *rb_prev(const struct rb_node *n)
{
    struct rb_node *up;
    if (n->left != NULL) {
        for (up = n->left; up->right != NULL;)
            up = up->right;
        return up;
    }
    while ((up = rb_parent(n)) != NULL && up->left == n)
        n = up;
    return up;
}
