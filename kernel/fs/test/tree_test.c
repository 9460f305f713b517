/* SPDX-License-Identifier: Apache-2.0 */
/* Names and files on tmpfs: what path_resolution(7), open(2), rename(2), ... say. */
#include "fs_test.h"

TEST(create_read_write)
{
    char buf[64];
    boot_tmpfs();
    struct file *f = must_open("/a", O_RDWR | O_CREAT | O_EXCL);
    CHECK_EQ(f_write(f, "hello", 5), 5);
    CHECK_EQ(f_pwrite(f, "world", 5, 10), 5);
    CHECK_EQ(vfs_seek(f, 0, 0), 0);
    CHECK_EQ(f_read(f, buf, sizeof(buf)), 15);
    CHECK_MEM(buf, "hello\0\0\0\0\0world", 15);
    CHECK_EQ(vfs_ftruncate(f, 3), 0);
    CHECK_EQ(vfs_ftruncate(f, 8), 0);
    CHECK_EQ(f_pread(f, buf, sizeof(buf), 0), 8);
    CHECK_MEM(buf, "hel\0\0\0\0\0", 8);
    CHECK_EQ(vfs_seek(f, -1, 0), -EINVAL);
    CHECK_EQ(vfs_seek(f, 2, 2), 10);
    CHECK_EQ(f_read(f, buf, 1), 0);
    file_put(f);
    CHECK_EQ(try_open(&as_root, "/a", O_RDWR | O_CREAT | O_EXCL), -EEXIST);
    CHECK_EQ(try_open(&as_root, "/a/", O_RDWR | O_CREAT), -EISDIR);
    CHECK_EQ(try_open(&as_root, "/b/", O_RDWR | O_CREAT), -EISDIR);
    CHECK_EQ(try_open(&as_root, "/", O_RDWR), -EISDIR);
    CHECK_EQ(try_open(&as_root, "/", O_RDONLY | O_CREAT), -EISDIR);
    CHECK_EQ(try_open(&as_root, "/x", O_CREAT | O_DIRECTORY), -EINVAL);
    CHECK_EQ(try_open(&as_root, "", O_RDONLY), -ENOENT);
}

TEST(append_and_sparse)
{
    char buf[8];
    boot_tmpfs();
    write_text("/a", "12345");
    struct file *f = must_open("/a", O_RDWR | O_APPEND);
    CHECK_EQ(f_pwrite(f, "67", 2, 0), 2);
    CHECK(text_is("/a", "1234567"));
    CHECK_EQ(f_pwrite(f, "x", 1, 0), 1);
    file_put(f);
    f = must_open("/s", O_RDWR | O_CREAT);
    CHECK_EQ(f_pwrite(f, "end", 3, 1 << 20), 3);
    CHECK_EQ(vfs_seek(f, 0, 3), 1 << 20);
    CHECK_EQ(vfs_seek(f, 0, 4), 0);
    CHECK_EQ(vfs_seek(f, 1 << 20, 4), (1 << 20) + 3);
    CHECK_EQ(f_pread(f, buf, 8, 4096), 8);
    CHECK_EQ(buf[0], 0);
    struct kstat st;
    CHECK_EQ(vfs_stat_file(f, &st), 0);
    CHECK_EQ(st.blocks_512, 8);
    CHECK_EQ(vfs_fallocate(f, 3, 1 << 20, 4096), 0); /* punch */
    CHECK_EQ(vfs_stat_file(f, &st), 0);
    CHECK_EQ(st.size, (1 << 20) + 3);
    CHECK_EQ(vfs_fallocate(f, 0, 0, 8192), 0);
    CHECK_EQ(vfs_stat_file(f, &st), 0);
    CHECK(st.blocks_512 >= 16);
    file_put(f);
}

TEST(space_limit)
{
    static char page[PAGE_SIZE];
    struct kstatfs s;
    struct path p;
    boot_tmpfs();
    CHECK_EQ(vfs_mkdir(&as_root, "/t", 0755), 0);
    CHECK_EQ(vfs_mount(&as_root, "tmpfs", "none", "/t", 0, "size=64k"), 0);
    struct file *f = must_open("/t/f", O_RDWR | O_CREAT);
    for (unsigned k = 0; k < 16; k++)
        CHECK_EQ(f_write(f, page, PAGE_SIZE), PAGE_SIZE);
    CHECK_EQ(f_write(f, page, PAGE_SIZE), -ENOSPC);
    CHECK_EQ(f_pwrite(f, page, PAGE_SIZE, 0), PAGE_SIZE);
    CHECK_EQ(vfs_ftruncate(f, 0), 0);
    CHECK_EQ(f_pwrite(f, page, PAGE_SIZE, 0), PAGE_SIZE);
    CHECK_EQ(vfs_fallocate(f, 0, 0, 1 << 20), -ENOSPC);
    file_put(f);
    CHECK_EQ(vfs_lookup(&as_root, "/t", 0, &p), 0);
    CHECK_EQ(vfs_statfs(&p, &s), 0);
    CHECK_EQ(s.blocks, 16);
    path_put(&p);
    CHECK_EQ(vfs_umount(&as_root, "/t", 0), 0);
    CHECK_EQ(try_open(&as_root, "/t/f", O_RDONLY), -ENOENT);
    CHECK_EQ(vfs_mount(&as_root, "tmpfs", "none", "/t", 0, "size=lots"), -EINVAL);
    CHECK_EQ(vfs_mount(&as_root, "nosuch", "none", "/t", 0, NULL), -ENODEV);
}

TEST(directories)
{
    unsigned n;
    boot_tmpfs();
    CHECK_EQ(vfs_mkdir(&as_root, "/d/", 0755), 0);
    CHECK_EQ(vfs_mkdir(&as_root, "/d", 0755), -EEXIST);
    CHECK_EQ(vfs_mkdir(&as_root, "/no/d", 0755), -ENOENT);
    for (unsigned k = 0; k < 100; k++) {
        char name[32];
        fmt_snprintf(name, sizeof(name), "/d/f%u", k);
        write_text(name, "x");
    }
    list_dir("/d", 0, &n);
    CHECK_EQ(n, 102);
    list_dir("/d", 3, &n);
    CHECK_EQ(n, 102);
    CHECK_EQ(vfs_rmdir(&as_root, "/d"), -ENOTEMPTY);
    CHECK_EQ(vfs_unlink(&as_root, "/d"), -EISDIR);
    CHECK_EQ(vfs_rmdir(&as_root, "/d/f1"), -ENOTDIR);
    CHECK_EQ(vfs_rmdir(&as_root, "/d/."), -EINVAL);
    CHECK_EQ(vfs_rmdir(&as_root, "/d/.."), -ENOTEMPTY);
    CHECK_EQ(vfs_unlink(&as_root, "/d/f1/"), -ENOTDIR);
    /* removing while reading */
    static struct list_names l = {.e = {.emit = list_fn}, .limit = 10};
    struct file *f = must_open("/d", O_RDONLY);
    unsigned removed = 0;
    for (;;) {
        l.count = 0;
        l.len = 0;
        CHECK_EQ(vfs_iterate(f, &l.e), 0);
        if (l.count == 0)
            break;
        for (char *s = l.text; s < l.text + l.len;) {
            char name[64], *end = strchr(s, ' ');
            *end = 0;
            if (s[0] != '.') {
                fmt_snprintf(name, sizeof(name), "/d/%s", s);
                CHECK_EQ(vfs_unlink(&as_root, name), 0);
                removed++;
            }
            s = end + 1;
        }
    }
    CHECK_EQ(removed, 100);
    CHECK_EQ(vfs_rmdir(&as_root, "/d"), 0);
    CHECK_EQ(vfs_iterate(f, &l.e), -ENOENT);
    struct lookup in = {.fs = fs, .cred = &kernel_cred, .at = &f->path};
    CHECK_EQ(try_open(&in, "x", O_RDWR | O_CREAT), -ENOENT);
    CHECK_EQ(vfs_mkdir(&in, "x", 0755), -ENOENT);
    file_put(f);
}

TEST(links_and_unlink)
{
    struct kstat st;
    char buf[8];
    boot_tmpfs();
    write_text("/a", "text");
    CHECK_EQ(vfs_link(&as_root, "/a", &as_root, "/b", LOOKUP_NOFOLLOW), 0);
    CHECK_EQ(vfs_link(&as_root, "/a", &as_root, "/b", LOOKUP_NOFOLLOW), -EEXIST);
    CHECK_EQ(stat_of("/b", 0, &st), 0);
    CHECK_EQ(st.nlink, 2);
    struct file *f = must_open("/a", O_RDONLY);
    CHECK_EQ(vfs_unlink(&as_root, "/a"), 0);
    CHECK_EQ(try_open(&as_root, "/a", O_RDONLY), -ENOENT);
    CHECK_EQ(vfs_unlink(&as_root, "/b"), 0);
    CHECK_EQ(vfs_stat_file(f, &st), 0);
    CHECK_EQ(st.nlink, 0);
    CHECK_EQ(f_read(f, buf, 8), 4);
    char name[64];
    CHECK_EQ(file_name(fs, f, name, sizeof(name)), 12);
    CHECK_STR(name, "/a (deleted)");
    struct lookup l = {.fs = fs, .cred = &kernel_cred, .at = &f->path};
    CHECK_EQ(vfs_link(&l, "", &as_root, "/again", LOOKUP_EMPTY), -ENOENT);
    file_put(f);
    CHECK_EQ(vfs_symlink(&as_root, "target", "/s"), 0);
    CHECK_EQ(vfs_symlink(&as_root, "", "/s2"), -ENOENT);
    CHECK_EQ(try_open(&as_root, "/s", O_RDWR), -ENOENT);
    CHECK_EQ(try_open(&as_root, "/s", O_RDWR | O_CREAT | O_EXCL), -EEXIST);
    CHECK_EQ(try_open(&as_root, "/s", O_RDWR | O_CREAT), 0); /* makes target */
    CHECK_EQ(stat_of("/target", 0, &st), 0);
    CHECK_EQ(vfs_link(&as_root, "/s", &as_root, "/s3", LOOKUP_NOFOLLOW), 0);
    CHECK_EQ(stat_of("/s3", LOOKUP_NOFOLLOW, &st), 0);
    CHECK(S_ISLNK(st.mode));
    CHECK_EQ(vfs_mkdir(&as_root, "/d", 0755), 0);
    CHECK_EQ(vfs_link(&as_root, "/d", &as_root, "/d2", 0), -EPERM);
}

TEST(tmpfile)
{
    struct kstat st;
    boot_tmpfs();
    struct file *f = must_open("/", O_TMPFILE | O_RDWR);
    CHECK_EQ(f_write(f, "abc", 3), 3);
    unsigned n;
    list_dir("/", 0, &n);
    CHECK_EQ(n, 2);
    struct lookup l = {.fs = fs, .cred = &kernel_cred, .at = &f->path};
    CHECK_EQ(vfs_link(&l, "", &as_root, "/named", LOOKUP_EMPTY), 0);
    file_put(f);
    CHECK(text_is("/named", "abc"));
    CHECK_EQ(stat_of("/named", 0, &st), 0);
    CHECK_EQ(st.nlink, 1);
    CHECK_EQ(try_open(&as_root, "/", O_TMPFILE | O_RDONLY), -EINVAL);
    f = must_open("/", O_TMPFILE | O_RDWR | O_EXCL);
    l.at = &f->path;
    CHECK_EQ(vfs_link(&l, "", &as_root, "/no", LOOKUP_EMPTY), -ENOENT);
    file_put(f);
}

TEST(renaming)
{
    struct kstat st, st2;
    char name[512], longname[260];
    boot_tmpfs();
    write_text("/a", "A");
    write_text("/b", "B");
    CHECK_EQ(vfs_rename(&as_root, "/a", &as_root, "/b", 1), -EEXIST);
    CHECK_EQ(vfs_rename(&as_root, "/a", &as_root, "/b", 2), 0); /* exchange */
    CHECK(text_is("/a", "B") && text_is("/b", "A"));
    CHECK_EQ(vfs_rename(&as_root, "/a", &as_root, "/b", 0), 0);
    CHECK(text_is("/b", "B"));
    CHECK_EQ(try_open(&as_root, "/a", O_RDONLY), -ENOENT);
    CHECK_EQ(vfs_rename(&as_root, "/a", &as_root, "/c", 0), -ENOENT);
    CHECK_EQ(vfs_rename(&as_root, "/b", &as_root, "/b", 0), 0);
    CHECK_EQ(vfs_mkdir(&as_root, "/d", 0755), 0);
    CHECK_EQ(vfs_mkdir(&as_root, "/d/e", 0755), 0);
    CHECK_EQ(vfs_mkdir(&as_root, "/x", 0755), 0);
    CHECK_EQ(vfs_rename(&as_root, "/d", &as_root, "/d/e/f", 0), -EINVAL);
    CHECK_EQ(vfs_rename(&as_root, "/d/e", &as_root, "/d", 0), -ENOTEMPTY);
    CHECK_EQ(vfs_rename(&as_root, "/b", &as_root, "/x", 0), -EISDIR);
    CHECK_EQ(vfs_rename(&as_root, "/x", &as_root, "/b", 0), -ENOTDIR);
    CHECK_EQ(vfs_rename(&as_root, "/x", &as_root, "/d", 0), -ENOTEMPTY);
    CHECK_EQ(vfs_rename(&as_root, "/b/", &as_root, "/c", 0), -ENOTDIR);
    CHECK_EQ(vfs_rename(&as_root, "/.", &as_root, "/c", 0), -EBUSY);
    CHECK_EQ(stat_of("/", 0, &st), 0);
    CHECK_EQ(vfs_rename(&as_root, "/d/e", &as_root, "/x/e2", 0), 0);
    CHECK_EQ(stat_of("/x", 0, &st2), 0);
    CHECK_EQ(st2.nlink, 3);
    CHECK_EQ(stat_of("/d", 0, &st2), 0);
    CHECK_EQ(st2.nlink, 2);
    struct path p;
    CHECK_EQ(vfs_lookup(&as_root, "/x/e2", 0, &p), 0);
    memset(longname, 'n', 255);
    longname[255] = 0;
    longname[0] = '/';
    char full[300];
    fmt_snprintf(full, sizeof(full), "/d/%s", longname + 1);
    CHECK_EQ(vfs_rename(&as_root, "/x/e2", &as_root, full, 0), 0);
    CHECK_EQ(path_name(fs, &p, name, sizeof(name)), strlen(full));
    CHECK_STR(name, full);
    CHECK_EQ(vfs_rename(&as_root, "/x", &as_root, full, 2), 0); /* exchange of long and short */
    CHECK_EQ(path_name(fs, &p, name, sizeof(name)), 2);
    CHECK_STR(name, "/x");
    path_put(&p);
}

static const struct cred *the_user(void) { return user; }

TEST(permissions)
{
    boot_tmpfs();
    write_text("/root", "r");
    struct path p;
    struct setattr a = {.valid = SETATTR_MODE, .mode = 0640};
    CHECK_EQ(vfs_lookup(&as_root, "/root", 0, &p), 0);
    CHECK_EQ(vfs_setattr_path(&p, &kernel_cred, &a), 0);
    CHECK_EQ(try_open(&as_user, "/root", O_RDONLY), -EACCES);
    CHECK_EQ(try_open(&as_user, "/new", O_RDWR | O_CREAT), -EACCES);
    CHECK_EQ(vfs_setattr_path(&p, user, &a), -EPERM);
    a = (struct setattr){.valid = SETATTR_UID | SETATTR_GID, .uid = 1000, .gid = 5};
    CHECK_EQ(vfs_setattr_path(&p, user, &a), -EPERM);
    CHECK_EQ(vfs_setattr_path(&p, &kernel_cred, &a), 0);
    CHECK_EQ(try_open(&as_user, "/root", O_RDWR), 0);
    CHECK_EQ(vfs_access(&p, user, 1), -EACCES);
    CHECK_EQ(vfs_access(&p, &kernel_cred, 1), -EACCES);
    CHECK_EQ(vfs_access(&p, &kernel_cred, 6), 0);
    /* set-ID bits go with chown and with writes of others */
    a = (struct setattr){.valid = SETATTR_MODE, .mode = 06777};
    CHECK_EQ(vfs_setattr_path(&p, &kernel_cred, &a), 0);
    struct kstat st;
    struct file *f;
    CHECK_EQ(vfs_open(&as_user, "/root", O_WRONLY, 0, 0, &f), 0);
    CHECK_EQ(f_write(f, "x", 1), 1);
    CHECK_EQ(stat_of("/root", 0, &st), 0);
    CHECK_EQ(st.mode, S_IFREG | 06777); /* not for who may keep them */
    vfs_caller = the_user;
    CHECK_EQ(f_write(f, "x", 1), 1);
    vfs_caller = NULL;
    file_put(f);
    CHECK_EQ(stat_of("/root", 0, &st), 0);
    CHECK_EQ(st.mode, S_IFREG | 0777);
    /* times */
    a = (struct setattr){.valid = SETATTR_MTIME, .mtime_ns = 77};
    CHECK_EQ(vfs_setattr_path(&p, user, &a), 0);
    CHECK_EQ(stat_of("/root", 0, &st), 0);
    CHECK_EQ(st.mtime_ns, 77);
    path_put(&p);
    /* sticky directory */
    CHECK_EQ(vfs_mkdir(&as_root, "/tmp", 01777), 0);
    write_text("/tmp/r", "r");
    CHECK_EQ(vfs_unlink(&as_user, "/tmp/r"), -EPERM);
    CHECK_EQ(try_open(&as_user, "/tmp/u", O_RDWR | O_CREAT), 0);
    CHECK_EQ(vfs_unlink(&as_user, "/tmp/u"), 0);
    /* no search permission on the way */
    CHECK_EQ(vfs_mkdir(&as_root, "/shut", 0700), 0);
    write_text("/shut/f", "f");
    CHECK_EQ(try_open(&as_user, "/shut/f", O_RDONLY), -EACCES);
    CHECK_EQ(try_open(&as_user, "/shut/../root", O_RDONLY), -EACCES);
}

TEST(resolve_flags)
{
    struct path d, p;
    boot_tmpfs();
    CHECK_EQ(vfs_mkdir(&as_root, "/d", 0755), 0);
    CHECK_EQ(vfs_mkdir(&as_root, "/d/e", 0755), 0);
    write_text("/f", "outer");
    write_text("/d/f", "inner");
    CHECK_EQ(vfs_symlink(&as_root, "../f", "/d/up"), 0);
    CHECK_EQ(vfs_symlink(&as_root, "/f", "/d/abs"), 0);
    CHECK_EQ(vfs_lookup(&as_root, "/d", 0, &d), 0);
    struct lookup l = {.fs = fs, .cred = &kernel_cred, .at = &d};
    CHECK_EQ(vfs_lookup(&l, "e/../f", LOOKUP_BENEATH, &p), 0);
    path_put(&p);
    CHECK_EQ(vfs_lookup(&l, "../f", LOOKUP_BENEATH, &p), -EXDEV);
    CHECK_EQ(vfs_lookup(&l, "up", LOOKUP_BENEATH, &p), -EXDEV);
    CHECK_EQ(vfs_lookup(&l, "abs", LOOKUP_BENEATH, &p), -EXDEV);
    CHECK_EQ(vfs_lookup(&l, "/f", LOOKUP_BENEATH, &p), -EXDEV);
    CHECK_EQ(vfs_lookup(&l, "up", LOOKUP_NO_SYMLINKS, &p), -ELOOP);
    CHECK_EQ(vfs_lookup(&l, "up", LOOKUP_NO_SYMLINKS | LOOKUP_NOFOLLOW, &p), 0);
    path_put(&p);
    static const char *const names[] = {"abs", "up", "/f", "../../f", "e/../../f"};
    for (unsigned k = 0; k < ARRAY_SIZE(names); k++) {
        struct kstat st, inner;
        CHECK_EQ(vfs_lookup(&l, names[k], LOOKUP_IN_ROOT, &p), 0);
        CHECK_EQ(vfs_stat_path(&p, &st), 0);
        path_put(&p);
        CHECK_EQ(stat_of("/d/f", 0, &inner), 0);
        CHECK_EQ(st.ino, inner.ino);
    }
    CHECK_EQ(vfs_mount(&as_root, "tmpfs", "none", "/d/e", 0, NULL), 0);
    CHECK_EQ(vfs_lookup(&l, "e", LOOKUP_NO_XDEV, &p), -EXDEV);
    CHECK_EQ(vfs_lookup(&l, "", LOOKUP_EMPTY, &p), 0);
    path_put(&p);
    path_put(&d);
}

TEST(mounts_and_names)
{
    char name[128];
    struct path p;
    boot_tmpfs();
    CHECK_EQ(vfs_mkdir(&as_root, "/m", 0755), 0);
    write_text("/m/below", "hidden");
    CHECK_EQ(vfs_mount(&as_user, "tmpfs", "none", "/m", 0, NULL), -EPERM);
    CHECK_EQ(vfs_mount(&as_root, "tmpfs", "none", "/m", MS_NOEXEC, "mode=711"), 0);
    CHECK_EQ(try_open(&as_root, "/m/below", O_RDONLY), -ENOENT);
    CHECK_EQ(vfs_mkdir(&as_root, "/m/sub", 0755), 0);
    CHECK_EQ(vfs_lookup(&as_root, "/m/sub", 0, &p), 0);
    CHECK_EQ(path_name(fs, &p, name, sizeof(name)), 6);
    CHECK_STR(name, "/m/sub");
    CHECK_EQ(vfs_chdir(fs, &p, &kernel_cred), 0);
    path_put(&p);
    CHECK(text_is("../../m/../m/below", "hidden") == false);
    CHECK_EQ(vfs_umount(&as_root, "/m", 0), -EBUSY);
    CHECK_EQ(vfs_rmdir(&as_root, "/m"), -EBUSY);
    CHECK_EQ(vfs_mkdir(&as_root, "/bind", 0755), 0);
    CHECK_EQ(vfs_mount(&as_root, NULL, "/m/sub", "/bind", MS_BIND, NULL), 0);
    write_text("/bind/x", "bound");
    CHECK(text_is("/m/sub/x", "bound"));
    CHECK(text_is("x", "bound"));
    CHECK_EQ(vfs_rename(&as_root, "/bind/x", &as_root, "/m/x", 0), -EXDEV);
    static char text[1024];
    size_t n = vfs_show_mounts(fs, false, text, sizeof(text) - 1);
    text[n] = 0;
    CHECK_STR(text, "tmpfs / tmpfs rw,relatime 0 0\nnone /m tmpfs rw,noexec,relatime 0 0\nnone /bind tmpfs rw,noexec,relatime 0 0\n");
    CHECK_EQ(vfs_lookup(&as_root, "/", 0, &p), 0);
    CHECK_EQ(vfs_chdir(fs, &p, &kernel_cred), 0);
    path_put(&p);
    CHECK_EQ(vfs_umount(&as_root, "/m", 2), 0); /* lazily */
    CHECK(text_is("/m/below", "hidden"));
    CHECK(text_is("/bind/x", "bound"));
    CHECK_EQ(vfs_umount(&as_root, "/bind", 0), 0);
    CHECK_EQ(vfs_umount(&as_root, "/", 0), -EBUSY);
    /* remount read-only */
    CHECK_EQ(vfs_mount(&as_root, NULL, NULL, "/", MS_REMOUNT | MS_RDONLY, NULL), 0);
    CHECK_EQ(try_open(&as_root, "/m/below", O_WRONLY), -EROFS);
    CHECK_EQ(vfs_mkdir(&as_root, "/m/new", 0755), -EROFS);
}

TEST(chroot)
{
    char name[64];
    struct path p;
    boot_tmpfs();
    CHECK_EQ(vfs_mkdir(&as_root, "/jail", 0755), 0);
    CHECK_EQ(vfs_mkdir(&as_root, "/jail/in", 0755), 0);
    write_text("/secret", "s");
    CHECK_EQ(vfs_lookup(&as_root, "/jail", 0, &p), 0);
    CHECK_EQ(vfs_chroot(fs, &p, user), -EPERM);
    CHECK_EQ(vfs_chroot(fs, &p, &kernel_cred), 0);
    CHECK_EQ(vfs_chdir(fs, &p, &kernel_cred), 0);
    path_put(&p);
    CHECK_EQ(try_open(&as_root, "/secret", O_RDONLY), -ENOENT);
    CHECK_EQ(try_open(&as_root, "/../../secret", O_RDONLY), -ENOENT);
    CHECK_EQ(vfs_lookup(&as_root, "in", 0, &p), 0);
    CHECK_EQ(path_name(fs, &p, name, sizeof(name)), 3);
    path_put(&p);
}

TEST(xattrs)
{
    char buf[64];
    struct path p;
    boot_tmpfs();
    write_text("/f", "x");
    CHECK_EQ(vfs_lookup(&as_root, "/f", 0, &p), 0);
    CHECK_EQ(vfs_setxattr(&p, &kernel_cred, "user.a", "1", 1, 2), -ENODATA);
    CHECK_EQ(vfs_setxattr(&p, &kernel_cred, "user.a", "1", 1, 1), 0);
    CHECK_EQ(vfs_setxattr(&p, &kernel_cred, "user.a", "1", 1, 1), -EEXIST);
    CHECK_EQ(vfs_setxattr(&p, &kernel_cred, "user.a", "22", 2, 0), 0);
    CHECK_EQ(vfs_setxattr(&p, &kernel_cred, "security.x", "y", 1, 0), 0);
    CHECK_EQ(vfs_setxattr(&p, user, "trusted.x", "y", 1, 0), -EPERM);
    CHECK_EQ(vfs_setxattr(&p, user, "user.b", "y", 1, 0), -EACCES);
    CHECK_EQ(vfs_setxattr(&p, &kernel_cred, "nonsense", "y", 1, 0), -EOPNOTSUPP);
    CHECK_EQ(vfs_getxattr(&p, &kernel_cred, "user.a", buf, 1), -ERANGE);
    CHECK_EQ(vfs_getxattr(&p, &kernel_cred, "user.a", buf, 64), 2);
    CHECK_EQ(vfs_listxattr(&p, buf, 64), 18);
    CHECK_EQ(vfs_removexattr(&p, &kernel_cred, "user.a"), 0);
    CHECK_EQ(vfs_removexattr(&p, &kernel_cred, "user.a"), -ENODATA);
    path_put(&p);
}

TEST(text_busy)
{
    boot_tmpfs();
    write_text("/prog", "x");
    struct file *f = must_open("/prog", O_RDONLY);
    CHECK_EQ(inode_deny_write(f->inode), 0);
    CHECK_EQ(try_open(&as_root, "/prog", O_WRONLY), -ETXTBSY);
    inode_allow_write(f->inode);
    struct file *w = must_open("/prog", O_RDWR);
    CHECK_EQ(inode_deny_write(f->inode), -ETXTBSY);
    file_put(w);
    CHECK_EQ(inode_deny_write(f->inode), 0);
    inode_allow_write(f->inode);
    file_put(f);
}

TEST(devices)
{
    char buf[16] = "xxxxxxxxxxxxxxx";
    boot_tmpfs();
    CHECK_EQ(vfs_mkdir(&as_root, "/dev", 0755), 0);
    CHECK_EQ(vfs_mount(&as_root, "devtmpfs", "dev", "/dev", 0, NULL), 0);
    struct file *f = must_open("/dev/zero", O_RDWR);
    CHECK_EQ(f_read(f, buf, 8), 8);
    CHECK_EQ(buf[7], 0);
    CHECK_EQ(buf[8], 'x');
    CHECK_EQ(f_write(f, buf, 8), 8);
    file_put(f);
    f = must_open("/dev/full", O_RDWR);
    CHECK_EQ(f_write(f, buf, 8), -ENOSPC);
    file_put(f);
    f = must_open("/dev/null", O_RDWR);
    CHECK_EQ(f_read(f, buf, 8), 0);
    CHECK_EQ(f_write(f, buf, 16), 16);
    file_put(f);
    f = must_open("/dev/urandom", O_RDONLY);
    CHECK_EQ(f_read(f, buf, 16), 16);
    file_put(f);
    CHECK_EQ(try_open(&as_root, "/dev/tty", O_RDWR), -ENXIO);
    CHECK_EQ(vfs_mknod(&as_root, "/c", S_IFCHR | 0600, MKDEV(99, 99)), 0);
    CHECK_EQ(try_open(&as_root, "/c", O_RDONLY), -ENXIO);
    CHECK_EQ(vfs_mknod(&as_user, "/c2", S_IFCHR | 0600, MKDEV(1, 3)), -EACCES);
    struct path p;
    struct setattr mine = {.valid = SETATTR_UID, .uid = 1000};
    CHECK_EQ(vfs_mkdir(&as_root, "/mine", 0755), 0);
    CHECK_EQ(vfs_lookup(&as_root, "/mine", 0, &p), 0);
    CHECK_EQ(vfs_setattr_path(&p, &kernel_cred, &mine), 0);
    path_put(&p);
    CHECK_EQ(vfs_mknod(&as_user, "/mine/c", S_IFCHR | 0600, MKDEV(1, 3)), -EPERM);
    CHECK_EQ(vfs_mknod(&as_root, "/sock", S_IFSOCK | 0600, 0), 0);
    CHECK_EQ(try_open(&as_root, "/sock", O_RDONLY), -ENXIO);
}

/* Everything at random while memory runs out: only errors, and nothing is lost. */
static void one_random(void)
{
    char a[32], b[32];
    fmt_snprintf(a, sizeof(a), "/r/%c%u", (char)('a' + sim_random() % 3), (unsigned)(sim_random() % 4));
    fmt_snprintf(b, sizeof(b), "/r/%c%u", (char)('a' + sim_random() % 3), (unsigned)(sim_random() % 4));
    struct file *f;
    switch (sim_random() % 9) {
    case 0:
        vfs_mkdir(&as_root, a, 0755);
        break;
    case 1:
        vfs_rmdir(&as_root, a);
        break;
    case 2:
        vfs_unlink(&as_root, a);
        break;
    case 3:
        vfs_rename(&as_root, a, &as_root, b, 0);
        break;
    case 4:
        vfs_rename(&as_root, a, &as_root, b, 2);
        break;
    case 5:
        vfs_symlink(&as_root, b, a);
        break;
    case 6:
        vfs_link(&as_root, a, &as_root, b, LOOKUP_NOFOLLOW);
        break;
    default:
        if (vfs_open(&as_root, a, O_RDWR | O_CREAT | (sim_random() % 4 == 0 ? O_TRUNC : 0), 0644, 0, &f) == 0) {
            char text[100] = "text";
            f_pwrite(f, text, sizeof(text), sim_random() % 20000);
            f_pread(f, text, sizeof(text), sim_random() % 20000);
            file_put(f);
        }
    }
}

static size_t in_use;
static void count_cache(const char *name, size_t size, size_t used, size_t pages, void *ctx)
{
    if (strcmp(name, "dentry") == 0 || strcmp(name, "inode") == 0 || strcmp(name, "file") == 0)
        in_use += used;
}

TEST(random_without_leaks)
{
    boot_tmpfs();
    CHECK_EQ(vfs_mkdir(&as_root, "/r", 0755), 0);
    CHECK_EQ(try_open(&as_root, "/r/none", O_RDONLY), -ENOENT);
    slab_for_each_cache(count_cache, NULL);
    size_t before = in_use;
    CHECK_EQ(vfs_mount(&as_root, "tmpfs", "none", "/r", 0, NULL), 0);
    for (unsigned k = 0; k < 3000; k++) {
        if (k % 100 == 50)
            sim_fail_allocations(4);
        if (k % 100 == 80)
            sim_fail_allocations(0);
        one_random();
    }
    sim_fail_allocations(0);
    CHECK_EQ(vfs_umount(&as_root, "/r", 0), 0);
    in_use = 0;
    slab_for_each_cache(count_cache, NULL);
    CHECK(in_use <= before); /* a shrinker may have dropped more */
}

static void storm(void *arg)
{
    for (unsigned k = 0; k < 400; k++)
        one_random();
}

TEST_CPUS(many_threads, 4)
{
    struct thread *t[6];
    boot_tmpfs();
    CHECK_EQ(vfs_mkdir(&as_root, "/r", 0755), 0);
    CHECK_EQ(vfs_mount(&as_root, "tmpfs", "none", "/r", 0, NULL), 0);
    for (unsigned k = 0; k < ARRAY_SIZE(t); k++)
        t[k] = test_thread("storm", storm, NULL);
    for (unsigned k = 0; k < ARRAY_SIZE(t); k++)
        test_join(t[k]);
    CHECK_EQ(vfs_umount(&as_root, "/r", 0), 0);
}
