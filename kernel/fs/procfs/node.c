/* SPDX-License-Identifier: Apache-2.0 */
/* Trees of registered entries. */
#include "proc_impl.h"

struct mutex proc_lock;
struct proc_tree proc_tree = {.type = "proc", .magic = 0x9fa0};
static u64 next_ino = 0x1000; /* proc_lock */

struct proc_node *proc_find(struct proc_node *dir, const char *name, size_t len)
{
    list_for_each(n, &dir->children, struct proc_node, sibling) {
        if (strlen(n->name) == len && memcmp(n->name, name, len) == 0)
            return n;
    }
    return NULL;
}

static struct proc_node *node_create(struct proc_node *parent, const char *name, size_t len, u32 mode)
{
    struct proc_node *n = kzalloc(sizeof(*n) + len + 1);
    if (n == NULL)
        return NULL;
    memcpy(n->name, name, len);
    n->mode = mode;
    n->ino = next_ino++;
    n->parent = parent;
    list_init(&n->children);
    list_init(&n->sibling);
    if (parent != NULL)
        list_push_back(&parent->children, &n->sibling);
    return n;
}

int proc_add_below(struct proc_node *dir, const char *path, u32 mode, const struct proc_node *what)
{
    struct proc_node *n;
    int err = 0;
    mutex_lock(&proc_lock);
    for (;;) {
        while (*path == '/')
            path++;
        const char *slash = strchr(path, '/');
        size_t len = slash != NULL ? (size_t)(slash - path) : strlen(path);
        n = proc_find(dir, path, len);
        bool last = slash == NULL;
        if (len == 0 || len > NAME_MAX || (n != NULL && S_ISDIR(n->mode) != (last ? S_ISDIR(mode) : 1)))
            err = -EINVAL;
        else if (n == NULL && (n = node_create(dir, path, len, last ? mode : S_IFDIR | 0555)) == NULL)
            err = -ENOMEM;
        if (err != 0 || last)
            break;
        dir = n;
        path = slash;
    }
    if (err == 0) {
        n->mode = mode;
        n->arg = what->arg;
        n->store = what->store;
        n->target = what->target;
        n->fill = what->fill;
        atomic_store(&n->show, what->show);
    }
    mutex_unlock(&proc_lock);
    return err;
}

int proc_add(const char *path, u32 mode, proc_show_fn *show, void *arg)
{
    struct proc_node n = {.show = show, .arg = arg};
    return proc_add_below(proc_tree.root, path, S_IFREG | (mode & 0777), &n);
}

int proc_add_writable(const char *path, u32 mode, proc_show_fn *show,
                      int (*store)(void *arg, const char *text, size_t len), void *arg)
{
    struct proc_node n = {.show = show, .store = store, .arg = arg};
    return proc_add_below(proc_tree.root, path, S_IFREG | (mode & 0777), &n);
}

int proc_add_symlink(const char *path, const char *target)
{
    struct proc_node n = {.target = target};
    return proc_add_below(proc_tree.root, path, S_IFLNK | 0777, &n);
}

int proc_fill(struct proc_node *dir)
{
    int (*fill)(const struct sysfs_ops *) = atomic_load(&dir->fill);
    int err = fill != NULL ? fill(sysfs) : 0;
    if (err == 0)
        atomic_store(&dir->fill, NULL);
    return err;
}

struct proc_node *proc_tree_create(void)
{
    struct proc_node *root = node_create(NULL, "", 0, S_IFDIR | 0555);
    if (root == NULL)
        panic("no memory for /proc");
    return root;
}

static size_t show_filesystems(void *arg, char *buf, size_t size) { return vfs_show_filesystems(buf, size); }

void procfs_init(void)
{
    mutex_init(&proc_lock, "proc");
    proc_tree.root = proc_tree_create();
    proc_add("filesystems", 0444, show_filesystems, NULL);
    proc_add_symlink("mounts", "self/mounts");
}
