/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host's parsers of outside bytes: right answers for good input, an error and
 * no overrun (the sanitizers watch) for thousands of damaged ones. The damage is
 * random by a fixed seed.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/bytes.h"
#include "host/image/config.h"
#include "host/image/elf.h"
#include "host/image/erofs.h"
#include "host/image/inputs.h"
#include "host/image/symbols.h"
#include "host/lib/fs.h"
#include "host/lib/process.h"
#include "host/net/ports.h"
#include "host/tender/console.h"
#include "host/tender/control.h"
#include "host/tender/stream.h"
#include "host/trace/decode.h"

static unsigned count, failed;
static u64 seed = 42;

static void check(bool good, const char *text)
{
    count++;
    failed += !good;
    printf("%s %u - %s\n", good ? "ok" : "not ok", count, text);
}

static u64 next_random(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

static int file_of(const void *data, size_t len)
{
    int fd = memory_file("test", data, len);
    if (fd < 0) {
        perror("memfd");
        exit(1);
    }
    return fd;
}

/* A few bytes changed, sometimes cut short; favouring the first kilobytes. */
static size_t damage(u8 *data, size_t len)
{
    for (unsigned i = next_random() % 8 + 1; i--;) {
        size_t at = next_random() % (next_random() % 2 ? MIN(len, (size_t)4096) : len);
        static const u8 nasty[] = {0, 0xff, 0x7f, 0x80, 1};
        data[at] = next_random() % 2 ? (u8)next_random() : nasty[next_random() % sizeof(nasty)];
    }
    return next_random() % 4 == 0 ? next_random() % len : len;
}

static void test_elf(void)
{
    struct buf self = {0};
    struct elf_info info = {0};
    struct error err = {0};
    enum elf_kind kind;
    if (file_read("/proc/self/exe", 64 << 20, &self) < 0)
        exit(1);
    int fd = file_of(self.data, self.len);
    int result = elf_read(fd, "self", &kind, &info, &err);
    check(result == 0 && kind == ELF_YES && info.machine == EM_X86_64 && info.interp && info.needed.count > 1,
          "ELF: this program's interpreter and libraries");
    close(fd);
    elf_done(&info);
    fd = file_of("#!/bin/sh\n", 10);
    check(elf_read(fd, "script", &kind, &info, &err) == 0 && kind == ELF_NOT_ELF, "ELF: a script is not one");
    close(fd);
    size_t len = MIN(self.len, (size_t)200000);
    u8 *copy = xalloc(len);
    unsigned refused = 0;
    for (unsigned i = 0; i < 3000; i++) {
        memcpy(copy, self.data, len);
        size_t n = damage(copy, len);
        fd = file_of(copy, n);
        if (elf_read(fd, "damaged", &kind, &info, &err) < 0)
            refused++;
        else if (kind == ELF_YES)
            elf_done(&info);
        close(fd);
    }
    check(refused > 100, "ELF: 3000 damaged files, no overrun");
    free(copy);
    buf_done(&self);
}

/* A small image: block size 512, root directory inline, one file /a with "hello". */
static size_t make_erofs(u8 *p)
{
    memset(p, 0, 8192);
    u8 *sb = p + 1024;
    put_u32(sb, 0xE0F5E1E2u);
    sb[12] = 9;
    put_u16(sb + 14, 0);  /* root nid */
    put_u32(sb + 36, 16); /* blocks */
    put_u32(sb + 40, 4);  /* meta at 2048 */
    u8 *root = p + 2048;
    put_u16(root, 2 << 1); /* compact, inline */
    put_u16(root + 4, 040755);
    u8 *dir = root + 32;
    put_u64(dir, 0), put_u16(dir + 8, 36);
    put_u64(dir + 12, 0), put_u16(dir + 20, 37);
    put_u64(dir + 24, 16), put_u16(dir + 32, 39);
    memcpy(dir + 36, "...a", 4);
    put_u32(root + 8, 40);
    u8 *file = p + 2048 + 16 * 32;
    put_u16(file, 1); /* extended, plain */
    put_u16(file + 4, 0100644);
    put_u64(file + 8, 5);
    put_u32(file + 16, 8);
    memcpy(p + 4096, "hello", 5);
    return 8192;
}

static void test_erofs(void)
{
    u8 image[8192];
    struct buf text = {0};
    struct error err = {0};
    size_t len = make_erofs(image);
    int fd = file_of(image, len);
    check(erofs_is_image(fd) && erofs_read_file(fd, "image", "/a", 100, &text, &err) == 1 && text.len == 5 &&
              memcmp(text.data, "hello", 5) == 0, "EROFS: reads a file");
    buf_done(&text);
    check(erofs_read_file(fd, "image", "/b", 100, &text, &err) == 0, "EROFS: no such file");
    check(erofs_read_file(fd, "image", "/a/b", 100, &text, &err) == 0, "EROFS: a file is no directory");
    check(erofs_read_file(fd, "image", "/a", 4, &text, &err) == -1, "EROFS: longer than asked for");
    close(fd);
    unsigned refused = 0;
    for (unsigned i = 0; i < 20000; i++) {
        make_erofs(image);
        /* The interesting bytes are few. */
        static const size_t zones[] = {1024, 2048, 2048 + 32, 2048 + 512};
        for (unsigned k = next_random() % 4 + 1; k--;)
            image[zones[next_random() % ARRAY_SIZE(zones)] + next_random() % 64] = (u8)next_random();
        size_t n = next_random() % 8 == 0 ? next_random() % len : len;
        fd = file_of(image, n);
        int result = erofs_read_file(fd, "damaged", "/a", 4096, &text, &err);
        refused += result < 0;
        if (result == 1)
            buf_done(&text);
        close(fd);
    }
    check(refused > 1000, "EROFS: 20000 damaged images, no overrun");
}

static unsigned messages;
static void count_message(void *ctx, u16 type, const void *payload, u32 len)
{
    (void)ctx;
    (void)type;
    volatile u8 sum = 0;
    for (u32 i = 0; i < len; i++)
        sum = (u8)(sum + ((const u8 *)payload)[i]);
    messages++;
}

static void test_control(void)
{
    struct {
        struct ctl_header h;
        struct ctl_exit e;
    } m = {{CTL_MAGIC, CTL_VERSION, CTL_EXIT, sizeof(struct ctl_exit)}, {3, 0, 0, 0}};
    struct control c = {0};
    for (size_t i = 0; i < sizeof(m); i++)
        control_feed(&c, (u8 *)&m + i, 1, count_message, NULL);
    check(messages == 1 && !c.broken, "control: a message byte by byte");
    m.h.len = CTL_MAX_LEN + 1;
    control_feed(&c, &m, sizeof(m), count_message, NULL);
    check(messages == 1 && c.broken, "control: too long a message ends the conversation");
    control_done(&c);
    for (unsigned i = 0; i < 2000; i++) {
        u8 bytes[256];
        struct control one = {0};
        for (size_t k = 0; k < sizeof(bytes); k += sizeof(m.h)) {
            m.h.len = (u32)(next_random() % 40);
            memcpy(bytes + k, &m.h, MIN(sizeof(m.h), sizeof(bytes) - k));
        }
        bytes[next_random() % sizeof(bytes)] = (u8)next_random();
        for (size_t at = 0; at < sizeof(bytes); at += 32)
            control_feed(&one, bytes + at, 32, count_message, NULL);
        control_done(&one);
    }
    check(true, "control: 2000 damaged conversations, no overrun");
}

static void test_config(void)
{
    struct config c = {0};
    struct error err = {0};
    static const char *const bad[] = {"", "[]", "{\"process\":3}", "{\"process\":{\"args\":[1]}}", "{\"process\":{\"env\":{}}}",
                                      "{\"annotations\":[]}", "{", "{\"process\":{\"args\":[\"a\\u0000b\"]}}"};
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        check(config_parse(&c, bad[i], strlen(bad[i]), "bad", &err) < 0, bad[i]);
    config_init(&c);
    config_set_env(&c, "A=1");
    config_set_env(&c, "A=2");
    check(strcmp(config_env(&c, "A"), "2") == 0, "config: a variable is replaced");
    char *text = config_text(&c);
    struct config again = {0};
    check(config_parse(&again, text, strlen(text), "again", &err) == 0 && strcmp(config_env(&again, "A"), "2") == 0,
          "config: what is written can be read");
    free(text);
    config_done(&again);
    config_done(&c);
}

static void test_ports(void)
{
    struct port p;
    struct error err;
    check(port_parse(&p, "8080:80", &err) == 0 && p.host == 8080 && p.guest == 80 && !p.udp, "-p 8080:80");
    check(port_parse(&p, "127.0.0.1:53:5353/udp", &err) == 0 && p.host == 53 && p.guest == 5353 && p.udp &&
              p.address.s_addr == htonl(INADDR_LOOPBACK), "-p 127.0.0.1:53:5353/udp");
    check(port_parse(&p, "[::1]:8080:80", &err) == 0 && p.host == 8080 && p.guest == 80 && p.ipv6 && IN6_IS_ADDR_LOOPBACK(&p.address6),
          "-p [::1]:8080:80");
    static const char *const bad[] = {"80", "0:80", "80:0", "80:65536", "x:80", "1.2.3:80:80", "80:80/sctp", "[::1]80:80", "[::1]:80", "[1.2.3.4]:80:80",
                                      "[::1:80:80", "[::1]:1.2.3.4:80:80", ""};
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        check(port_parse(&p, bad[i], &err) < 0, bad[i]);
}

static void test_inputs(void)
{
    struct inputs in = {0};
    char path[] = "/tmp/drupe-test-inputs-XXXXXX";
    int fd = mkstemp(path);
    AUTO_FREE char *absent = str_format("%s.absent", path);
    inputs_note(&in, path, INPUT_WHOLE, NULL);
    inputs_note(&in, absent, INPUT_WHOLE, NULL);
    inputs_note(&in, "/", INPUT_ATTRS, NULL);
    check(inputs_unchanged(in.records.data, in.records.len), "inputs: unchanged");
    bool whole = true;
    for (size_t cut = 1; cut < in.records.len; cut++)
        whole &= cut % 8 == 0 || !inputs_unchanged(in.records.data, cut);
    check(whole, "inputs: a list cut short is not believed");
    check(write(fd, "x", 1) == 1 && !inputs_unchanged(in.records.data, in.records.len), "inputs: a longer file is seen");
    inputs_done(&in);
    in = (struct inputs){0};
    inputs_note(&in, absent, INPUT_WHOLE, NULL);
    int other = open(absent, O_CREAT | O_WRONLY, 0600);
    check(!inputs_unchanged(in.records.data, in.records.len), "inputs: a file that appears is seen");
    close(other);
    close(fd);
    unlink(path);
    unlink(absent);
    inputs_done(&in);
}

static void test_stream(void)
{
    struct stream *s = xalloc(sizeof(*s));
    int port[2], out[2];
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, port) < 0 || pipe(out) < 0)
        exit(1);
    stream_init_output(s, port[0], out[1]);
    /* More than a pipe holds: copying stops without blocking and goes on when there is room. */
    size_t sent = 0, got = 0;
    char bytes[4096];
    for (unsigned i = 0; i < 400; i++) {
        ssize_t n = send(port[1], bytes, sizeof(bytes), MSG_DONTWAIT);
        sent += n > 0 ? (size_t)n : 0;
        struct pollfd fds[2];
        size_t k = stream_poll(s, fds);
        if (k && poll(fds, k, 0) >= 0)
            stream_copy(s);
    }
    shutdown(port[1], SHUT_WR);
    fcntl(out[0], F_SETFL, O_NONBLOCK);
    for (unsigned i = 0; i < 4000 && !stream_finished(s); i++) {
        ssize_t n = read(out[0], bytes, sizeof(bytes));
        got += n > 0 ? (size_t)n : 0;
        struct pollfd fds[2];
        size_t k = stream_poll(s, fds);
        if (k && poll(fds, k, 0) >= 0)
            stream_copy(s);
    }
    for (ssize_t n; (n = read(out[0], bytes, sizeof(bytes))) > 0;)
        got += (size_t)n;
    check(sent == got && sent > 65536 && stream_finished(s), "stream: a slow reader gets every byte");
    check((fcntl(out[1], F_GETFL) & O_NONBLOCK) == 0, "stream: the caller's pipe stays blocking");
    stream_done(s);
    free(s);
}

static void test_symbols(void)
{
    struct buf self = {0};
    u64 place = 0;
    if (file_read("/proc/self/exe", 64 << 20, &self) < 0)
        exit(1);
    /* The same walk that a loader does, the other way round: where in the file is this function? */
    FILE *maps = fopen("/proc/self/maps", "r");
    for (char line[512]; maps && fgets(line, sizeof(line), maps);) {
        unsigned long start, end, offset, at = (unsigned long)(uintptr_t)test_symbols;
        if (sscanf(line, "%lx-%lx %*s %lx", &start, &end, &offset) == 3 && at >= start && at < end)
            place = at - start + offset;
    }
    fclose(maps);
    char *name = symbol_at(self.data, self.len, place + 5);
    check(name && strcmp(name, "test_symbols+0x5") == 0, name ? name : "a function has a name");
    free(name);
    name = symbol_at(self.data, self.len, UINT64_MAX);
    check(!name, "what lies outside has none");
    free(name);
    u64 found = 0;
    check(symbol_find(self.data, self.len, "test_symbols", &found) && found == place && !symbol_find(self.data, self.len, "test_symbol", &found),
          "a name has its function");
    u8 *bytes = xalloc(self.len);
    for (unsigned i = 0; i < 300; i++) {
        memcpy(bytes, self.data, self.len);
        /* The tables lie at the end; damage what points to them and what they say. */
        size_t len = damage(bytes, i % 2 ? 64 : self.len), shoff = (size_t)*(u64 *)(bytes + 40);
        if (i % 3 == 0 && shoff < self.len - 4096)
            damage(bytes + shoff, self.len - shoff);
        free(symbol_at(bytes, i % 2 ? self.len : len, place));
        symbol_find(bytes, i % 2 ? self.len : len, "test_symbols", &found);
    }
    check(true, "300 damaged symbol tables");
    free(bytes);
    char *same = symbols_annotate("no place\n/x+0x\n  /y+0x12345678901234567\n+0x1\n\n  /z+0x1", -1);
    check(strcmp(same, "no place\n/x+0x\n  /y+0x12345678901234567\n+0x1\n\n  /z+0x1") == 0, "a report without names stays");
    free(same);
    buf_done(&self);
}

static bool cleans(const char *text, const char *keep, const char *want)
{
    AUTO_FREE char *copy = xstrdup(text);
    text_clean(copy, strlen(copy), keep);
    return strcmp(copy, want) == 0;
}

/* The call, which wrote that much to its third argument, as it is printed. */
static char *decoded(u32 nr, u64 what, const void *data, u16 len)
{
    struct trace_piece head = {.arg = 2, .len = len};
    struct buf exit = {0}, out = {0};
    buf_add(&exit, &head, sizeof(head));
    buf_add(&exit, data, ALIGN_UP((size_t)len, 8));
    u8 *whole = xalloc(exit.len); /* of its own, so that reading beyond it shows */
    memcpy(whole, exit.data, exit.len);
    struct call c = {.nr = nr, .args = {3, what, 0x1000}, .exit = {whole, exit.len}, .has_exited = true, .string_max = 32};
    add_args(&out, &c, 0);
    free(whole);
    buf_done(&exit);
    return out.data;
}

static void test_decode(void)
{
    struct { char name[16]; struct sockaddr_in address; u8 rest[8]; } ifr = {"lo", {.sin_family = AF_INET, .sin_addr = {0x0100007f}}, {0}};
    struct flock lock = {.l_type = F_UNLCK, .l_pid = 7};
    AUTO_FREE char *whole = decoded(SYS_ioctl, SIOCGIFADDR, &ifr, 32), *short_one = decoded(SYS_ioctl, SIOCGIFADDR, &ifr, 24);
    check(strstr(whole, "ifr_addr={sa_family=AF_INET") && strstr(whole, "127.0.0.1"), "an interface's address");
    check(!strstr(short_one, "ifr_addr"), "half of it is not read to its end");
    ifr.address.sin_family = 0x201;
    AUTO_FREE char *flags = decoded(SYS_ioctl, SIOCGIFFLAGS, &ifr, 32);
    check(strstr(flags, "ifr_flags=IFF_UP|IFF_ALLMULTI}") != NULL, "flags");
    AUTO_FREE char *locked = decoded(SYS_fcntl, F_GETLK, &lock, 32);
    check(strstr(locked, "F_UNLCK") && strstr(locked, "l_pid=7"), "a lock and its owner");
}

static void test_text(void)
{
    check(cleans("a\x1b[31m\x7f\r\n\t", "\n\t", "a?[31m??\n\t"), "control characters, and those that are kept");
    check(cleans("\xc3\xa4\xe2\x82\xac\xf0\x9f\x8d\x92 \xc2\xa0", "", "\xc3\xa4\xe2\x82\xac\xf0\x9f\x8d\x92 \xc2\xa0"), "other languages stay");
    check(cleans("\xc2\x9b" "31m\xc2\x80\xc2\x9f", "", "??31m????"), "CSI in one character");
    check(cleans("\x9b" "31m a\x9b\xc2", "", "?31m a??"), "and in one byte");
    check(cleans("\xe0\x82\x9b\xc0\x9b\xed\xa0\x80\xf8\x88\x80\x80\x9b", "", "?????????????"), "and in what is no UTF-8");
    char zero[] = {0, 'a', 27};
    text_clean(zero, sizeof(zero), "\n");
    check(memcmp(zero, "?a?", 3) == 0, "a zero in the middle");
}

static void test_open(void)
{
    char path[] = "/tmp/drupe-test-XXXXXX";
    check(mkdtemp(path) != NULL, "a directory");
    AUTO_FREE char *pipe_path = path_join(path, "pipe");
    AUTO_FREE char *file_path = path_join(path, "file");
    AUTO_CLOSE int file = open(file_path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    check(mkfifo(pipe_path, 0600) == 0 && file >= 0, "a pipe and a file");
    AUTO_CLOSE int opened = open_regular(file_path);
    check(opened >= 0, "a regular file is opened");
    check(open_regular(pipe_path) < 0 && open_regular("/dev/null") < 0 && open_regular(path) < 0 && open_regular("/proc/nowhere") < 0, "nothing else is");
    AUTO_CLOSE int writer = open(pipe_path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
    check(writer < 0, "not even for a moment");
    remove_tree(AT_FDCWD, path);
}

static void test_sizes(void)
{
    u64 v;
    check(parse_size("64M", 1, &v) == 0 && v == 64u << 20, "64M");
    check(parse_size("1g", 1, &v) == 0 && v == 1u << 30, "1g");
    check(parse_size("4096", 1, &v) == 0 && v == 4096, "4096");
    static const char *const bad[] = {"", "M", "-1", "1T", "99999999999999999999", "99999999999G", "1 M"};
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        check(parse_size(bad[i], 1, &v) < 0, bad[i]);
    AUTO_FREE char *path = path_absolute("/a/./b//../c/");
    check(strcmp(path, "/a/c") == 0, "path_absolute");
    AUTO_FREE char *root = path_absolute("/../..");
    check(strcmp(root, "/") == 0, "path_absolute of too many ..");
}

/* Pieces of any length, at entry and exit, of any part. */
static struct pieces any_pieces(void)
{
    struct buf b = {0};
    for (unsigned n = (unsigned)rand() % 6; n > 0; n--) {
        static const u16 lens[] = {0, 1, 7, 8, 12, 16, 24, 32, 40, 64, 88, 120, 144, 256};
        struct trace_piece head = {.arg = (u8)(rand() % 6), .flags = (u8)(rand() % 4), .len = lens[(size_t)rand() % ARRAY_SIZE(lens)],
                                   .part = (u32)(rand() % 3) * 256 + (u32)(rand() % 5)};
        buf_add(&b, &head, sizeof(head));
        for (unsigned i = 0; i < ALIGN_UP((unsigned)head.len, 8u); i++)
            buf_add(&b, &(u8){rand() % 3 ? (u8)(rand() % 4) : (u8)rand()}, 1);
    }
    u8 *whole = xalloc(b.len + !b.len); /* so that reading beyond it shows */
    if (b.len)
        memcpy(whole, b.data, b.len);
    size_t len = b.len;
    buf_done(&b);
    return (struct pieces){whole, len};
}

static void test_any_call(void)
{
    struct buf out = {0};
    srand(1);
    for (u32 nr = 0; nr < 470; nr++)
        for (unsigned round = 0; round < 60; round++) {
            struct call c = {.nr = nr, .entry = any_pieces(), .exit = any_pieces(), .has_exited = rand() % 4 != 0, .result = rand() % 8 - 4, .string_max = 32};
            for (unsigned i = 0; i < 6; i++)
                c.args[i] = rand() % 4 ? (u64)(rand() % 80) : (u64)rand() << (rand() % 40);
            out.len = 0;
            unsigned next = add_args(&out, &c, 0);
            c.has_exited = true;
            add_args(&out, &c, next);
            add_result(&out, &c);
            free((void *)c.entry.data);
            free((void *)c.exit.data);
        }
    check(out.len > 0, "any call with any pieces");
    buf_done(&out);
}

/* A letter comes in two reads, or never whole. */
static void test_console(void)
{
    static const char *const parts[] = {"a\xc3", "\xa9\xe2\x82", "\xac\xf0\x9f\x98", "\x80\xe2", "z\xe2\x82"};
    int ends[2];
    struct console c = {0};
    if (pipe(ends) < 0)
        abort();
    for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
        if (write(ends[1], parts[i], strlen(parts[i])) < 0)
            abort();
        console_keep(&ends[0], &c);
    }
    check(c.text.len == 12 && memcmp(c.text.data, "a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80?z", 12) == 0, "letters between two reads");
    close(ends[1]);
    check(console_keep(&ends[0], &c) == 2 && memcmp(c.text.data + 12, "??", 2) == 0 && ends[0] == -1, "one that never comes");
    buf_done(&c.text);
}

/* --- children of a process ------------------------------------------------------------- */

static int family[2]; /* made by main(), and by another thread */
static pthread_barrier_t looked;

static int make_child(void)
{
    pid_t pid = fork();
    if (pid == 0) {
        alarm(60); /* however we end */
        pause();
        _exit(0);
    }
    return pid;
}

static void *be_parent(void *arg)
{
    family[1] = make_child();
    pthread_barrier_wait(&looked);
    pthread_barrier_wait(&looked);
    return arg;
}

static int note_child(void *ctx, u64 pid)
{
    *(unsigned *)ctx |= (pid == (u64)family[0]) | (pid == (u64)family[1]) << 1;
    return 0;
}

static int stop_at_once(void *ctx, u64 pid)
{
    (void)pid;
    ++*(unsigned *)ctx;
    return -ECANCELED;
}

static void test_children(void)
{
    unsigned found = 0, asked = 0;
    pthread_t other;
    family[0] = make_child();
    pthread_barrier_init(&looked, NULL, 2);
    pthread_create(&other, NULL, be_parent, NULL);
    pthread_barrier_wait(&looked);
    check(each_child((u64)getpid(), note_child, &found) == 0 && found == 3, "children of all threads are found");
    check(each_child((u64)getpid(), stop_at_once, &asked) == -ECANCELED && asked == 1, "as long as they are wanted");
    check(each_child(1ull << 31, note_child, &found) == -ENOENT, "a process that is not there");
    pthread_barrier_wait(&looked);
    pthread_join(other, NULL);
    for (int i = 0; i < 2; i++) {
        kill(family[i], SIGKILL);
        waitpid(family[i], NULL, 0);
    }
}

int main(void)
{
    test_console();
    test_any_call();
    test_elf();
    test_erofs();
    test_control();
    test_config();
    test_ports();
    test_inputs();
    test_stream();
    test_symbols();
    test_decode();
    test_text();
    test_open();
    test_sizes();
    test_children();
    printf("1..%u\n", count);
    return failed != 0;
}
