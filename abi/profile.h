/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Samples of where CPUs are, over a channel (abi/control.h): the service "profile"; arguments: how many a second for each CPU, in
 * decimal. With " off-cpu" behind it: of where program threads sleep, one when a sleep ends for so many in a second of sleep, all threads'
 * together on each CPU, and at the end of those that still sleep. The client's message, whatever is in it, ends it: what there is is sent
 * before. Little-endian. A message of the service is a PROFILE_* byte and
 *
 *   PROFILE_MAPS    u32 process, then text: its /proc/PID/maps, before its first sample and when it has changed
 *   PROFILE_SAMPLE  struct profile_sample, kernel_len bytes of text: names of the kernel's frames, innermost first, a line each; then
 *                   stack_len bytes of the program's stack from regs[PROFILE_RSP] on
 *
 * And the service "perf-map"; its argument is a process, in decimal. It sends the text of that process's /tmp/perf-PID.map, where programs that make code tell
 * its names as perf(1) wants them, in messages of any length, at most PERF_MAP_MAX bytes.
 */
#ifndef ABI_PROFILE_H
#define ABI_PROFILE_H

#include <stdint.h>

#define PROFILE_MAPS 'M'
#define PROFILE_SAMPLE 'S'
#define PROFILE_HZ_MAX 10000u
#define PROFILE_STACK_MAX 16384u
#define PROFILE_MAPS_MAX (4u << 20)
#define PROFILE_KERNEL_MAX 4096u
#define PERF_MAP_MAX (32u << 20)

#define PROFILE_REGS 17 /* by DWARF's numbers for x86-64; 16 is the program counter */
#define PROFILE_RSP 7
#define PROFILE_RIP 16

struct profile_sample {
    uint64_t time_ns;  /* of the instance */
    uint64_t lost;     /* samples that there was no room for, so far */
    uint32_t pid, tid; /* 0: a thread of the kernel */
    uint32_t cpu;
    uint32_t kernel_len;
    uint32_t stack_len;
    uint32_t reserved;
    uint64_t weight_ns; /* the time that it stands for */
    uint64_t regs[PROFILE_REGS];
    char name[16];     /* of the thread; NUL-padded */
};

#endif
