/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory, strings and clean-up for the host tools. Allocation failure ends the
 * program with a message: a command-line tool has nothing better to do.
 */
#ifndef HOST_LIB_UTIL_H
#define HOST_LIB_UTIL_H

#include <stdlib.h>
#include <unistd.h>

#include "base/types.h"

static inline void auto_free_fn(void *p) { free(*(void **)p); }
static inline void auto_close_fn(int *fd)
{
    if (*fd >= 0)
        close(*fd);
}
#define AUTO_FREE __attribute__((cleanup(auto_free_fn)))
#define AUTO_CLOSE __attribute__((cleanup(auto_close_fn)))

/* Hand over an automatically freed pointer or closed descriptor. */
#define TAKE_PTR(p) ({ __typeof__(p) taken_ = (p); (p) = NULL; taken_; })
#define TAKE_FD(fd) ({ int taken_ = (fd); (fd) = -1; taken_; })

void *xalloc(size_t size); /* zeroed */
void *xrealloc(void *p, size_t size);
char *xstrdup(const char *s);
char *xstrndup(const char *s, size_t n);
char *str_format(const char *format, ...) PRINTF_LIKE(1, 2);
void str_ascii(char *s); /* what is not printable ASCII becomes '?' */
/* Length of the UTF-8 character at text, at most len bytes; 0: it is none (RFC 3629). */
size_t utf8_len(const char *text, size_t len);
/* Text from an instance, for a terminal: control characters but those of `keep`, the second set of them (U+0080 to U+009F, in which
 * CSI is one character) and what is no UTF-8 become '?', each byte one. */
void text_clean(char *text, size_t len, const char *keep);
bool str_has_prefix(const char *s, const char *prefix);
bool str_has_suffix(const char *s, const char *suffix);
/* "64M" -> bytes; suffixes K M G, plain numbers are bytes times `unit`. 0 or -1. */
int parse_size(const char *s, u64 unit, u64 *ret_bytes);
/* All of s as a decimal number in [min, max]. 0 or -1. */
int parse_number(const char *s, u64 min, u64 max, u64 *ret_value);

/* NULL-terminated vector of owned strings. */
struct strv {
    char **items; /* NULL while empty */
    size_t count, capacity;
};
void strv_add(struct strv *v, const char *s);
void strv_take(struct strv *v, char *s); /* takes ownership */
void strv_addf(struct strv *v, const char *format, ...) PRINTF_LIKE(2, 3);
void strv_done(struct strv *v);
bool strv_contains(const struct strv *v, const char *s);

/* A growing run of bytes; `data` is kept NUL-terminated. */
struct buf {
    char *data;
    size_t len, capacity;
};
void buf_add(struct buf *b, const void *data, size_t len);
void buf_fit(struct buf *b); /* no more memory than its bytes need */
void buf_drop(struct buf *b, size_t len); /* the first len bytes */
void buf_addf(struct buf *b, const char *format, ...) PRINTF_LIKE(2, 3);
void buf_add_clean(struct buf *b, const char *text, size_t max, const char *keep); /* up to its end, as text_clean() leaves it */
void buf_done(struct buf *b);

/* String -> pointer. Keys are copied; values belong to the caller. */
struct map_slot {
    char *key;
    void *value;
};
struct map {
    struct map_slot *slots;
    size_t count, capacity;
};
void *map_get(const struct map *m, const char *key);
/* Add or replace. `value` must not be NULL. */
void map_put(struct map *m, const char *key, void *value);
void map_done(struct map *m, void (*free_value)(void *));

u64 hash_bytes(const void *data, size_t len, u64 seed); /* FNV-1a, 64 bits */
u64 now_ns(void);                                       /* CLOCK_MONOTONIC */

#endif
