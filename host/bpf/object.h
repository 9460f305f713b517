/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Object files as `clang -target bpf -g -O2 -c` writes them, with the conventions of libbpf: programs in sections that name their place
 * (SEC("tracepoint/syscalls/sys_enter_read")), maps in ".maps" (by BTF) or "maps", global variables as arrays. A file may lie in
 * every byte; what does not add up, or what is not there, is refused with the reason.
 */
#ifndef HOST_BPF_OBJECT_H
#define HOST_BPF_OBJECT_H

#include "host/bpf/btf.h"
#include "host/bpf/unit.h"

#define OBJECT_BYTES_MAX (16u << 20)

/* A global variable that can change. */
struct object_var {
    u32 map, type, offset; /* type: by BTF */
    const char *name;
};
struct object {
    const u8 *bytes;  /* the caller's, as long as the object lives */
    size_t len;
    struct btf btf;   /* count 0: the file has none */
    struct object_var *vars;
    u32 nvars;
    struct unit unit; /* its places are found by object_places() */
    struct object_where { /* each program's, as targets_add() wants it */
        u32 program;
        char *text;
    } *where;
    u32 nwhere;
};
int object_read(struct object *o, const u8 *bytes, size_t len, struct error *err);
/* Where its sections want the programs to be, in this world. 0 or -1. */
int object_places(struct object *o, const struct world *w, struct error *err);
void object_done(struct object *o);

#endif
