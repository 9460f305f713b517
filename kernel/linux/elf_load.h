/* SPDX-License-Identifier: Apache-2.0 */
/* Mapping a checked ELF file into an address space. */
#ifndef LINUX_ELF_LOAD_H
#define LINUX_ELF_LOAD_H

#include "elf_check.h"
#include "task.h"

struct elf_image {
    struct file *file;
    struct elf_info info;
    u64 bias; /* added to every address of the file */
};

/* Read and check the headers of img->file. 0 or -errno; *ret_why says what was wrong. */
int elf_read(struct elf_image *img, const char **ret_why);
/* Map all segments. `hint` is where a position-independent image should lie. */
int elf_map(struct elf_image *img, struct addrspace *as, u64 hint);
/* pread for the kernel: bytes read (short at the end) or -errno. */
s64 file_read_at(struct file *f, u64 off, void *buf, size_t len);
/* Map a file area: what mmap(2) and the loader share. Fills req's object from f. */
int map_file(struct addrspace *as, struct file *f, struct map_request *req, uaddr_t *ret_addr);

#endif
