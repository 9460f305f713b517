/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The OCI runtime-spec config.json that tells an instance what to run
 * (abi/boot.h): read from an image, changed by the options of `drupe run`,
 * written again for the kernel.
 */
#ifndef HOST_IMAGE_CONFIG_H
#define HOST_IMAGE_CONFIG_H

#include "host/lib/error.h"
#include "host/lib/util.h"

struct json_object;

struct config {
    struct json_object *root;
};

/* A fresh configuration with Drupe's defaults and no args. */
void config_init(struct config *c);
/* From text; what is there is kept, also what we do not understand. */
int config_parse(struct config *c, const char *text, size_t len, const char *name, struct error *err);
void config_done(struct config *c);

void config_set_args(struct config *c, char *const *args, size_t count);
void config_append_args(struct config *c, char *const *args, size_t count);
size_t config_arg_count(const struct config *c);
const char *config_arg(const struct config *c, size_t index);
/* "K=V" sets, "K" takes the value of this process, if it has one. */
void config_set_env(struct config *c, const char *assignment);
const char *config_env(const struct config *c, const char *name); /* NULL when unset */
void config_set_cwd(struct config *c, const char *cwd);
void config_set_user(struct config *c, u32 uid, u32 gid, const u32 *groups, size_t count);
/* `type` as in RLIMIT_TYPE, in small letters; UINT64_MAX: unlimited. What was said of it before goes. */
void config_set_rlimit(struct config *c, const char *type, u64 soft, u64 hard);
/* process.user's numbers; 0 when they are not there. */
void config_user(const struct config *c, u32 *ret_uid, u32 *ret_gid);
/* One more mount; options are copied. */
void config_add_mount(struct config *c, const char *type, const char *source, const char *destination,
                      const struct strv *options);
void config_set_hostname(struct config *c, const char *name);
void config_set_terminal(struct config *c, bool terminal);
void config_set_annotation(struct config *c, const char *key, const char *value); /* NULL removes */
/* JSON text; the caller frees. */
char *config_text(const struct config *c);

#endif
