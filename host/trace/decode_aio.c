/* SPDX-License-Identifier: Apache-2.0 */
/* Asynchronous requests of io_submit(2) and their events: decode_impl.h. */
#include "host/trace/decode_impl.h"

#include <linux/aio_abi.h>

#define FLAGS_KNOWN 3u /* IOCB_FLAG_RESFD, IOCB_FLAG_IOPRIO */

static struct iocb request_of(const u8 *d)
{
    struct iocb q;
    memcpy(&q, d, sizeof(q));
    return q;
}

static void add_head(struct buf *out, const struct iocb *q)
{
    static const char *const commands[] = {"IOCB_CMD_PREAD", "IOCB_CMD_PWRITE", "IOCB_CMD_FSYNC", "IOCB_CMD_FDSYNC", "IOCB_CMD_PREADX",
                                           "IOCB_CMD_POLL", "IOCB_CMD_NOOP", "IOCB_CMD_PREADV", "IOCB_CMD_PWRITEV"};
    unsigned op = q->aio_lio_opcode;
    buf_addf(out, "{aio_data=%#llx", (unsigned long long)q->aio_data);
    if (q->aio_key)
        buf_addf(out, ", aio_key=%u", q->aio_key);
    if (q->aio_rw_flags) {
        buf_addf(out, ", aio_rw_flags=");
        add_flags(out, SET_rwf, (u32)q->aio_rw_flags);
    }
    buf_addf(out, op < ARRAY_SIZE(commands) ? ", aio_lio_opcode=%s" : ", aio_lio_opcode=", op < ARRAY_SIZE(commands) ? commands[op] : "");
    if (op >= ARRAY_SIZE(commands))
        buf_addf(out, "%u /* IOCB_CMD_??? */", op);
    if (q->aio_flags & IOCB_FLAG_IOPRIO) {
        buf_addf(out, ", aio_reqprio=");
        add_io_priority(out, (u16)q->aio_reqprio);
    } else if (q->aio_reqprio) {
        buf_addf(out, ", aio_reqprio=%d", q->aio_reqprio);
    }
    buf_addf(out, ", aio_fildes=%d", (s32)q->aio_fildes);
}

void add_request(struct buf *out, const u8 *d)
{
    struct iocb q = request_of(d);
    add_head(out, &q);
    buf_add(out, "}", 1);
}

static void add_flags_of(struct buf *out, const struct iocb *q)
{
    static const struct bit flags[] = {{IOCB_FLAG_RESFD, "IOCB_FLAG_RESFD"}, {IOCB_FLAG_IOPRIO, "IOCB_FLAG_IOPRIO"}};
    if (!q->aio_flags)
        return;
    buf_addf(out, ", aio_flags=");
    if (q->aio_flags & FLAGS_KNOWN)
        add_bits(out, flags, ARRAY_SIZE(flags), q->aio_flags);
    else
        buf_addf(out, "%#x /* IOCB_FLAG_??? */", q->aio_flags);
    if (q->aio_flags & IOCB_FLAG_RESFD)
        buf_addf(out, ", aio_resfd=%d", (s32)q->aio_resfd);
    else if (q->aio_resfd)
        buf_addf(out, ", aio_resfd=%#x", q->aio_resfd);
}

/* What the request moves; its parts begin at `part`. False: such requests have nothing. */
static bool add_moved(struct buf *out, const struct call *c, unsigned arg, u32 part, const struct iocb *q)
{
    struct found data = find_piece(c->entry, arg, part + 1);
    switch (q->aio_lio_opcode) {
    case IOCB_CMD_PREAD:
    case IOCB_CMD_PWRITE:
        buf_addf(out, ", aio_buf=");
        add_text(out, &data, q->aio_buf, false);
        buf_addf(out, ", aio_nbytes=%llu, aio_offset=%lld", (unsigned long long)q->aio_nbytes, (long long)q->aio_offset);
        return true;
    case IOCB_CMD_PREADV:
    case IOCB_CMD_PWRITEV:
        buf_addf(out, ", aio_buf=");
        add_vector(out, c, c->entry, arg, part + 2, q->aio_buf, q->aio_nbytes, true);
        buf_addf(out, ", aio_offset=%lld", (long long)q->aio_offset);
        return true;
    case IOCB_CMD_POLL:
        buf_addf(out, ", aio_buf=");
        add_poll_events(out, (u32)q->aio_buf);
        return true;
    default:
        return false;
    }
}

void add_requests(struct buf *out, const struct call *c, unsigned arg)
{
    struct found list = piece_of(c, arg, false);
    if (!list.data || (list.fault && list.len < 8)) {
        add_pointer(out, c->args[arg]);
        return;
    }
    buf_add(out, "[", 1);
    for (u32 i = 0; i < list.len / 8; i++) {
        struct found one = find_piece(c->entry, arg, TRACE_MESSAGE(i));
        buf_addf(out, i ? ", " : "");
        if (one.len < sizeof(struct iocb)) {
            add_pointer(out, word(list.data, 8 * i));
            continue;
        }
        struct iocb q = request_of(one.data);
        add_head(out, &q);
        if (add_moved(out, c, arg, TRACE_MESSAGE(i), &q))
            add_flags_of(out, &q);
        buf_add(out, "}", 1);
    }
    buf_addf(out, list.cut ? ", ...]" : "]");
}

void add_event(struct buf *out, const u8 *d)
{
    struct io_event e;
    memcpy(&e, d, sizeof(e));
    buf_addf(out, "{data=%#llx, obj=", (unsigned long long)e.data);
    add_pointer(out, e.obj);
    buf_addf(out, ", res=%lld, res2=%lld}", (long long)e.res, (long long)e.res2);
}
