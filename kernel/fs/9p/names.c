/* SPDX-License-Identifier: Apache-2.0 */
/*
 * 9P: what directories are known to hold. See p9_impl.h.
 *
 * While a directory's version stays what it is, so do its names: one request for its attributes stands for a walk to each name that
 * was walked to under this version. Programs that search many directories (ld.so, Erlang, Python, Java) ask for names that are
 * not there, each once: after some of them all names are fetched, and the rest is answered by their hashes.
 */
#include "kern/timer.h"
#include "p9_impl.h"

#define MISSES_BEFORE_FETCH 8u
#define FETCH_MAX 4096u /* names */

static void forget(struct p9_names *names)
{
    kfree(names->hashes);
    names->hashes = NULL;
    names->misses = 0;
}

void p9_names_are(struct inode *dir, u64 version)
{
    struct p9_names *names = &p9_i(dir)->names;
    if (version == names->version)
        return;
    forget(names);
    names->version = version;
    names->since_ns = now_ns(); /* what was asked for before may have been answered before */
}

/* Is there a version, and is it the present one (C1)? */
static bool known(struct inode *dir)
{
    struct p9_inode *pi = p9_i(dir);
    return pi->names.version != 0 && (p9_fresh(pi->checked_ns, now_ns()) || p9_refresh(dir) == 0) && pi->names.version != 0;
}

bool p9_names_same(struct inode *dir, u64 since_ns) { return known(dir) && since_ns >= p9_i(dir)->names.since_ns; }

void p9_names_missed(struct inode *dir)
{
    struct p9_names *names = &p9_i(dir)->names;
    if (names->misses <= MISSES_BEFORE_FETCH)
        names->misses++;
}

/* --- all of them -------------------------------------------------------------------------- */

/* Where the hash is in the table, or would be: never full, 0 is empty. */
static u32 *place(const struct p9_names *names, u32 hash)
{
    u32 k = hash & names->mask;
    while (names->hashes[k] != 0 && names->hashes[k] != hash)
        k = (k + 1) & names->mask;
    return &names->hashes[k];
}

static u32 nonzero(u32 hash) { return hash != 0 ? hash : 1; }

/* A table of them. No memory: none. */
static void keep(struct p9_names *names, const u32 *hashes, u32 n)
{
    u32 size = 4;
    while (size < 2 * n)
        size *= 2;
    names->hashes = kzalloc(size * sizeof(*hashes));
    names->mask = size - 1;
    for (u32 k = 0; names->hashes != NULL && k < n; k++)
        *place(names, hashes[k]) = hashes[k];
}

/* Hashes of up to FETCH_MAX names into *ret_n of the array: 0, -EFBIG, or what the host says. */
static int read_hashes(struct p9_conn *c, u32 fid, u8 *buf, u32 *hashes, u32 *ret_n)
{
    u64 pos = 0;
    u32 n = 0;
    for (;;) {
        u32 len = 0;
        int err = p9_read_dir(c, fid, pos, buf, &len);
        if (err != 0 || len == 0) {
            *ret_n = n;
            return err;
        }
        for (u32 at = 0; at < len;) {
            struct p9_entry e;
            err = p9_get_entry(buf, len, &at, &e);
            if (err != 0 || n == FETCH_MAX)
                return err != 0 ? err : -EFBIG;
            hashes[n++] = nonzero(name_hash(e.name, e.len));
            pos = e.next;
        }
    }
}

/* All names under the present version. A failure costs walks. */
static void fetch(struct inode *dir)
{
    struct p9_names *names = &p9_i(dir)->names;
    u64 version = names->version;
    u32 fid, n = 0;
    u8 *buf = kmalloc(P9_DIR_BYTES, ALLOC_NORETRY);
    u32 *hashes = kmalloc(FETCH_MAX * sizeof(*hashes), ALLOC_NORETRY);
    if (buf != NULL && hashes != NULL && p9_open_fid(dir, O_RDONLY, &fid) == 0) {
        int err = read_hashes(p9_c(dir), fid, buf, hashes, &n);
        p9_clunk(p9_c(dir), fid);
        if (err == 0 && p9_refresh(dir) == 0 && names->version == version)
            keep(names, hashes, n);
    }
    kfree(hashes);
    kfree(buf);
}

bool p9_names_lack(struct inode *dir, u32 hash)
{
    struct p9_names *names = &p9_i(dir)->names;
    if (!known(dir))
        return false;
    if (names->misses == MISSES_BEFORE_FETCH) {
        names->misses++; /* once for each version */
        fetch(dir);
    }
    return names->hashes != NULL && *place(names, nonzero(hash)) == 0;
}
