/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lines as datagrams: to systemd's journal by its native protocol (systemd.io/JOURNAL_NATIVE_PROTOCOL) with Docker's fields, and to syslog as
 * RFC 5424 has it. Both go through l->waiting, so that their order is kept whatever the other side does.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "host/lib/time.h"
#include "host/tender/logs.h"

#define JOURNAL "/run/systemd/journal/socket" /* or $DRUPE_JOURNAL_SOCKET */
#define SYSLOG "unixgram:///dev/log"
#define SYSLOG_PORT 514
#define RETRY_NS 200000000ull
#define SEVERITY_ERROR 3u
#define SEVERITY_INFO 6u
#define TAG_MAX 48 /* APP-NAME of RFC 5424 */

/* --- the socket ------------------------------------------------------------------------------------- */

union address {
    struct sockaddr any;
    struct sockaddr_un un;
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
};

static socklen_t unix_address(const char *path, union address *ret)
{
    *ret = (union address){.un.sun_family = AF_UNIX};
    if (path[0] != '/' || strlen(path) >= sizeof(ret->un.sun_path))
        return 0;
    strcpy(ret->un.sun_path, path);
    return sizeof(ret->un);
}

/* IP, IP:PORT, [IP6], [IP6]:PORT. */
static socklen_t udp_address(const char *text, union address *ret)
{
    bool six = text[0] == '[';
    AUTO_FREE char *host = xstrndup(text + six, strcspn(text + six, six ? "]" : ":"));
    const char *rest = text + six + strlen(host) + six;
    u64 port = SYSLOG_PORT;
    *ret = (union address){.any.sa_family = six ? AF_INET6 : AF_INET};
    if ((six && text[1 + strlen(host)] != ']') || (*rest && (*rest != ':' || parse_number(rest + 1, 1, 65535, &port) < 0)) ||
        inet_pton(ret->any.sa_family, host, six ? (void *)&ret->in6.sin6_addr : (void *)&ret->in.sin_addr) != 1)
        return 0;
    if (six)
        ret->in6.sin6_port = htons((u16)port);
    else
        ret->in.sin_port = htons((u16)port);
    return six ? sizeof(ret->in6) : sizeof(ret->in);
}

/* Length, 0: that is none. */
static socklen_t parse_address(const struct logs *l, union address *ret)
{
    const char *text = l->address ?: SYSLOG;
    if (l->driver != &log_syslog)
        return unix_address(getenv("DRUPE_JOURNAL_SOCKET") ?: JOURNAL, ret);
    if (str_has_prefix(text, "unixgram://"))
        return unix_address(text + 11, ret);
    return str_has_prefix(text, "udp://") ? udp_address(text + 6, ret) : 0;
}

/* 0 or -errno. */
static int connect_socket(struct logs *l)
{
    union address a;
    socklen_t len = parse_address(l, &a);
    if (l->fd >= 0)
        close(TAKE_FD(l->fd));
    AUTO_CLOSE int fd = len ? socket(a.any.sa_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0) : -1;
    if (!len)
        return -EINVAL;
    if (fd < 0 || connect(fd, &a.any, len) < 0)
        return -errno;
    l->fd = TAKE_FD(fd);
    return 0;
}

/* 1 sent, 0 not now, -1 never. */
static int send_one(struct logs *l, const char *data, size_t len)
{
    for (int attempt = 0; attempt < 2; attempt++) {
        if (l->fd < 0 && connect_socket(l) < 0)
            break;
        if (send(l->fd, data, len, MSG_NOSIGNAL) >= 0)
            return 1;
        if (errno == EAGAIN)
            return 0; /* poll() says when */
        if (errno == EMSGSIZE)
            return -1;
        if (errno != EINTR)
            close(TAKE_FD(l->fd)); /* who listened there has gone; perhaps somebody else does by now */
    }
    l->retry_ns = now_ns() + RETRY_NS;
    return 0;
}

void log_socket_serve(struct logs *l)
{
    size_t done = 0;
    if (l->retry_ns && now_ns() < l->retry_ns)
        return;
    l->retry_ns = 0;
    while (done < l->waiting.len) {
        u32 len;
        memcpy(&len, l->waiting.data + done, sizeof(len));
        int r = send_one(l, l->waiting.data + done + sizeof(len), len);
        if (r == 0)
            break;
        l->lost_bytes += r < 0 ? len : 0;
        done += sizeof(len) + len;
    }
    buf_drop(&l->waiting, done);
}

static void queue_datagram(struct logs *l, const struct buf *b)
{
    u32 len = (u32)b->len;
    bool first = l->waiting.len == 0;
    buf_add(&l->waiting, &len, sizeof(len));
    buf_add(&l->waiting, b->data, b->len);
    if (first)
        log_socket_serve(l);
}

static int open_socket(struct logs *l, struct error *err)
{
    int r = connect_socket(l);
    if (r == -EINVAL && l->address)
        return err_set(err, EXIT_DRUPE, "--log-opt syslog-address=%s: say udp://IP[:PORT] or unixgram://PATH", l->address);
    errno = -r;
    return r < 0 ? err_errno(err, EXIT_DRUPE, "--log-driver %s: nobody listens", l->driver->name) : 0;
}

static const char *tag_of(const struct logs *l, const struct entry *e, char ret[TAG_MAX + 1])
{
    snprintf(ret, TAG_MAX + 1, "%.*s", l->tag ? TAG_MAX : SHORT_ID_LEN, l->tag ?: e->id);
    for (char *c = ret; *c; c++)
        *c = *c <= ' ' || *c > '~' ? '_' : *c;
    return ret;
}

/* --- journald ------------------------------------------------------------------------------------------ */

static void add_field(struct buf *b, const char *name, const char *data, size_t len)
{
    if (memchr(data, '\n', len)) {
        u64 size = len; /* little-endian, as we are */
        buf_addf(b, "%s\n", name);
        buf_add(b, &size, sizeof(size));
    } else {
        buf_addf(b, "%s=", name);
    }
    buf_add(b, data, len);
    buf_addf(b, "\n");
}

static int open_journald(struct logs *l, const struct entry *e, struct error *err)
{
    char tag[TAG_MAX + 1];
    struct buf b = {0};
    tag_of(l, e, tag);
    add_field(&b, "CONTAINER_ID", e->id, SHORT_ID_LEN);
    add_field(&b, "CONTAINER_ID_FULL", e->id, ID_LEN);
    add_field(&b, "CONTAINER_NAME", e->name, strlen(e->name));
    add_field(&b, "CONTAINER_TAG", tag, strlen(tag));
    add_field(&b, "IMAGE_NAME", entry_text(e, "Image"), strlen(entry_text(e, "Image")));
    add_field(&b, "SYSLOG_IDENTIFIER", tag, strlen(tag));
    for (unsigned i = 0; i < 2; i++)
        l->header[i] = str_format("%sPRIORITY=%u\n", b.data, i ? SEVERITY_ERROR : SEVERITY_INFO);
    buf_done(&b);
    return open_socket(l, err);
}

static void put_journald(struct logs *l, unsigned stream, const char *data, size_t len)
{
    struct buf b = {0};
    bool whole = len && data[len - 1] == '\n';
    buf_addf(&b, "%s%s", l->header[stream], whole ? "" : "CONTAINER_PARTIAL_MESSAGE=true\n");
    add_field(&b, "MESSAGE", data, len - whole);
    queue_datagram(l, &b);
    buf_done(&b);
}

/* --- syslog ---------------------------------------------------------------------------------------------- */

int log_socket_facility(const char *name)
{
    static const char *const names[] = {"kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp",
                                        "", "", "", "", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7"};
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        if (*name && strcmp(names[i], name) == 0)
            return (int)i;
    return -1;
}

static int open_syslog(struct logs *l, const struct entry *e, struct error *err)
{
    char tag[TAG_MAX + 1], host[256] = "-";
    gethostname(host, sizeof(host) - 1);
    l->priority = (u32)log_socket_facility(l->facility ?: "daemon") * 8;
    l->header[0] = str_format("%s %s %d - -", host, tag_of(l, e, tag), (int)getpid());
    return open_socket(l, err);
}

static void put_syslog(struct logs *l, unsigned stream, const char *data, size_t len)
{
    struct buf b = {0};
    char when[TIME_TEXT_MAX];
    time_text_now(6, when);
    buf_addf(&b, "<%u>1 %s %s ", l->priority + (stream ? SEVERITY_ERROR : SEVERITY_INFO), when, l->header[0]);
    buf_add(&b, data, len - (len && data[len - 1] == '\n'));
    queue_datagram(l, &b);
    buf_done(&b);
}

/* --- none --------------------------------------------------------------------------------------------------- */

static int open_none(struct logs *l, const struct entry *e, struct error *err) { return 0; }
static void put_none(struct logs *l, unsigned stream, const char *data, size_t len) {}

const struct log_driver log_journald = {"journald", open_journald, put_journald}, log_syslog = {"syslog", open_syslog, put_syslog},
                        log_none = {"none", open_none, put_none};
