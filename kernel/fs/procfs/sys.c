/* SPDX-License-Identifier: Apache-2.0 */
/* sysfs: a second tree of registered entries, served as procfs serves its own. */
#include "proc_impl.h"

static struct proc_tree tree = {.type = "sysfs", .magic = 0x62656572, .file_size = PAGE_SIZE, .refuses_writers = true};

static int sys_add(const char *path, u32 mode, proc_show_fn *show, void *arg)
{
    struct proc_node n = {.show = show, .arg = arg};
    return proc_add_below(tree.root, path, S_IFREG | (mode & 0777), &n);
}

static int sys_add_symlink(const char *path, const char *target)
{
    struct proc_node n = {.target = target};
    return proc_add_below(tree.root, path, S_IFLNK | 0777, &n);
}

static int sys_add_dir(const char *path, int (*fill)(const struct sysfs_ops *sys))
{
    struct proc_node n = {.fill = fill};
    return proc_add_below(tree.root, path, S_IFDIR | 0755, &n);
}

static const struct sysfs_ops sys_ops = {sys_add, sys_add_symlink, sys_add_dir};
const struct sysfs_ops *const sysfs = &sys_ops;

static int sys_mount(const char *source, u64 flags, const char *data, struct superblock **ret)
{
    return proc_mount_tree(&tree, ret);
}

static const struct fs_type sysfs_type = {.name = "sysfs", .mount = sys_mount, .nodev = true};

void sysfs_init(void)
{
    tree.root = proc_tree_create();
    fs_register(&sysfs_type);
}
