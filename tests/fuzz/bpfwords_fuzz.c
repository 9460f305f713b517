/* SPDX-License-Identifier: Apache-2.0 */
/* Any text as a program in words. What is accepted is well formed; and any bytes as a record of it, or as elements of its maps, print. */
#include <stdlib.h>
#include <string.h>

#include "host/bpf/show.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

static void check(bool good)
{
    if (!good)
        __builtin_trap();
}

static void check_program(const struct unit *u, const struct unit_program *p)
{
    for (u32 i = 0; i < p->ninsns; i++) {
        const struct bpf_insn *n = &p->insns[i];
        bool jump = BPF_CLASS(n->code) == BPF_JMP && BPF_OP(n->code) != BPF_CALL && BPF_OP(n->code) != BPF_EXIT;
        check(!jump || (i + 1 + n->off >= 1 && i + 1 + n->off < p->ninsns));
        check(n->dst_reg <= 10 && n->src_reg <= 10);
        if (n->code == (BPF_LD | BPF_IMM | BPF_DW)) {
            check(i + 1 < p->ninsns && p->insns[i + 1].code == 0 && (!n->src_reg || (u32)n->imm < u->nmaps));
            i++;
        }
    }
    check(p->ninsns > 0 && p->insns[p->ninsns - 1].code == (BPF_JMP | BPF_EXIT));
}

/* Records and elements of what the text itself is. */
static void show(struct lang *l, const u8 *data, size_t size)
{
    struct printer s = {.l = l};
    const struct output *o;
    u8 record[1024] = {0};
    for (u32 n = 0; n < l->noutputs; n++) {
        size_t len = 8;
        for (u32 i = 0; i < l->outputs[n].ntypes; i++)
            len += l->outputs[n].types[i].size;
        if (len > sizeof(record))
            continue;
        memcpy(record, &(u64){n}, 8);
        memcpy(record + 8, data, MIN(size, len - 8));
        check(show_output(&s, record, len, &o) || o);
    }
    for (struct map_def *m = l->maps; m; m = m->next) {
        const struct unit_map *map = &l->unit.maps[m->index];
        struct elements e = {.key_len = map->key_size, .values_len = map->value_size * 2};
        size_t one = e.key_len + e.values_len;
        for (size_t at = 0; at + one <= size && e.count < 100; at += one)
            elements_add(&e, data + at, data + at + e.key_len);
        show_map(&s, m, &e, size % 3, size % 5);
        elements_done(&e);
    }
    buf_done(&s.out);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    static struct world world = {.cpus = 2};
    static const char points[] = "0 sched:switch uusuus prev_id,prev_state,prev,next_id,next_prio,next\n9 net:drop s reason\n";
    struct lang l;
    struct error err = {0};
    if (world.npoints == 0)
        check(world_points(&world, points, strlen(points)) == 0);
    if (lang_compile(&l, (const char *)data, size, &world, &err) == 0) {
        for (u32 i = 0; i < l.unit.nprograms; i++)
            check_program(&l.unit, &l.unit.programs[i]);
        show(&l, data, size);
        lang_done(&l);
    } else {
        check(err.code != 0 && err.text[0] != 0);
    }
    return 0;
}
