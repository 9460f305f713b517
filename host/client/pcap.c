/* SPDX-License-Identifier: Apache-2.0 */
/* The blocks are those of the IETF's draft-ietf-opsawg-pcapng: section header, interface description, enhanced packet. */
#include "host/client/pcap.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "abi/pcap.h"
#include "host/lib/fs.h"

#define BLOCK_SECTION 0x0a0d0d0au
#define BLOCK_INTERFACE 1u
#define BLOCK_PACKET 6u
#define OPT_END 0u
#define OPT_COMMENT 1u
#define OPT_IF_NAME 2u
#define OPT_USERAPPL 4u
#define OPT_IF_TSRESOL 9u
#define OPT_EPB_FLAGS 2u
#define LINK_ETHERNET 1u
#define NAMES_MAX 4096u
#define RECORD_MAX (sizeof(struct pcap_record) + PCAP_SNAPLEN_MAX + PCAP_REASON_MAX)

static void add32(struct buf *b, u32 v) { buf_add(b, &v, 4); }
static void add16(struct buf *b, u16 v) { buf_add(b, &v, 2); }

static void pad(struct buf *b, size_t len)
{
    static const char zeros[4];
    buf_add(b, zeros, -len & 3);
}

static void add_option(struct buf *b, u16 code, const void *data, size_t len)
{
    add16(b, code);
    add16(b, (u16)len);
    buf_add(b, data, len);
    pad(b, len);
}

static void add_block(struct buf *out, u32 type, const struct buf *body)
{
    u32 len = (u32)body->len + 12;
    add32(out, type);
    add32(out, len);
    buf_add(out, body->data, body->len);
    add32(out, len);
}

static void add_section(struct buf *out)
{
    static const char who[] = "drupe " DRUPE_VERSION;
    struct buf b = {0};
    add32(&b, 0x1a2b3c4du);
    add16(&b, 1);
    add16(&b, 0);
    add32(&b, ~0u); /* section length: not known */
    add32(&b, ~0u);
    add_option(&b, OPT_USERAPPL, who, sizeof(who) - 1);
    add_option(&b, OPT_END, NULL, 0);
    add_block(out, BLOCK_SECTION, &b);
    buf_done(&b);
}

static void add_interface(struct buf *out, const char *name, size_t len)
{
    static const u8 nanoseconds = 9;
    struct buf b = {0};
    add16(&b, LINK_ETHERNET);
    add16(&b, 0);
    add32(&b, PCAP_SNAPLEN_MAX);
    add_option(&b, OPT_IF_NAME, name, len);
    add_option(&b, OPT_IF_TSRESOL, &nanoseconds, 1);
    add_option(&b, OPT_END, NULL, 0);
    add_block(out, BLOCK_INTERFACE, &b);
    buf_done(&b);
}

/* The first message; the number of interfaces. */
static unsigned add_interfaces(struct buf *out, const struct buf *names)
{
    unsigned n = 0;
    for (const char *p = names->data, *end; p && (end = memchr(p, '\n', (size_t)(names->data + names->len - p))); p = end + 1, n++)
        add_interface(out, p, (size_t)(end - p));
    return n;
}

static void add_packet(struct buf *out, const struct pcap_record *r, const char *data, const char *reason, size_t reason_len)
{
    struct buf b = {0};
    add32(&b, r->interface);
    add32(&b, (u32)(r->time_ns >> 32));
    add32(&b, (u32)r->time_ns);
    add32(&b, r->captured);
    add32(&b, r->length);
    buf_add(&b, data, r->captured);
    pad(&b, r->captured);
    u32 flags = r->flags & (PCAP_IN | PCAP_OUT);
    if (reason_len)
        add_option(&b, OPT_COMMENT, reason, reason_len);
    add_option(&b, OPT_EPB_FLAGS, &flags, 4);
    add_option(&b, OPT_END, NULL, 0);
    add_block(out, BLOCK_PACKET, &b);
    buf_done(&b);
}

static int write_out(int fd, struct buf *out, struct error *err)
{
    if (out->len && fd_write_all(fd, out->data, out->len) < 0)
        return err_errno(err, EXIT_DRUPE, "packets");
    buf_done(out);
    *out = (struct buf){0};
    return 0;
}

/* One record. 1 go on, -1. */
static int take(struct conversation *c, const struct buf *m, unsigned interfaces, struct buf *out, u64 *ret_lost, struct error *err)
{
    struct pcap_record r;
    if (m->len >= sizeof(r)) {
        memcpy(&r, m->data, sizeof(r));
        size_t rest = m->len - sizeof(r);
        if (r.flags == PCAP_SYNC)
            return conversation_send(c, "", 0) < 0 ? 0 : 1;
        if (r.captured <= rest && rest - r.captured <= PCAP_REASON_MAX && r.captured <= r.length && r.interface < interfaces) {
            add_packet(out, &r, m->data + sizeof(r), m->data + sizeof(r) + r.captured, rest - r.captured);
            *ret_lost = r.lost;
            return 1;
        }
    }
    return err_set(err, EXIT_DRUPE, "the instance sends packets that make no sense");
}

int pcap_receive(struct conversation *c, const struct entry *e, int fd, struct error *err)
{
    struct buf names = {0}, out = {0};
    u64 lost = 0;
    add_section(&out);
    int result = conversation_message(c, &names, NAMES_MAX, err);
    unsigned interfaces = result > 0 ? add_interfaces(&out, &names) : 0;
    buf_done(&names);
    while (result > 0 && (result = write_out(fd, &out, err)) == 0) {
        struct buf m = {0};
        result = conversation_message(c, &m, RECORD_MAX, err);
        if (result > 0)
            result = take(c, &m, interfaces, &out, &lost, err);
        buf_done(&m);
    }
    buf_done(&out);
    if (lost)
        fprintf(stderr, "drupe: %llu packets came faster than they could be recorded\n", (unsigned long long)lost);
    bool failed = result == 0 && c->error != 0 && c->error != EPIPE; /* EPIPE: the instance has ended, and so have its packets */
    return failed ? conversation_failed(c, e, err) : result;
}
