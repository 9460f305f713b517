/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of kernel addresses for reports and profiles. scripts/gen_symbols.py packs the linker's symbol table:
 *
 *   struct symbols_header, then one u32 offset into the data for every 2^step_shift-th symbol, then its address
 *   (from text_start) in a table of the same size, then the tokens (for each of the 256 codes the two codes that it
 *   stands for; a code whose first one is itself is a character), then for each symbol in order of address
 *
 *       distance from the one before (LEB128; the first of a group: 0), codes up to the one that ends with a 0 byte
 *
 * The tokens are byte pairs found by frequency, over all codes that no name has as a character, so that names with
 * their end bytes take less than half their length.
 * Our own build made this data: it is not checked, but every walk is bounded by it.
 */
#include "base/fmt.h"
#include "base/str.h"
#include "kern/log.h"

struct symbols_header {
    u32 count, step_shift, text_size;
};

/* Absent in the first link pass, from which the table is made, and on platforms without one. */
extern const u8 symtab_packed[] __attribute__((weak));
extern const u8 text_start[] __attribute__((weak));

/* Append what one code stands for; tokens nest less deep than the stack. False after the end byte. */
static bool expand(const u8 *tokens, u8 code, char *buf, size_t *n, size_t size)
{
    u8 stack[32];
    unsigned depth = 0;
    stack[depth++] = code;
    while (depth > 0) {
        u8 c = stack[--depth];
        if (tokens[2 * c] != c && depth + 2 <= sizeof stack) {
            stack[depth++] = tokens[2 * c + 1];
            stack[depth++] = tokens[2 * c];
        } else if (c == 0) {
            return false;
        } else if (*n + 1 < size) {
            buf[(*n)++] = (char)c;
        }
    }
    return true;
}

static u32 read_leb(const u8 **p)
{
    u32 v = 0;
    for (unsigned shift = 0; shift < 32; shift += 7) {
        u8 b = *(*p)++;
        v |= (u32)(b & 0x7f) << shift;
        if (!(b & 0x80))
            break;
    }
    return v;
}

const char *symbol_name(u64 addr, char *buf, size_t size)
{
    const struct symbols_header *h = (const void *)symtab_packed;
    u64 offset = addr - (u64)text_start;
    if (symtab_packed == NULL || h->count == 0 || offset >= h->text_size) {
        fmt_snprintf(buf, size, "%#llx", (unsigned long long)addr);
        return buf;
    }
    u32 groups = ((h->count - 1) >> h->step_shift) + 1;
    const u32 *offsets = (const u32 *)(h + 1), *addresses = offsets + groups;
    const u8 *tokens = (const u8 *)(addresses + groups);
    const u8 *data = tokens + 2 * 256;
    u32 g = 0;
    for (u32 low = 0, high = groups; low < high;) {
        u32 mid = (low + high) / 2;
        if (addresses[mid] <= offset) {
            g = mid;
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    u32 at = addresses[g], left = MIN(1u << h->step_shift, h->count - (g << h->step_shift));
    const u8 *p = data + offsets[g], *name = NULL;
    for (u32 found = at; left > 0; left--) {
        u32 next = found + read_leb(&p);
        if (next > offset)
            break;
        found = at = next;
        name = p;
        size_t none = 0;
        while (expand(tokens, *p++, NULL, &none, 0))
            ;
    }
    size_t n = 0;
    while (name != NULL && expand(tokens, *name++, buf, &n, size))
        ;
    fmt_snprintf(buf + n, size - n, "+%#x", (unsigned)(offset - at));
    return buf;
}

void print_backtrace(const struct trap_frame *frame)
{
    u64 pcs[24];
    unsigned n = arch_backtrace(frame, pcs, ARRAY_SIZE(pcs));
    char name[80];
    for (unsigned i = 0; i < n; i++) /* a return address belongs to the instruction before it */
        log_text("  #%u %016llx %s\n", i, (unsigned long long)pcs[i],
                 symbol_name(pcs[i] - (i > 0 || frame == NULL), name, sizeof name));
}
