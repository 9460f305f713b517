/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file tree as programs expect it: the image under a writable layer, /dev,
 * /proc, the usual empty directories, and the files of /etc that depend on where
 * the machine runs. The writable layer is memory already, so /tmp and /run are
 * plain directories in it unless the root is read-only, and /dev/shm is one of /dev.
 */
#include "base/bytes.h"
#include "base/fmt.h"
#include "base/str.h"
#include "control.h"
#include "init_impl.h"
#include "kern/blkdev.h"
#include "kern/log.h"
#include "kern/slab.h"
#include "kern/vfs.h"

static struct fs_ctx *init_fs;

const struct lookup *root_lookup(void)
{
    static struct lookup l;
    l = (struct lookup){ .fs = init_fs, .cred = &kernel_cred };
    return &l;
}

/* --- files ------------------------------------------------------------------------------ */

int root_read_file(const char *path, size_t max, char **ret, size_t *ret_len)
{
    struct file *f;
    struct kstat st;
    int err = vfs_open(root_lookup(), path, O_RDONLY, 0, 0, &f);
    if (err != 0)
        return err;
    err = vfs_stat_file(f, &st);
    if (err == 0 && !S_ISREG(st.mode))
        err = -EINVAL;
    if (err == 0 && st.size > max)
        err = -EFBIG;
    char *buf = err == 0 ? kmalloc(st.size + 1, 0) : NULL;
    if (err == 0 && buf == NULL)
        err = -ENOMEM;
    s64 n = 0;
    if (err == 0) {
        struct uio u;
        u64 pos = 0;
        uio_kernel(&u, buf, st.size);
        n = vfs_read(f, &u, &pos);
        err = n < 0 ? (int)n : 0;
    }
    file_put(f);
    if (err != 0) {
        kfree(buf);
        return err;
    }
    buf[n] = '\0';
    *ret = buf;
    *ret_len = (size_t)n;
    return 0;
}

static int write_file(const char *path, const char *text, size_t len)
{
    struct file *f;
    int err = vfs_open(root_lookup(), path, O_WRONLY | O_CREAT | O_TRUNC, 0644, 0, &f);
    if (err != 0)
        return err;
    struct uio u;
    u64 pos = 0;
    uio_kernel(&u, (void *)text, len);
    s64 n = vfs_write(f, &u, &pos);
    file_put(f);
    return n < 0 ? (int)n : 0;
}

static bool exists(const char *path)
{
    struct path p;
    if (vfs_lookup(root_lookup(), path, 0, &p) != 0)
        return false;
    path_put(&p);
    return true;
}

/* Make a directory with all that lead to it. */
static int make_dirs(const char *path, u32 mode)
{
    char part[PATH_MAX];
    if (str_copy(part, path, sizeof(part)) >= sizeof(part))
        return -ENAMETOOLONG;
    for (char *p = part + 1;; p++) {
        if (*p != '/' && *p != '\0')
            continue;
        bool last = *p == '\0';
        *p = '\0';
        int err = vfs_mkdir(root_lookup(), part, last ? mode : 0755);
        if (err != 0 && err != -EEXIST)
            return err;
        if (last)
            return 0;
        *p = '/';
    }
}

/* --- mounts ------------------------------------------------------------------------------ */

static void list_disk(struct blkdev *b, void *ctx)
{
    char *text = ctx;
    size_t n = strlen(text);
    fmt_snprintf(text + n, 200 - n, "%s%s (serial \"%s\")", n > 0 ? ", " : "", b->name, b->serial);
}

void root_mount_image(const char *serial)
{
    struct blkdev *b = blkdev_find(serial);
    if (b == NULL) {
        char disks[200] = "";
        blkdev_for_each(list_disk, disks);
        boot_fail("no root image: there is no virtio-blk device with the serial \"%s\"; found: %s", serial,
                  disks[0] != '\0' ? disks : "none");
    }
    int err = vfs_mount_root("overlay", b->name, 0, NULL);
    if (err != 0)
        boot_fail("cannot mount the root image on %s: %s (error %d)", b->name,
                  err == -EUCLEAN ? "it is damaged" : err == -EINVAL ? "it is not an EROFS image that this kernel reads" : "input or memory",
                  -err);
    init_fs = fs_ctx_create();
    if (init_fs == NULL)
        boot_fail("out of memory while mounting the root image");
}

static void mount_at(const char *type, const char *source, const char *target, u64 flags, const char *data)
{
    int err = vfs_mount(root_lookup(), type, source, target, flags, data);
    if (err == -ENOENT) {
        err = make_dirs(target, 0755);
        if (err == 0)
            err = vfs_mount(root_lookup(), type, source, target, flags, data);
    }
    if (err != 0)
        klog(LOG_WARN, "cannot mount %s on %s: error %d", type, target, -err);
}

/* An empty file with the directories that lead to it. */
static int make_file(const char *path)
{
    char dir[PATH_MAX];
    if (str_copy(dir, path, sizeof(dir)) >= sizeof(dir))
        return -ENAMETOOLONG;
    char *slash = strrchr(dir, '/');
    *slash = '\0';
    int err = slash != dir ? make_dirs(dir, 0755) : 0;
    return err != 0 ? err : write_file(path, "", 0);
}

/* A directory or a file of the host. A program that was promised one shall not run without it. */
static void mount_volume(const struct mount_spec *m)
{
    u64 flags = MS_NODEV | (m->read_only ? MS_RDONLY : 0);
    int err = exists(m->destination) ? 0 : m->file ? make_file(m->destination) : make_dirs(m->destination, 0755);
    if (err == 0)
        err = vfs_mount(root_lookup(), m->type, m->source, m->destination, flags, m->options);
    if (err != 0)
        boot_fail("cannot mount the volume on %s: error %d", m->destination, -err);
}

/* From config.json. What is always there already is passed over, as are kinds that only
 * make sense where kernels are shared. */
static void mount_one(const struct mount_spec *m)
{
    static const char *const always[] = { "/proc", "/dev", "/dev/shm", "/dev/pts", "/dev/mqueue", "/sys" };
    for (unsigned i = 0; i < ARRAY_SIZE(always); i++)
        if (strcmp(m->destination, always[i]) == 0)
            return;
    if (strcmp(m->type, "tmpfs") == 0 || strcmp(m->type, "proc") == 0 || strcmp(m->type, "sysfs") == 0) {
        mount_at(m->type, m->source, m->destination, m->read_only ? MS_RDONLY : 0, NULL);
        return;
    }
    if (strcmp(m->type, "9p") == 0) {
        mount_volume(m);
        return;
    }
    char text[200];
    fmt_snprintf(text, sizeof(text), "mount of type \"%s\" on %s is not supported and left out", m->type, m->destination);
    control_notice(text);
}

static void furnish_directory(const char *path, u32 mode, bool read_only)
{
    if (read_only) {
        char data[16];
        fmt_snprintf(data, sizeof(data), "mode=%o", mode);
        if (exists(path))
            mount_at("tmpfs", "tmpfs", path, MS_NOSUID | MS_NODEV, data);
    } else {
        int err = vfs_mkdir(root_lookup(), path, mode & 0777);
        struct path p;
        if (err == 0 && mode > 0777 && vfs_lookup(root_lookup(), path, 0, &p) == 0) { /* mkdir knows no sticky bit before umask */
            struct setattr a = { .valid = SETATTR_MODE, .mode = mode };
            vfs_setattr_path(&p, &kernel_cred, &a);
            path_put(&p);
        }
    }
}

/* --- files of /etc ------------------------------------------------------------------------ */

static struct {
    const char *hostname;
    bool read_only;
    struct net_config net; /* of which the files speak */
} known;

static size_t put_ip(char *buf, size_t size, const char *before, u32 address_be, const char *after)
{
    u32 a = be32(address_be);
    return (size_t)fmt_snprintf(buf, size, "%s%u.%u.%u.%u%s", before, a >> 24, a >> 16 & 255, a >> 8 & 255, a & 255, after);
}

static void write_resolv_conf(const struct net_config *n)
{
    char text[256];
    size_t len = 0;
    for (unsigned i = 0; i < ARRAY_SIZE(n->dns); i++)
        if (n->dns[i] != 0)
            len += put_ip(text + len, sizeof(text) - len, "nameserver ", n->dns[i], "\n");
    if (len == 0)
        return;
    if (n->domain[0] != '\0')
        len += (size_t)fmt_snprintf(text + len, sizeof(text) - len, "search %s\n", n->domain);
    write_file("/etc/resolv.conf", text, len);
}

/* The image's own file stays unless there is an address to enter. */
static void write_hosts(const struct net_config *n)
{
    char text[512];
    if ((n == NULL || n->address == 0) && exists("/etc/hosts"))
        return;
    size_t len = (size_t)fmt_snprintf(text, sizeof(text), "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n");
    if (n != NULL && n->address != 0) {
        len += put_ip(text + len, sizeof(text) - len, "", n->address, "\t");
        if (n->domain[0] != '\0')
            len += (size_t)fmt_snprintf(text + len, sizeof(text) - len, "%s.%s ", known.hostname, n->domain);
        len += (size_t)fmt_snprintf(text + len, sizeof(text) - len, "%s\n", known.hostname);
    } else {
        len += (size_t)fmt_snprintf(text + len, sizeof(text) - len, "127.0.1.1\t%s\n", known.hostname);
    }
    write_file("/etc/hosts", text, len);
}

void root_write_network_files(void)
{
    struct net_config n;
    if (known.read_only || !net_current_config(&n) || (n.address == known.net.address && strcmp(n.domain, known.net.domain) == 0 &&
                                                       memcmp(n.dns, known.net.dns, sizeof(n.dns)) == 0))
        return;
    known.net = n;
    write_resolv_conf(&n);
    write_hosts(&n);
}

void root_furnish(const struct boot_config *c)
{
    struct path root;
    known.hostname = c->program.hostname;
    known.read_only = c->root_read_only;
    mount_at("devtmpfs", "devtmpfs", "/dev", MS_NOSUID, NULL);
    mount_at("mqueue", "mqueue", "/dev/mqueue", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
    mount_at("devpts", "devpts", "/dev/pts", MS_NOSUID | MS_NOEXEC, "gid=5,mode=620,ptmxmode=666");
    mount_at("proc", "proc", "/proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
    if (sysfs != NULL)
        mount_at("sysfs", "sysfs", "/sys", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
    furnish_directory("/tmp", 01777, c->root_read_only);
    furnish_directory("/run", 0755, c->root_read_only);
    for (unsigned i = 0; i < c->nmounts; i++)
        mount_one(&c->mounts[i]);
    if (!c->root_read_only) {
        char host[80];
        int n = fmt_snprintf(host, sizeof(host), "%s\n", c->program.hostname);
        vfs_mkdir(root_lookup(), "/etc", 0755);
        write_file("/etc/hostname", host, (size_t)n);
        if (c->net.mode == NET_STATIC) {
            known.net = c->net;
            write_resolv_conf(&c->net);
            write_hosts(&c->net);
        } else {
            write_hosts(NULL);
        }
    } else if (vfs_lookup(root_lookup(), "/", 0, &root) == 0) {
        root.mount->flags |= MS_RDONLY;
        path_put(&root);
    }
}
