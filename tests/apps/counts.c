/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "counts.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAUSE_US 50000
#define TRIES 600

int write_text(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY);
    if (fd < 0)
        return -1;
    ssize_t n = write(fd, text, strlen(text));
    close(fd);
    return n < 0 ? -1 : 0;
}

void at_once(int n)
{
    int fd[2];
    char c;
    if (pipe(fd) < 0)
        return;
    for (int i = 0; i < n; i++)
        if (fork() == 0) {
            close(fd[1]);
            _exit(read(fd[0], &c, 1) != 0);
        }
    close(fd[0]);
    close(fd[1]);
    while (waitpid(-1, NULL, 0) > 0 || errno == EINTR)
        ;
}

static void add_count(struct counts *s, const char *name, long value)
{
    if (s->n < COUNTS) {
        snprintf(s->c[s->n].name, sizeof s->c->name, "%s", name);
        s->c[s->n++].value = value;
    }
}

static long processes(void)
{
    long n = 0;
    DIR *d = opendir("/proc");
    for (struct dirent *e; (e = readdir(d)) != NULL;)
        n += e->d_name[0] >= '0' && e->d_name[0] <= '9';
    closedir(d);
    return n;
}

/* What System V keeps when its maker is killed between making and removing it. */
static void remove_ipc(void)
{
    struct shmid_ds shm;
    struct semid_ds sem;
    struct msqid_ds msg;
    struct seminfo info;
    int last = shmctl(0, SHM_INFO, (struct shmid_ds *)&(struct shm_info){0});
    for (int i = 0, id; i <= last; i++)
        if ((id = shmctl(i, SHM_STAT, &shm)) >= 0 && shm.shm_perm.__key == IPC_PRIVATE)
            shmctl(id, IPC_RMID, NULL);
    last = msgctl(0, MSG_INFO, (struct msqid_ds *)&(struct msginfo){0});
    for (int i = 0, id; i <= last; i++)
        if ((id = msgctl(i, MSG_STAT, &msg)) >= 0 && msg.msg_perm.__key == IPC_PRIVATE)
            msgctl(id, IPC_RMID, NULL);
    last = semctl(0, 0, SEM_INFO, &info);
    for (int i = 0, id; i <= last; i++)
        if ((id = semctl(i, 0, SEM_STAT, &sem)) >= 0 && sem.sem_perm.__key == IPC_PRIVATE)
            semctl(id, 0, IPC_RMID);
}

static void take(struct counts *s)
{
    char line[256], name[64];
    long value;
    s->n = 0;
    remove_ipc();
    for (int i = 0; i < 4; i++) /* directories after what is in them */
        write_text("/proc/sys/vm/drop_caches", "3");
    add_count(s, "processes", processes());
    static const char *const files[] = {"/proc/sys/fs/file-nr", "/proc/meminfo", "/proc/slabinfo"};
    for (unsigned i = 0; i < 3; i++) {
        FILE *f = fopen(files[i], "r");
        while (f != NULL && fgets(line, sizeof line, f) != NULL) {
            if (i == 0 && sscanf(line, "%ld", &value) == 1)
                add_count(s, "files", value);
            else if (i == 1 && sscanf(line, "%63[^:]: %ld", name, &value) == 2 &&
                     (!strcmp(name, "AnonPages") || !strcmp(name, "PageTables") || !strcmp(name, "KernelPages")))
                add_count(s, name, value);
            else if (i == 2 && sscanf(line, "%63s %ld", name, &value) == 2 && name[0] != '#')
                add_count(s, name, value);
        }
        if (f != NULL)
            fclose(f);
    }
}

static bool is_back(const struct counts *a, const struct counts *b, unsigned i, long slack)
{
    return labs(b->c[i].value - a->c[i].value) <= (strstr(a->c[i].name, "Page") ? (slack > 8 ? 8 * slack : 64) : slack);
}

static unsigned not_back(const struct counts *a, const struct counts *b, long slack)
{
    unsigned n = 0;
    for (unsigned i = 0; i < a->n && i < b->n; i++)
        n += !is_back(a, b, i, slack);
    return n;
}

void take_calm(struct counts *s)
{
    struct counts last;
    take(s);
    for (int i = 0; i < TRIES; i++) {
        last = *s;
        usleep(PAUSE_US); /* what ends is put away behind our back */
        take(s);
        if (not_back(&last, s, 1) == 0)
            break;
    }
}

void compare(const struct counts *before, long slack)
{
    struct counts b;
    take(&b);
    for (int i = 0; i < TRIES && not_back(before, &b, slack) != 0; i++) {
        usleep(PAUSE_US);
        take(&b);
    }
    for (unsigned i = 0; i < before->n && i < b.n; i++)
        if (!is_back(before, &b, i, slack))
            printf("leak %s %ld %ld\n", before->c[i].name, before->c[i].value, b.c[i].value);
    printf("counted %u\n", before->n);
}
