/* SPDX-License-Identifier: Apache-2.0 */
/* Files in a directory: volume DIR. Prints "row nanoseconds" for each of 500 small files, and for each MiB of one of 64 MiB. */
#include <err.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define FILES 500
#define MIB 64

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

static void take_away(const char *name)
{
    if (unlink(name) != 0)
        err(1, "%s", name);
}

static void small(const char *row, void (*each)(const char *name))
{
    char name[16];
    long long start = now_ns();
    for (int i = 0; i < FILES; i++) {
        snprintf(name, sizeof name, "f%d", i);
        each(name);
    }
    printf("%s %lld\n", row, (now_ns() - start) / FILES);
}

/* The whole file, a MiB at a time, its last bytes on the host's side or here. */
static void large(const char *row, int flags)
{
    long long start = now_ns();
    int fd = open("large", flags, 0600);
    if (fd < 0)
        err(1, "large");
    for (int i = 0; i < MIB; i++)
        if ((flags & O_WRONLY ? write(fd, block, sizeof block) : read(fd, block, sizeof block)) != sizeof block)
            err(1, "large");
    if (close(fd) != 0)
        err(1, "large");
    printf("%s %lld\n", row, (now_ns() - start) / MIB);
}

int main(int argc, char **argv)
{
    if (argc != 2 || chdir(argv[1]) != 0)
        err(1, "volume DIR");
    small("create, write, close", make);
    usleep(200000); /* what is remembered of a name is asked for again */
    small("stat", look);
    small("unlink", take_away);
    large("write 1 MiB", O_CREAT | O_WRONLY);
    large("read 1 MiB", O_RDONLY);
    return unlink("large") != 0;
}
