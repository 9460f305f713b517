/* SPDX-License-Identifier: Apache-2.0 */
/* pause MIB SECONDS: how long this program stands still at most: it reads the clock all the time, with so much memory in use. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static long long now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000ll + t.tv_nsec;
}

int main(int argc, char **argv)
{
    size_t size = argc == 3 ? strtoul(argv[1], NULL, 10) << 20 : 0;
    char *memory = size ? malloc(size) : NULL;
    if (!memory)
        return 1;
    memset(memory, argc, size);
    puts("ready");
    fflush(stdout);
    long long last = now_ns(), end = last + atoll(argv[2]) * 1000000000ll, longest = 0;
    while (last < end) {
        long long t = now_ns();
        if (t - last > longest)
            longest = t - last;
        last = t;
    }
    printf("longest %lld ns of %d\n", longest, memory[size - 1]);
    return 0;
}
