/* SPDX-License-Identifier: Apache-2.0 */
/* Byte order and unaligned access for wire and disk formats. */
#ifndef BASE_BYTES_H
#define BASE_BYTES_H

#include "base/types.h"

static inline u16 bswap16(u16 v) { return __builtin_bswap16(v); }
static inline u32 bswap32(u32 v) { return __builtin_bswap32(v); }
static inline u64 bswap64(u64 v) { return __builtin_bswap64(v); }

/* Every supported machine is little-endian; the build checks it. */
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "little-endian only");
static inline u16 be16(u16 v) { return bswap16(v); } /* both directions */
static inline u32 be32(u32 v) { return bswap32(v); }
static inline u64 be64(u64 v) { return bswap64(v); }

static inline u16 get_u16(const void *p) { u16 v; __builtin_memcpy(&v, p, 2); return v; }
static inline u32 get_u32(const void *p) { u32 v; __builtin_memcpy(&v, p, 4); return v; }
static inline u64 get_u64(const void *p) { u64 v; __builtin_memcpy(&v, p, 8); return v; }
static inline u16 get_be16(const void *p) { return be16(get_u16(p)); }
static inline u32 get_be32(const void *p) { return be32(get_u32(p)); }
static inline void put_u16(void *p, u16 v) { __builtin_memcpy(p, &v, 2); }
static inline void put_u32(void *p, u32 v) { __builtin_memcpy(p, &v, 4); }
static inline void put_u64(void *p, u64 v) { __builtin_memcpy(p, &v, 8); }
static inline void put_be16(void *p, u16 v) { put_u16(p, be16(v)); }
static inline void put_be32(void *p, u32 v) { put_u32(p, be32(v)); }

#endif
