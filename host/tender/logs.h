/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a detached program writes goes to a driver, line by line. Lines longer than 16 KiB are cut in pieces, of which only the last ends in
 * \n. The drivers:
 *
 *   file      files in its entry (host/registry), log_file.c: one JSON object for each line as Docker's json-file driver has them,
 *             {"log":"text\n","stream":"stdout","time":"..."}, so that its readers read them. log.json is the newest; full, it becomes log.json.1,
 *             that .2, up to max_files in all, and the oldest goes. Bytes that are no UTF-8 become U+FFFD, as JSON wants text.
 *   journald, syslog   one datagram for each line, log_socket.c. What the other side does not take, or is not there to take, waits in
 *             memory; with LOGS_WAITING_MAX waiting nothing more is taken from the program, which then waits, too. So a slow
 *             reader, or one that is started anew, loses nothing, but for what it had in its own socket.
 *   none      nothing is kept
 */
#ifndef HOST_TENDER_LOGS_H
#define HOST_TENDER_LOGS_H

#include <poll.h>

#include "host/registry/registry.h"

#define LOGS_FILE "log.json"
#define LOGS_MAX_FILES 100u
#define LOGS_MIN_BYTES 4096u
#define LOGS_WAITING_MAX (1u << 20)

struct logs;
struct log_driver {
    const char *name;
    /* 0 or -1. */
    int (*open)(struct logs *l, const struct entry *e, struct error *err);
    /* A line or a piece of one: always taken. */
    void (*put)(struct logs *l, unsigned stream, const char *data, size_t len);
};
extern const struct log_driver log_file, log_journald, log_syslog, log_none;

struct logs {
    const struct log_driver *driver;
    /* options of file */
    u64 max_bytes;       /* of one file */
    unsigned max_files;
    /* options of journald and syslog; NULL: what their manuals say */
    const char *tag, *address, *facility;

    int dir_fd, fd;      /* fd -1 = not open */
    u64 size_bytes;
    u64 lost_bytes;      /* the file system, or nobody until the end, would take them */
    struct buf line[2];  /* stdout, stderr: begun */
    struct buf waiting;  /* datagrams: u32 length, bytes */
    u64 retry_ns;        /* the next attempt, on now_ns()'s clock; 0: when the socket says so */
    u32 priority;        /* of syslog: the facility times 8 */
    char *header[2];     /* what each datagram of a stream begins with, or has in common */
};

/* "max-size=10M" and the like. 0 or -1. */
int logs_driver(struct logs *l, const char *name, struct error *err);
int logs_option(struct logs *l, const char *text, struct error *err);
/* 0 or -1: an option is not this driver's, or it cannot be reached. */
int logs_open(struct logs *l, const struct entry *e, struct error *err);
/* Sinks for streams (host/tender/stream.h); ctx is the struct logs. */
size_t logs_stdout(void *ctx, const char *data, size_t len);
size_t logs_stderr(void *ctx, const char *data, size_t len);
/* Add what to wait for, at most one entry, and lower *deadline_ns; how many. Then, behind poll(), do what there is to do. */
size_t logs_poll(struct logs *l, struct pollfd *fds, u64 *deadline_ns);
void logs_serve(struct logs *l);
/* Nobody takes it: what waits is lost, and counted. */
void logs_give_up(struct logs *l);
/* Does anything still wait for the reader? */
static inline bool logs_pending(const struct logs *l) { return l && l->waiting.len != 0; }
void logs_done(struct logs *l);

/* log_socket.c: is it the name of a facility; send what waits. */
int log_socket_facility(const char *name); /* -1: there is none */
void log_socket_serve(struct logs *l);

#endif
