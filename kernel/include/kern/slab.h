/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Small objects. kfree() takes anything that kmalloc() or kmem_alloc() gave.
 * Threads and bottom halves; alloc_flags are those of kern/page.h.
 */
#ifndef KERN_SLAB_H
#define KERN_SLAB_H

#include "kern/page.h"

struct kmem_cache;

void slab_init(void);
/* align 0 = natural. The name must outlive the cache. Panics at boot when out of memory. */
struct kmem_cache *kmem_cache_create(const char *name, size_t size, size_t align);
/* So many objects come or go in one go: keep as many on each CPU, where memory allows. */
void kmem_cache_burst(struct kmem_cache *c, unsigned objects);
void *kmem_alloc(struct kmem_cache *c, unsigned alloc_flags); /* NULL when out of memory */
void kmem_free(struct kmem_cache *c, void *obj);              /* NULL is fine */

void *kmalloc(size_t size, unsigned alloc_flags);  /* up to 4 MiB, 16-aligned; NULL when out of memory */
static inline void *kzalloc(size_t size) { return kmalloc(size, ALLOC_ZERO); }
void *krealloc(void *p, size_t old_size, size_t new_size);
void kfree(void *p);
char *kstrdup(const char *s);

/* Give empty slabs and this CPU's cached objects back; returns the pages freed. */
size_t slab_trim(void);

/* Virtually contiguous kernel memory with an unmapped guard page on both sides
 * (vmap.c). Contents are undefined. May sleep; vmap_free() may not be called by bottom halves. */
void *vmap_alloc(size_t size_bytes);
void vmap_free(void *p, size_t size_bytes);
/* All of it is code from now on: executable, and written by nobody. 0 or -ENOMEM: then it is good for vmap_free() only. May sleep. */
int vmap_make_code(void *p, size_t size_bytes);

/* Debug: objects in use, for leak checks. */
size_t kmem_cache_in_use(const struct kmem_cache *c);
void slab_for_each_cache(void (*fn)(const char *name, size_t size, size_t in_use, size_t pages, void *ctx), void *ctx);

#endif
