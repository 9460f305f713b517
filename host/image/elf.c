/* SPDX-License-Identifier: Apache-2.0 */
/* ELF reader: see elf.h. */
#include "host/image/elf.h"

#include <elf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/checked.h"

#define MAX_PHDRS 256
#define MAX_DYNAMIC_BYTES (1u << 20)
#define MAX_STRINGS_BYTES (64u << 20)
#define MAX_NEEDED 1024

struct reader {
    int fd;
    u64 size;
    const char *name;
    struct error *err;
    Elf64_Phdr *phdrs;
    unsigned nphdrs;
};

static int bad(struct reader *r, const char *what)
{
    return err_set(r->err, EXIT_NOEXEC, "%s: damaged ELF file: %s", r->name, what);
}

/* Bytes [off, off+len) of the file into a fresh, NUL-terminated block; NULL with err set. */
static void *read_range(struct reader *r, u64 off, u64 len, const char *what)
{
    if (!range_inside(off, len, r->size)) {
        bad(r, what);
        return NULL;
    }
    AUTO_FREE char *block = xalloc(len + 1);
    for (u64 done = 0; done < len;) {
        ssize_t n = pread(r->fd, block + done, len - done, (off_t)(off + done));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            err_errno(r->err, EXIT_NOEXEC, "%s: cannot read", r->name);
            return NULL;
        }
        done += (u64)n;
    }
    return TAKE_PTR(block);
}

/* File offset of virtual address range [va, va+len); 0 or -1. */
static int file_offset(struct reader *r, u64 va, u64 len, u64 *ret_off)
{
    for (unsigned i = 0; i < r->nphdrs; i++) {
        const Elf64_Phdr *p = &r->phdrs[i];
        if (p->p_type == PT_LOAD && va >= p->p_vaddr && range_inside(va - p->p_vaddr, len, p->p_filesz))
            return __builtin_add_overflow(p->p_offset, va - p->p_vaddr, ret_off) ? -1 : 0;
    }
    return -1;
}

static bool has_name(const char *strings, u64 len, const char *name)
{
    size_t n = strlen(name) + 1;
    for (const char *p = strings; (p = memmem(p, len - (size_t)(p - strings), name, n)); p++)
        if (p == strings || p[-1] == 0)
            return true;
    return false;
}

static bool has_any(const char *strings, u64 len, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (has_name(strings, len, names[i]))
            return true;
    return false;
}

static const char *const locale_names[] = {"setlocale", "newlocale"};
static const char *const nss_names[] = {
    "getpwnam", "getpwuid", "getpwnam_r", "getpwuid_r", "getgrnam",  "getgrgid",      "getgrnam_r",   "getgrgid_r",
    "getgrouplist", "initgroups", "getaddrinfo", "getnameinfo", "gethostbyname", "gethostbyname_r", "gethostbyaddr",
    "getservbyname", "getservbyport", "getprotobyname", "gethostbyname2_r"};
static const char *const gconv_names[] = {"iconv_open"};
static const char *const unwinder_names[] = {"pthread_exit", "pthread_cancel", "thrd_exit", "backtrace"};

static int parse_dynamic(struct reader *r, const Elf64_Phdr *dyn, struct elf_info *ret)
{
    if (dyn->p_filesz > MAX_DYNAMIC_BYTES)
        return bad(r, "dynamic section too long");
    AUTO_FREE Elf64_Dyn *entries = read_range(r, dyn->p_offset, dyn->p_filesz, "dynamic section outside the file");
    if (!entries)
        return -1;
    u64 count = dyn->p_filesz / sizeof(*entries), strtab = 0, strsz = 0, off;
    for (u64 i = 0; i < count && entries[i].d_tag != DT_NULL; i++) {
        if (entries[i].d_tag == DT_STRTAB)
            strtab = entries[i].d_un.d_ptr;
        else if (entries[i].d_tag == DT_STRSZ)
            strsz = entries[i].d_un.d_val;
    }
    if (!strsz)
        return 0;
    if (strsz > MAX_STRINGS_BYTES || file_offset(r, strtab, strsz, &off) < 0)
        return bad(r, "string table outside the file");
    AUTO_FREE char *strings = read_range(r, off, strsz, "string table outside the file");
    if (!strings)
        return -1;
    for (u64 i = 0; i < count && entries[i].d_tag != DT_NULL; i++) {
        u64 at = entries[i].d_un.d_val;
        char **slot = NULL;
        switch (entries[i].d_tag) {
        case DT_NEEDED:
            if (at >= strsz || !strings[at] || ret->needed.count >= MAX_NEEDED)
                return bad(r, "DT_NEEDED");
            strv_add(&ret->needed, strings + at);
            continue;
        case DT_RPATH:
            slot = &ret->rpath;
            break;
        case DT_RUNPATH:
            slot = &ret->runpath;
            break;
        case DT_SONAME:
            slot = &ret->soname;
            break;
        default:
            continue;
        }
        if (at >= strsz)
            return bad(r, "string outside its table");
        free(*slot);
        *slot = xstrdup(strings + at);
    }
    ret->wants_locale = has_any(strings, strsz, locale_names, ARRAY_SIZE(locale_names));
    ret->wants_nss = has_any(strings, strsz, nss_names, ARRAY_SIZE(nss_names));
    ret->wants_gconv = has_any(strings, strsz, gconv_names, ARRAY_SIZE(gconv_names));
    ret->wants_unwinder = has_any(strings, strsz, unwinder_names, ARRAY_SIZE(unwinder_names));
    return 0;
}

static int parse_segments(struct reader *r, const Elf64_Ehdr *eh, struct elf_info *ret)
{
    if (eh->e_phentsize != sizeof(Elf64_Phdr) || eh->e_phnum > MAX_PHDRS)
        return bad(r, "program headers");
    AUTO_FREE Elf64_Phdr *phdrs =
        read_range(r, eh->e_phoff, (u64)eh->e_phnum * sizeof(*phdrs), "program headers outside the file");
    if (!phdrs)
        return -1;
    r->phdrs = phdrs;
    r->nphdrs = eh->e_phnum;
    for (unsigned i = 0; i < r->nphdrs; i++) {
        const Elf64_Phdr *p = &phdrs[i];
        if (p->p_type == PT_INTERP && !ret->interp) {
            if (p->p_filesz < 2 || p->p_filesz > 4096)
                return bad(r, "interpreter path");
            ret->interp = read_range(r, p->p_offset, p->p_filesz, "interpreter path outside the file");
            if (!ret->interp)
                return -1;
            if (ret->interp[0] != '/')
                return bad(r, "interpreter path is not absolute");
        } else if (p->p_type == PT_DYNAMIC && parse_dynamic(r, p, ret) < 0) {
            return -1;
        }
    }
    return 0;
}

int elf_read(int fd, const char *name, enum elf_kind *ret_kind, struct elf_info *ret, struct error *err)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return err_errno(err, EXIT_NOEXEC, "%s: cannot read", name);
    struct reader r = {.fd = fd, .size = (u64)st.st_size, .name = name, .err = err};
    Elf64_Ehdr eh;
    memset(&eh, 0, sizeof(eh));
    ssize_t n = pread(fd, &eh, sizeof(eh), 0);
    if (n < SELFMAG || memcmp(eh.e_ident, ELFMAG, SELFMAG) != 0) {
        *ret_kind = ELF_NOT_ELF;
        return 0;
    }
    if (n < EI_NIDENT + 4)
        return bad(&r, "header cut short");
    struct elf_info info = {.machine = eh.e_machine, .type = eh.e_type, .elf_class = eh.e_ident[EI_CLASS]};
    if (eh.e_ident[EI_DATA] == ELFDATA2MSB) {
        info.machine = __builtin_bswap16(info.machine);
        info.type = __builtin_bswap16(info.type);
    } else if (info.elf_class == ELFCLASS64 && info.machine == EM_X86_64) {
        if (n < (ssize_t)sizeof(eh))
            return bad(&r, "header cut short");
        if (parse_segments(&r, &eh, &info) < 0) {
            elf_done(&info);
            return -1;
        }
    }
    *ret_kind = ELF_YES;
    *ret = info;
    return 0;
}

void elf_done(struct elf_info *info)
{
    free(info->interp);
    free(info->rpath);
    free(info->runpath);
    free(info->soname);
    strv_done(&info->needed);
    *info = (struct elf_info){0};
}

const char *elf_machine_name(u16 machine, u8 elf_class)
{
    static char text[24];
    switch (machine) {
    case EM_X86_64:
        return elf_class == ELFCLASS32 ? "x32" : "x86-64";
    case EM_386:
        return "i386";
    case EM_AARCH64:
        return "AArch64";
    case EM_ARM:
        return "ARM";
    case EM_RISCV:
        return "RISC-V";
    case EM_PPC64:
        return "PowerPC64";
    case EM_S390:
        return "S/390";
    case EM_MIPS:
        return "MIPS";
    default:
        snprintf(text, sizeof(text), "machine %u", machine);
        return text;
    }
}
