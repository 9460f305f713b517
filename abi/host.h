/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How the tender starts an instance as a sandboxed Linux process (kernel/plat/host).
 *
 * The tender makes one memfd, the instance's memory, sized and sealed (F_SEAL_SHRINK, GROW, SEAL), writes
 * struct host_boot at its beginning and the configuration and command line behind it, gives away what
 * privileges it can (namespaces, no_new_privs, limits), and executes the kernel image. The image finds
 * the memory as descriptor HOST_FD_MEMORY and everything else as the block says; any other
 * descriptor is closed. It puts itself into its place, installs its seccomp filter (docs/SANDBOX.md)
 * before the first byte of the program is read, and runs until exit_group().
 *
 * What the kernel says before it has a control port goes to HOST_FD_CONSOLE.
 *
 * The image may make more processes like itself, one for each address space of the program's, with a thread for each CPU; they are in its process
 * group, and the end of one is the end of all: the first ends with the other's exit status, or with 128 + the signal that ended it.
 *
 * The tender may send SIGURG to the process that it started after it has written to a port, so that a program that computes without
 * system calls is interrupted. Nothing depends on it: ports are looked at when the CPU idles, and often enough else.
 */
#ifndef ABI_HOST_H
#define ABI_HOST_H

#include <stdint.h>

#define HOST_FD_CONSOLE 2 /* the log's bytes */
#define HOST_FD_MEMORY 3
#define HOST_FD_FIRST_DEVICE 4

#define HOST_BOOT_MAGIC 0x74736f4865707572ull /* "rupeHost" */
#define HOST_BOOT_VERSION 1
#define HOST_BOOT_SIZE 4096u /* the block; what it points to lies behind it */
#define HOST_MAX_DEVICES 32
#define HOST_MAX_CPUS 8 /* of 128 tasks each CPU has one in each process, of which there are as many at least */

enum host_device_kind {
    HOST_BLOCK = 1, /* a regular file or block device; size_bytes; name = serial */
    HOST_PORT,      /* a connected stream socket; name = one of abi/control.h's PORT_* */
    HOST_TAP,       /* a TAP interface: one frame a read, behind a 12-byte struct virtio_net_hdr; mac, mtu */
    HOST_FRAMES,    /* a connected stream socket: frames behind their 32-bit big-endian length; mac, mtu */
    HOST_SIEVE,     /* memory of an eBPF program on the TAP (abi/sieve.h), to be mapped and closed before anything else of it is used; at most one */
};

#define HOST_READ_ONLY 1u /* HOST_BLOCK */
#define HOST_TSO 2u       /* HOST_TAP: checksums and TCP segmentation (v4, v6, ECN) may be left to the host, both ways */

struct host_device {
    uint32_t kind;  /* enum host_device_kind */
    uint32_t fd;    /* HOST_FD_FIRST_DEVICE + its place in the table */
    uint32_t flags;
    uint32_t mtu;
    uint64_t size_bytes;
    uint8_t mac[6], reserved[2];
    char name[32];  /* NUL-terminated */
};

struct host_boot {
    uint64_t magic;
    uint32_t version;
    uint32_t cpus;           /* 1 to HOST_MAX_CPUS */
    uint64_t memory_bytes;   /* the memfd's size; a multiple of 2 MiB */
    uint64_t cmdline_offset; /* into the memfd; NUL-terminated text as in abi/boot.h */
    uint64_t cmdline_len;    /* without the NUL */
    uint64_t config_offset;  /* config.json */
    uint64_t config_len;
    uint64_t tsc_khz;        /* 0 = not known: the kernel finds out */
    uint32_t ndevices;
    uint32_t reserved;
    struct host_device devices[HOST_MAX_DEVICES];
};

_Static_assert(sizeof(struct host_boot) <= HOST_BOOT_SIZE, "one page");

#endif
