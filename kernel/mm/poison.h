/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tells AddressSanitizer which memory is in use, so that host tests catch use
 * after free and overruns of slab objects and pages. Nothing in other builds.
 */
#ifndef MM_POISON_H
#define MM_POISON_H

#include "base/types.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define MM_ASAN 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define MM_ASAN 1
#endif

#ifdef MM_ASAN
void __asan_poison_memory_region(void const volatile *addr, size_t size);
void __asan_unpoison_memory_region(void const volatile *addr, size_t size);
#define MM_QUARANTINE 512u /* freed objects kept from reuse */
#define NO_ASAN __attribute__((no_sanitize("address")))
#define RAW_ACCESS NO_ASAN NOINLINE /* inlining would lose the attribute */
static inline void mem_poison(const void *p, size_t n) { __asan_poison_memory_region(p, n); }
static inline void mem_unpoison(const void *p, size_t n) { __asan_unpoison_memory_region(p, n); }
#else
#define MM_QUARANTINE 0u
#define NO_ASAN
#define RAW_ACCESS ALWAYS_INLINE
static inline void mem_poison(const void *p, size_t n) { (void)p, (void)n; }
static inline void mem_unpoison(const void *p, size_t n) { (void)p, (void)n; }
#endif

#endif
