/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the image builder must know of an ELF file (System V gABI chapters 4, 5):
 * its machine, interpreter and dynamic section. The file comes from outside:
 * every offset and count is checked against the file's size before use.
 */
#ifndef HOST_IMAGE_ELF_H
#define HOST_IMAGE_ELF_H

#include "host/lib/error.h"
#include "host/lib/util.h"

struct elf_info {
    u16 machine, type;      /* EM_*, ET_* */
    u8 elf_class;           /* ELFCLASS32 / 64 */
    char *interp;           /* PT_INTERP, or NULL */
    char *rpath, *runpath;  /* or NULL */
    char *soname;           /* or NULL */
    struct strv needed;     /* DT_NEEDED in order */
    bool wants_locale;      /* names setlocale, newlocale: may ask for C.UTF-8 */
    bool wants_nss;         /* names getpw*, getaddrinfo, ...: may load NSS modules */
    bool wants_gconv;       /* names iconv_open */
    bool wants_unwinder;    /* names pthread_exit, backtrace, ...: the C library loads libgcc_s for them */
};

enum elf_kind { ELF_YES, ELF_NOT_ELF };

/* Read the ELF file open at `fd`. 0 with *ret_kind, or -1 when it is an ELF file but
 * damaged or of a kind we do not read (`name` stands in the message). ELF files that
 * are not 64-bit little-endian x86-64 are not an error here: look at elf_class and
 * machine; nothing else is filled in then. */
int elf_read(int fd, const char *name, enum elf_kind *ret_kind, struct elf_info *ret, struct error *err);
void elf_done(struct elf_info *info);
/* "AArch64", "i386", ...; "machine 42" otherwise. Static storage. */
const char *elf_machine_name(u16 machine, u8 elf_class);

#endif
