/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The format of pprof (profile.proto of github.com/google/pprof, protobuf wire format, gzip). Frames have names and no addresses:
 * each name is one function with one location, which pprof takes as it is.
 */
#include <search.h>
#include <string.h>
#include <zlib.h>

#include "host/profile/profile.h"

/* Field numbers of profile.proto. */
enum { SAMPLE_TYPE = 1, SAMPLE, LOCATION = 4, FUNCTION, STRING_TABLE, TIME_NANOS = 9, DURATION_NANOS, PERIOD_TYPE, PERIOD, DEFAULT_TYPE = 14 };

struct name {
    char *text;
    u64 number;    /* in the string table */
    u64 function;  /* and location: the same number; 0: none yet */
};
struct pprof {
    struct buf out;
    void *names; /* struct name, tsearch(3) */
    u64 nnames, nfunctions;
};

/* --- wire format ------------------------------------------------------------------------------- */

static void put_varint(struct buf *b, u64 v)
{
    u8 bytes[10];
    size_t n = 0;
    do {
        bytes[n++] = (u8)((v & 0x7f) | (v > 0x7f ? 0x80 : 0));
    } while ((v >>= 7) != 0);
    buf_add(b, bytes, n);
}

static void put_number(struct buf *b, unsigned field, u64 v)
{
    put_varint(b, field << 3);
    put_varint(b, v);
}

static void put_bytes(struct buf *b, unsigned field, const void *data, size_t len)
{
    put_varint(b, field << 3 | 2);
    put_varint(b, len);
    buf_add(b, data, len);
}

static void put_message(struct buf *b, unsigned field, struct buf *message)
{
    put_bytes(b, field, message->data, message->len);
    buf_done(message);
}

/* --- tables ------------------------------------------------------------------------------------- */

static int compare(const void *a, const void *b) { return strcmp(((const struct name *)a)->text, ((const struct name *)b)->text); }

static struct name *name_of(struct pprof *p, const char *text, size_t len)
{
    AUTO_FREE char *copy = xstrndup(text, len);
    struct name key = {.text = copy}, **at = tfind(&key, &p->names, compare);
    if (at)
        return *at;
    struct name *n = xalloc(sizeof(*n));
    *n = (struct name){.text = TAKE_PTR(copy), .number = p->nnames++};
    put_bytes(&p->out, STRING_TABLE, n->text, strlen(n->text));
    if (!tsearch(n, &p->names, compare))
        abort(); /* as xalloc() without memory */
    return n;
}

static u64 string(struct pprof *p, const char *text) { return name_of(p, text, strlen(text))->number; }

static u64 location(struct pprof *p, const char *text, size_t len)
{
    struct buf function = {0}, line = {0}, place = {0};
    struct name *n = name_of(p, text, len);
    if (n->function)
        return n->function;
    n->function = ++p->nfunctions;
    put_number(&function, 1, n->function);
    put_number(&function, 2, n->number);
    put_number(&function, 3, n->number);
    put_message(&p->out, FUNCTION, &function);
    put_number(&line, 1, n->function);
    put_number(&place, 1, n->function);
    put_message(&place, 4, &line);
    put_message(&p->out, LOCATION, &place);
    return n->function;
}

static void put_type(struct pprof *p, unsigned field, const char *type, const char *unit)
{
    struct buf b = {0};
    put_number(&b, 1, string(p, type));
    put_number(&b, 2, string(p, unit));
    put_message(&p->out, field, &b);
}

/* --- samples ------------------------------------------------------------------------------------- */

/* "thread;outermost;...;innermost": the thread is a label, frames go the other way round. */
static void add_row(void *ctx, const struct folded_row *row)
{
    struct pprof *p = ctx;
    struct buf sample = {0}, locations = {0}, values = {0}, label = {0};
    size_t thread = strcspn(row->stack, ";"), end = strlen(row->stack);
    while (end > thread) {
        size_t start = end;
        while (row->stack[start - 1] != ';')
            start--;
        put_varint(&locations, location(p, row->stack + start, end - start));
        end = start - 1;
    }
    put_varint(&values, row->samples);
    put_varint(&values, row->ns);
    put_number(&label, 1, string(p, "thread"));
    put_number(&label, 2, name_of(p, row->stack, thread)->number);
    put_message(&sample, 1, &locations);
    put_message(&sample, 2, &values);
    put_message(&sample, 3, &label);
    put_message(&p->out, SAMPLE, &sample);
}

static void free_name(void *name)
{
    free(((struct name *)name)->text);
    free(name);
}

static int compress_to(FILE *out, const struct buf *b)
{
    z_stream z = {.next_in = (Bytef *)b->data, .avail_in = (uInt)b->len};
    u8 piece[16384] = {0};
    int result = Z_OK;
    if (b->len > UINT32_MAX || deflateInit2(&z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, 15 + 16 /* gzip */, 8, Z_DEFAULT_STRATEGY) != Z_OK)
        return -1;
    while (result == Z_OK) {
        z.next_out = piece;
        z.avail_out = sizeof(piece);
        result = deflate(&z, Z_FINISH);
        if (fwrite(piece, 1, sizeof(piece) - z.avail_out, out) != sizeof(piece) - z.avail_out)
            result = Z_ERRNO;
    }
    deflateEnd(&z);
    return result == Z_STREAM_END ? 0 : -1;
}

int pprof_write(FILE *out, struct folded *f, const struct pprof_about *about)
{
    struct pprof p = {0};
    string(&p, ""); /* number 0 by definition */
    put_type(&p, SAMPLE_TYPE, "samples", "count");
    put_type(&p, SAMPLE_TYPE, about->what, "nanoseconds");
    folded_each(f, add_row, &p);
    put_number(&p.out, TIME_NANOS, about->start_ns);
    put_number(&p.out, DURATION_NANOS, about->duration_ns);
    put_type(&p, PERIOD_TYPE, about->what, "nanoseconds");
    put_number(&p.out, PERIOD, about->period_ns);
    put_number(&p.out, DEFAULT_TYPE, string(&p, about->what));
    int result = compress_to(out, &p.out);
    buf_done(&p.out);
    tdestroy(p.names, free_name);
    return result;
}
