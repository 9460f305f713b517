/* SPDX-License-Identifier: Apache-2.0 */
/* The contents of /dev: a tmpfs that comes with the nodes programs expect. */
#include "../tmpfs/tmpfs_impl.h"

static const struct {
    const char *name, *target; /* target: symbolic link */
    u32 mode;
    u64 rdev;
} nodes[] = {
    {"null", NULL, S_IFCHR | 0666, MKDEV(1, 3)},
    {"zero", NULL, S_IFCHR | 0666, MKDEV(1, 5)},
    {"full", NULL, S_IFCHR | 0666, MKDEV(1, 7)},
    {"random", NULL, S_IFCHR | 0666, MKDEV(1, 8)},
    {"urandom", NULL, S_IFCHR | 0666, MKDEV(1, 9)},
    {"tty", NULL, S_IFCHR | 0666, MKDEV(5, 0)},
    {"console", NULL, S_IFCHR | 0600, MKDEV(5, 1)},
    {"ptmx", NULL, S_IFCHR | 0666, MKDEV(5, 2)},
    {"fd", "/proc/self/fd", 0, 0},
    {"stdin", "/proc/self/fd/0", 0, 0},
    {"stdout", "/proc/self/fd/1", 0, 0},
    {"stderr", "/proc/self/fd/2", 0, 0},
    {"shm", NULL, S_IFDIR | 01777, 0},
    {"mqueue", NULL, S_IFDIR | 01777, 0},
    {"pts", NULL, S_IFDIR | 0755, 0},
};

static int add_node(struct dentry *root, unsigned k)
{
    const char *name = nodes[k].name;
    size_t len = strlen(name);
    struct inode *dir = root->inode;
    struct dentry *d = dentry_create(root, name, len, name_hash(name, len));
    if (d == NULL)
        return -ENOMEM;
    int err;
    if (nodes[k].target != NULL)
        err = tmpfs_symlink(dir, d, nodes[k].target, &kernel_cred);
    else if (S_ISDIR(nodes[k].mode))
        err = tmpfs_mkdir(dir, d, nodes[k].mode, &kernel_cred);
    else
        err = tmpfs_mknod(dir, d, nodes[k].mode, nodes[k].rdev, &kernel_cred);
    if (err == 0)
        dentry_add(d);
    dentry_put(d);
    return err;
}

static int devfs_mount(const char *source, u64 flags, const char *data, struct superblock **ret)
{
    struct superblock *sb;
    int err = tmpfs_super("devtmpfs", "mode=755", &sb);
    if (err != 0)
        return err;
    for (unsigned k = 0; k < ARRAY_SIZE(nodes) && err == 0; k++)
        err = add_node(sb->root, k);
    if (err != 0) {
        super_put(sb);
        return err;
    }
    *ret = sb;
    return 0;
}

const struct fs_type devfs_type = {.name = "devtmpfs", .mount = devfs_mount, .nodev = true};
