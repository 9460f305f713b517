/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A virtqueue against a device that writes whatever the input says into all the
 * memory that it shares. After each step the driver's private state must
 * satisfy R1..R3 of ring.h, no cookie may come back twice, and what is out must be
 * reclaimed in the end.
 */
#include "kernel/drivers/virtio/ring.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(x)      \
    do {             \
        if (!(x))    \
            abort(); \
    } while (0)

struct buffer {
    u32 in_bytes;
    bool out;
};
static struct buffer buffers[64];

static void check(const struct virtq *vq)
{
    unsigned used = 0, heads = 0;
    for (unsigned i = 0; i < vq->size; i++) {
        used += vq->slots[i].count;
        heads += vq->slots[i].count > 0;
        MUST((vq->slots[i].count > 0) == (vq->slots[i].cookie != NULL));
    }
    MUST(used + vq->num_free == vq->size);
    MUST(heads == vq->in_flight);
    MUST(vq->broken != NULL || (u16)(vq->avail_idx - vq->last_used) == vq->in_flight);
}

static void post(struct virtq *vq, u8 arg)
{
    struct vq_seg segs[8];
    struct vq_desc table[8];
    unsigned nout = arg & 3, nin = arg >> 2 & 3, b = 0;
    if (nout + nin == 0)
        nin = 1;
    while (b < 64 && buffers[b].out)
        b++;
    if (b == 64)
        return;
    u32 in = 0;
    for (unsigned i = 0; i < nout + nin; i++) {
        segs[i] = (struct vq_seg){ 0x1000u * (i + 1), 10u * (i + 1) };
        in += i >= nout ? segs[i].len : 0;
    }
    int err = (arg & 16) != 0 ? virtq_add_indirect(vq, table, 0x5000, segs, nout, nin, &buffers[b])
                              : virtq_add(vq, segs, nout, nin, &buffers[b]);
    MUST(err == 0 || err == -ENOSPC || err == -EIO);
    MUST((err == -EIO) == (vq->broken != NULL));
    if (err == 0)
        buffers[b] = (struct buffer){ in, true };
}

static void pop(struct virtq *vq)
{
    u32 len = 12345678;
    struct buffer *b = virtq_pop(vq, &len);
    if (b == NULL)
        return;
    MUST(b->out && len <= b->in_bytes && vq->broken == NULL);
    b->out = false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    struct virtq vq;
    u16 entries = (u16)(2u << (data[0] & 7)); /* 2..256 */
    u8 *mem = malloc(virtq_bytes(entries));
    memset(buffers, 0, sizeof(buffers));
    virtq_setup(&vq, mem, entries, (data[0] & 8) != 0);
    size_t shared = (size_t)((u8 *)vq.slots - mem), used = (size_t)((u8 *)vq.used - mem);
    for (size_t i = 1; i + 3 < size; i += 4) {
        u8 arg = data[i + 1];
        u16 value = (u16)(data[i + 2] | data[i + 3] << 8);
        switch (data[i] % 9) {
        case 0: post(&vq, arg); break;
        case 1: pop(&vq); break;
        case 2: (void)virtq_kick_prepare(&vq); break;
        case 3: virtq_quiet(&vq); break;
        case 4: (void)virtq_listen(&vq, (u16)(arg + 1)); break;
        case 5: /* an honest completion, of a hostile length */
            vq.used->ring[vq.used->idx % entries].id = vq.avail->ring[arg % entries];
            vq.used->ring[vq.used->idx % entries].len = value;
            vq.used->idx++;
            break;
        case 6: vq.used->idx = value; break;
        case 7: mem[used + value % (shared - used)] = arg; break;
        case 8: mem[value % shared] = arg; break;
        }
        check(&vq);
    }
    for (unsigned n = 0; vq.in_flight > 0; n++) {
        struct buffer *b = virtq_reclaim(&vq);
        MUST(b != NULL && b->out && n < entries);
        b->out = false;
    }
    MUST(virtq_reclaim(&vq) == NULL && vq.num_free == entries);
    for (unsigned b = 0; b < 64; b++)
        MUST(!buffers[b].out);
    free(mem);
    return 0;
}
