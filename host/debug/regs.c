/* SPDX-License-Identifier: Apache-2.0 */
/* Registers of x86-64: see regs.h. The XSAVE area: Intel SDM volume 1, chapters 10.5 and 13.4. */
#include "host/debug/regs.h"

#include <stdio.h>
#include <string.h>

#define COMPONENTS_AT 512u /* XSTATE_BV */
#define MXCSR_RESET 0x1f80u
#define FCW_RESET 0x37fu

enum { CORE, SSE, LINUX, SEGMENTS, AVX, AVX512, FEATURES };
enum kind {
    GENERAL,  /* at offset of the general set; the low bytes of a word */
    X87,      /* of the area's legacy part, component 0: gdb's words are longer than the fields */
    X87_TAG,  /* two bits for each register, made of one */
    VECTOR,   /* component 1 */
    MXCSR,
    EXTENDED, /* of a component from 2 on */
};

/* --- the layout ------------------------------------------------------------------------------------ */

static void add(struct regs_layout *l, u8 feature, const char *name, unsigned bytes, enum kind kind, unsigned component, unsigned offset,
                const char *type, const char *group)
{
    struct reg *r = &l->regs[l->count++];
    memcpy(r->name, name, strlen(name) + 1);
    r->bits_8 = (u8)bytes;
    r->kind = (u8)kind;
    r->component = (u8)component;
    r->offset = (u16)offset;
    r->type = type;
    r->group = group;
    r->feature = feature;
}

/* name0, name1 ... */
static void add_row(struct regs_layout *l, u8 feature, const char *format, unsigned first, unsigned n, unsigned bytes, enum kind kind,
                    unsigned component, unsigned offset, unsigned stride, const char *type)
{
    for (unsigned i = 0; i < n; i++) {
        char name[12];
        snprintf(name, sizeof(name), format, first + i);
        add(l, feature, name, bytes, kind, component, offset + i * stride, type, NULL);
    }
}

static void add_core(struct regs_layout *l)
{
    /* gdb's order; the offsets are those of struct user_regs_struct. */
    static const struct {
        char name[8];
        u8 word, bytes;
        const char *type;
    } general[] = {{"rax", 10, 8, "int64"}, {"rbx", 5, 8, "int64"}, {"rcx", 11, 8, "int64"}, {"rdx", 12, 8, "int64"}, {"rsi", 13, 8, "int64"},
                   {"rdi", 14, 8, "int64"}, {"rbp", 4, 8, "data_ptr"}, {"rsp", 19, 8, "data_ptr"}, {"r8", 9, 8, "int64"},
                   {"r9", 8, 8, "int64"}, {"r10", 7, 8, "int64"}, {"r11", 6, 8, "int64"}, {"r12", 3, 8, "int64"}, {"r13", 2, 8, "int64"},
                   {"r14", 1, 8, "int64"}, {"r15", 0, 8, "int64"}, {"rip", 16, 8, "code_ptr"}, {"eflags", 18, 4, "i386_eflags"},
                   {"cs", 17, 4, "int32"}, {"ss", 20, 4, "int32"}, {"ds", 23, 4, "int32"}, {"es", 24, 4, "int32"}, {"fs", 25, 4, "int32"},
                   {"gs", 26, 4, "int32"}};
    static const struct {
        char name[8];
        u8 offset;
        enum kind kind;
    } x87[] = {{"fctrl", 0, X87}, {"fstat", 2, X87}, {"ftag", 4, X87_TAG}, {"fiseg", 12, X87}, {"fioff", 8, X87}, {"foseg", 20, X87},
               {"fooff", 16, X87}, {"fop", 6, X87}};
    for (size_t i = 0; i < ARRAY_SIZE(general); i++)
        add(l, CORE, general[i].name, general[i].bytes, GENERAL, 0, general[i].word * 8u, general[i].type, NULL);
    add_row(l, CORE, "st%u", 0, 8, 10, X87, 0, 32, 16, "i387_ext");
    for (size_t i = 0; i < ARRAY_SIZE(x87); i++)
        add(l, CORE, x87[i].name, 4, x87[i].kind, 0, x87[i].offset, "int", "float");
}

static bool component_fits(const struct dbg_hello *h, unsigned i, unsigned size)
{
    return !(h->components >> i & 1) || (h->offsets[i] >= 576 && h->offsets[i] <= h->state_size && size <= h->state_size - h->offsets[i]);
}

bool regs_layout(const struct dbg_hello *h, struct regs_layout *l)
{
    bool avx = h->state_size != 0 && (h->components & 4), avx512 = avx && (h->components & 0xe0) == 0xe0;
    l->count = 0;
    if ((h->state_size != 0 && h->state_size < 576) || h->state_size > DBG_DATA_MAX)
        return false;
    if (avx && !component_fits(h, 2, 256))
        return false;
    if (avx512 && (!component_fits(h, 5, 64) || !component_fits(h, 6, 512) || !component_fits(h, 7, 1024)))
        return false;
    add_core(l);
    add_row(l, SSE, "xmm%u", 0, 16, 16, VECTOR, 1, 160, 16, "vec128");
    add(l, SSE, "mxcsr", 4, MXCSR, 1, 24, "i386_mxcsr", "vector");
    add(l, LINUX, "orig_rax", 8, GENERAL, 0, 15 * 8, "int", NULL);
    add(l, SEGMENTS, "fs_base", 8, GENERAL, 0, REGS_FS_BASE_AT, "int", NULL);
    add(l, SEGMENTS, "gs_base", 8, GENERAL, 0, 22 * 8, "int", NULL);
    if (avx)
        add_row(l, AVX, "ymm%uh", 0, 16, 16, EXTENDED, 2, h->offsets[2], 16, "uint128");
    if (avx512) {
        add_row(l, AVX512, "k%u", 0, 8, 8, EXTENDED, 5, h->offsets[5], 8, "uint64");
        add_row(l, AVX512, "zmm%uh", 0, 16, 32, EXTENDED, 6, h->offsets[6], 32, "v2ui128");
        add_row(l, AVX512, "xmm%u", 16, 16, 16, EXTENDED, 7, h->offsets[7], 64, "vec128");
        add_row(l, AVX512, "ymm%uh", 16, 16, 16, EXTENDED, 7, h->offsets[7] + 16, 64, "uint128");
        add_row(l, AVX512, "zmm%uh", 16, 16, 32, EXTENDED, 7, h->offsets[7] + 32, 64, "v2ui128");
    }
    return true;
}

/* --- its description --------------------------------------------------------------------------------------- */

static void add_flags(struct buf *b, const char *id, const char *const *names, size_t count)
{
    buf_addf(b, "<flags id=\"%s\" size=\"4\">", id);
    for (size_t i = 0; i < count; i++)
        if (names[i])
            buf_addf(b, "<field name=\"%s\" start=\"%zu\" end=\"%zu\"/>", names[i], i, i);
    buf_addf(b, "</flags>");
}

static void add_types(struct buf *b, unsigned feature)
{
    static const char *const eflags[] = {"CF", "", "PF", NULL, "AF", NULL, "ZF", "SF", "TF", "IF", "DF", "OF", NULL, NULL, "NT", NULL,
                                         "RF", "VM", "AC", "VIF", "VIP", "ID"};
    static const char *const mxcsr[] = {"IE", "DE", "ZE", "OE", "UE", "PE", "DAZ", "IM", "DM", "ZM", "OM", "UM", "PM", NULL, NULL, "FZ"};
    static const char vec128[] =
        "<vector id=\"v4f\" type=\"ieee_single\" count=\"4\"/><vector id=\"v2d\" type=\"ieee_double\" count=\"2\"/>"
        "<vector id=\"v16i8\" type=\"int8\" count=\"16\"/><vector id=\"v8i16\" type=\"int16\" count=\"8\"/>"
        "<vector id=\"v4i32\" type=\"int32\" count=\"4\"/><vector id=\"v2i64\" type=\"int64\" count=\"2\"/>"
        "<union id=\"vec128\"><field name=\"v4_float\" type=\"v4f\"/><field name=\"v2_double\" type=\"v2d\"/>"
        "<field name=\"v16_int8\" type=\"v16i8\"/><field name=\"v8_int16\" type=\"v8i16\"/>"
        "<field name=\"v4_int32\" type=\"v4i32\"/><field name=\"v2_int64\" type=\"v2i64\"/>"
        "<field name=\"uint128\" type=\"uint128\"/></union>";
    if (feature == CORE)
        add_flags(b, "i386_eflags", eflags, ARRAY_SIZE(eflags));
    if (feature == SSE || feature == AVX512)
        buf_addf(b, "%s", vec128);
    if (feature == SSE)
        add_flags(b, "i386_mxcsr", mxcsr, ARRAY_SIZE(mxcsr));
    if (feature == AVX512)
        buf_addf(b, "<vector id=\"v2ui128\" type=\"uint128\" count=\"2\"/>");
}

void regs_describe(const struct regs_layout *l, struct buf *b)
{
    static const char *const names[FEATURES] = {"core", "sse", "linux", "segments", "avx", "avx512"};
    buf_addf(b, "<?xml version=\"1.0\"?><!DOCTYPE target SYSTEM \"gdb-target.dtd\"><target>"
                "<architecture>i386:x86-64</architecture><osabi>GNU/Linux</osabi>");
    for (unsigned i = 0; i < l->count; i++) {
        const struct reg *r = &l->regs[i];
        if (i == 0 || r->feature != r[-1].feature) {
            buf_addf(b, "%s<feature name=\"org.gnu.gdb.i386.%s\">", i == 0 ? "" : "</feature>", names[r->feature]);
            add_types(b, r->feature);
        }
        buf_addf(b, "<reg name=\"%s\" bitsize=\"%u\" type=\"%s\" regnum=\"%u\"", r->name, r->bits_8 * 8u, r->type, i);
        if (r->group)
            buf_addf(b, " group=\"%s\"", r->group);
        buf_addf(b, "/>");
    }
    buf_addf(b, "</feature></target>");
}

/* --- values -------------------------------------------------------------------------------------------------- */

static u16 word_at(const u8 *p) { return (u16)(p[0] | p[1] << 8); }

/* Two bits for each register, by its number, not by its place in the stack: 0 a number, 1 zero, 2 special, 3 empty. */
static u32 full_tag(const u8 *area)
{
    u32 tag = 0, top = word_at(area + 2) >> 11 & 7;
    for (unsigned i = 0; i < 8; i++) {
        const u8 *st = area + 32 + 16 * ((i - top) & 7);
        u16 exponent = word_at(st + 8) & 0x7fff;
        u64 mantissa;
        memcpy(&mantissa, st, 8);
        u32 t = exponent == 0x7fff ? 2 : exponent == 0 ? (mantissa ? 2 : 1) : mantissa >> 63 ? 0 : 2;
        tag |= (area[4] >> i & 1 ? t : 3) << 2 * i;
    }
    return tag;
}

static u8 short_tag(u32 full)
{
    u8 tag = 0;
    for (unsigned i = 0; i < 8; i++)
        tag |= (u8)(((full >> 2 * i & 3) != 3) << i);
    return tag;
}

/* Bytes of the field in the area. */
static unsigned x87_bytes(const struct reg *r)
{
    return r->bits_8 == 10 ? 10 : r->offset == 8 || r->offset == 16 ? 4 : 2;
}

static bool in_use(const struct regs *r, unsigned component) { return r->state[COMPONENTS_AT] >> component & 1; }

/* A component that is not in use has its first values, whatever the area holds. */
static void use(struct regs *r, unsigned component)
{
    u32 mxcsr = MXCSR_RESET;
    u16 fcw = FCW_RESET;
    if (in_use(r, component))
        return;
    r->state[COMPONENTS_AT] |= (u8)(1u << component);
    if (component == 0) {
        memset(r->state, 0, 24);
        memset(r->state + 32, 0, 128);
        memcpy(r->state, &fcw, 2);
    } else if (component == 1) {
        memset(r->state + 160, 0, 256);
        if (!in_use(r, 2))
            memcpy(r->state + 24, &mxcsr, 4);
    }
}

void regs_get(const struct regs_layout *l, unsigned n, const struct regs *r, u8 *ret)
{
    const struct reg *g = &l->regs[n];
    u32 value = 0;
    memset(ret, 0, g->bits_8);
    switch (g->kind) {
    case GENERAL:
        memcpy(ret, r->general + g->offset, g->bits_8);
        break;
    case X87:
        value = FCW_RESET;
        if (in_use(r, 0))
            memcpy(ret, r->state + g->offset, x87_bytes(g));
        else if (g->offset == 0)
            memcpy(ret, &value, 2);
        break;
    case X87_TAG:
        value = in_use(r, 0) ? full_tag(r->state) : 0xffff;
        memcpy(ret, &value, 4);
        break;
    case MXCSR:
        value = MXCSR_RESET;
        memcpy(ret, in_use(r, 1) || in_use(r, 2) ? r->state + g->offset : (u8 *)&value, 4);
        break;
    default:
        if (in_use(r, g->component))
            memcpy(ret, r->state + g->offset, g->bits_8);
    }
}

bool regs_set(const struct regs_layout *l, unsigned n, struct regs *r, const u8 *bytes)
{
    const struct reg *g = &l->regs[n];
    u32 value;
    if (g->kind == GENERAL) {
        memcpy(r->general + g->offset, bytes, g->bits_8);
        return true;
    }
    use(r, g->component);
    if (g->kind == X87_TAG) {
        memcpy(&value, bytes, 4);
        r->state[g->offset] = short_tag(value);
    } else {
        memcpy(r->state + g->offset, bytes, g->kind == X87 ? x87_bytes(g) : g->bits_8);
    }
    return false;
}
