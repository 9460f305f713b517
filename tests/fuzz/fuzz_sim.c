/* SPDX-License-Identifier: Apache-2.0 */
/* See fuzz_sim.h. */
#include "fuzz_sim.h"

#include <stdio.h>
#include <stdlib.h>

void sim_test_failed(const char *file, int line, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    fprintf(stderr, "%s:%d: check failed: ", file, line);
    vfprintf(stderr, format, ap);
    fputc('\n', stderr);
    va_end(ap);
    abort();
}

void sim_test_skip(const char *why)
{
    fprintf(stderr, "cannot run: %s\n", why);
    abort();
}

struct call {
    void (*fn)(struct fuzz_in *in);
    struct fuzz_in in;
};

static void call(void *arg)
{
    struct call *c = arg;
    c->fn(&c->in);
}

void fuzz_run(void (*boot)(void *), void (*fn)(struct fuzz_in *in), const u8 *data, size_t size)
{
    static const struct sim_config config = { .seed = 0, .cpus = 1, .ram_bytes = 64 << 20 };
    static bool booted;
    sim_init_once(&config);
    if (!booted && boot != NULL)
        sim_run(boot, NULL);
    booted = true;
    struct call c = { fn, { data, data + size } };
    sim_run(call, &c);
}
