/* SPDX-License-Identifier: Apache-2.0 */
/* From a place to its name: getcwd(2), /proc/PID/fd, /proc/PID/maps. */
#include "fs_impl.h"
#include "base/fmt.h"

static bool prepend(char *buf, size_t *pos, const char *s, size_t len)
{
    if (*pos < len)
        return false;
    *pos -= len;
    memcpy(buf + *pos, s, len);
    return true;
}

bool path_is_removed(const struct path *p)
{
    spin_lock(&dcache_lock);
    bool removed = !p->dentry->hashed && p->dentry->parent != p->dentry;
    spin_unlock(&dcache_lock);
    return removed;
}

s64 path_name(const struct fs_ctx *fs, const struct path *path, char *buf, size_t size)
{
    if (size < 2)
        return -ENAMETOOLONG;
    size_t pos = size - 1;
    buf[pos] = 0;
    spin_lock(&dcache_lock);
    struct path p = *path, root = fs != NULL ? fs->root : (struct path){root_mount, root_mount->root};
    struct inode *i = p.dentry->inode;
    bool deleted = !p.dentry->hashed && p.dentry->parent != p.dentry;
    bool ok = true, reached = true, any = false;
    if (deleted || (p.dentry->parent == p.dentry && p.mount != NULL && i != NULL && i->nlink == 0))
        ok = prepend(buf, &pos, " (deleted)", 10);
    while (ok && !path_equal(&p, &root)) {
        struct dentry *d = p.dentry;
        if (p.mount != NULL && d == p.mount->root) {
            if (p.mount->parent == NULL) {
                reached = p.mount == root_mount;
                break;
            }
            p = (struct path){p.mount->parent, p.mount->mountpoint};
            continue;
        }
        if (d->parent == d) {
            reached = false;
            break;
        }
        ok = prepend(buf, &pos, d->name, d->name_len) && prepend(buf, &pos, "/", 1);
        any = true;
        p.dentry = d->parent;
    }
    spin_unlock(&dcache_lock);
    if (ok && !any)
        ok = prepend(buf, &pos, "/", 1);
    if (ok && (!reached || (p.mount == root_mount && root.mount != root_mount && !path_equal(&p, &root))))
        ok = prepend(buf, &pos, "(unreachable)", 13);
    if (!ok)
        return -ENAMETOOLONG;
    size_t len = size - 1 - pos;
    memmove(buf, buf + pos, len + 1);
    return (s64)len;
}

s64 file_name(const struct fs_ctx *fs, struct file *f, char *buf, size_t size)
{
    if (f->ops->describe != NULL) {
        f->ops->describe(f, buf, size);
        return (s64)strnlen(buf, size);
    }
    if (f->path.dentry != NULL && f->path.mount != anon_mount)
        return path_name(fs, &f->path, buf, size);
    const char *name = f->anon_name != NULL ? f->anon_name : "file";
    int n;
    if (f->inode->sb == anon_sb && f->inode->ino != 1)
        n = fmt_snprintf(buf, size, "%s:[%llu]", name, (unsigned long long)f->inode->ino);
    else
        n = fmt_snprintf(buf, size, "anon_inode:%s", name);
    return n < (int)size ? n : -ENAMETOOLONG;
}
