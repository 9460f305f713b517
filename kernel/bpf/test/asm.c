/* SPDX-License-Identifier: Apache-2.0 */
#include "asm.h"

#include <string.h>

struct bpf_map *test_maps[8];
u8 test_ctx[CTX_BYTES];

int load_program(const struct bpf_insn *insns, u32 count, struct bpf_map *const *maps, u32 nmaps, struct verify_result *why, struct loaded *ret)
{
    *ret = (struct loaded){ .code = { .insns = kmalloc(count * sizeof(*insns), 0), .count = count } };
    memcpy(ret->code.insns, insns, count * sizeof(*insns));
    int err = bpf_verify(&ret->code, CTX_BYTES, NULL, maps, nmaps, why);
    if (err != 0) {
        bpf_code_done(&ret->code);
        return err;
    }
    u32 *offsets = kmalloc((count + 1) * sizeof(u32), 0);
    ret->bytes = arch_bpf_compile(&ret->code, offsets, NULL, 0);
    ret->machine = vmap_alloc(ret->bytes);
    CHECK(ret->machine != NULL);
    memset(ret->machine, 0xcc, ret->bytes);
    CHECK_EQ(arch_bpf_compile(&ret->code, offsets, ret->machine, ret->bytes), ret->bytes);
    CHECK_EQ(vmap_make_code(ret->machine, ret->bytes), 0);
    kfree(offsets);
    return 0;
}

void unload(struct loaded *p)
{
    vmap_free(p->machine, p->bytes);
    bpf_code_done(&p->code);
}

static u8 stack[BPF_STACK_BYTES * BPF_FRAMES_MAX] ALIGNED(16);

u64 run_slowly(const struct loaded *p, const void *ctx) { return bpf_interpret(&p->code, ctx, stack + sizeof(stack)); }
u64 run_natively(const struct loaded *p, const void *ctx) { return ((bpf_entry_fn *)(uintptr_t)p->machine)(ctx, stack + sizeof(stack)); }

struct bpf_map *make_map(u32 number, u32 type, u32 key, u32 value, u32 entries)
{
    struct bpfd_map_create c = { .map = number, .type = type, .key_size = key, .value_size = value, .max_entries = entries };
    struct bpf_map *m = NULL;
    const char *why = "";
    if (map_create(&c, 1 << 24, &m, &why) != 0)
        sim_test_failed(__FILE__, __LINE__, "map: %s", why);
    return m;
}

void expect_result(const char *file, int line, const struct bpf_insn *insns, u32 count, u64 expected)
{
    struct verify_result why;
    struct loaded p;
    if (load_program(insns, count, test_maps, ARRAY_SIZE(test_maps), &why, &p) != 0)
        sim_test_failed(file, line, "refused at %u: %s", why.insn, why.why);
    u64 a = run_slowly(&p, test_ctx), b = run_natively(&p, test_ctx);
    if (a != expected || b != expected)
        sim_test_failed(file, line, "expected %#llx, the interpreter has %#llx, the machine %#llx", (unsigned long long)expected, (unsigned long long)a,
                        (unsigned long long)b);
    unload(&p);
}

void expect_refused(const char *file, int line, const struct bpf_insn *insns, u32 count, u32 at, const char *text)
{
    struct verify_result why;
    struct loaded p;
    if (load_program(insns, count, test_maps, ARRAY_SIZE(test_maps), &why, &p) == 0)
        sim_test_failed(file, line, "accepted, not \"%s\"", text);
    if (why.insn != at || strstr(why.why, text) == NULL)
        sim_test_failed(file, line, "refused at %u: \"%s\", not at %u: \"%s\"", why.insn, why.why, at, text);
}

void expect_accepted(const char *file, int line, const struct bpf_insn *insns, u32 count)
{
    struct verify_result why;
    struct loaded p;
    if (load_program(insns, count, test_maps, ARRAY_SIZE(test_maps), &why, &p) != 0)
        sim_test_failed(file, line, "refused at %u: %s", why.insn, why.why);
    unload(&p);
}
