/* SPDX-License-Identifier: Apache-2.0 */
/* spin [ROUNDS]: three quarters of its time in one function, a quarter in another, through a library (qsort): for profilers. */
#include <stdlib.h>
#include <unistd.h>

static volatile double sum;

__attribute__((noinline)) static void hot(int n)
{
    for (int i = 0; i < n; i++)
        sum += i * 0.5;
}

__attribute__((noinline)) static void cool(int n)
{
    for (int i = 0; i < n; i++)
        sum += i * 0.25;
}

static int compare(const void *a, const void *b)
{
    cool(20000);
    return *(const int *)a - *(const int *)b;
}

int main(int argc, char **argv)
{
    for (long left = argc > 1 ? atol(argv[1]) : -1; left != 0; left--) {
        int v[2] = {2, 1};
        hot(60000);
        qsort(v, 2, sizeof(v[0]), compare);
        getppid();
    }
}
