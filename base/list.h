/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Circular doubly linked list, intrusive. A `struct list` is either a head or
 * a node; an initialised node points at itself, so removing it twice through
 * list_remove_init() is harmless. No locks: the owner of the head has them.
 */
#ifndef BASE_LIST_H
#define BASE_LIST_H

#include "base/types.h"

struct list {
    struct list *prev, *next;
};

#define LIST_INIT(name) { &(name), &(name) }

static inline void list_init(struct list *l) { l->prev = l->next = l; }
static inline bool list_empty(const struct list *head) { return head->next == head; }

static inline void list_insert_between(struct list *n, struct list *prev, struct list *next)
{
    n->prev = prev;
    n->next = next;
    prev->next = n;
    next->prev = n;
}

/* Insert `n` right after / right before `at` (a node or the head). */
static inline void list_insert_after(struct list *at, struct list *n) { list_insert_between(n, at, at->next); }
static inline void list_insert_before(struct list *at, struct list *n) { list_insert_between(n, at->prev, at); }
static inline void list_push_front(struct list *head, struct list *n) { list_insert_after(head, n); }
static inline void list_push_back(struct list *head, struct list *n) { list_insert_before(head, n); }

static inline void list_remove(struct list *n)
{
    n->prev->next = n->next;
    n->next->prev = n->prev;
}

static inline void list_remove_init(struct list *n)
{
    list_remove(n);
    list_init(n);
}

/* Move every node of `from` to the back of `to`; `from` is empty afterwards. */
static inline void list_splice_back(struct list *to, struct list *from)
{
    if (list_empty(from))
        return;
    from->next->prev = to->prev;
    to->prev->next = from->next;
    from->prev->next = to;
    to->prev = from->prev;
    list_init(from);
}

#define list_entry(node, type, member) container_of(node, type, member)
#define list_first(head, type, member) list_entry((head)->next, type, member)
#define list_last(head, type, member) list_entry((head)->prev, type, member)

static inline struct list *list_pop_front(struct list *head)
{
    struct list *n = head->next;
    if (n == head)
        return NULL;
    list_remove_init(n);
    return n;
}

#define list_for_each(pos, head, type, member)                                    \
    for (type *pos = list_entry((head)->next, type, member); &pos->member != (head); \
         pos = list_entry(pos->member.next, type, member))

/* Safe against removal (and freeing) of `pos` itself. */
#define list_for_each_safe(pos, head, type, member)                                \
    for (type *pos = list_entry((head)->next, type, member),                       \
              *pos##_next = list_entry(pos->member.next, type, member);            \
         &pos->member != (head);                                                   \
         pos = pos##_next, pos##_next = list_entry(pos->member.next, type, member))

#endif
