/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PACKET_FANOUT (packet(7)): of the sockets of a group, all bound to the same, one gets each frame: by its connection's hash, in turn, by the
 * CPU, at random, as a classic BPF program says (PACKET_FANOUT_DATA), or the same until it is full. One that has no room loses what is its own,
 * or with rollover hands it to the next that has. There is no choice by queues or programs of bpf(2), and no reassembly before.
 * Everything here is under the lock of packet.c.
 */
#include "packet_impl.h"

#define MEMBERS_MAX 256u
enum { BY_HASH, IN_TURN, BY_CPU, ROLLOVER, AT_RANDOM, BY_PROGRAM = 6 };
enum { FLAG_ROLLOVER = 0x10, FLAG_UNIQUE = 0x20, FLAG_NOT_OUTGOING = 0x40 }; /* as in the upper byte of the option's word */

struct packet_fanout {
    struct list node; /* in groups, while it has members */
    u16 id, protocol;
    u8 type, flags;
    u32 ifindex, n, turn, chosen;
    u64 number; /* of the frame that `chosen` is for */
    struct cbpf_program *program; /* BY_PROGRAM; NULL: the first is chosen */
    struct packet_member *m[MEMBERS_MAX];
};

static struct list groups = LIST_INIT(groups);

struct packet_fanout *fanout_create(void) { return kzalloc(sizeof(struct packet_fanout)); }
void fanout_destroy(struct packet_fanout *g)
{
    if (g != NULL)
        cbpf_put(g->program);
    kfree(g);
}
bool fanout_used(const struct packet_fanout *g) { return g->n > 0; }

static struct packet_fanout *find(u16 id)
{
    list_for_each(g, &groups, struct packet_fanout, node)
        if (g->id == id)
            return g;
    return NULL;
}

/* For FLAG_UNIQUE: false = all are taken. */
static bool unused_id(u16 *ret)
{
    for (u32 id = 1; id <= UINT16_MAX; id++)
        if (find((u16)id) == NULL) {
            *ret = (u16)id;
            return true;
        }
    return false;
}

static bool is_known(u8 type, u8 flags)
{
    if (type > BY_PROGRAM || type == BY_PROGRAM - 1 || (flags & ~(FLAG_ROLLOVER | FLAG_UNIQUE | FLAG_NOT_OUTGOING)) != 0)
        return false;
    return type != ROLLOVER || !(flags & FLAG_ROLLOVER);
}

int fanout_join(struct packet_member *m, u32 word, u16 protocol, u32 ifindex, struct packet_fanout *fresh)
{
    u16 id = (u16)word;
    u8 type = (u8)(word >> 16), flags = (u8)(word >> 24);
    if (!is_known(type, flags) || ((flags & FLAG_UNIQUE) && id != 0))
        return -EINVAL;
    if ((flags & FLAG_UNIQUE) && !unused_id(&id))
        return -ENOMEM;
    flags &= (u8)~FLAG_UNIQUE;
    struct packet_fanout *g = find(id);
    if (g == NULL) {
        g = fresh;
        g->id = id;
        g->type = type;
        g->flags = flags;
        g->protocol = protocol;
        g->ifindex = ifindex;
        list_push_back(&groups, &g->node);
    }
    if (g->type != type || g->flags != flags || g->protocol != protocol || g->ifindex != ifindex)
        return -EINVAL;
    if (g->n == MEMBERS_MAX)
        return -ENOSPC;
    m->group = g;
    m->index = g->n;
    g->m[g->n++] = m;
    return 0;
}

struct packet_fanout *fanout_leave(struct packet_member *m)
{
    struct packet_fanout *g = m->group;
    if (g == NULL)
        return NULL;
    m->group = NULL;
    g->n--;
    g->m[m->index] = g->m[g->n];
    g->m[m->index]->index = m->index;
    if (g->n > 0)
        return NULL;
    list_remove(&g->node);
    return g;
}

u32 fanout_word(const struct packet_member *m)
{
    const struct packet_fanout *g = m->group;
    return g == NULL ? 0 : g->id | (u32)g->type << 16 | (u32)g->flags << 24;
}

int fanout_program(struct packet_member *m, struct cbpf_program *b, struct cbpf_program **ret_old)
{
    struct packet_fanout *g = m->group;
    if (g == NULL || g->type != BY_PROGRAM)
        return -EINVAL;
    *ret_old = g->program;
    g->program = b;
    return 0;
}

static u32 choose(struct packet_fanout *g, struct frame_view *f, bool out)
{
    switch (g->type) {
    case BY_HASH:
        return (u32)((u64)frame_hash(f) * g->n >> 32);
    case IN_TURN:
        return ++g->turn % g->n;
    case BY_CPU:
        return this_cpu()->cpu % g->n;
    case ROLLOVER:
        return g->turn % g->n;
    case BY_PROGRAM:
        f->skip = out ? 0 : f->maclen; /* as Linux has them at hand then */
        return g->program != NULL ? frame_filter(g->program, f) % g->n : 0;
    default:
        return (u32)random_below(g->n);
    }
}

struct packet_member *fanout_next(const struct packet_member *m, u32 *tried)
{
    struct packet_fanout *g = m->group;
    if (g == NULL || (g->type != ROLLOVER && !(g->flags & FLAG_ROLLOVER)) || ++*tried >= g->n)
        return NULL;
    struct packet_member *next = g->m[(m->index + 1) % g->n];
    if (g->type == ROLLOVER)
        g->turn = next->index;
    return next;
}

bool fanout_mine(const struct packet_member *m, struct frame_view *f, u64 number, bool out)
{
    struct packet_fanout *g = m->group;
    if (g == NULL)
        return true;
    if (out && (g->flags & FLAG_NOT_OUTGOING))
        return false;
    if (g->number != number) {
        g->number = number;
        g->chosen = choose(g, f, out);
    }
    return g->chosen == m->index;
}
