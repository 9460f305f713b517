/* SPDX-License-Identifier: Apache-2.0 */
/* drupe logs: what a detached program has written (host/tender/logs.h). */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "host/cli/cli.h"
#include "host/cli/common.h"
#include "host/lib/fs.h"
#include "host/lib/time.h"
#include "host/tender/logs.h"

#define LOOK_AGAIN_NS 100000000
#define ALL UINT64_MAX

enum { OPT_SINCE = 256, OPT_UNTIL };

struct view {
    struct entry entry;
    bool follow, timestamps;
    char since[TIME_TEXT_MAX], until[TIME_TEXT_MAX]; /* as times stand in the files; "": no limit */
    u64 skip; /* so many lines are not wanted */
    bool inside[2]; /* a line of stdout, of stderr, goes on in the next piece */
};

static const struct option options[] = {{"follow", no_argument, NULL, 'f'}, {"tail", required_argument, NULL, 'n'},
                                        {"timestamps", no_argument, NULL, 't'}, {"since", required_argument, NULL, OPT_SINCE},
                                        {"until", required_argument, NULL, OPT_UNTIL}, {"help", no_argument, NULL, 'h'}, {0}};

static const char *text_of(struct json_object *o, const char *key)
{
    struct json_object *m = NULL;
    return json_object_object_get_ex(o, key, &m) && json_object_is_type(m, json_type_string) ? json_object_get_string(m) : NULL;
}

/* All times are UTC and have as many digits, so they can be compared as text. */
static bool wanted(const struct view *v, const char *time)
{
    return strcmp(time, v->since) >= 0 && (!v->until[0] || strcmp(time, v->until) <= 0);
}

static void print_piece(struct view *v, const char *stream, const char *time, const char *text, size_t len)
{
    bool err = strcmp(stream, "stderr") == 0;
    if (v->timestamps && !v->inside[err])
        fprintf(err ? stderr : stdout, "%s ", time);
    v->inside[err] = len && text[len - 1] != '\n';
    fwrite(text, 1, len, err ? stderr : stdout);
}

/* One line of a file to the stream it came from. Is it wanted? */
static bool take_line(struct view *v, const char *line, bool print)
{
    if (!print && !v->since[0] && !v->until[0])
        return true;
    struct json_object *o = json_tokener_parse(line), *log = NULL;
    const char *stream = o ? text_of(o, "stream") : NULL, *time = o ? text_of(o, "time") : NULL;
    bool good = stream && time && json_object_object_get_ex(o, "log", &log) && wanted(v, time);
    if (good && print && v->skip)
        v->skip--;
    else if (good && print)
        print_piece(v, stream, time, json_object_get_string(log), (size_t)json_object_get_string_len(log));
    json_object_put(o);
    return good;
}

/* All whole lines that the file has beyond what was read; `begun` keeps the rest. Returns how many are wanted. */
static u64 read_lines(struct view *v, int fd, struct buf *begun, bool print)
{
    char bytes[65536];
    u64 lines = 0;
    for (ssize_t n; (n = read(fd, bytes, sizeof(bytes))) > 0 || (n < 0 && errno == EINTR);) {
        buf_add(begun, bytes, n > 0 ? (size_t)n : 0);
        size_t at = 0;
        for (char *end; begun->len > at && (end = memchr(begun->data + at, '\n', begun->len - at)); at = (size_t)(end - begun->data) + 1) {
            *end = 0;
            lines += take_line(v, begun->data + at, print);
        }
        buf_drop(begun, at);
    }
    fflush(stdout);
    return lines;
}

static int open_file(const struct view *v, unsigned number)
{
    AUTO_FREE char *name = number ? str_format(LOGS_FILE ".%u", number) : xstrdup(LOGS_FILE);
    return openat(v->entry.dir_fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
}

/* The number that a file has by now; files move to higher ones. LOGS_MAX_FILES: it is gone. */
static unsigned number_of(const struct view *v, const struct stat *st)
{
    for (unsigned i = 0; i < LOGS_MAX_FILES; i++) {
        struct stat now;
        AUTO_CLOSE int fd = open_file(v, i);
        if (fd >= 0 && fstat(fd, &now) == 0 && now.st_ino == st->st_ino && now.st_dev == st->st_dev)
            return i;
    }
    return LOGS_MAX_FILES;
}

static unsigned oldest(const struct view *v)
{
    for (unsigned n = LOGS_MAX_FILES - 1; n > 0; n--) {
        AUTO_CLOSE int fd = open_file(v, n);
        if (fd >= 0)
            return n;
    }
    return 0;
}

static u64 count_lines(struct view *v)
{
    u64 lines = 0;
    for (unsigned i = oldest(v) + 1; i-- > 0;) {
        struct buf begun = {0};
        AUTO_CLOSE int fd = open_file(v, i);
        lines += fd >= 0 ? read_lines(v, fd, &begun, false) : 0;
        buf_done(&begun);
    }
    return lines;
}

static bool past(const char *until)
{
    char now[TIME_TEXT_MAX];
    time_text_now(9, now);
    return until[0] && strcmp(now, until) > 0;
}

/* From the oldest file to the newest, and with -f on, however often files move meanwhile. */
static void show(struct view *v)
{
    struct buf begun = {0};
    int fd = open_file(v, oldest(v));
    while (fd >= 0) {
        struct stat st;
        /* Asked before the last look, so that nothing is missed. What was read of its state is old: stale = it has ended. */
        enum entry_state state = entry_state(&v->entry);
        bool over = !v->follow || state == ENTRY_STALE || state == ENTRY_EXITED || past(v->until);
        read_lines(v, fd, &begun, true);
        if (fstat(fd, &st) < 0)
            break;
        unsigned number = number_of(v, &st);
        if (over && (number == 0 || fstat(v->entry.dir_fd, &st) < 0 || st.st_nlink == 0)) /* no links: --rm took all away */
            break;
        if (number == 0) {
            nanosleep(&(struct timespec){.tv_nsec = LOOK_AGAIN_NS}, NULL);
            continue;
        }
        read_lines(v, fd, &begun, true); /* what came before it was moved */
        close(fd);
        if (number == LOGS_MAX_FILES)
            warn("some lines are lost: their file was rotated away before it was read");
        fd = open_file(v, number == LOGS_MAX_FILES ? oldest(v) : number - 1);
    }
    if (fd >= 0)
        close(fd);
    buf_done(&begun);
}

static int parse_time(const char *option, const char *text, char ret[TIME_TEXT_MAX], struct error *err)
{
    struct timespec t;
    if (time_parse(text, &t) < 0)
        return err_set(err, EXIT_DRUPE, "logs: %s %s: a time is needed (2026-01-31T12:00:00Z), seconds since 1970, or how long ago (10m)", option, text);
    time_text(&t, 9, ret);
    return 0;
}

/* Where else it is, if it is not here. */
static int check_driver(const struct entry *e, struct error *err)
{
    const char *driver = entry_text(e, "LogDriver");
    if (!entry_flag(e, "Detached"))
        return err_set(err, 1, "%s does not run detached: what it writes goes to where it was started", e->name);
    if (strcmp(driver, "journald") == 0)
        return err_set(err, 1, "what %s writes goes to the journal: journalctl CONTAINER_ID_FULL=%s", e->name, e->id);
    if (strcmp(driver, "file") != 0 && driver[0])
        return err_set(err, 1, "what %s writes is not here: it was started with --log-driver %s", e->name, driver);
    return 0;
}

int command_logs(int argc, char **argv, struct error *err)
{
    struct view v = {0};
    u64 last = ALL;
    opterr = 0;
    for (int c; (c = getopt_long(argc, argv, "+:fn:th", options, NULL)) != -1;) {
        if (c == 'f')
            v.follow = true;
        else if (c == 't')
            v.timestamps = true;
        else if (c == 'n' && strcmp(optarg, "all") != 0 && parse_number(optarg, 0, ALL - 1, &last) < 0)
            return err_set(err, EXIT_DRUPE, "-n %s: a number of lines is needed, or all", optarg);
        else if (c == OPT_SINCE && parse_time("--since", optarg, v.since, err) < 0)
            return -1;
        else if (c == OPT_UNTIL && parse_time("--until", optarg, v.until, err) < 0)
            return -1;
        else if (c == 'h')
            return help_instances(), 0;
        else if (c == ':' || c == '?')
            return bad_option("logs", c, argv, err);
    }
    if (optind + 1 != argc)
        return err_set(err, EXIT_DRUPE, "logs: one INSTANCE is needed; see drupe logs --help");
    if (entry_find(argv[optind], &v.entry, err) < 0)
        return -1;
    int result = check_driver(&v.entry, err);
    if (result == 0) {
        u64 lines = last == ALL ? 0 : count_lines(&v);
        v.skip = lines > last && last != ALL ? lines - last : 0;
        show(&v);
    }
    entry_done(&v.entry);
    return result;
}
