/* SPDX-License-Identifier: Apache-2.0 */
/* Sets of numbers: range.h. The arithmetic of unknown bits is that of "Sound, Precise, and Fast Abstract Interpretation with Tristate
 * Numbers" (Vishwanathan et al., CGO 2022). */
#include "range.h"

#include "kern/bpf.h"

#define SIGN (1ull << 63)

struct range range_any(void) { return (struct range){ 0, UINT64_MAX, 0, UINT64_MAX, INT64_MIN, INT64_MAX }; }
struct range range_const(u64 v) { return (struct range){ v, 0, v, v, (s64)v, (s64)v }; }

struct range range_between(u64 min, u64 max)
{
    struct range r = range_any();
    r.umin = min;
    r.umax = max;
    range_sync(&r);
    return r;
}

bool range_covers(const struct range *a, const struct range *b)
{
    return (b->mask & ~a->mask) == 0 && ((a->value ^ b->value) & ~a->mask) == 0 && a->umin <= b->umin && a->umax >= b->umax &&
           a->smin <= b->smin && a->smax >= b->smax;
}

static void bounds_from_bits(struct range *r)
{
    r->umin = MAX(r->umin, r->value);
    r->umax = MIN(r->umax, r->value | r->mask);
    r->smin = MAX(r->smin, (s64)(r->value | (r->mask & SIGN)));
    r->smax = MIN(r->smax, (s64)(r->value | (r->mask & ~SIGN)));
}

static void bounds_from_bounds(struct range *r)
{
    if (((r->umin ^ r->umax) & SIGN) == 0) {
        r->smin = MAX(r->smin, (s64)r->umin);
        r->smax = MIN(r->smax, (s64)r->umax);
    }
    if ((((u64)r->smin ^ (u64)r->smax) & SIGN) == 0) {
        r->umin = MAX(r->umin, (u64)r->smin);
        r->umax = MIN(r->umax, (u64)r->smax);
    }
}

/* The bits above the highest one in which the bounds differ. False: others were known. */
static bool bits_from_bounds(struct range *r)
{
    u64 differ = r->umin ^ r->umax, unknown = differ == 0 ? 0 : UINT64_MAX >> __builtin_clzll(differ);
    if (((r->value ^ r->umin) & ~r->mask & ~unknown) != 0)
        return false;
    r->value = (r->value | (r->umin & ~unknown & r->mask)) & ~(r->mask & unknown);
    r->mask &= unknown;
    return true;
}

bool range_sync(struct range *r)
{
    for (unsigned round = 0; round < 2; round++) {
        bounds_from_bits(r);
        bounds_from_bounds(r);
        if (r->umin > r->umax || r->smin > r->smax || !bits_from_bounds(r))
            return false;
    }
    bounds_from_bits(r);
    return r->umin <= r->umax && r->smin <= r->smax;
}

struct range range_truncate(struct range r, unsigned bits)
{
    if (bits == 64)
        return r;
    u64 all = (1ull << bits) - 1;
    struct range t = range_any();
    t.value = r.value & all;
    t.mask = r.mask & all;
    bool whole = (r.umin & ~all) == (r.umax & ~all); /* the upper bits are the same for all */
    t.umin = whole ? r.umin & all : 0;
    t.umax = whole ? r.umax & all : all;
    range_sync(&t);
    return t;
}

/* --- arithmetic ------------------------------------------------------------------------------- */

static void set_bits(struct range *r, u64 value, u64 mask)
{
    r->value = value & ~mask;
    r->mask = mask;
}

static struct range add(const struct range *a, const struct range *b)
{
    struct range r = range_any();
    u64 most = a->mask + b->mask, least = a->value + b->value, carry = (most + least) ^ least;
    set_bits(&r, least, carry | a->mask | b->mask);
    if (a->umax + b->umax >= a->umax) {
        r.umin = a->umin + b->umin;
        r.umax = a->umax + b->umax;
    }
    if (__builtin_add_overflow(a->smin, b->smin, &r.smin) || __builtin_add_overflow(a->smax, b->smax, &r.smax)) {
        r.smin = INT64_MIN;
        r.smax = INT64_MAX;
    }
    return r;
}

static struct range subtract(const struct range *a, const struct range *b)
{
    struct range r = range_any();
    u64 d = a->value - b->value, borrow = (d + a->mask) ^ (d - b->mask);
    set_bits(&r, d, borrow | a->mask | b->mask);
    if (a->umin >= b->umax) {
        r.umin = a->umin - b->umax;
        r.umax = a->umax - b->umin;
    }
    if (__builtin_sub_overflow(a->smin, b->smax, &r.smin) || __builtin_sub_overflow(a->smax, b->smin, &r.smax)) {
        r.smin = INT64_MIN;
        r.smax = INT64_MAX;
    }
    return r;
}

static unsigned low_zeros(const struct range *a)
{
    u64 can_be_1 = a->value | a->mask;
    return can_be_1 == 0 ? 64 : (unsigned)__builtin_ctzll(can_be_1);
}

static struct range multiply(const struct range *a, const struct range *b)
{
    if (range_is_const(a) && range_is_const(b))
        return range_const(a->value * b->value);
    struct range r = range_any();
    unsigned zeros = low_zeros(a) + low_zeros(b);
    u64 most;
    set_bits(&r, 0, zeros >= 64 ? 0 : UINT64_MAX << zeros);
    if (!__builtin_mul_overflow(a->umax, b->umax, &most)) {
        r.umin = a->umin * b->umin;
        r.umax = most;
    }
    return r;
}

static struct range shift_left(const struct range *a, unsigned n)
{
    struct range r = range_any();
    set_bits(&r, a->value << n, a->mask << n);
    if (a->umax <= UINT64_MAX >> n) {
        r.umin = a->umin << n;
        r.umax = a->umax << n;
    }
    return r;
}

static struct range shift_right(const struct range *a, unsigned n)
{
    struct range r = range_any();
    set_bits(&r, a->value >> n, a->mask >> n);
    r.umin = a->umin >> n;
    r.umax = a->umax >> n;
    return r;
}

static struct range shift_signed(const struct range *a, unsigned n)
{
    struct range r = range_any();
    set_bits(&r, (u64)((s64)a->value >> n), (u64)((s64)a->mask >> n));
    r.smin = a->smin >> n;
    r.smax = a->smax >> n;
    return r;
}

static struct range shift(u8 op, bool wide, const struct range *a, const struct range *b)
{
    unsigned width = wide ? 64 : 32, n = (unsigned)b->value & (width - 1);
    struct range r = range_any();
    if (range_is_const(b) && op == BPF_LSH)
        return shift_left(a, n);
    if (range_is_const(b) && op == BPF_RSH)
        return shift_right(a, n);
    if (range_is_const(b) && (wide || a->umax <= INT32_MAX))
        return shift_signed(a, n);
    if (op == BPF_RSH)
        r.umax = a->umax;
    return r;
}

/* Division by 0 gives 0, its remainder is the dividend. */
static struct range divide(u8 op, const struct range *a, const struct range *b)
{
    struct range r = range_any();
    bool by_const = range_is_const(b) && b->value != 0;
    if (op == BPF_DIV) {
        r.umin = by_const ? a->umin / b->value : 0;
        r.umax = by_const ? a->umax / b->value : a->umax;
    } else if (by_const) {
        if (a->umax < b->value)
            return *a;
        r.umax = b->value - 1;
    } else {
        r.umax = a->umax;
    }
    return r;
}

static struct range bitwise(u8 op, const struct range *a, const struct range *b)
{
    struct range r = range_any();
    u64 may_a = a->value | a->mask, may_b = b->value | b->mask, v;
    switch (op) {
    case BPF_AND:
        v = a->value & b->value;
        set_bits(&r, v, (may_a & may_b) & ~v);
        r.umax = MIN(a->umax, b->umax);
        break;
    case BPF_OR:
        v = a->value | b->value;
        set_bits(&r, v, (may_a | may_b) & ~v);
        r.umin = MAX(a->umin, b->umin);
        break;
    default:
        set_bits(&r, a->value ^ b->value, a->mask | b->mask);
    }
    return r;
}

static struct range compute(u8 op, bool wide, const struct range *a, const struct range *b)
{
    switch (op) {
    case BPF_ADD: return add(a, b);
    case BPF_SUB: return subtract(a, b);
    case BPF_MUL: return multiply(a, b);
    case BPF_DIV:
    case BPF_MOD: return divide(op, a, b);
    case BPF_LSH:
    case BPF_RSH:
    case BPF_ARSH: return shift(op, wide, a, b);
    default: return bitwise(op, a, b);
    }
}

struct range range_op(u8 op, bool wide, struct range a, struct range b)
{
    if (!wide) {
        a = range_truncate(a, 32);
        b = range_truncate(b, 32);
    }
    struct range r = compute(op, wide, &a, &b);
    range_sync(&r);
    return wide ? r : range_truncate(r, 32);
}

/* --- conditions ---------------------------------------------------------------------------------- */

static bool intersect(struct range *a, struct range *b)
{
    if (((a->value ^ b->value) & ~a->mask & ~b->mask) != 0)
        return false;
    struct range r = { .value = a->value | b->value, .mask = a->mask & b->mask, .umin = MAX(a->umin, b->umin),
                       .umax = MIN(a->umax, b->umax), .smin = MAX(a->smin, b->smin), .smax = MIN(a->smax, b->smax) };
    *a = *b = r;
    return true;
}

static bool differ(struct range *a, struct range *b)
{
    if (range_is_const(a) && range_is_const(b))
        return a->value != b->value;
    if (range_is_const(a)) {
        struct range *swap = a;
        a = b;
        b = swap;
    }
    if (range_is_const(b)) { /* a's ends may be cut off; they are not its only numbers */
        a->umin += a->umin == b->value;
        a->umax -= a->umax == b->value;
        a->smin += a->smin == (s64)b->value;
        a->smax -= a->smax == (s64)b->value;
    }
    return true;
}

static bool less(struct range *a, struct range *b, bool or_equal)
{
    u64 gap = or_equal ? 0 : 1;
    if (a->umin > UINT64_MAX - gap || b->umax < gap)
        return false;
    b->umin = MAX(b->umin, a->umin + gap);
    a->umax = MIN(a->umax, b->umax - gap);
    return true;
}

static bool less_signed(struct range *a, struct range *b, bool or_equal)
{
    s64 gap = or_equal ? 0 : 1;
    if (a->smin > INT64_MAX - gap || b->smax < INT64_MIN + gap)
        return false;
    b->smin = MAX(b->smin, a->smin + gap);
    a->smax = MIN(a->smax, b->smax - gap);
    return true;
}

/* Some, or none, of the bits of b are set in a. It is not learnt which, or each flag that is tested would double the paths. */
static bool bits(const struct range *a, const struct range *b, bool some)
{
    if (!range_is_const(b))
        return true;
    return some ? ((a->value | a->mask) & b->value) != 0 : (a->value & b->value) == 0;
}

static bool condition(u8 op, bool taken, struct range *a, struct range *b)
{
    switch (op) {
    case BPF_JEQ: return taken ? intersect(a, b) : differ(a, b);
    case BPF_JNE: return taken ? differ(a, b) : intersect(a, b);
    case BPF_JGT: return taken ? less(b, a, false) : less(a, b, true);
    case BPF_JGE: return taken ? less(b, a, true) : less(a, b, false);
    case BPF_JLT: return taken ? less(a, b, false) : less(b, a, true);
    case BPF_JLE: return taken ? less(a, b, true) : less(b, a, false);
    case BPF_JSGT: return taken ? less_signed(b, a, false) : less_signed(a, b, true);
    case BPF_JSGE: return taken ? less_signed(b, a, true) : less_signed(a, b, false);
    case BPF_JSLT: return taken ? less_signed(a, b, false) : less_signed(b, a, true);
    case BPF_JSLE: return taken ? less_signed(a, b, true) : less_signed(b, a, false);
    default: return bits(a, b, taken);
    }
}

static bool is_signed(u8 op) { return op == BPF_JSGT || op == BPF_JSGE || op == BPF_JSLT || op == BPF_JSLE; }

bool range_branch(u8 op, bool wide, bool taken, struct range *a, struct range *b)
{
    u64 most = is_signed(op) ? INT32_MAX : UINT32_MAX;
    struct range low_a = range_truncate(*a, 32), low_b = range_truncate(*b, 32);
    if (wide || (a->umax <= most && b->umax <= most))
        return condition(op, taken, a, b) && range_sync(a) && range_sync(b);
    if (low_a.umax > most || low_b.umax > most) /* as signed numbers they are something else */
        return true;
    return condition(op, taken, &low_a, &low_b) && range_sync(&low_a) && range_sync(&low_b);
}
