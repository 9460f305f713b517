/* SPDX-License-Identifier: Apache-2.0 */
/* What programs in words print: records and maps, in bpftrace's format. Bytes that come from the instance are checked for their lengths. */
#ifndef HOST_BPF_SHOW_H
#define HOST_BPF_SHOW_H

#include "host/bpf/lang.h"

struct element {
    u8 *key;
    u8 *values; /* of every CPU, one behind the other */
};
struct elements {
    struct element *items;
    size_t count;
    u32 key_len, values_len;
};
void elements_add(struct elements *e, const u8 *key, const u8 *values);
void elements_done(struct elements *e);

struct printer {
    const struct lang *l;
    struct buf out;
    /* Both may be NULL: addresses stay numbers, stacks empty. */
    const char *(*name)(struct printer *s, u64 address, u32 pid, bool offset); /* pid 0: the kernel's; offset: "f+12", not "f" */
    u32 (*stack)(struct printer *s, u32 map, u32 id, u64 *frames, u32 most);   /* frames that a map has, innermost first: how many */
    struct session *session;
    struct names *names;
};

/* A text up to its end, without what a terminal would obey. */
void show_text(struct buf *out, const u8 *text, size_t size);
/* A record: printf(), print() of a value, time(). False: it is of another kind, which *ret tells (NULL: the record makes no sense). */
bool show_output(struct printer *s, const u8 *data, size_t len, const struct output **ret);
/* A map, sorted; top: at most so many, the largest (0: all); div: values are divided by it (0: not). */
void show_map(struct printer *s, const struct map_def *m, const struct elements *e, u64 top, u64 div);

/* hist.c: lines of a histogram, counts by bucket. */
void show_hist(struct buf *out, const struct type *t, const u64 *counts, u32 ncounts, u64 div);

#endif
