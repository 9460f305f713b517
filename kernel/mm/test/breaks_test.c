/* SPDX-License-Identifier: Apache-2.0 */
/* Breakpoints in text: which instructions can be stood for and how, and that every way of looking at or changing the text finds the file's bytes. */
#include "base/bytes.h"
#include "kern/arch.h"
#include "kern/callsite.h"
#include "kern/textbreak.h"
#include "kern/trap.h"
#include "mm_test.h"

#define CODE TEST_BASE
#define SITE 100u  /* mov $39,%eax; syscall; ret */
#define PLACE 300u /* mov %eax,%eax, as all else */

static u8 text[2 * PAGE_SIZE];

static int text_read(struct mapping *m, u64 index, struct page **pages, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        memcpy(page_virt(pages[i]), text + (index + i) * PAGE_SIZE, PAGE_SIZE);
    return 0;
}

static const struct mapping_ops text_ops = { .read = text_read };
static struct mapping file;

/* One instruction at 0x1000 with the registers below; flags: ZF and CF are set. */
static enum probe_step step(const char *bytes, unsigned len, struct trap_frame *ret, u64 *ret_push)
{
    u8 code[ARCH_PROBE_BYTES];
    memset(code, 0x90, sizeof(code));
    memcpy(code, bytes, len);
    CHECK_EQ(arch_probe_fits(code), len);
    *ret = (struct trap_frame){ .rip = 0x1000, .rsp = 0x8000, .rbp = 5, .rbx = 7, .r12 = 9, .rflags = 0x243 };
    return arch_probe_step(ret, code, ret_push);
}

TEST(what_is_done_in_registers)
{
    static const struct { const char *bytes; u8 len, step; u64 pc, push; } cases[] = {
        { "\xf3\x0f\x1e\xfa", 4, PROBE_DONE, 0x1004, 0 },         /* endbr64 */
        { "\x55", 1, PROBE_PUSH, 0x1001, 5 },                     /* push %rbp */
        { "\x53", 1, PROBE_PUSH, 0x1001, 7 },
        { "\x41\x54", 2, PROBE_PUSH, 0x1002, 9 },                 /* push %r12 */
        { "\x54", 1, PROBE_PUSH, 0x1001, 0x8000 },                /* push %rsp */
        { "\xe8\x10\x00\x00\x00", 5, PROBE_PUSH, 0x1015, 0x1005 }, /* call */
        { "\xeb\xfe", 2, PROBE_DONE, 0x1000, 0 },
        { "\xe9\xf0\xff\xff\xff", 5, PROBE_DONE, 0xff5, 0 },
        { "\x74\x10", 2, PROBE_DONE, 0x1012, 0 },                 /* je: taken */
        { "\x75\x10", 2, PROBE_DONE, 0x1002, 0 },                 /* jne: not */
        { "\x7f\x10", 2, PROBE_DONE, 0x1002, 0 },                 /* jg */
        { "\x7d\x10", 2, PROBE_DONE, 0x1012, 0 },                 /* jge */
        { "\x0f\x82\x00\x01\x00\x00", 6, PROBE_DONE, 0x1106, 0 }, /* jb */
        { "\xc3", 1, PROBE_RETURN, 0x1001, 0 },
        { "\x48\x83\xec\x08", 4, PROBE_THUNK, 0x1000, 0 },        /* sub $8,%rsp */
    };
    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        struct trap_frame f;
        u64 push = 0;
        CHECK_EQ(step(cases[i].bytes, cases[i].len, &f, &push), cases[i].step);
        CHECK_EQ(f.rip, cases[i].pc);
        CHECK_EQ(push, cases[i].push);
    }
    struct trap_frame f;
    u64 push;
    CHECK_EQ(step("\x48\x89\xe5", 3, &f, &push), PROBE_DONE); /* mov %rsp,%rbp */
    CHECK_EQ(f.rbp, 0x8000);
    static const char *const refused[] = { "\x0f\x05", "\xcc", "\xcd\x80", "\xff\xe0", "\xff\x15", "\xe2\x10", "\xc2\x08", "\xf4", "\x06" };
    for (unsigned i = 0; i < ARRAY_SIZE(refused); i++) {
        u8 code[ARCH_PROBE_BYTES] = { 0 };
        memcpy(code, refused[i], strlen(refused[i]));
        CHECK_EQ(arch_probe_fits(code), 0);
    }
}

TEST(copies_reach_what_they_name)
{
    u8 thunk[ARCH_THUNK_BYTES], code[ARCH_PROBE_BYTES] = "\x48\x8b\x05\x00\x10\x00\x00"; /* mov 0x1000(%rip),%rax */
    CHECK(arch_probe_thunk(thunk, 0x20000, 0x10000, code));
    CHECK(memcmp(thunk, code, 3) == 0);
    CHECK_EQ(0x20007 + (s64)(s32)get_u32(thunk + 3), 0x11007);
    CHECK_EQ(thunk[7], 0xe9);
    CHECK_EQ(0x2000c + (s64)(s32)get_u32(thunk + 8), 0x10007);
    CHECK(!arch_probe_thunk(thunk, 0x20000, 0x10000 + (1UL << 32), code));
    put_u32(code + 3, 0x7fffff00);
    CHECK(!arch_probe_thunk(thunk, 0x10000, 0x90000, code));
}

/* The kernel runs them from thunks. */
TEST(copies_branch_to_the_same_place)
{
    static const struct { const char *bytes, *copy; u8 len, copy_len; u64 to; } cases[] = {
        { "\xe8\x10\x00\x00\x00", "\xe8", 5, 1, 0x10015 },         /* call */
        { "\xe9\xf0\xff\xff\xff", "\xe9", 5, 1, 0xfff5 },          /* jmp */
        { "\xeb\xfe", "\xe9", 2, 1, 0x10000 },
        { "\x74\x10", "\x0f\x84", 2, 2, 0x10012 },                 /* je */
        { "\x0f\x82\x00\x01\x00\x00", "\x0f\x82", 6, 2, 0x10106 }, /* jb */
    };
    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        u8 thunk[ARCH_THUNK_BYTES], code[ARCH_PROBE_BYTES] = { 0 }, n = cases[i].copy_len;
        memcpy(code, cases[i].bytes, cases[i].len);
        CHECK_EQ(arch_probe_fits(code), cases[i].len);
        CHECK(arch_probe_thunk(thunk, 0x20000, 0x10000, code));
        CHECK(memcmp(thunk, cases[i].copy, n) == 0);
        CHECK_EQ(0x20000 + n + 4 + (s64)(s32)get_u32(thunk + n), cases[i].to);
        CHECK_EQ(thunk[n + 4], 0xe9);
        CHECK_EQ(0x20000 + n + 9 + (s64)(s32)get_u32(thunk + n + 5), 0x10000 + cases[i].len);
        CHECK(!arch_probe_thunk(thunk, 0x20000, 0x10000 + (1UL << 32), code));
    }
}

/* The byte of the page that is mapped there; text: not the original. */
static int mapped(struct addrspace *as, uaddr_t at)
{
    paddr_t pa;
    as_fault(as, at, TRAP_EXEC);
    return plat_lookup(&as->plat, ALIGN_DOWN(at, PAGE_SIZE), &pa, NULL) ? ((u8 *)phys_to_virt(pa))[at & (PAGE_SIZE - 1)] : -1;
}

static void check_original(struct addrspace *as)
{
    static u8 seen[sizeof(text)];
    CHECK_EQ(as_copy(as, CODE, seen, sizeof(seen), false), sizeof(seen));
    CHECK(memcmp(seen, text, sizeof(seen)) == 0);
}

static struct addrspace *text_space(void)
{
    for (unsigned i = 0; i < sizeof(text); i += 2)
        memcpy(text + i, "\x89\xc0", 2);
    memcpy(text + SITE, "\xb8\x27\x00\x00\x00\x0f\x05\xc3", 8);
    mapping_init(&file, &text_ops, NULL);
    file.size_bytes = sizeof(text);
    struct addrspace *as = test_space();
    struct map_request r = { .addr = CODE, .len_bytes = sizeof(text), .prot = MAP_READ | MAP_EXEC, .fixed = true, .flags = VMA_MAYWRITE, .mapping = &file };
    uaddr_t got;
    CHECK_EQ(as_map(as, &r, &got), 0);
    return as;
}

static void end(struct addrspace *as)
{
    check_space(as);
    end_space(as);
    mapping_done(&file);
}

TEST(in_text_that_is_mapped_before_and_after)
{
    mm_test_init();
    struct addrspace *as = text_space(), *child;
    struct text_break b = { .mapping = &file, .offset = PLACE }, other = { .mapping = &file, .offset = PLACE + 2 };
    CHECK_EQ(text_break_look(&b), 0);
    CHECK_EQ(text_break_look(&other), 0);
    CHECK_EQ(b.len, 2);
    CHECK_EQ(mapped(as, CODE + PLACE), 0x89);
    text_break_set(&b);
    CHECK_EQ(mapped(as, CODE + PLACE), ARCH_BREAK);
    CHECK_EQ(mapped(as, CODE + PLACE + 2), 0x89);
    text_break_set(&other); /* in the copy that is there */
    CHECK_EQ(mapped(as, CODE + PLACE + 2), ARCH_BREAK);
    check_original(as);
    CHECK_EQ(addrspace_fork(as, &child), 0);
    CHECK_EQ(mapped(child, CODE + PLACE), ARCH_BREAK);
    text_break_clear(&b);
    CHECK_EQ(mapped(as, CODE + PLACE), 0x89);
    CHECK_EQ(mapped(child, CODE + PLACE), 0x89);
    CHECK_EQ(mapped(child, CODE + PLACE + 2), ARCH_BREAK);
    addrspace_put(child);
    CHECK_EQ(as_copy(as, CODE + PLACE, "\x90", 1, true), 1); /* a page that is written has none */
    CHECK_EQ(mapped(as, CODE + PLACE + 2), 0x89);
    text_break_clear(&other);
    CHECK_EQ(mapped(as, CODE + PLACE), 0x90);
    struct text_break bad = { .mapping = &file, .offset = SITE + 5 }, behind = { .mapping = &file, .offset = sizeof(text) };
    CHECK_EQ(text_break_look(&bad), -EOPNOTSUPP); /* the system call itself */
    CHECK_EQ(text_break_look(&behind), -ENXIO);
    end(as);
}

static void call(struct addrspace *as)
{
    struct trap_frame f = { .rip = CODE + SITE + 7, .rax = 39, .orig_rax = 39, .rflags = 0x202 };
    for (unsigned i = 0; i <= PLAT_SITE_CALLS; i++)
        callsite_trapped(as, &f);
}

TEST(beside_system_calls_that_are_jumps)
{
    mm_test_init();
    struct addrspace *as = text_space();
    struct text_break b = { .mapping = &file, .offset = PLACE }, on = { .mapping = &file, .offset = SITE };
    CHECK_EQ(text_break_look(&b), 0);
    CHECK_EQ(text_break_look(&on), 0);
    text_break_set(&b);
    mapped(as, CODE);
    call(as); /* in the page's copy that is there */
    CHECK_EQ(mapped(as, CODE + SITE), 0xe9);
    CHECK_EQ(mapped(as, CODE + PLACE), ARCH_BREAK);
    text_break_set(&on); /* what the jump has covered is back */
    CHECK_EQ(mapped(as, CODE + SITE), ARCH_BREAK);
    CHECK_EQ(mapped(as, CODE + SITE + 1), 0x27);
    CHECK_EQ(mapped(as, CODE + PLACE), ARCH_BREAK);
    call(as);
    CHECK_EQ(mapped(as, CODE + SITE), ARCH_BREAK);
    text_break_clear(&on);
    text_break_clear(&b);
    CHECK_EQ(mapped(as, CODE + SITE), 0xb8);
    check_original(as);
    end(as);
}
