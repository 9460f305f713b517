/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as an object file of eBPF programs. What is accepted is within its bounds, and its values print. */
#include <stdlib.h>
#include <string.h>

#include "host/bpf/object.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

static void check(bool good)
{
    if (!good)
        __builtin_trap();
}

static void check_unit(const struct object *o)
{
    const struct unit *u = &o->unit;
    check(u->nmaps <= BPFD_MAPS_MAX && u->nprograms > 0 && u->nprograms <= BPFD_PROGRAMS_MAX);
    for (u32 i = 0; i < u->nprograms; i++) {
        const struct unit_program *p = &u->programs[i];
        check(p->ninsns > 0 && p->ninsns <= BPFD_INSNS_MAX);
        for (u32 k = 0; k < p->ninsns; k++)
            if (p->insns[k].code == (BPF_LD | BPF_IMM | BPF_DW)) {
                check(k + 1 < p->ninsns && (!p->insns[k].src_reg || (u32)p->insns[k].imm < u->nmaps));
                k++;
            }
        unit_line_of(p, p->ninsns / 2);
    }
    struct buf out = {0};
    u8 bytes[64] = {1, 2, 3};
    for (u32 i = 0; i < u->nmaps; i++) {
        check(u->maps[i].key_size <= BPFD_KEY_MAX && u->maps[i].value_size <= BPFD_VALUE_MAX);
        btf_show(&o->btf, u->maps[i].value_type, bytes, sizeof(bytes), &out);
    }
    for (u32 i = 0; i < o->nvars; i++) {
        check(o->vars[i].offset < u->maps[o->vars[i].map].value_size);
        btf_show(&o->btf, o->vars[i].type, bytes, sizeof(bytes), &out);
    }
    buf_done(&out);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    struct object o;
    struct error err = {0};
    u8 *exact = malloc(size ? size : 1); /* what is read behind it is found */
    memcpy(exact, data, size);
    if (object_read(&o, exact, size, &err) == 0) {
        check_unit(&o);
        object_done(&o);
    } else {
        check(err.code != 0 && err.text[0] != 0);
    }
    free(exact);
    return 0;
}
