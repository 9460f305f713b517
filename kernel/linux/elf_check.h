/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checks of an ELF file's headers (System V gABI 4.1 ch. 4 and 5, x86-64 psABI), as
 * pure functions: bytes in, a description in which every number is safe to use out.
 * A file that lies (segments outside the file, overlapping, wrapping around) is
 * refused with ENOEXEC before anything is mapped.
 */
#ifndef LINUX_ELF_CHECK_H
#define LINUX_ELF_CHECK_H

#include "base/errno.h"
#include "base/types.h"

#define ELF_HEADER_SIZE 64
#define ELF_PHDR_SIZE 56
#define ELF_MAX_PHDRS 128
#define ELF_MAX_SEGMENTS 32
#define ELF_INTERP_MAX 4096

struct elf_segment {
    u64 vaddr, memsz; /* as in the file; vaddr and offset agree within a page */
    u64 offset, filesz;
    u32 prot;         /* PROT_READ 1, WRITE 2, EXEC 4 */
};

struct elf_info {
    bool position_independent; /* ET_DYN */
    bool has_interp;
    bool exec_stack;           /* PT_GNU_STACK asks for it, or is not there */
    u64 entry;
    u64 phdr_offset, phdr_vaddr; /* phdr_vaddr 0 = not part of a segment */
    u16 phdr_count;
    u64 interp_offset, interp_len; /* len counts the end byte */
    u64 low, high;             /* page-aligned bounds of all segments */
    u64 align;                 /* largest p_align, at least a page */
    u64 brk;                   /* end of the highest segment */
    u32 nsegments;
    struct elf_segment segments[ELF_MAX_SEGMENTS];
};

/* Check the ELF header. On success ret's entry, phdr_offset, phdr_count and
 * position_independent hold. 0 or -ENOEXEC. */
int elf_check_header(const void *header, size_t len_bytes, u64 file_size, struct elf_info *ret);
/* Check the program headers (phdr_count of them) and fill in the rest. Addresses of
 * an ET_EXEC file must lie in [user_min, user_max). 0, -ENOEXEC, -EINVAL, -ENOMEM. */
int elf_check_segments(const void *phdrs, u64 file_size, u64 user_min, u64 user_max, struct elf_info *ret);

#endif
