/* SPDX-License-Identifier: Apache-2.0 */
/* Caches of an x86-64 CPU: CPUID leaf 4 (Intel SDM), or the same in AMD's 8000001D (APM volume 3, appendix E). */
#include "sysfs.h"
#include "arch/cpu.h"

static u32 leaf(void)
{
    if (cpuid(0, 0).eax >= 4 && (cpuid(4, 0).eax & 31) != 0)
        return 4;
    bool described = cpuid(0x80000000, 0).eax >= 0x8000001d && (cpuid(0x80000001, 0).ecx >> 22 & 1); /* TOPOEXT */
    return described ? 0x8000001d : 0;
}

bool cpu_cache(unsigned index, struct cpu_cache *ret)
{
    static const char *const types[] = {NULL, "Data", "Instruction", "Unified"};
    u32 from = leaf();
    if (from == 0)
        return false;
    struct cpuid_regs r = cpuid(from, index);
    unsigned type = r.eax & 31;
    if (type == 0 || type >= ARRAY_SIZE(types))
        return false;
    *ret = (struct cpu_cache){types[type], r.eax >> 5 & 7, (r.ebx & 4095) + 1, (r.ebx >> 22) + 1, r.ecx + 1, (r.ebx >> 12 & 1023) + 1};
    return true;
}
