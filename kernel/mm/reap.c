/* SPDX-License-Identifier: Apache-2.0 */
#include "as_impl.h"

#include "base/str.h"

bool as_peek(struct addrspace *as, uaddr_t addr, void *buf, size_t len)
{
    for (size_t done = 0, n; done < len; done += n) {
        uaddr_t at = addr + done, in_page = at & (PAGE_SIZE - 1);
        paddr_t pa;
        n = MIN(len - done, PAGE_SIZE - in_page);
        if (at < addr || at < PLAT_USER_MIN || at >= PLAT_USER_MAX)
            return false;
        spin_lock_bh(&as->pt_lock);
        const struct page *p = plat_lookup(&as->plat, at - in_page, &pa, NULL) ? counted_page(pa) : NULL;
        if (p != NULL)
            memcpy((u8 *)buf + done, (u8 *)page_virt(p) + in_page, n);
        spin_unlock_bh(&as->pt_lock);
        if (p == NULL)
            return false;
    }
    return true;
}

/* The lowest page of [start, end) that is spared, or end. */
static uaddr_t next_spared(const uaddr_t *spared, unsigned n, uaddr_t start, uaddr_t end)
{
    for (unsigned i = 0; i < n; i++)
        if (spared[i] >= start && spared[i] < end)
            end = spared[i];
    return end;
}

bool as_reap(struct addrspace *as, const uaddr_t *spared, unsigned n)
{
    if (!rwmutex_read_trylock(&as->lock))
        return false;
    atomic_store(&as->reaped, true);
    for (struct vma *v = as_first(as); v != NULL; v = as_next(v)) {
        if (!vma_private_anon(v) || (v->flags & VMA_SPECIAL))
            continue;
        for (uaddr_t at = v->start, stop; at < v->end; at = stop + PAGE_SIZE) {
            stop = next_spared(spared, n, at, v->end);
            as_zap(as, at, stop); /* a large page around one that is spared stays if it cannot be split */
        }
    }
    rwmutex_read_unlock(&as->lock);
    return true;
}
