/* SPDX-License-Identifier: Apache-2.0 */
/* config.json: see config.h. */
#include "host/image/config.h"

#include <ctype.h>
#include <json-c/json.h>
#include <string.h>

#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

typedef struct json_object json;

static json *child(json *parent, const char *key, enum json_type type)
{
    json *o = NULL;
    if (json_object_object_get_ex(parent, key, &o) && json_object_is_type(o, type))
        return o;
    o = type == json_type_array ? json_object_new_array() : json_object_new_object();
    json_object_object_add(parent, key, o);
    return o;
}

static json *process(const struct config *c) { return child(c->root, "process", json_type_object); }

void config_init(struct config *c)
{
    c->root = json_object_new_object();
    json_object_object_add(c->root, "ociVersion", json_object_new_string("1.0.2"));
    json *p = process(c);
    json_object_object_add(p, "terminal", json_object_new_boolean(false));
    config_set_user(c, 0, 0, NULL, 0);
    child(p, "args", json_type_array);
    config_set_env(c, "PATH=" DEFAULT_PATH);
    config_set_env(c, "HOME=/root");
    config_set_cwd(c, "/");
    json_object_object_add(child(c->root, "root", json_type_object), "path", json_object_new_string("/"));
    config_set_hostname(c, "drupe");
}

static int expect(json *parent, const char *key, enum json_type type, const char *where, struct error *err)
{
    json *o = NULL;
    if (!json_object_object_get_ex(parent, key, &o) || json_object_is_type(o, type))
        return 0;
    return err_set(err, EXIT_DRUPE, "%s%s is %s and not %s", where, key, json_type_to_name(json_object_get_type(o)),
                   json_type_to_name(type));
}

static int expect_strings(json *parent, const char *key, const char *where, struct error *err)
{
    json *list = NULL;
    if (expect(parent, key, json_type_array, where, err) < 0)
        return -1;
    if (!json_object_object_get_ex(parent, key, &list))
        return 0;
    for (size_t i = 0; i < json_object_array_length(list); i++) {
        json *item = json_object_array_get_idx(list, i);
        if (!json_object_is_type(item, json_type_string) ||
            strlen(json_object_get_string(item)) != (size_t)json_object_get_string_len(item))
            return err_set(err, EXIT_DRUPE, "%s%s[%zu] is not a string", where, key, i);
    }
    return 0;
}

int config_parse(struct config *c, const char *text, size_t len, const char *name, struct error *err)
{
    struct json_tokener *tokener = json_tokener_new_ex(32);
    json *root = json_tokener_parse_ex(tokener, text, (int)MIN(len, (size_t)1 << 24));
    enum json_tokener_error problem = json_tokener_get_error(tokener);
    json_tokener_free(tokener);
    if (!root)
        return err_set(err, EXIT_DRUPE, "%s: %s", name, json_tokener_error_desc(problem));
    c->root = root;
    json *p = NULL;
    if (!json_object_is_type(root, json_type_object)) {
        err_set(err, EXIT_DRUPE, "not an object");
    } else if (expect(root, "process", json_type_object, "", err) == 0 &&
               expect(root, "annotations", json_type_object, "", err) == 0 &&
               expect(root, "hostname", json_type_string, "", err) == 0) {
        p = process(c);
        if (expect_strings(p, "args", "process.", err) == 0 && expect_strings(p, "env", "process.", err) == 0 &&
            expect(p, "cwd", json_type_string, "process.", err) == 0 &&
            expect(p, "user", json_type_object, "process.", err) == 0)
            return 0;
    }
    config_done(c);
    return err_prefix(err, "%s", name);
}

void config_done(struct config *c)
{
    json_object_put(c->root);
    c->root = NULL;
}

void config_append_args(struct config *c, char *const *args, size_t count)
{
    json *list = child(process(c), "args", json_type_array);
    for (size_t i = 0; i < count; i++)
        json_object_array_add(list, json_object_new_string(args[i]));
}

void config_set_args(struct config *c, char *const *args, size_t count)
{
    json_object_object_add(process(c), "args", json_object_new_array());
    config_append_args(c, args, count);
}

size_t config_arg_count(const struct config *c)
{
    return json_object_array_length(child(process(c), "args", json_type_array));
}

const char *config_arg(const struct config *c, size_t index)
{
    return json_object_get_string(json_object_array_get_idx(child(process(c), "args", json_type_array), index));
}

/* Index of NAME= in the environment; -1 when it is not there. */
static ssize_t find_env(json *env, const char *name, size_t len)
{
    for (size_t i = 0; i < json_object_array_length(env); i++) {
        const char *s = json_object_get_string(json_object_array_get_idx(env, i));
        if (strncmp(s, name, len) == 0 && s[len] == '=')
            return (ssize_t)i;
    }
    return -1;
}

void config_set_env(struct config *c, const char *assignment)
{
    AUTO_FREE char *text = NULL;
    if (strchr(assignment, '=')) {
        text = xstrdup(assignment);
    } else {
        const char *value = getenv(assignment);
        if (!value)
            return;
        text = str_format("%s=%s", assignment, value);
    }
    json *env = child(process(c), "env", json_type_array);
    ssize_t i = find_env(env, text, strcspn(text, "="));
    if (i >= 0)
        json_object_array_put_idx(env, (size_t)i, json_object_new_string(text));
    else
        json_object_array_add(env, json_object_new_string(text));
}

const char *config_env(const struct config *c, const char *name)
{
    json *env = child(process(c), "env", json_type_array);
    ssize_t i = find_env(env, name, strlen(name));
    return i < 0 ? NULL : json_object_get_string(json_object_array_get_idx(env, (size_t)i)) + strlen(name) + 1;
}

void config_set_cwd(struct config *c, const char *cwd)
{
    json_object_object_add(process(c), "cwd", json_object_new_string(cwd));
}

void config_set_user(struct config *c, u32 uid, u32 gid, const u32 *groups, size_t count)
{
    json *user = json_object_new_object();
    json_object_object_add(user, "uid", json_object_new_int64(uid));
    json_object_object_add(user, "gid", json_object_new_int64(gid));
    if (count) {
        json *list = json_object_new_array();
        for (size_t i = 0; i < count; i++)
            json_object_array_add(list, json_object_new_int64(groups[i]));
        json_object_object_add(user, "additionalGids", list);
    }
    json_object_object_add(process(c), "user", user);
}

static bool is_limit(json *o, const char *name)
{
    const char *type = json_object_get_string(json_object_object_get(o, "type"));
    return type && strcmp(type, name) == 0;
}

void config_set_rlimit(struct config *c, const char *type, u64 soft, u64 hard)
{
    json *list = child(process(c), "rlimits", json_type_array), *limit = json_object_new_object();
    AUTO_FREE char *name = str_format("RLIMIT_%s", type);
    for (char *p = name; *p; p++)
        *p = (char)toupper(*p);
    for (size_t i = json_object_array_length(list); i-- > 0;)
        if (is_limit(json_object_array_get_idx(list, i), name))
            json_object_array_del_idx(list, i, 1);
    json_object_object_add(limit, "type", json_object_new_string(name));
    json_object_object_add(limit, "soft", json_object_new_uint64(soft));
    json_object_object_add(limit, "hard", json_object_new_uint64(hard));
    json_object_array_add(list, limit);
}

void config_user(const struct config *c, u32 *ret_uid, u32 *ret_gid)
{
    json *user = child(process(c), "user", json_type_object), *n = NULL;
    *ret_uid = json_object_object_get_ex(user, "uid", &n) ? (u32)json_object_get_int64(n) : 0;
    *ret_gid = json_object_object_get_ex(user, "gid", &n) ? (u32)json_object_get_int64(n) : 0;
}

void config_add_mount(struct config *c, const char *type, const char *source, const char *destination,
                      const struct strv *options)
{
    json *m = json_object_new_object(), *list = json_object_new_array();
    json_object_object_add(m, "destination", json_object_new_string(destination));
    json_object_object_add(m, "type", json_object_new_string(type));
    json_object_object_add(m, "source", json_object_new_string(source));
    for (size_t i = 0; i < options->count; i++)
        json_object_array_add(list, json_object_new_string(options->items[i]));
    json_object_object_add(m, "options", list);
    json_object_array_add(child(c->root, "mounts", json_type_array), m);
}

void config_set_hostname(struct config *c, const char *name)
{
    json_object_object_add(c->root, "hostname", json_object_new_string(name));
}

void config_set_terminal(struct config *c, bool terminal)
{
    json_object_object_add(process(c), "terminal", json_object_new_boolean(terminal));
}

void config_set_annotation(struct config *c, const char *key, const char *value)
{
    json *list = child(c->root, "annotations", json_type_object);
    if (value)
        json_object_object_add(list, key, json_object_new_string(value));
    else
        json_object_object_del(list, key);
}

char *config_text(const struct config *c)
{
    return str_format("%s\n", json_object_to_json_string_ext(c->root, JSON_C_TO_STRING_PLAIN |
                                                                          JSON_C_TO_STRING_NOSLASHESCAPE));
}
