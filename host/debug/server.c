/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gdb's remote serial protocol, server's side (gdb's manual, "Remote Protocol"). What is not there is answered by an empty packet,
 * which gdb knows to do without: watchpoints where the platform has none (gdb steps instead), non-stop, memory maps.
 */
#include "host/debug/server.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "host/debug/server_impl.h"
#include "host/lib/fs.h"

#define SNAPSHOT_MAX ((size_t)512 << 20)
#define EVENTS_A_ROUND 64 /* then gdb is heard: many threads' events may have no end */
#define NT_PRSTATUS 1u
#define NT_PRFPREG 2u
#define NT_X86_XSTATE 0x202u

static void ok(struct server *s) { buf_addf(&s->reply, "OK"); }
static void fail(struct server *s, int err) { buf_addf(&s->reply, "E%02x", (unsigned)-err & 0xff); }
static void ok_or_fail(struct server *s, int r) { r < 0 ? fail(s, r) : ok(s); }

static int send_reply(struct server *s)
{
    struct buf packet = {0};
    rsp_frame(&packet, s->reply.data, s->reply.len);
    int r = fd_write_all(s->out, packet.data, packet.len);
    buf_done(&packet);
    s->reply.len = 0;
    return r;
}

/* --- registers ----------------------------------------------------------------------------------------- */

static u32 state_type(const struct server *s) { return s->target.hello.state_size ? NT_X86_XSTATE : NT_PRFPREG; }
static u32 state_size(const struct server *s) { return s->target.hello.state_size ? s->target.hello.state_size : REGS_FXSAVE_SIZE; }

static int get_set(struct server *s, u32 tid, u32 type, u8 *to, size_t size)
{
    return target_ask_for(&s->target, &(struct dbg_request){.op = DBG_GET_REGS, .tid = tid, .how = type}, to, size);
}

/* Those of a thread into s->regs. 0 or -errno */
int server_load_regs(struct server *s, u32 tid)
{
    if (s->regs_tid == tid && tid != 0)
        return 0;
    s->regs_tid = 0;
    if (s->snapshot) {
        bool known = snapshot_regs(s->snapshot, tid, &s->regs);
        s->regs_tid = known ? tid : 0;
        return known ? 0 : -ESRCH;
    }
    int r = get_set(s, tid, NT_PRSTATUS, s->regs.general, REGS_GENERAL_SIZE);
    if (r == 0)
        r = get_set(s, tid, state_type(s), s->regs.state, state_size(s));
    if (r == 0 && !s->target.hello.state_size)
        s->regs.state[512] = 3; /* FXSAVE: both parts are in use */
    s->regs_tid = r == 0 ? tid : 0;
    return r;
}

static int store_regs(struct server *s, bool general, bool state)
{
    struct dbg_request q = {.op = DBG_SET_REGS, .tid = s->regs_tid, .how = NT_PRSTATUS};
    int r = general ? target_ask(&s->target, &q, s->regs.general, REGS_GENERAL_SIZE, NULL, NULL) : 0;
    q.how = state_type(s);
    if (r == 0 && state)
        r = target_ask(&s->target, &q, s->regs.state, state_size(s), NULL, NULL);
    s->regs_tid = 0; /* what the kernel made of it */
    return r;
}

static void read_regs(struct server *s)
{
    int r = server_load_regs(s, s->general);
    u8 value[64];
    for (unsigned i = 0; r == 0 && i < s->layout.count; i++) {
        regs_get(&s->layout, i, &s->regs, value);
        rsp_add_hex(&s->reply, value, s->layout.regs[i].bits_8);
    }
    if (r < 0)
        fail(s, r);
}

static void write_regs(struct server *s, const char *p)
{
    int r = server_load_regs(s, s->general);
    u8 value[64];
    for (unsigned i = 0; r == 0 && i < s->layout.count; i++) {
        if (!rsp_hex(&p, value, s->layout.regs[i].bits_8))
            r = -EINVAL;
        else
            regs_set(&s->layout, i, &s->regs, value);
    }
    ok_or_fail(s, r == 0 ? store_regs(s, true, true) : r);
}

static void one_reg(struct server *s, const char *p, bool set)
{
    u8 value[64];
    u64 n;
    int r = server_load_regs(s, s->general);
    if (!rsp_number(&p, &n) || n >= s->layout.count || (set && (*p++ != '=' || !rsp_hex(&p, value, s->layout.regs[n].bits_8))))
        r = -EINVAL;
    if (r == 0 && set) {
        bool general = regs_set(&s->layout, (unsigned)n, &s->regs, value);
        r = store_regs(s, general, !general);
    }
    if (r == 0 && !set) {
        regs_get(&s->layout, (unsigned)n, &s->regs, value);
        rsp_add_hex(&s->reply, value, s->layout.regs[n].bits_8);
    } else {
        ok_or_fail(s, r);
    }
}

/* --- memory and breakpoints ------------------------------------------------------------------------------- */

static void read_memory(struct server *s, const char *p)
{
    struct dbg_request q = {.op = DBG_READ};
    struct buf answer = {0};
    int r = -EINVAL;
    if (rsp_number_to(&p, ',', &q.addr) && rsp_number(&p, &q.value)) {
        q.value = MIN(q.value, (u64)DBG_DATA_MAX);
        bool known = s->snapshot && snapshot_read(s->snapshot, q.addr, q.value, &answer);
        r = known ? 0 : target_ask(&s->target, &q, NULL, 0, &answer, NULL);
    }
    if (r == 0 && answer.len <= q.value)
        rsp_add_hex(&s->reply, answer.data, answer.len);
    else
        fail(s, r < 0 ? r : -EIO);
    buf_done(&answer);
}

static void write_memory(struct server *s, const char *p, const char *end, bool hex)
{
    struct dbg_request q = {.op = DBG_WRITE};
    u8 bytes[DBG_DATA_MAX];
    u64 len;
    int r = -EINVAL;
    if (rsp_number_to(&p, ',', &q.addr) && rsp_number_to(&p, ':', &len) && len < DBG_DATA_MAX) {
        if (len == 0)
            r = 0;
        else if (hex ? rsp_hex(&p, bytes, len) : (size_t)(end - p) == len)
            r = target_ask(&s->target, &q, hex ? bytes : (const u8 *)p, len, NULL, NULL);
    }
    ok_or_fail(s, r);
}

/* Debug registers watch aligned pieces of 8, 4, 2 or 1 byte. What cannot be set as a whole is not set at all. 0 or -errno */
static int watch(struct server *s, u32 how, u64 addr, u64 len, bool set)
{
    u64 done = 0, size;
    int r = 0;
    for (; r == 0 && done < len; done += size) {
        for (size = 8; size > len - done || (addr + done) % size; size /= 2)
            ;
        r = points_change(s, how, addr + done, size, set);
        if (r < 0)
            break;
    }
    if (r < 0 && set)
        watch(s, how, addr, done, false);
    return r;
}

/* Ztype,addr,kind and z: 0 in memory, 1 by the CPU's registers, 2 data written, 4 data touched. Reading alone (3) is nothing that an x86 knows. */
static void breakpoint(struct server *s, const char *p, bool set)
{
    static const u32 hows[] = {['1'] = DBG_POINT_EXEC, ['2'] = DBG_POINT_WRITE, ['4'] = DBG_POINT_ACCESS};
    struct dbg_request q = {.op = set ? DBG_BREAK : DBG_UNBREAK};
    char type = p[0];
    u64 len;
    if (!type || !strchr("0124", type) || p[1] != ',')
        return;
    p += 2;
    if (!rsp_number_to(&p, ',', &q.addr) || !rsp_number(&p, &len)) {
        fail(s, -EINVAL);
        return;
    }
    int r = type == '0' ? target_ask(&s->target, &q, NULL, 0, NULL, NULL) : watch(s, hows[(u8)type], q.addr, type == '1' ? 1 : len, set);
    if (r != -ENOSYS)
        ok_or_fail(s, r);
}

/* --- stops ------------------------------------------------------------------------------------------------------ */

static void add_exec(struct server *s)
{
    struct buf name = {0};
    if (s->exec_events && target_ask(&s->target, &(struct dbg_request){.op = DBG_EXE}, NULL, 0, &name, NULL) == 0 && name.len) {
        buf_addf(&s->reply, "exec:");
        rsp_add_hex(&s->reply, name.data, name.len);
        buf_addf(&s->reply, ";");
    }
    buf_done(&name);
}

/* What gdb looks at first. */
static void add_registers(struct server *s)
{
    static const unsigned first[] = {NUMBER_RBP, NUMBER_RSP, NUMBER_RIP};
    u8 value[64];
    if (server_load_regs(s, s->current) < 0)
        return;
    for (unsigned i = 0; i < ARRAY_SIZE(first); i++) {
        regs_get(&s->layout, first[i], &s->regs, value);
        buf_addf(&s->reply, "%02x:", first[i]);
        rsp_add_hex(&s->reply, value, 8);
        buf_addf(&s->reply, ";");
    }
}

static void report_end(struct server *s)
{
    int sig = (int)(s->status & 0x7f);
    if (!s->has_status)
        buf_addf(&s->reply, "X09"); /* the instance was ended from outside */
    else if (sig)
        buf_addf(&s->reply, "X%02x", (unsigned)gdb_signal(sig));
    else
        buf_addf(&s->reply, "W%02x", (unsigned)(s->status >> 8 & 0xff));
    s->running = false;
    s->told_end = true;
}

static bool runs_into_again(const struct sthread *t)
{
    return t->pending == PENDING_BREAK || t->pending == PENDING_STEP || (t->pending == PENDING_POINT && t->point == DBG_POINT_EXEC);
}

/* All are stopped: tell why, of t, or of nobody in particular. */
static void report_stop(struct server *s, struct sthread *t, int signal)
{
    u8 why = t ? t->pending : PENDING_NOTHING;
    if (points_stepped(s, t))
        why = PENDING_POINT;
    if (t)
        s->current = t->tid;
    else if (!thread_find(s, s->current) && s->nthreads)
        s->current = s->threads[0].tid;
    if (t && why == PENDING_SIGNAL)
        signal = t->signal;
    s->general = s->current;
    s->running = false;
    buf_addf(&s->reply, "T%02xthread:%x;", (unsigned)(signal ? gdb_signal(signal) : 0), s->current);
    if (why == PENDING_BREAK)
        buf_addf(&s->reply, "swbreak:;");
    if (t && why == PENDING_POINT && t->point == DBG_POINT_EXEC)
        buf_addf(&s->reply, "hwbreak:;");
    else if (t && why == PENDING_POINT)
        buf_addf(&s->reply, "%s:%llx;", t->point == DBG_POINT_WRITE ? "watch" : "awatch", (unsigned long long)t->point_addr);
    if (why == PENDING_EXEC)
        add_exec(s);
    add_registers(s);
    if (t)
        t->pending = PENDING_NOTHING;
    /* Others that ran into breakpoints do so again, if these are still there when they go on. */
    for (size_t i = 0; i < s->nthreads; i++)
        if (runs_into_again(&s->threads[i]))
            s->threads[i].pending = PENDING_NOTHING;
}

/* While gdb waits: is there something to tell? */
static void look(struct server *s)
{
    struct sthread *t = threads_news(s);
    if (!s->running)
        return;
    if (!s->ended && (t || s->interrupted)) {
        bool asked = s->interrupted && !t;
        u32 tid = t ? t->tid : 0;
        threads_stop_all(s);
        if (!s->ended) {
            t = tid ? thread_find(s, tid) : NULL;
            report_stop(s, t, asked ? SIGINT : SIGTRAP);
        }
    } else if (!s->ended && !threads_any_runs(s)) {
        if (s->no_resumed) { /* the one that ran has ended, perhaps in a step; others stand still */
            points_stepped(s, NULL);
            buf_addf(&s->reply, "N");
            s->running = false;
        } else {
            for (size_t i = s->nthreads; i-- > 0;)
                thread_resume(s, &s->threads[i], false, 0);
        }
    }
    if (s->ended && s->running)
        report_end(s);
}

/* --- going on -------------------------------------------------------------------------------------------------- */

struct action {
    bool step;
    u8 signal;
    u32 tid; /* 0: all others */
};
#define ACTIONS_MAX 64

/* ";c", ";C0b:1f", ... False: malformed. */
static bool parse_action(const char **p, struct action *ret)
{
    u64 n;
    *ret = (struct action){0};
    char what = *(*p)++;
    ret->step = what == 's' || what == 'S';
    if (what == 'C' || what == 'S') {
        if (!rsp_number(p, &n) || n > 255)
            return false;
        ret->signal = (u8)linux_signal((int)n);
    } else if (what != 'c' && what != 's') {
        return false;
    }
    if (**p == ':') {
        (*p)++;
        if (str_has_prefix(*p, "-1"))
            *p += 2;
        else if (!rsp_number(p, &n) || n > UINT32_MAX)
            return false;
        else
            ret->tid = (u32)n;
    }
    return true;
}

static const struct action *action_of(const struct action *all, unsigned n, u32 tid)
{
    for (unsigned i = 0; i < n; i++)
        if (all[i].tid == tid || all[i].tid == 0)
            return &all[i];
    return NULL;
}

static void go_on(struct server *s, const struct action *all, unsigned n)
{
    s->running = true;
    s->rest_runs = action_of(all, n, UINT32_MAX) != NULL;
    for (size_t i = 0; i < s->nthreads; i++)
        s->threads[i].wanted = action_of(all, n, s->threads[i].tid) != NULL;
    bool news = threads_news(s) != NULL;
    for (size_t i = s->nthreads; i-- > 0 && !news;) { /* one that is gone is replaced by the last */
        const struct action *a = action_of(all, n, s->threads[i].tid);
        struct sthread *t = &s->threads[i];
        if (!a || !t->stopped)
            continue;
        u8 signal = thread_passes(s, t) ? t->signal : a->signal;
        t->pending = PENDING_NOTHING;
        thread_resume(s, t, a->step, signal);
    }
}

static void cont(struct server *s, const char *p)
{
    struct action all[ACTIONS_MAX];
    unsigned n = 0;
    while (*p == ';' && n < ACTIONS_MAX) {
        p++;
        if (!parse_action(&p, &all[n++]))
            break;
    }
    if (*p || n == 0)
        fail(s, -EINVAL);
    else
        go_on(s, all, n);
}

/* c, s, C, S without threads; an address to go on from is not taken (gdb writes the register). */
static void cont_old(struct server *s, const char *p)
{
    struct action a[2];
    if (!parse_action(&p, &a[0]) || *p) {
        fail(s, -EINVAL);
        return;
    }
    a[1] = (struct action){0};
    a[0].tid = s->cont ? s->cont : s->current;
    go_on(s, a, 2);
}

/* --- questions ------------------------------------------------------------------------------------------------ */

/* ":offset,length" of a document. */
static void xfer(struct server *s, const char *p, const struct buf *whole)
{
    u64 offset, len;
    if (!rsp_number_to(&p, ',', &offset) || !rsp_number(&p, &len)) {
        fail(s, -EINVAL);
        return;
    }
    offset = MIN(offset, (u64)whole->len);
    u64 left = whole->len - offset;
    len = MIN(len, (u64)(RSP_PACKET_MAX / 2 - 16)); /* escapes double */
    buf_addf(&s->reply, len < left ? "m" : "l");
    buf_add(&s->reply, whole->data + offset, MIN(len, left));
}

static void read_object(struct server *s, const char *p)
{
    struct buf whole = {0};
    const struct sthread *t = thread_find(s, s->general);
    const char *at = strstr(p, ":read:"), *range = at ? strchr(at + 6, ':') : NULL;
    int r = 0;
    if (!range)
        return;
    if (str_has_prefix(p, "features:read:target.xml:"))
        regs_describe(&s->layout, &whole);
    else if (str_has_prefix(p, "threads:") && s->snapshot)
        buf_add(&whole, snapshot_threads(s->snapshot)->data, snapshot_threads(s->snapshot)->len);
    else if (str_has_prefix(p, "threads:"))
        threads_list(s, &whole);
    else if (str_has_prefix(p, "auxv:"))
        r = target_ask(&s->target, &(struct dbg_request){.op = DBG_AUXV}, NULL, 0, &whole, NULL);
    else if (str_has_prefix(p, "exec-file:"))
        r = target_ask(&s->target, &(struct dbg_request){.op = DBG_EXE}, NULL, 0, &whole, NULL);
    else if (str_has_prefix(p, "siginfo:") && t && t->has_siginfo)
        buf_add(&whole, t->siginfo, sizeof(t->siginfo));
    else
        r = -ENOENT;
    buf_add(&whole, "", 0);
    if (r < 0)
        fail(s, r);
    else
        xfer(s, range + 1, &whole);
    buf_done(&whole);
}

static void supported(struct server *s, const char *p)
{
    s->exec_events = strstr(p, "exec-events+") != NULL;
    s->no_resumed = strstr(p, "no-resumed+") != NULL;
    buf_addf(&s->reply, "PacketSize=%x;QStartNoAckMode+;qXfer:features:read+;qXfer:auxv:read+;qXfer:threads:read+;qXfer:exec-file:read+;"
                        "qXfer:siginfo:read+;QPassSignals+;vContSupported+;swbreak+;hwbreak+%s%s",
             RSP_PACKET_MAX, s->exec_events ? ";exec-events+" : "", s->no_resumed ? ";no-resumed+" : "");
}

static void tls_variable(struct server *s, const char *p)
{
    u64 tid, fs_base, addr;
    int r = rsp_number_to(&p, ',', &tid) && tid <= UINT32_MAX ? server_load_regs(s, (u32)tid) : -EINVAL;
    if (r == 0) {
        memcpy(&fs_base, s->regs.general + REGS_FS_BASE_AT, sizeof(fs_base));
        r = tls_address(s, p, fs_base, &addr);
    }
    if (r == 0)
        buf_addf(&s->reply, "%llx", (unsigned long long)addr);
    else
        fail(s, r);
}

static void pass_signals(struct server *s, const char *p)
{
    u64 n;
    s->pass_signals = 0;
    while (rsp_number(&p, &n)) {
        int sig = n < 256 ? linux_signal((int)n) : 0;
        if (sig)
            s->pass_signals |= 1ull << (sig - 1);
        if (*p == ';')
            p++;
    }
    ok(s);
}

static void first_threads(struct server *s)
{
    threads_list(s, NULL);
    for (size_t i = 0; i < s->nthreads && s->reply.len < RSP_PACKET_MAX - 32; i++)
        buf_addf(&s->reply, "%s%x", i ? "," : "m", s->threads[i].tid);
}

static void add_output(struct server *s, const char *text) { rsp_add_hex(&s->reply, text, strlen(text)); }

/* A line "name+0x12 345", as gdb's own frames would look, "k" where these have numbers. */
static void add_kernel_frame(struct buf *out, char *line)
{
    const char *at = strchr(line, ' ');
    u64 offset;
    size_t name = strcspn(line, "+ ");
    if (str_has_prefix(line, "gate_end+")) /* a symbol behind the code of the gate */
        return;
    text_clean(line, name, "");
    buf_addf(out, "k   %.*s () in the kernel", (int)name, line);
    if (at && (at++, rsp_number(&at, &offset)))
        buf_addf(out, ", text_start+%#llx", (unsigned long long)offset);
    buf_addf(out, "\n");
}

/* gdb's `monitor kernel-stack [TID]` */
static void kernel_stack(struct server *s, const char *p)
{
    u64 tid = s->general;
    struct buf answer = {0}, text = {0};
    bool good = !*p || parse_number(p, 1, UINT32_MAX, &tid) == 0;
    int r = -ESRCH;
    if (good && s->snapshot)
        r = snapshot_kernel(s->snapshot, (u32)tid, &answer) ? 0 : -ESRCH;
    else if (good)
        r = target_ask(&s->target, &(struct dbg_request){.op = DBG_KERNEL_STACK, .tid = (u32)tid}, NULL, 0, &answer, NULL);
    if (answer.len)
        buf_add(&answer, "", 1);
    char *save = NULL;
    for (char *line = answer.len ? strtok_r(answer.data, "\n", &save) : NULL; line; line = strtok_r(NULL, "\n", &save))
        add_kernel_frame(&text, line);
    if (r < 0)
        add_output(s, "kernel-stack: there is no such thread that is stopped\n");
    else if (text.len)
        add_output(s, text.data);
    else
        ok(s);
    buf_done(&answer);
    buf_done(&text);
}

static void monitor(struct server *s, const char *p)
{
    static const char name[] = "kernel-stack";
    char command[64];
    size_t n = strlen(p) / 2;
    if (n >= sizeof(command) || !rsp_hex(&p, command, n)) {
        fail(s, -EINVAL);
        return;
    }
    command[n] = 0;
    if (strcmp(command, name) == 0 || str_has_prefix(command, "kernel-stack "))
        kernel_stack(s, command + strlen(name) + (command[strlen(name)] == ' '));
    else
        add_output(s, "monitor kernel-stack [TID]: where in the kernel a thread slept when it was stopped\n");
}

static void question(struct server *s, const char *p)
{
    if (str_has_prefix(p, "qSupported"))
        supported(s, p);
    else if (str_has_prefix(p, "qXfer:"))
        read_object(s, p + 6);
    else if (strcmp(p, "QStartNoAckMode") == 0)
        ok(s); /* from the next packet on */
    else if (str_has_prefix(p, "QPassSignals:"))
        pass_signals(s, p + 13);
    else if (str_has_prefix(p, "qRcmd,"))
        monitor(s, p + 6);
    else if (strcmp(p, "qC") == 0)
        buf_addf(&s->reply, "QC%x", s->current);
    else if (str_has_prefix(p, "qSymbol:"))
        tls_symbol(s, p + 8);
    else if (str_has_prefix(p, "qGetTLSAddr:"))
        tls_variable(s, p + 12);
    else if (str_has_prefix(p, "qAttached"))
        buf_addf(&s->reply, s->owned ? "0" : "1");
    else if (strcmp(p, "qfThreadInfo") == 0)
        first_threads(s);
    else if (strcmp(p, "qsThreadInfo") == 0)
        buf_addf(&s->reply, "l");
}

static bool is_thread(struct server *s, u32 tid) { return s->snapshot ? snapshot_has(s->snapshot, tid) : thread_find(s, tid) != NULL; }

static void set_thread(struct server *s, const char *p)
{
    char which = *p++;
    u64 n = 0;
    bool any = strcmp(p, "-1") == 0;
    if ((which != 'g' && which != 'c') || (!any && (!rsp_number(&p, &n) || *p || n > UINT32_MAX))) {
        fail(s, -EINVAL);
        return;
    }
    if (n != 0 && !is_thread(s, (u32)n)) {
        fail(s, -ESRCH);
        return;
    }
    if (which == 'g')
        s->general = n ? (u32)n : s->current;
    else
        s->cont = (u32)n;
    ok(s);
}

static void is_alive(struct server *s, const char *p)
{
    u64 n;
    bool alive = rsp_number(&p, &n) && n <= UINT32_MAX && is_thread(s, (u32)n);
    ok_or_fail(s, alive ? 0 : -ESRCH);
}

static void end_process(struct server *s)
{
    target_ask(&s->target, &(struct dbg_request){.op = DBG_KILL}, NULL, 0, NULL, NULL);
    s->quit = true;
}

/* What nobody may who only looks. */
static bool changes(const char *p) { return (*p && strchr("GPMXZzcsCSk", *p)) || str_has_prefix(p, "vCont;") || str_has_prefix(p, "vKill;"); }

static void packet(struct server *s, const struct buf *content)
{
    const char *p = content->data, *end = p + content->len;
    if (s->snapshot && changes(p)) {
        fail(s, -EPERM);
        return;
    }
    switch (*p) {
    case '?':
        if (s->ended)
            report_end(s);
        else
            report_stop(s, NULL, s->owned ? SIGTRAP : 0);
        break;
    case 'g': read_regs(s); break;
    case 'G': write_regs(s, p + 1); break;
    case 'p': one_reg(s, p + 1, false); break;
    case 'P': one_reg(s, p + 1, true); break;
    case 'm': read_memory(s, p + 1); break;
    case 'M': write_memory(s, p + 1, end, true); break;
    case 'X': write_memory(s, p + 1, end, false); break;
    case 'Z':
    case 'z': breakpoint(s, p + 1, *p == 'Z'); break;
    case 'H': set_thread(s, p + 1); break;
    case 'T': is_alive(s, p + 1); break;
    case 'q':
    case 'Q': question(s, p); break;
    case 'c':
    case 's':
    case 'C':
    case 'S': cont_old(s, p); break;
    case 'D':
        ok(s);
        s->quit = true;
        break;
    case 'k': end_process(s); break;
    case 'v':
        if (str_has_prefix(p, "vFile:")) {
            files_packet(s, p + 6);
        } else if (strcmp(p, "vCont?") == 0) {
            buf_addf(&s->reply, "vCont;c;C;s;S");
        } else if (str_has_prefix(p, "vCont;")) {
            cont(s, p + 5);
        } else if (str_has_prefix(p, "vKill;")) {
            end_process(s);
            ok(s);
        }
        break;
    default: break;
    }
}

/* --- the loop ----------------------------------------------------------------------------------------------------- */

/* What gdb has sent. -1: it makes no sense, or is gone. */
static int serve_packets(struct server *s)
{
    struct buf content = {0};
    int r = 0;
    for (enum rsp_kind k; r == 0 && !s->quit && (k = rsp_next(&s->rsp, &content)) != RSP_MORE;) {
        if (k == RSP_BAD)
            r = -1;
        if (k == RSP_INTERRUPT)
            s->interrupted = s->running;
        if (k == RSP_BAD_SUM)
            r = fd_write_all(s->out, "-", 1);
        if (k != RSP_PACKET)
            continue;
        if (!s->rsp.no_ack)
            r = fd_write_all(s->out, "+", 1);
        packet(s, &content);
        s->rsp.no_ack |= strcmp(content.data, "QStartNoAckMode") == 0;
        if (r == 0 && !s->running && content.data[0] != 'k')
            r = send_reply(s);
    }
    buf_done(&content);
    return r;
}

static int read_more(struct server *s, int in)
{
    char bytes[4096];
    ssize_t n;
    do
        n = read(in, bytes, sizeof(bytes));
    while (n < 0 && errno == EINTR);
    if (n <= 0)
        return -1;
    buf_add(&s->rsp.in, bytes, (size_t)n);
    return 0;
}

static int serve(struct server *s, int in)
{
    struct dbg_event e;
    while (!s->quit) {
        for (int n = 0, r; n < EVENTS_A_ROUND && !s->ended && (r = target_event(&s->target, 0, &e)) != 0; n++)
            s->ended = r < 0 || !threads_take(s, &e) || s->ended;
        if (s->snapshot)
            snapshot_let_go(s);
        else
            look(s);
        if (s->reply.len && send_reply(s) < 0)
            return -1;
        struct pollfd p[] = {{.fd = in, .events = POLLIN}, {.fd = s->ended ? -1 : s->target.talk.fd, .events = POLLIN}};
        int r = poll(p, 2, !s->ended && s->target.nevents ? 0 : -1);
        if (r < 0 && errno != EINTR)
            return -1;
        if (r > 0 && p[0].revents && (read_more(s, in) < 0 || serve_packets(s) < 0))
            return -1;
    }
    return 0;
}

int debug_serve(const struct entry *e, u32 pid, bool owned, bool snapshot, int in, int out, struct error *err)
{
    struct server *s = xalloc(sizeof(*s));
    int result = -1;
    s->owned = owned;
    s->instance = (u64)entry_number(e, "InstancePid");
    s->emulated = strcmp(entry_text(e, "Platform"), "qemu") == 0;
    s->out = out;
    if (target_open(&s->target, e, pid, err) == 0) {
        if (!regs_layout(&s->target.hello, &s->layout)) {
            err_set(err, EXIT_DRUPE, "%s: its debug service tells of registers that make no sense", e->name);
        } else {
            threads_list(s, NULL);
            threads_stop_all(s);
            s->current = thread_find(s, s->target.hello.pid) ? s->target.hello.pid : s->nthreads ? s->threads[0].tid : 0;
            s->general = s->current;
            if (snapshot)
                snapshot_take(s, SNAPSHOT_MAX);
            serve(s, in); /* its end is gdb's wish, or gdb's end */
            for (size_t i = s->nthreads; i-- > 0 && !s->ended;) /* what gdb has not been told of */
                if (s->threads[i].pending == PENDING_SIGNAL)
                    thread_resume(s, &s->threads[i], false, s->threads[i].signal);
            result = 0;
        }
    }
    target_close(&s->target);
    files_done(s);
    points_done(s);
    snapshot_free(s->snapshot);
    buf_done(&s->rsp.in);
    buf_done(&s->reply);
    free(s->threads);
    free(s);
    return result;
}
