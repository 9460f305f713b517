/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is loaded into an instance: maps, programs and where they are attached. Made of an object file (object.h) or of words (lang.h);
 * instructions are as abi/bpf.h wants them: maps by their index here, functions of a program behind it.
 */
#ifndef HOST_BPF_UNIT_H
#define HOST_BPF_UNIT_H

#include <linux/bpf.h>

#include "host/bpf/attach.h"

struct unit_map {
    char *name;
    u32 type, key_size, value_size, max_entries, flags, buffer_bytes; /* as struct bpfd_map_create */
    u8 *data;                  /* arrays: what they hold first, value_size * max_entries bytes; NULL: zeros */
    u32 key_type, value_type;  /* by BTF; 0: not told */
    bool hidden;               /* not printed */
};
/* From this instruction on, this place in what it was made of. */
struct unit_line {
    u32 insn, at; /* at: in the text of words */
    char *text;   /* of objects: "prog.c:12: source" */
};
struct unit_program {
    char *name;
    u32 ctx;      /* enum bpfd_ctx */
    struct bpf_insn *insns;
    u32 ninsns;
    struct unit_line *lines; /* in their order */
    u32 nlines;
};
struct unit_attach {
    u32 program;
    struct target target;
};
struct unit {
    struct unit_map *maps;
    u32 nmaps;
    struct unit_program *programs;
    u32 nprograms;
    struct unit_attach *attaches;
    u32 nattaches;
};

struct unit_map *unit_add_map(struct unit *u, const char *name, u32 type, u32 key_size, u32 value_size, u32 max_entries);
/* Takes over insns and lines. */
struct unit_program *unit_add_program(struct unit *u, const char *name, u32 ctx, struct bpf_insn *insns, u32 ninsns);
/* The target's strings are taken over: it is empty then. */
void unit_add_attach(struct unit *u, u32 program, struct target *t);
/* The place of an instruction; NULL: not known. */
const struct unit_line *unit_line_of(const struct unit_program *p, u32 insn);
void unit_done(struct unit *u);

#endif
