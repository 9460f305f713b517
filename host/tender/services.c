/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the tender itself does for other commands:
 *
 *   kill NUMBER   that signal for the first process; 9 ends the instance
 *   stop SECONDS  SIGTERM, and the end of the instance after so long; then as wait
 *   wait          one message at the end: the exit status as text
 */
#include <errno.h>
#include <signal.h>
#include <string.h>

#include "host/tender/tender_impl.h"

#define STOP_MAX_SECONDS 1000000000u

static void on_kill(void *ctx, struct client *c, const char *args, size_t len)
{
    struct tender *t = ctx;
    u64 number;
    if (strlen(args) != len || parse_number(args, 1, 64, &number) < 0) {
        client_end(c, EINVAL, "a signal's number from 1 to 64 is needed");
        return;
    }
    if (number == SIGKILL)
        tender_kill(t);
    else
        tender_signal(t, (u32)number);
    client_end(c, 0, "");
}

static void on_stop(void *ctx, struct client *c, const char *args, size_t len)
{
    u64 seconds;
    if (strlen(args) != len || parse_number(args, 0, STOP_MAX_SECONDS, &seconds) < 0)
        client_end(c, EINVAL, "a number of seconds is needed");
    else
        tender_stop(ctx, seconds * 1000000000ull);
}

static void on_wait(void *ctx, struct client *c, const char *args, size_t len)
{
    (void)ctx;
    (void)args;
    if (len)
        client_end(c, EINVAL, "wait takes no arguments");
}

const struct tender_service tender_services[] = {
    {.name = "kill", .open = on_kill}, {.name = "stop", .open = on_stop}, {.name = "wait", .open = on_wait}, {0}};

static void tell_status(void *ctx, struct client *c)
{
    const char *text = ctx;
    client_send(c, text, strlen(text));
    client_end(c, 0, "");
}

void services_tell_end(struct tender *t, int status)
{
    AUTO_FREE char *text = str_format("%d", status);
    clients_settle(&t->clients);
    for (const struct tender_service *s = tender_services; s->name; s++)
        if (s->open != on_kill)
            clients_each(&t->clients, s, tell_status, text);
}
