/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random numbers: ChaCha20 (RFC 8439 section 2.3) with fast key erasure
 * (D. J. Bernstein, 2017). Each CPU has a block of output made ahead, whose
 * first 32 bytes are the key of the next block and whose bytes are wiped as
 * they are handed out: who sees the state learns nothing about the past.
 *
 * Seeding is a chain, seed = chacha20(seed ^ input): each CPU notices a new
 * generation and takes a fresh key from the seed, a different one each time.
 */
#include "kern/random.h"

#include "base/bytes.h"
#include "base/str.h"
#include "kern/arch.h"
#include "kern/lock.h"
#include "kern/percpu.h"
#include "kern/plat.h"

#define KEY_BYTES 32u
#define BLOCK_BYTES 64u

static struct spinlock seed_lock = SPINLOCK_INIT("random seed"); /* irq-safe */
static u8 seed[KEY_BYTES];    /* seed_lock */
static u64 seed_counter;      /* seed_lock: no two blocks of the seed are alike */
static u32 seed_generation = 1; /* seed_lock; atomic for readers */

static inline u32 rotl(u32 v, unsigned n) { return v << n | v >> (32 - n); }

static void quarter_round(u32 *x, unsigned a, unsigned b, unsigned c, unsigned d)
{
    x[a] += x[b]; x[d] = rotl(x[d] ^ x[a], 16);
    x[c] += x[d]; x[b] = rotl(x[b] ^ x[c], 12);
    x[a] += x[b]; x[d] = rotl(x[d] ^ x[a], 8);
    x[c] += x[d]; x[b] = rotl(x[b] ^ x[c], 7);
}

/* `key` may overlap `out`. */
static void chacha20_block(const u8 key[KEY_BYTES], u64 counter, u64 nonce, u8 out[BLOCK_BYTES])
{
    u32 in[16] = { 0x61707865, 0x3320646e, 0x79622d32, 0x6b206574 }, x[16];
    for (unsigned i = 0; i < 8; i++)
        in[4 + i] = get_u32(key + 4 * i);
    in[12] = (u32)counter;
    in[13] = (u32)(counter >> 32);
    in[14] = (u32)nonce;
    in[15] = (u32)(nonce >> 32);
    memcpy(x, in, sizeof x);
    for (unsigned i = 0; i < 10; i++) {
        for (unsigned j = 0; j < 4; j++)
            quarter_round(x, j, 4 + j, 8 + j, 12 + j);
        for (unsigned j = 0; j < 4; j++)
            quarter_round(x, j, 4 + (j + 1) % 4, 8 + (j + 2) % 4, 12 + (j + 3) % 4);
    }
    for (unsigned i = 0; i < 16; i++)
        put_u32(out + 4 * i, x[i] + in[i]);
}

/* Wipe, even where the compiler thinks that nobody looks. */
static void wipe(void *p, size_t n)
{
    memset(p, 0, n);
    __asm__ volatile("" : : "r"(p) : "memory");
}

void random_add(const void *buf, size_t len)
{
    const u8 *p = buf;
    u8 out[BLOCK_BYTES];
    u64 flags = spin_lock_irqsave(&seed_lock);
    do {
        size_t n = MIN(len, (size_t)KEY_BYTES);
        for (size_t i = 0; i < n; i++)
            seed[i] ^= p[i];
        chacha20_block(seed, ++seed_counter, len, out);
        memcpy(seed, out, KEY_BYTES);
        p += n;
        len -= n;
    } while (len != 0);
    u32 generation = seed_generation + 1;
    atomic_store(&seed_generation, generation != 0 ? generation : 1u);
    spin_unlock_irqrestore(&seed_lock, flags);
    wipe(out, sizeof out);
}

void random_init(void)
{
    u8 buf[64];
    size_t n = plat_entropy(buf, sizeof buf);
    random_add(buf, n);
    u64 times[3] = { plat_now_ns(), plat_wall_ns(), arch_cycles() };
    random_add(times, sizeof times);
    wipe(buf, sizeof buf);
}

/* A key for this CPU, unlike any other; the seed moves on. */
static void take_key(struct random_cpu *r)
{
    u8 out[BLOCK_BYTES];
    spin_lock(&seed_lock);
    chacha20_block(seed, ++seed_counter, UINT64_MAX, out);
    memcpy(seed, out, KEY_BYTES);
    r->generation = seed_generation;
    spin_unlock(&seed_lock);
    for (unsigned i = 0; i < KEY_BYTES; i++)
        r->buf[i] ^= out[KEY_BYTES + i];
    wipe(out, sizeof out);
}

/* Events disabled. */
static void refill(struct random_cpu *r)
{
    u8 key[KEY_BYTES];
    if (r->generation != atomic_load_relaxed(&seed_generation))
        take_key(r);
    memcpy(key, r->buf, KEY_BYTES);
    for (unsigned i = 0; i < sizeof r->buf / BLOCK_BYTES; i++)
        chacha20_block(key, i, 0, r->buf + i * BLOCK_BYTES);
    r->pos = KEY_BYTES;
    wipe(key, sizeof key);
}

/* At most a buffer's worth. */
static void small_bytes(u8 *out, size_t len)
{
    u64 flags = plat_events_save();
    struct random_cpu *r = &this_cpu()->random;
    while (len != 0) {
        if (r->pos == 0 || r->pos == sizeof r->buf || r->generation != atomic_load_relaxed(&seed_generation))
            refill(r);
        size_t n = MIN(len, sizeof r->buf - r->pos);
        memcpy(out, r->buf + r->pos, n);
        memset(r->buf + r->pos, 0, n);
        r->pos += (u32)n;
        out += n;
        len -= n;
    }
    plat_events_restore(flags);
}

void random_bytes(void *buf, size_t len)
{
    u8 *out = buf;
    if (len <= sizeof ((struct random_cpu *)0)->buf - KEY_BYTES) {
        small_bytes(out, len);
        return;
    }
    /* A stream of its own, so that events stay enabled. */
    u8 key[KEY_BYTES], block[BLOCK_BYTES];
    small_bytes(key, sizeof key);
    for (u64 counter = 0; len != 0; counter++) {
        size_t n = MIN(len, (size_t)BLOCK_BYTES);
        if (n == BLOCK_BYTES) {
            chacha20_block(key, counter, 1, out);
        } else {
            chacha20_block(key, counter, 1, block);
            memcpy(out, block, n);
        }
        out += n;
        len -= n;
    }
    wipe(key, sizeof key);
    wipe(block, sizeof block);
}

u64 random_u64(void)
{
    u64 v;
    small_bytes((u8 *)&v, sizeof v);
    return v;
}

u64 random_below(u64 bound)
{
    /* Reject the lowest 2^64 mod bound values: what is left is a multiple of bound. */
    u64 reject = (0 - bound) % bound, v;
    do
        v = random_u64();
    while (v < reject);
    return v % bound;
}
