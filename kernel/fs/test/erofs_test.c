/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Images made by mkfs.erofs (make_images.py), compared with what the host put in; then the same images
 * cut off and with flipped bytes: errors, but no overrun, no loop, no leak.
 */
#include "fs_test.h"

#define IMAGE(name) extern const u8 image_##name[], image_##name##_end[]
IMAGE(plain);
IMAGE(inline);
IMAGE(compact);
IMAGE(chunked);
IMAGE(blockmap);
IMAGE(manifest);

static struct memdisk disk;
static u8 data[1 << 20];

static u32 crc32(const u8 *p, size_t n)
{
    u32 crc = ~0u;
    for (; n > 0; n--, p++) {
        crc ^= *p;
        for (unsigned k = 0; k < 8; k++)
            crc = crc & 1 ? (crc >> 1) ^ 0xedb88320u : crc >> 1;
    }
    return ~crc;
}

static void mount(const u8 *from, const u8 *to)
{
    if (from == to)
        sim_test_skip("mkfs.erofs is missing");
    boot_fs();
    memdisk_add(&disk, "vda", from, (size_t)(to - from));
    CHECK_EQ(vfs_mount_root("erofs", "vda", MS_RDONLY, NULL), 0);
    enter_fs();
}

/* The next field of a line of the manifest. */
static char *field(char **s)
{
    char *start = *s, *end = start;
    while (*end != '\t' && *end != 0)
        end++;
    *s = *end != 0 ? end + 1 : end;
    *end = 0;
    return start;
}

static u64 number(char **s)
{
    u64 v = 0;
    CHECK_EQ(str_to_u64(field(s), &v), 0);
    return v;
}

static void check_xattrs(const struct path *p, char *list)
{
    char value[256], names[256];
    s64 total = 0;
    while (*list != 0) {
        char *end = strchr(list, ' ');
        if (end != NULL)
            *end = 0;
        char *eq = strchr(list, '=');
        *eq = 0;
        s64 n = vfs_getxattr(p, &kernel_cred, list, value, sizeof(value));
        CHECK_EQ(n, strlen(eq + 1));
        CHECK_MEM(value, eq + 1, (size_t)n);
        CHECK_EQ(vfs_getxattr(p, &kernel_cred, list, NULL, 0), n);
        if (n > 0)
            CHECK_EQ(vfs_getxattr(p, &kernel_cred, list, value, (size_t)n - 1), n == 1 ? n : -ERANGE);
        total += (s64)strlen(list) + 1;
        list = end != NULL ? end + 1 : eq + 1 + strlen(eq + 1);
    }
    CHECK_EQ(vfs_listxattr(p, names, sizeof(names)), total);
    CHECK_EQ(vfs_getxattr(p, &kernel_cred, "user.none", value, sizeof(value)), -ENODATA);
}

static void check_line(char *s, bool one_time)
{
    char *path = field(&s);
    u32 mode = (u32)number(&s), uid = (u32)number(&s), gid = (u32)number(&s);
    u64 size = number(&s), nlink = number(&s), mtime = number(&s), major = number(&s), minor = number(&s);
    u32 crc = (u32)number(&s);
    char *target = field(&s), *xattrs = field(&s);
    struct path p;
    struct kstat st;
    CHECK_EQ(vfs_lookup(&as_root, path, LOOKUP_NOFOLLOW, &p), 0);
    CHECK_EQ(vfs_stat_path(&p, &st), 0);
    CHECK_EQ(st.mode, mode);
    CHECK_EQ(st.uid, uid);
    CHECK_EQ(st.gid, gid);
    CHECK_EQ(st.nlink, nlink);
    CHECK_EQ(st.mtime_ns, one_time ? 1700000000 * NSEC_PER_SEC : mtime);
    CHECK_EQ(st.rdev, MKDEV(major, minor));
    if (S_ISREG(mode)) {
        struct file *f;
        CHECK_EQ(st.size, size);
        CHECK_EQ(vfs_open_path(&p, O_RDONLY, &kernel_cred, &f), 0);
        u64 done = 0;
        for (u64 piece = 1; done < size; piece = piece * 3 + 1) {
            s64 n = f_read(f, data + done, MIN(piece, sizeof(data) - done));
            CHECK(n > 0);
            done += (u64)n;
        }
        CHECK_EQ(f_read(f, data + done, 16), 0);
        CHECK_EQ(done, size);
        CHECK_EQ(crc32(data, size), crc);
        /* what mmap shows behind the end */
        struct page *pg;
        if (size > 0 && size % PAGE_SIZE != 0) {
            CHECK_EQ(mapping_get(f->inode->data, size / PAGE_SIZE, false, &pg), 0);
            for (u64 k = size % PAGE_SIZE; k < PAGE_SIZE; k++)
                CHECK_EQ(((u8 *)page_virt(pg))[k], 0);
            page_put(pg);
        }
        file_put(f);
    }
    if (S_ISLNK(mode)) {
        s64 n = vfs_readlink(&p, (char *)data, PATH_MAX);
        CHECK_EQ(n, strlen(target));
        CHECK_MEM(data, target, (size_t)n);
    } else {
        check_xattrs(&p, xattrs);
    }
    path_put(&p);
}

static void check_all(bool one_time)
{
    static char line[16384];
    const char *s = (const char *)image_manifest;
    unsigned n = 0;
    while (s < (const char *)image_manifest_end && *s != 0) {
        const char *end = strchr(s, '\n');
        memcpy(line, s, (size_t)(end - s));
        line[end - s] = 0;
        check_line(line, one_time);
        s = end + 1;
        n++;
    }
    CHECK(n > 700);
    unsigned count;
    list_dir("/many", 0, &count);
    CHECK_EQ(count, 702);
    list_dir("/many", 7, &count);
    CHECK_EQ(count, 702);
    list_dir("/emptydir", 0, &count);
    CHECK_EQ(count, 2);
}

TEST(plain) { mount(image_plain, image_plain_end); check_all(false); }
TEST(inline_tails) { mount(image_inline, image_inline_end); check_all(false); }
TEST(compact_inodes) { mount(image_compact, image_compact_end); check_all(true); }
TEST(chunked) { mount(image_chunked, image_chunked_end); check_all(false); }
TEST(block_map) { mount(image_blockmap, image_blockmap_end); check_all(false); }

TEST(hard_links_are_one_inode)
{
    struct path a, b;
    mount(image_plain, image_plain_end);
    CHECK_EQ(vfs_lookup(&as_root, "/small", 0, &a), 0);
    CHECK_EQ(vfs_lookup(&as_root, "/dir/hard", 0, &b), 0);
    CHECK(a.dentry->inode == b.dentry->inode);
    path_put(&a);
    path_put(&b);
}

/* A device that has to be read is read in pieces larger than a page. */
TEST(reads_ahead)
{
    struct file *f;
    mount(image_plain, image_plain_end);
    CHECK_EQ(vfs_open(&as_root, "/large", O_RDONLY, 0, 0, &f), 0);
    u64 before = disk.dev.reads, pages = 0;
    for (s64 n; (n = f_read(f, data, PAGE_SIZE)) > 0; pages++)
        ;
    CHECK(pages > 100 && disk.dev.reads - before < pages / 8);
    file_put(f);
}

TEST(read_only)
{
    mount(image_plain, image_plain_end);
    CHECK_EQ(try_open(&as_root, "/one", O_WRONLY), -EROFS);
    CHECK_EQ(try_open(&as_root, "/new", O_WRONLY | O_CREAT), -EROFS);
    CHECK_EQ(try_open(&as_root, "/one", O_RDONLY | O_TRUNC), -EROFS);
    CHECK_EQ(vfs_mkdir(&as_root, "/new", 0755), -EROFS);
    CHECK_EQ(vfs_mkdir(&as_root, "/dir", 0755), -EEXIST);
    CHECK_EQ(vfs_unlink(&as_root, "/one"), -EROFS);
    CHECK_EQ(vfs_rename(&as_root, "/one", &as_root, "/two", 0), -EROFS);
}

TEST(links_and_limits)
{
    mount(image_plain, image_plain_end);
    CHECK_EQ(try_open(&as_root, "/loop1", O_RDONLY), -ELOOP);
    CHECK_EQ(try_open(&as_root, "/dangling", O_RDONLY), -ENOENT);
    CHECK_EQ(try_open(&as_root, "/abslink/deep/er/file", O_RDONLY), 0);
    CHECK_EQ(try_open(&as_root, "/dirlink/sub/../sub/deep/./er/../../../hard", O_RDONLY), 0);
    CHECK_EQ(try_open(&as_root, "/longlink", O_RDONLY), -ENAMETOOLONG);
    CHECK_EQ(try_open(&as_root, "/link", O_RDONLY | O_NOFOLLOW), -ELOOP);
    CHECK_EQ(try_open(&as_root, "/link", O_RDONLY), 0);
    CHECK_EQ(try_open(&as_root, "/link/", O_RDONLY), -ENOTDIR);
    CHECK_EQ(try_open(&as_root, "/one/x", O_RDONLY), -ENOTDIR);
    CHECK_EQ(try_open(&as_root, "/dirlink", O_RDONLY | O_DIRECTORY | O_NOFOLLOW), -ENOTDIR);
    CHECK_EQ(try_open(&as_root, "/dirlink/", O_RDONLY | O_DIRECTORY | O_NOFOLLOW), 0);
}

TEST(device_errors)
{
    mount(image_plain, image_plain_end);
    disk.fail_one_in = 2;
    unsigned errors = 0;
    for (unsigned k = 0; k < 200; k++) {
        char path[64];
        fmt_snprintf(path, sizeof(path), "/many/file-%04u-with-a-longer-name", k);
        struct file *f;
        int err = vfs_open(&as_root, path, O_RDONLY, 0, 0, &f);
        if (err == 0) {
            s64 n = f_read(f, data, 100);
            CHECK(n > 0 || n == -EIO);
            errors += n < 0;
            file_put(f);
        } else {
            CHECK_EQ(err, -EIO);
            errors++;
        }
    }
    CHECK(errors > 0);
    disk.fail_one_in = 0;
    check_all(false);
}

TEST(failing_allocations)
{
    mount(image_plain, image_plain_end);
    unsigned rate = sim_fail_allocations(5);
    for (unsigned k = 0; k < 400; k++) {
        char path[64];
        fmt_snprintf(path, sizeof(path), k % 3 == 0 ? "/abslink/deep/er/file" : "/many/file-%04u-with-a-longer-name", k);
        struct file *f;
        int err = vfs_open(&as_root, path, O_RDONLY, 0, 0, &f);
        CHECK(err == 0 || err == -ENOMEM);
        if (err == 0) {
            s64 n = f_read(f, data, 100);
            CHECK(n > 0 || n == -ENOMEM);
            file_put(f);
        }
    }
    sim_fail_allocations(rate);
    check_all(false);
}

/* --- hostile images -------------------------------------------------------------------- */

static unsigned visited;

struct visit {
    struct dir_emit e;
    char names[64][NAME_MAX + 1];
    unsigned count;
};

static bool visit_fn(struct dir_emit *e, const char *name, size_t len, u64 ino, u8 type, u64 next)
{
    struct visit *v = container_of(e, struct visit, e);
    if (v->count == ARRAY_SIZE(v->names))
        return false;
    memcpy(v->names[v->count], name, len);
    v->names[v->count++][len] = 0;
    return true;
}

/* Whatever comes, only errors. */
static void walk(const struct path *p, unsigned depth)
{
    struct kstat st;
    struct file *f;
    static char buf[4096];
    if (++visited > 300)
        return;
    vfs_stat_path(p, &st);
    vfs_getxattr(p, &kernel_cred, "user.first", buf, sizeof(buf));
    vfs_listxattr(p, buf, sizeof(buf));
    vfs_readlink(p, buf, sizeof(buf));
    if (!S_ISREG(st.mode) && !S_ISDIR(st.mode))
        return;
    if (vfs_open_path(p, O_RDONLY, &kernel_cred, &f) != 0)
        return;
    if (S_ISREG(st.mode)) {
        f_read(f, buf, sizeof(buf));
        if (st.size > 5000)
            f_pread(f, buf, sizeof(buf), st.size - 5000);
    } else if (depth < 6) {
        struct visit *v = kzalloc(sizeof(*v));
        v->e.emit = visit_fn;
        vfs_iterate(f, &v->e);
        for (unsigned k = 0; k < v->count; k++) {
            struct lookup l = {.fs = fs, .cred = &kernel_cred, .at = p};
            struct path q;
            if (strcmp(v->names[k], ".") == 0 || strcmp(v->names[k], "..") == 0)
                continue;
            if (vfs_lookup(&l, v->names[k], LOOKUP_NOFOLLOW, &q) == 0) {
                walk(&q, depth + 1);
                path_put(&q);
            }
        }
        kfree(v);
    }
    file_put(f);
}

TEST(damaged_images)
{
    size_t size = (size_t)(image_inline_end - image_inline);
    if (size == 0)
        sim_test_skip("mkfs.erofs is missing");
    u8 *copy = vmap_alloc(size);
    CHECK(copy != NULL);
    boot_tmpfs();
    CHECK_EQ(vfs_mkdir(&as_root, "/m", 0755), 0);
    memcpy(copy, image_inline, size);
    memdisk_add(&disk, "vda", copy, size);
    for (unsigned round = 0; round < 60; round++) {
        memcpy(copy, image_inline, size);
        memset(copy + 1024 + 8, 0, 4); /* no checksum, so that damage gets through */
        disk.dev.size_bytes = size;
        if (round % 10 == 9)
            disk.dev.size_bytes = sim_random() % (size / 512) * 512;
        for (unsigned k = 0; k < 1 + round * 8; k++) {
            /* inodes and directories lie at the beginning and are what is worth hitting */
            u64 at = sim_random() % (round % 2 == 0 ? 200 * 1024 : size);
            copy[at] = (u8)sim_random();
        }
        int err = vfs_mount(&as_root, "erofs", "vda", "/m", MS_RDONLY, NULL);
        if (err != 0) {
            CHECK(err == -EUCLEAN || err == -EINVAL || err == -EOPNOTSUPP);
            continue;
        }
        struct path p;
        visited = 0;
        CHECK_EQ(vfs_lookup(&as_root, "/m", 0, &p), 0);
        walk(&p, 0);
        path_put(&p);
        CHECK_EQ(vfs_umount(&as_root, "/m", 0), 0);
    }
    vmap_free(copy, size);
}
