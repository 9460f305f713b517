/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the cards carry, for a client outside (abi/pcap.h). While one watches, it stands between each device and the stack: the device's
 * `input` and its `transmit` are ours. So packets cost nothing when nobody does. A received packet is worked on to
 * its end within `input`; which counters of ends rose meanwhile is what became of it.
 *
 * The queue is bounded; what finds it full is not recorded, but counted. Its lock is taken in bottom halves.
 */
#include "abi/pcap.h"
#include "base/str.h"
#include "kern/channel.h"
#include "kern/page.h"
#include "kern/slab.h"
#include "kern/timer.h"
#include "net_impl.h"

#define QUEUE_BYTES (4UL << 20)
#define QUEUE_SHARE 8 /* and at most this part of free memory */
#define EXPECT_NS (30 * NSEC_PER_SEC)
#define SYNC_NS (2 * NSEC_PER_SEC)

struct record {
    struct list node;
    bool busy; /* lock: the stack is at work on it */
    char reason[PCAP_REASON_MAX];
    struct pcap_record head;
    u8 data[];
};

/* One device; stays for good, since another CPU may be in its functions. */
struct tap {
    struct netdev *dev;
    const struct netdev_ops *ops;
    struct netdev_ops own;
    void (*input)(struct netdev *d, struct pkt *p);
};

static struct spinlock lock = SPINLOCK_INIT("capture");
static struct list queue = LIST_INIT(queue); /* lock: struct record */
static u64 queued_bytes, lost;               /* lock */
static bool on;                              /* lock: packets are recorded */
static bool wanted_sync, synced;             /* lock */
static u64 expected_until_ns;                /* lock: a client will come; 0 = none is expected */
static u32 snaplen = PCAP_SNAPLEN_MAX;       /* lock */
static struct channel *client;               /* lock */
static struct waitqueue sync_wq;
static struct tap taps[NETIF_MAX];
static u32 ntaps;

/* --- records -------------------------------------------------------------------------------- */

/* Counters that tell of a received packet's end other than its delivery. */
static const struct {
    const char *name;
    u32 offset;
} ends[] = {
#define E(name) { #name, offsetof(struct net_counters, name) }
    E(eth_short), E(eth_unknown_type), E(eth_not_ours), E(no_memory), E(arp_bad), E(arp_full), E(ip_bad_header), E(ip_bad_checksum),
    E(ip_bad_address), E(ip_not_ours), E(ip_bad_options), E(ip_unknown_protocol), E(ip_frag_bad), E(ip_frag_limit), E(icmp_bad),
    E(icmp_limited), E(udp_bad), E(udp_no_port), E(udp_queue_full), E(raw_queue_full), E(tcp_bad), E(tcp_bad_checksum),
    E(tcp_no_connection), E(tcp_rst_limited), E(tcp_paws), E(tcp_out_of_window), E(tcp_bad_ack), E(tcp_challenge_acks), E(tcp_ooo_limit),
    E(tcp_syn_queue_full), E(tcp_cookies_bad), E(tcp_accept_full), E(tcp_memory_limit), E(filter_in_tcp), E(filter_in_udp),
    E(filter_in_other),
#undef E
};

static u64 counter(unsigned i) { return atomic_load_relaxed((const u64 *)((const u8 *)&net_counters + ends[i].offset)); }

static void note_reason(struct record *r, const u64 *before)
{
    size_t n = 0;
    for (unsigned i = 0; i < ARRAY_SIZE(ends); i++) {
        if (counter(i) == before[i] || n + strlen(ends[i].name) + 2 > sizeof r->reason)
            continue;
        if (n > 0)
            r->reason[n++] = ' ';
        str_copy(r->reason + n, ends[i].name, sizeof r->reason - n);
        n += strlen(ends[i].name);
    }
}

static void wake_client(void)
{
    if (client != NULL)
        wq_wake_all(channel_wq(client), 0);
}

/* A record of p at the queue's end; NULL when there is no room or nobody watches. */
static struct record *record(struct tap *t, const struct pkt *p, u32 flags)
{
    u32 n = MIN(p->total_len, atomic_load_relaxed(&snaplen));
    u64 most = MIN(QUEUE_BYTES, page_available() * PAGE_SIZE / QUEUE_SHARE);
    struct record *r = kmalloc(sizeof *r + n, ALLOC_ATOMIC);
    if (r != NULL) {
        r->head = (struct pcap_record){.time_ns = wall_ns(), .length = p->total_len, .interface = (u32)(t - taps), .flags = flags};
        r->head.captured = pkt_copy_out(p, 0, r->data, n);
        r->reason[0] = '\0';
        r->busy = flags == PCAP_IN;
    }
    spin_lock(&lock);
    if (client == NULL && expected_until_ns != 0 && now_ns() > expected_until_ns)
        on = false; /* nobody came */
    bool room = r != NULL && on && queued_bytes + sizeof *r + n <= most;
    if (room) {
        list_push_back(&queue, &r->node);
        queued_bytes += sizeof *r + r->head.captured;
        if (!r->busy)
            wake_client();
    } else if (on) {
        lost++;
    }
    spin_unlock(&lock);
    if (room)
        return r;
    kfree(r);
    return NULL;
}

static struct tap *tap_of(const struct netdev *d)
{
    struct tap *t = taps;
    while (t->dev != d)
        t++;
    return t;
}

static int capture_transmit(struct netdev *d, struct pkt *p)
{
    struct tap *t = tap_of(d);
    (void)record(t, p, PCAP_OUT);
    return t->ops->transmit(d, p);
}

static void capture_input(struct netdev *d, struct pkt *p)
{
    u64 before[ARRAY_SIZE(ends)];
    struct tap *t = tap_of(d);
    struct record *r = record(t, p, PCAP_IN);
    for (unsigned i = 0; i < ARRAY_SIZE(ends); i++)
        before[i] = counter(i);
    t->input(d, p);
    if (r == NULL)
        return;
    note_reason(r, before);
    spin_lock(&lock);
    r->busy = false;
    wake_client();
    spin_unlock(&lock);
}

/* --- on and off ------------------------------------------------------------------------------- */

static void put_between(struct netdev *d, void *ctx)
{
    struct tap *t = taps;
    if (netif_of(d) == NULL || netif_of(d)->loopback)
        return;
    while (t < taps + ntaps && t->dev != d)
        t++;
    if (t == taps + NETIF_MAX)
        return;
    if (t == taps + ntaps) {
        *t = (struct tap){.dev = d, .ops = d->ops, .own = *d->ops, .input = d->input};
        t->own.transmit = capture_transmit;
        ntaps++;
    }
    atomic_store(&d->ops, &t->own);
    atomic_store(&d->input, capture_input);
}

static void take_away(void)
{
    for (struct tap *t = taps; t < taps + ntaps; t++) {
        atomic_store(&t->dev->input, t->input);
        atomic_store(&t->dev->ops, t->ops);
    }
}

static void set_on(bool want)
{
    spin_lock_bh(&lock);
    on = want;
    lost = want ? 0 : lost;
    spin_unlock_bh(&lock);
    if (want)
        netdev_for_each(put_between, NULL);
    else
        take_away();
}

/* The oldest record, if it is complete. */
static struct record *take(void)
{
    struct record *r = NULL;
    spin_lock_bh(&lock);
    if (!list_empty(&queue)) {
        r = list_first(&queue, struct record, node);
        if (r->busy) {
            r = NULL;
        } else {
            list_remove(&r->node);
            queued_bytes -= sizeof *r + r->head.captured;
            r->head.lost = lost;
        }
    }
    spin_unlock_bh(&lock);
    return r;
}

static void empty_queue(void)
{
    for (struct record *r; (r = take()) != NULL;)
        kfree(r);
}

/* --- the service -------------------------------------------------------------------------------- */

static int send_record(struct channel *c, const struct record *r)
{
    size_t reason = strlen(r->reason);
    int err = channel_send(c, &r->head, sizeof r->head, r->head.captured + reason != 0);
    if (err == 0 && r->head.captured != 0)
        err = channel_send(c, r->data, r->head.captured, reason != 0);
    return err == 0 && reason != 0 ? channel_send(c, r->reason, reason, false) : err;
}

static int send_names(struct channel *c)
{
    char text[NETIF_MAX * (sizeof taps[0].dev->name + 1)];
    size_t n = 0;
    for (unsigned i = 0; i < ntaps; i++) {
        str_copy(text + n, taps[i].dev->name, sizeof text - n);
        n += strlen(text + n);
        text[n++] = '\n';
    }
    return channel_send(c, text, n, false);
}

static bool sync_due(void)
{
    spin_lock_bh(&lock);
    bool due = wanted_sync && !synced && list_empty(&queue);
    spin_unlock_bh(&lock);
    return due;
}

static void sync_client(struct channel *c)
{
    static const struct pcap_record mark = {.flags = PCAP_SYNC};
    char answer[16];
    bool more;
    if (channel_send(c, &mark, sizeof mark, false) == 0)
        (void)channel_receive(c, answer, sizeof answer, &more, now_ns() + SYNC_NS);
    spin_lock_bh(&lock);
    synced = true;
    spin_unlock_bh(&lock);
    wq_wake_all(&sync_wq, 0);
}

static void serve(struct channel *c)
{
    int err = send_names(c);
    while (err == 0 && !channel_closed(c)) {
        struct record *r = NULL;
        bool due = false;
        wait_event(channel_wq(c), channel_closed(c) || (r = take()) != NULL || (due = sync_due()));
        if (r != NULL)
            err = send_record(c, r);
        else if (due)
            sync_client(c);
        kfree(r);
    }
}

static void run(struct channel *c, const char *args, size_t len)
{
    u64 most = PCAP_SNAPLEN_MAX;
    if (len != 0 && (str_to_u64(args, &most) < 0 || most == 0 || most > PCAP_SNAPLEN_MAX)) {
        channel_fail(c, EINVAL, "the most bytes of a packet: 1 to 65536");
        return;
    }
    spin_lock_bh(&lock);
    client = c;
    expected_until_ns = 0;
    snaplen = (u32)most;
    bool was_on = on;
    spin_unlock_bh(&lock);
    if (!was_on)
        set_on(true);
    serve(c);
    set_on(false);
    spin_lock_bh(&lock);
    client = NULL;
    synced = true; /* nobody to wait for */
    spin_unlock_bh(&lock);
    wq_wake_all(&sync_wq, 0);
    empty_queue();
}

void net_capture_expect(void)
{
    spin_lock_bh(&lock);
    expected_until_ns = now_ns() + EXPECT_NS;
    spin_unlock_bh(&lock);
    set_on(true);
}

void net_capture_drain(u64 deadline_ns)
{
    spin_lock_bh(&lock);
    bool wait = client != NULL || (expected_until_ns != 0 && now_ns() < expected_until_ns);
    wanted_sync = true;
    wake_client();
    spin_unlock_bh(&lock);
    if (wait)
        (void)wait_event_until(&sync_wq, atomic_load_relaxed(&synced), deadline_ns);
}

void net_capture_init(void)
{
    static struct service pcap = {.name = "pcap", .run = run, .taken = "another client records packets"};
    wq_init(&sync_wq, "capture");
    service_register(&pcap);
}
