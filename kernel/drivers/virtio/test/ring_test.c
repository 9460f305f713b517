/* SPDX-License-Identifier: Apache-2.0 */
/* The split ring against a device that is first honest, then hostile (invariants R1..R7 of ring.h). */
#include "../ring.h"
#include "sim/test.h"

#define SIZE 8

static struct virtq *make(bool event_idx)
{
    struct virtq *vq = kzalloc(sizeof(*vq));
    virtq_setup(vq, kmalloc(virtq_bytes(SIZE), 0), SIZE, event_idx);
    return vq;
}

static void destroy(struct virtq *vq)
{
    kfree(vq->desc);
    kfree(vq);
}

/* The device's side: finish the chain that starts at head. */
static void device_finish(struct virtq *vq, u32 id, u32 len)
{
    struct vq_used_elem *e = &vq->used->ring[vq->used->idx % SIZE];
    e->id = id;
    e->len = len;
    vq->used->idx++;
}

static u16 device_head(struct virtq *vq, u16 n) { return vq->avail->ring[n % SIZE]; }

static unsigned free_list_length(struct virtq *vq)
{
    u16 i = vq->free_head;
    unsigned n = 0;
    for (; n < vq->num_free; n++) {
        CHECK(i < SIZE);
        CHECK_EQ(vq->slots[i].count, 0);
        i = vq->slots[i].next;
    }
    return n;
}

static void check_invariants(struct virtq *vq)
{
    unsigned used = 0, heads = 0;
    for (unsigned i = 0; i < SIZE; i++) {
        used += vq->slots[i].count;
        heads += vq->slots[i].count > 0;
        CHECK((vq->slots[i].count > 0) == (vq->slots[i].cookie != NULL));
    }
    CHECK_EQ(used + vq->num_free, SIZE);                               /* R1 */
    CHECK_EQ(heads, vq->in_flight);                                    /* R2 */
    CHECK_EQ((u16)(vq->avail_idx - vq->last_used), vq->in_flight);     /* R3 */
    CHECK_EQ(free_list_length(vq), vq->num_free);
}

static const struct vq_seg segs[4] = { { 0x1000, 16 }, { 0x2000, 32 }, { 0x3000, 64 }, { 0x4000, 1 } };

TEST(layout)
{
    CHECK_EQ(sizeof(struct vq_desc), 16);
    for (unsigned size = 2; size <= VQ_MAX_SIZE; size *= 2) {
        struct virtq vq;
        void *mem = kmalloc(virtq_bytes((u16)size), 0);
        virtq_setup(&vq, mem, (u16)size, true);
        CHECK((char *)vq.avail - (char *)mem >= (long)(16 * size));
        CHECK_EQ((uintptr_t)vq.used % 4, 0);
        CHECK((char *)vq.used - (char *)vq.avail >= (long)(6 + 2 * size));
        CHECK((char *)vq.slots - (char *)vq.used >= (long)(6 + 8 * size));
        CHECK((size_t)((char *)&vq.slots[size] - (char *)mem) == virtq_bytes((u16)size));
        kfree(mem);
    }
}

TEST(chains_come_back_in_any_order)
{
    struct virtq *vq = make(true);
    int a, b, c;
    u32 len;
    CHECK_EQ(virtq_add(vq, segs, 1, 2, &a), 0);
    CHECK_EQ(virtq_add(vq, segs, 2, 0, &b), 0);
    CHECK_EQ(virtq_add(vq, segs, 0, 3, &c), 0);
    CHECK_EQ(vq->num_free, 0);
    CHECK_EQ(virtq_add(vq, segs, 1, 0, &c), -ENOSPC);
    check_invariants(vq);
    /* What the device sees. */
    struct vq_desc *d = &vq->desc[device_head(vq, 0)];
    CHECK_EQ(d->addr, 0x1000);
    CHECK_EQ(d->flags, VQ_DESC_NEXT);
    d = &vq->desc[d->next];
    CHECK_EQ(d->flags, VQ_DESC_NEXT | VQ_DESC_WRITE);
    d = &vq->desc[d->next];
    CHECK_EQ(d->len, 64);
    CHECK_EQ(d->flags, VQ_DESC_WRITE);
    CHECK_EQ(vq->avail->idx, 3);

    CHECK(virtq_pop(vq, &len) == NULL);
    device_finish(vq, device_head(vq, 2), 100);
    device_finish(vq, device_head(vq, 0), 96);
    CHECK(virtq_pending(vq));
    CHECK(virtq_pop(vq, &len) == &c);
    CHECK_EQ(len, 100);
    CHECK(virtq_pop(vq, &len) == &a);
    CHECK(virtq_pop(vq, &len) == NULL);
    check_invariants(vq);
    device_finish(vq, device_head(vq, 1), 0);
    CHECK(virtq_pop(vq, &len) == &b);
    CHECK_EQ(vq->num_free, SIZE);
    check_invariants(vq);
    CHECK(vq->broken == NULL);
    destroy(vq);
}

TEST(indices_wrap)
{
    struct virtq *vq = make(false);
    u32 len;
    for (unsigned i = 0; i < 200000; i++) {
        CHECK_EQ(virtq_add(vq, segs, 1, 1 + i % 3, vq), 0);
        device_finish(vq, device_head(vq, (u16)(vq->avail_idx - 1)), 1);
        CHECK(virtq_pop(vq, &len) == vq);
    }
    check_invariants(vq);
    CHECK(vq->broken == NULL);
    destroy(vq);
}

TEST(indirect)
{
    struct virtq *vq = make(true);
    struct vq_desc table[4];
    u32 len;
    for (unsigned i = 0; i < SIZE; i++)
        CHECK_EQ(virtq_add_indirect(vq, table, 0x9000, segs, 2, 2, vq), 0);
    CHECK_EQ(virtq_add_indirect(vq, table, 0x9000, segs, 2, 2, vq), -ENOSPC);
    struct vq_desc *d = &vq->desc[device_head(vq, 0)];
    CHECK_EQ(d->flags, VQ_DESC_INDIRECT);
    CHECK_EQ(d->len, 64);
    CHECK_EQ(d->addr, 0x9000);
    CHECK_EQ(table[1].flags, VQ_DESC_NEXT);
    CHECK_EQ(table[1].next, 2);
    CHECK_EQ(table[3].flags, VQ_DESC_WRITE);
    check_invariants(vq);
    device_finish(vq, device_head(vq, 3), 66); /* 65 bytes are writable: R6 */
    CHECK(virtq_pop(vq, &len) == NULL);
    CHECK(vq->broken != NULL);
    destroy(vq);
}

TEST(doorbell_by_event_index)
{
    struct virtq *vq = make(true);
    u16 *avail_event = (u16 *)(void *)&vq->used->ring[SIZE];
    CHECK(!virtq_kick_prepare(vq)); /* nothing new */
    CHECK_EQ(virtq_add(vq, segs, 1, 0, vq), 0);
    CHECK(virtq_kick_prepare(vq)); /* the device waits for entry 0 */
    CHECK(!virtq_kick_prepare(vq));
    CHECK_EQ(virtq_add(vq, segs, 1, 0, vq), 0);
    CHECK(!virtq_kick_prepare(vq)); /* it is still at work and will look */
    *avail_event = 3;
    CHECK_EQ(virtq_add(vq, segs, 1, 0, vq), 0);
    CHECK(!virtq_kick_prepare(vq));
    CHECK_EQ(virtq_add(vq, segs, 1, 0, vq), 0);
    CHECK(virtq_kick_prepare(vq));
    destroy(vq);
    vq = make(false);
    vq->used->flags = VQ_USED_NO_NOTIFY;
    CHECK_EQ(virtq_add(vq, segs, 1, 0, vq), 0);
    CHECK(!virtq_kick_prepare(vq));
    vq->used->flags = 0;
    CHECK_EQ(virtq_add(vq, segs, 1, 0, vq), 0);
    CHECK(virtq_kick_prepare(vq));
    destroy(vq);
}

TEST(listening)
{
    for (unsigned event_idx = 0; event_idx < 2; event_idx++) {
        struct virtq *vq = make(event_idx != 0);
        for (unsigned i = 0; i < 3; i++)
            CHECK_EQ(virtq_add(vq, segs, 1, 0, vq), 0);
        virtq_quiet(vq);
        CHECK(virtq_listen(vq, 1));
        CHECK_EQ(vq->avail->ring[SIZE], 0);
        CHECK(virtq_listen(vq, 3));
        if (event_idx != 0)
            CHECK_EQ(vq->avail->ring[SIZE], 2);
        device_finish(vq, device_head(vq, 0), 0);
        CHECK(!virtq_listen(vq, 1)); /* it came in between */
        CHECK(virtq_listen(vq, 2));
        CHECK(virtq_pop(vq, NULL) == vq);
        CHECK(virtq_listen(vq, 1));
        CHECK_EQ(vq->avail->flags, 0);
        virtq_quiet(vq);
        if (event_idx == 0)
            CHECK_EQ(vq->avail->flags, VQ_AVAIL_NO_INTERRUPT);
        destroy(vq);
    }
}

TEST(used_index_may_not_jump)
{
    struct virtq *vq = make(true);
    u32 len;
    CHECK_EQ(virtq_add(vq, segs, 1, 1, vq), 0);
    vq->used->idx = 2; /* R4: one is in flight */
    CHECK(virtq_pop(vq, &len) == NULL);
    CHECK(vq->broken != NULL);
    CHECK_EQ(virtq_add(vq, segs, 1, 1, vq), -EIO); /* R7 */
    CHECK(!virtq_kick_prepare(vq));
    CHECK(!virtq_pending(vq));
    destroy(vq);
    vq = make(true);
    vq->used->idx = 0xffff;
    CHECK(virtq_pop(vq, &len) == NULL);
    CHECK(vq->broken != NULL);
    destroy(vq);
}

TEST(used_id_must_be_a_head_in_flight)
{
    static const u32 bad[] = { SIZE, 0xffffffff, 0x80000000, 1, 7 }; /* 1 is inside the chain, 7 free */
    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
        struct virtq *vq = make(true);
        u32 len;
        CHECK_EQ(virtq_add(vq, segs, 1, 1, vq), 0);
        device_finish(vq, bad[i], 0);
        CHECK(virtq_pop(vq, &len) == NULL);
        CHECK(vq->broken != NULL);
        check_invariants(vq);
        destroy(vq);
    }
    struct virtq *vq = make(true); /* the same head twice */
    CHECK_EQ(virtq_add(vq, segs, 1, 1, vq), 0);
    CHECK_EQ(virtq_add(vq, segs, 1, 1, vq), 0);
    device_finish(vq, device_head(vq, 0), 0);
    device_finish(vq, device_head(vq, 0), 0);
    CHECK(virtq_pop(vq, NULL) == vq);
    CHECK(virtq_pop(vq, NULL) == NULL);
    CHECK(vq->broken != NULL);
    destroy(vq);
}

TEST(shared_memory_is_not_read_back)
{
    struct virtq *vq = make(true);
    u32 len;
    CHECK_EQ(virtq_add(vq, segs, 2, 2, vq), 0);
    CHECK_EQ(virtq_add(vq, segs, 2, 2, &len), 0);
    memset(vq->desc, 0xff, sizeof(struct vq_desc) * SIZE); /* chains rewritten by the device */
    memset(vq->avail, 0xff, 6 + 2 * SIZE);
    device_finish(vq, 0, 0);
    CHECK(virtq_pop(vq, &len) == vq);
    device_finish(vq, 4, 0);
    CHECK(virtq_pop(vq, &len) == &len);
    check_invariants(vq);
    CHECK_EQ(vq->num_free, SIZE);
    destroy(vq);
}

TEST(reclaim_after_reset)
{
    struct virtq *vq = make(true);
    int cookies[3];
    unsigned seen = 0;
    for (unsigned i = 0; i < 3; i++)
        CHECK_EQ(virtq_add(vq, segs, 1, 1, &cookies[i]), 0);
    vq->used->idx = 77;
    virtq_pop(vq, NULL); /* broken; what is out must still come back */
    int *p;
    while ((p = virtq_reclaim(vq)) != NULL)
        seen |= 1u << (p - cookies);
    CHECK_EQ(seen, 7);
    CHECK_EQ(vq->num_free, SIZE);
    CHECK_EQ(vq->in_flight, 0);
    destroy(vq);
}
