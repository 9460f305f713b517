/* SPDX-License-Identifier: Apache-2.0 */
/* /proc/cpuinfo. */
#include "task.h"
#include "base/fmt.h"
#include "base/str.h"

static void cpuid(u32 leaf, u32 sub, u32 r[4])
{
    __asm__ volatile("cpuid" : "=a"(r[0]), "=b"(r[1]), "=c"(r[2]), "=d"(r[3]) : "0"(leaf), "2"(sub));
}

/* The names that programs look for, by their bits in CPUID; "-" = none, or not for programs. */
static const struct {
    u32 leaf, sub;
    unsigned reg; /* of EAX EBX ECX EDX */
    const char *names;
} cpu_flags[] = {
    {1, 0, 3, "fpu vme de pse tsc msr pae mce cx8 apic - sep mtrr pge mca cmov pat pse36 pn clflush - dts acpi mmx fxsr sse sse2 ss ht tm ia64 pbe"},
    {0x80000001, 0, 3, "- - - - - - - - - - - syscall - - - - - - - mp nx - mmxext - - fxsr_opt pdpe1gb rdtscp - lm 3dnowext 3dnow"},
    {1, 0, 2, "pni pclmulqdq dtes64 monitor ds_cpl vmx smx est tm2 ssse3 cid sdbg fma cx16 xtpr pdcm - pcid dca sse4_1 sse4_2 x2apic movbe popcnt tsc_deadline_timer aes xsave - avx f16c rdrand hypervisor"},
    {0x80000001, 0, 2, "lahf_lm cmp_legacy svm extapic cr8_legacy abm sse4a misalignsse 3dnowprefetch osvw ibs xop skinit wdt - lwp fma4 tce - - - tbm topoext"},
    {7, 0, 1, "fsgsbase tsc_adjust sgx bmi1 hle avx2 - smep bmi2 erms invpcid rtm cqm - mpx rdt_a avx512f avx512dq rdseed adx smap avx512ifma - clflushopt clwb intel_pt avx512pf avx512er avx512cd sha_ni avx512bw avx512vl"},
    {0xd, 1, 0, "xsaveopt xsavec xgetbv1 xsaves"},
    {0x80000008, 0, 1, "clzero irperf xsaveerptr - - - - - - wbnoinvd"},
    {7, 0, 2, "- avx512vbmi - - - waitpkg avx512_vbmi2 - gfni vaes vpclmulqdq avx512_vnni avx512_bitalg tme avx512_vpopcntdq - - - - - - - rdpid - - cldemote - movdiri movdir64b"},
    {7, 0, 3, "- - avx512_4vnniw avx512_4fmaps fsrm - - - avx512_vp2intersect - md_clear - - - serialize"},
};

static void add_flags(struct text *x)
{
    u32 basic[4], extended[4], r[4];
    cpuid(0, 0, basic);
    cpuid(0x80000000, 0, extended);
    for (unsigned k = 0; k < ARRAY_SIZE(cpu_flags); k++) {
        u32 leaf = cpu_flags[k].leaf;
        if (leaf > (leaf >> 31 ? extended[0] : basic[0]))
            continue;
        cpuid(leaf, cpu_flags[k].sub, r);
        const char *name = cpu_flags[k].names;
        for (u32 bits = r[cpu_flags[k].reg]; *name != '\0'; bits >>= 1) {
            size_t n = 0;
            while (name[n] != ' ' && name[n] != '\0')
                n++;
            if ((bits & 1) && name[0] != '-')
                text_add(x, " %.*s", (int)n, name);
            name += n + (name[n] == ' ');
        }
    }
}

static size_t show_cpuinfo(void *arg, char *buf, size_t size)
{
    struct text x = {buf, size, 0};
    u32 r[4], v[4], brand[13] = {0};
    char vendor[13] = {0};
    struct plat_clock_params clock;
    cpuid(0, 0, v);
    memcpy(vendor, &v[1], 4);
    memcpy(vendor + 4, &v[3], 4);
    memcpy(vendor + 8, &v[2], 4);
    cpuid(0x80000000, 0, r);
    if (r[0] >= 0x80000004)
        for (u32 i = 0; i < 3; i++)
            cpuid(0x80000002 + i, 0, brand + 4 * i);
    u32 one[4], physical_bits = 40;
    cpuid(1, 0, one);
    if (r[0] >= 0x80000008) {
        cpuid(0x80000008, 0, r);
        physical_bits = r[0] & 255;
    }
    u32 family = (one[0] >> 8) & 15, model = ((one[0] >> 4) & 15) | ((one[0] >> 12) & 0xf0);
    if (family == 15)
        family += (one[0] >> 20) & 255;
    u64 khz = plat_clock_params(&clock) && clock.mult != 0 ? (1000000ULL << 32) / clock.mult : 0;
    for (unsigned cpu = 0; cpu < plat_cpu_count(); cpu++) {
        text_add(&x, "processor\t: %u\nvendor_id\t: %s\ncpu family\t: %u\nmodel\t\t: %u\nmodel name\t: %s\nstepping\t: %u\n", cpu, vendor, family,
            model, (const char *)brand, one[0] & 15);
        text_add(&x, "cpu MHz\t\t: %u.%03u\nphysical id\t: 0\nsiblings\t: %u\ncore id\t\t: %u\ncpu cores\t: %u\n",
            (unsigned)(khz / 1000), (unsigned)(khz % 1000), plat_cpu_count(), cpu, plat_cpu_count());
        text_add(&x, "fpu\t\t: yes\nfpu_exception\t: yes\ncpuid level\t: %u\nwp\t\t: yes\nflags\t\t:", v[0]);
        add_flags(&x);
        text_add(&x, "\nbugs\t\t:\nbogomips\t: %u.%02u\nclflush size\t: 64\ncache_alignment\t: 64\naddress sizes\t: %u bits physical, 48 bits virtual\n\n",
            (unsigned)(khz * 2 / 1000), (unsigned)(khz * 2 % 1000 / 10), physical_bits);
    }
    return x.len;
}

void cpuinfo_init(void) { proc_add("cpuinfo", 0444, show_cpuinfo, NULL); }
