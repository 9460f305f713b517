/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names for the places in a crash report, and in files of this host. The kernel says FILE+0xOFFSET, a place in a file
 * of the image; here the file's own symbol table says which function that is. Report, image and
 * ELF file all come from the machine's side: whatever does not add up gets no name.
 */
#ifndef HOST_IMAGE_SYMBOLS_H
#define HOST_IMAGE_SYMBOLS_H

#include "host/lib/util.h"

/* The function at byte `offset` of an ELF file, as "name+0x12"; NULL when nothing says so. Owned by the caller. */
char *symbol_at(const void *elf, size_t len, u64 offset);
/* Where the function of that name begins in the file. */
bool symbol_find(const void *elf, size_t len, const char *name, u64 *ret_offset);
/* The report with " (name+0x12)" behind each "/file+0x345" that ends a line. Owned by the caller. */
char *symbols_annotate(const char *report, int image_fd);

#endif
