/* SPDX-License-Identifier: Apache-2.0 */
/* A conversation with the kernel's service "bpf" (abi/bpf.h). What the kernel says is checked; output that comes between is kept in order. */
#ifndef HOST_BPF_SESSION_H
#define HOST_BPF_SESSION_H

#include "host/bpf/unit.h"
#include "host/client/client.h"

struct session {
    struct conversation talk;
    const struct entry *entry;
    struct world world;
    u32 sent, answered;    /* tags of the last request and reply */
    struct buf output;     /* records that came; those up to output_at were taken */
    size_t output_at;
    struct buf message, record;
    bool ended;            /* the program has; requests are answered for a moment */
    u32 *attached, nattached; /* numbers of attachments */
};

/* Hello and tracepoints. 0 or -1. */
int session_open(struct session *s, const struct entry *e, u32 flags, struct error *err);
/*
 * A request: its structure, then bytes. 0 when it was answered, whatever the answer (ret->error); ret_data (may be NULL) is filled anew.
 * -1: the conversation has ended.
 */
int session_ask(struct session *s, u32 type, const void *head, size_t head_len, const void *data, size_t len, struct bpfd_reply *ret, struct buf *ret_data,
                struct error *err);
/* What comes by itself: wait for it. 1; 0: the instance has ended; -1. */
int session_wait(struct session *s, struct error *err);
/* The next record of what has come; data until the next call. False: there is none. */
bool session_output(struct session *s, struct bpfd_record *ret, const u8 **ret_data);
/* All elements of a map, one by one: key and values, as BPFD_MAP_DUMP has them. 0 or -1. */
int session_dump(struct session *s, const struct unit *u, u32 map, void (*fn)(void *ctx, const u8 *key, const u8 *values), void *ctx, struct error *err);
u32 session_values_size(const struct session *s, const struct unit_map *m); /* of one element, all CPUs, padded */
bool map_is_percpu(u32 type);
/* Maps with what they hold first, and programs. text: what words were made of; NULL. 0, or -1 with the verifier's reason and the place. */
int session_load(struct session *s, const struct unit *u, const char *text, size_t text_len, struct error *err);
/* Everything but BEGIN and END, which are run by session_run(). */
int session_attach(struct session *s, const struct unit *u, struct error *err);
int session_detach(struct session *s, struct error *err);
int session_flush(struct session *s, struct error *err); /* all output until now has come */
int session_run(struct session *s, const struct unit *u, u32 where, struct error *err);
/* Runs and misses of all programs. */
int session_stats(struct session *s, const struct unit *u, struct bpfd_stats *ret, struct error *err);
void session_done(struct session *s);

#endif
