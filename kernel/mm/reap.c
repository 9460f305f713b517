/* SPDX-License-Identifier: Apache-2.0 */
#include "as_impl.h"

bool as_reap(struct addrspace *as)
{
    if (!rwmutex_read_trylock(&as->lock))
        return false;
    atomic_store(&as->reaped, true);
    for (struct vma *v = as_first(as); v != NULL; v = as_next(v))
        if (vma_private_anon(v) && !(v->flags & VMA_SPECIAL))
            as_zap(as, v->start, v->end); /* whole areas: no large page is split, so this cannot fail */
    rwmutex_read_unlock(&as->lock);
    return true;
}
