/* SPDX-License-Identifier: Apache-2.0 */
/* Histograms as bpftrace draws them. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "host/bpf/show.h"

#define BAR 52

u32 hist_buckets(const struct type *t) { return t->kind == T_HIST ? 66 : (u32)((t->high - t->low + t->step - 1) / t->step) + 2; }

/* A number, or a round one with K, M, ... */
static void add_power(struct buf *out, u32 power)
{
    static const char units[] = " KMGTPE";
    buf_addf(out, "%" PRIu64, (u64)1 << power % 10);
    if (power >= 10)
        buf_add(out, &units[power / 10], 1);
}

static void add_number(struct buf *out, s64 n)
{
    if (n == 0 || n % 1024 != 0)
        buf_addf(out, "%" PRId64, n);
    else if (n % (1024 * 1024) == 0)
        buf_addf(out, "%" PRId64 "M", n / (1024 * 1024));
    else
        buf_addf(out, "%" PRId64 "K", n / 1024);
}

static void power_label(struct buf *out, u32 i)
{
    if (i == 0) {
        buf_addf(out, "(..., 0)");
    } else if (i <= 2) {
        buf_addf(out, "[%u]", i - 1);
    } else {
        buf_addf(out, "[");
        add_power(out, i - 2);
        buf_addf(out, ", ");
        add_power(out, i - 1);
        buf_addf(out, ")");
    }
}

static void linear_label(struct buf *out, const struct type *t, u32 i, u32 last)
{
    buf_addf(out, i == 0 ? "(..., " : "[");
    if (i > 0) {
        add_number(out, i == last ? t->high : t->low + (s64)(i - 1) * t->step);
        buf_addf(out, ", ");
    }
    if (i == last)
        buf_addf(out, "...");
    else
        add_number(out, MIN(t->high, t->low + (s64)i * t->step));
    buf_addf(out, ")");
}

void show_hist(struct buf *out, const struct type *t, const u64 *counts, u32 ncounts, u64 div)
{
    u32 first = ncounts, last = 0;
    u64 most = 0;
    for (u32 i = 0; i < ncounts; i++) {
        if (!counts[i])
            continue;
        first = MIN(first, i);
        last = i;
        most = MAX(most, counts[i]);
    }
    for (u32 i = first; i <= last && most; i++) {
        struct buf label = {0};
        char bar[BAR + 1] = "";
        if (t->kind == T_HIST)
            power_label(&label, i);
        else
            linear_label(&label, t, i, ncounts - 1);
        memset(bar, '@', (size_t)((double)counts[i] / (double)most * BAR));
        buf_addf(out, "%-16s%8" PRIu64 " |%-*s|\n", label.data, counts[i] / (div ? div : 1), BAR, bar);
        buf_done(&label);
    }
}
