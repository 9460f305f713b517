/* SPDX-License-Identifier: Apache-2.0 */
/* What does the user mean by SOURCE? See image.h. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "host/image/elf.h"
#include "host/image/erofs.h"
#include "host/image/image.h"
#include "host/image/script.h"
#include "host/lib/fs.h"

static int open_program(const char *path, struct error *err)
{
    struct stat st;
    AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return err_errno(err, errno == ENOENT || errno == ENOTDIR ? EXIT_NOPROG : EXIT_NOEXEC, "%s", path);
    if (fstat(fd, &st) < 0)
        return err_errno(err, EXIT_NOEXEC, "%s", path);
    if (S_ISDIR(st.st_mode))
        return err_set(err, EXIT_NOEXEC, "%s is a directory; to run it as a root file system say dir:%s", path, path);
    if (!S_ISREG(st.st_mode))
        return err_set(err, EXIT_NOEXEC, "%s is not a regular file", path);
    return TAKE_FD(fd);
}

static bool in_default_path(const char *path)
{
    AUTO_FREE char *dir = path_dirname(path);
    for (const char *const *d = default_path; *d; d++)
        if (strcmp(dir, *d) == 0)
            return true;
    return false;
}

/* "#!/usr/bin/env python3" means python3; options of env are refused rather than guessed. The host path, or NULL. */
static char *through_env(const char *script, const struct script_line *line, struct error *err)
{
    const char *program = script_env_program(line);
    if (!*program) {
        err_set(err, EXIT_NOEXEC, "%s: #! line with env: only \"env PROGRAM\" is understood, not \"env %s\"", script, line->argument);
        return NULL;
    }
    char *found = find_in_path(program);
    if (!found)
        err_set(err, EXIT_NOPROG, "%s: its interpreter %s is not in PATH", script, program);
    return found;
}

/* The kernel's rules (execve(2)): one optional argument, the rest of the line; an interpreter may be a script, but not for ever. */
static int follow_script(struct source *s, const char *path, const struct script_line *line, struct error *err)
{
    if (line->interpreter[0] != '/')
        return err_set(err, EXIT_NOEXEC, "%s: #! line without an absolute interpreter", path);
    bool env = script_env_program(line) != NULL;
    AUTO_FREE char *binary = env ? through_env(path, line, err) : xstrdup(line->interpreter);
    if (!binary)
        return -1;
    AUTO_CLOSE int fd = open(binary, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return err_set(err, EXIT_NOPROG, "%s: its interpreter %s is not on this host", path, binary);
    struct script_line next;
    int script = script_read(fd, &next);
    if (script < 0)
        return err_errno(err, EXIT_NOEXEC, "%s", binary);
    if (script) {
        if (s->scripts.count == SCRIPTS_MAX)
            return err_set(err, EXIT_NOEXEC, "%s: too many interpreters that are scripts themselves", s->path);
        strv_add(&s->scripts, binary);
        if (follow_script(s, binary, &next, err) < 0)
            return -1;
    } else {
        s->interpreter = xstrdup(binary);
        strv_add(&s->args, binary);
    }
    if (!env && *line->argument)
        strv_add(&s->args, line->argument);
    strv_add(&s->args, path);
    return 0;
}

static int resolve_program(struct source *s, const char *text, bool by_name, struct error *err)
{
    AUTO_CLOSE int fd = open_program(s->path, err);
    if (fd < 0)
        return -1;
    if (erofs_is_image(fd)) {
        s->kind = SOURCE_IMAGE;
        s->fd = TAKE_FD(fd);
        return erofs_check(s->fd, text, err);
    }
    char magic[4] = {0};
    ssize_t n = pread(fd, magic, 4, 0);
    bool is_elf = n == 4 && memcmp(magic, "\177ELF", 4) == 0;
    struct script_line line;
    int script = script_read(fd, &line);
    if (script < 0)
        return err_errno(err, EXIT_NOEXEC, "%s", text);
    if (!is_elf && !script)
        return err_set(err, EXIT_NOEXEC, "%s: %s", text,
                       n == 0 ? "the file is empty" : "neither an ELF program, nor a script with #!, nor an EROFS image");
    if (access(s->path, X_OK) < 0)
        return err_set(err, EXIT_NOEXEC, "%s: not executable (chmod +x)", text);
    if (script) {
        s->kind = SOURCE_SCRIPT;
        return follow_script(s, s->path, &line, err);
    }
    s->kind = SOURCE_ELF;
    strv_add(&s->args, by_name && in_default_path(s->path) ? text : s->path);
    return 0;
}

int source_resolve(struct source *s, const char *text, struct error *err)
{
    static const char *const later[] = {"oci:", "oci-archive:", "docker-archive:", "docker:", "docker://"};
    *s = (struct source){.fd = -1};
    for (size_t i = 0; i < ARRAY_SIZE(later); i++)
        if (str_has_prefix(text, later[i]))
            return err_set(err, EXIT_DRUPE, "%s: sources of kind \"%s\" are not there yet; unpack it and use dir:PATH", text,
                           later[i]);
    if (str_has_prefix(text, "dir:")) {
        struct stat st;
        s->kind = SOURCE_DIR;
        s->path = realpath(text + 4, NULL);
        if (!s->path || stat(s->path, &st) < 0)
            return err_errno(err, EXIT_DRUPE, "%s", text);
        if (!S_ISDIR(st.st_mode))
            return err_set(err, EXIT_DRUPE, "%s: not a directory", text);
        return 0;
    }
    if (!*text)
        return err_set(err, EXIT_DRUPE, "SOURCE is empty");
    if (strchr(text, '/')) {
        s->path = path_absolute(text);
        return resolve_program(s, text, false, err);
    }
    AUTO_CLOSE int here = open(text, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (here >= 0 && erofs_is_image(here)) {
        s->path = path_absolute(text);
        return resolve_program(s, text, false, err);
    }
    s->path = find_in_path(text);
    if (s->path)
        return resolve_program(s, text, true, err);
    if (here >= 0)
        return err_set(err, EXIT_NOPROG, "no program \"%s\" in PATH; to run the file in this directory say ./%s", text, text);
    return err_set(err, EXIT_NOPROG, "no program \"%s\" in PATH; install it, or give its path", text);
}

void source_done(struct source *s)
{
    free(s->path);
    free(s->interpreter);
    strv_done(&s->args);
    strv_done(&s->scripts);
    if (s->fd >= 0)
        close(s->fd);
    *s = (struct source){.fd = -1};
}
