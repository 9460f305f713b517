/* SPDX-License-Identifier: Apache-2.0 */
/* procfs with made-up processes; the terminal and streams on a made-up port. */
#include "fs_test.h"
#include "kern/chardev.h"

/* --- processes 1 (threads 1, 2) and 7 --- */
static struct fdtable *table;
static char stored[64];

static bool p_exists(u32 pid) { return pid == 1 || pid == 7; }
static u32 p_next(u32 after) { return after < 1 ? 1 : after < 7 ? 7 : 0; }
static u32 p_self(void) { return 1; }
static u32 p_thread(void) { return 2; }
static u32 p_next_tid(u32 pid, u32 after) { return pid == 7 ? (after < 7 ? 7 : 0) : after < 1 ? 1 : after < 2 ? 2 : 0; }

static void p_owner(u32 pid, u32 mode, u32 *uid, u32 *gid) { *uid = *gid = pid == 7 ? 1000 : 0; }

static size_t p_show(u32 pid, u32 tid, const char *name, char *buf, size_t size)
{
    size_t len = 0;
    if (strcmp(name, "long") == 0) {
        for (unsigned k = 0; k < 3000; k++)
            len += (size_t)fmt_snprintf(buf + MIN(len, size), len < size ? size - len : 0, "line %u\n", k);
        return len;
    }
    return (size_t)fmt_snprintf(buf, size, "%s of %u/%u\n", name, pid, tid);
}

static int p_link(u32 pid, const char *name, struct path *ret, char *buf, size_t size)
{
    if (strcmp(name, "exe") == 0) {
        str_copy(buf, "/bin/prog", size);
        return 0;
    }
    return vfs_lookup(&as_root, "/", 0, ret);
}

static struct fdtable *p_fds(u32 pid) { return pid == 1 ? fdtable_get(table) : NULL; }

static int p_store(u32 pid, u32 tid, const char *name, const char *text, size_t len)
{
    str_copy(stored, text, sizeof(stored));
    return 0;
}

static const char *const p_names[] = {"stat", "long", "comm", NULL};
static const struct proc_pid_ops pids = {p_exists, p_next, p_self, p_thread, p_next_tid, p_owner, p_show,
                                         p_names, p_link, p_fds, NULL, p_store};

static size_t show_value(void *arg, char *buf, size_t size) { return (size_t)fmt_snprintf(buf, size, "%d\n", *(int *)arg); }

static int store_value(void *arg, const char *text, size_t len)
{
    if (text[0] < '0' || text[0] > '9')
        return -EINVAL;
    *(int *)arg = text[0] - '0';
    return 0;
}

static void boot_proc(void)
{
    boot_tmpfs();
    table = fdtable_create();
    proc_set_pid_ops(&pids);
    CHECK_EQ(vfs_mkdir(&as_root, "/proc", 0755), 0);
    CHECK_EQ(vfs_mount(&as_root, "proc", "proc", "/proc", 0, NULL), 0);
}

static s64 link_text(const char *path, char *buf, size_t size)
{
    struct path p;
    int err = vfs_lookup(&as_root, path, LOOKUP_NOFOLLOW, &p);
    if (err != 0)
        return err;
    s64 n = vfs_readlink(&p, buf, size - 1);
    if (n >= 0)
        buf[n] = 0;
    path_put(&p);
    return n;
}

TEST(registered_entries)
{
    static int value = 4;
    char buf[16];
    boot_proc();
    CHECK_EQ(proc_add("sys/net/core/somaxconn", 0444, show_value, &value), 0);
    CHECK_EQ(proc_add_writable("/sys/vm/knob", 0644, show_value, store_value, &value), 0);
    CHECK_EQ(proc_add("sys/net", 0444, show_value, &value), -EINVAL);
    CHECK(text_is("/proc/sys/net/core/somaxconn", "4\n"));
    struct file *f = must_open("/proc/sys/vm/knob", O_RDWR | O_TRUNC);
    CHECK_EQ(f_write(f, "7\n", 2), 2);
    CHECK_EQ(value, 7);
    CHECK_EQ(vfs_seek(f, 0, 0), 0);
    CHECK_EQ(f_read(f, buf, 16), 2);
    CHECK_EQ(f_read(f, buf, 16), 0);
    CHECK_EQ(f_write(f, "x", 1), -EINVAL);
    file_put(f);
    CHECK(text_is("/proc/filesystems", "nodev\toverlay\n\terofs\nnodev\ttmpfs\nnodev\tdevtmpfs\nnodev\tproc\nnodev\tsysfs\nnodev\t9p\nnodev\tdevpts\n"));
    CHECK_EQ(try_open(&as_root, "/proc/none", O_RDONLY), -ENOENT);
    CHECK_EQ(proc_add("none", 0444, show_value, &value), 0);
    CHECK_EQ(try_open(&as_root, "/proc/none", O_RDONLY), 0); /* it was not remembered as missing */
    CHECK(has_name(list_dir("/proc/sys", 0, NULL), "vm"));
    CHECK_EQ(vfs_mkdir(&as_root, "/proc/dir", 0755), -EPERM);
}

static int fills, fill_error;

static int fill_dir(const struct sysfs_ops *sys)
{
    static int value = 6;
    fills++;
    int err = sys->add("devices/thing/size", 0444, show_value, &value);
    if (err == 0)
        err = sys->add_symlink("devices/thing/self", "../thing");
    return err != 0 ? err : fill_error;
}

TEST(sysfs_entries)
{
    static int value = 5;
    struct kstat st;
    struct kstatfs sf;
    boot_proc();
    fills = 0;
    fill_error = -ENOMEM;
    CHECK_EQ(vfs_mkdir(&as_root, "/sys", 0755), 0);
    CHECK_EQ(vfs_mount(&as_root, "sysfs", "sysfs", "/sys", 0, NULL), 0);
    CHECK_EQ(sysfs->add("class/one/value", 0444, show_value, &value), 0);
    CHECK(text_is("/sys/class/one/value", "5\n"));
    CHECK_EQ(stat_of("/sys/class/one/value", 0, &st), 0);
    CHECK_EQ(st.size, 4096);
    CHECK_EQ(try_open(&as_root, "/proc/class", O_RDONLY), -ENOENT); /* a tree of its own, */
    CHECK_EQ(try_open(&as_root, "/sys/self", O_RDONLY), -ENOENT);   /* without processes */
    CHECK(!has_name(list_dir("/sys", 0, NULL), "1"));
    CHECK_EQ(sysfs->add_dir("devices/thing", fill_dir), 0);
    CHECK_EQ(sysfs->add_dir("class/one/value", fill_dir), -EINVAL);
    CHECK(has_name(list_dir("/sys/devices", 0, NULL), "thing"));
    CHECK_EQ(fills, 0); /* nobody looked */
    CHECK_EQ(try_open(&as_root, "/sys/devices/thing/size", O_RDONLY), -ENOMEM);
    fill_error = 0;
    CHECK(text_is("/sys/devices/thing/self/size", "6\n"));
    CHECK(has_name(list_dir("/sys/devices/thing", 0, NULL), "self"));
    CHECK_EQ(fills, 2); /* once in vain, once for good */
    struct path p;
    CHECK_EQ(vfs_lookup(&as_root, "/sys", 0, &p), 0);
    CHECK_EQ(p.mount->sb->ops->statfs(p.mount->sb, &sf), 0);
    CHECK_EQ(sf.type, 0x62656572);
    path_put(&p);
}

TEST(processes)
{
    char buf[64];
    unsigned n;
    struct kstat st;
    boot_proc();
    const char *names = list_dir("/proc", 1, &n);
    CHECK(has_name(names, "1") && has_name(names, "7") && has_name(names, "self") && has_name(names, "mounts"));
    CHECK(text_is("/proc/self/stat", "stat of 1/0\n"));
    CHECK(text_is("/proc/thread-self/stat", "stat of 1/2\n"));
    CHECK(text_is("/proc/1/task/2/comm", "comm of 1/2\n"));
    CHECK_EQ(try_open(&as_root, "/proc/1/task/3/comm", O_RDONLY), -ENOENT);
    CHECK_EQ(try_open(&as_root, "/proc/2/stat", O_RDONLY), -ENOENT);
    CHECK_EQ(try_open(&as_root, "/proc/01", O_RDONLY), -ENOENT);
    names = list_dir("/proc/self/task", 1, &n);
    CHECK_EQ(n, 4);
    names = list_dir("/proc/7", 2, &n);
    CHECK(has_name(names, "fd") && has_name(names, "exe") && has_name(names, "stat") && has_name(names, "mountinfo"));
    CHECK_EQ(stat_of("/proc/7", 0, &st), 0);
    CHECK_EQ(st.uid, 1000);
    struct file *f = must_open("/proc/self/long", O_RDONLY);
    u64 total = 0;
    s64 r;
    while ((r = f_read(f, buf, sizeof(buf))) > 0)
        total += (u64)r;
    CHECK_EQ(r, 0);
    CHECK_EQ(total, p_show(1, 0, "long", NULL, 0));
    file_put(f);
    f = must_open("/proc/self/comm", O_WRONLY);
    CHECK_EQ(f_write(f, "name", 4), 4);
    CHECK_STR(stored, "name");
    file_put(f);
    CHECK_EQ(link_text("/proc/self/exe", buf, sizeof(buf)), 9);
    CHECK_STR(buf, "/bin/prog");
    CHECK_EQ(link_text("/proc/self/cwd", buf, sizeof(buf)), 1);
    CHECK_EQ(link_text("/proc/self", buf, sizeof(buf)), 1);
    CHECK(text_is("/proc/self/cwd/proc/self/stat", "stat of 1/0\n"));
    CHECK(text_is("/proc/mounts", "tmpfs / tmpfs rw,relatime 0 0\nproc /proc proc rw,relatime 0 0\n"));
}

static size_t names_in_use;
static void count_names(const char *name, size_t size, size_t used, size_t pages, void *ctx)
{
    if (strcmp(name, "dentry") == 0 || strcmp(name, "inode") == 0)
        names_in_use += used;
}

/* Names that go with a process, and those of nothing, are not kept for a next time. */
TEST(names_of_processes)
{
    char path[64];
    boot_proc();
    CHECK_EQ(try_open(&as_root, "/proc/self/stat", O_RDONLY), 0);
    slab_for_each_cache(count_names, NULL);
    size_t before = names_in_use;
    for (unsigned k = 0; k < 1000; k++) {
        CHECK_EQ(try_open(&as_root, k % 2 ? "/proc/1/task/2/comm" : "/proc/7/stat", O_RDONLY), 0);
        fmt_snprintf(path, sizeof(path), k % 3 ? "/proc/self/fd/%u" : "/proc/%u", k + 1000);
        CHECK_EQ(try_open(&as_root, path, O_RDONLY), -ENOENT);
    }
    names_in_use = 0;
    slab_for_each_cache(count_names, NULL);
    CHECK_EQ(names_in_use, before);
}

TEST(descriptors)
{
    char buf[128];
    struct file *pipe[2], *f;
    unsigned n;
    boot_proc();
    write_text("/file", "contents");
    CHECK_EQ(fd_install(table, must_open("/file", O_RDONLY), 0, false), 0);
    CHECK_EQ(pipe_create(O_NONBLOCK, pipe), 0);
    CHECK_EQ(fd_install(table, pipe[0], 0, false), 1);
    CHECK_EQ(fd_install(table, pipe[1], 0, true), 2);
    CHECK_EQ(eventfd_create(9, 0, &f), 0);
    CHECK_EQ(fd_install(table, f, 3, false), 3);
    list_dir("/proc/self/fd", 1, &n);
    CHECK_EQ(n, 6);
    CHECK_EQ(link_text("/proc/self/fd/0", buf, sizeof(buf)), 5);
    CHECK_STR(buf, "/file");
    CHECK(link_text("/proc/self/fd/1", buf, sizeof(buf)) > 7);
    CHECK(str_starts_with(buf, "pipe:["));
    CHECK(link_text("/proc/self/fd/3", buf, sizeof(buf)) > 0);
    CHECK_STR(buf, "anon_inode:[eventfd]");
    CHECK_EQ(link_text("/proc/self/fd/4", buf, sizeof(buf)), -ENOENT);
    CHECK(text_is("/proc/self/fd/0", "contents"));
    CHECK_EQ(vfs_unlink(&as_root, "/file"), 0);
    CHECK(text_is("/proc/self/fd/0", "contents")); /* the file, not the name */
    f = must_open("/proc/self/fd/2", O_WRONLY | O_APPEND | O_CREAT);
    CHECK_EQ(f_write(f, "again", 5), 5);
    CHECK_EQ(f_read(pipe[0], buf, 10), 5);
    file_put(f);
    CHECK_EQ(try_open(&as_root, "/proc/self/fd/3", O_RDWR), -ENXIO);
    struct path p;
    CHECK_EQ(vfs_lookup(&as_root, "/proc/self/fd/0", LOOKUP_NO_MAGICLINKS, &p), -ELOOP);
    CHECK_EQ(vfs_lookup(&as_root, "/proc/self/fd/1", 0, &p), 0);
    struct kstat st;
    CHECK_EQ(vfs_stat_path(&p, &st), 0);
    CHECK(S_ISFIFO(st.mode));
    path_put(&p);
    f = must_open("/proc/self/fdinfo/2", O_RDONLY);
    s64 len = f_read(f, buf, sizeof(buf) - 1);
    buf[len] = 0;
    CHECK(str_starts_with(buf, "pos:\t0\nflags:\t02104001\n"));
    file_put(f);
    CHECK_EQ(fd_close(table, 1), 0);
    CHECK_EQ(try_open(&as_root, "/proc/self/fd/1", O_RDONLY), -ENOENT);
    fd_close_range(table, 0, UINT32_MAX, false);
}

/* --- a port ---------------------------------------------------------------------------- */
static char input[256], output[4096];
static size_t in_len, out_len;

static size_t port_write(struct chardev *c, const void *buf, size_t len)
{
    len = MIN(len, sizeof(output) - out_len);
    memcpy(output + out_len, buf, len);
    out_len += len;
    return len;
}

static size_t port_read(struct chardev *c, void *buf, size_t len)
{
    len = MIN(len, in_len);
    memcpy(buf, input, len);
    memmove(input, input + len, in_len - len);
    in_len -= len;
    return len;
}

static bool port_can_read(struct chardev *c) { return in_len > 0; }
static bool port_can_write(struct chardev *c) { return out_len < sizeof(output); }
static void port_nothing(struct chardev *c) {}
static unsigned closes;
static void port_close(struct chardev *c) { closes++; }
static const struct chardev_ops port_ops = {port_write, port_read, port_can_read, port_can_write, port_nothing,
                                            port_close, NULL};
static struct chardev port = {.ops = &port_ops, .host_open = true, .host_was_open = true};

static void type(const char *s)
{
    size_t n = strlen(s);
    memcpy(input + in_len, s, n);
    in_len += n;
    wq_wake(&port.wq, POLLIN);
    thread_sleep_until(now_ns() + NSEC_PER_MSEC, false); /* the work item runs */
}

static bool shown(const char *s)
{
    bool same = out_len == strlen(s) && memcmp(output, s, out_len) == 0;
    out_len = 0;
    return same;
}

static int last_signal;
static void got_signal(u32 pgrp, int sig) { last_signal = sig; }
static void ids(u32 *ret_pgrp, u32 *ret_sid, bool *ret_leader)
{
    *ret_pgrp = *ret_sid = 1;
    *ret_leader = true;
}
static int foreground(u32 session, u32 pgrp, int sig) { return 0; }
static void hung_up(u32 session, u32 pgrp) { last_signal = 1; }
static int any_group(u32 pgrp, u32 session) { return 0; }
static void disown(void) {}
static const struct tty_hooks hooks = {ids, foreground, got_signal, hung_up, any_group, disown};

static struct tty *boot_tty(struct file **f)
{
    struct tty *t;
    boot_tmpfs();
    wq_init(&port.wq, "port");
    chardev_register(&port);
    tty_hooks = &hooks;
    CHECK_EQ(tty_create(&port, &t), 0);
    CHECK_EQ(vfs_mkdir(&as_root, "/dev", 0755), 0);
    CHECK_EQ(vfs_mount(&as_root, "devtmpfs", "dev", "/dev", 0, NULL), 0);
    CHECK_EQ(tty_open_file(t, f), 0);
    (*f)->flags |= O_NONBLOCK;
    return t;
}

static bool reads(struct file *f, const char *s)
{
    char buf[256];
    s64 n = f_read(f, buf, sizeof(buf));
    return n == (s64)strlen(s) && memcmp(buf, s, (size_t)n) == 0;
}

TEST(terminal_lines)
{
    struct file *f;
    char buf[64];
    boot_tty(&f);
    CHECK(file_name(fs, f, buf, sizeof(buf)) > 0);
    CHECK_STR(buf, "/dev/console");
    type("helo\x7fx\x7flo\r");
    CHECK(shown("helo\b \bx\b \blo\r\n"));
    CHECK(reads(f, "hello\n"));
    CHECK_EQ(f_read(f, buf, 64), -EAGAIN);
    type("one\ntwo\nthr");
    CHECK(reads(f, "one\n") && reads(f, "two\n"));
    CHECK_EQ(f_read(f, buf, 64), -EAGAIN);
    type("\x15" "word and\x17more\n"); /* kill the line; erase a word */
    CHECK(reads(f, "word more\n"));
    type("\x16\x03\n"); /* literal */
    CHECK(reads(f, "\x03\n"));
    type("end\x04");
    CHECK(reads(f, "end"));
    type("\x04");
    CHECK_EQ(f_read(f, buf, 64), 0);
    type("gone\x03");
    CHECK_EQ(last_signal, 2);
    type("x\n");
    CHECK(reads(f, "x\n"));
    out_len = 0;
    CHECK_EQ(f_write(f, "a\nb", 3), 3);
    CHECK(shown("a\r\nb"));
    type("\x13");
    CHECK_EQ(f_write(f, "c", 1), -EAGAIN);
    type("\x11");
    CHECK_EQ(f_write(f, "c", 1), 1);
    file_put(f);
}

TEST(terminal_raw)
{
    struct file *f;
    char buf[64];
    struct tty *t = boot_tty(&f);
    uaddr_t at = user_memory(PAGE_SIZE);
    u32 tio[9];
    CHECK_EQ(f->ops->ioctl(f, 0x5401, at), 0);
    CHECK_EQ(copy_from_user(tio, at, 36), 0);
    CHECK_EQ(tio[3] & 2, 2);
    tio[0] &= ~0400u;       /* ICRNL */
    tio[3] &= ~(2u | 010u); /* ICANON, ECHO */
    CHECK_EQ(copy_to_user(at, tio, 36), 0);
    CHECK_EQ(f->ops->ioctl(f, 0x5402, at), 0);
    out_len = 0;
    type("ab\r");
    CHECK(shown(""));
    CHECK_EQ(f->ops->ioctl(f, 0x541b, at), 0);
    CHECK_EQ(copy_from_user(tio, at, 4), 0);
    CHECK_EQ(tio[0], 3);
    CHECK_EQ(f_read(f, buf, 2), 2);
    CHECK(reads(f, "\r"));
    CHECK_EQ(f_read(f, buf, 64), -EAGAIN);
    f->flags &= ~O_NONBLOCK;
    type("q");
    CHECK_EQ(f_read(f, buf, 64), 1);
    tty_set_winsize(t, 50, 120);
    CHECK_EQ(last_signal, 28);
    CHECK_EQ(f->ops->ioctl(f, 0x5413, at), 0);
    u16 w[4];
    CHECK_EQ(copy_from_user(w, at, 8), 0);
    CHECK(w[0] == 50 && w[1] == 120);
    CHECK_EQ(f->ops->ioctl(f, 0x1234, at), -ENOTTY);
    chardev_set_eof(&port, 0);
    thread_sleep_until(now_ns() + NSEC_PER_MSEC, false);
    CHECK_EQ(f_read(f, buf, 64), 0);
    CHECK_EQ(last_signal, 1);
    CHECK_EQ(vfs_poll(f, NULL) & POLLHUP, POLLHUP);
    file_put(f);
}

TEST(streams)
{
    struct file *in, *out;
    static char many[10000];
    boot_tmpfs();
    wq_init(&port.wq, "port");
    chardev_register(&port);
    CHECK_EQ(stream_open(&port, true, false, &in), 0);
    CHECK_EQ(stream_open(&port, false, true, &out), 0);
    CHECK_EQ(f_write(out, "hello\n", 6), 6);
    CHECK(shown("hello\n"));
    CHECK_EQ(f_write(in, "x", 1), -EBADF);
    in->flags |= O_NONBLOCK;
    out->flags |= O_NONBLOCK;
    CHECK_EQ(f_read(in, many, 10), -EAGAIN);
    type("data");
    CHECK_EQ(vfs_poll(in, NULL), POLLIN | POLLRDNORM);
    CHECK_EQ(f_read(in, many, 10), 4);
    CHECK_EQ(f_write(out, many, sizeof(many)), sizeof(output));
    CHECK_EQ(f_write(out, many, 1), -EAGAIN);
    chardev_set_eof(&port, 0);
    CHECK_EQ(f_read(in, many, 10), 0);
    file_put(in);
    CHECK_EQ(closes, 0);
    file_put(file_get(out));
    CHECK_EQ(closes, 0);
    file_put(out);
    CHECK_EQ(closes, 1); /* the last that could write: the host sees the end */
}
