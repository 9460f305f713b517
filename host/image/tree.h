/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file tree of an image while it is put together: a list of paths in the
 * order in which they must be created (parents first), each with where its
 * content comes from. Paths are the image's and also, for what is taken from
 * the host, the host's. Nothing is copied before tree_stage().
 */
#ifndef HOST_IMAGE_TREE_H
#define HOST_IMAGE_TREE_H

#include "base/list.h"
#include "host/image/inputs.h"
#include "host/lib/error.h"

struct tree_node {
    struct list link;
    char *path;        /* absolute, in the image */
    u32 mode, uid, gid; /* type and permissions */
    u64 size;
    struct timespec mtime;
    u64 dev, ino;      /* of the host file when it has more than one link, else 0 */
    char *source;      /* regular file: host path, or NULL when `data` holds the content */
    struct buf data;   /* generated content, or the symlink's target */
    const char *why;   /* interned text for -V */
};

struct tree {
    struct list nodes;
    struct map by_path;
    struct map reasons;
    struct inputs *inputs;
    u64 total_bytes;
};

void tree_init(struct tree *t, struct inputs *inputs);
void tree_done(struct tree *t);
struct tree_node *tree_find(struct tree *t, const char *path);

/* Take a host path as it is: parent directories, and every symlink on the way with
 * what it points at. Directories are taken empty. Sockets and device nodes are left out.
 * ret_real (may be NULL) gets the final path behind all symlinks. -1: not there, or
 * unreadable (errno kept). Noted in the inputs. */
int tree_add_host(struct tree *t, const char *path, const char *why, char **ret_real, struct error *err);
/* Take a host file or tree under another name, followed by its content. */
int tree_add_as(struct tree *t, const char *source, const char *dst, const char *why, struct error *err);
/* Take a directory with everything in it. With world_readable_only, files that
 * others may not read stay behind. */
int tree_add_host_dir(struct tree *t, const char *path, const char *why, bool world_readable_only, struct error *err);
/* Generated entries; what is there already stays (returns false then). */
bool tree_add_dir(struct tree *t, const char *path, u32 mode, const char *why);
bool tree_add_data(struct tree *t, const char *path, u32 mode, const void *data, size_t len, const char *why);
bool tree_add_link(struct tree *t, const char *path, const char *target, const char *why);

/* Create everything below the directory `root`. */
int tree_stage(struct tree *t, const char *root, struct error *err);
/* With -V: what came from where, and how much. */
void tree_report(struct tree *t);

#endif
