/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Program memory. A range is checked by subtraction, then the architecture's
 * copy routine runs; a fault inside it comes back through trap_handlers.page_fault,
 * which fills the page in, and if that fails the routine stops at its fixup.
 *
 * The nofault count belongs to the CPU: a thread that holds it may not sleep, so
 * it cannot move.
 */
#include "kern/uaccess.h"

#include "base/checked.h"
#include "kern/arch.h"
#include "kern/atomic.h"
#include "kern/percpu.h"

static u32 nofault_depth[MAX_CPUS];

void uaccess_nofault_begin(void)
{
    nofault_depth[this_cpu()->cpu]++;
    compiler_barrier();
}

void uaccess_nofault_end(void)
{
    compiler_barrier();
    nofault_depth[this_cpu()->cpu]--;
}

bool uaccess_nofault(void) { return nofault_depth[this_cpu()->cpu] != 0; }

bool user_range_ok(uaddr_t addr, u64 len)
{
    /* Low addresses may be named (a read at the end of a file into a null pointer is fine), not touched. */
    return range_inside(addr, len, PLAT_USER_MAX);
}

/* May it be touched? */
static bool touchable(uaddr_t addr, u64 len)
{
    return len == 0 || (addr >= PLAT_USER_MIN && range_inside(addr, len, PLAT_USER_MAX));
}

/* The part of [addr, addr + n) from addr on that programs may own. */
static size_t clip(uaddr_t addr, size_t n)
{
    if (addr < PLAT_USER_MIN || addr >= PLAT_USER_MAX)
        return 0;
    return MIN(n, PLAT_USER_MAX - addr);
}

size_t copy_from_user_partial(void *dst, uaddr_t src, size_t n)
{
    size_t len = clip(src, n);
    return len - arch_copy_user(dst, (const void *)(uintptr_t)src, len);
}

size_t copy_to_user_partial(uaddr_t dst, const void *src, size_t n)
{
    size_t len = clip(dst, n);
    return len - arch_copy_user((void *)(uintptr_t)dst, src, len);
}

int copy_from_user(void *dst, uaddr_t src, size_t n)
{
    if (!touchable(src, n) || arch_copy_user(dst, (const void *)(uintptr_t)src, n) != 0)
        return -EFAULT;
    return 0;
}

int copy_to_user(uaddr_t dst, const void *src, size_t n)
{
    if (!touchable(dst, n) || arch_copy_user((void *)(uintptr_t)dst, src, n) != 0)
        return -EFAULT;
    return 0;
}

int zero_user(uaddr_t dst, size_t n)
{
    if (!touchable(dst, n) || arch_zero_user((void *)(uintptr_t)dst, n) != 0)
        return -EFAULT;
    return 0;
}

s64 copy_string_from_user(char *dst, uaddr_t src, size_t size)
{
    size_t max = clip(src, size);
    bool fault = false;
    if (max == 0)
        return size == 0 ? -ENAMETOOLONG : -EFAULT;
    size_t len = arch_strnlen_user((const char *)(uintptr_t)src, max, &fault);
    if (fault)
        return -EFAULT;
    if (len == max)
        return max < size ? -EFAULT : -ENAMETOOLONG;
    if (arch_copy_user(dst, (const void *)(uintptr_t)src, len) != 0)
        return -EFAULT;
    dst[len] = '\0'; /* the program may have changed it meanwhile */
    /* ... and an end inside what was copied would contradict the length returned */
    for (size_t i = 0; i < len; i++)
        if (dst[i] == '\0')
            return (s64)i;
    return (s64)len;
}

int get_user_u32(uaddr_t addr, u32 *ret) { return copy_from_user(ret, addr, sizeof(*ret)); }
int get_user_u64(uaddr_t addr, u64 *ret) { return copy_from_user(ret, addr, sizeof(*ret)); }
int put_user_u32(uaddr_t addr, u32 v) { return copy_to_user(addr, &v, sizeof(v)); }
int put_user_u64(uaddr_t addr, u64 v) { return copy_to_user(addr, &v, sizeof(v)); }

int cas_user_u32(uaddr_t addr, u32 expected, u32 desired, u32 *ret_old)
{
    if (!touchable(addr, sizeof(u32)))
        return -EFAULT;
    return arch_cas_user_u32((u32 *)(uintptr_t)addr, expected, desired, ret_old);
}
