/* SPDX-License-Identifier: Apache-2.0 */
/* Threads of an instance: see tasks.h. */
#include "host/client/tasks.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#define ANSWER_SECONDS 5

/* One line, without its end. The name is last and may have blanks. */
static bool parse_line(struct task_row *r, const char *line)
{
    int name = -1;
    *r = (struct task_row){0};
    unsigned long cpu, calls, voluntary, forced, rss;
    if (sscanf(line, "%u %u %u %c %lu %lu %lu %lu %lu %d %d %31s %n", &r->pid, &r->ppid, &r->tid, &r->state, &cpu, &calls, &voluntary,
               &forced, &rss, &r->nice, &r->call, r->waits_for, &name) != 12 || name < 0 || strlen(line + name) >= sizeof(r->name))
        return false;
    r->cpu_ns = cpu;
    r->calls = calls;
    r->voluntary = voluntary;
    r->forced = forced;
    r->rss_pages = rss;
    strcpy(r->name, line + name);
    return true;
}

int tasks_parse(struct tasks *t, const char *text, struct error *err)
{
    size_t lines = 0;
    for (const char *p = text; (p = strchr(p, '\n')); p++)
        lines++;
    *t = (struct tasks){.rows = xalloc((lines + 1) * sizeof(*t->rows)), .at_ns = now_ns()};
    for (const char *end; *text; text = end + 1) {
        end = strchrnul(text, '\n');
        AUTO_FREE char *line = xstrndup(text, (size_t)(end - text));
        text_clean(line, strlen(line), "");
        if (!*end || !parse_line(&t->rows[t->count++], line)) {
            tasks_done(t);
            return err_set(err, EXIT_DRUPE, "the instance's threads make no sense");
        }
    }
    return 0;
}

int tasks_open(struct conversation *c, const struct entry *e, struct error *err)
{
    struct timeval patience = {.tv_sec = ANSWER_SECONDS};
    if (conversation_open(c, e, "tasks", "", 0, err) < 0)
        return -1;
    setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    return 0;
}

int tasks_read(struct conversation *c, const struct entry *e, struct tasks *ret, struct error *err)
{
    struct buf text = {0};
    *ret = (struct tasks){0};
    conversation_send(c, "", 0); /* an end that has come is told by the next message */
    int result = conversation_message(c, &text, TASKS_TEXT_MAX, err);
    if (result == 0)
        result = conversation_failed(c, e, err);
    else if (result > 0)
        result = tasks_parse(ret, text.data ? text.data : "", err);
    buf_done(&text);
    return result < 0 ? -1 : 0;
}

const struct task_row *tasks_find(const struct tasks *t, u32 tid)
{
    for (size_t i = 0; i < t->count; i++)
        if (t->rows[i].tid == tid)
            return &t->rows[i];
    return NULL;
}

void tasks_done(struct tasks *t)
{
    free(t->rows);
    *t = (struct tasks){0};
}
