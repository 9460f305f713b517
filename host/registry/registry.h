/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where instances are found again: one directory for each below $DRUPE_RUN, else $XDG_RUNTIME_DIR/drupe,
 * else /run/drupe (root) or /tmp/drupe-UID; all of it ours alone (0700, no symbolic links followed).
 *
 *   ID/lock        flock()ed by the tender as long as it lives
 *   ID/state.json  what `drupe inspect` shows; written by the tender (atomically), read by everybody
 *   ID/config.json the program's configuration
 *   ID/socket      clients of the running instance (host/tender/clients.h)
 *   ID/log.json... what a detached program wrote (host/tender/logs.h)
 *   .lock          flock()ed while a name is given or an entry removed
 *
 *   R1  An entry appears whole: it is made as ".new-ID", locked, filled, then renamed.
 *   R2  Whether an instance lives is asked of its lock alone: the kernel frees it with the tender, however that dies; a
 *       reboot frees all. No process number is believed in for that.
 *   R3  A name belongs to one entry; a dead tender's entry gives its name up to whoever wants it.
 */
#ifndef HOST_REGISTRY_REGISTRY_H
#define HOST_REGISTRY_REGISTRY_H

#include <json-c/json.h>

#include "host/lib/error.h"
#include "host/lib/util.h"

#define ID_LEN 64
#define SHORT_ID_LEN 12
#define SOCKET_NAME "socket"

/* What one looks like from outside. */
enum entry_state { ENTRY_CREATED, ENTRY_RUNNING, ENTRY_EXITED, ENTRY_STALE };

struct entry {
    char id[ID_LEN + 1];
    char *name;
    int dir_fd;
    int lock_fd;               /* the tender's own entry: the lock; else -1 */
    struct json_object *state; /* an object; its members are checked where they are used */
};

/* One for this process, which will be its tender; nobody sees it yet. name NULL: one is made of `stem`. */
int entry_init(struct entry *e, const char *name, const char *stem, struct error *err);
/* Put it where others find it, with what its state holds by now. It is done with where that fails. */
int entry_publish(struct entry *e, const char *config, struct error *err);
/* Write state.json anew. */
int entry_save(const struct entry *e, struct error *err);
/* Listen at ID/socket. The descriptor, or -1. */
int entry_listen(const struct entry *e, struct error *err);
/* Connect to it. The descriptor, or -1. */
int entry_connect(const struct entry *e, struct error *err);
/* Take it away. */
int entry_remove(const struct entry *e, struct error *err);
void entry_done(struct entry *e);

/* Of now: when its tender is gone, what that left is read, and texts from before are no more. */
enum entry_state entry_state(struct entry *e);
const char *entry_text(const struct entry *e, const char *key); /* "" when there is none */
s64 entry_number(const struct entry *e, const char *key);       /* 0 when there is none */
void entry_set_text(struct entry *e, const char *key, const char *value);
void entry_set_number(struct entry *e, const char *key, s64 value);
bool entry_flag(const struct entry *e, const char *key);
void entry_set_flag(struct entry *e, const char *key, bool value);
/* "2026-01-31T23:59:59.123456789Z" of now. */
void entry_set_now(struct entry *e, const char *key);
/* Only as long as the entry is alive: the tender, by a pidfd, or -1. */
int entry_tender(const struct entry *e);
char *entry_path(const struct entry *e, const char *file);

/* All of them, in order of creation. Entries of foreground runs and of --rm whose tender died are taken away; they
 * are in the list for the last time. The caller frees with entries_done(). */
int entries_list(struct entry **ret, size_t *ret_count, struct error *err);
void entries_done(struct entry *list, size_t count);
/* The one with that name, or whose id begins so. */
int entry_find(const char *what, struct entry *ret, struct error *err);

#endif
