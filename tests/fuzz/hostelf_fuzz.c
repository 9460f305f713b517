/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as an ELF file of this host: what the image builder reads of it, and the names of its functions. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "host/image/elf.h"
#include "host/image/symbols.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

static void read_whole(const u8 *data, size_t size)
{
    static int fd = -1;
    struct elf_info info = {0};
    struct error err = {0};
    enum elf_kind kind;
    if (fd < 0)
        fd = memfd_create("elf", 0);
    if (ftruncate(fd, 0) != 0 || pwrite(fd, data, size, 0) != (ssize_t)size)
        abort();
    if (elf_read(fd, "elf", &kind, &info, &err) == 0)
        elf_done(&info);
    else if (err.text[0] == '\0')
        abort(); /* refused, and nobody knows why */
}

/* The first two bytes: a place, and the length of a name that is there. */
int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    if (size < 2)
        return 0;
    u8 at = data[0], len = data[1];
    data += 2;
    size -= 2;
    read_whole(data, size);
    free(symbol_at(data, size, at * 16));
    char name[256];
    u64 offset;
    size_t n = size < len ? size : len;
    memcpy(name, data + size - n, n);
    name[n] = '\0';
    symbol_find(data, size, name, &offset);
    return 0;
}
