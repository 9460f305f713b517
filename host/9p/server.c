/* SPDX-License-Identifier: Apache-2.0 */
/* Messages in, replies out: see server.h. */
#include "host/9p/server.h"

#include <errno.h>
#include <stdlib.h>

#include "base/checked.h"

static int do_version(struct server *s, struct p9_in *in, struct p9_out *out)
{
    char version[32];
    u32 msize = p9_get32(in);
    p9_get_string(in, version, sizeof(version));
    if (in->bad)
        return EINVAL;
    server_done(s);
    bool known = strcmp(version, P9_DIALECT) == 0 && msize >= P9_MIN_MSIZE;
    s->msize = !known ? 0 : msize < P9_MSIZE ? msize : P9_MSIZE;
    p9_put32(out, s->msize);
    p9_put_string(out, known ? P9_DIALECT : "unknown", known ? sizeof(P9_DIALECT) - 1 : 7);
    return 0;
}

/* Everything that came before has been answered. */
static int do_flush(struct server *s, struct p9_in *in, struct p9_out *out)
{
    p9_get16(in);
    return 0;
}

static const struct {
    server_fn *fn;
    bool changes;
} handlers[] = {
    [P9_TSTATFS] = {do_statfs, false},         [P9_TLOPEN] = {do_lopen, false},
    [P9_TLCREATE] = {do_lcreate, true},        [P9_TSYMLINK] = {do_symlink, true},
    [P9_TMKNOD] = {do_mknod, true},            [P9_TREADLINK] = {do_readlink, false},
    [P9_TGETATTR] = {do_getattr, false},       [P9_TSETATTR] = {do_setattr, true},
    [P9_TXATTRWALK] = {do_xattrwalk, false},   [P9_TXATTRCREATE] = {do_xattrcreate, true},
    [P9_TREADDIR] = {do_readdir, false},       [P9_TFSYNC] = {do_fsync, false},
    [P9_TLINK] = {do_link, true},              [P9_TMKDIR] = {do_mkdir, true},
    [P9_TUNLINKAT] = {do_unlinkat, true},
    [P9_TVERSION] = {do_version, false},       [P9_TATTACH] = {do_attach, false},
    [P9_TFLUSH] = {do_flush, false},           [P9_TWALK] = {do_walk, false},
    [P9_TREAD] = {do_read, false},             [P9_TWRITE] = {do_write, true},
    [P9_TCLUNK] = {do_clunk, false},           [P9_TALLOCATE] = {do_allocate, true},
    [P9_TTMPFILE] = {do_tmpfile, true},        [P9_TRENAME2] = {do_rename, true},
    [P9_TSEEK] = {do_seek, false},
};

static int handle(struct server *s, u8 type, struct p9_in *in, struct p9_out *out)
{
    if (type >= sizeof(handlers) / sizeof(handlers[0]) || !handlers[type].fn)
        return EOPNOTSUPP;
    if (!s->msize && type != P9_TVERSION)
        return EPROTO;
    if (s->read_only && handlers[type].changes)
        return EROFS;
    int problem = handlers[type].fn(s, in, out);
    return problem ? problem : in->bad ? EINVAL : 0;
}

static void finish(const u8 *message, u8 type, struct p9_out *out)
{
    put_u32(out->start, (u32)out->len);
    out->start[4] = type;
    put_u16(out->start + 5, get_u16(message + 5));
}

void server_error(const u8 *message, int problem, struct p9_out *out)
{
    out->len = P9_HEADER;
    p9_put32(out, (u32)problem);
    finish(message, P9_RLERROR, out);
}

void server_message(struct server *s, const u8 *message, u32 size, struct p9_out *out)
{
    struct p9_in in = {message + P9_HEADER, size - P9_HEADER, false};
    u8 type = message[4];
    *out = (struct p9_out){out->start, P9_HEADER, s->msize ? s->msize : P9_MIN_MSIZE};
    int problem = size > (s->msize ? s->msize : P9_MSIZE) ? EMSGSIZE : handle(s, type, &in, out);
    if (problem)
        server_error(message, problem, out);
    else
        finish(message, (u8)(type + 1), out);
}

void server_done(struct server *s)
{
    for (u32 i = 0; i < s->capacity; i++)
        fid_drop(s, i);
    free(s->fids);
    s->fids = NULL;
    s->capacity = 0;
}
