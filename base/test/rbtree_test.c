/* SPDX-License-Identifier: Apache-2.0 */
/* Red-black tree: invariants and order after every one of many random operations. */
#include "base/rbtree.h"
#include "sim/test.h"

struct item {
    struct rb_node node;
    u32 key, serial;
    bool in;
};

static bool less(const struct rb_node *a, const struct rb_node *b)
{
    return rb_entry(a, struct item, node)->key < rb_entry(b, struct item, node)->key;
}

static bool red(const struct rb_node *n) { return n != NULL && (n->parent_color & 1) == 0; }

/* Black height; checks links and colours on the way. */
static int check_node(const struct rb_node *n, const struct rb_node *parent)
{
    if (n == NULL)
        return 1;
    CHECK(rb_parent(n) == parent);
    CHECK(!(red(n) && (red(n->left) || red(n->right))));
    int left = check_node(n->left, n);
    CHECK_EQ(check_node(n->right, n), left);
    return left + !red(n);
}

static void check_tree(const struct rb_root *root, unsigned count)
{
    CHECK(!red(root->node));
    check_node(root->node, NULL);
    unsigned n = 0;
    const struct item *last = NULL;
    for (struct rb_node *p = rb_first(root); p != NULL; p = rb_next(p), n++) {
        const struct item *it = rb_entry(p, struct item, node);
        CHECK(last == NULL || last->key < it->key || (last->key == it->key && last->serial < it->serial));
        last = it;
    }
    CHECK_EQ(n, count);
    for (struct rb_node *p = rb_last(root); p != NULL; p = rb_prev(p))
        n--;
    CHECK_EQ(n, 0);
}

TEST(random_operations)
{
    static struct item items[200];
    struct rb_root root = RB_ROOT_INIT;
    unsigned count = 0, serial = 0;
    for (int step = 0; step < 5000; step++) {
        struct item *it = &items[(sim_random() >> 20) % ARRAY_SIZE(items)];
        if (it->in) {
            rb_remove(&root, &it->node);
            count--;
        } else {
            it->key = (u32)(sim_random() >> 40) % 64; /* many equal ones */
            it->serial = serial++;
            rb_insert(&root, &it->node, less);
            count++;
        }
        it->in = !it->in;
        if (step % 16 == 0 || count < 8)
            check_tree(&root, count);
    }
}

TEST(ascending_and_draining)
{
    static struct item items[100];
    struct rb_root root = RB_ROOT_INIT;
    for (unsigned i = 0; i < ARRAY_SIZE(items); i++) {
        items[i].key = i;
        rb_insert(&root, &items[i].node, less);
        check_tree(&root, i + 1);
    }
    for (unsigned i = 0; i < ARRAY_SIZE(items); i++) {
        CHECK(rb_first(&root) == &items[i].node);
        rb_remove(&root, &items[i].node);
        check_tree(&root, (unsigned)ARRAY_SIZE(items) - i - 1);
    }
}
