/* SPDX-License-Identifier: Apache-2.0 */
/* Maps: bpf_impl.h. Arrays and stack traces are here, hashes in hash.c, rings in ring.c. All memory is taken when a map is made. */
#include "bpf_impl.h"

#include "base/str.h"
#include "kern/percpu.h"
#include "kern/slab.h"

/* --- arrays --------------------------------------------------------------------------------- */

static u8 *array_value(struct bpf_map *m, u32 index, u32 copy)
{
    return index < m->entries ? m->values + ((u64)copy * m->entries + index) * m->stride : NULL;
}

static u32 index_of(const void *key)
{
    u32 index;
    memcpy(&index, key, sizeof(index));
    return index;
}

static void *array_lookup(struct bpf_map *m, const void *key, u32 copy) { return array_value(m, index_of(key), copy); }

static int array_update(struct bpf_map *m, const void *key, const u8 *value, u32 flags, u32 copy, bool all)
{
    u32 index = index_of(key); /* once: another CPU's program may change the key, which can lie in a map */
    if (flags > UPDATE_EXIST)
        return -EINVAL;
    if (flags == UPDATE_NOEXIST)
        return -EEXIST;
    if (index >= m->entries)
        return -E2BIG;
    for (u32 i = all ? 0 : copy; i < (all ? m->copies : copy + 1); i++, value += all ? m->stride : 0)
        memcpy(array_value(m, index, i), value, m->value_size);
    return 0;
}

static int array_remove(struct bpf_map *m, const void *key) { return -EINVAL; }

static u64 array_next(struct bpf_map *m, u64 cursor, u8 *key, u8 *values)
{
    u32 index = (u32)cursor;
    if (cursor >= m->entries)
        return 0;
    memcpy(key, &index, sizeof(index));
    for (u32 i = 0; i < m->copies; i++)
        memcpy(values + i * m->stride, array_value(m, index, i), m->stride);
    return cursor + 1;
}

static const struct map_ops array_ops = { array_lookup, array_update, array_remove, array_next };

/* --- stack traces: an array by a hash of the frames; a value begins with how many there are ----------- */

struct stack {
    u32 count, hash;
    u64 frames[];
};

static struct stack *stack_at(struct bpf_map *m, u64 id) { return id < m->entries ? (struct stack *)(m->values + id * m->stride) : NULL; }

static u32 hash_frames(const u64 *frames, u32 count)
{
    u64 h = count;
    for (u32 i = 0; i < count; i++)
        h = (h ^ frames[i]) * 0x9e3779b97f4a7c15ull;
    return (u32)(h >> 32);
}

#define STACK_COMPARE_HASH 0x200u /* BPF_F_FAST_STACK_CMP */
#define STACK_REUSE 0x400u        /* BPF_F_REUSE_STACKID */

s64 stacks_add(struct bpf_map *m, const u64 *frames, u32 count, u64 flags)
{
    count = MIN(count, m->value_size / 8);
    u32 hash = hash_frames(frames, count);
    u64 id = hash % m->entries;
    struct stack *s = stack_at(m, id);
    u64 events = spin_lock_irqsave(&m->lock);
    bool same = s->count == count && s->hash == hash && ((flags & STACK_COMPARE_HASH) != 0 || memcmp(s->frames, frames, count * 8) == 0);
    bool refused = s->count != 0 && !same && (flags & STACK_REUSE) == 0;
    if (!same && !refused) {
        memset(s->frames, 0, m->value_size);
        memcpy(s->frames, frames, count * 8);
        s->count = count;
        s->hash = hash;
    }
    spin_unlock_irqrestore(&m->lock, events);
    return count == 0 ? -EFAULT : refused ? -EEXIST : (s64)id;
}

static void *stacks_lookup(struct bpf_map *m, const void *key, u32 copy)
{
    struct stack *s = stack_at(m, index_of(key));
    return s != NULL && s->count != 0 ? s->frames : NULL;
}

static int stacks_update(struct bpf_map *m, const void *key, const u8 *value, u32 flags, u32 copy, bool all) { return -EINVAL; }

static int stacks_remove(struct bpf_map *m, const void *key)
{
    struct stack *s = stack_at(m, index_of(key));
    u64 events = spin_lock_irqsave(&m->lock);
    bool there = s != NULL && s->count != 0;
    if (there)
        s->count = 0;
    spin_unlock_irqrestore(&m->lock, events);
    return there ? 0 : -ENOENT;
}

static u64 stacks_next(struct bpf_map *m, u64 cursor, u8 *key, u8 *values)
{
    for (struct stack *s; (s = stack_at(m, cursor)) != NULL; cursor++) {
        u64 events = spin_lock_irqsave(&m->lock);
        bool there = s->count != 0;
        if (there)
            memcpy(values, s->frames, m->value_size);
        spin_unlock_irqrestore(&m->lock, events);
        u32 id = (u32)cursor;
        memcpy(key, &id, sizeof(id));
        if (there)
            return cursor + 1;
    }
    return 0;
}

static const struct map_ops stacks_ops = { stacks_lookup, stacks_update, stacks_remove, stacks_next };

/* --- rings have no keys ---------------------------------------------------------------------------------- */

static void *no_lookup(struct bpf_map *m, const void *key, u32 copy) { return NULL; }
static int no_update(struct bpf_map *m, const void *key, const u8 *value, u32 flags, u32 copy, bool all) { return -EINVAL; }
static int no_remove(struct bpf_map *m, const void *key) { return -EINVAL; }
static u64 no_next(struct bpf_map *m, u64 cursor, u8 *key, u8 *values) { return 0; }

static const struct map_ops ring_ops = { no_lookup, no_update, no_remove, no_next };

/* --- making them --------------------------------------------------------------------------------------------- */

static const struct type {
    u32 type;
    const struct map_ops *ops;
    bool per_cpu;
} types[] = {
    { MAP_HASH, &hash_ops, false },        { MAP_ARRAY, &array_ops, false },      { MAP_PERF, &ring_ops, true },
    { MAP_PERCPU_HASH, &hash_ops, true },  { MAP_PERCPU_ARRAY, &array_ops, true }, { MAP_STACKS, &stacks_ops, false },
    { MAP_LRU_HASH, &hash_ops, false },    { MAP_LRU_PERCPU_HASH, &hash_ops, true }, { MAP_RINGBUF, &ring_ops, false },
};

static const struct type *type_of(u32 type)
{
    for (unsigned i = 0; i < ARRAY_SIZE(types); i++)
        if (types[i].type == type)
            return &types[i];
    return NULL;
}

static bool ring_size_ok(u32 bytes) { return bytes >= RING_BYTES_MIN && (bytes & (bytes - 1)) == 0; }

/* NULL, or what is wrong. */
static const char *check_sizes(const struct bpfd_map_create *c, const struct type *t)
{
    if ((c->flags & ~MAP_FLAGS) != 0)
        return "unknown flags of a map";
    if (t->ops == &ring_ops) {
        if (c->type == MAP_RINGBUF ? c->key_size != 0 || c->value_size != 0 || c->buffer_bytes != 0 : c->key_size != 4 || c->value_size != 4)
            return "key and value of a ring have other sizes";
        u32 size = c->type == MAP_RINGBUF ? c->max_entries : c->buffer_bytes;
        return ring_size_ok(size) || (c->type == MAP_PERF && size == 0) ? NULL : "a ring's size is a power of two, at least 4096";
    }
    if (c->max_entries == 0 || c->value_size == 0 || c->value_size > BPFD_VALUE_MAX || c->buffer_bytes != 0)
        return "a map's entries or the size of its values";
    if (t->ops == &hash_ops)
        return c->key_size != 0 && c->key_size <= BPFD_KEY_MAX ? NULL : "the size of a map's keys";
    if (t->ops == &stacks_ops && (c->value_size % 8 != 0 || c->value_size / 8 > BPFD_FRAMES_MAX))
        return "the size of a stack trace";
    return c->key_size == 4 ? NULL : "keys of an array have 4 bytes";
}

static int init_rings(struct bpf_map *m, u32 size)
{
    m->rings = kzalloc(m->copies * sizeof(m->rings[0]));
    int err = m->rings != NULL ? 0 : -ENOMEM;
    for (u32 i = 0; err == 0 && i < m->copies; i++)
        err = ring_init(&m->rings[i], size);
    return err;
}

static u64 bytes_wanted(const struct bpf_map *m, u32 ring_size)
{
    if (m->ops == &ring_ops)
        return (u64)m->copies * ring_size;
    return m->ops == &hash_ops ? hash_bytes(m) : (u64)m->copies * m->entries * m->stride;
}

static int init_memory(struct bpf_map *m, u32 ring_size)
{
    if (m->ops == &ring_ops)
        return init_rings(m, ring_size);
    m->memory = vmap_alloc(m->bytes);
    if (m->memory == NULL)
        return -ENOMEM;
    memset(m->memory, 0, m->bytes);
    m->values = m->memory;
    return m->ops == &hash_ops ? hash_init(m) : 0;
}

int map_create(const struct bpfd_map_create *c, size_t limit, struct bpf_map **ret, const char **ret_why)
{
    const struct type *t = type_of(c->type);
    *ret_why = t == NULL ? "this kernel has no maps of that type" : check_sizes(c, t);
    if (*ret_why != NULL)
        return t == NULL ? -EOPNOTSUPP : -EINVAL;
    struct bpf_map *m = kzalloc(sizeof(*m));
    *ret_why = "no memory";
    if (m == NULL)
        return -ENOMEM;
    *m = (struct bpf_map){ .ops = t->ops, .number = c->map, .type = c->type, .flags = c->flags, .key_size = c->key_size,
                           .value_size = c->value_size, .entries = c->max_entries, .copies = t->per_cpu ? plat_cpu_count() : 1 };
    spin_init(&m->lock, "bpf map");
    m->stride = ALIGN_UP(m->value_size, 8u) + (t->ops == &stacks_ops ? (u32)sizeof(struct stack) : 0);
    u32 ring_size = c->type == MAP_RINGBUF ? c->max_entries : c->buffer_bytes != 0 ? c->buffer_bytes : 65536;
    u64 bytes = bytes_wanted(m, ring_size);
    int err = -E2BIG;
    if (map_values_size(m) + ALIGN_UP(m->key_size, 8u) > BPFD_DATA_MAX)
        *ret_why = "a value of all CPUs does not fit into a message";
    else if (bytes > limit)
        *ret_why = "more memory than clients may have";
    else {
        m->bytes = bytes;
        err = init_memory(m, ring_size);
    }
    if (err != 0)
        map_destroy(m);
    else
        *ret = m;
    return err;
}

void map_destroy(struct bpf_map *m)
{
    if (m == NULL)
        return;
    for (u32 i = 0; m->rings != NULL && i < m->copies; i++)
        if (m->rings[i].bytes != NULL)
            ring_done(&m->rings[i]);
    kfree(m->rings);
    hash_done(m);
    if (m->memory != NULL)
        vmap_free(m->memory, m->bytes);
    kfree(m);
}

u32 map_values_size(const struct bpf_map *m) { return m->copies * ALIGN_UP(m->value_size, 8u); }

void *map_lookup(struct bpf_map *m, const void *key) { return m->ops->lookup(m, key, m->copies > 1 ? this_cpu()->cpu : 0); }

int map_clear(struct bpf_map *m)
{
    if (m->ops == &array_ops) {
        memset(m->values, 0, m->bytes);
        return 0;
    }
    u8 *key = kmalloc(BPFD_KEY_MAX + map_values_size(m), 0);
    if (key == NULL)
        return -ENOMEM;
    for (u64 cursor = 0; (cursor = m->ops->next(m, cursor, key, key + BPFD_KEY_MAX)) != 0;)
        m->ops->remove(m, key);
    kfree(key);
    return 0;
}
