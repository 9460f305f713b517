/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Call sites and thunks as bytes; mm/callsite.c has the whole picture.
 *
 *   kind A   mov $nr,%eax; syscall    the mov becomes the jump, the syscall stays
 *   kind B   syscall; INSTRUCTION     both give way; the thunk executes a copy of INSTRUCTION,
 *                                     which is 3 bytes or longer and does the same anywhere
 *
 *   thunk of A   mov $nr,%eax                       thunk of B   lea again(%rip),%rcx
 *                lea back(%rip),%rcx                             lea back(%rip),%r11
 *                mov %rcx,%r11                                   jmp *gate(%rip)
 *                jmp *gate(%rip)                          again: INSTRUCTION
 *                                                                jmp behind INSTRUCTION
 *
 * Flags, stack and all registers but rcx and r11, which `syscall` changes as well, are the program's.
 *
 * In B a jump to INSTRUCTION's old place must not run what lies there now, the second half of a jump. So
 * the thunk is put where that half begins with an opcode that no 64-bit program may execute.
 */
#include "arch/insn.h"
#include "base/bytes.h"
#include "base/str.h"
#include "kern/arch.h"

#define SYSCALL_BYTES 2u
#define MOV_BYTES 5u
#define JUMP_BYTES ARCH_CALL_SITE_BYTES
#define KEPT_MIN (JUMP_BYTES - SYSCALL_BYTES)
#define B_AGAIN 20u
_Static_assert(B_AGAIN + INSN_MAX + JUMP_BYTES <= ARCH_THUNK_BYTES, "the longest thunk");

#define LOOK_BACK 64u /* instructions begin to be found so far in front of a mov ... */
#define SYNC_BYTES 16u /* ... and after so many bytes all ways to read them agree */
#define SYNC_WAYS 8u

/* 32-bit displacement from the end of an instruction at `next`; the caller knows that it fits. */
static void put_rel(u8 *p, uaddr_t next, uaddr_t target) { put_u32(p, (u32)(target - next)); }

static u8 *put_jump(u8 *p, uaddr_t at, uaddr_t target)
{
    p[0] = 0xe9;
    put_rel(p + 1, at + JUMP_BYTES, target);
    return p + JUMP_BYTES;
}

/*
 * Does an instruction begin at page[at]? Nobody can read backwards, but reading forward from a wrong place meets
 * the right sequence after a few instructions. So from every place some way in front: all that do not
 * run into an invalid opcode must come to `at`.
 */
static bool begins_instruction(const u8 *page, unsigned at)
{
    enum { INVALID, MEETS, PASSES } way[LOOK_BACK];
    unsigned n = MIN(at, LOOK_BACK), meet = 0;
    for (unsigned back = 1; back <= n; back++) {
        struct insn in;
        unsigned len = insn_decode(page + at - back, PAGE_SIZE - at + back, &in);
        way[back - 1] = len == 0 ? INVALID : len == back ? MEETS : len > back ? PASSES : way[back - len - 1];
        if (back < SYNC_BYTES)
            continue;
        if (way[back - 1] == PASSES)
            return false;
        meet += way[back - 1] == MEETS;
    }
    return meet >= SYNC_WAYS;
}

bool arch_call_site(const u8 *page, unsigned end, u64 nr, struct call_site *ret)
{
    struct insn in;
    if (end < SYSCALL_BYTES || get_u16(page + end - SYSCALL_BYTES) != 0x050f)
        return false;
    unsigned mov = end - SYSCALL_BYTES - MOV_BYTES;
    if (end >= SYSCALL_BYTES + MOV_BYTES && page[mov] == 0xb8 && get_u32(page + mov + 1) == nr && begins_instruction(page, mov)) {
        *ret = (struct call_site){ .start = mov, .back = end, .nr = (u32)nr };
        return true;
    }
    unsigned kept = insn_decode(page + end, PAGE_SIZE - end, &in);
    if (kept < KEPT_MIN || !insn_movable(&in))
        return false;
    *ret = (struct call_site){ .start = end - SYSCALL_BYTES, .back = end, .kept = (u8)kept };
    return true;
}

static bool invalid_opcode(u8 b)
{
    static const u8 opcodes[] = { 0x06, 0x07, 0x0e, 0x16, 0x17, 0x1e, 0x1f, 0x27, 0x2f, 0x37,
                                  0x3f, 0x60, 0x61, 0x9a, 0xce, 0xd4, 0xd5, 0xd6, 0xea };
    for (unsigned i = 0; i < ARRAY_SIZE(opcodes); i++)
        if (opcodes[i] == b)
            return true;
    return false;
}

bool arch_thunk_fits(const struct call_site *s, uaddr_t thunk)
{
    s64 rel = (s64)(thunk - (s->start + JUMP_BYTES));
    if (rel > ARCH_THUNK_REACH || rel < -ARCH_THUNK_REACH)
        return false;
    return s->kept == 0 || invalid_opcode((u8)(rel >> 8));
}

bool arch_thunk_write(u8 *code, uaddr_t thunk, uaddr_t gate_slot, const struct call_site *s, const u8 *original)
{
    u8 *p = code;
    if (s->nr == CALL_SITE_PROBE)
        return arch_probe_thunk(code, thunk, s->start, original);
#define AT(p) (thunk + (u64)((p) - code))
    if (s->kept == 0) {
        *p = 0xb8;
        put_u32(p + 1, s->nr);
        p += MOV_BYTES;
        memcpy(p, "\x48\x8d\x0d", 3);
        put_rel(p + 3, AT(p + 7), s->back);
        memcpy(p + 7, "\x49\x89\xcb", 3);
        p += 10;
    } else {
        memcpy(p, "\x48\x8d\x0d", 3);
        put_rel(p + 3, AT(p + 7), thunk + B_AGAIN);
        memcpy(p + 7, "\x4c\x8d\x1d", 3);
        put_rel(p + 10, AT(p + 14), s->back);
        p += 14;
    }
    memcpy(p, "\xff\x25", 2);
    put_rel(p + 2, AT(p + 6), gate_slot);
    p += 6;
    if (s->kept != 0) {
        memcpy(p, original + SYSCALL_BYTES, s->kept);
        p += s->kept;
        put_jump(p, AT(p), s->back + s->kept);
    }
    return true;
#undef AT
}

void arch_call_site_patch(u8 *code, const struct call_site *s, uaddr_t thunk) { put_jump(code, s->start, thunk); }

uaddr_t arch_thunk_again(const struct call_site *s, uaddr_t thunk) { return s->kept != 0 ? thunk + B_AGAIN : s->back; }

uaddr_t arch_thunk_original(const struct call_site *s, uaddr_t thunk, uaddr_t pc)
{
    if (s->nr == CALL_SITE_PROBE)
        return pc == thunk ? s->start : s->back;
    if (s->kept == 0 || pc < thunk + B_AGAIN)
        return s->start;
    return pc == thunk + B_AGAIN ? s->back : s->back + s->kept;
}
