/* SPDX-License-Identifier: Apache-2.0 */
/* Ends in the way its argument names: for exit statuses and crash reports. */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

__attribute__((noinline)) static void write_to_nowhere(void) { *(volatile int *)16 = 1; }

static void *wait_for_ever(void *arg)
{
    for (;;)
        pause();
    return arg;
}

static void *exit_from_thread(void *arg)
{
    exit(7);
}

int main(int argc, char **argv)
{
    const char *how = argc > 1 ? argv[1] : "";
    if (strcmp(how, "segv") == 0)
        write_to_nowhere();
    if (strcmp(how, "wait-threads") == 0) {
        pthread_t t;
        for (int i = 0; i < 3; i++)
            pthread_create(&t, NULL, wait_for_ever, NULL);
        puts("waiting");
        fflush(stdout);
        pause();
    }
    if (strcmp(how, "thread-segv") == 0) {
        pthread_t t;
        pthread_create(&t, NULL, wait_for_ever, NULL);
        usleep(100000);
        write_to_nowhere();
    }
    if (strcmp(how, "abort") == 0)
        abort();
    if (strcmp(how, "term") == 0)
        kill(getpid(), SIGTERM);
    if (strcmp(how, "ill") == 0)
        __asm__ volatile("ud2");
    if (strcmp(how, "thread") == 0) {
        pthread_t t;
        pthread_create(&t, NULL, exit_from_thread, NULL);
        pause();
    }
    if (strcmp(how, "memory") == 0) { /* until there is none left */
        for (size_t n = 0;; n++) {
            char *p = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
            if (p == MAP_FAILED) {
                printf("mmap failed\n");
                return 9;
            }
            memset(p, (int)n, 1 << 20);
        }
    }
    if (strcmp(how, "stack") == 0) {
        volatile char big[65536];
        big[0] = 1;
        return main(argc, argv) + big[0];
    }
    if (strcmp(how, "wait") == 0) {
        puts("waiting");
        fflush(stdout);
        pause();
    }
    if (strcmp(how, "spin") == 0) {
        puts("waiting");
        fflush(stdout);
        for (volatile unsigned n = 0;; n++)
            ;
    }
    return atoi(how);
}
