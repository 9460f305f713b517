/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CUBIC (RFC 9438) with HyStart++ (RFC 9406). The window is a cubic function of the time since the last reduction,
 *
 *   W(t) = C (t - K)^3 + W_max     K = cbrt((W_max - W(0)) / C)     C = 0.4, windows in segments, times in seconds
 *
 * here in bytes and milliseconds, and never less than what Reno would have (W_est).
 */
#include "tcp_impl.h"

#define BETA(x) ((x) / 10 * 7)
#define T_MAX_MS 300000 /* from K: beyond, the window has long hit its bound */
#define RTT_SAMPLES 8u
#define CSS_ROUNDS 5u

static u32 cube_root(u64 v)
{
    u64 x = 0;
    for (int bit = 20; bit >= 0; bit--) {
        u64 y = x | 1ULL << bit;
        if (y * y * y <= v)
            x = y;
    }
    return (u32)x;
}

static void reset(struct tcp *t)
{
    t->cc.cubic.epoch_ns = 0;
    t->cc.cubic.hs_rounds = 0;
    t->cc.cubic.hs_count = 0;
    t->cc.cubic.hs_end = t->snd_max;
    t->cc.cubic.hs_rtt_us = t->cc.cubic.hs_last_us = ~0u;
}

static void init(struct tcp *t)
{
    t->cc.cubic.w_max = 0;
    reset(t);
}

static u32 ssthresh(struct tcp *t)
{
    struct cubic *c = &t->cc.cubic;
    u32 flight = t->snd_max - t->snd_una;
    c->w_max = t->cwnd < c->w_max ? t->cwnd / 20 * 17 : t->cwnd; /* fast convergence (4.7) */
    c->w_prior = t->cwnd;
    c->epoch_ns = 0;
    return BETA(MIN(flight, t->cwnd));
}

static void begin_epoch(struct tcp *t, u64 now)
{
    struct cubic *c = &t->cc.cubic;
    c->epoch_ns = now;
    c->w_est = t->cwnd;
    c->est_acc = 0;
    if (c->w_max <= t->cwnd) {
        c->w_max = t->cwnd;
        c->k_ms = 0;
    } else {
        c->k_ms = cube_root((u64)(c->w_max - t->cwnd) / t->mss * 2500000000ULL);
    }
}

static u32 window_at(const struct tcp *t, u64 ms)
{
    const struct cubic *c = &t->cc.cubic;
    s64 d = (s64)MIN(ms, (u64)T_MAX_MS) - (s64)c->k_ms;
    d = MAX(MIN(d, T_MAX_MS), -T_MAX_MS);
    s64 w = (s64)c->w_max + d * d * d / 1000 * t->mss / 2500000;
    return (u32)MAX(MIN(w, (s64)1 << 30), (s64)t->mss);
}

/* What Reno would have (4.3). */
static void grow_estimate(struct tcp *t, u32 bytes)
{
    struct cubic *c = &t->cc.cubic;
    u64 step = (u64)bytes * t->mss;
    c->est_acc += c->w_est >= c->w_prior ? step : step / 17 * 9; /* 3 (1 - beta) / (1 + beta) = 9 / 17 */
    c->w_est += (u32)(c->est_acc / t->cwnd);
    c->est_acc %= t->cwnd;
}

static void avoid(struct tcp *t, u32 bytes, u64 now)
{
    struct cubic *c = &t->cc.cubic;
    if (c->epoch_ns == 0)
        begin_epoch(t, now);
    u64 ms = (now - c->epoch_ns) / NSEC_PER_MSEC;
    grow_estimate(t, bytes);
    if (window_at(t, ms) < c->w_est) {
        t->cwnd = MAX(t->cwnd, c->w_est);
        return;
    }
    u32 target = window_at(t, ms + t->srtt_us8 / 8000);
    target = MIN(MAX(target, t->cwnd), t->cwnd + t->cwnd / 2);
    c->cwnd_acc += (u64)(target - t->cwnd) * bytes;
    t->cwnd += (u32)(c->cwnd_acc / t->cwnd);
    c->cwnd_acc %= t->cwnd;
}

/* HyStart++: a round whose least round trip rose ends slow start, softly. Bytes by which the window grows. */
static u32 slow_start(struct tcp *t, u32 bytes)
{
    struct cubic *c = &t->cc.cubic;
    if (SEQ_GE(t->snd_una, c->hs_end)) { /* the next round */
        c->hs_end = t->snd_max;
        c->hs_last_us = c->hs_rtt_us;
        c->hs_rtt_us = ~0u;
        c->hs_count = 0;
        if (c->hs_rounds > 0 && ++c->hs_rounds > CSS_ROUNDS) {
            t->ssthresh = t->cwnd;
            return 0;
        }
    }
    if (t->ack_rtt_us != 0) {
        c->hs_rtt_us = MIN(c->hs_rtt_us, t->ack_rtt_us);
        c->hs_count += c->hs_count < RTT_SAMPLES;
    }
    if (c->hs_count >= RTT_SAMPLES && c->hs_last_us != ~0u) {
        u32 thresh = MAX(MIN(c->hs_last_us / 8, 16000u), 4000u);
        if (c->hs_rounds == 0 && c->hs_rtt_us >= c->hs_last_us + thresh) {
            c->hs_rounds = 1;
            c->hs_base_us = c->hs_rtt_us;
        } else if (c->hs_rounds > 0 && c->hs_rtt_us < c->hs_base_us) {
            c->hs_rounds = 0; /* it was noise */
        }
    }
    return c->hs_rounds > 0 ? bytes / 4 : bytes;
}

const struct tcp_cc_ops tcp_cubic = { .name = "cubic", .init = init, .reset = reset, .ssthresh = ssthresh, .avoid = avoid,
                                      .slow_start = slow_start };
