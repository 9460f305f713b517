/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Address spaces of programs: an ordered set of areas (struct vma), filled in on
 * demand by faults. Which physical page lies where is recorded by the platform
 * (plat_map); private pages are PAGE_ANON with one reference for each mapping,
 * so a page with refs == 1 may be written in place and one with more is copied.
 *
 * Locks: as->lock, read for faults, write for everything that changes areas.
 * as->pt_lock (a spinlock) serialises every plat_* call on the address space, so faults may
 * run side by side and reclaim may unmap a page without as->lock. The extent of
 * a file area changes only with its mapping->lock held as well.
 * Order: as->lock, mapping->lock, as->pt_lock. vma_ops.close runs without any of them.
 *
 * What is asked of the platform beyond kern/plat.h's words: plat_protect(.., 0)
 * keeps the record of the page (plat_lookup and plat_unmap still find it), plat_lookup may
 * add MAP_HUGE to the rights it returns, and plat_map takes its tables without sleeping.
 *
 * No mapping is writable and executable at once: where a program asks for both,
 * each page has one of the two rights at a time, and a fault changes it over.
 */
#ifndef KERN_ADDRSPACE_H
#define KERN_ADDRSPACE_H

#include "base/list.h"
#include "base/rbtree.h"
#include "kern/lock.h"
#include "kern/plat.h"

struct callsites;
struct mapping;
struct page;
struct vma;

/* vma flags. Protection bits are MAP_READ / MAP_WRITE / MAP_EXEC of kern/plat.h. */
#define VMA_SHARED 0x0001u
#define VMA_GROWSDOWN 0x0002u
#define VMA_STACK 0x0004u
#define VMA_HEAP 0x0008u
#define VMA_LOCKED 0x0010u
#define VMA_NORESERVE 0x0020u
#define VMA_NOHUGE 0x0040u
#define VMA_HUGE 0x0080u
#define VMA_MAYWRITE 0x0100u /* mprotect may add MAP_WRITE (shared file opened for writing) */
#define VMA_DONTFORK 0x0200u
#define VMA_DONTDUMP 0x0400u
#define VMA_SPECIAL 0x0800u  /* vdso, vvar: may not be merged or remapped in parts */
#define VMA_WIPEONFORK 0x1000u
#define VMA_ONFAULT 0x2000u /* VMA_LOCKED, but not brought in (MLOCK_ONFAULT) */
#define VMA_LOCKS (VMA_LOCKED | VMA_ONFAULT)

/* Area types: anonymous and page-cache ones are mm's own; others bring these. */
struct vma_ops {
    /* Page for `index` pages into the object, referenced. NULL = mm's default
     * (anonymous zero page, or the mapping's page). */
    int (*fault)(struct vma *vma, u64 index, struct page **ret_page);
    void (*open)(struct vma *vma);  /* another area refers to the object (split, fork) */
    void (*close)(struct vma *vma); /* one less */
    /* What /proc/PID/maps shows: name, device, inode number. */
    void (*describe)(struct vma *vma, char *ret_name, size_t size, u64 *ret_dev, u64 *ret_ino);
};

struct vma {
    struct rb_node node;        /* as->lock */
    struct addrspace *as;
    uaddr_t start, end;
    u32 prot, flags;
    const struct vma_ops *ops;  /* may be NULL */
    struct mapping *mapping;    /* file areas; NULL = anonymous */
    void *object;               /* ops' own: struct file */
    u64 pgoff;                  /* page index in the object of `start` */
    struct list mapping_node;   /* mapping->lock */
    u64 fault_next;             /* expected next sequential fault; a guess, written under as->lock read */
    u32 fault_run;              /* pages the last one mapped; a guess */
};

struct addrspace {
    struct rwmutex lock;
    struct rb_root vmas;
    struct vma *cached;         /* last found */
    struct refcount refs;
    struct plat_aspace plat;
    u32 vma_count;
    u64 total_pages, data_pages, stack_pages, locked_pages;
    u32 lock_next;              /* as->lock: VMA_LOCKS of areas to come (MCL_FUTURE) */
    u64 rss_anon, rss_file;     /* atomic */
    u64 hiwater_rss;
    uaddr_t mmap_base;          /* top-down search starts here */
    uaddr_t brk_start, brk;
    uaddr_t arg_start, arg_end, env_start, env_end, stack_start;
    u64 limit_as_bytes, limit_data_bytes, limit_stack_bytes, limit_locked_bytes; /* RLIMIT_*; UINT64_MAX = none */
    struct spinlock pt_lock;    /* plat, rss_* */
    u64 free_top, hole_max;     /* as->lock: where the search for room goes on; no larger hole above */
    struct list dead;           /* as->lock: areas to close when it is released */
    bool reaped;                /* atomic: as_reap() was here */
    bool forked;                /* as->lock: anonymous pages may be shared with a copy */
    u64 faults_minor, faults_major; /* relaxed: for getrusage */
    uaddr_t flip_page;          /* pt_lock: page whose write or execute right changed over last ... */
    u32 flip_count;             /* ... and how often in a row */
    struct callsites *sites;    /* as->lock: patched system calls, kern/callsite.h; NULL = none yet */
};

#define AS_MAX_VMAS 65530 /* vm.max_map_count */

/* What may be promised beyond what there is: /proc/sys/vm/overcommit_*, read and written atomically. */
enum overcommit_mode { COMMIT_GUESS /* all but what there can never be */, COMMIT_ALWAYS, COMMIT_NEVER };
struct overcommit {
    u32 mode;   /* enum overcommit_mode */
    u32 ratio;  /* COMMIT_NEVER: the limit in percent of memory, */
    u32 kbytes; /* or this if not 0 */
};
extern struct overcommit overcommit;
u64 commit_limit_pages(void);
u64 commit_used_pages(void); /* promised to private memory that may be written */

void addrspace_init_subsystem(void);
int addrspace_create(struct addrspace **ret_as);
static inline struct addrspace *addrspace_get(struct addrspace *as) { ref_get(&as->refs); return as; }
void addrspace_put(struct addrspace *as); /* unmaps everything at zero */
/* Take the private anonymous memory of a program all of whose threads must end, wherever they wait, but for n spared pages. What they still touch of the rest is
 * an EFAULT, never zeros that would pass for data. Whatever locks are held above as->lock; as->lock is only tried: false if it was taken. */
bool as_reap(struct addrspace *as, const uaddr_t *spared, unsigned n);
/* Read what is there already: neither faults nor sleeps, and takes as->pt_lock only. False: something is not. */
bool as_peek(struct addrspace *as, uaddr_t addr, void *buf, size_t len);

struct map_request {
    uaddr_t addr;     /* hint, or exact with fixed */
    u64 len_bytes;
    u32 prot, flags;
    bool fixed, noreplace;
    const struct vma_ops *ops;
    struct mapping *mapping;
    void *object;     /* ops->open is not called for the first area: the caller's reference moves in on success */
    u64 pgoff;
};
/* All take and release as->lock. -ENOMEM (space, limits, area count), -EINVAL, -EEXIST (noreplace), -EPERM, -EAGAIN (locked memory). */
int as_map(struct addrspace *as, const struct map_request *req, uaddr_t *ret_addr);
int as_unmap(struct addrspace *as, uaddr_t addr, u64 len_bytes);
int as_protect(struct addrspace *as, uaddr_t addr, u64 len_bytes, u32 prot); /* -EACCES, -ENOMEM (hole) */
int as_remap(struct addrspace *as, uaddr_t old, u64 old_len, u64 new_len, u64 flags, uaddr_t new_addr, uaddr_t *ret_addr);
int as_advise(struct addrspace *as, uaddr_t addr, u64 len_bytes, int advice);
int as_sync(struct addrspace *as, uaddr_t addr, u64 len_bytes, int flags);
/* What is mapped of an area, in pages; what N places have mapped counts as an Nth of its bytes in pss_bytes. */
struct vma_usage {
    u64 anonymous, pages[2][2]; /* [in other places, too?][not as the file has it?] */
    u64 pss_bytes;
};
void vma_add_usage(struct vma *v, struct vma_usage *u); /* as->lock held. No further when the thread must end */
/* Is a page of v the process' own, as one is behind a write to a private file area? as->lock held. */
bool vma_has_private_pages(struct vma *v);
int as_mincore(struct addrspace *as, uaddr_t addr, u64 len_bytes, u8 *ret_vec);
/* mlock(2), munlock(2): the areas' VMA_LOCKS become these. -ENOMEM (a hole, the limit), -EPERM (none may be locked) */
int as_lock_range(struct addrspace *as, uaddr_t addr, u64 len_bytes, u32 locks);
/* mlockall(2), munlockall(2): VMA_LOCKS of the areas there are (NULL: they stay as they are) and of those to come. Errors as above. */
int as_lock_all(struct addrspace *as, const u32 *now, u32 next);
/* The personality's: may the current thread lock more than limit_locked_bytes? NULL: no. */
extern bool (*as_lock_unlimited)(void);
int as_set_brk(struct addrspace *as, uaddr_t brk, uaddr_t *ret_brk);
/* Fault [addr, addr+len) in for reading or writing (MADV_POPULATE_*); access 0: as it may be used, private pages where it may be written (MAP_POPULATE). */
int as_populate(struct addrspace *as, uaddr_t addr, u64 len_bytes, unsigned access);
/* The page fault handler of the current thread's address space; trap_handlers.page_fault. */
int as_fault_current(u64 addr, unsigned access);
/* The personality's: a fault of the current thread found no memory, even by reclaim. `tries` is its to count in, from 0. True: there may be some now. Sleeps, with whatever a system call
 * holds while it touches program memory; but no lock of mm. NULL: there is nobody. */
extern bool (*as_no_memory)(unsigned *tries);
int as_fault(struct addrspace *as, u64 addr, unsigned access);
/* Area containing addr, or the first one above it when `or_next`. as->lock held. */
struct vma *as_find(struct addrspace *as, uaddr_t addr, bool or_next);
struct vma *as_next(struct vma *vma);
static inline struct vma *as_first(struct addrspace *as)
{
    struct rb_node *n = rb_first(&as->vmas);
    return n != NULL ? rb_entry(n, struct vma, node) : NULL;
}
/* Copy between kernel memory and any address space (ptrace, /proc/PID/mem, core). Written from NULL: zeros. */
s64 as_copy(struct addrspace *as, uaddr_t addr, void *buf, size_t len, bool write);
/* As as_copy(), where the program itself may read or write (process_vm_readv()). */
s64 as_copy_as_user(struct addrspace *as, uaddr_t addr, void *buf, size_t len, bool write);
/* The page at addr as the program reads it now, referenced: 0, -EFAULT, -ENOMEM. What the program writes later may be in it or not. */
int as_page(struct addrspace *as, uaddr_t addr, struct page **ret_page);
/* Copy-on-write duplicate for fork. -ENOMEM, or -EINTR: the thread must end */
int addrspace_fork(struct addrspace *from, struct addrspace **ret_as);

#endif
