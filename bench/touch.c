/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Nanoseconds to touch 64 MiB of fresh anonymous memory, a byte in each page. `touch nohuge`: with huge pages off
 * (prctl(2), PR_SET_THP_DISABLE). Line: "touch nanoseconds".
 */
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <time.h>

static uint64_t now(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

int main(int argc, char **argv)
{
    size_t len = 64 << 20;
    if (argc > 1 && strcmp(argv[1], "nohuge") == 0 && prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0) != 0)
        return 1;
    char *p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
        return 1;
    uint64_t start = now();
    for (size_t i = 0; i < len; i += 4096)
        p[i] = 1;
    printf("touch %llu\n", (unsigned long long)(now() - start));
    return 0;
}
