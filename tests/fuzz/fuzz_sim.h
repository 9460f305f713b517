/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For fuzz targets that need a running kernel: the test platform with one CPU and no chance at all, and the
 * failures of sim/test.h as crashes that libFuzzer keeps.
 *
 * The machine boots once and lives on between inputs: a target leaves nothing behind and checks that.
 * What remains (the clock, the kernel's random numbers) a target must not let decide what an input does.
 */
#ifndef FUZZ_SIM_H
#define FUZZ_SIM_H

#include "sim/test.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The input, eaten from the front; behind its end there are zeros. */
struct fuzz_in {
    const u8 *p, *end;
};

static UNUSED u8 fuzz_u8(struct fuzz_in *in) { return in->p < in->end ? *in->p++ : 0; }

static UNUSED u16 fuzz_u16(struct fuzz_in *in)
{
    u16 low = fuzz_u8(in);
    return (u16)(low | fuzz_u8(in) << 8);
}

/* Up to n bytes as they lie there. */
static UNUSED const u8 *fuzz_bytes(struct fuzz_in *in, size_t n, size_t *ret_len)
{
    const u8 *p = in->p;
    *ret_len = MIN(n, (size_t)(in->end - in->p));
    in->p += *ret_len;
    return p;
}

/* Boot, at the first call, and run fn(in) as a kernel thread. `boot` runs once, as a thread, too; may be NULL. */
void fuzz_run(void (*boot)(void *), void (*fn)(struct fuzz_in *in), const u8 *data, size_t size);

#endif
