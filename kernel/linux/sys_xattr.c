/* SPDX-License-Identifier: Apache-2.0 */
/* Extended attributes (xattr(7)): decoding. */
#include "task.h"

#define XATTR_NAME_MAX 255
#define XATTR_SIZE_MAX 65536u

static int xattr_name(uaddr_t uname, char name[XATTR_NAME_MAX + 1])
{
    s64 n = copy_string_from_user(name, uname, XATTR_NAME_MAX + 1);
    return n < 0 ? (n == -ENAMETOOLONG ? -ERANGE : (int)n) : n == 0 ? -ERANGE : 0;
}

static s64 do_setxattr(const struct path *p, const char *name, uaddr_t uval, u64 size, int flags)
{
    void *val = kmalloc(MAX(size, 1UL), 0);
    if (val == NULL)
        return -ENOMEM;
    s64 r = copy_from_user(val, uval, size);
    if (r == 0)
        r = vfs_setxattr(p, current_cred(), name, val, size, flags);
    kfree(val);
    return r;
}

/* `name` NULL = list. */
static s64 do_getxattr(const struct path *p, const char *name, uaddr_t uval, u64 size)
{
    size = MIN(size, (u64)XATTR_SIZE_MAX);
    char *buf = size != 0 ? kzalloc(size) : NULL;
    if (size != 0 && buf == NULL)
        return -ENOMEM;
    s64 r = name == NULL ? vfs_listxattr(p, buf, size) : vfs_getxattr(p, current_cred(), name, buf, size);
    if (r > 0 && size != 0) {
        if ((u64)r > size)
            r = -ERANGE;
        else if (copy_to_user(uval, buf, (size_t)r) < 0)
            r = -EFAULT;
    }
    kfree(buf);
    return r;
}

/* One body for the forms with a name (lookup: 0 or LOOKUP_NOFOLLOW) and with a descriptor. */
enum xattr_call { XATTR_SET, XATTR_GET, XATTR_LIST, XATTR_REMOVE };
#define BY_FD UINT32_MAX

static s64 xattr(enum xattr_call call, u32 lookup, u64 what, uaddr_t uname, uaddr_t val, u64 size, int flags)
{
    char name[XATTR_NAME_MAX + 1];
    struct path p;
    s64 r = flags & ~3 ? -EINVAL : call == XATTR_LIST ? 0 : xattr_name(uname, name);
    if (r >= 0 && call == XATTR_SET && size > XATTR_SIZE_MAX)
        r = -E2BIG;
    if (r >= 0)
        r = lookup == BY_FD ? path_of_fd((int)what, false, &p) : path_at(AT_FDCWD, what, lookup, &p);
    if (r < 0)
        return r;
    if (call == XATTR_SET)
        r = do_setxattr(&p, name, val, size, flags);
    else if (call == XATTR_REMOVE)
        r = vfs_removexattr(&p, current_cred(), name);
    else
        r = do_getxattr(&p, call == XATTR_LIST ? NULL : name, val, size);
    path_put(&p);
    return r;
}

s64 sys_setxattr(uaddr_t f, uaddr_t n, uaddr_t v, u64 s, int fl) { return xattr(XATTR_SET, 0, f, n, v, s, fl); }
s64 sys_lsetxattr(uaddr_t f, uaddr_t n, uaddr_t v, u64 s, int fl) { return xattr(XATTR_SET, LOOKUP_NOFOLLOW, f, n, v, s, fl); }
s64 sys_fsetxattr(int fd, uaddr_t n, uaddr_t v, u64 s, int fl) { return xattr(XATTR_SET, BY_FD, (u32)fd, n, v, s, fl); }
s64 sys_getxattr(uaddr_t f, uaddr_t n, uaddr_t v, u64 s) { return xattr(XATTR_GET, 0, f, n, v, s, 0); }
s64 sys_lgetxattr(uaddr_t f, uaddr_t n, uaddr_t v, u64 s) { return xattr(XATTR_GET, LOOKUP_NOFOLLOW, f, n, v, s, 0); }
s64 sys_fgetxattr(int fd, uaddr_t n, uaddr_t v, u64 s) { return xattr(XATTR_GET, BY_FD, (u32)fd, n, v, s, 0); }
s64 sys_listxattr(uaddr_t f, uaddr_t v, u64 s) { return xattr(XATTR_LIST, 0, f, 0, v, s, 0); }
s64 sys_llistxattr(uaddr_t f, uaddr_t v, u64 s) { return xattr(XATTR_LIST, LOOKUP_NOFOLLOW, f, 0, v, s, 0); }
s64 sys_flistxattr(int fd, uaddr_t v, u64 s) { return xattr(XATTR_LIST, BY_FD, (u32)fd, 0, v, s, 0); }
s64 sys_removexattr(uaddr_t f, uaddr_t n) { return xattr(XATTR_REMOVE, 0, f, n, 0, 0, 0); }
s64 sys_lremovexattr(uaddr_t f, uaddr_t n) { return xattr(XATTR_REMOVE, LOOKUP_NOFOLLOW, f, n, 0, 0, 0); }
s64 sys_fremovexattr(int fd, uaddr_t n) { return xattr(XATTR_REMOVE, BY_FD, (u32)fd, n, 0, 0, 0); }
