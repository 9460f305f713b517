/* SPDX-License-Identifier: Apache-2.0 */
/* A volume of one directory, "dir", whose server counts what it is asked: what names cost, and that changes are seen. */
#include "../9p/p9_impl.h"
#include "fs_test.h"
#include "kern/chardev.h"

#define NAMES 200u
#define FIDS 1024u

enum kind { NOTHING, ROOT, DIR, FILE_0 }; /* and the other files */

static struct {
    struct chardev c;
    enum kind fids[FIDS];
    bool there[NAMES]; /* "dir/f0", "dir/f1" ... */
    u64 version;       /* of dir */
    u8 in[8192], out[65536];
    u32 in_len, out_start, out_end;
    unsigned walks, attrs, lists;
} host;

static u32 put_qid(u8 *p, enum kind k)
{
    p[0] = k < FILE_0 ? P9_QID_DIR : 0;
    put_u32(p + 1, 0);
    put_u64(p + 5, (u64)k);
    return P9_QID;
}

static enum kind find(enum kind dir, const char *name, u32 len)
{
    u32 n = 0;
    if (dir == ROOT)
        return len == 3 && memcmp(name, "dir", 3) == 0 ? DIR : NOTHING;
    if (len < 2 || name[0] != 'f')
        return NOTHING;
    for (u32 k = 1; k < len; k++)
        n = n * 10 + (u32)(name[k] - '0');
    return n < NAMES && host.there[n] ? FILE_0 + n : NOTHING;
}

static u32 walk(const u8 *q, u8 *p)
{
    enum kind k = host.fids[get_u32(q + 7)];
    u16 n = get_u16(q + 15);
    if (n == 1)
        k = find(k, (const char *)q + 19, get_u16(q + 17));
    host.walks += n;
    if (k == NOTHING)
        return 0;
    host.fids[get_u32(q + 11)] = k;
    put_u16(p, n);
    return 2 + (n == 1 ? put_qid(p + 2, k) : 0);
}

static u32 attributes(enum kind k, u8 *p)
{
    host.attrs++;
    if (k == NOTHING)
        return 0;
    memset(p, 0, 153);
    put_qid(p + 8, k);
    put_u32(p + 21, k < FILE_0 ? S_IFDIR | 0755 : S_IFREG | 0644);
    put_u64(p + 33, 1);
    put_u64(p + 57, 4096);
    put_u64(p + 145, k == DIR ? host.version : 0);
    return 153;
}

static u32 list(u64 from, u8 *p)
{
    u32 n = 4;
    host.lists += from == 0;
    for (u32 k = (u32)from; k < NAMES && n < 2000; k++) {
        char name[16];
        u32 len = (u32)fmt_snprintf(name, sizeof(name), "f%u", k);
        if (!host.there[k])
            continue;
        memset(p + n, 0, 24);
        put_u64(p + n + 13, k + 1);
        put_u16(p + n + 22, (u16)len);
        memcpy(p + n + 24, name, len);
        n += 24 + len;
    }
    put_u32(p, n - 4);
    return n;
}

/* The reply's fields; 0 = ENOENT. */
static u32 reply(const u8 *q, u8 *p)
{
    enum kind *fid = &host.fids[get_u32(q + 7) % FIDS];
    switch (q[4]) {
    case P9_TVERSION:
        memcpy(p, q + P9_HEADER, get_u32(q) - P9_HEADER);
        return get_u32(q) - P9_HEADER;
    case P9_TATTACH:
        *fid = ROOT;
        return put_qid(p, ROOT);
    case P9_TWALK:
        return walk(q, p);
    case P9_TGETATTR:
        return attributes(*fid, p);
    case P9_TLOPEN:
        put_u32(p + P9_QID, 0);
        return put_qid(p, *fid) + 4;
    case P9_TREADDIR:
        return list(get_u64(q + 11), p);
    case P9_TCLUNK:
        *fid = NOTHING;
    }
    return 0;
}

static size_t host_write(struct chardev *c, const void *buf, size_t len)
{
    memcpy(host.in + host.in_len, buf, len);
    host.in_len += (u32)len;
    u32 at = 0;
    for (; host.in_len - at >= P9_HEADER && get_u32(host.in + at) <= host.in_len - at; at += get_u32(host.in + at)) {
        const u8 *q = host.in + at;
        u8 *p = host.out + host.out_end;
        u32 n = reply(q, p + P9_HEADER);
        bool bad = n == 0 && q[4] != P9_TCLUNK;
        if (bad) {
            put_u32(p + P9_HEADER, ENOENT);
            n = 4;
        }
        put_u32(p, P9_HEADER + n);
        p[4] = bad ? P9_RLERROR : (u8)(q[4] + 1);
        put_u16(p + 5, get_u16(q + 5));
        host.out_end += P9_HEADER + n;
    }
    memmove(host.in, host.in + at, host.in_len - at);
    host.in_len -= at;
    wq_wake_all(&c->wq, 0);
    return len;
}

static size_t host_read(struct chardev *c, void *buf, size_t len)
{
    u32 n = (u32)MIN((size_t)(host.out_end - host.out_start), len);
    memcpy(buf, host.out + host.out_start, n);
    host.out_start += n;
    if (host.out_start == host.out_end)
        host.out_start = host.out_end = 0;
    return n;
}

static bool host_can_read(struct chardev *c) { return host.out_start < host.out_end; }
static bool host_can_write(struct chardev *c) { return true; }
static const struct chardev_ops host_ops = {.write = host_write, .read = host_read, .can_read = host_can_read, .can_write = host_can_write};

static void mount_host(void)
{
    memset(&host, 0, sizeof(host));
    memcpy(host.c.name, P9_PORT "0", sizeof(P9_PORT "0"));
    host.c.ops = &host_ops;
    host.c.host_open = host.c.host_was_open = true;
    wq_init(&host.c.wq, "host");
    chardev_register(&host.c);
    boot_tmpfs();
    CHECK_EQ(vfs_mkdir(&as_root, "/m", 0755), 0);
    CHECK_EQ(vfs_mount(&as_root, "9p", P9_PORT "0", "/m", 0, NULL), 0);
}

static void later(void) { thread_sleep_until(now_ns() + P9_VALID_NS + NSEC_PER_MSEC, false); }

static int look(unsigned n)
{
    char path[32];
    struct path p;
    fmt_snprintf(path, sizeof(path), "/m/dir/f%u", n);
    int err = vfs_lookup(&as_root, path, 0, &p);
    if (err == 0)
        path_put(&p);
    return err;
}

/* How often the host is asked by lookups of [from, to), the even ones of which are there. */
static unsigned cost(unsigned from, unsigned to)
{
    host.walks = host.attrs = host.lists = 0;
    for (unsigned k = from; k < to; k++)
        CHECK_EQ(look(k), k % 2 == 0 ? 0 : -ENOENT);
    return host.walks + host.attrs + host.lists;
}

TEST(names_with_a_version)
{
    mount_host();
    for (unsigned k = 0; k < NAMES; k += 2)
        host.there[k] = true;
    host.version = 1;
    cost(0, 100);
    CHECK_EQ(host.lists, 1);
    cost(100, 200); /* those that are there are asked for, and no others */
    CHECK_EQ(host.lists, 0);
    CHECK_EQ(host.walks, 50);

    later(); /* dir and its files have old attributes, and no name is asked for */
    cost(0, 200);
    CHECK(host.walks <= 1 + 100); /* "dir"; and those that were asked for while the version came */
    later();
    cost(0, 200);
    CHECK(host.walks <= 1);
    CHECK(host.attrs <= 3 + 100);
    CHECK_EQ(host.lists, 0);

    for (unsigned n = 0; n < 2; n++) { /* one comes and one goes, with a version or without */
        CHECK_EQ(look(1), n == 0 ? -ENOENT : 0);
        CHECK_EQ(look(2), n == 0 ? 0 : -ENOENT);
        host.there[1] = n == 0;
        host.there[2] = n != 0;
        host.version = n == 0 ? 2 : 0;
        later();
        CHECK_EQ(look(1), n == 0 ? 0 : -ENOENT);
        CHECK_EQ(look(2), n == 0 ? -ENOENT : 0);
    }
    host.there[1] = true; /* nobody tells */
    later();
    CHECK_EQ(look(1), 0);
    CHECK_EQ(vfs_umount(&as_root, "/m", 0), 0);
}

TEST(names_without_a_version)
{
    mount_host();
    for (unsigned n = 0; n < 3; n++) {
        host.walks = 0;
        for (unsigned k = 0; k < 50; k++)
            CHECK_EQ(look(k), -ENOENT);
        CHECK(host.walks >= 50 && host.walks <= 51);
        later();
    }
    CHECK_EQ(host.lists, 0);
    CHECK_EQ(vfs_umount(&as_root, "/m", 0), 0);
}

TEST(names_anew)
{
    mount_host();
    host.version = 1;
    for (unsigned k = 0; k < NAMES; k += 2)
        host.there[k] = true;
    cost(0, 40);
    host.version = 2; /* all is forgotten, and fetched once more */
    later();
    cost(0, 200);
    CHECK_EQ(host.lists, 1);
    CHECK_EQ(vfs_umount(&as_root, "/m", 0), 0);
}
