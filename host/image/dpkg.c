/* SPDX-License-Identifier: Apache-2.0 */
/* Debian's package database: see dpkg.h. */
#include "host/image/dpkg.h"

#include <string.h>

#include "host/lib/fs.h"

#define STATUS_PATH "/var/lib/dpkg/status"
#define INFO_DIR "/var/lib/dpkg/info"
#define MAX_STATUS_BYTES (256u << 20)

/* The value of `field` in a paragraph whose lines end in NUL; continuation lines are joined already. */
static char *field_value(const char *line, const char *field)
{
    size_t n = strlen(field);
    if (strncmp(line, field, n) != 0 || line[n] != ':')
        return NULL;
    line += n + 1;
    return xstrdup(line + strspn(line, " \t"));
}

static void free_package(struct package *p)
{
    free(p->name);
    free(p->arch);
    free(p->version);
    free(p->depends);
    free(p->list_text);
    free(p);
}

static void add_package(struct dpkg *d, struct package *p, const char *provides)
{
    if (d->count == d->capacity) {
        d->capacity = d->capacity ? d->capacity * 2 : 1024;
        d->packages = xrealloc(d->packages, d->capacity * sizeof(*d->packages));
    }
    d->packages[d->count++] = p;
    /* The native architecture's package wins over a foreign one of the same name. */
    struct package *have = map_get(&d->by_name, p->name);
    if (!have || strcmp(have->name, p->name) != 0 || strcmp(have->arch, "amd64") != 0)
        map_put(&d->by_name, p->name, p);
    AUTO_FREE char *list = xstrdup(provides ? provides : "");
    char *save = NULL;
    for (char *item = strtok_r(list, ",", &save); item; item = strtok_r(NULL, ",", &save)) {
        item += strspn(item, " ");
        item[strcspn(item, " (:")] = 0;
        if (*item && !map_get(&d->by_name, item))
            map_put(&d->by_name, item, p);
    }
}

static void parse_paragraph(struct dpkg *d, char *text)
{
    struct package *p = xalloc(sizeof(*p));
    AUTO_FREE char *status = NULL, *provides = NULL, *pre = NULL, *depends = NULL;
    AUTO_FREE char *essential = NULL, *priority = NULL;
    const struct {
        const char *field;
        char **slot;
    } fields[] = {{"Package", &p->name},     {"Architecture", &p->arch}, {"Version", &p->version},
                  {"Status", &status},       {"Provides", &provides},    {"Pre-Depends", &pre},
                  {"Depends", &depends},     {"Essential", &essential},  {"Priority", &priority}};
    char *save = NULL;
    for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        if (*line == ' ' || *line == '\t') /* the fields that we read have one line */
            continue;
        for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
            char *value = *fields[i].slot ? NULL : field_value(line, fields[i].field);
            if (value) {
                *fields[i].slot = value;
                break;
            }
        }
    }
    if (!p->name || !p->arch || !status || !str_has_suffix(status, " ok installed")) {
        free_package(p);
        return;
    }
    p->depends = str_format("%s,%s", pre ? pre : "", depends ? depends : "");
    p->base = (essential && strcmp(essential, "yes") == 0) || (priority && strcmp(priority, "required") == 0);
    add_package(d, p, provides);
}

void dpkg_load(struct dpkg *d, struct inputs *inputs)
{
    if (d->loaded)
        return;
    d->loaded = true;
    d->inputs = inputs;
    struct buf text = {0};
    inputs_note(inputs, STATUS_PATH, INPUT_WHOLE, NULL);
    if (file_read(STATUS_PATH, MAX_STATUS_BYTES, &text) < 0)
        return;
    for (char *p = text.data; *p;) {
        char *end = strstr(p, "\n\n");
        if (end)
            *end = 0;
        parse_paragraph(d, p);
        p = end ? end + 2 : p + strlen(p);
    }
    buf_done(&text);
}

void dpkg_done(struct dpkg *d)
{
    for (size_t i = 0; i < d->count; i++)
        free_package(d->packages[i]);
    free(d->packages);
    map_done(&d->by_name, NULL);
    *d = (struct dpkg){0};
}

static void load_list(struct package *p)
{
    if (p->list_text)
        return;
    struct buf text = {0}, file = {0};
    AUTO_FREE char *plain = str_format(INFO_DIR "/%s.list", p->name);
    AUTO_FREE char *with_arch = str_format(INFO_DIR "/%s:%s.list", p->name, p->arch);
    buf_add(&text, "\n", 1);
    if (file_read(plain, MAX_STATUS_BYTES, &file) == 0 || file_read(with_arch, MAX_STATUS_BYTES, &file) == 0)
        buf_add(&text, file.data, file.len);
    buf_done(&file);
    p->list_text = text.data;
    p->list_len = text.len;
}

const char *dpkg_files(struct dpkg *d, struct package *p)
{
    (void)d;
    load_list(p);
    return p->list_text + 1;
}

static struct package *find_owner(struct dpkg *d, const char *path)
{
    AUTO_FREE char *line = str_format("\n%s\n", path);
    size_t n = strlen(line);
    for (size_t i = 0; i < d->count; i++) {
        load_list(d->packages[i]);
        if (memmem(d->packages[i]->list_text, d->packages[i]->list_len, line, n))
            return d->packages[i];
    }
    return NULL;
}

struct package *dpkg_owner(struct dpkg *d, const char *path)
{
    static const char *const merged[] = {"/bin/", "/sbin/", "/lib/", "/lib64/"};
    struct package *p = find_owner(d, path);
    for (size_t i = 0; i < ARRAY_SIZE(merged) && !p; i++) {
        if (str_has_prefix(path, "/usr") && str_has_prefix(path + 4, merged[i])) {
            p = find_owner(d, path + 4);
        } else if (str_has_prefix(path, merged[i])) {
            AUTO_FREE char *other = str_format("/usr%s", path);
            p = find_owner(d, other);
        }
    }
    return p;
}

void dpkg_for_each_dependency(struct dpkg *d, struct package *p, void (*fn)(struct package *dep, void *ctx), void *ctx)
{
    AUTO_FREE char *list = xstrdup(p->depends);
    char *save = NULL;
    for (char *clause = strtok_r(list, ",", &save); clause; clause = strtok_r(NULL, ",", &save)) {
        char *save_alt = NULL;
        for (char *alt = strtok_r(clause, "|", &save_alt); alt; alt = strtok_r(NULL, "|", &save_alt)) {
            alt += strspn(alt, " ");
            alt[strcspn(alt, " (:[<")] = 0;
            struct package *dep = *alt ? map_get(&d->by_name, alt) : NULL;
            if (dep) {
                fn(dep, ctx);
                break;
            }
        }
    }
}
