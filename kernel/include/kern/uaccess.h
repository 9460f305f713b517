/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The only ways to touch a program's memory. Each checks that the range lies in
 * [PLAT_USER_MIN, PLAT_USER_MAX), resolves faults (so may sleep), and returns
 * -EFAULT when that fails. uaccess_nofault_begin/end make faults fail at once:
 * for use under spinlocks.
 */
#ifndef KERN_UACCESS_H
#define KERN_UACCESS_H

#include "kern/types.h"

bool user_range_ok(uaddr_t addr, u64 len);
int copy_from_user(void *dst, uaddr_t src, size_t n); /* 0 or -EFAULT */
int copy_to_user(uaddr_t dst, const void *src, size_t n);
int zero_user(uaddr_t dst, size_t n);
/* Bytes actually copied before a fault, 0..n. */
size_t copy_from_user_partial(void *dst, uaddr_t src, size_t n);
size_t copy_to_user_partial(uaddr_t dst, const void *src, size_t n);
/* String with its end: its length, -EFAULT, or -ENAMETOOLONG when size is too small. */
s64 copy_string_from_user(char *dst, uaddr_t src, size_t size);
int get_user_u32(uaddr_t addr, u32 *ret);
int get_user_u64(uaddr_t addr, u64 *ret);
int put_user_u32(uaddr_t addr, u32 v);
int put_user_u64(uaddr_t addr, u64 v);
int cas_user_u32(uaddr_t addr, u32 expected, u32 desired, u32 *ret_old);

void uaccess_nofault_begin(void);
void uaccess_nofault_end(void);
bool uaccess_nofault(void);

#endif
