/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When there is so little memory left for the files' pages that a program does hardly more than
 * read back what was just dropped, it will not get anywhere: that must end, like any other lack
 * of memory, and not go on for hours. The evidence is taken in two steps:
 *
 *   refault   a page is read that was dropped not long before (the last NEAR dropped). Programs
 *             that stream through a file larger than memory have none of these.
 *   window    of WINDOW_NS: bad when more than half of it went into refaults, including the search
 *             for memory and FAULT_NS for the fault around each, while the files have less than an
 *             eighth of all memory.
 *
 * After BAD_WINDOWS bad ones in a row the replacement drops no more mapped pages, so that the next
 * allocation fails: with ENOMEM, or with the end of the program and a report. A window that is not
 * bad starts all over.
 */
#include "kern/lock.h"
#include "kern/log.h"
#include "kern/page.h"
#include "pagecache_impl.h"

#define SLOTS 512u /* power of two */
#define NEAR 512u
#define WINDOW_NS (2 * NSEC_PER_SEC)
#define BAD_WINDOWS 3u
#define FAULT_NS 30000u /* trap, mapping here, unmapping there: where the host has the file in memory, more than the read */
#define CACHE_SHARE 8u

static struct {
    struct spinlock lock;
    u32 dropped;                      /* pages ever; the rest: lock */
    u64 start_ns, lost_ns;            /* of this window */
    unsigned bad;                     /* bad windows in a row */
} th = { .lock = SPINLOCK_INIT("thrash") };

static struct {
    u32 hash, at;                     /* at: value of th.dropped then */
} slots[SLOTS];                       /* th.lock */

/* Never 0, which marks an empty slot. */
static u32 hash_of(const struct mapping *m, u64 index)
{
    return (u32)(((u64)(uintptr_t)m + index * 0x9e3779b97f4a7c15ULL) * 0xff51afd7ed558ccdULL >> 32) | 1;
}

void thrash_dropped(const struct mapping *m, u64 index)
{
    u32 hash = hash_of(m, index);
    spin_lock(&th.lock);
    slots[(hash >> 1) % SLOTS].hash = hash;
    slots[(hash >> 1) % SLOTS].at = th.dropped++;
    spin_unlock(&th.lock);
}

bool thrash_refault(const struct mapping *m, u64 index)
{
    if (likely(atomic_load_relaxed(&th.dropped) == 0))
        return false;
    u32 hash = hash_of(m, index);
    spin_lock(&th.lock);
    bool again = slots[(hash >> 1) % SLOTS].hash == hash && th.dropped - slots[(hash >> 1) % SLOTS].at <= NEAR;
    spin_unlock(&th.lock);
    return again;
}

static bool cache_is_small(void)
{
    struct mem_stats s;
    page_stats(&s);
    return s.cache_pages < s.total_pages / CACHE_SHARE;
}

void thrash_lost(u64 from_ns, u64 to_ns)
{
    bool judge = false;
    spin_lock(&th.lock);
    u64 length = to_ns - th.start_ns;
    th.lost_ns += to_ns - from_ns + FAULT_NS;
    if (length >= WINDOW_NS) {
        judge = length < 2 * WINDOW_NS && th.lost_ns > length / 2;
        if (!judge)
            th.bad = 0;
        th.start_ns = to_ns;
        th.lost_ns = 0;
    }
    spin_unlock(&th.lock);
    if (!judge)
        return;
    bool small = cache_is_small();
    spin_lock(&th.lock);
    th.bad = small ? th.bad + 1 : 0;
    bool enough = th.bad == BAD_WINDOWS;
    spin_unlock(&th.lock);
    if (enough)
        klog(LOG_WARN, "out of memory: most of the time goes into reading back pages of files that had to be dropped");
}

bool thrashing(void)
{
    return atomic_load_relaxed(&th.bad) >= BAD_WINDOWS;
}
