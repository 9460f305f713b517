/* SPDX-License-Identifier: Apache-2.0 */
/* What the file system tests share: a booted VFS, shorthands for calls, a disk in memory. */
#ifndef FS_TEST_H
#define FS_TEST_H

#include "../fs_impl.h"
#include "base/fmt.h"
#include "kern/addrspace.h"
#include "kern/blkdev.h"
#include "kern/timer.h"
#include "kern/uaccess.h"
#include "kern/wait.h"
#include "sim/test.h"

static struct fs_ctx *fs;
static struct cred *user;
static struct lookup as_root, as_user;

static UNUSED void boot_fs(void)
{
    pagecache_init();
    vfs_init();
}

/* After the root is mounted. */
static UNUSED void enter_fs(void)
{
    fs = fs_ctx_create();
    CHECK(fs != NULL);
    fs->umask = 0;
    user = kzalloc(sizeof(*user));
    ref_init(&user->refs);
    user->uid = user->euid = user->suid = user->fsuid = 1000;
    user->gid = user->egid = user->sgid = user->fsgid = 1000;
    as_root = (struct lookup){.fs = fs, .cred = &kernel_cred};
    as_user = (struct lookup){.fs = fs, .cred = user};
}

static UNUSED void boot_tmpfs(void)
{
    boot_fs();
    CHECK_EQ(vfs_mount_root("tmpfs", "tmpfs", 0, "size=64m,mode=755"), 0);
    enter_fs();
}

static UNUSED struct file *must_open(const char *path, u32 flags)
{
    struct file *f = NULL;
    int err = vfs_open(&as_root, path, flags, 0644, 0, &f);
    if (err != 0)
        sim_test_failed(__FILE__, __LINE__, "open %s: %d", path, err);
    return f;
}

static UNUSED int try_open(const struct lookup *l, const char *path, u32 flags)
{
    struct file *f;
    int err = vfs_open(l, path, flags, 0644, 0, &f);
    if (err == 0)
        file_put(f);
    return err;
}

static UNUSED s64 f_read(struct file *f, void *buf, u64 len)
{
    struct uio u;
    uio_kernel(&u, buf, len);
    return vfs_read(f, &u, NULL);
}

static UNUSED s64 f_write(struct file *f, const void *buf, u64 len)
{
    struct uio u;
    uio_kernel(&u, (void *)buf, len);
    return vfs_write(f, &u, NULL);
}

static UNUSED s64 f_pread(struct file *f, void *buf, u64 len, u64 pos)
{
    struct uio u;
    uio_kernel(&u, buf, len);
    return vfs_read(f, &u, &pos);
}

static UNUSED s64 f_pwrite(struct file *f, const void *buf, u64 len, u64 pos)
{
    struct uio u;
    uio_kernel(&u, (void *)buf, len);
    return vfs_write(f, &u, &pos);
}

static UNUSED void write_text(const char *path, const char *text)
{
    struct file *f = must_open(path, O_WRONLY | O_CREAT | O_TRUNC);
    CHECK_EQ(f_write(f, text, strlen(text)), strlen(text));
    file_put(f);
}

static UNUSED bool text_is(const char *path, const char *text)
{
    char buf[512];
    struct file *f;
    if (vfs_open(&as_root, path, O_RDONLY, 0, 0, &f) != 0)
        return false;
    s64 n = f_read(f, buf, sizeof(buf) - 1);
    file_put(f);
    return n == (s64)strlen(text) && memcmp(buf, text, (size_t)n) == 0;
}

static UNUSED int stat_of(const char *path, u32 flags, struct kstat *s)
{
    struct path p;
    int err = vfs_lookup(&as_root, path, flags, &p);
    if (err != 0)
        return err;
    err = vfs_stat_path(&p, s);
    path_put(&p);
    return err;
}

/* The names of a directory in the order given, each followed by a blank. */
struct list_names {
    struct dir_emit e;
    char text[4096];
    size_t len;
    unsigned count, limit;
};

static bool list_fn(struct dir_emit *e, const char *name, size_t len, u64 ino, u8 type, u64 next)
{
    struct list_names *l = container_of(e, struct list_names, e);
    if (l->limit != 0 && l->count == l->limit)
        return false;
    l->count++;
    if (l->len + len + 2 < sizeof(l->text)) {
        memcpy(l->text + l->len, name, len);
        l->text[l->len + len] = ' ';
        l->len += len + 1;
        l->text[l->len] = 0;
    }
    return true;
}

/* limit: entries for each call; 0 = all at once. */
static UNUSED const char *list_dir(const char *path, unsigned limit, unsigned *ret_count)
{
    static struct list_names l;
    unsigned total = 0;
    struct file *f = must_open(path, O_RDONLY | O_DIRECTORY);
    l.len = 0;
    l.text[0] = 0;
    l.e.emit = list_fn;
    l.limit = limit;
    do {
        l.count = 0;
        CHECK_EQ(vfs_iterate(f, &l.e), 0);
        total += l.count;
    } while (limit != 0 && l.count > 0);
    file_put(f);
    if (ret_count != NULL)
        *ret_count = total;
    return l.text;
}

static UNUSED bool has_name(const char *list, const char *name)
{
    size_t n = strlen(name);
    for (const char *s = list; *s != 0;) {
        const char *end = strchr(s, ' ');
        if ((size_t)(end - s) == n && memcmp(s, name, n) == 0)
            return true;
        s = end + 1;
    }
    return false;
}

/* --- a disk in memory --- */
struct memdisk {
    struct blkdev dev;
    const u8 *bytes;
    unsigned fail_one_in; /* 0 = never */
};

static int memdisk_submit(struct blkdev *b, struct blk_req *r)
{
    struct memdisk *d = container_of(b, struct memdisk, dev);
    u64 off = r->off_bytes;
    r->status = d->fail_one_in != 0 && sim_random() % d->fail_one_in == 0 ? -EIO : 0;
    for (unsigned k = 0; k < r->nsegs && r->status == 0; k++) {
        memcpy(phys_to_virt(r->segs[k].pa), d->bytes + off, r->segs[k].len_bytes);
        off += r->segs[k].len_bytes;
    }
    r->done(r);
    return 0;
}

static const struct blkdev_ops memdisk_ops = {.submit = memdisk_submit};

static UNUSED void memdisk_add(struct memdisk *d, const char *name, const void *bytes, size_t size)
{
    memset(d, 0, sizeof(*d));
    str_copy(d->dev.name, name, sizeof(d->dev.name));
    d->dev.ops = &memdisk_ops;
    d->dev.size_bytes = size;
    d->dev.read_only = true;
    d->bytes = bytes;
    blkdev_register(&d->dev);
}

/* A program's memory for calls that want it. */
static UNUSED uaddr_t user_memory(u64 bytes)
{
    struct addrspace *as;
    uaddr_t at;
    addrspace_init_subsystem();
    CHECK_EQ(addrspace_create(&as), 0);
    thread_switch_as(as);
    struct map_request r = {.addr = ALIGN_UP(PLAT_USER_MIN, HUGE_SIZE), .len_bytes = bytes, .prot = MAP_READ | MAP_WRITE, .fixed = true};
    CHECK_EQ(as_map(as, &r, &at), 0);
    return at;
}

#endif
