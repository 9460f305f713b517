/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Programs in words: what is refused, and why; what comes out of those that are not; how records and maps are printed. Objects: a good one (the
 * argument), and thousands of damaged ones. The sanitizers watch.
 */
#include <stdio.h>
#include <string.h>

#include "host/bpf/object.h"
#include "host/bpf/show.h"
#include "host/lib/fs.h"

#define DAMAGED 300u /* objects */

static unsigned count, failed;
static struct world world;

static void check(bool good, const char *text, const char *detail)
{
    count++;
    failed += !good;
    printf("%s %u - %s\n", good ? "ok" : "not ok", count, text);
    for (const char *line = detail; !good && line && *line; line += strcspn(line, "\n"), line += *line == '\n')
        printf("#   %.*s\n", (int)strcspn(line, "\n"), line);
}

/* --- refusals ------------------------------------------------------------------------------ */

static const struct {
    const char *program;
    const char *place, *why; /* parts of the message */
} refused[] = {
    {"", "line 1, column 1:", "the program has no probe"},
    {"foo { }", "line 1, column 1:", "\"foo\" is no probe"},
    {"syscall:nosuch { }", "column 1:", "there is no system call nosuch"},
    {"net:nosuch { }", "column 1:", "there is no tracepoint net:nosuch"},
    {"BEGIN { },\nnet:nosuch { }", "line 1, column 10:", "a probe is needed here"},
    {"BEGIN { }\n\n  kprobe:tcp_* { }", "line 3, column 3:", "functions have no wildcards"},
    {"uprobe:readline { }", "column 1:", "say uprobe:/PATH:FUNCTION"},
    {"profile:hz:0 { }", "column 1:", "1 to 10000"},
    {"interval:us:5 { }", "column 1:", "100 us"},
    {"usdt:/bin/x:y { }", "column 1:", "usdt probes are not there"},
    {"BEGIN { $x = 1", "column 15:", "a } is missing"},
    {"BEGIN { $x = (1; }", "column 16:", "a ) is missing"},
    {"BEGIN { $x = 5 $y = 6; }", "column 16:", "a ; is missing before this"},
    {"BEGIN { \"abc }", "column 9:", "a string without an end"},
    {"BEGIN { /* }", "column 9:", "a comment without an end"},
    {"BEGIN { $x = 0x; }", "column 14:", "neither a number nor a name"},
    {"BEGIN { $x = 99999999999999999999; }", "column 14:", "does not fit into 64 bits"},
    {"BEGIN { $x = 'a'; }", "column 14:", "means nothing here"},
    {"BEGIN { $1 = 1; }", "column 9:", "a variable's name is missing"},
    {"BEGIN { 5 = 1; }", "column 11:", "only a variable or a map can be assigned to"},
    {"BEGIN { @x = *arg0; }", "column 14:", "reading memory by * is not there"},
    {"BEGIN { for (;;) { } }", "column 9:", "for is not there"},
    {"BEGIN { $x = $y; }", "column 14:", "$y is read before a value was assigned"},
    {"BEGIN { if (1) { $x = 1; } $x = \"a\"; }", "column 33:", "$x is an integer; this is a string"},
    {"BEGIN { @x = @y; }", "column 14:", "nothing is ever assigned to it"},
    {"BEGIN { @x[\"a\"] = 1; @x[1] = 2; }", "column 25:", "key is a string elsewhere, here an integer"},
    {"BEGIN { @x[1] = 1; @x = 2; }", "column 20:", "key of 1 parts elsewhere, here of 0"},
    {"BEGIN { @x = 1; } END { @x = count(); }", "column 30:", "@x is an integer; this is count()"},
    {"BEGIN { @x = lhist(1, 0, 10, 1); @x = lhist(1, 0, 10, 2); }", "column 39:", "@x is lhist(); this is lhist()"},
    {"BEGIN { @x = count() + 1; }", "column 14:", "must be an integer; this is count()"},
    {"BEGIN { $x = sum(1); }", "column 14:", "only for @map = sum()"},
    {"BEGIN { @x[hist(1)] = 1; }", "column 12:", "hist() is no key"},
    {"BEGIN { @x = hist(1); @y = @x; }", "column 28:", "can be printed, not read"},
    {"BEGIN { @x = \"a\" + 1; }", "column 18:", "strings can be compared by == and !=, nothing else"},
    {"BEGIN { @x = comm < \"a\"; }", "column 19:", "nothing else"},
    {"BEGIN { @x = 1 / 0; }", "column 16:", "divides by 0"},
    {"BEGIN { 5; }", "column 9:", "the value of this is not used"},
    {"BEGIN { break; }", "column 9:", "no while around"},
    {"BEGIN { unroll(1000) { } }", "column 16:", "from 1 to 100"},
    {"BEGIN { @x = lhist(1, 10, 0, 1); }", "column 14:", "min below max"},
    {"BEGIN { printf(\"%d %s\\n\", 1); }", "column 9:", "wants more than the 1 values"},
    {"BEGIN { printf(\"%d\\n\", \"x\"); }", "column 24:", "%d does not print a string"},
    {"BEGIN { printf(\"%s\\n\", 1); }", "column 24:", "%s does not print an integer"},
    {"BEGIN { printf(\"%n\", 1); }", "column 16:", "does not know the conversion"},
    {"BEGIN { printf(\"x\", 1); }", "column 21:", "nothing for this value"},
    {"BEGIN { printf(comm); }", "column 16:", "format is a string"},
    {"BEGIN { print(1, 2); }", "column 18:", "only print(@map)"},
    {"BEGIN { clear(1); }", "column 15:", "takes a whole map"},
    {"BEGIN { delete(5); }", "column 16:", "takes a map and a key"},
    {"BEGIN { system(\"ls\"); }", "column 9:", "no function system()"},
    {"BEGIN { @x = str(1, 500); }", "column 21:", "from 1 to 200"},
    {"BEGIN { @x = ret; }", "column 14:", "BEGIN has no result"},
    {"BEGIN { @x = arg0; }", "column 14:", "BEGIN has no arguments"},
    {"syscall:read { @x = arg7; }", "column 21:", "arg0 to arg5"},
    {"syscall:getpid { @x = fd; }", "column 23:", "has no descriptor"},
    {"syscall:read { @x = args.nope; }", "column 26:", "no field nope; there are: fd, buf, count, ret"},
    {"tracepoint:syscalls:sys_exit_read { @x = args.fd; }", "column 47:", "there are: ret"},
    {"net:drop { @x = args; }", "column 17:", "args needs a field"},
    {"syscall:read { @x = nosuch; }", "column 21:", "no builtin nosuch"},
    {"BEGIN { $t = (1, 2); $x = $t.2; }", "column 30:", "the parts .0 to .1"},
    {"BEGIN { $a = str(1, 200); $b = str(2, 200); $c = str(3, 200); }", "column 1:", "512 bytes of stack"},
    {"BEGIN { unroll(100) { unroll(100) { @x = 1; } } }", "column", "too long"},
    {"syscall:* { @[probe, \"this is a string\", args.ret] = count(); } net:* { @x = args.reason; }", "column 83:", "has no field reason"},
};

static void refusals(void)
{
    for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
        struct lang l;
        struct error err = {0};
        int result = lang_compile(&l, refused[i].program, strlen(refused[i].program), &world, &err);
        AUTO_FREE char *text = str_format("refused: %.60s", *refused[i].program ? refused[i].program : "nothing");
        for (char *c = text; *c; c++)
            *c = *c == '\n' || *c == '#' ? ' ' : *c;
        check(result < 0 && strstr(err.text, refused[i].place) && strstr(err.text, refused[i].why), text, err.text);
        if (result == 0)
            lang_done(&l);
    }
    struct lang l;
    struct error err = {0};
    AUTO_FREE char *deep = xalloc(20001);
    static const char *const nests[] = {"(", "-", "!", "if (1) {", "(int8)", "@x[", "1+", "1?"};
    for (size_t i = 0; i < ARRAY_SIZE(nests); i++) {
        size_t n = strlen(nests[i]);
        strcpy(deep, i == 3 ? "BEGIN { " : "BEGIN { $x = ");
        for (size_t at = strlen(deep), k = 0; k < 2000; k++, at += n)
            memcpy(deep + at, nests[i], n + 1);
        AUTO_FREE char *text = str_format("two thousand times %s", nests[i]);
        check(lang_compile(&l, deep, strlen(deep), &world, &err) < 0, text, "accepted");
    }
    err = (struct error){0};
    static const char lines[] = "BEGIN {\n  @a = 1;\n  @a = \"two\";\n}";
    lang_compile(&l, lines, strlen(lines), &world, &err);
    check(strcmp(err.text, "line 3, column 8: @a is an integer; this is a string\n    @a = \"two\";\n         ^") == 0, "the line and a mark under the place", err.text);
}

/* --- what comes out ---------------------------------------------------------------------------- */

static const struct {
    const char *program;
    u32 programs, places, maps, outputs; /* maps: without the two that are always there */
} accepted[] = {
    {"BEGIN { }", 1, 1, 0, 0},
    {"syscall:read { @[comm] = count(); }", 1, 1, 1, 0},
    {"syscall:read,syscall:write /ret > 0 && comm != \"sh\"/ { @[probe] = hist(ret); @ret = lhist(ret, 0, 100, 10); }", 1, 2, 2, 0},
    {"tracepoint:syscalls:sys_enter_newstat,tracepoint:syscalls:sys_enter_stat { printf(\"%s\\n\", str(args->filename)); }", 1, 2, 0, 1},
    {"net:tcp_* { @[probe] = count(); }", 2, 2, 1, 0},
    {"sched:switch { @[args.prev, args.next] = count(); if (args.prev == args.next) { exit(); } }", 1, 1, 1, 1},
    {"profile:hz:99 { @[ustack, kstack(3), ustack(3)] = count(); } i:s:1 { print(@); clear(@); zero(@); time(); }", 2, 2, 3, 4},
    {"kprobe:tcp_input+4 { @[func] = count(); } kr:f { @r = retval; } uprobe:/bin/bash:readline { @u = usym(arg1); }", 3, 3, 3, 0},
    {"BEGIN { $i = 0; while ($i < 10) { $i++; if ($i == 2) { continue; } else if ($i > 5) { break; } unroll(3) { @x[$i] += 2; } } return; }", 1, 1, 1, 0},
    {"BEGIN { $t = (1, \"two\", (3, \"x\")); @t[$t.1] = $t; print(($t.2).1); @x = 1 ? \"a\" : \"longer than that\"; delete(@t[\"two\"]); }", 1, 1, 2, 1},
    {"// a comment\nBEGIN /* another */ /pid == 1 / 1/ { @a = 5; --@a; @a++; @b = -@a; @c = (uint8)300; @d = 1e3 + 5ms; }", 1, 1, 4, 0},
    {"#!/usr/bin/env bpftrace\nBEGIN { unroll(100) { unroll(100) { unroll(100) { unroll(100) { unroll(100) { } } } } } }", 1, 1, 0, 0},
    {"END { @late[1] = @early; } BEGIN { @early = \"text\"; @early = \"longer text\"; }", 2, 2, 2, 0},
};

/* What the kernel's verifier asks first: whole instructions, jumps that stay inside, an end. */
static bool well_formed(const struct unit *u, const struct unit_program *p)
{
    for (u32 i = 0; i < p->ninsns; i++) {
        const struct bpf_insn *n = &p->insns[i];
        bool jump = BPF_CLASS(n->code) == BPF_JMP && BPF_OP(n->code) != BPF_CALL && BPF_OP(n->code) != BPF_EXIT;
        if (jump && (i + 1 + n->off < 1 || i + 1 + n->off >= p->ninsns))
            return false;
        if (n->code != (BPF_LD | BPF_IMM | BPF_DW))
            continue;
        if (i + 1 >= p->ninsns || p->insns[i + 1].code != 0 || (n->src_reg && (u32)n->imm >= u->nmaps))
            return false;
        i++;
    }
    return p->ninsns > 0 && p->insns[p->ninsns - 1].code == (BPF_JMP | BPF_EXIT);
}

static void acceptances(void)
{
    for (size_t i = 0; i < ARRAY_SIZE(accepted); i++) {
        struct lang l;
        struct error err = {0};
        AUTO_FREE char *name = str_format("accepted: %.60s", accepted[i].program), *got = NULL;
        for (char *c = name; *c; c++)
            *c = *c == '\n' || *c == '#' ? ' ' : *c;
        bool good = lang_compile(&l, accepted[i].program, strlen(accepted[i].program), &world, &err) == 0;
        check(good, name, err.text);
        if (!good)
            continue;
        for (u32 k = 0; k < l.unit.nprograms; k++)
            good &= well_formed(&l.unit, &l.unit.programs[k]);
        got = str_format("%u programs, %u places, %u maps, %u outputs", l.unit.nprograms, l.unit.nattaches, l.unit.nmaps - 2, l.noutputs);
        good &= l.unit.nprograms == accepted[i].programs && l.unit.nattaches == accepted[i].places && l.unit.nmaps == accepted[i].maps + 2 &&
                l.noutputs == accepted[i].outputs;
        check(good, "well formed, and as many as there should be", got);
        lang_done(&l);
    }
    struct lang l;
    struct error err = {0};
    const char *all = "tracepoint:syscalls:sys_enter_* { @[probe] = count(); @fd[fd] = count(); }";
    if (lang_compile(&l, all, strlen(all), &world, &err) == 0) {
        check(l.unit.nprograms < 8 && l.unit.nattaches > 300, "one program serves all calls that have their descriptor in the same place", "");
        lang_done(&l);
    }
}

/* --- printed output ------------------------------------------------------------------------------ */

static void put(u8 **p, u64 v)
{
    memcpy(*p, &v, 8);
    *p += 8;
}

/* The first map of a program, with elements of words: keys and values one behind the other. */
static void prints_map(const char *program, const u64 *words, size_t nwords, const char *want)
{
    struct lang l;
    struct error err = {0};
    if (lang_compile(&l, program, strlen(program), &world, &err) < 0) {
        check(false, program, err.text);
        return;
    }
    const struct unit_map *m = &l.unit.maps[l.maps->index];
    struct elements e = {.key_len = m->key_size, .values_len = m->value_size * (m->type == BPF_MAP_TYPE_PERCPU_HASH ? world.cpus : 1)};
    size_t one = (e.key_len + e.values_len) / 8;
    for (size_t i = 0; i + one <= nwords; i += one)
        elements_add(&e, (const u8 *)(words + i), (const u8 *)(words + i) + e.key_len);
    struct printer s = {.l = &l};
    buf_add(&s.out, "", 0);
    show_map(&s, l.maps, &e, 0, 0);
    check(strcmp(s.out.data, want) == 0 && nwords % one == 0, program, s.out.data);
    elements_done(&e);
    buf_done(&s.out);
    lang_done(&l);
}

static u64 text_word(const char *t)
{
    u64 v = 0;
    memcpy(&v, t, strlen(t));
    return v;
}

static void maps(void)
{
#define MAP(program, want, ...) prints_map(program, (const u64[]){__VA_ARGS__}, sizeof((const u64[]){__VA_ARGS__}) / 8, want)
    u64 minus = (u64)-5;
    MAP("BEGIN { @a = 5; }", "@a: 5\n", 0, 5);
    MAP("BEGIN { @a = -5; }", "@a: -5\n", 0, minus);
    MAP("BEGIN { @a[\"x\"] = 1; }", "@a[y]: -5\n@a[x]: 2\n@a[z]: 3\n\n", text_word("x"), 2, text_word("z"), 3, text_word("y"), minus);
    MAP("BEGIN { @a[1, \"x\"] = count(); }", "@a[7, q]: 2\n@a[7, p]: 5\n\n", 7, text_word("p"), 2, 3, 7, text_word("q"), 1, 1);
    MAP("BEGIN { @a = sum(-1); }", "@a: -4\n", 0, minus, 1);
    MAP("BEGIN { @a = avg(1); }", "@a: 3\n", 0, 10, 3, 2, 1);
    MAP("BEGIN { @a = stats(1); }", "@a: count 4, average 3, total 12\n", 0, 10, 3, 2, 1);
    MAP("BEGIN { @a = min(1); }", "@a: -5\n", 0, minus, 1, 3, 1);
    MAP("BEGIN { @a = min(1); }", "@a: 3\n", 0, 0, 0, 3, 1);
    MAP("BEGIN { @a = max(1); }", "@a: -5\n", 0, minus, 1, 7, 0);
    MAP("BEGIN { @a = max(nsecs); }", "@a: 18446744073709551611\n", 0, minus, 1, 7, 1);
    MAP("BEGIN { @a = (1, \"x\", (2, 3)); }", "@a: (1, x, (2, 3))\n", 0, 1, text_word("x"), 2, 3);
    MAP("BEGIN { @a[comm] = probe; }", "@a[?\n]: BEGIN\n\n", text_word("\x1b\n"), 0, 0);
    MAP("syscall:read { @a = probe; }", "@a: syscall:read\n", 0, PROBE_SYSCALL * PROBE_CALL);
    MAP("tracepoint:syscalls:sys_enter_newstat { @a = probe; }", "@a: tracepoint:syscalls:sys_enter_newstat\n", 0, PROBE_ENTER * PROBE_CALL + 4);
    MAP("BEGIN { @a[kstack] = ksym(1); }", "@a[]: 0x10\n\n", UINT32_MAX, 16);
    MAP("BEGIN { @a = hist(1); }",
        "@a: \n"
        "(..., 0)               1 |@@@@@@@@@@@@@                                       |\n"
        "[0]                    4 |@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@|\n"
        "[1]                    0 |                                                    |\n"
        "[2, 4)                 2 |@@@@@@@@@@@@@@@@@@@@@@@@@@                          |\n\n",
        1, 2, 2, 0, 0, 1, 3, 2, 0);
    MAP("BEGIN { @a[\"k\"] = hist(1); }",
        "@a[q]: \n"
        "[1K, 2K)               1 |@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@|\n\n"
        "@a[p]: \n"
        "[512, 1K)              2 |@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@|\n"
        "[1K, 2K)               1 |@@@@@@@@@@@@@@@@@@@@@@@@@@                          |\n\n",
        text_word("p"), 12, 1, 0, text_word("q"), 12, 1, 0, text_word("p"), 11, 1, 1);
    MAP("BEGIN { @a = lhist(1, 0, 30, 10); }",
        "@a: \n"
        "(..., 0)               1 |@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@|\n"
        "[0, 10)                0 |                                                    |\n"
        "[10, 20)               0 |                                                    |\n"
        "[20, 30)               0 |                                                    |\n"
        "[30, ...)              1 |@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@|\n\n",
        0, 1, 0, 4, 1, 0);
    MAP("BEGIN { @a = lhist(1, 0, 4096, 1024); }",
        "@a: \n[1K, 2K)               1 |@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@|\n\n", 2, 1, 0);
    MAP("BEGIN { @a = hist(1); }", "@a: \n\n", 400, 1, 1); /* a bucket that there is not: of a kernel that lies */
}

static void records(void)
{
    static const char program[] = "BEGIN { printf(\"%5d|%-5s|%s|%c|%x|%%|%p|%08llx|%.2s|%u\\n\", 1, \"ab\", comm, 65, 255, 16, 255, \"xyz\", 7); }";
    struct lang l;
    struct error err = {0};
    const struct output *o;
    u8 bytes[128] = {0}, *p = bytes;
    if (lang_compile(&l, program, strlen(program), &world, &err) < 0) {
        check(false, "a record", err.text);
        return;
    }
    put(&p, 0);
    put(&p, 1);
    put(&p, text_word("ab"));
    put(&p, text_word("redis\x1b"));
    put(&p, 0);
    put(&p, 65);
    put(&p, 255);
    put(&p, 16);
    put(&p, 255);
    put(&p, text_word("xyz"));
    put(&p, (u64)-1);
    struct printer s = {.l = &l};
    bool shown = show_output(&s, bytes, (size_t)(p - bytes), &o);
    check(shown && strcmp(s.out.data, "    1|ab   |redis?|A|ff|%|0x10|000000ff|xy|18446744073709551615\n") == 0, "printf()", s.out.data);
    check(!show_output(&s, bytes, (size_t)(p - bytes) - 8, &o) && !o, "a record that is cut short is none", "");
    put(&(u8 *){bytes}, 1);
    check(!show_output(&s, bytes, (size_t)(p - bytes), &o) && !o, "nor one of an output that there is not", "");
    buf_done(&s.out);
    lang_done(&l);
}

/* --- objects ------------------------------------------------------------------------------------------ */

static u64 seed = 42;

static u64 next_random(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

static void touch(struct object *o)
{
    struct error err = {0};
    struct buf out = {0};
    u8 bytes[64] = {1, 2, 3};
    object_places(o, &world, &err);
    for (u32 i = 0; i < o->unit.nmaps; i++)
        btf_show(&o->btf, o->unit.maps[i].value_type, bytes, sizeof(bytes), &out);
    for (u32 i = 0; i < o->nvars; i++)
        btf_show(&o->btf, o->vars[i].type, bytes, sizeof(bytes), &out);
    buf_done(&out);
}

static void objects(const char *path)
{
    struct buf file = {0};
    struct object o;
    struct error err = {0};
    if (file_read(path, OBJECT_BYTES_MAX, &file) < 0 || object_read(&o, (const u8 *)file.data, file.len, &err) < 0) {
        check(false, path, err.text);
        buf_done(&file);
        return;
    }
    check(o.unit.nprograms == 2 && o.unit.nmaps == 5 && o.nvars == 3 && strcmp(o.unit.programs[0].name, "on_read") == 0, "its programs, maps and variables", "");
    check(o.unit.maps[0].key_size == 4 && o.unit.maps[0].value_size == 8 && o.unit.maps[0].max_entries == 64, "its map", o.unit.maps[0].name);
    check(object_places(&o, &world, &err) == 0 && o.unit.nattaches == 2 && o.unit.attaches[0].target.where == BPFD_AT_CALL_EXIT, "its places", err.text);
    bool formed = true;
    for (u32 i = 0; i < o.unit.nprograms; i++)
        formed &= well_formed(&o.unit, &o.unit.programs[i]);
    check(formed && unit_line_of(&o.unit.programs[0], 0), "relocated, with lines of its source", "");
    struct buf text = {0};
    u8 event[24] = {0x11, 0, 0, 0, 5, 0, 0, 0, 'd', 'd', '"'};
    btf_show(&o.btf, btf_find(&o.btf, "event", BTF_KIND_STRUCT), event, sizeof(event), &text);
    check(text.data && strcmp(text.data, "{.pid = 17, .size = 5, .comm = \"dd\\042\"}") == 0, "a structure by its type", text.data);
    buf_done(&text);
    object_done(&o);
    unsigned good = 0;
    u8 *copy = xalloc(file.len);
    for (unsigned i = 0; i < DAMAGED; i++) {
        size_t len = next_random() % 8 ? file.len : next_random() % file.len;
        memcpy(copy, file.data, file.len);
        for (u64 k = next_random() % 6 + 1; k--;)
            copy[next_random() % file.len] = (u8)next_random();
        u8 *exact = xalloc(len + 1); /* whatever is read behind it is found */
        memcpy(exact, copy, len);
        exact = realloc(exact, len ? len : 1);
        if (object_read(&o, exact, len, &err) == 0) {
            touch(&o);
            object_done(&o);
            good++;
        }
        free(exact);
    }
    AUTO_FREE char *line = str_format("%u damaged ones, %u of which nobody noticed", DAMAGED, good);
    check(good > 0 && good < DAMAGED, line, "");
    free(copy);
    buf_done(&file);
}

int main(int argc, char **argv)
{
    static const char points[] = "0 sched:switch uusuus prev_id,prev_state,prev,next_id,next_prio,next\n7 net:tcp_retransmit uuuu local_port,remote_port,sequence,bytes\n"
                                 "8 net:tcp_state uuuu local_port,remote_port,old,new\n9 net:drop s reason\n";
    world = (struct world){.cpus = 2, .monotonic_ns = 1000000000, .realtime_ns = 1700000000000000000ull};
    check(world_points(&world, points, strlen(points)) == 0 && world.npoints == 4, "tracepoints of an instance", "");
    refusals();
    acceptances();
    maps();
    records();
    if (argc > 1)
        objects(argv[1]);
    world_done(&world);
    printf("1..%u\n", count);
    return failed != 0;
}
