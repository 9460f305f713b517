/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as config.json. The reader keeps its strings for the machine's life, so it is built here over
 * a heap that is emptied after each input. What it accepts must be complete and in bounds.
 */
#include <stdlib.h>
#include <string.h>

#define kmalloc fuzz_kmalloc
#define krealloc fuzz_krealloc
#define kfree fuzz_kfree
#include "kernel/init/config.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(x)      \
    do {             \
        if (!(x))    \
            abort(); \
    } while (0)

static void *blocks[4096];
static unsigned nblocks;

void *kmalloc(size_t size, unsigned flags)
{
    if (nblocks == ARRAY_SIZE(blocks))
        return NULL;
    return blocks[nblocks++] = malloc(size);
}

void kfree(void *p)
{
    for (unsigned i = 0; i < nblocks && p != NULL; i++) {
        if (blocks[i] == p) {
            free(p);
            blocks[i] = blocks[--nblocks];
            return;
        }
    }
    MUST(p == NULL);
}

void *krealloc(void *p, size_t old_size, size_t size)
{
    void *q = kmalloc(size, 0);
    if (q == NULL)
        return NULL;
    memcpy(q, p, old_size < size ? old_size : size);
    kfree(p);
    return q;
}

/* Every string must end inside memory that ASan knows. */
static size_t touch(char *const *v)
{
    size_t n = 0;
    for (; *v != NULL; v++)
        n += strlen(*v) + 1;
    return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct boot_config c;
    char why[160];
    char *text = malloc(size + 1); /* no byte behind the text belongs to it */
    memcpy(text, data, size);
    text = realloc(text, size > 0 ? size : 1);
    int err = config_parse(text, size, &c, why, sizeof(why));
    free(text);
    MUST(err == 0 || err == -EINVAL || err == -ENOMEM);
    MUST(memchr(why, '\0', sizeof(why)) != NULL && (err != -EINVAL || why[0] != '\0'));
    if (err == 0) {
        const struct program_spec *p = &c.program;
        MUST(p->argv[0] != NULL && touch(p->argv) + touch(p->envp) <= 2 * size + 2);
        MUST(p->cwd[0] == '/' && strlen(p->hostname) <= 64);
        MUST(p->ngroups <= CRED_MAX_GROUPS && p->nrlimits <= ARRAY_SIZE(p->rlimits) && c.nmounts <= CONFIG_MAX_MOUNTS);
        for (unsigned i = 0; i < p->nrlimits; i++)
            MUST(p->rlimits[i].soft <= p->rlimits[i].hard && p->rlimits[i].resource < 16);
        for (unsigned i = 0; i < c.nmounts; i++)
            MUST(c.mounts[i].destination[0] == '/' && strlen(c.mounts[i].type) + strlen(c.mounts[i].source) <= 2 * size + 4);
        MUST(memchr(c.net.domain, '\0', sizeof(c.net.domain)) != NULL);
    }
    while (nblocks > 0)
        free(blocks[--nblocks]);
    return 0;
}
