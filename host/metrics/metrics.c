/* SPDX-License-Identifier: Apache-2.0 */
/*
 * drupe-metrics ADDRESS PORT: serves the counters of all running instances to Prometheus (GET /metrics), until it
 * is ended. Started by `drupe stats --prometheus`. HTTP is libmicrohttpd's affair; one request is answered at a time.
 */
#include <errno.h>
#include <microhttpd.h>
#include <netdb.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "host/client/metrics.h"

#define MAX_CONNECTIONS 32
#define TIMEOUT_SECONDS 15

static enum MHD_Result reply(struct MHD_Connection *connection, unsigned status, const char *type, char *text, size_t len)
{
    struct MHD_Response *r = MHD_create_response_from_buffer(len, text, MHD_RESPMEM_MUST_COPY);
    if (!r)
        return MHD_NO;
    MHD_add_response_header(r, "Content-Type", type);
    enum MHD_Result result = MHD_queue_response(connection, status, r);
    MHD_destroy_response(r);
    return result;
}

static enum MHD_Result on_request(void *ctx, struct MHD_Connection *connection, const char *url, const char *method,
                                  const char *version, const char *upload, size_t *upload_size, void **request)
{
    static char not_found[] = "see /metrics\n", not_allowed[] = "only GET\n";
    (void)ctx;
    (void)version;
    (void)upload;
    (void)request;
    if (*upload_size)
        return MHD_NO;
    if (strcmp(method, "GET") != 0)
        return reply(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "text/plain", not_allowed, sizeof(not_allowed) - 1);
    if (strcmp(url, "/metrics") != 0)
        return reply(connection, MHD_HTTP_NOT_FOUND, "text/plain", not_found, sizeof(not_found) - 1);
    struct buf text = {0};
    struct error err = {0};
    unsigned status = MHD_HTTP_OK;
    if (metrics_expose_all(&text, &err) < 0) {
        status = MHD_HTTP_INTERNAL_SERVER_ERROR;
        buf_addf(&text, "%s\n", err.text);
    }
    enum MHD_Result result = reply(connection, status, "text/plain; version=0.0.4; charset=utf-8", text.data ? text.data : not_found,
                                   text.len);
    buf_done(&text);
    return result;
}

int main(int argc, char **argv)
{
    struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE, .ai_socktype = SOCK_STREAM}, *a;
    sigset_t set;
    int number;
    if (argc != 3 || getaddrinfo(argv[1], argv[2], &hints, &a) != 0) {
        warn("drupe-metrics: an address and a port are needed");
        return EXIT_DRUPE;
    }
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    unsigned flags = MHD_USE_INTERNAL_POLLING_THREAD | (a->ai_family == AF_INET6 ? MHD_USE_IPv6 : 0u);
    struct MHD_Daemon *d = MHD_start_daemon(flags, 0, NULL, NULL, on_request, NULL, MHD_OPTION_SOCK_ADDR, a->ai_addr,
                                            MHD_OPTION_CONNECTION_LIMIT, (unsigned)MAX_CONNECTIONS, MHD_OPTION_CONNECTION_TIMEOUT,
                                            (unsigned)TIMEOUT_SECONDS, MHD_OPTION_LISTENING_ADDRESS_REUSE, 1u, MHD_OPTION_END);
    int problem = errno;
    freeaddrinfo(a);
    if (!d) {
        warn("stats --prometheus: cannot listen on %s, port %s: %s", argv[1], argv[2], strerror(problem));
        return EXIT_DRUPE;
    }
    sigwait(&set, &number);
    MHD_stop_daemon(d);
    return 0;
}
