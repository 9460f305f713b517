/* SPDX-License-Identifier: Apache-2.0 */
#include "host/client/cores.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "abi/core.h"
#include "host/lib/fs.h"

#define CORE_MAX (1ull << 47) /* what an address space has */
#define SAME_NAME_MAX 1000

struct core {
    int fd;
    char *path;
    u64 size;
};

static char *core_name(const char *begin)
{
    unsigned pid = 0;
    int signal, at = 0;
    char name[20] = "program";
    if (sscanf(begin, "%u %d %n", &pid, &signal, &at) >= 2 && at > 0 && begin[at])
        snprintf(name, sizeof(name), "%s", begin + at);
    for (char *p = name; *p; p++)
        if (!isalnum((unsigned char)*p) && *p != '-' && *p != '_')
            *p = '_';
    return str_format("core.%s.%u", name, pid);
}

static int open_core(struct core *c, const char *dir, const char *file, const char *begin, struct error *err)
{
    if (file) {
        c->path = xstrdup(file);
        c->fd = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        return c->fd >= 0 ? 0 : err_errno(err, EXIT_DRUPE, "%s", file);
    }
    AUTO_FREE char *name = core_name(begin);
    for (unsigned n = 1; n < SAME_NAME_MAX; n++) {
        free(c->path);
        c->path = n == 1 ? str_format("%s/%s", dir, name) : str_format("%s/%s.%u", dir, name, n);
        c->fd = open(c->path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (c->fd >= 0 || errno != EEXIST)
            break;
    }
    return c->fd >= 0 ? 0 : err_errno(err, EXIT_DRUPE, "%s", c->path);
}

static void close_core(struct core *c)
{
    if (c->fd >= 0)
        close(c->fd);
    free(c->path);
    *c = (struct core){.fd = -1};
}

static u64 little_endian(const char *p)
{
    u64 v = 0;
    for (int i = 7; i >= 0; i--)
        v = v << 8 | (unsigned char)p[i];
    return v;
}

/* One message. */
static int take(struct conversation *talk, struct core *c, struct buf *m, const char *dir, const char *file, void (*told)(const char *path), struct error *err)
{
    char *data = m->data + 1;
    size_t len = m->len - 1;
    switch (m->data[0]) {
    case CORE_BEGIN:
        if (c->fd >= 0)
            break;
        return open_core(c, dir, file, data, err);
    case CORE_DATA:
        if (c->fd < 0 || c->size + len > CORE_MAX)
            break;
        if (lseek(c->fd, (off_t)c->size, SEEK_SET) < 0 || fd_write_all(c->fd, data, len) < 0)
            return err_errno(err, EXIT_DRUPE, "%s", c->path);
        c->size += len;
        return 0;
    case CORE_SKIP:
        if (c->fd < 0 || len != 8 || little_endian(data) > CORE_MAX - c->size)
            break;
        c->size += little_endian(data);
        return 0;
    case CORE_END:
        if (c->fd < 0)
            break;
        if (ftruncate(c->fd, (off_t)c->size) < 0)
            return err_errno(err, EXIT_DRUPE, "%s", c->path);
        text_clean(data, len, "");
        if (len)
            fprintf(stderr, "drupe: %s is not whole:%s\n", c->path, data);
        told(c->path);
        close_core(c);
        (void)conversation_send(talk, "", 0);
        return 0;
    }
    return err_set(err, EXIT_DRUPE, "the instance sends a core file that makes no sense");
}

int cores_receive(struct conversation *c, const struct entry *e, const char *dir, const char *file, void (*told)(const char *path),
                  struct error *err)
{
    struct core core = {.fd = -1};
    int result;
    for (;;) {
        struct buf m = {0};
        result = conversation_message(c, &m, CTL_PART_MAX, err);
        if (result > 0 && m.len > 0) {
            buf_add(&m, "", 1); /* text ends */
            m.len--;
            result = take(c, &core, &m, dir, file, told, err) < 0 ? -1 : 1;
        }
        buf_done(&m);
        if (result <= 0)
            break;
    }
    if (core.fd >= 0 && (result == 0 || c->gone))
        fprintf(stderr, "drupe: %s is not whole: the instance has gone\n", core.path);
    close_core(&core);
    if (result == 0 && c->error != 0)
        return conversation_failed(c, e, err);
    return result;
}
