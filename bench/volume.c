/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files in a directory: volume DIR. Prints "row nanoseconds" for each of 500 small files, and for each MiB of three of 16 MiB:
 * one that is written, and "cold" and "cold2", zeros that the host wrote before and nobody here has read yet.
 */
#include <dirent.h>
#include <err.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define FILES 500
#define MIB 16

static char block[1 << 20];

static long long now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void make(const char *name)
{
    int fd = open(name, O_CREAT | O_EXCL | O_WRONLY, 0600);
    if (fd < 0 || write(fd, "x", 1) != 1 || close(fd) != 0)
        err(1, "%s", name);
}

static void look(const char *name)
{
    struct stat st;
    if (stat(name, &st) != 0 || st.st_size != 1)
        err(1, "%s", name);
}

static void use(const char *name)
{
    char c;
    int fd = open(name, O_RDONLY);
    if (fd < 0 || read(fd, &c, 1) != 1 || read(fd, &c, 1) != 0 || close(fd) != 0)
        err(1, "%s", name);
}

static void take_away(const char *name)
{
    if (unlink(name) != 0)
        err(1, "%s", name);
}

static void each_file(const char *row, void (*each)(const char *name))
{
    char name[16];
    long long start = now_ns();
    for (int i = 0; i < FILES; i++) {
        snprintf(name, sizeof name, "f%d", i);
        each(name);
    }
    printf("%s %lld\n", row, (now_ns() - start) / FILES);
}

/* As git status and find go: every name of the directory, and what it is. */
static void list(const char *row)
{
    long long start = now_ns();
    DIR *d = opendir(".");
    struct stat st;
    int n = 0;
    for (struct dirent *e; d != NULL && (e = readdir(d)) != NULL; n++)
        if (fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0)
            err(1, "%s", e->d_name);
    if (n < FILES || closedir(d) != 0)
        err(1, "readdir");
    printf("%s %lld\n", row, (now_ns() - start) / n);
}

/* A MiB at a time; what was written is on the host's disk at the end. */
static void whole(const char *row, const char *name, int flags)
{
    long long start = now_ns();
    int fd = open(name, flags, 0600);
    if (fd < 0)
        err(1, "%s", name);
    for (int i = 0; i < MIB; i++)
        if ((flags & O_WRONLY ? write(fd, block, sizeof block) : read(fd, block, sizeof block)) != sizeof block)
            err(1, "%s", name);
    if ((flags & O_WRONLY && fsync(fd) != 0) || close(fd) != 0)
        err(1, "%s", name);
    printf("%s %lld\n", row, (now_ns() - start) / MIB);
}

static void mapped(const char *row, const char *name)
{
    unsigned sum = 0;
    long long start = now_ns();
    int fd = open(name, O_RDONLY);
    volatile char *p = mmap(NULL, (size_t)MIB << 20, PROT_READ, MAP_SHARED, fd, 0);
    if (fd < 0 || p == MAP_FAILED)
        err(1, "%s", name);
    for (size_t at = 0; at < (size_t)MIB << 20; at += 4096)
        sum += (unsigned char)p[at];
    if (sum != 0 || close(fd) != 0)
        errx(1, "%s: not zeros", name);
    printf("%s %lld\n", row, (now_ns() - start) / MIB);
}

int main(int argc, char **argv)
{
    if (argc != 2 || chdir(argv[1]) != 0)
        err(1, "volume DIR");
    each_file("create, write, close", make);
    usleep(200000); /* what is remembered of a name is asked for again */
    each_file("stat", look);
    usleep(200000);
    each_file("open, read, close", use);
    usleep(200000);
    list("list and stat");
    each_file("unlink", take_away);
    whole("write 1 MiB, fsync", "large", O_CREAT | O_WRONLY);
    whole("read 1 MiB", "cold", O_RDONLY);
    mapped("map and touch 1 MiB", "cold2");
    return unlink("large") != 0;
}
