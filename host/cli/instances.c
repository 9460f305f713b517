/* SPDX-License-Identifier: Apache-2.0 */
/* drupe ps, inspect, stop, kill, wait, rm: instances that live without this terminal. */
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>

#include "host/cli/cli.h"
#include "host/cli/common.h"
#include "host/client/client.h"
#include "host/lib/fs.h"

#define ANSWER_SECONDS 5
#define LET_GO_MS 5000 /* from the tender's last word to its end */

/* Options of these commands; each takes some of them. */
struct choice {
    bool all, force, json;
    const char *seconds, *signal;
};

static const struct option options[] = {{"all", no_argument, NULL, 'a'},       {"force", no_argument, NULL, 'f'},
                                        {"time", required_argument, NULL, 't'}, {"signal", required_argument, NULL, 's'},
                                        {"format", required_argument, NULL, 'F'}, {"help", no_argument, NULL, 'h'},
                                        {0}};

/* `takes`: the letters of its options. 0 go on, 1 help was printed, -1 error. */
static int parse(int argc, char **argv, const char *takes, struct choice *o, struct error *err)
{
    opterr = 0;
    for (int c; (c = getopt_long(argc, argv, "+:aft:s:h", options, NULL)) != -1;) {
        if (c == 'h') {
            help_instances();
            return 1;
        }
        bool bad = c == '?' || c == ':';
        if (bad || !strchr(takes, c)) {
            optopt = bad ? optopt : 0;
            return bad_option(argv[0], c, argv, err);
        }
        o->all |= c == 'a';
        o->force |= c == 'f';
        if (c == 't')
            o->seconds = optarg;
        else if (c == 's')
            o->signal = optarg;
        else if (c == 'F' && !(o->json = strcmp(optarg, "json") == 0) && strcmp(optarg, "table") != 0)
            return err_set(err, EXIT_DRUPE, "--format %s: say json or table", optarg);
    }
    if (!strchr(takes, 'a') && optind == argc)
        return err_set(err, EXIT_DRUPE, "%s: INSTANCE is missing; see drupe %s --help", argv[0], argv[0]);
    return 0;
}

/* fn for each INSTANCE; as Docker, the rest is tried after a failure, and the status is 1. */
static int for_each(int argc, char **argv, int (*fn)(struct entry *e, const struct choice *o, struct error *err),
                    const struct choice *o, struct error *err)
{
    int status = 0;
    for (int i = optind; i < argc; i++) {
        struct entry e = {.dir_fd = -1, .lock_fd = -1};
        *err = (struct error){0};
        if (entry_find(argv[i], &e, err) < 0 || fn(&e, o, err) < 0) {
            err_print(err);
            status = 1;
        }
        entry_done(&e);
    }
    return status;
}

/* --- ps -------------------------------------------------------------------------------- */

static char *state_words(struct entry *e)
{
    switch (entry_state(e)) {
    case ENTRY_CREATED:
        return xstrdup("Created");
    case ENTRY_RUNNING:
        return str_format("Up since %.19s", entry_text(e, "Started"));
    case ENTRY_EXITED:
        return str_format("Exited (%lld) %.19s", (long long)entry_number(e, "ExitCode"), entry_text(e, "Finished"));
    default:
        return xstrdup("Stale: its drupe process ended");
    }
}

static char *joined(const struct entry *e, const char *key, const char *between)
{
    struct json_object *a = NULL;
    struct buf out = {0};
    json_object_object_get_ex(e->state, key, &a);
    for (size_t i = 0; json_object_is_type(a, json_type_array) && i < json_object_array_length(a); i++)
        buf_addf(&out, "%s%s", i ? between : "", json_object_get_string(json_object_array_get_idx(a, i)) ?: "");
    char *text = xstrdup(out.data ? out.data : "");
    buf_done(&out);
    text_clean(text, strlen(text), ""); /* arguments may hold anything */
    return text;
}

static const char *state_word(struct entry *e)
{
    static const char *const words[] = {"created", "running", "exited", "stale"};
    return words[entry_state(e)];
}

static void print_entry(struct entry *e, bool json)
{
    AUTO_FREE char *state = state_words(e), *command = joined(e, "Command", " "), *ports = joined(e, "Ports", ", ");
    if (!json) {
        printf("%.12s   %-20s %-7s %-31s %-30.30s %s\n", e->id, e->name, entry_text(e, "Platform"), state, command, ports);
        return;
    }
    struct json_object *o = json_object_new_object();
    const char *const rows[][2] = {{"ID", e->id},       {"Names", e->name},   {"State", state_word(e)},
                                   {"Status", state},   {"Command", command}, {"Image", entry_text(e, "Image")},
                                   {"Ports", ports},    {"CreatedAt", entry_text(e, "Created")},
                                   {"Platform", entry_text(e, "Platform")}};
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        json_object_object_add(o, rows[i][0], json_object_new_string(rows[i][1]));
    puts(json_object_to_json_string_ext(o, JSON_C_TO_STRING_NOSLASHESCAPE));
    json_object_put(o);
}

int command_ps(int argc, char **argv, struct error *err)
{
    struct choice o = {0};
    struct entry *all;
    size_t n;
    int result = parse(argc, argv, "aF", &o, err);
    if (result != 0)
        return result < 0 ? -1 : 0;
    if (optind < argc && (o.all || o.json || optind + 1 < argc))
        return err_set(err, EXIT_DRUPE, "ps %s: one INSTANCE, without options", argv[optind]);
    if (optind < argc)
        return show_threads(argv[optind], err);
    if (entries_list(&all, &n, err) < 0)
        return -1;
    if (!o.json)
        printf("%-14s %-20s %-7s %-31s %-30s %s\n", "ID", "NAME", "ON", "STATUS", "COMMAND", "PORTS");
    for (size_t i = 0; i < n; i++)
        if (o.all || entry_state(&all[i]) == ENTRY_RUNNING || entry_state(&all[i]) == ENTRY_CREATED)
            print_entry(&all[i], o.json);
    entries_done(all, n);
    return 0;
}

/* --- inspect ------------------------------------------------------------------------------- */

int command_inspect(int argc, char **argv, struct error *err)
{
    struct choice o = {0};
    int result = parse(argc, argv, "F", &o, err), status = 0;
    if (result != 0)
        return result < 0 ? -1 : 0;
    struct json_object *all = json_object_new_array();
    for (int i = optind; i < argc; i++) {
        struct entry e;
        struct buf text = {0};
        if (entry_find(argv[i], &e, err) < 0) {
            err_print(err);
            status = 1;
            continue;
        }
        AUTO_FREE char *path = entry_path(&e, "config.json");
        entry_set_text(&e, "State", state_word(&e));
        if (file_read(path, 1 << 20, &text) == 0)
            json_object_object_add(e.state, "Config", json_tokener_parse(text.data));
        buf_done(&text);
        json_object_array_add(all, json_object_get(e.state));
        entry_done(&e);
    }
    puts(json_object_to_json_string_ext(all, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_NOSLASHESCAPE));
    json_object_put(all);
    return status;
}

/* --- stop, kill, wait ------------------------------------------------------------------------- */

/* Ask a service of the tender; its messages, one text, into ret. seconds: how long each may take; 0 = for ever. */
static int ask(struct entry *e, const char *service, const char *args, unsigned seconds, struct buf *ret, struct error *err)
{
    struct conversation c;
    struct timeval patience = {.tv_sec = seconds};
    int result = conversation_open(&c, e, service, args, strlen(args), err);
    if (result == 0 && seconds)
        setsockopt(c.fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    if (result == 0)
        while ((result = conversation_message(&c, ret, 65536, err)) > 0)
            ;
    if (result == 0 && c.error)
        result = conversation_failed(&c, e, err);
    conversation_done(&c);
    return result;
}

static int not_running(struct entry *e, struct error *err)
{
    return err_set(err, 1, "%s is not running (%s)", e->name, state_word(e));
}

static bool is_alive(struct entry *e)
{
    return entry_state(e) == ENTRY_RUNNING || entry_state(e) == ENTRY_CREATED;
}

static int stop_one(struct entry *e, const struct choice *o, struct error *err)
{
    struct buf status = {0};
    if (entry_state(e) == ENTRY_STALE)
        return not_running(e, err);
    if (is_alive(e) && ask(e, "stop", o->seconds, 0, &status, err) < 0)
        return -1;
    buf_done(&status);
    puts(e->name);
    return 0;
}

int command_stop(int argc, char **argv, struct error *err)
{
    struct choice o = {.seconds = "10"};
    u64 number;
    int result = parse(argc, argv, "t", &o, err);
    if (result != 0)
        return result < 0 ? -1 : 0;
    if (parse_number(o.seconds, 0, 1000000000, &number) < 0)
        return err_set(err, EXIT_DRUPE, "-t %s: a number of seconds is needed", o.seconds);
    return for_each(argc, argv, stop_one, &o, err);
}

static int signal_number(const char *text)
{
    u64 number;
    if (parse_number(text, 1, 64, &number) == 0)
        return (int)number;
    const char *name = strncasecmp(text, "SIG", 3) == 0 ? text + 3 : text;
    for (int i = 1; i < 32; i++)
        if (sigabbrev_np(i) && strcasecmp(sigabbrev_np(i), name) == 0)
            return i;
    return -1;
}

static int kill_one(struct entry *e, const struct choice *o, struct error *err)
{
    struct buf none = {0};
    AUTO_FREE char *number = str_format("%d", signal_number(o->signal));
    if (!is_alive(e))
        return not_running(e, err);
    int result = ask(e, "kill", number, ANSWER_SECONDS, &none, err);
    buf_done(&none);
    if (result == 0)
        puts(e->name);
    return result;
}

int command_kill(int argc, char **argv, struct error *err)
{
    struct choice o = {.signal = "KILL"};
    int result = parse(argc, argv, "s", &o, err);
    if (result != 0)
        return result < 0 ? -1 : 0;
    if (signal_number(o.signal) < 0)
        return err_set(err, EXIT_DRUPE, "-s %s: that is no signal's name or number", o.signal);
    return for_each(argc, argv, kill_one, &o, err);
}

/* The status that an ended one left. */
static bool left_status(struct entry *e, struct buf *ret)
{
    if (entry_state(e) != ENTRY_EXITED)
        return false;
    buf_addf(ret, "%lld", (long long)entry_number(e, "ExitCode"));
    return true;
}

static int wait_one(struct entry *e, const struct choice *o, struct error *err)
{
    (void)o;
    struct buf status = {0};
    int result = 0;
    if (entry_state(e) == ENTRY_STALE)
        return not_running(e, err);
    if (!left_status(e, &status))
        result = ask(e, "wait", "", 0, &status, err);
    struct entry now = {.dir_fd = -1, .lock_fd = -1};
    struct error gone; /* it ended while we asked */
    if (!status.len && entry_find(e->id, &now, &gone) == 0 && left_status(&now, &status))
        result = 0;
    entry_done(&now);
    u64 number;
    if (result == 0 && (!status.len || parse_number(status.data, 0, 255, &number) < 0))
        result = err_set(err, EXIT_DRUPE, "%s: its end was not told", e->name);
    if (result == 0)
        puts(status.data);
    buf_done(&status);
    return result;
}

int command_wait(int argc, char **argv, struct error *err)
{
    struct choice o = {0};
    int result = parse(argc, argv, "", &o, err);
    return result != 0 ? (result < 0 ? -1 : 0) : for_each(argc, argv, wait_one, &o, err);
}

/* --- rm ----------------------------------------------------------------------------------------- */

/* End it whatever its tender does: the instance's process ends with the tender. */
static int end_now(struct entry *e, struct error *err)
{
    AUTO_CLOSE int tender = entry_tender(e);
    struct pollfd p = {.fd = tender, .events = POLLIN};
    struct buf none = {0};
    struct error ignored;
    if (tender < 0)
        return 0; /* meanwhile */
    ask(e, "kill", "9", ANSWER_SECONDS, &none, &ignored);
    buf_done(&none);
    if (poll(&p, 1, LET_GO_MS) == 0)
        syscall(SYS_pidfd_send_signal, tender, SIGKILL, NULL, 0);
    if (poll(&p, 1, LET_GO_MS) == 0)
        return err_set(err, EXIT_DRUPE, "%s does not end", e->name);
    return 0;
}

static int rm_one(struct entry *e, const struct choice *o, struct error *err)
{
    if (is_alive(e) && !o->force)
        return err_set(err, 1, "%s is running; stop it first, or say rm -f", e->name);
    if (is_alive(e) && end_now(e, err) < 0)
        return -1;
    if (entry_remove(e, err) < 0)
        return -1;
    puts(e->name);
    return 0;
}

int command_rm(int argc, char **argv, struct error *err)
{
    struct choice o = {0};
    int result = parse(argc, argv, "f", &o, err);
    return result != 0 ? (result < 0 ? -1 : 0) : for_each(argc, argv, rm_one, &o, err);
}
