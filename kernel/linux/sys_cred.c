/* SPDX-License-Identifier: Apache-2.0 */
/* User and group ids, and capabilities(7). */
#include "task.h"
#include "base/str.h"

s64 sys_getuid(void) { return current_cred()->uid; }
s64 sys_geteuid(void) { return current_cred()->euid; }
s64 sys_getgid(void) { return current_cred()->gid; }
s64 sys_getegid(void) { return current_cred()->egid; }

/* Capabilities follow user ids (capabilities(7), "Effect of user ID changes"). */
static void fix_capabilities(const struct cred *old, struct cred *c)
{
    bool had_root = old->uid == 0 || old->euid == 0 || old->suid == 0;
    bool has_root = c->uid == 0 || c->euid == 0 || c->suid == 0;
    if (c->securebits & SECURE_NO_SETUID_FIXUP)
        return;
    if (had_root && !has_root) {
        if (!(c->securebits & SECURE_KEEP_CAPS))
            c->cap_permitted = 0;
        c->cap_ambient = 0;
    }
    if (old->euid == 0 && c->euid != 0)
        c->cap_effective = 0;
    else if (old->euid != 0 && c->euid == 0)
        c->cap_effective = c->cap_permitted;
    c->cap_effective &= c->cap_permitted;
}

#define KEEP UINT32_MAX

static s64 set_uids(u32 r, u32 e, u32 s)
{
    struct cred *old = current_cred(), *c = cred_copy(old);
    if (c == NULL)
        return -ENOMEM;
    c->uid = r != KEEP ? r : c->uid;
    c->euid = e != KEEP ? e : c->euid;
    c->suid = s != KEEP ? s : c->suid;
    c->fsuid = c->euid;
    fix_capabilities(old, c);
    task_set_cred(c);
    return 0;
}

static s64 set_gids(u32 r, u32 e, u32 s)
{
    struct cred *c = cred_copy(current_cred());
    if (c == NULL)
        return -ENOMEM;
    c->gid = r != KEEP ? r : c->gid;
    c->egid = e != KEEP ? e : c->egid;
    c->sgid = s != KEEP ? s : c->sgid;
    c->fsgid = c->egid;
    task_set_cred(c);
    return 0;
}

static bool one_of(u32 id, u32 a, u32 b, u32 c) { return id == KEEP || id == a || id == b || id == c; }

s64 sys_setuid(u32 uid)
{
    const struct cred *c = current_cred();
    if (uid == KEEP)
        return -EINVAL;
    if (capable(CAP_SETUID))
        return set_uids(uid, uid, uid);
    return uid == c->uid || uid == c->suid ? set_uids(KEEP, uid, KEEP) : -EPERM;
}

s64 sys_setgid(u32 gid)
{
    const struct cred *c = current_cred();
    if (gid == KEEP)
        return -EINVAL;
    if (capable(CAP_SETGID))
        return set_gids(gid, gid, gid);
    return gid == c->gid || gid == c->sgid ? set_gids(KEEP, gid, KEEP) : -EPERM;
}

s64 sys_setreuid(u32 r, u32 e)
{
    const struct cred *c = current_cred();
    if (!capable(CAP_SETUID) && (!one_of(r, c->uid, c->euid, c->euid) || !one_of(e, c->uid, c->euid, c->suid)))
        return -EPERM;
    u32 new_e = e != KEEP ? e : c->euid;
    bool save = r != KEEP || (e != KEEP && e != c->uid);
    return set_uids(r, e, save ? new_e : KEEP);
}

s64 sys_setregid(u32 r, u32 e)
{
    const struct cred *c = current_cred();
    if (!capable(CAP_SETGID) && (!one_of(r, c->gid, c->egid, c->egid) || !one_of(e, c->gid, c->egid, c->sgid)))
        return -EPERM;
    u32 new_e = e != KEEP ? e : c->egid;
    bool save = r != KEEP || (e != KEEP && e != c->gid);
    return set_gids(r, e, save ? new_e : KEEP);
}

s64 sys_setresuid(u32 r, u32 e, u32 s)
{
    const struct cred *c = current_cred();
    if (!capable(CAP_SETUID) && (!one_of(r, c->uid, c->euid, c->suid) || !one_of(e, c->uid, c->euid, c->suid) ||
                                 !one_of(s, c->uid, c->euid, c->suid)))
        return -EPERM;
    if ((r == KEEP || r == c->uid) && (e == KEEP || (e == c->euid && e == c->fsuid)) && (s == KEEP || s == c->suid))
        return 0;
    return set_uids(r, e, s);
}

s64 sys_setresgid(u32 r, u32 e, u32 s)
{
    const struct cred *c = current_cred();
    if (!capable(CAP_SETGID) && (!one_of(r, c->gid, c->egid, c->sgid) || !one_of(e, c->gid, c->egid, c->sgid) ||
                                 !one_of(s, c->gid, c->egid, c->sgid)))
        return -EPERM;
    if ((r == KEEP || r == c->gid) && (e == KEEP || (e == c->egid && e == c->fsgid)) && (s == KEEP || s == c->sgid))
        return 0;
    return set_gids(r, e, s);
}

static s64 put_three(uaddr_t a, u32 va, uaddr_t b, u32 vb, uaddr_t c, u32 vc)
{
    int r = put_user_u32(a, va);
    if (r == 0)
        r = put_user_u32(b, vb);
    return r == 0 ? put_user_u32(c, vc) : r;
}

s64 sys_getresuid(uaddr_t r, uaddr_t e, uaddr_t s)
{
    const struct cred *c = current_cred();
    return put_three(r, c->uid, e, c->euid, s, c->suid);
}
s64 sys_getresgid(uaddr_t r, uaddr_t e, uaddr_t s)
{
    const struct cred *c = current_cred();
    return put_three(r, c->gid, e, c->egid, s, c->sgid);
}

/* Those that are about files follow the file system's user id. */
#define CAPS_OF_FILES (1UL << CAP_CHOWN | 1UL << CAP_DAC_OVERRIDE | 1UL << CAP_DAC_READ_SEARCH | 1UL << CAP_FOWNER | 1UL << CAP_FSETID | 1UL << 9 /* LINUX_IMMUTABLE */ | \
                       1UL << CAP_MKNOD | 1UL << 32 /* MAC_OVERRIDE */)

s64 sys_setfsuid(u32 uid)
{
    struct cred *c = current_cred();
    u32 old = c->fsuid;
    if (uid != old && (capable(CAP_SETUID) || uid == c->uid || uid == c->euid || uid == c->suid) && uid != KEEP) {
        c = cred_copy(c);
        if (c != NULL) {
            c->fsuid = uid;
            if (c->securebits & SECURE_NO_SETUID_FIXUP)
                ;
            else if (old == 0)
                c->cap_effective &= ~CAPS_OF_FILES;
            else if (uid == 0)
                c->cap_effective |= c->cap_permitted & CAPS_OF_FILES;
            task_set_cred(c);
        }
    }
    return old;
}

s64 sys_setfsgid(u32 gid)
{
    struct cred *c = current_cred();
    u32 old = c->fsgid;
    if (gid != old && (capable(CAP_SETGID) || gid == c->gid || gid == c->egid || gid == c->sgid) && gid != KEEP) {
        c = cred_copy(c);
        if (c != NULL) {
            c->fsgid = gid;
            task_set_cred(c);
        }
    }
    return old;
}

s64 sys_getgroups(int size, uaddr_t ulist)
{
    const struct cred *c = current_cred();
    if (size < 0)
        return -EINVAL;
    if (size == 0)
        return c->ngroups;
    if ((u32)size < c->ngroups)
        return -EINVAL;
    return copy_to_user(ulist, c->groups, c->ngroups * sizeof(u32)) < 0 ? -EFAULT : (s64)c->ngroups;
}

s64 sys_setgroups(int size, uaddr_t ulist)
{
    if (!capable(CAP_SETGID))
        return -EPERM;
    if (size < 0 || size > CRED_MAX_GROUPS)
        return -EINVAL;
    struct cred *c = cred_copy(current_cred());
    if (c == NULL)
        return -ENOMEM;
    if (copy_from_user(c->groups, ulist, (size_t)size * sizeof(u32)) < 0) {
        cred_put(c);
        return -EFAULT;
    }
    c->ngroups = (u32)size;
    for (u32 i = 1; i < c->ngroups; i++) /* getgroups() gives them in order */
        for (u32 k = i; k > 0 && c->groups[k - 1] > c->groups[k]; k--) {
            u32 g = c->groups[k];
            c->groups[k] = c->groups[k - 1];
            c->groups[k - 1] = g;
        }
    task_set_cred(c);
    return 0;
}

/* --- capabilities(7) ------------------------------------------------------------------------- */

struct cap_header { u32 version; s32 pid; };
struct cap_data { u32 effective, permitted, inheritable; };
#define CAP_VERSION_1 0x19980330u
#define CAP_VERSION_2 0x20071026u
#define CAP_VERSION_3 0x20080522u

static int cap_header_get(uaddr_t uhdr, struct cap_header *h, unsigned *ret_words)
{
    if (copy_from_user(h, uhdr, sizeof *h) < 0)
        return -EFAULT;
    *ret_words = h->version == CAP_VERSION_1 ? 1 : 2;
    if (h->version != CAP_VERSION_1 && h->version != CAP_VERSION_2 && h->version != CAP_VERSION_3)
        return put_user_u32(uhdr, CAP_VERSION_3) < 0 ? -EFAULT : -EINVAL;
    return 0;
}

s64 sys_capget(uaddr_t uhdr, uaddr_t udata)
{
    struct cap_header h;
    struct cap_data d[2];
    unsigned words;
    int r = cap_header_get(uhdr, &h, &words);
    if (r < 0 || udata == 0)
        return udata == 0 && r == -EINVAL ? 0 : r; /* who asks for the version alone */
    if (h.pid < 0)
        return -EINVAL;
    struct task *t = task_arg(h.pid);
    if (t == NULL)
        return -ESRCH;
    spin_lock_bh(&t->proc->lock);
    const struct cred *c = t->cred;
    for (unsigned i = 0; i < 2; i++)
        d[i] = (struct cap_data){(u32)(c->cap_effective >> (32 * i)), (u32)(c->cap_permitted >> (32 * i)),
                                 (u32)(c->cap_inheritable >> (32 * i))};
    spin_unlock_bh(&t->proc->lock);
    task_put(t);
    return copy_to_user(udata, d, words * sizeof d[0]);
}

s64 sys_capset(uaddr_t uhdr, uaddr_t udata)
{
    struct cap_header h;
    struct cap_data d[2] = {{0}};
    unsigned words;
    int r = cap_header_get(uhdr, &h, &words);
    if (r < 0)
        return r;
    if (h.pid != 0 && (u32)h.pid != current_task()->tid)
        return -EPERM;
    if (copy_from_user(d, udata, words * sizeof d[0]) < 0)
        return -EFAULT;
    u64 e = (d[0].effective | (u64)d[1].effective << 32) & CAP_ALL, p = (d[0].permitted | (u64)d[1].permitted << 32) & CAP_ALL;
    u64 i = (d[0].inheritable | (u64)d[1].inheritable << 32) & CAP_ALL;
    const struct cred *old = current_cred();
    if ((p & ~old->cap_permitted) || (e & ~p) || (i & ~(old->cap_inheritable | old->cap_bounding)) ||
        (i & ~(old->cap_inheritable | old->cap_permitted) && !capable(CAP_SETPCAP)))
        return -EPERM;
    struct cred *c = cred_copy(old);
    if (c == NULL)
        return -ENOMEM;
    c->cap_effective = e;
    c->cap_permitted = p;
    c->cap_inheritable = i;
    c->cap_ambient &= p & i;
    task_set_cred(c);
    return 0;
}

/* --- the program's ------------------------------------------------------------------------------ */


/* What the file says itself: 0, -ENODATA, or -EPERM if it must have more than it would get. */
static int file_capabilities(const struct path *p, struct cred *c, bool *ret_effective)
{
    struct file_caps x;
    s64 n = vfs_getxattr(p, &kernel_cred, XATTR_CAPABILITY, &x, sizeof x);
    if (n < 0 || !file_caps_valid(&x, (size_t)n) || (n == sizeof x && x.root != 0)) /* those of another namespace's root */
        return -ENODATA;
    u64 permitted = (x.permitted | (u64)x.permitted_high << 32) & CAP_ALL, inheritable = (x.inheritable | (u64)x.inheritable_high << 32) & CAP_ALL;
    c->cap_permitted = (c->cap_bounding & permitted) | (c->cap_inheritable & inheritable);
    *ret_effective = (x.magic & FILE_CAPS_EFFECTIVE) != 0;
    return *ret_effective && (permitted & ~c->cap_permitted) ? -EPERM : 0;
}

int cred_of_program(const struct file *f, const struct kstat *st, struct cred **ret, bool *ret_secure)
{
    struct task *t = current_task();
    const struct cred *old = t->cred;
    bool may = !(f->path.mount->flags & MS_NOSUID), effective = false;
    bool setuid = may && !t->no_new_privs && (st->mode & S_ISUID), setgid = may && !t->no_new_privs && (st->mode & (S_ISGID | 0010)) == (S_ISGID | 0010);
    struct cred *c = cred_copy(old);
    if (c == NULL)
        return -ENOMEM;
    if (setuid)
        c->euid = st->uid;
    if (setgid)
        c->egid = st->gid;
    c->cap_permitted = 0;
    int r = may ? file_capabilities(&f->path, c, &effective) : -ENODATA;
    bool of_file = r == 0;
    if (r < 0 && r != -ENODATA) {
        cred_put(c);
        return r;
    }
    if (!(c->securebits & SECURE_NOROOT) && !(of_file && c->uid != 0 && c->euid == 0)) {
        if (c->euid == 0 || c->uid == 0)
            c->cap_permitted = c->cap_bounding | c->cap_inheritable;
        effective |= c->euid == 0;
    }
    bool changed = c->euid != old->euid || (c->egid != old->fsgid && !cred_has_group(old, c->egid));
    if (t->no_new_privs && (changed || (c->cap_permitted & ~old->cap_permitted))) { /* no more than there was */
        c->euid = c->uid;
        c->egid = c->gid;
        c->cap_permitted &= old->cap_permitted;
    }
    c->suid = c->fsuid = c->euid;
    c->sgid = c->fsgid = c->egid;
    if (of_file || changed)
        c->cap_ambient = 0;
    c->cap_permitted |= c->cap_ambient;
    c->cap_effective = effective ? c->cap_permitted : c->cap_ambient;
    c->securebits &= ~SECURE_KEEP_CAPS;
    *ret_secure = changed || c->euid != old->uid || c->egid != old->gid || (c->uid != 0 && (effective || (c->cap_permitted & ~c->cap_ambient)));
    *ret = c;
    return 0;
}
