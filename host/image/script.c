/* SPDX-License-Identifier: Apache-2.0 */
/* Scripts: see script.h. */
#include "host/image/script.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "host/image/image.h"
#include "host/image/packages.h"
#include "host/lib/fs.h"

const char *const default_path[] = {"/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin", NULL};

int script_read(int fd, struct script_line *ret)
{
    memset(ret->text, 0, sizeof(ret->text));
    if (pread(fd, ret->text, SCRIPT_LINE_MAX, 0) < 0)
        return -1;
    if (!str_has_prefix(ret->text, "#!"))
        return 0;
    ret->text[strcspn(ret->text, "\n")] = 0;
    char *interp = ret->text + 2 + strspn(ret->text + 2, " \t");
    size_t len = strlen(interp);
    while (len && strchr(" \t\r", interp[len - 1]))
        interp[--len] = 0;
    char *argument = interp + strcspn(interp, " \t");
    if (*argument) {
        *argument++ = 0;
        argument += strspn(argument, " \t");
    }
    ret->interpreter = interp;
    ret->argument = argument;
    return 1;
}

const char *script_env_program(const struct script_line *line)
{
    if (strcmp(path_basename(line->interpreter), "env") != 0)
        return NULL;
    return line->argument[0] == '-' || strpbrk(line->argument, "= \t") ? "" : line->argument;
}

/* Where env(1) will find it in the instance, if this host has it there, too. */
static char *in_default_path(struct tree *t, const char *name)
{
    for (const char *const *dir = default_path; *name && *dir; dir++) {
        char *path = path_join(*dir, name);
        if (inputs_note(t->inputs, path, INPUT_WHOLE, NULL) == 0)
            return path;
        free(path);
    }
    return NULL;
}

static int bring(struct tree *t, struct libs *l, const struct image_options *o, const char *path, const char *why, struct error *err)
{
    if (tree_add_host(t, path, why, NULL, err) < 0) {
        say("left out: an interpreter: %s", err->text);
        return 0;
    }
    if (libs_add_for(l, path, false, err) < 0)
        return -1;
    return o->no_package ? 0 : packages_add_for(t, l, path, o->gconv, err);
}

int script_add_interpreters(struct tree *t, struct libs *l, const struct image_options *o, const char *script, const char *why, struct error *err)
{
    AUTO_FREE char *path = xstrdup(script);
    for (unsigned depth = 0; depth <= SCRIPTS_MAX; depth++) {
        struct script_line line;
        AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        if (fd < 0 || script_read(fd, &line) <= 0)
            return 0;
        if (line.interpreter[0] != '/') {
            say("left out: what interprets %s: \"%s\" is no absolute path", path, line.interpreter);
            return 0;
        }
        if (bring(t, l, o, line.interpreter, why, err) < 0)
            return -1;
        const char *program = script_env_program(&line);
        free(path);
        path = program ? in_default_path(t, program) : xstrdup(line.interpreter);
        if (!path) {
            say("left out: what \"%s %s\" of %s starts: it is not known, or not in the default path of this host", line.interpreter, line.argument, script);
            return 0;
        }
        if (program && bring(t, l, o, path, why, err) < 0)
            return -1;
    }
    return 0;
}
