/* SPDX-License-Identifier: Apache-2.0 */
/* The overlay on an image of mkfs.erofs: what is seen, changed, renamed, hidden; and that lower data stay. */
#include "fs_test.h"

extern const u8 image_plain[], image_plain_end[];
static struct memdisk disk;

static void boot_overlay(void)
{
    if (&image_plain[0] == &image_plain_end[0])
        sim_test_skip("mkfs.erofs is missing");
    boot_fs();
    memdisk_add(&disk, "vda", image_plain, (size_t)(image_plain_end - image_plain));
    CHECK_EQ(vfs_mount_root("overlay", "vda", 0, "erofs,size=32m"), 0);
    enter_fs();
}

/* Every name that is not in use leaves the cache. */
static void forget(void)
{
    dcache_shrink(1000);
    dcache_shrink(1000);
}

TEST(reads_share_pages)
{
    char buf[16];
    boot_overlay();
    CHECK(text_is("/one", "x"));
    CHECK(text_is("/abslink/deep/er/file", "deep"));
    struct file *f = must_open("/large", O_RDONLY);
    CHECK_EQ(f_read(f, buf, 16), 16);
    CHECK(f->inode->data != &f->inode->mapping);
    CHECK_EQ(f->inode->mapping.page_count, 0);
    struct map_request r = {.prot = MAP_READ};
    CHECK_EQ(generic_file_mmap(f, &r), 0);
    CHECK(r.mapping == f->inode->data);
    file_put(f);
}

TEST(copy_up_by_page)
{
    char a[16], b[16];
    boot_overlay();
    struct file *r = must_open("/large", O_RDONLY), *w = must_open("/large", O_RDWR);
    CHECK_EQ(f_pread(r, a, 16, 4 * PAGE_SIZE), 16);
    CHECK_EQ(f_pwrite(w, "changed", 7, 4 * PAGE_SIZE + 3), 7);
    CHECK_EQ(f_pread(r, b, 16, 4 * PAGE_SIZE), 16); /* the reader opened before sees it */
    CHECK_MEM(a, b, 3);
    CHECK_MEM(b + 3, "changed", 7);
    CHECK_MEM(a + 10, b + 10, 6);
    CHECK(w->inode->mapping.page_count < 40);
    struct kstat st;
    CHECK_EQ(vfs_stat_file(w, &st), 0);
    CHECK_EQ(st.size, 700 * 1024 + 123);
    CHECK_EQ(vfs_ftruncate(w, 5 * PAGE_SIZE), 0);
    CHECK_EQ(vfs_ftruncate(w, 100 * PAGE_SIZE), 0);
    CHECK_EQ(f_pread(r, b, 16, 50 * PAGE_SIZE), 16);
    for (unsigned k = 0; k < 16; k++)
        CHECK_EQ(b[k], 0); /* lower's bytes do not come back */
    CHECK_EQ(vfs_fallocate(w, 3, 0, 2 * PAGE_SIZE), 0);
    CHECK_EQ(f_pread(r, b, 16, 100), 16);
    CHECK_EQ(b[0], 0);
    CHECK_EQ(f_pread(r, b, 16, 3 * PAGE_SIZE), 16);
    CHECK(b[0] != 0 || b[1] != 0 || b[2] != 0);
    file_put(r);
    file_put(w);
    forget();
    CHECK_EQ(stat_of("/large", 0, &st), 0);
    CHECK_EQ(st.size, 100 * PAGE_SIZE);
}

TEST(attributes_stay)
{
    struct kstat st;
    struct path p;
    char buf[16];
    boot_overlay();
    CHECK_EQ(vfs_lookup(&as_root, "/page", 0, &p), 0);
    CHECK_EQ(vfs_stat_path(&p, &st), 0);
    u64 ino = st.ino;
    struct setattr a = {.valid = SETATTR_MODE, .mode = 0400};
    CHECK_EQ(vfs_setattr_path(&p, &kernel_cred, &a), 0);
    CHECK_EQ(vfs_getxattr(&p, &kernel_cred, "user.first", buf, 16), 1);
    CHECK_EQ(vfs_setxattr(&p, &kernel_cred, "user.new", "n", 1, 0), 0);
    CHECK_EQ(vfs_removexattr(&p, &kernel_cred, "user.first"), 0);
    path_put(&p);
    forget();
    CHECK_EQ(vfs_lookup(&as_root, "/page", 0, &p), 0);
    CHECK_EQ(vfs_stat_path(&p, &st), 0);
    CHECK_EQ(st.mode, S_IFREG | 0400);
    CHECK_EQ(st.ino, ino);
    CHECK_EQ(vfs_getxattr(&p, &kernel_cred, "user.first", buf, 16), -ENODATA);
    CHECK_EQ(vfs_getxattr(&p, &kernel_cred, "user.new", buf, 16), 1);
    CHECK_EQ(vfs_getxattr(&p, &kernel_cred, "user.second", buf, 0), 150);
    CHECK(p.dentry->inode->data != &p.dentry->inode->mapping); /* no data were copied */
    path_put(&p);
}

TEST(names)
{
    unsigned n, m;
    boot_overlay();
    list_dir("/", 0, &n);
    CHECK_EQ(vfs_unlink(&as_root, "/one"), 0);
    CHECK_EQ(try_open(&as_root, "/one", O_RDONLY), -ENOENT);
    CHECK(!has_name(list_dir("/", 0, &m), "one"));
    CHECK_EQ(m, n - 1);
    forget();
    CHECK_EQ(try_open(&as_root, "/one", O_RDONLY), -ENOENT);
    write_text("/one", "new");
    CHECK(text_is("/one", "new"));
    CHECK(has_name(list_dir("/", 1, &m), "one"));
    CHECK_EQ(m, n);
    CHECK_EQ(vfs_unlink(&as_root, "/one"), 0);
    CHECK_EQ(try_open(&as_root, "/one", O_RDONLY), -ENOENT);
    CHECK_EQ(vfs_rmdir(&as_root, "/dir"), -ENOTEMPTY);
    CHECK_EQ(vfs_unlink(&as_root, "/dir/sub/deep/er/file"), 0);
    CHECK_EQ(vfs_rmdir(&as_root, "/dir/sub/deep/er"), 0);
    CHECK_EQ(vfs_mkdir(&as_root, "/dir/sub/deep/er", 0755), 0); /* opaque */
    CHECK_EQ(try_open(&as_root, "/dir/sub/deep/er/file", O_RDONLY), -ENOENT);
    list_dir("/dir/sub/deep/er", 0, &m);
    CHECK_EQ(m, 2);
    CHECK_EQ(vfs_rmdir(&as_root, "/emptydir"), 0);
    CHECK_EQ(vfs_mkdir(&as_root, "/many", 0755), -EEXIST);
    CHECK_EQ(try_open(&as_root, "/many/file-0001-with-a-longer-name", O_CREAT | O_EXCL | O_RDWR), -EEXIST);
}

TEST(renames)
{
    unsigned n;
    struct kstat before, after;
    boot_overlay();
    CHECK_EQ(stat_of("/page", 0, &before), 0);
    CHECK_EQ(vfs_rename(&as_root, "/page", &as_root, "/emptydir/moved", 0), 0);
    CHECK_EQ(stat_of("/emptydir/moved", 0, &after), 0);
    CHECK_EQ(after.ino, before.ino);
    CHECK_EQ(after.size, 4096);
    CHECK_EQ(try_open(&as_root, "/page", O_RDONLY), -ENOENT);
    /* a whole lower directory */
    CHECK_EQ(vfs_rename(&as_root, "/dir", &as_root, "/many/dir2", 0), 0);
    CHECK(text_is("/many/dir2/sub/deep/er/file", "deep"));
    CHECK_EQ(try_open(&as_root, "/dir/sub", O_RDONLY), -ENOENT);
    CHECK_EQ(vfs_unlink(&as_root, "/many/dir2/sub/deep/er/file"), 0);
    CHECK_EQ(vfs_rename(&as_root, "/many/dir2", &as_root, "/dir", 0), 0);
    CHECK_EQ(try_open(&as_root, "/dir/sub/deep/er/file", O_RDONLY), -ENOENT);
    CHECK(!has_name(list_dir("/many", 0, &n), "dir2"));
    CHECK_EQ(n, 702);
    CHECK_EQ(vfs_rename(&as_root, "/one", &as_root, "/small", 2), 0);
    CHECK(text_is("/small", "x"));
    CHECK_EQ(vfs_rename(&as_root, "/dir", &as_root, "/emptydir", 0), -ENOTEMPTY);
    CHECK_EQ(vfs_unlink(&as_root, "/emptydir/moved"), 0);
    CHECK_EQ(vfs_rename(&as_root, "/many", &as_root, "/emptydir", 0), 0);
    list_dir("/emptydir", 11, &n);
    CHECK_EQ(n, 702);
}

TEST(hard_links)
{
    struct kstat st;
    boot_overlay();
    CHECK_EQ(stat_of("/small", 0, &st), 0);
    CHECK_EQ(st.nlink, 3);
    struct file *f = must_open("/dir/hard", O_WRONLY | O_TRUNC);
    CHECK_EQ(f_write(f, "shared", 6), 6);
    file_put(f);
    forget();
    CHECK(text_is("/small", "shared"));
    CHECK(text_is("/dir/hard2", "shared"));
    CHECK_EQ(vfs_link(&as_root, "/small", &as_root, "/four", 0), 0);
    CHECK_EQ(stat_of("/dir/hard2", 0, &st), 0);
    CHECK_EQ(st.nlink, 4);
    CHECK_EQ(vfs_unlink(&as_root, "/small"), 0);
    CHECK_EQ(vfs_unlink(&as_root, "/dir/hard"), 0);
    CHECK_EQ(vfs_unlink(&as_root, "/dir/hard2"), 0);
    CHECK(text_is("/four", "shared"));
    CHECK_EQ(vfs_unlink(&as_root, "/four"), 0);
    CHECK_EQ(try_open(&as_root, "/small", O_RDONLY), -ENOENT);
}

static size_t in_use;
static void count_cache(const char *name, size_t size, size_t used, size_t pages, void *ctx)
{
    if (strcmp(name, "dentry") == 0 || strcmp(name, "inode") == 0 || strcmp(name, "file") == 0)
        in_use += used;
}

static void change(unsigned k)
{
    static const char *const names[] = {"/m/one", "/m/small", "/m/dir/hard", "/m/dir/sub", "/m/many", "/m/emptydir",
                                        "/m/new", "/m/dir/new", "/m/page", "/m/large", "/m/emptydir/x", "/m/link"};
    const char *a = names[sim_random() % ARRAY_SIZE(names)], *b = names[sim_random() % ARRAY_SIZE(names)];
    struct file *f;
    char buf[100] = "overlay";
    switch (sim_random() % 8) {
    case 0:
        vfs_unlink(&as_root, a);
        break;
    case 1:
        vfs_rmdir(&as_root, a);
        break;
    case 2:
        vfs_rename(&as_root, a, &as_root, b, sim_random() % 3);
        break;
    case 3:
        vfs_mkdir(&as_root, a, 0755);
        break;
    case 4:
        vfs_link(&as_root, a, &as_root, b, LOOKUP_NOFOLLOW);
        break;
    case 5:
        if (vfs_open(&as_root, "/m", O_RDONLY, 0, 0, &f) == 0) {
            struct list_names *l = kzalloc(sizeof(*l));
            if (l != NULL) {
                l->e.emit = list_fn;
                vfs_iterate(f, &l->e);
            }
            kfree(l);
            file_put(f);
        }
        break;
    default:
        if (vfs_open(&as_root, a, O_RDWR | (k % 2 ? O_CREAT : 0), 0644, 0, &f) == 0) {
            f_pwrite(f, buf, sizeof(buf), sim_random() % 50000);
            f_pread(f, buf, sizeof(buf), sim_random() % 50000);
            if (sim_random() % 3 == 0)
                vfs_ftruncate(f, sim_random() % 9000);
            file_put(f);
        }
    }
}

TEST(random_without_leaks)
{
    if (&image_plain[0] == &image_plain_end[0])
        sim_test_skip("mkfs.erofs is missing");
    boot_tmpfs();
    memdisk_add(&disk, "vda", image_plain, (size_t)(image_plain_end - image_plain));
    CHECK_EQ(vfs_mkdir(&as_root, "/m", 0755), 0);
    CHECK_EQ(try_open(&as_root, "/m/x", O_RDONLY), -ENOENT);
    slab_for_each_cache(count_cache, NULL);
    size_t before = in_use;
    for (unsigned round = 0; round < 10; round++) {
        CHECK_EQ(vfs_mount(&as_root, "overlay", "vda", "/m", 0, "erofs"), 0);
        for (unsigned k = 0; k < 300; k++) {
            sim_fail_allocations(k % 60 > 40 ? 6 : 0);
            change(k);
            sim_fail_allocations(0);
            if (k % 50 == 0)
                forget();
        }
        CHECK_EQ(vfs_umount(&as_root, "/m", 0), 0);
        in_use = 0;
        slab_for_each_cache(count_cache, NULL);
        CHECK(in_use <= before); /* a shrinker may have dropped more */
    }
}
