/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HOST_BPF_RUN_IMPL_H
#define HOST_BPF_RUN_IMPL_H

#include "host/bpf/object.h"
#include "host/bpf/run.h"
#include "host/bpf/show.h"

struct run {
    const struct run_options *o;
    struct session s;
    const struct unit *u;
    struct lang *l;         /* of words; or */
    struct object *object;
    struct printer printer;   /* its buffer is what is printed next */
    bool exits;             /* exit() was called */
    u64 lost;               /* records */
    u64 cut;                /* what words had no room for in maps */
};
/* run_words.c, run_object.c: a record of a buffer; maps. 0 or -1. */
int words_record(struct run *r, const struct bpfd_record *record, const u8 *data, struct error *err);
int words_maps(struct run *r, struct error *err);
int words_cut(struct run *r, struct error *err); /* fills r->cut */
int object_record(struct run *r, const struct bpfd_record *record, const u8 *data);
int object_maps(struct run *r, struct error *err);
/* run.c: load, attach, print until the end. The session is open. */
int run_unit(struct run *r, const char *text, size_t len, struct error *err);

#endif
