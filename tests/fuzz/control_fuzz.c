/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes from the tender over the control port, in pieces of any size. Whatever comes, the instance's end
 * stops after the last byte, passes on signals in range only, and answers in whole messages.
 */
#include "fuzz_sim.h"

#include "kernel/init/control.c"

#define OUT_MAX 65536u

struct fake_port {
    struct chardev c;
    struct fuzz_in *in; /* what the tender says */
    u8 piece;           /* at most so much at a time */
    u8 out[OUT_MAX];
    size_t out_len;
};

static struct fake_port control_port = { .c.name = PORT_CONTROL }, stdin_port = { .c.name = PORT_STDIN };

int linux_signal(u32 pid, int sig)
{
    CHECK(sig >= 0 && sig <= 64);
    return pid == 0 ? 0 : -ESRCH;
}

static size_t fake_write(struct chardev *c, const void *buf, size_t len)
{
    struct fake_port *p = container_of(c, struct fake_port, c);
    size_t n = MIN(len, (size_t)p->piece + 1);
    CHECK(p->out_len + n <= OUT_MAX);
    memcpy(p->out + p->out_len, buf, n);
    p->out_len += n;
    return n;
}

static size_t fake_read(struct chardev *c, void *buf, size_t len)
{
    struct fake_port *p = container_of(c, struct fake_port, c);
    size_t n = 0;
    if (p->in != NULL) {
        const u8 *from = fuzz_bytes(p->in, MIN(len, (size_t)p->piece + 1), &n);
        memcpy(buf, from, n);
    }
    if (n == 0)
        c->host_open = false;
    chardev_received(c, n);
    return n;
}

static bool fake_can_read(struct chardev *c) { return c->host_open; }
static bool fake_can_write(struct chardev *c) { return true; }
static void fake_drain(struct chardev *c) {}

static const struct chardev_ops fake_ops = {
    .write = fake_write, .read = fake_read, .can_read = fake_can_read, .can_write = fake_can_write, .drain = fake_drain,
};

static void boot(void *arg)
{
    struct fake_port *ports[] = { &control_port, &stdin_port };
    for (unsigned i = 0; i < ARRAY_SIZE(ports); i++) {
        ports[i]->c.ops = &fake_ops;
        wq_init(&ports[i]->c.wq, "fake_port");
        chardev_register(&ports[i]->c);
    }
}

static void reset(struct fake_port *p, struct fuzz_in *in, u8 piece)
{
    p->c.host_open = p->c.host_was_open = true;
    p->c.rx_bytes = p->c.tx_bytes = 0;
    p->c.eof_at = UINT64_MAX;
    p->in = in;
    p->piece = piece;
    p->out_len = 0;
}

/* What the instance said: hello first, then texts and answers of channels only, all whole. */
static void check_answers(void)
{
    size_t at = 0;
    for (unsigned n = 0; at < control_port.out_len; n++) {
        struct ctl_header h;
        CHECK(control_port.out_len - at >= sizeof(h));
        memcpy(&h, control_port.out + at, sizeof(h));
        at += sizeof(h);
        CHECK(h.magic == CTL_MAGIC && h.version == CTL_VERSION && h.len <= control_port.out_len - at);
        bool of_channel = h.type == CTL_DATA || h.type == CTL_CREDIT || h.type == CTL_CLOSE;
        CHECK(n == 0 ? h.type == CTL_HELLO : h.type == CTL_LOG || of_channel);
        at += h.len;
    }
}

static void serve(struct fuzz_in *in)
{
    u8 piece = fuzz_u8(in);
    reset(&control_port, in, piece);
    reset(&stdin_port, NULL, piece);
    silent = false;
    control_open();
    control_serve();
    check_answers();
    CHECK(stdin_port.c.eof_at != 0 || !stdin_port.c.host_open);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_run(boot, serve, data, size);
    return 0;
}
