/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a detached program writes: files in its entry (host/registry), one JSON object for each line as
 * Docker's json-file driver has them, {"log":"text\n","stream":"stdout","time":"..."}, so that its readers read them. log.json is the
 * newest; full, it becomes log.json.1, that .2, up to max_files in all, and the oldest goes. Lines longer than 16 KiB are cut in
 * pieces, of which only the last ends in \n. Bytes that are no UTF-8 become U+FFFD, as JSON wants text.
 */
#ifndef HOST_TENDER_LOGS_H
#define HOST_TENDER_LOGS_H

#include "host/registry/registry.h"

#define LOGS_FILE "log.json"
#define LOGS_MAX_FILES 100u
#define LOGS_MIN_BYTES 4096u

struct logs {
    u64 max_bytes;       /* of one file */
    unsigned max_files;
    int dir_fd, fd;      /* fd -1 = not open */
    u64 size_bytes;
    u64 lost_bytes;      /* the file system would not take them */
    struct buf line[2];  /* stdout, stderr: begun */
};

/* Open the newest file. 0 or -1. */
int logs_open(struct logs *l, const struct entry *e, struct error *err);
/* Sinks for streams (host/tender/stream.h); ctx is the struct logs. They always take everything. */
size_t logs_stdout(void *ctx, const char *data, size_t len);
size_t logs_stderr(void *ctx, const char *data, size_t len);
void logs_done(struct logs *l);

#endif
