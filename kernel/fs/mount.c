/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mounts: which tree hangs where (mount(2)). The list of mounts and the
 * `mounted` marks of dentries are guarded by dcache_lock; mount_mutex orders
 * those who change them. A mount is listed while it can be reached; umount with
 * MNT_DETACH takes it from the list and the last user frees it.
 */
#include "fs_impl.h"
#include "base/fmt.h"

#define MS_NOATIME 1024u
#define MS_NODIRATIME 2048u
#define MS_SILENT 32768u
#define MS_PROPAGATION ((1u << 17) | (1u << 18) | (1u << 19) | (1u << 20))
#define MS_RELATIME (1u << 21)
#define MS_STRICTATIME (1u << 24)
#define MS_LAZYTIME (1u << 25)
#define MS_PER_MOUNT (MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_NOATIME | MS_NODIRATIME)
#define MS_KNOWN (MS_PER_MOUNT | MS_REMOUNT | MS_BIND | MS_MOVE | MS_REC | MS_SILENT | MS_PROPAGATION | MS_RELATIME | \
                  MS_STRICTATIME | MS_LAZYTIME | 16u | 64u | 128u)
#define MNT_FORCE 1
#define MNT_DETACH 2
#define MNT_EXPIRE 4
#define UMOUNT_NOFOLLOW 8
#define MAX_FS_TYPES 16
#define PIPEFS_MAGIC 0x50495045u
#define SOCKFS_MAGIC 0x534f434bu
#define ANON_INODE_FS_MAGIC 0x09041934u

struct mount *root_mount, *anon_mount;
struct superblock *anon_sb;

static struct mutex mount_mutex;
static struct list mounts = LIST_INIT(mounts); /* dcache_lock */
static u32 next_mount_id = 1;                  /* mount_mutex */
static const struct fs_type *types[MAX_FS_TYPES];
static unsigned type_count;

void fs_register(const struct fs_type *t)
{
    ASSERT(type_count < MAX_FS_TYPES);
    types[type_count++] = t;
}

static const struct fs_type *fs_find(const char *name)
{
    for (unsigned k = 0; k < type_count; k++)
        if (strcmp(types[k]->name, name) == 0)
            return types[k];
    return NULL;
}

/* Takes over the superblock's active reference. */
static struct mount *mount_create(struct superblock *sb, struct dentry *root, u64 flags)
{
    struct mount *m = kzalloc(sizeof(*m));
    if (m == NULL)
        return NULL;
    ref_init(&m->refs);
    m->sb = sb;
    m->root = dentry_get(root);
    m->flags = flags & MS_PER_MOUNT;
    m->id = next_mount_id++;
    list_init(&m->node);
    return m;
}

void mount_put(struct mount *m)
{
    while (m != NULL && ref_put(&m->refs)) {
        struct mount *parent = m->parent;
        dentry_put(m->mountpoint);
        dentry_put(m->root);
        super_put(m->sb);
        kfree(m);
        m = parent;
    }
}

struct mount *mount_at(const struct path *p)
{
    list_for_each(m, &mounts, struct mount, node) {
        if (m->mountpoint == p->dentry && m->parent == p->mount)
            return m;
    }
    return NULL;
}

struct mount *mount_of(const struct superblock *sb)
{
    struct mount *found = NULL;
    spin_lock(&dcache_lock);
    list_for_each(m, &mounts, struct mount, node)
        if (found == NULL && m->sb == sb)
            found = mount_get(m);
    spin_unlock(&dcache_lock);
    return found;
}

int path_want_write(const struct path *p)
{
    return p->dentry->sb->read_only || (p->mount->flags & MS_RDONLY) != 0 ? -EROFS : 0;
}

/* The mount's reference moves into the list. */
static void mount_attach(struct mount *m, const struct path *at)
{
    m->parent = mount_get(at->mount);
    m->mountpoint = dentry_get(at->dentry);
    spin_lock(&dcache_lock);
    at->dentry->mounted = true;
    list_push_back(&mounts, &m->node);
    spin_unlock(&dcache_lock);
}

static void mount_detach_locked(struct mount *m)
{
    bool still = false;
    list_remove_init(&m->node);
    list_for_each(o, &mounts, struct mount, node)
        still |= o->mountpoint == m->mountpoint;
    if (m->mountpoint != NULL)
        m->mountpoint->mounted = still;
}

static int super_mount(const char *type, const char *source, u64 flags, const char *data, struct superblock **ret)
{
    const struct fs_type *t = fs_find(type);
    if (t == NULL)
        return -ENODEV;
    int err = t->mount(source, flags, data, ret);
    if (err == 0)
        str_copy((*ret)->source, source != NULL && source[0] != 0 ? source : "none", sizeof((*ret)->source));
    return err;
}

int vfs_mount_root(const char *type, const char *source, u64 flags, const char *data)
{
    struct superblock *sb;
    ASSERT(root_mount == NULL);
    int err = super_mount(type, source, flags, data, &sb);
    if (err != 0)
        return err;
    struct mount *m = mount_create(sb, sb->root, flags);
    if (m == NULL) {
        super_put(sb);
        return -ENOMEM;
    }
    spin_lock(&dcache_lock);
    root_mount = m;
    list_push_back(&mounts, &m->node);
    spin_unlock(&dcache_lock);
    return 0;
}

static int mount_bind(const struct lookup *l, const char *source, const struct path *at, u64 flags)
{
    struct path from;
    int err = vfs_lookup(l, source, 0, &from);
    if (err != 0)
        return err;
    if (S_ISDIR(from.dentry->inode->mode) != S_ISDIR(at->dentry->inode->mode))
        err = -ENOTDIR;
    struct mount *m = err == 0 ? mount_create(from.mount->sb, from.dentry, from.mount->flags) : NULL;
    if (err == 0 && m == NULL)
        err = -ENOMEM;
    if (err == 0) {
        ref_get(&m->sb->active);
        mount_attach(m, at);
    }
    path_put(&from);
    return err;
}

static int mount_new(const char *type, const char *source, const struct path *at, u64 flags, const char *data)
{
    struct superblock *sb;
    if (type == NULL)
        return -EINVAL;
    int err = super_mount(type, source, flags, data, &sb);
    if (err != 0)
        return err;
    if (S_ISDIR(at->dentry->inode->mode) != S_ISDIR(sb->root->inode->mode)) {
        super_put(sb);
        return -ENOTDIR;
    }
    struct mount *m = mount_create(sb, sb->root, flags);
    if (m == NULL) {
        super_put(sb);
        return -ENOMEM;
    }
    mount_attach(m, at);
    return 0;
}

/* Move the mount that `from` is the root of. */
static int mount_move(const struct lookup *l, const char *source, const struct path *at)
{
    struct path from;
    int err = vfs_lookup(l, source, 0, &from);
    if (err != 0)
        return err;
    struct mount *m = from.mount;
    if (from.dentry != m->root || m->parent == NULL)
        err = -EINVAL;
    for (struct mount *p = at->mount; p != NULL && err == 0; p = p->parent)
        if (p == m)
            err = -ELOOP;
    if (err == 0) {
        struct mount *old_parent = m->parent;
        struct dentry *old_point = m->mountpoint;
        spin_lock(&dcache_lock);
        mount_detach_locked(m);
        spin_unlock(&dcache_lock);
        mount_attach(m, at);
        dentry_put(old_point);
        mount_put(old_parent);
    }
    path_put(&from);
    return err;
}

int vfs_mount(const struct lookup *l, const char *type, const char *source, const char *target, u64 flags,
              const char *data)
{
    struct path at;
    if (!cred_capable(l->cred, CAP_SYS_ADMIN))
        return -EPERM;
    if ((flags & 0xffff0000u) == 0xC0ED0000u) /* mount(2): an old magic number, ignored */
        flags &= 0xffffu;
    if ((flags & ~(u64)MS_KNOWN) != 0)
        return -EINVAL;
    int err = vfs_lookup(l, target, 0, &at);
    if (err != 0)
        return err;
    mutex_lock(&mount_mutex);
    if ((flags & MS_REMOUNT) != 0) {
        if (at.dentry != at.mount->root)
            err = -EINVAL;
        else
            at.mount->flags = flags & MS_PER_MOUNT;
    } else if ((flags & MS_BIND) != 0) {
        err = source == NULL ? -EINVAL : mount_bind(l, source, &at, flags);
    } else if ((flags & MS_PROPAGATION) != 0) {
        err = at.dentry == at.mount->root ? 0 : -EINVAL; /* one namespace: nothing to propagate to */
    } else if ((flags & MS_MOVE) != 0) {
        err = source == NULL ? -EINVAL : mount_move(l, source, &at);
    } else {
        err = mount_new(type, source, &at, flags, data);
    }
    mutex_unlock(&mount_mutex);
    path_put(&at);
    return err;
}

int vfs_umount(const struct lookup *l, const char *target, int flags)
{
    struct path at;
    if ((flags & ~(MNT_FORCE | MNT_DETACH | MNT_EXPIRE | UMOUNT_NOFOLLOW)) != 0)
        return -EINVAL;
    if (!cred_capable(l->cred, CAP_SYS_ADMIN))
        return -EPERM;
    int err = vfs_lookup(l, target, (flags & UMOUNT_NOFOLLOW) != 0 ? LOOKUP_NOFOLLOW : 0, &at);
    if (err != 0)
        return err;
    struct mount *m = at.mount;
    mutex_lock(&mount_mutex);
    if (at.dentry != m->root || (flags & MNT_EXPIRE) != 0)
        err = -EINVAL;
    else if (m == root_mount || m->parent == NULL)
        err = -EBUSY;
    path_put(&at);
    if (err == 0) {
        spin_lock(&dcache_lock);
        if (list_empty(&m->node))
            err = -EINVAL;
        else if ((flags & MNT_DETACH) == 0 && ref_count(&m->refs) > 1)
            err = -EBUSY; /* open files, working directories, mounts below */
        else
            mount_detach_locked(m);
        spin_unlock(&dcache_lock);
    }
    mutex_unlock(&mount_mutex);
    if (err == 0)
        mount_put(m);
    return err;
}

static int statfs_of(struct superblock *sb, const struct mount *m, struct kstatfs *ret)
{
    struct kstatfs s = {.block_size = PAGE_SIZE, .name_max = NAME_MAX, .fsid = sb->dev};
    int err = sb->ops->statfs != NULL ? sb->ops->statfs(sb, &s) : 0;
    if (err != 0)
        return err;
    s.flags = 32 | (m->flags & MS_NOATIME ? 0 : 4096) /* ST_RELATIME */ | (m->flags & 0x40f) | (sb->read_only ? MS_RDONLY : 0); /* ST_VALID and MS_* alike */
    *ret = s;
    return 0;
}

int vfs_statfs(const struct path *p, struct kstatfs *ret) { return statfs_of(p->dentry->sb, p->mount, ret); }

int vfs_fstatfs(const struct file *f, struct kstatfs *ret)
{
    if (f->path.dentry != NULL)
        return vfs_statfs(&f->path, ret);
    int err = statfs_of(f->inode->sb, anon_mount, ret);
    if (err == 0 && f->inode->sb == anon_sb)
        ret->type = S_ISFIFO(f->inode->mode) ? PIPEFS_MAGIC : S_ISSOCK(f->inode->mode) ? SOCKFS_MAGIC : ANON_INODE_FS_MAGIC;
    return err;
}

int vfs_sync_all(void)
{
    int ret = 0;
    mutex_lock(&mount_mutex);
    list_for_each(m, &mounts, struct mount, node) {
        int err = m->sb->ops->sync != NULL ? m->sb->ops->sync(m->sb) : 0;
        if (err != 0)
            ret = err;
    }
    mutex_unlock(&mount_mutex);
    return ret;
}

/* --- what /proc shows ------------------------------------------------------- */

/* Names in /proc/mounts: blanks and backslashes as octal. */
static void add_escaped(struct text *t, const char *s)
{
    for (; *s != 0; s++)
        text_add(t, *s == ' ' || *s == '\t' || *s == '\n' || *s == '\\' ? "\\%03o" : "%c", *s);
}

static void show_mount(struct text *t, const struct fs_ctx *fs, struct mount *m, bool info, char *name)
{
    struct path p = {m, m->root};
    bool ro = (m->flags & MS_RDONLY) != 0, sb_ro = m->sb->read_only;
    if (path_name(fs, &p, name, PATH_MAX) < 0 || name[0] != '/')
        return; /* not below this root */
    if (info)
        text_add(t, "%u %u %u:%u /", m->id, m->parent != NULL ? m->parent->id : 0, DEV_MAJOR(m->sb->dev), DEV_MINOR(m->sb->dev));
    else
        add_escaped(t, m->sb->source);
    text_add(t, " ");
    add_escaped(t, name);
    if (!info)
        text_add(t, " %s", m->sb->type);
    text_add(t, " %s%s%s%s%s", ro || (sb_ro && !info) ? "ro" : "rw", (m->flags & MS_NOSUID) != 0 ? ",nosuid" : "",
             (m->flags & MS_NODEV) != 0 ? ",nodev" : "", (m->flags & MS_NOEXEC) != 0 ? ",noexec" : "",
             (m->flags & MS_NOATIME) != 0 ? ",noatime" : ",relatime");
    if (info) {
        text_add(t, " - %s ", m->sb->type);
        add_escaped(t, m->sb->source);
        text_add(t, sb_ro ? " ro\n" : " rw\n");
    } else {
        text_add(t, " 0 0\n");
    }
}

size_t vfs_show_mounts(const struct fs_ctx *fs, bool mountinfo, char *buf, size_t size)
{
    struct text t = {buf, size, 0};
    char *name = kmalloc(PATH_MAX, 0);
    if (name == NULL)
        return 0;
    mutex_lock(&mount_mutex);
    list_for_each(m, &mounts, struct mount, node)
        show_mount(&t, fs, m, mountinfo, name);
    mutex_unlock(&mount_mutex);
    kfree(name);
    return t.len;
}

size_t vfs_show_filesystems(char *buf, size_t size)
{
    struct text t = {buf, size, 0};
    for (unsigned k = 0; k < type_count; k++)
        text_add(&t, "%s\t%s\n", types[k]->nodev ? "nodev" : "", types[k]->name);
    return t.len;
}

static const struct super_ops anon_super_ops;

static int anon_setattr(struct inode *i, const struct setattr *a)
{
    if ((a->valid & SETATTR_SIZE) != 0)
        return -EINVAL;
    if (i == anon_sb->root->inode)
        return -EOPNOTSUPP; /* shared by what is no pipe and no socket */
    inode_apply_attrs(i, a);
    return 0;
}

static const struct inode_ops anon_inode_ops = {.setattr = anon_setattr};

void mounts_init(void)
{
    mutex_init(&mount_mutex, "mounts");
    anon_sb = super_create("anon_inodefs", &anon_super_ops);
    struct inode *i = anon_sb != NULL ? inode_create(anon_sb, 0600) : NULL;
    if (i != NULL) {
        i->ops = &anon_inode_ops;
        i->ino = 1;
        anon_sb->root = dentry_create_root(anon_sb, i);
    }
    if (anon_sb != NULL && anon_sb->root != NULL)
        anon_mount = mount_create(anon_sb, anon_sb->root, 0);
    if (anon_mount == NULL)
        panic("no memory for the file system");
}
