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
#include "kern/kprobe.h"
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

/* The parts of the table. */
struct symbols {
    u32 count, groups, step, text_size;
    const u32 *offsets, *addresses;
    const u8 *tokens, *data;
};

static bool open_symbols(struct symbols *s)
{
    const struct symbols_header *h = (const void *)symtab_packed;
    if (symtab_packed == NULL || h->count == 0)
        return false;
    *s = (struct symbols){ .count = h->count, .step = 1u << h->step_shift, .text_size = h->text_size, .groups = ((h->count - 1) >> h->step_shift) + 1, .offsets = (const u32 *)(h + 1) };
    s->addresses = s->offsets + s->groups;
    s->tokens = (const u8 *)(s->addresses + s->groups);
    s->data = s->tokens + 2 * 256;
    return true;
}

static u32 in_group(const struct symbols *s, u32 g) { return MIN(s->step, s->count - g * s->step); }

static const u8 *skip_name(const struct symbols *s, const u8 *p)
{
    size_t none = 0;
    while (expand(s->tokens, *p++, NULL, &none, 0))
        ;
    return p;
}

/* The last symbol at or below offset: its own, and its name or NULL. */
static const u8 *look_up(const struct symbols *s, u64 offset, u32 *ret_at)
{
    u32 g = 0;
    for (u32 low = 0, high = s->groups; low < high;) {
        u32 mid = (low + high) / 2;
        if (s->addresses[mid] <= offset) {
            g = mid;
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    const u8 *p = s->data + s->offsets[g], *name = NULL;
    u32 at = s->addresses[g];
    for (u32 left = in_group(s, g), found = at; left > 0; left--) {
        u32 next = found + read_leb(&p);
        if (next > offset)
            break;
        found = at = next;
        name = p;
        p = skip_name(s, p);
    }
    *ret_at = at;
    return name;
}

const char *symbol_name(u64 addr, char *buf, size_t size)
{
    struct symbols s;
    u64 offset = addr - (u64)text_start;
    u32 at;
    if (!open_symbols(&s) || offset >= s.text_size) {
        fmt_snprintf(buf, size, "%#llx", (unsigned long long)addr);
        return buf;
    }
    const u8 *name = look_up(&s, offset, &at);
    size_t n = 0;
    while (name != NULL && expand(s.tokens, *name++, buf, &n, size))
        ;
    fmt_snprintf(buf + n, size - n, "+%#x", (unsigned)(offset - at));
    return buf;
}

u64 symbol_start(u64 addr)
{
    struct symbols s;
    u64 offset = addr - (u64)text_start;
    u32 at;
    return open_symbols(&s) && offset < s.text_size && look_up(&s, offset, &at) != NULL ? (u64)text_start + at : 0;
}

u64 symbol_find(const char *name)
{
    struct symbols s;
    char text[80];
    if (!open_symbols(&s))
        return 0;
    for (u32 g = 0; g < s.groups; g++) {
        const u8 *p = s.data + s.offsets[g];
        u32 at = s.addresses[g];
        for (u32 left = in_group(&s, g); left > 0; left--) {
            size_t n = 0;
            at += read_leb(&p);
            while (expand(s.tokens, *p++, text, &n, sizeof(text)))
                ;
            text[n] = '\0';
            if (strcmp(text, name) == 0)
                return (u64)text_start + at;
        }
    }
    return 0;
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
