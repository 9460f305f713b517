/* SPDX-License-Identifier: Apache-2.0 */
/* An OpenMP dot product: the result, how many threads computed it, on how many CPUs, and how long it took. */
#define _GNU_SOURCE
#include <omp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

#define N 65536

static double a[N], b[N];
static unsigned char used[1024];

int main(int argc, char **argv)
{
    int rounds = argc > 1 ? atoi(argv[1]) : 300, cpus = 0;
    for (int i = 0; i < N; i++) {
        a[i] = i % 7;
        b[i] = i % 5;
    }
    double sum = 0, start = omp_get_wtime();
    for (int r = 0; r < rounds; r++) {
        double x = 0;
#pragma omp parallel reduction(+ : x)
        {
            used[sched_getcpu()] = 1;
#pragma omp for
            for (int i = 0; i < N; i++)
                x += a[i] * b[i];
        }
        sum += x;
    }
    double end = omp_get_wtime();
    for (int i = 0; i < 1024; i++)
        cpus += used[i];
    printf("sum %.0f threads %d cpus %d\n", sum, omp_get_max_threads(), cpus);
    fprintf(stderr, "%.3f s\n", end - start);
    return 0;
}
