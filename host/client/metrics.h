/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The counters of running instances: the kernel's service "stats" (kernel/init/stats.c has the format), checked, with
 * what the host knows of the instance's processes, as JSON and in Prometheus' text format.
 */
#ifndef HOST_CLIENT_METRICS_H
#define HOST_CLIENT_METRICS_H

#include "host/client/client.h"

#define METRICS_TEXT_MAX (4u << 20)

struct metric {
    char *name;   /* "tcp_connections" */
    char *labels; /* "state=\"listen\"", may be "" */
    char *value;  /* decimal */
};
struct metrics {
    struct metric *rows;
    size_t count;
};

/* A conversation that gives a sample for each metrics_read(). */
int metrics_open(struct conversation *c, const struct entry *e, struct error *err);
int metrics_read(struct conversation *c, const struct entry *e, struct metrics *ret, struct error *err);
/* Lines of the kernel's text; a line that is none is an error. */
int metrics_parse(struct metrics *m, const char *text, struct error *err);
/* Of the row with that name and, unless NULL, that label ("use=\"free\""); 0 when there is none. */
double metrics_value(const struct metrics *m, const char *name, const char *label);
double metrics_sum(const struct metrics *m, const char *name);
void metrics_done(struct metrics *m);

/* The value of a label of a row, or NULL. The caller frees. */
char *metric_label(const struct metric *m, const char *key);
struct json_object *metrics_json(const struct metrics *m);

/* Several instances' metrics in Prometheus' text format: for each name its HELP and TYPE, then all rows. */
struct exposition {
    const struct entry *entries;
    const struct metrics *metrics; /* of the entry with the same index; no rows: it did not answer */
    size_t count;
};
void exposition_text(const struct exposition *x, struct buf *ret);

/* Ask each running instance, at most so long, and write them all. */
int metrics_expose_all(struct buf *ret, struct error *err);

#endif
