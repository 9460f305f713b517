/* SPDX-License-Identifier: Apache-2.0 */
/* 9P: extended attributes. A value is read and written as a file of its own, by a fid that exists for it. */
#include "p9_impl.h"

#define XATTR_MAX 65536u
#define XATTR_REPLACE 2

/* "" is the list of names. Bytes, -ERANGE when size is not 0 and too small. */
static s64 read_value(struct inode *i, const char *name, void *buf, size_t size)
{
    struct p9_conn *c = p9_c(i);
    struct p9_req w, r, *both[] = {&w, &r};
    u32 fid = p9_fid_new(c), room = (u32)MIN(size, (size_t)XATTR_MAX);
    p9_start(&w, P9_TXATTRWALK);
    p9_put32(&w, p9_i(i)->fid);
    p9_put32(&w, fid);
    p9_put_bytes(&w, name, (u32)strlen(name));
    p9_start(&r, P9_TREAD);
    p9_put32(&r, fid);
    p9_put64(&r, 0);
    p9_put32(&r, room);
    r.takes_data = true;
    r.data = buf;
    r.data_cap = room;
    s64 ret = p9_call(c, both, 2);
    if (w.err != 0) {
        p9_fid_free(c, fid);
        return w.err;
    }
    p9_clunk(c, fid);
    if (ret != 0)
        return ret;
    u64 have = p9_get64(&w);
    if (p9_ended(&w) != 0 || have > XATTR_MAX)
        return -EIO;
    if (size == 0)
        return (s64)have;
    return have > size ? -ERANGE : r.data_len != have ? -EIO : (s64)have;
}

static bool is_user(const char *name) { return str_starts_with(name, "user."); }

s64 p9_getxattr(struct inode *i, const char *name, void *buf, size_t size)
{
    return is_user(name) ? read_value(i, name, buf, size) : -ENODATA;
}

s64 p9_listxattr(struct inode *i, char *buf, size_t size) { return read_value(i, "", buf, size); }

static int write_value(struct inode *i, const char *name, const void *val, u32 size, u32 flags)
{
    struct p9_conn *c = p9_c(i);
    struct p9_req w, x, d, end, *all[4] = {&w, &x};
    unsigned n = 2;
    u32 fid = p9_fid_new(c);
    p9_start(&w, P9_TWALK);
    p9_put32(&w, p9_i(i)->fid);
    p9_put32(&w, fid);
    p9_put16(&w, 0);
    p9_start(&x, P9_TXATTRCREATE);
    p9_put32(&x, fid);
    p9_put_bytes(&x, name, (u32)strlen(name));
    p9_put64(&x, size);
    p9_put32(&x, flags);
    p9_start(&d, P9_TWRITE);
    p9_put32(&d, fid);
    p9_put64(&d, 0);
    p9_put32(&d, size);
    d.send_data = val;
    d.send_len = size;
    if (size > 0)
        all[n++] = &d;
    p9_start(&end, P9_TCLUNK); /* it tells what came of it */
    p9_put32(&end, fid);
    all[n++] = &end;
    int err = p9_call(c, all, n);
    p9_fid_free(c, fid);
    return err;
}

int p9_setxattr(struct inode *i, const char *name, const void *val, size_t size, int flags)
{
    if (!is_user(name))
        return -EOPNOTSUPP;
    /* an empty value that replaces is the protocol's word for removal */
    if (size == 0 && flags == XATTR_REPLACE) {
        s64 n = read_value(i, name, NULL, 0);
        if (n < 0)
            return (int)n;
        flags = 0;
    }
    return write_value(i, name, val, (u32)size, (u32)flags);
}

int p9_removexattr(struct inode *i, const char *name)
{
    return is_user(name) ? write_value(i, name, NULL, 0, XATTR_REPLACE) : -ENODATA;
}
