/* SPDX-License-Identifier: Apache-2.0 */
/* C: a thread for each connection, a timer's signals, an overflown stack survived on an alternate one. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

static volatile sig_atomic_t ticks;
static __thread sigjmp_buf overflown;

static void *count(void *seed)
{
    long a = (long)seed;
    for (long i = 0; i < 100000; i++)
        a = (a * 31 + i) % 1000003;
    return (void *)a;
}

static void work(char *out, size_t len)
{
    pthread_t t[4];
    void *r[4];
    for (long i = 0; i < 4; i++)
        pthread_create(&t[i], NULL, count, (void *)i);
    for (int i = 0; i < 4; i++)
        pthread_join(t[i], &r[i]);
    snprintf(out, len, "%ld %ld %ld %ld\n", (long)r[0], (long)r[1], (long)r[2], (long)r[3]);
}

static void child(char *out, size_t len)
{
    FILE *f = popen("/bin/echo through a child", "r");
    if (f == NULL || fgets(out, (int)len, f) == NULL)
        snprintf(out, len, "no child\n");
    if (f != NULL)
        pclose(f);
}

static void on_tick(int sig) { ticks += sig == SIGALRM; }
static void on_fault(int sig) { siglongjmp(overflown, sig); }

static int deep(volatile char *above)
{
    volatile char here[1000];
    here[0] = above[0];
    return deep(here) + here[0];
}

static void own(char *out, size_t len)
{
    char stack[16384], c = 1;
    stack_t alt = {.ss_sp = stack, .ss_size = sizeof(stack)};
    struct itimerval every = {{0, 2000}, {0, 2000}}, never = {{0, 0}, {0, 0}};
    struct sigaction tick = {.sa_handler = on_tick}, fault = {.sa_handler = on_fault, .sa_flags = SA_ONSTACK};
    sigaltstack(&alt, NULL);
    sigaction(SIGALRM, &tick, NULL);
    sigaction(SIGSEGV, &fault, NULL);
    int sig = sigsetjmp(overflown, 1);
    if (sig == 0)
        deep(&c);
    setitimer(ITIMER_REAL, &every, NULL);
    while (ticks < 20)
        ;
    setitimer(ITIMER_REAL, &never, NULL);
    alt.ss_flags = SS_DISABLE;
    sigaltstack(&alt, NULL);
    snprintf(out, len, "overflow %d, 20 ticks\n", sig);
}

static void *serve(void *arg)
{
    int fd = (int)(long)arg;
    char in[4096], path[64] = "", body[256] = "hello\n";
    ssize_t got = 0, n;
    while (got < (ssize_t)sizeof(in) - 1 && (n = read(fd, in + got, sizeof(in) - 1 - (size_t)got)) > 0) {
        in[got += n] = 0;
        if (strstr(in, "\r\n\r\n") != NULL)
            break;
    }
    sscanf(in, "GET %63s", path);
    if (strcmp(path, "/work") == 0)
        work(body, sizeof(body));
    else if (strcmp(path, "/child") == 0)
        child(body, sizeof(body));
    else if (strcmp(path, "/own") == 0)
        own(body, sizeof(body));
    else if (strcmp(path, "/quit") == 0)
        strcpy(body, "bye\n");
    dprintf(fd, "HTTP/1.0 200 OK\r\nContent-Length: %zu\r\n\r\n%s", strlen(body), body);
    close(fd);
    if (strcmp(path, "/quit") == 0)
        exit(3);
    return NULL;
}

int main(void)
{
    int s = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(8080)};
    if (bind(s, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(s, 64) < 0)
        return 1;
    for (;;) {
        int fd = accept(s, NULL, NULL);
        pthread_t t;
        if (fd >= 0 && pthread_create(&t, NULL, serve, (void *)(long)fd) == 0)
            pthread_detach(t);
    }
}
