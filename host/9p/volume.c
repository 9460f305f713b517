/* SPDX-License-Identifier: Apache-2.0 */
/* Volumes as the command sees them: see volume.h. */
#include "host/9p/volume.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "host/lib/child.h"
#include "host/lib/fs.h"

static int parse_options(struct volume *v, char *options, const char *text, struct error *err)
{
    for (char *one; (one = strsep(&options, ","));) {
        if (strcmp(one, "ro") == 0)
            v->read_only = true;
        else if (strcmp(one, "rw") != 0)
            return err_set(err, EXIT_DRUPE, "-v %s: option \"%s\" is not known; there are ro and rw", text, one);
    }
    return 0;
}

static int parse_target(struct volume *v, const char *target, const char *text, struct error *err)
{
    static const char *const taken[] = {"/proc", "/dev", "/sys"};
    if (target[0] != '/')
        return err_set(err, EXIT_DRUPE, "-v %s: %s is not an absolute path inside the instance", text, *target ? target : "\"\"");
    v->target = path_absolute(target);
    if (strcmp(v->target, "/") == 0)
        return err_set(err, EXIT_DRUPE, "-v %s: the root itself cannot be a volume; drupe run dir:PATH makes an image of it", text);
    for (size_t i = 0; i < ARRAY_SIZE(taken); i++)
        if (path_is_inside(v->target, taken[i]))
            return err_set(err, EXIT_DRUPE, "-v %s: %s is the kernel's", text, taken[i]);
    return 0;
}

static int open_source(struct volume *v, const char *source, const char *text, struct error *err)
{
    struct stat st;
    if (!source[0])
        return err_set(err, EXIT_DRUPE, "-v %s: say SRC:DST[:ro]", text);
    if (source[0] != '/' && source[0] != '.')
        return err_set(err, EXIT_DRUPE, "-v %s: named volumes are not there; a directory is ./%s", text, source);
    v->source = path_absolute(source);
    v->fd = open(v->source, O_PATH | O_CLOEXEC);
    if (v->fd < 0 || fstat(v->fd, &st) < 0)
        return err_errno(err, EXIT_DRUPE, "-v %s: %s", text, v->source);
    if (!S_ISDIR(st.st_mode) && !S_ISREG(st.st_mode))
        return err_set(err, EXIT_DRUPE, "-v %s: %s is neither a directory nor a file", text, v->source);
    v->is_file = S_ISREG(st.st_mode);
    return 0;
}

int volume_parse(struct volume *ret, const char *text, struct error *err)
{
    AUTO_FREE char *copy = xstrdup(text);
    char *rest = copy, *source = strsep(&rest, ":"), *target = strsep(&rest, ":");
    *ret = (struct volume){.fd = -1};
    if (!target)
        return err_set(err, EXIT_DRUPE, "-v %s: say SRC:DST[:ro]", text);
    if ((rest && parse_options(ret, rest, text, err) < 0) || parse_target(ret, target, text, err) < 0 ||
        open_source(ret, source, text, err) < 0) {
        volume_done(ret);
        return -1;
    }
    return 0;
}

int volume_add(struct volume *list, size_t *n, const char *text, struct error *err)
{
    struct volume v;
    if (*n == P9_MAX_VOLUMES)
        return err_set(err, EXIT_DRUPE, "-v: at most %d volumes", P9_MAX_VOLUMES);
    if (volume_parse(&v, text, err) < 0)
        return -1;
    size_t at = 0;
    for (size_t i = 0; i < *n; i++) {
        if (strcmp(list[i].target, v.target) == 0) {
            err_set(err, EXIT_DRUPE, "-v %s: there is a volume on %s already", text, v.target);
            volume_done(&v);
            return -1;
        }
        if (strlen(list[i].target) <= strlen(v.target))
            at = i + 1;
    }
    memmove(list + at + 1, list + at, (*n - at) * sizeof(*list));
    list[at] = v;
    ++*n;
    return 0;
}

void volume_done(struct volume *v)
{
    free(v->source);
    free(v->target);
    if (v->fd >= 0)
        close(v->fd);
}

pid_t volume_serve(const struct volume *v, const char *server, int socket, int vhost, struct error *err)
{
    char *argv[] = {(char *)server, v->read_only ? "ro" : "rw", vhost >= 0 ? "vhost" : NULL, NULL};
    const struct child_fd fds[] = {{socket, 3}, {v->fd, 4}, {vhost, 5}};
    int flags = fcntl(socket, F_GETFL);
    if (flags < 0 || fcntl(socket, F_SETFL, flags & ~O_NONBLOCK) < 0)
        return err_errno(err, EXIT_DRUPE, "fcntl");
    pid_t pid = child_start(argv, fds, vhost >= 0 ? 3 : 2, true, err);
    return pid < 0 ? err_prefix(err, "volume %s", v->source) : pid;
}
