/* SPDX-License-Identifier: Apache-2.0 */
/* Address spaces as wholes: making, ending and looking into them; shared anonymous memory. */
#include "kern/addrspace.h"

#include "as_impl.h"
#include "base/str.h"
#include "kern/log.h"
#include "kern/pagecache.h"
#include "kern/slab.h"
#include "kern/trap.h"

/* --- shared anonymous memory: a page cache object without a file ------------------------ */

struct anon_object {
    struct refcount refs; /* areas */
    struct mapping mapping;
};

static const struct mapping_ops anon_mapping_ops = { NULL, NULL };

static void anon_open(struct vma *v)
{
    struct anon_object *o = v->object;
    ref_get(&o->refs);
}

static void anon_close(struct vma *v)
{
    struct anon_object *o = v->object;
    if (ref_put(&o->refs)) {
        mapping_done(&o->mapping);
        kfree(o);
    }
}

static void anon_describe(struct vma *v, char *ret_name, size_t size, u64 *ret_dev, u64 *ret_ino)
{
    str_copy(ret_name, "/dev/zero (deleted)", size);
    *ret_dev = 1;
    *ret_ino = ((uintptr_t)v->object >> 4) & 0xffffff;
}

const struct vma_ops anon_shared_ops = { .open = anon_open, .close = anon_close, .describe = anon_describe };

int anon_shared_create(u64 len_bytes, struct map_request *req)
{
    struct anon_object *o = kzalloc(sizeof(*o));
    if (o == NULL)
        return -ENOMEM;
    ref_init(&o->refs);
    mapping_init(&o->mapping, &anon_mapping_ops, o);
    o->mapping.size_bytes = len_bytes;
    req->object = o;
    req->mapping = &o->mapping;
    req->ops = &anon_shared_ops;
    req->pgoff = 0;
    return 0;
}

/* --- life ----------------------------------------------------------------------------------- */

static struct kmem_cache *as_cache;

int addrspace_create(struct addrspace **ret_as)
{
    struct addrspace *as = kmem_alloc(as_cache, ALLOC_ZERO);
    if (as == NULL)
        return -ENOMEM;
    int err = plat_aspace_init(&as->plat);
    if (err != 0) {
        kmem_free(as_cache, as);
        return err;
    }
    rwmutex_init(&as->lock, "addrspace");
    spin_init(&as->pt_lock, "addrspace.pt");
    ref_init(&as->refs);
    list_init(&as->dead);
    as->mmap_base = PLAT_USER_MAX;
    as->limit_as_bytes = as->limit_data_bytes = as->limit_stack_bytes = as->limit_locked_bytes = UINT64_MAX;
    *ret_as = as;
    return 0;
}

static void unmap_all(struct addrspace *as)
{
    rwmutex_write_lock(&as->lock);
    struct vma *v;
    while ((v = as_first(as)) != NULL) {
        as_zap(as, v->start, v->end); /* whole areas: no large page is split, so this cannot fail */
        vma_unlink(v);
    }
    as_write_unlock(as);
    ASSERT(as->rss_anon == 0 && as->rss_file == 0);
}

void addrspace_put(struct addrspace *as)
{
    if (as == NULL || !ref_put(&as->refs))
        return;
    unmap_all(as);
    returns_gone(as);
    callsite_done(as);
    plat_aspace_done(&as->plat);
    kmem_free(as_cache, as);
}

/* --- looking in from outside ------------------------------------------------------------------------ */

/* The page at va, referenced, with a private copy made first when it is to be written. as->lock held. */
static int page_for_copy(struct vma *v, uaddr_t va, bool write, struct page **ret_page)
{
    struct addrspace *as = v->as;
    for (unsigned try = 0; try < 4; try++) {
        paddr_t pa;
        int err = fault_in(v, va, write ? TRAP_WRITE : TRAP_READ, true);
        if (err != 0)
            return err;
        spin_lock_bh(&as->pt_lock);
        struct page *p = plat_lookup(&as->plat, va, &pa, NULL) ? counted_page(pa) : NULL;
        if (p != NULL)
            page_get(p);
        spin_unlock_bh(&as->pt_lock);
        if (p != NULL && (p->flags & PG_PATCHED)) { /* readers see what the file has, writers what it will have */
            page_put(p);
            if (write)
                continue;
            return mapping_get(v->mapping, vma_index(v, va), false, ret_page);
        }
        if (p != NULL) {
            *ret_page = p;
            return 0;
        }
    }
    return -EFAULT;
}

static s64 copy(struct addrspace *as, uaddr_t addr, void *buf, size_t len, bool write, bool force)
{
    size_t done = 0;
    int err = 0;
    rwmutex_read_lock(&as->lock);
    while (done < len) {
        uaddr_t at = addr + done, va = ALIGN_DOWN(at, PAGE_SIZE);
        struct vma *v = at >= addr && at < PLAT_USER_MAX ? as_find(as, va, false) : NULL;
        struct page *p;
        err = v == NULL || !(force || (v->prot & (write ? MAP_WRITE : MAP_READ))) ? -EFAULT : page_for_copy(v, va, write, &p);
        if (err != 0)
            break;
        size_t n = MIN(len - done, PAGE_SIZE - (at - va));
        u8 *kva = (u8 *)page_virt(p) + (at - va);
        if (write && buf == NULL)
            (memset)(kva, 0, n); /* the function: built for size, the compiler's goes by bytes */
        else if (write)
            (memcpy)(kva, (u8 *)buf + done, n);
        else
            (memcpy)((u8 *)buf + done, kva, n);
        page_put(p);
        done += n;
    }
    rwmutex_read_unlock(&as->lock);
    return done != 0 ? (s64)done : err;
}

s64 as_copy(struct addrspace *as, uaddr_t addr, void *buf, size_t len, bool write) { return copy(as, addr, buf, len, write, true); }
s64 as_copy_as_user(struct addrspace *as, uaddr_t addr, void *buf, size_t len, bool write) { return copy(as, addr, buf, len, write, false); }

int as_page(struct addrspace *as, uaddr_t addr, struct page **ret_page)
{
    rwmutex_read_lock(&as->lock);
    struct vma *v = addr < PLAT_USER_MAX ? as_find(as, ALIGN_DOWN(addr, PAGE_SIZE), false) : NULL;
    int err = v == NULL || !(v->prot & MAP_READ) ? -EFAULT : page_for_copy(v, ALIGN_DOWN(addr, PAGE_SIZE), false, ret_page);
    rwmutex_read_unlock(&as->lock);
    return err;
}

void addrspace_init_subsystem(void)
{
    vma_init();
    as_cache = kmem_cache_create("addrspace", sizeof(struct addrspace), 0);
    trap_handlers.page_fault = as_fault_current;
}
