/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The C library's memory and string functions that the kernel uses, under
 * their standard names and meanings (C17 7.24). On freestanding platforms
 * base/str.c implements them; hosted builds link the C library's.
 */
#ifndef BASE_STR_H
#define BASE_STR_H

#include "base/types.h"

void *memcpy(void *restrict dst, const void *restrict src, size_t n);
void *memmove(void *dst, const void *src, size_t n);
void *memset(void *dst, int c, size_t n);
int memcmp(const void *a, const void *b, size_t n);
void *memchr(const void *s, int c, size_t n);
size_t strlen(const char *s);
size_t strnlen(const char *s, size_t max);
int strcmp(const char *a, const char *b);
int strncmp(const char *a, const char *b, size_t n);
char *strchr(const char *s, int c);
char *strrchr(const char *s, int c);

#if !__STDC_HOSTED__ /* else the compiler knows these two by their names: of few bytes it makes moves */
#define memcpy(...) __builtin_memcpy(__VA_ARGS__)
#define memset(...) __builtin_memset(__VA_ARGS__)
#endif

/* Copy with truncation; `dst` is always terminated when size > 0. Returns
 * strlen(src), so a result >= size means that something was cut. */
size_t str_copy(char *dst, const char *src, size_t size);
bool str_starts_with(const char *s, const char *prefix);
/* Parse all of `s` as an unsigned number (0x prefix allowed). 0 or -EINVAL / -ERANGE. */
int str_to_u64(const char *s, u64 *ret_value);

#endif
