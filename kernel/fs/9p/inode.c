/* SPDX-License-Identifier: Apache-2.0 */
/* 9P: names and attributes. See p9_impl.h. What belongs together is sent together and costs one round trip. */
#include "kern/timer.h"
#include "p9_impl.h"

#define P9_SEC_MAX (INT64_MAX / NSEC_PER_SEC)

/* --- attributes ------------------------------------------------------------------------- */

void p9_ask_attr(struct p9_req *r, u32 fid)
{
    p9_start(r, P9_TGETATTR);
    p9_put32(r, fid);
    p9_put64(r, P9_GETATTR_ALL);
}

static u64 get_time(struct p9_req *r)
{
    u64 sec = p9_get64(r), nsec = p9_get64(r);
    return sec < P9_SEC_MAX ? sec * NSEC_PER_SEC + nsec % NSEC_PER_SEC : 0;
}

int p9_got_attr(struct p9_req *r, struct p9_attr *a)
{
    p9_get64(r);
    a->qid_type = p9_get8(r);
    p9_get32(r);
    a->path = p9_get64(r);
    a->mode = p9_get32(r);
    a->uid = p9_get32(r);
    a->gid = p9_get32(r);
    a->nlink = (u32)p9_get64(r);
    u64 rdev = p9_get64(r);
    a->rdev = MKDEV(rdev >> 8 & 0xfff, (rdev & 0xff) | (rdev >> 12 & 0xfff00));
    a->size = p9_get64(r);
    a->block_size = (u32)p9_get64(r);
    a->blocks_512 = p9_get64(r);
    a->atime_ns = get_time(r);
    a->mtime_ns = get_time(r);
    a->ctime_ns = get_time(r);
    a->btime_ns = get_time(r);
    p9_get64(r);
    a->version = p9_get64(r);
    if (p9_ended(r) != 0 || a->size > INT64_MAX)
        return -EIO;
    switch (a->mode & S_IFMT) {
    case S_IFREG:
    case S_IFDIR:
    case S_IFLNK:
    case S_IFCHR:
    case S_IFBLK:
    case S_IFIFO:
    case S_IFSOCK:
        return 0;
    }
    return -EIO;
}

/* C2. */
static void apply_size(struct inode *i, const struct p9_attr *a)
{
    struct p9_inode *pi = p9_i(i);
    if (!S_ISREG(i->mode)) {
        i->mapping.size_bytes = a->size;
        return;
    }
    if (!pi->changed && (a->mtime_ns != pi->host_mtime_ns || a->size != pi->host_size))
        p9_forget_pages(i);
    if (a->size != inode_size(i))
        p9_set_size(i, a->size);
}

void p9_apply(struct inode *i, const struct p9_attr *a, u64 asked_ns)
{
    struct p9_inode *pi = p9_i(i);
    struct p9_fs *fs = p9_fs(i);
    apply_size(i, a);
    i->mode = (i->mode & S_IFMT) | (a->mode & 07777);
    i->uid = p9_swap(&fs->uid, a->uid);
    i->gid = p9_swap(&fs->gid, a->gid);
    i->nlink = a->nlink;
    i->atime_ns = a->atime_ns;
    i->mtime_ns = a->mtime_ns;
    i->ctime_ns = a->ctime_ns;
    pi->blocks_512 = a->blocks_512;
    pi->block_size = a->block_size;
    pi->host_mtime_ns = a->mtime_ns;
    pi->host_size = a->size;
    pi->changed = false;
    if (S_ISDIR(i->mode))
        p9_names_are(i, a->version);
    atomic_store(&pi->checked_ns, asked_ns);
}

static bool same_file(const struct inode *i, const struct p9_attr *a)
{
    return a->path == p9_i(i)->path && ((a->mode ^ i->mode) & S_IFMT) == 0 && a->btime_ns == i->btime_ns;
}

/* The reply to p9_ask_attr() of i's own fid, asked for at `now`; i->lock held. */
static int got_own_attr(struct inode *i, struct p9_req *r, u64 now)
{
    struct p9_attr a;
    int err = r->err != 0 ? r->err : p9_got_attr(r, &a);
    if (err == 0 && !same_file(i, &a))
        err = -EIO;
    if (err == 0)
        p9_apply(i, &a, now);
    return err;
}

int p9_refresh(struct inode *i)
{
    struct p9_req r;
    u64 now = now_ns();
    p9_ask_attr(&r, p9_i(i)->fid);
    p9_call_one(p9_c(i), &r);
    return got_own_attr(i, &r, now);
}

int p9_refresh_if_old(struct inode *i)
{
    if (p9_fresh(atomic_load(&p9_i(i)->checked_ns), now_ns()))
        return 0;
    mutex_lock(&i->lock);
    int err = p9_fresh(p9_i(i)->checked_ns, now_ns()) ? 0 : p9_refresh(i);
    mutex_unlock(&i->lock);
    return err;
}

static void forget_attrs(struct inode *i) { atomic_store(&p9_i(i)->checked_ns, 0ull); }

static int p9_getattr(struct inode *i, struct kstat *s)
{
    if (atomic_load(&p9_i(i)->changed))
        forget_attrs(i); /* the host has set the times */
    int err = p9_refresh_if_old(i);
    if (err != 0)
        return err;
    s->mode = i->mode;
    s->nlink = i->nlink;
    s->uid = i->uid;
    s->gid = i->gid;
    s->size = inode_size(i);
    s->atime_ns = i->atime_ns;
    s->mtime_ns = i->mtime_ns;
    s->ctime_ns = i->ctime_ns;
    s->blocks_512 = p9_i(i)->blocks_512;
    s->block_size = p9_i(i)->block_size;
    return 0;
}

static void put_attrs(struct p9_req *r, struct inode *i, u32 fid, u32 valid, const struct setattr *a)
{
    struct p9_fs *fs = p9_fs(i);
    p9_start(r, P9_TSETATTR);
    p9_put32(r, fid);
    p9_put32(r, valid);
    p9_put32(r, a->mode & 07777);
    p9_put32(r, p9_swap(&fs->uid, a->uid));
    p9_put32(r, p9_swap(&fs->gid, a->gid));
    p9_put64(r, a->size);
    p9_put64(r, a->atime_ns / NSEC_PER_SEC);
    p9_put64(r, a->atime_ns % NSEC_PER_SEC);
    p9_put64(r, a->mtime_ns / NSEC_PER_SEC);
    p9_put64(r, a->mtime_ns % NSEC_PER_SEC);
}

static u32 valid_bits(const struct setattr *a)
{
    u32 v = a->valid & (SETATTR_MODE | SETATTR_UID | SETATTR_GID | SETATTR_SIZE | SETATTR_CTIME); /* the same numbers */
    bool exact = (a->valid & SETATTR_NOW) == 0;
    if ((a->valid & SETATTR_ATIME) != 0)
        v |= P9_SETATTR_ATIME | (exact ? P9_SETATTR_ATIME_SET : 0);
    if ((a->valid & SETATTR_MTIME) != 0 && (a->valid & SETATTR_SIZE) == 0) /* else the host sets it */
        v |= P9_SETATTR_MTIME | (exact ? P9_SETATTR_MTIME_SET : 0);
    return v;
}

/* Change and ask what came of it. i->lock held, or nobody knows i yet. */
static int change_attrs(struct inode *i, u32 fid, u32 valid, const struct setattr *a)
{
    struct p9_req r, g, *both[] = {&r, &g};
    struct p9_attr attr;
    put_attrs(&r, i, fid, valid, a);
    p9_ask_attr(&g, p9_i(i)->fid);
    u64 now = now_ns();
    int err = p9_call(p9_c(i), both, 2);
    p9_i(i)->changed = true;
    if (g.err == 0 && p9_got_attr(&g, &attr) == 0 && same_file(i, &attr))
        p9_apply(i, &attr, now);
    else
        forget_attrs(i);
    return err;
}

static int p9_setattr(struct inode *i, const struct setattr *a)
{
    bool sizes = (a->valid & SETATTR_SIZE) != 0;
    if (sizes && !S_ISREG(i->mode))
        return -EINVAL;
    struct p9_open *o = sizes ? p9_open_of(i, true) : NULL;
    if (sizes) {
        int err = mapping_sync(&i->mapping);
        if (err != 0) {
            p9_open_put(o);
            return err;
        }
    }
    int err = change_attrs(i, o != NULL ? o->fid : p9_i(i)->fid, valid_bits(a), a);
    p9_open_put(o);
    return err;
}

/* --- finding names ------------------------------------------------------------------------ */

static void ask_walk(struct p9_req *r, u32 from, u32 to, const struct dentry *d)
{
    p9_start(r, P9_TWALK);
    p9_put32(r, from);
    p9_put32(r, to);
    p9_put16(r, d != NULL ? 1 : 0);
    if (d != NULL)
        p9_put_bytes(r, d->name, d->name_len);
}

static void mark_checked(struct dentry *d, u64 now) { d->private = (void *)now; }

/* Walk to the name; 0 with *ret_fid known to the server, or -errno. What is known of the directory is renewed by the way. dir->lock held. */
static int walk_and_ask(struct inode *dir, struct dentry *d, u32 *ret_fid, struct p9_attr *ret)
{
    struct p9_conn *c = p9_c(dir);
    struct p9_req w, g, own, *all[] = {&w, &g, &own};
    u64 now = now_ns();
    bool old = !p9_fresh(p9_i(dir)->checked_ns, now);
    u32 fid = p9_fid_new(c);
    ask_walk(&w, p9_i(dir)->fid, fid, d);
    p9_ask_attr(&g, fid);
    p9_ask_attr(&own, p9_i(dir)->fid);
    p9_call(c, all, old ? 3 : 2);
    if (old)
        got_own_attr(dir, &own, now);
    int err = w.err != 0 ? w.err : g.err;
    if (err == 0)
        err = p9_got_attr(&g, ret);
    if (err != 0)
        p9_fid_end(c, fid, w.err);
    else
        *ret_fid = fid;
    return err;
}

static int p9_lookup(struct inode *dir, struct dentry *d)
{
    struct p9_attr a;
    struct inode *i;
    u32 fid;
    u64 now = now_ns();
    if (p9_names_lack(dir, d->hash))
        return 0;
    int err = walk_and_ask(dir, d, &fid, &a);
    if (err == 0)
        err = p9_inode_of(dir->sb, fid, &a, &i);
    if (err != 0 && err != -ENOENT)
        return err;
    if (err == 0)
        dentry_attach(d, i);
    else
        p9_names_missed(dir);
    mark_checked(d, now);
    return 0;
}

/* Is the name still what it was? i->lock held, so that no write comes between question and answer. */
static bool same_name_locked(struct inode *dir, struct dentry *d, struct inode *i)
{
    struct p9_attr a;
    u32 fid;
    u64 now = now_ns();
    if (walk_and_ask(dir, d, &fid, &a) != 0)
        return false;
    p9_clunk(p9_c(dir), fid);
    if (!same_file(i, &a))
        return false;
    p9_apply(i, &a, now);
    mark_checked(d, now);
    return true;
}

/* The directory's lock is held. */
bool p9_revalidate(struct dentry *d)
{
    struct inode *i = d->inode, *dir = d->parent->inode;
    u64 checked_ns = (u64)d->private;
    if (p9_fresh(checked_ns, now_ns()))
        return true;
    if (p9_names_same(dir, checked_ns))
        return i == NULL || p9_refresh_if_old(i) == 0;
    if (i == NULL)
        return p9_names_lack(dir, d->hash); /* else asking whether it is there is looking it up */
    mutex_lock(&i->lock);
    bool same = same_name_locked(dir, d, i);
    mutex_unlock(&i->lock);
    return same;
}

/* --- new names ------------------------------------------------------------------------------ */

/* The owner that a new file should have, if the server's own user is not the one. What the server may not do it does not:
 * then files belong to the user who started the instance. */
static void give_owner(struct inode *dir, struct inode *i, u32 mode, const struct cred *c)
{
    struct inode want = {0};
    inode_init_owner(&want, dir, mode, c);
    struct setattr a = {.mode = want.mode, .uid = want.uid, .gid = want.gid};
    u32 valid = (want.uid != i->uid ? P9_SETATTR_UID : 0) | (want.gid != i->gid ? P9_SETATTR_GID : 0);
    if (valid != 0 && (want.mode & (S_ISUID | S_ISGID)) != 0)
        valid |= P9_SETATTR_MODE;
    if (valid != 0)
        change_attrs(i, p9_i(i)->fid, valid, &a);
}

/* The name is there now: its inode, in the same round trip as the request that made it. The requests before the
 * walk are the caller's. */
static int make(struct inode *dir, struct dentry *d, u32 mode, const struct cred *cred, struct p9_req **before, unsigned n)
{
    struct p9_conn *c = p9_c(dir);
    struct p9_req w, g, *all[4];
    struct p9_attr a;
    struct inode *i;
    u32 fid = p9_fid_new(c);
    ASSERT(n <= 2);
    for (unsigned k = 0; k < n; k++)
        all[k] = before[k];
    all[n] = &w;
    all[n + 1] = &g;
    ask_walk(&w, p9_i(dir)->fid, fid, d);
    p9_ask_attr(&g, fid);
    int err = p9_call(c, all, n + 2);
    if (err == 0)
        err = p9_got_attr(&g, &a);
    if (err == 0 && ((a.mode ^ mode) & S_IFMT) != 0)
        err = -EIO;
    if (err != 0) {
        p9_fid_end(c, fid, w.err);
        return err;
    }
    err = p9_inode_of(dir->sb, fid, &a, &i);
    if (err != 0)
        return err;
    give_owner(dir, i, mode, cred);
    dentry_attach(d, i);
    mark_checked(d, now_ns());
    forget_attrs(dir);
    return 0;
}

static int p9_create(struct inode *dir, struct dentry *d, u32 mode, const struct cred *cred)
{
    struct p9_conn *c = p9_c(dir);
    struct p9_req w, r, *both[] = {&w, &r};
    u32 fid = p9_fid_new(c);
    ask_walk(&w, p9_i(dir)->fid, fid, NULL);
    p9_start(&r, P9_TLCREATE);
    p9_put32(&r, fid);
    p9_put_bytes(&r, d->name, d->name_len);
    p9_put32(&r, O_RDWR | O_CREAT | O_EXCL);
    p9_put32(&r, mode & 07777);
    p9_put32(&r, 0);
    int err = make(dir, d, mode, cred, both, 2);
    if (err == 0) {
        p9_i(d->inode)->spare_fid = fid;
        return 0;
    }
    p9_fid_end(c, fid, w.err);
    return err;
}

/* Three requests: the directory's fid becomes the file, and another one is for the inode. */
static int p9_tmpfile(struct inode *dir, u32 mode, const struct cred *cred, struct inode **ret)
{
    struct p9_conn *c = p9_c(dir);
    struct p9_req w, t, p, g, *all[] = {&w, &t, &p, &g};
    struct p9_attr a;
    u32 fid = p9_fid_new(c), path_fid = p9_fid_new(c);
    ask_walk(&w, p9_i(dir)->fid, fid, NULL);
    p9_start(&t, P9_TTMPFILE);
    p9_put32(&t, fid);
    p9_put32(&t, mode & 07777);
    ask_walk(&p, fid, path_fid, NULL);
    p9_ask_attr(&g, path_fid);
    int err = p9_call(c, all, 4);
    if (err == 0)
        err = p9_got_attr(&g, &a);
    if (err == 0 && !S_ISREG(a.mode))
        err = -EIO;
    if (err == 0)
        err = p9_inode_of(dir->sb, path_fid, &a, ret);
    else
        p9_fid_end(c, path_fid, p.err);
    if (err != 0) {
        p9_fid_end(c, fid, w.err);
        return err;
    }
    p9_i(*ret)->spare_fid = fid;
    give_owner(dir, *ret, mode, cred);
    return 0;
}

static int p9_mkdir(struct inode *dir, struct dentry *d, u32 mode, const struct cred *cred)
{
    struct p9_req r, *one = &r;
    p9_start(&r, P9_TMKDIR);
    p9_put32(&r, p9_i(dir)->fid);
    p9_put_bytes(&r, d->name, d->name_len);
    p9_put32(&r, mode & 07777);
    p9_put32(&r, 0);
    return make(dir, d, mode, cred, &one, 1);
}

static int p9_mknod(struct inode *dir, struct dentry *d, u32 mode, u64 rdev, const struct cred *cred)
{
    struct p9_req r, *one = &r;
    p9_start(&r, P9_TMKNOD);
    p9_put32(&r, p9_i(dir)->fid);
    p9_put_bytes(&r, d->name, d->name_len);
    p9_put32(&r, mode);
    p9_put32(&r, DEV_MAJOR(rdev));
    p9_put32(&r, DEV_MINOR(rdev));
    p9_put32(&r, 0);
    return make(dir, d, mode, cred, &one, 1);
}

static int p9_symlink(struct inode *dir, struct dentry *d, const char *target, const struct cred *cred)
{
    struct p9_req r, *one = &r;
    size_t len = strlen(target);
    u8 *room = kmalloc(P9_OUT_BYTES + len, 0);
    if (room == NULL)
        return -ENOMEM;
    p9_start(&r, P9_TSYMLINK);
    memcpy(room, r.out, P9_HEADER);
    r.out = room;
    r.out_cap = P9_OUT_BYTES + (u32)len;
    p9_put32(&r, p9_i(dir)->fid);
    p9_put_bytes(&r, d->name, d->name_len);
    p9_put_bytes(&r, target, (u32)len);
    p9_put32(&r, 0);
    int err = make(dir, d, S_IFLNK | 0777, cred, &one, 1);
    kfree(room);
    return err;
}

static int p9_link(struct inode *dir, struct dentry *d, struct inode *target)
{
    struct p9_req r;
    p9_start(&r, P9_TLINK);
    p9_put32(&r, p9_i(dir)->fid);
    p9_put32(&r, p9_i(target)->fid);
    p9_put_bytes(&r, d->name, d->name_len);
    int err = p9_call_one(p9_c(dir), &r);
    if (err != 0)
        return err;
    target->nlink++;
    forget_attrs(target);
    forget_attrs(dir);
    dentry_attach(d, inode_get(target));
    mark_checked(d, now_ns());
    return 0;
}

/* --- names that go ----------------------------------------------------------------------------- */

static int unlink_at(struct inode *dir, struct dentry *d, u32 flags)
{
    struct p9_req r;
    p9_start(&r, P9_TUNLINKAT);
    p9_put32(&r, p9_i(dir)->fid);
    p9_put_bytes(&r, d->name, d->name_len);
    p9_put32(&r, flags);
    int err = p9_call_one(p9_c(dir), &r);
    if (err != 0) {
        mark_checked(d, 0); /* it may be something else than we took it for */
        return err;
    }
    forget_attrs(d->inode);
    forget_attrs(dir);
    return 0;
}

static int p9_unlink(struct inode *dir, struct dentry *d)
{
    int err = unlink_at(dir, d, 0);
    if (err == 0 && d->inode->nlink > 0)
        d->inode->nlink--;
    return err;
}

static int p9_rmdir(struct inode *dir, struct dentry *d)
{
    int err = unlink_at(dir, d, P9_UNLINK_DIR);
    if (err == 0)
        d->inode->nlink = 0;
    return err;
}

static int p9_rename(struct inode *from_dir, struct dentry *from, struct inode *to_dir, struct dentry *to, u32 flags, const struct cred *c)
{
    struct inode *victim = to->inode;
    struct p9_req r;
    bool exchange = (flags & RENAME_EXCHANGE) != 0;
    if ((flags & RENAME_WHITEOUT) != 0)
        return -EINVAL;
    p9_start(&r, P9_TRENAME2);
    p9_put32(&r, p9_i(from_dir)->fid);
    p9_put_bytes(&r, from->name, from->name_len);
    p9_put32(&r, p9_i(to_dir)->fid);
    p9_put_bytes(&r, to->name, to->name_len);
    p9_put32(&r, flags);
    int err = p9_call_one(p9_c(from_dir), &r);
    if (err != 0)
        return err;
    if (victim != NULL) {
        if (!exchange)
            victim->nlink = S_ISDIR(victim->mode) || victim->nlink == 0 ? 0 : victim->nlink - 1;
        forget_attrs(victim);
    }
    forget_attrs(from->inode);
    forget_attrs(from_dir);
    forget_attrs(to_dir);
    mark_checked(from, now_ns());
    mark_checked(to, exchange ? now_ns() : 0);
    if (dentry_move(from, to, exchange) != 0) { /* no memory: look both up again */
        dentry_unhash(from);
        dentry_unhash(to);
    }
    return 0;
}

/* --- symbolic links ------------------------------------------------------------------------------- */

static int read_link(struct inode *i, char **ret)
{
    struct p9_req r;
    u8 *room = kmalloc(PATH_MAX + 2, 0);
    if (room == NULL)
        return -ENOMEM;
    p9_start(&r, P9_TREADLINK);
    p9_put32(&r, p9_i(i)->fid);
    r.in = room;
    r.in_cap = PATH_MAX + 2;
    int err = p9_call_one(p9_c(i), &r);
    u16 len = err == 0 ? p9_get16(&r) : 0;
    if (err == 0 && (p9_ended(&r) != 0 || len == 0 || len >= PATH_MAX || len > r.in_len - r.in_pos ||
                     memchr(r.in + r.in_pos, 0, len) != NULL))
        err = -EIO;
    if (err != 0) {
        kfree(room);
        return err;
    }
    memmove(room, r.in + r.in_pos, len);
    room[len] = 0;
    *ret = (char *)room;
    return 0;
}

/* What a link says never changes; another link under the same number is another inode (btime). */
static s64 p9_readlink(struct inode *i, char *buf, size_t size)
{
    struct p9_inode *pi = p9_i(i);
    if (atomic_load(&pi->link) == NULL) {
        char *text, *none = NULL;
        int err = read_link(i, &text);
        if (err != 0)
            return err;
        if (!atomic_cas(&pi->link, &none, text))
            kfree(text);
    }
    const char *text = atomic_load(&pi->link);
    size_t n = MIN(strlen(text), size);
    memcpy(buf, text, n);
    return (s64)n;
}

const struct inode_ops p9_dir_ops = {
    .lookup = p9_lookup,
    .create = p9_create,
    .mkdir = p9_mkdir,
    .mknod = p9_mknod,
    .symlink = p9_symlink,
    .link = p9_link,
    .unlink = p9_unlink,
    .rmdir = p9_rmdir,
    .rename = p9_rename,
    .tmpfile = p9_tmpfile,
    .getattr = p9_getattr,
    .setattr = p9_setattr,
    .getxattr = p9_getxattr,
    .setxattr = p9_setxattr,
    .listxattr = p9_listxattr,
    .removexattr = p9_removexattr,
};

const struct inode_ops p9_file_inode_ops = {
    .readlink = p9_readlink, /* VFS asks only symbolic links */
    .getattr = p9_getattr,
    .setattr = p9_setattr,
    .getxattr = p9_getxattr,
    .setxattr = p9_setxattr,
    .listxattr = p9_listxattr,
    .removexattr = p9_removexattr,
};
