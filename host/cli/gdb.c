/* SPDX-License-Identifier: Apache-2.0 */
/* drupe gdb, drupe stack: gdb for a running instance, which speaks to `drupe gdb --server` through a pipe. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "abi/profile.h"
#include "host/cli/cli.h"
#include "host/cli/common.h"
#include "host/client/jit.h"
#include "host/client/tasks.h"
#include "host/debug/server.h"
#include "host/lib/fs.h"

enum { OPT_SERVER = 256, OPT_OWNED, OPT_SNAPSHOT, OPT_NAMES, OPT_HELP };

static const struct option options[] = {{"server", no_argument, NULL, OPT_SERVER},
                                        {"owned", no_argument, NULL, OPT_OWNED}, /* by run --gdb: gdb's end is the program's */
                                        {"snapshot", no_argument, NULL, OPT_SNAPSHOT}, /* by stack: the program is not held */
                                        {"names", no_argument, NULL, OPT_NAMES}, /* by gdb: of code that the process has made */
                                        {"process", required_argument, NULL, 'p'},
                                        {"help", no_argument, NULL, OPT_HELP},
                                        {0}};

struct gdb {
    bool server, owned, snapshot, names;
    u64 pid;
    struct entry entry;
};

/* Options and the instance. 0 go on, 1 help was printed, -1 error. */
static int parse(struct gdb *g, const char *command, int argc, char **argv, struct error *err)
{
    opterr = 0;
    for (int c; (c = getopt_long(argc, argv, "+:p:h", options, NULL)) != -1;) {
        switch (c) {
        case OPT_SERVER:
            g->server = true;
            break;
        case OPT_OWNED:
            g->owned = true;
            break;
        case OPT_SNAPSHOT:
            g->snapshot = true;
            break;
        case OPT_NAMES:
            g->names = true;
            break;
        case 'p':
            if (parse_number(optarg, 1, UINT32_MAX, &g->pid) < 0)
                return err_set(err, EXIT_DRUPE, "-p %s: the number of a process in the instance is needed", optarg);
            break;
        case 'h':
        case OPT_HELP:
            help_gdb();
            return 1;
        default:
            return bad_option(command, c, argv, err);
        }
    }
    if (optind == argc)
        return err_set(err, EXIT_DRUPE, "%s: INSTANCE is missing; see drupe %s --help", command, command);
    if (entry_find(argv[optind++], &g->entry, err) < 0)
        return -1;
    if (entry_state(&g->entry) != ENTRY_RUNNING)
        return err_set(err, 1, "%s is not running", g->entry.name);
    return 0;
}

/* For sh. */
static char *quoted(const char *text)
{
    struct buf b = {0};
    buf_addf(&b, "'");
    for (; *text; text++)
        buf_addf(&b, *text == '\'' ? "'\\''" : "%c", *text);
    buf_addf(&b, "'");
    return b.data;
}

static char *target_command(const struct gdb *g, u32 pid, struct error *err)
{
    AUTO_FREE char *self = self_path();
    if (!self) {
        err_errno(err, EXIT_DRUPE, "/proc/self/exe");
        return NULL;
    }
    AUTO_FREE char *path = quoted(self);
    return str_format("target remote | exec %s gdb --server%s%s -p %u %s", path, g->owned ? " --owned" : "", g->snapshot ? " --snapshot" : "", pid, g->entry.id);
}

/* Frames of code that programs make while they run have the names that they tell perf(1): host/client/jit.h. */
static const char jit_frames[] = "python\n"
                                 "import bisect, gdb.unwinder, itertools, subprocess\n"
                                 "from gdb.FrameDecorator import FrameDecorator\n"
                                 "drupe_pid, drupe_made = 0, {}\n"
                                 "def drupe_pieces(pid):\n"
                                 "    if pid not in drupe_made:\n"
                                 "        drupe_made[pid] = made = []\n"
                                 "        try: lines = subprocess.run([*drupe_names[:-1], '-p', str(pid), drupe_names[-1]], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, timeout=60).stdout.splitlines()\n"
                                 "        except (OSError, subprocess.TimeoutExpired) as e: lines = print('drupe: process %d: names of code: %s' % (pid, e)) or []\n"
                                 "        if len(lines) > 1000000: print('drupe: process %d: names of the first 1,000,000 pieces of code are used' % pid)\n"
                                 "        for n, line in enumerate(itertools.islice(lines, 1000000)):\n"
                                 "            part = line.split(None, 2)\n"
                                 "            try: made.append((int(part[0], 16), n, int(part[1], 16), part[2]))\n"
                                 "            except (ValueError, IndexError): pass\n"
                                 "        made.sort()\n"
                                 "    return drupe_made[pid]\n"
                                 "def drupe_name(pid, pc):\n"
                                 "    pieces = drupe_pieces(pid)\n"
                                 "    at = bisect.bisect_right(pieces, (pc, 1 << 62))\n"
                                 "    name = max(((n, name) for start, n, size, name in pieces[max(at - 32, 0):at] if pc < start + size), default=(0, b''))[1]\n"
                                 "    return ''.join(c if c.isprintable() else '?' for c in name.decode(errors='replace').strip())\n"
                                 "class DrupeFrame(FrameDecorator):\n"
                                 "    def function(self):\n"
                                 "        name = super().function()\n"
                                 "        return name if isinstance(name, str) else drupe_name(drupe_pid, self.inferior_frame().pc()) or self.inferior_frame().name() or '?' * 2\n"
                                 "class DrupeFilter:\n"
                                 "    name, priority, enabled = 'drupe-jit', 100, True\n"
                                 "    def filter(self, frames): return map(DrupeFrame, frames)\n"
                                 "gdb.frame_filters['drupe-jit'] = DrupeFilter()\n"
                                 "class DrupeId:\n"
                                 "    def __init__(self, sp, pc): self.sp, self.pc = sp, pc\n"
                                 "class DrupeUnwinder(gdb.unwinder.Unwinder):\n" /* such code has frame pointers, or nobody could follow it */
                                 "    def __call__(self, frame):\n"
                                 "        pc = frame.read_register('rip')\n"
                                 "        if not drupe_made.get(drupe_pid) or not drupe_name(drupe_pid, int(pc)): return None\n"
                                 "        words = frame.read_register('rbp').cast(gdb.lookup_type('unsigned long').pointer())\n"
                                 "        above = frame.create_unwind_info(DrupeId(words + 2, pc))\n"
                                 "        for name, value in ('rip', words[1]), ('rbp', words[0]), ('rsp', words + 2): above.add_saved_register(name, value)\n"
                                 "        return above\n"
                                 "gdb.unwinder.register_unwinder(None, DrupeUnwinder('drupe-jit'))\n"
                                 "end\n";

/* Where the kernel's frames come from, if the kernel that runs lies in a tree that it was built in, by addr2line(1). gdb itself must not know of these symbols: its
 * breakpoints would be set in the kernel, too. */
static const char kernel_frames[] = "python\n"
                                    "import os, re, subprocess\n"
                                    "drupe_lines, drupe_listed, drupe_base = {}, [], []\n"
                                    "def drupe_run(*argv): return subprocess.run(argv, capture_output=True, encoding='utf-8', errors='replace').stdout.splitlines()\n"
                                    "def drupe_look_up(offsets):\n"
                                    "    try:\n"
                                    "        if not drupe_base: drupe_base.append(int(next(l for l in drupe_run('nm', drupe_kernel) if l.endswith(' text_start')).split()[0], 16))\n"
                                    "        found = drupe_run('addr2line', '-afi', '-e', drupe_kernel, *[hex(drupe_base[0] + n) for n in offsets])\n"
                                    "    except (OSError, StopIteration): return\n"
                                    "    for line in found:\n"
                                    "        if line.startswith('0x'): drupe_lines[int(line, 16) - drupe_base[0]] = pair = []\n"
                                    "        else: pair.append(line)\n"
                                    "def drupe_frame(text):\n"
                                    "    at = re.search(r', text_start\\+(0x[0-9a-f]+)$', text)\n"
                                    "    known = drupe_lines.get(int(at[1], 16), []) if at else []\n"
                                    "    for name, place in zip(known[::2], known[1::2]):\n"
                                    "        file, _, line = place.partition(' ')[0].rpartition(':')\n"
                                    "        if not line.isdigit(): break\n"
                                    "        _, up, below = file.partition('/../')\n" /* of the build's directory, wherever that has been moved */
                                    "        drupe_listed.append((os.path.join(os.path.dirname(drupe_kernel), '../../../..', below) if up else file, int(line)))\n"
                                    "        yield 'k   %s () at %s:%s' % (name, below or file, line)\n"
                                    "    else:\n"
                                    "        if known: return\n"
                                    "    yield text[:at.start()] if at else text\n"
                                    "def drupe_kernel_stack(tid):\n"
                                    "    frames = gdb.execute('monitor kernel-stack %d' % tid, to_string=True).splitlines()\n"
                                    "    offsets = {int(n, 16) for n in re.findall(r', text_start\\+(0x[0-9a-f]+)$', '\\n'.join(frames), re.M)} - drupe_lines.keys()\n"
                                    "    if drupe_kernel and offsets: drupe_look_up(offsets)\n"
                                    "    drupe_listed.clear()\n"
                                    "    for frame in frames: print('\\n'.join(drupe_frame(frame)))\n"
                                    "class DrupeList(gdb.Command):\n"
                                    "    \"\"\"kernel-list N: the source of the last backtrace's N-th kernel frame, from 0\"\"\"\n"
                                    "    def __init__(self): super().__init__('kernel-list', gdb.COMMAND_FILES)\n"
                                    "    def invoke(self, n, tty):\n"
                                    "        try: file, line = drupe_listed[int(n or 0)]\n"
                                    "        except (ValueError, IndexError): raise gdb.GdbError('kernel-list: the last backtrace has %d kernel frames with lines' % len(drupe_listed))\n"
                                    "        try: lines = open(file, errors='replace').read().splitlines()\n"
                                    "        except OSError as e: raise gdb.GdbError(str(e))\n"
                                    "        for i in range(max(line - 5, 1), min(line + 5, len(lines) + 1)): print('%d\\t%s' % (i, lines[i - 1]))\n"
                                    "DrupeList()\n"
                                    "end\n";

static void add_hex(struct buf *out, const char *text)
{
    for (; *text; text++)
        buf_addf(out, "%02x", (unsigned char)*text);
}

/* The file with the symbols and lines of the kernel that runs, beside it where it was built; NULL: there is none, or it was built since. */
static char *kernel_symbols(const struct entry *e)
{
    const char *kernel = entry_text(e, "Kernel");
    size_t name = strlen(kernel) - MIN(strlen(kernel), strlen(".stripped"));
    AUTO_FREE char *config = entry_path(e, "config.json");
    struct stat built, started;
    if (strcmp(kernel + name, ".stripped") != 0 || stat(kernel, &built) < 0 || stat(config, &started) < 0 || built.st_mtime > started.st_mtime)
        return NULL;
    char *symbols = str_format("%.*s", (int)name, kernel);
    if (access(symbols, R_OK) == 0)
        return symbols;
    free(symbols);
    return NULL;
}

/* What gdb is told first: an answer that takes seconds is not asked for again (two answers are mistaken for those of what comes next);
 * `backtrace` begins with the kernel's frames; where there are no debug registers it need not try them. Then `more`. */
static int script(const struct gdb *g, const char *more, struct error *err)
{
    static const char text[] = "set remotetimeout 600\n"
                               "define hook-backtrace\n"
                               "python\n"
                               "drupe_pieces(drupe_pid)\n"
                               "t = gdb.selected_thread()\n"
                               "if t: drupe_kernel_stack(t.ptid[1])\n"
                               "end\n"
                               "end\n";
    int refused = strcmp(entry_text(&g->entry, "Platform"), "host") == 0 && !g->snapshot ? debug_points_refused(&g->entry) : 0;
    if (refused < 0)
        warn("watch works by single steps, slowly, and hbreak is refused: Linux gives the instance no debug register: %s", strerror(-refused));
    AUTO_FREE char *kernel = kernel_symbols(&g->entry), *self = self_path();
    struct buf whole = {0};
    buf_addf(&whole, "%s%s%spython drupe_pid, drupe_kernel = %llu, bytes.fromhex('", text, jit_frames, kernel_frames, (unsigned long long)g->pid);
    add_hex(&whole, kernel ? kernel : "");
    buf_addf(&whole, "').decode(errors='surrogateescape')\npython drupe_names = [bytes.fromhex('");
    add_hex(&whole, self ? self : "drupe");
    buf_addf(&whole, "'), 'gdb', '--names', '%s']\n%s%s", g->entry.id, refused < 0 ? "set can-use-hw-watchpoints 0\n" : "", more);
    int fd = memory_file("drupe-gdb", whole.data, whole.len);
    buf_done(&whole);
    return fd < 0 || set_cloexec(fd, false) < 0 ? err_errno(err, EXIT_DRUPE, "a script for gdb") : fd;
}

/* With the options `first`, then the script in fd, then those of `behind`. */
static int exec_gdb(int fd, const char *const *first, const char *const *behind, struct error *err)
{
    struct strv argv = {0};
    strv_add(&argv, "gdb");
    for (; *first; first++)
        strv_add(&argv, *first);
    strv_add(&argv, "-ex");
    strv_addf(&argv, "source /dev/fd/%d", fd);
    for (; *behind; behind++)
        strv_add(&argv, *behind);
    execvp("gdb", argv.items);
    int result = errno == ENOENT ? err_set(err, EXIT_NOPROG, "gdb is not installed; apt-get install gdb") : err_errno(err, EXIT_NOEXEC, "gdb");
    strv_done(&argv);
    return result;
}

static int attach_gdb(const struct gdb *g, char **more, struct error *err)
{
    struct strv behind = {0};
    AUTO_FREE char *target = target_command(g, (u32)g->pid, err);
    int fd = target ? script(g, "", err) : -1;
    if (fd < 0)
        return -1;
    strv_add(&behind, "-ex");
    strv_add(&behind, target);
    for (; *more; more++)
        strv_add(&behind, *more);
    int result = exec_gdb(fd, (const char *const[]){"-q", NULL}, (const char *const *)behind.items, err);
    strv_done(&behind);
    return result;
}

static int serve(const struct gdb *g, struct error *err)
{
    signal(SIGINT, SIG_IGN); /* ^C at gdb's terminal is gdb's, which asks for the stop */
    signal(SIGPIPE, SIG_IGN);
    return debug_serve(&g->entry, (u32)g->pid, g->owned, g->snapshot, STDIN_FILENO, STDOUT_FILENO, err);
}

static int print_names(const struct gdb *g, struct error *err)
{
    struct buf text = {0};
    bool told = false;
    jit_text(&g->entry, (u32)g->pid, &text, &told);
    int result = fd_write_all(STDOUT_FILENO, text.data, text.len) < 0 ? err_errno(err, EXIT_DRUPE, "standard output") : 0;
    buf_done(&text);
    return result;
}

int command_gdb(int argc, char **argv, struct error *err)
{
    struct gdb g = {.pid = 1, .entry = {.dir_fd = -1, .lock_fd = -1}};
    int result = parse(&g, "gdb", argc, argv, err);
    if (result == 0 && (g.server || g.names) && optind < argc)
        result = err_set(err, EXIT_DRUPE, "gdb --%s: %s is one argument too many", g.server ? "server" : "names", argv[optind]);
    else if (result == 0)
        result = g.names ? print_names(&g, err) : g.server ? serve(&g, err) : attach_gdb(&g, argv + optind, err);
    entry_done(&g.entry);
    return result < 0 ? -1 : 0;
}

/* --- stack ------------------------------------------------------------------------------------------------- */

/* What gdb says while it attaches is shown only where that fails. */
static const char stack_functions[] = "python\n"
                                      "import os, sys\n"
                                      "def drupe_quiet(command):\n"
                                      "    log, kept = os.memfd_create('log'), [os.dup(1), os.dup(2)]\n"
                                      "    gdb.flush()\n"
                                      "    for fd in 1, 2: os.dup2(log, fd)\n"
                                      "    try: gdb.execute(command)\n"
                                      "    finally:\n"
                                      "        gdb.flush()\n"
                                      "        for fd in 1, 2: os.dup2(kept[fd - 1], fd)\n"
                                      "        for fd in [*kept]: os.close(fd)\n"
                                      "        os.lseek(log, 0, 0)\n"
                                      "        drupe_quiet.said = os.fdopen(log, errors='replace').read()\n"
                                      "def drupe_stack(pid, name, target):\n"
                                      "    try: drupe_quiet(bytes.fromhex(target).decode())\n"
                                      "    except gdb.error as e:\n"
                                      "        own = [l for l in drupe_quiet.said.splitlines() if l.startswith('drupe: ')]\n"
                                      "        print(own[0] if own else 'drupe: process %d: %s' % (pid, e), file=sys.stderr)\n"
                                      "        return False\n"
                                      "    global drupe_pid\n"
                                      "    drupe_pid = pid\n"
                                      "    drupe_pieces(pid)\n"
                                      "    print('Process %d \"%s\":' % (pid, bytes.fromhex(name).decode(errors='replace')))\n"
                                      "    gdb.execute('thread apply all bt')\n"
                                      "    print()\n"
                                      "    drupe_quiet('detach')\n"
                                      "    drupe_quiet('file')\n"
                                      "    return True\n"
                                      "end\n"
                                      "python drupe_good = 0\n";

/* Lines of the script: one for each process, or for that of -p. */
static int add_processes(const struct gdb *g, const struct tasks *t, struct buf *out, struct error *err)
{
    bool any = false;
    buf_addf(out, "%s", stack_functions);
    for (size_t i = 0; i < t->count; i++) {
        const struct task_row *r = &t->rows[i];
        if (r->pid != r->tid || r->state == 'Z' || (g->pid && r->pid != g->pid))
            continue;
        AUTO_FREE char *target = target_command(g, r->pid, err);
        if (!target)
            return -1;
        buf_addf(out, "python drupe_good += drupe_stack(%u, '", r->pid);
        add_hex(out, r->name);
        buf_addf(out, "', '");
        add_hex(out, target);
        buf_addf(out, "')\n");
        any = true;
    }
    if (!any)
        return err_set(err, EXIT_DRUPE, "%s: there is no such process", g->entry.name);
    buf_addf(out, "python if not drupe_good: gdb.execute('quit 125')\n");
    return 0;
}

/* The rest of gdb's work, in a session of its own: ^C is for us, who leave nothing to be said by gdb's Python. Its status, or -1. */
static int run_gdb_alone(int fd, const char *const *first, struct error *err)
{
    static const char *const none[] = {NULL};
    pid_t self = getpid(), pid = fork();
    int status;
    if (pid < 0)
        return err_errno(err, EXIT_DRUPE, "gdb");
    if (pid == 0) {
        int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);
        if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != self || setsid() < 0 || dup2(nothing, STDIN_FILENO) < 0)
            _exit(EXIT_DRUPE);
        exec_gdb(fd, first, none, err);
        err_print(err);
        _exit(err->code);
    }
    while (waitpid(pid, &status, 0) < 0)
        ;
    return WIFEXITED(status) ? WEXITSTATUS(status) : err_set(err, EXIT_DRUPE, "gdb was ended by signal %d", WTERMSIG(status));
}

static int show_stacks(const struct gdb *g, struct error *err)
{
    static const char *const first[] = {"-q", "-nx", "-batch", "-ex", "set confirm off", "-ex", "set print thread-events off", NULL};
    struct conversation c = {.fd = -1};
    struct tasks t = {0};
    struct buf lines = {0};
    int fd = -1;
    if (tasks_open(&c, &g->entry, err) == 0 && tasks_read(&c, &g->entry, &t, err) == 0 && add_processes(g, &t, &lines, err) == 0)
        fd = script(g, lines.data, err);
    conversation_done(&c);
    tasks_done(&t);
    buf_done(&lines);
    return fd < 0 ? -1 : run_gdb_alone(fd, first, err);
}

int command_stack(int argc, char **argv, struct error *err)
{
    struct gdb g = {.entry = {.dir_fd = -1, .lock_fd = -1}};
    int result = parse(&g, "stack", argc, argv, err);
    if (result == 0 && (g.server || g.owned || optind < argc))
        result = err_set(err, EXIT_DRUPE, "stack: one INSTANCE is needed; see drupe stack --help");
    g.snapshot = true;
    int status = result == 0 ? show_stacks(&g, err) : 0;
    entry_done(&g.entry);
    return result < 0 ? -1 : status;
}

/* --- run --gdb --------------------------------------------------------------------------------------------- */

/* Give the terminal to a process group, from whichever. */
static void give_terminal(pid_t group)
{
    signal(SIGTTOU, SIG_IGN);
    tcsetpgrp(STDIN_FILENO, group);
    signal(SIGTTOU, SIG_DFL);
}

static void run_gdb(const char *id)
{
    struct error err = {0};
    char *argv[] = {(char *)"gdb", (char *)"--owned", (char *)id, NULL};
    setpgid(0, 0);
    give_terminal(getpid());
    optind = 0;
    if (command_gdb(3, argv, &err) < 0)
        err_print(&err);
    _exit(1);
}

void gdb_for_new(const char *id)
{
    sigset_t none;
    pid_t between = fork();
    if (between < 0) {
        warn("no gdb: %s", strerror(errno));
        return;
    }
    if (between > 0) {
        waitpid(between, NULL, 0);
        return;
    }
    if (fork() != 0)
        _exit(0);
    close_range(3, ~0u, 0); /* the instance's: they end with its tender */
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    pid_t own = getpgrp(), gdb = fork();
    if (gdb == 0)
        run_gdb(id);
    if (gdb > 0) {
        setpgid(gdb, gdb);
        while (waitpid(gdb, NULL, 0) < 0 && errno == EINTR)
            ;
        give_terminal(own);
    }
    _exit(0);
}
