/* SPDX-License-Identifier: Apache-2.0 */
/* Call sites: which bytes are one, what a thunk looks like, and that every way of looking at or changing the text finds the original. */
#include "arch/insn.h"
#include "base/bytes.h"
#include "kern/arch.h"
#include "kern/callsite.h"
#include "kern/trap.h"
#include "mm_test.h"

#define PAGES 4u
#define CODE TEST_BASE
/* Offsets in the first page; what lies between is filled with two-byte instructions. */
#define SITE_A 200u  /* mov $39,%eax; syscall; ret */
#define SITE_B 400u  /* syscall; cmp $-4095,%rax */
#define SITE_NONE 600u /* movl $39,-0x48(%rbp); syscall; ret: the mov that could be seen here is none */

static u8 text[PAGES * PAGE_SIZE];

static int text_read(struct mapping *m, u64 index, struct page **pages, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        memcpy(page_virt(pages[i]), text + (index + i) * PAGE_SIZE, PAGE_SIZE);
    return 0;
}

static const struct mapping_ops text_ops = { .read = text_read };
static struct mapping file;

static void fill_text(void)
{
    for (unsigned i = 0; i < sizeof(text); i += 2)
        memcpy(text + i, "\x89\xc0", 2); /* mov %eax,%eax */
    memcpy(text + SITE_A, "\xb8\x27\x00\x00\x00\x0f\x05\xc3", 8);
    memcpy(text + SITE_B, "\x0f\x05\x48\x3d\x01\xf0\xff\xff", 8);
    memcpy(text + SITE_NONE - 2, "\xc7\x45\xb8\x27\x00\x00\x00\x0f\x05\xc3", 10);
}

TEST(instruction_lengths)
{
    static const struct { const char *bytes; unsigned len; bool movable; } cases[] = {
        { "\x90\x90", 1, false },
        { "\x48\x3d\x00\xf0\xff\xff", 6, true },               /* cmp $-4096,%rax */
        { "\x48\x89\xc7", 3, true },                           /* mov %rax,%rdi */
        { "\x89\x44\x24\x28", 4, true },                       /* mov %eax,0x28(%rsp) */
        { "\x8b\x05\x01\x02\x03\x04", 6, false },              /* relative to rip */
        { "\xe8\x01\x02\x03\x04", 5, false },                  /* call */
        { "\x0f\x84\x01\x02\x03\x04", 6, false },              /* je */
        { "\xf0\x48\x0f\xb1\x17", 5, false },                  /* lock cmpxchg */
        { "\x48\xb8\x01\x02\x03\x04\x05\x06\x07\x08", 10, true },
        { "\x66\xc7\x00\x01\x02", 5, true },
        { "\xf7\xc1\x01\x02\x03\x04", 6, true },               /* test $imm,%ecx */
        { "\xf7\xd1", 2, false },                              /* not %ecx */
        { "\xc7\xf8\x01\x02\x03\x04", 6, false },              /* xbegin */
        { "\xc5\xf8\x77", 3, false },                          /* vzeroupper */
        { "\xc4\xe2\x7d\x18\x05\x01\x02\x03\x04", 9, false },
        { "\x62\xf1\x7c\x48\x28\x40\x01", 7, false },
        { "\x06\x90", 0, false },
        { "\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66", 0, false },
    };
    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        u8 b[32];
        struct insn in;
        memset(b, 0x90, sizeof(b));
        memcpy(b, cases[i].bytes, strlen(cases[i].bytes) > cases[i].len ? strlen(cases[i].bytes) : cases[i].len);
        CHECK_EQ(insn_decode(b, sizeof(b), &in), cases[i].len);
        if (cases[i].len > 1) {
            CHECK_EQ(insn_decode(b, cases[i].len - 1, &in), 0);
            CHECK_EQ(insn_decode(b, cases[i].len, &in), cases[i].len);
            CHECK_EQ(insn_movable(&in), cases[i].movable);
        }
    }
}

TEST(decoder_stays_inside)
{
    for (unsigned i = 0; i < 200000; i++) { /* the sanitizer watches the heap block's end */
        unsigned n = 1 + pick(INSN_MAX + 2);
        u8 *p = kmalloc(n, 0);
        struct insn in;
        for (unsigned k = 0; k < n; k++)
            p[k] = (u8)pick(256);
        CHECK(insn_decode(p, n, &in) <= MIN(n, INSN_MAX));
        kfree(p);
    }
}

TEST(what_is_a_site)
{
    struct call_site s;
    fill_text();
    CHECK(arch_call_site(text, SITE_A + 7, 39, &s));
    CHECK_EQ(s.start, SITE_A);
    CHECK_EQ(s.back, SITE_A + 7);
    CHECK_EQ(s.kept, 0);
    CHECK(!arch_call_site(text, SITE_A + 7, 40, &s)); /* the number came from elsewhere, and behind it is a ret */
    CHECK(arch_call_site(text, SITE_B + 2, 39, &s));
    CHECK_EQ(s.start, SITE_B);
    CHECK_EQ(s.kept, 6);
    CHECK(!arch_call_site(text, SITE_NONE + 7, 39, &s));
    CHECK(!arch_call_site(text, SITE_B + 3, 39, &s));
    CHECK(!arch_call_site(text, 0, 39, &s));
    memcpy(text + PAGE_SIZE - 2, "\x0f\x05", 2); /* what follows is on another page */
    CHECK(!arch_call_site(text, PAGE_SIZE, 39, &s));
    memcpy(text + 2, "\xb8\x27\x00\x00\x00\x0f\x05\xc3", 8); /* nothing in front to tell */
    CHECK(!arch_call_site(text, 9, 39, &s));
}

static u8 *patched(struct addrspace *as, uaddr_t va)
{
    paddr_t pa;
    return plat_lookup(&as->plat, va, &pa, NULL) && (page_of(pa)->flags & PG_PATCHED) ? phys_to_virt(pa) : NULL;
}

static void map_text(struct addrspace *as, uaddr_t at)
{
    struct map_request r = { .addr = at, .len_bytes = sizeof(text), .prot = MAP_READ | MAP_EXEC, .fixed = true, .flags = VMA_MAYWRITE,
                             .mapping = &file };
    uaddr_t got;
    CHECK_EQ(as_map(as, &r, &got), 0);
}

static struct trap_frame call_at(struct addrspace *as, uaddr_t end)
{
    struct trap_frame f = { .rip = end, .rcx = end, .rax = 39, .orig_rax = 39, .rflags = 0x202 };
    as_fault(as, end - 1, TRAP_EXEC);
    for (unsigned i = 0; i < PLAT_SITE_CALLS; i++)
        callsite_trapped(as, &f);
    CHECK_EQ(f.rip, end);
    return f;
}

static uaddr_t jump_target(const u8 *code, uaddr_t at)
{
    CHECK_EQ(code[0], 0xe9);
    return at + 5 + (u64)(s64)(s32)get_u32(code + 1);
}

static void check_original(struct addrspace *as, uaddr_t at)
{
    static u8 seen[PAGE_SIZE];
    CHECK_EQ(as_copy(as, at, seen, PAGE_SIZE, false), PAGE_SIZE);
    CHECK(memcmp(seen, text, PAGE_SIZE) == 0);
    struct page *p = mapping_peek(&file, 0);
    CHECK(p != NULL && memcmp(page_virt(p), text, PAGE_SIZE) == 0);
    page_put(p);
}

static struct addrspace *patched_space(void)
{
    fill_text();
    mapping_init(&file, &text_ops, NULL);
    file.size_bytes = sizeof(text);
    struct addrspace *as = test_space();
    map_text(as, CODE);
    struct trap_frame once = { .rip = CODE + SITE_A + 7, .rax = 39, .orig_rax = 39, .rflags = 0x202 };
    as_fault(as, CODE, TRAP_EXEC);
    callsite_trapped(as, &once);
    CHECK(patched(as, CODE) == NULL); /* it may never come again */
    call_at(as, CODE + SITE_A + 7);
    call_at(as, CODE + SITE_B + 2);
    CHECK(patched(as, CODE) != NULL);
    return as;
}

TEST(jumps_and_thunks)
{
    mm_test_init();
    struct addrspace *as = patched_space();
    u8 *code = patched(as, CODE);
    uaddr_t a = jump_target(code + SITE_A, CODE + SITE_A), b = jump_target(code + SITE_B, CODE + SITE_B);
    CHECK(get_u16(code + SITE_A + 5) == 0x050f);
    static const u8 invalid[] = { 0x06, 0x07, 0x0e, 0x16, 0x17, 0x1e, 0x1f, 0x27, 0x2f, 0x37, 0x3f, 0x60, 0x61, 0x9a, 0xce, 0xd4, 0xd5, 0xd6, 0xea };
    CHECK(memchr(invalid, code[SITE_B + 2], sizeof(invalid)) != NULL);
    CHECK(patched(as, a) == NULL);
    u8 thunk[ARCH_THUNK_BYTES];
    CHECK_EQ(as_copy(as, a, thunk, sizeof(thunk), false), sizeof(thunk));
    CHECK(memcmp(thunk, "\xb8\x27\0\0\0\x48\x8d\x0d", 8) == 0);
    CHECK_EQ(a + 12 + (u64)(s64)(s32)get_u32(thunk + 8), CODE + SITE_A + 7);
    uaddr_t slot = a + 21 + (u64)(s64)(s32)get_u32(thunk + 17);
    u64 gate;
    CHECK_EQ(as_copy(as, slot, &gate, sizeof(gate), false), sizeof(gate));
    CHECK_EQ(gate, SIM_CALL_GATE);

    CHECK_EQ(callsite_original(as, a), CODE + SITE_A);
    CHECK_EQ(callsite_original(as, a + 15), CODE + SITE_A);
    CHECK_EQ(callsite_original(as, b + 14), CODE + SITE_B);
    CHECK_EQ(callsite_original(as, b + 20), CODE + SITE_B + 2);
    CHECK_EQ(callsite_original(as, b + 26), CODE + SITE_B + 8);
    CHECK_EQ(callsite_original(as, CODE + SITE_B), CODE + SITE_B);
    CHECK_EQ(callsite_resume(as, CODE + SITE_B + 2), b + 20);
    CHECK_EQ(callsite_resume(as, CODE + SITE_A + 7), 0);
    struct trap_frame f = call_at(as, CODE + SITE_A + 7); /* again: nothing changes */
    CHECK(!(f.cs & FRAME_GATED) && patched(as, CODE) == code && jump_target(code + SITE_A, CODE + SITE_A) == a);
    check_original(as, CODE);
    check_space(as);
    end_space(as);
    mapping_done(&file);
}

TEST(changes_restore)
{
    mm_test_init();
    struct addrspace *as = patched_space(), *child;
    CHECK_EQ(addrspace_fork(as, &child), 0);
    CHECK(patched(child, CODE) == NULL);
    check_original(child, CODE);
    CHECK_EQ(callsite_resume(child, CODE + SITE_B + 2), 0);
    addrspace_put(child);
    CHECK(patched(as, CODE) != NULL);

    CHECK_EQ(as_protect(as, CODE, PAGE_SIZE, MAP_READ | MAP_WRITE), 0);
    CHECK(patched(as, CODE) == NULL);
    check_original(as, CODE);
    end_space(as);
    mapping_done(&file);

    as = patched_space();
    uaddr_t to, thunk = jump_target(patched(as, CODE) + SITE_A, CODE + SITE_A);
    CHECK_EQ(as_copy(as, CODE + SITE_A + 1, "\x28", 1, true), 1); /* as a debugger writes */
    CHECK(patched(as, CODE) == NULL);
    CHECK_EQ(as_protect(as, thunk & ~(PAGE_SIZE - 1), PAGE_SIZE, MAP_READ), -ENOMEM);
    CHECK_EQ(as_remap(as, CODE, sizeof(text), sizeof(text), 3, CODE + (1UL << 30), &to), 0);
    CHECK(patched(as, to) == NULL);
    CHECK_EQ(as_unmap(as, to, sizeof(text)), 0);
    CHECK(as_first(as) == NULL); /* the thunks went with the text */
    end_space(as);
    mapping_done(&file);
}

TEST(thunks_taken_away)
{
    mm_test_init();
    struct addrspace *as = patched_space();
    uaddr_t b = jump_target(patched(as, CODE) + SITE_B, CODE + SITE_B), got;
    struct vma *v = as_find(as, b, false);
    CHECK_EQ(map_anon(as, v->start, v->end - v->start, MAP_READ | MAP_WRITE, 0, true, &got), 0);
    CHECK(patched(as, CODE) == NULL);
    check_original(as, CODE);
    CHECK_EQ(callsite_original(as, b + 20), CODE + SITE_B + 2); /* whoever comes back there */
    CHECK_EQ(as_protect(as, b & ~(PAGE_SIZE - 1), PAGE_SIZE, MAP_READ | MAP_EXEC), 0);
    CHECK_EQ(callsite_original(as, b + 20), b + 20); /* code of the program's own by now */
    check_space(as);
    end_space(as);
    mapping_done(&file);
}

TEST(short_of_memory)
{
    mm_test_init();
    fill_text();
    mapping_init(&file, &text_ops, NULL);
    file.size_bytes = sizeof(text);
    u64 before = free_memory();
    unsigned replaced = 0;
    for (unsigned round = 0; round < 200; round++) {
        struct addrspace *as = test_space();
        map_text(as, CODE);
        as_fault(as, CODE, TRAP_EXEC);
        sim_fail_allocations(1 + pick(6));
        call_at(as, CODE + SITE_A + 7);
        call_at(as, CODE + SITE_B + 2);
        sim_fail_allocations(0);
        replaced += patched(as, CODE) != NULL;
        check_original(as, CODE);
        check_space(as);
        end_space(as);
    }
    CHECK(replaced > 0 && replaced < 200);
    CHECK_EQ(free_memory(), before);
    mapping_done(&file);
}
