/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sieve of a TAP: memory that an instance shares with an eBPF program which the tender has attached to the interface
 * (host/net/sieve.c). Linux runs it for each frame to the instance, on the CPU and in the time of who sends it. While
 * the instance asks for that, frames of strangers pass only few at a time, by kind; those of peers all pass.
 * Frames are only thrown away by it, never changed, whatever stands here.
 *
 * A peer is known by a bit, at place `hash >> (32 - SIEVE_PEER_BITS)`, of a hash of its address (IPv4) or its network (IPv6, the first half):
 *   v4:  h = sum4 + mul4 * (u32)(address + add4)
 *   v6:  h = sum6 + (u64)(u32)(first word + add6[0]) * (u32)(second word + add6[1])
 *   hash = (u32)h ^ (u32)(h >> 32)
 * with words as they lie in the header, read by a little-endian CPU.
 *
 * A stranger may have credit: so many frames of a kind from its place, `hash >> (32 - SIEVE_CREDIT_BITS)`, pass yet. The program counts it down.
 *
 * A process maps it. The kernel of a machine has a copy, of which it tells what changes: the tender opens its
 * service SIEVE_SERVICE (abi/control.h; no arguments). Each message of the kernel is one part of struct sieve_writes in turn, each with its
 * bytes behind it, for what is the instance's; one that begins with `asked` is answered by a struct sieve_counts.
 */
#ifndef ABI_SIEVE_H
#define ABI_SIEVE_H

#include <stdint.h>

#define SIEVE_SLICE_SHIFT 22       /* a slice of time is 2^22 ns */
#define SIEVE_HOLD_NS 250000000ull /* from the last change of `asked` on */
#define SIEVE_PEER_BITS 19
#define SIEVE_CREDIT_BITS 12
#define SIEVE_ALL UINT32_MAX

enum sieve_kind {
    SIEVE_SYN,      /* of TCP, without ACK */
    SIEVE_SEGMENT,  /* any other of TCP */
    SIEVE_FRAGMENT, /* of IP */
    SIEVE_OTHER,    /* any other packet of IP; what is none passes */
    SIEVE_KINDS,
};

struct sieve {
    /* The instance's. */
    uint32_t asked;            /* another number: hold on; 0: let all pass */
    uint32_t few[SIEVE_KINDS]; /* of strangers in a slice; SIEVE_ALL: as many as come */
    uint32_t add4, mul4, add6[2];
    uint64_t sum4, sum6;
    /* The program's. Several CPUs may count at a time, so counts may be a little too small. */
    struct {
        uint64_t slice;
        uint32_t passed, held; /* in this slice; held back, ever */
    } strangers[SIEVE_KINDS] __attribute__((aligned(64)));
    uint64_t until_ns;         /* by bpf_ktime_get_ns() */
    uint32_t seen;             /* the last `asked` */
    uint32_t lost;             /* in a copy: as in struct sieve_counts */
    uint8_t credit[SIEVE_KINDS][1u << SIEVE_CREDIT_BITS] __attribute__((aligned(64))); /* both's */
    uint8_t peers[1u << (SIEVE_PEER_BITS - 3)] __attribute__((aligned(64))); /* the instance's */
};

#define SIEVE_SERVICE "sieve"
struct sieve_write {
    uint32_t at, len; /* in struct sieve */
};
struct sieve_counts {
    uint32_t held[SIEVE_KINDS];
    uint32_t lost; /* frames that the machine had no time for, ever; nearly */
};

#define SIEVE_MAP_BYTES ((sizeof(struct sieve) + 4095) / 4096 * 4096) /* as it is mapped */

#endif
