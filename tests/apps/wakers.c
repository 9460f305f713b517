/* SPDX-License-Identifier: Apache-2.0 */
/* Two threads that wake each other all the time, which has idle CPUs look for that, beside servers that echo what comes on TCP port 7. */
#include <netinet/in.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static int ends[2];

static void *wake(void *first)
{
    const struct timespec soon = {0, 30000};
    uint64_t one = 1;
    while (first == NULL || write(ends[1], &one, 8) == 8) {
        if (read(ends[first == NULL], &one, 8) != 8 || (first == NULL && write(ends[0], &one, 8) != 8))
            break;
        if (first != NULL)
            nanosleep(&soon, NULL);
    }
    return NULL;
}

static void *echo(void *arg)
{
    int fd = (int)(intptr_t)arg;
    char buf[2000];
    for (ssize_t n; (n = read(fd, buf, sizeof buf)) > 0;)
        if (write(fd, buf, (size_t)n) != n)
            break;
    close(fd);
    return NULL;
}

int main(void)
{
    pthread_t t;
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_port = htons(7)};
    int s = socket(AF_INET, SOCK_STREAM, 0);
    for (int i = 0; i < 2; i++)
        ends[i] = eventfd(0, 0);
    for (int i = 0; i < 2; i++)
        pthread_create(&t, NULL, wake, i != 0 ? &ends : NULL);
    if (bind(s, (struct sockaddr *)&here, sizeof here) < 0 || listen(s, 8) < 0) {
        perror("port 7");
        return 1;
    }
    for (int fd; (fd = accept(s, NULL, NULL)) >= 0;)
        pthread_create(&t, NULL, echo, (void *)(intptr_t)fd);
    return 1;
}
