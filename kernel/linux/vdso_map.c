/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The vDSO in address spaces. The image is copied once into pages of its own, which
 * every program shares; before it lie the platform's clock page and a page of ours.
 *
 *   base          clock page of the platform (may be absent: then never read)
 *   base + 4096   struct vdso_data
 *   base + 8192   the shared object
 */
#include "task.h"
#include "base/fmt.h"
#include "base/str.h"
#include "kern/random.h"
#include "vdso/vvar.h"

static const u8 vdso_image[] = {
#include "linux/vdso_image.inc"
};
#define VDSO_PAGES ((sizeof vdso_image + PAGE_SIZE - 1) / PAGE_SIZE)
#define VVAR_PAGES 2

_Static_assert(sizeof(struct vdso_clock) == sizeof(struct plat_clock_params) &&
                   offsetof(struct vdso_clock, valid) == offsetof(struct plat_clock_params, valid) &&
                   offsetof(struct vdso_clock, tsc_base) == offsetof(struct plat_clock_params, tsc_base) &&
                   offsetof(struct vdso_clock, mult) == offsetof(struct plat_clock_params, mult) &&
                   offsetof(struct vdso_clock, ns_base) == offsetof(struct plat_clock_params, ns_base),
               "the vDSO's idea of the clock page");

/* Made with the first program, never freed. */
static struct page *data_page, *image_pages[VDSO_PAGES];
static struct mutex make_lock;
static bool made;

void vdso_clock_changed(void)
{
    if (data_page == NULL)
        return;
    struct vdso_data *d = page_virt(data_page);
    u64 now = now_ns();
    atomic_store(&d->wall_offset_ns, wall_ns() - now);
}

static int make_pages(void)
{
    struct plat_clock_params params;
    if (made)
        return 0;
    struct page *p = page_alloc(0, ALLOC_ZERO);
    if (p == NULL)
        return -ENOMEM;
    data_page = p;
    for (unsigned i = 0; i < VDSO_PAGES; i++) {
        image_pages[i] = page_alloc(0, ALLOC_ZERO);
        if (image_pages[i] == NULL)
            return -ENOMEM; /* the few pages made stay for the next try's leak of one: memory is gone anyway */
        memcpy(page_virt(image_pages[i]), vdso_image + i * PAGE_SIZE, MIN(PAGE_SIZE, sizeof vdso_image - i * PAGE_SIZE));
    }
    struct vdso_data *d = page_virt(p);
    d->cpu_from = plat_cpu_count() == 1 ? CPU_ONLY_ONE : arch_tells_cpu() ? CPU_FROM_RDTSCP : CPU_FROM_CALL;
    d->has_clock = plat_clock_page() != 0 && plat_clock_params(&params);
    vdso_clock_changed();
    made = true;
    return 0;
}

static int vvar_fault(struct vma *v, u64 index, struct page **ret)
{
    if (index != 1)
        return -EFAULT; /* the clock page is mapped from the start */
    *ret = page_get(data_page);
    return 0;
}

static int vdso_fault(struct vma *v, u64 index, struct page **ret)
{
    if (index >= VDSO_PAGES)
        return -EFAULT;
    *ret = page_get(image_pages[index]);
    return 0;
}

static void describe(struct vma *v, char *name, size_t size, u64 *dev, u64 *ino)
{
    str_copy(name, v->prot & MAP_EXEC ? "[vdso]" : "[vvar]", size);
    *dev = *ino = 0;
}

static const struct vma_ops vvar_ops = {.fault = vvar_fault, .describe = describe};
static const struct vma_ops vdso_ops = {.fault = vdso_fault, .describe = describe};

int vdso_map(struct addrspace *as, uaddr_t *ret_base)
{
    uaddr_t at;
    if (make_lock.waiters.next == NULL)
        mutex_init(&make_lock, "vdso");
    mutex_lock(&make_lock);
    int r = make_pages();
    mutex_unlock(&make_lock);
    if (r < 0)
        return r;
    struct map_request vvar = {
        .len_bytes = (VVAR_PAGES + VDSO_PAGES) * PAGE_SIZE, .prot = MAP_READ, .flags = VMA_SPECIAL | VMA_DONTDUMP, .ops = &vvar_ops,
    };
    r = as_map(as, &vvar, &at);
    if (r < 0)
        return r;
    struct map_request vdso = {
        .addr = at + VVAR_PAGES * PAGE_SIZE, .len_bytes = VDSO_PAGES * PAGE_SIZE, .prot = MAP_READ | MAP_EXEC, .fixed = true,
        .flags = VMA_SPECIAL, .ops = &vdso_ops,
    };
    uaddr_t text;
    r = as_map(as, &vdso, &text);
    if (r < 0)
        return r;
    paddr_t clock = plat_clock_page();
    if (clock != 0) {
        rwmutex_write_lock(&as->lock);
        spin_lock_bh(&as->pt_lock);
        r = plat_map(&as->plat, at, clock, PAGE_SIZE, MAP_READ);
        spin_unlock_bh(&as->pt_lock);
        rwmutex_write_unlock(&as->lock);
        if (r < 0)
            return r;
    }
    *ret_base = text;
    return 0;
}
